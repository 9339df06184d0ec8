//! The step between `echo.rs` and the server: an echo loop that is safe and fair with many clients.
//!
//! `echo.rs` serves a connection until its socket is empty, so one client that never stops sending keeps all others
//! waiting. It also trusts every token. This loop adds what a server needs against that, and nothing else:
//!
//! | The pattern              | Here                                                                         |
//! |--------------------------|------------------------------------------------------------------------------|
//! | tokens with a generation | `Clients::get`: an event for a departed client does not reach its successor  |
//! | a share of the turn      | `TURN_SHARE_BYTES`: a busy client is stopped before its socket is empty      |
//! | the ready list           | `Loop::ready`: a stopped client goes on in the next turn, without a new edge |
//! | a poll that does not wait | `Loop::poll_timeout`: zero while there is a client on the ready list        |
//! | backpressure             | `OUTPUT_MAX_BYTES`: a client that does not read its replies is not read from |
//! | half-closed connections  | `Client::ended`: replies still leave after the client's last byte            |
//! | deferred closing         | `Loop::closing`: clients are removed at the end of a turn, in one place      |
//!
//! `fair_loop_test.rs` drives the loop turn by turn; each of its tests fails without the pattern that it names. In the
//! server the same patterns are in `src/reactor/event_loop.rs`, `src/reactor/serve.rs` and `src/engine/clients.rs`.
//!
//! Usage: `fair-loop [PORT]`; the address in use is printed. All bytes come back as they are.

use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

#[cfg(test)]
#[path = "fair_loop_test.rs"]
mod tests;

/// The listener's token. No client has it, since a generation has 31 bits.
const LISTENER: Token = Token(usize::MAX);
/// Read from one client in one turn. What is left waits for the next turn.
const TURN_SHARE_BYTES: usize = 16 * 1024;
/// A client with more unsent bytes than this is not read from.
const OUTPUT_MAX_BYTES: usize = 256 * 1024;
/// Connections accepted in one turn, so that a flood of them does not keep the clients waiting.
const ACCEPTS_MAX: usize = 64;

/// A slot of the table, and which of the slot's successive clients is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ClientId {
    slot: u32,
    generation: u32,
}

impl ClientId {
    /// The id as a poll token: 31 bits of generation above 32 bits of slot.
    fn token(self) -> Token {
        Token((self.generation as usize & 0x7fff_ffff) << 32 | self.slot as usize)
    }

    fn of(token: Token) -> ClientId {
        ClientId { slot: token.0 as u32, generation: (token.0 >> 32) as u32 }
    }
}

/// What an event says of a socket. A type of our own, since tests cannot make mio's events.
#[derive(Clone, Copy)]
struct Readiness {
    readable: bool,
    writable: bool,
    read_closed: bool,
}

impl From<&Event> for Readiness {
    fn from(event: &Event) -> Readiness {
        Readiness { readable: event.is_readable(), writable: event.is_writable(), read_closed: event.is_read_closed() }
    }
}

struct Client {
    stream: TcpStream,
    unsent: Vec<u8>,
    /// The socket may hold unread bytes: an edge said so, and no read has come back short since.
    readable: bool,
    /// The client is on the ready list already.
    scheduled: bool,
    /// The kernel has announced the end of the stream. It may hide behind a short read, and has no edge of its own.
    hung_up: bool,
    /// The end of the stream has been read. The client may still read its replies.
    ended: bool,
}

impl Client {
    fn new(stream: TcpStream) -> Client {
        Client { stream, unsent: Vec::new(), readable: false, scheduled: false, hung_up: false, ended: false }
    }
}

/// One entry of the table. The generation counts its clients, so that an old id does not reach a new client.
#[derive(Default)]
struct Slot {
    generation: u32,
    client: Option<Client>,
}

#[derive(Default)]
struct Clients {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

impl Clients {
    fn add(&mut self, client: Client) -> ClientId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            self.slots.len() as u32 - 1
        });
        let place = &mut self.slots[slot as usize];
        place.generation = (place.generation + 1) & 0x7fff_ffff;
        place.client = Some(client);
        ClientId { slot, generation: place.generation }
    }

    /// The client, or `None` if it has left, even if its slot has another client by now.
    fn get(&mut self, id: ClientId) -> Option<&mut Client> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        slot.client.as_mut()
    }

    fn remove(&mut self, id: ClientId) -> Option<Client> {
        self.get(id)?;
        self.free.push(id.slot);
        self.slots[id.slot as usize].client.take()
    }
}

/// Why serving a client stopped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Served {
    /// The next edge continues: the socket is drained, or the kernel takes no more replies.
    UntilEdge,
    /// The client has used its share of the turn, and its socket may hold more. No edge will say so again.
    Yielded,
    /// The client has ended its stream and has all its replies.
    Finished,
}

