//! How often a script's time is looked at. Lua counts its instructions and calls the hook after so many; an instruction
//! that calls a function of C takes much longer than others, so the number follows the time that the last ones took.

use std::cell::Cell;
use std::ffi::c_int;

use crate::base::clock::Ticks;

/// Instructions between two looks at the clock: to begin with, and the fewest and most.
pub(super) const BEGIN: c_int = 5_000;
const MIN: c_int = 20;
const MAX: c_int = 10_000;

/// What is between two looks at the clock should not take longer, or shorter, in ns.
const GAP_MAX_NS: u64 = 250_000;
const GAP_MIN_NS: u64 = 100_000;

/// The number of instructions for now.
pub(super) struct Pace {
    instructions: Cell<c_int>,
    /// When the clock was looked at last, in ticks; none if something else ran since.
    seen: Cell<Option<u64>>,
}

impl Pace {
    pub fn new() -> Pace {
        Pace { instructions: Cell::new(BEGIN), seen: Cell::new(None) }
    }

    /// The script has stood still, or another one begins: the time until now is not its own.
    pub fn rest(&self) {
        self.seen.set(None);
    }

    /// The clock was looked at.
    pub fn look(&self, ticks: &Ticks, now: u64) {
        if let Some(before) = self.seen.replace(Some(now)) {
            self.follow(ticks.nanos_between(before, now));
        }
    }

    /// So much time has passed between two looks.
    fn follow(&self, elapsed_ns: u64) {
        let instructions = self.instructions.get();
        if elapsed_ns > GAP_MAX_NS {
            self.instructions.set((instructions / 4).max(MIN));
        } else if elapsed_ns < GAP_MIN_NS {
            self.instructions.set((instructions * 2).min(MAX));
        }
    }

    /// After how many instructions the hook is to be called next.
    pub fn instructions(&self) -> c_int {
        self.instructions.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_instructions_are_looked_at_more_often() {
        let pace = Pace::new();
        assert_eq!(pace.instructions(), BEGIN);
        pace.follow(10 * GAP_MAX_NS);
        assert_eq!(pace.instructions(), BEGIN / 4);
        for _ in 0..20 {
            pace.follow(GAP_MAX_NS + 1);
        }
        assert_eq!(pace.instructions(), MIN);
        pace.follow(GAP_MIN_NS);
        assert_eq!(pace.instructions(), MIN, "this is as it should be");
        for _ in 0..20 {
            pace.follow(0);
        }
        assert_eq!(pace.instructions(), MAX);
    }
}
