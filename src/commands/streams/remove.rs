//! Deleting entries: XDEL, XDELEX and XACKDEL.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{DELETE, Flag, Group, KeyFlag, KeySpec};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::Keyspace;
use crate::resp::Args;
use crate::resp::{Reply, number};
use crate::types::stream::{Deletion, Id, References, Stream};

use super::trim_options::parse_references;
use super::{Ids, edit, notify, parse_id, parse_ids, read};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("xdel", -3, Group::Stream, "5.0.0", delete)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(DELETE, 1)])
        .complexity("O(1) for each ID, whatever the length of the stream.")
        .summary("Deletes entries; tells how many.")
        .arguments("key id..."),
    CommandSpec::new("xdelex", -5, Group::Stream, "8.2.0", delete_explained)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(DELETE, 1)])
        .complexity("O(1) for each ID, whatever the length of the stream; O(N) for N groups with DELREF and ACKED.")
        .summary("Deletes entries and reports the outcome of each; may consider the groups' references.")
        .arguments("key condition=[KEEPREF|DELREF|ACKED] IDS {numids:integer id...}"),
    CommandSpec::new("xackdel", -6, Group::Stream, "8.2.0", acknowledge_and_delete)
        .flags(&[Flag::Write, Flag::Fast])
        .keys(&[KeySpec::one(&[KeyFlag::Rw, KeyFlag::Update, KeyFlag::Delete], 1)])
        .complexity("O(1) for each ID, whatever the length of the stream; O(N) for N groups with DELREF and ACKED.")
        .summary("Acknowledges entries of a group, deletes them, and reports the outcome of each.")
        .arguments("key group condition=[KEEPREF|DELREF|ACKED] IDS {numids:integer id...}"),
];

fn delete(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let deleted = edit(keyspace, database, key, |stream| {
        let ids = parse_ids(args, 2)?;
        let deleted = ids.iter().filter(|id| stream.entries.delete(**id));
        Ok::<usize, CommandError>(deleted.count())
    })?;
    let deleted = deleted.transpose()?.unwrap_or(0);
    if deleted > 0 {
        keyspace.modified_times(database, key, deleted as u64);
        notify(keyspace, "xdel", database, key);
    }
    reply.integer(deleted as i64);
    Ok(())
}

/// The options of XDELEX and XACKDEL, and where their IDs are.
struct Options {
    references: References,
    ids: Range<usize>,
}

