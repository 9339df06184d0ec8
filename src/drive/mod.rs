//! ROOM drive. Never

pub mod aof;
pub mod info;
pub mod metrics;
pub mod migrate;
pub mod save;
pub mod script;
