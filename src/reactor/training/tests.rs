//! The scenes of the lessons: that each shows what its lesson is about, and that no order does more than it may.

use super::*;
use crate::resp::Parser;

/// Turns in which a scene comes to rest.
const TURNS_MAX: usize = 2000;

fn stage(name: &str) -> Lessons {
    let mut lessons = training_of(1);
    order(&mut lessons, &format!("reset {name}"));
    lessons
}

fn training_of(seed: u64) -> Lessons {
    let training = training(&Entropy::Seeded(seed)).expect("a stage");
    assert_eq!(training.token.len(), 2 * TOKEN_BYTES);
    Lessons { stage: Stage::set(&LESSONS[0]).expect("a stage") }
}

#[track_caller]
fn order(lessons: &mut Lessons, line: &str) {
    lessons.obey(line.as_bytes()).expect(line);
}

/// How many replies the clients have, in the order in which they came.
fn replies(lessons: &Lessons) -> Vec<u64> {
    lessons.stage.clients.iter().map(|client| client.replies).collect()
}

/// Takes turns until both loops would wait.
fn settle(lessons: &mut Lessons) {
    for _ in 0..TURNS_MAX {
        if lessons.stage.server.is_idle() && lessons.stage.echo.world.due().is_empty() {
            return;
        }
        order(lessons, "turn");
    }
    panic!("{} does not come to rest", lessons.stage.lesson.name);
}

#[test]
fn every_lesson_can_be_played_to_its_end() {
    for lesson in LESSONS {
        let mut lessons = stage(lesson.name);
        while !lessons.stage.acts.is_empty() {
            order(&mut lessons, "next");
            settle(&mut lessons);
            assert!(lessons.state().starts_with(&format!("{{\"lesson\":\"{}\",", lesson.name)));
        }
        assert!(lessons.obey(b"next").is_err(), "{}", lesson.name);
        let answered = replies(&lessons);
        let expected: &[u64] = match lesson.name {
            "readiness" => &[7],
            "partial" => &[2, 1],
            "fairness" => &[4000, 3, 2],
            "backpressure" => &[40, 1],
            "generations" => &[0, 0, 1],
            "jobs" => &[1, 13],
            "commit" => &[2, 2, 2],
            _ => &[30],
        };
        assert_eq!(answered, expected, "{}", lesson.name);
    }
}

#[test]
fn a_loop_that_does_not_drain_loses_its_edge() {
    let mut lessons = stage("readiness");
    order(&mut lessons, "next");
    order(&mut lessons, "turn 10");
    let echo = |lessons: &Lessons| lessons.stage.clients[0].echo_bytes / 5;
    assert_eq!((replies(&lessons), echo(&lessons)), (vec![5], 2), "the echo loop has read once");
    assert_eq!(lessons.stage.clients[0].echo.unread(), 14);
    order(&mut lessons, "set echo-drains yes");
    order(&mut lessons, "turn 10");
    assert_eq!(echo(&lessons), 2, "no edge follows");
    order(&mut lessons, "next");
    order(&mut lessons, "turn");
    assert_eq!((replies(&lessons), echo(&lessons)), (vec![6], 6));
}

#[test]
fn the_parser_keeps_what_is_complete() {
    let mut lessons = stage("partial");
    let parser = |lessons: &Lessons| {
        let stage = &lessons.stage;
        let token = stage.clients[0].token.expect("it is there");
        let parser: &Parser = &stage.server.event_loop().connections[token.slot as usize].parser;
        parser.progress().map(|progress| (progress.arguments.len(), progress.missing))
    };
    for (expected, answered) in [(Some((1, 2)), [0, 0]), (Some((2, 1)), [0, 1]), (Some((1, 1)), [1, 1]), (None, [2, 1])]
    {
        order(&mut lessons, "next");
        order(&mut lessons, "turn");
        assert_eq!((parser(&lessons), replies(&lessons)), (expected, answered.to_vec()));
    }
    assert_eq!(lessons.stage.clients[0].last_reply, "$5\r\nhello\r\n");
}

#[test]
fn a_busy_client_has_a_share_of_the_turn() {
    let mut lessons = stage("fairness");
    order(&mut lessons, "next");
    order(&mut lessons, "turn");
    let answered = replies(&lessons);
    assert!((2..1000).contains(&answered[0]) && answered[1..] == [1, 1], "{answered:?}");
    assert_eq!(lessons.stage.server.event_loop().ready.len(), 1);
    assert!(lessons.state().contains("\"ready\":[\"A\"]"));
    // The echo loop has no shares.
    assert_eq!(lessons.stage.clients[0].echo_bytes, 5 * 2000);
    order(&mut lessons, "set share 100000");
    order(&mut lessons, "turn 2");
    assert_eq!(replies(&lessons)[0], 2000);
}

#[test]
fn a_client_that_does_not_read_is_throttled() {
    let mut lessons = stage("backpressure");
    order(&mut lessons, "next");
    settle(&mut lessons);
    let state = lessons.state();
    assert!(state.contains("\"throttled\""), "{state}");
    let sessions = &lessons.stage.server.event_loop().state.clients;
    let ran: Vec<u64> = sessions.iter().map(|session| session.traffic.commands).collect();
    assert_eq!(ran, [4, 1], "only as many as fit the limit");
    assert_eq!(lessons.stage.clients[0].peer.untaken(), 10_000);
}

