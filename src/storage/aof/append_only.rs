//! The append-only file: what commands did is appended to a file before their replies leave, and forced to the disk as
//! `appendfsync` asks.
//!
//! ```text
//! a unit is over       engine::propagation → ChangeLog         in the log of changes, of which the file is a reader
//! before the poll      write                                   one write for the whole turn
//!                      tend                                    a thread forces the file to the disk
//! a thread is done     tend → collect                          replies that waited for that may leave
//! ```
//!
//! Offsets are those of the log of changes. A reply may leave once the file has acknowledged the offset that the log
//! had reached when the reply was written: all before it is written or, with `appendfsync always`, on the disk. While
//! the disk works the loop goes on: what comes meanwhile is forced with the next batch.
//!
//! Never runs a command, and never touches a client: the loop holds the replies.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use crate::base::logging::system_text;
use crate::base::sys::lock::PathLock;
use crate::base::wake::Wake;
use crate::config::{AppendFsync, Config};
use crate::keyspace::{ChangeLog, ReaderId};
use crate::storage::file::operations::{Disk, DiskFile, FileOperations};
use crate::storage::file::worker::Worker;
use crate::storage::save::FileSave;

use crate::storage::aof::history::HistoryMark;
use crate::storage::aof::log_file::LogFile;
use crate::storage::aof::machine::Machine;
pub use crate::storage::aof::machine::State;
use crate::storage::aof::paths::ManifestStore;
pub use crate::storage::aof::paths::{AofPaths, ListError};
pub use crate::storage::aof::rewrite_stats::{RewriteStart, RewriteStats};

/// Time between two attempts to write after one that failed, in µs.
const RETRY_PERIOD_US: u64 = 100_000;
/// Time between two log lines about such failures, in µs.
const FAILURE_LOG_PERIOD_US: u64 = 30_000_000;
/// Time between two syncs with `everysec`, in µs.
const SYNC_PERIOD_US: u64 = 1_000_000;
/// How long a sync waits for the clients that have just got their replies to come back, as a part of what the last sync
/// took: their next writes then go with the same sync as those of the others, and not with the next one.
const GATHERING_PART: u64 = 4;

/// A sync that a thread is busy with.
pub(crate) struct Sync {
    pub(crate) number: u64,
    /// The log that it is of, as `AppendOnly::log_number` counts them.
    pub(crate) log_number: u64,
    /// What is on the disk once it is done.
    pub(crate) offset: u64,
    pub(crate) started_us: u64,
}

/// The file that was appended to before the present one, until it is known to be on the disk.
pub(crate) struct Previous {
    pub(crate) file: DiskFile,
    /// Offset at which it ends.
    pub(crate) end: u64,
}

/// Why nothing can be written at present.
pub(crate) struct Failure {
    pub(crate) reason: String,
    /// It was met in the present turn: what was done before is among what cannot be written.
    pub(crate) is_fresh: bool,
    pub(crate) retry_due_us: u64,
    pub(crate) log_due_us: u64,
}

/// What the settings say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) places: AofPaths,
    pub(crate) policy: AppendFsync,
    pub(crate) has_times: bool,
}

