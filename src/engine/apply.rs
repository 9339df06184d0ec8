//! The one way to run a command, wherever it comes from: admitted, called, settled (`apply`). A client's request takes
//! it by `request`, a script's command and one of an append-only file take it directly.
//!
//! What differs between the origins is in the session's policy (`engine/origin.rs`).

use crate::command::error::CommandError;
use crate::command::registry::CommandId;
use crate::command::spec::{Flag, FlagSet};
use crate::engine::call;
use crate::engine::command_sizes;
use crate::engine::context::Context;
use crate::engine::enforcement;
use crate::engine::gate::{self, Verdict};
use crate::engine::memory_limit;
use crate::engine::origin::Admission;
use crate::engine::session::{Blocked, Close, Mode, Session};
use crate::engine::slot_stats;
use crate::engine::state::ServerState;
use crate::engine::unflushed;
use crate::resp::{Args, Reply};

/// Time between two log lines about attacks, in ms.
const ATTACK_LOG_PERIOD_MS: u64 = 60_000;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Done,
    /// Not now (CLIENT PAUSE): to be given again later.
    Paused,
}

/// Runs a command, wherever it comes from, if its origin lets it: admitted, called, counted and published as the
/// session's policy says.
///
/// Errors: why it was refused. Nothing was replied.
#[inline]
pub fn apply(
    state: &mut ServerState,
    session: &mut Session,
    reply: &mut Reply,
    args: Args<'_>,
    resolved: Option<CommandId>,
) -> Result<Flow, CommandError> {
    match admit(state, session, reply, args, resolved) {
        Verdict::Run(command) => {
            call::call(&mut Context { state, session, reply, command }, args);
            Ok(Flow::Done)
        }
        verdict => pass_over(state, session, reply, args, resolved, verdict),
    }
}

/// What the rules of the session's origin say of a command.
#[inline]
fn admit(
    state: &mut ServerState,
    session: &mut Session,
    reply: &Reply,
    args: Args<'_>,
    resolved: Option<CommandId>,
) -> Verdict {
    match session.policy.admission {
        Admission::Request => {
            memory_limit::make_room(state);
            if state.guard.is_on {
                session.begin_request();
                if state.config.import_mode {
                    state.begin_request_in_import_mode(session.imports);
                }
                if state.guard.is_restricted {
                    unflushed::note_dependence(state, session, args, resolved);
                    slot_stats::begin_request(state, session, args, resolved, reply.len());
                }
            }
            gate::admit(state, session, reply.protocol(), args, resolved)
        }
        Admission::Script => gate::admit_in_script(state, session, args, resolved),
        Admission::Trusted => gate::admit_trusted(state, args, resolved),
        Admission::Stream => gate::admit_of_stream(state, session, args, resolved),
        Admission::Slots => {
            memory_limit::make_room(state);
            gate::admit_of_source(state, session, args, resolved)
        }
    }
}

/// Does what a verdict says that lets the command not run now.
///
/// Errors: why it was refused. Nothing was replied.
#[inline(never)]
fn pass_over(
    state: &mut ServerState,
    session: &mut Session,
    reply: &mut Reply,
    args: Args<'_>,
    resolved: Option<CommandId>,
    verdict: Verdict,
) -> Result<Flow, CommandError> {
    match verdict {
        Verdict::Run(_) => {}
        Verdict::Queue(command, flags) => queue(state, session, reply, args, command, flags),
        Verdict::Deny(command, denial) => {
            let mut context = Context { state, session, reply, command };
            let error = enforcement::refusal(&mut context, args, denial);
            return Err(rejected(context.state, context.session, resolved, error));
        }
        Verdict::Refuse(error) | Verdict::Redirect(error) => return Err(rejected(state, session, resolved, error)),
        Verdict::Pause => {
            session.put_request_off();
            return Ok(Flow::Paused);
        }
        Verdict::Abort => abort(state, session),
    }
    Ok(Flow::Done)
}

/// Counts a command that was refused.
#[cold]
fn rejected(
    state: &mut ServerState,
    session: &Session,
    resolved: Option<CommandId>,
    error: CommandError,
) -> CommandError {
    if let Some(command) = resolved.filter(|_| session.policy.is_counted) {
        state.command_stats.record_rejected(command);
    }
    error
}

