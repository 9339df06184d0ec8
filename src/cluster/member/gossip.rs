//! PING, PONG and MEET: the gossip that this member sends, and how it uses the gossip of others.

use log::Level;

use super::super::message::{Body, Extension, Flags, Gossip, GossipEntry, is_address};
use super::super::node::{Address, Family, Health, LinkId, Node, NodeKey, Now, Role};
use super::super::node_id::NodeId;
use super::Member;
use super::receive::GossipKind;
use super::state::{Direction, Saving};

/// Minimum number of gossip entries in a frame, if there are enough nodes.
const ENTRIES_MIN: usize = 3;
/// A frame has gossip about one in this many nodes.
const ENTRIES_SHARE: usize = 10;
/// Greatest accepted difference between the clocks of two nodes: a pong time further in the future is ignored.
const CLOCK_DIFFERENCE_MAX_MS: u64 = 500;

impl Member {
    /// Sends a PING, PONG or MEET over a link.
    pub(super) fn send_gossip(&mut self, link: LinkId, kind: GossipKind, now: Now) {
        let Some((direction, peer)) = self.links.get(&link).map(|link| (link.direction, link.node)) else { return };
        let peer_node = peer.and_then(|peer| self.table.get(peer));
        let understands_extensions = peer_node.is_some_and(|node| node.has_extensions);
        let entries = self.gossip_entries(peer, now);
        let extensions = if understands_extensions { self.extensions(now) } else { Vec::new() };
        let gossip = Gossip { entries, extensions };
        let body = match kind {
            GossipKind::Ping => Body::Ping(gossip),
            GossipKind::Pong => Body::Pong(gossip),
            GossipKind::Meet => Body::Meet(gossip),
        };
        if kind == GossipKind::Ping
            && direction == Direction::Outbound
            && let Some(node) = peer.and_then(|peer| self.table.get_mut(peer))
        {
            node.ping_sent_ms = Some(now.steady_ms);
        }
        self.send(link, &body);
    }

    /// Gossip about random nodes, and about all suspected nodes.
    fn gossip_entries(&mut self, peer: Option<NodeKey>, now: Now) -> Vec<GossipEntry> {
        let mut keys = Vec::with_capacity(self.table.len());
        let mut suspected = Vec::new();
        for (key, node) in self.table.iter() {
            if key == self.table.my_key() || node.is_in_handshake() {
                continue;
            }
            // Gossip about a failed node is useful even without its address: peers that have missed FAIL learn of the
            // failure.
            let is_of_use =
                (!node.has_no_address || node.is_failed()) && (node.outbound.is_some() || !node.slots.is_empty());
            if node.health == Health::Suspected {
                suspected.push(key);
            } else if Some(key) != peer && is_of_use {
                keys.push(key);
            }
        }
        let wanted = ENTRIES_MIN.max(self.table.len() / ENTRIES_SHARE).min(keys.len());
        for place in 0..wanted {
            let chosen = self.rng.usize(place..keys.len());
            keys.swap(place, chosen);
        }
        keys.truncate(wanted);
        keys.extend(suspected);
        keys.into_iter().filter_map(|key| Some(self.gossip_entry(self.table.get(key)?, now))).collect()
    }

    fn gossip_entry(&self, node: &Node, now: Now) -> GossipEntry {
        let seconds = |steady_ms: Option<u64>| {
            steady_ms.map_or(0, |steady_ms| u32::try_from(now.wall_of(steady_ms) / 1000).unwrap_or(u32::MAX))
        };
        GossipEntry {
            id: node.id,
            ping_sent_s: seconds(node.ping_sent_ms),
            pong_received_s: seconds(node.pong_received_ms),
            address: node.address.ip.clone(),
            base_port: node.address.base_port(self.settings.is_tls),
            other_port: node.address.base_port(!self.settings.is_tls),
            bus_port: node.address.bus_port,
            flags: node.flags(false),
        }
    }

