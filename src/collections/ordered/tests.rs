//! Tests against plain vectors: of all operations at random, of forks, of memory and of freeing in slices.

use super::memory::{Entry, Node, View};
use super::*;
use crate::collections::heap;
use proptest::prelude::*;
use std::num::NonZeroU64;
use std::rc::Rc;

/// An item so large that few fit into a node: a small tree is deep. It counts its owners.
#[derive(Clone, Debug)]
struct Wide {
    key: u32,
    weight: usize,
    _alive: Rc<()>,
    _room: [u64; 30],
}

impl Item for Wide {
    type Weight = Weighted;

    fn weight(&self) -> usize {
        self.weight
    }
}

/// An item as of a sorted set.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scored {
    score: f64,
    member: NonZeroU64,
}

impl Item for Scored {
    type Weight = Single;
}

struct Source {
    alive: Rc<()>,
}

impl Source {
    fn wide(&self, key: u32, weight: usize) -> Wide {
        Wide { key, weight, _alive: self.alive.clone(), _room: [0; 30] }
    }
}

/// Checks what must always hold, below a node; gives the sum and the bytes that are there.
fn check_node<T: Item>(node: &Node<T>) -> (SumOf<T>, usize) {
    assert!(!node.is_overfull());
    match node.view() {
        View::Leaf(items) => {
            assert!(!items.is_empty());
            (node.sum(), node.bytes())
        }
        View::Inner(entries) => {
            assert!(entries.len() >= 2);
            let mut bytes = 0;
            for (place, entry) in entries.iter().enumerate() {
                assert_eq!(entry.item.is_some(), place + 1 < entries.len());
                assert_eq!(entry.child.height() + 1, node.height());
                let (sum, below) = check_node(&entry.child);
                assert_eq!(sum.count, entry.child_sum().count);
                assert_eq!(sum.weight(), entry.child_sum().weight());
                bytes += below;
            }
            let own = heap::class_size(16 + size_of_val(entries));
            assert!((own..own + 10 * size_of::<Entry<T>>()).contains(&(node.bytes() - bytes)));
            (node.sum(), node.bytes())
        }
    }
}

fn check<T: Item>(tree: &Ordered<T>) {
    if let Some(root) = &tree.root {
        let (sum, bytes) = check_node(root);
        assert_eq!(sum.count, tree.len());
        assert_eq!(sum.weight(), tree.weight());
        assert_eq!(bytes, tree.memory_bytes());
    } else {
        assert_eq!((tree.len(), tree.weight()), (0, 0));
    }
}

/// The tree holds just these, whichever way it is asked.
fn check_equal(tree: &Ordered<Wide>, model: &[(u32, usize)]) {
    check(tree);
    assert_eq!(tree.len(), model.len());
    let pair = |item: &Wide| (item.key, item.weight);
    assert!(tree.iter().map(pair).eq(model.iter().copied()));
    assert!(tree.iter().rev().map(pair).eq(model.iter().rev().copied()));
    assert_eq!(tree.first().map(pair), model.first().copied());
    assert_eq!(tree.last().map(pair), model.last().copied());
    let mut before = 0;
    for (index, &(key, weight)) in model.iter().enumerate() {
        assert_eq!(tree.at(index).map(pair), Some((key, weight)));
        assert_eq!(tree.weight_before(index), before);
        for within in [0, weight.saturating_sub(1)] {
            if within < weight {
                let found = tree.at_weight(before + within).expect("within");
                assert_eq!((found.index, found.within), (index, within));
                assert_eq!(pair(found.item), (key, weight));
            }
        }
        before += weight;
    }
    assert_eq!(tree.weight(), before);
    assert!(tree.at(model.len()).is_none());
    assert!(tree.at_weight(before).is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u32, usize),
    Remove(u32),
    Update(u32, usize),
    PushFront(usize),
    PushBack(usize),
    PopFront,
    PopBack,
    RemoveAt(usize),
    InsertAt(usize, usize),
    RemoveRange(usize, usize),
    SplitAndAppend(usize),
    Swap,
    Fork,
    Take(usize),
}

