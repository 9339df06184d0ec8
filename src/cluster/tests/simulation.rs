//! Simulated clusters with random faults, by seed. `promises.rs` checks the invariants at every moment; after the
//! faults all members have to agree, and every slot has to be served.
//!
//! `ONELOOP_CLUSTER_SEED=n` runs one seed, `ONELOOP_CLUSTER_SEEDS=n` runs n seeds of each test,
//! `ONELOOP_CLUSTER_FIRST=n` begins n seeds later; `TRACE=1` prints the members' log.

use crate::cluster::member::{FailoverMode, Member, Settings, SlotChange};
use crate::cluster::slot::{SLOTS, SlotSet};
use crate::cluster::tests::world::{Faults, World};

/// The faults and commands that may occur in a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    pub shards: usize,
    pub replicas: usize,
    pub timeout_ms: u64,
    pub rounds: usize,
    /// Partitions, resets and stalls.
    pub cuts: bool,
    pub crashes: bool,
    pub older_files: bool,
    pub lost_files: bool,
    /// Commands of an administrator, such as manual failovers.
    pub commands: bool,
    pub takeovers: bool,
    pub deaths: bool,
    /// One process of one shard stays dead, so that a single one is left.
    pub last_stand: bool,
    /// Processes restart at other addresses.
    pub moves: bool,
    /// The members know each other from the start.
    pub starts_with_files: bool,
}

pub const MEMBERS: Plan = Plan {
    shards: 3,
    replicas: 1,
    timeout_ms: 2000,
    rounds: 14,
    cuts: true,
    crashes: true,
    older_files: false,
    lost_files: false,
    commands: false,
    takeovers: false,
    deaths: false,
    last_stand: false,
    moves: false,
    starts_with_files: false,
};

fn slots_of(shard: usize, shards: usize) -> SlotSet {
    let bound = |shard: usize| u16::try_from(shard * usize::from(SLOTS) / shards).expect("a slot");
    (bound(shard)..bound(shard + 1)).collect()
}

/// Creates processes that have met, with slots and replicas.
pub fn create(seed: u64, plan: Plan) -> World {
    let settings = Settings { node_timeout_ms: plan.timeout_ms, replica_validity_factor: 0, ..Settings::default() };
    let count = plan.shards * (1 + plan.replicas);
    let mut world = World::new(seed, count, &settings);
    let settle = |index: usize, member: &mut Member| {
        if index < plan.shards {
            // If no tool assigns epochs, all begin with the same one.
            if plan.starts_with_files || !seed.is_multiple_of(4) {
                member.set_config_epoch(index as u64 + 1).expect("it is new");
            }
            member.add_slots(&slots_of(index, plan.shards)).expect("they are free");
        }
    };
    if plan.starts_with_files {
        world.start_with_files(settle);
        world.run(1000);
    } else {
        for index in 0..count {
            world.command(index, |member, _| settle(index, member));
        }
        let ip = world.ip_of(0);
        for index in 1..count {
            world.command(index, |member, now| member.meet(&ip, 6379, None, now).expect("an address"));
        }
        world.run(6000);
    }
    for index in plan.shards..count {
        let primary = world.id_of(index % plan.shards).expect("it is up");
        world.command(index, |member, _| member.replicate(primary.as_str(), true).expect("it is known"));
    }
    for _ in 0..20 {
        world.run(plan.timeout_ms / 2);
        if world.disagreement().is_none() {
            world.forget_older_files();
            return world;
        }
    }
    panic!("seed {seed}: no cluster came about: {:?}\n{}", world.disagreement(), views(&world));
}

pub fn views(world: &World) -> String {
    let mut text = String::new();
    for index in world.alive() {
        if let Some(member) = &world.processes[index].member {
            text.push_str(&format!(
                "--- {index} {:?}\n{}",
                member.epochs(),
                member.nodes_text(false, world.now_of(index))
            ));
        }
    }
    text
}