    fn extensions(&self, now: Now) -> Vec<Extension> {
        let myself = self.table.myself();
        let text = |text: &String, make: fn(String) -> Extension| (!text.is_empty()).then(|| make(text.clone()));
        let mut extensions = Vec::new();
        extensions.extend(text(&myself.hostname, Extension::Hostname));
        extensions.extend(text(&myself.human_name, Extension::HumanName));
        for (id, until_ms) in self.table.forgotten() {
            let ttl_s = until_ms.saturating_sub(now.steady_ms) / 1000;
            if ttl_s > 0 {
                extensions.push(Extension::Forgotten { id, ttl_s });
            }
        }
        extensions.push(Extension::ShardId(myself.shard_id));
        extensions
    }

    /// Sends a PONG to these nodes, so that they learn the present state at once.
    pub(super) fn broadcast_pong(&mut self, keys: &[NodeKey], now: Now) {
        for key in keys {
            if let Some(link) = self.open_link(*key) {
                self.send_gossip(link, GossipKind::Pong, now);
            }
        }
    }

    /// Processes the gossip of a known node.
    pub(super) fn take_gossip(&mut self, sender: NodeKey, gossip: &Gossip, now: Now) {
        let is_voter = self.table.get(sender).is_some_and(Node::is_voter);
        for entry in &gossip.entries {
            match self.table.find(&entry.id) {
                Some(key) if key == self.table.my_key() => {}
                Some(key) => self.take_entry(sender, is_voter, key, entry, now),
                None => self.add_from_gossip(entry, now),
            }
        }
    }

    fn take_entry(&mut self, sender: NodeKey, is_voter: bool, key: NodeKey, entry: &GossipEntry, now: Now) {
        let is_failing = entry.flags.has(Flags::SUSPECTED) || entry.flags.has(Flags::FAILED);
        if is_voter {
            let has_changed = match is_failing {
                true => self.table.add_report(key, sender, now.steady_ms),
                false => self.table.remove_report(key, sender),
            };
            if has_changed {
                let (reporter, node) = (self.name_of(sender), self.name_of(key));
                let what = if is_failing { "as not reachable" } else { "is back online" };
                self.log(Level::Debug, format!("Node {reporter} reported node {node} {what}."));
            }
            if is_failing {
                self.fail_if_agreed(key, now);
            }
        }
        if is_failing {
            return;
        }
        let valid_ms = self.report_valid_ms();
        let has_reports = self.table.count_reports(key, now.steady_ms, valid_ms) > 0;
        let Some(node) = self.table.get_mut(key) else { return };
        if node.is_ok() {
            let pong_wall_ms = u64::from(entry.pong_received_s) * 1000;
            let pong_ms = now.steady_of(pong_wall_ms);
            let is_possible = pong_wall_ms <= now.wall_ms + CLOCK_DIFFERENCE_MAX_MS;
            let is_newer = node.pong_received_ms.is_none_or(|known_ms| pong_ms > known_ms);
            if node.ping_sent_ms.is_none() && !has_reports && is_possible && is_newer && pong_wall_ms > 0 {
                node.pong_received_ms = Some(pong_ms.min(now.steady_ms));
            }
            return;
        }
        // The node is unreachable for this member, but not for the sender: it may have another address now.
        let address = self.address_in(entry);
        let Some(node) = self.table.get_mut(key) else { return };
        let has_moved = node.address.ip != address.ip
            || node.address.bus_port != address.bus_port
            || node.address.base_port(self.settings.is_tls) != entry.base_port;
        if has_moved && !entry.flags.has(Flags::NO_ADDRESS) && !address.ip.is_empty() {
            node.address = address;
            node.has_no_address = false;
            self.close_outbound(key);
            // Later pings from the new address change nothing, so replication has to learn the address here.
            if self.table.myself().role == Role::Replica(Some(key)) {
                self.follow(key);
            }
            self.save(Saving::Eventually);
        }
    }

    fn address_in(&self, entry: &GossipEntry) -> Address {
        let ip = entry.address.clone();
        Address::from_frame(ip, entry.base_port, entry.other_port, entry.bus_port, self.settings.is_tls)
    }

