//! Those who ask for metrics by HTTP: their connections, apart from the clients'.
//!
//! ```text
//! admit → Reading ──a request is complete──→ Waiting ──the job has written the text──→ Writing ─┐
//!            ↑      └─it is refused──────────────────────────────────────────────────→ Writing ─┤
//!            └──────────────────────the connection is kept──────────────────────────────────────┤
//!                                                       refused or not kept: Draining → closed ←┘
//! ```
//!
//! All who wait get the same text, so that a flood of requests costs no more than one after the other. Every phase has a
//! deadline, and there are few places: the connection that has been silent longest makes room for the next.

use std::io::{self, Read, Write};
use std::rc::Rc;

use log::{debug, warn};
use mio::Registry;
use slab::Slab;

use crate::drive::metrics::{CONTENT_TYPE, Metrics};
use crate::net::http::{self, Method, Request, Status};
use crate::net::poll_target::{OTHER_GENERATION, PollTarget};
use crate::net::stream::Stream;
use crate::net::token::Token;

/// Connections at the same time: fewer than the descriptors that are kept for what is not a client.
const PEERS_MAX: usize = 16;
/// Length of a request.
const REQUEST_MAX_BYTES: usize = 8 * 1024;
/// Bytes that are read and thrown away before a connection is closed, so that its answer is not lost.
const DRAIN_MAX_BYTES: usize = 256 * 1024;
/// Bytes that are sent in one turn of the loop.
const SEND_MAX_BYTES: usize = 128 * 1024;
/// How long a request may take to come in, in µs.
const READING_MAX_US: u64 = 5_000_000;
/// How long a connection is kept between two requests, in µs.
const IDLE_MAX_US: u64 = 120_000_000;
/// How long an answer may take to be made and taken, in µs.
const ANSWERING_MAX_US: u64 = 30_000_000;
/// How long a connection may be drained, in µs.
const DRAINING_MAX_US: u64 = 2_000_000;

/// What the port shows at `/`.
const START_PAGE: &str =
    "<!DOCTYPE html>\n<title>Oneloop</title>\n<h1>Oneloop</h1>\n<p><a href=\"/metrics\">Metrics</a></p>\n";
const START_PAGE_TYPE: &str = "text/html; charset=utf-8";

/// The port of the metrics, apart from its listeners.
pub struct MetricsService {
    registry: Registry,
    peers: Slab<Peer>,
    next_generation: u32,
    /// The monotonic clock at the last look.
    now_us: u64,
    /// The clients that get the text that is being written.
    served_next: Vec<Token>,
    /// The clients that asked later, and get the next text.
    waiting: Vec<Token>,
    /// The clients that go on in the next turn.
    paused: Vec<Token>,
    /// Bytes that may still be sent in this turn.
    room_bytes: usize,
}

/// What somebody's connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A request comes in.
    Reading,
    /// The text is being written.
    Waiting { head_only: bool },
    /// The answer goes out.
    Writing,
    /// It has gone out; what still comes in is thrown away.
    Draining,
}

struct Peer {
    stream: Stream,
    token: Token,
    phase: Phase,
    /// Since when it has been in that phase, on the monotonic clock; while it reads, since the first byte.
    since_us: u64,
    input: Vec<u8>,
    /// The head of the answer, or all of it.
    head: Vec<u8>,
    /// The rest of it.
    body: Option<Rc<[u8]>>,
    /// Bytes of the answer that were sent.
    sent: usize,
    keeps_alive: bool,
    /// Whether it has been answered before.
    is_known: bool,
    drained_bytes: usize,
}

/// Whether a connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// It waits for the text.
    Asks,
    /// Its socket takes more, but others have waited long enough.
    Pauses,
    Ends,
}

impl MetricsService {
    /// Nobody there yet.
    pub fn new(registry: Registry) -> MetricsService {
        MetricsService {
            registry,
            peers: Slab::new(),
            next_generation: 0,
            now_us: 0,
            served_next: Vec::new(),
            waiting: Vec::new(),
            paused: Vec::new(),
            room_bytes: SEND_MAX_BYTES,
        }
    }

    /// Takes in somebody who has connected.
    pub fn admit(&mut self, mut stream: Stream, now_us: u64) {
        self.now_us = now_us;
        if self.peers.len() >= PEERS_MAX && !self.make_room() {
            return debug!("Too many connections to the metrics port");
        }
        self.next_generation = (self.next_generation + 1) & OTHER_GENERATION;
        let entry = self.peers.vacant_entry();
        let token = Token { slot: entry.key() as u32, generation: self.next_generation };
        if let Err(error) = stream.register(&self.registry, PollTarget::HttpPeer(token).token()) {
            return warn!("Error registering a connection to the metrics port: {error}");
        }
        entry.insert(Peer::new(stream, token, now_us));
    }

