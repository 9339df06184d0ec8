//! What outlives the process: snapshots of all data, their format, and values written in it and read from it.
//!
//! Never touches a file, a socket or the clock: bytes come in and go out, whoever moves them.

pub mod file;

pub mod aof;
pub mod rdb;
pub mod snapshot;
pub mod values;
