//! Connections to others against another side that the test plays: slow, silent, gone, or cutting off anywhere.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::*;

const OWNER: LinkOwner = LinkOwner::Migration(7);
const OPTIONS: LinkOptions = LinkOptions {
    connect_ms: 100,
    idle_ms: 1000,
    progress: Progress::EitherWay,
    input_max_bytes: 64 * 1024,
    output_max_bytes: 1024 * 1024,
};

/// A facility with a poll and a clock of its own.
struct Bench {
    poller: Poller,
    outbounds: Outbounds,
    now_ms: i64,
}

impl Bench {
    fn new() -> Bench {
        let poller = Poller::system().expect("a poll");
        let outbounds = Outbounds::on(poller.registrar());
        Bench { poller, outbounds, now_ms: 0 }
    }

    fn open(&mut self, port: u16, options: LinkOptions) -> Token {
        self.outbounds.open("127.0.0.1", port, options, OWNER, self.now_ms)
    }

    /// Notes what the poll has to tell by now.
    fn poll(&mut self, wait_ms: u64) {
        let mut ready = Vec::new();
        self.poller.poll(Some(Duration::from_millis(wait_ms)), &mut ready).expect("it polls");
        for readiness in ready {
            let PollTarget::Outbound(token) = readiness.target else { panic!("{readiness:?}") };
            self.outbounds.note_ready(token);
        }
    }

    /// The next event; waits for it.
    fn event(&mut self) -> (Token, LinkEvent) {
        for _ in 0..1000 {
            if let Some((owner, token, event)) = self.outbounds.next_event(self.now_ms, |_| false) {
                assert_eq!(owner, OWNER);
                return (token, event);
            }
            self.poll(10);
        }
        panic!("nothing happens");
    }

    #[track_caller]
    fn expect(&mut self, token: Token, event: LinkEvent) {
        assert_eq!(self.event(), (token, event));
    }

    /// Nothing is to be told, though the poll was asked.
    #[track_caller]
    fn expect_nothing(&mut self) {
        self.poll(0);
        assert_eq!(self.outbounds.next_event(self.now_ms, |_| false), None);
    }

    fn send(&mut self, token: Token, bytes: &[u8]) {
        self.outbounds.write_with(token, |output| output.extend_from_slice(bytes));
    }

    fn received(&self, token: Token) -> Vec<u8> {
        self.outbounds.link(token).expect("it is not closed").input().to_vec()
    }

    /// Lets time pass, in which nothing happens.
    #[track_caller]
    fn pass_ms(&mut self, ms: i64) {
        assert_eq!(self.outbounds.next_event(self.now_ms, |_| false), None);
        self.now_ms += ms;
        self.outbounds.give_up_overdue(self.now_ms, |_| false);
    }

    /// A connection that stands, and its other side.
    fn connected(&mut self, options: LinkOptions) -> (Token, TcpStream) {
        let (listener, port) = listen();
        let token = self.open(port, options);
        self.expect(token, LinkEvent::Connected);
        (token, listener.accept().expect("somebody connected").0)
    }
}

fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("some port is free");
    let port = listener.local_addr().expect("it is bound").port();
    (listener, port)
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|number| (number % 251) as u8).collect()
}

#[test]
fn bytes_go_both_ways_one_at_a_time() {
    let mut bench = Bench::new();
    let (token, mut peer) = bench.connected(OPTIONS);
    for (count, byte) in pattern(300).into_iter().enumerate() {
        bench.send(token, &[byte]);
        bench.expect(token, LinkEvent::Flushed);
        let mut got = [0];
        peer.read_exact(&mut got).expect("it was sent");
        peer.write_all(&got).expect("it is taken");
        bench.expect(token, LinkEvent::Received);
        assert_eq!(bench.received(token), pattern(count + 1));
    }
    bench.outbounds.consume(token, 299);
    assert_eq!(bench.received(token), [pattern(300)[299]]);
    bench.expect_nothing();
}

