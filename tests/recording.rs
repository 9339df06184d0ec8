//! Recordings: a server is recorded by `--record`, and `oneloop replay` runs the same again, turn by turn.

#[path = "support/recorded.rs"]
mod recorded;
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use recorded::{check, exercise, recording, replay, start};
use server::{Raw, Server};

#[test]
fn what_clients_of_all_kinds_did_is_replayed_bit_by_bit() {
    let path = recording("clients");
    let server = start(&path, &["--save", "", "--hz", "50"]);
    exercise(&server, 1, 400);
    check(server, &path);
    fs::remove_file(path).expect("it is there");
}

#[test]
fn eviction_rewriting_and_a_restart_are_replayed() {
    let path = recording("aof");
    let options =
        ["--appendonly", "yes", "--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru", "--appendfsync", "always"];
    let server = start(&path, &options);
    let mut client = server.connect();
    client.ask("DEBUG POPULATE 5000 key 300", "+OK\r\n");
    exercise(&server, 2, 200);
    client.send("BGREWRITEAOF\r\n");
    client.line();
    exercise(&server, 3, 200);
    server.signal("TERM");
    let again = recording("aof-again");
    let again_name = again.to_str().expect("a name in UTF-8").to_string();
    let restarted =
        server.restart(&[&["--record", &again_name, "--enable-debug-command", "yes"], &options[..]].concat());
    let (status, text) = replay(&path, &[]);
    assert_eq!(status, 0, "{text}");
    exercise(&restarted, 4, 100);
    check(restarted, &again);
    fs::remove_file(path).expect("it is there");
    fs::remove_file(again).expect("it is there");
}

/// A table whose keys are tables grows when they collide, by addresses that differ from process to process: so the memory
/// of scripts, and when their garbage is collected, differ too.
#[test]
fn the_memory_of_scripts_is_replayed() {
    const SCRIPT: &str = "local shown = {} for number = 1, ARGV[1] do shown[number] = tostring({}) end \
                          return {collectgarbage('count'), collectgarbage('step', 1) and 1 or 0}";
    let path = recording("scripts");
    let server = start(&path, &["--save", ""]);
    let mut client = server.connect();
    for number in 0..400 {
        let count = (7 + number * 13 % 90).to_string();
        let words = ["EVAL", SCRIPT, "0", &count];
        let request: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
        client.send(format!("*4\r\n{request}"));
        assert_eq!(client.line(), "*2");
        client.line();
        client.line();
        let text = client.text("INFO memory");
        assert!(text.contains("used_memory_lua:"));
    }
    check(server, &path);
    fs::remove_file(path).expect("it is there");
}

/// How long the loop stays awake follows from the machine, and is no part of what is replayed; the counts are.
#[test]
fn a_loop_that_spins_is_replayed() {
    let path = recording("spins");
    let server = start(&path, &["--save", "", "--loop-spin-us", "2000", "--hz", "100"]);
    let mut client = server.connect();
    for _ in 0..200 {
        (0..20).for_each(|_| client.ask("PING", "+PONG\r\n"));
        client.send("LOOP STATS\r\nPING\r\n");
        while client.line() != "+PONG" {}
    }
    check(server, &path);
    fs::remove_file(path).expect("it is there");
}

#[test]
fn the_append_only_file_turned_off_and_on_is_replayed() {
    let path = recording("switched");
    let server = start(&path, &["--appendonly", "yes"]);
    let mut client = server.connect();
    for number in 0..5 {
        client.ask(&format!("SET key {number}"), "+OK\r\n");
        client.ask("CONFIG SET appendonly no", "+OK\r\n");
        // The thread may still hold the folder's lock, or have let go of it.
        client.ask(&format!("DEBUG SLEEP {}", if number % 2 == 0 { "0" } else { "0.02" }), "+OK\r\n");
        client.ask("CONFIG SET appendonly yes", "+OK\r\n");
        while !client.text("INFO persistence").contains("aof_rewrite_in_progress:0") {}
    }
    check(server, &path);
    fs::remove_file(path).expect("it is there");
}

