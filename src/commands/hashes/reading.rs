//! Fields of hashes, read: HGET and its kin.
//!
//! A field whose time is over is as good as gone. Who asks for one by name removes it as well; who asks for all leaves
//! them to the active cycle, and HLEN counts them: as in Redis.

use crate::command::error::CommandResult;
use crate::command::spec::{Flag, Group, INSPECT, KeySpec, READ};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::types::hash::Found;

use super::{read, remove_due, reply_text};

/// Commands that read.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("hget", 3, Group::Hash, "2.0.0", hget)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .member(2)
        .summary("Gives the value of a field of a hash.")
        .arguments("key field"),
    CommandSpec::new("hmget", -3, Group::Hash, "2.0.0", hmget)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .member(2)
        .complexity("O(N) with N the number of fields that are asked for.")
        .summary("Gives the values of several fields of a hash.")
        .arguments("key field..."),
    CommandSpec::new("hgetall", 2, Group::Hash, "2.0.0", hgetall)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) with N the number of fields.")
        .summary("Gives all fields of a hash with their values.")
        .arguments("key"),
    CommandSpec::new("hkeys", 2, Group::Hash, "2.0.0", hkeys)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) with N the number of fields.")
        .summary("Gives the names of all fields of a hash.")
        .arguments("key"),
    CommandSpec::new("hvals", 2, Group::Hash, "2.0.0", hvals)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) with N the number of fields.")
        .summary("Gives the values of all fields of a hash.")
        .arguments("key"),
    CommandSpec::new("hlen", 2, Group::Hash, "2.0.0", hlen)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(INSPECT, 1)])
        .summary("Tells how many fields a hash has.")
        .arguments("key"),
    CommandSpec::new("hexists", 3, Group::Hash, "2.0.0", hexists)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(INSPECT, 1)])
        .member(2)
        .summary("Tells whether a hash has a field.")
        .arguments("key field"),
    CommandSpec::new("hstrlen", 3, Group::Hash, "3.2.0", hstrlen)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(INSPECT, 1)])
        .member(2)
        .summary("Tells how long the value of a field of a hash is.")
        .arguments("key field"),
];

/// Shows `use_it` a field, if there is one, and removes it if its time is over.
#[inline]
fn read_field(
    context: &mut Context<'_>,
    args: Args<'_>,
    use_it: impl FnOnce(&mut crate::resp::Reply, Option<Found<'_>>),
) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let (key, name) = (args.at(1), args.at(2));
    let horizon_ms = keyspace.read_horizon_ms();
    let mut use_it = Some(use_it);
    let mut show = |reply: &mut crate::resp::Reply, found: Option<Found<'_>>| {
        if let Some(use_it) = use_it.take() {
            use_it(reply, found);
        }
    };
    let due = read(keyspace, database, key, |hash| {
        let found = hash.get(name);
        let alive = found.filter(|found| !found.is_due(horizon_ms));
        show(reply, alive);
        found.is_some() && alive.is_none()
    })?;
    match due {
        None => show(reply, None),
        Some(false) => {}
        Some(true) => {
            let name = std::iter::once(name);
            remove_due(&mut context.state.keyspace, database, key, name);
        }
    }
    Ok(())
}

fn hget(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    read_field(context, args, |reply, found| match found {
        Some(found) => reply_text(reply, found.value),
        None => reply.null(),
    })
}

fn hmget(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let (key, names) = (args.at(1), args.slice_from(2));
    let horizon_ms = keyspace.read_horizon_ms();
    let due = read(keyspace, database, key, |hash| {
        let mut due = 0;
        reply.array(names.len());
        hash.get_many(
            names.len(),
            |index| names.at(index),
            |_, found| match found {
                Some(found) if !found.is_due(horizon_ms) => reply_text(reply, found.value),
                found => {
                    due += usize::from(found.is_some());
                    reply.null();
                }
            },
        );
        due
    })?;
    match due {
        None => {
            reply.array(names.len());
            names.iter().for_each(|_| reply.null());
        }
        Some(0) => {}
        Some(_) => {
            remove_due(keyspace, database, key, names.iter());
        }
    }
    Ok(())
}

/// What of each field is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Names,
    Values,
    Both,
}

fn hgetall(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_all(context, args.at(1), Part::Both)
}

fn hkeys(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_all(context, args.at(1), Part::Names)
}

fn hvals(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_all(context, args.at(1), Part::Values)
}

fn reply_all(context: &mut Context<'_>, key: &[u8], part: Part) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let horizon_ms = keyspace.read_horizon_ms();
    let found = read(keyspace, database, key, |hash| {
        let count = hash.live_len(horizon_ms);
        match part {
            Part::Both => reply.map(count),
            Part::Names | Part::Values => reply.array(count),
        }
        hash.for_each(|field| {
            if field.found.is_due(horizon_ms) {
                return;
            }
            if part != Part::Values {
                reply_text(reply, field.name);
            }
            if part != Part::Names {
                reply_text(reply, field.found.value);
            }
        });
    })?;
    match (found, part) {
        (Some(()), _) => {}
        (None, Part::Both) => reply.map(0),
        (None, Part::Names | Part::Values) => reply.array(0),
    }
    Ok(())
}

fn hlen(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let count = read(keyspace, database, args.at(1), |hash| hash.len())?;
    reply.integer(count.unwrap_or_default() as i64);
    Ok(())
}

fn hexists(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    read_field(context, args, |reply, found| {
        reply.integer(i64::from(found.is_some()));
    })
}

fn hstrlen(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    read_field(context, args, |reply, found| {
        reply.integer(found.map_or(0, |found| found.value.len()) as i64);
    })
}
