//! Owns the changes of a listpack in place: each is one splice of its bytes, however many elements it puts in or takes
//! out.

use std::ops::Range;

use smallvec::SmallVec;

use super::entry::{encode, encoded_size};
use super::{COUNT_UNKNOWN, EMPTY, Element, HEADER_BYTES, Listpack, Position, write_header, write_total};
use crate::collections::packed::Packed;

/// Bytes of new entries that are put together without an allocation.
const SCRATCH_BYTES: usize = 256;

/// Appends elements. O(1) beside the memory that is moved.
#[inline]
pub fn push_back<P: Packed + ?Sized>(packed: &mut P, elements: &[Element<'_>]) {
    let end = packed.bytes().len() - 1;
    put(packed, end..end, 0, elements);
}

/// Puts elements in front of all, in the given order. O(n) bytes moved.
#[inline]
pub fn push_front<P: Packed + ?Sized>(packed: &mut P, elements: &[Element<'_>]) {
    put(packed, HEADER_BYTES..HEADER_BYTES, 0, elements);
}

/// Writes the entry of an element that is to be the first or the last, in a place of just its size, and brings the
/// header up to date, where the caller has made that place: `place` is within `bytes`, which are already as long as the
/// listpack becomes. O(element).
#[inline]
pub fn write_pushed(bytes: &mut [u8], place: Range<usize>, element: &Element<'_>) {
    encode(element, &mut &mut bytes[place]);
    write_total(bytes);
    let count = u16::from_le_bytes([bytes[4], bytes[5]]);
    if count != COUNT_UNKNOWN {
        write_header(bytes, usize::from(count) + 1);
    }
}

/// Puts elements before the one at a position, or before the end. The position is then that of the first of them.
#[inline]
pub fn insert_before<P: Packed + ?Sized>(packed: &mut P, position: Position, elements: &[Element<'_>]) {
    put(packed, position.0..position.0, 0, elements);
}

/// Puts elements after the one at a position. Returns the position of the first of them.
#[inline]
pub fn insert_after<P: Packed + ?Sized>(packed: &mut P, position: Position, elements: &[Element<'_>]) -> Position {
    let (after, _) = Listpack::new(packed.bytes()).walk(position, 1);
    put(packed, after.0..after.0, 0, elements);
    after
}

/// Puts an element in the place of the one at a position, which remains its position.
#[inline]
pub fn replace<P: Packed + ?Sized>(packed: &mut P, position: Position, element: &Element<'_>) {
    replace_run(packed, position, 1, std::slice::from_ref(element));
}

/// Puts elements in the place of up to `count` elements from a position on. The position is then that of the first of
/// them.
#[inline]
pub fn replace_run<P: Packed + ?Sized>(packed: &mut P, position: Position, count: usize, elements: &[Element<'_>]) {
    let (after, removed) = Listpack::new(packed.bytes()).walk(position, count);
    put(packed, position.0..after.0, removed, elements);
}

/// Removes up to `count` elements from a position on; returns how many. The position is then that of the element behind
/// them, or the end.
#[inline]
pub fn remove<P: Packed + ?Sized>(packed: &mut P, position: Position, count: usize) -> usize {
    let (after, removed) = Listpack::new(packed.bytes()).walk(position, count);
    put_encoded(packed, position.0..after.0, removed, &[], 0);
    removed
}

/// Removes up to `count` elements from an index on (see [`Listpack::seek`]); returns how many.
pub fn remove_range<P: Packed + ?Sized>(packed: &mut P, index: i64, count: usize) -> usize {
    match Listpack::new(packed.bytes()).seek(index) {
        Some(position) => remove(packed, position, count),
        None => 0,
    }
}

/// Appends all elements of another listpack.
pub fn append_all<P: Packed + ?Sized>(packed: &mut P, other: Listpack<'_>) {
    let end = packed.bytes().len() - 1;
    put_encoded(packed, end..end, 0, other.entries(), other.len());
}

/// Cuts off the elements from an index on; returns them as a listpack, which is empty when there are none.
#[must_use]
pub fn split_at<P: Packed + ?Sized>(packed: &mut P, index: usize) -> Vec<u8> {
    let listpack = Listpack::new(packed.bytes());
    let start = i64::try_from(index).ok().and_then(|index| listpack.seek(index));
    let Some(start) = start else {
        return EMPTY.to_vec();
    };
    let count = listpack.header_count().map_or_else(|| listpack.count_from(start), |count| count - index);
    let end = listpack.end().0;
    let mut tail = Vec::with_capacity(HEADER_BYTES + listpack.byte_len() - start.0);
    tail.extend_from_slice(&EMPTY[..HEADER_BYTES]);
    tail.extend_from_slice(&listpack.bytes()[start.0..]);
    write_header(&mut tail, count);
    packed.splice(start.0..end, &[]);
    write_header(packed.bytes_mut(), index);
    tail
}

/// Puts elements in the place of the bytes of `removed` elements.
#[inline]
fn put<P: Packed + ?Sized>(packed: &mut P, range: Range<usize>, removed: usize, elements: &[Element<'_>]) {
    let mut scratch = SmallVec::<[u8; SCRATCH_BYTES]>::new();
    let size: usize = elements.iter().map(encoded_size).sum();
    scratch.reserve_exact(size);
    for element in elements {
        encode(element, &mut scratch);
    }
    put_encoded(packed, range, removed, &scratch, elements.len());
}

/// Puts the bytes of `added` elements in the place of the bytes of `removed` ones, and brings the header up to date. A
/// count that is unknown remains so.
fn put_encoded<P: Packed + ?Sized>(packed: &mut P, range: Range<usize>, removed: usize, entries: &[u8], added: usize) {
    if range.len() == entries.len() {
        packed.bytes_mut()[range].copy_from_slice(entries);
    } else {
        packed.splice(range, entries);
    }
    let bytes = packed.bytes_mut();
    write_total(bytes);
    let count = u16::from_le_bytes([bytes[4], bytes[5]]);
    if count != COUNT_UNKNOWN && added != removed {
        write_header(bytes, usize::from(count) + added - removed);
    }
}
