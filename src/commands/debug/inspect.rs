//! The subcommands of DEBUG that look at keys and tables, or make keys.

use bytes::Bytes;

use crate::collections::table::{Entry, Table};
use crate::command::error::{CommandError, CommandResult};
use crate::commands::object::{shares_integers, shown_references};
use crate::engine::context::Context;
use crate::keyspace::{Expiry, NewValue, Record};
use crate::resp::Args;
use crate::resp::number;
use crate::text::glob::{Case, glob_match};

use super::lists;

/// Digits, with the sign, of the longest number that an RDB file holds in binary form.
const NUMBER_TEXT_MAX: usize = 11;
/// Rounds of the random test of patterns.
const MATCH_ROUNDS: usize = 10_000;

pub(super) fn tables(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let number = number::parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let keyspace = &context.state.keyspace;
    let number = usize::try_from(number).ok().filter(|number| *number < keyspace.count());
    let Some(number) = number else {
        return Err(CommandError::fixed("ERR Out of range database"));
    };
    let database = keyspace.database(number);
    let mut text = String::from("[Dictionary HT]\n");
    describe(&mut text, database.records());
    text.push_str("[Expires HT]\n");
    describe(&mut text, database.volatile());
    context.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn describe<E: Entry>(text: &mut String, table: &Table<E>) {
    if table.is_empty() {
        text.push_str("No stats available for empty dictionaries\n");
        return;
    }
    let bytes_per_entry = table.memory_bytes() as f64 / table.len() as f64;
    text.push_str(&format!(
        " number of elements: {}\n memory: {} bytes\n memory for each element: {bytes_per_entry:.2} bytes\n",
        table.len(),
        table.memory_bytes()
    ));
}

pub(super) fn table_of_key(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, _) = context.parts();
    match keyspace.peek(database, args.at(2)) {
        None => Err(CommandError::NO_SUCH_KEY),
        Some(_) => {
            Err(CommandError::fixed("ERR The value stored at the specified key is not represented using an hash table"))
        }
    }
}

pub(super) fn object(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let shares = shares_integers(context.state);
    let (keyspace, database, reply) = context.parts();
    let hash = keyspace.hash(args.at(2));
    // What has expired is shown while it is there.
    let Some(record) = keyspace.database(database).get(hash, args.at(2)) else {
        return Err(CommandError::NO_SUCH_KEY);
    };
    reply.simple(format!(
        "Value at:{:p} refcount:{} encoding:{} serializedlength:{} lru:{} lru_seconds_idle:{}{}",
        Entry::address(record),
        shown_references(record.value(), shares),
        record.value().encoding_name(),
        serialized_bytes(record),
        keyspace.access.shown(record),
        keyspace.access.idle_seconds(record),
        lists::details(record)
    ));
    Ok(())
}

/// Bytes that a value takes in an RDB file, without compression.
fn serialized_bytes(record: &Record) -> usize {
    let Some(text) = record.value().text() else {
        return 0;
    };
    // A text that is a small number is written as one.
    let number = text.integer().filter(|_| text.length() <= NUMBER_TEXT_MAX);
    match number {
        Some(number) if i32::try_from(number).is_ok() => integer_bytes(number),
        _ => length_bytes(text.length()) + text.length(),
    }
}

fn integer_bytes(number: i64) -> usize {
    if i8::try_from(number).is_ok() {
        2
    } else if i16::try_from(number).is_ok() {
        3
    } else {
        5
    }
}

/// The length in front of a string: 6, 14 or 32 bits and more.
fn length_bytes(length: usize) -> usize {
    match length {
        0..64 => 1,
        64..16_384 => 2,
        _ => 5,
    }
}

pub(super) fn populate(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let positive = |text: &[u8]| {
        let number = number::parse_i64(text).and_then(|number| usize::try_from(number).ok());
        number.ok_or(CommandError::fixed("ERR value is out of range, must be positive"))
    };
    let count = positive(args.at(2))?;
    let prefix = args.get(3).unwrap_or(b"key");
    let size = args.get(4).map(positive).transpose()?.unwrap_or(0);
    if size as u64 > context.state.config.proto_max_bulk_len {
        return Err(CommandError::fixed("ERR string exceeds maximum allowed size (proto-max-bulk-len)"));
    }
    let (keyspace, database, reply) = context.parts();
    for number in 0..count {
        let mut key = prefix.to_vec();
        key.extend_from_slice(format!(":{number}").as_bytes());
        if keyspace.exists(database, &key) {
            continue;
        }
        let mut value = format!("value:{number}").into_bytes();
        if size > 0 {
            value.resize(size, 0);
        }
        let value = NewValue::plain_text(&value, || Bytes::copy_from_slice(&value));
        keyspace.set(database, &key, value, Expiry::Clear);
    }
    reply.ok();
    Ok(())
}

/// Matches random patterns with random strings: it must come to an end.
pub(super) fn match_at_random(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let random = &mut context.state.random;
    for _ in 0..MATCH_ROUNDS {
        let pattern: Vec<u8> = (0..random.usize(..32)).map(|_| random.u8(..128)).collect();
        let text: Vec<u8> = (0..random.usize(..32)).map(|_| random.u8(..128)).collect();
        glob_match(&pattern, &text, Case::Sensitive);
    }
    context.reply.simple("Apparently Redis did not crash: test passed");
    Ok(())
}
