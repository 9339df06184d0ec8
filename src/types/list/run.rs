//! A listpack with room at both of its ends, so that neither end has to move the elements. Never knows what the
//! elements are.
//!
//! ```text
//! | room | header │ element │ element │ … │ end | room |
//!         start                                  end
//! ```
//!
//! An element that is put in front moves the six bytes of the header, not the elements.

use std::ops::Range;

use crate::collections::buffer::Buffer;
use crate::collections::listpack::{self, EMPTY, Element, Listpack, encoded_size};
use crate::collections::packed::Packed;

/// Buffers shorter than this keep their room when they lose elements, in bytes.
const SHRINK_BYTES_MIN: usize = 512;

/// Bytes of a listpack before its first entry.
const HEADER_BYTES: usize = EMPTY.len() - 1;

/// What is worth giving up: a part of the elements' bytes, and some.
const SLACK_DIVISOR: usize = 64;
const SLACK_BYTES_MIN: usize = 32;

/// The end of something with two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Front,
    Back,
}

impl End {
    /// The other end.
    pub fn opposite(self) -> End {
        match self {
            End::Front => End::Back,
            End::Back => End::Front,
        }
    }
}

/// A listpack in a buffer with room.
pub(super) struct Run {
    buffer: Buffer,
    start: u32,
    end: u32,
}

impl Default for Run {
    fn default() -> Run {
        Run::new(&EMPTY)
    }
}

impl Clone for Run {
    fn clone(&self) -> Run {
        Run::new(self.bytes())
    }
}

impl Run {
    /// A run of these bytes, which are a listpack, without room.
    pub fn new(listpack: &[u8]) -> Run {
        Run { start: 0, end: listpack.len() as u32, buffer: Buffer::from(listpack) }
    }

    /// An empty run in a buffer of at least so many bytes, with all the room at one end.
    pub fn with_capacity(capacity: usize, room_at: End) -> Run {
        let mut run = Run::default();
        run.reallocate(capacity.max(EMPTY.len()), room_at);
        run
    }

    /// The elements.
    #[inline]
    pub fn listpack(&self) -> Listpack<'_> {
        Listpack::new(self.bytes())
    }

    #[inline]
    fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    #[inline]
    fn length(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Bytes of the buffer.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.buffer.memory_bytes()
    }

    #[inline]
    fn room(&self, at: End) -> usize {
        match at {
            End::Front => self.start as usize,
            End::Back => self.buffer.len() - self.end as usize,
        }
    }

    /// Sees to it that so many bytes can be put in at an end: moves the elements to the other end if the room there is
    /// worth it, else takes a larger buffer, with some bytes to spare, but of no more than `bytes_max` for their sake.
    /// Amortised O(bytes) if as much is spared as a part of what is there.
    #[inline]
    pub fn make_room(&mut self, at: End, bytes: usize, spare: usize, bytes_max: usize) {
        if self.room(at) < bytes {
            self.make_room_slowly(at, bytes, spare, bytes_max);
        }
    }

    fn make_room_slowly(&mut self, at: End, bytes: usize, spare: usize, bytes_max: usize) {
        let length = self.length();
        let free = self.buffer.len() - length;
        if free >= bytes.max(length / 4) {
            let start = if at == End::Front { free } else { 0 };
            self.buffer.copy_within(self.start as usize..self.end as usize, start);
            (self.start, self.end) = (start as u32, (start + length) as u32);
            return;
        }
        let needed = length + bytes;
        self.reallocate((needed + spare).min(bytes_max).max(needed), at);
    }

    /// Puts an element in at an end. Room was made for it.
    #[inline]
    pub fn push(&mut self, at: End, element: &Element<'_>) {
        let size = encoded_size(element);
        let length = self.length();
        let place = match at {
            End::Front => {
                let start = self.start as usize;
                let header: [u8; HEADER_BYTES] = std::array::from_fn(|at| self.buffer[start + at]);
                self.start = (start - size) as u32;
                self.buffer[start - size..][..HEADER_BYTES].copy_from_slice(&header);
                HEADER_BYTES..HEADER_BYTES + size
            }
            End::Back => {
                let end = self.end as usize;
                self.buffer[end - 1 + size] = self.buffer[end - 1];
                self.end = (end + size) as u32;
                length - 1..length - 1 + size
            }
        };
        listpack::write_pushed(self.bytes_mut(), place, element);
    }

    /// Moves to a buffer of at least so many bytes, with all the room at one end.
    fn reallocate(&mut self, capacity: usize, room_at: End) {
        let capacity = Buffer::full_length(capacity);
        let mut buffer = Buffer::zeroed(capacity);
        let length = self.length();
        let start = if room_at == End::Front { capacity - length } else { 0 };
        buffer[start..start + length].copy_from_slice(self.bytes());
        self.buffer = buffer;
        (self.start, self.end) = (start as u32, (start + length) as u32);
    }

    /// Gives up most of the room, where there is much of it.
    #[inline]
    pub fn fit(&mut self) {
        let length = self.length();
        if self.buffer.len() > length + length / SLACK_DIVISOR + SLACK_BYTES_MIN {
            self.reallocate(length, End::Back);
        }
    }

    /// Gives up room after elements were taken out, where the buffer is far too large.
    #[inline]
    pub fn fit_loosely(&mut self) {
        let length = self.length();
        if self.buffer.len() > SHRINK_BYTES_MIN && self.buffer.len() > length * 4 {
            self.reallocate(length * 2, End::Back);
        }
    }
}

