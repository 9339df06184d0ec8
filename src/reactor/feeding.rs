//! Feeding the replicas: the bytes of the log of changes go to each replica's socket from where they are.

use crate::drive::replication::primary;
use crate::engine::session::{Close, Token};
use crate::keyspace::change_log::BLOCK_BYTES;
use crate::net::connection::Sent;
use crate::replication::replicas::ReplicaState;

use super::event_loop::EventLoop;

impl EventLoop {
    /// Sends each replica what it has not been sent of the stream, and closes those that are too far behind.
    #[inline]
    pub(crate) fn feed_replicas(&mut self) {
        if self.state.replication.primary.has_replicas() {
            self.feed_each();
        }
    }

    fn feed_each(&mut self) {
        for token in self.state.replication.primary.replicas.clients() {
            let is_blocked = self.state.replication.primary.replicas.get(token).is_none_or(|one| one.is_blocked);
            if !is_blocked && self.has_stream_for(token) {
                self.flush_client(token);
            }
        }
        let end = self.state.keyspace.changes.propagation.log.end();
        // Looked at whenever a block of the log has come.
        if end - self.state.replication.primary.limits_checked_at >= BLOCK_BYTES as u64 / 4 {
            self.state.replication.primary.limits_checked_at = end;
            primary::check_limits(&mut self.state);
            let primary = &mut self.state.replication.primary;
            primary.has_room |= primary.has_disk_work();
        }
    }

    /// Whether there is anything in the log that a replica may be sent now.
    pub(crate) fn has_stream_for(&self, token: Token) -> bool {
        let Some(replica) = self.state.replication.primary.replicas.get(token) else {
            return false;
        };
        if self.state.clients.get(token).is_some_and(|session| session.close == Close::Now) {
            // Nothing of what came after its end is for it.
            return false;
        }
        let is_fed = replica.state == ReplicaState::Online;
        match &replica.reader {
            Some(reader) if is_fed => {
                let log = &self.state.keyspace.changes.propagation.log;
                log.unread_up_to(reader, self.state.stream_end()).next().is_some()
            }
            _ => false,
        }
    }

    /// The replies of a client were sent. If it is a replica the log's bytes follow, as many as its socket takes and as
    /// is fair to the others.
    ///
    /// Errors: the socket's.
    pub(crate) fn feed(&mut self, token: Token) -> std::io::Result<()> {
        let end = self.state.stream_end();
        let now_ms = self.state.now_ms();
        let Some(replica) = self.state.replication.primary.replicas.get_mut(token) else {
            return Ok(());
        };
        replica.is_blocked = false;
        let Some(reader) = replica.reader.as_ref().filter(|_| replica.state == ReplicaState::Online) else {
            return Ok(());
        };
        let log = &mut self.state.keyspace.changes.propagation.log;
        let connection = &mut self.connections[token.slot as usize];
        let (sent, count) = connection.send_pieces(log.unread_up_to(reader, end))?;
        log.advance(reader, count);
        replica.is_blocked = sent == Sent::Blocked;
        if count > 0 {
            replica.progressed_ms = now_ms;
            self.state.stats.replication_output_bytes += count as u64;
            if let Some(session) = self.state.clients.get_mut(token) {
                session.traffic.output_bytes += count as u64;
                session.last_interaction_ms = now_ms;
            }
        }
        if sent == Sent::Paused {
            self.state.clients.flush_after(token, |_| {});
        }
        Ok(())
    }

    /// The socket of a replica has taken some of its replies, or takes no more.
    pub(crate) fn note_replica_progress(&mut self, token: Token, count: usize, sent: Sent) {
        let now_ms = self.state.now_ms();
        let primary = &mut self.state.replication.primary;
        if let Some(replica) = primary.replicas.get_mut(token) {
            replica.is_blocked = sent == Sent::Blocked;
            if count > 0 {
                replica.progressed_ms = now_ms;
            }
            primary.has_room |= primary.has_disk_work();
        }
    }
}
