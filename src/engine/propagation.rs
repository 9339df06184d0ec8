//! Passing on what commands did, unit by unit, to the append-only file.

use crate::resp::Args;
use crate::command::spec::{Flag, FlagSet};
use crate::engine::state::Instance;
use crate::engine::session::{Session, Token};

/// Commands whose changes are passed on.
const PASSED_ON: FlagSet = FlagSet::of(&[Flag::Write, Flag::MayReplicate]);

/// A command is over. It is gathered if it changed something; if it is the outermost one so is its unit.
#[inline(never)]
pub fn command_done(
    instance: &mut Instance,
    session: &mut Session,
    args: Args<'_>,
    flags: FlagSet,
) {
    let changes = &mut instance.keyspace.changes;
    let total = changes.total();
    if flags.intersects(PASSED_ON) {
        changes
            .propagation
            .finish(total, session.database, args.len(), args.iter());
    } else {
        changes.propagation.skip(total);
    }
    if instance.nesting == 0 {
        let belong_together = !flags.has(Flag::TouchesArbitraryKeys);
        match flags.intersects(PASSED_ON) {
            true => end_unit_of(instance, session, belong_together),
            // All it can have done is to find keys expired.
            false => end_unit(instance, belong_together),
        }
    }
}

/// The same as `end_unit` for what a client has done: it may ask later whether it is on the disk.
pub fn end_unit_of(instance: &mut Instance, session: &mut Session, belong_together: bool) {
    if !instance.keyspace.changes.propagation.is_empty() {
        end_unit(instance, belong_together);
        note_writer(instance, session);
    }
}

/// The same for what a client has begun some turns of the loop ago; it may be gone.
pub fn end_late_unit(instance: &mut Instance, client: Token) {
    if instance.keyspace.changes.propagation.is_empty() {
        return;
    }
    end_unit(instance, true);
    if let Some(mut session) = instance.clients.lend(client) {
        note_writer(instance, &mut session);
        instance.clients.restore(session);
    }
}

/// A unit is over: its commands are passed on, as a transaction if there are several that belong together.
pub fn end_unit(instance: &mut Instance, belong_together: bool) {
    let propagation = &mut instance.keyspace.changes.propagation;
    if propagation.is_empty() {
        return;
    }
    let now_s = instance.keyspace.now_ms.div_euclid(1000);
    instance.aof.feed(propagation, belong_together, now_s);
    propagation.clear();
}

/// A client's unit was passed on. It may ask later whether that is on the disk.
fn note_writer(instance: &mut Instance, session: &mut Session) {
    session.write_offset = instance.aof.appended();
    if instance.has_unwritten() {
        session.sees_unwritten = true;
        instance.note_unwritten();
    }
}
