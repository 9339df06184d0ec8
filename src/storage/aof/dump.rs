//! A pinned version of the keyspace as the commands that make it, in slices: what a rewrite writes when no snapshot is
//! wanted.
//!
//! Large values become several commands, of so many elements each: a step writes a few of them.

use std::ops::ControlFlow;

use crate::collections::element::Element;
use crate::collections::table::Pinned;
use crate::keyspace::change_log::unit::encode;
use crate::keyspace::{Keyspace, Record, Version};
use crate::text::double;
use crate::types::hash::HashRef;
use crate::types::list::{End, ListRef};
use crate::types::object::Object;
use crate::types::set::SetRef;
use crate::types::sorted_set::SortedSetRef;
use crate::types::stream::Stream;

use super::command::{ELEMENTS_MAX, command};
use super::stream_dump::StreamDump;

/// A step ends once it has written so many bytes.
const STEP_BYTES: usize = 16 * 1024;

/// Commands that are being written.
pub struct CommandDump {
    version: Version,
    selected: Option<usize>,
    queue: Vec<Record>,
    value: Option<Large>,
    out: Vec<u8>,
    keys_written: usize,
    /// For tests: at most one key in a step.
    is_slow: bool,
}

/// A large value that is being written.
struct Large {
    record: Record,
    progress: Progress,
}

enum Progress {
    /// Elements from this one on.
    List(usize),
    /// Elements from this rank on.
    SortedSet(usize),
    Table {
        table: Pinned<Element>,
        queue: Vec<Element>,
        is_hash: bool,
    },
    Stream(StreamDump),
}

impl CommandDump {
    /// Holds on to all databases as they are now. O(databases). `time_s` is told at the beginning if it is given.
    pub fn pin(keyspace: &Keyspace, time_s: Option<i64>, is_slow: bool) -> CommandDump {
        let mut out = Vec::new();
        if let Some(time_s) = time_s {
            out.extend_from_slice(format!("#TS:{time_s}\r\n").as_bytes());
        }
        CommandDump::of(keyspace.pin(), out, is_slow)
    }

    /// Holds on to the keys of some slots as they are now. O(databases · slots).
    pub fn pin_slots(keyspace: &Keyspace, slots: &[u16], is_slow: bool) -> CommandDump {
        CommandDump::of(keyspace.pin_slots(slots), Vec::new(), is_slow)
    }

    fn of(version: Version, out: Vec<u8>, is_slow: bool) -> CommandDump {
        CommandDump { version, selected: None, queue: Vec::new(), value: None, out, keys_written: 0, is_slow }
    }

    /// Writes the code of a library of functions.
    pub fn library(&mut self, code: &[u8]) {
        command(&mut self.out, &[b"FUNCTION", b"LOAD", code]);
    }

    /// Writes a piece: some ten microseconds' worth; tells whether there is more.
    pub fn step(&mut self) -> bool {
        let end = self.out.len() + STEP_BYTES;
        while self.out.len() < end {
            if let Some(mut value) = self.value.take() {
                if value.step(&mut self.out) {
                    self.value = Some(value);
                } else {
                    self.end_key(&value.record);
                }
            } else if let Some(record) = self.queue.pop() {
                self.write_key(record);
                if self.is_slow {
                    return true;
                }
            } else if !self.fill_queue() {
                return false;
            }
        }
        true
    }

    fn fill_queue(&mut self) -> bool {
        let Some(database) = self.version.database() else {
            return false;
        };
        let queue = &mut self.queue;
        let more = self.version.next_records(|record| queue.push(record.clone()));
        if more && self.selected != Some(database.number) {
            self.selected = Some(database.number);
            let number = database.number.to_string();
            command(&mut self.out, &[b"SELECT", number.as_bytes()]);
        }
        true
    }

    fn write_key(&mut self, record: Record) {
        let progress = match record.value().object() {
            None => {
                write_small(&record, &mut self.out);
                return self.end_key(&record);
            }
            Some(Object::List(_)) => Progress::List(0),
            Some(Object::SortedSet(_)) => Progress::SortedSet(0),
            Some(Object::Set(set)) => Progress::table(set.table().pin(), false),
            Some(Object::Hash(hash)) => Progress::table(hash.pin(), true),
            Some(Object::Stream(_)) => Progress::Stream(StreamDump::default()),
        };
        self.value = Some(Large { record, progress });
    }

    fn end_key(&mut self, record: &Record) {
        if let Some(expiry_ms) = record.expiry_ms() {
            let time = expiry_ms.to_string();
            command(&mut self.out, &[b"PEXPIREAT", record.key(), time.as_bytes()]);
        }
        self.keys_written += 1;
    }

    /// Bytes that have been written and not been taken.
    pub fn buffered_bytes(&self) -> usize {
        self.out.len()
    }

    /// Takes what has been written since the last time; `next` is used for what is written next.
    pub fn take(&mut self, mut next: Vec<u8>) -> Vec<u8> {
        next.clear();
        std::mem::replace(&mut self.out, next)
    }

    /// Releases about this many records that are no longer needed; returns whether records are left.
    pub fn release_step(&mut self, records: usize) -> bool {
        self.queue.truncate(self.queue.len().saturating_sub(records));
        !self.queue.is_empty() || self.version.release_step(records)
    }

    /// Number of keys in it.
    pub fn keys(&self) -> usize {
        self.version.keys()
    }

    /// Number of keys that have been written.
    pub fn keys_written(&self) -> usize {
        self.keys_written
    }
}

