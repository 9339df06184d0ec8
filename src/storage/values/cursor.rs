//! Writes a value in bounded pieces, however large it is. What it holds is a reference to the record: a change of the
//! key meanwhile makes another record, and forks what is large.

use std::collections::VecDeque;

use crate::collections::element::Element;
use crate::collections::listpack::{Listpack, Position};
use crate::collections::table::Pinned;
use crate::keyspace::Record;
use crate::storage::rdb::{RdbVersion, ValueKind, Writer};
use crate::text::lzf::Compressor;
use crate::types::list::{BlockRef, List};
use crate::types::object::Object;
use crate::types::sorted_set::SortedSet;

use super::long_text::{LONG_TEXT_BYTES, LongText, Source};
use super::save::{self, LARGE_ELEMENT, LISTPACK};
use super::streams::StreamCursor;

/// A step ends once it has dealt with so many bytes.
const STEP_BYTES: usize = 16 * 1024;
/// Or dealt with so many elements.
const STEP_ELEMENTS: usize = 256;

/// A value that is being written, or a key with its value.
pub struct ValueCursor {
    record: Record,
    /// The long string that is being written.
    text: Option<LongText>,
    /// Strings to write before the stage goes on.
    pending: VecDeque<Source>,
    stage: Stage,
}

enum Stage {
    /// The value is to be begun.
    Value,
    /// The blocks from this one on.
    List(usize),
    /// The members of a listpack from this one on, for readers that know no such sets.
    PackedSet(Position),
    Set(Elements),
    Hash(Elements, Times),
    /// So many elements, the lowest ones.
    SortedSet(usize),
    Stream(StreamCursor),
    End,
}

/// How the expiry times of a hash's fields are written.
#[derive(Clone, Copy)]
enum Times {
    /// No field has one.
    None,
    /// Before each field as the distance to the first of all times.
    From(i64),
    /// Behind each field's value.
    Behind,
}

/// Elements of a table, some segments of which have been seen.
struct Elements {
    table: Pinned<Element>,
    queue: Vec<Element>,
}

impl Elements {
    fn new(table: Pinned<Element>) -> Elements {
        Elements { table, queue: Vec::new() }
    }

    fn next(&mut self) -> Option<Element> {
        while self.queue.is_empty() {
            let queue = &mut self.queue;
            if !self.table.next_segment(|element| queue.push(element.clone())) {
                return None;
            }
        }
        self.queue.pop()
    }
}

impl ValueCursor {
    /// Writes the value of a record, without its type.
    pub fn of_value(record: Record) -> ValueCursor {
        ValueCursor { record, text: None, pending: VecDeque::new(), stage: Stage::Value }
    }

    /// Writes the key of a record, and its value, without its type.
    pub fn of_key_and_value(record: Record) -> ValueCursor {
        ValueCursor { pending: VecDeque::from([Source::Key]), ..ValueCursor::of_value(record) }
    }

    /// Writes a piece; tells whether there is more. Some ten microseconds, whatever the size.
    pub fn step(&mut self, writer: &mut Writer<'_>) -> bool {
        let end = writer.work() + STEP_BYTES;
        for _ in 0..STEP_ELEMENTS {
            if let Some(text) = &mut self.text {
                if !text.step(&self.record, writer) {
                    self.text = None;
                }
                // A step of a long string may have cost much and written little.
                return true;
            } else if let Some(source) = self.pending.pop_front() {
                self.write(source, writer);
            } else if !self.advance(writer) {
                return false;
            }
            if writer.work() >= end {
                break;
            }
        }
        true
    }

    /// Writes a string, or begins to if it is long.
    fn write(&mut self, source: Source, writer: &mut Writer<'_>) {
        match source {
            Source::Score(score) => return writer.double(score),
            Source::Time(time_ms) => return writer.time_ms(time_ms),
            _ => {}
        }
        let bytes = source.bytes(&self.record);
        if bytes.len() <= LONG_TEXT_BYTES {
            writer.string(bytes);
        } else {
            self.text = Some(LongText::begin(source, &self.record, writer));
        }
    }

