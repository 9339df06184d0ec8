//! Records and the keyspace against simple models: whatever is done to them, in whatever order.

use std::collections::HashMap;

use bytes::Bytes;
use oneloop::collections::hash::HashSeed;
use oneloop::collections::heap;
use oneloop::collections::key_hash::KeyHasher;
use oneloop::collections::key_slot::{SLOTS, key_slot};
use oneloop::collections::table::Pinned;
use oneloop::config::MaxmemoryPolicy;
use oneloop::keyspace::{Expiry, Keyspace, NewValue, Record, Value};
use proptest::prelude::*;

/// A value to put in.
#[derive(Clone, Debug, PartialEq)]
enum Content {
    Integer(i64),
    Embedded(Vec<u8>),
    Raw(Vec<u8>),
    Large(Vec<u8>),
}

impl Content {
    fn new_value(&self) -> NewValue<'_> {
        match self {
            Content::Integer(number) => NewValue::Integer(*number),
            Content::Embedded(text) => NewValue::Embedded(text),
            Content::Raw(text) => NewValue::Raw(text),
            Content::Large(text) => NewValue::Large(Bytes::copy_from_slice(text)),
        }
    }

    fn of(value: Value<'_>) -> Content {
        match value {
            Value::Integer(number) => Content::Integer(number),
            Value::Embedded(text) => Content::Embedded(text.to_vec()),
            Value::Raw(text) => Content::Raw(text.to_vec()),
            Value::Large(bytes) => Content::Large(bytes.to_vec()),
            other => panic!("not a string: {other:?}"),
        }
    }
}

/// Lengths around which the layout of a record changes.
fn length(max: usize) -> impl Strategy<Value = usize> {
    prop_oneof![0..70usize, 250..260usize, 0..=max].prop_map(move |length| length.min(max))
}

fn text(max: usize) -> impl Strategy<Value = Vec<u8>> {
    (any::<u8>(), length(max))
        .prop_map(|(first, length)| (0..length).map(|index| first.wrapping_add(index as u8)).collect())
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        any::<i64>().prop_map(Content::Integer),
        text(44).prop_map(Content::Embedded),
        text(8192).prop_map(Content::Raw),
        (8193..20_000usize).prop_map(|length| Content::Large(vec![7; length])),
    ]
}

fn expiry() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![Just(None), any::<i64>().prop_map(Some)]
}

/// What is done to a record.
#[derive(Clone, Debug)]
enum RecordStep {
    Overwrite(Content, Option<i64>),
    OverwriteExpiry(i64),
    Change(u8),
    SetAccess(u32),
    With(Vec<u8>, Option<i64>),
    Clone,
    DropClone,
}

fn record_step() -> impl Strategy<Value = RecordStep> {
    prop_oneof![
        4 => (content(), expiry()).prop_map(|(content, expiry)| RecordStep::Overwrite(content, expiry)),
        1 => any::<i64>().prop_map(RecordStep::OverwriteExpiry),
        1 => any::<u8>().prop_map(RecordStep::Change),
        1 => any::<u32>().prop_map(RecordStep::SetAccess),
        1 => (text(700), expiry()).prop_map(|(key, expiry)| RecordStep::With(key, expiry)),
        2 => Just(RecordStep::Clone),
        2 => Just(RecordStep::DropClone),
    ]
}

/// A record and what it should be.
struct Modelled {
    record: Record,
    key: Vec<u8>,
    content: Content,
    expiry_ms: Option<i64>,
}

impl Modelled {
    fn check(&self) {
        assert_eq!(self.record.key(), self.key);
        assert_eq!(Content::of(self.record.value()), self.content);
        assert_eq!(self.record.expiry_ms(), self.expiry_ms);
        assert_eq!(self.record.is_due(5), self.expiry_ms.is_some_and(|time_ms| time_ms < 5));
    }

    fn take(&self) -> Modelled {
        Modelled {
            record: self.record.clone(),
            key: self.key.clone(),
            content: self.content.clone(),
            expiry_ms: self.expiry_ms,
        }
    }

