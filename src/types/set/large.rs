//! Owns the large set: a table of elements. Never more than a bounded piece of work at a time, but for walks over all
//! members.

use crate::collections::element::Element;
use crate::collections::hash::HashSeed;
use crate::collections::table::{self, Slot, Table};

/// Entries that are moved together at each removal while the table is much too large.
const SHRINK_ENTRIES: usize = 16;

/// A set too large to lie packed in its key's record. Copy-on-write; several sets may share their elements.
pub struct Set {
    members: Table<Element>,
    /// Bytes of all elements.
    element_bytes: usize,
    /// What is left of a set that is being freed.
    lazy_free: Option<table::LazyFree<Element>>,
}

impl Set {
    /// A set without members.
    pub fn new(seed: &HashSeed) -> Set {
        Set { members: Table::new(seed.clone()), element_bytes: 0, lazy_free: None }
    }

    /// How many members there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none. O(1).
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Another one with the same elements, to be changed apart from this one. O(1): later changes to either copy what
    /// they touch, once.
    pub fn fork(&self) -> Set {
        Set { members: self.members.fork(), element_bytes: self.element_bytes, lazy_free: None }
    }

    /// Bytes that it takes, its own structure included. O(1).
    pub fn memory_bytes(&self) -> usize {
        size_of::<Set>() + self.members.memory_bytes() + self.element_bytes
    }

    /// Frees about this many elements of a value that is no longer used. Returns whether elements are left.
    pub fn reclaim_step(&mut self, elements: usize) -> bool {
        let members = &mut self.members;
        let lazy_free = self.lazy_free.get_or_insert_with(|| members.take());
        lazy_free.step(elements)
    }

    /// The table of the members, for walks with the next ones on their way (`look_ahead`).
    #[inline]
    pub fn table(&self) -> &Table<Element> {
        &self.members
    }

    /// The hash of a member: the same in all sets that were made with the same seed.
    #[inline]
    pub fn hash(&self, member: &[u8]) -> u64 {
        self.members.hash(member)
    }

    /// Has the processor fetch where a member's handle should be. First step of a batch.
    #[inline]
    pub fn prefetch_bucket(&self, hash: u64) {
        self.members.prefetch_bucket(hash);
    }

    /// Has the processor fetch a member. Second step of a batch.
    #[inline]
    pub fn prefetch_entry(&self, hash: u64) {
        self.members.prefetch_entry(hash);
    }

    /// Whether a member is there. O(1).
    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        self.contains_hashed(self.members.hash(member), member)
    }

    /// Whether a member is there, by its hash. O(1).
    #[inline]
    pub fn contains_hashed(&self, hash: u64, member: &[u8]) -> bool {
        self.members.get(hash, member).is_some()
    }

    /// Adds a member; tells whether it is new. O(1).
    #[inline]
    pub fn add(&mut self, member: &[u8]) -> bool {
        self.add_hashed(self.members.hash(member), member)
    }

    /// Adds a member by its hash; tells whether it is new. O(1).
    #[inline]
    pub fn add_hashed(&mut self, hash: u64, member: &[u8]) -> bool {
        self.add_made(hash, member, || Element::new(member))
    }

    /// Adds a member that is in another set too: both sets share the element. Tells whether it is new.
    #[inline]
    pub fn add_shared(&mut self, hash: u64, element: &Element) -> bool {
        self.add_made(hash, element.key(), || element.clone())
    }

    #[inline]
    fn add_made(&mut self, hash: u64, member: &[u8], make: impl FnOnce() -> Element) -> bool {
        match self.members.entry(hash, member) {
            Slot::Occupied(_) => false,
            Slot::Vacant(vacant) => {
                let element = make();
                self.element_bytes += element.memory_bytes();
                vacant.insert(element);
                true
            }
        }
    }

    /// Removes a member; tells whether it was there. O(1).
    pub fn remove(&mut self, member: &[u8]) -> bool {
        self.remove_hashed(self.members.hash(member), member)
    }

    /// Removes a member by its hash; tells whether it was there. O(1).
    pub fn remove_hashed(&mut self, hash: u64, member: &[u8]) -> bool {
        match self.members.remove(hash, member) {
            Some(element) => {
                self.note_removal(&element);
                true
            }
            None => false,
        }
    }

    /// Takes a random member out, each with the same chance. O(1).
    #[inline]
    pub fn pop(&mut self, random: &mut fastrand::Rng) -> Option<Element> {
        let element = self.members.take_random(random)?;
        self.note_removal(&element);
        Some(element)
    }

    #[inline]
    fn note_removal(&mut self, element: &Element) {
        self.element_bytes -= element.memory_bytes();
        if self.members.needs_shrink() {
            self.members.shrink_step(SHRINK_ENTRIES);
        }
    }

    /// A random member, each with the same chance. O(1).
    #[inline]
    pub fn random(&self, random: &mut fastrand::Rng) -> Option<&Element> {
        self.members.random(random)
    }

    /// Shows a few members and gives the cursor of the next ones; 0 begins and ends a walk. Members that are there
    /// throughout are shown, some perhaps twice. O(1).
    pub fn scan(&self, cursor: u64, visit: impl FnMut(&Element)) -> u64 {
        self.members.scan(cursor, visit)
    }

    /// Every member. O(n); to go through all of a large set `for_each` is faster.
    pub fn iter(&self) -> impl Iterator<Item = &Element> {
        self.members.iter()
    }

    /// Shows every member. O(n).
    pub fn for_each(&self, mut visit: impl FnMut(&Element)) {
        // A version of the table is walked because that fetches a segment's elements side by side.
        let mut version = self.members.pin();
        while version.next_segment(&mut visit) {}
    }
}
