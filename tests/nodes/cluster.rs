//! Several nodes under one clock, and the network between them: each step moves bytes, turns loops and helpers, in an
//! order that the seed gives, and looks whether all holds that must.

use oneloop::base::clock::Clock;
use oneloop::config::Config;
use oneloop::engine::state::ServerState;
use oneloop::net::scripted::world::World;
use oneloop::reactor::stepping::SteppedLoop;
use oneloop::storage::file::operations::simulated::{PowerCut, SimulatedDisk};

use super::ledger::{Ledger, Outcome};
use super::network::Network;
use super::node::{Node, node_at, request};
use super::promises::Promise;
use super::tap::Seen;

pub const START_MS: u64 = 1_700_000_000_000;
/// More steps at one instant are a loop that does not come to rest.
const STEPS_AT_ONCE_MAX: usize = 50_000;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By a signal that cannot be caught.
    Kill,
    /// With its machine.
    PowerCut(PowerCut),
    /// With its machine, whose disk is lost.
    LostDisk,
}

/// The nodes and the network.
pub struct Cluster {
    pub clock: Clock,
    pub nodes: Vec<Node>,
    pub network: Network,
    pub ledger: Ledger,
    pub random: fastrand::Rng,
    /// The events so far, to find out why a story failed.
    pub told: Vec<String>,
    /// Helper threads are slow.
    pub has_slow_disks: bool,
    pub(super) promises: Vec<Promise>,
    keeps_lines: bool,
    instant_us: u64,
    steps_at_once: usize,
}

impl Cluster {
    /// Nodes with these settings, none of which is started.
    pub fn new(seed: u64, configs: Vec<Config>, keeps_lines: bool) -> Cluster {
        let count = configs.len();
        let nodes = configs.into_iter().enumerate().map(|(number, config)| Node::new(number, seed, config));
        Cluster {
            clock: Clock::virtual_at(START_MS),
            nodes: nodes.collect(),
            network: Network::new(count, seed ^ 0x5eed),
            ledger: Ledger::new(count, keeps_lines),
            random: fastrand::Rng::with_seed(seed ^ 0xc10c),
            told: Vec::new(),
            has_slow_disks: false,
            promises: Vec::new(),
            keeps_lines,
            instant_us: 0,
            steps_at_once: 0,
        }
    }

    pub fn now_us(&mut self) -> u64 {
        self.clock.refresh();
        self.clock.now_us()
    }

    /// Notes what happens.
    pub fn tell(&mut self, text: String) {
        let ms = self.now_us() / 1000 - START_MS;
        self.told.push(format!("{:>4}.{:03} {text}", ms / 1000, ms % 1000));
    }

    /// Starts a node.
    pub fn start(&mut self, node: usize) -> Outcome {
        self.tell(format!("node {node} starts"));
        let started = self.nodes[node].start(&self.clock);
        started.map_err(|error| format!("node {node} does not start: {error}"))?;
        self.observe(node)?;
        match &self.nodes[node].server {
            Some(server) => self.ledger.check_start(node, server.view()),
            None => Ok(()),
        }
    }

    /// Ends the process of a node.
    pub fn end(&mut self, node: usize, ending: Ending, forgets_primary: bool) {
        if self.nodes[node].server.is_none() {
            return;
        }
        self.tell(format!("node {node} ends: {ending:?}"));
        let now_us = self.now_us();
        self.network.node_ended(node, now_us, ending != Ending::Kill);
        let had =
            self.nodes[node].state().map(|state| format!("{:?} {:?}", state.place_in_history(), state.aof.state()));
        self.nodes[node].end(forgets_primary);
        if self.keeps_lines {
            self.tell(format!("node {node} had {had:?}, and on its disk {:?}", self.nodes[node].disk));
        }
        match ending {
            Ending::Kill => self.nodes[node].disk.begin_process(None),
            Ending::PowerCut(kept) => self.nodes[node].disk.begin_process(Some(kept)),
            Ending::LostDisk => {
                self.nodes[node].disk = SimulatedDisk::new(self.random.u64(..));
                self.ledger.disk_lost(node);
            }
        }
        self.ledger.node_ended(node);
        self.drop_promises(node);
    }

    fn observe(&mut self, node: usize) -> Outcome {
        let Some(state) = self.nodes[node].state() else { return Ok(()) };
        self.ledger.observe(node, state, self.network.wire_of(node))
    }

    fn worlds(&self) -> Vec<Option<World>> {
        self.nodes.iter().map(|node| node.server.as_ref().map(|server| server.world().clone())).collect()
    }

    fn move_network(&mut self) -> Result<bool, String> {
        let (now_us, worlds, count) = (self.now_us(), self.worlds(), self.nodes.len());
        let mut has_moved = false;
        for (node, world) in worlds.iter().enumerate() {
            if let Some(world) = world {
                has_moved |= self.network.take_dials(node, world, now_us, |last| node_at(last, count));
            }
        }
        let (moved, seen) = self.network.pump(now_us, &worlds);
        for (number, one) in seen {
            self.note(number, one)?;
        }
        Ok(has_moved | moved)
    }

    fn note(&mut self, number: usize, seen: Seen) -> Outcome {
        let Some(wire) = self.network.wires().iter().find(|wire| wire.number == number) else { return Ok(()) };
        let view = |node: usize| self.nodes[node].server.as_ref().map(SteppedLoop::view);
        self.ledger.note(wire, seen.clone(), view(wire.from), view(wire.to))?;
        let (from, to) = (wire.from, wire.to);
        match seen {
            Seen::Asked { id, wanted, .. } => self.tell(format!("node {from} asks node {to} for {id} {wanted}")),
            Seen::Full(place) => self.tell(format!("node {from} is sent all data of node {to} at {place}")),
            Seen::Continues(place) => self.tell(format!("node {from} goes on with node {to} after {place}")),
            Seen::Line(line) if line.starts_with('-') => self.tell(format!("node {to} tells node {from}: {line}")),
            _ => {}
        }
        Ok(())
    }

