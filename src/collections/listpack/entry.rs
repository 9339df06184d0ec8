//! Owns the bytes of one entry: its encoding, its length, its back length.

use smallvec::SmallVec;

use super::{Element, Error};

/// First byte of an integer of 13 bits, with its five most significant bits.
const INTEGER_13: u8 = 0xC0;
/// First byte of a string of up to 63 bytes, with its length.
const TEXT_6: u8 = 0x80;
/// First byte of a string of up to 4095 bytes, with the four most significant bits of its length.
const TEXT_12: u8 = 0xE0;
/// First byte of a longer string.
const TEXT_32: u8 = 0xF0;
/// First byte of an integer of two bytes; those of three, four and eight follow.
const INTEGER_16: u8 = 0xF1;
const INTEGER_24: u8 = 0xF2;
const INTEGER_32: u8 = 0xF3;
const INTEGER_64: u8 = 0xF4;

/// Bytes of the longest back length.
const BACK_BYTES_MAX: usize = 5;

/// Where encoded entries go.
pub(super) trait Sink {
    /// Appends bytes.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<const N: usize> Sink for SmallVec<[u8; N]> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// What is left of a place that has just as many bytes as are to come.
impl Sink for &mut [u8] {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let (place, rest) = std::mem::take(self).split_at_mut(bytes.len());
        place.copy_from_slice(bytes);
        *self = rest;
    }
}

/// Bytes of an entry that its first byte alone tells, back length included; 0 where it does not tell.
const SIZES: [u8; 256] = {
    let mut sizes = [0; 256];
    let mut first = 0;
    while first < 256 {
        sizes[first] = match first as u8 {
            0..TEXT_6 => 2,
            text @ TEXT_6..INTEGER_13 => text - TEXT_6 + 2,
            INTEGER_13..TEXT_12 => 3,
            INTEGER_16 => 4,
            INTEGER_24 => 5,
            INTEGER_32 => 6,
            INTEGER_64 => 10,
            _ => 0,
        };
        first += 1;
    }
    sizes
};

/// Bytes of the back length of an entry that has so many bytes before it. The largest number of each size of back
/// length takes one byte more than it needs: so Redis writes it.
#[inline]
const fn back_bytes(size: usize) -> usize {
    match size {
        0..=127 => 1,
        128..16_383 => 2,
        16_383..2_097_151 => 3,
        2_097_151..268_435_455 => 4,
        _ => BACK_BYTES_MAX,
    }
}

/// The back length of an entry that has so many bytes before it, in the first bytes of the array.
fn back_length(size: usize) -> ([u8; BACK_BYTES_MAX], usize) {
    let count = back_bytes(size);
    let mut bytes = [0; BACK_BYTES_MAX];
    for (index, byte) in bytes[..count].iter_mut().enumerate() {
        *byte = (size >> (7 * (count - 1 - index))) as u8 & 0x7F;
        if index > 0 {
            *byte |= 0x80;
        }
    }
    (bytes, count)
}

/// The number of bytes that an element takes in a listpack.
#[inline]
#[must_use]
pub const fn encoded_size(element: &Element<'_>) -> usize {
    match *element {
        Element::Integer(integer) => match integer {
            0..=0x7F => 2,
            -0x1000..0x1000 => 3,
            -0x8000..0x8000 => 4,
            -0x80_0000..0x80_0000 => 5,
            -0x8000_0000..0x8000_0000 => 6,
            _ => 10,
        },
        Element::Text(text) => {
            let head = match text.len() {
                0..64 => 1,
                64..4096 => 2,
                _ => 5,
            };
            head + text.len() + back_bytes(head + text.len())
        }
    }
}

/// Appends the entry of an element.
#[inline]
pub(super) fn encode(element: &Element<'_>, sink: &mut impl Sink) {
    match *element {
        Element::Integer(integer) => encode_integer(integer, sink),
        Element::Text(text) if text.len() < 64 => {
            sink.put(&[TEXT_6 | text.len() as u8]);
            sink.put(text);
            sink.put(&[text.len() as u8 + 1]);
        }
        Element::Text(text) if text.len() < 126 => {
            sink.put(&[TEXT_12, text.len() as u8]);
            sink.put(text);
            sink.put(&[text.len() as u8 + 2]);
        }
        Element::Text(text) => encode_long(text, sink),
    }
}

