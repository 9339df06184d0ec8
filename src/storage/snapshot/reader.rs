//! Reads a snapshot in slices: bytes, fed chunk by chunk, become keys in a keyspace.

use crate::base::logging;
use crate::keyspace::{Keyspace, NewValue, Record};
use crate::storage::rdb::{
    Checksum, Fault, FormatError, Reader, SanitizeLevel, Text, ValueDecoder, ValueKind, is_readable_version,
    module_name,
};
use crate::storage::values::producers;
use crate::storage::values::{LoadBuffer, LoadSettings, ValueBuilder};

use crate::types::stream::Producers;

use super::loading::{Duplicates, LoadFigures, LoadStep, LoaderSettings, Purpose};
use super::mark;
use crate::storage::snapshot::aux_fields::{AuxFields, SlotImport, check_module_place, skip_module_data};

/// A step ends once it has dealt with so many bytes.
const STEP_BYTES: usize = 32 * 1024;
/// Keys whose places are fetched into the cache before they are put there.
const BATCH_KEYS: usize = 32;
/// `REDIS0011`.
const HEADER_BYTES: u64 = 9;
/// Snapshots from this version on end with a checksum.
const CHECKSUM_VERSION_MIN: u16 = 5;
/// Longest string: longer ones no server holds.
const STRING_MAX_BYTES: u64 = u32::MAX as u64;

/// Whether bytes are the beginning of a snapshot, of Redis or, from version 80 on, of Valkey.
pub fn begins_snapshot(bytes: &[u8]) -> bool {
    bytes.starts_with(b"REDIS") || bytes.starts_with(b"VALKEY")
}

enum Stage {
    Header,
    /// A mark or a key.
    Item,
    Value(Box<PartialKey>),
    Footer,
    Done,
}

/// A key whose value is being read.
struct PartialKey {
    key: Vec<u8>,
    kind: ValueKind,
    decoder: ValueDecoder,
    builder: ValueBuilder,
}

/// What was said of the next key.
#[derive(Default)]
struct KeyNotes {
    expiry_ms: Option<i64>,
    /// If it is a stream, what it knows of idempotent producers.
    producers: Option<Box<Producers>>,
    idle_seconds: Option<i64>,
    frequency: Option<u8>,
}

/// A snapshot that is being read.
pub struct Loader {
    settings: LoaderSettings,
    stage: Stage,
    version: u16,
    /// What was fed and has not been read, from `start` on.
    buffer: Vec<u8>,
    start: usize,
    /// Where in the whole that is.
    offset: u64,
    /// No step is of use before so many bytes are there.
    wanted: usize,
    input_ended: bool,
    checksum: Checksum,
    database: usize,
    next_key: KeyNotes,
    /// Records that are to be put in their places, with their hashes.
    batch: Vec<(u64, Record)>,
    load_buffer: LoadBuffer,
    has_checksum: bool,
    /// Whose value could not be read.
    failed_key: Option<(Vec<u8>, ValueKind)>,
    pub stats: LoadFigures,
    /// What else the snapshot said.
    pub notes: AuxFields,
}

impl Loader {
    /// Nothing read yet.
    pub fn new(settings: LoaderSettings) -> Loader {
        let values = LoadSettings { string_max_bytes: STRING_MAX_BYTES, ..settings.values };
        Loader {
            settings: LoaderSettings { values, ..settings },
            stage: Stage::Header,
            version: 0,
            buffer: Vec::new(),
            start: 0,
            offset: 0,
            wanted: 0,
            input_ended: false,
            checksum: Checksum::new(),
            database: 0,
            next_key: KeyNotes::default(),
            batch: Vec::with_capacity(BATCH_KEYS),
            load_buffer: LoadBuffer::default(),
            has_checksum: false,
            failed_key: None,
            stats: LoadFigures::default(),
            notes: AuxFields::default(),
        }
    }

