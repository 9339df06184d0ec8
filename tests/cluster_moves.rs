//! Slots that move with all their keys at once, between whole servers: two of ours, and one of ours and a genuine
//! Valkey 9.1, in both directions, while clients write.

#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/moves.rs"]
mod moves;
#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use moves::{TAG, begin, begin_slowly, fill, look, shown, slot, slow_down, wait_for_state};
use nodes::{Node, make_cluster, wait_until, wait_until_up};
use server::Raw;

/// Counters that are written to while the slot moves.
const COUNTERS: usize = 20;

/// Where a client is sent.
fn moved_to(reply: &str) -> Option<u16> {
    reply.strip_prefix("-MOVED")?.rsplit(':').next()?.parse().ok()
}

/// Counts up until it is stopped, wherever the keys are. Gives the last reply for each counter.
fn count_up(port: u16, stop: &AtomicBool) -> BTreeMap<usize, u64> {
    let connect = |port: u16| {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(server::PATIENCE)).expect("a timeout");
        Raw { stream }
    };
    let (mut client, mut told, mut number) = (connect(port), BTreeMap::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        let reply = nodes::ask(&mut client, &format!("INCR {TAG}counter:{number}"));
        if let Some(port) = moved_to(&reply) {
            client = connect(port);
            continue;
        }
        let value: u64 = reply.trim_start_matches(':').parse().unwrap_or_else(|_| panic!("{reply}"));
        let before = told.insert(number, value).unwrap_or_default();
        assert_eq!(value, before + 1, "a counter neither loses an increment nor gains one");
        number = (number + 1) % COUNTERS;
    }
    told
}

/// Moves the slot from one node to the other while a client writes.
fn move_under_load(source: &Node, target: &Node) {
    make_cluster(&[source, target], 2);
    fill(source);
    let before = look(source);
    let (stop, port) = (AtomicBool::new(false), source.port);
    let told = thread::scope(|scope| {
        let counting = scope.spawn(|| count_up(port, &stop));
        wait_until(|| "nothing is counted".into(), || source.ask(&format!("GET {TAG}counter:5")).len() > 1);
        begin(source, target);
        wait_for_state(source, &["success", "failed"]);
        wait_for_state(target, &["success"]);
        let written = || target.ask(&format!("GET {TAG}counter:0")).parse::<u64>().unwrap_or_default();
        let there = written();
        wait_until(|| "no writes arrive".into(), || written() > there + 3);
        stop.store(true, Ordering::Relaxed);
        counting.join().expect("it has counted")
    });
    assert_eq!(shown(source, "state"), "success", "{}", shown(source, "message"));
    assert_eq!(look(target), before);
    for (number, value) in told {
        assert_eq!(target.ask(&format!("GET {TAG}counter:{number}")), value.to_string());
    }
    source.expect(&format!("GET {TAG}text"), &format!("-MOVED {} 127.0.0.1:{}", slot(), target.port));
    wait_until(|| source.ask("DBSIZE"), || source.ask("DBSIZE") == ":0");
    assert_eq!(target.ask("DBSIZE"), format!(":{}", 9 + 500 + COUNTERS));
    wait_until_up(&[source, target]);
}

/// A genuine node with atomic migration.
fn genuine_node() -> Option<Node> {
    Node::genuine(&genuine::valkey()?, &[])
}

#[test]
fn a_slot_moves_between_two_of_ours_under_load() {
    move_under_load(&Node::ours(&[]), &Node::ours(&["--appendonly", "yes"]));
}

#[test]
fn a_slot_moves_to_a_genuine_node_under_load() {
    let Some(target) = genuine_node() else { return };
    move_under_load(&Node::ours(&[]), &target);
}

#[test]
fn a_slot_moves_from_a_genuine_node_under_load() {
    let Some(source) = genuine_node() else { return };
    move_under_load(&source, &Node::ours(&[]));
}

