//! The replica's side: the primary that this server follows, and what comes from it.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::engine::loading::LoadingStats;
use crate::engine::session::Session;
use crate::keyspace::KeyspaceFork;
use crate::net::token::Token;
use crate::replication::Position;
use crate::replication::link::PrimaryLink;
use crate::replication::payload_check::PayloadCheck;
use crate::resp::{Batch, Parser};
use crate::storage::file::writer::FileWriter;
use crate::storage::snapshot::Loader;

/// What a replica knows of its primary.
pub struct ReplicaSide {
    /// Where the primary is.
    pub host: String,
    pub port: u16,
    /// How far the link is.
    pub link: PrimaryLink,
    /// The connection to the primary, while there is one, or one is tried.
    pub connection: Option<Token>,
    /// The primary as a client; on loan while its commands run.
    pub client: Option<Box<PrimaryClient>>,
    /// The database that the stream has selected. It outlives the client, as the position does.
    pub database: usize,
    /// The data that come, or are loaded.
    pub payload: Option<Payload>,
    /// The primary is to give way to this server: the last step of a FAILOVER.
    pub takes_over: bool,
    /// Where the stream was when so much had been appended to the file, for what is not known to be on the disk.
    pub appended: VecDeque<Appended>,
    /// Bytes up to this one are on the disk.
    pub fsynced: u64,
    /// The stream stands still: clients are paused, or a script takes long.
    pub is_held: bool,
    /// What was left of the stream is the beginning of a command: the rest is the primary's to send.
    pub awaits_rest: bool,
    /// When the log last told of a disk that fails, in ms since the epoch.
    pub disk_logged_ms: i64,
}

/// The place in the stream that corresponds to one in the append-only file.
#[derive(Clone, Copy, Debug)]
pub struct Appended {
    /// Offset of the log of changes.
    pub log: u64,
    /// Offset of the stream.
    pub stream: u64,
}

/// The primary as a client of this server.
pub struct PrimaryClient {
    pub session: Session,
    pub parser: Parser,
    pub batch: Batch,
    /// What has come and was taken in, but not applied: a request that is not whole, or a transaction.
    pub unapplied: Vec<u8>,
}

/// A primary's data on their way into the keyspace.
pub enum Payload {
    /// They go to a file, which is loaded when it is complete.
    ToFile(Box<PayloadFile>),
    /// The file is loaded in place of the old data (`ServerState::loading`).
    FromFile,
    /// They are loaded as they come, beside the old data, whose place they take when they are complete.
    Beside(Box<PayloadBeside>),
}

/// Data that go to a file.
pub struct PayloadFile {
    pub writer: FileWriter,
    pub target: PathBuf,
    pub check: PayloadCheck,
    /// Bytes that are not handed over to the writer.
    pub chunk: Vec<u8>,
    /// The disk is slower than the primary: the link waits.
    pub is_stalled: bool,
    /// Why the data cannot be loaded.
    pub failure: Option<String>,
}

/// Data that are loaded beside the old ones.
pub struct PayloadBeside {
    pub loader: Loader,
    pub data: KeyspaceFork,
    /// The old data belong to the same history, and are served meanwhile.
    pub serves_old: bool,
    /// The last byte was fed.
    pub has_ended: bool,
    /// The last key was loaded.
    pub is_loaded: bool,
    /// For tests: nothing more is loaded before this time, in ticks.
    pub paused_until: u64,
    pub started_ms: i64,
    /// Length of the data, if it was told.
    pub total_bytes: u64,
}

impl ReplicaSide {
    /// A replica that has yet to connect to its primary.
    pub fn new(host: String, port: u16, link: PrimaryLink) -> ReplicaSide {
        ReplicaSide {
            host,
            port,
            link,
            connection: None,
            client: None,
            database: 0,
            payload: None,
            takes_over: false,
            appended: VecDeque::new(),
            fsynced: 0,
            is_held: false,
            awaits_rest: false,
            disk_logged_ms: 0,
        }
    }

    /// Whether the old data, or what has come of the new ones, are hidden from clients until all are there.
    pub fn hides_data(&self) -> bool {
        match &self.payload {
            Some(Payload::FromFile) => true,
            Some(Payload::Beside(beside)) => !beside.serves_old,
            Some(Payload::ToFile(_)) | None => false,
        }
    }

    /// Whether data are loaded while the old ones are served.
    pub fn loads_beside(&self) -> bool {
        matches!(&self.payload, Some(Payload::Beside(beside)) if beside.serves_old)
    }

    /// How far loading beside the old data has come, if that is going on.
    pub fn loading_figures(&self, now_ms: i64) -> Option<LoadingStats> {
        let Some(Payload::Beside(beside)) = &self.payload else { return None };
        Some(LoadingStats {
            started_seconds: beside.started_ms / 1000,
            total_bytes: beside.total_bytes,
            loaded_bytes: beside.loader.offset(),
            used_memory: beside.loader.notes.used_memory.unwrap_or(0),
            elapsed_seconds: (now_ms - beside.started_ms) / 1000,
        })
    }

    /// Bytes up to this position were appended to the file when that had so much in it.
    pub fn note_appended(&mut self, appended: Appended) {
        match self.appended.back_mut() {
            Some(last) if last.log == appended.log => last.stream = appended.stream,
            _ => self.appended.push_back(appended),
        }
    }

    /// The file is on the disk up to an offset of the log of changes: gives how much of the stream that is.
    pub fn fsynced(&mut self, log: u64) -> u64 {
        while let Some(appended) = self.appended.front().filter(|appended| appended.log <= log) {
            self.fsynced = self.fsynced.max(appended.stream);
            self.appended.pop_front();
        }
        self.fsynced
    }

    /// The place in the primary's history up to which all is applied, if that is known.
    pub fn position(&self) -> Option<Position> {
        self.link.position()
    }

    /// The database that the stream has selected.
    pub fn stream_database(&self) -> usize {
        self.client.as_ref().map_or(self.database, |client| client.session.database)
    }

    /// Whether the loop is to look often, since a test slows loading down.
    pub fn is_paced(&self) -> bool {
        matches!(&self.payload, Some(Payload::Beside(beside)) if beside.paused_until > 0)
    }
}
