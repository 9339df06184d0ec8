//! Atomic migration: each machine alone, and both sides in a small simulation in which connections break at any byte
//! and at any time.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::cluster::NodeId;
use crate::cluster::migration::export::Owner;
use crate::cluster::migration::state::{NoRequest, read_request, request};
use crate::cluster::migration::{
    ExportAction, ExportJob, ImportAction, ImportJob, Message, Settings, SlotRanges, State,
};
use crate::cluster::node::Now;

const SETTINGS: Settings = Settings { timeout_ms: 20_000, max_failover_bytes: Some(0), pause_ms: 10_000 };
/// Wall-clock time at the start, in ms.
const START_MS: u64 = 1_700_000_000_000;

fn now(ms: u64) -> Now {
    Now { steady_ms: ms, wall_ms: START_MS + ms }
}

fn nodes() -> (NodeId, NodeId) {
    let mut rng = Rng::with_seed(1);
    (NodeId::random(&mut rng), NodeId::random(&mut rng))
}

fn ranges() -> SlotRanges {
    let mut ranges = SlotRanges::default();
    ranges.add(5, 7).expect("the first");
    ranges.add(1, 1).expect("another one");
    ranges
}

fn export() -> ExportJob {
    ExportJob::new(NodeId::random(&mut Rng::with_seed(2)), ranges(), nodes(), SETTINGS, now(0))
}

fn import() -> ImportJob {
    ImportJob::new(NodeId::random(&mut Rng::with_seed(2)), ranges(), nodes(), SETTINGS, now(0))
}

/// The bytes to send and the other actions, without the log.
fn asked(job: &mut ExportJob) -> Vec<ExportAction> {
    let actions = job.take_actions().into_iter();
    actions.filter(|action| !matches!(action, ExportAction::Log(..))).collect()
}

#[test]
fn ranges_keep_their_order_and_do_not_overlap() {
    let mut ranges = ranges();
    assert_eq!(ranges.to_string(), "5-7 1-1");
    assert_eq!(ranges.add(6, 9), Err(5..=7));
    assert_eq!(ranges.slots().iter().collect::<Vec<_>>(), [1, 5, 6, 7]);
}

#[test]
fn requests_are_read_whole_and_nothing_else_is_one() {
    let bytes = request(&[b"CLUSTER", b"SYNCSLOTS", b"ACK"]);
    for end in 0..bytes.len() {
        assert_eq!(read_request(&bytes[..end]), Ok(None), "{end}");
    }
    let words: Vec<&[u8]> = vec![b"CLUSTER", b"SYNCSLOTS", b"ACK"];
    assert_eq!(read_request(&bytes), Ok(Some((words, bytes.len()))));
    let broken: [&[u8]; 6] =
        [b"+OK\r\n", b"*0\r\n", b"*17\r\n", b"*1\r\n$99999999\r\n", b"*1\r\n$1\r\nxyz", &[b'*'; 40]];
    for bytes in broken {
        assert_eq!(read_request(bytes), Err(NoRequest), "{bytes:?}");
    }
}

#[test]
fn a_source_logs_in_asks_and_begins() {
    let mut job = export().with_login(Some(vec![b"AUTH", b"secret"]));
    assert_eq!(asked(&mut job), [ExportAction::Connect]);
    job.on_connected(now(1));
    assert_eq!(asked(&mut job), [ExportAction::Send(request(&[b"AUTH", b"secret"]))]);
    assert_eq!(job.on_received(b"+OK", 0, now(2)), 0);
    assert_eq!(job.on_received(b"+OK\r\n", 0, now(2)), 5);
    let [ExportAction::Send(bytes)] = &asked(&mut job)[..] else { panic!("it asks") };
    let text = String::from_utf8_lossy(bytes);
    assert!(text.contains("ESTABLISH") && text.ends_with("$1\r\n5\r\n$1\r\n7\r\n$1\r\n1\r\n$1\r\n1\r\n"), "{text}");
    job.on_received(b"+OK\r\n", 0, now(3));
    assert_eq!(asked(&mut job), [ExportAction::Send(Message::Ack.request())]);
    job.begin_snapshot(now(4));
    assert_eq!(asked(&mut job), [ExportAction::BeginSnapshot]);
    assert_eq!(job.job.state.name(), "snapshotting");
}

#[test]
fn errors_of_the_target_are_shown() {
    for (login, reply, expected) in [
        (Some(vec![b"AUTH".as_slice(), b"x"]), "-WRONGPASS no", "Failed to AUTH to target node: -WRONGPASS no"),
        (None, "-ERR no", "Received error during handshake to target: -ERR no"),
    ] {
        let mut job = export().with_login(login);
        job.on_connected(now(1));
        job.on_received(format!("{reply}\r\n").as_bytes(), 0, now(2));
        assert_eq!((job.job.state, job.job.message.as_str()), (State::Failed, expected));
        assert!(asked(&mut job).contains(&ExportAction::Close));
    }
}

