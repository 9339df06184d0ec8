//! Slow moments in words: which request waited, behind which other one, and what for after that.
//!
//! Says only what was measured. Where visits of the turn are not kept it names the turn's longest request and no
//! waiting one.

use std::collections::BTreeSet;

use super::late::LateReply;
use super::loop_stats::Job;
use super::recorder::LoopRecorder;
use super::turn::{Part, Turn, Visit};
use crate::command::registry::{CommandId, Registry};
use crate::text::quoting;

/// A turn, or a wait, of so many ns is a slow moment.
pub const SLOW_NS: u64 = 1_000_000;
/// A shorter wait of one client is not reported, in ns.
const WAIT_NS: f32 = 100_000.0;

/// One slow moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The number of the turn; 0 if it is not kept.
    pub turn: u64,
    /// When it began, in ns since the start of the clock.
    pub at_ns: u64,
    /// When the turn ended.
    ended_ns: u64,
    pub sentence: String,
}

impl Explanation {
    /// Whether the late reply is one to a request of that turn.
    fn covers(&self, late: &LateReply) -> bool {
        (self.at_ns..=self.ended_ns).contains(&late.since_ns)
    }
}

/// What sentences are made of.
pub struct Explainer<'a> {
    pub recorder: &'a LoopRecorder,
    pub commands: &'a Registry,
}

