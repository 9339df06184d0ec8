//! Each pattern of the fair loop, turn by turn. Real sockets, but no second thread: a test writes, takes a turn, and
//! looks.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use mio::Events;

use super::{Client, ClientId, Loop, OUTPUT_MAX_BYTES, Readiness, TURN_SHARE_BYTES};

/// The loop must not sleep this long while a test waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

struct Driven {
    event_loop: Loop,
    events: Events,
}

impl Driven {
    fn start() -> Driven {
        Driven { event_loop: Loop::new(0).expect("a port is free"), events: Events::with_capacity(64) }
    }

    /// One poll and one turn. A poll that would sleep for ever fails the test.
    fn turn(&mut self) {
        let timeout = self.event_loop.poll_timeout();
        self.event_loop.poll.poll(&mut self.events, Some(timeout.unwrap_or(PATIENCE))).expect("a poll");
        assert!(timeout.is_some() || !self.events.is_empty(), "the loop sleeps although the test waits for it");
        self.event_loop.turn(&self.events);
    }

    /// A client that never blocks the test, and its id in the loop.
    fn connect(&mut self) -> (TcpStream, ClientId) {
        let address = self.event_loop.listener.local_addr().expect("it is bound");
        let stream = TcpStream::connect(address).expect("the kernel accepts");
        stream.set_nonblocking(true).expect("it can be set");
        let own = stream.local_addr().expect("it is connected");
        loop {
            self.turn();
            let ids: Vec<ClientId> = self.event_loop.ids().collect();
            let is_ours = |client: &Client| client.stream.peer_addr().is_ok_and(|address| address == own);
            if let Some(id) = ids.into_iter().find(|id| self.event_loop.clients.get(*id).is_some_and(|c| is_ours(c))) {
                return (stream, id);
            }
        }
    }

    fn client(&mut self, id: ClientId) -> &mut Client {
        self.event_loop.clients.get(id).expect("the client is there")
    }

    /// Writes until more than `limit` bytes of replies are unsent; gives the bytes written.
    fn block_output(&mut self, stream: &mut TcpStream, id: ClientId, limit: usize) -> usize {
        let mut written = 0;
        while self.client(id).unsent.len() <= limit {
            written += write_some(stream, &[b'x'; 16 * 1024]);
            assert!(written < 256 << 20, "the loop reads on although nobody reads the replies");
            self.turn();
        }
        written
    }

    /// Takes turns until the client has read so many bytes, or the end of the stream.
    fn read(&mut self, stream: &mut TcpStream, length: usize) -> usize {
        let (mut count, mut buffer) = (0, vec![0; 64 * 1024]);
        while count < length {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(part) => count += part,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.turn(),
                Err(error) => panic!("{error}"),
            }
        }
        count
    }
}

impl Loop {
    fn ids(&self) -> impl Iterator<Item = ClientId> {
        let slots = self.clients.slots.iter().enumerate();
        slots.map(|(slot, entry)| ClientId { slot: slot as u32, generation: entry.generation })
    }
}

/// What the kernel takes at once.
fn write_some(stream: &mut TcpStream, bytes: &[u8]) -> usize {
    match stream.write(bytes) {
        Ok(count) => count,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn an_event_for_a_departed_client_does_not_reach_its_successor() {
    let mut driven = Driven::start();
    let (first, old) = driven.connect();
    drop(first);
    while driven.event_loop.clients.get(old).is_some() {
        driven.turn();
    }
    let (_second, new) = driven.connect();
    assert_eq!((old.slot, old.token() == new.token()), (new.slot, false), "the slot is used again, the token is not");
    driven.event_loop.dispatch(old, Readiness { readable: false, writable: false, read_closed: true });
    assert!(!driven.client(new).hung_up);
}

#[test]
fn a_busy_client_gets_one_share_of_a_turn() {
    let mut driven = Driven::start();
    let (mut busy, busy_id) = driven.connect();
    let (mut quiet, _) = driven.connect();
    assert_eq!(write_some(&mut busy, &[b'x'; 3 * TURN_SHARE_BYTES]), 3 * TURN_SHARE_BYTES);
    write_some(&mut quiet, b"a line\n");
    assert_eq!(driven.read(&mut quiet, 7), 7);
    assert!(driven.client(busy_id).scheduled, "the busy client has not had all its bytes answered yet");
}

#[test]
fn an_event_does_not_give_a_scheduled_client_a_second_share() {
    let mut driven = Driven::start();
    let (mut busy, id) = driven.connect();
    assert_eq!(write_some(&mut busy, &[b'x'; 3 * TURN_SHARE_BYTES]), 3 * TURN_SHARE_BYTES);
    while !driven.client(id).scheduled {
        driven.turn();
    }
    driven.event_loop.dispatch(id, Readiness { readable: true, writable: false, read_closed: false });
    assert_eq!(driven.event_loop.ready.len(), 1);
}

#[test]
fn a_stopped_client_goes_on_without_a_new_edge() {
    let mut driven = Driven::start();
    let (mut stream, id) = driven.connect();
    let length = 3 * TURN_SHARE_BYTES + 1;
    assert_eq!(write_some(&mut stream, &vec![b'x'; length]), length);
    while !driven.client(id).scheduled {
        driven.turn();
    }
    assert_eq!(driven.event_loop.poll_timeout(), Some(Duration::ZERO), "the poll does not wait");
    assert_eq!(driven.read(&mut stream, length), length);
    assert_eq!(driven.event_loop.poll_timeout(), None, "with nothing left to do it waits");
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let mut driven = Driven::start();
    let (mut stream, id) = driven.connect();
    let written = driven.block_output(&mut stream, id, OUTPUT_MAX_BYTES);
    let mut more = 0;
    for _ in 0..64 {
        more += write_some(&mut stream, &[b'x'; 16 * 1024]);
        driven.event_loop.poll.poll(&mut driven.events, Some(Duration::ZERO)).expect("a poll");
        driven.event_loop.turn(&driven.events);
    }
    assert!(driven.client(id).unsent.len() <= OUTPUT_MAX_BYTES + TURN_SHARE_BYTES);
    // As soon as it reads it is served again, though its readable edge is long gone.
    assert_eq!(driven.read(&mut stream, written + more), written + more);
}

#[test]
fn a_client_that_closes_only_its_own_end_still_gets_its_replies() {
    let mut driven = Driven::start();
    let (mut stream, id) = driven.connect();
    let written = driven.block_output(&mut stream, id, 0);
    stream.shutdown(Shutdown::Write).expect("it is connected");
    while !driven.client(id).ended {
        driven.turn();
    }
    assert_eq!(driven.read(&mut stream, usize::MAX), written);
    assert!(driven.event_loop.clients.get(id).is_none(), "with its last reply the client is gone");
}
