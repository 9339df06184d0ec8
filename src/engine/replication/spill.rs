//! The part of the stream that is on the disk, for replicas that are further behind than the memory may hold.
//!
//! ```text
//! the stream   … ─ segment ─┬─ segment ─┬─ the newest segment ┬─ in memory: the log of changes ── end
//!                     ^ a slow replica                        ^ handed        ^ the others
//! ```
//!
//! Segments are files of their own, so that the oldest can go. The newest is written; it is sealed when it is large
//! enough, or when a replica comes to it, and can be read once the disk has it.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::keyspace::ReaderId;
use crate::net::token::Token;
use crate::storage::file::reader::FileReader;
use crate::storage::file::writer::FileWriter;

/// What of the stream is on the disk, and the replicas that need it.
pub struct Spill {
    /// The oldest first.
    pub segments: VecDeque<Segment>,
    /// Keeps in the log what was not handed over to the disk.
    pub reader: ReaderId,
    /// The byte of the stream up to which all was handed over.
    pub handed: u64,
    pub members: Vec<SpilledReplica>,
}

/// One file.
pub struct Segment {
    pub path: PathBuf,
    /// It holds the bytes of the stream behind this one, up to that one.
    pub begin: u64,
    pub end: u64,
    /// Writes it; none once the disk has it.
    pub writer: Option<FileWriter>,
    /// Nothing more is added.
    pub is_sealed: bool,
}

/// A replica that is sent what is on the disk.
pub struct SpilledReplica {
    pub client: Token,
    /// The byte of the stream up to which it was sent all.
    pub sent: u64,
    /// Reads the segment that it is in; it has come to this byte of the stream.
    pub reader: Option<(FileReader, u64)>,
}

impl Spill {
    /// Bytes on the disk.
    pub fn disk_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.end - segment.begin).sum()
    }

    /// Bytes that were handed over and that the disk does not have yet.
    pub fn pending_bytes(&self) -> usize {
        let writers = self.segments.iter().filter_map(|segment| segment.writer.as_ref());
        writers.map(FileWriter::pending_bytes).sum()
    }
}

impl Segment {
    /// Adds nothing more to it.
    pub fn seal(&mut self) {
        if let Some(writer) = self.writer.as_ref().filter(|_| !self.is_sealed) {
            writer.keep();
        }
        self.is_sealed = true;
    }
}
