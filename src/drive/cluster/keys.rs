//! The keys of a slot: how many there are, which, and their deletion when another node owns them.
//!
//! In cluster mode there is database 0 alone.

use crate::cluster::{SlotSet, key_slot};
use crate::engine::propagation;
use crate::engine::state::ServerState;
use crate::engine::wake;

const DATABASE: usize = 0;

/// Walks over the keys of which `is_wanted` likes the slot. Gives where to go on, and 0 when all were seen.
fn walk(
    state: &ServerState,
    cursor: u64,
    is_wanted: impl Fn(u16) -> bool,
    mut visit: impl FnMut(&[u8], u16),
) -> u64 {
    let now_ms = state.keyspace.read_horizon_ms();
    state.keyspace.scan(DATABASE, cursor, |record| {
        let slot = key_slot(record.key());
        if is_wanted(slot) && !record.is_due(now_ms) {
            visit(record.key(), slot);
        }
    })
}

/// Walks over all keys.
fn walk_all(state: &ServerState, is_wanted: impl Fn(u16) -> bool, mut visit: impl FnMut(&[u8], u16)) {
    let mut cursor = 0;
    loop {
        cursor = walk(state, cursor, &is_wanted, &mut visit);
        if cursor == 0 {
            return;
        }
    }
}

/// Number of keys in a slot. O(keys).
pub fn count(state: &ServerState, slot: u16) -> u64 {
    let mut count = 0;
    walk_all(state, |one| one == slot, |_, _| count += 1);
    count
}

/// Numbers of keys in all slots. O(keys).
pub fn counts(state: &ServerState) -> Vec<u64> {
    let mut counts = vec![0; usize::from(crate::cluster::SLOTS)];
    walk_all(state, |_| true, |_, slot| counts[usize::from(slot)] += 1);
    counts
}

/// Some keys of a slot, as many as are asked for at most. O(keys).
pub fn list(state: &ServerState, slot: u16, most: usize) -> Vec<Vec<u8>> {
    let (mut keys, mut cursor) = (Vec::new(), 0);
    while keys.len() < most {
        cursor = walk(state, cursor, |one| one == slot, |key, _| keys.push(key.to_vec()));
        if cursor == 0 {
            break;
        }
    }
    keys.truncate(most);
    keys
}

/// The slots that have keys. O(keys).
pub fn slots_with_keys(state: &ServerState) -> SlotSet {
    let mut slots = SlotSet::default();
    walk_all(
        state,
        |_| true,
        |_, slot| {
            slots.insert(slot);
        },
    );
    slots
}

/// Whether there is any key.
pub fn are_none(state: &ServerState) -> bool {
    state.keyspace.database(DATABASE).is_empty()
}

/// Deletes all keys; the memory is given back by a job.
pub fn delete_all(state: &mut ServerState) {
    if let Some(cluster) = &mut state.cluster {
        cluster.lost = Default::default();
    }
    state.keyspace.flush(DATABASE);
    state.keyspace.changes.propagation.add(DATABASE, &[b"FLUSHALL"]);
    propagation::end_unit(state, false);
    wake::changes(state);
}

/// From now on a job deletes the keys of these slots.
pub fn begin_deletion(state: &mut ServerState, slots: &SlotSet) {
    let Some(cluster) = &mut state.cluster else { return };
    for slot in slots.iter() {
        cluster.lost.slots.insert(slot);
    }
    // What was seen already may be of one of the new slots.
    cluster.lost.cursor = 0;
}

/// Deletes what is left of the keys of lost slots: this server is to have some of them again. O(keys).
pub fn finish_deletion(state: &mut ServerState) {
    while delete_lost_step(state) {}
}

/// Deletes some keys of lost slots; tells whether there are more. A replica leaves that to its primary.
pub fn delete_lost_step(state: &mut ServerState) -> bool {
    let Some(cluster) = state.cluster.as_ref().filter(|cluster| !cluster.lost.slots.is_empty()) else { return false };
    let mut keys = Vec::new();
    let mut cursor = 0;
    let is_over = state.replication.is_replica() || {
        let slots = &cluster.lost.slots;
        cursor = walk(state, cluster.lost.cursor, |slot| slots.contains(slot), |key, _| keys.push(key.to_vec()));
        cursor == 0
    };
    if let Some(cluster) = &mut state.cluster {
        cluster.lost.cursor = cursor;
        if is_over {
            cluster.lost.slots = SlotSet::default();
        }
    }
    for key in &keys {
        if state.keyspace.delete(DATABASE, key) {
            state.keyspace.changes.propagation.delete(DATABASE, key);
        }
    }
    propagation::end_unit(state, false);
    if !state.keyspace.changes.is_empty() {
        wake::changes(state);
    }
    !is_over
}
