//! What goes between polls: keys and fields whose time is over, and keys that make room.

use crate::engine::memory_limit;
use crate::engine::propagation;
use crate::engine::state::ServerState;
use crate::engine::wake;

/// Fields that are removed between two looks at what was removed.
const FIELDS_AT_ONCE: usize = 1024;

/// Whether anything is removed because its time is over. On a replica the primary says so.
fn may_expire(state: &ServerState) -> bool {
    state.keyspace.active_expiry && !state.keyspace_paused() && !state.replication.is_replica()
}

/// Removes keys that are due until `deadline` (in ticks); tells whether there are more.
pub fn expire_slice(state: &mut ServerState, deadline: u64) -> bool {
    if state.replication.is_replica() {
        return expire_own_slice(state, deadline);
    }
    if !may_expire(state) {
        return false;
    }
    // With more effort, a smaller share of expired keys is put up with (Redis's own figures).
    let effort = state.config.active_expire_effort as usize;
    let acceptable_percent = 10usize.saturating_sub(effort.saturating_sub(1)).max(1);
    let clock = &state.clock;
    let more = state.keyspace.expire_cycle(acceptable_percent, || clock.ticks() >= deadline);
    propagation::end_unit(state, false);
    if !state.keyspace.changes.is_empty() {
        wake::changes(state);
    }
    more
}

/// Removes what clients of a replica have given an expiry time; the rest is the primary's to remove.
fn expire_own_slice(state: &mut ServerState, deadline: u64) -> bool {
    if !state.keyspace.active_expiry || state.keyspace_paused() {
        return false;
    }
    let mut more = true;
    while more && state.clock.ticks() < deadline {
        more = state.keyspace.expire_own();
    }
    propagation::end_unit(state, false);
    if !state.keyspace.changes.is_empty() {
        wake::changes(state);
    }
    more
}

/// Removes some fields of hashes that are due; tells whether there are more.
pub fn expire_fields_step(state: &mut ServerState, max_fields: usize) -> bool {
    if !may_expire(state) {
        return false;
    }
    let more = state.keyspace.expire_fields_step(max_fields);
    propagation::end_unit(state, false);
    if !state.keyspace.changes.is_empty() {
        wake::changes(state);
    }
    more
}

/// Evicts until the deadline, in ticks; tells whether there is more to do.
pub fn evict_slice(state: &mut ServerState, deadline: u64) -> bool {
    let more = memory_limit::evict_slice(state, deadline);
    wake::serve_ready(state);
    more
}

/// Removes all keys and fields that are due, the key that is overdue for longest first. O(keys): for tests.
pub fn expire_all(state: &mut ServerState) {
    if !may_expire(state) {
        return;
    }
    let now_ms = state.keyspace.now_ms;
    let mut due = Vec::new();
    for (number, database) in state.keyspace.databases().enumerate() {
        let records = database.records().iter().filter(|record| record.is_due(now_ms));
        due.extend(records.map(|record| (record.expiry_ms(), number, record.key().to_vec())));
    }
    due.sort_unstable();
    for (_, database, key) in &due {
        state.keyspace.peek(*database, key);
    }
    while state.keyspace.expire_fields_step(FIELDS_AT_ONCE) {}
    propagation::end_unit(state, false);
    if !state.keyspace.changes.is_empty() {
        wake::changes(state);
    }
}

/// Evicts up to so many keys, whatever memory is in use; gives how many that were. For tests.
pub fn evict_keys(state: &mut ServerState, keys: usize) -> usize {
    let evicted = memory_limit::evict_keys(state, keys);
    wake::serve_ready(state);
    evicted
}
