//! Keys that move to another server (MIGRATE), while the loop serves others.
//!
//! ```text
//! MIGRATE      begin        a MigrateClient sets out, its client waits, its keys are held
//! the loop     note_ready   the socket is ready, or the host's address known
//!              run          MigrateClient::step: send and receive what goes; each key that has arrived is removed
//! its end      end          the client gets its reply, and those go on who were held back
//! ```
//!
//! While keys move, whoever names one of them waits, and so does whatever writes without saying where (`Migrations::holds`): so
//! a key is the same from its request to its removal, though only one key at a time is in memory twice. Redis holds up everybody.
//! Within a transaction or a script nobody can be served in between: there all wait, as in Redis (`run_to_end`).
//!
//! Never changes a key but by removing one that has arrived.

pub mod client;
pub mod protocol;

use crate::engine::propagation;
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use ahash::AHashSet;
use mio::{Events, Poll, Registry, Token as PollToken};
use slab::Slab;

use crate::command::error::{CommandError, CommandResult};
use crate::command::keys::keys_of;
use crate::command::registry::{Command, CommandId};
use crate::command::spec::{Flag, FlagSet};
use crate::engine::call;
use crate::engine::context::Context;
use crate::engine::effects;
use crate::engine::session::{Blocked, Session, Token};
use crate::engine::state::{LoopRequest, ServerState};
use crate::engine::wake;
use crate::resp::Args;
use crate::resp::OwnedArgs;

use crate::drive::migrate::client::{MigrateClient, MigrateEnv, Step};
pub use crate::drive::migrate::protocol::{Login, Order};
use crate::net::outbound::Sockets;

/// Poll tokens from here on are migrations'; see `src/reactor/metrics_port.rs` for how the upper bits part them from all others.
const FIRST_POLL_TOKEN: usize = 1 << 63;
/// How long migrations are gone on with in one turn, in ns.
const SHARE_NS: u64 = 500_000;

/// Keys under way, and the connections that they may use.
#[derive(Default)]
pub struct Migrations {
    under_way: Slab<Option<Box<UnderWay>>>,
    /// Those that can go on.
    ready: Vec<usize>,
    /// The keys of all of them, of whatever database.
    held: AHashSet<Rc<[u8]>>,
    /// Whether anybody was held back since this was asked last.
    holds_anybody: Cell<bool>,
    sockets: Sockets,
    /// Of the loop's poll; none when driven in-process.
    registry: Option<Registry>,
}

/// One MIGRATE.
struct UnderWay {
    courier: MigrateClient,
    client: Token,
    command: CommandId,
    request: OwnedArgs,
    redacted: Vec<usize>,
    /// When it has taken too long, in ms since the epoch.
    deadline_ms: i64,
    /// Time spent on it.
    ticks: u64,
}

impl Migrations {
    /// From now on keys can move while others are served.
    pub fn use_registry(&mut self, registry: Registry) {
        self.registry = Some(registry);
    }

    /// Whether no key is under way.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Number of connections that are kept for later.
    pub fn kept_sockets(&self) -> usize {
        self.sockets.len()
    }

    /// Closes connections that nobody has used for long.
    pub fn close_idle_sockets(&mut self, now_ms: i64) {
        self.sockets.close_idle(now_ms);
    }

    /// Takes an event of the poll, if it is a migration's.
    #[inline]
    pub fn note_ready(&mut self, token: PollToken) -> bool {
        let number = token.0.wrapping_sub(FIRST_POLL_TOKEN);
        let is_one = number < usize::from(u16::MAX) << 32;
        if is_one && self.under_way.contains(number) && !self.ready.contains(&number) {
            self.ready.push(number);
        }
        is_one
    }

    /// A host may have been found.
    pub fn note_lookups(&mut self) {
        self.ready.clear();
        self.ready.extend(self.under_way.iter().map(|(number, _)| number));
    }

    /// Those that have taken too long. O(those under way).
    fn overdue(&self, now_ms: i64) -> Vec<usize> {
        let all = self.under_way.iter();
        let overdue = all.filter(|(_, one)| one.as_ref().is_some_and(|under_way| under_way.deadline_ms < now_ms));
        overdue.map(|(number, _)| number).collect()
    }

    fn is_held(&self, command: &Command, flags: FlagSet, args: Args<'_>) -> bool {
        let keys = keys_of(command, args);
        if keys.iter().any(|key| self.held.contains(args.at(key.index))) {
            return true;
        }
        // It writes, and does not say where.
        let is_script = flags.has(Flag::MayReplicate) && flags.has(Flag::NoMandatoryKeys);
        is_script || flags.has(Flag::Write) && keys.is_empty()
    }

    /// Whether a request has to wait until keys have arrived.
    #[cold]
    pub fn holds(
        &self,
        state: &ServerState,
        session: &Session,
        command: &Command,
        flags: FlagSet,
        args: Args<'_>,
    ) -> bool {
        if self.is_empty() {
            return false;
        }
        let is_held = match &session.transaction {
            Some(transaction) if flags.has(Flag::RunsQueue) => transaction.iter().any(|(queued, args)| {
                let command = state.commands.get(queued.command);
                self.is_held(command, command.flags, args)
            }),
            _ => self.is_held(command, flags, args),
        };
        self.holds_anybody.set(self.holds_anybody.get() || is_held);
        is_held
    }
}

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
        token: PollToken(FIRST_POLL_TOKEN + number),
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
        effects::changes(state);
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
