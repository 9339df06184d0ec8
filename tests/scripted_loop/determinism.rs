//! The same seed gives the same bytes: to every client and in every file, with expiry, eviction, scripts, random choices,
//! saving, and the append-only file.

use std::path::Path;
use std::process::Command;

use oneloop::config::{AppendFsync, Config, MaxmemoryPolicy};
use oneloop::net::scripted::peer::Peer;
use oneloop::storage::file::operations::Disk;
use oneloop::storage::file::operations::DiskOperations as _;
use oneloop::storage::file::operations::simulated::SimulatedDisk;

use super::bench::{Bench, request};

const CLIENTS: usize = 5;
const STEPS: usize = 2_500;
const SEEDS: u64 = 3;
const KEYS: usize = 40;
/// How far each reading of the ticks moves the clock.
const STEP_NS: u64 = 3_000;

const SCRIPTS: &[&str] = &[
    "return {redis.call('SET', KEYS[1], tostring(math.random())), redis.call('TIME')[1]}",
    "local t = {} for i = 1, 30000 do t[i] = i end redis.call('RPUSH', KEYS[1] .. 'l', #t) return #t",
    "local t = {} for _, k in ipairs(redis.call('KEYS', '*')) do t[#t + 1] = k end return t",
];

/// What came of a run: what each client received, and the files.
struct Outcome {
    received: Vec<Vec<u8>>,
    files: Vec<(String, Vec<u8>)>,
    events: u64,
}

struct Run {
    random: fastrand::Rng,
    bench: Bench,
    peers: Vec<Peer>,
    received: Vec<Vec<u8>>,
    unsent: Vec<Vec<u8>>,
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut config = Config { appendonly: true, ..Config::default() };
        config.save.clear();
        config.maxmemory_policy =
            [MaxmemoryPolicy::AllkeysLru, MaxmemoryPolicy::AllkeysLfu, MaxmemoryPolicy::VolatileTtl][seed as usize % 3];
        config.appendfsync = [AppendFsync::Always, AppendFsync::EverySec][seed as usize % 2];
        let mut bench = Bench::on(SimulatedDisk::new(seed), config, seed);
        bench.server.state().clock.set_virtual_step(STEP_NS);
        let peers: Vec<Peer> = (0..CLIENTS).map(|_| bench.dial()).collect();
        peers.iter().step_by(2).for_each(|peer| peer.set_capacity(5000));
        Run {
            random: fastrand::Rng::with_seed(seed),
            bench,
            peers,
            received: vec![Vec::new(); CLIENTS],
            unsent: vec![Vec::new(); CLIENTS],
        }
    }

    fn ask(&mut self, who: usize, text: &str) {
        let words: Vec<&str> = text.split(' ').collect();
        self.unsent[who].extend(request(&words));
    }

    fn ask_something(&mut self, who: usize) {
        let key = format!("key:{}", self.random.usize(0..KEYS));
        let number = self.random.u32(1..2000);
        let text = match self.random.u8(0..30) {
            0..=2 => format!("SET {key} {number} PX {number}"),
            3 => format!("EXPIRE {key} 1"),
            4..=5 => format!("GET {key}"),
            6 => format!("INCR {key}n"),
            7 => format!("SADD {key}s {number} a{number} {}", number / 2),
            8 => format!("SPOP {key}s 2"),
            9 => format!("SRANDMEMBER {key}s -3"),
            10 => format!("HSET {key}h f{number} 1 g{number} 2"),
            11 => format!("HRANDFIELD {key}h 2"),
            12 => format!("ZADD {key}z {number} m{number}"),
            13 => format!("ZRANDMEMBER {key}z"),
            14 => "RANDOMKEY".into(),
            15 => format!("SCAN {number} COUNT 5"),
            16 => "KEYS key:1*".into(),
            17 => format!("XADD {key}x * field {number}"),
            18 => format!("LPUSH {key}l {number}"),
            19 => format!("BLPOP {key}l 0.02"),
            20 => "CONFIG SET maxmemory 1".into(),
            21..=22 => "CONFIG SET maxmemory 0".into(),
            23 if number.is_multiple_of(20) => "BGREWRITEAOF".into(),
            24 if number.is_multiple_of(20) => "BGSAVE".into(),
            25 => format!("PUBLISH channel {number}"),
            26 => "PUBSUB CHANNELS".into(),
            27 => format!("OBJECT ENCODING {key}s"),
            28 => format!("SET {key}b {}", "b".repeat(number as usize * 5)),
            _ => {
                let script = SCRIPTS[self.random.usize(0..SCRIPTS.len())];
                self.unsent[who].extend(request(&["EVAL", script, "1", &key]));
                return;
            }
        };
        self.ask(who, &text);
    }

    fn step(&mut self) {
        let who = self.random.usize(0..CLIENTS);
        match self.random.u8(0..12) {
            0..=3 => self.ask_something(who),
            4..=5 => {
                let count = self.random.usize(0..=self.unsent[who].len());
                let piece: Vec<u8> = self.unsent[who].drain(..count).collect();
                self.peers[who].send(&piece);
            }
            6 => self.receive(who),
            7 => self.bench.server.state().clock.advance_virtual(self.random.u64(0..15)),
            8..=9 => {
                let busy = self.bench.disk.busy_helpers();
                if !busy.is_empty() {
                    let helper = busy[self.random.usize(0..busy.len())];
                    self.bench.disk.run_helper(helper);
                }
            }
            _ => {
                let mut due = self.bench.world().due();
                self.random.shuffle(&mut due);
                due.truncate(self.random.usize(0..=due.len()));
                self.bench.turn_for(&due);
            }
        }
    }

    fn receive(&mut self, who: usize) {
        let bytes = self.peers[who].receive_all();
        self.received[who].extend(bytes);
    }

    fn run(mut self) -> Outcome {
        for _ in 0..STEPS {
            self.step();
        }
        for _ in 0..200 {
            self.bench.turn();
            while let Some(helper) = self.bench.disk.busy_helpers().first() {
                self.bench.disk.run_helper(*helper);
            }
            (0..CLIENTS).for_each(|who| self.receive(who));
            self.bench.server.state().clock.advance_virtual(5);
        }
        let disk = Disk::Simulated(self.bench.disk.clone());
        let folder = Path::new("appendonlydir");
        let names = self.bench.disk.list(folder).expect("a folder");
        let read = |name: String| {
            let bytes = disk.read(&folder.join(&name)).unwrap_or_default();
            (name, bytes)
        };
        let files = names.into_iter().map(read).collect();
        Outcome { received: self.received, files, events: self.bench.world().events_reported() }
    }
}