    /// Takes in more of the snapshot. O(bytes), besides what is left of earlier ones.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        // All that is wanted at once, if the chunks are of a known whole: a buffer that grows by doubling is moved.
        self.buffer.reserve(chunk.len());
        self.buffer.extend_from_slice(chunk);
    }

    /// Says that there is no more to feed.
    pub fn end_input(&mut self) {
        self.input_ended = true;
    }

    /// How many bytes of the snapshot have been read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The version of the format, once it is known.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Whether a checksum stood at the end.
    pub fn has_checksum(&self) -> bool {
        self.has_checksum
    }

    /// The key whose value could not be read, if it was one that made a step fail, and the type of the value.
    pub fn failed_key(&self) -> Option<(&[u8], ValueKind)> {
        let (key, kind) = self.failed_key.as_ref()?;
        Some((key, *kind))
    }

    /// Notes something that only a check reports, and the reader's offset.
    fn remark(&mut self, position: usize, text: impl FnOnce() -> String) {
        /// More remarks than this are not kept.
        const REMARKS_MAX: usize = 1024;
        if self.settings.purpose == Purpose::Check && self.notes.remarks.len() < REMARKS_MAX {
            let offset = self.offset + position as u64;
            self.notes.remarks.push((offset, text()));
        }
    }

    /// What was fed and not read: behind the end of the snapshot, what follows it.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Reads a piece: some ten microseconds' worth, or one string. Keys are in the keyspace when the step is over.
    ///
    /// # Errors
    ///
    /// What is wrong with the snapshot. Keys that were read before stay in the keyspace.
    pub fn step(&mut self, keyspace: &mut Keyspace) -> Result<LoadStep, FormatError> {
        if self.buffer.len() - self.start < self.wanted && !self.input_ended {
            return Ok(LoadStep::NeedsInput);
        }
        let buffer = std::mem::take(&mut self.buffer);
        let mut reader = Reader::new(&buffer[self.start..], self.offset, STRING_MAX_BYTES);
        let was_footer = matches!(self.stage, Stage::Footer);
        let mut result = self.read(&mut reader, keyspace);
        // A key that is there twice is one, also where the input ends for now.
        if let Err(fault) = self.flush(keyspace) {
            result = Err(reader.error(fault));
        }
        let taken = reader.position();
        if self.settings.checks_sum && !was_footer {
            self.checksum.update(&buffer[self.start..self.start + taken]);
        }
        self.start += taken;
        self.offset += taken as u64;
        let left = buffer.len() - self.start;
        self.buffer = buffer;
        match result {
            Err(FormatError { fault: Fault::Truncated { missing }, .. }) if !self.input_ended => {
                self.wanted = left.saturating_add(usize::try_from(missing).unwrap_or(usize::MAX));
                Ok(LoadStep::NeedsInput)
            }
            Err(error) => Err(error),
            Ok(()) if matches!(self.stage, Stage::Done) => Ok(LoadStep::Done),
            Ok(()) => {
                self.wanted = 0;
                Ok(LoadStep::More)
            }
        }
    }

    fn read(&mut self, reader: &mut Reader<'_>, keyspace: &mut Keyspace) -> Result<(), FormatError> {
        match self.stage {
            Stage::Header => return self.header(reader),
            Stage::Footer => return self.footer(reader),
            Stage::Done => return Ok(()),
            Stage::Item | Stage::Value(_) => {}
        }
        let keys_end = match self.settings.keys_per_step {
            0 => u64::MAX,
            keys => self.stats.seen() + keys as u64,
        };
        while reader.position() < STEP_BYTES && self.stats.seen() < keys_end {
            match std::mem::replace(&mut self.stage, Stage::Item) {
                Stage::Value(partial) => self.go_on_with(partial, reader, keyspace)?,
                Stage::Item => {
                    let start = reader.position();
                    let result = self.item(reader, keyspace);
                    if let Err(error) = &result
                        && matches!(error.fault, Fault::Truncated { .. })
                        && matches!(self.stage, Stage::Item)
                    {
                        reader.rewind(start);
                    }
                    result?;
                }
                other => {
                    // The checksum is of all bytes before it: they are counted at the end of this step.
                    self.stage = other;
                    break;
                }
            }
        }
        Ok(())
    }

    fn header(&mut self, reader: &mut Reader<'_>) -> Result<(), FormatError> {
        let header = reader.bytes(HEADER_BYTES)?;
        let digits = match header {
            [b'R', b'E', b'D', b'I', b'S', digits @ ..] => digits,
            [b'V', b'A', b'L', b'K', b'E', b'Y', digits @ ..] => digits,
            _ => {
                return Err(reader.error(Fault::Corrupt("Wrong signature trying to load DB from file")));
            }
        };
        let digits = std::str::from_utf8(digits).unwrap_or_default();
        self.version = digits.parse().unwrap_or(0);
        if !is_readable_version(self.version, self.settings.values.versions) {
            return Err(reader.error(Fault::Version(self.version)));
        }
        self.stage = Stage::Item;
        Ok(())
    }

    fn footer(&mut self, reader: &mut Reader<'_>) -> Result<(), FormatError> {
        if self.version >= CHECKSUM_VERSION_MIN {
            let checksum = reader.u64()?;
            self.has_checksum = checksum != 0;
            let is_right = checksum == 0 || checksum == self.checksum.value();
            if self.settings.checks_sum && !is_right {
                return Err(reader.error(Fault::Corrupt("RDB CRC error")));
            }
        }
        self.stage = Stage::Done;
        Ok(())
    }

    /// Reads a mark with what belongs to it, or a key, of which a large value may be left.
    fn item(&mut self, reader: &mut Reader<'_>, keyspace: &mut Keyspace) -> Result<(), FormatError> {
        match reader.byte()? {
            mark::EXPIRY_MS => self.next_key.expiry_ms = Some(reader.time_ms()?),
            mark::EXPIRY_SECONDS => {
                let seconds = reader.i32()?;
                self.next_key.expiry_ms = Some(i64::from(seconds) * 1000);
            }
            mark::IDLE_SECONDS => {
                let seconds = i64::try_from(reader.length()?).unwrap_or(i64::MAX);
                self.next_key.idle_seconds = Some(seconds);
            }
            mark::FREQUENCY => self.next_key.frequency = Some(reader.byte()?),
            mark::DATABASE => {
                let number = reader.length()?;
                let is_kept = self.settings.purpose == Purpose::Load;
                if is_kept && number >= keyspace.count() as u64 {
                    return Err(reader.error(Fault::Unsupported(
                        "a database with a number beyond what `databases`, or `cluster-databases` in a cluster, allows",
                    )));
                }
                self.change_database(number as usize, keyspace).map_err(|fault| reader.error(fault))?;
                self.remark(reader.position(), || format!("Selecting DB ID {number}"));
            }
            mark::SIZES => {
                let (keys, volatile) = (reader.length()?, reader.length()?);
                self.presize(keys, volatile, keyspace);
            }
            mark::AUXILIARY => {
                let (name, value) = (reader.string()?, reader.string()?);
                if *name == *producers::NAME {
                    let read = producers::read_piece(&value, self.next_key.producers.get_or_insert_default());
                    read.map_err(|fault| reader.error(fault))?;
                }
                self.notes.note(&name, &value);
                self.remark(reader.position(), || {
                    let [name, value] = [name, value].map(Text::into_vec);
                    let [name, value] = [&name, &value].map(|text| String::from_utf8_lossy(text));
                    format!("AUX FIELD {name} = '{value}'")
                });
            }
            mark::FUNCTION => {
                let code = reader.string()?;
                self.notes.functions.push(code.into_vec());
            }
            other @ (mark::FUNCTION_PRE_RELEASE | mark::MODULE_AUXILIARY | mark::SLOT_SIZES | mark::SLOT_IMPORT) => {
                self.pass_over(other, reader)?
            }
            mark::END => {
                self.forget_expected(keyspace);
                self.stage = Stage::Footer;
            }
            number => {
                let kind = ValueKind::of(number, self.version);
                let kind = kind.ok_or_else(|| reader.error(Fault::UnknownType(number)))?;
                self.key(kind, reader, keyspace)?;
            }
        }
        Ok(())
    }

    /// Skips the data of a mark that is of no use here, or notes them.
    fn pass_over(&mut self, mark: u8, reader: &mut Reader<'_>) -> Result<(), FormatError> {
        match mark {
            mark::MODULE_AUXILIARY => {
                let module = reader.length()?;
                if self.settings.purpose == Purpose::Load {
                    return Err(reader.error(Fault::ModuleAuxiliary(module)));
                }
                check_module_place(reader)?;
                let position = reader.position();
                skip_module_data(reader)?;
                self.remark(position, || format!("MODULE AUX for: {}", module_name(module)));
            }
            mark::SLOT_SIZES => {
                for _ in 0..3 {
                    reader.length()?;
                }
            }
            mark::SLOT_IMPORT => {
                let name = reader.string()?.into_vec();
                let mut ranges = Vec::new();
                for _ in 0..reader.length()? {
                    ranges.push((reader.length()?, reader.length()?));
                }
                self.notes.slot_imports.push(SlotImport { name, ranges });
            }
            _ => {
                return Err(reader.error(Fault::Unsupported("functions in the format of release candidates")));
            }
        }
        Ok(())
    }

    /// Takes a number of keys for true as far as the snapshot is long enough for them.
    fn presize(&self, keys: u64, volatile: u64, keyspace: &mut Keyspace) {
        /// What a key takes in a snapshot at the least, in bytes: shorter ones are few.
        const KEY_BYTES: u64 = 8;
        if self.settings.purpose == Purpose::Load {
            let most = self.settings.input_bytes / KEY_BYTES;
            let [keys, volatile] = [keys, volatile].map(|count| usize::try_from(count.min(most)).unwrap_or(0));
            keyspace.presize(self.database, keys, volatile);
        }
    }

    fn change_database(&mut self, number: usize, keyspace: &mut Keyspace) -> Result<(), Fault> {
        self.flush(keyspace)?;
        self.forget_expected(keyspace);
        self.database = number;
        Ok(())
    }

    /// Reads a key with its value, of which a part may be left for later.
    fn key(&mut self, kind: ValueKind, reader: &mut Reader<'_>, keyspace: &mut Keyspace) -> Result<(), FormatError> {
        let key = reader.string()?;
        if kind == ValueKind::String {
            let text = reader.string();
            if text.is_err() {
                self.failed_key = Some((key.to_vec(), kind));
            }
            let text = text?;
            if self.is_wanted(&key) {
                let large = || text.to_vec().into();
                let value = match text {
                    Text::Integer(number, _) => NewValue::Integer(number.into()),
                    _ => NewValue::text(&text, large),
                };
                let record = self.record(&key, value, keyspace);
                self.put(record, keyspace).map_err(|fault| reader.error(fault))?;
            }
            self.next_key = KeyNotes::default();
            return Ok(());
        }
        if kind == ValueKind::Module && self.settings.purpose == Purpose::Check {
            reader.length()?;
            skip_module_data(reader)?;
            self.is_wanted(&key);
            self.next_key = KeyNotes::default();
            return Ok(());
        }
        let partial = PartialKey {
            key: key.into_vec(),
            kind,
            decoder: ValueDecoder::new(kind, self.settings.scrutiny),
            builder: ValueBuilder::new(kind, &self.settings.values, keyspace.seed()),
        };
        self.go_on_with(Box::new(partial), reader, keyspace)
    }

    /// Reads more of a value: all of it, or a bounded piece.
    fn go_on_with(
        &mut self,
        mut partial: Box<PartialKey>,
        reader: &mut Reader<'_>,
        keyspace: &mut Keyspace,
    ) -> Result<(), FormatError> {
        let end = reader.position() + STEP_BYTES;
        loop {
            match partial.decoder.next(reader) {
                Ok(Some(piece)) => {
                    let added = partial.builder.add(piece);
                    added.map_err(|fault| reader.error(fault))?;
                }
                Ok(None) => break,
                Err(error) => {
                    match error.fault {
                        Fault::Truncated { .. } => self.stage = Stage::Value(partial),
                        Fault::Empty if self.settings.purpose == Purpose::Load => {
                            self.skip_empty(&partial.key);
                            return Ok(());
                        }
                        _ => self.failed_key = Some((partial.key, partial.kind)),
                    }
                    return Err(error);
                }
            }
            if reader.position() >= end {
                self.stage = Stage::Value(partial);
                return Ok(());
            }
        }
        if self.settings.scrutiny == SanitizeLevel::Full {
            self.stats.sanitized += partial.builder.packed_blocks();
        }
        if let Some((claimed, count)) = partial.decoder.miscount() {
            let key = logging::user_data(&partial.key);
            let text = format!("Stream '{key}' says it has {claimed} entries, and has {count}");
            log::warn!("{text}: what is there counts");
            self.remark(reader.position(), || text);
        }
        let loaded = partial.builder.finish();
        let mut loaded = loaded.map_err(|fault| reader.error(fault))?;
        if let Some(known) = self.next_key.producers.take() {
            loaded.set_producers(*known);
        }
        if self.is_wanted(&partial.key) {
            let mut buffer = std::mem::take(&mut self.load_buffer);
            let value = loaded.into_new(&mut buffer);
            let record = self.record(&partial.key, value, keyspace);
            self.load_buffer = buffer;
            self.put(record, keyspace).map_err(|fault| reader.error(fault))?;
        }
        self.next_key = KeyNotes::default();
        Ok(())
    }

    /// What was said of the number of keys is of no use any more.
    fn forget_expected(&self, keyspace: &mut Keyspace) {
        if self.settings.purpose == Purpose::Load {
            keyspace.presize(self.database, 0, 0);
        }
    }

    fn skip_empty(&mut self, key: &[u8]) {
        /// So many of them are named in the log.
        const NAMED_MAX: u64 = 10;
        if self.stats.empty < NAMED_MAX {
            let key = logging::user_data(key);
            log::info!("rdbLoadObject: skipping empty key: {key}");
        }
        self.stats.empty += 1;
        self.next_key = KeyNotes::default();
    }

    /// Whether the key is to be put into the keyspace; counts it.
    fn is_wanted(&mut self, key: &[u8]) -> bool {
        let expiry_ms = self.next_key.expiry_ms;
        self.stats.volatile += u64::from(expiry_ms.is_some());
        let is_over = match (expiry_ms, self.settings.expires_before_ms) {
            (Some(expiry_ms), Some(now_ms)) => expiry_ms < now_ms,
            _ => false,
        };
        match is_over {
            true => {
                self.stats.expired += 1;
                self.notes.note_expired(self.database, key);
            }
            false => self.stats.keys += 1,
        }
        !is_over && self.settings.purpose == Purpose::Load
    }

    fn record(&self, key: &[u8], value: NewValue<'_>, keyspace: &Keyspace) -> Record {
        let access = match (self.next_key.idle_seconds, self.next_key.frequency) {
            (Some(seconds), _) => keyspace.access.of_idle(seconds),
            (_, Some(frequency)) => keyspace.access.of_frequency(frequency),
            _ => keyspace.access.of_new(),
        };
        Record::new(key, value, self.next_key.expiry_ms, access)
    }

    fn put(&mut self, record: Record, keyspace: &mut Keyspace) -> Result<(), Fault> {
        let hash = keyspace.hasher().hash(record.key());
        keyspace.prefetch_bucket(self.database, hash);
        self.batch.push((hash, record));
        match self.batch.len() {
            BATCH_KEYS.. => self.flush(keyspace),
            _ => Ok(()),
        }
    }

    /// Puts the records of the batch in their places.
    fn flush(&mut self, keyspace: &mut Keyspace) -> Result<(), Fault> {
        for (hash, record) in self.batch.drain(..) {
            match self.settings.duplicates {
                Duplicates::Replace => keyspace.load_over(self.database, hash, record),
                Duplicates::Refuse => {
                    if let Err(record) = keyspace.load_new(self.database, hash, record) {
                        let key = logging::user_data(record.key());
                        log::warn!("RDB has duplicated key '{key}' in DB {}", self.database);
                        return Err(Fault::Corrupt("a key comes twice"));
                    }
                }
            }
        }
        Ok(())
    }
}
