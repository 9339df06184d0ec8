//! Clusters of three primaries with a replica each, ours and genuine ones by turns, in which nodes are killed, paused, cut
//! off and restarted one after the other, while clients of redis-rs write.
//!
//! Each write adds a number of its own to a set, so the sets tell at the end which writes are there. What was replied to
//! may be missing only if the reply came shortly before its primary was lost, or while that primary could not know that
//! it had been replaced. No slot may have two owners in one epoch.
//!
//! `ONELOOP_CLUSTER_FAULTS=all` lets every node suffer every fault, else the nodes of one shard do. With `redis-server` on the
//! PATH, or with the servers whose paths `GENUINE_SERVERS` lists, parted by colons.

#[path = "support/proxy.rs"]
mod proxy;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use proxy::Network;
use redis::cluster::{ClusterClient, ClusterConnection};
use redis::{Commands, RedisResult};

const NODES: usize = 6;
const PRIMARIES: usize = 3;
const SLOTS: usize = 16384;
const NODE_TIMEOUT: Duration = Duration::from_millis(1500);
const PATIENCE: Duration = Duration::from_secs(60);
const ASK_TIMEOUT: Duration = Duration::from_millis(500);
const WRITERS: usize = 3;
const KEYS_PER_WRITER: u64 = 30;
const WRITE_PAUSE: Duration = Duration::from_millis(1);
/// Writes between two faults, at least.
const WRITES_BETWEEN: usize = 300;
const POLL: Duration = Duration::from_millis(50);
/// How far a replica may be behind, on a machine that is busy with other things too.
const LAG: Duration = Duration::from_secs(1);
/// A primary that is cut off serves its clients until it holds the others to have failed: they were pinged half of the
/// timeout after their last sign of life, at the latest, and do not answer for the whole of it.
const NOTICE: Duration = Duration::from_millis(1500 + 750 + 500);

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Kill,
    Pause,
    CutOff,
    Restart,
}

const FAULTS: [Fault; 4] = [Fault::Kill, Fault::Pause, Fault::CutOff, Fault::Restart];

/// A node, of either kind, behind its proxies.
struct Member {
    number: usize,
    program: OsString,
    folder: PathBuf,
    port: u16,
    bus_port: u16,
    shown_port: u16,
    shown_bus_port: u16,
    child: Option<Child>,
}