    /// Writes the next element, or notes what is to be written of it; tells whether there was one.
    fn advance(&mut self, writer: &mut Writer<'_>) -> bool {
        match &mut self.stage {
            Stage::Value => {
                self.begin_value(writer);
                return !matches!(self.stage, Stage::End) || !self.pending.is_empty();
            }
            Stage::List(number) => {
                let number = std::mem::replace(number, *number + 1);
                return self.list_block(number, writer);
            }
            Stage::PackedSet(position) => {
                let members = save::members_to_unpack(self.record.value(), writer);
                let next = members.and_then(|members| save_member(members, *position, writer));
                match next {
                    Some(next) => *position = next,
                    None => return false,
                }
            }
            Stage::Set(members) => match members.next() {
                Some(member) => write_or_note(Source::ElementKey(member), &mut self.pending, writer),
                None => return false,
            },
            Stage::Hash(fields, times) => match fields.next() {
                Some(field) => write_field(field, *times, &mut self.pending, writer),
                None => return false,
            },
            Stage::SortedSet(left) => {
                if let Some(Object::SortedSet(sorted_set)) = self.record.value().object() {
                    *left = write_scored(sorted_set, *left, &mut self.pending, writer);
                }
                return *left > 0 || !self.pending.is_empty();
            }
            Stage::Stream(cursor) => {
                if let Some(Object::Stream(stream)) = self.record.value().object() {
                    return cursor.step(stream, &mut self.pending, writer);
                }
            }
            Stage::End => return false,
        }
        true
    }

    fn begin_value(&mut self, writer: &mut Writer<'_>) {
        let value = self.record.value();
        self.stage = Stage::End;
        let Some(object) = value.object() else {
            if save::is_small(value) || save::is_converted(value, writer) {
                save::save_small(value, writer);
            } else if let Some(members) = save::members_to_unpack(value, writer) {
                writer.length(members.len() as u64);
                self.stage = members.first().map_or(Stage::End, Stage::PackedSet);
            } else {
                save::save_head(value, writer);
                self.pending.push_back(Source::Value);
            }
            return;
        };
        self.stage = match object {
            Object::List(list) => {
                writer.length(list.stored_blocks() as u64);
                Stage::List(0)
            }
            Object::Set(set) => {
                writer.length(set.len() as u64);
                Stage::Set(Elements::new(set.table().pin()))
            }
            Object::Hash(hash) => {
                let times = match hash.next_expiry_ms() {
                    None => Times::None,
                    Some(_) if save::is_for_valkey(writer) => Times::Behind,
                    Some(first_ms) => Times::From(first_ms),
                };
                if let Times::From(first_ms) = times {
                    writer.time_ms(first_ms);
                }
                writer.length(hash.len() as u64);
                Stage::Hash(Elements::new(hash.pin()), times)
            }
            Object::SortedSet(sorted_set) => {
                writer.length(sorted_set.len() as u64);
                Stage::SortedSet(sorted_set.len())
            }
            Object::Stream(_) => Stage::Stream(StreamCursor::default()),
        };
    }

    fn list_block(&mut self, number: usize, writer: &mut Writer<'_>) -> bool {
        let Some(Object::List(list)) = self.record.value().object() else {
            return false;
        };
        self.text = None;
        match begin_block(list, number, writer) {
            None => return false,
            Some(Begun::Plain) => self.pending.push_back(Source::ListBlock(number)),
            Some(Begun::Compressed) => {
                self.text = Some(LongText::of_plain(Source::ListBlock(number)));
            }
        }
        true
    }
}

/// Writes a member of a packed set; gives the position of the next one.
fn save_member(members: Listpack<'_>, position: Position, writer: &mut Writer<'_>) -> Option<Position> {
    members.at(position).with_bytes(|bytes| writer.string(bytes));
    members.next(position)
}

/// What is to follow behind the head of a block.
enum Begun {
    /// A string.
    Plain,
    /// The bytes of the block, whose head is written.
    Compressed,
}