    fn overwrite(&mut self, content: &Content, expiry_ms: Option<i64>) -> bool {
        let new_value = content.new_value();
        let in_place = match self.record.overwrite(new_value, expiry_ms) {
            Ok(()) => true,
            Err(value) => {
                let access = self.record.access();
                self.record = Record::new(&self.key, value, expiry_ms, access);
                false
            }
        };
        self.content = content.clone();
        self.expiry_ms = expiry_ms;
        in_place
    }
}

/// Carries a step out; `sharers` are the clones that share the record of `current`.
fn step_record(current: &mut Modelled, clones: &mut Vec<Modelled>, sharers: &mut usize, step: RecordStep) {
    match step {
        RecordStep::Overwrite(content, expiry_ms) => {
            let in_place = current.overwrite(&content, expiry_ms);
            assert!(!(in_place && *sharers > 0), "a shared record does not change");
            *sharers = if in_place { *sharers } else { 0 };
        }
        RecordStep::OverwriteExpiry(time_ms) => {
            let done = current.record.overwrite_expiry(time_ms);
            assert_eq!(done, *sharers == 0 && current.expiry_ms.is_some());
            if done {
                current.expiry_ms = Some(time_ms);
            }
        }
        RecordStep::Change(byte) => {
            let raw = current.record.raw_mut();
            let is_raw = matches!(current.content, Content::Raw(_));
            assert_eq!(raw.is_some(), *sharers == 0 && is_raw);
            if let (Some([first, ..]), Content::Raw(text)) = (raw, &mut current.content) {
                (*first, text[0]) = (byte, byte);
            }
        }
        RecordStep::SetAccess(access) => {
            current.record.set_access(access);
            assert_eq!(current.record.access(), access & 0x0fff_ffff);
        }
        RecordStep::With(key, expiry_ms) => {
            let record = current.record.with(&key, expiry_ms);
            assert_eq!(record.access(), current.record.access());
            let content = current.content.clone();
            *current = Modelled { record, key, content, expiry_ms };
            *sharers = 0;
        }
        RecordStep::Clone => {
            clones.push(current.take());
            *sharers += 1;
        }
        RecordStep::DropClone => {
            if clones.pop().is_some() {
                *sharers = sharers.saturating_sub(1);
            }
        }
    }
    assert_eq!(current.record.references(), 1 + *sharers);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// The clones that share the current record are always the latest ones, so that popping one takes a sharer first.
    #[test]
    fn a_record_is_what_was_put_into_it(
        key in text(700),
        content in content(),
        expiry_ms in expiry(),
        steps in prop::collection::vec(record_step(), 0..40),
    ) {
        let before_bytes = heap::allocated_bytes();
        {
            let record = Record::new(&key, content.new_value(), expiry_ms, 0);
            let mut current = Modelled { record, key, content, expiry_ms };
            let (mut clones, mut sharers) = (Vec::new(), 0);
            for step in steps {
                step_record(&mut current, &mut clones, &mut sharers, step);
                current.check();
                clones.iter().for_each(Modelled::check);
            }
        }
        prop_assert_eq!(heap::allocated_bytes(), before_bytes, "all memory is given back");
    }
}

const DATABASES: usize = 3;
const START_MS: i64 = 1_000_000;

/// What is done to the keyspace; keys are small numbers.
#[derive(Clone, Debug)]
enum Step {
    Set { database: usize, key: u8, content: Content, expiry: Expiry },
    Remove { database: usize, key: u8 },
    SetExpiry { database: usize, key: u8, expiry_ms: Option<i64> },
    Rename { database: usize, from: u8, to: u8 },
    Copy { database: usize, from: u8, target: usize, to: u8 },
    Relocate { database: usize, target: usize, key: u8 },
    Look { database: usize, key: u8 },
    Flush { database: usize },
    Swap { first: usize, second: usize },
    Advance { duration_ms: i64 },
    Cycle,
    LazyFree,
    Shrink,
    Pin { database: usize },
    PinSlot { key: u8 },
    RemoveSlot { database: usize, key: u8, budget: usize },
    Evict,
    Fork { change: u8 },
}