    /// One turn of each loop that has anything to do, in any order.
    fn turn_loops(&mut self) -> Result<bool, String> {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        self.random.shuffle(&mut order);
        let mut is_any = false;
        for node in order {
            let Some(server) = &mut self.nodes[node].server else { continue };
            if server.is_idle() {
                continue;
            }
            is_any = true;
            self.ledger.known[node].offset_before = server.view().replication_offset();
            server.turn().map_err(|error| error.to_string())?;
            let is_over = server.is_over();
            if is_over {
                self.tell(format!("node {node} has shut down"));
                let now_us = self.now_us();
                self.network.node_ended(node, now_us, false);
                self.nodes[node].end(false);
                self.nodes[node].disk.begin_process(None);
                self.ledger.node_ended(node);
                self.drop_promises(node);
            } else if self.nodes[node].disk.is_cut_off() {
                return Err(format!("node {node} has ended itself"));
            } else {
                self.observe(node)?;
                self.keep_promises(node)?;
            }
        }
        Ok(is_any)
    }

    /// Helper threads do something, as a rule soon.
    fn run_helpers(&mut self, is_quiet: bool) -> bool {
        let mut is_any = false;
        for node in &self.nodes {
            let busy = node.disk.busy_helpers();
            let is_run = is_quiet && !self.has_slow_disks || self.random.u8(0..8) == 0;
            if busy.is_empty() || !is_run {
                continue;
            }
            node.disk.run_helper(busy[self.random.usize(0..busy.len())]);
            is_any = true;
        }
        is_any
    }

    /// Moves everything once; says whether anything could be moved.
    fn step(&mut self) -> Result<bool, String> {
        let moved = self.move_network()?;
        let turned = self.turn_loops()?;
        let helped = self.run_helpers(!moved && !turned);
        Ok(moved | turned | helped)
    }

    /// Lets so much time pass.
    pub fn run_ms(&mut self, duration_ms: u64) -> Outcome {
        self.run_until(duration_ms, |_| false).map(|_| ())
    }

    /// Lets time pass until something holds, at most so much; says whether it holds.
    pub fn run_until(&mut self, most_ms: u64, mut holds: impl FnMut(&mut Cluster) -> bool) -> Result<bool, String> {
        let deadline_us = self.now_us() + most_ms * 1000;
        loop {
            let has_moved = self.step()?;
            if holds(self) {
                return Ok(true);
            }
            let now_us = self.now_us();
            if now_us >= deadline_us {
                return Ok(false);
            }
            if has_moved {
                self.check_rest(now_us)?;
            } else {
                self.pass_time(now_us, deadline_us);
            }
        }
    }

    fn check_rest(&mut self, now_us: u64) -> Outcome {
        if self.instant_us != now_us {
            (self.instant_us, self.steps_at_once) = (now_us, 0);
        }
        self.steps_at_once += 1;
        match self.steps_at_once < STEPS_AT_ONCE_MAX {
            true => Ok(()),
            false => Err("some loop does not come to rest".into()),
        }
    }

    /// Nothing is left to do now: the clock moves on to when there is.
    fn pass_time(&mut self, now_us: u64, deadline_us: u64) {
        let mut next_us = deadline_us;
        if let Some(due_us) = self.network.next_due_us() {
            next_us = next_us.min(due_us);
        }
        for node in &mut self.nodes {
            if self.has_slow_disks && !node.disk.busy_helpers().is_empty() {
                next_us = next_us.min(now_us + 5000);
            }
            if let Some(wait) = node.server.as_mut().and_then(SteppedLoop::time_to_wait) {
                next_us = next_us.min(now_us + wait.as_micros() as u64);
            }
        }
        let wait_us = next_us.saturating_sub(now_us).max(100);
        self.clock.advance_virtual_by(std::time::Duration::from_micros(wait_us));
    }

    /// The state of a node that is up.
    pub fn view(&self, node: usize) -> Option<&ServerState> {
        self.nodes[node].server.as_ref().map(SteppedLoop::view)
    }

    /// Whether all nodes are where the primary is, and follow it.
    pub fn is_in_sync(&self, primary: usize) -> bool {
        let place = |node: usize| {
            let state = self.view(node)?;
            let is_there = node == primary || state.replication.replica.as_ref()?.link.is_streaming();
            is_there.then(|| state.place_in_history().map(|(position, _)| position)).flatten()
        };
        let wanted = place(primary);
        wanted.is_some() && (0..self.nodes.len()).all(|node| place(node) == wanted)
    }

    /// What a node's patient client is answered, one line for each request.
    pub fn ask(&mut self, node: usize, requests: &[Vec<&str>]) -> Result<Vec<String>, String> {
        let Some(patient) = &self.nodes[node].patient else { return Err(format!("node {node} is down")) };
        requests.iter().for_each(|words| patient.peer.send(&request(words)));
        let mut lines = Vec::new();
        let wanted = requests.len();
        let is_answered = self.run_until(60_000, |cluster| {
            if let Some(patient) = &mut cluster.nodes[node].patient {
                lines.extend(std::iter::from_fn(|| patient.line()));
            }
            lines.len() >= wanted
        })?;
        match is_answered {
            true => Ok(lines),
            false => Err(format!("node {node} does not answer {requests:?}: {lines:?}")),
        }
    }
}
