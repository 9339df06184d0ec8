//! The event loop over real sockets, turn by turn: events of clients that are gone.

use std::os::unix::net::UnixStream;

use super::*;
use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
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
        let state =
            ServerState::new(&crate::commands::PROGRAM, config, Clock::virtual_at(1_000_000), &Entropy::Seeded(1));
        let door = Door::system(|| std::process::abort()).expect("signals can be handled");
        let event_loop = EventLoop::new(state, door).expect("it listens");
        Bench { event_loop, socket }
    }

    /// Waits until something has happened, and leaves it to be dispatched.
    fn poll(&mut self) -> Vec<Readiness> {
        let mut ready = Vec::new();
        while ready.is_empty() {
            self.event_loop.poller.poll(None, &mut ready).expect("a poll");
        }
        ready
    }

    fn connect(&mut self) -> (UnixStream, Token) {
        let stream = UnixStream::connect(&self.socket).expect("it listens");
        let before = self.event_loop.state.clients.tokens();
        loop {
            let ready = self.poll();
            self.event_loop.turn(&ready);
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
    io::Write::write_all(&mut &gone, b"PING\r\n").expect("it is taken");
    drop(gone);
    let stale = bench.poll();
    bench.event_loop.close(gone_token);
    let (_successor, token) = bench.connect();
    assert_eq!(token.slot, gone_token.slot, "it has the slot");
    bench.event_loop.connections[token.slot as usize].readable = false;
    for readiness in stale {
        assert_eq!(readiness.target, PollTarget::Client(gone_token));
        bench.event_loop.dispatch(readiness);
    }
    let connection = &bench.event_loop.connections[token.slot as usize];
    assert!(!connection.hung_up && !connection.readable);
    assert!(bench.event_loop.state.clients.contains(token));
}
