//! The link, driven by bytes that come in pieces of any size, and cut at every one.

use proptest::prelude::*;

use super::*;
use crate::replication::payload::MARK_BYTES;

const TIMEOUT_MS: i64 = 60_000;
const MARK: &str = "0123456789abcdef0123456789abcdef01234567";

fn id(digit: &str) -> ReplicationId {
    ReplicationId::parse(digit.repeat(40).as_bytes()).expect("it has forty digits")
}

fn position(digit: &str, offset: u64) -> Position {
    Position { id: id(digit), offset }
}

/// What the link has done; the log's lines apart.
#[derive(Default)]
struct Recorder {
    actions: Vec<Action>,
    payload: Vec<u8>,
    stream: Vec<u8>,
    log: Vec<String>,
}

impl Recorder {
    /// Has the link do something.
    fn run<R>(&mut self, run: impl FnOnce(&mut Vec<u8>, &mut Vec<Action>) -> R) -> R {
        let mut actions = Vec::new();
        let result = run(&mut self.payload, &mut actions);
        for action in actions {
            match action {
                Action::Log(_, text) => self.log.push(text),
                action => self.actions.push(action),
            }
        }
        result
    }

    fn tick(&mut self, link: &mut PrimaryLink, now_ms: i64) {
        self.run(|_, actions| link.on_tick(now_ms, None, actions));
    }

    fn connected(&mut self, link: &mut PrimaryLink, now_ms: i64, introduction: Introduction) {
        self.run(|_, actions| link.on_connected(now_ms, introduction, actions));
    }

    fn loaded(&mut self, link: &mut PrimaryLink, now_ms: i64, fsynced: Option<u64>, outcome: Result<(), &str>) {
        self.run(|_, actions| link.on_loaded(now_ms, fsynced, outcome, actions));
    }

    fn lost(&mut self, link: &mut PrimaryLink, now_ms: i64, reason: &str) {
        self.run(|_, actions| link.on_lost(now_ms, reason, actions));
    }
}

const CONNECT: Action = Action::Connect { is_logged: true };

/// A link with its connection just open, and what it has done so far.
fn connected(from: Option<Position>) -> (PrimaryLink, Recorder) {
    let mut link = PrimaryLink::new(from, TIMEOUT_MS, 0);
    let mut recorder = Recorder::default();
    recorder.tick(&mut link, 0);
    recorder.connected(&mut link, 1, Introduction::default());
    assert_eq!(recorder.actions.first(), Some(&CONNECT));
    recorder.actions.clear();
    (link, recorder)
}

const GREETING: &str = "+PONG\r\n+OK\r\n+OK\r\n+OK\r\n";

fn full_sync(offset: u64, is_marked: bool) -> String {
    let id = "a".repeat(40);
    match is_marked {
        true => format!("{GREETING}\n+FULLRESYNC {id} {offset}\r\n\n$EOF:{MARK}\r\nsnapshot{MARK}"),
        false => format!("{GREETING}+FULLRESYNC {id} {offset}\r\n$8\r\nsnapshotstream"),
    }
}

/// Hands bytes on in pieces, as far as they are taken; the stream is the owner's, who is played here.
fn feed(link: &mut PrimaryLink, recorder: &mut Recorder, bytes: &[u8], piece: usize) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        let end = bytes.len().min(at + piece);
        let taken = match link.is_streaming() {
            true => {
                recorder.stream.extend_from_slice(&bytes[at..end]);
                end - at
            }
            false => recorder.run(|payload, actions| {
                link.on_bytes(2, &bytes[at..end], &mut |bytes| payload.extend_from_slice(bytes), actions)
            }),
        };
        at += taken;
        if taken == 0 && !link.is_streaming() {
            break;
        }
    }
    at
}

proptest! {
    #[test]
    fn all_data_come_before_the_stream(piece in 1..100usize, is_marked in any::<bool>()) {
        let (mut link, mut recorder) = connected(None);
        let bytes = full_sync(1402, is_marked);
        let taken = feed(&mut link, &mut recorder, bytes.as_bytes(), piece);
        prop_assert_eq!(link.state(), LinkState::Transfer);
        prop_assert_eq!(&recorder.payload, b"snapshot");
        // While it loads, the stream waits in the owner's hands.
        prop_assert_eq!(&bytes[taken..], if is_marked { "" } else { "stream" });
        recorder.actions.clear();
        recorder.loaded(&mut link, 3, Some(7), Ok(()));
        let ack = b"*5\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$4\r\n1402\r\n$4\r\nFACK\r\n$1\r\n7\r\n".to_vec();
        let begun = Action::Begun(Some(position("a", 1402)));
        prop_assert_eq!(&recorder.actions, &[begun, Action::Send(ack)]);
        feed(&mut link, &mut recorder, b"stream", piece);
        prop_assert_eq!(&recorder.stream, b"stream");
        prop_assert_eq!(link.position(), Some(position("a", 1402)));
    }
}

