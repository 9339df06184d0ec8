//! Keys that move to another server (MIGRATE), while the loop serves others.
//!
//! ```text
//! MIGRATE      begin        a MigrateClient sets out, its client waits, its keys are held
//! the loop     note_ready   the socket is ready, or the host's address known
//!              run          MigrateClient::step: send and receive what goes; each key that has arrived is removed
//! its end      end          the client gets its reply, and those go on who were held back
//! ```
//!
//! While keys move, a request that names one of them waits, and so does one that writes without saying where (`Migrations::holds`): so
//! a key is the same from its request to its removal, though only one key at a time is in memory twice. Redis holds up everybody.
//! Within a transaction or a script nobody can be served in between: there all wait, as in Redis (`run_to_end`).
//!
//! Never changes a key but by removing one that has arrived.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use mio::{Events, Poll, Registry};

use crate::command::error::{CommandError, CommandResult};
use crate::engine::call;
use crate::engine::context::Context;
use crate::engine::loop_request::LoopRequest;
use crate::engine::propagation;
use crate::engine::session::Blocked;
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::migrate::UnderWay;
use crate::migrate::client::{MigrateClient, MigrateEnv, Step};
use crate::migrate::protocol::Order;
use crate::net::poll_target::PollTarget;
use crate::resp::Args;

/// How long migrations are gone on with in one turn, in ns.
const SHARE_NS: u64 = 500_000;

/// Begins to move keys, of which each is there; the client waits for it if it can.
///
/// Errors: it has failed already.
pub fn begin(context: &mut Context<'_>, order: Order, args: Args<'_>) -> CommandResult {
    let state = &mut *context.state;
    // The keys that have arrived are passed on as deleted.
    state.keyspace.changes.propagation.suppress();
    let Some(registry) = state.migrations.registry.take() else {
        return run_to_end(context, order);
    };
    if !context.session.deny_blocking {
        let number = state.migrations.under_way.insert(None);
        let mut courier = MigrateClient::new(order);
        let step = step(state, &mut courier, &registry, number);
        context.state.migrations.registry = Some(registry);
        return match step {
            Step::Done(result) => {
                context.state.migrations.under_way.remove(number);
                result.map(|()| context.reply.ok())
            }
            Step::Waits | Step::More => {
                let has_more = step == Step::More;
                wait_for(context, courier, number, args, has_more);
                Ok(())
            }
        };
    }
    state.migrations.registry = Some(registry);
    run_to_end(context, order)
}

fn wait_for(context: &mut Context<'_>, courier: MigrateClient, number: usize, args: Args<'_>, has_more: bool) {
    let Context { state, session, command, .. } = context;
    let deadline_ms = deadline_of(state, &courier);
    let migrations = &mut state.migrations;
    migrations.held.extend(courier.keys().iter().map(Rc::clone));
    if has_more {
        migrations.ready.push(number);
    }
    migrations.under_way[number] = Some(Box::new(UnderWay {
        courier,
        client: session.token,
        command: *command,
        request: args.to_owned(),
        redacted: session.redacted.clone(),
        deadline_ms,
        ticks: 0,
    }));
    session.blocked = Some(Blocked::Migration);
    state.update_restrictions();
}

fn deadline_of(state: &ServerState, courier: &MigrateClient) -> i64 {
    let timeout_ms = i64::try_from(courier.timeout_ms()).unwrap_or(i64::MAX);
    state.now_ms().saturating_add(timeout_ms)
}

fn scene<'a>(state: &'a mut ServerState, registry: &'a Registry, number: usize) -> MigrateEnv<'a> {
    MigrateEnv {
        keyspace: &mut state.keyspace,
        serialization: &mut state.serialization,
        compresses: state.config.rdbcompression,
        sockets: &mut state.migrations.sockets,
        registry,
        token: PollTarget::Outbound(number as u32).token(),
        wake: Some(&state.wake),
    }
}

fn step(state: &mut ServerState, courier: &mut MigrateClient, registry: &Registry, number: usize) -> Step {
    courier.step(&mut scene(state, registry, number))
}

/// Whether any migration can go on at once. They stand still while nothing may change.
pub fn can_go_on(state: &ServerState) -> bool {
    !state.migrations.ready.is_empty() && !state.keyspace_paused()
}

