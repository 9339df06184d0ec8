//! Strings as a whole: SET, GET and their kin.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CREATE, Flag, Group, KeyFlag, KeySpec, OVERWRITE, READ, READ_AND_DELETE, READ_AND_UPDATE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Expiry, Keyspace, NewValue, Propagation};
use crate::resp::Args;

use super::options::{self, Condition, ExpiryOption, Options, Syntax, TimeForm};
use super::{propagate_removal, propagate_with_expiry, reply_record, store};

/// Commands on one string as a whole.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("set", -3, Group::String, "1.0.0", set)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update, KeyFlag::VariableFlags], 1)
            .note("GET reads the key, too.")])
        .find_keys(options::find_key)
        .summary("Sets a key to a string, with conditions and an expiry time if asked for.")
        .history(&[
            ("2.6.12", "Took the options `EX`, `PX`, `NX` and `XX`."),
            ("6.0.0", "Took the option `KEEPTTL`."),
            ("6.2.0", "Took the options `GET`, `EXAT` and `PXAT`."),
            ("7.0.0", "`NX` and `GET` may stand together."),
            ("8.4.0", "Took the options `IFEQ`, `IFNE`, `IFDEQ` and `IFDNE`."),
        ])
        .arguments(
            "key value condition=[NX|XX|IFEQ ifeq-value@8.4.0|IFNE ifne-value@8.4.0|IFDEQ ifdeq-digest@8.4.0|\
             IFDNE ifdne-digest@8.4.0]@2.6.12 [GET]@6.2.0 expiration=[EX seconds:integer@2.6.12|\
             PX milliseconds:integer@2.6.12|EXAT unix-time-seconds:unix-time@6.2.0|\
             PXAT unix-time-milliseconds:unix-time@6.2.0|KEEPTTL@6.0.0]",
        ),
    CommandSpec::new("get", 2, Group::String, "1.0.0", get)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .keys(&[KeySpec::one(READ, 1)])
        .summary("Gives the string at a key.")
        .arguments("key"),
    CommandSpec::new("getset", 3, Group::String, "1.0.0", getset)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
        .summary("Sets a key to a string and gives the one that was there.")
        .deprecated("6.2.0", "`SET` with the `!GET` argument")
        .arguments("key value"),
    CommandSpec::new("getdel", 2, Group::String, "6.2.0", getdel)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1)])
        .summary("Gives the string at a key and removes the key.")
        .arguments("key"),
    CommandSpec::new("getex", -2, Group::String, "6.2.0", getex)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(READ_AND_UPDATE, 1).note("May change when the key expires.")])
        .summary("Gives the string at a key and sets or clears its expiry time.")
        .arguments(
            "key expiration=[EX seconds:integer|PX milliseconds:integer|EXAT unix-time-seconds:unix-time|\
             PXAT unix-time-milliseconds:unix-time|PERSIST]",
        ),
    CommandSpec::new("setnx", 3, Group::String, "1.0.0", setnx)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
        .keys(&[KeySpec::one(CREATE, 1)])
        .summary("Sets a key to a string if the key does not exist.")
        .deprecated("2.6.12", "`SET` with the `NX` argument")
        .arguments("key value"),
    CommandSpec::new("setex", 4, Group::String, "2.0.0", setex)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(OVERWRITE, 1)])
        .summary("Sets a key to a string that expires after so many seconds.")
        .deprecated("2.6.12", "`SET` with the `EX` argument")
        .arguments("key seconds:integer value"),
    CommandSpec::new("psetex", 4, Group::String, "2.6.0", psetex)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(OVERWRITE, 1)])
        .summary("Sets a key to a string that expires after so many milliseconds.")
        .deprecated("2.6.12", "`SET` with the `PX` argument")
        .arguments("key milliseconds:integer value"),
];

fn set(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return set_with_options(context, args);
    }
    let (keyspace, database, reply) = context.parts();
    store(keyspace, database, args.at(1), NewValue::argument(args, 2), Expiry::Clear);
    reply.ok();
    Ok(())
}

#[inline(never)]
fn set_with_options(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = Options::parse(args.slice_from(3), Syntax::Set)?;
    let expiry = options.expiry.for_set(context)?;
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let holds = holds(options.condition, keyspace, database, key)?;
    if options.get {
        keyspace.read_with(database, key, |record| reply_record(reply, record))?;
    }
    if holds {
        store(keyspace, database, key, NewValue::argument(args, 2), expiry);
        if keyspace.changes.propagation.is_on() {
            propagate_set(&mut keyspace.changes.propagation, args, &options, expiry);
        }
    }
    match (options.get, holds) {
        (true, _) => {}
        (false, true) => reply.ok(),
        (false, false) => reply.null(),
    }
    Ok(())
}