/// The append-only file.
#[derive(Default)]
pub struct AppendOnly {
    pub(crate) machine: Machine,
    /// Whether the list of parts was read from the disk.
    pub(crate) knows_list: bool,
    pub(crate) settings: Settings,
    pub(crate) disk: Disk,
    /// Where the file is in the log of changes; there is one exactly while there is a log file.
    pub(crate) reader: Option<ReaderId>,
    /// Offset behind the last change for the file.
    pub(crate) appended: u64,
    pub(crate) store: ManifestStore,
    pub(crate) log: Option<LogFile>,
    /// Counts the logs that were given up: what threads say of one of those does not matter.
    pub(crate) log_number: u64,
    pub(crate) previous: Option<Previous>,
    /// Offset up to which all is in the file.
    pub(crate) written: u64,
    /// Offset up to which all is on the disk.
    pub(crate) synced: u64,
    /// Whether a reply may have to wait: something is not written or, with `always`, not on the disk.
    pub(crate) is_behind: bool,
    pub(crate) syncs: VecDeque<Sync>,
    pub(crate) syncs_begun: u64,
    pub(crate) is_suspended: bool,
    /// When the next sync may begin.
    pub(crate) sync_due_us: u64,
    /// With `always`: how many replies the last sync let go.
    pub(crate) released: usize,
    /// How long the last sync took, in µs.
    pub(crate) sync_us: u64,
    /// The duration of a sync that replies waited for, until it is taken.
    pub(crate) awaited_sync_us: Option<u64>,
    pub(crate) failure: Option<Failure>,
    /// The last mark of the history in the file, and the offset behind it.
    pub(crate) marked: Option<HistoryMark>,
    pub(crate) marked_at: u64,
    /// Why the last sync failed.
    pub(crate) sync_failure: Option<String>,
    /// Why the first base is not worth being written: what is appended meanwhile cannot be brought to the disk.
    pub(crate) start_failure: Option<String>,
    pub(crate) wake: Wake,
    pub(crate) syncer: Option<Worker>,
    pub(crate) worker: Option<Worker>,
    /// What the AOF worker has done, not yet looked at.
    pub(crate) outcomes: VecDeque<(u64, io::Result<()>)>,
    /// Rewrites up to this generation are over or given up; the AOF worker looks at it.
    pub(crate) given_up: Arc<AtomicU64>,
    /// The base that is being written.
    pub(crate) base: Option<Box<FileSave>>,
    /// When the present rewrite began, in ms since the epoch.
    pub(crate) rewrite_began_ms: i64,
    /// Bytes of the base that was written last.
    pub(crate) written_base_bytes: u64,
    pub(crate) lock: Option<Arc<PathLock>>,
    /// A lock that goes once the AOF worker has done what it was told before.
    pub(crate) released_lock: std::sync::Weak<PathLock>,
    /// Whether a rewrite is to begin when it may.
    pub is_scheduled: bool,
    /// A base was begun that the job has not heard of.
    pub(crate) has_begun: bool,
    pub rewrites: RewriteStats,
    /// Bytes of all parts but the one that is appended to.
    pub(crate) other_bytes: u64,
    /// Bytes of all parts after the last rewrite, or at the start.
    pub(crate) base_bytes: u64,
    /// Whether writes are refused, or no longer, unknown to the server.
    pub(crate) has_denial_changed: bool,
    pub stats: AofStats,
    /// For tests: how long each write waits before it is done.
    pub write_delay_us: u64,
}

/// What is counted, for INFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct AofStats {
    /// Syncs that were due while one was still going on.
    pub delayed_syncs: u64,
}

impl AppendOnly {
    /// Whether nothing is forced to the disk for now, as `no-appendfsync-on-rewrite` asks while other files are
    /// written.
    pub fn suspend_syncs(&mut self, is_suspended: bool) {
        if self.is_suspended != is_suspended {
            self.is_suspended = is_suspended;
            self.update_is_behind();
        }
    }

    /// Takes the settings over.
    pub fn configure(&mut self, config: &Config) {
        self.settings = Settings {
            places: AofPaths { folder: PathBuf::from(&config.appenddirname), file_name: config.appendfilename.clone() },
            policy: config.appendfsync,
            has_times: config.aof_timestamp_enabled,
        };
        self.update_is_behind();
    }

    /// Tells where files are, and how threads wake the loop.
    pub fn attach(&mut self, disk: Disk, wake: Wake) {
        self.disk = disk;
        self.wake = wake;
    }

    /// Whether anything is appended.
    pub fn state(&self) -> State {
        self.machine.state()
    }

    /// Whether there is a file that is appended to.
    pub fn has_log(&self) -> bool {
        self.log.is_some()
    }

    /// Whether the file is to say when changes were made.
    pub fn has_times(&self) -> bool {
        self.settings.has_times
    }

    /// There is more in the log of changes: the last of it that is for the file ends at this offset.
    #[inline]
    pub fn note_appended(&mut self, offset: u64) {
        self.appended = offset;
        self.update_is_behind();
    }

    /// Whether a reply written now may leave at once.
    #[inline]
    pub fn is_up_to_date(&self) -> bool {
        !self.is_behind
    }

    /// Offset behind the last change for the file.
    pub fn appended(&self) -> u64 {
        self.appended
    }

    /// Offset of what a reply written now may depend on. What cannot be written at present is among it only if that was
    /// met in the present turn, or if the client has asked for what was changed.
    pub fn required_offset(&self, sees_unflushed: bool) -> u64 {
        match &self.failure {
            Some(failure) if !failure.is_fresh && !sees_unflushed => self.written,
            _ => self.appended,
        }
    }

    /// Offset up to which the file has the changes that replies reveal: those may leave. Without a log file nothing is
    /// promised.
    pub fn acked_offset(&self) -> u64 {
        match self.settings.policy {
            _ if self.log.is_none() => u64::MAX,
            AppendFsync::Always if !self.is_suspended => self.synced,
            _ => self.written,
        }
    }

