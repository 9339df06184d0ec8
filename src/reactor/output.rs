//! Replies on their way out: one gate, which decides whether they may leave yet, and one flush.
//!
//! ```text
//! flush_client      bytes_to_leave   all, those whose changes are acknowledged, or none: then the client is held
//!                   Connection::flush
//! release_held      writes what was appended, looks after syncs, and flushes the clients that are held no longer
//! flush_pushed      the clients with pushed replies, as many as the budget of a turn allows
//! ```

use crate::engine::output_limits;
use crate::engine::propagation;
use crate::engine::unflushed;
use log::debug;

use crate::engine::session::{Close, HeldReplies, Mode, Token};
use crate::net::connection::Sent;

use super::event_loop::EventLoop;
use crate::observe::turn::Part;

/// Clients that are sent something between two looks at the clock.
const FLUSHES_BETWEEN_LOOKS: usize = 16;

impl EventLoop {
    /// How many bytes of a client's replies may leave now: none while the offset of the log of changes that they
    /// require is not acknowledged. All replies pass here, so none leaves before its write is where `appendfsync`
    /// promises it to be.
    fn bytes_to_leave(&mut self, token: Token) -> Option<usize> {
        let session = self.state.clients.get_mut(token)?;
        session.flush_queued = false;
        if session.mode == Mode::Replica {
            // What waits for it is a snapshot's; the stream itself is held back (`feed`).
            return Some(usize::MAX);
        }
        let is_free = session.held.required_offset == 0;
        if is_free && (self.state.aof.is_up_to_date() || session.reply.is_empty()) {
            return Some(usize::MAX);
        }
        if is_free {
            // With `no` and `everysec` the file acknowledges what is written: only what cannot be written waits, and
            // not for long.
            self.hold_replies(token);
        }
        let held = &mut self.state.clients.get_mut(token)?.held;
        if self.state.aof.acked_offset() >= held.required_offset {
            return Some(held.bytes);
        }
        // A part of it may have left when less was asked of the disk, and the socket tells only once that it takes
        // more.
        if !std::mem::replace(&mut held.is_listed, true) {
            self.held.push(token);
        }
        None
    }

    /// Sends a client what waits for it, as far as its socket takes it.
    pub(crate) fn flush_client(&mut self, token: Token) {
        let Some(most_bytes) = self.bytes_to_leave(token) else {
            return;
        };
        let Some(session) = self.state.clients.get_mut(token) else {
            return;
        };
        let connection = &mut self.connections[token.slot as usize];
        let pending_bytes = session.reply.len();
        let is_replica = session.mode == Mode::Replica;
        session.reply_peak_bytes = session.reply_peak_bytes.max(pending_bytes);
        self.state.stats.writes += u64::from(pending_bytes > 0);
        match connection.flush(&mut session.reply, most_bytes) {
            Ok((sent, count)) => {
                session.note_sent(&mut self.state.recorder, &mut self.state.command_stats, &self.state.clock);
                session.held.bytes = session.held.bytes.saturating_sub(count);
                self.state.stats.output_bytes += count as u64;
                session.traffic.output_bytes += count as u64;
                if count > 0 {
                    session.last_interaction_ms = self.state.keyspace.now_ms;
                }
                let is_sent = session.reply.is_empty();
                if is_replica {
                    self.state.stats.replication_output_bytes += count as u64;
                    self.note_replica_progress(token, count, sent);
                }
                match sent {
                    Sent::All if is_replica => self.flushed_replica(token),
                    Sent::All if !is_sent => self.hold_rest(token),
                    Sent::All => self.flushed(token),
                    Sent::Blocked => self.check_output_limit(token),
                    Sent::Paused => {
                        // Goes on in the next turn, if it is still there then.
                        self.state.clients.flush_after(token, |_| {});
                        self.check_output_limit(token);
                    }
                }
                self.state.clients.count_memory(token);
            }
            Err(error) => {
                debug!("Error writing to client: {error}");
                self.close(token);
            }
        }
    }

    fn check_output_limit(&mut self, token: Token) {
        let Some(mut session) = self.state.clients.checkout(token) else {
            return;
        };
        let pending_bytes = output_limits::pending_bytes(&self.state, &session);
        let reached = output_limits::output_limit_reached(&mut self.state, &mut session, pending_bytes);
        self.state.clients.checkin(session);
        if reached {
            self.close(token);
        }
    }

    /// The replies of a replica are sent: the stream follows.
    #[cold]
    fn flushed_replica(&mut self, token: Token) {
        self.flushed(token);
        if self.state.clients.contains(token)
            && let Err(error) = self.feed(token)
        {
            debug!("Error writing to replica: {error}");
            self.close(token);
        }
    }

