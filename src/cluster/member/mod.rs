//! A member of a cluster: how it reacts to frames, to time and to an administrator's commands.
//!
//! The owner reports any number of events (`receive`, `tick` ten times a second, `on_connected`, `on_closed`, commands)
//! and ends the turn with [`Member::end_turn`]. Only then does the owner get the work to do, as an [`Output`], which
//! releases frames only after the configuration has been saved: a vote or a new epoch that a peer sees is on disk. A
//! turn never sends by itself; it never waits.
//!
//! | file | contents |
//! |---|---|
//! | `receive.rs` | processing of one frame, in the order that peers rely on |
//! | `gossip.rs` | PING, PONG and MEET: gossip sent and received |
//! | `claims.rs` | ownership of slots: claims, epochs, collisions |
//! | `cron.rs` | links, pings, suspicion |
//! | `health.rs` | failure of nodes, state of the cluster |
//! | `election.rs` | votes, promotion, replica migration |
//! | `manual.rs` | failover on demand |
//! | `admin.rs`, `setslot.rs` | commands that change the cluster |
//! | `queries.rs` | the state that commands read |

mod admin;
mod claims;
mod cron;
mod election;
mod gossip;
mod health;
mod manual;
pub mod output;
mod queries;
mod receive;
mod setslot;
pub mod state;

use std::collections::BTreeMap;
use std::rc::Rc;

use fastrand::Rng;
use log::Level;

pub use admin::{AdminError, FailoverMode, ResetMode};
pub use cron::TICK_MS;
pub use output::{Effect, Output, Released};
pub use queries::{Bump, LinkRow};
pub use setslot::SlotChange;
pub use state::{Replication, Settings};

use self::output::{Durability, Send};
use self::state::{ClusterHealth, Counters, Direction, Due, Election, Link, LinkNumbers, ManualFailover, Saving};
use super::message::{Body, Header, encode};
use super::node::{Address, LinkId, Node, NodeKey, Now};
use super::node_id::NodeId;
use super::nodes_file::{Epochs, write_file};
use super::table::Table;

/// Minimum time between two saves of changes that may be lost; such changes are saved together.
const EVENTUAL_SAVE_PERIOD_MS: u64 = 1000;

/// A member of a cluster.
#[derive(Debug)]
pub struct Member {
    settings: Settings,
    table: Table,
    epochs: Epochs,
    health: ClusterHealth,
    election: Election,
    manual: ManualFailover,
    links: BTreeMap<LinkId, Link>,
    link_numbers: LinkNumbers,
    replication: Replication,
    rng: Rng,
    ticks: u64,
    due: Due,
    effects: Vec<Effect>,
    sends: Vec<Send>,
    counters: Counters,
    /// When the configuration was last handed to the owner for saving.
    saved_ms: Option<u64>,
    /// For tests: frames with the type of this number are ignored.
    ignored_kind: Option<u16>,
    /// For tests: an ignored frame closes its link.
    closes_on_ignored: bool,
    /// The log has warned that the cluster has nodes of two families that misread each other's frames.
    has_warned_of_families: bool,
}

impl Member {
    /// A member that knows no other node.
    pub fn new(settings: Settings, mut rng: Rng, now: Now) -> Member {
        let (id, shard_id) = (NodeId::random(&mut rng), NodeId::random(&mut rng));
        let table = Table::new(Node::new(id, shard_id, Address::default(), now));
        let mut member = Member::resume(settings, rng, table, Epochs::default());
        // The id has to outlive a restart.
        member.due.saving = Saving::BeforeSending;
        member
    }

    /// A member that resumes with the contents of a file (`nodes_file::read_file`).
    pub fn resume(settings: Settings, rng: Rng, table: Table, epochs: Epochs) -> Member {
        let mut member = Member {
            settings: settings.clone(),
            table,
            epochs,
            health: ClusterHealth::default(),
            election: Election::default(),
            manual: ManualFailover::None,
            links: BTreeMap::new(),
            link_numbers: LinkNumbers::default(),
            replication: Replication::default(),
            rng,
            ticks: 0,
            due: Due { saving: Saving::None, health: true, failover: false },
            effects: Vec::new(),
            sends: Vec::new(),
            counters: Counters::default(),
            saved_ms: None,
            ignored_kind: None,
            closes_on_ignored: false,
            has_warned_of_families: false,
        };
        member.configure(settings);
        member
    }

