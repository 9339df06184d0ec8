//! Running a script: from the first instruction to its reply, at once or in slices.
//!
//! ```text
//! start       on the caller's command: prepare, run
//!               it ends in time → finish
//!               its time is up  → Scripting::suspended; the caller waits, others are told that the server is busy
//! resume      on the loop's jobs: a slice more, until it ends → conclude
//! kill        SCRIPT KILL, FUNCTION KILL: it ends with an error at its next instruction
//! ```
//!
//! What all its commands change is one unit: `Instance::nesting` stays raised from the first to the last, so nobody hears of
//! changes before the script is over.

use std::rc::Rc;

use crate::acl;
use crate::command::call;
use crate::command::spec::FlagSet;
use crate::command::{Args, CommandError, CommandId, CommandResult, Context};
use crate::commands::transactions;
use crate::effects;
use crate::instance::Instance;
use crate::net::address::Address;
use crate::resp::reply::{Mark, Protocol};
use crate::resp::{OwnedArgs, Reply};
use crate::session::{Blocked, Session, Token};
use crate::sys::allocator;
use crate::transaction::Rest;

use super::bridge::{Bridge, Replication};
use super::debugger::Console;
use super::engine::{Engine, push_list};
use super::failure;
use super::flags::ScriptFlags;
use super::into_reply;
use super::lua::{Order, Progress, Reference};
use super::numbers::Random48;
use super::{Kind, Scripting};

/// How long a suspended script runs at a time, in ns.
pub(super) const SLICE_NS: u64 = 500_000;

/// What is to be run.
pub struct Program<'a> {
    pub kind: Kind,
    /// The script's digest, or the function's name.
    pub name: &'a str,
    pub flags: ScriptFlags,
    /// Whether the command promises not to write.
    pub is_read_only: bool,
    pub function: Reference,
    /// How many of the request's arguments, from the fourth on, are keys.
    pub keys: usize,
}

/// A script under way.
pub struct Run {
    pub kind: Kind,
    pub name: String,
    pub is_read_only: bool,
    /// Whether it may take more memory than is allowed.
    pub allows_oom: bool,
    /// Whether it has called a command that writes.
    pub has_written: bool,
    /// Whether it may write although the memory limit is reached.
    pub allow_oom: bool,
    pub replication: Replication,
    /// The form in which its commands reply to it.
    pub protocol: Protocol,
    pub random: Random48,
    /// When it began: for its commands time stands still. In ms since the epoch.
    pub now_ms: i64,
    /// The same in ticks.
    pub started: u64,
}

/// A script that stands still, with everything that it needs to go on.
pub struct Suspended {
    pub(super) engine: Box<Engine>,
    session: Box<Session>,
    reply: Reply,
    pub run: Run,
    pub(super) caller: Token,
    /// What it is debugged with, if it is.
    pub(super) console: Option<Box<Console>>,
    command: CommandId,
    pub request: OwnedArgs,
    ticks: u64,
    /// The transaction that it is part of.
    pub rest: Option<Box<Rest>>,
}

impl Suspended {
    /// Time that it has run for.
    pub fn ticks(&self) -> u64 {
        self.ticks
    }
}

/// Reads the number of keys of EVAL and its like: all their requests are a name, a program, that number, keys, arguments.
///
/// Errors: it is none, or does not fit.
pub fn count_keys(args: Args<'_>) -> Result<usize, CommandError> {
    let number = crate::resp::number::parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    if number > args.len() as i64 - 3 {
        return Err(CommandError::fixed(
            "ERR Number of keys can't be greater than number of args",
        ));
    }
    usize::try_from(number).map_err(|_| CommandError::fixed("ERR Number of keys can't be negative"))
}

/// Every reason not to run a script at all.
pub(super) fn admit(program: &Program<'_>) -> CommandResult {
    let flags = program.flags;
    if !flags.is_compatible && !flags.no_writes && program.is_read_only {
        return Err(CommandError::fixed(
            "ERR Can not execute a script with write flag using *_ro command.",
        ));
    }
    Ok(())
}

