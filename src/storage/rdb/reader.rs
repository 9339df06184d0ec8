//! Reads the format's primitives from bytes at hand. Nothing is read beyond them, and no memory is set aside that they
//! do not justify.

use std::ops::Deref;

use arrayvec::ArrayVec;

use crate::text::lzf;

use super::error::{Checked, Fault, FormatError, ensure};

/// Longest text of an integer that a string is encoded as: `-2147483648`.
const INTEGER_TEXT_MAX: usize = 11;

/// A length, or the way in which the string that follows is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    Plain(u64),
    Encoded(u8),
}

/// A string that was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Text<'a> {
    /// Its bytes as they lie in the input.
    Raw(&'a [u8]),
    /// The decimal form of a small integer.
    Integer(i32, ArrayVec<u8, INTEGER_TEXT_MAX>),
    /// It was compressed.
    Owned(Vec<u8>),
}

impl Deref for Text<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Text::Raw(bytes) => bytes,
            Text::Integer(_, digits) => digits,
            Text::Owned(bytes) => bytes,
        }
    }
}

impl Text<'_> {
    fn integer(value: i32) -> Self {
        let mut digits = ArrayVec::new();
        for &digit in itoa::Buffer::new().format(value).as_bytes() {
            digits.push(digit);
        }
        Text::Integer(value, digits)
    }

    /// Its bytes in a buffer of their own. O(length), O(1) if it was compressed.
    pub fn into_vec(self) -> Vec<u8> {
        match self {
            Text::Owned(bytes) => bytes,
            borrowed => borrowed.to_vec(),
        }
    }
}

/// Reads the format from a part of the data that lies in memory.
///
/// A read that fails with [`Fault::Truncated`] may succeed when the caller has more of the data: it goes back to where
/// the item began ([`Reader::rewind`]), and begins a new reader there.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    at: usize,
    /// Where in the whole data the input begins.
    base: u64,
    string_max_bytes: u64,
}

impl<'a> Reader<'a> {
    /// A reader of data that begins at byte `base` of the whole, with strings up to `string_max_bytes` long.
    pub fn new(input: &'a [u8], base: u64, string_max_bytes: u64) -> Self {
        Self { input, at: 0, base, string_max_bytes }
    }

    /// How many bytes of the input have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Goes back to a position where this reader was.
    pub fn rewind(&mut self, position: usize) {
        self.at = position.min(self.at);
    }

    /// How many bytes of the input are left.
    pub fn remaining(&self) -> usize {
        self.input.len() - self.at
    }

    /// An error at the current position.
    pub fn error(&self, fault: Fault) -> FormatError {
        FormatError { offset: self.base + self.at as u64, fault, check: None }
    }

    /// Attributes a fault found in what was just read.
    pub(crate) fn checked<T>(&self, result: Checked<T>) -> Result<T, FormatError> {
        result.map_err(|fault| self.error(fault))
    }

    /// Attributes a fault that a named check of a packed collection found; an empty one is none.
    pub(crate) fn checked_block<T>(&self, check: &'static str, result: Checked<T>) -> Result<T, FormatError> {
        result
            .map_err(|fault| FormatError { check: Some(check).filter(|_| fault != Fault::Empty), ..self.error(fault) })
    }

