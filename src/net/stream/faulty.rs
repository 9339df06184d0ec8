//! A socket whose output a test delays or cuts off. Never changes what is sent.
//!
//! ```text
//! the loop   write ──→ held, each piece until its time ──release──→ the socket
//!                                                                   cut off once so many bytes have left
//! ```

use std::collections::VecDeque;
use std::io::{self, IoSlice, Write};
use std::time::Duration;

use super::Stream;
use crate::base::clock::Clock;

/// What was written and is held back.
struct Piece {
    /// When it is to be sent, in µs since the Unix epoch.
    due_us: u64,
    bytes: Vec<u8>,
    sent_bytes: usize,
}

/// A socket, and what happens to its output.
pub struct FaultySocket {
    pub(super) socket: Stream,
    clock: Clock,
    delay: Duration,
    held: VecDeque<Piece>,
    /// How many more bytes may leave; none: there is no limit.
    left_bytes: Option<usize>,
}

impl FaultySocket {
    /// A socket to which nothing happens yet.
    pub(super) fn new(socket: Stream, clock: &Clock) -> FaultySocket {
        FaultySocket { socket, clock: clock.clone(), delay: Duration::ZERO, held: VecDeque::new(), left_bytes: None }
    }

    /// Has what is written from now on leave so much later.
    pub fn delay(&mut self, delay: Duration) {
        self.delay = delay;
    }

    /// Cuts the connection off once so many more bytes have left.
    pub fn cut_after(&mut self, bytes: usize) {
        self.left_bytes = Some(bytes);
    }

    /// Whether something is held back, or will be.
    pub fn is_faulty(&self) -> bool {
        self.delay > Duration::ZERO || !self.held.is_empty() || self.left_bytes.is_some()
    }

    /// When something that is held back is to be sent next, in µs since the Unix epoch.
    pub fn due_us(&self) -> Option<u64> {
        self.held.front().map(|piece| piece.due_us)
    }

    /// Sends what is due, as far as the socket takes it. A socket that is broken is cut off: the loop notices that.
    pub fn release(&mut self) {
        let now_us = self.now_us();
        while self.due_us().is_some_and(|due_us| due_us <= now_us)
            && let Some(mut piece) = self.held.pop_front()
        {
            match self.send(&piece.bytes[piece.sent_bytes..]) {
                Ok(count) => piece.sent_bytes += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.held.push_front(piece),
                Err(_) => return self.cut_off(),
            }
            if piece.sent_bytes < piece.bytes.len() {
                self.held.push_front(piece);
            }
        }
    }

    /// Takes bytes to be sent, now or later.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.delay.is_zero() && self.held.is_empty() {
            return self.send(bytes);
        }
        let delay_us = u64::try_from(self.delay.as_micros()).unwrap_or(u64::MAX);
        let due_us = self.now_us().saturating_add(delay_us);
        self.held.push_back(Piece { due_us, bytes: bytes.to_vec(), sent_bytes: 0 });
        Ok(bytes.len())
    }

    /// Takes several slices, as if they were one.
    pub(super) fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let whole: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        self.write(&whole)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left_bytes) = self.left_bytes else {
            return self.socket.write(bytes);
        };
        if left_bytes == 0 {
            self.cut_off();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let count = self.socket.write(&bytes[..bytes.len().min(left_bytes)])?;
        self.left_bytes = Some(left_bytes - count);
        if count == left_bytes {
            self.cut_off();
        }
        Ok(count)
    }

    fn cut_off(&mut self) {
        self.held.clear();
        self.left_bytes = Some(0);
        // A peer that is gone already is as good as one cut off.
        let _ = self.socket.shutdown();
    }

    fn now_us(&mut self) -> u64 {
        self.clock.refresh();
        self.clock.now_us()
    }
}

impl std::fmt::Debug for FaultySocket {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "FaultySocket({:?}, {} pieces held)", self.socket, self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair(clock: &Clock) -> (UnixStream, Stream) {
        let (peer, own) = UnixStream::pair().expect("a pair of sockets");
        peer.set_nonblocking(true).expect("a setting");
        let mut stream = Stream::of_pair(own).expect("a setting");
        stream.make_faulty(clock);
        (peer, stream)
    }

    fn received(peer: &mut UnixStream) -> Vec<u8> {
        let mut buffer = [0; 100];
        let count = peer.read(&mut buffer).unwrap_or(0);
        buffer[..count].to_vec()
    }

    #[test]
    fn what_is_delayed_leaves_in_its_order_at_its_time() {
        let mut clock = Clock::held_at(1000);
        let (mut peer, mut stream) = pair(&clock);
        stream.make_faulty(&clock).delay(Duration::from_millis(5));
        assert_eq!(stream.write(b"first").expect("it is taken"), 5);
        clock.advance_virtual(3);
        stream.make_faulty(&clock).delay(Duration::ZERO);
        assert_eq!(stream.write(b"second").expect("it is taken"), 6);
        stream.make_faulty(&clock).release();
        assert_eq!(received(&mut peer), b"");
        clock.advance_virtual(2);
        stream.make_faulty(&clock).release();
        assert_eq!(received(&mut peer), b"firstsecond");
        assert!(!stream.make_faulty(&clock).is_faulty());
    }

    #[test]
    fn a_connection_is_cut_off_behind_so_many_bytes() {
        let clock = Clock::held_at(1000);
        let (mut peer, mut stream) = pair(&clock);
        stream.make_faulty(&clock).cut_after(3);
        assert_eq!(stream.write(b"first").expect("a part is taken"), 3);
        let error = stream.write(b"st").expect_err("nothing more is");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(received(&mut peer), b"fir");
        peer.set_nonblocking(false).expect("a setting");
        assert_eq!(peer.read(&mut [0; 10]).expect("the end"), 0);
    }
}
