//! The patterns of README's part on reactors, one test each that fails where the pattern is broken.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use oneloop::base::sys::signals::Signal;
use oneloop::base::wake::Wake;
use oneloop::config::{AppendFsync, ProtectedAction};
use oneloop::net::poll_target::PollTarget;
use oneloop::net::readiness::Readiness;
use oneloop::net::scripted::peer::Peer;
use oneloop::net::scripted::world::Source;
use oneloop::storage::file::{Disk, FileReader, FileWriter, Read, Worker, WriterOptions, WriterState};

use super::bench::{Bench, PORT, request, text};

/// How long a helper thread may take.
const PATIENCE: Duration = Duration::from_secs(30);
const PING: &[u8] = b"PING\r\n";

/// a. A short read can hide the end: both come with one edge, and no other follows.
#[test]
fn bytes_and_the_end_that_come_as_one_edge_are_both_seen() {
    let mut bench = Bench::new(|_| {});
    let peer = bench.connect();
    peer.send(b"SET key value\r\nGET key\r\n");
    peer.finish();
    assert_eq!(bench.world().due(), [peer.source()]);
    bench.settle();
    assert_eq!(text(&peer.receive_all()), "+OK\r\n$5\r\nvalue\r\n");
    assert!(peer.is_over());
}

/// a. One edge of a listener stands for all who wait there, more than one turn takes in.
#[test]
fn one_edge_of_a_listener_stands_for_many() {
    let mut bench = Bench::new(|_| {});
    let peers: Vec<Peer> = (0..600).map(|_| bench.dial()).collect();
    assert_eq!(bench.world().due().len(), 1);
    peers.iter().for_each(|peer| peer.send(PING));
    bench.settle();
    assert!(peers.iter().all(|peer| peer.receive_all() == b"+PONG\r\n"));
}

/// a. A flood of connections is taken in by parts, so that clients are served in between.
#[test]
fn a_turn_accepts_as_many_as_it_may() {
    let mut bench = Bench::new(|config| config.max_new_connections_per_cycle = 3);
    let peers: Vec<Peer> = (0..7).map(|_| bench.dial()).collect();
    peers.iter().for_each(|peer| peer.send(PING));
    let accepted = [(); 3].map(|()| {
        bench.turn();
        bench.server.state().clients.len()
    });
    assert_eq!(accepted, [3, 6, 7]);
    bench.settle();
    assert!(peers.iter().all(|peer| peer.receive_all() == b"+PONG\r\n"));
}

/// The requests of a batch are told apart in the logs of large requests and replies.
#[test]
fn large_requests_and_replies_of_a_batch_are_logged() {
    let mut bench = Bench::new(|config| {
        config.commandlog_request_larger_than = 100;
        config.commandlog_reply_larger_than = 100;
    });
    let peer = bench.connect();
    let value = "v".repeat(100);
    bench
        .ask(&peer, &format!("SET small v\r\nSET large {value}\r\nGET small\r\nGET large\r\nGET small\r\nNOTHING\r\n"));
    // Small replies that are many together are not large.
    bench.ask(&peer, &"PING\r\n".repeat(40));
    bench.ask(&peer, &format!("MULTI\r\nAPPEND large {value}\r\nEXEC\r\n"));
    let requests = bench.ask(&peer, "COMMANDLOG GET -1 LARGE-REQUEST\r\n");
    let amounts = |log: &str| log.matches("*6\r\n").count();
    assert_eq!(amounts(&requests), 2, "{requests}");
    assert!(requests.contains(":112\r\n*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n"), "{requests}");
    assert!(requests.contains(":135\r\n*3\r\n$6\r\nAPPEND\r\n$5\r\nlarge\r\n"), "{requests}");
    let replies = bench.ask(&peer, "COMMANDLOG GET -1 LARGE-REPLY\r\n");
    assert!(replies.contains(":108\r\n*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n"), "{replies}");
    assert_eq!(amounts(&replies), 2, "GET, and the reading of the other log: {replies}");
}

/// a. Without descriptors nobody is taken in. No edge comes when there are some again: the cron tries.
#[test]
fn a_listener_that_failed_is_tried_again() {
    let mut bench = Bench::new(|_| {});
    bench.settle();
    bench.world().fail_accepting(PORT, io::ErrorKind::OutOfMemory);
    let peer = bench.dial();
    peer.send(PING);
    bench.settle();
    assert_eq!(peer.untaken(), 0);
    bench.pass_ms(1001);
    assert_eq!(text(&peer.receive_all()), "+PONG\r\n");
}

