//! The sections on saving and the cluster: Persistence, Cluster.

use crate::drive::save::background;
use crate::engine::saving::SaveStats;
use crate::storage::aof::append_only::AppendOnly;
use crate::storage::aof::append_only::State;
use crate::storage::save::SaveProgress;

use super::Field;
use crate::drive::info::snapshot::InfoSnapshot;

/// Section Persistence.
pub(crate) static PERSISTENCE: &[Field] = &[
    Field::of("loading", |info| u8::from(info.state.is_loading()).to_string()),
    Field::of("async_loading", |info| flag(info.state.is_loading_beside())),
    Field::of("current_cow_peak", |info| of_any_save(info, |save| save.copied_bytes.to_string(), "0")),
    Field::of("current_cow_size", |info| of_any_save(info, |save| save.copied_bytes.to_string(), "0")),
    Field::fixed("current_cow_size_age", "0"),
    Field::of("current_fork_perc", |info| {
        let share = |save: &SaveProgress| save.keys_written as f64 * 100.0 / save.keys.max(1) as f64;
        of_any_save(info, |save| format!("{:.2}", share(save)), "0.00")
    }),
    Field::of("current_save_keys_processed", |info| of_any_save(info, |save| save.keys_written.to_string(), "0")),
    Field::of("current_save_keys_total", |info| of_any_save(info, |save| save.keys.to_string(), "0")),
    Field::of("rdb_changes_since_last_save", |info| info.state.unsaved_changes().to_string()),
    Field::of("rdb_bgsave_in_progress", |info| {
        flag(info.state.saving.is_active() || info.state.replication.primary.is_syncing())
    }),
    Field::of("rdb_last_save_time", |info| saving(info).last_save_seconds.to_string()),
    Field::of("rdb_last_bgsave_status", |info| {
        let failed = saving(info).last_failed;
        if failed { "err" } else { "ok" }.to_string()
    }),
    Field::of("rdb_last_bgsave_time_sec", |info| {
        let seconds = saving(info).last_duration_seconds;
        seconds.unwrap_or(-1).to_string()
    }),
    Field::of("rdb_current_bgsave_time_sec", |info| {
        let progress = background::background_save_progress(info.state);
        progress.map_or("-1".to_string(), |save| save.seconds.to_string())
    }),
    Field::of("rdb_saves", |info| saving(info).saves.to_string()),
    Field::of("rdb_last_cow_size", |info| saving(info).last_copied_bytes.to_string()),
    Field::of("rdb_last_load_keys_expired", |info| saving(info).keys_expired.to_string()),
    Field::of("rdb_last_load_keys_loaded", |info| saving(info).keys_loaded.to_string()),
    Field::of("aof_enabled", |info| flag(aof(info).state() != State::Off)),
    Field::of("aof_rewrite_in_progress", |info| flag(aof(info).is_rewriting())),
    Field::of("aof_rewrite_scheduled", |info| flag(aof(info).is_scheduled)),
    Field::of("aof_last_rewrite_time_sec", |info| {
        let seconds = aof(info).rewrites.last_seconds;
        seconds.unwrap_or(-1).to_string()
    }),
    Field::of("aof_current_rewrite_time_sec", |info| {
        let seconds = aof(info).rewrite_seconds(info.state.now_ms());
        seconds.unwrap_or(-1).to_string()
    }),
    Field::of("aof_last_bgrewrite_status", |info| status(aof(info).rewrites.last_failed)),
    Field::of("aof_rewrites", |info| aof(info).rewrites.rewrites.to_string()),
    Field::of("aof_rewrites_consecutive_failures", |info| aof(info).rewrites.failures_in_a_row.to_string()),
    Field::of("aof_last_write_status", |info| status(aof(info).denial().is_some())),
    Field::of("aof_last_cow_size", |info| aof(info).rewrites.last_copied_bytes.to_string()),
    Field::fixed("module_fork_in_progress", "0"),
    Field::fixed("module_fork_last_cow_size", "0"),
];

fn aof<'a>(info: &'a InfoSnapshot<'_>) -> &'a AppendOnly {
    &info.state.aof
}

fn flag(is_set: bool) -> String {
    u8::from(is_set).to_string()
}

fn status(has_failed: bool) -> String {
    if has_failed { "err" } else { "ok" }.to_string()
}

/// The lines of section Persistence that are there while something is appended, or data are being loaded.
pub(crate) fn more(info: &InfoSnapshot<'_>) -> Vec<(String, String)> {
    let mut lines = appending(info);
    lines.extend(loading(info));
    lines
}

fn appending(info: &InfoSnapshot<'_>) -> Vec<(String, String)> {
    let aof = aof(info);
    if aof.state() == State::Off {
        return Vec::new();
    }
    [
        ("aof_current_size", aof.size_bytes().to_string()),
        ("aof_base_size", aof.base_bytes().to_string()),
        ("aof_pending_rewrite", flag(aof.is_scheduled)),
        ("aof_buffer_length", aof.buffered_bytes().to_string()),
        ("aof_pending_bio_fsync", flag(aof.is_syncing())),
        ("aof_delayed_fsync", aof.stats.delayed_syncs.to_string()),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into()
}

fn saving<'a>(info: &'a InfoSnapshot<'_>) -> &'a SaveStats {
    &info.state.saving.stats
}

/// What is to be shown of the background save or the rewrite that is going on, or what is shown if there is none.
fn of_any_save(info: &InfoSnapshot<'_>, show: impl Fn(&SaveProgress) -> String, otherwise: &str) -> String {
    let state = info.state;
    let rewrite = || state.aof.base_job().map(|job| job.progress(state.now_ms()));
    let progress = background::background_save_progress(state).or_else(rewrite);
    progress.map_or(otherwise.to_string(), |progress| show(&progress))
}

/// Those that are there while data are being loaded.
fn loading(info: &InfoSnapshot<'_>) -> Vec<(String, String)> {
    let state = info.state;
    let Some(stats) = state.loading_figures() else {
        return Vec::new();
    };
    let (total, loaded) = (stats.total_bytes, stats.loaded_bytes);
    let elapsed = stats.elapsed_seconds;
    let left = total.saturating_sub(loaded) as i64;
    let eta = (elapsed * left).checked_div(loaded as i64).unwrap_or(1);
    let share = loaded as f64 * 100.0 / total.max(1) as f64;
    [
        ("loading_start_time", stats.started_seconds.to_string()),
        ("loading_total_bytes", total.to_string()),
        ("loading_rdb_used_mem", stats.used_memory.to_string()),
        ("loading_loaded_bytes", loaded.to_string()),
        ("loading_loaded_perc", format!("{share:.2}")),
        ("loading_eta_seconds", eta.to_string()),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into()
}

/// Section Cluster.
pub(crate) static CLUSTER: &[Field] =
    &[Field::of("cluster_enabled", |info| u8::from(info.state.cluster.is_some()).to_string())];
