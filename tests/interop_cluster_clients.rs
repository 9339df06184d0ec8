//! Client libraries for clusters, against three primaries of ours with a replica each: they read and write, slots move,
//! a primary fails, and they go on.
//!
//! redis-rs is linked to this program. redis-py and ioredis are programs in `tests/clients/`, which ask for what is to
//! happen to the cluster; they are run where there is a Python with redis-py, and Node.js with ioredis.

#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/moves.rs"]
mod moves;
#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/python.rs"]
mod python;
#[path = "support/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use moves::{begin, wait_for_state};
use nodes::{Node, make_cluster, views, wait_until, wait_until_up};
use redis::cluster::{ClusterClient, ClusterConnection, cluster_pipe};
use redis::{Commands, ConnectionLike, Pipeline, RedisResult, Value};

/// Where ioredis is installed.
const NODE_MODULES: &str = "ONELOOP_NODE_MODULES";
const PARTS: &str = "values\npipelines\ntransactions\nmessages\nresharding\nfailover\n";
/// The slot that is moved key by key, and a key of it. At first it is the first primary's, as is that of `moves::TAG`.
const OPEN_SLOT: u16 = 0;
const OPEN_KEY: &str = "{06S}1";
const KEYS: usize = 300;
const PATIENCE: Duration = Duration::from_secs(5);

/// A cluster, and what may happen to it.
struct Scene {
    nodes: Vec<Node>,
    /// Ports of the source and the target of the slot that is half way.
    open: [u16; 2],
}

impl Scene {
    fn new() -> Scene {
        let nodes: Vec<Node> = (0..6).map(|_| Node::ours(&[])).collect();
        make_cluster(&nodes.iter().collect::<Vec<_>>(), 3);
        let open = [nodes[0].port, nodes[2].port];
        Scene { nodes, open }
    }

    fn all(&self) -> Vec<&Node> {
        self.nodes.iter().collect()
    }

    fn at(&self, port: u16) -> &Node {
        self.nodes.iter().find(|node| node.port == port).expect("it is there")
    }

    fn happen(&mut self, what: &str) {
        match what {
            "reshard" => self.reshard(),
            "finish" => self.finish(),
            "fail over" => self.fail_over(),
            _ => panic!("nobody knows how to {what}"),
        }
    }

    /// One slot moves at once, with a redirection afterwards; another one is left half way.
    fn reshard(&self) {
        let [source, target] = self.open.map(|port| self.at(port));
        begin(source, &self.nodes[1]);
        wait_for_state(source, &["success"]);
        target.expect(&format!("CLUSTER SETSLOT {OPEN_SLOT} IMPORTING {}", source.id()), "+OK");
        source.expect(&format!("CLUSTER SETSLOT {OPEN_SLOT} MIGRATING {}", target.id()), "+OK");
        source.expect(&format!("MIGRATE 127.0.0.1 {} {OPEN_KEY} 0 5000", target.port), "+OK");
    }

    /// The rest of the slot goes, and it belongs to its target.
    fn finish(&self) {
        let [source, target] = self.open.map(|port| self.at(port));
        let mut client = source.connect();
        client.send(format!("CLUSTER GETKEYSINSLOT {OPEN_SLOT} 100\r\n"));
        let count: usize = client.line()[1..].parse().expect("a number of keys");
        let keys: Vec<String> = (0..count).map(|_| [client.line(), client.line()][1].clone()).collect();
        for key in keys {
            source.expect(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", target.port), "+OK");
        }
        for node in [target, source] {
            node.expect(&format!("CLUSTER SETSLOT {OPEN_SLOT} NODE {}", target.id()), "+OK");
        }
        // Clients were sent on in both ways.
        let has_sent = |kind: &str| self.nodes.iter().any(|node| node.ask("INFO errorstats").contains(kind));
        assert!(has_sent("errorstat_MOVED"), "nobody was sent to the new owner of the slot that has moved");
        assert!(has_sent("errorstat_ASK"), "nobody was sent to the target of the slot that is half way");
    }

    /// The primary of the slot that has moved key by key dies, and comes back when its replica has its place.
    fn fail_over(&mut self) {
        let id = self.at(self.open[1]).id();
        let place = self.nodes.iter().position(|node| node.port == self.open[1]).expect("it is there");
        let heir = self.nodes.iter().find(|node| node.line_at(node).contains(&format!(" myself,slave {id} ")));
        let heir = heir.expect("it has a replica").port;
        let stopped = self.nodes.remove(place).kill();
        wait_until(|| views(&self.all()), || self.at(heir).is_primary());
        wait_until(|| views(&self.all()), || self.nodes.iter().all(|node| node.cluster_field("cluster_state") == "ok"));
        self.nodes.push(stopped.restart());
        wait_until_up(&self.all());
    }
}

/// Plays the story with a program: does what its lines ask for.
fn play(mut command: Command) {
    let mut scene = Scene::new();
    command.arg(scene.nodes[0].port.to_string());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("it is piped");
    let mut errors = child.stderr.take().expect("it is piped");
    let failure = thread::spawn(move || {
        let mut text = String::new();
        // What is not text is not worth more.
        let _ = errors.read_to_string(&mut text);
        text
    });
    let mut parts = String::new();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line.expect("text");
        match line.strip_prefix("> ") {
            Some(what) => {
                scene.happen(what);
                writeln!(input, "done").expect("it listens");
            }
            None => parts.push_str(&format!("{line}\n")),
        }
    }
    let status = child.wait().expect("it is a child");
    assert!(status.success(), "after {parts}: {}", failure.join().expect("it was read"));
    assert_eq!(parts, PARTS);
}

