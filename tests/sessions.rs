//! Transactions, pub/sub and client-side caching over real sockets, as client libraries use them.

#[path = "support/server.rs"]
mod server;

use std::thread;

use redis::Commands;
use server::{PATIENCE, Raw, Server};

/// Every thread adds to a counter that it reads, and writes back only if nobody else has meanwhile.
#[test]
fn optimistic_locking_loses_no_increment() {
    const THREADS: usize = 8;
    const INCREMENTS: usize = 100;
    let server = Server::start(&[]);
    let port = server.port;
    let workers = (0..THREADS).map(|_| {
        thread::spawn(move || {
            let address = format!("redis://127.0.0.1:{port}/");
            let client = redis::Client::open(address).expect("an address");
            let mut connection = client.get_connection().expect("it listens");
            for _ in 0..INCREMENTS {
                let _: (i64,) = redis::transaction(&mut connection, &["counter"], |connection, pipe| {
                    let before: Option<i64> = connection.get("counter")?;
                    let after = before.unwrap_or(0) + 1;
                    pipe.set("counter", after).ignore().get("counter").query(connection)
                })
                .expect("a transaction");
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.join().expect("every increment succeeds");
    }
    let total: usize = server.client().get("counter").expect("GET");
    assert_eq!(total, THREADS * INCREMENTS);
}

#[test]
fn a_client_library_subscribes() {
    let server = Server::start(&[]);
    let mut connection = server.client();
    connection.set_read_timeout(Some(PATIENCE)).expect("a setting");
    let mut publisher = server.client();
    let mut subscriber = connection.as_pubsub();
    subscriber.subscribe("news").expect("SUBSCRIBE");
    subscriber.psubscribe("n*").expect("PSUBSCRIBE");
    let told: usize = publisher.publish("news", "hello").expect("PUBLISH");
    assert_eq!(told, 2);
    for pattern in [false, true] {
        let message = subscriber.get_message().expect("a message");
        assert_eq!(message.get_channel_name(), "news");
        assert_eq!(message.from_pattern(), pattern);
        assert_eq!(message.get_payload::<String>().expect("a text"), "hello");
    }
    subscriber.unsubscribe("news").expect("UNSUBSCRIBE");
    drop(subscriber);
}

/// More subscribers than are sent to in one turn of the loop: each gets every message, in order, small and large.
#[test]
fn every_subscriber_gets_every_message_in_order() {
    const SUBSCRIBERS: usize = 500;
    const MESSAGES: usize = 100;
    let server = Server::start(&[]);
    let mut subscribers: Vec<Raw<_>> = (0..SUBSCRIBERS).map(|_| server.connect()).collect();
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        if number % 2 == 0 {
            subscriber.ask("SUBSCRIBE a", "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
        } else {
            subscriber.ask("PSUBSCRIBE ?", "*3\r\n$10\r\npsubscribe\r\n$1\r\n?\r\n:1\r\n");
        }
    }
    let mut publisher = server.connect();
    let (mut requests, mut expected) = (String::new(), [String::new(), String::new()]);
    for number in 0..MESSAGES {
        let large = if number % 10 == 0 { 20_000 } else { 0 };
        let text = format!("{number}{}", "x".repeat(large));
        let bulk = format!("${}\r\n{text}\r\n", text.len());
        requests += &format!("*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n{bulk}");
        expected[0] += &format!("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n{bulk}");
        expected[1] += &format!("*4\r\n$8\r\npmessage\r\n$1\r\n?\r\n$1\r\na\r\n{bulk}");
    }
    publisher.send(requests);
    for (number, subscriber) in subscribers.iter_mut().enumerate() {
        subscriber.expect(&expected[number % 2]);
    }
    publisher.expect(format!(":{SUBSCRIBERS}\r\n").repeat(MESSAGES));
}

/// The message comes on another connection than the change, without that one doing anything.
#[test]
fn a_cache_is_told_of_what_others_change() {
    let server = Server::start(&[]);
    let mut cache = server.connect();
    cache.send("HELLO 3\r\nCLIENT TRACKING ON BCAST PREFIX user:\r\nGET user:1\r\n");
    while cache.line() != "_" {}
    let mut other = server.connect();
    other.ask("MSET user:1 x user:2 y", "+OK\r\n");
    cache.expect(">2\r\n$10\r\ninvalidate\r\n*2\r\n$6\r\nuser:1\r\n$6\r\nuser:2\r\n");
    other.ask("SET user:3 x PX 1", "+OK\r\n");
    let told = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$6\r\nuser:3\r\n";
    // Set, and expired by the active cycle.
    cache.expect(told.repeat(2));
}