/// Tells monitors of the caller's command: of the script's own they are told after it.
pub(super) fn feed_monitors(context: &mut Context<'_>, args: Args<'_>) {
    if context.instance.clients.has_monitors() {
        let flags = FlagSet::default();
        effects::monitor::feed(
            context.instance,
            context.session,
            context.reply,
            args,
            flags,
        );
    }
}

/// Puts a program with its keys and arguments on the stack of its state, ready to be called; gives how many values its function takes.
pub(super) fn make_ready(
    context: &mut Context<'_>,
    args: Args<'_>,
    program: &Program<'_>,
    mut engine: Box<Engine>,
) -> (Suspended, i32) {
    engine.push_call(&program.function);
    let keys = args.iter().skip(3).take(program.keys);
    let arguments = args.slice_from(3 + program.keys);
    let count = match program.kind {
        Kind::Script => {
            engine.set_global_list(b"KEYS", keys);
            engine.set_global_list(b"ARGV", arguments.iter());
            0
        }
        Kind::Function => {
            push_list(engine.lua.stack(), keys);
            push_list(engine.lua.stack(), arguments.iter());
            2
        }
    };
    let run = begin(context.instance, program);
    let session = session_for(context);
    let mut reply = std::mem::take(&mut context.instance.scripting.reply);
    reply.set_protocol(Protocol::Resp2);
    let suspended = Suspended {
        engine,
        session,
        reply,
        run,
        caller: context.session.token,
        console: None,
        command: context.command,
        request: OwnedArgs::default(),
        ticks: 0,
        rest: None,
    };
    (suspended, count)
}

/// Runs a script and writes its reply, or suspends it when its time is up.
///
/// Errors: what it ended with.
pub fn start(
    context: &mut Context<'_>,
    args: Args<'_>,
    program: &Program<'_>,
    engine: Box<Engine>,
) -> CommandResult {
    if let Err(error) = admit(program) {
        context.instance.scripting.put_engine(program.kind, engine);
        return Err(error);
    }
    feed_monitors(context, args);
    let lap_started = context.instance.lap_start();
    let (mut suspended, count) = make_ready(context, args, program, engine);
    context.instance.nesting += 1;
    set_deadline(context.instance, &mut suspended);
    let progress = advance(context.instance, &mut suspended, Order::Call(count));
    context.instance.set_lap_start(lap_started);
    acl::guard::sign_log(context.instance, Some(context.session));
    if progress == Progress::Paused {
        warn_of(context.instance, &suspended.run);
        suspended.request = args.to_owned();
        suspended.ticks = context.instance.lap_ticks();
        context.session.blocked = Some(Blocked::Script);
        context.instance.scripting.suspended = Some(Box::new(suspended));
        return Ok(());
    }
    let result = finish(context.instance, &mut suspended, progress, context.reply);
    context.instance.nesting -= 1;
    put_away(&mut context.instance.scripting, suspended);
    result
}

fn begin(instance: &Instance, program: &Program<'_>) -> Run {
    Run {
        kind: program.kind,
        name: program.name.to_string(),
        is_read_only: program.is_read_only
            || !program.flags.is_compatible && program.flags.no_writes,
        allows_oom: program.flags.allow_oom,
        has_written: false,
        allow_oom: program.flags.allow_oom,
        replication: Replication::ALL,
        protocol: Protocol::Resp2,
        random: instance.scripting.random,
        now_ms: instance.now_ms(),
        started: instance.clock.ticks(),
    }
}

/// Logs that a script takes long.
fn warn_of(instance: &Instance, run: &Run) {
    let elapsed = instance.clock.ticks().saturating_sub(run.started);
    let elapsed_ms = instance.clock.ticks_as_nanos(elapsed) / 1_000_000;
    let command = match run.kind {
        Kind::Script => "SCRIPT KILL",
        Kind::Function => "FUNCTION KILL",
    };
    log::warn!(
        "Slow script detected: still in execution after {elapsed_ms} milliseconds. You can try killing the script using \
         the {command} command. Script name is: {}.",
        run.name
    );
}

