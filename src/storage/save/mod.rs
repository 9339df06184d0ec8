//! Saving: a pinned version of the keyspace is written to a file or a socket.
//!
//! A [`SaveJob`] moves the bytes of a [`SaveSource`] into a [`SaveSink`], in steps of some ten microseconds. A
//! background save, the base of the append-only file and a replica's full sync are such jobs:
//!
//! ```text
//! source                                   job                                    sink
//! a snapshot of the version     ─┐                                 ┌─ FileSave: a file that a thread writes
//! the commands that make it     ─┴─► step ─► chunk ─► as much as ──┼─ save_at_once: a file, waiting for the disk
//!                                    the sink has room for         └─ a socket, which its owner hands to each step
//! ```
//!
//! A source does not know its sink and does not run ahead of it: while a chunk waits, the job makes nothing more. A job
//! that is over or cancelled goes to [`AbandonedSaves`], which releases the version in steps.
//!
//! Never decides when to save, and never changes the keyspace.

pub mod at_once;
pub mod file;
pub mod job;
pub mod sink;
pub mod source;

pub use at_once::save_at_once;
pub use file::{FileSave, FileSink};
pub use job::{AbandonedSaves, Pace, SaveJob, SaveProgress, SaveStep};
pub use sink::{Chunk, SaveSink, SinkState};
pub use source::SaveSource;
