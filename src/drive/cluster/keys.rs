//! The keys of a slot: how many there are, which, and their deletion when another node owns them.

use crate::cluster::{SLOTS, SlotSet};
use crate::engine::cluster::LostSlots;
use crate::engine::propagation;
use crate::engine::state::ServerState;
use crate::engine::wake;

/// Keys of lost slots that are deleted in one step, about.
const DELETED_AT_ONCE: usize = 32;

/// Numbers of keys in all slots, in all databases. O(slots).
pub fn counts(state: &ServerState) -> Vec<u64> {
    (0..SLOTS).map(|slot| count(state, slot, None)).collect()
}

/// Number of keys in a slot, in one database or in all, expired ones that are still there included. O(1).
pub fn count(state: &ServerState, slot: u16, database: Option<usize>) -> u64 {
    let databases = state.keyspace.databases().enumerate();
    let asked = databases.filter(|(number, _)| database.is_none_or(|database| database == *number));
    asked.map(|(_, database)| database.count_in_slot(slot) as u64).sum()
}

/// Some keys of a slot in a database, as many as are asked for at most. O(keys given).
pub fn list(state: &ServerState, slot: u16, database: usize, most: usize) -> Vec<&[u8]> {
    state.keyspace.databases().nth(database).map(|database| database.keys_in_slot(slot, most)).unwrap_or_default()
}

/// The slots that have keys. O(slots).
pub fn slots_with_keys(state: &ServerState) -> SlotSet {
    (0..SLOTS).filter(|slot| count(state, *slot, None) > 0).collect()
}

/// Whether there is no key.
pub fn are_none(state: &ServerState) -> bool {
    state.keyspace.databases().all(|database| database.is_empty())
}

/// Deletes all keys; the memory is given back by a job.
pub fn delete_all(state: &mut ServerState) {
    if let Some(cluster) = &mut state.cluster {
        cluster.lost = LostSlots::default();
    }
    for database in 0..state.keyspace.count() {
        state.keyspace.flush(database);
    }
    state.keyspace.changes.propagation.add(0, &[b"FLUSHALL"]);
    propagation::end_unit(state, false);
    wake::changes(state);
}

/// Deletes the keys of a slot, in all databases, as part of the present command; a job gives the memory back. What is
/// propagated are deletions, which servers of any version know. O(keys).
pub fn delete_slot(state: &mut ServerState, slot: u16, is_lazy: bool) {
    let name: &[u8] = if is_lazy { b"UNLINK" } else { b"DEL" };
    for database in 0..state.keyspace.count() {
        let mut deleted: Vec<Vec<u8>> = Vec::new();
        let mut cursor = 0;
        while count(state, slot, Some(database)) > 0 {
            let note = |key: &[u8]| deleted.push(key.to_vec());
            cursor = state.keyspace.remove_some_of_slot(database, slot, cursor, DELETED_AT_ONCE, note);
            if cursor == 0 {
                break;
            }
        }
        for key in &deleted {
            state.keyspace.changes.propagation.add(database, &[name, key]);
        }
    }
    state.keyspace.changes.propagation.suppress();
}

/// From now on a job deletes the keys of these slots.
pub fn begin_deletion(state: &mut ServerState, slots: &SlotSet) {
    let with_keys: SlotSet = slots.iter().filter(|slot| count(state, *slot, None) > 0).collect();
    if with_keys.is_empty() {
        return;
    }
    log::info!("Deleting keys in dirty slots, which another node owns now: {with_keys}");
    let Some(cluster) = &mut state.cluster else { return };
    for slot in with_keys.iter() {
        cluster.lost.slots.insert(slot);
    }
    // The first slot may be another one now.
    (cluster.lost.database, cluster.lost.cursor) = (0, 0);
}

/// Deletes the remaining keys of lost slots, before this server owns some of the slots again. O(keys of those slots).
pub fn finish_deletion(state: &mut ServerState) {
    while delete_lost_step(state) {}
}

/// Deletes some keys of lost slots; tells whether there are more. A replica leaves that to its primary.
pub fn delete_lost_step(state: &mut ServerState) -> bool {
    let Some(cluster) = state.cluster.as_deref_mut() else { return false };
    let Some(slot) = cluster.lost.slots.iter().next() else { return false };
    if state.replication.is_replica() {
        cluster.lost = LostSlots::default();
        return false;
    }
    let (database, cursor) = (cluster.lost.database, cluster.lost.cursor);
    let mut deleted: Vec<Vec<u8>> = Vec::new();
    let note = |key: &[u8]| deleted.push(key.to_vec());
    let cursor = state.keyspace.remove_some_of_slot(database, slot, cursor, DELETED_AT_ONCE, note);
    cluster.lost.cursor = cursor;
    if cursor == 0 {
        cluster.lost.database += 1;
        if cluster.lost.database == state.keyspace.count() {
            cluster.lost.database = 0;
            cluster.lost.slots.remove(slot);
        }
    }
    for key in &deleted {
        state.keyspace.changes.propagation.delete(database, key);
    }
    propagation::end_unit(state, false);
    if !state.keyspace.changes.is_empty() {
        wake::changes(state);
    }
    true
}
