//! Changes of a large list anywhere: taking out, putting in, replacing. Never looks at blocks that lie elsewhere.

use crate::collections::listpack::{self, Builder, Element, Listpack};
use crate::collections::packed::Packed;

use super::List;
use super::block::{Block, Open};
use super::item::{Given, Item, Needle};
use super::run::{End, Run};

impl List {
    /// Takes up to so many elements out at an end, hands each to `visit`, the outermost first. O(those).
    #[inline]
    pub(super) fn pop(&mut self, end: End, mut count: usize, mut visit: impl FnMut(Item<'_>)) {
        while count > 0 && !self.is_empty() {
            let number = match end {
                End::Front => 0,
                End::Back => self.block_count() - 1,
            };
            let open = self.end(end).open();
            let len = self.end(end).len();
            let taken = count.min(len);
            match (&open, end) {
                (Open::Large(bytes), _) => visit(Item::Large(bytes)),
                (Open::Run(bytes), End::Front) => {
                    let elements = Listpack::new(bytes).iter().take(taken);
                    elements.for_each(|element| visit(Item::Packed(element)));
                }
                (Open::Run(bytes), End::Back) => {
                    let elements = Listpack::new(bytes).iter_back().take(taken);
                    elements.for_each(|element| visit(Item::Packed(element)));
                }
            }
            drop(open);
            match end {
                _ if taken == len => self.remove_block(number),
                End::Front => self.cut_block(number, 0, taken),
                End::Back => self.cut_block(number, len - taken, taken),
            }
            count -= taken;
        }
    }

    /// Takes out up to so many elements from an index on. O(log n), and the freeing of whole blocks.
    pub(super) fn remove_range(&mut self, start: usize, count: usize) {
        let mut left = count.min(self.len().saturating_sub(start));
        while left > 0 {
            let place = self.locate(start);
            let len = self.block(place.block).len();
            let taken = left.min(len - place.within);
            if taken < len {
                self.cut_block(place.block, place.within, taken);
                left -= taken;
                continue;
            }
            let last = self.block_count() - 1;
            // The block behind the last whole one; there is none if all goes.
            let end = match start + left {
                end if end < self.len() => self.locate(end).block,
                _ => last,
            };
            let first = place.block.max(1);
            if end > first {
                let before = self.len();
                self.remove_inner_blocks(first, end - first);
                left -= before - self.len();
            } else {
                self.remove_block(place.block);
                left -= taken;
            }
        }
    }

    /// Puts an element in so that it has this index, at most the length. O(log n + block).
    pub(super) fn insert(&mut self, index: usize, given: &impl Given, is_large: bool) {
        if index == 0 {
            return self.push(End::Front, given, is_large);
        }
        if index == self.len() {
            return self.push(End::Back, given, is_large);
        }
        let place = self.locate(index);
        if is_large {
            let number = self.part(place.block, place.within);
            return self.insert_block(number, Block::Large(given.shared()));
        }
        let text = given.text();
        if self.admits(place.block, text) {
            return self.put(place.block, place.within, text);
        }
        if place.within > 0 {
            self.part(place.block, place.within);
        }
        // Now the place is between two blocks.
        let behind = if place.within > 0 { place.block + 1 } else { place.block };
        if behind > 0 && self.admits(behind - 1, text) {
            let last = self.block(behind - 1).len();
            self.put(behind - 1, last, text);
        } else if self.admits(behind, text) {
            self.put(behind, 0, text);
        } else {
            self.insert_block(behind, run_of(text));
        }
    }

    /// Puts an element in the place of the one with this index, which must exist. O(log n + block).
    pub(super) fn set(&mut self, index: usize, given: &impl Given, is_large: bool) {
        let place = self.locate(index);
        if is_large {
            let number = self.part(place.block, place.within);
            if self.block(number).len() > 1 {
                self.cut_block(number, 0, 1);
                self.insert_block(number, Block::Large(given.shared()));
            } else {
                let large = Block::Large(given.shared());
                self.change_block(number, |block| *block = large);
            }
            return;
        }
        let element = Element::of(given.text());
        let bytes = self.change_block(place.block, |block| match block {
            Block::Run(run) => {
                if let Some(position) = run.listpack().seek(place.within as i64) {
                    listpack::replace(run, position, &element);
                }
                run.bytes().len()
            }
            Block::Large(_) | Block::Compressed(_) => {
                *block = run_of(given.text());
                0
            }
        });
        let len = self.block(place.block).len();
        if bytes > 2 * self.limits.bytes_max() && len > 1 {
            self.part(place.block, len / 2);
        }
    }

    /// Takes out elements equal to a string, up to so many, looking from an end on; gives how many. O(n).
    pub(super) fn remove_equal(&mut self, needle: &Needle<'_>, from: End, count: usize) -> usize {
        let mut removed = 0;
        let (mut number, mut left) = match from {
            End::Front => (0, self.block_count()),
            End::Back => (self.block_count() - 1, self.block_count()),
        };
        while left > 0 && removed < count {
            left -= 1;
            let (outcome, found) = self.block(number).without(needle, from, count - removed);
            removed += found;
            let is_gone = matches!(outcome, Without::Nothing);
            match outcome {
                Without::Unchanged => {}
                Without::Nothing => self.remove_block(number),
                Without::Some(listpack) => {
                    self.change_block(number, |block| *block = Block::Run(Run::new(&listpack)));
                }
            }
            number = match from {
                End::Front if is_gone => number,
                End::Front => number + 1,
                End::Back => number.saturating_sub(1),
            };
        }
        removed
    }

    /// Whether a block takes one more element.
    fn admits(&self, number: usize, text: &[u8]) -> bool {
        match self.block(number).open() {
            Open::Run(bytes) => self.is_compact || self.limits.admit(Listpack::new(&bytes), text.len()),
            Open::Large(_) => false,
        }
    }

    /// Puts an element into a run so that it has this index there.
    fn put(&mut self, number: usize, within: usize, text: &[u8]) {
        self.change_block(number, |block| {
            if let Block::Run(run) = block {
                let listpack = run.listpack();
                let position = listpack.seek(within as i64);
                let position = position.unwrap_or(listpack.end());
                listpack::insert_before(run, position, &[Element::of(text)]);
            }
        });
    }

    /// Cuts a block in two so that the element with this index in it is the first of a block; gives the number of that
    /// one.
    fn part(&mut self, number: usize, within: usize) -> usize {
        if within == 0 {
            return number;
        }
        let tail = self.change_block(number, |block| match block {
            Block::Run(run) => {
                let tail = listpack::split_at(run, within);
                run.fit_loosely();
                tail
            }
            Block::Large(_) | Block::Compressed(_) => unreachable!("one element is not parted"),
        });
        self.insert_block(number + 1, Block::Run(Run::new(&tail)));
        number + 1
    }
}

fn run_of(text: &[u8]) -> Block {
    let mut builder = Builder::new();
    builder.push_bytes(text);
    Block::Run(Run::new(&builder.finish()))
}

/// What is left of a block without some elements.
enum Without {
    Unchanged,
    Some(Vec<u8>),
    Nothing,
}

impl Block {
    /// What is left without up to so many elements equal to a string, from an end on, and how many those are.
    fn without(&self, needle: &Needle<'_>, from: End, count: usize) -> (Without, usize) {
        match self.open() {
            Open::Large(bytes) if needle.is(Item::Large(&bytes)) => (Without::Nothing, 1),
            Open::Large(_) => (Without::Unchanged, 0),
            Open::Run(bytes) => without(Listpack::new(&bytes), needle, from, count),
        }
    }
}

/// The listpack without up to so many elements equal to a string, from an end on, and how many those are. O(n).
fn without(listpack: Listpack<'_>, needle: &Needle<'_>, from: End, count: usize) -> (Without, usize) {
    let is_equal = |element: &Element<'_>| needle.is(Item::Packed(*element));
    let found = listpack.iter().filter(is_equal).count();
    let removed = found.min(count);
    // From the back, the first ones stay.
    let spared = match from {
        End::Front => 0,
        End::Back => found - removed,
    };
    if removed == 0 {
        return (Without::Unchanged, 0);
    }
    if removed == listpack.len() {
        return (Without::Nothing, removed);
    }
    let mut builder = Builder::with_capacity(listpack.byte_len());
    let mut seen = 0;
    for element in listpack.iter() {
        let equal = is_equal(&element);
        if !equal || !(spared..spared + removed).contains(&seen) {
            builder.push(&element);
        }
        seen += usize::from(equal);
    }
    (Without::Some(builder.finish()), removed)
}

/// Takes out of packed bytes up to so many elements equal to a string, from an end on; gives how many. O(n).
pub(super) fn remove_equal_packed(
    packed: &mut (impl Packed + ?Sized),
    needle: &Needle<'_>,
    from: End,
    count: usize,
) -> usize {
    let (outcome, removed) = without(Listpack::new(packed.bytes()), needle, from, count);
    let all = 0..packed.bytes().len();
    match outcome {
        Without::Unchanged => {}
        Without::Some(bytes) => packed.splice(all, &bytes),
        Without::Nothing => packed.splice(all, &listpack::EMPTY),
    }
    removed
}
