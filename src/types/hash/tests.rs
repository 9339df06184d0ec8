//! Both forms of a hash against a plain map, with forks, limits and expiry times.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::collections::hash::HashSeed;
use crate::collections::heap;
use crate::collections::packed::Packed;
use crate::types::object::Object;
use crate::types::slot::{OwnedSlot, OwnedValue, PackedForm, Slot, Stored};

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

const LIMITS: Limits = Limits { fields: 12, text_bytes: 20 };

fn seed() -> HashSeed {
    HashSeed::from_seed(3)
}

fn content(hash: HashRef<'_>) -> Model {
    let mut model = Model::new();
    hash.for_each(|field| {
        let entry = (field.found.value.to_vec(), field.found.expiry_ms);
        assert!(model.insert(field.name.to_vec(), entry).is_none());
    });
    model
}

/// Everything that can be asked of a hash, against the model.
fn check(hash: HashRef<'_>, model: &Model) {
    assert_eq!(&content(hash), model);
    assert_eq!(hash.len(), model.len());
    let times = || model.values().filter_map(|(_, time_ms)| *time_ms);
    assert_eq!(hash.next_expiry_ms(), times().min());
    for now_ms in [0, 5, 50, 1000] {
        let due = times().filter(|time_ms| *time_ms < now_ms).count();
        assert_eq!(hash.due_before(now_ms), due);
        assert_eq!(hash.has_due(now_ms), due > 0);
    }
    for (name, (value, expiry_ms)) in model {
        let found = hash.get(name).expect("the field is there");
        assert!(found.value.eq_bytes(value));
        assert_eq!(found.expiry_ms, *expiry_ms);
    }
    assert!(hash.get(b"no such field").is_none());
    let names: Vec<&[u8]> = model.keys().map(Vec::as_slice).chain([&b"none"[..]]).collect();
    let mut seen = 0;
    hash.get_many(
        names.len(),
        |index| names[index],
        |index, found| {
            assert_eq!(index, seen);
            seen += 1;
            assert_eq!(found.is_some(), index + 1 < names.len());
        },
    );
    assert_eq!(seen, names.len());
    if let HashRef::Large(large) = hash {
        assert_eq!(large.expiring_len(), times().count());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<(u8, Vec<u8>)>, Expiry),
    Remove(Vec<u8>),
    SetExpiry(u8, Option<i64>),
    RemoveDue(i64, usize),
    Update(u8, Vec<u8>),
    Fork,
}

fn expiry() -> impl Strategy<Value = Expiry> {
    prop_oneof![
        4 => Just(Expiry::Clear),
        2 => Just(Expiry::Keep),
        2 => (1..100i64).prop_map(Expiry::At),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        6 => proptest::collection::vec(any::<u8>(), 0..12),
        3 => any::<i32>().prop_map(|number| number.to_string().into_bytes()),
        1 => proptest::collection::vec(any::<u8>(), 18..24),
    ];
    let pairs = proptest::collection::vec((0..24u8, value.clone()), 1..8);
    prop_oneof![
        8 => (pairs, expiry()).prop_map(|(pairs, expiry)| Step::Set(pairs, expiry)),
        4 => proptest::collection::vec(0..24u8, 1..6).prop_map(Step::Remove),
        4 => (0..24u8, proptest::option::of(1..100i64)).prop_map(|(name, time)| Step::SetExpiry(name, time)),
        2 => (0..100i64, 0..10usize).prop_map(|(time, most)| Step::RemoveDue(time, most)),
        3 => (0..24u8, value).prop_map(|(name, value)| Step::Update(name, value)),
        1 => Just(Step::Fork),
    ]
}

/// Some names read as integers.
fn name(number: u8) -> Vec<u8> {
    if number.is_multiple_of(3) { number.to_string().into_bytes() } else { format!("field-{number}").into_bytes() }
}

