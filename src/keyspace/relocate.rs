//! Keys that go elsewhere with their value and expiry time: to another name, another database, or both as a copy; and
//! keys that come from elsewhere.
//!
//! Each counts as one change, and a key that takes the place of another is a new one.

use super::{EventClass, Kept, Keyspace, Record};

impl Keyspace {
    /// Gives a key another name, in place of any key of that name. The caller has looked both up. O(1): a large value
    /// is not copied.
    pub fn rename(&mut self, database: usize, from: &[u8], to: &[u8]) {
        let hash = self.hash(from);
        let Some(record) = self.databases[database].remove(hash, from) else {
            return;
        };
        self.changes.touched(database, from);
        self.settle_in(database, record.with(to, record.expiry_ms()));
    }

    /// Moves a key to another database, in which it is absent. The caller has looked both up. O(1).
    pub fn relocate(&mut self, database: usize, target: usize, key: &[u8]) {
        let hash = self.hash(key);
        if let Some(record) = self.databases[database].remove(hash, key) {
            self.changes.touched(database, key);
            self.settle_in(target, record);
        }
    }

    /// Copies a key, in place of any key of the other name there. The caller has looked both up. O(1): a large value is
    /// shared until one of the two is changed.
    pub fn copy(&mut self, database: usize, from: &[u8], target: usize, to: &[u8]) {
        let hash = self.hash(from);
        let Some(record) = self.databases[database].get(hash, from) else {
            return;
        };
        let copy = record.with(to, record.expiry_ms());
        copy.set_access(self.access.of_new());
        self.settle_in(target, copy);
    }

    /// Puts a record in its place as a new key, whatever was there before. One change.
    pub fn settle_in(&mut self, database: usize, record: Record) {
        let hash = self.hasher.hash(record.key());
        if self.access.kept == Kept::LastChange {
            record.set_access(self.access.of_new());
        }
        self.changes.notify(EventClass::New, "new", database, record.key());
        self.changes.modified(database, record.key());
        self.databases[database].replace(hash, record);
    }

    /// Says how many keys a database will have, and how many of them expire: room is made for them as they come. 0:
    /// nothing is known. O(1).
    pub fn presize(&mut self, database: usize, keys: usize, volatile: usize) {
        self.databases[database].presize(keys, volatile);
    }

    /// Adds a record that comes from a snapshot, unless its key is there already: then it is given back. Counts as no
    /// change. O(1).
    pub fn load_new(&mut self, database: usize, hash: u64, record: Record) -> Result<(), Record> {
        self.databases[database].insert_absent(hash, record)
    }

    /// Adds a record that comes from a snapshot, whatever was there before. Counts as no change. O(1).
    pub fn load_over(&mut self, database: usize, hash: u64, record: Record) {
        self.databases[database].replace(hash, record);
    }
}
