//! Keys hashed by slot: random choice where one slot is hot, expiry and eviction of keys with hash tags.

use std::collections::HashMap;

use oneloop::collections::hash::HashSeed;
use oneloop::collections::key_hash::KeyHasher;
use oneloop::collections::key_slot::key_slot;
use oneloop::config::MaxmemoryPolicy;
use oneloop::keyspace::{Expiry, Kept, Keyspace, NewValue};

const SEED: u64 = 17;

fn keyspace(is_by_slot: bool) -> Keyspace {
    let seed = HashSeed::from_seed(SEED);
    let mut keyspace = Keyspace::new(1, if is_by_slot { KeyHasher::by_slot(seed) } else { KeyHasher::from(seed) });
    keyspace.seed_eviction(SEED);
    keyspace
}

fn set(keyspace: &mut Keyspace, key: &str, expiry: Expiry) {
    keyspace.set(0, key.as_bytes(), NewValue::Integer(1), expiry);
}

/// Half of the keys have one hash tag.
fn half_hot(number: u32) -> String {
    if number.is_multiple_of(2) { format!("{{hot}}:{number}") } else { format!("key:{number}") }
}

/// The sum of the squares of what is beside the mean, in units of the mean.
fn chi_square(counts: impl Iterator<Item = u32>, mean: f64) -> f64 {
    counts.map(|count| (f64::from(count) - mean).powi(2) / mean).sum()
}

#[test]
fn a_random_key_is_any_key_where_half_of_them_have_one_slot() {
    const KEYS: u32 = 2000;
    let mut keyspace = keyspace(true);
    (0..KEYS).for_each(|number| set(&mut keyspace, &half_hot(number), Expiry::Clear));
    assert_eq!(keyspace.database(0).count_in_slot(key_slot(b"hot")), KEYS as usize / 2);
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut drawn: HashMap<Vec<u8>, u32> = HashMap::new();
    for _ in 0..KEYS * 100 {
        *drawn.entry(keyspace.random_key(0, &mut random).expect("there are keys")).or_default() += 1;
    }
    let squares = chi_square(drawn.values().copied(), 100.0);
    assert!(drawn.len() == KEYS as usize && squares < 2300.0, "{squares}: of 1999 degrees of freedom");
}

/// Of forty groups of keys, twenty of which are the hot slot, each loses as many.
fn check_random_eviction(policy: MaxmemoryPolicy, expiry: Expiry) {
    const KEYS: u32 = 80_000;
    const GROUPS: u32 = 40;
    let mut keyspace = keyspace(true);
    keyspace.set_eviction(policy, 5);
    (0..KEYS).for_each(|number| set(&mut keyspace, &half_hot(number), expiry));
    for _ in 0..KEYS / 4 {
        assert!(keyspace.evict());
    }
    let mut evicted = [0; GROUPS as usize];
    for number in 0..KEYS {
        let is_there = keyspace.exists(0, half_hot(number).as_bytes());
        evicted[(number % GROUPS) as usize] += u32::from(!is_there);
    }
    let squares = chi_square(evicted.into_iter(), f64::from(KEYS / 4 / GROUPS));
    // 39 degrees of freedom, and three quarters of each group are left: 29 ± 7.
    assert!(squares < 62.0, "{squares} {evicted:?}");
    let hot: u32 = evicted.iter().step_by(2).sum();
    assert!((9_700..10_300).contains(&hot), "{hot} of 20,000 had the hot slot");
}

#[test]
fn random_eviction_meets_any_key_where_half_of_them_have_one_slot() {
    check_random_eviction(MaxmemoryPolicy::AllkeysRandom, Expiry::Clear);
}

#[test]
fn random_eviction_of_keys_that_expire_meets_any_of_them() {
    check_random_eviction(MaxmemoryPolicy::VolatileRandom, Expiry::At(i64::MAX));
}

