//! An element of a list, on its way in, as it lies there, and on its way out. Never knows where it stands.

use bytes::Bytes;
use smallvec::SmallVec;

use crate::collections::listpack::Element;

/// An element as it lies in a list.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    /// One in a listpack.
    Packed(Element<'a>),
    /// One in a buffer of its own.
    Large(&'a Bytes),
}

impl Item<'_> {
    /// Calls with the bytes of the string.
    #[inline]
    pub fn with_bytes<R>(&self, call: impl FnOnce(&[u8]) -> R) -> R {
        match self {
            Item::Packed(element) => element.with_bytes(call),
            Item::Large(bytes) => call(bytes),
        }
    }

    /// A copy to keep. A large one is shared.
    pub fn take(&self) -> Taken {
        match self {
            Item::Packed(element) => Taken::Copied(element.with_bytes(SmallVec::from_slice)),
            Item::Large(bytes) => Taken::Shared((*bytes).clone()),
        }
    }
}

/// A string that is to become an element.
pub trait Given {
    /// Its bytes.
    fn text(&self) -> &[u8];

    /// Its bytes in a buffer, for a large element. O(length) unless they are in one already.
    fn shared(&self) -> Bytes {
        Bytes::copy_from_slice(self.text())
    }
}

impl Given for &[u8] {
    #[inline]
    fn text(&self) -> &[u8] {
        self
    }
}

impl<G: Given> Given for &G {
    fn text(&self) -> &[u8] {
        (*self).text()
    }

    fn shared(&self) -> Bytes {
        (*self).shared()
    }
}

/// An element that was taken out of a list.
#[derive(Clone, Debug)]
pub enum Taken {
    Copied(SmallVec<[u8; 64]>),
    Shared(Bytes),
}

impl Given for Taken {
    fn text(&self) -> &[u8] {
        match self {
            Taken::Copied(bytes) => bytes,
            Taken::Shared(bytes) => bytes,
        }
    }

    fn shared(&self) -> Bytes {
        match self {
            Taken::Copied(bytes) => Bytes::copy_from_slice(bytes),
            Taken::Shared(bytes) => bytes.clone(),
        }
    }
}

/// What a search compares elements with: a string, looked at once.
pub(super) struct Needle<'a> {
    text: &'a [u8],
    integer: Option<i64>,
}

impl<'a> Needle<'a> {
    /// To look for this string.
    pub fn new(text: &'a [u8]) -> Needle<'a> {
        let integer = match Element::of(text) {
            Element::Integer(integer) => Some(integer),
            Element::Text(_) => None,
        };
        Needle { text, integer }
    }

    /// Whether an element is the string.
    #[inline]
    pub fn is(&self, item: Item<'_>) -> bool {
        match item {
            Item::Packed(Element::Integer(integer)) => self.integer == Some(integer),
            Item::Packed(Element::Text(text)) => text == self.text,
            Item::Large(bytes) => &**bytes == self.text,
        }
    }
}