fn steps() -> impl Strategy<Value = Step> {
    let key = 0u32..400;
    let index = 0usize..300;
    let weight = 0usize..5;
    prop_oneof![
        30 => (key.clone(), weight.clone()).prop_map(|(key, weight)| Step::Insert(key, weight)),
        10 => key.clone().prop_map(Step::Remove),
        4 => (key, weight.clone()).prop_map(|(key, weight)| Step::Update(key, weight)),
        5 => weight.clone().prop_map(Step::PushFront),
        5 => weight.clone().prop_map(Step::PushBack),
        2 => Just(Step::PopFront),
        2 => Just(Step::PopBack),
        4 => index.clone().prop_map(Step::RemoveAt),
        2 => (index.clone(), weight).prop_map(|(index, weight)| Step::InsertAt(index, weight)),
        2 => (index.clone(), 0usize..40).prop_map(|(start, len)| Step::RemoveRange(start, len)),
        1 => index.clone().prop_map(Step::SplitAndAppend),
        1 => Just(Step::Swap),
        2 => Just(Step::Fork),
        1 => (0usize..30).prop_map(Step::Take),
    ]
}

type Model = Vec<(u32, usize)>;

/// One step on both; keys stay in order, so that a probe finds them.
fn run(step: &Step, source: &Source, tree: &mut Ordered<Wide>, model: &mut Model) {
    let pair = |item: Wide| (item.key, item.weight);
    match *step {
        Step::Insert(key, weight) => {
            let key = key + 1000;
            let old = tree.insert(source.wide(key, weight), |a, b| a.key.cmp(&b.key));
            match model.binary_search_by_key(&key, |item| item.0) {
                Ok(place) => {
                    let old_weight = std::mem::replace(&mut model[place].1, weight);
                    assert_eq!(old.map(pair), Some((key, old_weight)));
                }
                Err(place) => {
                    model.insert(place, (key, weight));
                    assert!(old.is_none());
                }
            }
        }
        Step::Remove(key) => {
            let key = key + 1000;
            let found = model.binary_search_by_key(&key, |item| item.0);
            let removed = tree.remove(|item| item.key.cmp(&key)).map(pair);
            assert_eq!(removed, found.ok().map(|place| model.remove(place)));
        }
        Step::Update(key, weight) => {
            let key = key + 1000;
            let found = model.binary_search_by_key(&key, |item| item.0);
            let probe = |item: &Wide| item.key.cmp(&key);
            assert_eq!(tree.search(probe), found);
            let updated = tree.update(probe, |item| item.weight = weight);
            assert_eq!(updated.is_some(), found.is_ok());
            if let Ok(place) = found {
                model[place].1 = weight;
            }
        }
        Step::PushFront(weight) => {
            let key = model.first().map_or(1000, |item| item.0 - 1);
            tree.push_front(source.wide(key, weight));
            model.insert(0, (key, weight));
        }
        Step::PushBack(weight) => {
            let key = model.last().map_or(1000, |item| item.0 + 1);
            tree.push_back(source.wide(key, weight));
            model.push((key, weight));
        }
        Step::PopFront => {
            let first = (!model.is_empty()).then(|| model.remove(0));
            assert_eq!(tree.pop_front().map(pair), first);
        }
        Step::PopBack => assert_eq!(tree.pop_back().map(pair), model.pop()),
        _ => run_by_index(step, source, tree, model),
    }
}

