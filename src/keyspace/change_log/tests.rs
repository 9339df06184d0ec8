//! The log against a model: every target's bytes in one `Vec`, and readers that come and go at any time.

use proptest::prelude::*;

use super::*;

fn unit(commands: &[(Targets, usize, &[&[u8]])]) -> Unit {
    let mut unit = Unit::default();
    for (targets, database, words) in commands {
        unit.add(*targets, *database, words.len(), words.iter().copied());
    }
    unit
}

fn read(log: &mut ChangeLog, reader: &ReaderId) -> String {
    let bytes: Vec<u8> = log.unread(reader).collect::<Vec<_>>().concat();
    assert!(log.unread_piece(reader).is_none_or(|piece| piece == bytes));
    log.advance_to_end(reader);
    String::from_utf8_lossy(&bytes).replace("\r\n", " ").replace("*2 $6 SELECT $1 ", "@")
}

const ALL: Targets = Targets::ALL;

#[test]
fn units_select_their_databases_and_become_transactions() {
    let mut log = ChangeLog::default();
    let reader = log.attach(Target::File);
    log.append_unit(&unit(&[(ALL, 0, &[b"a"])]), true, None);
    log.append_unit(&unit(&[(ALL, 0, &[b"b"]), (ALL, 2, &[b"c"])]), true, None);
    assert_eq!(read(&mut log, &reader), "@0 *1 $1 a *1 $5 MULTI *1 $1 b @2 *1 $1 c *1 $4 EXEC ");
    log.append_unit(&unit(&[(ALL, 2, &[b"d"]), (ALL, 2, &[b"e"])]), false, None);
    assert_eq!(read(&mut log, &reader), "*1 $1 d *1 $1 e ");
    log.begin_anew(Target::File);
    log.append_unit(&unit(&[(ALL, 2, &[b"f"])]), true, None);
    assert_eq!(read(&mut log, &reader), "@2 *1 $1 f ");
}

#[test]
fn what_was_appended_last_is_one_piece() {
    let mut log = ChangeLog::default();
    let readers = Target::ALL.map(|target| log.attach(target));
    log.append_unit(&unit(&[(ALL, 0, &[b"a"]), (ALL, 0, &[b"b"])]), false, None);
    assert!(readers.iter().all(|reader| log.unread_piece(reader).is_some()));
    read(&mut log, &readers[0]);
    log.append_unit(&unit(&[(Targets::FILE, 0, &[b"c"])]), false, None);
    assert_eq!(log.unread_piece(&readers[0]), Some(&b"*1\r\n$1\r\nc\r\n"[..]));
    assert_eq!(log.unread_piece(&readers[1]), None, "what it has not read lies before that");
    let long = vec![b'x'; BLOCK_BYTES];
    log.append_unit(&unit(&[(Targets::FILE, 0, &[&long])]), false, None);
    assert_eq!(log.unread_piece(&readers[0]), None, "it is in two blocks");
}

#[test]
fn the_time_is_told_to_the_file_once_a_second() {
    let mut log = ChangeLog::default();
    let readers = Target::ALL.map(|target| log.attach(target));
    for time_s in [7, 7, 8] {
        log.append_unit(&unit(&[(ALL, 0, &[b"a"])]), true, Some(time_s));
    }
    log.append_unit(&unit(&[(Targets::REPLICAS, 0, &[b"b"])]), true, Some(9));
    assert_eq!(read(&mut log, &readers[0]), "#TS:7 @0 *1 $1 a *1 $1 a #TS:8 *1 $1 a ");
    assert_eq!(read(&mut log, &readers[1]), "@0 *1 $1 a *1 $1 a *1 $1 a *1 $1 b ");
}

#[test]
fn each_target_gets_what_is_for_it_with_a_database_of_its_own() {
    let mut log = ChangeLog::default();
    let readers = Target::ALL.map(|target| log.attach(target));
    log.append_unit(&unit(&[(ALL, 0, &[b"a"]), (Targets::REPLICAS, 1, &[b"b"])]), true, None);
    log.append_unit(&unit(&[(ALL, 1, &[b"c"])]), true, None);
    log.append_raw(Targets::REPLICAS, b"*1\r\n$4\r\nPING\r\n");
    assert_eq!(read(&mut log, &readers[0]), "@0 *1 $1 a @1 *1 $1 c ");
    assert_eq!(read(&mut log, &readers[1]), "*1 $5 MULTI @0 *1 $1 a @1 *1 $1 b *1 $4 EXEC *1 $1 c *1 $4 PING ");
    let end = log.end_of(Target::File);
    log.append_unit(&unit(&[(Targets::REPLICAS, 1, &[b"d"])]), true, None);
    assert_eq!(log.end_of(Target::File), end, "that is not for the file");
}

