//! ROOM observe. Never

pub mod command_stats;
pub mod latency;
pub mod loop_stats;
pub mod slowlog;
