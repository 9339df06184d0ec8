//! Ownership of slots: claims, colliding epochs, changes of roles, forgotten nodes.

use crate::cluster::member::{Effect, Settings, SlotChange};
use crate::cluster::message::{Body, Extension, Flags, Gossip, Header};
use crate::cluster::node::Role;
use crate::cluster::slot::SlotSet;
use crate::cluster::tests::cast::{Cast, FIRST, SECOND, SIBLING, THIRD, entry, frames, node};
use crate::cluster::tests::peers::{id, later};

fn ping(cast: &mut Cast, seed: u64, header: &Header) {
    cast.says(seed, header, Body::Ping(Gossip::default()));
}

/// The node that a slot is bound to.
fn owner(cast: &Cast, slot: u16) -> Option<u64> {
    let table = cast.member.table();
    let owner = table.get(table.owner(slot)?)?;
    Some((2..10).find(|seed| id(*seed) == owner.id).unwrap_or(0))
}

fn claims(seed: u64, epoch: u64, slots: impl IntoIterator<Item = u16>) -> Header {
    let slots = slots.into_iter().collect();
    Header { config_epoch: epoch, slots, primary: None, flags: Flags::PRIMARY, ..node(seed) }
}

fn replica_of(seed: u64, primary: u64) -> Header {
    let claim = node(primary);
    let (slots, config_epoch) = (claim.slots, claim.config_epoch);
    Header { slots, config_epoch, primary: Some(claim.sender), flags: Flags::REPLICA, ..node(seed) }
}

/// The epochs and slots in the UPDATEs of a turn.
fn updates(cast: &mut Cast, to: u64) -> Vec<(u64, String)> {
    let link = cast.outbound(to);
    let said = frames(&cast.turn(), link).into_iter().filter_map(|(_, body)| match body {
        Body::Update { config_epoch, slots, .. } => Some((config_epoch, slots.to_string())),
        _ => None,
    });
    said.collect()
}

#[test]
fn a_replica_speaks_with_the_claim_of_its_primary() {
    let mut cast = Cast::replica(Settings::default());
    let link = cast.inbound(SECOND);
    ping(&mut cast, SECOND, &node(SECOND));
    let said = frames(&cast.turn(), link);
    let (header, _) = said.first().expect("it answers");
    assert_eq!((header.primary, header.config_epoch, &header.slots), (Some(id(FIRST)), FIRST, &node(FIRST).slots));
    assert!(header.flags.has(Flags::REPLICA));
}

#[test]
fn a_claim_takes_slots_from_older_ones_and_free_slots() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SECOND]);
    ping(&mut cast, FIRST, &claims(FIRST, 2, 0..5001));
    assert_eq!((owner(&cast, 4999), owner(&cast, 5000)), (Some(FIRST), Some(SECOND)), "its epoch is lower");
    ping(&mut cast, FIRST, &claims(FIRST, 9, 0..5001));
    assert_eq!(owner(&cast, 5000), Some(FIRST));
    ping(&mut cast, SECOND, &claims(SECOND, 3, 4000..10_001));
    assert_eq!((owner(&cast, 4000), owner(&cast, 10_000)), (Some(FIRST), Some(SECOND)), "that one was free");
}

#[test]
fn a_stale_claim_is_answered_with_the_newer_one() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SECOND]);
    assert_eq!(updates(&mut cast, FIRST), []);
    ping(&mut cast, FIRST, &claims(FIRST, 2, 0..5001));
    assert_eq!(updates(&mut cast, FIRST), [(3, "5000-9999".to_string())]);
    // The same applies to a replica, which sends its primary's claim.
    cast.join(SIBLING);
    let stale = Header { slots: (0..5001).collect(), ..node(SIBLING) };
    ping(&mut cast, SIBLING, &stale);
    assert_eq!(updates(&mut cast, SIBLING), [(3, "5000-9999".to_string())]);
}

