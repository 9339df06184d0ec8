//! ROOM text. Never

pub mod double;
pub mod glob;
pub mod long_double;
pub mod lzf;
pub mod memory_size;
pub mod quoting;
