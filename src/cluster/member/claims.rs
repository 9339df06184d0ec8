//! Ownership of slots.
//!
//! A primary claims its slots in each frame, under its configuration epoch. A claim with a higher epoch than that of
//! the slot's present owner takes the slot. So epochs have to be different: of two primaries with the same epoch, the
//! primary with the smaller id takes a new one.

use log::Level;

use super::super::message::{Body, Header};
use super::super::node::{NodeKey, Now, Role};
use super::super::node_id::NodeId;
use super::super::slot::SlotSet;
use super::Member;
use super::output::{Effect, KeysOfLostSlots};
use super::state::Saving;

impl Member {
    /// Updates the sender's role: primary, or replica of a certain primary.
    pub(super) fn update_role(&mut self, sender: NodeKey, header: &Header) {
        let Some(node) = self.table.get(sender) else { return };
        let Some(primary) = header.primary else {
            if !node.is_primary() {
                self.table.make_primary(sender);
                self.due.health = true;
                self.save(Saving::Eventually);
            }
            return;
        };
        let primary = self.table.find(&primary).filter(|primary| *primary != sender);
        let is_known = match node.role {
            Role::Primary => false,
            Role::Replica(known) => primary.is_none() || known == primary,
        };
        if is_known {
            return;
        }
        if node.is_primary() {
            self.table.unbind_all(sender);
            self.due.health = true;
        }
        self.table.make_replica(sender, primary);
        self.save(Saving::Eventually);
    }

    /// Applies the sender's claim to slots, and sends it UPDATE if a node has a newer claim.
    pub(super) fn update_slots(&mut self, sender: NodeKey, header: &Header) {
        let Some(claimant) = self.table.primary_of(sender) else { return };
        let is_same = self.table.get(claimant).is_some_and(|node| node.slots == header.slots);
        if sender == claimant {
            // Also when the sets are equal: a slot that its owner claims again is no longer released.
            self.table.note_claims(sender, &header.slots);
        }
        if is_same {
            return;
        }
        if sender == claimant {
            self.apply_claim(sender, header.config_epoch, &header.slots);
        }
        let Some(node) = self.table.get(claimant) else { return };
        let newer = header.slots.difference(&node.slots).find_map(|slot| {
            let owner = self.table.owner(slot).filter(|owner| *owner != sender)?;
            let node = self.table.get(owner)?;
            (node.config_epoch > header.config_epoch).then(|| Body::Update {
                id: node.id,
                config_epoch: node.config_epoch,
                slots: node.slots.clone(),
            })
        });
        if let (Some(body), Some(link)) = (newer, self.open_link(sender)) {
            self.send(link, &body);
        }
    }

    /// Binds the slots that a primary claims, if the epoch of the claim is newer than the present owner's.
    fn apply_claim(&mut self, claimant: NodeKey, config_epoch: u64, claimed: &SlotSet) {
        let me = self.table.my_key();
        let Some(node) = self.table.get(claimant).filter(|_| claimant != me) else { return };
        let my_primary = self.table.primary_of(me);
        let wanted: Vec<u16> = claimed.difference(&node.slots).collect();
        let mut lost = SlotSet::default();
        let mut taken_from_shard = 0;
        for slot in wanted {
            let owner = self.table.owner(slot);
            let is_older = |owner| self.table.get(owner).is_none_or(|node| node.config_epoch < config_epoch);
            // During an import only an administrator's command changes the slot's owner.
            if self.table.importing.contains_key(&slot) || !self.table.is_unclaimed(slot) && !owner.is_none_or(is_older)
            {
                continue;
            }
            if owner == Some(me) {
                lost.insert(slot);
                self.table.migrating.remove(&slot);
            }
            taken_from_shard += u16::from(owner.is_some() && owner == my_primary);
            self.table.bind(slot, claimant);
            self.due.health = true;
            self.save(Saving::BeforeSending);
        }
        let keys = self.follow_new_owner(claimant, claimed, taken_from_shard, my_primary);
        if !lost.is_empty() {
            self.effects.push(Effect::SlotsLost { slots: lost, keys });
        }
    }

