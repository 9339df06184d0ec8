//! Members of sets by name: SADD, SISMEMBER, SMEMBERS and their kin.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, DELETE, Flag, Group, INSERT, INSPECT, KeySpec, READ, READ_AND_DELETE};
use crate::engine::context::Context;
use crate::keyspace::{EventClass, Record};
use crate::resp::Args;
use crate::types::set::SetRef;

use super::{change, create, limits, read, reply_member};

/// Commands that name members, or give them all.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("sadd", -3, Group::Set, "1.0.0", sadd)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(INSERT, 1)])
        .member(2)
        .complexity("O(N) with N the number of members that are named.")
        .summary("Adds members to a set, which is made if there is none.")
        .history(&[("2.4.0", "Takes several members.")])
        .arguments("key member..."),
    CommandSpec::new("srem", -3, Group::Set, "1.0.0", srem)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(DELETE, 1)])
        .member(2)
        .complexity("O(N) with N the number of members that are named.")
        .summary("Removes members from a set, and the set itself with its last one.")
        .history(&[("2.4.0", "Takes several members.")])
        .arguments("key member..."),
    CommandSpec::new("smove", 4, Group::Set, "1.0.0", smove)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1), KeySpec::one(INSERT, 2)])
        .member(3)
        .summary("Takes a member out of one set and puts it into another.")
        .arguments("source#0 destination#1 member"),
    CommandSpec::new("sismember", 3, Group::Set, "1.0.0", sismember)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(INSPECT, 1)])
        .member(2)
        .summary("Tells whether a set has a member.")
        .arguments("key member"),
    CommandSpec::new("smismember", -3, Group::Set, "6.2.0", smismember)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .member(2)
        .complexity("O(N) with N the number of members that are asked for.")
        .summary("Tells of several members whether a set has them.")
        .arguments("key member..."),
    CommandSpec::new("scard", 2, Group::Set, "1.0.0", scard)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(INSPECT, 1)])
        .summary("Tells how many members a set has.")
        .arguments("key"),
    CommandSpec::new("smembers", 2, Group::Set, "1.0.0", smembers)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::one(READ, 1)])
        .complexity("O(N) with N the number of members.")
        .summary("Gives all members of a set.")
        .arguments("key"),
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
            keyspace.remove_empty(database, key);
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
        keyspace.remove_empty(database, source);
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
