//! The start of a member: its file, and the slots of its loaded keys.

use std::io;
use std::path::Path;

use crate::cluster::nodes_file::read_file;
use crate::cluster::{Member, NodeId};
use crate::config::{Config, PrimaryAddress, system_reason};
use crate::drive::cluster::{end_turn, keys, migration, now, settings};
use crate::engine::cluster::Cluster;
use crate::engine::state::ServerState;
use crate::storage::file::{KeptFile, OpenError};

/// Whether a server can be a member with these settings.
///
/// Errors: the text to log before giving up.
pub fn check(config: &Config) -> Result<(), String> {
    if !config.cluster_enabled {
        return Ok(());
    }
    let (directive, port) = if config.tls_cluster { ("tls-port", config.tls_port) } else { ("port", config.port) };
    if port == 0 {
        return Err(format!("A node of a cluster needs a port that other nodes know it by: set {directive}."));
    }
    if config.bus_port() == 0 {
        return Err(format!(
            "The port of the cluster bus, {directive} + 10000, would be above 65535: set {directive} below 55536, or \
             set cluster-port."
        ));
    }
    if config.bind.is_empty() {
        return Err("No bind address is configured, but it is required for the Cluster bus.".to_string());
    }
    Ok(())
}

/// Reads and locks nodes.conf, or makes a new one. Without cluster mode nothing happens.
///
/// Errors: the text to log before giving up.
pub fn open(state: &mut ServerState) -> Result<(), String> {
    check(&state.config)?;
    if !state.config.cluster_enabled {
        return Ok(());
    }
    let name = state.config.cluster_config_file.clone();
    let (file, content) = KeptFile::open(&state.disk, Path::new(&name)).map_err(|error| match error {
        OpenError::InUse => format!(
            "Sorry, the cluster configuration file {name} is already used by a different Redis Cluster node. Please \
             make sure that different nodes use different cluster configuration files."
        ),
        OpenError::System(error) => format!("Can't open the cluster configuration file {name}: {}", reason(&error)),
    })?;
    let settings = settings(&state.config, state.config.bus_port());
    let mut random = fastrand::Rng::with_seed(state.random.u64(..));
    let now = now(state);
    let member = if content.is_empty() {
        let member = Member::new(settings, random, now);
        log::info!("No cluster configuration found, I'm {}", member.table().myself().id);
        member
    } else {
        let damaged =
            |reason: String| format!("Unrecoverable error: corrupted cluster config file \"{name}\": {reason}");
        let text = std::str::from_utf8(&content).map_err(|_| damaged("it is no text".to_string()))?;
        let read = read_file(text, settings.is_tls, now, || NodeId::random(&mut random));
        let (table, epochs) = read.map_err(|damage| damaged(damage.to_string()))?;
        log::info!("Node configuration loaded, I'm {}", table.myself().id);
        Member::resume(settings, random, table, epochs)
    };
    follow_known_primary(state, &member);
    let mut cluster = Cluster::new(member);
    cluster.file = Some(file);
    cluster.bus_port = state.config.bus_port();
    state.join_cluster(cluster);
    Ok(())
}

/// A replica follows its primary as soon as its data are loaded, and leaves expired keys to it.
fn follow_known_primary(state: &mut ServerState, member: &Member) {
    let primary = member.table().myself().primary().and_then(|primary| member.table().get(primary));
    let Some(address) = primary.map(|primary| &primary.address).filter(|address| !address.ip.is_empty()) else {
        return;
    };
    let port = address.base_port(state.config.tls_replication);
    state.config.replicaof = Some(PrimaryAddress { host: address.ip.clone(), port });
}

/// The data are loaded: from here on the member takes part. Slots that have keys here and no owner become its own.
pub fn join(state: &mut ServerState) {
    if state.cluster.is_none() {
        return;
    }
    let unfinished = migration::import::on_loaded(state);
    let with_keys = keys::slots_with_keys(state).difference(&unfinished).collect();
    let now = now(state);
    if let Some(cluster) = &mut state.cluster {
        cluster.has_joined = true;
        cluster.tick_due_ms = now.steady_ms;
        cluster.member.adopt_loaded(&with_keys);
    }
    end_turn(state);
}

/// Nothing can be saved any more: the server ends, since its peers may not see what a restart would forget.
pub(super) fn give_up(state: &ServerState, error: &io::Error) {
    log::error!("Fatal: can't update cluster config file: {}", reason(error));
    state.disk.files().end_process();
}

fn reason(error: &io::Error) -> String {
    system_reason(error)
}
