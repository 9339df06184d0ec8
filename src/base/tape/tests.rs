//! Owns the tests of tapes: what is recorded comes back, and a replay that leaves its recording ends.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;

use super::*;

/// Records what `work` asks for; gives the chunks.
fn recorded_by(work: impl FnOnce()) -> Vec<Vec<u8>> {
    let chunks: Rc<RefCell<Vec<Vec<u8>>>> = Rc::default();
    let kept = Rc::clone(&chunks);
    record(Recorder::new(Box::new(move |chunk| {
        kept.borrow_mut().push(chunk);
        Ok(())
    })));
    work();
    assert!(stop());
    assert!(!stop());
    chunks.take()
}

/// Replays; gives how it has ended, or nothing if `work` has come to its own end.
fn replayed_by(chunks: Vec<Vec<u8>>, work: impl FnOnce()) -> Option<End> {
    let mut chunks = chunks.into_iter();
    let on_end = Box::new(|end: &End| -> std::convert::Infallible { panic_any(end.clone()) });
    replay(Player::new(Box::new(move || chunks.next()), on_end));
    let ended = catch_unwind(AssertUnwindSafe(work));
    remove();
    ended.err().and_then(|payload| payload.downcast::<End>().ok()).map(|end| *end)
}

fn unreal<T>() -> T {
    panic!("a replay asks nobody")
}

#[test]
fn answers_are_given_again_in_their_order() {
    let chunks = recorded_by(|| {
        pass(Kind::Date, || 5_u64);
        let _ = pass(Kind::Disk, || Err::<(), _>(io::Error::from_raw_os_error(2)));
        let _ = pass(Kind::Disk, || Err::<(), _>(io::Error::new(io::ErrorKind::UnexpectedEof, "short")));
        pass(Kind::Name, || vec!["127.0.0.1:80".parse::<std::net::SocketAddr>().unwrap()]);
        let mut buffer = [0; 8];
        let read = |buffer: &mut [u8]| {
            buffer[..3].copy_from_slice(b"abc");
            Ok::<usize, io::Error>(3)
        };
        assert_eq!(pass_bytes(Kind::Read, &mut buffer, read).unwrap(), 3);
        // What is asked within is a part of the answer.
        assert_eq!(pass(Kind::Process, || pass(Kind::Date, || 7_u64) + 1), 8);
        pass(Kind::Machine, || (Some("text".to_string()), -5_i64));
    });
    let ended = replayed_by(chunks, || {
        assert!(is_replaying());
        assert_eq!(pass(Kind::Date, unreal::<u64>), 5);
        let error = pass(Kind::Disk, unreal::<io::Result<()>>).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = pass(Kind::Disk, unreal::<io::Result<()>>).unwrap_err();
        assert_eq!((error.kind(), error.to_string()), (io::ErrorKind::UnexpectedEof, "short".into()));
        assert_eq!(pass(Kind::Name, unreal::<Vec<std::net::SocketAddr>>).len(), 1);
        let mut buffer = [0; 8];
        assert_eq!(pass_bytes(Kind::Read, &mut buffer, |_| unreal::<io::Result<usize>>()).unwrap(), 3);
        assert_eq!(&buffer[..3], b"abc");
        assert_eq!(pass(Kind::Process, unreal::<u64>), 8);
        assert_eq!(pass(Kind::Machine, unreal::<(Option<String>, i64)>), (Some("text".into()), -5));
        pass(Kind::Date, unreal::<u64>);
    });
    assert_eq!(ended, Some(End::Complete { turns: 0 }));
}

#[test]
fn ticks_take_two_bytes_mostly() {
    let readings = [1 << 60, (1 << 60) + 1, (1 << 60) + 20_000, (1 << 60) + 2_000_000, 3, u64::MAX, 0];
    let chunks = recorded_by(|| readings.iter().for_each(|ticks| assert_eq!(pass_ticks(|| *ticks), *ticks)));
    assert!(chunks.concat().len() < 45, "{}", chunks.concat().len());
    let ended = replayed_by(chunks, || {
        readings.iter().for_each(|ticks| assert_eq!(pass_ticks(unreal), *ticks));
    });
    assert_eq!(ended, None);
}

#[test]
fn another_question_ends_the_replay() {
    let chunks = recorded_by(|| {
        end_turn();
        pass(Kind::Date, || 5_u64);
    });
    let ended = replayed_by(chunks.clone(), || {
        end_turn();
        pass(Kind::Poll, unreal::<u64>);
    });
    assert_eq!(ended, Some(End::Diverged { turn: 2, asked: Kind::Poll, recorded: Some(Kind::Date) }));
    let ended = replayed_by(chunks, || {
        pass_ticks(unreal);
    });
    assert_eq!(ended, Some(End::Diverged { turn: 1, asked: Kind::Ticks, recorded: Some(Kind::Date) }));
}

#[test]
fn other_output_ends_the_replay_at_its_turn() {
    let run = |outputs: [&'static [u8]; 3]| {
        move || {
            for output in outputs {
                note_output(output);
                end_turn();
            }
        }
    };
    let chunks = recorded_by(run([b"a", b"", b"bc"]));
    assert_eq!(replayed_by(chunks.clone(), run([b"a", b"", b"bc"])), None);
    assert_eq!(replayed_by(chunks.clone(), run([b"a", b"", b"bd"])), Some(End::OtherOutput { turn: 3 }));
    let more = End::Diverged { turn: 2, asked: Kind::Check, recorded: Some(Kind::Check) };
    let ended = replayed_by(chunks, run([b"a", b"x", b""]));
    assert!(ended == Some(End::OtherOutput { turn: 2 }) || ended == Some(more), "{ended:?}");
}

#[test]
fn a_recording_that_cannot_be_kept_ends() {
    record(Recorder::new(Box::new(|_| Err("the disk is full".to_string()))));
    let mut reason = None;
    for _ in 0..100 {
        pass(Kind::Read, || vec![0; 10_000]);
        reason = reason.or(end_turn());
    }
    assert_eq!(reason.as_deref(), Some("the disk is full"));
    assert!(!is_recording());
}

#[test]
fn garbage_is_no_answer() {
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..2000 {
        let bytes: Vec<u8> = (0..random.usize(0..30)).map(|_| random.u8(..)).collect();
        let chunk = [vec![0xc0 | Kind::Name as u8], bytes].concat();
        // Whatever it is read as, it ends.
        replayed_by(vec![chunk], || {
            pass(Kind::Name, unreal::<Vec<String>>);
            let _ = pass(Kind::Disk, unreal::<io::Result<Vec<u8>>>);
        });
    }
}

#[test]
fn a_replay_may_end_before() {
    let chunks = recorded_by(|| {
        for turn in 0..10_u64 {
            pass(Kind::Date, || turn);
            end_turn();
        }
    });
    for (most, expected) in [(0, 0), (3, 3), (100, 10)] {
        let mut chunks = chunks.clone().into_iter();
        let on_end = Box::new(|end: &End| -> std::convert::Infallible { panic_any(end.clone()) });
        replay(Player::new(Box::new(move || chunks.next()), on_end).until(most));
        let mut turns = 0;
        while !is_over() {
            assert_eq!(pass(Kind::Date, unreal::<u64>), turns);
            end_turn();
            turns += 1;
        }
        assert_eq!((turns, replayed_turns()), (expected, expected));
        remove();
    }
    assert!(!is_over());
}
