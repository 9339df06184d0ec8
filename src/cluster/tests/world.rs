//! A cluster in one process: members, a network that loses, delays and cuts, clocks that jump, disks that survive.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;

use fastrand::Rng;

use crate::cluster::member::output::Durability;
use crate::cluster::member::{Effect, Member, Replication, Settings};
use crate::cluster::message::{Body, Packet, decode};
use crate::cluster::node::{LinkId, Now};
use crate::cluster::node_id::NodeId;
use crate::cluster::nodes_file::read_file;
use crate::cluster::slot::{SLOTS, SlotSet};

/// The members' clocks begin here.
const EPOCH_MS: u64 = 1_700_000_000_000;
const TICK_MS: u64 = 100;
const BUS_PORT: u16 = 16379;

/// What may go wrong with an instant of the network.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Chance in a thousand that a frame is lost though its link stays.
    pub frame_loss: u32,
    /// Chance in ten thousand that a process dies between two steps of a turn.
    pub crash: u32,
    pub latency_max_ms: u64,
}

/// What is on disk: the last synced file, and one that may or may not have reached the disk.
#[derive(Clone, Debug, Default)]
struct Disk {
    synced: Option<String>,
    lazy: Option<String>,
    /// Of the synced file: the epoch of the last vote, and this member's own.
    last_vote: u64,
    own_epoch: u64,
    older: Vec<String>,
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
    /// It was started with a file that is not its newest: it may vote again in an epoch.
    pub is_amnesiac: bool,
    /// The head of the last frame that was checked.
    checked: Vec<u8>,
}

