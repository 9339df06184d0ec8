//! Random interleavings, each from a seed: many clients whose bytes come and go in pieces of any size, whose sockets
//! fill, who hang up and break off anywhere. Each gets what its story says, nobody is forgotten, and the same seed
//! gives the same bytes.

use oneloop::config::{AppendFsync, Config};
use oneloop::net::scripted::peer::Peer;

use super::bench::{Bench, text};
use super::story::{ROLES, Story};

/// Clients at a time.
const CLIENTS: usize = 8;
/// Clients in all: those that have left are followed by others, in the same slots.
const CLIENTS_MAX: usize = 18;
const STEPS_MAX: usize = 200_000;
const SEEDS: u64 = 24;

/// How a client's connection ends, after so many bytes of its requests.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Stays,
    Finishes(usize),
    Resets(usize),
}

struct Player {
    name: String,
    peer: Peer,
    story: Story,
    fate: Fate,
    sent: usize,
    received: Vec<u8>,
    has_left: bool,
}

impl Player {
    fn is_done(&self) -> bool {
        self.has_left || self.sent == self.story.requests.len()
    }

    /// Sends so many bytes, or what is left up to its end; and leaves there.
    fn send(&mut self, most: usize, right_behind: bool) {
        let end = match self.fate {
            Fate::Stays => self.story.requests.len(),
            Fate::Finishes(at) | Fate::Resets(at) => at,
        };
        let piece = &self.story.requests[self.sent..end.min(self.sent + most)];
        match right_behind {
            true => self.peer.send_after_read(piece),
            false if self.peer.unread() == 0 => self.peer.send(piece),
            // In order behind what comes later.
            false => self.peer.send_after_read(piece),
        }
        self.sent += piece.len();
        if self.sent == end {
            match self.fate {
                Fate::Stays => return,
                Fate::Finishes(_) => self.peer.finish(),
                Fate::Resets(_) => self.peer.reset(),
            }
            self.has_left = true;
        }
    }

    fn receive(&mut self, most: usize) {
        let bytes = self.peer.receive(most);
        self.received.extend(bytes);
    }
}

struct Play {
    seed: u64,
    random: fastrand::Rng,
    bench: Bench,
    players: Vec<Player>,
    came: usize,
    over: Vec<Player>,
}

impl Play {
    fn new(seed: u64) -> Play {
        let mut random = fastrand::Rng::with_seed(seed);
        let is_appended = random.u8(0..4) == 0;
        let mut bench = Bench::new(|config: &mut Config| {
            config.appendonly = is_appended;
            config.appendfsync = AppendFsync::Always;
        });
        bench.world().report_edges_alone(random.bool());
        let step_ns = [0, 0, 1_000, 60_000, 120_000][random.usize(0..5)];
        bench.server.state().clock.set_virtual_step(step_ns);
        Play { seed, random, bench, players: Vec::new(), came: 0, over: Vec::new() }
    }

    fn come(&mut self) {
        let number = self.came;
        self.came += 1;
        let role = ROLES[number % ROLES.len()];
        // Blocker and feeder are neighbours, and so are subscriber and publisher.
        let partner = match number % ROLES.len() {
            2 | 5 => number - 1,
            _ => number,
        };
        let name = format!("c{number}");
        let story = Story::new(role, &name, &format!("c{partner}"), &mut self.random);
        let at = self.random.usize(0..=story.requests.len());
        // One of a pair may not leave the other waiting.
        let fate = match (role, self.random.u8(0..6)) {
            (super::story::Role::Feeder | super::story::Role::Blocker, _) => Fate::Stays,
            (_, 0) => Fate::Finishes(at),
            (_, 1) => Fate::Resets(at),
            _ => Fate::Stays,
        };
        let peer = self.bench.dial();
        if self.random.bool() {
            peer.set_capacity([30, 700, 4096, 9_000, 70_000][self.random.usize(0..5)]);
        }
        if self.random.u8(0..4) == 0 {
            peer.set_write_max(self.random.usize(1..3000));
        }
        self.players.push(Player { name, peer, story, fate, sent: 0, received: Vec::new(), has_left: false });
    }

    fn piece(&mut self) -> usize {
        match self.random.u8(0..6) {
            0..=1 => self.random.usize(1..4),
            2..=3 => self.random.usize(1..120),
            _ => self.random.usize(1..3000),
        }
    }

    /// A turn for some of what is due, in any order.
    fn turn(&mut self) {
        let mut due = self.bench.world().due();
        match self.random.u8(0..4) {
            0 => self.bench.turn(),
            1 => self.bench.turn_for(due.get(..1).unwrap_or_default()),
            _ => {
                self.random.shuffle(&mut due);
                due.truncate(self.random.usize(0..=due.len()));
                self.bench.turn_for(&due);
            }
        }
    }

