//! Strings.

use crate::command::spec::{
    Argument, ArgumentKind, Category, CommandSpec, Flag, Group, KeyFlag, KeySpec,
};
use crate::command::{Args, CommandResult, Context};
use crate::commands::key_finders;
use crate::keyspace::{Expiry, NewValue, Value};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "get",
        arity: 2,
        flags: &[Flag::ReadOnly, Flag::Fast],
        categories: &[Category::String],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::String,
        summary: "Gives the string at a key.",
        arguments: &[Argument::key("key", 0)],
        handler: get,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "set",
        arity: -3,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::String],
        keys: &[KeySpec::one(
            &[
                KeyFlag::Rw,
                KeyFlag::Access,
                KeyFlag::Update,
                KeyFlag::VariableFlags,
            ],
            1,
        )],
        find_keys: Some(key_finders::set),
        group: Group::String,
        summary: "Sets a key to a string, with conditions and an expiry time if asked for.",
        arguments: &[
            Argument::key("key", 0),
            Argument::new("value", ArgumentKind::String),
        ],
        handler: set,
        ..CommandSpec::DEFAULT
    },
];

fn get(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    match keyspace
        .read(database, args.at(1))
        .map(|record| record.value())
    {
        None => reply.null(),
        Some(Value::Integer(number)) => reply.bulk_integer(number),
        Some(Value::Embedded(text) | Value::Raw(text)) => reply.bulk(text),
        Some(Value::Large(bytes)) => reply.bulk_shared(bytes),
    }
    Ok(())
}

fn set(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    keyspace.set(
        database,
        args.at(1),
        NewValue::Raw(args.at(2)),
        Expiry::Clear,
    );
    reply.ok();
    Ok(())
}
