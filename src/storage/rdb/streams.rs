//! Takes a serialized stream apart: blocks of entries, what is known of the whole, groups with what is pending,
//! consumers.

use super::error::{FormatError, ensure};
use super::kind::ValueKind;
use super::reader::{Reader, Text};
use super::stream_node::{self, StreamId};

/// How many entries a group has read, as far as that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntriesRead {
    Known(u64),
    /// It cannot be told.
    Unknown,
    /// The data is older than the number: it is to be estimated from the stream.
    Estimate,
}

/// A part of a stream, in this order.
#[derive(Clone, PartialEq, Debug)]
pub enum StreamPiece<'a> {
    /// A block of entries, checked. The blocks' entries are in order.
    Node {
        /// What the IDs in the block are relative to.
        id: StreamId,
        /// The block.
        listpack: Text<'a>,
    },
    /// What is known of the whole, behind the blocks.
    Summary {
        /// Entries that are not deleted: as many as the blocks have.
        length: u64,
        /// The greatest ID that was ever there: not below any entry's.
        last_id: StreamId,
        /// Number of entries ever added. Data before Redis 7.0 does not tell: it is the number of entries then.
        entries_added: u64,
        /// The greatest ID that was deleted, zero if none.
        max_deleted_id: StreamId,
    },
    /// A group; what is pending in it, and its consumers, follow.
    Group {
        /// Its name.
        name: Text<'a>,
        /// The last ID that was delivered.
        last_id: StreamId,
        /// How many entries it has read.
        entries_read: EntriesRead,
    },
    /// An entry of the group that is pending. Its consumer follows.
    Pending {
        /// Its ID.
        id: StreamId,
        /// When it was delivered last, in ms since the epoch.
        delivery_time_ms: i64,
        /// How often it was delivered.
        delivery_count: u64,
    },
    /// A consumer of the group; the entries that are pending for it follow.
    Consumer {
        /// Its name.
        name: Text<'a>,
        /// When it last tried to read, in ms since the epoch.
        seen_time_ms: i64,
        /// When it last got an entry, in ms since the epoch; -1 if never.
        active_time_ms: i64,
    },
    /// One of the group's pending entries that is the consumer's. It must be among the group's when the stream is
    /// built.
    ConsumerPending {
        /// Its ID.
        id: StreamId,
    },
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Node,
    Summary,
    GroupCount,
    Group,
    PendingCount,
    Pending,
    ConsumerCount,
    Consumer,
    ConsumerPendingCount,
    ConsumerPending,
    End,
}

/// Reads a stream, behind its type.
#[derive(Clone, Debug)]
pub(crate) struct StreamDecoder {
    kind: ValueKind,
    next: Next,
    nodes_left: u64,
    groups_left: u64,
    consumers_left: u64,
    pending_left: u64,
    /// Entries in the blocks so far, but for deleted ones.
    live: u64,
    /// How many entries the stream says that it has, if that is wrong.
    claimed: Option<u64>,
    last: Option<StreamId>,
}