/// A port that nobody else gets while its node is down: connections going out have higher ones.
fn own_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 11_000 + u16::try_from(std::process::id() % 10_000).expect("it is small");
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Member {
    fn new(number: usize, program: OsString, network: &Network) -> Member {
        let (port, bus_port) = (own_port(), own_port());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{}-{port}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the node");
        let [shown_port, shown_bus_port] = [port, bus_port].map(|port| network.lead_to(number, port));
        Member { number, program, folder, port, bus_port, shown_port, shown_bus_port, child: None }
    }

    /// Starts it, and waits until its data are loaded.
    fn start(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let timeout = NODE_TIMEOUT.as_millis().to_string();
        let source = Network::source_of(self.number).to_string();
        let ports = [self.port, self.bus_port, self.shown_port, self.shown_bus_port].map(|port| port.to_string());
        let child = Command::new(&self.program)
            .args(["--port", &ports[0], "--cluster-port", &ports[1], "--bind", "127.0.0.1"])
            .args(["--cluster-announce-ip", "127.0.0.1", "--cluster-announce-port", &ports[2]])
            .args(["--cluster-announce-bus-port", &ports[3], "--bind-source-addr", &source])
            .args(["--cluster-enabled", "yes", "--cluster-node-timeout", &timeout])
            .args(["--save", "", "--appendonly", "yes", "--repl-diskless-sync-delay", "0", "--dir"])
            .arg(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .spawn()
            .expect("it starts");
        self.child = Some(child);
        wait_until(|| self.log(), || self.ask("PING").as_deref() == Some("+PONG"));
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill runs").success());
    }

    fn wait(&mut self) {
        self.child.take().expect("it runs").wait().expect("it is a child");
    }

    fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(30).collect();
        format!("node {}:\n{}", self.number, lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// Its reply to one request, past the proxy; none if it does not reply.
    fn ask(&self, request: &str) -> Option<String> {
        ask(self.port, request)
    }

    #[track_caller]
    fn expect(&self, request: &str) {
        assert_eq!(self.ask(request).as_deref(), Some("+OK"), "{request}");
    }

    fn field(&self, request: &str, name: &str) -> String {
        let text = self.ask(request).unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.unwrap_or_default().to_string()
    }

    fn is_primary(&self) -> bool {
        self.field("INFO replication", "role") == "master"
    }

    /// Whether it sees the whole cluster at work, and has its primary's data if it is a replica.
    fn is_well(&self) -> bool {
        let nodes = self.ask("CLUSTER NODES").unwrap_or_default();
        let is_whole = nodes.lines().count() == NODES && !nodes.contains("fail") && !nodes.contains("handshake");
        is_whole
            && nodes.matches("slave ").count() == NODES - PRIMARIES
            && self.field("CLUSTER INFO", "cluster_state") == "ok"
            && (self.is_primary() || self.field("INFO replication", "master_link_status") == "up")
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// The reply to one request: the text of a bulk reply, else the first line. None without a reply.
fn ask(port: u16, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(ASK_TIMEOUT)).ok()?;
    stream.write_all(format!("{request}\r\n").as_bytes()).ok()?;
    let mut read_line = || {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while !line.ends_with(b"\r\n") {
            stream.read_exact(&mut byte).ok()?;
            line.push(byte[0]);
        }
        line.truncate(line.len() - 2);
        String::from_utf8(line).ok()
    };
    let line = read_line()?;
    let Some(length) = line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) else {
        return Some(line);
    };
    let mut text = vec![0; length];
    stream.read_exact(&mut text).ok()?;
    String::from_utf8(text).ok()
}

#[track_caller]
fn wait_until(what: impl Fn() -> String, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {}", what());
        thread::sleep(POLL);
    }
}

/// Times between which replies may have been given to writes that are lost, and why.
#[derive(Debug)]
struct Window {
    from: Duration,
    until: Duration,
    reason: String,
}

impl Window {
    fn new(from: Duration, until: Duration, reason: impl Into<String>) -> Window {
        Window { from, until, reason: reason.into() }
    }

    /// Whether a reply falls into it, if all may be so much later than on a machine that is idle.
    fn has(&self, at: Duration, slack: Duration) -> bool {
        self.from <= at + slack && at <= self.until + slack
    }
}

/// A cluster that suffers.
struct Scene {
    members: Vec<Member>,
    network: Network,
    begun: Instant,
    windows: Vec<Window>,
}

impl Scene {
    /// Makes a cluster; the programs of its nodes are taken by turns.
    fn new(programs: [OsString; 2]) -> Scene {
        let network = Network::new(NODES);
        let member = |number: usize| Member::new(number, programs[number % 2].clone(), &network);
        let mut members: Vec<Member> = (0..NODES).map(member).collect();
        members.iter_mut().for_each(Member::start);
        for (number, member) in members.iter().enumerate() {
            member.expect(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
            let (first, end) = (SLOTS * number / PRIMARIES, SLOTS * (number + 1) / PRIMARIES);
            if number < PRIMARIES {
                member.expect(&format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1));
            }
            let place = format!("{} {}", member.shown_port, member.shown_bus_port);
            members[0].expect(&format!("CLUSTER MEET 127.0.0.1 {place}"));
        }
        let scene = Scene { members, network, begun: Instant::now(), windows: Vec::new() };
        let knows_all = |member: &Member| {
            let nodes = member.ask("CLUSTER NODES").unwrap_or_default();
            nodes.lines().count() == NODES && !nodes.contains("handshake")
        };
        wait_until(|| scene.views(), || scene.members.iter().all(knows_all));
        for (number, member) in scene.members.iter().enumerate().skip(PRIMARIES) {
            let primary = scene.members[number - PRIMARIES].ask("CLUSTER MYID").expect("it replies");
            member.expect(&format!("CLUSTER REPLICATE {primary}"));
        }
        scene.wait_until_well();
        scene
    }

    fn views(&self) -> String {
        let view = |member: &Member| format!("{}{}\n", member.log(), member.ask("CLUSTER NODES").unwrap_or_default());
        self.members.iter().map(view).collect()
    }

    #[track_caller]
    fn wait_until_well(&self) {
        wait_until(|| self.views(), || self.members.iter().all(Member::is_well));
    }

    fn is_replaced(&self, number: usize) -> bool {
        let primaries = self.members.iter().filter(|member| member.number != number && member.is_primary());
        primaries.count() == PRIMARIES
    }

    /// Lets a node suffer, until its replica has its place if it is a primary, and then lets it recover.
    fn suffer(&mut self, number: usize, fault: Fault) {
        let was_primary = self.members[number].is_primary();
        let from = self.begun.elapsed();
        match fault {
            Fault::Kill => {
                self.members[number].signal("KILL");
                self.members[number].wait();
            }
            Fault::Pause => self.members[number].signal("STOP"),
            Fault::CutOff => self.network.cut_off(number, true),
            Fault::Restart => {
                self.members[number].signal("TERM");
                self.members[number].wait();
                self.members[number].start();
            }
        }
        let until = match fault {
            // Its own files have every write that was replied to, and nobody takes its place.
            Fault::Restart => None,
            Fault::CutOff => Some(from + NOTICE),
            Fault::Kill | Fault::Pause => Some(from + LAG),
        };
        if was_primary && fault != Fault::Restart {
            wait_until(|| self.views(), || self.is_replaced(number));
        } else if fault != Fault::Restart {
            thread::sleep(2 * NODE_TIMEOUT);
        }
        let recovers = self.begun.elapsed();
        match fault {
            Fault::Kill => self.members[number].start(),
            Fault::Pause => self.members[number].signal("CONT"),
            Fault::CutOff => self.network.cut_off(number, false),
            Fault::Restart => {}
        }
        self.wait_until_well();
        let took = self.begun.elapsed() - from;
        // The times in which writes may be lost do not touch those of the next fault.
        thread::sleep((recovers + 2 * LAG).saturating_sub(self.begun.elapsed()));
        if let Some(until) = until.filter(|_| was_primary) {
            self.windows.push(Window::new(from.saturating_sub(LAG), until, format!("{fault:?}")));
            if fault == Fault::Pause {
                // It serves its clients until it hears that it was replaced.
                self.windows.push(Window::new(recovers, recovers + LAG, "the end of a pause"));
            }
        }
        let role = if was_primary { "primary" } else { "replica" };
        println!("  {fault:?} of {number}, a {role}: all well after {took:?}");
    }
}

/// One client's writes.
#[derive(Default)]
struct Written {
    sent: BTreeSet<u64>,
    /// When the reply came.
    replied: BTreeMap<u64, Duration>,
    failed: usize,
}

fn client(ports: &[u16]) -> ClusterClient {
    let seeds: Vec<String> = ports.iter().map(|port| format!("redis://127.0.0.1:{port}/")).collect();
    let builder = ClusterClient::builder(seeds).retries(2).max_retry_wait(100);
    let builder = builder.connection_timeout(Duration::from_secs(1)).response_timeout(Duration::from_secs(1));
    builder.build().expect("addresses")
}

fn key(writer: usize, number: u64) -> String {
    format!("set:{writer}:{}", number % KEYS_PER_WRITER)
}

/// Writes until told to end.
fn write(writer: usize, client: &ClusterClient, begun: Instant, ends: &AtomicBool, count: &AtomicUsize) -> Written {
    let (mut written, mut connection): (Written, Option<ClusterConnection>) = (Written::default(), None);
    for number in 0.. {
        if ends.load(Ordering::Relaxed) {
            break;
        }
        // Its first connection asks all nodes, and a client keeps to the one that it has got.
        if connection.is_none() {
            connection = client.get_connection().ok();
        }
        let Some(connection) = &mut connection else { continue };
        written.sent.insert(number);
        let reply: RedisResult<i64> = connection.sadd(key(writer, number), number);
        match reply {
            Ok(_) => {
                written.replied.insert(number, begun.elapsed());
                count.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => written.failed += 1,
        }
        thread::sleep(WRITE_PAUSE);
    }
    written
}

/// What was seen meanwhile.
#[derive(Default)]
struct Watched {
    /// When nodes were seen with slots that they had not had before.
    claims: Vec<Duration>,
    /// For how long the machine kept the watcher waiting, at most: the nodes fare no better.
    stall: Duration,
}

/// Watches what the nodes say of themselves, until told to end. No slot may have two owners in one epoch.
fn watch(ports: &[u16], begun: Instant, ends: &AtomicBool) -> Watched {
    let mut owners: HashMap<(u16, u64), String> = HashMap::new();
    let mut last = vec![String::new(); ports.len()];
    let mut watched = Watched::default();
    while !ends.load(Ordering::Relaxed) {
        for (port, last) in ports.iter().zip(&mut last) {
            let nodes = ask(*port, "CLUSTER NODES").unwrap_or_default();
            let Some(line) = nodes.lines().find(|line| line.contains("myself,master")) else { continue };
            let words: Vec<&str> = line.split(' ').collect();
            let claim = format!("{} {} {:?}", words[0], words[6], &words[8..]);
            if claim == *last {
                continue;
            }
            watched.claims.push(begun.elapsed());
            let epoch: u64 = words[6].parse().expect("an epoch");
            for range in words[8..].iter().filter(|range| !range.starts_with('[')) {
                let (first, end) = range.split_once('-').unwrap_or((range, range));
                let [first, end] = [first, end].map(|slot| slot.parse::<u16>().expect("a slot"));
                for slot in first..=end {
                    let owner = owners.entry((slot, epoch)).or_insert_with(|| words[0].to_string());
                    assert_eq!(owner, words[0], "slot {slot} has two owners in epoch {epoch}");
                }
            }
            *last = claim;
        }
        let before = Instant::now();
        thread::sleep(POLL);
        watched.stall = watched.stall.max(before.elapsed() - POLL);
    }
    watched
}

/// Those who work while the nodes suffer.
struct Load {
    ends: Arc<AtomicBool>,
    /// Writes that were replied to.
    count: Arc<AtomicUsize>,
    writers: Vec<JoinHandle<Written>>,
    watcher: JoinHandle<Watched>,
}

impl Load {
    fn begin(scene: &Scene) -> Load {
        let (ends, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let shown: Vec<u16> = scene.members.iter().map(|member| member.shown_port).collect();
        let ports: Vec<u16> = scene.members.iter().map(|member| member.port).collect();
        let begun = scene.begun;
        let spawn = |writer: usize| {
            let (ends, count, client) = (Arc::clone(&ends), Arc::clone(&count), client(&shown));
            thread::spawn(move || write(writer, &client, begun, &ends, &count))
        };
        let writers = (0..WRITERS).map(spawn).collect();
        let own_ends = Arc::clone(&ends);
        let watcher = thread::spawn(move || watch(&ports, begun, &own_ends));
        Load { ends, count, writers, watcher }
    }

    /// Waits until some more writes have been replied to.
    fn wait_for_writes(&self) {
        let before = self.count.load(Ordering::Relaxed);
        wait_until(|| "no writes".into(), || self.count.load(Ordering::Relaxed) > before + WRITES_BETWEEN);
    }

    fn end(self) -> (Vec<Written>, Watched) {
        self.ends.store(true, Ordering::Relaxed);
        let written = self.writers.into_iter().map(|writer| writer.join().expect("it has written")).collect();
        (written, self.watcher.join().expect("one owner in each epoch"))
    }
}

/// What is there at the end is what the model allows; replies may be so much later than on a machine that is idle.
fn check(scene: &Scene, all: &[Written], slack: Duration) {
    let shown: Vec<u16> = scene.members.iter().map(|member| member.shown_port).collect();
    let mut client = client(&shown).get_connection().expect("the cluster answers");
    let (mut replied, mut lost, mut failed) = (0, BTreeMap::new(), 0);
    for (writer, written) in all.iter().enumerate() {
        let mut there = BTreeSet::new();
        for place in 0..KEYS_PER_WRITER {
            let members: BTreeSet<u64> = client.smembers(key(writer, place)).expect("it is readable");
            assert!(members.iter().all(|number| number % KEYS_PER_WRITER == place), "numbers are in their sets");
            there.extend(members);
        }
        assert!(there.is_subset(&written.sent), "nothing is there that nobody wrote");
        for (number, at) in written.replied.iter().filter(|(number, _)| !there.contains(number)) {
            let window = scene.windows.iter().find(|window| window.has(*at, slack));
            let Some(window) = window else {
                panic!("{number} of {writer}, replied to at {at:?}, is lost; allowed: {:?}", scene.windows);
            };
            *lost.entry(&window.reason).or_insert(0) += 1;
        }
        replied += written.replied.len();
        failed += written.failed;
    }
    println!("  {replied} writes were replied to, of which are lost: {lost:?}; {failed} failed");
    let sizes = |role: &str| {
        let of_role = scene.members.iter().filter(|member| member.field("INFO replication", "role") == role);
        let sizes =
            of_role.map(|member| member.ask("DBSIZE").expect("it replies")[1..].parse::<usize>().expect("a number"));
        sizes.sum::<usize>()
    };
    wait_until(|| scene.views(), || sizes("slave") == sizes("master"));
    assert_eq!(sizes("master"), WRITERS * KEYS_PER_WRITER as usize);
}

fn genuine_programs() -> Vec<String> {
    let listed = std::env::var("GENUINE_SERVERS").unwrap_or_default();
    let listed: Vec<String> = listed.split(':').filter(|path| !path.is_empty()).map(str::to_string).collect();
    let found = if listed.is_empty() { vec!["redis-server".to_string()] } else { listed };
    found.into_iter().filter(|program| Command::new(program).arg("--version").output().is_ok()).collect()
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Who suffers what, in this order.
fn sufferings() -> Vec<(usize, Fault)> {
    if std::env::var("ONELOOP_CLUSTER_FAULTS").as_deref() != Ok("all") {
        // Each time the primary of the shard.
        return vec![(0, Fault::Kill), (PRIMARIES, Fault::Pause), (0, Fault::CutOff), (PRIMARIES, Fault::Restart)];
    }
    // Of two nodes of a shard, one has taken the other's place when its turn comes: all suffer as primaries. Restarts
    // change nothing of that, and afterwards the replicas suffer.
    let of = |nodes: std::ops::Range<usize>| {
        FAULTS.into_iter().flat_map(move |fault| nodes.clone().map(move |node| (node, fault)))
    };
    of(0..NODES).chain(of(PRIMARIES..NODES)).collect()
}

/// Lets the nodes suffer, one after the other.
fn play(programs: [OsString; 2]) {
    let _turn = ONE_AT_A_TIME.lock();
    let mut scene = Scene::new(programs);
    let load = Load::begin(&scene);
    for (number, fault) in sufferings() {
        load.wait_for_writes();
        scene.suffer(number, fault);
    }
    load.wait_for_writes();
    let (written, watched) = load.end();
    println!("  {} claims of slots were seen; the machine stood still for {:?}", watched.claims.len(), watched.stall);
    // On a busy machine nodes take others for failed that are not, and replicas take over besides.
    let claimed = |at: &Duration| Window::new(at.saturating_sub(LAG), *at + LAG, "another takeover");
    scene.windows.extend(watched.claims.iter().map(claimed));
    check(&scene, &written, 2 * watched.stall);
}

fn ours() -> OsString {
    std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into())
}

#[test]
fn ours_alone_lose_no_more_than_replication_may() {
    play([ours(), ours()]);
}

#[test]
fn genuine_nodes_and_ours_lose_no_more_than_replication_may() {
    let programs = genuine_programs();
    if programs.is_empty() {
        println!("SKIPPED: there is no genuine server");
    }
    for program in programs {
        println!("with {program}:");
        play([ours(), program.into()]);
    }
}
