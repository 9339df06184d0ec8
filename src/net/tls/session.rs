//! One connection's TLS, without the socket: records in and out of rustls.

use std::io::{self, BufRead, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::base::tape::hearing::Heard;
use crate::base::tape::{self, Entry, Kind};
use crate::net::stream::{Stream, note_output};
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
///
/// ```text
/// socket ◄─ records ─► rustls ◄─ plain text ─► replies, requests
///        └──────── one question ────────┘
/// ```
///
/// To a tape, what happens between the socket and the plain text is one question: it holds no records and no keys, and
/// a replay has no session.
pub struct TlsSession {
    /// None of a tape that is replayed.
    connection: Option<Connection>,
    /// What a replayed one is like.
    replayed: State,
    /// The peer has begun as TLS begins.
    begun: bool,
    /// The peer has said that nothing more will come.
    ended: bool,
}

/// What is known of a session from outside.
#[derive(Clone, Copy)]
struct State {
    is_handshaking: bool,
    holds_output: bool,
    has_ended: bool,
}

impl State {
    fn number(self) -> u8 {
        u8::from(self.is_handshaking) | u8::from(self.holds_output) << 1 | u8::from(self.has_ended) << 2
    }

    fn of_number(number: u8) -> State {
        State { is_handshaking: number & 1 != 0, holds_output: number & 2 != 0, has_ended: number & 4 != 0 }
    }
}

/// What one read of an encrypted socket has brought.
pub struct Received {
    /// Bytes of records; none where the peer has closed the socket.
    pub cipher_bytes: usize,
    /// That the peer broke the protocol, or shows no valid certificate. The alert that tells it so waits to be sent;
    /// but one that does not speak TLS at all would not understand it.
    pub result: io::Result<()>,
}

impl TlsSession {
    /// One that waits for the client's first words. Without a configuration a tape supplies the outcome.
    ///
    /// Errors: those of rustls.
    pub fn new(config: Option<Arc<ServerConfig>>) -> io::Result<Box<TlsSession>> {
        TlsSession::begin(false, || {
            config.map(ServerConnection::new).transpose().map(|made| made.map(Connection::Server))
        })
    }

    /// One with another server, which this one is to speak to first.
    ///
    /// Errors: those of rustls.
    pub fn to_server(config: Option<Arc<ClientConfig>>, name: ServerName<'static>) -> io::Result<Box<TlsSession>> {
        let connect = |config| ClientConnection::new(config, name);
        TlsSession::begin(true, || config.map(connect).transpose().map(|made| made.map(Connection::Client)))
    }

    fn begin(
        begins: bool,
        make: impl FnOnce() -> Result<Option<Connection>, rustls::Error>,
    ) -> io::Result<Box<TlsSession>> {
        let connection = tape::pass_thing(Kind::Socket, || make().map_err(io::Error::other))?.flatten();
        let replayed = State { is_handshaking: true, holds_output: begins, has_ended: false };
        Ok(Box::new(TlsSession { connection, replayed, begun: begins, ended: false }))
    }

    /// Whether the peer may not yet send or be sent anything of its own.
    #[inline]
    pub fn is_handshaking(&self) -> bool {
        self.connection.as_ref().map_or(self.replayed.is_handshaking, |connection| connection.is_handshaking())
    }

    /// Whether the peer has ended the session in good order.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The first common name in the peer's certificate, if it has shown one, which was checked.
    pub fn common_name(&self) -> Option<Vec<u8>> {
        tape::pass(Kind::Socket, || {
            let certificate = self.connection.as_ref()?.peer_certificates()?.first()?;
            let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
            let name = certificate.subject().iter_common_name().next()?;
            Some(name.as_slice().to_vec())
        })
    }

    /// Whether records wait to be sent.
    #[inline]
    pub fn holds_output(&self) -> bool {
        self.connection.as_ref().map_or(self.replayed.holds_output, |connection| connection.wants_write())
    }

    fn state(&self) -> State {
        State { is_handshaking: self.is_handshaking(), holds_output: self.holds_output(), has_ended: self.has_ended() }
    }

    /// Asks for something that changes the session. To a tape, what it is like then is a part of the answer.
    fn pass<T: Entry>(&mut self, kind: Kind, real: impl FnOnce(&mut TlsSession) -> T) -> T {
        if !tape::is_on() {
            return real(self);
        }
        let (answer, number) = tape::pass(kind, || {
            let answer = real(self);
            (answer, self.state().number())
        });
        self.replayed = State::of_number(number);
        self.ended = self.replayed.has_ended;
        answer
    }

    /// Reads the socket once, through this buffer, and gives what was in the records, piece by piece, to `take`.
    ///
    /// Errors: the socket's, `WouldBlock` among them.
    pub fn receive_from(
        &mut self,
        stream: &mut Stream,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<Received> {
        if !tape::is_on() {
            let cipher_bytes = read(stream, buffer)?;
            return Ok(Received { cipher_bytes, result: self.receive(&buffer[..cipher_bytes], take) });
        }
        stream.ask_about(0);
        let (read, (plain, failure)) = self.pass(Kind::Read, |session| {
            let (mut plain, mut failure) = (Vec::new(), None);
            let read = read(stream, buffer);
            if let Ok(count) = &read {
                let received = session.receive(&buffer[..*count], |piece| plain.extend_from_slice(piece));
                failure = received.err();
            }
            (read, (plain, failure))
        });
        if !plain.is_empty() {
            stream.tell(Heard::Received(&plain));
            take(&plain);
        }
        Ok(Received { cipher_bytes: read?, result: failure.map_or(Ok(()), Err) })
    }

    fn receive(&mut self, mut records: &[u8], mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let Some(connection) = &mut self.connection else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        if !self.begun && !records.is_empty() {
            self.begun = records.first() == Some(&HANDSHAKE_RECORD);
            if !self.begun {
                let text = "the client does not speak TLS";
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
        }
        while !records.is_empty() && !self.ended {
            connection.read_tls(&mut records)?;
            let state =
                connection.process_new_packets().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let mut plain_bytes = state.plaintext_bytes_to_read();
            let mut reader = connection.reader();
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
    pub fn encrypt(&mut self, stream: &Stream, reply: &Reply, most_bytes: usize) -> io::Result<usize> {
        if let Some(bytes) = reply.contiguous() {
            let piece = &bytes[..bytes.len().min(most_bytes)];
            return self.encrypt_pieces(stream, &[IoSlice::new(piece)]);
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
            return self.encrypt_pieces(stream, &[IoSlice::new(piece)]);
        }
        self.encrypt_pieces(stream, &slices[..whole])
    }

    /// Encrypts pieces, for this stream, as many as there is room for. Gives the number of bytes; none while the
    /// handshake lasts.
    ///
    /// Errors: the session has failed before.
    pub fn encrypt_pieces(&mut self, stream: &Stream, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        stream.ask_about(pieces.iter().map(|piece| piece.len()).sum());
        let taken = self.pass(Kind::Write, |session| match &mut session.connection {
            Some(connection) if connection.is_handshaking() => Ok(0),
            Some(connection) => connection.writer().write_vectored(pieces),
            None => Err(io::ErrorKind::Unsupported.into()),
        })?;
        if tape::is_on() {
            note_output(stream, pieces, taken);
        }
        Ok(taken)
    }

    /// Sends records, as many as the socket takes at once.
    ///
    /// Errors: the socket's, `WouldBlock` among them.
    pub fn send(&mut self, stream: &mut Stream) -> io::Result<usize> {
        stream.ask_about(0);
        self.pass(Kind::Write, |session| match &mut session.connection {
            Some(connection) => connection.write_tls(stream),
            None => Err(io::ErrorKind::Unsupported.into()),
        })
    }

    /// Tells the peer that nothing more will come; to be sent. Before the session has begun there is
    /// nothing to be ended.
    pub fn end(&mut self) {
        self.pass(Kind::Write, |session| {
            if let Some(connection) = &mut session.connection
                && !connection.is_handshaking()
            {
                connection.send_close_notify();
            }
        });
    }
}

/// Reads once, again where a signal interrupted it.
fn read(stream: &mut Stream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
