//! Lists: what the family's commands share. Never decides in which form a list is kept: the type does.

pub mod blocking;
pub mod elements;
pub mod ends;
pub mod moves;

use bytes::Bytes;

use crate::collections::listpack::{self, Element};
use crate::command::error::CommandError;
use crate::engine::context::Context;
use crate::engine::state::ServerState;
use crate::keyspace::{EventClass, Keyspace, Record, ValueMut};
use crate::resp::Args;
use crate::resp::{Reply, number};
use crate::types::list::{End, Given, Item, Limits, ListEditor, ListRef, Taken};
use crate::types::slot::{OwnedSlot, OwnedValue, PackedForm};

/// How lists are stored at present.
#[inline]
pub(in crate::commands) fn limits(state: &ServerState) -> Limits {
    Limits {
        max_listpack_size: state.config.list_max_listpack_size,
        compress_depth: state.config.list_compress_depth,
        large_bytes: state.debug.list_large_bytes,
    }
}

/// The list in a record. Errors: the value is of another type.
#[inline]
fn list_of(record: &Record) -> Result<ListRef<'_>, CommandError> {
    ListRef::of(record.value().stored()).ok_or(CommandError::WRONG_TYPE)
}

/// The length of the list at a key that is about to be changed, if there is one. Errors: it is not a list.
fn length_at(keyspace: &mut Keyspace, database: usize, key: &[u8]) -> Result<Option<usize>, CommandError> {
    let record = keyspace.lookup(database, key);
    record.map(|record| list_of(record).map(ListRef::len)).transpose()
}

/// Calls with the list at a key, to be changed, if there is one. Errors: it is not a list.
#[inline]
fn edit<R>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    limits: &Limits,
    change: impl FnOnce(&mut ListEditor<'_, ValueMut<'_>>) -> R,
) -> Result<Option<R>, CommandError> {
    let Some(mut value) = keyspace.edit(database, key) else {
        return Ok(None);
    };
    let mut list = ListEditor::of(&mut value, limits).ok_or(CommandError::WRONG_TYPE)?;
    Ok(Some(change(&mut list)))
}

/// Makes a list of elements, put in at an end one after the other, at a key that is not there. Gives how many they are.
fn create<G: Given>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    limits: &Limits,
    end: End,
    elements: impl Iterator<Item = G> + Clone,
) -> usize {
    let empty = OwnedValue::Packed(PackedForm::List, listpack::create());
    let mut slot = OwnedSlot::new(empty, keyspace.seed());
    let length = match ListEditor::of(&mut slot, limits) {
        Some(mut list) => list.push(end, elements),
        None => 0,
    };
    keyspace.create(database, key, slot.value);
    length
}

/// An argument that is to become an element. A large one is shared, not copied, if it was received in a buffer of its
/// own.
#[derive(Clone, Copy)]
struct GivenArgument<'a> {
    args: Args<'a>,
    index: usize,
}

impl Given for GivenArgument<'_> {
    #[inline]
    fn text(&self) -> &[u8] {
        self.args.at(self.index)
    }

    fn shared(&self) -> Bytes {
        self.args.bytes(self.index)
    }
}

/// Replies with an element; a long one is sent from where it lies.
#[inline]
fn reply_item(reply: &mut Reply, item: Item<'_>) {
    match item {
        Item::Packed(Element::Text(text)) => reply.bulk(text),
        Item::Packed(Element::Integer(integer)) => reply.bulk_integer(integer),
        Item::Large(bytes) => reply.bulk_shared(bytes),
    }
}

/// Replies with an element that was taken out.
fn reply_taken(reply: &mut Reply, element: &Taken) {
    match element {
        Taken::Copied(bytes) => reply.bulk(bytes),
        Taken::Shared(bytes) => reply.bulk_shared(bytes),
    }
}

/// The event of putting elements in at an end.
fn push_event(end: End) -> &'static str {
    match end {
        End::Front => "lpush",
        End::Back => "rpush",
    }
}

