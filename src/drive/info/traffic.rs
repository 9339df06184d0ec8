//! The sections on who asks and what is done: Clients, Stats, Debug.

use crate::engine::pubsub::Topic;
use crate::observe::loop_stats::{Job, Phase};
use crate::engine::session::{Blocked, Close};

use crate::drive::info::snapshot::Facts;
use super::Field;

/// Section Clients.
pub(crate) static CLIENTS: &[Field] = &[
    Field::of("connected_clients", |facts| {
        facts.instance.clients.len().to_string()
    }),
    Field::fixed("cluster_connections", "0"),
    Field::of("maxclients", |facts| {
        facts.instance.config.maxclients.to_string()
    }),
    Field::of("client_recent_max_input_buffer", |facts| {
        facts.instance.stats.recent_input_bytes.to_string()
    }),
    Field::of("client_recent_max_output_buffer", |facts| {
        facts.instance.stats.recent_output_bytes.to_string()
    }),
    Field::of("blocked_clients", |facts| {
        facts
            .sessions()
            .filter(|session| {
                let waits = !matches!(session.blocked, None | Some(Blocked::Script));
                waits && session.close != Close::Now
            })
            .count()
            .to_string()
    }),
    Field::of("tracking_clients", |facts| {
        facts.instance.tracking.clients().to_string()
    }),
    // As Redis 7.4 tells them.
    Field::of("pubsub_clients", |facts| {
        facts.instance.pubsub.clients().to_string()
    }),
    Field::of("watching_clients", |facts| {
        facts.instance.transactions.watches.counts().0.to_string()
    }),
    Field::of("total_watched_keys", |facts| {
        facts.instance.transactions.watches.counts().1.to_string()
    }),
    Field::of("clients_in_timeout_table", |facts| {
        facts.instance.blocking.deadlines().to_string()
    }),
    Field::of("total_blocking_keys", |facts| {
        facts.instance.blocking.keys().0.to_string()
    }),
    Field::of("total_blocking_keys_on_nokey", |facts| {
        facts.instance.blocking.keys().1.to_string()
    }),
];