    /// Closes the connection that has kept a place without asking for the longest time, if there is one.
    fn make_room(&mut self) -> bool {
        let silent = self.peers.iter().filter(|(_, peer)| matches!(peer.phase, Phase::Reading | Phase::Draining));
        let longest = silent.min_by_key(|(_, peer)| peer.since_us);
        let Some(slot) = longest.map(|(slot, _)| slot) else {
            return false;
        };
        self.close(slot);
        true
    }

    /// Goes on with a connection that is ready for something.
    pub fn dispatch(&mut self, peer: Token, metrics: &mut Metrics) {
        self.go_on(peer);
        self.begin(metrics);
    }

    /// Whether there is something to do without waiting for an event.
    pub fn has_work(&self) -> bool {
        !self.paused.is_empty()
    }

    fn go_on(&mut self, token: Token) {
        let slot = slot_of(token);
        // Another may have taken the place of one that went earlier in this turn.
        let found = self.peers.get_mut(slot);
        let Some(peer) = found.filter(|peer| peer.token == token) else {
            return;
        };
        match peer.go_on(self.now_us, &mut self.room_bytes) {
            Ok(Fate::Stays) => {}
            Ok(Fate::Asks) => self.waiting.push(token),
            Ok(Fate::Pauses) if self.paused.contains(&token) => {}
            Ok(Fate::Pauses) => self.paused.push(token),
            Ok(Fate::Ends) => self.close(slot),
            Err(error) => {
                debug!("Metrics port: {error}");
                self.close(slot);
            }
        }
    }

    /// Has the text written that is asked for.
    fn begin(&mut self, metrics: &mut Metrics) {
        if !self.waiting.is_empty() && self.served_next.is_empty() {
            std::mem::swap(&mut self.waiting, &mut self.served_next);
            metrics.begin();
        }
    }

    /// Sends what is there to be sent, to the connections that wait for the text once it is written. To be called once a turn.
    pub fn answer(&mut self, metrics: &mut Metrics) {
        self.room_bytes = SEND_MAX_BYTES;
        for token in std::mem::take(&mut self.paused) {
            self.go_on(token);
        }
        let Some(text) = metrics.take_written() else {
            return;
        };
        for token in std::mem::take(&mut self.served_next) {
            let found = self.peers.get_mut(slot_of(token));
            if let Some(peer) = found.filter(|peer| peer.token == token) {
                peer.answer_with(&text, self.now_us);
                self.go_on(token);
            }
        }
        self.begin(metrics);
    }

    /// Closes the connections that are late. To be called now and then, with the time on the monotonic clock.
    pub fn close_overdue(&mut self, now_us: u64) {
        self.now_us = now_us;
        let late = self.peers.iter().filter(|(_, peer)| peer.is_late(now_us));
        let slots: Vec<usize> = late.map(|(slot, _)| slot).collect();
        slots.into_iter().for_each(|slot| self.close(slot));
    }

    fn close(&mut self, slot: usize) {
        let mut peer = self.peers.remove(slot);
        // The peer may have been faster.
        let _ = peer.stream.deregister(&self.registry);
        let _ = peer.stream.shutdown();
    }
}

fn slot_of(token: Token) -> usize {
    token.slot as usize
}

impl Peer {
    fn new(stream: Stream, token: Token, now_us: u64) -> Peer {
        Peer {
            stream,
            token,
            phase: Phase::Reading,
            since_us: now_us,
            input: Vec::new(),
            head: Vec::new(),
            body: None,
            sent: 0,
            keeps_alive: false,
            is_known: false,
            drained_bytes: 0,
        }
    }

    fn is_late(&self, now_us: u64) -> bool {
        let most_us = match self.phase {
            Phase::Reading if self.is_known && self.input.is_empty() => IDLE_MAX_US,
            Phase::Reading => READING_MAX_US,
            Phase::Waiting { .. } | Phase::Writing => ANSWERING_MAX_US,
            Phase::Draining => DRAINING_MAX_US,
        };
        now_us.saturating_sub(self.since_us) > most_us
    }

    fn enter(&mut self, phase: Phase, now_us: u64) {
        self.phase = phase;
        self.since_us = now_us;
    }

    /// Does what can be done without waiting. One request is looked at at a time; those behind it wait, in the socket for the
    /// most part.
    fn go_on(&mut self, now_us: u64, room_bytes: &mut usize) -> io::Result<Fate> {
        loop {
            match self.phase {
                Phase::Reading => {
                    if let Some(fate) = self.look_for_request(now_us)? {
                        return Ok(fate);
                    }
                }
                Phase::Waiting { .. } => return Ok(Fate::Stays),
                Phase::Writing => {
                    if let Some(fate) = self.send(room_bytes)? {
                        return Ok(fate);
                    }
                    self.finish_answer(now_us)?;
                }
                Phase::Draining => return self.drain(),
            }
        }
    }

