//! Elements taken off the ends: ZPOPMIN, ZPOPMAX, ZMPOP and those that wait for elements.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ_AND_DELETE};
use crate::command::timeout::parse_seconds;
use crate::engine::blocking::BlockKind;
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{Propagation, Record};
use crate::resp::Args;
use crate::resp::{Protocol, Reply};
use crate::types::sorted_set::{End, Member, SortedSetRef};

use super::{Removed, change, limits, parse_at_least, reply_member, settle_removal};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("bzmpop", -5, Group::SortedSet, "7.0.0", bzmpop)
        .flags(&[Flag::Write, Flag::Blocking])
        .keys(&[KeySpec::counted(READ_AND_DELETE, 2)])
        .complexity("O(K) + O(M*log(N)) with K keys, N elements in the sorted set and M taken out.")
        .summary(
            "Takes the elements with the lowest or highest scores out of the first sorted set that has any, and \
             waits if none has.",
        )
        .arguments("timeout:double numkeys:integer key... where=(MIN|MAX) [COUNT count:integer]"),
    CommandSpec::new("bzpopmax", -3, Group::SortedSet, "5.0.0", bzpopmax)
        .flags(&[Flag::Write, Flag::Blocking, Flag::Fast])
        .keys(&[KeySpec::range(READ_AND_DELETE, 1, -2, 1)])
        .complexity("O(log(N)) with N elements in the sorted set.")
        .summary(
            "Takes the element with the highest score out of the first sorted set that has any, and waits if none \
             has.",
        )
        .history(&[("6.0.0", "The timeout may have a fraction.")])
        .arguments("key... timeout:double"),
    CommandSpec::new("bzpopmin", -3, Group::SortedSet, "5.0.0", bzpopmin)
        .flags(&[Flag::Write, Flag::Blocking, Flag::Fast])
        .keys(&[KeySpec::range(READ_AND_DELETE, 1, -2, 1)])
        .complexity("O(log(N)) with N elements in the sorted set.")
        .summary(
            "Takes the element with the lowest score out of the first sorted set that has any, and waits if none \
             has.",
        )
        .history(&[("6.0.0", "The timeout may have a fraction.")])
        .arguments("key... timeout:double"),
    CommandSpec::new("zmpop", -4, Group::SortedSet, "7.0.0", zmpop)
        .flags(&[Flag::Write])
        .keys(&[KeySpec::counted(READ_AND_DELETE, 1)])
        .complexity("O(K) + O(M*log(N)) with K keys, N elements in the sorted set and M taken out.")
        .summary("Takes the elements with the lowest or highest scores out of the first sorted set that has any.")
        .arguments("numkeys:integer key... where=(MIN|MAX) [COUNT count:integer]"),
    CommandSpec::new("zpopmax", -2, Group::SortedSet, "5.0.0", zpopmax)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M taken out.")
        .summary("Takes the elements with the highest scores out of a sorted set.")
        .arguments("key [count:integer]"),
    CommandSpec::new("zpopmin", -2, Group::SortedSet, "5.0.0", zpopmin)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1)])
        .complexity("O(log(N) + M) with N elements in the sorted set and M taken out.")
        .summary("Takes the elements with the lowest scores out of a sorted set.")
        .arguments("key [count:integer]"),
];

/// How what is taken is shown.
#[derive(Clone, Copy)]
enum Shape {
    /// Members and scores.
    Flat,
    /// An array of its own for each member and its score.
    Nested,
    /// The key, and then the one member and its score.
    FlatBehindKey,
    /// The key, and then an array as of `Nested`.
    NestedBehindKey,
}

/// What is to be taken off.
#[derive(Clone, Copy)]
struct Pop {
    end: End,
    count: usize,
    shape: Shape,
}

impl Pop {
    fn begin(self, reply: &mut Reply, key: &[u8], count: usize) {
        match self.shape {
            Shape::Flat => reply.array(2 * count),
            Shape::Nested => reply.array(count),
            Shape::FlatBehindKey => {
                reply.array(1 + 2 * count);
                reply.bulk(key);
            }
            Shape::NestedBehindKey => {
                reply.array(2);
                reply.bulk(key);
                reply.array(count);
            }
        }
    }

    fn show(self, reply: &mut Reply, member: Member<'_>, score: f64) {
        if matches!(self.shape, Shape::Nested | Shape::NestedBehindKey) {
            reply.array(2);
        }
        reply_member(reply, member);
        reply.double(score);
    }

    /// Takes elements off the sorted set at a key and replies with them. Says whether there was one. Errors: the value
    /// is of another type.
    fn run(self, context: &mut Context<'_>, key: &[u8]) -> Result<bool, CommandError> {
        let limits = limits(&context.state.config);
        let (keyspace, database, reply) = context.parts();
        let mut garbage = None;
        let removed = change(keyspace, database, key, limits, |sorted_set| {
            let length = sorted_set.view().len();
            let count = self.count.min(length);
            self.begin(reply, key, count);
            let mut show = |member: Member<'_>, score| self.show(reply, member, score);
            if count < length {
                garbage = sorted_set.pop(self.end, count, show);
            } else {
                // With all elements goes the key, and the whole value at once.
                let mut elements = sorted_set.view().iter();
                match self.end {
                    End::Lowest => elements.for_each(|(member, score)| show(member, score)),
                    End::Highest => {
                        while let Some((member, score)) = elements.next_back() {
                            show(member, score);
                        }
                    }
                }
            }
            Removed { count, is_empty: count == length }
        })?;
        if let Some(garbage) = garbage {
            keyspace.discard(garbage);
        }
        let Some(removed) = removed else {
            return Ok(false);
        };
        let event = match self.end {
            End::Lowest => "zpopmin",
            End::Highest => "zpopmax",
        };
        settle_removal(keyspace, database, key, &removed, event);
        if keyspace.changes.propagation.is_on() {
            self.propagate(&mut keyspace.changes.propagation, key, removed.count);
        }
        Ok(true)
    }

