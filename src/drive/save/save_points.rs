//! When the data set is saved by itself: `save` points.

use crate::engine::state::ServerState;

/// After a save that failed the next one is tried so many seconds later at the earliest.
const RETRY_SECONDS: i64 = 5;

impl ServerState {
    /// Begins a background save if it is time for one; the cron asks several times a second.
    pub fn save_if_due(&mut self) {
        let is_busy = self.saving.is_active() || self.is_loading() || self.aof.is_rewriting();
        // A snapshot holds whole units: not half of what a script does.
        if is_busy || self.is_amid_unit() {
            return;
        }
        let stats = self.saving.stats;
        let now_seconds = self.now_ms() / 1000;
        if stats.last_failed && now_seconds - stats.last_try_seconds <= RETRY_SECONDS {
            return;
        }
        if std::mem::take(&mut self.saving.is_scheduled) {
            self.begin_background_save();
            return;
        }
        let (changes, since) = (self.unsaved_changes(), now_seconds - stats.last_save_seconds);
        let reached = self
            .config
            .save
            .iter()
            .find(|point| changes >= point.changes && since > i64::try_from(point.seconds).unwrap_or(i64::MAX));
        if let Some(point) = reached {
            log::info!("{} changes in {} seconds. Saving...", point.changes, point.seconds);
            self.begin_background_save();
        }
    }
}
