//! The ledger: which keys take the memory, how many there are, and which are asked for, by the prefix of the key.
//! Estimated from samples, with the error of each estimate.
//!
//! *Memory and keys.* Every key of all databases that is not hidden has the same chance to be drawn. Of `n` drawn keys
//! out of `N`, a group that holds `b` bytes of the sample is estimated at `b N / n`.
//!
//! *Requests.* One of `GAP` requests is looked at, on average, so `r` of them stand for `r · GAP`.
//!
//! Keys that come or go while a sample is drawn, some seconds, are in it in part: the error knows nothing of that.
//!
//! An error is the half-width of the interval that holds the true value in 95 of 100 cases, by the variance of the
//! sample. A prefix is a key up to its first colon. The number of prefixes that are told apart is bounded.

use std::collections::BTreeMap;

use super::hot_keys::GAP;
use crate::keyspace::{Keyspace, Record};

/// Keys drawn in one step.
const STEP_KEYS: usize = 64;
/// Keys of one sample.
const SAMPLE_KEYS: u64 = 4096;
/// Groups of a sample that are told apart; the keys of all others are counted together.
const GROUPS_MAX: usize = 256;
/// Prefixes whose requests are told apart.
const ASKED_MAX: usize = 64;
/// Largest keys that are kept.
const LARGEST_MAX: usize = 12;
/// Bytes kept of a key, and of a prefix.
const KEY_BYTES_MAX: usize = 96;
/// The quantile of the normal distribution for 95 %.
const QUANTILE: f64 = 1.96;
/// Where the random draws begin.
const SEED: u64 = 0x6c65_6467;
/// The name of all groups that are not told apart. No prefix is like it: each ends with a colon, or is empty.
pub const OTHERS: &[u8] = b"(others)";

/// A figure that follows from a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    pub value: f64,
    /// The true value is no further away, in 95 of 100 cases.
    pub error: f64,
}

/// The keys of a group in a sample, their bytes, and the squares of these.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    pub keys: u64,
    bytes: f64,
    squares: f64,
}

impl Sum {
    fn add(&mut self, bytes: f64) {
        self.keys += 1;
        self.bytes += bytes;
        self.squares += bytes * bytes;
    }

    /// Both groups as one.
    pub fn with(self, other: &Sum) -> Sum {
        Sum { keys: self.keys + other.keys, bytes: self.bytes + other.bytes, squares: self.squares + other.squares }
    }
}

/// A key that takes much memory.
#[derive(Clone, Debug)]
pub struct LargeKey {
    pub bytes: usize,
    /// Its beginning.
    pub key: Vec<u8>,
    /// The name of its type.
    pub kind: &'static str,
}

/// Keys that were drawn.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// All keys, when the last one was drawn.
    pub keys: u64,
    pub drawn: u64,
    types: BTreeMap<Vec<u8>, Sum>,
    prefixes: BTreeMap<Vec<u8>, Sum>,
    /// The largest first.
    pub largest: Vec<LargeKey>,
}

impl Sample {
    fn add(&mut self, record: &Record) {
        let bytes = record.memory_bytes();
        let key = &record.key()[..record.key().len().min(KEY_BYTES_MAX)];
        let kind = record.value().type_name();
        self.drawn += 1;
        add_to(&mut self.types, kind.as_bytes(), bytes);
        add_to(&mut self.prefixes, prefix_of(key), bytes);
        let is_larger = self.largest.len() < LARGEST_MAX || self.largest.last().is_some_and(|last| last.bytes < bytes);
        if is_larger && !self.largest.iter().any(|known| known.key == key) {
            self.largest.push(LargeKey { bytes, key: key.to_vec(), kind });
            self.largest.sort_by_key(|known| std::cmp::Reverse(known.bytes));
            self.largest.truncate(LARGEST_MAX);
        }
    }

    /// The bytes of a group.
    pub fn bytes(&self, sum: &Sum) -> Estimate {
        self.estimate(sum.bytes, sum.squares)
    }

