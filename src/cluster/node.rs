//! One node of the cluster, as this member knows it.

use super::message::Flags;
use super::node_id::{NodeId, ShardId};
use super::slot::SlotSet;

/// Identifies a node in the table. Unlike the node's id it never changes, and a table never reuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeKey(pub u32);

/// Identifies a link of the bus, both for the member and for the owner of the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkId(pub u64);

/// One instant on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic clock, used for all intervals.
    pub steady_ms: u64,
    /// Time of day, shown to peers and users.
    pub wall_ms: u64,
}

impl Now {
    /// The time of day of an instant of the steady clock.
    pub fn wall_of(&self, steady_ms: u64) -> u64 {
        (self.wall_ms + steady_ms).saturating_sub(self.steady_ms)
    }

    /// The steady clock at a time of day.
    pub fn steady_of(&self, wall_ms: u64) -> u64 {
        (self.steady_ms + wall_ms).saturating_sub(self.wall_ms)
    }
}

/// Whether a node serves slots of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Primary,
    /// The primary is unknown while the node is known from gossip only.
    Replica(Option<NodeKey>),
}

/// A node's health as this member sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Ok,
    /// The node does not answer this member: `fail?`.
    Suspected,
    /// A majority suspects the node: `fail`.
    Failed { since_ms: u64 },
}

/// Whether the handshake with a node is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// The id is random, since the real one is not known yet.
    Handshake,
    Known,
}

/// Where a node can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Empty if unknown.
    pub ip: String,
    /// The client port without TLS, or 0.
    pub plain_port: u16,
    /// The client port with TLS, or 0.
    pub tls_port: u16,
    pub bus_port: u16,
}

impl Address {
    /// The client port with TLS if the bus uses TLS, otherwise the plain one.
    pub fn base_port(&self, is_tls: bool) -> u16 {
        if is_tls { self.tls_port } else { self.plain_port }
    }

    /// The address in a frame, in which the base port is the TLS port if the bus uses TLS.
    pub fn from_frame(ip: String, base_port: u16, other_port: u16, bus_port: u16, is_tls: bool) -> Address {
        let (plain_port, tls_port) = if is_tls { (other_port, base_port) } else { (base_port, other_port) };
        Address { ip, plain_port, tls_port, bus_port }
    }
}

/// A primary reports that a node is failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub reporter: NodeKey,
    /// The time of its first report without a break.
    pub since_ms: u64,
    /// The time of its last report.
    pub at_ms: u64,
}

impl Report {
    /// Whether it is recent enough to count.
    pub fn is_valid(&self, now_ms: u64, valid_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms) <= valid_ms
    }
}

/// The server that a node runs, as detected by its extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Redis8,
    Valkey,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: NodeId,
    pub acquaintance: Acquaintance,
    /// The first frame to the node has to be a MEET, so that it accepts this member.
    pub is_to_be_met: bool,
    pub role: Role,
    pub health: Health,
    /// The address is unknown: the last one was found to belong to another node.
    pub has_no_address: bool,
    /// Replicas of other primaries may migrate to the node: it has replicas, working or not, or was one itself.
    pub attracts_replicas: bool,
    /// The node never tries to become primary by itself.
    pub never_fails_over: bool,
    pub address: Address,
    pub hostname: String,
    pub human_name: String,
    pub shard_id: ShardId,
    pub config_epoch: u64,
    /// The slots bound to the node.
    pub slots: SlotSet,
    pub offset: u64,
    pub added_ms: u64,
    /// When the ping that is still unanswered was sent.
    pub ping_sent_ms: Option<u64>,
    pub pong_received_ms: Option<u64>,
    pub data_received_ms: u64,
    pub outbound: Option<LinkId>,
    pub inbound: Option<LinkId>,
    /// Failure reports about the node.
    pub reports: Vec<Report>,
    /// When this member last voted for a replica of the node.
    pub voted_ms: Option<u64>,
    /// Since when the node has had no working replica; used by replicas that may migrate.
    pub orphaned_since_ms: Option<u64>,
    pub has_extensions: bool,
    pub family: Option<Family>,
}

impl Node {
    /// A primary without slots of which nothing else is known.
    pub fn new(id: NodeId, shard_id: ShardId, address: Address, now: Now) -> Node {
        Node {
            id,
            acquaintance: Acquaintance::Known,
            is_to_be_met: false,
            role: Role::Primary,
            health: Health::Ok,
            has_no_address: false,
            attracts_replicas: false,
            never_fails_over: false,
            address,
            hostname: String::new(),
            human_name: String::new(),
            shard_id,
            config_epoch: 0,
            slots: SlotSet::default(),
            offset: 0,
            added_ms: now.steady_ms,
            ping_sent_ms: None,
            pong_received_ms: None,
            data_received_ms: 0,
            outbound: None,
            inbound: None,
            reports: Vec::new(),
            voted_ms: None,
            orphaned_since_ms: None,
            has_extensions: false,
            family: None,
        }
    }

    /// Whether it is a primary.
    pub fn is_primary(&self) -> bool {
        self.role == Role::Primary
    }

    /// Whether it is a primary with slots: only such nodes vote.
    pub fn is_voter(&self) -> bool {
        self.is_primary() && !self.slots.is_empty()
    }

    /// Its primary, if it is a replica of a known primary.
    pub fn primary(&self) -> Option<NodeKey> {
        match self.role {
            Role::Primary => None,
            Role::Replica(primary) => primary,
        }
    }

    /// Whether a majority has declared it failed.
    pub fn is_failed(&self) -> bool {
        matches!(self.health, Health::Failed { .. })
    }

    /// Whether it is still in handshake.
    pub fn is_in_handshake(&self) -> bool {
        self.acquaintance == Acquaintance::Handshake
    }

    /// Whether it is neither suspected nor failed.
    pub fn is_ok(&self) -> bool {
        self.health == Health::Ok
    }

    /// The node's flags in frames.
    pub fn flags(&self, is_myself: bool) -> Flags {
        Flags::default()
            .with(Flags::PRIMARY, self.is_primary())
            .with(Flags::REPLICA, !self.is_primary())
            .with(Flags::SUSPECTED, self.health == Health::Suspected)
            .with(Flags::FAILED, self.is_failed())
            .with(Flags::MYSELF, is_myself)
            .with(Flags::HANDSHAKE, self.is_in_handshake())
            .with(Flags::NO_ADDRESS, self.has_no_address)
            .with(Flags::MEET, self.is_to_be_met)
            .with(Flags::MIGRATE_TO, self.attracts_replicas)
            .with(Flags::NO_FAILOVER, self.never_fails_over)
    }
}
