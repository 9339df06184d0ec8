//! Owns what a table asks of its entries. Never knows the table.

/// What a table holds: one pointer-sized owned handle. A clone is one more reference to the same allocation.
pub trait Entry: Clone {
    /// Whether the entries are keys of a database, whose table may be by slot. Nothing is asked of other tables.
    const ARE_KEYS: bool = false;

    /// The key. It must not change while the entry is in a table.
    fn key(&self) -> &[u8];

    /// Where the allocation begins, for prefetching. The key should be near it.
    fn address(&self) -> *const u8;
}
