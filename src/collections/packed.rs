//! Where the bytes of a small collection lie. Never knows what they mean.

use std::ops::Range;

/// A run of bytes that can be changed in the middle: a plain buffer, or a value's place in a record.
pub trait Packed {
    /// The bytes.
    fn bytes(&self) -> &[u8];

    /// The bytes, to change without moving any. O(1), O(length) if they were shared.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Puts `with` in the place of a range. O(bytes behind it) for one move, O(length) if the whole must move or was
    /// shared.
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
        let (before, end) = (self.len(), range.start + with.len());
        if end > range.end {
            self.resize(before + (end - range.end), 0);
        }
        self.copy_within(range.end..before, end);
        self.truncate(before + end - range.end);
        self[range.start..end].copy_from_slice(with);
    }
}

#[cfg(test)]
mod tests {
    use super::Packed;

    #[test]
    fn a_splice_grows_shrinks_and_replaces() {
        let mut bytes = b"hello world".to_vec();
        Packed::splice(&mut bytes, 0..5, b"goodbye");
        assert_eq!(bytes, b"goodbye world");
        Packed::splice(&mut bytes, 7..13, b"");
        assert_eq!(bytes, b"goodbye");
        Packed::splice(&mut bytes, 4..4, b"-");
        assert_eq!(bytes, b"good-bye");
        Packed::splice(&mut bytes, 0..8, b"x");
        assert_eq!(bytes, b"x");
    }
}
