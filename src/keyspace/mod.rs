//! The data: every database, what expires in them, and the log of what changed.
//!
//! Only this layer mutates keys. It never replies, never knows a client, never reads the clock:
//! the loop sets `now_ms`.

pub mod fork;
pub mod lazy_free;
pub mod lazy_free_queue;
pub mod observed_keys;

mod access;
pub mod change_log;
pub mod changes;
pub mod database;
pub mod eviction;
pub mod expiry;
mod expiry_mode;
mod fields;
mod hidden;
mod naming;
pub mod observer;
mod own_expiries;
pub mod propagation;
pub mod record;
mod relocate;
mod slots;
mod text;
mod value_mut;
mod version;

pub use crate::keyspace::fork::KeyspaceFork;
pub use crate::keyspace::observed_keys::{ObservedKeyId, ObservedKeys};
pub use access::{AccessPolicy, Kept};
pub use change_log::{ChangeLog, ReaderId, Target, Targets};
pub use changes::{Change, Changes, EventClass};
pub use database::{Database, Expiry};
pub use expiry_mode::{ExpiryMode, OuterExpiryMode};
pub use propagation::Propagation;
pub use record::{NewValue, Record, Value, cow_bytes, held_bytes};
pub use text::Text;
pub use value_mut::ValueMut;
pub use version::Version;

use crate::collections::key_hash::KeyHasher;
use crate::keyspace::lazy_free_queue::LazyFreeQueue;
use crate::types::object::Object;
use database::{Before, Setting};
use expiry_mode::ExpiryModes;

/// What the keyspace counts, for INFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct KeyspaceStats {
    pub hits: u64,
    pub misses: u64,
    pub expired_keys: u64,
    /// Fields of hashes.
    pub expired_fields: u64,
    pub evicted_keys: u64,
}

/// A key's hash worked out ahead, known by the key's address.
#[derive(Clone, Copy)]
struct HashHint {
    key: *const u8,
    length: usize,
    hash: u64,
}

/// All databases of the server.
pub struct Keyspace {
    databases: Vec<Database>,
    hasher: KeyHasher,
    hint: HashHint,
    /// The time that decides what has expired, in ms since the epoch.
    pub now_ms: i64,
    pub access: AccessPolicy,
    /// Whether reads leave the access time alone (CLIENT NO-TOUCH).
    pub no_touch: bool,
    pub stats: KeyspaceStats,
    pub changes: Changes,
    /// Whether the active cycle removes expired keys (DEBUG SET-ACTIVE-EXPIRE).
    pub active_expiry: bool,
    expiry_modes: ExpiryModes,
    own_expiries: own_expiries::OwnExpiries,
    pub expiry_stats: expiry::ExpiryStats,
    eviction: eviction::Eviction,
    garbage: LazyFreeQueue,
    /// Slots whose keys clients do not see yet.
    hidden: Option<Box<hidden::HiddenSlots>>,
}

impl Keyspace {
    /// So many empty databases, whose keys are hashed in this way.
    pub fn new(databases: usize, hasher: impl Into<KeyHasher>) -> Keyspace {
        let hasher = hasher.into();
        Keyspace {
            databases: (0..databases).map(|_| Database::new(&hasher)).collect(),
            changes: Changes::new(hasher.seed().clone()),
            eviction: eviction::Eviction::new(&hasher),
            hasher,
            hint: HashHint { key: std::ptr::null(), length: 0, hash: 0 },
            now_ms: 0,
            access: AccessPolicy::default(),
            no_touch: false,
            stats: KeyspaceStats::default(),
            active_expiry: true,
            expiry_modes: ExpiryModes::default(),
            own_expiries: own_expiries::OwnExpiries::default(),
            expiry_stats: expiry::ExpiryStats::default(),
            garbage: LazyFreeQueue::default(),
            hidden: None,
        }
    }

    /// Number of databases.
    pub fn count(&self) -> usize {
        self.databases.len()
    }

    /// The database of that number, which the caller has checked against `count`.
    #[inline]
    pub fn database(&self, index: usize) -> &Database {
        &self.databases[index]
    }

    /// The databases in order.
    pub fn databases(&self) -> impl Iterator<Item = &Database> {
        self.databases.iter()
    }

