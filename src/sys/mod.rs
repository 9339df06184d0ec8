//! Owns the calls into the operating system that the standard library lacks. Never decides when to make them.

pub mod memory;
