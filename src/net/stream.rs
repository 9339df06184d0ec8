//! A connected socket, of either family, or one that is being connected to another server.

pub mod faulty;

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use mio::Interest;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use self::faulty::FaultySocket;
use super::address::Address;
use super::poll_target::PollTarget;
use super::poller::Registrar;
use super::scripted::server_end::ScriptedSocket;
use super::unix_socket::UnixSocket;
use crate::base::clock::Clock;
use crate::base::sys::sockets;
use crate::base::tape::hearing::{self, Heard, Purpose};
use crate::base::tape::{self, Kind, prompting};

/// One client's socket, or one to another server, non-blocking.
#[derive(Debug)]
pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixSocket),
    /// A test is at the other end.
    Scripted(ScriptedSocket),
    /// A tape supplies the input. The number tells listeners which socket it is.
    Replayed(u64),
    /// A socket whose output a test holds back or cuts off.
    Faulty(Box<FaultySocket>),
}

impl Stream {
    /// Begins to connect to another server, with a socket of the kind that can be registered there, and from the first
    /// of these local addresses that can be used for that; where none can the system chooses one.
    ///
    /// Errors: the system's, where it knows at once that this cannot be.
    pub fn connect(address: SocketAddr, sources: &[SocketAddr], registrar: &Registrar) -> io::Result<Stream> {
        if let Registrar::Scripted(world, _) = registrar {
            return Ok(Stream::Scripted(ScriptedSocket::connect(world, address)));
        }
        let Some(stream) = tape::pass_thing(Kind::Socket, || connect_really(address, sources))? else {
            return Ok(Stream::replayed(Purpose::Outbound));
        };
        // Requests leave at once; where this fails they leave a little later.
        let _ = stream.set_nodelay(true);
        Ok(Stream::Tcp(stream))
    }

