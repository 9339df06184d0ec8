//! Streams: what the family's commands share. Never decides how entries are kept: the type does.

mod allowance;
pub mod append;
pub mod claim;
pub mod groups;
pub mod info;
mod passing;
pub mod pending;
mod position;
pub mod producers;
pub mod range;
pub mod read;
mod read_group;
pub mod release;
pub mod remove;
mod trim_options;

use std::borrow::Cow;

use smallvec::SmallVec;

use crate::command::error::CommandError;
use crate::config::Config;
use crate::keyspace::{EventClass, Keyspace, Record, Value};
use crate::resp::{Args, Reply, number};
use crate::types::object::Object;
use crate::types::slot::Slot;
use crate::types::stream::{Entry, Id, NodeLimits, Stream};

const INVALID_ID: CommandError = CommandError::fixed("ERR Invalid stream ID specified as stream command argument");

/// The IDs of a command.
type Ids = SmallVec<[Id; 8]>;

/// The stream in a record. Errors: the value is of another type.
#[inline]
fn stream_of(record: &Record) -> Result<&Stream, CommandError> {
    match record.value() {
        Value::Object(Object::Stream(stream)) => Ok(stream),
        _ => Err(CommandError::WRONG_TYPE),
    }
}

/// The stream at a key, to be read, if there is one. Errors: the value is of another type.
#[inline]
fn read<'a>(keyspace: &'a mut Keyspace, database: usize, key: &[u8]) -> Result<Option<&'a Stream>, CommandError> {
    keyspace.read(database, key).map(stream_of).transpose()
}

/// Changes the stream at a key, if there is one; the caller publishes the change. Errors: the value is of another type.
#[inline]
fn edit<R>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    change: impl FnOnce(&mut Stream) -> R,
) -> Result<Option<R>, CommandError> {
    let Some(mut value) = keyspace.edit(database, key) else {
        return Ok(None);
    };
    match value.object_mut() {
        Some(Object::Stream(stream)) => Ok(Some(change(stream))),
        _ => Err(CommandError::WRONG_TYPE),
    }
}

/// Tells of something that happened to a stream.
fn notify(keyspace: &mut Keyspace, event: &'static str, database: usize, key: &[u8]) {
    keyspace.changes.notify(EventClass::Stream, event, database, key);
}

/// How large blocks get, by the settings.
#[inline]
fn limits(config: &Config) -> NodeLimits {
    NodeLimits {
        bytes: usize::try_from(config.stream_node_max_bytes).unwrap_or(usize::MAX),
        entries: usize::try_from(config.stream_node_max_entries).unwrap_or(usize::MAX),
    }
}

/// Reads an ID; a missing number is 0. Errors: it is none.
fn parse_id(text: &[u8]) -> Result<Id, CommandError> {
    Id::parse(text, 0).ok_or(INVALID_ID)
}

/// Reads all IDs from an argument on. Errors: one is none.
fn parse_ids(args: Args<'_>, first: usize) -> Result<Ids, CommandError> {
    args.iter().skip(first).map(parse_id).collect()
}

/// Reads an end of a range, which may be `-`, `+`, or an ID; tells whether a `(` in front of it leaves it out itself.
fn parse_end(text: &[u8], missing_seq: u64) -> Result<(Id, bool), CommandError> {
    let id = match text {
        b"-" => Some(Id::MIN),
        b"+" => Some(Id::MAX),
        [b'(', id @ ..] if !id.is_empty() => {
            return Ok((Id::parse(id, missing_seq).ok_or(INVALID_ID)?, true));
        }
        _ => Id::parse(text, missing_seq),
    };
    Ok((id.ok_or(INVALID_ID)?, false))
}

/// The least ID of a range. Errors: it is none; there is none behind it.
fn parse_start(text: &[u8]) -> Result<Id, CommandError> {
    let (id, is_excluded) = parse_end(text, 0)?;
    let start = if is_excluded { id.next() } else { Some(id) };
    start.ok_or(CommandError::fixed("ERR invalid start ID for the interval"))
}

/// The greatest ID of a range. Errors: it is none; there is none before it.
fn parse_stop(text: &[u8]) -> Result<Id, CommandError> {
    let (id, is_excluded) = parse_end(text, u64::MAX)?;
    let stop = if is_excluded { id.previous() } else { Some(id) };
    stop.ok_or(CommandError::fixed("ERR invalid end ID for the interval"))
}

fn parse_integer(text: &[u8]) -> Result<i64, CommandError> {
    number::parse_i64(text).ok_or(CommandError::NOT_AN_INTEGER)
}

/// Reads how many of something are wanted at most; a negative number is 0.
fn parse_count(text: &[u8]) -> Result<usize, CommandError> {
    let count = parse_integer(text)?.max(0);
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Writes an ID.
#[inline]
fn write_id(reply: &mut Reply, id: Id) {
    reply.bulk(&id.text());
}

/// Writes an entry: its ID, and its fields with their values.
#[inline]
fn write_entry(reply: &mut Reply, entry: Entry<'_>) {
    reply.raw(b"*2\r\n");
    write_entry_parts(reply, entry);
}

#[inline]
fn write_entry_parts(reply: &mut Reply, entry: Entry<'_>) {
    write_id(reply, entry.id);
    reply.array(2 * entry.pairs.len());
    for (name, value) in entry.pairs {
        name.with_bytes(|bytes| reply.bulk(bytes));
        value.with_bytes(|bytes| reply.bulk(bytes));
    }
}

/// Writes entries, so many at most; 0: all.
fn write_entries<'a>(reply: &mut Reply, entries: impl Iterator<Item = Entry<'a>>, count: usize) -> usize {
    let place = reply.begin_deferred();
    let mut written = 0;
    for entry in entries {
        write_entry(reply, entry);
        written += 1;
        if written == count {
            break;
        }
    }
    reply.end_deferred_array(place, written);
    written
}

/// A name as errors quote it: a NUL ends it, as in Redis.
fn quoted(name: &[u8]) -> Cow<'_, str> {
    let shown = name.split(|byte| *byte == 0).next();
    String::from_utf8_lossy(shown.unwrap_or_default())
}

/// The error of a command that needs a group where there is none, or no key.
fn no_group(key: &[u8], group: &[u8]) -> CommandError {
    let (key, group) = (quoted(key), quoted(group));
    CommandError::new(format!("NOGROUP No such key '{key}' or consumer group '{group}'"))
}
