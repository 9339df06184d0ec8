//! A primary's data on their way into the keyspace.
//!
//! ```text
//! to a file     take ─► the writer's thread ─► published ─► the old data go ─► loaded as at the start
//! beside        take ─► advance: the loader, into databases of their own ─► they take the place of the old ones
//! ```
//!
//! By way of a file nothing of the old data goes before all of the new ones are there, and their checksum is right.

use crate::config::{ReplicaDisklessLoad, system_reason};
use crate::drive::aof::switching;
use crate::drive::save;
use crate::drive::save::{background, loading};
use crate::engine::loading::LoadingStep;
use crate::engine::replication::{Payload, PayloadBeside, PayloadFile};
use crate::engine::state::ServerState;
use crate::replication::payload::Form;
use crate::replication::payload_check::PayloadCheck;
use crate::scripting::functions::RestorePolicy;
use crate::storage::file::writer::{FileWriter, WriterOptions, WriterState};
use crate::storage::rdb::FormatError;
use crate::storage::snapshot::{Duplicates, LoadStep, Loader};

/// Handed over to the writer's thread at a time, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;
/// While so many bytes wait for the disk, no more are taken from the primary.
const PENDING_MAX_BYTES: usize = 8 << 20;

/// The primary will send all data, in this form.
///
/// # Errors
///
/// There is no room for them.
pub(super) fn expect(state: &mut ServerState, form: &Form) -> Result<(), String> {
    let is_empty = state.keyspace.databases().all(|database| database.is_empty());
    let is_beside = match state.config.repl_diskless_load {
        ReplicaDisklessLoad::Disabled => false,
        ReplicaDisklessLoad::OnEmptyDatabase => is_empty,
        ReplicaDisklessLoad::SwapDatabase => true,
    };
    let (target, total_bytes) = (
        if is_beside { "to parser" } else { "to disk" },
        match form {
            Form::Sized(bytes) => *bytes,
            Form::Marked(_) => 0,
        },
    );
    match form {
        Form::Sized(bytes) => log::info!("MASTER <-> REPLICA sync: receiving {bytes} bytes from master {target}"),
        Form::Marked(_) => {
            log::info!("MASTER <-> REPLICA sync: receiving streamed RDB from master with EOF {target}");
        }
    }
    let payload = match is_beside {
        true => begin_beside(state, total_bytes),
        false => begin_file(state)?,
    };
    if let Some(side) = &mut state.replication.replica {
        side.payload = Some(payload);
    }
    state.update_restrictions();
    Ok(())
}

fn begin_file(state: &mut ServerState) -> Result<Payload, String> {
    let target = save::snapshot_path(state);
    let name = format!("temp-{}.{}.rdb", state.now_ms() / 1000, state.machine.process_id());
    let options = WriterOptions {
        syncs_in_pieces: state.config.rdb_save_incremental_fsync,
        is_alone: false,
        ..WriterOptions::default()
    };
    let writer = FileWriter::start(&state.disk, &target.with_file_name(name), options, state.wake.clone());
    let writer = writer.map_err(|error| {
        format!("Opening the temp file needed for MASTER <-> REPLICA synchronization: {}", system_reason(&error))
    })?;
    Ok(Payload::ToFile(Box::new(PayloadFile {
        writer,
        target,
        check: PayloadCheck::new(state.config.rdb_version_check),
        chunk: Vec::new(),
        is_stalled: false,
        failure: None,
    })))
}

fn begin_beside(state: &mut ServerState, total_bytes: u64) -> Payload {
    let settings = loading::loader_settings(state, Duplicates::Refuse, total_bytes);
    let is_swapping = state.config.repl_diskless_load == ReplicaDisklessLoad::SwapDatabase;
    let side = state.replication.replica.as_ref();
    let position = side.and_then(|side| side.link.payload_position());
    // Old data of the same history are only older: clients may go on with them.
    let serves_old = is_swapping && position.is_some_and(|new| new.id == state.replication.identity.id);
    log::info!("MASTER <-> REPLICA sync: Loading DB in memory");
    Payload::Beside(Box::new(PayloadBeside {
        loader: Loader::new(settings),
        data: state.keyspace.fork_empty(),
        serves_old,
        has_ended: false,
        is_loaded: false,
        paused_until: 0,
        started_ms: state.now_ms(),
        total_bytes,
    }))
}

/// Bytes of the data have come.
pub(super) fn take(payload: &mut Payload, bytes: &[u8]) {
    match payload {
        Payload::Beside(beside) => beside.loader.feed(bytes),
        Payload::FromFile => {}
        Payload::ToFile(file) => {
            if file.failure.is_some() {
                return;
            }
            if let Err(reason) = file.check.note(bytes) {
                file.failure = Some(reason);
                return;
            }
            file.chunk.extend_from_slice(bytes);
            if file.chunk.len() >= CHUNK_BYTES {
                hand_over(file);
            }
        }
    }
}

