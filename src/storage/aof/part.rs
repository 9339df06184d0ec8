//! A part of the append-only file that is being loaded: what it is, how it is read, and what becomes of its end if it
//! is torn.

use std::io;
use std::path::PathBuf;

use crate::base::logging;
use crate::config::system_reason;
use crate::storage::aof::{AppendedReader, Malformed};
use crate::storage::file::operations::{Disk, FileOperations};
use crate::storage::file::reader::FileReader;
use crate::storage::snapshot::{Loader, LoaderSettings, begins_snapshot};

use crate::storage::aof::size_estimator::SizeEstimator;

pub(crate) struct PartToLoad {
    pub name: String,
    pub is_base: bool,
}

/// The part that is being loaded.
pub(crate) struct Open {
    pub part: PartToLoad,
    pub path: PathBuf,
    pub file: FileReader,
    pub content: Content,
    pub started_us: u64,
    /// Where the commands begin: behind a snapshot.
    pub begin: u64,
    /// Where the last whole unit ends.
    pub valid: u64,
    pub size_estimator: SizeEstimator,
    pub has_ended: bool,
}

pub(crate) enum Content {
    Unknown,
    Snapshot(Box<Loader>),
    Commands(Box<AppendedReader>),
}

impl PartToLoad {
    pub fn bad_format(&self, malformed: &Malformed) -> String {
        log::warn!("At offset {}: {}", malformed.offset, malformed.reason);
        format!(
            "Bad file format reading the append only file {}: make a backup of your AOF file, then use oneloop check-aof --fix \
             <filename.manifest>",
            self.name
        )
    }
}

impl Open {
    pub fn offset(&self) -> u64 {
        match &self.content {
            Content::Unknown => 0,
            Content::Snapshot(loader) => loader.offset(),
            Content::Commands(reader) => self.begin + reader.offset(),
        }
    }

    /// How the file is to be read, by its first bytes.
    pub fn content_of(chunk: &[u8], settings: impl FnOnce() -> LoaderSettings) -> Content {
        if !begins_snapshot(chunk) {
            return Content::Commands(Box::default());
        }
        log::info!("Reading RDB base file on AOF loading...");
        let settings = LoaderSettings { expires_before_ms: None, ..settings() };
        Content::Snapshot(Box::new(Loader::new(settings)))
    }

    /// The snapshot is over: what follows are commands.
    pub fn begin_commands(&mut self) {
        if let Content::Snapshot(loader) = &self.content {
            let mut reader = Box::<AppendedReader>::default();
            reader.feed(loader.rest());
            self.begin = loader.offset();
            self.valid = self.begin;
            self.content = Content::Commands(reader);
        }
    }

    /// Whether it ends in the middle of a command or of a transaction.
    pub fn is_torn(&self, in_transaction: bool) -> bool {
        let has_rest = match &self.content {
            Content::Commands(reader) => reader.has_rest() && !reader.rest_is_annotation(),
            Content::Unknown | Content::Snapshot(_) => false,
        };
        has_rest || in_transaction
    }

    /// Whether it ends in an annotation without a line end: what is appended to the file would be taken for a part of
    /// it.
    pub fn ends_in_annotation(&self) -> bool {
        matches!(&self.content, Content::Commands(reader) if reader.has_rest() && reader.rest_is_annotation())
    }

    /// Cuts off the command or the transaction that is not whole at the end of the file.
    ///
    /// Errors: the text for the log: it is not allowed, or cannot be done.
    pub fn cut_off_torn(&self, disk: &Disk, is_allowed: bool) -> Result<(), String> {
        let name = &self.part.name;
        if !is_allowed {
            return Err(format!(
                "Unexpected end of file reading the append only file {name}. You can: 1) Make a backup of your AOF file, then use \
                 oneloop check-aof --fix <filename.manifest>. 2) Alternatively you can set the 'aof-load-truncated' \
                 configuration option to yes and restart the server."
            ));
        }
        log::warn!("!!! Warning: short read while loading the AOF file {name}!!!");
        log::warn!("!!! Truncating the AOF {name} at offset {} !!!", self.valid);
        self.cut_off(disk)?;
        log::warn!("AOF {name} loaded anyway because aof-load-truncated is enabled");
        Ok(())
    }

    /// Cuts off what follows the last whole unit.
    ///
    /// Errors: the text for the log.
    pub fn cut_off(&self, disk: &Disk) -> Result<(), String> {
        let file = disk.files().open_to_append(&self.path);
        let done: io::Result<()> = file.and_then(|file| file.set_length(self.valid).and_then(|()| file.sync()));
        done.map_err(|error| {
            let reason = system_reason(&error);
            format!("Error truncating the AOF file {}: {reason}", logging::whole_path(&self.path))
        })
    }
}
