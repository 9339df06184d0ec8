//! The cluster's protocol: frames of the bus, the table of nodes, nodes.conf, the member itself, routing, slot
//! migration.
//!
//! Machines without I/O: frames and times go in, frames and effects come out. Never touches a socket, a key or the
//! clock.

pub mod member;
pub mod message;
pub mod migration;
pub mod node;
pub mod node_id;
pub mod nodes_file;
pub mod routing;
pub mod slot;
pub mod table;

#[cfg(test)]
mod tests;

pub use member::Member;
pub use node_id::NodeId;
pub use slot::{SLOTS, SlotSet, key_slot};
