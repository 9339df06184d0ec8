//! Sets: what the family's commands share. Never decides in which form a set is kept: the type does.

pub mod algebra;
pub mod cardinality;
pub mod members;
pub mod random;

use crate::command::error::CommandError;
use crate::config::Config;
use crate::keyspace::{Keyspace, ValueMut};
use crate::resp::Reply;
use crate::types::set::{self, Limits, SetEditor, SetRef, Text};
use crate::types::slot::OwnedSlot;

/// Up to which size a set is kept packed.
pub fn limits(config: &Config) -> Limits {
    let limit = |setting: u64| usize::try_from(setting).unwrap_or(usize::MAX);
    Limits {
        integers: limit(config.set_max_intset_entries),
        members: limit(config.set_max_listpack_entries),
        text_bytes: limit(config.set_max_listpack_value),
    }
}

/// Replies with a member.
#[inline]
fn reply_member(reply: &mut Reply, member: Text<'_>) {
    match member {
        Text::Integer(number) => reply.bulk_integer(number),
        Text::Text(bytes) => reply.bulk(bytes),
    }
}

/// What `use_it` makes of the set at a key, if there is one. Errors: the value is of another type.
#[inline]
fn read<R>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    use_it: impl FnOnce(SetRef<'_>) -> R,
) -> Result<Option<R>, CommandError> {
    keyspace.read_with(database, key, |record| {
        let Some(record) = record else {
            return Ok(None);
        };
        match SetRef::of(record.value().stored()) {
            Some(set) => Ok(Some(use_it(set))),
            None => Err(CommandError::WRONG_TYPE),
        }
    })
}

/// What a change has come to.
struct Changed<R> {
    result: R,
    /// Whether no member is left: the key is to be removed then.
    is_empty: bool,
}

/// Changes the set at a key, if there is one. Errors: the value is of another type.
#[inline]
fn change<R>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    limits: Limits,
    change: impl FnOnce(&mut SetEditor<'_, ValueMut<'_>>) -> R,
) -> Result<Option<Changed<R>>, CommandError> {
    let Some(mut value) = keyspace.edit(database, key) else {
        return Ok(None);
    };
    let Some(mut editor) = SetEditor::of(&mut value, limits) else {
        return Err(CommandError::WRONG_TYPE);
    };
    let result = change(&mut editor);
    let is_empty = editor.is_empty();
    Ok(Some(Changed { result, is_empty }))
}

/// Makes a set of these members for a key that is absent; tells how many there are. There must be one at least.
fn create<'m>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    limits: Limits,
    count: usize,
    member: impl Fn(usize) -> &'m [u8],
) -> usize {
    let seed = keyspace.seed();
    let mut slot = OwnedSlot::new(set::empty_for(member(0), count, limits, seed), seed);
    let added = SetEditor::of_empty(&mut slot, limits).add_many(count, member);
    keyspace.create(database, key, slot.value);
    added
}