    fn run_helper(&mut self) {
        let busy = self.bench.disk.busy_helpers();
        if !busy.is_empty() {
            let helper = busy[self.random.usize(0..busy.len())];
            self.bench.disk.run_helper(helper);
        }
    }

    fn step(&mut self) {
        let who = self.random.usize(0..self.players.len());
        match self.random.u8(0..20) {
            0..=6 if !self.players[who].is_done() => {
                let (most, right_behind) = (self.piece(), self.random.bool());
                self.players[who].send(most, right_behind);
            }
            7..=11 => {
                let most = self.piece() * self.random.usize(1..60);
                self.players[who].receive(most);
            }
            12 => self.bench.server.state().clock.advance_virtual(self.random.u64(0..20)),
            13..=14 => self.run_helper(),
            15 if self.random.u8(0..4) == 0 => {
                let capacity = [1, 50, 9_000, 100_000, usize::MAX][self.random.usize(0..5)];
                self.players[who].peer.set_capacity(capacity);
            }
            _ => self.turn(),
        }
    }

    /// All sockets are read, and the loop comes to rest. No time passes but until a sync that is due.
    fn rest(&mut self) {
        loop {
            self.bench.settle();
            while let Some(helper) = self.bench.disk.busy_helpers().first() {
                self.bench.disk.run_helper(*helper);
            }
            let before: usize = self.players.iter().map(|player| player.received.len()).sum();
            for player in &mut self.players {
                player.peer.set_capacity(usize::MAX);
                player.receive(usize::MAX);
            }
            let after: usize = self.players.iter().map(|player| player.received.len()).sum();
            if before != after || !self.bench.server.is_idle() || !self.bench.disk.busy_helpers().is_empty() {
                continue;
            }
            if self.bench.server.state().aof.due_us().is_none() {
                return;
            }
            // Replies wait for a sync, which waits for those of others for a moment.
            self.bench.server.wait().expect("a poll");
        }
    }

    #[track_caller]
    fn check(&self, player: &Player, is_complete: bool) {
        let Player { name, fate, .. } = player;
        if let Err(error) = player.story.check(&player.received, is_complete) {
            let (unread, untaken) = (player.peer.unread(), player.peer.untaken());
            panic!("seed {}, {name}, {fate:?}, {unread} bytes unread, {untaken} not taken: {error}", self.seed);
        }
    }

    /// Those that have left make room, if their connections are over; others follow.
    fn replace(&mut self) {
        for index in (0..self.players.len()).rev() {
            if self.players[index].has_left && self.players[index].peer.is_over() {
                let player = self.players.remove(index);
                self.check(&player, false);
                self.over.push(player);
            }
        }
        while self.players.len() < CLIENTS && self.came < CLIENTS_MAX {
            self.come();
        }
    }

    /// Plays to the end; gives all that was received.
    fn play(mut self) -> Vec<(String, String)> {
        self.replace();
        for _ in 0..STEPS_MAX {
            if self.players.iter().all(Player::is_done) && self.came == CLIENTS_MAX {
                break;
            }
            self.step();
            if self.players.iter().any(|player| player.has_left) || self.players.iter().all(Player::is_done) {
                self.make_room();
            }
        }
        let are_done = self.players.iter().all(Player::is_done);
        assert!(are_done && self.came == CLIENTS_MAX, "seed {}: too few steps", self.seed);
        self.end();
        let mut all: Vec<_> = self.over.into_iter().chain(self.players).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all.into_iter().map(|player| (player.name, text(&player.received))).collect()
    }

    /// Where all have sent what they have to send, the next ones come beside them.
    fn make_room(&mut self) {
        self.replace();
        if self.players.iter().all(Player::is_done) && self.came < CLIENTS_MAX {
            self.come();
        }
    }

    /// Everybody gets all that is due, without any time passing but for those who wait for it.
    fn end(&mut self) {
        self.rest();
        for player in &self.players {
            let is_complete = !player.has_left && !player.story.waits_for_time;
            self.check(player, is_complete);
        }
        for _ in 0..4 {
            self.bench.server.state().clock.advance_virtual(60);
            self.rest();
        }
        for player in &self.players {
            self.check(player, !player.has_left);
            let (name, unread) = (&player.name, player.peer.unread());
            assert!(player.has_left || unread == 0, "seed {}: {unread} bytes of {name} are forgotten", self.seed);
            assert!(!player.has_left || player.peer.is_over(), "seed {}: {name} is not closed", self.seed);
        }
        let undrained = self.bench.world().undrained();
        assert!(undrained.is_empty(), "seed {}: {undrained:?}", self.seed);
    }
}

#[test]
fn each_gets_its_replies_in_every_interleaving() {
    if let Some(seed) = std::env::var("ONELOOP_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Play::new(seed).play();
        return;
    }
    for seed in 0..std::env::var("ONELOOP_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS) {
        let received = Play::new(seed).play();
        if seed % 10 == 0 {
            assert!(Play::new(seed).play() == received, "seed {seed}: not the same bytes");
        }
    }
}