impl StreamDecoder {
    pub fn begin(kind: ValueKind, reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            kind,
            next: Next::Node,
            nodes_left: reader.length()?,
            groups_left: 0,
            consumers_left: 0,
            pending_left: 0,
            live: 0,
            claimed: None,
            last: None,
        })
    }

    /// How many entries the stream says that it has, and how many there are, if that is not the same.
    pub fn miscount(&self) -> Option<(u64, u64)> {
        self.claimed.map(|claimed| (claimed, self.live))
    }

    /// The next part. Where it fails for lack of data, nothing of it is taken.
    pub fn next<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<StreamPiece<'a>>, FormatError> {
        let before = self.clone();
        loop {
            match self.step(reader) {
                Ok(None) if !matches!(self.next, Next::End) => {}
                Ok(piece) => return Ok(piece),
                Err(error) => {
                    *self = before;
                    return Err(error);
                }
            }
        }
    }

    /// Reads one part, or a number of parts.
    fn step<'a>(&mut self, reader: &mut Reader<'a>) -> Result<Option<StreamPiece<'a>>, FormatError> {
        match self.next {
            Next::Node if self.nodes_left > 0 => {
                self.nodes_left -= 1;
                return self.node(reader).map(Some);
            }
            Next::Node => self.next = Next::Summary,
            Next::Summary => {
                self.next = Next::GroupCount;
                return self.summary(reader).map(Some);
            }
            Next::GroupCount => {
                self.groups_left = reader.length()?;
                self.next = Next::Group;
            }
            Next::Group if self.groups_left > 0 => {
                self.groups_left -= 1;
                self.next = Next::PendingCount;
                return self.group(reader).map(Some);
            }
            Next::Group => self.next = Next::End,
            Next::PendingCount => {
                self.pending_left = reader.length()?;
                self.next = Next::Pending;
            }
            Next::Pending if self.pending_left > 0 => {
                self.pending_left -= 1;
                return pending(reader).map(Some);
            }
            Next::Pending => self.next = Next::ConsumerCount,
            Next::ConsumerCount => {
                self.consumers_left = reader.length()?;
                self.next = Next::Consumer;
            }
            Next::Consumer if self.consumers_left > 0 => {
                self.consumers_left -= 1;
                self.next = Next::ConsumerPendingCount;
                return self.consumer(reader).map(Some);
            }
            Next::Consumer => self.next = Next::Group,
            Next::ConsumerPendingCount => {
                self.pending_left = reader.length()?;
                self.next = Next::ConsumerPending;
            }
            Next::ConsumerPending if self.pending_left > 0 => {
                self.pending_left -= 1;
                let id = raw_id(reader)?;
                return Ok(Some(StreamPiece::ConsumerPending { id }));
            }
            Next::ConsumerPending => self.next = Next::Consumer,
            Next::End => {}
        }
        Ok(None)
    }

    fn node<'a>(&mut self, reader: &mut Reader<'a>) -> Result<StreamPiece<'a>, FormatError> {
        let id = reader.string()?;
        let id: Result<[u8; 16], _> = id[..].try_into();
        let long_enough = ensure(id.is_ok(), "a stream's block has an ID of a wrong length");
        reader.checked(long_enough)?;
        let id = split_id(u128::from_be_bytes(id.unwrap_or_default()));
        let listpack = reader.string()?;
        let node = reader.checked_block(self.kind.check_name(), stream_node::check(id, &listpack, self.last))?;
        self.last = Some(node.last);
        self.live += node.live;
        Ok(StreamPiece::Node { id, listpack })
    }

    fn summary<'a>(&mut self, reader: &mut Reader<'a>) -> Result<StreamPiece<'a>, FormatError> {
        let claimed = reader.length()?;
        let length = self.live;
        let last_id = id(reader)?;
        let (mut max_deleted_id, mut entries_added) = ((0, 0), length);
        if self.kind != ValueKind::Stream1 {
            // The first ID, which the blocks tell as well.
            id(reader)?;
            max_deleted_id = id(reader)?;
            entries_added = reader.length()?;
        }
        // Servers have written wrong numbers; that there are entries and no blocks they refuse as well.
        self.claimed = (claimed != length).then_some(claimed);
        let has_blocks = claimed == 0 || self.last.is_some();
        reader.checked(ensure(has_blocks, "a stream has no blocks for its entries"))?;
        let is_last = self.last.is_none_or(|last| last <= last_id);
        reader.checked(ensure(is_last, "a stream has entries beyond its last ID"))?;
        Ok(StreamPiece::Summary { length, last_id, entries_added, max_deleted_id })
    }

    fn group<'a>(&mut self, reader: &mut Reader<'a>) -> Result<StreamPiece<'a>, FormatError> {
        let name = reader.string()?;
        let last_id = id(reader)?;
        let entries_read = match self.kind {
            ValueKind::Stream1 => EntriesRead::Estimate,
            _ => match reader.length()? {
                u64::MAX => EntriesRead::Unknown,
                count => EntriesRead::Known(count),
            },
        };
        Ok(StreamPiece::Group { name, last_id, entries_read })
    }

    fn consumer<'a>(&mut self, reader: &mut Reader<'a>) -> Result<StreamPiece<'a>, FormatError> {
        let name = reader.string()?;
        let seen_time_ms = reader.time_ms()?;
        let active_time_ms = match self.kind {
            ValueKind::Stream3 => reader.time_ms()?,
            _ => seen_time_ms,
        };
        Ok(StreamPiece::Consumer { name, seen_time_ms, active_time_ms })
    }
}

fn pending<'a>(reader: &mut Reader<'a>) -> Result<StreamPiece<'a>, FormatError> {
    Ok(StreamPiece::Pending {
        id: raw_id(reader)?,
        delivery_time_ms: reader.time_ms()?,
        delivery_count: reader.length()?,
    })
}

/// An ID as two numbers.
fn id(reader: &mut Reader<'_>) -> Result<StreamId, FormatError> {
    Ok((reader.length()?, reader.length()?))
}

/// An ID as its sixteen bytes.
fn raw_id(reader: &mut Reader<'_>) -> Result<StreamId, FormatError> {
    reader.u128_big_endian().map(split_id)
}

fn split_id(id: u128) -> StreamId {
    ((id >> 64) as u64, id as u64)
}
