//! The index of the records that expire: references that do not count as owners. Safe code sees them only as
//! [`Expiring`], which borrows the index, so that no record can go meanwhile.
//!
//! ```compile_fail,E0505
//! # use oneloop::collections::hash::HashSeed;
//! # use oneloop::collections::key_hash::KeyHasher;
//! # use oneloop::keyspace::database::Database;
//! let database = Database::new(&KeyHasher::from(HashSeed::from_seed(1)));
//! let mut kept = Vec::new();
//! database.volatile().scan(0, |expiring| kept.push(expiring));
//! drop(database);
//! kept.len();
//! ```

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::{FLAG_BITS, HEADER_BYTES, Header, Record};
use crate::collections::key_hash::KeyHasher;
use crate::collections::table::{Entry, LazyFree, Occupancy, Table};

/// A reference to a record with an expiry time that does not count. Only the index holds any.
#[derive(Clone)]
struct Reference {
    header: NonNull<Header>,
}

impl Entry for Reference {
    const ARE_KEYS: bool = true;

    #[inline]
    fn key(&self) -> &[u8] {
        // The index keeps the reference only as long as the record lives.
        Expiring::of(self).key()
    }

    #[inline]
    fn address(&self) -> *const u8 {
        self.header.as_ptr().cast()
    }
}

/// A record that expires, for as long as nothing can be taken out of its database.
#[derive(Clone, Copy)]
pub struct Expiring<'a> {
    header: NonNull<Header>,
    index: PhantomData<&'a VolatileIndex>,
}

impl<'a> Expiring<'a> {
    #[inline]
    fn of(reference: &Reference) -> Expiring<'a> {
        Expiring { header: reference.header, index: PhantomData }
    }

    /// When the key expires, in ms since the epoch.
    #[inline]
    pub fn expiry_ms(self) -> i64 {
        // SAFETY: only records with an expiry time are indexed, and the index keeps the reference only as long as the
        // record lives.
        unsafe { self.header.as_ptr().cast::<u8>().add(HEADER_BYTES).cast::<i64>().read_unaligned() }
    }

    /// What the eviction policy keeps (28 bits).
    #[inline]
    pub fn access(self) -> u32 {
        // SAFETY: the index keeps the reference only as long as the record lives.
        unsafe { (*self.header.as_ptr()).access >> FLAG_BITS }
    }

    /// The key.
    #[inline]
    pub fn key(self) -> &'a [u8] {
        let record = ManuallyDrop::new(Record { header: self.header, _not_send: PhantomData });
        let key: *const [u8] = record.key();
        // SAFETY: the index keeps the reference only as long as the record lives; the key's bytes do not move while it
        // does.
        unsafe { &*key }
    }

    /// Where the record lies.
    #[inline]
    pub fn address(self) -> *const u8 {
        self.header.as_ptr().cast()
    }
}

/// The records of a database that expire.
pub struct VolatileIndex {
    table: Table<Reference>,
}

impl VolatileIndex {
    /// An empty index, with the hash of the database.
    pub fn new(hasher: &KeyHasher) -> VolatileIndex {
        VolatileIndex { table: Table::of_keys(hasher) }
    }

    /// Number of records.
    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Memory of the index, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.table.memory_bytes()
    }

    /// How the index is filled.
    pub fn occupancy(&self) -> Occupancy {
        self.table.occupancy()
    }

    /// As [`Table::scan`].
    #[inline]
    pub fn scan<'a>(&'a self, cursor: u64, mut visit: impl FnMut(Expiring<'a>)) -> u64 {
        self.table.scan(cursor, |reference| visit(Expiring::of(reference)))
    }

    /// As [`Table::random_cursor`].
    pub fn random_cursor(&self, random: &mut fastrand::Rng) -> u64 {
        self.table.random_cursor(random)
    }

    /// As [`Table::random`].
    pub fn random(&self, random: &mut fastrand::Rng) -> Option<Expiring<'_>> {
        self.table.random(random).map(Expiring::of)
    }

    /// As [`Table::count_in_slot`].
    pub fn count_in_slot(&self, slot: u16) -> usize {
        self.table.count_in_slot(slot)
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.table.hash(key)
    }

    /// Adds a record whose key is not in the index.
    ///
    /// # Safety
    /// The record has an expiry time. It is removed from the index, or replaced there, before its last owner goes.
    pub unsafe fn insert(&mut self, hash: u64, record: &Record) {
        self.table.insert(hash, Reference { header: record.header });
    }

    /// Puts a record in the place of the one with the same key.
    ///
    /// # Safety
    /// As for `insert`.
    pub unsafe fn replace(&mut self, hash: u64, record: &Record) {
        self.table.replace(hash, Reference { header: record.header });
    }

    /// Takes a key out.
    #[inline]
    pub fn remove(&mut self, hash: u64, key: &[u8]) {
        self.table.remove(hash, key);
    }

    /// Says how many records there will be. O(1).
    pub fn presize(&mut self, records: usize) {
        self.table.presize(records);
    }

    /// Empties the index. O(1); nothing is read of the records any more.
    pub fn take(&mut self) -> VolatileRemains {
        VolatileRemains(self.table.take())
    }

    /// A second index of the same records. O(1).
    ///
    /// # Safety
    /// For each record the second index keeps what `insert` demands of the first.
    pub unsafe fn fork(&self) -> VolatileIndex {
        VolatileIndex { table: self.table.fork() }
    }

    /// Gives back room that few records use, a bounded piece at a time; tells whether there is more.
    pub fn shrink_step(&mut self, entries: usize) -> bool {
        self.table.needs_shrink() && self.table.shrink_step(entries)
    }
}

