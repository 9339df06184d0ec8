//! A server whose disk, helper threads and clock the test holds in its hands, and its clients.

use std::collections::VecDeque;
use std::path::Path;

use oneloop::base::clock::Clock;
use oneloop::base::entropy::Entropy;
use oneloop::config::{AppendFsync, Config};
use oneloop::engine::context::Context;
use oneloop::engine::origin::Origin;
use oneloop::engine::session::{Session, Token};
use oneloop::engine::state::ServerState;
use oneloop::net::address::Address;
use oneloop::net::scripted::peer::Peer;
use oneloop::reactor::stepping::SteppedLoop;
use oneloop::resp::{Args, Protocol, Reply};
use oneloop::storage::aof::append_only::State;
use oneloop::storage::file::operations::simulated::{PowerCut, SimulatedDisk};
use oneloop::storage::file::operations::{Disk, DiskOperations as _};

const START_MS: u64 = 1_700_000_000_000;
/// What a client's socket holds until the client reads.
const SOCKET_BYTES: usize = 4096;
/// Turns in which everything that is not broken has come to rest, but for long replies, which take more.
const REST_TURNS: usize = 120;
const REST_TURNS_MAX: usize = 3000;

/// What a client has asked for, and how many lines of the reply it has seen.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// RPUSH: one line, the length.
    Plain,
    /// MULTI, INCR, RPUSH, EXEC.
    Transaction { lines: u8 },
    /// A text of one or two lines.
    Text { lines: u8 },
    /// One line of any kind.
    Line,
}

/// One end of a connection.
pub struct Client {
    peer: Peer,
    received: Vec<u8>,
    asked: VecDeque<Asked>,
    /// Lines of replies that were no numbers to be noted.
    pub lines: Vec<String>,
    /// The greatest length that a reply to a write has told.
    pub acknowledged: usize,
}

impl Client {
    fn new(peer: Peer) -> Client {
        peer.set_capacity(SOCKET_BYTES);
        Client { peer, received: Vec::new(), asked: VecDeque::new(), lines: Vec::new(), acknowledged: 0 }
    }

    fn send(&mut self, text: &str, asked: Asked) {
        self.asked.push_back(asked);
        self.peer.send(text.as_bytes());
    }

    /// Appends a number to the list; odd ones are counted in the same transaction.
    pub fn append(&mut self, number: usize) {
        match number % 2 {
            0 => self.send(&format!("RPUSH log {number}\r\n"), Asked::Plain),
            _ => self.send(
                &format!("MULTI\r\nINCR count\r\nRPUSH log {number}\r\nEXEC\r\n"),
                Asked::Transaction { lines: 0 },
            ),
        }
    }

    /// Asks for a text that fills the socket.
    pub fn ask_much(&mut self) {
        self.send("GETRANGE much 0 -1\r\n", Asked::Text { lines: 0 });
    }

    /// Asks for what is answered in one line.
    pub fn ask(&mut self, request: &str) {
        self.send(&format!("{request}\r\n"), Asked::Line);
    }

    /// Whether every reply has come.
    pub fn is_answered(&self) -> bool {
        self.asked.is_empty()
    }

    /// The reply that comes next.
    pub fn waits_for(&self) -> String {
        format!("{:?} of {}", self.asked.front(), self.asked.len())
    }

    /// Takes in what has come.
    pub fn read(&mut self) {
        self.received.extend(self.peer.receive_all());
        while let Some(end) = self.received.windows(2).position(|pair| pair == b"\r\n") {
            let line: Vec<u8> = self.received.drain(..end + 2).collect();
            self.take(&String::from_utf8_lossy(&line[..end]));
        }
    }

    fn take(&mut self, line: &str) {
        let asked = self.asked.front_mut().expect("something was asked for");
        let is_over = match asked {
            Asked::Plain => {
                if let Some(length) = line.strip_prefix(':') {
                    let length = length.parse().expect("a number");
                    self.acknowledged = self.acknowledged.max(length);
                }
                true
            }
            Asked::Transaction { lines } => {
                *lines += 1;
                if *lines == 6 {
                    let length = line[1..].parse().expect("a number");
                    self.acknowledged = self.acknowledged.max(length);
                }
                *lines == 6 || *lines == 4 && line.starts_with('-')
            }
            Asked::Text { lines } => {
                *lines += 1;
                *lines == 2 || line.starts_with('-')
            }
            Asked::Line => {
                self.lines.push(line.to_string());
                true
            }
        };
        if is_over {
            self.asked.pop_front();
        }
    }
}

/// The server, its disk and its clients.
pub struct World {
    pub disk: SimulatedDisk,
    pub server: SteppedLoop,
    pub clients: Vec<Client>,
    pub appended: usize,
    elapsed_ms: u64,
}

/// A server that begins on this disk.
fn start(disk: &SimulatedDisk, now_ms: u64, config: &Config) -> Result<SteppedLoop, String> {
    let mut state =
        ServerState::new(&oneloop::commands::PROGRAM, config.clone(), Clock::virtual_at(now_ms), &Entropy::Seeded(42));
    state.disk = Disk::Simulated(disk.clone());
    let mut server = SteppedLoop::new(state)?;
    server.load()?;
    Ok(server)
}

