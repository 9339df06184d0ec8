//! Tests of the table as a whole, against the standard library's map.

use super::{Entry, Pinned, Slot, Table};
use crate::collections::hash::HashSeed;
use crate::collections::heap;
use crate::collections::key_hash::KeyHasher;
use crate::collections::key_slot::{SLOTS, key_slot};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

struct Payload {
    key: [u8; 8],
    value: u32,
}

impl Drop for Payload {
    fn drop(&mut self) {
        LIVE.set(LIVE.get() - 1);
    }
}

/// An entry that counts how many allocations are alive.
#[derive(Clone)]
pub(super) struct Item(Rc<Payload>);

impl Item {
    pub(super) fn new(key: u32, value: u32) -> Item {
        LIVE.set(LIVE.get() + 1);
        Item(Rc::new(Payload { key: key_of(key), value }))
    }

    pub(super) fn pair(&self) -> (u32, u32) {
        (number_of(&self.0.key), self.0.value)
    }
}

/// The key of a number. Every other one has one of two hash tags.
pub(super) fn key_of(number: u32) -> [u8; 8] {
    let tag = [b"{a}-", b"----", b"{b}-", b"----"][number as usize % 4];
    let mut key = [0; 8];
    key[..4].copy_from_slice(tag);
    key[4..].copy_from_slice(&number.to_be_bytes());
    key
}

fn number_of(key: &[u8; 8]) -> u32 {
    u32::from_be_bytes([key[4], key[5], key[6], key[7]])
}

impl Entry for Item {
    const ARE_KEYS: bool = true;

    fn key(&self) -> &[u8] {
        &self.0.key
    }

    fn address(&self) -> *const u8 {
        (&raw const *self.0).cast()
    }
}

type Model = HashMap<u32, u32>;

fn table() -> Table<Item> {
    Table::new(HashSeed::from_seed(42))
}

pub(super) fn table_by_slot() -> Table<Item> {
    Table::of_keys(&KeyHasher::by_slot(HashSeed::from_seed(42)))
}

pub(super) fn set(table: &mut Table<Item>, key: u32, value: u32) {
    let bytes = key_of(key);
    let hash = table.hash(&bytes);
    match table.entry(hash, &bytes) {
        Slot::Occupied(entry) => *entry = Item::new(key, value),
        Slot::Vacant(vacant) => vacant.insert(Item::new(key, value)),
    }
}

fn get(table: &Table<Item>, key: u32) -> Option<u32> {
    let bytes = key_of(key);
    Some(table.get(table.hash(&bytes), &bytes)?.pair().1)
}

pub(super) fn remove(table: &mut Table<Item>, key: u32) -> Option<u32> {
    let bytes = key_of(key);
    let hash = table.hash(&bytes);
    Some(table.remove(hash, &bytes)?.pair().1)
}

fn filled(keys: std::ops::Range<u32>) -> Table<Item> {
    filled_with(table(), keys)
}

pub(super) fn filled_with(mut table: Table<Item>, keys: std::ops::Range<u32>) -> Table<Item> {
    keys.for_each(|key| set(&mut table, key, key));
    table
}

fn contents(table: &Table<Item>) -> Model {
    let pairs: Vec<_> = table.iter().map(Item::pair).collect();
    assert_eq!(pairs.len(), table.len());
    pairs.into_iter().collect()
}

fn pinned_contents(mut pinned: Pinned<Item>) -> Model {
    let mut model = Model::new();
    while pinned.next_segment(|item| assert!(model.insert(item.pair().0, item.pair().1).is_none())) {}
    assert_eq!(model.len(), pinned.len());
    model
}

fn full_scan(table: &Table<Item>) -> Vec<u32> {
    let mut seen = Vec::new();
    let mut cursor = 0;
    loop {
        cursor = table.scan(cursor, |item| seen.push(item.pair().0));
        if cursor == 0 {
            return seen;
        }
    }
}

fn settled(table: &Table<Item>, model: &Model) {
    assert_eq!(table.len(), model.len());
    check_slots(table, model);
    assert_eq!(&contents(table), model);
    let mut seen = full_scan(table);
    seen.sort_unstable();
    let mut keys: Vec<u32> = model.keys().copied().collect();
    keys.sort_unstable();
    assert_eq!(seen, keys, "a scan of an unchanging table shows each entry once");
}

