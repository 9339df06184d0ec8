//! Tests of tables by slot: what chance does where one slot is hot, how evenly they grow, what a pinned slot costs.

use super::tests::{Item, filled_with, key_of, remove, set, sorted, table_by_slot};
use super::{Entry, Table, copied_bytes};
use crate::collections::key_slot::{SLOTS, key_slot};
use std::collections::BTreeMap;

/// The slot of every fourth key.
fn hot_slot() -> u16 {
    key_slot(&key_of(0))
}

/// Chi-square of so many draws from as many items, each of which should come as often.
fn chi_square(counts: impl Iterator<Item = u32>, mean: f64) -> f64 {
    counts.map(|count| (f64::from(count) - mean).powi(2) / mean).sum()
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri hours")]
fn random_picks_are_fair_where_slots_are_hot() {
    let table = filled_with(table_by_slot(), 0..6000);
    let mut random = fastrand::Rng::with_seed(3);
    let mut picks = vec![0u32; 6000];
    for _ in 0..600_000 {
        let key = table.random(&mut random).map(|item| item.pair().0);
        picks[key.unwrap_or(0) as usize] += 1;
    }
    // Chi-square with 5999 degrees of freedom: 6000 ± 110.
    let squares = chi_square(picks.into_iter(), 100.0);
    assert!(squares < 6500.0, "{squares}");
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri hours")]
fn random_picks_are_fair_where_one_slot_has_nearly_all() {
    let mut table = table_by_slot();
    (0..40_000).step_by(4).chain((1..400).step_by(4)).for_each(|key| set(&mut table, key, key));
    let mut random = fastrand::Rng::with_seed(4);
    let mut picks: BTreeMap<u32, u32> = BTreeMap::new();
    for _ in 0..1_010_000 {
        let key = table.random(&mut random).map(|item| item.pair().0);
        *picks.entry(key.unwrap_or(0)).or_default() += 1;
    }
    // Chi-square with 10,099 degrees of freedom: 10,100 ± 142.
    let squares = chi_square(picks.values().copied(), 100.0);
    assert!(picks.len() == 10_100 && squares < 10_700.0, "{squares}");
    let others: u32 = picks.iter().filter(|(key, _)| *key % 4 != 0).map(|(_, count)| count).sum();
    assert!((9_700..10_300).contains(&others), "{others}");
}

/// As eviction does where chance decides: each bucket that a random cursor leads to.
#[test]
#[cfg_attr(miri, ignore = "takes Miri hours")]
fn random_cursors_lead_to_hot_slots_as_often_as_to_their_keys() {
    let table = filled_with(table_by_slot(), 0..40_000);
    let mut random = fastrand::Rng::with_seed(5);
    let (mut hot, mut all) = (0, 0);
    for _ in 0..40_000 {
        table.scan(table.random_cursor(&mut random), |item| {
            hot += u32::from(key_slot(item.key()) == hot_slot());
            all += 1;
        });
    }
    let share = f64::from(hot) / f64::from(all);
    assert!((0.235..0.265).contains(&share), "{share} of the keys shown, a quarter of all");
}

#[test]
fn entries_taken_by_chance_are_counted_out() {
    let count = if cfg!(miri) { 60 } else { 3000 };
    let mut table = filled_with(table_by_slot(), 0..count);
    let mut random = fastrand::Rng::with_seed(6);
    while let Some(item) = table.take_random(&mut random) {
        let slot = key_slot(item.key());
        assert_eq!(table.count_in_slot(slot), table.first_of_slot(slot, usize::MAX).len());
    }
    assert!((0..SLOTS).all(|slot| table.count_in_slot(slot) == 0));
}

/// The least and the most bytes per entry while a table grows.
fn evenness(numbers: impl Iterator<Item = u32>, from: usize) -> (f64, f64) {
    let mut table = table_by_slot();
    let (mut least, mut most) = (f64::MAX, 0.0_f64);
    for number in numbers {
        set(&mut table, number, 0);
        if table.len() >= from && table.len().is_multiple_of(1000) {
            let bytes = table.memory_bytes() as f64 / table.len() as f64;
            (least, most) = (least.min(bytes), most.max(bytes));
        }
    }
    (least, most)
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri hours")]
fn memory_stays_even_as_slots_grow() {
    let untagged = |number: &u32| number % 2 == 1;
    let owned = |number: &u32| key_slot(&key_of(*number)) < SLOTS / 3;
    let (least, most) = evenness((0..800_000).filter(untagged), 100_000);
    assert!(most < 14.7 && most / least < 1.12, "all slots: {least} {most}");
    let (least, most) = evenness((0..2_400_000).filter(untagged).filter(owned), 100_000);
    assert!(most < 14.7 && most / least < 1.12, "a third of the slots: {least} {most}");
    let (least, most) = evenness((0..400_000).map(|number| number * 4), 100_000);
    assert!(most < 14.7 && most / least < 1.12, "one slot: {least} {most}");
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri hours")]
fn a_pinned_slot_has_nothing_copied_but_itself() {
    let mut table = filled_with(table_by_slot(), 0..200_000);
    let is_hot = |number: &u32| key_slot(&key_of(*number)) == hot_slot();
    let hot = table.count_in_slot(hot_slot());
    let before = copied_bytes();
    let mut pinned = table.pin_slot(hot_slot());
    assert_eq!(pinned.len(), hot);
    for number in (0..200_000).filter(|number| !is_hot(number)) {
        set(&mut table, number, 1);
    }
    for number in (200_001..260_000).filter(|number| !is_hot(number)) {
        set(&mut table, number, 1);
    }
    // The two segments at its borders, and what leads to them.
    assert!(copied_bytes() - before <= 2 * 4096 + 2 * 32_768, "{}", copied_bytes() - before);
    for number in (0..200_000).filter(is_hot) {
        match number % 8 {
            0 => drop(remove(&mut table, number)),
            _ => set(&mut table, number, 1),
        }
    }
    let bytes = copied_bytes() - before;
    assert!(bytes < hot as u64 * 16 + 5 * 32_768, "{bytes}");
    let mut seen = Vec::new();
    while pinned.next_segment(|item: &Item| seen.push(item.clone())) {}
    assert!(seen.iter().all(|item| item.pair().1 == item.pair().0));
    assert!(sorted(seen.iter()).into_iter().eq((0..200_000).filter(is_hot)));
}

#[test]
fn a_slot_without_keys_has_none() {
    let empty: Table<Item> = table_by_slot();
    for table in [empty, filled_with(table_by_slot(), 0..40)] {
        let slot = (0..SLOTS).find(|slot| table.count_in_slot(*slot) == 0).unwrap_or(0);
        assert!(table.first_of_slot(slot, 10).is_empty());
        let mut cursor = 0;
        loop {
            cursor = table.scan_slot(slot, cursor, |_| panic!("nothing to show"));
            if cursor == 0 {
                break;
            }
        }
        assert!(!table.pin_slot(slot).next_segment(|_| panic!("nothing to show")) || !table.is_empty());
        for cursor in [1, 77, u64::MAX, u64::MAX >> 2, 1 << 40] {
            table.scan_slot(slot, cursor, |_| panic!("nothing to show"));
        }
    }
}
