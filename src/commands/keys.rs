//! Keys whatever they hold: DEL, UNLINK, EXISTS, TOUCH, TYPE, RENAME, RENAMENX, COPY, MOVE and RANDOMKEY.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Argument, ArgumentKind, Category, CommandSpec, Flag, KeyFlag, KeySpec};
use crate::engine::context::Context;
use crate::engine::lookahead::for_each_key;
use crate::keyspace::EventClass;
use crate::resp::Args;

use super::databases::parse_index;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "del",
        arity: -2,
        flags: &[Flag::Write],
        categories: &[Category::Keyspace],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        keys: &[KeySpec::range(&[KeyFlag::Rm, KeyFlag::Delete], 1, -1, 1)],
        complexity: "O(N) where N is the number of keys; a large value is freed later, in the background.",
        summary: "Removes keys.",
        arguments: &[Argument::key("key", 0).multiple()],
        handler: delete,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "unlink",
        arity: -2,
        flags: &[Flag::Write, Flag::Fast],
        categories: &[Category::Keyspace],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        keys: &[KeySpec::range(&[KeyFlag::Rm, KeyFlag::Delete], 1, -1, 1)],
        since: "4.0.0",
        complexity: "O(1) for each key; a large value is freed later, in the background.",
        summary: "Removes keys, freeing large values in the background.",
        arguments: &[Argument::key("key", 0).multiple()],
        handler: delete,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "exists",
        arity: -2,
        flags: &[Flag::ReadOnly, Flag::Fast],
        categories: &[Category::Keyspace],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        keys: &[KeySpec::range(&[KeyFlag::Ro], 1, -1, 1)],
        complexity: "O(N) where N is the number of keys.",
        summary: "Counts which of the keys exist.",
        history: &[("3.0.3", "Takes more than one `key`.")],
        arguments: &[Argument::key("key", 0).multiple()],
        handler: exists,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "touch",
        arity: -2,
        flags: &[Flag::ReadOnly, Flag::Fast],
        categories: &[Category::Keyspace],
        tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
        keys: &[KeySpec::range(&[KeyFlag::Ro], 1, -1, 1)],
        since: "3.2.1",
        complexity: "O(N) where N is the number of keys.",
        summary: "Counts which of the keys exist, and makes that their last access.",
        arguments: &[Argument::key("key", 0).multiple()],
        handler: touch,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "type",
        arity: 2,
        flags: &[Flag::ReadOnly, Flag::Fast],
        categories: &[Category::Keyspace],
        keys: &[KeySpec::one(&[KeyFlag::Ro], 1)],
        summary: "Tells the type of a key's value.",
        arguments: &[Argument::key("key", 0)],
        handler: type_of,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "rename",
        arity: 3,
        flags: &[Flag::Write],
        categories: &[Category::Keyspace],
        keys: &[
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete], 1),
            KeySpec::one(&[KeyFlag::Ow, KeyFlag::Update], 2),
        ],
        summary: "Gives a key another name, in place of any key of that name.",
        arguments: &[Argument::key("key", 0), Argument::key("newkey", 1)],
        handler: rename,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "renamenx",
        arity: 3,
        flags: &[Flag::Write, Flag::Fast],
        categories: &[Category::Keyspace],
        keys: &[
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete], 1),
            KeySpec::one(&[KeyFlag::Ow, KeyFlag::Insert], 2),
        ],
        summary: "Gives a key another name if there is no key of that name.",
        history: &[("3.2.0", "The same name twice is no error any more.")],
        arguments: &[Argument::key("key", 0), Argument::key("newkey", 1)],
        handler: rename_if_absent,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "copy",
        arity: -3,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::Keyspace],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1), KeySpec::one(&[KeyFlag::Ow, KeyFlag::Update], 2)],
        since: "6.2.0",
        complexity: "O(1): a large value is shared until one of the two is changed.",
        summary: "Copies a key, to another name or database.",
        arguments: &[
            Argument::key("source", 0),
            Argument::key("destination", 1),
            Argument::new("destination-db", ArgumentKind::Integer).after("DB").optional(),
            Argument::token("replace", "REPLACE").optional(),
        ],
        handler: copy,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "move",
        arity: 3,
        flags: &[Flag::Write, Flag::Fast],
        categories: &[Category::Keyspace],
        keys: &[KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update], 1)],
        summary: "Moves a key to another database.",
        arguments: &[Argument::key("key", 0), Argument::new("db", ArgumentKind::Integer)],
        handler: move_to_database,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "randomkey",
        arity: 1,
        flags: &[Flag::ReadOnly, Flag::TouchesArbitraryKeys],
        categories: &[Category::Keyspace],
        tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
        summary: "Gives the name of a random key.",
        handler: random_key,
        ..CommandSpec::DEFAULT
    },
];

fn delete(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let mut removed = 0;
    for_each_key(keyspace, database, args, (1..args.len()).step_by(1), |keyspace, place| {
        let key = args.at(place);
        if keyspace.remove(database, key) {
            keyspace.changes.notify(EventClass::Generic, "del", database, key);
            removed += 1;
        }
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
            target_database = parse_index(context, index)?;
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

fn move_to_database(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
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
