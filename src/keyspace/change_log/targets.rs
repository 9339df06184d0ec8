//! The targets of a change: the append-only file, the replicas, nodes that slots move to.

use std::ops::{BitAnd, BitOr};

/// One kind of reader of the log of changes. All readers of a kind read the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The append-only file.
    File,
    /// The replicas, and the backlog that they catch up from.
    Replicas,
}

impl Target {
    /// All of them, each at its place (`as usize`).
    pub const ALL: [Target; 2] = [Target::File, Target::Replicas];
}

/// A set of targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets(u8);

impl Targets {
    /// No target.
    pub const NONE: Targets = Targets(0);
    /// The append-only file alone.
    pub const FILE: Targets = Targets(1 << Target::File as u8);
    /// The replicas, and the nodes that slots move to.
    pub const REPLICAS: Targets = Targets(1 << Target::Replicas as u8 | Targets::MOVES.0);
    /// The nodes that slots move to. They read no log: each gets its slots' changes alone.
    pub(in crate::keyspace) const MOVES: Targets = Targets(1 << 2);
    /// Every target.
    pub const ALL: Targets = Targets(Targets::FILE.0 | Targets::REPLICAS.0);
    /// The targets that read the log.
    pub(super) const LOGGED: Targets = Targets(Targets::ALL.0 & !Targets::MOVES.0);

    /// The set of one target.
    #[inline]
    pub fn of(target: Target) -> Targets {
        Targets(1 << target as u8)
    }

    /// Whether the set has that target.
    #[inline]
    pub fn has(self, target: Target) -> bool {
        self.0 & 1 << target as u8 != 0
    }

    /// Whether nodes that slots move to are in the set.
    pub(in crate::keyspace) fn has_moves(self) -> bool {
        self.0 & Targets::MOVES.0 != 0
    }

    /// The others of the set.
    pub fn without(self, target: Target) -> Targets {
        Targets(self.0 & !(1 << target as u8))
    }

    /// Whether the set is empty.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitAnd for Targets {
    type Output = Targets;

    #[inline]
    fn bitand(self, other: Targets) -> Targets {
        Targets(self.0 & other.0)
    }
}

impl BitOr for Targets {
    type Output = Targets;

    #[inline]
    fn bitor(self, other: Targets) -> Targets {
        Targets(self.0 | other.0)
    }
}
