//! A full synchronization: a pinned version of the data on its way to one or more replicas.

use std::path::PathBuf;

use crate::net::token::Token;
use crate::replication::payload::MARK_BYTES;
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
    /// The newest format that its replicas read, if they have said so.
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
}
