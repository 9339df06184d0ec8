//! What came to a recorded server, served once more: with other settings, or with a part of it left out. Replies may
//! differ, so this is no replay: the server runs in a scripted world, without sockets and files.
//!
//! ```text
//! recording ──replayed──→ Scenario ──run──→ SteppedLoop, a virtual clock ──→ figures of each turn, Figures
//! ```
//!
//! Each turn gets what came in the recorded one, at its date. The virtual clock moves on a little with each reading, so
//! what the server does follows from the scenario and the settings alone. How long a turn takes is measured beside
//! that, as the processor time of the thread. A run has a thread of its own: memory is counted by thread.
//!
//! Never changes the recording, and touches no files but its own.

pub mod figures;
pub mod scenario;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::sys::allocator::uncounted;
use crate::base::sys::machine::{Machine, Readings};
use crate::base::sys::time::thread_time_ns;
use crate::base::tape::{self, End};
use crate::drive::save::loading;
use crate::engine::state::ServerState;
use crate::keyspace::change_log::unit::encode;
use crate::net::address::Address;
use crate::net::scripted::peer::Peer;
use crate::reactor::launch;
use crate::reactor::stepping::SteppedLoop;
use crate::storage::file::operations::Disk;
use crate::storage::snapshot::Duplicates;

use super::opened;
use figures::Figures;
use scenario::{Event, Gatherer, Scenario, Shared, Turn};

/// How far each reading of the ticks moves the virtual clock, in ns: about what a short command takes.
const STEP_NS: u64 = 500;
/// Turns after the last recorded one that bring what is left to its end.
const LAST_TURNS_MAX: usize = 10_000;
/// As large as the stack of a process's first thread is commonly.
const STACK_BYTES: usize = 8 << 20;

/// What a turn has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnFigures {
    /// Its number, counted from 1 as in the recording.
    pub number: u64,
    /// Processor time.
    pub busy_ns: u64,
    pub commands: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    /// In use at its end.
    pub memory_bytes: u64,
}

/// One request of a scenario, by its number.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub number: u64,
    pub turn: u64,
    pub client: u64,
    pub arguments: &'a [Vec<u8>],
}

/// What a run is made of, besides the scenario.
pub struct Plan<'a> {
    /// Directives and their values, as on the command line.
    pub settings: &'a [OsString],
    /// Which requests are sent.
    pub keeps: &'a (dyn Fn(&Asked<'_>) -> bool + Sync),
}

/// What has come out of a run.
pub struct Outcome {
    pub figures: Figures,
    /// Requests that were left out because they concern files, other servers or the process.
    pub left_out: u64,
}

/// Replays a recording, and gathers what came to the server.
///
/// Errors: the text for the user.
pub fn gather(recording: &str) -> Result<Scenario, String> {
    let (sender, gathered) = channel();
    let recording = recording.to_string();
    let work = move || {
        let ended = sender.clone();
        // The receiver waits for it.
        let _ = sender.send(replay_gathering(&recording, ended));
    };
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    thread.map_err(|error| format!("Cannot start a thread: {error}"))?;
    gathered.recv().unwrap_or_else(|_| Err("The replay has failed.".to_string()))
}

/// Replays a recording on this thread. One that is left, or is over amid a turn, does not return: what was gathered, or
/// the reason, goes to `ended`.
fn replay_gathering(recording: &str, ended: Sender<Result<Scenario, String>>) -> Result<Scenario, String> {
    let opened = opened::open(recording)?;
    let arguments = opened.arguments();
    let gatherer = Rc::new(RefCell::new(Gatherer::new(recording)?));
    let seen = Rc::clone(&gatherer);
    let on_end = move |end: &End| -> Infallible {
        // Its file goes with it.
        let gathered = seen.borrow_mut().finish();
        let _ = ended.send(match end {
            End::Complete { .. } => gathered,
            end => Err(end.to_string()),
        });
        // To unwind would have the server ask for more.
        loop {
            thread::park();
        }
    };
    tape::replay(opened.player(Box::new(on_end)));
    let event_loop = launch::replay(&arguments, Some(Box::new(Shared(Rc::clone(&gatherer)))))?;
    tape::remove();
    // Its files and sockets are the recorded server's; its memory goes with the process.
    std::mem::forget(event_loop);
    gatherer.borrow_mut().finish()
}

