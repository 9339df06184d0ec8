//! The network between the nodes: it carries bytes from one scripted world to another, late, in pieces, or not at all.
//!
//! ```text
//! replica's world                                             primary's world
//! server ── socket ── near ══ up:   packets with due times ══► far ── socket ── server
//!                          ◄══ down: packets with due times ══
//! ```
//!
//! Each direction between two nodes is a path that can be blocked for a time: then its packets wait, as with TCP, and
//! nobody hears of it. A connection that is reset loses what is under way, from any byte on.

use std::collections::VecDeque;
use std::io;

use oneloop::net::scripted::peer::Peer;
use oneloop::net::scripted::world::World;

use super::tap::{Seen, Tap};

/// The port that each node listens on.
pub const PORT: u16 = 6379;
/// What may be under way in one direction of a connection, in bytes.
const IN_FLIGHT_MAX: usize = 8192;

/// More bytes than that are not delivered in tiny pieces: that takes too long.
const TINY_PIECES_MAX: usize = 2000;

enum Packet {
    Bytes(Vec<u8>),
    Finish,
    Reset,
}

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    packets: VecDeque<(u64, Packet)>,
    in_flight: usize,
    delivered: u64,
    has_finished: bool,
}

impl Pipe {
    fn push(&mut self, due_us: u64, packet: Packet) {
        // Nothing overtakes.
        let due_us = self.packets.back().map_or(due_us, |(last_us, _)| due_us.max(*last_us));
        if let Packet::Bytes(bytes) = &packet {
            self.in_flight += bytes.len();
        }
        self.packets.push_back((due_us, packet));
    }

    fn next_due_us(&self) -> Option<u64> {
        self.packets.front().map(|(due_us, _)| *due_us)
    }
}

/// How one end of a connection has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Alive,
    /// Its process has ended: the machine answers.
    Dead,
}

/// A connection from a replica to its primary.
pub struct Wire {
    pub number: usize,
    pub from: usize,
    pub to: usize,
    near: Peer,
    far: Option<Peer>,
    dials_at_us: u64,
    ends: [End; 2],
    up: Pipe,
    down: Pipe,
    pub tap: Tap,
    /// After so many bytes of the replica, or of the primary, the connection breaks.
    pub cut_at: [Option<u64>; 2],
    pub cut: Cut,
    is_over: bool,
}

impl Wire {
    /// Whether the connection stands.
    pub fn is_open(&self) -> bool {
        !self.is_over && self.far.is_some() && self.ends == [End::Alive; 2] && !self.near.is_over()
    }

    /// The offset of the stream up to which the replica's socket was given it.
    pub fn delivered_offset(&self) -> Option<u64> {
        let sent = self.tap.sent.as_ref().filter(|_| self.tap.is_streaming())?;
        Some(sent.offset.saturating_sub(self.tap.bytes - self.down.delivered))
    }

    /// Bytes that have been delivered to the primary and to the replica.
    pub fn delivered(&self) -> [u64; 2] {
        [self.up.delivered, self.down.delivered]
    }
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both sides see a reset.
    Reset,
    /// Both sides see an orderly end.
    Finish,
    /// Nobody hears of it.
    Silence,
}

/// How a path behaves.
#[derive(Clone, Copy, Debug, Default)]
struct Path {
    blocked_until_us: u64,
    delay_us: u64,
    jitter_us: u64,
}

/// How many bytes are delivered at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pieces {
    Whole,
    Any,
    Tiny,
}

/// All connections, and the paths that they take.
pub struct Network {
    nodes: usize,
    paths: Vec<Path>,
    wires: Vec<Wire>,
    made: usize,
    pub pieces: Pieces,
    pub random: fastrand::Rng,
    /// Bytes that a new connection carries before it breaks, for the test of cuts.
    pub next_cut: [Option<u64>; 2],
    pub cut: Cut,
}

impl Network {
    /// A network without delays.
    pub fn new(nodes: usize, seed: u64) -> Network {
        Network {
            nodes,
            paths: vec![Path::default(); nodes * nodes],
            wires: Vec::new(),
            made: 0,
            pieces: Pieces::Whole,
            random: fastrand::Rng::with_seed(seed),
            next_cut: [None; 2],
            cut: Cut::Reset,
        }
    }

