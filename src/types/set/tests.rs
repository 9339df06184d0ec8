//! All three forms against a plain model: an ordered set, and Redis's rules for the forms.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use proptest::prelude::*;

use super::algebra::{difference, intersection, stored_difference, stored_intersection, stored_union, union};
use super::*;
use crate::collections::hash::HashSeed;
use crate::types::object::Object;
use crate::types::slot::{OwnedSlot, OwnedValue, PackedForm, Slot};

const SMALL: Limits = Limits { integers: 12, members: 8, text_bytes: 6 };

/// More members than a chunk has, so that the walks have several.
const WIDE: Limits = Limits { integers: 512, members: 128, text_bytes: 64 };

type Model = BTreeSet<Vec<u8>>;

/// A walk that calls for every member until it is told to break off.
type Walk<'a> = dyn Fn(&mut dyn FnMut() -> ControlFlow<()>) + 'a;

fn seed() -> HashSeed {
    HashSeed::from_seed(3)
}

fn view(value: &OwnedValue) -> SetRef<'_> {
    SetRef::of_owned(value).expect("a set")
}

fn model_of(set: SetRef<'_>) -> Model {
    let mut found = Model::new();
    set.for_each(|member| assert!(found.insert(member.to_vec()), "a member comes once"));
    assert_eq!(found.len(), set.len());
    let iterated: Model = set.iter().map(|member| member.to_vec()).collect();
    assert_eq!(iterated, found);
    found
}

fn build(members: &[Vec<u8>], limits: Limits) -> OwnedValue {
    let Some(first) = members.first() else {
        return editing::empty_intset();
    };
    let mut slot = OwnedSlot::new(empty_for(first, members.len(), limits, &seed()), &seed());
    SetEditor::of_empty(&mut slot, limits).add_many(members.len(), |index| &members[index]);
    slot.value
}

/// A large set whatever the members are.
fn build_large(members: &[Vec<u8>]) -> OwnedValue {
    let mut set = Set::new(&seed());
    members.iter().for_each(|member| {
        set.add(member);
    });
    OwnedValue::object(Object::Set(set))
}

fn form_name(value: &OwnedValue) -> &'static str {
    match value {
        OwnedValue::Packed(form, _) => form.encoding_name(),
        OwnedValue::Object(object) => object.encoding_name(),
    }
}

/// The form that Redis gives a set, kept beside the members: its rules for one added member.
#[derive(Clone)]
struct Rules {
    members: Model,
    form: &'static str,
    limits: Limits,
}

impl Rules {
    fn new(form: &'static str, limits: Limits) -> Rules {
        Rules { members: Model::new(), form, limits }
    }

    fn expect(&mut self, count: usize) {
        let (limits, form) = (self.limits, self.form);
        if form == "listpack" && count > limits.members || form == "intset" && count > limits.integers {
            self.form = "hashtable";
        }
    }

