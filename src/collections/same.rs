//! Whether two short strings are the same. A call to the library's comparison costs more than the comparison itself where most
//! keys and members have a few bytes; these lengths are compared word by word, in place.

/// Whether both are the same bytes. O(n).
#[inline]
pub fn same(left: &[u8], right: &[u8]) -> bool {
    match left.len() {
        length if length != right.len() => false,
        0..4 => left.iter().zip(right).all(|(left, right)| left == right),
        4..8 => same_ends::<4>(left, right),
        8..=16 => same_ends::<8>(left, right),
        17..=32 => same_ends::<16>(left, right),
        _ => left == right,
    }
}

/// Whether the first and the last bytes are the same, which may be some of them twice.
#[inline]
fn same_ends<const BYTES: usize>(left: &[u8], right: &[u8]) -> bool {
    left.first_chunk::<BYTES>() == right.first_chunk::<BYTES>()
        && left.last_chunk::<BYTES>() == right.last_chunk::<BYTES>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_counts_at_every_length() {
        for length in 0..70 {
            let left: Vec<u8> = (0..length).collect();
            assert!(same(&left, &left.clone()));
            for at in 0..left.len() {
                let mut right = left.clone();
                right[at] ^= 1;
                assert!(!same(&left, &right), "{at} of {length}");
            }
            assert!(!same(&left, &left[..left.len().saturating_sub(1)]) || length == 0);
            assert!(!same(&left, &[&left[..], b"x"].concat()));
        }
    }
}
