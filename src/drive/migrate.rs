//! Keys that move to another server (MIGRATE), while the loop serves others.
//!
//! ```text
//! MIGRATE      begin        a MigrateClient sets out, its client waits, its keys are held
//! the loop     links::run   moves the bytes of the connection, and passes its events on
//!              take_event   MigrateClient::take_event: make requests, take replies; each key that has arrived is removed
//! its end      end          the client gets its reply, and those go on who were held back
//! ```
//!
//! While keys move, a request that names one of them waits, and so does one that writes without saying where
//! (`Migrations::holds`): so a key is the same from its request to its removal, though only one key at a time is in
//! memory twice. Redis holds up all clients. Within a transaction or a script no client can be served in between: there
//! all wait, as in Redis (`run_to_end`).
//!
//! Never changes a key but by removing one that has arrived.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::command::error::{CommandError, CommandResult};
use crate::engine::call;
use crate::engine::context::Context;
use crate::engine::loop_request::LoopRequest;
use crate::engine::session::Blocked;
use crate::engine::slot_stats;
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::migrate::UnderWay;
use crate::migrate::client::{MigrateClient, MigrateEnv};
use crate::migrate::protocol::Order;
use crate::net::outbound::{LinkEvent, LinkOwner, Outbounds};
use crate::net::poll_target::PollTarget;
use crate::net::poller::Poller;
use crate::net::readiness::Readiness;
use crate::resp::Args;

/// Begins to move keys, of which each is there; the client waits for it if it can.
///
/// Errors: it has failed already.
pub fn begin(context: &mut Context<'_>, order: Order, args: Args<'_>) -> CommandResult {
    // The keys that have arrived are passed on as deleted.
    context.state.keyspace.changes.propagation.suppress();
    if !context.state.outbounds.is_attached() || context.session.deny_blocking {
        return run_to_end(context, order);
    }
    let Context { state, session, command, .. } = context;
    let number = state.migrations.under_way.insert(None);
    let courier = MigrateClient::begin(order, &mut env(state, number));
    let migrations = &mut state.migrations;
    migrations.held.extend(courier.keys().iter().map(Rc::clone));
    migrations.under_way[number] = Some(Box::new(UnderWay {
        courier,
        client: session.token,
        command: *command,
        request: args.to_owned(),
        redacted: session.redacted.clone(),
        ticks: 0,
    }));
    session.blocked = Some(Blocked::Migration);
    state.update_restrictions();
    Ok(())
}

fn env(state: &mut ServerState, number: usize) -> MigrateEnv<'_> {
    let now_ms = state.now_ms();
    MigrateEnv {
        keyspace: &mut state.keyspace,
        serialization: &mut state.serialization,
        compresses: state.config.rdbcompression,
        outbounds: &mut state.outbounds,
        owner: LinkOwner::Migration(number),
        now_ms,
    }
}

/// Whether all migrations stand still, since nothing may change.
pub fn stands_still(state: &ServerState) -> bool {
    state.keyspace_paused()
}

/// The connection of a migration has something to tell. What was done for it took from `began` on, in ticks.
pub fn take_event(state: &mut ServerState, number: usize, event: LinkEvent, began: u64) {
    let place = state.migrations.under_way.get_mut(number);
    let Some(mut under_way) = place.and_then(Option::take) else {
        return;
    };
    let result = under_way.courier.take_event(event, &mut env(state, number));
    under_way.ticks += state.clock.ticks().saturating_sub(began);
    match result {
        Some(result) => end(state, *under_way, number, result),
        None => state.migrations.under_way[number] = Some(under_way),
    }
}

/// Lets the keys go, and replies to the client, if it is still there.
fn end(state: &mut ServerState, under_way: UnderWay, number: usize, result: CommandResult) {
    let migrations = &mut state.migrations;
    migrations.under_way.remove(number);
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
    slot_stats::begin_late(state, &session, under_way.command, under_way.request.as_args(), reply.len());
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

/// Moves keys while all clients wait: for one that is part of a transaction or a script. Its time is its own: it passes
/// where nothing happens for as long as something may take.
fn run_to_end(context: &mut Context<'_>, order: Order) -> CommandResult {
    let unavailable = |_: io::Error| CommandError::fixed("ERR Can't create the poll");
    let mut poller = context.state.outbounds.another_poller().map_err(unavailable)?;
    let mut outbounds = Outbounds::on(poller.registrar());
    outbounds.set_source(&context.state.config.bind_source_addr);
    let (host, port) = (order.host.clone(), order.port);
    context.state.outbounds.lend_parked(&host, port, &mut outbounds);
    let mut now_ms = context.state.now_ms();
    let mut courier = MigrateClient::begin(order, &mut env_apart(context.state, &mut outbounds, now_ms));
    let result = loop {
        match outbounds.next_event(now_ms, |_| false) {
            Some((_, _, event)) => {
                if let Some(result) = courier.take_event(event, &mut env_apart(context.state, &mut outbounds, now_ms)) {
                    break result;
                }
            }
            None => wait(&mut poller, &mut outbounds, &mut now_ms),
        }
    };
    outbounds.lend_parked(&host, port, &mut context.state.outbounds);
    result.map(|()| context.reply.ok())
}

fn env_apart<'a>(state: &'a mut ServerState, outbounds: &'a mut Outbounds, now_ms: i64) -> MigrateEnv<'a> {
    MigrateEnv { outbounds, now_ms, ..env(state, 0) }
}

/// Waits until something happens, or the other side is late.
fn wait(poller: &mut Poller, outbounds: &mut Outbounds, now_ms: &mut i64) {
    let due_ms = match outbounds.has_ready(|_| false) {
        true => *now_ms,
        false => outbounds.next_deadline_ms(|_| false).map_or(*now_ms, |deadline_ms| deadline_ms.saturating_add(1)),
    };
    let wait_ms = due_ms.saturating_sub(*now_ms).max(0);
    let mut ready = Vec::new();
    match poller.poll(Some(Duration::from_millis(wait_ms as u64)), &mut ready) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        _ if !ready.is_empty() => note_ready(outbounds, &ready),
        _ => {
            *now_ms = due_ms;
            outbounds.give_up_overdue(due_ms, |_| false);
        }
    }
}

fn note_ready(outbounds: &mut Outbounds, ready: &[Readiness]) {
    for readiness in ready {
        if let PollTarget::Outbound(token) = readiness.target {
            outbounds.note_ready(token);
        }
    }
}
