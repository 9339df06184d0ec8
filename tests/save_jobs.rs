//! The job behind a background save, a rewrite and a full sync: whatever the sink takes, and whenever it blocks, fails
//! or is not wanted any more, the bytes are those of one instant, no more is made than there is room for, and nothing
//! stays pinned.

#[path = "support/mod.rs"]
mod support;

use std::path::Path;

use oneloop::base::wake::Wake;
use oneloop::collections::table;
use oneloop::drive::save;
use oneloop::keyspace::{Keyspace, cow_bytes};
use oneloop::storage::aof::CommandDump;
use oneloop::storage::file::operations::Disk;
use oneloop::storage::file::operations::simulated::{Operation, SimulatedDisk};
use oneloop::storage::file::{FileWriter, NewFile, StepFailed, WriteStep, WriterOptions};
use oneloop::storage::rdb::SanitizeLevel;
use oneloop::storage::save::{
    AbandonedSaves, Chunk, FileSave, FileSink, Pace, SaveJob, SaveSink, SaveSource, SaveStep, SinkState, save_at_once,
};
use oneloop::storage::snapshot::{Duplicates, LoadStep, Loader, LoaderSettings, Origin, Purpose, Snapshot};
use oneloop::storage::values::LoadSettings;
use support::Harness;

const TARGET: &str = "target.rdb";
const TEMPORARY: &str = "temporary.rdb";
/// What a step may make: a piece of a long string, and what was begun before it.
const STEP_BYTES_MAX: usize = 128 * 1024;
/// How a full sync is framed when its length is not known: by forty bytes that are made up anew each time.
const MARK: &[u8] = b"0123456789012345678901234567890123456789";

/// Stands for a socket: it takes so many bytes at a time, and none while the peer does not read.
struct SocketStandIn {
    taken: Vec<u8>,
    bytes_at_once: usize,
    chunk_bytes: usize,
    is_blocked: bool,
    /// It fails once it has taken so many bytes.
    fails_at: usize,
    is_finished: bool,
    /// What follows when all was taken.
    trailer: &'static [u8],
}

impl SocketStandIn {
    fn new(bytes_at_once: usize, chunk_bytes: usize) -> SocketStandIn {
        SocketStandIn {
            taken: Vec::new(),
            bytes_at_once,
            chunk_bytes,
            is_blocked: false,
            fails_at: usize::MAX,
            is_finished: false,
            trailer: b"",
        }
    }
}

impl SaveSink for SocketStandIn {
    type Error = &'static str;

    fn state(&mut self) -> SinkState<&'static str> {
        match () {
            () if self.taken.len() >= self.fails_at => SinkState::Failed("the peer has gone"),
            () if self.is_blocked => SinkState::Full,
            () if self.is_finished => SinkState::Complete,
            () => SinkState::Open,
        }
    }

    fn write(&mut self, chunk: &mut Chunk) {
        assert!(!self.is_blocked && !self.is_finished && !chunk.is_empty());
        let bytes = chunk.rest().len().min(self.bytes_at_once);
        self.taken.extend_from_slice(&chunk.rest()[..bytes]);
        chunk.advance(bytes);
    }

    fn finish(&mut self) {
        assert!(!self.is_finished, "it is told once");
        self.taken.extend_from_slice(self.trailer);
        self.is_finished = true;
    }

    fn chunk_bytes(&self) -> usize {
        self.chunk_bytes
    }
}

/// A server with values of every type, packed and large, and long strings.
fn filled() -> Harness {
    let mut harness = Harness::with_debug();
    for number in 0..300 {
        for command in
            ["SET text:{} value", "RPUSH list {}", "SADD set member:{}", "HSET hash f:{} v", "ZADD sorted {} m:{}"]
        {
            harness.run(&command.replace("{}", &number.to_string()));
        }
        harness.run(&format!("XADD stream {}-1 f v", number + 1));
    }
    harness.run("RPUSH small a b c");
    harness.run("SADD small:set a b c");
    harness.run(&format!("SET long {}", "abcdefgh".repeat(20_000)));
    harness.run(&format!("HSET long:hash f {}", "xyz".repeat(30_000)));
    harness.run("SELECT 3");
    harness.run("SET elsewhere 1 PX 100000000");
    harness.run("SELECT 0");
    harness
}

/// The two kinds of source, of the data as they are now.
fn sources(harness: &Harness) -> [SaveSource; 2] {
    let settings = save::snapshot_settings(&harness.state, Origin::Plain);
    let keyspace = &harness.state.keyspace;
    [Snapshot::pin(keyspace, settings).into(), CommandDump::pin(keyspace, Some(1), false).into()]
}

