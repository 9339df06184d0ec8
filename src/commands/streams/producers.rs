//! Idempotent producers: XCFGSET and XIDMPRECORD, what XADD asks and tells of them, and notes of other servers.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_128;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, UPDATE};
use crate::config::Config;
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::Keyspace;
use crate::resp::Args;
use crate::storage::aof::producer_note::ProducerNote;
use crate::types::object::Object;
use crate::types::stream::{Field, Id, Retention, Stream};

use super::{edit, parse_id, parse_integer};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("xcfgset", -2, Group::Stream, "8.6.0", configure)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .complexity("O(1); what is forgotten is freed later.")
        .summary("Sets how long a stream knows the messages of idempotent producers; if that is new, it forgets them.")
        .arguments("key [IDMP-DURATION idmp-duration:integer] [IDMP-MAXSIZE idmp-maxsize:integer]"),
    CommandSpec::new("xidmprecord", 5, Group::Stream, "8.8.0", record)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .complexity("O(log(N)) with N messages of the producer.")
        .summary("Notes that an entry of a stream is a message of an idempotent producer: for the server's own use.")
        .arguments("key pid iid stream-id"),
];

/// The longest time, in seconds, and the greatest number of messages that may be set.
const DURATION_MAX_S: i64 = 86_400;
const MESSAGES_MAX: i64 = 10_000;

/// What holds for streams that nothing was set for.
pub(super) fn default_retention(config: &Config) -> Retention {
    Retention { duration_s: config.stream_idmp_duration, messages: config.stream_idmp_maxsize }
}

/// What XADD says of the producer of an entry.
#[derive(Clone, Copy)]
pub(super) struct Production<'a> {
    pub producer: &'a [u8],
    /// The ID that it gave the message, unless the fields are to stand for it.
    pub message: Option<&'a [u8]>,
}

impl<'a> Production<'a> {
    /// The producer, and the ID of the message. If the producer gave none, the same fields with the same values have
    /// the same, in whatever order.
    pub fn message<'f>(self, fields: impl Iterator<Item = Field<'f>>) -> (&'a [u8], Cow<'a, [u8]>) {
        if let Some(message) = self.message {
            return (self.producer, message.into());
        }
        let mut pair = Vec::new();
        let hash = fields.fold(0, |hash, (name, value)| {
            pair.clear();
            pair.extend_from_slice(name);
            pair.extend_from_slice(value);
            hash ^ xxh3_128(&pair)
        });
        (self.producer, hash.to_le_bytes().to_vec().into())
    }
}

/// What XCFGSET asks for.
fn parse_retention(args: Args<'_>) -> Result<(Option<u32>, Option<u32>), CommandError> {
    let (mut duration_s, mut messages) = (None, None);
    let within = |text: &[u8], max: i64, error: &'static str| match parse_integer(text)? {
        number if (1..=max).contains(&number) => Ok(u32::try_from(number).ok()),
        _ => Err(CommandError::fixed(error)),
    };
    let mut at = 2;
    while let Some(option) = args.get(at) {
        match args.get(at + 1) {
            Some(text) if option.eq_ignore_ascii_case(b"IDMP-DURATION") => {
                const ERROR: &str = "ERR IDMP-DURATION must be between 1 and 86400 seconds";
                duration_s = within(text, DURATION_MAX_S, ERROR)?;
            }
            Some(text) if option.eq_ignore_ascii_case(b"IDMP-MAXSIZE") => {
                const ERROR: &str = "ERR IDMP-MAXSIZE must be between 1 and 10000 entries";
                messages = within(text, MESSAGES_MAX, ERROR)?;
            }
            _ => return Err(CommandError::SYNTAX),
        }
        at += 2;
    }
    match (duration_s, messages) {
        (None, None) => Err(CommandError::fixed("ERR At least one parameter must be specified")),
        both => Ok(both),
    }
}

