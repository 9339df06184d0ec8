//! Fields of hashes, read or set and seen to in one step: HGETDEL, HGETEX, HSETEX.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ_AND_DELETE, READ_AND_UPDATE, UPDATE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Keyspace};
use crate::resp::Args;
use crate::resp::Reply;
use crate::resp::number::parse_i64;
use crate::types::hash::{Expiry, Found, HashEditor, HashRef};
use crate::types::slot::Slot;

use super::arguments::{NOT_POSITIVE, TimeForm, named_fields};
use super::expiry::{check_type, note_timed};
use super::{change, create, limits, note_removed, propagate_fields, propagate_removals, reply_text};

/// Commands that do two things at once.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("hgetdel", -5, Group::Hash, "8.0.0", hgetdel)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1)])
        .member(4)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Gives the values of fields of a hash and removes the fields.")
        .arguments("key FIELDS {numfields:integer field...}"),
    CommandSpec::new("hgetex", -5, Group::Hash, "8.0.0", hgetex)
        .flags(&[Flag::Write, Flag::Fast, Flag::NoOlderForm])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1).note("May change when a field expires.")])
        .member(4)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Gives the values of fields of a hash and sets when the fields expire.")
        .arguments(
            "key expiration=[EX seconds:integer|PX milliseconds:integer|EXAT unix-time-seconds:unix-time|\
             PXAT unix-time-milliseconds:unix-time|PERSIST] FIELDS {numfields:integer field...}",
        ),
    CommandSpec::new("hsetex", -6, Group::Hash, "8.0.0", hsetex)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast, Flag::NoOlderForm])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .member(4)
        .complexity("O(N) with N the number of fields that are set.")
        .summary("Sets fields of a hash to values, and when the fields expire.")
        .arguments(
            "key key-condition=[NX|XX] condition=[FNX|FXX] expiration=[EX seconds:integer|PX milliseconds:integer|\
             EXAT unix-time-seconds:unix-time|PXAT unix-time-milliseconds:unix-time|KEEPTTL] \
             FIELDS {numfields:integer data={field value}...}",
        ),
];

fn reply_found(reply: &mut Reply, found: Option<Found<'_>>) {
    match found {
        Some(found) => reply_text(reply, found.value),
        None => reply.null(),
    }
}

fn reply_nulls(reply: &mut Reply, count: usize) {
    reply.array(count);
    (0..count).for_each(|_| reply.null());
}

fn hgetdel(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let key = args.at(1);
    let (keyspace, database, _) = context.parts();
    check_type(keyspace, database, key)?;
    let names = named_fields(args, 2, context.command_name(), NOT_POSITIVE)?;
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let changed = change(keyspace, database, key, limits, names.iter(), |hash| {
        reply.array(names.len());
        let mut removed = 0;
        for name in names.iter() {
            reply_found(reply, hash.read().get(name));
            removed += usize::from(hash.remove(name));
        }
        removed
    })?;
    let Some(changed) = changed else {
        reply_nulls(reply, names.len());
        return Ok(());
    };
    note_removed(keyspace, database, key, changed.result);
    if changed.is_empty {
        keyspace.remove_empty(database, key);
    }
    let removal: [&[u8]; 2] = [b"HDEL", key];
    let words = removal.into_iter().chain(names.iter());
    let count = removal.len() + names.len();
    keyspace.changes.propagation.replace_with(count, words);
    Ok(())
}

/// What HGETEX does to the expiry times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NewTime {
    Keep,
    Clear,
    At(i64),
}

