//! One connection: a socket, the parser of its requests, and what it keeps between readiness events.
//!
//! The pattern: readiness is edge-triggered, so a connection is read until a *short read* says that
//! the socket is drained, and written until the socket takes no more. A caller that stops earlier, for
//! fairness, must come back without being told. An idle connection holds no buffer at all: the loop
//! lends it one for the time it is served.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use crate::resp::{OwnedArgs, Parser, Reply};

use super::stream::Stream;
use super::tls::{CIPHER_BYTES, Received, TlsSession};

/// Pieces given to one vectored write.
const SLICES_MAX: usize = 64;
/// Bytes sent in one go. A peer that reads as fast as it is written to would otherwise hold the loop
/// until a reply of any size has gone through the socket.
const SEND_MAX_BYTES: usize = 1024 * 1024;

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// So many bytes for the shared buffer (perhaps none, when they went to a big argument), and
    /// perhaps more in the socket.
    More { shared: usize, total: usize },
    /// The same, and the socket is drained.
    Drained { shared: usize, total: usize },
    /// The peer has closed its end.
    Closed,
}

/// Whether everything was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    All,
    /// The socket takes no more for now.
    Blocked,
    /// The socket may take more, but others have waited long enough.
    Paused,
}

/// One client's connection.
pub struct Connection {
    pub stream: Stream,
    /// What encrypts, if anything does.
    tls: Option<Box<TlsSession>>,
    pub parser: Parser,
    /// Bytes received that could not be parsed or run yet.
    pub input: Vec<u8>,
    /// A request that was put off, to be run before the rest of the input.
    pub paused: Option<OwnedArgs>,
    /// The peer has closed its end or the socket broke: what comes is the last.
    pub hung_up: bool,
    /// On the loop's list of connections to serve without a readiness event.
    pub ready: bool,
    /// There may be bytes in the socket: no short read was seen since the last event.
    pub readable: bool,
    /// Reading stands still until replies have been sent (backpressure).
    pub output_blocked: bool,
}

impl Connection {
    /// A connection that has just been accepted.
    pub fn new(stream: Stream, tls: Option<Box<TlsSession>>) -> Connection {
        Connection {
            stream,
            tls,
            parser: Parser::new(),
            input: Vec::new(),
            paused: None,
            hung_up: false,
            ready: false,
            readable: false,
            output_blocked: false,
        }
    }

    /// Whether what goes through the socket is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the peer has yet to agree on how to encrypt.
    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// The user that the peer's certificate names, once the handshake is over and if it has shown one.
    pub fn common_name(&self) -> Option<Vec<u8>> {
        self.tls.as_ref()?.common_name()
    }

