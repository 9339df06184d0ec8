//! One connection's TLS, without the socket: records in and out of rustls.

use std::io::{self, BufRead, IoSlice, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::resp::Reply;

/// How much is read from an encrypted socket in one go, in bytes. Nothing stays behind in rustls but an
/// incomplete record, so that what one read brings, and what was kept of the last record, must have
/// room in the shared buffer: 20 KiB and 18 KiB.
pub const CIPHER_BYTES: usize = 20 * 1024;
/// The first byte of a record of a handshake, as every session begins with.
const HANDSHAKE_RECORD: u8 = 22;
/// Pieces of replies that go into one record.
const SLICES_MAX: usize = 64;

/// The TLS side of one connection.
pub struct TlsSession {
    connection: Connection,
    /// The peer has begun as TLS begins.
    begun: bool,
    /// The peer has said that nothing more will come.
    ended: bool,
}

impl TlsSession {
    /// One that waits for the client's first words.
    ///
    /// Errors: those of rustls.
    pub fn new(config: Arc<ServerConfig>) -> Result<Box<TlsSession>, rustls::Error> {
        let connection = Connection::Server(ServerConnection::new(config)?);
        Ok(Box::new(TlsSession { connection, begun: false, ended: false }))
    }

    /// One with another server, which this one is to speak to first.
    ///
    /// Errors: those of rustls.
    pub fn to_server(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Box<TlsSession>, rustls::Error> {
        let connection = Connection::Client(ClientConnection::new(config, name)?);
        Ok(Box::new(TlsSession { connection, begun: true, ended: false }))
    }

    /// Whether the peer may not yet send or be sent anything of its own.
    #[inline]
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// Whether the peer has ended the session in good order.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The first common name in the peer's certificate, if it has shown one, which was checked.
    pub fn common_name(&self) -> Option<Vec<u8>> {
        let certificate = self.connection.peer_certificates()?.first()?;
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let name = certificate.subject().iter_common_name().next()?;
        Some(name.as_slice().to_vec())
    }

    /// Whether records wait to be sent.
    #[inline]
    pub fn holds_output(&self) -> bool {
        self.connection.wants_write()
    }

    /// Takes in what the socket brought and gives what was in it, piece by piece, to `take`.
    ///
    /// Errors: the peer broke the protocol, or shows no valid certificate. The alert that tells it so
    /// waits to be sent; but one that does not speak TLS at all would not understand it.
    pub fn receive(&mut self, mut records: &[u8], mut take: impl FnMut(&[u8])) -> io::Result<()> {
        if !self.begun {
            self.begun = records.first() == Some(&HANDSHAKE_RECORD);
            if !self.begun {
                let text = "the client does not speak TLS";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        while !records.is_empty() && !self.ended {
            self.connection.read_tls(&mut records)?;
            let state = self
                .connection
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let mut plain_bytes = state.plaintext_bytes_to_read();
            let mut reader = self.connection.reader();
            while plain_bytes > 0 {
                let piece = reader.fill_buf()?;
                let count = piece.len();
                take(piece);
                reader.consume(count);
                plain_bytes -= count;
            }
            self.ended = state.peer_has_closed();
        }
        Ok(())
    }

    /// Encrypts a part of the replies, at most `most_bytes` and no more than rustls will hold (64 KiB).
    /// Gives the number of bytes; none while the handshake lasts.
    ///
    /// Errors: the session has failed before.
    pub fn encrypt(&mut self, reply: &Reply, most_bytes: usize) -> io::Result<usize> {
        if self.connection.is_handshaking() {
            return Ok(0);
        }
        if let Some(bytes) = reply.contiguous() {
            let piece = &bytes[..bytes.len().min(most_bytes)];
            return self.connection.writer().write(piece);
        }
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let count = reply.slices(&mut slices);
        let mut left_bytes = most_bytes;
        let mut whole = 0;
        for slice in &slices[..count] {
            if slice.len() > left_bytes {
                break;
            }
            left_bytes -= slice.len();
            whole += 1;
        }
        if whole == 0 {
            let piece = &slices[0][..most_bytes.min(slices[0].len())];
            return self.connection.writer().write(piece);
        }
        self.connection.writer().write_vectored(&slices[..whole])
    }

    /// Encrypts pieces, as many as there is room for. Gives the number of bytes; none while the handshake lasts.
    ///
    /// Errors: the session has failed before.
    pub fn encrypt_pieces(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.connection.is_handshaking() {
            return Ok(0);
        }
        self.connection.writer().write_vectored(pieces)
    }

    /// Encrypts the first of these bytes, no more than rustls will hold. Gives their number; none while the handshake
    /// lasts.
    ///
    /// Errors: the session has failed before.
    pub fn encrypt_bytes(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.connection.is_handshaking() {
            return Ok(0);
        }
        self.connection.writer().write(bytes)
    }

    /// Sends records, as many as the socket takes at once.
    ///
    /// Errors: the socket's, `WouldBlock` among them.
    pub fn send(&mut self, socket: &mut dyn Write) -> io::Result<usize> {
        self.connection.write_tls(socket)
    }

    /// Tells the peer that nothing more will come; to be sent. Before the session has begun there is
    /// nothing to be ended.
    pub fn end(&mut self) {
        if !self.connection.is_handshaking() {
            self.connection.send_close_notify();
        }
    }
}