/// Runs a scenario; `look` sees each turn in which anything came or was done, and says whether to go on.
///
/// Errors: the text for the user.
pub fn run(
    scenario: &Scenario,
    plan: &Plan<'_>,
    look: &mut (dyn FnMut(&TurnFigures) -> bool + Send),
) -> Result<Outcome, String> {
    on_thread(|| {
        let mut turns = uncounted(|| scenario.turns())?;
        let Some(mut next) = uncounted(|| turns.next_turn()) else {
            return Err("There is no turn in the recording.".to_string());
        };
        let state = state(scenario, plan.settings, next.date_us)?;
        let mut run = Run::new(state, plan, next.date_us)?;
        let mut goes_on = true;
        while goes_on && run.begin(&next) {
            // What was sent is the sockets' now.
            goes_on = run.turn()? && look(&run.last);
            match uncounted(|| turns.next_turn()) {
                Some(turn) => uncounted(|| next = turn),
                None => break,
            }
        }
        for _ in 0..LAST_TURNS_MAX {
            if !goes_on || run.stepped.is_idle() {
                break;
            }
            goes_on = run.turn()? && look(&run.last);
        }
        Ok(run.finish())
    })
}

/// Does work on a thread of its own, whose memory counts from zero.
fn on_thread<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        let thread = thread.map_err(|error| format!("Cannot start a thread: {error}"))?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

/// The recorded server's state before its first turn, with other settings and a clock that stands at that date.
fn state(scenario: &Scenario, settings: &[OsString], date_us: u64) -> Result<ServerState, String> {
    let opened = opened::open(&scenario.recording)?;
    let arguments = [opened.arguments(), settings.to_vec()].concat();
    let on_end = |end: &End| -> Infallible { resume_unwind(Box::new(end.clone())) };
    tape::replay(opened.player(Box::new(on_end)));
    let made = catch_unwind(AssertUnwindSafe(|| launch::replayed_state(&arguments)));
    tape::remove();
    let mut state = match made {
        Ok(state) => state?,
        Err(panic) if panic.is::<End>() => {
            return Err("One of these directives decides what is read at the start: it cannot be changed.".to_string());
        }
        Err(panic) => resume_unwind(panic),
    };
    let clock = Clock::virtual_at(date_us / 1000);
    clock.set_virtual_step(STEP_NS);
    state.recorder.set_clock(&clock);
    state.clock = clock;
    state.machine = Machine::Scripted(Box::new(Readings { process_id: 1, ..Readings::default() }));
    leave_outside(&mut state);
    (state.program.apply_settings)(&mut state);
    state.refresh_clock();
    if let Some(data) = &scenario.data {
        let name = std::mem::replace(&mut state.config.dbfilename, data.to_string_lossy().into_owned());
        loading::load(&mut state, Duplicates::Refuse)?;
        state.config.dbfilename = name;
    }
    state.disk = Disk::Absent;
    Ok(state)
}

/// Nothing is written, and nobody is connected to.
fn leave_outside(state: &mut ServerState) {
    state.process.config_file = None;
    let config = &mut state.config;
    config.save.clear();
    config.aclfile.clear();
    config.unixsocket.clear();
    (config.appendonly, config.replicaof) = (false, None);
    (config.tls_port, config.http_port) = (0, 0);
}

/// A run that goes on.
struct Run<'a> {
    stepped: SteppedLoop,
    clock: Clock,
    began_us: u64,
    plan: &'a Plan<'a>,
    peers: BTreeMap<u64, Peer>,
    /// Names of the directives that the plan sets.
    set: Vec<String>,
    requests: u64,
    left_out: u64,
    last: TurnFigures,
    /// Commands, bytes in and bytes out before the present turn.
    before: [u64; 3],
    figures: Figures,
}

