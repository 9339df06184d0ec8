//! Clients that wait for keys, over real sockets: the loop runs in a thread of the test, with commands that do nothing
//! but wait.

#[path = "support/server.rs"]
mod server;
#[path = "support/waiting_family.rs"]
mod waiting_family;

use std::io::Read;
use std::net::TcpStream;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use oneloop::base::clock::Clock;
use oneloop::base::entropy::Entropy;
use oneloop::config::Config;
use oneloop::engine::state::ServerState;
use oneloop::reactor::door::Door;
use oneloop::reactor::event_loop::EventLoop;
use server::{PATIENCE, Raw, free_port};

/// A loop in a thread of its own. Dropping it ends the loop.
struct Loop {
    port: u16,
    thread: Option<JoinHandle<()>>,
}

impl Loop {
    fn start() -> Loop {
        let port = free_port();
        let thread = std::thread::spawn(move || {
            let config = Config {
                port,
                bind: vec!["127.0.0.1".to_string()],
                // A deadline must not need the cron's help to be noticed.
                hz: 1,
                ..Config::default()
            };
            let mut state =
                ServerState::new(&oneloop::commands::PROGRAM, config, Clock::system(), &Entropy::Seeded(42));
            waiting_family::add_to(&mut state);
            let door = Door::system(|| {}).expect("handlers");
            let mut event_loop = EventLoop::new(state, door).expect("a free port");
            event_loop.run().expect("the poll works");
        });
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the loop does not listen");
            std::thread::yield_now();
        }
        Loop { port, thread: Some(thread) }
    }

    fn connect(&self) -> Raw<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Raw { stream }
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
            let _ = std::io::Write::write_all(&mut stream, b"SHUTDOWN NOSAVE\r\n");
            let _ = stream.read(&mut [0]);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn wait_for_waiters(admin: &mut Raw<TcpStream>, count: usize) {
    admin.wait_for_clients(|list| list.matches(" flags=b ").count() == count);
}

#[test]
fn what_was_asked_meanwhile_is_answered_afterwards() {
    let server = Loop::start();
    let (mut admin, mut client) = (server.connect(), server.connect());
    // All at once: the second request comes with the one that waits, the others find the client waiting.
    client.send("PING\r\nBPOP key 0\r\nPING one\r\n");
    client.expect("+PONG\r\n");
    wait_for_waiters(&mut admin, 1);
    client.send("PING two\r\nBPOP key 0\r\nPING three\r\n");
    admin.ask("PUSH key a", ":1\r\n");
    client.expect("*2\r\n$3\r\nkey\r\n$1\r\na\r\n$3\r\none\r\n$3\r\ntwo\r\n");
    wait_for_waiters(&mut admin, 1);
    admin.ask("PUSH key b", ":1\r\n");
    client.expect("*2\r\n$3\r\nkey\r\n$1\r\nb\r\n$5\r\nthree\r\n");
    client.ask("PING", "+PONG\r\n");
}

#[test]
fn the_deadline_is_kept_to_the_millisecond() {
    let server = Loop::start();
    let mut client = server.connect();
    for (seconds, least_ms) in [("0.03", 30), ("0.15", 150)] {
        let start = Instant::now();
        client.send(format!("BPOP key {seconds}\r\nPING\r\n"));
        client.expect("*-1\r\n+PONG\r\n");
        let elapsed = start.elapsed();
        assert!(elapsed >= Duration::from_millis(least_ms), "{elapsed:?}");
        // What is beyond is the machine's, whatever else it does; the cron would come a second later.
        assert!(elapsed < Duration::from_millis(least_ms + 500), "{elapsed:?}");
    }
}

#[test]
fn a_chain_runs_over_many_connections() {
    const LENGTH: usize = 100;
    let server = Loop::start();
    let mut admin = server.connect();
    let mut clients: Vec<_> = (0..LENGTH)
        .map(|number| {
            let mut client = server.connect();
            client.send(format!("BMOVE {number} {} 0\r\n", number + 1));
            client
        })
        .collect();
    wait_for_waiters(&mut admin, LENGTH);
    admin.ask("PUSH 0 x", ":1\r\n");
    for client in &mut clients {
        client.expect("$1\r\nx\r\n");
    }
    admin.ask(&format!("BPOP {LENGTH} 0"), "*2\r\n$3\r\n100\r\n$1\r\nx\r\n");
}

#[test]
fn who_hangs_up_gets_nothing() {
    let server = Loop::start();
    let (mut admin, mut gone, mut killed) = (server.connect(), server.connect(), server.connect());
    gone.send("BPOP key 0\r\n");
    wait_for_waiters(&mut admin, 1);
    killed.ask("CLIENT SETNAME killed", "+OK\r\n");
    killed.send("BPOP key 0\r\n");
    wait_for_waiters(&mut admin, 2);
    drop(gone);
    wait_for_waiters(&mut admin, 1);
    let list = admin.text("CLIENT LIST");
    let line = list.lines().find(|line| line.contains(" name=killed "));
    let id = line.and_then(|line| line.split(['=', ' ']).nth(1));
    let id = id.expect("it is listed");
    admin.send(format!("CLIENT KILL ID {id}\r\nPUSH key a\r\nBPOP key 0\r\n"));
    admin.expect(":1\r\n:1\r\n*2\r\n$3\r\nkey\r\n$1\r\na\r\n");
    killed.expect_end();
}

#[test]
fn client_unblock_lets_the_rest_run() {
    let server = Loop::start();
    let (mut admin, mut client) = (server.connect(), server.connect());
    client.ask("CLIENT SETNAME waits", "+OK\r\n");
    client.send("BPOP key 0\r\nPING\r\n");
    wait_for_waiters(&mut admin, 1);
    let list = admin.text("CLIENT LIST");
    let line = list.lines().find(|line| line.contains(" name=waits "));
    let id = line.and_then(|line| line.split(['=', ' ']).nth(1));
    let id = id.expect("it is listed");
    admin.ask(&format!("CLIENT UNBLOCK {id} ERROR"), ":1\r\n");
    client.expect("-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n+PONG\r\n");
}

#[test]
fn a_pause_ends_and_those_who_wait_are_served() {
    let server = Loop::start();
    let (mut admin, mut client) = (server.connect(), server.connect());
    client.send("BPOP key 0\r\n");
    wait_for_waiters(&mut admin, 1);
    admin.ask("UNIT push,key,a client,pause,50,write", "*2\r\n:1\r\n+OK\r\n");
    client.expect("*2\r\n$3\r\nkey\r\n$1\r\na\r\n");
}

#[test]
fn the_end_of_the_server_is_the_end_of_waiting() {
    let server = Loop::start();
    let (mut admin, mut client) = (server.connect(), server.connect());
    client.send("BPOP key 0\r\n");
    wait_for_waiters(&mut admin, 1);
    drop(server);
    client.expect_end();
    admin.expect_end();
}
