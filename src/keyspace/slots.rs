//! The keys of a slot, in a server whose keys are hashed by slot: counted, listed, walked and removed. A slot is a
//! range of the table of records, so there is nothing to keep up to date here. Never knows which node a slot is of.

use crate::collections::key_hash::{KeyHasher, slot_of};
use crate::collections::key_slot::key_slot;
use crate::collections::table::Pinned;

use super::{Database, Keyspace, Record};

impl Database {
    /// Number of keys in a slot, expired ones that are still there included. O(1).
    pub fn count_in_slot(&self, slot: u16) -> usize {
        self.records().count_in_slot(slot)
    }

    /// Number of keys in a slot that have an expiry time. O(1).
    pub fn volatile_in_slot(&self, slot: u16) -> usize {
        self.volatile().count_in_slot(slot)
    }

    /// Some keys of a slot: as many as there are, but no more than `limit`; expired ones that are still there included.
    /// O(limit), and the keys of two segments.
    pub fn keys_in_slot(&self, slot: u16, limit: usize) -> Vec<&[u8]> {
        self.records().first_of_slot(slot, limit).into_iter().map(Record::key).collect()
    }

    /// An immutable version of the keys of a slot. Changes of other keys copy nothing for its sake, but for those in
    /// the segments at the borders of the slot.
    pub fn pin_slot(&self, slot: u16) -> Pinned<Record> {
        self.records().pin_slot(slot)
    }
}

impl Keyspace {
    /// How keys are hashed.
    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// The slot of a key. Where keys are hashed by slot and this one's hash is known already, nothing is worked out.
    #[inline]
    pub fn slot_of_key(&self, key: &[u8]) -> u16 {
        if self.hasher.is_by_slot() { slot_of(self.hash(key)) } else { key_slot(key) }
    }

    /// One step of a walk through the keys of a slot, as `scan` does it for all keys.
    pub fn scan_slot(&self, database: usize, slot: u16, cursor: u64, visit: impl FnMut(&Record)) -> u64 {
        self.databases[database].records().scan_slot(slot, cursor, visit)
    }

    /// Removes the next keys of a slot, about `budget` of them, as DEL does, and tells `removed` of each; gives the
    /// cursor to go on with. A walk begins with 0 and is over when 0 comes back: then all keys are gone that were there
    /// throughout. O(budget).
    pub fn remove_some_of_slot(
        &mut self,
        database: usize,
        slot: u16,
        mut cursor: u64,
        budget: usize,
        mut removed: impl FnMut(&[u8]),
    ) -> u64 {
        let mut keys: Vec<Box<[u8]>> = Vec::new();
        // A sparse table has empty buckets.
        for _ in 0..budget.max(1) {
            cursor = self.scan_slot(database, slot, cursor, |record| keys.push(record.key().into()));
            if keys.len() >= budget || cursor == 0 {
                break;
            }
        }
        for key in keys {
            if self.delete(database, &key) {
                removed(&key);
            }
        }
        cursor
    }
}
