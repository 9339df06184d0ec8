//! The debugger: scripts that stop at lines, and clients that say how they go on.
//!
//! ```text
//! start       EVAL of a client that has called SCRIPT DEBUG YES or SYNC: the script stops before its first line
//! command     each request of that client is one of the debugger's from then on; the script stands still within Lua's hook
//! resume      on the loop's jobs: a script that runs between two stops, a slice at a time
//! leave       the client has gone
//! ```
//!
//! With YES what the script changes is for it alone: it works on a branch of the databases, and no client hears of
//! anything. With SYNC it works on what all use, and all others wait until the session is over. Each session has a Lua
//! state of its own. Never holds the loop: whatever the script or the client has run, it is a slice at a time.

use crate::command::error::{CommandError, CommandResult};
use crate::engine::call;
use crate::engine::context::Context;
use crate::engine::enforcement;
use crate::engine::loop_request::LoopRequest;
use crate::engine::nesting::NestingReason;
use crate::engine::propagation;
use crate::engine::session::{Blocked, Close, Debugging, Mode, Session, Token};
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::resp::Args;
use crate::resp::Reply;

use super::run::{self, Program, count_keys};
use crate::engine::scripts::Debugged;
use crate::scripting::cache;
use crate::scripting::debugger::Console;
use crate::scripting::flags;
use crate::scripting::lua::{Order, Progress};
use crate::scripting::machine::Engine;
use crate::scripting::{Kind, SCRIPT_NAME};

/// Sessions at a time: each shares records with the others, which have room to count so many.
const SESSIONS_MAX: usize = 64;

/// Begins a session: runs EVAL's script up to its first line. The session is over at once if there is an error before.
///
/// Errors: what EVAL says too; there are too many sessions, or the client is in a transaction.
pub fn start(context: &mut Context<'_>, args: Args<'_>, is_read_only: bool) -> CommandResult {
    let mut debugged = match prepare(context, args, is_read_only) {
        Ok(debugged) => debugged,
        Err(error) => {
            context.reply.raw(b"*1\r\n+<endsession>\r\n");
            dismiss(context.session);
            return Err(error);
        }
    };
    let Context { state, session, reply, .. } = context;
    session.mode = Mode::Debugging;
    if debugged.fork.is_none() {
        log::warn!("Synchronous session of the script debugger started");
        debugged.unit = Some(state.nesting.begin(NestingReason::Debugging));
        state.scripting.debugged.is_exclusive = true;
    }
    let lap_started = state.lap_start();
    go_on(state, Some(session), reply, debugged);
    state.set_lap_start(lap_started);
    Ok(())
}

fn prepare(context: &mut Context<'_>, args: Args<'_>, is_read_only: bool) -> Result<Debugged, CommandError> {
    if context.session.deny_blocking {
        return Err(CommandError::fixed("ERR Scripts can't be debugged inside a transaction"));
    }
    if context.state.scripting.debugged.len() >= SESSIONS_MAX {
        return Err(CommandError::fixed("ERR Too many scripts are being debugged"));
    }
    let is_sync = context.session.debugging == Debugging::Sync;
    run::feed_monitors(context, args);
    let keys = count_keys(args)?;
    let text = args.at(1);
    let (flags, code_start) = flags::of_script(text)?;
    let state = &mut *context.state;
    let memory_max_bytes = state.scripting.memory_max_bytes;
    let mut engine = Engine::new(Kind::Script, memory_max_bytes, state.clock.stopwatch())
        .ok_or(CommandError::fixed("ERR Can't create a Lua state"))?;
    let compiled = engine.compile(&text[code_start..], SCRIPT_NAME);
    let function = compiled.map_err(crate::scripting::compile_error)?;
    if is_sync {
        state.scripting.load(&state.clock, text, false)?;
    }
    let name = cache::digest(text);
    let program = Program {
        kind: Kind::Script,
        name: str::from_utf8(&name).unwrap_or_default(),
        flags,
        is_read_only,
        function,
        keys,
    };
    run::admit(context.state, &program)?;
    let globals = engine.globals();
    engine.lua.follow_lines(true);
    let (mut suspended, count) = run::make_ready(context, args, &program, Box::new(engine));
    suspended.console = Some(Box::new(Console::new(text, globals)));
    Ok(Debugged {
        suspended: Box::new(suspended),
        fork: (!is_sync).then(|| context.state.keyspace.fork()),
        unit: None,
        order: Order::Call(count),
    })
}

/// Carries out what a client whose script stands still asks for.
pub fn command(state: &mut ServerState, session: &mut Session, reply: &mut Reply, args: Args<'_>) {
    let Some(mut debugged) = state.scripting.debugged.take_of(session.token) else {
        return;
    };
    debugged.suspended.run.started = state.clock.ticks();
    if let Some(console) = debugged.console() {
        console.give(args.to_owned());
    }
    go_on(state, Some(session), reply, debugged);
}

