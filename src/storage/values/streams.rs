//! Streams between their type and the snapshot format.

use std::collections::VecDeque;

use crate::storage::rdb::{EntriesRead, Fault, StreamId, StreamPiece, ValueKind, Writer};
use crate::types::stream::{Consumer, ConsumerParts, Group, GroupParts, History, Holder, Id, PartsError, Stream};

use super::long_text::Source;

pub(crate) const MISPLACED: Fault = Fault::Corrupt("a value has a part of another type");

/// A stream that is being built of its parts.
#[derive(Default)]
pub(crate) struct StreamBuilder {
    blocks: Vec<(Id, Vec<u8>)>,
    /// There once its entries are complete.
    stream: Option<Stream>,
    /// The group whose parts are coming.
    group: Option<GroupParts>,
}

impl StreamBuilder {
    /// Takes the next part. O(bytes), O(blocks) for the summary.
    pub fn add(&mut self, piece: StreamPiece<'_>) -> Result<(), Fault> {
        match piece {
            StreamPiece::Node { id, listpack } => {
                self.blocks.push((id_of(id), listpack.into_vec()));
            }
            StreamPiece::Summary { last_id, entries_added, max_deleted_id, .. } => {
                let history = History {
                    last_id: id_of(last_id),
                    max_deleted_id: id_of(max_deleted_id),
                    added: entries_added,
                    ..History::default()
                };
                let blocks = std::mem::take(&mut self.blocks);
                self.stream = Some(Stream::from_parts(blocks, &history).map_err(fault)?);
            }
            StreamPiece::Group { name, last_id, entries_read } => {
                self.begin_group(name.into_vec(), id_of(last_id), entries_read)?
            }
            StreamPiece::Pending { id, delivery_time_ms, delivery_count } => {
                let pending = &mut self.group()?.pending;
                pending.push((id_of(id), delivery_time_ms, delivery_count));
            }
            StreamPiece::Consumer { name, seen_time_ms, active_time_ms } => {
                self.group()?.consumers.push(ConsumerParts {
                    name: name.into_vec(),
                    seen_ms: seen_time_ms,
                    active_ms: (active_time_ms >= 0).then_some(active_time_ms),
                    pending: Vec::new(),
                })
            }
            StreamPiece::ConsumerPending { id } => {
                let consumer = self.group()?.consumers.last_mut().ok_or(MISPLACED)?;
                consumer.pending.push(id_of(id));
            }
        }
        Ok(())
    }

    fn group(&mut self) -> Result<&mut GroupParts, Fault> {
        self.group.as_mut().ok_or(MISPLACED)
    }

    fn begin_group(&mut self, name: Vec<u8>, last_id: Id, entries_read: EntriesRead) -> Result<(), Fault> {
        self.end_group()?;
        let stream = self.stream.as_ref().ok_or(MISPLACED)?;
        let entries_read = match entries_read {
            EntriesRead::Known(count) => Some(count as i64),
            EntriesRead::Unknown => None,
            EntriesRead::Estimate => stream.entries.distance_from_first_ever(last_id),
        };
        self.group = Some(GroupParts {
            name,
            last_id,
            entries_read,
            pending: Vec::new(),
            released: Vec::new(),
            consumers: Vec::new(),
        });
        Ok(())
    }

    /// Adds the group whose parts are complete.
    fn end_group(&mut self) -> Result<(), Fault> {
        if let (Some(stream), Some(mut group)) = (&mut self.stream, self.group.take()) {
            free_released(&mut group);
            if stream.groups.get(&group.name).is_some() {
                return Err(Fault::Corrupt("Duplicated consumer group name detected"));
            }
            stream.add_group(group).map_err(fault)?;
        }
        Ok(())
    }

    /// The stream. O(parts of the last group).
    pub fn finish(mut self) -> Result<Stream, Fault> {
        self.end_group()?;
        self.stream.ok_or(MISPLACED)
    }
}

/// Redis's format before 8.8 has no entries without an owner. They are written as those of a consumer without a name
/// that was never seen, the time of the last delivery being their number: an older Redis takes them for entries that
/// have been idle for decades, to be claimed by any consumer. A consumer of that name that was seen has such entries
/// for its own.
const NOBODY: &[u8] = b"";

/// Releases the entries of the consumer that stands for no owner. The format before version 11 writes one time for seen
/// and active.
fn free_released(group: &mut GroupParts) {
    let is_nobody = |one: &ConsumerParts| {
        one.name == NOBODY && one.seen_ms == 0 && one.active_ms.is_none_or(|active_ms| active_ms == 0)
    };
    let Some(index) = group.consumers.iter().position(is_nobody) else {
        return;
    };
    let mut released = group.consumers.remove(index).pending;
    let number_of = |id: &Id| {
        let place = group.pending.binary_search_by_key(id, |(id, ..)| *id);
        place.map(|place| group.pending[place].1)
    };
    released.sort_by_key(|id| number_of(id).ok());
    group.released = released;
}

fn id_of((ms, seq): StreamId) -> Id {
    Id::new(ms, seq)
}

fn fault(error: PartsError) -> Fault {
    Fault::Corrupt(match error {
        PartsError::BlockOrder => "a stream's blocks are not in order",
        PartsError::DuplicateName => "Duplicate stream consumer detected",
        PartsError::PendingOrder => "a group's pending entries are not in order",
        PartsError::NotGivenOut => "a consumer has an entry that its group has not",
        PartsError::WrongOwner => "a pending entry has no consumer, or two",
    })
}

/// How far a stream has been written.
#[derive(Default)]
pub(crate) struct StreamCursor {
    next: Next,
    /// Number of the next block, or of the present group.
    index: usize,
    /// Number of the present consumer of the group.
    consumer: usize,
    /// Number of the next pending entry of the group, or of the consumer.
    pending: usize,
}

