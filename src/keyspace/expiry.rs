//! Expiry: lazy on access, and a sampled active cycle that the loop runs in slices.
//!
//! The cycle walks the index of volatile keys bucket by bucket, database after database, and removes what is due. As in
//! Redis it goes on in a database while more than a tenth of a sample was due (at the default effort), and stops early
//! otherwise, so that a keyspace with little to do costs little. One sample is small, and may hold few expired keys by
//! chance where many are left: so it goes on as well while the mean of the last samples is above that share.
//!
//! Where keys are hashed by slot, those with one hash tag lie side by side, and may all expire at the same time. So
//! there the walk goes on anywhere after a sample of which no more than the acceptable share was due.
//!
//! A sample is gathered first and its records fetched side by side, then those that are due are removed: the walk
//! itself is in the order of the hash, so that the index and the table of records are met segment by segment, and only
//! the records lie scattered. Nothing is copied or allocated for a key.

use smallvec::SmallVec;

use crate::collections::table::{Entry, prefetch};

use super::record::Expiring;
use super::{Changes, EventClass, Keyspace, KeyspaceStats, Record};

/// Keys looked at before the share of expired ones among them is judged.
const SAMPLE_KEYS: usize = 20;
/// Buckets looked at for them: a sparse index has empty ones.
const SAMPLE_BUCKETS: usize = SAMPLE_KEYS * 20;
/// Room for a sample whose last bucket brings as many keys as can be.
const SAMPLE_KEYS_MAX: usize = SAMPLE_KEYS + 14;

/// How much the latest sample counts in the mean of the samples.
const SAMPLE_WEIGHT: f32 = 1.0 / 8.0;
/// The same where keys are hashed by slot, and a sample says little.
const SAMPLE_WEIGHT_BY_SLOT: f32 = 1.0 / 32.0;

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

impl KeyspaceStats {
    /// Counts and tells that this record was removed because its time was over. Gives what a lookup then finds:
    /// nothing.
    #[cold]
    pub(super) fn note_expired<'a>(
        &mut self,
        changes: &mut Changes,
        database: usize,
        expired: &Record,
    ) -> Option<&'a Record> {
        self.expired_keys += 1;
        changes.expired(database, expired.key());
        changes.notify(EventClass::Expired, "expired", database, expired.key());
        None
    }
}

/// A key whose time is over: its hash, and where its record lies.
struct DueKey {
    hash: u64,
    address: *const u8,
}

impl Keyspace {
    /// Runs the active cycle until every database had its turn or `out_of_time` says stop; tells whether it was
    /// stopped. `acceptable_percent` is the share of expired keys in a sample up to which a database is left for the
    /// next cycle.
    pub fn expire_cycle(&mut self, acceptable_percent: usize, mut out_of_time: impl FnMut() -> bool) -> bool {
        let mut total = Sample::default();
        let mut stopped = false;
        for _ in 0..self.databases.len() {
            // Moved on at once: a cycle that runs out of time in this database goes on in the next one.
            let database = self.expiry_stats.next_database % self.databases.len();
            self.expiry_stats.next_database = database + 1;
            while !stopped && self.databases[database].volatile_len() > 0 {
                let sample = self.expire_sample(database);
                total.looked_at += sample.looked_at;
                total.expired += sample.expired;
                stopped = out_of_time();
                if !self.is_stale(database, sample, acceptable_percent) {
                    break;
                }
            }
            if stopped {
                break;
            }
        }
        self.note_samples(total, stopped);
        stopped
    }

    /// Whether more than the acceptable share of a database's volatile keys is likely to have expired.
    fn is_stale(&mut self, database: usize, sample: Sample, acceptable_percent: usize) -> bool {
        let acceptable = acceptable_percent as f32 / 100.0;
        let share = sample.expired as f32 / sample.looked_at.max(1) as f32;
        let mean = &mut self.databases[database].stale_share;
        let weight = if self.hasher.is_by_slot() { SAMPLE_WEIGHT_BY_SLOT } else { SAMPLE_WEIGHT };
        *mean += (share - *mean) * weight;
        let is_stale = share > acceptable || *mean > acceptable;
        if share <= acceptable && self.hasher.is_by_slot() {
            self.leave_place(database);
        }
        is_stale
    }

    /// Makes the walk go on at a random place.
    fn leave_place(&mut self, database: usize) {
        let cursor = self.databases[database].volatile().random_cursor(self.eviction.random());
        self.databases[database].expiry_cursor = cursor;
    }

    fn note_samples(&mut self, total: Sample, stopped: bool) {
        let share = total.expired as f64 / total.looked_at.max(1) as f64;
        let before = self.expiry_stats.stale_percent;
        self.expiry_stats.stale_percent = share * 100.0 * 0.05 + before * 0.95;
        self.expiry_stats.time_cap_reached += u64::from(stopped);
    }

    /// Looks at the next few volatile keys of a database and removes those that are due.
    fn expire_sample(&mut self, database: usize) -> Sample {
        let mut expiring: SmallVec<[Expiring<'_>; SAMPLE_KEYS_MAX]> = SmallVec::new();
        let space = &self.databases[database];
        let mut cursor = space.expiry_cursor;
        for _ in 0..SAMPLE_BUCKETS {
            cursor = space.volatile().scan(cursor, |one| {
                prefetch(one.address());
                expiring.push(one);
            });
            // At the end of the walk the sample ends as well: no key is in it twice.
            if expiring.len() >= SAMPLE_KEYS || cursor == 0 {
                break;
            }
        }
        let looked_at = expiring.len();
        let mut due: SmallVec<[DueKey; SAMPLE_KEYS_MAX]> = SmallVec::new();
        let (mut ttl_sum_ms, mut ttl_count) = (0i64, 0i64);
        for one in expiring {
            let left_ms = one.expiry_ms().saturating_sub(self.now_ms);
            if left_ms >= 0 {
                ttl_sum_ms = ttl_sum_ms.saturating_add(left_ms);
                ttl_count += 1;
                continue;
            }
            let hash = self.hasher.hash(one.key());
            if self.hides(hash) {
                // The node that it comes from says when it goes.
                continue;
            }
            self.prefetch_bucket(database, hash);
            due.push(DueKey { hash, address: one.address() });
        }
        self.databases[database].expiry_cursor = cursor;
        if let Some(mean_ms) = ttl_sum_ms.checked_div(ttl_count) {
            let average_ms = &mut self.databases[database].average_ttl_ms;
            *average_ms = if *average_ms == 0 { mean_ms } else { *average_ms / 50 * 49 + mean_ms / 50 };
        }
        self.remove_due(database, &due);
        Sample { looked_at, expired: due.len() }
    }

    /// Removes keys, each of them there and given once.
    fn remove_due(&mut self, database: usize, due: &[DueKey]) {
        for DueKey { hash, address } in due {
            if let Some(record) = self.databases[database].remove_where(*hash, |record| record.address() == *address) {
                self.stats.note_expired(&mut self.changes, database, &record);
            }
        }
    }

    /// Mean time to live of a database's volatile keys, in ms, as last sampled.
    pub fn average_ttl_ms(&self, database: usize) -> i64 {
        self.databases[database].average_ttl_ms
    }
}
