//! The core data structures: containers that know nothing of keys, clients or the clock. Never does I/O.

pub mod deferred_free;

pub mod bend;
pub mod buffer;
pub mod element;
pub mod hash;
pub mod heap;
pub mod intset;
pub mod key_hash;
pub mod key_slot;
pub mod listpack;
pub mod ordered;
pub mod packed;
pub mod table;