fn configure(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (duration_s, messages) = parse_retention(args)?;
    let default = default_retention(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let changed = edit(keyspace, database, key, |stream| {
        let before = stream.producers.retention();
        let retention = before.unwrap_or(default);
        let retention = Retention {
            duration_s: duration_s.unwrap_or(retention.duration_s),
            messages: messages.unwrap_or(retention.messages),
        };
        (before != Some(retention)).then(|| (retention, stream.producers.set_retention(retention)))
    })?;
    if let Some((retention, garbage)) = changed.ok_or(CommandError::NO_SUCH_KEY)? {
        if let Some(garbage) = garbage {
            keyspace.discard(Box::new(Object::Stream(Stream::of_garbage_producers(garbage))));
        }
        keyspace.modified(database, key);
        propagate(keyspace, database, key, ProducerNote::Retention(retention), Id::MIN);
    }
    reply.ok();
    Ok(())
}

fn record(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (producer, message) = (args.at(2), args.at(3));
    if producer.is_empty() {
        return Err(CommandError::fixed("ERR XIDMPRECORD requires a non-empty producer ID"));
    }
    if message.is_empty() {
        return Err(CommandError::fixed("ERR XIDMPRECORD requires a non-empty idempotent ID"));
    }
    let id = parse_id(args.at(4))?;
    let default = default_retention(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let (key, now_ms) = (args.at(1), keyspace.now_ms);
    let added = edit(keyspace, database, key, |stream| {
        if !stream.entries.contains(id) {
            return Err(CommandError::fixed("ERR The specified stream ID was deleted or doesn't exist"));
        }
        match stream.producers.find(producer, message, now_ms) {
            None => {
                let is_first = !stream.producers.are_used();
                stream.producers.add(producer, message, id, now_ms, default);
                Ok(Some(is_first))
            }
            Some(known) if known == id => Ok(None),
            Some(_) => Err(CommandError::fixed(
                "ERR The specified IDMP producer-id/idempotent-id pair maps to a different stream ID",
            )),
        }
    })?;
    if let Some(is_first) = added.ok_or(CommandError::NO_SUCH_KEY)?? {
        keyspace.modified(database, key);
        let default = Some(default).filter(|_| is_first);
        propagate_message(keyspace, database, key, ProducerNote::Message { producer, message }, id, default);
    }
    reply.ok();
    Ok(())
}

/// Has a note passed on in the place of the present command.
fn propagate(keyspace: &mut Keyspace, database: usize, key: &[u8], note: ProducerNote<'_>, id: Id) {
    if !keyspace.changes.propagation.is_on() {
        return;
    }
    let object = keyspace.live(database, key).and_then(|record| record.value().object());
    if let Some(Object::Stream(stream)) = object {
        let group = note.group(&stream.groups);
        keyspace.changes.propagation.replace(&[b"XACK", key, &group, &id.text()]);
    }
}

/// Has the note of a message passed on in the place of the present command, or behind the form that was set for it.
/// Where the stream got its first producer, how long messages are known goes before it: other servers may have other
/// defaults.
pub(super) fn propagate_message(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    message: ProducerNote<'_>,
    id: Id,
    default: Option<Retention>,
) {
    if let Some(default) = default {
        keyspace.changes.propagation.add_form(database);
        propagate(keyspace, database, key, ProducerNote::Retention(default), Id::MIN);
    }
    keyspace.changes.propagation.add_form(database);
    propagate(keyspace, database, key, message, id);
}

/// Takes in what another server, or the append-only file, says of a stream's producers, if the name of XACK's group is
/// such a note and no group has that name; says whether it was one.
pub(super) fn take_note(context: &mut Context<'_>, args: Args<'_>) -> Result<bool, CommandError> {
    let Some(note) = ProducerNote::parse(args.at(2)).filter(|_| context.session.policy.is_exact) else {
        return Ok(false);
    };
    let id = parse_id(args.at(3))?;
    let default = default_retention(&context.state.config);
    let (keyspace, database, _) = context.parts();
    let now_ms = keyspace.now_ms;
    let garbage = edit(keyspace, database, args.at(1), |stream| {
        if stream.groups.get(args.at(2)).is_some() {
            return None;
        }
        let producers = &mut stream.producers;
        match note {
            ProducerNote::Retention(retention) => return Some(producers.set_retention(retention)),
            ProducerNote::Counts { added, duplicates } => producers.set_counts(added, duplicates),
            ProducerNote::Message { producer, message } => producers.add(producer, message, id, now_ms, default),
        }
        Some(None)
    })?;
    let Some(garbage) = garbage.flatten() else {
        return Ok(false);
    };
    if let Some(garbage) = garbage {
        keyspace.discard(Box::new(Object::Stream(Stream::of_garbage_producers(garbage))));
    }
    keyspace.modified(database, args.at(1));
    Ok(true)
}
