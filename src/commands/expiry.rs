//! When keys expire: EXPIRE, PEXPIRE, EXPIREAT, PEXPIREAT, TTL, PTTL, EXPIRETIME, PEXPIRETIME and PERSIST.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ, UPDATE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::EventClass;
use crate::resp::Args;
use crate::resp::number::parse_i64;

use super::strings::propagate_removal;

/// The tip of commands whose reply depends on when they are called.
const VARIES: &[&str] = &["nondeterministic_output"];

const TTL_HISTORY: &[(&str, &str)] = &[("2.8.0", "-2 stands for a key that does not exist.")];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("expire", -3, Group::Generic, "1.0.0", |context, args| {
        expire(context, args, Unit::Seconds, Base::Now)
    })
    .flags(&[Flag::Write, Flag::Fast])
    .keys(&[KeySpec::one(UPDATE, 1)])
    .summary("Has a key expire after so many seconds.")
    .history(&[("7.0.0", "The conditions `NX`, `XX`, `GT` and `LT`.")])
    .arguments("key seconds:integer condition=[NX|XX|GT|LT]@7.0.0"),
    CommandSpec::new("pexpire", -3, Group::Generic, "2.6.0", |context, args| {
        expire(context, args, Unit::Milliseconds, Base::Now)
    })
    .flags(&[Flag::Write, Flag::Fast])
    .keys(&[KeySpec::one(UPDATE, 1)])
    .summary("Has a key expire after so many milliseconds.")
    .history(&[("7.0.0", "The conditions `NX`, `XX`, `GT` and `LT`.")])
    .arguments("key milliseconds:integer condition=[NX|XX|GT|LT]@7.0.0"),
    CommandSpec::new("expireat", -3, Group::Generic, "1.2.0", |context, args| {
        expire(context, args, Unit::Seconds, Base::Epoch)
    })
    .flags(&[Flag::Write, Flag::Fast])
    .keys(&[KeySpec::one(UPDATE, 1)])
    .summary("Has a key expire at a time, in seconds since the epoch.")
    .history(&[("7.0.0", "The conditions `NX`, `XX`, `GT` and `LT`.")])
    .arguments("key unix-time-seconds:unix-time condition=[NX|XX|GT|LT]@7.0.0"),
    CommandSpec::new("pexpireat", -3, Group::Generic, "2.6.0", |context, args| {
        expire(context, args, Unit::Milliseconds, Base::Epoch)
    })
    .flags(&[Flag::Write, Flag::Fast])
    .keys(&[KeySpec::one(UPDATE, 1)])
    .summary("Has a key expire at a time, in milliseconds since the epoch.")
    .history(&[("7.0.0", "The conditions `NX`, `XX`, `GT` and `LT`.")])
    .arguments("key unix-time-milliseconds:unix-time condition=[NX|XX|GT|LT]@7.0.0"),
    CommandSpec::new("ttl", 2, Group::Generic, "1.0.0", |context, args| tell(context, args, Unit::Seconds, Base::Now))
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .tips(VARIES)
        .keys(&[KeySpec::one(READ, 1)])
        .summary("Tells in how many seconds a key expires.")
        .history(TTL_HISTORY)
        .arguments("key"),
    CommandSpec::new("pttl", 2, Group::Generic, "2.6.0", |context, args| {
        tell(context, args, Unit::Milliseconds, Base::Now)
    })
    .flags(&[Flag::ReadOnly, Flag::Fast])
    .tips(VARIES)
    .keys(&[KeySpec::one(READ, 1)])
    .summary("Tells in how many milliseconds a key expires.")
    .history(TTL_HISTORY)
    .arguments("key"),
    CommandSpec::new("expiretime", 2, Group::Generic, "7.0.0", |context, args| {
        tell(context, args, Unit::Seconds, Base::Epoch)
    })
    .flags(&[Flag::ReadOnly, Flag::Fast])
    .keys(&[KeySpec::one(READ, 1)])
    .summary("Tells when a key expires, in seconds since the epoch.")
    .arguments("key"),
    CommandSpec::new("pexpiretime", 2, Group::Generic, "7.0.0", |context, args| {
        tell(context, args, Unit::Milliseconds, Base::Epoch)
    })
    .flags(&[Flag::ReadOnly, Flag::Fast])
    .keys(&[KeySpec::one(READ, 1)])
    .summary("Tells when a key expires, in milliseconds since the epoch.")
    .arguments("key"),
    CommandSpec::new("persist", 2, Group::Generic, "2.2.0", persist)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(UPDATE, 1)])
        .summary("Has a key not expire any more.")
        .arguments("key"),
];

/// What times are counted in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

/// What times are counted from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Now,
    Epoch,
}

/// On what an expiry time is set.
#[derive(Clone, Copy, Default)]
struct Conditions {
    if_none: bool,
    if_any: bool,
    if_later: bool,
    if_earlier: bool,
}

