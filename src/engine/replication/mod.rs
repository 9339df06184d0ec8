//! What a server knows of replication: which history its data belong to, its replicas, and its own primary.
//!
//! Data alone. `drive::replication` carries out what follows from them.

pub mod primary;
pub mod replica;

use crate::replication::failover::Failover;
use crate::replication::{Identity, ReplicationId};

pub use primary::PrimarySide;
pub use replica::ReplicaSide;

/// Both sides of replication, and what they share.
#[derive(Default)]
pub struct Replication {
    /// The histories that the data belong to.
    pub identity: Identity,
    /// The replicas of this server.
    pub primary: PrimarySide,
    /// The primary that this server follows, if it is a replica.
    pub replica: Option<Box<ReplicaSide>>,
    /// The primary gives its place to a replica, if that is under way.
    pub failover: Failover,
}

impl Replication {
    /// A primary without replicas, whose data belong to a new history.
    pub fn new(id: ReplicationId) -> Replication {
        Replication { identity: Identity::new(id), ..Replication::default() }
    }

    /// Whether this server follows another one.
    #[inline]
    pub fn is_replica(&self) -> bool {
        self.replica.is_some()
    }
}