/// A source in the state in which it sends changes.
fn streaming() -> ExportJob {
    let mut job = export();
    job.on_connected(now(1));
    job.on_received(b"+OK\r\n", 0, now(2));
    job.begin_snapshot(now(3));
    job.on_snapshot_sent(now(4));
    job.take_actions();
    job
}

#[test]
fn writes_are_held_back_once_nothing_waits_and_released_whatever_happens() {
    let mut job = streaming();
    job.on_received(&Message::RequestPause.request(), 10, now(5));
    assert_eq!((job.job.state, asked(&mut job)), (State::WaitingToPause, vec![]));
    job.on_pending(0, now(6));
    let held = [ExportAction::HoldWrites, ExportAction::SendBehind(Message::Paused)];
    assert_eq!((job.job.state, asked(&mut job)), (State::Paused, held.to_vec()));
    let mut late = job.clone();
    late.on_tick(0, now(6 + SETTINGS.pause_ms + 1));
    assert_eq!(late.job.message, "Timed out before streaming completed");
    assert!(asked(&mut late).contains(&ExportAction::ReleaseWrites));
    job.on_received(&Message::RequestFailover.request(), 0, now(7));
    assert_eq!(asked(&mut job), [ExportAction::SendBehind(Message::FailoverGranted)]);
    job.cancel(now(8));
    job.on_closed(now(8));
    assert_eq!(job.job.state, State::FailoverGranted, "the target may have the slots");
    job.on_owner(Owner::Target, now(9));
    assert_eq!(job.job.state, State::Success);
    assert!(asked(&mut job).contains(&ExportAction::ReleaseWrites));
}

#[test]
fn what_does_not_fit_or_does_not_come_ends_a_job() {
    let mut job = streaming();
    job.on_received(&Message::RequestFailover.request(), 0, now(5));
    assert_eq!(job.job.message, "Unexpected state machine transition");
    let mut job = streaming();
    job.on_tick(0, now(2 + SETTINGS.timeout_ms + 1));
    assert_eq!(job.job.message, "Timed out after too long with no interaction");
    let mut job = streaming();
    job.on_owner(Owner::Others, now(5));
    assert_eq!(job.job.message, "Slots are no longer owned by myself");
    let mut job = import();
    job.on_message(Message::SnapshotEof, now(1));
    assert_eq!((job.job.state, job.job.message.as_str()), (State::CleaningUp, "Unexpected state machine transition"));
    job.on_cleaned_up(now(2));
    let finish = ImportAction::Finish { is_success: false, message: job.job.message.clone() };
    assert!(job.job.state == State::Failed && job.take_actions().contains(&finish));
}

#[test]
fn both_sides_say_that_they_are_alive_once_a_second() {
    let mut source = streaming();
    let mut target = import();
    target.on_tick(now(5));
    target.on_message(Message::Ack, now(6));
    target.take_actions();
    let (mut sent, mut answered) = (0, 0);
    for ms in (10..5_010).step_by(100) {
        source.on_tick(0, now(ms));
        target.on_tick(now(ms));
        sent += asked(&mut source).len();
        answered += target.take_actions().len();
    }
    assert_eq!((sent, answered), (4, 5));
}

#[test]
fn a_replica_waits_for_its_primary_and_a_demoted_target_as_well() {
    let mut job = ImportJob::tracking(NodeId::random(&mut Rng::with_seed(2)), ranges(), SETTINGS, now(0));
    job.on_tick(now(SETTINGS.timeout_ms * 2));
    job.on_closed(now(1));
    assert_eq!(job.job.state.name(), "occurring-on-primary");
    job.on_finish(true, String::new(), now(2));
    assert_eq!(job.job.state, State::Success);
    let mut job = import();
    job.on_demoted(now(1));
    assert_eq!(job.job.state, State::OccurringOnPrimary);
    job.fail("A failover occurred during slot import", true, now(2));
    assert_eq!(job.job.state, State::CleaningUp);
}

/// One direction of a connection.
#[derive(Default)]
struct Pipe {
    bytes: Vec<u8>,
    sent: usize,
    /// The pipe breaks once this many bytes have passed.
    cut_at: Option<usize>,
}

impl Pipe {
    /// Passes on some of the bytes. Returns none if the pipe has broken.
    fn pass(&mut self, rng: &mut Rng) -> Option<Vec<u8>> {
        let most = rng.usize(..64).min(self.bytes.len());
        if self.cut_at.is_some_and(|cut_at| self.sent + most > cut_at) {
            return None;
        }
        self.sent += most;
        Some(self.bytes.drain(..most).collect())
    }
}

