//! What the requests about each slot of a cluster's node cost: time, bytes received, bytes sent.
//!
//! `engine/slot_stats.rs` counts, CLUSTER SLOT-STATS shows the sums.

use crate::collections::key_slot::SLOTS;

/// The sums of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotFigures {
    pub cpu_ticks: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
}

/// The request that is being run, as far as its slot is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// The slot of its keys; none if it has no keys, or their slots differ.
    pub slot: Option<u16>,
    /// Bytes of replies that were there before its own.
    pub reply_start: usize,
    /// It has run a script that has called commands and may use keys of any slot: its cost belongs to none of them.
    pub is_torn: bool,
}

/// The sums of all slots.
#[derive(Debug, Default)]
pub struct SlotStats {
    /// Empty until counting begins for the first time.
    figures: Vec<SlotFigures>,
    is_on: bool,
    pub running: Running,
}

impl SlotStats {
    /// Whether requests are counted.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// Counts requests from now on, or does so no longer. The sums stay.
    pub fn set_on(&mut self, is_on: bool) {
        self.is_on = is_on;
        self.running = Running::default();
        if is_on && self.figures.is_empty() {
            self.figures = vec![SlotFigures::default(); usize::from(SLOTS)];
        }
    }

    /// The sums of a slot.
    pub fn of(&self, slot: u16) -> SlotFigures {
        self.figures.get(usize::from(slot)).copied().unwrap_or_default()
    }

    /// Adds to the sums of a slot.
    pub fn add(&mut self, slot: u16, more: SlotFigures) {
        if let Some(sums) = self.figures.get_mut(usize::from(slot)) {
            sums.cpu_ticks += more.cpu_ticks;
            sums.bytes_in += more.bytes_in;
            sums.bytes_out += more.bytes_out;
        }
    }

    /// Sets the sums of these slots to zero.
    pub fn reset(&mut self, slots: impl Iterator<Item = u16>) {
        for slot in slots {
            if let Some(sums) = self.figures.get_mut(usize::from(slot)) {
                *sums = SlotFigures::default();
            }
        }
    }

    /// Sets all sums to zero.
    pub fn reset_all(&mut self) {
        self.figures.fill(SlotFigures::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stay_when_counting_ends() {
        let mut stats = SlotStats::default();
        let cost = SlotFigures { cpu_ticks: 1, bytes_in: 2, bytes_out: 3 };
        stats.add(5, cost);
        assert_eq!(stats.of(5), SlotFigures::default());
        stats.set_on(true);
        stats.add(5, cost);
        stats.add(5, cost);
        stats.add(SLOTS, cost);
        stats.set_on(false);
        stats.set_on(true);
        assert_eq!(stats.of(5), SlotFigures { cpu_ticks: 2, bytes_in: 4, bytes_out: 6 });
        stats.reset([5, SLOTS].into_iter());
        assert_eq!(stats.of(5), SlotFigures::default());
    }
}