fn apply(editor: &mut HashEditor<'_, OwnedSlot>, model: &mut Model, step: Step) {
    match step {
        Step::Set(pairs, expiry) => {
            let pairs: Vec<(Vec<u8>, Vec<u8>)> =
                pairs.into_iter().map(|(number, value)| (name(number), value)).collect();
            let pair = |index: usize| (pairs[index].0.as_slice(), pairs[index].1.as_slice());
            let created = editor.set_many(pairs.len(), pair, expiry);
            let before = model.len();
            for (name, value) in pairs {
                let before_ms = model.get(&name).and_then(|(_, time_ms)| *time_ms);
                model.insert(name, (value, expiry.after(before_ms)));
            }
            assert_eq!(created, model.len() - before);
        }
        Step::Remove(numbers) => {
            let names: Vec<Vec<u8>> = numbers.into_iter().map(name).collect();
            let removed = editor.remove_many(names.len(), |index| names[index].as_slice());
            let before = model.len();
            names.iter().for_each(|name| drop(model.remove(name)));
            assert_eq!(removed, before - model.len());
        }
        Step::SetExpiry(number, time_ms) => {
            let found = editor.set_expiry(&name(number), time_ms);
            let entry = model.get_mut(&name(number));
            assert_eq!(found, entry.is_some());
            entry.into_iter().for_each(|entry| entry.1 = time_ms);
        }
        Step::RemoveDue(time_ms, most) => {
            let is_due = |other: &Option<i64>| other.is_some_and(|other| other < time_ms);
            let due = model.values().filter(|(_, other)| is_due(other)).count();
            let removed = editor.remove_due(time_ms, most, |_| {});
            assert_eq!(removed, due.min(most));
            let left = content(editor.read());
            assert_eq!(left.len(), model.len() - removed);
            // Those that are left expire no earlier than those that are gone.
            let gone = model.iter().filter(|(name, _)| !left.contains_key(*name));
            let latest = gone.filter_map(|(_, (_, time_ms))| *time_ms).max();
            let next = editor.read().next_expiry_ms();
            assert!(latest.zip(next).is_none_or(|(latest, next)| latest <= next));
            model.retain(|name, _| left.contains_key(name));
        }
        Step::Update(number, value) => {
            let name = name(number);
            let result = editor.update(&name, |before| {
                let expected = model.get(&name).map(|(value, _)| value.clone());
                assert_eq!(before.map(|found| found.value.to_vec()), expected);
                if value.is_empty() {
                    return Err(());
                }
                Ok(NewText::from_slice(&value))
            });
            assert_eq!(result.is_err(), value.is_empty());
            if result.is_ok() {
                let before_ms = model.get(&name).and_then(|(_, time_ms)| *time_ms);
                model.insert(name, (value, before_ms));
            }
        }
        Step::Fork => {}
    }
}

proptest! {
    #[test]
    fn a_hash_is_a_map_and_its_forks_stay_as_they_were(steps in proptest::collection::vec(step(), 1..60)) {
        let before = heap::allocated_bytes();
        {
            let mut slot = OwnedSlot::new(empty(), &seed());
            let mut model = Model::new();
            let mut forks: Vec<(OwnedValue, Model)> = Vec::new();
            for step in steps {
                if matches!(step, Step::Fork) {
                    let fork = match &slot.value {
                        OwnedValue::Packed(form, bytes) => OwnedValue::Packed(*form, bytes.clone()),
                        OwnedValue::Object(object) => OwnedValue::object(object.fork()),
                    };
                    // Sometimes it is the fork that goes on.
                    let origin = std::mem::replace(&mut slot.value, fork);
                    forks.push((origin, model.clone()));
                }
                let mut editor = HashEditor::of(&mut slot, LIMITS).expect("a hash");
                apply(&mut editor, &mut model, step);
                check(editor.read(), &model);
                let packed = matches!(slot.value, OwnedValue::Packed(..));
                let fits = |(name, (value, _)): (&Vec<u8>, &(Vec<u8>, _))| LIMITS.allow(name) && LIMITS.allow(value);
                prop_assert!(!packed || model.len() <= LIMITS.fields && model.iter().all(fits));
                for (fork, model) in &forks {
                    check(HashRef::of_owned(fork).expect("a hash"), model);
                }
            }
        }
        prop_assert_eq!(heap::allocated_bytes(), before);
    }
}

