//! A value in the keyspace, to be changed in its place. Never reports the change: the caller does, through `Keyspace`.

use std::ops::Range;

use crate::collections::hash::HashSeed;
use crate::collections::packed::Packed;
use crate::types::object::Object;
use crate::types::slot::{OwnedValue, Slot, Stored};

use super::database::Database;
use super::record::{NewValue, Record, Value, VolatileIndex};
use super::{EventClass, Keyspace};

/// The record of a key, borrowed for a change of its value. The key and its expiry time stay as they are.
pub struct ValueMut<'a> {
    record: &'a mut Record,
    /// The index of the records that expire, which must follow when the record moves.
    volatile: &'a mut VolatileIndex,
    seed: &'a HashSeed,
    hash: u64,
}

impl<'a> ValueMut<'a> {
    /// The value at a key, if there is one.
    #[inline]
    pub(super) fn of(database: &'a mut Database, hash: u64, key: &[u8], seed: &'a HashSeed) -> Option<ValueMut<'a>> {
        // SAFETY: `put` alone replaces the record, and sees to the index before.
        let (record, volatile) = unsafe { database.get_with_index(hash, key) }?;
        Some(ValueMut { record, volatile, seed, hash })
    }

    /// The record.
    #[inline]
    pub(super) fn record(&self) -> &Record {
        self.record
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> Value<'_> {
        self.record.value()
    }

    /// Puts another record in the place of this one.
    fn put(&mut self, record: Record) {
        if record.expiry_ms().is_some() {
            // SAFETY: it has an expiry time, and takes the old record's place below; until then the index needs the old
            // one.
            unsafe { self.volatile.replace(self.hash, &record) };
        }
        self.record.note_displaced();
        *self.record = record;
    }

    fn put_value(&mut self, value: NewValue<'_>) {
        let expiry_ms = self.record.expiry_ms();
        if let Err(value) = self.record.overwrite(value, expiry_ms) {
            let access = self.record.access();
            self.put(Record::new(self.record.key(), value, expiry_ms, access));
        }
    }

    /// Makes a record of its own of a shared one.
    fn unshare(&mut self) {
        if self.record.references() > 1 {
            let copy = self.record.with(self.record.key(), self.record.expiry_ms());
            self.put(copy);
        }
    }
}

impl Packed for ValueMut<'_> {
    #[inline]
    fn bytes(&self) -> &[u8] {
        match self.record.value() {
            Value::Packed(_, bytes) => bytes,
            _ => &[],
        }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        self.unshare();
        self.record.packed_mut().unwrap_or_default()
    }

    #[inline]
    fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        if !self.record.splice_in_place(range.clone(), with)
            && let Some(record) = self.record.spliced(range, with)
        {
            self.put(record);
        }
    }
}

impl Slot for ValueMut<'_> {
    #[inline]
    fn stored(&self) -> Stored<'_> {
        self.record.value().stored()
    }

    #[inline]
    fn object_mut(&mut self) -> Option<&mut Object> {
        self.unshare();
        self.record.object_mut()
    }

    fn replace(&mut self, value: OwnedValue) {
        let mut buffer = Vec::new();
        self.put_value(NewValue::owned(value, &mut buffer));
    }

    fn seed(&self) -> &HashSeed {
        self.seed
    }
}

impl Keyspace {
    /// A key's value, to be changed: removes the key if it has expired, notes the access. The caller says `modified`
    /// after the change, and removes the key if nothing is left in it. O(1).
    #[inline]
    pub fn edit(&mut self, database: usize, key: &[u8]) -> Option<ValueMut<'_>> {
        let hash = self.hash(key);
        let horizon_ms = self.removal_horizon_ms();
        let Keyspace { databases, stats, changes, hasher, access, .. } = self;
        if let Err(expired) = databases[database].get_live(hash, key, horizon_ms) {
            stats.note_expired(changes, database, &expired);
            return None;
        }
        let value = ValueMut::of(&mut databases[database], hash, key, hasher.seed())?;
        if !self.no_touch {
            access.touch(value.record());
        }
        Some(value)
    }

    /// Puts a collection at a key, whatever was there before; the key does not expire. The caller says `modified` then.
    pub fn create(&mut self, database: usize, key: &[u8], value: OwnedValue) {
        let hash = self.hash(key);
        if self.peek_hashed(database, hash, key).is_none() {
            self.changes.notify(EventClass::New, "new", database, key);
        }
        let mut buffer = Vec::new();
        let value = NewValue::owned(value, &mut buffer);
        let record = Record::new(key, value, None, self.access.of_new());
        self.databases[database].replace(hash, record);
    }

    /// Says that a value was changed in place, which counts as so many changes.
    pub fn modified_times(&mut self, database: usize, key: &[u8], changes: u64) {
        self.changes.count(changes);
        self.touched(database, key);
    }

    /// The seed of all hashes but the keys', for tables that are built to be put into the keyspace.
    pub fn seed(&self) -> &HashSeed {
        self.hasher.seed()
    }
}
