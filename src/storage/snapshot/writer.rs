//! Writes a snapshot in slices: a pinned version of the keyspace becomes bytes.

use bytes::Bytes;

use crate::keyspace::{AccessPolicy, Keyspace, Record, Version};
use crate::storage::rdb::{Checksum, RdbVersion, Writer};
use crate::storage::values::producers::{self, ProducersCursor};
use crate::storage::values::{Saved, ValueCursor, save_key};
use crate::text::lzf::Compressor;

use super::mark;

/// A step ends once it has dealt with so many bytes: some ten microseconds, or fifty if they are compressed.
const STEP_BYTES: usize = 16 * 1024;

/// What a snapshot is made of besides the keys, and how it is written.
#[derive(Clone, Debug, Default)]
pub struct SnapshotSettings {
    /// The version of the format, unless the data need a newer one ([`Snapshot::version`]).
    pub version: RdbVersion,
    /// Whether fields with an expiry time are written as Valkey 9 does it, and not as Redis 7.4 does.
    pub is_for_valkey: bool,
    /// Whether longer strings are compressed (`rdbcompression`).
    pub compresses: bool,
    /// Whether a checksum stands at the end (`rdbchecksum`).
    pub has_checksum: bool,
    /// The time, in ms since the epoch.
    pub now_ms: i64,
    /// Bytes allocated.
    pub used_memory: usize,
    /// The version of Redis that is claimed.
    pub server_version: &'static str,
    pub origin: Origin,
    /// What is noted of each key's use.
    pub access: AccessNote,
    /// The code of each library of functions.
    pub functions: Vec<Bytes>,
    /// So many keys are written in a step at most; 0: no matter how many. For tests.
    pub keys_per_step: usize,
}

/// What a snapshot is made for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// A file of its own.
    #[default]
    Plain,
    /// The base of an append-only log.
    LogBase,
    /// A replica, or a file from which replicas may go on.
    Replication {
        /// The history of writes that it belongs to: 40 hexadecimal digits.
        id: String,
        /// How far that had come.
        offset: i64,
        /// The database that the next write is for, if it is known.
        database: Option<usize>,
    },
}

/// What is noted of each key's use, so that eviction goes on where it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessNote {
    #[default]
    Nothing,
    /// Seconds since the last use.
    Idle,
    /// The counter of uses.
    Frequency,
}

/// Whether a snapshot is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    More,
    /// All has been written; the last bytes are to be taken.
    Done,
}

enum Stage {
    Head,
    /// The next database, or the end.
    Database,
    Keys,
    Foot,
    End,
}

/// A snapshot that is being written. The version that it holds shares its memory with the keyspace.
pub struct Snapshot {
    pinned: Version,
    /// The version of the format that is written.
    version: RdbVersion,
    settings: SnapshotSettings,
    /// As the keyspace's was when the version was pinned: what idle times are counted from.
    access: AccessPolicy,
    compressor: Compressor,
    stage: Stage,
    /// Records of the present database that are still to be written.
    queue: Vec<Record>,
    /// The key before which notes are being written.
    noted: Option<(Record, ProducersCursor)>,
    /// The value that is being written.
    value: Option<Box<ValueCursor>>,
    out: Vec<u8>,
    checksum: Checksum,
    keys_written: usize,
    bytes_taken: u64,
}

impl Snapshot {
    /// Holds on to all databases as they are now. O(databases).
    pub fn pin(keyspace: &Keyspace, settings: SnapshotSettings) -> Snapshot {
        let pinned = keyspace.pin();
        let version = match pinned.has_field_times() {
            true if settings.is_for_valkey => RdbVersion::Valkey80,
            true => RdbVersion::V12,
            false => settings.version,
        };
        Snapshot {
            pinned,
            version,
            access: keyspace.access.copy(),
            settings,
            compressor: Compressor::new(),
            stage: Stage::Head,
            queue: Vec::new(),
            noted: None,
            value: None,
            out: Vec::new(),
            checksum: Checksum::new(),
            keys_written: 0,
            bytes_taken: 0,
        }
    }

    /// The version of the format that it is written in: the one that was asked for, or the one that fields with an
    /// expiry time need.
    pub fn version(&self) -> RdbVersion {
        self.version
    }

    /// Number of keys in it.
    pub fn keys(&self) -> usize {
        self.pinned.keys()
    }

    /// Number of keys that have been written.
    pub fn keys_written(&self) -> usize {
        self.keys_written
    }

    /// Bytes that have been written and not been taken.
    pub fn buffered_bytes(&self) -> usize {
        self.out.len()
    }

    /// Bytes that have been taken.
    pub fn taken_bytes(&self) -> u64 {
        self.bytes_taken
    }

    /// Takes what has been written since the last time; `next` is used for what is written next. O(bytes) for the
    /// checksum.
    pub fn take(&mut self, next: Vec<u8>) -> Vec<u8> {
        let mut chunk = std::mem::replace(&mut self.out, next);
        self.out.clear();
        if self.settings.has_checksum {
            self.checksum.update(&chunk);
        }
        if let Stage::End = self.stage {
            let checksum = match self.settings.has_checksum {
                true => self.checksum.value(),
                false => 0,
            };
            chunk.extend_from_slice(&checksum.to_le_bytes());
        }
        self.bytes_taken += chunk.len() as u64;
        chunk
    }

