//! Parts of strings: APPEND, GETRANGE, SETRANGE and their kin.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group, INSERT, INSPECT, KeySpec, READ, UPDATE};
use crate::engine::context::Context;
use crate::keyspace::{EventClass, Expiry, NewValue, Text};
use crate::resp::Args;
use crate::types::string::part;

use super::{integer_argument, length_at, text_of};

/// Commands on parts of a string.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("append", 3, Group::String, "2.0.0", append)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(INSERT, 1)])
        .complexity("O(N) where N is the length of what is appended, over many calls.")
        .summary("Adds to the end of the string at a key; creates the key if need be.")
        .arguments("key value"),
    CommandSpec::new("strlen", 2, Group::String, "2.2.0", strlen)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(INSPECT, 1)])
        .summary("Gives the length of the string at a key.")
        .arguments("key"),
    CommandSpec::new("getrange", 4, Group::String, "2.4.0", getrange)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) where N is the length of the part.")
        .summary("Gives a part of the string at a key.")
        .arguments("key start:integer end:integer"),
    CommandSpec::new("substr", 4, Group::String, "1.0.0", substr)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) where N is the length of the part.")
        .summary("Gives a part of the string at a key.")
        .deprecated("2.0.0", "`GETRANGE`")
        .arguments("key start:integer end:integer"),
    CommandSpec::new("setrange", 4, Group::String, "2.2.0", setrange)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .complexity("O(N) where N is the length of what is written or added.")
        .summary("Overwrites a part of the string at a key, which grows if need be.")
        .arguments("key offset:integer value"),
];

/// Checks that a string may become so long. `length` may be far beyond what memory holds.
fn check_length(context: &Context<'_>, length: u64) -> CommandResult {
    if length > context.state.config.proto_max_bulk_len {
        return Err(CommandError::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)"));
    }
    Ok(())
}

fn append(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (key, added) = (args.at(1), args.at(2));
    let (keyspace, database, _) = context.parts();
    let length = match length_at(keyspace, database, key)? {
        None => {
            keyspace.set(database, key, NewValue::argument(args, 2), Expiry::Clear);
            added.len()
        }
        Some(before) => {
            let length = before + added.len();
            check_length(context, length as u64)?;
            let (keyspace, database, _) = context.parts();
            keyspace.edit_string(database, key, length, |bytes| {
                bytes[before..].copy_from_slice(added);
            });
            length
        }
    };
    let (keyspace, database, reply) = context.parts();
    keyspace.changes.notify(EventClass::String, "append", database, key);
    reply.integer(length as i64);
    Ok(())
}

fn strlen(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let length = keyspace
        .read_with(database, args.at(1), |record| record.map_or(Ok(0), |record| text_of(record).map(Text::length)))?;
    reply.integer(length as i64);
    Ok(())
}

fn getrange(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let start = integer_argument(args, 2)?;
    let end = integer_argument(args, 3)?;
    let (keyspace, database, reply) = context.parts();
    keyspace.read_with(database, args.at(1), |record| {
        let Some(record) = record else {
            reply.bulk(b"");
            return Ok(());
        };
        match text_of(record)? {
            // The part shares the buffer; the reply copies it only if it is short.
            Text::Large(bytes) => reply.bulk_shared(&bytes.slice(part(start, end, bytes.len()))),
            text => text.with_bytes(|bytes| reply.bulk(&bytes[part(start, end, bytes.len())])),
        }
        Ok(())
    })
}

/// The old name of GETRANGE.
fn substr(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    getrange(context, args)
}

fn setrange(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (key, written) = (args.at(1), args.at(3));
    let offset =
        u64::try_from(integer_argument(args, 2)?).map_err(|_| CommandError::fixed("ERR offset is out of range"))?;
    let (keyspace, database, _) = context.parts();
    let before = length_at(keyspace, database, key)?.unwrap_or(0);
    if written.is_empty() {
        context.reply.integer(before as i64);
        return Ok(());
    }
    check_length(context, offset.saturating_add(written.len() as u64))?;
    let offset = offset as usize;
    let end = offset + written.len();
    let (keyspace, database, reply) = context.parts();
    keyspace.edit_string(database, key, end, |bytes| {
        bytes[offset..end].copy_from_slice(written);
    });
    keyspace.changes.notify(EventClass::String, "setrange", database, key);
    reply.integer(before.max(end) as i64);
    Ok(())
}