#[test]
fn a_recording_of_a_killed_server_is_good_up_to_its_last_piece() {
    let path = recording("killed");
    let mut server = start(&path, &["--save", ""]);
    let mut client = server.connect();
    for number in 0..2000 {
        client.ask(&format!("SET key:{number} {}", "x".repeat(500)), "+OK\r\n");
    }
    // Its thread may be behind.
    while fs::metadata(&path).expect("it is there").len() < 600_000 {
        std::thread::yield_now();
    }
    server.signal("KILL");
    server.wait();
    let (status, text) = replay(&path, &["--run", "DBSIZE"]);
    assert_eq!(status, 0, "{text}");
    let (first, size) = text.split_once("\n> DBSIZE\n:").unwrap_or_else(|| panic!("no reply: {text}"));
    assert!(first.contains("identical"), "{text}");
    let size: u32 = size.trim().parse().expect("a number");
    assert!((1000..=2000).contains(&size), "{size}");
    fs::remove_file(path).expect("it is there");
}

/// How many turns were recorded before this one.
fn turns_so_far(client: &mut Raw<TcpStream>) -> u64 {
    client.send("RECORD STATUS\r\n");
    let lines: Vec<String> = (0..10).map(|_| client.line()).collect();
    assert_eq!(lines[..6], ["*6", "$9", "recording", ":1", "$5", "bytes"]);
    lines[9].trim_start_matches(':').parse().expect("a number")
}

#[test]
fn a_replay_may_end_at_a_turn_and_look_at_the_state() {
    let path = recording("until");
    let mut server = start(&path, &["--save", ""]);
    let mut client = server.connect();
    client.ask("SET before 1", "+OK\r\n");
    client.ask("DEBUG SLEEP 0.3", "+OK\r\n");
    client.ask("SET after 2", "+OK\r\n");
    let second = turns_so_far(&mut client);
    client.ask("RECORD START", "-ERR the server is recorded already, since its start\r\n");
    client.ask("RECORD STOP", "+OK\r\n");
    client.ask("RECORD STOP", "-ERR the server is not recorded\r\n");
    client.ask("SET later 3", "+OK\r\n");
    server.signal("TERM");
    server.wait();
    let run = ["--run", "MGET before after later", "--slowest", "100"];
    // RECORD STOP ends a replay amid its turn.
    let (status, text) = replay(&path, &run);
    assert_eq!((status, text.contains("identical")), (0, true), "{text}");
    // A turn may have served the client twice.
    let behind = second + 1;
    for (until, reply) in [(0, "*3\r\n$-1\r\n$-1\r\n$-1"), (behind, "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1")] {
        let (status, text) = replay(&path, &[&["--until", &until.to_string()], &run[..]].concat());
        assert_eq!(status, 0, "{text}");
        assert!(text.contains(&format!("{until} turns were replayed")) && text.contains(reply), "{text}");
        assert_eq!(text.contains("DEBUG"), until == behind, "{text}");
    }
    fs::remove_file(path).expect("it is there");
}