/// Words of commands that are alike: a name and a key, then so many words for each element.
struct Batch<'a> {
    out: &'a mut Vec<u8>,
    name: &'static [u8],
    key: &'a [u8],
    words: Vec<Vec<u8>>,
    words_each: usize,
}

impl<'a> Batch<'a> {
    fn new(out: &'a mut Vec<u8>, name: &'static [u8], key: &'a [u8], words_each: usize) -> Self {
        Batch { out, name, key, words: Vec::new(), words_each }
    }

    fn push(&mut self, word: &[u8]) {
        self.words.push(word.to_vec());
        if self.words.len() == ELEMENTS_MAX * self.words_each {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.words.is_empty() {
            let head = [self.name, self.key];
            let words = head.into_iter().chain(self.words.iter().map(Vec::as_slice));
            encode(self.out, 2 + self.words.len(), words);
            self.words.clear();
        }
    }
}

fn write_small(record: &Record, out: &mut Vec<u8>) {
    let (key, value) = (record.key(), record.value());
    if let Some(text) = value.text() {
        return text.with_bytes(|bytes| command(out, &[b"SET", key, bytes]));
    }
    let stored = value.stored();
    if let Some(list) = ListRef::of(stored) {
        write_list(list, key, 0, usize::MAX, out);
    } else if let Some(set) = SetRef::of(stored) {
        let mut batch = Batch::new(out, b"SADD", key, 1);
        set.for_each(|member| member.with_bytes(|bytes| batch.push(bytes)));
        batch.flush();
    } else if let Some(sorted_set) = SortedSetRef::of(stored) {
        write_scored(sorted_set, key, 0..sorted_set.len(), out);
    } else if let Some(hash) = HashRef::of(stored) {
        let mut timed = Vec::new();
        let mut batch = Batch::new(out, b"HMSET", key, 2);
        hash.for_each(|field| {
            field.name.with_bytes(|name| {
                batch.push(name);
                if let Some(time_ms) = field.found.expiry_ms {
                    timed.push((name.to_vec(), time_ms));
                }
            });
            field.found.value.with_bytes(|value| batch.push(value));
        });
        batch.flush();
        for (name, time_ms) in timed {
            write_field_time(key, &name, time_ms, out);
        }
    }
}

fn write_field_time(key: &[u8], name: &[u8], time_ms: i64, out: &mut Vec<u8>) {
    let time = time_ms.to_string();
    let words: [&[u8]; 6] = [b"HPEXPIREAT", key, time.as_bytes(), b"FIELDS", b"1", name];
    command(out, &words);
}

/// Writes up to so many elements from one on; tells how many.
fn write_list(list: ListRef<'_>, key: &[u8], from: usize, most: usize, out: &mut Vec<u8>) -> usize {
    let mut batch = Batch::new(out, b"RPUSH", key, 1);
    let mut count = 0;
    list.walk(from, End::Front, |item| {
        item.with_bytes(|bytes| batch.push(bytes));
        count += 1;
        match count < most {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    batch.flush();
    count
}

fn write_scored(sorted_set: SortedSetRef<'_>, key: &[u8], ranks: std::ops::Range<usize>, out: &mut Vec<u8>) {
    let mut batch = Batch::new(out, b"ZADD", key, 2);
    for (member, score) in sorted_set.range(ranks) {
        batch.push(&double::precise_text(score));
        member.with_bytes(|bytes| batch.push(bytes));
    }
    batch.flush();
}

impl Progress {
    fn table(table: Pinned<Element>, is_hash: bool) -> Progress {
        Progress::Table { table, queue: Vec::new(), is_hash }
    }
}

impl Large {
    /// Writes the next command; tells whether there may be more.
    fn step(&mut self, out: &mut Vec<u8>) -> bool {
        let key = self.record.key();
        let object = self.record.value().object();
        match (&mut self.progress, object) {
            (Progress::List(from), Some(Object::List(list))) => {
                *from += write_list(ListRef::Large(list), key, *from, ELEMENTS_MAX, out);
                *from < list.len()
            }
            (Progress::SortedSet(from), Some(Object::SortedSet(sorted_set))) => {
                let end = (*from + ELEMENTS_MAX).min(sorted_set.len());
                write_scored(SortedSetRef::Large(sorted_set), key, *from..end, out);
                *from = end;
                end < sorted_set.len()
            }
            (Progress::Table { table, queue, is_hash }, _) => {
                if queue.is_empty() && !table.next_segment(|element| queue.push(element.clone())) {
                    return false;
                }
                let rest = queue.len().saturating_sub(ELEMENTS_MAX);
                write_elements(key, &queue.split_off(rest), *is_hash, out);
                true
            }
            (Progress::Stream(dump), Some(Object::Stream(stream))) => {
                let stream: &Stream = stream;
                dump.step(stream, key, out)
            }
            _ => false,
        }
    }
}

fn write_elements(key: &[u8], elements: &[Element], is_hash: bool, out: &mut Vec<u8>) {
    let (name, words_each): (&[u8], usize) = if is_hash { (b"HMSET", 2) } else { (b"SADD", 1) };
    let mut batch = Batch::new(out, name, key, words_each);
    for element in elements {
        batch.push(element.key());
        if is_hash {
            batch.push(element.value());
        }
    }
    batch.flush();
    for element in elements {
        if let Some(time_ms) = element.expiry_ms() {
            write_field_time(key, element.key(), time_ms, out);
        }
    }
}
