//! One connection to another server: how it comes about, what it has received and has to send, and when it is late.
//!
//! ```text
//! LookingUp ──its addresses are known──→ Connecting ──one of them answers──→ Open ──it fails──→ Over
//! ```

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::vec;

use crate::net::lookup::Lookup;
use crate::net::poll_target::PollTarget;
use crate::net::poller::Registrar;
use crate::net::stream::Stream;
use crate::net::tls::{Received, TlsSession};

/// Bytes sent, and bytes received, before other connections have their turn.
const STEP_BYTES: usize = 256 * 1024;
/// Bytes read in one go.
const READ_BYTES: usize = 16 * 1024;
/// Memory that an empty buffer keeps.
const KEPT_BYTES: usize = 128 * 1024;

/// How patient a connection is, and how much it buffers.
#[derive(Clone, Copy, Debug)]
pub struct LinkOptions {
    /// How long the look-up of the name may take, and then the connecting, in ms.
    pub connect_ms: u64,
    /// How long nothing may move, in ms.
    pub idle_ms: u64,
    /// What counts as moving.
    pub progress: Progress,
    /// While so many bytes wait for their owner, nothing is read.
    pub input_max_bytes: usize,
    /// A connection for which more bytes than this wait to be sent is given up.
    pub output_max_bytes: usize,
}

/// What shows that the other side is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Bytes that come, or bytes that the socket takes.
    EitherWay,
    /// Bytes that come.
    Received,
}

/// What has become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// The other side has answered: bytes can be sent.
    Connected,
    /// There are more bytes to read.
    Received,
    /// All that was to be sent is sent.
    Flushed,
    /// It is over. What came before the end was reported before.
    Failed(Failure),
    /// The other side took too long.
    TimedOut,
}

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The name stands for no address.
    UnknownHost,
    /// No address could be connected to; this is what became of the last one.
    Unreachable(io::ErrorKind),
    /// The other side has closed it.
    Closed,
    /// The socket failed.
    Broken(io::ErrorKind),
    /// More bytes waited to be sent than the options allow.
    Overflow,
}

enum Phase {
    LookingUp { source: Option<Lookup>, target: Lookup },
    Connecting(Stream, vec::IntoIter<SocketAddr>),
    Open(Stream),
    Over,
}

/// Events that the owner has yet to hear of, in the order in which it hears of them.
#[derive(Default)]
struct Owed {
    connected: bool,
    received: bool,
    flushed: bool,
    failed: Option<Failure>,
    timed_out: bool,
}

/// One connection. Its owner reads, writes and closes it by way of `Outbounds`.
pub struct Link {
    options: LinkOptions,
    phase: Phase,
    /// The local addresses that it may be made from; none for any.
    sources: Vec<SocketAddr>,
    /// What encrypts the connection, if anything does.
    tls: Option<Box<TlsSession>>,
    input: Vec<u8>,
    /// Bytes of the input that the owner is done with.
    consumed_bytes: usize,
    output: Vec<u8>,
    /// Bytes of the output that were sent.
    sent_bytes: usize,
    /// The socket may hold bytes.
    readable: bool,
    /// The socket may take bytes.
    writable: bool,
    /// How the socket failed when it was written to: the connection is over once all that it holds was read.
    broken: Option<io::ErrorKind>,
    owed: Owed,
    deadline_ms: i64,
}

fn after(now_ms: i64, wait_ms: u64) -> i64 {
    now_ms.saturating_add(i64::try_from(wait_ms).unwrap_or(i64::MAX))
}

impl Link {
    /// One that waits for its host's addresses, and for those that it is to be made from.
    pub(super) fn new(target: Lookup, source: Option<Lookup>, options: LinkOptions, now_ms: i64) -> Link {
        Link {
            options,
            phase: Phase::LookingUp { source, target },
            sources: Vec::new(),
            tls: None,
            input: Vec::new(),
            consumed_bytes: 0,
            output: Vec::new(),
            sent_bytes: 0,
            readable: false,
            writable: false,
            broken: None,
            owed: Owed::default(),
            deadline_ms: after(now_ms, options.connect_ms),
        }
    }

