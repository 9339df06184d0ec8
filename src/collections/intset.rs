//! Owns the intset: distinct integers in ascending order in contiguous bytes, in the format of RDB files.
//!
//! ```text
//! width: u32 (2, 4 or 8 bytes) │ count: u32 │ integer │ integer │ …        all little-endian
//! ```

use std::cmp::Ordering;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::Range;

use super::packed::Packed;

/// Bytes before the first integer.
const HEADER_BYTES: usize = 8;

/// An intset without integers.
pub const EMPTY: [u8; HEADER_BYTES] = [2, 0, 0, 0, 0, 0, 0, 0];

/// An intset without integers.
#[must_use]
pub fn create() -> Vec<u8> {
    EMPTY.to_vec()
}

/// The bytes that each integer of a set takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Width {
    Two = 2,
    Four = 4,
    Eight = 8,
}

impl Width {
    /// The least width that an integer fits in.
    #[inline]
    fn of(integer: i64) -> Width {
        if i16::try_from(integer).is_ok() {
            Width::Two
        } else if i32::try_from(integer).is_ok() {
            Width::Four
        } else {
            Width::Eight
        }
    }

    /// The bytes of an integer that fits.
    #[inline]
    fn encode(self, integer: i64, call: impl FnOnce(&[u8])) {
        call(&integer.to_le_bytes()[..self as usize]);
    }
}

/// The bytes of an intset, to be read.
#[derive(Clone, Copy, Debug)]
pub struct IntSet<'a> {
    width: Width,
    integers: &'a [u8],
}

impl<'a> IntSet<'a> {
    /// Reads bytes that are known to be an intset: made here, or found valid by [`validate`].
    ///
    /// # Panics
    ///
    /// When there are fewer bytes than an empty intset has.
    #[inline]
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> IntSet<'a> {
        let (header, integers) = bytes.split_at(HEADER_BYTES);
        let width = match header[0] {
            2 => Width::Two,
            4 => Width::Four,
            _ => Width::Eight,
        };
        IntSet { width, integers }
    }

    /// The number of integers.
    #[inline]
    #[must_use]
    pub fn len(self) -> usize {
        self.integers.len() / self.width as usize
    }

    /// Whether there are no integers.
    #[inline]
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.integers.is_empty()
    }

    /// The number of all its bytes.
    #[inline]
    #[must_use]
    pub fn byte_len(self) -> usize {
        HEADER_BYTES + self.integers.len()
    }

    /// The integer with an index in ascending order.
    ///
    /// # Panics
    ///
    /// When there are not so many.
    #[inline]
    #[must_use]
    pub fn at(self, index: usize) -> i64 {
        match self.width {
            Width::Two => i64::from(i16::from_le_bytes(self.chunk(index))),
            Width::Four => i64::from(i32::from_le_bytes(self.chunk(index))),
            Width::Eight => i64::from_le_bytes(self.chunk(index)),
        }
    }

    #[inline]
    fn chunk<const N: usize>(self, index: usize) -> [u8; N] {
        self.integers.as_chunks().0[index]
    }

    /// The integer with an index in ascending order, if there are so many.
    #[inline]
    #[must_use]
    pub fn get(self, index: usize) -> Option<i64> {
        (index < self.len()).then(|| self.at(index))
    }

    /// The least integer.
    #[inline]
    #[must_use]
    pub fn min(self) -> Option<i64> {
        self.get(0)
    }

    /// The greatest integer.
    #[inline]
    #[must_use]
    pub fn max(self) -> Option<i64> {
        self.get(self.len().wrapping_sub(1))
    }

    /// Whether an integer is in the set. O(log n).
    #[inline]
    #[must_use]
    pub fn contains(self, integer: i64) -> bool {
        self.position(integer).is_ok()
    }

    /// The index of an integer. O(log n).
    ///
    /// # Errors
    ///
    /// The index that it would have, when it is not in the set.
    #[inline]
    pub fn position(self, integer: i64) -> Result<usize, usize> {
        match self.width {
            Width::Two => search(self.integers, integer, |chunk| i64::from(i16::from_le_bytes(*chunk))),
            Width::Four => search(self.integers, integer, |chunk| i64::from(i32::from_le_bytes(*chunk))),
            Width::Eight => search(self.integers, integer, |chunk| i64::from_le_bytes(*chunk)),
        }
    }

    /// The integers in ascending order.
    #[inline]
    #[must_use]
    pub fn iter(self) -> Iter<'a> {
        Iter { set: self, indexes: 0..self.len() }
    }
}