    /// The connections that are not gone on both sides.
    pub fn wires(&self) -> &[Wire] {
        &self.wires
    }

    /// The newest connection of a replica.
    pub fn wire_of(&self, replica: usize) -> Option<&Wire> {
        self.wires.iter().rev().find(|wire| wire.from == replica && !wire.is_over)
    }

    /// Delays of the packets from one node to another.
    pub fn set_delay(&mut self, from: usize, to: usize, delay_us: u64, jitter_us: u64) {
        let path = &mut self.paths[from * self.nodes + to];
        (path.delay_us, path.jitter_us) = (delay_us, jitter_us);
    }

    /// Nothing arrives from one node at another until then.
    pub fn block(&mut self, from: usize, to: usize, until_us: u64) {
        self.paths[from * self.nodes + to].blocked_until_us = until_us;
    }

    /// All paths are open, and quick.
    pub fn heal(&mut self) {
        self.paths.fill(Path::default());
    }

    /// Breaks a connection: both sides see a reset at once, and what was under way is lost.
    pub fn reset(&mut self, number: usize) {
        if let Some(wire) = self.wires.iter_mut().find(|wire| wire.number == number) {
            wire.near.reset();
            if let Some(far) = &wire.far {
                far.reset();
            }
            wire.is_over = true;
        }
    }

    /// A connection is to break after so many more bytes of the replica, or of the primary.
    pub fn cut_after(&mut self, number: usize, side: usize, bytes: u64, cut: Cut) {
        if let Some(wire) = self.wires.iter_mut().find(|wire| wire.number == number) {
            wire.cut_at[side] = Some(wire.delivered()[side] + bytes);
            wire.cut = cut;
        }
    }

    /// The process of a node is gone. Its machine tells the others, unless it is gone as well.
    pub fn node_ended(&mut self, node: usize, now_us: u64, is_silent: bool) {
        for index in 0..self.wires.len() {
            for side in 0..2 {
                let is_its = if side == 0 { self.wires[index].from == node } else { self.wires[index].to == node };
                if !is_its || self.wires[index].ends[side] == End::Dead {
                    continue;
                }
                if !is_silent {
                    self.collect(index, now_us, None, usize::MAX);
                }
                let orderly = self.random.bool();
                let wire = &mut self.wires[index];
                wire.ends[side] = End::Dead;
                let pipe = if side == 0 { &mut wire.up } else { &mut wire.down };
                if !is_silent && !pipe.has_finished {
                    pipe.has_finished = true;
                    pipe.push(now_us, if orderly { Packet::Finish } else { Packet::Reset });
                }
                if side == 0 && wire.far.is_none() {
                    wire.is_over = true;
                }
            }
        }
    }

    fn due_us(&mut self, from: usize, to: usize, now_us: u64) -> u64 {
        let path = self.paths[from * self.nodes + to];
        now_us + path.delay_us + self.random.u64(0..=path.jitter_us)
    }

    fn is_blocked(&self, from: usize, to: usize, now_us: u64) -> bool {
        self.paths[from * self.nodes + to].blocked_until_us > now_us
    }

    /// Begins the connections that servers have asked for.
    pub fn take_dials(
        &mut self,
        node: usize,
        world: &World,
        now_us: u64,
        node_of: impl Fn(u8) -> Option<usize>,
    ) -> bool {
        let mut is_any = false;
        while let Some((near, address)) = Peer::take_connecting(world) {
            is_any = true;
            let last = match address.ip() {
                std::net::IpAddr::V4(ip) => ip.octets()[3],
                std::net::IpAddr::V6(_) => 0,
            };
            let Some(to) = node_of(last) else {
                near.refuse(io::ErrorKind::HostUnreachable);
                continue;
            };
            self.made += 1;
            let dials_at_us = self.due_us(node, to, now_us);
            self.wires.push(Wire {
                number: self.made,
                from: node,
                to,
                near,
                far: None,
                dials_at_us,
                ends: [End::Alive; 2],
                up: Pipe::default(),
                down: Pipe::default(),
                tap: Tap::default(),
                cut_at: std::mem::take(&mut self.next_cut),
                cut: self.cut,
                is_over: false,
            });
        }
        is_any
    }

