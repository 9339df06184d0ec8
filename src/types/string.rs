//! Strings as pure values: parts and digests. Never knows where a string is kept.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

/// Length of a digest's text, in bytes.
pub const DIGEST_LENGTH: usize = 16;

/// The part of a string that GETRANGE asks for: both ends included, negative ones counted from the end, all cut to what
/// there is. Empty when nothing is left.
pub fn part(start: i64, end: i64, length: usize) -> Range<usize> {
    if length == 0 || (start < 0 && end < 0 && start > end) {
        return 0..0;
    }
    // A string is shorter than 2^63, so that nothing overflows.
    let from_front = |index: i64| {
        let index = if index < 0 { index + length as i64 } else { index };
        index.max(0) as usize
    };
    let start = from_front(start);
    let end = from_front(end).min(length - 1);
    if start > end { 0..0 } else { start..end + 1 }
}

/// The XXH3 hash of a string as DIGEST shows it: 64 bits as 16 lower-case hexadecimal digits. O(length).
pub fn digest(text: &[u8]) -> [u8; DIGEST_LENGTH] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let hash = xxh3_64(text);
    std::array::from_fn(|index| DIGITS[(hash >> (60 - 4 * index)) as usize & 0xf])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_to_what_there_is() {
        let hello = b"Hello World";
        let cases: [(i64, i64, &[u8]); 14] = [
            (0, 3, b"Hell"),
            (0, -1, b"Hello World"),
            (-4, -1, b"orld"),
            (5, 3, b""),
            (5, 5000, b" World"),
            (-5000, 10000, b"Hello World"),
            (0, -100, b"H"),
            (1, -100, b""),
            (-1, -100, b""),
            (-100, -99, b"H"),
            (-100, -100, b"H"),
            (-100, -101, b""),
            (i64::MIN, i64::MAX, b"Hello World"),
            (i64::MAX, i64::MIN, b""),
        ];
        for (start, end, expected) in cases {
            assert_eq!(&hello[part(start, end, hello.len())], expected, "{start} {end}");
        }
        assert_eq!(part(0, -1, 0), 0..0);
    }

    /// The second value comes from Redis's own tests: its digest has leading zeros.
    #[test]
    fn digests_have_sixteen_digits() {
        assert_eq!(&digest(b""), b"2d06800538d394c2");
        let text = b"v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd";
        assert_eq!(&digest(text), b"00006c38adf31777");
    }
}
