//! Who must hear of what a command did: monitors, the slow log, the latency monitor, clients that watch keys, wait for them or
//! cache them, and those who listen to keyspace events.
//!
//! Never decides whether a command may run.

mod events;
pub mod latency;
pub mod monitor;
pub mod propagation;
pub mod slowlog;

use crate::blocking::wake;
use crate::command::keys;
use crate::command::spec::{Category, Flag, FlagSet};
use crate::command::{Args, CommandId};
use crate::instance::{Instance, SLOW_US};
use crate::keyspace::{Change, InterestId};
use crate::session::Session;
use crate::transaction::Found;

/// Notes a command that took so many ticks: at least `slow_ticks`, the least that anybody asks for.
#[cold]
pub fn slow_command(
    instance: &mut Instance,
    session: &Session,
    args: Args<'_>,
    flags: FlagSet,
    ticks: u64,
) {
    let elapsed_us = instance.clock.ticks_as_nanos(ticks) / 1000;
    instance.was_slow |= elapsed_us >= SLOW_US;
    let threshold_us = instance.config.slowlog_log_slower_than;
    if threshold_us >= 0 && elapsed_us >= threshold_us as u64 && !flags.has(Flag::SkipSlowlog) {
        let now_ms = instance.now_ms();
        instance
            .slowlog
            .push(session, args, flags, elapsed_us, now_ms);
    }
    let event = if flags.has(Flag::Fast) {
        "fast-command"
    } else {
        "command"
    };
    instance.note_latency(event, elapsed_us / 1000);
}

/// Whether an argument of the command that has just run is a secret.
fn is_secret(session: &Session, flags: FlagSet, index: usize) -> bool {
    session.redacted.contains(&index) || (index > 0 && flags.has(Flag::Secret))
}

/// Tells of the changes of the command that has just run. Those who wait for a key are served when the outermost one is over.
#[cold]
pub fn after_command(instance: &mut Instance, actor: &Session) {
    if instance.is_secluded {
        return;
    }
    instance.close_overfull();
    tell(instance, Some(actor.actor));
    if instance.nesting == 0 {
        serve_ready(instance);
    }
}

/// Publishes the changes of a command of an append-only file that is being loaded, so that the log of changes stays short. Clients
/// that wait for keys are served when loading is over.
pub fn after_replayed_command(instance: &mut Instance) {
    instance.close_overfull();
    tell(instance, None);
}

/// Tells of changes that no command has made: keys whose time was over, for the most part.
pub fn changes(instance: &mut Instance) {
    tell(instance, None);
    serve_ready(instance);
}

/// Serves the clients that waited for keys which have changed, which changes keys in its turn. One after the other, so that a
/// chain of them of any length needs no stack.
fn serve_ready(instance: &mut Instance) {
    instance.nesting += 1;
    while let Some(key) = instance.blocking.next_ready() {
        wake::serve_key(instance, key);
        tell(instance, None);
        instance.blocking.served(key);
    }
    instance.nesting -= 1;
}

/// Hands the log to those who must hear of it; `actor` is the number of the client whose command has just run.
fn tell(instance: &mut Instance, actor: Option<u64>) {
    let mut is_flushed = false;
    for change in instance.keyspace.changes.take() {
        match change {
            Change::Wanted(key) => tell_of_wanted(instance, key),
            Change::Modified {
                key, has_expired, ..
            } => {
                let by = actor.filter(|_| !has_expired);
                let clients = &mut instance.clients;
                instance.tracking.invalidate(clients, &key, actor, by);
            }
            Change::Event {
                event,
                database,
                key,
                ..
            } => events::publish(instance, event, database, &key),
            // However many databases one command empties, it is told once.
            Change::Flushed { .. } if is_flushed => {}
            Change::Flushed { .. } => {
                is_flushed = true;
                instance.tracking.invalidate_all(&mut instance.clients);
            }
            // The clients' caches do not tell databases apart.
            Change::Swapped { .. } => {}
        }
    }
}

/// Remembers what a client that tracks has read by the command that has just run.
#[cold]
pub fn track(instance: &mut Instance, session: &Session, command: CommandId, args: Args<'_>) {
    let command = instance.commands.get(command);
    let is_script = command.categories & 1 << Category::Scripting as u32 != 0;
    let reads = command.flags.has(Flag::ReadOnly) && !is_script;
    if reads && instance.tracking.wants_keys(session.actor) {
        for key in keys::keys_of(command, args) {
            let clients = &mut instance.clients;
            instance
                .tracking
                .remember(clients, session.actor, args.at(key.index));
        }
    }
}

/// Tells those who wait for a key or watch it that it has changed.
fn tell_of_wanted(instance: &mut Instance, id: InterestId) {
    instance.blocking.signal(id);
    let watches = &mut instance.transactions.watches;
    if watches.is_watched(id)
        && let Some((database, key)) = instance.keyspace.changes.interest().key(id)
    {
        let now = Found::at(&instance.keyspace, database, &key);
        watches.touch(&mut instance.keyspace.changes, id, now);
    }
}
