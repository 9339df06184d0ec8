//! What `oneloop replay` does with a recording besides running it again: a prompt, a server on its state, other settings,
//! the smallest part of it that still does something.

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use server::{PATIENCE, Raw, Server, free_port};

/// A file that is not there yet.
fn fresh(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("replaying-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

/// What `work` does with a server, recorded. What it gives is kept until the server has ended.
fn record<T>(name: &str, options: &[&str], work: impl FnOnce(&Server) -> T) -> PathBuf {
    let path = fresh(name);
    let text = path.to_str().expect("a name in UTF-8");
    let options = [&["--record", text, "--save", "", "--enable-debug-command", "yes"], options].concat();
    let mut server = Server::start(&options);
    let kept = work(&server);
    server.signal("TERM");
    server.wait();
    drop(kept);
    path
}

fn replay_command(path: &Path, options: &[&str]) -> Command {
    let program = std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into());
    let mut command = Command::new(program);
    command.arg("replay").arg(path).args(options);
    command
}

fn told(output: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().expect("an exit status"), text)
}

fn replay(path: &Path, options: &[&str]) -> (i32, String) {
    told(&replay_command(path, options).output().expect("it runs"))
}

/// The same, with something typed at its prompt.
fn replay_typing(path: &Path, options: &[&str], typed: &str) -> String {
    let mut command = replay_command(path, options);
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    process.stdin.take().expect("a pipe").write_all(typed.as_bytes()).expect("it is read");
    let (status, text) = told(&process.wait_with_output().expect("it ends"));
    assert_eq!(status, 0, "{text}");
    text
}

#[track_caller]
fn assert_parts(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let place = rest.find(part);
        rest = &rest[place.unwrap_or_else(|| panic!("{part:?} is missing, or comes too early, in:\n{text}"))..];
    }
}

#[test]
fn a_prompt_steps_through_turns_and_requests_and_shows_what_is_there() {
    let path = record("stepped", &[], |server| {
        let (mut one, mut other) = (server.connect(), server.connect());
        one.ask("SET greeting hello EX 1000", "+OK\r\n");
        other.ask("RPUSH letters a b c", ":3\r\n");
        one.ask("GET greeting", "$5\r\nhello\r\n");
        other.ask("MULTI", "+OK\r\n");
        other.ask("INCR number", "+QUEUED\r\n");
        one.ask("LPOP letters", "$1\r\na\r\n");
        one.ask("SET short x PX 1", "+OK\r\n");
        std::thread::sleep(std::time::Duration::from_millis(300));
        one.ask("PING", "+PONG\r\n");
    });
    let typed = "help\nrequest\nkey greeting\nwho greeting\nwho letters\nr\nkey letters\nclients\nkey nothing\nnonsense\n\
                 \n\n\nrun\nwho letters\nwho short\nwho greeting 1\nwho greeting 99\nrequest\nquit\n";
    let text = replay_typing(&path, &["--step"], typed);
    assert_parts(
        &text,
        &[
            "> next, n",
            "request 1, client ",
            ": SET greeting hello EX 1000\n  \"+OK\\r\\n\"\n",
            "> string, embstr, 1000000 ms to live\n\"hello\"\n",
            ": SET greeting hello EX 1000\n",
            "> Nothing has written it since the start.\n",
            ": RPUSH letters a b c\n  \":3\\r\\n\"\n",
            "> list, listpack, no time to live\n  \"a\"\n  \"b\"\n  \"c\"\n3 in all\n",
            "1 commands\n",
            "> There is no such key in database 0.\n",
            "> Unknown, or not so many words",
            ": GET greeting\n  \"$5\\r\\nhello\\r\\n\"\n",
            ": MULTI\n",
            ": INCR number\n",
            "The recording is over after turn ",
            ": LPOP letters\n",
            ": its time was over\n",
            "> Nothing has written it since the start.\n",
            "> There is no such database.\n",
            "> The recording is over.\n",
        ],
    );
    // The clients' numbers are known now, and the turn of the transaction.
    let queued = text.lines().find(|line| line.ends_with(": INCR number")).expect("it is shown");
    let numbers: Vec<u64> = queued.split([' ', ',', ':']).filter_map(|word| word.parse().ok()).collect();
    let [turn, _, client] = numbers[..] else { panic!("{queued}") };
    let typed = format!("run {turn}\nclient {client}\nclient 99999\nrun 1\nnext\nkey number\n");
    let text = replay_typing(&path, &["--step"], &typed);
    assert_parts(
        &text,
        &[
            &format!("> Turn {turn} is over: 1 requests\n"),
            &format!("> id={client} "),
            "multi=1",
            "Queued since MULTI: 1 requests\n  INCR number\n",
            "Replies that were not sent: \"\"\n",
            "Input that was not run: \"\"\n",
            "> There is no such client.\n",
            &format!("> A turn after {turn} is wanted.\n"),
            &format!("> Turn {} is over: ", turn + 1),
            "> There is no such key in database 0.\n",
        ],
    );
    // What was shown has changed nothing.
    let text = replay_typing(&path, &["--step"], "run\nquit\n");
    assert_parts(&text, &["The recording is over after turn "]);
    fs::remove_file(path).expect("it is there");
}

