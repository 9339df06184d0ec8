//! Intersections, unions and differences of sets: SINTER, SUNION, SDIFF, and those that store them.

use smallvec::SmallVec;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, KeySpec, OVERWRITE, READ, UPDATE};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::{EventClass, Keyspace, Record};
use crate::resp::Args;
use crate::types::set::algebra::{self, Sets};
use crate::types::set::{Member, SetRef};
use crate::types::slot::OwnedValue;

use super::{limits, reply_member};

use std::ops::ControlFlow;

const TOTAL: &str = "O(N) with N the number of members of all the sets.";
const BY_SMALLEST: &str = "O(N*M) with N the number of members of the smallest set and M the number of sets.";

/// Commands that join sets.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("sinter", -2, Group::Set, "1.0.0", sinter)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::range(READ, 1, -1, 1)])
        .complexity(BY_SMALLEST)
        .summary("Gives the members that several sets have in common.")
        .arguments("key..."),
    CommandSpec::new("sinterstore", -3, Group::Set, "1.0.0", sinterstore)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(UPDATE, 1), KeySpec::range(READ, 2, -1, 1)])
        .complexity(BY_SMALLEST)
        .summary("Makes a set of the members that several sets have in common.")
        .arguments("destination#0 key#1..."),
    CommandSpec::new("sunion", -2, Group::Set, "1.0.0", sunion)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::range(READ, 1, -1, 1)])
        .complexity(TOTAL)
        .summary("Gives the members of all of several sets.")
        .arguments("key..."),
    CommandSpec::new("sunionstore", -3, Group::Set, "1.0.0", sunionstore)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(OVERWRITE, 1), KeySpec::range(READ, 2, -1, 1)])
        .complexity(TOTAL)
        .summary("Makes a set of the members of all of several sets.")
        .arguments("destination#0 key#1..."),
    CommandSpec::new("sdiff", -2, Group::Set, "1.0.0", sdiff)
        .flags(&[Flag::ReadOnly])
        .tips(&["nondeterministic_output_order"])
        .keys(&[KeySpec::range(READ, 1, -1, 1)])
        .complexity(TOTAL)
        .summary("Gives the members of a set that none of the other sets has.")
        .arguments("key..."),
    CommandSpec::new("sdiffstore", -3, Group::Set, "1.0.0", sdiffstore)
        .flags(&[Flag::Write, Flag::DenyOom])
        .keys(&[KeySpec::one(OVERWRITE, 1), KeySpec::range(READ, 2, -1, 1)])
        .complexity(TOTAL)
        .summary("Makes a set of the members of a set that none of the other sets has.")
        .arguments("destination#0 key#1..."),
];

/// What is worked out of several sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Intersection,
    Union,
    Difference,
}

/// The records of the keys that are asked for, held as they are.
pub struct Sources {
    records: SmallVec<[Option<Record>; 4]>,
}

impl Sources {
    /// Looks the keys up. Errors: one of them, the first one, is no set.
    pub fn read(keyspace: &mut Keyspace, database: usize, keys: Args<'_>) -> Result<Sources, CommandError> {
        let mut records = SmallVec::with_capacity(keys.len());
        for key in keys.iter() {
            let record = keyspace.read(database, key).cloned();
            if let Some(record) = &record
                && SetRef::of(record.value().stored()).is_none()
            {
                return Err(CommandError::WRONG_TYPE);
            }
            records.push(record);
        }
        Ok(Sources { records })
    }

