//! The primary's side: the backlog, and the replicas that come and go.

use crate::engine::state::ServerState;
use crate::keyspace::Target;

/// Keeps the stream's last bytes from now on, for replicas that come back. A history begins with the backlog, unless a
/// server goes on with one that it was told: then `is_new` is false. Nothing happens if there is a backlog.
pub fn begin_backlog(state: &mut ServerState, is_new: bool) {
    if state.replication.primary.backlog.is_some() {
        return;
    }
    if is_new {
        let id = state.new_history_id();
        state.replication.identity.begin(id);
        log::info!(
            "Replication backlog created, my new replication IDs are '{id}' and '{}'",
            state.replication.identity.second_id
        );
    }
    let log = &mut state.keyspace.changes.propagation.log;
    state.replication.primary.backlog = Some(log.attach_backlog(Target::Replicas, state.config.repl_backlog_size));
}

/// Gives the backlog up.
pub fn end_backlog(state: &mut ServerState) {
    if let Some(backlog) = state.replication.primary.backlog.take() {
        state.keyspace.changes.propagation.log.detach(backlog);
    }
}

/// Disconnects all replicas of this server; they come back and are told what has changed.
pub fn drop_replicas(state: &mut ServerState) {
    let all: Vec<_> = state.replication.primary.replicas.iter().map(|replica| replica.client).collect();
    all.into_iter().for_each(|client| state.clients.kill(client));
}
