//! ROOM drive::aof. Never

pub mod base;
pub mod load;
pub mod part;
pub mod rewrite;
pub mod start;
pub mod switching;