    /// The server's end of a pair of sockets.
    ///
    /// Errors: the system's.
    pub fn of_pair(socket: std::os::unix::net::UnixStream) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        Ok(Stream::Unix(UnixSocket::new(mio::net::UnixStream::from_std(socket))))
    }

    /// Has a test hold its output back by this clock, or cut it off, from now on.
    pub fn make_faulty(&mut self, clock: &Clock) -> &mut FaultySocket {
        if !matches!(self, Stream::Faulty(_)) {
            let socket = std::mem::replace(self, Stream::Replayed(u64::MAX));
            *self = Stream::Faulty(Box::new(FaultySocket::new(socket, clock)));
        }
        match self {
            Stream::Faulty(socket) => socket,
            _ => unreachable!("it has just become one"),
        }
    }

    /// The socket whose output a test holds back or cuts off, if it is one.
    pub fn as_faulty(&mut self) -> Option<&mut FaultySocket> {
        match self {
            Stream::Faulty(socket) => Some(socket),
            _ => None,
        }
    }

    /// A socket whose input a tape supplies.
    pub fn replayed(purpose: Purpose) -> Stream {
        let number = hearing::next_socket();
        hearing::tell(number, Heard::Opened(purpose));
        Stream::Replayed(number)
    }

    /// Reports bytes that pass through to the listener of a replay.
    #[inline]
    pub fn tell(&self, heard: Heard<'_>) {
        if let Stream::Replayed(number) = self {
            hearing::tell(*number, heard);
        }
    }

    /// The next question of a replay is about this socket, to which so many bytes are offered.
    #[inline]
    pub(super) fn ask_about(&self, offered: usize) {
        if let Stream::Replayed(number) = self {
            prompting::about(*number, offered);
        }
    }

    /// Whether the connection stands that was begun by `connect`.
    ///
    /// Errors: it came to nothing.
    pub fn is_connected(&self) -> io::Result<bool> {
        tape::pass(Kind::Socket, || self.is_really_connected())
    }

    fn is_really_connected(&self) -> io::Result<bool> {
        let stream = match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(_) => return Ok(true),
            Stream::Scripted(socket) => return socket.is_connected(),
            Stream::Faulty(faulty) => return faulty.socket.is_connected(),
            Stream::Replayed(_) => return Err(io::ErrorKind::Unsupported.into()),
        };
        if let Some(error) = stream.take_error()? {
            return Err(error);
        }
        match stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Registers the socket for both directions, edge-triggered, once and for all (a Unix socket sees to it that it is
    /// told of room when it needs some).
    pub fn register(&mut self, registrar: &Registrar, target: PollTarget) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        tape::pass(Kind::Socket, || match (self, registrar) {
            (Stream::Tcp(stream), Registrar::System(registry)) => registry.register(stream, target.token(), interest),
            (Stream::Unix(socket), Registrar::System(registry)) => socket.register(registry, target.token()),
            (Stream::Scripted(socket), Registrar::Scripted(_, poller)) => {
                socket.register(*poller, target);
                Ok(())
            }
            (Stream::Faulty(faulty), registrar) => faulty.socket.register(registrar, target),
            _ => Err(io::ErrorKind::Unsupported.into()),
        })
    }

    /// Takes the socket out of the poll.
    pub fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        tape::pass(Kind::Socket, || match (self, registrar) {
            (Stream::Tcp(stream), Registrar::System(registry)) => registry.deregister(stream),
            (Stream::Unix(socket), Registrar::System(registry)) => socket.deregister(registry),
            (Stream::Scripted(socket), _) => {
                socket.deregister();
                Ok(())
            }
            (Stream::Faulty(faulty), registrar) => faulty.socket.deregister(registrar),
            _ => Err(io::ErrorKind::Unsupported.into()),
        })
    }

    /// No delay for small writes, and keepalive probes every so many seconds (0: none). Three
    /// probes without an answer end the connection, within twice the period.
    pub fn set_options(&self, keepalive_s: u32) -> io::Result<()> {
        tape::pass(Kind::Socket, || self.set_real_options(keepalive_s))
    }

    fn set_real_options(&self, keepalive_s: u32) -> io::Result<()> {
        let stream = match self {
            Stream::Tcp(stream) => stream,
            Stream::Faulty(faulty) => return faulty.socket.set_options(keepalive_s),
            _ => return Ok(()),
        };
        stream.set_nodelay(true)?;
        if keepalive_s > 0 {
            let keepalive = TcpKeepalive::new()
                .with_time(Duration::from_secs(keepalive_s.into()))
                .with_interval(Duration::from_secs((keepalive_s / 3).max(1).into()))
                .with_retries(3);
            SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
        }
        Ok(())
    }

    /// Lets the kernel gather small writes for a moment.
    pub fn gather_writes(&self) {
        if let Stream::Tcp(stream) = self {
            // If it fails they leave one by one.
            let _ = stream.set_nodelay(false);
        }
    }

    /// Tells the peer at once what has arrived. One that holds a small piece back until then (Nagle's algorithm) would
    /// else wait for the kernel to do it, up to 40 ms.
    pub fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        if let Stream::Tcp(stream) = self {
            // If it fails the kernel does it later.
            let _ = SockRef::from(stream).set_tcp_quickack(true);
        }
    }

    /// Where the socket comes from and goes to; `path` is that of a Unix socket.
    pub fn address(&self, path: &str) -> Address {
        self.ask_about(0);
        let ((peer, local), unix) = tape::pass(Kind::Socket, || {
            let Address { mut peer, mut local, unix } = self.real_address(path);
            // As they come back from a tape: their room counts as the client's memory.
            peer.shrink_to_fit();
            local.shrink_to_fit();
            ((peer, local), unix)
        });
        Address { peer, local, unix }
    }

    fn real_address(&self, path: &str) -> Address {
        match self {
            Stream::Replayed(_) => Address::default(),
            Stream::Faulty(faulty) => faulty.socket.real_address(path),
            Stream::Unix(_) => Address::of_unix(path),
            Stream::Scripted(socket) => {
                let address = socket.address();
                if address.unix { Address::of_unix(path) } else { address }
            }
            Stream::Tcp(stream) => {
                let text = |address: io::Result<SocketAddr>| match address {
                    Ok(address) => address.to_string(),
                    Err(_) => "?:0".to_string(),
                };
                Address { peer: text(stream.peer_addr()), local: text(stream.local_addr()), unix: false }
            }
        }
    }

    /// The file descriptor's number.
    pub fn descriptor(&self) -> i32 {
        tape::pass(Kind::Socket, || match self {
            Stream::Tcp(stream) => stream.as_raw_fd(),
            Stream::Unix(stream) => stream.as_raw_fd(),
            Stream::Scripted(socket) => socket.descriptor(),
            Stream::Faulty(faulty) => faulty.socket.descriptor(),
            Stream::Replayed(_) => -1,
        })
    }

    /// Sends no more, but still takes what comes.
    pub fn finish(&self) -> io::Result<()> {
        self.close_for(Shutdown::Write)
    }

    /// Sends no more, so that the peer sees an orderly end even if it still writes.
    pub fn shutdown(&self) -> io::Result<()> {
        self.close_for(Shutdown::Both)
    }

    fn close_for(&self, how: Shutdown) -> io::Result<()> {
        self.tell(Heard::Closed);
        tape::pass(Kind::Socket, || match self {
            Stream::Tcp(stream) => SockRef::from(&stream.as_fd()).shutdown(how),
            Stream::Unix(stream) => SockRef::from(&stream.as_fd()).shutdown(how),
            Stream::Scripted(socket) => {
                socket.finish();
                Ok(())
            }
            Stream::Faulty(faulty) => faulty.socket.close_for(how),
            Stream::Replayed(_) => Err(io::ErrorKind::Unsupported.into()),
        })
    }

    fn read_really(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => sockets::receive(stream, buffer),
            Stream::Unix(socket) => socket.receive(buffer),
            Stream::Scripted(socket) => socket.read(buffer),
            Stream::Faulty(faulty) => faulty.socket.read(buffer),
            // Only where the tape is off: then nothing comes any more, and what is sent goes nowhere.
            Stream::Replayed(_) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn write_really(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => sockets::send(stream, buffer),
            Stream::Unix(socket) => socket.send(buffer),
            Stream::Scripted(socket) => socket.write(buffer),
            Stream::Faulty(faulty) => faulty.write(buffer),
            Stream::Replayed(_) => Ok(buffer.len()),
        }
    }

    /// Out of line, so that the plain socket's way stays short.
    #[inline(never)]
    fn read_taped(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.ask_about(0);
        let count = tape::pass_bytes(Kind::Read, buffer, |buffer| self.read_really(buffer))?;
        self.tell(Heard::Received(&buffer[..count]));
        Ok(count)
    }

    #[inline(never)]
    fn write_taped(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.ask_about(buffer.len());
        let count = tape::pass_output(Kind::Write, buffer, || self.write_really(buffer))?;
        self.tell(Heard::Sent(&buffer[..count.min(buffer.len())]));
        Ok(count)
    }

    fn write_vectored_taped(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.ask_about(buffers.iter().map(|buffer| buffer.len()).sum());
        let taken = tape::pass(Kind::Write, || match self {
            Stream::Tcp(stream) => stream.write_vectored(buffers),
            Stream::Unix(socket) => socket.send_vectored(buffers),
            Stream::Scripted(socket) => socket.write_vectored(buffers),
            Stream::Faulty(faulty) => faulty.write_vectored(buffers),
            Stream::Replayed(_) => Ok(buffers.iter().map(|buffer| buffer.len()).sum()),
        })?;
        if tape::is_on() {
            note_output(self, buffers, taken);
        }
        Ok(taken)
    }

    /// Reads into several buffers as if they were one, whose bytes a tape can hold.
    #[cold]
    fn read_as_one(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let mut whole = vec![0; buffers.iter().map(|buffer| buffer.len()).sum()];
        let count = self.read(&mut whole)?;
        let mut rest = &whole[..count];
        for buffer in buffers {
            let (piece, behind) = rest.split_at(buffer.len().min(rest.len()));
            buffer[..piece.len()].copy_from_slice(piece);
            rest = behind;
        }
        Ok(count)
    }
}

