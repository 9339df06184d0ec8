//! The replica's side: following a primary.
//!
//! ```text
//! REPLICAOF     follow       from now on a replica: the link is due at once
//! the loop      links::run   run: attempts that are due, data that can go on
//!                            take_event: what comes over the link
//! the cron      tick         timeouts, acknowledgements
//! the machine   carry_out    what `PrimaryLink` asks for
//! ```
//!
//! The data are `replica_payload`'s business, the stream is `replica_stream`'s.

use std::rc::Rc;

use crate::acl::Users;
use crate::base::logging;
use crate::config::PrimaryAddress;
use crate::drive::aof::switching;
use crate::drive::replication::{primary, replica_payload, replica_stream, restart};
use crate::engine::enforcement;
use crate::engine::loading::LoadingStep;
use crate::engine::origin::Origin;
use crate::engine::replication::{PrimaryClient, ReplicaSide};
use crate::engine::session::{Session, Token};
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::keyspace::Target;
use crate::net::outbound::{Failure, LinkEvent, LinkOptions, LinkOwner, Progress};
use crate::net::tls::Connector;
use crate::replication::handshake::Introduction;
use crate::replication::link::{Action, LinkState, PrimaryLink};
use crate::replication::{Position, ReplicationId};
use crate::resp::{Batch, Parser};

use super::replica_payload::Advance;
use super::replica_stream::{Applied, Trouble};

/// While so many bytes of the primary wait, nothing more is read.
const INPUT_MAX_BYTES: usize = 1 << 20;
/// More acknowledgements than this never wait to be sent.
const OUTPUT_MAX_BYTES: usize = 1 << 20;
/// Bytes of the data that are taken in before it is looked whether they can be put where they go.
const PIECE_BYTES: usize = 128 * 1024;
/// How long what comes is worked on before other connections have their turn, in ns.
const SHARE_NS: u64 = 500_000;
/// A token that no client has.
const NOBODY: Token = Token { slot: u32::MAX, generation: 0 };

/// Becomes a replica of a server, or of another one than before.
pub fn follow(state: &mut ServerState, host: String, port: u16) {
    let place = match state.replication.is_replica() {
        true => let_go(state),
        false => own_place(state),
    };
    state.config.replicaof = Some(PrimaryAddress { host: host.clone(), port });
    begin_following(state, host, port, place);
    end_waits(state);
    tick(state);
}

/// The place in its own history from which a primary tries to go on with another server.
fn own_place(state: &mut ServerState) -> (Option<Position>, usize) {
    log::info!(
        "Before turning into a replica, using my own master parameters to synthesize a cached master: I may be able \
         to synchronize with the new master with just a partial transfer."
    );
    if let Some((position, database)) = restart::go_back(state) {
        return (Some(position), database);
    }
    let id = state.replication.identity.id;
    (Some(Position { id, offset: state.replication_offset() }), 0)
}

/// Follows a replica of this server, which is asked to take over: the last step of a FAILOVER. The history stays the
/// same.
pub fn take_second_place(state: &mut ServerState, host: &str, port: u16) {
    let position = Position { id: state.replication.identity.id, offset: state.replication_offset() };
    state.config.replicaof = Some(PrimaryAddress { host: host.to_string(), port });
    begin_following(state, host.to_string(), port, (Some(position), 0));
    if let Some(side) = &mut state.replication.replica {
        side.takes_over = true;
    }
    end_waits(state);
    tick(state);
}

/// Begins to follow the primary that the settings name, if they name one; the data are loaded. A primary goes on with
/// the history that they are of.
pub fn begin(state: &mut ServerState) {
    let Some(PrimaryAddress { host, port }) = state.config.replicaof.clone() else {
        return restart::go_on_as_primary(state);
    };
    let place = match state.replication.loaded.take() {
        None => (None, 0),
        Some(loaded) => {
            primary::adopt_history(state, loaded.position);
            (Some(loaded.position), loaded.database.unwrap_or(0))
        }
    };
    begin_following(state, host, port, place);
    tick(state);
}

fn begin_following(state: &mut ServerState, host: String, port: u16, place: (Option<Position>, usize)) {
    let now_ms = state.now_ms();
    let (position, database) = place;
    let link = PrimaryLink::new(position, timeout_ms(state), now_ms);
    state.replication.replica = Some(Box::new(ReplicaSide { database, ..ReplicaSide::new(host, port, link) }));
    state.keyspace.changes.propagation.log.set_relaying(true);
    state.keyspace.forget_own_expiries();
    primary::begin_backlog(state, false);
    note_role(state, logging::Role::Replica);
}

