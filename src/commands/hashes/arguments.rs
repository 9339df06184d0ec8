//! What the commands on expiring fields have in common: times, and fields after a count.

use crate::command::error::CommandError;
use crate::resp::Args;
use crate::resp::number::parse_i64;

/// The latest time that a field may expire at, in ms since the epoch: 46 bits of it, as in Redis.
const LATEST_MS: i64 = (1 << 46) - 1;

const FIELDS_MISSING: CommandError =
    CommandError::fixed("ERR Mandatory argument FIELDS is missing or not at the right position");
const COUNT_MISMATCH: CommandError =
    CommandError::fixed("ERR The `numfields` parameter must match the number of arguments");

/// What is said of a count of fields that is none, or not positive.
pub const NOT_POSITIVE: CommandError = CommandError::fixed("ERR Number of fields must be a positive integer");

/// How a time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeForm {
    Seconds,
    Milliseconds,
    UnixSeconds,
    UnixMilliseconds,
}

impl TimeForm {
    /// The form that this option introduces.
    pub fn of_option(word: &[u8]) -> Option<TimeForm> {
        let forms: [(&[u8], TimeForm); 4] = [
            (b"ex", TimeForm::Seconds),
            (b"px", TimeForm::Milliseconds),
            (b"exat", TimeForm::UnixSeconds),
            (b"pxat", TimeForm::UnixMilliseconds),
        ];
        let found = forms.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
        found.map(|(_, form)| *form)
    }

    /// The time in ms since the epoch. Errors: it is no number, negative, or too late.
    pub fn read(self, text: &[u8], now_ms: i64, full_name: &str) -> Result<i64, CommandError> {
        let amount = parse_i64(text).ok_or(CommandError::NOT_AN_INTEGER)?;
        if amount < 0 {
            return Err(CommandError::fixed("ERR invalid expire time, must be >= 0"));
        }
        let (unit_ms, base_ms) = match self {
            TimeForm::Seconds => (1000, now_ms),
            TimeForm::Milliseconds => (1, now_ms),
            TimeForm::UnixSeconds => (1000, 0),
            TimeForm::UnixMilliseconds => (1, 0),
        };
        let time_ms = amount.checked_mul(unit_ms).and_then(|duration_ms| duration_ms.checked_add(base_ms));
        time_ms.filter(|time_ms| *time_ms <= LATEST_MS).ok_or_else(|| CommandError::invalid_expire_time(full_name))
    }
}

/// The names behind `FIELDS count`, which begin at argument `first` and are the last ones. Errors: there is no such
/// word, or the count (`not_positive` is what is said of one below 1) is not theirs.
pub fn named_fields<'a>(
    args: Args<'a>,
    first: usize,
    full_name: &str,
    not_positive: CommandError,
) -> Result<Args<'a>, CommandError> {
    let (Some(word), Some(count)) = (args.get(first), args.get(first + 1)) else {
        return Err(CommandError::wrong_arity(full_name));
    };
    if !word.eq_ignore_ascii_case(b"fields") {
        return Err(FIELDS_MISSING);
    }
    let count = parse_i64(count).filter(|count| *count > 0).ok_or(not_positive)?;
    let names = args.slice_from(first + 2);
    if i64::try_from(names.len()) != Ok(count) {
        return Err(COUNT_MISMATCH);
    }
    Ok(names)
}
