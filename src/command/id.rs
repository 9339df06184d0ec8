//! The number of a command.

use std::num::NonZeroU16;

/// Which command: an index into the registry, stable for the life of the process. It is kept plus one, so that a
/// command that may be missing takes two bytes as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(NonZeroU16);

impl CommandId {
    /// The place in tables that run parallel to the registry.
    pub fn index(self) -> usize {
        usize::from(self.number())
    }

    /// The same as a number of two bytes.
    #[inline]
    pub fn number(self) -> u16 {
        self.0.get() - 1
    }

    /// The command at that place; the families declare a few hundred.
    pub(super) const fn at(index: usize) -> CommandId {
        CommandId(NonZeroU16::MIN.saturating_add(index as u16))
    }
}
