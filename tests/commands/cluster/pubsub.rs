//! Messages in a cluster: to the bus and from it, and sharded channels that leave with their slot.

use oneloop::cluster::member::SlotChange;
use oneloop::engine::cluster::Published;
use oneloop::engine::cluster_events::{deliver, settle_clients};
use oneloop::keyspace::Target;

use super::{CROSS_SLOT, MOVED, pushed, say};
use crate::support::Harness;
use crate::support::cluster::{Part, change_slot, delete_slot, harness};

fn confirmation(kind: &str, channel: &str, count: usize) -> String {
    format!("*3\r\n${}\r\n{kind}\r\n${}\r\n{channel}\r\n:{count}\r\n", kind.len(), channel.len())
}

#[test]
fn sharded_channels_are_where_their_slot_is() {
    let mut server = harness(Part::Half);
    server.expect("spublish a m", MOVED);
    server.expect("ssubscribe a", MOVED);
    server.expect("sunsubscribe a", MOVED);
    server.expect("ssubscribe b c", CROSS_SLOT);
    server.expect("subscribe a b", &(confirmation("subscribe", "a", 1) + &confirmation("subscribe", "b", 2)));
    server.expect("unsubscribe", &(confirmation("unsubscribe", "a", 1) + &confirmation("unsubscribe", "b", 0)));
    let both = confirmation("ssubscribe", "b", 1) + &confirmation("ssubscribe", "{b}2", 2);
    server.expect("ssubscribe b {b}2", &both);
    // Without names there is no slot.
    let both = confirmation("sunsubscribe", "b", 1) + &confirmation("sunsubscribe", "{b}2", 0);
    server.expect("sunsubscribe", &both);
    server.run("ssubscribe b");
    let other = server.connect();
    assert_eq!(say(&mut server, other, "pubsub shardchannels"), "*1\r\n$1\r\nb\r\n");
    assert_eq!(say(&mut server, other, "pubsub shardnumsub a b"), "*4\r\n$1\r\na\r\n:0\r\n$1\r\nb\r\n:1\r\n");
}

fn take_outgoing(server: &mut Harness) -> Vec<Published> {
    std::mem::take(&mut server.state.cluster.as_mut().expect("a cluster").outgoing)
}

#[test]
fn messages_that_are_published_before_the_node_joins_do_not_wait_for_the_bus() {
    let mut server = harness(Part::Half);
    server.state.cluster.as_mut().expect("a cluster").has_joined = false;
    server.expect("publish news m", ":0\r\n");
    assert_eq!(take_outgoing(&mut server), []);
}

#[test]
fn messages_go_to_the_bus_and_not_to_the_replicas_stream() {
    let mut server = harness(Part::Half);
    server.state.cluster.as_mut().expect("a cluster").has_joined = true;
    server.propagate_to(Target::Replicas);
    let subscriber = server.connect();
    say(&mut server, subscriber, "subscribe news");
    server.expect("publish news m", ":1\r\n");
    server.expect("spublish b n", ":0\r\n");
    server.run_args(&[b"eval", b"return redis.call('publish', 'x', 'y')", b"0"]);
    let published = |channel: &str, message: &str, is_sharded| Published {
        is_sharded,
        channel: channel.into(),
        message: message.into(),
    };
    let outgoing = take_outgoing(&mut server);
    assert_eq!(outgoing, [published("news", "m", false), published("b", "n", true), published("x", "y", false)]);
    assert_eq!(server.take_propagated(), b"");
    assert!(pushed(&mut server, subscriber).contains("news"));
}

#[test]
fn messages_of_other_nodes_reach_subscribers_here() {
    let mut server = harness(Part::Half);
    let (plain, pattern, sharded) = (server.connect(), server.connect(), server.connect());
    say(&mut server, plain, "subscribe b");
    say(&mut server, pattern, "psubscribe *");
    say(&mut server, sharded, "ssubscribe b");
    deliver(&mut server.state, b"b", b"one".to_vec(), false);
    deliver(&mut server.state, b"b", b"two".to_vec(), true);
    deliver(&mut server.state, b"none", vec![b'x'; 20_000], true);
    assert_eq!(pushed(&mut server, plain), "*3\r\n$7\r\nmessage\r\n$1\r\nb\r\n$3\r\none\r\n");
    assert_eq!(pushed(&mut server, pattern), "*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nb\r\n$3\r\none\r\n");
    assert_eq!(pushed(&mut server, sharded), "*3\r\n$8\r\nsmessage\r\n$1\r\nb\r\n$3\r\ntwo\r\n");
    deliver(&mut server.state, b"b", vec![b'x'; 20_000], true);
    assert!(pushed(&mut server, sharded).len() > 20_000);
    // A message from the bus does not go back to it.
    assert!(server.state.cluster.as_ref().is_some_and(|cluster| cluster.outgoing.is_empty()));
}

#[test]
fn sharded_channels_leave_with_their_slot() {
    let mut server = harness(Part::Half);
    let (one, two) = (server.connect(), server.connect());
    say(&mut server, one, "ssubscribe b");
    say(&mut server, one, "ssubscribe c");
    say(&mut server, two, "ssubscribe b");
    settle_clients(&mut server.state);
    change_slot(&mut server, "b", |other| SlotChange::Migrating(other));
    settle_clients(&mut server.state);
    assert_eq!(pushed(&mut server, one), "", "a slot on its way is still served here");
    change_slot(&mut server, "b", |other| SlotChange::Node(other));
    settle_clients(&mut server.state);
    assert_eq!(pushed(&mut server, one), confirmation("sunsubscribe", "b", 1));
    assert_eq!(pushed(&mut server, two), confirmation("sunsubscribe", "b", 0));
    server.expect("pubsub shardchannels", "*1\r\n$1\r\nc\r\n");
    assert_eq!(say(&mut server, two, "get c"), "$-1\r\n", "it listens to nothing any more");
    delete_slot(&mut server, "c");
    settle_clients(&mut server.state);
    assert_eq!(pushed(&mut server, one), confirmation("sunsubscribe", "c", 0));
}
