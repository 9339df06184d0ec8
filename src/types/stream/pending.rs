//! What a group has given out and was not told is done: by ID, and in the order in which it may be taken over. Never
//! looks at consumers.

use std::ops::Deref;
use std::rc::Rc;

use crate::collections::ordered::{Item, Ordered, Single};

use super::id::Id;

/// A consumer's name, shared by all who mention it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Rc<Box<[u8]>>);

impl Name {
    pub(super) fn new(name: &[u8]) -> Name {
        Name(Rc::new(name.into()))
    }
}

impl Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The owner of a pending entry.
#[derive(Clone, Debug)]
pub enum Holder {
    Consumer {
        name: Name,
        /// When it got the entry last, in ms since the epoch.
        delivered_ms: i64,
    },
    /// None: the entry was released. Entries released earlier have lower numbers.
    Released { number: u64 },
}

/// An entry that was given out and not yet acknowledged.
#[derive(Clone, Debug)]
pub struct Pending {
    pub id: Id,
    /// How often it was given out.
    pub deliveries: u64,
    pub holder: Holder,
}

impl Item for Pending {
    type Weight = Single;
}

/// More deliveries than this are not counted: clients see signed numbers.
pub const DELIVERIES_MAX: u64 = i64::MAX as u64;

impl Pending {
    /// Its consumer's name; empty if it has no owner.
    pub fn consumer(&self) -> &[u8] {
        match &self.holder {
            Holder::Consumer { name, .. } => name,
            Holder::Released { .. } => b"",
        }
    }

    /// When it was given out last, in ms since the epoch; 0 if it has no owner.
    pub fn delivered_ms(&self) -> i64 {
        match self.holder {
            Holder::Consumer { delivered_ms, .. } => delivered_ms,
            Holder::Released { .. } => 0,
        }
    }

    /// How long it has been with its consumer; none if it has no owner.
    pub fn idle_ms(&self, now_ms: i64) -> Option<i64> {
        match self.holder {
            Holder::Consumer { delivered_ms, .. } => Some(now_ms.wrapping_sub(delivered_ms)),
            Holder::Released { .. } => None,
        }
    }

    /// Whether it has no owner.
    pub fn is_released(&self) -> bool {
        matches!(self.holder, Holder::Released { .. })
    }

    /// The number of deliveries after one more.
    pub fn deliveries_after_next(&self) -> u64 {
        match self.deliveries {
            DELIVERIES_MAX => DELIVERIES_MAX,
            deliveries => deliveries.wrapping_add(1),
        }
    }

    fn turn(&self) -> Turn {
        let since = match self.holder {
            Holder::Released { number } => Since::Released(number),
            Holder::Consumer { delivered_ms, .. } => Since::Delivered(delivered_ms),
        };
        Turn { since, id: self.id }
    }
}

/// Since when an entry is to be had: those that were released come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Since {
    Released(u64),
    Delivered(i64),
}

/// An entry's place in the order in which entries may be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    since: Since,
    id: Id,
}

impl Turn {
    fn is_released(self) -> bool {
        matches!(self.since, Since::Released(_))
    }
}

impl Item for Turn {
    type Weight = Single;
}

/// The pending entries of a group.
pub(super) struct PendingEntries {
    entries: Ordered<Pending>,
    /// Built when that order is first asked for: most groups never need it, and it costs as much as the entries.
    turns: Option<Ordered<Turn>>,
    released: usize,
    next_number: u64,
}

impl Clone for PendingEntries {
    fn clone(&self) -> PendingEntries {
        PendingEntries { entries: self.entries.fork(), turns: self.turns.as_ref().map(Ordered::fork), ..*self }
    }
}

impl PendingEntries {
    /// None.
    pub fn new() -> PendingEntries {
        PendingEntries::from_sorted([])
    }

    /// Those of another time, in ascending order of their IDs. O(n).
    pub fn from_sorted(entries: impl IntoIterator<Item = Pending>) -> PendingEntries {
        let entries = Ordered::from_sorted(entries);
        let numbers = entries.iter().filter_map(|pending| match pending.holder {
            Holder::Released { number } => Some(number),
            Holder::Consumer { .. } => None,
        });
        let (released, next_number) =
            numbers.fold((0, 0), |(count, next), number| (count + 1, next.max(number.wrapping_add(1))));
        PendingEntries { entries, turns: None, released, next_number }
    }

    /// All, in the order of their IDs.
    pub fn by_id(&self) -> &Ordered<Pending> {
        &self.entries
    }

    /// Number of entries without an owner. O(1).
    pub fn released(&self) -> usize {
        self.released
    }

    /// The entry with this ID. O(log n).
    pub fn get(&self, id: Id) -> Option<&Pending> {
        self.entries.get(|pending| pending.id.cmp(&id))
    }

