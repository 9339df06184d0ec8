//! ROOM engine. Never

pub mod blocking;
pub mod call;
pub mod client_memory;
pub mod clients;
pub mod context;
pub mod effects;
pub mod enforcement;
pub mod gate;
pub mod help;
pub mod keyspace_events;
pub mod lookahead;
pub mod memory_limit;
pub mod monitor;
pub mod propagation;
pub mod pubsub;
pub mod session;
pub mod state;
pub mod tracking;
pub mod transactions;
pub mod unflushed_keys;
pub mod wake;