/// A connection: an end at each of two processes, and what is under way in each direction.
struct Connection {
    ends: [(usize, u64, LinkId); 2],
    is_open: [bool; 2],
    queues: [VecDeque<Rc<[u8]>>; 2],
    last_arrival_ms: [u64; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Tick { process: usize, life: u64 },
    Connect { connection: usize },
    Arrive { connection: usize, direction: usize },
    Close { connection: usize, end: usize },
}

/// The whole.
pub struct World {
    pub now_ms: u64,
    pub rng: Rng,
    pub processes: Vec<Process>,
    /// What one process sends to another does not arrive.
    pub blocked: Vec<Vec<bool>>,
    pub faults: Faults,
    connections: Vec<Connection>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    votes: BTreeMap<(NodeId, u64), NodeId>,
    claims: BTreeMap<u64, Vec<(NodeId, SlotSet)>>,
    /// Epochs may be given without votes in this run, so that claims may collide.
    pub has_epochs_without_votes: bool,
    pub frames: u64,
    pub elections: u64,
    pub trace: bool,
}

impl World {
    /// Processes that know nobody.
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
            votes: BTreeMap::new(),
            claims: BTreeMap::new(),
            has_epochs_without_votes: false,
            frames: 0,
            elections: 0,
            trace: std::env::var_os("TRACE").is_some(),
        };
        for index in 0..processes {
            world.processes.push(Process {
                member: None,
                disk: Disk::default(),
                ip: format!("10.0.{}.{}", index / 200, index % 200 + 1),
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
                checked: Vec::new(),
            });
            world.start(index);
        }
        world
    }

    fn schedule(&mut self, at_ms: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at_ms, self.sequence, event)));
    }

    pub fn now_of(&self, process: usize) -> Now {
        let skew_ms = self.processes[process].wall_skew_ms;
        Now { steady_ms: self.now_ms, wall_ms: (EPOCH_MS + self.now_ms).saturating_add_signed(skew_ms) }
    }

    /// Starts a process with what is on its disk.
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
        process.checked.clear();
        let life = process.life;
        let first_ms = self.now_ms + self.rng.u64(1..TICK_MS);
        self.schedule(first_ms, Event::Tick { process: index, life });
        self.turn(index);
    }

    /// Starts all processes anew, with files that say that they know each other.
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

    /// Ends a process. What was not synced may be lost.
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

    /// Puts an older file on the disk of a process that is down: one with the same role and the same slots, since with
    /// others nobody would be left to say who owns what.
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

    /// Takes the disk of a process that is down away: it will be a new node.
    pub fn lose_disk(&mut self, index: usize) {
        if self.processes[index].member.is_none() {
            self.processes[index].disk = Disk::default();
        }
    }

    /// From now on no file is put back that is older than this.
    pub fn forget_older_files(&mut self) {
        self.processes.iter_mut().for_each(|process| process.disk.older.clear());
    }

    pub fn stall(&mut self, index: usize, for_ms: u64) {
        self.processes[index].stalled_until_ms = self.now_ms + for_ms;
    }

    pub fn jump_wall_clock(&mut self, index: usize, by_ms: i64) {
        self.processes[index].wall_skew_ms += by_ms;
    }

    /// Breaks a connection at random; either end may not notice.
    pub fn reset_a_connection(&mut self) {
        let open: Vec<usize> = (0..self.connections.len()).filter(|at| self.connections[*at].is_open[0]).collect();
        if open.is_empty() {
            return;
        }
        let connection = open[self.rng.usize(..open.len())];
        for end in 0..2 {
            if self.rng.u32(..4) > 0 {
                self.schedule(self.now_ms + 1, Event::Close { connection, end });
            }
        }
        self.connections[connection].queues.iter_mut().for_each(VecDeque::clear);
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

    /// A process that is stalled does everything later.
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

    /// A primary writes; a replica takes what its primary has, if it reaches it.
    fn replicate(&mut self, index: usize) {
        let writes = self.rng.u64(..5);
        let process = &mut self.processes[index];
        let Some(member) = &process.member else { return };
        if member.table().myself().is_primary() {
            if process.writes_paused_until_ms <= self.now_ms {
                process.offset += writes;
            }
            return;
        }
        let Some(primary) = process.following.and_then(|id| self.index_of(id)) else { return };
        let is_reached = !self.blocked[index][primary] && !self.blocked[primary][index];
        if is_reached && self.stalled_until(primary).is_none() {
            self.processes[index].offset = self.processes[primary].offset;
            self.processes[index].last_data_ms = Some(self.now_ms);
        }
    }

    fn on_connect(&mut self, connection: usize) {
        let [(opener, life, link), (target, _, _)] = self.connections[connection].ends;
        if self.processes[opener].life != life || !self.connections[connection].is_open[0] {
            return;
        }
        if self.blocked[opener][target] || self.blocked[target][opener] {
            // No answer: the member gives up by itself.
            return self.schedule(self.now_ms + 200, Event::Connect { connection });
        }
        if self.processes[target].member.is_none() {
            return self.on_close(connection, 0);
        }
        let (opener_ip, target_ip) = (self.ip_of(opener), self.ip_of(target));
        let (now, target_now) = (self.now_of(opener), self.now_of(target));
        let target_life = self.processes[target].life;
        if let Some(member) = &mut self.processes[target].member {
            let accepted = member.on_accepted(&opener_ip, &target_ip, target_now);
            self.connections[connection].ends[1] = (target, target_life, accepted);
            self.connections[connection].is_open[1] = true;
            self.processes[target].links.insert(accepted, (connection, 1));
        }
        if let Some(member) = &mut self.processes[opener].member {
            member.on_connected(link, &opener_ip, now);
        }
        self.turn(opener);
    }

    fn on_arrive(&mut self, connection: usize, direction: usize) {
        let (from, to) =
            (self.connections[connection].ends[direction].0, self.connections[connection].ends[1 - direction]);
        let (target, life, link) = to;
        if !self.connections[connection].is_open[1 - direction] || self.processes[target].life != life {
            return;
        }
        // What is held up arrives later, in order.
        let until_ms = if self.blocked[from][target] { Some(self.now_ms + 300) } else { self.stalled_until(target) };
        if let Some(until_ms) = until_ms {
            return self.schedule(until_ms, Event::Arrive { connection, direction });
        }
        let Some(frame) = self.connections[connection].queues[direction].pop_front() else { return };
        if self.rng.u32(..1000) < self.faults.frame_loss {
            return;
        }
        let now = self.now_of(target);
        if let Some(member) = &mut self.processes[target].member {
            self.frames += 1;
            member.receive(link, &frame, now);
        }
        self.turn(target);
    }

    fn on_close(&mut self, connection: usize, end: usize) {
        let (process, life, link) = self.connections[connection].ends[end];
        if !std::mem::take(&mut self.connections[connection].is_open[end]) || self.processes[process].life != life {
            return;
        }
        let now = self.now_of(process);
        self.processes[process].links.remove(&link);
        if let Some(member) = &mut self.processes[process].member {
            member.on_closed(link, now);
        }
        self.turn(process);
    }

    /// The other end learns that a connection is closed, unless the network swallows that.
    fn tell_other_end(&mut self, connection: usize, end: usize) {
        let [first, second] = self.connections[connection].ends;
        let (from, to) = if end == 0 { (first.0, second.0) } else { (second.0, first.0) };
        if !self.blocked[from][to] {
            let at_ms = self.connections[connection].last_arrival_ms[end].max(self.now_ms) + 1;
            self.schedule(at_ms, Event::Close { connection, end: 1 - end });
        }
    }

    /// Ends a process's turn as a driver does: save, then effects, then frames.
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
                let Some(target) = self.processes.iter().position(|process| process.ip == ip) else {
                    panic!("a connection to {ip}, where nobody is");
                };
                let connection = self.connections.len();
                self.connections.push(Connection {
                    ends: [(index, life, link), (target, 0, LinkId(0))],
                    is_open: [true, false],
                    queues: Default::default(),
                    last_arrival_ms: [0; 2],
                });
                self.processes[index].links.insert(link, (connection, 0));
                let at_ms = self.now_ms + 1 + self.rng.u64(..=self.faults.latency_max_ms);
                self.schedule(at_ms, Event::Connect { connection });
            }
            Effect::Close(link) => {
                if let Some((connection, end)) = self.processes[index].links.remove(&link) {
                    self.connections[connection].is_open[end] = false;
                    self.tell_other_end(connection, end);
                }
            }
            Effect::Follow { id, .. } => self.processes[index].following = Some(id),
            Effect::Promote => self.processes[index].following = None,
            Effect::PauseWrites { until_ms } => self.processes[index].writes_paused_until_ms = until_ms,
            Effect::ResumeWrites => self.processes[index].writes_paused_until_ms = 0,
            Effect::Log(_, text) => {
                if text.contains("election won") {
                    self.elections += 1;
                }
                if self.trace {
                    println!("{:>7} {index}: {text}", self.now_ms);
                }
            }
            Effect::SlotsLost { .. } | Effect::DeleteAll | Effect::StateChanged { .. } | Effect::Deliver { .. } => {}
        }
    }

    fn send(&mut self, index: usize, link: LinkId, frame: Rc<[u8]>) {
        let Some((connection, end)) = self.processes[index].links.get(&link).copied() else { return };
        let at_ms = self.now_ms + 1 + self.rng.u64(..=self.faults.latency_max_ms);
        let connection_state = &mut self.connections[connection];
        connection_state.queues[end].push_back(frame);
        let at_ms = at_ms.max(connection_state.last_arrival_ms[end]);
        connection_state.last_arrival_ms[end] = at_ms;
        self.schedule(at_ms, Event::Arrive { connection, direction: end });
    }

    /// What no frame may say.
    fn check_frame(&mut self, index: usize, link: LinkId, frame: &[u8]) {
        let is_vote = frame[12..14] == [0, 6];
        let epoch = u64::from_be_bytes(frame[24..32].try_into().expect("eight bytes"));
        let is_primary = frame[2128] == 0;
        let process = &self.processes[index];
        if is_vote {
            let Ok(Packet::Full(header, Body::Vote)) = decode(frame) else { panic!("a frame that cannot be read") };
            assert!(
                process.disk.last_vote >= header.current_epoch,
                "process {index} votes in epoch {}, but has only {} on disk",
                header.current_epoch,
                process.disk.last_vote
            );
            let (connection, end) = process.links[&link];
            let candidate = self.connections[connection].ends[1 - end].0;
            let candidate = self.id_of(candidate);
            if let Some(candidate) = candidate.filter(|_| !process.is_amnesiac) {
                let before = self.votes.insert((header.sender, header.current_epoch), candidate);
                assert!(
                    before.is_none_or(|before| before == candidate),
                    "process {index} votes twice in epoch {}",
                    header.current_epoch
                );
            }
        }
        let checked = &mut self.processes[index].checked;
        if !is_primary || checked.len() == 2056 && checked[..8] == frame[24..32] && checked[8..] == frame[80..2128] {
            return;
        }
        *checked = [&frame[24..32], &frame[80..2128]].concat();
        let slots = SlotSet::from_bytes(frame[80..2128].try_into().expect("a set of slots"));
        if slots.is_empty() {
            return;
        }
        let own_epoch = self.processes[index].disk.own_epoch;
        assert!(own_epoch >= epoch, "process {index} claims slots in epoch {epoch}, but has only {own_epoch} on disk");
        self.check_claim(index, epoch, slots);
    }

    /// No two nodes may claim a slot in one epoch.
    fn check_claim(&mut self, index: usize, epoch: u64, slots: SlotSet) {
        let Some(id) = self.id_of(index) else { return };
        let is_exempt = self.has_epochs_without_votes || self.processes.iter().any(|process| process.is_amnesiac);
        let claims = self.claims.entry(epoch).or_default();
        for (other, claimed) in claims.iter().filter(|(other, _)| *other != id) {
            let both = slots.intersection(claimed).next();
            assert!(is_exempt || both.is_none(), "{id:?} and {other:?} claim slot {both:?} in epoch {epoch}");
        }
        claims.retain(|(other, _)| *other != id);
        claims.push((id, slots));
    }

    /// What the members do not agree about; none if all is well. `dead` processes do not come back.
    pub fn disagreement(&self) -> Option<String> {
        let alive = self.alive();
        let members: Vec<(usize, &Member)> =
            alive.iter().filter_map(|index| Some((*index, self.processes[*index].member.as_ref()?))).collect();
        let owners = |member: &Member| -> Vec<(NodeId, SlotSet)> {
            let nodes = member.table().iter_by_id().filter(|(_, node)| !node.slots.is_empty());
            nodes.map(|(_, node)| (node.id, node.slots.clone())).collect()
        };
        let (_, first) = members.first()?;
        let agreed = owners(first);
        let mut epochs = BTreeMap::new();
        for (index, member) in &members {
            let (table, myself) = (member.table(), member.table().myself());
            if owners(member) != agreed {
                return Some(format!("{index} sees other owners"));
            }
            if !member.is_ok() {
                return Some(format!("{index} is down"));
            }
            let Some(primary) = table.primary_of(table.my_key()).and_then(|key| table.get(key)) else {
                return Some(format!("{index} does not know its primary"));
            };
            if !myself.is_primary() && self.processes[*index].following != Some(primary.id) {
                return Some(format!("{index} follows {:?}", self.processes[*index].following));
            }
            if !myself.is_primary() && (!primary.is_primary() || self.index_of(primary.id).is_none()) {
                return Some(format!("{index} is a replica of a node that is no primary, or dead"));
            }
            if myself.is_voter()
                && let Some(other) = epochs.insert(myself.config_epoch, *index)
            {
                return Some(format!("{index} and {other} have epoch {}", myself.config_epoch));
            }
            for (_, other) in &members {
                let seen = table.find(&other.table().myself().id).and_then(|key| table.get(key));
                let Some(seen) = seen else {
                    return Some(format!("{index} does not know {:?}", other.table().myself().id));
                };
                if !seen.is_ok() || seen.is_primary() != other.table().myself().is_primary() {
                    return Some(format!("{index} sees {:?} as {:?} {:?}", seen.id, seen.role, seen.health));
                }
            }
        }
        let assigned: u32 = agreed.iter().map(|(_, slots)| u32::from(slots.len())).sum();
        let dead = agreed.iter().find(|(id, _)| self.index_of(*id).is_none());
        match dead {
            Some((id, slots)) => Some(format!("slots {slots} belong to {id:?}, which is dead")),
            None => (assigned != u32::from(SLOTS)).then(|| format!("{assigned} slots have an owner")),
        }
    }
}

/// What a file says of its own member: role, primary and slots.
fn claim_in(text: &str) -> Vec<&str> {
    let own = text.lines().find(|line| line.contains("myself")).unwrap_or_default();
    own.split(' ').enumerate().filter(|(place, _)| [2, 3].contains(place) || *place > 7).map(|(_, word)| word).collect()
}

impl Disk {
    fn save(&mut self, text: &str, durability: Durability) {
        match durability {
            Durability::Eventually => self.lazy = Some(text.to_string()),
            Durability::Synced => {
                self.lazy = None;
                if let Some(before) = self.synced.replace(text.to_string())
                    && self.older.len() < 20
                {
                    self.older.push(before);
                }
                self.note_synced();
            }
        }
    }

    fn note_synced(&mut self) {
        let Some(text) = &self.synced else { return };
        let mut words = text.rsplit(' ');
        self.last_vote = words.next().and_then(|word| word.trim().parse().ok()).expect("an epoch");
        let own = text.lines().find(|line| line.contains("myself")).expect("a line");
        self.own_epoch = own.split(' ').nth(6).and_then(|word| word.parse().ok()).expect("an epoch");
    }
}
