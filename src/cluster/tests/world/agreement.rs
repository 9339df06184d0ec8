//! Whether all members see the same cluster, and every slot is served.

use std::collections::BTreeMap;

use super::World;
use crate::cluster::member::Member;
use crate::cluster::node_id::NodeId;
use crate::cluster::slot::{SLOTS, SlotSet};

impl World {
    /// The first disagreement between the members that are up; none if all agree and every slot is served.
    pub fn disagreement(&self) -> Option<String> {
        let alive = self.alive();
        let members: Vec<(usize, &Member)> =
            alive.iter().filter_map(|index| Some((*index, self.processes[*index].member.as_ref()?))).collect();
        let owners = |member: &Member| -> Vec<(NodeId, SlotSet)> {
            let nodes = member.table().iter_by_id().filter(|(_, node)| !node.slots.is_empty());
            nodes.map(|(_, node)| (node.id, node.slots.clone())).collect()
        };
        let (_, first) = members.first()?;
        let agreed = owners(first);
        let mut epochs = BTreeMap::new();
        for (index, member) in &members {
            let (table, myself) = (member.table(), member.table().myself());
            if owners(member) != agreed {
                return Some(format!("{index} sees other owners"));
            }
            if !member.is_ok() {
                return Some(format!("{index} is down"));
            }
            let Some(primary) = table.primary_of(table.my_key()).and_then(|key| table.get(key)) else {
                return Some(format!("{index} does not know its primary"));
            };
            if !myself.is_primary() && self.processes[*index].following != Some(primary.id) {
                return Some(format!("{index} follows {:?}", self.processes[*index].following));
            }
            if !myself.is_primary() && (!primary.is_primary() || self.index_of(primary.id).is_none()) {
                return Some(format!("{index} is a replica of a node that is no primary, or dead"));
            }
            if myself.is_voter()
                && let Some(other) = epochs.insert(myself.config_epoch, *index)
            {
                return Some(format!("{index} and {other} have epoch {}", myself.config_epoch));
            }
            if myself.is_primary() && myself.slots.is_empty() && !self.has_spare_primaries {
                return Some(format!("{index} has neither slots nor a primary"));
            }
            if let Some((_, idle)) = table.iter().find(|(_, node)| !node.is_primary() && !node.slots.is_empty()) {
                return Some(format!("{index} sees a replica with slots: {:?}", idle.id));
            }
            for (other_index, other) in &members {
                let seen = table.find(&other.table().myself().id).and_then(|key| table.get(key));
                let Some(seen) = seen else {
                    return Some(format!("{index} does not know {:?}", other.table().myself().id));
                };
                if other_index != index && seen.address.ip != self.processes[*other_index].ip {
                    return Some(format!("{index} looks for {other_index} at {}", seen.address.ip));
                }
                if !seen.is_ok() || seen.is_primary() != other.table().myself().is_primary() {
                    return Some(format!("{index} sees {:?} as {:?} {:?}", seen.id, seen.role, seen.health));
                }
            }
        }
        let assigned: u32 = agreed.iter().map(|(_, slots)| u32::from(slots.len())).sum();
        let dead = agreed.iter().find(|(id, _)| self.index_of(*id).is_none());
        match dead {
            Some((id, slots)) => Some(format!("slots {slots} belong to {id:?}, which is dead")),
            None => (assigned != u32::from(SLOTS)).then(|| format!("{assigned} slots have an owner")),
        }
    }
}
