//! One block of a stream: a listpack with the entries' fields and values, as Redis stores it in memory and in RDB
//! files. Never knows its neighbours.
//!
//! ```text
//! master: | live | deleted | fields | name 1 | … | name n | 0 |
//! entry:  | flags | ms | seq | value 1 | … | value n | elements |                                names as in the master
//! entry:  | flags | ms | seq | fields | name 1 | value 1 | … | name n | value n | elements |
//! ```
//!
//! `ms` and `seq` are the distances from the block's ID, which is that of the entry with which it was begun. `elements`
//! is how many elements of the listpack the entry has before this one: so that blocks are read backwards too. A deleted
//! entry is marked by a flag and stays until the block goes.

use smallvec::SmallVec;

use crate::collections::listpack::{self, Element, Iter, Listpack, Position};
use crate::collections::packed::Packed;

use super::id::Id;

/// Flag of an entry that is deleted.
const DELETED: i64 = 1;
/// Flag of an entry with the fields that the master entry names.
const SAME_FIELDS: i64 = 2;

/// Elements of an entry that are neither names nor values, without the number of fields and the last one.
const FIXED_ELEMENTS: i64 = 3;

/// Most bytes of all names and values of an entry, and of a block that may still grow.
pub const BYTES_MAX: usize = 1 << 30;

/// How large blocks get.
#[derive(Clone, Copy, Debug)]
pub struct NodeLimits {
    /// Bytes; 0: as many as can be.
    pub bytes: usize,
    /// Entries, deleted ones too; 0: any number.
    pub entries: usize,
}

/// A field and its value.
pub type Field<'a> = (&'a [u8], &'a [u8]);

/// A block, to be read.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub first: Id,
    pub listpack: Listpack<'a>,
}

/// What a block says of itself.
#[derive(Clone, Copy)]
pub(super) struct Master {
    pub live: usize,
    pub deleted: usize,
    /// How many fields it names.
    fields: usize,
    /// Where the first name is.
    names: Position,
    /// Where the first entry is, or the end.
    entries: Position,
}

/// An entry in its block.
#[derive(Clone)]
pub(super) struct Place<'a> {
    pub id: Id,
    pub is_deleted: bool,
    /// Where its flags are.
    pub position: Position,
    pairs: Pairs<'a>,
}

/// The fields of an entry with their values, in order.
#[derive(Clone)]
pub struct Pairs<'a> {
    /// The names, if they are those of the master entry; else they stand among the values.
    names: Option<Iter<'a>>,
    values: Iter<'a>,
    left: usize,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Element<'a>, Element<'a>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let names = self.names.as_mut().unwrap_or(&mut self.values);
        let name = names.next()?;
        Some((name, self.values.next()?))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Pairs<'_> {}

/// An entry of a stream.
#[derive(Clone)]
pub struct Entry<'a> {
    pub id: Id,
    /// Its fields.
    pub pairs: Pairs<'a>,
}

impl<'a> Place<'a> {
    /// The entry as others see it.
    #[inline]
    pub fn entry(self) -> Entry<'a> {
        Entry { id: self.id, pairs: self.pairs }
    }
}

#[inline]
fn integer(iter: &mut Iter<'_>) -> Option<i64> {
    iter.next()?.integer()
}

#[inline]
fn count(iter: &mut Iter<'_>) -> usize {
    let count = integer(iter).unwrap_or_default();
    usize::try_from(count).unwrap_or_default()
}

impl<'a> Node<'a> {
    #[inline]
    pub fn new(first: Id, bytes: &'a [u8]) -> Node<'a> {
        Node { first, listpack: Listpack::new(bytes) }
    }

    /// What it says of itself. O(its fields).
    #[inline]
    pub fn master(self) -> Master {
        let mut iter = self.listpack.iter();
        let (live, deleted) = (count(&mut iter), count(&mut iter));
        let fields = count(&mut iter);
        let names = iter.position();
        iter.nth(fields);
        Master { live, deleted, fields, names, entries: iter.position() }
    }

    /// Its entries from the first on.
    #[inline]
    pub fn forward(self) -> Forward<'a> {
        let master = self.master();
        Forward { iter: self.listpack.iter_from(master.entries), node: self, master }
    }

    /// Its entries from the last on.
    #[inline]
    pub fn backward(self) -> Backward<'a> {
        Backward { node: self, master: self.master(), behind: self.listpack.end() }
    }

    /// The entry at the iterator, and where the next one is.
    #[inline]
    fn read(self, master: &Master, iter: &mut Iter<'a>) -> Option<Place<'a>> {
        let position = Iter::position(iter);
        let flags = integer(iter)?;
        let (ms, seq) = (integer(iter)?, integer(iter)?);
        let (names, fields, elements) = if flags & SAME_FIELDS != 0 {
            let names = self.listpack.iter_from(master.names);
            (Some(names), master.fields, master.fields)
        } else {
            let fields = count(iter);
            (None, fields, fields.saturating_mul(2))
        };
        let values = iter.clone();
        iter.nth(elements);
        Some(Place {
            id: Id::at_distance(self.first, ms, seq),
            is_deleted: flags & DELETED != 0,
            position,
            pairs: Pairs { names, values, left: fields },
        })
    }

    /// The live entry with this ID. O(bytes).
    pub fn find(self, id: Id) -> Option<Place<'a>> {
        let found = self.forward().find(|place| place.id >= id)?;
        (found.id == id && !found.is_deleted).then_some(found)
    }

    /// The ID of the last entry, deleted or not.
    pub fn last_id(self) -> Id {
        self.backward().next().map_or(self.first, |place| place.id)
    }

    /// Whether the fields are those of the master entry.
    #[inline]
    fn has_fields<'f>(self, master: &Master, fields: impl ExactSizeIterator<Item = Field<'f>>) -> bool {
        if fields.len() != master.fields {
            return false;
        }
        let names = self.listpack.iter_from(master.names);
        names.zip(fields).all(|(own, (name, _))| own.eq_bytes(name))
    }

    /// Whether an entry of so many bytes of names and values still goes in.
    #[inline]
    pub fn has_room(self, entry_bytes: usize, limits: NodeLimits) -> bool {
        let bytes_max = match limits.bytes {
            0 => BYTES_MAX,
            bytes => bytes.min(BYTES_MAX),
        };
        if self.listpack.byte_len() + entry_bytes >= bytes_max {
            return false;
        }
        let mut iter = self.listpack.iter();
        limits.entries == 0 || count(&mut iter) + count(&mut iter) < limits.entries
    }
}

