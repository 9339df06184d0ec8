//! Requests in: an incremental parser that finds whole requests in the bytes read, without copying
//! them.
//!
//! The loop reads into one shared buffer and calls [`Parser::parse`] until nothing is left or
//! nothing more is complete:
//!
//! ```text
//! loop {
//!     at += parser.parse(&input[at..], ..)?;
//!     run every request of the batch
//!     if the batch was empty or at == input.len() { break }
//! }
//! keep input[at..] (at most 64 KiB) for the next read
//! ```
//!
//! A request that has not arrived in full is *taken over*: the parser copies the arguments that are
//! complete into a block of its own and consumes them, so that nothing is ever parsed twice and the
//! connection never has to keep more than one small argument. An argument of 32 KiB or more that is
//! still arriving gets a buffer of its own, [`BigArgument`], into which the socket is read
//! directly.
//!
//! *Invariant:* the parser holds a request only after a call that left the batch empty. So a caller that
//! stops in the middle of a batch may come back later with the input from [`Batch::end`], under
//! other [`Limits`] if need be (AUTH in a pipeline). For the same reason an error behind complete
//! requests is reported by the next call.

use bytes::Bytes;

use super::batch::{Args, Batch, SCRATCH_MAX_BYTES, Span};
use super::big_argument::BigArgument;
use super::inline;
use super::number;
use super::protocol_error::ProtocolError;

/// Longest line (inline request, or a length header) that is waited for, in bytes.
const LINE_MAX_BYTES: usize = 64 * 1024;
/// From this length on an argument that is still arriving gets a buffer of its own, in bytes.
const BIG_ARGUMENT_BYTES: usize = 32 * 1024;
/// Longest argument whatever the limits say, in bytes: lengths of keys are kept in `u32`.
const ARGUMENT_MAX_BYTES: u64 = u32::MAX as u64;
/// Most input looked at by one call, in bytes, so that spans fit `u32`.
const INPUT_MAX_BYTES: usize = 1 << 30;
/// Most arguments, and longest argument in bytes, before a client has authenticated.
const UNAUTHENTICATED_ARGUMENTS_MAX: i64 = 10;
const UNAUTHENTICATED_BULK_MAX_BYTES: i64 = 16 * 1024;

/// What one client may send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Whether the client has authenticated (or need not): else requests are held to ten arguments
    /// of 16 KiB.
    pub authenticated: bool,
    /// Longest argument in bytes (`proto-max-bulk-len`, which is at least 1 MiB).
    pub max_bulk_bytes: u64,
}

impl Default for Limits {
    /// An authenticated client, 512 MiB an argument.
    fn default() -> Limits {
        Limits { authenticated: true, max_bulk_bytes: 512 * 1024 * 1024 }
    }
}

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

/// How far a request has been parsed that has not arrived in full.
#[derive(Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The arguments that are complete.
    pub arguments: Vec<&'a [u8]>,
    /// Arguments still to come, the one being received included.
    pub missing: usize,
    /// Of a big argument that is being received: the bytes that are there, and those that it will have.
    pub receiving: Option<(usize, usize)>,
}

impl Parser {
    /// A parser at the start of a request.
    pub fn new() -> Parser {
        Parser::default()
    }

