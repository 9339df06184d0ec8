//! Adding to streams and trimming them: XADD, XTRIM and XSETID.

use smallvec::SmallVec;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{DELETE, Flag, Group, KeySpec, UPDATE};
use crate::config::Config;
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::Keyspace;
use crate::resp::Args;
use crate::storage::aof::producer_note::ProducerNote;
use crate::types::object::Object;
use crate::types::slot::OwnedValue;
use crate::types::stream::{
    AppendError, Entries, Field, Given, Id, NodeLimits, References, Retention, Stream, Threshold, Trim, Trimmed,
};

use super::producers::{default_retention, propagate_message};
use super::trim_options::{Options, Syntax};
use super::{edit, limits, notify, parse_id, parse_integer, read, write_id};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("xadd", -5, Group::Stream, "5.0.0", add)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(UPDATE, 1).note("Not `insert`, since it may trim as well.")])
        .complexity("O(1) for the entry, O(N) for N entries that are trimmed; blocks that go as a whole count as one.")
        .summary("Adds an entry to a stream, and makes the stream if there is none.")
        .history(&[
            ("6.2.0", "Takes `NOMKSTREAM`, `MINID` and `LIMIT`."),
            ("7.0.0", "Takes IDs of the form `<ms>-*`."),
            ("8.2.0", "Takes `KEEPREF`, `DELREF` and `ACKED`."),
            ("8.6.0", "Takes `IDMP` and `IDMPAUTO`."),
        ])
        .arguments(
            "key [NOMKSTREAM]@6.2.0 condition=[KEEPREF|DELREF|ACKED] \
             idmp=[IDMPAUTO auto-pid<producer-id>|IDMP message={producer-id idempotent-id}]@8.6.0 trim=[strategy=(MAXLEN|MINID@6.2.0) \
             operator=[equal='='|approximately='~'] threshold [LIMIT count:integer]@6.2.0] \
             id-selector=(auto-id='*'|id) data={field value}...",
        ),
    CommandSpec::new("xtrim", -4, Group::Stream, "5.0.0", trim)
        .flags(&[Flag::Write])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(DELETE, 1)])
        .complexity("O(N) for N entries that go; blocks that go as a whole count as one.")
        .summary("Removes the oldest entries of a stream; tells how many.")
        .history(&[("6.2.0", "Takes `MINID` and `LIMIT`."), ("8.2.0", "Takes `KEEPREF`, `DELREF` and `ACKED`.")])
        .arguments(
            "key trim={strategy=(MAXLEN|MINID@6.2.0) operator=[equal='='|approximately='~'] threshold \
             [LIMIT count:integer]@6.2.0 condition=[KEEPREF|DELREF|ACKED]}",
        ),
    CommandSpec::new("xsetid", -3, Group::Stream, "5.0.0", set_id)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .summary("Sets the last ID of a stream: for the server's own use.")
        .history(&[("7.0.0", "Takes `ENTRIESADDED` and `MAXDELETEDID`.")])
        .arguments("key last-id [ENTRIESADDED entries-added:integer]@7.0.0 [MAXDELETEDID max-deleted-id]@7.0.0"),
];

/// A new entry that has yet to get its ID.
struct NewEntry<F> {
    given: Option<Given>,
    fields: F,
    limits: NodeLimits,
    now_ms: u64,
}

impl<'f, F: ExactSizeIterator<Item = Field<'f>> + Clone> NewEntry<F> {
    /// The ID in a stream whose last one is this. Errors: there is none left, or the given one is not greater.
    fn id_behind(&self, last: Id) -> Result<Id, CommandError> {
        if last == Id::MAX {
            return Err(CommandError::fixed(
                "ERR The stream has exhausted the last possible ID, unable to add more items",
            ));
        }
        let id = match self.given {
            None => last.following(self.now_ms),
            Some(Given::Full(id)) => Some(id),
            Some(Given::Time(ms)) if ms == last.ms => last.seq.checked_add(1).map(|seq| Id::new(ms, seq)),
            Some(Given::Time(ms)) => Some(Id::new(ms, 0)),
        };
        id.ok_or(NOT_GREATER)
    }

    /// Adds it; gives its ID.
    fn add_to(self, stream: &mut Stream) -> Result<Id, CommandError> {
        let id = self.id_behind(stream.entries.last_id)?;
        match stream.entries.append(id, self.fields, self.limits) {
            Ok(()) => Ok(id),
            Err(AppendError::NotGreater) => Err(NOT_GREATER),
            Err(AppendError::TooLarge) => Err(CommandError::fixed("ERR Elements are too large to be stored")),
        }
    }
}

const NOT_GREATER: CommandError =
    CommandError::fixed("ERR The ID specified in XADD is equal or smaller than the target stream top item");

