//! The errors of a node of a cluster that does not run a request, compared with a genuine node byte for byte: for every
//! command that both have, with keys that no node serves, that another node has, or that are in two slots; and in
//! conversations.
//!
//! With `redis-server` on the PATH.

#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/server.rs"]
mod server;
#[path = "support/mod.rs"]
mod support;

use std::io::Read;
use std::net::TcpStream;

use genuine::{Genuine, wait_until};
use oneloop::cluster::member::SlotChange;
use oneloop::command::registry::{Command, Registry};
use oneloop::commands::FAMILIES;
use server::{Raw, free_port};
use support::Harness;
use support::cluster::{Part, change_slot, delete_slot, harness};
use support::requests::{request_with, with_keys};

/// Requests made up for each command.
const TRIES: usize = 100;
const NUMBERS: &[&str] = &["1", "0", "2"];
/// The key `b` is of the first half of the slots, `a` of the second.
const SETS_OF_KEYS: [&[&str]; 4] = [&["{a}1", "a"], &["b", "a"], &["a", "b"], &["b", "c"]];
/// Errors of requests that make sense.
const ABOUT_DATA: [&str; 6] =
    ["no such key", "Function not found", "DUMP payload", "key to exist", "key does not exist", "DENY BLOCKING"];
/// Options that Redis 7.0 does not know.
const NEWER_OPTIONS: [&str; 4] = ["withscore", "claim", "maxcount", "maxsize"];
const REDIRECTS: [&str; 5] = ["-MOVED ", "-ASK ", "-CROSSSLOT ", "-CLUSTERDOWN ", "-TRYAGAIN "];

/// A genuine node, and where ours has its other node.
struct Node {
    server: Genuine,
    bus_port: u16,
    client: Raw<TcpStream>,
}

impl Node {
    fn start() -> Option<Node> {
        let bus_port = free_port();
        let options = ["--cluster-enabled", "yes", "--cluster-port", &bus_port.to_string(), "--appendonly", "no"];
        let server = Genuine::start("redis-server", &options)?;
        let client = server.connect();
        Some(Node { server, bus_port, client })
    }

    /// The whole reply to a request, as bytes.
    fn ask(&mut self, words: &[&[u8]]) -> String {
        let mut request = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            request.extend_from_slice(word);
            request.extend_from_slice(b"\r\n");
        }
        self.client.send(request);
        self.reply()
    }

    fn reply(&mut self) -> String {
        let line = self.client.line();
        let count: i64 = line[1..].parse().unwrap_or(-1);
        let mut reply = format!("{line}\r\n");
        match line.as_bytes()[0] {
            b'$' if count >= 0 => {
                let mut text = vec![0; count as usize + 2];
                self.client.stream.read_exact(&mut text).expect("the whole text");
                reply.push_str(&String::from_utf8_lossy(&text));
            }
            b'*' => (0..count).for_each(|_| reply.push_str(&self.reply())),
            _ => {}
        }
        reply
    }

    fn run(&mut self, line: &str) -> String {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.ask(&words)
    }

    fn is_up(&mut self) -> bool {
        self.run("cluster info").contains("cluster_state:ok")
    }
}

/// A genuine node that plays a part, the other node of which is where ours has it.
struct Pair {
    node: Node,
    other: Option<Node>,
}

impl Pair {
    /// None: there is no genuine server.
    fn start(part: Part) -> Option<Pair> {
        let mut node = Node::start()?;
        let mut other = None;
        match part {
            Part::None => {}
            Part::All => assert_eq!(node.run("cluster addslotsrange 0 16383"), "+OK\r\n"),
            Part::Half | Part::Replica => {
                let mut second = Node::start()?;
                assert_eq!(node.run("cluster addslotsrange 0 8191"), "+OK\r\n");
                assert_eq!(second.run("cluster addslotsrange 8192 16383"), "+OK\r\n");
                let (port, bus_port) = (second.server.port, second.bus_port);
                assert_eq!(node.run(&format!("cluster meet 127.0.0.1 {port} {bus_port}")), "+OK\r\n");
                wait_until("the two nodes know each other", || node.is_up() && second.is_up());
                other = Some(second);
            }
        }
        if part == Part::All {
            wait_until("the cluster is up", || node.is_up());
        }
        Some(Pair { node, other })
    }

    /// A reply, with the other node where ours has it.
    fn ask(&mut self, words: &[&[u8]]) -> String {
        let reply = self.node.ask(words);
        match &self.other {
            Some(other) => reply.replace(&format!("127.0.0.1:{}", other.server.port), "10.0.0.2:7002"),
            None => reply,
        }
    }

    fn other_id(&mut self) -> String {
        let id = self.other.as_mut().expect("there is another node").run("cluster myid");
        id.split("\r\n").nth(1).unwrap_or_default().to_string()
    }
}

fn skip() {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "redis-server is not on the PATH");
    eprintln!("SKIPPED: redis-server is not on the PATH, nothing was compared");
}

fn is_redirect(reply: &str) -> bool {
    REDIRECTS.iter().any(|start| reply.starts_with(start))
}