impl Explainer<'_> {
    /// The newest slow moments, newest first: turns of a millisecond and more, and replies that waited as long. O(an
    /// hour's aggregates).
    pub fn slow_moments(&self, count: usize) -> Vec<Explanation> {
        let mut found = Vec::new();
        for moment in self.recorder.aggregates.moments() {
            let turn = &moment.aggregate.worst;
            if found.len() == count {
                break;
            }
            if turn.busy_ns() >= SLOW_NS as f32 {
                found.push(self.explanation(turn, self.of_turn(turn, &moment.visits)));
            }
        }
        let mut last_ns = u64::MAX;
        for late in self.recorder.late.newest() {
            let is_slow = late.disk_ns.max(late.socket_ns) >= SLOW_NS;
            let is_told = found.iter().any(|known: &Explanation| known.covers(late));
            // One for each tenth of a second: what waits for a slow disk comes in crowds.
            if is_slow && !is_told && last_ns.abs_diff(late.since_ns) >= 100 * SLOW_NS {
                last_ns = late.since_ns;
                found.push(self.late_moment(late));
            }
        }
        found.sort_by_key(|explanation| std::cmp::Reverse(explanation.at_ns));
        found.truncate(count);
        found
    }

    /// The newest moments in which this client waited, newest first. O(an hour's visits).
    pub fn of_client(&self, client: u64, count: usize) -> Vec<Explanation> {
        let mut found: Vec<Explanation> = Vec::new();
        for moment in self.recorder.aggregates.moments() {
            let turn = &moment.aggregate.worst;
            let visits = moment.visits.iter().enumerate().filter(|(_, visit)| visit.client == client);
            let longest = visits.max_by(|(_, a), (_, b)| a.began_ns.total_cmp(&b.began_ns));
            if let Some((place, visit)) = longest
                && (visit.began_ns >= WAIT_NS || self.late_of(turn, client).is_some())
            {
                found.push(self.explanation(turn, self.of_visit(turn, &moment.visits, place)));
            }
            if found.len() == count {
                break;
            }
        }
        for late in self.recorder.late.newest().filter(|late| late.client == client) {
            if !found.iter().any(|known| known.covers(late)) {
                found.push(self.late_moment(late));
            }
        }
        found.sort_by_key(|explanation| std::cmp::Reverse(explanation.at_ns));
        found.truncate(count);
        found
    }

    /// A turn by its number, if it is kept.
    pub fn of_number(&self, number: u64) -> Option<Explanation> {
        let mut moments = self.recorder.aggregates.moments();
        if let Some(moment) = moments.find(|moment| moment.aggregate.worst.number <= number)
            && moment.aggregate.worst.number == number
        {
            let turn = &moment.aggregate.worst;
            return Some(self.explanation(turn, self.of_turn(turn, &moment.visits)));
        }
        let turn = self.recorder.turns.find(number)?;
        Some(self.explanation(turn, self.of_turn(turn, &[])))
    }

    /// The worst turn of a piece of time, given with its visits.
    pub fn of_moment(&self, turn: &Turn, visits: &[Visit]) -> String {
        self.of_turn(turn, visits)
    }

    /// How many clients the next turn found ready without having slept: their requests came while this turn ran, so
    /// they waited too, though how long is not known. 0 if that turn is not kept.
    pub fn found_ready_after(&self, turn: &Turn) -> u64 {
        let next = self.recorder.turns.find(turn.number + 1).filter(|next| next.waited_ns < WAIT_NS);
        next.map_or(0, |next| u64::from(next.visits))
    }

    fn explanation(&self, turn: &Turn, sentence: String) -> Explanation {
        Explanation { turn: turn.number, at_ns: turn.began_ns, ended_ns: ended_ns(turn), sentence }
    }

    /// A wait that belongs to no reported turn.
    fn late_moment(&self, late: &LateReply) -> Explanation {
        let at_ns = late.since_ns;
        Explanation { turn: 0, at_ns, ended_ns: at_ns, sentence: self.of_late(late) }
    }

    /// What made a turn long: a request, behind which others waited, or another part.
    fn of_turn(&self, turn: &Turn, visits: &[Visit]) -> String {
        if turn.requests == 0 || turn.longest_ns < turn.busy_ns() / 2.0 {
            return self.of_parts(turn);
        }
        if let Some(culprit) = longest_before(visits, visits.len()) {
            let is_other = |visit: &Visit| visit.client != visits[culprit].client;
            if let Some(after) = visits[culprit..].iter().position(is_other) {
                return self.of_visit(turn, visits, culprit + after);
            }
        }
        let request = self.request(turn, turn.longest_client, turn.longest_command);
        let took = format!("{request} of client {} took {}", turn.longest_client, time(turn.longest_ns));
        match visits.len() == usize::from(turn.visits) {
            true => {
                let ready = match self.found_ready_after(turn) {
                    0 => String::new(),
                    clients => format!(", and the next turn found {} ready", counted(clients, "client")),
                };
                format!("{took}; no other client waited behind it in that turn{ready}")
            }
            false => format!("{took} of the {} of turn {}", time(turn.busy_ns()), turn.number),
        }
    }

    /// A turn that no single request made long.
    fn of_parts(&self, turn: &Turn) -> String {
        let jobs = Job::ALL.iter().map(|job| (format!("the job {}", job.name()), turn.jobs_ns[*job as usize]));
        let parts = Part::ALL.iter().map(|part| (deed(*part, turn), turn.part_ns(*part)));
        let longest = jobs.chain(parts).max_by(|a, b| a.1.total_cmp(&b.1));
        let (what, part_ns) = longest.unwrap_or_default();
        let share = if part_ns >= turn.busy_ns() / 2.0 { "most of it" } else { "the largest part of it" };
        format!("turn {} took {}, {share} for {what} ({})", turn.number, time(turn.busy_ns()), time(part_ns))
    }

    /// One client's wait, and what for.
    fn of_visit(&self, turn: &Turn, visits: &[Visit], place: usize) -> String {
        let visit = &visits[place];
        let late = self.late_of(turn, visit.client);
        let request = self.request(turn, visit.client, visit.longest_command);
        let mut sentence = format!("{request} of client {}", visit.client);
        if visit.requests > 1 {
            sentence.push_str(&format!(" (in a batch of {} requests)", visit.requests));
        }
        if visit.began_ns < WAIT_NS
            && let Some(late) = late
        {
            return format!("{sentence} waited {}", late_waits(late, " and then "));
        }
        sentence.push_str(&format!(" waited {}", time(visit.began_ns)));
        sentence.push_str(&self.behind(turn, visits, place));
        if let Some(late) = late {
            sentence.push_str(&format!(", then {}", late_waits(late, ", then ")));
        }
        sentence
    }

    /// What a visit waited for within its turn.
    fn behind(&self, turn: &Turn, visits: &[Visit], place: usize) -> String {
        let Some(culprit) = longest_before(visits, place) else {
            return " while the loop read from sockets".to_string();
        };
        let (longest, wait_ns) = (&visits[culprit], visits[place].began_ns);
        let request = self.request(turn, longest.client, longest.longest_command);
        let named = format!("{request} ({}) of client {}", time(longest.longest_ns), longest.client);
        if longest.longest_ns >= wait_ns / 2.0 {
            let others = clients_of(&visits[culprit + 1..], &[longest.client, visits[place].client]);
            return match others {
                0 => format!(" behind {named}"),
                1 => format!(" behind {named}, as did 1 other client"),
                _ => format!(" behind {named}, as did {others} other clients"),
            };
        }
        let requests: u64 = visits[..place].iter().map(|visit| u64::from(visit.requests)).sum();
        let run_ns: f32 = visits[..place].iter().map(|visit| visit.run_ns).sum();
        let clients = clients_of(&visits[..place], &[]);
        format!(
            " behind {} of {}, which ran for {}, the longest of them {named}",
            counted(requests, "request"),
            counted(clients as u64, "client"),
            time(run_ns)
        )
    }

    /// Replies that waited, of a turn that is not kept.
    fn of_late(&self, late: &LateReply) -> String {
        let name = self.name(late.command);
        format!("{name} of client {} waited {}", late.client, late_waits(late, " and then "))
    }

    fn late_of(&self, turn: &Turn, client: u64) -> Option<&LateReply> {
        self.recorder.late.find(client, turn.began_ns, ended_ns(turn))
    }

    /// A request by its command, and its key if that is known.
    pub fn request(&self, turn: &Turn, client: u64, command: Option<CommandId>) -> String {
        let name = self.name(command);
        let key = command.map_or(&[][..], |command| self.recorder.key_of(turn.number, client, command));
        match key {
            [] => name,
            key if key.iter().all(u8::is_ascii_graphic) => format!("{name} {}", String::from_utf8_lossy(key)),
            key => format!("{name} {}", quoting::quote(key)),
        }
    }

    fn name(&self, command: Option<CommandId>) -> String {
        match command {
            Some(command) => self.commands.get(command).full_name.to_ascii_uppercase().replace('|', " "),
            None => "an unknown command".to_string(),
        }
    }
}

