//! The sorted set. Never a client, a reply, a clock or I/O.

/// A sorted set too large to lie packed in its key's record. Copy-on-write.
#[derive(Default)]
pub struct SortedSet {}

impl SortedSet {
    /// How many elements there are. O(1).
    pub fn len(&self) -> usize {
        0
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Another one with the same elements, to be changed apart from this one. O(1): later changes to either copy what they
    /// touch, once.
    pub fn fork(&self) -> SortedSet {
        SortedSet {}
    }

    /// Bytes that it takes, its own structure included. O(1).
    pub fn memory_bytes(&self) -> usize {
        size_of::<SortedSet>()
    }

    /// Frees about so many elements of one that nobody uses any more. Says whether there are more.
    pub fn reclaim_step(&mut self, _elements: usize) -> bool {
        false
    }
}