/// What is left of an index that was emptied: its own memory.
pub struct VolatileRemains(LazyFree<Reference>);

impl VolatileRemains {
    /// Frees what about so many records took. Says whether there is more.
    pub fn step(&mut self, records: usize) -> bool {
        self.0.step(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::hash::HashSeed;
    use crate::keyspace::database::{Database, Expiry, Setting};
    use crate::keyspace::record::NewValue;

    const KEYS: u32 = if cfg!(miri) { 40 } else { 2000 };

    fn key(number: u32) -> [u8; 4] {
        number.to_be_bytes()
    }

    fn put(database: &mut Database, number: u32, value: &[u8], expiry: Expiry) {
        let key = key(number);
        let hash = database.volatile().hash(&key);
        database.put(hash, &key, NewValue::Raw(value), Setting { expiry, access: number, now_ms: 0 });
    }

    /// The keys that the index shows, in order, each with its expiry time.
    fn shown(database: &Database) -> Vec<(u32, i64)> {
        let mut found = Vec::new();
        let mut cursor = 0;
        loop {
            cursor = database.volatile().scan(cursor, |one| found.push(one));
            if cursor == 0 {
                break;
            }
        }
        let number = |one: Expiring<'_>| u32::from_be_bytes(one.key().try_into().unwrap());
        let mut shown: Vec<(u32, i64)> = found.into_iter().map(|one| (number(one), one.expiry_ms())).collect();
        shown.sort_unstable();
        shown
    }

    fn expected(step: usize, factor: i64) -> Vec<(u32, i64)> {
        (0..KEYS).step_by(step).map(|number| (number, factor * (1 + i64::from(number)))).collect()
    }

    fn filled() -> Database {
        let mut database = Database::new(&KeyHasher::from(HashSeed::from_seed(3)));
        for number in 0..KEYS {
            put(&mut database, number, b"a", Expiry::At(1 + i64::from(number)));
        }
        database
    }

    #[test]
    fn the_index_follows_records_that_move_and_go() {
        let mut database = filled();
        assert_eq!(shown(&database), expected(1, 1));
        for number in 0..KEYS {
            put(&mut database, number, &[b'b'; 200], Expiry::Keep);
            put(&mut database, number, &[b'c'; 300], Expiry::At(5 * (1 + i64::from(number))));
        }
        assert_eq!(shown(&database), expected(1, 5));
        for number in (0..KEYS).filter(|number| number % 2 == 1) {
            let hash = database.volatile().hash(&key(number));
            match number % 4 {
                1 => drop(database.remove(hash, &key(number))),
                _ => assert!(database.set_expiry(hash, &key(number), None, 0)),
            }
        }
        assert_eq!(shown(&database), expected(2, 5));
        let picked = database.volatile().random(&mut fastrand::Rng::with_seed(1)).unwrap();
        assert_eq!(i64::from(picked.access()) * 5 + 5, picked.expiry_ms());
        let (records, mut remains) = database.take();
        drop(records);
        while remains.step(7) {}
        assert!(shown(&database).is_empty());
    }

    #[test]
    fn a_fork_has_an_index_of_its_own() {
        let mut database = filled();
        let mut fork = database.fork();
        for number in 0..KEYS {
            let hash = database.volatile().hash(&key(number));
            assert!(database.remove(hash, &key(number)).is_some());
            assert!(fork.set_expiry(hash, &key(number), Some(3 * (1 + i64::from(number))), 0));
        }
        drop(database);
        assert_eq!(shown(&fork), expected(1, 3));
    }
}
