//! The stream against a plain model, its copies, its parts, and hostile blocks.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::storage::rdb::check_stream_node;

const LIMITS: NodeLimits = NodeLimits { bytes: 300, entries: 5 };

/// Whether a file's reader takes the block.
fn is_sound(first: Id, bytes: &[u8]) -> bool {
    check_stream_node((first.ms, first.seq), bytes, None).is_ok()
}

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn append(stream: &mut Stream, id: Id, fields: &Fields, limits: NodeLimits) -> bool {
    let fields = fields.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    stream.entries.append(id, fields, limits).is_ok()
}

fn add(stream: &mut Stream, ms: u64) {
    let fields = vec![(b"field".to_vec(), ms.to_string().into_bytes())];
    assert!(append(stream, Id::new(ms, 0), &fields, LIMITS));
}

fn stream_of(count: u64) -> Stream {
    let mut stream = Stream::default();
    (1..=count).for_each(|ms| add(&mut stream, ms));
    stream
}

fn contents(entry: Entry<'_>) -> (Id, Fields) {
    let pairs = entry.pairs;
    let fields = pairs.map(|(name, value)| (name.to_vec(), value.to_vec()));
    (entry.id, fields.collect())
}

fn all(stream: &Stream) -> Vec<(Id, Fields)> {
    stream.entries.iter().map(contents).collect()
}

fn ids(stream: &Stream) -> Vec<u64> {
    stream.entries.iter().map(|entry| entry.id.ms).collect()
}

#[derive(Clone, Debug)]
enum Step {
    Append(u64, u64, Fields),
    Delete(prop::sample::Index),
    Trim(Threshold, bool, usize),
    Range(u64, u64),
    Fork,
}

fn fields() -> impl Strategy<Value = Fields> {
    let name = prop_oneof![Just(b"field".to_vec()), Just(b"12".to_vec()), Just(Vec::new())];
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..80),
    ];
    prop::collection::vec((name, value), 1..4)
}

fn step() -> impl Strategy<Value = Step> {
    let threshold = prop_oneof![
        (0usize..30).prop_map(Threshold::Length),
        (0u64..60, 0u64..3).prop_map(|(ms, seq)| Threshold::Below(Id::new(ms, seq))),
    ];
    prop_oneof![
        8 => (0u64..3, 0u64..3, fields()).prop_map(|(ms, seq, fields)| Step::Append(ms, seq, fields)),
        3 => any::<prop::sample::Index>().prop_map(Step::Delete),
        1 => (threshold, any::<bool>(), 0usize..30)
            .prop_map(|(threshold, is_approximate, limit)| Step::Trim(threshold, is_approximate, limit)),
        2 => (0u64..60, 0u64..60).prop_map(|(start, end)| Step::Range(start, end)),
        1 => Just(Step::Fork),
    ]
}

/// The stream and what it ought to hold.
#[derive(Default)]
struct Pair {
    stream: Stream,
    model: BTreeMap<Id, Fields>,
}

