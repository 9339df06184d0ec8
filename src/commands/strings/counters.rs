//! Strings as numbers: INCR and its kin.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group, KeySpec, READ_AND_UPDATE};
use crate::engine::context::Context;
use crate::keyspace::{EventClass, Expiry, NewValue};
use crate::resp::Args;
use crate::text::long_double::LongDouble;

use super::{integer_argument, propagate_with_expiry, text_of};

/// Commands that count.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("incr", 2, Group::String, "1.0.0", incr)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .summary("Adds one to the number at a key, which starts at 0.")
        .arguments("key"),
    CommandSpec::new("decr", 2, Group::String, "1.0.0", decr)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .summary("Takes one from the number at a key, which starts at 0.")
        .arguments("key"),
    CommandSpec::new("incrby", 3, Group::String, "1.0.0", incrby)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .summary("Adds an integer to the number at a key, which starts at 0.")
        .arguments("key increment:integer"),
    CommandSpec::new("decrby", 3, Group::String, "1.0.0", decrby)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .summary("Takes an integer from the number at a key, which starts at 0.")
        .arguments("key decrement:integer"),
    CommandSpec::new("incrbyfloat", 3, Group::String, "2.6.0", incrbyfloat)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .summary("Adds a floating-point number to the number at a key, which starts at 0.")
        .arguments("key increment:double"),
];

fn incr(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    add(context, args.at(1), 1)
}

fn decr(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    add(context, args.at(1), -1)
}

fn incrby(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    add(context, args.at(1), integer_argument(args, 2)?)
}

fn decrby(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let increment =
        integer_argument(args, 2)?.checked_neg().ok_or(CommandError::fixed("ERR decrement would overflow"))?;
    add(context, args.at(1), increment)
}

/// Adds to the number at a key and replies with the sum.
fn add(context: &mut Context<'_>, key: &[u8], increment: i64) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let before = match keyspace.lookup(database, key) {
        None => 0,
        Some(record) => text_of(record)?.integer().ok_or(CommandError::NOT_AN_INTEGER)?,
    };
    let after =
        before.checked_add(increment).ok_or(CommandError::fixed("ERR increment or decrement would overflow"))?;
    keyspace.set(database, key, NewValue::Integer(after), Expiry::Keep);
    keyspace.changes.notify(EventClass::String, "incrby", database, key);
    reply.integer(after);
    Ok(())
}

fn incrbyfloat(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let before = match keyspace.lookup(database, key) {
        None => LongDouble::ZERO,
        Some(record) => text_of(record)?.with_bytes(LongDouble::parse).ok_or(CommandError::NOT_A_FLOAT)?,
    };
    let increment = LongDouble::parse(args.at(2)).ok_or(CommandError::NOT_A_FLOAT)?;
    let after = before + increment;
    if !after.is_finite() {
        return Err(CommandError::fixed("ERR increment would produce NaN or Infinity"));
    }
    let mut text = Vec::new();
    after.format(&mut text);
    let value = NewValue::plain_text(&text, || text.clone().into());
    keyspace.set(database, key, value, Expiry::Keep);
    propagate_with_expiry(keyspace, key, &text, Expiry::Keep);
    keyspace.changes.notify(EventClass::String, "incrbyfloat", database, key);
    reply.bulk(&text);
    Ok(())
}
