//! The nodes that a member knows, and the owner of each slot.
//!
//! Ownership is stored twice: the owner of each slot, and the slots of each node. Only [`Table::bind`] and
//! [`Table::unbind`] change it, so that both stay consistent.

use std::collections::BTreeMap;

use super::node::{Health, Node, NodeKey, Report, Role};
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
    /// Slots whose owner has stopped claiming them: the next claim takes them, regardless of its epoch.
    unclaimed: SlotSet,
    /// Slots that migrate away from this member, and their targets.
    pub migrating: BTreeMap<u16, NodeKey>,
    /// Slots that migrate to this member, and their sources.
    pub importing: BTreeMap<u16, NodeKey>,
    /// Slots whose owner has changed since somebody asked.
    changed: SlotSet,
    /// Forgotten nodes, and until when gossip may not add them again.
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
            changed: SlotSet::default(),
            forgotten: BTreeMap::new(),
        }
    }

    /// This member's key.
    pub fn my_key(&self) -> NodeKey {
        self.myself
    }

    /// This member.
    pub fn myself(&self) -> &Node {
        // INVARIANT: this member is inserted by `new`, and `remove` does not remove it.
        self.nodes.get(&self.myself).expect("this member is in its table")
    }

    /// This member.
    pub fn myself_mut(&mut self) -> &mut Node {
        // INVARIANT: this member is inserted by `new`, and `remove` does not remove it.
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

    /// Whether there is no node: never, since this member is one.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Adds a node whose id is not in the table yet. A node with this id is left unchanged.
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

    /// Gives a node another id, unless the id is in use already.
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
            node.reports.retain(|report| report.reporter != key);
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

    /// Binds a slot to a node, regardless of its previous owner.
    pub fn bind(&mut self, slot: u16, key: NodeKey) {
        self.unbind(slot);
        if let Some(node) = self.nodes.get_mut(&key)
            && node.slots.insert(slot)
        {
            self.owners[usize::from(slot)] = Some(key);
            self.changed.insert(slot);
            self.assigned += 1;
        }
    }

    /// Leaves a slot without an owner. Returns the previous owner.
    pub fn unbind(&mut self, slot: u16) -> Option<NodeKey> {
        let owner = self.owners.get_mut(usize::from(slot))?.take()?;
        if let Some(node) = self.nodes.get_mut(&owner) {
            node.slots.remove(slot);
        }
        self.assigned -= 1;
        self.changed.insert(slot);
        self.unclaimed.remove(slot);
        Some(owner)
    }

    /// The slots whose owner has changed since this was called last, if there are any.
    pub fn take_changed(&mut self) -> Option<SlotSet> {
        (!self.changed.is_empty()).then(|| std::mem::take(&mut self.changed))
    }

    /// Leaves all slots of a node without an owner. Returns these slots.
    pub fn unbind_all(&mut self, key: NodeKey) -> SlotSet {
        let slots = self.nodes.get(&key).map(|node| node.slots.clone()).unwrap_or_default();
        for slot in slots.iter() {
            self.unbind(slot);
        }
        slots
    }

    /// Whether a slot has no owner, or its owner has stopped claiming it.
    pub fn is_unclaimed(&self, slot: u16) -> bool {
        self.owner(slot).is_none() || self.unclaimed.contains(slot)
    }

    /// Records which of its slots a node claims.
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

    /// Makes a node a replica. Its primary becomes a target of replica migration.
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

    /// Makes a node a primary. A former replica becomes a target of replica migration.
    pub fn make_primary(&mut self, key: NodeKey) {
        let had_primary = self.nodes.get(&key).and_then(Node::primary).is_some();
        self.leave_primary(key);
        let is_other = key != self.myself;
        if let Some(node) = self.nodes.get_mut(&key) {
            node.role = Role::Primary;
            node.attracts_replicas |= had_primary && is_other;
        }
    }

    /// A primary that loses its last replica is no longer a target of replica migration.
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

    /// The primary whose slots a node represents: the node itself, or the primary that it follows.
    pub fn primary_of(&self, key: NodeKey) -> Option<NodeKey> {
        match self.nodes.get(&key)?.role {
            Role::Primary => Some(key),
            Role::Replica(primary) => primary,
        }
    }

    /// Number of primaries with slots, and how many of them are neither suspected nor failed.
    pub fn voters(&self) -> (usize, usize) {
        let voters = self.nodes.values().filter(|node| node.is_voter());
        voters.fold((0, 0), |(all, ok), node| (all + 1, ok + usize::from(node.is_ok())))
    }

    /// Number of primaries in a majority.
    pub fn quorum(&self) -> usize {
        self.voters().0 / 2 + 1
    }

    /// The highest epoch that any node has.
    pub fn config_epoch_max(&self) -> u64 {
        self.nodes.values().map(|node| node.config_epoch).max().unwrap_or(0)
    }

    /// Records a primary's report that a node is failing. Returns whether the report is new.
    pub fn add_report(&mut self, key: NodeKey, reporter: NodeKey, now_ms: u64) -> bool {
        let Some(node) = self.nodes.get_mut(&key) else { return false };
        match node.reports.iter_mut().find(|report| report.reporter == reporter) {
            Some(report) => {
                report.at_ms = now_ms;
                false
            }
            None => {
                node.reports.push(Report { reporter, since_ms: now_ms, at_ms: now_ms });
                true
            }
        }
    }

    /// Removes a primary's report that a node is failing. Returns whether there was one.
    pub fn remove_report(&mut self, key: NodeKey, reporter: NodeKey) -> bool {
        let Some(node) = self.nodes.get_mut(&key) else { return false };
        let before = node.reports.len();
        node.reports.retain(|report| report.reporter != reporter);
        node.reports.len() != before
    }

    /// Number of primaries with a report about a node that is at most this old. A primary that has lost its slots since
    /// does not count, but the new owner of the slots does.
    pub fn count_reports(&mut self, key: NodeKey, now_ms: u64, valid_ms: u64) -> usize {
        let Some(node) = self.nodes.get_mut(&key) else { return 0 };
        node.reports.retain(|report| report.is_valid(now_ms, valid_ms));
        let reporters = self.nodes.get(&key).map_or(&[][..], |node| &node.reports);
        reporters.iter().filter(|report| self.nodes.get(&report.reporter).is_some_and(Node::is_voter)).count()
    }

    /// Prevents gossip from adding a node again until this time.
    pub fn forget(&mut self, id: NodeId, until_ms: u64) {
        self.forgotten.insert(id, until_ms);
    }

    /// Whether gossip may not add a node now because it was forgotten.
    pub fn is_forgotten(&mut self, id: &NodeId, now_ms: u64) -> bool {
        self.forgotten.retain(|_, until_ms| *until_ms > now_ms);
        self.forgotten.contains_key(id)
    }

    /// The forgotten nodes, and until when gossip may not add them again.
    pub fn forgotten(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.forgotten.iter().map(|(id, until_ms)| (*id, *until_ms))
    }

    /// Number of nodes in handshake.
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
