//! Frames of the cluster bus: their content, writing and reading. Never trusts a length in a frame.
//!
//! ```text
//! full header, big-endian                              light header (Valkey)
//!    0  "RCmb"                                            0  "RCmb"
//!    4  total length, u32                                 4  total length, u32
//!    8  version 1, u16                                    8  version 1, u16
//!   10  client port, u16                                 10  unused
//!   12  type, u16                                        12  type | 0x8000, u16
//!   14  number of gossip entries, u16                    16  body
//!   16  current epoch, configuration epoch, offset, u64 each
//!   40  sender's id, 40 digits
//!   80  slots, 2048 bytes: its own, or its primary's
//! 2128  id of its primary, zeros for a primary
//! 2168  announced address, 46 bytes
//! 2214  number of extensions, u16; 30 bytes unused
//! 2246  other client port, bus port, flags, u16 each
//! 2252  cluster state, u8: 0 is up
//! 2253  marks, 3 bytes: 1 paused, 2 vote is forced, 4 has extensions
//! 2256  body
//! ```
//!
//! The client port is the one with TLS if the bus uses TLS, and the plain one otherwise.

mod decode;
mod encode;
pub mod extension;
pub mod framing;

pub use decode::{Invalid, decode};
pub use encode::encode;
pub use extension::Extension;

use super::node_id::NodeId;
use super::slot::SlotSet;

/// Length of the full header.
pub const HEADER_BYTES: usize = 2256;
/// Length of Valkey's light header.
pub const LIGHT_HEADER_BYTES: usize = 16;
/// Length of a gossip entry.
pub const GOSSIP_BYTES: usize = 104;
/// Length of an address in a frame.
pub const ADDRESS_BYTES: usize = 46;

const SIGNATURE: &[u8; 4] = b"RCmb";
const VERSION: u16 = 1;
/// Bit of the type field that marks a light header.
const LIGHT: u16 = 0x8000;
const MARK_PAUSED: u8 = 1;
const MARK_FORCED: u8 = 2;
const MARK_EXTENSIONS: u8 = 4;

/// The kinds of frames, with their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Ping = 0,
    Pong = 1,
    Meet = 2,
    Fail = 3,
    Publish = 4,
    VoteRequest = 5,
    Vote = 6,
    Update = 7,
    ManualFailoverStart = 8,
    Module = 9,
    PublishShard = 10,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Kind; 11] = [
        Kind::Ping,
        Kind::Pong,
        Kind::Meet,
        Kind::Fail,
        Kind::Publish,
        Kind::VoteRequest,
        Kind::Vote,
        Kind::Update,
        Kind::ManualFailoverStart,
        Kind::Module,
        Kind::PublishShard,
    ];

    /// The kind that has this number.
    pub fn from_number(number: u16) -> Option<Kind> {
        Kind::ALL.get(usize::from(number)).copied()
    }

    /// Its name in CLUSTER INFO.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ping => "ping",
            Kind::Pong => "pong",
            Kind::Meet => "meet",
            Kind::Fail => "fail",
            Kind::Publish => "publish",
            Kind::VoteRequest => "auth-req",
            Kind::Vote => "auth-ack",
            Kind::Update => "update",
            Kind::ManualFailoverStart => "mfstart",
            Kind::Module => "module",
            Kind::PublishShard => "publishshard",
        }
    }
}

/// Flags of a node, with their values in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    pub const PRIMARY: Flags = Flags(1);
    pub const REPLICA: Flags = Flags(2);
    pub const SUSPECTED: Flags = Flags(4);
    pub const FAILED: Flags = Flags(8);
    pub const MYSELF: Flags = Flags(16);
    pub const HANDSHAKE: Flags = Flags(32);
    pub const NO_ADDRESS: Flags = Flags(64);
    pub const MEET: Flags = Flags(128);
    pub const MIGRATE_TO: Flags = Flags(256);
    pub const NO_FAILOVER: Flags = Flags(512);

    /// Whether any of these flags is set.
    pub fn has(self, any: Flags) -> bool {
        self.0 & any.0 != 0
    }

    /// With these flags set too, if they apply.
    #[must_use]
    pub fn with(self, flags: Flags, applies: bool) -> Flags {
        Flags(self.0 | if applies { flags.0 } else { 0 })
    }
}

