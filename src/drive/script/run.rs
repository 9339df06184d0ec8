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
//! What all its commands change is one unit, open from the first to the last (`NestingReason::Script`), so no client
//! hears of changes before the script is over.

use crate::engine::enforcement;
use crate::engine::monitor;
use crate::engine::nesting::NestingReason;
use crate::engine::origin::{Origin, ScriptLimits};
use crate::engine::propagation;
use std::rc::Rc;

use crate::cluster::key_slot;

use crate::base::sys::allocator;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::FlagSet;
use crate::drive::transaction;
use crate::engine::call;
use crate::engine::context::Context;
use crate::engine::session::{Blocked, Session, Token};
use crate::engine::slot_stats;
use crate::engine::state::ServerState;
use crate::engine::transactions::Rest;
use crate::engine::wake;
use crate::keyspace::Targets;
use crate::net::address::Address;
use crate::resp::Args;
use crate::resp::reply::{Mark, Protocol};
use crate::resp::{OwnedArgs, Reply};

use super::bridge::Bridge;
use crate::engine::scripts::Scripting;
use crate::engine::scripts::{Run, Suspended};
use crate::scripting::Kind;
use crate::scripting::failure;
use crate::scripting::flags::ScriptFlags;
use crate::scripting::into_reply;
use crate::scripting::lua::{Order, Progress, Reference};
use crate::scripting::machine::{Engine, push_list};

/// How long a suspended script runs at a time, in ns.
pub(crate) const SLICE_NS: u64 = 500_000;

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

/// Reads the number of keys of EVAL and its like: all their requests are a name, a program, that number, keys,
/// arguments.
///
/// Errors: it is none, or does not fit.
pub fn count_keys(args: Args<'_>) -> Result<usize, CommandError> {
    let number = crate::resp::number::parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    if number > args.len() as i64 - 3 {
        return Err(CommandError::fixed("ERR Number of keys can't be greater than number of args"));
    }
    usize::try_from(number).map_err(|_| CommandError::fixed("ERR Number of keys can't be negative"))
}

/// Every reason not to run a script at all.
pub(crate) fn admit(state: &ServerState, program: &Program<'_>) -> CommandResult {
    let flags = program.flags;
    if flags.no_cluster && state.cluster.is_some() {
        return Err(CommandError::fixed("ERR Can not run script on cluster, 'no-cluster' flag is set."));
    }
    if !flags.is_compatible && !flags.no_writes && program.is_read_only {
        return Err(CommandError::fixed("ERR Can not execute a script with write flag using *_ro command."));
    }
    Ok(())
}

/// Tells monitors of the caller's command: of the script's own they are told after it.
pub(crate) fn feed_monitors(context: &mut Context<'_>, args: Args<'_>) {
    if context.state.clients.has_monitors() {
        let flags = FlagSet::default();
        monitor::feed(context.state, context.session, context.reply, args, flags);
    }
}

/// Puts a program with its keys and arguments on the stack of its state, ready to be called; gives how many values its
/// function takes.
pub(crate) fn make_ready(
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
    let run = begin(context.state, program);
    let session = session_for(context, args, program);
    let mut reply = std::mem::take(&mut context.state.scripting.reply);
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
        unit: None,
        rest: None,
    };
    (suspended, count)
}

/// Runs a script and writes its reply, or suspends it when its time is up.
///
/// Errors: what it ended with.
pub fn start(context: &mut Context<'_>, args: Args<'_>, program: &Program<'_>, engine: Box<Engine>) -> CommandResult {
    if let Err(error) = admit(context.state, program) {
        context.state.scripting.put_engine(program.kind, engine);
        return Err(error);
    }
    feed_monitors(context, args);
    let lap_started = context.state.lap_start();
    let (mut suspended, count) = make_ready(context, args, program, engine);
    let unit = context.state.nesting.begin(NestingReason::Script);
    set_deadline(context.state, &mut suspended);
    let progress = advance(context.state, &mut suspended, Order::Call(count));
    context.state.set_lap_start(lap_started);
    enforcement::sign_log(context.state, Some(context.session));
    if progress == Progress::Paused {
        warn_of(context.state, &suspended.run);
        suspended.unit = Some(unit);
        suspended.request = args.to_owned();
        suspended.ticks = context.state.lap_ticks();
        context.session.blocked = Some(Blocked::Script);
        context.state.scripting.suspended = Some(Box::new(suspended));
        return Ok(());
    }
    let result = finish(context.state, &mut suspended, progress, context.reply);
    keep_slot(context.state, context.session, &suspended.session);
    context.state.nesting.end(unit);
    put_away(&mut context.state.scripting, suspended);
    result
}

fn begin(state: &ServerState, program: &Program<'_>) -> Run {
    Run {
        kind: program.kind,
        name: program.name.to_string(),
        targets: Targets::ALL,
        protocol: Protocol::Resp2,
        random: state.scripting.random,
        now_ms: state.now_ms(),
        expiry_mode: state.keyspace.expiry_mode(),
        started: state.clock.ticks(),
    }
}

