//! How a key is stored and used: OBJECT.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Argument, Category, CommandSpec, Flag, Group, KeyFlag, KeySpec};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::ServerState;
use crate::keyspace::Value;
use crate::resp::Args;

/// The integers that Redis keeps once for all keys.
const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;

/// What Redis gives as the number of references to an object that is never freed.
const SHARED_REFERENCES: i64 = i32::MAX as i64;

/// A subcommand that looks at one key.
const INSPECTION: CommandSpec = CommandSpec {
    arity: 3,
    flags: &[Flag::ReadOnly],
    categories: &[Category::Keyspace],
    tips: &["nondeterministic_output"],
    keys: &[KeySpec::one(&[KeyFlag::Ro], 2)],
    since: "2.2.3",
    arguments: &[Argument::key("key", 0)],
    ..CommandSpec::DEFAULT
};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec {
    name: "object",
    arity: -2,
    since: "2.2.3",
    complexity: "See the subcommands.",
    summary: "Looks at how a key is stored and used.",
    subcommands: &[
        CommandSpec {
            name: "encoding",
            summary: "Tells how a key's value is represented in memory.",
            handler: encoding,
            ..INSPECTION
        },
        CommandSpec {
            name: "freq",
            since: "4.0.0",
            summary: "Tells how often a key is used, on a logarithmic scale.",
            handler: frequency,
            ..INSPECTION
        },
        help::subcommand(Group::Generic, "6.2.0", &[Category::Keyspace]),
        CommandSpec {
            name: "idletime",
            summary: "Tells for how many seconds a key has not been used.",
            handler: idle_time,
            ..INSPECTION
        },
        CommandSpec {
            name: "refcount",
            summary: "Tells how many references there are to a key's value.",
            handler: reference_count,
            ..INSPECTION
        },
    ],
    ..CommandSpec::DEFAULT
}];

fn encoding(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    match keyspace.inspect(database, args.at(2)) {
        Some(record) => reply.bulk(record.value().encoding_name().as_bytes()),
        None => reply.null(),
    }
    Ok(())
}

fn frequency(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    if keyspace.inspect(database, args.at(2)).is_none() {
        reply.null();
        return Ok(());
    }
    let Some(frequency) = keyspace.frequency(database, args.at(2)) else {
        return Err(CommandError::fixed(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
             that when switching between policies at runtime LRU and LFU data will take some time \
             to adjust.",
        ));
    };
    reply.integer(i64::from(frequency));
    Ok(())
}

fn idle_time(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    if keyspace.inspect(database, args.at(2)).is_none() {
        reply.null();
        return Ok(());
    }
    let Some(seconds) = keyspace.idle_seconds(database, args.at(2)) else {
        return Err(CommandError::fixed(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    };
    reply.integer(i64::from(seconds));
    Ok(())
}

fn reference_count(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let shares = shares_integers(context.state);
    let (keyspace, database, reply) = context.parts();
    match keyspace.inspect(database, args.at(2)) {
        None => reply.null(),
        Some(record) => reply.integer(shown_references(record.value(), shares)),
    }
    Ok(())
}

/// The number of references that Redis would have: small integers are shared there, if allowed.
pub(super) fn shown_references(value: Value<'_>, shares: bool) -> i64 {
    match value {
        Value::Integer(number) if shares && SHARED_INTEGERS.contains(&number) => SHARED_REFERENCES,
        _ => 1,
    }
}

/// Whether Redis would keep small integers once for all keys: not while it needs to know when each was used.
pub(super) fn shares_integers(state: &ServerState) -> bool {
    let policy = state.config.maxmemory_policy;
    state.config.maxmemory == 0 || !(policy.is_lru() || policy.is_lfu())
}
