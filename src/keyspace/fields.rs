//! Fields of hashes that expire: the index of the hashes that have such fields.
//!
//! Each database knows, in the order of the times, when the next field of each such hash expires; a hash is known by
//! the hash of its key. The entry is always exact, so that it can be found again from the record alone. Code that
//! changes a hash in its place says so (`note_field_expiry`); what takes a record away, or puts one there, sees to it
//! in `Database`.

use crate::types::hash::{FieldExpiry, HashEditor, Limits};

use super::record::Record;
use super::{Database, EventClass, Keyspace, ValueMut};

impl Keyspace {
    /// Says when the next field of a hash expired before a change in its place, and when it does now.
    #[inline]
    pub fn note_field_expiry(&mut self, database: usize, key: &[u8], before_ms: Option<i64>, after_ms: Option<i64>) {
        if before_ms != after_ms {
            let hash = self.hash(key);
            self.databases[database].move_fields_due(hash, before_ms, after_ms);
        }
    }

    /// Removes a key whose collection has become empty, with the keyspace event; the change that emptied it has been
    /// counted.
    pub fn remove_empty(&mut self, database: usize, key: &[u8]) {
        let hash = self.hash(key);
        if self.databases[database].remove(hash, key).is_some() {
            self.changes.touched(database, key);
        }
        self.changes.notify(EventClass::Generic, "del", database, key);
    }

    /// Says that fields of a hash were removed because their time was over, which does not count as a change.
    pub fn note_expired_fields(&mut self, database: usize, key: &[u8], fields: usize) {
        self.stats.expired_fields += fields as u64;
        self.changes.touched(database, key);
        self.changes.notify(EventClass::Hash, "hexpired", database, key);
    }

    /// Removes up to `max_fields` fields of a hash whose time is over, and the hash if none is left. O(log n) for each.
    pub fn expire_fields_of(&mut self, database: usize, key: &[u8], max_fields: usize) -> usize {
        let hash = self.hash(key);
        let now_ms = self.now_ms;
        let Keyspace { databases, hasher, changes, .. } = self;
        let Some(mut value) = ValueMut::of(&mut databases[database], hash, key, hasher.seed()) else {
            return 0;
        };
        let before_ms = value.record().next_field_expiry_ms();
        let Some(mut fields) = HashEditor::of(&mut value, Limits::NONE) else {
            return 0;
        };
        let removed = fields.remove_due(now_ms, max_fields, |name| {
            changes.propagation.add(database, &[b"HDEL", key, name]);
        });
        let (after_ms, is_empty) = (fields.read().next_expiry_ms(), fields.is_empty());
        self.note_field_expiry(database, key, before_ms, after_ms);
        if removed > 0 {
            self.note_expired_fields(database, key, removed);
        }
        if is_empty {
            self.remove_empty(database, key);
        }
        removed
    }

    /// Removes about `max_fields` fields whose time is over, those of the hashes first whose times are first; tells
    /// whether there are more.
    pub fn expire_fields_step(&mut self, max_fields: usize) -> bool {
        let mut removed = 0;
        while removed < max_fields {
            let Some((database, key)) = self.next_fields_due() else {
                return false;
            };
            // A hash costs something, whatever is removed.
            removed += 1;
            // The key itself may have expired: then it goes as a whole.
            if self.exists(database, &key) {
                removed += self.expire_fields_of(database, &key, max_fields);
            }
        }
        self.next_fields_due().is_some()
    }

    /// A hash with fields whose time is over.
    fn next_fields_due(&self) -> Option<(usize, Vec<u8>)> {
        let due = self.databases.iter().map(Database::first_fields_due).enumerate();
        // While a hidden hash comes first, the others wait: reads do not find their fields anyhow.
        let is_due = |due: &FieldExpiry| due.time_ms < self.now_ms && !self.hides(due.hash);
        let (database, due) = due.filter_map(|(number, due)| Some((number, due?))).find(|(_, due)| is_due(due))?;
        let is_it = |record: &Record| {
            record.next_field_expiry_ms() == Some(due.time_ms) && self.hasher.hash(record.key()) == due.hash
        };
        let record = self.databases[database].records().get_where(due.hash, is_it);
        // INVARIANT: `Database` enters the time of a record with the record and takes it out with it, and code that
        // changes it between calls `note_field_expiry`: so of each entry the record is there, with this very time and
        // hash.
        let record = record.expect("a hash of the index is in the table");
        Some((database, record.key().to_vec()))
    }
}