fn expect_hidden(node: &Node) {
    for (request, reply) in [("DBSIZE", ":0"), ("KEYS *", "*0"), ("RANDOMKEY", "$-1"), ("KEYS {k2}1", "*0")] {
        node.expect(request, reply);
    }
    assert!(!node.ask("INFO keyspace").contains("db0"));
    assert!(node.ask(&format!("GET {TAG}1")).starts_with("-MOVED"));
    let mut client = node.connect();
    client.send("SCAN 0 COUNT 1000\r\n");
    assert_eq!([client.line(), client.line(), client.line(), client.line()], ["*2", "$1", "0", "*0"]);
}

#[test]
fn what_comes_is_hidden_until_all_has_come_on_replicas_too() {
    let nodes = [Node::ours(&[]), Node::ours(&[]), Node::ours(&[]), Node::ours(&[])];
    let [source, target, other, replica] = &nodes;
    make_cluster(&[target, source, other, replica], 3);
    // The slot is the target's to begin with.
    begin(target, source);
    wait_for_state(source, &["success"]);
    begin_slowly(source, target);
    expect_hidden(target);
    wait_until(|| shown(replica, "state"), || shown(replica, "state") == "occurring-on-primary");
    expect_hidden(replica);
    slow_down(source, 0);
    wait_for_state(target, &["success"]);
    target.expect("DBSIZE", ":200");
    wait_until(|| replica.ask("DBSIZE"), || replica.ask("DBSIZE") == ":200");
    wait_for_state(replica, &["success"]);
    wait_until(|| source.ask("DBSIZE"), || source.ask("DBSIZE") == ":0");
}

#[test]
fn a_replica_shows_what_has_come_though_finished_migrations_are_not_kept() {
    let forgetful = ["--cluster-slot-migration-log-max-len", "0"];
    let (source, target, replica) = (Node::ours(&[]), Node::ours(&forgetful), Node::ours(&[]));
    make_cluster(&[&target, &source, &replica], 2);
    begin(&target, &source);
    wait_for_state(&source, &["success"]);
    begin_slowly(&source, &target);
    slow_down(&source, 0);
    wait_for_state(&source, &["success"]);
    target.expect("CLUSTER GETSLOTMIGRATIONS", "*0");
    target.expect("DBSIZE", ":200");
    wait_until(|| replica.ask("DBSIZE"), || replica.ask("DBSIZE") == ":200");
}

#[test]
fn what_a_script_writes_while_its_slot_moves_is_not_lost() {
    let (source, target) = (Node::ours(&["--busy-reply-threshold", "10"]), Node::ours(&[]));
    make_cluster(&[&source, &target], 2);
    begin_slowly(&source, &target);
    // It runs longer than the keys take, and writes at its end.
    let script = "local t = redis.call('time') local s = t[1] + 4 repeat t = redis.call('time') until t[1] + 0 >= s \
                  return redis.call('set', KEYS[1], 'late')";
    let mut client = source.connect();
    client.send(format!("EVAL \"{script}\" 1 {TAG}script\r\n"));
    assert_eq!(client.line(), "+OK");
    wait_for_state(&source, &["success"]);
    target.expect(&format!("GET {TAG}script"), "late");
    target.expect("DBSIZE", ":201");
}

#[test]
fn a_migration_that_is_cancelled_leaves_all_where_it_was() {
    let nodes = [Node::ours(&[]), Node::ours(&["--appendonly", "yes"])];
    let [source, target] = &nodes;
    make_cluster(&[source, target], 2);
    source.expect("CLUSTER CANCELSLOTMIGRATIONS", "-ERR No migrations ongoing");
    begin_slowly(source, target);
    source.expect("CLUSTER CANCELSLOTMIGRATIONS", "+OK");
    assert_eq!(shown(source, "state"), "cancelled");
    wait_for_state(target, &["failed"]);
    target.expect(&format!("CLUSTER COUNTKEYSINSLOT {}", slot()), ":0");
    source.expect("DBSIZE", ":200");
    source.expect(&format!("STRLEN {TAG}1"), ":3001");
    // Emptying the target ends one as well, and so does emptying the slot there.
    for request in ["FLUSHALL".to_string(), format!("CLUSTER FLUSHSLOT {}", slot())] {
        begin_slowly(source, target);
        target.expect(&request, "+OK");
        wait_for_state(target, &["failed"]);
        assert_eq!(shown(target, "message"), "Data was flushed");
        wait_for_state(source, &["failed"]);
        source.expect("DBSIZE", ":200");
    }
}