    #[inline]
    pub(crate) fn update_is_behind(&mut self) {
        self.is_behind = self.acked_offset() < self.appended;
    }

    /// Why writes are refused at present, if they are: in the system's words.
    pub fn denial(&self) -> Option<&str> {
        let failure = self.failure.as_ref().map(|failure| &failure.reason);
        Some(failure.or(self.sync_failure.as_ref())?)
    }

    /// Whether it has changed, since this was last asked, that writes are refused.
    pub fn take_denial_change(&mut self) -> bool {
        std::mem::take(&mut self.has_denial_changed)
    }

    /// Whether the log of changes has something for the file.
    #[inline]
    pub fn has_unwritten(&self) -> bool {
        self.written != self.appended
    }

    /// Writes what the log of changes has for the file.
    pub fn write(&mut self, changes: &mut ChangeLog, now_us: u64) {
        let (Some(log), Some(reader)) = (&mut self.log, &self.reader) else {
            return;
        };
        if self.written == self.appended {
            return;
        }
        if let Some(failure) = &mut self.failure {
            failure.is_fresh = false;
        }
        if matches!(&self.failure, Some(failure) if now_us < failure.retry_due_us) {
            return;
        }
        if self.write_delay_us > 0 {
            std::thread::sleep(Duration::from_micros(self.write_delay_us));
        }
        let appended = match changes.unread_piece(reader) {
            Some(piece) => log.append(std::iter::once(piece)),
            None => log.append(changes.unread(reader)),
        };
        match appended {
            Ok(()) => {
                changes.advance_to_end(reader);
                self.written = self.appended;
                if self.failure.take().is_some() {
                    self.has_denial_changed = true;
                    ::log::warn!("AOF write error looks solved. The server can write again.");
                }
            }
            Err(error) => self.note_failure(&error, now_us),
        }
        self.update_is_behind();
    }

    #[cold]
    pub(crate) fn note_failure(&mut self, error: &io::Error, now_us: u64) {
        let reason = system_text(error);
        let is_fresh = self.failure.is_none();
        let log_due_us = match &self.failure {
            Some(failure) if now_us < failure.log_due_us => failure.log_due_us,
            _ => {
                ::log::warn!("Error writing to the AOF file: {reason}");
                now_us + FAILURE_LOG_PERIOD_US
            }
        };
        self.has_denial_changed |= self.failure.is_none();
        self.failure = Some(Failure { reason, is_fresh, retry_due_us: now_us + RETRY_PERIOD_US, log_due_us });
    }

    /// Looks after syncs: takes in what threads have done, and begins the next sync if it is due. `held` replies wait
    /// for one.
    pub fn tend(&mut self, now_us: u64, held: usize) {
        self.collect(now_us, held);
        if self.log.is_none() || self.written == self.synced || self.is_suspended {
            return;
        }
        match self.settings.policy {
            AppendFsync::No if self.sync_failure.is_none() => {}
            AppendFsync::No | AppendFsync::EverySec if now_us < self.sync_due_us => {}
            AppendFsync::No | AppendFsync::EverySec if self.is_syncing() => {
                self.stats.delayed_syncs += 1;
                self.sync_due_us = now_us + SYNC_PERIOD_US;
            }
            AppendFsync::No | AppendFsync::EverySec => {
                self.sync_due_us = now_us + SYNC_PERIOD_US;
                self.begin_sync(now_us);
            }
            AppendFsync::Always => {
                let all_are_back = held >= self.released;
                if !self.is_syncing() && (all_are_back || now_us >= self.sync_due_us) {
                    self.begin_sync(now_us);
                }
            }
        }
    }

    /// When the next sync is to begin though nothing happens, on the monotonic clock.
    pub fn due_us(&self) -> Option<u64> {
        let is_wanted = self.settings.policy != AppendFsync::No || self.sync_failure.is_some();
        let waits =
            self.log.is_some() && is_wanted && !self.is_syncing() && !self.is_suspended && self.written > self.synced;
        waits.then_some(self.sync_due_us)
    }