#[test]
fn a_link_that_is_cut_at_any_byte_is_opened_again() {
    for is_marked in [false, true] {
        let bytes = full_sync(10, is_marked);
        for length in 0..bytes.len() {
            let (mut link, mut recorder) = connected(None);
            feed(&mut link, &mut recorder, &bytes.as_bytes()[..length], 9);
            let is_loading = recorder.actions.contains(&Action::PayloadComplete);
            let is_transfer = link.state() == LinkState::Transfer;
            recorder.actions.clear();
            recorder.lost(&mut link, 5, "cut");
            let expected: &[Action] =
                if is_transfer { &[Action::DropPayload, Action::Disconnect] } else { &[Action::Disconnect] };
            assert_eq!(recorder.actions, expected, "{length} {is_loading}");
            recorder.actions.clear();
            recorder.tick(&mut link, 5 + RETRY_PAUSE_MS);
            assert_eq!(recorder.actions, [CONNECT], "{length}");
            assert_eq!(link.position(), None);
        }
    }
}

#[test]
fn a_lost_link_is_gone_on_with_from_the_last_byte_that_was_applied() {
    let (mut link, mut recorder) = connected(Some(position("a", 100)));
    feed(&mut link, &mut recorder, format!("{GREETING}+CONTINUE {}\r\nstream", "b".repeat(40)).as_bytes(), 1000);
    assert!(recorder.actions.contains(&Action::Resumed(Some(id("b")))), "{:?}", recorder.actions);
    assert_eq!(recorder.stream, b"stream");
    assert!(recorder.log.iter().any(|text| text.starts_with("Master replication ID changed to bbb")));
    link.applied(106);
    recorder.actions.clear();
    recorder.lost(&mut link, 50, "Connection with master lost.");
    assert_eq!(link.down_since_ms(), Some(50));
    // It has been connected, so it does not wait.
    recorder.tick(&mut link, 50);
    assert_eq!(recorder.actions, [Action::Disconnect, CONNECT]);
    recorder.actions.clear();
    recorder.connected(&mut link, 60, Introduction::default());
    feed(&mut link, &mut recorder, GREETING.as_bytes(), 1000);
    let last = recorder.actions.last();
    let Some(Action::Send(request)) = last else { panic!("{last:?}") };
    assert!(String::from_utf8_lossy(request).contains("PSYNC\r\n$40\r\nbbb"), "{request:?}");
    assert!(String::from_utf8_lossy(request).ends_with("$3\r\n107\r\n"), "{request:?}");
}

#[test]
fn what_is_no_stream_makes_the_position_worthless() {
    let (mut link, mut recorder) = connected(Some(position("a", 100)));
    feed(&mut link, &mut recorder, format!("{GREETING}+CONTINUE\r\n").as_bytes(), 1000);
    recorder.run(|_, actions| link.on_protocol_error(9, "Protocol error from master", actions));
    assert_eq!((link.state(), link.position()), (LinkState::Waiting, None));
}

#[test]
fn what_cannot_be_applied_is_tried_again_later() {
    let (mut link, mut recorder) = connected(Some(position("a", 100)));
    feed(&mut link, &mut recorder, format!("{GREETING}+CONTINUE\r\n").as_bytes(), 1000);
    recorder.run(|_, actions| link.on_inapplicable(9, "no such database", actions));
    assert_eq!((link.state(), link.position()), (LinkState::Waiting, Some(position("a", 100))));
    assert_eq!(link.due_ms(), Some(9 + RETRY_PAUSE_MS));
}

#[test]
fn a_primary_that_was_just_lost_is_tried_again_often_and_the_log_does_not_tell_each_time() {
    let (mut link, mut recorder) = connected(Some(position("a", 100)));
    feed(&mut link, &mut recorder, format!("{GREETING}+CONTINUE\r\n").as_bytes(), 1000);
    recorder.lost(&mut link, 20_000, "Connection with master lost.");
    recorder.actions.clear();
    recorder.log.clear();
    let mut now_ms = 20_000;
    let mut attempts = 0;
    while now_ms < 20_000 + SHORT_PAUSES_FOR_MS {
        now_ms = link.due_ms().expect("it waits");
        recorder.tick(&mut link, now_ms);
        recorder.lost(&mut link, now_ms, "refused");
        attempts += 1;
    }
    assert_eq!(attempts, SHORT_PAUSES_FOR_MS / SHORT_PAUSE_MS + 1);
    assert_eq!(link.due_ms(), Some(now_ms + RETRY_PAUSE_MS));
    let told = recorder.actions.iter().filter(|action| **action == CONNECT).count();
    let seconds = (SHORT_PAUSES_FOR_MS / LOG_PAUSE_MS + 1) as usize;
    assert_eq!((told, recorder.log.len()), (seconds, seconds));
}