/// Keys with their values.
type Keys = BTreeMap<u8, u64>;

/// Both nodes, the connection between them, and the claim on the bus.
struct World {
    rng: Rng,
    ms: u64,
    source: ExportJob,
    target: Option<ImportJob>,
    /// The keys of the source, those of the target, and the writes acknowledged to clients.
    source_keys: Keys,
    target_keys: Keys,
    acknowledged: Keys,
    snapshot: Option<Vec<(u8, u64)>>,
    changes: Option<Vec<u8>>,
    held: bool,
    to_target: Pipe,
    to_source: Pipe,
    input: [Vec<u8>; 2],
    is_connected: bool,
    target_has_lost: bool,
    /// When the source receives the target's claim, if there is one.
    claimed_ms: Option<u64>,
    has_left: bool,
    cleans_up: bool,
    cancels_at_ms: Option<u64>,
}

fn set(key: u8, value: u64) -> Vec<u8> {
    request(&[b"SET", &[key], value.to_string().as_bytes()])
}

impl World {
    fn new(seed: u64) -> World {
        let mut rng = Rng::with_seed(seed);
        let keys: Keys = (0..rng.u8(..40)).map(|key| (key, 0)).collect();
        let cut = |rng: &mut Rng| rng.bool().then(|| rng.usize(..1500));
        let (to_target, to_source) = (cut(&mut rng), if rng.bool() { None } else { cut(&mut rng) });
        let cancels_at_ms = (rng.u8(..4) == 0).then(|| rng.u64(..300));
        World {
            ms: 0,
            source: export(),
            target: None,
            source_keys: keys.clone(),
            target_keys: Keys::new(),
            acknowledged: keys,
            snapshot: None,
            changes: None,
            held: false,
            to_target: Pipe { cut_at: to_target, ..Pipe::default() },
            to_source: Pipe { cut_at: to_source, ..Pipe::default() },
            input: [Vec::new(), Vec::new()],
            is_connected: true,
            target_has_lost: false,
            claimed_ms: None,
            has_left: false,
            cleans_up: false,
            cancels_at_ms,
            rng,
        }
    }

    fn pending(&self) -> u64 {
        (self.to_target.bytes.len() + self.changes.as_ref().map_or(0, Vec::len)) as u64
    }

    fn act_for_source(&mut self) {
        for action in self.source.take_actions() {
            match action {
                ExportAction::Connect => {}
                ExportAction::Close => self.is_connected = false,
                ExportAction::Send(bytes) => self.to_target.bytes.extend(bytes),
                ExportAction::SendBehind(message) => {
                    self.changes.as_mut().expect("it gathers").extend(message.request());
                }
                ExportAction::BeginSnapshot => {
                    self.snapshot = Some(self.source_keys.iter().map(|(key, value)| (*key, *value)).collect());
                    self.changes = Some(Vec::new());
                }
                ExportAction::DropData => (self.snapshot, self.changes) = (None, None),
                ExportAction::HoldWrites => self.held = true,
                ExportAction::ReleaseWrites => self.held = false,
                ExportAction::Log(..) => {}
            }
        }
    }

    fn act_for_target(&mut self) {
        let actions = self.target.as_mut().map(ImportJob::take_actions).unwrap_or_default();
        for action in actions {
            match action {
                ImportAction::Send(message) => self.to_source.bytes.extend(message.request()),
                ImportAction::Close => self.is_connected = false,
                ImportAction::CleanUp => self.cleans_up = true,
                ImportAction::Show | ImportAction::Finish { .. } | ImportAction::Log(..) => {}
            }
        }
    }

    /// A client writes to the owner of the slots.
    fn write(&mut self) {
        let (key, value) = (self.rng.u8(..50), self.ms);
        if self.claimed_ms.is_some() && self.has_left {
            self.target_keys.insert(key, value);
        } else if !self.held && !self.has_left {
            self.source_keys.insert(key, value);
            if let Some(changes) = &mut self.changes {
                changes.extend(set(key, value));
            }
        } else {
            return;
        }
        self.acknowledged.insert(key, value);
    }

    /// The source sends the data that its state allows.
    fn feed(&mut self) {
        if !self.is_connected {
            return;
        }
        if self.source.waits_to_snapshot() {
            self.source.begin_snapshot(now(self.ms));
            self.act_for_source();
        }
        if let Some(snapshot) = &mut self.snapshot {
            match snapshot.pop() {
                Some((key, value)) => self.to_target.bytes.extend(set(key, value)),
                None => {
                    self.snapshot = None;
                    self.to_target.bytes.extend(Message::SnapshotEof.request());
                    self.source.on_snapshot_sent(now(self.ms));
                }
            }
        } else if let Some(changes) = &mut self.changes {
            self.to_target.bytes.append(changes);
        }
    }

