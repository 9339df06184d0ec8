//! The sections on saving, replicas and the cluster: Persistence, Replication, Cluster.

use crate::storage::aof::append_only::{AppendOnly, State};
use crate::drive::save::background::BackgroundProgress;
use crate::drive::save::SavingFigures;

use crate::drive::info::snapshot::Facts;
use super::Field;

/// Forty zeros: no such history of writes.
const NO_REPLICATION_ID: &str = "0000000000000000000000000000000000000000";

/// Section Persistence.
pub(crate) static PERSISTENCE: &[Field] = &[
    Field::of("loading", |facts| {
        u8::from(facts.instance.is_loading()).to_string()
    }),
    Field::fixed("async_loading", "0"),
    Field::of("current_cow_peak", |facts| {
        of_save(facts, |save| save.copied_bytes.to_string(), "0")
    }),
    Field::of("current_cow_size", |facts| {
        of_save(facts, |save| save.copied_bytes.to_string(), "0")
    }),
    Field::fixed("current_cow_size_age", "0"),
    Field::of("current_fork_perc", |facts| {
        let share =
            |save: &BackgroundProgress| save.keys_written as f64 * 100.0 / save.keys.max(1) as f64;
        of_save(facts, |save| format!("{:.2}", share(save)), "0.00")
    }),
    Field::of("current_save_keys_processed", |facts| {
        of_save(facts, |save| save.keys_written.to_string(), "0")
    }),
    Field::of("current_save_keys_total", |facts| {
        of_save(facts, |save| save.keys.to_string(), "0")
    }),
    Field::of("rdb_changes_since_last_save", |facts| {
        facts.instance.unsaved_changes().to_string()
    }),
    Field::of("rdb_bgsave_in_progress", |facts| {
        u8::from(facts.instance.saving.is_active()).to_string()
    }),
    Field::of("rdb_last_save_time", |facts| {
        saving(facts).last_save_seconds.to_string()
    }),
    Field::of("rdb_last_bgsave_status", |facts| {
        let failed = saving(facts).last_failed;
        if failed { "err" } else { "ok" }.to_string()
    }),
    Field::of("rdb_last_bgsave_time_sec", |facts| {
        let seconds = saving(facts).last_duration_seconds;
        seconds.unwrap_or(-1).to_string()
    }),
    Field::of("rdb_current_bgsave_time_sec", |facts| {
        of_save(facts, |save| save.seconds.to_string(), "-1")
    }),
    Field::of("rdb_saves", |facts| saving(facts).saves.to_string()),
    Field::of("rdb_last_cow_size", |facts| {
        saving(facts).last_copied_bytes.to_string()
    }),
    Field::of("rdb_last_load_keys_expired", |facts| {
        saving(facts).keys_expired.to_string()
    }),
    Field::of("rdb_last_load_keys_loaded", |facts| {
        saving(facts).keys_loaded.to_string()
    }),
    Field::of("aof_enabled", |facts| {
        flag(aof(facts).state() != State::Off)
    }),
    Field::of("aof_rewrite_in_progress", |facts| {
        flag(aof(facts).is_rewriting())
    }),
    Field::of("aof_rewrite_scheduled", |facts| {
        flag(aof(facts).is_scheduled)
    }),
    Field::of("aof_last_rewrite_time_sec", |facts| {
        let seconds = aof(facts).rewrites.last_seconds;
        seconds.unwrap_or(-1).to_string()
    }),
    Field::of("aof_current_rewrite_time_sec", |facts| {
        let seconds = aof(facts).rewrite_seconds(facts.instance.now_ms());
        seconds.unwrap_or(-1).to_string()
    }),
    Field::of("aof_last_bgrewrite_status", |facts| {
        status(aof(facts).rewrites.last_failed)
    }),
    Field::of("aof_rewrites", |facts| {
        aof(facts).rewrites.rewrites.to_string()
    }),
    Field::of("aof_rewrites_consecutive_failures", |facts| {
        aof(facts).rewrites.failures_in_a_row.to_string()
    }),
    Field::of("aof_last_write_status", |facts| {
        status(aof(facts).denial().is_some())
    }),
    Field::of("aof_last_cow_size", |facts| {
        aof(facts).rewrites.last_copied_bytes.to_string()
    }),
    Field::fixed("module_fork_in_progress", "0"),
    Field::fixed("module_fork_last_cow_size", "0"),
];