    /// Replaces the settings.
    pub fn configure(&mut self, settings: Settings) {
        let myself = self.table.myself_mut();
        let before = (myself.address.clone(), myself.hostname.clone(), myself.human_name.clone());
        if let Some(ip) = &settings.announced_ip {
            myself.address.ip.clone_from(ip);
        }
        myself.address.plain_port = settings.plain_port;
        myself.address.tls_port = settings.tls_port;
        myself.address.bus_port = settings.bus_port;
        myself.hostname.clone_from(&settings.hostname);
        myself.human_name.clone_from(&settings.human_name);
        myself.never_fails_over = settings.replica_never_fails_over;
        let has_changed = before != (myself.address.clone(), myself.hostname.clone(), myself.human_name.clone());
        self.settings = settings;
        self.due.health = true;
        if has_changed {
            self.save(Saving::Eventually);
        }
    }

    /// Sets the present state of replication. The owner does this before the end of each turn.
    pub fn set_replication(&mut self, replication: Replication) {
        self.replication = replication;
    }

    /// A node has connected to this member's bus. Returns the number of the link.
    pub fn on_accepted(&mut self, peer_ip: &str, local_ip: &str, now: Now) -> LinkId {
        let id = self.link_numbers.inbound();
        let link = Link {
            direction: Direction::Inbound,
            node: None,
            is_open: true,
            created_ms: now.steady_ms,
            created_wall_ms: now.wall_ms,
            peer_ip: peer_ip.to_string(),
            local_ip: local_ip.to_string(),
        };
        self.links.insert(id, link);
        id
    }

    /// A link was closed, or could not be opened.
    pub fn on_closed(&mut self, id: LinkId, now: Now) {
        let Some(link) = self.detach(id) else { return };
        let Some(node) = link.node.and_then(|key| self.table.get_mut(key)) else { return };
        // A node that cannot be reached counts as pinged, otherwise it would never be suspected.
        if link.direction == Direction::Outbound && !link.is_open && node.ping_sent_ms.is_none() {
            node.ping_sent_ms = Some(now.steady_ms);
        }
    }

    /// Removes a link from the list and from its node.
    fn detach(&mut self, id: LinkId) -> Option<Link> {
        let link = self.links.remove(&id)?;
        if let Some(node) = link.node.and_then(|key| self.table.get_mut(key)) {
            let own = match link.direction {
                Direction::Outbound => &mut node.outbound,
                Direction::Inbound => &mut node.inbound,
            };
            own.take_if(|own| *own == id);
        }
        Some(link)
    }

    /// The send buffer of a link exceeded `cluster-link-sendbuf-limit`, and the owner has closed the link.
    pub fn on_link_over_limit(&mut self, id: LinkId, now: Now) {
        self.counters.links_over_limit += 1;
        self.on_closed(id, now);
    }

    /// Ends a turn: takes the steps that are due, and returns the work for the owner.
    pub fn end_turn(&mut self, now: Now) -> Output {
        if self.due.failover {
            self.due.failover = false;
            // The failover may have timed out since the last tick: the primary may accept writes again.
            self.give_up_manual(now);
            self.manual_step();
            self.election_step(now);
        }
        if self.due.health {
            self.update_health(now);
        }
        let file = self.durability_due(now).map(|durability| {
            self.due.saving = Saving::None;
            self.saved_ms = Some(now.steady_ms);
            (write_file(&self.table, self.epochs, self.settings.is_tls, now), durability)
        });
        // The owner pauses writes now. Until here clients may have written in this turn, so the offset may be outdated.
        if let ManualFailover::Yielding { is_paused, .. } = &mut self.manual {
            *is_paused = true;
        }
        Output::new(file, std::mem::take(&mut self.effects), std::mem::take(&mut self.sends))
    }

    /// Whether the configuration has to be saved now, and how durably.
    fn durability_due(&self, now: Now) -> Option<Durability> {
        let is_recent = |saved_ms: u64| now.steady_ms.saturating_sub(saved_ms) < EVENTUAL_SAVE_PERIOD_MS;
        match self.due.saving {
            Saving::None => None,
            Saving::Eventually if self.saved_ms.is_some_and(is_recent) => None,
            Saving::Eventually => Some(Durability::Eventually),
            Saving::BeforeSending => Some(Durability::Synced),
        }
    }

    fn save(&mut self, saving: Saving) {
        self.due.saving = self.due.saving.max(saving);
    }

    fn log(&mut self, level: Level, text: impl Into<String>) {
        self.effects.push(Effect::Log(level, text.into()));
    }

    /// The name of a node in the log: its id, and the human-readable name if it has one.
    fn name_of(&self, key: NodeKey) -> String {
        self.table.get(key).map(|node| format!("{} ({})", node.id, node.human_name)).unwrap_or_default()
    }

    /// Takes an epoch that no node has used, as far as this member knows. The epochs of a hostile node do not make it
    /// overflow.
    fn take_next_epoch(&mut self) -> u64 {
        self.epochs.current = self.epochs.current.max(self.table.config_epoch_max()).saturating_add(1);
        self.epochs.current
    }

