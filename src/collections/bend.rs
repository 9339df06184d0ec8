//! Owns the bend that makes tables grow evenly: where a hash is a place in an order, some places are denser than
//! others. Never knows what the hash is of.

/// A third, in units of 2⁻⁶⁴: how much a hash is bent.
const BEND: u64 = u64::MAX / 3;

#[inline]
fn multiply_high(left: u64, right: u64) -> u64 {
    ((u128::from(left) * u128::from(right)) >> 64) as u64
}

/// The position of a hash: with u the hash as a fraction, u + u(1 - u)/3. It is monotone and stays below one; hashes
/// are twice as dense at its upper end as at its lower one. (2ᵘ - 1 would be ideal; this is close and costs two
/// multiplications.)
#[inline]
pub fn spread(hash: u64) -> u64 {
    hash + multiply_high(multiply_high(hash, !hash), BEND)
}

/// The share of all hashes whose positions are below `position`, a fraction of one: the inverse of [`spread`].
pub fn share_below(position: f64) -> f64 {
    2.0 - (4.0 - 3.0 * position).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_bend_keeps_the_order(left in any::<u64>(), step in prop_oneof![0..4u64, any::<u64>()]) {
            prop_assert!(spread(left) <= spread(left.saturating_add(step)));
        }

        #[test]
        fn the_share_below_a_position_is_the_hash(hash in any::<u64>()) {
            let share = share_below(spread(hash) as f64 / u64::MAX as f64);
            prop_assert!((share - hash as f64 / u64::MAX as f64).abs() < 1e-12);
        }
    }
}
