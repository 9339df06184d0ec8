//! The sections on clients and their work: Clients, Stats, Debug.

use crate::drive::cluster::bus;
use crate::engine::memory_limit;
use crate::engine::pubsub::ChannelKind;
use crate::engine::session::{Blocked, Close};
use crate::observe::loop_stats::{Job, Phase};

use super::Field;
use crate::drive::info::snapshot::InfoSnapshot;

/// Section Clients.
pub(crate) static CLIENTS: &[Field] = &[
    Field::of("connected_clients", |info| {
        (info.state.clients.len() - info.state.replication.primary.replicas.len()).to_string()
    }),
    Field::of("cluster_connections", |info| bus::connections(info.state).to_string()),
    Field::of("maxclients", |info| info.state.config.maxclients.to_string()),
    Field::of("client_recent_max_input_buffer", |info| info.state.stats.recent_input_bytes.to_string()),
    Field::of("client_recent_max_output_buffer", |info| info.state.stats.recent_output_bytes.to_string()),
    Field::of("blocked_clients", |info| {
        info.sessions()
            .filter(|session| {
                let waits = !matches!(session.blocked, None | Some(Blocked::Script));
                waits && session.close != Close::Now
            })
            .count()
            .to_string()
    }),
    Field::of("tracking_clients", |info| info.state.tracking.clients().to_string()),
    // As Redis 7.4 tells them.
    Field::of("pubsub_clients", |info| info.state.pubsub.clients().to_string()),
    Field::of("watching_clients", |info| info.state.transactions.watches.counts().0.to_string()),
    Field::of("total_watched_keys", |info| info.state.transactions.watches.counts().1.to_string()),
    Field::of("clients_in_timeout_table", |info| info.state.blocking.deadlines().to_string()),
    Field::of("total_blocking_keys", |info| info.state.blocking.keys().0.to_string()),
    Field::of("total_blocking_keys_on_nokey", |info| info.state.blocking.keys().1.to_string()),
];

