//! What one step of a scene has done.

use std::collections::VecDeque;

use crate::net::readiness::Readiness;
use crate::observe::loop_stats::Job;

/// A request that was run.
pub(super) struct Ran {
    pub client: String,
    pub arguments: Vec<Vec<u8>>,
    pub took_us: u64,
}

/// What is reported of one client, or of something else.
pub(super) struct Reported {
    pub name: String,
    pub readiness: Readiness,
    /// Whether the client that it names is there.
    pub is_known: bool,
}

/// What the last step has done.
#[derive(Default)]
pub(super) struct Step {
    /// What was done, in words.
    pub says: String,
    pub turns: u64,
    /// What a poll has reported last.
    pub reported: Vec<Reported>,
    pub echo_reported: Vec<Reported>,
    pub echo_reads: u64,
    pub waited_us: u64,
    pub took_us: u64,
    pub reads: u64,
    pub writes: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub requests: u64,
    pub batches: u64,
    /// Clients that its last turn found on the ready list.
    pub from_ready: u64,
    /// What its last turn spent on timers.
    pub timers_us: u64,
    pub job_steps: [u64; Job::ALL.len()],
    pub ran: VecDeque<Ran>,
}
