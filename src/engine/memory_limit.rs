//! The memory limit: room is made before a command runs, and between polls; where there is none, commands are refused.
//! Never chooses a key: that is `keyspace/eviction.rs`.
//!
//! ```text
//! Memory::…    limit ─────────────────────────────────────────────── `maxmemory`
//!              limit - slack ─────── eviction stops here, so that not every command has to begin with it
//! ```
//!
//! While far more is used than the limit allows (it was lowered) eviction goes on in slices: one turn of the loop spends so
//! much time on it before commands as `maxmemory-eviction-tenacity` says, and a job goes on between polls. Once that time is
//! spent a command only waits until as much is freed as was added since the last one: so memory never grows meanwhile.
//!
//! What was let go of already, and is being freed in slices, is freed first: no key goes for what a deleted one still holds.

use crate::base::sys::oom_score::OomScore;
use crate::engine::effects;
use crate::engine::propagation;
use crate::engine::state::ServerState;
use crate::keyspace;
use crate::resp::reply;

/// Part of the limit that is freed beyond it, and the most of that, in bytes.
const SLACK_PART: usize = 1024;
const SLACK_MAX_BYTES: usize = 8 << 10;
/// Elements of deleted values freed in one step: some ten microseconds' worth.
const RECLAIM_ELEMENTS: usize = 256;
/// Keys evicted between two looks at the clock.
const KEYS_PER_LOOK: usize = 8;
/// The longest time for which a command waits beyond the turn's time until as much is freed as was added, in ns.
const CATCH_UP_NS: u64 = 500_000;

/// How freeing memory ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// No more is used than is allowed.
    Within,
    /// The time is over, and there is more to free.
    Unfinished,
    /// There is nothing left that may go.
    Exhausted,
}

/// The state of the memory limit.
#[derive(Default)]
pub struct Memory {
    /// In bytes; 0: no limit.
    limit_bytes: usize,
    slack_bytes: usize,
    /// Time for eviction before the commands of one turn.
    turn_ticks: u64,
    /// The part of it that is left.
    left_ticks: u64,
    catch_up_ticks: u64,
    /// What was used when the last command began, if that was too much already: memory is not to grow beyond.
    ceiling_bytes: Option<usize>,
    is_full: bool,
    /// What clients were told of keys that are gone and is about to be sent, in bytes. If it counted, telling of evicted keys
    /// would evict more.
    told_bytes: usize,
    /// Since when more is used than allowed, in µs of the monotonic clock.
    exceeded_since_us: Option<u64>,
    exceeded_us: u64,
    /// What the kernel is told to think of the process when memory runs out.
    pub oom_score: OomScore,
}

