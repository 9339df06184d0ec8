//! A server in a scripted world.

use oneloop::base::clock::Clock;
use oneloop::base::entropy::Entropy;
use oneloop::config::Config;
use oneloop::engine::state::ServerState;
use oneloop::net::scripted::peer::Peer;
use oneloop::net::scripted::world::{Source, World};
use oneloop::reactor::stepping::SteppedLoop;
use oneloop::storage::file::operations::Disk;
use oneloop::storage::file::operations::simulated::SimulatedDisk;

pub const START_MS: u64 = 1_700_000_000_000;
pub const PORT: u16 = 6379;
/// Turns in which everything comes to rest that is not broken.
const TURNS_MAX: usize = 100_000;

/// A server, its disk and what is outside.
pub struct Bench {
    pub server: SteppedLoop,
    pub disk: SimulatedDisk,
}

impl Bench {
    pub fn new(change: impl FnOnce(&mut Config)) -> Bench {
        let mut config = Config { hz: 1, ..Config::default() };
        config.save.clear();
        change(&mut config);
        Bench::on(SimulatedDisk::new(1), config, 42)
    }

    pub fn on(disk: SimulatedDisk, config: Config, seed: u64) -> Bench {
        let mut state =
            ServerState::new(&oneloop::commands::PROGRAM, config, Clock::virtual_at(START_MS), &Entropy::Seeded(seed));
        state.disk = Disk::Simulated(disk.clone());
        let mut server = SteppedLoop::new(state).expect("a loop");
        server.load().expect("an empty disk");
        Bench { server, disk }
    }

    pub fn world(&self) -> World {
        self.server.world().clone()
    }

    /// A client by way of the listener; it is taken in with the next turn.
    pub fn dial(&mut self) -> Peer {
        Peer::connect(self.server.world(), PORT).expect("it listens")
    }

    /// A client that is taken in and of whose socket nothing is due.
    pub fn connect(&mut self) -> Peer {
        let peer = self.dial();
        self.settle();
        peer
    }

    pub fn turn(&mut self) {
        self.server.turn().expect("a poll");
    }

    pub fn turn_for(&mut self, sources: &[Source]) {
        self.server.turn_for(sources).expect("a poll");
    }

    /// Turns until the loop would wait.
    #[track_caller]
    pub fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            if self.server.is_idle() {
                return;
            }
            self.turn();
        }
        panic!("the loop does not come to rest");
    }

    /// Has all helpers do what they have to do, until nothing more comes of it.
    pub fn run_helpers(&mut self) {
        self.settle();
        while let Some(helper) = self.disk.busy_helpers().first() {
            self.disk.run_helper(*helper);
            self.settle();
        }
    }

    /// Turns until the loop would wait, or is over.
    pub fn settle_or_end(&mut self) {
        for _ in 0..TURNS_MAX {
            if self.server.is_over() || self.server.is_idle() {
                return;
            }
            self.turn();
        }
    }

    /// Lets time pass, as the loop itself would wait for it.
    pub fn pass_ms(&mut self, duration_ms: u64) {
        self.settle();
        self.server.state().clock.advance_virtual(duration_ms);
        self.turn();
        self.settle();
    }

    /// Sends requests and gives what is answered once the loop has come to rest.
    #[track_caller]
    pub fn ask(&mut self, peer: &Peer, requests: &str) -> String {
        peer.send(requests.as_bytes());
        self.settle();
        text(&peer.receive_all())
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A request in the protocol.
pub fn request(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes += &format!("${}\r\n{word}\r\n", word.len());
    }
    bytes.into_bytes()
}
