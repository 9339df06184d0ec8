//! Reads ziplists: what small collections were before Redis 7.0.
//!
//! ```text
//! total: u32 │ last: u32 │ count: u16 │ entry │ entry │ … │ 0xFF
//! entry = length of the entry before (1 byte, or 0xFE and 4 bytes) │ encoding │ data
//! ```
//!
//! `last` is where the last entry begins; a count of 65535 means that the entries must be counted. Numbers are
//! little-endian, but for the lengths of strings.
//!
//! | encoding               | what follows                                 |
//! |------------------------|----------------------------------------------|
//! | `00xxxxxx`             | a string of so many bytes                    |
//! | `01xxxxxx` and 1 byte  | a string of so many bytes, high byte first   |
//! | `10xxxxxx` and 4 bytes | a string of so many bytes, high byte first   |
//! | `0xC0`, `0xD0`, `0xE0` | a signed integer of 2, 4, 8 bytes            |
//! | `0xF0`, `0xFE`         | a signed integer of 3 bytes, of 1 byte       |
//! | `0xF1` to `0xFD`       | nothing: the integers 0 to 12                |

use crate::collections::listpack::{Builder, Element};

use super::error::{Checked, Fault, ensure};

const HEADER_BYTES: usize = 10;
const END: u8 = 0xff;
/// The count that means that the entries must be counted.
const COUNT_UNKNOWN: usize = 0xffff;
/// The length of the entry before takes five bytes, of which this is the first.
const LONG_LENGTH: u8 = 0xfe;

const BAD_ENTRY: Fault = Fault::Corrupt("a ziplist has an entry that is none");

/// A listpack of a ziplist's elements. Checks every byte. O(n).
pub(crate) fn to_listpack(ziplist: &[u8]) -> Checked<Vec<u8>> {
    let mut builder = Builder::with_capacity(ziplist.len());
    read(ziplist, |element| builder.push(&element))?;
    Ok(builder.finish())
}

/// Hands over each element in turn.
fn read<'a>(bytes: &'a [u8], mut each: impl FnMut(Element<'a>)) -> Checked {
    let (header, entries) = bytes.split_at_checked(HEADER_BYTES).ok_or(Fault::Corrupt("a ziplist is too short"))?;
    let (total, last) = (number_u32(&header[..4]), number_u32(&header[4..8]));
    let count = usize::from(u16::from_le_bytes([header[8], header[9]]));
    ensure(total == bytes.len(), "a ziplist has another length than it says")?;
    let (&end, mut rest) = entries.split_last().ok_or(Fault::Corrupt("a ziplist is too short"))?;
    ensure(end == END, "a ziplist does not end")?;
    let (mut counted, mut before_bytes, mut begin) = (0, 0, HEADER_BYTES);
    while !rest.is_empty() {
        begin = bytes.len() - 1 - rest.len();
        let (said_bytes, entry) = length_before(rest).ok_or(BAD_ENTRY)?;
        ensure(said_bytes == before_bytes, "a ziplist has an entry with a wrong length of the one before")?;
        let (element, after) = element(entry).ok_or(BAD_ENTRY)?;
        before_bytes = rest.len() - after.len();
        rest = after;
        counted += 1;
        each(element.normalized());
    }
    ensure(last == begin, "a ziplist has another last entry than it says")?;
    ensure(count == COUNT_UNKNOWN || count == counted, "a ziplist has another number of entries than it says")
}

/// The length that an entry gives for the one before, and what follows.
fn length_before(entry: &[u8]) -> Option<(usize, &[u8])> {
    match *entry.first()? {
        END => None,
        LONG_LENGTH => {
            let (length, rest) = entry[1..].split_at_checked(4)?;
            Some((number_u32(length), rest))
        }
        short => Some((usize::from(short), &entry[1..])),
    }
}

/// An element as the bytes behind the length of the one before have it.
enum Stored<'a> {
    Integer(i64),
    Text(&'a [u8]),
}

impl<'a> Stored<'a> {
    /// As a listpack would have it: a string that reads like an integer is one.
    fn normalized(self) -> Element<'a> {
        match self {
            Stored::Integer(integer) => Element::Integer(integer),
            Stored::Text(text) => Element::of(text),
        }
    }
}

