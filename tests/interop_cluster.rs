//! Clusters of our nodes and genuine ones, made, checked and resharded by `redis-cli --cluster`, in which nodes of either
//! kind fail and take over.
//!
//! With `redis-server` and `redis-cli` on the PATH, and with the servers whose paths `GENUINE_SERVERS` lists, parted by
//! colons.

#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/server.rs"]
mod server;

use std::process::Command;

use nodes::{Node, ask, views, wait_until, wait_until_up};
use oneloop::cluster::key_slot;

const KEYS: usize = 500;

/// The genuine servers that are at hand.
fn programs() -> Vec<String> {
    let listed = std::env::var("GENUINE_SERVERS").unwrap_or_default();
    let others = listed.split(':').filter(|path| !path.is_empty()).map(str::to_string);
    std::iter::once("redis-server".to_string()).chain(others).collect()
}

/// Runs `redis-cli --cluster` with these words; gives its output. None: there is no such program.
#[track_caller]
fn manage(words: &str) -> Option<String> {
    let output = Command::new("redis-cli").arg("--cluster").args(words.split(' ')).output();
    let Ok(output) = output else {
        println!("SKIPPED: there is no redis-cli");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "redis-cli --cluster {words}:\n{said}");
    Some(said)
}

/// Has redis-cli make a cluster of these nodes. None: there is no redis-cli.
fn create(nodes: &[Node], replicas: usize) -> Option<()> {
    let places: Vec<String> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port)).collect();
    manage(&format!("create {} --cluster-yes --cluster-replicas {replicas}", places.join(" ")))?;
    let all: Vec<&Node> = nodes.iter().collect();
    wait_until_up(&all);
    let count = nodes.len() - nodes.len() / (replicas + 1);
    let knows_roles = |node: &&Node| node.ask("CLUSTER NODES").matches("slave ").count() == count;
    wait_until(|| views(&all), || all.iter().all(knows_roles));
    wait_until(|| views(&all), || all.iter().filter(|node| !node.is_primary()).all(|node| node.is_synced()));
    Some(())
}

/// The findings of redis-cli about the cluster, as seen from this node.
fn check_once(node: &Node) -> String {
    let place = format!("127.0.0.1:{}", node.port);
    let output = Command::new("redis-cli").args(["--cluster", "check", &place]).output().expect("it was there");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn is_fine(said: &str) -> bool {
    let is_whole = said.contains("All 16384 slots covered") && said.contains("[OK] All nodes agree");
    is_whole && !said.contains("[WARNING]") && !said.contains("[ERR]")
}

/// Waits until redis-cli finds nothing wrong.
#[track_caller]
fn check(nodes: &[&Node]) {
    wait_until_up(nodes);
    for node in nodes {
        // Roles take a moment to get around.
        wait_until(|| check_once(node), || is_fine(&check_once(node)));
    }
}

/// Sends a request to whichever node it belongs to.
fn ask_anywhere(nodes: &[&Node], request: &str, key: &str) -> String {
    let slot = key_slot(key.as_bytes());
    for _ in 0..1000 {
        for node in nodes {
            let reply = node.ask(request);
            if let Some(place) = reply.strip_prefix("-ASK ") {
                let port = place.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(0);
                if let Some(node) = nodes.iter().find(|node| node.port == port) {
                    let mut client = node.connect();
                    ask(&mut client, "ASKING");
                    return ask(&mut client, request);
                }
            }
            if !reply.starts_with("-MOVED") && !reply.starts_with("-CLUSTERDOWN") && !reply.starts_with("-TRYAGAIN") {
                return reply;
            }
        }
    }
    panic!("nobody serves slot {slot}:\n{}", views(nodes));
}

fn fill(nodes: &[&Node]) {
    for number in 0..KEYS {
        let key = format!("key:{number}");
        assert_eq!(ask_anywhere(nodes, &format!("SET {key} value:{number}"), &key), "+OK");
    }
}

#[track_caller]
fn expect_all_keys(nodes: &[&Node]) {
    for number in 0..KEYS {
        let key = format!("key:{number}");
        assert_eq!(ask_anywhere(nodes, &format!("GET {key}"), &key), format!("value:{number}"));
    }
    let sizes = nodes.iter().filter(|node| node.is_primary()).map(|node| node.ask("DBSIZE"));
    let sum: usize = sizes.map(|size| size[1..].parse::<usize>().expect("a number")).sum();
    assert_eq!(sum, KEYS, "each key is at one node");
}

/// Moves slots to and fro between the primaries, and looks whether all keys are still there.
fn reshard(nodes: &[Node]) {
    let all: Vec<&Node> = nodes.iter().collect();
    let primaries: Vec<&Node> = all.iter().copied().filter(|node| node.is_primary()).collect();
    for (from, to) in [(0, 1), (1, 2), (2, 0)] {
        let (from, to, port) = (primaries[from].id(), primaries[to].id(), primaries[0].port);
        manage(&format!(
            "reshard 127.0.0.1:{port} --cluster-from {from} --cluster-to {to} --cluster-slots 60 --cluster-yes"
        ));
        expect_all_keys(&all);
    }
    check(&all);
}

#[test]
fn ours_alone_are_made_checked_and_resharded() {
    let nodes: Vec<Node> = (0..3).map(|_| Node::ours(&[])).collect();
    if create(&nodes, 0).is_none() {
        return;
    }
    fill(&nodes.iter().collect::<Vec<_>>());
    reshard(&nodes);
}

/// Three primaries with a replica each, ours and genuine ones by turns.
fn mixed(program: &str) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    for number in 0..6 {
        nodes.push(match number % 2 {
            0 => Node::ours(&[]),
            _ => Node::genuine(program, &[])?,
        });
    }
    Some(nodes)
}

