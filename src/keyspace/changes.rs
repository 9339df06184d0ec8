//! The log of what a command changed, to be published after the command.

use crate::collections::hash::HashSeed;
use crate::config::{self, KeyspaceEvents};

use super::observer;
use super::propagation::Propagation;
use crate::keyspace::observed_keys::{ObservedKeyId, ObservedKeys};

/// The classes of keyspace events, one character each in `notify-keyspace-events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum EventClass {
    Generic = 1 << 2,
    String = 1 << 3,
    List = 1 << 4,
    Set = 1 << 5,
    Hash = 1 << 6,
    SortedSet = 1 << 7,
    Expired = 1 << 8,
    Evicted = 1 << 9,
    Stream = 1 << 10,
    KeyMiss = 1 << 11,
    New = 1 << 14,
}

impl EventClass {
    const ALL: [(EventClass, config::EventClass); 11] = [
        (EventClass::Generic, config::EventClass::Generic),
        (EventClass::String, config::EventClass::String),
        (EventClass::List, config::EventClass::List),
        (EventClass::Set, config::EventClass::Set),
        (EventClass::Hash, config::EventClass::Hash),
        (EventClass::SortedSet, config::EventClass::SortedSet),
        (EventClass::Expired, config::EventClass::Expired),
        (EventClass::Evicted, config::EventClass::Evicted),
        (EventClass::Stream, config::EventClass::Stream),
        (EventClass::KeyMiss, config::EventClass::KeyMiss),
        (EventClass::New, config::EventClass::New),
    ];

    /// The classes to be logged under a setting: none if it names no channel to publish them on.
    pub fn logged(setting: KeyspaceEvents) -> u16 {
        let is_published =
            setting.contains(config::EventClass::Keyspace) || setting.contains(config::EventClass::Keyevent);
        let wanted = EventClass::ALL.iter().filter(|(_, class)| is_published && setting.contains(*class));
        wanted.fold(0, |classes, (class, _)| classes | *class as u16)
    }
}

/// One entry of the log, in the order in which things happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The value or expiry time of a wanted key is not what it was. Once, however often it changed.
    Observed(ObservedKeyId),
    /// A key's value or expiry time is not what it was.
    Modified {
        database: usize,
        key: Vec<u8>,
        /// Whether it is gone because its time was over, and not by a command's doing.
        has_expired: bool,
    },
    /// Something that a keyspace event reports.
    Event {
        class: EventClass,
        event: &'static str,
        database: usize,
        key: Vec<u8>,
    },
    Flushed {
        database: usize,
    },
    Swapped {
        first: usize,
        second: usize,
    },
}

/// Counts changes always, and logs them while there is a listener.
pub struct Changes {
    /// Changes since the start; never falls.
    total: u64,
    /// How often a database was emptied since the start.
    flushes: u64,
    /// Whether anything is to be done when a key is touched: all are logged, or some are wanted.
    listens: bool,
    observed: bool,
    event_classes: u16,
    log: Vec<Change>,
    /// The changes of all keys since it was taken last, for a tool that asks for them.
    journal: Option<Vec<Change>>,
    /// Of the keys in the log.
    key_bytes: usize,
    observed_keys: ObservedKeys,
    /// What is passed on of them.
    pub propagation: Propagation,
}

impl Changes {
    /// Nothing has changed yet, and nobody listens.
    pub(super) fn new(seed: HashSeed) -> Changes {
        Changes {
            total: 0,
            flushes: 0,
            listens: false,
            observed: false,
            event_classes: 0,
            log: Vec::new(),
            journal: None,
            key_bytes: 0,
            observed_keys: ObservedKeys::new(seed),
            propagation: Propagation::default(),
        }
    }

    /// Number of changes since the start.
    #[inline]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Counts changes without a key of their own.
    pub fn count(&mut self, changes: u64) {
        self.total += changes;
    }

    /// Whether modifications are logged.
    pub fn set_observed(&mut self, observed: bool) {
        self.observed = observed;
        self.update_listening();
    }

    fn update_listening(&mut self) {
        self.listens = self.observed || self.journal.is_some() || !self.observed_keys.is_empty();
    }

    /// From now on the changes of all keys are kept in a journal, whatever else is done with them.
    pub fn keep_journal(&mut self) {
        self.journal.get_or_insert_default();
        self.update_listening();
    }