impl Client {
    fn serve(&mut self, buffer: &mut [u8]) -> io::Result<Served> {
        let mut share = TURN_SHARE_BYTES;
        self.flush()?;
        // Unsent bytes are left only where a write would have blocked, so the kernel owes us a writable edge.
        while self.readable && self.unsent.len() <= OUTPUT_MAX_BYTES {
            if share == 0 {
                return Ok(Served::Yielded);
            }
            let room = share.min(buffer.len());
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => (self.ended, self.readable) = (true, false),
                Ok(length) => {
                    share -= length;
                    // A short read means that the socket is empty, unless the end of the stream hides behind it.
                    self.readable = length == room || self.hung_up;
                    self.unsent.extend_from_slice(&buffer[..length]);
                    self.flush()?;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(if self.ended && self.unsent.is_empty() { Served::Finished } else { Served::UntilEdge })
    }

    /// Writes what the socket takes. The next writable edge continues.
    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

struct Loop {
    poll: Poll,
    listener: TcpListener,
    clients: Clients,
    /// Clients that were stopped before their sockets were drained.
    ready: Vec<ClientId>,
    /// Clients to be removed at the end of the turn.
    closing: Vec<ClientId>,
    /// The listener may have more connections than the last turn accepted.
    accepting: bool,
    /// Shared by all clients: what a read brings is answered before the next read.
    buffer: Vec<u8>,
}

impl Loop {
    fn new(port: u16) -> io::Result<Loop> {
        let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Loop {
            poll,
            listener,
            clients: Clients::default(),
            ready: Vec::new(),
            closing: Vec::new(),
            accepting: false,
            buffer: vec![0; 4 * 1024],
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            match self.poll.poll(&mut events, self.poll_timeout()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue, // a signal, not readiness
                outcome => outcome?,
            }
            self.turn(&events);
        }
    }

    /// While there is work left over the poll only collects events. Otherwise it sleeps until there is one.
    fn poll_timeout(&self) -> Option<Duration> {
        let has_work = !self.ready.is_empty() || self.accepting;
        has_work.then_some(Duration::ZERO)
    }

    fn turn(&mut self, events: &Events) {
        // The list is taken out: a client that is stopped again in this turn goes on the next list.
        let ready = std::mem::take(&mut self.ready);
        for id in &ready {
            self.serve(*id);
        }
        for event in events {
            match event.token() {
                LISTENER => self.accepting = true,
                token => self.dispatch(ClientId::of(token), event.into()),
            }
        }
        for id in std::mem::take(&mut self.closing) {
            // Dropping the stream closes the socket, and that takes it out of the poll.
            drop(self.clients.remove(id));
            // A connection may have waited for this file descriptor, and the kernel reports it only once.
            self.accepting = true;
        }
        self.accept();
    }

    fn dispatch(&mut self, id: ClientId, readiness: Readiness) {
        let Some(client) = self.clients.get(id) else {
            return; // the client has left, and the event or the list is older than that
        };
        client.hung_up |= readiness.read_closed;
        client.readable |= readiness.readable || readiness.read_closed;
        // A client on the ready list has had its share of this turn: an event does not give it a second one.
        if !client.scheduled && (client.readable || readiness.writable) {
            self.serve(id);
        }
    }

    fn serve(&mut self, id: ClientId) {
        let Some(client) = self.clients.get(id) else {
            return;
        };
        let served = client.serve(&mut self.buffer);
        client.scheduled = matches!(served, Ok(Served::Yielded));
        match served {
            Ok(Served::UntilEdge) => {}
            Ok(Served::Yielded) => self.ready.push(id),
            Ok(Served::Finished) | Err(_) => self.closing.push(id),
        }
    }

    fn accept(&mut self) {
        for _ in 0..ACCEPTS_MAX {
            if !self.accepting {
                return;
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Err(error) = self.accept_client(stream) {
                        eprintln!("fair-loop: cannot set up a connection: {error}");
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.accepting = false,
                Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::ConnectionAborted) => {}
                Err(error) => {
                    // Most likely there is no file descriptor left. Trying again at once would spin, so this waits
                    // until a client leaves.
                    eprintln!("fair-loop: cannot accept a connection: {error}");
                    self.accepting = false;
                }
            }
        }
    }

    fn accept_client(&mut self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let id = self.clients.add(Client::new(stream));
        let client = self.clients.get(id).expect("the client was added just now");
        // Both directions are registered once. With edges this costs nothing while nothing happens.
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self.poll.registry().register(&mut client.stream, id.token(), interest);
        if registered.is_err() {
            drop(self.clients.remove(id));
        }
        registered
    }
}

fn start(port: u16) -> io::Result<()> {
    let mut event_loop = Loop::new(port)?;
    println!("listening on {}", event_loop.listener.local_addr()?);
    event_loop.run()
}

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let Ok(port) = argument.as_deref().unwrap_or("0").parse() else {
        eprintln!("Usage: fair-loop [PORT]");
        return ExitCode::from(2);
    };
    match start(port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fair-loop: {error}");
            ExitCode::FAILURE
        }
    }
}