/// Section Stats.
pub(crate) static STATS: &[Field] = &[
    Field::of("total_connections_received", |facts| {
        facts.instance.stats.connections.to_string()
    }),
    Field::of("total_commands_processed", |facts| {
        facts.instance.stats.commands.to_string()
    }),
    Field::of("instantaneous_ops_per_sec", |facts| {
        facts.instance.loop_figures.recent.commands.to_string()
    }),
    Field::of("total_net_input_bytes", |facts| {
        facts.instance.stats.input_bytes.to_string()
    }),
    Field::of("total_net_output_bytes", |facts| {
        facts.instance.stats.output_bytes.to_string()
    }),
    Field::fixed("total_net_repl_input_bytes", "0"),
    Field::fixed("total_net_repl_output_bytes", "0"),
    Field::of("instantaneous_input_kbps", |facts| {
        kibibytes(facts.instance.loop_figures.recent.input_bytes)
    }),
    Field::of("instantaneous_output_kbps", |facts| {
        kibibytes(facts.instance.loop_figures.recent.output_bytes)
    }),
    Field::fixed("instantaneous_input_repl_kbps", "0.00"),
    Field::fixed("instantaneous_output_repl_kbps", "0.00"),
    Field::of("rejected_connections", |facts| {
        facts.instance.stats.rejected_connections.to_string()
    }),
    Field::fixed("sync_full", "0"),
    Field::fixed("sync_partial_ok", "0"),
    Field::fixed("sync_partial_err", "0"),
    Field::of("expired_subkeys", |facts| {
        facts.instance.keyspace.stats.expired_fields.to_string()
    }),
    Field::of("expired_keys", |facts| {
        facts.instance.keyspace.stats.expired_keys.to_string()
    }),
    Field::of("expired_stale_perc", |facts| {
        format!("{:.2}", facts.instance.keyspace.expiry_stats.stale_percent)
    }),
    Field::of("expired_time_cap_reached_count", |facts| {
        facts
            .instance
            .keyspace
            .expiry_stats
            .time_cap_reached
            .to_string()
    }),
    Field::of("expire_cycle_cpu_milliseconds", |facts| {
        (facts.instance.loop_figures.job(Job::Expiry).sum_ns / 1_000_000).to_string()
    }),
    Field::of("evicted_keys", |facts| {
        facts.instance.keyspace.stats.evicted_keys.to_string()
    }),
    Field::of("evicted_clients", |facts| {
        facts.instance.stats.evicted_clients.to_string()
    }),
    Field::of("evicted_scripts", |facts| {
        facts.instance.scripting.evicted.to_string()
    }),
    Field::of("total_eviction_exceeded_time", |facts| {
        facts.instance.memory_exceeded_ms().0.to_string()
    }),
    Field::of("current_eviction_exceeded_time", |facts| {
        facts.instance.memory_exceeded_ms().1.to_string()
    }),
    Field::of("keyspace_hits", |facts| {
        facts.instance.keyspace.stats.hits.to_string()
    }),
    Field::of("keyspace_misses", |facts| {
        facts.instance.keyspace.stats.misses.to_string()
    }),
    Field::of("pubsub_channels", |facts| {
        facts.instance.pubsub.len(Topic::Channel).to_string()
    }),
    Field::of("pubsub_patterns", |facts| {
        facts.instance.pubsub.len(Topic::Pattern).to_string()
    }),
    Field::of("pubsubshard_channels", |facts| {
        facts.instance.pubsub.len(Topic::ShardChannel).to_string()
    }),
    Field::fixed("latest_fork_usec", "0"),
    Field::fixed("total_forks", "0"),
    Field::of("migrate_cached_sockets", |facts| {
        facts.instance.migrations.kept_sockets().to_string()
    }),
    Field::fixed("slave_expires_tracked_keys", "0"),
    Field::fixed("active_defrag_hits", "0"),
    Field::fixed("active_defrag_misses", "0"),
    Field::fixed("active_defrag_key_hits", "0"),
    Field::fixed("active_defrag_key_misses", "0"),
    Field::fixed("total_active_defrag_time", "0"),
    Field::fixed("current_active_defrag_time", "0"),
    Field::of("tracking_total_keys", |facts| {
        facts.instance.tracking.counts().0.to_string()
    }),
    Field::of("tracking_total_items", |facts| {
        facts.instance.tracking.counts().1.to_string()
    }),
    Field::of("tracking_total_prefixes", |facts| {
        facts.instance.tracking.counts().2.to_string()
    }),
    Field::fixed("unexpected_error_replies", "0"),
    Field::of("total_error_replies", |facts| {
        facts.instance.error_stats.total().to_string()
    }),
    Field::of("dump_payload_sanitizations", |facts| {
        facts.instance.stats.sanitized_payloads.to_string()
    }),
    Field::of("total_reads_processed", |facts| {
        facts.instance.stats.reads.to_string()
    }),
    Field::of("total_writes_processed", |facts| {
        facts.instance.stats.writes.to_string()
    }),
    Field::fixed("io_threaded_reads_processed", "0"),
    Field::fixed("io_threaded_writes_processed", "0"),
    Field::fixed("reply_buffer_shrinks", "0"),
    Field::fixed("reply_buffer_expands", "0"),
    Field::of("eventloop_cycles", |facts| {
        facts.instance.loop_figures.turns.to_string()
    }),
    Field::of("eventloop_duration_sum", |facts| {
        micros(facts.instance.loop_figures.busy_ns)
    }),
    Field::of("eventloop_duration_cmd_sum", |facts| {
        command_micros(facts).to_string()
    }),
    Field::of("eventloop_duration_serving_sum", |facts| {
        micros(facts.instance.loop_figures.phase_ns(Phase::Serving))
    }),
    Field::of("eventloop_duration_jobs_sum", |facts| {
        micros(facts.instance.loop_figures.phase_ns(Phase::Jobs))
    }),
    Field::of("eventloop_jobs_overruns", |facts| {
        facts.instance.loop_figures.job_overruns.to_string()
    }),
    Field::of("eventloop_jobs_max", |facts| {
        micros(facts.instance.loop_figures.longest_jobs_ns)
    }),
    Field::of("instantaneous_eventloop_cycles_per_sec", |facts| {
        facts.instance.loop_figures.recent.turns.to_string()
    }),
    Field::of("instantaneous_eventloop_duration_usec", |facts| {
        facts.instance.loop_figures.recent.turn_us.to_string()
    }),
    Field::of("acl_access_denied_auth", |facts| {
        facts.instance.stats.denied_logins.to_string()
    }),
    Field::of("acl_access_denied_cmd", |facts| {
        facts.instance.stats.denied_commands.to_string()
    }),
    Field::of("acl_access_denied_key", |facts| {
        facts.instance.stats.denied_keys.to_string()
    }),
    Field::of("acl_access_denied_channel", |facts| {
        facts.instance.stats.denied_channels.to_string()
    }),
    Field::of("acl_access_denied_tls_cert", |facts| {
        facts.instance.stats.denied_certificates.to_string()
    }),
];

/// Section Debug.
pub(crate) static DEBUG: &[Field] = &[
    Field::of("eventloop_duration_aof_sum", |facts| {
        micros(facts.instance.loop_figures.appending_ns)
    }),
    Field::of("eventloop_duration_cron_sum", |facts| {
        micros(facts.instance.loop_figures.cron_ns)
    }),
    Field::of("eventloop_duration_max", |facts| {
        micros(facts.instance.loop_figures.longest_turn_ns)
    }),
    Field::of("eventloop_cmd_per_cycle_max", |facts| {
        facts.instance.loop_figures.most_commands.to_string()
    }),
];

fn kibibytes(bytes: u64) -> String {
    format!("{:.2}", bytes as f64 / 1024.0)
}

fn micros(nanos: u64) -> String {
    (nanos / 1000).to_string()
}

/// Time that all commands took together, in µs.
fn command_micros(facts: &Facts<'_>) -> u64 {
    let instance = facts.instance;
    let ticks = instance
        .commands
        .iter()
        .map(|command| instance.command_stats.get(command.id).ticks)
        .sum();
    instance.clock.ticks_as_nanos(ticks) / 1000
}