/// The session in whose name the script's commands run: its caller's database and rights.
fn session_for(context: &mut Context<'_>) -> Box<Session> {
    let caller = &*context.session;
    let mut session = context
        .instance
        .scripting
        .session
        .take()
        .unwrap_or_else(|| {
            let address = Address {
                peer: "lua".to_string(),
                local: String::new(),
                unix: false,
            };
            let user = Rc::clone(&caller.user);
            Box::new(Session::new(0, Token::SCRIPT, address, 0, user))
        });
    session.database = caller.database;
    session.authenticated = caller.authenticated;
    session.no_touch = caller.no_touch;
    session.deny_blocking = true;
    // What the script reads its caller reads, and what it changes its caller changes.
    session.actor = caller.id;
    session.is_tracking = caller.is_tracking;
    if !Rc::ptr_eq(&session.user, &caller.user) {
        session.user = Rc::clone(&caller.user);
    }
    session
}

/// Gives the parts back that are used again and again.
fn put_away(scripting: &mut Scripting, suspended: Suspended) {
    scripting.random = suspended.run.random;
    let kind = suspended.run.kind;
    let engine = suspended.put_parts_away(scripting);
    scripting.put_engine(kind, engine);
}

impl Suspended {
    /// The same, but for the state that it ran in.
    pub(super) fn put_parts_away(mut self, scripting: &mut Scripting) -> Box<Engine> {
        self.reply.clear();
        self.reply.shrink();
        scripting.reply = self.reply;
        scripting.session = Some(self.session);
        self.engine
    }
}

/// Sets how long the script may run before it is suspended.
fn set_deadline(instance: &Instance, suspended: &mut Suspended) {
    let threshold_ms = instance.config.busy_reply_threshold;
    if threshold_ms == 0 {
        return suspended.engine.lua.set_deadline(u64::MAX, u64::MAX);
    }
    let threshold = instance
        .clock
        .nanos_as_ticks(threshold_ms.saturating_mul(1_000_000));
    let deadline = suspended.run.started.saturating_add(threshold);
    let patience = instance.scripting.patience;
    suspended.engine.lua.set_deadline(deadline, patience);
}

/// Lets the script run until it ends or its time is up.
pub(super) fn advance(
    instance: &mut Instance,
    suspended: &mut Suspended,
    order: Order,
) -> Progress {
    let now_ms = std::mem::replace(&mut instance.keyspace.now_ms, suspended.run.now_ms);
    let mut bridge = Bridge {
        instance,
        session: &mut suspended.session,
        reply: &mut suspended.reply,
        run: &mut suspended.run,
        console: suspended.console.as_deref_mut(),
    };
    let progress = suspended.engine.lua.run(&mut bridge, order);
    instance.keyspace.now_ms = now_ms;
    progress
}

/// Writes what the script gave as its reply.
///
/// Errors: what the script ended with, or `WITHIN_REPLY` if there are errors in what it gave.
pub(super) fn finish(
    instance: &mut Instance,
    suspended: &mut Suspended,
    progress: Progress,
    reply: &mut Reply,
) -> CommandResult {
    let stack = suspended.engine.lua.stack();
    let result = if progress == Progress::Returned {
        let errors = into_reply::write(stack, reply, suspended.run.protocol);
        for error in &errors.uncounted {
            instance.error_stats.record(error);
        }
        if errors.has_any {
            Err(CommandError::WITHIN_REPLY)
        } else {
            Ok(())
        }
    } else {
        Err(failure::uncaught(stack, &suspended.run.name))
    };
    stack.truncate(0);
    if suspended.engine.lua.used_bytes() > instance.scripting.memory_max_bytes / 2 {
        suspended.engine.lua.collect();
        // What such a script has used is used by nobody soon.
        allocator::release_reserves();
    }
    result
}

/// Lets the suspended script run for a while; tells whether it is suspended still.
pub fn resume(instance: &mut Instance) -> bool {
    let Some(mut suspended) = instance.scripting.suspended.take() else {
        return false;
    };
    let started = instance.clock.ticks();
    let slice = instance.clock.nanos_as_ticks(SLICE_NS);
    let patience = instance.scripting.patience;
    suspended.engine.lua.set_deadline(started + slice, patience);
    let progress = advance(instance, &mut suspended, Order::Continue);
    suspended.ticks += instance.clock.ticks().saturating_sub(started);
    if progress == Progress::Paused {
        instance.scripting.suspended = Some(suspended);
        return true;
    }
    conclude(instance, *suspended, progress);
    instance.scripting.suspended.is_some()
}