/// The counts of all slots; of some all that is known of a slot.
fn check_slots(table: &Table<Item>, model: &Model) {
    let mut slots: HashMap<u16, Vec<u32>> = HashMap::new();
    if table.slots().is_some() {
        for number in model.keys() {
            slots.entry(key_slot(&key_of(*number))).or_default().push(*number);
        }
    }
    // All of them take Miri minutes.
    let step = if cfg!(miri) { 997 } else { 1 };
    for slot in (0..SLOTS).step_by(step).chain(slots.keys().copied()) {
        assert_eq!(table.count_in_slot(slot), slots.get(&slot).map_or(0, Vec::len));
    }
    let hot = slots.keys().copied().max_by_key(|slot| slots[slot].len()).unwrap_or(0);
    for (slot, numbers) in
        slots.iter().enumerate().filter(|(index, (slot, _))| *index < 5 || **slot == hot).map(|(_, one)| one)
    {
        let (slot, mut expected) = (*slot, numbers.clone());
        expected.sort_unstable();
        assert_eq!(sorted(table.first_of_slot(slot, usize::MAX).into_iter()), expected);
        assert_eq!(table.first_of_slot(slot, 3).len(), expected.len().min(3));
        let mut shown = Vec::new();
        let mut cursor = 0;
        loop {
            cursor = table.scan_slot(slot, cursor, |item| shown.push(item));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(sorted(shown.into_iter()), expected, "an unchanging table shows each entry once");
    }
}

pub(super) fn sorted<'a>(items: impl Iterator<Item = &'a Item>) -> Vec<u32> {
    let mut numbers: Vec<u32> = items.map(|item| item.pair().0).collect();
    numbers.sort_unstable();
    numbers
}

#[derive(Clone, Debug)]
enum Step {
    Set { first: u32, count: u32, value: u32 },
    Remove { first: u32, count: u32 },
    Pin,
    PinSlot { key: u32 },
    Fork,
    CheckOldest,
    ReleaseOldest { entries: usize },
    Shrink { budget: usize },
    Take,
    Random { seed: u64 },
}

fn steps(keys: u32) -> impl Strategy<Value = Vec<Step>> {
    let run = move || (0..keys, prop_oneof![1..8u32, 1..keys / 4]);
    let step = prop_oneof![
        8 => (run(), any::<u32>()).prop_map(|((first, count), value)| Step::Set { first, count, value }),
        6 => run().prop_map(|(first, count)| Step::Remove { first, count }),
        3 => Just(Step::Pin),
        2 => (0..keys).prop_map(|key| Step::PinSlot { key }),
        1 => Just(Step::Fork),
        3 => Just(Step::CheckOldest),
        2 => (0..2000usize).prop_map(|entries| Step::ReleaseOldest { entries }),
        3 => (1..3000usize).prop_map(|budget| Step::Shrink { budget }),
        1 => Just(Step::Take),
        1 => any::<u64>().prop_map(|seed| Step::Random { seed }),
    ];
    prop::collection::vec(step, 1..40)
}

/// A table, what it should hold, and its pinned versions.
struct World {
    table: Table<Item>,
    model: Model,
    pinned: Vec<(Pinned<Item>, Model)>,
    forks: Vec<(Table<Item>, Model)>,
}