/// Becomes a primary: the data are this server's own from here on.
pub fn promote(state: &mut ServerState) {
    if !state.replication.is_replica() {
        return;
    }
    let_go(state);
    state.replication.replica = None;
    state.config.replicaof = None;
    let (id, offset) = (state.new_history_id(), state.replication_offset());
    let identity = &mut state.replication.identity;
    identity.branch(id, offset);
    log::info!(
        "Setting secondary replication ID to {}, valid up to offset: {}. New replication ID is {id}",
        identity.second_id,
        identity.second_offset
    );
    primary::drop_replicas(state);
    // Replicas of the same primary as before come now: their time to come begins here.
    state.replication.primary.alone_since_ms = state.now_ms();
    let log = &mut state.keyspace.changes.propagation.log;
    log.set_relaying(false);
    log.begin_anew(Target::Replicas);
    state.keyspace.forget_own_expiries();
    note_role(state, logging::Role::Primary);
}

/// What follows from the role, wherever it is looked at.
fn note_role(state: &mut ServerState, role: logging::Role) {
    logging::set_role(role);
    state.update_restrictions();
    state.update_expiry_mode();
    state.configure_memory();
}

/// Clients do not wait at a replica for what only a primary brings.
fn end_waits(state: &mut ServerState) {
    for token in state.clients.tokens() {
        if state
            .clients
            .get(token)
            .is_some_and(|session| session.waiting.as_ref().is_some_and(|waiting| !waiting.waits_at_replica))
        {
            wake::end(state, token, wake::UnblockReason::RoleChanged);
        }
    }
}

/// Ends all that is under way with the primary; gives the place in its history, and the database selected there.
fn let_go(state: &mut ServerState) -> (Option<Position>, usize) {
    replica_payload::drop_payload(state);
    disconnect(state);
    let side = state.replication.replica.as_ref();
    side.map_or((None, 0), |side| (side.position(), side.database))
}

/// Closes the connection to the primary at a client's wish. It is opened again.
pub fn cut_link(state: &mut ServerState) {
    lost(state, "Connection with master lost.");
}

/// Keeps the primary out of reach from now on, or no longer: for tests.
pub fn set_out_of_reach(state: &mut ServerState, is_out_of_reach: bool) {
    state.debug.loses_primary = is_out_of_reach;
    if is_out_of_reach {
        cut_link(state);
    }
}

/// Does what is due between two turns: an attempt to connect, data that can go on, a stream that stood still.
pub fn run(state: &mut ServerState) {
    let Some(side) = &state.replication.replica else { return };
    let now_ms = state.now_ms();
    if side.link.due_ms().is_some_and(|due_ms| due_ms <= now_ms) {
        tick(state);
    }
    let Some(side) = &mut state.replication.replica else { return };
    if side.is_held && !replica_stream::is_held(state) {
        go_on(state);
    }
    match replica_payload::tend(state) {
        Ok(true) => go_on(state),
        Ok(false) => {}
        Err(reason) => fail(state, &reason),
    }
}

/// When the next attempt to connect is due, in ms since the epoch.
pub fn due_ms(state: &ServerState) -> Option<i64> {
    state.replication.replica.as_ref()?.link.due_ms()
}

/// Has the bytes looked at that were left waiting.
fn go_on(state: &mut ServerState) {
    if let Some(side) = &mut state.replication.replica {
        side.is_held = false;
        if let Some(token) = side.connection {
            state.outbounds.call_again(token);
        }
    }
}

/// Time has passed: several times a second.
pub fn tick(state: &mut ServerState) {
    let timeout_ms = timeout_ms(state);
    let (now_ms, fsynced) = (state.now_ms(), replica_stream::fsynced(state));
    let Some(side) = &mut state.replication.replica else { return };
    side.link.timeout_ms = timeout_ms;
    let link = side.connection.and_then(|token| state.outbounds.link(token));
    let awaits_rest = side.awaits_rest && side.link.is_streaming();
    if link.is_some_and(|link| !link.input().is_empty()) && !awaits_rest {
        // The primary is not silent: this server is slow.
        side.link.note_input(now_ms);
    }
    with_link(state, |link, actions| link.on_tick(now_ms, fsynced, actions));
    let Some(side) = &state.replication.replica else { return };
    if side.link.owes_ack() {
        replica_stream::acknowledge(state);
    }
}

