//! Pure values and notations: patterns, quoting, amounts of memory, numbers. Never a client, a reply, a clock or I/O.

pub mod glob;
pub mod long_double;
pub mod memory_size;
pub mod quoting;