/// Tells a process that it is to run one seed, and to print what came of it.
const SEED_VARIABLE: &str = "ONELOOP_PRINTED_SEED";

/// What a run prints: a line for each client and file.
fn told(outcome: &Outcome) -> String {
    let mut lines = String::new();
    for (who, bytes) in outcome.received.iter().enumerate() {
        lines += &format!("client {who}: {} bytes, {:x}\n", bytes.len(), xxhash_rust::xxh3::xxh3_64(bytes));
    }
    for (name, bytes) in &outcome.files {
        lines += &format!("{name}: {} bytes, {:x}\n", bytes.len(), xxhash_rust::xxh3::xxh3_64(bytes));
    }
    lines + &format!("{} events\n", outcome.events)
}

/// A process of its own, in which nothing else runs, and which has its own addresses and hash seeds.
fn run_apart(seed: u64) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["determinism::the_same_seed_gives_the_same_bytes", "--exact", "--nocapture"]);
    let output = command.env(SEED_VARIABLE, seed.to_string()).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let is_result = |line: &&str| line.contains(" bytes, ") || line.ends_with(" events");
    text.lines().filter(is_result).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    if let Some(seed) = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok()) {
        return println!("\n{}", told(&Run::new(seed).run()));
    }
    for seed in 0..SEEDS {
        let [one, other] = [run_apart(seed), run_apart(seed)];
        assert!(one.lines().count() > CLIENTS + 2, "seed {seed}: {one}");
        assert_eq!(one, other, "seed {seed}");
    }
}