/// What sources of the data as they are now make, piece after piece.
fn expected(harness: &Harness) -> [Vec<u8>; 2] {
    sources(harness).map(|mut source| {
        while source.step() {}
        source.take(Vec::new())
    })
}

/// A job that begins now; the time does not matter.
fn job(source: impl Into<SaveSource>) -> SaveJob {
    SaveJob::new(source, 0)
}

fn step<S: SaveSink>(job: &mut SaveJob, sink: &mut S) -> SaveStep<S::Error> {
    job.step(sink, Pace::default())
}

/// Goes on until the job neither can go on nor waits.
fn run(job: &mut SaveJob, sink: &mut SocketStandIn) -> SaveStep<&'static str> {
    loop {
        match step(job, sink) {
            SaveStep::More => {}
            end => return end,
        }
    }
}

fn writer(disk: &SimulatedDisk) -> FileWriter {
    let options = WriterOptions { syncs_in_pieces: true, is_alone: true, ..WriterOptions::default() };
    let disk = Disk::Simulated(disk.clone());
    FileWriter::start(&disk, Path::new(TEMPORARY), options, Wake::default()).expect("no thread is needed")
}

fn file_save(source: SaveSource, disk: &SimulatedDisk) -> FileSave {
    FileSave { job: job(source), sink: FileSink::replacing(writer(disk), Path::new(TARGET)) }
}

/// Carries a save out; its thread does something whenever the job waits.
fn run_file_save(mut save: FileSave, disk: &SimulatedDisk) -> Result<(), StepFailed> {
    let outcome = loop {
        match save.step(Pace::default()) {
            SaveStep::More => {}
            SaveStep::Waits => assert!(disk.run_helper(0), "the thread has something to do"),
            SaveStep::Complete => break Ok(()),
            SaveStep::Failed(failed) => break Err(failed),
        }
    };
    drop(save);
    while disk.run_helper(0) {}
    outcome
}

fn names(disk: &SimulatedDisk) -> Vec<String> {
    let disk = Disk::Simulated(disk.clone());
    let names = disk.files().list(Path::new(".")).expect("a folder");
    names.iter().map(|name| name.to_string()).collect()
}

fn content(disk: &SimulatedDisk, name: &str) -> Vec<u8> {
    Disk::Simulated(disk.clone()).read(Path::new(name)).expect("it is there")
}

/// Fails if a version still shares anything with the data: then a change would copy.
#[track_caller]
fn assert_nothing_is_pinned(harness: &mut Harness) {
    let copied = || table::copied_bytes() + cow_bytes();
    let before = copied();
    for number in 0..300 {
        harness.run(&format!("SET text:{number} other"));
        harness.run(&format!("HSET hash f:{number} w"));
    }
    assert_eq!(copied(), before, "something is pinned");
}

fn release(job: SaveJob) {
    let mut abandoned = AbandonedSaves::default();
    abandoned.add(job);
    while abandoned.release_step() {}
    assert!(abandoned.is_empty());
}

fn load(bytes: &[u8]) -> Harness {
    let mut harness = Harness::with_debug();
    let mut loader = Loader::new(LoaderSettings {
        values: LoadSettings::of(&harness.state.config),
        scrutiny: SanitizeLevel::Full,
        checks_sum: true,
        expires_before_ms: None,
        duplicates: Duplicates::Refuse,
        keys_per_step: 0,
        purpose: Purpose::Load,
        input_bytes: bytes.len() as u64,
    });
    loader.feed(bytes);
    loader.end_input();
    while loader.step(&mut harness.state.keyspace).expect("it is sound") != LoadStep::Done {}
    harness
}

#[test]
fn every_sink_gets_the_same_bytes() {
    let harness = filled();
    let expected = expected(&harness);
    for (number, expected) in expected.iter().enumerate() {
        for (bytes_at_once, chunk_bytes) in [(1, 1000), (13, 1), (4096, 100_000), (usize::MAX, 1 << 18)] {
            let mut sink = SocketStandIn::new(bytes_at_once, chunk_bytes);
            let mut job = job(sources(&harness).into_iter().nth(number).expect("there are two"));
            assert_eq!(run(&mut job, &mut sink), SaveStep::Complete);
            assert!(sink.taken == *expected, "{bytes_at_once} bytes of {chunk_bytes}");
            assert_eq!(job.taken_bytes(), expected.len() as u64);
        }
        let disk = SimulatedDisk::new(1);
        let save = file_save(sources(&harness).into_iter().nth(number).expect("there are two"), &disk);
        run_file_save(save, &disk).expect("the disk works");
        assert!(content(&disk, TARGET) == *expected);
        assert_eq!(names(&disk), [TARGET]);
        let disk = SimulatedDisk::new(1);
        let file = NewFile::create(&Disk::Simulated(disk.clone()), Path::new(TEMPORARY), false).expect("a file");
        let source = sources(&harness).into_iter().nth(number).expect("there are two");
        save_at_once(source, file, Path::new(TARGET), || {}).expect("the disk works");
        assert!(content(&disk, TARGET) == *expected);
    }
}

