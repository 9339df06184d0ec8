//! A cluster in one process: members, a network with losses, delays and partitions, clocks that jump, disks that
//! survive crashes.

mod agreement;
mod disk;
mod network;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use fastrand::Rng;

use self::disk::{Disk, claim_in};
use self::network::Connection;
use crate::cluster::member::{Effect, Member, Replication, Settings};
use crate::cluster::node::{LinkId, Now};
use crate::cluster::node_id::NodeId;
use crate::cluster::nodes_file::{Epochs, read_file};
use crate::cluster::tests::promises::{Promises, Sent};

/// Start of the members' wall clocks.
const EPOCH_MS: u64 = 1_700_000_000_000;
const TICK_MS: u64 = 100;
const BUS_PORT: u16 = 16379;

/// Random faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Chance in a thousand that a frame is lost although its link stays open.
    pub frame_loss: u32,
    /// Chance in ten thousand that a process dies between two steps of a turn.
    pub crash: u32,
    pub latency_max_ms: u64,
}

/// One process, running or not.
pub struct Process {
    pub member: Option<Member>,
    disk: Disk,
    ip: String,
    /// Counts starts: events of an earlier life are void.
    life: u64,
    wall_skew_ms: i64,
    stalled_until_ms: u64,
    settings: Settings,
    links: BTreeMap<LinkId, (usize, usize)>,
    offset: u64,
    following: Option<NodeId>,
    last_data_ms: Option<u64>,
    writes_paused_until_ms: u64,
    /// The process was started with an older file: it may vote again in an epoch.
    pub is_amnesiac: bool,
    /// While the process is down a proxy accepts its connections, and closes them.
    pub is_behind_proxy: bool,
    /// This replica was asked to fail over with the help of this primary.
    pub plain_failover: Option<NodeId>,
    /// It had all writes of that primary when the election began.
    pub has_caught_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick { process: usize, life: u64 },
    Connect { connection: usize },
    Arrive { connection: usize, direction: usize },
    Close { connection: usize, end: usize },
}

/// The simulated cluster.
pub struct World {
    pub now_ms: u64,
    pub rng: Rng,
    pub processes: Vec<Process>,
    /// Whether frames from one process (first index) to another do not arrive.
    pub blocked: Vec<Vec<bool>>,
    pub faults: Faults,
    connections: Vec<Connection>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    promises: Promises,
    /// Number of addresses assigned so far.
    addresses: usize,
    /// Commands may raise epochs without votes in this run, so claims may collide.
    pub has_epochs_without_votes: bool,
    /// At the end nodes may have neither slots nor a primary.
    pub has_spare_primaries: bool,
    /// How often a process has changed its address.
    pub moves: usize,
    pub frames: u64,
    pub elections: u64,
    pub trace: bool,
}

impl World {
    /// Processes that do not know each other.
    pub fn new(seed: u64, processes: usize, settings: &Settings) -> World {
        let mut world = World {
            now_ms: 1000,
            rng: Rng::with_seed(seed),
            processes: Vec::new(),
            blocked: vec![vec![false; processes]; processes],
            faults: Faults { latency_max_ms: 5, ..Faults::default() },
            connections: Vec::new(),
            events: BinaryHeap::new(),
            sequence: 0,
            promises: Promises::default(),
            addresses: 0,
            has_epochs_without_votes: false,
            has_spare_primaries: false,
            moves: 0,
            frames: 0,
            elections: 0,
            trace: std::env::var_os("TRACE").is_some(),
        };
        for index in 0..processes {
            let ip = world.next_address();
            world.processes.push(Process {
                member: None,
                disk: Disk::default(),
                ip,
                life: 0,
                wall_skew_ms: world.rng.i64(-300..300),
                stalled_until_ms: 0,
                settings: settings.clone(),
                links: BTreeMap::new(),
                offset: 0,
                following: None,
                last_data_ms: None,
                writes_paused_until_ms: 0,
                is_amnesiac: false,
                is_behind_proxy: false,
                plain_failover: None,
                has_caught_up: false,
            });
            world.start(index);
        }
        world
    }

    fn next_address(&mut self) -> String {
        self.addresses += 1;
        format!("10.0.{}.{}", self.addresses / 200, self.addresses % 200 + 1)
    }

    /// Moves a process that is down to another address.
    pub fn move_away(&mut self, index: usize) {
        if self.processes[index].member.is_none() {
            self.processes[index].ip = self.next_address();
            self.moves += 1;
        }
    }

    /// Exchanges the addresses of two processes that are down.
    pub fn exchange_addresses(&mut self, one: usize, other: usize) {
        if one != other && self.processes[one].member.is_none() && self.processes[other].member.is_none() {
            let ip = std::mem::take(&mut self.processes[one].ip);
            self.processes[one].ip = std::mem::replace(&mut self.processes[other].ip, ip);
            self.moves += 2;
        }
    }

