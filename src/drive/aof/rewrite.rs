//! Writing the append-only file anew: a base of the data as they are at one instant takes the place of all that was appended before.
//!
//! ```text
//! begin_rewrite     a thread creates the next file to append to and lists it        the loop goes on appending to the old one
//!   prepared        from now on it is appended to; the keyspace is pinned at that instant
//!   rewrite_step    the base is written in slices, by way of a thread
//!   listed          a thread has put the new base in the list: what came before is history, and is removed
//! ```
//!
//! A crash at any moment finds a list of files that hold everything. To turn appending on is the same, but that nothing is listed
//! before the base is complete.

use std::fs;
use std::io;

use crate::collections::table;
use crate::config::system_reason;
use crate::engine::state::ServerState;
use crate::keyspace;
use crate::storage::aof::{BaseFormat, CommandDump, Manifest};
use crate::storage::file::new_file::StepFailed;
use crate::storage::file::worker::{Task, Worker};
use crate::storage::file::writer::{FileWriter, WriterState};
use crate::storage::snapshot::{Origin, Progress, Snapshot};

use crate::storage::aof::append_only::{AppendOnly, State};
use crate::storage::aof::log_file::LogFile;
use crate::storage::aof::paths;

/// Handed over at a time, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;
/// The loop stops making bytes while so many wait for the disk.
const PENDING_BYTES_MAX: usize = 4 << 20;
/// Records let go of in one step.
const RELEASE_RECORDS: usize = 256;
/// So many failures in a row, and the next attempts wait longer and longer.
const FAILURES_FREE: u32 = 3;
/// Longest such wait, in minutes.
const WAIT_MINUTES_MAX: i64 = 60;

/// Tickets of the tasks of a rewrite.
const PREPARED: u64 = 1;
const LISTED: u64 = 2;
const CLEANED: u64 = 3;

/// What became of the wish for a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewriteStart {
    Started,
    /// It begins once the save that is going on is over.
    Scheduled,
    /// One is going on already.
    InProgress,
    /// No thread could be started.
    Failed,
}

/// Where the bytes of a base come from.
pub(crate) enum Source {
    Snapshot(Box<Snapshot>),
    Commands(Box<CommandDump>),
}

impl Source {
    fn step(&mut self) -> bool {
        match self {
            Source::Snapshot(snapshot) => snapshot.step() == Progress::More,
            Source::Commands(dump) => dump.step(),
        }
    }

    fn buffered_bytes(&self) -> usize {
        match self {
            Source::Snapshot(snapshot) => snapshot.buffered_bytes(),
            Source::Commands(dump) => dump.buffered_bytes(),
        }
    }

    fn take(&mut self, next: Vec<u8>) -> Vec<u8> {
        match self {
            Source::Snapshot(snapshot) => snapshot.take(next),
            Source::Commands(dump) => dump.take(next),
        }
    }

    fn release_step(&mut self) -> bool {
        match self {
            Source::Snapshot(snapshot) => snapshot.release_step(RELEASE_RECORDS),
            Source::Commands(dump) => dump.release_step(RELEASE_RECORDS),
        }
    }
}

/// A rewrite that is going on.
pub(crate) struct Rewrite {
    format: BaseFormat,
    phase: Phase,
    started_ms: i64,
    copied_before: u64,
}

enum Phase {
    /// A thread creates the next file to append to; the list with it in it.
    Preparing(Manifest),
    Writing(Box<Writing>),
    /// A thread stores this list, which has the new base, of so many bytes.
    Listing(Manifest, u64),
    /// A thread stores the list without history.
    Cleaning,
}

struct Writing {
    source: Source,
    writer: FileWriter,
    bytes: u64,
    is_complete: bool,
    /// For tests: nothing is written before this time, in ticks.
    paused_until: u64,
}

/// What INFO shows of rewrites.
#[derive(Clone, Copy, Debug, Default)]
pub struct RewriteStats {
    pub rewrites: u64,
    pub failures_in_a_row: u32,
    pub last_seconds: Option<i64>,
    pub last_failed: bool,
    pub last_copied_bytes: u64,
    /// When the next one may begin by itself, in ms since the epoch.
    retry_ms: i64,
}

fn copied_bytes() -> u64 {
    table::copied_bytes() + keyspace::cow_bytes()
}

impl AppendOnly {
    /// Whether a rewrite is going on.
    pub fn is_rewriting(&self) -> bool {
        self.rewrite.is_some()
    }