#[test]
fn an_update_is_believed_if_it_is_newer() {
    let update =
        |seed: u64, config_epoch: u64, end: u16| Body::Update { id: id(seed), config_epoch, slots: (0..end).collect() };
    let mut cast = Cast::new(Settings::default(), &[FIRST, SECOND, SIBLING]);
    cast.says(SECOND, &node(SECOND), update(FIRST, 2, 6000));
    cast.says(SECOND, &node(SECOND), update(FIRST, 1, 6000));
    assert_eq!((owner(&cast, 5500), cast.known(FIRST).config_epoch), (Some(SECOND), FIRST), "it is not newer");
    // The sibling has become primary.
    cast.says(SECOND, &node(SECOND), update(SIBLING, 8, 5000));
    assert_eq!((owner(&cast, 0), cast.known(SIBLING).role), (Some(SIBLING), Role::Primary));
    assert_eq!((cast.known(SIBLING).config_epoch, cast.member.epochs().current), (8, 8));
    cast.member.add_slots(&(10_000..10_100).collect()).expect("they are free");
    let own = cast.member.table().myself().id;
    cast.says(SECOND, &node(SECOND), Body::Update { id: own, config_epoch: 99, slots: SlotSet::all() });
    assert_eq!(cast.member.table().myself().slots.len(), 100, "peers do not change the claim of this member");
}

#[test]
fn slots_that_their_owner_claims_no_more_go_to_the_next_claim() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SECOND]);
    ping(&mut cast, SECOND, &claims(SECOND, 3, 5001..10_000));
    assert_eq!(owner(&cast, 5000), Some(SECOND), "no other node claims it");
    ping(&mut cast, FIRST, &claims(FIRST, 2, 0..5001));
    assert_eq!(owner(&cast, 5000), Some(FIRST));
    // A slot that is claimed again is not free.
    ping(&mut cast, SECOND, &claims(SECOND, 3, 5002..10_000));
    ping(&mut cast, SECOND, &claims(SECOND, 3, 5001..10_000));
    ping(&mut cast, FIRST, &claims(FIRST, 2, 0..5002));
    assert_eq!(owner(&cast, 5001), Some(SECOND));
}

#[test]
fn slots_that_are_being_imported_change_by_command_only() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SECOND]);
    let source = id(SECOND).to_string();
    cast.member.set_slot(5000, SlotChange::Importing(&source), 0, false, cast.now).expect("it is another's");
    ping(&mut cast, FIRST, &claims(FIRST, 9, 0..5002));
    assert_eq!((owner(&cast, 5000), owner(&cast, 5001)), (Some(SECOND), Some(FIRST)));
}

#[test]
fn an_imported_slot_is_claimed_in_a_new_epoch() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SECOND]);
    let (own, source) = (cast.member.table().myself().id.to_string(), id(SECOND).to_string());
    let import = |cast: &mut Cast, slot| {
        let mut set = |change| cast.member.set_slot(slot, change, 0, false, cast.now);
        set(SlotChange::Importing(&source)).and_then(|()| set(SlotChange::Node(&own))).expect("it is possible");
        let (link, (file, released)) = (cast.outbound(FIRST), cast.synced());
        assert!(file.is_some(), "the claim is saved before it leaves");
        frames(&released, link).last().map(|(header, _)| (header.config_epoch, header.slots.len()))
    };
    assert_eq!(import(&mut cast, 5000), Some((8, 1)), "all are told");
    assert_eq!(import(&mut cast, 5001), Some((8, 2)), "it has the highest epoch already");
    ping(&mut cast, SECOND, &Header { current_epoch: 12, ..node(SECOND) });
    cast.turn();
    assert_eq!(import(&mut cast, 5002), Some((13, 3)));
}

#[test]
fn a_primary_that_became_a_replica_owns_nothing() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SECOND]);
    ping(&mut cast, FIRST, &replica_of(FIRST, SECOND));
    assert_eq!((owner(&cast, 0), owner(&cast, 5000)), (None, Some(SECOND)));
    assert_eq!(cast.known(FIRST).role, Role::Replica(cast.member.table().find(&id(SECOND))));
    assert_eq!(cast.known(FIRST).config_epoch, FIRST, "the epoch in its frame is its primary's");
}