    /// The changes since the last time, oldest first, if a journal is kept.
    pub fn take_journal(&mut self) -> Vec<Change> {
        self.journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// From now on, changes of this key are logged. The caller releases what it gets. O(1).
    pub fn acquire_interest(&mut self, database: usize, key: &[u8]) -> ObservedKeyId {
        self.listens = true;
        self.observed_keys.acquire(database, key)
    }

    /// One observer of a key is gone. O(1).
    pub fn release_interest(&mut self, id: ObservedKeyId) {
        self.observed_keys.release(id);
        self.update_listening();
    }

    /// The wanted keys.
    pub fn observed_keys(&self) -> &ObservedKeys {
        &self.observed_keys
    }

    /// Which event classes are logged (bits of `EventClass`).
    pub fn set_event_classes(&mut self, classes: u16) {
        self.event_classes = classes;
    }

    /// A key was changed or removed.
    #[inline]
    pub fn modified(&mut self, database: usize, key: &[u8]) {
        self.total += 1;
        self.touched(database, key);
    }

    /// A key was changed or removed by what does not count as a change: it expired, or the change is
    /// counted under another key.
    #[inline]
    pub fn touched(&mut self, database: usize, key: &[u8]) {
        observer::note(key, true);
        if self.listens {
            self.log_touched(database, key, false);
        }
    }

    /// A key was removed because its time was over.
    #[inline]
    pub fn expired(&mut self, database: usize, key: &[u8]) {
        self.propagation.delete(database, key);
        if self.listens {
            self.log_touched(database, key, true);
        }
    }

    #[inline(never)]
    fn log_touched(&mut self, database: usize, key: &[u8], has_expired: bool) {
        if let Some(id) = self.observed_keys.note(database, key) {
            self.log.push(Change::Observed(id));
        }
        if let Some(journal) = &mut self.journal {
            journal.push(Change::Modified { database, key: key.to_vec(), has_expired });
        }
        if self.observed {
            self.key_bytes += key.len();
            self.log.push(Change::Modified { database, key: key.to_vec(), has_expired });
        }
    }

    /// A key was removed to make room. Like expiry this does not count as a change of the server's own.
    pub fn evicted(&mut self, database: usize, key: &[u8]) {
        self.propagation.delete(database, key);
        self.touched(database, key);
        self.notify(EventClass::Evicted, "evicted", database, key);
    }

    /// Something happened that a keyspace event reports.
    #[inline]
    pub fn notify(&mut self, class: EventClass, event: &'static str, database: usize, key: &[u8]) {
        if self.event_classes & class as u16 != 0 {
            self.key_bytes += key.len();
            self.log.push(Change::Event { class, event, database, key: key.to_vec() });
        }
    }

    /// A database of so many keys was emptied.
    pub fn flushed(&mut self, database: usize, keys: usize) {
        self.total += keys as u64;
        self.flushes += 1;
        if self.observed {
            self.log.push(Change::Flushed { database });
        }
        if let Some(journal) = &mut self.journal {
            journal.push(Change::Flushed { database });
        }
    }

    /// How often a database was emptied, or replaced, since the start.
    pub fn flushes(&self) -> u64 {
        self.flushes
    }

    /// Two databases changed places.
    pub fn swapped(&mut self, first: usize, second: usize) {
        self.total += 1;
        if self.observed {
            self.log.push(Change::Swapped { first, second });
        }
        if let Some(journal) = &mut self.journal {
            journal.push(Change::Swapped { first, second });
        }
    }

    /// Whether there is anything in the log.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// Memory that the log holds until it is taken, in bytes. O(1).
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.log.capacity() * size_of::<Change>() + self.key_bytes
    }

    /// Takes the log, leaving it empty.
    pub fn take(&mut self) -> Vec<Change> {
        let log = std::mem::take(&mut self.log);
        self.key_bytes = 0;
        for change in &log {
            if let Change::Observed(id) = change {
                self.observed_keys.forget_note(*id);
            }
        }
        log
    }

    /// Puts the log and the number of changes away, and begins an empty log.
    pub(super) fn set_aside(&mut self) -> (Vec<Change>, u64) {
        (std::mem::take(&mut self.log), self.total)
    }

    /// Goes on with what was put away; what came since is forgotten.
    pub(super) fn restore(&mut self, log: Vec<Change>, total: u64) {
        self.take();
        self.log = log;
        self.total = total;
    }
}
