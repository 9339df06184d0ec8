//! Pure values and notations: strings, bitmaps, patterns, quoting, amounts of memory, numbers. Never a client, a reply, a clock or I/O.

pub mod bitfield;
pub mod bitmap;
pub mod geo;
pub mod glob;
pub mod hyperloglog;
pub mod lcs;
pub mod long_double;
pub mod memory_size;
pub mod quoting;
pub mod string;
