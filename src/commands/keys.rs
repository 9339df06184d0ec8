//! Keys whatever they hold: DEL, UNLINK, EXISTS, TOUCH, TYPE, RENAME, RENAMENX, COPY, MOVE and RANDOMKEY.

use smallvec::{SmallVec, smallvec};

use crate::command::databases::Databases;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{
    CREATE, Flag, Group, INSPECT, KeySpec, OVERWRITE, READ, READ_AND_DELETE, READ_AND_UPDATE, REMOVE,
};
use crate::engine::context::Context;
use crate::engine::lookahead::for_each_key;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::EventClass;
use crate::resp::Args;

use super::databases::{is_alone, parse_index, parse_number};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("del", -2, Group::Generic, "1.0.0", delete)
        .flags(&[Flag::Write])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .keys(&[KeySpec::range(REMOVE, 1, -1, 1)])
        .complexity("O(N) where N is the number of keys; a large value is freed later, in the background.")
        .summary("Removes keys.")
        .arguments("key..."),
    CommandSpec::new("unlink", -2, Group::Generic, "4.0.0", delete)
        .flags(&[Flag::Write, Flag::Fast])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .keys(&[KeySpec::range(REMOVE, 1, -1, 1)])
        .complexity("O(1) for each key; a large value is freed later, in the background.")
        .summary("Removes keys, freeing large values in the background.")
        .arguments("key..."),
    CommandSpec::new("exists", -2, Group::Generic, "1.0.0", exists)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .keys(&[KeySpec::range(INSPECT, 1, -1, 1)])
        .complexity("O(N) where N is the number of keys.")
        .summary("Counts which of the keys exist.")
        .history(&[("3.0.3", "Takes more than one `key`.")])
        .arguments("key..."),
    CommandSpec::new("touch", -2, Group::Generic, "3.2.1", touch)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .tips(&["request_policy:multi_shard", "response_policy:agg_sum"])
        .keys(&[KeySpec::range(INSPECT, 1, -1, 1)])
        .complexity("O(N) where N is the number of keys.")
        .summary("Counts which of the keys exist, and makes that their last access.")
        .arguments("key..."),
    CommandSpec::new("type", 2, Group::Generic, "1.0.0", type_of)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(INSPECT, 1)])
        .summary("Tells the type of a key's value.")
        .arguments("key"),
    CommandSpec::new("rename", 3, Group::Generic, "1.0.0", rename)
        .flags(&[Flag::Write])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1), KeySpec::one(OVERWRITE, 2)])
        .summary("Gives a key another name, in place of any key of that name.")
        .arguments("key newkey#1"),
    CommandSpec::new("renamenx", 3, Group::Generic, "1.0.0", rename_if_absent)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1), KeySpec::one(CREATE, 2)])
        .summary("Gives a key another name if there is no key of that name.")
        .history(&[("3.2.0", "The same name twice is no error any more.")])
        .arguments("key newkey#1"),
    CommandSpec::new("copy", -3, Group::Generic, "6.2.0", copy)
        .databases(Databases::NamedAndSelected(databases_of_copy))
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(READ, 1), KeySpec::one(OVERWRITE, 2)])
        .complexity("O(1): a large value is shared until one of the two is changed.")
        .summary("Copies a key, to another name or database.")
        .arguments("source#0 destination#1 [DB destination-db:integer] [REPLACE]"),
    CommandSpec::new("move", 3, Group::Generic, "1.0.0", move_to_database)
        .databases(Databases::NamedAndSelected(|_| Some(smallvec![2])))
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .summary("Moves a key to another database.")
        .arguments("key db:integer"),
    CommandSpec::new("randomkey", 1, Group::Generic, "1.0.0", random_key)
        .flags(&[Flag::ReadOnly, Flag::TouchesArbitraryKeys])
        .tips(&["request_policy:all_shards", "response_policy:special", "nondeterministic_output"])
        .summary("Gives the name of a random key."),
];

fn delete(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let mut removed = 0;
    for_each_key(keyspace, database, args, (1..args.len()).step_by(1), |keyspace, place| {
        removed += i64::from(keyspace.delete(database, args.at(place)));
    });
    reply.integer(removed);
    Ok(())
}

fn exists(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    count_present(context, args, true);
    Ok(())
}

fn touch(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    // Even for a client that asked not to touch (CLIENT NO-TOUCH): this command is there for it.
    count_present(context, args, false);
    Ok(())
}

