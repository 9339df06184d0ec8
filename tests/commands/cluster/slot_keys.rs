//! CLUSTER FLUSHSLOT: the keys of one slot, in all databases, and what replicas are sent of their deletion. Replies are
//! those of Valkey 9.1.

use oneloop::cluster::key_slot;
use oneloop::config::Config;

use crate::support::Harness;
use crate::support::cluster::{Part, harness, harness_with};

const OUT_OF_RANGE: &str = "-ERR Invalid or out of range slot\r\n";

#[test]
fn the_keys_of_one_slot_are_deleted_in_all_databases() {
    let slot = key_slot(b"b");
    for (option, name) in [("", "DEL"), (" SYNC", "DEL"), (" async", "UNLINK")] {
        let mut server = harness_with(Part::Half, Config { cluster_databases: 2, ..Config::default() });
        server.propagate();
        for number in 0..100 {
            server.run(&format!("set {{b}}{number} 1"));
        }
        server.run("set c 1");
        server.run("select 1");
        server.run("set b 1");
        server.run("select 0");
        let _ = server.take_propagated();
        server.expect(&format!("cluster flushslot {slot}{option}"), "+OK\r\n");
        assert_eq!(server.run("dbsize"), ":1\r\n");
        server.expect("get c", "$1\r\n1\r\n");
        let sent = String::from_utf8_lossy(&server.take_propagated()).into_owned();
        assert_eq!(sent.matches(&format!("\r\n{name}\r\n")).count(), 101, "{sent}");
        assert!(!sent.to_lowercase().contains("flushslot"), "{sent}");
        server.run("select 1");
        assert_eq!(server.run("dbsize"), ":0\r\n");
        // Nothing is left to delete.
        server.expect(&format!("cluster flushslot {slot}"), "+OK\r\n");
        assert!(server.take_propagated().is_empty());
    }
}

#[test]
fn each_key_is_an_event_and_concerns_its_watchers() {
    let mut server = harness(Part::Half);
    server.run("config set notify-keyspace-events KEA");
    server.run("set b 1");
    let (watcher, listener) = (server.connect(), server.connect());
    server.run_as(watcher, &[b"watch", b"b"]);
    server.run_as(watcher, &[b"multi"]);
    server.run_as(listener, &[b"psubscribe", b"__keyevent*"]);
    server.expect(&format!("cluster flushslot {}", key_slot(b"b")), "+OK\r\n");
    let told = String::from_utf8_lossy(&server.pushed(listener)).into_owned();
    assert!(told.ends_with("__keyevent@0__:del\r\n$1\r\nb\r\n"), "{told}");
    assert_eq!(server.run_as(watcher, &[b"exec"]), b"*-1\r\n");
}

#[test]
fn slots_and_options_are_checked() {
    let mut server = harness(Part::Half);
    for (request, reply) in [
        ("", "-ERR wrong number of arguments for 'cluster|flushslot' command\r\n"),
        (" x", OUT_OF_RANGE),
        (" -1", OUT_OF_RANGE),
        (" 16384", OUT_OF_RANGE),
        (" 0 foo", "-ERR syntax error\r\n"),
        (" 0 async x", "-ERR unknown subcommand or wrong number of arguments for 'flushslot'. Try CLUSTER HELP.\r\n"),
        // A slot of another node has no keys here.
        (" 16000", "+OK\r\n"),
    ] {
        server.expect(&format!("cluster flushslot{request}"), reply);
    }
    let mut replica = harness(Part::Replica);
    replica.run("replicaof 127.0.0.1 1");
    let mut alone = Harness::new();
    alone.expect("cluster flushslot 0", "-ERR This instance has cluster support disabled\r\n");
}