    /// For how long it has, in seconds.
    pub fn rewrite_seconds(&self, now_ms: i64) -> Option<i64> {
        let rewrite = self.rewrite.as_ref()?;
        Some((now_ms - rewrite.started_ms) / 1000)
    }

    /// Whether something was begun since the last time that a job must go on with.
    pub fn take_beginning(&mut self) -> bool {
        std::mem::take(&mut self.has_begun)
    }

    /// Whether there is anything to do for a rewrite, now or once the disk is ready.
    pub fn has_rewriting_to_do(&self) -> bool {
        self.rewrite.is_some() || !self.abandoned.is_empty()
    }

    /// Hands a task to the thread for chores.
    fn submit_work(&mut self, ticket: u64, task: Task) -> io::Result<()> {
        if self.worker.is_none() {
            self.worker = Some(Worker::start("aof chores", self.wake.clone())?);
        }
        if let Some(worker) = &self.worker {
            worker.submit(ticket, task);
        }
        Ok(())
    }

    /// Where the next file to append to is created.
    fn next_log_path(&self, manifest: &Manifest) -> Option<std::path::PathBuf> {
        let places = &self.settings.places;
        match self.state {
            State::Off => None,
            State::Starting => Some(places.temporary_increment()),
            State::On => Some(places.part(&manifest.increments.last()?.name)),
        }
    }
}

impl ServerState {
    /// Wants the file written anew, now or after the save that is going on.
    pub fn request_rewrite(&mut self) -> RewriteStart {
        if self.aof.rewrite.is_some() {
            return RewriteStart::InProgress;
        }
        if self.saving.is_active() || self.nesting > 0 {
            self.aof.is_scheduled = true;
            self.aof.rewrites.failures_in_a_row = 0;
            self.aof.rewrites.retry_ms = 0;
            return RewriteStart::Scheduled;
        }
        match self.begin_rewrite() {
            Ok(()) => RewriteStart::Started,
            Err(error) => {
                log::warn!("Can't rewrite append only file in background: {error}");
                RewriteStart::Failed
            }
        }
    }

    /// Begins to write the file anew. O(databases).
    fn begin_rewrite(&mut self) -> io::Result<()> {
        self.aof.is_scheduled = false;
        self.aof.settings.places.create_folder()?;
        let mut manifest = self.aof.manifest.clone();
        if self.aof.state == State::On {
            manifest.add_increment(&self.aof.settings.places.file_name);
        }
        let format = match self.config.aof_use_rdb_preamble {
            true => BaseFormat::Snapshot,
            false => BaseFormat::Commands,
        };
        let (places, path) = (self.aof.settings.places.clone(), self.aof.next_log_path(&manifest));
        let text = (self.aof.state == State::On).then(|| manifest.text());
        self.aof.submit_work(
            PREPARED,
            Box::new(move || {
                if let Some(path) = path {
                    LogFile::open(&path, true)?;
                }
                text.map_or(Ok(()), |text| places.store(&text))
            }),
        )?;
        self.aof.rewrite = Some(Rewrite {
            format,
            phase: Phase::Preparing(manifest),
            started_ms: self.now_ms(),
            copied_before: copied_bytes(),
        });
        self.aof.rewrites.rewrites += 1;
        log::info!("Background append only file rewriting started by pid {}", std::process::id());
        Ok(())
    }

    /// Takes in what the thread for chores has done.
    pub fn collect_work(&mut self) {
        if self.nesting > 0 {
            // What a script has done so far is not to be in the base, and all that it does in the file after it.
            return;
        }
        while let Some((ticket, outcome)) = self.aof.worker.as_ref().and_then(Worker::next_outcome) {
            let result = match (ticket, outcome) {
                (PREPARED, Ok(())) => self.switch_files(),
                (LISTED, Ok(())) => {
                    self.rewrite_listed();
                    Ok(())
                }
                (CLEANED, outcome) => {
                    self.end_cleaning();
                    if let Err(error) = outcome {
                        log::warn!("Removing history files: {}", system_reason(&error));
                    }
                    Ok(())
                }
                (_, outcome) => outcome,
            };
            if let Err(error) = result {
                self.rewrite_failed(&system_reason(&error));
            }
        }
    }