#[test]
fn an_event_of_a_client_that_is_gone_reaches_no_other() {
    let mut lessons = stage("generations");
    for _ in 0..2 {
        order(&mut lessons, "next");
        order(&mut lessons, "turn");
    }
    let tokens: Vec<_> = lessons.stage.clients.iter().filter_map(|client| client.token).collect();
    assert!(tokens[1].slot == tokens[2].slot && tokens[1] != tokens[2], "{tokens:?}");
    order(&mut lessons, "next");
    order(&mut lessons, "turn");
    let reported = &lessons.stage.step.reported[0];
    assert_eq!((reported.name.as_str(), reported.is_known), ("B", false));
    let misled = &lessons.stage.step.echo_reported[0];
    assert_eq!((misled.name.as_str(), misled.is_known), ("C", true), "a bare index names the successor");
}

#[test]
fn jobs_keep_to_their_budget() {
    let mut lessons = stage("jobs");
    order(&mut lessons, "next");
    order(&mut lessons, "turn");
    let garbage = |lessons: &Lessons| lessons.stage.server.event_loop().state.keyspace.reclaim_pending();
    let first = garbage(&lessons);
    assert_eq!(replies(&lessons), [1, 1]);
    assert!((1..20_000).contains(&first), "{first}");
    order(&mut lessons, "set jobs-budget 20");
    order(&mut lessons, "next");
    order(&mut lessons, "turn");
    let freed = first - garbage(&lessons);
    assert!(freed < 20_000 - first, "{freed} at a smaller budget");
}

#[test]
fn one_sync_is_for_all_that_came_before_it() {
    let mut lessons = stage("commit");
    order(&mut lessons, "next");
    settle(&mut lessons);
    assert_eq!((replies(&lessons), lessons.stage.disk.busy_helpers().len()), (vec![0; 3], 1));
    order(&mut lessons, "next");
    assert_eq!(lessons.stage.syncs, 1);
    settle(&mut lessons);
    assert_eq!(replies(&lessons), [1, 1, 1]);
}

#[test]
fn requests_that_came_together_are_one_batch_and_one_write() {
    let mut lessons = stage("batches");
    for (limit, batches) in [(64, 1), (1, 10), (4, 3)] {
        order(&mut lessons, &format!("set batch {limit}"));
        order(&mut lessons, "next");
        order(&mut lessons, "turn");
        let step = &lessons.stage.step;
        assert_eq!((step.requests, step.batches, step.reads, step.writes), (10, batches, 1, 1), "{limit}");
        assert_eq!(step.ran.len(), 10);
    }
    assert!(lessons.state().contains("\"keys\":[\"key:9\"]"), "{}", lessons.state());
}

#[test]
fn one_request_and_one_event_are_just_that() {
    let mut lessons = stage("fairness");
    order(&mut lessons, "next");
    for count in 1..=3 {
        order(&mut lessons, "request");
        assert_eq!((lessons.stage.step.requests, replies(&lessons)), (1, vec![count, 0, 0]));
    }
    order(&mut lessons, "event");
    let step = &lessons.stage.step;
    assert_eq!((step.reported.len(), step.reported[0].name.as_str()), (1, "B"));
    assert_eq!(replies(&lessons)[1..], [1, 0]);
    settle(&mut lessons);
    assert!(lessons.obey(b"event").is_err() && lessons.obey(b"request").is_err());
}

#[test]
fn what_is_no_order_changes_nothing() {
    let mut lessons = stage("fairness");
    let before = lessons.state();
    for line in [
        &b""[..],
        b"turn 0",
        b"turn 201",
        b"turn -1",
        b"turn 99999999999999999999",
        b"reset nothing",
        b"reset",
        b"next next",
        b"set share 0",
        b"set share 100001",
        b"set share much",
        b"set nothing 1",
        b"set appendfsync 2",
        b"set appendfsync sometimes",
        b"send Z x",
        b"send A",
        b"send A \"x",
        b"\xff\x00\r\n",
        b"{\"order\":\"turn\"}",
    ] {
        let reason = lessons.obey(line).expect_err(&String::from_utf8_lossy(line));
        assert!(reason.ends_with('.'), "{reason}");
        assert_eq!(lessons.state(), before, "{}", line.escape_ascii());
    }
}

#[test]
fn a_client_of_a_lesson_may_not_do_much() {
    let mut lessons = stage("partial");
    for request in [
        "CONFIG SET dir /tmp",
        "DEBUG SLEEP 1000",
        "SHUTDOWN NOSAVE",
        "EVAL \\\"while true do end\\\" 0",
        "SETRANGE key 500000000 x",
        "BGSAVE",
        "REPLICAOF 127.0.0.1 1",
        "ACL SETUSER default allcommands",
        "MIGRATE 127.0.0.1 1 key 0 1",
    ] {
        order(&mut lessons, &format!("send A \"{request}\\r\\n\""));
        settle(&mut lessons);
        assert!(lessons.stage.clients[0].last_reply.starts_with("-NOPERM"), "{request}");
    }
    let long = format!("send A \"{}\"", "x".repeat(4000));
    let sent = (0..100).take_while(|_| lessons.obey(long.as_bytes()).is_ok()).count();
    assert!(sent < 20, "{sent}");
}

#[test]
fn the_same_orders_lead_to_the_same_scene() {
    let [one, other] = [1, 2].map(|seed| {
        let mut lessons = training_of(seed);
        let mut states = String::new();
        for lesson in LESSONS {
            order(&mut lessons, &format!("reset {}", lesson.name));
            for line in ["next", "event", "turn 3", "next", "turn", "turn 20"] {
                // Not every lesson has an event then.
                let _ = lessons.obey(line.as_bytes());
                states += &lessons.state();
            }
        }
        states
    });
    assert_eq!(one, other);
}
