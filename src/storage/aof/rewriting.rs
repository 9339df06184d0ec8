//! What is asked of a rewrite that is going on, and when the file has grown enough for another one.

use super::append_only::{AppendOnly, State};
use crate::storage::save::SaveJob;

impl AppendOnly {
    /// Whether a rewrite is going on.
    pub fn is_rewriting(&self) -> bool {
        self.machine.is_rewriting()
    }

    /// For how long it has, in seconds.
    pub fn rewrite_seconds(&self, now_ms: i64) -> Option<i64> {
        self.is_rewriting().then_some((now_ms - self.rewrite_began_ms) / 1000)
    }

    /// Whether something was begun since the last time that a job must go on with.
    pub fn take_beginning(&mut self) -> bool {
        std::mem::take(&mut self.has_begun)
    }

    /// The job that writes the base, while one does.
    pub fn base_job(&self) -> Option<&SaveJob> {
        self.base.as_ref().map(|base| &base.job)
    }

    /// By how many percent the file has grown since the last rewrite, if that is reason for another one.
    pub(crate) fn grown_percent(&self, percentage: u32, least_bytes: u64) -> Option<u64> {
        let (size, base) = (self.size_bytes(), self.base_bytes.max(1));
        let percentage = Some(u64::from(percentage)).filter(|one| *one > 0)?;
        let percent = (size.saturating_mul(100) / base).checked_sub(100)?;
        let is_large = size > least_bytes;
        (self.state() == State::On && is_large && percent >= percentage).then_some(percent)
    }
}
