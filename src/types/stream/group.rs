//! Consumer groups: how far each has read, which entries it has been given and not yet acknowledged, and its consumers.
//! Never looks at entries.

use std::rc::Rc;

use crate::collections::ordered::{Item, Ordered, Range, Single};

use super::id::Id;
use super::pending::{Holder, Name, Pending, PendingEntries, cut};

impl Item for Id {
    type Weight = Single;
}

/// A consumer of a group.
pub struct Consumer {
    name: Name,
    /// When it last tried anything, in ms since the epoch.
    pub seen_ms: i64,
    /// When it last got anything.
    pub active_ms: Option<i64>,
    pending: Ordered<Id>,
}

impl Clone for Consumer {
    fn clone(&self) -> Consumer {
        Consumer { name: self.name.clone(), pending: self.pending.fork(), ..*self }
    }
}

impl Item for Rc<Consumer> {
    type Weight = Single;
}

impl Consumer {
    /// A consumer that has got nothing yet.
    pub(super) fn new(name: &[u8], seen_ms: i64, active_ms: Option<i64>) -> Consumer {
        Consumer { name: Name::new(name), seen_ms, active_ms, pending: Ordered::new() }
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name as those mention it who refer to it.
    pub(super) fn shared_name(&self) -> Name {
        self.name.clone()
    }

    /// Sets what it has, in ascending order.
    pub(super) fn set_pending(&mut self, ids: impl IntoIterator<Item = Id>) {
        self.pending = Ordered::from_sorted(ids);
    }

    /// The IDs of the entries that it has and has not acknowledged, in order.
    pub fn pending(&self) -> &Ordered<Id> {
        &self.pending
    }
}

/// A consumer group.
pub struct Group {
    name: Box<[u8]>,
    /// The greatest ID of an entry that was given out.
    pub last_id: Id,
    /// How many of all entries that were ever added it has read, if that is known.
    pub entries_read: Option<i64>,
    pending: PendingEntries,
    consumers: Ordered<Rc<Consumer>>,
}

impl Clone for Group {
    fn clone(&self) -> Group {
        Group { name: self.name.clone(), pending: self.pending.clone(), consumers: self.consumers.fork(), ..*self }
    }
}

impl Item for Rc<Group> {
    type Weight = Single;
}

impl Group {
    pub(super) fn new(name: &[u8], last_id: Id, entries_read: Option<i64>) -> Group {
        Group { name: name.into(), last_id, entries_read, pending: PendingEntries::new(), consumers: Ordered::new() }
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The entries that were given out and not acknowledged, in the order of their IDs.
    pub fn pending(&self) -> &Ordered<Pending> {
        self.pending.by_id()
    }

    /// Number of them without an owner. O(1).
    pub fn released(&self) -> usize {
        self.pending.released()
    }

    /// The same entries in the order in which they may be taken over: first those without an owner, in the order in
    /// which they were given back, then those that were given out longest ago. O(log n) each, and O(n log n) when it is
    /// asked for the first time; from then on that order is kept.
    pub fn in_turn(&mut self) -> impl Iterator<Item = &Pending> {
        self.pending.in_turn()
    }

    /// Sets what was given out, in ascending order; the consumers have it already.
    pub(super) fn set_pending(&mut self, pending: impl IntoIterator<Item = Pending>) {
        self.pending = PendingEntries::from_sorted(pending);
    }

    /// The consumers in the order of their names.
    pub fn consumers(&self) -> Range<'_, Rc<Consumer>> {
        self.consumers.iter()
    }

    /// The consumer with this number in the order of the names. O(log n).
    pub fn consumer_at(&self, index: usize) -> Option<&Consumer> {
        self.consumers.at(index).map(|consumer| &**consumer)
    }

    /// The consumer of this name. O(log n).
    pub fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        let found = self.consumers.get(|consumer| consumer.name().cmp(name));
        found.map(|consumer| &**consumer)
    }

    /// An entry that was given out and not acknowledged. O(log n).
    pub fn pending_entry(&self, id: Id) -> Option<&Pending> {
        self.pending.get(id)
    }

    /// Adds a consumer; tells whether the name is new. O(log n).
    pub fn create_consumer(&mut self, name: &[u8], now_ms: i64) -> bool {
        self.add_consumer(Consumer::new(name, now_ms, None))
    }

    pub(super) fn add_consumer(&mut self, consumer: Consumer) -> bool {
        let place = self.consumers.search(|other| other.name().cmp(consumer.name()));
        match place {
            Ok(_) => false,
            Err(index) => {
                self.consumers.insert_at(index, Rc::new(consumer));
                true
            }
        }
    }

