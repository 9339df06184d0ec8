//! Owns the layout of a packed hash: a listpack of pairs, or of triples with an expiry time at their ends. Never looks
//! at the limits.
//!
//! Triples lie in the order of their times, of those with the same time the latest one first, and those without a time
//! (0) last: so the next one to expire is always the first. This is the order that RDB files have.

use smallvec::SmallVec;

use crate::collections::listpack::{self, Listpack, Position};
use crate::collections::packed::Packed;
use crate::types::slot::PackedForm;

use super::Text;
use crate::types::hash::field::{Expiry, Field, Found};

/// The time of a field that does not expire.
const NEVER: i64 = 0;

/// Packed fields, to be read.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    texts: Listpack<'a>,
    /// Whether each pair has a third part, its time.
    timed: bool,
}

impl<'a> Pairs<'a> {
    /// The fields in the bytes of a packed hash; nothing if they are of another type.
    #[inline]
    pub fn of(form: PackedForm, bytes: &'a [u8]) -> Option<Pairs<'a>> {
        let timed = match form {
            PackedForm::Hash => false,
            PackedForm::HashExpiring => true,
            _ => return None,
        };
        Some(Pairs { texts: Listpack::new(bytes), timed })
    }

    /// How many texts a field takes.
    #[inline]
    fn width(self) -> usize {
        if self.timed { 3 } else { 2 }
    }

    /// How many fields there are. O(1).
    #[inline]
    pub fn len(self) -> usize {
        self.texts.len() / self.width()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.texts.is_empty()
    }

    /// Whether fields can expire.
    pub fn timed(self) -> bool {
        self.timed
    }

    #[inline]
    fn place(self, name: &[u8]) -> Option<Position> {
        let first = self.texts.first()?;
        self.texts.find(name, first, self.width() - 1)
    }

    /// The value and the time of the field whose name is at a place.
    #[inline]
    fn found_at(self, place: Position) -> Option<Found<'a>> {
        let mut texts = self.texts.iter_from(place);
        let value = texts.nth(1)?;
        let expiry_ms = if self.timed { time_of(texts.next()) } else { None };
        Some(Found { value, expiry_ms })
    }

    /// A field's value. O(n).
    #[inline]
    pub fn get(self, name: &[u8]) -> Option<Found<'a>> {
        self.found_at(self.place(name)?)
    }

    /// The field with this number, from 0 on. O(n).
    pub fn at(self, index: usize) -> Option<Field<'a>> {
        let place = self.texts.seek((index * self.width()) as i64)?;
        let name = self.texts.at(place);
        let found = self.found_at(place)?;
        Some(Field { name, found })
    }

    /// The fields in their order.
    pub fn iter(self) -> impl Iterator<Item = Field<'a>> {
        let mut texts = self.texts.iter();
        std::iter::from_fn(move || {
            let (name, value) = (texts.next()?, texts.next()?);
            let expiry_ms = if self.timed { time_of(texts.next()) } else { None };
            let found = Found { value, expiry_ms };
            Some(Field { name, found })
        })
    }

    /// When the next field expires, in ms since the epoch. O(1).
    #[inline]
    pub fn next_expiry_ms(self) -> Option<i64> {
        if !self.timed {
            return None;
        }
        self.found_at(self.texts.first()?)?.expiry_ms
    }

    /// How many fields expire before a time. O(that many).
    pub fn due_before(self, time_ms: i64) -> usize {
        if !self.timed {
            return 0;
        }
        let is_due = |field: &Field<'_>| field.found.is_due(time_ms);
        self.iter().take_while(is_due).count()
    }

    /// Where a field with that time belongs among the triples.
    fn place_for(self, time_ms: i64) -> Position {
        let end = self.texts.end();
        if time_ms == NEVER {
            return end;
        }
        let mut texts = self.texts.iter();
        loop {
            let place = texts.position();
            match texts.nth(2).map(|time| time_of(Some(time))) {
                None => return end,
                Some(Some(other_ms)) if other_ms < time_ms => {}
                Some(_) => return place,
            }
        }
    }
}

