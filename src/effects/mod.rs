//! Who must hear of what a command did: monitors, the slow log, the latency monitor, clients that wait for keys.
//!
//! Never decides whether a command may run.

pub mod latency;
pub mod monitor;
pub mod propagation;
pub mod slowlog;

use crate::blocking::wake;
use crate::command::Args;
use crate::command::spec::{Flag, FlagSet};
use crate::instance::{Instance, SLOW_US};
use crate::keyspace::Change;
use crate::session::Session;

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

/// Tells of the changes of the command that has just run, and of what follows from them: clients that waited for a key are
/// served, which changes keys in its turn. One after the other, so that a chain of them of any length needs no stack.
pub fn changes(instance: &mut Instance) {
    instance.nesting += 1;
    tell(instance);
    while let Some(key) = instance.blocking.next_ready() {
        wake::serve_key(instance, key);
        tell(instance);
        instance.blocking.served(key);
    }
    instance.nesting -= 1;
}

fn tell(instance: &mut Instance) {
    for change in instance.keyspace.changes.take() {
        match change {
            Change::Wanted(key) => instance.blocking.signal(key),
            // Nobody hears of these yet.
            Change::Modified { .. }
            | Change::Event { .. }
            | Change::Flushed { .. }
            | Change::Swapped { .. } => {}
        }
    }
}
