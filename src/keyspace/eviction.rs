//! Eviction: which keys make room at the memory limit.
//!
//! Exact LRU or LFU order would cost memory and time at every access. So, as in Redis, some keys are sampled for each
//! eviction, and a small pool keeps the best candidates seen so far. Three things differ:
//!
//! - The samples are the keys of the next buckets in a walk around the table. That is as good as chance, since the
//!   order is that of the hash, and no key is drawn twice before all were. The records of the next bucket are fetched
//!   ahead. Where keys are hashed by slot the next buckets may have keys of one hash tag, which are used together. So
//!   there the walk goes on anywhere after a sample whose keys are all worse than the recently evicted ones, and after
//!   some others.
//! - A candidate is known by its hash alone, so that nothing is copied, and by what its record remembered when it was
//!   sampled: one that was used since is no candidate any more.
//! - The pool compares points in time, not idle times that were taken at different times.
//!
//! Where chance decides, the walk goes on anywhere after each bucket, and some of the bucket's keys go, one after the
//! other. If all went, some buckets would be empty and others crowded.

use arrayvec::ArrayVec;

use crate::collections::key_hash::KeyHasher;
use crate::collections::key_hash::slot_of;
use crate::collections::table::{Entry, Table, prefetch};
use crate::config::MaxmemoryPolicy;

use super::record::{Expiring, VolatileIndex};
use super::{AccessPolicy, Keyspace, Record};

/// Candidates kept.
const POOL_KEYS: usize = 16;
/// Buckets looked at for one sample: a sparse table has empty ones.
const SAMPLE_BUCKETS: usize = 64;
/// Databases sampled for one eviction, unless chance decides: then one.
const SAMPLE_DATABASES: usize = 16;
/// One of so many keys of a bucket goes where chance decides.
const CHANCE: usize = 4;
/// So many samples are taken at a place that is good, on average, where keys are hashed by slot.
const PLACE_SAMPLES: usize = 8;
/// Samples after which any key will do.
const TRIES: usize = 8;
/// A key that is not hidden is looked for so often.
const DRAWS: usize = 64;

/// By what keys are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ranking {
    /// No key is evicted.
    #[default]
    None,
    /// Least recently used, or modified: whichever the records remember.
    LeastRecent,
    LeastFrequent,
    SoonestDue,
    Chance,
}

/// A key that may be evicted, as it was when it was sampled.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    /// The higher, the sooner it goes.
    rank: u64,
    hash: u64,
    database: usize,
    /// What the record remembered: its last use, or when it expires.
    mark: u64,
}

/// What eviction knows between two keys.
#[derive(Default)]
pub(super) struct Eviction {
    ranking: Ranking,
    /// Whether only keys that expire may go.
    only_volatile: bool,
    samples: usize,
    /// By rank, the best last.
    pool: ArrayVec<Candidate, POOL_KEYS>,
    /// More keys were looked at than wanted.
    surplus: usize,
    next_database: usize,
    /// Keys are hashed by slot, so that neighbours may be alike.
    is_by_slot: bool,
    /// The rank of the keys that were evicted of late (a running mean).
    usual_rank: u64,
    random: fastrand::Rng,
}

/// A table of which eviction samples the records.
trait SampledTable {
    type Record<'a>: Sampled
    where
        Self: 'a;

    fn scan<'a>(&'a self, cursor: u64, visit: impl FnMut(Self::Record<'a>)) -> u64;
    fn random_cursor(&self, random: &mut fastrand::Rng) -> u64;
    fn hash(&self, key: &[u8]) -> u64;
}

impl SampledTable for Table<Record> {
    type Record<'a> = &'a Record;

    #[inline]
    fn scan<'a>(&'a self, cursor: u64, visit: impl FnMut(&'a Record)) -> u64 {
        Table::scan(self, cursor, visit)
    }

    fn random_cursor(&self, random: &mut fastrand::Rng) -> u64 {
        Table::random_cursor(self, random)
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        Table::hash(self, key)
    }
}

impl SampledTable for VolatileIndex {
    type Record<'a> = Expiring<'a>;

    #[inline]
    fn scan<'a>(&'a self, cursor: u64, visit: impl FnMut(Expiring<'a>)) -> u64 {
        VolatileIndex::scan(self, cursor, visit)
    }

    fn random_cursor(&self, random: &mut fastrand::Rng) -> u64 {
        VolatileIndex::random_cursor(self, random)
    }

    #[inline]
    fn hash(&self, key: &[u8]) -> u64 {
        VolatileIndex::hash(self, key)
    }
}

/// A record that eviction samples.
trait Sampled {
    fn access(&self) -> u32;
    fn expiry_ms(&self) -> Option<i64>;
    fn key(&self) -> &[u8];
    fn address(&self) -> *const u8;