    /// Has the commands that look at several keys, or wait, passed on as those that do not.
    fn propagate(self, propagation: &mut Propagation, key: &[u8], count: usize) {
        let name: &[u8] = match self.end {
            End::Lowest => b"ZPOPMIN",
            End::Highest => b"ZPOPMAX",
        };
        match self.shape {
            Shape::Flat | Shape::Nested => {}
            Shape::FlatBehindKey => propagation.replace(&[name, key]),
            Shape::NestedBehindKey => {
                let mut digits = itoa::Buffer::new();
                propagation.replace(&[name, key, digits.format(count).as_bytes()]);
            }
        }
    }

    /// Takes elements off the first sorted set of these keys that is there. Says whether there was one. Errors: the
    /// first value that is there is of another type.
    fn run_first(self, context: &mut Context<'_>, keys: Keys<'_>) -> Result<bool, CommandError> {
        for key in keys.iter() {
            if self.run(context, key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The same; if there is none the client waits for one of the keys.
    fn run_or_wait(self, context: &mut Context<'_>, args: Args<'_>, keys: Keys<'_>, timeout: &[u8]) -> CommandResult {
        let deadline_ms = parse_seconds(timeout, context.state.keyspace.now_ms)?;
        if self.run_first(context, keys)? {
            return Ok(());
        }
        if context.may_block() {
            context.block_on_keys(args, keys.iter(), BlockKind::SortedSet, deadline_ms);
        } else {
            context.reply.null_array();
        }
        Ok(())
    }
}

/// Some of a request's arguments: keys.
#[derive(Clone, Copy)]
struct Keys<'a> {
    args: Args<'a>,
    first: usize,
    count: usize,
}

impl<'a> Keys<'a> {
    fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.args.iter().skip(self.first).take(self.count)
    }
}

/// What ZMPOP and BZMPOP share: the number of keys at an argument, the keys, an end, and how many.
fn parse_many(args: Args<'_>, number_at: usize) -> Result<(Pop, Keys<'_>), CommandError> {
    let count = args.at(number_at);
    let count = parse_at_least(count, 1, "ERR numkeys should be greater than 0")?;
    let first = number_at + 1;
    let end_at = count.saturating_add(first);
    let is = |word: &[u8], name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    let end = match args.get(end_at) {
        Some(word) if is(word, "min") => End::Lowest,
        Some(word) if is(word, "max") => End::Highest,
        _ => return Err(CommandError::SYNTAX),
    };
    let options = args.slice_from(end_at + 1);
    let wanted = match options.len() {
        0 => 1,
        // A second COUNT is noticed once the first one has been read.
        2.. if is(options.at(0), "count") => {
            let wanted = parse_at_least(options.at(1), 1, "ERR count should be greater than 0")?;
            if options.len() > 2 {
                return Err(CommandError::SYNTAX);
            }
            wanted
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let pop = Pop { end, count: wanted, shape: Shape::NestedBehindKey };
    Ok((pop, Keys { args, first, count }))
}

fn bzmpop(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (pop, keys) = parse_many(args, 2)?;
    pop.run_or_wait(context, args, keys, args.at(1))
}

fn bzpopmax(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop_one_or_wait(context, args, End::Highest)
}

fn bzpopmin(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop_one_or_wait(context, args, End::Lowest)
}

fn pop_one_or_wait(context: &mut Context<'_>, args: Args<'_>, end: End) -> CommandResult {
    let pop = Pop { end, count: 1, shape: Shape::FlatBehindKey };
    let keys = Keys { args, first: 1, count: args.len() - 2 };
    pop.run_or_wait(context, args, keys, args.at(args.len() - 1))
}

fn zmpop(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (pop, keys) = parse_many(args, 1)?;
    if !pop.run_first(context, keys)? {
        context.reply.null_array();
    }
    Ok(())
}

fn zpopmax(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop_off(context, args, End::Highest)
}

fn zpopmin(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop_off(context, args, End::Lowest)
}

fn pop_off(context: &mut Context<'_>, args: Args<'_>, end: End) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let count = args.get(2).map(|count| parse_at_least(count, 0, "ERR value is out of range, must be positive"));
    let count = count.transpose()?;
    let nested = count.is_some() && context.reply.protocol() == Protocol::Resp3;
    let pop = Pop { end, count: count.unwrap_or(1), shape: if nested { Shape::Nested } else { Shape::Flat } };
    let key = args.at(1);
    if pop.count == 0 {
        // The type matters all the same.
        let (keyspace, database, _) = context.parts();
        check_type(keyspace.lookup(database, key))?;
    } else if pop.run(context, key)? {
        return Ok(());
    }
    context.reply.empty_array();
    Ok(())
}

fn check_type(record: Option<&Record>) -> CommandResult {
    let stored = record.map(|record| record.value().stored());
    if stored.is_some_and(|stored| SortedSetRef::of(stored).is_none()) {
        return Err(CommandError::WRONG_TYPE);
    }
    Ok(())
}