/// c. A client is killed in a turn that has an event of it, and its successor gets its slot.
#[test]
fn an_event_of_a_client_that_was_killed_in_the_same_turn_is_of_nobody() {
    let mut bench = Bench::new(|_| {});
    let [killer, victim] = [bench.connect(), bench.connect()];
    killer.send(b"CLIENT KILL ID 2\r\n");
    victim.send(b"SET key victim\r\n");
    let successor = bench.dial();
    successor.send(b"GET key\r\n");
    let due = [killer.source(), victim.source(), Source::Listener(0)];
    bench.turn_for(&due);
    bench.settle();
    assert_eq!(text(&killer.receive_all()), ":1\r\n");
    assert!(victim.is_over());
    assert_eq!(text(&successor.receive_all()), "$-1\r\n");
    assert!(!successor.is_over());
}

/// c. A client is closed while another one is served, in a turn that has an event of it too.
#[test]
fn an_event_of_a_client_that_was_closed_in_the_same_turn_is_of_nobody() {
    let mut bench = Bench::new(|_| {});
    let [other, victim] = [bench.connect(), bench.connect()];
    bench.ask(&other, "CONFIG SET maxmemory-clients 300000\r\nSETRANGE big 199999 x\r\nSETRANGE less 149999 x\r\n");
    [&other, &victim].iter().for_each(|peer| peer.set_capacity(100));
    victim.send(b"MULTI\r\nGETRANGE big 0 -1\r\nEXEC\r\n");
    bench.settle();
    other.send(b"GETRANGE less 0 -1\r\n");
    victim.send(b"SET key victim\r\n");
    let successor = bench.dial();
    successor.send(b"GET key\r\n");
    bench.turn_for(&[other.source(), victim.source(), Source::Listener(0)]);
    assert!(victim.is_over() && !other.is_over(), "the largest is closed at once");
    bench.settle();
    assert_eq!(text(&successor.receive_all()), "$-1\r\n");
}

/// c. The kernel had an event ready of a client that is gone; another has its slot.
#[test]
fn a_late_event_does_not_reach_the_successor() {
    let mut bench = Bench::new(|_| {});
    let [other, gone] = [bench.connect(), bench.connect()];
    let token = bench.server.state().clients.tokens()[1];
    gone.reset();
    bench.settle();
    let successor = bench.connect();
    let tokens = bench.server.state().clients.tokens();
    assert!(tokens[1].slot == token.slot && tokens[1] != token, "it has the slot");
    successor.send(b"BLPOP key 0\r\n");
    bench.settle();
    let target = PollTarget::Client(token);
    bench.world().report_untimely(Readiness { target, readable: true, writable: true, closed: true });
    bench.settle();
    bench.turn();
    assert_eq!(bench.ask(&other, "RPUSH key value\r\n"), ":1\r\n");
    assert_eq!(text(&successor.receive_all()), "*2\r\n$3\r\nkey\r\n$5\r\nvalue\r\n");
}

/// e. A client that does not read is not read from. When it does read, all goes on: its edge is used up.
#[test]
fn a_client_whose_output_was_blocked_goes_on_without_a_new_edge() {
    let mut bench = Bench::new(|_| {});
    bench.world().report_edges_alone(true);
    let peer = bench.connect();
    bench.ask(&peer, "SETRANGE big 1048575 x\r\n");
    peer.set_capacity(100_000);
    let filler = "f".repeat(8_000);
    let count = 60;
    for _ in 0..count {
        peer.send(&request(&["ECHO", &filler]));
        peer.send(&request(&["GET", "big"]));
    }
    bench.settle();
    assert!(peer.unread() > 0, "it is read from all the same");
    let held = bench.server.state().clients.tokens();
    let held_bytes = bench.server.state().clients.get(held[0]).map_or(0, |session| session.reply.len());
    assert!(held_bytes < 40 << 20, "{held_bytes} bytes are held");
    let one = 8_000 + 7 + 2 + 1_048_576 + 10 + 2;
    let mut got = 0;
    while got < count * one {
        let taken = peer.receive(90_000).len();
        assert!(taken > 0, "it hangs at {got} of {} bytes", count * one);
        got += taken;
        bench.settle();
    }
    assert_eq!((got, peer.unread()), (count * one, 0));
}

