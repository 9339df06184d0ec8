//! CL.THROTTLE: a limit of a rate, with the arguments, replies and errors of the module redis-cell.
//!
//! The generic cell rate algorithm: the key holds the *arrival time* at which the next action would come if all came
//! evenly, in ns since the epoch. Each action moves it on by the *interval* between two actions, from now if it is
//! past. An action is refused if it would be ahead of now by more than the burst allows. When the time has come the key
//! says nothing any more: that is when it expires.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, READ_AND_UPDATE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{Expiry, NewValue};
use crate::resp::Args;

use super::{propagate_removal, propagate_with_expiry, store, text_of};

/// The command that limits a rate.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::new("cl.throttle", -1, Group::String, "4.0.0", throttle)
    .flags(&[Flag::Write, Flag::DenyOom, Flag::Fast])
    .keys(&[KeySpec::one(READ_AND_UPDATE, 1)])
    .summary(
        "Counts actions at a key against a rate, and says whether they are allowed, as the module redis-cell does.",
    )
    .arguments("key max-burst:integer count-per-period:integer period:integer [quantity:integer]")];

const SECOND_NS: i128 = 1_000_000_000;

/// The error of the module in such a case.
fn cell_error(text: impl std::fmt::Display) -> CommandError {
    CommandError::new(format!("Cell error: {text}"))
}

/// How often something may be done.
#[derive(Clone, Copy, Debug)]
struct Limit {
    /// Actions that may come at once.
    actions: i64,
    /// Between two actions in the long run, in ns.
    interval_ns: i128,
}

/// What becomes of actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdict {
    /// The arrival time from now on, unless they are refused.
    arrival_ns: Option<i128>,
    /// How many more actions may come at once.
    remaining: i64,
    /// When they would be allowed, if they are refused and ever would.
    retry_after_ns: Option<i128>,
    /// When all actions may come at once again.
    reset_after_ns: i128,
}

impl Limit {
    /// So many actions in so many seconds, and so many more at once. Errors: there is no such rate.
    fn new(burst: i64, count: i64, period_s: i64) -> Result<Limit, CommandError> {
        let period_ns = i128::from(period_s) * SECOND_NS;
        let interval_ns = match count {
            0 => 0,
            count => (period_ns as f64 / count as f64) as i128,
        };
        if interval_ns == 0 {
            return Err(cell_error("Store error: Zero rates are not supported"));
        }
        Ok(Limit { actions: burst.saturating_add(1), interval_ns })
    }

    /// Decides about so many actions now.
    fn decide(self, arrival_ns: Option<i128>, quantity: i64, now_ns: i128) -> Verdict {
        let tolerance_ns = self.interval_ns.saturating_mul(self.actions.into());
        let increment_ns = self.interval_ns.saturating_mul(quantity.into());
        let before_ns = arrival_ns.unwrap_or(now_ns);
        let after_ns = before_ns.max(now_ns).saturating_add(increment_ns);
        let early_ns = after_ns.saturating_sub(tolerance_ns).saturating_sub(now_ns);
        let is_refused = early_ns > 0;
        let reset_after_ns = if is_refused { before_ns } else { after_ns }.saturating_sub(now_ns);
        let left_ns = tolerance_ns.saturating_sub(reset_after_ns);
        let remaining = match left_ns > self.interval_ns.saturating_neg() {
            true => ((left_ns / 1000) as f64 / (self.interval_ns / 1000) as f64) as i64,
            false => 0,
        };
        Verdict {
            arrival_ns: (!is_refused).then_some(after_ns),
            remaining,
            retry_after_ns: (is_refused && increment_ns <= tolerance_ns).then_some(early_ns),
            reset_after_ns,
        }
    }
}

/// Whole seconds, rounded up where it is more by a millisecond at least: a client that comes back after them is not
/// too early.
fn seconds(time_ns: i128) -> i64 {
    let is_more = time_ns % SECOND_NS >= 1_000_000;
    i64::try_from(time_ns / SECOND_NS + i128::from(is_more)).unwrap_or(i64::MAX)
}

fn integer(text: &[u8]) -> Result<i64, CommandError> {
    let text = String::from_utf8_lossy(text);
    text.parse().map_err(|_| cell_error(format_args!("Store error: Couldn't parse as integer: {text}")))
}

