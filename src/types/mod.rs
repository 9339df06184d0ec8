//! Pure values and notations: patterns, quoting, amounts of memory. Never a client, a reply, a clock or I/O.

pub mod glob;
pub mod memory_size;
pub mod quoting;
//! Pure values and their operations. Never knows of clients, replies, the clock or I/O.

pub mod long_double;
