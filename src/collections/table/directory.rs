//! Owns the trie of nodes that leads from a position (a point of 64 bits) to a segment, and copies what is shared
//! before it is changed. Never looks into entries.
//!
//! ```text
//! root ─► node, depth 0..=12: 1 << depth slots ─► segment            a slot of a full-depth node may lead to a further
//!              │   │   └─ run of slots ─► one segment                node, which then looks at the position's next bits
//!              └───┴─ …
//! ```
//!
//! When a segment that fills a single slot splits, its node doubles; at depth 12 the slot gets a node of its own
//! instead. So growth never touches more than one node (32 KiB at most) and one segment. A node hangs at a single slot,
//! always, so that every level uses up exactly its node's depth in bits.
//!
//! Sharing: blocks count their owners. `sharing` is a token that every other holder of this trie's blocks (a pinned
//! version, a fork, memory being reclaimed) has a copy of; while there is none, all blocks are known to be unshared
//! without a look.

use super::Entry;
use super::link::{Link, note_copy};
use super::segment::Segment;
use super::segment_box::SegmentBox;
use std::cell::{Cell, OnceCell};
use std::ops::RangeInclusive;
use std::rc::Rc;

/// The deepest node: 4096 slots. So a table of a million entries needs a single node, and a lookup one load to find its
/// segment; copying a shared node, which counts an owner more for each segment, stays far below a millisecond.
const MAX_NODE_DEPTH: u32 = 12;

/// The deepest segment: bits of the position that tell it from all others. A cursor of SCAN has room for so many.
pub const MAX_DEPTH: u32 = 44;

/// The trie of nodes with its segments.
pub struct Directory<E> {
    root: Cell<Link<E>>,
    bytes: usize,
    sharing: OnceCell<Rc<()>>,
}

/// Where the way to a position ends: at the run of slots that hold the link of its segment.
struct SlotRun<E> {
    first: *mut Link<E>,
    length: usize,
    /// The slot that holds the link of the node with this run, unless the run is the root.
    node: Option<*mut Link<E>>,
    /// How many leading bits of the position all of the segment has in common.
    depth: u32,
}

impl<E> SlotRun<E> {
    fn link(&self) -> Link<E> {
        // SAFETY: `Directory::spot` made it of slots that are alive.
        unsafe { *self.first }
    }

    /// # Safety
    /// The trie must be borrowed mutably, its way to here unshared and unchanged since the spot was found.
    unsafe fn fill(&self, link: Link<E>) {
        for index in 0..self.length {
            // SAFETY: the run has that many slots and the caller may write them.
            unsafe { self.first.add(index).write(link) };
        }
    }
}

/// The slot of a position in a node, when `used` bits have led to the node.
#[inline]
fn slot_of(position: u64, used: u32, node_depth: u32) -> usize {
    ((position << used) >> (u64::BITS - node_depth)) as usize
}

/// The start and the length of the run around `slot`. Runs are aligned to their length, a power of two.
fn run_around<E>(slots: &[Link<E>], slot: usize) -> (usize, usize) {
    let mut length = 1;
    while length < slots.len() && slots[slot ^ length] == slots[slot] {
        length *= 2;
    }
    (slot & !(length - 1), length)
}

/// Puts a new node with these slots in the place of the node that `holder` leads to; `bytes` are those of the trie. It
/// takes no trie: a mutable borrow of one would end the right to use `holder`, which may be its root.
///
/// # Safety
/// As for `SlotRun::fill`; the links of the old node go over to the new one, and it must not be used any more.
unsafe fn replace_node<E>(holder: *mut Link<E>, slots: &[Link<E>], bytes: &mut usize) {
    let new = Link::new_node(slots);
    // SAFETY: the holder is a slot that the trie owns, and the caller may write it.
    unsafe {
        let old = holder.read();
        *bytes = *bytes + new.bytes() - old.bytes();
        holder.write(new);
        old.free_node();
    }
}

impl<E> Directory<E> {
    /// A trie without segments; it has no memory of its own.
    pub const fn new() -> Directory<E> {
        Directory { root: Cell::new(Link::EMPTY), bytes: 0, sharing: OnceCell::new() }
    }

