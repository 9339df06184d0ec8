//! A loop that stays awake for a lone client, and what the kernel is asked to do for its sockets.

#[path = "support/server.rs"]
mod server;

use std::net::TcpStream;
use std::time::Instant;

use server::{PATIENCE, Raw, Server, free_port};

/// How often the loop has spun, and how often that paid.
fn spins(client: &mut Raw<TcpStream>) -> (u64, u64) {
    client.send("LOOP STATS\r\n");
    // More than one reply's worth of lines: the end is known by a request of its own.
    client.send("PING\r\n");
    let mut lines = Vec::new();
    while lines.last().map(String::as_str) != Some("+PONG") {
        lines.push(client.line());
    }
    let start = lines.iter().position(|line| line == "spins").expect("it is shown");
    let number = |name: &str| {
        let place = start + lines[start..].iter().position(|line| line == name).expect("a count");
        lines[place + 1].strip_prefix(':').and_then(|digits| digits.parse().ok()).expect("a number")
    };
    (number("count"), number("hits"))
}

/// Sends requests one by one until the counts, which are noted once a tick, are as wanted.
#[track_caller]
fn ask_until(client: &mut Raw<TcpStream>, wanted: impl Fn((u64, u64)) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        (0..100).for_each(|_| client.ask("PING", "+PONG\r\n"));
        let counts = spins(client);
        if wanted(counts) {
            return;
        }
        assert!(Instant::now() < deadline, "{counts:?}");
    }
}

/// Takes three ticks of the cron.
fn pass_ticks(client: &mut Raw<TcpStream>) {
    (0..3).for_each(|_| client.ask("DEBUG SLEEP 0.1", "+OK\r\n"));
}

#[test]
fn the_loop_stays_awake_for_a_lone_client() {
    let server = Server::start(&["--loop-spin-us", "10000", "--enable-debug-command", "yes"]);
    let mut client = server.connect();
    ask_until(&mut client, |(_, hits)| hits > 0);
    client.ask("CONFIG SET loop-spin-us 0", "+OK\r\n");
    pass_ticks(&mut client);
    let before = spins(&mut client);
    (0..1000).for_each(|_| client.ask("PING", "+PONG\r\n"));
    pass_ticks(&mut client);
    assert_eq!(spins(&mut client), before, "it is off");
    client.ask("CONFIG SET loop-spin-us auto", "+OK\r\n");
    ask_until(&mut client, |(spins, _)| spins > before.0);
}

#[test]
fn the_loop_sleeps_where_it_is_not_asked_or_where_many_ask() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    (0..1000).for_each(|_| client.ask("PING", "+PONG\r\n"));
    pass_ticks(&mut client);
    assert_eq!(spins(&mut client), (0, 0));
    let _others: Vec<_> = (0..4).map(|_| server.connect()).collect();
    client.ask("CONFIG SET loop-spin-us 10000", "+OK\r\n");
    (0..1000).for_each(|_| client.ask("PING", "+PONG\r\n"));
    pass_ticks(&mut client);
    assert_eq!(spins(&mut client), (0, 0), "five clients");
}

#[test]
fn busy_polling_of_sockets_is_set_or_refused() {
    let mut server = Server::launch(free_port(), &["--socket-busy-poll-us", "1"]);
    // The system may not allow it, or not know it.
    let line = server.wait_for_any(&["Ready to accept", "socket-busy-poll-us: "]);
    if line.contains("Ready") {
        server.connect().ask("CONFIG GET socket-busy-poll-us", "*2\r\n$19\r\nsocket-busy-poll-us\r\n$1\r\n1\r\n");
    } else {
        let (status, _) = server.wait();
        assert_eq!(status.code(), Some(1));
    }
}