#[test]
fn much_goes_to_one_who_takes_it_byte_by_byte() {
    let mut bench = Bench::new();
    let (token, mut peer) = bench.connected(LinkOptions { output_max_bytes: usize::MAX, ..OPTIONS });
    let much = pattern(16 * 1024 * 1024);
    bench.send(token, &much);
    bench.expect_nothing();
    let left = bench.outbounds.link(token).expect("it stands").pending_bytes();
    assert!(left > 0 && left < much.len(), "{left}: sockets hold less");
    let mut got = vec![0; much.len()];
    for byte in got[..1000].chunks_mut(1) {
        peer.read_exact(byte).expect("it was sent");
        bench.poll(0);
        assert_eq!(bench.outbounds.next_event(0, |_| false), None, "not all is sent");
    }
    let reading = std::thread::spawn(move || {
        peer.read_exact(&mut got[1000..]).expect("it is sent");
        (got, peer)
    });
    bench.expect(token, LinkEvent::Flushed);
    let (got, _peer) = reading.join().expect("it reads");
    assert!(got == much);
    bench.expect_nothing();
}

#[test]
fn one_who_accepts_late_gets_all() {
    let mut bench = Bench::new();
    let (listener, port) = listen();
    let token = bench.open(port, OPTIONS);
    bench.send(token, b"before, ");
    bench.expect(token, LinkEvent::Connected);
    bench.send(token, b"and after");
    bench.expect(token, LinkEvent::Flushed);
    let (mut peer, _) = listener.accept().expect("somebody connected");
    bench.outbounds.close(token);
    let mut got = String::new();
    peer.read_to_string(&mut got).expect("it is closed");
    assert_eq!(got, "before, and after");
    assert!(bench.outbounds.is_empty());
}

#[test]
fn one_who_refuses_is_unreachable_and_another_address_is_tried() {
    let mut bench = Bench::new();
    let (listener, port) = listen();
    let refusing = {
        let (gone, port) = listen();
        drop(gone);
        port
    };
    let token = bench.open(refusing, OPTIONS);
    bench.expect(token, LinkEvent::Failed(Failure::Unreachable(io::ErrorKind::ConnectionRefused)));
    bench.pass_ms(10_000);
    bench.expect_nothing();
    bench.outbounds.close(token);

    let addresses = [refusing, port].map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let link = Link::new(Lookup::Known(addresses.to_vec()), None, OPTIONS, bench.now_ms);
    let token = bench.outbounds.insert(link, OWNER);
    bench.expect(token, LinkEvent::Connected);
    let _peer = listener.accept().expect("somebody connected");

    let token = bench.outbounds.open("", port, OPTIONS, OWNER, bench.now_ms);
    bench.expect(token, LinkEvent::Failed(Failure::UnknownHost));
}

/// The other side goes away after each number of bytes: all that it sent is reported before its end, and its end once.
#[test]
fn a_connection_that_is_cut_off_anywhere_fails_after_its_last_byte() {
    let reply = pattern(40);
    for cut in 0..=reply.len() {
        let mut bench = Bench::new();
        let (token, mut peer) = bench.connected(OPTIONS);
        bench.send(token, b"request");
        bench.expect(token, LinkEvent::Flushed);
        let mut request = [0; 7];
        peer.read_exact(&mut request[..cut.min(7)]).expect("it was sent");
        peer.write_all(&reply[..cut]).expect("it is taken");
        if cut > 0 {
            bench.expect(token, LinkEvent::Received);
        }
        drop(peer);
        let (_, event) = bench.event();
        let is_end = matches!(event, LinkEvent::Failed(Failure::Closed | Failure::Broken(_)));
        assert!(is_end, "{cut}: {event:?}");
        assert_eq!(bench.received(token), reply[..cut]);
        bench.pass_ms(10_000);
        bench.expect_nothing();
        bench.outbounds.close(token);
    }
}