    /// Reads until a request is complete. Nothing where it can be answered at once.
    fn look_for_request(&mut self, now_us: u64) -> io::Result<Option<Fate>> {
        loop {
            match http::parse(&self.input) {
                Ok(Some(request)) => {
                    self.input.drain(..request.length);
                    return Ok(self.take_request(&request, now_us).then_some(Fate::Asks));
                }
                Ok(None) if self.input.len() >= REQUEST_MAX_BYTES => {
                    self.refuse(Status::TooLarge, now_us);
                    return Ok(None);
                }
                Ok(None) => {}
                Err(status) => {
                    self.refuse(status, now_us);
                    return Ok(None);
                }
            }
            let mut buffer = [0; 2048];
            let room = buffer.len().min(REQUEST_MAX_BYTES - self.input.len());
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => return Ok(Some(Fate::Ends)),
                Ok(count) => {
                    if self.input.is_empty() {
                        self.since_us = now_us;
                    }
                    self.input.extend_from_slice(&buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Some(Fate::Stays));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the request is one for the text.
    fn take_request(&mut self, request: &Request, now_us: u64) -> bool {
        self.keeps_alive = request.keeps_alive;
        let head_only = request.method == Method::Head;
        let status = match (request.path.as_str(), request.method) {
            ("/metrics", Method::Get | Method::Head) => {
                self.enter(Phase::Waiting { head_only }, now_us);
                return true;
            }
            ("/", Method::Get | Method::Head) => {
                let page = (START_PAGE_TYPE, START_PAGE);
                self.answer_at_once(Status::Ok, page, head_only, now_us);
                return false;
            }
            ("/" | "/metrics", Method::Other) => Status::MethodNotAllowed,
            _ => Status::NotFound,
        };
        self.explain(status, head_only, now_us);
        false
    }

    /// Answers what cannot be understood; nothing more is read from there.
    fn refuse(&mut self, status: Status, now_us: u64) {
        self.keeps_alive = false;
        self.explain(status, false, now_us);
    }

    fn explain(&mut self, status: Status, head_only: bool, now_us: u64) {
        let body = http::explanation(status);
        let page = ("text/plain; charset=utf-8", body.as_str());
        self.answer_at_once(status, page, head_only, now_us);
    }

    /// Answers with a page, given by its type and its text, that needs no writing down.
    fn answer_at_once(&mut self, status: Status, (content_type, body): (&str, &str), head_only: bool, now_us: u64) {
        self.head = http::head(status, content_type, body.len(), self.keeps_alive).into_bytes();
        if !head_only {
            self.head.extend_from_slice(body.as_bytes());
        }
        self.body = None;
        self.sent = 0;
        self.enter(Phase::Writing, now_us);
    }

    fn answer_with(&mut self, text: &Rc<[u8]>, now_us: u64) {
        let Phase::Waiting { head_only } = self.phase else {
            return;
        };
        let head = http::head(Status::Ok, CONTENT_TYPE, text.len(), self.keeps_alive);
        self.head = head.into_bytes();
        self.body = (!head_only).then(|| Rc::clone(text));
        self.sent = 0;
        self.enter(Phase::Writing, now_us);
    }

    /// Sends as much of the answer as the socket and the turn allow. Nothing where that was all.
    fn send(&mut self, room_bytes: &mut usize) -> io::Result<Option<Fate>> {
        loop {
            let body = self.body.as_deref().unwrap_or_default();
            let rest = match self.sent.checked_sub(self.head.len()) {
                None => &self.head[self.sent..],
                Some(sent) => &body[sent..],
            };
            if rest.is_empty() {
                return Ok(None);
            }
            if *room_bytes == 0 {
                return Ok(Some(Fate::Pauses));
            }
            match self.stream.write(&rest[..rest.len().min(*room_bytes)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sent += count;
                    *room_bytes -= count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Some(Fate::Stays));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn finish_answer(&mut self, now_us: u64) -> io::Result<()> {
        self.head = Vec::new();
        self.body = None;
        self.is_known = true;
        if self.keeps_alive {
            self.enter(Phase::Reading, now_us);
            return Ok(());
        }
        self.enter(Phase::Draining, now_us);
        self.stream.finish()
    }

    fn drain(&mut self) -> io::Result<Fate> {
        let mut buffer = [0; 4096];
        while self.drained_bytes < DRAIN_MAX_BYTES {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(Fate::Ends),
                Ok(count) => self.drained_bytes += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Fate::Stays),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Fate::Ends)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;

    /// A service with the poll that drives it, and a listener to come by.
    struct Bench {
        poll: Poll,
        events: Events,
        service: MetricsService,
        metrics: Metrics,
        listener: TcpListener,
    }

    impl Bench {
        fn new() -> Bench {
            let poll = Poll::new().expect("a poll");
            let registry = poll.registry().try_clone().expect("its registry");
            Bench {
                poll,
                events: Events::with_capacity(64),
                service: MetricsService::new(registry),
                metrics: Metrics::default(),
                listener: TcpListener::bind("127.0.0.1:0").expect("some port is free"),
            }
        }

        fn connect(&mut self, now_us: u64) -> TcpStream {
            let address = self.listener.local_addr().expect("it is bound");
            let peer = TcpStream::connect(address).expect("it listens");
            let (socket, _) = self.listener.accept().expect("somebody connected");
            socket.set_nonblocking(true).expect("a setting");
            let stream = Stream::Tcp(mio::net::TcpStream::from_std(socket));
            self.service.admit(stream, now_us);
            peer
        }

        /// Handles what has happened until nothing happens any more.
        fn settle(&mut self) {
            loop {
                let wait = Duration::from_millis(20);
                self.poll.poll(&mut self.events, Some(wait)).expect("a poll");
                if self.events.is_empty() {
                    return;
                }
                for event in &self.events {
                    if let PollTarget::HttpPeer(peer) = PollTarget::of(event.token()) {
                        self.service.dispatch(peer, &mut self.metrics);
                    }
                }
            }
        }
    }

    const SECOND_US: u64 = 1_000_000;

    #[test]
    fn whoever_sends_its_request_slowly_is_given_up() {
        let mut bench = Bench::new();
        let mut slow = bench.connect(0);
        slow.write_all(b"G").expect("it is taken");
        bench.settle();
        for second in 1..=5 {
            slow.write_all(b"E").expect("it is taken");
            bench.settle();
            bench.service.close_overdue(second * SECOND_US);
            assert_eq!(bench.service.peers.len(), 1, "after {second} s");
        }
        bench.service.close_overdue(5 * SECOND_US + 1);
        assert_eq!(bench.service.peers.len(), 0);
    }

    #[test]
    fn a_connection_is_kept_for_a_while_after_an_answer() {
        let mut bench = Bench::new();
        let mut peer = bench.connect(0);
        peer.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is taken");
        bench.settle();
        bench.service.close_overdue(IDLE_MAX_US);
        assert_eq!(bench.service.peers.len(), 1);
        bench.service.close_overdue(IDLE_MAX_US + 1);
        assert_eq!(bench.service.peers.len(), 0);
    }

    #[test]
    fn whoever_does_not_take_its_answer_is_given_up() {
        let mut bench = Bench::new();
        let mut greedy = bench.connect(0);
        greedy.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is taken");
        bench.settle();
        assert!(bench.metrics.is_writing());
        let text: Rc<[u8]> = vec![b'x'; 64 << 20].into();
        for (_, peer) in &mut bench.service.peers {
            peer.answer_with(&text, SECOND_US);
            let mut room_bytes = usize::MAX;
            let fate = peer.go_on(SECOND_US, &mut room_bytes);
            assert_eq!(fate.expect("it is open"), Fate::Stays);
        }
        bench.service.close_overdue(SECOND_US + ANSWERING_MAX_US);
        assert_eq!(bench.service.peers.len(), 1);
        bench.service.close_overdue(SECOND_US + ANSWERING_MAX_US + 1);
        assert_eq!(bench.service.peers.len(), 0);
    }

    #[test]
    fn a_turn_sends_so_much_and_no_more() {
        let mut bench = Bench::new();
        let mut peers = [bench.connect(0), bench.connect(0)];
        for peer in &mut peers {
            peer.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("it is taken");
        }
        bench.settle();
        let text: Rc<[u8]> = vec![b'x'; SEND_MAX_BYTES].into();
        let tokens: Vec<Token> = bench.service.peers.iter().map(|(_, peer)| peer.token).collect();
        for token in tokens {
            bench.service.peers[slot_of(token)].answer_with(&text, 0);
            bench.service.go_on(token);
        }
        let sent = |bench: &Bench| -> usize { bench.service.peers.iter().map(|(_, peer)| peer.sent).sum() };
        assert_eq!(sent(&bench), SEND_MAX_BYTES);
        let mut turns = 0;
        while bench.service.has_work() {
            turns += 1;
            bench.service.answer(&mut bench.metrics);
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
            peer.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("it is taken");
        }
        bench.settle();
        let mut refused = bench.connect(200);
        assert_eq!(refused.read(&mut [0]).expect("an end"), 0);
        assert_eq!(bench.service.peers.len(), PEERS_MAX);
    }
}