fn run_by_index(step: &Step, source: &Source, tree: &mut Ordered<Wide>, model: &mut Model) {
    let pair = |item: Wide| (item.key, item.weight);
    match *step {
        Step::RemoveAt(index) => {
            let removed = (index < model.len()).then(|| model.remove(index));
            assert_eq!(tree.remove_at(index).map(pair), removed);
        }
        Step::InsertAt(index, weight) => {
            let index = index.min(model.len());
            let key = index.checked_sub(1).map_or(999, |before| model[before].0);
            tree.insert_at(index, source.wide(key, weight));
            model.insert(index, (key, weight));
            assert!(tree.remove_at(index).is_some());
            model.remove(index);
            assert_eq!(tree.replace_at(index, source.wide(key, weight)).is_some(), index < model.len());
            if index < model.len() {
                tree.update_at(index, |item| (item.key, item.weight) = model[index]);
            }
        }
        Step::RemoveRange(start, len) => {
            let removed = tree.remove_range(start..start + len);
            let start = start.min(model.len());
            let end = (start + len).min(model.len());
            let expected: Vec<_> = model.drain(start..end).collect();
            check_equal(&removed, &expected);
        }
        Step::SplitAndAppend(index) => {
            let index = index.min(model.len());
            let tail = tree.split_off(index);
            check_equal(tree, &model[..index]);
            check_equal(&tail, &model[index..]);
            tree.append(tail);
        }
        Step::Take(max_items) => {
            let mut reclaim = tree.take();
            let mut rounds = 0;
            while reclaim.step(max_items + 1) {
                rounds += 1;
                assert!(rounds <= 2 * model.len());
            }
            model.clear();
        }
        _ => {}
    }
}

const ROUNDS: usize = if cfg!(miri) { 25 } else { 600 };

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_vectors(steps in prop::collection::vec(steps(), 0..ROUNDS)) {
        let source = Source { alive: Rc::new(()) };
        let bytes = heap::allocated_bytes();
        let mut forks: Vec<(Ordered<Wide>, Model)> = vec![(Ordered::new(), Vec::new())];
        for (round, step) in steps.iter().enumerate() {
            let count = forks.len();
            match step {
                Step::Fork => {
                    let (tree, model) = &forks[0];
                    let fork = (tree.fork(), model.clone());
                    forks.push(fork);
                    if count > 3 {
                        forks.remove(1);
                    }
                }
                Step::Swap => forks.swap(0, count - 1),
                step => {
                    let (tree, model) = &mut forks[0];
                    run(step, &source, tree, model);
                }
            }
            if round % 16 == 0 {
                for (tree, model) in &forks {
                    check_equal(tree, model);
                }
            }
        }
        for (tree, model) in &forks {
            check_equal(tree, model);
        }
        drop(forks);
        prop_assert_eq!(Rc::strong_count(&source.alive), 1);
        prop_assert_eq!(heap::allocated_bytes(), bytes);
    }
}

fn by_score(left: &Scored, right: &Scored) -> Ordering {
    let scores = left.score.total_cmp(&right.score);
    scores.then(left.member.cmp(&right.member))
}

fn scored(score: f64, number: u64) -> Scored {
    Scored { score, member: NonZeroU64::MIN.saturating_add(number) }
}

impl Scored {
    fn number(&self) -> u64 {
        self.member.get() - 1
    }
}

const MANY: u64 = if cfg!(miri) { 300 } else { 200_000 };

#[test]
fn random_inserts_take_a_seventh_more_than_the_items() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut tree = Ordered::new();
    let items: Vec<Scored> = (0..MANY).map(|member| scored(random.f64(), member)).collect();
    for &item in &items {
        assert_eq!(tree.insert(item, by_score), None);
    }
    check(&tree);
    if !cfg!(miri) {
        let share = tree.memory_bytes() as f64 / (16.0 * MANY as f64);
        assert!(share < 1.2, "{share}");
    }
    let mut sorted = items.clone();
    sorted.sort_by(by_score);
    assert!(tree.iter().eq(&sorted));
    for (rank, item) in sorted.iter().enumerate().step_by(7) {
        assert_eq!(tree.rank(|other| by_score(other, item)), Some(rank));
        assert_eq!(tree.lower_bound(|other| by_score(other, item)), rank);
        assert_eq!(tree.upper_bound(|other| by_score(other, item)), rank + 1);
        assert_eq!(tree.get(|other| by_score(other, item)), Some(item));
    }
    for (round, item) in items.iter().enumerate() {
        assert_eq!(tree.remove(|other| by_score(other, item)), Some(*item));
        if round % (MANY as usize / 8) == 0 {
            check(&tree);
            let share = tree.memory_bytes() as f64 / (16.0 * tree.len() as f64);
            assert!(share < 1.35 || tree.len() < 1000, "{share}");
        }
    }
    assert_eq!(tree.memory_bytes(), 0);
}

