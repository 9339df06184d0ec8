//! Expiry: lazy on access, and a sampled active cycle that the loop runs in slices.
//!
//! The cycle walks the index of volatile keys bucket by bucket, database after database, and
//! removes what is due. As in Redis it stops early in a database whose sample holds few expired
//! keys, so that a keyspace with little to do costs little.

use super::{EventClass, Keyspace};

/// Keys looked at before the share of expired ones among them is judged.
const SAMPLE_KEYS: usize = 20;

/// What the cycle counts, for INFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExpiryStats {
    /// Estimated share of expired keys that are still there, in percent (a running mean).
    pub stale_percent: f64,
    /// Slices that ran out of time with work left.
    pub time_cap_reached: u64,
    /// Which database the cycle has come to.
    next_database: usize,
}

impl ExpiryStats {
    /// Back to zero; the cycle goes on where it was.
    pub(super) fn reset(&mut self) {
        *self = ExpiryStats { next_database: self.next_database, ..ExpiryStats::default() };
    }
}

/// The outcome of one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub looked_at: usize,
    pub expired: usize,
}

impl Keyspace {
    /// Removes the key if its time has come. The heart of lazy expiry: costs nothing in a database
    /// without volatile keys.
    #[inline]
    pub(super) fn expire_if_due(&mut self, database: usize, hash: u64, key: &[u8]) {
        let space = &self.databases[database];
        if space.volatile_len() == 0 {
            return;
        }
        let expiry_ms = space.get(hash, key).and_then(|record| record.expiry_ms());
        if expiry_ms.is_some_and(|time_ms| time_ms <= self.now_ms) {
            self.expire(database, hash, key);
        }
    }

    #[cold]
    fn expire(&mut self, database: usize, hash: u64, key: &[u8]) {
        if self.databases[database].remove(hash, key).is_some() {
            self.stats.expired_keys += 1;
            self.changes.modified(database, key);
            self.changes.notify(EventClass::Expired, "expired", database, key);
        }
    }

    /// Whether any database holds volatile keys.
    pub fn has_volatile_keys(&self) -> bool {
        self.databases.iter().any(|database| database.volatile_len() > 0)
    }

    /// Runs the active cycle until every database had its turn or `out_of_time` says stop; tells
    /// whether it was stopped. `acceptable_percent` is the share of expired keys in a sample below
    /// which a database is left for the next cycle.
    pub fn expire_cycle(&mut self, acceptable_percent: usize, mut out_of_time: impl FnMut() -> bool) -> bool {
        let mut total = Sample::default();
        let mut stopped = false;
        'databases: for _ in 0..self.databases.len() {
            let database = self.expiry_stats.next_database % self.databases.len();
            while self.databases[database].volatile_len() > 0 {
                let sample = self.expire_sample(database);
                total.looked_at += sample.looked_at;
                total.expired += sample.expired;
                if sample.expired * 100 <= sample.looked_at * acceptable_percent {
                    break;
                }
                if out_of_time() {
                    stopped = true;
                    break 'databases;
                }
            }
            self.expiry_stats.next_database = (database + 1) % self.databases.len();
            if out_of_time() {
                stopped = true;
                break;
            }
        }
        self.note_sample(total, stopped);
        stopped
    }

    fn note_sample(&mut self, total: Sample, stopped: bool) {
        if total.looked_at > 0 {
            let percent = total.expired as f64 * 100.0 / total.looked_at as f64;
            self.expiry_stats.stale_percent = percent * 0.05 + self.expiry_stats.stale_percent * 0.95;
        }
        if stopped {
            self.expiry_stats.time_cap_reached += 1;
        }
    }

    /// Looks at the next few volatile keys of a database and removes those that are due.
    fn expire_sample(&mut self, database: usize) -> Sample {
        let mut sample = Sample::default();
        let mut due: Vec<Vec<u8>> = Vec::new();
        let (mut ttl_sum_ms, mut ttl_count) = (0i64, 0i64);
        let now_ms = self.now_ms;
        let space = &mut self.databases[database];
        let mut cursor = space.expiry_cursor;
        // A sparse index has empty buckets: the number of steps is bounded as well.
        for _ in 0..SAMPLE_KEYS * 20 {
            cursor = space.volatile().scan(cursor, |reference| {
                sample.looked_at += 1;
                let left_ms = reference.expiry_ms().saturating_sub(now_ms);
                if left_ms <= 0 {
                    due.push(crate::collections::table::Entry::key(reference).to_vec());
                } else {
                    ttl_sum_ms = ttl_sum_ms.saturating_add(left_ms);
                    ttl_count += 1;
                }
            });
            if sample.looked_at >= SAMPLE_KEYS || cursor == 0 {
                break;
            }
        }
        space.expiry_cursor = cursor;
        if let Some(mean_ms) = ttl_sum_ms.checked_div(ttl_count) {
            let before_ms = space.average_ttl_ms;
            space.average_ttl_ms =
                if before_ms == 0 { mean_ms } else { before_ms / 50 * 49 + mean_ms / 50 };
        }
        sample.expired = due.len();
        for key in due {
            let hash = self.seed.hash(&key);
            self.expire(database, hash, &key);
        }
        sample
    }

    /// Mean time to live of a database's volatile keys, in ms, as last sampled.
    pub fn average_ttl_ms(&self, database: usize) -> i64 {
        self.databases[database].average_ttl_ms
    }
}
