//! The observed keys: clients wait for them or watch them, so their changes are logged.
//!
//! While no key is observed a change costs one branch. Otherwise it costs one lookup in a small table of the observed
//! keys: the table's control bytes rule out an unobserved key without touching an entry, and nothing is allocated.

use std::rc::Rc;

use slab::Slab;

use super::Keyspace;
use crate::collections::hash::{HashSeed, SeededMap};

/// An observed key of one database. Valid while it has a holder; reused afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObservedKeyId(u32);

impl ObservedKeyId {
    /// The place in tables that run parallel to the wanted keys.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

struct Entry {
    database: usize,
    key: Rc<[u8]>,
    holders: u32,
    /// Whether the log names it already.
    is_noted: bool,
}

/// The wanted keys of all databases, each counted by its holders.
pub struct ObservedKeys {
    entries: Slab<Entry>,
    /// By key, for each database that had a wanted one.
    databases: Vec<SeededMap<Rc<[u8]>, ObservedKeyId>>,
    seed: HashSeed,
}

impl ObservedKeys {
    /// None yet.
    pub(crate) fn new(seed: HashSeed) -> ObservedKeys {
        ObservedKeys { entries: Slab::new(), databases: Vec::new(), seed }
    }

    /// Adds a holder to a key. O(1).
    pub(crate) fn acquire(&mut self, database: usize, key: &[u8]) -> ObservedKeyId {
        if let Some(id) = self.find(database, key) {
            self.entries[id.index()].holders += 1;
            return id;
        }
        if self.databases.len() <= database {
            self.databases.resize_with(database + 1, || self.seed.map());
        }
        let key: Rc<[u8]> = key.into();
        let id = ObservedKeyId(
            self.entries.insert(Entry { database, key: key.clone(), holders: 1, is_noted: false }) as u32
        );
        self.databases[database].insert(key, id);
        id
    }

    /// Takes a holder away; the last one's going ends the interest. O(1).
    pub(crate) fn release(&mut self, id: ObservedKeyId) {
        let entry = &mut self.entries[id.index()];
        entry.holders -= 1;
        if entry.holders == 0 {
            let entry = self.entries.remove(id.index());
            self.databases[entry.database].remove(&entry.key);
        }
    }

    #[inline]
    fn find(&self, database: usize, key: &[u8]) -> Option<ObservedKeyId> {
        self.databases.get(database)?.get(key).copied()
    }

    /// Whether a change of this key is to be noted now, and under which name: not if it is not observed, nor twice.
    #[inline]
    pub(crate) fn note(&mut self, database: usize, key: &[u8]) -> Option<ObservedKeyId> {
        let id = self.find(database, key)?;
        let was_noted = std::mem::replace(&mut self.entries[id.index()].is_noted, true);
        (!was_noted).then_some(id)
    }

    /// The log no longer names that key.
    pub(crate) fn forget_note(&mut self, id: ObservedKeyId) {
        if let Some(entry) = self.entries.get_mut(id.index()) {
            entry.is_noted = false;
        }
    }

    /// Which key that is, and of which database; none if it is no longer observed.
    pub fn key(&self, id: ObservedKeyId) -> Option<(usize, Rc<[u8]>)> {
        let entry = self.entries.get(id.index())?;
        Some((entry.database, entry.key.clone()))
    }

    /// Whether no key is observed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The wanted keys of a database. O(wanted keys).
    fn keys_of(&self, database: usize) -> Vec<Rc<[u8]>> {
        let of_database = self.entries.iter().filter(|(_, entry)| entry.database == database);
        of_database.map(|(_, entry)| entry.key.clone()).collect()
    }
}

impl Keyspace {
    /// Reports every observed key of a database that exists in one of these: all of their keys change at once.
    pub(crate) fn touch_wanted(&mut self, database: usize, places: &[usize]) {
        if self.changes.observed_keys().is_empty() {
            return;
        }
        for key in self.changes.observed_keys().keys_of(database) {
            let hash = self.hasher.hash(&key);
            let exists = |place: &usize| self.databases[*place].get(hash, &key).is_some();
            if places.iter().any(exists) {
                self.changes.touched(database, &key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_wanted_until_its_last_holder_goes() {
        let mut observed_keys = ObservedKeys::new(HashSeed::from_seed(1));
        let first = observed_keys.acquire(3, b"key");
        assert_eq!(observed_keys.acquire(3, b"key"), first);
        let other = observed_keys.acquire(0, b"key");
        assert_ne!(first, other);
        observed_keys.release(first);
        assert_eq!(observed_keys.note(3, b"key"), Some(first));
        assert_eq!(observed_keys.note(3, b"key"), None, "noted already");
        observed_keys.forget_note(first);
        assert_eq!(observed_keys.note(3, b"key"), Some(first));
        observed_keys.release(first);
        assert_eq!(observed_keys.note(3, b"key"), None);
        assert_eq!(observed_keys.key(first), None);
        assert_eq!(observed_keys.note(0, b"key"), Some(other));
        observed_keys.release(other);
        assert!(observed_keys.is_empty());
    }
}