fn timeout_ms(state: &ServerState) -> i64 {
    i64::from(state.config.repl_timeout) * 1000
}

/// Has the link do something, and carries out what it asks for.
fn with_link(state: &mut ServerState, run: impl FnOnce(&mut PrimaryLink, &mut Vec<Action>)) {
    let Some(side) = &mut state.replication.replica else { return };
    let mut actions = Vec::new();
    run(&mut side.link, &mut actions);
    for action in actions {
        carry_out(state, action);
    }
}

fn carry_out(state: &mut ServerState, action: Action) {
    match action {
        Action::Connect { is_logged } => connect(state, is_logged),
        Action::Disconnect => disconnect(state),
        Action::Send(bytes) => {
            if let Some(token) = state.replication.replica.as_ref().and_then(|side| side.connection) {
                state.outbounds.write_with(token, |output| output.extend_from_slice(&bytes));
            }
        }
        Action::ExpectPayload(form) => {
            note_takeover(state, true);
            if let Err(reason) = replica_payload::expect(state, &form) {
                fail(state, &reason);
            }
        }
        Action::PayloadComplete => {
            if let Err(reason) = replica_payload::complete(state) {
                fail(state, &reason);
            }
        }
        Action::DropPayload => replica_payload::drop_payload(state),
        Action::Resumed(changed) => resume(state, changed),
        Action::Begun(position) => begin_stream(state, position),
        Action::TakeoverRejected => note_takeover(state, false),
        Action::Log(level, text) => log::log!(level, "{text}"),
    }
}

/// The server that was asked to take over has replied.
fn note_takeover(state: &mut ServerState, has_taken_over: bool) {
    if let Some(side) = &mut state.replication.replica
        && std::mem::take(&mut side.takes_over)
    {
        state.replication.takeover = Some(has_taken_over);
    }
}

/// The data cannot be received or loaded.
fn fail(state: &mut ServerState, reason: &str) {
    replica_payload::drop_payload(state);
    report(state, Err(reason));
}

/// Tells the link what has become of the data.
fn report(state: &mut ServerState, outcome: Result<(), &str>) {
    let now_ms = state.now_ms();
    with_link(state, |link, actions| link.on_loaded(now_ms, None, outcome, actions));
    // What has come meanwhile of the stream.
    go_on(state);
}

/// Loads a piece of data that came by way of a file: some ten microseconds' worth.
pub fn load_step(state: &mut ServerState) -> LoadingStep {
    match replica_payload::load_step(state) {
        Ok(LoadingStep::Done) => {
            report(state, Ok(()));
            LoadingStep::Done
        }
        Ok(step) => step,
        Err(reason) => {
            fail(state, &reason);
            LoadingStep::Done
        }
    }
}

fn connect(state: &mut ServerState, is_logged: bool) {
    if state.debug.loses_primary {
        return lost(state, "Connection with master lost.");
    }
    let now_ms = state.now_ms();
    let wait_ms = u64::from(state.config.repl_timeout) * 1000;
    let Some(side) = &mut state.replication.replica else { return };
    if is_logged {
        let what = if side.link.down_since_ms().is_some() { "Reconnecting" } else { "Connecting" };
        log::info!("{what} to MASTER {}:{}", side.host, side.port);
        log::info!("MASTER <-> REPLICA sync started");
    }
    let options = LinkOptions {
        connect_ms: wait_ms,
        // The link looks after that itself, since it matters what is under way.
        idle_ms: u64::MAX,
        progress: Progress::EitherWay,
        input_max_bytes: INPUT_MAX_BYTES,
        output_max_bytes: OUTPUT_MAX_BYTES,
    };
    let token = state.outbounds.open(&side.host, side.port, options, LinkOwner::Replica, now_ms);
    side.connection = Some(token);
    if state.config.tls_replication {
        let now_s = state.clock.now_ms() / 1000;
        let session = Connector::new(&state.config).and_then(|connector| {
            connector.begin(&side.host, now_s).map_err(|error| format!("Can't begin an encrypted connection: {error}"))
        });
        match session {
            Ok(session) => state.outbounds.encrypt(token, session),
            Err(reason) => lost(state, &reason),
        }
    }
}

