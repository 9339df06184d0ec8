//! The tools in the same binary: `oneloop check-rdb`, `oneloop check-aof` and `oneloop replay`.
//!
//! Never starts a server.

pub mod check_aof;
pub mod check_rdb;
pub mod replay;