impl World {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Set { first, count, value } => {
                for key in first..first + count {
                    set(&mut self.table, key, value);
                    self.model.insert(key, value);
                }
            }
            Step::Remove { first, count } => {
                for key in first..first + count {
                    assert_eq!(get(&self.table, key), self.model.get(&key).copied());
                    assert_eq!(remove(&mut self.table, key), self.model.remove(&key));
                }
            }
            Step::Pin => self.pinned.push((self.table.pin(), self.model.clone())),
            Step::PinSlot { key } => {
                let slot = key_slot(&key_of(key));
                let mut model = self.model.clone();
                let is_by_slot = self.table.slots().is_some();
                model.retain(|number, _| is_by_slot && key_slot(&key_of(*number)) == slot);
                if is_by_slot {
                    self.pinned.push((self.table.pin_slot(slot), model));
                }
            }
            Step::Fork => {
                let fork = self.table.fork();
                let old = std::mem::replace(&mut self.table, fork);
                self.forks.push((old, self.model.clone()));
            }
            Step::CheckOldest if !self.pinned.is_empty() => {
                let (pinned, model) = self.pinned.remove(0);
                assert_eq!(pinned_contents(pinned), model);
            }
            Step::ReleaseOldest { entries } if !self.pinned.is_empty() => {
                if !self.pinned[0].0.release_step(entries) {
                    self.pinned.remove(0);
                }
            }
            Step::Shrink { budget } => {
                self.table.shrink_step(budget);
            }
            Step::Take => {
                let mut reclaim = self.table.take();
                self.model.clear();
                reclaim.step(100);
            }
            Step::Random { seed } => {
                let picked = self.table.random(&mut fastrand::Rng::with_seed(seed));
                assert_eq!(picked.is_none(), self.model.is_empty());
                assert!(picked.is_none_or(|item| self.model[&item.pair().0] == item.pair().1));
            }
            Step::CheckOldest | Step::ReleaseOldest { .. } => {}
        }
    }
}

#[test]
fn a_table_of_many_entries_at_once_is_like_one_grown() {
    let more = if cfg!(miri) { 50 } else { 1000 };
    for count in [0, 1, 7, 449, 30_000].into_iter().filter(|count| !cfg!(miri) || *count < 400) {
        let seed = HashSeed::from_seed(11);
        let entries = (0..count).map(|key: u32| (seed.hash(&key_of(key)), Item::new(key, 1)));
        let mut table = Table::from_distinct(entries.collect(), seed);
        assert_eq!((table.len(), table.iter().count()), (count as usize, count as usize));
        for key in 0..count {
            let key = key_of(key);
            assert!(table.get(table.hash(&key), &key).is_some());
        }
        assert!(table.memory_bytes() <= 64 + 128 + 13 * count as usize, "{}", table.memory_bytes());
        for key in count..count + more {
            let hash = table.hash(&key_of(key));
            table.insert(hash, Item::new(key, 2));
        }
        assert_eq!(table.iter().count(), (count + more) as usize);
    }
    assert_eq!(LIVE.get(), 0);
}

/// Miri takes a second for some hundred operations.
const CASES: u32 = if cfg!(miri) { 3 } else { 48 };
const KEYS: u32 = if cfg!(miri) { 20 } else { 6000 };
const DEEP: u32 = if cfg!(miri) { 150 } else { 100_000 };

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, rng_seed: RngSeed::Fixed(21), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_map_with_versions(is_by_slot: bool, steps in prop_oneof![steps(60.min(KEYS)), steps(KEYS)]) {
        let (live, blocks) = (LIVE.get(), heap::allocated_bytes());
        let table = if is_by_slot { table_by_slot() } else { table() };
        let mut world = World { table, model: Model::new(), pinned: Vec::new(), forks: Vec::new() };
        for step in steps {
            let partly_released = matches!(step, Step::ReleaseOldest { .. });
            world.apply(step);
            if partly_released && !world.pinned.is_empty() {
                world.pinned.remove(0);
            }
        }
        settled(&world.table, &world.model);
        for (pinned, model) in world.pinned {
            assert_eq!(pinned_contents(pinned), model);
        }
        for (fork, model) in world.forks {
            settled(&fork, &model);
        }
        drop(world.table);
        prop_assert_eq!(LIVE.get(), live, "every entry is freed once");
        prop_assert_eq!(heap::allocated_bytes(), blocks, "every block is freed once");
    }

    #[test]
    fn scan_misses_nothing_that_stays(
        is_by_slot: bool,
        one_slot: bool,
        stay in 1..KEYS / 4,
        changes in prop::collection::vec((0..4u8, 0..KEYS, 1..KEYS / 2, 1..40usize), 1..30),
    ) {
        const FIRST_OTHER: u32 = 10_000;
        let mut table = filled_with(if is_by_slot { table_by_slot() } else { table() }, 0..stay);
        let slot = Some(key_slot(&key_of(0))).filter(|_| is_by_slot && one_slot);
        let scan = |table: &Table<Item>, cursor, seen: &mut HashSet<u32>| match slot {
            Some(slot) => table.scan_slot(slot, cursor, |item| _ = seen.insert(item.pair().0)),
            None => table.scan(cursor, |item| _ = seen.insert(item.pair().0)),
        };
        let mut seen = HashSet::new();
        let mut cursor = 0;
        'walk: for (kind, first, count, scans) in changes {
            for key in FIRST_OTHER + first..FIRST_OTHER + first + count {
                match kind {
                    0 | 1 => set(&mut table, key, 0),
                    _ => drop(remove(&mut table, key)),
                }
            }
            while kind == 3 && table.shrink_step(1000) {}
            for _ in 0..scans {
                cursor = scan(&table, cursor, &mut seen);
                if cursor == 0 {
                    break 'walk;
                }
            }
        }
        while cursor != 0 {
            cursor = scan(&table, cursor, &mut seen);
        }
        let is_meant = |key: u32| slot.is_none_or(|slot| key_slot(&key_of(key)) == slot);
        prop_assert!((0..stay).all(|key| !is_meant(key) || seen.contains(&key)));
        prop_assert!(seen.iter().all(|key| is_meant(*key)));
    }
}

