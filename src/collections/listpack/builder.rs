//! Owns the making of a listpack from front to back.

use super::entry::encode;
use super::{EMPTY, END, Element, HEADER_BYTES, Listpack, Position, write_header};

/// A listpack that is being made. Elements are appended to it.
#[derive(Clone, Debug)]
pub struct Builder {
    /// The listpack but for its header, which comes last, and its end.
    bytes: Vec<u8>,
    count: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::with_capacity(0)
    }
}

impl Builder {
    /// A listpack without elements yet.
    #[must_use]
    pub fn new() -> Builder {
        Builder::default()
    }

    /// A listpack without elements yet, with memory for entries of so many bytes (see [`super::encoded_size`]).
    #[must_use]
    pub fn with_capacity(entry_bytes: usize) -> Builder {
        let mut bytes = Vec::with_capacity(entry_bytes + EMPTY.len());
        bytes.extend_from_slice(&EMPTY[..HEADER_BYTES]);
        Builder { bytes, count: 0 }
    }

    /// Appends an element.
    #[inline]
    pub fn push(&mut self, element: &Element<'_>) {
        encode(element, &mut self.bytes);
        self.count += 1;
    }

    /// Appends the element that stands for a string (see [`Element::of`]).
    #[inline]
    pub fn push_bytes(&mut self, text: &[u8]) {
        self.push(&Element::of(text));
    }

    /// Appends an integer.
    #[inline]
    pub fn push_integer(&mut self, integer: i64) {
        self.push(&Element::Integer(integer));
    }

    /// Appends up to `count` elements of another listpack, from a position on; copies their bytes as they are.
    pub fn push_run(&mut self, other: Listpack<'_>, position: Position, count: usize) {
        let (after, walked) = other.walk(position, count);
        self.bytes.extend_from_slice(&other.bytes()[position.0..after.0]);
        self.count += walked;
    }

    /// The number of elements so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no elements yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The number of bytes that the finished listpack would have now.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes.len() + 1
    }

    /// The listpack.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(END);
        write_header(&mut self.bytes, self.count);
        self.bytes
    }
}
