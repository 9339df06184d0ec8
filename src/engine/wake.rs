//! Waking clients that wait: a key is ready, the deadline has passed, or a command ends the wait.

use crate::command::error::CommandError;
use crate::command::registry::CommandId;
use crate::engine::apply;
use crate::engine::call;
use crate::engine::effects;
use crate::engine::nesting::NestingReason;
use crate::engine::propagation;
use crate::engine::routing;
use crate::engine::session::{Blocked, Close, Session, Token};
use crate::engine::state::ServerState;
use crate::keyspace::ObservedKeyId;

/// Why a client stops waiting without having been served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnblockReason {
    /// It gets what its command replies when the time is over.
    TimedOut,
    /// CLIENT UNBLOCK with ERROR.
    Unblocked,
    /// The server has become a replica, whose clients do not write. The client is closed.
    RoleChanged,
}

/// Tells of changes that no command has made: keys whose time was over, for the most part.
pub fn changes(state: &mut ServerState) {
    effects::tell(state, None);
    serve_ready(state);
}

/// Serves the clients that waited for keys which have changed, which changes keys in its turn. One after the other, so
/// that a chain of them of any length needs no stack.
pub fn serve_ready(state: &mut ServerState) {
    state.within(NestingReason::Waking, |state| {
        while let Some(key) = state.blocking.next_ready() {
            serve_key(state, key);
            effects::tell(state, None);
            state.blocking.served(key);
        }
    });
}

/// Runs the requests of the clients that wait for a key again, the first come first, for as long as the key has what
/// they wait for.
///
/// What they change is in the log afterwards. A change of this very key calls for no second round: a client that was
/// passed over had looked at a key of another type, or wants more than such a request can bring.
pub fn serve_key(state: &mut ServerState, id: ObservedKeyId) {
    let Some((database, key)) = state.keyspace.changes.observed_keys().key(id) else {
        return;
    };
    state.blocking.queues.begin(id);
    loop {
        // Asked again for each: the one before may have taken the last element.
        let record = state.keyspace.live(database, &key);
        let type_name = record.map(|record| record.value().type_name());
        let Some(token) = state.blocking.queues.next(id, type_name) else {
            return;
        };
        if let Some(mut session) = state.clients.checkout(token) {
            // A client that is being closed could not receive what is taken out for it.
            if session.close == Close::No {
                run_again(state, &mut session);
                propagation::end_unit_of(state, &mut session, true);
            }
            state.clients.checkin(session);
        }
    }
}

fn run_again(state: &mut ServerState, session: &mut Session) {
    let mut reply = std::mem::take(&mut session.reply);
    apply::resume(state, session, &mut reply);
    session.reply = reply;
    if session.blocked != Some(Blocked::Keys) {
        go_on(state, session);
    }
}

/// Has the client's reply sent, and what it has asked for meanwhile served.
pub fn go_on(state: &mut ServerState, session: &mut Session) {
    state.clients.queue_flush(session);
    state.clients.queue_resume(session.token);
    if session.close != Close::No {
        state.clients.queue_close(session.token);
    }
}

/// Serves every key that clients wait for: for the end of CLIENT PAUSE, which may have kept some from being served.
pub fn serve_all(state: &mut ServerState) {
    state.blocking.signal_all();
    changes(state);
}

/// Runs a client's request again because it is time to; it asks for another time if it finds nothing.
fn look_again(state: &mut ServerState, token: Token) {
    let Some(mut session) = state.clients.checkout(token) else {
        return;
    };
    state.blocking.look_again_at(&mut session, None);
    if session.waiting.is_some() && session.close == Close::No {
        // What it changes is published once the session is checked in.
        state.within(NestingReason::Waking, |state| run_again(state, &mut session));
        propagation::end_unit_of(state, &mut session, true);
    }
    state.clients.checkin(session);
    changes(state);
}

/// Runs a client's request again if it still waits with this command; says whether it does so afterwards.
pub fn run_waiting(state: &mut ServerState, token: Token, command: CommandId) -> bool {
    let waits = |state: &ServerState| {
        let waiting = state.clients.get(token).and_then(|session| session.waiting.as_ref());
        waiting.is_some_and(|waiting| waiting.command == command)
    };
    if waits(state) {
        look_again(state, token);
    }
    waits(state)
}

/// Runs the requests of those again who wait for the disk or for replicas: more is safe now.
pub fn look_at_safety(state: &mut ServerState) {
    state.blocking.seen = state.safety();
    let waiting = std::mem::take(&mut state.blocking.for_disk);
    waiting.iter().for_each(|token| look_again(state, *token));
    let waits = |token: &Token| {
        let session = state.clients.get(*token);
        session.is_some_and(|session| session.waiting.is_some())
    };
    let still: Vec<Token> = waiting.into_iter().filter(waits).collect();
    state.blocking.for_disk.extend(still);
}

/// Ends a client's wait without serving it; tells whether it waited for keys.
pub fn end(state: &mut ServerState, token: Token, ending: UnblockReason) -> bool {
    let primary = state.config.replicaof.as_ref().map(routing::redirection);
    end_wait(state, token, |session| match ending {
        UnblockReason::TimedOut => None,
        UnblockReason::Unblocked => Some(CommandError::fixed("UNBLOCKED client unblocked via CLIENT UNBLOCK")),
        UnblockReason::RoleChanged if session.follows_redirects && primary.is_some() => primary,
        UnblockReason::RoleChanged => {
            session.close = Close::AfterReply;
            Some(CommandError::fixed(
                "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
            ))
        }
    })
}

/// The same with this error.
pub fn end_with_error(state: &mut ServerState, token: Token, error: CommandError) -> bool {
    end_wait(state, token, |_| Some(error))
}

/// Ends a wait with the error that is chosen for the client, or as if its time were over.
fn end_wait(state: &mut ServerState, token: Token, choose: impl FnOnce(&mut Session) -> Option<CommandError>) -> bool {
    let Some(mut session) = state.clients.checkout(token) else {
        return false;
    };
    let waiting = match session.close {
        Close::No => state.stop_waiting(&mut session),
        Close::AfterReply | Close::Now => None,
    };
    let waited = waiting.is_some();
    if let Some(waiting) = waiting {
        let error = choose(&mut session);
        let mut reply = std::mem::take(&mut session.reply);
        call::conclude(state, &mut session, &mut reply, *waiting, error);
        session.reply = reply;
        go_on(state, &mut session);
    }
    state.clients.checkin(session);
    waited
}

/// Runs the requests again that wait for a time, and ends the waits whose deadlines have passed.
pub fn run_timeouts(state: &mut ServerState) {
    for token in state.blocking.due_looks(state.now_ms()) {
        look_again(state, token);
    }
    while let Some(token) = state.blocking.next_overdue(state.now_ms()) {
        end(state, token, UnblockReason::TimedOut);
    }
}

/// Serves the clients that a pause has held back; gives those whose requests were not even begun.
pub fn end_pause(state: &mut ServerState) -> Vec<Token> {
    serve_all(state);
    let mut paused = state.clients.take_paused();
    paused.retain(|token| match state.clients.get_mut(*token) {
        Some(session) => {
            session.blocked = None;
            true
        }
        None => false,
    });
    paused
}
