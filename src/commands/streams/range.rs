//! Reading by ID: XLEN, XRANGE and XREVRANGE.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group, INSPECT, KeySpec, READ};
use crate::engine::context::Context;
use crate::resp::Args;

use super::{parse_count, parse_start, parse_stop, read, write_entries};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("xlen", 2, Group::Stream, "5.0.0", length)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(INSPECT, 1)])
        .summary("Counts the entries of a stream.")
        .arguments("key"),
    CommandSpec::new("xrange", -4, Group::Stream, "5.0.0", range)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) for N entries in the reply, so O(1) with a small COUNT.")
        .summary("Gives the entries within a range of IDs.")
        .history(&[("6.2.0", "Takes ranges without their ends.")])
        .arguments("key start end [COUNT count:integer]"),
    CommandSpec::new("xrevrange", -4, Group::Stream, "5.0.0", reverse_range)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) for N entries in the reply, so O(1) with a small COUNT.")
        .summary("Gives the entries within a range of IDs, the last one first.")
        .history(&[("6.2.0", "Takes ranges without their ends.")])
        .arguments("key end start [COUNT count:integer]"),
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
