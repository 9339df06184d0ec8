//! One command: its handler, and what follows from it.
//!
//! Whether it may run is decided before (`apply`).

use crate::base::logging;
use crate::engine::blocking::BlockedState;
use crate::engine::command_sizes;
use crate::engine::effects;
use crate::engine::key_costs;
use crate::engine::monitor;
use crate::engine::propagation;
use crate::engine::session::{Blocked, ReplyMode, Session};
use crate::engine::slot_stats;
use crate::engine::state::ServerState;
use crate::observe::crash_context;
use crate::resp::reply::{Mark, Reply};

use crate::command::error::{CommandError, CommandResult};
use crate::command::registry::CommandId;
use crate::command::spec::{Flag, FlagSet};
use crate::engine::context::Context;
use crate::resp::Args;

/// Replies to a request that has waited in vain, with an error or as its time is over, and counts it.
pub fn conclude(
    state: &mut ServerState,
    session: &mut Session,
    reply: &mut Reply,
    mut waiting: BlockedState,
    error: Option<CommandError>,
) {
    let mark = reply.mark();
    slot_stats::begin_late(state, session, waiting.command, waiting.request.as_args(), reply.len());
    let mut failed = error.is_some();
    match &error {
        None if waiting.answers_late => failed = !answer_late(state, session, reply, &waiting),
        None => reply.null_array(),
        Some(error) => reply_error(state, reply, error),
    }
    let (ticks, _) = waiting.note_run(0);
    let (command, args) = (waiting.command, waiting.request.as_args());
    let flags = state.commands.get(command).flags;
    account(&mut Context { state, session, reply, command }, args, flags, ticks, failed);
    leave_out(session, reply, mark);
    command_sizes::note(state, session, command, args, reply.len_since(mark));
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
    account(&mut Context { state, session, reply, command }, args, flags, ticks, failed);
    if let Some(mark) = done.mark {
        leave_out(session, reply, mark);
        command_sizes::note(state, session, command, args, reply.len_since(mark));
    }
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
    if context.session.policy.is_counted {
        let elapsed = context.state.lap_ticks();
        let failed = result.is_err();
        if let Err(error) = result {
            reply_error(context.state, context.reply, &error);
        }
        count(context, args, flags, elapsed, failed);
    } else if let Err(error) = result {
        reply_uncounted_error(context, &error);
    }
    publish(context, args, flags);
}

/// Counts and logs a command that has run. One that waits counts when it is over, with the time of all its runs, and
/// monitors hear of the first.
#[inline]
fn count(context: &mut Context<'_>, args: Args<'_>, flags: FlagSet, elapsed: u64, failed: bool) {
    let (ticks, is_new) = match &mut context.session.waiting {
        None => (elapsed, true),
        Some(waiting) => waiting.note_run(elapsed),
    };
    let is_over = !matches!(context.session.blocked, Some(Blocked::Keys | Blocked::Script | Blocked::Migration));
    if is_over {
        account(context, args, flags, ticks, failed);
    }
    let Context { state, session, reply, .. } = context;
    if is_new && state.clients.has_monitors() {
        monitor::feed(state, session, reply, args, flags);
    }
}

/// Replies with the error of a command that nothing counts. It has failed when it was first run, or is of another
/// version.
#[cold]
fn reply_uncounted_error(context: &mut Context<'_>, error: &CommandError) {
    log::debug!(
        "'{}' of the append-only file: {}",
        context.command_name(),
        logging::user_data(error.text().as_bytes())
    );
    if !error.is_within_reply() {
        context.reply.error(error.bytes());
    }
}

/// Publishes the changes of a command that has run.
#[inline]
fn publish(context: &mut Context<'_>, args: Args<'_>, flags: FlagSet) {
    let Context { state, session, command, .. } = context;
    if !session.redacted.is_empty() {
        session.settle_redacted();
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
fn account(context: &mut Context<'_>, args: Args<'_>, flags: FlagSet, ticks: u64, failed: bool) {
    let Context { state, session, command, .. } = context;
    let command = *command;
    session.traffic.commands += 1;
    state.stats.commands += 1;
    let tracking = state.config.latency_tracking && !flags.has(Flag::NoLatency);
    state.command_stats.record(command, ticks, failed, tracking);
    state.recorder.note_command(command, ticks);
    if ticks >= state.slow_ticks {
        note_slow(context, args, ticks);
    }
}

/// Notes a command that took as long as anybody wants to know of; with slots counted, or keys tracked, all do.
#[cold]
fn note_slow(context: &mut Context<'_>, args: Args<'_>, ticks: u64) {
    let Context { state, session, reply, command } = context;
    effects::slow_command(state, session, *command, args, ticks);
    slot_stats::count(state, session, *command, args, ticks, reply.len());
    key_costs::count(state, session, *command, args, ticks, reply.len());
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
