//! One key with its value, in one allocation: the unit that the keyspace's tables point at.
//!
//! ```text
//!  0        2      3          4                      8
//!  +--------+------+----------+----------------------+
//!  | refs   | kind | key size | access (28) | flags  |   header, 8 bytes
//!  +--------+------+----------+----------------------+
//!  | expiry time, ms since the epoch (if VOLATILE)   |   8 bytes
//!  | key length (if key size is 255)                 |   4 bytes
//!  | key                                             |
//!  | value: integer | length and bytes | pointer     |
//!  +-------------------------------------------------+
//! ```
//!
//! The fields behind the header are unaligned. A record is shared by counting references, for the
//! pinned versions of the table; a change of a record that is shared makes another.
//! Never knows in which database it lies.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use bytes::Bytes;

use crate::collections::heap;
use crate::collections::table::Entry;
use crate::types::hash::HashRef;
use crate::types::object::Object;

use crate::keyspace::lazy_free;

mod in_place;
mod value;
mod volatile;

pub use in_place::InPlace;
use value::Kind;
pub use value::{NewValue, Value};
pub use volatile::{Expiring, VolatileIndex, VolatileRemains};

/// Strings longer than this live outside the record, shared by reference with the replies.
pub const INLINE_STRING_MAX: usize = 8 * 1024;

/// The longest string that OBJECT ENCODING calls `embstr`.
pub const EMBEDDED_STRING_MAX: usize = 44;

/// Bytes that a key takes in its table besides its record: an eight-byte reference and a tag, in buckets
/// that are on average three quarters full.
const TABLE_BYTES_PER_KEY: usize = 12;
const HEADER_BYTES: usize = 8;
const LONG_KEY: u8 = u8::MAX;
const FLAG_VOLATILE: u8 = 1;
/// The value's length takes four bytes, not one.
const FLAG_LONG_VALUE: u8 = 2;
/// The record is no longer live: a pinned version alone keeps it.
const FLAG_HELD: u8 = 4;
/// The flags are the lowest bits of the word that they share with what the eviction policy keeps.
const FLAG_BITS: u32 = 4;
const FLAG_MASK: u32 = (1 << FLAG_BITS) - 1;