    pub(crate) fn begin_sync(&mut self, now_us: u64) {
        let Some(log) = &self.log else {
            return;
        };
        if self.syncer.is_none() {
            match Worker::start(&self.disk, "aof sync", self.wake.clone()) {
                Ok(worker) => self.syncer = Some(worker),
                Err(error) => return ::log::warn!("Can't start a thread: {error}"),
            }
        }
        let file = log.file();
        let previous = self.previous.as_ref();
        let previous = previous.map(|previous| previous.file.clone());
        self.syncs_begun += 1;
        if let Some(worker) = &self.syncer {
            let sync = move || {
                previous.map_or(Ok(()), |previous| previous.sync())?;
                file.sync()
            };
            worker.submit(self.syncs_begun, Box::new(sync));
        }
        self.syncs.push_back(Sync {
            number: self.syncs_begun,
            log_number: self.log_number,
            offset: self.written,
            started_us: now_us,
        });
    }

    /// How long the last sync took that replies waited for, in µs; once.
    pub fn take_awaited_sync_us(&mut self) -> Option<u64> {
        self.awaited_sync_us.take()
    }

    /// Takes in what threads have done.
    pub(crate) fn collect(&mut self, now_us: u64, held: usize) {
        while let Some((number, outcome)) = self.syncer.as_ref().and_then(Worker::next_outcome) {
            let is_it = self.syncs.front().map(|sync| sync.number) == Some(number);
            if is_it
                && let Some(sync) = self.syncs.pop_front()
                && sync.log_number == self.log_number
            {
                self.sync_done(&sync, outcome, now_us);
                self.released = held;
            }
        }
    }

    pub(crate) fn sync_done(&mut self, sync: &Sync, outcome: io::Result<()>, now_us: u64) {
        self.sync_us = now_us.saturating_sub(sync.started_us);
        if self.settings.policy == AppendFsync::Always {
            self.sync_due_us = now_us + self.sync_us / GATHERING_PART;
            self.awaited_sync_us = Some(self.sync_us);
        }
        match outcome {
            Ok(()) => {
                self.synced = self.synced.max(sync.offset);
                self.previous.take_if(|previous| previous.end <= sync.offset);
                if self.sync_failure.take().is_some() {
                    self.has_denial_changed = true;
                    ::log::warn!("AOF sync error looks solved. The server can write again.");
                }
            }
            Err(error) => self.sync_failed(&error),
        }
        self.update_is_behind();
    }

    #[cold]
    pub(crate) fn sync_failed(&mut self, error: &io::Error) {
        let reason = system_text(error);
        let is_strict = self.settings.policy == AppendFsync::Always;
        if is_strict && self.state() == State::Starting {
            // Nothing that was appended so far has been promised to be there after a crash.
            self.start_failure = Some(reason);
            return;
        }
        if is_strict {
            // The system may have dropped what it could not write: the contents of the file are unknown.
            ::log::warn!(
                "Can't persist AOF for fsync error when the AOF fsync policy is 'always': {reason}. Exiting..."
            );
            return self.disk.files().end_process();
        }
        ::log::warn!("Fail to fsync the AOF file: {reason}");
        self.has_denial_changed = true;
        self.sync_failure = Some(reason);
    }

    /// Writes what the log of changes has for the file and forces it to the disk, waiting for both.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn finish(&mut self, changes: &mut ChangeLog) -> io::Result<()> {
        let (Some(log), Some(reader)) = (&mut self.log, &self.reader) else {
            return Ok(());
        };
        if let Some(previous) = &self.previous {
            previous.file.sync()?;
            self.previous = None;
        }
        log.append(changes.unread(reader))?;
        changes.advance_to_end(reader);
        self.written = self.appended;
        log.file().sync()?;
        self.synced = self.written;
        self.update_is_behind();
        Ok(())
    }

    /// Bytes of all parts, for INFO and for rewrites.
    pub fn size_bytes(&self) -> u64 {
        self.other_bytes + self.log.as_ref().map_or(0, LogFile::length)
    }

    /// Bytes of all parts after the last rewrite, or at the start.
    pub fn base_bytes(&self) -> u64 {
        self.base_bytes
    }

    /// Bytes of the log of changes that are not written.
    pub fn buffered_bytes(&self) -> usize {
        self.reader.as_ref().map_or(0, |_| (self.appended - self.written) as usize)
    }

    /// Whether a thread is busy with a sync of the present log.
    pub fn is_syncing(&self) -> bool {
        let last = self.syncs.back();
        last.is_some_and(|sync| sync.log_number == self.log_number)
    }

    /// Offset up to which all is on the disk, and whether what lies there is all: while the first base is being written
    /// it is not.
    pub fn on_disk(&self) -> (u64, bool) {
        (self.synced, self.state() == State::On)
    }
}
