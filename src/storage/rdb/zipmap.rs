//! Reads zipmaps: what small hashes were before Redis 2.6.
//!
//! ```text
//! count: u8 │ length │ field │ length │ spare: u8 │ value │ spare bytes │ … │ 0xFF
//! ```
//!
//! A length is one byte, or 0xFE and four bytes, low byte first. A count of 254 or more means that the fields must be
//! counted.

use crate::collections::listpack::Builder;

use super::error::{Checked, Fault, ensure};

const END: u8 = 0xff;
const LONG_LENGTH: u8 = 0xfe;

const BAD_ENTRY: Fault = Fault::Corrupt("a zipmap has an entry that is none");

/// A listpack of a zipmap's fields, each followed by its value. Checks every byte. O(n).
pub(crate) fn to_listpack(zipmap: &[u8]) -> Checked<Vec<u8>> {
    let [count, entries @ .., END] = zipmap else {
        return Err(Fault::Corrupt("a zipmap is too short or does not end"));
    };
    ensure(!entries.is_empty(), "a zipmap without fields")?;
    let mut builder = Builder::with_capacity(zipmap.len());
    let mut rest = entries;
    while !rest.is_empty() {
        let (field, after) = entry(rest).ok_or(BAD_ENTRY)?;
        let (value, after) = value(after).ok_or(BAD_ENTRY)?;
        builder.push_bytes(field);
        builder.push_bytes(value);
        rest = after;
    }
    ensure(
        *count >= LONG_LENGTH || usize::from(*count) * 2 == builder.len(),
        "a zipmap has another number of fields than it says",
    )?;
    Ok(builder.finish())
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes.first()? {
        END => None,
        LONG_LENGTH => {
            let (length, rest) = bytes[1..].split_first_chunk::<4>()?;
            Some((u32::from_le_bytes(*length) as usize, rest))
        }
        short => Some((usize::from(short), &bytes[1..])),
    }
}

fn entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = length(bytes)?;
    rest.split_at_checked(length)
}

fn value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = length(bytes)?;
    let (&spare, rest) = rest.split_first()?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some((value, rest.get(usize::from(spare)..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::listpack::Listpack;

    fn elements(zipmap: &[u8]) -> Checked<Vec<Vec<u8>>> {
        let listpack = to_listpack(zipmap)?;
        let elements = Listpack::new(&listpack).iter();
        Ok(elements.map(|element| element.to_vec()).collect())
    }

    #[test]
    fn fields_and_values_are_found() {
        let zipmap = b"\x02\x01a\x02\x01bcX\xfe\x03\0\0\0def\x00\x00\xff";
        let expected: [&[u8]; 4] = [b"a", b"bc", b"def", b""];
        assert_eq!(elements(zipmap), Ok(expected.map(<[u8]>::to_vec).to_vec()));
        // Uncounted.
        assert_eq!(elements(b"\xfe\x01a\x01\x00b\xff").map(|found| found.len()), Ok(2));
    }

    #[test]
    fn damaged_ones_are_refused() {
        let reason = |zipmap: &[u8]| match elements(zipmap) {
            Err(Fault::Corrupt(reason)) => reason,
            other => panic!("{other:?}"),
        };
        for short in [&b""[..], b"\xff", b"\x01\x01a\x01\x00b"] {
            assert_eq!(reason(short), "a zipmap is too short or does not end");
        }
        for bad in [
            &b"\x01\x01a\xff"[..],            // no value
            b"\x01\x01a\x02\x00b\xff",        // a value that is cut off
            b"\x01\x01a\x01\x09b\xff",        // spare bytes that are not there
            b"\x01\x01a\x01\xff",             // no byte that counts the spare ones
            b"\x01\xfe\xff\xff\xff\xffa\xff", // a field beyond the end
            b"\x01\xff\x01a\xff",             // an end before the end
        ] {
            assert_eq!(reason(bad), "a zipmap has an entry that is none", "{bad:?}");
        }
        assert_eq!(reason(b"\x00\xff"), "a zipmap without fields");
        let wrong = b"\x02\x01a\x01\x00b\xff";
        assert_eq!(reason(wrong), "a zipmap has another number of fields than it says");
    }
}