/// The settings of a server on a simulated disk.
pub fn settings(appendonly: bool, appendfsync: AppendFsync) -> Config {
    let mut config = Config { appendonly, appendfsync, port: 0, ..Config::default() };
    config.save.clear();
    config
}

impl World {
    /// A server on an empty disk, with so many clients.
    pub fn new(seed: u64, config: &Config, clients: usize) -> World {
        let disk = SimulatedDisk::new(seed);
        let server = start(&disk, START_MS, config).expect("an empty disk");
        let mut world = World { disk, server, clients: Vec::new(), appended: 0, elapsed_ms: 0 };
        world.connect(clients);
        world
    }

    fn connect(&mut self, clients: usize) {
        self.clients.clear();
        for _ in 0..clients {
            let peer = self.server.connect();
            self.clients.push(Client::new(peer));
        }
    }

    /// Has a client append the next number.
    pub fn append(&mut self, client: usize) {
        self.appended += 1;
        self.clients[client].append(self.appended);
    }

    pub fn turn(&mut self) {
        self.server.turn().expect("a poll");
    }

    pub fn advance_ms(&mut self, duration_ms: u64) {
        self.elapsed_ms += duration_ms;
        self.server.state().clock.advance_virtual(duration_ms);
    }

    /// Has all helper threads do all that they have to do.
    pub fn run_helpers(&mut self) {
        while let Some(helper) = self.disk.busy_helpers().first() {
            self.disk.run_helper(*helper);
        }
    }

    /// Lets everything come to rest, with a disk that works: minutes go by.
    pub fn rest(&mut self) {
        self.disk.mend();
        for turn in 0..REST_TURNS_MAX {
            let is_answered = self.clients.iter().all(Client::is_answered);
            if turn >= REST_TURNS && is_answered {
                return;
            }
            self.run_helpers();
            self.advance_ms(if turn % 30 == 29 { 3_700_000 } else { 100 });
            self.turn();
            self.clients.iter_mut().for_each(Client::read);
        }
    }

    pub fn state(&mut self) -> State {
        self.server.state().aof.state()
    }

    /// Has a client ask for something that is answered in one line, at once.
    #[track_caller]
    pub fn ask(&mut self, client: usize, request: &str) -> String {
        self.clients[client].ask(request);
        for _ in 0..3 {
            self.turn();
        }
        self.clients[client].read();
        let line = self.clients[client].lines.pop();
        line.unwrap_or_else(|| panic!("no reply to {request}"))
    }

    /// What a command answers, without any client.
    pub fn look(&mut self, words: &[&str]) -> Vec<String> {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let args = Args::from_slices(&words);
        let state = self.server.state();
        let found = state.commands.resolve(args.at(0), args.get(1));
        let command = found.expect("a command").id;
        let handler = state.runs.of(command).handler;
        let user = std::rc::Rc::clone(state.users.default_user());
        let token = Token { slot: u32::MAX, generation: 0 };
        let mut session = Session::new(0, token, Address::default(), 0, user, Origin::Client);
        let mut reply = Reply::new(Protocol::Resp2);
        let mut context = Context { state, session: &mut session, reply: &mut reply, command };
        if handler(&mut context, args).is_err() {
            return vec!["error".into()];
        }
        let mut bytes = Vec::new();
        while !reply.is_empty() {
            let mut slices = [std::io::IoSlice::new(&[]); 16];
            let count = reply.slices(&mut slices);
            let before = bytes.len();
            let all = slices[..count].iter();
            all.for_each(|slice| bytes.extend_from_slice(slice));
            let taken = bytes.len() - before;
            reply.advance(taken);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines = text.split("\r\n").filter(|line| !line.is_empty());
        lines.filter(|line| !line.starts_with(['*', '$'])).map(str::to_string).collect()
    }

    /// The numbers that were appended, as the server has them.
    pub fn numbers(&mut self) -> Vec<usize> {
        let numbers = self.look(&["LRANGE", "log", "0", "-1"]);
        let numbers = numbers.iter().map(|number| number.parse());
        numbers.collect::<Result<_, _>>().expect("numbers")
    }

    /// The server is gone at once; another one begins, where a power cut has left what it leaves.
    pub fn crash(&mut self, power_cut: Option<PowerCut>, config: &Config) -> Result<(), String> {
        self.disk.cut_off();
        let clients = self.clients.len();
        self.clients.clear();
        let empty = ServerState::new(
            &oneloop::commands::PROGRAM,
            settings(false, AppendFsync::No),
            Clock::virtual_at(START_MS),
            &Entropy::Seeded(1),
        );
        // What the old one lets go of has no effect on the disk any more.
        self.server = SteppedLoop::new(empty)?;
        self.disk.begin_process(power_cut);
        self.disk.mend();
        self.server = start(&self.disk, START_MS + self.elapsed_ms, config)?;
        self.connect(clients);
        Ok(())
    }

    /// The list of parts.
    pub fn manifest(&self) -> String {
        let path = Path::new("appendonlydir/appendonly.aof.manifest");
        let text = Disk::Simulated(self.disk.clone()).read(path);
        String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
    }

    /// The names in the folder of the append-only file.
    pub fn files(&self) -> Vec<String> {
        let folder = Path::new("appendonlydir");
        self.disk.list(folder).unwrap_or_default()
    }
}
