//! What the state knows of its history: the replication offset, new ids.

use super::ServerState;
use crate::engine::blocking::Safety;
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
        if self.config.min_replicas_to_write > 0 {
            self.update_restrictions();
        }
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
