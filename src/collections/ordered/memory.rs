//! Owns the memory of nodes: arrays that grow in small steps, counted references, copying before a write. Never knows
//! an order.
//!
//! ```text
//! block of the heap:  | references 4 | length 1 | room 1 | height 1 | extra | element 0 | element 1 | … | room |
//! ```
//!
//! A leaf's elements are items; an inner node's are [`Entry`]s, and its extra is the bytes of all nodes below it. `Rc`
//! with an array of fixed size would make leaves 1.4 times as large after random insertions (they are 70 % full), and
//! `Rc<Vec>` would add a pointer to follow at each level, a second header, and the rounding of the general allocator.

use super::item::{Item, SumOf, sum_of};
use crate::collections::heap;
use crate::collections::table::prefetch;
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, offset_of};
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::slice;

/// What every node begins with.
#[repr(C)]
struct Head {
    references: Cell<u32>,
    len: u8,
    room: u8,
    /// How many levels of nodes are below.
    height: u8,
}

/// A node in memory. The elements follow, as many as there is room for.
#[repr(C)]
struct Block<U, X> {
    head: Head,
    extra: X,
    elements: [U; 0],
}

/// The most elements that an array can hold.
const ROOM_MAX: usize = u8::MAX as usize;

/// Rooms are multiples of this, but for the smallest and those that were cut to size.
const ROOM_STEP: usize = 8;

/// The room that an array gets for so many elements.
fn room_for(len: usize) -> usize {
    match len {
        0..=4 => 4,
        _ => len.next_multiple_of(ROOM_STEP).min(ROOM_MAX),
    }
}

/// A reference to an array with a head and an extra. A write to an array with other owners copies it first.
#[repr(transparent)]
pub struct NodeArray<U: Clone, X: Copy> {
    block: NonNull<Block<U, X>>,
    owns: PhantomData<U>,
}

impl<U: Clone, X: Copy> NodeArray<U, X> {
    const OFFSET: usize = offset_of!(Block<U, X>, elements);

    /// An empty array with some room.
    pub fn new(len: usize, height: u8, extra: X) -> NodeArray<U, X> {
        NodeArray::with_room(room_for(len), height, extra)
    }

    fn with_room(room: usize, height: u8, extra: X) -> NodeArray<U, X> {
        const {
            assert!(align_of::<Block<U, X>>() <= 8, "the heap aligns to 8 bytes");
            assert!(size_of::<U>() > 0);
        }
        assert!(room <= ROOM_MAX);
        let block = heap::allocate(Self::size(room)).cast::<Block<U, X>>();
        let head = Head { references: Cell::new(1), len: 0, room: room as u8, height };
        // SAFETY: the memory is new, aligned to 8 bytes and has room for the head, the extra and the elements.
        unsafe {
            (&raw mut (*block.as_ptr()).head).write(head);
            (&raw mut (*block.as_ptr()).extra).write(extra);
        }
        NodeArray { block, owns: PhantomData }
    }

    fn size(room: usize) -> usize {
        Self::OFFSET + room * size_of::<U>()
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: a reference is owned, so the block is alive; it changes only by `&mut self` of a single owner.
        unsafe { &(*self.block.as_ptr()).head }
    }

    /// The elements, for use while the block is owned.
    #[inline]
    fn elements(&self) -> *mut U {
        // SAFETY: the elements lie within the block.
        unsafe { self.block.as_ptr().byte_add(Self::OFFSET).cast() }
    }

    /// How many levels of nodes are below.
    pub fn height(&self) -> u8 {
        self.head().height
    }

    /// What is kept with the elements.
    #[inline]
    pub fn extra(&self) -> X {
        // SAFETY: a reference is owned, so the block is alive, and its extra was set when it was made.
        unsafe { (*self.block.as_ptr()).extra }
    }

    /// Sets what is kept with the elements. O(1) unless shared.
    #[inline]
    pub fn set_extra(&mut self, extra: X) {
        self.make_unique();
        // SAFETY: `own` made this the single owner.
        unsafe { (*self.block.as_ptr()).extra = extra };
    }

