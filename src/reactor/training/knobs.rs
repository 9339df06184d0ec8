//! What a student can set: limits of the loop that are constants in a server, and a few settings.

use crate::reactor::event_loop::{BACKPRESSURE_BYTES, SHARE_NS, SHARED_BUFFER_BYTES};
use crate::resp::BATCH_MAX;

/// Something that the student can set.
pub(super) struct Knob {
    pub name: &'static str,
    pub unit: &'static str,
    pub least: u64,
    pub most: u64,
    /// Words for the values, if they are no quantities.
    pub words: &'static [&'static str],
    /// Where it stands in a server.
    pub usual: u64,
}

const fn amount(name: &'static str, unit: &'static str, least: u64, most: u64, usual: u64) -> Knob {
    Knob { name, unit, least, most, words: &[], usual }
}

const fn choice(name: &'static str, words: &'static [&'static str], usual: u64) -> Knob {
    Knob { name, unit: "", least: 0, most: words.len() as u64 - 1, words, usual }
}

/// The knobs.
pub(super) static KNOBS: &[Knob] = &[
    amount("share", "µs", 1, 100_000, SHARE_NS / 1000),
    amount("read-buffer", "bytes", 1, SHARED_BUFFER_BYTES as u64, SHARED_BUFFER_BYTES as u64),
    amount("batch", "requests", 1, BATCH_MAX as u64, BATCH_MAX as u64),
    amount("backpressure", "bytes", 65_536, BACKPRESSURE_BYTES as u64, BACKPRESSURE_BYTES as u64),
    amount("socket", "bytes", 1, 1 << 30, 1 << 30),
    amount("jobs-budget", "µs", 1, 500, 500),
    amount("look", "ns", 100, 1_000_000, 1000),
    choice("appendfsync", &["no", "everysec", "always"], 1),
    choice("echo-drains", &["no", "yes"], 1),
];

impl Knob {
    /// The value that a word means.
    pub(super) fn parse(&self, word: &str) -> Option<u64> {
        if let Some(place) = self.words.iter().position(|known| *known == word) {
            return Some(place as u64);
        }
        let value = if self.words.is_empty() { word.parse().ok() } else { None };
        value.filter(|value| (self.least..=self.most).contains(value))
    }

    /// What it takes, in a sentence.
    pub(super) fn expectation(&self) -> String {
        match self.words {
            [] => format!("{} takes a number from {} to {}.", self.name, self.least, self.most),
            words => format!("{} is one of: {}.", self.name, words.join(", ")),
        }
    }
}
