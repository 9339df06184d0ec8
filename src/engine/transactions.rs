//! Transactions: the commands that a client has queued, and the keys that clients watch.
//!
//! ```text
//! MULTI            Transactions::begin → session.transaction     a spare one, so that nothing is allocated
//! any command      gate: Verdict::Queue → Transaction::push      or, if it is refused, the transaction is marked dirty
//! EXEC             the handler runs what is queued; Transactions::end gives the buffers back
//! WATCH            Watches::add                                  the key becomes a wanted one
//! its change       Changes → effects::tell → Watches::touch      the client's EXEC will do nothing
//! ```
//!
//! Never runs a command.

use slab::Slab;
use smallvec::SmallVec;

use crate::collections::hash::NumberMap;
use crate::engine::session::Session;
use crate::keyspace::{Changes, Keyspace, ObservedKeyId};

pub use crate::engine::transaction::{Queued, Rest, Transaction};

/// Transactions kept for the next client that begins one.
const SPARE_MAX: usize = 16;
/// What transactions need of the server.
#[derive(Default)]
pub struct Transactions {
    pub watches: Watches,
    #[allow(clippy::vec_box)] // A session takes the box as it is.
    spare: Vec<Box<Transaction>>,
}

impl Transactions {
    /// An empty transaction.
    pub fn begin(&mut self) -> Box<Transaction> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes a transaction back that is over.
    pub fn end(&mut self, mut transaction: Box<Transaction>) {
        if self.spare.len() < SPARE_MAX {
            transaction.clear();
            self.spare.push(transaction);
        }
    }
}

/// What is at a watched key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// An expired record that has not been accessed since.
    Expired,
    Record,
}

impl Found {
    /// What is at a key, which is not touched by this.
    pub fn at(keyspace: &Keyspace, database: usize, key: &[u8]) -> Found {
        let record = keyspace.database(database).get(keyspace.hash(key), key);
        match record {
            None => Found::Nothing,
            Some(record) if record.is_due(keyspace.read_horizon_ms()) => Found::Expired,
            Some(_) => Found::Record,
        }
    }
}

struct Watch {
    watcher: u32,
    found: Found,
}

/// One client that watches keys.
#[derive(Default)]
struct Watcher {
    /// Whether one of the keys has changed. They are watched no longer then.
    is_touched: bool,
    /// By key, the place among its watches.
    keys: NumberMap<ObservedKeyId, u32>,
}

/// Which client watches which keys. A session holds its watcher's number.
#[derive(Default)]
pub struct Watches {
    /// Parallel to the wanted keys.
    keys: Vec<SmallVec<[Watch; 1]>>,
    watchers: Slab<Watcher>,
    /// Number of watched keys, each counted once.
    watched_keys: usize,
}

/// What a watched key costs besides its name: its places in the tables of wanted keys and of watches, in bytes.
const WATCH_BYTES: usize = 128;

impl Watches {
    /// Has a client watch a key of its database, at which this was found. O(1).
    pub fn add(&mut self, changes: &mut Changes, session: &mut Session, key: &[u8], found: Found) {
        let number = *session.watcher.get_or_insert_with(|| self.watchers.insert(Watcher::default()) as u32);
        let id = changes.acquire_interest(session.database, key);
        if self.watchers[number as usize].keys.contains_key(&id) {
            return changes.release_interest(id);
        }
        if self.keys.len() <= id.index() {
            self.keys.resize_with(id.index() + 1, SmallVec::new);
        }
        let watches = &mut self.keys[id.index()];
        let place = watches.len() as u32;
        self.watchers[number as usize].keys.insert(id, place);
        self.watched_keys += usize::from(watches.is_empty());
        session.watch_bytes += key.len() + WATCH_BYTES;
        watches.push(Watch { watcher: number, found });
    }

    /// A client no longer watches anything. O(its keys).
    pub fn remove(&mut self, changes: &mut Changes, session: &mut Session) {
        session.watch_bytes = 0;
        if let Some(number) = session.watcher.take() {
            self.forget_keys(changes, number);
            self.watchers.remove(number as usize);
        }
    }

    fn forget_keys(&mut self, changes: &mut Changes, number: u32) {
        for (id, place) in std::mem::take(&mut self.watchers[number as usize].keys) {
            let watches = &mut self.keys[id.index()];
            watches.swap_remove(place as usize);
            self.watched_keys -= usize::from(watches.is_empty());
            if let Some(moved) = watches.get(place as usize) {
                let moved = &mut self.watchers[moved.watcher as usize];
                moved.keys.insert(id, place);
            }
            changes.release_interest(id);
        }
    }

    /// Whether a client watches this key.
    #[inline]
    pub fn is_watched(&self, id: ObservedKeyId) -> bool {
        let watches = self.keys.get(id.index());
        watches.is_some_and(|watches| !watches.is_empty())
    }

    /// A key was changed; this is there now. O(its watchers, and their keys).
    pub fn touch(&mut self, changes: &mut Changes, id: ObservedKeyId, now: Found) {
        let mut touched = Vec::new();
        for watch in self.keys.get_mut(id.index()).into_iter().flatten() {
            match (watch.found, now) {
                // What had expired is removed at last, or SWAPDB puts it where nothing was: to clients nothing has
                // changed.
                (Found::Expired, Found::Nothing | Found::Expired) | (Found::Nothing, Found::Expired) => {
                    watch.found = now
                }
                _ => touched.push(watch.watcher),
            }
        }
        for number in touched {
            self.watchers[number as usize].is_touched = true;
            self.forget_keys(changes, number);
        }
    }

    /// Whether a key that the client watches was changed.
    #[inline]
    pub fn is_touched(&self, session: &Session) -> bool {
        let watcher = session.watcher.map(|number| &self.watchers[number as usize]);
        watcher.is_some_and(|watcher| watcher.is_touched)
    }

    /// Whether a key that the client watches has expired since, though it has not been accessed. O(its keys).
    pub fn has_expired(&self, keyspace: &Keyspace, session: &Session) -> bool {
        let Some(number) = session.watcher else {
            return false;
        };
        let keys = &self.watchers[number as usize].keys;
        keys.iter().any(|(id, place)| {
            let watch = &self.keys[id.index()][*place as usize];
            let key = keyspace.changes.observed_keys().key(*id);
            watch.found != Found::Expired
                && key.is_some_and(|(database, key)| Found::at(keyspace, database, &key) == Found::Expired)
        })
    }

    /// Number of clients that watch, and of keys that are watched.
    pub fn counts(&self) -> (usize, usize) {
        let watching = self.watchers.iter().filter(|(_, w)| !w.keys.is_empty());
        (watching.count(), self.watched_keys)
    }
}
