//! Owns unions, intersections and differences of sorted sets and sets. Never reads or writes a key.

use crate::collections::element::Element;
use crate::collections::hash::HashSeed;

use crate::types::set::SetRef;

use super::view::Entry;
use super::{Builder, SortedSetRef};

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

    /// The score of a member in the first source that has it.
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

/// What an operation works on.
#[derive(Clone, Copy)]
pub enum Collection<'a> {
    Absent,
    SortedSet(SortedSetRef<'a>),
    /// Every member has the score 1.
    Set(SetRef<'a>),
}

impl Collection<'_> {
    /// How many elements there are. O(1).
    pub fn len(&self) -> usize {
        match self {
            Collection::Absent => 0,
            Collection::SortedSet(sorted_set) => sorted_set.len(),
            Collection::Set(set) => set.len(),
        }
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The score of a member, whose hash may be known already: it is the same in all tables.
    #[inline]
    fn score(&self, hash: u64, member: &[u8]) -> Option<f64> {
        match self {
            Collection::Absent => None,
            Collection::SortedSet(SortedSetRef::Large(large)) => large.score_hashed(hash, member),
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
                set.for_each(|member| {
                    goes_on = goes_on && visit(Entry::Pair(member, 1.0));
                });
            }
        }
    }
}

/// One source with its weight.
#[derive(Clone, Copy)]
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
    let mut found: Vec<(u64, Element)> = Vec::new();
    for source in sources.iter() {
        found.reserve(source.collection.len());
        source.collection.visit(|entry| {
            let score = aggregate.first(entry.score(), source.weight);
            entry.with_member(|member| {
                found.push((seed.hash(member), entry.element(member, score)));
            });
            true
        });
    }
    if sources.len() > 1 {
        join(&mut found, aggregate);
    }
    let mut result = Builder::of_distinct(seed);
    for (hash, element) in found {
        result.push_distinct(hash, element);
    }
    result
}

/// Makes one element of all that have the same member, in the order in which they came.
fn join(found: &mut Vec<(u64, Element)>, aggregate: Aggregate) {
    // Stable, so the same members come together in their order.
    found.sort_by(|(hash, element), (other_hash, other)| {
        hash.cmp(other_hash).then_with(|| element.key().cmp(other.key()))
    });
    found.dedup_by(|(hash, element), (kept_hash, kept)| {
        let is_same = hash == kept_hash && element.key() == kept.key();
        if is_same {
            kept.set_score(aggregate.joined(kept.score(), element.score()));
        }
        is_same
    });
}

/// The elements that are in all of the sources. O(n k) for k sources, of which the smallest has n elements.
pub fn intersection(sources: &mut [Source<'_>], aggregate: Aggregate, seed: &HashSeed) -> Builder {
    by_size(sources);
    let mut result = Builder::of_distinct(seed);
    let Some((first, others)) = sources.split_first() else {
        return result;
    };
    first.collection.visit(|entry| {
        let score = aggregate.first(entry.score(), first.weight);
        entry.with_member(|member| {
            let hash = seed.hash(member);
            let joined = others.iter().try_fold(score, |score, other| {
                let found = other.collection.score(hash, member)?;
                Some(aggregate.joined(score, aggregate.weighed(found, other.weight)))
            });
            if let Some(joined) = joined {
                result.push_distinct(hash, entry.element(member, joined));
            }
        });
        true
    });
    result
}

/// How many elements are in all of the sources, counted up to a limit. O(n k) for k sources, of which the smallest has
/// n elements.
pub fn intersection_size(sources: &mut [Source<'_>], limit: usize, seed: &HashSeed) -> usize {
    by_size(sources);
    let mut count = 0;
    let Some((first, others)) = sources.split_first() else {
        return count;
    };
    first.collection.visit(|entry| {
        entry.with_member(|member| {
            let hash = seed.hash(member);
            let has = |other: &Source<'_>| other.collection.score(hash, member).is_some();
            count += usize::from(others.iter().all(has));
        });
        count < limit
    });
    count
}

/// The elements of the first source that are in none of the others. O(n k) for k sources, of which the first has n
/// elements.
pub fn difference(sources: &[Source<'_>], seed: &HashSeed) -> Builder {
    let mut result = Builder::of_distinct(seed);
    let Some((first, others)) = sources.split_first() else {
        return result;
    };
    let mut others: Vec<_> = others.iter().map(|source| source.collection).collect();
    // The largest is the likeliest to have a member.
    others.sort_by_key(|other| std::cmp::Reverse(other.len()));
    first.collection.visit(|entry| {
        entry.with_member(|member| {
            let hash = seed.hash(member);
            if others.iter().all(|other| other.score(hash, member).is_none()) {
                result.push_distinct(hash, entry.element(member, entry.score()));
            }
        });
        true
    });
    result
}
