//! A node of a cluster in memory: it knows one other primary, and each of the two has half of the slots.

use fastrand::Rng;
use oneloop::cluster::member::{Settings, SlotChange};
use oneloop::cluster::node::{Address, Node, NodeKey, Now};
use oneloop::cluster::nodes_file::Epochs;
use oneloop::cluster::table::Table;
use oneloop::cluster::{Member, NodeId, SLOTS, SlotSet, key_slot};
use oneloop::config::Config;
use oneloop::engine::cluster::Cluster;
use oneloop::engine::state::ServerState;

use super::{Harness, START_MS};

/// The first slot of the other node.
const BORDER: u16 = SLOTS / 2;
/// A primary that has just started stays down for less than this.
const SETTLED_MS: u64 = 3_000;

/// Which slots have an owner, and what this node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It has the first half of the slots, the other node the second.
    Half,
    /// It has all slots.
    All,
    /// Nobody has any.
    None,
    /// It is a replica of the other node, which has all slots but those of the first half, which a third node has.
    Replica,
}

fn id(seed: u64) -> NodeId {
    NodeId::random(&mut Rng::with_seed(seed))
}

fn now(after_ms: u64) -> Now {
    Now { steady_ms: 100_000 + after_ms, wall_ms: START_MS + after_ms }
}

fn node(number: u64) -> Node {
    let base = 7000 + number as u16;
    let address =
        Address { ip: format!("10.0.0.{number}"), plain_port: base, tls_port: base + 400, bus_port: base + 10_000 };
    let heard_ms = now(0).steady_ms;
    let node = Node::new(id(number), id(100 + number), address, now(0));
    Node { pong_received_ms: Some(heard_ms), data_received_ms: heard_ms, ..node }
}

/// A member that plays this part and has settled.
fn member(part: Part) -> Member {
    let settings = Settings {
        plain_port: 7001,
        tls_port: 7401,
        bus_port: 17_001,
        announced_ip: Some("10.0.0.1".into()),
        ..Settings::default()
    };
    let mut table = Table::new(node(1));
    let (me, other, third) = (table.my_key(), table.insert(node(2)), table.insert(node(3)));
    if let Some(other) = table.get_mut(other) {
        other.hostname = "two.example".into();
    }
    let mut bind = |from: u16, to: u16, owner: NodeKey| (from..to).for_each(|slot| table.bind(slot, owner));
    match part {
        Part::Half => {
            bind(0, BORDER, me);
            bind(BORDER, SLOTS, other);
        }
        Part::All => bind(0, SLOTS, me),
        Part::None => {}
        Part::Replica => {
            bind(0, BORDER, third);
            bind(BORDER, SLOTS, other);
            table.make_replica(me, Some(other));
        }
    }
    let mut member = Member::resume(settings, Rng::with_seed(1), table, Epochs::default());
    for after_ms in [0, SETTLED_MS] {
        member.tick(now(after_ms));
        end_turn(&mut member, now(after_ms));
    }
    assert_eq!(member.is_ok(), part != Part::None);
    member
}

/// Ends a turn of the member; nothing leaves, and nothing is kept.
fn end_turn(member: &mut Member, now: Now) {
    let output = member.end_turn(now);
    output.release(|_, _| Ok::<(), ()>(())).expect("saving works");
}

/// A server that is this node, with these settings.
pub fn harness_with(part: Part, config: Config) -> Harness {
    let mut server = Harness::with_config(Config { cluster_enabled: true, ..config });
    server.state.join_cluster(Cluster::new(member(part)));
    server
}

/// A server that is this node.
pub fn harness(part: Part) -> Harness {
    harness_with(part, Config::default())
}

/// The member of a server.
pub fn member_of(state: &mut ServerState) -> &mut Member {
    &mut state.cluster.as_mut().expect("it is a node of a cluster").member
}

/// Makes the slot of a key move to the other node, from it, or belong to it.
pub fn change_slot(server: &mut Harness, key: &str, change: fn(&str) -> SlotChange<'_>) {
    let other = id(2).to_string();
    let member = member_of(&mut server.state);
    member.set_slot(key_slot(key.as_bytes()), change(&other), 0, false, now(SETTLED_MS)).expect("a change of a slot");
    end_turn(member, now(SETTLED_MS));
}

/// Takes the slot of a key from its owner, whereupon the cluster is down.
pub fn delete_slot(server: &mut Harness, key: &str) {
    let member = member_of(&mut server.state);
    let slots: SlotSet = [key_slot(key.as_bytes())].into_iter().collect();
    member.del_slots(&slots).expect("it has an owner");
    end_turn(member, now(SETTLED_MS));
    assert!(!member.is_ok());
}
