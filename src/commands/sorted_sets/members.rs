//! What is asked of single members, and counts: ZCARD, ZCOUNT, ZLEXCOUNT, ZMSCORE, ZRANK, ZREVRANK and ZSCORE.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group, INSPECT, KeySpec, READ};
use crate::engine::context::Context;
use crate::resp::Args;
use crate::types::sorted_set::Interval;

use super::{parse_members, parse_scores, read};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("zcard", 2, Group::SortedSet, "1.2.0", zcard)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(INSPECT, 1)])
        .summary("Counts the members of a sorted set.")
        .arguments("key"),
    CommandSpec::new("zcount", 4, Group::SortedSet, "2.0.0", zcount)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(log(N)) with N elements in the sorted set.")
        .summary("Counts the members whose scores lie within bounds.")
        .arguments("key min:double max:double"),
    CommandSpec::new("zlexcount", 4, Group::SortedSet, "2.8.9", zlexcount)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(log(N)) with N elements in the sorted set.")
        .summary("Counts the members that lie within bounds in the order of their bytes.")
        .arguments("key min max"),
    CommandSpec::new("zmscore", -3, Group::SortedSet, "6.2.0", zmscore)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .member(2)
        .complexity("O(N) with N members asked for.")
        .summary("Gives the scores of several members.")
        .arguments("key member..."),
    CommandSpec::new("zrank", -3, Group::SortedSet, "2.0.0", zrank)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .member(2)
        .complexity("O(log(N))")
        .summary("Tells how many members have lower scores than a member.")
        .history(&[("7.2.0", "`WITHSCORE`.")])
        .arguments("key member [WITHSCORE]"),
    CommandSpec::new("zrevrank", -3, Group::SortedSet, "2.0.0", zrevrank)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .member(2)
        .complexity("O(log(N))")
        .summary("Tells how many members have higher scores than a member.")
        .history(&[("7.2.0", "`WITHSCORE`.")])
        .arguments("key member [WITHSCORE]"),
    CommandSpec::new("zscore", 3, Group::SortedSet, "1.2.0", zscore)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .member(2)
        .summary("Gives the score of a member.")
        .arguments("key member"),
];

fn zcard(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let count = read(keyspace, database, args.at(1), |sorted_set| sorted_set.len())?;
    reply.integer(count.unwrap_or(0) as i64);
    Ok(())
}

fn zcount(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let interval = parse_scores(args.at(2), args.at(3))?;
    count_within(context, args.at(1), &interval)
}

fn zlexcount(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let interval = parse_members(args.at(2), args.at(3))?;
    count_within(context, args.at(1), &interval)
}

fn count_within(context: &mut Context<'_>, key: &[u8], interval: &impl Interval) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let count = read(keyspace, database, key, |sorted_set| sorted_set.ranks_of(interval).len())?;
    reply.integer(count.unwrap_or(0) as i64);
    Ok(())
}

fn zmscore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let members = args.slice_from(2);
    let found = read(keyspace, database, args.at(1), |sorted_set| {
        reply.array(members.len());
        let reply_score = |score| match score {
            Some(score) => reply.double(score),
            None => reply.null(),
        };
        sorted_set.scores(members.len(), |index| members.at(index), reply_score);
    })?;
    if found.is_none() {
        reply.array(members.len());
        members.iter().for_each(|_| reply.null());
    }
    Ok(())
}

fn zrank(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    rank(context, args, false)
}

fn zrevrank(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    rank(context, args, true)
}

fn rank(context: &mut Context<'_>, args: Args<'_>, reverse: bool) -> CommandResult {
    let with_score = match args.get(3) {
        None => false,
        Some(_) if args.len() > 4 => {
            return Err(CommandError::wrong_arity(context.command_name()));
        }
        Some(word) if word.eq_ignore_ascii_case(b"withscore") => true,
        Some(_) => return Err(CommandError::SYNTAX),
    };
    let (keyspace, database, reply) = context.parts();
    let found = read(keyspace, database, args.at(1), |sorted_set| {
        let (rank, score) = sorted_set.rank(args.at(2))?;
        let rank = if reverse { sorted_set.len() - 1 - rank } else { rank };
        Some((rank, score))
    })?;
    match found.flatten() {
        Some((rank, score)) if with_score => {
            reply.array(2);
            reply.integer(rank as i64);
            reply.double(score);
        }
        Some((rank, _)) => reply.integer(rank as i64),
        None if with_score => reply.null_array(),
        None => reply.null(),
    }
    Ok(())
}

fn zscore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let score = read(keyspace, database, args.at(1), |sorted_set| sorted_set.score(args.at(2)))?;
    match score.flatten() {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
    Ok(())
}
