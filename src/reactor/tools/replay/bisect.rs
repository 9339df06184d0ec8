//! `oneloop replay --bisect "turn > 5ms"`: the smallest part of what came to a recorded server that still makes such a
//! turn.
//!
//! ```text
//! whole run ──→ first turn that does it; what comes later is left out
//! clients   ──→ halves, quarters, … are left out as long as some turn still does it
//! requests  ──→ the same, of the clients that are left
//! ```
//!
//! What is left is minimal: without any one of its requests no turn does it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};

use crate::config::system_reason;
use crate::text::memory_size;
use crate::text::quoting::quote;

use super::simulation::scenario::{Event, Scenario};
use super::simulation::{self, Asked, Plan, TurnFigures};

/// Requests that are shown.
const SHOWN_MAX: usize = 50;
/// Bytes of a request that are shown.
const SHOWN_MAX_BYTES: usize = 200;

/// What is looked for in a turn: that a figure of it is larger than a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    figure: Figure,
    more_than: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    /// How long it takes, in ns of processor time.
    Turn,
    Requests,
    BytesIn,
    BytesOut,
    /// In use at its end.
    Memory,
}

impl Figure {
    const ALL: [(&'static str, Figure); 5] = [
        ("turn", Figure::Turn),
        ("requests", Figure::Requests),
        ("bytes_in", Figure::BytesIn),
        ("bytes_out", Figure::BytesOut),
        ("memory", Figure::Memory),
    ];

    fn of(self, turn: &TurnFigures) -> u64 {
        match self {
            Figure::Turn => turn.busy_ns,
            Figure::Requests => turn.commands,
            Figure::BytesIn => turn.input_bytes,
            Figure::BytesOut => turn.output_bytes,
            Figure::Memory => turn.memory_bytes,
        }
    }

    fn parse(self, text: &str) -> Option<u64> {
        let times = |text: &str, unit: f64| {
            let number = text.trim().parse::<f64>().ok().filter(|number| (0.0..1e9).contains(number))?;
            Some((number * unit) as u64)
        };
        match self {
            Figure::Requests => text.parse().ok(),
            Figure::BytesIn | Figure::BytesOut | Figure::Memory => memory_size::parse(text.as_bytes()),
            Figure::Turn => match (text.strip_suffix("ms"), text.strip_suffix("us"), text.strip_suffix('s')) {
                (Some(text), ..) => times(text, 1e6),
                (_, Some(text), _) => times(text, 1e3),
                (.., Some(text)) => times(text, 1e9),
                _ => None,
            },
        }
    }

    fn show(self, value: u64) -> String {
        match self {
            Figure::Turn => format!("turn = {:.3} ms", value as f64 / 1e6),
            other => {
                let name = Figure::ALL.iter().find(|(_, figure)| *figure == other).map_or("", |(name, _)| name);
                format!("{name} = {value}")
            }
        }
    }
}

impl Condition {
    /// Reads a condition, such as `turn > 5ms`.
    ///
    /// Errors: what is wrong with it.
    pub fn parse(text: &str) -> Result<Condition, String> {
        let wrong = || {
            format!(
                "{text} is no condition: FIGURE > NUMBER is wanted, where FIGURE is turn (5ms, 300us), requests, \
                 bytes_in, bytes_out or memory (10mb)."
            )
        };
        let (name, number) = text.split_once('>').ok_or_else(wrong)?;
        let figure = Figure::ALL.iter().find(|(known, _)| *known == name.trim()).ok_or_else(wrong)?.1;
        let more_than = figure.parse(number.trim()).ok_or_else(wrong)?;
        Ok(Condition { figure, more_than })
    }

    fn holds(self, turn: &TurnFigures) -> bool {
        self.figure.of(turn) > self.more_than
    }

    /// Whether one run may say otherwise than the next.
    fn is_measured(self) -> bool {
        self.figure == Figure::Turn
    }
}

/// What is sent of a scenario.
#[derive(Clone, Debug)]
struct Kept {
    clients: BTreeSet<u64>,
    /// By their numbers; none: all of these clients.
    requests: Option<BTreeSet<u64>>,
    /// Up to this turn.
    last_turn: u64,
}

impl Kept {
    fn has(&self, asked: &Asked<'_>) -> bool {
        asked.turn <= self.last_turn
            && self.clients.contains(&asked.client)
            && self.requests.as_ref().is_none_or(|requests| requests.contains(&asked.number))
    }
}

/// A search that goes on.
struct Search<'a> {
    scenario: &'a Scenario,
    condition: Condition,
    runs: u64,
}

