//! Streams taken apart and put together, for files: blocks as they are, and what else is known. Never trusts what it is
//! given.

use std::fmt;

use crate::collections::ordered::Ordered;

use super::Stream;
use super::entries::{Block, Entries, Tail};
use super::group::{Consumer, Group};
use super::id::Id;
use super::node::Node;
use super::pending::{Holder, Pending};

/// A block of a stream.
#[derive(Clone, Copy, Debug)]
pub struct BlockRef<'a> {
    /// Its ID, to which those of its entries are relative.
    pub first: Id,
    /// Its listpack.
    pub bytes: &'a [u8],
}

/// What a stream knows besides its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The greatest ID that was ever given.
    pub last_id: Id,
    /// The first entry's; 0-0 if there is none.
    pub first_id: Id,
    /// The greatest ID that was deleted.
    pub max_deleted_id: Id,
    /// How many entries were ever added.
    pub added: u64,
}

/// A consumer, with the IDs of what it has not acknowledged.
#[derive(Clone, Debug)]
pub struct ConsumerParts {
    pub name: Vec<u8>,
    /// In ms since the epoch.
    pub seen_ms: i64,
    /// In ms since the epoch, if it ever got anything.
    pub active_ms: Option<i64>,
    /// In ascending order.
    pub pending: Vec<Id>,
}

/// A consumer group.
#[derive(Clone, Debug)]
pub struct GroupParts {
    pub name: Vec<u8>,
    pub last_id: Id,
    pub entries_read: Option<i64>,
    /// What was given out and not acknowledged: ID, time of the last delivery in ms since the epoch, number of
    /// deliveries. In ascending order of the IDs.
    pub pending: Vec<(Id, i64, u64)>,
    /// Those of them that no consumer has, in the order in which they were given back.
    pub released: Vec<Id>,
    pub consumers: Vec<ConsumerParts>,
}

/// Why parts make up no stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartsError {
    /// The IDs of the blocks do not ascend.
    BlockOrder,
    /// Two groups or two consumers have the same name.
    DuplicateName,
    /// Pending IDs do not ascend.
    PendingOrder,
    /// A consumer has what its group has not given out.
    NotGivenOut,
    /// Two consumers own the same entry, or an entry of the group has no owner.
    WrongOwner,
}

impl fmt::Display for PartsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            PartsError::BlockOrder => "the blocks of a stream are not in order",
            PartsError::DuplicateName => "a consumer group or a consumer is there twice",
            PartsError::PendingOrder => "pending entries are not in order",
            PartsError::NotGivenOut => "a consumer has an entry that its group has not pending",
            PartsError::WrongOwner => "a pending entry has no consumer, or two",
        })
    }
}

impl std::error::Error for PartsError {}

impl Entries {
    /// Sets what else is known of a stream whose blocks are in place.
    fn set_history(&mut self, history: &History) {
        self.last_id = history.last_id;
        self.max_deleted_id = history.max_deleted_id;
        self.added = history.added;
        self.first_id = history.first_id;
    }

    /// The block with this number, as it is. O(log n).
    pub fn block_at(&self, index: usize) -> Option<BlockRef<'_>> {
        let node = self.node_at(index)?;
        Some(BlockRef { first: node.first, bytes: node.listpack.bytes() })
    }

    /// The blocks, as they are, in order.
    pub fn iter_blocks(&self) -> impl Iterator<Item = BlockRef<'_>> {
        let full = self.blocks.iter().map(Block::node);
        let tail = self.tail.iter().map(Tail::node);
        full.chain(tail).map(|node: Node<'_>| BlockRef { first: node.first, bytes: node.listpack.bytes() })
    }

    /// What it knows besides the entries.
    pub fn history(&self) -> History {
        History {
            last_id: self.last_id,
            first_id: self.first_id(),
            max_deleted_id: self.max_deleted_id,
            added: self.added,
        }
    }

    /// Bytes of the blocks and the tree, estimated from some of the blocks.
    pub(super) fn memory_bytes(&self) -> usize {
        const SAMPLES: usize = 16;
        let full = self.blocks.len();
        let sampled = (0..SAMPLES.min(full)).filter_map(|sample| {
            let index = sample * full / SAMPLES.min(full);
            self.blocks.at(index).map(Block::memory_bytes)
        });
        let blocks = sampled.sum::<usize>() * full / SAMPLES.min(full).max(1);
        let tail = self.tail.as_ref().map_or(0, Tail::memory_bytes);
        self.blocks.memory_bytes() + blocks + tail
    }
}

