//! What is known of streams: XINFO.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::resp::Reply;
use crate::types::stream::{Consumer, Group as ConsumerGroup, Id, Stream};

use super::{parse_integer, quoted, read, write_entries, write_entry, write_id};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("xinfo", Group::Stream, "5.0.0")
    .complexity("That of the subcommand.")
    .summary("What is known of streams, their groups and consumers.")
    .subcommands(&[
        CommandSpec::new("consumers", 4, Group::Stream, "5.0.0", consumers)
            .flags(&[Flag::ReadOnly])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(READ, 2)])
            .summary("Lists the consumers of a group.")
            .history(&[("7.2.0", "Gives `inactive` too; `idle` counts from the last attempt.")])
            .arguments("key group"),
        CommandSpec::new("groups", 3, Group::Stream, "5.0.0", groups)
            .flags(&[Flag::ReadOnly])
            .keys(&[KeySpec::one(READ, 2)])
            .summary("Lists the groups of a stream.")
            .history(&[("7.0.0", "Gives `entries-read` and `lag` too.")])
            .arguments("key"),
        help::subcommand(Group::Stream, "5.0.0"),
        CommandSpec::new("stream", -3, Group::Stream, "5.0.0", stream)
            .flags(&[Flag::ReadOnly])
            .keys(&[KeySpec::one(READ, 2)])
            .summary("Tells what is known of a stream.")
            .history(&[
                ("6.0.0", "Takes `FULL`."),
                (
                    "7.0.0",
                    "Gives `max-deleted-entry-id`, `entries-added`, `recorded-first-entry-id`, `entries-read` and \
                     `lag` too.",
                ),
                ("7.2.0", "Gives `active-time` too; `seen-time` is that of the last attempt."),
            ])
            .arguments("key full-block=[FULL [COUNT count:integer]]"),
    ])];

/// The stream at a key. Errors: there is none; the value is of another type.
fn existing<'a>(
    keyspace: &'a mut crate::keyspace::Keyspace,
    database: usize,
    key: &[u8],
) -> Result<&'a Stream, CommandError> {
    read(keyspace, database, key)?.ok_or(CommandError::NO_SUCH_KEY)
}

fn write_optional(reply: &mut Reply, number: Option<i64>) {
    match number {
        Some(number) => reply.integer(number),
        None => reply.null(),
    }
}

fn write_field(reply: &mut Reply, name: &str, number: usize) {
    reply.bulk(name.as_bytes());
    reply.integer(number as i64);
}

fn write_id_field(reply: &mut Reply, name: &str, id: Id) {
    reply.bulk(name.as_bytes());
    write_id(reply, id);
}

fn consumers(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let now_ms = keyspace.now_ms;
    let stream = existing(keyspace, database, args.at(2))?;
    let Some(group) = stream.groups.get(args.at(3)) else {
        let key = quoted(args.at(2));
        let group = quoted(args.at(3));
        return Err(CommandError::new(format!("NOGROUP No such consumer group '{group}' for key name '{key}'")));
    };
    reply.array(group.consumers().len());
    for consumer in group.consumers() {
        let since_ms = |time_ms: i64| now_ms.wrapping_sub(time_ms).max(0);
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        write_field(reply, "pending", consumer.pending().len());
        reply.bulk(b"idle");
        reply.integer(since_ms(consumer.seen_ms));
        reply.bulk(b"inactive");
        reply.integer(consumer.active_ms.map_or(-1, since_ms));
    }
    Ok(())
}

fn groups(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let stream = existing(keyspace, database, args.at(2))?;
    reply.array(stream.groups.len());
    for group in stream.groups.iter() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(group.name());
        write_field(reply, "consumers", group.consumers().len());
        write_field(reply, "pending", group.pending().len());
        write_id_field(reply, "last-delivered-id", group.last_id);
        write_progress(reply, stream, group);
    }
    Ok(())
}

fn write_progress(reply: &mut Reply, stream: &Stream, group: &ConsumerGroup) {
    reply.bulk(b"entries-read");
    write_optional(reply, group.entries_read);
    reply.bulk(b"lag");
    write_optional(reply, stream.entries.lag(group));
}

/// How many entries XINFO STREAM FULL shows unless told otherwise.
const FULL_COUNT: i64 = 10;

