//! Changing a list in its place, whichever form it has: packed, or large. Never leaves a list in a form that the
//! settings do not ask for.
//!
//! A packed list becomes a large one when one block would not hold it, and a large one of a single block becomes packed
//! again when half a block would do, as in Redis. Besides, a list of more than [`PACKED_BYTES_MAX`] does not lie in its
//! record, where every change at its front would move it all, even if OBJECT ENCODING is to call it packed: such a list
//! is *compact*.

use smallvec::SmallVec;

use crate::collections::listpack::{self, Element, Listpack};
use crate::types::object::Object;
use crate::types::slot::{OwnedValue, PackedForm, Slot};

use super::change::remove_equal_packed;
use super::item::{Given, Item, Needle};
use super::limits::Limits;
use super::run::{End, Run};
use super::view::ListRef;
use super::{Block, List};

/// Lists larger than this do not lie in their records, in bytes.
const PACKED_BYTES_MAX: usize = 4096;
/// What an element is taken to need besides its text there, in bytes.
const OVERHEAD_BYTES: usize = 4;

/// A list that is about to be changed.
pub struct ListEditor<'a, S: Slot> {
    slot: &'a mut S,
    limits: Limits,
}

impl<'a, S: Slot> ListEditor<'a, S> {
    /// The list in a slot, if it holds one.
    #[inline]
    pub fn of(slot: &'a mut S, limits: &Limits) -> Option<ListEditor<'a, S>> {
        ListRef::of(slot.stored())?;
        Some(ListEditor { slot, limits: *limits })
    }

    /// The list, to be read.
    #[inline]
    pub fn view(&self) -> ListRef<'_> {
        match ListRef::of(self.slot.stored()) {
            Some(list) => list,
            None => unreachable!("`of` has seen a list, and nothing else is put in its place"),
        }
    }

    #[inline]
    fn large(&mut self) -> Option<&mut List> {
        match self.slot.object_mut() {
            Some(Object::List(list)) => Some(list),
            _ => None,
        }
    }