    /// One over a socket that is connected already. Its owner hears of that as of any other.
    pub(super) fn adopt(stream: Stream, session: Option<Box<TlsSession>>, options: LinkOptions, now_ms: i64) -> Link {
        let mut link = Link::new(Lookup::Known(Vec::new()), None, options, now_ms);
        link.tls = session;
        link.open(stream, now_ms);
        link
    }

    /// Registers the socket of an open connection; tells whether that went well.
    pub(super) fn register(&mut self, registrar: &Registrar, target: PollTarget) -> bool {
        match &mut self.phase {
            Phase::Open(stream) => stream.register(registrar, target).is_ok(),
            Phase::LookingUp { .. } | Phase::Connecting(..) | Phase::Over => false,
        }
    }

    /// What has come and is not consumed.
    pub fn input(&self) -> &[u8] {
        &self.input[self.consumed_bytes..]
    }

    pub(super) fn encrypt(&mut self, session: Box<TlsSession>) {
        self.tls = Some(session);
    }

    pub(super) fn owe_received(&mut self) {
        self.owed.received = true;
    }

    pub(super) fn lend_input(&mut self) -> (Vec<u8>, usize) {
        (std::mem::take(&mut self.input), std::mem::take(&mut self.consumed_bytes))
    }

    pub(super) fn return_input(&mut self, input: Vec<u8>, consumed_bytes: usize) {
        self.input = input;
        self.consume(consumed_bytes);
    }

    /// The socket, while the connection stands.
    pub fn stream(&self) -> Option<&Stream> {
        match &self.phase {
            Phase::Open(stream) => Some(stream),
            Phase::LookingUp { .. } | Phase::Connecting(..) | Phase::Over => None,
        }
    }

    /// Bytes that wait to be sent.
    pub fn pending_bytes(&self) -> usize {
        self.output.len() - self.sent_bytes
    }

    /// Room for bytes that wait to be sent.
    pub fn output_capacity(&self) -> usize {
        self.output.capacity()
    }

    /// Whether the other side has answered, and nothing has failed since.
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// When the other side is late, in ms since the epoch; `None` once it does not matter.
    pub(super) fn deadline_ms(&self) -> Option<i64> {
        let is_settled = matches!(self.phase, Phase::Over) || self.owed.failed.is_some();
        (!is_settled).then_some(self.deadline_ms)
    }

    pub(super) fn is_looking_up(&self) -> bool {
        matches!(self.phase, Phase::LookingUp { .. })
    }

    /// The poll has an event of the socket: all that stood still is tried again.
    pub(super) fn note_ready(&mut self) {
        self.readable = true;
        self.writable = true;
    }

    pub(super) fn consume(&mut self, bytes: usize) {
        self.consumed_bytes = (self.consumed_bytes + bytes).min(self.input.len());
        if self.consumed_bytes == self.input.len() {
            self.input.clear();
            self.input.shrink_to(KEPT_BYTES);
            self.consumed_bytes = 0;
        } else if self.consumed_bytes > self.input.len() / 2 {
            self.input.drain(..self.consumed_bytes);
            self.consumed_bytes = 0;
        }
    }

