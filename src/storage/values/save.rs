//! Writes values in the form that Redis 7.2 gives them, or an older one for older readers. Small ones at once; large
//! ones are walked by a cursor (`cursor`).

use crate::collections::listpack::{Builder, Listpack};
use crate::keyspace::Value;
use crate::storage::rdb::{RdbVersion, ValueKind, Writer};
use crate::types::hash::HashRef;
use crate::types::object::Object;
use crate::types::slot::PackedForm;

use super::long_text::LONG_TEXT_BYTES;

/// How the blocks of a list are told apart.
pub(crate) const LARGE_ELEMENT: u64 = 1;
pub(crate) const LISTPACK: u64 = 2;
/// What Valkey writes for a field without an expiry time.
pub(crate) const NEVER_MS: i64 = -1;

/// The type under which a value is written. O(1).
pub fn kind_of(value: Value<'_>, writer: &Writer<'_>) -> ValueKind {
    match newest_kind_of(value) {
        ValueKind::SetListpack if !writer.knows(ValueKind::SetListpack) => ValueKind::Set,
        ValueKind::Stream3 if !writer.knows(ValueKind::Stream3) => ValueKind::Stream2,
        ValueKind::HashTimes | ValueKind::HashTimesListpack if is_for_valkey(writer) => ValueKind::HashTimesValkey,
        kind => kind,
    }
}

/// Whether fields with an expiry time are written as Valkey does it.
pub(crate) fn is_for_valkey(writer: &Writer<'_>) -> bool {
    writer.version() == RdbVersion::Valkey80
}

fn newest_kind_of(value: Value<'_>) -> ValueKind {
    match value {
        Value::Integer(_) | Value::Embedded(_) | Value::Raw(_) | Value::Large(_) => ValueKind::String,
        Value::Packed(form, _) => match form {
            PackedForm::List => ValueKind::ListListpacks,
            PackedForm::Set => ValueKind::SetListpack,
            PackedForm::IntSet => ValueKind::SetIntset,
            PackedForm::Hash => ValueKind::HashListpack,
            // One without any time is written as an ordinary one, which more servers can read.
            PackedForm::HashExpiring => match times_of(value) {
                Some(_) => ValueKind::HashTimesListpack,
                None => ValueKind::HashListpack,
            },
            PackedForm::SortedSet => ValueKind::SortedSetListpack,
        },
        Value::Object(object) => match object {
            Object::List(_) => ValueKind::ListListpacks,
            Object::Set(_) => ValueKind::Set,
            Object::Hash(hash) => match hash.next_expiry_ms() {
                Some(_) => ValueKind::HashTimes,
                None => ValueKind::Hash,
            },
            Object::SortedSet(_) => ValueKind::SortedSet,
            Object::Stream(_) => ValueKind::Stream3,
        },
    }
}

/// When the first field of a hash expires, in ms since the epoch.
fn times_of(value: Value<'_>) -> Option<i64> {
    HashRef::of(value.stored())?.next_expiry_ms()
}

/// Whether a value is so small that it is written at once.
pub(crate) fn is_small(value: Value<'_>) -> bool {
    value.object().is_none() && text_bytes(value) <= LONG_TEXT_BYTES
}

/// Bytes of a value that is no object.
fn text_bytes(value: Value<'_>) -> usize {
    match value {
        Value::Embedded(text) | Value::Raw(text) | Value::Packed(_, text) => text.len(),
        Value::Large(text) => text.len(),
        Value::Integer(_) | Value::Object(_) => 0,
    }
}

/// The members of a packed set that is written member by member, because its readers know no packed sets.
pub(crate) fn members_to_unpack<'a>(value: Value<'a>, writer: &Writer<'_>) -> Option<Listpack<'a>> {
    match value {
        Value::Packed(PackedForm::Set, bytes) if !writer.knows(ValueKind::SetListpack) => Some(Listpack::new(bytes)),
        _ => None,
    }
}

/// Writes a value that is no object, without its type. O(bytes).
pub(crate) fn save_small(value: Value<'_>, writer: &mut Writer<'_>) {
    if let Some(members) = members_to_unpack(value, writer) {
        writer.length(members.len() as u64);
        return members.iter().for_each(|member| member.with_bytes(|bytes| writer.string(bytes)));
    }
    if is_spread(value, writer) {
        return save_spread(value, writer);
    }
    save_head(value, writer);
    match value {
        Value::Integer(number) => writer.integer(number),
        Value::Embedded(text) | Value::Raw(text) => writer.string(text),
        Value::Large(text) => writer.string(text),
        Value::Packed(PackedForm::HashExpiring, bytes) if times_of(value).is_none() => {
            writer.string(&without_times(value, bytes));
        }
        Value::Packed(_, bytes) => writer.string(bytes),
        Value::Object(_) => {}
    }
}

/// Writes what stands between the type of a value that is no object and its only string.
pub(crate) fn save_head(value: Value<'_>, writer: &mut Writer<'_>) {
    match value {
        Value::Packed(PackedForm::List, _) => {
            // As a row of one block.
            writer.length(1);
            writer.length(LISTPACK);
        }
        Value::Packed(PackedForm::HashExpiring, _) => {
            if let Some(first_ms) = times_of(value) {
                writer.time_ms(first_ms);
            }
        }
        _ => {}
    }
}

/// Whether the bytes of a value are not written as they lie: a packed hash with room for times, but without any, or one
/// for readers that know no packed hash with times.
pub(crate) fn is_converted(value: Value<'_>, writer: &Writer<'_>) -> bool {
    let has_room = matches!(value, Value::Packed(PackedForm::HashExpiring, _));
    has_room && times_of(value).is_none() || is_spread(value, writer)
}

/// Whether a packed hash is written field by field, because its readers know no packed ones with times.
fn is_spread(value: Value<'_>, writer: &Writer<'_>) -> bool {
    is_for_valkey(writer) && matches!(value, Value::Packed(PackedForm::HashExpiring, _)) && times_of(value).is_some()
}

fn save_spread(value: Value<'_>, writer: &mut Writer<'_>) {
    let Some(hash) = HashRef::of(value.stored()) else { return };
    writer.length(hash.len() as u64);
    hash.for_each(|field| {
        field.name.with_bytes(|name| writer.string(name));
        field.found.value.with_bytes(|value| writer.string(value));
        writer.time_ms(field.found.expiry_ms.unwrap_or(NEVER_MS));
    });
}

/// A packed hash with room for times, as an ordinary one.
fn without_times(value: Value<'_>, bytes: &[u8]) -> Vec<u8> {
    let mut pairs = Builder::with_capacity(bytes.len());
    if let Some(hash) = HashRef::of(value.stored()) {
        hash.for_each(|field| {
            pairs.push(&field.name);
            pairs.push(&field.found.value);
        });
    }
    pairs.finish()
}
