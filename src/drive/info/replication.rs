//! The section on replicas and primary: Replication.

use crate::drive::replication::{primary, replica_report};
use crate::engine::state::ServerState;
use crate::keyspace::Target;

use super::Field;
use crate::drive::info::snapshot::InfoSnapshot;

/// Section Replication: what is always there is in `lines`, too, since the order of the lines is Redis's.
pub(crate) static REPLICATION: &[Field] =
    &[Field::of("role", |info| if info.state.replication.is_replica() { "slave" } else { "master" }.to_string())];

/// The lines behind the role.
pub(crate) fn lines(info: &InfoSnapshot<'_>) -> Vec<(String, String)> {
    let state = info.state;
    let mut lines = replica_report::info(state);
    let mut add = |name: &str, value: String| lines.push((name.to_string(), value));
    add("connected_slaves", state.replication.primary.replicas.len().to_string());
    if state.config.min_replicas_to_write > 0 && state.config.min_replicas_max_lag > 0 {
        add("min_slaves_good_slaves", state.good_replicas().to_string());
    }
    for (index, line) in replicas(state).into_iter().enumerate() {
        add(&format!("slave{index}"), line);
    }
    let identity = &state.replication.identity;
    add("master_failover_state", state.replication.failover.state().to_string());
    add("master_replid", identity.id.to_string());
    add("master_replid2", identity.second_id.to_string());
    add("master_repl_offset", state.replication_offset().to_string());
    add("second_repl_offset", identity.second_offset.to_string());
    let (first, kept) = backlog(state);
    add("repl_backlog_active", u8::from(state.replication.primary.backlog.is_some()).to_string());
    add("repl_backlog_size", primary::backlog_bytes(state).to_string());
    add("repl_backlog_first_byte_offset", first.to_string());
    add("repl_backlog_histlen", kept.to_string());
    if state.config.repl_log_disk_size > 0 {
        let spill = state.replication.primary.spill.as_ref();
        add("repl_log_disk_bytes", spill.map_or(0, |spill| spill.disk_bytes()).to_string());
    }
    lines
}

/// The first byte of the stream that is at hand, and how many are.
pub(crate) fn backlog(state: &ServerState) -> (u64, u64) {
    let counts = state.keyspace.changes.propagation.log.kept_counts(Target::Replicas);
    match counts.filter(|_| state.replication.primary.backlog.is_some()) {
        Some((first, last)) => (first + 1, last - first),
        None => (0, 0),
    }
}

fn replicas(state: &ServerState) -> Vec<String> {
    let now_ms = state.now_ms();
    let all = state.replication.primary.replicas.iter();
    let lines = all.filter_map(|replica| {
        let session = state.clients.get(replica.client)?;
        let lag_s = if replica.state.is_online() { replica.lag_s(now_ms) } else { 0 };
        Some(format!(
            "ip={},port={},state={},offset={},lag={lag_s}",
            primary::host_of(&replica.announced, session),
            replica.announced.port,
            replica.state.name(),
            replica.acked_offset
        ))
    });
    lines.collect()
}