/// Causes one random fault, or runs one command of an administrator.
fn disturb(world: &mut World, plan: Plan) {
    let count = world.processes.len();
    let one = world.rng.usize(..count);
    let other = world.rng.usize(..count);
    match world.rng.u32(..20) {
        0 | 1 if plan.cuts => {
            // Some of the processes are cut off, perhaps in one direction only.
            let members: Vec<bool> = (0..count).map(|_| world.rng.u32(..3) == 0).collect();
            let is_one_way = world.rng.bool();
            for from in 0..count {
                for to in 0..count {
                    let is_cut = members[from] != members[to];
                    world.blocked[from][to] = is_cut && (members[from] || !is_one_way);
                }
            }
        }
        2 if plan.cuts => {
            for to in 0..count {
                world.blocked[one][to] = to != one;
            }
        }
        3 | 4 if plan.cuts => world.blocked.iter_mut().for_each(|row| row.fill(false)),
        5 if plan.cuts => world.reset_a_connection(),
        6 if plan.cuts => {
            let for_ms = world.rng.u64(..plan.timeout_ms * 3);
            world.stall(one, for_ms);
        }
        7 => {
            let by_ms = world.rng.i64(-100_000..100_000);
            world.jump_wall_clock(one, by_ms);
        }
        8 | 9 if plan.crashes => crash_one(world, one, plan),
        14 if plan.crashes => crash_one(world, one % plan.shards, plan),
        // A primary stalls for longer than a failover takes.
        15 if plan.cuts => world.stall(one % plan.shards, plan.timeout_ms * 4),
        10 if plan.crashes => (0..count).for_each(|index| world.start(index)),
        16 | 17 if plan.cuts => {
            // Two processes cannot reach each other, in one or in both directions.
            world.blocked[one][other] = one != other;
            world.blocked[other][one] = one != other && world.rng.bool();
        }
        18 if plan.moves => move_one(world, one, other),
        19 if plan.commands => introduce(world, one, other),
        11 | 12 if plan.commands => administrate(world, one, plan),
        13 if plan.commands && plan.takeovers => move_a_slot(world, one, other),
        _ => {}
    }
}

/// Restarts processes at other addresses. Most processes keep theirs: otherwise no member could tell the new addresses.
fn move_one(world: &mut World, one: usize, other: usize) {
    if world.moves + 2 > (world.processes.len() - 1) / 2 {
        return;
    }
    world.crash(one);
    if world.rng.bool() {
        world.move_away(one);
    } else {
        world.crash(other);
        world.exchange_addresses(one, other);
    }
    if world.rng.bool() {
        world.start(one);
        world.start(other);
    }
}

/// An administrator introduces nodes that already know each other, or a node that is down.
fn introduce(world: &mut World, one: usize, other: usize) {
    let ip = world.ip_of(other);
    for _ in 0..3 {
        world.command(one, |member, now| member.meet(&ip, 6379, None, now).expect("an address"));
    }
}

/// Whether a process can be lost without the slots of its shard: it has a replica that is up, or a primary that is up,
/// or neither slots nor a primary.
fn is_dispensable(world: &World, index: usize) -> bool {
    let Some(member) = &world.processes[index].member else { return false };
    let myself = member.table().myself();
    // A replica may be the last node of its shard.
    if let Some(primary) = myself.primary().and_then(|key| member.table().get(key)) {
        return world.index_of(primary.id).is_some();
    }
    let follows = |other: usize| {
        let other = world.processes[other].member.as_ref()?;
        Some(other.table().get(other.table().myself().primary()?)?.id)
    };
    myself.slots.is_empty() || world.alive().into_iter().any(|other| follows(other) == Some(myself.id))
}