impl Pair {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Append(ms, seq, fields) => {
                let last = self.stream.entries.last_id;
                let id = Id::new(last.ms + ms, seq);
                let is_added = append(&mut self.stream, id, &fields, LIMITS);
                assert_eq!(is_added, id > last);
                if is_added {
                    self.model.insert(id, fields);
                }
            }
            Step::Delete(index) => {
                if let Some(id) = (!self.model.is_empty()).then(|| index.index(self.model.len())) {
                    let id = *self.model.keys().nth(id).expect("within the model");
                    assert!(self.stream.entries.delete(id));
                    assert!(!self.stream.entries.delete(id));
                    assert!(self.stream.entries.max_deleted_id >= id);
                    self.model.remove(&id);
                }
            }
            Step::Trim(threshold, is_approximate, limit) => {
                self.trim(threshold, is_approximate, limit * usize::from(is_approximate));
            }
            Step::Range(start, end) => {
                let (start, end) = (Id::new(start, 1), Id::new(end, 1));
                let within = |id: &Id| (start..=end).contains(id);
                let expected: Vec<Id> = self.model.keys().copied().filter(within).collect();
                let range = self.stream.entries.range(start, end);
                let found: Vec<Id> = range.map(|entry| entry.id).collect();
                assert_eq!(found, expected);
                let range = self.stream.entries.range(start, end);
                let found: Vec<Id> = range.rev().map(|entry| entry.id).collect();
                assert!(found.iter().eq(expected.iter().rev()));
            }
            Step::Fork => {
                let fork = self.stream.fork();
                let before = all(&self.stream);
                for ms in 1..8 {
                    let id = Id::new(self.stream.entries.last_id.ms + ms, 0);
                    self.apply(Step::Append(ms, 0, vec![(Vec::new(), Vec::new())]));
                    assert!(self.stream.entries.contains(id) || ms > 0);
                }
                assert_eq!(all(&fork), before);
            }
        }
    }

    fn trim(&mut self, threshold: Threshold, is_approximate: bool, limit: usize) {
        let trim = Trim { threshold, is_approximate, limit, references: References::Keep };
        let exact = match threshold {
            Threshold::Length(length) => self.model.len().saturating_sub(length),
            Threshold::Below(id) => self.model.keys().filter(|key| **key < id).count(),
        };
        let trimmed = self.stream.trim(&trim).entries;
        if is_approximate {
            assert!(trimmed <= exact && (limit == 0 || trimmed <= limit));
            assert!(limit > 0 || trimmed + LIMITS.entries >= exact);
        } else {
            assert_eq!(trimmed, exact);
        }
        for _ in 0..trimmed {
            self.model.pop_first();
        }
    }

    fn check(&self) {
        let entries = &self.stream.entries;
        assert_eq!(entries.len(), self.model.len());
        assert_eq!(entries.first_id(), self.model.keys().next().copied().unwrap_or_default());
        assert_eq!(entries.last_live_id(), self.model.keys().last().copied());
        let expected: Vec<(Id, Fields)> = self.model.iter().map(|(id, fields)| (*id, fields.clone())).collect();
        assert_eq!(all(&self.stream), expected);
        for block in entries.iter_blocks() {
            assert!(is_sound(block.first, block.bytes));
        }
        let blocks = entries.iter_blocks().map(|block| (block.first, block.bytes));
        let again = Stream::from_parts(blocks, &entries.history()).expect("its own parts");
        assert_eq!(all(&again), expected);
        assert_eq!(again.entries.history(), entries.history());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_stream_is_what_was_added_and_not_removed(steps in prop::collection::vec(step(), 1..60)) {
        let mut pair = Pair::default();
        for step in steps {
            pair.apply(step);
            pair.check();
        }
    }

    /// Whatever passes the check can be read, and deleted from, without a panic.
    #[test]
    fn hostile_blocks_are_found_out(
        entries in prop::collection::vec(fields(), 1..5),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut stream = Stream::default();
        for (ms, fields) in entries.iter().enumerate() {
            append(&mut stream, Id::new(ms as u64 + 1, 0), fields, NodeLimits { bytes: 0, entries: 0 });
        }
        let block = stream.entries.iter_blocks().next().expect("one block");
        let mut bytes = block.bytes.to_vec();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        if is_sound(Id::new(1, 0), &bytes) {
            let history = stream.entries.history();
            let mut read = Stream::from_parts([(Id::new(1, 0), &bytes)], &history).expect("one block");
            let found: Vec<Id> = read.entries.iter().map(|entry| contents(entry).0).collect();
            assert!(read.entries.iter().rev().count() <= bytes.len());
            for id in found {
                read.entries.delete(id);
            }
        }
    }
}

#[test]
fn blocks_hold_what_the_limits_say() {
    let stream = stream_of(23);
    assert_eq!(stream.entries.blocks(), 5);
    let mut stream = Stream::default();
    let fields = vec![(b"f".to_vec(), vec![b'x'; 200])];
    for ms in 1..=4 {
        let limits = NodeLimits { bytes: 300, entries: 0 };
        assert!(append(&mut stream, Id::new(ms, 0), &fields, limits));
    }
    assert_eq!(stream.entries.blocks(), 4);
    let limits = NodeLimits { bytes: 0, entries: 0 };
    assert!(append(&mut stream, Id::new(5, 0), &fields, limits));
    assert_eq!(stream.entries.blocks(), 4, "the last block is open still");
}

/// As Redis 7.0.15 stores it: `XADD s 1-1 a 1`, `XADD s 1-2 a x`, `XADD s 3-0 b 300`, `XDEL s 1-2`.
#[test]
fn a_block_has_the_bytes_that_redis_writes() {
    let mut stream = Stream::default();
    for (id, name, value) in [(Id::new(1, 1), "a", "1"), (Id::new(1, 2), "a", "x"), (Id::new(3, 0), "b", "300")] {
        let fields = vec![(name.as_bytes().to_vec(), value.as_bytes().to_vec())];
        assert!(append(&mut stream, id, &fields, LIMITS));
    }
    assert!(stream.entries.delete(Id::new(1, 2)));
    let block = stream.entries.iter_blocks().next().expect("one block");
    assert_eq!(block.first, Id::new(1, 1));
    let expected: &[&[u8]] = &[
        &[56, 0, 0, 0, 22, 0],
        // Two live entries, one deleted, one field.
        &[2, 1, 1, 1, 1, 1, 0x81, b'a', 2, 0, 1],
        &[2, 1, 0, 1, 0, 1, 1, 1, 4, 1],
        &[3, 1, 0, 1, 1, 1, 0x81, b'x', 2, 4, 1],
        &[0, 1, 2, 1, 0xDF, 0xFF, 2, 1, 1, 0x81, b'b', 2, 0xC1, 0x2C, 2, 6, 1],
        &[0xFF],
    ];
    assert_eq!(block.bytes, expected.concat());
}