    /// Adds a node that a known node gossips about. Its first answer confirms or refutes the id.
    fn add_from_gossip(&mut self, entry: &GossipEntry, now: Now) {
        let is_usable = !entry.flags.has(Flags::NO_ADDRESS)
            && !entry.flags.has(Flags::HANDSHAKE)
            && !entry.address.is_empty()
            && is_address(&entry.address)
            && entry.bus_port != 0;
        if !is_usable || self.table.is_forgotten(&entry.id, now.steady_ms) {
            return;
        }
        let shard_id = NodeId::random(&mut self.rng);
        let mut node = Node::new(entry.id, shard_id, self.address_in(entry), now);
        if entry.flags.has(Flags::REPLICA) {
            node.role = Role::Replica(None);
        }
        if entry.flags.has(Flags::FAILED) {
            node.health = Health::Failed { since_ms: now.steady_ms };
        } else if entry.flags.has(Flags::SUSPECTED) {
            node.health = Health::Suspected;
        }
        node.never_fails_over = entry.flags.has(Flags::NO_FAILOVER);
        self.table.insert(node);
        self.save(Saving::Eventually);
    }

    /// Processes the extensions, in which a node describes itself beyond the header.
    pub(super) fn take_extensions(&mut self, sender: NodeKey, gossip: &Gossip, now: Now) {
        let (mut hostname, mut human_name, mut shard_id) = (String::new(), String::new(), None);
        for extension in &gossip.extensions {
            match extension {
                Extension::Hostname(text) => hostname.clone_from(text),
                Extension::HumanName(text) => human_name.clone_from(text),
                Extension::ShardId(id) => shard_id = Some(*id),
                Extension::Forgotten { id, ttl_s } => self.on_forgotten(*id, *ttl_s, now),
                Extension::RedisSecret => self.note_family(sender, Family::Redis8),
                Extension::ValkeyClientAddress(_) => self.note_family(sender, Family::Valkey),
                Extension::Unknown(_) => {}
            }
        }
        // A node that sends no shard id is assumed to share its primary's shard.
        let primary = self.table.primary_of(sender).and_then(|primary| self.table.get(primary));
        let shard_id = shard_id.or_else(|| primary.map(|primary| primary.shard_id));
        let is_my_primary = self.table.myself().role == Role::Replica(Some(sender));
        let Some(node) = self.table.get_mut(sender) else { return };
        let shard_id = shard_id.unwrap_or(node.shard_id);
        let has_changed = node.hostname != hostname || node.human_name != human_name || node.shard_id != shard_id;
        if has_changed {
            node.hostname = hostname;
            node.human_name = human_name;
            node.shard_id = shard_id;
            self.save(Saving::Eventually);
        }
        if is_my_primary && self.table.myself().shard_id != shard_id {
            self.table.myself_mut().shard_id = shard_id;
            self.save(Saving::Eventually);
        }
    }

    /// A peer has forgotten a node, so this member forgets it too.
    fn on_forgotten(&mut self, id: NodeId, ttl_s: u64, now: Now) {
        let Some(key) = self.table.find(&id) else { return };
        if key == self.table.my_key() || self.table.myself().role == Role::Replica(Some(key)) {
            return;
        }
        self.table.forget(id, now.steady_ms.saturating_add(ttl_s.saturating_mul(1000)));
        self.remove_node(key);
    }

    /// Warns if nodes of both families are here: Redis 8 and Valkey use the same extension type for different data.
    fn note_family(&mut self, sender: NodeKey, family: Family) {
        let Some(node) = self.table.get_mut(sender) else { return };
        if node.family.replace(family) == Some(family) || self.has_warned_of_families {
            return;
        }
        if self.table.iter().any(|(_, node)| node.family.is_some_and(|other| other != family)) {
            self.has_warned_of_families = true;
            let text = "Nodes of Redis 8 and of Valkey are in this cluster. They misread each other's frames: \
                        use one kind only.";
            self.log(Level::Warn, text);
        }
    }
}
