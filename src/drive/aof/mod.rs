//! ROOM drive::aof. Never

pub mod load;
pub mod rewrite;
pub mod start;
