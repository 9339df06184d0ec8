//! Replies out: the bytes waiting to be sent to one client, in RESP2 or RESP3 form, large values
//! spliced in by reference.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::text::double;

/// The largest number of eight digits.
const EIGHT_DIGITS_MAX: i64 = 99_999_999;

/// From this length on a shared buffer is sent from where it is instead of being copied, in bytes.
const SPLICE_BYTES: usize = 16 * 1024;
/// Capacity that an idle client may keep, in bytes.
const RETAINED_BYTES: usize = 1024;
/// From this length on sent bytes are dropped from the front of a buffer that is not yet sent in
/// full, in bytes.
const COMPACT_BYTES: usize = 64 * 1024;

/// The headers of bulk strings of up to 128 bytes, in pieces of one length, and how much of a piece each is.
static BULK_HEADERS: [([u8; 8], u8); 129] = {
    let mut headers = [([0; 8], 0); 129];
    let mut length = 0;
    while length < headers.len() {
        let digits = match length {
            0..10 => 1,
            10..100 => 2,
            _ => 3,
        };
        let (header, header_length) = &mut headers[length];
        header[0] = b'$';
        let mut rest = length;
        let mut place = digits;
        while place > 0 {
            header[place] = b'0' + (rest % 10) as u8;
            rest /= 10;
            place -= 1;
        }
        header[digits + 1] = b'\r';
        header[digits + 2] = b'\n';
        *header_length = digits as u8 + 3;
        length += 1;
    }
    headers
};

/// The form of replies that a client asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// The form all clients know; the default.
    #[default]
    Resp2,
    /// The form with maps, sets, doubles, booleans, null and pushes.
    Resp3,
}

thread_local! {
    /// Bytes of all large values that wait in replies.
    static SPLICED: Cell<usize> = const { Cell::new(0) };
}

/// Bytes of large values that wait in the replies of this thread's clients by reference. Each may turn out to be the last
/// reference to its value: so they count against a memory limit as if they were copies. O(1).
pub fn shared_bytes() -> usize {
    SPLICED.get()
}

/// A large value in its place among the encoded bytes.
#[derive(Debug)]
struct Splice {
    /// The value goes before the byte at this offset of the buffer.
    offset: usize,
    bytes: Bytes,
}

impl Splice {
    fn new(offset: usize, bytes: Bytes) -> Splice {
        SPLICED.set(SPLICED.get() + bytes.len());
        Splice { offset, bytes }
    }

    /// Drops so many bytes that were sent.
    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        SPLICED.set(SPLICED.get() - count);
    }
}

impl Drop for Splice {
    fn drop(&mut self) {
        // A thread that is ending may drop replies after the count is gone: nobody reads it then.
        let _ = SPLICED.try_with(|spliced| spliced.set(spliced.get() - self.bytes.len()));
    }
}

/// A place to go back to with [`Reply::truncate`]. Valid until bytes are sent.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    offset: usize,
    splice_count: usize,
}

/// The place of a header that is written last. Valid until bytes are sent.
#[derive(Debug)]
#[must_use = "the header must be written with one of the end_deferred methods"]
pub struct Deferred(Mark);

/// Replies of one client waiting to be sent: one contiguous buffer plus large values spliced in by
/// reference.
#[derive(Debug, Default)]
pub struct Reply {
    buffer: Vec<u8>,
    /// How many bytes at the front of `buffer` are already sent.
    sent: usize,
    splices: VecDeque<Splice>,
    /// Total length of the splices.
    spliced_bytes: usize,
    protocol: Protocol,
}

/// The writers, each one element of a reply.
impl Reply {
    /// No replies, for a client of the given protocol. Allocates nothing.
    pub fn new(protocol: Protocol) -> Reply {
        Reply { protocol, ..Reply::default() }
    }

    /// The form that is written.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Sets the form of what is written from now on.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    #[inline]
    fn is_resp3(&self) -> bool {
        self.protocol == Protocol::Resp3
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.raw(b"+OK\r\n");
    }

