//! The turns that are kept, written as a trace over several turns.

use crate::engine::state::ServerState;
use crate::observe::explain::Explainer;
use crate::observe::trace::TraceWriter;
use crate::observe::turn_aggregates::PERIOD_NS;

/// Turns that one step writes: each is about a kilobyte.
const STEP_TURNS: usize = 16;
/// Turns of a trace, the newest that there are.
const TURNS_MAX: u64 = 20_000;

/// A trace that is being written.
#[derive(Default)]
pub(super) struct TraceWriting {
    writer: TraceWriter,
    /// The next turn to write and the last; known after the first step.
    numbers: Option<(u64, u64)>,
}

impl TraceWriting {
    /// Writes some turns; tells whether there are more.
    pub(super) fn step(&mut self, state: &ServerState) -> bool {
        let recorder = &state.recorder;
        let (next, last) = *self.numbers.get_or_insert_with(|| {
            let last = recorder.turns.iter().next_back().map_or(0, |turn| turn.number);
            let first = recorder.turns.iter().rev().nth(TURNS_MAX as usize - 1).map_or(0, |turn| turn.number);
            (first, last)
        });
        let explainer = Explainer { recorder, commands: &state.commands };
        let mut reached = next;
        for turn in recorder.turns.since(next).take_while(|turn| turn.number <= last).take(STEP_TURNS) {
            let mut pieces = recorder.aggregates.since(turn.began_ns / PERIOD_NS);
            let kept = pieces.next().filter(|aggregate| aggregate.worst.number == turn.number);
            let visits = kept.map(|aggregate| recorder.aggregates.visits_of(aggregate)).unwrap_or_default();
            self.writer.add(&explainer, turn, &visits);
            reached = turn.number + 1;
        }
        self.numbers = Some((reached, last));
        reached > next && reached <= last
    }

    /// The trace.
    pub(super) fn into_text(self) -> String {
        self.writer.end()
    }
}
