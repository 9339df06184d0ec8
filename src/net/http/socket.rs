//! The socket of one connection to the HTTP port, encrypted or not.

use std::io::{self, IoSlice, Read, Write};

use crate::net::poll_target::PollTarget;
use crate::net::poller::Registrar;
use crate::net::stream::Stream;
use crate::net::tls::{Received, TlsSession};

/// Read from an encrypted socket in one go, in bytes.
const CIPHER_BYTES: usize = 4096;

/// A socket that is read and written as if nothing were encrypted.
///
/// Errors of reading and writing are the socket's, `WouldBlock` among them, and those of TLS.
pub struct HttpSocket {
    stream: Stream,
    tls: Option<Box<TlsSession>>,
    /// What was decrypted and not read yet: at most what one read of the socket completes.
    decrypted: Vec<u8>,
}

impl HttpSocket {
    /// An accepted socket, and what encrypts it, if anything does.
    pub fn new(stream: Stream, tls: Option<Box<TlsSession>>) -> HttpSocket {
        HttpSocket { stream, tls, decrypted: Vec::new() }
    }

    /// Whether what goes through the socket is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Registers the socket for both directions, edge-triggered.
    pub fn register(&mut self, registrar: &Registrar, target: PollTarget) -> io::Result<()> {
        self.stream.register(registrar, target)
    }

    /// Takes the socket out of the poll.
    pub fn deregister(&mut self, registrar: &Registrar) -> io::Result<()> {
        self.stream.deregister(registrar)
    }

    /// Sends no more, but still takes what comes. All that was written has to be flushed before.
    pub fn finish(&mut self) -> io::Result<()> {
        self.end_session();
        self.stream.finish()
    }

    /// Closes the socket for both directions.
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.end_session();
        self.stream.shutdown()
    }

    /// Tells the peer that nothing more will come.
    fn end_session(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.end();
            // A peer that does not take it learns from the socket.
            let _ = tls.send(&mut self.stream);
        }
    }
}

impl Read for HttpSocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.stream.read(buffer);
        };
        let mut records = [0; CIPHER_BYTES];
        while self.decrypted.is_empty() {
            send_records(tls, &mut self.stream)?;
            if tls.has_ended() {
                return Ok(0);
            }
            let decrypted = &mut self.decrypted;
            let received = tls.receive_from(&mut self.stream, &mut records, |piece| decrypted.extend_from_slice(piece));
            let Received { cipher_bytes, result } = received?;
            if cipher_bytes == 0 {
                return Ok(0);
            }
            // An alert, too, is to reach the peer.
            send_records(tls, &mut self.stream)?;
            result?;
        }
        let count = self.decrypted.as_slice().read(buffer)?;
        self.decrypted.drain(..count);
        Ok(count)
    }
}

impl Write for HttpSocket {
    /// What is encrypted counts as written, but nothing more is encrypted until the socket has taken it.
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.stream.write(buffer);
        };
        flush_records(tls, &mut self.stream)?;
        let count = tls.encrypt_pieces(&self.stream, &[IoSlice::new(buffer)])?;
        send_records(tls, &mut self.stream)?;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => flush_records(tls, &mut self.stream),
            None => Ok(()),
        }
    }
}

/// Sends the records that wait, all of them.
fn flush_records(tls: &mut TlsSession, stream: &mut Stream) -> io::Result<()> {
    while tls.holds_output() {
        match tls.send(stream) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sends what the socket takes of the records that wait; the rest goes out on its next writable edge.
fn send_records(tls: &mut TlsSession, stream: &mut Stream) -> io::Result<()> {
    match flush_records(tls, stream) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        result => result,
    }
}
