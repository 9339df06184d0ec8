//! Reading one client ahead: while one client is served, the next one's key is on its way from memory.
//!
//! ```text
//! client 1   read             run, answer
//! client 2        read, bucket             record        run, answer
//! client 3                                        read, bucket
//! ```
//!
//! A lone request would otherwise pay for both of its cache misses, as there is no batch to hide them. The system calls of the
//! client before it and of the one behind it take longer than memory does, so one client ahead is enough, and its socket is
//! still in the cache when its reply is sent; groups of many clients would lose there what they win.

use mio::Events;
use mio::event::Event;

use crate::engine::session::{Close, Session};
use crate::net::connection::{Connection, Fill};
use crate::net::poll_target::PollTarget;
use crate::resp::peek_key;

use super::event_loop::EventLoop;

/// What was read from the client of the next event.
pub(crate) struct ReadAhead {
    /// How its read went; the bytes are in the buffer for reading ahead.
    filled: Fill,
    /// The database and the hash of what most likely is its key.
    key: Option<(usize, u64)>,
}

impl EventLoop {
    /// Dispatches the events in order, each client's requests read before the client in front of it is served.
    #[inline]
    pub(crate) fn dispatch_all(&mut self, events: &Events) {
        let mut waiting = events.iter();
        let mut next = waiting.next();
        let mut filled = None;
        while let Some(event) = next {
            self.state.recorder.note_event();
            next = waiting.next();
            let ahead = next.and_then(|next| self.read_ahead(next));
            self.dispatch(event, filled.take());
            if let Some(ahead) = ahead {
                std::mem::swap(&mut self.shared, &mut self.ahead_buffer);
                if let Some((database, hash)) = ahead.key {
                    self.state.keyspace.prefetch_record(database, hash);
                }
                filled = Some(ahead.filled);
            }
        }
    }

    /// Reads from the client that an event is for, if it is one with nothing but new requests to serve, and prefetches the bucket
    /// of its key.
    #[inline(never)]
    fn read_ahead(&mut self, event: &Event) -> Option<ReadAhead> {
        let PollTarget::Client(token) = PollTarget::of(event.token()) else {
            return None;
        };
        if !event.is_readable() || event.is_read_closed() || event.is_error() {
            return None;
        }
        let session = self.state.clients.get(token)?;
        let connection = &mut self.connections[token.slot as usize];
        if connection.ready || !is_between_requests(connection, session) {
            return None;
        }
        connection.readable = true;
        // After an error the socket is at its end, which the read in the client's own turn finds.
        let filled = connection.fill(&mut self.ahead_buffer).ok()?;
        let mut key = None;
        if let Fill::Drained { shared, .. } = filled
            && let Some(name) = peek_key(&self.ahead_buffer[..shared])
        {
            let hash = self.state.keyspace.hash(name);
            self.state.keyspace.prefetch_bucket(session.database, hash);
            key = Some((session.database, hash));
        }
        Some(ReadAhead { filled, key })
    }
}

/// Whether nothing is to be done for a client but to run what its socket brings.
pub(crate) fn is_between_requests(connection: &Connection, session: &Session) -> bool {
    let is_idle = session.blocked.is_none() && session.close == Close::No && !session.handshaking;
    let is_open = !connection.hung_up && !connection.output_blocked && !connection.is_encrypted();
    is_idle
        && is_open
        && connection.paused.is_none()
        && connection.input.is_empty()
        && !connection.parser.is_mid_request()
}

/// Keeps what was read ahead for a client that cannot be served now: what ran in between stopped it.
#[cold]
pub(crate) fn keep_read_ahead(connection: &mut Connection, filled: Fill, buffer: &[u8]) {
    match filled {
        Fill::More { shared, .. } | Fill::Drained { shared, .. } => {
            connection.input.extend_from_slice(&buffer[..shared]);
        }
        // The next read says so again.
        Fill::Closed => connection.readable = true,
    }
}