impl Options {
    /// Reads those from an argument on. Errors: all that can be wrong with them, the IDs aside.
    fn parse(args: Args<'_>, first: usize) -> Result<Options, CommandError> {
        let mut references = None;
        let mut ids = None;
        let mut at = first;
        while let Some(option) = args.get(at) {
            if parse_references(option, &mut references) {
                at += 1;
            } else if option.eq_ignore_ascii_case(b"IDS") && ids.is_none() {
                let range = counted_ids(args, at + 1)?;
                at = range.end;
                ids = Some(range);
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(Options { references: references.unwrap_or_default(), ids: ids.ok_or(CommandError::SYNTAX)? })
    }

    /// Reads the IDs. Errors: one is none.
    fn parse_ids(&self, args: Args<'_>) -> Result<Ids, CommandError> {
        self.ids.clone().map(|at| parse_id(args.at(at))).collect()
    }
}

/// Where so many IDs are, whose number is here.
fn counted_ids(args: Args<'_>, at: usize) -> Result<Range<usize>, CommandError> {
    let count = args.get(at).ok_or(CommandError::SYNTAX)?;
    let count = number::parse_i64(count).filter(|count| *count > 0);
    let count = count.ok_or(CommandError::fixed("ERR Number of IDs must be a positive integer"))?;
    let first = at + 1;
    let count = usize::try_from(count).ok();
    match count.filter(|count| *count <= args.len() - first) {
        Some(count) => Ok(first..first + count),
        None => Err(CommandError::fixed("ERR The `numids` parameter must match the number of arguments")),
    }
}

/// What a deletion did, to be passed on as XACK and XDEL: older servers know those.
struct PassedOn {
    is_on: bool,
    /// References that go, by group.
    acknowledged: BTreeMap<Vec<u8>, Vec<Id>>,
    deleted: Vec<Id>,
}

impl PassedOn {
    fn new(keyspace: &Keyspace) -> PassedOn {
        let is_on = keyspace.changes.propagation.is_on();
        PassedOn { is_on, acknowledged: BTreeMap::new(), deleted: Vec::new() }
    }

    /// An entry is about to be acknowledged in a group.
    fn note_reference(&mut self, stream: &Stream, group: &[u8], id: Id) {
        let is_pending = stream.groups.get(group).is_some_and(|group| group.pending_entry(id).is_some());
        if self.is_on && is_pending {
            let ids = self.acknowledged.entry(group.to_vec()).or_default();
            if ids.last() != Some(&id) {
                ids.push(id);
            }
        }
    }

    /// An entry is about to be deleted; its references may go, too.
    fn note_references(&mut self, stream: &Stream, id: Id, references: References) {
        if self.is_on && references == References::Delete {
            let names: Vec<Vec<u8>> = stream.groups.iter().map(|group| group.name().to_vec()).collect();
            names.iter().for_each(|name| self.note_reference(stream, name, id));
        }
    }

    fn note_deletion(&mut self, id: Id, deletion: Deletion) {
        if self.is_on && deletion == Deletion::Deleted {
            self.deleted.push(id);
        }
    }

    fn propagate(&self, keyspace: &mut Keyspace, database: usize, key: &[u8]) {
        if !self.is_on {
            return;
        }
        let texts = |ids: &[Id]| -> Vec<Vec<u8>> { ids.iter().map(|id| id.text().to_vec()).collect() };
        let propagation = &mut keyspace.changes.propagation;
        for (group, ids) in &self.acknowledged {
            let texts = texts(ids);
            let head: [&[u8]; 3] = [b"XACK", key, group];
            let words = head.into_iter().chain(texts.iter().map(Vec::as_slice));
            propagation.add_with(database, 3 + ids.len(), words);
        }
        if self.deleted.is_empty() {
            return propagation.suppress();
        }
        let texts = texts(&self.deleted);
        let head: [&[u8]; 2] = [b"XDEL", key];
        propagation.replace_with(2 + texts.len(), head.into_iter().chain(texts.iter().map(Vec::as_slice)));
    }
}

/// The number that stands for what became of an entry.
fn write_deletion(reply: &mut Reply, deletion: Deletion) {
    reply.integer(match deletion {
        Deletion::Deleted => 1,
        Deletion::Absent => -1,
        Deletion::Needed => 2,
    });
}

fn delete_explained(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let key = args.at(1);
    let exists = read(keyspace, database, key)?.is_some();
    let options = Options::parse(args, 2)?;
    if !exists {
        write_absent(reply, options.ids.len());
        return Ok(());
    }
    let ids = options.parse_ids(args)?;
    let mut passed_on = PassedOn::new(keyspace);
    let deleted = edit(keyspace, database, key, |stream| {
        let mut deleted = 0;
        let pending = stream.groups.pending();
        reply.array(ids.len());
        for id in ids {
            passed_on.note_references(stream, id, options.references);
            let deletion = stream.delete(id, options.references);
            passed_on.note_deletion(id, deletion);
            deleted += u64::from(deletion == Deletion::Deleted);
            write_deletion(reply, deletion);
        }
        (deleted, pending - stream.groups.pending())
    })?;
    passed_on.propagate(keyspace, database, key);
    match deleted {
        Some((deleted @ 1.., _)) => {
            keyspace.modified_times(database, key, deleted);
            notify(keyspace, "xdel", database, key);
        }
        // References to entries that were deleted before have gone, as by XACK.
        Some((0, references)) => keyspace.count_beside(database, key, references as u64),
        None => {}
    }
    Ok(())
}

fn write_absent(reply: &mut Reply, count: usize) {
    reply.array(count);
    for _ in 0..count {
        write_deletion(reply, Deletion::Absent);
    }
}

/// Acknowledges an entry, and deletes it if it was pending.
fn acknowledge_one(stream: &mut Stream, group: &[u8], id: Id, references: References) -> Deletion {
    let acknowledged = stream.groups.edit(group, |group| group.acknowledge(id));
    if acknowledged.flatten().is_none() {
        return Deletion::Absent;
    }
    match stream.delete(id, references) {
        Deletion::Absent => Deletion::Deleted,
        deletion => deletion,
    }
}

fn acknowledge_and_delete(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let (key, group) = (args.at(1), args.at(2));
    let stream = read(keyspace, database, key)?;
    let has_group = stream.is_some_and(|stream| stream.groups.get(group).is_some());
    let options = Options::parse(args, 3)?;
    if !has_group {
        write_absent(reply, options.ids.len());
        return Ok(());
    }
    let ids = options.parse_ids(args)?;
    let mut changes = 0;
    let mut passed_on = PassedOn::new(keyspace);
    let deleted = edit(keyspace, database, key, |stream| {
        let before = stream.len();
        reply.array(ids.len());
        for id in ids {
            passed_on.note_reference(stream, group, id);
            passed_on.note_references(stream, id, options.references);
            let deletion = acknowledge_one(stream, group, id, options.references);
            passed_on.note_deletion(id, deletion);
            changes += u64::from(deletion != Deletion::Absent);
            write_deletion(reply, deletion);
        }
        before - stream.len()
    })?;
    passed_on.propagate(keyspace, database, key);
    keyspace.count_beside(database, key, changes);
    if deleted.is_some_and(|deleted| deleted > 0) {
        keyspace.changes.touched(database, key);
        notify(keyspace, "xdel", database, key);
    }
    Ok(())
}