    /// A simple string. Line ends inside become spaces.
    pub fn simple(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'+', text.as_ref());
    }

    /// An error: the full text (`ERR foo`) without the dash. Line ends behind it are cut, those
    /// inside become spaces.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        let mut text = text.as_ref();
        while let [rest @ .., b'\r' | b'\n'] = text {
            text = rest;
        }
        self.line(b'-', text);
    }

    fn line(&mut self, marker: u8, text: &[u8]) {
        self.buffer.reserve(text.len() + 3);
        self.buffer.push(marker);
        let start = self.buffer.len();
        self.buffer.extend_from_slice(text);
        for byte in &mut self.buffer[start..] {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.raw(b"\r\n");
    }

    /// An integer.
    #[inline]
    pub fn integer(&mut self, value: i64) {
        match value {
            0 => self.raw(b":0\r\n"),
            1 => self.raw(b":1\r\n"),
            _ => self.header(b':', value),
        }
    }

    /// A marker, a number and a line end.
    #[inline]
    fn header(&mut self, marker: u8, value: i64) {
        let digit = |value: i64| b'0' + (value % 10) as u8;
        // Numbers of few digits, the lengths of most values, are written without a call.
        match value {
            0..10 => self.raw(&[marker, digit(value), b'\r', b'\n']),
            10..100 => self.raw(&[marker, digit(value / 10), digit(value), b'\r', b'\n']),
            100..1000 => {
                let digits = [digit(value / 100), digit(value / 10), digit(value)];
                self.raw(&[marker, digits[0], digits[1], digits[2], b'\r', b'\n']);
            }
            1000..=EIGHT_DIGITS_MAX => self.eight_digit_header(marker, value as u64),
            _ => self.long_header(marker, value),
        }
    }

    /// Writes the header for a number of at most eight digits: all are made side by side, in the lanes of one word.
    fn eight_digit_header(&mut self, marker: u8, value: u64) {
        let fours = (value / 10_000) | ((value % 10_000) << 32);
        // 10486 / 2^20 is a hundredth of any number of four digits, 103 / 2^10 a tenth of any number of two.
        let hundreds = (fours * 10_486) >> 20 & 0x7f_0000_007f;
        let pairs = hundreds | (fours - 100 * hundreds) << 16;
        let tens = (pairs * 103) >> 10 & 0x000f_000f_000f_000f;
        // The first digit is in the lowest byte.
        let digits = tens | (pairs - 10 * tens) << 8;
        let skipped_bits = digits.trailing_zeros() & !7;
        let count = 8 - skipped_bits as usize / 8;
        let text = (digits | 0x3030_3030_3030_3030) >> skipped_bits;
        let line_end = u128::from(u16::from_le_bytes(*b"\r\n")) << (8 * (count + 1));
        let line = u128::from(marker) | u128::from(text) << 8 | line_end;
        let length = self.buffer.len() + count + 3;
        // A piece of fixed length is copied and cut, without a call.
        self.raw(&line.to_le_bytes());
        self.buffer.truncate(length);
    }

    fn long_header(&mut self, marker: u8, value: i64) {
        // Digits are made from the last to the first; then a piece of fixed length is copied and cut, without a call.
        const END: usize = 24;
        const PIECE: usize = 24;
        let mut text = [0; END + PIECE];
        let mut start = END;
        let mut rest = value.unsigned_abs();
        text[END] = b'\r';
        text[END + 1] = b'\n';
        while rest >= 10 {
            start -= 1;
            text[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        text[start - 1] = b'0' + rest as u8;
        start -= 1;
        if value < 0 {
            start -= 1;
            text[start] = b'-';
        }
        start -= 1;
        text[start] = marker;
        let length = self.buffer.len() + END + 2 - start;
        self.raw(&text[start..start + PIECE]);
        self.buffer.truncate(length);
    }

    /// A bulk string, copied.
    #[inline]
    pub fn bulk(&mut self, value: &[u8]) {
        self.buffer.reserve(value.len() + 24);
        match BULK_HEADERS.get(value.len()) {
            Some((header, length)) => {
                let end = self.buffer.len() + usize::from(*length);
                self.buffer.extend_from_slice(header);
                self.buffer.truncate(end);
                self.append_short(value);
            }
            None => {
                self.header(b'$', value.len() as i64);
                self.buffer.extend_from_slice(value);
            }
        }
        self.buffer.extend_from_slice(b"\r\n");
    }

    /// Appends at most 128 bytes without a call, most as two pieces of fixed length that overlap.
    #[inline]
    fn append_short(&mut self, value: &[u8]) {
        if !(self.append_halves::<64>(value)
            || self.append_halves::<32>(value)
            || self.append_halves::<16>(value)
            || self.append_halves::<8>(value)
            || self.append_halves::<4>(value))
        {
            self.buffer.extend(value.iter().copied());
        }
    }

    /// Appends bytes, unless they are fewer than `PIECE` or more than twice as many.
    #[inline]
    fn append_halves<const PIECE: usize>(&mut self, value: &[u8]) -> bool {
        let (Some(first), Some(last)) = (value.first_chunk::<PIECE>(), value.last_chunk::<PIECE>()) else {
            return false;
        };
        let middle = self.buffer.len() + value.len() - PIECE;
        self.buffer.extend_from_slice(first);
        self.buffer.truncate(middle);
        self.buffer.extend_from_slice(last);
        true
    }

    /// A bulk string in a shared buffer: sent from there when it is 16 KiB or more, else copied.
    pub fn bulk_shared(&mut self, value: &Bytes) {
        if value.len() < SPLICE_BYTES {
            return self.bulk(value);
        }
        self.header(b'$', value.len() as i64);
        self.splice(value);
        self.raw(b"\r\n");
    }

    fn splice(&mut self, bytes: &Bytes) {
        self.spliced_bytes += bytes.len();
        self.splices.push_back(Splice::new(self.buffer.len(), bytes.clone()));
    }

    /// A bulk string of the decimal number.
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// No value: the null bulk string, or RESP3's null.
    #[inline]
    pub fn null(&mut self) {
        if self.is_resp3() {
            self.raw(b"_\r\n");
        } else {
            self.raw(b"$-1\r\n");
        }
    }

    /// No array: the null array, or RESP3's null.
    pub fn null_array(&mut self) {
        if self.is_resp3() {
            self.raw(b"_\r\n");
        } else {
            self.raw(b"*-1\r\n");
        }
    }

    /// An array without elements.
    pub fn empty_array(&mut self) {
        self.raw(b"*0\r\n");
    }

    /// The header of an array of `count` elements.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.header(b'*', count as i64);
    }

    /// The header of a map of `count` pairs; in RESP2 an array of twice as many elements.
    pub fn map(&mut self, count: usize) {
        let (marker, count) = self.map_header(count);
        self.header(marker, count);
    }

    fn map_header(&self, count: usize) -> (u8, i64) {
        if self.is_resp3() { (b'%', count as i64) } else { (b'*', 2 * count as i64) }
    }

    /// The header of a set of `count` elements; in RESP2 an array.
    pub fn set(&mut self, count: usize) {
        self.header(if self.is_resp3() { b'~' } else { b'*' }, count as i64);
    }

    /// The header of an out-of-band message of `count` elements; in RESP2 an array.
    pub fn push(&mut self, count: usize) {
        self.header(if self.is_resp3() { b'>' } else { b'*' }, count as i64);
    }

    /// A double; in RESP2 a bulk string.
    #[inline]
    pub fn double(&mut self, value: f64) {
        if self.is_resp3() {
            self.buffer.push(b',');
            self.raw(&double::text(value));
            self.raw(b"\r\n");
        } else {
            self.bulk(&double::text(value));
        }
    }

    /// A double whose text is made already; in RESP2 a bulk string.
    pub fn double_text(&mut self, text: &[u8]) {
        if self.is_resp3() {
            self.line(b',', text);
        } else {
            self.bulk(text);
        }
    }

    /// A boolean; in RESP2 the integer 1 or 0.
    pub fn bool(&mut self, value: bool) {
        self.raw(match (self.protocol, value) {
            (Protocol::Resp3, true) => b"#t\r\n",
            (Protocol::Resp3, false) => b"#f\r\n",
            (Protocol::Resp2, true) => b":1\r\n",
            (Protocol::Resp2, false) => b":0\r\n",
        });
    }

    /// A decimal number of any size; in RESP2 a bulk string.
    pub fn big_number(&mut self, digits: &str) {
        if self.is_resp3() {
            self.line(b'(', digits.as_bytes());
        } else {
            self.bulk(digits.as_bytes());
        }
    }

    /// A text with its three-letter format (`txt`, `mkd`); in RESP2 a bulk string.
    pub fn verbatim(&mut self, format: &str, text: &[u8]) {
        if !self.is_resp3() {
            return self.bulk(text);
        }
        debug_assert_eq!(format.len(), 3, "a verbatim format has three letters");
        self.header(b'=', text.len() as i64 + 4);
        self.raw(format.as_bytes());
        self.raw(b":");
        self.raw(text);
        self.raw(b"\r\n");
    }

    /// Bytes that are encoded already.
    #[inline]
    pub fn raw(&mut self, encoded: &[u8]) {
        self.buffer.extend_from_slice(encoded);
    }

    /// Bytes that are encoded already and shared between clients: copied only when they are few.
    pub fn push_shared_chunk(&mut self, encoded: &Bytes) {
        if encoded.len() < SPLICE_BYTES {
            self.raw(encoded);
        } else {
            self.splice(encoded);
        }
    }

    /// Everything that another reply holds, none of which was sent: what is spliced into that one is shared.
    pub fn append(&mut self, other: &Reply) {
        let mut at = 0;
        for splice in &other.splices {
            self.raw(&other.buffer[at..splice.offset]);
            self.splice(&splice.bytes);
            at = splice.offset;
        }
        self.raw(&other.buffer[at..]);
    }

    /// Leaves the place of a header whose count is not known yet. May be nested; the inner one is
    /// ended first.
    pub fn begin_deferred(&mut self) -> Deferred {
        Deferred(self.mark())
    }

    /// Writes the header of an array of `count` elements where `place` was begun. O(bytes written
    /// since).
    pub fn end_deferred_array(&mut self, place: Deferred, count: usize) {
        self.insert_header(place, b'*', count as i64);
    }

    /// Writes the header of a map of `count` pairs where `place` was begun. O(bytes written since).
    pub fn end_deferred_map(&mut self, place: Deferred, count: usize) {
        let (marker, count) = self.map_header(count);
        self.insert_header(place, marker, count);
    }

    /// Writes the header of a set of `count` elements where `place` was begun. O(bytes written
    /// since).
    pub fn end_deferred_set(&mut self, place: Deferred, count: usize) {
        self.insert_header(place, if self.is_resp3() { b'~' } else { b'*' }, count as i64);
    }

    /// Writes the header of a push of `count` elements where `place` was begun. O(bytes written
    /// since).
    pub fn end_deferred_push(&mut self, place: Deferred, count: usize) {
        self.insert_header(place, if self.is_resp3() { b'>' } else { b'*' }, count as i64);
    }

    fn insert_header(&mut self, Deferred(place): Deferred, marker: u8, count: i64) {
        let end = self.buffer.len();
        self.header(marker, count);
        let header_len = self.buffer.len() - end;
        self.buffer[place.offset..].rotate_right(header_len);
        for splice in self.splices.range_mut(place.splice_count..) {
            splice.offset += header_len;
        }
    }
}

/// The management: what is pending, and sending it.
impl Reply {
    /// Bytes to be sent.
    #[inline]
    pub fn len(&self) -> usize {
        self.buffer.len() - self.sent + self.spliced_bytes
    }

    /// Where the next byte will be written, for prefetching.
    #[inline]
    pub fn end(&self) -> *const u8 {
        self.buffer.as_ptr_range().end
    }

    /// Whether nothing is to be sent.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The present end, for [`Reply::truncate`].
    #[inline]
    pub fn mark(&self) -> Mark {
        Mark { offset: self.buffer.len(), splice_count: self.splices.len() }
    }

    /// Takes back what was written since the mark. The mark must be younger than the last `advance`
    /// or `clear`.
    pub fn truncate(&mut self, mark: Mark) {
        self.buffer.truncate(mark.offset);
        for splice in self.splices.drain(mark.splice_count..) {
            self.spliced_bytes -= splice.bytes.len();
        }
    }

    /// Takes out what was written since the mark, as a reply of its own. The mark must be younger than the last `advance` or
    /// `clear`.
    pub fn split_off(&mut self, mark: Mark) -> Reply {
        let mut taken = Reply::new(self.protocol);
        taken.buffer = self.buffer.split_off(mark.offset);
        taken.splices = self.splices.split_off(mark.splice_count);
        for splice in &mut taken.splices {
            splice.offset -= mark.offset;
            taken.spliced_bytes += splice.bytes.len();
        }
        self.spliced_bytes -= taken.spliced_bytes;
        taken
    }

    /// The pending bytes in one piece, if no value is spliced in.
    #[inline]
    pub fn contiguous(&self) -> Option<&[u8]> {
        self.splices.is_empty().then(|| &self.buffer[self.sent..])
    }

    /// The pending bytes, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        let mut at = self.sent;
        for splice in &self.splices {
            bytes.extend_from_slice(&self.buffer[at..splice.offset]);
            bytes.extend_from_slice(&splice.bytes);
            at = splice.offset;
        }
        bytes.extend_from_slice(&self.buffer[at..]);
        bytes
    }

    /// Fills `slices` with the pending bytes in order, as far as they fit, and returns how many
    /// slices that took.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut at = self.sent;
        let mut pieces = self.splices.iter().flat_map(|splice| {
            let before = &self.buffer[at..splice.offset];
            at = splice.offset;
            [before, &splice.bytes]
        });
        let mut count = 0;
        let mut room = slices.iter_mut();
        for piece in pieces.by_ref().filter(|piece| !piece.is_empty()) {
            let Some(slice) = room.next() else {
                return count;
            };
            *slice = IoSlice::new(piece);
            count += 1;
        }
        drop(pieces);
        if let (Some(slice), true) = (room.next(), at < self.buffer.len()) {
            *slice = IoSlice::new(&self.buffer[at..]);
            count += 1;
        }
        count
    }

    /// Drops `count` bytes that were sent. Panics when there are fewer. Amortised O(bytes dropped).
    pub fn advance(&mut self, mut count: usize) {
        while let Some(splice) = self.splices.front_mut() {
            let before = splice.offset - self.sent;
            if count < before {
                break;
            }
            self.sent = splice.offset;
            count -= before;
            let spliced = count.min(splice.bytes.len());
            splice.advance(spliced);
            self.spliced_bytes -= spliced;
            count -= spliced;
            if !splice.bytes.is_empty() {
                return;
            }
            self.splices.pop_front();
        }
        self.sent += count;
        assert!(self.sent <= self.buffer.len(), "advanced past the pending bytes");
        if self.is_empty() {
            self.clear();
        } else if self.sent >= COMPACT_BYTES && self.sent >= self.buffer.len() - self.sent {
            self.compact();
        }
    }

    /// Moves the rest to the front of the buffer; as it is the smaller half, the cost is amortised.
    fn compact(&mut self) {
        self.buffer.drain(..self.sent);
        for splice in &mut self.splices {
            splice.offset -= self.sent;
        }
        self.sent = 0;
    }

    /// Drops everything pending; keeps the capacity.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.sent = 0;
        self.splices.clear();
        self.spliced_bytes = 0;
    }

    /// Gives back capacity that is not in use, but for 1 KiB.
    pub fn shrink(&mut self) {
        self.buffer.shrink_to(RETAINED_BYTES);
        self.splices.shrink_to(0);
    }

    /// Room for encoded bytes, used or not, in bytes.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// Memory held, in bytes; shared buffers count in full.
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.splices.capacity() * size_of::<Splice>() + self.spliced_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All pending bytes, gathered through slices of the given number at a time.
    fn gather(reply: &Reply, slice_count: usize) -> Vec<u8> {
        let mut slices = vec![IoSlice::new(&[]); slice_count];
        let used = reply.slices(&mut slices);
        slices[..used].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    fn written(protocol: Protocol, write: impl Fn(&mut Reply)) -> String {
        let mut reply = Reply::new(protocol);
        write(&mut reply);
        assert_eq!(reply.contiguous(), Some(gather(&reply, 4).as_slice()));
        String::from_utf8(gather(&reply, 4)).unwrap()
    }

    #[test]
    fn every_number_is_written_as_it_is() {
        let powers = (0..19).map(|power| 10i64.pow(power));
        let around = powers.flat_map(|power| [power - 1, power, power + 1, power * 9]);
        let many = (0..3000).chain((0..100_000_000).step_by(99_991));
        for value in around.chain(many).chain([i64::MAX, i64::MIN]) {
            for value in [value, value.wrapping_neg()] {
                let line = written(Protocol::Resp2, |reply| reply.integer(value));
                assert_eq!(line, format!(":{value}\r\n"));
            }
        }
    }

    type Writer = fn(&mut Reply);

    /// Recorded from Redis 7.0.15 in both protocols: DEBUG PROTOCOL and usual commands.
    #[test]
    fn replies_are_those_of_redis() {
        let recorded: [(Writer, &str, &str); 26] = [
            (|reply| reply.ok(), "+OK\r\n", "+OK\r\n"),
            (|reply| reply.simple("PONG"), "+PONG\r\n", "+PONG\r\n"),
            (|reply| reply.simple("a\r\nb\n"), "+a  b \r\n", "+a  b \r\n"),
            (|reply| reply.error("MY a\r\nb\r\n"), "-MY a  b\r\n", "-MY a  b\r\n"),
            (|reply| reply.error("\r\nMY a\n"), "-  MY a\r\n", "-  MY a\r\n"),
            (|reply| reply.bulk(b"Hello World"), "$11\r\nHello World\r\n", "$11\r\nHello World\r\n"),
            (|reply| reply.integer(12345), ":12345\r\n", ":12345\r\n"),
            (|reply| reply.integer(-1), ":-1\r\n", ":-1\r\n"),
            (|reply| reply.integer(7), ":7\r\n", ":7\r\n"),
            (|reply| reply.bulk_integer(-12), "$3\r\n-12\r\n", "$3\r\n-12\r\n"),
            (|reply| reply.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (|reply| reply.double(f64::INFINITY), "$3\r\ninf\r\n", ",inf\r\n"),
            (|reply| reply.double(3.0), "$1\r\n3\r\n", ",3\r\n"),
            (|reply| reply.null(), "$-1\r\n", "_\r\n"),
            (|reply| reply.null_array(), "*-1\r\n", "_\r\n"),
            (|reply| reply.empty_array(), "*0\r\n", "*0\r\n"),
            (|reply| reply.array(3), "*3\r\n", "*3\r\n"),
            (|reply| reply.array(1000), "*1000\r\n", "*1000\r\n"),
            (|reply| reply.set(3), "*3\r\n", "~3\r\n"),
            (|reply| reply.map(3), "*6\r\n", "%3\r\n"),
            (|reply| reply.push(2), "*2\r\n", ">2\r\n"),
            (
                |reply| reply.verbatim("txt", b"This is a verbatim\nstring"),
                "$25\r\nThis is a verbatim\nstring\r\n",
                "=29\r\ntxt:This is a verbatim\nstring\r\n",
            ),
            (|reply| reply.bool(true), ":1\r\n", "#t\r\n"),
            (|reply| reply.bool(false), ":0\r\n", "#f\r\n"),
            (
                |reply| reply.big_number("1234567999999999999999999999999999999"),
                "$37\r\n1234567999999999999999999999999999999\r\n",
                "(1234567999999999999999999999999999999\r\n",
            ),
            (|reply| reply.raw(b"+x\r\n"), "+x\r\n", "+x\r\n"),
        ];
        for (write, resp2, resp3) in recorded {
            assert_eq!(written(Protocol::Resp2, write), resp2);
            assert_eq!(written(Protocol::Resp3, write), resp3);
        }
    }

    #[test]
    fn large_values_are_not_copied() {
        let large = Bytes::from(vec![b'x'; SPLICE_BYTES]);
        let small = large.slice(..SPLICE_BYTES - 1);
        let mut reply = Reply::new(Protocol::Resp2);
        reply.bulk_shared(&small);
        reply.push_shared_chunk(&small);
        assert!(reply.contiguous().is_some());
        reply.clear();
        reply.bulk_shared(&large);
        reply.push_shared_chunk(&large);
        assert!(reply.contiguous().is_none());
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(reply.slices(&mut slices), 4);
        assert_eq!(slices[1].as_ptr(), large.as_ptr());
        assert_eq!(slices[3].as_ptr(), large.as_ptr());
        assert_eq!(reply.len(), 8 + 2 + 2 * SPLICE_BYTES);
        assert!(reply.memory() >= reply.len());
        // A slice table that is too short takes the beginning.
        let mut slices = [IoSlice::new(&[]); 1];
        assert_eq!(reply.slices(&mut slices), 1);
        assert_eq!(&*slices[0], b"$16384\r\n");
    }

    /// A client that reads slowly while more is written must not make the buffer grow for ever.
    #[test]
    fn sent_bytes_are_given_back() {
        let mut reply = Reply::new(Protocol::Resp2);
        for _ in 0..2_000 {
            reply.bulk(&[b'x'; 1000]);
            reply.advance(reply.len().min(1009).saturating_sub(1));
        }
        assert!(reply.memory() < 4 * COMPACT_BYTES, "{}", reply.memory());
        reply.advance(reply.len());
        assert!(reply.is_empty());
        reply.shrink();
        assert!(reply.memory() <= RETAINED_BYTES);
    }

    #[test]
    #[should_panic(expected = "advanced past")]
    fn more_than_all_cannot_be_sent() {
        let mut reply = Reply::new(Protocol::Resp2);
        reply.ok();
        reply.advance(6);
    }

    /// What a test may do to a reply.
    #[derive(Clone, Debug)]
    enum Step {
        Bulk(usize),
        Shared(usize),
        Chunk(usize),
        Integer(i64),
        Begin,
        End(usize),
        /// Writes the steps and takes them back.
        Dropped(Vec<Step>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let leaf = prop_oneof![
            (0usize..300).prop_map(Step::Bulk),
            (SPLICE_BYTES - 2..SPLICE_BYTES + 3).prop_map(Step::Shared),
            (SPLICE_BYTES - 2..SPLICE_BYTES + 3).prop_map(Step::Chunk),
            any::<i64>().prop_map(Step::Integer),
            Just(Step::Begin),
            (0usize..2000).prop_map(Step::End),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| prop::collection::vec(inner, 0..4).prop_map(Step::Dropped))
    }

    /// The same done with one flat vector; `open` holds the places of headers to come.
    fn apply(step: &Step, reply: &mut Reply, flat: &mut Vec<u8>, open: &mut Vec<(Deferred, usize)>) {
        match step {
            Step::Bulk(len) => {
                reply.bulk(&vec![b'b'; *len]);
                flat.extend_from_slice(format!("${len}\r\n{}\r\n", "b".repeat(*len)).as_bytes());
            }
            Step::Shared(len) => {
                reply.bulk_shared(&Bytes::from(vec![b's'; *len]));
                flat.extend_from_slice(format!("${len}\r\n{}\r\n", "s".repeat(*len)).as_bytes());
            }
            Step::Chunk(len) => {
                reply.push_shared_chunk(&Bytes::from(vec![b'c'; *len]));
                flat.extend_from_slice(&vec![b'c'; *len]);
            }
            Step::Integer(value) => {
                reply.integer(*value);
                flat.extend_from_slice(format!(":{value}\r\n").as_bytes());
            }
            Step::Begin => open.push((reply.begin_deferred(), flat.len())),
            Step::End(count) => {
                let Some((place, at)) = open.pop() else {
                    return;
                };
                let header = match count % 4 {
                    0 => format!("*{count}\r\n"),
                    1 => format!("%{count}\r\n"),
                    2 => format!("~{count}\r\n"),
                    _ => format!(">{count}\r\n"),
                };
                match count % 4 {
                    0 => reply.end_deferred_array(place, *count),
                    1 => reply.end_deferred_map(place, *count),
                    2 => reply.end_deferred_set(place, *count),
                    _ => reply.end_deferred_push(place, *count),
                }
                flat.splice(at..at, header.bytes());
            }
            Step::Dropped(steps) => {
                let (mark, flat_len) = (reply.mark(), flat.len());
                let mut inner = Vec::new();
                for step in steps {
                    apply(step, reply, flat, &mut inner);
                }
                reply.truncate(mark);
                flat.truncate(flat_len);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn the_reply_is_as_flat_bytes_would_be(
            rounds in prop::collection::vec(
                (prop::collection::vec(step(), 0..12), any::<prop::sample::Index>()),
                1..8,
            ),
        ) {
            let mut reply = Reply::new(Protocol::Resp3);
            let mut flat = Vec::new();
            for (steps, sent) in rounds {
                let mut open = Vec::new();
                for step in &steps {
                    apply(step, &mut reply, &mut flat, &mut open);
                }
                prop_assert_eq!(reply.len(), flat.len());
                prop_assert_eq!(reply.is_empty(), flat.is_empty());
                prop_assert!(gather(&reply, 200) == flat);
                prop_assert!(flat.starts_with(&gather(&reply, 2)));
                let sent = sent.index(flat.len() + 1);
                reply.advance(sent);
                flat.drain(..sent);
                prop_assert!(gather(&reply, 200) == flat);
            }
        }
    }

    /// One decoded element of a reply.
    #[derive(Clone, Debug, PartialEq)]
    enum Element {
        Null,
        Integer(i64),
        Double(f64),
        Bool(bool),
        Bulk(Vec<u8>),
        Many(u8, Vec<Element>),
    }

    fn element() -> impl Strategy<Value = Element> {
        let leaf = prop_oneof![
            Just(Element::Null),
            any::<i64>().prop_map(Element::Integer),
            prop::num::f64::NORMAL.prop_map(Element::Double),
            any::<bool>().prop_map(Element::Bool),
            prop::collection::vec(any::<u8>(), 0..2000).prop_map(Element::Bulk),
        ];
        let kinds = prop::sample::select(b"*~>%".to_vec());
        leaf.prop_recursive(4, 40, 6, move |inner| {
            (kinds.clone(), prop::collection::vec(inner, 0..6)).prop_map(|(kind, mut elements)| {
                let even = elements.len() & !1;
                elements.truncate(if kind == b'%' { even } else { elements.len() });
                Element::Many(kind, elements)
            })
        })
    }

    fn encode(element: &Element, reply: &mut Reply) {
        match element {
            Element::Null => reply.null(),
            Element::Integer(value) => reply.integer(*value),
            Element::Double(value) => reply.double(*value),
            Element::Bool(value) => reply.bool(*value),
            Element::Bulk(value) => reply.bulk(value),
            Element::Many(kind, elements) => {
                match kind {
                    b'*' => reply.array(elements.len()),
                    b'~' => reply.set(elements.len()),
                    b'>' => reply.push(elements.len()),
                    _ => reply.map(elements.len() / 2),
                }
                elements.iter().for_each(|element| encode(element, reply));
            }
        }
    }

    fn decode(input: &mut &[u8]) -> Element {
        let end = memchr::memmem::find(input, b"\r\n").unwrap();
        let (kind, text) = (input[0], str::from_utf8(&input[1..end]).unwrap());
        *input = &input[end + 2..];
        match kind {
            b'_' => Element::Null,
            b':' => Element::Integer(text.parse().unwrap()),
            b',' => Element::Double(text.parse().unwrap()),
            b'#' => Element::Bool(text == "t"),
            b'$' => {
                let (value, rest) = input.split_at(text.parse().unwrap());
                *input = rest.strip_prefix(b"\r\n").unwrap();
                Element::Bulk(value.to_vec())
            }
            _ => {
                let count: usize = text.parse().unwrap();
                let count = if kind == b'%' { 2 * count } else { count };
                Element::Many(kind, (0..count).map(|_| decode(input)).collect())
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(element in element()) {
            let mut reply = Reply::new(Protocol::Resp3);
            encode(&element, &mut reply);
            let bytes = reply.contiguous().unwrap();
            let mut rest = bytes;
            prop_assert_eq!(decode(&mut rest), element);
            prop_assert!(rest.is_empty());
        }
    }
}