fn count_present(context: &mut Context<'_>, args: Args<'_>, no_touch: bool) {
    let (keyspace, database, reply) = context.parts();
    keyspace.no_touch = no_touch;
    let mut found = 0;
    for_each_key(keyspace, database, args, (1..args.len()).step_by(1), |keyspace, place| {
        found += i64::from(keyspace.read_with(database, args.at(place), |found| found.is_some()));
    });
    reply.integer(found);
}

fn type_of(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    keyspace.no_touch = true;
    let record = keyspace.read(database, args.at(1));
    reply.simple(record.map_or("none", |record| record.value().type_name()));
    Ok(())
}

fn rename(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (source, target) = (args.at(1), args.at(2));
    let (keyspace, database, _) = context.parts();
    if keyspace.lookup(database, source).is_none() {
        return Err(CommandError::NO_SUCH_KEY);
    }
    if source != target {
        keyspace.lookup(database, target);
        rename_and_tell(context, source, target);
    }
    context.reply.ok();
    Ok(())
}

fn rename_if_absent(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (source, target) = (args.at(1), args.at(2));
    let (keyspace, database, reply) = context.parts();
    if keyspace.lookup(database, source).is_none() {
        return Err(CommandError::NO_SUCH_KEY);
    }
    if source == target || keyspace.lookup(database, target).is_some() {
        reply.integer(0);
        return Ok(());
    }
    rename_and_tell(context, source, target);
    context.reply.integer(1);
    Ok(())
}

fn rename_and_tell(context: &mut Context<'_>, source: &[u8], target: &[u8]) {
    let (keyspace, database, _) = context.parts();
    keyspace.rename(database, source, target);
    keyspace.changes.notify(EventClass::Generic, "rename_from", database, source);
    keyspace.changes.notify(EventClass::Generic, "rename_to", database, target);
}

fn copy(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (source, target) = (args.at(1), args.at(2));
    let mut target_database = context.session.database;
    let mut replace = false;
    let mut options = args.slice_from(3).iter();
    while let Some(option) = options.next() {
        if option.eq_ignore_ascii_case(b"replace") {
            replace = true;
        } else if option.eq_ignore_ascii_case(b"db")
            && let Some(index) = options.next()
        {
            target_database = copy_target(context, index)?;
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    let (keyspace, database, reply) = context.parts();
    if database == target_database && source == target {
        return Err(CommandError::SAME_OBJECT);
    }
    let absent = keyspace.read(database, source).is_none();
    if absent || (keyspace.lookup(target_database, target).is_some() && !replace) {
        reply.integer(0);
        return Ok(());
    }
    keyspace.copy(database, source, target_database, target);
    keyspace.changes.notify(EventClass::Generic, "copy_to", target_database, target);
    reply.integer(1);
    Ok(())
}

/// The arguments of COPY that name databases.
fn databases_of_copy(args: Args<'_>) -> Option<SmallVec<[usize; 2]>> {
    let (mut found, mut index) = (SmallVec::new(), 3);
    while let Some(option) = args.get(index) {
        index += 1;
        if option.eq_ignore_ascii_case(b"db") && index < args.len() {
            found.push(index);
            index += 1;
        } else if !option.eq_ignore_ascii_case(b"replace") {
            return None;
        }
    }
    Some(found)
}

/// The database that COPY is to copy to.
fn copy_target(context: &Context<'_>, text: &[u8]) -> Result<usize, CommandError> {
    let index = parse_number(text)?;
    if index != 0 && is_alone(context) && (0..context.state.config.databases as i32).contains(&index) {
        return Err(CommandError::fixed("ERR Copying to another database is not allowed in cluster mode"));
    }
    parse_index(context, text)
}

fn move_to_database(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if is_alone(context) {
        return Err(CommandError::fixed("ERR MOVE is not allowed in cluster mode"));
    }
    let key = args.at(1);
    let target = parse_index(context, args.at(2))?;
    let (keyspace, database, reply) = context.parts();
    if target == database {
        return Err(CommandError::SAME_OBJECT);
    }
    if keyspace.lookup(database, key).is_none() || keyspace.lookup(target, key).is_some() {
        reply.integer(0);
        return Ok(());
    }
    keyspace.relocate(database, target, key);
    keyspace.changes.notify(EventClass::Generic, "move_from", database, key);
    keyspace.changes.notify(EventClass::Generic, "move_to", target, key);
    reply.integer(1);
    Ok(())
}

fn random_key(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let database = context.session.database;
    let key = context.state.keyspace.random_key(database, &mut context.state.random);
    match key {
        Some(key) => context.reply.bulk(&key),
        None => context.reply.null(),
    }
    Ok(())
}
