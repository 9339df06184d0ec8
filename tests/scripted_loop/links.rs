//! Connections that the server makes, in a scripted world: MIGRATE to a peer that the test plays.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use oneloop::net::scripted::peer::Peer;
use oneloop::net::scripted::world::World;

use super::bench::{Bench, request, text};

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

fn migrate(host: &str) -> Vec<u8> {
    request(&["MIGRATE", host, "6379", "key", "0", "1000"])
}

#[test]
fn a_name_is_answered_a_connection_accepted_and_a_key_moved() {
    let mut bench = Bench::new(|_| {});
    let client = bench.connect();
    bench.ask(&client, "SET key value\r\n");
    client.send(&migrate("elsewhere"));
    bench.settle();
    let world = bench.world();
    assert_eq!(world.asked_names(), ["elsewhere"]);
    assert!(Peer::take_connecting(&world).is_none(), "nobody knows where to");
    world.answer_name("elsewhere", &[HOST]);
    bench.settle();
    let (server, address) = Peer::take_connecting(&world).expect("it connects");
    assert_eq!(address.ip(), HOST);
    assert_eq!(server.untaken(), 0);
    server.accept();
    bench.settle();
    let received = text(&server.receive_all());
    assert!(received.contains("RESTORE") && received.contains("key"), "{received}");
    // The replies come byte by byte.
    for byte in b"+OK\r\n+OK\r\n".chunks(1) {
        server.send(byte);
        bench.settle();
    }
    assert_eq!(text(&client.receive_all()), "+OK\r\n");
    assert_eq!(bench.ask(&client, "EXISTS key\r\n"), ":0\r\n");
}

#[test]
fn a_connection_that_is_refused_or_silent_is_given_up() {
    let mut bench = Bench::new(|_| {});
    let client = bench.connect();
    bench.ask(&client, "SET key value\r\n");
    let world = bench.world();
    client.send(&migrate("10.0.0.7"));
    bench.settle();
    let (server, _) = Peer::take_connecting(&world).expect("it connects");
    server.refuse(io::ErrorKind::ConnectionRefused);
    bench.settle();
    assert!(text(&client.receive_all()).starts_with("-IOERR"));
    client.send(&migrate("10.0.0.7"));
    bench.settle();
    let (server, _) = Peer::take_connecting(&world).expect("it connects again");
    for _ in 0..40 {
        bench.server.wait().expect("a poll");
    }
    assert!(text(&client.receive_all()).starts_with("-IOERR"));
    assert!(server.is_over());
    assert_eq!(bench.ask(&client, "EXISTS key\r\n"), ":1\r\n");
}

/// The cron comes once a second here: an attempt that is due earlier does not wait for it.
#[test]
fn a_primary_that_refuses_is_tried_again_when_that_is_due() {
    let mut bench = Bench::new(|_| {});
    let client = bench.connect();
    bench.pass_ms(300);
    assert_eq!(bench.ask(&client, "REPLICAOF 10.0.0.7 6379\r\n"), "+OK\r\n");
    let world = bench.world();
    let (primary, _) = Peer::take_connecting(&world).expect("it connects");
    primary.refuse(io::ErrorKind::ConnectionRefused);
    bench.settle();
    let refused_ms = bench.server.state().clock.now_ms();
    for _ in 0..10 {
        bench.server.wait().expect("a poll");
        if Peer::take_connecting(&world).is_some() {
            let paused_ms = bench.server.state().clock.now_ms() - refused_ms;
            return assert!((1000..1010).contains(&paused_ms), "{paused_ms}");
        }
    }
    panic!("the primary is not tried again");
}

