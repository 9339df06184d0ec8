//! A collection too large to lie packed in its key's record: one of five types. Never a client, a reply, a clock or
//! I/O.

use std::fmt;

use crate::collections::table::Occupancy;

use super::hash::Hash;
use super::list::List;
use super::set::Set;
use super::sorted_set::SortedSet;
use super::stream::Stream;

/// A large collection. All are copy-on-write.
pub enum Object {
    List(List),
    Set(Set),
    Hash(Hash),
    SortedSet(SortedSet),
    Stream(Stream),
}

/// Calls a method that all five types have.
macro_rules! each {
    ($object:expr, $value:ident => $call:expr) => {
        match $object {
            Object::List($value) => $call,
            Object::Set($value) => $call,
            Object::Hash($value) => $call,
            Object::SortedSet($value) => $call,
            Object::Stream($value) => $call,
        }
    };
}

impl fmt::Debug for Object {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of {}", self.type_name(), self.len())
    }
}

impl Object {
    /// Another one with the same elements, to be changed apart from this one. O(1): later changes to either copy what
    /// they touch, once.
    pub fn fork(&self) -> Object {
        match self {
            Object::List(list) => Object::List(list.fork()),
            Object::Set(set) => Object::Set(set.fork()),
            Object::Hash(hash) => Object::Hash(hash.fork()),
            Object::SortedSet(sorted_set) => Object::SortedSet(sorted_set.fork()),
            Object::Stream(stream) => Object::Stream(stream.fork()),
        }
    }

    /// How many elements there are. O(1).
    pub fn len(&self) -> usize {
        each!(self, value => value.len())
    }

    /// How much there is to free, in elements. O(1), O(groups) of a stream.
    pub fn free_effort(&self) -> usize {
        match self {
            Object::Stream(stream) => stream.free_effort(),
            other => other.len(),
        }
    }

    /// Whether there are none: a stream may live on without entries. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that it takes, its own structure included. O(1).
    pub fn memory_bytes(&self) -> usize {
        each!(self, value => value.memory_bytes())
    }

    /// Frees about this many elements of a value that is no longer used. Returns whether elements are left.
    pub fn reclaim_step(&mut self, elements: usize) -> bool {
        each!(self, value => value.reclaim_step(elements))
    }

    /// Has the processor fetch where a member's handle should be; gives the member's hash. First step of a batch.
    #[inline]
    pub fn prefetch_bucket(&self, member: &[u8]) -> Option<u64> {
        match self {
            Object::Hash(fields) => {
                let hash = fields.hash(member);
                fields.prefetch_bucket(hash);
                Some(hash)
            }
            Object::SortedSet(members) => {
                let hash = members.hash(member);
                members.prefetch_bucket(hash);
                Some(hash)
            }
            Object::Set(members) => {
                let hash = members.hash(member);
                members.prefetch_bucket(hash);
                Some(hash)
            }
            Object::List(_) | Object::Stream(_) => None,
        }
    }

    /// Has the processor fetch the member with that hash. Second step of a batch.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        match self {
            Object::Hash(fields) => fields.prefetch_entry(hash),
            Object::SortedSet(members) => members.prefetch_entry(hash),
            Object::Set(members) => members.prefetch_entry(hash),
            Object::List(_) | Object::Stream(_) => {}
        }
    }

    /// How its table is filled, if it has one. O(buckets).
    pub fn occupancy(&self) -> Option<Occupancy> {
        match self {
            Object::Hash(fields) => Some(fields.occupancy()),
            Object::SortedSet(members) => Some(members.occupancy()),
            Object::Set(members) => Some(members.table().occupancy()),
            Object::List(_) | Object::Stream(_) => None,
        }
    }

    /// The name of the type, as TYPE gives it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Object::List(_) => "list",
            Object::Set(_) => "set",
            Object::Hash(_) => "hash",
            Object::SortedSet(_) => "zset",
            Object::Stream(_) => "stream",
        }
    }

    /// The name of the representation, as OBJECT ENCODING gives it: what clients know from Redis, not what it is.
    pub fn encoding_name(&self) -> &'static str {
        match self {
            Object::List(list) => list.encoding_name(),
            Object::Set(_) | Object::Hash(_) => "hashtable",
            Object::SortedSet(_) => "skiplist",
            Object::Stream(_) => "stream",
        }
    }
}
