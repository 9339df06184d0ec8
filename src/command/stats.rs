//! What is counted of commands and of error replies.

use ahash::AHashMap;
use hdrhistogram::Histogram;

use super::CommandId;

/// Longest time that the latency histograms tell apart, in ticks: a second and more, as ticks are not
/// shorter than an eighth of a nanosecond.
const LATENCY_MAX_TICKS: u64 = 8_000_000_000;
/// Kinds of errors counted before counting stops: a client can make any number up.
const ERROR_KINDS_MAX: usize = 128;
/// Of a longer kind only the beginning counts, in bytes.
const ERROR_KIND_MAX_BYTES: usize = 128;

/// The figures of one command.
#[derive(Default)]
pub struct CommandFigures {
    pub calls: u64,
    pub ticks: u64,
    pub failed_calls: u64,
    pub rejected_calls: u64,
    /// Time in ticks of each call, if latency tracking is on.
    pub latency: Option<Box<Histogram<u64>>>,
}

/// The figures of every command, by id.
pub struct CommandStats {
    figures: Vec<CommandFigures>,
}

impl CommandStats {
    /// Zeros for so many commands.
    pub fn new(commands: usize) -> CommandStats {
        CommandStats {
            figures: (0..commands).map(|_| CommandFigures::default()).collect(),
        }
    }

    /// The figures of a command.
    pub fn get(&self, command: CommandId) -> &CommandFigures {
        &self.figures[command.index()]
    }

    /// Counts a call that took so many ticks.
    #[inline]
    pub fn record(&mut self, command: CommandId, ticks: u64, failed: bool, track_latency: bool) {
        let figures = &mut self.figures[command.index()];
        figures.calls += 1;
        figures.ticks += ticks;
        figures.failed_calls += u64::from(failed);
        if track_latency {
            match &mut figures.latency {
                Some(histogram) => histogram.saturating_record(ticks),
                None => figures.latency = new_histogram(ticks),
            }
        }
    }

    /// Counts a call that was refused before it ran.
    pub fn record_rejected(&mut self, command: CommandId) {
        self.figures[command.index()].rejected_calls += 1;
    }

    /// Back to zero.
    pub fn reset(&mut self) {
        self.figures
            .iter_mut()
            .for_each(|figures| *figures = CommandFigures::default());
    }

    /// Drops every command's histogram.
    pub fn reset_latencies(&mut self) {
        self.figures
            .iter_mut()
            .for_each(|figures| figures.latency = None);
    }

    /// Drops one command's histogram.
    pub fn reset_latency(&mut self, command: CommandId) {
        self.figures[command.index()].latency = None;
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
    kinds: AHashMap<String, u64>,
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
        let kind = text.split(' ').next().unwrap_or("ERR");
        // A script may call its errors what it likes.
        let ends = kind.char_indices().map(|(end, _)| end);
        let end = ends.take_while(|end| *end <= ERROR_KIND_MAX_BYTES).last();
        let kind = match kind.len() {
            0..=ERROR_KIND_MAX_BYTES => kind,
            _ => &kind[..end.unwrap_or(0)],
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
        let mut kinds: Vec<_> = self
            .kinds
            .iter()
            .map(|(kind, count)| (&**kind, *count))
            .collect();
        kinds.sort_unstable();
        kinds
    }

    /// Back to zero.
    pub fn reset(&mut self) {
        *self = ErrorStats::default();
    }
}
