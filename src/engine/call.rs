//! The way of one request: found, admitted, run, settled.

use crate::engine::blocking::BlockedState;
use crate::engine::effects;
use crate::engine::enforcement;
use crate::engine::memory_limit;
use crate::engine::monitor;
use crate::engine::propagation;
use crate::engine::session::{Blocked, Close, Mode, ReplyMode, Session};
use crate::engine::state::ServerState;
use crate::engine::unflushed;
use crate::observe::crash_context;
use crate::resp::reply::{Mark, Reply};

use super::gate::{self, Verdict};
use crate::command::error::{CommandError, CommandResult};
use crate::command::registry::CommandId;
use crate::command::spec::{Flag, FlagSet};
use crate::engine::context::Context;
use crate::resp::Args;

/// Time between two log lines about attacks, in ms.
const ATTACK_LOG_PERIOD_MS: u64 = 60_000;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Done,
    /// Not now (CLIENT PAUSE): to be given again later.
    Paused,
}

/// Runs a request that waited once more. Afterwards the client waits still, or has its reply.
pub fn resume(state: &mut ServerState, session: &mut Session, reply: &mut Reply) {
    let Some(waiting) = &mut session.waiting else {
        return;
    };
    let request = std::mem::take(&mut waiting.request);
    let command = waiting.command;
    let mark = reply.mark();
    session.blocked = None;
    // It is no request of the batch that has woken it.
    let longest = state.recorder.longest;
    state.start_stopwatch();
    let flow = run(state, session, reply, request.as_args(), Some(command));
    state.recorder.longest = longest;
    if flow == Flow::Paused {
        // At the end of the pause every key that somebody waits for is looked at.
        session.blocked = Some(Blocked::Keys);
    }
    match &mut session.waiting {
        Some(waiting) if session.blocked == Some(Blocked::Keys) => waiting.request = request,
        _ => {
            state.stop_waiting(session);
            leave_out(session, reply, mark);
        }
    }
}

/// Replies to a request that has waited in vain, with an error or as its time is over, and counts it.
pub fn conclude(
    state: &mut ServerState,
    session: &mut Session,
    reply: &mut Reply,
    mut waiting: BlockedState,
    error: Option<CommandError>,
) {
    let mark = reply.mark();
    let mut failed = error.is_some();
    match &error {
        None if waiting.answers_late => failed = !answer_late(state, session, reply, &waiting),
        None => reply.null_array(),
        Some(error) => reply_error(state, reply, error),
    }
    let (ticks, _) = waiting.note_run(0);
    let (command, args) = (waiting.command, waiting.request.as_args());
    let flags = state.commands.get(command).flags;
    account(state, session, command, args, flags, ticks, failed);
    leave_out(session, reply, mark);
}

/// Has a request that may not wait any longer reply with what there is; says whether it did.
fn answer_late(state: &mut ServerState, session: &mut Session, reply: &mut Reply, waiting: &BlockedState) -> bool {
    let handler = state.runs.of(waiting.command).handler;
    let could_block = !std::mem::replace(&mut session.deny_blocking, true);
    let mut context = Context { state, session, reply, command: waiting.command };
    let result = handler(&mut context, waiting.request.as_args());
    session.deny_blocking = !could_block;
    if let Err(error) = &result {
        reply_error(state, reply, error);
    }
    result.is_ok()
}

/// A command that was begun by one turn of the loop and ended by another.
pub struct Done<'a> {
    pub command: CommandId,
    pub args: Args<'a>,
    pub ticks: u64,
    /// Where its reply begins; none for one within a transaction.
    pub mark: Option<Mark>,
    pub result: CommandResult,
}

/// Replies with the error of a command that was suspended, if it failed, and counts it.
pub fn conclude_suspended(state: &mut ServerState, session: &mut Session, reply: &mut Reply, done: Done<'_>) {
    let failed = done.result.is_err();
    if let Err(error) = &done.result {
        reply_error(state, reply, error);
    }
    let flags = state.commands.get(done.command).flags;
    let (command, args, ticks) = (done.command, done.args, done.ticks);
    account(state, session, command, args, flags, ticks, failed);
    if let Some(mark) = done.mark {
        leave_out(session, reply, mark);
    }
}

/// Runs a request, if it may.
#[inline]
pub fn run(
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
    memory_limit::make_room(state);
    if state.is_restricted {
        unflushed::note_dependence(state, session, args, resolved);
    }
    match gate::admit(state, session, reply.protocol(), args, resolved) {
        Verdict::Run(command) => {
            call(&mut Context { state, session, reply, command }, args);
        }
        Verdict::Queue(command, flags) => queue(state, session, reply, args, command, flags),
        Verdict::Deny(command, denial) => {
            let mut context = Context { state, session, reply, command };
            let error = enforcement::refusal(&mut context, args, denial);
            refuse(context.state, context.session, context.reply, resolved, error);
        }
        Verdict::Refuse(error) => refuse(state, session, reply, resolved, error),
        Verdict::Pause => return Flow::Paused,
        Verdict::Abort => abort(state, session),
    }
    Flow::Done
}

