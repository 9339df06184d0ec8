//! Owns the changes of a hash in its place, whatever its form. Never leaves a packed hash that is over the limits; a
//! large one stays large.

use crate::collections::hash::HashSeed;
use crate::collections::listpack;
use crate::types::object::Object;
use crate::types::slot::{OwnedSlot, OwnedValue, PackedForm, Slot, Stored};

use super::field::{Expiry, Field, Found, NewText};
use super::large::look_ahead;
use super::packed::{self, Pairs};
use super::view::HashRef;
use super::{Hash, Limits};

/// Whether there is room for expiry times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithExpiry {
    No,
    Yes,
}

/// The place of a hash, to be changed.
pub struct HashEditor<'s, S: Slot> {
    slot: &'s mut S,
    limits: Limits,
}

impl<'s, S: Slot> HashEditor<'s, S> {
    /// The hash in a slot; nothing if another type is there.
    #[inline]
    pub fn of(slot: &'s mut S, limits: Limits) -> Option<HashEditor<'s, S>> {
        HashRef::of(slot.stored())?;
        Some(HashEditor { slot, limits })
    }

    /// The hash, to be read.
    #[inline]
    pub fn read(&self) -> HashRef<'_> {
        match HashRef::of(self.slot.stored()) {
            Some(hash) => hash,
            None => unreachable!("the slot had a hash when the editor was made"),
        }
    }

    /// How many fields there are, those whose time is over included. O(1).
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there are none: then the caller has to remove the key. O(1).
    pub fn is_empty(&self) -> bool {
        self.read().is_empty()
    }

    /// Whether it is packed with expiry times, packed without, or not packed.
    #[inline]
    fn packed(&self) -> Option<WithExpiry> {
        match self.slot.stored() {
            Stored::Packed(PackedForm::HashExpiring, _) => Some(WithExpiry::Yes),
            Stored::Packed(..) => Some(WithExpiry::No),
            Stored::Object(_) | Stored::String => None,
        }
    }

    #[inline]
    fn large(&mut self) -> &mut Hash {
        match self.slot.object_mut() {
            Some(Object::Hash(hash)) => hash,
            _ => unreachable!("a hash that is not packed is an object"),
        }
    }