    /// Bytes of all nodes and segments. O(1).
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The segment of a position.
    #[inline]
    pub fn segment(&self, position: u64) -> Option<&Segment<E>> {
        let segment = self.descend(position).as_segment()?;
        // SAFETY: the trie owns a reference, and who changes a segment borrows the trie mutably.
        Some(unsafe { segment.as_ref() })
    }

    #[inline]
    fn descend(&self, position: u64) -> Link<E> {
        let mut link = self.root.get();
        let mut used = 0;
        while let Some((depth, slots)) = link.as_node() {
            // SAFETY: a node of this depth has `1 << depth` slots and is alive while the trie owns it.
            link = unsafe { *slots.add(slot_of(position, used, depth)) };
            used += depth;
        }
        link
    }

    fn spot(&self, position: u64) -> SlotRun<E> {
        let mut slot = self.root.as_ptr();
        let mut spot = SlotRun { first: slot, length: 1, node: None, depth: 0 };
        let mut used = 0;
        // SAFETY: `slot` is the root or a slot of a node that the trie owns.
        while let Some((depth, first)) = unsafe { *slot }.as_node() {
            let index = slot_of(position, used, depth);
            // SAFETY: as above, and nothing writes to the slots meanwhile.
            let (start, length) = run_around(unsafe { (*slot).slots() }, index);
            used += depth;
            spot = SlotRun {
                first: first.wrapping_add(start),
                length,
                node: Some(slot),
                depth: used - length.trailing_zeros(),
            };
            slot = first.wrapping_add(index);
        }
        spot
    }

    /// The segment of a position and its depth: how many leading bits of the position its entries have in common.
    pub fn locate(&self, position: u64) -> Option<(&Segment<E>, u32)> {
        Some((self.segment(position)?, self.spot(position).depth))
    }