/// Takes a reply back that the client does not want (CLIENT REPLY). One to come later is still to be left out.
#[inline]
pub fn leave_out(session: &mut Session, reply: &mut Reply, mark: Mark) {
    match session.reply_mode {
        ReplyMode::On | ReplyMode::SkipNext => {}
        ReplyMode::Off => reply.truncate(mark),
        ReplyMode::Skipping => {
            reply.truncate(mark);
            let is_suspended = matches!(session.blocked, Some(Blocked::Script | Blocked::Migration));
            if session.waiting.is_none() && !is_suspended {
                session.reply_mode = ReplyMode::On;
            }
        }
    }
}

/// Runs a command and settles what follows from it.
#[inline]
pub fn call(context: &mut Context<'_>, args: Args<'_>) {
    let handler = context.state.runs.of(context.command).handler;
    let flags = context.state.commands.get(context.command).flags;
    let keyspace = &mut context.state.keyspace;
    keyspace.no_touch = context.session.no_touch;
    let total = keyspace.changes.total();
    keyspace.changes.propagation.begin(total);
    crash_context::begin_command(context.command);
    let result = handler(context, args);
    crash_context::end_command();
    let elapsed = context.state.lap_ticks();
    let failed = result.is_err();
    if let Err(error) = result {
        reply_error(context.state, context.reply, &error);
    }
    settle(context, args, flags, elapsed, failed);
}

/// Counts and logs a command that has run, then publishes its changes. One that waits counts when it is
/// over, with the time of all its runs, and monitors hear of the first.
#[inline]
fn settle(context: &mut Context<'_>, args: Args<'_>, flags: FlagSet, elapsed: u64, failed: bool) {
    let Context { state, session, reply, command } = context;
    let (ticks, is_new) = match &mut session.waiting {
        None => (elapsed, true),
        Some(waiting) => waiting.note_run(elapsed),
    };
    let is_over = !matches!(session.blocked, Some(Blocked::Keys | Blocked::Script | Blocked::Migration));
    if is_over {
        account(state, session, *command, args, flags, ticks, failed);
    }
    if is_new && state.clients.has_monitors() {
        monitor::feed(state, session, reply, args, flags);
    }
    if !session.redacted.is_empty() {
        session.redacted.clear();
    }
    if state.keyspace.changes.propagation.is_on() {
        propagation::command_done(state, session, args, flags);
    }
    if state.has_effects() {
        effects::after_command(state, session);
    }
    if session.is_tracking {
        effects::track(state, session, *command, args);
    }
}

/// Counts a command that is over, and notes it if it was slow. Out of line it would cost a request twenty instructions.
#[inline(always)]
fn account(
    state: &mut ServerState,
    session: &mut Session,
    command: CommandId,
    args: Args<'_>,
    flags: FlagSet,
    ticks: u64,
    failed: bool,
) {
    session.traffic.commands += 1;
    state.stats.commands += 1;
    let tracking = state.config.latency_tracking && !flags.has(Flag::NoLatency);
    state.command_stats.record(command, ticks, failed, tracking);
    state.recorder.note_command(command, ticks);
    if ticks >= state.slow_ticks {
        effects::slow_command(state, session, command, args, ticks);
    }
}

/// Writes an error reply and counts it, unless it is written already.
pub fn reply_error(state: &mut ServerState, reply: &mut Reply, error: &CommandError) {
    if error.is_within_reply() {
        return;
    }
    if !error.is_counted() {
        state.error_stats.record(error.text());
    }
    reply.error(error.bytes());
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
    if let Some(command) = resolved {
        state.command_stats.record_rejected(command);
        if state.commands.get(command).flags.has(Flag::RunsQueue) {
            state.abandon_transaction(session);
            let reason = error.text();
            let reason = reason.strip_prefix("ERR ").unwrap_or(reason);
            error = CommandError::new(format!("EXECABORT Transaction discarded because of: {reason}"));
        }
    }
    reply_error(state, reply, &error);
}

/// Closes a connection over which somebody attacks; what was answered before is not sent either.
#[cold]
fn abort(state: &mut ServerState, session: &mut Session) {
    session.close = Close::Now;
    let now_ms = state.now_ms();
    let since_ms = now_ms.saturating_sub(state.attack_logged_ms);
    // An attacker must not fill the disk with log lines.
    if since_ms.unsigned_abs() > ATTACK_LOG_PERIOD_MS {
        state.attack_logged_ms = now_ms;
        log::warn!(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. \
             Most likely a web page makes its reader's browser talk to this port (cross-protocol scripting). \
             Connection from {} aborted.",
            session.address.peer
        );
    }
}
