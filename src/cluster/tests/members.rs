//! A single member: the votes that it gives, and the commands of an administrator.

use crate::cluster::member::state::Direction;
use crate::cluster::member::{AdminError, Bump, Effect, Member, ResetMode, SlotChange};
use crate::cluster::message::{Body, Extension, Flags, Gossip, Header, encode};
use crate::cluster::node::LinkId;
use crate::cluster::slot::{SLOTS, SlotSet};
use crate::cluster::tests::peers::{NOW, end, header, id, join, member, sent};

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
    // The sender of FAIL is the replica: any known node may send FAIL.
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
    // After the loss of its last slot this member follows the new owner.
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
    // Valkey's light header names no sender: the node has to have identified itself on the link.
    let light = include_bytes!("frames/valkey-8.1-light-publish.bin");
    let stranger = member.on_accepted("10.0.0.1", "10.9.9.9", NOW);
    let delivered = |member: &mut Member, link| {
        member.receive(link, light, NOW);
        end(member, NOW).effects.into_iter().any(|effect| matches!(effect, Effect::Deliver { is_sharded: false, .. }))
    };
    assert!(!delivered(&mut member, stranger));
    assert!(delivered(&mut member, inbound));
}

/// Loaded keys stay reachable.
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
fn a_replica_that_leaves_its_shard_is_an_empty_primary() {
    let mut member = member();
    join(&mut member, &header(id(2)));
    let alone = member.table().myself().shard_id;
    member.leave_shard();
    assert_eq!(member.table().myself().shard_id, alone, "a primary stays as it is");
    assert!(end(&mut member, NOW).effects.is_empty());
    member.replicate(id(2).as_str(), true).expect("it is known");
    let _ = end(&mut member, NOW);
    let shared = member.table().myself().shard_id;
    member.leave_shard();
    let myself = member.table().myself();
    assert!(myself.is_primary() && myself.slots.is_empty() && myself.shard_id != shared);
    assert_eq!(member.table().len(), 2);
    let effects = end(&mut member, NOW).effects;
    let place = |effect: &Effect| effects.iter().position(|made| made == effect);
    assert!(place(&Effect::Promote) < place(&Effect::DeleteAll) && place(&Effect::Promote).is_some());
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
