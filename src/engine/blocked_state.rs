//! A request that waits: what for, since when, and what it is.

use smallvec::SmallVec;

use crate::command::registry::CommandId;
use crate::resp::OwnedArgs;

/// What a client waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BlockKind {
    List,
    SortedSet,
    Stream,
    /// A stream, through one of its consumer groups: to be told as well when the key goes or becomes something else.
    StreamGroup,
    /// No key: what was written is to be on the disk.
    Disk,
    /// No key: a walk over all keys is to be over.
    KeySizes,
}

impl BlockKind {
    /// Every kind.
    pub const ALL: [BlockKind; 6] = [
        BlockKind::List,
        BlockKind::SortedSet,
        BlockKind::Stream,
        BlockKind::StreamGroup,
        BlockKind::Disk,
        BlockKind::KeySizes,
    ];
    /// Number of kinds.
    pub const COUNT: usize = BlockKind::ALL.len();

    /// Whether clients that wait for this have their request run again when a key of this type is there (`None`: no
    /// key).
    pub fn takes(self, type_name: Option<&str>) -> bool {
        match self {
            BlockKind::List => type_name == Some("list"),
            BlockKind::SortedSet => type_name == Some("zset"),
            BlockKind::Stream => type_name == Some("stream"),
            BlockKind::StreamGroup => true,
            BlockKind::Disk | BlockKind::KeySizes => false,
        }
    }
}

/// A client's unfinished request, and where it waits.
pub struct BlockedState {
    /// Empty while it runs.
    pub request: OwnedArgs,
    pub command: CommandId,
    /// In ms since the epoch; none: for ever.
    pub deadline_ms: Option<i64>,
    /// When it runs again though no key has changed, in ms since the epoch.
    pub(super) look_ms: Option<i64>,
    /// Time spent on running it so far.
    pub(super) ticks: u64,
    pub(super) has_run: bool,
    /// Whether its command replies with what there is when its time is over, and not with nothing.
    pub answers_late: bool,
    /// Whether it goes on waiting when the server becomes a replica.
    pub waits_at_replica: bool,
    pub(super) places: SmallVec<[u32; 1]>,
}

impl BlockedState {
    /// Memory that it takes, in bytes.
    pub fn memory(&self) -> usize {
        size_of::<BlockedState>() + self.request.memory() + self.places.len() * size_of::<u32>()
    }

    /// Adds a run of the request that took so many ticks; gives those of all runs, and whether this one was the first.
    pub fn note_run(&mut self, ticks: u64) -> (u64, bool) {
        self.ticks += ticks;
        (self.ticks, !std::mem::replace(&mut self.has_run, true))
    }
}

/// What a client waits for, in the order in which it names them, and how long.
pub struct BlockRequest<K> {
    pub database: usize,
    pub keys: K,
    pub kind: BlockKind,
    pub request: OwnedArgs,
    pub command: CommandId,
    /// In ms since the epoch; none: for ever.
    pub deadline_ms: Option<i64>,
}
