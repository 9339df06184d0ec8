//! Families of several samples, which differ in their labels: one of each database, kind of error, command or job.

use crate::REDIS_VERSION;
use crate::command::registry::Command;
use crate::config::Named;
use crate::drive::info::machine::mode;
use crate::engine::state::ServerState;

use super::text::{Text, seconds};
use super::view::View;

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

pub(super) fn write_instance(view: &View<'_>, name: &str, text: &mut Text) {
    let state = view.state;
    let port = state.config.main_port().to_string();
    let labels = [
        ("role", if state.replication.is_replica() { "slave" } else { "master" }),
        ("redis_version", REDIS_VERSION),
        ("redis_mode", mode(state)),
        ("oneloop_version", env!("CARGO_PKG_VERSION")),
        ("os", &state.machine.operating_system()),
        ("maxmemory_policy", state.config.maxmemory_policy.name()),
        ("tcp_port", &port),
        ("run_id", &state.process.run_id),
        ("process_id", &state.machine.process_id().to_string()),
    ];
    text.sample(name, &labels, 1);
}

/// A sample of each database with keys: what INFO's Keyspace shows.
fn write_databases(view: &View<'_>, name: &str, text: &mut Text, figure: impl Fn(&ServerState, usize) -> String) {
    let databases = view.state.keyspace.databases().enumerate();
    for (number, _) in databases.filter(|(number, _)| view.state.keyspace.visible_len(*number) > 0) {
        let label = format!("db{number}");
        text.sample(name, &[("db", &label)], figure(view.state, number));
    }
}

pub(super) fn write_keys(view: &View<'_>, name: &str, text: &mut Text) {
    write_databases(view, name, text, |state, number| state.keyspace.visible_len(number).to_string());
}

pub(super) fn write_expiring_keys(view: &View<'_>, name: &str, text: &mut Text) {
    write_databases(view, name, text, |state, number| state.keyspace.visible_volatile_len(number).to_string());
}

pub(super) fn write_times_to_live(view: &View<'_>, name: &str, text: &mut Text) {
    write_databases(view, name, text, |state, number| {
        let average_ms = state.keyspace.average_ttl_ms(number);
        (average_ms as f64 / 1000.0).to_string()
    });
}

/// One line for each kind of error. A kind may come from a script, so there is a bound to their number, but none to
/// their letters.
pub(super) fn write_errors(view: &View<'_>, name: &str, text: &mut Text) {
    for (kind, count) in view.state.error_stats.kinds() {
        text.sample(name, &[("err", kind)], count);
    }
}

pub(super) fn write_spike_times(view: &View<'_>, name: &str, text: &mut Text) {
    for (event, series) in &view.state.latency.events {
        let last_s = series.samples.back().map_or(0, |sample| sample.time_s);
        text.sample(name, &[("event_name", event)], last_s);
    }
}

pub(super) fn write_spikes(view: &View<'_>, name: &str, text: &mut Text) {
    for (event, series) in &view.state.latency.events {
        let last_ms = series.samples.back().map_or(0, |sample| sample.latency_ms);
        let shown = seconds(last_ms.saturating_mul(1_000_000));
        text.sample(name, &[("event_name", event)], shown);
    }
}

/// The histogram of a command's times; tells whether there is one. Its classes are those of the recorded times, about a
/// hundredth of them wide, so that a time is counted with the bound that it is just above of by less than that.
pub(super) fn write_latencies(state: &ServerState, command: &Command, name: &str, text: &mut Text) -> bool {
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
