//! Owns the changes of a set in its place, whatever its form. Never leaves a packed set that is over the limits; a
//! large one stays large, but for `pop_many`.

use crate::collections::hash::HashSeed;
use crate::collections::intset::{self, IntSet};
use crate::collections::listpack::{self, Listpack, parse_integer};
use crate::collections::table::look_ahead;
use crate::types::object::Object;
use crate::types::slot::{OwnedSlot, OwnedValue, PackedForm, Slot, Stored};

use super::chunk::for_each_chunk;
use super::{Limits, Member, Set, SetRef, Text};

/// Up to so many members are added one by one.
const FEW: usize = 3;

/// The bytes that a listpack's entry has beside its text, at most.
const ENTRY_BYTES: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    IntSet,
    Listpack,
    Large,
}

/// The place of a set, to be changed.
pub struct SetEditor<'s, S: Slot> {
    slot: &'s mut S,
    limits: Limits,
}

impl<'s, S: Slot> SetEditor<'s, S> {
    /// The set in a slot; nothing if another type is there.
    #[inline]
    pub fn of(slot: &'s mut S, limits: Limits) -> Option<SetEditor<'s, S>> {
        SetRef::of(slot.stored())?;
        Some(SetEditor { slot, limits })
    }

    /// The set in a slot that an empty one was just put in.
    pub fn of_empty(slot: &'s mut S, limits: Limits) -> SetEditor<'s, S> {
        match SetEditor::of(slot, limits) {
            Some(editor) => editor,
            None => unreachable!("an empty set is a set"),
        }
    }

    /// The set, to be read.
    #[inline]
    pub fn read(&self) -> SetRef<'_> {
        match SetRef::of(self.slot.stored()) {
            Some(set) => set,
            None => unreachable!("the slot had a set when the editor was made"),
        }
    }

    /// How many members there are. O(1).
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there are none: then the caller has to remove the key. O(1).
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    #[inline]
    fn form(&self) -> Form {
        match self.slot.stored() {
            Stored::Packed(PackedForm::IntSet, _) => Form::IntSet,
            Stored::Packed(..) => Form::Listpack,
            Stored::Object(_) | Stored::String => Form::Large,
        }
    }

    #[inline]
    fn large(&mut self) -> &mut Set {
        match self.slot.object_mut() {
            Some(Object::Set(set)) => set,
            _ => unreachable!("a set that is not packed is an object"),
        }
    }

    /// Makes a large set of a packed one. O(n).
    fn enlarge(&mut self) {
        let mut set = Set::new(self.slot.seed());
        self.read().for_each(|member| {
            member.with_bytes(|bytes| set.add(bytes));
        });
        self.slot.replace(OwnedValue::object(Object::Set(set)));
    }

    /// Makes a large set of a packed one if more members than it may have are to be added, be they new or not. O(n)
    /// then.
    pub fn prepare_for(&mut self, members: usize) {
        let fits = match self.form() {
            Form::IntSet => members <= self.limits.integers,
            Form::Listpack => members <= self.limits.members,
            Form::Large => true,
        };
        if !fits {
            self.enlarge();
        }
    }

    /// Adds a member; tells whether it is new. O(1), O(n) if it is packed.
    #[inline]
    pub fn add(&mut self, member: &[u8]) -> bool {
        match self.form() {
            Form::IntSet => self.add_to_intset(member),
            Form::Listpack => self.add_to_listpack(member),
            Form::Large => self.large().add(member),
        }
    }

    /// Adds a member that comes from another set; two large sets share the element then.
    pub fn add_member(&mut self, member: Member<'_>) -> bool {
        match (self.form(), member) {
            (Form::Large, Member::Element(element)) => {
                let set = self.large();
                set.add_shared(set.hash(element.key()), element)
            }
            _ => member.with_bytes(|bytes| self.add(bytes)),
        }
    }

    fn add_to_intset(&mut self, member: &[u8]) -> bool {
        match parse_integer(member) {
            Some(integer) => {
                let is_new = intset::insert(self.slot, integer);
                if is_new && !self.limits.allow_integers(self.len()) {
                    self.enlarge();
                }
                is_new
            }
            None => {
                if self.may_loosen(member) {
                    let bytes = listpack_of(IntSet::new(self.slot.bytes()), member);
                    self.slot.replace(OwnedValue::Packed(PackedForm::Set, bytes));
                } else {
                    self.enlarge();
                    self.large().add(member);
                }
                true
            }
        }
    }

    /// Whether a listpack may hold the integers of an intset and a member that is none.
    fn may_loosen(&self, member: &[u8]) -> bool {
        let set = IntSet::new(self.slot.bytes());
        let ends = [set.min(), set.max()].into_iter().flatten();
        let longest = ends.map(|end| Text::Integer(end).len()).max();
        set.len() < self.limits.members
            && self.limits.allow_text(member.len())
            && self.limits.allow_text(longest.unwrap_or(0))
            && listpack::may_grow(set.len() * ENTRY_BYTES, member.len() + ENTRY_BYTES)
    }

    fn add_to_listpack(&mut self, member: &[u8]) -> bool {
        let listpack = Listpack::new(self.slot.bytes());
        if SetRef::Listpack(listpack).contains(member) {
            return false;
        }
        let fits = listpack.len() < self.limits.members
            && self.limits.allow_text(member.len())
            && listpack::may_grow(listpack.byte_len(), member.len() + ENTRY_BYTES);
        if fits {
            listpack::push_back(self.slot, &[Text::of(member)]);
        } else {
            self.enlarge();
            self.large().add(member);
        }
        true
    }

    /// Adds several members; tells how many are new. The cost of an `add` for each, less where there are many.
    pub fn add_many<'m>(&mut self, count: usize, member: impl Fn(usize) -> &'m [u8]) -> usize {
        self.prepare_for(count);
        let members = (0..count).map(&member);
        match self.slot.stored() {
            Stored::Object(_) if count > FEW => {
                let mut added = 0;
                let mut set = self.large();
                look_ahead(
                    &mut set,
                    |set| set.table(),
                    count,
                    &member,
                    |set, index, hash| {
                        added += usize::from(set.add_hashed(hash, member(index)));
                    },
                );
                added
            }
            Stored::Packed(form, bytes) if count > FEW => {
                // In a buffer, where there is room to grow: in a record each member may mean another allocation.
                let copy = OwnedValue::Packed(form, bytes.to_vec());
                let mut slot = OwnedSlot::new(copy, self.slot.seed());
                let mut editor = SetEditor { slot: &mut slot, limits: self.limits };
                let added = members.filter(|member| editor.add(member)).count();
                self.slot.replace(slot.value);
                added
            }
            _ => members.filter(|member| self.add(member)).count(),
        }
    }

