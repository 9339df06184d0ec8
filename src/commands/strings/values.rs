//! Strings as a whole: SET, GET and their kin.

use crate::command::arguments::EXPIRY_OR_PERSIST;
use crate::command::spec::{
    Argument, ArgumentKind, Category, CommandSpec, Deprecation, Flag, Group, KeyFlag, KeySpec,
};
use crate::command::{Args, CommandError, CommandResult, Context};
use crate::keyspace::{EventClass, Expiry, Keyspace, NewValue, Propagation};

use super::options::{self, Condition, ExpiryOption, Options, Syntax, TimeForm};
use super::{propagate_removal, propagate_with_expiry, remove, reply_record, store};

/// Commands on one string as a whole.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "set",
        arity: -3,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::String],
        keys: &[KeySpec::one(
            &[
                KeyFlag::Rw,
                KeyFlag::Access,
                KeyFlag::Update,
                KeyFlag::VariableFlags,
            ],
            1,
        )
        .note("GET reads the key, too.")],
        find_keys: Some(options::find_key),
        group: Group::String,
        since: "1.0.0",
        summary: "Sets a key to a string, with conditions and an expiry time if asked for.",
        history: &[
            ("2.6.12", "Took the options `EX`, `PX`, `NX` and `XX`."),
            ("6.0.0", "Took the option `KEEPTTL`."),
            ("6.2.0", "Took the options `GET`, `EXAT` and `PXAT`."),
            ("7.0.0", "`NX` and `GET` may stand together."),
            (
                "8.4.0",
                "Took the options `IFEQ`, `IFNE`, `IFDEQ` and `IFDNE`.",
            ),
        ],
        arguments: &[
            Argument::key("key", 0),
            Argument::new("value", ArgumentKind::String),
            Argument::one_of(
                "condition",
                &[
                    Argument::token("nx", "NX"),
                    Argument::token("xx", "XX"),
                    Argument::new("ifeq-value", ArgumentKind::String)
                        .after("IFEQ")
                        .since("8.4.0"),
                    Argument::new("ifne-value", ArgumentKind::String)
                        .after("IFNE")
                        .since("8.4.0"),
                    Argument::new("ifdeq-digest", ArgumentKind::String)
                        .after("IFDEQ")
                        .since("8.4.0"),
                    Argument::new("ifdne-digest", ArgumentKind::String)
                        .after("IFDNE")
                        .since("8.4.0"),
                ],
            )
            .optional()
            .since("2.6.12"),
            Argument::token("get", "GET").optional().since("6.2.0"),
            Argument::one_of(
                "expiration",
                &[
                    Argument::new("seconds", ArgumentKind::Integer)
                        .after("EX")
                        .since("2.6.12"),
                    Argument::new("milliseconds", ArgumentKind::Integer)
                        .after("PX")
                        .since("2.6.12"),
                    Argument::new("unix-time-seconds", ArgumentKind::UnixTime)
                        .after("EXAT")
                        .since("6.2.0"),
                    Argument::new("unix-time-milliseconds", ArgumentKind::UnixTime)
                        .after("PXAT")
                        .since("6.2.0"),
                    Argument::token("keepttl", "KEEPTTL").since("6.0.0"),
                ],
            )
            .optional(),
        ],
        handler: set,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "get",
        arity: 2,
        flags: &[Flag::ReadOnly, Flag::Fast],
        categories: &[Category::String],
        keys: &[KeySpec::one(&[KeyFlag::Ro, KeyFlag::Access], 1)],
        group: Group::String,
        since: "1.0.0",
        summary: "Gives the string at a key.",
        arguments: &[Argument::key("key", 0)],
        handler: get,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "getset",
        arity: 3,
        flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
        categories: &[Category::String],
        keys: &[KeySpec::one(
            &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update],
            1,
        )],
        group: Group::String,
        since: "1.0.0",
        summary: "Sets a key to a string and gives the one that was there.",
        deprecated: Some(Deprecation {
            since: "6.2.0",
            replaced_by: "`SET` with the `!GET` argument",
        }),
        arguments: &[
            Argument::key("key", 0),
            Argument::new("value", ArgumentKind::String),
        ],
        handler: getset,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "getdel",
        arity: 2,
        flags: &[Flag::Write, Flag::Fast],
        categories: &[Category::String],
        keys: &[KeySpec::one(
            &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete],
            1,
        )],
        group: Group::String,
        since: "6.2.0",
        summary: "Gives the string at a key and removes the key.",
        arguments: &[Argument::key("key", 0)],
        handler: getdel,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "getex",
        arity: -2,
        flags: &[Flag::Write, Flag::Fast],
        categories: &[Category::String],
        keys: &[
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update], 1)
                .note("May change when the key expires."),
        ],
        group: Group::String,
        since: "6.2.0",
        summary: "Gives the string at a key and sets or clears its expiry time.",
        arguments: &[Argument::key("key", 0), EXPIRY_OR_PERSIST],
        handler: getex,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "setnx",
        arity: 3,
        flags: &[Flag::Write, Flag::DenyOom, Flag::Fast],
        categories: &[Category::String],
        keys: &[KeySpec::one(&[KeyFlag::Ow, KeyFlag::Insert], 1)],
        group: Group::String,
        since: "1.0.0",
        summary: "Sets a key to a string if the key does not exist.",
        deprecated: Some(Deprecation {
            since: "2.6.12",
            replaced_by: "`SET` with the `NX` argument",
        }),
        arguments: &[
            Argument::key("key", 0),
            Argument::new("value", ArgumentKind::String),
        ],
        handler: setnx,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "setex",
        arity: 4,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::String],
        keys: &[KeySpec::one(&[KeyFlag::Ow, KeyFlag::Update], 1)],
        group: Group::String,
        since: "2.0.0",
        summary: "Sets a key to a string that expires after so many seconds.",
        deprecated: Some(Deprecation {
            since: "2.6.12",
            replaced_by: "`SET` with the `EX` argument",
        }),
        arguments: &[
            Argument::key("key", 0),
            Argument::new("seconds", ArgumentKind::Integer),
            Argument::new("value", ArgumentKind::String),
        ],
        handler: setex,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "psetex",
        arity: 4,
        flags: &[Flag::Write, Flag::DenyOom],
        categories: &[Category::String],
        keys: &[KeySpec::one(&[KeyFlag::Ow, KeyFlag::Update], 1)],
        group: Group::String,
        since: "2.6.0",
        summary: "Sets a key to a string that expires after so many milliseconds.",
        deprecated: Some(Deprecation {
            since: "2.6.12",
            replaced_by: "`SET` with the `PX` argument",
        }),
        arguments: &[
            Argument::key("key", 0),
            Argument::new("milliseconds", ArgumentKind::Integer),
            Argument::new("value", ArgumentKind::String),
        ],
        handler: psetex,
        ..CommandSpec::DEFAULT
    },
];