    /// So many bytes as they are. O(1).
    pub fn bytes(&mut self, count: u64) -> Result<&'a [u8], FormatError> {
        let left = self.remaining() as u64;
        if count > left {
            return Err(self.error(Fault::Truncated { missing: count - left }));
        }
        let start = self.at;
        self.at += count as usize;
        Ok(&self.input[start..self.at])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N as u64)?);
        Ok(array)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, FormatError> {
        self.array().map(|[byte]| byte)
    }

    /// A 64-bit number, its low byte first.
    pub fn u64(&mut self) -> Result<u64, FormatError> {
        self.array().map(u64::from_le_bytes)
    }

    /// A signed 32-bit number, its low byte first.
    pub fn i32(&mut self) -> Result<i32, FormatError> {
        self.array().map(i32::from_le_bytes)
    }

    /// A 128-bit number, its high byte first: so are stream IDs written.
    pub fn u128_big_endian(&mut self) -> Result<u128, FormatError> {
        self.array().map(u128::from_be_bytes)
    }

    /// A time in milliseconds since 1970.
    pub fn time_ms(&mut self) -> Result<i64, FormatError> {
        self.array().map(i64::from_le_bytes)
    }

    /// A double as its eight bytes.
    pub fn double(&mut self) -> Result<f64, FormatError> {
        self.array().map(f64::from_le_bytes)
    }

    /// A double as text, as sorted sets held them before version 8.
    pub fn double_text(&mut self) -> Result<f64, FormatError> {
        match self.byte()? {
            253 => Ok(f64::NAN),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            count => {
                let text = self.bytes(u64::from(count))?;
                let number = std::str::from_utf8(text).ok();
                number
                    .and_then(|text| text.parse().ok())
                    .ok_or_else(|| self.error(Fault::Corrupt("a score is not written as a number")))
            }
        }
    }

    /// A length, a count or another unsigned number.
    pub fn length(&mut self) -> Result<u64, FormatError> {
        match self.length_or_encoding()? {
            Length::Plain(length) => Ok(length),
            Length::Encoded(_) => Err(self.error(Fault::Corrupt("a string's encoding where a number must be"))),
        }
    }

    fn length_or_encoding(&mut self) -> Result<Length, FormatError> {
        let first = self.byte()?;
        let low = first & 0x3f;
        Ok(match first >> 6 {
            0 => Length::Plain(u64::from(low)),
            1 => Length::Plain(u64::from(low) << 8 | u64::from(self.byte()?)),
            2 => Length::Plain(match first {
                0x80 => self.array().map(u32::from_be_bytes)?.into(),
                0x81 => self.array().map(u64::from_be_bytes)?,
                _ => return Err(self.error(Fault::Corrupt("a length of an unknown form"))),
            }),
            _ => Length::Encoded(low),
        })
    }

    /// A string. O(length).
    pub fn string(&mut self) -> Result<Text<'a>, FormatError> {
        let encoding = match self.length_or_encoding()? {
            Length::Plain(length) => {
                self.check_length(length)?;
                return self.bytes(length).map(Text::Raw);
            }
            Length::Encoded(encoding) => encoding,
        };
        Ok(match encoding {
            0 => Text::integer(self.array().map(i8::from_le_bytes)?.into()),
            1 => Text::integer(self.array().map(i16::from_le_bytes)?.into()),
            2 => Text::integer(self.array().map(i32::from_le_bytes)?),
            3 => {
                let packed_length = self.length()?;
                let length = self.length()?;
                self.check_length(length)?;
                self.check_length(packed_length)?;
                let packed = self.bytes(packed_length)?;
                let text = lzf::decompress(packed, length);
                let damaged = Fault::Corrupt("a compressed string is damaged");
                Text::Owned(text.map_err(|_| self.error(damaged))?)
            }
            _ => return Err(self.error(Fault::Corrupt("a string of an unknown encoding"))),
        })
    }

    fn check_length(&self, length: u64) -> Result<(), FormatError> {
        let fits = length <= self.string_max_bytes;
        self.checked(ensure(fits, "a string is longer than strings may be"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::rdb::writer::Writer;
    use crate::text::lzf::Compressor;
    use proptest::prelude::*;

    fn reader(input: &[u8]) -> Reader<'_> {
        Reader::new(input, 100, 1 << 40)
    }

    fn fault<T>(result: Result<T, FormatError>) -> Option<(u64, Fault)> {
        result.err().map(|error| (error.offset, error.fault))
    }

    #[test]
    fn lengths_have_four_forms() {
        let length = |input: &[u8]| reader(input).length();
        assert_eq!(length(&[0x3f]), Ok(63));
        assert_eq!(length(&[0x7f, 0xff]), Ok(16383));
        assert_eq!(length(&[0x80, 0, 1, 0, 0]), Ok(65536));
        assert_eq!(length(&[0x81, 1, 0, 0, 0, 0, 0, 0, 0]), Ok(1 << 56));
        for unknown in [0x82, 0xbf] {
            let reason = Fault::Corrupt("a length of an unknown form");
            assert_eq!(fault(length(&[unknown])), Some((101, reason)));
        }
        let reason = Fault::Corrupt("a string's encoding where a number must be");
        assert_eq!(fault(length(&[0xc0, 1])), Some((101, reason)));
        let missing = Fault::Truncated { missing: 3 };
        assert_eq!(fault(length(&[0x80, 1])), Some((101, missing)));
    }

    #[test]
    fn strings_have_five_forms() {
        let string = |input: &[u8]| reader(input).string().map(Text::into_vec);
        assert_eq!(string(b"\x03abc"), Ok(b"abc".to_vec()));
        assert_eq!(string(b"\xc0\x80"), Ok(b"-128".to_vec()));
        assert_eq!(string(b"\xc1\xff\x7f"), Ok(b"32767".to_vec()));
        assert_eq!(string(b"\xc2\0\0\0\x80"), Ok(b"-2147483648".to_vec()));
        assert_eq!(string(b"\xc3\x04\x07\0a\x80\0"), Ok(b"aaaaaaa".to_vec()));
        let reason = Fault::Corrupt("a compressed string is damaged");
        assert_eq!(fault(string(b"\xc3\x04\x08\0a\x80\0")), Some((107, reason)));
        let reason = Fault::Corrupt("a string of an unknown encoding");
        assert_eq!(fault(string(b"\xc4")), Some((101, reason)));
    }

    #[test]
    fn hostile_lengths_cost_nothing() {
        let huge = b"\x81\x00\x00\x00\xff\xff\xff\xff\xff";
        let missing = Fault::Truncated { missing: (1 << 40) - 1 };
        assert_eq!(fault(reader(huge).string()), Some((109, missing)));
        let beyond = b"\x81\xff\xff\xff\xff\xff\xff\xff\xff";
        let reason = Fault::Corrupt("a string is longer than strings may be");
        assert_eq!(fault(reader(beyond).string()), Some((109, reason)));
        let inflated = b"\xc3\x01\x80\x40\x00\x00\x00\x00";
        let reason = Fault::Corrupt("a compressed string is damaged");
        assert_eq!(fault(reader(inflated).string()), Some((108, reason)));
    }

    #[test]
    fn doubles_have_two_forms() {
        let text = |input: &[u8]| reader(input).double_text();
        assert_eq!(text(b"\x043.25"), Ok(3.25));
        assert_eq!(text(b"\xfe"), Ok(f64::INFINITY));
        assert_eq!(text(b"\xff"), Ok(f64::NEG_INFINITY));
        assert!(text(b"\xfd").is_ok_and(f64::is_nan));
        assert!(text(b"\x04abcd").is_err() && text(b"\x043.2").is_err());
        assert_eq!(reader(&2.5f64.to_le_bytes()).double(), Ok(2.5));
    }

    #[test]
    fn a_reader_goes_back() {
        let mut reader = reader(b"\x01\x02");
        assert_eq!((reader.byte(), reader.position()), (Ok(1), 1));
        reader.rewind(0);
        assert_eq!((reader.byte(), reader.byte(), reader.remaining()), (Ok(1), Ok(2), 0));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(numbers: Vec<u64>, texts: Vec<Vec<u8>>, word: Vec<u8>, score: f64) {
            let mut compressor = Compressor::new();
            let mut writer = Writer::new(Vec::new(), Some(&mut compressor));
            for &number in &numbers {
                // Numbers of every size.
                writer.length(number >> (number % 64));
            }
            for text in &texts {
                writer.string(text);
                writer.string(&text.repeat(9));
                writer.string(itoa::Buffer::new().format(text.len()).as_bytes());
            }
            writer.string(&word);
            writer.double(score);
            let bytes = writer.into_bytes();
            let mut reader = reader(&bytes);
            for number in numbers {
                prop_assert_eq!(reader.length(), Ok(number >> (number % 64)));
            }
            for text in texts {
                prop_assert_eq!(&*reader.string().unwrap(), &text[..]);
                prop_assert_eq!(&*reader.string().unwrap(), &text.repeat(9)[..]);
                let length = text.len().to_string();
                prop_assert_eq!(&*reader.string().unwrap(), length.as_bytes());
            }
            prop_assert_eq!(&*reader.string().unwrap(), &word[..]);
            prop_assert_eq!(reader.double().unwrap().to_bits(), score.to_bits());
            prop_assert_eq!(reader.remaining(), 0);
        }
    }
}
