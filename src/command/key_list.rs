//! The keys of a request: where they stand and what is done to them.

use smallvec::SmallVec;

use crate::resp::Args;

/// What a command does to a key, named as COMMAND INFO names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum KeyFlag {
    Ro,
    Rw,
    Ow,
    Rm,
    Access,
    Update,
    Insert,
    Delete,
    NotKey,
    Incomplete,
    VariableFlags,
}

impl KeyFlag {
    /// The name in COMMAND INFO and COMMAND GETKEYSANDFLAGS.
    pub fn name(self) -> &'static str {
        match self {
            KeyFlag::Ro => "RO",
            KeyFlag::Rw => "RW",
            KeyFlag::Ow => "OW",
            KeyFlag::Rm => "RM",
            KeyFlag::Access => "access",
            KeyFlag::Update => "update",
            KeyFlag::Insert => "insert",
            KeyFlag::Delete => "delete",
            KeyFlag::NotKey => "not_key",
            KeyFlag::Incomplete => "incomplete",
            KeyFlag::VariableFlags => "variable_flags",
        }
    }
}

/// One key of a request: which argument it is and what the command does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyReference {
    pub index: usize,
    pub flags: &'static [KeyFlag],
}

impl KeyReference {
    /// A key whose value is read.
    pub fn read(index: usize) -> KeyReference {
        let flags = &[KeyFlag::Ro, KeyFlag::Access];
        KeyReference { index, flags }
    }

    /// A key that gets a new value whatever it holds.
    pub fn overwrite(index: usize) -> KeyReference {
        let flags = &[KeyFlag::Ow, KeyFlag::Update];
        KeyReference { index, flags }
    }

    /// A key whose value is read and changed.
    pub fn read_and_update(index: usize) -> KeyReference {
        let flags = &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Update];
        KeyReference { index, flags }
    }

    /// A key that is removed unseen.
    pub fn remove(index: usize) -> KeyReference {
        let flags = &[KeyFlag::Rm, KeyFlag::Delete];
        KeyReference { index, flags }
    }

    /// A key whose value is read and that is removed.
    pub fn take_away(index: usize) -> KeyReference {
        let flags = &[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete];
        KeyReference { index, flags }
    }
}

/// The keys of one request, in the order of the command's declarations.
pub type KeyList = SmallVec<[KeyReference; 4]>;

/// What is done to a key as far as permissions tell it apart: reading what is in it, changing it, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAccess(u8);

impl KeyAccess {
    /// Neither: whether it is there may be seen, and the like.
    pub const NONE: KeyAccess = KeyAccess(0);
    pub const READ: KeyAccess = KeyAccess(1);
    pub const WRITE: KeyAccess = KeyAccess(2);
    pub const ALL: KeyAccess = KeyAccess(3);

    /// What a command with these flags does to its key.
    pub fn of(flags: &[KeyFlag]) -> KeyAccess {
        flags.iter().fold(KeyAccess::NONE, |access, flag| {
            access.union(match flag {
                KeyFlag::Access => KeyAccess::READ,
                KeyFlag::Insert | KeyFlag::Delete | KeyFlag::Update => KeyAccess::WRITE,
                _ => KeyAccess::NONE,
            })
        })
    }

    /// What either does.
    pub fn union(self, other: KeyAccess) -> KeyAccess {
        KeyAccess(self.0 | other.0)
    }

    /// Whether the other does nothing beyond this.
    #[inline]
    pub fn includes(self, other: KeyAccess) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A command's own way to find its keys.
pub type KeyFinder = for<'a> fn(Args<'a>) -> KeyList;
