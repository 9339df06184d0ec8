//! Scripts in the whole server: the lock of the SET page under contention, and scripts that do not end.

#[path = "support/server.rs"]
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};

use redis::Connection;
use server::Server;

const UNLOCK: &str = "if redis.call('get',KEYS[1]) == ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end";
const CLIENTS: usize = 50;
const LOCKS_EACH: usize = 6;

/// A client of the server at a port.
fn connect(port: u16) -> Connection {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("an address");
    client.get_connection().expect("a connection")
}

/// Takes the lock if it is free.
fn lock(client: &mut Connection, token: &str, lease_ms: u64) -> bool {
    let mut command = redis::cmd("SET");
    command.arg("lock").arg(token).arg("NX").arg("PX").arg(lease_ms);
    let reply: Option<String> = command.query(client).expect("SET");
    reply.is_some()
}

/// Gives the lock back if it is the token's; tells whether it was.
fn unlock(client: &mut Connection, token: &str) -> bool {
    let mut command = redis::cmd("EVAL");
    command.arg(UNLOCK).arg(1).arg("lock").arg(token);
    let freed: i64 = command.query(client).expect("EVAL");
    freed == 1
}

fn holder(client: &mut Connection) -> Option<String> {
    redis::cmd("GET").arg("lock").query(client).expect("GET")
}

/// Fifty clients want the lock. Some that get it die with it, so it expires, and come back to release what is not
/// theirs any more.
#[test]
fn a_lock_never_has_two_holders() {
    let server = Server::start(&[]);
    let holders = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (port, holders) = (server.port, &holders);
            scope.spawn(move || {
                let mut client = connect(port);
                let (mut taken, mut turn) = (0, 0);
                while taken < LOCKS_EACH {
                    turn += 1;
                    let token = format!("{number}:{turn}");
                    if number % 5 == 0 {
                        // One that dies: nobody acts for it.
                        if lock(&mut client, &token, 2) {
                            taken += 1;
                            client = connect(port);
                            unlock(&mut client, &token);
                        }
                    } else if lock(&mut client, &token, 60_000) {
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "it is alone");
                        assert_eq!(holder(&mut client).as_ref(), Some(&token));
                        taken += 1;
                        assert_eq!(holders.fetch_sub(1, Ordering::SeqCst), 1, "it was alone");
                        assert!(unlock(&mut client, &token), "it still had the lock");
                    } else {
                        std::thread::yield_now();
                    }
                }
            });
        }
    });
}

/// Scripts are suspended without their instructions being counted, and killed wherever they are.
#[test]
fn a_script_that_does_not_end_is_killed() {
    let server = Server::start(&["--busy-reply-threshold", "20"]);
    let port = server.port;
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do redis.call('ping') end",
        "string.find(string.rep('a', 100), string.rep('.-', 30) .. 'b')",
        // A few instructions between two that take long.
        "local s = string.rep('x', 1e7) while true do s:upper() end",
    ] {
        std::thread::scope(|scope| {
            let runner = scope.spawn(|| {
                let mut client = connect(port);
                let command = redis::cmd("EVAL").arg(script).arg(0).to_owned();
                command.query::<redis::Value>(&mut client).expect_err("it is killed").to_string()
            });
            let mut client = connect(port);
            // Until it has begun, and has run for as long as it may.
            while redis::cmd("SCRIPT").arg("KILL").query::<String>(&mut client).is_err() {
                std::thread::yield_now();
            }
            let error = runner.join().expect("a reply");
            assert!(error.contains("Script killed by user"), "{script}: {error}");
            let pong: String = redis::cmd("PING").query(&mut client).expect("PING");
            assert_eq!(pong, "PONG");
        });
    }
}

/// A script that has written cannot be killed, but the server can be ended.
#[test]
fn shutdown_ends_a_script_that_cannot_be_killed() {
    let mut server = Server::start(&["--busy-reply-threshold", "20"]);
    let mut runner = server.connect();
    let script = "redis.call('set','k','v') while true do end";
    runner.send(format!("*3\r\n$4\r\nEVAL\r\n${}\r\n{script}\r\n$1\r\n0\r\n", script.len()));
    let mut client = server.connect();
    loop {
        client.send("SCRIPT KILL\r\n");
        let reply = client.line();
        // Until it has begun, and has run for as long as it may.
        if reply.starts_with("-UNKILLABLE ") {
            break;
        }
        assert!(reply.starts_with("-NOTBUSY "), "{reply}");
    }
    client.send("GET k\r\n");
    assert!(client.line().starts_with("-BUSY "));
    client.send("SHUTDOWN NOSAVE\r\n");
    client.expect_end();
    runner.expect_end();
    let (status, _) = server.wait();
    assert!(status.success());
}