/// When a turn ended, in ns since the start of the clock.
fn ended_ns(turn: &Turn) -> u64 {
    // The length of a turn is rounded; no other turn is so near.
    const ROUNDED_NS: u64 = 1000;
    turn.began_ns + turn.busy_ns() as u64 + ROUNDED_NS
}

/// The place of the visit with the longest request, of those before a place.
fn longest_before(visits: &[Visit], place: usize) -> Option<usize> {
    let before = visits[..place].iter().enumerate();
    before.max_by(|(_, a), (_, b)| a.longest_ns.total_cmp(&b.longest_ns)).map(|(place, _)| place)
}

/// How many clients the visits are of, some aside.
fn clients_of(visits: &[Visit], aside: &[u64]) -> usize {
    let clients = visits.iter().map(|visit| visit.client).filter(|client| !aside.contains(client));
    clients.collect::<BTreeSet<u64>>().len()
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

fn late_waits(late: &LateReply, join: &str) -> String {
    let disk = format!("{} for the disk", time(late.disk_ns as f32));
    let socket = format!("{} for its socket", time(late.socket_ns as f32));
    match (late.disk_ns, late.socket_ns) {
        (_, 0) => disk,
        (0, _) => socket,
        (_, _) => format!("{disk}{join}{socket}"),
    }
}

/// What the loop does in a part, as the end of "most of it for …".
fn deed(part: Part, turn: &Turn) -> String {
    match part {
        Part::Accept => "accepting connections".to_string(),
        Part::Read => "reading from sockets".to_string(),
        Part::Parse => "parsing requests".to_string(),
        Part::Run => format!("running {}", counted(turn.requests.into(), "request")),
        Part::Append => "writing to the append-only file".to_string(),
        Part::Write => "writing replies to sockets".to_string(),
        Part::Timers => "housekeeping and deadlines".to_string(),
        Part::Loading => "loading data".to_string(),
        Part::Finish => "what is done before the poll".to_string(),
    }
}

/// A time for people: two digits that matter at least.
pub fn time(nanos: f32) -> String {
    match nanos {
        1e9.. => format!("{:.2} s", nanos / 1e9),
        1e5.. => format!("{:.1} ms", nanos / 1e6),
        _ => format!("{:.3} ms", nanos / 1e6),
    }
}