fn throttle(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() != 5 && args.len() != 6 {
        return Err(cell_error(
            "Store error: Usage: cl.throttle <key> <max_burst> <count per period> <period> [<quantity>]",
        ));
    }
    let [burst, count, period_s] = [integer(args.at(2))?, integer(args.at(3))?, integer(args.at(4))?];
    let quantity = args.get(5).map_or(Ok(1), integer)?;
    let limit = Limit::new(burst, count, period_s)?;
    let now_ns = i128::from(context.state.clock.now_us()) * 1000;
    let (keyspace, database, _) = context.parts();
    let key = args.at(1);
    let arrival_ns = match keyspace.lookup(database, key) {
        None => None,
        Some(record) => {
            let parsed = text_of(record)?.with_bytes(|text| String::from_utf8_lossy(text).parse::<i64>());
            Some(i128::from(parsed.map_err(cell_error)?))
        }
    };
    let verdict = limit.decide(arrival_ns, quantity, now_ns);
    if let Some(arrival_ns) = verdict.arrival_ns {
        set_arrival(context, key, arrival_ns);
    }
    let reply = &mut *context.reply;
    reply.array(5);
    reply.integer(i64::from(verdict.arrival_ns.is_none()));
    reply.integer(limit.actions);
    reply.integer(verdict.remaining);
    reply.integer(verdict.retry_after_ns.map_or(-1, seconds));
    reply.integer(seconds(verdict.reset_after_ns));
    Ok(())
}

/// Sets the key to an arrival time, at which it expires: rounded up, since at high rates it would be gone at once
/// otherwise. One that is past already removes it.
fn set_arrival(context: &mut Context<'_>, key: &[u8], arrival_ns: i128) {
    let (keyspace, database, _) = context.parts();
    let arrival_ns = i64::try_from(arrival_ns).unwrap_or(i64::MAX);
    let moment_ms = arrival_ns.div_euclid(1_000_000) + i64::from(arrival_ns.rem_euclid(1_000_000) > 0);
    if keyspace.is_past(moment_ms) {
        if keyspace.delete(database, key) {
            propagate_removal(keyspace, key);
        }
        return;
    }
    if keyspace.changes.propagation.is_on() {
        let mut digits = itoa::Buffer::new();
        propagate_with_expiry(keyspace, key, digits.format(arrival_ns).as_bytes(), Expiry::At(moment_ms));
    }
    store(keyspace, database, key, NewValue::Integer(arrival_ns), Expiry::At(moment_ms));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_allowed_as_the_rate_says() {
        let limit = Limit::new(4, 1, 1).expect("it is a rate");
        let mut arrival_ns = None;
        // When, in ms; how many; what remains; when to try again and when all is as at first, in ms.
        for (at_ms, quantity, remaining, retry_ms, reset_ms) in [
            (0, 6, 5, None, 0),
            (0, 1, 4, None, 1000),
            (0, 4, 0, None, 5000),
            (0, 1, 0, Some(1000), 5000),
            (2500, 3, 2, Some(500), 2500),
            (2500, 2, 0, None, 4500),
            (7250, 0, 5, None, 0),
            (9000, 1, 4, None, 1000),
            (9500, 1, 3, None, 1500),
            (9500, 4, 3, Some(500), 1500),
        ] {
            let ns = |ms: i64| i128::from(ms) * 1_000_000;
            let verdict = limit.decide(arrival_ns, quantity, ns(at_ms));
            let expected = (remaining, retry_ms.map(ns), ns(reset_ms));
            let found = (verdict.remaining, verdict.retry_after_ns, verdict.reset_after_ns);
            assert_eq!(found, expected, "{quantity} at {at_ms}");
            arrival_ns = verdict.arrival_ns.or(arrival_ns);
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        let ms = |ms: i128| seconds(ms * 1_000_000);
        assert_eq!([ms(0), ms(1), ms(1000), ms(1001), ms(-1), ms(-1500)], [0, 1, 1, 2, 0, -1]);
        assert_eq!([seconds(999_999), seconds(i128::MAX)], [0, i64::MAX]);
    }

    #[test]
    fn no_numbers_are_too_large() {
        for numbers in [[i64::MAX; 4], [i64::MIN; 4], [i64::MAX, 1, i64::MIN, i64::MAX], [-1, -1, 1, 0]] {
            let [burst, count, period_s, quantity] = numbers;
            let limit = Limit::new(burst, count, period_s).expect("it is a rate");
            for arrival in [None, Some(i128::from(i64::MAX)), Some(i128::from(i64::MIN))] {
                limit.decide(arrival, quantity, 0);
            }
        }
    }
}
