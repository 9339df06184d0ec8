//! When fields of hashes expire: HEXPIRE, HTTL, HPERSIST and their kin.

use smallvec::SmallVec;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ, UPDATE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Keyspace};
use crate::resp::Args;
use crate::resp::Reply;
use crate::types::hash::{HashEditor, HashRef};
use crate::types::slot::Slot;

use super::arguments::{NOT_POSITIVE, TimeForm, named_fields};
use super::{change, limits, note_removed, propagate_fields, propagate_removals, read};

/// Commands on the expiry times of fields.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("hexpire", -6, Group::Hash, "7.4.0", hexpire)
        .flags(&[Flag::Write, Flag::Fast, Flag::NoOlderForm])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .member(5)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Has fields of a hash expire in so many seconds.")
        .arguments("key seconds:integer condition=[NX|XX|GT|LT] FIELDS {numfields:integer field...}"),
    CommandSpec::new("hpexpire", -6, Group::Hash, "7.4.0", hpexpire)
        .flags(&[Flag::Write, Flag::Fast, Flag::NoOlderForm])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .member(5)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Has fields of a hash expire in so many milliseconds.")
        .arguments("key milliseconds:integer condition=[NX|XX|GT|LT] FIELDS {numfields:integer field...}"),
    CommandSpec::new("hexpireat", -6, Group::Hash, "7.4.0", hexpireat)
        .flags(&[Flag::Write, Flag::Fast, Flag::NoOlderForm])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .member(5)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Has fields of a hash expire at a time in seconds since the epoch.")
        .arguments("key unix-time-seconds:unix-time condition=[NX|XX|GT|LT] FIELDS {numfields:integer field...}"),
    CommandSpec::new("hpexpireat", -6, Group::Hash, "7.4.0", hpexpireat)
        .flags(&[Flag::Write, Flag::Fast, Flag::NoOlderForm])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .member(5)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Has fields of a hash expire at a time in milliseconds since the epoch.")
        .arguments("key unix-time-milliseconds:unix-time condition=[NX|XX|GT|LT] FIELDS {numfields:integer field...}"),
    CommandSpec::new("httl", -5, Group::Hash, "7.4.0", httl)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ, 1)])
        .member(4)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Tells in how many seconds fields of a hash expire.")
        .arguments("key FIELDS {numfields:integer field...}"),
    CommandSpec::new("hpttl", -5, Group::Hash, "7.4.0", hpttl)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .tips(&["nondeterministic_output"])
        .keys(&[KeySpec::one(READ, 1)])
        .member(4)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Tells in how many milliseconds fields of a hash expire.")
        .arguments("key FIELDS {numfields:integer field...}"),
    CommandSpec::new("hexpiretime", -5, Group::Hash, "7.4.0", hexpiretime)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .member(4)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Tells when fields of a hash expire, in seconds since the epoch.")
        .arguments("key FIELDS {numfields:integer field...}"),
    CommandSpec::new("hpexpiretime", -5, Group::Hash, "7.4.0", hpexpiretime)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .member(4)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Tells when fields of a hash expire, in milliseconds since the epoch.")
        .arguments("key FIELDS {numfields:integer field...}"),
    CommandSpec::new("hpersist", -5, Group::Hash, "7.4.0", hpersist)
        .flags(&[Flag::Write, Flag::Fast, Flag::NoOlderForm])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .member(4)
        .complexity("O(N) with N the number of fields that are named.")
        .summary("Has fields of a hash expire no more.")
        .arguments("key FIELDS {numfields:integer field...}"),
];

/// What is said of each field.
mod answer {
    pub const NO_FIELD: i64 = -2;
    pub const NO_TIME: i64 = -1;
    pub const CONDITION_NOT_MET: i64 = 0;
    pub const DONE: i64 = 1;
    pub const REMOVED: i64 = 2;
}

/// Up to so many answers need no allocation.
type Answers = SmallVec<[i64; 32]>;

fn hexpire(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    expire(context, args, TimeForm::Seconds)
}

