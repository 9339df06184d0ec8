//! The way of one request: found, admitted, run, settled.

use crate::acl::guard;
use crate::blocking::Waiting;
use crate::effects;
use crate::info;
use crate::instance::Instance;
use crate::resp::reply::{Mark, Reply};
use crate::scripting::debugger;
use crate::session::{Blocked, Close, Mode, ReplyMode, Session};

use super::gate::{self, Verdict};
use super::spec::{Flag, FlagSet, Group};
use super::{Args, CommandError, CommandId, CommandResult, Context};

/// Time between two log lines about attacks, in ms.
const ATTACK_LOG_PERIOD_MS: u64 = 60_000;

/// Keys too many in the table of tracked keys that one command forgets.
const TRACKED_KEYS_STEP: usize = 100;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Done,
    /// Not now (CLIENT PAUSE): to be given again later.
    Postponed,
}

/// Carries a client's request out; the reply is in `reply` when it returns.
pub fn execute(
    instance: &mut Instance,
    session: &mut Session,
    reply: &mut Reply,
    args: Args<'_>,
) -> Flow {
    let resolved = instance
        .commands
        .resolve(&args[0], args.get(1))
        .map(|command| command.id);
    instance.start_stopwatch();
    execute_resolved(instance, session, reply, args, resolved)
}

/// The same for a request whose command is already known (or known to be none), and whose time
/// runs since the last request's end or since `Instance::start_stopwatch`.
#[inline]
pub fn execute_resolved(
    instance: &mut Instance,
    session: &mut Session,
    reply: &mut Reply,
    args: Args<'_>,
    resolved: Option<CommandId>,
) -> Flow {
    if session.is_tracking {
        forget_keys_beyond_limit(instance, session, reply);
    }
    let mark = reply.mark();
    session.last_command = resolved;
    if session.reply_mode == ReplyMode::SkipNext {
        session.reply_mode = ReplyMode::Skipping;
    }
    let flow = run(instance, session, reply, args, resolved);
    if flow == Flow::Done {
        leave_out(session, reply, mark);
    }
    if session.is_tracking && session.transaction.is_none() {
        forget_caching(instance, session, resolved);
    }
    if instance.clients.has_late() {
        instance.clients.deliver_late(session, reply);
    }
    flow
}

/// A client that tracks hears of keys that there is no room for before its next reply.
#[cold]
fn forget_keys_beyond_limit(instance: &mut Instance, session: &Session, reply: &mut Reply) {
    instance.limit_tracking(TRACKED_KEYS_STEP);
    if instance.clients.has_late() {
        instance.clients.deliver_late(session, reply);
    }
}

/// CLIENT CACHING is for the next command or transaction only. Other subcommands of CLIENT may stand in between.
#[cold]
fn forget_caching(instance: &mut Instance, session: &Session, resolved: Option<CommandId>) {
    let parent = resolved.and_then(|id| instance.commands.get(id).parent);
    let is_about_client =
        parent.is_some_and(|id| instance.commands.get(id).spec.group == Group::Connection);
    if !is_about_client && let Some(tracker) = instance.tracking.tracker_mut(session.id) {
        tracker.caching = false;
    }
}

/// Runs a request that waited once more. Afterwards the client waits still, or has its reply.
pub fn resume(instance: &mut Instance, session: &mut Session, reply: &mut Reply) {
    let Some(waiting) = &mut session.waiting else {
        return;
    };
    let request = std::mem::take(&mut waiting.request);
    let command = waiting.command;
    let mark = reply.mark();
    session.blocked = None;
    instance.start_stopwatch();
    let flow = run(instance, session, reply, request.as_args(), Some(command));
    if flow == Flow::Postponed {
        // At the end of the pause every key that somebody waits for is looked at.
        session.blocked = Some(Blocked::Keys);
    }
    match &mut session.waiting {
        Some(waiting) if session.blocked == Some(Blocked::Keys) => waiting.request = request,
        _ => {
            instance.stop_waiting(session);
            leave_out(session, reply, mark);
        }
    }
}

