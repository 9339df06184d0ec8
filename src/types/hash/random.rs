//! Owns picking fields of a hash at random. Never picks one whose time is over.

use crate::collections::element::Element;
use crate::collections::hash::{NumberHash, NumberSet};
use crate::collections::table::Entry;

use super::{Hash, Pairs};
use crate::types::hash::field::Field;
use crate::types::hash::view::HashRef;

/// Fewer times as many fields as are asked for are gone through one by one; of more some are picked.
const PICK_FACTOR: usize = 3;

/// How often a field is picked whose time is over before one is looked for.
const TRIES: usize = 1000;

/// Shows `count` different fields, as many as there are alive at most, each with the same chance, in no particular
/// order. O(count), O(n) if that is more than a third of all or the hash is packed.
pub fn distinct(
    hash: HashRef<'_>,
    count: usize,
    now_ms: i64,
    random: &mut fastrand::Rng,
    mut visit: impl FnMut(Field<'_>),
) {
    let alive = hash.live_len(now_ms);
    match hash {
        HashRef::Large(large) if count.saturating_mul(PICK_FACTOR) <= alive && alive * 2 > large.len() => {
            let mut seen = NumberSet::with_capacity_and_hasher(count, NumberHash::default());
            while seen.len() < count {
                let Some(element) = pick(large, now_ms, random) else {
                    return;
                };
                // An element is known by where it lies.
                if seen.insert(element.address()) {
                    visit(Field::of(element));
                }
            }
        }
        _ => {
            // Selection sampling (Knuth, The Art of Computer Programming 3.4.2, algorithm S).
            let (mut left, mut wanted) = (alive, count.min(alive));
            hash.for_each(|field| {
                if field.found.is_due(now_ms) || wanted == 0 {
                    return;
                }
                if random.usize(..left) < wanted {
                    wanted -= 1;
                    visit(field);
                }
                left -= 1;
            });
        }
    }
}

/// Shows `count` fields, each time any with the same chance. At least one has to be alive. O(count), O(count + n) if
/// the hash is packed.
pub fn repeated(
    hash: HashRef<'_>,
    count: usize,
    now_ms: i64,
    random: &mut fastrand::Rng,
    mut visit: impl FnMut(Field<'_>),
) {
    match hash {
        HashRef::Packed(pairs) if count == 1 => {
            let alive = alive_places(pairs, now_ms);
            let place = random.usize(alive);
            pairs.at(place).into_iter().for_each(visit);
        }
        HashRef::Packed(pairs) => {
            let fields: Vec<Field<'_>> = pairs.iter().filter(|field| !field.found.is_due(now_ms)).collect();
            (0..count).for_each(|_| visit(fields[random.usize(..fields.len())]));
        }
        HashRef::Large(large) => {
            for _ in 0..count {
                if let Some(element) = pick(large, now_ms, random) {
                    visit(Field::of(element));
                }
            }
        }
    }
}

/// Where the fields of a packed hash are that are alive: those whose time is over come first.
fn alive_places(pairs: Pairs<'_>, now_ms: i64) -> std::ops::Range<usize> {
    pairs.due_before(now_ms)..pairs.len()
}

fn pick<'a>(hash: &'a Hash, now_ms: i64, random: &mut fastrand::Rng) -> Option<&'a Element> {
    let is_alive = |element: &&Element| element.expiry_ms().is_none_or(|time_ms| time_ms >= now_ms);
    let picked = (0..TRIES).find_map(|_| hash.random(random).filter(is_alive));
    picked.or_else(|| hash.iter().find(is_alive))
}
