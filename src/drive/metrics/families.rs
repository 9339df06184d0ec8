//! The table of metrics. Where the widely used `redis_exporter` has a name for a figure it has that name here, so that
//! existing dashboards and alerts work; what no other server has begins with `oneloop_`.

use crate::REDIS_VERSION;
use crate::base::clock::Clock;
use crate::base::sys::resources;
use crate::base::sys::resources::{ProcessorTime, Whose};
use crate::command::registry::Command;
use crate::config::Named;
use crate::engine::memory_limit;
use crate::engine::pubsub::ChannelKind;
use crate::engine::state::ServerState;
use crate::observe::command_stats::CommandCounts;
use crate::observe::loop_stats::{Job, LoopStats, Phase, TURN_CLASSES};
use crate::storage::aof::append_only::State;

use super::View;
use super::text::{Kind, Text, seconds};

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

/// Upper bounds of the classes of commands' times, in ns.
const LATENCY_BOUNDS_NS: [u64; 20] = [
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
];

/// Lengths of turns that are told apart in the metrics: the classes of 1 µs to 1 s.
const SHOWN_TURN_CLASSES: std::ops::RangeInclusive<usize> = 10..=30;

const fn counter(name: &'static str, help: &'static str, samples: Samples) -> Family {
    Family { name, kind: Kind::Counter, help, samples }
}

const fn gauge(name: &'static str, help: &'static str, samples: Samples) -> Family {
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
        Samples::Seconds(|_| processor().user_us * 1000),
    ),
    counter(
        "redis_cpu_sys_seconds_total",
        "Processor time of the process within the kernel.",
        Samples::Seconds(|_| processor().system_us * 1000),
    ),
    gauge("redis_connected_clients", "Clients.", Samples::Count(|view| view.state.clients.len() as u64)),
    gauge(
        "redis_config_maxclients",
        "Clients that there may be.",
        Samples::Count(|view| view.state.config.maxclients.into()),
    ),
    gauge("redis_blocked_clients", "Clients that wait for something.", Samples::Count(|view| view.clients.blocked)),
    gauge(
        "redis_tracking_clients",
        "Clients that are told of changes of what they have read.",
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
        "Channels that somebody listens to.",
        Samples::Count(|view| view.state.pubsub.len(ChannelKind::Channel) as u64),
    ),
    gauge(
        "redis_pubsub_patterns",
        "Patterns of channels that somebody listens to.",
        Samples::Count(|view| view.state.pubsub.len(ChannelKind::Pattern) as u64),
    ),
    gauge(
        "redis_pubsubshard_channels",
        "Sharded channels that somebody listens to.",
        Samples::Count(|view| view.state.pubsub.len(ChannelKind::ShardChannel) as u64),
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
    gauge("redis_slowlog_length", "Entries of the slow log.", Samples::Count(|view| view.state.slowlog.len() as u64)),
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
    counter("oneloop_loop_iterations_total", "Turns of the loop.", Samples::Count(|view| stats(view).turns)),
    counter("oneloop_loop_waiting_seconds_total", "Time within poll.", Samples::Seconds(|view| stats(view).waiting_ns)),
    counter(
        "oneloop_loop_phase_seconds_total",
        "Time outside of poll, by the phase of the turn.",
        Samples::Several(write_phases),
    ),
    histogram(
        "oneloop_loop_iteration_seconds",
        "How long the turns of the loop took, without poll.",
        Samples::Several(write_turns),
    ),
    gauge(
        "oneloop_loop_longest_iteration_seconds",
        "The longest turn.",
        Samples::Seconds(|view| stats(view).longest_turn_ns),
    ),
    gauge(
        "oneloop_loop_most_commands",
        "The most commands run in one turn.",
        Samples::Count(|view| stats(view).most_commands),
    ),
    counter("oneloop_job_seconds_total", "Time of background work, by the job.", Samples::Several(write_job_times)),
    counter("oneloop_job_steps_total", "Steps of background work, by the job.", Samples::Several(write_job_steps)),
    gauge("oneloop_job_longest_step_seconds", "The longest step of each job.", Samples::Several(write_longest_steps)),
    counter(
        "oneloop_job_budget_overruns_total",
        "Turns in which jobs overran their budget by more than half.",
        Samples::Count(|view| stats(view).job_overruns),
    ),
    gauge(
        "oneloop_job_longest_slice_seconds",
        "The longest time that jobs took in one turn.",
        Samples::Seconds(|view| stats(view).longest_jobs_ns),
    ),
    counter(
        "oneloop_appending_seconds_total",
        "Time of writing to the append-only file, within the phase `finishing`.",
        Samples::Seconds(|view| stats(view).appending_ns),
    ),
    counter("oneloop_cron_seconds_total", "Time of the housekeeping.", Samples::Seconds(|view| stats(view).cron_ns)),
];

fn stats<'a>(view: &'a View<'_>) -> &'a LoopStats {
    view.turns
}

fn processor() -> ProcessorTime {
    resources::processor_time(Whose::Process)
}

fn write_instance(view: &View<'_>, name: &str, text: &mut Text) {
    let state = view.state;
    let port = state.config.main_port().to_string();
    let labels = [
        ("role", "master"),
        ("redis_version", REDIS_VERSION),
        ("redis_mode", "standalone"),
        ("oneloop_version", env!("CARGO_PKG_VERSION")),
        ("os", &resources::operating_system()),
        ("maxmemory_policy", state.config.maxmemory_policy.name()),
        ("tcp_port", &port),
        ("run_id", &state.process.run_id),
        ("process_id", &std::process::id().to_string()),
    ];
    text.sample(name, &labels, 1);
}