impl Stream {
    /// A stream of blocks that were found valid (deeply), with what it knows besides. Which entry is the first is found
    /// anew, whatever the history says. O(blocks).
    ///
    /// Errors: the IDs of the blocks do not ascend.
    pub fn from_parts<B: AsRef<[u8]>>(
        blocks: impl IntoIterator<Item = (Id, B)>,
        history: &History,
    ) -> Result<Stream, PartsError> {
        let mut tree = Ordered::new();
        let mut last = None;
        for (first, bytes) in blocks {
            if last.is_some_and(|last| last >= first) {
                return Err(PartsError::BlockOrder);
            }
            last = Some(first);
            tree.push_back(Block::new(first, bytes.as_ref()));
        }
        let mut stream = Stream::default();
        stream.entries.adopt(tree);
        stream.entries.set_history(history);
        stream.entries.find_first();
        Ok(stream)
    }

    /// Adds a consumer group. O(its parts).
    ///
    /// Errors: what is wrong with it; the stream is then as before.
    pub fn add_group(&mut self, parts: GroupParts) -> Result<(), PartsError> {
        let group = Group::from_parts(parts)?;
        match self.groups.add(group) {
            true => Ok(()),
            false => Err(PartsError::DuplicateName),
        }
    }
}

/// Whether keys ascend.
fn ascend(ids: impl Iterator<Item = Id> + Clone) -> bool {
    ids.clone().zip(ids.skip(1)).all(|(id, next)| id < next)
}

impl Group {
    fn from_parts(parts: GroupParts) -> Result<Group, PartsError> {
        if !ascend(parts.pending.iter().map(|(id, ..)| *id)) {
            return Err(PartsError::PendingOrder);
        }
        let given: usize = parts.consumers.iter().map(|one| one.pending.len()).sum();
        if given + parts.released.len() != parts.pending.len() {
            return Err(PartsError::WrongOwner);
        }
        let mut holders: Vec<Option<Holder>> = vec![None; parts.pending.len()];
        let mut hold = |id: Id, holder: &dyn Fn(i64) -> Holder| {
            let place = parts.pending.binary_search_by_key(&id, |(id, ..)| *id);
            let place = place.map_err(|_| PartsError::NotGivenOut)?;
            let holder = holder(parts.pending[place].1);
            match holders[place].replace(holder) {
                None => Ok(()),
                Some(_) => Err(PartsError::WrongOwner),
            }
        };
        let mut group = Group::new(&parts.name, parts.last_id, parts.entries_read);
        for one in &parts.consumers {
            if !ascend(one.pending.iter().copied()) {
                return Err(PartsError::PendingOrder);
            }
            let consumer = Consumer::from_parts(one);
            let name = consumer.shared_name();
            for id in &one.pending {
                hold(*id, &|delivered_ms| Holder::Consumer { name: name.clone(), delivered_ms })?;
            }
            if !group.add_consumer(consumer) {
                return Err(PartsError::DuplicateName);
            }
        }
        for (number, id) in parts.released.iter().enumerate() {
            hold(*id, &|_| Holder::Released { number: number as u64 })?;
        }
        let pending = parts.pending.iter().zip(holders);
        group.set_pending(pending.filter_map(|((id, _, deliveries), holder)| {
            Some(Pending { id: *id, deliveries: *deliveries, holder: holder? })
        }));
        Ok(group)
    }
}

impl Consumer {
    fn from_parts(parts: &ConsumerParts) -> Consumer {
        let mut consumer = Consumer::new(&parts.name, parts.seen_ms, parts.active_ms);
        consumer.set_pending(parts.pending.iter().copied());
        consumer
    }
}