fn disconnect(state: &mut ServerState) {
    let Some(side) = &mut state.replication.replica else { return };
    if let Some(token) = side.connection.take() {
        state.outbounds.close(token);
    }
    if let Some(mut client) = side.client.take() {
        side.database = client.session.database;
        state.abandon_transaction(&mut client.session);
    }
}

/// The connection to the primary has something to tell.
pub fn take_event(state: &mut ServerState, token: Token, event: LinkEvent) {
    let is_its = state.replication.replica.as_ref().is_some_and(|side| side.connection == Some(token));
    if !is_its {
        return state.outbounds.close(token);
    }
    let now_ms = state.now_ms();
    match event {
        LinkEvent::Connected => {
            if let Some(stream) = state.outbounds.link(token).and_then(|link| link.stream()) {
                // Where this fails the link notices a silent primary later.
                let _ = stream.set_options(state.config.tcp_keepalive);
            }
            let introduction = introduction(state);
            with_link(state, |link, actions| link.on_connected(now_ms, introduction, actions));
        }
        LinkEvent::Received => take_input(state, token),
        LinkEvent::Flushed => {}
        LinkEvent::Failed(failure) => {
            let reason = reason(state, failure);
            lost(state, &reason);
        }
        LinkEvent::TimedOut => lost(state, "Timeout connecting to the MASTER..."),
    }
}

fn introduction(state: &ServerState) -> Introduction {
    let config = &state.config;
    let user = (!config.masteruser.is_empty()).then(|| config.masteruser.clone());
    let port = if config.tls_replication { config.tls_port } else { config.port };
    Introduction {
        login: (!config.masterauth.is_empty()).then(|| (user, config.masterauth.clone())),
        listening_port: if config.replica_announce_port > 0 { config.replica_announce_port } else { port },
        announced_address: (!config.replica_announce_ip.is_empty()).then(|| config.replica_announce_ip.clone()),
        last: None,
        node_id: state.cluster.as_ref().map(|cluster| cluster.member.table().myself().id.to_string()),
        takes_over: state.replication.replica.as_ref().is_some_and(|side| side.takes_over),
    }
}

fn lost(state: &mut ServerState, reason: &str) {
    let now_ms = state.now_ms();
    let was_streaming = state.replication.replica.as_ref().is_some_and(|side| side.link.is_streaming());
    with_link(state, |link, actions| link.on_lost(now_ms, reason, actions));
    if was_streaming {
        log::info!("Caching the disconnected master state.");
    }
}

/// Why the link is lost, in words that depend on how far it was.
fn reason(state: &ServerState, failure: Failure) -> String {
    let what = match failure {
        Failure::UnknownHost => "the name of the host stands for no address".to_string(),
        Failure::Unreachable(kind) | Failure::Broken(kind) => kind.to_string(),
        Failure::Closed => "connection lost".to_string(),
        Failure::Overflow => "the primary takes no acknowledgements".to_string(),
    };
    let link_state = state.replication.replica.as_ref().map(|side| side.link.state());
    match (link_state, failure) {
        (_, Failure::UnknownHost) => format!("Unable to connect to MASTER: {what}"),
        (Some(LinkState::Streaming), Failure::Closed) => "Connection with master lost.".to_string(),
        (Some(LinkState::Streaming), _) => format!("Connection with master lost: {what}"),
        (Some(LinkState::Transfer), _) => format!("I/O error trying to sync with MASTER: {what}"),
        (Some(LinkState::Handshake), _) => format!("Failed to read response from the server: {what}"),
        _ => format!("Error condition on socket for SYNC: {what}"),
    }
}

/// Works on what has come, for as long as is fair.
fn take_input(state: &mut ServerState, token: Token) {
    let deadline = state.clock.ticks() + state.clock.nanos_as_ticks(SHARE_NS);
    let (input, begun_at) = state.outbounds.lend_input(token);
    let mut at = begun_at;
    while let Some(side) = state.replication.replica.as_ref().filter(|side| side.connection == Some(token)) {
        let rest = &input[at..];
        let (used, goes_on) = match side.link.is_streaming() {
            true => apply(state, rest, deadline),
            false => take_data(state, rest, deadline),
        };
        at += used;
        if !goes_on {
            break;
        }
    }
    state.stats.replication_input_bytes += (at - begun_at) as u64;
    state.outbounds.return_input(token, input, at);
}