    /// How much the key is a candidate, and what that follows from.
    #[inline]
    fn ranked(&self, ranking: Ranking, access: &AccessPolicy) -> (u64, u64) {
        match ranking {
            Ranking::LeastRecent => {
                let last_use = access.last_use(self.access());
                (!last_use, u64::from(self.access()))
            }
            Ranking::LeastFrequent => {
                let (counter, idle) = access.frequency_and_age(self.access());
                let rank = u64::from(u8::MAX - counter) << 32 | u64::from(idle);
                (rank, u64::from(self.access()))
            }
            Ranking::Chance => (0, 0),
            Ranking::SoonestDue | Ranking::None => {
                let expiry_ms = self.expiry_ms().unwrap_or(i64::MAX);
                (expiry_ms.abs_diff(i64::MAX), expiry_ms as u64)
            }
        }
    }
}

impl Sampled for &Record {
    #[inline]
    fn access(&self) -> u32 {
        Record::access(self)
    }

    #[inline]
    fn expiry_ms(&self) -> Option<i64> {
        Record::expiry_ms(self)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        Record::key(self)
    }

    #[inline]
    fn address(&self) -> *const u8 {
        Entry::address(*self)
    }
}

impl Sampled for Expiring<'_> {
    #[inline]
    fn access(&self) -> u32 {
        Expiring::access(*self)
    }

    #[inline]
    fn expiry_ms(&self) -> Option<i64> {
        Some(Expiring::expiry_ms(*self))
    }

    #[inline]
    fn key(&self) -> &[u8] {
        Expiring::key(*self)
    }

    #[inline]
    fn address(&self) -> *const u8 {
        Expiring::address(*self)
    }
}

impl Eviction {
    /// Looks at the next few keys of a table and adds the good ones to the pool; gives the cursor to go on with.
    fn sample<T: SampledTable>(&mut self, database: usize, table: &T, access: &AccessPolicy, mut cursor: u64) -> u64 {
        let by_chance = self.ranking == Ranking::Chance;
        let wanted = if by_chance { 1 } else { self.samples };
        let mut looked_at = std::mem::take(&mut self.surplus);
        let mut best = None;
        for _ in 0..SAMPLE_BUCKETS {
            if looked_at >= wanted {
                break;
            }
            cursor = table.scan(cursor, |entry| {
                if by_chance && self.random.usize(..CHANCE) > 0 {
                    return;
                }
                looked_at += 1;
                let (rank, mark) = entry.ranked(self.ranking, access);
                best = best.max(Some(rank));
                if !self.pool.is_full() || self.pool[0].rank < rank {
                    self.add(Candidate { rank, hash: table.hash(entry.key()), database, mark });
                }
            });
        }
        // A sample may be the surplus of the one before.
        let is_worse = best.is_some_and(|best| best < self.usual_rank);
        if by_chance || self.is_by_slot && (is_worse || self.random.usize(..PLACE_SAMPLES) == 0) {
            cursor = table.random_cursor(&mut self.random);
        }
        if !by_chance {
            self.surplus = looked_at.saturating_sub(wanted).min(wanted);
        }
        table.scan(cursor, |entry| prefetch(entry.address()));
        cursor
    }

    /// An empty pool, for keys that are hashed by slot or not.
    pub fn new(hasher: &KeyHasher) -> Eviction {
        Eviction { is_by_slot: hasher.is_by_slot(), ..Eviction::default() }
    }

    /// The source of random places.
    pub fn random(&mut self) -> &mut fastrand::Rng {
        &mut self.random
    }

    /// Moves the usual rank a quarter of the way to that of a key that was evicted.
    #[inline]
    fn note_rank(&mut self, rank: u64) {
        let difference = rank.wrapping_sub(self.usual_rank) as i64;
        self.usual_rank = self.usual_rank.wrapping_add_signed(difference / 4);
    }

    /// Puts a candidate in its place, if need be for the worst one.
    fn add(&mut self, candidate: Candidate) {
        let is_known = |other: &Candidate| other.hash == candidate.hash && other.database == candidate.database;
        if let Some(known) = self.pool.iter().position(is_known) {
            self.pool.remove(known);
        } else if self.pool.is_full() {
            self.pool.remove(0);
        }
        // Before its equals: of those the first one that was seen goes first.
        let place = self.pool.partition_point(|other| other.rank < candidate.rank);
        self.pool.insert(place, candidate);
    }
}

impl Keyspace {
    /// Sets which keys are evicted, and of how many sampled ones the best is taken.
    pub fn set_eviction(&mut self, policy: MaxmemoryPolicy, samples: usize) {
        let eviction = &mut self.eviction;
        eviction.ranking = match policy {
            MaxmemoryPolicy::Noeviction => Ranking::None,
            MaxmemoryPolicy::AllkeysLru
            | MaxmemoryPolicy::VolatileLru
            | MaxmemoryPolicy::AllkeysLrm
            | MaxmemoryPolicy::VolatileLrm => Ranking::LeastRecent,
            MaxmemoryPolicy::AllkeysLfu | MaxmemoryPolicy::VolatileLfu => Ranking::LeastFrequent,
            MaxmemoryPolicy::AllkeysRandom | MaxmemoryPolicy::VolatileRandom => Ranking::Chance,
            MaxmemoryPolicy::VolatileTtl => Ranking::SoonestDue,
        };
        eviction.only_volatile = !policy.is_allkeys();
        eviction.samples = samples;
        // What it knows may follow from another ranking.
        eviction.pool.clear();
    }

