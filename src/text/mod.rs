//! Notations: glob patterns, quoting, numbers as text, amounts of memory, LZF compression.
//!
//! Never does I/O, and never knows what a text means.

pub mod double;
pub mod glob;
pub mod long_double;
pub mod lzf;
pub mod memory_size;
pub mod quoting;
