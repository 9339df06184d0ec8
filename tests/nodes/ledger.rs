//! What must hold at any time, whatever happens: kept from outside, from what passed over the network and from what each
//! node's data are at each place of a history.
//!
//! - No pair of id and offset names two histories: neither two bytes, nor two sets of data.
//! - A replica is never ahead of what its primary has sent it, nor of its primary.
//! - What a replica acknowledges it has applied.
//! - What it acknowledges to be on its disk is there after a power cut.
//! - A failover that is not forced loses nothing.
//! - No full synchronization where the bytes that a replica lacked were still to be kept.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use oneloop::drive::replication::primary;
use oneloop::engine::state::ServerState;
use oneloop::storage::aof::append_only::State;

use super::data;
use super::network::Wire;
use super::tap::{Place, Seen, take_request};

pub type Outcome = Result<(), String>;

/// A byte of the stream that was not seen.
const UNSEEN: u16 = u16::MAX;

/// The data at a place of a history, and where they were seen.
struct DataAt {
    digest: u64,
    node: usize,
    lines: Option<Vec<String>>,
}

/// What is known of one node's process.
#[derive(Default)]
pub struct Known {
    pub place: Option<Place>,
    pub id: String,
    /// The backlog has been kept since this offset.
    backlog_since: Option<u64>,
    /// Its data are being replaced: it has nothing to go on from.
    pub is_in_between: bool,
    /// It had this place when it asked its primary last.
    asked_at: Option<Place>,
    /// It has asked its primary last to take its place.
    gives_way: bool,
    /// It was told to fail over even if something is lost.
    pub may_lose: bool,
    /// The offset before its last turn.
    pub offset_before: u64,
}

/// What holds of all nodes.
pub struct Ledger {
    streams: HashMap<String, Vec<u16>>,
    data: HashMap<Place, DataAt>,
    /// Where each history has left another one.
    parents: HashMap<String, Place>,
    /// How far each node has ever been in each history.
    reached: Vec<HashMap<String, u64>>,
    pub known: Vec<Known>,
    /// What each node has said to be on its disk.
    on_disk: Vec<Option<Place>>,
    keeps_lines: bool,
    pub full_syncs: usize,
    pub partial_syncs: usize,
}

impl Ledger {
    /// With nothing known. `keeps_lines` is for what differs to be shown.
    pub fn new(nodes: usize, keeps_lines: bool) -> Ledger {
        Ledger {
            streams: HashMap::new(),
            data: HashMap::new(),
            parents: HashMap::new(),
            reached: vec![HashMap::new(); nodes],
            known: (0..nodes).map(|_| Known::default()).collect(),
            on_disk: vec![None; nodes],
            keeps_lines,
            full_syncs: 0,
            partial_syncs: 0,
        }
    }

    /// The process of a node has ended.
    pub fn node_ended(&mut self, node: usize) {
        self.known[node] = Known::default();
        // If it was to take over it may come back with less than it has acknowledged, and nobody can know.
        self.known.iter_mut().for_each(|known| known.may_lose = true);
    }

    /// The same place under the name of the history in which it was first.
    fn root(&self, place: &Place) -> Place {
        let mut place = place.clone();
        while let Some(parent) = self.parents.get(&place.id).filter(|parent| place.offset <= parent.offset) {
            place.id.clone_from(&parent.id);
        }
        place
    }

    /// A node has had a turn.
    pub fn observe(&mut self, node: usize, state: &mut ServerState, wire: Option<&Wire>) -> Outcome {
        if state.stats.unexpected_errors > 0 {
            return Err(format!("node {node} could not apply a command of its primary"));
        }
        if state.is_amid_unit() {
            return Ok(());
        }
        if state.aof.state() == State::Off {
            self.on_disk[node] = None;
        }
        self.note_identity(node, state);
        let Some((position, _)) = state.place_in_history().filter(|_| !state.is_loading()) else {
            self.known[node].place = None;
            return Ok(());
        };
        let place = Place { id: position.id.to_string(), offset: position.offset };
        check_link(node, state, &place, wire)?;
        if self.known[node].place.as_ref() == Some(&place) {
            return Ok(());
        }
        self.note_reached(node, &place);
        self.note_data(node, state, &place)?;
        self.known[node].place = Some(place);
        Ok(())
    }

