//! The elements of replies, in both protocols: text, numbers, values, headers. Never looks at what was sent.

use bytes::Bytes;

use crate::text::double;

use super::{Deferred, Protocol, Reply, SPLICE_BYTES};

/// The largest number of eight digits.
const EIGHT_DIGITS_MAX: i64 = 99_999_999;

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

impl Reply {
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
        for splice in &mut self.splices[place.splice_count..] {
            splice.offset += header_len;
        }
    }
}