/// Takes a script a slice further that runs between two stops; tells whether any runs still.
pub fn resume(state: &mut ServerState) -> bool {
    let Some(mut debugged) = state.scripting.debugged.take_running() else {
        return false;
    };
    let Some(mut session) = state.clients.checkout(debugged.suspended.caller) else {
        end_if_endless(state, &mut debugged);
        go_on(state, None, &mut Reply::default(), debugged);
        return state.scripting.debugged.has_running();
    };
    let mut reply = std::mem::take(&mut session.reply);
    go_on(state, Some(&mut session), &mut reply, debugged);
    session.reply = reply;
    if session.blocked.is_none() {
        state.clients.queue_flush(&mut session);
        state.clients.queue_resume(session.token);
    }
    if session.close != Close::No {
        state.clients.queue_close(session.token);
    }
    state.clients.checkin(session);
    state.scripting.debugged.has_running()
}

/// The client that could stop the script is gone: what the client has had evaluated ends now, the script itself when it
/// is overdue.
fn end_if_endless(state: &ServerState, debugged: &mut Debugged) {
    const PATIENCE_FACTOR: u64 = 2;
    let elapsed = state.clock.ticks().saturating_sub(debugged.suspended.run.started);
    let limit_ms = state.config.busy_reply_threshold.max(1000) * PATIENCE_FACTOR;
    let is_endless = state.clock.ticks_as_nanos(elapsed) / 1_000_000 >= limit_ms;
    let console = debugged.suspended.console.as_deref();
    let is_evaluating = console.is_some_and(Console::is_evaluating);
    let lua = &mut debugged.suspended.engine.lua;
    if (is_endless || is_evaluating) && lua.is_paused() {
        lua.kill("timeout during Lua debugging with client closing connection");
    }
}

/// Runs a script for a slice; then it runs on, stands still, or is over.
fn go_on(state: &mut ServerState, session: Option<&mut Session>, reply: &mut Reply, mut debugged: Debugged) {
    let progress = advance(state, &mut debugged);
    enforcement::sign_log(state, session.as_deref());
    if let Some(console) = debugged.console() {
        reply.raw(&console.take_output());
    }
    if progress != Progress::Paused {
        return end(state, session, reply, debugged, progress);
    }
    if let Some(session) = session {
        session.blocked = (!debugged.is_halted()).then_some(Blocked::Script);
    }
    state.scripting.debugged.list.push(debugged);
}

fn advance(state: &mut ServerState, debugged: &mut Debugged) -> Progress {
    let slice = state.clock.nanos_as_ticks(run::SLICE_NS);
    let deadline = state.clock.ticks().saturating_add(slice);
    let step_budget = state.scripting.step_budget;
    let order = std::mem::replace(&mut debugged.order, Order::Continue);
    let suspended = &mut *debugged.suspended;
    suspended.engine.lua.set_deadline(deadline, step_budget);
    let Some(fork) = &mut debugged.fork else {
        return run::advance(state, suspended, order);
    };
    state.keyspace.enter_branch(fork);
    state.is_sandboxed = true;
    let progress = state.within(NestingReason::Debugging, |state| run::advance(state, suspended, order));
    state.is_sandboxed = false;
    state.keyspace.leave_branch(fork);
    progress
}

/// Ends a session whose script is over: its client gets the script's reply, and is closed.
fn end(
    state: &mut ServerState,
    session: Option<&mut Session>,
    reply: &mut Reply,
    mut debugged: Debugged,
    progress: Progress,
) {
    if let Some(console) = debugged.console() {
        console.end();
        reply.raw(&console.take_output());
    }
    if let Err(error) = run::finish(state, &mut debugged.suspended, progress, reply) {
        call::reply_error(state, reply, &error);
    }
    if let Some(session) = session {
        dismiss(session);
    }
    put_away(state, debugged);
}

/// The client's debugging is over: its connection is closed after what it has been told.
fn dismiss(session: &mut Session) {
    session.debugging = Debugging::No;
    session.mode = Mode::Normal;
    session.blocked = None;
    session.close = Close::AfterReply;
}

fn put_away(state: &mut ServerState, debugged: Debugged) {
    let caller = debugged.suspended.caller;
    debugged.suspended.put_parts_away(&mut state.scripting);
    if let Some(fork) = debugged.fork {
        return state.keyspace.drop_branch(fork);
    }
    log::warn!("Synchronous session of the script debugger ended");
    state.scripting.debugged.is_exclusive = false;
    if let Some(unit) = debugged.unit {
        state.nesting.end(unit);
    }
    state.requests.push(LoopRequest::ServePaused);
    if state.is_amid_unit() {
        return;
    }
    propagation::end_late_unit(state, caller);
    if state.has_effects() {
        wake::changes(state);
    }
}

/// A client has gone: what only it would have seen is forgotten, and what changes what all see goes on to its end.
pub fn leave(state: &mut ServerState, client: Token) {
    let Some(mut debugged) = state.scripting.debugged.take_of(client) else {
        return;
    };
    if debugged.fork.is_some() {
        return put_away(state, debugged);
    }
    if let Some(console) = debugged.console() {
        console.leave();
    }
    debugged.suspended.run.started = state.clock.ticks();
    state.scripting.debugged.list.push(debugged);
}