/// The event of taking elements out at an end.
fn pop_event(end: End) -> &'static str {
    match end {
        End::Front => "lpop",
        End::Back => "rpop",
    }
}

/// What is left of a list after elements were taken out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remainder {
    Elements,
    Nothing,
}

/// Tells of so many elements that were taken out of a list, and removes the key if nothing is left.
#[inline]
fn taken_out(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    event: &'static str,
    count: usize,
    remainder: Remainder,
) {
    keyspace.changes.notify(EventClass::List, event, database, key);
    if remainder == Remainder::Nothing {
        // The removal itself counts as one.
        keyspace.changes.count(count as u64 - 1);
        keyspace.remove(database, key);
        keyspace.changes.notify(EventClass::Generic, "del", database, key);
    } else {
        keyspace.modified_times(database, key, count as u64);
    }
}

/// Takes up to so many elements out of the list at a key at an end, handing each to `visit`, and publishes that. Gives
/// how many they were; none if there is no such key. Errors: it is not a list.
#[inline]
fn take_out(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    limits: &Limits,
    (end, count): (End, usize),
    visit: impl FnMut(Item<'_>),
) -> Result<usize, CommandError> {
    let taken = edit(keyspace, database, key, limits, |list| {
        let before = list.len();
        list.pop(end, count, visit);
        let after = list.len();
        if after > 0 {
            list.shrink();
        }
        (before - after, after)
    })?;
    let Some((taken, left)) = taken.filter(|(taken, _)| *taken > 0) else {
        return Ok(0);
    };
    let remainder = if left == 0 { Remainder::Nothing } else { Remainder::Elements };
    taken_out(keyspace, database, key, pop_event(end), taken, remainder);
    Ok(taken)
}

/// LEFT or RIGHT. Errors: another word.
fn end_argument(text: &[u8]) -> Result<End, CommandError> {
    if text.eq_ignore_ascii_case(b"left") {
        Ok(End::Front)
    } else if text.eq_ignore_ascii_case(b"right") {
        Ok(End::Back)
    } else {
        Err(CommandError::SYNTAX)
    }
}

/// An integer argument. Errors: it is none.
fn integer_argument(args: Args<'_>, index: usize) -> Result<i64, CommandError> {
    number::parse_i64(args.at(index)).ok_or(CommandError::NOT_AN_INTEGER)
}

/// An integer argument of at least `least`. Errors: it is not, with this text.
fn bounded_argument(args: Args<'_>, index: usize, least: i64, error: &'static str) -> Result<usize, CommandError> {
    let value = number::parse_i64(args.at(index)).filter(|value| *value >= least);
    let value = value.and_then(|value| usize::try_from(value).ok());
    value.ok_or(CommandError::fixed(error))
}

/// An integer argument that has an opposite. Errors: it is no integer, or the one without.
fn reversible_argument(args: Args<'_>, index: usize) -> Result<i64, CommandError> {
    match integer_argument(args, index)? {
        i64::MIN => Err(CommandError::new(format!(
            "ERR value is out of range, value must between {} and {}",
            -i64::MAX,
            i64::MAX
        ))),
        value => Ok(value),
    }
}

/// The elements that a start and a stop stand for, where negative ones count from the end: the first one's index and
/// how many they are.
fn range_of(start: i64, stop: i64, length: usize) -> (usize, usize) {
    let length = length as i64;
    let from_front = |index: i64| {
        if index < 0 { index.saturating_add(length).max(-1) } else { index }
    };
    let start = from_front(start).max(0);
    let stop = from_front(stop).min(length - 1);
    if start > stop {
        return (0, 0);
    }
    (start as usize, (stop - start + 1) as usize)
}

/// The arguments from that one on, as elements.
fn arguments_from(args: Args<'_>, first: usize) -> impl ExactSizeIterator<Item = GivenArgument<'_>> + Clone {
    (first..args.len()).map(move |index| GivenArgument { args, index })
}

/// The error of a command called with too many arguments, which its arity lets through.
fn too_many_arguments(context: &Context<'_>) -> CommandError {
    CommandError::wrong_arity(context.command_name())
}