    /// A key's hash, the same in every database.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        if std::ptr::eq(key.as_ptr(), self.hint.key) && key.len() == self.hint.length {
            return self.hint.hash;
        }
        self.hasher.hash(key)
    }

    /// Remembers a hash worked out ahead for the key at this address. The bytes there must stay
    /// unchanged until the next call or `forget_hash`.
    #[inline]
    pub fn remember_hash(&mut self, key: &[u8], hash: u64) {
        self.hint = HashHint { key: key.as_ptr(), length: key.len(), hash };
    }

    /// Forgets the hash worked out ahead.
    #[inline]
    pub fn forget_hash(&mut self) {
        self.hint.key = std::ptr::null();
    }

    /// Looks a key up for a read: removes it if it has expired, counts hit or miss, notes the access.
    #[inline]
    pub fn read(&mut self, database: usize, key: &[u8]) -> Option<&Record> {
        let hash = self.hash(key);
        if self.expiry_mode() != ExpiryMode::Delete {
            return self.read_keeping(database, hash, key);
        }
        let Keyspace { databases, stats, changes, .. } = self;
        let found = databases[database].get_live(hash, key, self.now_ms);
        let record = found.unwrap_or_else(|expired| stats.note_expired(changes, database, &expired));
        match record {
            Some(record) => {
                stats.hits += 1;
                if !self.no_touch {
                    self.access.touch(record);
                }
            }
            None => {
                stats.misses += 1;
                changes.notify(EventClass::KeyMiss, "keymiss", database, key);
            }
        }
        record
    }

    #[cold]
    fn read_keeping(&mut self, database: usize, hash: u64, key: &[u8]) -> Option<&Record> {
        let horizon_ms = self.read_horizon_ms();
        let found = self.databases[database].get(hash, key);
        let record = found.filter(|record| !record.is_due(horizon_ms));
        self.stats.hits += u64::from(record.is_some());
        self.stats.misses += u64::from(record.is_none());
        record
    }

    /// Looks a key up for a read that needs no reference afterwards: what `use_it` makes of the record.
    #[inline]
    pub fn read_with<R>(&mut self, database: usize, key: &[u8], use_it: impl FnOnce(Option<&Record>) -> R) -> R {
        let hash = self.hash(key);
        match self.databases[database].get(hash, key) {
            Some(record) if !record.is_due(self.now_ms) => {
                self.stats.hits += 1;
                if !self.no_touch {
                    self.access.touch(record);
                }
                use_it(Some(record))
            }
            Some(_) => use_it(self.read(database, key)),
            None => {
                self.stats.misses += 1;
                self.changes.notify(EventClass::KeyMiss, "keymiss", database, key);
                use_it(None)
            }
        }
    }

    /// Looks a key up for a change: removes it if it has expired, notes the access.
    #[inline]
    pub fn lookup(&mut self, database: usize, key: &[u8]) -> Option<&Record> {
        let hash = self.hash(key);
        let horizon_ms = self.removal_horizon_ms();
        let Keyspace { databases, stats, changes, .. } = self;
        let found = databases[database].get_live(hash, key, horizon_ms);
        let record = found.unwrap_or_else(|expired| stats.note_expired(changes, database, &expired))?;
        if !self.no_touch {
            self.access.touch(record);
        }
        Some(record)
    }

    /// Looks a key up without leaving a trace: but for an expired key, which is removed.
    #[inline]
    pub fn peek(&mut self, database: usize, key: &[u8]) -> Option<&Record> {
        let hash = self.hash(key);
        self.peek_hashed(database, hash, key)
    }

    #[inline]
    fn peek_hashed(&mut self, database: usize, hash: u64, key: &[u8]) -> Option<&Record> {
        if self.expiry_mode() != ExpiryMode::Delete {
            let horizon_ms = self.read_horizon_ms();
            let found = self.databases[database].get(hash, key);
            return found.filter(|record| !record.is_due(horizon_ms));
        }
        let found = self.databases[database].get_live(hash, key, self.now_ms);
        found.unwrap_or_else(|expired| self.stats.note_expired(&mut self.changes, database, &expired))
    }

    /// Looks a key up without any effect: one that has expired is not there, and stays.
    pub fn live(&self, database: usize, key: &[u8]) -> Option<&Record> {
        let horizon_ms = self.read_horizon_ms();
        self.databases[database].get(self.hash(key), key).filter(|record| !record.is_due(horizon_ms))
    }

    /// Looks a key up for a read that counts as hit or miss and leaves no other trace.
    pub fn inspect(&mut self, database: usize, key: &[u8]) -> Option<&Record> {
        let found = self.exists(database, key);
        self.stats.hits += u64::from(found);
        self.stats.misses += u64::from(!found);
        let hash = self.hash(key);
        self.databases[database].get(hash, key).filter(|_| found)
    }

    /// For how long a key has not been used (under LRM: changed), in seconds; `None` if there is none or uses are
    /// counted instead.
    pub fn idle_seconds(&self, database: usize, key: &[u8]) -> Option<u32> {
        let record = self.databases[database].get(self.hash(key), key)?;
        (!self.access.counts_uses()).then(|| self.access.idle_seconds(record))
    }

    /// How often a key is used, on a logarithmic scale; `None` if there is none or uses are not counted.
    pub fn frequency(&self, database: usize, key: &[u8]) -> Option<u32> {
        let record = self.databases[database].get(self.hash(key), key)?;
        self.access.counts_uses().then(|| self.access.frequency_of(record))
    }

    /// Whether the key exists, without leaving a trace.
    pub fn exists(&mut self, database: usize, key: &[u8]) -> bool {
        self.peek(database, key).is_some()
    }

    /// Sets a key's value, whatever was there before.
    #[inline]
    pub fn set(&mut self, database: usize, key: &[u8], value: NewValue<'_>, expiry: Expiry) {
        let hash = self.hash(key);
        let now_ms = self.removal_horizon_ms();
        let access = if self.access.counts_uses() {
            self.frequency_after_set(database, hash, key)
        } else {
            self.access.of_new()
        };
        let setting = Setting { expiry, access, now_ms };
        if let Expiry::At(time_ms) = expiry {
            self.note_own_expiry(database, key, time_ms);
        }
        match self.databases[database].put(hash, key, value, setting) {
            Before::Present => {}
            Before::Absent => self.changes.notify(EventClass::New, "new", database, key),
            Before::Expired => {
                self.stats.expired_keys += 1;
                self.changes.expired(database, key);
                self.changes.notify(EventClass::Expired, "expired", database, key);
                self.changes.notify(EventClass::New, "new", database, key);
            }
        }
        self.changes.modified(database, key);
    }

    /// What a key remembers of its use once it is set: under LFU a new value does not make it a new key.
    #[cold]
    fn frequency_after_set(&mut self, database: usize, hash: u64, key: &[u8]) -> u32 {
        match self.peek_hashed(database, hash, key).cloned() {
            Some(record) => {
                self.access.touch(&record);
                record.access()
            }
            None => self.access.of_new(),
        }
    }

    /// Says that a value was changed in place.
    pub fn modified(&mut self, database: usize, key: &[u8]) {
        self.note_last_change(database, key);
        self.changes.modified(database, key);
    }

    /// Says that a value was changed in place, which is counted elsewhere.
    pub fn touched(&mut self, database: usize, key: &[u8]) {
        self.note_last_change(database, key);
        self.changes.touched(database, key);
    }

    /// Says that so many things were changed which belong to a value, but are not seen in it: the groups of a stream.
    pub fn count_beside(&mut self, database: usize, key: &[u8], changes: u64) {
        if changes > 0 {
            self.note_last_change(database, key);
        }
        self.changes.count(changes);
    }

    /// Has a key remember that it is changed now, where keys remember that.
    #[inline]
    pub(super) fn note_last_change(&mut self, database: usize, key: &[u8]) {
        if self.access.kept == Kept::LastChange {
            self.remember_change(database, key);
        }
    }

    #[cold]
    fn remember_change(&mut self, database: usize, key: &[u8]) {
        if let Some(record) = self.databases[database].get(self.hash(key), key) {
            record.set_access(self.access.of_new());
        }
    }

    /// Removes a key; tells whether it was there (an expired one was not).
    pub fn remove(&mut self, database: usize, key: &[u8]) -> bool {
        self.take(database, key).is_some()
    }

    /// Removes a key as DEL does, with the keyspace event; tells whether it was there.
    pub fn delete(&mut self, database: usize, key: &[u8]) -> bool {
        let removed = self.remove(database, key);
        if removed {
            self.changes.notify(EventClass::Generic, "del", database, key);
        }
        removed
    }

    /// Removes a key and hands its record over.
    pub fn take(&mut self, database: usize, key: &[u8]) -> Option<Record> {
        let hash = self.hash(key);
        let record = self.databases[database].remove(hash, key)?;
        if record.is_due(self.removal_horizon_ms()) {
            self.stats.note_expired(&mut self.changes, database, &record);
            return None;
        }
        self.changes.modified(database, key);
        Some(record)
    }

    /// Adds a record under its key, in place of any that is there.
    pub fn store(&mut self, database: usize, record: Record) {
        let hash = self.hasher.hash(record.key());
        if self.peek_hashed(database, hash, record.key()).is_none() {
            self.changes.notify(EventClass::New, "new", database, record.key());
        }
        self.changes.modified(database, record.key());
        self.databases[database].replace(hash, record);
    }

    /// Sets or clears a key's expiry time; tells whether the key exists.
    pub fn set_expiry(&mut self, database: usize, key: &[u8], expiry_ms: Option<i64>) -> bool {
        let hash = self.hash(key);
        let now_ms = self.removal_horizon_ms();
        let exists = self.databases[database].set_expiry(hash, key, expiry_ms, now_ms);
        if exists {
            if let Some(time_ms) = expiry_ms {
                self.note_own_expiry(database, key, time_ms);
            }
            self.modified(database, key);
        } else {
            self.peek_hashed(database, hash, key);
        }
        exists
    }

    /// Empties a database; the memory is given back by a job. Gives the number of keys it had.
    pub fn flush(&mut self, database: usize) -> usize {
        let count = self.databases[database].len();
        self.changes.flushed(database, count);
        if count > 0 {
            self.touch_wanted(database, &[database]);
            discard_all(&mut self.garbage, &mut self.databases[database]);
        }
        count
    }

    /// Swaps two databases.
    pub fn swap(&mut self, first: usize, second: usize) {
        if first != second {
            self.touch_wanted(first, &[first, second]);
            self.touch_wanted(second, &[first, second]);
        }
        self.databases.swap(first, second);
        self.changes.swapped(first, second);
    }

    /// A random key that has not expired and is not hidden, or none. O(1); expired keys that it meets are removed.
    pub fn random_key(&mut self, database: usize, random: &mut fastrand::Rng) -> Option<Vec<u8>> {
        /// While expired keys are hidden there may be no others: after so many tries one of them is the answer.
        const HIDDEN_TRIES: usize = 100;
        if self.hides_slots() {
            return self.random_visible_key(database, random);
        }
        let mut tries = 0;
        loop {
            let record = self.databases[database].records().random(random)?;
            let key = record.key().to_vec();
            tries += 1;
            let is_hidden = matches!(self.expiry_mode(), ExpiryMode::Hide | ExpiryMode::HideFromReads);
            let gives_up = is_hidden && tries == HIDDEN_TRIES;
            if gives_up || !record.is_due(self.read_horizon_ms()) {
                return Some(key);
            }
            self.peek(database, &key);
        }
    }

    /// One step of SCAN over a database: hands every record of a small piece to `visit` and gives
    /// the cursor to go on with, 0 at the end. Expired records are handed over as well.
    pub fn scan(&self, database: usize, cursor: u64, visit: impl FnMut(&Record)) -> u64 {
        self.databases[database].records().scan(cursor, visit)
    }

    /// Has the processor fetch what leads to a bucket in a very large table: a step before `prefetch_bucket`.
    pub fn prefetch_segment(&self, database: usize, hash: u64) {
        self.databases[database].records().prefetch_segment(hash);
    }

    /// Fetches the bucket of a key into the cache.
    #[inline]
    pub fn prefetch_bucket(&self, database: usize, hash: u64) {
        self.databases[database].records().prefetch_bucket(hash);
    }

    /// Fetches the record of a key into the cache; its bucket should be there by now.
    #[inline]
    pub fn prefetch_record(&self, database: usize, hash: u64) {
        self.databases[database].records().prefetch_entry(hash);
    }

    /// Frees up to so many elements of what was thrown away; tells whether there is more.
    pub fn reclaim_step(&mut self, elements: usize) -> bool {
        let more = self.garbage.step(elements) | lazy_free::step(elements);
        self.garbage.count_freed(lazy_free::take_freed());
        more
    }

    /// Lets go of a collection that was cut out of a value: at once, or in steps if it is large.
    pub fn discard(&mut self, object: Box<Object>) {
        lazy_free::free_object_lazily(object);
    }

    /// Whether anything waits to be freed.
    #[inline]
    pub fn has_garbage(&self) -> bool {
        self.garbage.pending() > 0 || !lazy_free::is_empty()
    }

    /// Number of keys and giant values that wait to be freed.
    pub fn reclaim_pending(&self) -> usize {
        self.garbage.pending() + lazy_free::pending()
    }

    /// Number of keys and giant values freed in steps since the start, or the last reset.
    pub fn reclaimed(&self) -> u64 {
        self.garbage.freed()
    }

    /// Sets what is counted back to zero.
    pub fn reset_stats(&mut self) {
        self.stats = KeyspaceStats::default();
        self.expiry_stats.reset();
        self.garbage.reset_freed();
    }

    /// Gives back room in tables that few keys use; tells whether there is more to do.
    pub fn shrink_step(&mut self, entries: usize) -> bool {
        self.databases.iter_mut().fold(false, |more, database| more | database.shrink_step(entries))
    }
}

/// Lets go of all that a database holds; the memory is given back by a job.
fn discard_all(garbage: &mut LazyFreeQueue, database: &mut Database) {
    let count = database.len();
    let (records, volatile) = database.take();
    garbage.add(records, volatile, count);
    garbage.add_fields_due(database.take_fields_due());
}
