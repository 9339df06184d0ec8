//! Hashes: what the family's commands share. Never decides in which form a hash is kept: the type does.

mod arguments;
pub mod counters;
pub mod expiring;
pub mod expiry;
pub mod reading;
pub mod setting;
pub mod walks;

use smallvec::SmallVec;

use crate::command::error::CommandError;
use crate::config::Config;
use crate::keyspace::{EventClass, Keyspace, ValueMut};
use crate::resp::Reply;
use crate::types::hash::{self, HashEditor, HashRef, Limits, Text};
use crate::types::slot::OwnedSlot;

/// Up to which size a hash is kept packed.
pub fn limits(config: &Config) -> Limits {
    let limit = |setting: u64| usize::try_from(setting).unwrap_or(usize::MAX);
    Limits { fields: limit(config.hash_max_listpack_entries), text_bytes: limit(config.hash_max_listpack_value) }
}

/// Replies with a field's name or value.
#[inline]
fn reply_text(reply: &mut Reply, text: Text<'_>) {
    match text {
        Text::Integer(number) => reply.bulk_integer(number),
        Text::Text(bytes) => reply.bulk(bytes),
    }
}

/// What `use_it` makes of the hash at a key, if there is one. Errors: the value is of another type.
#[inline]
fn read<R>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    use_it: impl FnOnce(HashRef<'_>) -> R,
) -> Result<Option<R>, CommandError> {
    keyspace.read_with(database, key, |record| {
        let Some(record) = record else {
            return Ok(None);
        };
        match HashRef::of(record.value().stored()) {
            Some(hash) => Ok(Some(use_it(hash))),
            None => Err(CommandError::WRONG_TYPE),
        }
    })
}

/// What a change has come to.
struct Changed<R> {
    result: R,
    /// Whether no field is left: the key is to be removed then.
    is_empty: bool,
}

/// Changes the hash at a key, if there is one; of the fields to be named those are removed before whose time is over.
/// Errors: the value is of another type.
#[inline]
fn change<'n, R>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    limits: Limits,
    names: impl Iterator<Item = &'n [u8]>,
    change: impl FnOnce(&mut HashEditor<'_, ValueMut<'_>>) -> R,
) -> Result<Option<Changed<R>>, CommandError> {
    let horizon_ms = keyspace.removal_horizon_ms();
    let Some(mut value) = keyspace.edit(database, key) else {
        return Ok(None);
    };
    let Some(mut hash) = HashEditor::of(&mut value, limits) else {
        return Err(CommandError::WRONG_TYPE);
    };
    let before_ms = hash.read().next_expiry_ms();
    let mut expired: SmallVec<[&[u8]; 8]> = SmallVec::new();
    if before_ms.is_some_and(|time_ms| time_ms < horizon_ms) {
        expired.extend(names.filter(|name| hash.remove_if_due(name, horizon_ms)));
    }
    let result = change(&mut hash);
    let (after_ms, is_empty) = (hash.read().next_expiry_ms(), hash.is_empty());
    keyspace.note_field_expiry(database, key, before_ms, after_ms);
    if !expired.is_empty() {
        propagate_removals(keyspace, database, key, &expired);
        keyspace.note_expired_fields(database, key, expired.len());
    }
    Ok(Some(Changed { result, is_empty }))
}

/// Makes a hash for a key that is absent; nothing is made if `fill` fails.
fn create<R, E>(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    limits: Limits,
    fill: impl FnOnce(&mut HashEditor<'_, OwnedSlot>) -> Result<R, E>,
) -> Result<R, E> {
    let mut slot = OwnedSlot::new(hash::empty(), keyspace.seed());
    let Some(mut editor) = HashEditor::of(&mut slot, limits) else {
        unreachable!("an empty hash is a hash");
    };
    let result = fill(&mut editor)?;
    keyspace.create(database, key, slot.value);
    Ok(result)
}

/// Removes those of the named fields whose time is over, and the hash if none is left.
#[cold]
fn remove_due<'n>(keyspace: &mut Keyspace, database: usize, key: &[u8], names: impl Iterator<Item = &'n [u8]>) {
    let changed = change(keyspace, database, key, Limits::NONE, names, |_| ());
    if changed.is_ok_and(|changed| changed.is_some_and(|changed| changed.is_empty)) {
        keyspace.remove_empty(database, key);
    }
}

/// Has fields whose time is over passed on as removed, each by itself.
fn propagate_removals(keyspace: &mut Keyspace, database: usize, key: &[u8], names: &[&[u8]]) {
    let propagation = &mut keyspace.changes.propagation;
    for name in names {
        propagation.add(database, &[b"HDEL", key, name]);
    }
}

/// Has a command passed on as the words of a prefix followed by these fields.
fn propagate_fields(keyspace: &mut Keyspace, prefix: &[&[u8]], names: &[&[u8]]) {
    let mut digits = itoa::Buffer::new();
    let count: [&[u8]; 2] = [b"FIELDS", digits.format(names.len()).as_bytes()];
    let words = prefix.iter().chain(&count).chain(names).copied();
    let length = prefix.len() + count.len() + names.len();
    keyspace.changes.propagation.replace_with(length, words);
}

/// Counts removed fields and publishes their removal.
fn note_removed(keyspace: &mut Keyspace, database: usize, key: &[u8], fields: usize) {
    if fields > 0 {
        keyspace.modified_times(database, key, fields as u64);
        keyspace.changes.notify(EventClass::Hash, "hdel", database, key);
    }
}
