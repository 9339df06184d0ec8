//! How the replies of two servers are compared.
//!
//! What the table of commands says of a reply decides: one with the tip `nondeterministic_output` is not compared, the
//! elements of one with `nondeterministic_output_order` are put in order first.

use std::fmt;

use crate::command::registry::Registry;

use super::frames;

/// Commands whose replies tell of one server, or of one connection.
const OF_ONE_CONNECTION: [&str; 4] = ["hello", "client|id", "client|getredir", "memory|usage"];
/// Digits of the first part of a stream ID that a server makes: a time in milliseconds.
const TIME_DIGITS: usize = 13;

/// How the replies to a command are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    Exact,
    /// Their elements come in no particular order; so many frames make up one.
    Unordered(usize),
    /// Two servers, or two runs of one, reply differently.
    Incomparable,
}

impl Rule {
    /// That of a request.
    pub fn of(commands: &Registry, words: &[&[u8]]) -> Rule {
        let Some(command) = commands.resolve(words[0], words.get(1).copied()) else {
            return Rule::Exact;
        };
        if OF_ONE_CONNECTION.contains(&command.full_name.as_str()) {
            return Rule::Incomparable;
        }
        let has = |tip: &str| command.spec.tips.contains(&tip);
        let width = if matches!(command.full_name.as_str(), "hgetall" | "config|get") { 2 } else { 1 };
        match (has("nondeterministic_output"), has("nondeterministic_output_order")) {
            (true, _) => Rule::Incomparable,
            (false, true) => Rule::Unordered(width),
            (false, false) => Rule::Exact,
        }
    }

    /// Whether a reply here and the one there are alike; without one there they are not.
    pub fn accepts(self, own: &[u8], other: Option<&[u8]>) -> bool {
        let Some(other) = other else { return false };
        match self {
            _ if own == other => true,
            Rule::Exact => false,
            Rule::Unordered(width) => frames::sorted(own, width) == frames::sorted(other, width),
            // That one of them refuses it is a difference nevertheless.
            Rule::Incomparable => own.first() != Some(&b'-') && other.first() != Some(&b'-'),
        }
    }
}

/// The rule of the requests of a transaction, which EXEC's reply takes on: the loosest of those that were queued.
#[derive(Debug, Default)]
pub struct Queued(Option<Rule>);

impl Queued {
    /// The rule for the reply to a request, which is queued if it belongs to a transaction.
    pub fn rule_of(&mut self, name: &[u8], rule: Rule) -> Rule {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if is("multi") {
            self.0 = Some(Rule::Exact);
        } else if is("exec") {
            // The replies are within another: their own elements are not put in order.
            let loosest = self.0.take().unwrap_or(Rule::Exact);
            return if loosest == Rule::Exact { Rule::Exact } else { Rule::Incomparable };
        } else if is("discard") || is("reset") {
            self.0 = None;
        } else if let Some(loosest) = &mut self.0 {
            *loosest = rule.max(*loosest);
            return Rule::Exact;
        }
        rule
    }

    /// Whether requests are queued.
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }
}

/// Whether two replies are the same but for stream IDs that the servers have made of their times.
pub fn same_but_for_times(own: &[u8], other: &[u8]) -> bool {
    without_times(own) == without_times(other)
}

/// The lines of a reply without lengths, and with the first part of each stream ID that is a time left out.
fn without_times(reply: &[u8]) -> Vec<&[u8]> {
    let lines = reply.split(|byte| *byte == b'\n').filter(|line| line.first() != Some(&b'$'));
    lines
        .map(|line| {
            let digits = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == TIME_DIGITS && line.get(digits) == Some(&b'-') { &line[digits..] } else { line }
        })
        .collect()
}

/// What has come out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub requests: u64,
    pub same: u64,
    pub different: u64,
    pub incomparable: u64,
}

impl Summary {
    /// Counts a reply to a request; says whether it is to be shown as a difference.
    pub fn count(&mut self, own: &[u8], other: Option<&[u8]>, rule: Rule) -> bool {
        match rule.accepts(own, other) {
            false => self.different += 1,
            true if rule == Rule::Incomparable => self.incomparable += 1,
            true => self.same += 1,
        }
        !rule.accepts(own, other)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { requests, same, different, incomparable } = self;
        writeln!(
            formatter,
            "{requests} requests: {same} replies are the same, {different} differ, {incomparable} cannot be compared."
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_times_may_differ() {
        let id = |time: &str| format!("*1\r\n${}\r\n{time}\r\n$1\r\na\r\n", time.len());
        assert!(same_but_for_times(id("1700000000000-0").as_bytes(), id("1800000000000-0").as_bytes()));
        assert!(!same_but_for_times(id("1700000000000-0").as_bytes(), id("1800000000000-1").as_bytes()));
        assert!(!same_but_for_times(id("5-0").as_bytes(), id("6-0").as_bytes()));
    }

    #[test]
    fn a_transaction_is_as_loose_as_its_requests() {
        let mut queued = Queued::default();
        assert_eq!(queued.rule_of(b"MULTI", Rule::Exact), Rule::Exact);
        assert_eq!(queued.rule_of(b"smembers", Rule::Unordered(1)), Rule::Exact);
        assert!(queued.is_open());
        assert_eq!(queued.rule_of(b"exec", Rule::Exact), Rule::Incomparable);
        assert_eq!(queued.rule_of(b"exec", Rule::Exact), Rule::Exact);
    }
}
