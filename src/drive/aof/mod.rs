//! The append-only file and the whole state: loading it, rewriting it, turning it on and off.
//!
//! Never decides what a rewrite does next: the machine in `storage::aof` does.

pub mod load;
pub mod rewrite;
pub mod start;
pub mod switching;
