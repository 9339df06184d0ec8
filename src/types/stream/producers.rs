//! Idempotent producers: the messages that each of them added lately, by the IDs that it gave them, so that a message
//! which is sent again is known. Never looks at entries.

use std::cmp::Ordering;
use std::rc::Rc;

use crate::collections::ordered::{Item, Ordered, Single};

use super::id::Id;
use super::pending::{Name, cut};

/// How long messages are known, and how many of each producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub duration_s: u32,
    pub messages: u32,
}

impl Retention {
    /// The time of the last ID that is no longer known; none if all are.
    fn over_ms(self, now_ms: i64) -> Option<u64> {
        u64::try_from(now_ms).ok()?.checked_sub(u64::from(self.duration_s) * 1000)
    }
}

/// A message: the ID that its producer gave it, and that of its entry.
#[derive(Clone)]
struct Message {
    name: Name,
    id: Id,
}

impl Item for Message {
    type Weight = Single;
}

impl Message {
    fn by_age(&self, other: &Message) -> Ordering {
        self.id.cmp(&other.id).then_with(|| self.name.cmp(&other.name))
    }
}

/// A producer with the messages that are known of it.
pub struct Producer {
    name: Box<[u8]>,
    by_name: Ordered<Message>,
    by_age: Ordered<Message>,
}

impl Clone for Producer {
    fn clone(&self) -> Producer {
        Producer { name: self.name.clone(), by_name: self.by_name.fork(), by_age: self.by_age.fork() }
    }
}

impl Item for Rc<Producer> {
    type Weight = Single;
}

impl Producer {
    fn new(name: &[u8]) -> Producer {
        Producer { name: name.into(), by_name: Ordered::new(), by_age: Ordered::new() }
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The messages from this number on, the oldest first: the ID that the producer gave each, and that of its entry.
    pub fn messages(&self, from: usize) -> impl Iterator<Item = (&[u8], Id)> {
        self.by_age.range(from..).map(|message| (&*message.name, message.id))
    }

    fn find(&self, name: &[u8]) -> Option<Id> {
        self.by_name.get(|message| (*message.name).cmp(name)).map(|message| message.id)
    }

    /// How many of the messages are over.
    fn over(&self, over_ms: u64) -> usize {
        self.by_age.upper_bound(|message| message.id.ms.cmp(&over_ms))
    }

    /// Adds a message in the place of the one of that name, if there is one.
    fn add(&mut self, name: &[u8], id: Id) {
        let message = Message { name: Name::new(name), id };
        if let Some(before) = self.by_name.insert(message.clone(), |a, b| a.name.cmp(&b.name)) {
            self.by_age.remove(|other| other.by_age(&before));
        }
        match self.by_age.last().is_none_or(|last| last.id < id) {
            true => self.by_age.push_back(message),
            false => drop(self.by_age.insert(message, Message::by_age)),
        }
    }

    /// Forgets the oldest ones.
    fn forget(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(oldest) = self.by_age.pop_front() {
                self.by_name.remove(|other| other.name.cmp(&oldest.name));
            }
        }
    }

    /// Frees about so many messages. Says whether there are more.
    fn reclaim_step(&mut self, messages: usize) -> bool {
        cut(&mut self.by_name, messages) || cut(&mut self.by_age, messages)
    }
}

/// The idempotent producers of a stream. Takes no memory of its own as long as there was none.
#[derive(Default)]
pub struct Producers(Option<Box<Known>>);

/// What is known of producers.
struct Known {
    retention: Retention,
    /// Messages that were ever added, and that were sent again.
    added: u64,
    duplicates: u64,
    producers: Ordered<Rc<Producer>>,
    messages: usize,
    /// The producer that is looked at next for messages that are over.
    next: usize,
}

/// Producers that are looked at for messages that are over whenever one is added: more than one, so that they do not
/// pile up.
const SWEPT: usize = 4;

impl Producers {
    /// Whether the stream has, or had, such producers, or is set up for them.
    pub fn are_used(&self) -> bool {
        self.0.is_some()
    }

    /// How long messages are known, if that was set or needed.
    pub fn retention(&self) -> Option<Retention> {
        self.0.as_ref().map(|known| known.retention)
    }

    /// How many messages were ever added, and how many sent again.
    pub fn counts(&self) -> (u64, u64) {
        self.0.as_ref().map_or((0, 0), |known| (known.added, known.duplicates))
    }

    /// How many producers have messages that are known now, and how many messages that are. O(producers).
    pub fn tracked(&self, now_ms: i64) -> (usize, usize) {
        let Some(known) = &self.0 else { return (0, 0) };
        let over_ms = known.retention.over_ms(now_ms);
        let left = known.producers.iter().map(|producer| {
            let over = over_ms.map_or(0, |over_ms| producer.over(over_ms));
            producer.by_age.len() - over
        });
        left.filter(|left| *left > 0).fold((0, 0), |(producers, messages), left| (producers + 1, messages + left))
    }