/// A turn that does what is looked for, and its figure.
#[derive(Clone, Copy, Debug)]
struct Found {
    turn: u64,
    value: u64,
}

/// Looks for the smallest set; prints it, and writes it to a file in the form that `--against` reads, if one is named.
/// Says whether any turn does it.
///
/// Errors: the text for the user.
pub fn bisect(recording: &str, condition: Condition, file: Option<&str>, out: &mut dyn Write) -> Result<bool, String> {
    let scenario = simulation::gather(recording)?;
    let mut search = Search { scenario: &scenario, condition, runs: 0 };
    let clients = clients_of(&scenario)?;
    let all = clients.len();
    let whole = Kept { clients, requests: None, last_turn: u64::MAX };
    let Some(found) = search.first(&whole)? else {
        let _ = writeln!(out, "No turn of the simulation does that.");
        return Ok(false);
    };
    let (kept, found) = search.minimize(whole, found)?;
    let requests = requests_of(&scenario, &kept)?;
    // Where nobody reads it, the file still has it.
    let _ = writeln!(
        out,
        "Turn {} still does that: {}. {} of {} requests and {} of {all} clients are left, after {} runs:",
        found.turn,
        condition.figure.show(found.value),
        requests.len(),
        scenario.requests,
        kept.clients.len(),
        search.runs
    );
    for line in requests.iter().take(SHOWN_MAX) {
        // Quoted words are ASCII.
        let (shown, rest) = line.split_at(line.len().min(SHOWN_MAX_BYTES));
        let more = if rest.is_empty() { "" } else { "…" };
        let _ = writeln!(out, "{shown}{more}");
    }
    if requests.len() > SHOWN_MAX {
        let _ = writeln!(out, "… and {} more", requests.len() - SHOWN_MAX);
    }
    if let Some(name) = file {
        write_requests(name, &requests).map_err(|error| format!("Cannot write {name}: {}", system_reason(&error)))?;
    }
    Ok(true)
}

impl Search<'_> {
    /// The first turn that does it, if one does. One that is measured has to do it twice.
    fn first(&mut self, kept: &Kept) -> Result<Option<Found>, String> {
        let found = self.run(kept)?;
        if found.is_none() || !self.condition.is_measured() {
            return Ok(found);
        }
        self.run(kept)
    }

    fn run(&mut self, kept: &Kept) -> Result<Option<Found>, String> {
        self.runs += 1;
        let (condition, mut found) = (self.condition, None);
        let mut look = |turn: &TurnFigures| {
            if condition.holds(turn) {
                found = Some(Found { turn: turn.number, value: condition.figure.of(turn) });
            }
            found.is_none() && turn.number <= kept.last_turn
        };
        simulation::run(self.scenario, &Plan { settings: &[], keeps: &|asked| kept.has(asked) }, &mut look)?;
        Ok(found)
    }

    fn minimize(&mut self, mut kept: Kept, mut found: Found) -> Result<(Kept, Found), String> {
        kept.last_turn = found.turn;
        let clients: Vec<u64> = kept.clients.iter().copied().collect();
        let last_turn = kept.last_turn;
        self.reduce(clients, &mut found, |clients, turn| Kept {
            clients: clients.iter().copied().collect(),
            requests: None,
            last_turn: turn.min(last_turn),
        })
        .map(|(clients, last_turn)| {
            kept.clients = clients.into_iter().collect();
            kept.last_turn = last_turn;
        })?;
        let (clients, last_turn) = (kept.clients.clone(), kept.last_turn);
        let requests = numbers_of(self.scenario, &kept)?;
        let (requests, last_turn) = self.reduce(requests, &mut found, |requests, turn| Kept {
            clients: clients.clone(),
            requests: Some(requests.iter().copied().collect()),
            last_turn: turn.min(last_turn),
        })?;
        kept = Kept { requests: Some(requests.into_iter().collect()), last_turn, ..kept };
        let asking = askers(self.scenario, &kept)?;
        kept.clients.retain(|client| asking.contains(client));
        Ok((kept, found))
    }

    /// Leaves out as many items as can be, in pieces that become smaller, until none can be left out. Gives the others,
    /// and the last turn that matters.
    fn reduce(
        &mut self,
        mut items: Vec<u64>,
        found: &mut Found,
        kept_of: impl Fn(&[u64], u64) -> Kept,
    ) -> Result<(Vec<u64>, u64), String> {
        let mut size = items.len().div_ceil(2).max(1);
        loop {
            let (mut start, mut has_shrunk) = (0, false);
            while start < items.len() {
                let end = items.len().min(start + size);
                let rest = [&items[..start], &items[end..]].concat();
                match self.first(&kept_of(&rest, found.turn))? {
                    Some(still) => (items, *found, has_shrunk) = (rest, still, true),
                    None => start = end,
                }
            }
            match size {
                1 if !has_shrunk => return Ok((items, found.turn)),
                1 => {}
                _ => size = size.div_ceil(2),
            }
        }
    }
}

