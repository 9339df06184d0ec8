//! Passing on what commands did, unit by unit, to the append-only file.

use crate::command::spec::{Flag, FlagSet};
use crate::command::{Args, CommandId};
use crate::instance::Instance;

/// Commands whose changes are passed on.
const PASSED_ON: FlagSet = FlagSet::of(&[Flag::Write, Flag::MayReplicate]);

/// A command is over. It is gathered if it changed something; if it is the outermost one so is its unit.
#[inline(never)]
pub fn command_done(
    instance: &mut Instance,
    database: usize,
    args: Args<'_>,
    _command: CommandId,
    flags: FlagSet,
) {
    let changes = &mut instance.keyspace.changes;
    let total = changes.total();
    if flags.intersects(PASSED_ON) {
        changes
            .propagation
            .finish(total, database, args.len(), args.iter());
    } else {
        changes.propagation.skip(total);
    }
    if instance.nesting == 0 {
        end_unit(instance, !flags.has(Flag::TouchesArbitraryKeys));
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
