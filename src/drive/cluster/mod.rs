//! A member of a cluster: carries out the effects of the machine of `cluster`. Never decides what follows from a frame
//! or from time: the machine does.
//!
//! ```text
//! the start     open        nodes.conf is read and locked; a new one is made
//!               join        the data are loaded: the slots of the keys are claimed, the member takes part
//! the loop      bus::accept, bus::take_event      connections of the bus, frames
//!               run         the member's tick, ten times a second
//!               end_turn    saves nodes.conf if it has to be, then carries out what the turn has led to, then sends
//! commands      change      an administrator's command, with the end of the turn: it is saved before the reply leaves
//! a job         keys::delete_lost_step            keys in slots that another node owns
//! ```

pub mod bus;
mod effects;
pub mod handover;
pub mod keys;
pub mod migration;
mod start;

use crate::cluster::Member;
use crate::cluster::member::output::Durability;
use crate::cluster::member::{Replication, Settings, TICK_MS};
use crate::cluster::node::Now;
use crate::config::Config;
use crate::engine::cluster::Cluster;
use crate::engine::cluster_events;
use crate::engine::state::ServerState;

pub use start::{check, join, open};

/// The present, on both clocks.
pub fn now(state: &ServerState) -> Now {
    Now { steady_ms: state.clock.monotonic_us() / 1000, wall_ms: state.clock.now_ms() }
}

/// The settings of the member, whose bus listens on this port.
fn settings(config: &Config, bus_port: u16) -> Settings {
    let announced = |announced: u16, real: u16| if announced == 0 { real } else { announced };
    Settings {
        node_timeout_ms: config.cluster_node_timeout,
        ping_interval_ms: u64::from(config.cluster_ping_interval),
        is_tls: config.tls_cluster,
        plain_port: announced(config.cluster_announce_port, config.port),
        tls_port: announced(config.cluster_announce_tls_port, config.tls_port),
        bus_port: announced(config.cluster_announce_bus_port, bus_port),
        announced_ip: Some(config.cluster_announce_ip.clone()).filter(|ip| !ip.is_empty()),
        hostname: config.cluster_announce_hostname.clone(),
        human_name: config.cluster_announce_human_nodename.clone(),
        requires_full_coverage: config.cluster_require_full_coverage,
        allows_replica_migration: config.cluster_allow_replica_migration,
        migration_barrier: config.cluster_migration_barrier as usize,
        replica_validity_factor: u64::from(config.cluster_replica_validity_factor),
        replica_never_fails_over: config.cluster_replica_no_failover,
        replica_ping_period_ms: u64::from(config.repl_ping_replica_period) * 1000,
        manual_timeout_ms: u64::from(config.cluster_manual_failover_timeout),
        forgotten_for_ms: config.cluster_blacklist_ttl.saturating_mul(1000),
    }
}

/// Hands changed settings to the member.
pub fn configure(state: &mut ServerState) {
    if let Some(cluster) = &mut state.cluster {
        cluster.member.configure(settings(&state.config, cluster.bus_port));
        // Certificates may have changed.
        cluster.bus.connector = None;
    }
}

/// When the member's next tick is due, in ms since the epoch.
pub fn due_ms(state: &ServerState) -> Option<i64> {
    let cluster = state.cluster.as_ref().filter(|cluster| cluster.has_joined)?;
    let left_ms = cluster.tick_due_ms.saturating_sub(now(state).steady_ms);
    Some(state.now_ms().saturating_add(i64::try_from(left_ms).unwrap_or(i64::MAX)))
}

/// Gives the member its tick if that is due.
pub fn run(state: &mut ServerState) {
    let now = now(state);
    let Some(cluster) = state.cluster.as_mut().filter(|cluster| cluster.has_joined) else { return };
    if now.steady_ms >= cluster.tick_due_ms {
        cluster.tick_due_ms = now.steady_ms + TICK_MS;
        let replication = replication(state);
        if let Some(cluster) = &mut state.cluster {
            cluster.member.set_replication(replication);
            cluster.member.tick(now);
        }
        bus::close_over_limit(state);
        migration::run(state);
        // Slots of this shard may have left while this server follows another one.
        if state.replication.is_replica() {
            cluster_events::settle_clients(state);
        }
    }
}

/// The state of replication, for the member.
fn replication(state: &ServerState) -> Replication {
    let Some(side) = &state.replication.replica else {
        return Replication { offset: state.replication_offset(), data_age_ms: None, is_following: false };
    };
    let since_ms = match side.link.is_streaming() {
        true => Some(side.link.last_input_ms()),
        false => side.link.down_since_ms(),
    };
    Replication {
        offset: side.position().map_or(0, |position| position.offset),
        data_age_ms: since_ms.map(|since_ms| u64::try_from(state.now_ms() - since_ms).unwrap_or(0)),
        is_following: true,
    }
}

/// How far this server is in the stream.
pub fn replication_offset(state: &ServerState) -> u64 {
    replication(state).offset
}

/// Runs a command that changes the member, and ends the turn with it: the change is on the disk, and carried out,
/// before the command replies. None without cluster mode.
pub fn change<R>(state: &mut ServerState, change: impl FnOnce(&mut Member, Now) -> R) -> Option<R> {
    let now = now(state);
    let replication = replication(state);
    let cluster = state.cluster.as_mut()?;
    cluster.member.set_replication(replication);
    let result = change(&mut cluster.member, now);
    settle(state);
    cluster_events::settle_clients(state);
    Some(result)
}

/// Ends the turn for slots that move, and for the member.
pub fn end_turn(state: &mut ServerState) {
    state.clients.close_asked_later();
    migration::end_turn(state);
    settle(state);
}

/// Ends the member's turn: saves nodes.conf if needed, and carries out the turn's effects. A server that cannot save
/// ends: after a restart it would not know for whom it has voted.
fn settle(state: &mut ServerState) {
    let now = now(state);
    let replication = replication(state);
    let wake = state.wake.clone();
    let Some(cluster) = &mut state.cluster else { return };
    let Cluster { member, outgoing, file, has_joined, .. } = &mut **cluster;
    if !*has_joined {
        return;
    }
    for published in outgoing.drain(..) {
        member.publish(&published.channel, &published.message, published.is_sharded);
    }
    member.set_replication(replication);
    let output = member.end_turn(now);
    let is_busy = file.as_ref().is_some_and(|file| file.is_busy());
    if output.is_empty() && !is_busy {
        return;
    }
    let collected = file.as_mut().map_or(Ok(()), |file| file.collect(&wake));
    let released = collected.and_then(|()| {
        output.release(|text, durability| match (file, durability) {
            (Some(file), Durability::Synced) => file.save_now(text),
            (Some(file), Durability::Eventually) => file.save_soon(text.to_string(), wake),
            (None, _) => Ok(()),
        })
    });
    match released {
        Ok(released) => effects::carry_out(state, released),
        Err(error) => start::give_up(state, &error),
    }
}
