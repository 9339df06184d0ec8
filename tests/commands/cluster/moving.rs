//! Slots on their way from one node to another: ASK, TRYAGAIN, ASKING, and the commands that move keys.

use oneloop::cluster::member::SlotChange;
use oneloop::cluster::migration::{ExportJob, JobName, Settings, SlotRanges, State};
use oneloop::cluster::node::Now;
use oneloop::engine::slot_migrations::{Export, Migration};

use super::{MOVED, TRY_AGAIN, say};
use crate::support::Harness;
use crate::support::cluster::{Part, change_slot, harness};
use crate::support::exercise::payload;

/// The reply of the node that gives the slot of `b` away about keys that have left.
const ASK: &str = "-ASK 3300 10.0.0.2:7002\r\n";

/// A node that gives away the slot of `b`, with one of its keys still there.
fn giving() -> Harness {
    let mut server = harness(Part::Half);
    server.run("set {b}1 here");
    change_slot(&mut server, "b", |other| SlotChange::Migrating(other));
    server
}

/// A node that gets the slot of `a`.
fn taking() -> Harness {
    let mut server = harness(Part::Half);
    change_slot(&mut server, "a", |other| SlotChange::Importing(other));
    server
}

#[test]
fn the_node_that_gives_serves_the_keys_that_it_has() {
    let mut server = giving();
    server.expect("get {b}1", "$4\r\nhere\r\n");
    server.expect("get {b}2", ASK);
    server.expect("set {b}2 new", ASK);
    server.expect("mget {b}1 {b}1", "*2\r\n$4\r\nhere\r\n$4\r\nhere\r\n");
    server.expect("mget {b}1 {b}2", TRY_AGAIN);
    server.expect("mget {b}2 {b}3", ASK);
    // All other slots are as they were.
    server.expect("set bb 1", "-MOVED 8620 10.0.0.2:7002\r\n");
    server.expect("set c 1", "+OK\r\n");
    server.expect("get a", MOVED);
}

#[test]
fn a_key_whose_time_is_over_is_missing_but_stays_as_it_is() {
    let mut server = giving();
    server.run("pexpire {b}1 10");
    server.advance_ms(20);
    let hits = server.state.keyspace.stats.misses;
    server.expect("get {b}1", ASK);
    assert_eq!(server.state.keyspace.stats.misses, hits);
    server.expect("dbsize", ":1\r\n");
}

#[test]
fn migrate_runs_wherever_a_slot_is_open() {
    let mut server = giving();
    server.expect("migrate 127.0.0.1 1 {b}2 0 10", "+NOKEY\r\n");
    server.run_args(&[b"migrate", b"127.0.0.1", b"1", b"", b"0", b"10", b"keys", b"{b}2", b"{b}3"]);
    server.expect("migrate 127.0.0.1 1 a 0 10", MOVED);
    let mut server = taking();
    server.expect("migrate 127.0.0.1 1 a 0 10", "+NOKEY\r\n");
}

#[test]
fn the_node_that_takes_serves_those_who_ask() {
    let mut server = taking();
    server.expect("get a", MOVED);
    server.expect("asking", "+OK\r\n");
    server.expect("set a 1", "+OK\r\n");
    server.expect("get a", MOVED);
    server.run("asking");
    server.expect("mget a {a}2", TRY_AGAIN);
    server.run("asking");
    server.expect("mget a a", "*2\r\n$1\r\n1\r\n$1\r\n1\r\n");
    // A slot that does not move is not opened by it.
    server.run("asking");
    server.expect("get {d}", "-MOVED 11298 10.0.0.2:7002\r\n");
}

#[test]
fn restore_asking_needs_no_asking() {
    let mut server = taking();
    let payload = payload(b"\0\x03foo", 10);
    let reply = server.run_args(&[b"restore", b"a", b"0", &payload]);
    assert_eq!(reply, MOVED);
    let reply = server.run_args(&[b"restore-asking", b"a", b"0", &payload]);
    assert_eq!(reply, "+OK\r\n");
}

#[test]
fn asking_holds_for_the_next_request_whatever_becomes_of_that() {
    let mut server = taking();
    for next in ["ping", "foo", "get", "get x", "mget a b", "asking"] {
        server.run("asking");
        server.run(next);
        let expected = if next == "asking" { "$-1\r\n" } else { MOVED };
        server.expect("get a", expected);
    }
    server.run("asking");
    server.run("reset");
    server.expect("get a", MOVED);
}

#[test]
fn a_transaction_that_begins_after_asking_keeps_it() {
    let mut server = taking();
    for words in ["asking", "multi"] {
        server.expect(words, "+OK\r\n");
    }
    server.expect("set a 1", "+QUEUED\r\n");
    server.expect("get a", "+QUEUED\r\n");
    server.expect("exec", "*2\r\n+OK\r\n$1\r\n1\r\n");
    server.expect("get a", MOVED);
    // Within a transaction ASKING is queued, so it comes too late.
    server.run("multi");
    server.expect("asking", "+QUEUED\r\n");
    server.expect("get a", MOVED);
    server.run("discard");
    server.run("multi");
    server.run("asking");
    server.expect("exec", "*1\r\n+OK\r\n");
    server.expect("get a", MOVED);
}

#[test]
fn a_request_that_was_put_off_has_asked() {
    let mut server = taking();
    let client = server.connect();
    say(&mut server, client, "asking");
    server.run("client pause 1000 all");
    assert_eq!(say(&mut server, client, "set a 1"), "");
    server.advance_ms(2000);
    assert_eq!(say(&mut server, client, "set a 1"), "+OK\r\n");
    assert_eq!(say(&mut server, client, "set a 1"), MOVED);
}

/// Adds a migration of a slot to the other node that is in this state.
fn give_away(server: &mut Harness, slot: u16, state: State) {
    let cluster = server.state.cluster.as_mut().expect("a cluster");
    let table = cluster.member.table();
    let other = table.iter().find(|(key, _)| *key != table.my_key()).expect("another node").1.id;
    let mut ranges = SlotRanges::default();
    ranges.add(slot, slot).expect("a range");
    let settings = Settings { timeout_ms: 1000, max_failover_bytes: None, pause_ms: 1000 };
    let name = JobName::random(&mut fastrand::Rng::with_seed(u64::from(slot)));
    let nodes = (table.myself().id, other);
    let mut machine = ExportJob::new(name, ranges, nodes, settings, Now { steady_ms: 1, wall_ms: 1 });
    machine.take_actions();
    machine.job.state = state;
    let export = Export { machine, connection: None, snapshot: None, changes: None };
    cluster.slot_migrations.add(Migration::Export(Box::new(export)));
}

#[test]
fn a_migration_whose_target_may_own_the_slots_is_not_said_to_be_cancelled() {
    let mut server = harness(Part::Half);
    server.expect("cluster cancelslotmigrations", "-ERR No migrations ongoing\r\n");
    give_away(&mut server, 1, State::Streaming);
    server.expect("cluster cancelslotmigrations", "+OK\r\n");
    give_away(&mut server, 2, State::Streaming);
    give_away(&mut server, 3, State::FailoverGranted);
    let late = "-ERR Too late to cancel 1 of 2 migrations: the target may own the slots already\r\n";
    server.expect("cluster cancelslotmigrations", late);
}
