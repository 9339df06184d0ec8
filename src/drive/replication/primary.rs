//! The primary's side: the backlog, and the replicas that come, answer and go.

use crate::engine::loop_request::LoopRequest;
use crate::engine::output_limits;
use crate::engine::session::{Close, Mode, Session, Token};
use crate::engine::state::ServerState;
use crate::keyspace::{Target, Targets};
use crate::replication::replicas::{Announced, Replica};
use crate::replication::{Position, Refusal, Window};

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";
const ASK_FOR_ACK: &[u8] = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n";

/// Fewer bytes are never kept for replicas that come back.
const BACKLOG_MIN_BYTES: u64 = 16 * 1024;

/// Bytes that the backlog keeps at least.
pub fn backlog_bytes(state: &ServerState) -> u64 {
    state.config.repl_backlog_size.max(BACKLOG_MIN_BYTES)
}

/// Keeps the stream's last bytes from now on, for replicas that come back. A history begins with the backlog, unless a
/// server goes on with one that it was told: then `is_new` is false. Nothing happens if there is a backlog.
pub fn begin_backlog(state: &mut ServerState, is_new: bool) {
    if state.replication.primary.backlog.is_some() {
        return;
    }
    if is_new {
        let id = state.new_history_id();
        state.replication.identity.begin(id);
        let second = state.replication.identity.second_id;
        log::info!("Replication backlog created, my new replication IDs are '{id}' and '{second}'");
    }
    let (bytes, now_ms) = (backlog_bytes(state), state.now_ms());
    let log = &mut state.keyspace.changes.propagation.log;
    state.replication.primary.backlog = Some(log.attach_backlog(Target::Replicas, bytes));
    state.replication.primary.alone_since_ms = now_ms;
}

/// Gives the backlog up.
pub fn end_backlog(state: &mut ServerState) {
    if let Some(backlog) = state.replication.primary.backlog.take() {
        state.keyspace.changes.propagation.log.detach(backlog);
    }
}

/// The data are those of a history that was told, at this position. There is no replica.
pub fn adopt_history(state: &mut ServerState, position: Position) {
    end_backlog(state);
    state.keyspace.changes.propagation.log.set_count(Target::Replicas, position.offset);
    state.replication.identity.begin(position.id);
}

/// The setting says another size.
pub fn resize_backlog(state: &mut ServerState) {
    let bytes = backlog_bytes(state);
    if let Some(backlog) = &state.replication.primary.backlog {
        state.keyspace.changes.propagation.log.resize_backlog(backlog, bytes);
    }
}

/// Disconnects all replicas of this server; they come back and are told what has changed.
pub fn drop_replicas(state: &mut ServerState) {
    for client in state.replication.primary.replicas.clients() {
        // At once: nothing of what follows is for them.
        state.forget_replica(client);
        state.clients.kill(client);
    }
}

/// The bytes of the stream that are at hand, if any are kept.
pub fn window(state: &ServerState) -> Option<Window> {
    state.replication.primary.backlog.as_ref()?;
    let (first, last) = state.keyspace.changes.propagation.log.kept_counts(Target::Replicas)?;
    Some(Window { first: first + 1, last })
}

/// What a replica is called in the log: its address, with the port that it has announced.
pub fn name_of(announced: &Announced, session: &Session) -> String {
    let host = host_of(announced, session);
    match announced.port {
        0 => format!("{host}:<unknown-replica-port>"),
        port => format!("{host}:{port}"),
    }
}

/// The host where a replica can be reached.
pub fn host_of(announced: &Announced, session: &Session) -> String {
    match &announced.address {
        Some(address) => address.clone(),
        None => session.address.peer_host().to_string(),
    }
}

/// The name of a replica that is not on loan.
pub fn name(state: &ServerState, replica: &Replica) -> String {
    state.clients.get(replica.client).map_or(String::new(), |session| name_of(&replica.announced, session))
}