#[test]
fn genuine_nodes_and_ours_share_a_cluster() {
    for program in programs() {
        let Some(nodes) = mixed(&program) else {
            println!("SKIPPED: there is no {program}");
            continue;
        };
        if create(&nodes, 1).is_none() {
            return;
        }
        println!("a cluster with {program}");
        let all: Vec<&Node> = nodes.iter().collect();
        fill(&all);
        reshard(&nodes);
        hand_over(&nodes);
        fail_over(nodes);
    }
}

/// The replica of a primary.
fn replica_of<'a>(nodes: &'a [Node], primary: &Node) -> &'a Node {
    let id = primary.id();
    let follows = |node: &&Node| node.line_at(node).contains(&format!(" myself,slave {id} "));
    nodes.iter().find(follows).expect("it has a replica")
}

/// Every primary gives its place to its replica.
fn hand_over(nodes: &[Node]) {
    let all: Vec<&Node> = nodes.iter().collect();
    let primaries: Vec<&Node> = all.iter().copied().filter(|node| node.is_primary()).collect();
    for primary in primaries {
        let replica = replica_of(nodes, primary);
        wait_until(
            || views(&all),
            || {
                // It is refused while the primary's link is being made.
                let reply = replica.ask("CLUSTER FAILOVER");
                reply == "+OK" || reply.starts_with("-ERR You should send")
            },
        );
        wait_until(|| views(&all), || replica.is_primary() && !primary.is_primary() && primary.is_synced());
    }
    check(&all);
    expect_all_keys(&all);
}

/// One of ours that is a primary dies, its replica takes over, and it comes back.
fn fail_over(mut nodes: Vec<Node>) {
    let place = nodes.iter().position(|node| node.is_ours() && node.is_primary()).expect("one of ours is a primary");
    let heir = replica_of(&nodes, &nodes[place]).port;
    let stopped = nodes.remove(place).kill();
    let rest: Vec<&Node> = nodes.iter().collect();
    let heir = *rest.iter().find(|node| node.port == heir).expect("it is there");
    wait_until(|| views(&rest), || heir.is_primary());
    wait_until(|| views(&rest), || rest.iter().all(|node| node.cluster_field("cluster_state") == "ok"));
    expect_all_keys(&rest);
    let back = stopped.restart();
    wait_until(|| views(&[&back]), || !back.is_primary() && back.is_synced());
    nodes.push(back);
    check(&nodes.iter().collect::<Vec<_>>());
}

