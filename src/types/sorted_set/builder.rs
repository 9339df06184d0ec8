//! Owns the making of sorted sets: of elements in any order, or of packed bytes from elsewhere. Never changes one that
//! is there.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::collections::element::Element;
use crate::collections::hash::HashSeed;
use crate::collections::listpack::Listpack;
use crate::collections::ordered::Ordered;
use crate::collections::table::{Slot, Table};
use crate::types::object::Object;
use crate::types::slot::{OwnedValue, PackedForm};

use super::large::Scored;
use super::packed::{self, PackedSortedSet};
use super::{Limits, Member, SortedSet, SortedSetRef};

/// How the members of a sorted set that is being made are kept.
enum Members {
    /// Found when they come again.
    Table(Table<Element>),
    /// Known to be distinct: the hash of each, in the order in which they came, and the seed of the hashes.
    Hashes(Vec<u64>, HashSeed),
}

/// A sorted set that is being made.
pub struct Builder {
    members: Members,
    items: Vec<Scored>,
    longest_member: usize,
    element_bytes: usize,
}

impl Builder {
    /// One without elements. The seed is that of the keyspace.
    pub fn new(seed: &HashSeed) -> Builder {
        Builder::of(Members::Table(Table::new(seed.clone())))
    }

    /// One that gets its elements from `push_distinct` alone.
    pub(super) fn of_distinct(seed: &HashSeed) -> Builder {
        Builder::of(Members::Hashes(Vec::new(), seed.clone()))
    }

    fn of(members: Members) -> Builder {
        Builder { members, items: Vec::new(), longest_member: 0, element_bytes: 0 }
    }

    #[inline]
    fn note(&mut self, element: Element) {
        self.longest_member = self.longest_member.max(element.key().len());
        self.element_bytes += element.memory_bytes();
        self.items.push(Scored::of(element));
    }

    /// How many elements there are so far.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no elements so far.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Adds an element. Says whether that was possible: its member must be new, its score must not be NaN. O(1).
    #[inline]
    pub fn push(&mut self, member: &[u8], score: f64) -> bool {
        if score.is_nan() {
            return false;
        }
        let Members::Table(members) = &mut self.members else {
            return false;
        };
        let hash = members.hash(member);
        let Slot::Vacant(vacant) = members.entry(hash, member) else {
            return false;
        };
        let element = Element::with_score(member, score);
        vacant.insert(element.clone());
        self.note(element);
        true
    }

    /// Adds an element whose member is new, with the hash of that; it may be shared with other sorted sets. O(1).
    #[inline]
    pub(super) fn push_distinct(&mut self, hash: u64, element: Element) {
        match &mut self.members {
            Members::Hashes(hashes, _) => hashes.push(hash),
            Members::Table(members) => members.insert(hash, element.clone()),
        }
        self.note(element);
    }

    /// The elements in order, for a reply. O(n log n), O(n) if they came in order, or in a few runs in order.
    pub fn sorted(&mut self) -> impl Iterator<Item = (Member<'_>, f64)> {
        self.items.sort_by(Scored::compare);
        self.items.iter().map(Scored::pair)
    }

    /// The sorted set, in the form that suits it. O(n log n).
    pub fn finish(mut self, limits: Limits) -> OwnedValue {
        if !limits.allow(self.items.len(), self.longest_member) {
            return OwnedValue::object(Object::SortedSet(self.into_large()));
        }
        let bytes = packed::build(self.sorted());
        OwnedValue::Packed(PackedForm::SortedSet, bytes)
    }

    /// The sorted set in its large form. O(n log n), see `sorted`.
    pub fn into_large(self) -> SortedSet {
        let Builder { members, mut items, .. } = self;
        let members = match members {
            Members::Table(members) => members,
            Members::Hashes(hashes, seed) => {
                let elements = items.iter().map(|item| item.element.clone());
                Table::from_distinct(hashes.into_iter().zip(elements).collect(), seed)
            }
        };
        items.sort_by(Scored::compare);
        let order = Ordered::from_sorted(items);
        SortedSet::of_parts(members, order, self.element_bytes)
    }
}

/// The elements with these ranks of a sorted set, to be made another one of. O(k + log n), O(n) if packed.
pub fn part(sorted_set: SortedSetRef<'_>, ranks: Range<usize>, seed: &HashSeed) -> Builder {
    let mut builder = Builder::of_distinct(seed);
    for entry in sorted_set.range(ranks).entries() {
        let element = entry.with_member(|member| entry.element(member, entry.score()));
        builder.push_distinct(seed.hash(element.key()), element);
    }
    builder
}

/// Takes over a listpack, which was found valid as such, in the form that suits it; `None` if its elements are no
/// pairs. O(n).
pub fn adopt(bytes: Vec<u8>, limits: Limits, seed: &HashSeed) -> Option<OwnedValue> {
    let packed = PackedSortedSet::new(&bytes);
    if !Listpack::new(&bytes).len().is_multiple_of(2) {
        return None;
    }
    let mut pairs = packed.range(0..packed.len());
    if limits.entries >= packed.len() && pairs.all(|(member, _)| member.len() <= limits.member_bytes) {
        return Some(OwnedValue::Packed(PackedForm::SortedSet, bytes));
    }
    let mut builder = Builder::new(seed);
    for (member, score) in packed.range(0..packed.len()) {
        if !member.with_bytes(|member| builder.push(member, score)) {
            return None;
        }
    }
    Some(builder.finish(limits))
}

/// Whether a listpack, which was found valid as such, is one of a sorted set: pairs with distinct members and scores
/// that are numbers. O(n).
pub fn is_valid(bytes: &[u8]) -> bool {
    let mut elements = Listpack::new(bytes).iter();
    let mut members = BTreeSet::new();
    while let Some(member) = elements.next() {
        let score = elements.next().and_then(packed::read_score);
        if score.is_none() || !members.insert(member.to_vec()) {
            return false;
        }
    }
    true
}
