//! The memory limit: room is made before a command runs, and between polls; where there is none, commands are refused.
//! Never chooses a key: that is `keyspace/eviction.rs`.
//!
//! ```text
//! Memory::…    limit ─────────────────────────────────────────────── `maxmemory`
//!              limit - slack ─────── eviction stops here, so that not every command has to begin with it
//! ```
//!
//! While far more is used than the limit allows (it was lowered) eviction goes on in slices: one turn of the loop
//! spends so much time on it before commands as `maxmemory-eviction-tenacity` says, and a job goes on between polls.
//! Once that time is spent a command only waits until as much is freed as was added since the last one: so memory never
//! grows meanwhile.
//!
//! What was let go of already, and is being freed in slices, is freed first: no key goes for what a deleted one still
//! holds.

use crate::config::MaxmemoryPolicy;
use crate::engine::effects;
use crate::engine::propagation;
use crate::engine::state::ServerState;
use crate::keyspace;
use crate::resp::reply;

/// Elements of deleted values freed in one step: some ten microseconds' worth.
const RECLAIM_ELEMENTS: usize = 256;
/// Keys evicted between two looks at the clock.
const KEYS_PER_LOOK: usize = 8;
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

/// Bytes that count against the limit: all that is allocated, and what replies share with the keyspace; but not what
/// only a snapshot that is being written still holds, or no key that is evicted meanwhile would make room. O(1).
#[inline]
fn counted_memory(state: &ServerState) -> usize {
    (state.used_memory() + reply::shared_bytes()).saturating_sub(uncounted_memory(state))
}

/// Bytes that do not count against the limit though they are allocated. O(1).
#[inline]
pub fn uncounted_memory(state: &ServerState) -> usize {
    // What is kept for replicas that come back counts, and what slower ones need beyond it does not.
    let log = &state.keyspace.changes.propagation.log;
    let beyond_backlog_bytes = log.memory_beyond(state.config.repl_backlog_size);
    state.memory.told_bytes + state.keyspace.changes.memory_bytes() + keyspace::held_bytes() + beyond_backlog_bytes
}

#[inline]
fn is_over_limit(state: &ServerState) -> bool {
    state.memory.limit_bytes > 0 && counted_memory(state) > state.memory.limit_bytes
}

/// Makes room before a command, or finds that there is none.
#[inline(always)]
pub fn make_room(state: &mut ServerState) {
    if state.memory.limit_bytes > 0 {
        make_room_within(state);
    }
}

#[inline]
fn make_room_within(state: &mut ServerState) {
    if is_over_limit(state) {
        make_room_slowly(state);
    } else if state.memory.exceeded_since_us.is_some() {
        note_memory(state, Outcome::Within);
    }
}

#[cold]
fn make_room_slowly(state: &mut ServerState) {
    if state.is_amid_unit() || state.keyspace_paused() {
        // A unit is begun with what room there was; and nothing changes while clients are paused.
        state.memory.is_full &= state.is_amid_unit();
        return;
    }
    let started = state.clock.ticks();
    let deadline = started.saturating_add(state.memory.left_ticks);
    let outcome = free_until(state, deadline, state.memory.catch_up_ticks);
    let spent = state.clock.ticks().saturating_sub(started);
    state.memory.left_ticks = state.memory.left_ticks.saturating_sub(spent);
    state.yields |= spent >= state.memory.catch_up_ticks / 2;
    note_memory(state, outcome);
    finish_slice(state, spent);
    // None of this is the command's own time.
    state.start_stopwatch();
}

/// Evicts between polls until the deadline, in ticks; tells whether there is more to do.
pub fn evict_slice(state: &mut ServerState, deadline: u64) -> bool {
    if !is_over_limit(state) || !state.keyspace.evicts() || state.keyspace_paused() {
        return false;
    }
    let started = state.clock.ticks();
    let outcome = free_until(state, deadline, 0);
    note_memory(state, outcome);
    finish_slice(state, state.clock.ticks().saturating_sub(started));
    outcome == Outcome::Unfinished
}

/// Evicts up to so many keys that the policy chooses, random ones under `noeviction`; gives how many that were.
pub fn evict_keys(state: &mut ServerState, keys: usize) -> usize {
    let samples = state.config.maxmemory_samples as usize;
    if !state.keyspace.evicts() {
        state.keyspace.set_eviction(MaxmemoryPolicy::AllkeysRandom, samples);
    }
    let evicted = (0..keys).take_while(|_| state.keyspace.evict()).count();
    state.keyspace.set_eviction(state.config.maxmemory_policy, samples);
    finish_slice(state, 0);
    evicted
}

/// Whether the job that evicts between polls has something to do.
pub fn wants_eviction(state: &ServerState) -> bool {
    is_over_limit(state) && state.keyspace.evicts()
}

/// Frees what was let go of, and evicts keys, until little enough is used. At the deadline it stops, but not before as
/// much is freed as was added since the last time, for which it gets `catch_up_ticks` more.
fn free_until(state: &mut ServerState, deadline: u64, catch_up_ticks: u64) -> Outcome {
    let target_bytes = state.memory.limit_bytes - state.memory.slack_bytes;
    let last_deadline = deadline.saturating_add(catch_up_ticks);
    loop {
        for _ in 0..KEYS_PER_LOOK {
            if counted_memory(state) <= target_bytes {
                return Outcome::Within;
            }
            if state.keyspace.has_garbage() {
                state.keyspace.reclaim_step(RECLAIM_ELEMENTS);
                break;
            } else if !state.keyspace.evict() {
                return match is_over_limit(state) {
                    true => Outcome::Exhausted,
                    false => Outcome::Within,
                };
            }
        }
        let now = state.clock.ticks();
        let counted_bytes = counted_memory(state);
        let ceiling_bytes = state.memory.ceiling_bytes.unwrap_or(usize::MAX);
        if now >= last_deadline || now >= deadline && counted_bytes <= ceiling_bytes {
            state.memory.ceiling_bytes = Some(ceiling_bytes.min(counted_bytes));
            return Outcome::Unfinished;
        }
    }
}

/// Keeps the figures of how long the limit is exceeded, and whether commands are refused for that.
fn note_memory(state: &mut ServerState, outcome: Outcome) {
    let now_us = state.clock.monotonic_us();
    let memory = &mut state.memory;
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

/// Reports what was evicted.
fn finish_slice(state: &mut ServerState, spent_ticks: u64) {
    if !state.is_amid_unit() {
        propagation::end_unit(state, false);
    }
    if !state.keyspace.changes.is_empty() {
        let before_bytes = counted_memory(state);
        effects::tell(state, None);
        let told_bytes = counted_memory(state).saturating_sub(before_bytes);
        state.memory.told_bytes += told_bytes;
    }
    let spent_ms = state.clock.ticks_as_nanos(spent_ticks) / 1_000_000;
    state.note_latency("eviction-cycle", spent_ms);
}

/// For how long more was used than allowed, in ms: since the start, and this time.
pub fn memory_exceeded_ms(state: &ServerState) -> (u64, u64) {
    let now_us = state.clock.monotonic_us();
    let since_us = state.memory.exceeded_since_us.unwrap_or(now_us);
    let current_us = now_us.saturating_sub(since_us);
    ((state.memory.exceeded_us + current_us) / 1000, current_us / 1000)
}