impl<'a> Run<'a> {
    fn new(state: ServerState, plan: &'a Plan<'a>, date_us: u64) -> Result<Run<'a>, String> {
        let clock = state.clock.clone();
        let names = plan.settings.iter().filter_map(|word| word.to_str()?.strip_prefix("--").map(str::to_lowercase));
        Ok(Run {
            stepped: SteppedLoop::new(state)?,
            clock,
            began_us: date_us / 1000 * 1000,
            plan,
            peers: BTreeMap::new(),
            set: names.collect(),
            requests: 0,
            left_out: 0,
            last: TurnFigures::default(),
            before: [0; 3],
            figures: uncounted(Figures::default),
        })
    }

    /// Brings what comes in the next turn, at its date or as soon as the clock is there. Says whether there is a next
    /// turn.
    fn begin(&mut self, turn: &Turn) -> bool {
        let elapsed_ns = self.clock.nanos_at(self.clock.ticks());
        let due_ns = turn.date_us.saturating_sub(self.began_us).saturating_mul(1000);
        self.clock.advance_virtual_by(Duration::from_nanos(due_ns.saturating_sub(elapsed_ns)));
        for event in &turn.events {
            match event {
                Event::Connected { client, address: (peer, local, unix) } => {
                    let address = Address { peer: peer.clone(), local: local.clone(), unix: *unix };
                    let peer = self.stepped.connect_from(address);
                    uncounted(|| self.peers.insert(*client, peer));
                }
                Event::Asked { client, arguments } => uncounted(|| self.ask(*client, arguments)),
                Event::Closed { client } => {
                    if let Some(peer) = uncounted(|| self.peers.remove(client)) {
                        peer.finish();
                    }
                }
            }
        }
        !self.stepped.is_over()
    }

    /// Takes a turn; says whether the server goes on.
    fn turn(&mut self) -> Result<bool, String> {
        self.last.number += 1;
        let began_ns = thread_time_ns();
        self.stepped.turn().map_err(|error| error.to_string())?;
        self.last.busy_ns = thread_time_ns().saturating_sub(began_ns);
        self.note_turn();
        Ok(!self.stepped.is_over())
    }

    fn ask(&mut self, client: u64, arguments: &[Vec<u8>]) {
        let asked = Asked { number: self.requests, turn: self.last.number + 1, client, arguments };
        self.requests += 1;
        let keeps = (self.plan.keeps)(&asked);
        let Some(peer) = self.peers.get(&client).filter(|_| keeps) else { return };
        if concerns_outside(arguments, &self.set) {
            self.left_out += 1;
            return;
        }
        let mut bytes = Vec::new();
        encode(&mut bytes, arguments.len(), arguments.iter().map(Vec::as_slice));
        peer.send(&bytes);
    }

    fn note_turn(&mut self) {
        let state = self.stepped.state();
        let now = [state.stats.commands, state.stats.input_bytes, state.stats.output_bytes];
        // CONFIG RESETSTAT sets them to zero.
        let [commands, input_bytes, output_bytes] =
            std::array::from_fn(|place| now[place].saturating_sub(self.before[place]));
        self.before = now;
        self.last =
            TurnFigures { commands, input_bytes, output_bytes, memory_bytes: state.used_memory() as u64, ..self.last };
        if commands > 0 {
            uncounted(|| self.figures.note_turn(self.last.busy_ns));
        }
    }

    fn finish(mut self) -> Outcome {
        self.figures.note_state(self.stepped.state());
        Outcome { figures: self.figures, left_out: self.left_out }
    }
}

/// Commands about files, other servers or the process itself.
const OUTSIDE: [&str; 19] = [
    "shutdown",
    "save",
    "bgsave",
    "bgrewriteaof",
    "replicaof",
    "slaveof",
    "failover",
    "migrate",
    "sync",
    "psync",
    "replconf",
    "debug segfault",
    "debug panic",
    "debug oom",
    "debug restart",
    "debug crash-and-recover",
    "debug reload",
    "debug loadaof",
    "config rewrite",
];

/// What CONFIG SET cannot change here: it concerns files, sockets or the process.
const OUTSIDE_SETTINGS: [&str; 12] = [
    "dir",
    "dbfilename",
    "save",
    "appendonly",
    "port",
    "bind",
    "tls-",
    "http-",
    "oom-score",
    "crash-log",
    "proc-title",
    "loglevel",
];

/// Whether a request is left out: it concerns more than the data, or sets what the plan sets.
fn concerns_outside(arguments: &[Vec<u8>], set: &[String]) -> bool {
    let words: Vec<String> =
        arguments.iter().take(2).map(|word| String::from_utf8_lossy(word).to_ascii_lowercase()).collect();
    if words.join(" ") == "config set" {
        let mut names = arguments[2..].iter().step_by(2).map(|name| String::from_utf8_lossy(name).to_ascii_lowercase());
        return names.any(|name| set.contains(&name) || OUTSIDE_SETTINGS.iter().any(|head| name.starts_with(head)));
    }
    OUTSIDE.contains(&words[0].as_str()) || OUTSIDE.contains(&words.join(" ").as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_about_the_outside_are_left_out() {
        let is_left_out = |request: &str| {
            let arguments: Vec<Vec<u8>> = request.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            concerns_outside(&arguments, &["maxmemory".to_string()])
        };
        for request in ["SAVE", "Debug Segfault", "CONFIG SET maxmemory 1", "config set hz 10 dir /tmp", "psync ? -1"] {
            assert!(is_left_out(request), "{request}");
        }
        for request in ["PING", "CONFIG SET hz 10", "DEBUG SLEEP 0", "SET save 1", "CONFIG GET dir", "CONFIG"] {
            assert!(!is_left_out(request), "{request}");
        }
    }
}
