//! Writing the append-only file anew: a base of the data as they are at one instant takes the place of all that was appended before.
//!
//! `machine` decides what comes next, and says what every state means; here its actions are carried out, and it is told what has
//! happened. `switching` turns the file on and off, `base` is the base that is being written, `chores` is what a thread does.
//!
//! A crash at any moment finds a list of files that hold everything. Never waits for the disk, but for the removal
//! of history that a user has asked for.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;

use crate::collections::table;
use crate::config::system_reason;
use crate::engine::state::ServerState;
use crate::keyspace;
use crate::storage::aof::BaseFormat;
use crate::storage::aof::CommandDump;
use crate::storage::file::writer::{FileWriter, WriterOptions};

use crate::storage::aof::base::{Source, Writing, Written};
use crate::storage::aof::machine::{Action, Event, State};
use crate::storage::aof::rewrite_stats::RewriteStart;
use crate::storage::snapshot::{Origin, Snapshot};

/// A rewrite could not even be begun; the log tells why.
pub(crate) struct RewriteFailed;

fn copied_bytes() -> u64 {
    table::copied_bytes() + keyspace::cow_bytes()
}

impl ServerState {
    /// Tells the machine what has happened, and does what it says.
    pub(crate) fn drive_rewrite(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let aof = &mut self.aof;
            aof.machine.keeps_history = self.config.aof_disable_auto_gc;
            let actions = aof.machine.on(event, &aof.settings.places);
            let given_up = aof.machine.given_up();
            aof.given_up.store(given_up, Ordering::SeqCst);
            for action in actions {
                events.extend(self.carry_out(action));
            }
        }
        let machine = &self.aof.machine;
        if machine.state() == State::Off && !machine.is_rewriting() && !machine.is_busy() {
            self.aof.leave_folder();
        }
        self.follow_log();
    }

    /// Commands are gathered while there is a log, and at no other time.
    pub(crate) fn follow_log(&mut self) {
        let has_log = self.aof.log.is_some();
        if self.keyspace.changes.propagation.is_on() != has_log {
            self.keyspace.changes.propagation.set_on(has_log);
        }
        self.aof.note_settled();
    }

    fn carry_out(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Submit(order) => return self.aof.submit(order, self.clock.monotonic_us()),
            Action::Switch { log, base, format } => {
                let switched = self.begin_base(log, &base, format);
                return Some(match switched {
                    Ok(()) => Event::Switched,
                    Err(error) => Event::Failed(system_reason(&error)),
                });
            }
            Action::DropBase => self.aof.drop_base(),
            Action::DropLog => self.drop_first_log(),
            Action::Remove(names) => self.aof.remove_later(&names),
            Action::NoteFailure(reason) => self.note_rewrite_failed(&reason),
            Action::NoteSuccess => self.note_rewritten(),
            Action::NoteHistoryKept(reason) => {
                log::warn!("Removing history files: {reason}");
            }
        }
        None
    }

    /// Everything is appended to the next log from now on, if there is to be one, and the keyspace is held on to as it is now.
    fn begin_base(&mut self, log: Option<String>, base: &str, format: BaseFormat) -> io::Result<()> {
        let path = self.aof.settings.places.part(base);
        let options = WriterOptions { syncs_in_pieces: self.config.aof_rewrite_incremental_fsync, is_alone: true };
        let writer = FileWriter::start(&self.disk, &path, options, self.wake.clone())?;
        if let Some(name) = log {
            let now_us = self.clock.monotonic_us();
            self.aof.switch_log(&name, now_us)?;
        }
        let source = self.rewrite_source(format);
        self.aof.writing = Some(Box::new(Writing::new(source, writer)));
        self.aof.has_begun = true;
        Ok(())
    }

    /// Wants the file written anew, now or after the save that is going on.
    pub fn request_rewrite(&mut self) -> RewriteStart {
        if self.aof.is_rewriting() {
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
            Err(RewriteFailed) => RewriteStart::Failed,
        }
    }

    /// Begins to write the file anew. O(databases).
    ///
    /// Errors: the folder cannot be used; the reason is in the log.
    pub(crate) fn begin_rewrite(&mut self) -> Result<(), RewriteFailed> {
        self.aof.is_scheduled = false;
        self.aof.rewrite_began = (self.now_ms(), copied_bytes());
        if let Err(error) = self.aof.enter_folder() {
            self.note_rewrite_failed(error.text());
            return Err(RewriteFailed);
        }
        let format = match self.config.aof_use_rdb_preamble {
            true => BaseFormat::Snapshot,
            false => BaseFormat::Commands,
        };
        self.aof.rewrites.rewrites += 1;
        log::info!("Background append only file rewriting started by pid {}", std::process::id());
        self.drive_rewrite(Event::Begin(format));
        Ok(())
    }

    /// Takes in what the thread for chores has done.
    pub fn collect_work(&mut self) {
        if let Some(reason) = self.aof.start_failure.take() {
            self.drive_rewrite(Event::Failed(reason));
        }
        self.aof.take_outcomes();
        while let Some((number, _)) = self.aof.outcomes.front() {
            // What a script has done so far is not to be in the base, and all that it does in the file after it.
            let is_amid_unit = self.nesting > 0 || self.aof.previous.is_some();
            if is_amid_unit && self.aof.machine.begins_file(*number) {
                return;
            }
            let Some((number, outcome)) = self.aof.outcomes.pop_front() else {
                return;
            };
            let outcome = outcome.map_err(|error| system_reason(&error));
            self.drive_rewrite(Event::OrderDone(number, outcome));
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
        let Some(writing) = &mut self.aof.writing else {
            return false;
        };
        match writing.advance(now, pause) {
            Written::More => true,
            Written::Waits => false,
            Written::Complete => {
                self.aof.written_base_bytes = writing.bytes;
                self.aof.drop_base();
                self.drive_rewrite(Event::BaseWritten);
                true
            }
            Written::Failed(failed) => {
                self.drive_rewrite(Event::Failed(system_reason(&failed.error)));
                true
            }
        }
    }

    /// The new base is listed: what is left of the rewrite is to remove history.
    fn note_rewritten(&mut self) {
        let now_ms = self.now_ms();
        let aof = &mut self.aof;
        aof.other_bytes = aof.written_base_bytes;
        aof.base_bytes = aof.size_bytes();
        let (began_ms, copied_before) = aof.rewrite_began;
        let stats = &mut aof.rewrites;
        stats.last_seconds = Some((now_ms - began_ms) / 1000);
        stats.last_copied_bytes = copied_bytes() - copied_before;
        stats.last_failed = false;
        stats.failures_in_a_row = 0;
        log::info!("Background AOF rewrite terminated with success");
        log::info!("Background AOF rewrite finished successfully");
    }

    fn note_rewrite_failed(&mut self, reason: &str) {
        let now_ms = self.now_ms();
        log::warn!("Background AOF rewrite terminated with error: {reason}");
        let began_ms = self.aof.rewrite_began.0;
        let stats = &mut self.aof.rewrites;
        stats.last_failed = true;
        stats.last_seconds = Some((now_ms - began_ms) / 1000);
        stats.failures_in_a_row += 1;
        stats.note_wait(now_ms);
        if self.aof.state() == State::Starting {
            // Whoever turned it on wants it on.
            self.aof.is_scheduled = true;
        }
    }

    /// What is history is no longer listed, and removed; where nothing else is going on, before this returns.
    pub fn remove_history(&mut self) {
        let is_busy = self.aof.machine.is_busy();
        self.drive_rewrite(Event::RemoveHistory);
        if !is_busy && self.aof.machine.is_busy() {
            self.aof.wait_for_outcome();
            self.collect_work();
        }
    }

    /// Gives a rewrite up; says whether there was one.
    pub fn cancel_rewrite(&mut self) -> bool {
        let is_rewriting = self.aof.is_rewriting();
        self.drive_rewrite(Event::GiveUp);
        is_rewriting
    }

    /// Begins a rewrite if one is wanted, or if the file has grown enough; the cron asks several times a second.
    pub fn rewrite_if_due(&mut self) {
        let busy = self.saving.is_active() || self.aof.is_rewriting() || self.is_loading();
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
}

impl ServerState {
    /// Pins the data as they are now.
    pub(crate) fn rewrite_source(&self, format: BaseFormat) -> Source {
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
}