/// The suite of Redis asks a replica for the state of its link when its primary has cut it, and expects the new one.
#[test]
fn a_client_that_asks_after_the_link_has_ended_is_told() {
    let mut bench = Bench::new(|_| {});
    let client = bench.connect();
    bench.ask(&client, "CONFIG SET repl-diskless-load swapdb\r\nREPLICAOF 10.0.0.7 6379\r\n");
    let world = bench.world();
    let (primary, _) = Peer::take_connecting(&world).expect("it connects");
    primary.accept();
    bench.settle();
    let mut received = String::new();
    while !received.contains("PSYNC") {
        received = text(&primary.receive_all());
        for word in ["PING", "REPLCONF"].iter().flat_map(|word| received.matches(word)) {
            primary.send(if word == "PING" { b"+PONG\r\n" } else { b"+OK\r\n" });
        }
        bench.settle();
    }
    // Data without a key and without a checksum.
    let data = b"REDIS0011\xff\0\0\0\0\0\0\0\0";
    primary.send(format!("+FULLRESYNC {} 0\r\n${}\r\n", "1".repeat(40), data.len()).as_bytes());
    primary.send(data);
    bench.settle();
    assert!(bench.ask(&client, "INFO replication\r\n").contains("master_link_status:up"));
    primary.finish();
    client.send(b"INFO replication\r\n");
    bench.turn_for(&[primary.source(), client.source()]);
    bench.settle();
    assert!(text(&client.receive_all()).contains("master_link_status:down"));
}

/// A replica whose socket is full takes what there is and acknowledges it. Both are one event, of which serving the
/// acknowledgement needs no write: the stream goes on nevertheless.
#[test]
fn a_replica_that_makes_room_and_speaks_at_once_is_sent_the_rest() {
    let mut bench = Bench::new(|_| {});
    let client = bench.connect();
    let replica = bench.connect();
    bench.ask(&replica, "REPLCONF capa eof\r\n");
    replica.send(b"PSYNC ? -1\r\n");
    bench.settle();
    let data = text(&replica.receive_all());
    assert!(data.starts_with("+FULLRESYNC ") && data.contains("$EOF:"), "{data}");
    bench.ask(&replica, "REPLCONF ACK 0\r\n");
    replica.receive_all();
    replica.set_capacity(1000);
    for number in 0..20 {
        bench.ask(&client, &format!("SET key:{number} {}\r\n", "x".repeat(200)));
    }
    let mut stream = String::new();
    while replica.untaken() > 0 {
        stream += &text(&replica.receive_all());
        replica.send(b"REPLCONF ACK 1\r\n");
        bench.settle();
    }
    assert!(stream.contains("key:19"), "the stream ends amid: {}", &stream[stream.len().saturating_sub(300)..]);
}

/// Within a transaction the loop cannot return, so it polls within: the other side answers as the world's script.
#[test]
fn within_a_transaction_all_wait_at_a_poller_of_the_same_kind() {
    let mut bench = Bench::new(|_| {});
    let client = bench.connect();
    bench.ask(&client, "SET key value\r\n");
    let other = Rc::new(RefCell::new(None::<Peer>));
    let seen = Rc::new(RefCell::new(String::new()));
    let (peer, received) = (Rc::clone(&other), Rc::clone(&seen));
    bench.world().set_script(move |world: &World| {
        if let Some((server, _)) = Peer::take_connecting(world) {
            server.accept();
            *peer.borrow_mut() = Some(server);
        } else if let Some(server) = &*peer.borrow() {
            let bytes = text(&server.receive_all());
            for _ in bytes.matches("RESTORE").chain(bytes.matches("SELECT")) {
                server.send(b"+OK\r\n");
            }
            received.borrow_mut().push_str(&bytes);
        }
    });
    client.send(b"MULTI\r\n");
    client.send(&migrate("10.0.0.7"));
    client.send(b"EXISTS key\r\nEXEC\r\n");
    bench.settle();
    assert_eq!(text(&client.receive_all()), "+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:0\r\n");
    assert!(seen.borrow().contains("RESTORE"));
    // The connection is kept, and used once more from the loop.
    bench.ask(&client, "SET key value\r\n");
    client.send(&migrate("10.0.0.7"));
    for _ in 0..20 {
        bench.turn();
    }
    assert_eq!(text(&client.receive_all()), "+OK\r\n");
}