#[test]
fn without_readers_nothing_is_kept_and_while_muted_nothing_is_gathered() {
    let mut log = ChangeLog::default();
    log.append_unit(&unit(&[(ALL, 0, &[b"a"])]), true, None);
    assert_eq!((log.end(), log.is_read()), (0, false));
    let reader = log.attach(Target::Replicas);
    log.mute(true);
    log.append_unit(&unit(&[(ALL, 0, &[b"b"])]), true, None);
    assert!(!log.is_read() && log.is_at_end(&reader));
    log.mute(false);
    log.append_unit(&unit(&[(ALL, 0, &[b"c"])]), true, None);
    assert!(log.kept_bytes() > 0);
    let end = log.end();
    log.detach(reader);
    assert_eq!((log.kept_bytes(), log.end(), log.is_read()), (0, end, false));
    assert!(log.attach_at(Target::Replicas, 0).is_none(), "that is dropped");
    assert!(log.blocks.is_empty() && log.spare.capacity() == 0, "no memory is held for nobody");
}

#[test]
fn a_reader_keeps_nothing_that_is_for_others_alone() {
    let mut log = ChangeLog::default();
    let file = log.attach(Target::File);
    let replica = log.attach(Target::Replicas);
    let large = vec![b'x'; BLOCK_BYTES];
    for _ in 0..5 {
        log.append_unit(&unit(&[(Targets::REPLICAS, 0, &[&large])]), true, None);
        log.advance_to_end(&replica);
        assert!(log.kept_bytes() <= BLOCK_BYTES as u64);
    }
    assert!(log.is_at_end(&file));
}

#[derive(Clone, Debug)]
enum Step {
    Unit(Vec<(u8, usize, usize)>, bool),
    Raw(u8, usize),
    Attach(bool),
    Detach(usize),
    /// Reads a part, in 256ths of what there is.
    Read(usize, u16),
    /// Goes on from a count, in 256ths of those that are kept.
    Resume(bool, u16),
    Backlog(u64),
    EndBacklog,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let size = prop_oneof![8 => 0usize..100, 1 => 0usize..3 * BLOCK_BYTES, 1 => Just(BLOCK_BYTES - 20)];
    let operation = (0u8..4, 0usize..3, size.clone());
    let step = prop_oneof![
        8 => (prop::collection::vec(operation, 1..4), any::<bool>()).prop_map(|(all, is_one)| Step::Unit(all, is_one)),
        1 => (0u8..4, size).prop_map(|(targets, size)| Step::Raw(targets, size)),
        1 => any::<bool>().prop_map(Step::Attach),
        1 => any::<usize>().prop_map(Step::Detach),
        6 => (any::<usize>(), 0u16..=256).prop_map(|(reader, part)| Step::Read(reader, part)),
        2 => (any::<bool>(), 0u16..=256).prop_map(|(is_file, part)| Step::Resume(is_file, part)),
        1 => (0..4 * BLOCK_BYTES as u64).prop_map(Step::Backlog),
        1 => Just(Step::EndBacklog),
    ];
    prop::collection::vec(step, 1..80)
}

fn target(is_file: bool) -> Target {
    if is_file { Target::File } else { Target::Replicas }
}

fn targets(bits: u8) -> Targets {
    [Targets::NONE, Targets::FILE, Targets::REPLICAS, Targets::ALL][bits as usize]
}

/// One reader of the model: where it is among its target's bytes.
struct Expected {
    id: ReaderId,
    target: Target,
    position: usize,
}

/// What each target was given, and who reads it.
#[derive(Default)]
struct Model {
    log: ChangeLog,
    bytes: [Vec<u8>; 2],
    selected: [Option<usize>; 2],
    readers: Vec<Expected>,
    backlog: Option<(ReaderId, u64, usize)>,
}

impl Model {
    fn is_read(&self, target: Target) -> bool {
        let is_backlog = self.backlog.is_some() && target == Target::Replicas;
        is_backlog || self.readers.iter().any(|reader| reader.target == target)
    }

    fn append(&mut self, operations: &[(Targets, usize, Vec<u8>)], belong_together: bool) {
        let mut unit = Unit::default();
        for (targets, database, word) in operations {
            unit.add(*targets, *database, 1, std::iter::once(&word[..]));
        }
        self.log.append_unit(&unit, belong_together, None);
        for target in Target::ALL {
            let own: Vec<_> = operations.iter().filter(|(targets, ..)| targets.has(target)).collect();
            if !self.is_read(target) {
                continue;
            }
            let bytes = &mut self.bytes[target as usize];
            let is_transaction = belong_together && own.len() > 1;
            if is_transaction {
                encode(bytes, 1, std::iter::once(&b"MULTI"[..]));
            }
            for (_, database, word) in own {
                if self.selected[target as usize].replace(*database) != Some(*database) {
                    let number = database.to_string();
                    encode(bytes, 2, [&b"SELECT"[..], number.as_bytes()].into_iter());
                }
                encode(bytes, 1, std::iter::once(&word[..]));
            }
            if is_transaction {
                encode(bytes, 1, std::iter::once(&b"EXEC"[..]));
            }
        }
    }

