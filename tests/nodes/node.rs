//! One node: a server whose disk outlives it, and the clients that are connected to it without a network in between.

use oneloop::base::clock::Clock;
use oneloop::base::entropy::Entropy;
use oneloop::config::{Config, PrimaryAddress};
use oneloop::engine::state::ServerState;
use oneloop::net::scripted::peer::Peer;
use oneloop::reactor::stepping::SteppedLoop;
use oneloop::storage::file::operations::Disk;
use oneloop::storage::file::operations::simulated::SimulatedDisk;

use super::network::PORT;

/// A client that asks one thing at a time, each of whose replies is a line.
pub struct Patient {
    pub peer: Peer,
    received: Vec<u8>,
}

impl Patient {
    /// The next line of the replies.
    pub fn line(&mut self) -> Option<String> {
        self.received.extend(self.peer.receive_all());
        let end = self.received.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.received.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim().to_string())
    }
}

/// One node.
pub struct Node {
    pub number: usize,
    pub disk: SimulatedDisk,
    /// What the next process begins with.
    pub config: Config,
    pub server: Option<SteppedLoop>,
    /// Writes, and does not care for replies.
    pub writer: Option<Peer>,
    pub blocker: Option<Peer>,
    /// Does not wait behind writes.
    pub admin: Option<Peer>,
    /// Asks for what is to be seen done.
    pub patient: Option<Patient>,
    seed: u64,
    starts: u64,
}

/// The address of a node.
pub fn host(node: usize) -> String {
    format!("10.0.0.{}", node + 1)
}

/// The node at an address, by the last byte of that.
pub fn node_at(last: u8, nodes: usize) -> Option<usize> {
    usize::from(last).checked_sub(1).filter(|node| *node < nodes)
}

/// A request in the protocol.
pub fn request(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len());
    for word in words {
        bytes += &format!("${}\r\n{word}\r\n", word.len());
    }
    bytes.into_bytes()
}

impl Node {
    /// A node that is not started yet.
    pub fn new(number: usize, seed: u64, mut config: Config) -> Node {
        config.port = PORT;
        config.replica_announce_ip = host(number);
        let disk = SimulatedDisk::new(seed + number as u64);
        Node {
            number,
            disk,
            config,
            server: None,
            writer: None,
            blocker: None,
            admin: None,
            patient: None,
            seed,
            starts: 0,
        }
    }

    /// Starts the process, which loads what is on the disk.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn start(&mut self, clock: &Clock) -> Result<(), String> {
        self.starts += 1;
        let seed = self.seed.wrapping_mul(1_000_003) + self.number as u64 * 1009 + self.starts;
        let mut clock = clock.clone();
        clock.refresh();
        let program = &oneloop::commands::PROGRAM;
        let mut state = ServerState::new(program, self.config.clone(), clock, &Entropy::Seeded(seed));
        state.disk = Disk::Simulated(self.disk.clone());
        let mut server = SteppedLoop::new(state)?;
        server.load()?;
        server.begin_following();
        self.writer = Some(server.connect());
        self.blocker = Some(server.connect());
        self.admin = Some(server.connect());
        self.patient = Some(Patient { peer: server.connect(), received: Vec::new() });
        self.server = Some(server);
        Ok(())
    }

    /// The process is gone. The next one begins with the same settings; it may have forgotten its primary.
    pub fn end(&mut self, forgets_primary: bool) {
        self.disk.cut_off();
        if let Some(mut server) = self.server.take() {
            self.config = server.state().config.clone();
        }
        if forgets_primary {
            self.config.replicaof = None;
        }
        (self.writer, self.blocker, self.admin, self.patient) = (None, None, None, None);
    }

    /// The server's state, if there is a process.
    pub fn state(&mut self) -> Option<&mut ServerState> {
        self.server.as_mut().map(SteppedLoop::state)
    }

    /// Sends requests whose replies matter to nobody.
    pub fn send(&self, requests: &[Vec<&str>]) {
        if let Some(writer) = &self.writer {
            writer.receive_all();
            requests.iter().for_each(|words| writer.send(&request(words)));
        }
    }

    /// Sends a request of an administrator.
    pub fn order(&self, words: &[&str]) {
        if let Some(admin) = &self.admin {
            admin.receive_all();
            admin.send(&request(words));
        }
    }

    /// The node that this one is to follow when it is started.
    pub fn follow_at_start(&mut self, primary: usize) {
        self.config.replicaof = Some(PrimaryAddress { host: host(primary), port: PORT });
    }
}
