//! Transactions in a cluster: a redirection spoils one, and all keys of one are in one slot.

use oneloop::cluster::member::SlotChange;

use super::{ABORTED, CROSS_SLOT, MOVED, TRY_AGAIN, info};
use crate::support::cluster::{Part, change_slot, harness};

#[test]
fn a_redirection_spoils_the_transaction() {
    let mut server = harness(Part::Half);
    for spoiler in ["get a", "mget a b"] {
        server.run("multi");
        server.expect("set b 1", "+QUEUED\r\n");
        assert!(server.run(spoiler).starts_with("-"));
        server.expect("get b", "+QUEUED\r\n");
        server.expect("exec", ABORTED);
    }
    server.expect("exists b", ":0\r\n");
    server.expect("watch a", MOVED);
    server.expect("watch b c", CROSS_SLOT);
}

#[test]
fn all_keys_of_a_transaction_are_in_one_slot() {
    let mut server = harness(Part::All);
    server.run("multi");
    server.expect("get b", "+QUEUED\r\n");
    server.expect("ping", "+QUEUED\r\n");
    server.expect("get c", "+QUEUED\r\n");
    server.expect("exec", CROSS_SLOT);
    // It is over.
    server.expect("exec", "-ERR EXEC without MULTI\r\n");
    let exec = info(&mut server, "commandstats", "cmdstat_exec:");
    assert!(exec.contains("calls=1,") && exec.ends_with("rejected_calls=1,failed_calls=1"), "{exec}");
    server.run("multi");
    server.run("set {b}1 1");
    server.run("get {b}2");
    server.expect("exec", "*2\r\n+OK\r\n$-1\r\n");
    server.run("multi");
    server.expect("exec", "*0\r\n");
}

#[test]
fn a_slot_that_has_left_meanwhile_takes_the_transaction_with_it() {
    let mut server = harness(Part::Half);
    server.run("multi");
    server.run("set b 1");
    change_slot(&mut server, "b", |other| SlotChange::Node(other));
    server.expect("exec", "-MOVED 3300 10.0.0.2:7002\r\n");
    server.expect("get c", "$-1\r\n");
}

#[test]
fn keys_of_a_transaction_count_together_while_their_slot_moves() {
    let mut server = harness(Part::Half);
    server.run("set {b}1 1");
    change_slot(&mut server, "b", |other| SlotChange::Migrating(other));
    server.run("multi");
    server.expect("get {b}1", "+QUEUED\r\n");
    server.expect("get {b}2", "-ASK 3300 10.0.0.2:7002\r\n");
    server.expect("exec", ABORTED);
    // Channels are not missed.
    server.run("multi");
    server.run("spublish b m");
    server.run("get {b}1");
    server.expect("exec", "*2\r\n:0\r\n$1\r\n1\r\n");
    let mut server = harness(Part::Half);
    server.run("mset {b}1 1 {b}2 2");
    server.run("multi");
    server.run("get {b}1");
    server.run("get {b}2");
    let other = server.connect();
    super::say(&mut server, other, "del {b}2");
    change_slot(&mut server, "b", |other| SlotChange::Migrating(other));
    server.expect("exec", TRY_AGAIN);
}