/// Calls `see` with every request that is kept.
fn each_kept(scenario: &Scenario, kept: &Kept, mut see: impl FnMut(&Asked<'_>)) -> Result<(), String> {
    let (mut turns, mut turn, mut number) = (scenario.turns()?, 0, 0);
    while let Some(next) = turns.next_turn().filter(|_| turn < kept.last_turn) {
        turn += 1;
        for event in &next.events {
            if let Event::Asked { client, arguments } = event {
                let asked = Asked { number, turn, client: *client, arguments };
                number += 1;
                if kept.has(&asked) {
                    see(&asked);
                }
            }
        }
    }
    Ok(())
}

fn clients_of(scenario: &Scenario) -> Result<BTreeSet<u64>, String> {
    let (mut turns, mut clients) = (scenario.turns()?, BTreeSet::new());
    while let Some(turn) = turns.next_turn() {
        clients.extend(turn.events.iter().filter_map(|event| match event {
            Event::Asked { client, .. } => Some(*client),
            Event::Connected { .. } | Event::Closed { .. } => None,
        }));
    }
    Ok(clients)
}

fn numbers_of(scenario: &Scenario, kept: &Kept) -> Result<Vec<u64>, String> {
    let mut numbers = Vec::new();
    each_kept(scenario, kept, |asked| numbers.push(asked.number))?;
    Ok(numbers)
}

fn askers(scenario: &Scenario, kept: &Kept) -> Result<BTreeSet<u64>, String> {
    let mut clients = BTreeSet::new();
    each_kept(scenario, kept, |asked| clients.extend([asked.client]))?;
    Ok(clients)
}

/// The requests as lines that `--against` reads.
fn requests_of(scenario: &Scenario, kept: &Kept) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    each_kept(scenario, kept, |asked| {
        let words: Vec<String> = asked.arguments.iter().map(|word| quote(word)).collect();
        lines.push(format!("client{}> {}", asked.client, words.join(" ")));
    })?;
    Ok(lines)
}

fn write_requests(name: &str, lines: &[String]) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(name)?);
    lines.iter().try_for_each(|line| writeln!(file, "{line}"))?;
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read() {
        for (text, figure, more_than) in [
            ("turn > 5ms", Figure::Turn, 5_000_000),
            ("turn>0.3 ms", Figure::Turn, 300_000),
            ("turn > 300us", Figure::Turn, 300_000),
            ("turn > 2s", Figure::Turn, 2_000_000_000),
            ("requests > 7", Figure::Requests, 7),
            ("bytes_out > 64kb", Figure::BytesOut, 65536),
            (" memory > 1mb ", Figure::Memory, 1 << 20),
        ] {
            assert_eq!(Condition::parse(text), Ok(Condition { figure, more_than }), "{text}");
        }
        for wrong in ["turn", "turn > 5", "turn < 5ms", "size > 5", "requests > many", "turn > -1ms", "> 5"] {
            assert!(Condition::parse(wrong).is_err(), "{wrong}");
        }
    }
}