    /// Makes a large hash of a packed one if fields are to come that it should not hold: so many, the texts of which
    /// are these. O(n) then.
    fn prepare<'a>(&mut self, fields: usize, texts: impl IntoIterator<Item = &'a [u8]>) {
        let mut bytes = 0;
        let fits = fields <= self.limits.fields
            && texts.into_iter().all(|text| {
                bytes += packed::bytes_for(text, b"");
                self.limits.allow(text)
            });
        if !fits || !listpack::may_grow(self.slot.bytes().len(), bytes) {
            self.enlarge();
        }
    }

    /// Makes a large hash of a packed one. O(n).
    fn enlarge(&mut self) {
        let mut hash = Hash::new(self.slot.seed());
        self.read().for_each(|field| add(&mut hash, field));
        self.slot.replace(OwnedValue::object(Object::Hash(hash)));
    }

    /// Gives the fields of a packed hash room for expiry times. O(n) then.
    pub fn make_expiring(&mut self) {
        if self.packed() == Some(WithExpiry::No) {
            let bytes = packed::with_times(self.slot.bytes());
            let form = PackedForm::HashExpiring;
            self.slot.replace(OwnedValue::Packed(form, bytes));
        }
    }

    /// Sets a field; tells whether it was there. O(1), O(n) if it is packed, O(log n) if the field expires.
    #[inline]
    pub fn set(&mut self, name: &[u8], value: &[u8], expiry: Expiry) -> bool {
        if let Expiry::At(_) = expiry {
            self.make_expiring();
        }
        let Some(with_expiry) = self.packed_for(name, value) else {
            return self.large().set(name, value, expiry);
        };
        let timed = with_expiry == WithExpiry::Yes;
        let was_there = packed::set(self.slot, timed, name, value, expiry);
        if !was_there && self.len() > self.limits.fields {
            self.enlarge();
        }
        was_there
    }

    /// Sets several fields; tells how many are new. The cost of a `set` for each, less where there are many.
    pub fn set_many<'n>(
        &mut self,
        count: usize,
        field: impl Fn(usize) -> (&'n [u8], &'n [u8]),
        expiry: Expiry,
    ) -> usize {
        /// Up to so many fields are put in one by one.
        const FEW: usize = 3;
        if self.packed().is_some() {
            let texts = (0..count).flat_map(|index| <[&[u8]; 2]>::from(field(index)));
            self.prepare(count, texts);
        }
        let mut created = 0;
        match self.slot.stored() {
            Stored::Packed(form, bytes) if count > FEW => {
                // In a buffer, where there is room to grow: in a record each field may mean another allocation.
                let copy = OwnedValue::Packed(form, bytes.to_vec());
                let mut slot = OwnedSlot::new(copy, self.slot.seed());
                let mut editor = HashEditor { slot: &mut slot, limits: self.limits };
                for (name, value) in (0..count).map(field) {
                    created += usize::from(!editor.set(name, value, expiry));
                }
                self.slot.replace(slot.value);
            }
            Stored::Object(_) if count > FEW => {
                let name = |index| field(index).0;
                look_ahead(self.large(), count, name, |hash, index, hashed| {
                    let (name, value) = field(index);
                    created += usize::from(!hash.set_hashed(hashed, name, value, expiry));
                });
            }
            _ => {
                for (name, value) in (0..count).map(field) {
                    created += usize::from(!self.set(name, value, expiry));
                }
            }
        }
        created
    }

    /// The same as `packed`, once a hash that should not be packed with that field in it is large.
    #[inline]
    fn packed_for(&mut self, name: &[u8], value: &[u8]) -> Option<WithExpiry> {
        let packed = self.packed()?;
        let fits = self.limits.allow(name)
            && self.limits.allow(value)
            && listpack::may_grow(self.slot.bytes().len(), packed::bytes_for(name, value));
        if fits {
            return Some(packed);
        }
        self.enlarge();
        None
    }

    /// Sets a field to what `make` makes of it; leaves it alone if that is an error. Its expiry time stays. As costly
    /// as `set`.
    pub fn update<E>(
        &mut self,
        name: &[u8],
        make: impl FnOnce(Option<Found<'_>>) -> Result<NewText, E>,
    ) -> Result<(), E> {
        if self.packed().is_none() {
            return self.large().update(name, Expiry::Keep, make);
        }
        let value = make(self.read().get(name))?;
        self.set(name, &value, Expiry::Keep);
        Ok(())
    }

    /// Sets or clears a field's expiry time; tells whether the field is there. O(log n), O(n) if it is packed.
    pub fn set_expiry(&mut self, name: &[u8], expiry_ms: Option<i64>) -> bool {
        if expiry_ms.is_some() {
            self.make_expiring();
        }
        match self.packed() {
            Some(WithExpiry::Yes) => packed::set_expiry(self.slot, name, expiry_ms),
            Some(WithExpiry::No) => self.read().get(name).is_some(),
            None => self.large().set_expiry(name, expiry_ms),
        }
    }

    /// Removes a field; tells whether it was there. O(1), O(n) if it is packed, O(log n) if the field expires.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        match self.packed() {
            Some(with_expiry) => {
                let timed = with_expiry == WithExpiry::Yes;
                packed::remove(self.slot, timed, name)
            }
            None => self.large().remove(name).is_some(),
        }
    }

    /// Removes several fields; tells how many were there. The cost of a `remove` for each, in a large hash less.
    pub fn remove_many<'n>(&mut self, count: usize, name: impl Fn(usize) -> &'n [u8]) -> usize {
        if self.packed().is_some() {
            return (0..count).filter(|index| !self.is_empty() && self.remove(name(*index))).count();
        }
        let mut removed = 0;
        look_ahead(self.large(), count, &name, |hash, index, hashed| {
            removed += usize::from(hash.remove_hashed(hashed, name(index)).is_some());
        });
        removed
    }

    /// Removes a field if it expires before a time; tells whether it did. The cost of a `get`, nothing in a hash
    /// without such.
    #[inline]
    pub fn remove_if_due(&mut self, name: &[u8], time_ms: i64) -> bool {
        self.read().has_due(time_ms)
            && self.read().get(name).is_some_and(|found| found.is_due(time_ms))
            && self.remove(name)
    }

    /// Removes up to `max_fields` fields that expire before a time, showing their names; says how many. O(log n) for
    /// each, O(n) if it is packed.
    pub fn remove_due(&mut self, time_ms: i64, max_fields: usize, mut show: impl FnMut(&[u8])) -> usize {
        match self.read() {
            HashRef::Packed(pairs) => {
                let due = pairs.due_before(time_ms).min(max_fields);
                let fields = pairs.iter().take(due);
                fields.for_each(|field| field.name.with_bytes(&mut show));
                if due > 0 {
                    packed::remove_first(self.slot, due);
                }
                due
            }
            HashRef::Large(_) => self.large().remove_due(time_ms, max_fields, show),
        }
    }
}

fn add(hash: &mut Hash, field: Field<'_>) {
    let expiry = field.found.expiry_ms.map_or(Expiry::Clear, Expiry::At);
    field.name.with_bytes(|name| field.found.value.with_bytes(|value| hash.set(name, value, expiry)));
}

/// A hash without fields, to be filled.
pub fn empty() -> OwnedValue {
    OwnedValue::Packed(PackedForm::Hash, listpack::create())
}

/// A hash of fields, each with its value and its expiry time if it has one, in the form that suits it. O(n).
pub fn from_fields<'a>(
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8], Option<i64>)>,
    limits: Limits,
    seed: &HashSeed,
) -> OwnedValue {
    let mut slot = OwnedSlot::new(empty(), seed);
    if let Some(mut editor) = HashEditor::of(&mut slot, limits) {
        for (name, value, expiry_ms) in fields {
            let expiry = expiry_ms.map_or(Expiry::Clear, Expiry::At);
            editor.set(name, value, expiry);
        }
    }
    slot.value
}

/// A hash of packed bytes that were found to be a listpack of pairs, or of triples in their order, with distinct names;
/// it is made large if it is over the limits. O(n). Nothing if the form is none of a hash.
pub fn adopt(form: PackedForm, bytes: Vec<u8>, limits: Limits, seed: &HashSeed) -> Option<OwnedValue> {
    let pairs = Pairs::of(form, &bytes)?;
    let fits = |field: Field<'_>| field.name.len() <= limits.text_bytes && field.found.value.len() <= limits.text_bytes;
    if pairs.len() <= limits.fields && pairs.iter().all(fits) {
        return Some(OwnedValue::Packed(form, bytes));
    }
    let mut hash = Hash::new(seed);
    pairs.iter().for_each(|field| add(&mut hash, field));
    Some(OwnedValue::object(Object::Hash(hash)))
}
