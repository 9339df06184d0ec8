//! Oneloop: a Redis-compatible in-memory server that is one loop, one owner, bounded work.
//!
//! The modules in reading order, from the loop down to the bytes. Each knows only those below it
//! (ARCHITECTURE.md draws the map; `tests/tidy.rs` enforces it).

pub mod server;

pub mod net;

pub mod instance;

pub mod acl;
pub mod clients;
pub mod pubsub;
pub mod session;
pub mod tracking;
pub mod transaction;

pub mod commands;

pub mod command;

pub mod info;
pub mod metrics;

pub mod append_only;
pub mod scripting;

pub mod blocking;
pub mod effects;
pub mod memory;
pub mod migration;
pub mod saving;

pub mod persistence;

pub mod disk;
pub mod keyspace;

pub mod config;

pub mod collections;
pub mod resp;
pub mod types;

pub mod crash;
pub mod logging;
pub mod sys;

/// The version of Redis that this server is compatible with and reports.
pub const REDIS_VERSION: &str = "7.2.6";