    /// Everything is sent: the buffer goes, and what waited for this goes on.
    #[inline]
    fn flushed(&mut self, token: Token) {
        let stays = self.state.debug.reply_buffers_stay;
        let Some(session) = self.state.clients.get_mut(token) else {
            return;
        };
        session.soft_limit_since_ms = 0;
        session.held = HeldReplies::default();
        session.sees_unflushed = false;
        if !stays {
            session.reply.shrink();
        }
        if session.close == Close::AfterReply {
            return self.close(token);
        }
        let connection = &mut self.connections[token.slot as usize];
        if connection.output_blocked {
            connection.output_blocked = false;
            self.schedule(token);
        }
    }

    /// Has a client's replies wait until the file has acknowledged what is in the log of changes by now. What came
    /// behind those that wait already waits on.
    fn hold_replies(&mut self, token: Token) {
        let Some(session) = self.state.clients.get_mut(token) else {
            return;
        };
        if session.held.bytes == 0 {
            session.held = HeldReplies {
                required_offset: self.state.aof.required_offset(session.sees_unflushed),
                bytes: session.reply.len(),
                is_listed: true,
            };
            self.held.push(token);
        }
    }

    /// Has the replies wait that came behind those that were held and have left now. Where their changes are
    /// acknowledged by now too, nothing would let them go before the next turn, which may be far off: so they are
    /// queued to leave.
    #[cold]
    fn hold_rest(&mut self, token: Token) {
        self.hold_replies(token);
        let acked_offset = self.state.aof.acked_offset();
        if self.state.clients.get(token).is_some_and(|session| session.held.required_offset <= acked_offset) {
            self.state.clients.flush_after(token, |_| {});
        }
    }

    /// Writes what was appended, and sends the replies that waited for what is acknowledged by now.
    pub(crate) fn release_held(&mut self) {
        let began = self.state.clock.ticks();
        let now_us = self.state.clock.monotonic_us_at(began);
        let busy = self.state.aof.is_rewriting() || self.state.saving.is_active();
        let suspended = busy && self.state.config.no_appendfsync_on_rewrite;
        self.state.aof.suspend_syncs(suspended);
        let mut ended = self.write_appended(began, busy);
        self.state.aof.tend(now_us, self.held.len());
        if let Some(sync_us) = self.state.aof.take_awaited_sync_us() {
            self.state.note_latency("aof-fsync-always", sync_us / 1000);
        }
        if self.state.aof.take_denial_change() {
            self.state.update_restrictions();
            unflushed::note_unflushed(&mut self.state);
        }
        if !self.held.is_empty() {
            self.flush_released();
            ended = self.state.clock.ticks();
        }
        self.state.loop_stats.appending_ns += self.state.clock.ticks_as_nanos(ended.saturating_sub(began));
    }

    /// Sends the replies that waited for what is acknowledged by now.
    fn flush_released(&mut self) {
        let acked_offset = self.state.aof.acked_offset();
        for token in std::mem::take(&mut self.held) {
            match self.state.clients.get_mut(token) {
                Some(session) if session.held.required_offset > acked_offset => self.held.push(token),
                Some(session) => {
                    session.held.is_listed = false;
                    session.note_on_disk(&mut self.state.recorder, &mut self.state.command_stats, &self.state.clock);
                    self.flush_client(token);
                }
                None => {}
            }
        }
    }

    /// Writes what was appended, beginning now; gives when it was done, in ticks. The latency monitor hears of it
    /// twice, as from Redis: by what else the disk was busy with, too.
    fn write_appended(&mut self, began: u64, is_saving: bool) -> u64 {
        if !self.state.aof.has_unwritten() {
            return began;
        }
        let event = match (self.state.aof.is_syncing(), is_saving) {
            (true, _) => "aof-write-pending-fsync",
            (false, true) => "aof-write-active-child",
            (false, false) => "aof-write-alone",
        };
        propagation::mark_history(&mut self.state, false);
        let now_us = self.state.clock.monotonic_us_at(began);
        self.state.aof.write(&mut self.state.keyspace.changes.propagation.log, now_us);
        let ended = self.state.clock.ticks();
        self.state.recorder.mark(Part::Finish, began);
        self.state.recorder.mark(Part::Append, ended);
        let taken_ms = self.state.clock.ticks_as_nanos(ended.saturating_sub(began)) / 1_000_000;
        self.state.note_latency(event, taken_ms);
        self.state.note_latency("aof-write", taken_ms);
        ended
    }

    /// Sends what was pushed to clients, to as many as the budget allows; the others come first in the next turn. A
    /// message to ten thousand subscribers takes ten thousand system calls.
    pub(crate) fn flush_pushed(&mut self) {
        if self.flushing.is_empty() && !self.state.clients.has_to_flush() {
            return;
        }
        self.state.clients.take_to_flush(&mut self.flushing);
        let mut flushing = std::mem::take(&mut self.flushing);
        let deadline = self.state.clock.ticks() + self.share_ticks;
        let mut sent = 0;
        for some in flushing.chunks(FLUSHES_BETWEEN_LOOKS) {
            some.iter().for_each(|token| self.flush_client(*token));
            sent += some.len();
            if self.state.clock.ticks() >= deadline {
                break;
            }
        }
        flushing.drain(..sent);
        self.flushing = flushing;
    }
}