fn small_content() -> impl Strategy<Value = Content> {
    prop_oneof![
        any::<i64>().prop_map(Content::Integer),
        text(44).prop_map(Content::Embedded),
        text(300).prop_map(Content::Raw),
        Just(Content::Large(vec![9; 9000])),
    ]
}

fn soon_ms() -> impl Strategy<Value = i64> {
    START_MS - 5..START_MS + 60
}

fn step() -> impl Strategy<Value = Step> {
    let database = 0..DATABASES;
    let key = any::<u8>;
    let expiry = prop_oneof![Just(Expiry::Clear), Just(Expiry::Keep), soon_ms().prop_map(Expiry::At)];
    prop_oneof![
        30 => (database.clone(), key(), small_content(), expiry)
            .prop_map(|(database, key, content, expiry)| Step::Set { database, key, content, expiry }),
        8 => (database.clone(), key()).prop_map(|(database, key)| Step::Remove { database, key }),
        8 => (database.clone(), key(), prop::option::of(soon_ms()))
            .prop_map(|(database, key, expiry_ms)| Step::SetExpiry { database, key, expiry_ms }),
        4 => (database.clone(), key(), key())
            .prop_map(|(database, from, to)| Step::Rename { database, from, to }),
        4 => (database.clone(), key(), database.clone(), key())
            .prop_map(|(database, from, target, to)| Step::Copy { database, from, target, to }),
        4 => (database.clone(), database.clone(), key())
            .prop_map(|(database, target, key)| Step::Relocate { database, target, key }),
        4 => (database.clone(), key()).prop_map(|(database, key)| Step::Look { database, key }),
        1 => database.clone().prop_map(|database| Step::Flush { database }),
        1 => (database.clone(), database.clone())
            .prop_map(|(first, second)| Step::Swap { first, second }),
        4 => (0..4i64).prop_map(|duration_ms| Step::Advance { duration_ms }),
        2 => Just(Step::Cycle),
        1 => Just(Step::LazyFree),
        1 => Just(Step::Shrink),
        2 => database.clone().prop_map(|database| Step::Pin { database }),
        1 => key().prop_map(|key| Step::PinSlot { key }),
        1 => (database, key(), 1..9usize)
            .prop_map(|(database, key, budget)| Step::RemoveSlot { database, key, budget }),
        1 => Just(Step::Evict),
        1 => key().prop_map(|change| Step::Fork { change }),
    ]
}

type Contents = HashMap<Vec<u8>, (Content, Option<i64>)>;

/// The keyspace, what it should hold, and versions pinned along the way with what they should hold.
struct World {
    keyspace: Keyspace,
    model: Vec<Contents>,
    pinned: Vec<(Pinned<Record>, Contents)>,
}

/// Keys of different lengths, some of them beyond a byte's worth, some of them with a hash tag.
fn name(key: u8) -> Vec<u8> {
    let filling = if key.is_multiple_of(16) { 260 } else { usize::from(key % 16) };
    let tag = ["", "{a}", "", "{b}"][usize::from(key % 4)];
    format!("{key}{tag}{}", "-".repeat(filling)).into_bytes()
}

impl World {
    fn new(is_by_slot: bool) -> World {
        let seed = HashSeed::from_seed(11);
        let hasher = if is_by_slot { KeyHasher::by_slot(seed) } else { KeyHasher::from(seed) };
        let mut keyspace = Keyspace::new(DATABASES, hasher);
        keyspace.set_eviction(MaxmemoryPolicy::AllkeysRandom, 5);
        keyspace.now_ms = START_MS;
        World { keyspace, model: vec![Contents::new(); DATABASES], pinned: Vec::new() }
    }

    /// Forgets a key of the model whose time is over; tells whether there is one that lives.
    fn lives(&mut self, database: usize, key: &[u8]) -> bool {
        let now_ms = self.keyspace.now_ms;
        let model = &mut self.model[database];
        if model.get(key).is_some_and(|(_, expiry_ms)| expiry_ms.is_some_and(|time_ms| time_ms < now_ms)) {
            model.remove(key);
        }
        model.contains_key(key)
    }