    /// Replaces the batch by as many whole requests as fit it from `input` and returns how many
    /// bytes were consumed; the caller gives the others again, with more behind them. An empty
    /// batch means that more bytes are needed. O(bytes consumed).
    ///
    /// Errors: the bytes are no request; the batch is then empty and the connection must be closed.
    pub fn parse(&mut self, input: &[u8], limits: &Limits, batch: &mut Batch) -> Result<usize, ProtocolError> {
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
                Ok(Outcome::Partial { missing, at: argument_at }) => {
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

    /// The buffer that wants the next bytes of the connection, while a big argument is being
    /// received. Best filled by one vectored read of its spare bytes followed by the shared buffer;
    /// whatever landed in the latter is then parsed as usual.
    pub fn big_target(&mut self) -> Option<&mut BigArgument> {
        self.pending.as_mut()?.receiving.as_mut().filter(|receiving| receiving.remaining() > 0)
    }

    /// Whether a request has been begun and taken over.
    pub fn is_mid_request(&self) -> bool {
        self.pending.is_some()
    }

    /// How far the request has been parsed that was taken over, if one was. O(number of arguments).
    pub fn progress(&self) -> Option<Progress<'_>> {
        let pending = self.pending.as_deref()?;
        let arguments = Args::from_parts(&pending.scratch, &pending.spans, &pending.big);
        let receiving = pending.receiving.as_ref();
        Some(Progress {
            arguments: arguments.iter().collect(),
            missing: pending.missing,
            receiving: receiving.map(|receiving| (receiving.filled(), receiving.len())),
        })
    }

    /// Memory held for the request that is still arriving, in bytes; of a big argument what has
    /// been received. O(1).
    pub fn pending_bytes(&self) -> usize {
        let Some(pending) = &self.pending else {
            return 0;
        };
        size_of::<Pending>()
            + pending.scratch.capacity()
            + pending.spans.capacity() * size_of::<Span>()
            + pending.big.capacity() * size_of::<Bytes>()
            + pending.big_bytes
            + pending.receiving.as_ref().map_or(0, BigArgument::filled)
    }

    /// The part of that which belongs to a big argument that is not complete, with its line end. O(1).
    pub fn receiving_bytes(&self) -> usize {
        match self.pending.as_deref() {
            Some(pending) if pending.skip > 0 => pending.big.last().map_or(0, Bytes::len),
            Some(pending) => pending.receiving.as_ref().map_or(0, BigArgument::filled),
            None => 0,
        }
    }

    /// Bytes that are reserved for the rest of a big argument, beyond [`Parser::pending_bytes`]. O(1).
    pub fn reserved_bytes(&self) -> usize {
        let pending = self.pending.as_deref();
        let receiving = pending.and_then(|pending| pending.receiving.as_ref());
        receiving.map_or(0, BigArgument::reserved)
    }

    /// Takes over the request whose complete arguments are in `batch.spans` and whose next one
    /// starts at `at`.
    #[cold]
    fn take_over(
        &mut self,
        missing: usize,
        at: usize,
        input: &[u8],
        limits: &Limits,
        batch: &mut Batch,
    ) -> Result<usize, ProtocolError> {
        let mut pending = Box::new(Pending { missing, ..Pending::default() });
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

    /// Goes on with the request taken over; when that completes it, makes it the first of the
    /// batch.
    fn resume(&mut self, input: &[u8], limits: &Limits, batch: &mut Batch) -> Result<usize, ProtocolError> {
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

/// Moves all elements into the empty `target`: copies few, but takes over a vector that `target`
/// has no room for.
fn move_into<T: Copy>(target: &mut Vec<T>, source: &mut Vec<T>) {
    if source.len() <= target.capacity() {
        target.extend_from_slice(source);
    } else {
        std::mem::swap(target, source);
    }
}

impl Pending {
    /// Takes what it can from `input[at..]` and returns the offset up to which it did.
    fn advance(&mut self, input: &[u8], mut at: usize, limits: &Limits) -> Result<usize, ProtocolError> {
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

    /// Feeds the big argument, and the line end behind it, from `input`; returns how many bytes
    /// that took.
    fn receive(&mut self, input: &[u8]) -> usize {
        let mut taken = 0;
        if let Some(receiving) = &mut self.receiving {
            taken = receiving.extend(input);
            if receiving.remaining() > 0 {
                return taken;
            }
            self.spans.push(Span::buffer(self.big.len()));
            self.big_bytes += receiving.len();
            self.big.extend(self.receiving.take().map(BigArgument::finish));
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
        self.spans.push(Span::range(self.scratch.len(), argument.len()));
        self.scratch.extend_from_slice(argument);
    }
}

/// What became of the request at some place of the input.
enum Outcome {
    /// It is there (or was empty, when no span was pushed).
    Whole { end: usize, in_scratch: bool },
    /// Arguments are `missing` (0: not even the first line is complete), the next of them starting
    /// at `at`.
    Partial { missing: usize, at: usize },
}

/// Parses the request at `at`, pushing the spans of its complete arguments.
#[inline]
fn next_request(input: &[u8], at: usize, limits: &Limits, batch: &mut Batch) -> Result<Outcome, ProtocolError> {
    if input[at] != b'*' {
        return inline_request(input, at, batch);
    }
    let (count, mut at) = match short_length(&input[at..]) {
        Some((count, header_len)) if limits.authenticated || count <= UNAUTHENTICATED_ARGUMENTS_MAX as usize => {
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
                return Ok(Outcome::Partial { missing: count - parsed, at });
            }
        }
    }
    Ok(Outcome::Whole { end: at, in_scratch: false })
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

/// Reads a header of one to three digits, whose marker is the first byte: the number and the
/// header's length. Nothing when it is longer, malformed or incomplete, or could be.
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

/// Reads `*<count>`: the count (none or less is none) and the header's length; nothing when the
/// line is incomplete.
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
        Some(len) if len >= 0 && len as u64 <= limits.max_bulk_bytes.min(ARGUMENT_MAX_BYTES) => {
            if len > UNAUTHENTICATED_BULK_MAX_BYTES && !limits.authenticated {
                return Err(ProtocolError::UnauthenticatedBulkLength);
            }
            Ok(Some((len as usize, end + 2)))
        }
        _ => Err(ProtocolError::InvalidBulkLength),
    }
}

/// Where the carriage return of a header line is, once the byte behind it (which is not looked at)
/// is there too.
fn header_end(line: &[u8], too_big: ProtocolError) -> Result<Option<usize>, ProtocolError> {
    match line_end(line, b'\r') {
        Some(end) => Ok((end + 2 <= line.len()).then_some(end)),
        None if line.len() > LINE_MAX_BYTES => Err(too_big),
        None => Ok(None),
    }
}

/// Finds the byte that ends a line. A NUL byte hides what follows, as in Redis, whose search stops
/// there. A line cut into single bytes is searched again each time, which its 64 KiB keep cheaper
/// than the read that brought the byte.
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
    inline::split_words(text, &mut batch.scratch, &mut batch.spans).map_err(|_| ProtocolError::UnbalancedQuotes)?;
    Ok(Outcome::Whole { end: at + len + 1, in_scratch: true })
}

#[cfg(test)]
mod tests;
