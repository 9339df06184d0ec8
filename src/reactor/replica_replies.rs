//! Replicas send no requests that have replies, or they are disconnected.

use log::warn;

use crate::base::logging;
use crate::engine::client_line;
use crate::engine::session::{Close, Session};
use crate::engine::state::ServerState;

/// Looks after a replica that has sent something: while it loads, that is a sign of life. What it is sent is the
/// stream; a reply within it would be taken for a part of that.
#[cold]
pub(super) fn look_after_replica(state: &mut ServerState, session: &mut Session, unsent_bytes: usize) {
    let now_ms = state.now_ms();
    state.replication.primary.replicas.on_sign_of_life(session.token, now_ms);
    if session.reply.len() > unsent_bytes {
        give_up_replica(state, session, unsent_bytes);
    }
}

/// A replica has sent what has a reply.
#[cold]
fn give_up_replica(state: &mut ServerState, session: &mut Session, unsent_bytes: usize) {
    let command = session.last_command.map_or("<unknown>", |command| state.commands.get(command).full_name.as_str());
    let reply = session.reply.to_vec();
    if let Some(error) = reply.get(unsent_bytes..).and_then(|bytes| bytes.strip_prefix(b"-")) {
        let line = error.split(|byte| *byte == b'\r').next().unwrap_or_default();
        warn!(
            "== CRITICAL == This master is sending an error to its replica: '{}' after processing the command '{command}'",
            logging::user_data(line)
        );
        state.stats.unexpected_errors += 1;
    }
    let line = client_line::line_of_other(state, session);
    warn!("Replica generated a reply to command '{command}', disconnecting it: {}", String::from_utf8_lossy(&line));
    session.close = Close::Now;
}
