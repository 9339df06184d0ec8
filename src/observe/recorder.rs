//! The recorder of the loop: what the present turn has done so far, and the last turns.
//!
//! ```text
//! begin_turn ─ mark(part) … begin_batch ─ longest … end_batch ─ mark(part) … ─ end_turn
//!                                                                              │
//!                                    TurnRing (every turn) ◄───────────────────┤
//!                                    TurnAggregates (the worst of each 100 ms) ◄┘
//! ```
//!
//! A mark says what the time since the last mark was spent on, so the parts of a turn add up to its length whatever the
//! order in which clients are read, served and answered.

use std::collections::VecDeque;

use super::distribution::Distribution;
use super::hot_keys::HotKeys;
use super::key_costs::KeyCosts;
use super::late::{LateReplies, LateReply};
use super::ledger::Ledger;
use super::loop_stats::Job;
use super::turn::{LiveVisit, Part, Turn, TurnEnd};
use super::turn_aggregates::{TurnAggregates, VISITS_MAX};
use super::turn_ring::TurnRing;
use crate::base::clock::Clock;
use crate::base::usage::Usage;
use crate::command::registry::CommandId;

/// Slow requests of which the key is kept.
const SLOW_MAX: usize = 2048;
/// Bytes kept of a key.
const KEY_BYTES_MAX: usize = 64;
/// A turn without requests and bytes that was shorter, in ns, gets no record.
const IDLE_TURN_NS: f32 = 100_000.0;

/// A request that was slow enough to keep its key.
pub struct SlowRequest {
    /// The number of the turn that ran it.
    pub turn: u64,
    pub client: u64,
    pub command: CommandId,
    /// Its first key, shortened; empty if it has none, or if it is secret.
    pub key: Box<[u8]>,
}

/// What the loop knows of a turn besides its parts.
#[derive(Clone, Copy, Debug, Default)]
pub struct TurnFacts {
    /// When the turn before ended, in ticks.
    pub last_ended: u64,
    /// Bytes received and sent since the start.
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub end: TurnEnd,
}

/// The longest request of a batch so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Longest {
    pub ticks: u64,
    pub command: Option<CommandId>,
}

/// What a batch of requests took, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct BatchTimes {
    /// From the turn's beginning until the first of them ran.
    pub waiting: u64,
    /// All of them together.
    pub run: u64,
    /// The longest of them.
    pub longest: u64,
}

/// The turn that goes on. Times are in ticks, and become nanoseconds at its end.
#[derive(Default)]
struct LiveTurn {
    record: Turn,
    began: u64,
    /// Up to when it is known what the time was spent on.
    marked: u64,
    events: u32,
    visits: u32,
    batch_began: u64,
    longest: u64,
    /// Whether jobs have run.
    has_jobs: bool,
}

/// The recorder.
#[derive(Default)]
pub struct LoopRecorder {
    size_bytes: usize,
    /// How long a tick of the clock is.
    nanos_per_tick: f64,
    live: LiveTurn,
    /// The first visits of the present turn, and among them every one that was its longest when it came.
    visits: Vec<LiveVisit>,
    /// The longest request of the present batch.
    pub longest: Longest,
    /// Bytes received and sent when the last turn ended.
    bytes_before: (u64, u64),
    pub turns: TurnRing,
    pub aggregates: TurnAggregates,
    pub slow: VecDeque<SlowRequest>,
    pub late: LateReplies,
    /// From the beginning of a turn until a request ran.
    pub waiting: Distribution,
    /// From the end of a batch, or from when the disk was ready for its replies, until the socket had taken them.
    pub leaving: Distribution,
    /// From the end of a batch until the append-only file was where `appendfsync` wants it.
    pub disk: Distribution,
    /// Time of each part over all turns, in ns.
    pub parts_ns: [f64; Part::ALL.len()],
    /// What each database's requests took.
    pub databases: Vec<Usage>,
    /// Which keys are asked for most, while the ledger is kept.
    pub hot_keys: HotKeys,
    /// Memory, keys and requests by prefix.
    pub ledger: Ledger,
    /// What HOTKEYS tracks, or has tracked.
    pub key_costs: Option<Box<KeyCosts>>,
}

impl LoopRecorder {
    /// Measures with this clock.
    pub fn set_clock(&mut self, clock: &Clock) {
        self.nanos_per_tick = clock.nanos_per_tick();
    }

