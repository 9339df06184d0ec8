//! A replica in a cluster: it answers the reads of clients that accept that (READONLY).

use super::MOVED;
use crate::support::cluster::{Part, harness};

#[test]
fn a_replica_answers_reads_after_readonly() {
    let mut server = harness(Part::Replica);
    server.expect("get a", MOVED);
    server.expect("readonly", "+OK\r\n");
    server.expect("get a", "$-1\r\n");
    server.expect("set a 1", MOVED);
    server.expect("get b", "-MOVED 3300 10.0.0.3:7003\r\n");
    server.expect("multi", "+OK\r\n");
    server.expect("get a", "+QUEUED\r\n");
    server.expect("exec", "*1\r\n$-1\r\n");
    server.run("multi");
    server.run("get a");
    server.expect("set a 1", MOVED);
    server.run("discard");
    server.expect("readwrite", "+OK\r\n");
    server.expect("get a", MOVED);
}

#[test]
fn the_list_of_clients_shows_who_reads_from_a_replica() {
    let mut server = harness(Part::Half);
    server.run("readonly");
    assert!(server.run("client info").contains(" flags=r "));
    server.run("readwrite");
    assert!(server.run("client info").contains(" flags=N "));
    server.run("readonly");
    server.run("reset");
    assert!(server.run("client info").contains(" flags=N "));
}

#[test]
fn a_replica_serves_sharded_channels_of_its_primary() {
    let mut server = harness(Part::Replica);
    server.expect("spublish a m", ":0\r\n");
    server.expect("spublish b m", "-MOVED 3300 10.0.0.3:7003\r\n");
    server.run("multi");
    server.expect("spublish a m", "+QUEUED\r\n");
    server.expect("publish a m", "+QUEUED\r\n");
    server.expect("exec", "*2\r\n:0\r\n:0\r\n");
    server.run("multi");
    server.expect("spublish a m", "+QUEUED\r\n");
    server.expect("get a", MOVED);
    server.expect("exec", super::ABORTED);
    server.expect("sunsubscribe a", "*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n");
    assert!(server.run("ssubscribe a").ends_with(":1\r\n"));
}

#[test]
fn what_a_script_says_of_itself_decides_whether_a_replica_runs_it() {
    let mut server = harness(Part::Replica);
    server.run("readonly");
    let mut eval = |script: &[u8]| server.run_args(&[b"eval", script, b"1", b"a"]);
    assert_eq!(eval(b"return redis.call('get', KEYS[1])"), "$-1\r\n");
    assert_eq!(eval(b"#!lua flags=no-writes\nreturn redis.call('get', KEYS[1])"), "$-1\r\n");
    assert_eq!(eval(b"#!lua\nreturn redis.call('get', KEYS[1])"), MOVED);
}
