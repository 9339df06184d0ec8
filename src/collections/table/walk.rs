//! Owns the ways through a table: SCAN, random picks and plain iteration. Never changes it.
//!
//! A cursor of SCAN says how far a walk in the order of positions has come:
//!
//! ```text
//! | prefix (depth bits) | depth (6 bits) | home point (12 bits) |
//! ```
//!
//! Done is all before `prefix`, and in the range of positions that begin with it all entries whose home point is lower.
//! If the segment there is the one that the cursor was made for, or a part of it, the walk goes on at the home point.
//! If it was merged into a larger one, it is walked from its start. Home points do not depend on the number of buckets.
//! So an entry that stays is never missed, and one may be seen twice only when its segment was split or merged
//! meanwhile.

use super::directory::MAX_DEPTH;
use super::segment::{HOME_BITS, Place, Segment, home_point};
use super::{Entry, Table};
use crate::collections::bend::{share_below, spread};

const DEPTH_BITS: u32 = 6;

#[derive(Clone, Copy)]
pub(super) struct Cursor {
    /// The leading bits of the position, at its top.
    pub position: u64,
    pub depth: u32,
    pub point: u64,
}

impl Cursor {
    /// `None` if it is beyond all positions.
    pub fn unpack(packed: u64) -> Option<Cursor> {
        let point = packed & ((1 << HOME_BITS) - 1);
        let depth = (packed >> HOME_BITS) as u32 & ((1 << DEPTH_BITS) - 1);
        let prefix = packed >> (HOME_BITS + DEPTH_BITS);
        let valid = depth <= MAX_DEPTH && prefix >> depth == 0;
        valid.then(|| Cursor { position: if depth == 0 { 0 } else { prefix << (u64::BITS - depth) }, depth, point })
    }

    pub fn pack(self) -> u64 {
        let prefix = self.position.checked_shr(u64::BITS - self.depth).unwrap_or(0);
        prefix << (HOME_BITS + DEPTH_BITS) | u64::from(self.depth) << HOME_BITS | self.point
    }
}

/// The first position of the segment of that depth around `position`.
pub(super) fn first_of(position: u64, depth: u32) -> u64 {
    position & !width(depth)
}

/// The last position of that segment.
pub(super) fn last_of(position: u64, depth: u32) -> u64 {
    position | width(depth)
}

/// One less than the number of positions that a segment of that depth has.
fn width(depth: u32) -> u64 {
    u64::MAX >> depth
}

/// A bucket that a walk has come to.
pub(super) struct Step<'a, E> {
    pub segment: &'a Segment<E>,
    /// The first position of the segment.
    pub position: u64,
    pub depth: u32,
    pub bucket: usize,
}

impl<E> Step<'_, E> {
    /// Where the walk goes on.
    pub fn next(&self) -> Option<Cursor> {
        let Step { position, depth, .. } = *self;
        if self.bucket + 1 < self.segment.size() {
            return Some(Cursor { position, depth, point: self.segment.first_point(self.bucket + 1) });
        }
        let position = last_of(position, depth).checked_add(1)?;
        Some(Cursor { position, depth, point: 0 })
    }
}

impl<E: Entry> Table<E> {
    /// Shows the entries of one bucket and gives the cursor of the next one. A walk begins with 0 and is over when 0
    /// comes back. Every entry that is there throughout the walk is shown, some perhaps twice. O(1).
    pub fn scan<'a>(&'a self, cursor: u64, visit: impl FnMut(&'a E)) -> u64 {
        let Some(step) = Cursor::unpack(cursor).and_then(|cursor| self.step_from(cursor)) else {
            return 0;
        };
        step.segment.visit_home(step.bucket, visit);
        step.next().map_or(0, Cursor::pack)
    }