#[test]
fn what_cannot_be_recorded_or_replayed_says_so() {
    let path = recording("refused");
    fs::write(&path, "there already").expect("it is written");
    let refused = |options: &[&str], reason: &str| {
        let program = std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into());
        let output = Command::new(program).args(options).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && text.contains(reason), "{options:?}: {text}");
    };
    let name = path.to_str().expect("a name in UTF-8");
    refused(&["--record", name, "--port", "0"], "File exists");
    assert_eq!(fs::read(&path).expect("it is there"), b"there already");
    refused(&["replay", name], "is no recording");
    refused(&["replay", &format!("{name}-missing")], "No such file");
    fs::remove_file(&path).expect("it is there");
    refused(&["--record", name, "--port", "0", "--daemonize", "yes"], "cannot go to the background");
    fs::remove_file(&path).expect("it is there");
    let mut server = start(&path, &[]);
    server.signal("TERM");
    server.wait();
    let unrecorded = Server::start(&[]);
    let reason = {
        let mut client = unrecorded.connect();
        client.send("RECORD START\r\n");
        client.line()
    };
    assert!(reason.starts_with("-ERR a recording can only begin with the process: "), "{reason}");
    assert!(reason.contains("Start it again with --record FILE"), "{reason}");
    // As of another build: the sum of the executable comes behind the version.
    let mut bytes = fs::read(&path).expect("it is there");
    let place = 20 + 8 + 1 + env!("CARGO_PKG_VERSION").len();
    bytes[place] ^= 1;
    fs::write(&path, &bytes).expect("it is written");
    // The header's own checksum is the first to tell.
    refused(&["replay", name], "is no recording");
    fs::remove_file(path).expect("it is there");
}

#[test]
fn changed_input_is_found_out() {
    let path = recording("changed");
    let mut server = start(&path, &["--save", ""]);
    server.connect().ask("SET key 12345", "+OK\r\n");
    server.connect().ask("GET key", "$5\r\n12345\r\n");
    server.signal("TERM");
    server.wait();
    let bytes = fs::read(&path).expect("it is there");
    let changed = with_other_input(&bytes);
    fs::write(&path, changed).expect("it is written");
    let (status, text) = replay(&path, &[]);
    assert_eq!((status, text.contains("has another output than was recorded")), (1, true), "{text}");
    fs::remove_file(path).expect("it is there");
}

#[test]
fn a_change_that_no_reply_shows_is_found_out() {
    // By the log of changes, at its turn; by a digest of the data, between two of them.
    for (options, found) in [
        (&["--appendonly", "yes"][..], "has another output than was recorded"),
        (&["--record-digest", "0.02"][..], "the data are not the recorded ones; as of turn "),
    ] {
        let path = recording("unseen");
        let folder = path.with_extension("folder");
        fs::create_dir_all(&folder).expect("a folder");
        let folder_name = folder.to_str().expect("a name in UTF-8");
        let mut server = start(&path, &[&["--save", "", "--hz", "500", "--dir", folder_name], options].concat());
        let mut client = server.connect();
        client.ask("SET other value", "+OK\r\n");
        let pause = || std::thread::sleep(Duration::from_millis(100));
        pause();
        let before = turns_so_far(&mut client);
        client.ask("SET key 12345", "+OK\r\n");
        let after = turns_so_far(&mut client) + 1;
        pause();
        server.signal("TERM");
        server.wait();
        let (status, text) = replay(&path, &[]);
        let digests = text.lines().find_map(|line| line.split_once(" digests")?.0.parse::<u64>().ok());
        assert_eq!(status, 0, "{text}");
        assert_eq!(digests.expect("a number") > 3, options[0] == "--record-digest", "{text}");
        let bytes = fs::read(&path).expect("it is there");
        fs::write(&path, with_other_input(&bytes)).expect("it is written");
        let (status, text) = replay(&path, &[]);
        assert_eq!((status, text.contains(found)), (1, true), "{text}");
        let turns: Vec<u64> = text.split([' ', '.', '\n']).filter_map(|word| word.parse().ok()).collect();
        match turns[..] {
            [turn] => assert!((before..=after).contains(&turn), "{before} {turn} {after}"),
            [turn, same] => assert!(same <= after && before <= turn, "{before} {same} {turn} {after}"),
            _ => panic!("{text}"),
        }
        fs::remove_file(path).expect("it is there");
        fs::remove_dir_all(folder).expect("it is there");
    }
}

