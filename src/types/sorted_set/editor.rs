//! Owns the changes to the sorted set in a slot, and its conversion to the large form. Never converts back: only what
//! is built anew is packed again.

use std::ops::Range;

use crate::collections::listpack;
use crate::collections::table::look_ahead;
use crate::types::object::Object;
use crate::types::slot::{OwnedValue, Slot, Stored};

use super::packed::{self, PackedSortedSet};
use super::{Builder, Change, End, Limits, Member, SortedSet, SortedSetRef};

/// The sorted set in a slot, to be changed.
pub struct SortedSetMut<'a, S: Slot> {
    slot: &'a mut S,
    limits: Limits,
}

impl<'a, S: Slot> SortedSetMut<'a, S> {
    /// The sorted set in a slot, if the value there is one.
    #[inline]
    pub fn of(slot: &'a mut S, limits: Limits) -> Option<SortedSetMut<'a, S>> {
        SortedSetRef::of(slot.stored())?;
        Some(SortedSetMut { slot, limits })
    }

    /// The same, to be read.
    #[inline]
    pub fn view(&self) -> SortedSetRef<'_> {
        match SortedSetRef::of(self.slot.stored()) {
            Some(view) => view,
            None => unreachable!("only sorted sets take the place of sorted sets"),
        }
    }

    #[inline]
    fn large(&mut self) -> Option<&mut SortedSet> {
        if !matches!(self.slot.stored(), Stored::Object(_)) {
            return None;
        }
        match self.slot.object_mut() {
            Some(Object::SortedSet(large)) => Some(large),
            _ => None,
        }
    }

    /// Takes the large form if so many elements are about to be added that the packed one would not hold them.
    pub fn prepare_for(&mut self, additions: usize) {
        if additions > self.limits.entries && self.large().is_none() {
            self.enlarge();
        }
    }

    fn enlarge(&mut self) -> &mut SortedSet {
        let mut builder = Builder::new(self.slot.seed());
        for (member, score) in self.view().iter() {
            member.with_bytes(|member| builder.push(member, score));
        }
        let large = Object::SortedSet(builder.into_large());
        self.slot.replace(OwnedValue::object(large));
        match self.slot.object_mut() {
            Some(Object::SortedSet(large)) => large,
            _ => unreachable!("it has just been put there"),
        }
    }

    /// Asks `decide` for the score that a member is to have, telling that which it has: none if it is absent. No answer
    /// leaves everything as it is; the answer must not be NaN. O(log n), O(n) if packed.
    #[inline]
    pub fn upsert(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Change {
        match self.large() {
            Some(large) => large.upsert(member, decide),
            None => self.upsert_packed(member, decide),
        }
    }

    /// Adds or updates several members, in their order; `visit` hears what became of each. In a large sorted set the
    /// elements are fetched ahead.
    pub fn upsert_many<'m>(
        &mut self,
        count: usize,
        member: impl Fn(usize) -> &'m [u8],
        mut decide: impl FnMut(usize, Option<f64>) -> Option<f64>,
        mut visit: impl FnMut(Change),
    ) {
        match self.large() {
            Some(large) if count > 1 => look_ahead(large, SortedSet::members, count, &member, |large, index, hash| {
                let decide = |current| decide(index, current);
                visit(large.upsert_hashed(hash, member(index), decide));
            }),
            _ => {
                for index in 0..count {
                    visit(self.upsert(member(index), |current| decide(index, current)));
                }
            }
        }
    }

    fn upsert_packed(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Change {
        let bytes = self.slot.bytes();
        let packed = PackedSortedSet::new(bytes);
        if let Some(found) = packed.find(member) {
            return match decide(Some(found.score)) {
                Some(score) if score != found.score => {
                    packed::update(self.slot, found.position, member, score);
                    Change::Updated
                }
                _ => Change::None,
            };
        }
        /// More than the score of an element and what is around it take.
        const OVERHEAD_BYTES: usize = 64;
        let fits = self.limits.allow(packed.len() + 1, member.len())
            && listpack::may_grow(bytes.len(), member.len() + OVERHEAD_BYTES);
        let Some(score) = decide(None) else {
            return Change::None;
        };
        if fits {
            packed::insert(self.slot, member, score);
        } else {
            self.enlarge().upsert(member, |_| Some(score));
        }
        Change::Added
    }

    /// Gives a member a score, whether it is there or not. O(log n), O(n) if packed.
    pub fn insert(&mut self, member: &[u8], score: f64) -> Change {
        self.upsert(member, |_| Some(score))
    }

    /// Takes a member out and gives its score. O(log n), O(n) if packed.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        if let Some(large) = self.large() {
            return large.remove(member);
        }
        let found = PackedSortedSet::new(self.slot.bytes()).find(member)?;
        packed::remove(self.slot, found.position);
        Some(found.score)
    }

    /// Takes several members out; gives how many were there. In a large sorted set the elements are fetched ahead.
    pub fn remove_many<'m>(&mut self, count: usize, member: impl Fn(usize) -> &'m [u8]) -> usize {
        let mut removed = 0;
        match self.large() {
            Some(large) if count > 1 => look_ahead(large, SortedSet::members, count, &member, |large, index, hash| {
                removed += usize::from(large.remove_hashed(hash, member(index)).is_some());
            }),
            _ => {
                for index in 0..count {
                    removed += usize::from(self.remove(member(index)).is_some());
                }
            }
        }
        removed
    }

    /// Takes so many elements off an end, all of which there are, and shows them as it goes. What it gives is memory to
    /// be freed in steps. O(k log n) for k elements, O(n) if packed.
    pub fn pop(&mut self, end: End, count: usize, mut show: impl FnMut(Member<'_>, f64)) -> Option<Box<Object>> {
        /// Up to so many elements a large sorted set gives them away one by one.
        const FEW: usize = 64;
        if let Some(large) = self.large()
            && count <= FEW
        {
            for _ in 0..count {
                let element = large.pop(end)?;
                show(Member::Text(element.key()), element.score());
            }
            return None;
        }
        let length = self.view().len();
        let ranks = match end {
            End::Lowest => 0..count,
            End::Highest => length - count..length,
        };
        let elements = self.view().range(ranks.clone());
        match end {
            End::Lowest => elements.for_each(|(member, score)| show(member, score)),
            End::Highest => elements.rev().for_each(|(member, score)| show(member, score)),
        }
        self.remove_ranks(ranks)
    }

    /// Takes the elements with these ranks out, all of which there are. What it gives is memory to be freed in steps.
    /// O(k + log n) for k elements, O(n) if packed.
    pub fn remove_ranks(&mut self, ranks: Range<usize>) -> Option<Box<Object>> {
        match self.large() {
            Some(large) => {
                let garbage = large.remove_ranks(ranks);
                Some(Box::new(Object::SortedSet(garbage)))
            }
            None => {
                packed::remove_ranks(self.slot, ranks);
                None
            }
        }
    }
}