fn encode_integer(integer: i64, sink: &mut impl Sink) {
    let [a, b, c, d, ..] = integer.to_le_bytes();
    match integer {
        0..=0x7F => sink.put(&[a, 1]),
        -0x1000..0x1000 => sink.put(&[INTEGER_13 | b & 0x1F, a, 2]),
        -0x8000..0x8000 => sink.put(&[INTEGER_16, a, b, 3]),
        -0x80_0000..0x80_0000 => sink.put(&[INTEGER_24, a, b, c, 4]),
        -0x8000_0000..0x8000_0000 => sink.put(&[INTEGER_32, a, b, c, d, 5]),
        _ => {
            let mut entry = [INTEGER_64; 10];
            entry[1..9].copy_from_slice(&integer.to_le_bytes());
            entry[9] = 9;
            sink.put(&entry);
        }
    }
}

fn encode_long(text: &[u8], sink: &mut impl Sink) {
    let length = text.len();
    let head = if length < 4096 {
        sink.put(&[TEXT_12 | (length >> 8) as u8, length as u8]);
        2
    } else {
        // INVARIANT: the callers ask `may_grow` before they put an element in.
        let length = u32::try_from(length).expect("a listpack stays below its limit of 1 GiB");
        let [a, b, c, d] = length.to_le_bytes();
        sink.put(&[TEXT_32, a, b, c, d]);
        5
    };
    sink.put(text);
    let (back, count) = back_length(head + length);
    sink.put(&back[..count]);
}

/// The bytes of the entry that begins at `at`, back length included; `None` at the end, or where no entry begins.
#[inline]
pub(super) fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    let &first = bytes.get(at)?;
    if (TEXT_6..INTEGER_13).contains(&first) {
        return Some(usize::from(first & 0x3F) + 2);
    }
    if first < TEXT_6 {
        return Some(2);
    }
    match SIZES[usize::from(first)] {
        0 => long_size_at(bytes, at),
        size => Some(usize::from(size)),
    }
}

/// The first byte of a text of so many bytes, if it is short enough that its length is in there.
#[inline]
pub(super) const fn short_text_head(length: usize) -> Option<u8> {
    if length < 64 { Some(TEXT_6 | length as u8) } else { None }
}

/// Whether what begins with a byte is a longer text or no entry.
#[inline]
pub(super) const fn is_long_text(first: u8) -> bool {
    SIZES[first as usize] == 0
}

fn long_size_at(bytes: &[u8], at: usize) -> Option<usize> {
    let (head, length) = long_text(&bytes[at..])?;
    Some(head + length + back_bytes(head + length))
}

/// The bytes before the text and the length of the text, where the entry that the bytes begin with is one of the long
/// texts.
#[inline]
fn long_text(bytes: &[u8]) -> Option<(usize, usize)> {
    match *bytes {
        [first @ TEXT_12..TEXT_32, low, ..] => Some((2, usize::from(first & 0x0F) << 8 | usize::from(low))),
        [TEXT_32, a, b, c, d, ..] => Some((5, u32::from_le_bytes([a, b, c, d]) as usize)),
        _ => None,
    }
}

/// The element whose entry begins at `at`, and the bytes of the entry; `None` at the end, or where no entry begins.
#[inline]
pub(super) fn decode(bytes: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    let bytes = bytes.get(at..)?;
    let &first = bytes.first()?;
    if first < TEXT_6 {
        return Some((Element::Integer(i64::from(first)), 2));
    }
    if first < INTEGER_13 {
        let length = usize::from(first & 0x3F);
        return Some((Element::Text(bytes.get(1..=length)?), length + 2));
    }
    if let [TEXT_12..TEXT_32, low, ..] = *bytes {
        let length = usize::from(first & 0x0F) << 8 | usize::from(low);
        let text = bytes.get(2..length + 2)?;
        return Some((Element::Text(text), length + 2 + back_bytes(length + 2)));
    }
    decode_rare(bytes)
}

/// What [`decode`] does, for integers of more than seven bits and for the longest texts.
fn decode_rare(bytes: &[u8]) -> Option<(Element<'_>, usize)> {
    if let Some(integer) = wide_integer(bytes) {
        let size = SIZES[usize::from(bytes[0])];
        return Some((Element::Integer(integer), usize::from(size)));
    }
    let (head, length) = long_text(bytes)?;
    let text = bytes.get(head..head + length)?;
    let size = head + length + back_bytes(head + length);
    Some((Element::Text(text), size))
}

/// The integer of more than seven bits, where the entry that the bytes begin with is one.
#[inline]
fn wide_integer(bytes: &[u8]) -> Option<i64> {
    Some(match *bytes {
        [first @ INTEGER_13..TEXT_12, low, ..] => {
            // Shifted up and down again, for the sign of 13 bits.
            i64::from(i16::from_be_bytes([first, low]) << 3 >> 3)
        }
        [INTEGER_16, a, b, ..] => i64::from(i16::from_le_bytes([a, b])),
        [INTEGER_24, a, b, c, ..] => i64::from(i32::from_le_bytes([0, a, b, c]) >> 8),
        [INTEGER_32, a, b, c, d, ..] => i64::from(i32::from_le_bytes([a, b, c, d])),
        [INTEGER_64, a, b, c, d, e, f, g, h, ..] => i64::from_le_bytes([a, b, c, d, e, f, g, h]),
        _ => return None,
    })
}