/// Runs a client's request, and replies if it is refused.
#[inline]
pub fn request(
    state: &mut ServerState,
    session: &mut Session,
    reply: &mut Reply,
    args: Args<'_>,
    resolved: Option<CommandId>,
) -> Flow {
    if session.mode == Mode::Debugging {
        (state.program.debugger_request)(state, session, reply, args);
        return Flow::Done;
    }
    // Not by way of `apply`: its result goes through memory, which costs 8 instructions more for each GET (callgrind).
    match admit(state, session, reply, args, resolved) {
        Verdict::Run(command) => {
            call::call(&mut Context { state, session, reply, command }, args);
            Flow::Done
        }
        verdict => pass_request_over(state, session, reply, args, resolved, verdict),
    }
}

/// Does what a verdict says that lets a client's request not run now, and replies if it was refused.
#[inline(never)]
fn pass_request_over(
    state: &mut ServerState,
    session: &mut Session,
    reply: &mut Reply,
    args: Args<'_>,
    resolved: Option<CommandId>,
    verdict: Verdict,
) -> Flow {
    session.traffic.passed_over_at = session.traffic.commands;
    if let Verdict::Redirect(error) = verdict {
        let error = rejected(state, session, resolved, error);
        redirect(state, session, reply, resolved, error);
        return Flow::Done;
    }
    pass_over(state, session, reply, args, resolved, verdict).unwrap_or_else(|error| {
        refuse(state, session, reply, resolved, error);
        Flow::Done
    })
}

/// Runs a request that waited once more. Afterwards the client waits still, or has its reply.
pub fn resume(state: &mut ServerState, session: &mut Session, reply: &mut Reply) {
    let Some(waiting) = &mut session.waiting else {
        return;
    };
    let kept = std::mem::take(&mut waiting.request);
    let command = waiting.command;
    let mark = reply.mark();
    session.blocked = None;
    // It is no request of the batch that has woken it.
    let longest = state.recorder.longest;
    state.start_stopwatch();
    let flow = request(state, session, reply, kept.as_args(), Some(command));
    state.recorder.longest = longest;
    if flow == Flow::Paused {
        // At the end of the pause every key that clients wait for is looked at.
        session.blocked = Some(Blocked::Keys);
    }
    match &mut session.waiting {
        Some(waiting) if session.blocked == Some(Blocked::Keys) => waiting.request = kept,
        _ => {
            state.stop_waiting(session);
            call::leave_out(session, reply, mark);
            command_sizes::note(state, session, command, kept.as_args(), reply.len_since(mark));
        }
    }
}

/// Keeps a command for EXEC.
fn queue(
    state: &mut ServerState,
    session: &mut Session,
    reply: &mut Reply,
    args: Args<'_>,
    command: CommandId,
    flags: FlagSet,
) {
    if let Some(transaction) = &mut session.transaction {
        let command = state.commands.get(command);
        transaction.push(command, flags, args, &state.keyspace);
        reply.raw(b"+QUEUED\r\n");
    }
}

/// Replies to a client's request that was refused.
#[cold]
fn refuse(
    state: &mut ServerState,
    session: &mut Session,
    reply: &mut Reply,
    resolved: Option<CommandId>,
    mut error: CommandError,
) {
    if let Some(transaction) = &mut session.transaction {
        transaction.mark_dirty_exec();
    }
    if runs_queue(state, resolved) {
        state.abandon_transaction(session);
        let reason = error.text();
        let reason = reason.strip_prefix("ERR ").unwrap_or(reason);
        error = CommandError::new(format!("EXECABORT Transaction discarded because of: {reason}"));
    }
    call::reply_error(state, reply, &error);
}

/// Tells a client that its request, or its transaction, is not for this node.
#[cold]
fn redirect(
    state: &mut ServerState,
    session: &mut Session,
    reply: &mut Reply,
    resolved: Option<CommandId>,
    error: CommandError,
) {
    match &mut session.transaction {
        Some(_) if runs_queue(state, resolved) => state.abandon_transaction(session),
        Some(transaction) => transaction.mark_dirty_exec(),
        None => {}
    }
    call::reply_error(state, reply, &error);
}

fn runs_queue(state: &ServerState, resolved: Option<CommandId>) -> bool {
    resolved.is_some_and(|command| state.commands.get(command).flags.has(Flag::RunsQueue))
}

/// Closes a connection that is used for an attack; replies that wait are not sent either.
#[cold]
fn abort(state: &mut ServerState, session: &mut Session) {
    session.close = Close::Now;
    let now_ms = state.now_ms();
    let since_ms = now_ms.saturating_sub(state.log_times.attack_ms);
    // An attacker must not fill the disk with log lines.
    if since_ms.unsigned_abs() > ATTACK_LOG_PERIOD_MS {
        state.log_times.attack_ms = now_ms;
        log::warn!(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. \
             Most likely a web page makes its reader's browser talk to this port (cross-protocol scripting). \
             Connection from {} aborted.",
            session.address.peer
        );
    }
}
