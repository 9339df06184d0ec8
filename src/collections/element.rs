//! Owns the element block: one member of a large set, hash or sorted set, with what belongs to it, in one allocation.
//! Never changes what another owner shares.
//!
//! ```text
//!  0        2       3
//!  +--------+-------+------------+--------------+--------+-----+-------+
//!  | owners | shape | key length | value length | number | key | value |
//!  +--------+-------+------------+--------------+--------+-----+-------+
//!                     1, 2, 4, 8   1, 2, 4, 8     8 bytes
//!                                  if it has one  if it has one
//! ```
//!
//! A member of a set has a key alone, a member of a sorted set its score as the number, a field of a hash a value and,
//! if the field expires, the time as the number. The fields are unaligned. A key alone of up to 127 bytes has its
//! length in the shape: a member of 13 bytes takes a block of 16.

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::heap;
use super::table::Entry;
use crate::collections::deferred_free;

/// Two bits of the shape say how wide the key's length is: 1, 2, 4 or 8 bytes.
const KEY_WIDTH: u8 = 0b11;
/// The same of the value's length.
const VALUE_WIDTH_SHIFT: u8 = 2;
const HAS_VALUE: u8 = 1 << 4;
const HAS_NUMBER: u8 = 1 << 5;
/// There is a key alone, and the other bits are its length.
const SHORT_KEY_ALONE: u8 = 1 << 7;

/// Bytes in front of the lengths.
const HEAD_BYTES: usize = 3;
const NUMBER_BYTES: usize = 8;

/// An owned reference to an element. Eight bytes. A clone shares the block.
pub struct Element {
    block: NonNull<u8>,
    _not_send: PhantomData<*const ()>,
}

/// What an element is made of.
#[derive(Clone, Copy)]
struct Parts<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
    number: Option<u64>,
}

/// The power of two of bytes that a length field for this length takes.
#[inline]
fn width_of(length: usize) -> u8 {
    match length {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xffff_ffff => 2,
        _ => 3,
    }
}

impl Parts<'_> {
    #[inline]
    fn shape(&self) -> u8 {
        if self.value.is_none() && self.number.is_none() && self.key.len() < usize::from(SHORT_KEY_ALONE) {
            return SHORT_KEY_ALONE | self.key.len() as u8;
        }
        let mut shape = width_of(self.key.len());
        if let Some(value) = self.value {
            shape |= HAS_VALUE | width_of(value.len()) << VALUE_WIDTH_SHIFT;
        }
        if self.number.is_some() {
            shape |= HAS_NUMBER;
        }
        shape
    }
}

/// Where things are in a block of this shape.
#[derive(Clone, Copy)]
struct Layout(u8);

impl Layout {
    /// The length of the key, if it is in the shape: then there is nothing else but the key, right behind the shape.
    #[inline]
    fn short_key_alone(self) -> Option<usize> {
        (self.0 & SHORT_KEY_ALONE != 0).then_some(usize::from(self.0 & !SHORT_KEY_ALONE))
    }

    #[inline]
    fn value_length_at(self) -> usize {
        HEAD_BYTES + (1 << (self.0 & KEY_WIDTH))
    }

    #[inline]
    fn value_width(self) -> u8 {
        self.0 >> VALUE_WIDTH_SHIFT & KEY_WIDTH
    }

    #[inline]
    fn has_value(self) -> bool {
        self.0 & (HAS_VALUE | SHORT_KEY_ALONE) == HAS_VALUE
    }

    #[inline]
    fn has_number(self) -> bool {
        self.0 & (HAS_NUMBER | SHORT_KEY_ALONE) == HAS_NUMBER
    }

    #[inline]
    fn number_at(self) -> usize {
        let value_bytes = usize::from(self.has_value()) << self.value_width();
        self.value_length_at() + value_bytes
    }

    #[inline]
    fn key_at(self) -> usize {
        if self.short_key_alone().is_some() {
            return HEAD_BYTES;
        }
        self.number_at() + usize::from(self.has_number()) * NUMBER_BYTES
    }
}

/// Writes a length field of `1 << width` bytes.
///
/// # Safety
/// The field must be within a block without another user, and be wide enough.
#[inline]
unsafe fn write_length(at: *mut u8, width: u8, length: usize) {
    // SAFETY: the caller vouches for the place.
    unsafe {
        match width {
            0 => at.write(length as u8),
            1 => at.cast::<u16>().write_unaligned(length as u16),
            2 => at.cast::<u32>().write_unaligned(length as u32),
            _ => at.cast::<u64>().write_unaligned(length as u64),
        }
    }
}