#[test]
fn redis_py_goes_on() {
    let Some(python) = python::with_clients() else { return };
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/redis_py_cluster.py"));
    play(command);
}

#[test]
fn ioredis_goes_on() {
    let mut command = Command::new("node");
    if let Some(modules) = std::env::var_os(NODE_MODULES) {
        command.env("NODE_PATH", modules);
    }
    let has_it = command.args(["-e", "require('ioredis')"]).stderr(Stdio::null()).status();
    if !has_it.is_ok_and(|status| status.success()) {
        println!("SKIP: ioredis is missing (npm install ioredis; {NODE_MODULES} names its folder)");
        return;
    }
    let mut command = Command::new("node");
    if let Some(modules) = std::env::var_os(NODE_MODULES) {
        command.env("NODE_PATH", modules);
    }
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/ioredis_cluster.js"));
    play(command);
}

fn redis_rs(scene: &Scene, reads_from_replicas: bool) -> ClusterConnection {
    let seed = vec![format!("redis://127.0.0.1:{}/", scene.nodes[0].port)];
    let mut builder = ClusterClient::builder(seed).retries(30).max_retry_wait(200).response_timeout(PATIENCE);
    if reads_from_replicas {
        builder = builder.read_from_replicas();
    }
    builder.build().and_then(|client| client.get_connection()).expect("the cluster answers")
}

/// The value of a key, once it is the wanted one: replicas are a little behind.
fn expect_value(client: &mut ClusterConnection, key: &str, value: &str) {
    let mut found = String::new();
    let what = format!("{key} is not {value}");
    wait_until(
        || what.clone(),
        || {
            found = client.get(key).unwrap_or_default();
            found == value
        },
    );
}

/// Runs a transaction, whose commands go to the node of the first one's key; gives the reply to EXEC.
fn transact(client: &mut ClusterConnection, transaction: &Pipeline) -> RedisResult<Vec<Value>> {
    let before_reply = transaction.len() + 1;
    client.req_packed_commands(&transaction.get_packed_pipeline(), before_reply, 1)
}

fn redis_rs_reads_and_writes(scene: &Scene) {
    let mut client = redis_rs(scene, false);
    for number in 0..KEYS {
        let () = client.set(format!("key:{number}"), number).expect("it is set");
    }
    let mut pipe = cluster_pipe();
    for number in 0..KEYS {
        pipe.get(format!("key:{number}"));
    }
    let values: Vec<usize> = pipe.query(&mut client).expect("a pipeline to all nodes");
    assert_eq!(values, (0..KEYS).collect::<Vec<_>>());
    // Redis-rs spreads the keys of these over the nodes.
    let pairs: Vec<(String, usize)> = (0..50).map(|number| (format!("spread:{number}"), number)).collect();
    let () = client.mset(&pairs).expect("pairs of all nodes");
    let names: Vec<&String> = pairs.iter().map(|(name, _)| name).collect();
    assert_eq!(client.mget::<_, Vec<usize>>(&names).expect("values of all nodes"), (0..50).collect::<Vec<_>>());
    let mut transaction = redis::pipe();
    transaction.atomic().set("{tag}text", "a").incr("{tag}count", 1).append("{tag}text", "b");
    let expected = Value::Array(vec![Value::Okay, Value::Int(1), Value::Int(2)]);
    assert_eq!(transact(&mut client, &transaction).expect("a transaction"), [expected]);
    let mut apart = redis::pipe();
    apart.atomic().set("a", 1).set("b", 1);
    let refused = transact(&mut client, &apart);
    assert!(!matches!(refused.as_deref(), Ok([Value::Array(_)])), "keys of two slots in one transaction: {refused:?}");
    let mut reader = redis_rs(scene, true);
    (0..KEYS).for_each(|number| expect_value(&mut reader, &format!("key:{number}"), &number.to_string()));
}

fn redis_rs_follows_slots(scene: &mut Scene) {
    let mut client = redis_rs(scene, false);
    let names = ["{k2}1", "{06S}1", "{06S}2"];
    for key in names {
        let () = client.set(key, key).expect("it is set");
    }
    scene.happen("reshard");
    for key in names {
        assert_eq!(client.get::<_, String>(key).expect("it is found"), key);
        let _: usize = client.append(key, "+").expect("it is appended to");
    }
    let () = client.set("{06S}3", "{06S}3+").expect("a new key of the slot that is half way");
    scene.happen("finish");
    for key in ["{k2}1", "{06S}1", "{06S}2", "{06S}3"] {
        assert_eq!(client.get::<_, String>(key).expect("it is found"), format!("{key}+"));
    }
}

fn redis_rs_lives_through_a_failover(scene: &mut Scene) {
    let (done, ends) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut client = redis_rs(scene, false);
    let mut writer = redis_rs(scene, false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                let count: RedisResult<u64> = writer.incr("{06S}count", 1);
                done.fetch_add(usize::from(count.is_ok()), Ordering::Relaxed);
            }
        });
        let more = |than: usize| wait_until(|| "writes".into(), || done.load(Ordering::Relaxed) > than + 50);
        more(0);
        scene.happen("fail over");
        more(done.load(Ordering::Relaxed));
        ends.store(true, Ordering::Relaxed);
    });
    (0..KEYS).for_each(|number| expect_value(&mut client, &format!("key:{number}"), &number.to_string()));
}

#[test]
fn redis_rs_goes_on() {
    let mut scene = Scene::new();
    redis_rs_reads_and_writes(&scene);
    redis_rs_follows_slots(&mut scene);
    redis_rs_lives_through_a_failover(&mut scene);
}
