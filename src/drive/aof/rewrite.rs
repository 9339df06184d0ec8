//! Writing the append-only file anew: a base of the data as they are at one instant takes the place of all that was
//! appended before.
//!
//! `machine` decides what comes next, and says what every state means; here its actions are carried out, and it is told
//! what has happened. `switching` turns the file on and off, `storage::save` writes the base, a thread carries out the
//! `orders`.
//!
//! A crash at any moment finds a list of files that hold everything. Never waits for the disk, but for the removal
//! of history that a user has asked for.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;

use crate::config::system_reason;
use crate::drive::save;
use crate::engine::propagation;
use crate::engine::state::ServerState;
use crate::storage::aof::BaseFormat;
use crate::storage::aof::CommandDump;
use crate::storage::file::writer::{FileWriter, WriterOptions};

use crate::storage::aof::machine::{Action, Event, State};
use crate::storage::aof::rewrite_stats::RewriteStart;
use crate::storage::save::{FileSave, FileSink, SaveJob, SaveSource, SaveStep};
use crate::storage::snapshot::{Origin, Snapshot};

/// A rewrite could not even be begun; the log tells why.
pub(crate) struct RewriteFailed;

/// Tells the machine what has happened, and does what it says.
pub(crate) fn drive_rewrite(state: &mut ServerState, event: Event) {
    let mut events = VecDeque::from([event]);
    while let Some(event) = events.pop_front() {
        let aof = &mut state.aof;
        aof.machine.keeps_history = state.config.aof_disable_auto_gc;
        let actions = aof.machine.on(event, &aof.settings.places);
        let given_up = aof.machine.given_up();
        aof.given_up.store(given_up, Ordering::SeqCst);
        for action in actions {
            events.extend(carry_out(state, action));
        }
    }
    let machine = &state.aof.machine;
    if machine.state() == State::Off && !machine.is_rewriting() && !machine.is_busy() {
        state.aof.leave_folder();
    }
}

fn carry_out(state: &mut ServerState, action: Action) -> Option<Event> {
    match action {
        Action::Submit(order) => return state.aof.submit(order, state.clock.monotonic_us()),
        Action::Switch { log, base, format } => {
            let switched = begin_base(state, log, &base, format);
            return Some(match switched {
                Ok(()) => Event::Switched,
                Err(error) => Event::Failed(system_reason(&error)),
            });
        }
        Action::DropBase => drop_base(state),
        Action::DropLog => drop_first_log(state),
        Action::Remove(names) => state.aof.remove_later(&names),
        Action::NoteFailure(reason) => note_rewrite_failed(state, &reason),
        Action::NoteSuccess => note_rewritten(state),
        Action::NoteHistoryKept(reason) => {
            log::warn!("Removing history files: {reason}");
        }
    }
    None
}

/// Everything is appended to the next log from now on, if there is to be one, and the keyspace is held on to as it is
/// now.
fn begin_base(state: &mut ServerState, log: Option<String>, base: &str, format: BaseFormat) -> io::Result<()> {
    let path = state.aof.settings.places.part(base);
    let options = WriterOptions {
        syncs_in_pieces: state.config.aof_rewrite_incremental_fsync,
        is_alone: true,
        ..WriterOptions::default()
    };
    let writer = FileWriter::start(&state.disk, &path, options, state.wake.clone())?;
    if let Some(name) = log {
        let now_us = state.clock.monotonic_us();
        state.aof.switch_log(&mut state.keyspace.changes.propagation.log, &name, now_us)?;
        // What a replica has applied so far is on the disk once the base is, whatever becomes of the log.
        state.note_appended();
        // The base is pinned here, and the history of what follows begins here.
        propagation::mark_history(state, true);
    }
    let job = SaveJob::new(rewrite_source(state, format), state.now_ms());
    state.aof.base = Some(Box::new(FileSave { job, sink: FileSink::keeping_name(writer) }));
    state.aof.has_begun = true;
    Ok(())
}

/// The base is complete or not wanted: its version is released in steps.
fn drop_base(state: &mut ServerState) {
    if let Some(base) = state.aof.base.take() {
        state.saving.abandon(base.job);
    }
}

/// Wants the file written anew, now or after the save that is going on.
pub fn request_rewrite(state: &mut ServerState) -> RewriteStart {
    if state.aof.is_rewriting() {
        return RewriteStart::InProgress;
    }
    if state.saving.is_active() || state.is_amid_unit() || state.keyspace.hides_slots() {
        state.aof.is_scheduled = true;
        state.aof.rewrites.failures_in_a_row = 0;
        state.aof.rewrites.retry_ms = 0;
        return RewriteStart::Scheduled;
    }
    match begin_rewrite(state) {
        Ok(()) => RewriteStart::Started,
        Err(RewriteFailed) => RewriteStart::Failed,
    }
}

/// Begins to write the file anew. O(databases).
///
/// Errors: the folder cannot be used; the reason is in the log.
pub(crate) fn begin_rewrite(state: &mut ServerState) -> Result<(), RewriteFailed> {
    state.aof.is_scheduled = false;
    state.aof.rewrite_began_ms = state.now_ms();
    if let Err(error) = state.aof.enter_folder() {
        note_rewrite_failed(state, error.text());
        return Err(RewriteFailed);
    }
    let format = match state.config.aof_use_rdb_preamble {
        true => BaseFormat::Snapshot,
        false => BaseFormat::Commands,
    };
    state.aof.rewrites.rewrites += 1;
    log::info!("Background append only file rewriting started by pid {}", state.machine.process_id());
    drive_rewrite(state, Event::Begin(format));
    Ok(())
}

