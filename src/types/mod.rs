//! Pure values and notations: strings, collections, bitmaps, patterns, quoting, amounts of memory, numbers. Never a client,
//! a reply, a clock or I/O.

pub mod bitfield;
pub mod bitmap;
pub mod double;
pub mod geo;
pub mod glob;
pub mod hash;
pub mod hyperloglog;
pub mod lcs;
pub mod list;
pub mod long_double;
pub mod lzf;
pub mod memory_size;
pub mod object;
pub mod quoting;
pub mod set;
pub mod slot;
pub mod sorted_set;
pub mod stream;
pub mod string;
