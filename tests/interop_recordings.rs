//! Recordings of what real clients do, each replayed bit by bit: redis-benchmark, a client library, and a server with
//! all that works in the background. How many of each are made may be set, as the stage `recordings` of scripts/test
//! does.

#[path = "support/python.rs"]
mod python;
#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use recorded::{check, exercise, recording, replay, start};
use server::{Raw, Server};

/// How many recordings each test makes, and how many requests each of the benchmark's tests sends.
fn rounds() -> (u64, &'static str) {
    match std::env::var("RECORDINGS_ROUNDS").ok().map(|text| text.parse().expect("a number")) {
        Some(rounds) => (rounds, "20000"),
        None => (1, "1000"),
    }
}

/// Makes recordings, one after the other, and replays each; says how many were identical.
fn repeat(name: &str, mut make: impl FnMut(u64, &str)) {
    let (rounds, _) = rounds();
    for round in 1..=rounds {
        make(round, &format!("{name}-{round}"));
        println!("{name}: recording {round} of {rounds} was replayed bit by bit");
    }
}

fn remove(paths: &[PathBuf]) {
    for path in paths {
        fs::remove_file(path).expect("it is there");
    }
}

/// Runs redis-benchmark; none where there is no such program.
fn benchmark(server: &Server, options: &[&str]) -> Option<()> {
    let (port, (_, requests)) = (server.port.to_string(), rounds());
    let status = Command::new("redis-benchmark")
        .args(["-p", &port, "-q", "-c", "50", "-n", requests, "-r", "1000"])
        .args(options)
        .stdout(Stdio::null())
        .status();
    match status {
        Ok(status) => assert!(status.success(), "redis-benchmark ended with {status}"),
        Err(_) => {
            println!("SKIP: there is no redis-benchmark");
            return None;
        }
    }
    Some(())
}

#[test]
fn the_benchmark_is_replayed() {
    repeat("redis-benchmark", |_, name| {
        let path = recording(name);
        let server = start(&path, &[]);
        let ran = benchmark(&server, &[]).and_then(|()| benchmark(&server, &["-P", "16"]));
        check(server, &path);
        assert!(ran.is_none() || fs::metadata(&path).expect("it is there").len() > 1_000_000);
        remove(&[path]);
    });
}

#[test]
fn a_client_library_is_replayed() {
    let Some(python) = python::with_clients() else { return };
    repeat("redis-py", |_, name| {
        let path = recording(name);
        let server = start(&path, &[]);
        let printed = python::run_suite(&python, server.port);
        assert!(printed.ends_with("caching\n"), "{printed}");
        check(server, &path);
        remove(&[path]);
    });
}

/// A server with little memory and an append-only file.
const ALL_KINDS: [&str; 10] = [
    "--appendonly",
    "yes",
    "--maxmemory",
    "6mb",
    "--maxmemory-policy",
    "allkeys-lru",
    "--hz",
    "100",
    "--notify-keyspace-events",
    "KEA",
];

/// A script that runs for some slices of the loop's time, and writes.
const SCRIPT: &str =
    "EVAL \"local n = 0 for i = 1, 300000 do n = n + i % 7 end redis.call('set', KEYS[1], n) return n\" 1 sum\r\n";

/// All that works in the background: expiry, eviction, scripts, waiting clients, a snapshot, and the append-only file
/// written anew.
fn work_of_all_kinds(server: &Server, seed: u64) {
    let mut client = server.connect();
    let mut waiting: Vec<Raw<TcpStream>> = (0..5).map(|_| server.connect()).collect();
    for (place, waiting) in waiting.iter_mut().enumerate() {
        waiting.send(format!("BLPOP never:{place} jobs {}\r\n", if place < 2 { "0.05" } else { "0" }));
    }
    client.ask("DEBUG POPULATE 20000 key 100", "+OK\r\n");
    for number in 0..500 {
        client.stream.write_all(format!("SET gone:{number} x PX {}\r\n", number % 90 + 1).as_bytes()).expect("sent");
    }
    for _ in 0..500 {
        client.expect("+OK\r\n");
    }
    client.send("BGSAVE\r\n");
    client.line();
    exercise(server, seed, 150);
    client.send(SCRIPT);
    client.line();
    client.send("BGREWRITEAOF\r\n");
    client.line();
    exercise(server, seed + 1, 150);
    client.ask("RPUSH jobs 1 2 3 4 5", ":5\r\n");
    for waiting in &mut waiting[2..] {
        waiting.expect("*2\r\n$4\r\njobs\r\n");
    }
    wait_until_written(&mut client);
}

/// Waits until neither a snapshot nor an append-only file is being written.
fn wait_until_written(client: &mut Raw<TcpStream>) {
    loop {
        let info = client.text("INFO persistence");
        // An append-only file is on once its first base is written.
        let busy = ["rdb_bgsave_in_progress:1", "aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"];
        if !busy.iter().any(|word| info.contains(word)) {
            return;
        }
    }
}

#[test]
fn work_of_all_kinds_and_a_restart_are_replayed() {
    repeat("work of all kinds", |round, name| {
        let paths = ["first", "second"].map(|part| recording(&format!("{name}-{part}").replace(' ', "-")));
        let server = start(&paths[0], &ALL_KINDS);
        work_of_all_kinds(&server, 10 * round);
        server.signal("TERM");
        let second = paths[1].to_str().expect("a name in UTF-8").to_string();
        let own = ["--record", &second, "--enable-debug-command", "yes"];
        let restarted = server.restart(&[&own, &ALL_KINDS[..]].concat());
        let (status, text) = replay(&paths[0], &[]);
        assert_eq!(status, 0, "{text}");
        work_of_all_kinds(&restarted, 10 * round + 5);
        check(restarted, &paths[1]);
        remove(&paths);
    });
}

#[test]
fn a_primary_and_its_replica_at_work_are_replayed() {
    repeat("a primary and its replica", |round, name| {
        let paths = ["primary", "replica"].map(|part| recording(&format!("{name}-{part}").replace(' ', "-")));
        let primary = start(&paths[0], &[&ALL_KINDS[..], &["--repl-diskless-sync-delay", "0"]].concat());
        work_of_all_kinds(&primary, 10 * round);
        let port = primary.port.to_string();
        let replica = start(&paths[1], &["--replicaof", "127.0.0.1", &port, "--appendonly", "yes"]);
        let mut client = primary.connect();
        client.ask("SET seen 1", "+OK\r\n");
        client.ask("WAIT 1 20000", ":1\r\n");
        wait_until_written(&mut replica.connect());
        // The link is lost, and the stream goes on from where it was.
        client.ask("CLIENT KILL TYPE replica", ":1\r\n");
        work_of_all_kinds(&primary, 10 * round + 5);
        client.ask("SET seen 2", "+OK\r\n");
        client.ask("WAIT 1 20000", ":1\r\n");
        let mut client = replica.connect();
        client.ask("GET seen", "$1\r\n2\r\n");
        wait_until_written(&mut client);
        check(replica, &paths[1]);
        check(primary, &paths[0]);
        remove(&paths);
    });
}