/// When the next of them has taken too long, in ms since the epoch. O(those under way).
pub fn next_deadline_ms(state: &ServerState) -> Option<i64> {
    if state.migrations.is_empty() || state.keyspace_paused() {
        return None;
    }
    let all = state.migrations.under_way.iter();
    let all = all.filter_map(|(_, one)| one.as_ref());
    all.map(|under_way| under_way.deadline_ms).min()
}

/// Goes on with the migrations that can, and ends those that have taken too long.
pub fn run(state: &mut ServerState) {
    if state.migrations.is_empty() || state.keyspace_paused() {
        return;
    }
    let Some(registry) = state.migrations.registry.take() else {
        return;
    };
    let clock = &state.clock;
    let deadline = clock.ticks() + clock.nanos_as_ticks(SHARE_NS);
    let mut ready = std::mem::take(&mut state.migrations.ready).into_iter();
    while state.clock.ticks() < deadline
        && let Some(number) = ready.next()
    {
        go_on(state, &registry, number);
    }
    let later = ready.chain(std::mem::take(&mut state.migrations.ready));
    state.migrations.ready = later.collect();
    for number in state.migrations.overdue(state.now_ms()) {
        if let Some(mut under_way) = state.migrations.under_way[number].take() {
            let mut scene = scene(state, &registry, number);
            let result = under_way.courier.time_out(&mut scene);
            end(state, *under_way, number, result);
        }
    }
    state.migrations.registry = Some(registry);
    propagation::end_unit(state, false);
    if !state.keyspace.changes.is_empty() {
        wake::changes(state);
    }
}

fn go_on(state: &mut ServerState, registry: &Registry, number: usize) {
    let place = state.migrations.under_way.get_mut(number);
    let Some(mut under_way) = place.and_then(Option::take) else {
        return;
    };
    let started = state.clock.ticks();
    let step = step(state, &mut under_way.courier, registry, number);
    under_way.ticks += state.clock.ticks().saturating_sub(started);
    if under_way.courier.take_moved() {
        under_way.deadline_ms = deadline_of(state, &under_way.courier);
    }
    match step {
        Step::Done(result) => return end(state, *under_way, number, result),
        Step::More => state.migrations.ready.push(number),
        Step::Waits => {}
    }
    state.migrations.under_way[number] = Some(under_way);
}

/// Lets the keys go, and replies to the client, if it is still there.
fn end(state: &mut ServerState, under_way: UnderWay, number: usize, result: CommandResult) {
    let migrations = &mut state.migrations;
    migrations.under_way.remove(number);
    migrations.ready.retain(|ready| *ready != number);
    for key in under_way.courier.keys() {
        migrations.held.remove(key);
    }
    if migrations.holds_anybody.take() {
        state.requests.push(LoopRequest::ServePaused);
    }
    state.update_restrictions();
    let Some(mut session) = state.clients.checkout(under_way.client) else {
        return;
    };
    let mut reply = std::mem::take(&mut session.reply);
    let mark = reply.mark();
    if result.is_ok() {
        reply.ok();
    }
    session.blocked = None;
    session.redacted = under_way.redacted;
    let done = call::Done {
        command: under_way.command,
        args: under_way.request.as_args(),
        ticks: under_way.ticks,
        mark: Some(mark),
        result,
    };
    call::conclude_suspended(state, &mut session, &mut reply, done);
    session.redacted.clear();
    session.reply = reply;
    wake::go_on(state, &mut session);
    state.clients.checkin(session);
}

/// Moves keys while everybody waits: for one that is part of a transaction or a script.
fn run_to_end(context: &mut Context<'_>, order: Order) -> CommandResult {
    let unavailable = |_: io::Error| CommandError::fixed("ERR Can't create the poll");
    let mut poll = Poll::new().map_err(unavailable)?;
    let registry = poll.registry().try_clone().map_err(unavailable)?;
    let mut events = Events::with_capacity(1);
    let mut courier = MigrateClient::new(order);
    loop {
        let mut scene = MigrateEnv { wake: None, ..scene(context.state, &registry, 0) };
        match courier.step(&mut scene) {
            Step::Done(result) => return result.map(|()| context.reply.ok()),
            Step::More => continue,
            Step::Waits => {}
        }
        let timeout = Duration::from_millis(courier.timeout_ms());
        match poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ if !events.is_empty() => {}
            _ => return courier.time_out(&mut scene).map(|()| context.reply.ok()),
        }
    }
}