/// The data about the sender in every full frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub sender: NodeId,
    /// The highest epoch that the sender knows.
    pub current_epoch: u64,
    /// The epoch of the claim to the slots; a replica sends its primary's.
    pub config_epoch: u64,
    /// The replication offset.
    pub offset: u64,
    /// The slots claimed; a replica sends its primary's.
    pub slots: SlotSet,
    /// The id of its primary; none for a primary.
    pub primary: Option<NodeId>,
    /// The announced address, if there is one; otherwise the address of the socket is used.
    pub address: Option<String>,
    /// The client port with TLS if the bus uses TLS, otherwise the plain one.
    pub base_port: u16,
    /// The client port of the other kind, or 0.
    pub other_port: u16,
    pub bus_port: u16,
    pub flags: Flags,
    /// For the sender the cluster is down.
    pub is_down: bool,
    /// A manual failover is under way and the sender accepts no writes.
    pub is_paused: bool,
    /// The vote is requested although the primary is alive.
    pub is_forced: bool,
    /// The sender understands extensions.
    pub has_extensions: bool,
}

/// Gossip about one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GossipEntry {
    pub id: NodeId,
    /// Wall clock, in seconds; 0 if no ping is outstanding.
    pub ping_sent_s: u32,
    /// Wall clock, in seconds.
    pub pong_received_s: u32,
    pub address: String,
    pub base_port: u16,
    pub other_port: u16,
    pub bus_port: u16,
    pub flags: Flags,
}

/// The body of PING, PONG and MEET.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gossip {
    pub entries: Vec<GossipEntry>,
    pub extensions: Vec<Extension>,
}

/// The body of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    Ping(Gossip),
    Pong(Gossip),
    Meet(Gossip),
    /// A majority has declared this node failed.
    Fail(NodeId),
    Publish {
        channel: Vec<u8>,
        message: Vec<u8>,
    },
    PublishShard {
        channel: Vec<u8>,
        message: Vec<u8>,
    },
    VoteRequest,
    Vote,
    /// A node other than the sender has a newer claim to slots than the receiver knows.
    Update {
        id: NodeId,
        config_epoch: u64,
        slots: SlotSet,
    },
    ManualFailoverStart,
    /// A message between modules, which this server does not support.
    Module,
}

impl Body {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Body::Ping(_) => Kind::Ping,
            Body::Pong(_) => Kind::Pong,
            Body::Meet(_) => Kind::Meet,
            Body::Fail(_) => Kind::Fail,
            Body::Publish { .. } => Kind::Publish,
            Body::PublishShard { .. } => Kind::PublishShard,
            Body::VoteRequest => Kind::VoteRequest,
            Body::Vote => Kind::Vote,
            Body::Update { .. } => Kind::Update,
            Body::ManualFailoverStart => Kind::ManualFailoverStart,
            Body::Module => Kind::Module,
        }
    }
}

/// A decoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    Full(Box<Header>, Body),
    /// A frame with Valkey's light header, which does not name the sender.
    Light(Body),
}

/// Reads a text that ends with the first zero byte. Returns none if `is_allowed` rejects a byte.
fn padded_text(field: &[u8], is_allowed: fn(u8) -> bool) -> Option<String> {
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    if !text.iter().all(|byte| is_allowed(*byte)) {
        return None;
    }
    String::from_utf8(text.to_vec()).ok()
}

/// Whether a text may be an address: nodes.conf has to be readable with any address in it.
pub fn is_address(text: &str) -> bool {
    text.bytes().all(is_address_byte)
}

/// Whether an address may contain this byte.
fn is_address_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".:-_%".contains(&byte)
}