/// What is written next.
#[derive(Clone, Copy, Default)]
enum Next {
    #[default]
    BlockCount,
    Block,
    Group,
    GroupPending,
    Consumer,
    ConsumerPending,
}

/// Pending entries written in one go.
const PENDING_RUN: usize = 64;

impl StreamCursor {
    /// Writes the next part, or notes what is to be written of it; tells whether there was one. O(log n) and a bounded
    /// piece.
    pub fn step(&mut self, stream: &Stream, later: &mut VecDeque<Source>, writer: &mut Writer<'_>) -> bool {
        match self.next {
            Next::BlockCount => {
                writer.length(stream.entries.blocks() as u64);
                self.next = Next::Block;
            }
            Next::Block => match stream.entries.block_at(self.index) {
                Some(block) => {
                    writer.string(&raw_id(block.first));
                    later.push_back(Source::StreamBlock(self.index));
                    self.index += 1;
                }
                None => {
                    save_summary(stream, writer);
                    self.index = 0;
                    self.next = Next::Group;
                }
            },
            Next::Group => {
                let Some(group) = stream.groups.at(self.index) else {
                    return false;
                };
                begin_group(group, writer);
                (self.pending, self.next) = (0, Next::GroupPending);
            }
            Next::GroupPending | Next::Consumer | Next::ConsumerPending => {
                if let Some(group) = stream.groups.at(self.index) {
                    self.step_in(group, writer);
                }
            }
        }
        true
    }

    /// The same within a group.
    fn step_in(&mut self, group: &Group, writer: &mut Writer<'_>) {
        let run = self.pending..self.pending + PENDING_RUN;
        self.pending = run.end;
        if let Next::GroupPending = self.next {
            for pending in group.pending().range(run.clone()) {
                writer.bytes(&raw_id(pending.id));
                writer.time_ms(match pending.holder {
                    Holder::Consumer { delivered_ms, .. } => delivered_ms,
                    Holder::Released { number } => number as i64,
                });
                writer.length(pending.deliveries);
            }
            if run.end >= group.pending().len() {
                begin_consumers(group, writer);
                (self.consumer, self.next) = (0, Next::Consumer);
            }
            return;
        }
        let Some(consumer) = group.consumer_at(self.consumer) else {
            self.index += 1;
            self.next = Next::Group;
            return;
        };
        if let Next::Consumer = self.next {
            if begin_consumer(group, consumer, writer) {
                (self.pending, self.next) = (0, Next::ConsumerPending);
            } else {
                self.consumer += 1;
            }
            return;
        }
        for id in consumer.pending().range(run.clone()) {
            writer.bytes(&raw_id(*id));
        }
        if run.end >= consumer.pending().len() {
            self.consumer += 1;
            self.next = Next::Consumer;
        }
    }
}

/// Writes what is known of the whole.
fn save_summary(stream: &Stream, writer: &mut Writer<'_>) {
    let history = stream.entries.history();
    writer.length(stream.len() as u64);
    for id in [history.last_id, history.first_id, history.max_deleted_id] {
        save_id(id, writer);
    }
    writer.length(history.added);
    writer.length(stream.groups.len() as u64);
}

fn begin_group(group: &Group, writer: &mut Writer<'_>) {
    writer.string(group.name());
    save_id(group.last_id, writer);
    writer.length(group.entries_read.map_or(u64::MAX, |count| count as u64));
    writer.length(group.pending().len() as u64);
}

/// Writes how many consumers there are, and the one that holds the entries without an owner, unless there is a consumer
/// without a name.
fn begin_consumers(group: &Group, writer: &mut Writer<'_>) {
    let has_nobody = group.released() > 0 && group.consumer(NOBODY).is_none();
    writer.length((group.consumers().count() + usize::from(has_nobody)) as u64);
    if has_nobody {
        save_consumer(NOBODY, (0, -1), group.released(), ids_of_nobody(group), writer);
    }
}

/// Begins a consumer; says whether its entries are to follow. Entries without an owner belong to one without a name,
/// and are written at once.
fn begin_consumer(group: &Group, consumer: &Consumer, writer: &mut Writer<'_>) -> bool {
    let times_ms = (consumer.seen_ms, consumer.active_ms.unwrap_or(-1));
    let own = consumer.pending();
    if consumer.name() == NOBODY && group.released() > 0 {
        let count = own.len() + group.released();
        save_consumer(NOBODY, times_ms, count, ids_of_nobody(group), writer);
        return false;
    }
    save_consumer(consumer.name(), times_ms, own.len(), std::iter::empty(), writer);
    true
}

/// The entries without an owner, or a consumer without a name.
fn ids_of_nobody(group: &Group) -> impl Iterator<Item = Id> {
    let all = group.pending().iter();
    let released = all.filter(|pending| pending.consumer() == NOBODY);
    released.map(|pending| pending.id)
}

/// Writes a consumer: when it was seen and active, and the IDs of its so many entries.
fn save_consumer(
    name: &[u8],
    (seen_ms, active_ms): (i64, i64),
    count: usize,
    ids: impl Iterator<Item = Id>,
    writer: &mut Writer<'_>,
) {
    writer.string(name);
    writer.time_ms(seen_ms);
    if writer.knows(ValueKind::Stream3) {
        writer.time_ms(active_ms);
    }
    writer.length(count as u64);
    for id in ids {
        writer.bytes(&raw_id(id));
    }
}

fn save_id(id: Id, writer: &mut Writer<'_>) {
    writer.length(id.ms);
    writer.length(id.seq);
}

fn raw_id(id: Id) -> [u8; 16] {
    (u128::from(id.ms) << 64 | u128::from(id.seq)).to_be_bytes()
}