/// A frame that was delayed, while peers have announced the sender's election.
#[test]
fn a_frame_from_before_the_senders_election_changes_neither_roles_nor_slots() {
    let mut cast = Cast::replica(Settings::default());
    let own = cast.member.table().myself().id;
    let update = Body::Update { id: id(SECOND), config_epoch: 8, slots: (0..10_000).collect() };
    cast.says(THIRD, &Header { current_epoch: 8, ..node(THIRD) }, update);
    let winner = cast.member.table().find(&id(SECOND));
    assert_eq!(cast.member.table().myself().role, Role::Replica(winner));
    let stale = Header { primary: Some(own), flags: Flags::REPLICA, ..node(SECOND) };
    ping(&mut cast, SECOND, &stale);
    assert_eq!((owner(&cast, 0), cast.known(SECOND).role), (Some(SECOND), Role::Primary));
    ping(&mut cast, SECOND, &node(SECOND));
    ping(&mut cast, FIRST, &claims(FIRST, 2, 0..5000));
    assert_eq!(owner(&cast, 0), Some(SECOND), "it has not given up a slot");
    // The sender's frame has the new epoch: it describes the present state.
    ping(&mut cast, SECOND, &Header { current_epoch: 8, ..replica_of(SECOND, THIRD) });
    assert_eq!(owner(&cast, 0), None);
}

#[test]
fn a_replica_may_change_its_primary() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SECOND, SIBLING]);
    ping(&mut cast, SIBLING, &replica_of(SIBLING, SECOND));
    assert_eq!(cast.known(SIBLING).role, Role::Replica(cast.member.table().find(&id(SECOND))));
    assert!(cast.known(SECOND).attracts_replicas && !cast.known(FIRST).attracts_replicas);
    ping(&mut cast, SIBLING, &claims(SIBLING, 3, []));
    assert_eq!(cast.known(SIBLING).role, Role::Primary);
}

#[test]
fn a_replica_whose_primary_became_a_replica_follows_that_ones_primary() {
    let mut cast = Cast::replica(Settings::default());
    ping(&mut cast, FIRST, &replica_of(FIRST, SECOND));
    cast.turn();
    let mut followed = Vec::new();
    cast.pass(200, &[], |_, released| followed.extend(released.effects.clone()));
    assert!(followed.iter().any(|effect| matches!(effect, Effect::Follow { id: to, .. } if *to == id(SECOND))));
    // The member does not follow itself.
    let mut cast = Cast::replica(Settings::default());
    let own = cast.member.table().myself().id;
    ping(&mut cast, FIRST, &Header { primary: Some(own), ..replica_of(FIRST, SECOND) });
    cast.pass(200, &[], |_, _| {});
    assert_eq!(cast.member.table().myself().role, Role::Replica(cast.member.table().find(&id(FIRST))));
}

#[test]
fn a_primary_that_loses_its_last_slot_follows_the_new_owner() {
    let lose = |settings: Settings, end: u16| {
        let mut cast = Cast::new(settings, &[FIRST, SECOND]);
        cast.member.add_slots(&(10_000..10_100).collect()).expect("they are free");
        let source = id(SECOND).to_string();
        cast.member.set_slot(5000, SlotChange::Importing(&source), 0, false, cast.now).expect("it is another's");
        cast.member.set_slot(10_000, SlotChange::Migrating(&source), 1, false, cast.now).expect("it is its own");
        // A slot that was migrating is free again.
        cast.member.add_slots(&[10_200].into_iter().collect()).expect("it is free");
        cast.member.set_slot(10_200, SlotChange::Migrating(&source), 1, false, cast.now).expect("it is its own");
        cast.member.del_slots(&[10_200].into_iter().collect()).expect("it has an owner");
        cast.turn();
        ping(&mut cast, FIRST, &claims(FIRST, 9, (0..5000).chain(10_000..end)));
        cast
    };
    let mut cast = lose(Settings::default(), 10_050);
    assert!(cast.member.table().myself().is_primary(), "it has others");
    assert!(cast.turn().effects.iter().any(|effect| matches!(effect, Effect::SlotsLost { .. })));
    let cast = lose(Settings::default(), 10_100);
    assert_eq!(cast.member.table().myself().role, Role::Replica(cast.member.table().find(&id(FIRST))));
    assert!(cast.member.table().migrating.is_empty() && cast.member.table().importing.is_empty());
    // The new owner has slots of other shards too: an administrator has moved them.
    let stays = Settings { allows_replica_migration: false, ..Settings::default() };
    assert!(lose(stays, 10_100).member.table().myself().is_primary());
}

