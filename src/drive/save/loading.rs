//! Loading the data set from its file: in slices while the loop runs, at the start; at once for DEBUG RELOAD.

use std::io;
use std::path::{Path, PathBuf};

use crate::base::wake::Wake;
use crate::config::{DumpSanitizing, system_reason};
use crate::drive::save;
use crate::engine::history::LoadedHistory;
use crate::engine::loading::{Loading, LoadingStep};
use crate::engine::state::ServerState;
use crate::scripting::functions::RestorePolicy;
use crate::storage::file::reader::{FileReader, Read};
use crate::storage::rdb::{Fault, FormatError, SanitizeLevel};
use crate::storage::snapshot::{Duplicates, LoadStep, Loader, LoaderSettings, Purpose};
use crate::storage::values::LoadSettings;

/// Time between two lines on the progress in the log, in ms.
const PROGRESS_PERIOD_MS: i64 = 5000;
/// Elements freed in one step: some ten microseconds' worth.
const RECLAIM_ELEMENTS: usize = 256;

pub(crate) fn loader_settings(state: &ServerState, duplicates: Duplicates, input_bytes: u64) -> LoaderSettings {
    let mut values = LoadSettings::of(&state.config);
    values.lists.large_bytes = state.debug.list_large_bytes;
    LoaderSettings {
        values,
        scrutiny: match state.config.sanitize_dump_payload {
            DumpSanitizing::Yes => SanitizeLevel::Full,
            DumpSanitizing::No | DumpSanitizing::Clients => SanitizeLevel::Structure,
        },
        checks_sum: state.config.rdbchecksum && !state.serialization.skips_checksum,
        // On a replica the primary says what has expired.
        expires_before_ms: state.config.replicaof.is_none().then(|| state.now_ms()),
        duplicates,
        keys_per_step: usize::from(state.config.key_load_delay > 0),
        purpose: Purpose::Load,
        input_bytes,
    }
}