fn hgetex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let key = args.at(1);
    let (keyspace, database, _) = context.parts();
    let now_ms = keyspace.now_ms;
    check_type(keyspace, database, key)?;
    let full_name = context.command_name();
    let (new_time, fields_at) = match TimeForm::of_option(args.at(2)) {
        Some(form) => (NewTime::At(form.read(args.at(3), now_ms, full_name)?), 4),
        None if args.at(2).eq_ignore_ascii_case(b"persist") => (NewTime::Clear, 3),
        None => (NewTime::Keep, 2),
    };
    let names = named_fields(args, fields_at, full_name, NOT_POSITIVE)?;
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let is_past = matches!(new_time, NewTime::At(time_ms) if keyspace.is_past(time_ms));
    let mut found_names: Vec<&[u8]> = Vec::new();
    let changed = change(keyspace, database, key, limits, names.iter(), |hash| {
        if new_time != NewTime::Keep {
            hash.make_expiring();
        }
        reply.array(names.len());
        let mut counts = Counts::default();
        for name in names.iter() {
            let found = hash.read().get(name);
            let expiry_ms = found.map(|found| found.expiry_ms);
            reply_found(reply, found);
            if let Some(before_ms) = expiry_ms {
                if is_past {
                    found_names.push(name);
                }
                counts.apply(hash, name, before_ms, new_time, is_past);
            }
        }
        counts
    })?;
    let Some(changed) = changed else {
        reply_nulls(reply, names.len());
        return Ok(());
    };
    let event = match new_time {
        NewTime::Clear => "hpersist",
        NewTime::Keep | NewTime::At(_) => "hexpire",
    };
    if keyspace.changes.propagation.is_on() {
        propagate_times(keyspace, database, key, (names, &found_names), new_time);
    }
    note_timed(keyspace, database, key, changed.result.timed, event);
    note_removed(keyspace, database, key, changed.result.removed);
    if changed.is_empty {
        keyspace.remove_empty(database, key);
    }
    Ok(())
}

/// Has HGETEX passed on as what sets, clears or ends the fields' times.
fn propagate_times(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    (names, found): (Args<'_>, &[&[u8]]),
    new_time: NewTime,
) {
    let names: Vec<&[u8]> = names.iter().collect();
    match new_time {
        NewTime::At(time_ms) if keyspace.is_past(time_ms) => {
            propagate_removals(keyspace, database, key, found);
            keyspace.changes.propagation.suppress();
        }
        NewTime::At(time_ms) => {
            let mut digits = itoa::Buffer::new();
            let time = digits.format(time_ms).as_bytes();
            propagate_fields(keyspace, &[b"HPEXPIREAT", key, time], &names);
        }
        NewTime::Clear => propagate_fields(keyspace, &[b"HPERSIST", key], &names),
        NewTime::Keep => {}
    }
}

/// How many fields something was done to.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    timed: usize,
    removed: usize,
}

impl Counts {
    /// Gives a field that is there its new time.
    fn apply<S: Slot>(
        &mut self,
        hash: &mut HashEditor<'_, S>,
        name: &[u8],
        before_ms: Option<i64>,
        new_time: NewTime,
        is_past: bool,
    ) {
        match new_time {
            NewTime::At(_) if is_past => {
                hash.remove(name);
                self.removed += 1;
            }
            NewTime::At(time_ms) => {
                hash.set_expiry(name, Some(time_ms));
                self.timed += 1;
            }
            NewTime::Clear if before_ms.is_some() => {
                hash.set_expiry(name, None);
                self.timed += 1;
            }
            NewTime::Clear | NewTime::Keep => {}
        }
    }
}

/// Which fields must be there for HSETEX to do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    None,
    IfNoneExists,
    IfAllExist,
}

/// The arguments of HSETEX.
struct Setting<'a> {
    /// Whether the key has to be there, or must not be.
    key_exists: Option<bool>,
    condition: Condition,
    expiry: Option<Expiry>,
    /// Names, each followed by its value.
    pairs: Args<'a>,
}

