//! The nodes that a member knows, and who owns which slot.
//!
//! The owners of slots are kept twice: each slot's owner, and each node's set of slots. [`Table::bind`] and
//! [`Table::unbind`] alone change them, so that both say the same.

use std::collections::BTreeMap;

use super::node::{Health, Node, NodeKey, Role};
use super::node_id::NodeId;
use super::slot::{SLOTS, SlotSet};

/// The nodes, this member included.
#[derive(Clone, Debug)]
pub struct Table {
    nodes: BTreeMap<NodeKey, Node>,
    by_id: BTreeMap<NodeId, NodeKey>,
    myself: NodeKey,
    next_key: u32,
    owners: Vec<Option<NodeKey>>,
    assigned: u16,
    /// Slots whose owner has stopped claiming them: the next claim takes them, whatever its epoch.
    unclaimed: SlotSet,
    /// Slots that are moving away from this member, and where to.
    pub migrating: BTreeMap<u16, NodeKey>,
    /// Slots that are moving to this member, and where from.
    pub importing: BTreeMap<u16, NodeKey>,
    /// Nodes that were forgotten, and until when gossip does not bring them back.
    forgotten: BTreeMap<NodeId, u64>,
}

impl Table {
    /// A table that knows this member alone.
    pub fn new(myself: Node) -> Table {
        let key = NodeKey(0);
        Table {
            by_id: BTreeMap::from([(myself.id, key)]),
            nodes: BTreeMap::from([(key, myself)]),
            myself: key,
            next_key: 1,
            owners: vec![None; usize::from(SLOTS)],
            assigned: 0,
            unclaimed: SlotSet::default(),
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            forgotten: BTreeMap::new(),
        }
    }

    /// This member's key.
    pub fn my_key(&self) -> NodeKey {
        self.myself
    }

    /// This member.
    pub fn myself(&self) -> &Node {
        // INVARIANT: this member is there from the start, and `remove` leaves it.
        self.nodes.get(&self.myself).expect("this member is in its table")
    }

    /// This member.
    pub fn myself_mut(&mut self) -> &mut Node {
        // INVARIANT: this member is there from the start, and `remove` leaves it.
        self.nodes.get_mut(&self.myself).expect("this member is in its table")
    }

    /// A node.
    pub fn get(&self, key: NodeKey) -> Option<&Node> {
        self.nodes.get(&key)
    }

    /// A node.
    pub fn get_mut(&mut self, key: NodeKey) -> Option<&mut Node> {
        self.nodes.get_mut(&key)
    }

    /// The node that has this id.
    pub fn find(&self, id: &NodeId) -> Option<NodeKey> {
        self.by_id.get(id).copied()
    }