    /// The next file is there: everything is appended to it from now on, and the keyspace is held on to as it is now.
    fn switch_files(&mut self) -> io::Result<()> {
        let Some(mut rewrite) = self.aof.rewrite.take() else {
            return Ok(());
        };
        let Phase::Preparing(manifest) = rewrite.phase else {
            self.aof.rewrite = Some(rewrite);
            return Ok(());
        };
        let now_us = self.clock.monotonic_us();
        self.aof.switch_log(&manifest, now_us)?;
        self.aof.manifest = manifest;
        let places = &self.aof.settings.places;
        let in_pieces = self.config.aof_rewrite_incremental_fsync;
        let writer = FileWriter::start(&places.temporary_base(), in_pieces, self.wake.clone())?;
        let source = self.rewrite_source(rewrite.format);
        rewrite.phase =
            Phase::Writing(Box::new(Writing { source, writer, bytes: 0, is_complete: false, paused_until: 0 }));
        self.aof.rewrite = Some(rewrite);
        self.aof.has_begun = true;
        let is_on = self.aof.state != State::Off;
        self.keyspace.changes.propagation.set_on(is_on);
        Ok(())
    }

    fn rewrite_source(&self, format: BaseFormat) -> Source {
        match format {
            BaseFormat::Snapshot => {
                let settings = self.snapshot_settings(Origin::LogBase);
                Source::Snapshot(Box::new(Snapshot::pin(&self.keyspace, settings)))
            }
            BaseFormat::Commands => {
                let time_s = self.config.aof_timestamp_enabled;
                let time_s = time_s.then(|| self.now_ms().div_euclid(1000));
                let is_slow = self.config.rdb_key_save_delay > 0;
                let mut dump = CommandDump::pin(&self.keyspace, time_s, is_slow);
                for (_, library) in self.scripting.functions.iter() {
                    dump.library(&library.code);
                }
                Source::Commands(Box::new(dump))
            }
        }
    }

    /// Does a piece of the rewrite: some ten microseconds' worth; says whether it could go on at once. Else it waits for the disk,
    /// and the loop is woken when it has done something.
    pub fn rewrite_step(&mut self) -> bool {
        if let Some(source) = self.aof.abandoned.last_mut() {
            if !source.release_step() {
                self.aof.abandoned.pop();
            }
            return true;
        }
        let delay_us = u64::try_from(self.config.rdb_key_save_delay).unwrap_or(0);
        let now = self.clock.ticks();
        let pause = self.clock.nanos_as_ticks(delay_us.saturating_mul(1000));
        let places = self.aof.settings.places.clone();
        let mut next = self.aof.manifest.clone();
        let Some(Rewrite { phase: Phase::Writing(writing), format, .. }) = &mut self.aof.rewrite else {
            return false;
        };
        let appends = self.aof.state == State::On;
        next.replace_base(&places.file_name, *format, appends);
        match writing.writer.state() {
            WriterState::Writing => {}
            WriterState::Published => {
                let bytes = writing.bytes;
                self.list_base(next, bytes);
                return true;
            }
            WriterState::Failed(StepFailed { error, .. }) => {
                self.rewrite_failed(&system_reason(&error));
                return true;
            }
        }
        if writing.is_complete || writing.writer.pending_bytes() > PENDING_BYTES_MAX {
            return false;
        }
        if delay_us > 0 {
            if now < writing.paused_until {
                return false;
            }
            writing.paused_until = now + pause;
        }
        if writing.step() {
            // INVARIANT: a base was just put in its place.
            let base = next.base.as_ref().map_or("", |base| &base.name);
            writing.writer.publish(&places.part(base));
        }
        true
    }

    /// The base has its name: it is to be listed.
    fn list_base(&mut self, mut manifest: Manifest, bytes: u64) {
        let places = self.aof.settings.places.clone();
        let renamed = match self.aof.state {
            State::Starting => {
                let name = manifest.add_increment(&places.file_name).name.clone();
                Some((places.temporary_increment(), places.part(&name)))
            }
            State::On | State::Off => None,
        };
        let text = manifest.text();
        let submitted = self.aof.submit_work(
            LISTED,
            Box::new(move || {
                if let Some((from, to)) = renamed {
                    fs::rename(from, to)?;
                }
                places.store(&text)
            }),
        );
        if let Some(rewrite) = &mut self.aof.rewrite {
            let before = std::mem::replace(&mut rewrite.phase, Phase::Listing(manifest, bytes));
            self.aof.abandon(before);
        }
        if let Err(error) = submitted {
            self.rewrite_failed(&system_reason(&error));
        }
    }

