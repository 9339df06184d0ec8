use std::os::unix::net::UnixStream;

use super::*;
use crate::base::clock::Clock;
use crate::config::Config;

/// A loop whose turns the test takes, listening on a Unix socket.
struct Bench {
    event_loop: EventLoop,
    socket: std::path::PathBuf,
}

impl Bench {
    fn new(name: &str) -> Bench {
        let socket = format!("oneloop-{name}-{}.sock", std::process::id());
        let socket = std::env::temp_dir().join(socket);
        let config = Config {
            port: 0,
            unixsocket: socket.to_string_lossy().into_owned(),
            save: Vec::new(),
            ..Config::default()
        };
        let state = ServerState::new(&crate::commands::PROGRAM, config, Clock::virtual_at(1_000_000), 1);
        let signals = Signals::install(|| std::process::abort()).expect("signals can be handled");
        let event_loop = EventLoop::new(state, signals).expect("it listens");
        Bench { event_loop, socket }
    }

    /// Waits until something has happened, and leaves it to be dispatched.
    fn poll(&mut self) -> Events {
        let mut events = Events::with_capacity(64);
        while events.is_empty() {
            self.event_loop.poll.poll(&mut events, None).expect("a poll");
        }
        events
    }

    fn connect(&mut self) -> (UnixStream, Token) {
        let stream = UnixStream::connect(&self.socket).expect("it listens");
        let before = self.event_loop.state.clients.tokens();
        loop {
            let events = self.poll();
            self.event_loop.turn(&events);
            let tokens = self.event_loop.state.clients.tokens();
            if let Some(token) = tokens.iter().find(|token| !before.contains(token)) {
                return (stream, *token);
            }
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // The listeners have removed it if they closed it.
        let _ = std::fs::remove_file(&self.socket);
    }
}

/// The kernel reports that a client has sent something and hung up; before that is dispatched the client is closed for
/// another reason, and the next one gets its slot.
#[test]
fn an_event_of_a_client_that_is_gone_does_not_reach_its_successor() {
    let mut bench = Bench::new("successor");
    let (gone, gone_token) = bench.connect();
    // The new socket is reported as writable once.
    let events = bench.poll();
    bench.event_loop.turn(&events);
    io::Write::write_all(&mut &gone, b"PING\r\n").expect("it is taken");
    drop(gone);
    let stale = bench.poll();
    bench.event_loop.close(gone_token);
    let (_successor, token) = bench.connect();
    assert_eq!(token.slot, gone_token.slot, "it has the slot");
    bench.event_loop.connections[token.slot as usize].readable = false;
    for event in &stale {
        assert_eq!(PollTarget::of(event.token()), PollTarget::Client(gone_token));
        bench.event_loop.dispatch(event, None);
    }
    let connection = &bench.event_loop.connections[token.slot as usize];
    assert!(!connection.hung_up && !connection.readable);
    assert!(bench.event_loop.state.clients.contains(token));
}

/// Three clients have sent something before one turn: what is read ahead goes to the right client, in order, and what a client in
/// front does to one behind it counts although its bytes were read by then.
#[test]
fn clients_of_one_turn_are_read_ahead_and_served_in_order() {
    let mut bench = Bench::new("ahead");
    let clients: Vec<(UnixStream, Token)> = (0..4).map(|_| bench.connect()).collect();
    let settled = bench.poll();
    bench.event_loop.turn(&settled);
    let killed = bench.event_loop.state.clients.get(clients[2].1).expect("it is there").id;
    let requests = [
        "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$3\r\none\r\n".to_string(),
        format!("CLIENT KILL ID {killed}\r\n"),
        "*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$3\r\ntwo\r\n".to_string(),
        "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n*2\r\n$3\r\nGET\r\n$1\r\n-\r\n".to_string(),
    ];
    for ((stream, _), request) in clients.iter().zip(&requests) {
        io::Write::write_all(&mut &*stream, request.as_bytes()).expect("it is taken");
    }
    let events = bench.poll();
    assert_eq!(events.iter().count(), clients.len(), "one turn serves them all");
    bench.event_loop.turn(&events);
    for buffer in [&bench.event_loop.shared, &bench.event_loop.ahead_buffer] {
        assert!(matches!(buffer[0], b'*' | b'C'), "both buffers were read into");
    }
    for (index, expected) in [(0, "+OK\r\n"), (1, ":1\r\n"), (2, ""), (3, "$3\r\none\r\n$-1\r\n")] {
        let mut reply = vec![0; expected.len()];
        io::Read::read_exact(&mut &clients[index].0, &mut reply).expect("it is answered");
        assert_eq!(String::from_utf8_lossy(&reply), expected, "client {index}");
    }
    assert!(!bench.event_loop.state.clients.contains(clients[2].1));
}

/// A client that was stopped after its bytes were read keeps them, and they are run once it may go on.
#[test]
fn what_was_read_ahead_for_a_client_that_must_wait_is_kept() {
    let mut bench = Bench::new("kept");
    let (stream, token) = bench.connect();
    let settled = bench.poll();
    bench.event_loop.turn(&settled);
    let request = b"PING\r\n";
    bench.event_loop.shared[..request.len()].copy_from_slice(request);
    bench.event_loop.connections[token.slot as usize].output_blocked = true;
    bench.event_loop.serve(token, Some(Fill::Drained { shared: request.len(), total: request.len() }));
    let connection = &mut bench.event_loop.connections[token.slot as usize];
    assert_eq!(connection.input, request);
    connection.output_blocked = false;
    bench.event_loop.serve(token, None);
    let mut reply = [0; 7];
    io::Read::read_exact(&mut &stream, &mut reply).expect("it is answered");
    assert_eq!(&reply, b"+PONG\r\n");
}