    fn attach(&mut self, target: Target) {
        let id = self.log.attach(target);
        self.selected[target as usize] = None;
        self.readers.push(Expected { id, target, position: self.bytes[target as usize].len() });
    }

    /// Begins to read where the log says that it can, and only there.
    fn resume(&mut self, target: Target, part: u16) {
        let Some((first, last)) = self.log.kept_counts(target) else {
            assert!(!self.is_read(target));
            return assert!(self.log.attach_at(target, self.bytes[target as usize].len() as u64).is_none());
        };
        assert_eq!(last, self.bytes[target as usize].len() as u64);
        assert!(first == 0 || self.log.attach_at(target, first - 1).is_none());
        assert!(self.log.attach_at(target, last + 1).is_none());
        let count = first + (last - first) * u64::from(part) / 256;
        let id = self.log.attach_at(target, count).expect("it is kept");
        self.readers.push(Expected { id, target, position: count as usize });
    }

    fn take(&mut self, step: Step) {
        let count = self.readers.len().max(1);
        match step {
            Step::Unit(operations, belong_together) => {
                let number = self.log.end().to_string().into_bytes();
                let word = |size: usize| number.iter().copied().cycle().take(size).collect();
                let all = operations.into_iter().map(|(bits, database, size)| (targets(bits), database, word(size)));
                self.append(&all.collect::<Vec<_>>(), belong_together);
            }
            Step::Raw(bits, size) => {
                let raw = vec![b'r'; size];
                self.log.append_raw(targets(bits), &raw);
                for target in Target::ALL {
                    if targets(bits).has(target) && self.is_read(target) {
                        self.bytes[target as usize].extend_from_slice(&raw);
                    }
                }
            }
            Step::Attach(is_file) => self.attach(target(is_file)),
            Step::Detach(which) if !self.readers.is_empty() => {
                let reader = self.readers.swap_remove(which % count);
                self.log.detach(reader.id);
            }
            Step::Read(which, part) if !self.readers.is_empty() => {
                let reader = &mut self.readers[which % count];
                let rest = self.bytes[reader.target as usize].len() - reader.position;
                let read = rest * usize::from(part) / 256;
                self.log.advance(&reader.id, read);
                reader.position += read;
            }
            Step::Detach(_) | Step::Read(..) => {}
            Step::Resume(is_file, part) => self.resume(target(is_file), part),
            Step::Backlog(kept_bytes) if self.backlog.is_none() => {
                let id = self.log.attach_backlog(Target::Replicas, kept_bytes);
                self.selected[Target::Replicas as usize] = None;
                self.backlog = Some((id, kept_bytes, self.bytes[1].len()));
            }
            Step::EndBacklog | Step::Backlog(_) => {
                if let Some((id, ..)) = self.backlog.take() {
                    self.log.detach(id);
                }
            }
        }
    }

