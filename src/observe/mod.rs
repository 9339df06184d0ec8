//! The books: the slow log, the latency monitor, what is counted of commands, errors and of the loop itself.
//!
//! Never decides anything, and never writes a reply: `drive::info` and `drive::metrics` show what is here.

pub mod command_stats;
pub mod crash_context;
pub mod latency;
pub mod loop_stats;
pub mod slowlog;