    /// Whether blocks of this trie may have other owners.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.sharing.get().is_some_and(|token| Rc::strong_count(token) > 1)
    }

    /// Another owner of the same blocks. O(1).
    pub fn fork(&self) -> Directory<E> {
        let token = self.sharing.get_or_init(|| Rc::new(()));
        // SAFETY: this directory owns a reference to its root.
        unsafe { self.root.get().acquire() };
        Directory { root: self.root.clone(), bytes: self.bytes, sharing: OnceCell::from(Rc::clone(token)) }
    }

    /// Another owner of the blocks that a range of positions leads to, for a walk through its segments; no other block
    /// is shared. O(nodes on the borders of the range).
    pub fn share(&self, positions: &RangeInclusive<u64>) -> Consume<E> {
        let token = self.sharing.get_or_init(|| Rc::new(()));
        let mut rest = Vec::new();
        // SAFETY: the trie owns its root, and is borrowed.
        unsafe { gather(self.root.get(), 0..=u64::MAX, positions, &mut rest) };
        // SAFETY: the trie owns a reference to each of these blocks.
        rest.iter().for_each(|link| unsafe { link.acquire() });
        rest.reverse();
        Consume { rest, sharing: Some(Rc::clone(token)) }
    }

    /// How many leading bits of a position lead to its segment or hole.
    pub fn depth(&self, position: u64) -> u32 {
        self.spot(position).depth
    }

    /// Cuts the hole at a position in two halves with a minimal segment each. Gives the bit that tells the halves
    /// apart.
    pub fn halve(&mut self, position: u64) -> u64 {
        let spot = self.spot(position);
        assert!(spot.link() == Link::EMPTY);
        assert!(spot.depth < MAX_DEPTH, "a seeded hash does not collide in so many bits");
        // SAFETY: `take` unshared the way here when it made the hole.
        unsafe {
            if spot.length > 1 {
                let half = spot.length / 2;
                for index in [0, half] {
                    let segment = SegmentBox::new(1).into_link();
                    self.bytes += segment.bytes();
                    let first = spot.first.add(index);
                    SlotRun { first, length: half, ..spot }.fill(segment);
                }
                return 1 << (u64::BITS - 1 - spot.depth);
            }
            match spot.node {
                Some(holder) if (*holder).slots().len() < 1 << MAX_NODE_DEPTH => {
                    let slots = (*holder).slots();
                    let doubled: Vec<_> = slots.iter().flat_map(|&link| [link; 2]).collect();
                    replace_node(holder, &doubled, &mut self.bytes);
                }
                _ => {
                    let node = Link::new_node(&[Link::EMPTY; 2]);
                    self.bytes += node.bytes();
                    spot.fill(node);
                }
            }
        }
        self.halve(position)
    }

    /// Fills the hole at a position.
    pub fn put(&mut self, position: u64, segment: SegmentBox<E>) {
        let spot = self.spot(position);
        assert!(spot.link() == Link::EMPTY);
        let link = segment.into_link();
        self.bytes += link.bytes();
        // SAFETY: the place was never filled or `take` unshared the way here when it made the hole.
        unsafe { spot.fill(link) };
    }

    /// Merges nodes that have become needless on the way to a position: halves what has no run of a single slot, and
    /// puts a node's only segment into the node's place.
    pub fn compact(&mut self, position: u64) {
        loop {
            let spot = self.spot(position);
            let Some(holder) = spot.node else { return };
            // SAFETY: the holder's node is alive, and unshared since `take` was there.
            unsafe {
                let node = *holder;
                let slots = node.slots();
                if spot.length == slots.len() {
                    self.bytes -= node.bytes();
                    holder.write(spot.link());
                    node.free_node();
                } else if slots.chunks_exact(2).all(|pair| pair[0] == pair[1]) {
                    let halved: Vec<_> = slots.iter().copied().step_by(2).collect();
                    replace_node(holder, &halved, &mut self.bytes);
                } else {
                    return;
                }
            }
        }
    }

    /// The other segment under the same last bit, if it is one segment: a position in it.
    pub fn buddy(&self, position: u64) -> Option<u64> {
        let spot = self.spot(position);
        // SAFETY: the holder's node is alive and not changed while `self` is borrowed.
        let slots = unsafe { (*spot.node?).slots() };
        let base = slots.as_ptr().addr();
        let start = (spot.first.addr() - base) / size_of::<Link<E>>();
        let (buddy, length) = run_around(slots, start ^ spot.length);
        let is_segment = slots.get(buddy)?.as_node().is_none();
        (length == spot.length && is_segment).then(|| position ^ 1 << (u64::BITS - spot.depth))
    }

    /// Gives up all blocks, to be walked for the last time. O(1).
    pub fn consume(&mut self) -> Consume<E> {
        self.bytes = 0;
        Consume { rest: vec![self.root.replace(Link::EMPTY)], sharing: self.sharing.take() }
    }
}

impl<E: Entry> Directory<E> {
    /// The segment of a position, as its only owner.
    #[inline]
    pub fn segment_mut(&mut self, position: u64) -> Option<&mut Segment<E>> {
        if self.is_shared() {
            self.unshare_segment(position);
        }
        let mut segment = self.descend(position).as_segment()?;
        // SAFETY: the trie is borrowed mutably and the segment has no other owner: either no block is shared, or this
        // one was just copied.
        Some(unsafe { segment.as_mut() })
    }

    /// Makes a hole: takes the segment of a position out. It may still have other owners; the nodes on the way have
    /// none. Holes side by side become one, so that the parts of a merge can be taken one after the other.
    pub fn take(&mut self, position: u64) -> Option<SegmentBox<E>> {
        if self.is_shared() {
            self.unshare_nodes(position);
        }
        let spot = self.spot(position);
        let segment = spot.link().as_segment()?;
        self.bytes -= spot.link().bytes();
        // SAFETY: the way is unshared; the reference that the run owned goes over to the box.
        unsafe {
            spot.fill(Link::EMPTY);
            Some(SegmentBox::from_owned(segment))
        }
    }

