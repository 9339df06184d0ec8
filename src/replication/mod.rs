//! Replication's protocol, both sides: identities, the handshake, the payload, the link, the failover.
//!
//! Machines without I/O: bytes and times go in, bytes and actions come out. Never touches a socket, a key or the clock:
//! `drive::replication` does.

pub mod failover;
pub mod handshake;
pub mod identity;
pub mod link;
pub mod payload;
pub mod payload_check;
pub mod replicas;

pub use identity::{Identity, Position, Refusal, ReplicationId, Window};
