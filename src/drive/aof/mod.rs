//! ROOM drive::aof. Never

pub mod load;
pub mod part;
pub mod rewrite;
pub mod start;