/// How many keys that were used of late are evicted; whole hash tags are used at a time.
fn evicted_though_used(is_by_slot: bool, policy: MaxmemoryPolicy) -> usize {
    const KEYS: u32 = 60_000;
    const TAGS: u32 = 30;
    let name = |number: u32| format!("{{tag:{}}}:{number}", number % TAGS).into_bytes();
    let mut keyspace = keyspace(is_by_slot);
    keyspace.set_eviction(policy, 5);
    if policy == MaxmemoryPolicy::AllkeysLfu {
        keyspace.access.kept = Kept::Frequency;
    }
    keyspace.access.set_now(0);
    for number in 0..KEYS {
        keyspace.set(0, &name(number), NewValue::Integer(1), Expiry::Clear);
    }
    let is_used = |number: u32| !(number % TAGS).is_multiple_of(5);
    for second in 0..30 {
        keyspace.access.set_now(10_000 + second * 1000);
        for number in (0..KEYS).filter(|number| is_used(*number)) {
            keyspace.read(0, &name(number));
        }
    }
    for _ in 0..KEYS / 8 {
        assert!(keyspace.evict());
    }
    (0..KEYS).filter(|number| is_used(*number)).filter(|number| !keyspace.exists(0, &name(*number))).count()
}

/// Samples of neighbours alone, which have the same tag, would have 1900 of 7500 evicted that are used.
#[test]
fn tags_that_are_used_stay() {
    for policy in [MaxmemoryPolicy::AllkeysLru, MaxmemoryPolicy::AllkeysLfu] {
        let (plain, by_slot) = (evicted_though_used(false, policy), evicted_though_used(true, policy));
        assert!(by_slot <= plain + 750, "{by_slot} of 7500 by slot, {plain} else, under {policy:?}");
    }
}

/// How many cycles of a bounded length the active expiry takes until no more than a tenth of the keys with an expiry time
/// is stale, and how many samples.
fn cycles_until_fresh(is_by_slot: bool, stale_percent: u32) -> (usize, usize) {
    const KEYS: u32 = 200_000;
    const TAGS: u32 = 100;
    const SAMPLES: usize = 100;
    let mut keyspace = keyspace(is_by_slot);
    for number in 0..KEYS {
        let tag = number % TAGS;
        let expiry_ms = if tag < stale_percent { 1000 } else { 1_000_000 };
        set(&mut keyspace, &format!("{{tag:{tag}}}:{number}"), Expiry::At(expiry_ms));
    }
    keyspace.now_ms = 2000;
    let fresh = (KEYS - KEYS * stale_percent / 100) as usize;
    let (mut cycles, mut all_samples) = (0, 0);
    while keyspace.database(0).volatile_len() * 9 > fresh * 10 {
        cycles += 1;
        let mut samples = 0;
        keyspace.expire_cycle(10, || {
            samples += 1;
            samples == SAMPLES
        });
        all_samples += samples;
        assert!(cycles < 10_000);
    }
    (cycles, all_samples)
}

#[test]
fn keys_that_expire_by_tags_go_as_fast_as_any() {
    for stale_percent in [15, 20, 30, 50, 90] {
        let (plain_cycles, plain_samples) = cycles_until_fresh(false, stale_percent);
        let (cycles, samples) = cycles_until_fresh(true, stale_percent);
        // At the end, where little is stale, some cycles find nothing at once.
        assert!(cycles <= plain_cycles * 3, "{cycles} cycles by slot, {plain_cycles} else");
        assert!(samples <= plain_samples, "{samples} samples by slot, {plain_samples} else");
    }
}

/// How a keyspace grows, to be looked at: bytes of the table per key, and how often a segment is split.
mod growth {
    use std::time::Instant;

    use super::*;

    const FIRST: usize = 100_000;

    struct Shape {
        name: &'static str,
        is_by_slot: bool,
        /// Whether a number is used, and as which key.
        key: fn(u64) -> Option<String>,
    }

    const SHAPES: [Shape; 4] = [
        Shape { name: "no cluster mode", is_by_slot: false, key: |number| Some(format!("key:{number:012}")) },
        Shape { name: "all slots", is_by_slot: true, key: |number| Some(format!("key:{number:012}")) },
        Shape {
            name: "a third of the slots",
            is_by_slot: true,
            key: |number| Some(format!("key:{number:012}")).filter(|key| key_slot(key.as_bytes()) < 16384 / 3),
        },
        Shape { name: "one tag", is_by_slot: true, key: |number| Some(format!("{{t}}:{number:012}")) },
    ];