#[test]
fn a_block_without_live_entries_goes_when_one_is_deleted() {
    let mut stream = stream_of(12);
    for ms in 6..=10 {
        assert!(stream.entries.delete(Id::new(ms, 0)));
    }
    assert_eq!(stream.entries.blocks(), 2);
    for ms in [11, 12] {
        assert!(stream.entries.delete(Id::new(ms, 0)));
    }
    assert_eq!(stream.entries.blocks(), 1);
    add(&mut stream, 13);
    assert_eq!(stream.entries.blocks(), 2, "the first block was full");
    assert_eq!(ids(&stream), [1, 2, 3, 4, 5, 13]);
}

#[test]
fn groups_and_consumers_are_kept_apart_by_forks() {
    let mut stream = stream_of(10);
    assert!(stream.groups.create(b"g", Id::MIN, None));
    assert!(!stream.groups.create(b"g", Id::MIN, None));
    let ids: Vec<Id> = (1..=10).map(|ms| Id::new(ms, 0)).collect();
    stream.groups.edit(b"g", |group| {
        assert!(group.see_consumer(b"c", 5));
        group.deliver(&ids[..6], b"c", 5);
    });
    let mut fork = stream.fork();
    stream.groups.edit(b"g", |group| {
        assert!(group.acknowledge(ids[2]).is_some());
        assert!(group.acknowledge(ids[2]).is_none());
        group.see_consumer(b"d", 6);
        group.deliver(&ids[4..], b"d", 6);
        group.assign(ids[0], b"d", 7, 9);
    });
    let pending = |stream: &Stream, name: &[u8]| -> Vec<u64> {
        let group = stream.groups.get(b"g").expect("the group");
        let consumer = group.consumer(name);
        consumer.map_or(Vec::new(), |consumer| consumer.pending().iter().map(|id| id.ms).collect())
    };
    assert_eq!(pending(&stream, b"c"), [2, 4]);
    assert_eq!(pending(&stream, b"d"), [1, 5, 6, 7, 8, 9, 10]);
    assert_eq!(pending(&fork, b"c"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(pending(&fork, b"d"), [0; 0]);
    let removed = fork.groups.edit(b"g", |group| group.remove_consumer(b"c"));
    assert_eq!(removed, Some(Some(6)));
    assert_eq!(fork.groups.pending(), 0);
    assert_eq!(stream.groups.pending(), 9);
    assert!(stream.groups.need(Id::new(5, 0)));
    assert!(stream.groups.forget(Id::new(5, 0)));
    assert!(!stream.groups.forget(Id::new(5, 0)));
}

fn group_parts() -> GroupParts {
    let consumer = |name: &[u8], pending: &[u64]| ConsumerParts {
        name: name.to_vec(),
        seen_ms: 1,
        active_ms: Some(2),
        pending: pending.iter().map(|ms| Id::new(*ms, 0)).collect(),
    };
    GroupParts {
        name: b"g".to_vec(),
        last_id: Id::new(5, 0),
        entries_read: Some(5),
        pending: (1..=3).map(|ms| (Id::new(ms, 0), 7, ms)).collect(),
        released: Vec::new(),
        consumers: vec![consumer(b"a", &[1, 3]), consumer(b"b", &[2])],
    }
}

#[test]
fn groups_are_put_together_from_parts() {
    let mut stream = stream_of(5);
    assert_eq!(stream.add_group(group_parts()), Ok(()));
    let group = stream.groups.get(b"g").expect("the group");
    let owner = group.pending_entry(Id::new(3, 0)).expect("pending");
    assert_eq!((owner.consumer(), owner.deliveries), (&b"a"[..], 3));
    assert_eq!(stream.add_group(group_parts()), Err(PartsError::DuplicateName));
    let wrong = |change: fn(&mut GroupParts)| {
        let mut parts = group_parts();
        parts.name = b"h".to_vec();
        change(&mut parts);
        stream_of(5).add_group(parts)
    };
    assert_eq!(wrong(|parts| parts.pending.swap(0, 1)), Err(PartsError::PendingOrder));
    assert_eq!(wrong(|parts| parts.consumers[0].pending.swap(0, 1)), Err(PartsError::PendingOrder));
    let released = wrong(|parts| {
        parts.released = parts.consumers.pop().expect("a consumer").pending;
    });
    assert_eq!(released, Ok(()));
    assert_eq!(wrong(|parts| drop(parts.consumers.pop())), Err(PartsError::WrongOwner));
    assert_eq!(wrong(|parts| parts.consumers[1].pending[0] = Id::new(3, 0)), Err(PartsError::WrongOwner));
    assert_eq!(wrong(|parts| parts.consumers[1].pending[0] = Id::new(4, 0)), Err(PartsError::NotGivenOut));
    assert_eq!(wrong(|parts| parts.consumers[1].name = b"a".to_vec()), Err(PartsError::DuplicateName));
}

#[test]
fn blocks_out_of_order_make_no_stream() {
    let stream = stream_of(10);
    let mut blocks: Vec<(Id, Vec<u8>)> =
        stream.entries.iter_blocks().map(|block| (block.first, block.bytes.to_vec())).collect();
    blocks.reverse();
    let result = Stream::from_parts(blocks, &stream.entries.history());
    assert_eq!(result.err(), Some(PartsError::BlockOrder));
}

#[test]
fn a_stream_is_freed_in_steps() {
    let mut stream = stream_of(2000);
    stream.groups.create(b"g", Id::MIN, None);
    let ids: Vec<Id> = (1..=2000).map(|ms| Id::new(ms, 0)).collect();
    stream.groups.edit(b"g", |group| {
        group.see_consumer(b"c", 0);
        group.deliver(&ids, b"c", 0);
    });
    assert_eq!(stream.free_effort(), 4000);
    assert!(stream.memory_bytes() > 2000 * 60);
    let mut steps = 1;
    while stream.reclaim_step(128) {
        steps += 1;
    }
    assert!((30..600).contains(&steps), "{steps}");
    assert_eq!(stream.free_effort(), 2000, "only the number is left");
}

/// The examples of Redis's documentation and of its tests on lag.
#[test]
fn progress_is_known_where_nothing_was_deleted() {
    let mut stream = stream_of(5);
    let entries = &stream.entries;
    assert_eq!(entries.distance_from_first_ever(Id::MIN), Some(0));
    assert_eq!(entries.distance_from_first_ever(Id::new(1, 0)), Some(1));
    assert_eq!(entries.distance_from_first_ever(Id::new(2, 0)), None);
    assert_eq!(entries.distance_from_first_ever(Id::new(5, 0)), Some(5));
    assert_eq!(entries.distance_from_first_ever(Id::new(6, 0)), None);
    stream.groups.create(b"g", Id::MIN, None);
    let read = |stream: &mut Stream, ms: u64| {
        let Stream { entries, groups, .. } = stream;
        groups.edit(b"g", |group| {
            entries.advance(group, Id::new(ms, 0));
            (group.entries_read, entries.lag(group))
        })
    };
    assert_eq!(read(&mut stream, 1), Some((Some(1), Some(4))));
    assert_eq!(read(&mut stream, 2), Some((Some(2), Some(3))));
    stream.entries.delete(Id::new(4, 0));
    let group = stream.groups.get(b"g").expect("the group");
    assert_eq!(stream.entries.lag(group), None);
    assert_eq!(read(&mut stream, 3), Some((None, None)));
    assert_eq!(read(&mut stream, 5), Some((Some(5), Some(0))));
}

#[test]
fn references_decide_what_is_trimmed_and_deleted() {
    let with_group = || {
        let mut stream = stream_of(8);
        stream.groups.create(b"g", Id::MIN, None);
        let ids: Vec<Id> = (1..=6).map(|ms| Id::new(ms, 0)).collect();
        stream.groups.edit(b"g", |group| {
            group.see_consumer(b"c", 0);
            group.deliver(&ids, b"c", 0);
            group.last_id = Id::new(6, 0);
            group.acknowledge(Id::new(3, 0));
        });
        stream
    };
    let trim = |references| Trim { threshold: Threshold::Length(3), is_approximate: false, limit: 0, references };
    let mut stream = with_group();
    assert_eq!(stream.trim(&trim(References::Acknowledged)).entries, 1);
    assert_eq!(ids(&stream), [1, 2, 4, 5, 6, 7, 8]);
    let mut stream = with_group();
    assert_eq!(stream.trim(&trim(References::Delete)).entries, 5);
    assert_eq!(stream.groups.pending(), 1);
    let mut stream = with_group();
    assert_eq!(stream.trim(&trim(References::Keep)).entries, 5);
    assert_eq!(stream.groups.pending(), 5);
    let mut stream = with_group();
    let mut delete = |ms, references| stream.delete(Id::new(ms, 0), references);
    assert_eq!(delete(1, References::Acknowledged), Deletion::Needed);
    assert_eq!(delete(8, References::Acknowledged), Deletion::Needed);
    assert_eq!(delete(3, References::Acknowledged), Deletion::Deleted);
    assert_eq!(delete(3, References::Delete), Deletion::Absent);
    assert_eq!(delete(1, References::Delete), Deletion::Deleted);
    assert_eq!(delete(2, References::Keep), Deletion::Deleted);
    assert_eq!(stream.groups.pending(), 4);
}