/// Looks for an integer among chunks in ascending order.
#[inline]
fn search<const N: usize>(integers: &[u8], integer: i64, decode: impl Fn(&[u8; N]) -> i64) -> Result<usize, usize> {
    let (chunks, _) = integers.as_chunks();
    // Integers often come in ascending order.
    if chunks.last().is_none_or(|last| decode(last) < integer) {
        return Err(chunks.len());
    }
    chunks.binary_search_by(|chunk| decode(chunk).cmp(&integer))
}

impl<'a> IntoIterator for IntSet<'a> {
    type Item = i64;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Integers of an intset in ascending order.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    set: IntSet<'a>,
    indexes: Range<usize>,
}

impl Iterator for Iter<'_> {
    type Item = i64;

    #[inline]
    fn next(&mut self) -> Option<i64> {
        self.indexes.next().map(|index| self.set.at(index))
    }

    #[inline]
    fn nth(&mut self, count: usize) -> Option<i64> {
        self.indexes.nth(count).map(|index| self.set.at(index))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.indexes.size_hint()
    }
}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<i64> {
        self.indexes.next_back().map(|index| self.set.at(index))
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl FusedIterator for Iter<'_> {}

/// Adds an integer; false when it is in the set already. O(n) bytes moved; an integer that is wider than the others
/// makes all of them as wide.
pub fn insert<P: Packed + ?Sized>(packed: &mut P, integer: i64) -> bool {
    let set = IntSet::new(packed.bytes());
    let (count, width) = (set.len(), set.width);
    if Width::of(integer) > width {
        widen(packed, integer);
    } else {
        let Err(index) = set.position(integer) else {
            return false;
        };
        let at = HEADER_BYTES + index * width as usize;
        width.encode(integer, |bytes| packed.splice(at..at, bytes));
    }
    write_count(packed, count + 1);
    true
}

/// Writes all integers anew in the width of one that is wider than they, and adds it.
#[cold]
fn widen<P: Packed + ?Sized>(packed: &mut P, integer: i64) {
    let set = IntSet::new(packed.bytes());
    let width = Width::of(integer);
    let mut widened = Vec::with_capacity(HEADER_BYTES + (set.len() + 1) * width as usize);
    widened.extend_from_slice(&(width as u32).to_le_bytes());
    widened.extend_from_slice(&EMPTY[4..]);
    // An integer that does not fit in the old width is below or above all others.
    let (before, after) = if integer < 0 { (Some(integer), None) } else { (None, Some(integer)) };
    for integer in before.into_iter().chain(set).chain(after) {
        width.encode(integer, |bytes| widened.extend_from_slice(bytes));
    }
    let length = packed.bytes().len();
    packed.splice(0..length, &widened);
}

/// Removes an integer; false when it is not in the set. O(n) bytes moved. The others keep their width.
pub fn remove<P: Packed + ?Sized>(packed: &mut P, integer: i64) -> bool {
    let set = IntSet::new(packed.bytes());
    let Ok(index) = set.position(integer) else {
        return false;
    };
    remove_at(packed, index);
    true
}

/// Removes and returns the integer with an index in ascending order. O(n) bytes moved.
///
/// # Panics
///
/// When there are not so many.
pub fn remove_at<P: Packed + ?Sized>(packed: &mut P, index: usize) -> i64 {
    let set = IntSet::new(packed.bytes());
    let (count, width, integer) = (set.len(), set.width as usize, set.at(index));
    let at = HEADER_BYTES + index * width;
    packed.splice(at..at + width, &[]);
    write_count(packed, count - 1);
    integer
}

fn write_count<P: Packed + ?Sized>(packed: &mut P, count: usize) {
    // INVARIANT: the callers keep sets far smaller; so many integers would take 8 GiB.
    let count = u32::try_from(count).expect("an intset stays below 2^32 integers");
    packed.bytes_mut()[4..HEADER_BYTES].copy_from_slice(&count.to_le_bytes());
}

/// Why bytes are not an intset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There are fewer bytes than an empty intset has.
    TooShort,
    /// The width is none of 2, 4 and 8.
    WrongWidth,
    /// The count in the header is not that of the integers.
    WrongCount,
    /// The integers are not distinct and in ascending order.
    Unordered,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Error::TooShort => "an intset is too short",
            Error::WrongWidth => "an intset has integers of a wrong width",
            Error::WrongCount => "an intset has another number of integers than it says",
            Error::Unordered => "an intset is out of order",
        })
    }
}

