//! Sorted sets: what the family's commands share. Never decides in which form a sorted set is kept: the type does.

pub mod algebra;
mod algebra_table;
pub mod draw;
pub mod members;
pub mod pop;
mod range_table;
pub mod ranges;
pub mod removal;
pub mod update;

pub use algebra_table::COMMANDS as ALGEBRA_COMMANDS;
pub use range_table::COMMANDS as RANGE_COMMANDS;

use std::ops::Bound;

use crate::command::error::CommandError;
use crate::config::Config;
use crate::keyspace::{EventClass, Keyspace, ValueMut};
use crate::resp::number::{parse_f64, parse_i64};
use crate::resp::{Protocol, Reply};
use crate::types::slot::OwnedValue;
use crate::types::sorted_set::{
    Limits, Member, MemberBound, MemberInterval, ScoreInterval, SortedSetMut, SortedSetRef,
};

/// Up to which size a sorted set is kept packed.
pub fn limits(config: &Config) -> Limits {
    let limit = |setting: u64| usize::try_from(setting).unwrap_or(usize::MAX);
    Limits { entries: limit(config.zset_max_listpack_entries), member_bytes: limit(config.zset_max_listpack_value) }
}

/// What `use_it` makes of the sorted set at a key, if there is one. Errors: the value is of another type.
#[inline]
fn read<R>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    use_it: impl FnOnce(SortedSetRef<'_>) -> R,
) -> Result<Option<R>, CommandError> {
    keyspace.read_with(database, key, |record| {
        let Some(record) = record else {
            return Ok(None);
        };
        match SortedSetRef::of(record.value().stored()) {
            Some(sorted_set) => Ok(Some(use_it(sorted_set))),
            None => Err(CommandError::WRONG_TYPE),
        }
    })
}

/// What `change` makes of the sorted set at a key, if there is one. Errors: the value is of another type.
#[inline]
fn change<R>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    limits: Limits,
    change: impl FnOnce(&mut SortedSetMut<'_, ValueMut<'_>>) -> R,
) -> Result<Option<R>, CommandError> {
    let Some(mut value) = keyspace.edit(database, key) else {
        return Ok(None);
    };
    match SortedSetMut::of(&mut value, limits) {
        Some(mut sorted_set) => Ok(Some(change(&mut sorted_set))),
        None => Err(CommandError::WRONG_TYPE),
    }
}

/// What a removal of elements has come to.
struct Removed {
    count: usize,
    /// Whether no element is left.
    is_empty: bool,
}

/// Does what is to be done when elements were taken out: the key is removed with the last of them.
fn settle_removal(keyspace: &mut Keyspace, database: usize, key: &[u8], removed: &Removed, event: &'static str) {
    if removed.count == 0 {
        return;
    }
    let notify = |keyspace: &mut Keyspace, class, event| {
        keyspace.changes.notify(class, event, database, key);
    };
    notify(keyspace, EventClass::SortedSet, event);
    if removed.is_empty {
        // The removal of the key counts as one of the changes.
        keyspace.changes.count(removed.count as u64 - 1);
        keyspace.remove(database, key);
        notify(keyspace, EventClass::Generic, "del");
    } else {
        keyspace.modified_times(database, key, removed.count as u64);
    }
}

/// Puts a sorted set at a key, in place of what is there; one without elements removes the key.
fn store(keyspace: &mut Keyspace, database: usize, key: &[u8], value: Option<OwnedValue>, event: &'static str) {
    match value {
        Some(value) => {
            keyspace.create(database, key, value);
            keyspace.modified(database, key);
            keyspace.changes.notify(EventClass::SortedSet, event, database, key);
        }
        None => {
            keyspace.delete(database, key);
        }
    }
}

/// Replies with a member.
#[inline]
fn reply_member(reply: &mut Reply, member: Member<'_>) {
    match member {
        Member::Integer(integer) => reply.bulk_integer(integer),
        Member::Text(text) => reply.bulk(text),
    }
}

