//! Directives of the group "Replication": following another server.

use super::super::declare::{boolean, bytes, integer, special, text, word};
use super::super::directive::{Directive, Mutability};
use super::super::effect::Effect;
use super::super::values::{PropagationErrorBehavior, ReplicaDisklessLoad};

/// Replication: following another server.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new(
        "replicaof",
        "",
        special!(Many, replicaof),
        "Follow a primary: its host and port. A running server is told by the REPLICAOF \
         command.",
    )
    .alias("slaveof")
    .immutable(),
    Directive::new("masterauth", "", bytes!(masterauth), "Password to give the primary. Empty: none.")
        .alias("primaryauth")
        .sensitive(),
    Directive::new("masteruser", "", bytes!(masteruser), "User name to give the primary. Empty: the default user.")
        .alias("primaryuser")
        .sensitive(),
    Directive::new(
        "replica-serve-stale-data",
        "yes",
        boolean!(replica_serve_stale_data),
        "Answer reads while out of touch with the primary. Otherwise such reads get \
         MASTERDOWN.",
    )
    .alias("slave-serve-stale-data"),
    Directive::new("replica-read-only", "yes", boolean!(replica_read_only), "Refuse writes of clients on a replica.")
        .alias("slave-read-only"),
    Directive::new(
        "repl-diskless-sync",
        "yes",
        boolean!(repl_diskless_sync),
        "Send the first copy of the data set straight to the replicas rather than by way of a \
         file.",
    ),
    Directive::new(
        "repl-diskless-sync-delay",
        "5",
        special!(One, repl_diskless_sync_delay),
        "Seconds to wait before that, so that further replicas can share the transfer. Only a delay that is set is kept: \
         any number of replicas are served at a time.",
    ),
    Directive::new(
        "repl-diskless-sync-max-replicas",
        "0",
        integer!(repl_diskless_sync_max_replicas, 0, i32::MAX),
        "Start at once when so many replicas wait; 0 always waits.",
    ),
    Directive::new(
        "repl-diskless-load",
        "disabled",
        word!(repl_diskless_load, ReplicaDisklessLoad),
        "How a replica takes the first copy: disabled (by way of a file), on-empty-db \
         (straight, if it has no data) or swapdb (straight, beside the old data, which it \
         serves until then).",
    )
    .mutability(Mutability::MutableUnlessLoading),
    Directive::new(
        "repl-ping-replica-period",
        "10",
        integer!(repl_ping_replica_period, 1, i32::MAX),
        "Seconds between pings to the replicas.",
    )
    .alias("repl-ping-slave-period")
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "repl-timeout",
        "60",
        integer!(repl_timeout, 1, i32::MAX),
        "Seconds of silence after which either side gives the link up. Must be larger than \
         repl-ping-replica-period.",
    ),
    Directive::new(
        "repl-disable-tcp-nodelay",
        "no",
        boolean!(repl_disable_tcp_nodelay),
        "Let the kernel gather small packets to replicas: less traffic, up to 40 ms more \
         delay.",
    ),
    Directive::new(
        "repl-backlog-size",
        "1048576",
        integer!(repl_backlog_size, 1, i64::MAX, Memory),
        "Size of the stretch of the stream that is kept so that a replica can resume after a \
         break; at least 16 KB.",
    )
    .effects(&[Effect::Backlog]),
    Directive::new(
        "repl-backlog-ttl",
        "3600",
        integer!(repl_backlog_ttl, 0, i64::MAX),
        "Seconds without any replica after which that memory is freed; 0 keeps it.",
    ),
    Directive::new(
        "repl-log-disk-size",
        "0",
        integer!(repl_log_disk_size, 0, i64::MAX, Memory),
        "Bytes of the stream that may be kept on the disk, in files beside the snapshot, for \
         replicas that are further behind than client-output-buffer-limit allows. Replicas that \
         are further behind than that as well are disconnected, and so are all that need the \
         disk when it is full, fails or is too slow. 0 disconnects replicas at their limit.",
    ),
    Directive::new(
        "replica-priority",
        "100",
        integer!(replica_priority, 0, i32::MAX),
        "Rank for promotion by Sentinel: lower is preferred, 0 means never.",
    )
    .alias("slave-priority"),
    Directive::new(
        "replica-announced",
        "yes",
        boolean!(replica_announced),
        "Let Sentinel report this replica to clients.",
    ),
    Directive::new(
        "replica-announce-ip",
        "",
        text!(replica_announce_ip, Unset),
        "Address to report to the primary instead of the real one.",
    )
    .alias("slave-announce-ip"),
    Directive::new(
        "replica-announce-port",
        "0",
        integer!(replica_announce_port, 0, u16::MAX),
        "Port to report to the primary instead of the real one; 0 reports the real one.",
    )
    .alias("slave-announce-port"),
    Directive::new(
        "replica-ignore-disk-write-errors",
        "no",
        boolean!(replica_ignore_disk_write_errors),
        "Let a replica go on when it cannot write to the disk, rather than end it.",
    ),
    Directive::new(
        "replica-lazy-flush",
        "no",
        boolean!(replica_lazy_flush),
        "Free the old data set of a replica in the background before it loads the new one.",
    )
    .alias("slave-lazy-flush"),
    Directive::new(
        "min-replicas-to-write",
        "0",
        integer!(min_replicas_to_write, 0, i32::MAX),
        "Refuse writes unless so many replicas are connected and lag little; 0 is off.",
    )
    .alias("min-slaves-to-write")
    .effects(&[Effect::WriteRestrictions]),
    Directive::new(
        "min-replicas-max-lag",
        "10",
        integer!(min_replicas_max_lag, 0, i32::MAX),
        "Seconds up to which a replica lags little, for min-replicas-to-write.",
    )
    .alias("min-slaves-max-lag")
    .effects(&[Effect::WriteRestrictions]),
    Directive::new(
        "propagation-error-behavior",
        "ignore",
        word!(propagation_error_behavior, PropagationErrorBehavior),
        "What to do if a command from the primary or from the append-only file fails: ignore, \
         panic (end the server) or panic-on-replicas.",
    ),
];
