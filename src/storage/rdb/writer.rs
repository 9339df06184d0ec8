//! Writes the format's primitives, each in the form that Redis gives it.

use super::checksum::Checksum;
use super::kind::ValueKind;
use super::version::RdbVersion;
use crate::resp::number;
use crate::text::lzf::{Compression, CompressionStep, Compressor};

/// The form of a compressed string.
const COMPRESSED: u8 = 0xc3;
/// Longer texts are not encoded as integers, whatever they say.
const INTEGER_TEXT_MAX: usize = 11;
/// Shorter strings are not compressed.
const COMPRESSED_MIN_BYTES: usize = 21;
/// A compressed form must be so many bytes shorter than the string.
const SAVING_MIN_BYTES: usize = 4;

/// Appends the format to a buffer.
pub struct Writer<'a> {
    out: Vec<u8>,
    /// Compresses longer strings, if they are to be.
    compressor: Option<&'a mut Compressor>,
    version: RdbVersion,
    /// Bytes that were dealt with, as they were before they were compressed.
    work: usize,
}

impl<'a> Writer<'a> {
    /// A writer at the end of `out`, which compresses longer strings if it is given what with (`rdbcompression`).
    pub fn new(out: Vec<u8>, compressor: Option<&'a mut Compressor>) -> Self {
        Self { out, compressor, version: RdbVersion::default(), work: 0 }
    }

    /// The same writer for readers of this version.
    pub fn in_version(self, version: RdbVersion) -> Self {
        Self { version, ..self }
    }

    /// Whether readers of the version that is written know a type of value.
    pub fn knows(&self, kind: ValueKind) -> bool {
        kind.version() <= self.version.number()
    }

    /// The version that is written.
    pub fn version(&self) -> RdbVersion {
        self.version
    }

    /// All that was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// What has been written and not been taken.
    pub fn written(&self) -> &[u8] {
        &self.out
    }

    /// Empties the buffer, for a caller that has passed its bytes on. Its memory stays.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// The type of the value that follows.
    pub fn kind(&mut self, kind: ValueKind) {
        self.out.push(kind.number());
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.work += bytes.len();
        self.out.extend_from_slice(bytes);
    }

    /// A length, a count or another unsigned number, in one to nine bytes.
    pub fn length(&mut self, length: u64) {
        match length {
            0..0x40 => self.out.push(length as u8),
            0x40..0x4000 => self.bytes(&(0x4000 | length as u16).to_be_bytes()),
            0x4000..=0xffff_ffff => {
                self.out.push(0x80);
                self.bytes(&(length as u32).to_be_bytes());
            }
            _ => {
                self.out.push(0x81);
                self.bytes(&length.to_be_bytes());
            }
        }
    }

    /// A time in milliseconds since 1970.
    pub fn time_ms(&mut self, time_ms: i64) {
        self.bytes(&time_ms.to_le_bytes());
    }

    /// A double as its eight bytes.
    pub fn double(&mut self, double: f64) {
        self.bytes(&double.to_le_bytes());
    }

    /// A string: as an integer where it is the decimal form of a small one, compressed where that pays, or as it is.
    /// O(length).
    pub fn string(&mut self, text: &[u8]) {
        if text.len() <= INTEGER_TEXT_MAX
            && let Some(number) = number::parse_i64(text)
            && self.small_integer(number)
        {
            return;
        }
        if text.len() < COMPRESSED_MIN_BYTES || !self.compressed(text) {
            self.length(text.len() as u64);
            self.bytes(text);
        }
    }

    /// The decimal form of an integer as a string.
    pub fn integer(&mut self, number: i64) {
        if !self.small_integer(number) {
            let mut buffer = itoa::Buffer::new();
            let text = buffer.format(number).as_bytes();
            self.length(text.len() as u64);
            self.bytes(text);
        }
    }

    /// What stands before the compressed form of a string: how long it is, and how long the string.
    pub fn compressed_head(&mut self, packed_length: u64, length: u64) {
        self.out.push(COMPRESSED);
        self.length(packed_length);
        self.length(length);
    }