    /// Has `write` append to what is to be sent.
    pub(super) fn write_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.output);
        if self.pending_bytes() > self.options.output_max_bytes {
            self.fail(Failure::Overflow);
        }
    }

    /// Gives up, since the other side is late.
    pub(super) fn time_out(&mut self) {
        self.phase = Phase::Over;
        self.owed.timed_out = true;
    }

    /// The socket, if the connection stands. The link is over then.
    pub(super) fn into_stream(self) -> Option<Stream> {
        match self.phase {
            Phase::Open(stream) => Some(stream),
            Phase::LookingUp { .. } | Phase::Connecting(..) | Phase::Over => None,
        }
    }

    /// Whether it can go on without an event of the poll.
    pub(super) fn has_work(&self) -> bool {
        let owed = &self.owed;
        let owes = owed.connected || owed.received || owed.flushed || owed.failed.is_some() || owed.timed_out;
        let moves = self.is_open() && (self.can_send() || self.can_receive());
        owes || moves
    }

    /// Goes on as far as can be without waiting, and no further than is fair. Gives the next event, if there is one.
    pub(super) fn advance(&mut self, now_ms: i64, registrar: &Registrar, target: PollTarget) -> Option<LinkEvent> {
        if let Some(event) = self.take_owed() {
            return Some(event);
        }
        if let Phase::LookingUp { source, target: host } = &mut self.phase {
            if let Some(lookup) = source {
                self.sources = lookup.answer()?;
                *source = None;
            }
            let addresses = host.answer()?;
            self.deadline_ms = after(now_ms, self.options.connect_ms);
            self.connect(addresses.into_iter(), Failure::UnknownHost, registrar, target);
        }
        while let Phase::Connecting(stream, _) = &self.phase {
            let result = stream.is_connected();
            if matches!(result, Ok(false)) {
                return None;
            }
            let Phase::Connecting(stream, rest) = std::mem::replace(&mut self.phase, Phase::Over) else {
                return None;
            };
            match result {
                Ok(_) => self.open(stream, now_ms),
                Err(error) => self.connect(rest, Failure::Unreachable(error.kind()), registrar, target),
            }
        }
        if self.owed.connected {
            // The owner may have something to say first.
            return self.take_owed();
        }
        if self.is_open() {
            self.send(now_ms);
            self.receive(now_ms);
        }
        self.take_owed()
    }

    fn take_owed(&mut self) -> Option<LinkEvent> {
        let owed = &mut self.owed;
        if std::mem::take(&mut owed.connected) {
            return Some(LinkEvent::Connected);
        }
        if std::mem::take(&mut owed.received) {
            return Some(LinkEvent::Received);
        }
        if std::mem::take(&mut owed.flushed) {
            return Some(LinkEvent::Flushed);
        }
        if let Some(failure) = owed.failed.take() {
            return Some(LinkEvent::Failed(failure));
        }
        std::mem::take(&mut owed.timed_out).then_some(LinkEvent::TimedOut)
    }

    /// Tries these addresses, up to the first that does not refuse at once.
    fn connect(
        &mut self,
        mut addresses: vec::IntoIter<SocketAddr>,
        failure: Failure,
        registrar: &Registrar,
        target: PollTarget,
    ) {
        let mut failure = failure;
        while let Some(address) = addresses.next() {
            let stream = Stream::connect(address, &self.sources, registrar).and_then(|mut stream| {
                stream.register(registrar, target)?;
                Ok(stream)
            });
            match stream {
                Ok(stream) => {
                    self.phase = Phase::Connecting(stream, addresses);
                    return;
                }
                Err(error) => failure = Failure::Unreachable(error.kind()),
            }
        }
        self.fail(failure);
    }

    fn open(&mut self, stream: Stream, now_ms: i64) {
        self.phase = Phase::Open(stream);
        self.note_ready();
        if self.tls.is_some() {
            self.deadline_ms = after(now_ms, self.options.connect_ms);
        } else {
            self.note_connected(now_ms);
        }
    }

    fn note_connected(&mut self, now_ms: i64) {
        self.owed.connected = true;
        self.deadline_ms = after(now_ms, self.options.idle_ms);
    }

    fn fail(&mut self, failure: Failure) {
        self.phase = Phase::Over;
        self.owed.failed.get_or_insert(failure);
    }

    fn can_send(&self) -> bool {
        let has_records = self.tls.as_ref().is_some_and(|tls| tls.holds_output());
        let may_encrypt = self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking());
        self.writable && self.broken.is_none() && (has_records || may_encrypt && self.pending_bytes() > 0)
    }

    fn can_receive(&self) -> bool {
        self.readable && self.input().len() < self.options.input_max_bytes
    }

    /// Sends until the socket takes no more.
    fn send(&mut self, now_ms: i64) {
        let mut room = STEP_BYTES;
        while self.can_send() && room > 0 {
            let Phase::Open(stream) = &mut self.phase else {
                return;
            };
            let pending = &self.output[self.sent_bytes..];
            let pending = &pending[..pending.len().min(room)];
            let written = match &mut self.tls {
                None => stream.write(pending).map(|count| (count, count)),
                Some(tls) => send_encrypted(tls, stream, pending),
            };
            match written {
                Ok((0, 0)) => self.note_broken(io::ErrorKind::WriteZero),
                Ok((count, taken)) => {
                    room = room.saturating_sub(count.max(1));
                    self.sent_bytes += taken;
                    if self.options.progress == Progress::EitherWay {
                        self.deadline_ms = after(now_ms, self.options.idle_ms);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => self.note_broken(error.kind()),
            }
        }
        let has_records = self.tls.as_ref().is_some_and(|tls| tls.holds_output());
        if self.sent_bytes > 0 && self.pending_bytes() == 0 && !has_records {
            self.output.clear();
            self.output.shrink_to(KEPT_BYTES);
            self.sent_bytes = 0;
            self.owed.flushed = true;
        } else if self.sent_bytes > self.output.len() / 2 {
            self.output.drain(..self.sent_bytes);
            self.sent_bytes = 0;
        }
    }

    /// Notes that more is in the input.
    fn note_received(&mut self, now_ms: i64) {
        self.owed.received = true;
        self.deadline_ms = after(now_ms, self.options.idle_ms);
    }

    /// Reads once, through this buffer into the input. Gives how many bytes came from the socket.
    ///
    /// Errors: the socket's.
    fn read_plain(&mut self, buffer: &mut [u8], now_ms: i64) -> io::Result<usize> {
        let Phase::Open(stream) = &mut self.phase else { return Ok(0) };
        let count = stream.read(buffer)?;
        self.input.extend_from_slice(&buffer[..count]);
        if count > 0 {
            self.note_received(now_ms);
        }
        Ok(count)
    }

    /// The same where it comes encrypted. Gives besides why the connection is over, if what came says so.
    fn read_encrypted(&mut self, buffer: &mut [u8], now_ms: i64) -> io::Result<(usize, Option<Failure>)> {
        let (Phase::Open(stream), Some(tls)) = (&mut self.phase, &mut self.tls) else {
            return Ok((0, None));
        };
        let was_handshaking = tls.is_handshaking();
        let before = self.input.len();
        let input = &mut self.input;
        let received = tls.receive_from(stream, buffer, |plain| input.extend_from_slice(plain));
        let Received { cipher_bytes, result } = received?;
        let (is_agreed, has_ended) = (!tls.is_handshaking(), tls.has_ended());
        if let Err(error) = result {
            log::warn!("Error of a TLS connection: {error}");
            // The alert; a peer that does not take it finds the connection closed.
            let _ = tls.send(stream);
            return Ok((cipher_bytes, Some(Failure::Broken(error.kind()))));
        }
        if was_handshaking && is_agreed {
            self.note_connected(now_ms);
        }
        if self.input.len() > before {
            self.note_received(now_ms);
        }
        Ok((cipher_bytes, has_ended.then_some(Failure::Closed)))
    }

    fn note_broken(&mut self, kind: io::ErrorKind) {
        self.broken = Some(kind);
        self.readable = true;
    }

    /// Reads until the socket has no more, or the owner has enough to do.
    fn receive(&mut self, now_ms: i64) {
        let mut buffer = [0; READ_BYTES];
        let mut room = STEP_BYTES;
        while self.can_receive() && room > 0 {
            let most = READ_BYTES.min(self.options.input_max_bytes - self.input().len());
            if !matches!(self.phase, Phase::Open(_)) {
                return;
            }
            let read = match self.tls.is_some() {
                false => self.read_plain(&mut buffer[..most], now_ms).map(|count| (count, None)),
                true => self.read_encrypted(&mut buffer[..most], now_ms),
            };
            match read {
                Ok((0, _)) => return self.fail(self.broken.map_or(Failure::Closed, Failure::Broken)),
                Ok((count, failure)) => {
                    room = room.saturating_sub(count);
                    if let Some(failure) = failure {
                        return self.fail(failure);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.readable = false;
                    if let Some(kind) = self.broken {
                        return self.fail(Failure::Broken(kind));
                    }
                }
                Err(error) => return self.fail(Failure::Broken(error.kind())),
            }
        }
    }
}

/// Sends records that wait, after some of the bytes were encrypted if none do. Gives the number of bytes sent, and of
/// those that were encrypted.
fn send_encrypted(tls: &mut TlsSession, stream: &mut Stream, pending: &[u8]) -> io::Result<(usize, usize)> {
    let taken = if tls.holds_output() { 0 } else { tls.encrypt_pieces(stream, &[IoSlice::new(pending)])? };
    match tls.send(stream) {
        Ok(count) => Ok((count, taken)),
        // What was encrypted waits as a record.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && taken > 0 => Ok((0, taken)),
        Err(error) => Err(error),
    }
}