    fn segments(keyspace: &Keyspace) -> usize {
        let mut version = keyspace.database(0).pin();
        let mut segments = 0;
        while version.next_segment(|_| ()) {
            segments += 1;
        }
        segments
    }

    fn grow(shape: &Shape, last: usize) {
        let mut keyspace = keyspace(shape.is_by_slot);
        let (mut least, mut most, mut sum, mut steps, mut next) = (f64::MAX, 0.0_f64, 0.0, 0.0, FIRST);
        let (mut before, mut splits) = (None, 0.0_f64);
        let started = Instant::now();
        for key in (0..).filter_map(shape.key) {
            set(&mut keyspace, &key, Expiry::Clear);
            let keys = keyspace.database(0).len();
            if keys < next {
                continue;
            }
            let bytes = keyspace.database(0).records().memory_bytes() as f64 / keys as f64;
            (least, most, sum, steps) = (least.min(bytes), most.max(bytes), sum + bytes, steps + 1.0);
            let now = segments(&keyspace);
            if let Some((keys_before, segments_before)) = before {
                let made = (now - segments_before) as f64 * 1000.0 / (keys - keys_before) as f64;
                splits = splits.max(made);
            }
            before = Some((keys, now));
            if keys >= last {
                break;
            }
            next = (keys * 51 / 50).min(last);
        }
        let (mean, ratio) = (sum / steps, most / least);
        println!(
            "| {} | {mean:.2} | {least:.2} | {most:.2} | {ratio:.3} | {splits:.2} | {:.1} |",
            shape.name,
            started.elapsed().as_secs_f64()
        );
    }

    /// `cargo test --release --test slots growth -- --ignored --nocapture`
    #[test]
    #[ignore = "takes minutes and some gigabytes"]
    fn bytes_per_key_from_a_hundred_thousand_to_twenty_million() {
        println!("| keys | bytes per key | least | most | most / least | most splits per 1000 inserts in a step | s |");
        SHAPES.iter().for_each(|shape| grow(shape, 20_000_000));
    }

    /// `cargo test --release --test slots growth -- --ignored --nocapture`
    #[test]
    #[ignore = "takes a minute and a gigabyte"]
    fn how_long_the_keys_of_a_slot_take() {
        let mut keyspace = keyspace(true);
        let others = |keyspace: &mut Keyspace| {
            (0..1_000_000).for_each(|number| set(keyspace, &format!("key:{number:012}"), Expiry::Clear));
        };
        others(&mut keyspace);
        let hot = key_slot(b"t");
        for (count, limit) in [(1, 10), (100, 10), (100, 100), (10_000_000, 10), (10_000_000, 1000)] {
            let more = count - keyspace.database(0).count_in_slot(hot).min(count);
            (0..more).for_each(|number| set(&mut keyspace, &format!("{{t}}:{count}:{number}"), Expiry::Clear));
            let mut times_us = Vec::new();
            for _ in 0..100 {
                let started = Instant::now();
                let found = keyspace.database(0).keys_in_slot(hot, limit).len();
                times_us.push(started.elapsed().as_secs_f64() * 1e6);
                assert_eq!(found, limit.min(keyspace.database(0).count_in_slot(hot)));
            }
            times_us.sort_by(f64::total_cmp);
            println!("{count} keys, up to {limit}: {:.1} µs, at most {:.1} µs", times_us[50], times_us[99]);
        }
        let started = Instant::now();
        let version = keyspace.database(0).pin_slot(hot);
        println!("pinning the slot of {} keys: {:.1} µs", version.len(), started.elapsed().as_secs_f64() * 1e6);
        drop(version);
        let (mut cursor, mut worst_us, mut removed) = (0, 0.0_f64, 0);
        let started = Instant::now();
        loop {
            let step = Instant::now();
            cursor = keyspace.remove_some_of_slot(0, hot, cursor, 1000, |_| removed += 1);
            worst_us = worst_us.max(step.elapsed().as_secs_f64() * 1e6);
            if cursor == 0 {
                break;
            }
        }
        let all_s = started.elapsed().as_secs_f64();
        println!("removing {removed} keys, 1000 at a time: {all_s:.1} s, a step at most {worst_us:.0} µs");
    }
}
