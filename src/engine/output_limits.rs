//! The limits of what waits to be sent to a client (`client-output-buffer-limit`).

use crate::config::OutputBufferLimit;
use crate::engine::session::{ClientKind, Close, Mode, Session, Token, UNAUTHENTICATED_OUTPUT_MAX_BYTES};
use crate::engine::state::ServerState;

/// Bytes of replies from which on a client is closed in any case; no limit for what runs within a unit, whose replies
/// are not the client's yet.
pub fn reply_limit_bytes(state: &ServerState, session: &Session) -> usize {
    let hard_bytes = output_limit_of(state, session).hard_bytes;
    match hard_bytes {
        0 => usize::MAX,
        _ if state.is_amid_unit() => usize::MAX,
        limited => usize::try_from(limited).unwrap_or(usize::MAX),
    }
}

fn output_limit_of(state: &ServerState, session: &Session) -> OutputBufferLimit {
    let limits = &state.config.client_output_buffer_limit;
    let normal = limits.normal;
    // What a monitor is told cannot be held back as a pipeline's replies can. Where ordinary clients
    // have no limit it has that of subscribers, to whom the same applies.
    match (session.kind(), session.mode) {
        (_, Mode::Replica) => for_replicas(state),
        (ClientKind::Pubsub, _) => limits.pubsub,
        (_, Mode::Monitor) if normal.hard_bytes == 0 && normal.soft_bytes == 0 => limits.pubsub,
        (_, Mode::Monitor | Mode::Normal | Mode::Debugging) => normal,
    }
}

/// The limit of replicas. What the backlog keeps anyway is no reason to close one.
fn for_replicas(state: &ServerState) -> OutputBufferLimit {
    let mut limit = state.config.client_output_buffer_limit.replica;
    if limit.hard_bytes > 0 {
        limit.hard_bytes = limit.hard_bytes.max(state.config.repl_backlog_size);
    }
    limit
}

/// Bytes that wait to be sent to a client: its replies, or what a replica has not read of the log of changes. A
/// snapshot that is on its way to it does not count.
pub fn pending_bytes(state: &ServerState, session: &Session) -> usize {
    if session.mode != Mode::Replica {
        return session.reply.len();
    }
    let replica = state.replication.primary.replicas.get(session.token);
    let reader = replica.and_then(|replica| replica.reader.as_ref());
    let log = &state.keyspace.changes.propagation.log;
    reader.map_or(0, |reader| usize::try_from(log.unread_bytes(reader)).unwrap_or(usize::MAX))
}

/// Whether the replies that wait for a client, of so many bytes, are over the hard limit, or
/// over the soft one for too long.
pub fn output_limit_reached(state: &mut ServerState, session: &mut Session, pending_bytes: usize) -> bool {
    let limit = output_limit_of(state, session);
    let pending_bytes = pending_bytes as u64;
    let hard = limit.hard_bytes > 0 && pending_bytes >= limit.hard_bytes
        || pending_bytes > UNAUTHENTICATED_OUTPUT_MAX_BYTES && state.must_log_in(session);
    let soft = limit.soft_bytes > 0 && pending_bytes >= limit.soft_bytes;
    let overstayed = if !soft {
        session.soft_limit_since_ms = 0;
        false
    } else if session.soft_limit_since_ms == 0 {
        session.soft_limit_since_ms = state.keyspace.now_ms;
        false
    } else {
        // By the calendar's seconds, as in Redis: never earlier, and up to a second later.
        let second = |time_ms: i64| time_ms.div_euclid(1000);
        let over_s = second(state.keyspace.now_ms) - second(session.soft_limit_since_ms);
        over_s > i64::try_from(limit.soft_seconds).unwrap_or(i64::MAX)
    };
    let reached = hard || overstayed;
    if reached && session.mode == Mode::Replica && goes_to_disk(state, session.token) {
        return false;
    }
    if reached {
        note_closed(state, session);
    }
    reached
}

/// Notes that a client is closed because it is too far behind.
pub fn note_closed(state: &mut ServerState, session: &Session) {
    state.stats.client_output_buffer_limit_disconnections += 1;
    log::warn!("Client id={} addr={} closed for overcoming of output buffer limits.", session.id, session.address.peer);
}

/// Whether a replica that is too far behind is sent the stream by way of the disk (`repl-log-disk-size`); notes that it
/// is to be.
#[cold]
fn goes_to_disk(state: &mut ServerState, client: Token) -> bool {
    let primary = &mut state.replication.primary;
    let has_reader = primary.replicas.get(client).is_some_and(|replica| replica.reader.is_some());
    if state.config.repl_log_disk_size == 0 || !has_reader {
        return false;
    }
    if !primary.wants_disk.contains(&client) {
        primary.wants_disk.push(client);
        primary.has_room = true;
    }
    true
}

/// Bytes that a replica may be behind in memory, by the stricter of its limits; no limit if there is none.
pub fn replica_limit_bytes(state: &ServerState) -> Option<u64> {
    let limit = for_replicas(state);
    [limit.hard_bytes, limit.soft_bytes].into_iter().filter(|bytes| *bytes > 0).min()
}
/// Closes the clients whose replies have grown beyond the limit by what they were told.
pub fn close_over_output_limit(state: &mut ServerState) {
    for token in state.clients.take_over_output_limit() {
        let Some(mut session) = state.clients.checkout(token) else {
            continue;
        };
        let pending_bytes = pending_bytes(state, &session);
        if session.close == Close::No && output_limit_reached(state, &mut session, pending_bytes) {
            session.close = Close::Now;
            session.reply.clear();
            state.clients.queue_close(token);
        }
        state.clients.checkin(session);
    }
}
