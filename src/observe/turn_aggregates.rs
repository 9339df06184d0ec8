//! The last hour in pieces of 100 ms, each with its worst turn and the visits of clients in it.

use super::chunked_ring::ChunkedRing;
use super::turn::{Turn, Visit};

/// How long a piece is, in ns.
pub const PERIOD_NS: u64 = 100_000_000;
/// Pieces that make an hour.
const PIECES_MAX: usize = 36_000;
/// Visits kept of a turn.
pub const VISITS_MAX: usize = 256;

/// What happened within one piece of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Aggregate {
    /// The turn that took the longest.
    pub worst: Turn,
    pub turns: u32,
    pub requests: u32,
    pub busy_ns: f32,
    visits_at: u64,
    visits: u16,
}

impl Aggregate {
    /// Which piece of time it is.
    pub fn piece(&self) -> u64 {
        self.worst.began_ns / PERIOD_NS
    }
}

/// A worst turn with its visits, oldest first.
pub struct Moment<'a> {
    pub aggregate: &'a Aggregate,
    pub visits: Vec<Visit>,
}

/// The pieces, oldest first. Pieces in which nothing happened take no place.
#[derive(Debug, Default)]
pub struct TurnAggregates {
    pieces: ChunkedRing<Aggregate>,
    visits: ChunkedRing<Visit>,
    /// The piece that goes on, when it ends, how long its worst turn was, and that turn's visits.
    open: Aggregate,
    open_until_ns: u64,
    open_worst_ns: f32,
    open_visits: Vec<Visit>,
}

impl TurnAggregates {
    /// Aggregates that take so many bytes when an hour is full. With less than an hour needs, less than an hour is
    /// kept.
    pub fn with_bytes(bytes: usize) -> TurnAggregates {
        let pieces = (bytes * 3 / 4 / size_of::<Aggregate>()).min(PIECES_MAX);
        let left_bytes = bytes - pieces * size_of::<Aggregate>();
        TurnAggregates {
            pieces: ChunkedRing::with_capacity(pieces),
            visits: ChunkedRing::with_capacity(left_bytes / size_of::<Visit>()),
            open: Aggregate::default(),
            open_until_ns: 0,
            open_worst_ns: 0.0,
            open_visits: Vec::new(),
        }
    }

    /// Adds a turn; `visits` writes down its visits, and is called only if this is the worst turn of its piece so far.
    pub fn push(&mut self, turn: &Turn, busy_ns: f32, visits: impl FnOnce(&mut Vec<Visit>)) {
        let is_new = turn.began_ns >= self.open_until_ns;
        if is_new {
            self.seal();
            self.open_until_ns = (turn.began_ns / PERIOD_NS + 1) * PERIOD_NS;
        }
        self.open.turns += 1;
        self.open.requests = self.open.requests.saturating_add(turn.requests);
        self.open.busy_ns += busy_ns;
        if is_new || busy_ns > self.open_worst_ns {
            self.open_worst_ns = busy_ns;
            self.open.worst = *turn;
            self.open_visits.clear();
            visits(&mut self.open_visits);
            self.open_visits.truncate(VISITS_MAX);
        }
    }

    /// Ends the piece that goes on.
    fn seal(&mut self) {
        if self.open.turns > 0 {
            self.open.visits_at = self.visits.range().end;
            self.open.visits = self.open_visits.len() as u16;
            self.open_visits.iter().for_each(|visit| self.visits.push(visit));
            self.pieces.push(&self.open);
        }
        self.open = Aggregate::default();
    }