    fn add(&mut self, member: &[u8]) -> bool {
        let is_integer = Text::of(member).integer().is_some();
        let longest = self.members.iter().map(Vec::len).max().unwrap_or(0);
        let before = self.members.len();
        if !self.members.insert(member.to_vec()) {
            return false;
        }
        let fits = before < self.limits.members && member.len() <= self.limits.text_bytes;
        self.form = match self.form {
            "intset" if is_integer && before < self.limits.integers => "intset",
            "intset" if !is_integer && fits && longest <= self.limits.text_bytes => "listpack",
            "listpack" if fits => "listpack",
            _ => "hashtable",
        };
        true
    }
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (-3..20i64).prop_map(|number| number.to_string().into_bytes()),
        2 => (0..12u8).prop_map(|number| format!("m{number}").into_bytes()),
        1 => prop::sample::select(vec!["", "01", "-0", "a long one", "123456789", "-9223372036854775808"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Add(Vec<u8>),
    AddMany(Vec<Vec<u8>>),
    Remove(Vec<u8>),
    RemoveMany(Vec<Vec<u8>>),
    Pop,
    PopMany(usize),
    Fork,
}

fn step() -> impl Strategy<Value = Step> {
    let several = || prop::collection::vec(member(), 1..20);
    prop_oneof![
        6 => member().prop_map(Step::Add),
        3 => several().prop_map(Step::AddMany),
        4 => member().prop_map(Step::Remove),
        1 => several().prop_map(Step::RemoveMany),
        1 => Just(Step::Pop),
        1 => (1..20usize).prop_map(Step::PopMany),
        1 => Just(Step::Fork),
    ]
}

fn pop_many(editor: &mut SetEditor<'_, OwnedSlot>, rules: &mut Rules, count: usize) {
    let (before, form) = (rules.members.len(), rules.form);
    if count >= before {
        return;
    }
    let mut popped = Model::new();
    let mut random = fastrand::Rng::with_seed(before as u64);
    editor.pop_many(count, &mut random, |member| {
        assert!(popped.insert(member.to_vec()));
    });
    assert_eq!(popped.len(), count);
    assert!(popped.iter().all(|member| rules.members.remove(member)));
    if (before - count) * 5 <= count {
        let start = if form == "intset" { "intset" } else { "listpack" };
        let mut kept = Rules::new(start, rules.limits);
        editor.read().for_each(|member| {
            kept.add(&member.to_vec());
        });
        *rules = kept;
    }
}

fn take(editor: &mut SetEditor<'_, OwnedSlot>, rules: &mut Rules, step: &Step) {
    match step {
        Step::Add(member) => assert_eq!(editor.add(member), rules.add(member)),
        Step::AddMany(members) => {
            rules.expect(members.len());
            let added = editor.add_many(members.len(), |index| &members[index]);
            let expected = members.iter().filter(|member| rules.add(member)).count();
            assert_eq!(added, expected);
        }
        Step::Remove(member) => assert_eq!(editor.remove(member), rules.members.remove(member)),
        Step::RemoveMany(members) => {
            let removed = editor.remove_many(members.len(), |index| &members[index]);
            let expected = members.iter().filter(|member| rules.members.remove(*member));
            assert_eq!(removed, expected.count());
        }
        Step::Pop => {
            let mut random = fastrand::Rng::with_seed(1);
            let mut popped = None;
            editor.pop(&mut random, |member| popped = Some(member.text().to_vec()));
            assert_eq!(popped.is_none(), rules.members.is_empty());
            assert!(popped.is_none_or(|member| rules.members.remove(&member)));
        }
        Step::PopMany(count) => pop_many(editor, rules, *count),
        Step::Fork => {}
    }
}

proptest! {
    #[test]
    fn changes_are_those_of_a_plain_set(steps in prop::collection::vec(step(), 1..60)) {
        let mut slot = OwnedSlot::new(editing::empty_intset(), &seed());
        let mut rules = Rules::new("intset", SMALL);
        let mut forks: Vec<(Set, Model)> = Vec::new();
        for step in &steps {
            let mut editor = SetEditor::of(&mut slot, SMALL).expect("a set");
            take(&mut editor, &mut rules, step);
            let set = view(&slot.value);
            prop_assert_eq!(&model_of(set), &rules.members);
            prop_assert_eq!(form_name(&slot.value), rules.form, "after {:?}", step);
            if let (Step::Fork, Some(large)) = (step, set.large()) {
                forks.push((large.fork(), rules.members.clone()));
            }
            if let Some(large) = set.large() {
                check_bytes(large);
            }
        }
        for (fork, members) in forks {
            prop_assert_eq!(model_of(SetRef::Large(&fork)), members);
            check_bytes(&fork);
        }
    }

    #[test]
    fn membership_is_that_of_a_plain_set(members in prop::collection::vec(member(), 1..40), asked in prop::collection::vec(member(), 1..60)) {
        let model: Model = members.iter().cloned().collect();
        for value in [build(&members, SMALL), build(&members, WIDE), build_large(&members)] {
            let set = view(&value);
            let mut found = Vec::new();
            set.contains_many(asked.len(), |index| &asked[index], |is_member| found.push(is_member));
            for (member, found) in asked.iter().zip(found) {
                prop_assert_eq!(found, model.contains(member));
                prop_assert_eq!(set.contains(member), found);
                prop_assert_eq!(set.contains_text(Text::of(member)), found);
                prop_assert_eq!(set.contains_text(Text::Text(member)), found);
            }
        }
    }

    #[test]
    fn algebra_is_that_of_plain_sets(
        sets in prop::collection::vec((prop::collection::vec(member(), 0..30), 0..3u8), 1..5),
        twice: bool,
    ) {
        let mut values: Vec<OwnedValue> = sets.iter().map(|(members, form)| match form {
            0 => build(members, SMALL),
            1 => build(members, WIDE),
            _ => build_large(members),
        }).collect();
        if twice && let OwnedValue::Object(object) = &values[0] {
            let fork = object.fork();
            values.push(OwnedValue::object(fork));
        }
        let views: Vec<SetRef<'_>> = values.iter().map(view).collect();
        check_algebra(&views);
    }
}

fn check_bytes(set: &Set) {
    let elements: usize = set.iter().map(|element| element.memory_bytes()).sum();
    let expected = size_of::<Set>() + set.table().memory_bytes() + elements;
    assert_eq!(set.memory_bytes(), expected);
}

/// What a walk shows; each member must come once.
fn shown(walk: impl FnOnce(&mut dyn FnMut(Member<'_>) -> ControlFlow<()>)) -> Model {
    let mut found = Model::new();
    walk(&mut |member| {
        assert!(found.insert(member.text().to_vec()), "a member comes once");
        ControlFlow::Continue(())
    });
    found
}

fn check_algebra(sets: &[SetRef<'_>]) {
    let models: Vec<Model> = sets.iter().map(|set| model_of(*set)).collect();
    let (first, others) = (sets[0], &sets[1..]);
    let all = models.iter().flatten().cloned().collect::<Model>();
    let within = |member: &&Vec<u8>| models.iter().all(|model| model.contains(*member));
    let common: Model = all.iter().filter(within).cloned().collect();
    let left: Model =
        models[0].iter().filter(|member| !models[1..].iter().any(|model| model.contains(*member))).cloned().collect();
    let seed = seed();
    assert_eq!(shown(|visit| intersection(sets, visit)), common);
    assert_eq!(shown(|visit| union(sets, &seed, visit)), all);
    let found = shown(|visit| difference(first, others, &seed, visit));
    assert_eq!(found, left);
    for limits in [SMALL, WIDE] {
        let stored = stored_intersection(sets, limits, &seed);
        assert_eq!(model_of(view(&stored)), common);
        if !common.is_empty() {
            assert_eq!(form_name(&stored), form_of_intersection(&common, limits));
        }
        let stored = stored_union(sets, limits, &seed);
        assert_eq!(model_of(view(&stored)), all);
        if !all.is_empty() {
            assert_eq!(form_name(&stored), form_of_union(sets, limits));
        }
        let stored = stored_difference(first, others, limits, &seed);
        assert_eq!(model_of(view(&stored)), left);
        if !left.is_empty() {
            let expected = form_of_difference(first, others, limits);
            assert_eq!(form_name(&stored), expected);
        }
    }
}

fn form_of_intersection(members: &Model, limits: Limits) -> &'static str {
    let is_integer = |member: &Vec<u8>| Text::of(member).integer().is_some();
    let fits = |member: &Vec<u8>| member.len() <= limits.text_bytes;
    if members.len() <= limits.integers && members.iter().all(is_integer) {
        "intset"
    } else if members.len() <= limits.members && members.iter().all(fits) {
        "listpack"
    } else {
        "hashtable"
    }
}

fn form_of_union(sets: &[SetRef<'_>], limits: Limits) -> &'static str {
    let mut rules = Rules::new("intset", limits);
    for member in sets.iter().flat_map(|set| set.iter()) {
        rules.add(&member.to_vec());
    }
    rules.form
}

fn form_of_difference(first: SetRef<'_>, others: &[SetRef<'_>], limits: Limits) -> &'static str {
    let mut rules = Rules::new("intset", limits);
    let total: usize = others.iter().map(|set| set.len()).sum();
    let by_removal = first.len() * (others.len() + 1) / 2 > total + first.len();
    for member in first.iter() {
        if by_removal || !others.iter().any(|set| set.contains_text(member)) {
            rules.add(&member.to_vec());
        }
    }
    rules.form
}

fn numbered(range: std::ops::Range<usize>) -> Vec<Vec<u8>> {
    range.map(|number| format!("member:{number}").into_bytes()).collect()
}

#[test]
fn the_limits_are_those_of_redis() {
    let integers =
        |count: usize| -> Vec<Vec<u8>> { (0..count).map(|number| number.to_string().into_bytes()).collect() };
    let joined = |mut members: Vec<Vec<u8>>, more: &[&str]| {
        members.extend(more.iter().map(|text| text.as_bytes().to_vec()));
        members
    };
    let added = |members: Vec<Vec<u8>>, more: &str| {
        let mut slot = OwnedSlot::new(build(&members, WIDE), &seed());
        SetEditor::of_empty(&mut slot, WIDE).add(more.as_bytes());
        form_name(&slot.value)
    };
    assert_eq!(form_name(&build(&integers(512), WIDE)), "intset");
    assert_eq!(form_name(&build(&integers(513), WIDE)), "hashtable");
    assert_eq!(added(integers(512), "512"), "hashtable");
    assert_eq!(added(integers(127), "x"), "listpack");
    assert_eq!(added(integers(128), "x"), "hashtable");
    assert_eq!(added(integers(1), &"y".repeat(64)), "listpack");
    assert_eq!(added(integers(1), &"y".repeat(65)), "hashtable");
    assert_eq!(form_name(&build(&numbered(0..128), WIDE)), "listpack");
    assert_eq!(form_name(&build(&numbered(0..129), WIDE)), "hashtable");
    assert_eq!(added(numbered(0..128), "x"), "hashtable");
    // The integers come first: an intset until the other member comes, which is one too many.
    assert_eq!(form_name(&build(&joined(integers(128), &["x"]), WIDE)), "hashtable");
    assert_eq!(form_name(&build(&joined(integers(127), &["x"]), WIDE)), "listpack");
    // Members that are to be added count though they are there already.
    let mut slot = OwnedSlot::new(build(&numbered(0..1), WIDE), &seed());
    let again = SetEditor::of_empty(&mut slot, WIDE).add_many(129, |_| b"member:0");
    assert_eq!((again, form_name(&slot.value)), (0, "hashtable"));
}

#[test]
fn large_sets_join_in_many_chunks() {
    let few: Vec<Vec<u8>> = numbered(0..3);
    let pieces = [
        build(&numbered(0..1000), WIDE),
        build(&numbered(500..1700), WIDE),
        build(&numbered(900..1000), WIDE),
        build(&few, WIDE),
        build_large(&few),
    ];
    let sets: Vec<SetRef<'_>> = pieces.iter().map(view).collect();
    for count in 1..=sets.len() {
        for start in 0..sets.len() {
            let mut turned = sets.clone();
            turned.rotate_left(start);
            check_algebra(&turned[..count]);
        }
    }
    // The same set twice.
    check_algebra(&[sets[0], sets[1], sets[0]]);
}

#[test]
fn walks_break_off() {
    let (left, right) = (build_large(&numbered(0..500)), build_large(&numbered(300..900)));
    let sets = [view(&left), view(&right)];
    let count_to = |limit: usize, walk: &Walk<'_>| {
        let mut count = 0;
        walk(&mut || {
            count += 1;
            if count < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        count
    };
    for limit in [1, 63, 64, 65, 150] {
        let found = count_to(limit, &|next| intersection(&sets, |_| next()));
        assert_eq!(found, limit);
        let found = count_to(limit + 600, &|next| union(&sets, &seed(), |_| next()));
        assert_eq!(found, limit + 600);
        let others = [sets[1]];
        let found = count_to(limit, &|next| {
            difference(sets[0], &others, &seed(), |_| next());
        });
        assert_eq!(found, limit);
    }
}

#[test]
fn a_union_shares_the_elements_and_changes_apart() {
    let (left, right) = (build_large(&numbered(0..1000)), build_large(&numbered(990..1010)));
    let stored = stored_union(&[view(&left), view(&right)], WIDE, &seed());
    let mut slot = OwnedSlot::new(stored, &seed());
    let address = |value: &OwnedValue| {
        use crate::collections::table::Entry;
        let set = view(value).large().expect("a large set");
        let hash = set.hash(b"member:7");
        set.table().get(hash, b"member:7").map(|element| element.address())
    };
    assert!(address(&left).is_some());
    assert_eq!(address(&left), address(&slot.value));
    let mut editor = SetEditor::of_empty(&mut slot, WIDE);
    assert!(editor.remove(b"member:7") && editor.add(b"another"));
    assert_eq!(view(&left).len(), 1000);
    assert!(view(&left).contains(b"member:7") && !view(&left).contains(b"another"));
    assert_eq!(editor.len(), 1010);
}

/// Counts how often each member is picked; the counts must be those of a fair pick, within six standard deviations.
fn check_fairness(
    members: usize,
    rounds: usize,
    picks: usize,
    pick: impl Fn(&mut fastrand::Rng, &mut dyn FnMut(Text<'_>)),
) {
    let mut random = fastrand::Rng::with_seed(9);
    let mut counts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for _ in 0..rounds {
        pick(&mut random, &mut |member| *counts.entry(member.to_vec()).or_default() += 1);
    }
    let expected = (rounds * picks) as f64 / members as f64;
    assert_eq!(counts.values().sum::<usize>(), rounds * picks);
    assert_eq!(counts.len(), members);
    for (member, count) in counts {
        let away = (count as f64 - expected).abs() / expected.sqrt();
        assert!(away < 6.0, "{member:?} came {count} times, not {expected}");
    }
}

#[test]
fn every_member_has_the_same_chance() {
    let integers: Vec<Vec<u8>> = (0..40).map(|number: i32| number.to_string().into_bytes()).collect();
    for value in [
        build(&integers, WIDE),
        build(&numbered(0..40), WIDE),
        build_large(&numbered(0..40)),
        build_large(&numbered(0..1500)),
    ] {
        let set = view(&value);
        let len = set.len();
        check_fairness(len, 3 * len, 40, |rng, visit| random::repeated(set, 40, rng, visit));
        check_fairness(len, 8 * len, 1, |rng, visit| random::repeated(set, 1, rng, visit));
        for count in [len / 5, len / 2] {
            check_fairness(len, 400, count, |rng, visit| random::distinct(set, count, rng, visit));
        }
        check_fairness(len, 8 * len, 1, |rng, visit| {
            let copy = match &value {
                OwnedValue::Packed(form, bytes) => OwnedValue::Packed(*form, bytes.clone()),
                OwnedValue::Object(object) => OwnedValue::object(object.fork()),
            };
            let mut slot = OwnedSlot::new(copy, &seed());
            SetEditor::of_empty(&mut slot, WIDE).pop(rng, |member| visit(member.text()));
        });
    }
}

#[test]
fn distinct_picks_are_distinct() {
    let value = build_large(&numbered(0..1000));
    let mut rng = fastrand::Rng::with_seed(5);
    for count in [0, 1, 10, 333, 334, 999, 1000, 5000] {
        let mut found = Model::new();
        random::distinct(view(&value), count, &mut rng, |member| {
            assert!(found.insert(member.to_vec()));
        });
        assert_eq!(found.len(), count.min(1000));
    }
}

#[test]
fn a_set_that_is_emptied_gives_its_memory_back() {
    let mut set = Set::new(&seed());
    let members = numbered(0..20_000);
    members.iter().for_each(|member| assert!(set.add(member)));
    let full = set.memory_bytes();
    let mut rng = fastrand::Rng::with_seed(6);
    while set.len() > 100 {
        assert!(set.pop(&mut rng).is_some());
    }
    assert!(set.memory_bytes() < full / 50, "{} of {full} bytes", set.memory_bytes());
    let mut rounds = 0;
    while set.reclaim_step(10) {
        rounds += 1;
    }
    assert!(rounds > 0 && set.is_empty());
}

#[test]
fn values_are_built_and_adopted_in_the_form_that_suits() {
    let texts = numbered(0..129);
    let from = |members: &[Vec<u8>], count| {
        let value = from_members(members.iter().map(Vec::as_slice), count, WIDE, &seed());
        assert_eq!(model_of(view(&value)).len(), members.len());
        form_name(&value)
    };
    assert_eq!(from(&texts[..128], 128), "listpack");
    assert_eq!(from(&texts, 129), "hashtable");
    assert_eq!(from(&texts[..3], 600), "hashtable");
    assert_eq!(from(&[b"7".to_vec()], 1), "intset");
    let OwnedValue::Packed(form, bytes) = build(&texts[..100], WIDE) else {
        panic!("packed");
    };
    let adopted = adopt(form, bytes.clone(), WIDE, &seed()).expect("a set");
    assert_eq!(form_name(&adopted), "listpack");
    let adopted = adopt(form, bytes.clone(), SMALL, &seed()).expect("a set");
    assert_eq!(form_name(&adopted), "hashtable");
    assert_eq!(model_of(view(&adopted)), texts[..100].iter().cloned().collect());
    assert!(adopt(PackedForm::Hash, bytes, WIDE, &seed()).is_none());
}

#[test]
fn a_set_is_told_from_other_types() {
    let mut other = OwnedSlot::new(OwnedValue::Packed(PackedForm::List, vec![7, 0, 0, 0, 0, 0, 255]), &seed());
    assert!(SetRef::of(other.stored()).is_none());
    assert!(SetEditor::of(&mut other, WIDE).is_none());
}
