//! Both forms against a plain model: a sorted vector.

use std::collections::BTreeMap;
use std::ops::Bound;

use proptest::prelude::*;

use super::*;
use crate::collections::hash::HashSeed;
use crate::types::object::Object;
use crate::types::set::SetRef;
use crate::types::slot::{OwnedSlot, OwnedValue, PackedForm};

const SMALL: Limits = Limits { entries: 8, member_bytes: 6 };
const NEVER_PACKED: Limits = Limits { entries: 0, member_bytes: 64 };
const ALWAYS_PACKED: Limits = Limits { entries: 1000, member_bytes: 64 };

fn seed() -> HashSeed {
    HashSeed::from_seed(3)
}

fn slot(limits: Limits) -> OwnedSlot {
    OwnedSlot::new(limits.empty_for(1, 1, &seed()), &seed())
}

fn editor(slot: &mut OwnedSlot, limits: Limits) -> SortedSetMut<'_, OwnedSlot> {
    SortedSetMut::of(slot, limits).expect("a sorted set")
}

fn view(value: &OwnedValue) -> SortedSetRef<'_> {
    SortedSetRef::of(value.stored()).expect("a sorted set")
}

type Elements = Vec<(Vec<u8>, f64)>;

fn elements(sorted_set: SortedSetRef<'_>) -> Elements {
    let pairs = sorted_set.iter();
    pairs.map(|(member, score)| (member.to_vec(), score)).collect()
}

#[derive(Clone, Debug, Default)]
struct Model(BTreeMap<Vec<u8>, f64>);

impl Model {
    fn sorted(&self) -> Elements {
        let mut elements: Elements = self.0.clone().into_iter().collect();
        elements
            .sort_by(|(left, left_score), (right, right_score)| compare((*left_score, left), (*right_score, right)));
        elements
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>, f64),
    Increment(Vec<u8>, f64),
    Remove(Vec<u8>),
    RemoveRanks(usize, usize),
    Fork,
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => "[a-c]{0,2}".prop_map(String::into_bytes),
        4 => (-3..30i64).prop_map(|number| number.to_string().into_bytes()),
        1 => "[a-c]{6,8}".prop_map(String::into_bytes),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (-3..4i32).prop_map(f64::from),
        2 => (-9..9i32).prop_map(|quarter| f64::from(quarter) / 4.0),
        1 => prop_oneof![Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(0.1), Just(1e300)],
        1 => any::<f64>().prop_filter("a number", |score| !score.is_nan()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (member(), score()).prop_map(|(member, score)| Step::Insert(member, score)),
        2 => (member(), -3.0..3.0).prop_map(|(member, by)| Step::Increment(member, by)),
        3 => member().prop_map(Step::Remove),
        1 => (0..12usize, 0..12usize).prop_map(|(start, count)| Step::RemoveRanks(start, count)),
        1 => Just(Step::Fork),
    ]
}

fn apply(slot: &mut OwnedSlot, limits: Limits, model: &mut Model, step: &Step) {
    let mut editor = editor(slot, limits);
    match step {
        Step::Insert(member, score) => {
            let expected = match model.0.get(member) {
                None => Change::Added,
                Some(old) if old == score => Change::None,
                Some(_) => Change::Updated,
            };
            assert_eq!(editor.insert(member, *score), expected);
            if expected != Change::None {
                model.0.insert(member.clone(), *score);
            }
        }
        Step::Increment(member, by) => {
            let mut seen = None;
            editor.upsert(member, |current| {
                seen = current;
                current.map(|score| score + by)
            });
            assert_eq!(seen, model.0.get(member).copied());
            if let Some(score) = model.0.get_mut(member) {
                *score += by;
            }
        }
        Step::Remove(member) => {
            assert_eq!(editor.remove(member), model.0.remove(member));
        }
        Step::RemoveRanks(start, count) => {
            let sorted = model.sorted();
            let start = *start.min(&sorted.len());
            let end = (start + count).min(sorted.len());
            editor.remove_ranks(start..end);
            for (member, _) in &sorted[start..end] {
                model.0.remove(member);
            }
        }
        Step::Fork => {}
    }
}

