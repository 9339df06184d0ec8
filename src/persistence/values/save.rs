//! Writes values in the form that Redis 7.2 gives them.

use crate::collections::listpack::Builder;
use crate::keyspace::Value;
use crate::persistence::rdb::{VERSION, VERSION_OF_TIMES, ValueKind, Writer};
use crate::types::hash::{Field, HashRef};
use crate::types::list::{BlockRef, List, ListRef};
use crate::types::object::Object;
use crate::types::set::Set;
use crate::types::slot::PackedForm;
use crate::types::sorted_set::{SortedSet, SortedSetRef};

use super::streams;

/// How the blocks of a list are told apart.
const LARGE_ELEMENT: u64 = 1;
const LISTPACK: u64 = 2;

/// Writes a value with its type in front; gives the version of the format that it takes. O(bytes).
pub fn save(value: Value<'_>, writer: &mut Writer<'_>) -> u16 {
    match value {
        Value::Integer(number) => {
            writer.kind(ValueKind::String);
            writer.integer(number);
        }
        Value::Embedded(text) | Value::Raw(text) => save_text(text, writer),
        Value::Large(text) => save_text(text, writer),
        Value::Packed(form, bytes) => return save_packed(form, bytes, value, writer),
        Value::Object(object) => return save_object(object, writer),
    }
    VERSION
}

fn save_text(text: &[u8], writer: &mut Writer<'_>) {
    writer.kind(ValueKind::String);
    writer.string(text);
}

fn save_packed(form: PackedForm, bytes: &[u8], value: Value<'_>, writer: &mut Writer<'_>) -> u16 {
    let kind = match form {
        PackedForm::List => {
            // As a row of one block.
            writer.kind(ValueKind::ListListpacks);
            writer.length(1);
            writer.length(LISTPACK);
            writer.string(bytes);
            return VERSION;
        }
        PackedForm::HashExpiring => {
            let hash = HashRef::of(value.stored());
            return hash.map_or(VERSION, |hash| save_expiring(hash, bytes, writer));
        }
        PackedForm::Set => ValueKind::SetListpack,
        PackedForm::IntSet => ValueKind::SetIntset,
        PackedForm::Hash => ValueKind::HashListpack,
        PackedForm::SortedSet => ValueKind::SortedSetListpack,
    };
    writer.kind(kind);
    writer.string(bytes);
    VERSION
}

/// A packed hash with room for times. One without any time is written as an ordinary one, which more servers can read.
fn save_expiring(hash: HashRef<'_>, bytes: &[u8], writer: &mut Writer<'_>) -> u16 {
    if let Some(first_ms) = hash.next_expiry_ms() {
        writer.kind(ValueKind::HashTimesListpack);
        writer.time_ms(first_ms);
        writer.string(bytes);
        return VERSION_OF_TIMES;
    }
    let mut pairs = Builder::with_capacity(bytes.len());
    hash.for_each(|field| {
        pairs.push(&field.name);
        pairs.push(&field.found.value);
    });
    writer.kind(ValueKind::HashListpack);
    writer.string(&pairs.finish());
    VERSION
}

fn save_object(object: &Object, writer: &mut Writer<'_>) -> u16 {
    match object {
        Object::List(list) => save_list(list, writer),
        Object::Hash(hash) => return save_hash(HashRef::Large(hash), writer),
        Object::Set(set) => save_set(set, writer),
        Object::SortedSet(sorted_set) => save_sorted_set(sorted_set, writer),
        Object::Stream(stream) => streams::save(stream, writer),
    }
    VERSION
}

fn save_list(list: &List, writer: &mut Writer<'_>) {
    let blocks = ListRef::Large(list);
    writer.kind(ValueKind::ListListpacks);
    writer.length(blocks.blocks().count() as u64);
    for block in blocks.blocks() {
        match block {
            BlockRef::Run(listpack) => {
                writer.length(LISTPACK);
                writer.string(listpack.bytes());
            }
            BlockRef::Large(element) => {
                writer.length(LARGE_ELEMENT);
                writer.string(element);
            }
            BlockRef::Compressed {
                bytes,
                plain_length,
                is_large,
            } => {
                writer.length(if is_large { LARGE_ELEMENT } else { LISTPACK });
                writer.compressed_string(bytes, plain_length as u64);
            }
        }
    }
}

fn save_hash(hash: HashRef<'_>, writer: &mut Writer<'_>) -> u16 {
    let first_ms = hash.next_expiry_ms();
    match first_ms {
        None => writer.kind(ValueKind::Hash),
        Some(first_ms) => {
            writer.kind(ValueKind::HashTimes);
            writer.time_ms(first_ms);
        }
    }
    writer.length(hash.len() as u64);
    hash.for_each(|Field { name, found }| {
        if let Some(first_ms) = first_ms {
            // One more than the distance to the first time; 0: no time.
            let distance = found
                .expiry_ms
                .map_or(0, |time_ms| time_ms.abs_diff(first_ms) + 1);
            writer.length(distance);
        }
        name.with_bytes(|name| writer.string(name));
        found.value.with_bytes(|value| writer.string(value));
    });
    first_ms.map_or(VERSION, |_| VERSION_OF_TIMES)
}

fn save_set(set: &Set, writer: &mut Writer<'_>) {
    writer.kind(ValueKind::Set);
    writer.length(set.len() as u64);
    set.for_each(|member| writer.string(member.key()));
}

/// From the highest score to the lowest: so Redis writes it, because its loader likes that order best.
fn save_sorted_set(sorted_set: &SortedSet, writer: &mut Writer<'_>) {
    writer.kind(ValueKind::SortedSet);
    writer.length(sorted_set.len() as u64);
    for (member, score) in SortedSetRef::Large(sorted_set).iter().rev() {
        member.with_bytes(|member| writer.string(member));
        writer.double(score);
    }
}