#[test]
fn a_server_on_the_state_of_a_recording_can_be_looked_at() {
    let path = record("served", &["--maxclients", "3"], |server| {
        let (mut one, mut other) = (server.connect(), server.connect());
        one.ask("SET greeting hello EX 1000", "+OK\r\n");
        one.ask("CLIENT SETNAME first", "+OK\r\n");
        other.ask("SUBSCRIBE news", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
        one.ask("SET short x PX 60000", "+OK\r\n");
        (one, other)
    });
    let port = free_port();
    let mut command = replay_command(&path, &["--serve", &port.to_string()]);
    let mut process = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_parts(&line, &["The state after turn ", &format!(" is served on 127.0.0.1:{port}, until SHUTDOWN")]);
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Raw { stream }
    };
    let mut client = connect();
    client.ask("GET greeting", "$5\r\nhello\r\n");
    client.send("PTTL greeting\r\n");
    let left = client.line();
    std::thread::sleep(std::time::Duration::from_millis(100));
    client.ask("PTTL greeting", &format!("{left}\r\n"));
    client.ask("EXISTS short", ":1\r\n");
    // The recorded clients are there, but nothing reaches them.
    client.ask("PUBLISH news hello", ":1\r\n");
    let list = client.text("CLIENT LIST");
    assert!(list.lines().count() == 3 && list.contains(" name=first "), "{list}");
    // It takes changes and keeps none.
    client.ask("SET greeting other", "+OK\r\n");
    client.ask("EVAL \"return redis.call('get', 'greeting')\" 0", "$5\r\nother\r\n");
    client.ask("SAVE", "-ERR\r\n");
    client.ask("CONFIG REWRITE", "-ERR The server is running without a config file\r\n");
    connect().ask("DBSIZE", ":2\r\n");
    client.send("SHUTDOWN\r\n");
    assert!(process.wait().expect("it ends").success());
    fs::remove_file(path).expect("it is there");
}

