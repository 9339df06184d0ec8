//! How a key is stored and used: OBJECT.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, INSPECT, KeySpec};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::ServerState;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::Value;
use crate::resp::Args;

/// The integers that Redis keeps once for all keys.
const SHARED_INTEGERS: std::ops::Range<i64> = 0..10_000;

/// What Redis gives as the number of references to an object that is never freed.
const SHARED_REFERENCES: i64 = i32::MAX as i64;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("object", Group::Generic, "2.2.3")
    .summary("Looks at how a key is stored and used.")
    .subcommands(&[
        CommandSpec::new("encoding", 3, Group::Generic, "2.2.3", encoding)
            .flags(&[Flag::ReadOnly])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(INSPECT, 2)])
            .summary("Tells how a key's value is represented in memory.")
            .arguments("key"),
        CommandSpec::new("freq", 3, Group::Generic, "4.0.0", frequency)
            .flags(&[Flag::ReadOnly])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(INSPECT, 2)])
            .summary("Tells how often a key is used, on a logarithmic scale.")
            .arguments("key"),
        help::subcommand(Group::Generic, "6.2.0"),
        CommandSpec::new("idletime", 3, Group::Generic, "2.2.3", idle_time)
            .flags(&[Flag::ReadOnly])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(INSPECT, 2)])
            .summary("Tells for how many seconds a key has not been used.")
            .arguments("key"),
        CommandSpec::new("refcount", 3, Group::Generic, "2.2.3", reference_count)
            .flags(&[Flag::ReadOnly])
            .tips(&["nondeterministic_output"])
            .keys(&[KeySpec::one(INSPECT, 2)])
            .summary("Tells how many references there are to a key's value.")
            .arguments("key"),
    ])];

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
    state.config.maxmemory == 0 || !(policy.is_lru() || policy.is_lfu() || policy.is_lrm())
}