    /// If the claimant has taken the last slot of this member's shard, this member becomes its replica.
    fn follow_new_owner(
        &mut self,
        claimant: NodeKey,
        claimed: &SlotSet,
        taken: u16,
        my_primary: Option<NodeKey>,
    ) -> KeysOfLostSlots {
        let is_empty = my_primary.and_then(|primary| self.table.get(primary)).is_some_and(|node| node.slots.is_empty());
        let may_follow = self.settings.allows_replica_migration || claimed.len() == taken;
        if taken > 0 && is_empty && may_follow {
            self.log_new_primary(claimant);
            self.become_replica_of(claimant);
            return KeysOfLostSlots::Keep;
        }
        self.leave_sub_replica();
        KeysOfLostSlots::Delete
    }

    /// A replica whose primary has become a replica follows the primary of its primary.
    pub(super) fn leave_sub_replica(&mut self) {
        let primary = self.table.myself().primary().and_then(|primary| self.table.get(primary));
        let Some(grand_primary) = primary.and_then(|primary| primary.primary()) else { return };
        if grand_primary != self.table.my_key() {
            self.log_new_primary(grand_primary);
            self.become_replica_of(grand_primary);
        }
    }

    fn log_new_primary(&mut self, primary: NodeKey) {
        let name = self.name_of(primary);
        self.log(Level::Info, format!("Configuration change detected. Reconfiguring myself as a replica of {name}"));
    }

    /// A peer reports a newer claim of a third node.
    pub(super) fn on_update(&mut self, id: NodeId, config_epoch: u64, slots: &SlotSet) {
        let Some(key) = self.table.find(&id).filter(|key| *key != self.table.my_key()) else { return };
        let Some(node) = self.table.get_mut(key) else { return };
        if node.is_in_handshake() || node.config_epoch >= config_epoch {
            return;
        }
        node.config_epoch = config_epoch;
        self.epochs.current = self.epochs.current.max(config_epoch);
        if self.table.get(key).is_some_and(|node| !node.is_primary()) {
            self.table.make_primary(key);
        }
        self.due.health = true;
        self.save(Saving::BeforeSending);
        self.apply_claim(key, config_epoch, slots);
    }

    /// If the sender and this member are primaries with the same epoch, the node with the smaller id takes a new epoch.
    pub(super) fn resolve_collision(&mut self, sender: NodeKey, header: &Header) {
        let Some(node) = self.table.get(sender) else { return };
        let myself = self.table.myself();
        let collides = node.is_primary() && myself.is_primary() && header.config_epoch == myself.config_epoch;
        if !collides || node.id <= myself.id {
            return;
        }
        let epoch = self.take_next_epoch();
        self.table.myself_mut().config_epoch = epoch;
        let text =
            format!("WARNING: configEpoch collision with node {}. configEpoch set to {epoch}", self.name_of(sender));
        self.log(Level::Warn, text);
        self.save(Saving::BeforeSending);
    }

    /// Gives this member the highest epoch of all nodes, without votes. Returns whether its epoch has changed.
    pub(super) fn bump_without_votes(&mut self) -> bool {
        let most = self.epochs.current.max(self.table.config_epoch_max());
        let own = self.table.myself().config_epoch;
        if own != 0 && own == most {
            return false;
        }
        let epoch = self.take_next_epoch();
        self.table.myself_mut().config_epoch = epoch;
        self.save(Saving::BeforeSending);
        true
    }

    /// Takes over the slots of the primary that this member follows.
    pub(super) fn replace_primary(&mut self, now: Now) {
        let Some(old) = self.table.myself().primary() else { return };
        let me = self.table.my_key();
        self.table.make_primary(me);
        self.replication.is_following = false;
        self.effects.push(Effect::Promote);
        for slot in self.table.unbind_all(old).iter() {
            self.table.bind(slot, me);
        }
        self.update_health(now);
        self.save(Saving::BeforeSending);
        self.end_manual();
        self.election = Default::default();
        let others = self.others();
        self.broadcast_pong(&others, now);
    }
}