    /// Begins to compress a long string, if strings are compressed.
    pub fn begin_compression(&mut self, text: &[u8]) -> Option<Compression> {
        let limit = text.len().saturating_sub(SAVING_MIN_BYTES);
        self.compressor.as_mut()?.begin(text, limit)
    }

    /// Compresses about `bytes` more of a long string. O(bytes).
    pub fn compression_step(&mut self, compression: &mut Compression, text: &[u8], bytes: usize) -> CompressionStep {
        match &mut self.compressor {
            Some(compressor) => compressor.step(compression, text, bytes),
            None => CompressionStep::DoesNotPay,
        }
    }

    /// How much was done with this writer, in bytes before they were compressed.
    pub fn work(&self) -> usize {
        self.work
    }

    fn small_integer(&mut self, number: i64) -> bool {
        if let Ok(number) = i8::try_from(number) {
            self.bytes(&[0xc0, number as u8]);
        } else if let Ok(number) = i16::try_from(number) {
            self.out.push(0xc1);
            self.bytes(&number.to_le_bytes());
        } else if let Ok(number) = i32::try_from(number) {
            self.out.push(0xc2);
            self.bytes(&number.to_le_bytes());
        } else {
            return false;
        }
        true
    }

    /// The string in compressed form, if that is so much shorter that it pays. The lengths stand before it, so it is
    /// made first and then moved.
    fn compressed(&mut self, text: &[u8]) -> bool {
        let Some(compressor) = &mut self.compressor else {
            return false;
        };
        let start = self.out.len();
        let limit = text.len() - SAVING_MIN_BYTES;
        self.work += text.len();
        let pays = compressor.compress(text, limit, &mut self.out);
        if pays {
            let end = self.out.len();
            self.out.push(COMPRESSED);
            self.length((end - start) as u64);
            self.length(text.len() as u64);
            self.out[start..].rotate_left(end - start);
        }
        pays
    }

    /// The end of a payload as DUMP makes it: the version of the format and the checksum of all before. O(bytes
    /// written).
    pub fn footer(&mut self, version: u16) {
        self.bytes(&version.to_le_bytes());
        let checksum = Checksum::of(&self.out);
        self.bytes(&checksum.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &[u8], compresses: bool) -> Vec<u8> {
        let mut compressor = Compressor::new();
        let mut writer = Writer::new(Vec::new(), compresses.then_some(&mut compressor));
        writer.string(text);
        writer.into_bytes()
    }

    #[test]
    fn strings_take_their_shortest_form() {
        assert_eq!(string(b"", true), [0]);
        assert_eq!(string(b"-128", true), [0xc0, 0x80]);
        assert_eq!(string(b"128", true), [0xc1, 128, 0]);
        assert_eq!(string(b"-32769", true), [0xc2, 0xff, 0x7f, 0xff, 0xff]);
        assert_eq!(string(b"2147483647", true)[0], 0xc2);
        assert_eq!(string(b"2147483648", true)[0], 10);
        assert_eq!(string(b"007", true)[0], 3);
        assert_eq!(string(&[b'a'; 20], true)[0], 20);
        assert_eq!(string(&[b'a'; 21], true)[0], 0xc3);
        assert_eq!(string(&[b'a'; 21], false)[0], 21);
        let numbers: Vec<u8> = (0..30).collect();
        assert_eq!(string(&numbers, true)[0], 30);
    }

    #[test]
    fn integers_are_written_like_their_text() {
        for number in [0, -129, 1 << 20, 1 << 31, i64::MIN] {
            let mut writer = Writer::new(Vec::new(), None);
            writer.integer(number);
            assert_eq!(writer.written(), string(number.to_string().as_bytes(), true));
        }
    }

    #[test]
    fn a_footer_is_version_and_checksum() {
        let mut writer = Writer::new(Vec::new(), None);
        writer.kind(ValueKind::String);
        writer.string(b"foo");
        writer.footer(10);
        // DUMP of the same value by Redis 7.0.15.
        assert_eq!(writer.into_bytes(), b"\0\x03foo\n\0sI9\xdbM\xc1\xba\x97");
    }
}