/// Reads a length field of `1 << width` bytes.
///
/// # Safety
/// `write_length` must have written it with that width.
#[inline]
unsafe fn read_length(at: *const u8, width: u8) -> usize {
    // SAFETY: the caller vouches for the place.
    unsafe {
        match width {
            0 => usize::from(at.read()),
            1 => usize::from(at.cast::<u16>().read_unaligned()),
            2 => at.cast::<u32>().read_unaligned() as usize,
            _ => at.cast::<u64>().read_unaligned() as usize,
        }
    }
}

impl Element {
    /// A member without anything else. O(length).
    #[inline]
    pub fn new(key: &[u8]) -> Element {
        Element::of(Parts { key, value: None, number: None })
    }

    /// A member with a score. O(length).
    #[inline]
    pub fn with_score(key: &[u8], score: f64) -> Element {
        Element::of(Parts { key, value: None, number: Some(score.to_bits()) })
    }

    /// A field with its value and, if it expires, the time in ms since the epoch. O(length).
    #[inline]
    pub fn with_value(key: &[u8], value: &[u8], expiry_ms: Option<i64>) -> Element {
        Element::of(Parts { key, value: Some(value), number: expiry_ms.map(i64::cast_unsigned) })
    }

    fn of(parts: Parts<'_>) -> Element {
        let Parts { key, value, number } = parts;
        let layout = Layout(parts.shape());
        let key_at = layout.key_at();
        let value_length = value.map_or(0, <[u8]>::len);
        let block = heap::allocate(key_at + key.len() + value_length);
        // SAFETY: the block has room for all parts, which lie behind each other as `Layout` says; it is aligned to
        // eight.
        unsafe {
            let base = block.as_ptr();
            base.cast::<u16>().write(1);
            base.add(2).write(layout.0);
            if layout.short_key_alone().is_none() {
                write_length(base.add(HEAD_BYTES), layout.0 & KEY_WIDTH, key.len());
            }
            if let Some(number) = number {
                let at = base.add(layout.number_at());
                at.cast::<u64>().write_unaligned(number);
            }
            let key_start = base.add(key_at);
            key_start.copy_from_nonoverlapping(key.as_ptr(), key.len());
            if let Some(value) = value {
                let at = base.add(layout.value_length_at());
                write_length(at, layout.value_width(), value.len());
                let value_start = key_start.add(key.len());
                value_start.copy_from_nonoverlapping(value.as_ptr(), value.len());
            }
        }
        Element { block, _not_send: PhantomData }
    }

    #[inline]
    fn base(&self) -> *mut u8 {
        self.block.as_ptr()
    }

    #[inline]
    fn owners(&self) -> u16 {
        // SAFETY: a block begins with its count of owners and is alive as long as one is.
        unsafe { self.base().cast::<u16>().read() }
    }

    #[inline]
    fn set_owners(&self, owners: u16) {
        // SAFETY: as in `owners`; one thread, and no reference to the field is ever made.
        unsafe { self.base().cast::<u16>().write(owners) }
    }

    #[inline]
    fn layout(&self) -> Layout {
        // SAFETY: `of` wrote the shape.
        Layout(unsafe { self.base().add(2).read() })
    }

    #[inline]
    fn key_length(&self) -> usize {
        let layout = self.layout();
        if let Some(length) = layout.short_key_alone() {
            return length;
        }
        // SAFETY: `of` wrote the length with this width.
        unsafe { read_length(self.base().add(HEAD_BYTES), layout.0 & KEY_WIDTH) }
    }

    #[inline]
    fn value_length(&self) -> usize {
        let layout = self.layout();
        if !layout.has_value() {
            return 0;
        }
        // SAFETY: `of` or `set_value` wrote the length with this width.
        unsafe { read_length(self.base().add(layout.value_length_at()), layout.value_width()) }
    }

    /// The key: the member, or the name of the field. O(1).
    #[inline]
    pub fn key(&self) -> &[u8] {
        let key_at = self.layout().key_at();
        // SAFETY: `of` wrote the key there; it does not change while the block is alive.
        unsafe { std::slice::from_raw_parts(self.base().add(key_at), self.key_length()) }
    }

    /// The value; empty if it has none. O(1).
    #[inline]
    pub fn value(&self) -> &[u8] {
        let value_at = self.layout().key_at() + self.key_length();
        // SAFETY: the value lies behind the key; it is changed only through `&mut self` and while the block is not
        // shared.
        unsafe { std::slice::from_raw_parts(self.base().add(value_at), self.value_length()) }
    }