    fn schedule(&mut self, at_ms: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at_ms, self.sequence, event)));
    }

    pub fn now_of(&self, process: usize) -> Now {
        let skew_ms = self.processes[process].wall_skew_ms;
        Now { steady_ms: self.now_ms, wall_ms: (EPOCH_MS + self.now_ms).saturating_add_signed(skew_ms) }
    }

    /// Starts a process with the file on its disk.
    pub fn start(&mut self, index: usize) {
        let now = self.now_of(index);
        let mut rng = self.rng.fork();
        let process = &mut self.processes[index];
        if process.member.is_some() {
            return;
        }
        let settings = process.settings.clone();
        let member = match &process.disk.synced {
            None => Member::new(settings, rng, now),
            Some(text) => {
                let (table, epochs) =
                    read_file(text, false, now, || NodeId::random(&mut rng)).expect("a file that was written is read");
                Member::resume(settings, rng, table, epochs)
            }
        };
        process.member = Some(member);
        process.life += 1;
        process.links.clear();
        process.following = None;
        process.last_data_ms = None;
        process.writes_paused_until_ms = 0;
        process.plain_failover = None;
        let id = process.member.as_ref().map(|member| member.table().myself().id);
        assert!(process.disk.id.is_none() || process.disk.id == id, "{index} is another node after a restart");
        self.promises.forget_process(index);
        let process = &mut self.processes[index];
        let life = process.life;
        let first_ms = self.now_ms + self.rng.u64(1..TICK_MS);
        self.schedule(first_ms, Event::Tick { process: index, life });
        self.turn(index);
    }

    /// Restarts all processes, with files in which they know each other.
    pub fn start_with_files(&mut self, settle: impl Fn(usize, &mut Member)) {
        let nodes: Vec<(String, NodeId)> =
            (0..self.processes.len()).map(|index| (self.ip_of(index), self.id_of(index).expect("it is up"))).collect();
        for index in 0..nodes.len() {
            self.command(index, |member, _| settle(index, member));
        }
        let lines = |index: usize, flag: &str| {
            let text = self.processes[index].disk.synced.as_deref().expect("a file");
            let line = text.lines().next().expect("a line");
            line.replace(" :", &format!(" {}:", nodes[index].0)).replace("myself,", flag)
        };
        let files: Vec<String> = (0..nodes.len())
            .map(|own| {
                let lines =
                    (0..nodes.len()).map(|index| lines(index, if index == own { "myself," } else { "" }) + "\n");
                lines.collect::<String>() + &format!("vars currentEpoch {} lastVoteEpoch 0\n", nodes.len())
            })
            .collect();
        for (index, file) in files.into_iter().enumerate() {
            self.crash(index);
            self.processes[index].disk.synced = Some(file);
            self.processes[index].disk.note_synced();
        }
        (0..nodes.len()).for_each(|index| self.start(index));
    }

    /// Ends a process. Changes that were not synced may be lost.
    pub fn crash(&mut self, index: usize) {
        let keeps_lazy = self.rng.bool();
        let process = &mut self.processes[index];
        if process.member.take().is_none() {
            return;
        }
        if let Some(lazy) = process.disk.lazy.take().filter(|_| keeps_lazy) {
            process.disk.synced = Some(lazy);
        }
        process.disk.note_synced();
        let links: Vec<(usize, usize)> = std::mem::take(&mut process.links).into_values().collect();
        for (connection, end) in links {
            self.connections[connection].is_open[end] = false;
            self.tell_other_end(connection, end);
        }
    }

    /// Puts an older file on the disk of a process that is down: a file with the same role and slots, since otherwise
    /// no member would know the present owners.
    pub fn restore_older(&mut self, index: usize) {
        let place = self.rng.usize(..);
        let process = &mut self.processes[index];
        let claim = process.disk.synced.as_deref().map(claim_in);
        let files: Vec<String> =
            process.disk.older.iter().filter(|text| Some(claim_in(text)) == claim).cloned().collect();
        if files.is_empty() || process.member.is_some() {
            return;
        }
        process.disk.synced = Some(files[place % files.len()].clone());
        process.disk.note_synced();
        process.is_amnesiac = true;
    }

    /// Erases the disk of a process that is down: it will start as a new node.
    pub fn lose_disk(&mut self, index: usize) {
        if self.processes[index].member.is_none() {
            self.processes[index].disk = Disk::default();
        }
    }

    /// From now on `restore_older` uses no file from before this moment.
    pub fn forget_older_files(&mut self) {
        self.processes.iter_mut().for_each(|process| process.disk.older.clear());
    }

    pub fn stall(&mut self, index: usize, for_ms: u64) {
        self.processes[index].stalled_until_ms = self.now_ms + for_ms;
    }

    pub fn jump_wall_clock(&mut self, index: usize, by_ms: i64) {
        self.processes[index].wall_skew_ms += by_ms;
    }

    /// Runs a command at a process that is up, and ends the turn.
    pub fn command<T>(&mut self, index: usize, command: impl FnOnce(&mut Member, Now) -> T) -> Option<T> {
        let now = self.now_of(index);
        let result = self.processes[index].member.as_mut().map(|member| command(member, now));
        self.turn(index);
        result
    }

    pub fn id_of(&self, index: usize) -> Option<NodeId> {
        Some(self.processes[index].member.as_ref()?.table().myself().id)
    }

    pub fn ip_of(&self, index: usize) -> String {
        self.processes[index].ip.clone()
    }

    pub fn offset_of(&self, index: usize) -> u64 {
        self.processes[index].offset
    }

    /// The node that a process replicates.
    pub fn follows(&self, index: usize) -> Option<NodeId> {
        self.processes[index].following
    }

    pub fn index_of(&self, id: NodeId) -> Option<usize> {
        (0..self.processes.len()).find(|index| self.id_of(*index) == Some(id))
    }

    pub fn alive(&self) -> Vec<usize> {
        (0..self.processes.len()).filter(|index| self.processes[*index].member.is_some()).collect()
    }

    /// Lets time pass.
    pub fn run(&mut self, for_ms: u64) {
        let end_ms = self.now_ms + for_ms;
        while let Some(Reverse((at_ms, _, _))) = self.events.peek()
            && *at_ms <= end_ms
        {
            let Some(Reverse((at_ms, _, event))) = self.events.pop() else { break };
            self.now_ms = self.now_ms.max(at_ms);
            self.handle(event);
        }
        self.now_ms = end_ms;
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Tick { process, life } => self.on_tick(process, life),
            Event::Connect { connection } => self.on_connect(connection),
            Event::Arrive { connection, direction } => self.on_arrive(connection, direction),
            Event::Close { connection, end } => self.on_close(connection, end),
        }
    }

    /// The end of the process's stall, if it is stalled.
    fn stalled_until(&self, process: usize) -> Option<u64> {
        let until_ms = self.processes[process].stalled_until_ms;
        (until_ms > self.now_ms).then_some(until_ms)
    }

    fn on_tick(&mut self, index: usize, life: u64) {
        if self.processes[index].life != life || self.processes[index].member.is_none() {
            return;
        }
        if let Some(until_ms) = self.stalled_until(index) {
            return self.schedule(until_ms, Event::Tick { process: index, life });
        }
        self.schedule(self.now_ms + TICK_MS, Event::Tick { process: index, life });
        self.replicate(index);
        let now = self.now_of(index);
        if let Some(member) = &mut self.processes[index].member {
            member.tick(now);
        }
        self.turn(index);
    }

    /// A primary writes; a replica catches up with its primary, if it reaches it.
    fn replicate(&mut self, index: usize) {
        self.write(index, 5);
        let process = &self.processes[index];
        if process.member.as_ref().is_none_or(|member| member.table().myself().is_primary()) {
            return;
        }
        let Some(primary) = process.following.and_then(|id| self.index_of(id)) else { return };
        // The replication stream has delays too.
        if self.rng.u32(..4) > 0 {
            return;
        }
        let is_reached = !self.blocked[index][primary] && !self.blocked[primary][index];
        if is_reached && self.stalled_until(primary).is_none() {
            self.processes[index].offset = self.processes[primary].offset;
            self.processes[index].last_data_ms = Some(self.now_ms);
        }
    }

    fn take_frame(&mut self, target: usize, link: LinkId, frame: &[u8]) {
        let now = self.now_of(target);
        if let Some(member) = &mut self.processes[target].member {
            self.frames += 1;
            member.receive(link, frame, now);
            self.promises.note_received(target, member, frame, self.now_ms);
        }
    }

    /// Clients of a primary write, unless writes are paused.
    fn write(&mut self, index: usize, most: u64) {
        let writes = self.rng.u64(..most);
        let process = &mut self.processes[index];
        let is_primary = process.member.as_ref().is_some_and(|member| member.table().myself().is_primary());
        if is_primary && process.writes_paused_until_ms <= self.now_ms {
            process.offset += writes;
        }
    }

    /// Ends a process's turn as the owner of a member does: save, then effects, then frames.
    pub fn turn(&mut self, index: usize) {
        let now = self.now_of(index);
        let crash_at = if self.rng.u32(..10_000) < self.faults.crash { self.rng.u32(1..3) } else { 0 };
        let process = &mut self.processes[index];
        let data_age_ms = process.last_data_ms.map(|at_ms| self.now_ms - at_ms);
        let replication =
            Replication { offset: process.offset, data_age_ms, is_following: process.following.is_some() };
        let Some(member) = &mut process.member else { return };
        member.set_replication(replication);
        let output = member.end_turn(now);
        if output.is_empty() {
            return;
        }
        if crash_at == 1 {
            return self.crash(index);
        }
        let disk = &mut process.disk;
        let released = output.release(|text, durability| {
            disk.save(text, durability);
            Ok::<(), ()>(())
        });
        if crash_at == 2 {
            return self.crash(index);
        }
        let released = released.expect("saving does not fail");
        for effect in released.effects {
            self.carry_out(index, effect);
        }
        for send in released.sends {
            self.check_frame(index, send.link, &send.frame);
            self.send(index, send.link, send.frame);
        }
    }

    fn carry_out(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::Connect { link, ip, port } => {
                assert_eq!(port, BUS_PORT);
                let life = self.processes[index].life;
                let found = self.processes.iter().position(|process| process.ip == ip);
                let target = found.unwrap_or(index);
                let connection = self.connections.len();
                self.connections.push(Connection {
                    ends: [(index, life, link), (target, 0, LinkId(0))],
                    is_open: [true, false],
                    queues: Default::default(),
                    last_arrival_ms: [0; 2],
                });
                self.processes[index].links.insert(link, (connection, 0));
                let at_ms = self.now_ms + 1 + self.rng.u64(..=self.faults.latency_max_ms);
                // Without a process at the address the connection is refused.
                let refused = Event::Close { connection, end: 0 };
                self.schedule(at_ms, found.map_or(refused, |_| Event::Connect { connection }));
            }
            Effect::Close(link) => {
                if let Some((connection, end)) = self.processes[index].links.remove(&link) {
                    self.connections[connection].is_open[end] = false;
                    self.tell_other_end(connection, end);
                }
            }
            Effect::Follow { id, .. } => {
                let process = &mut self.processes[index];
                process.following = Some(id);
                process.plain_failover = process.plain_failover.filter(|primary| *primary == id);
            }
            Effect::Promote => self.processes[index].following = None,
            Effect::PauseWrites { until_ms } => self.processes[index].writes_paused_until_ms = until_ms,
            Effect::ResumeWrites => self.processes[index].writes_paused_until_ms = 0,
            Effect::Log(_, text) => {
                if text.contains("election won") {
                    self.check_election(index);
                }
                if text.contains("manual failover can start") {
                    self.processes[index].has_caught_up = true;
                }
                if text.contains("Manual failover timed out") {
                    self.processes[index].plain_failover = None;
                }
                if self.trace {
                    println!("{:>7} {index}: {text}", self.now_ms);
                }
            }
            Effect::SlotsLost { .. } | Effect::DeleteAll | Effect::StateChanged { .. } | Effect::Deliver { .. } => {}
        }
    }

    /// Checks a frame against the promises of the cluster.
    fn check_frame(&mut self, index: usize, link: LinkId, frame: &[u8]) {
        let process = &self.processes[index];
        let (Some(member), Some((connection, end))) = (&process.member, process.links.get(&link)) else { return };
        let to = self.id_of(self.connections[*connection].ends[1 - end].0);
        let has_amnesia = self.processes.iter().any(|process| process.is_amnesiac);
        let sent = Sent {
            member,
            index,
            now_ms: self.now_ms,
            saved: Epochs { current: process.disk.current, last_vote: process.disk.last_vote },
            saved_own_epoch: process.disk.own_epoch,
            to,
            is_amnesiac: process.is_amnesiac,
            may_collide: self.has_epochs_without_votes || has_amnesia,
        };
        self.promises.check(&sent, frame);
    }

    /// Checks a replica that has become primary by votes.
    fn check_election(&mut self, index: usize) {
        self.elections += 1;
        if let Some(member) = &self.processes[index].member {
            self.promises.check_election(index, member);
        }
        // If the primary fails before the replica has all of its writes, the replica takes over without the rest of them.
        let is_plain = std::mem::take(&mut self.processes[index].has_caught_up);
        let asked = self.processes[index].plain_failover.take().filter(|_| is_plain);
        let primary = asked.and_then(|id| self.index_of(id));
        let Some(primary) = primary.map(|primary| &self.processes[primary]) else { return };
        if primary.writes_paused_until_ms > self.now_ms {
            let (has, had) = (self.processes[index].offset, primary.offset);
            assert!(has >= had, "{index} takes over with offset {has} from {had}: writes are lost");
        }
    }
}
