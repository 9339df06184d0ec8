//! A server driven in-process: sessions without sockets, a virtual clock, seeded randomness.
#![allow(dead_code)] // Each test program uses a part of it.

pub mod waiting_family;

pub mod cluster;

pub mod requests;

pub mod exercise;

use oneloop::base::clock::Clock;
use oneloop::base::entropy::Entropy;
use oneloop::config::{Config, ProtectedAction};
use oneloop::engine::context::Context;
use oneloop::engine::execute;
use oneloop::engine::session::Token;
use oneloop::engine::state::ServerState;
use oneloop::keyspace::changes::Change;
use oneloop::keyspace::{ReaderId, Target};
use oneloop::net::address::Address;
use oneloop::resp::{Args, Protocol, Reply};

/// When the virtual clock starts, in ms since the epoch.
pub const START_MS: u64 = 1_700_000_000_000;

/// A server and one client of it.
pub struct Harness {
    pub state: ServerState,
    pub client: Token,
    /// Reads the log of changes as the append-only file does, once `propagate` was called.
    reader: Option<ReaderId>,
}

impl Default for Harness {
    fn default() -> Harness {
        Harness::new()
    }
}

impl Harness {
    /// A server on its defaults.
    pub fn new() -> Harness {
        Harness::with_config(Config::default())
    }

    /// A server that lets everybody use DEBUG.
    pub fn with_debug() -> Harness {
        Harness::with_config(Config { enable_debug_command: ProtectedAction::Yes, ..Config::default() })
    }

    /// A server with these settings.
    pub fn with_config(config: Config) -> Harness {
        Harness::with_entropy(config, &Entropy::Seeded(42))
    }

    /// A server with these settings in which everything random follows from this.
    pub fn with_entropy(config: Config, entropy: &Entropy) -> Harness {
        let mut state = ServerState::new(&oneloop::commands::PROGRAM, config, Clock::virtual_at(START_MS), entropy);
        // With save points FLUSHALL saves, and tests leave no files behind.
        state.config.save.clear();
        let client = state.add_client(address(1));
        Harness { state, client, reader: None }
    }

    /// Has changes be propagated from now on, as to an append-only file.
    pub fn propagate(&mut self) {
        self.propagate_to(Target::File);
    }

    /// The same for another reader of the log of changes.
    pub fn propagate_to(&mut self, target: Target) {
        self.reader = Some(self.state.keyspace.changes.propagation.log.attach(target));
    }

    /// What was propagated since the last time.
    pub fn take_propagated(&mut self) -> Vec<u8> {
        let log = &mut self.state.keyspace.changes.propagation.log;
        let reader = self.reader.as_ref().expect("changes are propagated");
        let bytes = log.unread(reader).flatten().copied().collect();
        log.advance_to_end(reader);
        bytes
    }

    /// One more client.
    pub fn connect(&mut self) -> Token {
        let number = self.state.clients.len() + 1;
        self.state.add_client(address(number))
    }

    /// Runs a command, given as words, and gives the bytes of the reply.
    pub fn run(&mut self, words: &str) -> String {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        self.run_args(&args)
    }

    /// Runs a command, given as arguments, and gives the bytes of the reply.
    pub fn run_args(&mut self, args: &[&[u8]]) -> String {
        String::from_utf8_lossy(&self.run_as(self.client, args)).into_owned()
    }

    /// The same for another client than the first; what was pushed to it before comes first.
    pub fn run_as(&mut self, token: Token, args: &[&[u8]]) -> Vec<u8> {
        let mut session = self.state.clients.checkout(token).expect("the client is there");
        let mut reply = std::mem::take(&mut session.reply);
        execute::execute(&mut self.state, &mut session, &mut reply, Args::from_slices(args));
        let bytes = drain(&mut reply);
        session.reply = reply;
        self.state.clients.checkin(session);
        bytes
    }

    /// What was pushed to a client and not seen yet.
    pub fn pushed(&mut self, token: Token) -> Vec<u8> {
        let session = self.state.clients.get_mut(token).expect("the client is there");
        drain(&mut session.reply)
    }

    /// Moves the clock on.
    pub fn advance_ms(&mut self, duration_ms: u64) {
        self.state.clock.advance_virtual(duration_ms);
        self.state.refresh_clock();
    }

    /// Runs a command's handler alone and gives the keyspace events that it left, as `database:event key`.
    pub fn events(&mut self, words: &str) -> Vec<String> {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let args = Args::from_slices(&args);
        let found = self.state.commands.resolve(&args[0], args.get(1)).expect("a command");
        let (command, handler) = (found.id, self.state.runs.of(found.id).handler);
        let mut session = self.state.clients.checkout(self.client).expect("the client is there");
        let mut reply = Reply::default();
        self.state.keyspace.changes.set_event_classes(u16::MAX);
        let mut context = Context { state: &mut self.state, session: &mut session, reply: &mut reply, command };
        // What it replies, an error too, is not the matter here.
        let _ = handler(&mut context, args);
        self.state.clients.checkin(session);
        let changes = &mut self.state.keyspace.changes;
        changes.set_event_classes(0);
        let events = changes.take().into_iter().filter_map(|change| match change {
            Change::Event { event, database, key, .. } => {
                Some(format!("{database}:{event} {}", String::from_utf8_lossy(&key)))
            }
            _ => None,
        });
        events.collect()
    }

    /// Moves the clock on to the present, for comparisons with a server that lives in it.
    pub fn set_clock_to_now(&mut self) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now_ms = now.expect("the present is after 1970").as_millis() as u64;
        self.advance_ms(now_ms.saturating_sub(START_MS));
    }

    /// Sets the form in which the first client is answered.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        let session = self.state.clients.get_mut(self.client).expect("the client is there");
        session.reply.set_protocol(protocol);
    }

    /// Checks a command's reply.
    #[track_caller]
    pub fn expect(&mut self, words: &str, reply: &str) {
        assert_eq!(self.run(words), reply, "{words}");
    }
}

fn drain(reply: &mut oneloop::resp::Reply) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !reply.is_empty() {
        let mut slices = [std::io::IoSlice::new(&[]); 16];
        let count = reply.slices(&mut slices);
        let before = bytes.len();
        slices[..count].iter().for_each(|slice| bytes.extend_from_slice(slice));
        let taken = bytes.len() - before;
        reply.advance(taken);
    }
    bytes
}

fn address(number: usize) -> Address {
    Address { peer: format!("127.0.0.1:{}", 50_000 + number), local: "127.0.0.1:6379".into(), unix: false }
}
