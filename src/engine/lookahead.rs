//! Walking the keys of one command with the cache lines of the next ones already on their way.

use std::iter::StepBy;
use std::ops::Range;

use crate::keyspace::Keyspace;
use crate::resp::Args;

/// How many keys ahead a record is fetched; its bucket is fetched that many keys earlier still.
const DISTANCE: usize = 8;
const WINDOW: usize = 2 * DISTANCE;

/// Hands the place of every key to `visit`, in order. While one is visited, the buckets and records of the next ones
/// are fetched, and each key is hashed once. `places` are indexes of arguments.
pub fn for_each_key(
    keyspace: &mut Keyspace,
    database: usize,
    args: Args<'_>,
    places: StepBy<Range<usize>>,
    mut visit: impl FnMut(&mut Keyspace, usize),
) {
    let mut hashes = [0; WINDOW];
    let mut coming = places.clone().enumerate();
    let mut fetch_next_bucket = |keyspace: &Keyspace, hashes: &mut [u64; WINDOW]| {
        if let Some((number, place)) = coming.next() {
            let hash = keyspace.hash(args.at(place));
            hashes[number % WINDOW] = hash;
            keyspace.prefetch_bucket(database, hash);
        }
    };
    let count = places.len();
    for _ in 0..WINDOW.min(count) {
        fetch_next_bucket(keyspace, &mut hashes);
    }
    for hash in &hashes[..DISTANCE.min(count)] {
        keyspace.prefetch_record(database, *hash);
    }
    for (number, place) in places.enumerate() {
        if number + DISTANCE < count {
            keyspace.prefetch_record(database, hashes[(number + DISTANCE) % WINDOW]);
        }
        keyspace.remember_hash(args.at(place), hashes[number % WINDOW]);
        visit(keyspace, place);
        // What is fetched next takes the place of the hash that was just used.
        fetch_next_bucket(keyspace, &mut hashes);
    }
    keyspace.forget_hash();
}
