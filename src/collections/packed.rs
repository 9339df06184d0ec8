//! Owns the trait of places where packed bytes lie: a vector, or a record of the keyspace.

use std::ops::Range;

/// A place that holds one packed collection (a listpack, an intset) and lets its bytes be edited.
pub trait Packed {
    /// The bytes, exactly those of the collection.
    fn bytes(&self) -> &[u8];

    /// The bytes, for changes that keep their number.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Replaces a range of the bytes by other bytes, of which there may be more or fewer. Moves what lies behind the range
    /// once.
    ///
    /// # Panics
    ///
    /// When the range does not lie within the bytes.
    fn splice(&mut self, range: Range<usize>, with: &[u8]);
}

impl Packed for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        let Range { start, end } = range;
        let length = self.len();
        assert!(
            start <= end && end <= length,
            "the range lies within the bytes"
        );
        let kept_end = start + with.len();
        let new_length = kept_end + (length - end);
        if new_length > length {
            self.resize(new_length, 0);
        }
        self.copy_within(end..length, kept_end);
        self.truncate(new_length);
        self[start..kept_end].copy_from_slice(with);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_splice_is_that_of_a_vector(
            before: Vec<u8>, with: Vec<u8>, start: prop::sample::Index, end: prop::sample::Index,
        ) {
            let places = [start.index(before.len() + 1), end.index(before.len() + 1)];
            let range = places[0].min(places[1])..places[0].max(places[1]);
            let mut expected = before.clone();
            let _ = Vec::splice(&mut expected, range.clone(), with.iter().copied());
            let mut packed = before;
            Packed::splice(&mut packed, range, &with);
            prop_assert_eq!(packed.bytes(), &expected);
            prop_assert_eq!(packed.bytes_mut(), &expected[..]);
        }
    }

    #[test]
    #[should_panic(expected = "the range lies within the bytes")]
    fn a_range_beyond_the_bytes_is_refused() {
        Packed::splice(&mut vec![1, 2, 3], 2..4, b"");
    }
}
