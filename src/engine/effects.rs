//! What follows from a command: monitors, the slow log, the latency monitor, clients that watch keys, wait for them or
//! cache them, and clients that listen to keyspace events.
//!
//! Never decides whether a command may run.

use crate::command::keys;
use crate::command::registry::CommandId;
use crate::command::spec::{Category, Flag};
use crate::engine::keyspace_events;
use crate::engine::output_limits;
use crate::engine::session::Session;
use crate::engine::state::{SLOW_US, ServerState};
use crate::engine::transactions::Found;
use crate::keyspace::{Change, ObservedKeyId};
use crate::observe::command_log::LoggedCommand;
use crate::resp::Args;

/// Notes a command that took so many ticks: at least `slow_ticks`, the lowest threshold of all listeners.
#[cold]
pub fn slow_command(state: &mut ServerState, session: &Session, command: CommandId, args: Args<'_>, ticks: u64) {
    let flags = state.commands.get(command).flags;
    let elapsed_us = state.clock.ticks_as_nanos(ticks) / 1000;
    if elapsed_us >= SLOW_US {
        state.yields = true;
        state.note_slow_request(session, command, args, flags);
    }
    let threshold_us = state.config.slowlog_log_slower_than;
    if threshold_us >= 0 && elapsed_us >= threshold_us as u64 && !flags.has(Flag::SkipSlowlog) {
        let (peer, name) = (session.address.peer.as_str(), session.name.as_slice());
        let waited_us = state.waited_us(ticks);
        let slow = LoggedCommand { args, amount: elapsed_us, waited_us, peer, name, now_ms: state.now_ms() };
        state.command_logs.slow.push(&slow, |index| session.hides_argument(flags, index));
    }
    let event = if flags.has(Flag::Fast) { "fast-command" } else { "command" };
    state.note_latency(event, elapsed_us / 1000);
}

/// Reports the changes of the command that has just run. Clients that wait for a key are served when
/// the outermost command is over (`wake::serve_ready`).
#[cold]
pub fn after_command(state: &mut ServerState, actor: &Session) {
    if state.is_sandboxed {
        return;
    }
    output_limits::close_over_output_limit(state);
    tell(state, Some(actor.actor));
}

/// Hands the log to blocked, watching, tracking and listening clients; `actor` is the number of the client whose
/// command has just run.
pub fn tell(state: &mut ServerState, actor: Option<u64>) {
    let mut is_flushed = false;
    for change in state.keyspace.changes.take() {
        match change {
            Change::Observed(key) => tell_of_wanted(state, key),
            Change::Modified { key, has_expired, .. } => {
                let by = actor.filter(|_| !has_expired);
                let clients = &mut state.clients;
                state.tracking.invalidate(clients, &key, actor, by);
            }
            Change::Event { event, database, key, .. } => keyspace_events::publish(state, event, database, &key),
            // However many databases one command empties, it is told once.
            Change::Flushed { .. } if is_flushed => {}
            Change::Flushed { .. } => {
                is_flushed = true;
                state.tracking.invalidate_all(&mut state.clients);
            }
            // The clients' caches do not tell databases apart.
            Change::Swapped { .. } => {}
        }
    }
}

/// Remembers what a client that tracks has read by the command that has just run.
#[cold]
pub fn track(state: &mut ServerState, session: &Session, command: CommandId, args: Args<'_>) {
    let command = state.commands.get(command);
    let is_script = command.categories & 1 << Category::Scripting as u32 != 0;
    let reads = command.flags.has(Flag::ReadOnly) && !is_script;
    if reads && state.tracking.wants_keys(session.actor) {
        for key in keys::keys_of(command, args) {
            let clients = &mut state.clients;
            state.tracking.remember(clients, session.actor, args.at(key.index));
        }
    }
}

/// Signals the clients that wait for a key or watch it that it has changed.
fn tell_of_wanted(state: &mut ServerState, id: ObservedKeyId) {
    state.blocking.signal(id);
    let watches = &mut state.transactions.watches;
    if watches.is_watched(id)
        && let Some((database, key)) = state.keyspace.changes.observed_keys().key(id)
    {
        let now = Found::at(&state.keyspace, database, &key);
        watches.touch(&mut state.keyspace.changes, id, now);
    }
}