#[test]
fn one_who_never_answers_is_waited_for_so_long() {
    let mut bench = Bench::new();
    // A queue of one connection, and that one is there: further ones wait for room.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("some port is free");
    socket.listen(0).expect("it listens");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket()).expect("it is bound");
    let _first = TcpStream::connect(address).expect("there is room for one");
    let token = bench.open(address.port(), OPTIONS);
    bench.expect_nothing();
    bench.pass_ms(100);
    bench.expect_nothing();
    assert_eq!(bench.outbounds.next_deadline_ms(|_| false), Some(100));
    bench.pass_ms(1);
    bench.expect(token, LinkEvent::TimedOut);
    assert_eq!(bench.outbounds.next_deadline_ms(|_| false), None);
    bench.pass_ms(1000);
    bench.expect_nothing();
}

#[test]
fn silence_is_measured_from_the_last_byte() {
    let mut bench = Bench::new();
    let (either, mut peer) = bench.connected(OPTIONS);
    let (received, _silent) = bench.connected(LinkOptions { progress: Progress::Received, ..OPTIONS });
    bench.pass_ms(600);
    peer.write_all(b"x").expect("it is taken");
    bench.expect(either, LinkEvent::Received);
    bench.send(received, b"x");
    bench.expect(received, LinkEvent::Flushed);
    bench.pass_ms(401);
    bench.expect(received, LinkEvent::TimedOut);
    bench.send(either, b"x");
    bench.expect(either, LinkEvent::Flushed);
    bench.pass_ms(1000);
    bench.expect_nothing();
    bench.pass_ms(1);
    bench.expect(either, LinkEvent::TimedOut);
}

/// An owner that is slower than the other side holds it up, and gets every byte in the end.
#[test]
fn no_more_is_read_than_the_owner_takes() {
    let mut bench = Bench::new();
    let (token, mut peer) = bench.connected(LinkOptions { input_max_bytes: 1000, ..OPTIONS });
    let much = pattern(3 * 1024 * 1024);
    let expected = much.clone();
    let writing = std::thread::spawn(move || peer.write_all(&much));
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let waiting = bench.received(token);
        assert!(waiting.len() <= 1000);
        if waiting.is_empty() {
            bench.expect(token, LinkEvent::Received);
        }
        let taken = waiting.len().min(700);
        got.extend_from_slice(&waiting[..taken]);
        bench.outbounds.consume(token, taken);
    }
    assert!(got == expected);
    writing.join().expect("it ends").expect("all was taken");
    bench.expect(token, LinkEvent::Failed(Failure::Closed));
}

#[test]
fn a_connection_that_takes_too_little_is_given_up() {
    let mut bench = Bench::new();
    let (token, _peer) = bench.connected(LinkOptions { output_max_bytes: 10, ..OPTIONS });
    bench.send(token, b"0123456789");
    bench.expect(token, LinkEvent::Flushed);
    bench.send(token, b"0123456789a");
    bench.expect(token, LinkEvent::Failed(Failure::Overflow));
    bench.send(token, b"nobody hears");
    assert!(!bench.outbounds.link(token).expect("it is not closed").is_open());
}

/// A slot has a new tenant: what was meant for the one before does not reach it.
#[test]
fn events_of_a_former_tenant_mean_nothing() {
    let mut bench = Bench::new();
    let (old, mut peer) = bench.connected(OPTIONS);
    peer.write_all(b"too late").expect("it is taken");
    bench.outbounds.close(old);
    let (new, _peer) = bench.connected(OPTIONS);
    assert_eq!((old.slot, old.generation + 1), (new.slot, new.generation));
    bench.expect_nothing();
    bench.outbounds.note_ready(old);
    assert!(!bench.outbounds.has_ready(|_| false));
    bench.send(old, b"nothing");
    bench.outbounds.consume(old, 1);
    bench.outbounds.close(old);
    assert!(bench.outbounds.link(old).is_none());
    assert_eq!(bench.outbounds.link(new).expect("it stands").pending_bytes(), 0);
    bench.expect_nothing();
}

