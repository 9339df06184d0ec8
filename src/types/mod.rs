//! Pure values and notations: patterns, quoting, amounts of memory. Never a client, a reply, a clock or I/O.

pub mod glob;
pub mod memory_size;
pub mod quoting;
