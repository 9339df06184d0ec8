//! What the loop tells of a turn at its end: to its statistics, and to the recorder.

use crate::observe::loop_stats::Phase;
use crate::observe::recorder::TurnFacts;
use crate::observe::turn::{Part, TurnEnd};

use super::event_loop::EventLoop;

impl EventLoop {
    /// Why the turn is over: what is left for the next one.
    #[inline]
    fn turn_end(&self) -> TurnEnd {
        if !self.ready.is_empty() {
            TurnEnd::ClientsLeft
        } else if !self.accepting.is_empty() {
            TurnEnd::AcceptsLeft
        } else if !self.flushing.is_empty() {
            TurnEnd::RepliesLeft
        } else if self.jobs.have_work() {
            TurnEnd::JobsLeft
        } else {
            TurnEnd::Done
        }
    }

    /// Notes what the turn took; gets the times at which its phases began, in ticks.
    pub(crate) fn note_turn(&mut self, begun: [u64; Phase::ALL.len()], commands_before: u64) {
        let ended = self.state.clock.ticks();
        let (recorder, stats) = (&self.state.recorder, &self.state.stats);
        let mut phases_ns = [0; Phase::ALL.len()];
        for (index, began) in begun.iter().enumerate() {
            let next = begun.get(index + 1).copied().unwrap_or(ended);
            // In most turns there is nothing but clients.
            if next > *began {
                phases_ns[index] = recorder.nanos(next - began);
            }
        }
        let waited_ns = recorder.nanos(begun[0].saturating_sub(self.turn_ended));
        let (input_bytes, output_bytes) = (stats.input_bytes, stats.output_bytes);
        let facts = TurnFacts { last_ended: self.turn_ended, input_bytes, output_bytes, end: self.turn_end() };
        self.state.recorder.mark(Part::Finish, ended);
        self.state.recorder.end_turn(&self.state.clock, &facts);
        self.turn_ended = ended;
        let commands = self.state.stats.commands.saturating_sub(commands_before);
        self.state.loop_stats.note_turn(waited_ns, phases_ns, commands);
    }
}