    /// The producer with this number in the order of the names. O(log n).
    pub fn at(&self, index: usize) -> Option<&Producer> {
        self.0.as_ref()?.producers.at(index).map(|producer| &**producer)
    }

    /// The entry of a message, if the message is known now. O(log n).
    pub fn find(&self, producer: &[u8], message: &[u8], now_ms: i64) -> Option<Id> {
        let known = self.0.as_ref()?;
        let id = known.producers.get(|other| other.name().cmp(producer))?.find(message)?;
        let is_over = known.retention.over_ms(now_ms).is_some_and(|over_ms| id.ms <= over_ms);
        (!is_over).then_some(id)
    }

    /// Counts a message that was sent again.
    pub fn count_duplicate(&mut self) {
        if let Some(known) = &mut self.0 {
            known.duplicates = known.duplicates.saturating_add(1);
        }
    }

    /// Adds a message; `default` holds if the stream has no producers yet. Messages that are over, or too many, are
    /// forgotten. O(log n) for each.
    pub fn add(&mut self, producer: &[u8], message: &[u8], id: Id, now_ms: i64, default: Retention) {
        let known = self.0.get_or_insert_with(|| Box::new(Known::new(default)));
        known.added = known.added.saturating_add(1);
        known.sweep(now_ms);
        known.put(producer, message, id);
    }

    /// Takes a message over that was added elsewhere: neither is it counted, nor is any found to be over. O(log n).
    pub fn adopt(&mut self, producer: &[u8], message: &[u8], id: Id) {
        if let Some(known) = &mut self.0 {
            known.put(producer, message, id);
        }
    }

    /// Sets how long messages are known. If that is another time or number than before, all are forgotten: they are
    /// given, to be freed.
    pub fn set_retention(&mut self, retention: Retention) -> Option<Producers> {
        let known = self.0.get_or_insert_with(|| Box::new(Known::new(retention)));
        if known.retention == retention {
            return None;
        }
        let (added, duplicates) = (known.added, known.duplicates);
        let before = std::mem::replace(&mut **known, Known { added, duplicates, ..Known::new(retention) });
        Some(Producers(Some(Box::new(before))))
    }

    /// Sets how many messages were ever added, and how many sent again, where there are producers.
    pub fn set_counts(&mut self, added: u64, duplicates: u64) {
        if let Some(known) = &mut self.0 {
            (known.added, known.duplicates) = (added, duplicates);
        }
    }

    pub(super) fn fork(&self) -> Producers {
        Producers(self.0.as_ref().map(|known| Box::new(Known { producers: known.producers.fork(), ..**known })))
    }

    /// How many messages there are to free. O(1).
    pub(super) fn free_effort(&self) -> usize {
        self.0.as_ref().map_or(0, |known| known.messages)
    }

    /// Bytes that they take, estimated from some of the producers.
    pub(super) fn memory_bytes(&self) -> usize {
        const SAMPLES: usize = 16;
        let Some(known) = &self.0 else { return 0 };
        let count = known.producers.len();
        let samples = SAMPLES.min(count);
        let sampled = (0..samples).filter_map(|sample| known.producers.at(sample * count / samples));
        let bytes = sampled.map(|producer| {
            let names: usize =
                producer.messages(0).take(SAMPLES).map(|(name, _)| name.len() + size_of::<[usize; 4]>()).sum();
            let messages = producer.by_age.len();
            let names = names * messages / messages.clamp(1, SAMPLES);
            size_of::<Producer>() + producer.name.len() + producer.by_age.memory_bytes() * 2 + names
        });
        size_of::<Known>() + known.producers.memory_bytes() + bytes.sum::<usize>() * count / samples.max(1)
    }

    /// Frees about so many messages. Says whether there are more.
    pub(super) fn reclaim_step(&mut self, messages: usize) -> bool {
        let Some(known) = &mut self.0 else { return false };
        while let Some(last) = known.producers.len().checked_sub(1) {
            let step = |producer: &mut Rc<Producer>| match Rc::get_mut(producer) {
                Some(producer) => producer.reclaim_step(messages),
                None => false,
            };
            if known.producers.update_at(last, step) == Some(true) {
                return true;
            }
            known.producers.pop_back();
        }
        false
    }
}

impl Known {
    fn new(retention: Retention) -> Known {
        Known { retention, added: 0, duplicates: 0, producers: Ordered::new(), messages: 0, next: 0 }
    }

    /// Adds a message, and forgets its producer's oldest one if there are too many.
    fn put(&mut self, name: &[u8], message: &[u8], id: Id) {
        let index = match self.producers.search(|producer| producer.name().cmp(name)) {
            Ok(index) => index,
            Err(index) => {
                self.producers.insert_at(index, Rc::new(Producer::new(name)));
                index
            }
        };
        let most = self.retention.messages as usize;
        self.change(index, |producer| {
            producer.add(message, id);
            producer.forget(producer.by_age.len().saturating_sub(most));
        });
    }