    /// Adds all members of another set, in their order. O(members).
    pub fn add_set(&mut self, other: SetRef<'_>) {
        let seed = self.slot.seed().clone();
        for_each_chunk(other, Some(&seed), |chunk| {
            if self.form() == Form::Large {
                chunk.add_to(self.large());
            } else {
                for hashed in chunk.members() {
                    self.add_member(hashed.member);
                }
            }
            true
        });
    }

    /// Removes all members of another set. O(members), as many times the own members if this one is packed.
    pub fn remove_set(&mut self, other: SetRef<'_>) {
        let seed = self.slot.seed().clone();
        for_each_chunk(other, Some(&seed), |chunk| {
            if self.form() == Form::Large {
                chunk.remove_from(self.large());
            } else {
                for hashed in chunk.members() {
                    hashed.member.with_bytes(|bytes| self.remove(bytes));
                }
            }
            !self.is_empty()
        });
    }

    /// Removes a member; tells whether it was there. O(1), O(n) if it is packed.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self.form() {
            Form::IntSet => parse_integer(member).is_some_and(|integer| intset::remove(self.slot, integer)),
            Form::Listpack => {
                let listpack = Listpack::new(self.slot.bytes());
                let first = listpack.first();
                match first.and_then(|first| listpack.find(member, first, 0)) {
                    Some(place) => listpack::remove(self.slot, place, 1) > 0,
                    None => false,
                }
            }
            Form::Large => self.large().remove(member),
        }
    }

    /// Removes several members; tells how many were there. The cost of a `remove` for each, in a large set less.
    pub fn remove_many<'m>(&mut self, count: usize, member: impl Fn(usize) -> &'m [u8]) -> usize {
        if self.form() != Form::Large || count == 1 {
            return (0..count).filter(|index| !self.is_empty() && self.remove(member(*index))).count();
        }
        let mut removed = 0;
        let mut set = self.large();
        look_ahead(
            &mut set,
            |set| set.table(),
            count,
            &member,
            |set, index, hash| {
                removed += usize::from(set.remove_hashed(hash, member(index)));
            },
        );
        removed
    }

    /// Takes a random member out, each with the same chance, and shows it. O(1), O(n) if it is packed.
    #[inline]
    pub fn pop(&mut self, random: &mut fastrand::Rng, visit: impl FnOnce(Member<'_>)) {
        if self.is_empty() {
            return;
        }
        match self.form() {
            Form::IntSet => {
                let index = random.usize(..self.len());
                let integer = intset::remove_at(self.slot, index);
                visit(Member::Packed(Text::Integer(integer)));
            }
            Form::Listpack => {
                let listpack = Listpack::new(self.slot.bytes());
                let index = random.usize(..listpack.len());
                if let Some(place) = listpack.seek(index as i64) {
                    visit(Member::Packed(listpack.at(place)));
                    listpack::remove(self.slot, place, 1);
                }
            }
            Form::Large => {
                if let Some(element) = self.large().pop(random) {
                    visit(Member::Element(&element));
                }
            }
        }
    }

    /// Takes some random members out, less than all, and shows them. O(count), O(n) if few are left: these then make up
    /// a new set, which is packed if they fit.
    pub fn pop_many(&mut self, count: usize, random: &mut fastrand::Rng, mut visit: impl FnMut(Text<'_>)) {
        /// So many times fewer members than are taken may be left for the set to stay what it is.
        const KEEP_FACTOR: usize = 5;
        let left = self.len() - count;
        if left.saturating_mul(KEEP_FACTOR) > count {
            (0..count).for_each(|_| self.pop(random, |member| visit(member.text())));
            return;
        }
        let start = match self.form() {
            Form::IntSet => empty_intset(),
            Form::Listpack | Form::Large => empty_listpack(0),
        };
        let mut kept = OwnedSlot::new(start, self.slot.seed());
        let mut editor = SetEditor::of_empty(&mut kept, self.limits);
        for _ in 0..left {
            self.pop(random, |member| {
                editor.add_member(member);
            });
        }
        self.read().for_each(visit);
        self.slot.replace(kept.value);
    }
}

impl Limits {
    #[inline]
    fn allow_text(&self, length: usize) -> bool {
        length <= self.text_bytes
    }
}

/// A listpack of the integers and a member that is none.
fn listpack_of(integers: IntSet<'_>, member: &[u8]) -> Vec<u8> {
    let room = integers.byte_len() * 2 + member.len() + ENTRY_BYTES;
    let mut builder = listpack::Builder::with_capacity(room);
    integers.iter().for_each(|integer| builder.push_integer(integer));
    builder.push_bytes(member);
    builder.finish()
}

/// An intset without members, to be filled.
pub(crate) fn empty_intset() -> OwnedValue {
    OwnedValue::Packed(PackedForm::IntSet, intset::create())
}

/// A listpack without members, to be filled; with room for entries of so many bytes.
pub(crate) fn empty_listpack(entry_bytes: usize) -> OwnedValue {
    let bytes = listpack::Builder::with_capacity(entry_bytes).finish();
    OwnedValue::Packed(PackedForm::Set, bytes)
}

/// A set without members for one that is to be added first of so many, in the form that it should begin with.
pub fn empty_for(first: &[u8], count: usize, limits: Limits, seed: &HashSeed) -> OwnedValue {
    if count <= limits.integers && parse_integer(first).is_some() {
        empty_intset()
    } else if count <= limits.members {
        empty_listpack(first.len() + ENTRY_BYTES)
    } else {
        OwnedValue::object(Object::Set(Set::new(seed)))
    }
}

/// A set of about so many members, in the form that suits it. O(n).
pub fn from_members<'a>(
    members: impl IntoIterator<Item = &'a [u8]>,
    count: usize,
    limits: Limits,
    seed: &HashSeed,
) -> OwnedValue {
    let mut slot = OwnedSlot::new(empty_intset(), seed);
    let mut editor = SetEditor::of_empty(&mut slot, limits);
    editor.prepare_for(count);
    for member in members {
        editor.add(member);
    }
    slot.value
}

/// A set of packed bytes that were found to be an intset, or a listpack of distinct members; it is made large if there
/// are too many. (How long they are is not looked at, as in Redis.) O(1), O(n) for a large one. Nothing if the form is
/// none of a set.
pub fn adopt(form: PackedForm, bytes: Vec<u8>, limits: Limits, seed: &HashSeed) -> Option<OwnedValue> {
    let value = OwnedValue::Packed(form, bytes);
    let fits = match SetRef::of_owned(&value)? {
        SetRef::IntSet(set) => limits.allow_integers(set.len()),
        SetRef::Listpack(set) => set.len() <= limits.members,
        SetRef::Large(_) => true,
    };
    let mut slot = OwnedSlot::new(value, seed);
    if !fits && let Some(mut editor) = SetEditor::of(&mut slot, limits) {
        editor.enlarge();
    }
    Some(slot.value)
}
