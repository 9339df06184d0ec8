//! What is counted of commands and of error replies.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;

use crate::base::usage::Usage;
use crate::command::registry::CommandId;

/// Longest time that the latency histograms tell apart, in ticks: a second and more, as ticks are not
/// shorter than an eighth of a nanosecond.
const LATENCY_MAX_TICKS: u64 = 8_000_000_000;
/// Kinds of errors counted before counting stops: a client can make any number up.
const ERROR_KINDS_MAX: usize = 128;
/// Longest word that counts as a kind, in bytes, as in Redis.
const ERROR_KIND_BYTES_MAX: usize = 30;

/// How long replies were leaving. Counted once for each flush, so there is no more than two additions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    pub flushes: u64,
    pub ticks: u64,
}

/// The figures of one command.
#[derive(Default)]
pub struct CommandCounts {
    pub calls: u64,
    pub ticks: u64,
    pub failed_calls: u64,
    pub rejected_calls: u64,
    /// What its requests waited, from the beginning of their turns until their batches ran.
    pub waiting: Usage,
    /// How long replies were leaving, until their sockets had taken them: once for each flush, as its last command's.
    pub leaving: Leaving,
    /// How long replies waited for the disk before that, in the same way.
    pub disk: Usage,
    /// Time in ticks of each call, if latency tracking is on.
    pub latency: Option<Box<Histogram<u64>>>,
}

/// The figures of every command, by id.
pub struct CommandStats {
    stats: Vec<CommandCounts>,
}

impl CommandStats {
    /// Zeros for so many commands.
    pub fn new(commands: usize) -> CommandStats {
        CommandStats { stats: (0..commands).map(|_| CommandCounts::default()).collect() }
    }

    /// The figures of a command.
    pub fn get(&self, command: CommandId) -> &CommandCounts {
        &self.stats[command.index()]
    }

    /// Counts a call that took so many ticks.
    #[inline]
    pub fn record(&mut self, command: CommandId, ticks: u64, failed: bool, track_latency: bool) {
        let stats = &mut self.stats[command.index()];
        stats.calls += 1;
        stats.ticks += ticks;
        stats.failed_calls += u64::from(failed);
        if track_latency {
            match &mut stats.latency {
                Some(histogram) => histogram.saturating_record(ticks),
                None => stats.latency = new_histogram(ticks),
            }
        }
    }

    /// Notes that so many requests of a batch waited for so many ticks each.
    #[inline]
    pub fn record_waiting(&mut self, command: CommandId, ticks: u64, requests: u64) {
        self.stats[command.index()].waiting.add(requests, ticks * requests, ticks);
    }

    /// Notes that replies, the last of them this command's, took so many ticks until their socket had taken them.
    #[inline]
    pub fn record_leaving(&mut self, command: CommandId, ticks: u64) {
        let leaving = &mut self.stats[command.index()].leaving;
        leaving.flushes += 1;
        leaving.ticks += ticks;
    }

    /// Notes that replies, the last of them this command's, waited so many ticks for the disk.
    pub fn record_disk(&mut self, command: CommandId, ticks: u64) {
        self.stats[command.index()].disk.add(1, ticks, ticks);
    }

    /// Counts a call that was refused before it ran.
    pub fn record_rejected(&mut self, command: CommandId) {
        self.stats[command.index()].rejected_calls += 1;
    }

    /// Back to zero.
    pub fn reset(&mut self) {
        self.stats.iter_mut().for_each(|stats| *stats = CommandCounts::default());
    }

    /// Drops every command's histogram.
    pub fn reset_latencies(&mut self) {
        self.stats.iter_mut().for_each(|stats| stats.latency = None);
    }
}

#[cold]
fn new_histogram(first: u64) -> Option<Box<Histogram<u64>>> {
    let mut histogram = Histogram::new_with_bounds(1, LATENCY_MAX_TICKS, 2).ok()?;
    histogram.saturating_record(first);
    Some(Box::new(histogram))
}

/// How often each kind of error (the word that an error reply begins with) was replied.
#[derive(Default)]
pub struct ErrorStats {
    kinds: BTreeMap<String, u64>,
    total: u64,
    overflowed: bool,
}

impl ErrorStats {
    /// Counts an error reply with this text.
    pub fn record(&mut self, text: &str) {
        self.total += 1;
        if self.overflowed {
            return;
        }
        // An error of one word, or one that begins with a longer one, is of no kind of its own.
        let kind = match text.split_once(' ') {
            Some((kind, _)) if kind.len() <= ERROR_KIND_BYTES_MAX => kind,
            _ => "ERR",
        };
        if let Some(count) = self.kinds.get_mut(kind) {
            *count += 1;
        } else if self.kinds.len() < ERROR_KINDS_MAX {
            self.kinds.insert(kind.to_string(), 1);
        } else {
            self.kinds.clear();
            self.kinds.insert("ERRORSTATS_DISABLED".to_string(), 1);
            self.overflowed = true;
        }
    }

    /// Number of error replies.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The kinds with their counts, in order of the name.
    pub fn kinds(&self) -> Vec<(&str, u64)> {
        self.kinds.iter().map(|(kind, count)| (&**kind, *count)).collect()
    }

    /// Back to zero.
    pub fn reset(&mut self) {
        *self = ErrorStats::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_counts_by_the_word_that_it_begins_with() {
        let mut stats = ErrorStats::default();
        let (longest, too_long) = ("A".repeat(30), "A".repeat(31));
        let texts = ["WRONGTYPE x", "alone", "", "a b c"].map(str::to_string);
        for text in texts.into_iter().chain([format!("{longest} x"), format!("{too_long} x")]) {
            stats.record(&text);
        }
        let kinds = [(longest.as_str(), 1), ("ERR", 3), ("WRONGTYPE", 1), ("a", 1)];
        assert_eq!(stats.kinds(), kinds);
        assert_eq!(stats.total(), 6);
    }

    #[test]
    fn kinds_that_are_made_up_are_counted_no_more() {
        let mut stats = ErrorStats::default();
        (0..ERROR_KINDS_MAX + 5).for_each(|number| stats.record(&format!("E{number} x")));
        assert_eq!(stats.kinds(), [("ERRORSTATS_DISABLED", 1)]);
        assert_eq!(stats.total(), ERROR_KINDS_MAX as u64 + 5);
    }
}