    #[inline]
    fn number(&self) -> Option<u64> {
        let layout = self.layout();
        // SAFETY: the shape says that `of` wrote a number there.
        layout.has_number().then(|| unsafe { self.base().add(layout.number_at()).cast::<u64>().read_unaligned() })
    }

    /// When the field expires, in ms since the epoch, if it does. O(1).
    #[inline]
    pub fn expiry_ms(&self) -> Option<i64> {
        self.number().map(u64::cast_signed)
    }

    /// The score; zero if it has none. O(1).
    #[inline]
    pub fn score(&self) -> f64 {
        f64::from_bits(self.number().unwrap_or_default())
    }

    fn parts(&self) -> Parts<'_> {
        Parts { key: self.key(), value: self.layout().has_value().then(|| self.value()), number: self.number() }
    }

    /// Whether another owner holds the same block, which then does not change: the setters make another one. O(1).
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.owners() > 1
    }

    /// Whether both are the same block. O(1).
    #[inline]
    pub fn is_same(&self, other: &Element) -> bool {
        self.block == other.block
    }

    fn set_number(&mut self, number: Option<u64>) {
        let layout = self.layout();
        match number {
            Some(number) if layout.has_number() && !self.is_shared() => {
                // SAFETY: the shape says that the place exists, and the block has no other owner.
                unsafe {
                    let at = self.base().add(layout.number_at());
                    at.cast::<u64>().write_unaligned(number);
                }
            }
            None if !layout.has_number() => {}
            number => {
                *self = Element::of(Parts { number, ..self.parts() });
            }
        }
    }

    /// Sets the score: in place unless the block is shared or had none. O(1), O(length) for another block.
    #[inline]
    pub fn set_score(&mut self, score: f64) {
        self.set_number(Some(score.to_bits()));
    }

    /// Sets or clears the time when the field expires, in ms since the epoch: in place unless the block is shared or
    /// gets or loses the place for it. O(1), O(length) for another block.
    pub fn set_expiry(&mut self, expiry_ms: Option<i64>) {
        self.set_number(expiry_ms.map(i64::cast_unsigned));
    }

    /// Sets the value; the expiry time stays. In place unless the block is shared or of another size then. O(length).
    pub fn set_value(&mut self, value: &[u8]) {
        let layout = self.layout();
        let value_at = layout.key_at() + self.key_length();
        let (before, after) = (value_at + self.value_length(), value_at + value.len());
        let fits = layout.has_value()
            && layout.value_width() == width_of(value.len())
            && heap::class_size(before) == heap::class_size(after)
            && !self.is_shared();
        if !fits {
            *self = Element::of(Parts { value: Some(value), ..self.parts() });
            return;
        }
        // SAFETY: the value has a place with a length field of this width, the block's size class has room for it, and
        // the block has no other owner. `value` does not lie in it: `&mut self` excludes that.
        unsafe {
            let at = self.base().add(layout.value_length_at());
            write_length(at, layout.value_width(), value.len());
            let start = self.base().add(value_at);
            start.copy_from_nonoverlapping(value.as_ptr(), value.len());
        }
    }

    fn total_bytes(&self) -> usize {
        self.layout().key_at() + self.key_length() + self.value_length()
    }

    /// Bytes that the block takes, spare room of the size class included. O(1).
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        heap::class_size(self.total_bytes())
    }
}

impl Clone for Element {
    /// One more owner of the block. O(1); when a block has all the owners that it can count, a copy of it, O(length).
    #[inline]
    fn clone(&self) -> Element {
        match self.owners().checked_add(1) {
            Some(owners) => {
                self.set_owners(owners);
                Element { block: self.block, _not_send: PhantomData }
            }
            None => Element::of(self.parts()),
        }
    }
}

impl Drop for Element {
    #[inline]
    fn drop(&mut self) {
        let owners = self.owners() - 1;
        if owners > 0 {
            return self.set_owners(owners);
        }
        let total = self.total_bytes();
        // SAFETY: the block was allocated with a size of the same class, and this was its last owner.
        unsafe { deferred_free::free(self.block, total) };
    }
}

impl Entry for Element {
    #[inline]
    fn key(&self) -> &[u8] {
        Element::key(self)
    }