    /// The keys of a group.
    pub fn keys(&self, sum: &Sum) -> Estimate {
        self.estimate(sum.keys as f64, sum.keys as f64)
    }

    /// The total of an amount, of which the sample has this sum, and this sum of squares.
    fn estimate(&self, sum: f64, squares: f64) -> Estimate {
        let (drawn, all) = (self.drawn as f64, self.keys as f64);
        let variance = (squares - sum * sum / drawn) / (drawn - 1.0).max(1.0);
        Estimate { value: sum * all / drawn, error: QUANTILE * all * (variance.max(0.0) / drawn).sqrt() }
    }

    /// The types, that with the most memory first.
    pub fn types(&self) -> Vec<(&[u8], Sum)> {
        by_bytes(&self.types)
    }

    /// The prefixes, that with the most memory first.
    pub fn prefixes(&self) -> Vec<(&[u8], Sum)> {
        by_bytes(&self.prefixes)
    }
}

fn by_bytes(groups: &BTreeMap<Vec<u8>, Sum>) -> Vec<(&[u8], Sum)> {
    let mut groups: Vec<(&[u8], Sum)> = groups.iter().map(|(name, sum)| (name.as_slice(), *sum)).collect();
    groups.sort_by(|a, b| b.1.bytes.total_cmp(&a.1.bytes).then(a.0.cmp(b.0)));
    groups
}

fn add_to(groups: &mut BTreeMap<Vec<u8>, Sum>, name: &[u8], bytes: usize) {
    let is_full = groups.len() >= GROUPS_MAX && !groups.contains_key(name);
    let name = if is_full { OTHERS } else { name };
    match groups.get_mut(name) {
        Some(sum) => sum.add(bytes as f64),
        None => groups.entry(name.to_vec()).or_default().add(bytes as f64),
    }
}

/// A key up to its first colon, the colon included; empty: there is none.
fn prefix_of(key: &[u8]) -> &[u8] {
    memchr::memchr(b':', key).map_or(&[], |place| &key[..=place])
}

/// Requests that were looked at. These figures only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub requests: u64,
    /// Those whose key was there before the request's batch was run.
    pub hits: u64,
}

impl Asked {
    fn add(&mut self, other: Asked) {
        self.requests += other.requests;
        self.hits += other.hits;
    }
}

/// What stands for so many requests that were looked at. The error is that of independent draws; distances between
/// looked-at requests vary less, so the true one is a little smaller.
pub fn requests_of(looked_at: u64) -> Estimate {
    let (gap, looked_at) = (f64::from(GAP), looked_at as f64);
    Estimate { value: gap * looked_at, error: QUANTILE * gap * looked_at.sqrt() }
}

/// The requests about a prefix, and in which period the last one was.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    asked: Asked,
    period: u64,
}

/// The ledger: the sample that grows, the last complete one, and the requests.
#[derive(Debug)]
pub struct Ledger {
    random: fastrand::Rng,
    growing: Sample,
    complete: Option<Sample>,
    asked: BTreeMap<Vec<u8>, Place>,
    /// Requests about prefixes that have no place, or have lost it.
    others: Asked,
    /// Samples that were completed. A prefix that nothing was asked of for a whole period may lose its place.
    period: u64,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger {
            random: fastrand::Rng::with_seed(SEED),
            growing: Sample::default(),
            complete: None,
            asked: BTreeMap::new(),
            others: Asked::default(),
            period: 0,
        }
    }
}

impl Ledger {
    /// Draws some keys.
    pub fn step(&mut self, keyspace: &Keyspace) {
        let lengths: Vec<u64> = (0..keyspace.count()).map(|database| keyspace.visible_len(database) as u64).collect();
        let keys = lengths.iter().sum();
        if keys == 0 {
            (self.growing, self.complete) = (Sample::default(), None);
            self.period += 1;
            return;
        }
        for _ in 0..STEP_KEYS {
            let mut place = self.random.u64(..keys);
            for (database, length) in keyspace.databases().zip(&lengths) {
                if place < *length {
                    let record = database.records().random(&mut self.random);
                    if let Some(record) = record.filter(|record| !keyspace.is_hidden(record.key())) {
                        self.growing.add(record);
                    }
                    break;
                }
                place -= length;
            }
        }
        self.growing.keys = keys;
        if self.growing.drawn >= SAMPLE_KEYS {
            self.complete = Some(std::mem::take(&mut self.growing));
            self.period += 1;
        }
    }

