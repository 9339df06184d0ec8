//! Scenarios of a large cluster. `ONELOOP_CLUSTER_NODES=n` sets its size, which is 100 in `scripts/test long`.

use crate::cluster::member::Member;
use crate::cluster::tests::simulation::{MEMBERS, Plan, create, number, views};
use crate::cluster::tests::world::{Faults, World};

const TIMEOUT_MS: u64 = 5000;

/// Creates a cluster in which half of the nodes are primaries, each with a replica. Each scenario has its own seed.
fn cluster(story: u64) -> (World, usize) {
    let shards = number("ONELOOP_CLUSTER_NODES").map_or(10, |nodes| usize::try_from(nodes / 2).expect("some nodes"));
    let seed = number("ONELOOP_CLUSTER_FIRST").unwrap_or(0) * 10 + 700_000 + story;
    let plan = Plan { shards, timeout_ms: TIMEOUT_MS, starts_with_files: true, ..MEMBERS };
    (create(seed, plan), shards)
}

/// Waits until all members agree. Returns the time that it took.
fn settles(world: &mut World, within_ms: u64) -> u64 {
    let begun_ms = world.now_ms;
    while let Some(disagreement) = world.disagreement() {
        let waited_ms = world.now_ms - begun_ms;
        assert!(waited_ms < within_ms, "after {waited_ms} ms: {disagreement}\n{}", views(world));
        world.run(500);
    }
    world.now_ms - begun_ms
}

fn member(world: &World, index: usize) -> &Member {
    world.processes[index].member.as_ref().expect("it is up")
}

#[test]
fn a_fifth_of_the_primaries_die_at_once() {
    let (mut world, shards) = cluster(1);
    let dead = shards / 5;
    (0..dead).for_each(|index| world.crash(index));
    // The survivors may disagree about the dead nodes: it suffices that all slots are served.
    let is_served = |world: &World| world.alive().into_iter().all(|index| member(world, index).is_ok());
    let begun_ms = world.now_ms;
    world.run(TIMEOUT_MS * 2);
    while !is_served(&world) {
        // Elections with simultaneous requests may have to be repeated.
        assert!(world.now_ms - begun_ms < TIMEOUT_MS * 12, "{}", views(&world));
        world.run(500);
    }
    assert!(world.elections >= dead as u64);
    (0..dead).for_each(|index| world.start(index));
    settles(&mut world, TIMEOUT_MS * 10);
    assert!((0..dead).all(|index| !member(&world, index).table().myself().is_primary()));
}

#[test]
fn a_cluster_is_cut_in_two_and_made_whole() {
    let (mut world, shards) = cluster(2);
    let count = world.processes.len();
    // A minority of the primaries is cut off; their replicas are on the other side.
    let cut = (shards - 1) / 2;
    let is_cut = |index: usize| index < cut;
    for from in 0..count {
        for to in 0..count {
            world.blocked[from][to] = is_cut(from) != is_cut(to);
        }
    }
    world.run(TIMEOUT_MS * 12);
    for index in 0..count {
        assert_eq!(member(&world, index).is_ok(), !is_cut(index), "{index}");
    }
    world.blocked.iter_mut().for_each(|row| row.fill(false));
    settles(&mut world, TIMEOUT_MS * 10);
    assert!((0..cut).all(|index| !member(&world, index).table().myself().is_primary()));
}

#[test]
fn all_are_restarted_one_after_the_other_while_the_network_is_bad_and_clocks_jump() {
    let (mut world, _) = cluster(3);
    world.faults = Faults { frame_loss: 30, crash: 0, latency_max_ms: 200 };
    for index in 0..world.processes.len() {
        world.crash(index);
        world.run(200);
        if index % 3 == 0 {
            world.restore_older(index);
        }
        world.jump_wall_clock(index, if index % 2 == 0 { 3_600_000 } else { -3_600_000 });
        world.start(index);
        world.run(300);
    }
    world.faults = Faults { latency_max_ms: 5, ..Faults::default() };
    settles(&mut world, TIMEOUT_MS * 10);
}

#[test]
fn a_storm_of_introductions_changes_nothing_and_ends() {
    let (mut world, _) = cluster(4);
    let count = world.processes.len();
    let frames = world.frames;
    for index in 0..count {
        for other in 0..count {
            let ip = world.ip_of(other);
            world.command(index, |member, now| member.meet(&ip, 6379, None, now).expect("an address"));
        }
    }
    world.run(TIMEOUT_MS * 2);
    for index in 0..count {
        let table = member(&world, index).table();
        assert_eq!((table.len(), table.handshakes()), (count, 0), "{index}");
    }
    // Each introduction takes a MEET and its answer, and each node pings each other one four times meanwhile.
    let limit = (count * count * (2 + 8) * 2) as u64;
    assert!(world.frames - frames < limit, "{} frames", world.frames - frames);
    settles(&mut world, TIMEOUT_MS * 10);
}
