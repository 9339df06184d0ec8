//! Which request wrote each key last, from the journal of changes (`Changes::take_journal`).

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::keyspace::Change;

/// What has changed a key, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    pub turn: u64,
    pub by: Writer,
}

/// What has changed a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writer {
    /// A request: its number within the turn, its client, and what it was.
    Request { number: u64, client: u64, text: Rc<str> },
    /// The key's time was over.
    Expiry,
    /// The server itself: eviction, a client that has waited, what a primary sends, or loading.
    Server,
}

/// The last writer of every key that was changed since the start.
#[derive(Debug, Default)]
pub struct Writers {
    keys: BTreeMap<(usize, Vec<u8>), Cause>,
    /// What has emptied a database: the writer of all keys that were not changed since.
    flushes: BTreeMap<usize, Cause>,
}

impl Writers {
    /// Notes changes, all of which have this cause unless they say otherwise.
    pub fn note(&mut self, changes: Vec<Change>, cause: &Cause) {
        for change in changes {
            match change {
                Change::Modified { database, key, has_expired } => {
                    let by = if has_expired { Writer::Expiry } else { cause.by.clone() };
                    self.keys.insert((database, key), Cause { turn: cause.turn, by });
                }
                Change::Flushed { database } => {
                    self.keys.retain(|(of, _), _| *of != database);
                    self.flushes.insert(database, cause.clone());
                }
                Change::Swapped { first, second } => self.swap(first, second),
                Change::Observed(_) | Change::Event { .. } => {}
            }
        }
    }

    fn swap(&mut self, first: usize, second: usize) {
        let other = |database: usize| match database {
            _ if database == first => second,
            _ if database == second => first,
            _ => database,
        };
        let keys = std::mem::take(&mut self.keys).into_iter();
        self.keys = keys.map(|((database, key), cause)| ((other(database), key), cause)).collect();
        let flushes = std::mem::take(&mut self.flushes).into_iter();
        self.flushes = flushes.map(|(database, cause)| (other(database), cause)).collect();
    }

    /// What has changed a key last, if anything has.
    pub fn of(&self, database: usize, key: &[u8]) -> Option<&Cause> {
        self.keys.get(&(database, key.to_vec())).or_else(|| self.flushes.get(&database))
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let turn = self.turn;
        match &self.by {
            Writer::Request { number, client, text } => {
                write!(formatter, "turn {turn}, request {number}, client {client}: {text}")
            }
            Writer::Expiry => write!(formatter, "turn {turn}: its time was over"),
            Writer::Server => {
                write!(formatter, "turn {turn}: no request (eviction, a client that waited, a primary, or loading)")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_writer_is_found_through_flushes_and_swaps() {
        let mut writers = Writers::default();
        let cause = |turn| Cause { turn, by: Writer::Server };
        let modified = |database, key: &str, has_expired| Change::Modified { database, key: key.into(), has_expired };
        writers.note(vec![modified(0, "a", false), modified(1, "b", false)], &cause(1));
        writers.note(vec![modified(0, "a", true)], &cause(2));
        assert_eq!(writers.of(0, b"a"), Some(&Cause { turn: 2, by: Writer::Expiry }));
        writers.note(vec![Change::Flushed { database: 0 }, modified(0, "c", false)], &cause(3));
        writers.note(vec![Change::Swapped { first: 0, second: 1 }], &cause(4));
        assert_eq!(writers.of(1, b"a"), Some(&cause(3)), "the flush");
        assert_eq!(writers.of(1, b"c"), Some(&cause(3)));
        assert_eq!(writers.of(0, b"b"), Some(&cause(1)));
        assert_eq!(writers.of(0, b"a"), None);
    }
}
