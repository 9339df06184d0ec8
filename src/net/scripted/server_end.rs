//! The server's ends of what is scripted: a connected socket, and a listening one.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use super::socket::Connecting;
use super::world::World;
use crate::net::address::Address;
use crate::net::poll_target::PollTarget;

/// The number that the first socket has as its descriptor, and the first listener before it.
const FIRST_DESCRIPTOR: usize = 16;

/// A connected socket, or one that is being connected.
pub struct ScriptedSocket {
    world: World,
    number: usize,
    address: Address,
}

impl ScriptedSocket {
    /// The server's end of a socket.
    pub(super) fn new(world: &World, number: usize, address: Address) -> ScriptedSocket {
        ScriptedSocket { world: world.clone(), number, address }
    }

    /// Begins to connect to another server.
    pub fn connect(world: &World, address: SocketAddr) -> ScriptedSocket {
        let number = world.connect_out(address);
        let local = format!("127.0.0.1:{}", 40_000 + number);
        ScriptedSocket::new(world, number, Address { peer: address.to_string(), local, unix: false })
    }

    /// Whether the connection stands.
    ///
    /// Errors: it was refused.
    pub fn is_connected(&self) -> io::Result<bool> {
        match self.world.with_socket(self.number, |socket| socket.connecting) {
            Connecting::Done => Ok(true),
            Connecting::UnderWay => Ok(false),
            Connecting::Refused(kind) => Err(kind.into()),
        }
    }

    /// Registers the socket with a poller.
    pub fn register(&self, poller: u32, target: PollTarget) {
        self.world.register(self.number, Some((poller, target)));
    }

    /// Takes the socket out of its poller.
    pub fn deregister(&self) {
        self.world.register(self.number, None);
    }

    /// Where the socket comes from and goes to.
    pub fn address(&self) -> Address {
        self.address.clone()
    }

    /// What stands for the file descriptor's number.
    pub fn descriptor(&self) -> i32 {
        i32::try_from(FIRST_DESCRIPTOR + self.number).unwrap_or(i32::MAX)
    }

    /// Sends no more.
    pub fn finish(&self) {
        self.world.with_socket(self.number, |socket| socket.finish_writing());
    }

    // Cold, all four, so that a real socket's read and write are as short as without them.

    /// Reads what has come.
    #[cold]
    #[inline(never)]
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.world.with_socket(self.number, |socket| socket.read(buffer))
    }

    /// Writes as much as the socket takes.
    #[cold]
    #[inline(never)]
    pub fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.world.with_socket(self.number, |socket| socket.write(bytes))
    }

    /// Writes several slices, as if they were one.
    #[cold]
    #[inline(never)]
    pub fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let whole: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.write(&whole)
    }
}

impl std::fmt::Debug for ScriptedSocket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "ScriptedSocket({})", self.number)
    }
}

impl Drop for ScriptedSocket {
    fn drop(&mut self) {
        self.world.register(self.number, None);
        self.world.with_socket(self.number, |socket| socket.is_closed = true);
    }
}

/// A listening socket.
pub struct ScriptedListener {
    world: World,
    number: usize,
}

impl ScriptedListener {
    /// Listens on a port; on 0 as a Unix socket.
    pub fn open(world: &World, port: u16) -> ScriptedListener {
        ScriptedListener { world: world.clone(), number: world.add_listener(port) }
    }

    /// Registers the listener with a poller.
    pub fn register(&self, poller: u32, target: PollTarget) {
        self.world.register_listener(self.number, Some((poller, target)));
    }

    /// Takes the listener out of its poller.
    pub fn deregister(&self) {
        self.world.register_listener(self.number, None);
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.world.port_of(self.number)
    }

    /// The next connection that waits.
    ///
    /// Errors: `WouldBlock` when none waits; what the test says.
    pub fn accept(&self) -> io::Result<ScriptedSocket> {
        let (number, address) = self.world.accept(self.number)?;
        Ok(ScriptedSocket::new(&self.world, number, address))
    }
}

impl Drop for ScriptedListener {
    fn drop(&mut self) {
        self.deregister();
    }
}
