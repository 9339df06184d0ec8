//! Replication, both sides: carries out what the machines of `replication` ask for.

pub mod primary;
pub mod replica;
pub mod replica_payload;
mod replica_stream;