    /// The target runs the complete requests.
    fn receive_at_target(&mut self, bytes: Vec<u8>) {
        let mut input = std::mem::take(&mut self.input[1]);
        input.extend(bytes);
        let mut used = 0;
        while let Ok(Some((words, taken))) = read_request(&input[used..]) {
            used += taken;
            if words[0] == b"SET" {
                let value = String::from_utf8_lossy(words[2]).parse().expect("a number");
                self.target_keys.insert(words[1][0], value);
            } else if words[2] == b"ESTABLISH" {
                self.target = Some(import());
                self.to_source.bytes.extend(b"+OK\r\n");
            } else if let (Some(message), Some(target)) = (Message::from_word(words[2]), &mut self.target) {
                target.on_message(message, now(self.ms));
            }
        }
        self.input[1] = input.split_off(used);
    }

    fn move_bytes(&mut self) {
        let passed = (self.to_target.pass(&mut self.rng), self.to_source.pass(&mut self.rng));
        match passed.0 {
            Some(bytes) => self.receive_at_target(bytes),
            None => self.is_connected = false,
        }
        match passed.1 {
            Some(bytes) => {
                self.input[0].extend(bytes);
                let input = std::mem::take(&mut self.input[0]);
                let used = self.source.on_received(&input, self.pending(), now(self.ms));
                self.input[0] = input[used..].to_vec();
            }
            None => self.is_connected = false,
        }
    }

    fn step(&mut self) {
        let now = now(self.ms);
        if self.ms == 1 {
            self.source.on_connected(now);
        }
        if self.cancels_at_ms == Some(self.ms) {
            self.source.cancel(now);
        }
        if self.rng.u8(..3) == 0 {
            self.write();
        }
        self.act_for_source();
        self.feed();
        if self.is_connected {
            self.move_bytes();
        } else {
            self.source.on_closed(now);
            // The bytes under way still arrive, or are lost.
            if !std::mem::replace(&mut self.target_has_lost, true) && self.rng.bool() && self.to_target.cut_at.is_none()
            {
                let rest = std::mem::take(&mut self.to_target.bytes);
                self.receive_at_target(rest);
            }
            if let Some(target) = self.target.as_mut().filter(|target| !target.takes_over()) {
                target.on_closed(now);
            }
        }
        self.act_for_target();
        self.settle(now);
        self.ms += 1;
    }

    /// Delivers the claim on the bus, completes the deletion of keys, and runs the ticks.
    fn settle(&mut self, now: Now) {
        if self.target.as_ref().is_some_and(ImportJob::takes_over) {
            self.claimed_ms = Some(self.ms + self.rng.u64(..1000));
            self.target.as_mut().expect("it is there").on_taken_over(now);
            self.act_for_target();
        }
        if !self.has_left && self.claimed_ms.is_some_and(|claimed_ms| claimed_ms <= self.ms) {
            self.has_left = true;
            self.source_keys.clear();
            self.source.on_owner(Owner::Target, now);
        }
        if self.cleans_up && self.rng.u8(..20) == 0 {
            self.cleans_up = false;
            self.target_keys.clear();
            self.target.as_mut().expect("it is there").on_cleaned_up(now);
        }
        if self.ms.is_multiple_of(100) {
            self.source.on_pending(self.pending(), now);
            self.source.on_tick(self.pending(), now);
            if let Some(target) = &mut self.target {
                target.on_tick(now);
            }
        }
        self.source.on_pending(self.pending(), now);
        self.act_for_source();
        self.act_for_target();
    }
}

/// With any failure one node ends up with the slots and all acknowledged writes, and the other node with no keys.
#[test]
fn slots_move_as_a_whole_or_not_at_all() {
    let mut outcomes = BTreeMap::new();
    for seed in 0..3000 {
        let mut world = World::new(seed);
        for _ in 0..30_000 {
            world.step();
            let is_over = |state: State| state.is_finished();
            let target_is_over = world.target.as_ref().is_none_or(|target| is_over(target.job.state));
            if is_over(world.source.job.state) && target_is_over && !world.is_connected && !world.cleans_up {
                break;
            }
        }
        let states = (world.source.job.state, world.target.as_ref().map(|target| target.job.state));
        let (kept, other) = match world.has_left {
            true => (&world.target_keys, &world.source_keys),
            false => (&world.source_keys, &world.target_keys),
        };
        assert_eq!(kept, &world.acknowledged, "seed {seed}: {states:?} {}", world.source.job.message);
        assert!(other.is_empty(), "seed {seed}: {states:?}");
        assert!(!world.held, "seed {seed}: {states:?}");
        *outcomes.entry(format!("{:?}", states.0)).or_insert(0) += 1;
    }
    assert!(outcomes.len() == 3 && outcomes.values().all(|count| *count > 50), "{outcomes:?}");
}
