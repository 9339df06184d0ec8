//! Owns what a field is: as it is found, and as it is to become. Never knows in which form its hash is kept.

use smallvec::SmallVec;

use crate::collections::element::Element;

use super::Text;

/// What a lookup of a field gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    pub value: Text<'a>,
    /// When the field expires, in ms since the epoch.
    pub expiry_ms: Option<i64>,
}

impl<'a> Found<'a> {
    /// What an element has.
    #[inline]
    pub fn of(element: &'a Element) -> Found<'a> {
        Found { value: Text::Text(element.value()), expiry_ms: element.expiry_ms() }
    }

    /// Whether the field's time is over. Like a key, a field lives through the millisecond that it expires at.
    #[inline]
    pub fn is_due(&self, now_ms: i64) -> bool {
        self.expiry_ms.is_some_and(|time_ms| time_ms < now_ms)
    }
}

/// A field with its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    pub name: Text<'a>,
    pub found: Found<'a>,
}

impl<'a> Field<'a> {
    /// The field that an element is.
    #[inline]
    pub fn of(element: &'a Element) -> Field<'a> {
        Field { name: Text::Text(element.key()), found: Found::of(element) }
    }
}

/// A value that was worked out.
pub type NewText = SmallVec<[u8; 32]>;

/// What becomes of a field's expiry time when its value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The field no longer expires.
    Clear,
    /// As it was.
    Keep,
    /// At this time, in ms since the epoch.
    At(i64),
}

impl Expiry {
    /// The time that follows on this one.
    #[inline]
    pub fn after(self, before_ms: Option<i64>) -> Option<i64> {
        match self {
            Expiry::Clear => None,
            Expiry::Keep => before_ms,
            Expiry::At(time_ms) => Some(time_ms),
        }
    }
}
