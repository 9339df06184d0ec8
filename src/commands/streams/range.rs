//! Reading by ID: XLEN, XRANGE and XREVRANGE.

use crate::command::arguments::COUNT;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Argument, ArgumentKind, Category, CommandSpec, Flag, Group, KeyFlag, KeySpec};
use crate::engine::context::Context;
use crate::resp::Args;

use super::{parse_count, parse_start, parse_stop, read, write_entries};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "xlen",
        arity: 2,
        flags: &[Flag::ReadOnly, Flag::Fast],
        categories: &[Category::Stream],
        keys: &[KeySpec::one(&[KeyFlag::Ro], 1)],
        group: Group::Stream,
        since: "5.0.0",
        summary: "Counts the entries of a stream.",
        arguments: &[Argument::key("key", 0)],
        handler: length,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "xrange",
        arity: -4,
        flags: &[Flag::ReadOnly],
        categories: &[Category::Stream],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::Stream,
        since: "5.0.0",
        complexity: "O(N) for N entries in the reply, so O(1) with a small COUNT.",
        summary: "Gives the entries within a range of IDs.",
        history: &[("6.2.0", "Takes ranges without their ends.")],
        arguments: &[
            Argument::key("key", 0),
            Argument::new("start", ArgumentKind::String),
            Argument::new("end", ArgumentKind::String),
            COUNT,
        ],
        handler: range,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "xrevrange",
        arity: -4,
        flags: &[Flag::ReadOnly],
        categories: &[Category::Stream],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::Stream,
        since: "5.0.0",
        complexity: "O(N) for N entries in the reply, so O(1) with a small COUNT.",
        summary: "Gives the entries within a range of IDs, the last one first.",
        history: &[("6.2.0", "Takes ranges without their ends.")],
        arguments: &[
            Argument::key("key", 0),
            Argument::new("end", ArgumentKind::String),
            Argument::new("start", ArgumentKind::String),
            COUNT,
        ],
        handler: reverse_range,
        ..CommandSpec::DEFAULT
    },
];

fn length(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let stream = read(keyspace, database, args.at(1))?;
    reply.integer(stream.map_or(0, |stream| stream.len()) as i64);
    Ok(())
}

fn range(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_range(context, args, false)
}

fn reverse_range(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_range(context, args, true)
}

fn reply_range(context: &mut Context<'_>, args: Args<'_>, is_reverse: bool) -> CommandResult {
    let (first, last) = if is_reverse { (3, 2) } else { (2, 3) };
    let start = parse_start(args.at(first))?;
    let stop = parse_stop(args.at(last))?;
    let mut count = None;
    let mut at = 4;
    while let Some(option) = args.get(at) {
        match args.get(at + 1) {
            Some(text) if option.eq_ignore_ascii_case(b"COUNT") => {
                count = Some(parse_count(text)?);
            }
            _ => return Err(CommandError::SYNTAX),
        }
        at += 2;
    }
    let (keyspace, database, reply) = context.parts();
    match read(keyspace, database, args.at(1))? {
        None => reply.empty_array(),
        Some(_) if count == Some(0) => reply.null_array(),
        Some(stream) => {
            let entries = stream.entries.range(start, stop);
            let count = count.unwrap_or(0);
            if is_reverse {
                write_entries(reply, entries.rev(), count);
            } else {
                write_entries(reply, entries, count);
            }
        }
    }
    Ok(())
}
