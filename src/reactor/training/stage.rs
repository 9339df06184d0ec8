//! One scene as it goes on: both loops, the clients, what happens next, and what the last step has done.

use std::collections::VecDeque;

use crate::acl::AclContext;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::config::{AppendFsync, Config, Named, ProtectedAction, SetContext};
use crate::drive::settings;
use crate::engine::session::Token;
use crate::engine::state::ServerState;
use crate::net::poll_target::PollTarget;
use crate::net::readiness::Readiness;
use crate::net::scripted::peer::Peer;
use crate::net::scripted::world::Source;
use crate::observe::turn::Part;
use crate::reactor::event_loop::SHARED_BUFFER_BYTES;
use crate::reactor::stepping::SteppedLoop;
use crate::storage::file::operations::Disk;
use crate::storage::file::operations::simulated::SimulatedDisk;

use super::client::Client;
use super::echo::EchoLoop;
use super::knobs::{KNOBS, Knob};
use super::lessons::{Act, Deed, Lesson};
use super::step::{Ran, Reported, Step};

const START_MS: u64 = 1_700_000_000_000;
const PORT: u16 = 6379;
/// Turns in which a scene comes to rest before it begins.
const SETTLING_TURNS_MAX: usize = 1000;
/// Bytes that the page may have sent by clients in one scene.
const SENT_MAX_BYTES: usize = 64 * 1024;
/// Requests of the last step that are kept.
const RAN_MAX: usize = 60;
/// What the clients of a lesson may ask for, the page's own requests included: nothing that is large by itself, that
/// waits for long, or that touches the process.
const ALLOWED: &[&[u8]] = &[
    b"nocommands",
    b"+ping",
    b"+echo",
    b"+get",
    b"+set",
    b"+del",
    b"+mget",
    b"+mset",
    b"+exists",
    b"+incr",
    b"+decr",
    b"+append",
    b"+strlen",
    b"+lpush",
    b"+rpush",
    b"+lpop",
    b"+rpop",
    b"+llen",
    b"+lrange",
    b"+sadd",
    b"+srem",
    b"+scard",
    b"+hset",
    b"+hget",
    b"+hdel",
    b"+expire",
    b"+ttl",
    b"+dbsize",
    b"+flushall",
    b"+multi",
    b"+exec",
    b"+discard",
    b"+watch",
    b"+client|id",
    b"+client|kill",
];

/// A scene.
pub(super) struct Stage {
    pub lesson: &'static Lesson,
    pub server: SteppedLoop,
    pub disk: SimulatedDisk,
    pub echo: EchoLoop,
    pub clients: Vec<Client>,
    pub acts: VecDeque<Act>,
    pub acts_done: usize,
    pub step: Step,
    pub turns: u64,
    /// What the disk's thread was asked and has done.
    pub syncs: u64,
    /// Where the knobs stand.
    pub knobs: Vec<u64>,
    sent_bytes: usize,
    slowlog_seen: u64,
}

fn text(error: std::io::Error) -> String {
    error.to_string()
}

impl Stage {
    /// Sets the stage for a lesson.
    ///
    /// # Errors
    ///
    /// The text for the log.
    pub(super) fn set(lesson: &'static Lesson) -> Result<Stage, String> {
        let mut config = Config { hz: 1, port: PORT, enable_debug_command: ProtectedAction::Yes, ..Config::default() };
        config.save.clear();
        config.slowlog_log_slower_than = 0;
        config.slowlog_max_len = RAN_MAX as _;
        (lesson.configure)(&mut config);
        let fsync = config.appendfsync;
        let disk = SimulatedDisk::new(1);
        let clock = Clock::virtual_at(START_MS);
        let mut state = ServerState::new(&crate::commands::PROGRAM, config, clock.clone(), &Entropy::Seeded(1));
        state.disk = Disk::Simulated(disk.clone());
        let mut server = SteppedLoop::new(state)?;
        server.load()?;
        let mut stage = Stage {
            lesson,
            server,
            disk,
            echo: EchoLoop::new(clock, SHARED_BUFFER_BYTES),
            clients: Vec::new(),
            acts: (lesson.acts)().into(),
            acts_done: 0,
            step: Step::default(),
            turns: 0,
            syncs: 0,
            knobs: KNOBS.iter().map(|knob| knob.usual).collect(),
            sent_bytes: 0,
            slowlog_seen: 0,
        };
        stage.prepare(fsync)?;
        Ok(stage)
    }