fn hand_over(file: &mut PayloadFile) {
    let next = file.writer.empty_buffer();
    file.writer.write(std::mem::replace(&mut file.chunk, next));
}

/// The last byte of the data has come.
///
/// # Errors
///
/// They cannot be loaded.
pub(super) fn complete(state: &mut ServerState) -> Result<(), String> {
    let payload = state.replication.replica.as_mut().and_then(|side| side.payload.as_mut());
    match payload {
        Some(Payload::Beside(beside)) => {
            beside.loader.end_input();
            beside.has_ended = true;
        }
        Some(Payload::ToFile(file)) => {
            file.failure.take().map_or_else(|| file.check.verify(), Err)?;
            hand_over(file);
            file.writer.publish(&file.target);
        }
        Some(Payload::FromFile) | None => {}
    }
    Ok(())
}

/// How far the data have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// More of them can be taken.
    TakesMore,
    /// Not now: the disk, or a test, is slow.
    Waits,
    /// The time is over, and there is more to do with what was taken.
    Unfinished,
    /// All are loaded.
    Loaded,
}

/// Looks after data that wait for the disk, or for the time; says whether the link's bytes are to be looked at again.
///
/// # Errors
///
/// The data cannot be kept, or not be loaded.
pub(super) fn tend(state: &mut ServerState) -> Result<bool, String> {
    let now = state.clock.ticks();
    // Data do not change hands in the middle of a script.
    let may_replace = !state.is_amid_unit();
    let payload = state.replication.replica.as_mut().and_then(|side| side.payload.as_mut());
    let file = match payload {
        None | Some(Payload::FromFile) => return Ok(false),
        Some(Payload::Beside(beside)) => {
            let is_due = beside.paused_until > 0 && beside.paused_until <= now;
            return Ok(is_due || beside.is_loaded && beside.has_ended && may_replace);
        }
        Some(Payload::ToFile(_)) if !may_replace => return Ok(false),
        Some(Payload::ToFile(file)) => file,
    };
    match file.writer.state() {
        WriterState::Writing => {
            let has_room = file.writer.pending_bytes() < PENDING_MAX_BYTES / 2;
            Ok(has_room && std::mem::take(&mut file.is_stalled))
        }
        WriterState::Complete => load_file(state).map(|()| false),
        WriterState::Failed(failed) => {
            let what =
                "Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA synchronization";
            Err(format!("{what}: {failed}"))
        }
    }
}

/// Puts what has come where it goes, until the deadline, in ticks.
///
/// # Errors
///
/// The data cannot be loaded.
pub(super) fn advance(state: &mut ServerState, deadline: u64) -> Result<Advance, String> {
    let payload = state.replication.replica.as_mut().and_then(|side| side.payload.as_mut());
    match payload {
        None => Ok(Advance::TakesMore),
        Some(Payload::FromFile) => Ok(Advance::Waits),
        Some(Payload::Beside(_)) => load_beside(state, deadline),
        Some(Payload::ToFile(file)) => {
            if let Some(reason) = file.failure.take() {
                return Err(reason);
            }
            file.is_stalled = file.writer.pending_bytes() >= PENDING_MAX_BYTES;
            Ok(if file.is_stalled { Advance::Waits } else { Advance::TakesMore })
        }
    }
}

/// What a step of loading beside the old data has come to.
enum Beside {
    /// The loader wants more bytes.
    NeedsInput,
    /// It can go on.
    More,
    /// A test slows it down.
    Paused,
    /// All is loaded, and all has come.
    Done,
}

fn load_beside(state: &mut ServerState, deadline: u64) -> Result<Advance, String> {
    loop {
        match beside_step(state)? {
            Beside::NeedsInput => return Ok(Advance::TakesMore),
            Beside::Paused => return Ok(Advance::Waits),
            Beside::Done if state.is_amid_unit() => return Ok(Advance::Waits),
            Beside::Done => return swap_in(state).map(|()| Advance::Loaded),
            Beside::More if state.clock.ticks() < deadline => {}
            Beside::More => return Ok(Advance::Unfinished),
        }
    }
}

fn beside_step(state: &mut ServerState) -> Result<Beside, String> {
    let delay_us = u64::try_from(state.config.key_load_delay).unwrap_or(0);
    let now = state.clock.ticks();
    let payload = state.replication.replica.as_mut().and_then(|side| side.payload.as_mut());
    let Some(Payload::Beside(beside)) = payload else { return Ok(Beside::NeedsInput) };
    if beside.is_loaded {
        if !beside.loader.rest().is_empty() {
            return Err("Replication stream EOF marker is broken".to_string());
        }
        return Ok(if beside.has_ended { Beside::Done } else { Beside::NeedsInput });
    }
    if now < beside.paused_until {
        return Ok(Beside::Paused);
    }
    let keyspace = &mut state.keyspace;
    keyspace.enter_branch(&mut beside.data);
    let step = beside.loader.step(keyspace);
    keyspace.leave_branch(&mut beside.data);
    match step.map_err(|error| describe(&error))? {
        LoadStep::NeedsInput => Ok(Beside::NeedsInput),
        LoadStep::Done => {
            beside.is_loaded = true;
            Ok(Beside::More)
        }
        LoadStep::More => {
            if delay_us > 0 {
                beside.paused_until = now + state.clock.nanos_as_ticks(delay_us.saturating_mul(1000));
            }
            Ok(Beside::More)
        }
    }
}

