//! The last turns of the loop.

use super::chunked_ring::ChunkedRing;
use super::turn::Turn;

/// The newest turns that were worth a record, oldest first.
#[derive(Debug, Default)]
pub struct TurnRing {
    turns: ChunkedRing<Turn>,
}

impl TurnRing {
    /// A ring that takes so many bytes when it is full.
    pub fn with_bytes(bytes: usize) -> TurnRing {
        TurnRing { turns: ChunkedRing::with_capacity(bytes / size_of::<Turn>()) }
    }

    /// Adds the turn that has just ended.
    #[inline]
    pub fn push(&mut self, turn: &Turn) {
        self.turns.push(turn);
    }

    /// The turns, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Turn> {
        self.turns.iter()
    }

    /// The turn of that number, if it is kept. O(log turns).
    pub fn find(&self, number: u64) -> Option<&Turn> {
        self.since(number).next().filter(|turn| turn.number == number)
    }

    /// The turns of that number and later, oldest first. O(log turns) to find the first.
    pub fn since(&self, number: u64) -> impl Iterator<Item = &Turn> {
        let std::ops::Range { mut start, end } = self.turns.range();
        let mut behind = end;
        while start < behind {
            let middle = start + (behind - start) / 2;
            match self.turns.get(middle).is_some_and(|turn| turn.number < number) {
                true => start = middle + 1,
                false => behind = middle,
            }
        }
        (start..end).filter_map(|place| self.turns.get(place))
    }

    /// The longest turns of those that began at `since_ns` or later, longest first. O(turns).
    pub fn slowest(&self, count: usize, since_ns: u64) -> Vec<&Turn> {
        let mut found: Vec<(f32, &Turn)> =
            self.iter().rev().take_while(|turn| turn.began_ns >= since_ns).map(|turn| (turn.busy_ns(), turn)).collect();
        let longer = |a: &(f32, &Turn), b: &(f32, &Turn)| b.0.total_cmp(&a.0).then(a.1.number.cmp(&b.1.number));
        if count < found.len() {
            found.select_nth_unstable_by(count, longer);
            found.truncate(count);
        }
        found.sort_unstable_by(longer);
        found.into_iter().map(|(_, turn)| turn).collect()
    }

    /// How many turns are kept, and how many at most.
    pub fn fill(&self) -> (usize, usize) {
        (self.turns.len(), self.turns.capacity())
    }

    /// Memory taken so far, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.turns.memory_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::turn::Part;
    use super::*;

    fn turn(number: u64, busy_ns: f32) -> Turn {
        let mut turn = Turn { number, began_ns: number * 1000, ..Turn::default() };
        turn.parts_ns[Part::Run as usize] = busy_ns;
        turn
    }

    #[test]
    fn the_slowest_are_those_of_a_sorted_list() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut ring = TurnRing::with_bytes(100 * 128);
        let mut model: Vec<Turn> = Vec::new();
        for number in 0..500 {
            // Gaps: turns without work are not kept.
            let turn = turn(number * 3, random.u32(0..50) as f32);
            ring.push(&turn);
            model.push(turn);
            let kept = &model[model.len().saturating_sub(100)..];
            let since_ns = random.u64(0..number * 3000 + 1);
            let mut expected: Vec<&Turn> = kept.iter().filter(|turn| turn.began_ns >= since_ns).collect();
            expected.sort_by(|a, b| b.busy_ns().total_cmp(&a.busy_ns()).then(a.number.cmp(&b.number)));
            expected.truncate(7);
            let numbers = |turns: &[&Turn]| turns.iter().map(|turn| turn.number).collect::<Vec<_>>();
            assert_eq!(numbers(&ring.slowest(7, since_ns)), numbers(&expected));
            for wanted in 0..number * 3 + 3 {
                let known = kept.iter().find(|turn| turn.number == wanted).map(|turn| turn.number);
                assert_eq!(ring.find(wanted).map(|turn| turn.number), known);
            }
        }
        assert_eq!(ring.fill(), (100, 100));
    }
}
