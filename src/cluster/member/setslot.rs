//! CLUSTER SETSLOT: how a slot moves from one primary to another.

use log::Level;

use super::super::node::{NodeKey, Now};
use super::super::slot::SlotSet;
use super::Member;
use super::admin::AdminError;
use super::output::{Effect, KeysOfLostSlots};

/// The new state of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotChange<'a> {
    /// The keys move to this node.
    Migrating(&'a str),
    /// The keys come from this node.
    Importing(&'a str),
    /// The slot neither migrates nor is imported.
    Stable,
    /// The slot belongs to this node.
    Node(&'a str),
}

impl SlotChange<'_> {
    /// Whether the change depends on the number of keys that this member has in the slot.
    pub fn depends_on_keys(&self) -> bool {
        matches!(self, SlotChange::Node(_))
    }
}

impl Member {
    /// CLUSTER SETSLOT. `keys`: number of keys that this member has in the slot. `is_from_primary`: the command came
    /// over the replication link, as newer Valkey primaries send it.
    ///
    /// Errors: the change is not possible in the present state.
    pub fn set_slot(
        &mut self,
        slot: u16,
        change: SlotChange<'_>,
        keys: u64,
        is_from_primary: bool,
        now: Now,
    ) -> Result<(), AdminError> {
        if !self.i_am_primary() && !is_from_primary {
            return Err(AdminError::SetSlotOnReplica);
        }
        let peer = self.check_slot_change(slot, change, keys)?;
        match (change, peer) {
            (SlotChange::Migrating(_), Some(target)) => {
                self.table.migrating.insert(slot, target);
            }
            (SlotChange::Importing(_), Some(source)) => {
                self.table.importing.insert(slot, source);
            }
            (SlotChange::Node(_), Some(owner)) => self.assign_slot(slot, owner, keys, now),
            _ => {
                self.table.migrating.remove(&slot);
                self.table.importing.remove(&slot);
            }
        }
        self.slots_changed();
        Ok(())
    }

    /// Whether a change of a slot is possible in the present state; gives the node that it names.
    ///
    /// Errors: why it is not.
    pub fn check_slot_change(
        &self,
        slot: u16,
        change: SlotChange<'_>,
        keys: u64,
    ) -> Result<Option<NodeKey>, AdminError> {
        let own = self.own_primary();
        match change {
            SlotChange::Migrating(_) if self.table.owner(slot) != Some(own) => Err(AdminError::NotOwner(slot)),
            SlotChange::Importing(_) if self.table.owner(slot) == Some(own) => Err(AdminError::AlreadyOwner(slot)),
            SlotChange::Migrating(id) | SlotChange::Importing(id) => self.open_slot_peer(id, own).map(Some),
            SlotChange::Stable => Ok(None),
            SlotChange::Node(id) => self.check_owner(slot, id, keys).map(Some),
        }
    }

    /// The node whose slots a change is about: a replica that repeats its primary's command stands for the primary.
    fn own_primary(&self) -> NodeKey {
        let me = self.table.my_key();
        self.table.primary_of(me).unwrap_or(me)
    }

    /// Takes over slots whose keys have arrived by atomic migration, under an epoch newer than the source's claim.
    pub fn take_slots(&mut self, slots: &SlotSet, now: Now) {
        self.bump_without_votes();
        let me = self.table.my_key();
        for slot in slots.iter() {
            self.table.importing.remove(&slot);
            self.table.migrating.remove(&slot);
            self.table.bind(slot, me);
        }
        self.slots_changed();
        let others = self.others();
        self.broadcast_pong(&others, now);
    }

    fn open_slot_peer(&self, id: &str, own: NodeKey) -> Result<NodeKey, AdminError> {
        let key = self.find_named(id).map_err(|_| AdminError::UnknownPeer(id.to_string()))?;
        if key == own {
            return Err(AdminError::TargetIsMyself);
        }
        if self.table.get(key).is_some_and(|node| !node.is_primary()) {
            return Err(AdminError::TargetIsReplica);
        }
        Ok(key)
    }

    fn check_owner(&self, slot: u16, id: &str, keys: u64) -> Result<NodeKey, AdminError> {
        let me = self.table.my_key();
        let key = self.find_named(id)?;
        if self.table.get(key).is_some_and(|node| !node.is_primary()) {
            return Err(AdminError::TargetIsReplica);
        }
        if self.table.owner(slot) == Some(me) && key != me && keys != 0 {
            return Err(AdminError::KeysInSlot(slot));
        }
        Ok(key)
    }

    fn assign_slot(&mut self, slot: u16, key: NodeKey, keys: u64, now: Now) {
        let (me, own) = (self.table.my_key(), self.own_primary());
        let was_mine = self.table.owner(slot) == Some(me);
        if keys == 0 || key != own {
            self.table.migrating.remove(&slot);
        }
        self.table.bind(slot, key);
        if was_mine && key != me {
            self.give_up_slot(slot, key);
        }
        if key == own && self.table.importing.remove(&slot).is_some() && key == me {
            // The claim has to be newer than that of the slot's previous owner.
            if self.bump_without_votes() {
                let epoch = self.table.myself().config_epoch;
                self.log(Level::Info, format!("configEpoch updated to {epoch} after importing slot {slot}"));
            }
            let others = self.others();
            self.broadcast_pong(&others, now);
        }
    }

    /// A primary that assigns its last slot to another node becomes a replica of the new owner.
    fn give_up_slot(&mut self, slot: u16, key: NodeKey) {
        self.effects.push(Effect::SlotsLost { slots: [slot].into_iter().collect(), keys: KeysOfLostSlots::Delete });
        if self.table.myself().slots.is_empty() && self.settings.allows_replica_migration {
            self.log(Level::Info, "The last slot is gone. Reconfiguring myself as a replica of its new owner.");
            self.become_replica_of(key);
        }
    }
}
