//! Owns the large form of a sorted set: elements found by their member, and in order. Never knows the small form.
//!
//! ```text
//! members: Table ──► Element ◄── order: Ordered of (score, Element)
//!                    score, member
//! ```
//!
//! An element has one block and two owners: the index of members and the order. The order has the score beside the
//! reference, so that its nodes are searched without looking at the elements. A fork shares the nodes and segments of
//! both; an element that another version holds too is never changed, another one takes its place.

use std::cmp::Ordering;
use std::ops::Range;

use arrayvec::ArrayVec;

use crate::collections::element::Element;
use crate::collections::hash::HashSeed;
use crate::collections::ordered::{self, Item, Ordered, Single};
use crate::collections::table::{self, Entry as _, Slot, Table, look_ahead};

use super::{Change, End, Interval, Member, compare};

/// How many entries of a table that has become too large for its entries are looked at after a removal.
const SHRINK_ENTRIES: usize = 16;

/// How many elements are fetched at a time to be taken out of the index.
const BATCH: usize = 64;

/// An element in its place in the order.
#[derive(Clone)]
pub(super) struct Scored {
    pub score: f64,
    pub element: Element,
}

impl Scored {
    pub fn of(element: Element) -> Scored {
        Scored { score: element.score(), element }
    }

    #[inline]
    pub fn pair(&self) -> (Member<'_>, f64) {
        (Member::Text(self.element.key()), self.score)
    }

    #[inline]
    pub fn compare(&self, other: &Scored) -> Ordering {
        compare((self.score, self.element.key()), (other.score, other.element.key()))
    }
}

impl Item for Scored {
    type Weight = Single;
}

/// Tells how an item compares with an element of this score and member.
#[inline]
fn probe(score: f64, member: &[u8]) -> impl Fn(&Scored) -> Ordering {
    move |other| match other.score.partial_cmp(&score) {
        Some(Ordering::Less) => Ordering::Less,
        Some(Ordering::Greater) => Ordering::Greater,
        _ => other.element.key().cmp(member),
    }
}

/// A sorted set too large to lie packed in its key's record. Copy-on-write.
pub struct SortedSet {
    members: Table<Element>,
    order: Ordered<Scored>,
    /// Of all elements' blocks.
    element_bytes: usize,
    lazy_free: Option<Box<LazyFreeParts>>,
}

/// A sorted set that is being freed.
struct LazyFreeParts {
    members: table::LazyFree<Element>,
    order: ordered::LazyFree<Scored>,
}

impl SortedSet {
    /// An empty one.
    pub fn new(seed: HashSeed) -> SortedSet {
        SortedSet::of_parts(Table::new(seed), Ordered::new(), 0)
    }

    pub(super) fn of_parts(members: Table<Element>, order: Ordered<Scored>, element_bytes: usize) -> SortedSet {
        SortedSet { members, order, element_bytes, lazy_free: None }
    }

    /// How many elements there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether there are none. O(1).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Another one with the same elements, to be changed apart from this one. O(1): later changes to either copy what
    /// they touch, once.
    pub fn fork(&self) -> SortedSet {
        SortedSet::of_parts(self.members.fork(), self.order.fork(), self.element_bytes)
    }

    /// How its table is filled. O(buckets).
    pub fn occupancy(&self) -> table::Occupancy {
        self.members.occupancy()
    }

    /// Bytes that it takes, its own structure included. O(1).
    pub fn memory_bytes(&self) -> usize {
        size_of::<SortedSet>() + self.members.memory_bytes() + self.order.memory_bytes() + self.element_bytes
    }

    /// Frees about this many elements of a value that is no longer used. Returns whether elements are left.
    pub fn reclaim_step(&mut self, elements: usize) -> bool {
        self.element_bytes = 0;
        let SortedSet { members, order, .. } = self;
        let lazy_free = self
            .lazy_free
            .get_or_insert_with(|| Box::new(LazyFreeParts { members: members.take(), order: order.take() }));
        lazy_free.members.step(elements) || lazy_free.order.step(elements)
    }

    /// The hash of a member, for the methods that fetch ahead.
    #[inline]
    pub fn hash(&self, member: &[u8]) -> u64 {
        self.members.hash(member)
    }