    /// Brings the scene to where the lesson begins.
    fn prepare(&mut self, fsync: AppendFsync) -> Result<(), String> {
        let helper = self.server.connect();
        helper.send(self.lesson.prepare.as_bytes());
        self.settle()?;
        while self.run_disk() {
            self.settle()?;
        }
        helper.finish();
        self.settle()?;
        for name in self.lesson.clients {
            self.dial(name)?;
            self.settle()?;
        }
        let state = self.server.state();
        let book = AclContext::new(&state.commands, &state.config);
        state.users.set(b"default", ALLOWED, book).map_err(|error| format!("{error:?}"))?;
        state.reset_stats();
        state.command_logs.slow.reset();
        self.echo.turn().map_err(text)?;
        for (name, capacity) in self.lesson.slow {
            let client = self.client(name)?;
            client.takes = false;
            client.peer.set_capacity(*capacity);
            client.echo.set_capacity(*capacity);
        }
        for (place, knob) in KNOBS.iter().enumerate() {
            let own = self.lesson.knobs.iter().find(|(name, _)| *name == knob.name);
            let value = match knob.name {
                "appendfsync" => knob.parse(fsync.name()).unwrap_or(knob.usual),
                _ => own.map_or(knob.usual, |(_, value)| *value),
            };
            self.knobs[place] = value;
            self.apply(knob, value)?;
        }
        self.turns = 0;
        self.syncs = 0;
        self.step = Step::default();
        self.look();
        Ok(())
    }