#[test]
fn a_parked_connection_serves_again_until_the_other_side_closes_it() {
    let mut bench = Bench::new();
    let (listener, port) = listen();
    let token = bench.open(port, OPTIONS);
    bench.expect(token, LinkEvent::Connected);
    let (mut peer, _) = listener.accept().expect("somebody connected");
    bench.outbounds.park(token, "host", port, 5, bench.now_ms);
    assert_eq!((bench.outbounds.parked_count(), bench.outbounds.is_empty()), (1, true));
    assert!(bench.outbounds.reopen("other", port, OPTIONS, OWNER, 0).is_none());
    let (token, note) = bench.outbounds.reopen("host", port, OPTIONS, OWNER, 0).expect("it is parked");
    assert_eq!(note, 5);
    bench.expect(token, LinkEvent::Connected);
    peer.write_all(b"again").expect("it is taken");
    bench.expect(token, LinkEvent::Received);
    bench.outbounds.park(token, "host", port, 5, bench.now_ms);
    drop(peer);
    let (token, _) = bench.outbounds.reopen("host", port, OPTIONS, OWNER, 0).expect("it is parked");
    bench.expect(token, LinkEvent::Connected);
    bench.expect(token, LinkEvent::Failed(Failure::Closed));
    assert_eq!(bench.outbounds.parked_count(), 0);
}

/// One connection with much to do does not keep another waiting.
#[test]
fn connections_take_turns() {
    let mut bench = Bench::new();
    let (busy, mut flood) = bench.connected(LinkOptions { input_max_bytes: 1, ..OPTIONS });
    let (other, mut peer) = bench.connected(OPTIONS);
    flood.write_all(&pattern(1000)).expect("it is taken");
    bench.expect(busy, LinkEvent::Received);
    peer.write_all(b"x").expect("it is taken");
    let mut events_of_busy = 0;
    loop {
        bench.outbounds.consume(busy, 1);
        bench.poll(0);
        match bench.event() {
            (token, LinkEvent::Received) if token == other => break,
            (token, LinkEvent::Received) if token == busy => events_of_busy += 1,
            event => panic!("{event:?}"),
        }
        assert!(events_of_busy < 1000, "the other one waits");
    }
}

#[test]
fn an_owner_that_stands_still_hears_nothing_and_is_not_late() {
    let mut bench = Bench::new();
    let (token, mut peer) = bench.connected(OPTIONS);
    peer.write_all(b"x").expect("it is taken");
    bench.poll(1000);
    let still = |owner| owner == OWNER;
    assert!(bench.outbounds.has_ready(|_| false) && !bench.outbounds.has_ready(still));
    assert_eq!(bench.outbounds.next_event(0, still), None);
    assert_eq!(bench.outbounds.next_deadline_ms(still), None);
    bench.outbounds.give_up_overdue(1_000_000, still);
    bench.expect(token, LinkEvent::Received);
}

/// A source that this machine does not have, or that stands for nothing, keeps no connection from being made.
#[test]
fn connections_are_made_from_the_source_that_is_asked_for_if_possible() {
    let sources = [("127.0.0.5", "127.0.0.5"), ("localhost", "127.0.0.1"), ("", "127.0.0.1")];
    let unusable = [("192.0.2.1", "127.0.0.1"), ("::1", "127.0.0.1"), ("no such host", "127.0.0.1")];
    for (source, seen) in sources.into_iter().chain(unusable) {
        let mut bench = Bench::new();
        bench.outbounds.set_source(source);
        let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let token = bench.open(listener.local_addr().expect("it is bound").port(), OPTIONS);
        bench.expect(token, LinkEvent::Connected);
        let (_socket, peer) = listener.accept().expect("it is connected");
        assert_eq!(peer.ip().to_string(), seen, "{source}");
    }
}
