//! Looking ahead over the keys of one command: their cache lines are fetched side by side, not one after the other.

use super::Keyspace;

/// Keys that are fetched together: about as many misses as a core keeps in flight.
const WINDOW_KEYS: usize = 16;

impl Keyspace {
    /// Shows every key to `visit`, in order, with the lines that a lookup of it in this database needs under way. A key's hash
    /// is worked out once: the lookups in `visit` find it. O(number of keys).
    pub fn for_each_ahead<'a>(
        &mut self,
        database: usize,
        mut keys: impl Iterator<Item = &'a [u8]> + Clone,
        mut visit: impl FnMut(&mut Keyspace, &'a [u8]),
    ) {
        let mut hashes = [0; WINDOW_KEYS];
        loop {
            let mut count = 0;
            for (key, hash) in keys.clone().zip(&mut hashes) {
                *hash = self.hash(key);
                self.prefetch_bucket(database, *hash);
                count += 1;
            }
            if count > 1 {
                hashes[..count]
                    .iter()
                    .for_each(|hash| self.prefetch_record(database, *hash));
            }
            for (hash, key) in hashes[..count].iter().zip(keys.by_ref()) {
                self.remember_hash(key, *hash);
                visit(self, key);
            }
            if count < WINDOW_KEYS {
                break;
            }
        }
        self.forget_hash();
    }
}
