//! The stream: entries in the order of their IDs, and consumer groups that read them. Never a client, a reply, a clock
//! or I/O.
//!
//! Entries lie in blocks of Redis's format (`node`), some 4 KiB each, which are the leaves' items of an ordered tree
//! and are shared by forks; the last one lies beside the tree (`entries`). Groups, their consumers and what was given
//! to them are ordered trees as well (`group`, `pending`), and so is what idempotent producers have added
//! (`producers`). `range` walks, `trim` removes the oldest, `progress` tells how far a group has come, `parts` takes
//! streams apart and puts them together, for files.

mod entries;
mod group;
mod id;
mod node;
mod parts;
mod pending;
mod producers;
mod progress;
mod radix;
mod range;
#[cfg(test)]
mod tests;
mod trim;

pub use entries::{AppendError, Entries};
pub use group::{Consumer, Group, Groups};
pub use id::{Given, Id, TEXT_BYTES_MAX};
pub use node::{Entry, Field, NodeLimits, Pairs};
pub use parts::{BlockRef, ConsumerParts, GroupParts, History, PartsError};
pub use pending::{DELIVERIES_MAX, Holder, Name, Pending};
pub use producers::{Producer, Producers, Retention};
pub use range::Range;
pub use trim::{References, Threshold, Trim, Trimmed};

/// A stream. Copy-on-write.
#[derive(Default)]
pub struct Stream {
    pub entries: Entries,
    pub groups: Groups,
    pub producers: Producers,
}

impl Stream {
    /// How many entries there are. O(1).
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Another one with the same entries and groups, to be changed apart from this one. O(1): later changes to either
    /// copy what they touch, once.
    pub fn fork(&self) -> Stream {
        Stream { entries: self.entries.fork(), groups: self.groups.fork(), producers: self.producers.fork() }
    }

    /// How much there is to free, in entries: those of the stream, those that the groups have pending, and messages
    /// that are known of producers. O(groups).
    pub fn free_effort(&self) -> usize {
        self.entries.len().max(self.entries.blocks()) + self.groups.pending() + self.producers.free_effort()
    }

    /// Bytes that it takes, its own structure included; estimated from some of the blocks and consumers.
    pub fn memory_bytes(&self) -> usize {
        let parts = self.entries.memory_bytes() + self.groups.memory_bytes() + self.producers.memory_bytes();
        size_of::<Stream>() + parts
    }

    /// Frees about this many entries of a stream that is no longer used. Returns whether entries are left.
    pub fn reclaim_step(&mut self, entries: usize) -> bool {
        self.entries.reclaim_step(entries) || self.groups.reclaim_step(entries) || self.producers.reclaim_step(entries)
    }

    /// Deletes an entry, and deals with what the groups know of it. Tells what became of it. O(log n + block + groups).
    pub fn delete(&mut self, id: Id, references: References) -> Deletion {
        match references {
            References::Keep => {}
            References::Delete => {
                self.groups.forget(id);
            }
            References::Acknowledged => {
                if self.groups.need(id) {
                    return Deletion::Needed;
                }
            }
        }
        match self.entries.delete(id) {
            true => Deletion::Deleted,
            false => Deletion::Absent,
        }
    }

    /// A stream with nothing but producers that are no longer needed.
    pub fn of_garbage_producers(producers: Producers) -> Stream {
        Stream { producers, ..Stream::default() }
    }

    /// A stream with nothing but groups that are no longer needed.
    pub fn of_garbage_groups(groups: Groups) -> Stream {
        Stream { groups, ..Stream::default() }
    }
}

/// What became of an entry that was to be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    Deleted,
    /// There is no such entry.
    Absent,
    /// A group has yet to read or to acknowledge it.
    Needed,
}
