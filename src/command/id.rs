//! The number of a command.

/// Which command: an index into the registry, stable for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(u16);

impl CommandId {
    /// The place in tables that run parallel to the registry.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The same as a number of two bytes.
    #[inline]
    pub fn number(self) -> u16 {
        self.0
    }

    /// The command at that place; the families declare a few hundred.
    pub(super) const fn at(index: usize) -> CommandId {
        CommandId(index as u16)
    }
}
