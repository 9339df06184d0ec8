//! The connections of the HTTP port, driven by a poll of the tests' own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use super::*;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::config::Config;
use crate::net::poller::Poller;
use crate::net::stream::Stream;

/// A service with the poll that drives it, and a listener to come by.
struct Bench {
    poller: Poller,
    service: HttpService,
    documents: Documents,
    state: ServerState,
    listener: TcpListener,
}

impl Bench {
    fn new() -> Bench {
        let poller = Poller::system().expect("a poll");
        Bench {
            service: HttpService::new(poller.registrar()),
            poller,
            documents: Documents::default(),
            state: ServerState::new(
                &crate::commands::PROGRAM,
                Config::default(),
                Clock::virtual_at(1_000_000),
                &Entropy::Seeded(1),
            ),
            listener: TcpListener::bind("127.0.0.1:0").expect("some port is free"),
        }
    }

    fn connect(&mut self, now_us: u64) -> TcpStream {
        let address = self.listener.local_addr().expect("it is bound");
        let peer = TcpStream::connect(address).expect("it listens");
        let (socket, _) = self.listener.accept().expect("somebody connected");
        socket.set_nonblocking(true).expect("a setting");
        let stream = Stream::Tcp(mio::net::TcpStream::from_std(socket));
        self.service.admit(HttpSocket::new(stream, None), now_us);
        peer
    }

    fn close_overdue(&mut self, now_us: u64) {
        self.service.close_overdue(&mut self.documents, now_us);
    }

    /// Writes what is asked for, and hands it out.
    fn write(&mut self) {
        while self.documents.step(&self.state) {}
        self.service.answer(&mut self.documents, &self.state);
        self.settle();
    }

    /// Handles what has happened until nothing happens any more.
    fn settle(&mut self) {
        loop {
            let wait = Duration::from_millis(20);
            let mut ready = Vec::new();
            self.poller.poll(Some(wait), &mut ready).expect("a poll");
            if ready.is_empty() {
                return;
            }
            for readiness in ready {
                if let PollTarget::HttpPeer(peer) = readiness.target {
                    self.service.dispatch(peer, &mut self.documents, &self.state);
                }
            }
        }
    }
}

const SECOND_US: u64 = 1_000_000;
const FACTS: Facts<'static> = Facts {
    rules: Rules { token: "", is_encrypted: false, training_token: None },
    is_loading: false,
    is_out_of_touch: false,
    has_place: true,
};

#[test]
fn whoever_sends_its_request_slowly_is_given_up() {
    let mut bench = Bench::new();
    let mut slow = bench.connect(0);
    slow.write_all(b"G").expect("it is taken");
    bench.settle();
    for second in 1..=5 {
        slow.write_all(b"E").expect("it is taken");
        bench.settle();
        bench.close_overdue(second * SECOND_US);
        assert_eq!(bench.service.peers.len(), 1, "after {second} s");
    }
    bench.close_overdue(5 * SECOND_US + 1);
    assert_eq!(bench.service.peers.len(), 0);
}