/// What is asked of a node on one connection, and about which bytes of requests and replies the slot of `key` is counted
/// with.
const COUNTED: &[&str] = &[
    "SET key value\r\n",
    "SET  key \t 'value'\r\nGET key\r\n",
    "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n",
    "*3\r\n$4\r\nmget\r\n$3\r\nkey\r\n$8\r\n{key}two\r\n",
    "GET key too many\r\n",
    "LPUSH key 1\r\n",
    "MULTI\r\nSET key value\r\nDISCARD\r\n",
    // Of a reply within EXEC genuine nodes count the last one alone once.
    "MULTI\r\nPING\r\nEXEC\r\n",
    "CLIENT REPLY SKIP\r\nGET key\r\n",
    "EVAL 'return 1' 1 key\r\n",
    "SSUBSCRIBE key\r\nSUNSUBSCRIBE key\r\n",
    "SPUBLISH key message\r\n",
    "HELLO 3\r\nGET key\r\n",
    "WATCH key\r\nUNWATCH\r\n",
    "SETRANGE key 20000 x\r\nGET key\r\n",
    "DEL key\r\nRPUSH key value\r\nBLPOP key 0\r\n",
    "OBJECT ENCODING key\r\nTYPE key\r\nEXISTS key key\r\n",
];

/// The bytes of requests and replies that a node, which has all slots, counted for the slot of `key` with these requests.
fn cost(node: &Node, requests: &str) -> [String; 2] {
    node.expect("CONFIG RESETSTAT", "+OK");
    let mut client = node.connect();
    client.send(format!("{requests}ECHO end\r\n"));
    while client.line() != "end" {}
    let slot = key_slot(b"key");
    client.send(format!("HELLO 2\r\nCLUSTER SLOT-STATS SLOTSRANGE {slot} {slot}\r\n"));
    ["network-bytes-in", "network-bytes-out"].map(|metric| {
        while client.line() != metric {}
        client.line()
    })
}

#[test]
fn requests_cost_what_genuine_nodes_count() {
    let enabled = ["--cluster-slot-stats-enabled", "yes"];
    let ours = Node::ours(&enabled);
    ours.expect("CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
    wait_until_up(&[&ours]);
    for program in programs() {
        // Older ones do not come up with the directive.
        let Some(genuine) = Node::genuine(&program, &[]) else { continue };
        if genuine.ask("CONFIG SET cluster-slot-stats-enabled yes") != "+OK" {
            continue;
        }
        genuine.expect("CLUSTER ADDSLOTSRANGE 0 16383", "+OK");
        wait_until_up(&[&genuine]);
        for requests in COUNTED {
            assert_eq!(cost(&ours, requests), cost(&genuine, requests), "{program}: {requests}");
        }
        for request in [
            "CLUSTER SLOT-STATS",
            "CLUSTER SLOT-STATS SLOTSRANGE 1 0",
            "CLUSTER SLOT-STATS SLOTSRANGE 1",
            "CLUSTER SLOT-STATS SLOTSRANGE 0 16384",
            "CLUSTER SLOT-STATS ORDERBY memory-bytes",
            "CLUSTER SLOT-STATS ORDERBY cpu-usec LIMIT",
            "CLUSTER SLOT-STATS ORDERBY cpu-usec LIMIT 0",
            "CLUSTER SLOT-STATS ORDERBY cpu-usec ASC DESC",
            "CLUSTER SLOT-STATS ANYTHING else",
        ] {
            assert_eq!(ours.ask(request), genuine.ask(request), "{program}: {request}");
        }
        println!("counted as by {program}");
    }
}
