//! Keys that are here and that clients do not see yet: the keys of slots that are being imported. Nothing but the
//! stream that brings them changes them; code that counts, walks or draws keys leaves them out. Never knows where they
//! come from.

use crate::collections::key_hash::slot_of;
use crate::collections::key_slot::SLOTS;

use super::{Keyspace, Record};

/// The slots whose keys are hidden: at least one.
#[derive(Clone, Debug)]
pub(super) struct HiddenSlots {
    slots: Vec<u16>,
    is_hidden: Box<[bool; SLOTS as usize]>,
}

impl HiddenSlots {
    fn new(slots: Vec<u16>) -> HiddenSlots {
        let mut is_hidden = Box::new([false; SLOTS as usize]);
        slots.iter().for_each(|slot| is_hidden[usize::from(*slot)] = true);
        HiddenSlots { slots, is_hidden }
    }

    /// Whether the keys of a slot are hidden.
    pub(super) fn contains(&self, slot: u16) -> bool {
        self.is_hidden[usize::from(slot)]
    }
}

/// A random key is looked for so often before all keys are gone through.
const DRAWS: usize = 100;

impl Keyspace {
    /// Hides the keys of these slots, and of no others. For keys that are hashed by slot. Keys that were hidden and are
    /// shown now count as changed: a snapshot that was made meanwhile has left them out. O(slots · databases).
    pub fn hide_slots(&mut self, slots: impl IntoIterator<Item = u16>) {
        let slots: Vec<u16> = slots.into_iter().collect();
        let hidden = (!slots.is_empty()).then(|| Box::new(HiddenSlots::new(slots)));
        let before = std::mem::replace(&mut self.hidden, hidden);
        let shown = before.iter().flat_map(|before| &before.slots).filter(|slot| !self.is_slot_hidden(**slot));
        let keys: usize =
            shown.map(|slot| self.databases.iter().map(|one| one.count_in_slot(*slot)).sum::<usize>()).sum();
        self.changes.count(keys as u64);
        self.forget_candidates();
    }

    /// Whether the keys of any slot are hidden.
    #[inline]
    pub fn hides_slots(&self) -> bool {
        self.hidden.is_some()
    }

    /// Whether the keys of a slot are hidden.
    pub fn is_slot_hidden(&self, slot: u16) -> bool {
        self.hidden.as_ref().is_some_and(|hidden| hidden.contains(slot))
    }

    /// Whether a key would be hidden.
    #[inline]
    pub fn is_hidden(&self, key: &[u8]) -> bool {
        self.hides_slots() && self.hides(self.hash(key))
    }

    /// Whether a key with this hash would be hidden.
    #[inline]
    pub(super) fn hides(&self, hash: u64) -> bool {
        self.hidden.as_ref().is_some_and(|hidden| hidden.contains(slot_of(hash)))
    }

    /// Number of keys of a database that are not hidden, expired ones that are still there included. O(hidden slots).
    pub fn visible_len(&self, database: usize) -> usize {
        let space = &self.databases[database];
        let hidden = self.hidden_slots().iter().map(|slot| space.count_in_slot(*slot));
        space.len() - hidden.sum::<usize>()
    }

    /// Number of keys with an expiry time that are not hidden. O(hidden slots).
    pub fn visible_volatile_len(&self, database: usize) -> usize {
        let space = &self.databases[database];
        let hidden = self.hidden_slots().iter().map(|slot| space.volatile_in_slot(*slot));
        space.volatile_len() - hidden.sum::<usize>()
    }

    fn hidden_slots(&self) -> &[u16] {
        self.hidden.as_ref().map(|hidden| hidden.slots.as_slice()).unwrap_or_default()
    }

    /// A random key that is not hidden. O(1) unless nearly all keys are hidden.
    #[cold]
    pub(super) fn random_visible_key(&mut self, database: usize, random: &mut fastrand::Rng) -> Option<Vec<u8>> {
        if self.visible_len(database) == 0 {
            return None;
        }
        for _ in 0..DRAWS {
            let record = self.databases[database].records().random(random)?;
            if !self.is_hidden(record.key()) && !record.is_due(self.read_horizon_ms()) {
                return Some(record.key().to_vec());
            }
        }
        let is_wanted = |record: &&Record| !self.is_hidden(record.key()) && !record.is_due(self.read_horizon_ms());
        self.databases[database].records().iter().find(is_wanted).map(|record| record.key().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collections::hash::HashSeed;
    use crate::collections::key_hash::KeyHasher;
    use crate::collections::key_slot::key_slot;
    use crate::keyspace::{Expiry, NewValue};

    #[test]
    fn hidden_keys_are_not_counted_walked_or_drawn_and_neither_expire_nor_go_for_room() {
        let mut keyspace = Keyspace::new(1, KeyHasher::by_slot(HashSeed::from_seed(3)));
        for number in 0..200 {
            let tag = if number % 10 == 0 { "seen" } else { "hidden" };
            let key = format!("{{{tag}}}{number}");
            keyspace.set(0, key.as_bytes(), NewValue::Integer(number), Expiry::At(1000));
        }
        keyspace.hide_slots([key_slot(b"hidden")]);
        assert_eq!((keyspace.visible_len(0), keyspace.visible_volatile_len(0)), (20, 20));
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..50 {
            assert!(keyspace.random_key(0, &mut random).is_some_and(|key| key.starts_with(b"{seen}")));
        }
        let mut version = keyspace.pin();
        let mut written = 0;
        while version.database().is_some() {
            version.next_records(|_| written += 1);
        }
        assert_eq!(written, 20);
        keyspace.seed_eviction(1);
        keyspace.set_eviction(crate::config::MaxmemoryPolicy::AllkeysRandom, 5);
        for _ in 0..10 {
            assert!(keyspace.evict());
        }
        assert_eq!((keyspace.visible_len(0), keyspace.database(0).len()), (10, 190));
        keyspace.now_ms = 2000;
        for _ in 0..100 {
            keyspace.expire_cycle(1, || false);
        }
        assert_eq!((keyspace.visible_len(0), keyspace.database(0).len()), (0, 180));
        assert_eq!(keyspace.random_key(0, &mut random), None);
        assert!(!keyspace.evict());
        let total = keyspace.changes.total();
        keyspace.hide_slots([key_slot(b"hidden"), key_slot(b"seen")]);
        assert_eq!(keyspace.changes.total(), total);
        keyspace.hide_slots([]);
        assert_eq!(keyspace.visible_len(0), 180);
        assert_eq!(keyspace.changes.total(), total + 180, "a snapshot has left them out");
    }
}
