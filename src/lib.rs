//! Oneloop: a Redis-compatible in-memory server that is one loop, one owner, bounded work.
//!
//! The modules in reading order; each knows only those above it in the layering of ARCHITECTURE.md.

pub mod collections;
pub mod config;
pub mod resp;
pub mod sys;