#[test]
fn packed_fields_lie_in_the_order_of_their_times() {
    let mut slot = OwnedSlot::new(empty(), &seed());
    let mut editor = HashEditor::of(&mut slot, LIMITS).expect("a hash");
    for (name, expiry) in [
        (b"a", Expiry::Clear),
        (b"b", Expiry::At(9)),
        (b"c", Expiry::At(5)),
        (b"d", Expiry::Clear),
        (b"e", Expiry::At(9)),
        (b"f", Expiry::At(7)),
    ] {
        editor.set(name, b"value", expiry);
    }
    let order = |slot: &OwnedSlot| {
        let mut names = String::new();
        let Stored::Packed(form, bytes) = slot.stored() else {
            panic!("it is small");
        };
        let pairs = Pairs::of(form, bytes).expect("a hash");
        pairs.iter().for_each(|field| names += &String::from_utf8_lossy(&field.name.to_vec()));
        names
    };
    assert_eq!(order(&slot), "cfebad", "of those with one time the latest first");
    let mut editor = HashEditor::of(&mut slot, LIMITS).expect("a hash");
    editor.set(b"f", b"other", Expiry::Keep);
    editor.set_expiry(b"a", Some(6));
    editor.set_expiry(b"e", None);
    editor.set(b"c", b"x", Expiry::Clear);
    assert_eq!(order(&slot), "afbdec");
}

#[test]
fn a_packed_hash_becomes_large_just_beyond_its_limits() {
    let is_packed = |fields: usize, name_bytes: usize, value_bytes: usize| {
        let names: Vec<Vec<u8>> = (0..fields).map(|index| format!("{index:0name_bytes$}").into_bytes()).collect();
        let value = vec![b'v'; value_bytes];
        let fields = names.iter().map(|name| (name.as_slice(), value.as_slice(), None));
        let value = from_fields(fields, LIMITS, &seed());
        matches!(value, OwnedValue::Packed(PackedForm::Hash, _))
    };
    assert!(is_packed(12, 20, 20));
    assert!(!is_packed(13, 20, 20));
    assert!(!is_packed(1, 21, 20));
    assert!(!is_packed(1, 20, 21));
}

#[test]
fn packed_bytes_are_adopted_as_they_are_or_made_large() {
    let fields: Vec<(Vec<u8>, Option<i64>)> =
        (0..20).map(|index| (name(index), (index % 2 == 0).then_some(50 - i64::from(index)))).collect();
    let pairs = || fields.iter().map(|(name, expiry_ms)| (name.as_slice(), &b"17"[..], *expiry_ms));
    let wide = Limits { fields: 100, ..LIMITS };
    let OwnedValue::Packed(form, bytes) = from_fields(pairs(), wide, &seed()) else {
        panic!("it is small");
    };
    assert_eq!(form, PackedForm::HashExpiring);
    let small = adopt(form, bytes.clone(), wide, &seed()).expect("a hash");
    let large = adopt(form, bytes.clone(), LIMITS, &seed()).expect("a hash");
    assert!(matches!(&small, OwnedValue::Packed(_, kept) if *kept == bytes));
    assert!(matches!(&large, OwnedValue::Object(_)));
    let content_of = |value| content(HashRef::of_owned(value).expect("a hash"));
    assert_eq!(content_of(&small), content_of(&large));
    assert_eq!(content_of(&small).len(), 20);
    assert!(adopt(PackedForm::List, bytes, wide, &seed()).is_none());
}

fn large_of(fields: usize) -> Hash {
    let mut hash = Hash::new(&seed());
    for index in 0..fields {
        let name = format!("field:{index:010}");
        hash.set(name.as_bytes(), b"value:012345", Expiry::Clear);
    }
    hash
}

#[test]
fn a_large_hash_keeps_to_its_budget_and_gives_memory_back() {
    const FIELDS: usize = 100_000;
    let mut hash = Hash::new(&seed());
    for index in 0..FIELDS {
        let name = format!("{index:010}");
        hash.set(name.as_bytes(), b"value:012345", Expiry::Clear);
    }
    let full = hash.memory_bytes();
    assert!(full <= 57 * FIELDS, "{} bytes a field", full / FIELDS);
    for index in 100..FIELDS {
        let name = format!("{index:010}");
        assert!(hash.remove(name.as_bytes()).is_some());
    }
    let rest = hash.memory_bytes();
    assert!(rest < 100 * 120 + 8192, "{rest} bytes for 100 fields");
    assert_eq!(hash.len(), 100);
}

