//! What single members do: with strangers, with attackers, with an administrator.

use fastrand::Rng;
use proptest::prelude::*;

use crate::cluster::member::state::Direction;
use crate::cluster::member::{
    AdminError, Bump, Effect, FailoverMode, Member, Released, ResetMode, Settings, SlotChange,
};
use crate::cluster::message::{Body, Extension, Flags, Gossip, GossipEntry, Header, Packet, decode, encode};
use crate::cluster::node::{LinkId, Now};
use crate::cluster::node_id::NodeId;
use crate::cluster::slot::{SLOTS, SlotSet};
use crate::cluster::tests::world::World;

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

/// Ends the turn with a disk that works.
pub(super) fn end(member: &mut Member, now: Now) -> Released {
    member.end_turn(now).release(|_, _| Ok::<(), ()>(())).expect("saving works")
}

/// The bodies of the frames that leave over a link.
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

/// Has a node join: it sends MEET, is connected to, and answers. Gives its two links, inbound first.
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
    let mut member = self::member();
    let (inbound, _) = join(&mut member, &stranger);
    assert_eq!((member.epochs().current, member.table().assigned()), (9, SLOTS));
    member.receive(inbound, &encode(&stranger, &Body::Ping(gossip)), NOW);
    assert!(member.table().find(&id(5)).is_some(), "whom a node that is known knows is known");
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
fn extensions_are_sent_to_nodes_that_have_shown_them_and_foreign_ones_to_nobody() {
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
    // What Redis 8 sends: after it, no frame has the secret in it.
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

/// A voter and a candidate: which requests get a vote.
#[test]
fn votes_are_given_once_and_only_to_replicas_of_failed_primaries() {
    let half: SlotSet = (0..8000).collect();
    let primary = Header { slots: half.clone(), config_epoch: 5, current_epoch: 5, bus_port: 2, ..header(id(2)) };
    let replica = Header { primary: Some(id(2)), flags: Flags::REPLICA, bus_port: 3, sender: id(3), ..primary.clone() };
    let request = Header { current_epoch: 6, ..replica.clone() };
    let ask = |change: &dyn Fn(&mut Member, LinkId), request: &Header| {
        let mut member = member();
        member.add_slots(&(8000..SLOTS).collect()).expect("they are free");
        join(&mut member, &primary);
        let (inbound, outbound) = join(&mut member, &replica);
        member.receive(inbound, &encode(&replica, &Body::Ping(Gossip::default())), NOW);
        change(&mut member, inbound);
        let _ = end(&mut member, NOW);
        member.receive(inbound, &encode(request, &Body::VoteRequest), NOW);
        let output = member.end_turn(NOW);
        let file = output.synced_file().map(str::to_string);
        let released = output.release(|_, _| Ok::<(), ()>(())).expect("saving works");
        let is_granted = sent(&released, outbound).contains(&Body::Vote);
        if is_granted {
            assert!(file.is_some_and(|text| text.ends_with("currentEpoch 6 lastVoteEpoch 6\n")));
            member.receive(inbound, &encode(request, &Body::VoteRequest), NOW);
            assert!(!sent(&end(&mut member, NOW), outbound).contains(&Body::Vote), "a second vote in an epoch");
        }
        is_granted
    };
    // The sender of FAIL is the replica: any known node may say so.
    let fail = |member: &mut Member, link: LinkId| member.receive(link, &encode(&replica, &Body::Fail(id(2))), NOW);
    assert!(ask(&fail, &request));
    assert!(!ask(&|_, _| {}, &request), "its primary is up");
    assert!(ask(&|_, _| {}, &Header { is_forced: true, ..request.clone() }), "a manual failover");
    assert!(!ask(&fail, &Header { current_epoch: 4, ..request.clone() }), "an old epoch");
    assert!(!ask(&fail, &Header { config_epoch: 4, ..request.clone() }), "a claim that is older than the owner's");
    assert!(!ask(&fail, &Header { sender: id(2), primary: None, ..request.clone() }), "a primary");
    let no_slots = |member: &mut Member, link: LinkId| {
        fail(member, link);
        member.flush_slots(true).expect("it is empty");
    };
    assert!(!ask(&no_slots, &request), "a primary without slots does not vote");
}

/// Three primaries with replicas, all of them up.
pub(super) fn cluster(seed: u64, replicas: usize, settings: &Settings) -> World {
    let mut world = World::new(seed, 3 * (1 + replicas), settings);
    for shard in 0..3u16 {
        world.command(shard.into(), |member, _| {
            member.set_config_epoch(u64::from(shard) + 1).expect("it is new");
            let end = if shard == 2 { SLOTS } else { (shard + 1) * 5461 };
            member.add_slots(&(shard * 5461..end).collect()).expect("they are free");
        });
    }
    let ip = world.ip_of(0);
    for index in 1..world.processes.len() {
        world.command(index, |member, now| member.meet(&ip, 6379, None, now).expect("an address"));
    }
    world.run(5000);
    for index in 3..world.processes.len() {
        let primary = world.id_of(index % 3).expect("it is up");
        world.command(index, |member, _| member.replicate(primary.as_str(), true).expect("it is known"));
    }
    world.run(5000);
    assert_eq!(world.disagreement(), None);
    world
}

#[test]
fn primaries_that_begin_with_one_epoch_end_with_different_ones() {
    let mut world = World::new(6, 3, &settings());
    for index in 0..3u16 {
        let end = if index == 2 { SLOTS } else { (index + 1) * 5000 };
        world.command(index.into(), |member, _| {
            member.add_slots(&(index * 5000..end).collect()).expect("they are free")
        });
    }
    let ip = world.ip_of(0);
    for index in 1..3 {
        world.command(index, |member, now| member.meet(&ip, 6379, None, now).expect("an address"));
    }
    world.run(8000);
    assert_eq!(world.disagreement(), None);
}

pub(super) fn settings() -> Settings {
    Settings { node_timeout_ms: 2000, replica_validity_factor: 0, ..Settings::default() }
}

pub(super) fn is_primary(world: &World, index: usize) -> bool {
    world.processes[index].member.as_ref().is_some_and(|member| member.table().myself().is_primary())
}

#[test]
fn a_failed_primary_is_replaced_and_comes_back_as_a_replica() {
    let mut world = cluster(1, 1, &settings());
    world.crash(0);
    world.run(8000);
    assert!(is_primary(&world, 3));
    let epoch = world.processes[3].member.as_ref().map(|member| member.table().myself().config_epoch);
    assert!(epoch >= Some(4));
    world.start(0);
    world.run(8000);
    assert!(!is_primary(&world, 0));
    assert_eq!(world.disagreement(), None);
}

#[test]
fn a_manual_failover_loses_no_write_and_takes_no_time() {
    let mut world = cluster(2, 1, &settings());
    world
        .command(3, |member, now| member.failover(FailoverMode::Plain, now))
        .expect("it is up")
        .expect("it is possible");
    let before_ms = world.now_ms;
    while !is_primary(&world, 3) && world.now_ms < before_ms + 5000 {
        world.run(10);
    }
    assert!(world.now_ms < before_ms + 1000, "no timeout is waited for");
    assert!(world.offset_of(3) >= world.offset_of(0), "a write of the old primary is missing");
    world.run(3000);
    assert!(!is_primary(&world, 0));
    assert_eq!(world.disagreement(), None);
    // The primary is down: the plain form is refused, the others are not.
    world.crash(1);
    world.run(2500);
    let failover = |world: &mut World, mode| world.command(4, |member, now| member.failover(mode, now));
    assert_eq!(failover(&mut world, FailoverMode::Plain), Some(Err(AdminError::PrimaryDown)));
    assert_eq!(failover(&mut world, FailoverMode::Takeover), Some(Ok(())));
    assert!(is_primary(&world, 4));
    assert_eq!(failover(&mut world, FailoverMode::Force), Some(Err(AdminError::FailoverOnPrimary)));
}

#[test]
fn a_primary_without_replicas_is_sent_one_that_can_be_spared() {
    let mut world = cluster(3, 2, &settings());
    // Processes 3 and 6 replicate 0.
    world.crash(3);
    world.crash(6);
    world.run(20_000);
    let orphan = world.id_of(0).expect("it is up");
    let followers: Vec<usize> =
        world.alive().into_iter().filter(|index| world.follows(*index) == Some(orphan)).collect();
    assert_eq!(followers.len(), 1, "{followers:?}");
    let kept = Settings { migration_barrier: 2, ..settings() };
    let mut world = cluster(3, 2, &kept);
    world.crash(3);
    world.crash(6);
    world.run(20_000);
    let orphan = world.id_of(0).expect("it is up");
    assert!(world.alive().into_iter().all(|index| world.follows(index) != Some(orphan)));
}

#[test]
fn a_primary_in_a_minority_stops_and_waits_before_it_serves_again() {
    let mut world = cluster(4, 0, &settings());
    let is_ok = |world: &World| world.processes[0].member.as_ref().is_some_and(Member::is_ok);
    assert!(is_ok(&world));
    for other in 1..3 {
        world.blocked[0][other] = true;
        world.blocked[other][0] = true;
    }
    world.run(5000);
    assert!(!is_ok(&world));
    world.blocked.iter_mut().for_each(|row| row.fill(false));
    world.run(1500);
    assert!(!is_ok(&world), "the others may have elected somebody");
    world.run(4000);
    assert!(is_ok(&world));
    // A primary that has just started waits as well.
    world.crash(0);
    world.start(0);
    world.run(1900);
    assert!(!is_ok(&world));
    world.run(1000);
    assert!(is_ok(&world));
}

#[test]
fn a_forgotten_node_stays_away_for_a_minute() {
    let mut world = cluster(5, 1, &settings());
    let gone = world.id_of(5).expect("it is up");
    let primary = world.id_of(2).expect("it is up");
    let forget = |world: &mut World, at: usize, id: NodeId| {
        world.command(at, |member, now| member.forget(id.as_str(), now)).expect("it is up")
    };
    world.crash(5);
    assert_eq!(forget(&mut world, 0, gone), Ok(()));
    assert_eq!(forget(&mut world, 0, gone), Ok(()), "it is forgotten already");
    assert_eq!(forget(&mut world, 0, id(99)), Err(AdminError::UnknownNode(id(99).to_string())));
    let own = world.id_of(0).expect("it is up");
    assert_eq!(forget(&mut world, 0, own), Err(AdminError::ForgetMyself));
    let of_three = world.id_of(0).expect("it is up");
    assert_eq!(forget(&mut world, 3, of_three), Err(AdminError::ForgetMyPrimary));
    world.run(10_000);
    for index in world.alive() {
        let member = world.processes[index].member.as_ref().expect("it is up");
        assert!(member.table().find(&gone).is_none(), "{index} still knows it");
        assert!(member.table().find(&primary).is_some());
    }
}

#[test]
fn slots_are_given_and_taken_away() {
    let mut member = member();
    let some: SlotSet = [1, 2, 3].into_iter().collect();
    assert_eq!(member.add_slots(&some), Ok(()));
    assert_eq!(member.add_slots(&[3, 4].into_iter().collect()), Err(AdminError::SlotBusy(3)));
    assert_eq!(member.table().owner(4), None, "all or none");
    assert_eq!(member.del_slots(&[4].into_iter().collect()), Err(AdminError::SlotUnassigned(4)));
    assert_eq!(member.del_slots(&[3].into_iter().collect()), Ok(()));
    assert_eq!(member.flush_slots(false), Err(AdminError::NotEmptyForFlush));
    assert_eq!(member.set_config_epoch(7), Ok(()));
    assert_eq!(member.set_config_epoch(8), Err(AdminError::EpochIsSet));
    assert_eq!(member.bump_epoch(), Bump::Still(7));
    join(&mut member, &Header { current_epoch: 9, ..header(id(2)) });
    assert_eq!(member.bump_epoch(), Bump::Bumped(10));
    assert_eq!(member.set_config_epoch(8), Err(AdminError::KnowsOthers));
    let (own, other) = (member.table().myself().id.to_string(), id(2).to_string());
    let mut set = |slot, change, keys| member.set_slot(slot, change, keys, false, NOW);
    assert_eq!(set(9, SlotChange::Migrating(&other), 0), Err(AdminError::NotOwner(9)));
    assert_eq!(set(1, SlotChange::Importing(&other), 0), Err(AdminError::AlreadyOwner(1)));
    assert_eq!(set(1, SlotChange::Migrating(&own), 0), Err(AdminError::TargetIsMyself));
    assert_eq!(set(1, SlotChange::Migrating(&other), 0), Ok(()));
    assert_eq!(set(1, SlotChange::Node(&other), 5), Err(AdminError::KeysInSlot(1)));
    assert_eq!(set(9, SlotChange::Importing(&other), 0), Ok(()));
    assert_eq!(set(9, SlotChange::Node(&own), 0), Ok(()));
    assert_eq!(set(1, SlotChange::Node(&other), 0), Ok(()));
    assert_eq!(set(2, SlotChange::Node(&other), 0), Ok(()));
    assert!(member.table().migrating.is_empty() && member.table().importing.is_empty());
    assert_eq!(member.table().myself().slots.to_string(), "9");
    // The last slot goes: this member follows its new owner.
    assert_eq!(member.set_slot(9, SlotChange::Node(&other), 0, false, NOW), Ok(()));
    assert!(!member.table().myself().is_primary());
    assert!(end(&mut member, NOW).effects.iter().any(|effect| matches!(effect, Effect::Follow { .. })));
    assert_eq!(member.set_slot(9, SlotChange::Stable, 0, false, NOW), Err(AdminError::SetSlotOnReplica));
}

#[test]
fn messages_go_to_all_or_to_the_shard_and_come_from_nodes_that_are_known() {
    let mut member = member();
    let (inbound, outbound) = join(&mut member, &header(id(2)));
    let publish = |member: &mut Member, is_sharded| {
        member.publish(b"channel", b"message", is_sharded);
        sent(&end(member, NOW), outbound)
    };
    let (channel, message) = (b"channel".to_vec(), b"message".to_vec());
    assert_eq!(publish(&mut member, false), [Body::Publish { channel: channel.clone(), message: message.clone() }]);
    assert_eq!(publish(&mut member, true), [], "it is of another shard");
    let extensions = vec![Extension::ShardId(member.table().myself().shard_id)];
    let gossip = Gossip { entries: Vec::new(), extensions };
    member.receive(inbound, &encode(&header(id(2)), &Body::Ping(gossip)), NOW);
    let _ = end(&mut member, NOW);
    assert_eq!(publish(&mut member, true), [Body::PublishShard { channel, message }]);
    // Valkey's light header names no sender: the link has to have shown one.
    let light = include_bytes!("frames/valkey-8.1-light-publish.bin");
    let stranger = member.on_accepted("10.0.0.1", "10.9.9.9", NOW);
    let delivered = |member: &mut Member, link| {
        member.receive(link, light, NOW);
        end(member, NOW).effects.into_iter().any(|effect| matches!(effect, Effect::Deliver { is_sharded: false, .. }))
    };
    assert!(!delivered(&mut member, stranger));
    assert!(delivered(&mut member, inbound));
}

/// Keys that were loaded are not lost sight of.
#[test]
fn slots_of_loaded_keys_are_taken_or_imported() {
    let mut member = member();
    let other = Header { slots: [7].into_iter().collect(), config_epoch: 1, current_epoch: 1, ..header(id(2)) };
    join(&mut member, &other);
    member.adopt_loaded(&[7, 8].into_iter().collect());
    assert_eq!(member.table().myself().slots.to_string(), "8");
    assert_eq!(member.table().importing.keys().collect::<Vec<_>>(), [&7]);
}

#[test]
fn links_on_which_nobody_shows_himself_are_closed() {
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

#[test]
fn a_reset_forgets_the_cluster_and_a_hard_one_the_member_itself() {
    let mut member = member();
    member.set_config_epoch(3).expect("it is new");
    join(&mut member, &header(id(2)));
    let before = member.table().myself().id;
    assert_eq!(member.reset(ResetMode::Soft, true), Err(AdminError::ResetWithKeys));
    assert_eq!(member.reset(ResetMode::Soft, false), Ok(()));
    assert_eq!((member.table().len(), member.table().myself().id), (1, before));
    assert_eq!((member.epochs().current, member.table().myself().config_epoch), (3, 3));
    join(&mut member, &header(id(2)));
    member.replicate(id(2).as_str(), true).expect("it is known");
    let _ = end(&mut member, NOW);
    assert_eq!(member.reset(ResetMode::Hard, true), Ok(()));
    assert_ne!(member.table().myself().id, before);
    assert!(member.table().myself().is_primary());
    assert_eq!((member.epochs().current, member.epochs().last_vote), (0, 0));
    let effects = end(&mut member, NOW).effects;
    assert!(effects.contains(&Effect::Promote) && effects.contains(&Effect::DeleteAll));
}

#[test]
fn the_texts_are_those_of_genuine_servers() {
    let mut member = member();
    let (inbound, outbound) = join(&mut member, &header(id(2)));
    member.add_slots(&(0..=100).collect()).expect("they are free");
    let info = member.info_text();
    assert!(info.starts_with("cluster_state:fail\r\ncluster_slots_assigned:101\r\ncluster_slots_ok:101\r\n"), "{info}");
    assert!(info.contains("cluster_stats_messages_pong_sent:1\r\n"), "{info}");
    assert!(info.contains("cluster_stats_messages_meet_received:1\r\ncluster_stats_messages_received:2\r\n"), "{info}");
    let nodes = member.nodes_text(false, NOW);
    let other = format!("{} 10.0.0.180:6379@16379 master - 0 1700000000000 0 connected\n", id(2));
    assert!(nodes.contains(&other), "{nodes}");
    assert!(nodes.contains(" 10.9.9.9:6379@16379 myself,master - 0 0 "), "{nodes}");
    member.receive(inbound, &encode(&header(id(2)), &Body::Ping(Gossip::default())), NOW);
    let links: Vec<(LinkId, Direction)> = member.links().iter().map(|row| (row.id, row.direction)).collect();
    assert_eq!(links, [(inbound, Direction::Inbound), (outbound, Direction::Outbound)]);
}

/// A time of day in the future would make a node that is down look alive for long.
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

/// A frame of a node that is known and has turned hostile. It knows the ids of all.
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

    /// Whatever a hostile node sends, the member neither panics nor loses itself, and its file can be read.
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