/// Whether the genuine server reads the request as ours does. Of one that makes no sense either may or may not find the
/// keys.
fn is_sound(alone: &mut Harness, request: &[String], slices: &[&[u8]]) -> bool {
    let has = |option: &&str| request[1..].iter().any(|word| word.eq_ignore_ascii_case(option));
    let stores = request[1..].iter().filter(|word| word.to_ascii_lowercase().starts_with("store")).count();
    let reply = alone.run_args(slices);
    let is_error = reply.starts_with("-ERR ") && !ABOUT_DATA.iter().any(|words| reply.contains(words));
    // Of several places to store at Redis looks at the last, which is the one that counts.
    !is_error && stores < 2 && !NEWER_OPTIONS.iter().any(has)
}

fn compare_command(ours: &mut Harness, theirs: &mut Pair, registry: &Registry, command: &Command) -> usize {
    let mut random = fastrand::Rng::with_seed(23);
    let mut compared = 0;
    let mut alone = Harness::new();
    let session = alone.state.clients.get_mut(alone.client);
    session.expect("the client is there").deny_blocking = true;
    for _ in 0..TRIES {
        let words = request_with(command, &mut random, NUMBERS);
        let resolved = registry.resolve(words[0].as_bytes(), words.get(1).map(String::as_bytes));
        if resolved.is_none_or(|resolved| resolved.id != command.id) {
            continue;
        }
        for keys in SETS_OF_KEYS {
            let Some(request) = with_keys(&words, command, keys) else { continue };
            let slices: Vec<&[u8]> = request.iter().map(String::as_bytes).collect();
            let reply = ours.run_args(&slices);
            // A request that runs may wait, or change the data.
            if is_redirect(&reply) && is_sound(&mut alone, &request, &slices) {
                assert_eq!(theirs.ask(&slices), reply, "{request:?}");
                compared += 1;
            }
        }
    }
    compared
}

#[test]
fn every_command_is_refused_as_a_genuine_node_refuses_it() {
    for part in [Part::None, Part::Half, Part::All] {
        let Some(mut theirs) = Pair::start(part) else { return skip() };
        let mut ours = harness(part);
        let registry = Registry::new(FAMILIES);
        let mut compared = Vec::new();
        for command in registry.iter().filter(|command| !command.spec.keys.is_empty()) {
            let known = theirs.node.ask(&[b"command", b"info", command.full_name.as_bytes()]);
            if known != "*1\r\n$-1\r\n" {
                compared.push((compare_command(&mut ours, &mut theirs, &registry, command), &*command.full_name));
            }
        }
        assert!(compared.len() > 150, "{}", compared.len());
        // With all slots here it takes two keys.
        let never: Vec<&str> = compared.iter().filter(|(count, _)| *count == 0).map(|(_, name)| *name).collect();
        assert!(part == Part::All || never.is_empty(), "{part:?}: {never:?}");
    }
}

/// Runs lines on both nodes, in order, and compares all replies.
#[track_caller]
fn converse(ours: &mut Harness, theirs: &mut Pair, lines: &[&str]) {
    for line in lines {
        // A blank within a word is written as ␣.
        let words: Vec<String> = line.split(' ').map(|word| word.replace('\u{2423}', " ")).collect();
        let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        assert_eq!(ours.run_args(&words), theirs.ask(&words), "{line}");
    }
}

/// Requests with the same replies whichever slots a node has.
const ALWAYS: &[&str] = &[
    "select 0",
    "select 1",
    "select 99",
    "select x",
    "swapdb 0 1",
    "swapdb x 1",
    "asking",
    "ping",
    "readonly",
    "readwrite",
    "asking x",
    "replicaof 127.0.0.1 1",
    "failover",
    "eval return␣redis.call('get','a') 0",
    "eval return␣redis.call('mget','a','b') 0",
    "eval return␣redis.pcall('get','a') 0",
    "eval return␣redis.call('spublish','a','m') 0",
    "eval #!lua\nreturn␣redis.call('get','b') 1 a",
    "eval #!lua\nredis.call('get','a')␣return␣redis.call('get','b') 0",
    "eval #!lua␣flags=allow-cross-slot-keys\nredis.call('get','a')␣return␣redis.call('get','b') 0",
    "eval #!lua␣flags=allow-cross-slot-keys\nreturn␣1 2 a b",
    "eval #!lua␣flags=no-cluster\nreturn␣1 0",
    "eval #!lua␣flags=no-cluster\nreturn␣1 1 a",
    "eval_ro #!lua␣flags=no-cluster\nreturn␣1 0",
    "function load #!lua␣name=l\nredis.register_function{function_name='n',callback=function()␣return␣1␣end,flags={'no-cluster'}}",
    "fcall n 0",
    "fcall n 2 a b",
    "sort b by w_*",
    "sort b by w_* nonsense",
    "sort b by nosort get x",
    "sort b by w_* get x",
    "sort_ro b get w_*->f",
    "multi",
    "get a",
    "get b",
    "mget a b",
    "asking",
    "exec",
    "exec",
    "multi",
    "get a",
    "ping",
    "exec",
    "multi",
    "ping",
    "exec",
    "watch a b",
    "watch a",
    "unwatch",
    "multi",
    "watch a",
    "exec",
    "ssubscribe a b",
    "sunsubscribe a b",
    "spublish a m",
    "publish a m",
    "migrate 127.0.0.1 1 a 0 10",
    "migrate 127.0.0.1 1 a 0 10 keys b",
    "del a",
    "del b",
];

