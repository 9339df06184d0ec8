//! A single member among unknown, faulty and hostile nodes.

use fastrand::Rng;
use proptest::prelude::*;

use crate::cluster::member::{Effect, Member, Settings};
use crate::cluster::message::{Body, Extension, Flags, Gossip, GossipEntry, Header, Packet, decode, encode};
use crate::cluster::node_id::NodeId;
use crate::cluster::slot::{SLOTS, SlotSet};
use crate::cluster::tests::peers::{self, NOW, end, header, id, join, later, member, sent};

#[test]
fn a_stranger_is_met_answered_and_only_then_believed() {
    let mut member = member();
    let link = member.on_accepted("10.0.0.1", "10.9.9.9", NOW);
    let entry = GossipEntry {
        id: id(5),
        ping_sent_s: 0,
        pong_received_s: 1,
        address: "10.0.0.5".into(),
        base_port: 1,
        other_port: 0,
        bus_port: 2,
        flags: Flags::PRIMARY,
    };
    let gossip = Gossip { entries: vec![entry], extensions: Vec::new() };
    let stranger = Header { slots: SlotSet::all(), config_epoch: 9, current_epoch: 9, ..header(id(2)) };
    for body in [Body::Ping(gossip.clone()), Body::Fail(id(3)), Body::VoteRequest, Body::Meet(gossip.clone())] {
        member.receive(link, &encode(&stranger, &body), NOW);
    }
    let released = end(&mut member, NOW);
    assert!(sent(&released, link).iter().all(|body| matches!(body, Body::Pong(_))));
    assert_eq!((member.epochs().current, member.table().assigned()), (0, 0));
    assert_eq!((member.table().len(), member.table().handshakes()), (2, 1), "neither the stranger nor its gossip");
    assert_eq!(member.table().myself().address.ip, "10.9.9.9", "where the stranger has reached this member");
    let mut member = peers::member();
    let (inbound, _) = join(&mut member, &stranger);
    assert_eq!((member.epochs().current, member.table().assigned()), (9, SLOTS));
    member.receive(inbound, &encode(&stranger, &Body::Ping(gossip)), NOW);
    assert!(member.table().find(&id(5)).is_some(), "gossip of a known node adds nodes");
}

#[test]
fn a_frame_with_this_members_own_id_changes_nothing() {
    let mut member = member();
    let own = member.table().myself().id;
    let (inbound, _) = join(&mut member, &header(id(2)));
    let forged = Header { config_epoch: 99, current_epoch: 99, primary: Some(id(2)), ..header(own) };
    for body in [Body::Ping(Gossip::default()), Body::Vote, Body::Fail(id(2))] {
        member.receive(inbound, &encode(&forged, &body), NOW);
    }
    assert!(member.table().myself().is_primary());
    assert_eq!(member.epochs().current, 0);
    assert!(member.table().iter().all(|(_, node)| node.is_ok()));
}

