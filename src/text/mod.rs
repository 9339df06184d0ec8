//! Notations: glob patterns, JSON, quoting, numbers as text, amounts of memory, LZF compression.
//!
//! Never does I/O, and never knows what a text means.

pub mod double;
pub mod glob;
pub mod json;
pub mod long_double;
pub mod lzf;
pub mod memory_size;
pub mod quoting;
