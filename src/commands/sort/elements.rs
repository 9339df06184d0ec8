//! What is sorted: the elements, copied out of their collection, and the order of them.

use std::cmp::Ordering;
use std::ops::{ControlFlow, Range};

use crate::command::error::CommandError;
use crate::keyspace::Keyspace;
use crate::resp::number;
use crate::types::list::End;

use super::options::Options;
use super::patterns::Subject;

/// Strings one behind the other.
#[derive(Default)]
pub(super) struct Elements {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Elements {
    fn push(&mut self, element: &[u8]) {
        self.bytes.extend_from_slice(element);
        self.ends.push(self.bytes.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// One of them.
    pub fn get(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }

    /// The numbers of the elements in the order that is asked for; those in `range` are in their places.
    /// Errors: an element, or what it is to be sorted by, is not a number.
    pub fn order(
        &self,
        keyspace: &mut Keyspace,
        database: usize,
        options: &Options<'_>,
        range: &Range<usize>,
    ) -> Result<Vec<usize>, CommandError> {
        let mut order: Vec<usize> = (0..self.len()).collect();
        if options.unsorted {
            return Ok(order);
        }
        let directed = |ordering: Ordering| match options.descending {
            true => ordering.reverse(),
            false => ordering,
        };
        if options.alpha {
            match &options.by {
                None => place(&mut order, range, |a, b| directed(self.get(a).cmp(self.get(b)))),
                Some(pattern) => {
                    let mut weights: Vec<Option<Vec<u8>>> = Vec::with_capacity(self.len());
                    for index in 0..self.len() {
                        let weight = |found: Option<&[u8]>| found.map(<[u8]>::to_vec);
                        weights.push(pattern.look_up(keyspace, database, self.get(index), weight));
                    }
                    place(&mut order, range, |a, b| directed(weights[a].cmp(&weights[b])).then(a.cmp(&b)));
                }
            }
            return Ok(order);
        }
        let weights = self.scores(keyspace, database, options)?;
        place(&mut order, range, |a, b| {
            let by_weight = weights[a].partial_cmp(&weights[b]);
            let by_text = || self.get(a).cmp(self.get(b));
            directed(by_weight.unwrap_or(Ordering::Equal).then_with(by_text))
        });
        Ok(order)
    }

    fn scores(
        &self,
        keyspace: &mut Keyspace,
        database: usize,
        options: &Options<'_>,
    ) -> Result<Vec<f64>, CommandError> {
        let mut scores = Vec::with_capacity(self.len());
        let mut all_numbers = true;
        for index in 0..self.len() {
            let score = match &options.by {
                None => score_of(self.get(index)),
                Some(pattern) => {
                    pattern.look_up(keyspace, database, self.get(index), |found| {
                        // Where nothing is found the weight is 0.
                        found.map_or(Some(0.0), score_of)
                    })
                }
            };
            all_numbers &= score.is_some();
            scores.push(score.unwrap_or(0.0));
        }
        all_numbers
            .then_some(scores)
            .ok_or(CommandError::fixed("ERR One or more scores can't be converted into double"))
    }
}

/// A text as a number, the way C reads it: space before it, and an empty text as 0.
fn score_of(text: &[u8]) -> Option<f64> {
    if text.is_empty() {
        return Some(0.0);
    }
    number::parse_f64(text.trim_ascii_start())
}

/// Sorts, as far as is needed to have the range right.
fn place(order: &mut [usize], range: &Range<usize>, compare: impl Fn(usize, usize) -> Ordering) {
    if range.is_empty() {
        return;
    }
    let mut part = order;
    let mut wanted = range.clone();
    if wanted.end < part.len() {
        part.select_nth_unstable_by(wanted.end - 1, |a, b| compare(*a, *b));
        part = &mut part[..wanted.end];
    }
    if wanted.start > 0 {
        part.select_nth_unstable_by(wanted.start, |a, b| compare(*a, *b));
        part = &mut part[wanted.start..];
        wanted = 0..part.len();
    }
    part[wanted.start..].sort_unstable_by(|a, b| compare(*a, *b));
}

/// Takes the elements out of their collection: only those that are asked for, where they are not sorted. Gives the
/// range of them to reply with as well.
pub(super) fn load(subject: Option<Subject<'_>>, options: &Options<'_>) -> (Elements, Range<usize>) {
    let mut elements = Elements::default();
    let Some(subject) = subject else {
        return (elements, 0..0);
    };
    let length = subject.len();
    let start = options.offset.max(0).min(length as i64) as usize;
    let end = match options.count {
        ..0 => length,
        count => start + (count as u64).min((length - start) as u64) as usize,
    };
    match subject {
        Subject::List(list) if options.unsorted => {
            let (first, from) = match options.descending {
                true => (length - start, End::Back),
                false => (start + 1, End::Front),
            };
            if start < end {
                list.walk(first - 1, from, |item| {
                    item.with_bytes(|bytes| elements.push(bytes));
                    match elements.len() < end - start {
                        true => ControlFlow::Continue(()),
                        false => ControlFlow::Break(()),
                    }
                });
            }
            return (elements, 0..end - start);
        }
        Subject::SortedSet(sorted_set) if options.unsorted => {
            let ranks = match options.descending {
                true => length - end..length - start,
                false => start..end,
            };
            let range = sorted_set.range(ranks);
            let mut push = |(member, _): (crate::types::sorted_set::Member<'_>, f64)| {
                member.with_bytes(|bytes| elements.push(bytes));
            };
            match options.descending {
                true => range.rev().for_each(&mut push),
                false => range.for_each(&mut push),
            }
            return (elements, 0..end - start);
        }
        Subject::List(list) => list.walk(0, End::Front, |item| {
            item.with_bytes(|bytes| elements.push(bytes));
            ControlFlow::Continue(())
        }),
        Subject::Set(set) => set.for_each(|member| member.with_bytes(|bytes| elements.push(bytes))),
        Subject::SortedSet(sorted_set) => sorted_set.iter().for_each(|(member, _)| {
            member.with_bytes(|bytes| elements.push(bytes));
        }),
    }
    (elements, start..end)
}
