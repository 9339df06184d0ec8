//! CLIENT PAUSE: until when clients wait, and with which commands.

use crate::command::spec::{Flag, FlagSet};

/// Commands that a pause of writes holds back.
const PAUSED_BY_WRITE: FlagSet = FlagSet::of(&[Flag::Write, Flag::MayReplicate]);

/// The pause that is on, if one is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// Until when, in ms since the epoch; 0: no pause.
    pub until_ms: i64,
    /// All commands, or those that write alone.
    pub all: bool,
}

impl Pause {
    /// Whether a pause was called for that is not over as far as is known.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.until_ms != 0
    }

    /// Whether a command with these flags has to wait.
    pub fn holds(&self, flags: FlagSet, now_ms: i64) -> bool {
        let concerned = self.all || flags.intersects(PAUSED_BY_WRITE);
        now_ms < self.until_ms && concerned
    }
}
