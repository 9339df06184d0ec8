//! Owns unions, intersections and differences of sorted sets and sets. Never reads or writes a key.

use crate::collections::element::Element;
use crate::collections::hash::HashSeed;
use crate::collections::table::{Slot, Table};

use super::view::Entry;
use super::{Builder, Member, SortedSetRef};

/// How the scores of a member in several sources become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Aggregate {
    #[default]
    Sum,
    Minimum,
    Maximum,
    /// The sum of the weights of the sources that have it.
    Count,
}

impl Aggregate {
    /// What a member's score in one source counts for.
    #[inline]
    fn weighed(self, score: f64, weight: f64) -> f64 {
        match self {
            Aggregate::Count => weight,
            _ => score * weight,
        }
    }

    /// The same for the first source that has the member.
    #[inline]
    fn first(self, score: f64, weight: f64) -> f64 {
        let weighed = self.weighed(score, weight);
        // Zero times infinity.
        if weighed.is_nan() { 0.0 } else { weighed }
    }

    #[inline]
    fn joined(self, first: f64, second: f64) -> f64 {
        match self {
            Aggregate::Sum | Aggregate::Count => {
                let sum = first + second;
                // Infinity less infinity.
                if sum.is_nan() { 0.0 } else { sum }
            }
            Aggregate::Minimum => {
                if second < first {
                    second
                } else {
                    first
                }
            }
            Aggregate::Maximum => {
                if second > first {
                    second
                } else {
                    first
                }
            }
        }
    }
}

/// A set without scores, as far as the algebra needs to know it.
pub trait Members {
    /// How many members there are.
    fn count(&self) -> usize;

    /// Whether a member is there.
    fn contains(&self, member: &[u8]) -> bool;

    /// Shows all members.
    fn for_each(&self, visit: &mut dyn FnMut(Member<'_>));
}

/// What an operation works on.
pub enum Collection<'a> {
    Absent,
    SortedSet(SortedSetRef<'a>),
    /// Every member has the score 1.
    Set(Box<dyn Members + 'a>),
}

impl Collection<'_> {
    /// How many elements there are. O(1).
    pub fn len(&self) -> usize {
        match self {
            Collection::Absent => 0,
            Collection::SortedSet(sorted_set) => sorted_set.len(),
            Collection::Set(set) => set.count(),
        }
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Collection::Absent => None,
            Collection::SortedSet(sorted_set) => sorted_set.score(member),
            Collection::Set(set) => set.contains(member).then_some(1.0),
        }
    }

    /// Shows all elements until `visit` says that it is enough.
    fn visit(&self, mut visit: impl FnMut(Entry<'_>) -> bool) {
        match self {
            Collection::Absent => {}
            Collection::SortedSet(sorted_set) => {
                sorted_set.iter().entries().all(visit);
            }
            Collection::Set(set) => {
                let mut goes_on = true;
                set.for_each(&mut |member| {
                    goes_on = goes_on && visit(Entry::Pair(member, 1.0));
                });
            }
        }
    }
}

/// One source with its weight.
pub struct Source<'a> {
    pub collection: Collection<'a>,
    pub weight: f64,
}

/// The sources, the smallest first: the order in which scores are joined.
fn by_size(sources: &mut [Source<'_>]) {
    sources.sort_by_key(|source| source.collection.len());
}

/// The elements that are in any of the sources. O(n) for n elements in all.
pub fn union(sources: &mut [Source<'_>], aggregate: Aggregate, seed: &HashSeed) -> Builder {
    by_size(sources);
    let mut members: Table<Element> = Table::new(seed.clone());
    for source in sources.iter() {
        source.collection.visit(|entry| {
            let score = aggregate.first(entry.score(), source.weight);
            entry.with_member(|member| {
                let hash = members.hash(member);
                match members.entry(hash, member) {
                    Slot::Occupied(element) => {
                        let joined = aggregate.joined(element.score(), score);
                        element.set_score(joined);
                    }
                    Slot::Vacant(vacant) => vacant.insert(entry.element(member, score)),
                }
            });
            true
        });
    }
    Builder::of_members(members)
}

/// The elements that are in all of the sources. O(n k) for k sources, of which the smallest has n elements.
pub fn intersection(sources: &mut [Source<'_>], aggregate: Aggregate, seed: &HashSeed) -> Builder {
    by_size(sources);
    let mut result = Builder::new(seed);
    let Some((first, others)) = sources.split_first() else {
        return result;
    };
    first.collection.visit(|entry| {
        let score = aggregate.first(entry.score(), first.weight);
        entry.with_member(|member| {
            let joined = others.iter().try_fold(score, |score, other| {
                let found = other.collection.score(member)?;
                Some(aggregate.joined(score, aggregate.weighed(found, other.weight)))
            });
            if let Some(joined) = joined {
                result.push_element(entry.element(member, joined));
            }
        });
        true
    });
    result
}

/// How many elements are in all of the sources, counted up to a limit. O(n k) for k sources, of which the smallest has n
/// elements.
pub fn intersection_size(sources: &mut [Source<'_>], limit: usize) -> usize {
    by_size(sources);
    let mut count = 0;
    let Some((first, others)) = sources.split_first() else {
        return count;
    };
    first.collection.visit(|entry| {
        entry.with_member(|member| {
            let mut others = others.iter();
            count += usize::from(others.all(|other| other.collection.score(member).is_some()));
        });
        count < limit
    });
    count
}

/// The elements of the first source that are in none of the others. O(n k) for k sources, of which the first has n elements.
pub fn difference(sources: &[Source<'_>], seed: &HashSeed) -> Builder {
    let mut result = Builder::new(seed);
    let Some((first, others)) = sources.split_first() else {
        return result;
    };
    let mut others: Vec<_> = others.iter().map(|source| &source.collection).collect();
    // The largest is the likeliest to have a member.
    others.sort_by_key(|other| std::cmp::Reverse(other.len()));
    first.collection.visit(|entry| {
        entry.with_member(|member| {
            if others.iter().all(|other| other.score(member).is_none()) {
                result.push_element(entry.element(member, entry.score()));
            }
        });
        true
    });
    result
}
