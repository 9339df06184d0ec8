//! Processing of one frame. Peers rely on the order of the steps: roles before slots, slots before gossip.

use log::Level;

use super::super::message::{Body, Flags, Gossip, Header, Packet, decode};
use super::super::node::{Acquaintance, Address, Health, LinkId, Node, NodeKey, Now, Role};
use super::super::node_id::NodeId;
use super::Member;
use super::output::Effect;
use super::state::{Direction, ManualFailover, Saving};

/// Maximum number of handshakes that MEETs of unknown nodes start: a MEET proves nothing about its sender.
const HANDSHAKES_MAX: usize = 256;

/// Whether the processing of the frame continues.
#[derive(PartialEq, Eq)]
enum Step {
    Continue,
    Stop,
}

impl Member {
    /// Processes a whole frame that was received on a link.
    pub fn receive(&mut self, link: LinkId, frame: &[u8], now: Now) {
        if !self.links.contains_key(&link) {
            return;
        }
        let packet = match decode(frame) {
            Ok(packet) => packet,
            Err(reason) => {
                self.counters.invalid += 1;
                self.log(Level::Debug, format!("A frame of the cluster bus is ignored: {reason}"));
                return;
            }
        };
        let (Packet::Full(_, body) | Packet::Light(body)) = &packet;
        if self.ignored_kind == Some(body.kind() as u16) {
            if self.closes_on_ignored {
                self.close_link(link);
            }
            return;
        }
        match packet {
            Packet::Full(header, body) => {
                self.counters.received[body.kind() as usize] += 1;
                self.receive_full(link, &header, body, now);
            }
            Packet::Light(body) => {
                self.counters.received[body.kind() as usize] += 1;
                // The header names no sender, so the node must have identified itself on the link before.
                let node = self.links.get(&link).and_then(|link| self.table.get(link.node?));
                if node.is_some_and(|node| !node.is_in_handshake()) {
                    self.deliver(body);
                }
            }
        }
    }

    fn receive_full(&mut self, link: LinkId, header: &Header, body: Body, now: Now) {
        let is_myself = header.sender == self.table.myself().id;
        let sender = self.table.find(&header.sender).filter(|_| !is_myself);
        if self.check_outbound(link, header, sender, &body, now) == Step::Stop {
            return;
        }
        if let Some(sender) = sender {
            self.note_sender(link, sender, header, now);
        }
        match body {
            Body::Ping(gossip) => self.on_gossip_frame(link, header, sender, &gossip, GossipKind::Ping, now),
            Body::Pong(gossip) => self.on_gossip_frame(link, header, sender, &gossip, GossipKind::Pong, now),
            Body::Meet(gossip) => self.on_gossip_frame(link, header, sender, &gossip, GossipKind::Meet, now),
            other => {
                if let Some(sender) = sender {
                    self.on_other_frame(sender, header, other, now);
                }
            }
        }
    }

    fn on_other_frame(&mut self, sender: NodeKey, header: &Header, body: Body, now: Now) {
        match body {
            Body::Fail(id) => self.on_fail(sender, id, now),
            body @ (Body::Publish { .. } | Body::PublishShard { .. }) => self.deliver(body),
            Body::VoteRequest => self.on_vote_request(sender, header, now),
            Body::Vote => self.on_vote(sender, header),
            Body::Update { id, config_epoch, slots } => self.on_update(id, config_epoch, &slots),
            Body::ManualFailoverStart => self.on_manual_start(sender, now),
            Body::Module | Body::Ping(_) | Body::Pong(_) | Body::Meet(_) => {}
        }
    }

    fn deliver(&mut self, body: Body) {
        let (channel, message, is_sharded) = match body {
            Body::Publish { channel, message } => (channel, message, false),
            Body::PublishShard { channel, message } => (channel, message, true),
            _ => return,
        };
        self.effects.push(Effect::Deliver { channel, message, is_sharded });
    }

    /// Notes the facts in any frame of a known node: epochs, offset, and that the node is alive.
    fn note_sender(&mut self, link: LinkId, sender: NodeKey, header: &Header, now: Now) {
        if header.current_epoch > self.epochs.current {
            self.epochs.current = header.current_epoch;
            self.save(Saving::Eventually);
        }
        let is_primary = header.primary.is_none();
        let Some(node) = self.table.get_mut(sender) else { return };
        node.data_received_ms = now.steady_ms;
        node.has_extensions |= header.has_extensions;
        node.offset = header.offset;
        // A replica's frame carries its primary's epoch, not an epoch of the replica.
        if is_primary && header.config_epoch > node.config_epoch {
            node.config_epoch = header.config_epoch;
            self.save(Saving::Eventually);
        }
        self.associate(link, sender);
        if let ManualFailover::Taking { primary_offset, .. } = &mut self.manual
            && header.is_paused
            && primary_offset.is_none()
            && self.table.myself().role == Role::Replica(Some(sender))
        {
            *primary_offset = Some(header.offset);
            self.due.failover = true;
            self.log(
                Level::Info,
                format!("Received replication offset for paused master manual failover: {}", header.offset),
            );
        }
    }

