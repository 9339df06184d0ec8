//! Owns intersections, unions and differences. Never reads or writes a key.
//!
//! What is to be stored takes the form that Redis gives it, which depends on the way that the result comes about: a
//! union or difference begins as an intset and takes one member after the other.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use smallvec::SmallVec;

use crate::collections::hash::HashSeed;
use crate::collections::intset;
use crate::types::object::Object;
use crate::types::slot::{OwnedSlot, OwnedValue, PackedForm};

use super::chunk::{Chunk, for_each_chunk};
use super::{Limits, Member, Set, SetRef};
use crate::types::set::editor::{SetEditor, empty_intset, empty_listpack};

/// The sets that an operation works on.
pub type Sets<'a> = SmallVec<[SetRef<'a>; 4]>;

/// Whether both are the same set in the same place.
fn is_same(left: SetRef<'_>, right: SetRef<'_>) -> bool {
    match (left.large(), right.large()) {
        (Some(left), Some(right)) => std::ptr::eq(left, right),
        _ => false,
    }
}

/// The sets without those that are empty or that come twice.
fn distinct<'a>(sets: impl IntoIterator<Item = SetRef<'a>>) -> Sets<'a> {
    let mut kept = Sets::new();
    for set in sets {
        if !set.is_empty() && !kept.iter().any(|other| is_same(*other, set)) {
            kept.push(set);
        }
    }
    kept
}

/// The seed to hash members with that are to be looked up in these sets, if any is large.
fn seed_for<'a>(sets: &[SetRef<'a>]) -> Option<&'a HashSeed> {
    sets.iter().find_map(|set| set.large()).map(|set| set.table().seed())
}

/// Shows the members of a chunk as long as `visit` goes on; tells whether it does.
fn show(chunk: &Chunk<'_>, visit: &mut impl FnMut(Member<'_>) -> ControlFlow<()>) -> bool {
    chunk.members().iter().all(|hashed| visit(hashed.member).is_continue())
}

/// Shows what is in all of the sets, until `visit` breaks off. O(members of the smallest × sets).
pub fn intersection(sets: &[SetRef<'_>], mut visit: impl FnMut(Member<'_>) -> ControlFlow<()>) {
    if sets.iter().any(|set| set.is_empty()) {
        return;
    }
    let mut sets = distinct(sets.iter().copied());
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else {
        return;
    };
    for_each_chunk(*smallest, seed_for(others), |chunk| {
        others.iter().for_each(|set| chunk.keep(*set, true));
        show(chunk, &mut visit)
    });
}

