//! What a server knows of replication: which history its data belong to, its replicas, and its own primary.
//!
//! Never does anything with them: `drive::replication` carries out what follows.

pub mod full_sync;
pub mod primary;
pub mod replica;
pub mod spill;

use crate::engine::history::LoadedHistory;
use crate::engine::session::Session;
use crate::replication::failover::Failover;
use crate::replication::{Identity, ReplicationId};

pub use full_sync::{FullSync, Stage};
pub use primary::PrimarySide;
pub use replica::{Appended, Payload, PayloadBeside, PayloadFile, PrimaryClient, ReplicaSide};

/// Where in its history the data of a primary were when they were loaded.
#[derive(Clone, Copy, Debug)]
pub struct Restored {
    pub history: LoadedHistory,
    /// How many changes had been counted then.
    pub changes: u64,
}

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
    /// Whether the server that was asked to take over does; none until it has replied.
    pub takeover: Option<bool>,
    /// What the snapshot that was loaded last said of its history.
    pub loaded: Option<LoadedHistory>,
    /// What a primary has loaded at its start; none if it was not complete.
    pub restored: Option<Restored>,
    /// Keys that it has and that were left out because their time was over, each with its database.
    pub expired_at_load: Vec<(usize, Vec<u8>)>,
}

impl Replication {
    /// A primary without replicas, whose data belong to a new history.
    pub fn new(id: ReplicationId) -> Replication {
        Replication { identity: Identity::new(id), ..Replication::default() }
    }

    /// The primary as a client, while its stream flows.
    pub fn primary_client(&self) -> Option<&Session> {
        self.replica.as_ref()?.client.as_ref().map(|client| &client.session)
    }

    /// The database that the stream has selected, for replicas that begin to read it here. A primary selects one anew
    /// for them; the stream of a replica comes from its primary.
    pub fn stream_database(&self) -> usize {
        self.replica.as_ref().map_or(0, |replica| replica.stream_database())
    }

    /// Whether what replicas would be sent is known: not while a replica is out of touch with its primary.
    pub fn can_serve_replicas(&self) -> bool {
        self.replica.as_ref().is_none_or(|replica| replica.link.is_streaming())
    }

    /// Whether this server follows another one.
    #[inline]
    pub fn is_replica(&self) -> bool {
        self.replica.is_some()
    }
}