    /// All nodes, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (NodeKey, &Node)> {
        self.nodes.iter().map(|(key, node)| (*key, node))
    }

    /// All nodes.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (NodeKey, &mut Node)> {
        self.nodes.iter_mut().map(|(key, node)| (*key, node))
    }

    /// All nodes, in the order of their ids.
    pub fn iter_by_id(&self) -> impl Iterator<Item = (NodeKey, &Node)> {
        self.by_id.values().filter_map(|key| Some((*key, self.nodes.get(key)?)))
    }

    /// The keys of all nodes.
    pub fn keys(&self) -> Vec<NodeKey> {
        self.nodes.keys().copied().collect()
    }

    /// Number of nodes, this member included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node. There is always one.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a node whose id is not there yet. A node that is there already is left as it is.
    pub fn insert(&mut self, node: Node) -> NodeKey {
        if let Some(key) = self.find(&node.id) {
            return key;
        }
        let key = NodeKey(self.next_key);
        self.next_key += 1;
        self.by_id.insert(node.id, key);
        self.nodes.insert(key, node);
        key
    }

    /// Gives a node another id, unless a node has that id already.
    pub fn rename(&mut self, key: NodeKey, id: NodeId) {
        if self.by_id.contains_key(&id) {
            return;
        }
        if let Some(node) = self.nodes.get_mut(&key) {
            self.by_id.remove(&node.id);
            self.by_id.insert(id, key);
            node.id = id;
        }
    }

    /// Removes a node and all that refers to it. This member itself stays.
    pub fn remove(&mut self, key: NodeKey) -> Option<Node> {
        if key == self.myself {
            return None;
        }
        self.unbind_all(key);
        self.migrating.retain(|_, target| *target != key);
        self.importing.retain(|_, source| *source != key);
        self.leave_primary(key);
        let removed = self.nodes.remove(&key)?;
        self.by_id.remove(&removed.id);
        for node in self.nodes.values_mut() {
            node.reports.retain(|(reporter, _)| *reporter != key);
            if node.role == Role::Replica(Some(key)) {
                node.role = Role::Replica(None);
            }
        }
        Some(removed)
    }

    /// The node that a slot is bound to.
    pub fn owner(&self, slot: u16) -> Option<NodeKey> {
        self.owners.get(usize::from(slot)).copied().flatten()
    }

    /// Number of slots that are bound to a node.
    pub fn assigned(&self) -> u16 {
        self.assigned
    }

    /// Binds a slot to a node, whoever had it.
    pub fn bind(&mut self, slot: u16, key: NodeKey) {
        self.unbind(slot);
        if let Some(node) = self.nodes.get_mut(&key)
            && node.slots.insert(slot)
        {
            self.owners[usize::from(slot)] = Some(key);
            self.assigned += 1;
        }
    }

    /// Leaves a slot without an owner. Gives the one that it had.
    pub fn unbind(&mut self, slot: u16) -> Option<NodeKey> {
        let owner = self.owners.get_mut(usize::from(slot))?.take()?;
        if let Some(node) = self.nodes.get_mut(&owner) {
            node.slots.remove(slot);
        }
        self.assigned -= 1;
        self.unclaimed.remove(slot);
        Some(owner)
    }

    /// Leaves all slots of a node without an owner.
    pub fn unbind_all(&mut self, key: NodeKey) -> SlotSet {
        let slots = self.nodes.get(&key).map(|node| node.slots.clone()).unwrap_or_default();
        for slot in slots.iter() {
            self.unbind(slot);
        }
        slots
    }

    /// Whether a slot has no owner, or one that has stopped claiming it.
    pub fn is_unclaimed(&self, slot: u16) -> bool {
        self.owner(slot).is_none() || self.unclaimed.contains(slot)
    }

    /// Takes down which of its slots a node claims.
    pub fn note_claims(&mut self, key: NodeKey, claimed: &SlotSet) {
        let Some(node) = self.nodes.get(&key) else { return };
        if node.slots == *claimed && self.unclaimed.is_empty() {
            return;
        }
        for slot in node.slots.difference(claimed) {
            self.unclaimed.insert(slot);
        }
        for slot in node.slots.intersection(claimed) {
            self.unclaimed.remove(slot);
        }
    }

    /// Makes a node a replica. A primary that has one becomes a target of replicas that move.
    pub fn make_replica(&mut self, key: NodeKey, primary: Option<NodeKey>) {
        self.leave_primary(key);
        let shard_id = primary.and_then(|primary| self.nodes.get(&primary)).map(|node| node.shard_id);
        if let Some(node) = self.nodes.get_mut(&key) {
            node.role = Role::Replica(primary);
            node.attracts_replicas = false;
            node.shard_id = shard_id.unwrap_or(node.shard_id);
        }
        if let Some(primary) = primary.and_then(|primary| self.nodes.get_mut(&primary)) {
            primary.attracts_replicas = true;
        }
    }

    /// Makes a node a primary. One that was a replica may be sent replicas.
    pub fn make_primary(&mut self, key: NodeKey) {
        let had_primary = self.nodes.get(&key).and_then(Node::primary).is_some();
        self.leave_primary(key);
        let is_other = key != self.myself;
        if let Some(node) = self.nodes.get_mut(&key) {
            node.role = Role::Primary;
            node.attracts_replicas |= had_primary && is_other;
        }
    }

    /// A primary that loses its last replica is no target any more.
    fn leave_primary(&mut self, key: NodeKey) {
        let Some(primary) = self.nodes.get(&key).and_then(Node::primary) else { return };
        let has_others = self.replicas(primary).any(|(replica, _)| replica != key);
        if let Some(primary) = self.nodes.get_mut(&primary) {
            primary.attracts_replicas &= has_others;
        }
    }

    /// The replicas of a primary.
    pub fn replicas(&self, primary: NodeKey) -> impl Iterator<Item = (NodeKey, &Node)> {
        self.iter().filter(move |(_, node)| node.role == Role::Replica(Some(primary)))
    }

    /// The primary whose slots a node stands for: itself, or the one that it follows.
    pub fn primary_of(&self, key: NodeKey) -> Option<NodeKey> {
        match self.nodes.get(&key)?.role {
            Role::Primary => Some(key),
            Role::Replica(primary) => primary,
        }
    }

    /// Number of primaries with slots, and of those among them that nothing speaks against.
    pub fn voters(&self) -> (usize, usize) {
        let voters = self.nodes.values().filter(|node| node.is_voter());
        voters.fold((0, 0), |(all, ok), node| (all + 1, ok + usize::from(node.is_ok())))
    }

    /// How many primaries a majority needs.
    pub fn quorum(&self) -> usize {
        self.voters().0 / 2 + 1
    }

    /// The highest epoch that any node has.
    pub fn config_epoch_max(&self) -> u64 {
        self.nodes.values().map(|node| node.config_epoch).max().unwrap_or(0)
    }

    /// Notes that a primary says that a node has failed. Says whether that is new.
    pub fn add_report(&mut self, key: NodeKey, reporter: NodeKey, now_ms: u64) -> bool {
        let Some(node) = self.nodes.get_mut(&key) else { return false };
        match node.reports.iter_mut().find(|(from, _)| *from == reporter) {
            Some((_, at_ms)) => {
                *at_ms = now_ms;
                false
            }
            None => {
                node.reports.push((reporter, now_ms));
                true
            }
        }
    }

    /// Notes that a primary says no more that a node has failed. Says whether it had said so.
    pub fn remove_report(&mut self, key: NodeKey, reporter: NodeKey) -> bool {
        let Some(node) = self.nodes.get_mut(&key) else { return false };
        let before = node.reports.len();
        node.reports.retain(|(from, _)| *from != reporter);
        node.reports.len() != before
    }

    /// Number of primaries that have said not longer than this ago that a node has failed. One that has lost its slots
    /// since has no say: the node that has them now has it.
    pub fn count_reports(&mut self, key: NodeKey, now_ms: u64, valid_ms: u64) -> usize {
        let Some(node) = self.nodes.get_mut(&key) else { return 0 };
        node.reports.retain(|(_, at_ms)| now_ms.saturating_sub(*at_ms) <= valid_ms);
        let reporters = self.nodes.get(&key).map_or(&[][..], |node| &node.reports);
        reporters.iter().filter(|(reporter, _)| self.nodes.get(reporter).is_some_and(Node::is_voter)).count()
    }

    /// Keeps gossip from bringing a node back for some time.
    pub fn forget(&mut self, id: NodeId, until_ms: u64) {
        self.forgotten.insert(id, until_ms);
    }

    /// Whether gossip may not bring a node back now.
    pub fn is_forgotten(&mut self, id: &NodeId, now_ms: u64) -> bool {
        self.forgotten.retain(|_, until_ms| *until_ms > now_ms);
        self.forgotten.contains_key(id)
    }

    /// The nodes that gossip may not bring back, and until when.
    pub fn forgotten(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.forgotten.iter().map(|(id, until_ms)| (*id, *until_ms))
    }

    /// Number of nodes that are only being introduced.
    pub fn handshakes(&self) -> usize {
        self.nodes.values().filter(|node| node.is_in_handshake()).count()
    }

    /// Numbers of assigned slots by the health of their owners: ok, suspected, failed.
    pub fn slots_by_health(&self) -> [u64; 3] {
        let mut counts = [0; 3];
        for node in self.nodes.values() {
            let place = match node.health {
                Health::Ok => 0,
                Health::Suspected => 1,
                Health::Failed { .. } => 2,
            };
            counts[place] += u64::from(node.slots.len());
        }
        counts
    }
}