    /// The last complete sample. The first one is shown as it grows, so that a viewer need not wait for it. Nothing
    /// while there are no keys.
    pub fn sample(&self) -> Option<&Sample> {
        self.complete.as_ref().or(Some(&self.growing).filter(|sample| sample.drawn > 0))
    }

    /// Notes a request that was looked at.
    pub fn note_request(&mut self, key: &[u8], is_hit: bool) {
        let asked = Asked { requests: 1, hits: is_hit.into() };
        let prefix = prefix_of(&key[..key.len().min(KEY_BYTES_MAX)]);
        if let Some(place) = self.asked.get_mut(prefix) {
            place.asked.add(asked);
            place.period = self.period;
        } else if self.asked.len() < ASKED_MAX || self.make_place() {
            self.asked.insert(prefix.to_vec(), Place { asked, period: self.period });
        } else {
            self.others.add(asked);
        }
    }

    /// Has the prefix with the least requests lose its place, of those that nothing was asked of lately; says whether
    /// there was one.
    fn make_place(&mut self) -> bool {
        let old = self.asked.iter().filter(|(_, place)| place.period + 1 < self.period);
        let Some(prefix) = old.min_by_key(|(_, place)| place.asked.requests).map(|(prefix, _)| prefix.clone()) else {
            return false;
        };
        if let Some(place) = self.asked.remove(&prefix) {
            self.others.add(place.asked);
        }
        true
    }

