//! Owns what a table asks of its entries. Never knows the table.

/// What a table holds: one pointer-sized owned handle. A clone is one more reference to the same allocation.
pub trait Entry: Clone {
    /// The key. It must not change while the entry is in a table.
    fn key(&self) -> &[u8];

    /// Where the allocation begins, for prefetching. The key should be near it.
    fn address(&self) -> *const u8;
}
