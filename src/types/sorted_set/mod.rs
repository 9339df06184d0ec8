//! The sorted set: members with scores, in the order of scores and, where these are the same, of the members' bytes.
//! Never a client, a reply, a clock or I/O.
//!
//! [`SortedSetRef`] reads both forms, [`SortedSetMut`] changes the one in a slot and converts it at the limits,
//! [`Builder`] makes one of elements in any order. Ranks count from 0 at the lowest score.

mod algebra;
mod builder;
mod editor;
mod interval;
mod large;
mod limits;
mod packed;
#[cfg(test)]
mod tests;
mod view;

use std::cmp::Ordering;

pub use crate::collections::element::Element as SharedElement;
pub use crate::collections::listpack::Element as Member;
pub use algebra::{Aggregate, Collection, Source, difference, intersection, intersection_size, union};
pub use builder::{Builder, adopt, is_valid, part};
pub use editor::SortedSetMut;
pub use interval::{Interval, MemberBound, MemberInterval, ScoreInterval};
pub use large::SortedSet;
pub use limits::Limits;
pub use view::{Elements, SortedSetRef};

/// One of the two ends of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Lowest,
    Highest,
}

/// What became of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    Added,
    Updated,
}

/// The order of elements. Scores are not NaN; both zeros are the same.
#[inline]
pub fn compare((left_score, left): (f64, &[u8]), (right_score, right): (f64, &[u8])) -> Ordering {
    match left_score.partial_cmp(&right_score) {
        Some(Ordering::Less) => Ordering::Less,
        Some(Ordering::Greater) => Ordering::Greater,
        _ => left.cmp(right),
    }
}