#[test]
fn a_target_that_dies_has_nothing_when_it_comes_back() {
    let (source, target) = (Node::ours(&[]), Node::ours(&["--appendonly", "yes"]));
    make_cluster(&[&source, &target], 2);
    begin_slowly(&source, &target);
    let target = target.kill();
    wait_for_state(&source, &["failed"]);
    source.expect("DBSIZE", ":200");
    source.expect(&format!("SET {TAG}new 1"), "+OK");
    let target = target.restart();
    wait_until_up(&[&source, &target]);
    let count = format!("CLUSTER COUNTKEYSINSLOT {}", slot());
    wait_until(|| target.ask(&count), || target.ask(&count) == ":0");
    assert!(target.ask(&format!("GET {TAG}1")).starts_with("-MOVED"));
    assert!(!target.line_at(&target).contains("-<-"), "no slot is marked as open");
    slow_down(&source, 0);
    begin(&source, &target);
    wait_for_state(&target, &["success"]);
    target.expect("DBSIZE", ":201");
}

#[test]
fn a_source_that_dies_has_everything_when_it_comes_back() {
    let (source, target) = (Node::ours(&["--appendonly", "yes", "--appendfsync", "always"]), Node::ours(&[]));
    make_cluster(&[&source, &target], 2);
    begin_slowly(&source, &target);
    let source = source.kill();
    wait_for_state(&target, &["failed"]);
    target.expect(&format!("CLUSTER COUNTKEYSINSLOT {}", slot()), ":0");
    let source = source.restart();
    wait_until_up(&[&source, &target]);
    source.expect("DBSIZE", ":200");
    source.expect(&format!("STRLEN {TAG}1"), ":3001");
}