/// The element that is encoded here, and what follows.
fn element(bytes: &[u8]) -> Option<(Stored<'_>, &[u8])> {
    let (&encoding, rest) = bytes.split_first()?;
    let integer_bytes = match encoding {
        0x00..=0x3f => return text(rest, usize::from(encoding)),
        0x40..=0x7f => {
            let (&low, rest) = rest.split_first()?;
            return text(rest, usize::from(encoding & 0x3f) << 8 | usize::from(low));
        }
        0x80..=0xbf => {
            let (length, rest) = rest.split_at_checked(4)?;
            return text(rest, number_u32_big_endian(length));
        }
        0xf1..=0xfd => return Some((Stored::Integer(i64::from(encoding - 0xf1)), rest)),
        0xc0 => 2,
        0xd0 => 4,
        0xe0 => 8,
        0xf0 => 3,
        0xfe => 1,
        _ => return None,
    };
    let (integer, rest) = rest.split_at_checked(integer_bytes)?;
    let mut wide = [0; 8];
    wide[8 - integer_bytes..].copy_from_slice(integer);
    let shift = 64 - 8 * integer_bytes as u32;
    Some((Stored::Integer(i64::from_le_bytes(wide) >> shift), rest))
}

fn text(bytes: &[u8], length: usize) -> Option<(Stored<'_>, &[u8])> {
    let (text, rest) = bytes.split_at_checked(length)?;
    Some((Stored::Text(text), rest))
}

fn number_u32(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte))
}

fn number_u32_big_endian(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte))
}

#[cfg(test)]
mod tests {
    use super::super::tests::ziplist;
    use super::*;
    use crate::collections::listpack::Listpack;
    use proptest::prelude::*;

    fn elements(listpack: &[u8]) -> Vec<Vec<u8>> {
        let elements = Listpack::new(listpack).iter();
        elements.map(|element| element.to_vec()).collect()
    }

    #[test]
    fn integers_have_six_widths() {
        let numbers: Vec<String> = (0..63)
            .flat_map(|bit| [1i64 << bit, (1 << bit) - 1, -(1 << bit), -(1 << bit) - 1])
            .map(|number| number.to_string())
            .collect();
        let texts: Vec<&[u8]> = numbers.iter().map(String::as_bytes).collect();
        let listpack = to_listpack(&ziplist(&texts)).expect("a ziplist");
        assert_eq!(elements(&listpack), texts);
    }

    #[test]
    fn each_damage_is_told_apart() {
        let good = ziplist(&[b"one", b"2"]);
        assert!(to_listpack(&good).is_ok());
        let damaged = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            to_listpack(&bytes).map_err(|fault| match fault {
                Fault::Corrupt(reason) => reason,
                _ => "another fault",
            })
        };
        assert_eq!(damaged(0, 0), Err("a ziplist has another length than it says"));
        assert_eq!(damaged(4, 10), Err("a ziplist has another last entry than it says"));
        assert_eq!(damaged(8, 3), Err("a ziplist has another number of entries than it says"));
        assert_eq!(damaged(good.len() - 1, 0), Err("a ziplist does not end"));
        assert_eq!(damaged(11, 60), Err("a ziplist has an entry that is none"));
        assert_eq!(damaged(10, 0xff), Err("a ziplist has an entry that is none"));
        assert_eq!(damaged(15, 4), Err("a ziplist has an entry with a wrong length of the one before"));
        assert_eq!(to_listpack(&good[..9]), Err(Fault::Corrupt("a ziplist is too short")));
        // The entries need not be counted in the header.
        let mut uncounted = good.clone();
        uncounted[8..10].fill(0xff);
        assert_eq!(to_listpack(&uncounted), to_listpack(&good));
    }

    proptest! {
        #[test]
        fn elements_stay_the_same(texts: Vec<Vec<u8>>, length in 60..20_000usize) {
            let long = vec![b'x'; length];
            let mut texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            texts.insert(texts.len() / 2, &long);
            let listpack = to_listpack(&ziplist(&texts)).expect("a ziplist");
            prop_assert_eq!(elements(&listpack), texts);
        }

        #[test]
        fn damage_does_no_harm(texts: Vec<Vec<u8>>, changes: Vec<(prop::sample::Index, u8)>) {
            let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
            let mut bytes = ziplist(&texts);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(listpack) = to_listpack(&bytes) {
                prop_assert!(crate::collections::listpack::validate(&listpack, true).is_ok());
            }
        }
    }
}