    fn set(&mut self, database: usize, key: &[u8], content: Content, expiry: Expiry) {
        self.keyspace.set(database, key, content.new_value(), expiry);
        self.lives(database, key);
        let before_ms = self.model[database].get(key).and_then(|(_, expiry_ms)| *expiry_ms);
        let expiry_ms = match expiry {
            Expiry::Clear => None,
            Expiry::Keep => before_ms,
            Expiry::At(time_ms) => Some(time_ms),
        };
        self.model[database].insert(key.to_vec(), (content, expiry_ms));
    }

    /// The moves between keys, which want both ends looked up before.
    fn transfer(&mut self, step: &Step) {
        let (database, from, target, to) = match *step {
            Step::Rename { database, from, to } => (database, from, database, to),
            Step::Copy { database, from, target, to } => (database, from, target, to),
            Step::Relocate { database, target, key } => (database, key, target, key),
            _ => return,
        };
        let (from, to) = (name(from), name(to));
        let found = self.keyspace.lookup(database, &from).is_some();
        assert_eq!(found, self.lives(database, &from));
        let occupied = self.keyspace.lookup(target, &to).is_some();
        assert_eq!(occupied, self.lives(target, &to));
        if !found || (database == target && from == to) {
            return;
        }
        let entry = self.model[database][&from].clone();
        match step {
            Step::Rename { .. } => self.keyspace.rename(database, &from, &to),
            Step::Copy { .. } => self.keyspace.copy(database, &from, target, &to),
            _ if occupied => return,
            _ => self.keyspace.relocate(database, target, &from),
        }
        if !matches!(step, Step::Copy { .. }) {
            self.model[database].remove(&from);
        }
        self.model[target].insert(to, entry);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Set { database, key, content, expiry } => {
                self.set(database, &name(key), content, expiry);
            }
            Step::Remove { database, key } => {
                let key = name(key);
                let lives = self.lives(database, &key);
                assert_eq!(self.keyspace.remove(database, &key), lives);
                self.model[database].remove(&key);
            }
            Step::SetExpiry { database, key, expiry_ms } => {
                let key = name(key);
                let lives = self.lives(database, &key);
                assert_eq!(self.keyspace.set_expiry(database, &key, expiry_ms), lives);
                if let Some(entry) = self.model[database].get_mut(&key) {
                    entry.1 = expiry_ms;
                }
            }
            Step::Look { database, key } => {
                let key = name(key);
                self.lives(database, &key);
                let expected = self.model[database].get(&key).cloned();
                let shown = |record: &Record| (Content::of(record.value()), record.expiry_ms());
                assert_eq!(self.keyspace.read(database, &key).map(shown), expected);
                assert_eq!(self.keyspace.peek(database, &key).map(shown), expected);
            }
            Step::Flush { database } => {
                self.keyspace.flush(database);
                self.model[database].clear();
            }
            Step::Swap { first, second } => {
                self.keyspace.swap(first, second);
                self.model.swap(first, second);
            }
            Step::Advance { duration_ms } => self.keyspace.now_ms += duration_ms,
            Step::Cycle => {
                self.keyspace.expire_cycle(10, || false);
            }
            Step::LazyFree => {
                self.keyspace.reclaim_step(50);
            }
            Step::Shrink => {
                self.keyspace.shrink_step(50);
            }
            Step::Pin { database } => self.pin(database),
            Step::PinSlot { key } => self.pin_slot(key_slot(&name(key))),
            Step::RemoveSlot { database, key, budget } => self.remove_slot(database, key_slot(&name(key)), budget),
            Step::Evict => self.evict(),
            Step::Fork { change } => self.fork(change),
            transfer => self.transfer(&transfer),
        }
    }

    /// A version holds what is there at the time, expired or not.
    fn pin(&mut self, database: usize) {
        let contents = self.present(database);
        self.pinned.push((self.keyspace.database(database).pin(), contents));
    }

    /// A version of a slot holds what is there at the time in any database.
    fn pin_slot(&mut self, slot: u16) {
        for database in 0..DATABASES {
            let mut contents = self.present(database);
            contents.retain(|key, _| self.keyspace.hasher().is_by_slot() && key_slot(key) == slot);
            if !contents.is_empty() {
                self.pinned.push((self.keyspace.database(database).pin_slot(slot), contents));
            }
        }
    }

    /// Removes all keys of a slot, in pieces.
    fn remove_slot(&mut self, database: usize, slot: u16, budget: usize) {
        if !self.keyspace.hasher().is_by_slot() {
            return;
        }
        let now_ms = self.keyspace.now_ms;
        let (mut removed, mut cursor) = (Vec::new(), 0);
        loop {
            let note = |key: &[u8]| removed.push(key.to_vec());
            cursor = self.keyspace.remove_some_of_slot(database, slot, cursor, budget, note);
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(self.keyspace.database(database).count_in_slot(slot), 0);
        let model = &mut self.model[database];
        let gone: Vec<Vec<u8>> = model.keys().filter(|key| key_slot(key) == slot).cloned().collect();
        let mut lived = Vec::new();
        for key in gone {
            let (_, expiry_ms) = &model[&key];
            lived.extend(expiry_ms.is_none_or(|time_ms| time_ms >= now_ms).then(|| key.clone()));
            model.remove(&key);
        }
        lived.sort_unstable();
        removed.sort_unstable();
        assert_eq!(removed, lived);
    }

    /// Has a key evicted, whichever it is.
    fn evict(&mut self) {
        let before: Vec<Contents> = (0..DATABASES).map(|database| self.present(database)).collect();
        assert_eq!(self.keyspace.evict(), before.iter().any(|contents| !contents.is_empty()));
        let mut evicted = 0;
        for (database, before) in before.into_iter().enumerate() {
            let after = self.present(database);
            for key in before.into_keys().filter(|key| !after.contains_key(key)) {
                self.model[database].remove(&key);
                evicted += 1;
            }
        }
        assert!(evicted <= 1);
    }

    /// Changes a copy, which is then forgotten or takes the place of the original.
    fn fork(&mut self, change: u8) {
        let mut fork = self.keyspace.fork();
        let model = self.model.clone();
        self.keyspace.enter_branch(&mut fork);
        for key in change..change.saturating_add(20) {
            self.set(0, &name(key), Content::Integer(1), Expiry::Clear);
            self.run(Step::Remove { database: 0, key: key.wrapping_mul(7) });
        }
        self.check();
        if change.is_multiple_of(2) {
            self.keyspace.leave_branch(&mut fork);
            self.keyspace.drop_branch(fork);
            self.model = model;
        } else {
            let mut original = self.keyspace.fork_empty();
            self.keyspace.drop_branch(fork);
            self.keyspace.enter_branch(&mut original);
            self.keyspace.leave_branch(&mut original);
            self.keyspace.drop_branch(original);
        }
    }

    /// The counts of all slots, and all that is known of some of them.
    fn check_slots(&self, database: usize, present: &Contents) {
        let space = self.keyspace.database(database);
        let is_by_slot = self.keyspace.hasher().is_by_slot();
        let mut slots: HashMap<u16, Vec<&[u8]>> = HashMap::new();
        for key in present.keys().filter(|_| is_by_slot) {
            slots.entry(key_slot(key)).or_default().push(key);
        }
        for slot in 0..SLOTS {
            assert_eq!(space.count_in_slot(slot), slots.get(&slot).map_or(0, Vec::len), "slot {slot}");
        }
        for (slot, mut expected) in slots {
            let mut keys = space.keys_in_slot(slot, usize::MAX);
            keys.sort_unstable();
            expected.sort_unstable();
            assert_eq!(keys, expected);
            let volatile = expected.iter().filter(|key| present[**key].1.is_some()).count();
            assert_eq!(space.volatile_in_slot(slot), volatile);
        }
    }

    /// All that is in a database, found by a walk.
    fn present(&self, database: usize) -> Contents {
        let mut contents = Contents::new();
        let mut cursor = 0;
        loop {
            cursor = self.keyspace.scan(database, cursor, |record| {
                let entry = (Content::of(record.value()), record.expiry_ms());
                assert!(contents.insert(record.key().to_vec(), entry).is_none(), "shown once");
            });
            if cursor == 0 {
                return contents;
            }
        }
    }

    fn check(&self) {
        let now_ms = self.keyspace.now_ms;
        let lives = |entry: &(Content, Option<i64>)| entry.1.is_none_or(|time_ms| time_ms >= now_ms);
        for database in 0..DATABASES {
            let present = self.present(database);
            let space = self.keyspace.database(database);
            assert_eq!(present.len(), space.len());
            let volatile = present.values().filter(|entry| entry.1.is_some()).count();
            assert_eq!(volatile, space.volatile_len());
            self.check_slots(database, &present);
            let living: Contents = present.into_iter().filter(|(_, entry)| lives(entry)).collect();
            let mut expected = self.model[database].clone();
            expected.retain(|_, entry| lives(entry));
            assert_eq!(living, expected);
        }
    }

    fn check_pinned(&mut self) {
        for (mut version, expected) in self.pinned.drain(..) {
            let mut seen = Contents::new();
            while version.next_segment(|record| {
                let entry = (Content::of(record.value()), record.expiry_ms());
                seen.insert(record.key().to_vec(), entry);
            }) {}
            assert_eq!(seen, expected, "a pinned version does not change");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_keyspace_holds_what_was_put_into_it(is_by_slot: bool, steps in prop::collection::vec(step(), 0..600)) {
        let before_bytes = heap::allocated_bytes();
        {
            let mut world = World::new(is_by_slot);
            for (index, step) in steps.into_iter().enumerate() {
                world.run(step);
                if index % 50 == 0 {
                    world.check();
                }
            }
            world.check();
            world.check_pinned();
        }
        prop_assert_eq!(heap::allocated_bytes(), before_bytes, "all memory is given back");
    }
}

mod packed_values {
    //! Packed values changed in place, shared, moved and expiring, against plain buffers.

    use oneloop::collections::packed::Packed;
    use oneloop::keyspace::{Keyspace, Value};
    use oneloop::types::slot::{OwnedValue, PackedForm};
    use proptest::prelude::*;

    use super::*;

    fn packed(keyspace: &mut Keyspace, key: &[u8]) -> Vec<u8> {
        match keyspace.peek(0, key).expect("the key is there").value() {
            Value::Packed(PackedForm::List, bytes) => bytes.to_vec(),
            other => panic!("not packed: {other:?}"),
        }
    }

    proptest! {
        #[test]
        fn splices_are_those_of_a_buffer(
            steps in prop::collection::vec((any::<u16>(), any::<u16>(), prop::collection::vec(any::<u8>(), 0..300), 0..6u8), 1..60)
        ) {
            let mut keyspace = Keyspace::new(1, HashSeed::from_seed(7));
            let mut model: Vec<u8> = vec![0; 20];
            keyspace.create(0, b"k", OwnedValue::Packed(PackedForm::List, model.clone()));
            let mut copy_model = None;
            for (start, length, with, action) in steps {
                match action {
                    0 => {
                        keyspace.copy(0, b"k", 0, b"copy");
                        copy_model = Some(model.clone());
                    }
                    1 => {
                        keyspace.set_expiry(0, b"k", Some(1000));
                    }
                    2 => {
                        keyspace.set_expiry(0, b"k", None);
                    }
                    _ => {
                        let start = start as usize % (model.len() + 1);
                        let end = start + length as usize % (model.len() - start + 1);
                        let mut value = keyspace.edit(0, b"k").expect("the key is there");
                        value.splice(start..end, &with);
                        Packed::splice(&mut model, start..end, &with);
                        if let Some(byte) = value.bytes_mut().first_mut() {
                            *byte = 7;
                            model[0] = 7;
                        }
                    }
                }
                prop_assert_eq!(&packed(&mut keyspace, b"k"), &model);
                if let Some(copy) = &copy_model {
                    prop_assert_eq!(&packed(&mut keyspace, b"copy"), copy);
                }
            }
            keyspace.set_expiry(0, b"k", Some(10));
            keyspace.now_ms = 1000;
            prop_assert!(keyspace.edit(0, b"k").is_none());
        }
    }
}