    /// Bytes of the block, without what the heap may round them up by (a 64th at most).
    #[inline]
    pub fn bytes(&self) -> usize {
        Self::size(usize::from(self.head().room))
    }

    /// Copies the array if it has other owners. O(1) unless it has.
    #[inline]
    pub fn make_unique(&mut self) {
        if self.head().references.get() > 1 {
            self.copy();
        }
    }

    #[cold]
    fn copy(&mut self) {
        let mut copy = Self::with_room(room_for(self.len()), self.height(), self.extra());
        for (index, element) in self.iter().enumerate() {
            let element = element.clone();
            // SAFETY: the copy has room for as many elements, and it has no other owner. Its length counts those
            // written, so that a clone that panics drops just these.
            unsafe {
                copy.elements().add(index).write(element);
                copy.set_len(index + 1);
            }
        }
        *self = copy;
    }

    /// # Safety
    /// This must be the single owner; so many elements must be initialized, and those behind them must have no owner.
    #[inline]
    unsafe fn set_len(&mut self, len: usize) {
        // SAFETY: the caller vouches for it; `ROOM_MAX` bounds the length.
        unsafe { (*self.block.as_ptr()).head.len = len as u8 };
    }

    /// Moves the elements to a block with another room, at least their number.
    fn set_room(&mut self, room: usize) {
        self.make_unique();
        let len = self.len();
        assert!(room >= len);
        if room == usize::from(self.head().room) {
            return;
        }
        let mut moved = Self::with_room(room, self.height(), self.extra());
        // SAFETY: both blocks have a single owner and hold that many elements; they are moved, since the old block,
        // whose length becomes zero, drops none.
        unsafe {
            ptr::copy_nonoverlapping(self.elements(), moved.elements(), len);
            moved.set_len(len);
            self.set_len(0);
        }
        *self = moved;
    }

    /// Gives up the room behind the elements. O(elements).
    pub fn shrink_to_fit(&mut self) {
        self.set_room(self.len().max(1));
    }

    /// Whether one more element can be put in without moving the others to another block.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.head().len < self.head().room
    }

    /// Whether one element can be removed without moving the others to another block. More than a step must be free, so
    /// that adding an element and removing it again does not move them each time.
    #[inline]
    pub fn keeps_room(&self) -> bool {
        usize::from(self.head().room) < self.len() + ROOM_STEP
    }

    /// Puts an element in before the one at `index`. O(elements).
    #[inline]
    pub fn insert(&mut self, index: usize, element: U) {
        self.make_unique();
        let len = self.len();
        assert!(index <= len);
        if !self.has_room() {
            self.set_room(room_for(len + 1));
        }
        assert!(len < usize::from(self.head().room));
        // SAFETY: this is the single owner and there is room for one more element.
        unsafe {
            let place = self.elements().add(index);
            if index < len {
                ptr::copy(place, place.add(1), len - index);
            }
            place.write(element);
            self.set_len(len + 1);
        }
    }

    /// Takes an element out. O(elements).
    #[inline]
    pub fn remove(&mut self, index: usize) -> U {
        self.make_unique();
        let len = self.len();
        assert!(index < len);
        let keeps_room = self.keeps_room();
        // SAFETY: this is the single owner; the element is moved out and the gap closed.
        let element = unsafe {
            let place = self.elements().add(index);
            let element = place.read();
            if index + 1 < len {
                ptr::copy(place.add(1), place, len - index - 1);
            }
            self.set_len(len - 1);
            element
        };
        if !keeps_room {
            self.set_room(room_for(len - 1));
        }
        element
    }

    /// Puts an element in at the end. Usually O(1).
    #[inline]
    pub fn push(&mut self, element: U) {
        self.insert(self.len(), element);
    }

    /// Takes the last element out. Usually O(1).
    #[inline]
    pub fn pop(&mut self) -> Option<U> {
        let last = self.len().checked_sub(1)?;
        Some(self.remove(last))
    }

    /// Cuts off the elements from `at` on, with a copy of the extra. O(elements).
    pub fn split_off(&mut self, at: usize) -> NodeArray<U, X> {
        self.make_unique();
        let len = self.len();
        assert!(at <= len);
        let mut tail = NodeArray::new(len - at, self.height(), self.extra());
        // SAFETY: both blocks have a single owner; the tail has the room, and the elements are moved to it.
        unsafe {
            ptr::copy_nonoverlapping(self.elements().add(at), tail.elements(), len - at);
            tail.set_len(len - at);
            self.set_len(at);
        }
        self.set_room(room_for(at));
        tail
    }

    /// Moves the elements of another array to the end. O(elements).
    pub fn append(&mut self, mut tail: NodeArray<U, X>) {
        self.make_unique();
        tail.make_unique();
        let (len, more) = (self.len(), tail.len());
        if usize::from(self.head().room) < len + more {
            self.set_room(room_for(len + more));
        }
        assert!(len + more <= usize::from(self.head().room));
        // SAFETY: both blocks have a single owner and this one has the room; the tail, whose length becomes zero, drops
        // none.
        unsafe {
            ptr::copy_nonoverlapping(tail.elements(), self.elements().add(len), more);
            tail.set_len(0);
            self.set_len(len + more);
        }
    }
}