impl Packed for Run {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.buffer[self.range()]
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let range = self.range();
        &mut self.buffer[range]
    }

    /// Moves the shorter side.
    #[inline]
    fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        let length = self.length();
        let before = range.start;
        let behind = length - range.end;
        let side = if before < behind { End::Front } else { End::Back };
        if with.len() > range.len() {
            self.make_room(side, with.len() - range.len(), length / SLACK_DIVISOR, usize::MAX);
        }
        let start = self.start as usize;
        let at = match side {
            End::Front => {
                let moved = start + range.len() - with.len();
                self.buffer.copy_within(start..start + before, moved);
                self.start = moved as u32;
                moved + before
            }
            End::Back => {
                let from = start + range.end;
                let to = start + before + with.len();
                self.buffer.copy_within(from..from + behind, to);
                self.end = (to + behind) as u32;
                start + before
            }
        };
        self.buffer[at..at + with.len()].copy_from_slice(with);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_splice_is_what_it_is_on_a_vector() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut run = Run::default();
        let mut model = EMPTY.to_vec();
        for round in 0..5000 {
            let start = random.usize(..=model.len());
            let end = random.usize(start..=model.len().min(start + 20));
            let with: Vec<u8> = (0..random.usize(..24)).map(|_| random.u8(..)).collect();
            run.splice(start..end, &with);
            Packed::splice(&mut model, start..end, &with);
            assert_eq!(run.bytes(), model);
            if round % 100 == 0 {
                run.fit();
                assert_eq!(run.bytes(), model);
                assert!(run.memory_bytes() <= model.len() + model.len() / 32 + 64);
            }
        }
    }

    #[test]
    fn a_push_is_what_it_is_on_a_vector() {
        let mut random = fastrand::Rng::with_seed(8);
        let mut run = Run::default();
        let mut model = EMPTY.to_vec();
        for round in 0..2000 {
            let text = vec![b'x'; random.usize(..200) + (round % 500 / 499) * 5000];
            let element = match random.bool() {
                true => Element::Text(&text),
                false => Element::Integer(random.i64(..) >> random.u8(..64)),
            };
            let at = if random.bool() { End::Front } else { End::Back };
            run.make_room(at, encoded_size(&element), random.usize(..300), usize::MAX);
            run.push(at, &element);
            match at {
                End::Front => listpack::push_front(&mut model, &[element]),
                End::Back => listpack::push_back(&mut model, &[element]),
            }
            assert_eq!(run.bytes(), model);
        }
    }

    #[test]
    fn a_run_that_is_used_as_a_queue_does_not_grow() {
        let mut run = Run::with_capacity(100, End::Back);
        for _ in 0..1000 {
            let end = run.bytes().len() - 1;
            run.make_room(End::Back, 10, 20, 100);
            run.splice(end..end, &[1; 10]);
            if run.bytes().len() > 60 {
                run.splice(6..16, &[]);
            }
        }
        assert!(run.memory_bytes() <= 150);
    }

    #[test]
    fn a_large_buffer_of_few_elements_is_given_up() {
        let mut run = Run::with_capacity(4000, End::Front);
        run.fit_loosely();
        assert!(run.memory_bytes() < 20);
    }
}