    #[cold]
    fn unshare_segment(&mut self, position: u64) {
        self.unshare_nodes(position);
        let spot = self.spot(position);
        let old = spot.link();
        if let Some(segment) = old.as_segment()
            // SAFETY: the trie owns a reference to what its slot leads to.
            && unsafe { old.is_shared() }
        {
            // SAFETY: the way is unshared. The copy takes the place of the reference that the box gives up.
            unsafe {
                let old = SegmentBox::from_owned(segment);
                spot.fill(SegmentBox::copy_of(&old).into_link());
            }
        }
    }

    fn unshare_nodes(&mut self, position: u64) {
        let mut slot = self.root.as_ptr();
        let mut used = 0;
        // SAFETY: `slot` is the root or a slot of a node that has no other owner. A copied node's children get one more
        // owner each, and its old reference is given up, which cannot have been the last one.
        unsafe {
            while let Some((depth, _)) = (*slot).as_node() {
                let node = *slot;
                if node.is_shared() {
                    runs(node.slots()).for_each(|child| child.acquire());
                    slot.write(Link::new_node(node.slots()));
                    note_copy(size_of_val(node.slots()));
                    let was_last = node.release();
                    debug_assert!(!was_last);
                }
                let index = slot_of(position, used, depth);
                used += depth;
                slot = (*slot).first_slot().add(index);
            }
        }
    }
}

impl<E> Drop for Directory<E> {
    fn drop(&mut self) {
        if self.root.get() != Link::EMPTY {
            drop(self.consume());
        }
    }
}

/// Each child of a node once, with the direction left open.
fn runs<E>(slots: &[Link<E>]) -> impl DoubleEndedIterator<Item = Link<E>> {
    slots.chunk_by(|left, right| left == right).map(|run| run[0])
}

/// Finds the links, in order, to the largest blocks that lie in a range of positions, and to the segments that lie in
/// it with a part; `covered` is what the link leads to.
///
/// # Safety
/// The trie that the link is of must be borrowed.
unsafe fn gather<E>(
    link: Link<E>,
    covered: RangeInclusive<u64>,
    positions: &RangeInclusive<u64>,
    found: &mut Vec<Link<E>>,
) {
    let is_inside = positions.contains(covered.start()) && positions.contains(covered.end());
    let Some((depth, _)) = link.as_node().filter(|_| !is_inside) else {
        found.extend((link != Link::EMPTY).then_some(link));
        return;
    };
    // SAFETY: the node is alive, and nothing writes to it while the trie is borrowed.
    let slots = unsafe { link.slots() };
    let width = (covered.end() - covered.start()) >> depth;
    let mut first = *covered.start();
    for run in slots.chunk_by(|left, right| left == right) {
        let last = first + (run.len() as u64 - 1) * (width + 1) + width;
        if first <= *positions.end() && last >= *positions.start() {
            // SAFETY: as above.
            unsafe { gather(run[0], first..=last, positions, found) };
        }
        first = last.wrapping_add(1);
    }
}

/// A trie that is walked for the last time: gives its segments in the order of positions; nodes go with their last
/// segment.
pub struct Consume<E> {
    /// The links still to walk, each with a reference, the next one last.
    rest: Vec<Link<E>>,
    /// Keeps the other holders of these blocks careful until the walk is over.
    sharing: Option<Rc<()>>,
}

impl<E> Iterator for Consume<E> {
    type Item = SegmentBox<E>;

    fn next(&mut self) -> Option<SegmentBox<E>> {
        while let Some(link) = self.rest.pop() {
            if link.as_node().is_none() {
                // SAFETY: the reference that the stack owned goes over to the box.
                return link.as_segment().map(|segment| unsafe { SegmentBox::from_owned(segment) });
            }
            // SAFETY: the stack owns a reference to the node. If it is the last one, those to the children go over to
            // the stack; else the children get one more owner.
            unsafe {
                if link.is_shared() {
                    runs(link.slots()).for_each(|child| child.acquire());
                }
                self.rest.extend(runs(link.slots()).rev());
                if link.release() {
                    link.free_node();
                }
            }
        }
        self.sharing = None;
        None
    }
}

impl<E> Drop for Consume<E> {
    fn drop(&mut self) {
        self.for_each(drop);
    }
}
