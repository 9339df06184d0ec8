//! ROOM reactor::tools. Never

pub mod check_aof;
pub mod check_rdb;