    /// The new base is listed: the rewrite is over.
    fn rewrite_listed(&mut self) {
        let now_ms = self.now_ms();
        let Some(rewrite) = self.aof.rewrite.take() else {
            return;
        };
        let Phase::Listing(manifest, bytes) = rewrite.phase else {
            return;
        };
        let rewrite = Rewrite { phase: Phase::Cleaning, ..rewrite };
        let aof = &mut self.aof;
        aof.manifest = manifest;
        if aof.state == State::Starting {
            aof.state = State::On;
        }
        aof.other_bytes = bytes;
        aof.base_bytes = aof.size_bytes();
        let stats = &mut aof.rewrites;
        stats.last_seconds = Some((now_ms - rewrite.started_ms) / 1000);
        stats.last_copied_bytes = copied_bytes() - rewrite.copied_before;
        stats.last_failed = false;
        stats.failures_in_a_row = 0;
        aof.note_settled();
        log::info!("Background AOF rewrite terminated with success");
        log::info!("Background AOF rewrite finished successfully");
        if !self.config.aof_disable_auto_gc && self.remove_history() {
            self.aof.rewrite = Some(rewrite);
        }
    }

    fn end_cleaning(&mut self) {
        let cleans = |rewrite: &mut Rewrite| matches!(rewrite.phase, Phase::Cleaning);
        self.aof.rewrite.take_if(cleans);
    }

    /// No longer lists what is not needed any more, and removes it; says whether there is anything.
    fn remove_history(&mut self) -> bool {
        let places = self.aof.settings.places.clone();
        let history = std::mem::take(&mut self.aof.manifest.history);
        if history.is_empty() {
            return false;
        }
        for part in &history {
            log::info!("Removing the history file {} in the background", part.name);
        }
        let paths: Vec<_> = history.iter().map(|part| places.part(&part.name)).collect();
        let text = self.aof.manifest.text();
        let submitted = self.aof.submit_work(
            CLEANED,
            Box::new(move || {
                places.store(&text)?;
                paths::remove(&paths);
                Ok(())
            }),
        );
        if let Err(error) = &submitted {
            log::warn!("Can't remove history files: {}", system_reason(error));
        }
        submitted.is_ok()
    }

    /// The same for who waits until it is no longer listed.
    pub fn remove_history_now(&mut self) {
        let history = std::mem::take(&mut self.aof.manifest.history);
        let places = &self.aof.settings.places;
        let stored = places.store(&self.aof.manifest.text());
        let paths: Vec<_> = history.iter().map(|part| places.part(&part.name)).collect();
        let removed = stored.and_then(|()| {
            let remove = move || {
                paths::remove(&paths);
                Ok(())
            };
            self.aof.submit_work(CLEANED, Box::new(remove))
        });
        if let Err(error) = removed {
            log::warn!("Can't remove history files: {}", system_reason(&error));
        }
    }

    fn rewrite_failed(&mut self, reason: &str) {
        let now_ms = self.now_ms();
        let Some(rewrite) = self.aof.rewrite.take() else {
            return;
        };
        self.aof.abandon(rewrite.phase);
        log::warn!("Background AOF rewrite terminated with error: {reason}");
        let stats = &mut self.aof.rewrites;
        stats.last_failed = true;
        stats.last_seconds = Some((now_ms - rewrite.started_ms) / 1000);
        stats.failures_in_a_row += 1;
        stats.note_wait(now_ms);
        if self.aof.state == State::Starting {
            self.aof.forget_temporary_log();
            // Whoever turned it on wants it on.
            self.aof.is_scheduled = true;
        }
    }

    /// Gives a rewrite up; says whether there was one.
    pub fn cancel_rewrite(&mut self) -> bool {
        let Some(rewrite) = self.aof.rewrite.take() else {
            return false;
        };
        self.aof.abandon(rewrite.phase);
        self.aof.has_begun = true;
        true
    }

    /// Begins a rewrite if one is wanted, or if the file has grown enough; the cron asks several times a second.
    pub fn rewrite_if_due(&mut self) {
        let busy = self.saving.is_active() || self.aof.rewrite.is_some() || self.is_loading();
        if busy || self.now_ms() < self.aof.rewrites.retry_ms {
            return;
        }
        let grown_percent =
            self.aof.grown_percent(self.config.auto_aof_rewrite_percentage, self.config.auto_aof_rewrite_min_size);
        if let Some(percent) = grown_percent {
            log::info!("Starting automatic rewriting of AOF on {percent}% growth");
        }
        if grown_percent.is_some() || self.aof.is_scheduled {
            self.request_rewrite();
        }
    }

