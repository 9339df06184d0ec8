//! Which keys take the memory, estimated from a sample, with the error of the estimate.
//!
//! Every key of all databases that is not hidden has the same chance to be drawn. Of `n` drawn keys out of `N`, a group
//! that holds `b` bytes of the sample is estimated at `b N / n`; the error is the half-width of the interval that holds
//! the true value in 95 of 100 cases, by the variance of the sample.

use std::collections::BTreeMap;

use crate::engine::state::ServerState;
use crate::keyspace::Record;
use crate::text::json::Json;

/// Keys drawn in one step.
const STEP_KEYS: usize = 64;
/// Keys of one sample.
const SAMPLE_KEYS: u64 = 4096;
/// Groups that are told apart; the keys of all others are counted together.
const GROUPS_MAX: usize = 256;
/// Groups, and largest keys, that are told.
const SHOWN_MAX: usize = 12;
/// Bytes kept of a key, and of a prefix.
const KEY_BYTES_MAX: usize = 96;
/// The quantile of the normal distribution for 95 %.
const QUANTILE: f64 = 1.96;

/// A sample that grows, and what the last complete one said.
#[derive(Default)]
pub(super) struct Sampling {
    random: Option<fastrand::Rng>,
    drawn: u64,
    types: BTreeMap<Vec<u8>, Sum>,
    prefixes: BTreeMap<Vec<u8>, Sum>,
    largest: Vec<(usize, Vec<u8>, &'static str)>,
    told: Option<String>,
    /// Whether a whole sample has been told.
    is_told_whole: bool,
}

#[derive(Clone, Copy, Default)]
struct Sum {
    keys: u64,
    bytes: f64,
    squares: f64,
}

impl Sum {
    fn add(&mut self, bytes: f64) {
        self.keys += 1;
        self.bytes += bytes;
        self.squares += bytes * bytes;
    }

    /// The group's bytes among `all` keys, of which `drawn` were drawn, and the error.
    fn estimate(&self, drawn: u64, all: u64) -> (f64, f64) {
        let (drawn, all) = (drawn as f64, all as f64);
        let variance = (self.squares - self.bytes * self.bytes / drawn) / (drawn - 1.0).max(1.0);
        (self.bytes * all / drawn, QUANTILE * all * (variance.max(0.0) / drawn).sqrt())
    }
}

impl Sampling {
    /// Draws some keys.
    pub(super) fn step(&mut self, state: &ServerState) {
        let lengths = visible_lengths(state);
        let keys = lengths.iter().sum();
        if keys == 0 {
            *self = Sampling { random: self.random.take(), ..Sampling::default() };
            return;
        }
        let mut random = self.random.take().unwrap_or_else(|| fastrand::Rng::with_seed(state.clock.monotonic_us()));
        for _ in 0..STEP_KEYS {
            let mut place = random.u64(..keys);
            for (database, length) in state.keyspace.databases().zip(&lengths) {
                if place < *length {
                    let record = database.records().random(&mut random);
                    if let Some(record) = record.filter(|record| !state.keyspace.is_hidden(record.key())) {
                        self.add(record);
                    }
                    break;
                }
                place -= length;
            }
        }
        self.random = Some(random);
        let is_complete = self.drawn >= SAMPLE_KEYS;
        // The first sample is told as it grows, so that a viewer need not wait for it.
        if is_complete || !self.is_told_whole {
            self.told = Some(self.text(keys));
        }
        if is_complete {
            let (random, told) = (self.random.take(), self.told.take());
            *self = Sampling { random, told, is_told_whole: true, ..Sampling::default() };
        }
    }

    fn add(&mut self, record: &Record) {
        let bytes = record.memory_bytes();
        let key = &record.key()[..record.key().len().min(KEY_BYTES_MAX)];
        let kind = record.value().type_name();
        self.drawn += 1;
        add_to(&mut self.types, kind.as_bytes(), bytes);
        add_to(&mut self.prefixes, prefix_of(key), bytes);
        let is_larger = self.largest.len() < SHOWN_MAX || self.largest.last().is_some_and(|last| last.0 < bytes);
        if is_larger && !self.largest.iter().any(|(_, known, _)| known == key) {
            self.largest.push((bytes, key.to_vec(), kind));
            self.largest.sort_by_key(|(bytes, ..)| std::cmp::Reverse(*bytes));
            self.largest.truncate(SHOWN_MAX);
        }
    }

