//! Digests of the data of a server that is recorded: now and then a save job writes a pinned version of all data into a
//! running sum, and the sum goes to the tape. A replay makes the same digests at the same turns, and compares them.
//!
//! When the next one begins follows from the clock alone, whose readings are on the tape too.

use xxhash_rust::xxh3::Xxh3;

use crate::base::tape;
use crate::drive::save;
use crate::engine::state::ServerState;
use crate::storage::save::{Chunk, Pace, SaveJob, SaveSink, SaveStep, SinkState};
use crate::storage::snapshot::{Origin, Snapshot};

/// The pause after a digest is at least so many times what it took of the loop's time.
const PAUSE_FACTOR: u64 = 50;

/// The digests of one server.
#[derive(Default)]
pub struct Digests {
    /// Time between two of them, in µs; 0: there are none.
    period_us: u64,
    /// When the next one is due, on the monotonic clock.
    due_us: u64,
    under_way: Option<UnderWay>,
}

/// A digest that is being made.
struct UnderWay {
    job: SaveJob,
    sum: Sum,
    /// The turn that pinned the version.
    turn: u64,
    /// Time that it has taken so far.
    ticks: u64,
}

/// Takes the bytes of a save and keeps their sum.
#[derive(Default)]
struct Sum {
    sum: Xxh3,
    is_complete: bool,
}

impl SaveSink for Sum {
    type Error = std::convert::Infallible;

    fn state(&mut self) -> SinkState<Self::Error> {
        if self.is_complete { SinkState::Complete } else { SinkState::Open }
    }

    fn write(&mut self, chunk: &mut Chunk) {
        self.sum.update(chunk.rest());
        chunk.advance(chunk.rest().len());
    }

    fn finish(&mut self) {
        self.is_complete = true;
    }

    fn chunk_bytes(&self) -> usize {
        // What was made last is in the cache.
        0
    }
}

impl Digests {
    /// The digests that the recording of this thread asks for, if it is recorded or replays one.
    pub fn of_tape() -> Digests {
        match tape::is_on() {
            true => Digests { period_us: tape::digest_period_us(), ..Digests::default() },
            false => Digests::default(),
        }
    }

    /// Whether one is being made.
    pub fn are_being_made(&self) -> bool {
        self.under_way.is_some()
    }

    /// Begins the next one, if it is due; says whether it has. O(databases).
    pub fn begin_if_due(&mut self, state: &ServerState) -> bool {
        if self.period_us == 0 || self.under_way.is_some() || state.is_loading() || !tape::is_on() {
            return false;
        }
        let now_us = state.clock.monotonic_us();
        if now_us < self.due_us.max(self.period_us) {
            return false;
        }
        let mut settings = save::snapshot_settings(state, Origin::Plain);
        (settings.compresses, settings.has_checksum) = (false, false);
        let job = SaveJob::new(Snapshot::pin(&state.keyspace, settings), state.now_ms());
        self.under_way = Some(UnderWay { job, sum: Sum::default(), turn: tape::present_turn(), ticks: 0 });
        true
    }

    /// Does a piece: some ten microseconds' worth. Says whether there is more to do.
    pub fn step(&mut self, state: &mut ServerState) -> bool {
        let Some(digest) = &mut self.under_way else {
            return false;
        };
        let before = state.clock.ticks();
        let step = digest.job.step(&mut digest.sum, Pace::default());
        let after = state.clock.ticks();
        digest.ticks += after.saturating_sub(before);
        if !matches!(step, SaveStep::Complete) {
            return true;
        }
        if let Some(digest) = self.under_way.take() {
            tape::note_digest(digest.sum.sum.digest(), digest.turn);
            let pause_us = state.clock.ticks_as_nanos(digest.ticks) / 1000 * PAUSE_FACTOR;
            self.due_us = state.clock.monotonic_us_at(after) + pause_us.max(self.period_us);
            state.saving.abandon(digest.job);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::base::tape::{End, Player, Recorder};
    use crate::config::Config;
    use crate::keyspace::{Expiry, NewValue};

    /// Runs a server on the thread's tape that changes its data in each turn, to what `value` says.
    fn run(value: impl Fn(u64) -> i64) {
        let entropy = Entropy::Seeded(1);
        let mut state = ServerState::new(&crate::commands::PROGRAM, Config::default(), Clock::taped(), &entropy);
        let mut digests = Digests::of_tape();
        for turn in 0..200 {
            state.refresh_clock();
            state.keyspace.set(0, format!("key:{turn}").as_bytes(), NewValue::Integer(value(turn)), Expiry::Clear);
            digests.begin_if_due(&state);
            while digests.step(&mut state) {}
            std::thread::sleep(std::time::Duration::from_micros(50));
            tape::end_turn();
        }
    }

    /// Replays what was recorded on a server whose data are what `value` says; gives how that ends.
    fn replayed(chunks: Vec<Vec<u8>>, value: impl Fn(u64) -> i64) -> Option<End> {
        let mut chunks = chunks.into_iter();
        let on_end = Box::new(|end: &End| -> std::convert::Infallible { std::panic::panic_any(end.clone()) });
        tape::replay(Player::new(Box::new(move || chunks.next()), on_end));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(value)));
        let compared = tape::compared_digests();
        tape::remove();
        assert!(compared > 1, "{compared}");
        ended.err().and_then(|payload| payload.downcast::<End>().ok()).map(|end| *end)
    }

    #[test]
    fn other_data_are_found_between_two_digests() {
        let chunks: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
        let kept = Rc::clone(&chunks);
        let recorder = Recorder::new(Box::new(move |chunk| {
            kept.borrow_mut().push(chunk);
            Ok(())
        }));
        tape::record(recorder.with_digests(1));
        run(|_| 1);
        assert!(tape::stop());
        let chunks = chunks.take();
        assert_eq!(replayed(chunks.clone(), |_| 1), None);
        match replayed(chunks, |turn| if turn == 150 { 2 } else { 1 }) {
            // The number of a turn is one more.
            Some(End::OtherData { turn, same: Some(same) }) => assert!(same <= 150 && 150 < turn, "{same} {turn}"),
            end => panic!("{end:?}"),
        }
    }
}
