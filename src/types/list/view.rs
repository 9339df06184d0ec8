//! Reading a list in either of its forms. Never changes one.

use std::ops::{ControlFlow, Range};

use crate::collections::listpack::Listpack;
use crate::types::object::Object;
use crate::types::slot::{PackedForm, Stored};

use super::List;
use super::block::{Block, BlockRef, Open};
use super::item::{Item, Needle};
use super::run::End;

/// A list, to be read.
#[derive(Clone, Copy)]
pub enum ListRef<'a> {
    Packed(Listpack<'a>),
    Large(&'a List),
}

impl<'a> ListRef<'a> {
    /// The list that is stored, if it is one.
    #[inline]
    pub fn of(stored: Stored<'a>) -> Option<ListRef<'a>> {
        match stored {
            Stored::Packed(PackedForm::List, bytes) => Some(ListRef::Packed(Listpack::new(bytes))),
            Stored::Object(Object::List(list)) => Some(ListRef::Large(list)),
            _ => None,
        }
    }

    /// How many elements there are. O(1).
    #[inline]
    pub fn len(self) -> usize {
        match self {
            ListRef::Packed(listpack) => listpack.len(),
            ListRef::Large(list) => list.len(),
        }
    }

    /// Whether there are none. O(1).
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The index that is meant, where negative ones count from the end; none if there is no such element.
    #[inline]
    pub fn index(self, index: i64) -> Option<usize> {
        let len = self.len();
        let index = match index {
            0.. => usize::try_from(index).ok()?,
            _ => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
        };
        (index < len).then_some(index)
    }

    /// Calls with the element with this index, if there is one. O(log n + block).
    pub fn with<R>(self, index: usize, call: impl FnOnce(Item<'_>) -> R) -> Option<R> {
        let mut call = Some(call);
        let mut result = None;
        if index < self.len() {
            self.walk(index, End::Front, |item| {
                result = call.take().map(|call| call(item));
                ControlFlow::Break(())
            });
        }
        result
    }

    /// Hands elements to `visit` from an index on until it breaks off: towards the back if it comes from the front.
    /// O(log n) and those.
    #[inline]
    pub fn walk(self, start: usize, from: End, mut visit: impl FnMut(Item<'_>) -> ControlFlow<()>) {
        if start >= self.len() {
            return;
        }
        match self {
            ListRef::Packed(listpack) => {
                let _ = walk_listpack(listpack, Some(start), from, &mut visit);
            }
            ListRef::Large(list) => list.walk(start, from, visit),
        }
    }

    /// The indexes of the elements equal to a string, looked for from an end on among up to so many elements; each is
    /// handed to `visit` until it breaks off. O(n).
    pub fn find(self, text: &[u8], from: End, among: usize, mut visit: impl FnMut(usize) -> ControlFlow<()>) {
        let needle = Needle::new(text);
        let last = self.len().saturating_sub(1);
        let mut seen = 0;
        let start = if from == End::Front { 0 } else { last };
        self.walk(start, from, |item| {
            if seen == among {
                return ControlFlow::Break(());
            }
            seen += 1;
            if !needle.is(item) {
                return ControlFlow::Continue(());
            }
            visit(match from {
                End::Front => seen - 1,
                End::Back => last + 1 - seen,
            })
        });
    }

    /// The blocks as they are stored, in order: at least one.
    pub fn blocks(self) -> impl Iterator<Item = BlockRef<'a>> {
        let (packed, list) = match self {
            ListRef::Packed(listpack) => (Some(BlockRef::Run(listpack)), None),
            ListRef::Large(list) => (None, Some(list)),
        };
        let blocks = list.into_iter().flat_map(|list| list.blocks(0..list.block_count()));
        packed.into_iter().chain(blocks.map(Block::stored))
    }
}

impl List {
    /// How many blocks there are. O(1).
    pub fn stored_blocks(&self) -> usize {
        self.block_count()
    }

    /// The block with this number, as it is stored. O(log n).
    pub fn stored_block(&self, number: usize) -> Option<BlockRef<'_>> {
        let exists = number < self.block_count();
        exists.then(|| self.block(number).stored())
    }

    /// The blocks with these numbers, which must exist.
    pub(super) fn blocks(&self, numbers: Range<usize>) -> impl DoubleEndedIterator<Item = &Block> {
        let count = self.block_count();
        let front = (numbers.start == 0 && numbers.end > 0).then_some(&self.front);
        let back = self.back.as_ref().filter(|_| numbers.end == count);
        let middle = numbers.start.saturating_sub(1)..numbers.end.saturating_sub(1);
        let middle = self.middle.range(middle).map(|link| &link.block);
        front.into_iter().chain(middle).chain(back).map(|block| &**block)
    }

    fn walk(&self, start: usize, from: End, mut visit: impl FnMut(Item<'_>) -> ControlFlow<()>) {
        let place = self.locate(start);
        let mut within = Some(place.within);
        let mut walk = |block: &Block| walk_block(block, within.take(), from, &mut visit);
        let flow = match from {
            End::Front => self.blocks(place.block..self.block_count()).try_for_each(&mut walk),
            End::Back => self.blocks(0..place.block + 1).rev().try_for_each(&mut walk),
        };
        let (ControlFlow::Continue(()) | ControlFlow::Break(())) = flow;
    }
}

/// Walks over a block's elements from an index on, or from the first or the last.
fn walk_block(
    block: &Block,
    within: Option<usize>,
    from: End,
    visit: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    match block.open() {
        Open::Run(bytes) => walk_listpack(Listpack::new(&bytes), within, from, visit),
        Open::Large(bytes) => visit(Item::Large(&bytes)),
    }
}

#[inline]
fn walk_listpack(
    listpack: Listpack<'_>,
    within: Option<usize>,
    from: End,
    visit: &mut impl FnMut(Item<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let position = within.and_then(|within| listpack.seek(within as i64));
    let mut visit = |element| visit(Item::Packed(element));
    match (from, position) {
        (End::Front, Some(position)) => listpack.iter_from(position).try_for_each(&mut visit),
        (End::Front, None) => listpack.iter().try_for_each(&mut visit),
        (End::Back, Some(position)) => listpack.iter_back_from(position).try_for_each(&mut visit),
        (End::Back, None) => listpack.iter_back().try_for_each(&mut visit),
    }
}
