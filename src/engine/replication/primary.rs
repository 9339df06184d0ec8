//! The primary's side: the replicas and the backlog.

use crate::keyspace::change_log::ReaderId;
use crate::replication::replicas::Replicas;

/// What a server knows of those who follow it. A replica has replicas of its own, too.
#[derive(Default)]
pub struct PrimarySide {
    /// The clients that are replicas.
    pub replicas: Replicas,
    /// The stream's last bytes are kept for replicas that come back, from the first replica on.
    pub backlog: Option<ReaderId>,
}