thread_local! {
    static DISPLACED_BYTES: Cell<u64> = const { Cell::new(0) };
    /// Bytes of the records that only pinned versions keep.
    static HELD_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Bytes of all records so far that were replaced or removed while a version shared them.
pub fn cow_bytes() -> u64 {
    DISPLACED_BYTES.get()
}

#[repr(C)]
struct Header {
    references: u16,
    kind: Kind,
    key_size: u8,
    access: u32,
}

/// Bytes of the records that were removed, or got another value, while a pinned version shared them, and that are there
/// for its sake only. O(1).
pub fn held_bytes() -> usize {
    HELD_BYTES.get()
}

/// An owned reference to a record. Eight bytes.
pub struct Record {
    header: NonNull<Header>,
    _not_send: PhantomData<*const ()>,
}

/// What a record's value will be, to make room for it.
struct Blank {
    kind: Kind,
    is_long: bool,
    payload_bytes: usize,
}

impl Record {
    /// Makes a record with one reference. `access` is what the eviction policy keeps (28 bits).
    pub fn new(key: &[u8], value: NewValue<'_>, expiry_ms: Option<i64>, access: u32) -> Record {
        let blank = Blank { kind: value.kind(), is_long: value.is_long(), payload_bytes: value.payload_bytes() };
        let record = Record::blank(key, blank, expiry_ms, access);
        record.write_value(record.value_offset(), value);
        record
    }

    /// A record whose value the caller writes right away.
    fn blank(key: &[u8], blank: Blank, expiry_ms: Option<i64>, access: u32) -> Record {
        let mut flags = 0;
        let mut key_at = HEADER_BYTES;
        if expiry_ms.is_some() {
            flags |= FLAG_VOLATILE;
            key_at += 8;
        }
        let key_size = u8::try_from(key.len()).unwrap_or(LONG_KEY);
        if key_size == LONG_KEY {
            key_at += 4;
        }
        if blank.is_long {
            flags |= FLAG_LONG_VALUE;
        }
        let block = heap::allocate(key_at + key.len() + blank.payload_bytes);
        let header =
            Header { references: 1, kind: blank.kind, key_size, access: access << FLAG_BITS | u32::from(flags) };
        // SAFETY: the block has room for all parts and is aligned to eight; every write below stays
        // within the parts that were summed up.
        unsafe {
            let base = block.as_ptr();
            base.cast::<Header>().write(header);
            if let Some(expiry_ms) = expiry_ms {
                base.add(HEADER_BYTES).cast::<i64>().write(expiry_ms);
            }
            if key_size == LONG_KEY {
                let length = key.len() as u32;
                base.add(key_at - 4).cast::<u32>().write_unaligned(length);
            }
            base.add(key_at).copy_from_nonoverlapping(key.as_ptr(), key.len());
        }
        Record { header: block.cast(), _not_send: PhantomData }
    }

    /// Writes the value's bytes; the caller has made room and set kind and flags.
    fn write_value(&self, value_at: usize, value: NewValue<'_>) {
        let (kind, is_long) = (value.kind(), value.is_long());
        // SAFETY: `value_at` and the payload's size are those of the layout that this record was
        // allocated or found fit for.
        unsafe {
            let at = self.base().add(value_at);
            match value {
                NewValue::Integer(number) => at.cast::<i64>().write_unaligned(number),
                NewValue::Large(bytes) => {
                    heap::alone::note_outside(bytes.len().cast_signed());
                    at.cast::<*mut Bytes>().write_unaligned(Box::into_raw(Box::new(bytes)));
                }
                NewValue::Object(object) => {
                    at.cast::<*mut Object>().write_unaligned(Box::into_raw(object));
                }
                NewValue::Embedded(bytes) | NewValue::Raw(bytes) | NewValue::Packed(_, bytes) => {
                    write_length(at, kind, is_long, bytes.len());
                    at.add(kind.prefix_bytes(is_long)).copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
                }
            }
        }
    }

    #[inline]
    fn base(&self) -> *mut u8 {
        self.header.as_ptr().cast()
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: the header is initialised and lives as long as a reference to the record does.
        // Nothing holds a `&mut Header` across a call.
        unsafe { self.header.as_ref() }
    }

    #[inline]
    fn flags(&self) -> u8 {
        (self.header().access & FLAG_MASK) as u8
    }

    #[inline]
    fn key_offset(&self) -> usize {
        let volatile = usize::from(self.flags() & FLAG_VOLATILE) * 8;
        let long = if self.header().key_size == LONG_KEY { 4 } else { 0 };
        HEADER_BYTES + volatile + long
    }

    #[inline]
    fn key_length(&self) -> usize {
        match self.header().key_size {
            LONG_KEY => {
                // SAFETY: a long key's length stands in the four bytes before the key.
                unsafe { self.base().add(self.key_offset() - 4).cast::<u32>().read_unaligned() as usize }
            }
            short => usize::from(short),
        }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        // SAFETY: the key's bytes were initialised in `new` and never change.
        unsafe { std::slice::from_raw_parts(self.base().add(self.key_offset()), self.key_length()) }
    }

    /// Whether the two are references to one record.
    pub fn is(&self, other: &Record) -> bool {
        self.header == other.header
    }

    /// When the key expires, in ms since the epoch.
    #[inline]
    pub fn expiry_ms(&self) -> Option<i64> {
        if self.flags() & FLAG_VOLATILE == 0 {
            return None;
        }
        // SAFETY: the flag says that the eight bytes behind the header hold the time.
        Some(unsafe { self.base().add(HEADER_BYTES).cast::<i64>().read() })
    }

    /// Whether the key's time is over. Like Redis, a key lives through the millisecond that it expires at.
    #[inline]
    pub fn is_due(&self, now_ms: i64) -> bool {
        self.expiry_ms().is_some_and(|time_ms| time_ms < now_ms)
    }

    /// When the next field expires of a hash that has fields which do, in ms since the epoch.
    #[inline]
    pub fn next_field_expiry_ms(&self) -> Option<i64> {
        match self.header().kind {
            Kind::PackedHashExpiring | Kind::Object => HashRef::of(self.value().stored())?.next_expiry_ms(),
            _ => None,
        }
    }

    /// What the eviction policy keeps (28 bits).
    #[inline]
    pub fn access(&self) -> u32 {
        self.header().access >> FLAG_BITS
    }

    /// Sets what the eviction policy keeps, in every version that shares the record: it is a hint.
    #[inline]
    pub fn set_access(&self, access: u32) {
        let word = access << FLAG_BITS | u32::from(self.flags());
        // SAFETY: one thread; no reference to the field outlives the calls that read it.
        unsafe { (*self.header.as_ptr()).access = word };
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> Value<'_> {
        let at = self.key_offset() + self.key_length();
        let kind = self.header().kind;
        // SAFETY: the kind and the flags tell how the payload was written in `write_value`.
        unsafe {
            let at = self.base().add(at);
            match kind {
                Kind::Integer => return Value::Integer(at.cast::<i64>().read_unaligned()),
                Kind::Large => return Value::Large(&*at.cast::<*mut Bytes>().read_unaligned()),
                Kind::Object => return Value::Object(&*at.cast::<*mut Object>().read_unaligned()),
                _ => {}
            }
            let is_long = self.flags() & FLAG_LONG_VALUE != 0;
            let prefix = kind.prefix_bytes(is_long);
            let bytes = std::slice::from_raw_parts(at.add(prefix), read_length(at, prefix));
            match kind {
                Kind::Embedded => Value::Embedded(bytes),
                Kind::Raw => Value::Raw(bytes),
                kind => match kind.packed_form() {
                    Some(form) => Value::Packed(form, bytes),
                    None => unreachable!("the other kinds were seen to above"),
                },
            }
        }
    }

    /// Notes that another record takes the place of this one: if a version still shares it, it takes memory besides.
    #[inline]
    pub fn note_displaced(&self) {
        if self.header().references > 1 {
            let bytes = heap::class_size(self.total_bytes()) as u64;
            DISPLACED_BYTES.set(DISPLACED_BYTES.get() + bytes);
        }
    }

    /// Says that the record leaves the live table: if a version still shares it, it is there for that one only.
    #[inline]
    pub fn mark_snapshot_only(&self) {
        if self.header().references > 1 {
            self.note_displaced();
            self.set_held(true);
        }
    }

    /// Says that nothing holds the record back any more: it is live again, or about to be freed.
    #[inline]
    pub fn mark_live(&self) {
        if self.flags() & FLAG_HELD != 0 {
            self.set_held(false);
        }
    }

    #[cold]
    fn set_held(&self, is_held: bool) {
        if (self.flags() & FLAG_HELD != 0) == is_held {
            return;
        }
        let bytes = self.memory_bytes();
        // SAFETY: one thread; no reference to the field outlives the calls that read it.
        unsafe { (*self.header.as_ptr()).access ^= u32::from(FLAG_HELD) };
        HELD_BYTES.set(if is_held { HELD_BYTES.get() + bytes } else { HELD_BYTES.get().saturating_sub(bytes) });
    }

    /// How many references there are.
    pub fn references(&self) -> usize {
        usize::from(self.header().references)
    }

    /// Puts another value (and the same presence of an expiry time) in place if nothing shares the
    /// record and the block's size class stays the same; gives the value back if not.
    #[inline]
    pub fn overwrite<'v>(&mut self, value: NewValue<'v>, expiry_ms: Option<i64>) -> Result<(), NewValue<'v>> {
        let volatile = self.flags() & FLAG_VOLATILE != 0;
        if self.header().references != 1 || volatile != expiry_ms.is_some() {
            return Err(value);
        }
        let value_at = self.key_offset() + self.key_length();
        let total = value_at + value.payload_bytes();
        if heap::class_size(total) != heap::class_size(self.total_bytes()) {
            return Err(value);
        }
        self.drop_payload();
        let long = if value.is_long() { FLAG_LONG_VALUE } else { 0 };
        let flags = self.flags() & FLAG_VOLATILE | long;
        // SAFETY: this is the only reference, and `&mut self` the only use of it; the time's place
        // exists because the flag says so.
        unsafe {
            let header = &mut *self.header.as_ptr();
            header.kind = value.kind();
            header.access = header.access & !FLAG_MASK | u32::from(flags);
            if let Some(expiry_ms) = expiry_ms {
                self.base().add(HEADER_BYTES).cast::<i64>().write(expiry_ms);
            }
        }
        self.write_value(value_at, value);
        Ok(())
    }

    /// Sets the expiry time in place where the record is unshared and has one already.
    pub fn overwrite_expiry(&mut self, expiry_ms: i64) -> bool {
        if self.header().references != 1 || self.flags() & FLAG_VOLATILE == 0 {
            return false;
        }
        // SAFETY: the flag says that the place exists; the only reference is borrowed mutably.
        unsafe { self.base().add(HEADER_BYTES).cast::<i64>().write(expiry_ms) };
        true
    }

    /// A copy under another key or with another expiry time. A large value is shared, not copied.
    pub fn with(&self, key: &[u8], expiry_ms: Option<i64>) -> Record {
        Record::new(key, self.value().duplicate(), expiry_ms, self.access())
    }

    /// Bytes that the key with its value takes, spare room of the size class included.
    pub fn memory_bytes(&self) -> usize {
        let outside = match self.value() {
            Value::Large(bytes) => size_of::<Bytes>() + bytes.len(),
            Value::Object(object) => object.memory_bytes(),
            _ => 0,
        };
        heap::class_size(self.total_bytes()) + outside
    }

    /// Bytes of the key with its value and of its place in the table.
    pub fn memory_with_table_bytes(&self) -> usize {
        self.memory_bytes() + TABLE_BYTES_PER_KEY
    }

    /// Where the value begins.
    #[inline]
    fn value_offset(&self) -> usize {
        self.key_offset() + self.key_length()
    }

    fn total_bytes(&self) -> usize {
        let value_at = self.value_offset();
        let kind = self.header().kind;
        if matches!(kind, Kind::Integer | Kind::Large | Kind::Object) {
            return value_at + 8;
        }
        let prefix = kind.prefix_bytes(self.flags() & FLAG_LONG_VALUE != 0);
        // SAFETY: the other kinds begin with a length field of that size.
        value_at + prefix + unsafe { read_length(self.base().add(value_at), prefix) }
    }

    fn drop_payload(&mut self) {
        let kind = self.header().kind;
        if !matches!(kind, Kind::Large | Kind::Object) {
            return;
        }
        // SAFETY: the place holds a pointer, which came from `Box::into_raw` and is dropped once: the
        // record is either freed or its payload overwritten right after.
        unsafe {
            let at = self.base().add(self.value_offset());
            if kind == Kind::Large {
                let string = Box::from_raw(at.cast::<*mut Bytes>().read_unaligned());
                heap::alone::note_outside(-string.len().cast_signed());
                lazy_free::free_lazily(*string);
            } else {
                let object = Box::from_raw(at.cast::<*mut Object>().read_unaligned());
                lazy_free::free_object_lazily(object);
            }
        }
    }
}

