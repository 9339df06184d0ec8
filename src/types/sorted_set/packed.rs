//! Owns the small form of a sorted set: a listpack of members, each followed by its score, in order. Never converts to
//! the large form.
//!
//! A score that is an integer is stored as one, any other as the text that replies show. So a negative zero becomes
//! zero.

use std::cmp::Ordering;
use std::ops::Range;

use crate::collections::listpack::{self, Builder, Listpack, Position};
use crate::collections::packed::Packed;
use crate::text::double;

use super::{Interval, Member, compare};

/// A score as it stands in the listpack.
enum PackedScore {
    Integer(i64),
    Text(double::Text),
}

impl PackedScore {
    #[inline]
    fn of(score: f64) -> PackedScore {
        match double::as_integer(score) {
            Some(integer) => PackedScore::Integer(integer),
            None => PackedScore::Text(double::text(score)),
        }
    }

    #[inline]
    fn element(&self) -> listpack::Element<'_> {
        match self {
            PackedScore::Integer(integer) => listpack::Element::Integer(*integer),
            PackedScore::Text(text) => listpack::Element::of(text),
        }
    }
}

/// The score that an element of the listpack stands for, if it is one.
#[inline]
pub(super) fn read_score(element: listpack::Element<'_>) -> Option<f64> {
    match element {
        listpack::Element::Integer(integer) => Some(integer as f64),
        listpack::Element::Text(text) => {
            let score: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            (!score.is_nan()).then_some(score)
        }
    }
}

/// The same, of a listpack that was found valid.
#[inline]
fn score_of(element: listpack::Element<'_>) -> f64 {
    read_score(element).unwrap_or(0.0)
}

/// A small sorted set, to be read.
#[derive(Clone, Copy, Debug)]
pub struct PackedSortedSet<'a>(Listpack<'a>);

/// An element in its place.
pub(super) struct Found {
    pub position: Position,
    pub score: f64,
}

impl<'a> PackedSortedSet<'a> {
    /// Reads bytes that are known to be such a listpack.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> PackedSortedSet<'a> {
        PackedSortedSet(Listpack::new(bytes))
    }

    /// How many elements there are. O(1).
    #[inline]
    pub fn len(self) -> usize {
        self.0.len() / 2
    }

    /// Whether there are none. O(1).
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The element with this member. O(n).
    #[inline]
    pub(super) fn find(self, member: &[u8]) -> Option<Found> {
        let position = self.0.find(member, self.0.first()?, 1)?;
        let mut pair = self.0.iter_from(position);
        let score = score_of(pair.nth(1)?);
        Some(Found { position, score })
    }

    /// The rank and the score of a member. O(n).
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        let found = self.find(member)?;
        let behind = self.0.iter_from(found.position).count() / 2;
        Some((self.len() - behind, found.score))
    }

    /// The ranks of the elements of an interval. O(n).
    pub fn ranks_of(self, interval: &impl Interval) -> Range<usize> {
        let mut start = 0;
        for (rank, (member, score)) in self.range(0..self.len()).enumerate() {
            match interval.locate(score, &member) {
                Ordering::Less => start = rank + 1,
                Ordering::Equal => {}
                Ordering::Greater => return start..rank,
            }
        }
        start..self.len()
    }

    /// The elements with these ranks, which there are. O(n).
    pub fn range(self, ranks: Range<usize>) -> Pairs<'a> {
        let (left, count) = (ranks.len(), self.len());
        let at = |rank: usize| self.0.seek(2 * rank as i64).unwrap_or(self.0.end());
        Pairs {
            listpack: self.0,
            left,
            front: if left == 0 { self.0.end() } else { at(ranks.start) },
            // The end is searched for when an iteration goes backwards.
            back: (ranks.end == count).then(|| self.0.end()),
            end_rank: ranks.end,
        }
    }

    /// Where an element with this score and member belongs. O(n).
    fn place_of(self, score: f64, member: &[u8]) -> Position {
        let end = self.0.end();
        if self.last().is_none_or(|last| precedes(last, score, member)) {
            return end;
        }
        let mut position = self.0.first();
        while let Some(here) = position {
            let mut pair = self.0.iter_from(here);
            let (Some(other), Some(other_score)) = (pair.next(), pair.next()) else {
                break;
            };
            if !precedes((other, score_of(other_score)), score, member) {
                return here;
            }
            position = (pair.position() < end).then(|| pair.position());
        }
        end
    }

    fn last(self) -> Option<(Member<'a>, f64)> {
        let score = self.0.last()?;
        let member = self.0.previous(score)?;
        Some((self.0.at(member), score_of(self.0.at(score))))
    }
}