/// Applies what has come of the stream; says how much that was, and whether there may be more to do at once.
fn apply(state: &mut ServerState, bytes: &[u8], deadline: u64) -> (usize, bool) {
    let (used, outcome) = replica_stream::apply(state, bytes, deadline);
    let now_ms = state.now_ms();
    if let Some(side) = &mut state.replication.replica {
        side.awaits_rest = matches!(outcome, Ok(Applied::All));
    }
    match outcome {
        Ok(Applied::All) => {}
        Ok(Applied::More) => go_on(state),
        Ok(Applied::Held) => {
            if let Some(side) = &mut state.replication.replica {
                side.is_held = true;
            }
        }
        Err(Trouble::NoStream(reason)) => {
            with_link(state, |link, actions| link.on_protocol_error(now_ms, &reason, actions));
            log::info!("Discarding previously cached master state.");
        }
        Err(Trouble::Inapplicable(reason)) => {
            with_link(state, |link, actions| link.on_inapplicable(now_ms, &reason, actions));
        }
    }
    (used, false)
}

/// Takes replies and data in; says how much that was, and whether there may be more to do at once.
fn take_data(state: &mut ServerState, bytes: &[u8], deadline: u64) -> (usize, bool) {
    match replica_payload::advance(state, deadline) {
        Ok(Advance::TakesMore) => {
            let taken = receive(state, &bytes[..bytes.len().min(PIECE_BYTES)]);
            (taken, taken > 0)
        }
        Ok(Advance::Waits) => (0, false),
        Ok(Advance::Unfinished) => {
            go_on(state);
            (0, false)
        }
        Ok(Advance::Loaded) => {
            report(state, Ok(()));
            (0, true)
        }
        Err(reason) => {
            fail(state, &reason);
            (0, false)
        }
    }
}

/// Hands replies or data to the link; says how much it took.
fn receive(state: &mut ServerState, bytes: &[u8]) -> usize {
    let now_ms = state.now_ms();
    let Some(side) = &mut state.replication.replica else { return 0 };
    let ReplicaSide { link, payload, .. } = &mut **side;
    let mut actions = Vec::new();
    let mut take = |bytes: &[u8]| {
        if let Some(payload) = payload {
            replica_payload::take(payload, bytes);
        }
    };
    let taken = link.on_bytes(now_ms, bytes, &mut take, &mut actions);
    for action in actions {
        carry_out(state, action);
    }
    taken
}

/// The stream goes on where it was left.
fn resume(state: &mut ServerState, changed: Option<ReplicationId>) {
    if let Some(id) = changed {
        let offset = state.replication_offset();
        state.replication.identity.branch(id, offset);
        primary::drop_replicas(state);
    }
    note_takeover(state, true);
    begin_client(state);
    state.note_appended();
}

/// New data have taken the place of the old ones, and the stream begins after this position.
fn begin_stream(state: &mut ServerState, position: Option<Position>) {
    let position = position.unwrap_or_else(|| Position { id: state.new_history_id(), offset: 0 });
    primary::drop_replicas(state);
    primary::adopt_history(state, position);
    state.keyspace.forget_own_expiries();
    primary::begin_backlog(state, false);
    let loaded = state.replication.loaded.take();
    if let Some(side) = &mut state.replication.replica {
        side.database = loaded.and_then(|loaded| loaded.database).unwrap_or(0);
        side.appended.clear();
        side.fsynced = 0;
    }
    begin_client(state);
    if state.config.appendonly
        && let Err(reason) = switching::turn_on_append_only(state)
    {
        log::warn!("Failed enabling the AOF after successful master synchronization: {reason}");
    }
    state.note_appended();
    wake::serve_all(state);
}

/// The primary is a client from now on, whose commands are applied.
fn begin_client(state: &mut ServerState) {
    let (id, now_ms) = (state.clients.take_id(), state.now_ms());
    let user = Users::unrestricted(enforcement::acl_context(state));
    let Some(side) = &mut state.replication.replica else { return };
    let link = side.connection.and_then(|token| state.outbounds.link(token));
    let stream = link.and_then(|link| link.stream());
    let address = stream.map(|stream| stream.address("")).unwrap_or_default();
    let mut session = Session::new(id, NOBODY, address, now_ms, Rc::clone(&user), Origin::Primary);
    session.descriptor = stream.map_or(-1, |stream| stream.descriptor());
    session.database = side.database;
    let (parser, batch) = (Parser::new(), Batch::new());
    side.client = Some(Box::new(PrimaryClient { session, parser, batch, unapplied: Vec::new() }));
}