#[test]
fn what_was_recorded_does_not_count_as_memory_in_use() {
    let path = recording("memory");
    let mut server = start(&path, &["--save", ""]);
    let mut client = server.connect();
    for _ in 0..500 {
        client.ask(&format!("SET key {}", "x".repeat(60_000)), "+OK\r\n");
    }
    client.send("INFO memory\r\n");
    let used = std::iter::from_fn(|| Some(client.line()))
        .find_map(|line| line.strip_prefix("used_memory:").and_then(|number| number.parse::<u64>().ok()));
    server.signal("TERM");
    server.wait();
    assert!(fs::metadata(&path).expect("it is there").len() > 25_000_000);
    assert!(used.expect("a number") < 8_000_000, "{used:?}");
    fs::remove_file(path).expect("it is there");
}

#[test]
fn a_recording_has_a_longest_time_and_its_replay_a_pace() {
    let path = recording("paced");
    let mut server = start(&path, &["--save", "", "--record-max-time", "1"]);
    let mut client = server.connect();
    client.ask("SET key 1", "+OK\r\n");
    // It is a map of three figures, the first of which says whether the server is recorded.
    let is_recorded = |client: &mut Raw<TcpStream>| {
        client.send("RECORD STATUS\r\n");
        let lines: Vec<String> = (0..10).map(|_| client.line()).collect();
        lines[3] == ":1"
    };
    assert!(is_recorded(&mut client));
    while is_recorded(&mut client) {
        std::thread::sleep(Duration::from_millis(20));
    }
    client.ask("SET key 2", "+OK\r\n");
    server.signal("TERM");
    server.wait();
    let began = std::time::Instant::now();
    let (status, text) = replay(&path, &["--pace", "recorded", "--run", "GET key"]);
    let elapsed = began.elapsed();
    assert_eq!((status, text.contains("$1\r\n1")), (0, true), "{text}");
    assert!(elapsed >= Duration::from_millis(990), "{elapsed:?}");
    let began = std::time::Instant::now();
    let (status, text) = replay(&path, &["--pace", "fast"]);
    assert_eq!(status, 0, "{text}");
    assert!(began.elapsed() < elapsed, "{text}");
    fs::remove_file(path).expect("it is there");
}

/// The recording with `12346` in place of the first `12345`, its checksums right.
fn with_other_input(bytes: &[u8]) -> Vec<u8> {
    const MAGIC_BYTES: usize = 20;
    let (mut result, mut at, mut is_changed) = (bytes[..MAGIC_BYTES].to_vec(), MAGIC_BYTES, false);
    while at < bytes.len() {
        let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
        let mut piece = bytes[at + 8..at + 8 + length].to_vec();
        if let (false, Some(place)) = (is_changed, piece.windows(5).position(|window| window == b"12345")) {
            piece[place + 4] = b'6';
            is_changed = true;
        }
        result.extend((length as u32).to_le_bytes());
        result.extend((xxhash_rust::xxh3::xxh3_64(&piece) as u32).to_le_bytes());
        result.extend(&piece);
        at += 8 + length;
    }
    assert!(is_changed);
    result
}

#[test]
fn a_primary_and_its_replica_are_replayed() {
    let (above, below) = (recording("primary"), recording("replica"));
    let primary = start(&above, &["--save", "", "--repl-diskless-sync-delay", "0"]);
    let mut client = primary.connect();
    client.ask("DEBUG POPULATE 1000 key 50", "+OK\r\n");
    let port = client.stream.peer_addr().expect("connected").port().to_string();
    let replica = start(&below, &["--replicaof", "127.0.0.1", &port, "--appendonly", "yes"]);
    exercise(&primary, 5, 150);
    client.ask("SET last 1", "+OK\r\n");
    client.ask("WAIT 1 20000", ":1\r\n");
    let mut client = replica.connect();
    client.ask("GET last", "$1\r\n1\r\n");
    while !client.text("INFO persistence").contains("aof_rewrite_in_progress:0") {}
    check(replica, &below);
    check(primary, &above);
    fs::remove_file(above).expect("it is there");
    fs::remove_file(below).expect("it is there");
}
