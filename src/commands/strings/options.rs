//! The options that SET, GETEX and MSETEX share: conditions, expiry times, GET.

use smallvec::smallvec;

use crate::command::error::CommandError;
use crate::command::keys::{KeyList, KeyReference};
use crate::engine::context::Context;
use crate::keyspace::Expiry;
use crate::resp::{Args, number};

use super::compare::Comparison;
use super::invalid_expire_time;

/// Which options a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Set,
    GetEx,
    MSetEx,
}

/// When a key may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    Always,
    /// NX.
    Absent,
    /// XX.
    Present,
    /// IFEQ and its like.
    Compare(Comparison<'a>),
}

/// In which form an expiry time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeForm {
    Seconds,
    Milliseconds,
    UnixSeconds,
    UnixMilliseconds,
}

impl TimeForm {
    /// The form that this option announces, if it is one of them.
    pub(super) fn of_option(option: &[u8]) -> Option<TimeForm> {
        let forms: [(&[u8], TimeForm); 4] = [
            (b"EX", TimeForm::Seconds),
            (b"PX", TimeForm::Milliseconds),
            (b"EXAT", TimeForm::UnixSeconds),
            (b"PXAT", TimeForm::UnixMilliseconds),
        ];
        let found = forms.iter().find(|(name, _)| option.eq_ignore_ascii_case(name));
        found.map(|(_, form)| *form)
    }

    /// Whether it counts from the epoch rather than from now.
    pub(super) fn is_absolute(self) -> bool {
        matches!(self, TimeForm::UnixSeconds | TimeForm::UnixMilliseconds)
    }

    /// The moment that `text` stands for, in ms since the epoch. Errors: not an integer, not positive, out of range.
    pub(super) fn moment_ms(self, text: &[u8], context: &Context<'_>) -> Result<i64, CommandError> {
        let amount = number::parse_i64(text).ok_or(CommandError::NOT_AN_INTEGER)?;
        let now_ms = context.state.keyspace.now_ms;
        let factor = match self {
            TimeForm::Seconds | TimeForm::UnixSeconds => 1000,
            TimeForm::Milliseconds | TimeForm::UnixMilliseconds => 1,
        };
        let base_ms = if self.is_absolute() { 0 } else { now_ms };
        Some(amount)
            .filter(|amount| *amount > 0)
            .and_then(|amount| amount.checked_mul(factor)?.checked_add(base_ms))
            .ok_or_else(|| invalid_expire_time(context))
    }
}

/// What is asked for about the expiry time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpiryOption<'a> {
    Unspecified,
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Persist,
    Time(TimeForm, &'a [u8]),
}

impl ExpiryOption<'_> {
    /// What becomes of the expiry time of a key that is set. Errors: an expiry time that cannot be.
    pub(super) fn for_set(self, context: &Context<'_>) -> Result<Expiry, CommandError> {
        Ok(match self {
            ExpiryOption::Unspecified | ExpiryOption::Persist => Expiry::Clear,
            ExpiryOption::Keep => Expiry::Keep,
            ExpiryOption::Time(form, text) => Expiry::At(form.moment_ms(text, context)?),
        })
    }

    /// Whether another option about the expiry time may stand beside this one: only the same once more.
    fn admits(self, other: ExpiryOption<'_>) -> bool {
        match (self, other) {
            (ExpiryOption::Unspecified, _) => true,
            (ExpiryOption::Time(form, _), ExpiryOption::Time(other, _)) => form == other,
            _ => self == other,
        }
    }
}

/// The options given to a command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options<'a> {
    pub condition: Condition<'a>,
    pub get: bool,
    pub expiry: ExpiryOption<'a>,
}

/// The key of SET, which is read only if GET is given or its value is to be compared. Nothing is read where the options
/// are wrong.
pub(super) fn find_key(args: Args<'_>) -> KeyList {
    let reads = Options::parse(args.slice_from(3), Syntax::Set)
        .is_ok_and(|options| options.get || matches!(options.condition, Condition::Compare(_)));
    smallvec![if reads { KeyReference::read_and_update(1) } else { KeyReference::overwrite(1) }]
}

impl<'a> Options<'a> {
    /// Reads options. Errors: an unknown one, one that lacks its argument, or two that exclude each other.
    pub(super) fn parse(args: Args<'a>, syntax: Syntax) -> Result<Options<'a>, CommandError> {
        let mut options = Options { condition: Condition::Always, get: false, expiry: ExpiryOption::Unspecified };
        let mut index = 0;
        while index < args.len() {
            index += options.take(args.at(index), args.get(index + 1), syntax)?;
        }
        Ok(options)
    }

    /// Takes one option in; tells how many words it took.
    fn take(&mut self, option: &[u8], next: Option<&'a [u8]>, syntax: Syntax) -> Result<usize, CommandError> {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        if syntax != Syntax::GetEx {
            if is("NX") {
                return self.condition(Condition::Absent, 1);
            }
            if is("XX") {
                return self.condition(Condition::Present, 1);
            }
            if is("KEEPTTL") {
                return self.expiry(ExpiryOption::Keep, 1);
            }
        }
        if syntax == Syntax::GetEx && is("PERSIST") {
            return self.expiry(ExpiryOption::Persist, 1);
        }
        if syntax == Syntax::Set && is("GET") {
            self.get = true;
            return Ok(1);
        }
        let next = next.ok_or(CommandError::SYNTAX)?;
        if let Some(form) = TimeForm::of_option(option) {
            return self.expiry(ExpiryOption::Time(form, next), 2);
        }
        match Comparison::of_option(option, next) {
            Some(comparison) if syntax == Syntax::Set => self.condition(Condition::Compare(comparison), 2),
            _ => Err(CommandError::SYNTAX),
        }
    }

    fn condition(&mut self, condition: Condition<'a>, words: usize) -> Result<usize, CommandError> {
        let fits = match (self.condition, condition) {
            (Condition::Always, _) => true,
            (Condition::Compare(_), _) => false,
            (before, after) => before == after,
        };
        self.condition = condition;
        if fits { Ok(words) } else { Err(CommandError::SYNTAX) }
    }

    fn expiry(&mut self, expiry: ExpiryOption<'a>, words: usize) -> Result<usize, CommandError> {
        let fits = self.expiry.admits(expiry);
        self.expiry = expiry;
        if fits { Ok(words) } else { Err(CommandError::SYNTAX) }
    }
}
