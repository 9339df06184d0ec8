//! Oneloop: a Redis-compatible in-memory server that is one loop, one owner, bounded work.
//!
//! **The supported interface of this library is [`testing`]**: servers within the process of a test. It follows the
//! rules of semantic versioning. All other modules are public for the program `oneloop` and for this project's own
//! tests: they may change in any version.
//!
//! The rooms in reading order, from the loop down to the bytes. A room knows only itself and the rooms below it;
//! `tests/tidy.rs` enforces that, and ARCHITECTURE.md draws the map.

/// Servers within the process of a test: the supported interface.
pub mod testing;

/// The loop: polls, serves ready connections, runs timers and jobs.
pub mod reactor;

/// The commands, one family a file or folder.
pub mod commands;

/// What works with the whole state: scripts, key migration, saving and loading, INFO and metrics.
pub mod drive;

/// One request: sessions, clients, the gate, the call and what follows from it.
pub mod engine;

/// Keys on their way to another server: the client and its protocol.
pub mod migrate;

/// The cluster's protocol, without I/O.
pub mod cluster;

/// Replication's protocol, without I/O.
pub mod replication;

/// The Lua machine.
pub mod scripting;

/// The books: slow log, latencies, what is counted of commands and of the loop.
pub mod observe;

/// Users and what they may do.
pub mod acl;

/// The table of commands: what each declares, how it is found, where its keys are.
pub mod command;

/// What outlives the process: snapshots, the append-only file, the files they lie in.
pub mod storage;

/// The data: databases, records, expiry, eviction, the log of changes.
pub mod keyspace;

/// Listening and connected sockets.
pub mod net;

/// The protocol, without I/O.
pub mod resp;

/// The directives, from one table.
pub mod config;

/// Pure values: strings, lists, sets, hashes, sorted sets, streams.
pub mod types;

/// Containers: the segmented table, the ordered tree, compact blocks, the heap of small blocks.
pub mod collections;

/// Notations: glob patterns, quoting, numbers, compression.
pub mod text;

/// The process and the machine: clock, log, crash reports, system calls, allocator.
pub mod base;

/// The version of Redis that this server is compatible with and reports.
pub const REDIS_VERSION: &str = "7.2.6";