    /// Seeds the choice of random keys.
    pub fn seed_eviction(&mut self, seed: u64) {
        self.eviction.random = fastrand::Rng::with_seed(seed);
    }

    /// Whether the policy lets any key be evicted at all.
    pub fn evicts(&self) -> bool {
        self.eviction.ranking != Ranking::None
    }

    /// Evicts the best key that is found; tells whether there was one. About a microsecond; a large value is only let
    /// go of, to be freed by `reclaim_step`.
    pub fn evict(&mut self) -> bool {
        if self.eviction.ranking == Ranking::None {
            return false;
        }
        for _ in 0..TRIES {
            if self.eviction.ranking != Ranking::Chance || self.eviction.pool.is_empty() {
                self.sample_databases();
            }
            while let Some(candidate) = self.eviction.pool.pop() {
                if self.evict_candidate(candidate) {
                    self.eviction.note_rank(candidate.rank);
                    return true;
                }
            }
        }
        self.evict_random()
    }

    /// Samples every database that has keys to evict, but only so many of them at a time.
    fn sample_databases(&mut self) {
        let Keyspace { databases, eviction, access, .. } = self;
        let count = databases.len();
        // Another database comes first each time: of keys that are equal those go that are met first.
        eviction.next_database = (eviction.next_database + 1) % count.max(1);
        let mut room = match eviction.ranking {
            Ranking::Chance => 1,
            _ => SAMPLE_DATABASES,
        };
        for step in 0..count {
            let number = (eviction.next_database + step) % count;
            let database = &mut databases[number];
            let cursor = database.eviction_cursor;
            if eviction.only_volatile && database.volatile_len() > 0 {
                database.eviction_cursor = eviction.sample(number, database.volatile(), access, cursor);
            } else if !eviction.only_volatile && !database.is_empty() {
                database.eviction_cursor = eviction.sample(number, database.records(), access, cursor);
            } else {
                continue;
            }
            room -= 1;
            if room == 0 {
                return;
            }
        }
    }

    /// Evicts a key of the pool, unless it is gone or was used since it was sampled.
    fn evict_candidate(&mut self, candidate: Candidate) -> bool {
        let Keyspace { databases, eviction, access, hasher, hidden, .. } = self;
        let is_it = |record: &Record| {
            record.ranked(eviction.ranking, access).1 == candidate.mark
                && (!eviction.only_volatile || record.expiry_ms().is_some())
                && hasher.hash(record.key()) == candidate.hash
        };
        let Some(database) = databases.get_mut(candidate.database) else {
            return false;
        };
        if hidden.as_ref().is_some_and(|hidden| hidden.contains(slot_of(candidate.hash))) {
            return false;
        }
        match database.remove_where(candidate.hash, is_it) {
            Some(record) => {
                self.note_evicted(candidate.database, &record);
                true
            }
            None => false,
        }
    }

    /// Evicts any key that may go, of one database after the other.
    fn evict_random(&mut self) -> bool {
        for _ in 0..self.databases.len() {
            let number = self.eviction.next_database % self.databases.len();
            self.eviction.next_database = number + 1;
            let chosen = self.draw_visible(number);
            let database = &mut self.databases[number];
            let removed =
                chosen.and_then(|(address, hash)| database.remove_where(hash, |record| record.address() == address));
            if let Some(record) = removed {
                self.note_evicted(number, &record);
                return true;
            }
        }
        false
    }

    /// A random key that may go, by its address and its hash. Hidden ones are passed over; where nearly all are, none
    /// may be found.
    fn draw_visible(&mut self, number: usize) -> Option<(*const u8, u64)> {
        let (database, random) = (&self.databases[number], &mut self.eviction.random);
        for _ in 0..DRAWS {
            let (address, hash) = if self.eviction.only_volatile {
                let entry = database.volatile().random(random)?;
                (entry.address(), self.hasher.hash(entry.key()))
            } else {
                let entry = database.records().random(random)?;
                (entry.address(), self.hasher.hash(entry.key()))
            };
            if !self.hidden.as_ref().is_some_and(|hidden| hidden.contains(slot_of(hash))) {
                return Some((address, hash));
            }
        }
        None
    }

    /// Forgets the candidates: others may go from now on.
    pub(super) fn forget_candidates(&mut self) {
        self.eviction.pool.clear();
    }

    fn note_evicted(&mut self, database: usize, record: &Record) {
        self.stats.evicted_keys += 1;
        self.changes.evicted(database, record.key());
    }
}
