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
        let me = self.table.my_key();
        // A replica that repeats its primary's command stands for the primary.
        let own = self.table.primary_of(me).unwrap_or(me);
        match change {
            SlotChange::Migrating(id) => {
                if self.table.owner(slot) != Some(own) {
                    return Err(AdminError::NotOwner(slot));
                }
                let target = self.open_slot_peer(id, own)?;
                self.table.migrating.insert(slot, target);
            }
            SlotChange::Importing(id) => {
                if self.table.owner(slot) == Some(own) {
                    return Err(AdminError::AlreadyOwner(slot));
                }
                let source = self.open_slot_peer(id, own)?;
                self.table.importing.insert(slot, source);
            }
            SlotChange::Stable => {
                self.table.migrating.remove(&slot);
                self.table.importing.remove(&slot);
            }
            SlotChange::Node(id) => self.assign_slot(slot, id, own, keys, now)?,
        }
        self.slots_changed();
        Ok(())
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

    fn assign_slot(&mut self, slot: u16, id: &str, own: NodeKey, keys: u64, now: Now) -> Result<(), AdminError> {
        let me = self.table.my_key();
        let key = self.find_named(id)?;
        if self.table.get(key).is_some_and(|node| !node.is_primary()) {
            return Err(AdminError::TargetIsReplica);
        }
        let was_mine = self.table.owner(slot) == Some(me);
        if was_mine && key != me && keys != 0 {
            return Err(AdminError::KeysInSlot(slot));
        }
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
        Ok(())
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