    /// The prefixes that were asked for, that with the most requests first, and all others behind them.
    pub fn asked(&self) -> Vec<(&[u8], Asked)> {
        let mut asked: Vec<(&[u8], Asked)> =
            self.asked.iter().map(|(prefix, place)| (prefix.as_slice(), place.asked)).collect();
        asked.sort_by(|a, b| b.1.requests.cmp(&a.1.requests).then(a.0.cmp(b.0)));
        if self.others.requests > 0 {
            asked.push((OTHERS, self.others));
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::hash::HashSeed;
    use crate::collections::key_hash::KeyHasher;
    use crate::collections::key_slot::key_slot;
    use crate::keyspace::{Expiry, NewValue};

    fn set(keyspace: &mut Keyspace, database: usize, key: &str, bytes: usize) {
        keyspace.set(database, key.as_bytes(), NewValue::Raw(&vec![b'x'; bytes]), Expiry::Clear);
    }

    #[test]
    fn prefixes_end_with_the_first_colon() {
        let cases = [("user:1:name", "user:"), ("user", ""), (":x", ":"), ("", "")];
        for (key, prefix) in cases {
            assert_eq!(prefix_of(key.as_bytes()), prefix.as_bytes());
        }
    }

    #[test]
    fn hidden_keys_are_not_drawn() {
        let mut keyspace = Keyspace::new(1, KeyHasher::by_slot(HashSeed::from_seed(1)));
        for number in 0..100 {
            let key = format!("{{{}}}:{number}", if number % 2 == 0 { "seen" } else { "hidden" });
            set(&mut keyspace, 0, &key, 3);
        }
        keyspace.hide_slots([key_slot(b"hidden")]);
        let mut ledger = Ledger::default();
        (0..10).for_each(|_| ledger.step(&keyspace));
        let sample = ledger.sample().expect("keys were drawn");
        assert_eq!(sample.keys, 50);
        let prefixes: Vec<&[u8]> = sample.prefixes().into_iter().map(|(prefix, _)| prefix).collect();
        assert_eq!(prefixes, [b"{seen}:"]);
        keyspace.hide_slots([key_slot(b"hidden"), key_slot(b"seen")]);
        ledger.step(&keyspace);
        assert!(ledger.sample().is_none());
    }

    /// Three prefixes in two databases whose keys and bytes are known: of many samples, those within the error are about
    /// as many as is said.
    #[test]
    fn estimates_are_within_the_stated_error() {
        let mut keyspace = Keyspace::new(2, HashSeed::from_seed(7));
        let mut random = fastrand::Rng::with_seed(11);
        let mut exact: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for number in 0..20_000 {
            let prefix = ["user:", "cart:", "cart:", "log:", ""][random.usize(..5)];
            let key = format!("{prefix}{number:05}");
            set(&mut keyspace, number % 2, &key, random.usize(..200));
            let known = exact.entry(prefix).or_default();
            let record = keyspace.live(number % 2, key.as_bytes()).expect("it was set");
            *known = (known.0 + 1.0, known.1 + record.memory_bytes() as f64);
        }
        let (mut within, mut all) = ([0; 2], 0);
        let mut ledger = Ledger::default();
        for _ in 0..200 {
            let period = ledger.period;
            while ledger.period == period {
                ledger.step(&keyspace);
            }
            let sample = ledger.sample().expect("a sample is complete");
            assert_eq!(sample.keys, 20_000);
            for (prefix, sum) in sample.prefixes() {
                let (keys, bytes) = exact[std::str::from_utf8(prefix).expect("text")];
                all += 1;
                for (place, (estimate, known)) in
                    [(sample.keys(&sum), keys), (sample.bytes(&sum), bytes)].into_iter().enumerate()
                {
                    assert!(estimate.error < 0.1 * known, "{prefix:?} {estimate:?}");
                    within[place] += i32::from((estimate.value - known).abs() <= estimate.error);
                }
            }
        }
        assert_eq!(all, 800);
        for count in within {
            assert!((730..=795).contains(&count), "{count} of {all}");
        }
    }

    #[test]
    fn requests_are_estimated_with_their_error() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut within = 0;
        for _ in 0..400 {
            let looked_at = (0..16_000).filter(|_| random.u32(..GAP) == 0).count() as u64;
            let Estimate { value, error } = requests_of(looked_at);
            within += i32::from((value - 16_000.0).abs() <= error);
        }
        assert!((360..=396).contains(&within), "{within}");
    }

    #[test]
    fn the_number_of_prefixes_is_bounded() {
        let mut ledger = Ledger::default();
        for number in 0..1000 {
            ledger.note_request(format!("{number}:x").as_bytes(), number % 2 == 0);
        }
        let asked = ledger.asked();
        assert_eq!(asked.len(), ASKED_MAX + 1);
        assert_eq!(asked[ASKED_MAX].0, OTHERS);
        assert_eq!(asked.iter().map(|(_, asked)| asked.requests).sum::<u64>(), 1000);
        assert_eq!(asked.iter().map(|(_, asked)| asked.hits).sum::<u64>(), 500);
        // A place that nobody asks for becomes free after a while, and what was counted there is not lost.
        ledger.period += 2;
        ledger.note_request(b"new:x", true);
        let asked = ledger.asked();
        assert!(asked.iter().any(|(prefix, asked)| *prefix == b"new:" && asked.requests == 1));
        assert_eq!(asked.iter().map(|(_, asked)| asked.requests).sum::<u64>(), 1001);
        let mut keyspace = Keyspace::new(1, HashSeed::from_seed(7));
        (0..2000).for_each(|number| set(&mut keyspace, 0, &format!("{number}:x"), 3));
        (0..63).for_each(|_| ledger.step(&keyspace));
        let sample = ledger.sample().expect("keys were drawn");
        assert_eq!(sample.prefixes().len(), GROUPS_MAX + 1);
        assert_eq!(sample.prefixes().iter().map(|(_, sum)| sum.keys).sum::<u64>(), sample.drawn);
    }
}