    /// Turns until the loop would wait.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..SETTLING_TURNS_MAX {
            if self.server.is_idle() {
                break;
            }
            self.server.turn().map_err(text)?;
        }
        Ok(())
    }

    /// A client of the lesson.
    fn client(&mut self, name: &str) -> Result<&mut Client, String> {
        let present = self.clients.iter_mut().rev().find(|client| client.name == name && !client.has_left);
        present.ok_or_else(|| format!("There is no client {name} now."))
    }

    fn dial(&mut self, name: &'static str) -> Result<(), String> {
        let peer = Peer::connect(self.server.world(), PORT).ok_or("The server does not listen.")?;
        let echo_slot = self.echo.connections.vacant_key();
        let echo = self.echo.connect().map_err(text)?;
        self.clients.push(Client::new(name, peer, echo, echo_slot));
        Ok(())
    }

    /// Has the next act happen.
    ///
    /// # Errors
    ///
    /// There is none.
    pub(super) fn play_act(&mut self) -> Result<(), String> {
        let act = self.acts.pop_front().ok_or("All acts of this lesson are over.")?;
        self.acts_done += 1;
        self.step = Step { says: act.says.to_string(), ..Step::default() };
        act.deeds.into_iter().try_for_each(|deed| self.perform(deed))?;
        self.look();
        Ok(())
    }

    fn perform(&mut self, deed: Deed) -> Result<(), String> {
        match deed {
            Deed::Dial(name) => self.dial(name)?,
            Deed::Send(name, bytes) => {
                let client = self.client(name)?;
                client.peer.send(&bytes);
                client.echo.send(&bytes);
            }
            Deed::Take(name, most) => self.client(name)?.take(most),
            Deed::TakeAll(name) => {
                let client = self.client(name)?;
                client.takes = true;
                client.peer.set_capacity(usize::MAX);
                client.echo.set_capacity(usize::MAX);
                client.take(usize::MAX);
            }
            Deed::Break(name) => {
                let client = self.client(name)?;
                client.has_left = true;
                client.peer.reset();
                client.echo.reset();
            }
            Deed::LateEvent(name) => self.report_late(name),
            Deed::Disk => drop(self.run_disk()),
        }
        Ok(())
    }

    /// Has the next poll of both loops report an event of a client that is gone.
    fn report_late(&mut self, name: &str) {
        let Some(client) = self.clients.iter().find(|client| client.name == name) else {
            return;
        };
        let of = |token| Readiness { target: PollTarget::Client(token), readable: true, writable: true, closed: true };
        if let Some(token) = client.token {
            self.server.world().report_untimely(of(token));
        }
        self.echo.world.report_untimely(of(Token { slot: client.echo_slot as u32, generation: 0 }));
    }

    /// Has the disk's thread do all that it was asked for; says whether that was anything.
    fn run_disk(&mut self) -> bool {
        let asked: Vec<usize> = self.disk.busy_helpers();
        for helper in &asked {
            self.syncs += u64::from(self.disk.run_helper(*helper));
        }
        !asked.is_empty()
    }

    /// A client sends what the page says, in both worlds.
    ///
    /// # Errors
    ///
    /// There is no such client, or it is too much.
    pub(super) fn send(&mut self, name: &str, bytes: &[u8]) -> Result<(), String> {
        if self.sent_bytes + bytes.len() > SENT_MAX_BYTES {
            return Err(format!("At most {SENT_MAX_BYTES} bytes can be sent until the lesson begins anew."));
        }
        let client = self.client(name)?;
        client.peer.send(bytes);
        client.echo.send(bytes);
        let says = format!("{} sends {} bytes.", client.name, bytes.len());
        self.sent_bytes += bytes.len();
        self.step = Step { says, ..Step::default() };
        self.look();
        Ok(())
    }

    /// Turns a knob.
    ///
    /// # Errors
    ///
    /// Why it cannot be.
    pub(super) fn set_knob(&mut self, knob: &'static Knob, value: u64) -> Result<(), String> {
        self.apply(knob, value)?;
        if let Some(place) = KNOBS.iter().position(|known| known.name == knob.name) {
            self.knobs[place] = value;
        }
        Ok(())
    }

    fn apply(&mut self, knob: &Knob, value: u64) -> Result<(), String> {
        let size = usize::try_from(value).unwrap_or(usize::MAX);
        match knob.name {
            "share" => {
                let ticks = self.server.state().clock.nanos_as_ticks(value * 1000);
                self.server.event_loop_mut().share_ticks = ticks;
            }
            "read-buffer" => {
                self.server.event_loop_mut().shared = vec![0; size].into_boxed_slice();
                self.echo.buffer = vec![0; size];
            }
            "batch" => self.server.event_loop_mut().batch.set_limit(size),
            "backpressure" => self.server.event_loop_mut().backpressure_bytes = size,
            "socket" => {
                for client in self.clients.iter().filter(|client| !client.takes) {
                    client.peer.set_capacity(size);
                    client.echo.set_capacity(size);
                }
            }
            "jobs-budget" => self.server.event_loop_mut().jobs.budget_max_ns = value * 1000,
            "look" => self.server.state().clock.set_virtual_step(value),
            "appendfsync" => {
                let word = knob.words[size];
                let asked = SetContext { is_local_client: true, is_loading: false };
                let pairs: &[(&[u8], &[u8])] = &[(b"appendfsync", word.as_bytes())];
                settings::set(self.server.state(), pairs, asked).map_err(|error| error.to_string())?;
            }
            _ => self.echo.drains = value == 1,
        }
        Ok(())
    }

    /// So many turns of both loops. Where the server's would wait, the time passes.
    ///
    /// # Errors
    ///
    /// The poll's.
    pub(super) fn turn(&mut self, count: u32) -> Result<(), String> {
        self.step = Step { says: format!("{count} turns"), ..Step::default() };
        for _ in 0..count {
            self.take_turn(|stage| stage.server.wait())?;
            self.turn_echo()?;
        }
        Ok(())
    }

    /// A turn of both loops for the first event alone that is due.
    ///
    /// # Errors
    ///
    /// The poll's; nothing is due.
    pub(super) fn turn_for_one_event(&mut self) -> Result<(), String> {
        let first = self.server.world().due().first().copied().ok_or("No event is due.")?;
        self.step = Step { says: "one event".to_string(), ..Step::default() };
        self.take_turn(|stage| stage.server.turn_for(&[first]))?;
        let echo_first: Vec<Source> = self.echo.world.due().into_iter().take(1).collect();
        self.echo.world.choose(&echo_first);
        if !echo_first.is_empty() {
            self.turn_echo()?;
        }
        Ok(())
    }

    /// A turn of the server's loop for one request of one client: the loop has no stop between two requests, so the
    /// share of a connection, and the batch, are as small as one request meanwhile.
    ///
    /// # Errors
    ///
    /// The poll's; there is nothing to do.
    pub(super) fn turn_for_one_request(&mut self) -> Result<(), String> {
        let first = self.server.world().due().first().copied();
        let has_ready = !self.server.event_loop().ready.is_empty();
        if first.is_none() && !has_ready {
            return Err("No client has a request.".to_string());
        }
        self.step = Step { says: "one request".to_string(), ..Step::default() };
        let event_loop = self.server.event_loop_mut();
        let (share_ticks, limit) = (event_loop.share_ticks, event_loop.batch.limit());
        event_loop.share_ticks = 0;
        event_loop.batch.set_limit(1);
        let taken = self.take_turn(|stage| match first {
            Some(source) if !has_ready => stage.server.turn_for(&[source]),
            _ => {
                stage.server.turn_without_poll();
                Ok(())
            }
        });
        let event_loop = self.server.event_loop_mut();
        event_loop.share_ticks = share_ticks;
        event_loop.batch.set_limit(limit);
        taken
    }

    fn turn_echo(&mut self) -> Result<(), String> {
        self.echo.turn().map_err(text)?;
        self.step.echo_reads += self.echo.reads;
        let mut reported = Vec::new();
        for readiness in &self.echo.reported {
            let PollTarget::Client(token) = readiness.target else { continue };
            let slot = token.slot as usize;
            let of = |client: &&Client| client.echo_slot == slot && !client.has_left;
            let name = self.clients.iter().rev().find(of).map_or("no client", |client| client.name);
            let is_known = self.echo.connections.contains(slot);
            reported.push(Reported { name: name.to_string(), readiness: *readiness, is_known });
        }
        if !reported.is_empty() {
            self.step.echo_reported = reported;
        }
        self.look();
        Ok(())
    }

    /// One turn of the server's loop, with what it has done.
    fn take_turn(&mut self, turn: impl FnOnce(&mut Stage) -> std::io::Result<()>) -> Result<(), String> {
        if self.server.is_over() {
            return Err("The server of this lesson has ended: begin the lesson anew.".to_string());
        }
        self.step.from_ready = self.server.event_loop().ready.len() as u64;
        let state = self.server.state();
        let (stats, jobs) = (state.stats, state.loop_stats.jobs);
        let loop_before = (state.loop_stats.waiting_ns, state.loop_stats.busy_ns);
        let turn_before = state.recorder.turns.iter().next_back().map(|turn| turn.number);
        turn(self).map_err(text)?;
        let reported: Vec<Reported> = self.server.reported().iter().map(|one| self.reported(*one)).collect();
        let state = self.server.state();
        let step = &mut self.step;
        step.turns += 1;
        if !reported.is_empty() {
            step.reported = reported;
        }
        step.reads += state.stats.reads - stats.reads;
        step.writes += state.stats.writes - stats.writes;
        step.input_bytes += state.stats.input_bytes - stats.input_bytes;
        step.output_bytes += state.stats.output_bytes - stats.output_bytes;
        step.requests += state.stats.commands - stats.commands;
        step.waited_us += (state.loop_stats.waiting_ns - loop_before.0) / 1000;
        step.took_us += (state.loop_stats.busy_ns - loop_before.1) / 1000;
        for (steps, (now, before)) in step.job_steps.iter_mut().zip(state.loop_stats.jobs.iter().zip(jobs)) {
            *steps += now.steps - before.steps;
        }
        let recorded = state.recorder.turns.iter().next_back().filter(|turn| Some(turn.number) != turn_before);
        step.batches += recorded.map_or(0, |turn| u64::from(turn.visits));
        step.timers_us = recorded.map_or(0, |turn| (turn.part_ns(Part::Timers) / 1000.0) as u64);
        self.turns += 1;
        self.note_requests();
        self.look();
        Ok(())
    }

    /// An event with the name of its client, as the loop knows it.
    fn reported(&self, readiness: Readiness) -> Reported {
        let (name, is_known) = match readiness.target {
            PollTarget::Client(token) => {
                let same = |client: &&Client| client.token == Some(token);
                let name = self.clients.iter().find(same).map_or("a new client", |client| client.name);
                (name, self.server.event_loop().state.clients.contains(token))
            }
            PollTarget::Listener(_) => ("the listener", true),
            PollTarget::Waker => ("the disk's thread", true),
            _ => ("something else", true),
        };
        Reported { name: name.to_string(), readiness, is_known }
    }

    /// Keeps the requests that were run, which the slow log has all of.
    fn note_requests(&mut self) {
        let state = self.server.state();
        let mut ran: Vec<Ran> = Vec::new();
        let seen = self.slowlog_seen;
        for entry in state.command_logs.slow.newest(RAN_MAX).take_while(|entry| entry.id >= seen) {
            let named = self.clients.iter().find(|client| client.peer.address() == entry.peer);
            let client = named.map_or(entry.peer.clone(), |client| client.name.to_string());
            ran.push(Ran { client, arguments: entry.arguments.clone(), took_us: entry.amount });
        }
        self.slowlog_seen = state.command_logs.slow.newest(1).next().map_or(seen, |entry| entry.id + 1);
        self.step.ran.extend(ran.into_iter().rev());
        let extra = self.step.ran.len().saturating_sub(RAN_MAX);
        self.step.ran.drain(..extra);
    }

    /// Has the clients take their replies, and remembers their tokens.
    fn look(&mut self) {
        for client in &mut self.clients {
            if client.takes {
                client.take(usize::MAX);
            }
            let address = client.peer.address();
            let session = self.server.event_loop().state.clients.iter().find(|session| session.address.peer == address);
            client.token = session.map(|session| session.token).or(client.token);
        }
    }
}
