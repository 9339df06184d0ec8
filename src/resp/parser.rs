//! Requests in: an incremental parser that finds whole requests in the bytes read, without copying them.
//!
//! The loop reads into one shared buffer and calls [`Parser::parse`] on it until nothing is left or nothing more is complete:
//!
//! ```text
//! loop { let consumed = parser.parse(&input[at..], ..)?;  run every request of the batch;  at += consumed;
//!        if batch was empty or at == input.len() { break } }
//! keep input[at..] (at most 64 KiB) for the next read
//! ```
//!
//! A request that has not arrived in full is *taken over*: the parser copies the arguments that are complete into a block of its
//! own and consumes them, so that nothing is ever parsed twice and the connection never has to keep more than one small
//! argument. An argument of 32 KiB or more that is still arriving gets a buffer of its own, [`BigArgument`], into which the socket
//! is read directly.
//!
//! *Invariant:* the parser holds a request only after a call that left the batch empty. So whoever stops in the middle of a
//! batch may come back later with the input from [`Batch::end`], under other [`Limits`] if need be (AUTH in a pipeline). For the same
//! reason an error behind complete requests is reported by the next call.

use std::fmt;

use bytes::Bytes;

use super::batch::{Batch, SCRATCH_MAX_BYTES, Span};
use super::inline;
use super::number;

/// Longest line (inline request, or a length header) that is waited for, in bytes.
const LINE_MAX_BYTES: usize = 64 * 1024;
/// From this length on an argument that is still arriving gets a buffer of its own, in bytes.
const BIG_ARGUMENT_BYTES: usize = 32 * 1024;
/// The first reservation for a big argument, in bytes. See [`BigArgument`].
const BIG_FIRST_BYTES: usize = 1024 * 1024;
/// How much of a big argument's buffer is readied per read, in bytes.
const BIG_STEP_BYTES: usize = 256 * 1024;
/// Most input looked at by one call, in bytes, so that spans fit `u32`.
const INPUT_MAX_BYTES: usize = 1 << 30;
/// Most arguments, and longest argument in bytes, before a client has authenticated.
const UNAUTHENTICATED_ARGUMENTS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_MAX_BYTES: i64 = 16 * 1024;

/// What one client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Whether the client has authenticated (or need not): else requests are held to ten arguments of 16 KiB.
    pub authenticated: bool,
    /// Longest argument in bytes (`proto-max-bulk-len`, which is at least 1 MiB).
    pub max_bulk_bytes: u64,
}

impl Default for Limits {
    /// An authenticated client, 512 MiB an argument.
    fn default() -> Limits {
        Limits {
            authenticated: true,
            max_bulk_bytes: 512 * 1024 * 1024,
        }
    }
}

/// Why a client's bytes are no request. The connection is closed after the error was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    /// An inline request opened quotes and did not close them.
    UnbalancedQuotes,
    /// More than 64 KiB without a line end, not starting with `*`.
    TooBigInlineRequest,
    /// More than 64 KiB without a line end after `*`.
    TooBigMultibulkCount,
    /// The number of arguments is no integer or above `i32::MAX`.
    InvalidMultibulkLength,
    /// More than ten arguments before authentication.
    UnauthenticatedMultibulkLength,
    /// More than 64 KiB without a line end where an argument's length should be.
    TooBigBulkCount,
    /// An argument did not start with `$` but with this byte.
    ExpectedDollar(u8),
    /// An argument's length is no integer, negative or too large.
    InvalidBulkLength,
    /// An argument of more than 16 KiB before authentication.
    UnauthenticatedBulkLength,
}

impl ProtocolError {
    /// The whole error reply without the leading `-`; may hold a byte that is not UTF-8, quoted from the input.
    pub fn reply_text(&self) -> Vec<u8> {
        let mut text = b"ERR Protocol error: ".to_vec();
        text.extend_from_slice(self.message().as_bytes());
        if let ProtocolError::ExpectedDollar(byte) = *self {
            text.extend_from_slice(&[byte, b'\'']);
        }
        text
    }

    fn message(&self) -> &'static str {
        match self {
            ProtocolError::UnbalancedQuotes => "unbalanced quotes in request",
            ProtocolError::TooBigInlineRequest => "too big inline request",
            ProtocolError::TooBigMultibulkCount => "too big mbulk count string",
            ProtocolError::InvalidMultibulkLength => "invalid multibulk length",
            ProtocolError::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            ProtocolError::TooBigBulkCount => "too big bulk count string",
            ProtocolError::ExpectedDollar(_) => "expected '$', got '",
            ProtocolError::InvalidBulkLength => "invalid bulk length",
            ProtocolError::UnauthenticatedBulkLength => "unauthenticated bulk length",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.reply_text()))
    }
}

impl std::error::Error for ProtocolError {}

/// The parser of one connection. Holds nothing (one null pointer) between whole requests.
#[derive(Debug, Default)]
pub struct Parser {
    pending: Option<Box<Pending>>,
}