fn crash_one(world: &mut World, index: usize, plan: Plan) {
    let is_dispensable = is_dispensable(world, index);
    // The next voter is lost only after the last lost one has been replaced: a majority has to remain.
    let is_voter =
        |index: usize| world.processes[index].member.as_ref().is_some_and(|member| member.table().myself().is_voter());
    let voters = (0..world.processes.len()).filter(|index| is_voter(*index)).count();
    let can_lose_a_voter = !is_voter(index) || voters >= plan.shards;
    world.processes[index].is_behind_proxy = world.rng.u32(..3) == 0;
    world.crash(index);
    if plan.older_files && world.rng.bool() {
        world.restore_older(index);
    } else if plan.lost_files && is_dispensable && can_lose_a_voter && world.rng.u32(..4) == 0 {
        world.lose_disk(index);
        world.start(index);
        rejoin(world, index);
    }
}

/// The administrator introduces a new node, which replaces a node that has lost its file.
fn rejoin(world: &mut World, index: usize) {
    let others: Vec<usize> = world.alive().into_iter().filter(|other| *other != index).collect();
    for other in others {
        let ip = world.ip_of(other);
        world.command(index, |member, now| member.meet(&ip, 6379, None, now).expect("an address"));
    }
}

fn administrate(world: &mut World, index: usize, plan: Plan) {
    let modes = [FailoverMode::Plain, FailoverMode::Force, FailoverMode::Takeover];
    let mode = modes[world.rng.usize(..if plan.takeovers { 3 } else { 2 })];
    // The command is refused if it is not possible in this state.
    let accepted = world.command(index, |member, now| {
        let primary = member.table().myself().primary().and_then(|key| member.table().get(key)).map(|node| node.id);
        member.failover(mode, now).ok().and(primary)
    });
    world.processes[index].has_caught_up = false;
    world.processes[index].plain_failover = accepted.flatten().filter(|_| mode == FailoverMode::Plain);
    world.command(index, |member, _| member.publish(b"channel", b"message", false));
}

fn move_a_slot(world: &mut World, source: usize, target: usize) {
    let Some((source_id, target_id)) = world.id_of(source).zip(world.id_of(target)) else { return };
    let Some(member) = &world.processes[source].member else { return };
    let slots: Vec<u16> = member.table().myself().slots.iter().take(5).collect();
    if member.table().myself().slots.len() < 10 {
        return;
    }
    for slot in slots {
        let set = |world: &mut World, at: usize, change: SlotChange<'_>| {
            world.command(at, |member, now| member.set_slot(slot, change, 0, false, now).is_ok()).unwrap_or(false)
        };
        let _ = set(world, target, SlotChange::Importing(source_id.as_str()))
            && set(world, source, SlotChange::Migrating(target_id.as_str()))
            && set(world, target, SlotChange::Node(target_id.as_str()))
            && set(world, source, SlotChange::Node(target_id.as_str()));
    }
}

/// Ends the faults: the network works, and all processes are up except those that stay dead.
fn heal(world: &mut World, plan: Plan) {
    world.blocked.iter_mut().for_each(|row| row.fill(false));
    world.faults = Faults { latency_max_ms: 5, ..Faults::default() };
    let dead = plan.last_stand.then(|| {
        let shard = world.rng.usize(..plan.shards);
        shard + if world.rng.bool() { plan.shards } else { 0 }
    });
    for index in 0..world.processes.len() {
        if Some(index) == dead {
            world.crash(index);
        } else {
            world.start(index);
        }
        world.stall(index, 0);
    }
    if plan.deaths {
        world.run(plan.timeout_ms * 8);
        let first = world.rng.usize(..world.processes.len());
        let mut deaths = 0;
        for step in 0..world.processes.len() {
            let index = (first + step) % world.processes.len();
            if deaths < (plan.shards - 1) / 2 && is_dispensable(world, index) {
                world.crash(index);
                deaths += 1;
            }
        }
    }
    // Repairs the cluster as an administration tool does.
    for index in world.alive() {
        world.command(index, |member, now| {
            let open: Vec<u16> =
                member.table().importing.keys().chain(member.table().migrating.keys()).copied().collect();
            for slot in open {
                member.set_slot(slot, SlotChange::Stable, 0, true, now).expect("it is always possible");
            }
        });
        if plan.lost_files {
            rejoin(world, index);
        }
    }
}