#[test]
fn memory_is_counted_through_every_kind_of_change() {
    let before = heap::allocated_bytes();
    let mut hash = large_of(2000);
    for index in (0..2000).step_by(3) {
        let name = format!("field:{index:010}");
        hash.set(name.as_bytes(), &vec![b'x'; index % 700], Expiry::Keep);
        hash.set_expiry(name.as_bytes(), Some(index as i64));
    }
    let due = hash.remove_due(900, usize::MAX, |_| {});
    assert_eq!(due, 300);
    assert_eq!(hash.memory_bytes() - size_of::<Hash>(), heap::allocated_bytes() - before);
    while hash.reclaim_step(100) {}
    drop(hash);
    assert_eq!(heap::allocated_bytes(), before);
}

#[test]
fn ten_thousand_fields_with_one_time_go_in_steps() {
    let mut hash = large_of(10_000);
    for index in 0..10_000 {
        let name = format!("field:{index:010}");
        assert!(hash.set_expiry(name.as_bytes(), Some(5)));
    }
    assert_eq!(hash.remove_due(5, usize::MAX, |_| {}), 0, "they live through it");
    let mut steps = 0;
    while hash.remove_due(6, 64, |_| {}) > 0 {
        steps += 1;
    }
    assert_eq!((steps, hash.len()), (10_000usize.div_ceil(64), 0));
    assert_eq!(hash.next_expiry_ms(), None);
}

#[test]
fn distinct_picks_are_distinct_alive_and_fair() {
    let mut random = fastrand::Rng::with_seed(11);
    for (fields, limits) in [(12, LIMITS), (40, LIMITS)] {
        let names: Vec<Vec<u8>> = (0..fields).map(name).collect();
        // Every fourth is over.
        let pairs = names.iter().enumerate().map(|(index, name)| {
            let expiry_ms = (index % 4 == 0).then_some(3);
            (name.as_slice(), &b"v"[..], expiry_ms)
        });
        let value = from_fields(pairs, limits, &seed());
        let hash = HashRef::of_owned(&value).expect("a hash");
        let alive = hash.live_len(4);
        assert_eq!(alive, usize::from(fields) * 3 / 4);
        for count in [1, 2, alive / 4, alive / 2, alive - 1, alive, alive + 5] {
            const ROUNDS: usize = 3000;
            let mut picked: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
            for _ in 0..ROUNDS {
                let mut once = std::collections::BTreeSet::new();
                random::distinct(hash, count, 4, &mut random, |field| {
                    assert!(!field.found.is_due(4));
                    assert!(once.insert(field.name.to_vec()));
                });
                assert_eq!(once.len(), count.min(alive));
                once.into_iter().for_each(|name| *picked.entry(name).or_default() += 1);
            }
            let expected = ROUNDS * count.min(alive) / alive;
            assert_eq!(picked.len(), alive);
            for times in picked.values() {
                assert!(times.abs_diff(expected) < expected / 2 + 40, "{times} of {expected}");
            }
        }
        let mut picked: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
        random::repeated(hash, 9000, 4, &mut random, |field| {
            *picked.entry(field.name.to_vec()).or_default() += 1;
        });
        assert_eq!(picked.len(), alive);
        assert_eq!(picked.values().sum::<usize>(), 9000);
        random::repeated(hash, 1, 4, &mut random, |field| {
            assert!(!field.found.is_due(4));
        });
    }
}

#[test]
fn nothing_but_a_hash_is_read_or_edited_as_one() {
    let list = OwnedValue::Packed(PackedForm::List, crate::collections::listpack::create());
    let mut slot = OwnedSlot::new(list, &seed());
    assert!(HashRef::of(slot.stored()).is_none());
    assert!(HashEditor::of(&mut slot, LIMITS).is_none());
    assert!(HashRef::of(Stored::String).is_none());
    let mut slot = OwnedSlot::new(OwnedValue::object(Object::Hash(large_of(1))), &seed());
    assert!(slot.bytes().is_empty());
    assert_eq!(HashEditor::of(&mut slot, LIMITS).expect("a hash").len(), 1);
}
