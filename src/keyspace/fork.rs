//! A copy of all databases that can be changed apart from them: for what is tried out and then forgotten.
//!
//! Making one is O(databases): all is shared at first, and what is changed, on either side, is copied by small pieces.

use super::propagation::Pending;
use super::{Change, Database, Keyspace, KeyspaceStats, discard_all};

/// A copy of the databases while the original is in use, the original while the copy is.
pub struct KeyspaceFork {
    databases: Vec<Database>,
    log: Vec<Change>,
    total: u64,
    /// What the original's present unit has gathered so far.
    pending: Pending,
    stats: KeyspaceStats,
}

impl Keyspace {
    /// A copy of the databases as they are.
    pub fn fork(&self) -> KeyspaceFork {
        KeyspaceFork {
            databases: self.databases.iter().map(Database::fork).collect(),
            log: Vec::new(),
            total: 0,
            pending: Pending::default(),
            stats: self.stats,
        }
    }

    /// Empty databases beside those that are there.
    pub fn fork_empty(&self) -> KeyspaceFork {
        let databases = self.databases.iter().map(|_| Database::new(&self.hasher));
        KeyspaceFork {
            databases: databases.collect(),
            log: Vec::new(),
            total: 0,
            pending: Pending::default(),
            stats: self.stats,
        }
    }

    /// Has other data take the place of all that are there, which counts as a change of every key on either side.
    /// O(wanted keys); the memory is given back by a job.
    pub fn replace_by(&mut self, mut fork: KeyspaceFork) {
        for database in 0..self.count() {
            self.touch_wanted(database, &[database]);
        }
        std::mem::swap(&mut self.databases, &mut fork.databases);
        for (database, before) in fork.databases.iter().enumerate() {
            self.touch_wanted(database, &[database]);
            self.changes.flushed(database, before.len());
        }
        self.drop_branch(fork);
    }

    /// Has the copy be what all work on, until `leave_branch`.
    pub fn enter_branch(&mut self, fork: &mut KeyspaceFork) {
        std::mem::swap(&mut self.databases, &mut fork.databases);
        (fork.log, fork.total) = self.changes.set_aside();
        fork.pending = self.changes.propagation.set_aside();
        fork.stats = self.stats;
    }

    /// Back to the original, which knows nothing of what was done meanwhile.
    pub fn leave_branch(&mut self, fork: &mut KeyspaceFork) {
        std::mem::swap(&mut self.databases, &mut fork.databases);
        let log = std::mem::take(&mut fork.log);
        self.changes.restore(log, fork.total);
        self.changes.propagation.resume(std::mem::take(&mut fork.pending));
        self.stats = fork.stats;
    }

    /// Has the copy take the place of the databases, which are forgotten.
    pub fn go_back_to(&mut self, mut fork: KeyspaceFork) {
        std::mem::swap(&mut self.databases, &mut fork.databases);
        self.drop_branch(fork);
    }

    /// Forgets a copy; its memory is given back by a job.
    pub fn drop_branch(&mut self, fork: KeyspaceFork) {
        for mut database in fork.databases {
            if !database.is_empty() {
                discard_all(&mut self.garbage, &mut database);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::hash::HashSeed;
    use crate::keyspace::{EventClass, Expiry, NewValue};

    fn set(keyspace: &mut Keyspace, number: usize, value: i64, expiry: Expiry) {
        let key = format!("key:{number}");
        keyspace.set(0, key.as_bytes(), NewValue::Integer(value), expiry);
    }

    fn value(keyspace: &mut Keyspace, number: usize) -> Option<(i64, Option<i64>)> {
        let record = keyspace.peek(0, format!("key:{number}").as_bytes())?;
        let value = match record.value() {
            crate::keyspace::Value::Integer(value) => value,
            _ => panic!("only integers were set"),
        };
        Some((value, record.expiry_ms()))
    }

    /// Both sides change all they share, keys that expire too.
    #[test]
    fn original_and_copy_change_apart() {
        const KEYS: usize = if cfg!(miri) { 48 } else { 5000 };
        let mut keyspace = Keyspace::new(2, HashSeed::from_seed(1));
        for number in 0..KEYS {
            let expires = number % 2 == 0;
            let expiry = if expires { Expiry::At(1000) } else { Expiry::Clear };
            set(&mut keyspace, number, 1, expiry);
        }
        keyspace.changes.set_event_classes(u16::MAX);
        let total = keyspace.changes.total();
        let mut fork = keyspace.fork();
        keyspace.changes.notify(EventClass::Generic, "kept", 0, b"key");
        keyspace.enter_branch(&mut fork);
        for number in 0..KEYS {
            match number % 4 {
                0 => set(&mut keyspace, number, 2, Expiry::Clear),
                1 => set(&mut keyspace, number, 2, Expiry::At(2000)),
                2 => drop(keyspace.take(0, format!("key:{number}").as_bytes())),
                _ => {}
            }
        }
        keyspace.leave_branch(&mut fork);
        assert_eq!(keyspace.changes.total(), total);
        assert_eq!(keyspace.changes.take().len(), 1);
        for number in (0..KEYS).filter(|number| number % 3 == 0) {
            keyspace.remove(0, format!("key:{number}").as_bytes());
        }
        keyspace.enter_branch(&mut fork);
        for number in 0..KEYS {
            let expected = match number % 4 {
                0 => Some((2, None)),
                1 => Some((2, Some(2000))),
                2 => None,
                _ => Some((1, None)),
            };
            assert_eq!(value(&mut keyspace, number), expected, "{number}");
        }
        keyspace.now_ms = 3000;
        while keyspace.expire_cycle(1, || false) {}
        assert_eq!(keyspace.database(0).volatile_len(), 0);
        keyspace.now_ms = 0;
        keyspace.leave_branch(&mut fork);
        keyspace.drop_branch(fork);
        while keyspace.reclaim_step(100) {}
        for number in 0..KEYS {
            let expiry_ms = (number % 2 == 0).then_some(1000);
            let expected = (number % 3 != 0).then_some((1, expiry_ms));
            assert_eq!(value(&mut keyspace, number), expected, "{number}");
        }
        assert_eq!(
            keyspace.database(0).volatile_len(),
            (0..KEYS).filter(|number| number % 2 == 0 && number % 3 != 0).count()
        );
    }
}