impl<U: Clone, X: Copy> Deref for NodeArray<U, X> {
    type Target = [U];

    #[inline]
    fn deref(&self) -> &[U] {
        // SAFETY: the block is alive and holds that many elements, which change only by `&mut self` of a single owner.
        unsafe { slice::from_raw_parts(self.elements(), usize::from(self.head().len)) }
    }
}

impl<U: Clone, X: Copy> DerefMut for NodeArray<U, X> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [U] {
        self.make_unique();
        // SAFETY: as for `deref`, and `own` made this the single owner.
        unsafe { slice::from_raw_parts_mut(self.elements(), usize::from(self.head().len)) }
    }
}

impl<U: Clone, X: Copy> Drop for NodeArray<U, X> {
    fn drop(&mut self) {
        let references = &self.head().references;
        references.set(references.get() - 1);
        if references.get() > 0 {
            return;
        }
        let room = usize::from(self.head().room);
        let len = self.len();
        // SAFETY: the last owner is gone; the block was allocated with this size by `with_room`.
        unsafe {
            ptr::drop_in_place(ptr::slice_from_raw_parts_mut(self.elements(), len));
            heap::free(self.block.cast(), Self::size(room));
        }
    }
}

/// A child, and the item behind it unless it is the last child.
#[derive(Clone)]
pub struct Entry<T: Item> {
    pub child: Node<T>,
    /// Of the child's items and the item.
    pub sum: SumOf<T>,
    pub item: Option<T>,
}

impl<T: Item> Entry<T> {
    /// Of the item alone.
    pub fn item_sum(&self) -> SumOf<T> {
        self.item.as_ref().map(sum_of).unwrap_or_default()
    }

    /// Of the child's items alone.
    pub fn child_sum(&self) -> SumOf<T> {
        self.sum.minus(self.item_sum())
    }
}

/// A leaf: items in their order.
pub type Leaf<T> = NodeArray<T, ()>;

/// An inner node: children and the items between them. The extra is the bytes of all nodes below.
pub type Inner<T> = NodeArray<Entry<T>, usize>;

/// A counted reference to a node, a leaf or an inner one; its height tells which.
#[repr(transparent)]
pub struct Node<T: Item> {
    head: NonNull<Head>,
    owns: PhantomData<T>,
}