/// Requests to make while all slots are here.
const WITH_ALL: &[&str] = &[
    "move a 1",
    "move a x",
    "copy a {a}b db 1",
    "copy a {a}b db 99",
    "copy a {a}b db x",
    "multi",
    "get b",
    "get a",
    "exec",
    "multi",
    "eval #!lua\nreturn␣redis.call('get','a') 0",
    "get b",
    "exec",
    "multi",
    "set {b}1 1",
    "get {b}2",
    "exec",
    "del {b}1",
    "multi",
    "eval #!lua\nreturn␣redis.call('get','a') 0",
    "eval #!lua\nreturn␣redis.call('get','b') 0",
    "eval return␣redis.call('get','b') 0",
    "eval #!lua␣flags=allow-cross-slot-keys\nreturn␣redis.call('get','b') 0",
    "exec",
    "multi",
    "eval return␣redis.call('get','a') 0",
    "eval #!lua\nreturn␣redis.call('get','b') 0",
    "exec",
];

/// Requests to make while there are open slots.
const OPEN: &[&str] = &[
    "get {b}1",
    "get {b}2",
    "set {b}2 1",
    "mget {b}1 {b}2",
    "mget {b}2 {b}3",
    "spublish b m",
    "eval return␣redis.call('get','{b}2') 0",
    "multi",
    "get {b}1",
    "get {b}2",
    "exec",
    "get a",
    "asking",
    "get a",
    "get a",
    "asking",
    "mget a {a}2",
    "asking",
    "nonsense",
    "get a",
    "asking",
    "asking",
    "get a",
    "asking",
    "multi",
    "get a",
    "mget a a",
    "exec",
    "get a",
    "multi",
    "asking",
    "get a",
    "exec",
    "multi",
    "asking",
    "exec",
    "get a",
    "asking",
    "eval return␣redis.call('get','a') 0",
    "asking",
    "eval return␣redis.call('get',KEYS[1]) 1 a",
    "eval redis.call('asking')␣return␣redis.call('get','a') 0",
    "eval redis.call('readonly')␣return␣redis.call('get','a') 0",
    "migrate 127.0.0.1 1 {b}2 0 10",
    "migrate 127.0.0.1 1 a 0 10",
    "restore-asking a 0 nonsense",
    "restore a 0 nonsense",
    "pexpire {b}1 1",
];

/// Requests to make in a cluster that is down.
const DOWN: &[&str] = &[
    "get a",
    "get b",
    "mget a b",
    "mget b a",
    "set b 1",
    "spublish b m",
    "eval return␣redis.call('get','b') 0",
    "config set cluster-allow-reads-when-down yes",
    "get a",
    "get b",
    "set b 1",
    "multi",
    "get b",
    "exec",
    "multi",
    "set b 1",
    "exec",
    "eval return␣redis.call('set','b',1) 0",
    "eval return␣redis.call('set','b',1) 1 b",
    "eval #!lua\nreturn␣redis.call('set','b',1) 1 b",
    "eval #!lua␣flags=no-writes\nreturn␣1 1 b",
    "spublish b m",
    "config set cluster-allow-pubsubshard-when-down no",
    "spublish b m",
];

#[test]
fn conversations_go_as_with_a_genuine_node() {
    for part in [Part::None, Part::Half, Part::All] {
        let Some(mut theirs) = Pair::start(part) else { return skip() };
        let mut ours = harness(part);
        converse(&mut ours, &mut theirs, ALWAYS);
        if part == Part::All {
            converse(&mut ours, &mut theirs, WITH_ALL);
        }
    }
}

#[test]
fn open_slots_are_served_as_by_a_genuine_node() {
    let Some(mut theirs) = Pair::start(Part::Half) else { return skip() };
    let mut ours = harness(Part::Half);
    converse(&mut ours, &mut theirs, &["set {b}1 here"]);
    let other = theirs.other_id();
    assert_eq!(theirs.node.run(&format!("cluster setslot 3300 migrating {other}")), "+OK\r\n");
    change_slot(&mut ours, "b", |other| SlotChange::Migrating(other));
    assert_eq!(theirs.node.run(&format!("cluster setslot 15495 importing {other}")), "+OK\r\n");
    change_slot(&mut ours, "a", |other| SlotChange::Importing(other));
    converse(&mut ours, &mut theirs, OPEN);
}

#[test]
fn a_cluster_that_is_down_answers_as_a_genuine_one() {
    let Some(mut theirs) = Pair::start(Part::All) else { return skip() };
    let mut ours = harness(Part::All);
    assert_eq!(theirs.node.run("cluster delslots 15495"), "+OK\r\n");
    wait_until("the cluster is down", || !theirs.node.is_up());
    delete_slot(&mut ours, "a");
    converse(&mut ours, &mut theirs, DOWN);
}