    /// The bucket that a cursor leads to.
    pub(super) fn step_from(&self, cursor: Cursor) -> Option<Step<'_, E>> {
        let (segment, depth) = self.directory.locate(cursor.position)?;
        let point = if depth < cursor.depth { 0 } else { cursor.point };
        Some(Step { segment, position: first_of(cursor.position, depth), depth, bucket: segment.bucket_at(point) })
    }

    /// A cursor for [`Table::scan`] to begin anywhere: each entry has the same chance to be in the bucket that is shown
    /// next.
    pub fn random_cursor(&self, random: &mut fastrand::Rng) -> u64 {
        let hash = self.random_hash(random);
        let position = spread(hash);
        match self.directory.locate(position) {
            Some((_, depth)) => Cursor { position: first_of(position, depth), depth, point: home_point(hash) }.pack(),
            None => 0,
        }
    }

    /// A hash that is as likely as that of an entry.
    fn random_hash(&self, random: &mut fastrand::Rng) -> u64 {
        match self.slots() {
            Some(slots) => slots.random_hash(random),
            None => random.u64(..),
        }
    }

    /// A random entry, each with the same chance. O(1) expected while the table is not much too large for its entries.
    pub fn random(&self, random: &mut fastrand::Rng) -> Option<&E> {
        let (position, place) = self.pick(random)?;
        Some(self.directory.segment(position)?.entry(place))
    }

    /// Takes a random entry out, each with the same chance. O(1) expected while the table is not much too large for its
    /// entries; nothing is hashed, but in a table by slot. Memory is given back by [`Table::shrink_step`].
    pub fn take_random(&mut self, random: &mut fastrand::Rng) -> Option<E> {
        let (position, place) = self.pick(random)?;
        // A copy of a shared segment has its entries in the same places.
        let taken = self.directory.segment_mut(position)?.remove(place);
        self.len -= 1;
        if self.slots().is_some() {
            let hash = self.hash(taken.key());
            self.slots_mut()?.remove(hash);
        }
        Some(taken)
    }

    /// Picks an entry: a position of its segment, and its place in there.
    fn pick(&self, random: &mut fastrand::Rng) -> Option<(u64, Place)> {
        /// How often a segment is picked before a crowded one is taken though others had deserved the chance.
        const TRIES: usize = 32;
        /// How much fuller than expected a segment may be and still be picked fairly.
        const EXCESS: f64 = 1.5;
        if self.is_empty() {
            return None;
        }
        for attempt in 0..TRIES {
            let position = spread(self.random_hash(random));
            let (segment, depth) = self.directory.locate(position)?;
            let expected = self.expected_in(position, depth);
            let accepted =
                depth == 0 || attempt + 1 == TRIES || random.f64() * EXCESS * expected < segment.count() as f64;
            if accepted && let Some(place) = segment.random(random) {
                return Some((position, place));
            }
        }
        let start = spread(self.random_hash(random));
        self.first_from(start).or_else(|| self.first_from(0))
    }

    /// The first entry of the first segment with any, from a position on.
    fn first_from(&self, start: u64) -> Option<(u64, Place)> {
        self.segments_from(start).find_map(|(position, segment)| Some((position, segment.first_place()?)))
    }

    /// Every entry. For small tables: O(n) at a stretch.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        self.segments_from(0).flat_map(|(_, segment)| segment.iter())
    }

    /// The segments from a position on, each with a position that leads to it.
    pub(super) fn segments_from(&self, start: u64) -> impl Iterator<Item = (u64, &Segment<E>)> {
        let mut next = Some(start);
        std::iter::from_fn(move || {
            let position = next?;
            let (segment, depth) = self.directory.locate(position)?;
            next = last_of(position, depth).checked_add(1);
            Some((position, segment))
        })
    }
}

/// The shares of all hashes that are below the segment of that depth around a position, and below its end.
pub(super) fn shares_of(position: u64, depth: u32) -> (f64, f64) {
    let unit = (u64::MAX as f64).recip();
    let start = first_of(position, depth) as f64 * unit;
    let end = start + width(depth) as f64 * unit;
    (share_below(start), share_below(end.min(1.0)))
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn cursors_keep_what_is_packed_into_them() {
        for (prefix, depth, point) in [(0_u64, 0, 0), (0, 0, 4095), (5, 3, 1), ((1 << 44) - 1, 44, 4095)] {
            let packed = prefix << 18 | depth << 12 | point;
            let Some(cursor) = Cursor::unpack(packed) else { panic!("valid") };
            assert_eq!(cursor.pack(), packed);
            assert!(packed < 1 << 63);
        }
        assert!(Cursor::unpack(8 << 18 | 3 << 12).is_none());
        assert!(Cursor::unpack(u64::MAX).is_none());
    }
}
