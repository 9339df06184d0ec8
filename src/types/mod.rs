//! Pure values and notations: strings, collections, bitmaps, patterns, quoting, amounts of memory, numbers. Never a
//! client, a reply, a clock or I/O.

pub mod bitfield;
pub mod bitmap;
pub mod geo;
pub mod hash;
pub mod hyperloglog;
pub mod lcs;
pub mod list;
pub mod object;
pub mod set;
pub mod slot;
pub mod sorted_set;
pub mod stream;
pub mod string;