/// Logs that a script takes long.
fn warn_of(state: &ServerState, run: &Run) {
    let elapsed = state.clock.ticks().saturating_sub(run.started);
    let elapsed_ms = state.clock.ticks_as_nanos(elapsed) / 1_000_000;
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
fn session_for(context: &mut Context<'_>, args: Args<'_>, program: &Program<'_>) -> Box<Session> {
    let caller = &*context.session;
    let mut session = context.state.scripting.session.take().unwrap_or_else(|| {
        let address = Address { peer: "lua".to_string(), local: String::new(), unix: false };
        let user = Rc::clone(&caller.user);
        Box::new(Session::new(0, Token::SCRIPT, address, 0, user, Origin::Script))
    });
    session.database = caller.database;
    session.authenticated = caller.authenticated;
    session.no_touch = caller.no_touch;
    session.policy = caller.policy.of_script();
    session.script = ScriptLimits {
        is_read_only: program.is_read_only || !program.flags.is_compatible && program.flags.no_writes,
        allows_oom: program.flags.allow_oom,
        has_written: false,
        allows_cross_slot: program.flags.is_compatible || program.flags.allow_cross_slot_keys,
        slot: slot_of(context.state, caller, args, program),
    };
    (session.is_readonly, session.asking) = (caller.is_readonly, caller.asking);
    // What the script reads its caller reads, and what it changes its caller changes.
    session.actor = caller.id;
    // So WAIT within a script counts the replicas that have what its caller has written.
    (session.write_offset, session.replication_offset) = (caller.write_offset, caller.replication_offset);
    session.is_tracking = caller.is_tracking;
    session.traffic.commands = 0;
    if !Rc::ptr_eq(&session.user, &caller.user) {
        session.user = Rc::clone(&caller.user);
    }
    session
}

/// The slot of the keys that a script is given, or of the transaction that it is part of. None without a cluster.
fn slot_of(state: &ServerState, caller: &Session, args: Args<'_>, program: &Program<'_>) -> Option<u16> {
    state.cluster.as_ref()?;
    let declared = args.get(3).filter(|_| program.keys > 0).map(key_slot);
    declared.or(caller.executing.and_then(|executing| executing.slot))
}

/// The scripts of a transaction use keys of one slot together.
fn keep_slot(state: &mut ServerState, caller: &mut Session, script: &Session) {
    slot_stats::note_script(state, script);
    if let Some(executing) = &mut caller.executing
        && !script.script.allows_cross_slot
    {
        executing.slot = executing.slot.or(script.script.slot);
    }
}

/// Ends the unit that a script has kept open while it was suspended.
fn end_unit(state: &mut ServerState, suspended: &mut Suspended) {
    if let Some(unit) = suspended.unit.take() {
        state.nesting.end(unit);
    }
}

/// Gives the parts back that are used again and again.
fn put_away(scripting: &mut Scripting, suspended: Suspended) {
    scripting.random = suspended.run.random;
    let kind = suspended.run.kind;
    let engine = suspended.put_parts_away(scripting);
    scripting.put_engine(kind, engine);
}

/// Sets how long the script may run before it is suspended.
fn set_deadline(state: &ServerState, suspended: &mut Suspended) {
    let threshold_ms = state.config.busy_reply_threshold;
    if threshold_ms == 0 {
        return suspended.engine.lua.set_deadline(u64::MAX, u64::MAX);
    }
    let threshold = state.clock.nanos_as_ticks(threshold_ms.saturating_mul(1_000_000));
    let deadline = suspended.run.started.saturating_add(threshold);
    let step_budget = state.scripting.step_budget;
    suspended.engine.lua.set_deadline(deadline, step_budget);
}

/// Lets the script run until it ends or its time is up.
pub(crate) fn advance(state: &mut ServerState, suspended: &mut Suspended, order: Order) -> Progress {
    let now_ms = std::mem::replace(&mut state.keyspace.now_ms, suspended.run.now_ms);
    let expiry_mode = suspended.run.expiry_mode.max(state.keyspace.expiry_mode());
    let outer_mode = state.keyspace.enter_expiry_mode(expiry_mode);
    let mut bridge = Bridge {
        state,
        session: &mut suspended.session,
        reply: &mut suspended.reply,
        run: &mut suspended.run,
        console: suspended.console.as_deref_mut(),
    };
    let progress = suspended.engine.lua.run(&mut bridge, order);
    state.keyspace.leave_expiry_mode(outer_mode);
    state.keyspace.now_ms = now_ms;
    progress
}

/// Writes what the script gave as its reply.
///
/// Errors: what the script ended with, or `WITHIN_REPLY` if there are errors in what it gave.
pub(crate) fn finish(
    state: &mut ServerState,
    suspended: &mut Suspended,
    progress: Progress,
    reply: &mut Reply,
) -> CommandResult {
    let stack = suspended.engine.lua.stack();
    let result = if progress == Progress::Returned {
        let errors = into_reply::write(stack, reply, suspended.run.protocol);
        for error in &errors.uncounted {
            state.error_stats.record(error);
        }
        if errors.has_any { Err(CommandError::WITHIN_REPLY) } else { Ok(()) }
    } else {
        Err(failure::uncaught(stack, &suspended.run.name))
    };
    stack.truncate(0);
    if suspended.engine.lua.used_bytes() > state.scripting.memory_max_bytes / 2 {
        suspended.engine.lua.collect();
        // The memory of such a script is not needed again soon.
        allocator::release_reserves();
    }
    result
}

/// Lets the suspended script run for a while; tells whether it is suspended still.
pub fn resume(state: &mut ServerState) -> bool {
    let Some(mut suspended) = state.scripting.suspended.take() else {
        return false;
    };
    let started = state.clock.ticks();
    let slice = state.clock.nanos_as_ticks(SLICE_NS);
    let step_budget = state.scripting.step_budget;
    suspended.engine.lua.set_deadline(started + slice, step_budget);
    let progress = advance(state, &mut suspended, Order::Continue);
    suspended.ticks += state.clock.ticks().saturating_sub(started);
    if progress == Progress::Paused {
        state.scripting.suspended = Some(suspended);
        return true;
    }
    conclude(state, *suspended, progress);
    state.scripting.suspended.is_some()
}

/// Replies to the client that waited for the script, and publishes what the script changed.
fn conclude(state: &mut ServerState, mut suspended: Suspended, progress: Progress) {
    let token = suspended.caller;
    let caller = state.clients.checkout(token);
    match suspended.rest.take() {
        Some(rest) => conclude_within(state, suspended, progress, caller, rest),
        None => {
            if let Some(mut session) = caller {
                let mut reply = std::mem::take(&mut session.reply);
                let mark = reply.mark();
                reply_to(state, &mut suspended, progress, &mut session, &mut reply, Some(mark));
                session.reply = reply;
                give_back(state, session);
            } else {
                // The client is gone: there is no one to reply to.
                let _ = finish(state, &mut suspended, progress, &mut Reply::default());
            }
            end_unit(state, &mut suspended);
            put_away(&mut state.scripting, suspended);
        }
    }
    if !state.is_amid_unit() {
        propagation::end_late_unit(state, token);
    }
    if !state.is_amid_unit() && state.has_effects() {
        wake::changes(state);
    }
}

/// Ends a script within a transaction and runs the rest of the transaction, whether or not its client is still there.
fn conclude_within(
    state: &mut ServerState,
    mut suspended: Suspended,
    progress: Progress,
    caller: Option<Box<Session>>,
    mut rest: Box<Rest>,
) {
    let is_there = caller.is_some();
    let mut session = caller.unwrap_or_else(|| {
        let user = Rc::clone(&rest.user);
        let mut session = Box::new(Session::new(0, Token::SCRIPT, Address::default(), 0, user, Origin::Client));
        session.database = rest.database;
        session
    });
    rest.ticks += suspended.ticks;
    let mut replies = std::mem::take(&mut rest.replies);
    reply_to(state, &mut suspended, progress, &mut session, &mut replies, None);
    rest.replies = replies;
    end_unit(state, &mut suspended);
    put_away(&mut state.scripting, suspended);
    if let Some(rest) = transaction::go_on(state, &mut session, rest) {
        state.scripting.keep_rest(rest);
        if is_there {
            state.clients.checkin(session);
        }
    } else if is_there {
        give_back(state, session);
    }
}

/// Writes the reply of a script that was suspended, and counts it.
fn reply_to(
    state: &mut ServerState,
    suspended: &mut Suspended,
    progress: Progress,
    session: &mut Session,
    reply: &mut Reply,
    mark: Option<Mark>,
) {
    slot_stats::begin_late(state, session, suspended.command, suspended.request.as_args(), reply.len());
    let result = finish(state, suspended, progress, reply);
    keep_slot(state, session, &suspended.session);
    session.blocked = None;
    let done = call::Done {
        command: suspended.command,
        args: suspended.request.as_args(),
        ticks: suspended.ticks,
        mark,
        result,
    };
    call::conclude_suspended(state, session, reply, done);
}

/// Lets a client go on that has its reply.
fn give_back(state: &mut ServerState, mut session: Box<Session>) {
    state.clients.queue_flush(&mut session);
    state.clients.queue_resume(session.token);
    state.clients.checkin(session);
}

/// Has the suspended script end.
///
/// Errors: there is none, it is of the other kind, or it has written.
pub fn kill(state: &mut ServerState, kind: Kind) -> CommandResult {
    let Some(suspended) = &mut state.scripting.suspended else {
        return Err(CommandError::fixed("NOTBUSY No scripts in execution right now."));
    };
    if suspended.session.script.has_written {
        return Err(CommandError::fixed(
            "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the \
             script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.",
        ));
    }
    if suspended.run.kind != kind {
        return Err(suspended.run.kind.busy_error());
    }
    log::info!("Lua script killed by user with SCRIPT KILL.");
    suspended.engine.lua.kill("Script killed by user with SCRIPT KILL...");
    Ok(())
}