/// Section Stats.
pub(crate) static STATS: &[Field] = &[
    Field::of("total_connections_received", |info| info.state.stats.connections.to_string()),
    Field::of("total_commands_processed", |info| info.state.stats.commands.to_string()),
    Field::of("instantaneous_ops_per_sec", |info| info.state.loop_stats.recent.commands.to_string()),
    Field::of("total_net_input_bytes", |info| info.state.stats.input_bytes.to_string()),
    Field::of("total_net_output_bytes", |info| info.state.stats.output_bytes.to_string()),
    Field::of("total_net_repl_input_bytes", |info| info.state.stats.replication_input_bytes.to_string()),
    Field::of("total_net_repl_output_bytes", |info| info.state.stats.replication_output_bytes.to_string()),
    Field::of("instantaneous_input_kbps", |info| kibibytes(info.state.loop_stats.recent.input_bytes)),
    Field::of("instantaneous_output_kbps", |info| kibibytes(info.state.loop_stats.recent.output_bytes)),
    Field::of("instantaneous_input_repl_kbps", |info| kibibytes(info.state.loop_stats.recent.replication_input_bytes)),
    Field::of("instantaneous_output_repl_kbps", |info| {
        kibibytes(info.state.loop_stats.recent.replication_output_bytes)
    }),
    Field::of("rejected_connections", |info| info.state.stats.rejected_connections.to_string()),
    Field::of("sync_full", |info| info.state.stats.full_syncs.to_string()),
    Field::of("sync_partial_ok", |info| info.state.stats.partial_syncs.to_string()),
    Field::of("sync_partial_err", |info| info.state.stats.refused_partial_syncs.to_string()),
    Field::of("expired_subkeys", |info| info.state.keyspace.stats.expired_fields.to_string()),
    Field::of("expired_keys", |info| info.state.keyspace.stats.expired_keys.to_string()),
    Field::of("expired_stale_perc", |info| format!("{:.2}", info.state.keyspace.expiry_stats.stale_percent)),
    Field::of("expired_time_cap_reached_count", |info| info.state.keyspace.expiry_stats.time_cap_reached.to_string()),
    Field::of("expire_cycle_cpu_milliseconds", |info| {
        (info.state.loop_stats.job(Job::Expiry).sum_ns / 1_000_000).to_string()
    }),
    Field::of("evicted_keys", |info| info.state.keyspace.stats.evicted_keys.to_string()),
    Field::of("evicted_clients", |info| info.state.stats.evicted_clients.to_string()),
    Field::of("evicted_scripts", |info| info.state.scripting.evicted.to_string()),
    Field::of("total_eviction_exceeded_time", |info| memory_limit::memory_exceeded_ms(info.state).0.to_string()),
    Field::of("current_eviction_exceeded_time", |info| memory_limit::memory_exceeded_ms(info.state).1.to_string()),
    Field::of("keyspace_hits", |info| info.state.keyspace.stats.hits.to_string()),
    Field::of("keyspace_misses", |info| info.state.keyspace.stats.misses.to_string()),
    Field::of("pubsub_channels", |info| info.state.pubsub.len(ChannelKind::Channel).to_string()),
    Field::of("pubsub_patterns", |info| info.state.pubsub.len(ChannelKind::Pattern).to_string()),
    Field::of("pubsubshard_channels", |info| info.state.pubsub.len(ChannelKind::ShardChannel).to_string()),
    Field::fixed("latest_fork_usec", "0"),
    Field::fixed("total_forks", "0"),
    Field::of("migrate_cached_sockets", |info| info.state.outbounds.parked_count().to_string()),
    Field::of("slave_expires_tracked_keys", |info| info.state.keyspace.own_expiries().to_string()),
    Field::fixed("active_defrag_hits", "0"),
    Field::fixed("active_defrag_misses", "0"),
    Field::fixed("active_defrag_key_hits", "0"),
    Field::fixed("active_defrag_key_misses", "0"),
    Field::fixed("total_active_defrag_time", "0"),
    Field::fixed("current_active_defrag_time", "0"),
    Field::of("tracking_total_keys", |info| info.state.tracking.counts().0.to_string()),
    Field::of("tracking_total_items", |info| info.state.tracking.counts().1.to_string()),
    Field::of("tracking_total_prefixes", |info| info.state.tracking.counts().2.to_string()),
    Field::of("unexpected_error_replies", |info| info.state.stats.unexpected_errors.to_string()),
    Field::of("total_error_replies", |info| info.state.error_stats.total().to_string()),
    Field::of("dump_payload_sanitizations", |info| info.state.stats.sanitized_payloads.to_string()),
    Field::of("total_reads_processed", |info| info.state.stats.reads.to_string()),
    Field::of("total_writes_processed", |info| info.state.stats.writes.to_string()),
    Field::fixed("io_threaded_reads_processed", "0"),
    Field::fixed("io_threaded_writes_processed", "0"),
    Field::fixed("reply_buffer_shrinks", "0"),
    Field::fixed("reply_buffer_expands", "0"),
    Field::of("eventloop_cycles", |info| info.state.loop_stats.turns.to_string()),
    Field::of("eventloop_duration_sum", |info| micros(info.state.loop_stats.busy_ns)),
    Field::of("eventloop_duration_cmd_sum", |info| command_micros(info).to_string()),
    Field::of("eventloop_duration_serving_sum", |info| micros(info.state.loop_stats.phase_ns(Phase::Serving))),
    Field::of("eventloop_duration_jobs_sum", |info| micros(info.state.loop_stats.phase_ns(Phase::Jobs))),
    Field::of("eventloop_jobs_overruns", |info| info.state.loop_stats.job_overruns.to_string()),
    Field::of("eventloop_jobs_max", |info| micros(info.state.loop_stats.longest_jobs_ns)),
    Field::of("eventloop_waiting_sum", |info| micros(info.state.recorder.waiting.sum_ns)),
    Field::of("eventloop_waiting_max", |info| micros(info.state.recorder.waiting.longest_ns)),
    Field::of("instantaneous_eventloop_cycles_per_sec", |info| info.state.loop_stats.recent.turns.to_string()),
    Field::of("instantaneous_eventloop_duration_usec", |info| info.state.loop_stats.recent.turn_us.to_string()),
    Field::of("acl_access_denied_auth", |info| info.state.stats.denied_logins.to_string()),
    Field::of("acl_access_denied_cmd", |info| info.state.stats.denied_commands.to_string()),
    Field::of("acl_access_denied_key", |info| info.state.stats.denied_keys.to_string()),
    Field::of("acl_access_denied_channel", |info| info.state.stats.denied_channels.to_string()),
    Field::of("acl_access_denied_tls_cert", |info| info.state.stats.denied_certificates.to_string()),
    Field::of("acl_access_denied_db", |info| info.state.stats.denied_databases.to_string()),
];

/// Section Debug.
pub(crate) static DEBUG: &[Field] = &[
    Field::of("eventloop_duration_aof_sum", |info| micros(info.state.loop_stats.appending_ns)),
    Field::of("eventloop_duration_cron_sum", |info| micros(info.state.loop_stats.cron_ns)),
    Field::of("eventloop_duration_max", |info| micros(info.state.loop_stats.longest_turn_ns)),
    Field::of("eventloop_cmd_per_cycle_max", |info| info.state.loop_stats.most_commands.to_string()),
];

fn kibibytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1024.0)
}

fn micros(nanos: u64) -> String {
    (nanos / 1000).to_string()
}

/// Time that all commands took together, in µs.
fn command_micros(info: &InfoSnapshot<'_>) -> u64 {
    let state = info.state;
    let ticks = state.commands.iter().map(|command| state.command_stats.get(command.id).ticks).sum();
    state.clock.ticks_as_nanos(ticks) / 1000
}