/// The entries of a block from the first to the last.
#[derive(Clone)]
pub(super) struct Forward<'a> {
    node: Node<'a>,
    master: Master,
    iter: Iter<'a>,
}

impl<'a> Iterator for Forward<'a> {
    type Item = Place<'a>;

    #[inline]
    fn next(&mut self) -> Option<Place<'a>> {
        self.node.read(&self.master, &mut self.iter)
    }
}

/// The entries of a block from the last to the first.
#[derive(Clone)]
pub(super) struct Backward<'a> {
    node: Node<'a>,
    master: Master,
    /// Where the entry before which to go on begins.
    behind: Position,
}

impl<'a> Iterator for Backward<'a> {
    type Item = Place<'a>;

    #[inline]
    fn next(&mut self) -> Option<Place<'a>> {
        if self.behind <= self.master.entries {
            return None;
        }
        let listpack = self.node.listpack;
        let mut position = listpack.previous(self.behind)?;
        let elements = listpack.at(position).integer()?;
        for _ in 0..elements {
            position = listpack.previous(position)?;
        }
        self.behind = position;
        let mut iter = listpack.iter_from(position);
        self.node.read(&self.master, &mut iter)
    }
}

/// The elements of a new entry.
type Elements<'a> = SmallVec<[Element<'a>; 16]>;

/// Begins a block with an entry, in a buffer that is emptied.
pub(super) fn begin<'f>(buffer: &mut Vec<u8>, fields: impl ExactSizeIterator<Item = Field<'f>> + Clone) {
    buffer.clear();
    buffer.extend_from_slice(&listpack::EMPTY);
    let count = fields.len();
    let mut elements = Elements::new();
    elements.extend([1, 0, count as i64].map(Element::Integer));
    elements.extend(fields.clone().map(|(name, _)| Element::of(name)));
    elements.push(Element::Integer(0));
    add_entry(&mut elements, (0, 0), true, fields);
    listpack::push_back(buffer, &elements);
}

/// Adds an entry behind the others of a block.
pub(super) fn append<'f>(
    buffer: &mut Vec<u8>,
    first: Id,
    id: Id,
    fields: impl ExactSizeIterator<Item = Field<'f>> + Clone,
) {
    let node = Node::new(first, buffer);
    let master = node.master();
    let is_same = node.has_fields(&master, fields.clone());
    set_count(buffer, 0, master.live + 1);
    let mut elements = Elements::new();
    add_entry(&mut elements, id.distance_from(first), is_same, fields);
    listpack::push_back(buffer, &elements);
}

#[inline]
fn add_entry<'f>(
    elements: &mut Elements<'f>,
    (ms, seq): (i64, i64),
    is_same: bool,
    fields: impl ExactSizeIterator<Item = Field<'f>>,
) {
    let count = fields.len() as i64;
    let flags = if is_same { SAME_FIELDS } else { 0 };
    elements.extend([flags, ms, seq].map(Element::Integer));
    let own = if is_same {
        elements.extend(fields.map(|(_, value)| Element::of(value)));
        count
    } else {
        elements.push(Element::Integer(count));
        for (name, value) in fields {
            elements.push(Element::of(name));
            elements.push(Element::of(value));
        }
        2 * count + 1
    };
    elements.push(Element::Integer(own + FIXED_ELEMENTS));
}

/// Sets the number of live entries (index 0) or of deleted ones (1).
fn set_count(buffer: &mut Vec<u8>, index: i64, count: usize) {
    let position = Listpack::new(buffer).seek(index);
    // INVARIANT: every block begins with its counts.
    let position = position.expect("a block has its counts");
    listpack::replace(buffer, position, &Element::Integer(count as i64));
}

/// Marks live entries, by the positions of their flags, as deleted.
pub(super) fn mark_deleted(buffer: &mut Vec<u8>, positions: &[Position]) {
    // From the end, so that no change of a size moves what is still to come.
    for position in positions.iter().rev() {
        let flags = Listpack::new(buffer).at(*position).integer();
        let flags = flags.unwrap_or_default() | DELETED;
        listpack::replace(buffer, *position, &Element::Integer(flags));
    }
    let master = Node::new(Id::MIN, buffer.bytes()).master();
    set_count(buffer, 1, master.deleted + positions.len());
    set_count(buffer, 0, master.live.saturating_sub(positions.len()));
}
