//! The test's end of a connection: what the peer sends, takes, closes and breaks.

use std::io;
use std::net::SocketAddr;

use super::server_end::ScriptedSocket;
use super::socket::Connecting;
use super::world::{Source, World};
use crate::net::address::Address;

/// Whom a test plays: a client of the server, or another server that it connects to.
pub struct Peer {
    world: World,
    number: usize,
}

impl Peer {
    /// A pair that is connected without a listener: the peer, and the server's end.
    pub fn pair(world: &World) -> (Peer, ScriptedSocket) {
        let number = world.add_socket(Connecting::Done);
        let peer = Peer { world: world.clone(), number };
        let end = ScriptedSocket::new(world, number, client_address(number, 6379));
        (peer, end)
    }

    /// The same, from this address.
    pub fn pair_from(world: &World, address: Address) -> (Peer, ScriptedSocket) {
        let number = world.add_socket(Connecting::Done);
        (Peer { world: world.clone(), number }, ScriptedSocket::new(world, number, address))
    }

    /// Takes from now on all that the server writes, and forgets it.
    pub fn forget_all(&self) {
        self.world.with_socket(self.number, |socket| socket.forget_all());
    }

    /// Connects to the listener of a port; to that of the Unix socket where it is 0. None where there is no such
    /// listener. The server has yet to accept it.
    pub fn connect(world: &World, port: u16) -> Option<Peer> {
        let number = world.add_socket(Connecting::Done);
        let address = match port {
            0 => Address { unix: true, ..Address::default() },
            port => client_address(number, port),
        };
        let is_taken = world.queue_connection(port, Ok((number, address)));
        is_taken.then(|| Peer { world: world.clone(), number })
    }

    /// The next server that is connected to, and its address. It has yet to accept.
    pub fn take_connecting(world: &World) -> Option<(Peer, SocketAddr)> {
        let (number, address) = world.take_connecting()?;
        Some((Peer { world: world.clone(), number }, address))
    }

    /// Accepts the server's connection.
    pub fn accept(&self) {
        self.world.with_socket(self.number, |socket| {
            socket.connecting = Connecting::Done;
            socket.edges = socket.mask();
        });
    }

    /// Refuses the server's connection.
    pub fn refuse(&self, kind: io::ErrorKind) {
        self.world.with_socket(self.number, |socket| {
            socket.connecting = Connecting::Refused(kind);
            socket.edges = socket.mask();
        });
    }

    /// Where the server sees it come from, if it is a client.
    pub fn address(&self) -> String {
        client_address(self.number, 0).peer
    }

    /// What its events come from.
    pub fn source(&self) -> Source {
        Source::Socket(self.number)
    }

    /// Sends bytes: they arrive at once, behind those that were not read yet.
    pub fn send(&self, bytes: &[u8]) {
        self.world.with_socket(self.number, |socket| socket.arrive(bytes));
    }

    /// Sends bytes that arrive as soon as the server has read all that came before: right behind its read.
    pub fn send_after_read(&self, bytes: &[u8]) {
        self.world.with_socket(self.number, |socket| socket.arrive_later(bytes));
    }

    /// Sends no more.
    pub fn finish(&self) {
        self.world.with_socket(self.number, |socket| socket.finish());
    }

    /// Breaks the connection behind what has arrived.
    pub fn reset(&self) {
        self.break_off(io::ErrorKind::ConnectionReset);
    }

    /// Breaks the connection with any error.
    pub fn break_off(&self, kind: io::ErrorKind) {
        self.world.with_socket(self.number, |socket| socket.break_off(kind));
    }

    /// How many bytes the socket holds until they are taken; more block the server's writes.
    pub fn set_capacity(&self, bytes: usize) {
        self.world.with_socket(self.number, |socket| socket.set_capacity(bytes));
    }

    /// How many bytes one write of the server's takes at most.
    pub fn set_write_max(&self, bytes: usize) {
        self.world.with_socket(self.number, |socket| socket.set_write_max(bytes));
    }

    /// Takes what the server has written, at most so many bytes.
    pub fn receive(&self, most: usize) -> Vec<u8> {
        self.world.with_socket(self.number, |socket| socket.take(most))
    }

    /// Takes all that the server has written.
    pub fn receive_all(&self) -> Vec<u8> {
        self.receive(usize::MAX)
    }

    /// Bytes that the server has written and that were not taken.
    pub fn untaken(&self) -> usize {
        self.world.with_socket(self.number, |socket| socket.untaken())
    }

    /// Bytes that were sent and that the server has not read.
    pub fn unread(&self) -> usize {
        self.world.with_socket(self.number, |socket| socket.unread())
    }

    /// Whether the server has closed its end, or says that nothing more comes.
    pub fn is_over(&self) -> bool {
        self.world.with_socket(self.number, |socket| socket.is_over())
    }
}

fn client_address(number: usize, port: u16) -> Address {
    Address { peer: format!("127.0.0.1:{}", 50_000 + number), local: format!("127.0.0.1:{port}"), unix: false }
}
