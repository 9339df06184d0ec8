//! The debugger: scripts that stop at lines, and clients that say how they go on.
//!
//! ```text
//! start       EVAL of a client that has called SCRIPT DEBUG YES or SYNC: the script stops before its first line
//! command     each request of that client is one of the debugger's from then on; the script stands still within Lua's hook
//! resume      on the loop's jobs: a script that runs between two stops, a slice at a time
//! leave       the client has gone
//! ```
//!
//! With YES what the script changes is for it alone: it works on a branch of the databases, and nobody hears of anything. With SYNC it works on
//! what all use, and all others wait until the session is over. Each session has a Lua state of its own. Never holds the loop: whatever
//! the script or the client has run, it is a slice at a time.

mod console;
mod show;

pub use console::Console;

use crate::acl;
use crate::command::call;
use crate::command::{Args, CommandError, CommandResult, Context};
use crate::effects;
use crate::instance::{Instance, LoopRequest};
use crate::keyspace::Branch;
use crate::resp::Reply;
use crate::session::{Blocked, Close, Debugging, Mode, Session, Token};

use super::cache;
use super::engine::Engine;
use super::flags;
use super::lua::{Order, Progress};
use super::run::{self, Program, Suspended, count_keys};
use super::{Kind, SCRIPT_NAME};

/// Sessions at a time: each shares records with the others, which have room to count so many.
const SESSIONS_MAX: usize = 64;

/// All that is being debugged.
#[derive(Default)]
pub struct Sessions {
    list: Vec<Debugged>,
    /// Whether all others wait for a session that works on what they use.
    is_exclusive: bool,
}

/// One session.
struct Debugged {
    suspended: Box<Suspended>,
    /// What it changes, if that is for it alone.
    branch: Option<Branch>,
    /// How it goes on.
    order: Order,
}

impl Sessions {
    /// Whether all clients but one wait.
    #[inline]
    pub fn is_exclusive(&self) -> bool {
        self.is_exclusive
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether a job has a script to take further.
    pub fn has_running(&self) -> bool {
        self.list.iter().any(|debugged| !debugged.is_halted())
    }

    fn take_of(&mut self, client: Token) -> Option<Debugged> {
        let is_its = |debugged: &Debugged| debugged.suspended.caller == client;
        let place = self.list.iter().position(is_its)?;
        Some(self.list.remove(place))
    }

    /// One that runs; it goes to the end of the list when it comes back.
    fn take_running(&mut self) -> Option<Debugged> {
        let place = self
            .list
            .iter()
            .position(|debugged| !debugged.is_halted())?;
        Some(self.list.remove(place))
    }
}

impl Debugged {
    fn console(&mut self) -> Option<&mut Console> {
        self.suspended.console.as_deref_mut()
    }