/// The columns of a line of the comparison.
#[track_caller]
fn columns(text: &str, name: &str) -> [f64; 3] {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    let numbers: Vec<f64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn other_settings_are_tried_on_what_came() {
    let mut before = Server::start(&["--enable-debug-command", "yes"]);
    let mut client = before.connect();
    client.ask("DEBUG POPULATE 100 loaded 500", "+OK\r\n");
    client.ask("SAVE", "+OK\r\n");
    before.signal("TERM");
    before.wait();
    let path = fresh("tried");
    let mut server = before.restart(&["--record", path.to_str().expect("UTF-8"), "--hz", "100"]);
    let mut client = server.connect();
    for number in 0..3000 {
        client.ask(&format!("SET key:{number} {}", "x".repeat(500)), "+OK\r\n");
    }
    client.ask("SET short x PX 1", "+OK\r\n");
    client.ask("CONFIG SET maxmemory 0", "+OK\r\n");
    client.ask("SELECT 0", "+OK\r\n");
    client.ask("GET missing", "$-1\r\n");
    client.send("GET loaded:7\r\n");
    assert_eq!(client.line(), "$500");
    client.line();
    for number in 0..3000 {
        client.send(format!("GET key:{number}\r\n"));
        client.line();
        client.line();
    }
    std::thread::sleep(std::time::Duration::from_millis(200));
    client.ask("EXISTS short", ":0\r\n");
    server.signal("TERM");
    server.wait();
    let options = ["--what-if", "--maxmemory", "1500kb", "--maxmemory-policy", "allkeys-random"];
    let (status, text) = replay(&path, &options);
    assert_eq!(status, 0, "{text}");
    let [recorded, again, limited] = columns(&text, "hit rate");
    assert!(recorded == again && (99.9..100.0).contains(&recorded) && limited < 90.0, "{text}");
    let [recorded, again, limited] = columns(&text, "keys evicted");
    assert!(recorded == 0.0 && again == 0.0 && limited > 300.0, "{text}");
    let [recorded, again, _] = columns(&text, "keys expired");
    assert_eq!([recorded, again], [1.0, 1.0], "{text}");
    let [recorded, again, limited] = columns(&text, "memory at its peak");
    assert!((recorded - again).abs() < 1.0 && again > 1.8 && limited < 1.6, "{text}");
    let [recorded, again, limited] = columns(&text, "turns with commands");
    // CONFIG SET was left out.
    assert!(recorded > 100.0 && recorded == again && again == limited + 1.0, "{text}");
    assert_parts(&text, &["turn, median", "turn, p99", "turn, longest", "Left out: 1 requests about files"]);
    for (options, reason) in [
        (&["--what-if"][..], "--what-if wants directives"),
        (&["--what-if", "--nonsense", "1"], "Bad directive"),
        (&["--what-if", "--dir", "/"], "it cannot be changed"),
        (&["--until", "7", "--what-if", "--hz", "50"], "take the whole recording"),
    ] {
        let (status, text) = replay(&path, options);
        assert_eq!((status, text.contains(reason)), (2, true), "{options:?}: {text}");
    }
    fs::remove_file(path).expect("it is there");
}

#[test]
fn what_a_replica_was_sent_cannot_be_tried_otherwise() {
    let path = record("replica", &["--replicaof", "127.0.0.1", "1"], |server| {
        server.connect().ask("PING", "+PONG\r\n");
    });
    let (status, text) = replay(&path, &["--what-if", "--hz", "50"]);
    assert_eq!((status, text.contains("followed a primary")), (2, true), "{text}");
    fs::remove_file(path).expect("it is there");
}

#[test]
fn the_smallest_set_that_makes_such_a_turn_is_found() {
    let path = record("bisected", &[], |server| {
        let mut clients: Vec<_> = (0..6).map(|_| server.connect()).collect();
        for round in 0..20 {
            for (place, client) in clients.iter_mut().enumerate() {
                client.ask(&format!("SET key:{place} {round}"), "+OK\r\n");
            }
        }
        clients[1].ask(&format!("SET large {}", "x".repeat(30_000)), "+OK\r\n");
        clients[2].ask("APPEND large \" and more\"", ":30009\r\n");
        clients[3].ask("STRLEN large", ":30009\r\n");
        clients[4].send("GET large\r\n");
        clients[4].line();
        clients[4].line();
        clients[5].ask("SETRANGE huge 5000000 x", ":5000001\r\n");
        clients[5].ask("DEL huge", ":1\r\n");
    });
    let file = fresh("requests");
    let name = file.to_str().expect("UTF-8");
    let (status, text) = replay(&path, &["--bisect", "bytes_out > 20000", "--write-requests", name]);
    assert_eq!(status, 0, "{text}");
    assert_parts(&text, &["bytes_out = 300", "2 of 126 requests and 2 of 6 clients are left"]);
    let lines: Vec<String> = fs::read_to_string(&file).expect("it is written").lines().map(str::to_string).collect();
    let [set, get] = &lines[..] else { panic!("{lines:?}") };
    assert!(set.contains("> \"SET\" \"large\" \"xxx") && set.len() > 30_000, "{set}");
    assert!(get.ends_with("> \"GET\" \"large\""), "{get}");
    // What comes before and after does not matter.
    let (status, text) = replay(&path, &["--bisect", "memory > 4mb"]);
    assert_eq!(status, 0, "{text}");
    assert_parts(&text, &["memory = ", "1 of 126 requests", "> \"SETRANGE\" \"huge\" \"5000000\" \"x\""]);
    let (status, text) = replay(&path, &["--bisect", "requests > 50"]);
    assert_eq!((status, text.contains("No turn of the simulation does that.")), (1, true), "{text}");
    for (wrong, reason) in [("size > 5", "is no condition"), ("turn > 5", "is no condition")] {
        let (status, text) = replay(&path, &["--bisect", wrong]);
        assert_eq!((status, text.contains(reason)), (2, true), "{text}");
    }
    fs::remove_file(path).expect("it is there");
    fs::remove_file(file).expect("it is there");
}

#[test]
fn the_request_that_made_a_turn_long_is_found() {
    let path = record("long", &[], |server| {
        let mut clients: Vec<_> = (0..4).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.ask("PING", "+PONG\r\n");
        }
        clients[2].ask("DEBUG POPULATE 100000", "+OK\r\n");
        clients[3].ask("PING", "+PONG\r\n");
    });
    let (status, text) = replay(&path, &["--bisect", "turn > 12ms"]);
    assert_eq!(status, 0, "{text}");
    assert_parts(&text, &["turn = ", "1 of 6 requests and 1 of 4 clients", "> \"DEBUG\" \"POPULATE\" \"100000\""]);
    fs::remove_file(path).expect("it is there");
}
