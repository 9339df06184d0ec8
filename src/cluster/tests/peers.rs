//! A single member and the frames of its peers, written by hand: the parts that several tests share.

use fastrand::Rng;

use crate::cluster::member::{Effect, Member, Released, Settings};
use crate::cluster::message::{Body, Flags, Gossip, Header, Packet, decode, encode};
use crate::cluster::node::{LinkId, Now};
use crate::cluster::node_id::NodeId;
use crate::cluster::slot::SlotSet;

pub(super) const NOW: Now = Now { steady_ms: 100_000, wall_ms: 1_700_000_000_000 };

pub(super) fn later(ms: u64) -> Now {
    Now { steady_ms: NOW.steady_ms + ms, wall_ms: NOW.wall_ms + ms }
}

pub(super) fn id(seed: u64) -> NodeId {
    NodeId::random(&mut Rng::with_seed(seed))
}

pub(super) fn member() -> Member {
    Member::new(Settings::default(), Rng::with_seed(1), NOW)
}

/// Ends the turn with a working disk.
pub(super) fn end(member: &mut Member, now: Now) -> Released {
    member.end_turn(now).release(|_, _| Ok::<(), ()>(())).expect("saving works")
}

/// The bodies of the frames sent on a link.
pub(super) fn sent(released: &Released, link: LinkId) -> Vec<Body> {
    let frames = released.sends.iter().filter(|send| send.link == link);
    frames
        .map(|send| match decode(&send.frame) {
            Ok(Packet::Full(_, body)) => body,
            other => panic!("{other:?}"),
        })
        .collect()
}

pub(super) fn header(sender: NodeId) -> Header {
    Header {
        sender,
        current_epoch: 0,
        config_epoch: 0,
        offset: 0,
        slots: SlotSet::default(),
        primary: None,
        address: None,
        base_port: 6379,
        other_port: 0,
        bus_port: 16379,
        flags: Flags::PRIMARY,
        is_down: false,
        is_paused: false,
        is_forced: false,
        has_extensions: true,
    }
}

/// Lets a node join: it sends MEET, the member connects to it, and it answers. Returns its two links, inbound first.
pub(super) fn join(member: &mut Member, peer: &Header) -> (LinkId, LinkId) {
    let ip = format!("10.0.0.{}", peer.bus_port % 200 + 1);
    let inbound = member.on_accepted(&ip, "10.9.9.9", NOW);
    member.receive(inbound, &encode(peer, &Body::Meet(Gossip::default())), NOW);
    member.tick(NOW);
    let connects = end(member, NOW).effects.into_iter().find_map(|effect| match effect {
        Effect::Connect { link, .. } => Some(link),
        _ => None,
    });
    let outbound = connects.expect("the node is connected to");
    member.on_connected(outbound, "10.9.9.9", NOW);
    member.receive(outbound, &encode(peer, &Body::Pong(Gossip::default())), NOW);
    let _ = end(member, NOW);
    assert!(member.table().find(&peer.sender).is_some());
    (inbound, outbound)
}