/// A node as it is read.
pub enum View<'a, T: Item> {
    /// A leaf.
    Leaf(&'a Leaf<T>),
    /// The entries of an inner node.
    Inner(&'a [Entry<T>]),
}

/// A node as it is changed.
pub enum Edit<'a, T: Item> {
    /// A leaf.
    Leaf(&'a mut Leaf<T>),
    /// An inner node.
    Inner(&'a mut Inner<T>),
}

/// A node that is taken apart.
pub enum Parts<T: Item> {
    /// A leaf.
    Leaf(Leaf<T>),
    /// An inner node.
    Inner(Inner<T>),
}

impl<T: Item> Node<T> {
    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: a reference is owned, so the block is alive; each begins with a head.
        unsafe { self.head.as_ref() }
    }

    /// How many levels of nodes are below.
    #[inline]
    pub fn height(&self) -> u8 {
        self.head().height
    }

    /// How many items, or children, the node has itself.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.head().len)
    }

    /// Has the processor fetch the node, which is as full as they usually are. A search would wait for one cache line
    /// after the other.
    #[inline]
    pub fn prefetch(&self, height: u8) {
        let bytes = match height {
            0 => Leaf::<T>::size(Self::LEAF_MAX * 3 / 4),
            _ => 64,
        };
        let start = self.head.as_ptr().cast::<u8>();
        for offset in (0..bytes).step_by(64) {
            prefetch(start.wrapping_add(offset));
        }
    }

    /// Whether the node has other owners.
    pub fn is_shared(&self) -> bool {
        self.head().references.get() > 1
    }

    /// The node, to be read.
    #[inline]
    pub fn view(&self) -> View<'_, T> {
        let node = ptr::from_ref(self);
        // SAFETY: a node of height 0 was made of a leaf and every other of an inner node; both handles and this are
        // just the pointer to the block.
        unsafe {
            if self.height() == 0 {
                View::Leaf(&*node.cast::<Leaf<T>>())
            } else {
                View::Inner(&*node.cast::<Inner<T>>())
            }
        }
    }

    /// The items of a leaf; none of an inner node.
    pub fn items(&self) -> &[T] {
        match self.view() {
            View::Leaf(items) => items,
            View::Inner(_) => &[],
        }
    }

    /// The node, to be changed.
    #[inline]
    pub fn edit(&mut self) -> Edit<'_, T> {
        let node = ptr::from_mut(self);
        // SAFETY: as for `view`; whatever handle is put in its place has the same type, so the height still tells which
        // it is.
        unsafe {
            if (*node).height() == 0 {
                Edit::Leaf(&mut *node.cast::<Leaf<T>>())
            } else {
                Edit::Inner(&mut *node.cast::<Inner<T>>())
            }
        }
    }

    /// The node, to be taken apart.
    pub fn into_parts(self) -> Parts<T> {
        let node = ManuallyDrop::new(self);
        // SAFETY: as for `view`; the reference moves to the new handle.
        unsafe {
            if node.height() == 0 {
                Parts::Leaf(mem::transmute_copy(&node))
            } else {
                Parts::Inner(mem::transmute_copy(&node))
            }
        }
    }

    /// Bytes of the node and all below it. O(1).
    #[inline]
    pub fn bytes(&self) -> usize {
        let node = ptr::from_ref(self);
        // SAFETY: as for `view`.
        unsafe {
            if self.height() == 0 {
                (*node.cast::<Leaf<T>>()).bytes()
            } else {
                let inner = &*node.cast::<Inner<T>>();
                inner.bytes() + inner.extra()
            }
        }
    }
}

impl<T: Item> From<Leaf<T>> for Node<T> {
    fn from(leaf: Leaf<T>) -> Node<T> {
        assert!(leaf.height() == 0);
        Node { head: ManuallyDrop::new(leaf).block.cast(), owns: PhantomData }
    }
}

impl<T: Item> From<Inner<T>> for Node<T> {
    fn from(inner: Inner<T>) -> Node<T> {
        assert!(inner.height() > 0);
        Node { head: ManuallyDrop::new(inner).block.cast(), owns: PhantomData }
    }
}

impl<T: Item> Clone for Node<T> {
    fn clone(&self) -> Node<T> {
        let references = &self.head().references;
        match references.get().checked_add(1) {
            Some(count) => references.set(count),
            None => panic!("a node has too many owners"),
        }
        Node { head: self.head, owns: PhantomData }
    }
}

impl<T: Item> Drop for Node<T> {
    fn drop(&mut self) {
        let node = ptr::from_mut(self);
        // SAFETY: as for `view`; the handle is dropped once, in this place.
        unsafe {
            if (*node).height() == 0 {
                ptr::drop_in_place(node.cast::<Leaf<T>>());
            } else {
                ptr::drop_in_place(node.cast::<Inner<T>>());
            }
        }
    }
}