/// d. A writable edge that comes together with requests sends the rest of the replies too.
#[test]
fn the_rest_of_a_reply_leaves_when_there_is_room() {
    for edges_alone in [false, true] {
        let mut bench = Bench::new(|_| {});
        bench.world().report_edges_alone(edges_alone);
        let peer = bench.connect();
        bench.ask(&peer, "SETRANGE big 299999 x\r\n");
        peer.set_capacity(1000);
        peer.send(b"GET big\r\n");
        bench.settle();
        let mut got = 0;
        for turn in 0..302 {
            if turn % 3 == 0 {
                peer.send(PING);
            }
            got += peer.receive(1000).len();
            bench.settle();
        }
        got += peer.receive_all().len();
        assert_eq!(got, 300_011 + 101 * 7, "edges alone: {edges_alone}");
    }
}

/// f. A client with much to do gets its share; others have their turn; it goes on without a new edge, and the poll does
/// not wait meanwhile.
#[test]
fn a_busy_client_has_its_share_and_goes_on_by_itself() {
    let mut bench = Bench::new(|_| {});
    let [busy, other] = [bench.connect(), bench.connect()];
    bench.server.state().clock.set_virtual_step(1_000);
    let count = 20_000;
    busy.send(&PING.repeat(count));
    other.send(PING);
    bench.turn_for(&[busy.source(), other.source()]);
    let first = busy.receive_all().len() / 7;
    assert!(first > 0 && first < count / 4, "{first} requests in one turn");
    assert_eq!(text(&other.receive_all()), "+PONG\r\n");
    let before_us = bench.server.state().clock.monotonic_us();
    let (mut answered, mut turns) = (first, 0);
    while answered < count {
        other.send(PING);
        bench.server.wait().expect("a poll");
        let more = busy.receive_all().len() / 7;
        assert!(more > 0, "it hangs after {answered} requests");
        assert_eq!(text(&other.receive_all()), "+PONG\r\n", "others have their turn");
        (answered, turns) = (answered + more, turns + 1);
    }
    let taken_us = bench.server.state().clock.monotonic_us() - before_us;
    assert!(taken_us < 2_000 * turns, "{turns} turns took {taken_us} µs: the poll has waited");
}

/// f. Bytes that a client has sent and that one turn does not read are read in the next ones.
#[test]
fn what_a_turn_leaves_in_a_socket_is_read_in_the_next() {
    let mut bench = Bench::new(|_| {});
    let peer = bench.connect();
    let value = "v".repeat(6_000);
    peer.send(&request(&["ECHO", &value]).repeat(200));
    bench.turn();
    assert!(peer.unread() > 0, "more than some reads a turn");
    bench.settle();
    assert_eq!((peer.unread(), peer.receive_all().len()), (0, 200 * (6_000 + 9)));
}

/// g. The poll waits as long as until the next deadline, and no longer.
#[test]
fn the_poll_waits_until_the_next_deadline() {
    let mut bench = Bench::new(|_| {});
    let peer = bench.connect();
    bench.pass_ms(1001);
    peer.send(b"BLPOP key 0.25\r\n");
    bench.settle();
    let before_us = bench.server.state().clock.monotonic_us();
    let mut waits = 0;
    while peer.untaken() == 0 {
        bench.server.wait().expect("a poll");
        waits += 1;
        assert!(waits < 5, "it is not over");
    }
    let waited_us = bench.server.state().clock.monotonic_us() - before_us;
    assert!((250_000..252_000).contains(&waited_us), "{waited_us} µs");
    assert_eq!(text(&peer.receive_all()), "*-1\r\n");
}

/// h. What jobs have to do takes many turns, and clients are served in each.
#[test]
fn clients_are_served_while_jobs_go_on() {
    let mut bench = Bench::new(|config| config.enable_debug_command = ProtectedAction::Yes);
    let peer = bench.connect();
    bench.ask(&peer, "DEBUG POPULATE 200000\r\n");
    bench.server.state().clock.set_virtual_step(20_000);
    peer.send(b"FLUSHALL\r\n");
    bench.turn();
    assert_eq!(text(&peer.receive_all()), "+OK\r\n");
    let mut turns = 0;
    while bench.server.state().keyspace.has_garbage() {
        peer.send(PING);
        bench.server.wait().expect("a poll");
        assert_eq!(text(&peer.receive_all()), "+PONG\r\n");
        turns += 1;
    }
    assert!(turns > 5, "{turns} turns");
}

/// i. A signal is taken up in the turn of its event.
#[test]
fn a_signal_ends_the_server() {
    let mut bench = Bench::new(|_| {});
    let peer = bench.connect();
    bench.world().signal(Signal::Terminate);
    bench.settle_or_end();
    bench.server.state().clock.advance_virtual(1001);
    bench.turn();
    assert!(bench.server.is_over());
    drop(peer);
}

