//! One numbered database: the table of records and the index of those that expire.

use crate::collections::key_hash::KeyHasher;
use crate::collections::ordered;
use crate::collections::table::{LazyFree, Pinned, Slot, Table};

use crate::types::hash::{DueFields, FieldExpiry};

use super::observer;
use super::record::{InPlace, NewValue, Record, VolatileIndex, VolatileRemains};

/// What becomes of a key's expiry time when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The key no longer expires.
    Clear,
    /// As it was.
    Keep,
    /// At this time, in ms since the epoch.
    At(i64),
}

/// What was there before a value was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Absent,
    Present,
    /// A key whose time was over.
    Expired,
}

/// How a value is put in.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub expiry: Expiry,
    /// What the record remembers of its use.
    pub access: u32,
    /// The time that decides whether what is there has expired, in ms since the epoch.
    pub now_ms: i64,
}

/// Records by key, and references to those with an expiry time. Knows nothing of the clock.
pub struct Database {
    records: Table<Record>,
    volatile: VolatileIndex,
    /// When the next field of each hash expires that has such fields, and the hash of its key.
    fields_due: DueFields,
    /// Where the active expiry cycle goes on.
    pub(super) expiry_cursor: u64,
    /// Where sampling for eviction goes on.
    pub(super) eviction_cursor: u64,
    /// Share of expired keys in the last samples of volatile ones (a running mean).
    pub(super) stale_share: f32,
    /// Mean time to live of the keys sampled of late, in ms; 0 if unknown.
    pub(super) average_ttl_ms: i64,
}

impl Database {
    /// An empty database. All databases of a keyspace share a hasher, so that one hash does for all.
    pub fn new(hasher: &KeyHasher) -> Database {
        Database {
            records: Table::of_keys(hasher),
            volatile: VolatileIndex::new(hasher),
            fields_due: DueFields::default(),
            expiry_cursor: 0,
            eviction_cursor: 0,
            stale_share: 0.0,
            average_ttl_ms: 0,
        }
    }

    /// Number of keys, expired ones that are still there included.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Number of keys with an expiry time.
    pub fn volatile_len(&self) -> usize {
        self.volatile.len()
    }

    /// Number of hashes with fields that expire.
    pub fn expiring_hashes(&self) -> usize {
        self.fields_due.len()
    }

    /// The hash whose next field expires first.
    pub fn first_fields_due(&self) -> Option<FieldExpiry> {
        self.fields_due.first()
    }

    /// Notes when the next field of the hash expires at the key with this hash. O(log n).
    pub(super) fn move_fields_due(&mut self, hash: u64, before_ms: Option<i64>, after_ms: Option<i64>) {
        if let Some(time_ms) = before_ms {
            self.fields_due.remove(FieldExpiry { time_ms, hash });
        }
        if let Some(time_ms) = after_ms {
            self.fields_due.insert(FieldExpiry { time_ms, hash });
        }
    }

    /// Forgets what is known of a record's fields, before it goes. O(1), O(log n) for a hash with fields that expire.
    #[inline]
    fn forget_fields(fields_due: &mut DueFields, hash: u64, record: &Record) {
        if let Some(time_ms) = record.next_field_expiry_ms() {
            fields_due.remove(FieldExpiry { time_ms, hash });
        }
    }

    /// The table of records.
    pub fn records(&self) -> &Table<Record> {
        &self.records
    }

    /// The index of the records that expire.
    pub fn volatile(&self) -> &VolatileIndex {
        &self.volatile
    }