impl Conditions {
    fn parse(words: Args<'_>) -> Result<Conditions, CommandError> {
        let mut conditions = Conditions::default();
        for word in words.iter() {
            match word.to_ascii_lowercase().as_slice() {
                b"nx" => conditions.if_none = true,
                b"xx" => conditions.if_any = true,
                b"gt" => conditions.if_later = true,
                b"lt" => conditions.if_earlier = true,
                _ => {
                    let word = String::from_utf8_lossy(word);
                    return Err(CommandError::new(format!("ERR Unsupported option {word}")));
                }
            }
        }
        let Conditions { if_none, if_any, if_later, if_earlier } = conditions;
        if if_none && (if_any || if_later || if_earlier) {
            return Err(CommandError::fixed("ERR NX and XX, GT or LT options at the same time are not compatible"));
        }
        if if_later && if_earlier {
            return Err(CommandError::fixed("ERR GT and LT options at the same time are not compatible"));
        }
        Ok(conditions)
    }

    /// Whether the new time may take the place of the present one. No time is later than any.
    fn hold(self, present_ms: Option<i64>, new_ms: i64) -> bool {
        let later = present_ms.is_some_and(|present_ms| new_ms > present_ms);
        let earlier = present_ms.is_none_or(|present_ms| new_ms < present_ms);
        !(self.if_none && present_ms.is_some()
            || self.if_any && present_ms.is_none()
            || self.if_later && !later
            || self.if_earlier && !earlier)
    }
}

/// The time that a request asks for, in ms since the epoch.
fn parse_time(text: &[u8], unit: Unit, base_ms: i64) -> Result<Option<i64>, CommandError> {
    let number = parse_i64(text).ok_or(CommandError::NOT_AN_INTEGER)?;
    let duration_ms = match unit {
        Unit::Seconds => number.checked_mul(1000),
        Unit::Milliseconds => Some(number),
    };
    Ok(duration_ms.and_then(|duration_ms| duration_ms.checked_add(base_ms)))
}

fn expire(context: &mut Context<'_>, args: Args<'_>, unit: Unit, base: Base) -> CommandResult {
    let key = args.at(1);
    let now_ms = context.state.now_ms();
    let base_ms = if base == Base::Now { now_ms } else { 0 };
    let conditions = Conditions::parse(args.slice_from(3))?;
    let Some(time_ms) = parse_time(args.at(2), unit, base_ms)? else {
        return Err(CommandError::invalid_expire_time(context.command_name()));
    };
    let (keyspace, database, reply) = context.parts();
    let present_ms = keyspace.lookup(database, key).map(|record| record.expiry_ms());
    if !present_ms.is_some_and(|present_ms| conditions.hold(present_ms, time_ms)) {
        reply.integer(0);
        return Ok(());
    }
    let event = if keyspace.is_past(time_ms) {
        keyspace.remove(database, key);
        propagate_removal(keyspace, key);
        "del"
    } else {
        keyspace.set_expiry(database, key, Some(time_ms));
        if keyspace.changes.propagation.is_on() && (unit, base) != (Unit::Milliseconds, Base::Epoch) {
            let mut digits = itoa::Buffer::new();
            let name: [&[u8]; 3] = [b"PEXPIREAT", key, digits.format(time_ms).as_bytes()];
            let words = name.into_iter().chain(args.iter().skip(3));
            keyspace.changes.propagation.replace_with(args.len(), words);
        }
        "expire"
    };
    keyspace.changes.notify(EventClass::Generic, event, database, key);
    reply.integer(1);
    Ok(())
}

fn tell(context: &mut Context<'_>, args: Args<'_>, unit: Unit, base: Base) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let base_ms = if base == Base::Now { keyspace.now_ms } else { 0 };
    keyspace.no_touch = true;
    let expiry_ms = keyspace.read(database, args.at(1)).map(|record| record.expiry_ms());
    reply.integer(match expiry_ms {
        None => -2,
        Some(None) => -1,
        Some(Some(time_ms)) => {
            let left_ms = time_ms.saturating_sub(base_ms).max(0);
            match unit {
                // To the nearest second, without overflow.
                Unit::Seconds => left_ms / 1000 + i64::from(left_ms % 1000 >= 500),
                Unit::Milliseconds => left_ms,
            }
        }
    });
    Ok(())
}

fn persist(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let key = args.at(1);
    let (keyspace, database, reply) = context.parts();
    let expires = keyspace.lookup(database, key).is_some_and(|record| record.expiry_ms().is_some());
    if expires {
        keyspace.set_expiry(database, key, None);
        keyspace.changes.notify(EventClass::Generic, "persist", database, key);
    }
    reply.integer(i64::from(expires));
    Ok(())
}