    /// The set of one key, if there is one.
    fn set(&self, index: usize) -> Option<SetRef<'_>> {
        SetRef::of(self.records[index].as_ref()?.value().stored())
    }

    /// The sets of the keys that there are, from one on.
    fn sets_from(&self, first: usize) -> Sets<'_> {
        (first..self.records.len()).filter_map(|index| self.set(index)).collect()
    }

    /// All sets; none if one of them is empty, as a key that is absent is.
    fn all_sets(&self) -> Sets<'_> {
        let sets = self.sets_from(0);
        if sets.len() < self.records.len() {
            return Sets::new();
        }
        sets
    }

    /// The set if there is only one, or only one and absent ones of which it is the union, or the first one.
    fn single(&self, operation: Operation) -> Option<SetRef<'_>> {
        let is_single = match operation {
            Operation::Union => self.records.iter().flatten().count() == 1,
            Operation::Intersection => self.records.len() == 1,
            Operation::Difference => self.records[1..].iter().flatten().count() == 0,
        };
        if !is_single {
            return None;
        }
        (0..self.records.len()).find_map(|index| self.set(index))
    }

    /// Shows the result of an operation, until `visit` breaks off.
    pub fn show(&self, operation: Operation, keyspace: &Keyspace, visit: impl FnMut(Member<'_>) -> ControlFlow<()>) {
        let seed = keyspace.seed();
        match operation {
            Operation::Intersection => algebra::intersection(&self.all_sets(), visit),
            Operation::Union => algebra::union(&self.sets_from(0), seed, visit),
            Operation::Difference => {
                if let Some(first) = self.set(0) {
                    algebra::difference(first, &self.sets_from(1), seed, visit);
                }
            }
        }
    }

    /// Shows every member of every set, as often as it comes.
    pub fn for_each(&self, mut visit: impl FnMut(&[u8])) {
        for set in self.sets_from(0) {
            set.for_each(|member| member.with_bytes(&mut visit));
        }
    }

    /// How many members the result of an operation has, if that is known without working it out.
    pub fn known_count(&self, operation: Operation) -> Option<usize> {
        self.single(operation).map(SetRef::len)
    }
}

fn sinter(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_with(context, args, Operation::Intersection)
}

fn sinterstore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    store(context, args, Operation::Intersection)
}

fn sunion(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_with(context, args, Operation::Union)
}

fn sunionstore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    store(context, args, Operation::Union)
}

fn sdiff(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    reply_with(context, args, Operation::Difference)
}

fn sdiffstore(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    store(context, args, Operation::Difference)
}

fn reply_with(context: &mut Context<'_>, args: Args<'_>, operation: Operation) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let sources = Sources::read(keyspace, database, args.slice_from(1))?;
    if let Some(set) = sources.single(operation) {
        reply.set(set.len());
        set.for_each(|member| reply_member(reply, member));
        return Ok(());
    }
    let place = reply.begin_deferred();
    let mut count = 0;
    sources.show(operation, keyspace, |member| {
        count += 1;
        reply_member(reply, member.text());
        ControlFlow::Continue(())
    });
    reply.end_deferred_set(place, count);
    Ok(())
}

fn store(context: &mut Context<'_>, args: Args<'_>, operation: Operation) -> CommandResult {
    let limits = limits(&context.state.config);
    let (keyspace, database, reply) = context.parts();
    let destination = args.at(1);
    let sources = Sources::read(keyspace, database, args.slice_from(2))?;
    let seed = keyspace.seed();
    let (event, result) = match operation {
        Operation::Intersection => {
            let sets = sources.all_sets();
            let result = algebra::stored_intersection(&sets, limits, seed);
            ("sinterstore", Some(result))
        }
        Operation::Union => {
            let result = algebra::stored_union(&sources.sets_from(0), limits, seed);
            ("sunionstore", Some(result))
        }
        Operation::Difference => {
            let others = sources.sets_from(1);
            let result = sources.set(0).map(|first| algebra::stored_difference(first, &others, limits, seed));
            ("sdiffstore", result)
        }
    };
    drop(sources);
    let count = put(keyspace, database, destination, result, event);
    reply.integer(count as i64);
    Ok(())
}

/// Puts a result at its key, whatever was there before, or removes the key if the result is empty; tells how many
/// members it has.
fn put(keyspace: &mut Keyspace, database: usize, key: &[u8], result: Option<OwnedValue>, event: &'static str) -> usize {
    let set = result.as_ref().and_then(SetRef::of_owned);
    let count = set.map_or(0, SetRef::len);
    match result {
        Some(result) if count > 0 => {
            keyspace.create(database, key, result);
            keyspace.modified(database, key);
            keyspace.changes.notify(EventClass::Set, event, database, key);
        }
        _ => {
            keyspace.delete(database, key);
        }
    }
    count
}
