//! Hash slots: sets of slots, and the text form of ranges.

use std::fmt;
use std::ops::RangeInclusive;

pub use crate::collections::key_slot::{SLOTS, key_slot};

/// Size of a set of slots in a frame, in bytes.
pub const SLOT_SET_BYTES: usize = SLOTS as usize / 8;

/// A set of slots: one bit per slot, in the bit order of frames.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotSet {
    bits: Box<[u8; SLOT_SET_BYTES]>,
    count: u16,
}

impl Default for SlotSet {
    fn default() -> SlotSet {
        SlotSet { bits: Box::new([0; SLOT_SET_BYTES]), count: 0 }
    }
}

impl SlotSet {
    /// All slots.
    pub fn all() -> SlotSet {
        SlotSet { bits: Box::new([0xff; SLOT_SET_BYTES]), count: SLOTS }
    }

    /// Reads a set from a frame.
    pub fn from_bytes(bytes: &[u8; SLOT_SET_BYTES]) -> SlotSet {
        let ones: u32 = words(bytes).map(u64::count_ones).sum();
        SlotSet { bits: Box::new(*bytes), count: u16::try_from(ones).unwrap_or(SLOTS) }
    }

    /// The set as it is written to a frame.
    pub fn as_bytes(&self) -> &[u8; SLOT_SET_BYTES] {
        &self.bits
    }

    /// Whether a slot is in the set.
    pub fn contains(&self, slot: u16) -> bool {
        self.bits.get(usize::from(slot / 8)).is_some_and(|byte| byte & (1 << (slot % 8)) != 0)
    }

    /// Adds a slot. Returns whether it is new. Numbers outside the range of slots are ignored.
    pub fn insert(&mut self, slot: u16) -> bool {
        let is_new = slot < SLOTS && !self.contains(slot);
        if is_new {
            self.bits[usize::from(slot / 8)] |= 1 << (slot % 8);
            self.count += 1;
        }
        is_new
    }

    /// Removes a slot. Returns whether it was in the set.
    pub fn remove(&mut self, slot: u16) -> bool {
        let was_there = self.contains(slot);
        if was_there {
            self.bits[usize::from(slot / 8)] &= !(1 << (slot % 8));
            self.count -= 1;
        }
        was_there
    }

    /// Number of slots in the set.
    pub fn len(&self) -> u16 {
        self.count
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The slots in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        set_bits(words(&self.bits))
    }

    /// The slots of this set that are not in the other set, in ascending order.
    pub fn difference(&self, other: &SlotSet) -> impl Iterator<Item = u16> {
        set_bits(words(&self.bits).zip(words(&other.bits)).map(|(own, others)| own & !others))
    }

    /// The slots that are in both sets, in ascending order.
    pub fn intersection(&self, other: &SlotSet) -> impl Iterator<Item = u16> {
        set_bits(words(&self.bits).zip(words(&other.bits)).map(|(own, others)| own & others))
    }

    /// The slots as maximal ranges.
    pub fn ranges(&self) -> Vec<RangeInclusive<u16>> {
        let mut ranges = Vec::new();
        let mut start: Option<u16> = None;
        for (index, word) in (0u16..).zip(words(&self.bits)) {
            let mut bit = 0;
            while bit < u64::BITS {
                // The run of bits equal to the last bit.
                let rest = word >> bit;
                let run = if start.is_some() { rest.trailing_ones() } else { rest.trailing_zeros() };
                bit += run.min(u64::BITS - bit);
                if bit == u64::BITS {
                    break;
                }
                let slot = index * 64 + bit as u16;
                match start.take() {
                    Some(first) => ranges.push(first..=slot - 1),
                    None => start = Some(slot),
                }
            }
        }
        ranges.extend(start.map(|first| first..=SLOTS - 1));
        ranges
    }
}

/// The bits as words; slot 0 is the lowest bit of the first word.
fn words(bytes: &[u8; SLOT_SET_BYTES]) -> impl Iterator<Item = u64> {
    bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word))
}

/// The numbers of the set bits.
fn set_bits(mut words: impl Iterator<Item = u64>) -> impl Iterator<Item = u16> {
    let (mut rest, mut next) = (0u64, 0u16);
    std::iter::from_fn(move || {
        while rest == 0 {
            rest = words.next()?;
            next += 64;
        }
        let bit = rest.trailing_zeros() as u16;
        rest &= rest - 1;
        Some(next - 64 + bit)
    })
}

impl FromIterator<u16> for SlotSet {
    fn from_iter<T: IntoIterator<Item = u16>>(slots: T) -> SlotSet {
        let mut set = SlotSet::default();
        for slot in slots {
            set.insert(slot);
        }
        set
    }
}

/// The ranges with spaces between them, as CLUSTER NODES shows them.
impl fmt::Display for SlotSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges().into_iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            if range.start() == range.end() {
                write!(formatter, "{space}{}", range.start())?;
            } else {
                write!(formatter, "{space}{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for SlotSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{{self}}}")
    }
}

/// Reads one slot or a range, such as `5` or `0-100`. Returns none if the text is neither, or reaches beyond the last
/// slot.
pub fn parse_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (parse_slot(first)?, parse_slot(last)?);
    (first <= last).then_some(first..=last)
}

fn parse_slot(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|slot| is_plain && *slot < SLOTS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_set_is_as_the_frames_have_it() {
        let mut set: SlotSet = [0, 9, 16383, 16384].into_iter().collect();
        assert_eq!((set.as_bytes()[0], set.as_bytes()[1], set.as_bytes()[2047]), (1, 2, 128));
        assert_eq!((set.len(), set.contains(16384), set.remove(9), set.remove(9)), (3, false, true, false));
        assert_eq!(SlotSet::from_bytes(set.as_bytes()), set);
        assert_eq!((SlotSet::all().len(), SlotSet::all().to_string()), (SLOTS, "0-16383".to_string()));
    }

    #[test]
    fn ranges_are_written_and_read() {
        let set: SlotSet = (0..=100).chain([200, 16382, 16383]).collect();
        assert_eq!(set.to_string(), "0-100 200 16382-16383");
        let read: SlotSet = set.to_string().split(' ').filter_map(parse_range).flatten().collect();
        assert_eq!(read, set);
        for bad in ["", "-", "5-", "-5", "7-6", "16384", "0-16384", "+5", "5-6-7", "99999999999", "a"] {
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn sets_are_sets(
            left in proptest::collection::btree_set(0..SLOTS, 0..80),
            right in proptest::collection::btree_set(0..SLOTS, 0..80),
        ) {
            let (a, b): (SlotSet, SlotSet) = (left.iter().copied().collect(), right.iter().copied().collect());
            prop_assert_eq!(a.iter().collect::<Vec<_>>(), left.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(a.difference(&b).collect::<Vec<_>>(), left.difference(&right).copied().collect::<Vec<_>>());
            prop_assert_eq!(a.intersection(&b).count(), left.intersection(&right).count());
            prop_assert_eq!(usize::from(SlotSet::from_bytes(a.as_bytes()).len()), left.len());
            let read: SlotSet = a.to_string().split(' ').filter_map(parse_range).flatten().collect();
            prop_assert_eq!(read, a);
        }
    }
}