    /// Moves what can be moved. `worlds` are those of the nodes that are up. Gives whether anything has moved, and what
    /// was seen on which connection.
    pub fn pump(&mut self, now_us: u64, worlds: &[Option<World>]) -> (bool, Vec<(usize, Seen)>) {
        // Those of the last time are looked at in between.
        self.wires.retain(|wire| !wire.is_over);
        let mut has_moved = false;
        let mut seen = Vec::new();
        for index in 0..self.wires.len() {
            has_moved |= self.connect(index, now_us, worlds);
            if self.wires[index].far.is_some() && !self.wires[index].is_over {
                has_moved |= self.collect(index, now_us, Some(&mut seen), IN_FLIGHT_MAX);
                has_moved |= self.deliver(index, now_us, worlds);
            }
        }
        (has_moved, seen)
    }

    fn connect(&mut self, index: usize, now_us: u64, worlds: &[Option<World>]) -> bool {
        let wire = &self.wires[index];
        if wire.far.is_some() || wire.is_over || wire.dials_at_us > now_us {
            return false;
        }
        if self.is_blocked(wire.from, wire.to, now_us) || self.is_blocked(wire.to, wire.from, now_us) {
            return false;
        }
        let wire = &mut self.wires[index];
        if wire.near.is_over() {
            wire.is_over = true;
            return false;
        }
        match worlds[wire.to].as_ref().and_then(|world| Peer::connect(world, PORT)) {
            Some(far) => {
                wire.near.accept();
                wire.far = Some(far);
            }
            None => {
                wire.near.refuse(io::ErrorKind::ConnectionRefused);
                wire.is_over = true;
            }
        }
        true
    }

    /// Takes what the servers have written.
    fn collect(&mut self, index: usize, now_us: u64, mut seen: Option<&mut Vec<(usize, Seen)>>, limit: usize) -> bool {
        let (from, to) = (self.wires[index].from, self.wires[index].to);
        let dues = [self.due_us(from, to, now_us), self.due_us(to, from, now_us)];
        let mut has_moved = false;
        for (side, due_us) in dues.into_iter().enumerate() {
            let wire = &mut self.wires[index];
            let Some(far) = &wire.far else { return false };
            let (source, pipe) = if side == 0 { (&wire.near, &mut wire.up) } else { (far, &mut wire.down) };
            if wire.ends[side] == End::Dead {
                continue;
            }
            let bytes = source.receive(limit.saturating_sub(pipe.in_flight));
            if !bytes.is_empty() {
                has_moved = true;
                let mut found = Vec::new();
                match side {
                    0 => wire.tap.note_requests(&bytes, &mut found),
                    _ => wire.tap.note_replies(&bytes, &mut found),
                }
                if let Some(seen) = &mut seen {
                    seen.extend(found.into_iter().map(|one| (wire.number, one)));
                }
                pipe.push(due_us, Packet::Bytes(bytes));
            }
            if source.is_over() && source.untaken() == 0 && !std::mem::replace(&mut pipe.has_finished, true) {
                has_moved = true;
                pipe.push(due_us, Packet::Finish);
            }
        }
        has_moved
    }

    fn deliver(&mut self, index: usize, now_us: u64, worlds: &[Option<World>]) -> bool {
        let mut has_moved = false;
        for side in 0..2 {
            let wire = &self.wires[index];
            let (from, to) = if side == 0 { (wire.from, wire.to) } else { (wire.to, wire.from) };
            if self.is_blocked(from, to, now_us) {
                continue;
            }
            let in_flight = if side == 0 { wire.up.in_flight } else { wire.down.in_flight };
            let mut left = match self.pieces {
                Pieces::Whole => usize::MAX,
                Pieces::Tiny if in_flight < TINY_PIECES_MAX => self.random.usize(1..40),
                Pieces::Any | Pieces::Tiny => self.random.usize(1..4000),
            };
            while left > 0 && !self.wires[index].is_over {
                match self.deliver_packet(index, side, now_us, left, worlds[to].is_some()) {
                    None => break,
                    Some(count) => {
                        has_moved = true;
                        left -= count.min(left);
                    }
                }
            }
        }
        has_moved
    }

