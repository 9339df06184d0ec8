//! What the server counts of its clients, requests and memory, for INFO and the metrics.

/// When the log last told of what any peer can cause, in ms since the epoch: it does so once in a while.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogTimes {
    /// An attack on a browser's user.
    pub attack_ms: i64,
    /// A failed TLS handshake.
    pub handshake_ms: i64,
}

/// What is counted, for INFO.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    pub connections: u64,
    pub rejected_connections: u64,
    pub commands: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    /// Bytes of replication, which count in the two above as well: from this server's primary, and to its replicas.
    pub replication_input_bytes: u64,
    pub replication_output_bytes: u64,
    /// Replicas that were sent all data, that went on from where they were, and that could not.
    pub full_syncs: u64,
    pub partial_syncs: u64,
    pub refused_partial_syncs: u64,
    /// Commands of the primary that have failed here.
    pub unexpected_errors: u64,
    pub reads: u64,
    pub writes: u64,
    pub client_query_buffer_limit_disconnections: u64,
    pub client_output_buffer_limit_disconnections: u64,
    pub evicted_clients: u64,
    /// Packed collections that were checked in full because `sanitize-dump-payload` asked for it.
    pub sanitized_payloads: u64,
    /// Attempts to log in that failed.
    pub denied_logins: u64,
    /// Certificates of TLS clients that name no user whom they could be.
    pub denied_certificates: u64,
    /// Requests refused because of a database, the command, a key or a channel.
    pub denied_databases: u64,
    pub denied_commands: u64,
    pub denied_keys: u64,
    pub denied_channels: u64,
    pub recent_input_bytes: usize,
    pub recent_output_bytes: usize,
    pub peak_memory_bytes: usize,
    pub resident_bytes: usize,
}
