//! The table of metrics. Where the widely used `redis_exporter` has a name for a figure it has that name here, so that
//! existing dashboards and alerts work; what no other server has begins with `oneloop_`.

use crate::base::clock::Clock;
use crate::base::sys::resources::{ProcessorTime, Whose};
use crate::engine::memory_limit;
use crate::engine::pubsub::ChannelKind;
use crate::observe::command_stats::CommandCounts;
use crate::storage::aof::append_only::State;

use super::loop_samples::{
    write_database_times, write_disk_waits, write_job_steps, write_job_times, write_leaving, write_longest_steps,
    write_parts, write_phases, write_turns, write_user_times, write_waiting,
};
use super::samples::{
    write_errors, write_expiring_keys, write_instance, write_keys, write_spike_times, write_spikes, write_times_to_live,
};
use super::text::{Kind, Text, seconds};
use super::view::View;

/// A family of metrics: one name, and one sample or several that differ in their labels.
pub(crate) struct Family {
    pub name: &'static str,
    pub kind: Kind,
    pub help: &'static str,
    pub samples: Samples,
}

/// Where a family's samples come from.
pub(crate) enum Samples {
    /// A whole number.
    Count(fn(&View<'_>) -> u64),
    /// Any number.
    Number(fn(&View<'_>) -> f64),
    /// A time in ns, shown in seconds.
    Seconds(fn(&View<'_>) -> u64),
    /// Several, with labels.
    Several(fn(&View<'_>, &str, &mut Text)),
    /// One of each command that was used.
    OfCommands(fn(&CommandCounts, &Clock) -> String),
    /// The histogram of the times of each command.
    Latencies,
}

pub(super) const fn counter(name: &'static str, help: &'static str, samples: Samples) -> Family {
    Family { name, kind: Kind::Counter, help, samples }
}

pub(super) const fn gauge(name: &'static str, help: &'static str, samples: Samples) -> Family {
    Family { name, kind: Kind::Gauge, help, samples }
}

const fn histogram(name: &'static str, help: &'static str, samples: Samples) -> Family {
    Family { name, kind: Kind::Histogram, help, samples }
}

/// All families, in the order of the text.
pub(crate) static FAMILIES: &[Family] = &[
    gauge("redis_up", "Whether the server answers: always 1.", Samples::Count(|_| 1)),
    gauge("redis_instance_info", "What runs here.", Samples::Several(write_instance)),
    gauge(
        "redis_start_time_seconds",
        "When the server was started, since the epoch.",
        Samples::Number(|view| view.state.process.started_ms as f64 / 1000.0),
    ),
    gauge(
        "redis_uptime_in_seconds",
        "Seconds since the start.",
        Samples::Count(|view| ((view.state.now_ms() - view.state.process.started_ms).max(0) / 1000) as u64),
    ),
    counter(
        "redis_cpu_user_seconds_total",
        "Processor time of the process outside of the kernel.",
        Samples::Seconds(|view| processor(view).user_us * 1000),
    ),
    counter(
        "redis_cpu_sys_seconds_total",
        "Processor time of the process within the kernel.",
        Samples::Seconds(|view| processor(view).system_us * 1000),
    ),
    gauge(
        "redis_connected_clients",
        "Clients.",
        Samples::Count(|view| (view.state.clients.len() - view.state.replication.primary.replicas.len()) as u64),
    ),
    gauge(
        "redis_config_maxclients",
        "Clients that there may be.",
        Samples::Count(|view| view.state.config.maxclients.into()),
    ),
    gauge("redis_blocked_clients", "Clients that wait for something.", Samples::Count(|view| view.clients.blocked)),
    gauge(
        "redis_tracking_clients",
        "Clients with tracking enabled.",
        Samples::Count(|view| view.state.tracking.clients() as u64),
    ),
    gauge(
        "redis_pubsub_clients",
        "Clients that listen to channels.",
        Samples::Count(|view| view.state.pubsub.clients() as u64),
    ),
    gauge(
        "redis_watching_clients",
        "Clients that watch keys.",
        Samples::Count(|view| view.state.transactions.watches.counts().0 as u64),
    ),
    gauge(
        "redis_total_watched_keys",
        "Keys that clients watch.",
        Samples::Count(|view| view.state.transactions.watches.counts().1 as u64),
    ),
    gauge(
        "redis_total_blocking_keys",
        "Keys that clients wait for.",
        Samples::Count(|view| view.state.blocking.keys().0 as u64),
    ),
    gauge(
        "redis_clients_in_timeout_table",
        "Clients that wait until a deadline.",
        Samples::Count(|view| view.state.blocking.deadlines() as u64),
    ),
    counter(
        "redis_connections_received_total",
        "Connections that were made.",
        Samples::Count(|view| view.state.stats.connections),
    ),
    counter(
        "redis_rejected_connections_total",
        "Connections that were refused, for the most part as there were too many.",
        Samples::Count(|view| view.state.stats.rejected_connections),
    ),
    counter(
        "redis_evicted_clients_total",
        "Clients that were closed as all together held too much memory.",
        Samples::Count(|view| view.state.stats.evicted_clients),
    ),
    counter(
        "redis_client_query_buffer_limit_disconnections_total",
        "Clients that were closed for a request that was too large.",
        Samples::Count(|view| view.state.stats.client_query_buffer_limit_disconnections),
    ),
    counter(
        "redis_client_output_buffer_limit_disconnections_total",
        "Clients that were closed for not reading their replies.",
        Samples::Count(|view| view.state.stats.client_output_buffer_limit_disconnections),
    ),
    gauge(
        "redis_pubsub_channels",
        "Channels with subscribers.",
        Samples::Count(|view| view.state.pubsub.len(ChannelKind::Channel) as u64),
    ),
    gauge(
        "redis_pubsub_patterns",
        "Patterns with subscribers.",
        Samples::Count(|view| view.state.pubsub.len(ChannelKind::Pattern) as u64),
    ),
    gauge(
        "redis_pubsubshard_channels",
        "Sharded channels with subscribers.",
        Samples::Count(|view| view.state.pubsub.len(ChannelKind::ShardChannel) as u64),
    ),
    gauge(
        "redis_total_system_memory_bytes",
        "Memory of the machine.",
        Samples::Count(|view| view.state.machine.total_memory_bytes()),
    ),
    gauge("redis_memory_used_bytes", "Memory allocated.", Samples::Count(|view| view.state.used_memory() as u64)),
    gauge(
        "redis_memory_used_peak_bytes",
        "The most memory that was ever allocated.",
        Samples::Count(|view| view.state.stats.peak_memory_bytes.max(view.state.used_memory()) as u64),
    ),
    gauge(
        "redis_memory_used_startup_bytes",
        "Memory allocated when the server was ready.",
        Samples::Count(|view| view.state.process.startup_memory_bytes as u64),
    ),
    gauge(
        "redis_memory_used_rss_bytes",
        "Memory of the process in RAM.",
        Samples::Count(|view| view.state.stats.resident_bytes as u64),
    ),
    gauge(
        "redis_memory_max_bytes",
        "Memory that may be used; 0: no limit.",
        Samples::Count(|view| view.state.config.maxmemory),
    ),
    gauge(
        "redis_mem_clients_normal",
        "Memory of the clients, in bytes.",
        Samples::Count(|view| view.clients.memory_bytes),
    ),
    gauge(
        "redis_mem_not_counted_for_eviction_bytes",
        "Memory that does not count against the limit.",
        Samples::Count(|view| memory_limit::uncounted_memory(view.state) as u64),
    ),
    gauge(
        "redis_mem_fragmentation_ratio",
        "Memory in RAM for each byte allocated.",
        Samples::Number(|view| view.state.stats.resident_bytes as f64 / view.state.used_memory().max(1) as f64),
    ),
    gauge(
        "redis_lazyfree_pending_objects",
        "Values that wait to be freed.",
        Samples::Count(|view| view.state.keyspace.reclaim_pending() as u64),
    ),
    counter(
        "oneloop_lazyfreed_objects_total",
        "Values that were freed in the background.",
        Samples::Count(|view| view.state.keyspace.reclaimed()),
    ),
    gauge(
        "redis_memory_used_scripts_bytes",
        "Memory of scripts and functions, without their machines.",
        Samples::Count(|view| {
            (view.state.scripting.scripts.memory_bytes() + view.state.scripting.functions.memory_bytes()) as u64
        }),
    ),
    gauge(
        "redis_number_of_cached_scripts",
        "Scripts known by their digests.",
        Samples::Count(|view| view.state.scripting.scripts.len() as u64),
    ),
    gauge(
        "redis_number_of_functions",
        "Functions.",
        Samples::Count(|view| view.state.scripting.functions.functions() as u64),
    ),
    gauge(
        "redis_number_of_libraries",
        "Libraries of functions.",
        Samples::Count(|view| view.state.scripting.functions.len() as u64),
    ),
    gauge("redis_db_keys", "Keys of each database.", Samples::Several(write_keys)),
    gauge("redis_db_keys_expiring", "Keys of each database that expire.", Samples::Several(write_expiring_keys)),
    gauge(
        "redis_db_avg_ttl_seconds",
        "How long keys that expire have left, on an average.",
        Samples::Several(write_times_to_live),
    ),
    counter(
        "redis_keyspace_hits_total",
        "Lookups that found a key.",
        Samples::Count(|view| view.state.keyspace.stats.hits),
    ),
    counter(
        "redis_keyspace_misses_total",
        "Lookups that found none.",
        Samples::Count(|view| view.state.keyspace.stats.misses),
    ),
    counter(
        "redis_expired_keys_total",
        "Keys whose time was over.",
        Samples::Count(|view| view.state.keyspace.stats.expired_keys),
    ),
    counter(
        "redis_expired_subkeys_total",
        "Fields of hashes whose time was over.",
        Samples::Count(|view| view.state.keyspace.stats.expired_fields),
    ),
    gauge(
        "redis_expired_stale_percentage",
        "Estimated share of keys whose time is over and that are still there.",
        Samples::Number(|view| view.state.keyspace.expiry_stats.stale_percent),
    ),
    counter(
        "redis_expired_time_cap_reached_total",
        "Rounds of removing expired keys that ran out of time.",
        Samples::Count(|view| view.state.keyspace.expiry_stats.time_cap_reached),
    ),
    counter(
        "redis_evicted_keys_total",
        "Keys that were removed to make room.",
        Samples::Count(|view| view.state.keyspace.stats.evicted_keys),
    ),
    counter(
        "redis_eviction_exceeded_seconds_total",
        "Time with more memory in use than there may be.",
        Samples::Seconds(|view| memory_limit::memory_exceeded_ms(view.state).0 * 1_000_000),
    ),
    gauge(
        "redis_tracking_total_keys",
        "Keys remembered for clients that track.",
        Samples::Count(|view| view.state.tracking.counts().0 as u64),
    ),
    counter(
        "redis_commands_processed_total",
        "Commands that were run.",
        Samples::Count(|view| view.state.stats.commands),
    ),
    counter("redis_commands_total", "Calls of each command.", Samples::OfCommands(|stats, _| stats.calls.to_string())),
    counter(
        "redis_commands_duration_seconds_total",
        "Time that each command took.",
        Samples::OfCommands(|stats, clock| seconds(clock.ticks_as_nanos(stats.ticks))),
    ),
    counter(
        "redis_commands_failed_calls_total",
        "Calls of each command that ended in an error.",
        Samples::OfCommands(|stats, _| stats.failed_calls.to_string()),
    ),
    counter(
        "redis_commands_rejected_calls_total",
        "Calls of each command that were refused before it ran.",
        Samples::OfCommands(|stats, _| stats.rejected_calls.to_string()),
    ),
    histogram(
        "oneloop_command_duration_seconds",
        "How long each command took, while latency-tracking is on.",
        Samples::Latencies,
    ),
    counter("redis_errors_total", "Error replies of each kind.", Samples::Several(write_errors)),
    counter(
        "redis_acl_access_denied_auth_total",
        "Attempts to log in that failed.",
        Samples::Count(|view| view.state.stats.denied_logins),
    ),
    counter(
        "redis_acl_access_denied_cmd_total",
        "Requests refused because of the command.",
        Samples::Count(|view| view.state.stats.denied_commands),
    ),
    counter(
        "redis_acl_access_denied_key_total",
        "Requests refused because of a key.",
        Samples::Count(|view| view.state.stats.denied_keys),
    ),
    counter(
        "redis_acl_access_denied_channel_total",
        "Requests refused because of a channel.",
        Samples::Count(|view| view.state.stats.denied_channels),
    ),
    counter(
        "redis_acl_access_denied_db_total",
        "Requests refused because of a database.",
        Samples::Count(|view| view.state.stats.denied_databases),
    ),
    gauge(
        "redis_slowlog_length",
        "Entries of the slow log.",
        Samples::Count(|view| view.state.command_logs.slow.len() as u64),
    ),
    gauge(
        "redis_latency_spike_last",
        "When each event was last slow, in seconds since the epoch.",
        Samples::Several(write_spike_times),
    ),
    gauge(
        "redis_latency_spike_duration_seconds",
        "How long each event took when it was last slow.",
        Samples::Several(write_spikes),
    ),
    gauge(
        "redis_loading_dump_file",
        "Whether data are being loaded.",
        Samples::Count(|view| view.state.is_loading().into()),
    ),
    gauge(
        "redis_rdb_changes_since_last_save",
        "Changes that no snapshot has.",
        Samples::Count(|view| view.state.unsaved_changes()),
    ),
    gauge(
        "redis_rdb_bgsave_in_progress",
        "Whether a snapshot is being written.",
        Samples::Count(|view| view.state.saving.is_active().into()),
    ),
    gauge(
        "redis_rdb_last_save_timestamp_seconds",
        "When data were last saved, in seconds since the epoch.",
        Samples::Number(|view| view.state.saving.stats.last_save_seconds as f64),
    ),
    gauge(
        "redis_rdb_last_bgsave_status",
        "Whether the last snapshot succeeded.",
        Samples::Count(|view| (!view.state.saving.stats.last_failed).into()),
    ),
    gauge(
        "redis_rdb_last_bgsave_duration_sec",
        "How long the last snapshot took, in seconds; -1: there was none.",
        Samples::Number(|view| view.state.saving.stats.last_duration_seconds.unwrap_or(-1) as f64),
    ),
    gauge(
        "redis_rdb_last_cow_size_bytes",
        "Memory that the last snapshot had copied because it was changed meanwhile.",
        Samples::Count(|view| view.state.saving.stats.last_copied_bytes),
    ),
    counter(
        "oneloop_rdb_saves_total",
        "Snapshots that were written.",
        Samples::Count(|view| view.state.saving.stats.saves),
    ),
    gauge(
        "redis_aof_enabled",
        "Whether writes are appended to a file.",
        Samples::Count(|view| (view.state.aof.state() != State::Off).into()),
    ),
    gauge(
        "redis_aof_rewrite_in_progress",
        "Whether the append-only file is being written anew.",
        Samples::Count(|view| view.state.aof.is_rewriting().into()),
    ),
    gauge(
        "redis_aof_rewrite_scheduled",
        "Whether the append-only file is to be written anew.",
        Samples::Count(|view| view.state.aof.is_scheduled.into()),
    ),
    counter(
        "oneloop_aof_rewrites_total",
        "How often the append-only file was written anew.",
        Samples::Count(|view| view.state.aof.rewrites.rewrites),
    ),
    gauge(
        "redis_aof_last_rewrite_duration_sec",
        "How long that took the last time, in seconds; -1: there was none.",
        Samples::Number(|view| view.state.aof.rewrites.last_seconds.unwrap_or(-1) as f64),
    ),
    gauge(
        "redis_aof_last_bgrewrite_status",
        "Whether that succeeded the last time.",
        Samples::Count(|view| (!view.state.aof.rewrites.last_failed).into()),
    ),
    gauge(
        "redis_aof_last_write_status",
        "Whether the append-only file can be written to.",
        Samples::Count(|view| view.state.aof.denial().is_none().into()),
    ),
    gauge(
        "redis_aof_current_size_bytes",
        "Size of the append-only file.",
        Samples::Count(|view| view.state.aof.size_bytes()),
    ),
    gauge(
        "redis_aof_base_size_bytes",
        "Size of the append-only file when it was last written anew.",
        Samples::Count(|view| view.state.aof.base_bytes()),
    ),
    gauge(
        "redis_aof_buffer_length",
        "Bytes that wait to be written to the append-only file.",
        Samples::Count(|view| view.state.aof.buffered_bytes() as u64),
    ),
    counter(
        "oneloop_aof_delayed_fsyncs_total",
        "How often the disk kept writes waiting.",
        Samples::Count(|view| view.state.aof.stats.delayed_syncs),
    ),
    counter(
        "redis_net_input_bytes_total",
        "Bytes received from clients.",
        Samples::Count(|view| view.state.stats.input_bytes),
    ),
    counter(
        "redis_net_output_bytes_total",
        "Bytes sent to clients.",
        Samples::Count(|view| view.state.stats.output_bytes),
    ),
    counter(
        "redis_reads_processed_total",
        "Reads from clients' sockets.",
        Samples::Count(|view| view.state.stats.reads),
    ),
    counter(
        "redis_writes_processed_total",
        "Writes to clients' sockets.",
        Samples::Count(|view| view.state.stats.writes),
    ),
    counter("oneloop_loop_iterations_total", "Turns of the loop.", Samples::Count(|view| view.turns.turns)),
    counter("oneloop_loop_waiting_seconds_total", "Time within poll.", Samples::Seconds(|view| view.turns.waiting_ns)),
    counter(
        "oneloop_loop_phase_seconds_total",
        "Time outside of poll, by the phase of the turn.",
        Samples::Several(write_phases),
    ),
    counter(
        "oneloop_loop_part_seconds_total",
        "Time outside of poll and jobs, by what it was spent on.",
        Samples::Several(write_parts),
    ),
    histogram(
        "oneloop_waiting_seconds",
        "How long requests waited from the beginning of a turn until they ran.",
        Samples::Several(write_waiting),
    ),
    histogram(
        "oneloop_leaving_seconds",
        "How long replies waited until their sockets had taken them.",
        Samples::Several(write_leaving),
    ),
    histogram(
        "oneloop_disk_wait_seconds",
        "How long replies waited for the append-only file.",
        Samples::Several(write_disk_waits),
    ),
    counter(
        "oneloop_command_waiting_seconds_total",
        "How long the requests of each command waited from the beginning of a turn until they ran.",
        Samples::OfCommands(|stats, clock| seconds(clock.ticks_as_nanos(stats.waiting.ticks))),
    ),
    counter(
        "oneloop_command_leaving_seconds_total",
        "How long replies waited until their sockets had taken them, by the last command of each flush.",
        Samples::OfCommands(|stats, clock| seconds(clock.ticks_as_nanos(stats.leaving.ticks))),
    ),
    counter(
        "oneloop_command_disk_wait_seconds_total",
        "How long replies waited for the append-only file, by the last command of each flush.",
        Samples::OfCommands(|stats, clock| seconds(clock.ticks_as_nanos(stats.disk.ticks))),
    ),
    counter("oneloop_user_seconds_total", "Time that requests took, by the user.", Samples::Several(write_user_times)),
    counter(
        "oneloop_database_seconds_total",
        "Time that requests took, by the client's database.",
        Samples::Several(write_database_times),
    ),
    gauge(
        "oneloop_recorder_bytes",
        "Memory of the record of the loop's turns.",
        Samples::Count(|view| view.state.recorder.memory_bytes() as u64),
    ),
    histogram(
        "oneloop_loop_iteration_seconds",
        "How long the turns of the loop took, without poll.",
        Samples::Several(write_turns),
    ),
    gauge(
        "oneloop_loop_longest_iteration_seconds",
        "The longest turn.",
        Samples::Seconds(|view| view.turns.longest_turn_ns),
    ),
    gauge(
        "oneloop_loop_most_commands",
        "The most commands run in one turn.",
        Samples::Count(|view| view.turns.most_commands),
    ),
    counter("oneloop_job_seconds_total", "Time of background work, by the job.", Samples::Several(write_job_times)),
    counter("oneloop_job_steps_total", "Steps of background work, by the job.", Samples::Several(write_job_steps)),
    gauge("oneloop_job_longest_step_seconds", "The longest step of each job.", Samples::Several(write_longest_steps)),
    counter(
        "oneloop_job_budget_overruns_total",
        "Turns in which jobs overran their budget by more than half.",
        Samples::Count(|view| view.turns.job_overruns),
    ),
    gauge(
        "oneloop_job_longest_slice_seconds",
        "The longest time that jobs took in one turn.",
        Samples::Seconds(|view| view.turns.longest_jobs_ns),
    ),
    counter(
        "oneloop_appending_seconds_total",
        "Time of writing to the append-only file, within the phase `finishing`.",
        Samples::Seconds(|view| view.turns.appending_ns),
    ),
    counter("oneloop_cron_seconds_total", "Time of the housekeeping.", Samples::Seconds(|view| view.turns.cron_ns)),
];

fn processor(view: &View<'_>) -> ProcessorTime {
    view.state.machine.processor_time(Whose::Process)
}