    /// Writes a piece: some ten microseconds' worth, whatever the data. Once it is done the rest is to be taken, once.
    pub fn step(&mut self) -> Progress {
        let out = std::mem::take(&mut self.out);
        let mut compressor = std::mem::take(&mut self.compressor);
        let writer = Writer::new(out, self.settings.compresses.then_some(&mut compressor));
        let mut writer = writer.in_version(self.version);
        match self.stage {
            Stage::Head => self.write_head(&mut writer),
            Stage::Database => self.begin_database(&mut writer),
            Stage::Keys => self.write_keys(&mut writer),
            Stage::Foot => {
                writer.bytes(&[mark::END]);
                self.stage = Stage::End;
            }
            Stage::End => {}
        }
        self.out = writer.into_bytes();
        self.compressor = compressor;
        match self.stage {
            Stage::End => Progress::Done,
            _ => Progress::More,
        }
    }

    /// Releases about this many records of a snapshot that is no longer needed; returns whether records are left.
    pub fn release_step(&mut self, records: usize) -> bool {
        self.value = None;
        self.noted = None;
        self.queue.clear();
        self.pinned.release_step(records)
    }

    fn write_head(&mut self, writer: &mut Writer<'_>) {
        writer.bytes(self.version.header().as_bytes());
        let mut note = |name: &str, value: &str| write_note(name.as_bytes(), value.as_bytes(), writer);
        let settings = &self.settings;
        note("redis-ver", settings.server_version);
        note("redis-bits", &usize::BITS.to_string());
        note("ctime", &(settings.now_ms / 1000).to_string());
        note("used-mem", &settings.used_memory.to_string());
        if let Origin::Replication { id, offset, database } = &settings.origin {
            let database = database.map_or(-1, |number| number as i64);
            note("repl-stream-db", &database.to_string());
            note("repl-id", id);
            note("repl-offset", &offset.to_string());
        }
        let is_base = settings.origin == Origin::LogBase;
        note("aof-base", if is_base { "1" } else { "0" });
        for function in &settings.functions {
            writer.bytes(&[mark::FUNCTION]);
            writer.string(function);
        }
        self.stage = Stage::Database;
    }

    fn begin_database(&mut self, writer: &mut Writer<'_>) {
        let Some(database) = self.pinned.database() else {
            self.stage = Stage::Foot;
            return;
        };
        writer.bytes(&[mark::DATABASE]);
        writer.length(database.number as u64);
        writer.bytes(&[mark::SIZES]);
        writer.length(database.keys as u64);
        writer.length(database.volatile as u64);
        self.stage = Stage::Keys;
    }

    fn write_keys(&mut self, writer: &mut Writer<'_>) {
        if let Some(value) = &mut self.value {
            if !value.step(writer) {
                self.value = None;
                self.keys_written += 1;
            }
            return;
        }
        if self.noted.is_some() {
            return self.write_noted(writer);
        }
        let Snapshot { queue, noted, value, settings, access, keys_written, .. } = self;
        let end = writer.work() + STEP_BYTES;
        let keys_end = match settings.keys_per_step {
            0 => usize::MAX,
            keys => *keys_written + keys,
        };
        let mut write = |record: &Record| {
            if producers::producers_of(record).is_some() {
                *noted = Some((record.clone(), ProducersCursor::default()));
                return false;
            }
            note_expiry_and_use(record, settings.access, access, writer);
            match save_key(record, writer) {
                Saved::Whole => *keys_written += 1,
                Saved::Begun(cursor) => *value = Some(cursor),
            }
            value.is_none() && writer.work() < end && *keys_written < keys_end
        };
        while let Some(record) = queue.pop() {
            if !write(&record) {
                return;
            }
        }
        let mut goes_on = true;
        let found = self.pinned.next_records(|record| {
            if goes_on {
                goes_on = write(record);
            } else {
                queue.push(record.clone());
            }
        });
        if !found {
            self.stage = Stage::Database;
        }
    }

    /// Writes the next note on a key, or the key behind its notes.
    fn write_noted(&mut self, writer: &mut Writer<'_>) {
        let Some((record, cursor)) = &mut self.noted else { return };
        let piece = producers::producers_of(record).and_then(|producers| cursor.next(producers));
        if let Some(piece) = piece {
            return write_note(producers::NAME, &piece, writer);
        }
        note_expiry_and_use(record, self.settings.access, &self.access, writer);
        match save_key(record, writer) {
            Saved::Whole => self.keys_written += 1,
            Saved::Begun(cursor) => self.value = Some(cursor),
        }
        self.noted = None;
    }
}

/// Writes a note (an auxiliary field).
fn write_note(name: &[u8], value: &[u8], writer: &mut Writer<'_>) {
    writer.bytes(&[mark::AUXILIARY]);
    writer.string(name);
    writer.string(value);
}

/// Writes what stands before the type of a value.
fn note_expiry_and_use(record: &Record, note: AccessNote, access: &AccessPolicy, writer: &mut Writer<'_>) {
    if let Some(time_ms) = record.expiry_ms() {
        writer.bytes(&[mark::EXPIRY_MS]);
        writer.time_ms(time_ms);
    }
    match note {
        AccessNote::Nothing => {}
        AccessNote::Idle => {
            writer.bytes(&[mark::IDLE_SECONDS]);
            writer.length(access.idle_seconds(record).into());
        }
        AccessNote::Frequency => {
            writer.bytes(&[mark::FREQUENCY, access.frequency_of(record) as u8]);
        }
    }
}