/// A sample of each database with keys: what INFO's Keyspace shows.
fn write_databases(view: &View<'_>, name: &str, text: &mut Text, figure: impl Fn(&ServerState, usize) -> String) {
    let databases = view.state.keyspace.databases().enumerate();
    for (number, _) in databases.filter(|(_, database)| !database.is_empty()) {
        let label = format!("db{number}");
        text.sample(name, &[("db", &label)], figure(view.state, number));
    }
}

fn write_keys(view: &View<'_>, name: &str, text: &mut Text) {
    write_databases(view, name, text, |state, number| state.keyspace.database(number).len().to_string());
}

fn write_expiring_keys(view: &View<'_>, name: &str, text: &mut Text) {
    write_databases(view, name, text, |state, number| state.keyspace.database(number).volatile_len().to_string());
}

fn write_times_to_live(view: &View<'_>, name: &str, text: &mut Text) {
    write_databases(view, name, text, |state, number| {
        let average_ms = state.keyspace.average_ttl_ms(number);
        (average_ms as f64 / 1000.0).to_string()
    });
}

/// One line for each kind of error. A kind may come from a script, so there is a bound to their number, but none to their letters.
fn write_errors(view: &View<'_>, name: &str, text: &mut Text) {
    for (kind, count) in view.state.error_stats.kinds() {
        text.sample(name, &[("err", kind)], count);
    }
}

fn write_spike_times(view: &View<'_>, name: &str, text: &mut Text) {
    for (event, series) in &view.state.latency.events {
        let last_s = series.samples.back().map_or(0, |sample| sample.time_s);
        text.sample(name, &[("event_name", event)], last_s);
    }
}

fn write_spikes(view: &View<'_>, name: &str, text: &mut Text) {
    for (event, series) in &view.state.latency.events {
        let last_ms = series.samples.back().map_or(0, |sample| sample.latency_ms);
        let shown = seconds(last_ms.saturating_mul(1_000_000));
        text.sample(name, &[("event_name", event)], shown);
    }
}

fn write_phases(view: &View<'_>, name: &str, text: &mut Text) {
    for phase in Phase::ALL {
        let labels = [("phase", phase.name())];
        text.sample(name, &labels, seconds(stats(view).phase_ns(phase)));
    }
}

fn write_turns(view: &View<'_>, name: &str, text: &mut Text) {
    let stats = stats(view);
    let bound = |class: usize| match class {
        class if class < *SHOWN_TURN_CLASSES.start() => Some(1 << SHOWN_TURN_CLASSES.start()),
        class if SHOWN_TURN_CLASSES.contains(&class) => Some(1 << class),
        _ => None,
    };
    // What is below the first bound is shown with it.
    let (below, shown) = stats.turn_classes.split_at(*SHOWN_TURN_CLASSES.start());
    let mut below: u64 = below.iter().sum();
    let classes = (*SHOWN_TURN_CLASSES.start()..TURN_CLASSES).zip(shown);
    let classes = classes.map(|(class, count)| (bound(class), count + std::mem::take(&mut below)));
    text.histogram(name, &[], classes, stats.busy_ns);
}

fn write_job_times(view: &View<'_>, name: &str, text: &mut Text) {
    for job in Job::ALL {
        let labels = [("job", job.name())];
        text.sample(name, &labels, seconds(stats(view).job(job).sum_ns));
    }
}

fn write_job_steps(view: &View<'_>, name: &str, text: &mut Text) {
    for job in Job::ALL {
        text.sample(name, &[("job", job.name())], stats(view).job(job).steps);
    }
}

fn write_longest_steps(view: &View<'_>, name: &str, text: &mut Text) {
    for job in Job::ALL {
        let labels = [("job", job.name())];
        text.sample(name, &labels, seconds(stats(view).job(job).longest_step_ns));
    }
}

/// The histogram of a command's times; tells whether there is one. Its classes are those of the recorded times, about a hundredth
/// of them wide, so that a time is counted with the bound that it is just above of by less than that.
pub(crate) fn write_latencies(state: &ServerState, command: &Command, name: &str, text: &mut Text) -> bool {
    let Some(recorded) = &state.command_stats.get(command.id).latency else {
        return false;
    };
    let mut counts = [0u64; LATENCY_BOUNDS_NS.len() + 1];
    let (mut class, mut sum_ns) = (0, 0u64);
    for step in recorded.iter_recorded() {
        let (ticks, count) = (step.value_iterated_to(), step.count_at_value());
        let nanos = state.clock.ticks_as_nanos(recorded.median_equivalent(ticks));
        while LATENCY_BOUNDS_NS.get(class).is_some_and(|bound| nanos > *bound) {
            class += 1;
        }
        counts[class] += count;
        sum_ns = sum_ns.saturating_add(nanos.saturating_mul(count));
    }
    let bounds = LATENCY_BOUNDS_NS.iter().map(|bound| Some(*bound));
    let classes = bounds.chain([None]).zip(counts);
    let labels = [("cmd", command.full_name.as_str())];
    text.histogram(name, &labels, classes, sum_ns);
    true
}
