//! `scripts/echo.rs` in a scripted world: the reactor pattern on one page, beside the server that it grew into.
//!
//! The same four things, by the same names. Besides, it can be told to forget the second one, so that a student sees
//! what becomes of a loop that does not drain.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use slab::Slab;

use crate::base::clock::Clock;
use crate::net::poll_target::PollTarget;
use crate::net::poller::{Poller, Registrar};
use crate::net::readiness::Readiness;
use crate::net::scripted::peer::Peer;
use crate::net::scripted::world::World;
use crate::net::stream::Stream;
use crate::net::token::Token;

/// One client's connection.
pub(super) struct Connection {
    stream: Stream,
    /// The byte that stands for one request; what a connection sends first settles it.
    request_mark: Option<u8>,
    pub(super) unsent: Vec<u8>,
    /// Requests that it has answered.
    pub(super) answered: u64,
}

/// The echo loop with its world.
pub(super) struct EchoLoop {
    pub(super) world: World,
    poller: Poller,
    registrar: Registrar,
    pub(super) connections: Slab<Connection>,
    pub(super) buffer: Vec<u8>,
    /// Whether a socket is read until it is drained. Else once for each event.
    pub(super) drains: bool,
    /// What the last poll has reported.
    pub(super) reported: Vec<Readiness>,
    /// Reads of the last turn.
    pub(super) reads: u64,
}

impl EchoLoop {
    pub(super) fn new(clock: Clock, buffer_bytes: usize) -> EchoLoop {
        let world = World::new(clock);
        let poller = Poller::scripted(&world);
        EchoLoop {
            registrar: poller.registrar(),
            poller,
            world,
            connections: Slab::new(),
            buffer: vec![0; buffer_bytes],
            drains: true,
            reported: Vec::new(),
            reads: 0,
        }
    }

    /// Takes a client in.
    ///
    /// # Errors
    ///
    /// The socket cannot be registered.
    pub(super) fn connect(&mut self) -> io::Result<Peer> {
        let (peer, end) = Peer::pair(&self.world);
        let mut stream = Stream::Scripted(end);
        let slot = self.connections.vacant_entry();
        // The bare index, without a generation.
        let token = Token { slot: slot.key() as u32, generation: 0 };
        stream.register(&self.registrar, PollTarget::Client(token))?;
        slot.insert(Connection { stream, request_mark: None, unsent: Vec::new(), answered: 0 });
        Ok(peer)
    }

    /// Waits for readiness, and dispatches by token.
    ///
    /// # Errors
    ///
    /// The poll's.
    pub(super) fn turn(&mut self) -> io::Result<()> {
        self.poller.poll(Some(Duration::ZERO), &mut self.reported)?;
        self.reads = 0;
        for readiness in &self.reported {
            let PollTarget::Client(token) = readiness.target else { continue };
            let index = token.slot as usize;
            let Some(connection) = self.connections.get_mut(index) else { continue };
            let is_open = connection.serve(readiness.closed, &mut self.buffer, self.drains, &mut self.reads);
            if !is_open.unwrap_or(false) {
                self.connections.remove(index);
            }
        }
        Ok(())
    }
}

impl Connection {
    /// Serves whatever is ready; `Ok(false)` when the client has left.
    fn serve(&mut self, is_closed: bool, buffer: &mut [u8], drains: bool, reads: &mut u64) -> io::Result<bool> {
        loop {
            if !self.flush()? {
                return Ok(true);
            }
            match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    *reads += 1;
                    self.answer(&buffer[..length]);
                    if !drains || length < buffer.len() && !is_closed {
                        self.flush()?;
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }

    /// One reply for each request, which are found by the first byte that a connection has sent: `*`, or a line's end.
    fn answer(&mut self, received: &[u8]) {
        let mark = *self.request_mark.get_or_insert(if received[0] == b'*' { b'*' } else { b'\n' });
        for _ in memchr::memchr_iter(mark, received) {
            self.answered += 1;
            self.unsent.extend_from_slice(b"+OK\r\n");
        }
    }

    /// Writes until nothing is left, or the socket is full; true when nothing is left.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