fn check(sorted_set: SortedSetRef<'_>, model: &Model) {
    let sorted = model.sorted();
    assert_eq!(elements(sorted_set), sorted);
    assert_eq!(sorted_set.len(), sorted.len());
    let mut backwards: Elements = sorted_set.iter().rev().map(|(member, score)| (member.to_vec(), score)).collect();
    backwards.reverse();
    assert_eq!(backwards, sorted);
    for (rank, (member, score)) in sorted.iter().enumerate() {
        assert_eq!(sorted_set.score(member), Some(*score));
        assert_eq!(sorted_set.rank(member), Some((rank, *score)));
        let (found, _) = sorted_set.at(rank).expect("it is there");
        assert!(found.eq_bytes(member));
    }
    assert_eq!(sorted_set.score(b"absent"), None);
    assert_eq!(sorted_set.rank(b"absent"), None);
    assert!(sorted_set.at(sorted.len()).is_none());
}

fn run(limits: Limits, steps: &[Step]) {
    let mut slot = slot(limits);
    let mut model = Model::default();
    let mut forks = Vec::new();
    for step in steps {
        apply(&mut slot, limits, &mut model, step);
        if let (Step::Fork, OwnedValue::Object(object)) = (step, &slot.value) {
            forks.push((OwnedValue::object(object.fork()), model.clone()));
        }
        check(view(&slot.value), &model);
    }
    for (fork, model) in &forks {
        check(view(fork), model);
    }
}

proptest! {
    #[test]
    fn both_forms_behave_as_the_model(steps in prop::collection::vec(step(), 0..60)) {
        run(SMALL, &steps);
        run(NEVER_PACKED, &steps);
        run(ALWAYS_PACKED, &steps);
    }

    #[test]
    fn intervals_are_ranges_of_ranks(
        inserts in prop::collection::vec((member(), score()), 0..40),
        (low, high) in (score(), score()), (low_open, high_open) in (any::<bool>(), any::<bool>()),
    ) {
        let bound = |open: bool, score| if open { Bound::Excluded(score) } else { Bound::Included(score) };
        let interval = ScoreInterval { minimum: bound(low_open, low), maximum: bound(high_open, high) };
        for limits in [NEVER_PACKED, ALWAYS_PACKED] {
            let mut slot = slot(limits);
            for (member, score) in &inserts {
                editor(&mut slot, limits).insert(member, *score);
            }
            let sorted_set = view(&slot.value);
            let ranks = sorted_set.ranks_of(&interval);
            let within: Elements = elements(sorted_set)
                .into_iter()
                .filter(|(_, score)| interval.locate_score(*score).is_eq())
                .collect();
            let found: Elements = sorted_set
                .range(ranks)
                .map(|(member, score)| (member.to_vec(), score))
                .collect();
            prop_assert_eq!(found, within);
        }
    }
}

#[test]
fn scores_are_packed_as_redis_packs_them() {
    let mut slot = slot(ALWAYS_PACKED);
    for (member, score) in [("a", -0.0), ("b", 3.0), ("c", 0.5), ("d", f64::INFINITY)] {
        editor(&mut slot, ALWAYS_PACKED).insert(member.as_bytes(), score);
    }
    let OwnedValue::Packed(PackedForm::SortedSet, bytes) = &slot.value else { panic!("packed") };
    let listpack = crate::collections::listpack::Listpack::new(bytes);
    let stored: Vec<Vec<u8>> = listpack.iter().map(|element| element.to_vec()).collect();
    let expected = ["a", "0", "c", "0.5", "b", "3", "d", "inf"].map(|text| text.as_bytes());
    assert_eq!(stored, expected);
    assert!(matches!(listpack.get(1), Some(Member::Integer(0))));
}

