//! All databases as they were at one instant, to be walked in pieces while they change. Never changes anything.

use crate::collections::table::Pinned;

use super::hidden::HiddenSlots;
use super::{Keyspace, Record};
use crate::collections::key_slot::key_slot;

/// A version of the whole keyspace. Later changes copy what they touch, once; walking lets go of what has been seen.
pub struct Version {
    /// The databases that have keys, the next one last.
    databases: Vec<DatabaseVersion>,
    keys: usize,
    has_field_times: bool,
    /// Slots whose keys are left out.
    hidden: Option<Box<HiddenSlots>>,
}

struct DatabaseVersion {
    number: usize,
    records: Pinned<Record>,
    volatile: usize,
}

/// What a version knows of one of its databases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatabaseSummary {
    pub number: usize,
    /// Keys that it had when it was pinned.
    pub keys: usize,
    /// Those of them that had an expiry time.
    pub volatile: usize,
}

impl Keyspace {
    /// Holds on to all databases as they are now, without keys that are hidden. O(databases).
    pub fn pin(&self) -> Version {
        let databases = self.databases.iter().enumerate().rev();
        let databases: Vec<_> = databases
            .filter(|(_, database)| !database.is_empty())
            .map(|(number, database)| DatabaseVersion {
                number,
                records: database.pin(),
                volatile: database.volatile_len(),
            })
            .collect();
        Version { hidden: self.hidden.clone(), ..self.version_of(databases) }
    }

    /// Holds on to one database as it is now, without keys that are hidden. O(1).
    pub fn pin_database(&self, number: usize) -> Version {
        let database = &self.databases[number];
        let version = DatabaseVersion { number, records: database.pin(), volatile: database.volatile_len() };
        let databases = if database.is_empty() { Vec::new() } else { vec![version] };
        Version { hidden: self.hidden.clone(), ..self.version_of(databases) }
    }

    /// Whether a key still has the record that a version showed, so that nothing has changed it since. While a record
    /// is held on to, a change makes another one.
    pub fn has_still(&self, database: usize, record: &Record) -> bool {
        let key = record.key();
        self.databases[database].get(self.hash(key), key).is_some_and(|now| now.is(record))
    }

    /// Holds on to the keys of some slots, as `pin` does for all keys. Where keys are not hashed by slot there are
    /// none. O(databases · slots).
    pub fn pin_slots(&self, slots: &[u16]) -> Version {
        let mut databases = Vec::new();
        for (number, database) in self.databases.iter().enumerate().rev() {
            let has_keys = |slot: &&u16| database.count_in_slot(**slot) > 0;
            databases.extend(slots.iter().rev().filter(has_keys).map(|&slot| DatabaseVersion {
                number,
                records: database.pin_slot(slot),
                volatile: database.volatile_in_slot(slot),
            }));
        }
        self.version_of(databases)
    }

    fn version_of(&self, databases: Vec<DatabaseVersion>) -> Version {
        Version {
            keys: databases.iter().map(|one| one.records.len()).sum(),
            databases,
            has_field_times: self.has_field_times(),
            hidden: None,
        }
    }

    /// Whether there are hashes with fields that expire. O(databases).
    pub fn has_field_times(&self) -> bool {
        self.databases.iter().any(|one| one.expiring_hashes() > 0)
    }
}

impl Version {
    /// Number of keys when it was pinned, expired ones included.
    pub fn keys(&self) -> usize {
        self.keys
    }

    /// Whether there are hashes with fields that expire.
    pub fn has_field_times(&self) -> bool {
        self.has_field_times
    }

    /// The database that is being walked; nothing at the end.
    pub fn database(&self) -> Option<DatabaseSummary> {
        self.databases.last().map(|one| DatabaseSummary {
            number: one.number,
            keys: one.records.len(),
            volatile: one.volatile,
        })
    }

    /// Shows the next records of the present database and lets go of them; where there are none left, the next database
    /// is the present one and nothing is shown. Says whether it showed any. O(1), at most some hundred records.
    pub fn next_records(&mut self, mut visit: impl FnMut(&Record)) -> bool {
        let Some(database) = self.databases.last_mut() else {
            return false;
        };
        let more = match &self.hidden {
            None => database.records.next_segment(visit),
            Some(hidden) => database.records.next_segment(|record| {
                if !hidden.contains(key_slot(record.key())) {
                    visit(record);
                }
            }),
        };
        if !more {
            self.databases.pop();
        }
        more
    }

    /// Releases about this many records that are no longer needed; returns whether records are left.
    pub fn release_step(&mut self, records: usize) -> bool {
        let Some(database) = self.databases.last_mut() else {
            return false;
        };
        if !database.records.release_step(records) {
            self.databases.pop();
        }
        !self.databases.is_empty()
    }
}
