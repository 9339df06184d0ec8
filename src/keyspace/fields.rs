//! Fields of hashes that expire: the index of the hashes that have such fields.
//!
//! Each database knows, in the order of the times, when the next field of each such hash expires; a hash is known by the hash
//! of its key. The entry is always exact, so that it can be found again from the record alone. Whoever changes a hash in its
//! place says so (`note_field_expiry`); what takes a record away, or puts one there, sees to it in `Database`.

use super::{EventClass, Keyspace};

impl Keyspace {
    /// The time before which what expires must have been due to count as expired, in ms since the epoch.
    #[inline]
    pub fn horizon_ms(&self) -> i64 {
        super::expiry::horizon(self.hold_expired, self.now_ms)
    }

    /// Says when the next field of a hash expired before a change in its place, and when it does now.
    #[inline]
    pub fn note_field_expiry(
        &mut self,
        database: usize,
        key: &[u8],
        before_ms: Option<i64>,
        after_ms: Option<i64>,
    ) {
        if before_ms != after_ms {
            let hash = self.hash(key);
            self.databases[database].move_fields_due(hash, before_ms, after_ms);
        }
    }

    /// Removes a key whose collection has become empty; the change that emptied it has been counted.
    pub fn remove_empty(&mut self, database: usize, key: &[u8]) {
        let hash = self.hash(key);
        if self.databases[database].remove(hash, key).is_some() {
            self.changes.touched(database, key);
        }
    }

    /// Says that fields of a hash were removed because their time was over, which does not count as a change.
    pub fn note_expired_fields(&mut self, database: usize, key: &[u8], fields: usize) {
        self.stats.expired_fields += fields as u64;
        self.changes.touched(database, key);
        self.changes
            .notify(EventClass::Hash, "hexpired", database, key);
    }
}