    fn i_am_primary(&self) -> bool {
        self.table.myself().is_primary()
    }

    /// The header of each frame of this member.
    fn header(&self) -> Header {
        let (key, myself) = (self.table.my_key(), self.table.myself());
        // A replica's header has its primary's slots and epoch: peers treat slots missing from it as released.
        let claimant = self.table.primary_of(key).and_then(|primary| self.table.get(primary)).unwrap_or(myself);
        let address = &myself.address;
        Header {
            sender: myself.id,
            current_epoch: self.epochs.current,
            config_epoch: claimant.config_epoch,
            offset: self.replication.offset,
            slots: claimant.slots.clone(),
            primary: myself.primary().and_then(|primary| self.table.get(primary)).map(|primary| primary.id),
            address: self.settings.announced_ip.clone(),
            base_port: address.base_port(self.settings.is_tls),
            other_port: address.base_port(!self.settings.is_tls),
            bus_port: address.bus_port,
            flags: myself.flags(true),
            is_down: !self.health.is_ok,
            is_paused: matches!(self.manual, ManualFailover::Yielding { is_paused: true, .. }),
            is_forced: false,
            has_extensions: true,
        }
    }

    fn send_frame(&mut self, link: LinkId, frame: Rc<[u8]>, body: &Body) {
        if self.links.contains_key(&link) {
            self.counters.sent[body.kind() as usize] += 1;
            self.sends.push(Send { link, frame });
        }
    }

    fn send(&mut self, link: LinkId, body: &Body) {
        let frame = Rc::from(encode(&self.header(), body));
        self.send_frame(link, frame, body);
    }

    /// Sends one frame to each of these nodes that has an open link.
    fn send_to(&mut self, nodes: &[NodeKey], header: &Header, body: &Body) {
        let links = nodes.iter().filter_map(|key| self.open_link(*key)).collect::<Vec<_>>();
        if !links.is_empty() {
            let frame: Rc<[u8]> = Rc::from(encode(header, body));
            for link in links {
                self.send_frame(link, Rc::clone(&frame), body);
            }
        }
    }

    /// The link over which this member pings a node, if it is open.
    fn open_link(&self, key: NodeKey) -> Option<LinkId> {
        let link = self.table.get(key)?.outbound?;
        self.links.get(&link)?.is_open.then_some(link)
    }

    /// All other nodes whose handshake is complete.
    fn others(&self) -> Vec<NodeKey> {
        let known = self.table.iter().filter(|(key, node)| *key != self.table.my_key() && !node.is_in_handshake());
        known.map(|(key, _)| key).collect()
    }

    /// Closes a link from this side.
    fn close_link(&mut self, id: LinkId) {
        if self.detach(id).is_none() {
            return;
        }
        self.sends.retain(|send| send.link != id);
        self.effects.push(Effect::Close(id));
    }

    fn close_outbound(&mut self, key: NodeKey) {
        if let Some(link) = self.table.get(key).and_then(|node| node.outbound) {
            self.close_link(link);
        }
    }

    /// Removes a node with its links.
    fn remove_node(&mut self, key: NodeKey) {
        if key == self.table.my_key() {
            return;
        }
        let links = self.table.get(key).map(|node| [node.outbound, node.inbound]).unwrap_or_default();
        for link in links.into_iter().flatten() {
            self.close_link(link);
        }
        for link in self.links.values_mut().filter(|link| link.node == Some(key)) {
            link.node = None;
        }
        if matches!(self.manual, ManualFailover::Yielding { replica, .. } if replica == key) {
            self.end_manual();
        }
        self.election.voters.retain(|voter| *voter != key);
        self.table.remove(key);
        self.due.health = true;
        self.save(Saving::Eventually);
    }

    /// Makes replication follow a node.
    fn follow(&mut self, key: NodeKey) {
        let Some(node) = self.table.get(key).filter(|node| !node.address.ip.is_empty()) else { return };
        let (id, address) = (node.id, node.address.clone());
        self.replication.is_following = true;
        self.effects.push(Effect::Follow { id, address });
    }

    /// Makes this member a replica of a primary.
    fn become_replica_of(&mut self, primary: NodeKey) {
        let key = self.table.my_key();
        if primary == key {
            return;
        }
        if self.i_am_primary() {
            self.table.migrating.clear();
            self.table.importing.clear();
        }
        self.table.make_replica(key, Some(primary));
        self.replication = Replication { is_following: false, ..self.replication };
        self.follow(primary);
        self.end_manual();
        self.election = Election::default();
        self.due.health = true;
        self.save(Saving::BeforeSending);
    }
}