    /// CONFIG SET appendonly yes. What is appended from the moment on at which the data are held on to.
    ///
    /// # Errors
    ///
    /// The system's.
    pub fn turn_on_append_only(&mut self) -> io::Result<()> {
        if self.aof.state != State::Off {
            return Ok(());
        }
        if self.saving.is_active() {
            log::warn!(
                "AOF was enabled but there is already another background operation. An AOF background was scheduled to start \
                 when possible."
            );
        }
        self.cancel_rewrite();
        self.aof.manifest = self.aof.settings.places.list().unwrap_or_default();
        self.aof.state = State::Starting;
        self.aof.rewrites.retry_ms = 0;
        match self.saving.is_active() {
            true => self.aof.is_scheduled = true,
            false => {
                let begun = self.begin_rewrite();
                if begun.is_err() {
                    self.aof.state = State::Off;
                }
                begun?;
            }
        }
        Ok(())
    }

    /// CONFIG SET appendonly no: what was appended is brought to the disk, and nothing more is appended.
    pub fn turn_off_append_only(&mut self) {
        if self.aof.state == State::Off {
            return;
        }
        if self.cancel_rewrite() {
            // As Redis says it: whoever reads logs knows it so.
            log::info!("Killing AOF child");
        }
        if let Err(error) = self.aof.finish() {
            // Whoever turns it off may do so because of that.
            log::warn!("Fail to fsync the AOF file: {}", system_reason(&error));
        }
        self.keyspace.changes.propagation.set_on(false);
        let aof = &mut self.aof;
        aof.is_scheduled = false;
        if aof.state == State::Starting {
            aof.forget_temporary_log();
        }
        aof.close();
        self.update_restrictions();
    }
}

impl RewriteStats {
    /// After several failures in a row the next attempt waits: a minute, then twice as long each time.
    fn note_wait(&mut self, now_ms: i64) {
        if self.failures_in_a_row < FAILURES_FREE {
            self.retry_ms = now_ms;
            return;
        }
        let doubled = self.failures_in_a_row - FAILURES_FREE;
        let minutes = 1i64.checked_shl(doubled).unwrap_or(WAIT_MINUTES_MAX).clamp(1, WAIT_MINUTES_MAX);
        self.retry_ms = now_ms + minutes * 60_000;
        log::warn!(
            "Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {minutes} minutes"
        );
    }
}

impl Writing {
    /// Writes a piece; says whether the base is complete.
    fn step(&mut self) -> bool {
        let more = self.source.step();
        if self.source.buffered_bytes() >= CHUNK_BYTES || !more {
            let chunk = self.source.take(self.writer.used_buffer());
            self.bytes += chunk.len() as u64;
            self.writer.write(chunk);
        }
        self.is_complete = !more;
        !more
    }
}

impl AppendOnly {
    /// Appends to the next file from now on. What is gathered goes to the one before, which is forced to the disk as well.
    fn switch_log(&mut self, manifest: &Manifest, now_us: u64) -> io::Result<()> {
        let Some(path) = self.next_log_path(manifest) else {
            return Ok(());
        };
        self.write(now_us);
        if self.log.is_some() && !self.feeder.is_empty() {
            return Err(io::Error::other("what was appended cannot be written"));
        }
        let next = LogFile::open(&path, false)?;
        if self.written > self.synced {
            self.begin_sync(now_us);
        }
        if let Some(before) = self.log.replace(next) {
            self.other_bytes += before.length();
        }
        self.feeder.begin_file();
        Ok(())
    }

    /// Lets go of what a rewrite holds on to, in slices.
    fn abandon(&mut self, phase: Phase) {
        if let Phase::Writing(writing) = phase {
            self.abandoned.push(writing.source);
            self.has_begun = true;
        }
    }

    fn forget_temporary_log(&mut self) {
        let path = self.settings.places.temporary_increment();
        log::info!("Removing the temp incr aof file {} in the background", path.display());
        self.log = None;
        self.feeder.take();
        self.synced = self.written;
        let _ = self.submit_work(
            CLEANED,
            Box::new(move || match fs::remove_file(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            }),
        );
    }

    /// Nothing is appended any more.
    fn close(&mut self) {
        self.log = None;
        self.state = State::Off;
        self.feeder.take();
        self.failure = None;
        self.unflushed = None;
        self.sync_failure = None;
        self.synced = self.written;
        self.is_unsettled = false;
    }

    /// By how many percent the file has grown since the last rewrite, if that is reason for another one.
    fn grown_percent(&self, percentage: u32, least_bytes: u64) -> Option<u64> {
        let (size, base) = (self.size_bytes(), self.base_bytes.max(1));
        let percentage = Some(u64::from(percentage)).filter(|one| *one > 0)?;
        let percent = (size.saturating_mul(100) / base).checked_sub(100)?;
        let is_large = size > least_bytes;
        (self.state == State::On && is_large && percent >= percentage).then_some(percent)
    }
}