    /// Forgets what is over of the next few producers.
    fn sweep(&mut self, now_ms: i64) {
        let Some(over_ms) = self.retention.over_ms(now_ms) else { return };
        for _ in 0..SWEPT.min(self.producers.len()) {
            if self.next >= self.producers.len() {
                self.next = 0;
            }
            let over = self.producers.at(self.next).map_or(0, |producer| producer.over(over_ms));
            if over == 0 {
                self.next += 1;
            } else if self.change(self.next, |producer| producer.forget(over)) {
                self.producers.remove_at(self.next);
            }
        }
    }

    /// Changes a producer, and counts its messages anew; says whether it has none.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Producer)) -> bool {
        let counts = self.producers.update_at(index, |producer| {
            let producer = Rc::make_mut(producer);
            let before = producer.by_age.len();
            change(producer);
            (before, producer.by_age.len())
        });
        let (before, after) = counts.unwrap_or_default();
        self.messages = self.messages + after - before;
        after == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const RETENTION: Retention = Retention { duration_s: 10, messages: 5 };

    #[test]
    fn messages_are_known_for_their_time_and_as_long_as_there_is_room() {
        let mut producers = Producers::default();
        let mut expected: BTreeMap<(u8, u8), Id> = BTreeMap::new();
        let mut random = fastrand::Rng::with_seed(3);
        let mut now_ms = 1_000;
        for step in 0..5_000_u64 {
            now_ms += random.i64(0..400);
            let (producer, message) = (random.u8(0..12), random.u8(0..9));
            let is_over = |id: &Id| id.ms as i64 + 10_000 <= now_ms;
            let known = expected.get(&(producer, message)).filter(|id| !is_over(id)).copied();
            assert_eq!(producers.find(&[producer], &[message], now_ms), known);
            if known.is_some() {
                continue;
            }
            let id = Id::new(now_ms as u64, step);
            producers.add(&[producer], &[message], id, now_ms, RETENTION);
            expected.insert((producer, message), id);
            let mut of_it: Vec<_> = expected.iter().filter(|((other, _), _)| *other == producer).collect();
            of_it.sort_by_key(|(_, id)| **id);
            let oldest: Vec<(u8, u8)> = of_it.iter().rev().skip(5).map(|(name, _)| **name).collect();
            expected.retain(|name, _| !oldest.contains(name));
            let alive: Vec<u8> = expected.iter().filter(|(_, id)| !is_over(id)).map(|((name, _), _)| *name).collect();
            let names = alive.iter().collect::<std::collections::BTreeSet<_>>().len();
            assert_eq!(producers.tracked(now_ms), (names, alive.len()));
            assert!(producers.free_effort() <= 12 * 5);
        }
        assert!(producers.counts().0 > 1_000);
    }

    #[test]
    fn what_is_over_goes_though_its_producer_stays_away() {
        let mut producers = Producers::default();
        for number in 0..1_000_u32 {
            let now_ms = i64::from(number) * 100;
            producers.add(&number.to_be_bytes(), b"m", Id::new(now_ms as u64, 1), now_ms, RETENTION);
        }
        assert!(producers.free_effort() < 200, "{}", producers.free_effort());
        assert_eq!(producers.tracked(99_900), (100, 100));
        assert!(producers.memory_bytes() > 100 * 100);
    }

    #[test]
    fn a_fork_is_a_stream_of_its_own_and_all_is_freed_in_steps() {
        let mut producers = Producers::default();
        for number in 0..40_u8 {
            producers.add(&[number % 10], &[number], Id::new(1, number.into()), 1, RETENTION);
        }
        producers.count_duplicate();
        let mut fork = producers.fork();
        fork.add(b"x", b"y", Id::new(2, 0), 2, RETENTION);
        assert_eq!((producers.tracked(2), fork.tracked(2)), ((10, 40), (11, 41)));
        assert_eq!((producers.counts(), fork.counts()), ((40, 1), (41, 1)));
        assert!(fork.set_retention(RETENTION).is_none());
        let other = Retention { duration_s: 9, messages: 5 };
        assert!(fork.set_retention(other).is_some());
        assert_eq!((fork.tracked(2), fork.counts()), ((0, 0), (41, 1)));
        let names: Vec<&[u8]> = producers.at(3).expect("the fourth").messages(1).map(|(name, _)| name).collect();
        assert_eq!(names, [&[13], &[23], &[33]]);
        let mut garbage = producers.set_retention(other).expect("it is another one");
        let mut steps = 0;
        while garbage.reclaim_step(3) {
            steps += 1;
        }
        assert_eq!((steps > 10, garbage.tracked(2)), (true, (0, 0)));
    }
}
