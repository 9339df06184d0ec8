//! What a server has counted and measured in a run, to be compared with another run's.

use hdrhistogram::Histogram;

use crate::engine::state::ServerState;

/// Figures of one run.
#[derive(Clone, Debug)]
pub struct Figures {
    pub hits: u64,
    pub misses: u64,
    pub evicted_keys: u64,
    pub expired_keys: u64,
    pub peak_memory_bytes: u64,
    /// How long the turns took in which commands have run, in ns.
    turns: Histogram<u64>,
    longest_ns: u64,
}

/// Digits of a length that are told apart.
const DIGITS: u8 = 3;

impl Default for Figures {
    fn default() -> Figures {
        Figures {
            hits: 0,
            misses: 0,
            evicted_keys: 0,
            expired_keys: 0,
            peak_memory_bytes: 0,
            // INVARIANT: so many digits can be had.
            turns: Histogram::new(DIGITS).expect("digits from 0 to 5"),
            longest_ns: 0,
        }
    }
}

impl Figures {
    /// Notes the length of a turn in which commands have run.
    pub fn note_turn(&mut self, turn_ns: u64) {
        // A histogram that grows by itself takes every length.
        let _ = self.turns.record(turn_ns);
        self.longest_ns = self.longest_ns.max(turn_ns);
    }

    /// Notes what the server has counted by its end.
    pub fn note_state(&mut self, state: &ServerState) {
        let stats = &state.keyspace.stats;
        (self.hits, self.misses) = (stats.hits, stats.misses);
        (self.evicted_keys, self.expired_keys) = (stats.evicted_keys, stats.expired_keys);
        self.peak_memory_bytes = state.stats.peak_memory_bytes as u64;
    }

    /// The lines of a table: what a figure is, and its text.
    pub fn lines(&self) -> [(&'static str, String); 8] {
        let reads = self.hits + self.misses;
        let hit_rate = match reads {
            0 => "no reads".to_string(),
            _ => format!("{:.2} %", 100.0 * self.hits as f64 / reads as f64),
        };
        let milliseconds = |nanos: u64| format!("{:.3} ms", nanos as f64 / 1e6);
        let at = |quantile: f64| milliseconds(self.turns.value_at_quantile(quantile).min(self.longest_ns));
        [
            ("hit rate", hit_rate),
            ("keys evicted", self.evicted_keys.to_string()),
            ("keys expired", self.expired_keys.to_string()),
            ("memory at its peak", format!("{:.2} MB", self.peak_memory_bytes as f64 / f64::from(1 << 20))),
            ("turns with commands", self.turns.len().to_string()),
            ("turn, median", at(0.5)),
            ("turn, p99", at(0.99)),
            ("turn, longest", milliseconds(self.longest_ns)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_tell_what_was_noted() {
        let mut figures = Figures::default();
        assert_eq!(figures.lines()[0].1, "no reads");
        (1..=100).for_each(|turn| figures.note_turn(turn * 1_000_000));
        (figures.hits, figures.misses, figures.peak_memory_bytes) = (3, 1, 3 << 19);
        let texts = figures.lines().map(|(_, text)| text);
        assert_eq!(texts[0], "75.00 %");
        assert_eq!(texts[3..5], ["1.50 MB", "100"]);
        assert!(texts[5].starts_with("50.") && texts[6].starts_with("99."), "{texts:?}");
        assert_eq!(texts[7], "100.000 ms");
    }
}
