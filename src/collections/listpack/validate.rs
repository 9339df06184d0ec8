//! Owns the check of foreign bytes that are said to be a listpack.

use super::entry::checked_size;
use super::{COUNT_UNKNOWN, END, Error, HEADER_BYTES, Listpack};

/// Checks that the bytes are a listpack: of its frame only, in O(1) up to 65534 elements, or deeply, every entry, in
/// O(n). Returns the number of elements. After a deep check no method of [`Listpack`] panics at the positions that it
/// gives.
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
        at += checked_size(&bytes[at..end])?;
        counted += 1;
    }
    let count = u16::from_le_bytes([bytes[4], bytes[5]]);
    if count != COUNT_UNKNOWN && usize::from(count) != counted {
        return Err(Error::WrongCount);
    }
    Ok(counted)
}