    fn edit_consumer<R>(&mut self, name: &[u8], edit: impl FnOnce(&mut Consumer) -> R) -> Option<R> {
        let probe = |consumer: &Rc<Consumer>| consumer.name().cmp(name);
        self.consumers.update(probe, |consumer| edit(Rc::make_mut(consumer)))
    }

    /// Notes that a consumer tries something now; adds it if the name is new, and tells whether it is. O(log n).
    pub fn see_consumer(&mut self, name: &[u8], now_ms: i64) -> bool {
        match self.edit_consumer(name, |consumer| consumer.seen_ms = now_ms) {
            Some(()) => false,
            None => self.create_consumer(name, now_ms),
        }
    }

    /// Notes that a consumer gets something now. O(log n).
    pub fn note_active(&mut self, name: &[u8], now_ms: i64) {
        self.edit_consumer(name, |consumer| consumer.active_ms = Some(now_ms));
    }

    /// Removes a consumer with all entries that it has; gives their number, if there is one of this name. O(its
    /// entries).
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let consumer = self.consumers.remove(|other| other.name().cmp(name))?;
        for id in consumer.pending.iter() {
            self.pending.remove(*id);
        }
        Some(consumer.pending.len())
    }

    /// Removes an entry from its owner; returns what was known of it. O(log n).
    pub fn acknowledge(&mut self, id: Id) -> Option<Pending> {
        let pending = self.pending.remove(id)?;
        self.take_from(&pending);
        Some(pending)
    }

    /// Takes an entry that was pending off its consumer's list, if it has a consumer.
    fn take_from(&mut self, pending: &Pending) {
        if let Holder::Consumer { name, .. } = &pending.holder {
            self.edit_consumer(name, |consumer| consumer.pending.remove(|other| other.cmp(&pending.id)));
        }
    }

    /// Gives new entries, with ascending IDs, to a consumer, which it has once until it acknowledges them. What was
    /// given to others before is taken from them. O(entries) if all are behind those given before.
    pub fn deliver(&mut self, ids: &[Id], consumer: &[u8], now_ms: i64) {
        let (Some(first), Some(owner)) = (ids.first(), self.consumer(consumer)) else {
            return;
        };
        let name = owner.name.clone();
        let is_behind = self.pending().last().is_none_or(|last| last.id < *first);
        if !is_behind {
            for id in ids {
                self.acknowledge(*id);
            }
        }
        for id in ids {
            self.pending.insert(Pending {
                id: *id,
                deliveries: 1,
                holder: Holder::Consumer { name: name.clone(), delivered_ms: now_ms },
            });
        }
        self.edit_consumer(consumer, |consumer| {
            for id in ids {
                give(&mut consumer.pending, *id);
            }
            consumer.active_ms = Some(now_ms);
        });
    }

    /// Gives an entry to a consumer, which must exist, whichever consumer had it before. O(log n).
    pub fn assign(&mut self, id: Id, consumer: &[u8], delivered_ms: i64, deliveries: u64) {
        let Some(owner) = self.consumer(consumer) else {
            return;
        };
        let before = self.pending.insert(Pending {
            id,
            deliveries,
            holder: Holder::Consumer { name: owner.name.clone(), delivered_ms },
        });
        if let Some(before) = before {
            if !before.is_released() && before.consumer() == consumer {
                return;
            }
            self.take_from(&before);
        }
        self.edit_consumer(consumer, |consumer| give(&mut consumer.pending, id));
    }

    /// Makes an entry pending with no consumer, whichever had it before: it comes behind those that were given back
    /// before. O(log n).
    pub fn release(&mut self, id: Id, deliveries: u64) {
        let number = self.pending.take_number();
        let before = self.pending.insert(Pending { id, deliveries, holder: Holder::Released { number } });
        if let Some(before) = before {
            self.take_from(&before);
        }
    }

    /// Notes that a pending entry was given to its consumer once more. O(log n).
    pub fn deliver_again(&mut self, id: Id, now_ms: i64) {
        let Some(pending) = self.pending.get(id) else {
            return;
        };
        if let Holder::Consumer { name, .. } = &pending.holder {
            let again = Pending {
                id,
                deliveries: pending.deliveries_after_next(),
                holder: Holder::Consumer { name: name.clone(), delivered_ms: now_ms },
            };
            self.pending.insert(again);
        }
    }

    /// Bytes that it takes, estimated from a few of its consumers.
    pub(super) fn memory_bytes(&self) -> usize {
        const SAMPLES: usize = 8;
        let own = size_of::<Group>() + self.name.len() + self.pending.memory_bytes();
        let sampled = self
            .consumers()
            .take(SAMPLES)
            .map(|consumer| size_of::<Consumer>() + consumer.name.len() + consumer.pending.memory_bytes());
        let (count, bytes) = sampled.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        let consumers = bytes * self.consumers.len() / count.max(1);
        own + self.consumers.memory_bytes() + consumers
    }

    /// Frees about so many of the pending entries. Says whether there are more.
    fn reclaim_step(&mut self, entries: usize) -> bool {
        while let Some(consumer) = self.consumers.len().checked_sub(1) {
            let step = |consumer: &mut Rc<Consumer>| match Rc::get_mut(consumer) {
                Some(consumer) => cut(&mut consumer.pending, entries),
                None => false,
            };
            if self.consumers.update_at(consumer, step) == Some(true) {
                return true;
            }
            self.consumers.pop_back();
        }
        self.pending.reclaim_step(entries)
    }
}