/// How many entries FULL is to show (0: all), if it is there.
fn parse_full(args: Args<'_>) -> Result<Option<usize>, CommandError> {
    let is = |at: usize, word: &[u8]| args.at(at).eq_ignore_ascii_case(word);
    let count = match args.len() {
        3 => return Ok(None),
        4 if is(3, b"FULL") => FULL_COUNT,
        6 if is(3, b"FULL") && is(4, b"COUNT") => match parse_integer(args.at(5))? {
            count if count < 0 => FULL_COUNT,
            count => count,
        },
        _ => return Err(CommandError::unknown_subcommand("xinfo", args.at(1))),
    };
    Ok(Some(usize::try_from(count).unwrap_or(usize::MAX)))
}

fn stream(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let now_ms = keyspace.now_ms;
    let stream = existing(keyspace, database, args.at(2))?;
    let full = parse_full(args)?;
    let entries = &stream.entries;
    let producers = &stream.producers;
    // Redis 8.6 always has these fields; older clients may not know them, and need not where there are no producers.
    let newer = if producers.are_used() { 6 } else { 0 };
    reply.map(newer + if full.is_some() { 9 } else { 10 });
    write_field(reply, "length", entries.len());
    write_field(reply, "radix-tree-keys", entries.blocks());
    write_field(reply, "radix-tree-nodes", entries.radix_nodes());
    write_id_field(reply, "last-generated-id", entries.last_id);
    write_id_field(reply, "max-deleted-entry-id", entries.max_deleted_id);
    write_field(reply, "entries-added", entries.added as usize);
    write_id_field(reply, "recorded-first-entry-id", entries.first_id());
    if let Some(retention) = producers.retention() {
        let (tracked, messages) = producers.tracked(now_ms);
        let (added, duplicates) = producers.counts();
        write_field(reply, "idmp-duration", retention.duration_s as usize);
        write_field(reply, "idmp-maxsize", retention.messages as usize);
        write_field(reply, "pids-tracked", tracked);
        write_field(reply, "iids-tracked", messages);
        write_field(reply, "iids-added", added as usize);
        write_field(reply, "iids-duplicates", duplicates as usize);
    }
    match full {
        None => {
            write_field(reply, "groups", stream.groups.len());
            for (name, entry) in [("first-entry", entries.iter().next()), ("last-entry", entries.iter().next_back())] {
                reply.bulk(name.as_bytes());
                match entry {
                    Some(entry) => write_entry(reply, entry),
                    None => reply.null(),
                }
            }
        }
        Some(count) => {
            reply.bulk(b"entries");
            write_entries(reply, entries.iter(), count);
            let shown = if count == 0 { usize::MAX } else { count };
            reply.bulk(b"groups");
            reply.array(stream.groups.len());
            for group in stream.groups.iter() {
                write_full_group(reply, stream, group, shown);
            }
        }
    }
    Ok(())
}

fn write_full_group(reply: &mut Reply, stream: &Stream, group: &ConsumerGroup, shown: usize) {
    // Redis 8.8 always has the field; older clients may not know it, and need not where nothing was given back.
    let has_released = group.released() > 0;
    reply.map(7 + usize::from(has_released));
    reply.bulk(b"name");
    reply.bulk(group.name());
    write_id_field(reply, "last-delivered-id", group.last_id);
    write_progress(reply, stream, group);
    write_field(reply, "pel-count", group.pending().len());
    if has_released {
        write_field(reply, "nacked-count", group.released());
    }
    reply.bulk(b"pending");
    reply.array(group.pending().len().min(shown));
    for pending in group.pending().iter().take(shown) {
        reply.array(4);
        write_id(reply, pending.id);
        reply.bulk(pending.consumer());
        reply.integer(pending.delivered_ms());
        reply.integer(pending.deliveries as i64);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumers().len());
    for consumer in group.consumers() {
        write_full_consumer(reply, group, consumer, shown);
    }
}

fn write_full_consumer(reply: &mut Reply, group: &ConsumerGroup, consumer: &Consumer, shown: usize) {
    reply.map(5);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    reply.bulk(b"seen-time");
    reply.integer(consumer.seen_ms);
    reply.bulk(b"active-time");
    reply.integer(consumer.active_ms.unwrap_or(-1));
    write_field(reply, "pel-count", consumer.pending().len());
    reply.bulk(b"pending");
    reply.array(consumer.pending().len().min(shown));
    let ids = consumer.pending().iter().take(shown);
    for pending in ids.filter_map(|id| group.pending_entry(*id)) {
        reply.array(3);
        write_id(reply, pending.id);
        reply.integer(pending.delivered_ms());
        reply.integer(pending.deliveries as i64);
    }
}
