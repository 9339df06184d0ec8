//! How readily the kernel ends this process when memory runs out (`oom_score_adj`). Never decides how readily that
//! should be.

use std::{fs, io};

/// Where the kernel keeps the adjustment of the score.
const FILE: &str = "/proc/self/oom_score_adj";
/// The adjustments that the kernel takes.
const RANGE: (i32, i32) = (-1000, 1000);

/// What to make of the adjustment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjustment {
    /// As it was before the first one.
    Undone,
    /// That and so much more.
    Relative(i32),
    /// So much.
    Absolute(i32),
}

/// What is known of the adjustment.
#[derive(Debug, Default)]
pub struct OomScore {
    /// What it was before the first adjustment, while one is in force.
    original: Option<i32>,
}

impl OomScore {
    /// Adjusts the score, or takes the adjustment back.
    ///
    /// Errors: the system's; nothing has changed then.
    pub fn adjust(&mut self, wanted: Adjustment) -> io::Result<()> {
        let original = match (self.original, wanted) {
            (None, Adjustment::Undone) => return Ok(()),
            (Some(original), _) => original,
            (None, _) => read()?,
        };
        let score = match wanted {
            Adjustment::Undone => original,
            Adjustment::Relative(more) => original.saturating_add(more),
            Adjustment::Absolute(score) => score,
        };
        fs::write(FILE, score.clamp(RANGE.0, RANGE.1).to_string())?;
        self.original = (wanted != Adjustment::Undone).then_some(original);
        Ok(())
    }
}

fn read() -> io::Result<i32> {
    let text = fs::read_to_string(FILE)?;
    text.trim().parse().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_adjustment_is_made_and_undone() {
        let mut score = OomScore::default();
        let before = read().expect("the kernel tells");
        score.adjust(Adjustment::Undone).expect("nothing to do");
        // Raising the score needs no privilege.
        score.adjust(Adjustment::Relative(7)).expect("allowed");
        assert_eq!(read().ok(), Some((before + 7).min(1000)));
        score.adjust(Adjustment::Relative(8)).expect("allowed");
        assert_eq!(read().ok(), Some((before + 8).min(1000)));
        score.adjust(Adjustment::Absolute(2000)).expect("allowed");
        assert_eq!(read().ok(), Some(1000));
        // Back to where it was, which needs no right as long as it is no lower than the lowest that was ever set by
        // others.
        if score.adjust(Adjustment::Undone).is_ok() {
            assert_eq!(read().ok(), Some(before));
            assert_eq!(score.original, None);
        }
    }
}
