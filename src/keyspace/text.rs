//! Strings in the keyspace: which form a new one takes, how one is read, and how one is changed in place.

use bytes::{Bytes, BytesMut};

use crate::collections::heap::alone;
use crate::resp::{Args, number};

use super::database::Setting;
use super::record::{EMBEDDED_STRING_MAX, INLINE_STRING_MAX, InPlace, NewValue, Record, Value};
use super::{EventClass, Expiry, Keyspace};

/// Longer texts are not kept as integers, whatever they say.
const INTEGER_TEXT_MAX: usize = 20;

/// The string at a key, in the form in which it is kept.
#[derive(Clone, Copy, Debug)]
pub enum Text<'a> {
    /// The decimal form of this number.
    Integer(i64),
    /// Bytes within the record.
    Inline(&'a [u8]),
    /// Bytes in a buffer of their own, which can be shared.
    Large(&'a Bytes),
}

impl<'a> Value<'a> {
    /// The value as a string, or nothing if it is of another type.
    #[inline]
    pub fn text(self) -> Option<Text<'a>> {
        match self {
            Value::Integer(number) => Some(Text::Integer(number)),
            Value::Embedded(bytes) | Value::Raw(bytes) => Some(Text::Inline(bytes)),
            Value::Large(bytes) => Some(Text::Large(bytes)),
            Value::Packed(..) | Value::Object(_) => None,
        }
    }
}

impl Text<'_> {
    /// Length in bytes. O(1).
    pub fn length(self) -> usize {
        match self {
            Text::Integer(number) => itoa::Buffer::new().format(number).len(),
            Text::Inline(bytes) => bytes.len(),
            Text::Large(bytes) => bytes.len(),
        }
    }

    /// Hands the bytes to `use_it`. O(1) besides.
    #[inline]
    pub fn with_bytes<R>(self, use_it: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Text::Integer(number) => use_it(itoa::Buffer::new().format(number).as_bytes()),
            Text::Inline(bytes) => use_it(bytes),
            Text::Large(bytes) => use_it(bytes),
        }
    }

    /// The number that the string is the canonical decimal form of, if it is.
    pub fn integer(self) -> Option<i64> {
        match self {
            Text::Integer(number) => Some(number),
            Text::Inline(bytes) => number::parse_i64(bytes),
            Text::Large(_) => None,
        }
    }
}