    fn note_identity(&mut self, node: usize, state: &ServerState) {
        let identity = &state.replication.identity;
        let id = identity.id.to_string();
        let is_streaming = state.replication.replica.as_ref().is_none_or(|side| side.link.is_streaming());
        let known = &mut self.known[node];
        if state.replication.replica.as_ref().is_some_and(|side| side.hides_data()) || state.loads_files() {
            known.is_in_between = true;
        } else if is_streaming {
            known.is_in_between = false;
        }
        let has_backlog = state.replication.primary.backlog.is_some();
        if known.id != id {
            let branched = identity.second_offset >= 0 && identity.second_id.to_string() == known.id;
            if identity.second_offset >= 0 && !self.parents.contains_key(&id) {
                let offset = u64::try_from(identity.second_offset - 1).unwrap_or(0);
                self.parents.insert(id.clone(), Place { id: identity.second_id.to_string(), offset });
            }
            if !branched {
                self.on_disk[node] = None;
                known.backlog_since = None;
            }
            known.id = id;
        }
        match has_backlog {
            false => known.backlog_since = None,
            true if is_streaming => {
                known.backlog_since.get_or_insert(state.replication_offset());
            }
            true => {}
        }
    }

    fn note_reached(&mut self, node: usize, place: &Place) {
        let mut place = place.clone();
        loop {
            let furthest = self.reached[node].entry(place.id.clone()).or_default();
            *furthest = place.offset.max(*furthest);
            let Some(parent) = self.parents.get(&place.id) else { return };
            place = Place { id: parent.id.clone(), offset: parent.offset.min(place.offset) };
        }
    }

    fn note_data(&mut self, node: usize, state: &ServerState, place: &Place) -> Outcome {
        let lines = data::all(state);
        let mut hasher = DefaultHasher::new();
        lines.hash(&mut hasher);
        let digest = hasher.finish();
        let root = self.root(place);
        let kept = self.keeps_lines.then_some(lines);
        let Some(known) = self.data.get(&root) else {
            self.data.insert(root, DataAt { digest, node, lines: kept });
            return Ok(());
        };
        if known.digest == digest {
            return Ok(());
        }
        let shown = match (&known.lines, &kept) {
            (Some(one), Some(other)) => data::difference(one, other),
            _ => String::new(),
        };
        Err(format!("node {node} has other data at {place:?} ({root:?}) than node {}:\n{shown}", known.node))
    }

    /// Something was seen on a connection. `replica` and `primary` are the states of its ends, if they are up.
    pub fn note(
        &mut self,
        wire: &Wire,
        seen: Seen,
        replica: Option<&ServerState>,
        primary: Option<&ServerState>,
    ) -> Outcome {
        let known = &mut self.known[wire.from];
        match seen {
            Seen::Asked { takes_over, .. } => {
                known.gives_way = takes_over;
                known.asked_at = replica.filter(|_| !known.is_in_between).map(|state| {
                    let id = state.replication.identity.id.to_string();
                    Place { id, offset: state.replication_offset() }
                });
                Ok(())
            }
            Seen::Acknowledged { applied, on_disk } => {
                self.note_on_disk(wire.from, on_disk, replica);
                check_acknowledged(wire, applied, replica)
            }
            Seen::Full(place) => {
                self.full_syncs += 1;
                known.backlog_since = None;
                if known.gives_way && !known.may_lose {
                    return Err(format!("node {} has given way to node {}, which lacks something", wire.from, wire.to));
                }
                self.on_disk[wire.from] = None;
                self.check_full(wire, &place, primary)
            }
            Seen::Continues(_) => {
                self.partial_syncs += 1;
                Ok(())
            }
            Seen::Stream(place, bytes) => self.note_stream(wire, &place, &bytes),
            Seen::AskedInOldWay => Err(format!("node {} takes node {} for an old server", wire.from, wire.to)),
            Seen::FullComplete | Seen::Line(_) => Ok(()),
        }
    }

    fn note_on_disk(&mut self, node: usize, on_disk: Option<u64>, state: Option<&ServerState>) {
        if let (Some(state), Some(offset @ 1..)) = (state, on_disk) {
            self.on_disk[node] = Some(Place { id: state.replication.identity.id.to_string(), offset });
        }
    }

    /// The disk of a node is another one.
    pub fn disk_lost(&mut self, node: usize) {
        self.on_disk[node] = None;
    }

    /// A process has begun: what the one before has acknowledged to be on the disk is there.
    pub fn check_start(&mut self, node: usize, state: &ServerState) -> Outcome {
        let promised = self.on_disk[node].take().filter(|_| state.config.appendonly);
        let (Some(promised), Some((position, _))) = (promised, state.place_in_history()) else { return Ok(()) };
        let mut place = Place { id: position.id.to_string(), offset: position.offset };
        loop {
            let is_of_it = place.id == promised.id;
            if is_of_it && (place.offset >= promised.offset || self.changes_nothing(&place, promised.offset)) {
                return Ok(());
            }
            let Some(parent) = self.parents.get(&place.id) else {
                return Err(format!("node {node} begins at {position:?}, and {promised} was on its disk"));
            };
            place = Place { id: parent.id.clone(), offset: parent.offset.min(place.offset) };
        }
    }