#[test]
fn an_empty_table_answers_everything() {
    let mut table = table();
    assert_eq!(table.memory_bytes(), 0);
    assert_eq!(table.scan(0, |_| panic!("nothing to show")), 0);
    assert!(table.random(&mut fastrand::Rng::with_seed(1)).is_none());
    assert_eq!(remove(&mut table, 1), None);
    assert!(!table.shrink_step(10));
    assert!(pinned_contents(table.pin()).is_empty());
    table.prefetch_bucket(1);
    table.prefetch_entry(1);
    assert!(!table.take().step(10));
}

#[test]
fn small_tables_are_small() {
    assert!(filled(0..3).memory_bytes() <= 128);
    let bytes = filled(0..130).memory_bytes();
    assert!(bytes <= 130 * 16, "{bytes}");
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri hours")]
fn memory_per_entry_stays_even_as_the_table_grows() {
    let mut table = filled(0..100_000);
    let (mut least, mut most, mut sum, mut count) = (f64::MAX, 0.0_f64, 0.0, 0.0);
    for key in 100_000..400_000 {
        set(&mut table, key, 0);
        if key % 1000 == 0 {
            let bytes = table.memory_bytes() as f64 / table.len() as f64;
            (least, most) = (least.min(bytes), most.max(bytes));
            (sum, count) = (sum + bytes, count + 1.0);
        }
    }
    let average = sum / count;
    assert!(average < 13.5, "{average}");
    assert!(most < 14.0 && most / least < 1.08, "{least} {most}");
    assert!(!table.needs_shrink());
    // The entries of this test lie elsewhere, so the heap of this thread holds the table alone.
    let (counted, real) = (table.memory_bytes(), heap::allocated_bytes());
    assert!(counted <= real && real <= counted + counted / 100, "{counted} {real}");
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri hours")]
fn shrinking_ends_and_gives_memory_back() {
    let mut table = filled(0..60_000);
    for keep in [20_000, 500, 3, 0] {
        for key in keep..60_000 {
            remove(&mut table, key);
        }
        let mut calls = 0;
        while table.shrink_step(500) {
            calls += 1;
            assert!(calls < 5000);
        }
        while table.needs_shrink() {
            table.shrink_step(usize::MAX);
            calls += 1;
            assert!(calls < 5000);
        }
        assert!(table.memory_bytes() <= 512 + keep as usize * 26);
        settled(&table, &(0..keep).map(|key| (key, key)).collect());
    }
    assert!(table.memory_bytes() <= 512);
}

#[test]
fn a_pinned_version_of_a_deep_table_stays_as_it_was() {
    let live = LIVE.get();
    let mut table = filled(0..3 * DEEP);
    let pinned = table.pin();
    for key in 0..DEEP {
        set(&mut table, key * 3, 7);
    }
    for key in 3 * DEEP..4 * DEEP {
        set(&mut table, key, 7);
    }
    let second = table.pin();
    for key in DEEP..4 * DEEP {
        remove(&mut table, key);
    }
    while table.shrink_step(1000) {}
    assert_eq!(pinned_contents(pinned), (0..3 * DEEP).map(|key| (key, key)).collect());
    assert_eq!(second.len(), 4 * DEEP as usize);
    let mut reclaim = table.take();
    set(&mut table, 1, 1);
    drop(second);
    while reclaim.step(1000) {}
    assert_eq!(LIVE.get(), live + 1);
}

#[test]
fn an_unshared_entry_is_changed_in_place_and_a_shared_one_is_not() {
    let mut table = filled(0..DEEP / 100 + 6);
    let bytes = key_of(5);
    let hash = table.hash(&bytes);
    let pinned = table.pin();
    assert_eq!(table.get_mut(hash, &bytes).map(|item| Rc::strong_count(&item.0)), Some(2));
    drop(pinned);
    assert_eq!(table.get_mut(hash, &bytes).map(|item| Rc::strong_count(&item.0)), Some(1));
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri hours")]
fn random_picks_are_fair() {
    let table = filled(0..3000);
    let mut random = fastrand::Rng::with_seed(3);
    let mut picks = vec![0u32; 3000];
    for _ in 0..300_000 {
        let key = table.random(&mut random).map(|item| item.pair().0);
        picks[key.unwrap_or(0) as usize] += 1;
    }
    let squares: f64 = picks.iter().map(|&count| (f64::from(count) - 100.0).powi(2) / 100.0).sum();
    // Chi-square with 2999 degrees of freedom: 3000 ± 77.
    assert!(squares < 3400.0, "{squares}");
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri hours")]
fn random_picks_from_a_sparse_table_end() {
    let mut table = filled(0..20_000);
    for key in 2..20_000 {
        remove(&mut table, key);
    }
    let mut random = fastrand::Rng::with_seed(3);
    let picked: HashSet<_> = (0..300).filter_map(|_| Some(table.random(&mut random)?.pair().0)).collect();
    assert_eq!(picked, HashSet::from([0, 1]));
}

#[test]
fn random_entries_are_taken_out_of_one_version_only() {
    let mut first = table();
    for key in 0..DEEP / 20 {
        let item = Item::new(key, key);
        first.insert(first.hash(item.key()), item);
    }
    let second = first.fork();
    let mut random = fastrand::Rng::with_seed(8);
    let mut taken = HashSet::new();
    while let Some(item) = first.take_random(&mut random) {
        let (key, _) = item.pair();
        assert!(taken.insert(key));
        assert!(first.get(first.hash(item.key()), item.key()).is_none());
        if taken.len() % 7 == 0 && first.needs_shrink() {
            first.shrink_step(64);
        }
    }
    let count = (DEEP / 20) as usize;
    assert_eq!((taken.len(), first.len(), second.len()), (count, 0, count));
    let left: HashSet<u32> = second.iter().map(|item| item.pair().0).collect();
    assert_eq!(left, taken);
}

/// Whatever was expected, everything is found; where it was right, no more memory is taken than without.
#[test]
#[cfg_attr(miri, ignore = "takes Miri hours")]
fn a_table_may_know_how_large_it_becomes() {
    const ENTRIES: usize = 50_000;
    let grow = |expected: usize| {
        let mut table = table();
        table.presize(expected);
        for key in 0..ENTRIES as u32 {
            let hash = table.hash(&key_of(key));
            table.insert(hash, Item::new(key, key));
        }
        for key in 0..ENTRIES as u32 {
            let key = key_of(key);
            assert!(table.get(table.hash(&key), &key).is_some());
        }
        table.memory_bytes()
    };
    let by_itself = grow(0);
    for (expected, share_max) in [(ENTRIES, 1.1), (ENTRIES / 10, 1.1), (ENTRIES * 8, 9.0)] {
        let bytes = grow(expected);
        assert!(
            (bytes as f64) < by_itself as f64 * share_max,
            "{bytes} bytes with {expected} expected, {by_itself} by itself"
        );
    }
}
