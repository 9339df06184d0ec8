//! The tools in the same binary: `oneloop check-rdb`, `oneloop check-aof`,
//! `oneloop check-config`, `oneloop ping` and `oneloop replay`.
//!
//! Never starts a server.

pub mod check_aof;
pub mod check_config;
pub mod check_rdb;
pub mod ping;
pub mod replay;
