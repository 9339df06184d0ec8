//! When the data set is saved by itself: `save` points.

use crate::drive::save::background;
use crate::engine::state::ServerState;

/// After a save that failed the next one is tried so many seconds later at the earliest.
const RETRY_SECONDS: i64 = 5;

/// Begins a background save if it is time for one; the cron asks several times a second.
pub fn save_if_due(state: &mut ServerState) {
    let is_busy = state.saving.is_active() || state.is_loading() || state.aof.is_rewriting();
    // A snapshot holds whole units: not half of what a script does.
    if is_busy || state.is_amid_unit() {
        return;
    }
    let stats = state.saving.stats;
    let now_seconds = state.now_ms() / 1000;
    if stats.last_failed && now_seconds - stats.last_try_seconds <= RETRY_SECONDS {
        return;
    }
    if std::mem::take(&mut state.saving.is_scheduled) {
        background::begin_background_save(state);
        return;
    }
    let (changes, since) = (state.unsaved_changes(), now_seconds - stats.last_save_seconds);
    let reached = state
        .config
        .save
        .iter()
        .find(|point| changes >= point.changes && since > i64::try_from(point.seconds).unwrap_or(i64::MAX));
    if let Some(point) = reached {
        log::info!("{} changes in {} seconds. Saving...", point.changes, point.seconds);
        background::begin_background_save(state);
    }
}