#[test]
fn a_step_is_bounded_and_nothing_is_made_while_the_sink_is_full() {
    let harness = filled();
    let expected = expected(&harness);
    // With chunks of one byte each piece is handed over at once.
    let [snapshot, _] = sources(&harness);
    let (mut job, mut sink) = (job(snapshot), SocketStandIn::new(usize::MAX, 1));
    let mut rounds = 0;
    while !sink.is_finished {
        rounds += 1;
        let before = sink.taken.len();
        match step(&mut job, &mut sink) {
            SaveStep::More => assert!(sink.taken.len() - before <= STEP_BYTES_MAX),
            other => panic!("{other:?}"),
        }
        sink.is_blocked = true;
        let progress = job.progress(0);
        for _ in 0..10 {
            assert_eq!(step(&mut job, &mut sink), SaveStep::Waits);
        }
        assert_eq!(job.progress(0), progress);
        sink.is_blocked = false;
    }
    assert!(rounds > 10 && sink.taken == expected[0]);
}

/// The sink is open, and yet takes nothing of what it is offered.
#[test]
fn what_a_sink_leaves_is_offered_again_and_nothing_else_is_made() {
    let harness = filled();
    let [snapshot, _] = sources(&harness);
    let (mut job, mut sink) = (job(snapshot), SocketStandIn::new(0, 100));
    assert_eq!(run(&mut job, &mut sink), SaveStep::Waits);
    let progress = job.progress(0);
    assert!(progress.keys_written < progress.keys);
    for _ in 0..10 {
        assert_eq!(step(&mut job, &mut sink), SaveStep::Waits);
    }
    assert_eq!(job.progress(0), progress);
    assert_eq!(job.taken_bytes(), 0);
    sink.bytes_at_once = 1;
    assert_eq!(run(&mut job, &mut sink), SaveStep::Complete);
    assert!(sink.taken == expected(&harness)[0]);
}

/// The thread does nothing: of a large value only as much is made as may wait for the disk.
#[test]
fn a_file_that_is_not_written_holds_the_job_up() {
    const MIB: usize = 1 << 20;
    let mut harness = Harness::new();
    harness.state.config.rdbcompression = false;
    for number in 0..12 {
        let value = format!("{number}").repeat(MIB);
        harness.run_args(&[b"SET", format!("key:{number}").as_bytes(), value.as_bytes()]);
    }
    for source in sources(&harness) {
        let disk = SimulatedDisk::new(1);
        let mut save = file_save(source, &disk);
        while let SaveStep::More = save.step(Pace::default()) {}
        let handed_over = save.job.taken_bytes() as usize;
        assert!((4 * MIB..7 * MIB).contains(&handed_over), "{handed_over} bytes wait");
        let mut waits = 0;
        loop {
            match save.step(Pace::default()) {
                SaveStep::More => {}
                SaveStep::Waits => {
                    waits += 1;
                    assert!(disk.run_helper(0), "the thread has something to do");
                }
                SaveStep::Complete => break,
                SaveStep::Failed(failed) => panic!("{failed}"),
            }
        }
        assert!(waits > 4, "{waits}");
    }
}

#[test]
fn a_sink_may_fail_at_every_byte() {
    let mut harness = Harness::new();
    for words in
        ["SET a 1", "RPUSH list a b", "SADD set a b", "HSET hash f v", "ZADD sorted 1 a", "XADD stream 1-1 f v"]
    {
        harness.run(words);
    }
    for (number, expected) in expected(&harness).iter().enumerate() {
        for fails_at in 0..expected.len() {
            for bytes_at_once in [1, 7] {
                let mut sink = SocketStandIn { fails_at, ..SocketStandIn::new(bytes_at_once, 16) };
                let mut job = job(sources(&harness).into_iter().nth(number).expect("there are two"));
                assert_eq!(run(&mut job, &mut sink), SaveStep::Failed("the peer has gone"));
                assert!(!sink.is_finished, "it is not complete");
                assert!(expected.starts_with(&sink.taken) && sink.taken.len() - fails_at < bytes_at_once);
                release(job);
            }
        }
    }
    assert_nothing_is_pinned(&mut harness);
}