/// Why data that come over the link cannot be loaded; the log tells the place, too.
fn describe(error: &FormatError) -> String {
    log::warn!("Internal error in RDB reading offset {}: {}", error.offset, error.reason());
    error.reason()
}

/// The data that were loaded beside the old ones take their place.
fn swap_in(state: &mut ServerState) -> Result<(), String> {
    let payload = state.replication.replica.as_mut().and_then(|side| side.payload.take());
    let Some(Payload::Beside(beside)) = payload else { return Ok(()) };
    let PayloadBeside { loader, data, .. } = *beside;
    let noted = loading::note_loaded(state, &loader, RestorePolicy::Flush);
    if noted.is_err() {
        state.keyspace.drop_branch(data);
        state.update_restrictions();
        return noted;
    }
    if state.config.repl_diskless_load == ReplicaDisklessLoad::SwapDatabase {
        log::info!("MASTER <-> REPLICA sync: Swapping active DB with loaded DB");
        log::info!("MASTER <-> REPLICA sync: Discarding old DB in background");
    }
    leave_old_files(state);
    state.keyspace.replace_by(data);
    state.update_restrictions();
    Ok(())
}

/// Nothing that is still written of the old data is to be taken for the new ones.
fn leave_old_files(state: &mut ServerState) {
    background::cancel_background_save(state);
    switching::turn_off_append_only(state);
}

/// The file is complete: the old data go, and it is loaded.
fn load_file(state: &mut ServerState) -> Result<(), String> {
    let Some(side) = &mut state.replication.replica else { return Ok(()) };
    let Some(Payload::ToFile(file)) = side.payload.take() else { return Ok(()) };
    // From here on there is nothing to go on from, should the link be lost.
    side.link.forget_position();
    side.payload = Some(Payload::FromFile);
    log::info!("MASTER <-> REPLICA sync: Flushing old data");
    leave_old_files(state);
    loading::forget_all(state);
    log::info!("MASTER <-> REPLICA sync: Loading DB in memory");
    let frees_first = !state.config.replica_lazy_flush;
    let begun = loading::begin_loading_from(state, file.target, frees_first);
    begun.map_err(|error| system_reason(&error))
}

/// Whether a primary's data are being loaded from a file.
pub fn loads_file(state: &ServerState) -> bool {
    let side = state.replication.replica.as_ref();
    side.is_some_and(|side| matches!(side.payload, Some(Payload::FromFile)))
}

/// Loads a piece of them: some ten microseconds' worth.
///
/// # Errors
///
/// They cannot be loaded.
pub(super) fn load_step(state: &mut ServerState) -> Result<LoadingStep, String> {
    let step = loading::loading_step(state)?;
    if step == LoadingStep::Done {
        state.saving.stats.saved_changes = state.keyspace.changes.total();
        if let Some(side) = &mut state.replication.replica {
            side.payload = None;
        }
        remove_file(state);
        state.update_restrictions();
    }
    Ok(step)
}

/// Removes the file that the data came by, if nothing but replication has brought it there (`rdb-del-sync-files`).
fn remove_file(state: &ServerState) {
    let config = &state.config;
    if !config.rdb_del_sync_files || config.appendonly || !config.save.is_empty() {
        return;
    }
    log::info!(
        "Removing the RDB file obtained from the master from disk, because this instance has persistence disabled"
    );
    let path = save::snapshot_path(state);
    if let Err(error) = state.disk.files().remove(&path) {
        log::warn!("Can't remove {}: {}", path.display(), system_reason(&error));
    }
}

/// Gives up what has come of the data. Where the old ones are gone already, nothing is left.
pub(super) fn drop_payload(state: &mut ServerState) {
    let payload = state.replication.replica.as_mut().and_then(|side| side.payload.take());
    match payload {
        None => return,
        Some(Payload::ToFile(_)) => {}
        Some(Payload::Beside(beside)) => {
            if !beside.has_ended {
                log::warn!("Internal error in RDB reading offset {}: the data end early", beside.loader.offset());
            }
            log::info!("MASTER <-> REPLICA sync: Discarding temporary DB in background");
            state.keyspace.drop_branch(beside.data);
        }
        Some(Payload::FromFile) => {
            state.loading = None;
            loading::forget_all(state);
            remove_file(state);
        }
    }
    state.update_restrictions();
}