#[test]
fn the_limits_decide_the_form() {
    let mut slot = slot(SMALL);
    for number in 0..8 {
        editor(&mut slot, SMALL).insert(number.to_string().as_bytes(), 1.0);
    }
    assert!(matches!(slot.value, OwnedValue::Packed(..)));
    editor(&mut slot, SMALL).insert(b"8", 1.0);
    assert!(matches!(slot.value, OwnedValue::Object(_)));
    let mut slot = self::slot(SMALL);
    editor(&mut slot, SMALL).insert(b"seven c", 1.0);
    assert!(matches!(slot.value, OwnedValue::Object(_)));
    let mut slot = self::slot(SMALL);
    editor(&mut slot, SMALL).prepare_for(8);
    assert!(matches!(slot.value, OwnedValue::Packed(..)));
    editor(&mut slot, SMALL).prepare_for(9);
    assert!(matches!(slot.value, OwnedValue::Object(_)));
}

/// So many elements `m0` … with their numbers as scores.
fn numbered(count: usize) -> SortedSet {
    let mut builder = Builder::new(&seed());
    for number in 0..count {
        assert!(builder.push(format!("m{number}").as_bytes(), number as f64));
    }
    builder.into_large()
}

#[test]
fn large_cuts_leave_members_and_order_alike() {
    for ranks in [0..9_000, 100..400, 5_000..10_000, 0..10_000] {
        let mut large = numbered(10_000);
        let fork = large.fork();
        let garbage = large.remove_ranks(ranks.clone());
        assert_eq!(large.len(), 10_000 - ranks.len());
        for number in 0..10_000 {
            let member = format!("m{number}");
            let expected = (!ranks.contains(&number)).then_some(number as f64);
            assert_eq!(large.score(member.as_bytes()), expected);
            assert_eq!(fork.score(member.as_bytes()), Some(number as f64));
        }
        assert_eq!(garbage.len(), ranks.len());
        let rebuilt = SortedSetRef::Large(&large).iter().count();
        assert_eq!(rebuilt, large.len());
    }
}

#[test]
fn memory_is_counted_and_given_back() {
    let mut large = numbered(10_000);
    let full = large.memory_bytes();
    assert!((500_000..800_000).contains(&full), "{full}");
    for number in 0..9_990 {
        large.remove(format!("m{number}").as_bytes());
    }
    let rest = large.memory_bytes();
    assert!(rest < 20_000, "{rest}");
    let mut large = numbered(10_000);
    let mut steps = 1;
    while large.reclaim_step(100) {
        steps += 1;
    }
    assert!((50..300).contains(&steps), "{steps}");
    assert!(large.memory_bytes() < 200);
}

#[test]
fn a_scan_shows_every_element() {
    let large = numbered(1000);
    let mut seen = BTreeMap::new();
    let mut cursor = 0;
    loop {
        cursor = large.scan(cursor, |element| {
            seen.insert(element.key().to_vec(), element.score());
        });
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen.len(), 1000);
    assert_eq!(seen[b"m17".as_slice()], 17.0);
}

#[test]
fn foreign_bytes_are_taken_over() {
    let mut builder = Builder::new(&seed());
    assert!(builder.push(b"b", 2.0) && builder.push(b"a", 1.5));
    assert!(!builder.push(b"b", 3.0), "it is there");
    assert!(!builder.push(b"c", f64::NAN));
    let OwnedValue::Packed(_, bytes) = builder.finish(SMALL) else { panic!("packed") };
    assert!(is_valid(&bytes));
    let expected = vec![(b"a".to_vec(), 1.5), (b"b".to_vec(), 2.0)];
    for limits in [SMALL, NEVER_PACKED] {
        let value = adopt(bytes.clone(), limits, &seed()).expect("pairs");
        assert_eq!(elements(view(&value)), expected);
        let is_object = matches!(value, OwnedValue::Object(ref object) if matches!(**object, Object::SortedSet(_)));
        assert_eq!(is_object, limits == NEVER_PACKED);
    }
    let listpack = |texts: &[&str]| {
        let mut builder = crate::collections::listpack::Builder::new();
        for text in texts {
            builder.push_bytes(text.as_bytes());
        }
        builder.finish()
    };
    assert!(!is_valid(&listpack(&["a"])));
    assert!(adopt(listpack(&["a"]), SMALL, &seed()).is_none());
    assert!(!is_valid(&listpack(&["a", "x"])));
    assert!(!is_valid(&listpack(&["a", "nan"])));
    assert!(!is_valid(&listpack(&["a", "1", "a", "2"])));
    assert!(adopt(listpack(&["a", "1", "a", "2"]), NEVER_PACKED, &seed()).is_none());
    assert!(is_valid(&listpack(&["b", "inf", "a", "-1.5"])));
}

