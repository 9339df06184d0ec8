//! Fields of hashes, set and removed: HSET and its kin, HDEL.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, DELETE, Flag, Group, INSERT, KeySpec, UPDATE};
use crate::engine::context::Context;
use crate::keyspace::EventClass;
use crate::resp::Args;
use crate::types::hash::{Expiry, HashEditor};
use crate::types::slot::Slot;

use super::{change, create, limits, note_removed};

/// Commands that set and remove fields.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("hset", -4, Group::Hash, "2.0.0", hset)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .member(2)
        .complexity("O(N) with N the number of fields that are set.")
        .summary("Sets fields of a hash to values.")
        .history(&[("4.0.0", "Takes several fields.")])
        .arguments("key data={field value}..."),
    CommandSpec::new("hsetnx", 4, Group::Hash, "2.0.0", hsetnx)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(INSERT, 1)])
        .member(2)
        .summary("Sets a field of a hash to a value, unless the field exists.")
        .arguments("key field value"),
    CommandSpec::new("hmset", -4, Group::Hash, "2.0.0", hmset)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .member(2)
        .complexity("O(N) with N the number of fields that are set.")
        .summary("Sets several fields of a hash to values.")
        .deprecated("4.0.0", "`HSET` with multiple field-value pairs")
        .arguments("key data={field value}..."),
    CommandSpec::new("hdel", -3, Group::Hash, "2.0.0", hdel)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(DELETE, 1)])
        .member(2)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Removes fields from a hash, and the hash itself with its last one.")
        .history(&[("2.4.0", "Takes several fields.")])
        .arguments("key field..."),
];

fn hset(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let created = set_pairs(context, args)?;
    context.reply.integer(created as i64);
    Ok(())
}

fn hmset(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    set_pairs(context, args)?;
    context.reply.ok();
    Ok(())
}

/// Sets the fields that are named from the second argument on; tells how many are new.
fn set_pairs(context: &mut Context<'_>, args: Args<'_>) -> Result<usize, CommandError> {
    if args.len() % 2 == 1 {
        return Err(CommandError::wrong_arity(context.command_name()));
    }
    let limits = limits(&context.state.config);
    let (keyspace, database, _) = context.parts();
    let (key, pairs) = (args.at(1), args.slice_from(2));
    let names = (0..pairs.len()).step_by(2).map(|index| pairs.at(index));
    let changed = change(keyspace, database, key, limits, names, |hash| put(hash, pairs))?;
    let created = match changed {
        Some(changed) => changed.result,
        None => create(keyspace, database, key, limits, |hash| Ok::<_, CommandError>(put(hash, pairs)))?,
    };
    keyspace.modified_times(database, key, (pairs.len() / 2) as u64);
    keyspace.changes.notify(EventClass::Hash, "hset", database, key);
    Ok(created)
}

fn put<S: Slot>(hash: &mut HashEditor<'_, S>, pairs: Args<'_>) -> usize {
    let fields = pairs.len() / 2;
    hash.set_many(fields, |index| (pairs.at(2 * index), pairs.at(2 * index + 1)), Expiry::Clear)
}

fn hsetnx(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let (key, name, value) = (args.at(1), args.at(2), args.at(3));
    let names = std::iter::once(name);
    let changed = change(keyspace, database, key, limits, names, |hash| {
        let is_new = hash.read().get(name).is_none();
        if is_new {
            hash.set(name, value, Expiry::Clear);
        }
        is_new
    })?;
    let added = match changed {
        Some(changed) => changed.result,
        None => create(keyspace, database, key, limits, |hash| {
            hash.set(name, value, Expiry::Clear);
            Ok::<_, CommandError>(true)
        })?,
    };
    if added {
        keyspace.modified(database, key);
        keyspace.changes.notify(EventClass::Hash, "hset", database, key);
    }
    reply.integer(i64::from(added));
    Ok(())
}

fn hdel(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let (key, names) = (args.at(1), args.slice_from(2));
    let changed = change(keyspace, database, key, limits, names.iter(), |hash| {
        hash.remove_many(names.len(), |index| names.at(index))
    })?;
    let removed = changed.as_ref().map_or(0, |changed| changed.result);
    note_removed(keyspace, database, key, removed);
    if changed.is_some_and(|changed| changed.is_empty) {
        keyspace.remove_empty(database, key);
    }
    reply.integer(removed as i64);
    Ok(())
}