    /// All in the order in which they may be taken over: first those without an owner, in the order in which they were
    /// given back, then those that were given out longest ago. O(log n) each; O(n log n) once for a group.
    pub fn in_turn(&mut self) -> impl Iterator<Item = &Pending> {
        let entries = &self.entries;
        let turns = self.turns.get_or_insert_with(|| {
            let mut turns: Vec<Turn> = entries.iter().map(Pending::turn).collect();
            turns.sort_unstable();
            Ordered::from_sorted(turns)
        });
        turns.iter().filter_map(|turn| entries.get(|pending| pending.id.cmp(&turn.id)))
    }

    /// Puts an entry in the place of the one with its ID, which is given if there is one. O(log n).
    pub fn insert(&mut self, pending: Pending) -> Option<Pending> {
        let turn = pending.turn();
        let is_last = self.entries.last().is_none_or(|last| last.id < pending.id);
        let before = if is_last {
            self.entries.push_back(pending);
            None
        } else {
            self.entries.insert(pending, |a, b| a.id.cmp(&b.id))
        };
        // First: both may have the same turn.
        if let Some(before) = &before {
            self.note_removed(before.turn());
        }
        self.note_added(turn);
        before
    }

    /// Removes an entry. O(log n).
    pub fn remove(&mut self, id: Id) -> Option<Pending> {
        let pending = self.entries.remove(|pending| pending.id.cmp(&id))?;
        self.note_removed(pending.turn());
        Some(pending)
    }

    /// The number of the next one that is given back.
    pub fn take_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        number
    }

    fn note_added(&mut self, turn: Turn) {
        self.released += usize::from(turn.is_released());
        if let Some(turns) = &mut self.turns {
            if turns.last().is_none_or(|last| *last < turn) {
                turns.push_back(turn);
            } else {
                turns.insert(turn, Turn::cmp);
            }
        }
    }

    fn note_removed(&mut self, turn: Turn) {
        self.released -= usize::from(turn.is_released());
        if let Some(turns) = &mut self.turns {
            turns.remove(|other| other.cmp(&turn));
        }
    }

    /// Bytes that they take.
    pub fn memory_bytes(&self) -> usize {
        let turns = self.turns.as_ref().map_or(0, Ordered::memory_bytes);
        self.entries.memory_bytes() + turns
    }

    /// Frees about so many; what is left is good for nothing else. Says whether there are more.
    pub fn reclaim_step(&mut self, count: usize) -> bool {
        if let Some(turns) = &mut self.turns
            && cut(turns, count)
        {
            return true;
        }
        cut(&mut self.entries, count)
    }
}

/// Drops some of the first items; tells whether there are more.
pub(super) fn cut<T: Item>(items: &mut Ordered<T>, count: usize) -> bool {
    let rest = items.split_off(count.min(items.len()));
    *items = rest;
    !items.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the order in which entries may be taken over must be, found by sorting.
    fn expected(entries: &PendingEntries) -> Vec<Id> {
        let mut turns: Vec<Turn> = entries.by_id().iter().map(Pending::turn).collect();
        turns.sort();
        turns.into_iter().map(|turn| turn.id).collect()
    }

    fn in_turn(entries: &mut PendingEntries) -> Vec<Id> {
        entries.in_turn().map(|pending| pending.id).collect()
    }

    fn change(entries: &mut PendingEntries, random: &mut fastrand::Rng) {
        let id = Id::new(random.u64(..200), 0);
        let holder = match random.u8(..4) {
            0 => {
                entries.remove(id);
                return;
            }
            1 => Holder::Released { number: entries.take_number() },
            _ => Holder::Consumer { name: Name::new(b"c"), delivered_ms: random.i64(-5..50) },
        };
        entries.insert(Pending { id, deliveries: 1, holder });
    }

    #[test]
    fn the_order_is_kept_by_every_change() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut entries = PendingEntries::new();
        (0..300).for_each(|_| change(&mut entries, &mut random));
        assert_eq!(in_turn(&mut entries), expected(&entries));
        let mut fork = entries.clone();
        for _ in 0..1000 {
            change(&mut entries, &mut random);
            change(&mut fork, &mut random);
            assert_eq!(in_turn(&mut entries), expected(&entries));
            assert_eq!(in_turn(&mut fork), expected(&fork));
            let released = entries.by_id().iter().filter(|one| one.is_released());
            assert_eq!(entries.released(), released.count());
        }
        // Numbers go on where they were when entries come back from a file.
        let all: Vec<Pending> = entries.by_id().iter().cloned().collect();
        let last = in_turn(&mut entries)[entries.released() - 1];
        let mut loaded = PendingEntries::from_sorted(all);
        let number = loaded.take_number();
        assert!(
            loaded
                .get(last)
                .is_some_and(|one| matches!(one.holder, Holder::Released { number: last } if last < number))
        );
        assert_eq!(in_turn(&mut loaded), in_turn(&mut entries));
        while loaded.reclaim_step(10) {}
        assert!(loaded.by_id().is_empty());
    }

    #[test]
    fn who_has_an_entry_takes_no_room_of_its_own() {
        assert_eq!(size_of::<Pending>(), 40);
    }
}