/// The head of a reply of so many elements: in RESP3 a member and its score are an array of their own.
fn begin_elements(reply: &mut Reply, count: usize, with_scores: bool) {
    if with_scores && reply.protocol() == Protocol::Resp2 {
        reply.array(count.saturating_mul(2));
    } else {
        reply.array(count);
    }
}

/// Replies with one of those elements.
#[inline]
fn reply_element(reply: &mut Reply, member: Member<'_>, score: f64, with_score: bool) {
    if with_score && reply.protocol() == Protocol::Resp3 {
        reply.array(2);
    }
    reply_member(reply, member);
    if with_score {
        reply.double(score);
    }
}

/// Reads a whole number of at least `minimum`. Errors: it is none; the text is the caller's.
fn parse_at_least(text: &[u8], minimum: i64, error: &'static str) -> Result<usize, CommandError> {
    let number = parse_i64(text).filter(|number| *number >= minimum);
    number.and_then(|number| usize::try_from(number).ok()).ok_or(CommandError::fixed(error))
}

/// Reads the two ends of an interval of scores.
fn parse_scores(minimum: &[u8], maximum: &[u8]) -> Result<ScoreInterval, CommandError> {
    const INVALID: CommandError = CommandError::fixed("ERR min or max is not a float");
    Ok(ScoreInterval {
        minimum: parse_score_bound(minimum).ok_or(INVALID)?,
        maximum: parse_score_bound(maximum).ok_or(INVALID)?,
    })
}

fn parse_score_bound(text: &[u8]) -> Option<Bound<f64>> {
    match text {
        [b'(', rest @ ..] => parse_loosely(rest).map(Bound::Excluded),
        text => parse_loosely(text).map(Bound::Included),
    }
}

/// Reads a number as C's `strtod` does, which is what clients got used to here: spaces in front do not matter, nothing
/// at all is zero, what is too large is infinite, and what follows a zero byte is not seen.
fn parse_loosely(text: &[u8]) -> Option<f64> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    let spaces = text.iter().take_while(|byte| matches!(byte, b' ' | b'\t'..=b'\r')).count();
    let text = &text[spaces..];
    parse_f64(text).or_else(|| {
        let number: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
        (!number.is_nan()).then_some(number)
    })
}

/// Reads the two ends of an interval of members.
fn parse_members<'a>(minimum: &'a [u8], maximum: &'a [u8]) -> Result<MemberInterval<'a>, CommandError> {
    Ok(MemberInterval { minimum: parse_member_bound(minimum)?, maximum: parse_member_bound(maximum)? })
}

fn parse_member_bound(text: &[u8]) -> Result<MemberBound<'_>, CommandError> {
    match text {
        b"-" => Ok(MemberBound::Lowest),
        b"+" => Ok(MemberBound::Highest),
        [b'[', member @ ..] => Ok(MemberBound::Included(member)),
        [b'(', member @ ..] => Ok(MemberBound::Excluded(member)),
        _ => Err(CommandError::fixed("ERR min or max not valid string range item")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn score_bounds_are_read_as_clients_are_used_to() {
        for (text, bound) in [
            ("1", Bound::Included(1.0)),
            ("(1.5", Bound::Excluded(1.5)),
            ("-inf", Bound::Included(f64::NEG_INFINITY)),
            ("(+INF", Bound::Excluded(f64::INFINITY)),
            ("", Bound::Included(0.0)),
            ("(", Bound::Excluded(0.0)),
            (" \t7", Bound::Included(7.0)),
            ("0x10", Bound::Included(16.0)),
            ("1e999", Bound::Included(f64::INFINITY)),
            ("-1e999", Bound::Included(f64::NEG_INFINITY)),
            ("1e-999", Bound::Included(0.0)),
            ("3\0x", Bound::Included(3.0)),
        ] {
            assert_eq!(parse_score_bound(text.as_bytes()), Some(bound), "{text:?}");
        }
        for text in ["x", "1x", "nan", "(nan", "((1", " ", "1 ", "[1"] {
            assert_eq!(parse_score_bound(text.as_bytes()), None, "{text:?}");
        }
    }
}