/// Forgets the dead nodes at all members, and checks that no member adds them again.
fn forget_the_dead(world: &mut World) {
    for index in world.alive() {
        let Some(member) = &world.processes[index].member else { continue };
        let known = member.table().iter().map(|(_, node)| node.id);
        let dead: Vec<_> = known.filter(|id| world.index_of(*id).is_none()).collect();
        for id in dead {
            // A peer's gossip may already have removed the node.
            world.command(index, |member, now| member.forget(id.as_str(), now).is_ok());
        }
    }
    for _ in 0..4 {
        world.run(20_000);
        let members = world.processes.iter().filter_map(|process| process.member.as_ref());
        assert!(members.map(|member| member.table().len()).all(|count| count == world.alive().len()), "one is back");
    }
}

/// Runs one seed. Panics if a promise is broken. Returns the number of elections won and of frames.
fn run(seed: u64, plan: Plan) -> (u64, u64) {
    let mut world = create(seed, plan);
    world.has_epochs_without_votes = plan.takeovers;
    world.has_spare_primaries = plan.lost_files;
    let crash = if plan.crashes { 5 } else { 0 };
    let frame_loss = if plan.cuts { world.rng.u32(..50) } else { 0 };
    world.faults = Faults { frame_loss, crash, latency_max_ms: world.rng.u64(1..300) };
    for _ in 0..plan.rounds {
        disturb(&mut world, plan);
        let for_ms = world.rng.u64(..plan.timeout_ms * 2);
        world.run(for_ms);
    }
    heal(&mut world, plan);
    let mut disagreement = None;
    for _ in 0..60 {
        world.run(plan.timeout_ms / 2);
        disagreement = world.disagreement();
        if disagreement.is_none() {
            break;
        }
    }
    if let Some(disagreement) = disagreement {
        panic!("seed {seed}: {disagreement}\n{}", views(&world));
    }
    if (plan.deaths || plan.last_stand) && seed.is_multiple_of(4) {
        forget_the_dead(&mut world);
    }
    (world.elections, world.frames)
}

/// An optional number from the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Runs these seeds, or those of the environment. Returns the number of elections per hundred seeds.
fn run_all(first: u64, seeds: u64, plan: Plan) -> u64 {
    let first = first + number("ONELOOP_CLUSTER_FIRST").unwrap_or(0);
    let seeds = first..first + number("ONELOOP_CLUSTER_SEEDS").unwrap_or(seeds);
    let seeds = number("ONELOOP_CLUSTER_SEED").map_or(seeds, |seed| seed..seed + 1);
    let (mut elections, mut frames, mut failed) = (0, 0, Vec::new());
    for seed in seeds.clone() {
        match std::panic::catch_unwind(|| run(seed, plan)) {
            Ok(counts) => {
                elections += counts.0;
                frames += counts.1;
            }
            Err(_) => failed.push(seed),
        }
    }
    assert!(failed.is_empty(), "the seeds {failed:?} fail with {plan:?}");
    println!("{elections} elections, {frames} frames");
    elections * 100 / (seeds.end - seeds.start)
}

#[test]
fn partitions_and_crashes() {
    assert!(run_all(0, 50, MEMBERS) > 50);
}

#[test]
fn failovers_on_demand() {
    assert!(run_all(100_000, 30, Plan { commands: true, replicas: 2, ..MEMBERS }) > 100);
}

#[test]
fn takeovers_and_slots_that_move() {
    run_all(200_000, 40, Plan { commands: true, takeovers: true, ..MEMBERS });
}

#[test]
fn deaths_for_good() {
    run_all(300_000, 20, Plan { deaths: true, shards: 4, ..MEMBERS });
}

#[test]
fn older_and_lost_files() {
    run_all(400_000, 40, Plan { older_files: true, lost_files: true, ..MEMBERS });
}

#[test]
fn the_last_one_of_a_shard() {
    assert!(run_all(500_000, 40, Plan { last_stand: true, ..MEMBERS }) > 50);
}

#[test]
fn other_addresses() {
    run_all(600_000, 40, Plan { moves: true, ..MEMBERS });
}
