//! One request: whose it is, whether it may run, the call itself, and what follows from it.
//!
//! Never touches a socket or a file, and never knows a command by name: handlers are reached through the table of
//! commands.

pub mod apply;
pub mod blocked_state;
pub mod blocking;
pub mod call;
pub mod client_line;
pub mod client_memory;
pub mod clients;
pub mod cluster;
pub mod cluster_events;
pub mod command_sizes;
pub mod context;
pub mod effects;
pub mod enforcement;
pub mod execute;
pub mod gate;
pub mod guard;
pub mod help;
pub mod history;
pub mod keyspace_events;
pub mod loading;
pub mod lookahead;
pub mod loop_request;
pub mod memory;
pub mod memory_limit;
pub mod monitor;
pub mod nesting;
pub mod origin;
pub mod output_limits;
pub mod pause;
pub mod prefix_jobs;
pub mod prepare;
pub mod process_facts;
pub mod propagation;
pub mod pubsub;
pub mod removal;
pub mod replication;
pub mod routing;
pub mod saving;
pub mod script_libraries;
pub mod scripts;
pub mod session;
pub mod slot_migrations;
pub mod slot_stats;
pub mod state;
pub mod stats;
pub mod subscriptions;
pub mod title;
pub mod tracking;
pub mod transaction;
pub mod transactions;
pub mod unflushed;
pub mod unflushed_keys;
pub mod wake;
