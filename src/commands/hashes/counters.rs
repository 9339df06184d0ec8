//! Fields of hashes as numbers: HINCRBY and HINCRBYFLOAT.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group, KeySpec, READ_AND_UPDATE};
use crate::engine::context::Context;
use crate::keyspace::EventClass;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::text::long_double::LongDouble;
use crate::types::hash::{Found, HashEditor, HashRef, NewText};
use crate::types::slot::Slot;

use super::{change, create, limits};

/// Commands that count.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("hincrby", 4, Group::Hash, "2.0.0", hincrby)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .member(2)
        .summary("Adds an integer to the number in a field of a hash, which starts at 0.")
        .arguments("key field increment:integer"),
    CommandSpec::new("hincrbyfloat", 4, Group::Hash, "2.6.0", hincrbyfloat)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .member(2)
        .summary("Adds a floating-point number to the number in a field of a hash, which starts at 0.")
        .arguments("key field increment:double"),
];

fn hincrby(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let increment = parse_i64(args.at(3)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let mut after = 0;
    count(context, args, "hincrby", |before, text| {
        let before = match before {
            Some(found) => found.value.integer().ok_or(CommandError::fixed("ERR hash value is not an integer"))?,
            None => 0,
        };
        after =
            before.checked_add(increment).ok_or(CommandError::fixed("ERR increment or decrement would overflow"))?;
        text.extend_from_slice(itoa::Buffer::new().format(after).as_bytes());
        Ok(())
    })?;
    context.reply.integer(after);
    Ok(())
}

fn hincrbyfloat(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let increment = LongDouble::parse(args.at(3)).ok_or(CommandError::NOT_A_FLOAT)?;
    if !increment.is_finite() {
        return Err(CommandError::fixed("ERR value is NaN or Infinity"));
    }
    let mut digits = Vec::new();
    count(context, args, "hincrbyfloat", |before, text| {
        let before = match before {
            Some(found) => {
                found.value.with_bytes(LongDouble::parse).ok_or(CommandError::fixed("ERR hash value is not a float"))?
            }
            None => LongDouble::ZERO,
        };
        let after = before + increment;
        if !after.is_finite() {
            return Err(CommandError::fixed("ERR increment would produce NaN or Infinity"));
        }
        after.format(&mut digits);
        text.extend_from_slice(&digits);
        Ok(())
    })?;
    propagate_sum(context, args, &digits);
    context.reply.bulk(&digits);
    Ok(())
}

/// The same sum anywhere: floats are not added alike everywhere. A field that expires goes on to do so.
fn propagate_sum(context: &mut Context<'_>, args: Args<'_>, digits: &[u8]) {
    let (keyspace, database, _) = context.parts();
    if !keyspace.changes.propagation.is_on() {
        return;
    }
    let (key, name) = (args.at(1), args.at(2));
    let record = keyspace.peek(database, key);
    let expires = record.and_then(|record| HashRef::of(record.value().stored())?.get(name)?.expiry_ms).is_some();
    let command: &[&[u8]] = if expires {
        &[b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", name, digits]
    } else {
        &[b"HSET", key, name, digits]
    };
    keyspace.changes.propagation.replace(command);
}

/// Sets a field to what `make` writes when it is shown the field as it is. The field keeps its expiry time.
fn count(
    context: &mut Context<'_>,
    args: Args<'_>,
    event: &'static str,
    mut make: impl FnMut(Option<Found<'_>>, &mut NewText) -> CommandResult,
) -> CommandResult {
    let limits = limits(&context.state.config);
    let (keyspace, database, _) = context.parts();
    let (key, name) = (args.at(1), args.at(2));
    let names = std::iter::once(name);
    let changed = change(keyspace, database, key, limits, names, |hash| update(hash, name, &mut make))?;
    match changed {
        Some(changed) => changed.result?,
        None => create(keyspace, database, key, limits, |hash| update(hash, name, &mut make))?,
    }
    keyspace.modified(database, key);
    keyspace.changes.notify(EventClass::Hash, event, database, key);
    Ok(())
}

fn update<S: Slot>(
    hash: &mut HashEditor<'_, S>,
    name: &[u8],
    make: &mut impl FnMut(Option<Found<'_>>, &mut NewText) -> CommandResult,
) -> CommandResult {
    hash.update(name, |before| {
        let mut text = NewText::new();
        make(before, &mut text)?;
        Ok(text)
    })
}
