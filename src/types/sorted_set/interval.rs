//! Owns the intervals of a sorted set: which elements lie between two scores, or between two members. Never parses one.

use std::cmp::Ordering;
use std::ops::Bound;

use super::Member;

/// A stretch of the order of elements.
pub trait Interval {
    /// Where an element lies: `Less` before the interval, `Equal` within, `Greater` behind.
    fn locate(&self, score: f64, member: &Member<'_>) -> Ordering;

    /// Whether nothing can lie within.
    fn is_empty(&self) -> bool;
}

/// The elements with scores within bounds, which are not NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreInterval {
    pub minimum: Bound<f64>,
    pub maximum: Bound<f64>,
}

impl ScoreInterval {
    /// The scores from `minimum` to `maximum`, both included.
    pub fn inclusive(minimum: f64, maximum: f64) -> ScoreInterval {
        ScoreInterval { minimum: Bound::Included(minimum), maximum: Bound::Included(maximum) }
    }

    /// The scores from `minimum` to below `maximum`.
    pub fn half_open(minimum: f64, maximum: f64) -> ScoreInterval {
        ScoreInterval { minimum: Bound::Included(minimum), maximum: Bound::Excluded(maximum) }
    }

    /// Where a score lies.
    #[inline]
    pub fn locate_score(&self, score: f64) -> Ordering {
        let is_before = match self.minimum {
            Bound::Included(minimum) => score < minimum,
            Bound::Excluded(minimum) => score <= minimum,
            Bound::Unbounded => false,
        };
        let is_behind = match self.maximum {
            Bound::Included(maximum) => score > maximum,
            Bound::Excluded(maximum) => score >= maximum,
            Bound::Unbounded => false,
        };
        match (is_before, is_behind) {
            (true, _) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => Ordering::Equal,
        }
    }
}

impl Interval for ScoreInterval {
    #[inline]
    fn locate(&self, score: f64, _: &Member<'_>) -> Ordering {
        self.locate_score(score)
    }

    fn is_empty(&self) -> bool {
        match (self.minimum, self.maximum) {
            (Bound::Included(minimum), Bound::Included(maximum)) => minimum > maximum,
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (
                Bound::Included(minimum) | Bound::Excluded(minimum),
                Bound::Included(maximum) | Bound::Excluded(maximum),
            ) => minimum >= maximum,
        }
    }
}

/// An end of an interval of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberBound<'a> {
    /// Before every member.
    Lowest,
    Included(&'a [u8]),
    Excluded(&'a [u8]),
    /// Behind every member.
    Highest,
}

/// The elements with members within bounds, in the order of bytes; of use where all scores are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberInterval<'a> {
    pub minimum: MemberBound<'a>,
    pub maximum: MemberBound<'a>,
}

impl MemberInterval<'_> {
    fn locate_bytes(&self, member: &[u8]) -> Ordering {
        let is_before = match self.minimum {
            MemberBound::Lowest => false,
            MemberBound::Included(minimum) => member < minimum,
            MemberBound::Excluded(minimum) => member <= minimum,
            MemberBound::Highest => true,
        };
        let is_behind = match self.maximum {
            MemberBound::Lowest => true,
            MemberBound::Included(maximum) => member > maximum,
            MemberBound::Excluded(maximum) => member >= maximum,
            MemberBound::Highest => false,
        };
        match (is_before, is_behind) {
            (true, _) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => Ordering::Equal,
        }
    }
}

impl Interval for MemberInterval<'_> {
    #[inline]
    fn locate(&self, _: f64, member: &Member<'_>) -> Ordering {
        member.with_bytes(|bytes| self.locate_bytes(bytes))
    }

    fn is_empty(&self) -> bool {
        match (self.minimum, self.maximum) {
            (MemberBound::Highest, _) | (_, MemberBound::Lowest) => true,
            (MemberBound::Lowest, _) | (_, MemberBound::Highest) => false,
            (MemberBound::Included(minimum), MemberBound::Included(maximum)) => minimum > maximum,
            (
                MemberBound::Included(minimum) | MemberBound::Excluded(minimum),
                MemberBound::Included(maximum) | MemberBound::Excluded(maximum),
            ) => minimum >= maximum,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_lie_before_in_or_behind_an_interval() {
        let interval = ScoreInterval { minimum: Bound::Excluded(1.0), maximum: Bound::Included(2.0) };
        let located = [0.5, 1.0, 1.5, 2.0, 2.5].map(|score| interval.locate_score(score) as i8);
        assert_eq!(located, [-1, -1, 0, 0, 1]);
        let zero = ScoreInterval::inclusive(0.0, 0.0);
        assert_eq!(zero.locate_score(-0.0), Ordering::Equal);
        let below = ScoreInterval::half_open(f64::NEG_INFINITY, f64::INFINITY);
        assert_eq!(below.locate_score(f64::NEG_INFINITY), Ordering::Equal);
        assert_eq!(below.locate_score(f64::INFINITY), Ordering::Greater);
    }

    #[test]
    fn intervals_with_nothing_between_are_empty() {
        let scores = |minimum, maximum| ScoreInterval { minimum, maximum }.is_empty();
        assert!(!scores(Bound::Included(1.0), Bound::Included(1.0)));
        assert!(scores(Bound::Included(1.0), Bound::Excluded(1.0)));
        assert!(scores(Bound::Included(2.0), Bound::Included(1.0)));
        assert!(!scores(Bound::Unbounded, Bound::Excluded(1.0)));
        let members = |minimum, maximum| MemberInterval { minimum, maximum }.is_empty();
        let (a, b): (&[u8], &[u8]) = (b"a", b"b");
        assert!(!members(MemberBound::Included(a), MemberBound::Included(a)));
        assert!(members(MemberBound::Excluded(a), MemberBound::Included(a)));
        assert!(members(MemberBound::Included(b), MemberBound::Included(a)));
        assert!(members(MemberBound::Highest, MemberBound::Highest));
        assert!(members(MemberBound::Lowest, MemberBound::Lowest));
        assert!(!members(MemberBound::Lowest, MemberBound::Excluded(a)));
    }

    #[test]
    fn members_lie_before_in_or_behind_an_interval() {
        let interval = MemberInterval { minimum: MemberBound::Included(b"10"), maximum: MemberBound::Excluded(b"b") };
        let locate = |member| interval.locate(0.0, &member) as i8;
        assert_eq!(locate(Member::Integer(1)), -1);
        assert_eq!(locate(Member::Integer(10)), 0);
        assert_eq!(locate(Member::Integer(9)), 0);
        assert_eq!(locate(Member::Text(b"b")), 1);
        let all = MemberInterval { minimum: MemberBound::Lowest, maximum: MemberBound::Highest };
        assert_eq!(all.locate(0.0, &Member::Text(b"")), Ordering::Equal);
    }
}
