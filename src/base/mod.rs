//! The process and the machine: clock, entropy, log, crash reports, system calls, allocator, and how a helper thread
//! wakes the loop.
//!
//! Never knows of clients, keys or commands.

pub mod clock;
pub mod crash;
pub mod entropy;
pub mod logging;
pub mod sys;
pub mod tape;
pub mod usage;
pub mod wake;
