//! What a snapshot says besides its keys.

use crate::storage::rdb::{Fault, FormatError, Reader};

/// What the removal of a key takes in a stream beyond its name, in bytes, and the most that is noted of removals: a
/// stretch that long is hardly ever at hand.
const EXPIRED_KEY_OVERHEAD: usize = 24;
const EXPIRED_MAX_BYTES: usize = 1 << 20;

/// What was said so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuxFields {
    /// The version of the server that wrote it.
    pub server_version: Option<String>,
    /// When it was written, in seconds since the epoch.
    pub created_seconds: Option<i64>,
    /// Bytes that were in use then.
    pub used_memory: Option<u64>,
    /// Whether it is the base of an append-only log.
    pub is_log_base: bool,
    /// The history of writes that it belongs to.
    pub replication_id: Option<String>,
    /// How far that had come.
    pub replication_offset: Option<i64>,
    /// The database that the next write was for, if that was known.
    pub replication_database: Option<i64>,
    /// Keys that were left out because their time was over, each with its database, where the history is told: those
    /// who go on with it are to remove them.
    pub expired: Vec<(usize, Vec<u8>)>,
    /// Bytes of these keys, and of those for which there was no room.
    pub expired_bytes: usize,
    /// The code of libraries of functions; the caller that loads them takes them out.
    pub functions: Vec<Vec<u8>>,
    /// Of Valkey: slots that were being imported.
    pub slot_imports: Vec<SlotImport>,
    /// Further remarks of a check, and where.
    pub remarks: Vec<(u64, String)>,
}

/// Slots that were being imported by a primary, as a snapshot tells it: nothing of it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotImport {
    /// The name of the migration.
    pub name: Vec<u8>,
    /// First and last slots.
    pub ranges: Vec<(u64, u64)>,
}

impl AuxFields {
    /// Notes that a key was left out.
    pub fn note_expired(&mut self, database: usize, key: &[u8]) {
        if self.replication_id.is_none() {
            return;
        }
        self.expired_bytes += key.len() + EXPIRED_KEY_OVERHEAD;
        match self.has_all_expired() {
            true => self.expired.push((database, key.to_vec())),
            false => self.expired = Vec::new(),
        }
    }

    /// Whether all keys are noted that were left out.
    pub fn has_all_expired(&self) -> bool {
        self.expired_bytes <= EXPIRED_MAX_BYTES
    }

    /// Takes in a note. Names that are not known are passed over.
    pub fn note(&mut self, name: &[u8], value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"redis-ver" | b"valkey-ver" => self.server_version = Some(text()),
            b"ctime" => self.created_seconds = text().parse().ok(),
            b"used-mem" => self.used_memory = text().parse().ok(),
            b"aof-base" | b"aof-preamble" => self.is_log_base |= value == b"1",
            b"repl-id" => self.replication_id = Some(text()),
            b"repl-offset" => self.replication_offset = text().parse().ok(),
            b"repl-stream-db" => self.replication_database = text().parse().ok(),
            _ => {}
        }
    }
}

/// Reads, behind a module's number, whether its data come before or after the keys.
pub fn check_module_place(reader: &mut Reader<'_>) -> Result<(), FormatError> {
    let kind = reader.length()?;
    reader.length()?;
    match kind {
        UNSIGNED => Ok(()),
        _ => Err(reader.error(Fault::Corrupt("a module's data do not say where they belong"))),
    }
}

const UNSIGNED: u64 = 2;

/// Passes over a module's own data: a row of values, each with its type in front.
pub fn skip_module_data(reader: &mut Reader<'_>) -> Result<(), FormatError> {
    const END: u64 = 0;
    const SIGNED: u64 = 1;
    const FLOAT: u64 = 3;
    const DOUBLE: u64 = 4;
    const STRING: u64 = 5;
    loop {
        match reader.length()? {
            END => return Ok(()),
            SIGNED | UNSIGNED => {
                reader.length()?;
            }
            FLOAT => {
                reader.bytes(4)?;
            }
            DOUBLE => {
                reader.bytes(8)?;
            }
            STRING => {
                reader.string()?;
            }
            _ => return Err(reader.error(Fault::Corrupt("a module's value of an unknown type"))),
        }
    }
}