fn hpexpire(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    expire(context, args, TimeForm::Milliseconds)
}

fn hexpireat(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    expire(context, args, TimeForm::UnixSeconds)
}

fn hpexpireat(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    expire(context, args, TimeForm::UnixMilliseconds)
}

/// Under which condition a time is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    None,
    /// The field does not expire.
    IfLasting,
    /// The field expires.
    IfExpiring,
    IfLater,
    IfEarlier,
}

impl Condition {
    fn of_word(word: &[u8]) -> Condition {
        match word.to_ascii_lowercase().as_slice() {
            b"nx" => Condition::IfLasting,
            b"xx" => Condition::IfExpiring,
            b"gt" => Condition::IfLater,
            b"lt" => Condition::IfEarlier,
            _ => Condition::None,
        }
    }

    /// Whether it is met. A field without a time expires later than any.
    fn is_met(self, before_ms: Option<i64>, time_ms: i64) -> bool {
        match self {
            Condition::None => true,
            Condition::IfLasting => before_ms.is_none(),
            Condition::IfExpiring => before_ms.is_some(),
            Condition::IfLater => before_ms.is_some_and(|before_ms| time_ms > before_ms),
            Condition::IfEarlier => before_ms.is_none_or(|before_ms| time_ms < before_ms),
        }
    }
}

/// Errors: what is at the key is no hash. That is found out before anything is said of the arguments.
pub(super) fn check_type(keyspace: &mut Keyspace, database: usize, key: &[u8]) -> CommandResult {
    match keyspace.lookup(database, key) {
        Some(record) if HashRef::of(record.value().stored()).is_none() => Err(CommandError::WRONG_TYPE),
        _ => Ok(()),
    }
}

fn expire(context: &mut Context<'_>, args: Args<'_>, form: TimeForm) -> CommandResult {
    let key = args.at(1);
    let (keyspace, database, _) = context.parts();
    let now_ms = keyspace.now_ms;
    check_type(keyspace, database, key)?;
    let time_ms = form.read(args.at(2), now_ms, context.command_name())?;
    let condition = Condition::of_word(args.at(3));
    let fields_at = if condition == Condition::None { 3 } else { 4 };
    let not_positive = CommandError::fixed("ERR Parameter `numFields` should be greater than 0");
    let names = named_fields(args, fields_at, context.command_name(), not_positive)?;

    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let is_past = keyspace.is_past(time_ms);
    let changed = change(keyspace, database, key, limits, names.iter(), |hash| {
        hash.make_expiring();
        let answer = |name| expire_one(hash, name, condition, time_ms, is_past);
        names.iter().map(answer).collect::<Answers>()
    })?;
    let Some(changed) = changed else {
        reply_same(reply, names.len(), answer::NO_FIELD);
        return Ok(());
    };
    let count = |wanted| changed.result.iter().filter(|&&given| given == wanted).count();
    if keyspace.changes.propagation.is_on() {
        let named = |wanted| {
            let answers = names.iter().zip(&changed.result);
            let named = answers.filter(move |(_, given)| **given == wanted);
            named.map(|(name, _)| name).collect::<Vec<&[u8]>>()
        };
        propagate_removals(keyspace, database, key, &named(answer::REMOVED));
        let timed = named(answer::DONE);
        if timed.is_empty() {
            keyspace.changes.propagation.suppress();
        } else {
            let mut digits = itoa::Buffer::new();
            let prefix: [&[u8]; 4] = [b"HPEXPIREAT", key, digits.format(time_ms).as_bytes(), args.at(3)];
            // Without the condition, if there is none.
            propagate_fields(keyspace, &prefix[..fields_at], &timed);
        }
    }
    note_timed(keyspace, database, key, count(answer::DONE), "hexpire");
    note_removed(keyspace, database, key, count(answer::REMOVED));
    if changed.is_empty {
        keyspace.remove_empty(database, key);
    }
    reply_all(reply, &changed.result);
    Ok(())
}