#[inline]
fn time_of(text: Option<Text<'_>>) -> Option<i64> {
    text?.integer().filter(|time_ms| *time_ms != NEVER)
}

/// The bytes that a field adds to a packed hash, at most.
pub fn bytes_for(name: &[u8], value: &[u8]) -> usize {
    /// Of the head and the back length of each text, and of a time.
    const OVERHEAD_BYTES: usize = 32;
    name.len() + value.len() + OVERHEAD_BYTES
}

/// Sets a field; one with a time only in timed bytes. Given a time it moves to its place in the order, even if the time
/// is what it was. O(length). Tells whether it was there.
pub fn set<P: Packed + ?Sized>(packed: &mut P, timed: bool, name: &[u8], value: &[u8], expiry: Expiry) -> bool {
    let pairs = Pairs { texts: Listpack::new(packed.bytes()), timed };
    let Some(place) = pairs.place(name) else {
        let time_ms = expiry.after(None).unwrap_or(NEVER);
        insert(packed, timed, Text::of(name), Text::of(value), time_ms);
        return false;
    };
    let before_ms = pairs.found_at(place).and_then(|found| found.expiry_ms);
    let after_ms = expiry.after(before_ms);
    if before_ms == after_ms && !matches!(expiry, Expiry::At(_)) {
        if let Some(value_at) = pairs.texts.next(place) {
            listpack::replace(packed, value_at, &Text::of(value));
        }
    } else {
        listpack::remove(packed, place, 3);
        let time_ms = after_ms.unwrap_or(NEVER);
        insert(packed, timed, Text::of(name), Text::of(value), time_ms);
    }
    true
}

fn insert<P: Packed + ?Sized>(packed: &mut P, timed: bool, name: Text<'_>, value: Text<'_>, time_ms: i64) {
    if timed {
        let pairs = Pairs { texts: Listpack::new(packed.bytes()), timed };
        let place = pairs.place_for(time_ms);
        listpack::insert_before(packed, place, &[name, value, Text::Integer(time_ms)]);
    } else {
        listpack::push_back(packed, &[name, value]);
    }
}

/// Sets a field's time in timed bytes: it moves to its place in the order, even if the time is what it was. Tells
/// whether the field is there. O(length).
pub fn set_expiry<P: Packed + ?Sized>(packed: &mut P, name: &[u8], expiry_ms: Option<i64>) -> bool {
    let pairs = Pairs { texts: Listpack::new(packed.bytes()), timed: true };
    let Some((place, found)) = pairs.place(name).and_then(|place| Some((place, pairs.found_at(place)?))) else {
        return false;
    };
    let mut value = SmallVec::<[u8; 64]>::new();
    found.value.with_bytes(|bytes| value.extend_from_slice(bytes));
    listpack::remove(packed, place, 3);
    let time_ms = expiry_ms.unwrap_or(NEVER);
    insert(packed, true, Text::of(name), Text::of(&value), time_ms);
    true
}

/// Removes a field; tells whether it was there. O(length).
pub fn remove<P: Packed + ?Sized>(packed: &mut P, timed: bool, name: &[u8]) -> bool {
    let pairs = Pairs { texts: Listpack::new(packed.bytes()), timed };
    let Some(place) = pairs.place(name) else {
        return false;
    };
    listpack::remove(packed, place, pairs.width()) > 0
}

/// Removes the first fields of timed bytes. O(length).
pub fn remove_first<P: Packed + ?Sized>(packed: &mut P, fields: usize) {
    if let Some(first) = Listpack::new(packed.bytes()).first() {
        listpack::remove(packed, first, 3 * fields);
    }
}

/// Timed bytes of the same fields.
pub fn with_times(bytes: &[u8]) -> Vec<u8> {
    let mut builder = listpack::Builder::with_capacity(bytes.len() * 2);
    let mut texts = Listpack::new(bytes).iter();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        builder.push(&name);
        builder.push(&value);
        builder.push_integer(NEVER);
    }
    builder.finish()
}
