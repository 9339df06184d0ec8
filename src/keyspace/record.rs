//! One key with its value, in one allocation: the unit that the keyspace's tables point at.
//!
//! ```text
//!  0        2      3          4                      8
//!  +--------+------+----------+----------------------+
//!  | refs   | kind | key size | access (24) | flags  |   header, 8 bytes
//!  +--------+------+----------+----------------------+
//!  | expiry time, ms since the epoch (if VOLATILE)   |   8 bytes
//!  | key length (if key size is 255)                 |   4 bytes
//!  | key                                             |
//!  | value: integer | length and bytes | pointer     |
//!  +-------------------------------------------------+
//! ```
//!
//! The fields behind the header are unaligned. A record is shared by counting references, for the
//! pinned versions of the table; whoever wants to change one that is shared makes another.

use std::marker::PhantomData;
use std::ptr::NonNull;

use bytes::Bytes;

use crate::collections::heap;
use crate::collections::table::Entry;

use super::condemned;

/// Strings longer than this live outside the record, shared by reference with the replies.
pub const INLINE_STRING_MAX: usize = 8 * 1024;

/// The longest string that OBJECT ENCODING calls `embstr`.
pub const EMBEDDED_STRING_MAX: usize = 44;

const HEADER_BYTES: usize = 8;
const LONG_KEY: u8 = u8::MAX;
const FLAG_VOLATILE: u8 = 1;
/// The value's length takes four bytes, not one.
const FLAG_LONG_VALUE: u8 = 2;
const ACCESS_MASK: u32 = 0x00ff_ffff;

/// What stands behind the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Integer,
    Embedded,
    Raw,
    Large,
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
}

/// A value to make a record of.
#[derive(Clone, Debug)]
pub enum NewValue<'a> {
    Integer(i64),
    /// At most `EMBEDDED_STRING_MAX` long.
    Embedded(&'a [u8]),
    /// At most `INLINE_STRING_MAX` long.
    Raw(&'a [u8]),
    Large(Bytes),
}

impl NewValue<'_> {
    fn kind(&self) -> Kind {
        match self {
            NewValue::Integer(_) => Kind::Integer,
            NewValue::Embedded(_) => Kind::Embedded,
            NewValue::Raw(_) => Kind::Raw,
            NewValue::Large(_) => Kind::Large,
        }
    }

    fn payload_bytes(&self) -> usize {
        match self {
            NewValue::Integer(_) | NewValue::Large(_) => 8,
            NewValue::Embedded(text) | NewValue::Raw(text) => {
                text.len() + if text.len() > 255 { 4 } else { 1 }
            }
        }
    }
}

#[repr(C)]
struct Header {
    references: u16,
    kind: Kind,
    key_size: u8,
    access: u32,
}

/// An owned reference to a record. Eight bytes.
pub struct Record {
    header: NonNull<Header>,
    _not_send: PhantomData<*const ()>,
}

/// The places of the parts of a record that is to be made.
struct Layout {
    flags: u8,
    key_size: u8,
    key_at: usize,
    value_at: usize,
    total: usize,
}

impl Layout {
    fn of(key: &[u8], value: &NewValue<'_>, volatile: bool) -> Layout {
        let mut flags = 0;
        let mut key_at = HEADER_BYTES;
        if volatile {
            flags |= FLAG_VOLATILE;
            key_at += 8;
        }
        let key_size = u8::try_from(key.len()).unwrap_or(LONG_KEY);
        if key_size == LONG_KEY {
            key_at += 4;
        }
        if let NewValue::Embedded(text) | NewValue::Raw(text) = value
            && text.len() > 255
        {
            flags |= FLAG_LONG_VALUE;
        }
        let value_at = key_at + key.len();
        Layout {
            flags,
            key_size,
            key_at,
            value_at,
            total: value_at + value.payload_bytes(),
        }
    }
}

impl Record {
    /// Makes a record with one reference. `access` is what the eviction policy keeps (24 bits).
    pub fn new(key: &[u8], value: NewValue<'_>, expiry_ms: Option<i64>, access: u32) -> Record {
        let layout = Layout::of(key, &value, expiry_ms.is_some());
        let block = heap::allocate(layout.total);
        let header = Header {
            references: 1,
            kind: value.kind(),
            key_size: layout.key_size,
            access: (access & ACCESS_MASK) << 8 | u32::from(layout.flags),
        };
        // SAFETY: the block has `layout.total` bytes and is aligned to eight; every write below
        // stays within the parts that `Layout::of` summed up.
        unsafe {
            let base = block.as_ptr();
            base.cast::<Header>().write(header);
            if let Some(expiry_ms) = expiry_ms {
                base.add(HEADER_BYTES).cast::<i64>().write(expiry_ms);
            }
            if layout.key_size == LONG_KEY {
                let length = key.len() as u32;
                base.add(layout.key_at - 4)
                    .cast::<u32>()
                    .write_unaligned(length);
            }
            base.add(layout.key_at)
                .copy_from_nonoverlapping(key.as_ptr(), key.len());
        }
        let record = Record {
            header: block.cast(),
            _not_send: PhantomData,
        };
        record.write_value(layout.value_at, value);
        record
    }

