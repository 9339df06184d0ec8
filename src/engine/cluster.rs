//! This server's place in a cluster: the member, and the state that its owner keeps beside it. Never touches a socket
//! or a file.

use std::collections::BTreeMap;

use crate::cluster::message::framing::FrameReader;
use crate::cluster::node::LinkId;
use crate::cluster::{Member, SlotSet};
use crate::engine::slot_migrations::SlotMigrations;
use crate::net::tls::Connector;
use crate::net::token::Token;
use crate::observe::slot_stats::SlotStats;
use crate::storage::file::KeptFile;

/// The state of a server in cluster mode.
pub struct Cluster {
    pub member: Member,
    /// Messages of publishers at this server, for other nodes, in order.
    pub outgoing: Vec<Published>,
    /// The connections of the bus.
    pub bus: Bus,
    /// nodes.conf; none when driven in-process.
    pub file: Option<KeptFile>,
    /// The port that the bus listens on. It stays the same when the port for clients changes.
    pub bus_port: u16,
    /// The data are loaded: from here on this server takes part.
    pub has_joined: bool,
    /// When the member's next tick is due, on the monotonic clock.
    pub tick_due_ms: u64,
    /// Slots whose keys are being deleted, since another node owns them.
    pub lost: LostSlots,
    /// Slots that move to or from this node with all their keys at once.
    pub slot_migrations: SlotMigrations,
    /// What the requests about each slot cost.
    pub slot_stats: SlotStats,
    /// Clients whose changes of slots were sent to the replicas first, with the number of replicas that have to
    /// acknowledge that.
    pub changes_ahead: Vec<(Token, usize)>,
}

/// A message of a publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Whether it is for the nodes of this shard alone.
    pub is_sharded: bool,
    pub channel: Vec<u8>,
    pub message: Vec<u8>,
}

/// Slots that another node owns now, with keys that are deleted piece by piece.
#[derive(Debug, Default)]
pub struct LostSlots {
    pub slots: SlotSet,
    /// Where the walk over the keys of the first slot goes on.
    pub database: usize,
    pub cursor: u64,
}

/// The connections of the bus.
#[derive(Default)]
pub struct Bus {
    pub links: BTreeMap<LinkId, BusLink>,
    /// Begins encrypted connections to other nodes; made when it is first needed.
    pub connector: Option<Connector>,
    /// When the log last reported a link that was closed for invalid input, in ms since the epoch.
    pub complained_ms: i64,
}

/// A connection to another node.
pub struct BusLink {
    pub connection: Token,
    pub reader: FrameReader,
}

impl Cluster {
    /// The state of a server whose member is this one.
    pub fn new(member: Member) -> Cluster {
        let bus_port = member.settings().bus_port;
        Cluster {
            member,
            outgoing: Vec::new(),
            bus: Bus::default(),
            file: None,
            bus_port,
            has_joined: false,
            tick_due_ms: 0,
            lost: LostSlots::default(),
            slot_migrations: SlotMigrations::default(),
            slot_stats: SlotStats::default(),
            changes_ahead: Vec::new(),
        }
    }

    /// Whether all requests are looked at more closely: writes to slots that move are held back, or slots are counted.
    pub fn looks_closer(&self) -> bool {
        self.slot_migrations.holds_any() || self.slot_stats.is_on()
    }

    /// Whether the changes of units are looked at one by one: slots move, or what goes to replicas is counted by slot.
    pub fn gathers(&self) -> bool {
        self.slot_migrations.gathers() || self.slot_stats.is_on()
    }

    /// Whether every request about a slot runs here: the slot is this member's, the cluster is up, and no slot moves.
    #[inline]
    pub fn serves(&self, slot: u16) -> bool {
        let table = self.member.table();
        let moves_none = table.migrating.is_empty() && table.importing.is_empty();
        self.member.is_ok() && moves_none && table.owner(slot) == Some(table.my_key())
    }
}