#[test]
fn a_silent_primary_is_given_up_in_each_state() {
    let transfer = full_sync(1, true);
    let stages: [(&str, &str); 4] = [
        ("", "Timeout connecting to the MASTER..."),
        ("+PONG\r\n", "Timeout connecting to the MASTER..."),
        (&transfer[..transfer.len() - MARK_BYTES - 3], "Timeout receiving bulk data from MASTER..."),
        ("+PONG\r\n+OK\r\n+OK\r\n+OK\r\n+CONTINUE\r\n", "MASTER timeout: no data nor PING received..."),
    ];
    for (received, text) in stages {
        let (mut link, mut recorder) = connected(Some(position("a", 1)));
        feed(&mut link, &mut recorder, received.as_bytes(), 1000);
        recorder.tick(&mut link, TIMEOUT_MS);
        assert!(!recorder.log.iter().any(|line| line.contains("imeout")), "{received} {:?}", recorder.log);
        recorder.tick(&mut link, TIMEOUT_MS + 3);
        assert!(recorder.log.last().is_some_and(|line| line.starts_with(text)), "{received} {:?}", recorder.log);
        assert_eq!(link.state(), LinkState::Waiting);
        assert_eq!(link.position(), Some(position("a", 1)), "what was applied stays known");
    }
}

#[test]
fn a_replica_gives_signs_of_life() {
    let (mut link, mut recorder) = connected(None);
    feed(&mut link, &mut recorder, full_sync(5, true).as_bytes(), 1000);
    recorder.actions.clear();
    recorder.tick(&mut link, 900);
    assert_eq!(recorder.actions, []);
    recorder.tick(&mut link, 1100);
    assert_eq!(recorder.actions, [Action::Send(b"\n".to_vec())]);
    recorder.loaded(&mut link, 1200, None, Ok(()));
    link.applied(9);
    recorder.actions.clear();
    recorder.tick(&mut link, 2100);
    assert_eq!(recorder.actions, []);
    recorder.tick(&mut link, 2200);
    assert_eq!(recorder.actions, [Action::Send(b"*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$1\r\n9\r\n".to_vec())]);
}

#[test]
fn failures_that_may_last_are_not_tried_again_at_once() {
    let failing = [
        (format!("{GREETING}-LOADING wait\r\n"), "Master is currently unable to PSYNC"),
        ("-ERR what\r\n".into(), "Error reply to PING from master: '-ERR what'"),
        (
            format!("{GREETING}-ERR\r\n-ERR no snapshot\r\n"),
            "MASTER aborted replication with an error: ERR no snapshot",
        ),
        (format!("{GREETING}+FULLRESYNC {} 1\r\nx\r\n", "a".repeat(40)), "Bad protocol from MASTER"),
        (format!("{GREETING}+CONTINUE\r\n"), "Unexpected +CONTINUE"),
    ];
    for (received, text) in failing {
        let (mut link, mut recorder) = connected(None);
        feed(&mut link, &mut recorder, received.as_bytes(), 1000);
        assert!(recorder.log.last().is_some_and(|line| line.starts_with(text)), "{:?}", recorder.log);
        recorder.actions.clear();
        recorder.tick(&mut link, RETRY_PAUSE_MS);
        assert_eq!(recorder.actions, []);
        recorder.tick(&mut link, RETRY_PAUSE_MS + 2);
        assert_eq!(recorder.actions, [CONNECT]);
    }
}

#[test]
fn data_that_cannot_be_loaded_leave_the_old_position_unless_the_old_data_are_gone() {
    let (mut link, mut recorder) = connected(Some(position("b", 3)));
    feed(&mut link, &mut recorder, full_sync(5, true).as_bytes(), 1000);
    recorder.loaded(&mut link, 10, None, Err("Bad file format"));
    assert_eq!((link.state(), link.position()), (LinkState::Waiting, Some(position("b", 3))));
    link.forget_position();
    assert_eq!(link.position(), None);
    assert!(recorder.actions.contains(&Action::DropPayload));
}

#[test]
fn a_takeover_that_is_refused_is_told_of() {
    let mut link = PrimaryLink::new(Some(position("a", 1)), TIMEOUT_MS, 0);
    let mut recorder = Recorder::default();
    recorder.tick(&mut link, 0);
    recorder.connected(&mut link, 1, Introduction { takes_over: true, ..Introduction::default() });
    feed(&mut link, &mut recorder, format!("{GREETING}-ERR no\r\n").as_bytes(), 1000);
    assert!(recorder.actions.contains(&Action::TakeoverRejected));
    assert_eq!(recorder.log.last().map(String::as_str), Some("Failover target rejected psync request"));
}
