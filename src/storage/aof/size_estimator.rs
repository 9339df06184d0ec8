//! How many keys a database will have once a file is loaded, by how many have come so far. Knows nothing of the file's
//! format.

use crate::keyspace::Keyspace;

/// How often it is worked out anew, in bytes of the file.
const INTERVAL_BYTES: u64 = 1 << 20;

/// Watches how the keys of a database grow in number.
#[derive(Default)]
pub(crate) struct SizeEstimator {
    last: Option<Mark>,
}

/// What a database had at some place in the file.
struct Mark {
    database: usize,
    bytes: u64,
    keys: usize,
    volatile: usize,
}

impl SizeEstimator {
    /// So many bytes of the file are loaded: now and then tells the keyspace how many keys there will be if they go on
    /// coming as they did, so that its tables need not be rebuilt as they grow. O(1).
    pub fn update(&mut self, keyspace: &mut Keyspace, database: usize, bytes: u64, of: u64) {
        let Some(last) = self.last.take_if(|last| last.database == database) else {
            self.end(keyspace);
            self.last = Some(Mark::at(keyspace, database, bytes));
            return;
        };
        let passed = bytes - last.bytes;
        if passed < INTERVAL_BYTES {
            self.last = Some(last);
            return;
        }
        let now = Mark::at(keyspace, database, bytes);
        let share = of.saturating_sub(bytes) as f64 / passed as f64;
        let expected = |count: usize, before: usize| count + (count.saturating_sub(before) as f64 * share) as usize;
        let keys = expected(now.keys, last.keys);
        let volatile = expected(now.volatile, last.volatile);
        keyspace.presize(database, keys, volatile);
        self.last = Some(now);
    }

    /// The file is at its end: nothing is known of what comes.
    pub fn end(&mut self, keyspace: &mut Keyspace) {
        if let Some(last) = self.last.take() {
            keyspace.presize(last.database, 0, 0);
        }
    }
}

impl Mark {
    fn at(keyspace: &Keyspace, database: usize, bytes: u64) -> Mark {
        let present = keyspace.database(database);
        Mark { database, bytes, keys: present.len(), volatile: present.volatile_len() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::hash::HashSeed;
    use crate::keyspace::{Expiry, NewValue};

    /// What is foreseen makes the table larger at once, and is forgotten at the end.
    #[test]
    fn tables_are_made_as_large_as_they_will_be() {
        const KEYS: usize = 4_000;
        let memory = |foresees: bool| {
            let mut keyspace = Keyspace::new(2, HashSeed::from_seed(1));
            let mut size_estimator = SizeEstimator::default();
            for number in 0..KEYS {
                let key = format!("key:{number}");
                keyspace.set(1, key.as_bytes(), NewValue::Integer(1), Expiry::Clear);
                if foresees {
                    // A file of ten times as many keys.
                    let bytes = (number as u64 + 1) * INTERVAL_BYTES;
                    size_estimator.update(&mut keyspace, 1, bytes, 10 * KEYS as u64 * INTERVAL_BYTES);
                }
            }
            size_estimator.end(&mut keyspace);
            keyspace.database(1).records().memory_bytes()
        };
        assert!(memory(true) > 2 * memory(false));
    }
}
