//! The tools in the same binary: `oneloop check-rdb` and `oneloop check-aof`.
//!
//! Never starts a server.

pub mod check_aof;
pub mod check_rdb;
