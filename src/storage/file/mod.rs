//! Files that are written and read while the loop goes on: the waiting for the disk is done by helper threads, which
//! own no data and wake the loop.
//!
//! A file that is to take the place of another is written under a temporary name ([`NewFile`]), by a caller that waits
//! for the disk or, in order, by a thread ([`FileWriter`]); one that is replaced again and again as a whole is a
//! [`KeptFile`]; a thread reads a file ahead ([`FileReader`]). Everything
//! goes through [`Disk`]: the system's files, or, under test, a disk in memory that fails, delays and forgets
//! ([`simulated`]); there, what threads do is stepped through. Never knows what the bytes mean.

pub mod kept;
pub mod new_file;
pub mod operations;
pub mod reader;
pub mod worker;
pub mod writer;

pub use crate::base::wake::Wake;
pub use kept::{KeptFile, OpenError};
pub use new_file::{NewFile, StepFailed, WriteStep};
pub use operations::{Disk, DiskFile, DiskOperations, FileOperations};
pub use reader::{FileReader, Read};
pub use worker::{Task, Worker};
pub use writer::{FileWriter, WriterOptions, WriterState};
