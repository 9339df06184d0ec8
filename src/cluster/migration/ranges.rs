//! Ranges of slots in the order of the command.

use std::fmt;
use std::ops::RangeInclusive;

use super::super::slot::SlotSet;

/// Ranges of slots that do not overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotRanges {
    ranges: Vec<RangeInclusive<u16>>,
}

impl SlotRanges {
    /// Adds a range.
    ///
    /// Errors: an existing range that the new one overlaps.
    pub fn add(&mut self, first: u16, last: u16) -> Result<(), RangeInclusive<u16>> {
        let overlapped = self.ranges.iter().find(|range| first <= *range.end() && last >= *range.start());
        if let Some(range) = overlapped {
            return Err(range.clone());
        }
        self.ranges.push(first..=last);
        Ok(())
    }

    /// Whether there are no ranges.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges, in order.
    pub fn iter(&self) -> impl Iterator<Item = &RangeInclusive<u16>> {
        self.ranges.iter()
    }

    /// The slots.
    pub fn slots(&self) -> SlotSet {
        self.ranges.iter().flat_map(|range| range.clone()).collect()
    }
}

/// The form of CLUSTER GETSLOTMIGRATIONS: `1-1 5-7`.
impl fmt::Display for SlotRanges {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.ranges.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(formatter, "{space}{}-{}", range.start(), range.end())?;
        }
        Ok(())
    }
}