/// Takes in what the AOF worker has done.
#[inline]
pub fn collect_work(state: &mut ServerState) {
    if let Some(reason) = state.aof.start_failure.take() {
        drive_rewrite(state, Event::Failed(reason));
    }
    state.aof.take_outcomes();
    while let Some((number, _)) = state.aof.outcomes.front() {
        // What a script has done so far is not to be in the base, and all that it does in the file after it.
        let is_amid_unit = state.is_amid_unit() || state.aof.previous.is_some();
        if is_amid_unit && state.aof.machine.begins_file(*number) {
            return;
        }
        let Some((number, outcome)) = state.aof.outcomes.pop_front() else {
            return;
        };
        let outcome = outcome.map_err(|error| system_reason(&error));
        drive_rewrite(state, Event::OrderDone(number, outcome));
    }
}

/// Does a piece of the rewrite: some ten microseconds' worth; says whether it could go on at once. Else it waits for
/// the disk, and the loop is woken when it has done something.
pub fn rewrite_step(state: &mut ServerState) -> bool {
    let pace = save::pace(state);
    let Some(base) = &mut state.aof.base else {
        return false;
    };
    match base.step(pace) {
        SaveStep::More => true,
        SaveStep::Waits => false,
        SaveStep::Complete => {
            state.aof.written_base_bytes = base.job.taken_bytes();
            state.aof.rewrites.last_copied_bytes = base.job.copied_bytes();
            drop_base(state);
            drive_rewrite(state, Event::BaseWritten);
            true
        }
        SaveStep::Failed(failed) => {
            drive_rewrite(state, Event::Failed(system_reason(&failed.error)));
            true
        }
    }
}

/// The new base is listed: what is left of the rewrite is to remove history.
fn note_rewritten(state: &mut ServerState) {
    let now_ms = state.now_ms();
    let aof = &mut state.aof;
    aof.other_bytes = aof.written_base_bytes;
    aof.base_bytes = aof.size_bytes();
    let stats = &mut aof.rewrites;
    stats.last_seconds = Some((now_ms - aof.rewrite_began_ms) / 1000);
    stats.last_failed = false;
    stats.failures_in_a_row = 0;
    log::info!("Background AOF rewrite terminated with success");
    log::info!("Background AOF rewrite finished successfully");
}

fn note_rewrite_failed(state: &mut ServerState, reason: &str) {
    let now_ms = state.now_ms();
    log::warn!("Background AOF rewrite terminated with error: {reason}");
    let began_ms = state.aof.rewrite_began_ms;
    let stats = &mut state.aof.rewrites;
    stats.last_failed = true;
    stats.last_seconds = Some((now_ms - began_ms) / 1000);
    stats.failures_in_a_row += 1;
    stats.note_wait(now_ms);
    if state.aof.state() == State::Starting {
        // The user wants it on.
        state.aof.is_scheduled = true;
    }
}

/// What is history is no longer listed, and removed; where nothing else is going on, before this returns.
pub fn remove_history(state: &mut ServerState) {
    let is_busy = state.aof.machine.is_busy();
    drive_rewrite(state, Event::RemoveHistory);
    if !is_busy && state.aof.machine.is_busy() {
        state.aof.wait_for_outcome();
        collect_work(state);
    }
}

/// Gives a rewrite up; says whether there was one.
pub fn cancel_rewrite(state: &mut ServerState) -> bool {
    let is_rewriting = state.aof.is_rewriting();
    drive_rewrite(state, Event::GiveUp);
    is_rewriting
}

/// Begins a rewrite if one is wanted, or if the file has grown enough; the cron asks several times a second.
pub fn rewrite_if_due(state: &mut ServerState) {
    // A rewritten file could not tell that keys are hidden: the import has to end first.
    let is_importing = state.keyspace.hides_slots();
    let busy = state.saving.is_active() || state.aof.is_rewriting() || state.is_loading() || is_importing;
    if busy || state.now_ms() < state.aof.rewrites.retry_ms {
        return;
    }
    let grown_percent =
        state.aof.grown_percent(state.config.auto_aof_rewrite_percentage, state.config.auto_aof_rewrite_min_size);
    if let Some(percent) = grown_percent {
        log::info!("Starting automatic rewriting of AOF on {percent}% growth");
    }
    if grown_percent.is_some() || state.aof.is_scheduled {
        request_rewrite(state);
    }
}

/// Pins the data as they are now.
pub(crate) fn rewrite_source(state: &ServerState, format: BaseFormat) -> SaveSource {
    match format {
        BaseFormat::Snapshot => {
            let settings = save::snapshot_settings(state, Origin::LogBase);
            Snapshot::pin(&state.keyspace, settings).into()
        }
        BaseFormat::Commands => {
            let time_s = state.config.aof_timestamp_enabled;
            let time_s = time_s.then(|| state.now_ms().div_euclid(1000));
            let is_slow = state.config.rdb_key_save_delay > 0;
            let mut dump = CommandDump::pin(&state.keyspace, time_s, is_slow);
            for (_, library) in state.scripting.functions.iter() {
                dump.library(&library.code);
            }
            dump.into()
        }
    }
}

/// What was appended while the first base was being written is not wanted.
pub(crate) fn drop_first_log(state: &mut ServerState) {
    if state.aof.log.is_some() {
        log::info!("Removing the temp incr aof file in the background");
        state.aof.drop_log(&mut state.keyspace.changes.propagation.log);
        state.unflushed = None;
        state.update_restrictions();
    }
}
