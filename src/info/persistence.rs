//! The sections on saving, replicas and the cluster: Persistence, Replication, Cluster.

use super::Field;

/// Forty zeros: no such history of writes.
const NO_REPLICATION_ID: &str = "0000000000000000000000000000000000000000";

/// Section Persistence.
pub(super) static PERSISTENCE: &[Field] = &[
    Field::fixed("loading", "0"),
    Field::fixed("async_loading", "0"),
    Field::fixed("current_cow_peak", "0"),
    Field::fixed("current_cow_size", "0"),
    Field::fixed("current_cow_size_age", "0"),
    Field::fixed("current_fork_perc", "0.00"),
    Field::fixed("current_save_keys_processed", "0"),
    Field::fixed("current_save_keys_total", "0"),
    Field::of("rdb_changes_since_last_save", |facts| {
        facts.instance.keyspace.changes.total().to_string()
    }),
    Field::fixed("rdb_bgsave_in_progress", "0"),
    Field::of("rdb_last_save_time", |facts| {
        (facts.instance.started_ms / 1000).to_string()
    }),
    Field::fixed("rdb_last_bgsave_status", "ok"),
    Field::fixed("rdb_last_bgsave_time_sec", "-1"),
    Field::fixed("rdb_current_bgsave_time_sec", "-1"),
    Field::fixed("rdb_saves", "0"),
    Field::fixed("rdb_last_cow_size", "0"),
    Field::fixed("rdb_last_load_keys_expired", "0"),
    Field::fixed("rdb_last_load_keys_loaded", "0"),
    Field::fixed("aof_enabled", "0"),
    Field::fixed("aof_rewrite_in_progress", "0"),
    Field::fixed("aof_rewrite_scheduled", "0"),
    Field::fixed("aof_last_rewrite_time_sec", "-1"),
    Field::fixed("aof_current_rewrite_time_sec", "-1"),
    Field::fixed("aof_last_bgrewrite_status", "ok"),
    Field::fixed("aof_rewrites", "0"),
    Field::fixed("aof_rewrites_consecutive_failures", "0"),
    Field::fixed("aof_last_write_status", "ok"),
    Field::fixed("aof_last_cow_size", "0"),
    Field::fixed("module_fork_in_progress", "0"),
    Field::fixed("module_fork_last_cow_size", "0"),
];

/// Section Replication.
pub(super) static REPLICATION: &[Field] = &[
    Field::fixed("role", "master"),
    Field::fixed("connected_slaves", "0"),
    Field::fixed("master_failover_state", "no-failover"),
    Field::of("master_replid", |facts| {
        facts.instance.replication_id.clone()
    }),
    Field::fixed("master_replid2", NO_REPLICATION_ID),
    Field::fixed("master_repl_offset", "0"),
    Field::fixed("second_repl_offset", "-1"),
    Field::fixed("repl_backlog_active", "0"),
    Field::of("repl_backlog_size", |facts| {
        facts.instance.config.repl_backlog_size.to_string()
    }),
    Field::fixed("repl_backlog_first_byte_offset", "0"),
    Field::fixed("repl_backlog_histlen", "0"),
];

/// Section Cluster.
pub(super) static CLUSTER: &[Field] = &[Field::fixed("cluster_enabled", "0")];