fn begin_block(list: &List, number: usize, writer: &mut Writer<'_>) -> Option<Begun> {
    Some(match list.stored_block(number)? {
        BlockRef::Run(_) => {
            writer.length(LISTPACK);
            Begun::Plain
        }
        BlockRef::Large(_) => {
            writer.length(LARGE_ELEMENT);
            Begun::Plain
        }
        BlockRef::Compressed { bytes, plain_length, is_large } => {
            writer.length(if is_large { LARGE_ELEMENT } else { LISTPACK });
            writer.compressed_head(bytes.len() as u64, plain_length as u64);
            Begun::Compressed
        }
    })
}

/// Writes a short string of an element, or has a long one written later.
fn write_or_note(source: Source, pending: &mut VecDeque<Source>, writer: &mut Writer<'_>) {
    let bytes = match &source {
        Source::ElementKey(element) => element.key(),
        Source::ElementValue(element) => element.value(),
        _ => return pending.push_back(source),
    };
    if pending.is_empty() && bytes.len() <= LONG_TEXT_BYTES {
        writer.string(bytes);
    } else {
        pending.push_back(source);
    }
}

fn write_field(field: Element, times: Times, pending: &mut VecDeque<Source>, writer: &mut Writer<'_>) {
    let expiry_ms = field.expiry_ms();
    if let Times::From(first_ms) = times {
        // One more than the distance to the first time; 0: no time.
        let distance = expiry_ms.map_or(0, |time_ms| time_ms.abs_diff(first_ms) + 1);
        writer.length(distance);
    }
    write_or_note(Source::ElementKey(field.clone()), pending, writer);
    write_or_note(Source::ElementValue(field), pending, writer);
    if let Times::Behind = times {
        let time_ms = expiry_ms.unwrap_or(save::NEVER_MS);
        match pending.is_empty() {
            true => writer.time_ms(time_ms),
            false => pending.push_back(Source::Time(time_ms)),
        }
    }
}

/// From the highest score to the lowest: so Redis writes it, because its loader likes that order best. Of the elements
/// below rank `end` it writes some; gives the rank below which those are that are left.
fn write_scored(sorted_set: &SortedSet, end: usize, pending: &mut VecDeque<Source>, writer: &mut Writer<'_>) -> usize {
    const RUN: usize = 64;
    let start = end.saturating_sub(RUN);
    let mut left = end;
    for element in sorted_set.elements(start..end).rev() {
        left -= 1;
        if element.key().len() > LONG_TEXT_BYTES {
            pending.push_back(Source::ElementKey(element.clone()));
            pending.push_back(Source::Score(element.score()));
            break;
        }
        writer.string(element.key());
        writer.double(element.score());
    }
    left
}

/// What became of a key that was to be written.
pub enum Saved {
    /// It is written.
    Whole,
    /// Only its type is: this writes the rest.
    Begun(Box<ValueCursor>),
}

/// Writes the type of a value, its key, and the value: at once if both are small. O(1).
pub fn save_key(record: &Record, writer: &mut Writer<'_>) -> Saved {
    let (key, value) = (record.key(), record.value());
    writer.kind(save::kind_of(value, writer));
    if key.len() > LONG_TEXT_BYTES || !save::is_small(value) {
        let cursor = ValueCursor::of_key_and_value(record.clone());
        return Saved::Begun(Box::new(cursor));
    }
    writer.string(key);
    save::save_small(value, writer);
    Saved::Whole
}

/// Writes a value with its type in front; gives the version of the format that it takes. O(bytes).
pub fn save(record: &Record, writer: &mut Writer<'_>) -> RdbVersion {
    let kind = save::kind_of(record.value(), writer);
    writer.kind(kind);
    let mut cursor = ValueCursor::of_value(record.clone());
    while cursor.step(writer) {}
    match kind {
        ValueKind::HashTimes | ValueKind::HashTimesListpack => RdbVersion::V12,
        _ => writer.version(),
    }
}

/// How many bytes a value takes in a snapshot, without its type. O(bytes).
pub fn saved_bytes(record: &Record, compresses: bool) -> u64 {
    let mut compressor = compresses.then(Compressor::default);
    let mut writer = Writer::new(Vec::new(), compressor.as_mut());
    let mut cursor = ValueCursor::of_value(record.clone());
    let mut bytes = 0;
    loop {
        let has_more = cursor.step(&mut writer);
        bytes += writer.written().len() as u64;
        writer.clear();
        if !has_more {
            return bytes;
        }
    }
}