    fn packed(&self) -> Listpack<'_> {
        Listpack::new(self.slot.bytes())
    }

    /// How many elements there are. O(1).
    #[inline]
    pub fn len(&self) -> usize {
        self.view().len()
    }

    /// Whether there are none: then the caller removes the key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts elements in at an end, one after the other; gives how many there are then. Amortised O(bytes).
    #[inline]
    pub fn push<G: Given>(&mut self, end: End, elements: impl Iterator<Item = G> + Clone) -> usize {
        self.grow_for(elements.clone());
        let limits = self.limits;
        let Some(list) = self.large() else {
            push_packed(self.slot, end, elements);
            return self.packed().len();
        };
        for given in elements {
            let is_large = !list.is_compact && limits.is_large(given.text().len());
            list.push(end, &given, is_large);
        }
        list.len()
    }

    /// Takes up to so many elements out at an end; hands each to `visit`, the outermost first. O(those), and O(length)
    /// if the list is packed. The caller calls `shrink` if elements are left.
    #[inline]
    pub fn pop(&mut self, end: End, count: usize, mut visit: impl FnMut(Item<'_>)) {
        if let Some(list) = self.large() {
            return list.pop(end, count, visit);
        }
        let listpack = self.packed();
        let len = listpack.len();
        let count = count.min(len);
        let start = match end {
            End::Front => {
                let elements = listpack.iter().take(count);
                elements.for_each(|element| visit(Item::Packed(element)));
                0
            }
            End::Back => {
                let elements = listpack.iter_back().take(count);
                elements.for_each(|element| visit(Item::Packed(element)));
                len - count
            }
        };
        listpack::remove_range(self.slot, start as i64, count);
    }

    /// Puts an element in so that it has this index, at most the length. O(log n + block).
    pub fn insert(&mut self, index: usize, given: impl Given) {
        self.grow_for(std::iter::once(given.text()));
        let limits = self.limits;
        if let Some(list) = self.large() {
            let is_large = !list.is_compact && limits.is_large(given.text().len());
            return list.insert(index, &given, is_large);
        }
        let listpack = self.packed();
        let position = listpack.seek(index as i64).unwrap_or(listpack.end());
        listpack::insert_before(self.slot, position, &[Element::of(given.text())]);
    }

    /// Puts an element in the place of the one with this index, which must exist. O(log n + block).
    pub fn set(&mut self, index: usize, given: impl Given) {
        self.grow_for(std::iter::once(given.text()));
        let limits = self.limits;
        if let Some(list) = self.large() {
            let is_large = !list.is_compact && limits.is_large(given.text().len());
            list.set(index, &given, is_large);
        } else if let Some(position) = self.packed().seek(index as i64) {
            listpack::replace(self.slot, position, &Element::of(given.text()));
        }
        self.shrink();
    }

    /// Leaves nothing but so many elements from an index on. O(log n), and the freeing of the others.
    pub fn keep(&mut self, start: usize, count: usize) {
        let len = self.len();
        let end = start.saturating_add(count).min(len);
        self.remove_range(end, len - end);
        self.remove_range(0, start);
        self.shrink();
    }

    fn remove_range(&mut self, start: usize, count: usize) {
        if count == 0 {
            return;
        }
        match self.large() {
            Some(list) => list.remove_range(start, count),
            None => {
                listpack::remove_range(self.slot, start as i64, count);
            }
        }
    }

    /// Takes out elements equal to a string, up to so many, looking from an end on; gives how many. O(n).
    pub fn remove_equal(&mut self, text: &[u8], from: End, count: usize) -> usize {
        let needle = Needle::new(text);
        let removed = match self.large() {
            Some(list) => list.remove_equal(&needle, from, count),
            None => remove_equal_packed(self.slot, &needle, from, count),
        };
        if removed > 0 {
            self.shrink();
        }
        removed
    }

    /// Takes the form that there must be room for these elements in, before they are put in.
    #[inline]
    fn grow_for<G: Given>(&mut self, elements: impl Iterator<Item = G>) {
        let limits = self.limits;
        let added = |elements: &mut dyn Iterator<Item = G>| {
            elements.fold((0, 0), |(bytes, count), given| (bytes + given.text().len(), count + 1))
        };
        let mut elements = elements;
        if let Some(list) = self.large() {
            if list.is_compact {
                let (bytes, count) = added(&mut elements);
                if limits.exceeded_by(list.run_bytes() + bytes, list.len() + count) {
                    list.is_compact = false;
                    list.limits = limits;
                }
            }
            return;
        }
        let (added_bytes, added_count) = added(&mut elements);
        let bytes = self.packed().byte_len() + added_bytes;
        let count = self.packed().len() + added_count;
        let is_compact = !limits.exceeded_by(bytes, count);
        if is_compact && bytes + added_count * OVERHEAD_BYTES <= PACKED_BYTES_MAX {
            return;
        }
        let mut list = List::new(limits);
        if !self.packed().is_empty() {
            let run = Run::new(self.packed().bytes());
            list.push_block(End::Back, Block::Run(run));
        }
        list.is_compact = is_compact;
        self.slot.replace(OwnedValue::object(Object::List(list)));
    }

    /// Takes a smaller form if that is due after elements were taken out. O(1), O(block) when it does.
    #[inline]
    pub fn shrink(&mut self) {
        let limits = self.limits;
        if let Some(list) = self.large()
            && list.block_count() == 1
            && let Some(packed) = list.shrink(&limits)
        {
            self.slot.replace(OwnedValue::Packed(PackedForm::List, packed));
        }
    }
}

impl List {
    /// Bytes of the listpack, if there is but one and it is not compressed.
    #[inline]
    fn run_bytes(&self) -> usize {
        match &*self.front {
            Block::Run(run) => run.listpack().byte_len(),
            Block::Large(_) | Block::Compressed(_) => usize::MAX / 2,
        }
    }

    /// Takes a smaller form if that is due: gives the bytes that are to be packed in the record, if it comes to that.
    /// Of lists of one block.
    fn shrink(&mut self, limits: &Limits) -> Option<Vec<u8>> {
        let bytes = self.run_bytes();
        self.is_compact |= !limits.half_exceeded_by(bytes, self.len());
        if !self.is_compact || bytes > PACKED_BYTES_MAX / 2 {
            return None;
        }
        match &*self.front {
            Block::Run(run) => Some(run.listpack().bytes().to_vec()),
            Block::Large(_) | Block::Compressed(_) => None,
        }
    }

    /// The value that a list is that was made at once.
    pub(super) fn into_value(mut self, limits: &Limits) -> OwnedValue {
        let bytes = self.run_bytes();
        self.is_compact = self.block_count() == 1 && !limits.exceeded_by(bytes, self.len());
        match &*self.front {
            Block::Run(run) if self.is_compact && bytes <= PACKED_BYTES_MAX => {
                OwnedValue::Packed(PackedForm::List, run.listpack().bytes().to_vec())
            }
            _ => OwnedValue::object(Object::List(self)),
        }
    }
}

fn push_packed<G: Given>(slot: &mut impl Slot, end: End, elements: impl Iterator<Item = G>) {
    let given: SmallVec<[G; 4]> = elements.collect();
    let elements = given.iter().map(|given| Element::of(given.text()));
    let mut elements: SmallVec<[Element<'_>; 4]> = elements.collect();
    match end {
        End::Front => {
            elements.reverse();
            listpack::push_front(slot, &elements);
        }
        End::Back => listpack::push_back(slot, &elements),
    }
}
