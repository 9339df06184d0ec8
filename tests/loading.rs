//! Loading at the start: what clients hear of it, what files are accepted, and which of two files holds the data.

#[path = "support/server.rs"]
mod server;
mod support;

use oneloop::drive::aof::start;
use std::fs;
use std::path::{Path, PathBuf};

use oneloop::config::{Config, ProtectedAction};
use oneloop::engine::loading::LoadingStep;
use server::{Server, free_port};
use support::Harness;

/// A folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("loading-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// Makes an append-only file of these bytes the only part.
fn write_part(folder: &Path, bytes: &[u8]) -> PathBuf {
    let list = "file appendonly.aof.1.incr.aof seq 1 type i\n";
    fs::write(folder.join("appendonly.aof.manifest"), list).expect("it is writable");
    let part = folder.join("appendonly.aof.1.incr.aof");
    fs::write(&part, bytes).expect("it is writable");
    part
}

/// A server in-process whose append-only file is in this folder; nothing is loaded yet.
fn harness(folder: &Path) -> Harness {
    let mut server = Harness::with_config(Config {
        appenddirname: folder.to_string_lossy().into_owned(),
        enable_debug_command: ProtectedAction::Yes,
        ..Config::default()
    });
    server.set_clock_to_now();
    server
}

/// Loads the append-only file, looking at the server after each step.
fn replay(server: &mut Harness, mut look: impl FnMut(&mut Harness)) -> Result<(), String> {
    assert!(start::begin_replay(&mut server.state)?, "there is a file");
    while start::replay_step(&mut server.state)? != LoadingStep::Done {
        look(server);
    }
    Ok(())
}

fn command(words: &[&str]) -> String {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text += &format!("${}\r\n{word}\r\n", word.len());
    }
    text
}

#[test]
fn events_and_invalidations_are_sent_while_a_file_is_loaded_and_not_kept() {
    const KEYS: usize = 20_000;
    /// The log of one step's changes, at most.
    const LOG_MAX_BYTES: usize = 64 << 10;
    let folder = folder("events");
    let sets: String = (0..KEYS).map(|number| command(&["SET", &format!("key:{number}"), "v"])).collect();
    write_part(&folder, sets.as_bytes());
    let mut server = harness(&folder);
    server.run("CONFIG SET notify-keyspace-events KEA");
    let (listener, tracker) = (server.connect(), server.connect());
    server.run_as(listener, &[b"SUBSCRIBE", b"__keyevent@0__:set"]);
    server.run_as(tracker, &[b"HELLO", b"3"]);
    server.run_as(tracker, &[b"CLIENT", b"TRACKING", b"ON", b"BCAST", b"PREFIX", b"key:1999"]);
    let mut messages = 0;
    let loaded = replay(&mut server, |server| {
        let bytes = server.state.keyspace.changes.memory_bytes();
        assert!(bytes <= LOG_MAX_BYTES, "{bytes} bytes wait");
        let pushed = String::from_utf8(server.pushed(listener)).expect("plain text");
        messages += pushed.matches("__keyevent@0__:set").count();
    });
    loaded.expect("the file is sound");
    let pushed = String::from_utf8(server.pushed(listener)).expect("plain text");
    messages += pushed.matches("__keyevent@0__:set").count();
    assert_eq!(messages, KEYS);
    let state = &mut server.state;
    state.tracking.broadcast(&mut state.clients);
    let told = String::from_utf8(server.pushed(tracker)).expect("plain text");
    assert_eq!(told.matches("key:1999").count(), 11, "{told}");
    assert!(server.state.keyspace.changes.is_empty());
}

#[test]
fn debug_loadaof_frees_what_is_deleted_and_serves_who_waits() {
    let folder = folder("loadaof");
    let elements: Vec<String> = (0..2000).map(|number| number.to_string()).collect();
    let mut push = vec!["SADD", "large"];
    push.extend(elements.iter().map(String::as_str));
    let round = command(&push) + &command(&["DEL", "large"]);
    let bytes = round.repeat(20) + &command(&["RPUSH", "list", "element"]);
    write_part(&folder, bytes.as_bytes());
    let mut server = harness(&folder);
    let waiting = server.connect();
    server.run_as(waiting, &[b"BLPOP", b"list", b"0"]);
    server.expect("DEBUG LOADAOF", "+OK\r\n");
    assert_eq!(server.state.keyspace.reclaim_pending(), 0);
    let pushed = String::from_utf8(server.pushed(waiting)).expect("plain text");
    assert_eq!(pushed, "*2\r\n$4\r\nlist\r\n$7\r\nelement\r\n");
}

#[test]
fn files_that_genuine_servers_load_are_loaded() {
    let folder = folder("lenient");
    let [a, b] = ["a", "b"].map(|key| command(&["SET", key, "1"]));
    for (between, keys) in [
        ("*3\n$3\nSET\r\n$1\nc\r\n$1\n1\r\n", 3),
        ("#TS:12\n", 2),
        ("#TS:not a time\r\n", 2),
        ("#a note, by hand\n", 2),
        ("*3 words\r\n$ 3\r\nSET\r\n$01\r\nc\r\n$+1\r\n1\r\n", 3),
        ("*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$1\r\n1xy", 3),
        ("*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$1\r\n1\r\n*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n", 3),
        ("*1\r\n$4\r\nEXEC\r\n", 2),
    ] {
        let bytes = format!("{a}{between}{b}");
        let part = write_part(&folder, bytes.as_bytes());
        let mut server = harness(&folder);
        server.state.config.aof_load_truncated = false;
        replay(&mut server, |_| {}).expect(between);
        server.expect("DBSIZE", &format!(":{keys}\r\n"));
        let length = fs::metadata(&part).expect("it is there").len();
        assert_eq!(length, bytes.len() as u64, "{between}");
    }
    for refused in ["!!!\r\n", "\r\n", "*0\r\n", "*x\r\n", "*1\r\n#note\r\n", "*1\r\n$4\r\nPINGPONG\r\n"] {
        write_part(&folder, format!("{a}{refused}{b}").as_bytes());
        let error = replay(&mut harness(&folder), |_| {}).expect_err(refused);
        assert!(error.contains("Bad file format"), "{refused}: {error}");
    }
}