/// Where the entry begins that ends before `end`; `None` where no entry can.
#[inline]
pub(super) fn start_before(bytes: &[u8], end: usize) -> Option<usize> {
    let mut size = 0usize;
    for index in 0..BACK_BYTES_MAX {
        let byte = *bytes.get(end.checked_sub(index + 1)?)?;
        size |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return end.checked_sub(size + index + 1);
        }
    }
    None
}

/// The bytes of the entry that the bytes begin with, back length included, if all of them are there and the back length
/// is right; why not, otherwise.
#[inline]
pub(super) fn checked_size(bytes: &[u8]) -> Result<usize, Error> {
    let size = size_at(bytes, 0).ok_or(Error::BadEntry)?;
    let entry = bytes.get(..size).ok_or(Error::BadEntry)?;
    let right = match size {
        0..=128 => usize::from(entry[size - 1]) == size - 1,
        _ => has_right_back_length(entry),
    };
    if right { Ok(size) } else { Err(Error::WrongBackLength) }
}

/// Whether the entry that takes the bytes, back length included, ends with the right back length.
fn has_right_back_length(entry: &[u8]) -> bool {
    (1..=BACK_BYTES_MAX.min(entry.len())).any(|count| {
        let size = entry.len() - count;
        let (back, right_count) = back_length(size);
        right_count == count && entry[size..] == back[..count]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(element: &Element<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(element, &mut bytes);
        bytes
    }

    #[test]
    fn sizes_are_those_of_the_format_at_their_borders() {
        let integers = [
            (0, 2),
            (127, 2),
            (128, 3),
            (-1, 3),
            (4095, 3),
            (-4096, 3),
            (4096, 4),
            (-4097, 4),
            (32_767, 4),
            (-32_768, 4),
            (32_768, 5),
            (-32_769, 5),
            (8_388_607, 5),
            (-8_388_608, 5),
            (8_388_608, 6),
            (-8_388_609, 6),
            (2_147_483_647, 6),
            (-2_147_483_648, 6),
            (2_147_483_648, 10),
            (-2_147_483_649, 10),
            (i64::MAX, 10),
            (i64::MIN, 10),
        ];
        for (integer, size) in integers {
            let element = Element::Integer(integer);
            let bytes = encoded(&element);
            assert_eq!(bytes.len(), size, "{integer}");
            check(element, &bytes);
        }
        let texts = [
            (0, 2),
            (63, 65),
            (64, 67),
            (125, 128),
            (126, 130),
            (4095, 4099),
            (4096, 4103),
            (16_377, 16_384),
            (16_378, 16_386),
            (2_097_145, 2_097_153),
            (2_097_146, 2_097_155),
        ];
        for (length, size) in texts {
            let text = vec![b'x'; length];
            let bytes = encoded(&Element::Text(&text));
            assert_eq!(bytes.len(), size, "{length}");
            check(Element::Text(&text), &bytes);
        }
    }

    #[track_caller]
    fn check(element: Element<'_>, bytes: &[u8]) {
        assert_eq!(encoded_size(&element), bytes.len());
        assert_eq!(size_at(bytes, 0), Some(bytes.len()));
        assert_eq!(decode(bytes, 0), Some((element, bytes.len())));
        assert_eq!(start_before(bytes, bytes.len()), Some(0));
        assert_eq!(checked_size(bytes), Ok(bytes.len()));
        assert_eq!(checked_size(&bytes[..bytes.len() - 1]), Err(Error::BadEntry));
        let mut wrong = bytes.to_vec();
        if let Some(last) = wrong.last_mut() {
            *last ^= 1;
        }
        assert_eq!(checked_size(&wrong), Err(Error::WrongBackLength));
    }

    #[test]
    fn what_is_no_entry_is_none() {
        for bytes in [&[0xF5u8, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &[0xFE, 1], &[0xFF], &[]] {
            assert_eq!(decode(bytes, 0), None);
            assert_eq!(size_at(bytes, 0), None);
        }
        assert_eq!(decode(&[0x85, b'a'], 0), None, "a text that is cut off");
        assert_eq!(decode(&[0xF0, 0xFF, 0xFF, 0xFF, 0xFF, 1], 0), None);
        assert_eq!(start_before(&[0x81; 6], 6), None, "a back length without an end");
        assert_eq!(start_before(&[9], 1), None, "a back length beyond the front");
    }
}
