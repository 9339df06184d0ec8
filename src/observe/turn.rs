//! One turn of the loop, as it is remembered: when, how long, on what, and whose requests it ran.
//!
//! Times of a record are `f32` numbers of nanoseconds, exact to seven digits.

use super::loop_stats::Job;
use crate::command::registry::CommandId;

/// What the loop does with its time, jobs aside. The parts and the jobs of a turn add up to its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Taking in new connections.
    Accept,
    /// Finding out what is ready, and reading from sockets.
    Read,
    /// Parsing requests and looking ahead for their keys.
    Parse,
    /// Running commands.
    Run,
    /// Writing to the append-only file.
    Append,
    /// Writing replies to sockets.
    Write,
    /// Housekeeping and deadlines.
    Timers,
    /// Loading data at the start.
    Loading,
    /// What is done before the poll besides appending and writing.
    Finish,
}

impl Part {
    /// All parts, in their order within a turn as a trace shows it.
    pub const ALL: [Part; 9] = [
        Part::Read,
        Part::Parse,
        Part::Run,
        Part::Accept,
        Part::Timers,
        Part::Loading,
        Part::Append,
        Part::Write,
        Part::Finish,
    ];

    /// The name in replies, traces and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Part::Accept => "accept",
            Part::Read => "read",
            Part::Parse => "parse",
            Part::Run => "run",
            Part::Append => "append",
            Part::Write => "write",
            Part::Timers => "timers",
            Part::Loading => "loading",
            Part::Finish => "finish",
        }
    }
}

/// Why a turn was over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TurnEnd {
    /// Nothing was left to do: the poll may wait.
    #[default]
    Done,
    /// Clients had their share of the turn and are served again in the next one.
    ClientsLeft,
    /// More connections wait than one turn accepts.
    AcceptsLeft,
    /// More was pushed to clients than one turn sends.
    RepliesLeft,
    /// Jobs have more to do than their budget allows.
    JobsLeft,
}

impl TurnEnd {
    /// The name in replies and traces.
    pub fn name(self) -> &'static str {
        match self {
            TurnEnd::Done => "done",
            TurnEnd::ClientsLeft => "clients-left",
            TurnEnd::AcceptsLeft => "accepts-left",
            TurnEnd::RepliesLeft => "replies-left",
            TurnEnd::JobsLeft => "jobs-left",
        }
    }
}

/// A turn in 128 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Turn {
    /// Its number, counted from the start of the process.
    pub number: u64,
    /// When it began, in ns since the start of the clock.
    pub began_ns: u64,
    /// How long the poll before it waited.
    pub waited_ns: f32,
    pub parts_ns: [f32; Part::ALL.len()],
    pub jobs_ns: [f32; Job::ALL.len()],
    pub requests: u32,
    pub input_bytes: u32,
    pub output_bytes: u32,
    /// Readiness events.
    pub events: u16,
    /// Visits of clients: one for each batch of requests.
    pub visits: u16,
    /// The longest request: how long, of which command (none: there was no request), of which client.
    pub longest_ns: f32,
    pub longest_command: Option<CommandId>,
    pub longest_client: u64,
    pub end: TurnEnd,
}

const _: () = assert!(size_of::<Turn>() == 128, "a turn takes 128 bytes");

impl Turn {
    /// Time outside of the poll, in ns.
    pub fn busy_ns(&self) -> f32 {
        self.parts_ns.iter().sum::<f32>() + self.jobs_ns.iter().sum::<f32>()
    }

    /// Time of a part, in ns.
    pub fn part_ns(&self, part: Part) -> f32 {
        self.parts_ns[part as usize]
    }
}

/// A batch of one client's requests within a turn, as it is remembered of the worst turns.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Visit {
    pub client: u64,
    /// When its first request began to run, in ns after the beginning of the turn: so long it waited.
    pub began_ns: f32,
    /// How long all its requests ran together, in ns.
    pub run_ns: f32,
    /// Its longest request, in ns.
    pub longest_ns: f32,
    pub longest_command: Option<CommandId>,
    pub requests: u16,
}

/// A visit as it is taken down while the turn goes on: in ticks, which cost no conversion.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveVisit {
    pub client: u64,
    pub began: u64,
    pub ended: u64,
    pub longest: u64,
    pub command: Option<CommandId>,
    pub requests: u16,
}

impl LiveVisit {
    /// The visit as it is remembered of a turn that began at `turn_began`, in ticks of so many ns.
    pub fn settled(&self, nanos_per_tick: f64, turn_began: u64) -> Visit {
        let nanos = |ticks: u64| (ticks as f64 * nanos_per_tick) as f32;
        Visit {
            client: self.client,
            began_ns: nanos(self.began.saturating_sub(turn_began)),
            run_ns: nanos(self.ended.saturating_sub(self.began)),
            longest_ns: nanos(self.longest),
            longest_command: self.command,
            requests: self.requests,
        }
    }
}