    fn check(&self) {
        let log = &self.log;
        let mut oldest_needed = log.end();
        for reader in &self.readers {
            let expected = &self.bytes[reader.target as usize][reader.position..];
            let unread: Vec<u8> = log.unread(&reader.id).collect::<Vec<_>>().concat();
            assert!(unread == expected, "{:?} at {}", reader.target, reader.position);
            assert_eq!(log.unread_bytes(&reader.id), expected.len() as u64);
            assert_eq!(log.is_at_end(&reader.id), expected.is_empty());
            let first = log.unread(&reader.id).next_stretch();
            oldest_needed = oldest_needed.min(first.map_or(log.end(), |(start, _)| start));
        }
        for target in Target::ALL {
            assert_eq!(log.count_of(target), self.bytes[target as usize].len() as u64);
        }
        if let Some((_, kept_bytes, since)) = &self.backlog {
            let (first, last) = log.kept_counts(Target::Replicas).expect("the backlog reads");
            let all_since = last - *since as u64;
            assert!(last - first >= all_since.min(*kept_bytes), "the backlog keeps what it is to");
        } else {
            let slack = BLOCK_BYTES as u64;
            assert!(log.kept_bytes() <= log.end() - oldest_needed + slack, "what all have passed is dropped");
        }
        assert_eq!(log.is_read(), self.backlog.is_some() || !self.readers.is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn readers_that_come_and_go_read_what_is_theirs(steps in steps()) {
        let mut model = Model::default();
        for step in steps {
            model.take(step);
            model.check();
        }
        let mut last = model.log.end();
        model.attach(Target::File);
        model.append(&[(Targets::ALL, 0, b"x".to_vec())], false);
        prop_assert!(model.log.end() > last, "offsets grow");
        last = model.log.end();
        while let Some(reader) = model.readers.pop() {
            model.log.detach(reader.id);
        }
        prop_assert_eq!(model.log.end(), last);
    }

    #[test]
    fn a_backlog_keeps_its_size_and_no_more_than_a_block_beyond(kept in 0..5 * BLOCK_BYTES as u64, sizes in
        prop::collection::vec(0..2 * BLOCK_BYTES, 1..20))
    {
        let mut log = ChangeLog::default();
        let backlog = log.attach_backlog(Target::Replicas, kept);
        for size in sizes {
            log.append_raw(Targets::ALL, &vec![b'x'; size]);
            prop_assert!(log.kept_bytes() <= kept + 2 * BLOCK_BYTES as u64);
            prop_assert!(log.kept_bytes() >= kept.min(log.end()));
        }
        log.detach(backlog);
        prop_assert_eq!(log.kept_bytes(), 0);
    }
}

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

#[test]
fn a_backlog_keeps_what_it_is_told_to_by_the_byte() {
    let mut log = ChangeLog::default();
    let backlog = log.attach_backlog(Target::Replicas, 20);
    (0..3).for_each(|_| log.append_raw(Targets::REPLICAS, PING));
    assert_eq!(log.kept_counts(Target::Replicas), Some((22, 42)));
    assert!(log.attach_at(Target::Replicas, 21).is_none());
    let Some(slow) = log.attach_at(Target::Replicas, 22) else { panic!("that is kept") };
    log.append_raw(Targets::REPLICAS, PING);
    assert_eq!(log.kept_counts(Target::Replicas), Some((22, 56)), "a reader needs more than the backlog");
    log.advance(&slow, 30);
    assert_eq!(log.kept_counts(Target::Replicas), Some((36, 56)));
    log.resize_backlog(&backlog, 10);
    assert_eq!(log.kept_counts(Target::Replicas), Some((46, 56)));
}

#[test]
fn what_a_reader_may_have_by_now_can_be_bounded() {
    let mut log = ChangeLog::default();
    let readers = Target::ALL.map(|target| log.attach(target));
    log.append_raw(ALL, b"abc");
    let known = log.end();
    log.append_raw(ALL, b"def");
    let bounded: Vec<u8> = log.unread_up_to(&readers[1], known).flatten().copied().collect();
    assert_eq!(bounded, b"abc");
    log.advance(&readers[1], bounded.len());
    assert_eq!(log.unread_up_to(&readers[1], known).next(), None);
    assert_eq!(read(&mut log, &readers[1]), "def");
}

#[test]
fn a_replica_hands_on_what_its_primary_sends_and_nothing_else() {
    let mut log = ChangeLog::default();
    let readers = Target::ALL.map(|target| log.attach(target));
    log.set_relaying(true);
    log.append_unit(&unit(&[(ALL, 0, &[b"own"])]), true, None);
    log.append_raw(Targets::REPLICAS, PING);
    assert_eq!(read(&mut log, &readers[0]), "@0 *1 $3 own ");
    assert_eq!(read(&mut log, &readers[1]), "*1 $4 PING ");
    let [_, replicas] = readers;
    log.detach(replicas);
    assert!(!log.targets().has(Target::Replicas));
}

/// The file still reads what was for both when the replicas' history becomes another one.
#[test]
fn another_history_begins_at_the_offset_that_it_is_told() {
    for count in [3, 500] {
        let mut log = ChangeLog::default();
        let [file, replicas] = Target::ALL.map(|target| log.attach(target));
        log.append_raw(ALL, PING);
        log.detach(replicas);
        log.set_count(Target::Replicas, count);
        let backlog = log.attach_backlog(Target::Replicas, 1000);
        assert_eq!(log.kept_counts(Target::Replicas), Some((count, count)));
        let Some(replica) = log.attach_at(Target::Replicas, count) else { panic!("it is there") };
        log.append_raw(ALL, PING);
        assert_eq!(read(&mut log, &replica), "*1 $4 PING ");
        assert_eq!(log.count_of(Target::Replicas), count + 14);
        assert_eq!(read(&mut log, &file), "*1 $4 PING *1 $4 PING ");
        log.detach(backlog);
    }
}