    /// Whether encrypted bytes, which no reply holds any more, wait to be sent.
    #[inline]
    pub fn holds_output(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.holds_output())
    }

    /// Tells the peer that nothing more will come and closes the socket for both directions.
    pub fn end(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.end();
            // One that does not take it learns from the socket.
            let _ = tls.send(&mut self.stream);
        }
        // The peer may have been faster.
        let _ = self.stream.shutdown();
    }

    /// Reads once: into the big argument that is being received, then into `shared`.
    ///
    /// Errors: the socket's, but for `WouldBlock`, which means drained; and those of TLS.
    pub fn fill(&mut self, shared: &mut [u8]) -> io::Result<Fill> {
        if self.tls.is_some() {
            return self.fill_decrypted(shared);
        }
        let shared_room = shared.len();
        let (result, own_room) = match self.parser.big_target() {
            None => (retry(|| self.stream.read(shared)), 0),
            Some(big) => {
                let spare = big.spare();
                let room = spare.len();
                let mut slices = [IoSliceMut::new(spare), IoSliceMut::new(shared)];
                (retry(|| self.stream.read_vectored(&mut slices)), room)
            }
        };
        let total = match result {
            Ok(0) => return Ok(Fill::Closed),
            Ok(total) => total,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(Fill::Drained { shared: 0, total: 0 });
            }
            Err(error) => return Err(error),
        };
        let own = total.min(own_room);
        if let (Some(big), true) = (self.parser.big_target(), own > 0) {
            big.advance(own);
        }
        let shared = total - own;
        // After the peer hung up no further event comes: then only a read of nothing ends it.
        if total < own_room + shared_room && !self.hung_up {
            self.readable = false;
            if own_room > 0 {
                // No reply will carry the acknowledgement: more of the argument is to come.
                self.stream.acknowledge();
            }
            return Ok(Fill::Drained { shared, total });
        }
        Ok(Fill::More { shared, total })
    }

    /// The same where it comes encrypted: the socket is read into the end of `shared`, and what was in
    /// the records goes to the big argument and then to the front of `shared`. In the handshake there
    /// is nothing in them, and the answers are sent at once.
    fn fill_decrypted(&mut self, shared: &mut [u8]) -> io::Result<Fill> {
        let Some(tls) = &mut self.tls else {
            return Ok(Fill::Closed);
        };
        if tls.has_ended() {
            return Ok(Fill::Closed);
        }
        let (plain, cipher) = shared.split_at_mut(shared.len() - CIPHER_BYTES);
        let (mut shared, mut total) = (0, 0);
        let parser = &mut self.parser;
        let received = tls.receive_from(&mut self.stream, cipher, |mut piece| {
            total += piece.len();
            while let Some(big) = parser.big_target() {
                let spare = big.spare();
                let own = spare.len().min(piece.len());
                spare[..own].copy_from_slice(&piece[..own]);
                big.advance(own);
                piece = &piece[own..];
                if piece.is_empty() {
                    return;
                }
            }
            plain[shared..shared + piece.len()].copy_from_slice(piece);
            shared += piece.len();
        });
        let Received { cipher_bytes, result } = match received {
            Ok(received) => received,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                return Ok(Fill::Drained { shared: 0, total: 0 });
            }
            Err(error) => return Err(error),
        };
        if cipher_bytes == 0 {
            return Ok(Fill::Closed);
        }
        if tls.holds_output() {
            match retry(|| tls.send(&mut self.stream)) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                // What is left goes out on the next writable edge.
                _ => {}
            }
        }
        result?;
        if tls.has_ended() && total == 0 {
            return Ok(Fill::Closed);
        }
        if cipher_bytes < CIPHER_BYTES && !self.hung_up && !tls.has_ended() {
            self.readable = false;
            return Ok(Fill::Drained { shared, total });
        }
        Ok(Fill::More { shared, total })
    }

    /// Sends what is pending, or its first bytes, as far as the socket takes them, at most 1 MiB. Gives the number of
    /// bytes sent too.
    ///
    /// Errors: the socket's.
    #[inline]
    pub fn flush(&mut self, reply: &mut Reply, most_bytes: usize) -> io::Result<(Sent, usize)> {
        if self.tls.is_some() {
            return self.flush_encrypted(reply, most_bytes);
        }
        let mut total = 0;
        while !reply.is_empty() && total < most_bytes {
            let room = SEND_MAX_BYTES.min(most_bytes) - total;
            if room == 0 {
                return Ok((Sent::Paused, total));
            }
            match self.send(reply, room) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    total += count;
                    reply.advance(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok((Sent::Blocked, total));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((Sent::All, total))
    }

    /// Sends pieces that are kept elsewhere, as far as the socket takes them, at most 1 MiB. Gives the number of bytes
    /// sent too. Nothing else may be pending.
    ///
    /// Errors: the socket's.
    pub fn send_pieces<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) -> io::Result<(Sent, usize)> {
        let mut pieces = pieces.peekable();
        let mut total = 0;
        loop {
            if let Some(tls) = &mut self.tls {
                match send_records(tls, &mut self.stream) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((Sent::Blocked, total)),
                    result => result?,
                }
            }
            if pieces.peek().is_none() {
                return Ok((Sent::All, total));
            }
            if total >= SEND_MAX_BYTES {
                return Ok((Sent::Paused, total));
            }
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut offered = 0;
            let mut count = 0;
            while count < SLICES_MAX
                && total + offered < SEND_MAX_BYTES
                && let Some(piece) = pieces.next()
            {
                slices[count] = IoSlice::new(piece);
                count += 1;
                offered += piece.len();
            }
            let written = match &mut self.tls {
                Some(tls) => tls.encrypt_pieces(&self.stream, &slices[..count]),
                None => retry(|| self.stream.write_vectored(&slices[..count])),
            };
            match written {
                Ok(0) if self.tls.is_none() => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    total += written;
                    if written < offered {
                        return self.end_of_pieces(total);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok((Sent::Blocked, total)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Less was taken than was offered: the socket is full, unless it is the buffer of what encrypts.
    fn end_of_pieces(&mut self, total: usize) -> io::Result<(Sent, usize)> {
        let Some(tls) = &mut self.tls else {
            return Ok((Sent::Blocked, total));
        };
        match send_records(tls, &mut self.stream) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok((Sent::Blocked, total)),
            Err(error) => Err(error),
            Ok(()) => Ok((Sent::Paused, total)),
        }
    }

    /// The same where it is to be encrypted. What is encrypted counts as sent, but nothing more is
    /// encrypted until the socket has taken it.
    fn flush_encrypted(&mut self, reply: &mut Reply, most_bytes: usize) -> io::Result<(Sent, usize)> {
        let mut total = 0;
        let Some(tls) = &mut self.tls else {
            return Ok((Sent::All, total));
        };
        loop {
            while tls.holds_output() {
                match retry(|| tls.send(&mut self.stream)) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        return Ok((Sent::Blocked, total));
                    }
                    Err(error) => return Err(error),
                }
            }
            if reply.is_empty() || total >= most_bytes {
                return Ok((Sent::All, total));
            }
            if total >= SEND_MAX_BYTES {
                return Ok((Sent::Paused, total));
            }
            let count = tls.encrypt(&self.stream, reply, SEND_MAX_BYTES.min(most_bytes) - total)?;
            if count == 0 {
                // Until the handshake is over nothing can be sent.
                return Ok((Sent::Blocked, total));
            }
            total += count;
            reply.advance(count);
        }
    }

    /// One write of at most `most_bytes`.
    fn send(&mut self, reply: &Reply, most_bytes: usize) -> io::Result<usize> {
        let cut = |bytes: &[u8]| bytes.len().min(most_bytes);
        if let Some(bytes) = reply.contiguous() {
            return retry(|| self.stream.write(&bytes[..cut(bytes)]));
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = reply.slices(&mut slices);
        let mut sum_bytes = 0;
        let whole = slices[..count].iter().take_while(|slice| {
            sum_bytes += slice.len();
            sum_bytes <= most_bytes
        });
        match whole.count() {
            0 => retry(|| self.stream.write(&slices[0][..cut(&slices[0])])),
            whole => retry(|| self.stream.write_vectored(&slices[..whole])),
        }
    }
}

/// Sends the records that wait to be sent.
///
/// Errors: the socket's, `WouldBlock` among them.
fn send_records(tls: &mut TlsSession, stream: &mut Stream) -> io::Result<()> {
    while tls.holds_output() {
        if retry(|| tls.send(stream))? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}

/// Runs a system call again when a signal interrupted it.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use bytes::Bytes;

    use super::*;

    /// A peer that reads as fast as it is written to must not hold the loop for all of a giant reply.
    #[test]
    fn a_giant_reply_is_sent_in_pieces() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let address = listener.local_addr().expect("it is bound");
        let socket = TcpStream::connect(address).expect("it listens");
        let (mut peer, _) = listener.accept().expect("somebody connected");
        socket.set_nonblocking(true).expect("a setting");
        let stream = Stream::Tcp(mio::net::TcpStream::from_std(socket));
        let mut connection = Connection::new(stream, None);
        let giant = Bytes::from(vec![b'x'; 9 * SEND_MAX_BYTES + 1]);
        let mut reply = Reply::default();
        reply.bulk_shared(&giant);
        reply.bulk(&giant[..2 * SEND_MAX_BYTES]);
        let expected_bytes = reply.len();
        let reading = std::thread::spawn(move || {
            let mut got = Vec::new();
            peer.read_to_end(&mut got).expect("it is sent");
            got
        });
        loop {
            let (sent, count) = connection.flush(&mut reply, usize::MAX).expect("the peer reads");
            assert!(count <= SEND_MAX_BYTES, "{count} bytes in one go");
            match sent {
                Sent::All => break,
                Sent::Paused | Sent::Blocked => std::thread::yield_now(),
            }
        }
        drop(connection);
        let got = reading.join().expect("it read to the end");
        assert_eq!(got.len(), expected_bytes);
        assert!(got.starts_with(b"$9437185\r\nx") && got.ends_with(b"x\r\n"));
    }
}
