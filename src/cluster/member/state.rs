//! The state of a member besides the table: settings, links, elections, counters.

use std::fmt;

use super::super::message::Kind;
use super::super::node::{LinkId, NodeKey};

/// The directives that the member needs. Ports and addresses are the announced ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub node_timeout_ms: u64,
    /// Time between two pings of a random node.
    pub ping_interval_ms: u64,
    /// The bus uses TLS.
    pub is_tls: bool,
    pub plain_port: u16,
    pub tls_port: u16,
    pub bus_port: u16,
    /// `cluster-announce-ip`; without it the address is learned from links.
    pub announced_ip: Option<String>,
    pub hostname: String,
    pub human_name: String,
    pub requires_full_coverage: bool,
    pub allows_replica_migration: bool,
    /// Minimum number of replicas that a primary keeps when another replica moves away.
    pub migration_barrier: usize,
    /// How many timeouts old a replica's data may be for it to fail over; 0: any age.
    pub replica_validity_factor: u64,
    pub replica_never_fails_over: bool,
    /// `repl-ping-replica-period`, in milliseconds.
    pub replica_ping_period_ms: u64,
    /// A manual failover times out after this time.
    pub manual_timeout_ms: u64,
    /// How long gossip may not add a forgotten node.
    pub forgotten_for_ms: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            node_timeout_ms: 15_000,
            ping_interval_ms: 1000,
            is_tls: false,
            plain_port: 6379,
            tls_port: 0,
            bus_port: 16_379,
            announced_ip: None,
            hostname: String::new(),
            human_name: String::new(),
            requires_full_coverage: true,
            allows_replica_migration: true,
            migration_barrier: 1,
            replica_validity_factor: 10,
            replica_never_fails_over: false,
            replica_ping_period_ms: 10_000,
            manual_timeout_ms: 5_000,
            forgotten_for_ms: 60_000,
        }
    }
}

/// The state of this server's replication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replication {
    /// Bytes of the stream: produced by a primary, applied by a replica.
    pub offset: u64,
    /// Time since the replica last received data of its primary; none if it never has.
    pub data_age_ms: Option<u64>,
    /// Replication has a primary configured.
    pub is_following: bool,
}

/// Which end opened a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// This member opened it, to ping the node.
    Outbound,
    /// The other node opened it; this member answers on it.
    Inbound,
}

/// One link.
#[derive(Clone, Debug)]
pub struct Link {
    pub direction: Direction,
    /// The node at the other end, if it is known.
    pub node: Option<NodeKey>,
    pub is_open: bool,
    pub created_ms: u64,
    /// The same as a time of day.
    pub created_wall_ms: u64,
    /// The socket's addresses, as far as they are known.
    pub peer_ip: String,
    pub local_ip: String,
}

/// Whether this member serves keys, or replies that the cluster is down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterHealth {
    pub is_ok: bool,
    /// When the health was first evaluated. The time of loading the data does not count.
    pub first_look_ms: Option<u64>,
    /// When this member last saw only a minority of the primaries.
    pub minority_ms: Option<u64>,
}

/// A replica's attempt to become primary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Election {
    /// When votes are requested, or were requested.
    pub at_ms: Option<u64>,
    /// The epoch of the election, once votes have been requested.
    pub epoch: Option<u64>,
    pub voters: Vec<NodeKey>,
    /// Number of replicas of the same primary with a greater offset.
    pub rank: u64,
    pub blocked_by: Option<Obstacle>,
}

/// The reason why a replica of a failed primary does not take over yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    DataTooOld,
    WaitingForDelay,
    Expired,
    WaitingForVotes,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Obstacle::DataTooOld => {
                "Disconnected from master for longer than allowed. Please check the 'cluster-replica-validity-factor' \
                 configuration option."
            }
            Obstacle::WaitingForDelay => "Waiting the delay before I can start a new failover.",
            Obstacle::Expired => "Failover attempt expired.",
            Obstacle::WaitingForVotes => "Waiting for votes, but majority still not reached.",
        })
    }
}

/// A failover that an administrator has requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ManualFailover {
    #[default]
    None,
    /// This primary accepts no writes, so that the replica can catch up. `is_paused`: the turn in which writes were
    /// paused has ended, so the offset is final.
    Yielding { replica: NodeKey, until_ms: u64, is_paused: bool },
    /// This replica waits until it has the primary's last write.
    Taking { until_ms: u64, primary_offset: Option<u64>, may_start: bool },
}

/// Whether, and how, the configuration has to be saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Saving {
    #[default]
    None,
    /// Soon: losing the change does no harm.
    Eventually,
    /// On disk before any frame is sent: a vote, an epoch or a claim depends on it.
    BeforeSending,
}

/// Work to do at the end of the turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Due {
    pub saving: Saving,
    pub health: bool,
    pub failover: bool,
}

/// The counters of CLUSTER INFO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Indexed by the number of the kind.
    pub sent: [u64; Kind::ALL.len()],
    pub received: [u64; Kind::ALL.len()],
    /// Frames that were ignored because they could not be read.
    pub invalid: u64,
    pub links_over_limit: u64,
}

/// Generator of link numbers. Accepted links have odd numbers, links that this member opens even ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkNumbers(u64);

impl LinkNumbers {
    /// A number for a link that this member opens.
    pub fn outbound(&mut self) -> LinkId {
        self.0 += 1;
        LinkId(self.0 * 2)
    }

    /// A number for a link that was accepted.
    pub fn inbound(&mut self) -> LinkId {
        self.0 += 1;
        LinkId(self.0 * 2 + 1)
    }
}
