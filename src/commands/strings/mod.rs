//! Strings: what the family's commands share. Never decides in which form a string is kept: the keyspace does.

pub mod compare;
pub mod counters;
pub mod increx;
pub mod lcs;
pub mod many;
mod options;
pub mod parts;
pub mod throttle;
pub mod values;

use crate::command::error::{CommandError, CommandResult};
use crate::engine::context::Context;
use crate::keyspace::{EventClass, Expiry, Keyspace, NewValue, Record, Text};
use crate::resp::{Args, Reply, number};

/// The string in a record. Errors: the value is of another type.
#[inline]
pub(super) fn text_of(record: &Record) -> Result<Text<'_>, CommandError> {
    record.value().text().ok_or(CommandError::WRONG_TYPE)
}

/// The length of the string at a key that is about to be changed, if there is one. Errors: it is not a string.
pub(super) fn length_at(keyspace: &mut Keyspace, database: usize, key: &[u8]) -> Result<Option<usize>, CommandError> {
    let record = keyspace.lookup(database, key);
    record.map(|record| text_of(record).map(Text::length)).transpose()
}

/// Replies with the string in a record, or null. Errors: the value is of another type.
#[inline]
fn reply_record(reply: &mut Reply, record: Option<&Record>) -> CommandResult {
    match record {
        None => reply.null(),
        Some(record) => reply_text(reply, text_of(record)?),
    }
    Ok(())
}

/// Replies with a string; a long one is sent from where it lies.
#[inline]
fn reply_text(reply: &mut Reply, text: Text<'_>) {
    match text {
        Text::Integer(number) => reply.bulk_integer(number),
        Text::Inline(bytes) => reply.bulk(bytes),
        Text::Large(bytes) => reply.bulk_shared(bytes),
    }
}

/// Sets a key to a string and notifies of it.
#[inline]
fn store(keyspace: &mut Keyspace, database: usize, key: &[u8], value: NewValue<'_>, expiry: Expiry) {
    keyspace.set(database, key, value, expiry);
    keyspace.changes.notify(EventClass::String, "set", database, key);
    if matches!(expiry, Expiry::At(_)) {
        keyspace.changes.notify(EventClass::Generic, "expire", database, key);
    }
}

/// Has a command passed on as what sets a key to a string with that expiry time.
fn propagate_with_expiry(keyspace: &mut Keyspace, key: &[u8], value: &[u8], expiry: Expiry) {
    let propagation = &mut keyspace.changes.propagation;
    match expiry {
        Expiry::At(moment_ms) => {
            let mut digits = itoa::Buffer::new();
            let moment = digits.format(moment_ms).as_bytes();
            propagation.replace(&[b"SET", key, value, b"PXAT", moment]);
        }
        Expiry::Keep => propagation.replace(&[b"SET", key, value, b"KEEPTTL"]),
        Expiry::Clear => propagation.replace(&[b"SET", key, value]),
    }
}

/// Has a command passed on as the deletion of a key whose time is over.
pub(super) fn propagate_removal(keyspace: &mut Keyspace, key: &[u8]) {
    let propagation = &mut keyspace.changes.propagation;
    let name = propagation.deletion();
    propagation.replace(&[name, key]);
}

/// An integer argument. Errors: it is none.
pub(super) fn integer_argument(args: Args<'_>, index: usize) -> Result<i64, CommandError> {
    number::parse_i64(args.at(index)).ok_or(CommandError::NOT_AN_INTEGER)
}

/// The error of an expiry time that cannot be, for the command that runs.
fn invalid_expire_time(context: &Context<'_>) -> CommandError {
    CommandError::invalid_expire_time(context.command_name())
}
