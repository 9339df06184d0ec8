//! What outlives the process: snapshots of all data, the append-only file, their formats, and the files they lie in.
//!
//! Never runs a command, and never knows a client.

pub mod file;

pub mod aof;
pub mod backup;
pub mod rdb;
pub mod recording;
pub mod save;
pub mod snapshot;
pub mod values;