#[test]
fn a_file_may_fail_at_every_operation() {
    let harness = filled();
    let failures = [
        (Operation::Create, WriteStep::Create),
        (Operation::Write, WriteStep::Write),
        (Operation::Sync, WriteStep::Write),
        (Operation::Rename, WriteStep::Publish),
        (Operation::SyncFolder, WriteStep::SyncFolder),
    ];
    let expected = expected(&harness);
    for (operation, wanted) in failures {
        let mut failed_count = 0;
        let mut check = |disk: &SimulatedDisk, saved: Result<(), StepFailed>, expected: &[u8]| {
            failed_count += usize::from(saved.is_err());
            match saved {
                // A disk that is full takes a part first, and may by chance have had room for all.
                Ok(()) => assert!(operation == Operation::Write && content(disk, TARGET) == expected),
                Err(failed) => {
                    assert_eq!(failed.step, wanted);
                    assert_eq!(names(disk).is_empty(), operation != Operation::SyncFolder, "{operation:?}");
                }
            }
        };
        for seed in 0..20 {
            for (source, expected) in sources(&harness).into_iter().zip(&expected) {
                let disk = SimulatedDisk::new(seed);
                disk.set_fault(operation, 100);
                let saved = run_file_save(file_save(source, &disk), &disk);
                check(&disk, saved, expected);
            }
            for (source, expected) in sources(&harness).into_iter().zip(&expected) {
                let disk = SimulatedDisk::new(seed);
                disk.set_fault(operation, 100);
                let file = NewFile::create(&Disk::Simulated(disk.clone()), Path::new(TEMPORARY), false);
                let saved = file.and_then(|file| save_at_once(source, file, Path::new(TARGET), || {}));
                check(&disk, saved, expected);
            }
        }
        let is_sure = operation != Operation::Write;
        assert!(failed_count == 80 || !is_sure && failed_count > 10, "{operation:?}: {failed_count}");
    }
}

/// After every number of steps: the thread leaves no file, and the version is released.
#[test]
fn a_job_may_be_abandoned_after_every_step() {
    let mut harness = filled();
    for number in 0..2 {
        for steps in 0.. {
            let disk = SimulatedDisk::new(1);
            let mut save = file_save(sources(&harness).into_iter().nth(number).expect("there are two"), &disk);
            let is_over = (0..steps).any(|_| match save.step(Pace::default()) {
                SaveStep::More => false,
                SaveStep::Waits => !disk.run_helper(0),
                SaveStep::Complete => true,
                SaveStep::Failed(failed) => panic!("{failed}"),
            });
            let is_published = names(&disk) == [TARGET];
            let FileSave { job, sink } = save;
            release(job);
            drop(sink);
            while disk.run_helper(0) {}
            if is_over {
                assert_eq!(names(&disk), [TARGET]);
                break;
            }
            assert_eq!(names(&disk).is_empty(), !is_published, "after {steps} steps");
            if steps % 20 == 0 {
                assert_nothing_is_pinned(&mut harness);
            }
        }
    }
    assert_nothing_is_pinned(&mut harness);
}

/// A version is released in steps, and each is bounded, however many keys there are.
#[test]
fn abandoned_jobs_are_released_step_by_step() {
    let mut harness = Harness::with_debug();
    harness.run("DEBUG POPULATE 20000");
    let mut abandoned = AbandonedSaves::default();
    assert!(!abandoned.release_step());
    for source in sources(&harness) {
        abandoned.add(job(source));
    }
    let mut steps = 0;
    while abandoned.release_step() {
        steps += 1;
    }
    assert!(steps > 2 * 20_000 / 1000, "{steps} steps");
    assert_nothing_is_pinned(&mut harness);
}