/// Replies to a request that has waited in vain, with an error or as its time is over, and counts it.
pub fn conclude(
    instance: &mut Instance,
    session: &mut Session,
    reply: &mut Reply,
    mut waiting: Waiting,
    error: Option<CommandError>,
) {
    let mark = reply.mark();
    let mut failed = error.is_some();
    match &error {
        None if waiting.answers_late => failed = !answer_late(instance, session, reply, &waiting),
        None => reply.null_array(),
        Some(error) => reply_error(instance, reply, error),
    }
    let (ticks, _) = waiting.note_run(0);
    let (command, args) = (waiting.command, waiting.request.as_args());
    let flags = instance.commands.get(command).flags;
    account(instance, session, command, args, flags, ticks, failed);
    leave_out(session, reply, mark);
}

/// Has a request that may not wait any longer reply with what there is; says whether it did.
fn answer_late(
    instance: &mut Instance,
    session: &mut Session,
    reply: &mut Reply,
    waiting: &Waiting,
) -> bool {
    let handler = instance.commands.get(waiting.command).spec.handler;
    let could_block = !std::mem::replace(&mut session.deny_blocking, true);
    let mut context = Context {
        instance,
        session,
        reply,
        command: waiting.command,
    };
    let result = handler(&mut context, waiting.request.as_args());
    session.deny_blocking = !could_block;
    if let Err(error) = &result {
        reply_error(instance, reply, error);
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
pub fn conclude_suspended(
    instance: &mut Instance,
    session: &mut Session,
    reply: &mut Reply,
    done: Done<'_>,
) {
    let failed = done.result.is_err();
    if let Err(error) = &done.result {
        reply_error(instance, reply, error);
    }
    let flags = instance.commands.get(done.command).flags;
    let (command, args, ticks) = (done.command, done.args, done.ticks);
    account(instance, session, command, args, flags, ticks, failed);
    if let Some(mark) = done.mark {
        leave_out(session, reply, mark);
    }
}

/// Runs a request, if it may.
#[inline]
fn run(
    instance: &mut Instance,
    session: &mut Session,
    reply: &mut Reply,
    args: Args<'_>,
    resolved: Option<CommandId>,
) -> Flow {
    if session.mode == Mode::Debugging {
        debugger::command(instance, session, reply, args);
        return Flow::Done;
    }
    instance.make_room();
    if instance.is_restricted {
        instance.note_dependence(session, args, resolved);
    }
    match gate::admit(instance, session, reply.protocol(), args, resolved) {
        Verdict::Run(command) => {
            call(
                &mut Context {
                    instance,
                    session,
                    reply,
                    command,
                },
                args,
            );
        }
        Verdict::Queue(command, flags) => queue(instance, session, reply, args, command, flags),
        Verdict::Deny(command, denial) => {
            let mut context = Context {
                instance,
                session,
                reply,
                command,
            };
            let error = guard::refusal(&mut context, args, denial);
            refuse(
                context.instance,
                context.session,
                context.reply,
                resolved,
                error,
            );
        }
        Verdict::Refuse(error) => refuse(instance, session, reply, resolved, error),
        Verdict::Postpone => return Flow::Postponed,
        Verdict::Abort => abort(instance, session),
    }
    Flow::Done
}

/// Takes a reply back that the client does not want (CLIENT REPLY). One to come later is still to be left out.
#[inline]
fn leave_out(session: &mut Session, reply: &mut Reply, mark: Mark) {
    match session.reply_mode {
        ReplyMode::On | ReplyMode::SkipNext => {}
        ReplyMode::Off => reply.truncate(mark),
        ReplyMode::Skipping => {
            reply.truncate(mark);
            let is_suspended =
                matches!(session.blocked, Some(Blocked::Script | Blocked::Migration));
            if session.waiting.is_none() && !is_suspended {
                session.reply_mode = ReplyMode::On;
            }
        }
    }
}

/// Runs a command and settles what follows from it.
#[inline]
pub fn call(context: &mut Context<'_>, args: Args<'_>) {
    let command = context.instance.commands.get(context.command);
    let (handler, flags) = (command.spec.handler, command.flags);
    let keyspace = &mut context.instance.keyspace;
    keyspace.no_touch = context.session.no_touch;
    let total = keyspace.changes.total();
    keyspace.changes.propagation.begin(total);
    info::crash::begin_command(context.command);
    let result = handler(context, args);
    info::crash::end_command();
    let elapsed = context.instance.lap_ticks();
    let failed = result.is_err();
    if let Err(error) = result {
        reply_error(context.instance, context.reply, &error);
    }
    settle(context, args, flags, elapsed, failed);
}

/// Counts and logs a command that has run, then tells those who must hear of its changes. One that waits counts when it is
/// over, with the time of all its runs, and monitors hear of the first.
#[inline]
fn settle(context: &mut Context<'_>, args: Args<'_>, flags: FlagSet, elapsed: u64, failed: bool) {
    let Context {
        instance,
        session,
        reply,
        command,
    } = context;
    let (ticks, is_new) = match &mut session.waiting {
        None => (elapsed, true),
        Some(waiting) => waiting.note_run(elapsed),
    };
    let is_over = !matches!(
        session.blocked,
        Some(Blocked::Keys | Blocked::Script | Blocked::Migration)
    );
    if is_over {
        account(instance, session, *command, args, flags, ticks, failed);
    }
    if is_new && instance.clients.has_monitors() {
        effects::monitor::feed(instance, session, reply, args, flags);
    }
    if !session.redacted.is_empty() {
        session.redacted.clear();
    }
    if instance.keyspace.changes.propagation.is_on() {
        effects::propagation::command_done(instance, session, args, flags);
    }
    if instance.has_effects() {
        effects::after_command(instance, session);
    }
    if session.is_tracking {
        effects::track(instance, session, *command, args);
    }
}

/// Counts a command that is over, and notes it if it was slow.
#[inline]
fn account(
    instance: &mut Instance,
    session: &mut Session,
    command: CommandId,
    args: Args<'_>,
    flags: FlagSet,
    ticks: u64,
    failed: bool,
) {
    session.traffic.commands += 1;
    instance.stats.commands += 1;
    let tracking = instance.config.latency_tracking && !flags.has(Flag::NoLatency);
    instance
        .command_stats
        .record(command, ticks, failed, tracking);
    if ticks >= instance.slow_ticks {
        effects::slow_command(instance, session, args, flags, ticks);
    }
}

/// Writes an error reply and counts it, unless it is written already.
pub fn reply_error(instance: &mut Instance, reply: &mut Reply, error: &CommandError) {
    if error.is_within_reply() {
        return;
    }
    if !error.is_counted() {
        instance.error_stats.record(error.text());
    }
    reply.error(error.bytes());
}

/// Keeps a command for EXEC.
fn queue(
    instance: &mut Instance,
    session: &mut Session,
    reply: &mut Reply,
    args: Args<'_>,
    command: CommandId,
    flags: FlagSet,
) {
    if let Some(transaction) = &mut session.transaction {
        let command = instance.commands.get(command);
        transaction.push(command, flags, args, &instance.keyspace);
        reply.raw(b"+QUEUED\r\n");
    }
}

#[cold]
fn refuse(
    instance: &mut Instance,
    session: &mut Session,
    reply: &mut Reply,
    resolved: Option<CommandId>,
    mut error: CommandError,
) {
    if let Some(transaction) = &mut session.transaction {
        transaction.doom();
    }
    if let Some(command) = resolved {
        instance.command_stats.record_rejected(command);
        if instance.commands.get(command).flags.has(Flag::RunsQueue) {
            instance.abandon_transaction(session);
            let reason = error.text();
            let reason = reason.strip_prefix("ERR ").unwrap_or(reason);
            error = CommandError::new(format!(
                "EXECABORT Transaction discarded because of: {reason}"
            ));
        }
    }
    reply_error(instance, reply, &error);
}

/// Closes a connection over which somebody attacks; what was answered before is not sent either.
#[cold]
fn abort(instance: &mut Instance, session: &mut Session) {
    session.close = Close::Now;
    let now_ms = instance.now_ms();
    let since_ms = now_ms.saturating_sub(instance.attack_logged_ms);
    // Whoever attacks must not fill the disk with this.
    if since_ms.unsigned_abs() > ATTACK_LOG_PERIOD_MS {
        instance.attack_logged_ms = now_ms;
        log::warn!(
            "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: commands to Redis. \
             Most likely a web page makes its reader's browser talk to this port (cross-protocol scripting). \
             Connection from {} aborted.",
            session.address.peer
        );
    }
}

/// The handler of a command that has only subcommands: the gate lets none through to it.
pub fn container(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    Err(CommandError::wrong_arity(context.command_name()))
}
