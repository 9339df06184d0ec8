//! A full synchronization: a pinned version of the data on its way to one or more replicas.

use std::path::PathBuf;

use crate::net::token::Token;
use crate::replication::payload::MARK_BYTES;
use crate::replication::replicas::Announced;
use crate::storage::file::reader::FileReader;
use crate::storage::rdb::RdbVersion;
use crate::storage::save::{FileSave, SaveJob};

/// One snapshot on its way, and the replicas that get it.
pub struct FullSync {
    /// The replicas that get it. Those that are gone, or have all of it, are taken out.
    pub members: Vec<Token>,
    /// The replication offset at which it was pinned.
    pub offset: u64,
    /// Whether it holds the functions alone.
    pub functions_only: bool,
    /// The format that it is written in.
    pub version: RdbVersion,
    /// The newest format that its first replica reads, if it has said so: so do all where one that not all read is
    /// needed.
    pub reads: Option<RdbVersion>,
    pub stage: Stage,
}

/// How far it is.
pub enum Stage {
    /// It is written, and goes straight to the sockets. The mark ends it.
    Straight { job: Box<SaveJob>, mark: [u8; MARK_BYTES] },
    /// It is written to a file.
    ToFile { save: Box<FileSave>, path: PathBuf },
    /// It is read from the file.
    FromFile { reader: FileReader },
    /// All of it was handed to the sockets; `is_bulk`: it came from a file.
    Sent { is_bulk: bool },
}

impl FullSync {
    /// Whether another replica can still be sent it: nothing of it has left.
    pub fn can_be_joined(&self) -> bool {
        matches!(self.stage, Stage::ToFile { .. })
    }

    /// Whether a replica that wants this reads it.
    pub fn suits(&self, wish: &Announced) -> bool {
        let is_readable = match self.version {
            RdbVersion::V10 | RdbVersion::V11 => wish.plain_format() >= self.version,
            RdbVersion::V12 | RdbVersion::Valkey80 => wish.reads == self.reads,
        };
        is_readable && self.functions_only == wish.functions_only
    }
}
