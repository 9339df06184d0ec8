//! Lists against a model, in all their forms and across conversions.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::collections::hash::HashSeed;
use crate::collections::listpack;
use crate::types::object::Object;
use crate::types::slot::{OwnedSlot, OwnedValue, PackedForm, Slot, Stored};

fn empty() -> OwnedSlot {
    let value = OwnedValue::Packed(PackedForm::List, listpack::create());
    OwnedSlot::new(value, &HashSeed::from_seed(1))
}

fn contents(list: ListRef<'_>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    list.walk(0, End::Front, |item| {
        all.push(item.with_bytes(<[u8]>::to_vec));
        ControlFlow::Continue(())
    });
    all
}

fn view(slot: &OwnedSlot) -> ListRef<'_> {
    ListRef::of(slot.stored()).expect("a list")
}

fn encoding(slot: &OwnedSlot) -> &'static str {
    match slot.stored() {
        Stored::Packed(form, _) => form.encoding_name(),
        Stored::Object(object) => object.encoding_name(),
        Stored::String => unreachable!(),
    }
}

/// Checks what must always hold of a large list.
fn check(list: &List) {
    let count = list.block_count();
    let blocks: Vec<&block::Block> = list.blocks(0..count).collect();
    assert_eq!(blocks.len(), count);
    assert_eq!(blocks.iter().map(|block| block.len()).sum::<usize>(), list.len());
    let bytes: usize = blocks.iter().map(|block| block.memory_bytes()).sum();
    assert_eq!(bytes, list.block_bytes, "the bytes of the blocks are counted");
    if !list.is_empty() {
        assert!(blocks.iter().all(|block| block.len() > 0), "no block is empty");
    }
    assert!(list.middle.is_empty() || list.back.is_some());
    let depth = list.limits.compress_depth as usize;
    for (number, block) in blocks.iter().enumerate() {
        let inner = depth > 0 && number >= depth && number + depth < count;
        assert!(inner || !block.is_compressed(), "block {number} of {count} is plain");
        let is_worth_it = || match block.open() {
            block::Open::Run(bytes) => compress::pack(&bytes).is_some(),
            block::Open::Large(bytes) => compress::pack(&bytes).is_some(),
        };
        if inner && !block.is_compressed() {
            assert!(!is_worth_it(), "block {number} of {count} is compressed");
        }
    }
    if list.is_compact {
        assert_eq!(count, 1);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Push(bool, Vec<Vec<u8>>),
    Pop(bool, usize),
    Insert(usize, Vec<u8>),
    Set(usize, Vec<u8>),
    Keep(usize, usize),
    Remove(bool, Vec<u8>, usize),
    Fork,
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (0..30i64).prop_map(|number| number.to_string().into_bytes()),
        1 => any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        3 => prop::collection::vec(b'a'..b'c', 0..4),
        3 => (b'a'..b'd', 20..200usize).prop_map(|(byte, length)| vec![byte; length]),
        1 => (b'a'..b'd', 200..9000usize).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (any::<bool>(), prop::collection::vec(text(), 1..30)).prop_map(|(end, texts)| Step::Push(end, texts)),
        3 => (any::<bool>(), 1..60usize).prop_map(|(end, count)| Step::Pop(end, count)),
        3 => (any::<usize>(), text()).prop_map(|(index, text)| Step::Insert(index, text)),
        3 => (any::<usize>(), text()).prop_map(|(index, text)| Step::Set(index, text)),
        1 => (0..20usize, any::<usize>()).prop_map(|(start, count)| Step::Keep(start, count)),
        2 => (any::<bool>(), text(), 1..20usize).prop_map(|(end, text, count)| Step::Remove(end, text, count)),
        1 => Just(Step::Fork),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let sizes = prop_oneof![Just(-2), Just(-1), Just(1), Just(3), Just(40), Just(0)];
    let large = prop_oneof![3 => Just(None), 1 => (1..300usize).prop_map(Some)];
    (sizes, 0..4u32, large).prop_map(|(max_listpack_size, compress_depth, large_bytes)| Limits {
        max_listpack_size,
        compress_depth,
        large_bytes,
    })
}

fn end(is_back: bool) -> End {
    if is_back { End::Back } else { End::Front }
}

fn remove_equal(model: &mut VecDeque<Vec<u8>>, from: End, text: &[u8], count: usize) -> usize {
    let mut places: Vec<usize> = (0..model.len()).filter(|index| model[*index] == text).collect();
    if from == End::Back {
        places.reverse();
    }
    places.truncate(count);
    places.sort_unstable();
    places.iter().rev().for_each(|place| {
        model.remove(*place);
    });
    places.len()
}

fn apply(step: &Step, slot: &mut OwnedSlot, model: &mut VecDeque<Vec<u8>>, limits: &Limits) {
    let mut list = ListEditor::of(slot, limits).expect("a list");
    match step {
        Step::Push(at, texts) => {
            let length = list.push(end(*at), texts.iter().map(Vec::as_slice));
            texts.iter().for_each(|text| match end(*at) {
                End::Front => model.push_front(text.clone()),
                End::Back => model.push_back(text.clone()),
            });
            assert_eq!(length, model.len());
        }
        Step::Pop(at, count) => {
            let mut popped = Vec::new();
            list.pop(end(*at), *count, |item| popped.push(item.with_bytes(<[u8]>::to_vec)));
            let expected = (0..*count).map_while(|_| match end(*at) {
                End::Front => model.pop_front(),
                End::Back => model.pop_back(),
            });
            assert_eq!(popped, expected.collect::<Vec<_>>());
            list.shrink();
        }
        Step::Insert(index, text) => {
            let index = index % (model.len() + 1);
            list.insert(index, text.as_slice());
            model.insert(index, text.clone());
        }
        Step::Set(index, text) if !model.is_empty() => {
            let index = index % model.len();
            list.set(index, text.as_slice());
            model[index].clone_from(text);
        }
        Step::Keep(start, count) if !model.is_empty() => {
            let start = start % model.len();
            let count = count % (model.len() - start) + 1;
            list.keep(start, count);
            model.truncate(start + count);
            model.drain(..start);
        }
        Step::Remove(from, text, count) => {
            let removed = list.remove_equal(text, end(*from), *count);
            assert_eq!(removed, remove_equal(model, end(*from), text, *count));
        }
        Step::Set(..) | Step::Keep(..) | Step::Fork => {}
    }
}

fn check_reads(list: ListRef<'_>, model: &VecDeque<Vec<u8>>) {
    assert_eq!(list.len(), model.len());
    assert_eq!(contents(list), model.iter().cloned().collect::<Vec<_>>());
    let mut backwards = Vec::new();
    list.walk(model.len().wrapping_sub(1), End::Back, |item| {
        backwards.push(item.with_bytes(<[u8]>::to_vec));
        ControlFlow::Continue(())
    });
    backwards.reverse();
    assert_eq!(backwards.len(), model.len());
    assert!(backwards.iter().eq(model.iter()));
    for index in (0..model.len()).step_by(7) {
        let found = list.with(index, |item| item.with_bytes(|bytes| bytes == model[index]));
        assert_eq!(found, Some(true));
    }
    assert!(list.with(model.len(), |_| ()).is_none());
    if let Some(text) = model.get(model.len() / 2) {
        for from in [End::Front, End::Back] {
            let mut found = Vec::new();
            list.find(text, from, usize::MAX, |index| {
                found.push(index);
                ControlFlow::Continue(())
            });
            found.sort_unstable();
            let expected = (0..model.len()).filter(|index| model[*index] == *text);
            assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_list_is_as_a_model_of_it(limits in limits(), steps in prop::collection::vec(step(), 1..60)) {
        let mut slot = empty();
        let mut model = VecDeque::new();
        let mut fork = None;
        for step in &steps {
            if let (Step::Fork, Stored::Object(object)) = (step, slot.stored()) {
                fork = Some((OwnedValue::object(object.fork()), model.clone()));
            }
            apply(step, &mut slot, &mut model, &limits);
            check_reads(view(&slot), &model);
            if let Stored::Object(Object::List(list)) = slot.stored() {
                check(list);
            }
        }
        if let Some((value, model)) = fork {
            let mut fork = OwnedSlot::new(value, &HashSeed::from_seed(1));
            check_reads(view(&fork), &model);
            // And it can be changed in its turn.
            let before = contents(view(&slot));
            let mut model = model;
            for step in &steps {
                apply(step, &mut fork, &mut model, &limits);
            }
            check_reads(view(&fork), &model);
            prop_assert_eq!(contents(view(&slot)), before);
        }
    }
}

fn push_all(slot: &mut OwnedSlot, limits: &Limits, texts: impl IntoIterator<Item = String>) {
    let mut list = ListEditor::of(slot, limits).expect("a list");
    for text in texts {
        list.push(End::Back, std::iter::once(text.as_bytes()));
    }
}

fn numbers(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("element:{number:08}"))
}

#[test]
fn the_form_follows_the_limits_as_in_redis() {
    let limits = Limits::default();
    let mut slot = empty();
    // 18 bytes each, of which 16 are text: the next one would make 8195 with its text.
    push_all(&mut slot, &limits, numbers(454));
    assert_eq!(encoding(&slot), "listpack");
    push_all(&mut slot, &limits, numbers(1));
    assert_eq!(encoding(&slot), "quicklist");
    let mut list = ListEditor::of(&mut slot, &limits).expect("a list");
    // It must come down to half of a block.
    list.keep(0, 228);
    assert_eq!(encoding(&slot), "quicklist", "4111 bytes");
    let mut list = ListEditor::of(&mut slot, &limits).expect("a list");
    list.keep(0, 227);
    assert_eq!(encoding(&slot), "listpack", "4093 bytes");
}

#[test]
fn a_small_list_lies_in_its_record() {
    let limits = Limits::default();
    let mut slot = empty();
    push_all(&mut slot, &limits, numbers(60));
    assert!(matches!(slot.stored(), Stored::Packed(PackedForm::List, _)));
    push_all(&mut slot, &limits, numbers(300));
    assert!(matches!(slot.stored(), Stored::Object(_)));
    assert_eq!(encoding(&slot), "listpack");
    let mut list = ListEditor::of(&mut slot, &limits).expect("a list");
    list.pop(End::Front, 310, |_| ());
    list.shrink();
    assert!(matches!(slot.stored(), Stored::Packed(PackedForm::List, _)));
    assert_eq!(view(&slot).len(), 50);
}

fn large(count: usize, limits: &Limits) -> List {
    let mut builder = ListBuilder::new(limits);
    numbers(count).for_each(|text| builder.push(&text.as_bytes()));
    match builder.finish() {
        OwnedValue::Object(object) => match *object {
            Object::List(list) => list,
            _ => unreachable!(),
        },
        OwnedValue::Packed(..) => panic!("it is large"),
    }
}

#[test]
fn a_million_elements_take_little_more_than_their_bytes() {
    let mut slot = empty();
    let limits = Limits::default();
    push_all(&mut slot, &limits, (0..100_000).map(|number| format!("{number:032}")));
    let Stored::Object(object) = slot.stored() else {
        panic!("it is large");
    };
    assert!(object.memory_bytes() < 3_500_000, "{}", object.memory_bytes());
}

#[test]
fn inner_blocks_are_compressed_as_deep_as_asked_for() {
    let limits = Limits { compress_depth: 1, ..Limits::default() };
    let list = large(10_000, &limits);
    check(&list);
    assert!(list.memory_bytes() < 100_000, "{}", list.memory_bytes());
    assert_eq!(contents(ListRef::Large(&list)).len(), 10_000);
}

#[test]
fn a_block_that_is_cut_in_two_stays_compressed() {
    let limits = Limits { max_listpack_size: 40, compress_depth: 1, large_bytes: None };
    let mut list = large(40 * 13, &limits);
    for index in [40 * 6 + 20, 40 * 2 + 1, 40 * 11 + 39] {
        list.insert(index, &b"between".as_slice(), false);
        check(&list);
        list.set(index + 4, &b"large".as_slice(), true);
        check(&list);
    }
    assert_eq!(list.len(), 40 * 13 + 3);
}

#[test]
fn forks_change_apart() {
    let mut list = large(10_000, &Limits::default());
    let before = contents(ListRef::Large(&list));
    let mut fork = list.fork();
    list.remove_range(100, 5000);
    fork.set(5000, &b"changed".as_slice(), false);
    fork.push(End::Front, &b"new".as_slice(), false);
    assert_eq!(list.len(), 5000);
    let mut expected = before.clone();
    expected.drain(100..5100);
    assert_eq!(contents(ListRef::Large(&list)), expected);
    let mut expected = before;
    expected[5000] = b"changed".to_vec();
    expected.insert(0, b"new".to_vec());
    assert_eq!(contents(ListRef::Large(&fork)), expected);
    check(&list);
    check(&fork);
}

#[test]
fn a_list_is_freed_in_steps() {
    let mut list = large(10_000, &Limits::default());
    let mut steps = 0;
    while list.reclaim_step(1000) {
        steps += 1;
    }
    assert!((4..20).contains(&steps), "{steps}");
    assert!(list.is_empty());
}

#[test]
fn blocks_from_elsewhere_make_the_same_list() {
    for (count, expected) in [(10, "listpack"), (300, "listpack"), (5000, "quicklist")] {
        let mut slot = empty();
        push_all(&mut slot, &Limits::default(), numbers(count));
        let mut builder = ListBuilder::new(&Limits::default());
        for block in view(&slot).blocks() {
            match block {
                BlockRef::Run(listpack) => builder.push_listpack(listpack.bytes().to_vec()),
                BlockRef::Large(bytes) => builder.push_large(Bytes::clone(bytes)),
                BlockRef::Compressed { .. } => unreachable!(),
            }
        }
        let made = OwnedSlot::new(builder.finish(), &HashSeed::from_seed(1));
        assert_eq!(contents(view(&made)), contents(view(&slot)));
        assert_eq!(encoding(&made), expected);
    }
    // A listpack that no list of ours would have.
    let mut giant = listpack::Builder::new();
    (0..200_000).for_each(|number| giant.push_integer(number % 100));
    let mut builder = ListBuilder::new(&Limits::default());
    builder.push_listpack(giant.finish());
    let made = OwnedSlot::new(builder.finish(), &HashSeed::from_seed(1));
    assert_eq!(view(&made).len(), 200_000);
}