/// Whether an element comes before one with this score and member.
#[inline]
fn precedes((other, other_score): (Member<'_>, f64), score: f64, member: &[u8]) -> bool {
    match other_score.partial_cmp(&score) {
        Some(Ordering::Less) => true,
        Some(Ordering::Greater) => false,
        _ => other.with_bytes(|other| compare((score, other), (score, member)).is_lt()),
    }
}

/// Elements in order, from either end.
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    listpack: Listpack<'a>,
    left: usize,
    front: Position,
    back: Option<Position>,
    end_rank: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Member<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<(Member<'a>, f64)> {
        self.left = self.left.checked_sub(1)?;
        let mut pair = self.listpack.iter_from(self.front);
        let found = (pair.next()?, score_of(pair.next()?));
        self.front = pair.position();
        Some(found)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a> DoubleEndedIterator for Pairs<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<(Member<'a>, f64)> {
        self.left = self.left.checked_sub(1)?;
        let back = match self.back {
            Some(back) => back,
            None => self.listpack.seek(2 * self.end_rank as i64)?,
        };
        let score = self.listpack.previous(back)?;
        let member = self.listpack.previous(score)?;
        self.back = Some(member);
        Some((self.listpack.at(member), score_of(self.listpack.at(score))))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

/// Puts an element in whose member is absent. O(n).
pub(super) fn insert<P: Packed + ?Sized>(packed: &mut P, member: &[u8], score: f64) {
    let position = PackedSortedSet::new(packed.bytes()).place_of(score, member);
    let score = PackedScore::of(score);
    let pair = [listpack::Element::of(member), score.element()];
    listpack::insert_before(packed, position, &pair);
}

/// Gives the element at a position another score. O(n).
pub(super) fn update<P: Packed + ?Sized>(packed: &mut P, position: Position, member: &[u8], score: f64) {
    if keeps_place(packed.bytes(), position, member, score) {
        let at = Listpack::new(packed.bytes()).next(position);
        if let Some(at) = at {
            listpack::replace(packed, at, &PackedScore::of(score).element());
        }
    } else {
        listpack::remove(packed, position, 2);
        insert(packed, member, score);
    }
}

/// Whether an element is still in order with this score.
fn keeps_place(bytes: &[u8], position: Position, member: &[u8], score: f64) -> bool {
    let listpack = Listpack::new(bytes);
    let before = listpack.previous(position).and_then(|score_at| {
        let member_at = listpack.previous(score_at)?;
        Some((listpack.at(member_at), score_of(listpack.at(score_at))))
    });
    let mut behind = listpack.iter_from(position).skip(2);
    let behind = behind.next().zip(behind.next());
    before.is_none_or(|before| precedes(before, score, member))
        && behind.is_none_or(|(other, other_score)| !precedes((other, score_of(other_score)), score, member))
}

/// Takes out the element at a position. O(n).
pub(super) fn remove<P: Packed + ?Sized>(packed: &mut P, position: Position) {
    listpack::remove(packed, position, 2);
}

/// Takes out the elements with these ranks. O(n).
pub(super) fn remove_ranks<P: Packed + ?Sized>(packed: &mut P, ranks: Range<usize>) {
    listpack::remove_range(packed, 2 * ranks.start as i64, 2 * ranks.len());
}

/// The listpack of elements that come in order.
pub(super) fn build<'a>(elements: impl Iterator<Item = (Member<'a>, f64)>) -> Vec<u8> {
    let mut builder = Builder::new();
    for (member, score) in elements {
        match member {
            Member::Integer(integer) => builder.push_integer(integer),
            Member::Text(text) => builder.push_bytes(text),
        }
        builder.push(&PackedScore::of(score).element());
    }
    builder.finish()
}
