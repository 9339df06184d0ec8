//! The books: the command logs, the latency monitor, what is counted of commands, errors and of the loop itself.
//!
//! Never decides anything, and never writes a reply: `drive::info` and `drive::metrics` show what is here.

pub mod chunked_ring;
pub mod command_log;
pub mod command_stats;
pub mod crash_context;
pub mod distribution;
pub mod explain;
pub mod hot_keys;
pub mod key_costs;
pub mod late;
pub mod latency;
pub mod ledger;
pub mod loop_stats;
pub mod recorder;
pub mod sketch;
pub mod slot_stats;
pub mod trace;
pub mod turn;
pub mod turn_aggregates;
pub mod turn_ring;