fn aof<'a>(facts: &'a Facts<'_>) -> &'a AppendOnly {
    &facts.instance.aof
}

fn flag(is_set: bool) -> String {
    u8::from(is_set).to_string()
}

fn status(has_failed: bool) -> String {
    if has_failed { "err" } else { "ok" }.to_string()
}

/// The lines of section Persistence that are there while something is appended, or data are being loaded.
pub(crate) fn more(facts: &Facts<'_>) -> Vec<(String, String)> {
    let mut lines = appending(facts);
    lines.extend(loading(facts));
    lines
}

fn appending(facts: &Facts<'_>) -> Vec<(String, String)> {
    let aof = aof(facts);
    if aof.state() == State::Off {
        return Vec::new();
    }
    [
        ("aof_current_size", aof.size_bytes().to_string()),
        ("aof_base_size", aof.base_bytes().to_string()),
        ("aof_pending_rewrite", flag(aof.is_scheduled)),
        ("aof_buffer_length", aof.buffered_bytes().to_string()),
        ("aof_pending_bio_fsync", flag(aof.is_syncing())),
        ("aof_delayed_fsync", aof.figures.delayed_syncs.to_string()),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into()
}

fn saving<'a>(facts: &'a Facts<'_>) -> &'a SavingFigures {
    &facts.instance.saving.figures
}

/// What is to be shown of the background save that is going on, or what is shown if there is none.
fn of_save(
    facts: &Facts<'_>,
    show: impl Fn(&BackgroundProgress) -> String,
    otherwise: &str,
) -> String {
    let progress = facts.instance.background_save_progress();
    progress.map_or(otherwise.to_string(), |progress| show(&progress))
}

/// Those that are there while data are being loaded.
fn loading(facts: &Facts<'_>) -> Vec<(String, String)> {
    let instance = facts.instance;
    let Some(figures) = instance.loading_figures() else {
        return Vec::new();
    };
    let (total, loaded) = (figures.total_bytes, figures.loaded_bytes);
    let elapsed = figures.elapsed_seconds;
    let left = total.saturating_sub(loaded) as i64;
    let eta = (elapsed * left).checked_div(loaded as i64).unwrap_or(1);
    let share = loaded as f64 * 100.0 / total.max(1) as f64;
    [
        ("loading_start_time", figures.started_seconds.to_string()),
        ("loading_total_bytes", total.to_string()),
        ("loading_rdb_used_mem", figures.used_memory.to_string()),
        ("loading_loaded_bytes", loaded.to_string()),
        ("loading_loaded_perc", format!("{share:.2}")),
        ("loading_eta_seconds", eta.to_string()),
    ]
    .map(|(name, value)| (name.to_string(), value))
    .into()
}

/// Section Replication.
pub(crate) static REPLICATION: &[Field] = &[
    Field::fixed("role", "master"),
    Field::fixed("connected_slaves", "0"),
    Field::fixed("master_failover_state", "no-failover"),
    Field::of("master_replid", |facts| {
        facts.instance.replication_id.clone()
    }),
    Field::fixed("master_replid2", NO_REPLICATION_ID),
    Field::fixed("master_repl_offset", "0"),
    Field::fixed("second_repl_offset", "-1"),
    Field::fixed("repl_backlog_active", "0"),
    Field::of("repl_backlog_size", |facts| {
        facts.instance.config.repl_backlog_size.to_string()
    }),
    Field::fixed("repl_backlog_first_byte_offset", "0"),
    Field::fixed("repl_backlog_histlen", "0"),
];

/// Section Cluster.
pub(crate) static CLUSTER: &[Field] = &[Field::fixed("cluster_enabled", "0")];