    /// Has the processor fetch where a member's element should be. First step of a batch.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.members.prefetch_bucket(hash);
    }

    /// Has the processor fetch a member's likely element. Second step of a batch, when the buckets have arrived.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        self.members.prefetch_entry(hash);
    }

    /// The score of a member. O(1).
    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.score_hashed(self.members.hash(member), member)
    }

    #[inline]
    pub(super) fn score_hashed(&self, hash: u64, member: &[u8]) -> Option<f64> {
        self.members.get(hash, member).map(Element::score)
    }

    /// The index of members, to look ahead in.
    pub(super) fn members(&self) -> &Table<Element> {
        &self.members
    }

    /// The rank and the score of a member. O(log n).
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        let rank = self.order.search(probe(score, member)).ok()?;
        Some((rank, score))
    }

    /// The ranks of the elements of an interval. O(log n).
    pub fn ranks_of(&self, interval: &impl Interval) -> Range<usize> {
        let probe = |item: &Scored| {
            let (member, score) = item.pair();
            interval.locate(score, &member)
        };
        let start = self.order.lower_bound(probe);
        start..self.order.upper_bound(probe).max(start)
    }

    /// The element with this rank. O(log n).
    pub fn at(&self, rank: usize) -> Option<(Member<'_>, f64)> {
        self.order.at(rank).map(Scored::pair)
    }

    /// The elements with these ranks.
    pub(super) fn range(&self, ranks: Range<usize>) -> ordered::Range<'_, Scored> {
        self.order.range(ranks)
    }

    /// The elements with these ranks, in order, from either end. O(log n) to begin.
    pub fn elements(&self, ranks: Range<usize>) -> impl DoubleEndedIterator<Item = &Element> {
        self.order.range(ranks).map(|scored| &scored.element)
    }

    /// One step of a walk over all elements in no particular order: shows some and gives the cursor to go on with, 0 at
    /// the end. Every element that is there throughout is shown, some perhaps twice. O(1).
    pub fn scan(&self, cursor: u64, visit: impl FnMut(&Element)) -> u64 {
        self.members.scan(cursor, visit)
    }

    /// Asks `decide` for the score that a member is to have, telling that which it has: none if it is absent. No answer
    /// leaves everything as it is. O(log n).
    pub fn upsert(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Change {
        self.upsert_hashed(self.members.hash(member), member, decide)
    }

    pub(super) fn upsert_hashed(
        &mut self,
        hash: u64,
        member: &[u8],
        decide: impl FnOnce(Option<f64>) -> Option<f64>,
    ) -> Change {
        let entry = self.members.entry(hash, member);
        let current = match &entry {
            Slot::Occupied(element) => Some(element.score()),
            Slot::Vacant(_) => None,
        };
        let Some(score) = decide(current).filter(|score| current != Some(*score)) else {
            return Change::None;
        };
        match (entry, current) {
            (Slot::Occupied(element), Some(current)) => {
                // Once the order has let go of it, the element is this version's alone unless a fork holds it.
                self.order.remove(probe(current, member));
                element.set_score(score);
                let item = Scored { score, element: element.clone() };
                self.order.insert(item, Scored::compare);
                Change::Updated
            }
            (Slot::Vacant(vacant), _) => {
                let element = Element::with_score(member, score);
                self.element_bytes += element.memory_bytes();
                vacant.insert(element.clone());
                self.order.insert(Scored { score, element }, Scored::compare);
                Change::Added
            }
            (Slot::Occupied(_), None) => unreachable!("what is there has a score"),
        }
    }

    /// Takes a member out and gives its score. O(log n).
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        self.remove_hashed(self.members.hash(member), member)
    }

    pub(super) fn remove_hashed(&mut self, hash: u64, member: &[u8]) -> Option<f64> {
        let element = self.members.remove(hash, member)?;
        self.element_bytes -= element.memory_bytes();
        self.order.remove(probe(element.score(), member));
        self.shrink(SHRINK_ENTRIES);
        Some(element.score())
    }

    /// Takes the element at an end out. O(log n).
    pub fn pop(&mut self, end: End) -> Option<Element> {
        let item = match end {
            End::Lowest => self.order.pop_front(),
            End::Highest => self.order.pop_back(),
        };
        let element = item?.element;
        let member = element.key();
        self.members.remove(self.members.hash(member), member);
        self.element_bytes -= element.memory_bytes();
        self.shrink(SHRINK_ENTRIES);
        Some(element)
    }

    /// Gives memory of the index of members back that is not needed any more.
    fn shrink(&mut self, entries: usize) {
        if self.members.needs_shrink() {
            self.members.shrink_step(entries);
        }
    }

    /// Takes the elements with these ranks out. What it gives is no sorted set, only memory to be freed in steps. O(log
    /// n) beside the index of members: O(k) for k elements, of those taken out or of those left, whichever are fewer.
    pub fn remove_ranks(&mut self, ranks: Range<usize>) -> SortedSet {
        let removed = self.order.remove_range(ranks);
        if removed.len() > self.order.len() {
            return self.replace_index(removed);
        }
        self.forget(&removed);
        self.shrink(SHRINK_ENTRIES + removed.len());
        SortedSet::of_parts(Table::new(self.members.seed().clone()), removed, 0)
    }

    /// Takes elements out of the index of members.
    fn forget(&mut self, removed: &Ordered<Scored>) {
        let mut left = removed.range(..);
        let mut batch = ArrayVec::<&Element, BATCH>::new();
        while left.len() > 0 {
            batch.clear();
            batch.extend(left.by_ref().take(BATCH).map(|item| &item.element));
            for element in &batch {
                table::prefetch(element.address());
            }
            look_ahead(
                &mut self.members,
                |members| members,
                batch.len(),
                |index| batch[index].key(),
                |members, index, hash| {
                    members.remove(hash, batch[index].key());
                    self.element_bytes -= batch[index].memory_bytes();
                },
            );
        }
    }

    /// Makes another index for the elements that are left. Gives what is no longer needed.
    fn replace_index(&mut self, removed: Ordered<Scored>) -> SortedSet {
        let mut members = Vec::with_capacity(self.order.len());
        self.element_bytes = 0;
        let mut left = self.order.iter();
        while let Some(Scored { element, .. }) = left.next() {
            if let Some(later) = left.ahead().get(BATCH / 4) {
                table::prefetch(later.element.address());
            }
            self.element_bytes += element.memory_bytes();
            members.push((self.members.hash(element.key()), element.clone()));
        }
        let members = Table::from_distinct(members, self.members.seed().clone());
        let old = std::mem::replace(&mut self.members, members);
        SortedSet::of_parts(old, removed, 0)
    }
}