#[test]
fn of_two_primaries_with_one_epoch_that_with_the_smaller_id_takes_a_new_one() {
    let mut cast = Cast::new(Settings::default(), &[FIRST]);
    cast.member.bump_epoch();
    let own = cast.member.table().myself().id;
    let (smaller, larger) = ((6..).find(|seed| id(*seed) < own), (6..).find(|seed| id(*seed) > own));
    let (smaller, larger) = (smaller.expect("there is one"), larger.expect("there is one"));
    let epoch = cast.member.table().myself().config_epoch;
    cast.turn();
    cast.join(smaller);
    ping(&mut cast, smaller, &claims(smaller, epoch, []));
    assert_eq!(cast.member.table().myself().config_epoch, epoch, "it is the other one's turn");
    cast.join(larger);
    cast.turn();
    ping(&mut cast, larger, &replica_of(larger, FIRST));
    assert_eq!(cast.member.table().myself().config_epoch, epoch);
    ping(&mut cast, larger, &claims(larger, epoch, []));
    assert_eq!(cast.member.table().myself().config_epoch, epoch + 1);
    assert!(cast.synced().0.is_some_and(|text| text.contains(&format!("currentEpoch {} ", epoch + 1))));
    ping(&mut cast, FIRST, &claims(FIRST, epoch, []));
    assert_eq!(cast.member.table().myself().config_epoch, epoch + 1, "there is no collision any more");
}

#[test]
fn epochs_of_others_are_taken_over_and_an_own_one_never_sinks() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SIBLING]);
    assert_eq!(cast.member.epochs().current, 7);
    ping(&mut cast, FIRST, &Header { current_epoch: 20, config_epoch: 15, ..node(FIRST) });
    ping(&mut cast, FIRST, &Header { current_epoch: 3, config_epoch: 3, ..node(FIRST) });
    assert_eq!((cast.member.epochs().current, cast.known(FIRST).config_epoch), (20, 15));
}

/// The member and some siblings replicate the first primary; the second primary has no replica.
fn shard(own_seed_is_smallest: bool, settings: Settings) -> Cast {
    let mut cast = Cast::replica(settings);
    let own = cast.member.table().myself().id;
    let mut others = (20u64..).filter(|seed| (id(*seed) > own) == own_seed_is_smallest);
    for _ in 0..2 {
        let seed = others.next().expect("there are many");
        cast.join(seed);
        ping(&mut cast, seed, &replica_of(seed, FIRST));
    }
    // The sibling leaves the cluster, since its id may be smaller too.
    cast.member.forget(id(SIBLING).as_str(), cast.now).expect("it is known");
    // The second primary had a replica, which now replicates another primary.
    cast.join(19);
    ping(&mut cast, 19, &replica_of(19, SECOND));
    cast.says(SECOND, &node(SECOND), Body::Fail(id(19)));
    // The cluster is up only if all slots have an owner.
    for seed in [FIRST, SECOND, THIRD] {
        ping(&mut cast, seed, &node(seed));
    }
    cast
}

/// The time at which the member becomes a replica of the second primary.
fn moves_ms(mut cast: Cast) -> Option<u64> {
    let others: Vec<u64> = [FIRST, SECOND, THIRD].into();
    let mut moved = None;
    let begun_ms = cast.now.steady_ms;
    cast.pass(9000, &others, |ms, released| {
        let follows =
            released.effects.iter().any(|effect| matches!(effect, Effect::Follow { id: to, .. } if *to == id(SECOND)));
        if follows && moved.is_none() {
            moved = Some(ms + 100_000 - begun_ms);
        }
    });
    moved
}