/// A replica that comes while another is being served takes a version of its own; each gets the data of its own
/// instant.
#[test]
fn two_versions_at_a_time_are_two_instants() {
    let mut harness = filled();
    let pin = |harness: &Harness| sources(harness).into_iter().next().expect("there are two");
    let change = |harness: &mut Harness, turn: usize| {
        for number in 0..20 {
            let number = (turn * 7 + number * 13) % 300;
            harness.run(&format!("SET text:{number} {turn}"));
            harness.run(&format!("DEL text:{}", (number + 5) % 300));
            harness.run(&format!("HSET hash f:{number} {turn}"));
            harness.run(&format!("LSET list {} {turn}", number % 100));
            harness.run(&format!("SREM set member:{number}"));
            harness.run(&format!("ZINCRBY sorted 3 m:{number}"));
            harness.run(&format!("SETRANGE long {} {turn}", number * 100));
            harness.run(&format!("XADD stream * f {turn}"));
            harness.run(&format!("SET new:{turn}:{number} x"));
        }
        harness.state.keyspace.reclaim_step(100);
    };
    let first_digest = harness.run("DEBUG DIGEST");
    let (mut first, mut first_sink) = (job(pin(&harness)), SocketStandIn::new(500, 1000));
    for turn in 0..20 {
        assert_eq!(step(&mut first, &mut first_sink), SaveStep::More);
        change(&mut harness, turn);
    }
    let second_digest = harness.run("DEBUG DIGEST");
    let (mut second, mut second_sink) = (job(pin(&harness)), SocketStandIn::new(300, 1000));
    // A third one, which is given up while the others go on.
    let mut third = Some(job(pin(&harness)));
    let mut turn = 20;
    let (mut first_is_over, mut second_is_over) = (false, false);
    while !first_is_over || !second_is_over {
        first_is_over = first_is_over || step(&mut first, &mut first_sink) == SaveStep::Complete;
        second_is_over = second_is_over || step(&mut second, &mut second_sink) == SaveStep::Complete;
        if turn < 100 {
            change(&mut harness, turn);
        }
        if turn == 30 {
            release(third.take().expect("it is there until then"));
        }
        if turn == 60 {
            harness.run("FLUSHALL");
        }
        turn += 1;
    }
    assert!(turn > 100, "the changes came in between");
    assert_ne!(first_digest, second_digest);
    assert_eq!(load(&first_sink.taken).run("DEBUG DIGEST"), first_digest);
    assert_eq!(load(&second_sink.taken).run("DEBUG DIGEST"), second_digest);
    assert!(first.progress(0).copied_bytes > second.progress(0).copied_bytes);
    release(first);
    release(second);
    assert_nothing_is_pinned(&mut harness);
}

/// The pause of `rdb-key-save-delay` holds the source up, not what was made before.
#[test]
fn a_pause_lies_between_pieces() {
    let harness = filled();
    let [snapshot, _] = sources(&harness);
    let (mut job, mut sink) = (job(snapshot), SocketStandIn::new(1, 1));
    let pace = |now| Pace { now, pause: 10 };
    assert_eq!(job.step(&mut sink, pace(100)), SaveStep::More);
    assert_eq!(sink.taken.len(), 1);
    while job.step(&mut sink, pace(100)) == SaveStep::More {}
    let head = sink.taken.len();
    assert!(head > 50, "all that was made has left");
    assert_eq!(job.step(&mut sink, pace(109)), SaveStep::Waits);
    assert_eq!(sink.taken.len(), head);
    assert_eq!(job.step(&mut sink, pace(110)), SaveStep::More);
    assert!(sink.taken.len() > head);
    // Without a pause it goes on at once.
    while !sink.is_finished {
        assert_eq!(job.step(&mut sink, Pace::default()), SaveStep::More);
    }
}

/// As `$EOF:` frames a full sync whose length is not known: the owner of the sink writes header and mark, and the job
/// knows neither.
#[test]
fn the_owner_of_a_sink_frames_the_bytes() {
    let harness = filled();
    let [snapshot, _] = sources(&harness);
    let mut sink = SocketStandIn { trailer: MARK, ..SocketStandIn::new(5000, 1000) };
    let header = [b"$EOF:", MARK, b"\r\n"].concat();
    sink.taken.extend_from_slice(&header);
    let mut job = job(snapshot);
    assert_eq!(run(&mut job, &mut sink), SaveStep::Complete);
    let payload = sink.taken.strip_prefix(header.as_slice()).and_then(|rest| rest.strip_suffix(MARK));
    assert!(payload == Some(&expected(&harness)[0]));
    assert_eq!(job.taken_bytes() as usize, sink.taken.len() - header.len() - MARK.len());
}

/// An empty keyspace is an empty list of commands: there is nothing to hand over, and yet an end.
#[test]
fn a_source_without_bytes_comes_to_its_end() {
    let keyspace: &Keyspace = &Harness::new().state.keyspace;
    let mut job = job(CommandDump::pin(keyspace, None, false));
    let mut sink = SocketStandIn::new(1, 1);
    assert_eq!(run(&mut job, &mut sink), SaveStep::Complete);
    assert!(sink.taken.is_empty() && job.taken_bytes() == 0);
}
