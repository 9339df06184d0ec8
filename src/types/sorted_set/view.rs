//! Owns the reading of sorted sets of either form. Never changes one.

use std::ops::Range;

use crate::collections::element::Element;
use crate::collections::ordered;
use crate::collections::table::{Entry as _, look_ahead, prefetch};
use crate::types::object::Object;
use crate::types::slot::{PackedForm, Stored};

use super::large::Scored;
use super::packed::{PackedSortedSet, Pairs};
use super::{Interval, Member, SortedSet};

/// A sorted set of either form.
#[derive(Clone, Copy)]
pub enum SortedSetRef<'a> {
    Packed(PackedSortedSet<'a>),
    Large(&'a SortedSet),
}

impl<'a> SortedSetRef<'a> {
    /// The sorted set that a value is, if it is one.
    #[inline]
    pub fn of(stored: Stored<'a>) -> Option<SortedSetRef<'a>> {
        match stored {
            Stored::Packed(PackedForm::SortedSet, bytes) => Some(SortedSetRef::Packed(PackedSortedSet::new(bytes))),
            Stored::Object(Object::SortedSet(sorted_set)) => Some(SortedSetRef::Large(sorted_set)),
            _ => None,
        }
    }

    /// How many elements there are. O(1).
    #[inline]
    pub fn len(self) -> usize {
        match self {
            SortedSetRef::Packed(packed) => packed.len(),
            SortedSetRef::Large(large) => large.len(),
        }
    }

    /// Whether there are none. O(1).
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The score of a member. O(1), O(n) if packed.
    #[inline]
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            SortedSetRef::Packed(packed) => packed.find(member).map(|found| found.score),
            SortedSetRef::Large(large) => large.score(member),
        }
    }

    /// The scores of several members, in their order. The cost of a `score` for each, in a large sorted set less.
    pub fn scores<'m>(self, count: usize, member: impl Fn(usize) -> &'m [u8], mut visit: impl FnMut(Option<f64>)) {
        match self {
            SortedSetRef::Packed(_) => {
                (0..count).for_each(|index| visit(self.score(member(index))));
            }
            SortedSetRef::Large(mut large) => look_ahead(
                &mut large,
                |large| large.members(),
                count,
                &member,
                |large, index, hash| visit(large.score_hashed(hash, member(index))),
            ),
        }
    }

    /// The rank and the score of a member. O(log n), O(n) if packed.
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            SortedSetRef::Packed(packed) => packed.rank(member),
            SortedSetRef::Large(large) => large.rank(member),
        }
    }

    /// The ranks of the elements of an interval. O(log n), O(n) if packed.
    pub fn ranks_of(self, interval: &impl Interval) -> Range<usize> {
        if interval.is_empty() {
            return 0..0;
        }
        match self {
            SortedSetRef::Packed(packed) => packed.ranks_of(interval),
            SortedSetRef::Large(large) => large.ranks_of(interval),
        }
    }

    /// The elements with these ranks, in order, from either end; ranks beyond the length are left out. O(log n) to
    /// begin, O(n) if packed.
    pub fn range(self, ranks: Range<usize>) -> Elements<'a> {
        let end = ranks.end.min(self.len());
        let ranks = ranks.start.min(end)..end;
        match self {
            SortedSetRef::Packed(packed) => Elements(Form::Packed(packed.range(ranks))),
            SortedSetRef::Large(large) => Elements(Form::Large(large.range(ranks))),
        }
    }

    /// All elements in order, from either end.
    pub fn iter(self) -> Elements<'a> {
        self.range(0..self.len())
    }

    /// The element with this rank. O(log n), O(n) if packed.
    pub fn at(self, rank: usize) -> Option<(Member<'a>, f64)> {
        match self {
            SortedSetRef::Packed(_) => self.range(rank..rank.saturating_add(1)).next(),
            SortedSetRef::Large(large) => large.at(rank),
        }
    }
}

/// How far ahead elements are fetched while they are walked over.
const AHEAD: usize = 8;

/// Elements in order, from either end.
#[derive(Clone)]
pub struct Elements<'a>(Form<'a>);

#[derive(Clone)]
enum Form<'a> {
    Packed(Pairs<'a>),
    Large(ordered::Range<'a, Scored>),
}

impl<'a> Elements<'a> {
    /// The same elements, each as it lies there.
    #[inline]
    pub(super) fn entries(mut self) -> impl Iterator<Item = Entry<'a>> {
        std::iter::from_fn(move || match &mut self.0 {
            Form::Packed(pairs) => pairs.next().map(|(member, score)| Entry::Pair(member, score)),
            Form::Large(range) => next_fetched(range).map(Entry::Shared),
        })
    }
}

/// One element as it lies in a sorted set.
pub(super) enum Entry<'a> {
    Pair(Member<'a>, f64),
    Shared(&'a Scored),
}

impl Entry<'_> {
    #[inline]
    pub fn score(&self) -> f64 {
        match self {
            Entry::Pair(_, score) => *score,
            Entry::Shared(item) => item.score,
        }
    }

    #[inline]
    pub fn with_member<R>(&self, call: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Entry::Pair(member, _) => member.with_bytes(call),
            Entry::Shared(item) => call(item.element.key()),
        }
    }

    /// An element block with this score: the same one if it has that.
    #[inline]
    pub fn element(&self, member: &[u8], score: f64) -> Element {
        match self {
            Entry::Shared(item) if item.score.to_bits() == score.to_bits() => item.element.clone(),
            _ => Element::with_score(member, score),
        }
    }
}

/// The next element, while a later one is on its way.
#[inline]
fn next_fetched<'a>(range: &mut ordered::Range<'a, Scored>) -> Option<&'a Scored> {
    if let Some(later) = range.ahead().get(AHEAD) {
        prefetch(later.element.address());
    }
    range.next()
}

impl<'a> Iterator for Elements<'a> {
    type Item = (Member<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<(Member<'a>, f64)> {
        match &mut self.0 {
            Form::Packed(pairs) => pairs.next(),
            Form::Large(range) => next_fetched(range).map(Scored::pair),
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Form::Packed(pairs) => pairs.size_hint(),
            Form::Large(range) => range.size_hint(),
        }
    }
}

impl<'a> DoubleEndedIterator for Elements<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<(Member<'a>, f64)> {
        match &mut self.0 {
            Form::Packed(pairs) => pairs.next_back(),
            Form::Large(range) => {
                if let Some(later) = range.behind().iter().nth_back(AHEAD) {
                    prefetch(later.element.address());
                }
                range.next_back().map(Scored::pair)
            }
        }
    }
}

impl ExactSizeIterator for Elements<'_> {}