/// Replies to the one who waited for the script, and tells those who must hear of what it changed.
fn conclude(instance: &mut Instance, mut suspended: Suspended, progress: Progress) {
    let token = suspended.caller;
    let caller = instance.clients.lend(token);
    match suspended.rest.take() {
        Some(rest) => conclude_within(instance, suspended, progress, caller, rest),
        None => {
            if let Some(mut session) = caller {
                let mut reply = std::mem::take(&mut session.reply);
                let mark = reply.mark();
                reply_to(
                    instance,
                    &mut suspended,
                    progress,
                    &mut session,
                    &mut reply,
                    Some(mark),
                );
                session.reply = reply;
                give_back(instance, session);
            } else {
                // Nobody is there any more to be told what came of it.
                let _ = finish(instance, &mut suspended, progress, &mut Reply::default());
            }
            instance.nesting -= 1;
            put_away(&mut instance.scripting, suspended);
        }
    }
    if instance.nesting == 0 {
        effects::propagation::end_late_unit(instance, token);
    }
    if instance.nesting == 0 && instance.has_effects() {
        effects::changes(instance);
    }
}

/// The same for a script within a transaction, the rest of which is then run, whether or not somebody waits for it.
fn conclude_within(
    instance: &mut Instance,
    mut suspended: Suspended,
    progress: Progress,
    caller: Option<Box<Session>>,
    mut rest: Box<Rest>,
) {
    let is_there = caller.is_some();
    let mut session = caller.unwrap_or_else(|| {
        let mut session = Box::new(Session::new(
            0,
            Token::SCRIPT,
            Address::default(),
            0,
            Rc::clone(&rest.user),
        ));
        session.database = rest.database;
        session
    });
    rest.ticks += suspended.ticks;
    let mut replies = std::mem::take(&mut rest.replies);
    reply_to(
        instance,
        &mut suspended,
        progress,
        &mut session,
        &mut replies,
        None,
    );
    rest.replies = replies;
    instance.nesting -= 1;
    put_away(&mut instance.scripting, suspended);
    if let Some(rest) = transactions::go_on(instance, &mut session, rest) {
        instance.scripting.keep_rest(rest);
        if is_there {
            instance.clients.restore(session);
        }
    } else if is_there {
        give_back(instance, session);
    }
}

/// Writes the reply of a script that was suspended, and counts it.
fn reply_to(
    instance: &mut Instance,
    suspended: &mut Suspended,
    progress: Progress,
    session: &mut Session,
    reply: &mut Reply,
    mark: Option<Mark>,
) {
    let result = finish(instance, suspended, progress, reply);
    session.blocked = None;
    let done = call::Done {
        command: suspended.command,
        args: suspended.request.as_args(),
        ticks: suspended.ticks,
        mark,
        result,
    };
    call::conclude_suspended(instance, session, reply, done);
}

/// Lets a client go on that has its reply.
fn give_back(instance: &mut Instance, mut session: Box<Session>) {
    instance.clients.queue_flush(&mut session);
    instance.clients.queue_resume(session.token);
    instance.clients.restore(session);
}

/// Has the suspended script end.
///
/// Errors: there is none, it is of the other kind, or it has written.
pub fn kill(instance: &mut Instance, kind: Kind) -> CommandResult {
    let Some(suspended) = &mut instance.scripting.suspended else {
        return Err(CommandError::fixed(
            "NOTBUSY No scripts in execution right now.",
        ));
    };
    if suspended.run.has_written {
        return Err(CommandError::fixed(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
             script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        ));
    }
    if suspended.run.kind != kind {
        return Err(busy_error(suspended.run.kind));
    }
    log::info!("Lua script killed by user with SCRIPT KILL.");
    suspended
        .engine
        .lua
        .kill("Script killed by user with SCRIPT KILL...");
    Ok(())
}

/// What others are told while a script of that kind is suspended.
pub fn busy_error(kind: Kind) -> CommandError {
    CommandError::fixed(match kind {
        Kind::Script => {
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
        }
        Kind::Function => {
            "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
        }
    })
}