/// Goes on with a replica from where it was. Says whether that is possible; if so it is one of the replicas now.
pub fn resume(state: &mut ServerState, session: &mut Session, id: &[u8], wanted: i64) -> bool {
    let announced = session.announced.as_deref().cloned().unwrap_or_default();
    let name = name_of(&announced, session);
    let window = window(state);
    let identity = state.replication.identity;
    let byte = match identity.resume(id, wanted, window) {
        Ok(byte) => byte,
        Err(refusal) => {
            log_refusal(state, &name, id, wanted, refusal);
            return false;
        }
    };
    let reader = state.keyspace.changes.propagation.log.attach_at(Target::Replicas, byte - 1);
    if reader.is_none() {
        log_refusal(state, &name, id, wanted, Refusal::OutsideWindow);
        return false;
    }
    let missing = state.replication_offset() + 1 - byte;
    log::info!(
        "Partial resynchronization request from {name} accepted. Sending {missing} bytes of backlog starting from \
         offset {byte}."
    );
    let now_ms = state.now_ms();
    state.replication.primary.replicas.add_online(session.token, announced, reader, now_ms);
    become_replica(state, session);
    true
}

fn log_refusal(state: &ServerState, name: &str, id: &[u8], wanted: i64, refusal: Refusal) {
    let identity = &state.replication.identity;
    let id = String::from_utf8_lossy(id);
    match refusal {
        Refusal::NothingWanted => log::info!("Full resync requested by replica {name}"),
        Refusal::UnknownId => log::info!(
            "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '{id}', my replication \
             IDs are '{}' and '{}')",
            identity.id,
            identity.second_id
        ),
        Refusal::PastSecondId { wanted, shared_up_to } => log::info!(
            "Partial resynchronization not accepted: Requested offset for second ID was {wanted}, but I can reply up to \
             {shared_up_to}"
        ),
        Refusal::OutsideWindow => {
            log::info!(
                "Unable to partial resync with replica {name} for lack of backlog (Replica request was: {wanted})."
            );
            if wanted > i64::try_from(state.replication_offset()).unwrap_or(i64::MAX) {
                log::warn!(
                    "Warning: replica {name} tried to PSYNC with an offset that is greater than the master replication offset."
                );
            }
        }
    }
}

/// A client has become a replica that needs all data.
pub fn add_waiting(state: &mut ServerState, session: &mut Session) {
    let announced = session.announced.as_deref().cloned().unwrap_or_default();
    let now_ms = state.now_ms();
    state.replication.primary.replicas.add_waiting(session.token, announced, now_ms);
    state.replication.primary.wants_sync = true;
    become_replica(state, session);
    begin_backlog(state, true);
}

fn become_replica(state: &mut ServerState, session: &mut Session) {
    session.mode = Mode::Replica;
    // What else it has sent waits for the next turn, which takes it for a replica's.
    state.yields = true;
    if state.config.repl_disable_tcp_nodelay {
        state.requests.push(LoopRequest::GatherWrites(session.token));
    }
    state.replication.primary.news += 1;
}

/// A replica acknowledges the stream up to an offset.
pub fn take_ack(state: &mut ServerState, session: &Session, offset: u64, fsynced: Option<u64>) {
    let now_ms = state.now_ms();
    let primary = &mut state.replication.primary;
    primary.news += 1;
    if primary.was_sent_all(session.token) {
        // It was faster than the job that looks whether its socket has taken everything.
        primary.replicas.on_sent(session.token, now_ms);
    }
    let comes_online = primary.replicas.on_ack(session.token, offset, fsynced, now_ms);
    if comes_online && let Some(replica) = primary.replicas.get(session.token) {
        log::info!("Synchronization with replica {} succeeded", name_of(&replica.announced, session));
    }
    if state.config.min_replicas_to_write > 0 {
        state.update_restrictions();
    }
}

/// Asks all replicas for an acknowledgement, which a client waits for. Does nothing while clients are paused: the
/// stream stands still then.
pub fn ask_for_acks(state: &mut ServerState) {
    if !state.pause.is_active() {
        ask_now(state);
    }
}

/// Asks all replicas for an acknowledgement, also while clients are paused.
pub fn ask_now(state: &mut ServerState) {
    state.replication.primary.wants_acks = false;
    if !state.replication.is_replica() {
        state.keyspace.changes.propagation.log.append_raw(Targets::REPLICAS, ASK_FOR_ACK);
    }
}

/// Looks after the replicas, once a second.
pub fn each_second(state: &mut ServerState) {
    let primary = &mut state.replication.primary;
    primary.rounds += 1;
    if !primary.has_replicas() {
        return end_idle_backlog(state);
    }
    let pings = primary.rounds.is_multiple_of(u64::from(state.config.repl_ping_replica_period.max(1)));
    if pings && !state.replication.is_replica() && !state.pause.is_for_failover() {
        state.keyspace.changes.propagation.log.append_raw(Targets::REPLICAS, PING);
    }
    show_life(state);
    drop_lost(state);
    state.replication.primary.wants_sync |= state.replication.primary.replicas.any_waits();
    if state.config.min_replicas_to_write > 0 {
        state.update_restrictions();
    }
}

