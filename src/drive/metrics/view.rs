//! What figures are taken from: the state, and what was gathered before the text was begun.

use crate::engine::state::ServerState;
use crate::observe::loop_stats::LoopStats;

/// Sums over all clients.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientFigures {
    pub blocked: u64,
    pub memory_bytes: u64,
}

/// What figures are taken from.
pub struct View<'a> {
    pub state: &'a ServerState,
    pub clients: ClientFigures,
    pub turns: &'a LoopStats,
}
