//! One request of a client, from its arguments to everything that follows from it.

use crate::command::registry::CommandId;
use crate::command::spec::Group;
use crate::engine::apply::{self, Flow};
use crate::engine::call;
use crate::engine::command_sizes;
use crate::engine::session::{ReplyMode, Session};
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::resp::{Args, Reply};

/// Keys too many in the table of tracked keys that one command forgets.
const TRACKED_KEYS_STEP: usize = 100;

/// Carries a client's request out; the reply is in `reply` when it returns.
pub fn execute(state: &mut ServerState, session: &mut Session, reply: &mut Reply, args: Args<'_>) -> Flow {
    let resolved = state.commands.resolve(&args[0], args.get(1)).map(|command| command.id);
    state.start_stopwatch();
    let reply_start = reply.len();
    let flow = execute_resolved(state, session, reply, args, resolved);
    command_sizes::note_request(state, session, args, reply.len().saturating_sub(reply_start));
    flow
}

/// Carries out a request whose command is already known (or known to be none), and whose time
/// runs since the last request's end or since `ServerState::start_stopwatch`.
#[inline]
pub fn execute_resolved(
    state: &mut ServerState,
    session: &mut Session,
    reply: &mut Reply,
    args: Args<'_>,
    resolved: Option<CommandId>,
) -> Flow {
    if session.is_tracking {
        forget_keys_beyond_limit(state, session, reply);
    }
    let mark = reply.mark();
    session.last_command = resolved;
    if session.reply_mode == ReplyMode::SkipNext {
        session.reply_mode = ReplyMode::Skipping;
    }
    let flow = apply::request(state, session, reply, args, resolved);
    if flow == Flow::Done {
        call::leave_out(session, reply, mark);
    }
    if !state.is_amid_unit() && state.blocking.has_ready() {
        wake::serve_ready(state);
    }
    if session.is_tracking && session.transaction.is_none() {
        forget_caching(state, session, resolved);
    }
    if state.clients.has_deferred_pushes() {
        state.clients.deliver_deferred_pushes(session, reply);
    }
    flow
}

/// A client that tracks hears of keys that there is no room for before its next reply.
#[cold]
fn forget_keys_beyond_limit(state: &mut ServerState, session: &Session, reply: &mut Reply) {
    state.limit_tracking(TRACKED_KEYS_STEP);
    if state.clients.has_deferred_pushes() {
        state.clients.deliver_deferred_pushes(session, reply);
    }
}

/// CLIENT CACHING is for the next command or transaction only. Other subcommands of CLIENT may stand in between.
#[cold]
fn forget_caching(state: &mut ServerState, session: &Session, resolved: Option<CommandId>) {
    let parent = resolved.and_then(|id| state.commands.get(id).parent);
    let is_about_client = parent.is_some_and(|id| state.commands.get(id).spec.group == Group::Connection);
    if !is_about_client && let Some(tracker) = state.tracking.tracker_mut(session.id) {
        tracker.caching = false;
    }
}