#[test]
fn a_connection_is_kept_for_a_while_after_an_answer() {
    let mut bench = Bench::new();
    let mut peer = bench.connect(0);
    peer.write_all(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is taken");
    bench.settle();
    bench.close_overdue(peer::IDLE_MAX_US);
    assert_eq!(bench.service.peers.len(), 1);
    bench.close_overdue(peer::IDLE_MAX_US + 1);
    assert_eq!(bench.service.peers.len(), 0);
}

#[test]
fn whoever_does_not_take_its_answer_is_given_up() {
    let mut bench = Bench::new();
    let mut greedy = bench.connect(0);
    greedy.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is taken");
    bench.settle();
    assert!(bench.documents.are_being_written());
    let text: Rc<[u8]> = vec![b'x'; 64 << 20].into();
    for (_, peer) in &mut bench.service.peers {
        peer.answer_with(Document::Metrics, &text, SECOND_US);
        let mut room_bytes = usize::MAX;
        let fate = peer.go_on(&FACTS, SECOND_US, &mut room_bytes);
        assert_eq!(fate.expect("it is open"), Fate::Stays);
    }
    bench.close_overdue(SECOND_US + peer::ANSWERING_MAX_US);
    assert_eq!(bench.service.peers.len(), 1);
    bench.close_overdue(SECOND_US + peer::ANSWERING_MAX_US + 1);
    assert_eq!(bench.service.peers.len(), 0);
}

#[test]
fn a_turn_sends_so_much_and_no_more() {
    let mut bench = Bench::new();
    let mut peers = [bench.connect(0), bench.connect(0)];
    for peer in &mut peers {
        peer.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("it is taken");
    }
    bench.settle();
    let text: Rc<[u8]> = vec![b'x'; SEND_MAX_BYTES].into();
    let tokens: Vec<Token> = bench.service.peers.iter().map(|(_, peer)| peer.token).collect();
    for token in tokens {
        bench.service.peers[slot_of(token)].answer_with(Document::Metrics, &text, 0);
        bench.service.go_on(token, &mut bench.documents, &bench.state);
    }
    let sent = |bench: &Bench| -> usize { bench.service.peers.iter().map(|(_, peer)| peer.sent).sum() };
    assert_eq!(sent(&bench), SEND_MAX_BYTES);
    let mut turns = 0;
    while bench.service.has_work() {
        turns += 1;
        bench.service.answer(&mut bench.documents, &bench.state);
        assert!(sent(&bench) <= SEND_MAX_BYTES * (turns + 1));
    }
    assert!((1..=2).contains(&turns), "{turns} turns");
    for peer in &mut peers {
        let mut answer = Vec::new();
        peer.set_read_timeout(Some(Duration::from_secs(10))).expect("a setting");
        // The service ends its side once all is sent.
        peer.read_to_end(&mut answer).expect("all of it");
        assert!(answer.ends_with(&text));
    }
}

#[test]
fn there_is_room_for_the_next_as_long_as_somebody_is_silent() {
    let mut bench = Bench::new();
    let mut peers: Vec<TcpStream> = (0..PEERS_MAX as u64).map(|now_us| bench.connect(now_us)).collect();
    let oldest = bench.service.peers[0].token;
    peers.push(bench.connect(100));
    assert_eq!(bench.service.peers.len(), PEERS_MAX);
    assert!(!bench.service.peers.iter().any(|(_, peer)| peer.token == oldest));
    for peer in &mut peers[1..] {
        peer.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is taken");
    }
    bench.settle();
    let mut refused = bench.connect(200);
    assert_eq!(refused.read(&mut [0]).expect("an end"), 0);
    assert_eq!(bench.service.peers.len(), PEERS_MAX);
}

const WATCH: &[u8] = b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn read_some(peer: &mut TcpStream) -> String {
    let mut buffer = vec![0; 1 << 20];
    peer.set_read_timeout(Some(Duration::from_secs(10))).expect("a setting");
    let count = peer.read(&mut buffer).expect("something");
    String::from_utf8_lossy(&buffer[..count]).into_owned()
}

#[test]
fn viewers_have_places_of_their_own() {
    let mut bench = Bench::new();
    let mut viewers: Vec<TcpStream> = (0..=VIEWERS_MAX).map(|_| bench.connect(0)).collect();
    for viewer in &mut viewers {
        viewer.write_all(WATCH).expect("it is taken");
        bench.settle();
    }
    assert_eq!(bench.service.viewers(), VIEWERS_MAX);
    assert!(read_some(&mut viewers[VIEWERS_MAX]).starts_with("HTTP/1.1 503 "));
    let silent: Vec<TcpStream> = (0..2 * PEERS_MAX).map(|_| bench.connect(1)).collect();
    assert_eq!(bench.service.viewers(), VIEWERS_MAX);
    assert_eq!(bench.service.peers.len(), VIEWERS_MAX + PEERS_MAX);
    drop(silent);
    drop(viewers);
    bench.settle();
    assert!(!bench.documents.is_watched());
    assert_eq!(bench.service.due_us(&bench.documents), None);
}

#[test]
fn a_viewer_gets_the_history_and_then_frames() {
    let mut bench = Bench::new();
    let mut viewer = bench.connect(0);
    viewer.write_all(WATCH).expect("it is taken");
    bench.settle();
    assert!(bench.documents.is_watched());
    bench.write();
    let first = read_some(&mut viewer);
    assert!(first.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"), "{first}");
    assert!(!first.contains("Content-Length"), "{first}");
    let events = first.split_once("\r\n\r\n").map_or("", |(_, events)| events);
    let events = match events {
        "" => read_some(&mut viewer),
        events => events.to_string(),
    };
    assert!(events.starts_with("event: history\ndata: [") && events.ends_with("\n\n"), "{events}");
    bench.state.clock.advance_virtual(1000);
    bench.service.answer(&mut bench.documents, &bench.state);
    bench.write();
    let frame = read_some(&mut viewer);
    assert!(frame.starts_with("event: frame\ndata: {\"now_us\":1000000,"), "{frame}");
    // The next one is due a quarter of a second later.
    assert_eq!(bench.service.due_us(&bench.documents), Some(SECOND_US + FRAME_PERIOD_US));
    bench.service.answer(&mut bench.documents, &bench.state);
    assert!(!bench.documents.are_being_written());
}

#[test]
fn a_viewer_that_takes_nothing_skips_frames_and_is_given_up() {
    let mut bench = Bench::new();
    let mut viewer = bench.connect(0);
    viewer.write_all(WATCH).expect("it is taken");
    bench.settle();
    bench.write();
    let large: Rc<[u8]> = vec![b'x'; 64 << 20].into();
    let token = bench.service.peers[0].token;
    bench.service.peers[0].answer_with(Document::Frame, &large, SECOND_US);
    bench.service.room_bytes = usize::MAX;
    bench.service.go_on(token, &mut bench.documents, &bench.state);
    let sent = bench.service.peers[0].sent;
    assert!(sent > 0 && !bench.service.peers[0].takes_frames());
    bench.service.peers[0].answer_with(Document::Frame, &large, 2 * SECOND_US);
    assert_eq!(bench.service.peers[0].sent, sent);
    bench.close_overdue(SECOND_US + peer::ANSWERING_MAX_US);
    assert_eq!(bench.service.peers.len(), 1);
    bench.close_overdue(SECOND_US + peer::ANSWERING_MAX_US + 1);
    assert_eq!(bench.service.peers.len(), 0);
    assert!(!bench.documents.is_watched());
}