#[test]
fn items_added_in_order_fill_the_leaves() {
    let item = |member| scored(0.0, member);
    let mut ascending = Ordered::new();
    let mut descending = Ordered::new();
    for member in 0..MANY {
        ascending.insert(item(member), by_score);
        descending.insert(item(MANY - 1 - member), by_score);
    }
    let built = Ordered::from_sorted((0..MANY).map(item));
    for tree in [ascending, descending, built] {
        check(&tree);
        assert!(tree.iter().copied().eq((0..MANY).map(item)));
        if !cfg!(miri) {
            let share = tree.memory_bytes() as f64 / (16.0 * MANY as f64);
            assert!(share < 1.05, "{share}");
        }
    }
}

#[test]
fn a_write_to_a_fork_copies_a_path() {
    let mut random = fastrand::Rng::with_seed(2);
    let items = (0..MANY).map(|member| scored(0.0, member));
    let mut tree = Ordered::from_sorted(items);
    let fork = tree.fork();
    let before = heap::allocated_bytes();
    tree.update_at(random.usize(..tree.len()), |item| item.score += 0.0);
    let copied = heap::allocated_bytes() - before;
    assert!(copied < 8 * 1024, "{copied}");
    assert_eq!(fork.len(), tree.len());
}

#[test]
fn a_tree_is_freed_in_slices_that_stay_small() {
    let source = Source { alive: Rc::new(()) };
    let items = (0..MANY as u32 / 50).map(|key| source.wide(key, 1));
    let mut tree = Ordered::from_sorted(items);
    let fork = tree.fork();
    let mut shared = tree.take();
    assert!(!shared.step(1), "a shared root is let go of at once");
    let mut tree = fork;
    let mut reclaim = tree.take();
    let mut alive = Rc::strong_count(&source.alive);
    while reclaim.step(20) {
        let now = Rc::strong_count(&source.alive);
        assert!(alive - now <= 20 + 5);
        alive = now;
    }
    assert_eq!(Rc::strong_count(&source.alive), 1);
    assert!(tree.is_empty());
}

#[test]
fn ranges_take_any_bounds() {
    let items = (0..1000).map(|member| scored(0.0, member));
    let tree = Ordered::from_sorted(items);
    let members = |range: Range<'_, Scored>| range.map(Scored::number).collect::<Vec<_>>();
    assert_eq!(members(tree.range(998..)), [998, 999]);
    assert_eq!(members(tree.range(..=1)), [0, 1]);
    let (start, end) = (5, 3);
    assert_eq!(members(tree.range(start..end)), [0; 0]);
    assert_eq!(members(tree.range(1000..)), [0; 0]);
    let mut both = tree.range(100..400);
    let mut front = 100;
    let mut back = 400;
    while let Some(item) = both.next() {
        assert_eq!(item.number(), front);
        front += 1;
        if front % 3 == 0
            && let Some(item) = both.next_back()
        {
            back -= 1;
            assert_eq!(item.number(), back);
        }
        assert_eq!(both.len() as u64, back - front);
    }
    assert_eq!(front, back);
    let mut some = tree.range(10..900);
    for skipped in [0, 3, 70, 200, 600, 5] {
        let mut slow = some.clone();
        let expected = slow.by_ref().take(skipped + 1).collect::<Vec<_>>();
        assert_eq!(some.nth(skipped), expected.get(skipped).copied());
    }
    let mut chunks = tree.range(30..720);
    let mut seen = 30;
    while let [first, ..] = chunks.ahead() {
        assert_eq!(first.number(), seen);
        let count = chunks.ahead().len();
        seen += count as u64;
        chunks.nth(count - 1);
    }
    assert_eq!(seen, 720);
}