impl std::error::Error for Error {}

/// Checks that the bytes are an intset: its frame only, in O(1), or deeply, also the order of the integers, in O(n).
/// Returns the number of integers.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn validate(bytes: &[u8], deep: bool) -> Result<usize, Error> {
    let Some((header, integers)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Error::TooShort);
    };
    let [width, count] = [0, 4].map(|at| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|index| header[at + index]);
        u32::from_le_bytes([a, b, c, d]) as usize
    });
    if ![2, 4, 8].contains(&width) {
        return Err(Error::WrongWidth);
    }
    if count.checked_mul(width) != Some(integers.len()) {
        return Err(Error::WrongCount);
    }
    let set = IntSet::new(bytes);
    if deep && !set.iter().is_sorted_by(|one, next| one.cmp(next) == Ordering::Less) {
        return Err(Error::Unordered);
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn integer() -> impl Strategy<Value = i64> {
        prop_oneof![
            -9..9i64,
            any::<i16>().prop_map(i64::from),
            any::<i32>().prop_map(i64::from),
            any::<i64>(),
            prop::sample::select(vec![
                i64::MIN,
                i64::MAX,
                -0x8000_0001,
                -0x8000_0000,
                0x7FFF_FFFF,
                0x8000_0000,
                -0x8001,
                -0x8000,
                0x7FFF,
                0x8000,
            ]),
        ]
    }

    fn check(bytes: &[u8], model: &BTreeSet<i64>) {
        assert_eq!(validate(bytes, true), Ok(model.len()));
        let set = IntSet::new(bytes);
        assert_eq!(set.len(), model.len());
        assert_eq!(set.is_empty(), model.is_empty());
        assert_eq!(set.byte_len(), bytes.len());
        assert!(set.iter().eq(model.iter().copied()));
        assert!(set.into_iter().rev().eq(model.iter().rev().copied()));
        assert_eq!(set.iter().len(), model.len());
        assert_eq!(set.min(), model.first().copied());
        assert_eq!(set.max(), model.last().copied());
        assert_eq!(set.get(model.len()), None);
        for (index, integer) in model.iter().enumerate() {
            assert_eq!(set.position(*integer), Ok(index));
            assert_eq!(set.at(index), *integer);
            assert_eq!(set.iter().nth(index), Some(*integer));
        }
    }

    proptest! {
        #[test]
        fn edits_are_those_of_a_set(edits in prop::collection::vec((0..4u8, integer()), 0..60)) {
            let (mut packed, mut model) = (create(), BTreeSet::new());
            let mut width = Width::Two;
            for (kind, integer) in edits {
                let place = model.range(..integer).count();
                let has = model.contains(&integer);
                prop_assert_eq!(IntSet::new(&packed).contains(integer), has);
                prop_assert_eq!(IntSet::new(&packed).position(integer), if has { Ok(place) } else { Err(place) });
                if kind > 0 {
                    prop_assert_eq!(insert(&mut packed, integer), model.insert(integer));
                    width = width.max(Width::of(integer));
                } else if let Some(&at_place) = model.iter().nth(place) {
                    prop_assert_eq!(remove(&mut packed, at_place), model.remove(&at_place));
                    prop_assert!(!remove(&mut packed, at_place));
                }
                prop_assert_eq!(packed[0], width as u8);
                check(&packed, &model);
            }
            while !model.is_empty() {
                let index = model.len() / 2;
                let removed = remove_at(&mut packed, index);
                prop_assert!(model.remove(&removed));
                check(&packed, &model);
            }
        }

        #[test]
        fn what_a_deep_check_lets_pass_is_safe_to_use(
            width in prop::sample::select(vec![2u8, 4, 8, 3]), count in 0..4u8, mut rest: Vec<u8>, other: i64, exact: bool,
        ) {
            if exact {
                rest.resize(usize::from(width) * usize::from(count), 7);
            }
            let mut bytes = [&[width, 0, 0, 0, count, 0, 0, 0], &rest[..]].concat();
            let _ = validate(&bytes, false);
            if validate(&bytes, true).is_ok() {
                let mut model: BTreeSet<i64> = IntSet::new(&bytes).iter().collect();
                check(&bytes, &model);
                prop_assert_eq!(insert(&mut bytes, other), model.insert(other));
                check(&bytes, &model);
            }
        }

        #[test]
        fn any_bytes_are_checked_without_a_panic(bytes: Vec<u8>) {
            let _ = (validate(&bytes, true), validate(&bytes, false));
        }
    }

    /// What `DUMP` of Redis 7.0.15 gives for a set, but for what is around the intset.
    #[test]
    fn the_bytes_are_those_of_a_genuine_server() {
        let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
        let mut packed = create();
        for integer in [5, -3, 7, 1] {
            assert!(insert(&mut packed, integer));
        }
        assert!(remove(&mut packed, 1));
        assert_eq!(hex(&packed), "0200000003000000fdff05000700");
        assert!(insert(&mut packed, -70_000));
        assert_eq!(hex(&packed), "040000000400000090eefefffdffffff0500000007000000");
        assert!(insert(&mut packed, 5_000_000_000) && insert(&mut packed, 70_000));
        assert_eq!(
            hex(&packed),
            "080000000600000090eefefffffffffffdffffffffffffff05000000000000000700000000000000701101000000000000f2052a01000000"
        );
        assert!(remove(&mut packed, 5_000_000_000) && remove(&mut packed, -70_000));
        assert_eq!(hex(&packed), "0800000004000000fdffffffffffffff050000000000000007000000000000007011010000000000");
    }

    #[test]
    fn each_fault_is_named() {
        let mut good = create();
        for integer in [1, 2, 3] {
            insert(&mut good, integer);
        }
        let with = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            validate(&bytes, true)
        };
        assert_eq!(validate(&good, true), Ok(3));
        assert_eq!(validate(&good[..7], true), Err(Error::TooShort));
        assert_eq!(with(0, 3), Err(Error::WrongWidth));
        assert_eq!(with(1, 1), Err(Error::WrongWidth));
        assert_eq!(with(4, 2), Err(Error::WrongCount));
        assert_eq!(with(7, 0xFF), Err(Error::WrongCount));
        assert_eq!(with(8, 2), Err(Error::Unordered), "twice the same");
        assert_eq!(with(8, 9), Err(Error::Unordered));
        let mut unordered = good.clone();
        unordered[8] = 9;
        assert_eq!(validate(&unordered, false), Ok(3));
        let messages: BTreeSet<String> = [Error::TooShort, Error::WrongWidth, Error::WrongCount, Error::Unordered]
            .iter()
            .map(Error::to_string)
            .collect();
        assert_eq!(messages.len(), 4);
    }
}
