//! A connected Unix socket, which the poll watches for room only while a write waits for it.
//!
//! Each time a peer reads what it was sent, the kernel reports room in a Unix socket, whether anyone waits for it or
//! not (TCP reports it after a refused write alone): a loop that always watched for it would be woken once more for
//! each reply.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::rc::Rc;

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use crate::base::sys::sockets;

/// One client's socket.
#[derive(Debug)]
pub struct UnixSocket {
    stream: UnixStream,
    /// Where it is registered.
    registration: Option<(Rc<Registry>, Token)>,
    /// Whether the poll reports room.
    awaits_room: bool,
}

impl UnixSocket {
    /// A socket that is not registered yet.
    pub fn new(stream: UnixStream) -> UnixSocket {
        UnixSocket { stream, registration: None, awaits_room: false }
    }

    /// Registers it, edge-triggered; for room as soon as a write finds none.
    ///
    /// Errors: the system's.
    pub fn register(&mut self, registry: &Rc<Registry>, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, Interest::READABLE)?;
        self.registration = Some((Rc::clone(registry), token));
        Ok(())
    }

    /// Takes it out of the poll.
    ///
    /// Errors: the system's.
    pub fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.registration = None;
        registry.deregister(&mut self.stream)
    }

    /// Reads what it has, as far as the buffer takes it.
    ///
    /// Errors: the system's, `WouldBlock` among them.
    #[inline]
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        sockets::receive(&self.stream, buffer)
    }

    /// Reads into several buffers.
    ///
    /// Errors: the system's, `WouldBlock` among them.
    pub fn receive_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.stream.read_vectored(buffers)
    }

    /// Writes; gives how much it took. Where that is not all, the poll reports when there is room.
    ///
    /// Errors: the system's, `WouldBlock` among them.
    #[inline]
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let outcome = sockets::send(&self.stream, bytes);
        self.note_write(outcome, bytes.len())
    }

    /// Writes several pieces; gives how much it took.
    ///
    /// Errors: the system's, `WouldBlock` among them.
    pub fn send_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let outcome = self.stream.write_vectored(pieces);
        self.note_write(outcome, pieces.iter().map(|piece| piece.len()).sum())
    }

    #[inline]
    fn note_write(&mut self, outcome: io::Result<usize>, offered: usize) -> io::Result<usize> {
        let is_full = match &outcome {
            Ok(count) => *count < offered,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if is_full != self.awaits_room {
            self.await_room(is_full)?;
        }
        outcome
    }

    /// Has the poll report room, or no longer. There may be room by now: then it is reported at once.
    #[cold]
    fn await_room(&mut self, awaits_room: bool) -> io::Result<()> {
        let Some((registry, token)) = &self.registration else {
            return Ok(());
        };
        let interest = if awaits_room { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        registry.reregister(&mut self.stream, *token, interest)?;
        self.awaits_room = awaits_room;
        Ok(())
    }
}

impl AsRawFd for UnixSocket {
    fn as_raw_fd(&self) -> i32 {
        self.stream.as_raw_fd()
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;

    /// How often the poll reports room, and how often something to read, until it has nothing to report.
    fn reported(poll: &mut Poll) -> (usize, usize) {
        let mut events = Events::with_capacity(8);
        let (mut room, mut input) = (0, 0);
        loop {
            poll.poll(&mut events, Some(Duration::ZERO)).expect("a poll");
            if events.is_empty() {
                return (room, input);
            }
            room += events.iter().filter(|event| event.is_writable()).count();
            input += events.iter().filter(|event| event.is_readable()).count();
        }
    }

    #[test]
    fn room_is_reported_only_after_a_refused_write() {
        let mut poll = Poll::new().expect("a poll");
        let registry = Rc::new(poll.registry().try_clone().expect("a registry"));
        let (ours, mut peer) = UnixStream::pair().expect("a pair");
        let mut socket = UnixSocket::new(ours);
        socket.register(&registry, Token(1)).expect("it is registered");
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..10 {
            peer.write_all(b"PING\r\n").expect("room");
            assert_eq!(reported(&mut poll), (0, 1));
            socket.receive(&mut buffer).expect("input");
            socket.send(b"+PONG\r\n").expect("room");
            peer.read_exact(&mut buffer[..7]).expect("a reply");
            assert_eq!(reported(&mut poll), (0, 0), "the peer has read");
        }
        let mut sent = 0;
        loop {
            match socket.send(&buffer) {
                Ok(count) => sent += count,
                Err(error) => break assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert_eq!(reported(&mut poll).0, 0, "there is none");
        let mut taken = 0;
        while taken < sent {
            taken += peer.read(&mut buffer).expect("output");
        }
        assert!(reported(&mut poll).0 > 0);
        // A socket that does not wait for room gets no event for it.
        socket.send(b"more").expect("room");
        reported(&mut poll);
        peer.read_exact(&mut buffer[..4]).expect("output");
        assert_eq!(reported(&mut poll), (0, 0));
        socket.deregister(&registry).expect("it was registered");
    }
}
