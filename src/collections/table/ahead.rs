//! Owns the walk over many keys with the cache lines of the next ones already on their way. Never changes a table
//! itself.

use super::{Entry, Table};

/// How many keys ahead an entry is fetched; its bucket is fetched that many keys earlier still.
const DISTANCE: usize = 8;
const WINDOW: usize = 2 * DISTANCE;

/// Goes through keys in their order; `visit` gets the owner of the table, the number of each key and its hash. While
/// one is visited, the buckets and entries of the next ones are fetched, and each key is hashed once.
pub fn look_ahead<'k, O, E: Entry>(
    owner: &mut O,
    table: impl Fn(&O) -> &Table<E>,
    count: usize,
    key: impl Fn(usize) -> &'k [u8],
    mut visit: impl FnMut(&mut O, usize, u64),
) {
    let mut hashes = [0; WINDOW];
    for index in 0..count + WINDOW {
        // The three steps of a key are `DISTANCE` turns apart; the first frees its place in the window last.
        if let Some(visited) = index.checked_sub(WINDOW) {
            visit(owner, visited, hashes[visited % WINDOW]);
        }
        let arrived = index.checked_sub(DISTANCE);
        if let Some(arrived) = arrived.filter(|arrived| *arrived < count) {
            table(owner).prefetch_entry(hashes[arrived % WINDOW]);
        }
        if index < count {
            let next = table(owner).hash(key(index));
            hashes[index % WINDOW] = next;
            table(owner).prefetch_bucket(next);
        }
    }
}