    fn is_halted(&self) -> bool {
        let console = self.suspended.console.as_deref();
        console.is_some_and(Console::is_halted)
    }
}

/// Begins a session: runs EVAL's script up to its first line. The session is over at once if there is an error before.
///
/// Errors: what EVAL says too; there are too many sessions, or the client is in a transaction.
pub fn start(context: &mut Context<'_>, args: Args<'_>, is_read_only: bool) -> CommandResult {
    let debugged = match prepare(context, args, is_read_only) {
        Ok(debugged) => debugged,
        Err(error) => {
            context.reply.raw(b"*1\r\n+<endsession>\r\n");
            dismiss(context.session);
            return Err(error);
        }
    };
    let Context {
        instance,
        session,
        reply,
        ..
    } = context;
    session.mode = Mode::Debugging;
    if debugged.branch.is_none() {
        log::warn!("Synchronous session of the script debugger started");
        instance.nesting += 1;
        instance.scripting.debugged.is_exclusive = true;
    }
    let lap_started = instance.lap_start();
    go_on(instance, Some(session), reply, debugged);
    instance.set_lap_start(lap_started);
    Ok(())
}

fn prepare(
    context: &mut Context<'_>,
    args: Args<'_>,
    is_read_only: bool,
) -> Result<Debugged, CommandError> {
    if context.session.deny_blocking {
        return Err(CommandError::fixed(
            "ERR Scripts can't be debugged inside a transaction",
        ));
    }
    if context.instance.scripting.debugged.len() >= SESSIONS_MAX {
        return Err(CommandError::fixed(
            "ERR Too many scripts are being debugged",
        ));
    }
    let is_sync = context.session.debugging == Debugging::Sync;
    run::feed_monitors(context, args);
    let keys = count_keys(args)?;
    let text = args.at(1);
    let (flags, code_start) = flags::of_script(text)?;
    let instance = &mut *context.instance;
    let memory_max_bytes = instance.scripting.memory_max_bytes;
    let mut engine = Engine::new(Kind::Script, memory_max_bytes, instance.clock.stopwatch())
        .ok_or(CommandError::fixed("ERR Can't create a Lua state"))?;
    let compiled = engine.compile(&text[code_start..], SCRIPT_NAME);
    let function = compiled.map_err(super::compile_error)?;
    if is_sync {
        instance.scripting.load(&instance.clock, text, false)?;
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
    run::admit(&program)?;
    let globals = engine.globals();
    engine.lua.follow_lines(true);
    let (mut suspended, count) = run::make_ready(context, args, &program, Box::new(engine));
    suspended.console = Some(Box::new(Console::new(text, globals)));
    Ok(Debugged {
        suspended: Box::new(suspended),
        branch: (!is_sync).then(|| context.instance.keyspace.branch()),
        order: Order::Call(count),
    })
}

/// Carries out what a client whose script stands still asks for.
pub fn command(instance: &mut Instance, session: &mut Session, reply: &mut Reply, args: Args<'_>) {
    let Some(mut debugged) = instance.scripting.debugged.take_of(session.token) else {
        return;
    };
    debugged.suspended.run.started = instance.clock.ticks();
    if let Some(console) = debugged.console() {
        console.give(args.to_owned());
    }
    go_on(instance, Some(session), reply, debugged);
}

/// Takes a script a slice further that runs between two stops; tells whether any runs still.
pub fn resume(instance: &mut Instance) -> bool {
    let Some(mut debugged) = instance.scripting.debugged.take_running() else {
        return false;
    };
    let Some(mut session) = instance.clients.lend(debugged.suspended.caller) else {
        end_if_endless(instance, &mut debugged);
        go_on(instance, None, &mut Reply::default(), debugged);
        return instance.scripting.debugged.has_running();
    };
    let mut reply = std::mem::take(&mut session.reply);
    go_on(instance, Some(&mut session), &mut reply, debugged);
    session.reply = reply;
    if session.blocked.is_none() {
        instance.clients.queue_flush(&mut session);
        instance.clients.queue_resume(session.token);
    }
    if session.close != Close::No {
        instance.clients.queue_close(session.token);
    }
    instance.clients.restore(session);
    instance.scripting.debugged.has_running()
}

/// Nobody is there to stop the script any more: what the client has had evaluated ends now, the script itself when it is overdue.
fn end_if_endless(instance: &Instance, debugged: &mut Debugged) {
    const PATIENCE_FACTOR: u64 = 2;
    let elapsed = instance
        .clock
        .ticks()
        .saturating_sub(debugged.suspended.run.started);
    let limit_ms = instance.config.busy_reply_threshold.max(1000) * PATIENCE_FACTOR;
    let is_endless = instance.clock.ticks_as_nanos(elapsed) / 1_000_000 >= limit_ms;
    let console = debugged.suspended.console.as_deref();
    let is_evaluating = console.is_some_and(Console::is_evaluating);
    let lua = &mut debugged.suspended.engine.lua;
    if (is_endless || is_evaluating) && lua.is_paused() {
        lua.kill("timeout during Lua debugging with client closing connection");
    }
}

/// Runs a script for a slice; then it runs on, stands still, or is over.
fn go_on(
    instance: &mut Instance,
    session: Option<&mut Session>,
    reply: &mut Reply,
    mut debugged: Debugged,
) {
    let progress = advance(instance, &mut debugged);
    acl::guard::sign_log(instance, session.as_deref());
    if let Some(console) = debugged.console() {
        reply.raw(&console.take_output());
    }
    if progress != Progress::Paused {
        return end(instance, session, reply, debugged, progress);
    }
    if let Some(session) = session {
        session.blocked = (!debugged.is_halted()).then_some(Blocked::Script);
    }
    instance.scripting.debugged.list.push(debugged);
}

fn advance(instance: &mut Instance, debugged: &mut Debugged) -> Progress {
    let slice = instance.clock.nanos_as_ticks(run::SLICE_NS);
    let deadline = instance.clock.ticks().saturating_add(slice);
    let patience = instance.scripting.patience;
    let order = std::mem::replace(&mut debugged.order, Order::Continue);
    let suspended = &mut *debugged.suspended;
    suspended.engine.lua.set_deadline(deadline, patience);
    let Some(branch) = &mut debugged.branch else {
        return run::advance(instance, suspended, order);
    };
    instance.keyspace.enter_branch(branch);
    instance.nesting += 1;
    instance.is_secluded = true;
    let progress = run::advance(instance, suspended, order);
    instance.is_secluded = false;
    instance.nesting -= 1;
    instance.keyspace.leave_branch(branch);
    progress
}

/// Ends a session whose script is over: its client gets the script's reply, and is closed.
fn end(
    instance: &mut Instance,
    session: Option<&mut Session>,
    reply: &mut Reply,
    mut debugged: Debugged,
    progress: Progress,
) {
    if let Some(console) = debugged.console() {
        console.end();
        reply.raw(&console.take_output());
    }
    if let Err(error) = run::finish(instance, &mut debugged.suspended, progress, reply) {
        call::reply_error(instance, reply, &error);
    }
    if let Some(session) = session {
        dismiss(session);
    }
    put_away(instance, debugged);
}

/// The client's debugging is over: its connection is closed after what it has been told.
fn dismiss(session: &mut Session) {
    session.debugging = Debugging::No;
    session.mode = Mode::Normal;
    session.blocked = None;
    session.close = Close::AfterReply;
}

fn put_away(instance: &mut Instance, debugged: Debugged) {
    let caller = debugged.suspended.caller;
    debugged.suspended.put_parts_away(&mut instance.scripting);
    if let Some(branch) = debugged.branch {
        return instance.keyspace.drop_branch(branch);
    }
    log::warn!("Synchronous session of the script debugger ended");
    instance.scripting.debugged.is_exclusive = false;
    instance.nesting -= 1;
    instance.requests.push(LoopRequest::ServePostponed);
    if instance.nesting > 0 {
        return;
    }
    effects::propagation::end_late_unit(instance, caller);
    if instance.has_effects() {
        effects::changes(instance);
    }
}

/// A client has gone: what only it would have seen is forgotten, and what changes what all see goes on to its end.
pub fn leave(instance: &mut Instance, client: Token) {
    let Some(mut debugged) = instance.scripting.debugged.take_of(client) else {
        return;
    };
    if debugged.branch.is_some() {
        return put_away(instance, debugged);
    }
    if let Some(console) = debugged.console() {
        console.leave();
    }
    debugged.suspended.run.started = instance.clock.ticks();
    instance.scripting.debugged.list.push(debugged);
}
