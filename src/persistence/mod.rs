//! What outlives the process: the snapshot format.
//!
//! Never touches a file, a socket or the clock: bytes come in and go out, whoever moves them.

pub mod rdb;
