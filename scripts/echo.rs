//! The reactor pattern on one page: a mio loop that answers every request with `+OK\r\n`.
//!
//! Read this before the server itself; the server is this loop with more behind `answer`, and README.md goes on from
//! here, pattern by pattern. It is also the floor in `scripts/bench`: what sockets, kernel and mio cost before any
//! command does any work.
//!
//! | The pattern                     | Here                                                              |
//! |---------------------------------|-------------------------------------------------------------------|
//! | wait for readiness              | `run`: `poll` sleeps until the kernel has something to report     |
//! | dispatch by token               | `run`: a token is the connection's index in the slab              |
//! | never block, drain what is there | `Connection::serve`: read until the socket has no more           |
//! | keep what the peer cannot take  | `Connection::flush`: unsent bytes wait for the next writable edge |
//!
//! Usage: `echo [port]`; the address in use is printed, and port 0 (the default) lets the kernel choose one.

use std::io::{self, ErrorKind, Read, Write};
use std::process::ExitCode;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);

const USAGE: &str = "\
Usage: echo [PORT]

Answers +OK to every request on 127.0.0.1. Without a port the kernel chooses one; the address is printed.
";

struct Connection {
    stream: TcpStream,
    /// The byte that stands for one request; what a connection sends first settles it.
    request_mark: Option<u8>,
    unsent: Vec<u8>,
}

fn main() -> ExitCode {
    let argument = std::env::args().nth(1);
    let port = match argument.as_deref() {
        None => Ok(0),
        Some("-h" | "--help") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Some(text) => text.parse(),
    };
    let Ok(port) = port else {
        eprint!("echo: not a port number\n\n{USAGE}");
        return ExitCode::from(2);
    };
    match run(port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(port: u16) -> io::Result<()> {
    let mut listener = TcpListener::bind(([127, 0, 0, 1], port).into())?;
    println!("listening on {}", listener.local_addr()?);

    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let mut connections: Slab<Connection> = Slab::new();
    let mut buffer = vec![0; 64 * 1024]; // shared: no connection keeps unread bytes between two turns of the loop
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue, // a signal, not readiness
            outcome => outcome?,
        }
        let mut may_accept = false;
        for event in &events {
            if event.token() == LISTENER {
                may_accept = true;
                continue;
            }
            let index = event.token().0;
            let open = connections[index].serve(event.is_read_closed(), &mut buffer);
            if !open.unwrap_or(false) {
                // Closing the socket deregisters it, and one poll reports a socket once: no event can name it any more.
                // A loop that closes other connections than the one at hand needs tokens with a generation
                // (`src/engine/clients.rs`).
                connections.remove(index);
                may_accept = true; // a client may have waited for this file descriptor, and the kernel reports it only once
            }
        }
        if may_accept {
            accept_waiting(&listener, poll.registry(), &mut connections);
        }
    }
}

/// Readiness is edge-triggered: the listener is reported once for many clients, so all that wait are taken in. When
/// file descriptors run out, the others wait in the kernel until a connection closes.
fn accept_waiting(listener: &TcpListener, registry: &Registry, connections: &mut Slab<Connection>) {
    loop {
        match listener.accept() {
            // A connection that cannot be set up is closed here; it must not end the loop.
            Ok((stream, _)) => drop(admit(stream, registry, connections)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => {} // that client gave up; others wait
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                eprintln!("echo: cannot accept a connection: {error}");
                return;
            }
        }
    }
}

fn admit(mut stream: TcpStream, registry: &Registry, connections: &mut Slab<Connection>) -> io::Result<()> {
    stream.set_nodelay(true)?; // replies are small and final: waiting to fill a packet would only delay them
    let slot = connections.vacant_entry();
    // Both directions are registered once for the connection's life. An edge costs nothing until it happens, whereas
    // asking for writability only when needed costs a system call each time.
    registry.register(&mut stream, Token(slot.key()), Interest::READABLE | Interest::WRITABLE)?;
    slot.insert(Connection { stream, request_mark: None, unsent: Vec::new() });
    Ok(())
}

impl Connection {
    /// Serves whatever is ready; `Ok(false)` when the client has left.
    ///
    /// An edge is not repeated, so this may stop only where the kernel is bound to report a new one: when a read or a
    /// write would block, or when a read came back short, which means the same and saves the second `read`. The one
    /// thing that a short read can hide is the end of the stream, hence `read_closed`.
    fn serve(&mut self, read_closed: bool, buffer: &mut [u8]) -> io::Result<bool> {
        loop {
            if !self.flush()? {
                return Ok(true); // a client that does not read its replies is not read from: memory stays bounded
            }
            match self.stream.read(buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.answer(&buffer[..length]);
                    if length < buffer.len() && !read_closed {
                        self.flush()?;
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where a server would parse and run. Here one reply goes to each request, and requests are found by the cheapest
    /// scan that works for `redis-benchmark`: its arguments hold no `*`, so each `*` opens a request, and a connection
    /// that opens with anything else speaks one line per request.
    fn answer(&mut self, received: &[u8]) {
        let mark = *self.request_mark.get_or_insert(if received[0] == b'*' { b'*' } else { b'\n' });
        for _ in memchr::memchr_iter(mark, received) {
            self.unsent.extend_from_slice(b"+OK\r\n");
        }
    }

    /// All replies of one turn leave in one `write`; true when none is left over.
    fn flush(&mut self) -> io::Result<bool> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