fn expire_one<S: Slot>(
    hash: &mut HashEditor<'_, S>,
    name: &[u8],
    condition: Condition,
    time_ms: i64,
    is_past: bool,
) -> i64 {
    let Some(found) = hash.read().get(name) else {
        return answer::NO_FIELD;
    };
    if !condition.is_met(found.expiry_ms, time_ms) {
        answer::CONDITION_NOT_MET
    } else if is_past {
        hash.remove(name);
        answer::REMOVED
    } else {
        hash.set_expiry(name, Some(time_ms));
        answer::DONE
    }
}

/// Counts fields whose expiry times were changed and publishes the change.
pub(super) fn note_timed(keyspace: &mut Keyspace, database: usize, key: &[u8], fields: usize, event: &'static str) {
    if fields > 0 {
        keyspace.modified_times(database, key, fields as u64);
        keyspace.changes.notify(EventClass::Hash, event, database, key);
    }
}

fn reply_all(reply: &mut Reply, answers: &[i64]) {
    reply.array(answers.len());
    answers.iter().for_each(|answer| reply.integer(*answer));
}

fn reply_same(reply: &mut Reply, count: usize, answer: i64) {
    reply.array(count);
    (0..count).for_each(|_| reply.integer(answer));
}

fn httl(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_times(context, args, |time_ms, now_ms| ((time_ms - now_ms).max(0) + 999) / 1000)
}

fn hpttl(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_times(context, args, |time_ms, now_ms| (time_ms - now_ms).max(0))
}

fn hexpiretime(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_times(context, args, |time_ms, _| (time_ms + 999) / 1000)
}

fn hpexpiretime(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_times(context, args, |time_ms, _| time_ms)
}

/// Replies with what `shown` makes of each field's expiry time and the present.
fn reply_times(context: &mut Context<'_>, args: Args<'_>, shown: impl Fn(i64, i64) -> i64) -> CommandResult {
    let full_name = context.command_name().to_string();
    let (keyspace, database, reply) = context.parts();
    let (now_ms, horizon_ms) = (keyspace.now_ms, keyspace.read_horizon_ms());
    let names = || named_fields(args, 2, &full_name, NOT_POSITIVE);
    let found = read(keyspace, database, args.at(1), |hash| {
        let names = names()?;
        reply.array(names.len());
        for name in names.iter() {
            let alive = hash.get(name).filter(|found| !found.is_due(horizon_ms));
            reply.integer(match alive.map(|found| found.expiry_ms) {
                None => answer::NO_FIELD,
                Some(None) => answer::NO_TIME,
                Some(Some(time_ms)) => shown(time_ms, now_ms),
            });
        }
        Ok(())
    })?;
    match found {
        Some(result) => result,
        None => {
            reply_same(reply, names()?.len(), answer::NO_FIELD);
            Ok(())
        }
    }
}

fn hpersist(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let key = args.at(1);
    let (keyspace, database, _) = context.parts();
    let horizon_ms = keyspace.read_horizon_ms();
    check_type(keyspace, database, key)?;
    let names = named_fields(args, 2, context.command_name(), NOT_POSITIVE)?;
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let nothing_due = std::iter::empty();
    let changed = change(keyspace, database, key, limits, nothing_due, |hash| {
        let persist = |name| {
            let alive = hash.read().get(name).filter(|found| !found.is_due(horizon_ms));
            match alive.map(|found| found.expiry_ms) {
                None => answer::NO_FIELD,
                Some(None) => answer::NO_TIME,
                Some(Some(_)) => {
                    hash.set_expiry(name, None);
                    answer::DONE
                }
            }
        };
        names.iter().map(persist).collect::<Answers>()
    })?;
    let Some(changed) = changed else {
        reply_same(reply, names.len(), answer::NO_FIELD);
        return Ok(());
    };
    // However many fields: one change.
    let any = changed.result.contains(&answer::DONE);
    note_timed(keyspace, database, key, usize::from(any), "hpersist");
    reply_all(reply, &changed.result);
    Ok(())
}