/// A request taken over because it has not arrived in full.
#[derive(Debug, Default)]
struct Pending {
    /// Arguments still to come, the one being received included.
    missing: usize,
    spans: Vec<Span>,
    scratch: Vec<u8>,
    big: Vec<Bytes>,
    /// Total length of the buffers in `big`.
    big_bytes: usize,
    receiving: Option<BigArgument>,
    /// How many bytes of the line end after a big argument are still to be skipped.
    skip: usize,
}

impl Parser {
    /// A parser at the start of a request.
    pub fn new() -> Parser {
        Parser::default()
    }

    /// Replaces the batch by as many whole requests as fit it from `input` and returns how many bytes were consumed; the caller
    /// gives the others again, with more behind them. An empty batch means that more bytes are needed. O(bytes consumed).
    ///
    /// Errors: the bytes are no request; the batch is then empty and the connection must be closed.
    pub fn parse(
        &mut self,
        input: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<usize, ProtocolError> {
        batch.clear();
        let input = &input[..input.len().min(INPUT_MAX_BYTES)];
        let mut at = 0;
        if self.pending.is_some() {
            at = self.resume(input, limits, batch)?;
            if self.pending.is_some() {
                return Ok(at);
            }
        }
        while at < input.len() && !batch.is_full() {
            let first_span = batch.spans.len();
            match next_request(input, at, limits, batch) {
                Ok(Outcome::Whole { end, in_scratch }) => {
                    if batch.spans.len() > first_span {
                        batch.push(first_span, end, in_scratch);
                    }
                    at = end;
                }
                Ok(Outcome::Partial {
                    missing,
                    at: argument_at,
                }) => {
                    if batch.is_empty() && missing > 0 {
                        return self.take_over(missing, argument_at, input, limits, batch);
                    }
                    batch.spans.truncate(first_span);
                    break;
                }
                Err(error) if batch.is_empty() => return Err(error),
                Err(_) => {
                    batch.spans.truncate(first_span);
                    break;
                }
            }
        }
        Ok(at)
    }

    /// The buffer that wants the next bytes of the connection, while a big argument is being received. Best filled by one
    /// vectored read of its spare bytes followed by the shared buffer; whatever landed in the latter is then parsed as usual.
    pub fn big_target(&mut self) -> Option<&mut BigArgument> {
        self.pending
            .as_mut()?
            .receiving
            .as_mut()
            .filter(|receiving| receiving.remaining() > 0)
    }

    /// Whether a request has been begun and taken over.
    pub fn is_mid_request(&self) -> bool {
        self.pending.is_some()
    }

    /// Memory held for the request that is still arriving, in bytes; of a big argument what has been received. O(1).
    pub fn pending_bytes(&self) -> usize {
        let Some(pending) = &self.pending else {
            return 0;
        };
        size_of::<Pending>()
            + pending.scratch.capacity()
            + pending.spans.capacity() * size_of::<Span>()
            + pending.big.capacity() * size_of::<Bytes>()
            + pending.big_bytes
            + pending
                .receiving
                .as_ref()
                .map_or(0, |receiving| receiving.filled)
    }

    /// Takes over the request whose complete arguments are in `batch.spans` and whose next one starts at `at`.
    #[cold]
    fn take_over(
        &mut self,
        missing: usize,
        at: usize,
        input: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<usize, ProtocolError> {
        let mut pending = Box::new(Pending {
            missing,
            ..Pending::default()
        });
        pending.spans.reserve(batch.spans.len() + missing.min(4));
        batch.push(0, at, false);
        for argument in batch.args(0, input).iter() {
            pending.keep(argument);
        }
        batch.clear();
        let at = pending.advance(input, at, limits)?;
        self.pending = Some(pending);
        Ok(at)
    }

    /// Goes on with the request taken over; when that completes it, makes it the first of the batch.
    fn resume(
        &mut self,
        input: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<usize, ProtocolError> {
        let Some(pending) = &mut self.pending else {
            return Ok(0);
        };
        let at = pending.advance(input, 0, limits)?;
        if pending.missing == 0 && pending.skip == 0 {
            move_into(&mut batch.spans, &mut pending.spans);
            move_into(&mut batch.scratch, &mut pending.scratch);
            batch.big.append(&mut pending.big);
            batch.push(0, at, true);
            self.pending = None;
        }
        Ok(at)
    }
}

/// Moves all elements into the empty `target`: copies few, but takes over a vector that `target` has no room for.
fn move_into<T: Copy>(target: &mut Vec<T>, source: &mut Vec<T>) {
    if source.len() <= target.capacity() {
        target.extend_from_slice(source);
    } else {
        std::mem::swap(target, source);
    }
}

impl Pending {
    /// Takes what it can from `input[at..]` and returns the offset up to which it did.
    fn advance(
        &mut self,
        input: &[u8],
        mut at: usize,
        limits: &Limits,
    ) -> Result<usize, ProtocolError> {
        loop {
            at += self.receive(&input[at..]);
            if self.receiving.is_some() || self.skip > 0 || self.missing == 0 {
                return Ok(at);
            }
            match next_argument(input, at, limits)? {
                Argument::Whole { start, len } => {
                    self.keep(&input[start..start + len]);
                    self.missing -= 1;
                    at = start + len + 2;
                }
                Argument::Body { start, len } if len >= BIG_ARGUMENT_BYTES => {
                    self.receiving = Some(BigArgument::new(len));
                    at = start;
                }
                Argument::Body { .. } | Argument::Header => return Ok(at),
            }
        }
    }

    /// Feeds the big argument, and the line end behind it, from `input`; returns how many bytes that took.
    fn receive(&mut self, input: &[u8]) -> usize {
        let mut taken = 0;
        if let Some(receiving) = &mut self.receiving {
            taken = receiving.extend(input);
            if receiving.remaining() > 0 {
                return taken;
            }
            self.spans.push(Span::buffer(self.big.len()));
            self.big_bytes += receiving.len;
            self.big
                .extend(self.receiving.take().map(BigArgument::finish));
            self.missing -= 1;
            self.skip = 2;
        }
        let skipped = self.skip.min(input.len() - taken);
        self.skip -= skipped;
        taken + skipped
    }

    fn keep(&mut self, argument: &[u8]) {
        if self.scratch.len() + argument.len() > SCRATCH_MAX_BYTES {
            self.spans.push(Span::buffer(self.big.len()));
            self.big.push(Bytes::copy_from_slice(argument));
            self.big_bytes += argument.len();
            return;
        }
        self.spans
            .push(Span::range(self.scratch.len(), argument.len()));
        self.scratch.extend_from_slice(argument);
    }
}

/// A large argument while it is being received, into a buffer of exactly its size.
///
/// What is merely announced must cost little, and a loop that serves others must not stop to copy hundreds of megabytes. So at
/// first at most 1 MiB is reserved; once that has really arrived, the whole length is, which copies that 1 MiB and no more. A
/// reservation is address space: the pages cost nothing until bytes arrive, as the buffer is readied (zeroed, which is what safe
/// code must do before reading into it) only as far as the next read reaches.
#[derive(Debug)]
pub struct BigArgument {
    data: Vec<u8>,
    filled: usize,
    len: usize,
}

impl BigArgument {
    fn new(len: usize) -> BigArgument {
        BigArgument {
            data: Vec::with_capacity(len.min(BIG_FIRST_BYTES)),
            filled: 0,
            len,
        }
    }

    /// Bytes that are still to come.
    pub fn remaining(&self) -> usize {
        self.len - self.filled
    }

    /// Room for the next bytes, never empty while some remain.
    pub fn spare(&mut self) -> &mut [u8] {
        if self.filled == self.data.len() {
            self.reserve();
            let ready = self
                .data
                .capacity()
                .min(self.len)
                .min(self.filled + BIG_STEP_BYTES);
            self.data.resize(ready, 0);
        }
        &mut self.data[self.filled..]
    }

    /// Records that `count` bytes were written to the start of the spare room.
    pub fn advance(&mut self, count: usize) {
        assert!(
            count <= self.data.len() - self.filled,
            "advanced past the spare room"
        );
        self.filled += count;
    }

    /// Copies as much of `input` as still belongs to the argument; returns how many bytes that was.
    fn extend(&mut self, input: &[u8]) -> usize {
        let count = self.remaining().min(input.len());
        let ready = count.min(self.data.len() - self.filled);
        self.data[self.filled..self.filled + ready].copy_from_slice(&input[..ready]);
        self.filled += ready;
        for chunk in input[ready..count].chunks(BIG_FIRST_BYTES) {
            self.reserve();
            self.data.extend_from_slice(chunk);
            self.filled += chunk.len();
        }
        count
    }

    /// Makes room behind a full reservation: all that is missing, if the system grants it.
    fn reserve(&mut self) {
        if self.filled == self.data.capacity()
            && self.data.try_reserve_exact(self.remaining()).is_err()
        {
            self.data.reserve(self.remaining().min(BIG_FIRST_BYTES));
        }
    }

    fn finish(self) -> Bytes {
        Bytes::from(self.data)
    }
}

/// What became of the request at some place of the input.
enum Outcome {
    /// It is there (or was empty, when no span was pushed).
    Whole { end: usize, in_scratch: bool },
    /// Arguments are `missing` (0: not even the first line is complete), the next of them starting at `at`.
    Partial { missing: usize, at: usize },
}

/// Parses the request at `at`, pushing the spans of its complete arguments.
#[inline]
fn next_request(
    input: &[u8],
    at: usize,
    limits: &Limits,
    batch: &mut Batch,
) -> Result<Outcome, ProtocolError> {
    if input[at] != b'*' {
        return inline_request(input, at, batch);
    }
    let (count, mut at) = match short_length(&input[at..]) {
        Some((count, header_len))
            if limits.authenticated || count <= UNAUTHENTICATED_ARGUMENTS_MAX as usize =>
        {
            (count, at + header_len)
        }
        _ => match argument_count(&input[at..], limits)? {
            Some((count, header_len)) => (count, at + header_len),
            None => return Ok(Outcome::Partial { missing: 0, at }),
        },
    };
    for parsed in 0..count {
        match next_argument(input, at, limits)? {
            Argument::Whole { start, len } => {
                batch.spans.push(Span::range(start, len));
                at = start + len + 2;
            }
            Argument::Body { .. } | Argument::Header => {
                return Ok(Outcome::Partial {
                    missing: count - parsed,
                    at,
                });
            }
        }
    }
    Ok(Outcome::Whole {
        end: at,
        in_scratch: false,
    })
}

/// The argument at some place of the input.
enum Argument {
    /// It is there, line end included.
    Whole { start: usize, len: usize },
    /// Its length is known, its bytes are not all there.
    Body { start: usize, len: usize },
    /// Not even its length is complete.
    Header,
}

#[inline(always)]
fn next_argument(input: &[u8], at: usize, limits: &Limits) -> Result<Argument, ProtocolError> {
    let line = &input[at.min(input.len())..];
    let (len, header_len) = match short_length(line) {
        Some(header) if line[0] == b'$' => header,
        _ => match argument_len(line, limits)? {
            Some(header) => header,
            None => return Ok(Argument::Header),
        },
    };
    let start = at + header_len;
    // Whatever two bytes follow count as the line end: Redis does not look at them either.
    if line.len() - header_len >= len + 2 {
        Ok(Argument::Whole { start, len })
    } else {
        Ok(Argument::Body { start, len })
    }
}

/// Reads a header of one to three digits, whose marker is the first byte: the number and the header's length. Nothing when it is
/// longer, malformed or incomplete, or could be.
#[inline(always)]
fn short_length(line: &[u8]) -> Option<(usize, usize)> {
    let header: &[u8; 6] = line.first_chunk()?;
    let digit = |index: usize| usize::from(header[index].wrapping_sub(b'0'));
    let first = digit(1);
    if first > 9 {
        return None;
    }
    if header[2] == b'\r' {
        return Some((first, 4));
    }
    let second = digit(2);
    if first == 0 || second > 9 {
        return None;
    }
    if header[3] == b'\r' {
        return Some((first * 10 + second, 5));
    }
    let third = digit(3);
    if third > 9 || header[4] != b'\r' {
        return None;
    }
    Some((first * 100 + second * 10 + third, 6))
}

/// Reads `*<count>`: the count (none or less is none) and the header's length; nothing when the line is incomplete.
#[cold]
fn argument_count(line: &[u8], limits: &Limits) -> Result<Option<(usize, usize)>, ProtocolError> {
    let Some(end) = header_end(line, ProtocolError::TooBigMultibulkCount)? else {
        return Ok(None);
    };
    match number::parse_i64(&line[1..end]) {
        Some(count) if count <= i64::from(i32::MAX) => {
            if count > UNAUTHENTICATED_ARGUMENTS_MAX && !limits.authenticated {
                return Err(ProtocolError::UnauthenticatedMultibulkLength);
            }
            Ok(Some((count.max(0) as usize, end + 2)))
        }
        _ => Err(ProtocolError::InvalidMultibulkLength),
    }
}

/// Reads `$<length>`: the length and the header's own; nothing when the line is incomplete.
fn argument_len(line: &[u8], limits: &Limits) -> Result<Option<(usize, usize)>, ProtocolError> {
    let Some(end) = header_end(line, ProtocolError::TooBigBulkCount)? else {
        return Ok(None);
    };
    if line[0] != b'$' {
        return Err(ProtocolError::ExpectedDollar(line[0]));
    }
    match number::parse_i64(&line[1..end]) {
        Some(len) if len >= 0 && len as u64 <= limits.max_bulk_bytes => {
            if len > UNAUTHENTICATED_BULK_MAX_BYTES && !limits.authenticated {
                return Err(ProtocolError::UnauthenticatedBulkLength);
            }
            Ok(Some((len as usize, end + 2)))
        }
        _ => Err(ProtocolError::InvalidBulkLength),
    }
}

/// Where the carriage return of a header line is, once the byte behind it (which is not looked at) is there too.
fn header_end(line: &[u8], too_big: ProtocolError) -> Result<Option<usize>, ProtocolError> {
    match line_end(line, b'\r') {
        Some(end) => Ok((end + 2 <= line.len()).then_some(end)),
        None if line.len() > LINE_MAX_BYTES => Err(too_big),
        None => Ok(None),
    }
}

/// Finds the byte that ends a line. A NUL byte hides what follows, as in Redis, whose search stops there. A line cut into single
/// bytes is searched again each time, which its 64 KiB keep cheaper than the read that brought the byte.
fn line_end(line: &[u8], end: u8) -> Option<usize> {
    memchr::memchr2(end, 0, line).filter(|&at| line[at] == end)
}

#[cold]
fn inline_request(input: &[u8], at: usize, batch: &mut Batch) -> Result<Outcome, ProtocolError> {
    let line = &input[at..];
    let Some(len) = line_end(line, b'\n') else {
        if line.len() > LINE_MAX_BYTES {
            return Err(ProtocolError::TooBigInlineRequest);
        }
        return Ok(Outcome::Partial { missing: 0, at });
    };
    let text = line[..len].strip_suffix(b"\r").unwrap_or(&line[..len]);
    inline::split_words(text, &mut batch.scratch, &mut batch.spans)
        .map_err(|_| ProtocolError::UnbalancedQuotes)?;
    Ok(Outcome::Whole {
        end: at + len + 1,
        in_scratch: true,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Requests = Vec<Vec<Vec<u8>>>;

    /// A connection as the loop drives it: leftover bytes, and reads of any size.
    struct Feed {
        parser: Parser,
        batch: Batch,
        limits: Limits,
        leftover: Vec<u8>,
        requests: Requests,
        /// The most that was ever held between reads, in bytes.
        held_max: usize,
    }

    impl Feed {
        fn new(limits: Limits) -> Feed {
            let parser = Parser::new();
            Feed {
                parser,
                batch: Batch::new(),
                limits,
                leftover: Vec::new(),
                requests: Vec::new(),
                held_max: 0,
            }
        }

        /// Takes one read's bytes; with `direct` those of a big argument go straight into its buffer.
        fn read(&mut self, mut bytes: &[u8], direct: bool) -> Result<(), ProtocolError> {
            while direct && let Some(target) = self.parser.big_target() {
                let count = target.spare().len().min(bytes.len());
                target.spare()[..count].copy_from_slice(&bytes[..count]);
                target.advance(count);
                bytes = &bytes[count..];
                if bytes.is_empty() {
                    break;
                }
            }
            self.leftover.extend_from_slice(bytes);
            let mut at = 0;
            loop {
                let input = &self.leftover[at..];
                at += self.parser.parse(input, &self.limits, &mut self.batch)?;
                for index in 0..self.batch.len() {
                    let args = self.batch.args(index, input);
                    self.requests
                        .push(args.iter().map(<[u8]>::to_vec).collect());
                    assert!(!args.is_empty());
                    check_views(args);
                }
                assert!(self.batch.is_empty() || !self.parser.is_mid_request());
                if self.batch.is_empty() || at == self.leftover.len() {
                    break;
                }
            }
            self.leftover.drain(..at);
            self.held_max = self
                .held_max
                .max(self.leftover.len() + self.parser.pending_bytes());
            Ok(())
        }
    }

    /// The ways to look at the same arguments agree.
    fn check_views(args: crate::resp::Args<'_>) {
        let owned = args.to_owned();
        for index in 0..args.len() {
            assert_eq!(&args[index], args.at(index));
            assert_eq!(args.bytes(index), args[index]);
            assert_eq!(args.get(index), Some(&args[index]));
            assert_eq!(owned.as_args()[index], args[index]);
            assert_eq!(args.slice_from(index).get(0), Some(&args[index]));
        }
        assert_eq!(args.get(args.len()), None);
        assert!(args.slice_from(args.len() + 1).is_empty());
        assert_eq!(
            args.total_bytes(),
            args.iter().map(<[u8]>::len).sum::<usize>()
        );
    }

    fn parse_all(input: &[u8], limits: Limits) -> (Requests, Result<(), ProtocolError>) {
        let mut feed = Feed::new(limits);
        let result = feed.read(input, false);
        (feed.requests, result)
    }

    fn request(words: &[&[u8]]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.to_vec()).collect()
    }

    fn encode(arguments: &[Vec<u8>]) -> Vec<u8> {
        let mut encoded = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments {
            encoded.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
            encoded.extend_from_slice(argument);
            encoded.extend_from_slice(b"\r\n");
        }
        encoded
    }

    #[track_caller]
    fn assert_parses(input: &[u8], words: &[&[u8]]) {
        assert_eq!(
            parse_all(input, Limits::default()),
            (vec![request(words)], Ok(())),
            "{}",
            input.escape_ascii()
        );
    }

    /// What Redis 7.0.15 and 8.2 both take, though a stricter reader would not.
    #[test]
    fn lenient_framing_is_taken() {
        let ping: &[&[u8]] = &[b"PING"];
        for input in [
            &b"*1\r\n$4\r\nPING\r\n"[..],
            b"*1\rX$4\r\nPING\r\n",
            b"*1\r\n$4\rXPING\r\n",
            b"*1\r\n$4\r\nPINGxx",
            b"*0\r\n*1\r\n$4\r\nPING\r\n",
            b"*-1\r\n*1\r\n$4\r\nPING\r\n",
            b"*-5\r\n*1\r\n$4\r\nPING\r\n",
            b"*-9223372036854775808\r\nPING\r\n",
            b"PING\n",
            b"PING\r\n",
            b"PING\r\r\n",
            b"\r\nPING\r\n",
            b"\nPING\n",
            b"   \r\nPING\r\n",
            b"  PING  \r\n",
            b"\tPING\t\r\n",
        ] {
            assert_parses(input, ping);
        }
        assert_parses(b"*1\r\n$0\r\n\r\n", &[b""]);
        assert_parses(b"*2\r\n$4\r\nECHO\r\n$3\r\na\r\n\r\n", &[b"ECHO", b"a\r\n"]);
    }

    #[test]
    fn inline_words_are_unquoted() {
        assert_parses(b"PING\x0b\x0cx\r\n", &[b"PING\x0b\x0cx"]);
        assert_parses(b"\x0b\x0cPING\r\n", &[b"PING"]);
        assert_parses(br#"ECHO "a\x41\n\r\t\b\a\q\xZZ""#.iter().chain(b"\r\n").copied().collect::<Vec<_>>().as_slice(), &[
            b"ECHO",
            b"aA\n\r\t\x08\x07qxZZ",
        ]);
        assert_parses(b"ECHO 'a\\'b\\n'\r\n", &[b"ECHO", b"a'b\\n"]);
        assert_parses(b"ECHO a\"b c\"\r\n", &[b"ECHO", b"ab c"]);
        assert_parses(b"ECHO a'b'\r\n", &[b"ECHO", b"ab"]);
        assert_parses(b"ECHO \"\" ''\r\n", &[b"ECHO", b"", b""]);
        assert_parses(b"ECHO \"\xe9\\x4\"\r\n", &[b"ECHO", b"\xe9x4"]);
        assert_parses(b"ECHO \"x\"\x0by\r\n", &[b"ECHO", b"x", b"y"]);
        assert_parses(b"ECHO \xa0a\r\n", &[b"ECHO", b"\xa0a"]);
        assert_parses(b"\"\" x\r\n", &[b"", b"x"]);
    }

    #[track_caller]
    fn assert_error(input: &[u8], limits: Limits, reply: &[u8]) {
        let (requests, result) = parse_all(input, limits);
        let text = result.expect_err("it is taken").reply_text();
        let start = &input[..input.len().min(40)];
        assert_eq!(
            text.escape_ascii().to_string(),
            reply.escape_ascii().to_string(),
            "{}",
            start.escape_ascii()
        );
        assert_eq!(requests.len(), 0);
    }

    /// Each recorded from Redis 7.0.15 and 8.2 (the reply writer turns line ends into spaces).
    #[test]
    fn errors_are_those_of_redis() {
        let count = b"ERR Protocol error: invalid multibulk length";
        for input in [
            "*+1\r\n",
            "*01\r\n",
            "*1\n$4\r\n",
            "*-0\r\n",
            "*\r\n",
            "*abc\r\n",
            "*1 \r\n",
            "* 1\r\n",
            "*2147483648\r\n",
            "*99999999999999999999\r\n",
            "*-9223372036854775809\r\n",
        ] {
            assert_error(input.as_bytes(), Limits::default(), count);
        }
        let length = b"ERR Protocol error: invalid bulk length";
        for input in [
            "$-1",
            "$536870913",
            "$abc",
            "$",
            "$-0",
            "$04",
            "$+4",
            "$00",
            "$1\n",
        ] {
            assert_error(
                format!("*1\r\n{input}\r\n").as_bytes(),
                Limits::default(),
                length,
            );
        }
        for byte in [b'+', 1, 0xff, b'\'', b'\r', b'\n'] {
            let input = [b"*1\r\n", &[byte][..], b"\r\n"].concat();
            let text = [
                b"ERR Protocol error: expected '$', got '",
                &[byte][..],
                b"'",
            ]
            .concat();
            assert_error(&input, Limits::default(), &text);
        }
        let quotes = b"ERR Protocol error: unbalanced quotes in request";
        for input in [
            "ECHO \"abc",
            "ECHO \"abc\"d",
            "ECHO 'abc'd",
            "ECHO 'abc",
            "ECHO a\"b\"c",
            "\"",
            "ECHO \"\\",
            "ECHO \"x\"\u{85}",
        ] {
            assert_error(format!("{input}\r\n").as_bytes(), Limits::default(), quotes);
        }
    }

    #[test]
    fn lines_without_end_are_waited_for_up_to_64_kib() {
        let cases = [
            ("", "a", "a", "inline request"),
            ("", "\0\n", "a\n", "inline request"),
            ("", "*", "1", "mbulk count string"),
            ("", "*\0\r\n", "1\r\n", "mbulk count string"),
            ("*1\r\n", "$", "1", "bulk count string"),
            ("*1\r\n", "x", "x", "bulk count string"),
            ("*1\r\n", "\0", "\r", "bulk count string"),
        ];
        for (before, start, filler, what) in cases {
            let line = start.bytes().chain(filler.bytes().cycle());
            let line = line.take(LINE_MAX_BYTES + 1);
            let input: Vec<u8> = before.bytes().chain(line).collect();
            let waiting = parse_all(&input[..input.len() - 1], Limits::default());
            assert_eq!(waiting, (vec![], Ok(())), "{before}{start}{filler}");
            let reply = format!("ERR Protocol error: too big {what}");
            assert_error(&input, Limits::default(), reply.as_bytes());
        }
    }

    #[test]
    fn before_authentication_little_is_taken() {
        let limits = Limits {
            authenticated: false,
            ..Limits::default()
        };
        assert_error(
            b"*11\r\n",
            limits,
            b"ERR Protocol error: unauthenticated multibulk length",
        );
        assert_error(
            b"*1\r\n$16385\r\n",
            limits,
            b"ERR Protocol error: unauthenticated bulk length",
        );
        assert_error(
            b"*2147483648\r\n",
            limits,
            b"ERR Protocol error: invalid multibulk length",
        );
        assert_error(
            b"*1\r\n$536870913\r\n",
            limits,
            b"ERR Protocol error: invalid bulk length",
        );
        let ten = encode(&vec![vec![b'x'; 16384]; 10]);
        assert_eq!(parse_all(&ten, limits).0.len(), 1);
        assert_eq!(
            parse_all(b"PING a b c d e f g h i j k l\r\n", limits)
                .0
                .len(),
            1
        );
    }

    /// AUTH in a pipeline: what it lets through stands behind it, so it may not be refused ahead of time.
    #[test]
    fn requests_in_front_of_an_error_come_first() {
        let mut input = encode(&request(&[b"AUTH", b"secret"]));
        let auth_len = input.len();
        input.extend(encode(&vec![b"x".to_vec(); 11]));
        let mut limits = Limits {
            authenticated: false,
            ..Limits::default()
        };
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        assert_eq!(parser.parse(&input, &limits, &mut batch), Ok(auth_len));
        assert_eq!((batch.len(), batch.end(0)), (1, auth_len));
        let refused = parser.parse(&input[auth_len..], &limits, &mut batch);
        assert_eq!(refused, Err(ProtocolError::UnauthenticatedMultibulkLength));
        limits.authenticated = true;
        assert_eq!(
            parser.parse(&input[auth_len..], &limits, &mut batch),
            Ok(input.len() - auth_len)
        );
        assert_eq!(batch.args(0, &input[auth_len..]).len(), 11);
    }

    #[test]
    fn a_batch_holds_32_requests() {
        let input = b"*1\r\n$4\r\nPING\r\n".repeat(40);
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        assert_eq!(
            parser.parse(&input, &Limits::default(), &mut batch),
            Ok(32 * 14)
        );
        assert!(batch.is_full());
        assert_eq!(batch.end(31), 32 * 14);
        assert_eq!(
            parser.parse(&input[32 * 14..], &Limits::default(), &mut batch),
            Ok(8 * 14)
        );
        assert_eq!(batch.len(), 8);
    }

    #[test]
    fn a_big_argument_is_received_in_its_own_buffer() {
        let value: Vec<u8> = (0..3_000_000u32).map(|index| index as u8).collect();
        let words = vec![
            b"SET".to_vec(),
            b"key".to_vec(),
            value,
            b"EX".to_vec(),
            b"9".to_vec(),
        ];
        let encoded = encode(&words);
        for direct in [false, true] {
            let mut feed = Feed::new(Limits::default());
            for chunk in encoded.chunks(50_000) {
                feed.read(chunk, direct).unwrap();
            }
            assert_eq!(feed.requests, [words.clone()]);
            assert!(feed.held_max < 3_100_000, "{}", feed.held_max);
            assert_eq!((feed.leftover.len(), feed.parser.pending_bytes()), (0, 0));
        }
        // The buffer is handed on without a copy and is exactly as large as the value.
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        assert_eq!(
            parser.parse(&encoded[..100], &Limits::default(), &mut batch),
            Ok(100)
        );
        let mut at = 100;
        while let Some(target) = parser.big_target() {
            let spare = target.spare();
            assert!((1..=BIG_STEP_BYTES).contains(&spare.len()));
            let count = spare.len();
            spare.copy_from_slice(&encoded[at..at + count]);
            target.advance(count);
            at += count;
        }
        parser
            .parse(&encoded[at..], &Limits::default(), &mut batch)
            .unwrap();
        let args = batch.args(0, &encoded[at..]);
        assert_eq!(args.bytes(2).as_ptr(), args[2].as_ptr());
        assert_eq!(args.to_owned().as_args()[2].as_ptr(), args[2].as_ptr());
    }

    /// Ten thousand clients that announce half a gigabyte each must not cost more than what they sent.
    #[test]
    fn announcements_cost_nothing() {
        let mut feed = Feed::new(Limits::default());
        feed.read(b"*2147483647\r\n$3\r\nSET\r\n$536870912\r\nabc", false)
            .unwrap();
        assert!(feed.held_max < 1024, "{}", feed.held_max);
        let target = feed.parser.big_target().unwrap();
        assert_eq!(target.remaining(), 536_870_909);
        assert_eq!(target.data.capacity(), BIG_FIRST_BYTES);
        assert!(target.spare().len() <= BIG_STEP_BYTES);
    }

    /// A long request in tiny pieces: every byte is looked at about once, and little is left to the connection.
    #[test]
    fn many_arguments_arrive_byte_by_byte() {
        let words: Vec<Vec<u8>> = (0..20_000)
            .map(|index| format!("argument {index}").into_bytes())
            .collect();
        let encoded = encode(&words);
        let mut feed = Feed::new(Limits::default());
        for byte in &encoded {
            feed.read(std::slice::from_ref(byte), false).unwrap();
            assert!(feed.leftover.len() < 32);
        }
        assert_eq!(feed.requests, [words]);
    }

    /// What stops a client in the middle of a batch (it became blocked) is no loss: the rest is parsed again.
    #[test]
    fn a_batch_may_be_left_in_the_middle() {
        let mut input =
            b"*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\nc d\r\n*2\r\n$1\r\ne\r\n$50000\r\n".to_vec();
        input.resize(input.len() + 50_002, b'x');
        let cut = input.len() - 20_000;
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        parser
            .parse(&input[..cut], &Limits::default(), &mut batch)
            .unwrap();
        assert_eq!(batch.len(), 3);
        let rest = &input[batch.end(0)..];
        assert_eq!(
            parser.parse(rest, &Limits::default(), &mut batch),
            Ok(rest.len())
        );
        let names: Vec<_> = (0..batch.len())
            .map(|index| batch.args(index, rest)[0].to_vec())
            .collect();
        assert_eq!(names, [b"b", b"c", b"e"]);
    }

    #[test]
    fn the_batch_lets_go_of_unusual_memory() {
        let words = vec![vec![b'x'; 100]; 20_000];
        let encoded = encode(&words);
        let (mut parser, mut batch) = (Parser::new(), Batch::new());
        let at = parser
            .parse(&encoded[..2_000_000], &Limits::default(), &mut batch)
            .unwrap();
        parser
            .parse(&encoded[at..], &Limits::default(), &mut batch)
            .unwrap();
        assert_eq!(batch.args(0, &encoded[at..]).len(), 20_000);
        batch.clear();
        assert!(
            batch.spans.capacity() * size_of::<Span>() + batch.scratch.capacity()
                <= 3 * LINE_MAX_BYTES
        );
    }

    fn argument() -> impl Strategy<Value = Vec<u8>> {
        let long = (any::<u8>(), 1usize..100_000).prop_map(|(byte, len)| vec![byte; len]);
        prop_oneof![12 => prop::collection::vec(any::<u8>(), 0..40), 1 => long]
    }

    /// A request as bytes, and what it means (nothing for an empty one).
    fn any_request() -> impl Strategy<Value = (Vec<u8>, Option<Vec<Vec<u8>>>)> {
        let multibulk =
            prop::collection::vec(argument(), 1..8).prop_map(|words| (encode(&words), Some(words)));
        let inline = prop::collection::vec("[a-z]{1,9}", 1..5).prop_map(|words| {
            let line = words.join(" ") + "\r\n";
            (
                line.into_bytes(),
                Some(words.into_iter().map(String::into_bytes).collect()),
            )
        });
        let empty = prop::sample::select(vec!["*0\r\n", "*-1\r\n", "\r\n", "\n", " \t\r\n"]);
        prop_oneof![8 => multibulk, 2 => inline, 1 => empty.prop_map(|text| (text.into(), None))]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn splitting_changes_nothing(
            requests in prop::collection::vec(any_request(), 1..40),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
            direct in any::<bool>(),
        ) {
            let stream: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
            let expected: Requests = requests.into_iter().filter_map(|(_, words)| words).collect();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).chain([0, stream.len()]).collect();
            cuts.sort_unstable();
            let mut feed = Feed::new(Limits::default());
            for pair in cuts.windows(2) {
                feed.read(&stream[pair[0]..pair[1]], direct).unwrap();
            }
            prop_assert!(feed.requests == expected);
            prop_assert_eq!((feed.leftover.len(), feed.parser.pending_bytes()), (0, 0));
        }
    }

    /// The property of the fuzz target, over mutated valid requests: no panic, no unbounded memory, and how the bytes are split
    /// makes no difference.
    #[test]
    fn garbage_is_survived() {
        let mut random = fastrand::Rng::with_seed(20_250_101);
        let pieces: [&[u8]; 16] = [
            b"*3\r\n",
            b"$3\r\nSET\r\n",
            b"$",
            b"*",
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b"$40000\r\n",
            b"-1",
            b"12",
            b"\"",
            b"'a b' ",
            b"*2147483647\r\n",
            b"$536870912\r\n",
            b"\\x41",
        ];
        for _ in 0..20_000 {
            let mut stream = Vec::new();
            for _ in 0..random.usize(1..20) {
                match random.u8(..4) {
                    0 => stream.push(random.u8(..)),
                    _ => stream.extend_from_slice(pieces[random.usize(..pieces.len())]),
                }
            }
            if random.u8(..8) == 0 {
                stream.resize(stream.len() + random.usize(..90_000), random.u8(..));
            }
            check_garbage(&stream, &mut random);
        }
    }

    fn check_garbage(stream: &[u8], random: &mut fastrand::Rng) {
        let limits = Limits {
            authenticated: random.bool(),
            ..Limits::default()
        };
        let whole = parse_all(stream, limits);
        let mut feed = Feed::new(limits);
        let mut rest = stream;
        let mut result = Ok(());
        while !rest.is_empty() && result.is_ok() {
            let (read, after) = rest.split_at(random.usize(1..=rest.len().min(40_000)));
            result = feed.read(read, random.bool());
            rest = after;
        }
        assert!(
            feed.held_max <= 40 * stream.len() + 1024,
            "{} of {}",
            feed.held_max,
            stream.len()
        );
        // Only a line beyond 64 KiB is taken or refused depending on how much of it is seen at once.
        if stream.len() <= LINE_MAX_BYTES {
            assert_eq!((feed.requests, result), whole, "{}", stream.escape_ascii());
        }
    }
}
