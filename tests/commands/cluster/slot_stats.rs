//! CLUSTER SLOT-STATS: what requests about each slot cost. The numbers are those of genuine nodes, but for what these
//! count twice: replies within EXEC and scripts.

use oneloop::cluster::key_slot;
use oneloop::cluster::member::SlotChange;
use oneloop::config::{Config, ProtectedAction};
use oneloop::engine::cluster_events::deliver;
use oneloop::keyspace::Target;
use oneloop::replication::replicas::Announced;

use super::say;
use crate::support::Harness;
use crate::support::cluster::{Part, change_slot, harness, harness_with};

/// Of these tests; the node has it, and so those of `other`.
const KEY: &str = "c";
const SCRIPT: &str = "#!lua\nredis.call('set', 'c', 'x') return redis.call('get', 'c')";
/// Without the first line its keys may be of any slot.
const LOOSE_SCRIPT: &str = "return redis.call('get', 'c')";

fn counting(part: Part) -> Harness {
    harness_with(part, Config { cluster_slot_stats_enabled: true, ..Config::default() })
}

/// The bytes of requests and of replies that a slot was counted with since the last time.
fn taken(server: &mut Harness, key: &str) -> (i64, i64) {
    let slot = key_slot(key.as_bytes());
    let row = server.run(&format!("cluster slot-stats slotsrange {slot} {slot}"));
    server.expect("config resetstat", "+OK\r\n");
    let integers: Vec<i64> = row.split("\r\n").filter_map(|line| line.strip_prefix(':')?.parse().ok()).collect();
    match integers.as_slice() {
        [_, _, _, bytes_in, bytes_out] => (*bytes_in, *bytes_out),
        _ => panic!("{row}"),
    }
}

#[test]
fn without_the_directive_there_is_the_number_of_keys_alone() {
    let mut server = harness(Part::All);
    server.run("set c value");
    let slot = key_slot(b"c");
    let alone = format!("*1\r\n*2\r\n:{slot}\r\n*2\r\n$9\r\nkey-count\r\n:1\r\n");
    server.expect(&format!("cluster slot-stats slotsrange {slot} {slot}"), &alone);
    server.expect("cluster slot-stats orderby key-count limit 1", &alone);
    for metric in ["cpu-usec", "network-bytes-in", "network-bytes-out", "memory-bytes"] {
        let refused = "-ERR Unrecognized sort metric for ORDERBY.\r\n";
        server.expect(&format!("cluster slot-stats orderby {metric}"), refused);
    }
    server.expect("config set cluster-slot-stats-enabled yes", "+OK\r\n");
    assert_eq!(taken(&mut server, KEY), (0, 0));
    server.expect("cluster slot-stats orderby memory-bytes", "-ERR Unrecognized sort metric for ORDERBY.\r\n");
}

#[test]
fn requests_count_with_all_that_they_run() {
    let mut server = counting(Part::All);
    let requests: &[(&[&str], (i64, i64))] = &[
        (&["set", "c", "value"], (31, 5)),
        (&["get", "c"], (20, 11)),
        (&["mget", "c", "c"], (28, 26)),
        (&["lpush", "c", "1"], (29, 68)),
        (&["get", "c", "c"], (0, 0)),
        (&["ping"], (0, 0)),
        (&["eval", SCRIPT, "1", "c"], (98, 7)),
        (&["eval", SCRIPT, "0"], (91, 7)),
        (&["eval", LOOSE_SCRIPT, "1", "c"], (0, 0)),
        (&["eval", "return 1", "1", "c"], (42, 4)),
        (&["ssubscribe", "c"], (28, 32)),
        (&["sunsubscribe", "c"], (30, 34)),
        (&["del", "c"], (20, 4)),
    ];
    let client = server.connect();
    for (request, expected) in requests {
        let args: Vec<&[u8]> = request.iter().map(|word| word.as_bytes()).collect();
        server.run_as(client, &args);
        assert_eq!(taken(&mut server, KEY), *expected, "{request:?}");
    }
}

#[test]
fn a_transaction_counts_with_all_its_requests() {
    let mut server = counting(Part::All);
    for request in ["multi", "set c value", "get c", "exec"] {
        server.run(request);
    }
    assert_eq!(taken(&mut server, KEY), (15 + 31 + 20 + 14, 4 + 5 + 11));
    for request in ["multi", "set c value", "discard"] {
        server.run(request);
    }
    assert_eq!(taken(&mut server, KEY), (31, 0));
    server.run("multi");
    server.run_args(&[b"eval", SCRIPT.as_bytes(), b"0"]);
    server.run("exec");
    assert_eq!(taken(&mut server, KEY), (15 + 14, 4 + 7));
}

