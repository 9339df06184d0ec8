//! The metrics of replication, under the names of `redis_exporter`.

use crate::drive::info::replication::backlog;
use crate::drive::replication::primary;
use crate::replication::replicas::Replica;

use super::families::{Family, Samples, counter, gauge};
use super::text::Text;
use super::view::View;

/// The families of replication, behind those of everything else. Three counters are gauges, since `redis_exporter`
/// names them without the ending of a counter.
pub(crate) static FAMILIES: &[Family] = &[
    gauge(
        "redis_connected_slaves",
        "Replicas.",
        Samples::Count(|view| view.state.replication.primary.replicas.len() as u64),
    ),
    gauge(
        "redis_connected_slave_offset_bytes",
        "The byte of the stream that each replica has acknowledged.",
        Samples::Several(|view, name, text| of_replicas(view, name, text, |replica, _| replica.acked_offset as i64)),
    ),
    gauge(
        "redis_connected_slave_lag_seconds",
        "Since when nothing was heard of each replica.",
        Samples::Several(|view, name, text| of_replicas(view, name, text, Replica::lag_s)),
    ),
    gauge(
        "redis_master_repl_offset",
        "Number of the last byte of the replication stream.",
        Samples::Count(|view| view.state.replication_offset()),
    ),
    gauge(
        "redis_second_repl_offset",
        "The byte up to which the history before is shared; -1 if there is none.",
        Samples::Number(|view| view.state.replication.identity.second_offset as f64),
    ),
    gauge(
        "redis_repl_backlog_is_active",
        "Whether the stream is kept for replicas that come back.",
        Samples::Count(|view| view.state.replication.primary.backlog.is_some().into()),
    ),
    gauge(
        "redis_replication_backlog_bytes",
        "How much of the stream is to be kept.",
        Samples::Count(|view| primary::backlog_bytes(view.state)),
    ),
    gauge(
        "redis_repl_backlog_first_byte_offset",
        "The first byte of the stream that is at hand.",
        Samples::Count(|view| backlog(view.state).0),
    ),
    gauge(
        "redis_repl_backlog_history_bytes",
        "How much of the stream is at hand.",
        Samples::Count(|view| backlog(view.state).1),
    ),
    gauge(
        "redis_replica_resyncs_full",
        "Replicas that were sent all data.",
        Samples::Count(|view| view.state.stats.full_syncs),
    ),
    gauge(
        "redis_replica_partial_resync_accepted",
        "Replicas that went on from where they were.",
        Samples::Count(|view| view.state.stats.partial_syncs),
    ),
    gauge(
        "redis_replica_partial_resync_denied",
        "Replicas that could not go on from where they were.",
        Samples::Count(|view| view.state.stats.refused_partial_syncs),
    ),
    counter(
        "redis_net_repl_input_bytes_total",
        "Bytes received from the primary.",
        Samples::Count(|view| view.state.stats.replication_input_bytes),
    ),
    counter(
        "redis_net_repl_output_bytes_total",
        "Bytes sent to replicas.",
        Samples::Count(|view| view.state.stats.replication_output_bytes),
    ),
];

fn of_replicas(view: &View<'_>, name: &str, text: &mut Text, figure: impl Fn(&Replica, i64) -> i64) {
    let state = view.state;
    for replica in state.replication.primary.replicas.iter() {
        let Some(session) = state.clients.get(replica.client) else { continue };
        let host = primary::host_of(&replica.announced, session);
        let port = replica.announced.port.to_string();
        let labels = [("slave_ip", host.as_str()), ("slave_port", &port), ("slave_state", replica.state.name())];
        text.sample(name, &labels, figure(replica, state.now_ms()));
    }
}