impl<'a> Setting<'a> {
    fn parse(args: Args<'a>, now_ms: i64, full_name: &str) -> Result<Setting<'a>, CommandError> {
        let mut setting =
            Setting { key_exists: None, condition: Condition::None, expiry: None, pairs: args.slice_from(args.len()) };
        let mut at = 2;
        while let Some(word) = args.get(at) {
            at += 1;
            if word.eq_ignore_ascii_case(b"fields") {
                setting.pairs = pairs(args, at, full_name)?;
                return Ok(setting);
            }
            if word.eq_ignore_ascii_case(b"fnx") {
                setting.set_condition(Condition::IfNoneExists)?;
            } else if word.eq_ignore_ascii_case(b"fxx") {
                setting.set_condition(Condition::IfAllExist)?;
            } else if let Some(exists) = key_condition(word) {
                setting.set_key_condition(exists)?;
            } else if word.eq_ignore_ascii_case(b"keepttl") {
                setting.set_expiry(|| Ok(Expiry::Keep))?;
            } else if let Some(form) = TimeForm::of_option(word) {
                let Some(text) = args.get(at) else {
                    return Err(CommandError::fixed("ERR missing expire time"));
                };
                at += 1;
                setting.set_expiry(|| Ok(Expiry::At(form.read(text, now_ms, full_name)?)))?;
            } else {
                let word = String::from_utf8_lossy(word);
                return Err(CommandError::new(format!("ERR unknown argument: {word}")));
            }
        }
        Err(CommandError::fixed("ERR missing FIELDS argument"))
    }

    fn set_key_condition(&mut self, exists: bool) -> CommandResult {
        if self.key_exists.is_some_and(|other| other != exists) {
            return Err(CommandError::SYNTAX);
        }
        self.key_exists = Some(exists);
        Ok(())
    }

    fn set_condition(&mut self, condition: Condition) -> CommandResult {
        if self.condition != Condition::None {
            return Err(CommandError::fixed("ERR Only one of FXX or FNX arguments can be specified"));
        }
        self.condition = condition;
        Ok(())
    }

    fn set_expiry(&mut self, expiry: impl FnOnce() -> Result<Expiry, CommandError>) -> CommandResult {
        if self.expiry.is_some() {
            return Err(CommandError::fixed(
                "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified",
            ));
        }
        self.expiry = Some(expiry()?);
        Ok(())
    }

    fn len(&self) -> usize {
        self.pairs.len() / 2
    }

    fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        let pairs = self.pairs;
        (0..pairs.len()).step_by(2).map(move |index| pairs.at(index))
    }

    /// Sets the fields, if the conditions are met; tells whether they were.
    fn apply<S: Slot>(&self, hash: &mut HashEditor<'_, S>, is_past: bool, key_exists: bool) -> bool {
        let exists = |name| hash.read().get(name).is_some();
        let is_met = match self.condition {
            _ if self.key_exists.is_some_and(|wanted| wanted != key_exists) => false,
            Condition::None => true,
            Condition::IfNoneExists => !self.names().any(exists),
            Condition::IfAllExist => self.names().all(exists),
        };
        if is_met {
            let expiry = self.expiry.unwrap_or(Expiry::Clear);
            let pair = |index| (self.pairs.at(2 * index), self.pairs.at(2 * index + 1));
            hash.set_many(self.len(), pair, expiry);
            if is_past {
                hash.remove_many(self.len(), |index| self.pairs.at(2 * index));
            }
        }
        is_met
    }

    /// Has HSETEX passed on with a moment in the place of a duration.
    fn propagate(&self, keyspace: &mut Keyspace, database: usize, args: Args<'_>) {
        if !keyspace.changes.propagation.is_on() {
            return;
        }
        if self.is_past(keyspace) {
            let names: Vec<&[u8]> = self.names().collect();
            propagate_removals(keyspace, database, args.at(1), &names);
            keyspace.changes.propagation.suppress();
            return;
        }
        let Some(Expiry::At(time_ms)) = self.expiry else {
            // Older servers know HSET, which clears expiry times. None of them has fields with times to keep.
            let keeps = self.expiry == Some(Expiry::Keep);
            if !keeps || !self.any_expires(keyspace, database, args.at(1)) {
                let pairs = self.pairs;
                let words = [b"HSET".as_slice(), args.at(1)].into_iter().chain(pairs.iter());
                keyspace.changes.propagation.replace_with(2 + pairs.len(), words);
            }
            return;
        };
        let mut digits = itoa::Buffer::new();
        let time = digits.format(time_ms).as_bytes();
        // Redis's replicas do not know the condition on the key, which was met.
        let first_field = args.len() - self.pairs.len();
        let of_key = |index: usize| (2..first_field - 2).contains(&index) && key_condition(args.at(index)).is_some();
        let kept = args.iter().enumerate().filter(|(index, _)| !of_key(*index));
        let mut words: Vec<&[u8]> = kept.map(|(_, word)| word).collect();
        let options = 2..words.len() - self.pairs.len() - 2;
        let form = options.into_iter().find(|index| TimeForm::of_option(words[*index]).is_some());
        if let Some(form) = form.filter(|form| !words[*form].eq_ignore_ascii_case(b"pxat")) {
            words[form] = b"PXAT";
            words[form + 1] = time;
        }
        keyspace.changes.propagation.replace(&words);
    }