/// Requests and replies as Valkey 9.1 has them.
#[test]
fn commands_are_checked_as_by_a_genuine_node() {
    let others = [Some(Node::ours(&[])), genuine_node()];
    for other in others.iter().flatten() {
        let ours = Node::ours(&[]);
        make_cluster(&[other, &ours], 2);
        let (me, peer) = (other.id(), ours.id());
        let unknown = "a".repeat(40);
        for (request, reply) in [
            ("MIGRATESLOTS SLOTSRANGE 1 NODE x".to_string(), "-ERR Invalid or out of range slot"),
            (
                "MIGRATESLOTS SLOTSRANGE".to_string(),
                "-ERR wrong number of arguments for 'cluster|migrateslots' command",
            ),
            ("MIGRATESLOTS SLOTSRANGE 1".to_string(), "-ERR No end slot for final slot range"),
            ("MIGRATESLOTS FOO 1 2".to_string(), "-ERR syntax error"),
            ("MIGRATESLOTS SLOTSRANGE NODE x".to_string(), "-ERR No slot ranges specified"),
            ("MIGRATESLOTS SLOTSRANGE 1 2 3".to_string(), "-ERR No end slot for final slot range"),
            (format!("MIGRATESLOTS SLOTSRANGE 1 99999 NODE {peer}"), "-ERR Invalid or out of range slot"),
            (
                format!("MIGRATESLOTS SLOTSRANGE 5 1 NODE {peer}"),
                "-ERR Start slot number 5 is greater than end slot number 1.",
            ),
            (format!("MIGRATESLOTS SLOTSRANGE 1 9000 NODE {peer}"), "-ERR Requested slots span multiple shards"),
            (format!("MIGRATESLOTS SLOTSRANGE 9000 9000 NODE {peer}"), "-ERR Slots are not served by this node."),
            (
                format!("MIGRATESLOTS SLOTSRANGE 1 2 2 3 NODE {peer}"),
                "-ERR Slot range 2-3 overlaps with previous range 1-2.",
            ),
            ("MIGRATESLOTS SLOTSRANGE 1 2 NODE short".to_string(), "-ERR Invalid node name: short"),
            (
                format!("MIGRATESLOTS SLOTSRANGE 1 2 NODE {unknown}"),
                "-ERR Unknown node name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
            (format!("MIGRATESLOTS SLOTSRANGE 1 2 NODE {me}"), "-ERR Target node can not be this node."),
            (
                format!("MIGRATESLOTS SLOTSRANGE 1 2 NODE {peer} SLOTSRANGE 2 3 NODE {peer}"),
                "-ERR Slot ranges in migrations overlap",
            ),
            ("MIGRATESLOTS SLOTSRANGE 1 2 NODE".to_string(), "-ERR syntax error"),
            (format!("MIGRATESLOTS SLOTSRANGE 1 2 NODE {peer} more"), "-ERR syntax error"),
            ("CANCELSLOTMIGRATIONS".to_string(), "-ERR No migrations ongoing"),
            ("GETSLOTMIGRATIONS".to_string(), "*0"),
            ("SYNCSLOTS FOO".to_string(), "-ERR syntax error"),
            ("SYNCSLOTS ACK".to_string(), "-ERR CLUSTER SYNCSLOTS ACK should only be used by slot migration clients"),
            ("SYNCSLOTS ESTABLISH".to_string(), "-ERR syntax error"),
            (
                format!("SYNCSLOTS ESTABLISH SOURCE {me} NAME {me} SLOTSRANGE 1 2"),
                "-ERR Source node is target node itself",
            ),
            (
                format!("SYNCSLOTS ESTABLISH SOURCE {unknown} NAME {me} SLOTSRANGE 1 2"),
                "-ERR Target node does not know the source node",
            ),
            (
                format!("SYNCSLOTS ESTABLISH SOURCE {peer} NAME {me} SLOTSRANGE 1 2"),
                "-ERR Target node does not agree about current slot ownership",
            ),
            ("SYNCSLOTS FINISH".to_string(), "-ERR syntax error"),
            (format!("SYNCSLOTS FINISH STATE success NAME {me}"), "-ERR No such slot migration job"),
        ] {
            other.expect(&format!("CLUSTER {request}"), reply);
        }
    }
}

#[test]
fn a_source_may_send_nothing_but_what_is_about_its_slots() {
    let nodes = [Node::ours(&[]), Node::ours(&[])];
    let [target, peer] = &nodes;
    make_cluster(&[target, peer], 2);
    target.expect("SET {k2}own 1", "+OK");
    for request in ["SET {k2}own 2", "FLUSHALL", "CONFIG SET maxmemory 1", "GET {06S}x", "CLUSTER SYNCSLOTS PAUSED"] {
        let mut client = target.connect();
        let name = "0123456789".repeat(4);
        let slot = 16_000;
        let establish =
            format!("CLUSTER SYNCSLOTS ESTABLISH SOURCE {} NAME {name} SLOTSRANGE {slot} {slot}", peer.id());
        client.ask(&establish, "+OK\r\n");
        client.send(format!("CLUSTER SYNCSLOTS ACK\r\n{request}\r\n"));
        // The connection ends, and but for the signs of life nothing is replied.
        let mut replied = String::new();
        std::io::Read::read_to_string(&mut client.stream, &mut replied).expect("the end");
        assert_eq!(replied.replace("*3\r\n$7\r\nCLUSTER\r\n$9\r\nSYNCSLOTS\r\n$3\r\nACK\r\n", ""), "");
        wait_for_state(target, &["failed"]);
    }
    target.expect("GET {k2}own", "1");
    target.expect("DBSIZE", ":1");
}
