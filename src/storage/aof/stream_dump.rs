//! A stream as the commands that make it: its entries, what it knows of its past, its groups with their consumers and
//! what these have pending, and what it knows of idempotent producers.

use crate::types::stream::{Entry, Group, Holder, Id, Stream};

use super::command::{ELEMENTS_MAX, command};
use super::producer_note::ProducerNote;

/// How far a stream has been written.
#[derive(Default)]
pub(crate) struct StreamDump {
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    /// Entries from this ID on.
    Entries(Id),
    /// The group of this number.
    Group(usize),
    /// What is pending in that group, from this number on.
    Pending(usize, usize),
    /// The messages of the producer of this number, from this number on.
    Messages(usize, usize),
}

impl Default for Stage {
    fn default() -> Stage {
        Stage::Entries(Id::MIN)
    }
}

impl StreamDump {
    /// Writes the next commands; tells whether there are more.
    pub fn step(&mut self, stream: &Stream, key: &[u8], out: &mut Vec<u8>) -> bool {
        match self.stage {
            Stage::Entries(start) => {
                let mut last = None;
                for entry in stream.entries.range(start, Id::MAX).take(ELEMENTS_MAX) {
                    last = Some(entry.id);
                    write_entry(key, entry, out);
                }
                self.stage = match last.and_then(Id::next) {
                    Some(next) if last < stream.entries.last_live_id() => Stage::Entries(next),
                    _ => {
                        write_history(stream, key, out);
                        Stage::Group(0)
                    }
                };
            }
            Stage::Group(number) => {
                let Some(group) = stream.groups.at(number) else {
                    self.stage = Stage::Messages(0, 0);
                    return begin_producers(stream, key, out);
                };
                write_group(group, key, out);
                self.stage = Stage::Pending(number, 0);
            }
            Stage::Pending(number, from) => {
                let Some(group) = stream.groups.at(number) else {
                    return false;
                };
                let to = from + ELEMENTS_MAX;
                write_pending(group, key, from..to, out);
                self.stage = match to < group.pending().len() {
                    true => Stage::Pending(number, to),
                    false => Stage::Group(number + 1),
                };
            }
            Stage::Messages(number, from) => {
                let Some(producer) = stream.producers.at(number) else {
                    end_producers(stream, key, out);
                    return false;
                };
                let mut written = 0;
                for (message, id) in producer.messages(from).take(ELEMENTS_MAX) {
                    let note = ProducerNote::Message { producer: producer.name(), message };
                    write_note(note, id, (stream, key), out);
                    written += 1;
                }
                self.stage = match written {
                    ELEMENTS_MAX => Stage::Messages(number, from + written),
                    _ => Stage::Messages(number + 1, 0),
                };
            }
        }
        true
    }
}

fn write_entry(key: &[u8], entry: Entry<'_>, out: &mut Vec<u8>) {
    let id = entry.id.text();
    let mut words: Vec<Vec<u8>> = vec![b"XADD".to_vec(), key.to_vec(), id.to_vec()];
    for (name, value) in entry.pairs {
        name.with_bytes(|bytes| words.push(bytes.to_vec()));
        value.with_bytes(|bytes| words.push(bytes.to_vec()));
    }
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    command(out, &words);
}

fn write_history(stream: &Stream, key: &[u8], out: &mut Vec<u8>) {
    let history = stream.entries.history();
    if stream.is_empty() {
        // An empty stream is made by one entry that goes at once.
        let id = match history.last_id {
            Id::MIN => Id::new(0, 1),
            id => id,
        };
        let words: [&[u8]; 7] = [b"XADD", key, b"MAXLEN", b"0", &id.text(), b"x", b"y"];
        command(out, &words);
    }
    let added = history.added.to_string();
    command(
        out,
        &[
            b"XSETID",
            key,
            &history.last_id.text(),
            b"ENTRIESADDED",
            added.as_bytes(),
            b"MAXDELETEDID",
            &history.max_deleted_id.text(),
        ],
    );
}

/// Writes how long messages of producers are known; says whether there are or were any.
fn begin_producers(stream: &Stream, key: &[u8], out: &mut Vec<u8>) -> bool {
    let retention = stream.producers.retention();
    if let Some(retention) = retention {
        write_note(ProducerNote::Retention(retention), Id::MIN, (stream, key), out);
    }
    retention.is_some()
}

/// Writes how many messages there ever were, behind the messages, which are counted as they are added.
fn end_producers(stream: &Stream, key: &[u8], out: &mut Vec<u8>) {
    let (added, duplicates) = stream.producers.counts();
    write_note(ProducerNote::Counts { added, duplicates }, Id::MIN, (stream, key), out);
}

fn write_note(note: ProducerNote<'_>, id: Id, (stream, key): (&Stream, &[u8]), out: &mut Vec<u8>) {
    let words: [&[u8]; 4] = [b"XACK", key, &note.group(&stream.groups), &id.text()];
    command(out, &words);
}

fn write_group(group: &Group, key: &[u8], out: &mut Vec<u8>) {
    let read = group.entries_read.unwrap_or(-1).to_string();
    command(out, &[b"XGROUP", b"CREATE", key, group.name(), &group.last_id.text(), b"ENTRIESREAD", read.as_bytes()]);
    for consumer in group.consumers() {
        let words: [&[u8]; 5] = [b"XGROUP", b"CREATECONSUMER", key, group.name(), consumer.name()];
        command(out, &words);
    }
}

fn write_pending(group: &Group, key: &[u8], run: std::ops::Range<usize>, out: &mut Vec<u8>) {
    for pending in group.pending().range(run) {
        let count = pending.deliveries.to_string();
        let Holder::Consumer { name, delivered_ms } = &pending.holder else {
            write_released(group, key, &pending.id.text(), &count, out);
            continue;
        };
        let time = delivered_ms.to_string();
        command(
            out,
            &[
                b"XCLAIM",
                key,
                group.name(),
                name,
                b"0",
                &pending.id.text(),
                b"TIME",
                time.as_bytes(),
                b"RETRYCOUNT",
                count.as_bytes(),
                b"JUSTID",
                b"FORCE",
            ],
        );
    }
}

/// The entry has no owner: it was released.
fn write_released(group: &Group, key: &[u8], id: &[u8], count: &str, out: &mut Vec<u8>) {
    command(
        out,
        &[b"XNACK", key, group.name(), b"SILENT", b"IDS", b"1", id, b"RETRYCOUNT", count.as_bytes(), b"FORCE"],
    );
}