/// What is in all of the sets, as a value. O(members of the smallest × sets).
pub fn stored_intersection(sets: &[SetRef<'_>], limits: Limits, seed: &HashSeed) -> OwnedValue {
    let smallest = sets.iter().min_by_key(|set| set.len());
    let start = match smallest {
        Some(SetRef::IntSet(_)) => empty_intset(),
        _ => empty_listpack(0),
    };
    let mut slot = OwnedSlot::new(start, seed);
    let mut integers = Some(Vec::new());
    let mut editor = SetEditor::of_empty(&mut slot, limits);
    intersection(sets, |member| {
        if let Some(found) = &mut integers {
            match member.text().integer() {
                Some(integer) if limits.allow_integers(found.len() + 1) => found.push(integer),
                _ => integers = None,
            }
        }
        editor.add_member(member);
        ControlFlow::Continue(())
    });
    match integers {
        Some(integers) if !matches!(smallest, Some(SetRef::IntSet(_))) => intset_of(integers),
        _ => slot.value,
    }
}

fn intset_of(mut integers: Vec<i64>) -> OwnedValue {
    integers.sort_unstable();
    let mut bytes = intset::create();
    for integer in integers {
        intset::insert(&mut bytes, integer);
    }
    OwnedValue::Packed(PackedForm::IntSet, bytes)
}

/// Shows what is in any of the sets, each member once, until `visit` breaks off. O(members of all).
pub fn union(sets: &[SetRef<'_>], seed: &HashSeed, mut visit: impl FnMut(Member<'_>) -> ControlFlow<()>) {
    let mut sets = distinct(sets.iter().copied());
    sets.sort_by_key(|set| Reverse(set.len()));
    let Some((largest, others)) = sets.split_first() else {
        return;
    };
    let mut goes_on = true;
    for_each_chunk(*largest, None, |chunk| {
        goes_on = show(chunk, &mut visit);
        goes_on
    });
    // What of the others is not in the largest: noted only if it could come twice.
    let mut seen = Set::new(seed);
    for (number, set) in others.iter().enumerate() {
        if !goes_on {
            return;
        }
        for_each_chunk(*set, Some(seed), |chunk| {
            chunk.keep(*largest, false);
            if number > 0 {
                chunk.keep(SetRef::Large(&seen), false);
            }
            if number + 1 < others.len() {
                chunk.add_to(&mut seen);
            }
            goes_on = show(chunk, &mut visit);
            goes_on
        });
    }
}

/// What is in any of the sets, as a value. O(members of all); of a large set that is much larger than the others
/// O(members of the others).
pub fn stored_union(sets: &[SetRef<'_>], limits: Limits, seed: &HashSeed) -> OwnedValue {
    let sets = distinct(sets.iter().copied());
    let largest = sets.iter().enumerate().max_by_key(|(_, set)| set.len());
    if let Some((index, largest)) = largest.filter(|(_, set)| limits.exclude_packed(set.len())) {
        let mut joined = large_of(*largest, seed);
        let others = sets.iter().enumerate().filter(|(other, _)| *other != index);
        for (_, set) in others {
            for_each_chunk(*set, Some(seed), |chunk| {
                chunk.add_to(&mut joined);
                true
            });
        }
        return OwnedValue::object(Object::Set(joined));
    }
    let mut slot = OwnedSlot::new(empty_intset(), seed);
    let mut editor = SetEditor::of_empty(&mut slot, limits);
    sets.iter().for_each(|set| editor.add_set(*set));
    slot.value
}

/// A large set of the same members; it shares the elements of one that is large. O(1) then.
fn large_of(set: SetRef<'_>, seed: &HashSeed) -> Set {
    if let Some(set) = set.large() {
        return set.fork();
    }
    let mut large = Set::new(seed);
    for_each_chunk(set, Some(seed), |chunk| {
        chunk.add_to(&mut large);
        true
    });
    large
}

/// A difference that is to be worked out.
struct Difference<'a> {
    first: SetRef<'a>,
    /// Those to be taken away that are not empty.
    others: Sets<'a>,
    /// Whether looking the first set's members up in the others is thought to cost more than going through all of them.
    by_removal: bool,
}

impl<'a> Difference<'a> {
    /// Nothing if nothing can be left.
    fn of(first: SetRef<'a>, others: &[SetRef<'a>]) -> Option<Difference<'a>> {
        if first.is_empty() || others.iter().any(|set| is_same(first, *set)) {
            return None;
        }
        // Whether a set comes twice makes a difference to Redis's choice, and so to the form of what is stored.
        let existing = 1 + others.len();
        let lookups = first.len().saturating_mul(existing) / 2;
        let members: usize = others.iter().map(|set| set.len()).sum();
        let mut others = distinct(others.iter().copied());
        others.sort_by_key(|set| Reverse(set.len()));
        Some(Difference { first, others, by_removal: lookups > first.len() + members })
    }

    /// Looks the members of the first set up in the others.
    fn look_up(&self, mut visit: impl FnMut(Member<'_>) -> ControlFlow<()>) {
        for_each_chunk(self.first, seed_for(&self.others), |chunk| {
            self.others.iter().for_each(|set| chunk.keep(*set, false));
            show(chunk, &mut visit)
        });
    }

    fn remove_others(&self, left: &mut Set, seed: &HashSeed) {
        for set in &self.others {
            for_each_chunk(*set, Some(seed), |chunk| {
                chunk.remove_from(left);
                !left.is_empty()
            });
        }
    }
}

/// Shows what is in the first set and in none of the others, until `visit` breaks off. O(members of all) or O(members
/// of the first × sets), whichever promises to be less.
pub fn difference(
    first: SetRef<'_>,
    others: &[SetRef<'_>],
    seed: &HashSeed,
    mut visit: impl FnMut(Member<'_>) -> ControlFlow<()>,
) {
    let Some(difference) = Difference::of(first, others) else {
        return;
    };
    if !difference.by_removal {
        return difference.look_up(visit);
    }
    let mut left = large_of(first, seed);
    difference.remove_others(&mut left, seed);
    for_each_chunk(SetRef::Large(&left), None, |chunk| show(chunk, &mut visit));
}

/// What is in the first set and in none of the others, as a value. As costly as `difference`.
pub fn stored_difference(first: SetRef<'_>, others: &[SetRef<'_>], limits: Limits, seed: &HashSeed) -> OwnedValue {
    let mut slot = OwnedSlot::new(empty_intset(), seed);
    let Some(difference) = Difference::of(first, others) else {
        return slot.value;
    };
    if difference.by_removal && limits.exclude_packed(first.len()) {
        let mut left = large_of(first, seed);
        difference.remove_others(&mut left, seed);
        return OwnedValue::object(Object::Set(left));
    }
    let mut editor = SetEditor::of_empty(&mut slot, limits);
    if difference.by_removal {
        editor.add_set(first);
        difference.others.iter().for_each(|set| editor.remove_set(*set));
    } else {
        difference.look_up(|member| {
            editor.add_member(member);
            ControlFlow::Continue(())
        });
    }
    slot.value
}
