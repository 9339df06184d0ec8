//! The last turns as a trace in Chrome's JSON form, which Perfetto opens.
//!
//! Track 1 has the turns, each with its parts and jobs. Of a part only its sum is known, so the parts of a turn follow
//! each other in a fixed order. Track 2 has the requests of the turns whose visits are kept, exactly when they ran.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::explain::Explainer;
use super::loop_stats::Job;
use super::turn::{Part, Turn, Visit};

const LOOP_TRACK: u32 = 1;
const REQUESTS_TRACK: u32 = 2;

/// A trace of the newest turns, at most so many. O(turns).
pub fn trace(explainer: &Explainer<'_>, count: usize) -> String {
    let mut turns: Vec<&Turn> = explainer.recorder.turns.iter().rev().take(count).collect();
    turns.reverse();
    let oldest_ns = turns.first().map_or(u64::MAX, |turn| turn.began_ns);
    let moments = explainer.recorder.aggregates.moments();
    let kept: BTreeMap<u64, Vec<Visit>> = moments
        .take_while(|moment| moment.aggregate.worst.began_ns >= oldest_ns)
        .map(|moment| (moment.aggregate.worst.number, moment.visits))
        .collect();
    let mut writer = TraceWriter::new();
    for turn in turns {
        writer.add(explainer, turn, kept.get(&turn.number).map_or(&[], Vec::as_slice));
    }
    writer.end()
}

/// A trace that grows turn by turn.
pub struct TraceWriter {
    text: String,
}

impl Default for TraceWriter {
    fn default() -> TraceWriter {
        TraceWriter::new()
    }
}

impl TraceWriter {
    /// Adds a turn, with its visits as far as they are kept.
    pub fn add(&mut self, explainer: &Explainer<'_>, turn: &Turn, visits: &[Visit]) {
        self.turn(turn);
        for visit in visits {
            let name = explainer.request(turn, visit.client, visit.longest_command);
            self.visit(turn, visit, &name);
        }
    }

    /// A trace without turns.
    pub fn new() -> TraceWriter {
        let text = r#"{"displayTimeUnit":"ms","traceEvents":["#.to_string();
        let mut writer = TraceWriter { text };
        for (kind, track, name) in [
            ("process_name", LOOP_TRACK, "oneloop"),
            ("thread_name", LOOP_TRACK, "loop"),
            ("thread_name", REQUESTS_TRACK, "requests"),
        ] {
            // Writing to a String cannot fail, here and below.
            let _ = write!(
                writer.text,
                r#"{{"ph":"M","pid":1,"tid":{track},"name":"{kind}","args":{{"name":"{name}"}}}},"#
            );
        }
        writer
    }

    /// One event with a beginning and a length, whose arguments follow.
    fn begin(&mut self, track: u32, category: &str, name: &str, began_ns: u64, length_ns: u64) {
        let _ = write!(self.text, r#"{{"ph":"X","pid":1,"tid":{track},"cat":"{category}","name":""#);
        name.chars().for_each(|letter| self.push_escaped(letter));
        let _ = write!(
            self.text,
            r#"","ts":{}.{:03},"dur":{}.{:03},"args":{{"#,
            began_ns / 1000,
            began_ns % 1000,
            length_ns / 1000,
            length_ns % 1000
        );
    }

    fn finish(&mut self) {
        self.text.push_str("}},");
    }

    fn turn(&mut self, turn: &Turn) {
        let parts = Part::ALL.iter().map(|part| (part.name(), "part", turn.part_ns(*part)));
        let jobs = Job::ALL.iter().map(|job| (job.name(), "job", turn.jobs_ns[*job as usize]));
        let pieces: Vec<(&str, &str, u64)> = parts
            .chain(jobs)
            .map(|(name, category, nanos)| (name, category, nanos as u64))
            .filter(|(_, _, nanos)| *nanos > 0)
            .collect();
        let length_ns = pieces.iter().map(|(_, _, nanos)| nanos).sum();
        self.begin(LOOP_TRACK, "turn", "turn", turn.began_ns, length_ns);
        let _ = write!(
            self.text,
            r#""number":{},"waited_us":{},"events":{},"visits":{},"requests":{},"input_bytes":{},"output_bytes":{},"end":"{}""#,
            turn.number,
            turn.waited_ns as u64 / 1000,
            turn.events,
            turn.visits,
            turn.requests,
            turn.input_bytes,
            turn.output_bytes,
            turn.end.name()
        );
        self.finish();
        let mut began_ns = turn.began_ns;
        for (name, category, nanos) in pieces {
            self.begin(LOOP_TRACK, category, name, began_ns, nanos);
            self.finish();
            began_ns += nanos;
        }
    }

    fn visit(&mut self, turn: &Turn, visit: &Visit, name: &str) {
        let waited_ns = visit.began_ns as u64;
        self.begin(REQUESTS_TRACK, "visit", name, turn.began_ns + waited_ns, visit.run_ns as u64);
        let _ = write!(
            self.text,
            r#""client":{},"requests":{},"waited_us":{}"#,
            visit.client,
            visit.requests,
            waited_ns / 1000
        );
        self.finish();
    }

    fn push_escaped(&mut self, letter: char) {
        match letter {
            '"' | '\\' => self.text.extend(['\\', letter]),
            '\0'..=' ' | '\x7f' if letter != ' ' => {
                let _ = write!(self.text, "\\u{:04x}", letter as u32);
            }
            _ => self.text.push(letter),
        }
    }

    /// The trace, complete.
    pub fn end(mut self) -> String {
        // The comma behind the last event.
        self.text.pop();
        self.text.push_str("]}");
        self.text
    }
}
