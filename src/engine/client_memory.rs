//! The limit of all clients' memory together: when it is reached the largest are closed.

use std::collections::BinaryHeap;

use crate::engine::session::Token;
use crate::engine::state::ServerState;

impl ServerState {
    /// Takes out of the clients that may be evicted the largest, until those left are below the limit, for the loop to close.
    /// O(clients) when the limit is reached, else O(1).
    #[inline]
    pub fn clients_to_evict(&mut self) -> Vec<Token> {
        if self.clients.memory_limit_reached() { self.choose_clients() } else { Vec::new() }
    }

    #[cold]
    fn choose_clients(&mut self) -> Vec<Token> {
        let mut candidates: BinaryHeap<(usize, u64)> = self
            .clients
            .iter()
            .filter(|session| session.counted_bytes > 0 && !session.no_evict)
            .map(|session| (session.counted_bytes, session.id))
            .collect();
        let mut chosen = Vec::new();
        while self.clients.memory_limit_reached()
            && let Some((bytes, id)) = candidates.pop()
        {
            let Some(token) = self.clients.find(id) else {
                continue;
            };
            self.clients.kill(token);
            self.clients.count_memory(token);
            self.stats.evicted_clients += 1;
            if let Some(session) = self.clients.get(token) {
                log::info!("Evicting client: id={id} addr={} tot-mem={bytes}", session.address.peer);
            }
            chosen.push(token);
        }
        chosen
    }
}