    fn text(&self, keys: u64) -> String {
        let mut json = Json::default();
        json.object(|json| {
            json.number_field("keys", keys);
            json.number_field("sampled", self.drawn);
            self.write_groups(json, "types", &self.types, keys);
            self.write_groups(json, "prefixes", &self.prefixes, keys);
            json.name("largest");
            json.array(|json| {
                for (bytes, key, kind) in &self.largest {
                    json.array(|row| {
                        row.string(key);
                        row.string(kind.as_bytes());
                        row.number(bytes);
                    });
                }
            });
        });
        json.into_text()
    }

    /// Rows of name, keys of the sample, bytes and error.
    fn write_groups(&self, json: &mut Json, name: &str, groups: &BTreeMap<Vec<u8>, Sum>, keys: u64) {
        let mut groups: Vec<(&Vec<u8>, &Sum)> = groups.iter().collect();
        groups.sort_by(|a, b| b.1.bytes.total_cmp(&a.1.bytes).then(a.0.cmp(b.0)));
        json.name(name);
        json.array(|json| {
            for (group, sum) in groups.into_iter().take(SHOWN_MAX) {
                let (bytes, error) = sum.estimate(self.drawn, keys);
                json.array(|row| {
                    row.string(group);
                    row.number(sum.keys);
                    row.number(bytes.round());
                    row.number(error.round());
                });
            }
        });
    }

    /// What the last sample said, as JSON; nothing while there are no keys.
    pub(super) fn told(&self) -> Option<&str> {
        self.told.as_deref()
    }
}

/// Numbers of keys of the databases, without keys that are hidden.
fn visible_lengths(state: &ServerState) -> Vec<u64> {
    (0..state.keyspace.count()).map(|database| state.keyspace.visible_len(database) as u64).collect()
}

fn add_to(groups: &mut BTreeMap<Vec<u8>, Sum>, name: &[u8], bytes: usize) {
    let is_full = groups.len() >= GROUPS_MAX && !groups.contains_key(name);
    let name = if is_full { b"(others)".as_slice() } else { name };
    match groups.get_mut(name) {
        Some(sum) => sum.add(bytes as f64),
        None => groups.entry(name.to_vec()).or_default().add(bytes as f64),
    }
}

/// A key up to its first colon, the colon included; empty: there is none.
fn prefix_of(key: &[u8]) -> &[u8] {
    memchr::memchr(b':', key).map_or(&[], |place| &key[..=place])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::collections::key_slot::key_slot;
    use crate::config::Config;
    use crate::keyspace::{Expiry, NewValue};

    #[test]
    fn prefixes_end_with_the_first_colon() {
        let cases = [("user:1:name", "user:"), ("user", ""), (":x", ":"), ("", "")];
        for (key, prefix) in cases {
            assert_eq!(prefix_of(key.as_bytes()), prefix.as_bytes());
        }
    }

    #[test]
    fn hidden_keys_are_not_drawn() {
        let config = Config { cluster_enabled: true, ..Config::default() };
        let clock = Clock::virtual_at(1_000_000);
        let mut state = ServerState::new(&crate::commands::PROGRAM, config, clock, &Entropy::Seeded(1));
        for number in 0..100 {
            let key = format!("{{{}}}:{number}", if number % 2 == 0 { "seen" } else { "hidden" });
            state.keyspace.set(0, key.as_bytes(), NewValue::Integer(number), Expiry::Clear);
        }
        state.keyspace.hide_slots([key_slot(b"hidden")]);
        let mut sampling = Sampling::default();
        for _ in 0..10 {
            sampling.step(&state);
        }
        let told = sampling.told().unwrap_or_default();
        assert!(told.contains("\"keys\":50") && told.contains("seen") && !told.contains("hidden"), "{told}");
        state.keyspace.hide_slots([key_slot(b"hidden"), key_slot(b"seen")]);
        sampling.step(&state);
        assert_eq!(sampling.told(), None);
    }

    /// A group of a tenth of all keys, each of 100 bytes: the true sum is within the error as often as is said.
    #[test]
    fn the_error_is_what_it_is_said_to_be() {
        let mut random = fastrand::Rng::with_seed(5);
        let (keys, drawn, rounds) = (100_000, 1000, 400);
        let mut within = 0;
        for _ in 0..rounds {
            let mut sum = Sum::default();
            (0..drawn).filter(|_| random.u32(..10) == 0).for_each(|_| sum.add(100.0));
            let (bytes, error) = sum.estimate(drawn, keys);
            within += u32::from((bytes - 1_000_000.0).abs() <= error);
        }
        assert!((360..=396).contains(&within), "{within} of {rounds}");
    }
}