impl Memory {
    /// Whether commands that need memory are to be refused. As of the last command before which room was to be made.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Begins a turn of the loop, with new time for eviction. `all_sent`: whether the turn before has sent to everybody.
    #[inline]
    pub fn begin_turn(&mut self, all_sent: bool) {
        self.left_ticks = self.turn_ticks;
        if all_sent {
            self.told_bytes = 0;
        }
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

impl ServerState {
    /// Takes the limit over from the settings.
    pub(crate) fn apply_memory_limit(&mut self) {
        let config = &self.config;
        let limit_bytes = usize::try_from(config.maxmemory).unwrap_or(usize::MAX);
        let turn_ns = turn_ns(config.maxmemory_eviction_tenacity);
        let memory = &mut self.memory;
        memory.limit_bytes = limit_bytes;
        memory.slack_bytes = (limit_bytes / SLACK_PART).min(SLACK_MAX_BYTES);
        memory.turn_ticks = match turn_ns {
            u64::MAX => u64::MAX,
            limited => self.clock.nanos_as_ticks(limited),
        };
        memory.left_ticks = memory.turn_ticks;
        memory.catch_up_ticks = self.clock.nanos_as_ticks(CATCH_UP_NS);
        memory.ceiling_bytes = None;
        memory.is_full &= limit_bytes > 0;
        self.keyspace.set_eviction(config.maxmemory_policy, config.maxmemory_samples as usize);
        let limit_bytes = config.maxmemory_clients.bytes(config.maxmemory);
        self.clients.set_memory_limit(usize::try_from(limit_bytes).unwrap_or(usize::MAX));
    }

    /// Bytes that count against the limit: all that is allocated, and what replies share with the keyspace; but not what only a
    /// snapshot that is being written still holds, or no key that is evicted meanwhile would make room. O(1).
    #[inline]
    fn counted_memory(&self) -> usize {
        (self.used_memory() + reply::shared_bytes()).saturating_sub(self.uncounted_memory())
    }

    /// Bytes that do not count against the limit though they are allocated. O(1).
    #[inline]
    pub fn uncounted_memory(&self) -> usize {
        self.memory.told_bytes + self.keyspace.changes.memory_bytes() + keyspace::held_bytes()
    }

    #[inline]
    fn is_over_limit(&self) -> bool {
        self.memory.limit_bytes > 0 && self.counted_memory() > self.memory.limit_bytes
    }

    /// Makes room before a command, or finds that there is none.
    #[inline]
    pub fn make_room(&mut self) {
        if self.memory.limit_bytes == 0 {
            return;
        }
        if self.is_over_limit() {
            self.make_room_slowly();
        } else if self.memory.exceeded_since_us.is_some() {
            self.note_memory(Outcome::Within);
        }
    }

    #[cold]
    fn make_room_slowly(&mut self) {
        if self.nesting > 0 || self.keyspace_paused() {
            // A unit is begun with what room there was; and nothing changes while clients are paused.
            self.memory.is_full &= self.nesting > 0;
            return;
        }
        let started = self.clock.ticks();
        let deadline = started.saturating_add(self.memory.left_ticks);
        let outcome = self.free_until(deadline, self.memory.catch_up_ticks);
        let spent = self.clock.ticks().saturating_sub(started);
        self.memory.left_ticks = self.memory.left_ticks.saturating_sub(spent);
        self.was_slow |= spent >= self.memory.catch_up_ticks / 2;
        self.note_memory(outcome);
        self.finish_slice(spent);
        // None of this is the command's own time.
        self.start_stopwatch();
    }

    /// Evicts between polls until the deadline, in ticks; tells whether there is more to do.
    pub fn evict_slice(&mut self, deadline: u64) -> bool {
        if !self.is_over_limit() || !self.keyspace.evicts() || self.keyspace_paused() {
            return false;
        }
        let started = self.clock.ticks();
        let outcome = self.free_until(deadline, 0);
        self.note_memory(outcome);
        self.finish_slice(self.clock.ticks().saturating_sub(started));
        outcome == Outcome::Unfinished
    }

    /// Whether the job that evicts between polls has something to do.
    pub fn wants_eviction(&self) -> bool {
        self.is_over_limit() && self.keyspace.evicts()
    }

    /// Frees what was let go of, and evicts keys, until little enough is used. At the deadline it stops, but not before as much
    /// is freed as was added since the last time, for which it gets `catch_up_ticks` more.
    fn free_until(&mut self, deadline: u64, catch_up_ticks: u64) -> Outcome {
        let target_bytes = self.memory.limit_bytes - self.memory.slack_bytes;
        let last_deadline = deadline.saturating_add(catch_up_ticks);
        loop {
            for _ in 0..KEYS_PER_LOOK {
                if self.counted_memory() <= target_bytes {
                    return Outcome::Within;
                }
                if self.keyspace.has_garbage() {
                    self.keyspace.reclaim_step(RECLAIM_ELEMENTS);
                    break;
                } else if !self.keyspace.evict() {
                    return match self.is_over_limit() {
                        true => Outcome::Exhausted,
                        false => Outcome::Within,
                    };
                }
            }
            let now = self.clock.ticks();
            let counted_bytes = self.counted_memory();
            let ceiling_bytes = self.memory.ceiling_bytes.unwrap_or(usize::MAX);
            if now >= last_deadline || now >= deadline && counted_bytes <= ceiling_bytes {
                self.memory.ceiling_bytes = Some(ceiling_bytes.min(counted_bytes));
                return Outcome::Unfinished;
            }
        }
    }

    /// Keeps the figures of how long the limit is exceeded, and whether commands are refused for that.
    fn note_memory(&mut self, outcome: Outcome) {
        let now_us = self.clock.monotonic_us();
        let memory = &mut self.memory;
        memory.is_full = outcome == Outcome::Exhausted;
        if outcome == Outcome::Within {
            memory.ceiling_bytes = None;
            if let Some(since_us) = memory.exceeded_since_us.take() {
                memory.exceeded_us += now_us.saturating_sub(since_us);
            }
        } else {
            memory.exceeded_since_us.get_or_insert(now_us);
        }
    }

    /// Tells of what was evicted.
    fn finish_slice(&mut self, spent_ticks: u64) {
        if self.nesting == 0 {
            propagation::end_unit(self, false);
        }
        if !self.keyspace.changes.is_empty() {
            let before_bytes = self.counted_memory();
            effects::changes(self);
            let told_bytes = self.counted_memory().saturating_sub(before_bytes);
            self.memory.told_bytes += told_bytes;
        }
        let spent_ms = self.clock.ticks_as_nanos(spent_ticks) / 1_000_000;
        self.note_latency("eviction-cycle", spent_ms);
    }

    /// For how long more was used than allowed, in ms: since the start, and this time.
    pub fn memory_exceeded_ms(&self) -> (u64, u64) {
        let now_us = self.clock.monotonic_us();
        let since_us = self.memory.exceeded_since_us.unwrap_or(now_us);
        let current_us = now_us.saturating_sub(since_us);
        ((self.memory.exceeded_us + current_us) / 1000, current_us / 1000)
    }
}