#[test]
fn one_replica_moves_to_an_orphaned_primary_after_five_seconds() {
    let ms = moves_ms(shard(true, Settings::default())).expect("it can be spared");
    assert!((5000..7500).contains(&ms), "{ms}");
    assert_eq!(moves_ms(shard(false, Settings::default())), None, "another one goes");
    let barrier = |migration_barrier| Settings { migration_barrier, ..Settings::default() };
    assert!(moves_ms(shard(true, barrier(2))).is_some());
    assert_eq!(moves_ms(shard(true, barrier(3))), None, "all are needed");
    let never = Settings { allows_replica_migration: false, ..Settings::default() };
    assert_eq!(moves_ms(shard(true, never)), None);
    // `cluster-replica-no-failover` forbids failover, but not migration.
    let elsewhere = Settings { replica_never_fails_over: true, ..Settings::default() };
    assert!(moves_ms(shard(true, elsewhere)).is_some());
}

#[test]
fn primaries_that_never_had_replicas_attract_none() {
    let mut cast = shard(true, Settings::default());
    ping(&mut cast, 19, &replica_of(19, THIRD));
    assert!(!cast.known(SECOND).attracts_replicas && cast.known(THIRD).attracts_replicas);
    assert_eq!(moves_ms(cast), None);
}

#[test]
fn a_node_that_was_forgotten_is_told_of_and_not_brought_back_for_a_minute() {
    let mut cast = Cast::new(Settings::default(), &[FIRST, SECOND, SIBLING]);
    cast.member.forget(id(SIBLING).as_str(), cast.now).expect("it is known");
    let link = cast.inbound(FIRST);
    ping(&mut cast, FIRST, &node(FIRST));
    let told = frames(&cast.turn(), link).into_iter().flat_map(|(_, body)| match body {
        Body::Pong(gossip) => gossip.extensions,
        _ => Vec::new(),
    });
    let told: Vec<Extension> = told.collect();
    assert!(told.contains(&Extension::Forgotten { id: id(SIBLING), ttl_s: 60 }), "{told:?}");
    let is_known = |cast: &Cast| cast.member.table().find(&id(SIBLING)).is_some();
    cast.gossips(SECOND, SIBLING, Flags::default());
    assert!(!is_known(&cast));
    cast.now = later(59_900);
    cast.gossips(SECOND, SIBLING, Flags::default());
    assert!(!is_known(&cast));
    cast.now = later(60_100);
    cast.gossips(SECOND, SIBLING, Flags::default());
    assert!(is_known(&cast));
    // A peer has forgotten the node, so this member forgets it too, for the same time.
    let forgotten = |seed: u64, ttl_s| Gossip {
        entries: Vec::new(),
        extensions: vec![Extension::Forgotten { id: id(seed), ttl_s }],
    };
    cast.says(FIRST, &node(FIRST), Body::Ping(forgotten(SIBLING, 30)));
    assert!(!is_known(&cast));
    cast.now = later(90_000);
    cast.gossips(SECOND, SIBLING, Flags::default());
    assert!(!is_known(&cast));
    cast.now = later(90_200);
    cast.gossips(SECOND, SIBLING, Flags::default());
    assert!(is_known(&cast));
    let mut cast = Cast::replica(Settings::default());
    cast.says(SECOND, &node(SECOND), Body::Ping(forgotten(FIRST, 30)));
    assert!(cast.member.table().find(&id(FIRST)).is_some(), "a replica does not forget its primary");
}

#[test]
fn nodes_of_gossip_are_added_if_a_known_node_names_an_address() {
    let mut cast = Cast::new(Settings::default(), &[FIRST]);
    let is_known = |cast: &Cast, seed| cast.member.table().find(&id(seed)).is_some();
    let nowhere = crate::cluster::message::GossipEntry { address: String::new(), ..entry(30, Flags::default()) };
    cast.tells(FIRST, nowhere);
    cast.gossips(FIRST, 31, Flags::NO_ADDRESS);
    cast.gossips(FIRST, 32, Flags::HANDSHAKE);
    assert!((30..33).all(|seed| !is_known(&cast, seed)));
    let stranger = node(40);
    let gossip = Gossip { entries: vec![entry(33, Flags::default())], extensions: Vec::new() };
    for body in [Body::Ping(gossip.clone()), Body::Pong(gossip.clone()), Body::Meet(gossip)] {
        cast.says(FIRST, &stranger, body);
    }
    assert!(!is_known(&cast, 33) && !is_known(&cast, 40));
    cast.gossips(FIRST, 33, Flags::FAILED);
    assert!(is_known(&cast, 33) && cast.known(33).is_failed());
}
