//! Members of sets by name: SADD, SISMEMBER, SMEMBERS and their kin.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Argument, ArgumentKind, Category, CommandSpec, Flag, Group, KeyFlag, KeySpec};
use crate::engine::context::Context;
use crate::keyspace::{EventClass, Record};
use crate::resp::Args;
use crate::types::set::SetRef;

use super::{change, create, limits, read, remove_empty, reply_member};

/// Commands that name members, or give them all.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "sadd",
        arity: -3,
        flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
        categories: &[Category::Set],
        keys: &[KeySpec::one(&[KeyFlag::Rw, KeyFlag::Insert], 1)],
        member: 2,
        group: Group::Set,
        complexity: "O(N) with N the number of members that are named.",
        summary: "Adds members to a set, which is made if there is none.",
        history: &[("2.4.0", "Takes several members.")],
        arguments: &[Argument::key("key", 0), Argument::new("member", ArgumentKind::String).multiple()],
        handler: sadd,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "srem",
        arity: -3,
        flags: &[Flag::Write, Flag::Fast],
        categories: &[Category::Set],
        keys: &[KeySpec::one(&[KeyFlag::Rw, KeyFlag::Delete], 1)],
        member: 2,
        group: Group::Set,
        complexity: "O(N) with N the number of members that are named.",
        summary: "Removes members from a set, and the set itself with its last one.",
        history: &[("2.4.0", "Takes several members.")],
        arguments: &[Argument::key("key", 0), Argument::new("member", ArgumentKind::String).multiple()],
        handler: srem,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "smove",
        arity: 4,
        flags: &[Flag::Write, Flag::Fast],
        categories: &[Category::Set],
        keys: &[
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete], 1),
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Insert], 2),
        ],
        member: 3,
        group: Group::Set,
        summary: "Takes a member out of one set and puts it into another.",
        arguments: &[
            Argument::key("source", 0),
            Argument::key("destination", 1),
            Argument::new("member", ArgumentKind::String),
        ],
        handler: smove,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "sismember",
        arity: 3,
        flags: &[Flag::ReadOnly, Flag::Fast],
        categories: &[Category::Set],
        keys: &[KeySpec::one(&[KeyFlag::Ro], 1)],
        member: 2,
        group: Group::Set,
        summary: "Tells whether a set has a member.",
        arguments: &[Argument::key("key", 0), Argument::new("member", ArgumentKind::String)],
        handler: sismember,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "smismember",
        arity: -3,
        flags: &[Flag::ReadOnly, Flag::Fast],
        categories: &[Category::Set],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        member: 2,
        group: Group::Set,
        since: "6.2.0",
        complexity: "O(N) with N the number of members that are asked for.",
        summary: "Tells of several members whether a set has them.",
        arguments: &[Argument::key("key", 0), Argument::new("member", ArgumentKind::String).multiple()],
        handler: smismember,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "scard",
        arity: 2,
        flags: &[Flag::ReadOnly, Flag::Fast],
        categories: &[Category::Set],
        keys: &[KeySpec::one(&[KeyFlag::Ro], 1)],
        group: Group::Set,
        summary: "Tells how many members a set has.",
        arguments: &[Argument::key("key", 0)],
        handler: scard,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "smembers",
        arity: 2,
        flags: &[Flag::ReadOnly],
        categories: &[Category::Set],
        tips: &["nondeterministic_output_order"],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::Set,
        complexity: "O(N) with N the number of members.",
        summary: "Gives all members of a set.",
        arguments: &[Argument::key("key", 0)],
        handler: smembers,
        ..CommandSpec::DEFAULT
    },
];

fn sadd(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let (key, members) = (args.at(1), args.slice_from(2));
    let member = |index| members.at(index);
    let changed = change(keyspace, database, key, limits, |set| set.add_many(members.len(), member))?;
    let added = match changed {
        Some(changed) => changed.result,
        None => create(keyspace, database, key, limits, members.len(), member),
    };
    if added > 0 {
        keyspace.modified_times(database, key, added as u64);
        keyspace.changes.notify(EventClass::Set, "sadd", database, key);
    }
    reply.integer(added as i64);
    Ok(())
}

fn srem(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let (key, members) = (args.at(1), args.slice_from(2));
    let changed =
        change(keyspace, database, key, limits, |set| set.remove_many(members.len(), |index| members.at(index)))?;
    let Some(changed) = changed else {
        reply.integer(0);
        return Ok(());
    };
    let removed = changed.result;
    if removed > 0 {
        keyspace.modified_times(database, key, removed as u64);
        keyspace.changes.notify(EventClass::Set, "srem", database, key);
        if changed.is_empty {
            remove_empty(keyspace, database, key);
        }
    }
    reply.integer(removed as i64);
    Ok(())
}

fn smove(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let (source, destination, member) = (args.at(1), args.at(2), args.at(3));
    let is_set = |record: &Record| SetRef::of(record.value().stored()).is_some();
    let source_is_set = keyspace.lookup(database, source).map(is_set);
    let destination_is_set = keyspace.lookup(database, destination).map(is_set);
    if source_is_set.is_none() {
        reply.integer(0);
        return Ok(());
    }
    if source_is_set == Some(false) || destination_is_set == Some(false) {
        return Err(CommandError::WRONG_TYPE);
    }
    if source == destination {
        let record = keyspace.lookup(database, source);
        let set = record.and_then(|record| SetRef::of(record.value().stored()));
        reply.integer(i64::from(set.is_some_and(|set| set.contains(member))));
        return Ok(());
    }
    let removed = change(keyspace, database, source, limits, |set| set.remove(member))?;
    let Some(removed) = removed.filter(|changed| changed.result) else {
        reply.integer(0);
        return Ok(());
    };
    keyspace.changes.notify(EventClass::Set, "srem", database, source);
    if removed.is_empty {
        remove_empty(keyspace, database, source);
    }
    keyspace.modified(database, source);
    let added = match change(keyspace, database, destination, limits, |set| set.add(member))? {
        Some(changed) => changed.result,
        None => create(keyspace, database, destination, limits, 1, |_| member) > 0,
    };
    if added {
        keyspace.modified(database, destination);
        keyspace.changes.notify(EventClass::Set, "sadd", database, destination);
    }
    reply.integer(1);
    Ok(())
}

fn sismember(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let found = read(keyspace, database, args.at(1), |set| set.contains(args.at(2)))?;
    reply.integer(i64::from(found == Some(true)));
    Ok(())
}

fn smismember(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let members = args.slice_from(2);
    let found = read(keyspace, database, args.at(1), |set| {
        reply.array(members.len());
        set.contains_many(members.len(), |index| members.at(index), |is_member| reply.integer(i64::from(is_member)));
    })?;
    if found.is_none() {
        reply.array(members.len());
        members.iter().for_each(|_| reply.integer(0));
    }
    Ok(())
}

fn scard(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let count = read(keyspace, database, args.at(1), |set| set.len())?;
    reply.integer(count.unwrap_or_default() as i64);
    Ok(())
}

fn smembers(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let found = read(keyspace, database, args.at(1), |set| {
        reply.set(set.len());
        set.for_each(|member| reply_member(reply, member));
    })?;
    if found.is_none() {
        reply.set(0);
    }
    Ok(())
}
