//! Every command, in-process, under a virtual clock: one file a family.

#[path = "../support/mod.rs"]
mod support;

mod acl;
mod acl_attacks;
mod acl_databases;
mod appended;
mod bitmaps;
mod blocking;
mod client;
mod client_newer;
mod cluster;
mod command;
mod command_log;
mod command_table;
mod config;
mod connection;
mod debug;
mod debugger;
mod dump;
mod expiry;
#[cfg(debug_assertions)]
mod extremes;
mod functions;
mod geo;
mod hashes;
mod hashes_expiry;
mod hit_rates;
mod hot_keys;
mod hyperloglog;
mod info;
#[cfg(debug_assertions)]
mod key_access;
mod key_sizes;
mod key_specs;
mod keys;
mod last_change;
mod latency;
mod lists;
mod lua;
mod lua_hardening;
mod memory;
mod memory_limit;
mod migrate;
mod modules;
#[cfg(debug_assertions)]
mod nesting;
mod origins;
mod prefix;
mod pubsub;
mod replicated;
mod scripting;
mod server;
mod sets;
mod slots;
mod slowlog;
mod sort;
mod sorted_sets;
mod stream_producers;
mod stream_trimming;
mod streams;
mod streams_newer;
mod strings;
mod strings_newer;
mod throttle;
mod tracking;
mod transactions;
