//! Directives of the group "Observation": the command logs and latencies.

use super::super::checks;
use super::super::declare::{boolean, integer, special, text};
use super::super::directive::Directive;
use super::super::effect::Effect;

/// Observation: the command logs and latencies.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "slowlog-log-slower-than",
        "10000",
        integer!(slowlog_log_slower_than, -1, i64::MAX),
        "Commands that take so many microseconds go into the slow log; 0 logs every one, a \
         negative number none.",
    )
    .alias("commandlog-execution-slower-than")
    .effects(&[Effect::SlowThreshold]),
    Directive::new("slowlog-max-len", "128", integer!(slowlog_max_len, 0, i64::MAX), "Entries kept in the slow log.")
        .alias("commandlog-slow-execution-max-len")
        .effects(&[Effect::CommandLogs]),
    Directive::new(
        "commandlog-request-larger-than",
        "1048576",
        integer!(commandlog_request_larger_than, -1, i64::MAX),
        "Commands whose request has so many bytes go into the log of large requests (COMMANDLOG); 0 logs \
         every one, -1 none.",
    )
    .effects(&[Effect::CommandLogs]),
    Directive::new(
        "commandlog-large-request-max-len",
        "128",
        integer!(commandlog_large_request_max_len, 0, i64::MAX),
        "Entries kept in the log of large requests.",
    )
    .effects(&[Effect::CommandLogs]),
    Directive::new(
        "commandlog-reply-larger-than",
        "1048576",
        integer!(commandlog_reply_larger_than, -1, i64::MAX),
        "Commands whose reply has so many bytes go into the log of large replies (COMMANDLOG); 0 logs every \
         one, -1 none.",
    )
    .effects(&[Effect::CommandLogs]),
    Directive::new(
        "commandlog-large-reply-max-len",
        "128",
        integer!(commandlog_large_reply_max_len, 0, i64::MAX),
        "Entries kept in the log of large replies.",
    )
    .effects(&[Effect::CommandLogs]),
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
        "http-port",
        "0",
        integer!(http_port, 0, u16::MAX),
        "HTTP port: a page that shows the loop at work (/), metrics for Prometheus (/metrics), \
         a trace of the last turns (/trace), and probes (/health, /ready). 0 turns it off. \
         Nothing can be changed there, but for the lessons of a training instance. Oneloop-specific; \
         metrics-port is its old name.",
    )
    .alias("metrics-port")
    .effects(&[Effect::HttpTls, Effect::ListenHttp]),
    Directive::new(
        "http-bind",
        "127.0.0.1 -::1",
        special!(Many, http_bind),
        "Addresses of that port, in the form of bind. Addresses other than the loopback \
         interface's are refused unless clients have to show an http-token, or a certificate (http-tls \
         with tls-auth-clients yes). Oneloop-specific; metrics-bind is its old name.",
    )
    .alias("metrics-bind")
    .effects(&[Effect::BindHttp]),
    Directive::new(
        "http-tls",
        "no",
        boolean!(http_tls),
        "Encrypt the HTTP port, with the certificate, the key and the rules of the tls-* directives. With \
         tls-auth-clients yes its clients have to show a certificate. Oneloop-specific.",
    )
    .effects(&[Effect::HttpTls, Effect::HttpGuard]),
    Directive::new(
        "http-token",
        "",
        text!(http_token, Unset, Some(checks::http_token)),
        "What an HTTP client has to send for anything but the probes and the empty page, as \
         \"Authorization: Bearer TOKEN\": at least 16 letters, digits or -._~+/=. Empty: clients \
         of this machine need none. Oneloop-specific.",
    )
    .sensitive()
    .effects(&[Effect::HttpGuard]),
    Directive::new(
        "prefix-ledger",
        "no",
        boolean!(prefix_ledger),
        "Keep a ledger of memory, keys, requests and hits by key prefix (up to the first colon) at all times, and \
         show it in the metrics, which name prefixes then. It is estimated from samples, with the error. \
         Without this it is kept while the page is watched, for the page alone. Oneloop-specific.",
    ),
    Directive::new(
        "training",
        "no",
        boolean!(training),
        "A training instance: the page of the HTTP port has lessons, which step a second loop, with data \
         and clients of its own, in a world without a kernel. Not for servers that matter: a step takes \
         the loop's time. Oneloop-specific.",
    )
    // Tools that set every directive which CONFIG GET * shows know the names of those that cannot be set.
    .hidden()
    .immutable(),
];