fn set(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return set_with_options(context, args);
    }
    let (keyspace, database, reply) = context.parts();
    store(
        keyspace,
        database,
        args.at(1),
        NewValue::argument(args, 2),
        Expiry::Clear,
    );
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

/// A SET that is run later must set the same expiry time, and need not reply.
fn propagate_set(
    propagation: &mut Propagation,
    args: Args<'_>,
    options: &Options<'_>,
    expiry: Expiry,
) {
    match (options.expiry, expiry) {
        (ExpiryOption::Time(TimeForm::UnixMilliseconds, _), _) => {}
        (_, Expiry::At(moment_ms)) => {
            let mut digits = itoa::Buffer::new();
            let moment = digits.format(moment_ms).as_bytes();
            propagation.replace(&[b"SET", args.at(1), args.at(2), b"PXAT", moment]);
        }
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
fn holds(
    condition: Condition<'_>,
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
) -> Result<bool, CommandError> {
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
    store(
        keyspace,
        database,
        key,
        NewValue::argument(args, 2),
        Expiry::Clear,
    );
    propagate_with_expiry(keyspace, key, args.at(2), Expiry::Clear);
    Ok(())
}

fn getdel(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    keyspace.read_with(database, key, |record| reply_record(reply, record))?;
    remove(keyspace, database, key);
    context.propagate_as(&[b"DEL", key]);
    Ok(())
}

fn getex(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = Options::parse(args.slice_from(2), Syntax::GetEx)?;
    let key = args.at(1);
    let mark = context.reply.mark();
    let (keyspace, database, reply) = context.parts();
    let found = keyspace.read_with(database, key, |record| {
        reply_record(reply, record).map(|()| record.is_some())
    })?;
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
    if form.is_absolute() && moment_ms <= keyspace.now_ms {
        remove(keyspace, database, key);
        propagate_removal(keyspace, key);
    } else {
        keyspace.set_expiry(database, key, Some(moment_ms));
        if keyspace.changes.propagation.is_on() {
            let mut digits = itoa::Buffer::new();
            let moment = digits.format(moment_ms).as_bytes();
            let command: [&[u8]; 3] = [b"PEXPIREAT", key, moment];
            keyspace.changes.propagation.replace(&command);
        }
        keyspace
            .changes
            .notify(EventClass::Generic, "expire", database, key);
    }
}

/// Clears the expiry time of a key that exists.
fn persist(context: &mut Context<'_>, key: &[u8]) {
    let (keyspace, database, _) = context.parts();
    let record = keyspace.peek(database, key);
    if record.is_some_and(|record| record.expiry_ms().is_some()) {
        keyspace.set_expiry(database, key, None);
        keyspace.changes.propagation.replace(&[b"PERSIST", key]);
        keyspace
            .changes
            .notify(EventClass::Generic, "persist", database, key);
    }
}

fn setnx(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let absent = keyspace.lookup(database, key).is_none();
    if absent {
        store(
            keyspace,
            database,
            key,
            NewValue::argument(args, 2),
            Expiry::Clear,
        );
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
    store(
        keyspace,
        database,
        args.at(1),
        NewValue::argument(args, 3),
        expiry,
    );
    propagate_with_expiry(keyspace, args.at(1), args.at(3), expiry);
    reply.ok();
    Ok(())
}