/// Puts an ID among others: usually it is the greatest.
fn give(pending: &mut Ordered<Id>, id: Id) {
    if pending.last().is_none_or(|last| *last < id) {
        pending.push_back(id);
    } else {
        pending.insert(id, Id::cmp);
    }
}

/// The groups of a stream, by name.
#[derive(Default)]
pub struct Groups {
    groups: Ordered<Rc<Group>>,
}

impl Groups {
    /// How many there are. O(1).
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    pub(super) fn fork(&self) -> Groups {
        Groups { groups: self.groups.fork() }
    }

    /// All in the order of their names.
    pub fn iter(&self) -> Range<'_, Rc<Group>> {
        self.groups.iter()
    }

    /// The group with this number in the order of the names. O(log n).
    pub fn at(&self, index: usize) -> Option<&Group> {
        self.groups.at(index).map(|group| &**group)
    }

    /// The group of this name. O(log n).
    pub fn get(&self, name: &[u8]) -> Option<&Group> {
        let found = self.groups.get(|group| group.name().cmp(name));
        found.map(|group| &**group)
    }

    /// Changes the group of this name, if there is one. O(log n).
    pub fn edit<R>(&mut self, name: &[u8], edit: impl FnOnce(&mut Group) -> R) -> Option<R> {
        let probe = |group: &Rc<Group>| group.name().cmp(name);
        self.groups.update(probe, |group| edit(Rc::make_mut(group)))
    }

    /// Adds a group; tells whether the name is new. O(log n).
    pub fn create(&mut self, name: &[u8], last_id: Id, entries_read: Option<i64>) -> bool {
        self.add(Group::new(name, last_id, entries_read))
    }

    pub(super) fn add(&mut self, group: Group) -> bool {
        match self.groups.search(|other| other.name().cmp(group.name())) {
            Ok(_) => false,
            Err(index) => {
                self.groups.insert_at(index, Rc::new(group));
                true
            }
        }
    }

    /// Takes a group out, as groups of their own: a large one is to be freed in steps. O(log n).
    pub fn remove(&mut self, name: &[u8]) -> Option<Groups> {
        let group = self.groups.remove(|group| group.name().cmp(name))?;
        let mut groups = Ordered::new();
        groups.push_back(group);
        Some(Groups { groups })
    }

    /// Removes an entry from every group; returns whether any group had it pending. O(groups).
    pub fn forget(&mut self, id: Id) -> bool {
        let mut was_pending = false;
        for index in 0..self.groups.len() {
            let group = self.groups.at(index);
            if group.is_some_and(|group| group.pending_entry(id).is_some()) {
                self.groups.update_at(index, |group| Rc::make_mut(group).acknowledge(id));
                was_pending = true;
            }
        }
        was_pending
    }

    /// Whether a group has yet to read an entry, or to acknowledge it. O(groups).
    pub fn need(&self, id: Id) -> bool {
        self.iter().any(|group| group.last_id < id || group.pending_entry(id).is_some())
    }

    /// Pending entries of all groups. O(groups).
    pub fn pending(&self) -> usize {
        self.iter().map(|group| group.pending().len()).sum()
    }

    /// Bytes that they take, estimated.
    pub(super) fn memory_bytes(&self) -> usize {
        let groups = self.iter().map(|group| group.memory_bytes());
        self.groups.memory_bytes() + groups.sum::<usize>()
    }

    /// Frees about so many pending entries. Says whether there are more.
    pub(super) fn reclaim_step(&mut self, entries: usize) -> bool {
        while let Some(last) = self.groups.len().checked_sub(1) {
            let step = |group: &mut Rc<Group>| match Rc::get_mut(group) {
                Some(group) => group.reclaim_step(entries),
                None => false,
            };
            if self.groups.update_at(last, step) == Some(true) {
                return true;
            }
            self.groups.pop_back();
        }
        false
    }
}