    /// Whether any of the fields has an expiry time.
    fn any_expires(&self, keyspace: &mut Keyspace, database: usize, key: &[u8]) -> bool {
        let hash = keyspace.peek(database, key).and_then(|record| HashRef::of(record.value().stored()));
        let expires = |name| hash.and_then(|hash| hash.get(name)).is_some_and(|field| field.expiry_ms.is_some());
        self.names().any(expires)
    }

    /// Whether the fields are to be gone right away.
    fn is_past(&self, keyspace: &Keyspace) -> bool {
        matches!(self.expiry, Some(Expiry::At(time_ms)) if keyspace.is_past(time_ms))
    }
}

/// Whether a key has to be there, if a word says so.
fn key_condition(word: &[u8]) -> Option<bool> {
    match word.to_ascii_lowercase().as_slice() {
        b"nx" => Some(false),
        b"xx" => Some(true),
        _ => None,
    }
}

/// The names and values behind a count at argument `at`, which are the last ones.
fn pairs<'a>(args: Args<'a>, at: usize, full_name: &str) -> Result<Args<'a>, CommandError> {
    let wrong_arity = || CommandError::wrong_arity(full_name);
    let pairs = args.slice_from(at + 1);
    if pairs.len() < 2 {
        return Err(wrong_arity());
    }
    let count = parse_i64(args.at(at)).and_then(|count| i32::try_from(count).ok());
    let count = count.filter(|count| *count > 0).ok_or(CommandError::fixed("ERR invalid number of fields"))?;
    if pairs.len() as u64 != 2 * u64::from(count.unsigned_abs()) {
        return Err(wrong_arity());
    }
    Ok(pairs)
}

fn hsetex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let key = args.at(1);
    let limits = limits(&context.state.config);
    let now_ms = context.state.keyspace.now_ms;
    let setting = Setting::parse(args, now_ms, context.command_name())?;
    let (keyspace, database, reply) = context.parts();
    let is_past = setting.is_past(keyspace);
    let names = setting.names();
    let changed = change(keyspace, database, key, limits, names, |hash| setting.apply(hash, is_past, true))?;
    let (done, is_empty) = match changed {
        Some(changed) => (changed.result, changed.is_empty),
        None if setting.condition == Condition::IfAllExist || setting.key_exists == Some(true) => (false, false),
        // What would be gone right away is not made.
        None if is_past => (true, true),
        None => create(keyspace, database, key, limits, |hash| {
            Ok::<_, CommandError>((setting.apply(hash, is_past, false), false))
        })?,
    };
    if done {
        setting.propagate(keyspace, database, args);
        keyspace.modified_times(database, key, setting.len() as u64);
        let notify = |event| {
            keyspace.changes.notify(EventClass::Hash, event, database, key);
        };
        let follow_up = match setting.expiry {
            Some(Expiry::At(_)) if is_past => Some("hdel"),
            Some(Expiry::At(_)) => Some("hexpire"),
            _ => None,
        };
        std::iter::once("hset").chain(follow_up).for_each(notify);
    }
    if is_empty {
        keyspace.remove_empty(database, key);
    }
    reply.integer(i64::from(done));
    Ok(())
}