fn connect_really(address: SocketAddr, sources: &[SocketAddr]) -> io::Result<TcpStream> {
    let alike = sources.iter().filter(|source| source.is_ipv4() == address.is_ipv4());
    for source in alike {
        match connect_from(*source, address) {
            Ok(stream) => return Ok(stream),
            Err(error) => log::debug!("Can't connect to {address} from {source}: {error}"),
        }
    }
    TcpStream::connect(address)
}

fn connect_from(source: SocketAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&source.into())?;
    match socket.connect(&address.into()) {
        Err(error) if !sockets::is_connecting(&error) => Err(error),
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// What of these slices a socket has taken goes to the sum of all output.
#[cold]
pub(super) fn note_output(stream: &Stream, slices: &[IoSlice<'_>], taken: usize) {
    let mut left = taken;
    for slice in slices {
        let count = left.min(slice.len());
        tape::note_output(&slice[..count]);
        stream.tell(Heard::Sent(&slice[..count]));
        left -= count;
    }
}

/// Without a tape a socket of the system is asked without a detour.
impl Read for Stream {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) if !tape::is_on() => sockets::receive(stream, buffer),
            _ => self.read_taped(buffer),
        }
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) if !tape::is_on() => stream.read_vectored(buffers),
            Stream::Unix(socket) if !tape::is_on() => socket.receive_vectored(buffers),
            _ => self.read_as_one(buffers),
        }
    }
}

impl Write for Stream {
    #[inline]
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) if !tape::is_on() => sockets::send(stream, buffer),
            _ => self.write_taped(buffer),
        }
    }

    #[inline]
    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) if !tape::is_on() => stream.write_vectored(buffers),
            _ => self.write_vectored_taped(buffers),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
