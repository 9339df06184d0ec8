//! What the loop measures of itself.

/// Times are in ns; each is summed over all turns of the loop since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopFigures {
    /// Turns of the loop.
    pub turns: u64,
    /// Time outside of `poll`.
    pub busy_ns: u64,
    /// The part of it that served clients.
    pub serving_ns: u64,
    /// The part of it that ran jobs.
    pub jobs_ns: u64,
    /// The part of that which removed expired keys.
    pub expiry_ns: u64,
    /// Turns in which jobs overran their budget by more than half.
    pub job_overruns: u64,
    /// The housekeeping.
    pub cron_ns: u64,
    /// Most commands run in one turn.
    pub most_commands: u64,
    pub longest_turn_ns: u64,
    pub longest_jobs_ns: u64,
    /// Rates over the last second and a half, taken by the cron.
    pub recent: RecentRates,
}

/// Smoothed rates per second.
#[derive(Clone, Copy, Debug, Default)]
pub struct RecentRates {
    pub commands: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub turns: u64,
    /// Mean length of a turn, in µs.
    pub turn_us: u64,
}
