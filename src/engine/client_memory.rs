//! The limit of all clients' memory together: when it is reached the largest are closed.

use std::collections::BinaryHeap;

use crate::engine::session::Token;
use crate::engine::state::ServerState;

/// Takes out of the clients that may be evicted the largest, until those left are below the limit, for the loop to
/// close. O(clients) when the limit is reached, else O(1).
#[inline]
pub fn clients_to_evict(state: &mut ServerState) -> Vec<Token> {
    if state.clients.memory_limit_reached() { choose_clients(state) } else { Vec::new() }
}

#[cold]
fn choose_clients(state: &mut ServerState) -> Vec<Token> {
    let mut candidates: BinaryHeap<(usize, u64)> = state
        .clients
        .iter()
        .filter(|session| session.counted_bytes > 0 && !session.no_evict)
        .map(|session| (session.counted_bytes, session.id))
        .collect();
    let mut chosen = Vec::new();
    while state.clients.memory_limit_reached()
        && let Some((bytes, id)) = candidates.pop()
    {
        let Some(token) = state.clients.find(id) else {
            continue;
        };
        state.clients.kill(token);
        state.clients.count_memory(token);
        state.stats.evicted_clients += 1;
        if let Some(session) = state.clients.get(token) {
            log::info!("Evicting client: id={id} addr={} tot-mem={bytes}", session.address.peer);
        }
        chosen.push(token);
    }
    chosen
}
