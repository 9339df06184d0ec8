//! What is known of the memory limit: how much is allowed, and how much time making room may take.

use crate::base::clock::Clock;
use crate::base::sys::oom_score::OomScore;
use crate::config::Config;

/// Part of the limit that is freed beyond it, and the most of that, in bytes.
const SLACK_PART: usize = 1024;
const SLACK_MAX_BYTES: usize = 8 << 10;
/// The longest time for which a command waits beyond the turn's time until as much is freed as was added, in ns.
const CATCH_UP_NS: u64 = 500_000;

/// The state of the memory limit.
#[derive(Default)]
pub struct Memory {
    /// In bytes; 0: no limit.
    pub(super) limit_bytes: usize,
    pub(super) slack_bytes: usize,
    /// Time for eviction before the commands of one turn.
    pub(super) turn_ticks: u64,
    /// The part of it that is left.
    pub(super) left_ticks: u64,
    pub(super) catch_up_ticks: u64,
    /// What was used when the last command began, if that was too much already: memory is not to grow beyond.
    pub(super) ceiling_bytes: Option<usize>,
    pub(super) is_full: bool,
    /// Invalidation messages about deleted keys that are about to be sent, in bytes. If they counted, those about
    /// evicted keys would evict more.
    pub(super) told_bytes: usize,
    /// Since when more is used than allowed, in µs of the monotonic clock.
    pub(super) exceeded_since_us: Option<u64>,
    pub(super) exceeded_us: u64,
    /// What the kernel is told to think of the process when memory runs out.
    pub oom_score: OomScore,
}

impl Memory {
    /// Whether commands that need memory are to be refused. As of the last command before which room was to be made.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Begins a turn of the loop, with new time for eviction. `all_sent`: whether the turn before has sent
    /// all replies.
    #[inline]
    pub fn begin_turn(&mut self, all_sent: bool) {
        self.left_ticks = self.turn_ticks;
        if all_sent {
            self.told_bytes = 0;
        }
    }

    /// Takes the limit over from the settings. A replica has none, unless they say otherwise: its primary evicts.
    pub fn configure(&mut self, config: &Config, is_replica: bool, clock: &Clock) {
        self.limit_bytes = match is_replica && config.replica_ignore_maxmemory {
            true => 0,
            false => usize::try_from(config.maxmemory).unwrap_or(usize::MAX),
        };
        self.slack_bytes = (self.limit_bytes / SLACK_PART).min(SLACK_MAX_BYTES);
        self.turn_ticks = match turn_ns(config.maxmemory_eviction_tenacity) {
            u64::MAX => u64::MAX,
            limited => clock.nanos_as_ticks(limited),
        };
        self.left_ticks = self.turn_ticks;
        self.catch_up_ticks = clock.nanos_as_ticks(CATCH_UP_NS);
        self.ceiling_bytes = None;
        self.is_full &= self.limit_bytes > 0;
    }

    /// Forgets how long the limit was exceeded before now.
    pub fn reset_stats(&mut self) {
        self.exceeded_us = 0;
        self.exceeded_since_us = None;
    }
}

/// How long one turn may spend on eviction before its commands, in ns (Redis's own figures, there for each command).
fn turn_ns(tenacity: u32) -> u64 {
    match tenacity {
        0..=10 => u64::from(tenacity) * 50_000,
        11..100 => (500_000.0 * 1.15f64.powi(tenacity as i32 - 10)) as u64,
        _ => u64::MAX,
    }
}
