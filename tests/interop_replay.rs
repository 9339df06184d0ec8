//! `oneloop replay --against`: requests from a file, run here and by a genuine server, and their replies compared.

#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/server.rs"]
mod server;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use genuine::Genuine;
use server::{Server, free_port};

/// What clients of all kinds ask for; the replies are those of Redis 7.0 too.
const REQUESTS: &str = r#"
# Strings, and a lock.
a> SET lock token NX EX 30
b> SET lock other NX EX 30
b> TTL lock
a> EVAL "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0" 1 lock token
a> EVAL "local total = 0 for i = 1, 2000000 do total = total + i end return total" 0
a> GET "no such key"
a> SET binary "\x00\r\n\xff"
a> GET binary
a> INCR binary
# What comes in no particular order.
a> SADD letters q w e r t y u i o p
a> SMEMBERS letters
a> HSET hash name value other thing number 17
a> HGETALL hash
a> RANDOMKEY
# A transaction, and one that is given up.
b> WATCH counter
a> SET counter 5
b> MULTI
b> INCR counter
b> EXEC
b> MULTI
b> INCR counter
b> SMEMBERS letters
b> EXEC
# Clients that wait.
worker> BLPOP jobs later 0
other> BLPOP jobs 0.05
other> PING
a> RPUSH jobs first second
worker> GET counter
# Messages.
listener> SUBSCRIBE news
a> PUBLISH news hello
listener> UNSUBSCRIBE
# Another form of replies.
c> HELLO 3
c> SMEMBERS letters
c> ZADD scores 1.5 x 2 y
c> ZRANGE scores 0 -1 WITHSCORES
# The end of a connection, and a new one of the same name.
b> QUIT
b> GET counter
a> NOSUCHCOMMAND x
a> CONFIG SET maxmemory 1
"#;

fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("replay-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

fn replay(port: u16, file: &Path, options: &[&str]) -> (i32, String) {
    let program = std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into());
    let against = format!("127.0.0.1:{port}");
    let output = Command::new(program).args(["replay", "--against", &against]).args(options).arg(file).output();
    let Output { status, stdout, stderr } = output.expect("it runs");
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.code().expect("an exit status"), text)
}