    /// So many ticks in ns.
    #[inline]
    pub fn nanos(&self, ticks: u64) -> u64 {
        // A signed number is what the processor converts by itself; no time is that long.
        (ticks as i64 as f64 * self.nanos_per_tick) as i64 as u64
    }

    /// Sets the memory for turns: a half for the ring of turns, a half for the aggregates. 0 keeps none. A new size
    /// forgets all.
    pub fn set_size(&mut self, bytes: u64, databases: usize) {
        let size_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        self.databases.resize(databases, Usage::default());
        if size_bytes != self.size_bytes {
            self.size_bytes = size_bytes;
            self.turns = TurnRing::with_bytes(size_bytes / 2);
            self.aggregates = TurnAggregates::with_bytes(size_bytes / 2);
            self.visits = Vec::new();
        }
    }

    /// Whether turns are recorded.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.size_bytes > 0
    }

    /// Sums and distributions back to zero; the recorded turns stay.
    pub fn reset_stats(&mut self) {
        for distribution in [&mut self.waiting, &mut self.leaving, &mut self.disk] {
            *distribution = Distribution::default();
        }
        self.parts_ns = Default::default();
        self.databases.fill(Usage::default());
    }

    /// Whether HOTKEYS tracks what requests cost.
    pub fn tracks_keys(&self) -> bool {
        self.key_costs.as_ref().is_some_and(|costs| costs.is_active())
    }

    /// Memory of what is recorded, in bytes. O(1).
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.turns.memory_bytes() + self.aggregates.memory_bytes()
    }

    /// How long a request has waited that began to run then, in ticks.
    pub fn waited(&self, began: u64) -> u64 {
        began.saturating_sub(self.live.began)
    }

    /// Begins a turn.
    #[inline]
    pub fn begin_turn(&mut self, now: u64) {
        let record = Turn { number: self.live.record.number + 1, ..Turn::default() };
        self.live = LiveTurn { record, began: now, marked: now, ..LiveTurn::default() };
        self.visits.clear();
    }

    /// The time since the last mark was spent on this part.
    #[inline]
    pub fn mark(&mut self, part: Part, now: u64) {
        self.live.record.parts_ns[part as usize] += now.saturating_sub(self.live.marked) as i64 as f32;
        self.live.marked = now;
    }

    /// The same as of now, if turns are recorded: else the clock is not even read.
    #[inline]
    pub fn mark_now(&mut self, part: Part, clock: &Clock) {
        if self.is_on() {
            self.mark(part, clock.ticks());
        }
    }

    /// The time since the last mark was spent on jobs, which are noted one by one (`note_job`).
    pub fn mark_jobs(&mut self, now: u64) {
        self.live.has_jobs = true;
        self.live.marked = now;
    }

    /// Up to when it is known what the time was spent on: the last mark, or now if turns are not recorded.
    #[inline]
    pub fn marked(&self, clock: &Clock) -> u64 {
        if self.is_on() { self.live.marked } else { clock.ticks() }
    }

    /// A readiness event was handled.
    #[inline]
    pub fn note_event(&mut self) {
        self.live.events += 1;
    }

    /// A step of a job took so many ticks.
    #[inline]
    pub fn note_job(&mut self, job: Job, ticks: u64) {
        self.live.record.jobs_ns[job as usize] += ticks as i64 as f32;
    }

    /// A client's requests begin to run, the first of them this command.
    #[inline]
    pub fn begin_batch(&mut self, now: u64, first: Option<CommandId>) {
        self.mark(Part::Parse, now);
        self.live.batch_began = now;
        self.longest = Longest { ticks: 0, command: first };
    }

    /// A command has run, within a batch or besides.
    #[inline]
    pub fn note_command(&mut self, command: CommandId, ticks: u64) {
        if ticks > self.longest.ticks {
            self.longest = Longest { ticks, command: Some(command) };
        }
    }

    /// A client's requests have run.
    #[inline]
    pub fn end_batch(&mut self, client: u64, now: u64, requests: usize) -> BatchTimes {
        self.mark(Part::Run, now);
        let live = &mut self.live;
        let began = live.batch_began;
        let Longest { ticks: longest, command } = self.longest;
        live.visits += 1;
        live.record.requests += requests as u32;
        let is_longest = longest > live.longest || live.visits == 1;
        if is_longest {
            live.longest = longest;
            live.record.longest_command = command;
            live.record.longest_client = client;
        }
        if self.size_bytes > 0 && (is_longest || self.visits.len() < VISITS_MAX) {
            self.visits.truncate(VISITS_MAX - 1);
            self.visits.push(LiveVisit { client, began, ended: now, longest, command, requests: requests as u16 });
        }
        let waiting = began.saturating_sub(self.live.began);
        let waiting_ns = self.nanos(waiting);
        self.waiting.record(waiting_ns, requests as u64);
        BatchTimes { waiting, run: now.saturating_sub(began), longest }
    }

    /// The changes that a client's replies reveal are on the disk; the replies have waited since then.
    pub fn note_on_disk(&mut self, clock: &Clock, client: u64, since: u64, now: u64, command: Option<CommandId>) {
        let [since_ns, until_ns] = [since, now].map(|ticks| clock.nanos_at(ticks));
        let disk_ns = until_ns.saturating_sub(since_ns);
        self.disk.record(disk_ns, 1);
        self.late.note_on_disk(LateReply { client, command, since_ns, until_ns, disk_ns, socket_ns: 0 });
    }

    /// A client's socket has taken all its replies; they were free to leave since then.
    #[inline]
    pub fn note_sent(&mut self, clock: &Clock, client: u64, since: u64, now: u64, command: Option<CommandId>) {
        let socket_ns = self.nanos(now.saturating_sub(since));
        self.leaving.record(socket_ns, 1);
        if socket_ns >= LateReplies::LATE_NS {
            let [since_ns, until_ns] = [since, now].map(|ticks| clock.nanos_at(ticks));
            self.late.note_sent(LateReply { client, command, since_ns, until_ns, disk_ns: 0, socket_ns });
        }
    }

    /// Keeps the key of a slow request of the present turn.
    #[cold]
    pub fn note_slow(&mut self, client: u64, command: CommandId, key: &[u8]) {
        if !self.is_on() {
            return;
        }
        if self.slow.len() == SLOW_MAX {
            self.slow.pop_front();
        }
        let key = key[..key.len().min(KEY_BYTES_MAX)].into();
        self.slow.push_back(SlowRequest { turn: self.live.record.number, client, command, key });
    }

    /// The key of a slow request, if it is known. O(slow requests).
    pub fn key_of(&self, turn: u64, client: u64, command: CommandId) -> &[u8] {
        let is_it = |slow: &&SlowRequest| (slow.turn, slow.client, slow.command) == (turn, client, command);
        self.slow.iter().rev().find(is_it).map_or(&[], |slow| &slow.key)
    }

    /// Ends the turn, all of whose time is marked, and records it.
    pub fn end_turn(&mut self, clock: &Clock, facts: &TurnFacts) {
        if !self.is_on() {
            return;
        }
        let live = &mut self.live;
        let turn = &mut live.record;
        let scale = self.nanos_per_tick as f32;
        if live.has_jobs {
            turn.jobs_ns.iter_mut().for_each(|ticks| *ticks *= scale);
        }
        turn.parts_ns.iter_mut().for_each(|ticks| *ticks *= scale);
        for (sum_ns, part_ns) in self.parts_ns.iter_mut().zip(turn.parts_ns) {
            *sum_ns += f64::from(part_ns);
        }
        turn.input_bytes = difference(facts.input_bytes, self.bytes_before.0);
        turn.output_bytes = difference(facts.output_bytes, self.bytes_before.1);
        self.bytes_before = (facts.input_bytes, facts.output_bytes);
        let busy_ns = live.marked.saturating_sub(live.began) as i64 as f32 * scale;
        let bytes = turn.input_bytes | turn.output_bytes;
        if turn.requests == 0 && bytes == 0 && busy_ns < IDLE_TURN_NS {
            return;
        }
        turn.began_ns = clock.nanos_at(live.began);
        turn.waited_ns = live.began.saturating_sub(facts.last_ended) as i64 as f32 * scale;
        turn.longest_ns = live.longest as i64 as f32 * scale;
        turn.events = live.events.min(u32::from(u16::MAX)) as u16;
        turn.visits = live.visits.min(u32::from(u16::MAX)) as u16;
        turn.end = facts.end;
        self.turns.push(turn);
        let (visits, began, nanos_per_tick) = (&self.visits, live.began, self.nanos_per_tick);
        self.aggregates.push(turn, busy_ns, |kept| {
            kept.extend(visits.iter().map(|visit| visit.settled(nanos_per_tick, began)));
        });
    }
}

/// How much a sum has grown since; it may have been set to zero meanwhile.
fn difference(now: u64, before: u64) -> u32 {
    u32::try_from(now.checked_sub(before).unwrap_or(now)).unwrap_or(u32::MAX)
}
