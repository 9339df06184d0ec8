//! Owns the listpack: a sequence of short strings and integers in contiguous bytes, in the format of RDB files since
//! version
//! 10. Never allocates to read, and never reads beyond its bytes, whatever they say.
//!
//! ```text
//! total: u32 │ count: u16 │ entry │ entry │ … │ 0xFF        entry: encoding and length │ data │ back length
//! ```
//!
//! Numbers are little-endian. `total` counts all bytes; a `count` of 65535 means that the elements must be counted. The
//! back length of an entry is the number of its bytes before it, in groups of seven bits, and is read from its end
//! towards the front; so a listpack is walked in both directions. The format is described in
//! <https://github.com/antirez/listpack>.
//!
//! | first byte            | what it is                                              |
//! |-----------------------|---------------------------------------------------------|
//! | `0xxxxxxx`            | an integer of 0..=127                                   |
//! | `10xxxxxx`            | a string of up to 63 bytes                              |
//! | `110xxxxx` and 1 byte | a signed integer of 13 bits, most significant first     |
//! | `1110xxxx` and 1 byte | a string of up to 4095 bytes, most significant first    |
//! | `0xF0` and 4 bytes    | a string of up to 2³² - 1 bytes                         |
//! | `0xF1` … `0xF4`       | a signed integer of 2, 3, 4, 8 bytes                    |
//! | `0xFF`                | the end                                                 |
//!
//! `element` is what an entry means, `entry` its bytes, `reader` walks and searches, `edit` changes in place, `builder`
//! makes a listpack from front to back, `validate` checks foreign bytes and `error` says what is wrong with them.

mod builder;
mod edit;
mod element;
mod entry;
mod error;
mod reader;
#[cfg(test)]
mod tests;
mod validate;

pub use builder::Builder;
pub use edit::{
    append_all, insert_after, insert_before, push_back, push_front, remove, remove_range, replace, replace_run,
    split_at, write_pushed,
};
pub use element::{Element, parse_integer};
pub use entry::encoded_size;
pub use error::Error;
pub use reader::{Iter, IterBack, Listpack, Position};
pub use validate::validate;

/// A listpack without elements.
pub const EMPTY: [u8; 7] = [7, 0, 0, 0, 0, 0, END];

/// The most bytes that a listpack may grow to (see [`may_grow`]).
pub const BYTES_MAX: usize = 1 << 30;

/// Bytes before the first entry.
const HEADER_BYTES: usize = 6;

/// The count that means that the elements must be counted.
const COUNT_UNKNOWN: u16 = u16::MAX;

/// The byte behind the last entry.
const END: u8 = 0xFF;

/// A listpack without elements.
#[must_use]
pub fn create() -> Vec<u8> {
    EMPTY.to_vec()
}

/// Whether a listpack of so many bytes may grow by so many more: up to 1 GiB, as in Redis.
#[must_use]
pub const fn may_grow(byte_len: usize, additional_bytes: usize) -> bool {
    byte_len.saturating_add(additional_bytes) <= BYTES_MAX
}

/// Writes the header of a listpack whose elements number so many.
fn write_header(bytes: &mut [u8], count: usize) {
    write_total(bytes);
    let count = u16::try_from(count).unwrap_or(COUNT_UNKNOWN);
    bytes[4..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
}

/// Writes the total of a listpack.
fn write_total(bytes: &mut [u8]) {
    // INVARIANT: the callers ask `may_grow` before they put an element in.
    let total = u32::try_from(bytes.len()).expect("a listpack stays below its limit of 1 GiB");
    bytes[..4].copy_from_slice(&total.to_le_bytes());
}
