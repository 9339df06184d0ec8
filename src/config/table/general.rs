//! Directives of the group "General": the process itself.

use crate::base::logging::{LineFormat, TimestampFormat};

use super::super::checks;
use super::super::declare::{boolean, integer, special, text, word};
use super::super::directive::Directive;
use super::super::effect::Effect;
use super::super::values::{LogLevel, OomScoreAdjust, Supervision, SyslogFacility};

/// General: the process itself.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new("daemonize", "no", boolean!(daemonize), "Detach from the terminal and run in the background.")
        .immutable(),
    Directive::new(
        "supervised",
        "no",
        word!(supervised, Supervision),
        "Tell a supervisor when the server is ready: upstart (by stopping itself with \
         SIGSTOP), systemd (by its notification socket), auto (whichever the environment \
         names) or no.",
    )
    .immutable(),
    Directive::new(
        "pidfile",
        "",
        text!(pidfile, Unset),
        "File to write the process id into. Empty: none, except that a daemonized server \
         writes /var/run/redis.pid.",
    )
    .immutable(),
    Directive::new(
        "loglevel",
        "notice",
        word!(loglevel, LogLevel),
        "Least important messages to log: debug, verbose, notice, warning, or nothing for \
         none at all.",
    )
    .effects(&[Effect::LogLevel]),
    Directive::new(
        "logfile",
        "",
        text!(logfile, Value),
        "File to append the log to. Empty: standard output, or nowhere when daemonized.",
    )
    .immutable(),
    Directive::new(
        "log-format",
        "legacy",
        word!(log_format, LineFormat),
        "Form of the lines of the log: legacy, logfmt (key=value pairs) or json (one object a line). \
         syslog gets the message alone.",
    )
    .effects(&[Effect::LogFormat]),
    Directive::new(
        "log-timestamp-format",
        "legacy",
        word!(log_timestamp_format, TimestampFormat),
        "Form of the times in the log: legacy (30 Nov 2026 12:00:00.000), iso8601 or milliseconds (since the \
         epoch).",
    )
    .effects(&[Effect::LogFormat]),
    Directive::new("syslog-enabled", "no", boolean!(syslog_enabled), "Send the log to syslog as well.").immutable(),
    Directive::new("syslog-ident", "redis", text!(syslog_ident, Value), "Name of the program in syslog.").immutable(),
    Directive::new(
        "syslog-facility",
        "local0",
        word!(syslog_facility, SyslogFacility),
        "Facility in syslog: user or local0 to local7.",
    )
    .immutable(),
    Directive::new(
        "hide-user-data-from-log",
        "no",
        boolean!(hide_user_data_from_log),
        "Keep names of keys out of the log. Arguments of commands never get there, nor into crash \
         reports.",
    )
    .effects(&[Effect::LogSecrecy]),
    Directive::new(
        "databases",
        "16",
        integer!(databases, 1, i32::MAX),
        "Number of databases, chosen by SELECT with 0 to this less one.",
    )
    .immutable(),
    Directive::new(
        "always-show-logo",
        "no",
        boolean!(always_show_logo),
        "Show the banner at the start even if the log does not go to a terminal.",
    )
    .immutable(),
    Directive::new(
        "set-proc-title",
        "yes",
        boolean!(set_proc_title),
        "Show what the server does in its process title.",
    )
    .immutable(),
    Directive::new(
        "proc-title-template",
        "{title} {listen-addr} {server-mode}",
        text!(proc_title_template, Value, Some(checks::title_template)),
        "Template of the process title. Known variables: {title}, {listen-addr}, \
         {server-mode}, {port}, {tls-port}, {unixsocket} and {config-file}.",
    )
    .effects(&[Effect::ProcessTitle]),
    Directive::new(
        "locale-collate",
        "",
        text!(locale_collate, Value, Some(checks::locale)),
        "Locale for comparing strings. Here strings are always compared byte by byte.",
    )
    .without_effect(),
    Directive::new(
        "extended-redis-compatibility",
        "no",
        boolean!(extended_redis_compatibility),
        "Present the server as Redis where Valkey would name itself. Here it always does.",
    )
    .without_effect(),
    Directive::new(
        "import-mode",
        "no",
        boolean!(import_mode),
        "Take the keys of another server over: nothing expires or is evicted by itself, and clients that say \
         CLIENT IMPORT-SOURCE ON find expired keys and may change them. Without effect on a replica.",
    )
    .effects(&[Effect::Eviction, Effect::ImportMode]),
    Directive::new(
        "hash-seed",
        "",
        text!(hash_seed, Value),
        "Text from which the hash function of the databases and other tables follows, so that servers with the \
         same seed walk the same keys in the same order (SCAN). Attackers that know it can choose keys that \
         collide. Empty: drawn anew at each start.",
    )
    .sensitive()
    // Tools that set again whatever a pattern shows know Redis's directives that cannot be set, but not this one.
    .hidden()
    .immutable(),
    Directive::new(
        "hz",
        "10",
        integer!(hz, 0, i32::MAX),
        "How often a second the periodic work runs (time limits, statistics, expiry). Values \
         are brought into 1 to 500.",
    ),
    Directive::new(
        "dynamic-hz",
        "yes",
        boolean!(dynamic_hz),
        "Run the periodic work more often while very many clients are connected.",
    ),
    Directive::new(
        "loop-spin-us",
        "0",
        special!(One, loop_spin_us),
        "Oneloop-specific: before it sleeps, the loop polls again for so many microseconds, so that a \
         lone client finds it awake; at most 10000. auto lets the server choose. It stops while more than \
         4 clients are connected, while it rarely pays, and while others want its core. 0: never.",
    ),
    Directive::new("crash-log-enabled", "yes", boolean!(crash_log_enabled), "Log a report when the server crashes.")
        .effects(&[Effect::CrashReports]),
    Directive::new(
        "crash-memcheck-enabled",
        "yes",
        boolean!(crash_memcheck_enabled),
        "Test the memory after a crash. Here no memory test is made.",
    )
    .without_effect(),
    Directive::new(
        "use-exit-on-panic",
        "no",
        boolean!(use_exit_on_panic),
        "For tests: on a failed check exit with status 1 rather than abort.",
    )
    .effects(&[Effect::CrashReports])
    .hidden(),
    Directive::new(
        "watchdog-period",
        "0",
        integer!(watchdog_period, 0, i32::MAX),
        "For debugging: log where the loop is when it has been held for so many milliseconds; \
         0 is off.",
    )
    .hidden(),
    Directive::new(
        "ignore-warnings",
        "",
        text!(ignore_warnings, Value),
        "Names of start-up checks, blank-separated, whose warning does not keep the server \
         from starting.",
    ),
    Directive::new(
        "disable-thp",
        "yes",
        boolean!(disable_thp),
        "Turn transparent huge pages off for the process. Here nothing is forked, so they do \
         no harm.",
    )
    .immutable()
    .without_effect(),
    Directive::new(
        "io-threads",
        "1",
        integer!(io_threads, 1, 128),
        "Number of threads that read and write. Here one loop does it all.",
    )
    .immutable()
    .without_effect(),
    Directive::new(
        "io-threads-do-reads",
        "no",
        boolean!(io_threads_do_reads),
        "Let those threads read, too. Here one loop does it all.",
    )
    .immutable()
    .without_effect(),
    Directive::new(
        "server_cpulist",
        "",
        text!(server_cpulist, Unset),
        "CPUs to run on. Use taskset or the service manager instead.",
    )
    .immutable()
    .without_effect(),
    Directive::new(
        "bio_cpulist",
        "",
        text!(bio_cpulist, Unset),
        "CPUs for background threads. Use taskset or the service manager instead.",
    )
    .immutable()
    .without_effect(),
    Directive::new(
        "aof_rewrite_cpulist",
        "",
        text!(aof_rewrite_cpulist, Unset),
        "CPUs for the process that rewrites the append-only file. Here there is no such \
         process.",
    )
    .immutable()
    .without_effect(),
    Directive::new(
        "bgsave_cpulist",
        "",
        text!(bgsave_cpulist, Unset),
        "CPUs for the process that saves. Here there is no such process.",
    )
    .immutable()
    .without_effect(),
    Directive::new(
        "oom-score-adj",
        "no",
        word!(oom_score_adj, OomScoreAdjust),
        "Whether to steer the kernel's choice of a victim when memory runs out: no, relative \
         (yes means the same) or absolute.",
    )
    .effects(&[Effect::OomScore]),
    Directive::new(
        "oom-score-adj-values",
        "0 200 800",
        special!(Many, oom_score_adj_values),
        "Scores, from -2000 to 2000, of a primary, a replica and a background process, for \
         oom-score-adj. Here there is no background process.",
    )
    .effects(&[Effect::OomScore]),
    Directive::new(
        "shutdown-on-sigint",
        "default",
        special!(Many, shutdown_on_sigint),
        "What SIGINT does: default, or some of save (even without save points), nosave, now \
         (do not wait for replicas), force (even if saving fails), safe (not while this is a primary with slots of a \
         cluster) and failover (in a cluster, a replica takes over).",
    ),
    Directive::new(
        "shutdown-on-sigterm",
        "default",
        special!(Many, shutdown_on_sigterm),
        "What SIGTERM does; the words are those of shutdown-on-sigint.",
    ),
    Directive::new(
        "shutdown-timeout",
        "10",
        integer!(shutdown_timeout, 0, i32::MAX),
        "Seconds that a shutdown waits for replicas to catch up; 0 does not wait.",
    ),
];
