//! What commands did, unit by unit, on its way to the log of changes. `end_unit` is its only writer.

use crate::cluster::key_slot;
use crate::command::keys::keys_of;
use crate::command::spec::{Flag, FlagSet};
use crate::engine::session::{Session, Token};
use crate::engine::slot_stats;
use crate::engine::state::ServerState;
use crate::engine::unflushed;
use crate::keyspace::Target;
use crate::keyspace::change_log::unit::decode;
use crate::resp::Args;

/// Commands whose changes are passed on.
const PASSED_ON: FlagSet = FlagSet::of(&[Flag::Write, Flag::MayReplicate]);
/// Commands whose unit holds what their client has written.
const WRITERS: FlagSet = FlagSet::of(&[Flag::Write, Flag::MayReplicate, Flag::RunsQueue]);

/// A command is over. It is gathered if it changed something; if it is the outermost one so is its unit.
#[inline(never)]
pub fn command_done(state: &mut ServerState, session: &mut Session, args: Args<'_>, flags: FlagSet) {
    let is_amid_unit = state.is_amid_unit();
    let time_s = if is_amid_unit { None } else { time_to_tell(state) };
    let changes = &mut state.keyspace.changes;
    let total = changes.total();
    if flags.intersects(PASSED_ON) {
        if !is_amid_unit && changes.propagation.append_alone(total, session.database, args, time_s) {
            state.aof.note_appended(changes.propagation.log.end_of(Target::File));
            return note_writer(state, session);
        }
        changes.propagation.finish(total, session.database, args);
    } else {
        changes.propagation.skip(total);
    }
    if !is_amid_unit {
        let belong_together = !flags.has(Flag::TouchesArbitraryKeys);
        match flags.intersects(WRITERS) {
            true => end_unit_of(state, session, belong_together),
            // All it can have done is to find keys expired.
            false => end_unit(state, belong_together),
        }
    }
}

/// The same as `end_unit` for what a client has done: it may ask later whether it is on the disk.
pub fn end_unit_of(state: &mut ServerState, session: &mut Session, belong_together: bool) {
    if !state.keyspace.changes.propagation.is_empty() {
        end_unit(state, belong_together);
        note_writer(state, session);
    }
}

/// Ends the unit that a client began some turns of the loop ago; the client may be gone.
pub fn end_late_unit(state: &mut ServerState, client: Token) {
    if state.keyspace.changes.propagation.is_empty() {
        return;
    }
    end_unit(state, true);
    if let Some(mut session) = state.clients.checkout(client) {
        note_writer(state, &mut session);
        state.clients.checkin(session);
    }
}

/// A unit is over: its commands are passed on, as a transaction if there are several that belong together.
pub fn end_unit(state: &mut ServerState, belong_together: bool) {
    if state.keyspace.changes.propagation.is_empty() {
        return;
    }
    if state.cluster.is_some() {
        look_at_changes(state, belong_together);
    }
    let time_s = time_to_tell(state);
    let propagation = &mut state.keyspace.changes.propagation;
    propagation.end_unit(belong_together, time_s);
    state.aof.note_appended(propagation.log.end_of(Target::File));
}

/// The time for the append-only file, in s since the epoch, if it records times.
#[inline]
fn time_to_tell(state: &ServerState) -> Option<i64> {
    state.aof.has_times().then(|| state.keyspace.now_ms.div_euclid(1000))
}

/// Hands changes of keys in moving slots to their migrations, and counts what goes to replicas by slot. Commands
/// without keys belong to no slot.
fn look_at_changes(state: &mut ServerState, belong_together: bool) {
    let ServerState { cluster, keyspace, commands, replication, .. } = state;
    let Some(cluster) = cluster.as_deref_mut().filter(|cluster| cluster.gathers()) else { return };
    let replicas = replication.primary.replicas.len();
    slot_stats::count_stream(cluster, commands, keyspace.changes.propagation.unit(), belong_together, replicas);
    let migrations = &mut cluster.slot_migrations;
    if !migrations.gathers() {
        return;
    }
    for (database, bytes) in keyspace.changes.propagation.unit().moves() {
        let words = decode(bytes);
        let args = Args::from_slices(&words);
        let Some(command) = commands.resolve(args.at(0), args.get(1)) else { continue };
        if let Some(key) = keys_of(command, args).iter().next() {
            migrations.push_change(key_slot(args.at(key.index)), database, bytes);
        }
    }
}

/// Says in the append-only file how far the history has come with what was appended, if anything was, or in any case.
pub fn mark_history(state: &mut ServerState, in_any_case: bool) {
    if !in_any_case && !state.aof.has_unwritten() {
        return;
    }
    let Some((position, database)) = state.place_in_history() else { return };
    let log = &mut state.keyspace.changes.propagation.log;
    state.aof.mark_history(log, position.id.as_str(), position.offset, database);
}

/// A client's unit was passed on. It may ask later whether that is on the disk.
fn note_writer(state: &mut ServerState, session: &mut Session) {
    session.write_offset = state.aof.appended();
    session.replication_offset = state.replication_offset();
    if state.has_unflushed() {
        session.sees_unflushed = true;
        unflushed::note_unflushed(state);
    }
}
