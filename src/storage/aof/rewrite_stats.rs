//! What is counted of rewrites, and when the next one may begin by itself.

/// So many failures in a row, and the next attempts wait longer and longer.
const FAILURES_FREE: u32 = 3;
/// Longest such wait, in minutes.
const WAIT_MINUTES_MAX: i64 = 60;

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

/// What INFO shows of rewrites.
#[derive(Clone, Copy, Debug, Default)]
pub struct RewriteStats {
    pub rewrites: u64,
    pub failures_in_a_row: u32,
    pub last_seconds: Option<i64>,
    pub last_failed: bool,
    pub last_copied_bytes: u64,
    /// When the next one may begin by itself, in ms since the epoch.
    pub(crate) retry_ms: i64,
}

impl RewriteStats {
    /// After several failures in a row the next attempt waits: a minute, then twice as long each time.
    pub(crate) fn note_wait(&mut self, now_ms: i64) {
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
