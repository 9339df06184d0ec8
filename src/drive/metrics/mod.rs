//! The server's figures as text for Prometheus: what the HTTP port serves at `/metrics`.
//!
//! Never counts anything, as INFO does not, and never holds the loop: the text is written by a job in steps of some
//! microseconds, since clients and commands may be many.
//!
//! `families` is the table of metrics, `samples` and `loop_samples` write those with labels, `view` is what figures are
//! taken from, `text` is the format.

mod cluster;
pub mod families;
mod loop_samples;
mod prefixes;
mod replication;
mod samples;
pub mod text;
mod view;

use std::rc::Rc;

use crate::command::registry::{Command, CommandId};
use crate::engine::session::{Blocked, Close};
use crate::engine::state::ServerState;
use crate::observe::loop_stats::LoopStats;

use families::{FAMILIES, Family, Samples};
use text::Text;
use view::{ClientFigures, View};

/// The type of the text, as HTTP names it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Places of clients that one step looks at.
const STEP_CLIENTS: usize = 64;
/// Commands without histograms that one step writes.
const STEP_COMMANDS: usize = 32;

/// The text that is being written, and the one that has been.
#[derive(Default)]
pub struct Metrics {
    writing: Option<Box<Writing>>,
    written: Option<Rc<[u8]>>,
}

impl Metrics {
    /// Begins to write the figures down, unless that is going on.
    pub fn begin(&mut self) {
        self.writing.get_or_insert_default();
    }

    /// Whether a text is being written.
    #[inline]
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Writes a piece of the text; tells whether there is more to write.
    pub fn step(&mut self, state: &ServerState) -> bool {
        let Some(mut writing) = self.writing.take() else {
            return false;
        };
        let more = writing.step(state);
        match more {
            true => self.writing = Some(writing),
            false => self.written = Some(writing.text.into_bytes().into()),
        }
        more
    }

    /// The text, once it is complete.
    pub fn take_written(&mut self) -> Option<Rc<[u8]>> {
        self.written.take()
    }
}

/// How far a text has come.
#[derive(Default)]
struct Writing {
    text: Text,
    clients: ClientFigures,
    /// What the loop had measured when the text was begun. The text is written over several turns, and the sums in it
    /// must agree with each other.
    turns: LoopStats,
    next: Next,
}

/// What is to be written next.
#[derive(Default)]
enum Next {
    /// What the loop has measured is copied first.
    #[default]
    Turns,
    /// Then the clients are looked at, from this place on.
    Clients(usize),
    /// A family of metrics.
    Family(usize),
    /// A family's lines on commands, from this one on.
    Commands { family: usize, index: usize },
}

impl Writing {
    fn step(&mut self, state: &ServerState) -> bool {
        match self.next {
            Next::Turns => {
                self.turns = state.loop_stats;
                self.next = Next::Clients(0);
            }
            Next::Clients(place) => self.look_at_clients(state, place),
            Next::Family(family) => self.write_family(state, family),
            Next::Commands { family, index } => self.write_commands(state, family, index),
        }
        !matches!(self.next, Next::Family(family) if family == family_count())
    }

    fn look_at_clients(&mut self, state: &ServerState, place: usize) {
        let end = place + STEP_CLIENTS;
        for session in state.clients.in_places(place..end) {
            let waits = !matches!(session.blocked, None | Some(Blocked::Script));
            self.clients.blocked += u64::from(waits && session.close != Close::Now);
            self.clients.memory_bytes += session.total_memory() as u64;
        }
        self.next = match end < state.clients.places() {
            true => Next::Clients(end),
            false => Next::Family(0),
        };
    }

    fn write_family(&mut self, state: &ServerState, index: usize) {
        let family = family_at(index);
        self.text.head(family.name, family.kind, family.help);
        let view = View { state, clients: self.clients, turns: &self.turns };
        self.next = Next::Family(index + 1);
        match family.samples {
            Samples::Count(count) => self.text.sample(family.name, &[], count(&view)),
            Samples::Number(number) => self.text.sample(family.name, &[], number(&view)),
            Samples::Seconds(nanos) => {
                self.text.sample(family.name, &[], text::seconds(nanos(&view)));
            }
            Samples::Several(write) => write(&view, family.name, &mut self.text),
            Samples::OfCommands(_) | Samples::Latencies => {
                self.next = Next::Commands { family: index, index: 0 };
            }
        }
    }

