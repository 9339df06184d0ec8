//! The hash. Never a client, a reply, a clock or I/O: whether a field's time is over follows from the time that is
//! handed in.
//!
//! A small hash is a listpack of fields, each followed by its value and, once a field was given an expiry time, by that
//! time (`packed`). A large one is a [`Hash`]: a table of elements, and an index of those that expire, in the order of
//! their times (`large`, `field_expiry`). [`HashRef`] reads either (`view`), [`HashEditor`] changes either and makes a
//! large one of a small one when it passes the [`Limits`] (`editor`).
//!
//! A field whose time is over stays until it is removed; a reader asks [`Found::is_due`] or hands the time in.

pub mod editor;
pub mod field;
pub mod field_expiry;
pub mod view;

mod large;
mod packed;
pub mod random;
#[cfg(test)]
mod tests;

pub use crate::types::hash::editor::{HashEditor, adopt, empty, from_fields};
pub use crate::types::hash::field::{Expiry, Field, Found, NewText};
pub use crate::types::hash::field_expiry::{DueFields, FieldExpiry};
pub use crate::types::hash::view::HashRef;
pub use large::Hash;
pub use packed::Pairs;

/// The text of a field or a value, as it lies in the hash: packed ones may be integers.
pub use crate::collections::listpack::Element as Text;

/// Up to which size a hash is kept packed (`hash-max-listpack-entries`, `hash-max-listpack-value`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub fields: usize,
    /// The longest field or value, in bytes.
    pub text_bytes: usize,
}

impl Limits {
    /// No limits: for changes that add nothing.
    pub const NONE: Limits = Limits { fields: usize::MAX, text_bytes: usize::MAX };

    /// Whether a text may be in a packed hash.
    #[inline]
    pub fn allow(&self, text: &[u8]) -> bool {
        text.len() <= self.text_bytes
    }
}
