//! Ranges of elements taken out: ZREMRANGEBYLEX, ZREMRANGEBYRANK and ZREMRANGEBYSCORE.

use std::ops::Range;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, DELETE, Flag, Group, KeySpec};
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::sorted_set::SortedSetRef;

use super::ranges::ranks_within;
use super::{Removed, change, limits, parse_members, parse_scores, settle_removal};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("zremrangebylex", 4, Group::SortedSet, "2.8.9", zremrangebylex)
        .flags(&[Flag::Write])
        .keys(&[KeySpec::one(DELETE, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M taken out.")
        .summary("Takes the members out that lie within bounds in the order of their bytes.")
        .arguments("key min max"),
    CommandSpec::new("zremrangebyrank", 4, Group::SortedSet, "2.0.0", zremrangebyrank)
        .flags(&[Flag::Write])
        .keys(&[KeySpec::one(DELETE, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M taken out.")
        .summary("Takes the elements with ranks within bounds out.")
        .arguments("key start:integer stop:integer"),
    CommandSpec::new("zremrangebyscore", 4, Group::SortedSet, "1.2.0", zremrangebyscore)
        .flags(&[Flag::Write])
        .keys(&[KeySpec::one(DELETE, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M taken out.")
        .summary("Takes the elements with scores within bounds out.")
        .arguments("key min:double max:double"),
];

fn zremrangebylex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let interval = parse_members(args.at(2), args.at(3))?;
    remove(context, args.at(1), "zremrangebylex", |sorted_set| sorted_set.ranks_of(&interval))
}

fn zremrangebyrank(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let rank = |text: &[u8]| parse_i64(text).ok_or(CommandError::NOT_AN_INTEGER);
    let (first, last) = (rank(args.at(2))?, rank(args.at(3))?);
    remove(context, args.at(1), "zremrangebyrank", |sorted_set| ranks_within(first, last, sorted_set.len()))
}

fn zremrangebyscore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let interval = parse_scores(args.at(2), args.at(3))?;
    remove(context, args.at(1), "zremrangebyscore", |sorted_set| sorted_set.ranks_of(&interval))
}

/// Takes the elements out whose ranks `select` gives.
fn remove(
    context: &mut Context<'_>,
    key: &[u8],
    event: &'static str,
    select: impl FnOnce(SortedSetRef<'_>) -> Range<usize>,
) -> CommandResult {
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let mut garbage = None;
    let removed = change(keyspace, database, key, limits, |sorted_set| {
        let ranks = select(sorted_set.view());
        let removed = Removed { count: ranks.len(), is_empty: ranks.len() == sorted_set.view().len() };
        // With all elements goes the key, and the whole value at once.
        if removed.count > 0 && !removed.is_empty {
            garbage = sorted_set.remove_ranks(ranks);
        }
        removed
    })?;
    if let Some(garbage) = garbage {
        keyspace.discard(garbage);
    }
    let count = removed.as_ref().map_or(0, |removed| removed.count);
    if let Some(removed) = removed {
        settle_removal(keyspace, database, key, &removed, event);
    }
    reply.integer(count as i64);
    Ok(())
}