#[test]
fn a_request_that_waits_counts_once_it_is_over() {
    let mut server = counting(Part::All);
    let waiter = server.connect();
    assert_eq!(say(&mut server, waiter, "blpop c 0"), "");
    assert_eq!(taken(&mut server, KEY), (0, 0));
    server.run("lpush c value");
    assert_eq!(taken(&mut server, KEY), (29 + 33, 22 + 4));
    say(&mut server, waiter, "blpop c 1");
    server.advance_ms(1500);
    oneloop::engine::wake::run_timeouts(&mut server.state);
    assert_eq!(taken(&mut server, KEY), (29, 5));
}

#[test]
fn replies_that_are_not_sent_do_not_count() {
    let mut server = counting(Part::All);
    server.run("set c value");
    taken(&mut server, KEY);
    let client = server.connect();
    for (mode, expected) in [("skip", (20, 0)), ("off", (20, 0)), ("on", (20, 11))] {
        say(&mut server, client, &format!("client reply {mode}"));
        say(&mut server, client, "get c");
        assert_eq!(taken(&mut server, KEY), expected, "{mode}");
    }
}

#[test]
fn messages_and_the_stream_count_for_each_that_gets_them() {
    let mut server = counting(Part::All);
    for _ in 0..2 {
        let subscriber = server.connect();
        say(&mut server, subscriber, "ssubscribe c");
    }
    taken(&mut server, KEY);
    server.run("spublish c hello");
    assert_eq!(taken(&mut server, KEY), (36, 4 + 2 * 36));
    deliver(&mut server.state, b"c", b"hello".to_vec(), true);
    assert_eq!(taken(&mut server, KEY), (0, 2 * 36));
    server.propagate_to(Target::Replicas);
    for _ in 0..3 {
        let replica = server.connect();
        let primary = &mut server.state.replication.primary;
        primary.replicas.add_online(replica, Announced::default(), None, 0);
    }
    // SELECT, which is sent before the first command, belongs to no slot.
    server.run("set c value");
    assert_eq!(taken(&mut server, KEY), (31, 5 + 3 * 31));
    server.run("get c");
    assert_eq!(taken(&mut server, KEY), (20, 11));
    for request in ["multi", "set c 1", "set c 2", "exec"] {
        server.run(request);
    }
    let stream = 15 + 27 + 27 + 14;
    assert_eq!(taken(&mut server, KEY), (stream, 4 + 5 + 5 + 3 * stream));
}

#[test]
fn sums_belong_to_a_slot_as_long_as_the_shard_has_it() {
    let mut server = counting(Part::Half);
    server.run("set b value");
    server.run("set c value");
    // About a slot of the other node.
    server.run("get a");
    change_slot(&mut server, "b", |other| SlotChange::Node(other));
    let (lost, stays) = (key_slot(b"b"), key_slot(b"c"));
    server.expect(&format!("cluster slot-stats slotsrange {lost} {lost}"), "*0\r\n");
    let me = server.state.cluster.as_ref().expect("a node").member.table().myself().id.to_string();
    server.run("flushall");
    server.run(&format!("cluster setslot {lost} node {me}"));
    let row = server.run(&format!("cluster slot-stats slotsrange {lost} {lost}"));
    assert!(row.ends_with("$16\r\nnetwork-bytes-in\r\n:0\r\n$17\r\nnetwork-bytes-out\r\n:0\r\n"), "{row}");
    let row = server.run(&format!("cluster slot-stats slotsrange {stays} {stays}"));
    assert!(row.ends_with(":31\r\n$17\r\nnetwork-bytes-out\r\n:5\r\n"), "{row}");
    server.run("config set cluster-slot-stats-enabled no");
    server.run("get c");
    server.run("config set cluster-slot-stats-enabled yes");
    assert_eq!(taken(&mut server, KEY), (31, 5));
}

#[test]
fn slots_are_sorted_by_each_figure() {
    let mut server = counting(Part::All);
    server.run("set b value");
    server.run("set c value");
    server.run("get c");
    let first = |reply: String| reply.split("\r\n").nth(2).map(str::to_string).unwrap_or_default();
    for metric in ["NETWORK-BYTES-IN", "network-bytes-out"] {
        let reply = server.run(&format!("cluster slot-stats orderby {metric} limit 1"));
        assert_eq!(first(reply), format!(":{}", key_slot(b"c")), "{metric}");
        let reply = server.run(&format!("cluster slot-stats orderby {metric} asc limit 1"));
        assert_eq!(first(reply), ":0", "{metric}");
    }
}

#[test]
fn time_is_counted_for_the_outermost_request() {
    let config =
        Config { enable_debug_command: ProtectedAction::Yes, cluster_slot_stats_enabled: true, ..Config::default() };
    let mut server = harness_with(Part::All, config);
    for request in ["multi", "set c value", "debug sleep 0.02", "get c", "exec"] {
        server.run(request);
    }
    let slot = key_slot(b"c");
    let row = server.run(&format!("cluster slot-stats slotsrange {slot} {slot}"));
    assert!(row.contains("$8\r\ncpu-usec\r\n:20000\r\n"), "{row}");
}
