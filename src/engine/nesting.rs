//! Nesting: commands that run within a larger unit of work, whose effects are passed on when the outermost unit is
//! over.
//!
//! A unit that ends in the function that began it is a call of `ServerState::within`. One that outlives the function (a
//! suspended script, the rest of its transaction, a session of the debugger) keeps the `OpenUnit`, and gives it back
//! with `Nesting::end`.

/// Why commands are nested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NestingReason {
    /// EXEC runs what was queued.
    Transaction,
    /// A script or function runs, or is suspended.
    Script,
    /// The debugger runs a script, or keeps all other clients waiting for one.
    Debugging,
    /// Clients are served that waited for keys or for the disk.
    Waking,
}

const REASONS: usize = NestingReason::Waking as usize + 1;

/// A unit that has begun. It must be given back to `Nesting::end`.
#[derive(Debug)]
#[must_use = "the unit is open until `Nesting::end`"]
pub struct OpenUnit(NestingReason);

/// The open units, counted by reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Nesting {
    open: [u16; REASONS],
}

impl Nesting {
    /// Begins a unit, within any that are open.
    #[inline]
    pub fn begin(&mut self, reason: NestingReason) -> OpenUnit {
        self.open[reason as usize] += 1;
        OpenUnit(reason)
    }

    /// Ends a unit.
    #[inline]
    pub fn end(&mut self, OpenUnit(reason): OpenUnit) {
        self.open[reason as usize] -= 1;
    }

    /// Whether any unit is open.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.open != [0; REASONS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_open_until_the_last_has_ended() {
        let mut nesting = Nesting::default();
        let transaction = nesting.begin(NestingReason::Transaction);
        let first = nesting.begin(NestingReason::Script);
        let second = nesting.begin(NestingReason::Script);
        // The transaction may end before a script that it has begun is put away.
        for unit in [transaction, first, second] {
            assert!(nesting.is_open());
            nesting.end(unit);
        }
        assert!(!nesting.is_open());
        assert_eq!(nesting, Nesting::default());
    }
}