/// Begins to load the data set from its file; says whether there is one.
///
/// # Errors
///
/// The file cannot be read.
pub fn begin_loading(state: &mut ServerState) -> io::Result<bool> {
    let path = save::snapshot_path(state);
    match begin_loading_from(state, path, false) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Begins to load a snapshot; with `frees_first` what is left of other data is freed before the first key.
///
/// # Errors
///
/// The file cannot be read.
pub fn begin_loading_from(state: &mut ServerState, path: PathBuf, frees_first: bool) -> io::Result<()> {
    let reader = FileReader::open(&state.disk, &path, state.wake.clone())?;
    let started_ms = state.now_ms();
    let settings = loader_settings(state, Duplicates::Refuse, reader.length());
    state.loading = Some(Box::new(Loading {
        reader,
        loader: Loader::new(settings),
        path,
        started_ms,
        started_us: state.clock.monotonic_us(),
        progress_due_ms: started_ms + PROGRESS_PERIOD_MS,
        paused_until: 0,
        frees_first,
    }));
    state.update_restrictions();
    Ok(())
}

/// Loads a piece: some ten microseconds' worth.
///
/// # Errors
///
/// The text for the log: the file is damaged or cannot be read. What was loaded before stays in the keyspace.
pub fn loading_step(state: &mut ServerState) -> Result<LoadingStep, String> {
    let now_ms = state.now_ms();
    let delay_us = u64::try_from(state.config.key_load_delay).unwrap_or(0);
    let now = state.clock.ticks();
    let Some(loading) = &mut state.loading else {
        return Ok(LoadingStep::Done);
    };
    if loading.frees_first {
        loading.frees_first = state.keyspace.reclaim_step(RECLAIM_ELEMENTS);
        return Ok(LoadingStep::More);
    }
    if now < loading.paused_until {
        return Ok(LoadingStep::Waits);
    }
    let step = loading.loader.step(&mut state.keyspace);
    match step.map_err(|error| describe(&loading.path, &error))? {
        LoadStep::More => {
            if delay_us > 0 {
                let pause = state.clock.nanos_as_ticks(delay_us.saturating_mul(1000));
                loading.paused_until = now + pause;
            }
        }
        LoadStep::NeedsInput => match loading.reader.read() {
            Read::Chunk(chunk) => {
                loading.loader.feed(&chunk);
                loading.reader.give_back(chunk);
            }
            Read::NotYet => return Ok(LoadingStep::Waits),
            Read::End => loading.loader.end_input(),
            Read::Failed(error) => return Err(describe_unreadable(&loading.path, &error)),
        },
        LoadStep::Done => {
            end_loading(state)?;
            return Ok(LoadingStep::Done);
        }
    }
    if now_ms >= loading.progress_due_ms {
        loading.progress_due_ms = now_ms + PROGRESS_PERIOD_MS;
        log::info!(
            "Loading: {} of {} bytes, {} keys so far",
            loading.loader.offset(),
            loading.reader.length(),
            loading.loader.stats.keys
        );
    }
    Ok(LoadingStep::More)
}

fn end_loading(state: &mut ServerState) -> Result<(), String> {
    let Some(loading) = state.loading.take() else {
        return Ok(());
    };
    state.update_restrictions();
    note_loaded(state, &loading.loader, RestorePolicy::Append)?;
    let elapsed_us = state.clock.monotonic_us() - loading.started_us;
    log::info!("DB loaded from disk: {:.3} seconds", elapsed_us as f64 / 1e6);
    Ok(())
}

/// Takes over what a snapshot said besides its keys.
pub(crate) fn note_loaded(state: &mut ServerState, loader: &Loader, policy: RestorePolicy) -> Result<(), String> {
    let (stats, notes) = (loader.stats, &loader.notes);
    if let Some(version) = &notes.server_version {
        log::info!("Loading RDB produced by version {version}");
    }
    if let Some(created) = notes.created_seconds {
        log::info!("RDB age {} seconds", (state.now_ms() / 1000 - created).max(0));
    }
    if let Some(used) = notes.used_memory {
        let megabytes = used as f64 / f64::from(1 << 20);
        log::info!("RDB memory usage when created {megabytes:.2} Mb");
    }
    if let Some(cluster) = &mut state.cluster {
        cluster.slot_migrations.note_loaded(&notes.slot_imports);
    }
    load_libraries(state, &notes.functions, policy)?;
    state.replication.loaded = LoadedHistory::of(notes).filter(|_| notes.has_all_expired());
    state.replication.expired_at_load = notes.expired.clone();
    let skipped = match stats.empty {
        0 => String::new(),
        empty => format!(", empty keys skipped: {empty}"),
    };
    log::info!("Done loading RDB, keys loaded: {}, keys expired: {}{skipped}.", stats.keys, stats.expired);
    state.saving.stats.keys_loaded = stats.keys;
    state.saving.stats.keys_expired = stats.expired;
    state.stats.sanitized_payloads += stats.sanitized;
    Ok(())
}

fn load_libraries(state: &mut ServerState, codes: &[Vec<u8>], policy: RestorePolicy) -> Result<(), String> {
    let scripting = &mut state.scripting;
    let loaded = scripting.restore_libraries(&state.clock, codes, policy);
    loaded.map_err(|error| format!("Failed creating the library: {}", error.text()))
}

/// Forgets all data, which does not count as a change: they are to be loaded anew. O(databases).
pub fn forget_all(state: &mut ServerState) {
    let unsaved = state.unsaved_changes();
    for database in 0..state.keyspace.count() {
        state.keyspace.flush(database);
    }
    state.scripting.flush_functions();
    state.saving.stats.saved_changes = state.keyspace.changes.total() - unsaved;
}

/// Loads the data set anew from its file, in place of what is there; if that fails it is as it was. O(bytes).
///
/// # Errors
///
/// The text for the log.
pub fn reload(state: &mut ServerState, duplicates: Duplicates) -> Result<(), String> {
    let before = state.keyspace.fork();
    let libraries = state.scripting.functions.iter();
    let codes: Vec<Vec<u8>> = libraries.map(|(_, library)| library.code.to_vec()).collect();
    forget_all(state);
    let loaded = load(state, duplicates);
    match &loaded {
        Ok(()) => state.keyspace.drop_branch(before),
        Err(_) => {
            state.keyspace.go_back_to(before);
            let policy = RestorePolicy::Flush;
            let scripting = &mut state.scripting;
            scripting.restore_libraries(&state.clock, &codes, policy).map_err(|error| error.text().to_string())?;
        }
    }
    loaded
}

/// Loads the data set from its file at once. O(bytes).
///
/// # Errors
///
/// The text for the log. What was loaded before the damage stays in the keyspace.
pub fn load(state: &mut ServerState, duplicates: Duplicates) -> Result<(), String> {
    let path = save::snapshot_path(state);
    let reader = FileReader::open(&state.disk, &path, Wake::default());
    let reader = reader.map_err(|error| describe_unreadable(&path, &error))?;
    let mut loader = Loader::new(loader_settings(state, duplicates, reader.length()));
    loop {
        let step = loader.step(&mut state.keyspace);
        match step.map_err(|error| describe(&path, &error))? {
            LoadStep::More => {}
            LoadStep::Done => {
                let policy = match duplicates {
                    Duplicates::Refuse => RestorePolicy::Append,
                    Duplicates::Replace => RestorePolicy::Replace,
                };
                return note_loaded(state, &loader, policy);
            }
            LoadStep::NeedsInput => match reader.wait() {
                Read::Chunk(chunk) => {
                    loader.feed(&chunk);
                    reader.give_back(chunk);
                }
                Read::End | Read::NotYet => loader.end_input(),
                Read::Failed(error) => return Err(describe_unreadable(&path, &error)),
            },
        }
    }
}

fn describe(path: &Path, error: &FormatError) -> String {
    match error.fault {
        Fault::Version(_) | Fault::ModuleValue(_) | Fault::ModuleAuxiliary(_) => error.reason(),
        _ => format!(
            "Internal error in RDB reading offset {}, file {}: {}",
            error.offset,
            path.display(),
            error.reason()
        ),
    }
}

fn describe_unreadable(path: &Path, error: &io::Error) -> String {
    format!("Can't read {}: {}", path.display(), system_reason(error))
}
