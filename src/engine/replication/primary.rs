//! The primary's side: the replicas, the backlog, and the snapshots that are on their way.

use super::full_sync::{FullSync, Stage};
use super::spill::Spill;
use crate::keyspace::ReaderId;
use crate::net::token::Token;
use crate::replication::replicas::{Replica, Replicas};

/// A replica that left instead of loading a snapshot of a version that it had not said it reads.
#[derive(Debug)]
pub struct GivenUp {
    pub host: String,
    pub port: u16,
    /// When that was, in ms since the epoch.
    pub at_ms: i64,
}

/// After that a replica has to wait: the next snapshot would be of the same version.
const PAUSE_MS: i64 = 1000;

/// What a server knows of its replicas. A replica can have replicas of its own.
#[derive(Default)]
pub struct PrimarySide {
    /// The clients that are replicas.
    pub replicas: Replicas,
    /// The stream's last bytes are kept for replicas that come back, from the first replica on.
    pub backlog: Option<ReaderId>,
    /// The snapshots that are on their way.
    pub syncs: Vec<Box<FullSync>>,
    /// What of the stream is on the disk, for replicas that are far behind.
    pub spill: Option<Box<Spill>>,
    /// Replicas that are further behind than the memory may hold: they are to be sent the stream by way of the disk.
    pub wants_disk: Vec<Token>,
    /// A replica waits for a snapshot.
    pub wants_sync: bool,
    /// A snapshot, or what is on the disk of the stream, can go on: it was begun, or a socket has room again.
    pub has_room: bool,
    /// Somebody waits for acknowledgements: the replicas are asked once, at the end of the turn.
    pub wants_acks: bool,
    /// Counts what replicas have acknowledged, and their coming and going.
    pub news: u64,
    /// How many seconds this server has looked after its replicas.
    pub rounds: u64,
    /// Since when there is a backlog and no replica, in ms since the epoch: the last one left then, the backlog
    /// began, or this server was promoted.
    pub alone_since_ms: i64,
    /// Those that left in the last second because they could not load what they were sent.
    pub given_up: Vec<GivenUp>,
    /// The end of the log of changes when the replicas' limits were looked at last.
    pub limits_checked_at: u64,
}

impl PrimarySide {
    /// Whether anybody follows this server.
    #[inline]
    pub fn has_replicas(&self) -> bool {
        !self.replicas.is_empty()
    }

    /// Whether a replica's snapshot was handed to its socket as a whole.
    pub fn was_sent_all(&self, client: Token) -> bool {
        let mut sent = self.syncs.iter().filter(|sync| matches!(sync.stage, Stage::Sent { .. }));
        sent.any(|sync| sync.members.contains(&client))
    }

    /// Whether a job has snapshots or what is on the disk of the stream to send, or replicas to take in for that.
    pub fn has_disk_work(&self) -> bool {
        self.is_syncing() || self.spill.is_some() || !self.wants_disk.is_empty()
    }

    /// A replica on this host is gone.
    pub fn note_gone(&mut self, replica: &Replica, host: &str, now_ms: i64) {
        self.given_up.retain(|one| now_ms - one.at_ms < PAUSE_MS);
        if replica.leaves_unloaded() {
            let port = replica.announced.port;
            self.given_up.push(GivenUp { host: host.to_string(), port, at_ms: now_ms });
        }
    }

    /// Whether a replica could not load what it was sent a moment ago.
    pub fn has_given_up(&self, host: &str, port: u16, now_ms: i64) -> bool {
        let is_it = |one: &GivenUp| one.host == host && one.port == port && now_ms - one.at_ms < PAUSE_MS;
        self.given_up.iter().any(is_it)
    }

    /// Whether a snapshot for replicas is on its way.
    pub fn is_syncing(&self) -> bool {
        !self.syncs.is_empty()
    }
}
