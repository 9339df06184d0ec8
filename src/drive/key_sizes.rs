//! INFO keysizes: how large the keys of each type are.
//!
//! Nothing is counted where keys change: a request pays nothing for this. A small keyspace is walked at once, when it
//! is asked for. A larger one is walked by a job, over a pinned version, while the client that asks waits: so the
//! figures are exact, as of an instant between its request and its reply, and nobody else waits.

use crate::engine::key_sizes::{Sizes, Waiting};
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::keyspace::{Keyspace, Version};

/// So many keys are walked at once: less than half a millisecond.
pub const AT_ONCE_KEYS: usize = 4096;

/// Whether the keys are so few that they are walked at once.
pub fn are_few(keyspace: &Keyspace) -> bool {
    keyspace.databases().map(|database| database.len()).sum::<usize>() <= AT_ONCE_KEYS
}

/// The sizes of few keys as they are now, or else what the last walk found.
pub fn lines(state: &ServerState) -> Vec<(String, String)> {
    if !are_few(&state.keyspace) {
        return state.blocking.key_sizes.known().lines();
    }
    let mut sizes = Sizes::default();
    let mut version = state.keyspace.pin();
    while walk(&mut version, &mut sizes) {}
    sizes.lines()
}

/// Goes on with the walk that is under way: some ten microseconds' worth; says whether there is more to do.
pub fn step(state: &mut ServerState) -> bool {
    serve(state);
    let keyspace = &state.keyspace;
    let Some(mut under_way) = state.blocking.key_sizes.take_walk(|| keyspace.pin()) else {
        return false;
    };
    if walk(&mut under_way.version, &mut under_way.found) {
        state.blocking.key_sizes.go_on(under_way);
    } else {
        state.blocking.key_sizes.end(under_way);
        serve(state);
    }
    state.blocking.key_sizes.have_work()
}

/// Looks at the next keys, or goes on to the next database; says whether there was any. O(1), at most some hundred
/// keys.
fn walk(version: &mut Version, sizes: &mut Sizes) -> bool {
    let Some(database) = version.database() else {
        return false;
    };
    version.next_records(|record| sizes.add(database.number, record.value()));
    true
}

/// Has the requests run again whose walk is over. While clients are paused they do not run.
fn serve(state: &mut ServerState) {
    let still: Vec<Waiting> = state.blocking.key_sizes.take_served();
    let still = still.into_iter().filter(|(token, command)| wake::run_waiting(state, *token, *command)).collect();
    state.blocking.key_sizes.serve_later(still);
}
