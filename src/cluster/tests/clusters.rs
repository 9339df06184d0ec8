//! Clusters of a few members: failover, replicas that move, partitions, forgotten nodes.

use crate::cluster::member::{AdminError, FailoverMode, Member, Settings};
use crate::cluster::node_id::NodeId;
use crate::cluster::slot::SLOTS;
use crate::cluster::tests::peers::id;
use crate::cluster::tests::world::World;

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

pub(super) fn settings() -> Settings {
    Settings { node_timeout_ms: 2000, replica_validity_factor: 0, ..Settings::default() }
}

pub(super) fn is_primary(world: &World, index: usize) -> bool {
    world.processes[index].member.as_ref().is_some_and(|member| member.table().myself().is_primary())
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
    // With the primary down the plain form is refused, the other forms are not.
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
    assert!(!is_ok(&world), "the others may have elected a replica");
    world.run(4000);
    assert!(is_ok(&world));
    // A primary that has just started also waits.
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
