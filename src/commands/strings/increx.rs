//! INCREX: a counter with bounds and an expiry time.
//!
//! As in Redis 8.8; NX and XX are Valkey's (9.2).

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ_AND_UPDATE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Expiry, Keyspace, NewValue, Text};
use crate::resp::Args;
use crate::resp::{Protocol, Reply};
use crate::text::long_double::LongDouble;

use super::options::{Condition, ExpiryOption, TimeForm};
use super::{propagate_removal, propagate_with_expiry, text_of};

/// The command that counts within bounds.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::new("increx", -2, Group::String, "8.8.0", increx)
    .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
    .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
    .summary("Adds to the number at a key within bounds and sets its expiry time, in one step.")
    .arguments(
        "key condition=[NX|XX] increment=[BYFLOAT float:double|BYINT integer:integer] [SATURATE] [LBOUND lowerbound] \
         [UBOUND upperbound] expiration=[EX seconds:integer|PX milliseconds:integer|EXAT unix-time-seconds:unix-time|\
         PXAT unix-time-milliseconds:unix-time|PERSIST] [ENX]",
    )];

/// What it counts in.
trait Number: Copy + PartialOrd {
    /// What keyspace events call the change.
    const EVENT: &'static str;
    /// What is said of a text that is no such number.
    const REFUSAL: &'static str;