/// i. What a helper has done is seen in the turn that its wake-up begins, and nothing else has to happen.
#[test]
fn a_helper_that_is_done_lets_replies_go() {
    let mut bench = Bench::new(|config| {
        config.appendonly = true;
        config.appendfsync = AppendFsync::Always;
    });
    let peer = bench.connect();
    bench.run_helpers();
    peer.send(b"SET key value\r\n");
    bench.settle();
    assert_eq!(peer.untaken(), 0, "it is not on the disk");
    let helper = bench.disk.busy_helpers()[0];
    bench.disk.run_helper(helper);
    assert_eq!(bench.world().due(), [Source::Waker]);
    bench.settle();
    assert_eq!(text(&peer.receive_all()), "+OK\r\n");
}

/// Replies that came behind held ones, and whose changes are on the disk by the time at which those have left, wait for
/// nothing: no event would come for them.
#[test]
fn what_came_behind_held_replies_follows_them_at_once() {
    let mut bench = Bench::new(|config| {
        config.appendonly = true;
        config.appendfsync = AppendFsync::Always;
    });
    let clients = [bench.connect(), bench.connect(), bench.connect()];
    bench.run_helpers();
    clients.iter().for_each(|client| client.send(b"INCR number\r\n"));
    bench.settle();
    // The longer a sync takes, the longer the next one waits for the others to come back.
    bench.server.state().clock.advance_virtual(50);
    bench.run_helpers();
    assert!(clients.iter().all(|client| client.receive_all().len() == 4));
    for _ in 0..2 {
        clients[0].send(b"INCR number\r\n");
        bench.settle();
    }
    assert!(bench.disk.busy_helpers().is_empty() && clients[0].untaken() == 0);
    for _ in 0..10 {
        if bench.disk.busy_helpers().is_empty() {
            bench.server.wait().expect("a poll");
        }
    }
    bench.run_helpers();
    assert_eq!(text(&clients[0].receive_all()), ":4\r\n:5\r\n");
}

/// Has `look` look at each wake-up, while the helper stands still behind it; until it has seen enough. Where a helper
/// woke the loop before it made visible what it has done, nothing would be there at the last wake-up, and none follow.
fn at_each_wake(start: impl FnOnce(Wake) -> Box<dyn FnMut() -> bool>) {
    let (tell, told) = channel();
    let (release, released) = channel::<()>();
    let released = Mutex::new(released);
    let wake = Wake::Scripted(std::sync::Arc::new(move || {
        // Neither is there any more once enough was seen.
        let _ = tell.send(());
        let _ = released.lock().map(|released| released.recv());
    }));
    let mut look = start(wake);
    while let Ok(()) = told.recv_timeout(PATIENCE) {
        let is_enough = look();
        if is_enough {
            return;
        }
        release.send(()).expect("the helper waits");
    }
    panic!("nothing wakes the loop any more, and what the helper has done was never seen");
}

/// i. The flag before the byte.
#[test]
fn what_a_helper_has_done_is_visible_when_it_wakes_the_loop() {
    let path = std::env::temp_dir().join(format!("oneloop-wake-{}", std::process::id()));
    at_each_wake(|wake| {
        let worker = Worker::start(&Disk::System, "test", wake).expect("a thread");
        worker.submit(7, Box::new(|| Ok(())));
        Box::new(move || worker.next_outcome().is_some_and(|(ticket, _)| ticket == 7))
    });
    let (name, temporary) = (path.clone(), path.with_extension("new"));
    at_each_wake(|wake| {
        let options = WriterOptions { syncs_in_pieces: false, is_alone: false, ..WriterOptions::default() };
        let writer = FileWriter::start(&Disk::System, &temporary, options, wake).expect("a thread");
        writer.write(many_bytes());
        writer.publish(&name);
        let wakes = Rc::new(RefCell::new(0));
        Box::new(move || {
            *wakes.borrow_mut() += 1;
            if *wakes.borrow() == 1 {
                assert_eq!(writer.pending_bytes(), 0, "what was written is visible");
                return false;
            }
            matches!(writer.state(), WriterState::Complete)
        })
    });
    read_at_wake(&path);
    let _ = std::fs::remove_file(&path);
}

/// More than is read without a helper.
fn many_bytes() -> Vec<u8> {
    vec![7; 100_000]
}

fn read_at_wake(path: &Path) {
    at_each_wake(|wake| {
        let reader = FileReader::open(&Disk::System, path, wake).expect("it was written");
        Box::new(move || matches!(reader.read(), Read::Chunk(bytes) if bytes == many_bytes()))
    });
}
