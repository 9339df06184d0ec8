//! Clients that wait for keys whose slot leaves, or in a cluster that goes down.

use oneloop::cluster::member::SlotChange;
use oneloop::engine::cluster_events::settle_clients;
use oneloop::engine::session::Token;

use super::{DOWN, NOT_SERVED, pushed, say};
use crate::support::Harness;
use crate::support::cluster::{Part, change_slot, delete_slot, harness};

const MOVED: &str = "-MOVED 3300 10.0.0.2:7002\r\n";

#[track_caller]
fn waiter(server: &mut Harness, words: &str) -> Token {
    let client = server.connect();
    assert_eq!(say(server, client, words), "", "{words}");
    assert!(is_waiting(server, client), "{words}");
    client
}

fn is_waiting(server: &Harness, client: Token) -> bool {
    server.state.clients.get(client).expect("a client").blocked.is_some()
}

#[test]
fn who_waits_for_keys_that_have_left_is_sent_after_them() {
    let mut server = harness(Part::Half);
    let requests = ["blpop b 0", "blmove b {b}2 left right 10", "bzpopmin b {b}2 0", "xread block 0 streams b $"];
    let waiters: Vec<Token> = requests.iter().map(|request| waiter(&mut server, request)).collect();
    server.run("xgroup create {b}s g $ mkstream");
    let reader = waiter(&mut server, "xreadgroup group g c block 0 streams {b}s >");
    let stays = waiter(&mut server, "blpop c 0");
    settle_clients(&mut server.state);
    change_slot(&mut server, "b", |other| SlotChange::Migrating(other));
    settle_clients(&mut server.state);
    for client in &waiters {
        assert_eq!(pushed(&mut server, *client), "", "as long as the slot is here");
    }
    change_slot(&mut server, "b", |other| SlotChange::Node(other));
    settle_clients(&mut server.state);
    for client in waiters.into_iter().chain([reader]) {
        assert_eq!(pushed(&mut server, client), MOVED);
        assert!(!is_waiting(&server, client));
    }
    assert!(is_waiting(&server, stays));
    server.run("rpush c 1");
    assert_eq!(pushed(&mut server, stays), "*2\r\n$1\r\nc\r\n$1\r\n1\r\n");
    assert_eq!(super::info(&mut server, "errorstats", "errorstat_MOVED"), "errorstat_MOVED:count=5");
}

#[test]
fn nobody_waits_in_a_cluster_that_is_down() {
    let mut server = harness(Part::Half);
    let (unserved, served) = (waiter(&mut server, "blpop b 0"), waiter(&mut server, "blpop c 0"));
    server.run("config set cluster-allow-reads-when-down yes");
    delete_slot(&mut server, "b");
    settle_clients(&mut server.state);
    assert_eq!(pushed(&mut server, unserved), DOWN);
    assert_eq!(pushed(&mut server, served), DOWN);
    assert_eq!(say(&mut server, served, "blpop b 0"), NOT_SERVED);
}

#[test]
fn who_waits_for_a_key_that_is_deleted_with_its_slot_is_sent_after_it() {
    let mut server = harness(Part::Half);
    server.run("xgroup create b g $ mkstream");
    let reader = waiter(&mut server, "xreadgroup group g c block 0 streams b >");
    change_slot(&mut server, "b", |other| SlotChange::Node(other));
    // The node deletes the keys of the slot.
    server.state.keyspace.remove(0, b"b");
    oneloop::engine::wake::changes(&mut server.state);
    assert_eq!(pushed(&mut server, reader), MOVED);
}

#[test]
fn who_has_asked_waits_at_the_node_that_takes_the_slot() {
    let mut server = harness(Part::Half);
    change_slot(&mut server, "a", |other| SlotChange::Importing(other));
    let client = server.connect();
    say(&mut server, client, "asking");
    assert_eq!(say(&mut server, client, "blpop a 0"), "");
    settle_clients(&mut server.state);
    assert!(is_waiting(&server, client));
    server.run("asking");
    server.expect("rpush a 1", ":1\r\n");
    assert_eq!(pushed(&mut server, client), "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    assert_eq!(say(&mut server, client, "blpop a 0"), super::MOVED);
}

#[test]
fn a_replica_lets_readers_wait() {
    let mut server = harness(Part::Replica);
    let reader = server.connect();
    say(&mut server, reader, "readonly");
    assert_eq!(say(&mut server, reader, "xread block 0 streams a $"), "");
    settle_clients(&mut server.state);
    assert!(is_waiting(&server, reader));
}