fn add(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let config: &Config = &context.state.config;
    let is_exact = context.session.policy.is_exact;
    let options = Options::parse(args, Syntax::Add, config, is_exact)?;
    let limits = limits(config);
    let arguments = args.len().saturating_sub(options.rest);
    if arguments < 2 || arguments % 2 == 1 {
        return Err(CommandError::wrong_arity(context.command_name()));
    }
    if options.id == Some(Given::Full(Id::MIN)) {
        return Err(CommandError::fixed("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let default = default_retention(config);
    let (keyspace, database, reply) = context.parts();
    let (key, rest) = (args.at(1), args.slice_from(options.rest));
    let fields = (0..arguments / 2).map(move |index| (rest.at(2 * index), rest.at(2 * index + 1)));
    let message = options.production.map(|production| production.message(fields.clone()));
    let message = message.as_ref().map(|(producer, message)| (*producer, &**message));
    if let Some(message) = message
        && let Some(id) = entry_of(keyspace, database, key, message)?
    {
        write_id(reply, id);
        return Ok(());
    }
    let entry = NewEntry { given: options.id, fields, limits, now_ms: keyspace.now_ms as u64 };
    let mut entry = Some(entry);
    let trim = options.trim;
    let added = edit(keyspace, database, key, |stream| {
        let id = entry.take().map(|entry| entry.add_to(stream));
        let trimmed = trim.filter(|_| matches!(id, Some(Ok(_))));
        (id, trimmed.map(|trim| stream.trim(&trim)))
    })?;
    let (id, trimmed) = match (added, entry) {
        (Some((Some(id), trimmed)), _) => (id?, trimmed),
        (_, Some(entry)) if options.create => create(keyspace, database, key, entry, trim)?,
        _ => {
            reply.null();
            return Ok(());
        }
    };
    let is_first = message.map(|message| note_message(keyspace, database, key, message, id, default));
    keyspace.modified(database, key);
    if keyspace.changes.propagation.is_on() {
        let up_to = trimmed.as_ref().and_then(|trimmed| trimmed.up_to);
        propagate(keyspace, database, args, &options, Some(id), up_to)?;
        if let Some((producer, message)) = message {
            let default = Some(default).filter(|_| is_first == Some(true));
            propagate_message(keyspace, database, key, ProducerNote::Message { producer, message }, id, default);
        }
    }
    notify(keyspace, "xadd", database, key);
    if trimmed.is_some_and(|trimmed| settle_trim(keyspace, trimmed) > 0) {
        notify(keyspace, "xtrim", database, key);
    }
    write_id(reply, id);
    Ok(())
}

/// The entry of a message that its producer has sent before, which counts as a duplicate then.
fn entry_of(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    (producer, message): (&[u8], &[u8]),
) -> Result<Option<Id>, CommandError> {
    let now_ms = keyspace.now_ms;
    let known = edit(keyspace, database, key, |stream| {
        let id = stream.producers.find(producer, message, now_ms)?;
        stream.producers.count_duplicate();
        Some(id)
    })?;
    Ok(known.flatten())
}

/// Has a stream know the message that its new entry is; tells whether it is the first one of all.
fn note_message(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    (producer, message): (&[u8], &[u8]),
    id: Id,
    default: Retention,
) -> bool {
    let now_ms = keyspace.now_ms;
    let is_first = edit(keyspace, database, key, |stream| {
        let is_first = !stream.producers.are_used();
        stream.producers.add(producer, message, id, now_ms, default);
        is_first
    });
    matches!(is_first, Ok(Some(true)))
}

/// Has a command passed on with the ID that was made up, and the limit to which it has come instead of one that is
/// approximate: trimming looked at entries up to an ID, or at none one by one.
fn propagate(
    keyspace: &mut Keyspace,
    database: usize,
    args: Args<'_>,
    options: &Options<'_>,
    id: Option<Id>,
    up_to: Option<Id>,
) -> CommandResult {
    let is_made_up = id.is_some() && !matches!(options.id, Some(Given::Full(_)));
    if !is_made_up && options.approximate_at.is_none() && options.newer.is_empty() {
        return Ok(());
    }
    let id = id.unwrap_or_default().text();
    let mut limit = Vec::new();
    let mut words: SmallVec<[&[u8]; 16]> = args.iter().collect();
    if is_made_up {
        words[options.rest - 1] = &id;
    }
    if let (Some(at), Some(trim)) = (options.approximate_at, options.trim) {
        let entries = read(keyspace, database, args.at(1))?.map(|stream| &stream.entries);
        let bound = match (trim.references, trim.threshold) {
            // References to deleted entries go too: exactly those of the entries that were looked at.
            (References::Delete, _) => up_to.and_then(Id::next),
            (References::Keep, Threshold::Below(_)) => {
                let first = entries.and_then(|entries| entries.range(Id::MIN, Id::MAX).next());
                Some(first.map_or(Id::MAX, |entry| entry.id))
            }
            // Where entries stayed among others that went, no ID tells how far it came.
            _ => None,
        };
        match bound {
            Some(bound) => {
                limit.extend_from_slice(&bound.text());
                if let Threshold::Length(_) = trim.threshold {
                    words[at - 2] = b"MINID";
                }
            }
            None => {
                let length = entries.map_or(0, Entries::len);
                limit.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
                if let Threshold::Below(_) = trim.threshold {
                    words[at - 2] = b"MAXLEN";
                }
            }
        }
        words[at - 1] = b"=";
        words[at] = &limit;
    }
    for at in options.newer.iter().rev() {
        words.remove(*at);
    }
    keyspace.changes.propagation.replace(&words);
    Ok(())
}

/// Makes a stream of one entry.
fn create<'f, F: ExactSizeIterator<Item = Field<'f>> + Clone>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    entry: NewEntry<F>,
    trim: Option<Trim>,
) -> Result<(Id, Option<Trimmed>), CommandError> {
    let mut stream = Stream::default();
    let id = entry.add_to(&mut stream)?;
    let trimmed = trim.map(|trim| stream.trim(&trim));
    keyspace.create(database, key, OwnedValue::object(Object::Stream(stream)));
    Ok((id, trimmed))
}

/// Has what was trimmed freed; gives its number.
fn settle_trim(keyspace: &mut Keyspace, trimmed: Trimmed) -> usize {
    if trimmed.garbage.free_effort() > 0 {
        keyspace.discard(Box::new(Object::Stream(trimmed.garbage)));
    }
    trimmed.entries
}

fn trim(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let config = &context.state.config;
    let options = Options::parse(args, Syntax::Trim, config, context.session.policy.is_exact)?;
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let trimmed = edit(keyspace, database, key, |stream| options.trim.map(|trim| stream.trim(&trim)))?;
    let mut count = 0;
    if let Some(trimmed) = trimmed.flatten() {
        let (references, up_to) = (trimmed.references, trimmed.up_to);
        count = settle_trim(keyspace, trimmed);
        if (count > 0 || references > 0) && keyspace.changes.propagation.is_on() {
            propagate(keyspace, database, args, &options, None, up_to)?;
        }
        if count > 0 {
            keyspace.modified_times(database, key, count as u64);
            notify(keyspace, "xtrim", database, key);
        } else {
            // As by XACK: the stream's entries are what they were.
            keyspace.count_beside(database, key, references as u64);
        }
    }
    reply.integer(count as i64);
    Ok(())
}

/// What XSETID sets.
struct NewHistory {
    last_id: Id,
    added: Option<i64>,
    max_deleted_id: Option<Id>,
}

impl NewHistory {
    fn parse(args: Args<'_>) -> Result<NewHistory, CommandError> {
        let mut new = NewHistory { last_id: parse_id(args.at(2))?, added: None, max_deleted_id: None };
        let mut at = 3;
        while let Some(option) = args.get(at) {
            match args.get(at + 1) {
                Some(added) if option.eq_ignore_ascii_case(b"ENTRIESADDED") => {
                    let added = parse_integer(added)?;
                    if added < 0 {
                        return Err(CommandError::fixed("ERR entries_added must be positive"));
                    }
                    new.added = Some(added);
                }
                Some(id) if option.eq_ignore_ascii_case(b"MAXDELETEDID") => {
                    let id = parse_id(id)?;
                    if new.last_id < id {
                        return Err(CommandError::fixed(
                            "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                        ));
                    }
                    new.max_deleted_id = Some(id);
                }
                _ => return Err(CommandError::SYNTAX),
            }
            at += 2;
        }
        Ok(new)
    }

    fn set_on(&self, stream: &mut Stream) -> CommandResult {
        let entries = &mut stream.entries;
        if self.last_id < entries.max_deleted_id {
            return Err(CommandError::fixed(
                "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id",
            ));
        }
        if let Some(last) = entries.last_live_id() {
            if self.last_id < last {
                return Err(CommandError::fixed(
                    "ERR The ID specified in XSETID is smaller than the target stream top item",
                ));
            }
            if self.added.is_some_and(|added| (added as usize) < entries.len()) {
                return Err(CommandError::fixed(
                    "ERR The entries_added specified in XSETID is smaller than the target stream length",
                ));
            }
        }
        entries.last_id = self.last_id;
        if let Some(added) = self.added {
            entries.added = added as u64;
        }
        if let Some(id) = self.max_deleted_id.filter(|id| *id != Id::MIN) {
            entries.max_deleted_id = id;
        }
        Ok(())
    }
}

fn set_id(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let new = NewHistory::parse(args)?;
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    match edit(keyspace, database, key, |stream| new.set_on(stream))? {
        None => return Err(CommandError::NO_SUCH_KEY),
        Some(result) => result?,
    }
    keyspace.count_beside(database, key, 1);
    notify(keyspace, "xsetid", database, key);
    reply.ok();
    Ok(())
}