    /// The worst turns, newest first. Visits that have gone for want of room are missing.
    pub fn moments(&self) -> impl Iterator<Item = Moment<'_>> {
        let open = (self.open.turns > 0).then(|| Moment { aggregate: &self.open, visits: self.open_visits.clone() });
        let sealed = self.pieces.iter().rev().map(|aggregate| Moment { aggregate, visits: self.visits_of(aggregate) });
        open.into_iter().chain(sealed)
    }

    /// The pieces from that one on, oldest first, the one that goes on included. O(log pieces) to find the first.
    pub fn since(&self, piece: u64) -> impl Iterator<Item = &Aggregate> {
        let std::ops::Range { mut start, end } = self.pieces.range();
        let mut behind = end;
        while start < behind {
            let middle = start + (behind - start) / 2;
            match self.pieces.get(middle).is_some_and(|aggregate| aggregate.piece() < piece) {
                true => start = middle + 1,
                false => behind = middle,
            }
        }
        let open = (self.open.turns > 0 && self.open.piece() >= piece).then_some(&self.open);
        (start..end).filter_map(|place| self.pieces.get(place)).chain(open)
    }

    /// The visits of a piece's worst turn, as far as they are kept.
    pub fn visits_of(&self, aggregate: &Aggregate) -> Vec<Visit> {
        if aggregate.worst.number == self.open.worst.number {
            return self.open_visits.clone();
        }
        let range = aggregate.visits_at..aggregate.visits_at + u64::from(aggregate.visits);
        range.filter_map(|number| self.visits.get(number).copied()).collect()
    }

    /// How many pieces are kept, and how many at most.
    pub fn fill(&self) -> (usize, usize) {
        (self.pieces.len(), self.pieces.capacity())
    }

    /// Memory taken so far, in bytes.
    pub fn memory_bytes(&self) -> usize {
        let open_bytes = self.open_visits.capacity() * size_of::<Visit>();
        self.pieces.memory_bytes() + self.visits.memory_bytes() + open_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::super::turn::Part;
    use super::*;

    fn turn(number: u64, began_ns: u64, busy_ns: f32) -> Turn {
        let mut turn = Turn { number, began_ns, requests: 2, ..Turn::default() };
        turn.parts_ns[Part::Run as usize] = busy_ns;
        turn
    }

    /// Two visits that tell by their client which turn they are of.
    fn visits_of(number: u64) -> [Visit; 2] {
        [Visit { client: number, ..Visit::default() }, Visit { client: number + 1_000_000, ..Visit::default() }]
    }

    #[test]
    fn each_piece_keeps_its_first_worst_turn_with_its_visits() {
        let mut random = fastrand::Rng::with_seed(11);
        let mut aggregates = TurnAggregates::with_bytes(1 << 20);
        let mut model: Vec<(u64, Vec<Turn>)> = Vec::new();
        let mut began_ns = 0;
        for number in 0..5000 {
            began_ns += random.u64(0..80_000_000);
            let turn = turn(number, began_ns, random.u32(1..20) as f32);
            aggregates.push(&turn, turn.busy_ns(), |kept| kept.extend(visits_of(number)));
            match model.last_mut() {
                Some((piece, turns)) if *piece == began_ns / PERIOD_NS => turns.push(turn),
                _ => model.push((began_ns / PERIOD_NS, vec![turn])),
            }
        }
        let moments: Vec<Moment<'_>> = aggregates.moments().collect();
        assert!(moments.len() > 1000 && moments.len() == model.len());
        for (moment, (_, turns)) in moments.iter().zip(model.iter().rev()) {
            let longest_ns = turns.iter().map(Turn::busy_ns).fold(0.0, f32::max);
            let worst = turns.iter().find(|turn| turn.busy_ns() == longest_ns).expect("a turn");
            assert_eq!(moment.aggregate.worst.number, worst.number);
            assert_eq!(moment.visits, visits_of(worst.number));
            assert_eq!(moment.aggregate.turns as usize, turns.len());
            assert_eq!(moment.aggregate.requests as usize, turns.len() * 2);
            assert_eq!(moment.aggregate.busy_ns, turns.iter().map(Turn::busy_ns).sum::<f32>());
        }
    }

    #[test]
    fn of_the_oldest_turns_the_visits_go_first() {
        let mut aggregates = TurnAggregates::with_bytes(64 * 1024);
        for number in 0..2000u64 {
            let turn = turn(number, number * PERIOD_NS, 1.0);
            aggregates.push(&turn, 1.0, |kept| kept.extend((0..500).map(|_| visits_of(number)[0])));
        }
        let (kept, most) = aggregates.fill();
        assert_eq!((kept, most), (64 * 1024 * 3 / 4 / size_of::<Aggregate>(), kept));
        let counts: Vec<usize> = aggregates.moments().map(|moment| moment.visits.len()).collect();
        assert_eq!(counts[..2], [VISITS_MAX, VISITS_MAX]);
        assert!(counts[10..].iter().all(|count| *count == 0), "{counts:?}");
        for moment in aggregates.moments() {
            assert!(moment.visits.iter().all(|visit| visit.client == moment.aggregate.worst.number));
        }
        assert!(aggregates.memory_bytes() <= 64 * 1024 + VISITS_MAX * 2 * size_of::<Visit>() * 2);
    }

    #[test]
    fn an_hour_fits_into_half_of_the_default_size() {
        let aggregates = TurnAggregates::with_bytes(8 << 20);
        assert_eq!(aggregates.fill(), (0, PIECES_MAX));
        assert_eq!(aggregates.memory_bytes(), 0);
    }
}
