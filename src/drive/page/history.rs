//! The last hour, second by second, for a viewer that has just come.

use super::event::event;
use crate::engine::state::ServerState;
use crate::observe::explain::Explainer;
use crate::observe::turn_aggregates::Aggregate;
use crate::text::json::Json;

/// Pieces of time that one step looks at.
const STEP_PIECES: usize = 100;
/// Pieces in a second.
const SECOND_PIECES: u64 = 10;

/// A history that is being written: an array with one row for each second in which something happened.
///
/// `[second, turns, requests, busy µs, number of the worst turn, when it began in µs, its length in µs, its longest
/// request]`
#[derive(Default)]
pub(super) struct HistoryWriting {
    rows: Json,
    next_piece: u64,
    second: Second,
}

#[derive(Default)]
struct Second {
    number: u64,
    turns: u64,
    requests: u64,
    busy_ns: f32,
    worst: Option<Aggregate>,
}

impl HistoryWriting {
    /// Writes some rows; tells whether there are more.
    pub(super) fn step(&mut self, state: &ServerState) -> bool {
        let pieces: Vec<Aggregate> =
            state.recorder.aggregates.since(self.next_piece).take(STEP_PIECES).copied().collect();
        for piece in &pieces {
            let number = piece.piece() / SECOND_PIECES;
            if number != self.second.number {
                self.write_second(state);
                self.second = Second { number, ..Second::default() };
            }
            self.second.turns += u64::from(piece.turns);
            self.second.requests += u64::from(piece.requests);
            self.second.busy_ns += piece.busy_ns;
            let longest_ns = self.second.worst.map_or(0.0, |worst| worst.worst.busy_ns());
            if piece.worst.busy_ns() >= longest_ns {
                self.second.worst = Some(*piece);
            }
            self.next_piece = piece.piece() + 1;
        }
        let has_more = pieces.len() == STEP_PIECES;
        if !has_more {
            self.write_second(state);
        }
        has_more
    }

    fn write_second(&mut self, state: &ServerState) {
        let second = std::mem::take(&mut self.second);
        let Some(Aggregate { worst, .. }) = second.worst else {
            return;
        };
        let explainer = Explainer { recorder: &state.recorder, commands: &state.commands };
        self.rows.array(|row| {
            row.number(second.number);
            row.number(second.turns);
            row.number(second.requests);
            row.number((second.busy_ns / 1000.0) as u64);
            row.number(worst.number);
            row.number(worst.began_ns / 1000);
            row.number((worst.busy_ns() / 1000.0) as u64);
            match worst.longest_command {
                Some(_) => {
                    row.string(explainer.request(&worst, worst.longest_client, worst.longest_command).as_bytes());
                }
                None => row.string(b""),
            }
        });
    }

    /// The event.
    pub(super) fn into_text(self) -> String {
        event("history", &format!("[{}]", self.rows.into_text()))
    }
}