    /// Writes the value's bytes; the caller has made room and set kind and flags.
    fn write_value(&self, value_at: usize, value: NewValue<'_>) {
        // SAFETY: `value_at` and the payload's size are those of the layout that this record was
        // allocated or found fit for.
        unsafe {
            let at = self.base().add(value_at);
            match value {
                NewValue::Integer(number) => at.cast::<i64>().write_unaligned(number),
                NewValue::Large(bytes) => {
                    at.cast::<*mut Bytes>()
                        .write_unaligned(Box::into_raw(Box::new(bytes)));
                }
                NewValue::Embedded(text) | NewValue::Raw(text) => {
                    let prefix = if text.len() > 255 {
                        at.cast::<u32>().write_unaligned(text.len() as u32);
                        4
                    } else {
                        at.write(text.len() as u8);
                        1
                    };
                    at.add(prefix)
                        .copy_from_nonoverlapping(text.as_ptr(), text.len());
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
        self.header().access as u8
    }

    #[inline]
    fn key_offset(&self) -> usize {
        let volatile = usize::from(self.flags() & FLAG_VOLATILE) * 8;
        let long = if self.header().key_size == LONG_KEY {
            4
        } else {
            0
        };
        HEADER_BYTES + volatile + long
    }

    #[inline]
    fn key_length(&self) -> usize {
        match self.header().key_size {
            LONG_KEY => {
                // SAFETY: a long key's length stands in the four bytes before the key.
                unsafe {
                    self.base()
                        .add(self.key_offset() - 4)
                        .cast::<u32>()
                        .read_unaligned() as usize
                }
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

    /// What the eviction policy keeps (24 bits).
    #[inline]
    pub fn access(&self) -> u32 {
        self.header().access >> 8
    }

    /// Sets what the eviction policy keeps, in every version that shares the record: it is a hint.
    #[inline]
    pub fn set_access(&self, access: u32) {
        let word = (access & ACCESS_MASK) << 8 | u32::from(self.flags());
        // SAFETY: one thread; no reference to the field outlives the calls that read it.
        unsafe { (*self.header.as_ptr()).access = word };
    }

    /// The value.
    #[inline]
    pub fn value(&self) -> Value<'_> {
        let at = self.key_offset() + self.key_length();
        // SAFETY: the kind and the flags tell how the payload was written in `write_value`.
        unsafe {
            let at = self.base().add(at);
            match self.header().kind {
                Kind::Integer => Value::Integer(at.cast::<i64>().read_unaligned()),
                Kind::Large => Value::Large(&*at.cast::<*mut Bytes>().read_unaligned()),
                kind => {
                    let (prefix, length) = if self.flags() & FLAG_LONG_VALUE != 0 {
                        (4, at.cast::<u32>().read_unaligned() as usize)
                    } else {
                        (1, usize::from(at.read()))
                    };
                    let text = std::slice::from_raw_parts(at.add(prefix), length);
                    if kind == Kind::Embedded {
                        Value::Embedded(text)
                    } else {
                        Value::Raw(text)
                    }
                }
            }
        }
    }

    /// How many references there are.
    pub fn references(&self) -> usize {
        usize::from(self.header().references)
    }

    /// Puts another value (and the same presence of an expiry time) in place if nobody shares the
    /// record and the block's size class stays the same; gives the value back if not.
    #[inline]
    pub fn overwrite<'v>(
        &mut self,
        value: NewValue<'v>,
        expiry_ms: Option<i64>,
    ) -> Result<(), NewValue<'v>> {
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
        let long = matches!(&value, NewValue::Embedded(t) | NewValue::Raw(t) if t.len() > 255);
        let flags = self.flags() & FLAG_VOLATILE | if long { FLAG_LONG_VALUE } else { 0 };
        // SAFETY: this is the only reference, and `&mut self` the only use of it; the time's place
        // exists because the flag says so.
        unsafe {
            let header = &mut *self.header.as_ptr();
            header.kind = value.kind();
            header.access = header.access & !0xff | u32::from(flags);
            if let Some(expiry_ms) = expiry_ms {
                self.base().add(HEADER_BYTES).cast::<i64>().write(expiry_ms);
            }
        }
        self.write_value(value_at, value);
        Ok(())
    }

    /// The bytes of an unshared in-record string of kind `Raw`, to change in place.
    pub fn raw_mut(&mut self) -> Option<&mut [u8]> {
        if self.header().references != 1 {
            return None;
        }
        match self.value() {
            // SAFETY: the only reference is borrowed mutably for as long as the slice lives.
            Value::Raw(text) => Some(unsafe {
                std::slice::from_raw_parts_mut(text.as_ptr().cast_mut(), text.len())
            }),
            _ => None,
        }
    }

    /// The same, made longer by zeros to `length` bytes where it is shorter; nothing if the block has no room for that.
    pub fn grow_raw(&mut self, length: usize) -> Option<&mut [u8]> {
        let before = self.raw_mut()?.len();
        if length > before {
            let is_long = self.flags() & FLAG_LONG_VALUE != 0;
            let total = self.total_bytes();
            let grown = total + length - before;
            let same_form = is_long == (length > 255) && length <= INLINE_STRING_MAX;
            if !same_form || heap::class_size(grown) != heap::class_size(total) {
                return None;
            }
            let at = self.key_offset() + self.key_length();
            // SAFETY: `raw_mut` saw to it that this is the only reference. The length field keeps its width, and the bytes
            // behind it up to `length` are within the block: its size class stays the same.
            unsafe {
                let at = self.base().add(at);
                let prefix = if is_long {
                    at.cast::<u32>().write_unaligned(length as u32);
                    4
                } else {
                    at.write(length as u8);
                    1
                };
                at.add(prefix + before).write_bytes(0, length - before);
            }
        }
        self.raw_mut()
    }

    /// The buffer of an unshared large string, to change in place. The caller leaves in it a
    /// string longer than `INLINE_STRING_MAX`, or replaces the record.
    pub fn large_mut(&mut self) -> Option<&mut Bytes> {
        if self.header().references != 1 || self.header().kind != Kind::Large {
            return None;
        }
        let at = self.key_offset() + self.key_length();
        // SAFETY: a large value's payload is the pointer that `write_value` stored, owned by this
        // record, whose only reference is borrowed mutably.
        Some(unsafe { &mut *self.base().add(at).cast::<*mut Bytes>().read_unaligned() })
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
        let value = match self.value() {
            Value::Integer(number) => NewValue::Integer(number),
            Value::Embedded(text) => NewValue::Embedded(text),
            Value::Raw(text) => NewValue::Raw(text),
            Value::Large(bytes) => NewValue::Large(bytes.clone()),
        };
        Record::new(key, value, expiry_ms, self.access())
    }

    /// Bytes that the key with its value takes, spare room of the size class included.
    pub fn memory_bytes(&self) -> usize {
        let outside = match self.value() {
            Value::Large(bytes) => size_of::<Bytes>() + bytes.len(),
            _ => 0,
        };
        heap::class_size(self.total_bytes()) + outside
    }

    /// A reference that does not count, for the index of volatile keys.
    pub fn volatile_reference(&self) -> VolatileReference {
        VolatileReference {
            header: self.header,
        }
    }

    fn total_bytes(&self) -> usize {
        let value_at = self.key_offset() + self.key_length();
        value_at
            + match self.value() {
                Value::Integer(_) | Value::Large(_) => 8,
                Value::Embedded(text) | Value::Raw(text) => {
                    text.len()
                        + if self.flags() & FLAG_LONG_VALUE != 0 {
                            4
                        } else {
                            1
                        }
                }
            }
    }

    fn drop_payload(&mut self) {
        if self.header().kind == Kind::Large {
            let at = self.key_offset() + self.key_length();
            // SAFETY: the pointer came from `Box::into_raw` and is dropped once: the record is
            // either freed or its payload overwritten right after.
            let string =
                unsafe { Box::from_raw(self.base().add(at).cast::<*mut Bytes>().read_unaligned()) };
            condemned::dispose(*string);
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
        Record {
            header: self.header,
            _not_send: PhantomData,
        }
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
        let total = self.total_bytes();
        self.drop_payload();
        // SAFETY: the block was allocated with a size of the same class, and this was the last
        // reference to it.
        unsafe { heap::free(self.header.cast(), total) };
    }
}

impl Entry for Record {
    #[inline]
    fn key(&self) -> &[u8] {
        Record::key(self)
    }

    #[inline]
    fn address(&self) -> *const u8 {
        self.base()
    }
}

/// A reference to a record that the keyspace's table owns, kept in the index of volatile keys.
/// The database takes it out, or replaces it, before the record goes.
#[derive(Clone, Copy)]
pub struct VolatileReference {
    header: NonNull<Header>,
}

impl VolatileReference {
    /// When the key expires, in ms since the epoch.
    #[inline]
    pub fn expiry_ms(&self) -> i64 {
        // SAFETY: only records with an expiry time are indexed, and the database keeps the
        // reference only as long as the record lives.
        unsafe {
            self.header
                .as_ptr()
                .cast::<u8>()
                .add(HEADER_BYTES)
                .cast::<i64>()
                .read()
        }
    }
}

impl Entry for VolatileReference {
    #[inline]
    fn key(&self) -> &[u8] {
        let record = std::mem::ManuallyDrop::new(Record {
            header: self.header,
            _not_send: PhantomData,
        });
        let key: *const [u8] = record.key();
        // SAFETY: the database keeps the reference only as long as the record lives; the key's
        // bytes do not move while it does.
        unsafe { &*key }
    }

    #[inline]
    fn address(&self) -> *const u8 {
        self.header.as_ptr().cast()
    }
}