    fn of_text(text: Text<'_>) -> Option<Self>;
    fn lowest() -> Self;
    fn highest() -> Self;
    /// The sum, or on which side it is beyond the type's range.
    fn plus(self, increment: Self) -> Result<Self, Side>;
    /// The difference. Errors: it is beyond the type's range.
    fn minus(self, other: Self) -> Result<Self, CommandError>;
    fn reply(self, reply: &mut Reply);
    /// Hands the number to `set`, as a value.
    fn store(self, set: impl FnOnce(NewValue<'_>));

    fn of_argument(argument: &[u8], name: &str) -> Result<Self, CommandError> {
        Self::of_text(Text::Inline(argument)).ok_or_else(|| CommandError::new(format!("ERR {name} {}", Self::REFUSAL)))
    }
}

/// On which side of what is allowed a number lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Below,
    Above,
}

impl Number for i64 {
    const EVENT: &'static str = "incrby";
    const REFUSAL: &'static str = "is not an integer or out of range";

    fn of_text(text: Text<'_>) -> Option<i64> {
        text.integer()
    }

    fn lowest() -> i64 {
        i64::MIN
    }

    fn highest() -> i64 {
        i64::MAX
    }

    fn plus(self, increment: i64) -> Result<i64, Side> {
        let side = if increment < 0 { Side::Below } else { Side::Above };
        self.checked_add(increment).ok_or(side)
    }

    fn minus(self, other: i64) -> Result<i64, CommandError> {
        self.checked_sub(other).ok_or(CommandError::fixed("ERR applied increment would overflow"))
    }

    fn reply(self, reply: &mut Reply) {
        reply.integer(self);
    }

    fn store(self, set: impl FnOnce(NewValue<'_>)) {
        set(NewValue::Integer(self));
    }
}

impl Number for LongDouble {
    const EVENT: &'static str = "incrbyfloat";
    const REFUSAL: &'static str = "is not a valid float";

    fn of_text(text: Text<'_>) -> Option<LongDouble> {
        text.with_bytes(LongDouble::parse)
    }

    fn lowest() -> LongDouble {
        -LongDouble::largest()
    }

    fn highest() -> LongDouble {
        LongDouble::largest()
    }

    fn plus(self, increment: LongDouble) -> Result<LongDouble, Side> {
        let side = if increment < LongDouble::ZERO { Side::Below } else { Side::Above };
        Some(self + increment).filter(|sum| sum.is_finite()).ok_or(side)
    }

    fn minus(self, other: LongDouble) -> Result<LongDouble, CommandError> {
        let difference = self - other;
        let error = CommandError::fixed("ERR applied increment would be Infinity");
        Some(difference).filter(|difference| difference.is_finite()).ok_or(error)
    }

    fn reply(self, reply: &mut Reply) {
        let mut text = Vec::new();
        self.format(&mut text);
        match reply.protocol() {
            Protocol::Resp2 => reply.bulk(&text),
            Protocol::Resp3 => reply.raw(&[b",", &text[..], b"\r\n"].concat()),
        }
    }

    fn store(self, set: impl FnOnce(NewValue<'_>)) {
        let mut text = Vec::new();
        self.format(&mut text);
        set(NewValue::plain_text(&text, || text.clone().into()));
    }
}

/// The options as they stand in the request.
struct Options<'a> {
    integer: Option<&'a [u8]>,
    float: Option<&'a [u8]>,
    lower: Option<&'a [u8]>,
    upper: Option<&'a [u8]>,
    saturate: bool,
    condition: Condition<'a>,
    expiry: ExpiryOption<'a>,
    /// The expiry time is set only if there is none.
    only_if_lasting: bool,
}

impl<'a> Options<'a> {
    /// Reads the options; none may stand twice.
    fn parse(args: Args<'a>) -> Result<Options<'a>, CommandError> {
        let mut options = Options {
            integer: None,
            float: None,
            lower: None,
            upper: None,
            saturate: false,
            condition: Condition::Always,
            expiry: ExpiryOption::Unspecified,
            only_if_lasting: false,
        };
        let mut index = 0;
        while index < args.len() {
            let words = options.take(args.at(index), args.get(index + 1));
            index += words.ok_or(CommandError::SYNTAX)?;
        }
        let has_time = matches!(options.expiry, ExpiryOption::Time(..));
        let persists = options.expiry == ExpiryOption::Persist;
        if options.integer.is_some() && options.float.is_some() || options.only_if_lasting && persists {
            return Err(CommandError::SYNTAX);
        }
        if options.only_if_lasting && !has_time {
            return Err(CommandError::fixed("ERR ENX flag requires an expiration"));
        }
        Ok(options)
    }

    /// Takes one option in; tells how many words it took, or nothing if it does not fit.
    fn take(&mut self, option: &[u8], next: Option<&'a [u8]>) -> Option<usize> {
        let option = option.to_ascii_uppercase();
        match &option[..] {
            b"SATURATE" => return (!std::mem::replace(&mut self.saturate, true)).then_some(1),
            b"ENX" => return (!std::mem::replace(&mut self.only_if_lasting, true)).then_some(1),
            b"NX" => return self.condition(Condition::Absent),
            b"XX" => return self.condition(Condition::Present),
            b"PERSIST" => return self.expiry(ExpiryOption::Persist, 1),
            _ => {}
        }
        let next = next?;
        let place = match &option[..] {
            b"BYINT" => &mut self.integer,
            b"BYFLOAT" => &mut self.float,
            b"LBOUND" => &mut self.lower,
            b"UBOUND" => &mut self.upper,
            _ => {
                let form = TimeForm::of_option(&option)?;
                return self.expiry(ExpiryOption::Time(form, next), 2);
            }
        };
        place.replace(next).is_none().then_some(2)
    }

    fn condition(&mut self, condition: Condition<'a>) -> Option<usize> {
        let before = std::mem::replace(&mut self.condition, condition);
        (before == Condition::Always).then_some(1)
    }

    fn expiry(&mut self, expiry: ExpiryOption<'a>, words: usize) -> Option<usize> {
        let before = std::mem::replace(&mut self.expiry, expiry);
        (before == ExpiryOption::Unspecified).then_some(words)
    }
}

fn increx(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = Options::parse(args.slice_from(2))?;
    match options.float {
        None => {
            let increment = match options.integer {
                None => 1,
                Some(argument) => i64::of_argument(argument, "Increment")?,
            };
            count(context, args.at(1), increment, &options)
        }
        Some(argument) => {
            let increment = LongDouble::of_argument(argument, "Increment")?;
            if increment.is_infinite() {
                return Err(CommandError::fixed("ERR BYFLOAT increment cannot be Infinity"));
            }
            count(context, args.at(1), increment, &options)
        }
    }
}

fn count<N: Number>(context: &mut Context<'_>, key: &[u8], increment: N, options: &Options<'_>) -> CommandResult {
    let bound =
        |argument: Option<&[u8]>, name: &str| argument.map(|argument| N::of_argument(argument, name)).transpose();
    let lower = bound(options.lower, "LBOUND")?.unwrap_or(N::lowest());
    let upper = bound(options.upper, "UBOUND")?.unwrap_or(N::highest());
    if lower > upper {
        return Err(CommandError::fixed("ERR LBOUND can't be greater than UBOUND"));
    }
    let expiry = options.expiry.for_set(context)?;
    let (keyspace, database, _) = context.parts();
    let record = keyspace.lookup(database, key);
    let (exists, lasts) = (record.is_some(), record.is_none_or(|record| record.expiry_ms().is_none()));
    let zero = increment.minus(increment)?;
    let before = match record {
        None => zero,
        Some(record) => {
            N::of_text(text_of(record)?).ok_or_else(|| CommandError::new(format!("ERR value {}", N::REFUSAL)))?
        }
    };
    if before.minus(before).is_err() {
        return Err(CommandError::fixed("ERR value cannot be Infinity"));
    }
    let wanted = match options.condition {
        Condition::Absent => !exists,
        Condition::Present => exists,
        Condition::Always | Condition::Compare(_) => true,
    };
    let sum = Some(bounded(before, increment, lower, upper)).filter(|_| wanted);
    let after = match sum {
        Some(Ok(sum)) => sum,
        Some(Err(side)) if options.saturate => match side {
            Side::Below => lower,
            Side::Above => upper,
        },
        _ => return reply_pair(context, before, zero),
    };
    let applied = after.minus(before)?;
    let keeps = matches!(options.expiry, ExpiryOption::Unspecified) || options.only_if_lasting && !lasts;
    apply(context, key, after, if keeps { Expiry::Keep } else { expiry });
    reply_pair(context, after, applied)
}

/// The sum, or on which side of the bounds it lies.
fn bounded<N: Number>(before: N, increment: N, lower: N, upper: N) -> Result<N, Side> {
    let sum = before.plus(increment)?;
    if sum > upper {
        Err(Side::Above)
    } else if sum < lower {
        Err(Side::Below)
    } else {
        Ok(sum)
    }
}

/// Sets the key to the number, and its expiry time as asked for. A moment that is over already removes
/// the key instead.
fn apply<N: Number>(context: &mut Context<'_>, key: &[u8], number: N, expiry: Expiry) {
    let (keyspace, database, _) = context.parts();
    if let Expiry::At(moment_ms) = expiry
        && keyspace.is_past(moment_ms)
    {
        keyspace.delete(database, key);
        propagate_removal(keyspace, key);
        return;
    }
    let record = keyspace.peek(database, key);
    let expired_before = record.is_some_and(|record| record.expiry_ms().is_some());
    number.store(|value| {
        propagate_number(keyspace, key, &value, expiry);
        keyspace.set(database, key, value, expiry);
    });
    keyspace.changes.notify(EventClass::String, N::EVENT, database, key);
    match expiry {
        Expiry::At(_) => keyspace.changes.notify(EventClass::Generic, "expire", database, key),
        Expiry::Clear if expired_before => {
            keyspace.changes.notify(EventClass::Generic, "persist", database, key);
        }
        Expiry::Clear | Expiry::Keep => {}
    }
}

/// Has the command passed on as what sets the key to its new number.
fn propagate_number(keyspace: &mut Keyspace, key: &[u8], value: &NewValue<'_>, expiry: Expiry) {
    if !keyspace.changes.propagation.is_on() {
        return;
    }
    let mut digits = itoa::Buffer::new();
    let text = match value {
        NewValue::Integer(number) => digits.format(*number).as_bytes(),
        NewValue::Embedded(text) | NewValue::Raw(text) => text,
        NewValue::Large(text) => text,
        NewValue::Packed(..) | NewValue::Object(_) => return,
    };
    propagate_with_expiry(keyspace, key, text, expiry);
}

fn reply_pair<N: Number>(context: &mut Context<'_>, value: N, applied: N) -> CommandResult {
    context.reply.array(2);
    value.reply(context.reply);
    applied.reply(context.reply);
    Ok(())
}
