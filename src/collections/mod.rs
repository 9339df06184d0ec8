//! The core data structures: containers that know nothing of keys, clients or the clock. Never does I/O.

pub mod hash;
pub mod heap;
pub mod packed;
pub mod table;