/// Replicas that wait for a snapshot, or for its file, are sent an empty line: they would give up else.
fn show_life(state: &mut ServerState) {
    let primary = &state.replication.primary;
    let mut waiting: Vec<Token> = primary.replicas.waiting().collect();
    for sync in primary.syncs.iter().filter(|sync| sync.can_be_joined()) {
        waiting.extend(&sync.members);
    }
    for client in waiting {
        state.clients.flush_after(client, |session| session.reply.raw(b"\n"));
    }
}

fn drop_lost(state: &mut ServerState) {
    let timeout_ms = i64::from(state.config.repl_timeout) * 1000;
    let now_ms = state.now_ms();
    let replicas = &state.replication.primary.replicas;
    let clients = &state.clients;
    let has_more = |client| clients.get(client).is_some_and(|session| !session.reply.is_empty());
    let silent = replicas.silent(timeout_ms, now_ms).into_iter().map(|client| (client, "streaming sync"));
    let stuck = replicas.stuck(timeout_ms, now_ms, has_more).into_iter().map(|client| (client, "full sync"));
    let lost: Vec<(Token, &str)> = silent.chain(stuck).collect();
    for (client, phase) in lost {
        if let Some(replica) = state.replication.primary.replicas.get(client) {
            log::warn!("Disconnecting timedout replica ({phase}): {}", name(state, replica));
        }
        state.clients.kill(client);
    }
}

/// Without replicas the backlog is kept for a time only. Its loss ends the history, since what was in it is no longer
/// known.
fn end_idle_backlog(state: &mut ServerState) {
    let ttl_s = i64::try_from(state.config.repl_backlog_ttl).unwrap_or(i64::MAX);
    if ttl_s == 0 || state.replication.is_replica() || state.replication.primary.backlog.is_none() {
        return;
    }
    let alone_ms = state.now_ms() - state.replication.primary.alone_since_ms;
    if alone_ms / 1000 > ttl_s {
        let id = state.new_history_id();
        state.replication.identity.begin(id);
        end_backlog(state);
        log::info!("Replication backlog freed after {ttl_s} seconds without connected replicas.");
    }
}

/// Closes the replicas that are further behind in the log of changes than `client-output-buffer-limit` allows.
pub fn check_limits(state: &mut ServerState) {
    for client in state.replication.primary.replicas.clients() {
        let Some(mut session) = state.clients.checkout(client) else {
            continue;
        };
        let pending_bytes = output_limits::pending_bytes(state, &session);
        if session.close == Close::No && output_limits::output_limit_reached(state, &mut session, pending_bytes) {
            session.close = Close::Now;
            state.clients.queue_close(client);
        }
        state.clients.checkin(session);
    }
}

/// Disconnects a replica that is too far behind.
pub fn close_behind(state: &mut ServerState, client: Token) {
    if let Some(session) = state.clients.checkout(client) {
        output_limits::note_closed(state, &session);
        state.clients.checkin(session);
        state.clients.kill(client);
    }
}

/// Whether all replicas have acknowledged the whole stream.
pub fn are_in_sync(state: &ServerState) -> bool {
    let offset = state.replication_offset();
    state.replication.primary.replicas.iter().all(|replica| replica.acked_offset == offset)
}

/// The server ends: tells the log how far the replicas are.
pub fn log_lag(state: &ServerState) {
    let (offset, now_ms) = (state.replication_offset(), state.now_ms());
    let replicas = &state.replication.primary.replicas;
    for replica in replicas.iter().filter(|replica| replica.acked_offset != offset) {
        log::info!(
            "Lagging replica {} reported offset {} behind master, lag={}, state={}.",
            name(state, replica),
            offset.saturating_sub(replica.acked_offset),
            if replica.state.is_online() { replica.lag_s(now_ms) } else { 0 },
            replica.state.name()
        );
    }
    if !replicas.is_empty() {
        let in_sync = replicas.iter().filter(|replica| replica.acked_offset == offset).count();
        log::info!("{in_sync} of {} replicas are in sync when shutting down.", replicas.len());
    }
}
