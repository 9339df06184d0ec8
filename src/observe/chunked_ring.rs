//! A ring of fixed size that takes its memory piece by piece, as it fills.
//!
//! An empty server pays nothing for it, and no push moves what is there already.

use crate::collections::heap::alone;

/// Bytes of a piece, about.
const CHUNK_BYTES: usize = 64 * 1024;

/// The newest values, at most `capacity` of them; each is known by its place in the order of all that were ever pushed.
#[derive(Debug, Default)]
pub struct ChunkedRing<T> {
    chunks: Vec<Box<[T]>>,
    capacity: usize,
    /// How many were pushed since the start.
    pushed: u64,
    /// Where the next one goes.
    next: usize,
    memory_bytes: usize,
}

impl<T: Copy + Default> ChunkedRing<T> {
    const CHUNK: usize = if CHUNK_BYTES / size_of::<T>() > 0 { CHUNK_BYTES / size_of::<T>() } else { 1 };

    /// An empty ring.
    pub fn with_capacity(capacity: usize) -> ChunkedRing<T> {
        ChunkedRing { chunks: Vec::new(), capacity, pushed: 0, next: 0, memory_bytes: 0 }
    }

    /// Adds a value; the oldest goes if the ring is full.
    #[inline]
    pub fn push(&mut self, value: &T) {
        if self.capacity == 0 {
            return;
        }
        let (chunk, place) = (self.next / Self::CHUNK, self.next % Self::CHUNK);
        if chunk == self.chunks.len() {
            self.grow();
        }
        self.chunks[chunk][place] = *value;
        self.pushed += 1;
        self.next = if self.next + 1 == self.capacity { 0 } else { self.next + 1 };
    }

    #[cold]
    fn grow(&mut self) {
        let length = (self.capacity - self.chunks.len() * Self::CHUNK).min(Self::CHUNK);
        self.memory_bytes += length * size_of::<T>();
        alone::note_outside((length * size_of::<T>()).cast_signed());
        self.chunks.push(vec![T::default(); length].into_boxed_slice());
    }

    /// The order's number of the oldest value that is kept, and that of the next one to come.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.pushed.saturating_sub(self.capacity as u64)..self.pushed
    }

    /// The value of that number in the order of pushes, if it is kept.
    pub fn get(&self, number: u64) -> Option<&T> {
        if !self.range().contains(&number) {
            return None;
        }
        let place = (number % self.capacity as u64) as usize;
        self.chunks.get(place / Self::CHUNK)?.get(place % Self::CHUNK)
    }

    /// What is kept, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.range().filter_map(|number| self.get(number))
    }

    /// How many values are kept.
    pub fn len(&self) -> usize {
        let range = self.range();
        (range.end - range.start) as usize
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.pushed == 0
    }

    /// Most values that are kept.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Memory taken so far, in bytes. O(1).
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl<T> Drop for ChunkedRing<T> {
    fn drop(&mut self) {
        alone::note_outside(-self.memory_bytes.cast_signed());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn it_keeps_the_newest_as_a_queue_does() {
        for capacity in [1, 2, 7, 8192, 8193, 20_000] {
            let mut ring = ChunkedRing::<u64>::with_capacity(capacity);
            let mut model = VecDeque::new();
            for value in 0..50_000u64 {
                ring.push(&(value * 3));
                model.push_back(value * 3);
                if model.len() > capacity {
                    model.pop_front();
                }
                if value % 997 == 0 {
                    assert!(ring.iter().eq(model.iter()), "{capacity} {value}");
                    assert_eq!(ring.len(), model.len());
                }
            }
            let range = ring.range();
            assert_eq!(ring.get(range.start), model.front());
            assert_eq!((ring.get(range.end), ring.get(range.start.wrapping_sub(1))), (None, None));
            assert_eq!(ring.memory_bytes(), capacity * 8);
        }
    }

    #[test]
    fn memory_comes_with_what_is_pushed() {
        let mut ring = ChunkedRing::<u64>::with_capacity(1 << 20);
        assert!(ring.is_empty() && ring.memory_bytes() == 0);
        ring.push(&1);
        assert_eq!(ring.memory_bytes(), CHUNK_BYTES);
        let mut none = ChunkedRing::<u64>::with_capacity(0);
        none.push(&1);
        assert!(none.is_empty() && none.iter().next().is_none() && none.memory_bytes() == 0);
    }
}
