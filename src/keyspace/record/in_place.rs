//! Changing a record's value where it lies. Never touches a shared record.

use std::ops::{Deref, Range};

use bytes::Bytes;

use crate::collections::heap;
use crate::types::object::Object;

use super::value::{Kind, Value};
use super::{Blank, FLAG_LONG_VALUE, INLINE_STRING_MAX, Record, read_length, write_length};

/// A record in its database, whose value may be changed in its place. It cannot be exchanged for another one, which the
/// index of the records that expire would not know of.
pub struct InPlace<'a>(&'a mut Record);

impl<'a> InPlace<'a> {
    /// The record.
    #[inline]
    pub fn new(record: &'a mut Record) -> InPlace<'a> {
        InPlace(record)
    }

    /// As [`Record::grow_raw`].
    pub fn grow_raw(&mut self, length: usize) -> Option<&mut [u8]> {
        self.0.grow_raw(length)
    }

    /// As [`Record::large_mut`].
    pub fn large_mut(&mut self) -> Option<&mut Bytes> {
        self.0.large_mut()
    }
}

impl Deref for InPlace<'_> {
    type Target = Record;

    #[inline]
    fn deref(&self) -> &Record {
        self.0
    }
}

impl Record {
    /// The bytes of the value that lie in the record, with the width of the length field before them: nothing if they
    /// are shared or if the value lies elsewhere.
    fn inline_mut(&mut self) -> Option<(Kind, &mut [u8])> {
        let kind = self.header().kind;
        if self.header().references != 1 || matches!(kind, Kind::Integer | Kind::Large | Kind::Object) {
            return None;
        }
        let prefix = kind.prefix_bytes(self.flags() & FLAG_LONG_VALUE != 0);
        // SAFETY: the kinds left begin with a length field of that size; the only reference to the record is borrowed
        // mutably for as long as the slice lives.
        unsafe {
            let at = self.base().add(self.value_offset());
            let length = read_length(at, prefix);
            Some((kind, std::slice::from_raw_parts_mut(at.add(prefix), length)))
        }
    }

    /// The bytes of an unshared in-record string of kind `Raw`, to change in place.
    pub fn raw_mut(&mut self) -> Option<&mut [u8]> {
        self.inline_mut().and_then(|(kind, bytes)| (kind == Kind::Raw).then_some(bytes))
    }

    /// The bytes of an unshared packed collection, to change in place.
    pub fn packed_mut(&mut self) -> Option<&mut [u8]> {
        self.inline_mut().and_then(|(kind, bytes)| kind.packed_form().map(|_| bytes))
    }

    /// Whether the bytes that lie in the record may become so long in place: the record is not shared, and the block's
    /// size class and the width of the length field stay the same.
    fn has_room_for(&mut self, length: usize) -> bool {
        let is_long = self.flags() & FLAG_LONG_VALUE != 0;
        let total = self.total_bytes();
        let Some((kind, bytes)) = self.inline_mut() else {
            return false;
        };
        let resized = total - bytes.len() + length;
        kind.is_long(length) == is_long && heap::class_size(resized) == heap::class_size(total)
    }

    /// Makes the bytes longer by zeros, or shorter; the caller has asked `has_room_for`.
    fn resize_inline(&mut self, length: usize) {
        let is_long = self.flags() & FLAG_LONG_VALUE != 0;
        let Some((kind, bytes)) = self.inline_mut() else {
            return;
        };
        let before = bytes.len();
        // SAFETY: `inline_mut` saw to it that this is the only reference and that the value begins with a length field,
        // which keeps its width; the block has room for the new length: its size class stays the same.
        unsafe {
            let at = self.base().add(self.value_offset());
            write_length(at, kind, is_long, length);
            if length > before {
                at.add(kind.prefix_bytes(is_long) + before).write_bytes(0, length - before);
            }
        }
    }

    /// The bytes of an unshared raw string, made longer by zeros to `length` bytes where it is shorter; nothing if the
    /// block has no room for that.
    pub fn grow_raw(&mut self, length: usize) -> Option<&mut [u8]> {
        if length > self.raw_mut()?.len() {
            if length > INLINE_STRING_MAX || !self.has_room_for(length) {
                return None;
            }
            self.resize_inline(length);
        }
        self.raw_mut()
    }

    /// Puts `with` in the place of a range of packed bytes, if there is room for that. Tells whether it did. O(bytes
    /// behind).
    pub fn splice_in_place(&mut self, range: Range<usize>, with: &[u8]) -> bool {
        let Some(bytes) = self.packed_mut() else {
            return false;
        };
        let before = bytes.len();
        let end = range.start + with.len();
        let after = before - range.len() + with.len();
        if !self.has_room_for(after) {
            return false;
        }
        if after > before {
            self.resize_inline(after);
        }
        if let Some(bytes) = self.packed_mut() {
            bytes.copy_within(range.end..before, end);
            bytes[range.start..end].copy_from_slice(with);
        }
        if after < before {
            self.resize_inline(after);
        }
        true
    }

    /// A record that is like this one but for a range of its packed bytes; nothing if its value is not packed.
    /// O(length).
    pub fn spliced(&self, range: Range<usize>, with: &[u8]) -> Option<Record> {
        let Value::Packed(_, bytes) = self.value() else {
            return None;
        };
        let kind = self.header().kind;
        let (head, tail) = (&bytes[..range.start], &bytes[range.end..]);
        let length = head.len() + with.len() + tail.len();
        let is_long = kind.is_long(length);
        let prefix = kind.prefix_bytes(is_long);
        let blank = Blank { kind, is_long, payload_bytes: prefix + length };
        let record = Record::blank(self.key(), blank, self.expiry_ms(), self.access());
        // SAFETY: the record was made with room for the length field and the three parts.
        unsafe {
            let at = record.base().add(record.value_offset());
            write_length(at, kind, is_long, length);
            let mut to = at.add(prefix);
            for part in [head, with, tail] {
                to.copy_from_nonoverlapping(part.as_ptr(), part.len());
                to = to.add(part.len());
            }
        }
        Some(record)
    }

    /// The buffer of an unshared large string, to change in place. The caller leaves in it a
    /// string longer than `INLINE_STRING_MAX`, or replaces the record.
    pub fn large_mut(&mut self) -> Option<&mut Bytes> {
        if self.header().references != 1 || self.header().kind != Kind::Large {
            return None;
        }
        // SAFETY: a large value's payload is the pointer that `write_value` stored, owned by this
        // record, whose only reference is borrowed mutably.
        Some(unsafe {
            let at = self.base().add(self.value_offset());
            &mut *at.cast::<*mut Bytes>().read_unaligned()
        })
    }

    /// The object of an unshared record, to change in place.
    pub fn object_mut(&mut self) -> Option<&mut Object> {
        if self.header().references != 1 || self.header().kind != Kind::Object {
            return None;
        }
        // SAFETY: as in `large_mut`.
        Some(unsafe {
            let at = self.base().add(self.value_offset());
            &mut *at.cast::<*mut Object>().read_unaligned()
        })
    }
}
