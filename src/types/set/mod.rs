//! The set. Never a client, a reply, a clock or I/O.
//!
//! A small set is packed: an intset as long as all members are integers, else a listpack. A large one is a [`Set`]: a
//! table of elements (`large`). [`SetRef`] reads any of the three (`reading`), [`SetEditor`] changes any and makes a
//! large one of a small one when it passes the [`Limits`] (`editing`); it never makes a small one of a large one, but
//! for `pop_many`. `algebra` is intersections, unions and differences, `random` picks.

pub mod editor;
pub mod view;

pub mod algebra;
mod chunk;
mod large;
pub mod random;
#[cfg(test)]
mod tests;

pub use crate::types::set::editor::{SetEditor, adopt, empty_for, from_members};
pub use crate::types::set::view::{Member, SetRef};
pub use large::Set;

/// The text of a member, as it lies in a packed set: perhaps an integer.
pub use crate::collections::listpack::Element as Text;

/// Up to which size a set is kept packed (`set-max-intset-entries`, `set-max-listpack-entries`,
/// `set-max-listpack-value`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most members of an intset.
    pub integers: usize,
    /// Most members of a listpack.
    pub members: usize,
    /// The longest member of a listpack, in bytes.
    pub text_bytes: usize,
}

impl Limits {
    /// Most members of an intset, whatever the setting: as in Redis.
    const INTEGERS_MAX: usize = 1 << 30;

    /// Whether an intset may have so many members.
    #[inline]
    fn allow_integers(&self, count: usize) -> bool {
        count <= self.integers.min(Limits::INTEGERS_MAX)
    }

    /// Whether a set of so many members is large, whatever they are.
    fn exclude_packed(&self, count: usize) -> bool {
        !self.allow_integers(count) && count > self.members
    }
}
