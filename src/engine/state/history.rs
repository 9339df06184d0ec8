//! What the state knows of its history: the replication offset, new ids.

use super::ServerState;
use crate::engine::blocking::Safety;
use crate::engine::replication::Appended;
use crate::engine::replication::spill::Segment;
use crate::engine::session::Session;
use crate::keyspace::Target;
use crate::net::token::Token;
use crate::replication::replicas::Replica;
use crate::replication::{Position, ReplicationId};

impl ServerState {
    /// Number of the last byte of the replication stream.
    #[inline]
    pub fn replication_offset(&self) -> u64 {
        self.keyspace.changes.propagation.log.count_of(Target::Replicas)
    }

    /// How safe what was written is.
    #[inline]
    pub fn safety(&self) -> Safety {
        Safety {
            disk: self.aof.on_disk(),
            news: self.replication.primary.news,
            is_replica: self.replication.is_replica(),
        }
    }

    /// Notes which place in the stream corresponds to the end of what was appended to the file.
    pub fn note_appended(&mut self) {
        if self.aof.has_log() {
            let appended = Appended { log: self.aof.appended(), stream: self.replication_offset() };
            if let Some(side) = &mut self.replication.replica {
                side.note_appended(appended);
            }
        }
    }

    /// The connection of a replica is closed.
    pub fn lose_replica(&mut self, session: &Session) {
        let now_ms = self.now_ms();
        let primary = &mut self.replication.primary;
        if let Some(replica) = primary.replicas.remove(session.token) {
            primary.note_gone(&replica, session.address.peer_host(), now_ms);
            self.forget(replica);
        }
        log::info!("Connection with replica client id #{} lost.", session.id);
    }

    /// A client is no longer a replica.
    pub fn forget_replica(&mut self, client: Token) {
        if let Some(replica) = self.replication.primary.replicas.remove(client) {
            self.forget(replica);
        }
    }

    fn forget(&mut self, replica: Replica) {
        let now_ms = self.now_ms();
        let primary = &mut self.replication.primary;
        primary.news += 1;
        // A snapshot that was for it alone is given up.
        primary.has_room = true;
        primary.alone_since_ms = now_ms;
        if let Some(reader) = replica.reader {
            self.keyspace.changes.propagation.log.detach(reader);
        }
        if let Some(spill) = &mut self.replication.primary.spill {
            spill.members.retain(|member| member.client != replica.client);
            if spill.members.is_empty() {
                self.end_spill();
            }
        }
        if self.config.min_replicas_to_write > 0 {
            self.update_restrictions();
        }
    }

    /// The offset of the log up to which replicas may be sent it: no replica knows what the append-only file does not.
    pub fn stream_end(&self) -> u64 {
        match self.aof.is_up_to_date() {
            true => u64::MAX,
            false => self.aof.acked_offset(),
        }
    }

    /// No replica needs what is on the disk of the stream: it goes.
    pub fn end_spill(&mut self) {
        let Some(spill) = self.replication.primary.spill.take() else { return };
        self.keyspace.changes.propagation.log.detach(spill.reader);
        spill.segments.into_iter().for_each(|segment| self.remove_segment(segment));
    }

    /// Removes a file with a part of the stream, also if it is not complete.
    pub fn remove_segment(&self, segment: Segment) {
        drop(segment.writer);
        // There is none if the disk has refused it.
        let _ = self.disk.files().remove(&segment.path);
    }

    /// Whether too few replicas are near enough for writes to be taken (`min-replicas-to-write`).
    pub fn lacks_good_replicas(&self) -> bool {
        let (wanted, lag_s) = (self.config.min_replicas_to_write, self.config.min_replicas_max_lag);
        if wanted == 0 || lag_s == 0 || self.replication.is_replica() {
            return false;
        }
        self.good_replicas() < wanted as usize
    }

    /// Replicas that are near enough to count for `min-replicas-to-write`.
    pub fn good_replicas(&self) -> usize {
        let lag_s = i64::from(self.config.min_replicas_max_lag);
        self.replication.primary.replicas.good(lag_s, self.now_ms())
    }

    /// The place in a history that the data are at, with the database that the stream has selected there; none unless
    /// there is a stream. Data of a replica are at none while they are replaced.
    pub fn place_in_history(&self) -> Option<(Position, usize)> {
        match &self.replication.replica {
            Some(replica) => Some((replica.position()?, replica.stream_database())),
            None => {
                self.replication.primary.backlog.as_ref()?;
                let log = &self.keyspace.changes.propagation.log;
                let database = log.selected(Target::Replicas).unwrap_or(0);
                Some((Position { id: self.replication.identity.id, offset: self.replication_offset() }, database))
            }
        }
    }

    /// A name for a history that nobody has used.
    pub fn new_history_id(&mut self) -> ReplicationId {
        ReplicationId::from_entropy(std::array::from_fn(|_| self.random.u8(..)))
    }
}
