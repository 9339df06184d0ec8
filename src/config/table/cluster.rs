//! Directives of the group "Cluster": sharing the keys among several servers.

use super::super::checks;
use super::super::declare::{boolean, integer, text, word};
use super::super::directive::Directive;
use super::super::effect::Effect;
use super::super::values::EndpointType;

/// Cluster: sharing the keys among several servers.
pub(super) const DIRECTIVES: &[Directive] = &[
    Directive::new("cluster-enabled", "no", boolean!(cluster_enabled), "Run as a node of a cluster.").immutable(),
    Directive::new(
        "cluster-databases",
        "1",
        integer!(cluster_databases, 1, i32::MAX),
        "Number of databases of a node of a cluster, in place of databases. All nodes need the same number.",
    )
    // Tools that set again whatever a pattern shows know Redis's directives that cannot be set, but not this one.
    .hidden()
    .immutable(),
    Directive::new(
        "cluster-config-file",
        "nodes.conf",
        text!(cluster_config_file, Value),
        "File in which a node keeps what it knows of the cluster. It is not edited by hand.",
    )
    .immutable(),
    Directive::new(
        "cluster-node-timeout",
        "15000",
        integer!(cluster_node_timeout, 0, i64::MAX),
        "Milliseconds of silence after which a node is held to have failed.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-ping-interval",
        "1000",
        integer!(cluster_ping_interval, 0, i32::MAX),
        "Milliseconds between two pings of a node at random. For tests.",
    )
    .hidden()
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-port",
        "0",
        integer!(cluster_port, 0, u16::MAX),
        "Port of the cluster bus; 0 is the port plus 10000.",
    )
    .immutable(),
    Directive::new(
        "cluster-replica-validity-factor",
        "10",
        integer!(cluster_replica_validity_factor, 0, i32::MAX),
        "A replica that has been out of touch for longer than this many node timeouts does \
         not try to take over; 0 always tries.",
    )
    .effects(&[Effect::ClusterMember])
    .alias("cluster-slave-validity-factor"),
    Directive::new(
        "cluster-migration-barrier",
        "1",
        integer!(cluster_migration_barrier, 0, i32::MAX),
        "Replicas that a primary keeps when another one moves to a primary without any.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-allow-replica-migration",
        "yes",
        boolean!(cluster_allow_replica_migration),
        "Let replicas move to primaries that have none.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-require-full-coverage",
        "yes",
        boolean!(cluster_require_full_coverage),
        "Refuse queries as long as any slot is not served.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-replica-no-failover",
        "no",
        boolean!(cluster_replica_no_failover),
        "Never let this replica take over by itself.",
    )
    .effects(&[Effect::ClusterMember])
    .alias("cluster-slave-no-failover"),
    Directive::new(
        "cluster-manual-failover-timeout",
        "5000",
        integer!(cluster_manual_failover_timeout, 1, i32::MAX),
        "Milliseconds after which CLUSTER FAILOVER is given up. The primary takes no writes for twice this long at most.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-blacklist-ttl",
        "60",
        integer!(cluster_blacklist_ttl, 0, u64::MAX),
        "Seconds for which a node that CLUSTER FORGET removed is not added again because other nodes know it.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-allow-reads-when-down",
        "no",
        boolean!(cluster_allow_reads_when_down),
        "Answer reads even while the cluster is down.",
    ),
    Directive::new(
        "cluster-allow-pubsubshard-when-down",
        "yes",
        boolean!(cluster_allow_pubsubshard_when_down),
        "Serve sharded channels even while the cluster is down.",
    ),
    Directive::new(
        "cluster-link-sendbuf-limit",
        "0",
        integer!(cluster_link_sendbuf_limit, 0, u64::MAX, Memory),
        "Most data that waits on a link to another node; beyond it the link is made anew. 0 \
         sets no limit.",
    ),
    Directive::new(
        "cluster-slot-migration-log-max-len",
        "1000",
        integer!(cluster_slot_migration_log_max_len, 0, i64::MAX),
        "Number of slot migrations that CLUSTER GETSLOTMIGRATIONS shows once they are over.",
    ),
    Directive::new(
        "cluster-slot-stats-enabled",
        "no",
        boolean!(cluster_slot_stats_enabled),
        "Count the time and the bytes that requests about each slot take, for CLUSTER SLOT-STATS.",
    )
    .effects(&[Effect::SlotStats]),
    Directive::new(
        "slot-migration-max-failover-repl-bytes",
        "0",
        integer!(slot_migration_max_failover_repl_bytes, -1, i64::MAX, Memory),
        "Writes to slots that move are held back for the handover once no more than so much of their changes waits to \
         be sent; -1 sets no limit.",
    ),
    Directive::new(
        "cluster-announce-hostname",
        "",
        text!(cluster_announce_hostname, Unset, Some(checks::host_name)),
        "Host name to report to other nodes and to clients.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-announce-human-nodename",
        "",
        text!(cluster_announce_human_nodename, Unset, Some(checks::node_name)),
        "Name of the node for people to read in logs.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-preferred-endpoint-type",
        "ip",
        word!(cluster_preferred_endpoint_type, EndpointType),
        "What clients are told to connect to: ip, hostname or unknown-endpoint (the host that \
         they already use).",
    ),
    Directive::new(
        "cluster-announce-ip",
        "",
        text!(cluster_announce_ip, Unset),
        "Address to report instead of the real one.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-announce-port",
        "0",
        integer!(cluster_announce_port, 0, u16::MAX),
        "Port to report; 0 is the real one.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-announce-tls-port",
        "0",
        integer!(cluster_announce_tls_port, 0, u16::MAX),
        "TLS port to report; 0 is the real one.",
    )
    .effects(&[Effect::ClusterMember]),
    Directive::new(
        "cluster-announce-bus-port",
        "0",
        integer!(cluster_announce_bus_port, 0, u16::MAX),
        "Port of the bus to report; 0 is the real one.",
    )
    .effects(&[Effect::ClusterMember]),
];