#[test]
fn a_command_whose_end_is_damaged_counts_and_a_torn_one_is_cut_off() {
    let folder = folder("ends");
    let whole = command(&["SET", "a", "1"]);
    for (end, keys, left) in [
        ("*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2xx", 2, 27),
        ("*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2x", 1, 0),
        ("*3", 1, 0),
        ("*", 1, 0),
    ] {
        let part = write_part(&folder, format!("{whole}{end}").as_bytes());
        let mut server = harness(&folder);
        replay(&mut server, |_| {}).expect(end);
        server.expect("DBSIZE", &format!(":{keys}\r\n"));
        let length = fs::metadata(&part).expect("it is there").len();
        assert_eq!(length, (whole.len() + left) as u64, "{end}");
    }
    // No command is lost with it, so it is no reason to refuse the file; what is appended next must not become a part
    // of it.
    let part = write_part(&folder, format!("{whole}#note").as_bytes());
    let mut server = harness(&folder);
    server.state.config.aof_load_truncated = false;
    replay(&mut server, |_| {}).expect("nothing is missing");
    assert_eq!(fs::read(&part).expect("it is there"), whole.as_bytes());
}

/// Starts a server in a folder that stays.
fn start_in(folder: &Path, options: &[&str]) -> Server {
    let folder = folder.to_str().expect("a plain path");
    Server::start(&[&["--dir", folder], options].concat())
}

fn end(mut server: Server) -> Vec<String> {
    server.signal("TERM");
    let (status, log) = server.wait();
    assert!(status.success(), "{log:?}");
    log
}

#[test]
fn the_first_base_of_the_append_only_file_holds_the_data_of_the_snapshot() {
    for preamble in ["yes", "no"] {
        let folder = folder(&format!("first-base-{preamble}"));
        let server = start_in(&folder, &[]);
        let mut client = server.connect();
        client.ask("SET key value", "+OK\r\n");
        client.ask("RPUSH list a b c", ":3\r\n");
        client.ask(
            "FUNCTION LOAD \"#!lua name=lib\\nredis.register_function('f', function() return 1 end)\"",
            "$3\r\nlib\r\n",
        );
        client.ask("SAVE", "+OK\r\n");
        drop(server);
        let options = ["--appendonly", "yes", "--aof-use-rdb-preamble", preamble, "--save", "3600 1"];
        let mut server = start_in(&folder, &options);
        let mut client = server.connect();
        client.ask("GET key", "$5\r\nvalue\r\n");
        client.ask("SET other 1", "+OK\r\n");
        server.signal("KILL");
        server.wait();
        // What is there now is in the append-only file.
        fs::remove_file(folder.join("dump.rdb")).expect("it is there");
        let server = start_in(&folder, &options);
        let mut client = server.connect();
        client.ask("DBSIZE", ":3\r\n");
        client.ask("LLEN list", ":3\r\n");
        client.ask("FCALL f 0", ":1\r\n");
        end(server);
        // And in the snapshot that the end has written.
        let server = start_in(&folder, &[]);
        server.connect().ask("DBSIZE", ":3\r\n");
    }
}

#[test]
fn the_log_tells_where_the_first_base_comes_from() {
    let folder = folder("first-base-log");
    let server = start_in(&folder, &[]);
    let mut client = server.connect();
    client.ask("SET key value", "+OK\r\n");
    client.ask("SAVE", "+OK\r\n");
    drop(server);
    let dir = folder.to_str().expect("a plain path");
    let options = ["--dir", dir, "--appendonly", "yes"];
    let mut server = Server::launch(free_port(), &options);
    let line = server.wait_for_any(&["its first base is written from the data of the snapshot"]);
    assert!(line.contains(&format!("{dir}/dump.rdb")), "{line}");
    server.wait_for_any(&["Creating AOF base file appendonly.aof.1.base.rdb on server start"]);
    server.wait_for_any(&["Ready to accept"]);
    drop(server);
    // From the second start on the append-only file is what counts.
    let mut server = Server::launch(free_port(), &options);
    server.wait_for_any(&["DB loaded from append only file"]);
    server.wait_for_any(&["Ready to accept"]);
}

#[test]
fn a_damaged_snapshot_is_no_reason_to_begin_with_an_empty_append_only_file() {
    let folder = folder("first-base-damaged");
    let bytes = b"REDIS0011\xfe\0\0\x01k\x01v\xffwrong sum";
    fs::write(folder.join("dump.rdb"), bytes).expect("it is writable");
    let dir = folder.to_str().expect("a plain path");
    let options = ["--dir", dir, "--appendonly", "yes", "--save", "3600 1"];
    let mut server = Server::launch(free_port(), &options);
    let line = server.wait_for_any(&["Terminating server", "Ready to accept"]);
    assert!(line.contains("Terminating"), "{line}");
    assert!(!server.wait().0.success());
    assert_eq!(fs::read(folder.join("dump.rdb")).expect("it is there"), bytes);
    // The folder is there to be locked; nothing in it would let the next start begin without the data.
    let parts = fs::read_dir(folder.join("appendonlydir")).expect("it was locked");
    assert_eq!(parts.count(), 0, "neither a base nor a list");
}