    /// Delivers one packet or a piece of it; gives the number of bytes, none if nothing is due.
    fn deliver_packet(&mut self, index: usize, side: usize, now_us: u64, most: usize, is_up: bool) -> Option<usize> {
        let wire = &mut self.wires[index];
        let far = wire.far.as_ref()?;
        let (target, pipe, cut_at) = match side {
            0 => (far, &mut wire.up, wire.cut_at[0]),
            _ => (&wire.near, &mut wire.down, wire.cut_at[1]),
        };
        let (due_us, _) = pipe.packets.front().filter(|(due_us, _)| *due_us <= now_us)?;
        let due_us = *due_us;
        let is_gone = wire.ends[1 - side] == End::Dead || target.is_over();
        let (_, packet) = pipe.packets.pop_front()?;
        match packet {
            Packet::Bytes(mut bytes) => {
                let room = cut_at.map_or(u64::MAX, |at| at.saturating_sub(pipe.delivered));
                let count = bytes.len().min(most).min(usize::try_from(room).unwrap_or(usize::MAX));
                let rest = bytes.split_off(count);
                pipe.in_flight -= count;
                pipe.delivered += count as u64;
                let is_cut = count > 0 && cut_at.is_some_and(|at| pipe.delivered >= at);
                if !rest.is_empty() {
                    pipe.packets.push_front((due_us, Packet::Bytes(rest)));
                }
                if !is_gone {
                    target.send(&bytes);
                } else if is_up {
                    // Nobody takes it: the machine says so.
                    self.reset_other(index, side);
                }
                if is_cut {
                    self.cut(index);
                }
                Some(count)
            }
            Packet::Finish => {
                if !is_gone {
                    target.finish();
                }
                self.note_end(index);
                Some(0)
            }
            Packet::Reset => {
                if !is_gone {
                    target.reset();
                }
                wire.is_over = true;
                Some(0)
            }
        }
    }

    fn reset_other(&mut self, index: usize, side: usize) {
        let wire = &mut self.wires[index];
        if wire.ends[side] == End::Alive {
            match (side, &wire.far) {
                (0, _) => wire.near.reset(),
                (_, Some(far)) => far.reset(),
                _ => {}
            }
        }
        wire.is_over = true;
    }

    fn cut(&mut self, index: usize) {
        let wire = &mut self.wires[index];
        for end in [Some(&wire.near), wire.far.as_ref()].into_iter().flatten() {
            match wire.cut {
                Cut::Reset => end.reset(),
                Cut::Finish => end.finish(),
                Cut::Silence => {}
            }
        }
        wire.is_over = true;
    }

    /// Both sides have ended, and all was delivered.
    fn note_end(&mut self, index: usize) {
        let wire = &mut self.wires[index];
        let is_done = |pipe: &Pipe, end: End| pipe.packets.is_empty() && (pipe.has_finished || end == End::Dead);
        wire.is_over |= is_done(&wire.up, wire.ends[0]) && is_done(&wire.down, wire.ends[1]);
    }

    /// When the next packet is due, or a path opens.
    pub fn next_due_us(&self) -> Option<u64> {
        let mut next = None::<u64>;
        let mut note = |due_us: u64| next = Some(next.map_or(due_us, |next_us| next_us.min(due_us)));
        for wire in &self.wires {
            let blocked = |from: usize, to: usize| self.paths[from * self.nodes + to].blocked_until_us;
            let (up, down) = (blocked(wire.from, wire.to), blocked(wire.to, wire.from));
            if wire.far.is_none() {
                note(wire.dials_at_us.max(up).max(down));
                continue;
            }
            wire.up.next_due_us().into_iter().for_each(|due_us| note(due_us.max(up)));
            wire.down.next_due_us().into_iter().for_each(|due_us| note(due_us.max(down)));
        }
        next
    }
}