    #[inline]
    fn address(&self) -> *const u8 {
        self.base()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What an element should be.
    #[derive(Clone, Debug, PartialEq)]
    struct Model {
        key: Vec<u8>,
        value: Option<Vec<u8>>,
        number: Option<i64>,
    }

    impl Model {
        fn build(&self) -> Element {
            match &self.value {
                Some(value) => Element::with_value(&self.key, value, self.number),
                None => match self.number {
                    Some(number) => Element::with_score(&self.key, f64::from_bits(number.cast_unsigned())),
                    None => Element::new(&self.key),
                },
            }
        }

        fn check(&self, element: &Element) {
            assert_eq!(element.key(), self.key);
            assert_eq!(element.value(), self.value.as_deref().unwrap_or_default());
            assert_eq!(element.expiry_ms(), self.number);
            assert_eq!(element.score().to_bits(), self.number.unwrap_or_default().cast_unsigned());
        }
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        let long = if cfg!(miri) { 400..500_usize } else { 65_500..65_600 };
        let length = prop_oneof![8 => 0..40_usize, 2 => 120..135_usize, 2 => 240..270_usize, 1 => long];
        (length, any::<u8>())
            .prop_map(|(length, byte)| (0..length).map(|index| byte.wrapping_add(index as u8)).collect())
    }

    #[derive(Clone, Debug)]
    enum Step {
        Value(Vec<u8>),
        Expiry(Option<i64>),
        Score(i64),
        Share,
        LetGo,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => text().prop_map(Step::Value),
            2 => any::<Option<i64>>().prop_map(Step::Expiry),
            2 => any::<i64>().prop_map(Step::Score),
            1 => Just(Step::Share),
            1 => Just(Step::LetGo),
        ]
    }

    proptest! {
        #[test]
        fn an_element_is_what_was_put_in_and_its_shares_stay_as_they_were(
            key in text(),
            value in proptest::option::of(text()),
            number in any::<Option<i64>>(),
            steps in proptest::collection::vec(step(), 0..20),
        ) {
            let before = heap::allocated_bytes();
            let mut model = Model { key, value, number };
            let mut element = model.build();
            let mut shares: Vec<(Model, Element)> = Vec::new();
            for step in steps {
                match step {
                    Step::Value(value) => {
                        element.set_value(&value);
                        model.value = Some(value);
                    }
                    Step::Expiry(expiry_ms) => {
                        element.set_expiry(expiry_ms);
                        model.number = expiry_ms;
                    }
                    Step::Score(bits) => {
                        element.set_score(f64::from_bits(bits.cast_unsigned()));
                        model.number = Some(bits);
                    }
                    Step::Share => {
                        shares.push((model.clone(), element.clone()));
                        prop_assert!(element.is_shared());
                    }
                    Step::LetGo => drop(shares.pop()),
                }
                model.check(&element);
                shares.iter().for_each(|(model, share)| model.check(share));
            }
            drop((element, shares));
            while deferred_free::step() {}
            prop_assert_eq!(heap::allocated_bytes(), before);
        }
    }

    #[test]
    fn an_unshared_element_changes_in_place() {
        let mut element = Element::with_score(b"member", 1.5);
        let address = element.address();
        element.set_score(-2.0);
        assert_eq!((element.score(), element.address()), (-2.0, address));
        let mut element = Element::with_value(b"field", b"value", Some(7));
        let address = element.address();
        element.set_value(b"other");
        element.set_expiry(Some(9));
        assert_eq!(element.address(), address);
        assert_eq!((element.value(), element.expiry_ms()), (&b"other"[..], Some(9)));
        element.set_expiry(None);
        assert_eq!((element.value(), element.expiry_ms()), (&b"other"[..], None));
    }

    #[test]
    fn small_elements_take_the_budgeted_blocks() {
        assert_eq!(Element::new(&[b'm'; 13]).memory_bytes(), 16);
        assert_eq!(Element::with_score(&[b'm'; 13], 1.0).memory_bytes(), 32);
        assert_eq!(Element::with_value(&[b'f'; 10], &[b'v'; 12], None).memory_bytes(), 32);
    }

    #[test]
    #[cfg_attr(miri, ignore = "as many owners as fit a count take Miri minutes")]
    fn more_owners_than_can_be_counted_get_a_copy() {
        let element = Element::with_value(b"field", b"value", None);
        let owners: Vec<Element> = (0..usize::from(u16::MAX) + 5).map(|_| element.clone()).collect();
        assert_eq!(owners.iter().filter(|owner| owner.is_same(&element)).count(), usize::from(u16::MAX) - 1);
        assert!(owners.iter().all(|owner| owner.value() == b"value"));
    }
}
