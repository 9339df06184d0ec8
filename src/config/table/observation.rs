//! Directives of the group "Observation": the slow log and latencies.

use super::super::declare::{boolean, integer, special};
use super::super::directive::Directive;
use super::super::effect::Effect;

/// Observation: the slow log and latencies.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "slowlog-log-slower-than",
        "10000",
        integer!(slowlog_log_slower_than, -1, i64::MAX),
        "Commands that take so many microseconds go into the slow log; 0 logs every one, a \
         negative number none.",
    )
    .effects(&[Effect::SlowThreshold]),
    Directive::new("slowlog-max-len", "128", integer!(slowlog_max_len, 0, i64::MAX), "Entries kept in the slow log.")
        .effects(&[Effect::SlowlogLength]),
    Directive::new(
        "slowlog-log-waiting",
        "no",
        boolean!(slowlog_log_waiting),
        "Oneloop-specific: entries of the slow log have a seventh element, the microseconds that the \
         command waited between the beginning of its turn of the loop and its run.",
    ),
    Directive::new(
        "loop-recorder-size",
        "16777216",
        integer!(loop_recorder_size, 0, i64::MAX, Memory),
        "Oneloop-specific: memory for the record of the loop's last turns, which LOOP shows. It is \
         taken as it fills, and does not count against maxmemory. A change forgets what was \
         recorded; 0 turns the recorder off.",
    )
    .effects(&[Effect::LoopRecorder]),
    Directive::new(
        "latency-monitor-threshold",
        "0",
        integer!(latency_monitor_threshold, 0, i64::MAX),
        "Events that take so many milliseconds are kept for LATENCY; 0 turns the monitor off.",
    )
    .effects(&[Effect::SlowThreshold]),
    Directive::new(
        "latency-tracking",
        "yes",
        boolean!(latency_tracking),
        "Keep a histogram of the run times of each command, for INFO latencystats and LATENCY \
         HISTOGRAM.",
    )
    .effects(&[Effect::CommandLatencies]),
    Directive::new(
        "latency-tracking-info-percentiles",
        "50 99 99.9",
        special!(Many, latency_tracking_info_percentiles),
        "Percentiles that INFO latencystats shows.",
    ),
    Directive::new(
        "metrics-port",
        "0",
        integer!(metrics_port, 0, u16::MAX),
        "Port on which Prometheus and its like get metrics by HTTP, at /metrics; 0 turns it off. \
         Of Oneloop alone. No password is asked for there, and nothing is encrypted.",
    )
    .effects(&[Effect::ListenMetrics]),
    Directive::new(
        "metrics-bind",
        "127.0.0.1 -::1",
        special!(Many, metrics_bind),
        "Addresses of that port, in the form of bind. Of Oneloop alone.",
    )
    .effects(&[Effect::BindMetrics]),
];