fn shown(mut builder: Builder) -> String {
    let pairs = builder.sorted();
    let texts = pairs.map(|(member, score)| {
        let member = member.to_vec();
        format!("{}={score}", String::from_utf8_lossy(&member))
    });
    texts.collect::<Vec<_>>().join(" ")
}

#[test]
fn sorted_sets_and_sets_are_joined() {
    let mut first = Builder::new(&seed());
    for (member, score) in [("a", 1.0), ("b", 2.0), ("c", f64::INFINITY), ("7", 4.0)] {
        first.push(member.as_bytes(), score);
    }
    let first = first.finish(NEVER_PACKED);
    let mut second = Builder::new(&seed());
    for (member, score) in [("b", 5.0), ("c", f64::NEG_INFINITY), ("d", 0.0)] {
        second.push(member.as_bytes(), score);
    }
    let second = second.finish(ALWAYS_PACKED);
    let source = |collection, weight| Source { collection, weight };
    let mut plain = crate::collections::listpack::create();
    crate::collections::listpack::push_back(&mut plain, &[Member::Text(b"b"), Member::Integer(7)]);
    let plain = OwnedValue::Packed(PackedForm::Set, plain);
    let plain = SetRef::of(plain.stored()).expect("a set");
    let all = || {
        [
            source(Collection::SortedSet(view(&first)), 1.0),
            source(Collection::SortedSet(view(&second)), 2.0),
            source(Collection::Set(plain), 10.0),
        ]
    };
    let union = |aggregate| shown(union(&mut all(), aggregate, &seed()));
    assert_eq!(union(Aggregate::Sum), "c=0 d=0 a=1 7=14 b=22");
    assert_eq!(union(Aggregate::Minimum), "c=-inf d=0 a=1 b=2 7=4");
    assert_eq!(union(Aggregate::Maximum), "d=0 a=1 7=10 b=10 c=inf");
    assert_eq!(union(Aggregate::Count), "a=1 d=2 c=3 7=11 b=13");
    let common = |count: usize| {
        let sources = &mut all()[..count];
        shown(intersection(sources, Aggregate::Sum, &seed()))
    };
    assert_eq!(common(3), "b=22");
    assert_eq!(common(2), "c=0 b=12");
    assert_eq!(intersection_size(&mut all()[..2], usize::MAX, &seed()), 2);
    assert_eq!(intersection_size(&mut all()[..2], 1, &seed()), 1);
    assert_eq!(shown(difference(&all()[..2], &seed())), "a=1 7=4");
    assert_eq!(shown(difference(&all(), &seed())), "a=1");
    let [first, ..] = all();
    let mut none = [first, source(Collection::Absent, 1.0)];
    assert_eq!(shown(intersection(&mut none, Aggregate::Sum, &seed())), "");
    let [first, ..] = all();
    let mut zero = [Source { weight: 0.0, ..first }];
    let zeros = shown(super::union(&mut zero, Aggregate::Sum, &seed()));
    assert_eq!(zeros, "7=0 a=0 b=0 c=0");
}

#[test]
fn what_is_stored_shares_blocks_and_changes_apart() {
    let origin = OwnedValue::object(Object::SortedSet(numbered(300)));
    let sources = || [Source { collection: Collection::SortedSet(view(&origin)), weight: 1.0 }];
    let copy = union(&mut sources(), Aggregate::Sum, &seed()).finish(SMALL);
    let mut slot = OwnedSlot::new(copy, &seed());
    editor(&mut slot, SMALL).insert(b"m5", 1000.5);
    editor(&mut slot, SMALL).remove(b"m6");
    assert_eq!(view(&slot.value).rank(b"m5"), Some((298, 1000.5)));
    assert_eq!(view(&origin).rank(b"m5"), Some((5, 5.0)));
    assert_eq!(view(&origin).score(b"m6"), Some(6.0));
}
