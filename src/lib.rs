//! Oneloop: a Redis-compatible in-memory server that is one loop, one owner, bounded work.
//!
//! The modules in reading order, from the loop down to the bytes. Each knows only those below it
//! (ARCHITECTURE.md draws the map; `tests/tidy.rs` enforces it).

pub mod base;
pub mod drive;
pub mod engine;
pub mod observe;
pub mod reactor;
pub mod storage;
pub mod text;

pub mod net;

pub mod acl;

pub mod commands;

pub mod command;

pub mod scripting;

pub mod keyspace;

pub mod config;

pub mod collections;
pub mod resp;
pub mod types;

/// The version of Redis that this server is compatible with and reports.
pub const REDIS_VERSION: &str = "7.2.6";
