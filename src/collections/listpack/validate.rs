//! Owns the check of foreign bytes that are said to be a listpack.

use std::fmt;

use super::entry::{has_right_back_length, size_at};
use super::{COUNT_UNKNOWN, END, HEADER_BYTES, Listpack};

/// Why bytes are not a listpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There are fewer bytes than an empty listpack has.
    TooShort,
    /// The total in the header is not the number of bytes.
    WrongTotal,
    /// The last byte is not the end.
    NoEnd,
    /// There is no such entry, or it reaches beyond the end.
    BadEntry,
    /// The back length of an entry is not the number of its bytes.
    WrongBackLength,
    /// The count in the header is not the number of elements.
    WrongCount,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Error::TooShort => "a listpack is too short",
            Error::WrongTotal => "a listpack has another length than it says",
            Error::NoEnd => "a listpack does not end",
            Error::BadEntry => "a listpack has an entry that is none",
            Error::WrongBackLength => "a listpack has an entry with a wrong back length",
            Error::WrongCount => "a listpack has another number of elements than it says",
        })
    }
}

impl std::error::Error for Error {}

/// Checks that the bytes are a listpack: of its frame only, in O(1) up to 65534 elements, or deeply, every entry, in O(n).
/// Returns the number of elements. After a deep check no method of [`Listpack`] panics at the positions that it gives.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn validate(bytes: &[u8], deep: bool) -> Result<usize, Error> {
    if bytes.len() <= HEADER_BYTES {
        return Err(Error::TooShort);
    }
    let total = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    if total as usize != bytes.len() {
        return Err(Error::WrongTotal);
    }
    let end = bytes.len() - 1;
    if bytes[end] != END {
        return Err(Error::NoEnd);
    }
    if !deep {
        return Ok(Listpack::new(bytes).len());
    }
    let mut at = HEADER_BYTES;
    let mut counted = 0;
    while at < end {
        let after = size_at(bytes, at).ok_or(Error::BadEntry)? + at;
        let entry = bytes[..end].get(at..after).ok_or(Error::BadEntry)?;
        if !has_right_back_length(entry) {
            return Err(Error::WrongBackLength);
        }
        at = after;
        counted += 1;
    }
    let count = u16::from_le_bytes([bytes[4], bytes[5]]);
    if count != COUNT_UNKNOWN && usize::from(count) != counted {
        return Err(Error::WrongCount);
    }
    Ok(counted)
}
