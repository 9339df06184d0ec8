//! Owns the reading of a listpack: places of elements, walks in both directions, search.

use std::iter::FusedIterator;

use super::entry::{decode, is_long_text, short_text_head, size_at, start_before};
use super::{COUNT_UNKNOWN, Element, HEADER_BYTES, parse_integer};

/// The bytes of a listpack, to be read.
#[derive(Clone, Copy, Debug)]
pub struct Listpack<'a> {
    bytes: &'a [u8],
}

/// Where an element begins in its listpack. An edit invalidates the positions behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub(super) usize);

impl Position {
    /// The offset in the bytes of the listpack.
    #[inline]
    #[must_use]
    pub fn offset(self) -> usize {
        self.0
    }
}

impl<'a> Listpack<'a> {
    /// Reads bytes that are known to be a listpack: made here, or found valid by [`super::validate`]. Of other bytes
    /// the methods make something arbitrary, or panic.
    ///
    /// # Panics
    ///
    /// When there are fewer bytes than an empty listpack has.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Listpack<'a> {
        assert!(bytes.len() > HEADER_BYTES, "the bytes hold a listpack");
        Listpack { bytes }
    }

    /// All its bytes.
    #[inline]
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The bytes of its entries, without the header and the end.
    #[inline]
    #[must_use]
    pub(super) fn entries(self) -> &'a [u8] {
        &self.bytes[HEADER_BYTES..self.bytes.len() - 1]
    }

    /// The number of all its bytes.
    #[inline]
    #[must_use]
    pub fn byte_len(self) -> usize {
        self.bytes.len()
    }

    /// The number of elements as far as the header tells it: always below 65535.
    #[inline]
    pub(super) fn header_count(self) -> Option<usize> {
        let count = u16::from_le_bytes([self.bytes[4], self.bytes[5]]);
        (count != COUNT_UNKNOWN).then_some(usize::from(count))
    }

    /// The number of elements. O(1) up to 65534 elements, else O(n).
    #[inline]
    #[must_use]
    pub fn len(self) -> usize {
        self.header_count().unwrap_or_else(|| self.count_from(self.front()))
    }

    /// Whether there are no elements.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.front() == self.end()
    }

    /// The number of elements from a position on. O(n).
    pub(super) fn count_from(self, position: Position) -> usize {
        self.walk(position, usize::MAX).1
    }

    /// The position behind the last element: where [`super::insert_before`] appends. No element is there.
    #[inline]
    #[must_use]
    pub fn end(self) -> Position {
        Position(self.bytes.len() - 1)
    }

    /// The position of the first element, or the end.
    #[inline]
    fn front(self) -> Position {
        Position(HEADER_BYTES)
    }

    #[inline]
    fn unless_end(self, position: Position) -> Option<Position> {
        (position < self.end()).then_some(position)
    }

    /// The position of the first element.
    #[inline]
    #[must_use]
    pub fn first(self) -> Option<Position> {
        self.unless_end(self.front())
    }

    /// The position of the last element.
    #[inline]
    #[must_use]
    pub fn last(self) -> Option<Position> {
        self.previous(self.end())
    }

    /// The position of the element after the one at a position.
    #[inline]
    #[must_use]
    pub fn next(self, position: Position) -> Option<Position> {
        let size = size_at(self.bytes, position.0)?;
        self.unless_end(Position(position.0 + size))
    }

    /// The position of the element before the one at a position, or before the end.
    #[inline]
    #[must_use]
    pub fn previous(self, position: Position) -> Option<Position> {
        if position == self.front() {
            return None;
        }
        start_before(self.bytes, position.0).map(Position)
    }

    /// Walks over up to `count` elements. Returns where that ends, and over how many it went.
    #[inline]
    pub(super) fn walk(self, position: Position, count: usize) -> (Position, usize) {
        let mut at = position.0;
        for walked in 0..count {
            match size_at(self.bytes, at) {
                Some(size) => at += size,
                None => return (Position(at), walked),
            }
        }
        (Position(at), count)
    }

    /// The position of the element with an index; negative ones count from the end, the last one being -1. O(n); walks
    /// from the nearer end as far as the header tells which one that is.
    #[must_use]
    pub fn seek(self, index: i64) -> Option<Position> {
        let Some(count) = self.header_count() else {
            let distance = usize::try_from(index.unsigned_abs()).ok()?;
            return if index < 0 {
                self.seek_back(distance)
            } else {
                self.unless_end(self.walk(self.front(), distance).0)
            };
        };
        let from_front = if index < 0 { index.checked_add(count as i64)? } else { index };
        let from_front = usize::try_from(from_front).ok()?;
        if from_front >= count {
            None
        } else if from_front <= count / 2 {
            self.unless_end(self.walk(self.front(), from_front).0)
        } else {
            self.seek_back(count - from_front)
        }
    }

    /// The position of the element that is the `distance`-th from the end, the last one being the first.
    fn seek_back(self, distance: usize) -> Option<Position> {
        let mut position = self.end();
        for _ in 0..distance {
            position = self.previous(position)?;
        }
        Some(position)
    }

    /// The element at a position.
    ///
    /// # Panics
    ///
    /// When no element is at the position.
    #[inline]
    #[must_use]
    pub fn at(self, position: Position) -> Element<'a> {
        // INVARIANT: a position comes from this listpack, and an entry begins there.
        let (element, _) = decode(self.bytes, position.0).expect("an element at its position");
        element
    }

    /// The element with an index (see [`Listpack::seek`]).
    #[must_use]
    pub fn get(self, index: i64) -> Option<Element<'a>> {
        self.seek(index).map(|position| self.at(position))
    }

    /// The elements from the first to the last.
    #[inline]
    #[must_use]
    pub fn iter(self) -> Iter<'a> {
        self.iter_from(self.front())
    }

    /// The elements from the one at a position to the last.
    #[inline]
    #[must_use]
    pub fn iter_from(self, position: Position) -> Iter<'a> {
        Iter { listpack: self, position }
    }

    /// The elements from the last to the first.
    #[inline]
    #[must_use]
    pub fn iter_back(self) -> IterBack<'a> {
        IterBack { listpack: self, position: self.last() }
    }

    /// The elements from the one at a position to the first.
    #[inline]
    #[must_use]
    pub fn iter_back_from(self, position: Position) -> IterBack<'a> {
        IterBack { listpack: self, position: Some(position) }
    }

    /// The position of the first element that is the given string, looking at the one at `start` and then at each one
    /// behind `stride` others: a stride of 1 goes through the fields of a hash. O(n), without allocation.
    #[inline]
    #[must_use]
    pub fn find(self, needle: &[u8], start: Position, stride: usize) -> Option<Position> {
        let Some(integer) = parse_integer(needle) else {
            return self.find_text(needle, start, stride);
        };
        // Foreign bytes may have the digits as a text.
        self.find_where(start, stride, |element| match element {
            Element::Integer(other) => other == integer,
            Element::Text(text) => text == needle,
        })
    }

    /// As [`Listpack::find`], for a string that is no integer.
    fn find_text(self, needle: &[u8], start: Position, stride: usize) -> Option<Position> {
        let Some(head) = short_text_head(needle.len()) else {
            return self.find_where(start, stride, |element| matches!(element, Element::Text(text) if text == needle));
        };
        let mut at = start.0;
        loop {
            let &first = self.bytes.get(at)?;
            let found = if first == head {
                self.bytes.get(at + 1..=at + needle.len())? == needle
            } else if is_long_text(first) {
                // Foreign bytes may have a short text with a long head; and the end is here, too.
                decode(self.bytes, at)?.0 == Element::Text(needle)
            } else {
                false
            };
            if found {
                return Some(Position(at));
            }
            (Position(at), _) = self.walk(Position(at), stride + 1);
        }
    }

    #[inline]
    fn find_where(self, start: Position, stride: usize, matches: impl Fn(Element<'a>) -> bool) -> Option<Position> {
        let mut position = start;
        loop {
            let (element, size) = decode(self.bytes, position.0)?;
            if matches(element) {
                return Some(position);
            }
            (position, _) = self.walk(Position(position.0 + size), stride);
        }
    }
}

impl<'a> IntoIterator for Listpack<'a> {
    type Item = Element<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Elements of a listpack from front to back.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    listpack: Listpack<'a>,
    position: Position,
}

impl Iter<'_> {
    /// The position of the element that comes next, or the end.
    #[inline]
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let (element, size) = decode(self.listpack.bytes, self.position.0)?;
        self.position.0 += size;
        Some(element)
    }

    #[inline]
    fn nth(&mut self, count: usize) -> Option<Element<'a>> {
        (self.position, _) = self.listpack.walk(self.position, count);
        self.next()
    }
}

impl FusedIterator for Iter<'_> {}

/// Elements of a listpack from back to front.
#[derive(Clone, Debug)]
pub struct IterBack<'a> {
    listpack: Listpack<'a>,
    position: Option<Position>,
}

impl IterBack<'_> {
    /// The position of the element that comes next.
    #[inline]
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }
}

impl<'a> Iterator for IterBack<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        let position = self.position?;
        self.position = self.listpack.previous(position);
        Some(self.listpack.at(position))
    }
}

impl FusedIterator for IterBack<'_> {}