    /// Notes which node is at the other end of an accepted link. A node has at most one such link.
    fn associate(&mut self, id: LinkId, sender: NodeKey) {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.direction == Direction::Inbound) else { return };
        if link.node == Some(sender) {
            return;
        }
        let before = link.node.replace(sender);
        if let Some(node) = before.and_then(|before| self.table.get_mut(before)) {
            node.inbound = None;
        }
        let older = self.table.get_mut(sender).and_then(|node| node.inbound.replace(id));
        if let Some(older) = older.filter(|older| *older != id) {
            self.close_link(older);
        }
    }

    /// On a link that this member has opened: checks that the peer is the expected node.
    fn check_outbound(
        &mut self,
        link: LinkId,
        header: &Header,
        sender: Option<NodeKey>,
        body: &Body,
        now: Now,
    ) -> Step {
        let Some(key) = self.links.get(&link).filter(|link| link.direction == Direction::Outbound) else {
            return Step::Continue;
        };
        let Some(key) = key.node else { return Step::Stop };
        let Some(node) = self.table.get(key) else { return Step::Stop };
        if node.id == header.sender {
            return Step::Continue;
        }
        if !matches!(body, Body::Ping(_) | Body::Pong(_) | Body::Meet(_)) {
            return Step::Stop;
        }
        if node.is_in_handshake() {
            return self.finish_handshake(key, link, header, sender, now);
        }
        let text = format!("PONG contains mismatching sender ID: expected {}, got {}", node.id, header.sender);
        self.log(Level::Debug, text);
        if let Some(node) = self.table.get_mut(key) {
            // Another node has its address now.
            node.has_no_address = true;
            node.address = Address::default();
        }
        self.close_link(link);
        self.save(Saving::Eventually);
        Step::Stop
    }

    /// Completes a handshake with the first answer of the node, which names its real id.
    fn finish_handshake(
        &mut self,
        key: NodeKey,
        link: LinkId,
        header: &Header,
        sender: Option<NodeKey>,
        now: Now,
    ) -> Step {
        let is_myself = header.sender == self.table.myself().id;
        if let Some(known) = sender {
            self.update_address(known, link, header, now);
        }
        if sender.is_some() || is_myself {
            self.remove_node(key);
            return Step::Stop;
        }
        self.table.rename(key, header.sender);
        if let Some(node) = self.table.get_mut(key) {
            node.acquaintance = Acquaintance::Known;
            node.is_to_be_met = false;
            if header.flags.has(Flags::REPLICA) {
                node.role = Role::Replica(None);
            }
        }
        self.log(Level::Debug, format!("Handshake with node {} completed.", header.sender));
        self.save(Saving::Eventually);
        self.due.health = true;
        // The node is known now, and its frame counts like any other.
        self.note_sender(link, key, header, now);
        Step::Continue
    }

    fn on_gossip_frame(
        &mut self,
        link: LinkId,
        header: &Header,
        sender: Option<NodeKey>,
        gossip: &Gossip,
        kind: GossipKind,
        now: Now,
    ) {
        // A handshake that was just completed may have made the sender known.
        let is_myself = header.sender == self.table.myself().id;
        let sender = sender.or_else(|| self.table.find(&header.sender)).filter(|_| !is_myself);
        if kind != GossipKind::Pong {
            self.learn_own_address(link, kind);
            if kind == GossipKind::Meet && sender.is_none() && !is_myself {
                self.begin_handshake_of(link, header, now);
            }
            self.send_gossip(link, GossipKind::Pong, now);
        }
        let Some(sender) = sender else { return };
        if let Some(node) = self.table.get_mut(sender) {
            node.never_fails_over = header.flags.has(Flags::NO_FAILOVER);
        }
        if kind == GossipKind::Ping {
            self.update_address(sender, link, header, now);
        }
        let is_answer =
            kind == GossipKind::Pong && self.links.get(&link).is_some_and(|link| link.direction == Direction::Outbound);
        if is_answer {
            self.on_answer(sender, now);
        }
        if !self.is_outdated(sender, header) {
            self.update_role(sender, header);
            self.update_slots(sender, header);
            self.resolve_collision(sender, header);
        }
        self.take_gossip(sender, gossip, now);
        self.take_extensions(sender, gossip, now);
    }

    /// Whether the sender has a newer epoch than the frame: links deliver at different speeds, and peers may have
    /// announced the newer epoch before this frame arrived. The roles and slots in the frame are outdated then.
    fn is_outdated(&self, sender: NodeKey, header: &Header) -> bool {
        let said = header.current_epoch.max(header.config_epoch);
        self.table.get(sender).is_some_and(|node| said < node.config_epoch)
    }

    /// The node has answered: clears its suspicion or failure.
    fn on_answer(&mut self, key: NodeKey, now: Now) {
        let undo_ms = self.settings.node_timeout_ms * 2;
        let Some(node) = self.table.get_mut(key) else { return };
        node.ping_sent_ms = None;
        node.pong_received_ms = Some(now.steady_ms);
        let was = node.health;
        match node.health {
            Health::Ok => return,
            Health::Suspected => node.health = Health::Ok,
            Health::Failed { since_ms } => {
                // A primary with slots stays failed for a while: a replica may be taking over.
                let is_bound = node.is_voter() && now.steady_ms.saturating_sub(since_ms) <= undo_ms;
                if !is_bound {
                    node.health = Health::Ok;
                }
            }
        }
        if was != node.health {
            if was != Health::Suspected {
                let text = format!("Clear FAIL state for node {}: it is reachable again.", self.name_of(key));
                self.log(Level::Info, text);
            }
            self.due.health = true;
            self.save(Saving::Eventually);
        }
    }

    /// Learns this member's own address from the local end of the link.
    fn learn_own_address(&mut self, link: LinkId, kind: GossipKind) {
        let is_known = !self.table.myself().address.ip.is_empty();
        if self.settings.announced_ip.is_some() || is_known && kind != GossipKind::Meet {
            return;
        }
        let Some(link) = self.links.get(&link).filter(|link| !link.local_ip.is_empty()) else { return };
        let ip = link.local_ip.clone();
        if self.table.myself().address.ip != ip {
            self.log(Level::Info, format!("IP address for this node updated to {ip}"));
            self.table.myself_mut().address.ip = ip;
            self.save(Saving::Eventually);
        }
    }

    /// Starts a handshake with an unknown node that sent MEET: it is pinged under a random id until its real id is
    /// known.
    fn begin_handshake_of(&mut self, link: LinkId, header: &Header, now: Now) {
        let Some(ip) = self.sender_ip(link, header) else { return };
        let is_full = self.table.handshakes() >= HANDSHAKES_MAX;
        if is_full || self.is_handshake_in_progress(&ip, header.bus_port) {
            return;
        }
        let address =
            Address::from_frame(ip, header.base_port, header.other_port, header.bus_port, self.settings.is_tls);
        self.add_handshake(address, false, now);
    }

    pub(super) fn add_handshake(&mut self, address: Address, meets: bool, now: Now) {
        let (id, shard_id) = (NodeId::random(&mut self.rng), NodeId::random(&mut self.rng));
        let mut node = Node::new(id, shard_id, address, now);
        node.acquaintance = Acquaintance::Handshake;
        node.is_to_be_met = meets;
        self.table.insert(node);
    }

    pub(super) fn is_handshake_in_progress(&self, ip: &str, bus_port: u16) -> bool {
        let is_same = |node: &Node| node.address.ip == ip && node.address.bus_port == bus_port;
        self.table.iter().any(|(_, node)| node.is_in_handshake() && is_same(node))
    }

    /// The sender's IP address: the announced one, otherwise that of its end of the link.
    fn sender_ip(&self, link: LinkId, header: &Header) -> Option<String> {
        let peer = || self.links.get(&link).map(|link| link.peer_ip.clone());
        header.address.clone().or_else(peer).filter(|ip| !ip.is_empty())
    }

    /// Adopts the present address of a node. Does nothing for a frame on the link that this member opened.
    fn update_address(&mut self, key: NodeKey, link: LinkId, header: &Header, now: Now) {
        let Some(ip) = self.sender_ip(link, header) else { return };
        let address =
            Address::from_frame(ip, header.base_port, header.other_port, header.bus_port, self.settings.is_tls);
        let Some(node) = self.table.get_mut(key) else { return };
        if node.outbound == Some(link) || node.address == address {
            return;
        }
        node.address = address;
        node.has_no_address = false;
        let ip = node.address.ip.clone();
        let text = format!("Address updated for node {}, now {ip}:{}", self.name_of(key), header.base_port);
        self.close_outbound(key);
        self.log(Level::Info, text);
        if self.table.myself().role == Role::Replica(Some(key)) {
            self.follow(key);
        }
        self.connect(key, now);
        self.due.health = true;
        self.save(Saving::Eventually);
    }
}

/// The three kinds of frames that carry gossip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GossipKind {
    Ping,
    Pong,
    Meet,
}
