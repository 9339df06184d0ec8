//! What a record's value is: as it lies there, and as it is given to make a record of.

use bytes::Bytes;

use crate::types::object::Object;
use crate::types::slot::{OwnedValue, PackedForm, Stored};

/// What stands behind the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Integer,
    Embedded,
    Raw,
    Large,
    PackedList,
    PackedSet,
    IntSet,
    PackedHash,
    PackedHashExpiring,
    PackedSortedSet,
    Object,
}

impl Kind {
    fn of_packed(form: PackedForm) -> Kind {
        match form {
            PackedForm::List => Kind::PackedList,
            PackedForm::Set => Kind::PackedSet,
            PackedForm::IntSet => Kind::IntSet,
            PackedForm::Hash => Kind::PackedHash,
            PackedForm::HashExpiring => Kind::PackedHashExpiring,
            PackedForm::SortedSet => Kind::PackedSortedSet,
        }
    }

    /// What the packed bytes of this kind mean, if it is one of packed bytes.
    #[inline]
    pub fn packed_form(self) -> Option<PackedForm> {
        match self {
            Kind::PackedList => Some(PackedForm::List),
            Kind::PackedSet => Some(PackedForm::Set),
            Kind::IntSet => Some(PackedForm::IntSet),
            Kind::PackedHash => Some(PackedForm::Hash),
            Kind::PackedHashExpiring => Some(PackedForm::HashExpiring),
            Kind::PackedSortedSet => Some(PackedForm::SortedSet),
            Kind::Integer | Kind::Embedded | Kind::Raw | Kind::Large | Kind::Object => None,
        }
    }

    /// Bytes of the length field in front of so many bytes of a value that lies in the record; four if `is_long`.
    #[inline]
    pub fn prefix_bytes(self, is_long: bool) -> usize {
        match self {
            _ if is_long => 4,
            Kind::Embedded | Kind::Raw => 1,
            _ => 2,
        }
    }

    /// Whether so many bytes of a value that lies in the record need a length field of four bytes.
    #[inline]
    pub fn is_long(self, length: usize) -> bool {
        match self {
            Kind::Embedded | Kind::Raw => length > usize::from(u8::MAX),
            _ => length > usize::from(u16::MAX),
        }
    }
}

/// A value as it lies in a record.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A string that is the decimal form of this number.
    Integer(i64),
    /// A string never changed in place, at most `EMBEDDED_STRING_MAX` long.
    Embedded(&'a [u8]),
    /// Any other string within the record.
    Raw(&'a [u8]),
    /// A string longer than `INLINE_STRING_MAX`.
    Large(&'a Bytes),
    /// A small collection.
    Packed(PackedForm, &'a [u8]),
    /// A large one.
    Object(&'a Object),
}

impl<'a> Value<'a> {
    /// The value as the types see it.
    #[inline]
    pub fn stored(self) -> Stored<'a> {
        match self {
            Value::Packed(form, bytes) => Stored::Packed(form, bytes),
            Value::Object(object) => Stored::Object(object),
            Value::Integer(_) | Value::Embedded(_) | Value::Raw(_) | Value::Large(_) => Stored::String,
        }
    }

    /// The large collection that it is, if it is one.
    #[inline]
    pub fn object(self) -> Option<&'a Object> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The same value, to make another record of. What is large is shared, not copied. O(1) but for the bytes in the
    /// record.
    pub fn duplicate(self) -> NewValue<'a> {
        match self {
            Value::Integer(number) => NewValue::Integer(number),
            Value::Embedded(text) => NewValue::Embedded(text),
            Value::Raw(text) => NewValue::Raw(text),
            Value::Large(bytes) => NewValue::Large(bytes.clone()),
            Value::Packed(form, bytes) => NewValue::Packed(form, bytes),
            Value::Object(object) => NewValue::Object(Box::new(object.fork())),
        }
    }
}

/// A value to make a record of.
#[derive(Debug)]
pub enum NewValue<'a> {
    Integer(i64),
    /// At most `EMBEDDED_STRING_MAX` long.
    Embedded(&'a [u8]),
    /// At most `INLINE_STRING_MAX` long.
    Raw(&'a [u8]),
    Large(Bytes),
    Packed(PackedForm, &'a [u8]),
    Object(Box<Object>),
}

impl<'a> NewValue<'a> {
    /// A collection. A large one is taken out of `value`.
    pub fn owned(value: OwnedValue, buffer: &'a mut Vec<u8>) -> NewValue<'a> {
        match value {
            OwnedValue::Packed(form, bytes) => {
                *buffer = bytes;
                NewValue::Packed(form, buffer)
            }
            OwnedValue::Object(object) => NewValue::Object(object),
        }
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            NewValue::Integer(_) => Kind::Integer,
            NewValue::Embedded(_) => Kind::Embedded,
            NewValue::Raw(_) => Kind::Raw,
            NewValue::Large(_) => Kind::Large,
            NewValue::Packed(form, _) => Kind::of_packed(*form),
            NewValue::Object(_) => Kind::Object,
        }
    }

    /// The bytes that lie in the record, if it is a value of such.
    #[inline]
    pub(super) fn inline(&self) -> Option<&'a [u8]> {
        match self {
            NewValue::Embedded(bytes) | NewValue::Raw(bytes) | NewValue::Packed(_, bytes) => Some(bytes),
            NewValue::Integer(_) | NewValue::Large(_) | NewValue::Object(_) => None,
        }
    }

    /// Whether its length field takes four bytes.
    #[inline]
    pub(super) fn is_long(&self) -> bool {
        self.inline().is_some_and(|bytes| self.kind().is_long(bytes.len()))
    }

    /// Bytes behind the key.
    #[inline]
    pub(super) fn payload_bytes(&self) -> usize {
        match self.inline() {
            Some(bytes) => self.kind().prefix_bytes(self.is_long()) + bytes.len(),
            None => 8,
        }
    }
}
