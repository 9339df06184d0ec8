//! The typed settings: one public field for each directive, named as the directive with `_` for `-`.

use crate::base::logging::{LineFormat, TimestampFormat};

use super::values::{
    AppendFsync, AuthClients, CertificateUser, ClientMemoryLimit, DumpSanitizing, EndpointType, KeyspaceEvents,
    LogLevel, MaxmemoryPolicy, OomScoreAdjust, OutputBufferLimits, PrimaryAddress, PropagationErrorBehavior,
    ProtectedAction, PubsubDefault, RdbVersionCheck, ReplicaDisklessLoad, SavePoint, ShutdownFlags, SpinLimit,
    Supervision, SyncDelay, SyslogFacility,
};

/// How far above a node's port that of its bus is, unless it has one of its own.
const BUS_PORT_DISTANCE: u16 = 10_000;

/// Declares the struct and the blank value from which the directive table builds the defaults.
macro_rules! settings {
    ($($(#[$attribute:meta])* $field:ident: $kind:ty,)*) => {
        /// Every setting of the server, typed. Read the fields directly; change them by [`Config::set`](Config::set) or
        /// by loading a file, which validate. `Config::default()` holds the defaults of the directive table. A clone is
        /// a snapshot: keep one before [`Config::set`](Config::set) and put it back if applying the change fails.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $($(#[$attribute])* pub $field: $kind,)*
        }

        impl Config {
            /// All fields at their types' own zero; only the base on which the table's defaults are written.
            pub(super) fn blank() -> Config {
                Config { $($field: Default::default(),)* }
            }
        }
    };
}

settings! {
    // Network.
    /// Addresses to listen on; a leading `-` allows an address to be missing. Empty: no TCP listener.
    bind: Vec<String>,
    /// Address that outgoing connections use (empty: the system's choice).
    bind_source_addr: String,
    /// TCP port (0: no TCP listener).
    port: u16,
    /// Length of the listen queue, in connections.
    tcp_backlog: u32,
    /// Period of TCP keepalive probes, in seconds (0: off).
    tcp_keepalive: u32,
    /// Idle time after which a client is closed, in seconds (0: never).
    timeout: u32,
    /// Refuse clients from other hosts while no password is set.
    protected_mode: bool,
    /// Path of the Unix socket (empty: none).
    unixsocket: String,
    /// Permission bits of the Unix socket (0: leave to the umask).
    unixsocketperm: u32,
    /// Group that the Unix socket belongs to (empty: that of the process).
    unixsocketgroup: String,
    /// Mark (SO_MARK) of the listening sockets (0: none).
    socket_mark_id: u32,
    /// How long the kernel asks the network card before a read finds nothing, in microseconds (0: not at all).
    socket_busy_poll_us: u32,
    /// Most clients at once.
    maxclients: u32,
    /// Most connections accepted in one turn.
    max_new_connections_per_cycle: u32,
    /// Most connections with TLS accepted in one turn.
    max_new_tls_connections_per_cycle: u32,
    /// Availability zone that the server runs in (empty: none).
    availability_zone: String,

    // General.
    /// Detach from the terminal at the start.
    daemonize: bool,
    /// The supervisor to notify when ready.
    supervised: Supervision,
    /// Path of the pid file (empty: none, or the usual one when daemonized).
    pidfile: String,
    /// Least severe messages that are logged.
    loglevel: LogLevel,
    /// Path of the log file (empty: standard output).
    logfile: String,
    /// Form of the lines of the log.
    log_format: LineFormat,
    /// Form of the times in the log.
    log_timestamp_format: TimestampFormat,
    /// Log to syslog as well.
    syslog_enabled: bool,
    /// Program name in syslog.
    syslog_ident: String,
    /// Facility in syslog.
    syslog_facility: SyslogFacility,
    /// Leave keys' and arguments' content out of logs and crash reports.
    hide_user_data_from_log: bool,
    /// Number of databases.
    databases: u32,
    /// Show the banner even when the log is not a terminal.
    always_show_logo: bool,
    /// Change the process title.
    set_proc_title: bool,
    /// Template of the process title.
    proc_title_template: String,
    /// Locale for string collation (empty: from the environment).
    locale_collate: String,
    /// Present the server as Redis (without effect here).
    extended_redis_compatibility: bool,
    /// Take the keys of another server over.
    import_mode: bool,
    /// Text from which the hash function follows (empty: drawn at the start).
    hash_seed: String,
    /// Runs of the periodic work, per second; always within 1..=500.
    hz: u32,
    /// Raise `hz` with the number of clients.
    dynamic_hz: bool,
    /// How long the loop polls again before it sleeps.
    loop_spin_us: SpinLimit,
    /// Log a report on a crash.
    crash_log_enabled: bool,
    /// Check memory on a crash (without effect here).
    crash_memcheck_enabled: bool,
    /// Exit instead of aborting on a panic.
    use_exit_on_panic: bool,
    /// Longest run of the loop before the watchdog logs, in milliseconds (0: off).
    watchdog_period: u32,
    /// Start-up warnings to pass over.
    ignore_warnings: String,
    /// Turn transparent huge pages off (without effect here).
    disable_thp: bool,
    /// Number of I/O threads (without effect here).
    io_threads: u32,
    /// Read by I/O threads (without effect here).
    io_threads_do_reads: bool,
    /// CPUs of the server (without effect here).
    server_cpulist: String,
    /// CPUs of background threads (without effect here).
    bio_cpulist: String,
    /// CPUs of an AOF rewrite (without effect here).
    aof_rewrite_cpulist: String,
    /// CPUs of a background save (without effect here).
    bgsave_cpulist: String,
    /// Whether and how to change the kernel's OOM score (without effect here).
    oom_score_adj: OomScoreAdjust,
    /// OOM scores of a primary, a replica and a child (without effect here).
    oom_score_adj_values: [i32; 3],
    /// What SIGINT does besides a plain shutdown.
    shutdown_on_sigint: ShutdownFlags,
    /// What SIGTERM does besides a plain shutdown.
    shutdown_on_sigterm: ShutdownFlags,
    /// Longest wait for replicas at a shutdown, in seconds (0: do not wait).
    shutdown_timeout: u32,
    /// Events to publish.
    notify_keyspace_events: KeyspaceEvents,

    // Security.
    /// Path of the ACL file (empty: users come from the configuration file).
    aclfile: String,
    /// Entries kept in the ACL log.
    acllog_max_len: u64,
    /// Channels of a new user.
    acl_pubsub_default: PubsubDefault,
    /// Password of the default user (empty: none).
    requirepass: Vec<u8>,
    /// Who may change protected directives.
    enable_protected_configs: ProtectedAction,
    /// Who may use DEBUG.
    enable_debug_command: ProtectedAction,
    /// Whether scripts may use what they should no longer use.
    lua_enable_deprecated_api: bool,
    /// Who may use MODULE.
    enable_module_command: ProtectedAction,

    // Memory.
    /// Limit of data memory, in bytes (0: none).
    maxmemory: u64,
    /// What to evict at the limit.
    maxmemory_policy: MaxmemoryPolicy,
    /// Keys sampled for an eviction.
    maxmemory_samples: u32,
    /// Effort of eviction, 0 (low latency) to 100 (no time limit).
    maxmemory_eviction_tenacity: u32,
    /// Limit of all clients' buffers together.
    maxmemory_clients: ClientMemoryLimit,
    /// Let a replica exceed maxmemory, trusting its primary to evict.
    replica_ignore_maxmemory: bool,
    /// Effort of the active expiry, 1 to 10.
    active_expire_effort: u32,
    /// Steepness of the LFU counter.
    lfu_log_factor: u32,
    /// Time for the LFU counter to fall by one, in minutes.
    lfu_decay_time: u32,
    /// Free evicted values in the background.
    lazyfree_lazy_eviction: bool,
    /// Free expired values in the background.
    lazyfree_lazy_expire: bool,
    /// Free overwritten values in the background.
    lazyfree_lazy_server_del: bool,
    /// DEL works as UNLINK.
    lazyfree_lazy_user_del: bool,
    /// FLUSHALL and its kin work as with ASYNC.
    lazyfree_lazy_user_flush: bool,
    /// Shrink tables in the background.
    activerehashing: bool,
    /// Defragment memory (without effect here).
    activedefrag: bool,
    /// Least waste to defragment, in bytes (without effect here).
    active_defrag_ignore_bytes: u64,
    /// Fragmentation that starts it, in percent (without effect here).
    active_defrag_threshold_lower: u32,
    /// Fragmentation of full effort, in percent (without effect here).
    active_defrag_threshold_upper: u32,
    /// Least CPU effort, in percent (without effect here).
    active_defrag_cycle_min: u32,
    /// Most CPU effort, in percent (without effect here).
    active_defrag_cycle_max: u32,
    /// Fields scanned at once (without effect here).
    active_defrag_max_scan_fields: u64,
    /// jemalloc's purging thread (without effect here).
    jemalloc_bg_thread: bool,

    // Clients and requests.
    /// Limit of a client's unprocessed input, in bytes.
    client_query_buffer_limit: u64,
    /// Limits of a client's pending output, by kind of client.
    client_output_buffer_limit: OutputBufferLimits,
    /// Longest single request argument, in bytes.
    proto_max_bulk_len: u64,
    /// Keys remembered for client-side caching (0: no limit).
    tracking_table_max_keys: u64,
    /// Time after which a script is reported as busy, in milliseconds (0: never).
    busy_reply_threshold: u64,

    // Observation.
    /// Slow log threshold, in microseconds (negative: off; 0: everything).
    slowlog_log_slower_than: i64,
    /// Entries kept in the slow log.
    slowlog_max_len: u64,
    /// Size from which on a request is logged, in bytes (-1: none).
    commandlog_request_larger_than: i64,
    /// Entries of the log of large requests.
    commandlog_large_request_max_len: i64,
    /// Size from which on a reply is logged, in bytes (-1: none).
    commandlog_reply_larger_than: i64,
    /// Entries of the log of large replies.
    commandlog_large_reply_max_len: i64,
    /// Show how long each entry of the slow log waited.
    slowlog_log_waiting: bool,
    /// Memory for the record of the loop's turns, in bytes (0: off).
    loop_recorder_size: u64,
    /// Latency monitor threshold, in milliseconds (0: off).
    latency_monitor_threshold: u64,
    /// Keep a latency histogram for each command.
    latency_tracking: bool,
    /// Percentiles that INFO latencystats shows.
    latency_tracking_info_percentiles: Vec<f64>,

    // Encodings.
    /// Most fields of a compact hash.
    hash_max_listpack_entries: u64,
    /// Longest field or value of a compact hash, in bytes.
    hash_max_listpack_value: u64,
    /// Size of a list's block: entries if positive, else a size class (-1: 4 KB … -5: 64 KB).
    list_max_listpack_size: i32,
    /// Blocks at each end of a list that stay uncompressed (0: no compression).
    list_compress_depth: u32,
    /// Most members of an all-integer set.
    set_max_intset_entries: u64,
    /// Most members of a compact set.
    set_max_listpack_entries: u64,
    /// Longest member of a compact set, in bytes.
    set_max_listpack_value: u64,
    /// Most members of a compact sorted set.
    zset_max_listpack_entries: u64,
    /// Longest member of a compact sorted set, in bytes.
    zset_max_listpack_value: u64,
    /// Largest sparse HyperLogLog, in bytes.
    hll_sparse_max_bytes: u64,
    /// Most bytes of a stream's block (0: no limit).
    stream_node_max_bytes: u64,
    /// Most entries of a stream's block (0: no limit).
    stream_node_max_entries: u64,
    /// How long a stream knows the messages of idempotent producers, in seconds.
    stream_idmp_duration: u32,
    /// How many messages of each idempotent producer a stream knows.
    stream_idmp_maxsize: u32,

    // Snapshots.
    /// When to save by itself.
    save: Vec<SavePoint>,
    /// Refuse writes after a failed background save.
    stop_writes_on_bgsave_error: bool,
    /// Compress strings in snapshots.
    rdbcompression: bool,
    /// Put a checksum at the end of snapshots.
    rdbchecksum: bool,
    /// How thoroughly to check loaded values.
    sanitize_dump_payload: DumpSanitizing,
    /// Which versions of the format of snapshots are read.
    rdb_version_check: RdbVersionCheck,
    /// File name of the snapshot, within `dir`.
    dbfilename: String,
    /// Delete snapshots that only served replication.
    rdb_del_sync_files: bool,
    /// Working folder, absolute once loaded (empty: the one the server was started in).
    dir: String,
    /// Sync snapshots piece by piece (without effect here).
    rdb_save_incremental_fsync: bool,
    snapshot_loop_share: u32,
    /// Delay for each key that a snapshot saves, in microseconds; negative: keys for each microsecond.
    rdb_key_save_delay: i32,
    /// Delay for each key that is loaded, in microseconds; negative: keys for each microsecond.
    key_load_delay: i32,
    /// Bytes loaded between two looks at the clients.
    loading_process_events_interval_bytes: u64,

    // Append-only file.
    /// Log every write.
    appendonly: bool,
    /// Base name of the log files.
    appendfilename: String,
    /// Folder of the log files, within `dir`.
    appenddirname: String,
    /// When to sync the log to the disk.
    appendfsync: AppendFsync,
    /// Do not sync while a save or rewrite runs.
    no_appendfsync_on_rewrite: bool,
    /// Growth that starts a rewrite, in percent (0: never).
    auto_aof_rewrite_percentage: u32,
    /// Least size for a rewrite by itself, in bytes.
    auto_aof_rewrite_min_size: u64,
    /// Load a log whose end is cut off.
    aof_load_truncated: bool,
    /// Rewrite to a snapshot rather than to commands.
    aof_use_rdb_preamble: bool,
    /// Write timestamps into the log.
    aof_timestamp_enabled: bool,
    /// Sync rewrites piece by piece (without effect here).
    aof_rewrite_incremental_fsync: bool,
    /// Keep log files that are no longer needed.
    aof_disable_auto_gc: bool,

    // Replication.
    /// The primary to follow at the start (none: be a primary).
    replicaof: Option<PrimaryAddress>,
    /// Password for the primary (empty: none).
    masterauth: Vec<u8>,
    /// User name for the primary (empty: the default user).
    masteruser: Vec<u8>,
    /// Answer reads while out of touch with the primary.
    replica_serve_stale_data: bool,
    /// Refuse writes from clients on a replica.
    replica_read_only: bool,
    /// Send the snapshot without a file.
    repl_diskless_sync: bool,
    /// Wait for more replicas before sending, in seconds.
    repl_diskless_sync_delay: SyncDelay,
    /// Replicas that end that wait (0: always wait).
    repl_diskless_sync_max_replicas: u32,
    /// Whether a replica loads without a file.
    repl_diskless_load: ReplicaDisklessLoad,
    /// Period of pings to replicas, in seconds.
    repl_ping_replica_period: u32,
    /// Silence after which the link is given up, in seconds.
    repl_timeout: u32,
    /// Let the kernel gather small packets to replicas.
    repl_disable_tcp_nodelay: bool,
    /// Size of the replication backlog, in bytes.
    repl_backlog_size: u64,
    /// Time to keep the backlog without replicas, in seconds (0: for ever).
    repl_backlog_ttl: u64,
    /// Bytes of the stream that are kept on the disk for replicas that are far behind (0: none).
    repl_log_disk_size: u64,
    /// Rank for promotion; lower is preferred (0: never).
    replica_priority: u32,
    /// Let the primary and Sentinel list this replica.
    replica_announced: bool,
    /// Address to announce to the primary (empty: the real one).
    replica_announce_ip: String,
    /// Port to announce to the primary (0: the real one).
    replica_announce_port: u16,
    /// Go on when the disk fails on a replica.
    replica_ignore_disk_write_errors: bool,
    /// Flush the old data of a replica in the background.
    replica_lazy_flush: bool,
    /// Replicas needed to accept writes (0: none).
    min_replicas_to_write: u32,
    /// Lag up to which a replica counts, in seconds (0: any).
    min_replicas_max_lag: u32,
    /// What to do when a replicated command fails.
    propagation_error_behavior: PropagationErrorBehavior,

    // Cluster.
    /// Run as a cluster node.
    cluster_enabled: bool,
    /// Number of databases of a cluster node.
    cluster_databases: u32,
    /// File that the node keeps its view of the cluster in.
    cluster_config_file: String,
    /// Silence after which a node is suspected, in milliseconds.
    cluster_node_timeout: u64,
    /// Time between two pings of a node at random, in milliseconds.
    cluster_ping_interval: u32,
    /// Port of the cluster bus (0: the port plus 10000).
    cluster_port: u16,
    /// Oldest data a replica may be promoted with, in node timeouts (0: any).
    cluster_replica_validity_factor: u32,
    /// Replicas that a primary keeps when one migrates.
    cluster_migration_barrier: u32,
    /// Let replicas migrate to primaries that have none.
    cluster_allow_replica_migration: bool,
    /// Refuse queries while a slot is not served.
    cluster_require_full_coverage: bool,
    /// Never promote this replica by itself.
    cluster_replica_no_failover: bool,
    /// Time after which a manual failover is given up, in milliseconds.
    cluster_manual_failover_timeout: u32,
    /// How long a forgotten node is not added again, in seconds.
    cluster_blacklist_ttl: u64,
    /// Answer reads while the cluster is down.
    cluster_allow_reads_when_down: bool,
    /// Serve sharded channels while the cluster is down.
    cluster_allow_pubsubshard_when_down: bool,
    /// Limit of a bus link's pending output, in bytes (0: none).
    cluster_link_sendbuf_limit: u64,
    cluster_slot_migration_log_max_len: u64,
    /// Count what the requests about each slot cost.
    cluster_slot_stats_enabled: bool,
    slot_migration_max_failover_repl_bytes: i64,
    /// Host name to announce (empty: none).
    cluster_announce_hostname: String,
    /// Node name for people (empty: none).
    cluster_announce_human_nodename: String,
    /// What clients are told to connect to.
    cluster_preferred_endpoint_type: EndpointType,
    /// Address to announce (empty: the real one).
    cluster_announce_ip: String,
    /// Port to announce (0: the real one).
    cluster_announce_port: u16,
    /// TLS port to announce (0: the real one).
    cluster_announce_tls_port: u16,
    /// Bus port to announce (0: the real one).
    cluster_announce_bus_port: u16,

    // The page and the metrics.
    /// HTTP port (0: none).
    http_port: u16,
    /// Addresses of that port.
    http_bind: Vec<String>,
    /// Whether that port is encrypted.
    http_tls: bool,
    /// What HTTP clients have to show (empty: nothing).
    http_token: String,
    /// Whether the HTTP port has lessons that step another loop.
    prefix_ledger: bool,
    training: bool,

    // TLS.
    /// TLS port (0: no TLS listener).
    tls_port: u16,
    /// Certificate file.
    tls_cert_file: String,
    /// Private key file.
    tls_key_file: String,
    /// Passphrase of the private key.
    tls_key_file_pass: String,
    /// Certificate file as a client (empty: the server's).
    tls_client_cert_file: String,
    /// Private key file as a client (empty: the server's).
    tls_client_key_file: String,
    /// Passphrase of the client's private key.
    tls_client_key_file_pass: String,
    /// Diffie-Hellman parameters file.
    tls_dh_params_file: String,
    /// Trusted certificates, one file.
    tls_ca_cert_file: String,
    /// Trusted certificates, a folder.
    tls_ca_cert_dir: String,
    /// Whether clients need a certificate.
    tls_auth_clients: AuthClients,
    /// Which user clients are by their certificates.
    tls_auth_clients_user: CertificateUser,
    /// Use TLS towards the primary.
    tls_replication: bool,
    /// Use TLS on the cluster bus.
    tls_cluster: bool,
    /// Protocol versions, blank-separated (empty: the safe ones).
    tls_protocols: String,
    /// Cipher list up to TLS 1.2 (empty: the library's).
    tls_ciphers: String,
    /// Cipher suites of TLS 1.3 (empty: the library's).
    tls_ciphersuites: String,
    /// Prefer the server's order of ciphers.
    tls_prefer_server_ciphers: bool,
    /// Resume sessions.
    tls_session_caching: bool,
    /// Sessions kept (0: no limit).
    tls_session_cache_size: u32,
    /// Life of a kept session, in seconds.
    tls_session_cache_timeout: u32,
    /// Time between two looks at the files of TLS, in seconds; 0: they are not looked at.
    tls_auto_reload_interval: u32,
}

impl Config {
    /// The port that is announced to clients: the plain one, or that of TLS where it is the only one.
    pub fn main_port(&self) -> u16 {
        match self.port {
            0 => self.tls_port,
            port => port,
        }
    }

    /// The port that other nodes of a cluster know this one by: that of TLS if the bus uses TLS.
    pub fn base_port(&self) -> u16 {
        if self.tls_cluster { self.tls_port } else { self.port }
    }

    /// The port of the cluster's bus; 0: none. No port is above 65535.
    pub fn bus_port(&self) -> u16 {
        match self.cluster_port {
            _ if !self.cluster_enabled => 0,
            0 => self.base_port().checked_add(BUS_PORT_DISTANCE).unwrap_or(0),
            port => port,
        }
    }
}