#[test]
fn extensions_are_sent_to_nodes_that_have_shown_them_and_foreign_ones_never() {
    let settings = Settings { hostname: "me.example".into(), ..Settings::default() };
    let mut member = Member::new(settings, Rng::with_seed(1), NOW);
    let plain = Header { has_extensions: false, ..header(id(2)) };
    let (inbound, _) = join(&mut member, &plain);
    let extensions_after = |member: &mut Member, header: &Header, gossip: Gossip| {
        member.receive(inbound, &encode(header, &Body::Ping(gossip)), NOW);
        match sent(&end(member, NOW), inbound).pop() {
            Some(Body::Pong(gossip)) => gossip.extensions,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(extensions_after(&mut member, &plain, Gossip::default()), []);
    let shard_id = member.table().myself().shard_id;
    let ours = [Extension::Hostname("me.example".into()), Extension::ShardId(shard_id)];
    // A frame of Redis 8: no later frame of this member contains the secret.
    let frame = include_bytes!("frames/redis-8.0-ping-forgotten.bin");
    let secret = &frame[frame.len() - 40..];
    let mut redis = match decode(frame) {
        Ok(Packet::Full(header, _)) => *header,
        other => panic!("{other:?}"),
    };
    redis.sender = id(2);
    assert_eq!(extensions_after(&mut member, &redis, Gossip::default()), ours);
    let mut forged = frame.to_vec();
    forged[40..80].copy_from_slice(id(2).as_bytes());
    member.receive(inbound, &forged, NOW);
    let released = end(&mut member, NOW);
    assert!(!released.sends.is_empty());
    assert!(released.sends.iter().all(|send| send.frame.windows(40).all(|window| window != secret)));
    let peer = member.table().find(&id(2)).and_then(|key| member.table().get(key)).expect("it is known");
    assert_eq!((peer.hostname.as_str(), peer.human_name.as_str()), ("host.example", "alpha"));
}

#[test]
fn strangers_cannot_fill_the_memory() {
    let mut member = member();
    for number in 0..2000u16 {
        let link = member.on_accepted("10.0.0.1", "10.9.9.9", NOW);
        let stranger = Header { bus_port: 10_000 + number, ..header(id(u64::from(number) + 10)) };
        member.receive(link, &encode(&stranger, &Body::Meet(Gossip::default())), NOW);
        member.on_closed(link, NOW);
        let _ = end(&mut member, NOW);
    }
    assert!(member.table().len() < 300, "{}", member.table().len());
    member.tick(later(60_000));
    assert_eq!(member.table().len(), 1);
}

#[test]
fn links_without_an_identified_node_are_closed() {
    let mut member = member();
    let silent = member.on_accepted("10.0.0.1", "10.9.9.9", NOW);
    let (inbound, _) = join(&mut member, &header(id(2)));
    member.receive(inbound, &encode(&header(id(2)), &Body::Ping(Gossip::default())), NOW);
    let mut closed = Vec::new();
    for tick in 1..400 {
        member.tick(later(tick * 100));
        closed.extend(end(&mut member, later(tick * 100)).effects.into_iter().filter_map(|effect| match effect {
            Effect::Close(link) => Some(link),
            _ => None,
        }));
    }
    assert!(closed.contains(&silent) && !closed.contains(&inbound), "{closed:?}");
}

/// A time of day in the future would make a dead node look alive for a long time.
#[test]
fn times_in_the_future_are_not_believed() {
    let mut member = member();
    let (inbound, _) = join(&mut member, &header(id(2)));
    let third = Header { bus_port: 7, ..header(id(3)) };
    join(&mut member, &third);
    let tell = |member: &mut Member, ahead_s: u32| {
        let entry = GossipEntry {
            id: id(3),
            ping_sent_s: 0,
            pong_received_s: 1_700_000_000 + ahead_s,
            address: "10.0.0.8".into(),
            base_port: 6379,
            other_port: 0,
            bus_port: 7,
            flags: Flags::PRIMARY,
        };
        let gossip = Gossip { entries: vec![entry], extensions: Vec::new() };
        member.receive(inbound, &encode(&header(id(2)), &Body::Ping(gossip)), later(10_000));
        let key = member.table().find(&id(3)).expect("it is known");
        member.table().get(key).and_then(|node| node.pong_received_ms)
    };
    assert_eq!(tell(&mut member, 100), Some(NOW.steady_ms));
    assert_eq!(tell(&mut member, 5), Some(NOW.steady_ms + 5000));
}

/// A frame of a known node that has turned hostile. It knows the ids of all nodes.
fn hostile_frame(kind: u8, rng: &mut Rng, own: NodeId) -> Vec<u8> {
    let mut ids = rng.fork();
    let mut any_id = || [id(2), id(3), id(4), own][ids.usize(..4)];
    let hostile = Header {
        current_epoch: rng.u64(..) | if rng.bool() { u64::MAX } else { 0 },
        config_epoch: rng.u64(..),
        slots: (0..rng.u16(..SLOTS)).collect(),
        primary: rng.bool().then(&mut any_id),
        flags: Flags(rng.u16(..)),
        is_forced: rng.bool(),
        is_paused: rng.bool(),
        ..header(id(2))
    };
    let entry = GossipEntry {
        id: any_id(),
        ping_sent_s: rng.u32(..),
        pong_received_s: rng.u32(..),
        address: "10.0.0.9".into(),
        base_port: rng.u16(..),
        other_port: 0,
        bus_port: rng.u16(..),
        flags: Flags(rng.u16(..)),
    };
    let forgotten = Extension::Forgotten { id: any_id(), ttl_s: rng.u64(..) };
    let gossip = Gossip { entries: vec![entry], extensions: vec![forgotten, Extension::ShardId(any_id())] };
    let (channel, message) = (vec![1], vec![2]);
    let body = match kind {
        0 => Body::Ping(gossip),
        1 => Body::Pong(gossip),
        2 => Body::Meet(gossip),
        3 => Body::Fail(any_id()),
        4 => Body::Publish { channel, message },
        5 => Body::VoteRequest,
        6 => Body::Vote,
        7 => Body::Update { id: any_id(), config_epoch: rng.u64(..), slots: SlotSet::all() },
        8 => Body::ManualFailoverStart,
        9 => Body::Module,
        _ => Body::PublishShard { channel, message },
    };
    encode(&hostile, &body)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// No frames of a hostile node make the member panic, change its id or write an unreadable file.
    #[test]
    fn a_hostile_node_does_no_harm(
        seed in any::<u64>(),
        kinds in proptest::collection::vec(0u8..11, 1..20),
        damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
    ) {
        let mut rng = Rng::with_seed(seed);
        let mut member = member();
        member.add_slots(&(0..5000).collect()).expect("they are free");
        let (inbound, outbound) = join(&mut member, &header(id(2)));
        let own = member.table().myself().id;
        for (place, kind) in kinds.iter().enumerate() {
            let mut frame = hostile_frame(*kind, &mut rng, own);
            if let Some((at, byte)) = damages.get(place) {
                let at = at.index(frame.len());
                frame[at] = *byte;
            }
            let now = later(place as u64 * 100);
            member.receive(if rng.bool() { inbound } else { outbound }, &frame, now);
            if rng.bool() {
                member.tick(now);
            }
            let _ = end(&mut member, now);
        }
        prop_assert_eq!(member.table().myself().id, own);
        member.save_config();
        let output = member.end_turn(later(5000));
        let text = output.synced_file().expect("it is to be saved").to_string();
        let read = crate::cluster::nodes_file::read_file(&text, false, NOW, || id(7));
        prop_assert!(read.is_ok(), "{:?}\n{}", read.err(), text);
    }
}