/// A SET that is run later must set the same expiry time, and need not reply. A comparison has held; older servers do
/// not know it.
fn propagate_set(propagation: &mut Propagation, args: Args<'_>, options: &Options<'_>, expiry: Expiry) {
    let compares = matches!(options.condition, Condition::Compare(_));
    match (options.expiry, expiry) {
        (ExpiryOption::Time(TimeForm::UnixMilliseconds, _), _) if !compares => {}
        (_, Expiry::At(moment_ms)) => {
            let mut digits = itoa::Buffer::new();
            let moment = digits.format(moment_ms).as_bytes();
            propagation.replace(&[b"SET", args.at(1), args.at(2), b"PXAT", moment]);
        }
        (_, Expiry::Keep) if compares => propagation.replace(&[b"SET", args.at(1), args.at(2), b"KEEPTTL"]),
        _ if compares => propagation.replace(&[b"SET", args.at(1), args.at(2)]),
        _ if options.get => {
            let kept = || {
                let words = args.iter().enumerate();
                words.filter(|(index, word)| *index < 3 || !word.eq_ignore_ascii_case(b"get"))
            };
            propagation.replace_with(kept().count(), kept().map(|(_, word)| word));
        }
        _ => {}
    }
}

/// Whether a key may be set. Errors: what is to be compared is not a string, or not a digest.
fn holds(condition: Condition<'_>, keyspace: &mut Keyspace, database: usize, key: &[u8]) -> Result<bool, CommandError> {
    let comparison = match condition {
        Condition::Always => return Ok(true),
        Condition::Absent => return Ok(keyspace.lookup(database, key).is_none()),
        Condition::Present => return Ok(keyspace.lookup(database, key).is_some()),
        Condition::Compare(comparison) => comparison,
    };
    match keyspace.lookup(database, key) {
        Some(record) => comparison.holds(super::text_of(record)?),
        None => Ok(comparison.holds_for_absent()),
    }
}

fn get(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    keyspace.read_with(database, args.at(1), |record| reply_record(reply, record))
}

fn getset(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    keyspace.read_with(database, key, |record| reply_record(reply, record))?;
    store(keyspace, database, key, NewValue::argument(args, 2), Expiry::Clear);
    propagate_with_expiry(keyspace, key, args.at(2), Expiry::Clear);
    Ok(())
}

fn getdel(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    keyspace.read_with(database, key, |record| reply_record(reply, record))?;
    keyspace.delete(database, key);
    context.propagate_as(&[b"DEL", key]);
    Ok(())
}

fn getex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = Options::parse(args.slice_from(2), Syntax::GetEx)?;
    let key = args.at(1);
    let mark = context.reply.mark();
    let (keyspace, database, reply) = context.parts();
    let found = keyspace.read_with(database, key, |record| reply_record(reply, record).map(|()| record.is_some()))?;
    if !found {
        return Ok(());
    }
    match options.expiry {
        ExpiryOption::Time(form, text) => match form.moment_ms(text, context) {
            Ok(moment_ms) => expire_at(context, key, form, moment_ms),
            Err(error) => {
                context.reply.truncate(mark);
                return Err(error);
            }
        },
        ExpiryOption::Persist => persist(context, key),
        ExpiryOption::Unspecified | ExpiryOption::Keep => {}
    }
    Ok(())
}

/// Sets the expiry time of a key that exists. One given as a moment that is over already removes the key.
fn expire_at(context: &mut Context<'_>, key: &[u8], form: TimeForm, moment_ms: i64) {
    let (keyspace, database, _) = context.parts();
    if form.is_absolute() && keyspace.is_past(moment_ms) {
        keyspace.delete(database, key);
        propagate_removal(keyspace, key);
    } else {
        keyspace.set_expiry(database, key, Some(moment_ms));
        if keyspace.changes.propagation.is_on() {
            let mut digits = itoa::Buffer::new();
            let moment = digits.format(moment_ms).as_bytes();
            let command: [&[u8]; 3] = [b"PEXPIREAT", key, moment];
            keyspace.changes.propagation.replace(&command);
        }
        keyspace.changes.notify(EventClass::Generic, "expire", database, key);
    }
}

/// Clears the expiry time of a key that exists.
fn persist(context: &mut Context<'_>, key: &[u8]) {
    let (keyspace, database, _) = context.parts();
    let record = keyspace.peek(database, key);
    if record.is_some_and(|record| record.expiry_ms().is_some()) {
        keyspace.set_expiry(database, key, None);
        keyspace.changes.propagation.replace(&[b"PERSIST", key]);
        keyspace.changes.notify(EventClass::Generic, "persist", database, key);
    }
}

fn setnx(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let absent = keyspace.lookup(database, key).is_none();
    if absent {
        store(keyspace, database, key, NewValue::argument(args, 2), Expiry::Clear);
    }
    reply.integer(i64::from(absent));
    Ok(())
}

fn setex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    set_expiring(context, args, TimeForm::Seconds)
}

fn psetex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    set_expiring(context, args, TimeForm::Milliseconds)
}

fn set_expiring(context: &mut Context<'_>, args: Args<'_>, form: TimeForm) -> CommandResult {
    let expiry = Expiry::At(form.moment_ms(args.at(2), context)?);
    let (keyspace, database, reply) = context.parts();
    store(keyspace, database, args.at(1), NewValue::argument(args, 3), expiry);
    propagate_with_expiry(keyspace, args.at(1), args.at(3), expiry);
    reply.ok();
    Ok(())
}
