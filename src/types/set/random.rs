//! Owns picking members of a set at random. Never changes it.

use crate::collections::hash::{NumberHash, NumberSet};
use crate::collections::table::Entry;

use super::{SetRef, Text};

/// Fewer times as many members as are asked for are gone through one by one; of more some are picked.
const PICK_FACTOR: usize = 3;

/// Shows `count` different members, as many as there are at most, each with the same chance, in no particular order.
/// O(count), O(n) if that is more than a third of all or the set is packed.
pub fn distinct(set: SetRef<'_>, count: usize, random: &mut fastrand::Rng, mut visit: impl FnMut(Text<'_>)) {
    let len = set.len();
    match set {
        SetRef::Large(large) if count.saturating_mul(PICK_FACTOR) <= len => {
            // An element is known by where it lies.
            let mut seen = NumberSet::with_capacity_and_hasher(count, NumberHash::default());
            while seen.len() < count
                && let Some(element) = large.random(random)
            {
                if seen.insert(element.address()) {
                    visit(Text::Text(element.key()));
                }
            }
        }
        _ => {
            // Selection sampling (Knuth, The Art of Computer Programming 3.4.2, algorithm S).
            let (mut left, mut wanted) = (len, count.min(len));
            set.for_each(|member| {
                if wanted > 0 && random.usize(..left) < wanted {
                    wanted -= 1;
                    visit(member);
                }
                left -= 1;
            });
        }
    }
}

/// Shows `count` members, each time any with the same chance; the set must not be empty. O(count), O(count + n) for a
/// listpack.
pub fn repeated(set: SetRef<'_>, count: usize, random: &mut fastrand::Rng, mut visit: impl FnMut(Text<'_>)) {
    match set {
        SetRef::IntSet(integers) => {
            (0..count).for_each(|_| {
                visit(Text::Integer(integers.at(random.usize(..integers.len()))));
            });
        }
        SetRef::Listpack(texts) if count == 1 => {
            let picked = texts.get(random.usize(..texts.len()) as i64);
            picked.into_iter().for_each(visit);
        }
        SetRef::Listpack(texts) => {
            let texts: Vec<Text<'_>> = texts.iter().collect();
            (0..count).for_each(|_| visit(texts[random.usize(..texts.len())]));
        }
        SetRef::Large(large) => {
            for _ in 0..count {
                if let Some(element) = large.random(random) {
                    visit(Text::Text(element.key()));
                }
            }
        }
    }
}