impl<'a> NewValue<'a> {
    /// The form in which a string is kept: as an integer if it is the canonical decimal form of one, else by its
    /// length. A long one is taken from `large`.
    #[inline]
    pub fn text(text: &'a [u8], large: impl FnOnce() -> Bytes) -> NewValue<'a> {
        if text.len() <= INTEGER_TEXT_MAX
            && let Some(number) = number::parse_i64(text)
        {
            return NewValue::Integer(number);
        }
        NewValue::plain_text(text, large)
    }

    /// A new string that is not kept as an integer even if it could be.
    #[inline]
    pub fn plain_text(text: &'a [u8], large: impl FnOnce() -> Bytes) -> NewValue<'a> {
        if text.len() <= EMBEDDED_STRING_MAX {
            NewValue::Embedded(text)
        } else if text.len() <= INLINE_STRING_MAX {
            NewValue::Raw(text)
        } else {
            NewValue::Large(large())
        }
    }

    /// A new string that is made to be changed. Takes the buffer where that saves a copy.
    pub fn raw(buffer: &'a mut BytesMut) -> NewValue<'a> {
        if buffer.len() > INLINE_STRING_MAX {
            NewValue::Large(std::mem::take(buffer).freeze())
        } else {
            NewValue::Raw(buffer)
        }
    }

    /// The form in which a command's argument is kept. A big argument is shared, not copied, where it came in a buffer
    /// of its own.
    #[inline]
    pub fn argument(args: Args<'a>, index: usize) -> NewValue<'a> {
        NewValue::text(args.at(index), || args.bytes(index))
    }
}

impl Keyspace {
    /// Changes a string in place: makes it `length` bytes long if it is shorter (with zeros), and hands all its bytes
    /// to `change`. It is a raw string afterwards, its expiry time stays. An absent key is created. The caller has
    /// looked the key up before and knows that it is a string. O(bytes added) over time, O(length) while the value is
    /// shared.
    pub fn edit_string(&mut self, database: usize, key: &[u8], length: usize, change: impl FnOnce(&mut [u8])) {
        self.prepare_string(database, key, length, change);
        self.modified(database, key);
    }

    /// Changes a string in place where the change may turn out to be none: the caller calls `modified` if it was one.
    pub fn prepare_string(&mut self, database: usize, key: &[u8], length: usize, change: impl FnOnce(&mut [u8])) {
        let hash = self.hash(key);
        let space = &mut self.databases[database];
        let change = match space.get_mut(hash, key) {
            Some(record) => match edit_in_place(record, length, change) {
                Ok(()) => return,
                Err(change) => change,
            },
            None => change,
        };
        let present = space.get(hash, key);
        let created = present.is_none();
        let access = present.map_or_else(|| self.access.of_new(), Record::access);
        let text = present.and_then(|record| record.value().text());
        let mut buffer = text.unwrap_or(Text::Inline(b"")).with_bytes(|bytes| copy(bytes, length));
        change(&mut buffer);
        // The caller has looked the key up: it has not expired.
        let setting = Setting { expiry: Expiry::Keep, access, now_ms: i64::MIN };
        space.put(hash, key, NewValue::raw(&mut buffer), setting);
        if created {
            self.changes.notify(EventClass::New, "new", database, key);
        }
    }

    /// Replaces a string's bytes, in place where they fit in; it is a raw string afterwards, and its expiry time stays.
    /// Publishes nothing: the caller calls `modified` unless the bytes are what they were. The caller has looked the
    /// key up before and knows that it is a string. O(length).
    pub fn rewrite_string(&mut self, database: usize, key: &[u8], text: Vec<u8>) {
        let hash = self.hash(key);
        let Some(mut record) = self.databases[database].get_mut(hash, key) else {
            return;
        };
        let before = record.value().text().map_or(0, Text::length);
        if text.len() >= before
            && let Some(bytes) = record.grow_raw(text.len())
        {
            return bytes.copy_from_slice(&text);
        }
        // The caller has looked the key up: it has not expired.
        let setting = Setting { expiry: Expiry::Keep, access: record.access(), now_ms: i64::MIN };
        let value = if text.len() > INLINE_STRING_MAX { NewValue::Large(text.into()) } else { NewValue::Raw(&text) };
        self.databases[database].put(hash, key, value, setting);
    }
}

/// Grows and changes the string where it lies, if it is not shared and there is room; returns `change` if not.
fn edit_in_place<F: FnOnce(&mut [u8])>(mut record: InPlace<'_>, length: usize, change: F) -> Result<(), F> {
    if let Some(bytes) = record.grow_raw(length) {
        change(bytes);
        return Ok(());
    }
    let Some(large) = record.large_mut() else {
        return Err(change);
    };
    let before = large.len();
    let mut buffer = match std::mem::take(large).try_into_mut() {
        Ok(own) => own,
        Err(shared) => copy(&shared, length),
    };
    if buffer.len() < length {
        // The buffer doubles when it has to grow, so that appending is O(bytes appended) over time.
        buffer.resize(length, 0);
    }
    change(&mut buffer);
    *large = buffer.freeze();
    alone::note_outside(large.len().cast_signed() - before.cast_signed());
    Ok(())
}

/// A copy of at least `length` bytes. One that is longer than the original has room for more: more will follow.
fn copy(bytes: &[u8], length: usize) -> BytesMut {
    const SPARE_MAX_BYTES: usize = 1024 * 1024;
    let grows = length > bytes.len() && !bytes.is_empty();
    let length = length.max(bytes.len());
    let spare = if grows { length.min(SPARE_MAX_BYTES) } else { 0 };
    let mut buffer = BytesMut::zeroed(length + spare);
    buffer[..bytes.len()].copy_from_slice(bytes);
    buffer.truncate(length);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::hash::HashSeed;

    fn keyspace() -> Keyspace {
        Keyspace::new(1, HashSeed::from_seed(1))
    }

    fn bytes(keyspace: &mut Keyspace) -> Vec<u8> {
        let record = keyspace.peek(0, b"key").expect("the key exists");
        record.value().text().expect("a string").with_bytes(<[u8]>::to_vec)
    }

    fn large(keyspace: &mut Keyspace) -> Bytes {
        match keyspace.peek(0, b"key").map(Record::value) {
            Some(Value::Large(bytes)) => bytes.clone(),
            other => panic!("not a large string: {other:?}"),
        }
    }

    #[test]
    fn forms_follow_from_the_text() {
        let form = |text: &[u8]| match NewValue::text(text, || Bytes::copy_from_slice(text)) {
            NewValue::Integer(_) => "integer",
            NewValue::Embedded(_) => "embedded",
            NewValue::Raw(_) => "raw",
            NewValue::Large(_) => "large",
            NewValue::Packed(..) | NewValue::Object(_) => "collection",
        };
        assert_eq!(form(b"-9223372036854775808"), "integer");
        assert_eq!(form(b"9223372036854775808"), "embedded");
        assert_eq!(form(b"007"), "embedded");
        assert_eq!(form(&[b'x'; EMBEDDED_STRING_MAX]), "embedded");
        assert_eq!(form(&[b'x'; EMBEDDED_STRING_MAX + 1]), "raw");
        assert_eq!(form(&[b'x'; INLINE_STRING_MAX]), "raw");
        assert_eq!(form(&[b'x'; INLINE_STRING_MAX + 1]), "large");
    }

    /// Byte by byte through every form and every width of the length field.
    #[test]
    fn strings_grow_in_place() {
        let mut keyspace = keyspace();
        let mut expected = Vec::new();
        let most = if cfg!(miri) { 320 } else { INLINE_STRING_MAX + 200 };
        for length in 1..most {
            let byte = length as u8;
            keyspace.edit_string(0, b"key", length, |bytes| bytes[length - 1] = byte);
            expected.push(byte);
            let is_looked_at = !cfg!(miri) || length % 16 < 2;
            if length % 50 == 0 || is_looked_at && !(300..INLINE_STRING_MAX).contains(&length) {
                assert_eq!(bytes(&mut keyspace), expected, "{length}");
            }
        }
    }

    #[test]
    fn rewritten_strings_are_raw_and_keep_their_expiry_time() {
        let mut keyspace = keyspace();
        keyspace.set(0, b"key", NewValue::Embedded(b"text"), Expiry::At(5));
        let changes = keyspace.changes.total();
        let lengths = [4, 30, 29, 300, 301, 20_000, 20_000, 40, 0];
        for length in lengths.into_iter().filter(|length| !cfg!(miri) || *length < 1000) {
            let text = vec![length as u8; length];
            keyspace.rewrite_string(0, b"key", text.clone());
            assert_eq!(bytes(&mut keyspace), text);
            let record = keyspace.peek(0, b"key").expect("the key exists");
            assert!(matches!(record.value(), Value::Raw(_) | Value::Large(_)));
            assert_eq!(record.expiry_ms(), Some(5));
        }
        assert_eq!(keyspace.changes.total(), changes);
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of large strings take Miri long")]
    fn large_strings_are_copied_seldom() {
        let mut keyspace = keyspace();
        let (mut moves, mut place) = (0, std::ptr::null());
        for length in (10_000..200_000).step_by(100) {
            keyspace.edit_string(0, b"key", length, |_| {});
            let now = large(&mut keyspace).as_ptr();
            moves += usize::from(now != place);
            place = now;
        }
        assert!(moves < 8, "{moves} of 1900 appends moved the string");
    }

    #[test]
    fn what_is_shared_stays_as_it_is() {
        let mut keyspace = keyspace();
        keyspace.set(0, b"key", NewValue::Large(vec![b'x'; 20_000].into()), Expiry::At(5));
        let reply = large(&mut keyspace).slice(100..18_000);
        keyspace.edit_string(0, b"key", 20_001, |bytes| bytes.fill(b'y'));
        assert_eq!(reply, vec![b'x'; 17_900]);
        assert_eq!(bytes(&mut keyspace), vec![b'y'; 20_001]);
        let expiry_ms = keyspace.peek(0, b"key").and_then(Record::expiry_ms);
        assert_eq!(expiry_ms, Some(5));
    }

    #[test]
    fn records_of_a_pinned_version_stay_as_they_are() {
        let mut keyspace = keyspace();
        keyspace.set(0, b"key", NewValue::Raw(&[b'x'; 100]), Expiry::Clear);
        let mut pinned = keyspace.database(0).pin();
        keyspace.edit_string(0, b"key", 100, |bytes| bytes[0] = b'y');
        assert_eq!(bytes(&mut keyspace)[..2], *b"yx");
        let mut seen = Vec::new();
        while pinned.next_segment(|record| {
            let text = record.value().text().expect("a string");
            text.with_bytes(|bytes| seen = bytes.to_vec());
        }) {}
        assert_eq!(seen, [b'x'; 100]);
    }
}
