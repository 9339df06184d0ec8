//! How the entries of a table are spread over its buckets, for DEBUG HTSTATS. Never changes the table.

use super::bucket::SLOTS;
use super::{Entry, Table};

/// How many buckets are the home of how many entries.
pub struct Occupancy {
    pub entries: usize,
    pub buckets: usize,
    /// At each index the number of buckets that are the home of so many entries: of those in the bucket and the next
    /// one.
    pub chains: [usize; 2 * SLOTS + 1],
}

impl<E: Entry> Table<E> {
    /// Counts the entries of every bucket. O(buckets), at a stretch.
    pub fn occupancy(&self) -> Occupancy {
        let mut occupancy = Occupancy { entries: self.len(), buckets: 0, chains: [0; 2 * SLOTS + 1] };
        for (_, segment) in self.segments_from(0) {
            for bucket in 0..segment.size() {
                let mut entries = 0;
                segment.visit_home(bucket, |_| entries += 1);
                occupancy.chains[entries] += 1;
            }
            occupancy.buckets += segment.size();
        }
        occupancy
    }
}