    /// Whether the stream from a place on changes no data up to an offset: such bytes are in no file.
    fn changes_nothing(&self, place: &Place, up_to: u64) -> bool {
        let mut bytes = Vec::new();
        for offset in place.offset + 1..=up_to {
            let root = self.root(&Place { id: place.id.clone(), offset });
            let byte = self.streams.get(&root.id).and_then(|stream| stream.get(offset as usize));
            match byte.map(|byte| u8::try_from(*byte)) {
                Some(Ok(byte)) => bytes.push(byte),
                // Nobody knows.
                _ => return true,
            }
        }
        let is_none = |words: &Vec<String>| ["PING", "SELECT", "REPLCONF", "PUBLISH"].contains(&words[0].as_str());
        std::iter::from_fn(|| take_request(&mut bytes)).all(|words| is_none(&words))
    }

    /// Whether a replica that was sent all data could have been sent what it lacked alone.
    fn check_full(&self, wire: &Wire, place: &Place, primary: Option<&ServerState>) -> Outcome {
        let (Some(state), Some(asked)) = (primary, &self.known[wire.from].asked_at) else { return Ok(()) };
        let (identity, known) = (&state.replication.identity, &self.known[wire.to]);
        let Some(since) = known.backlog_since else { return Ok(()) };
        let wanted = asked.offset + 1;
        let is_present = asked.id == identity.id.to_string();
        let is_second = asked.id == identity.second_id.to_string() && wanted as i64 <= identity.second_offset;
        let end = state.replication_offset();
        let first = (since + 1).max((end + 1).saturating_sub(primary::backlog_bytes(state)));
        let delay_ms = state.config.repl_diskless_sync_delay.asked_for_ms();
        let is_possible = (is_present || is_second)
            && wanted >= first
            && asked.offset <= known.offset_before.min(end)
            && delay_ms == 0;
        match is_possible {
            false => Ok(()),
            true => Err(format!(
                "node {} is sent all data of node {} at {place:?}, though it was at {asked:?}, and bytes {first} to {end} are kept",
                wire.from, wire.to
            )),
        }
    }

    fn note_stream(&mut self, wire: &Wire, place: &Place, bytes: &[u8]) -> Outcome {
        for (at, byte) in (place.offset + 1..).zip(bytes) {
            let root = self.root(&Place { id: place.id.clone(), offset: at });
            let stream = self.streams.entry(root.id.clone()).or_default();
            let index = at as usize;
            if stream.len() <= index {
                stream.resize(index + 256, UNSEEN);
            }
            if stream[index] != UNSEEN && stream[index] != u16::from(*byte) {
                return Err(format!(
                    "byte {at} of {} ({}) is another one on the way from node {} to node {}: …{}",
                    place.id,
                    root.id,
                    wire.to,
                    wire.from,
                    String::from_utf8_lossy(bytes)
                ));
            }
            stream[index] = u16::from(*byte);
        }
        Ok(())
    }

    /// How many of the other nodes have ever been so far in a history.
    pub fn nodes_at(&self, besides: usize, place: &Place) -> usize {
        let mut names = vec![place.id.clone()];
        while let Some(parent) = names.last().and_then(|name| self.parents.get(name)) {
            names.push(parent.id.clone());
        }
        let others = self.reached.iter().enumerate().filter(|(node, _)| *node != besides);
        let is_there = |reached: &HashMap<String, u64>| {
            names.iter().any(|name| reached.get(name).is_some_and(|furthest| *furthest >= place.offset))
        };
        others.filter(|(_, reached)| is_there(reached)).count()
    }
}

fn check_acknowledged(wire: &Wire, offset: u64, replica: Option<&ServerState>) -> Outcome {
    let applied = replica.map_or(u64::MAX, ServerState::replication_offset);
    let delivered = wire.delivered_offset().unwrap_or(0);
    match offset <= applied && offset <= delivered {
        true => Ok(()),
        false => {
            let node = wire.from;
            Err(format!("node {node} acknowledges {offset}, has applied {applied}, was given {delivered}"))
        }
    }
}

/// A replica has no byte that it was not given.
fn check_link(node: usize, state: &ServerState, place: &Place, wire: Option<&Wire>) -> Outcome {
    let Some(side) = state.replication.replica.as_ref().filter(|side| side.link.is_streaming()) else { return Ok(()) };
    if place.offset != state.replication_offset() {
        return Err(format!("node {node} stands at {place:?}, and counts {}", state.replication_offset()));
    }
    let Some(wire) = wire.filter(|wire| wire.is_open() && side.connection.is_some()) else { return Ok(()) };
    let Some(sent) = wire.tap.sent.as_ref().filter(|_| wire.tap.is_streaming()) else { return Ok(()) };
    let delivered = wire.delivered_offset().unwrap_or(0);
    match place.id == sent.id && place.offset <= delivered {
        true => Ok(()),
        false => Err(format!("node {node} is at {place:?}, and was given {}:{delivered}", sent.id)),
    }
}