#[test]
fn a_server_that_replies_in_the_same_way_is_found_to() {
    let Some(genuine) = Genuine::start("redis-server", &[]) else { return };
    let folder = folder("same");
    let file = folder.join("requests.txt");
    fs::write(&file, REQUESTS).expect("it is written");
    let (status, text) = replay(genuine.port, &file, &[]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("Left out: 1 administrative commands"), "{text}");
    assert!(text.contains("38 requests: 35 replies are the same, 0 differ, 4 cannot be compared."), "{text}");
    let (status, text) = replay(genuine.port, &file, &[]);
    assert_eq!((status, text.contains("holds data")), (2, true), "{text}");
    // With what the first run has left there, several replies are others.
    let (status, text) = replay(genuine.port, &file, &["--keep-data", "--show", "2"]);
    assert_eq!((status, text.matches("\n  there: ").count()), (1, 2), "{text}");
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn a_difference_is_shown_with_its_request() {
    let Some(genuine) = Genuine::start("redis-server", &[]) else { return };
    genuine.connect().ask("CONFIG SET requirepass secret", "+OK\r\n");
    let folder = folder("different");
    let file = folder.join("requests.txt");
    // Redis 7.0 has no expiry of fields, and fewer options of SET.
    fs::write(&file, "a> HSET h f v\na> HEXPIRE h 100 FIELDS 1 f\nb> SET k x\nb> SET k y IFEQ z\n").expect("written");
    let (status, text) = replay(genuine.port, &file, &[]);
    assert_eq!((status, text.contains("refuses to be asked: -NOAUTH")), (2, true), "{text}");
    let (status, text) = replay(genuine.port, &file, &["--password", "secret"]);
    assert_eq!(status, 1, "{text}");
    for part in [
        "Line 2: \"HEXPIRE\" \"h\" \"100\" \"FIELDS\" \"1\" \"f\"\n  here:  *1\\r\\n:1\\r\\n\n  there: -ERR unknown command",
        "Line 4: \"SET\" \"k\" \"y\" \"IFEQ\" \"z\"\n  here:  $-1\\r\\n\n  there: -ERR syntax error\\r\\n",
        "4 requests: 2 replies are the same, 2 differ",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn what_monitor_shows_is_replayed() {
    let Some(genuine) = Genuine::start("redis-server", &[]) else { return };
    let server = Server::start(&[]);
    let mut monitor = server.connect();
    monitor.ask("MONITOR", "+OK\r\n");
    let mut client = server.connect();
    for (request, reply) in [
        ("SELECT 3", "+OK\r\n"),
        ("SET key \"a \\\"b\\\" \\x01\"", "+OK\r\n"),
        ("EVAL \"return redis.call('incr', KEYS[1])\" 1 number", ":1\r\n"),
        ("GET key", "$7\r\na \"b\" \u{1}\r\n"),
    ] {
        client.ask(request, reply);
    }
    server.connect().ask("GET key", "$-1\r\n");
    let mut shown = Vec::new();
    while !shown.ends_with(b"\"GET\" \"key\"\r\n") || shown.iter().filter(|byte| **byte == b'\n').count() < 6 {
        let mut buffer = [0; 4096];
        let count = monitor.stream.read(&mut buffer).expect("more is shown");
        shown.extend_from_slice(&buffer[..count]);
    }
    let folder = folder("monitor");
    let file = folder.join("monitor.log");
    // The beginning was not recorded: the database is known nevertheless.
    let late = shown.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
    fs::write(&file, &shown[late..]).expect("it is written");
    let (status, text) = replay(genuine.port, &file, &[]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("Left out: 1 commands of scripts"), "{text}");
    assert!(text.contains("4 requests: 4 replies are the same"), "{text}");
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn what_cannot_be_tried_says_why() {
    let folder = folder("untried");
    let file = folder.join("requests.txt");
    fs::write(&file, "a> PING\nnonsense\n").expect("written");
    let (status, text) = replay(free_port(), &file, &[]);
    assert_eq!((status, text.contains("Cannot connect to 127.0.0.1:")), (2, true), "{text}");
    let server = Server::start(&[]);
    let port = server.connect().stream.peer_addr().expect("connected").port();
    let (status, text) = replay(port, &file, &[]);
    assert_eq!((status, text.contains("line 2: neither a line of MONITOR nor CLIENT> REQUEST")), (2, true), "{text}");
    let (status, text) = replay(port, &folder.join("missing"), &[]);
    assert_eq!((status, text.contains("No such file or directory")), (2, true), "{text}");
    let _ = fs::remove_dir_all(folder);
}

/// A recording of what these clients ask a server of this program; each reply was awaited.
fn record(folder: &Path, work: impl FnOnce(&Server)) -> PathBuf {
    let path = folder.join("recording");
    let mut server = Server::start(&["--record", path.to_str().expect("a name in UTF-8")]);
    work(&server);
    server.signal("TERM");
    server.wait();
    path
}

#[test]
fn a_recording_is_run_against_another_server() {
    let Some(genuine) = Genuine::start("redis-server", &[]) else { return };
    let folder = folder("recorded");
    let recording = record(&folder, |server| {
        let (mut a, mut b, mut worker) = (server.connect(), server.connect(), server.connect());
        a.send("SET key \"a b\"\r\nGET key\r\nSADD letters q w e r t y\r\n*2\r\n$8\r\nSMEMBERS\r\n$7\r\nletters\r\n");
        a.expect("+OK\r\n$3\r\na b\r\n:6\r\n*6\r\n");
        (0..12).for_each(|_| drop(a.line()));
        // Time and chance.
        b.ask("SET gone x PX 1", "+OK\r\n");
        b.ask("GET key", "$3\r\na b\r\n");
        loop {
            a.send("GET gone\r\n");
            if a.line() == "$-1" {
                break;
            }
            a.line();
        }
        a.send("SPOP letters\r\n");
        a.line();
        a.line();
        b.ask("SCARD letters", ":5\r\n");
        a.send("XADD stream * f v\r\n");
        let id = [a.line(), a.line()][1].clone();
        a.ask("XLEN stream", ":1\r\n");
        a.send("XRANGE stream - +\r\n");
        a.expect(format!("*1\r\n*2\r\n${}\r\n{id}\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n", id.len()));
        // Clients that wait, and a client that goes while it waits.
        worker.send("BLPOP jobs 0\r\n");
        server.connect().send("BLPOP nothing 0\r\n");
        a.wait_for_clients(|list| list.matches("cmd=blpop").count() == 1);
        a.ask("RPUSH jobs one two", ":2\r\n");
        worker.expect("*2\r\n$4\r\njobs\r\n$3\r\none\r\n");
        // Messages, a transaction, another protocol, and the server itself.
        worker.send("SUBSCRIBE news other\r\n");
        worker.expect("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
        worker.expect("*3\r\n$9\r\nsubscribe\r\n$5\r\nother\r\n:2\r\n");
        a.ask("PUBLISH news hello", ":1\r\n");
        worker.expect("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
        b.send("MULTI\r\nINCR n\r\nGET n\r\nEXEC\r\n");
        b.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n$1\r\n1\r\n");
        b.ask("CONFIG SET maxmemory 0", "+OK\r\n");
        b.send("HELLO 3\r\nPING\r\n");
        while b.line() != "+PONG" {}
        b.ask("GET n", "$1\r\n1\r\n");
        b.ask("QUIT", "+OK\r\n");
    });
    let (status, text) = replay(genuine.port, &recording, &[]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains(" 0 differ,") && text.contains("administrative commands"), "{text}");
    let (status, text) = replay(genuine.port, &recording, &[]);
    assert_eq!((status, text.contains("holds data")), (2, true), "{text}");
    // What the first run has left there makes a difference.
    let (status, text) = replay(genuine.port, &recording, &["--keep-data", "--show", "1"]);
    assert_eq!((status, text.matches("\n  there: ").count()), (1, 1), "{text}");
    let _ = fs::remove_dir_all(folder);
}

#[test]
fn what_differs_from_a_recording_is_shown() {
    let Some(genuine) = Genuine::start("redis-server", &[]) else { return };
    let folder = folder("recorded-different");
    let recording = record(&folder, |server| {
        let mut client = server.connect();
        client.ask("HSET h f v", ":1\r\n");
        client.ask("HEXPIRE h 100 FIELDS 1 f", "*1\r\n:1\r\n");
        client.ask("NOSUCH x", "-ERR unknown command 'NOSUCH', with args beginning with: 'x' \r\n");
    });
    let (status, text) = replay(genuine.port, &recording, &[]);
    assert_eq!(status, 1, "{text}");
    let shown =
        "\"HEXPIRE\" \"h\" \"100\" \"FIELDS\" \"1\" \"f\"\n  here:  *1\\r\\n:1\\r\\n\n  there: -ERR unknown command";
    assert!(text.contains(shown), "{text}");
    assert!(text.contains("3 requests: 2 replies are the same, 1 differ"), "{text}");
    let (status, text) = replay(free_port(), &recording, &["--keep-data"]);
    assert_eq!((status, text.contains("Cannot connect to 127.0.0.1:")), (2, true), "{text}");
    let _ = fs::remove_dir_all(folder);
}