/// Writes the length field of a value that lies in the record.
///
/// # Safety
/// The field must be within the record.
#[inline]
unsafe fn write_length(at: *mut u8, kind: Kind, is_long: bool, length: usize) {
    // SAFETY: the caller vouches for the place. The length fits: `Kind::is_long` has chosen the width.
    unsafe {
        match kind.prefix_bytes(is_long) {
            1 => at.write(length as u8),
            2 => at.cast::<u16>().write_unaligned(length as u16),
            _ => at.cast::<u32>().write_unaligned(length as u32),
        }
    }
}

/// Reads a length field of so many bytes.
///
/// # Safety
/// It must have been written by `write_length`.
#[inline]
unsafe fn read_length(at: *const u8, prefix: usize) -> usize {
    // SAFETY: the caller vouches for the place.
    unsafe {
        match prefix {
            1 => usize::from(at.read()),
            2 => usize::from(at.cast::<u16>().read_unaligned()),
            _ => at.cast::<u32>().read_unaligned() as usize,
        }
    }
}

impl Clone for Record {
    /// One more reference. At most 65,535: a record gains one for each pinned version of the table
    /// that shares it, of which there are a handful.
    fn clone(&self) -> Record {
        let references = self.header().references.checked_add(1);
        // INVARIANT: pinned versions are counted in ones, never in thousands.
        let references = references.expect("a record has fewer than 65,536 versions");
        // SAFETY: one thread, and no reference to the field is held.
        unsafe { (*self.header.as_ptr()).references = references };
        Record { header: self.header, _not_send: PhantomData }
    }
}

impl Drop for Record {
    #[inline]
    fn drop(&mut self) {
        let references = self.header().references - 1;
        if references > 0 {
            // SAFETY: one thread, and no reference to the field is held.
            unsafe { (*self.header.as_ptr()).references = references };
            return;
        }
        self.mark_live();
        let total = self.total_bytes();
        self.drop_payload();
        // SAFETY: the block was allocated with a size of the same class, and this was the last
        // reference to it.
        unsafe { heap::free(self.header.cast(), total) };
    }
}

impl Entry for Record {
    const ARE_KEYS: bool = true;

    #[inline]
    fn key(&self) -> &[u8] {
        Record::key(self)
    }

    #[inline]
    fn address(&self) -> *const u8 {
        self.base()
    }
}