    /// The record of a key. O(1). Out of line it would cost a read fifteen instructions.
    #[inline(always)]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<&Record> {
        observer::note(key, false);
        self.records.get(hash, key)
    }

    /// The record of a key, or, taken out, if its time is over. O(1).
    #[inline]
    pub fn get_live(&mut self, hash: u64, key: &[u8], now_ms: i64) -> Result<Option<&Record>, Record> {
        observer::note(key, false);
        if self.volatile.is_empty() {
            return Ok(self.records.get(hash, key));
        }
        match self.records.get_or_remove(hash, key, |record| record.is_due(now_ms)) {
            Err(expired) => {
                self.volatile.remove(hash, key);
                Database::forget_fields(&mut self.fields_due, hash, &expired);
                Err(expired)
            }
            live => live,
        }
    }

    /// Sets a key's value, whether it exists or not; one whose time is over counts as absent, but
    /// for the answer. O(1).
    #[inline]
    pub fn put(&mut self, hash: u64, key: &[u8], value: NewValue<'_>, setting: Setting) -> Before {
        observer::note(key, true);
        let Setting { expiry, access, now_ms } = setting;
        let Some(record) = self.records.get_mut(hash, key) else {
            let expiry_ms = match expiry {
                Expiry::At(time_ms) => Some(time_ms),
                Expiry::Clear | Expiry::Keep => None,
            };
            self.insert(hash, Record::new(key, value, expiry_ms, access));
            return Before::Absent;
        };
        Database::forget_fields(&mut self.fields_due, hash, record);
        let before_ms = record.expiry_ms();
        let before = if record.is_due(now_ms) { Before::Expired } else { Before::Present };
        let after_ms = match expiry {
            Expiry::Clear => None,
            Expiry::Keep => before_ms.filter(|_| before == Before::Present),
            Expiry::At(time_ms) => Some(time_ms),
        };
        match record.overwrite(value, after_ms) {
            Ok(()) => record.set_access(access),
            Err(value) => {
                let new = Record::new(key, value, after_ms, access);
                // The old record must leave the index before it goes.
                if before_ms.is_some() {
                    self.volatile.remove(hash, key);
                }
                if after_ms.is_some() {
                    // SAFETY: it has an expiry time, and goes into the table at once, which `forget` looks after.
                    unsafe { self.volatile.insert(hash, &new) };
                }
                record.mark_snapshot_only();
                *record = new;
            }
        }
        before
    }

    /// Adds a record whose key is not there yet. O(1).
    pub fn insert(&mut self, hash: u64, record: Record) {
        observer::note(record.key(), true);
        record.mark_live();
        if record.expiry_ms().is_some() {
            // SAFETY: it has an expiry time, and goes into the table at once, which `forget` looks after.
            unsafe { self.volatile.insert(hash, &record) };
        }
        if let Some(time_ms) = record.next_field_expiry_ms() {
            self.fields_due.insert(FieldExpiry { time_ms, hash });
        }
        self.records.insert(hash, record);
    }

    /// Says how many keys there will be, and how many that expire; 0: nothing is known. O(1).
    pub fn presize(&mut self, keys: usize, volatile: usize) {
        self.records.presize(keys);
        self.volatile.presize(volatile);
    }

    /// Adds a record if its key is not there yet; if it is, gives it back. O(1).
    pub fn insert_absent(&mut self, hash: u64, record: Record) -> Result<(), Record> {
        match self.records.entry(hash, record.key()) {
            Slot::Occupied(_) => return Err(record),
            Slot::Vacant(vacant) => {
                if record.expiry_ms().is_some() {
                    // SAFETY: it has an expiry time, and goes into the table at once, which `forget` looks after.
                    unsafe { self.volatile.insert(hash, &record) };
                }
                if let Some(time_ms) = record.next_field_expiry_ms() {
                    self.fields_due.insert(FieldExpiry { time_ms, hash });
                }
                vacant.insert(record);
            }
        }
        Ok(())
    }

    /// Takes a key out. O(1).
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<Record> {
        observer::note(key, true);
        let record = self.records.remove(hash, key)?;
        self.forget(hash, &record);
        Some(record)
    }

    /// Takes the record out that has this hash and that `is_it` says yes to; it is asked of some others too. O(1).
    pub fn remove_where(&mut self, hash: u64, is_it: impl Fn(&Record) -> bool) -> Option<Record> {
        let record = self.records.remove_where(hash, is_it)?;
        self.forget(hash, &record);
        Some(record)
    }

    /// Takes a record that is no longer in the table out of the indexes.
    #[inline]
    fn forget(&mut self, hash: u64, record: &Record) {
        record.mark_snapshot_only();
        if record.expiry_ms().is_some() {
            // The index refers to the record, which must not go before this.
            self.volatile.remove(hash, record.key());
        }
        Database::forget_fields(&mut self.fields_due, hash, record);
    }

    /// Adds a record, in place of any with the same key, which is given back. O(1).
    pub fn replace(&mut self, hash: u64, record: Record) -> Option<Record> {
        let before = self.remove(hash, record.key());
        self.insert(hash, record);
        before
    }

    /// The record of a key, to change its value in place.
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<InPlace<'_>> {
        observer::note(key, false);
        self.records.get_mut(hash, key).map(InPlace::new)
    }

    /// The record of a key, with the index of the records that expire, which refers to the record if it does.
    ///
    /// # Safety
    /// Where a record that expires is replaced by another one, the index has the new one before the old one goes.
    #[inline]
    pub unsafe fn get_with_index(&mut self, hash: u64, key: &[u8]) -> Option<(&mut Record, &mut VolatileIndex)> {
        observer::note(key, false);
        let record = self.records.get_mut(hash, key)?;
        Some((record, &mut self.volatile))
    }

    /// Sets or clears the expiry time of a key that is there and whose time is not over; tells whether it is so. O(1).
    pub fn set_expiry(&mut self, hash: u64, key: &[u8], expiry_ms: Option<i64>, now_ms: i64) -> bool {
        observer::note(key, true);
        let Some(record) = self.records.get_mut(hash, key).filter(|record| !record.is_due(now_ms)) else {
            return false;
        };
        let done = match expiry_ms {
            Some(time_ms) => record.overwrite_expiry(time_ms),
            None => record.expiry_ms().is_none(),
        };
        if !done {
            let changed = record.with(key, expiry_ms);
            self.replace(hash, changed);
        }
        true
    }

    /// Takes everything out at once; the parts are freed by the caller in slices. O(1).
    pub fn take(&mut self) -> (LazyFree<Record>, VolatileRemains) {
        self.expiry_cursor = 0;
        self.eviction_cursor = 0;
        self.average_ttl_ms = 0;
        self.stale_share = 0.0;
        (self.records.take(), self.volatile.take())
    }

    /// Empties the index of the hashes with fields that expire; the parts are freed by the caller in slices. O(1).
    pub fn take_fields_due(&mut self) -> ordered::LazyFree<FieldExpiry> {
        self.fields_due.take()
    }

    /// Another database with the same keys, to be changed apart from this one. O(1).
    pub fn fork(&self) -> Database {
        Database {
            records: self.records.fork(),
            // SAFETY: the fork owns the same records, and looks after them in the same way.
            volatile: unsafe { self.volatile.fork() },
            fields_due: self.fields_due.fork(),
            expiry_cursor: 0,
            eviction_cursor: 0,
            stale_share: self.stale_share,
            average_ttl_ms: self.average_ttl_ms,
        }
    }

    /// An immutable version of the present state. O(1).
    pub fn pin(&self) -> Pinned<Record> {
        self.records.pin()
    }

    /// Gives back room that few keys use, a bounded piece at a time; tells whether there is more.
    pub fn shrink_step(&mut self, entries: usize) -> bool {
        let more = self.records.needs_shrink() && self.records.shrink_step(entries);
        more | self.volatile.shrink_step(entries)
    }
}
