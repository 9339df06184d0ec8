//! The keys of a slot: how many there are, which, and their deletion when another node owns them.

use crate::cluster::{SLOTS, SlotSet, key_slot};
use crate::engine::cluster::LostSlots;
use crate::engine::propagation;
use crate::engine::state::ServerState;
use crate::engine::wake;

/// Walks over some keys of a database. Gives where to go on, and 0 when all were seen.
fn walk(state: &ServerState, database: usize, cursor: u64, mut visit: impl FnMut(&[u8], u16)) -> u64 {
    let horizon_ms = state.keyspace.read_horizon_ms();
    state.keyspace.scan(database, cursor, |record| {
        if !record.is_due(horizon_ms) {
            visit(record.key(), key_slot(record.key()));
        }
    })
}

/// Numbers of keys in all slots, in all databases. O(keys).
pub fn counts(state: &ServerState) -> Vec<u64> {
    let mut counts = vec![0; usize::from(SLOTS)];
    for database in 0..state.keyspace.count() {
        let mut cursor = 0;
        loop {
            cursor = walk(state, database, cursor, |_, slot| counts[usize::from(slot)] += 1);
            if cursor == 0 {
                break;
            }
        }
    }
    counts
}

/// Number of keys in a slot, in one database or in all. O(keys).
pub fn count(state: &ServerState, slot: u16, database: Option<usize>) -> u64 {
    let databases = database.map_or(0..state.keyspace.count(), |database| database..database + 1);
    let mut count = 0;
    for database in databases {
        let mut cursor = 0;
        loop {
            cursor = walk(state, database, cursor, |_, one| count += u64::from(one == slot));
            if cursor == 0 {
                break;
            }
        }
    }
    count
}

/// Some keys of a slot in a database, as many as are asked for at most. O(keys).
pub fn list(state: &ServerState, slot: u16, database: usize, most: usize) -> Vec<Vec<u8>> {
    let (mut keys, mut cursor) = (Vec::new(), 0);
    while keys.len() < most {
        cursor = walk(state, database, cursor, |key, one| {
            if one == slot {
                keys.push(key.to_vec());
            }
        });
        if cursor == 0 {
            break;
        }
    }
    keys.truncate(most);
    keys
}

/// The slots that have keys. O(keys).
pub fn slots_with_keys(state: &ServerState) -> SlotSet {
    (0..SLOTS).zip(counts(state)).filter(|(_, count)| *count > 0).map(|(slot, _)| slot).collect()
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

/// From now on a job deletes the keys of these slots.
pub fn begin_deletion(state: &mut ServerState, slots: &SlotSet) {
    let Some(cluster) = &mut state.cluster else { return };
    for slot in slots.iter() {
        cluster.lost.slots.insert(slot);
    }
    // What was seen already may be of one of the new slots.
    (cluster.lost.database, cluster.lost.cursor) = (0, 0);
}

/// Deletes what is left of the keys of lost slots: this server is to have some of them again. O(keys).
pub fn finish_deletion(state: &mut ServerState) {
    while delete_lost_step(state) {}
}

/// Deletes some keys of lost slots; tells whether there are more. A replica leaves that to its primary.
pub fn delete_lost_step(state: &mut ServerState) -> bool {
    let Some(cluster) = state.cluster.as_deref().filter(|cluster| !cluster.lost.slots.is_empty()) else {
        return false;
    };
    let LostSlots { slots, database, cursor } = &cluster.lost;
    let database = *database;
    let mut keys = Vec::new();
    if state.replication.is_replica() || database >= state.keyspace.count() {
        if let Some(cluster) = &mut state.cluster {
            cluster.lost = LostSlots::default();
        }
        return false;
    }
    let cursor = walk(state, database, *cursor, |key, slot| {
        if slots.contains(slot) {
            keys.push(key.to_vec());
        }
    });
    if let Some(cluster) = &mut state.cluster {
        cluster.lost.cursor = cursor;
        cluster.lost.database += usize::from(cursor == 0);
    }
    for key in &keys {
        if state.keyspace.delete(database, key) {
            state.keyspace.changes.propagation.delete(database, key);
        }
    }
    propagation::end_unit(state, false);
    if !state.keyspace.changes.is_empty() {
        wake::changes(state);
    }
    true
}
