//! FAILOVER: carries out what the machine (`replication::failover`) decides.

use crate::engine::pause::PauseReason;
use crate::engine::state::ServerState;
use crate::replication::failover::{Action, Candidate, FailoverError, FailoverRequest, FailoverState};

use super::{primary, replica};

/// The replicas as the machine sees them.
fn candidates(state: &ServerState) -> Vec<Candidate> {
    let all = state.replication.primary.replicas.iter();
    let known = all.filter_map(|replica| {
        let session = state.clients.get(replica.client)?;
        Some(Candidate {
            address: (primary::host_of(&replica.announced, session), replica.announced.port),
            is_online: replica.state.is_online(),
            acked_offset: replica.acked_offset,
        })
    });
    known.collect()
}

/// Begins a failover.
///
/// # Errors
///
/// It is not possible; nothing has changed.
pub fn begin(state: &mut ServerState, request: FailoverRequest) -> Result<(), FailoverError> {
    let candidates = candidates(state);
    let (is_primary, now_ms) = (!state.replication.is_replica(), state.now_ms());
    let actions = state.replication.failover.begin(request, is_primary, &candidates, now_ms)?;
    carry_out(state, actions);
    Ok(())
}

/// Gives a failover up.
///
/// # Errors
///
/// There is none.
pub fn abort(state: &mut ServerState) -> Result<(), FailoverError> {
    let actions = state.replication.failover.abort()?;
    carry_out(state, actions);
    Ok(())
}

/// Goes on with a failover, in each turn of the loop.
pub fn tend(state: &mut ServerState) {
    if let Some(has_taken_over) = state.replication.takeover.take() {
        conclude(state, has_taken_over);
    }
    if state.replication.failover.state() == FailoverState::WaitingForSync {
        let candidates = candidates(state);
        let (offset, now_ms) = (state.replication_offset(), state.now_ms());
        let actions = state.replication.failover.on_turn(offset, &candidates, now_ms);
        carry_out(state, actions);
    }
}

/// The other server has taken over, or it has refused to.
fn conclude(state: &mut ServerState, has_taken_over: bool) {
    let failover = &mut state.replication.failover;
    let actions = if has_taken_over { failover.on_done() } else { failover.on_rejected() };
    carry_out(state, actions);
}

fn carry_out(state: &mut ServerState, actions: Vec<Action>) {
    for action in actions {
        match action {
            Action::Log(text) => log::info!("{text}"),
            Action::PauseWrites => state.hold_writes(PauseReason::Failover, true),
            Action::ResumeWrites => state.hold_writes(PauseReason::Failover, false),
            Action::Follow((host, port)) => replica::take_second_place(state, &host, port),
            Action::StayPrimary => replica::promote(state),
        }
    }
}