    /// Writes a family's lines on some commands: those that were called or refused.
    fn write_commands(&mut self, state: &ServerState, index: usize, first: usize) {
        let family = family_at(index);
        let mut next = first;
        for command in state.commands.iter().skip(first).take(STEP_COMMANDS) {
            next += 1;
            if !was_used(state, command) {
                continue;
            }
            match family.samples {
                Samples::OfCommands(figure) => {
                    let stats = state.command_stats.get(command.id);
                    let labels = [("cmd", command.full_name.as_str())];
                    let value = figure(stats, &state.clock);
                    self.text.sample(family.name, &labels, value);
                }
                _ => {
                    // A histogram has thousands of classes: one is a step.
                    if samples::write_latencies(state, command, family.name, &mut self.text) {
                        break;
                    }
                }
            }
        }
        self.next = match next < state.commands.len() {
            true => Next::Commands { family: index, index: next },
            false => Next::Family(index + 1),
        };
    }
}

fn was_used(state: &ServerState, command: &Command) -> bool {
    let id: CommandId = command.id;
    let stats = state.command_stats.get(id);
    stats.calls + stats.failed_calls + stats.rejected_calls > 0
}

/// All tables, in the order of the text.
static TABLES: [&[Family]; 4] = [FAMILIES, prefixes::FAMILIES, replication::FAMILIES, cluster::FAMILIES];

/// Number of all families.
fn family_count() -> usize {
    TABLES.iter().map(|table| table.len()).sum()
}

/// The families, one table behind the other.
fn family_at(index: usize) -> &'static Family {
    // INVARIANT: callers count no further than `family_count`.
    TABLES.iter().flat_map(|table| table.iter()).nth(index).expect("there are so many families")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::entropy::Entropy;
    use crate::config::Config;
    use crate::net::address::Address;
    use crate::observe::loop_stats::Job;

    /// Turns go on while the text is written, and every step may be in another one.
    #[test]
    fn the_times_of_the_loop_add_up() {
        let mut state = ServerState::new(
            &crate::commands::PROGRAM,
            Config::default(),
            Clock::virtual_at(1_000_000),
            &Entropy::Seeded(1),
        );
        let mut metrics = Metrics::default();
        metrics.begin();
        while metrics.step(&state) {
            state.loop_stats.note_turn(1, [1_000_000; 5], 0);
            state.loop_stats.note_step(Job::Metrics, 1_000);
        }
        let written = metrics.take_written().expect("it is complete");
        let text = String::from_utf8_lossy(&written);
        let values = |name: &str| -> Vec<f64> {
            let lines = text.lines().filter(|line| line.starts_with(name));
            let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok());
            values.collect()
        };
        let phases: f64 = values("oneloop_loop_phase_seconds_total{").iter().sum();
        let [sum] = values("oneloop_loop_iteration_seconds_sum")[..] else {
            panic!("one sum in {text}");
        };
        // Sums of decimal fractions differ in their last digits.
        assert!((sum - phases).abs() < 1e-9, "{sum} {phases}");
        let turns = values("oneloop_loop_iterations_total ");
        assert_eq!(values("oneloop_loop_iteration_seconds_count"), turns);
    }

    /// What holds the loop is one step, whatever there is to be told.
    #[test]
    fn a_step_is_small() {
        let mut state = ServerState::new(
            &crate::commands::PROGRAM,
            Config::default(),
            Clock::virtual_at(1_000_000),
            &Entropy::Seeded(1),
        );
        let ids: Vec<CommandId> = state.commands.iter().map(|command| command.id).collect();
        for id in &ids {
            (0..1000).for_each(|time| state.command_stats.record(*id, time * time, false, true));
        }
        for _ in 0..1000 {
            state.add_client(Address::default());
        }
        (0..100).for_each(|number| state.error_stats.record(&format!("E{number} x")));
        let mut metrics = Metrics::default();
        metrics.begin();
        let (mut steps, mut length) = (0, 0);
        while metrics.step(&state) {
            let now = metrics.writing.as_ref().map_or(0, |writing| writing.text.byte_len());
            assert!(now - length < 8 * 1024, "{} bytes in step {steps}", now - length);
            length = now;
            steps += 1;
        }
        assert!(steps > ids.len() + 1000 / STEP_CLIENTS);
        assert!(metrics.take_written().is_some_and(|text| text.len() >= length));
    }
}
