//! Keys that move to another server over real sockets: to one of ours, to and from genuine ones, and to one that the
//! test plays itself, which answers when and what it wants.
//!
//! With `NEWER_REDIS_SERVER=/path/to/server` keys go to and from that one, too.

#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/server.rs"]
mod server;

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use genuine::Genuine;
use server::{PATIENCE, Raw, Server, free_port};

/// Time for a reply that the test itself is to give, in ms.
const LONG_MS: u64 = 60_000;

/// The other side, played by the test.
struct Target {
    listener: TcpListener,
    port: u16,
}

impl Target {
    fn new() -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let port = listener.local_addr().expect("it is bound").port();
        Target { listener, port }
    }

    fn accept(&self) -> Raw<TcpStream> {
        let (stream, _) = self.listener.accept().expect("somebody connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Raw { stream }
    }

    fn migrate(&self, rest: &str) -> String {
        format!("MIGRATE 127.0.0.1 {} {rest}\r\n", self.port)
    }
}

/// Reads one request; gives its words, of which a payload may be any bytes.
#[track_caller]
fn read_request(target: &mut Raw<TcpStream>) -> Vec<String> {
    let count: usize = target.line()[1..].parse().expect("a header");
    let word = |_| {
        let length = target.line()[1..].parse().expect("a length");
        let mut bytes = vec![0; length];
        target.stream.read_exact(&mut bytes).expect("the word");
        target.expect("\r\n");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    (0..count).map(word).collect()
}

/// Waits until a client of that name is blocked.
fn wait_until_blocked(observer: &mut Raw<TcpStream>, name: &str) {
    let name = format!("name={name} ");
    observer.wait_for_clients(|list| {
        let line = list.lines().find(|line| line.contains(&name));
        let flags = line.and_then(|line| line.split("flags=").nth(1));
        flags.is_some_and(|flags| flags.split(' ').next().is_some_and(|flags| flags.contains('b')))
    });
}

fn named(server: &Server, name: &str) -> Raw<TcpStream> {
    let mut client = server.connect();
    client.ask(&format!("CLIENT SETNAME {name}"), "+OK\r\n");
    client
}

/// A node of a cluster that has all slots.
fn node() -> Server {
    let bus_port = free_port().to_string();
    let node = Server::start(&["--cluster-enabled", "yes", "--cluster-port", &bus_port]);
    let mut client = node.connect();
    client.ask("CLUSTER ADDSLOTSRANGE 0 16383", "+OK\r\n");
    let deadline = Instant::now() + PATIENCE;
    while !client.text("CLUSTER INFO").starts_with("cluster_state:ok") {
        assert!(Instant::now() < deadline, "the cluster does not come up");
        std::thread::sleep(Duration::from_millis(5));
    }
    node
}

#[test]
fn nodes_of_a_cluster_send_keys_to_one_that_does_not_own_their_slot_yet() {
    let (node, target) = (node(), Target::new());
    let mut client = node.connect();
    client.ask("MSET {b}1 one {b}2 two", "+OK\r\n");
    for wrap in [false, true] {
        if wrap {
            client.ask("MULTI", "+OK\r\n");
        }
        let key = if wrap { "{b}2" } else { "{b}1" };
        client.send(target.migrate(&format!("{key} 0 {LONG_MS}")));
        if wrap {
            client.expect("+QUEUED\r\n");
            client.send("EXEC\r\n");
        }
        let mut other = target.accept();
        let mut words = read_request(&mut other);
        if words[0] == "SELECT" {
            other.send("+OK\r\n");
            words = read_request(&mut other);
        }
        assert_eq!((words[0].as_str(), words[1].as_str()), ("RESTORE-ASKING", key));
        other.send("+OK\r\n");
        client.expect(if wrap { "*1\r\n+OK\r\n" } else { "+OK\r\n" });
        client.ask(&format!("EXISTS {key}"), ":0\r\n");
    }
    client.ask(&format!("MIGRATE 127.0.0.1 {} {{b}}3 0 {LONG_MS}", target.port), "+NOKEY\r\n");
}

/// Lets a server compare values.
const DEBUG: &[&str] = &["--enable-debug-command", "yes"];

/// Commands that make a value of each type, small and large, under the names of these keys.
const VALUES: &[(&str, &str)] = &[
    ("number", "SET number 12345"),
    ("text", "SET text some-text"),
    ("bits", "SETBIT bits 400000 1"),
    ("list", "RPUSH list a b 3 4"),
    ("set", "SADD set a b c"),
    ("integers", "SADD integers 1 2 3"),
    ("hash", "HSET hash a 1 b 2"),
    ("scores", "ZADD scores 1.5 a -2 b inf c"),
    ("stream", "XADD stream 5-1 field value"),
];

fn fill(client: &mut Raw<TcpStream>) -> Vec<&'static str> {
    for (_, command) in VALUES {
        client.send(format!("{command}\r\n"));
        let reply = client.line();
        assert!(!reply.starts_with('-'), "{command}: {reply}");
        if reply.starts_with('$') {
            client.line();
        }
    }
    for number in 0..2000 {
        for command in ["RPUSH long", "SADD large", "HSET wide"] {
            let value = if command.starts_with('H') { " v" } else { "" };
            client.send(format!("{command} element-{number}{value}\r\n"));
        }
    }
    (0..6000).for_each(|_| assert!(client.line().starts_with(':')));
    let names = VALUES.iter().map(|(name, _)| *name);
    names.chain(["long", "large", "wide"]).collect()
}

fn digest(client: &mut Raw<TcpStream>, key: &str) -> String {
    client.send(format!("DEBUG DIGEST-VALUE {key}\r\n"));
    client.expect("*1\r\n");
    let mut value = client.line();
    if value.starts_with('$') {
        value = client.line();
    }
    value.trim_start_matches('+').to_string()
}

/// Has every value go there and back again.
fn go_there_and_back(here: (&mut Raw<TcpStream>, u16), there: (&mut Raw<TcpStream>, u16), compares: bool) {
    let ((here, here_port), (there, there_port)) = (here, there);
    let keys = fill(here);
    here.ask("PEXPIREAT text 95617584000000", ":1\r\n");
    let digests: Vec<String> = keys.iter().map(|key| digest(here, key)).collect();
    let all = keys.join(" ");
    let go = |port, database| format!("MIGRATE 127.0.0.1 {port} \"\" {database} {LONG_MS} KEYS {all} absent");
    here.ask(&go(there_port, 3), "+OK\r\n");
    here.ask("DBSIZE", ":0\r\n");
    there.ask("SELECT 3", "+OK\r\n");
    for (key, before) in keys.iter().zip(&digests) {
        let after = digest(there, key);
        // Not all versions write scores alike when they digest them.
        assert!(!compares || *key == "scores" || after == *before, "{key}");
    }
    there.send("PTTL text\r\n");
    let ttl_ms: u64 = there.line()[1..].parse().expect("a time");
    assert!(ttl_ms > 90_000_000_000_000, "{ttl_ms}");
    there.ask(&go(here_port, 0), "+OK\r\n");
    there.ask("DBSIZE", ":0\r\n");
    for (key, before) in keys.iter().zip(&digests) {
        assert_eq!(digest(here, key), *before, "{key}");
    }
}

#[test]
fn keys_of_all_types_go_to_another_server_and_back() {
    let debug = ["--enable-debug-command", "yes"];
    let [first, second] = [Server::start(&debug), Server::start(&debug)];
    go_there_and_back((&mut first.connect(), first.port), (&mut second.connect(), second.port), true);
}

#[test]
fn keys_come_from_a_genuine_server_and_go_back() {
    let Some(genuine) = Genuine::start("redis-server", DEBUG) else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "redis-server is not on the PATH: this test must not be skipped here"
        );
        return eprintln!("SKIPPED: redis-server is not on the PATH");
    };
    let ours = Server::start(&["--enable-debug-command", "yes"]);
    let (mut theirs, mut client) = (genuine.connect(), ours.connect());
    let keys = fill(&mut theirs);
    let digests: Vec<String> = keys.iter().map(|key| digest(&mut theirs, key)).collect();
    let all = keys.join(" ");
    let question = format!("MIGRATE 127.0.0.1 {} \"\" 0 {LONG_MS} KEYS {all}", ours.port);
    theirs.ask(&question, "+OK\r\n");
    for (key, before) in keys.iter().zip(&digests) {
        assert!(*key == "scores" || digest(&mut client, key) == *before, "{key}");
    }
    // It may be older and not read the version that 7.2 writes: then the keys are written as it reads them.
    client.ask(&format!("MIGRATE 127.0.0.1 {} \"\" 0 {LONG_MS} KEYS {all}", genuine.port), "+OK\r\n");
    for (key, before) in keys.iter().zip(&digests) {
        assert_eq!(digest(&mut theirs, key), *before, "{key}");
    }
    client.ask("DBSIZE", ":0\r\n");
}

#[test]
fn keys_go_to_a_newer_genuine_server_and_back() {
    let Ok(program) = std::env::var("NEWER_REDIS_SERVER") else {
        return eprintln!("SKIPPED: NEWER_REDIS_SERVER is not set");
    };
    let genuine = Genuine::start(&program, DEBUG).expect("it starts");
    let ours = Server::start(&["--enable-debug-command", "yes"]);
    go_there_and_back((&mut ours.connect(), ours.port), (&mut genuine.connect(), genuine.port), false);
}

#[test]
fn a_copy_stays_and_a_key_is_replaced_only_where_that_is_asked_for() {
    let [first, second] = [Server::start(&[]), Server::start(&[])];
    let (mut client, mut there) = (first.connect(), second.connect());
    let go = |options: &str| format!("MIGRATE 127.0.0.1 {} key 0 1000 {options}", second.port);
    client.ask("SET key 1", "+OK\r\n");
    client.ask(&go("COPY"), "+OK\r\n");
    client.ask("SET key 2", "+OK\r\n");
    const BUSY: &str = "-ERR Target instance replied with error: BUSYKEY Target key name already exists.\r\n";
    client.ask(&go(""), BUSY);
    client.ask(&go("copy"), BUSY);
    there.ask("GET key", "$1\r\n1\r\n");
    client.ask(&go("copy replace"), "+OK\r\n");
    there.ask("GET key", "$1\r\n2\r\n");
    client.ask("GET key", "$1\r\n2\r\n");
    client.ask(&go("REPLACE"), "+OK\r\n");
    client.ask("EXISTS key", ":0\r\n");
    client.ask(&go(""), "+NOKEY\r\n");
}

#[test]
fn the_target_may_want_a_login() {
    let options = ["--requirepass", "secret", "--user", "alice", "on", ">word"];
    let second = Server::start(&[&options[..], &["allkeys", "allcommands"]].concat());
    let first = Server::start(&["--slowlog-log-slower-than", "0"]);
    let mut client = first.connect();
    let go = |options: &str| format!("MIGRATE 127.0.0.1 {} key 0 1000 {options}", second.port);
    let refused = |text: &str| format!("-ERR Target instance replied with error: {text}\r\n");
    const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";
    for (options, reply) in [
        ("", refused("NOAUTH Authentication required.")),
        ("AUTH wrong", refused(WRONG)),
        ("AUTH2 alice wrong", refused(WRONG)),
        ("COPY AUTH secret", "+OK\r\n".to_string()),
        ("REPLACE AUTH2 alice word", "+OK\r\n".to_string()),
    ] {
        client.ask("SET key 1", "+OK\r\n");
        client.ask(&go(options), &reply);
    }
    client.send("SLOWLOG GET 100\r\n");
    client.send("PING end\r\n");
    let mut log = String::new();
    while !log.ends_with("end") {
        log.push_str(&client.line());
    }
    assert!(log.contains("MIGRATE") && log.contains("(redacted)"), "{log}");
    assert!(!log.contains("secret") && !log.contains("word$"), "{log}");
}

/// In Redis nobody at all is served meanwhile.
#[test]
fn others_are_served_while_keys_move_and_those_wait_who_name_them() {
    let server = Server::start(&[]);
    let target = Target::new();
    let mut client = named(&server, "mover");
    let mut observer = server.connect();
    observer.ask("MSET key 1 other 2", "+OK\r\n");
    client.send(target.migrate(&format!("key 0 {LONG_MS}")));
    let mut link = target.accept();
    assert_eq!(read_request(&mut link), ["SELECT", "0"]);
    assert_eq!(read_request(&mut link)[..2], ["RESTORE", "key"]);
    let requests = [
        ("reader", "GET key\r\n", "$-1\r\n"),
        ("writer", "SETNX key 3\r\n", ":1\r\n"),
        ("second", "MIGRATE 127.0.0.1 1 key 0 1\r\n", "+NOKEY\r\n"),
        ("several", "EXISTS other key\r\n", ":1\r\n"),
        ("script", "EVAL \"return redis.call('exists', 'key')\" 0\r\n", ":0\r\n"),
        ("unit", "MULTI\r\nGET key\r\nEXEC\r\n", "+OK\r\n+QUEUED\r\n*1\r\n$-1\r\n"),
    ];
    let mut waiting = Vec::new();
    // The one that writes comes last: it is to find the key gone.
    for index in [0, 2, 3, 4, 5, 1] {
        let (name, request, reply) = requests[index];
        let mut client = named(&server, name);
        client.send(request);
        wait_until_blocked(&mut observer, name);
        waiting.push((client, reply));
    }
    observer.ask("GET other", "$1\r\n2\r\n");
    observer.ask("SET other 4", "+OK\r\n");
    observer.ask("EVAL_RO \"return redis.call('get', KEYS[1])\" 1 other", "$1\r\n4\r\n");
    observer.send("MULTI\r\nSET other 5\r\nEXEC\r\n");
    observer.expect("+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    observer.ask("DBSIZE", ":2\r\n");
    link.send("+OK\r\n+OK\r\n");
    client.expect("+OK\r\n");
    for (client, reply) in &mut waiting {
        client.expect(reply);
    }
    observer.ask("GET key", "$1\r\n3\r\n");
    client.ask("PING", "+PONG\r\n");
}

#[test]
fn whatever_writes_everywhere_waits_as_well() {
    let server = Server::start(&[]);
    let target = Target::new();
    let mut client = named(&server, "mover");
    let mut observer = server.connect();
    observer.ask("MSET key 1 other 2", "+OK\r\n");
    client.send(target.migrate(&format!("key 0 {LONG_MS}")));
    let mut link = target.accept();
    let mut emptier = named(&server, "emptier");
    emptier.send("FLUSHALL\r\n");
    wait_until_blocked(&mut observer, "emptier");
    observer.ask("DBSIZE", ":2\r\n");
    link.send("+OK\r\n+OK\r\n");
    client.expect("+OK\r\n");
    emptier.expect("+OK\r\n");
    observer.ask("DBSIZE", ":0\r\n");
}

#[test]
fn a_target_that_says_nothing_is_given_up() {
    let server = Server::start(&[]);
    let target = Target::new();
    let mut client = server.connect();
    client.ask("SET key 1", "+OK\r\n");
    client.send(target.migrate("key 0 100"));
    let started = Instant::now();
    client.expect("-IOERR error or timeout reading to target instance\r\n");
    assert!(started.elapsed() < Duration::from_secs(10));
    client.ask("GET key", "$1\r\n1\r\n");
    // Within a transaction and a script too, where everybody waits.
    client.send(format!("MULTI\r\n{}EXEC\r\n", target.migrate("key 0 20")));
    client.expect("+OK\r\n+QUEUED\r\n*1\r\n-IOERR error or timeout reading to target instance\r\n");
    client.ask("GET key", "$1\r\n1\r\n");
}

#[test]
fn a_target_that_reads_nothing_is_given_up() {
    let server = Server::start(&["--rdbcompression", "no"]);
    let target = Target::new();
    let mut client = server.connect();
    // More than both sockets take.
    client.ask("SETRANGE key 30000000 x", ":30000001\r\n");
    client.send(target.migrate("key 0 200"));
    client.expect("-IOERR error or timeout writing to target instance\r\n");
    client.ask("STRLEN key", ":30000001\r\n");
}

#[test]
fn keys_arrive_though_their_client_leaves() {
    let server = Server::start(&[]);
    let target = Target::new();
    let mut client = named(&server, "mover");
    let mut observer = server.connect();
    client.ask("SET key 1", "+OK\r\n");
    client.send(target.migrate(&format!("key 0 {LONG_MS}")));
    let mut link = target.accept();
    wait_until_blocked(&mut observer, "mover");
    drop(client);
    observer.wait_for_clients(|list| !list.contains("name=mover "));
    let mut reader = named(&server, "reader");
    reader.send("GET key\r\n");
    wait_until_blocked(&mut observer, "reader");
    link.send("+OK\r\n+OK\r\n");
    reader.expect("$-1\r\n");
}

#[test]
fn the_keys_that_have_arrived_are_gone_whatever_becomes_of_the_others() {
    let server = Server::start(&[]);
    let target = Target::new();
    let mut client = server.connect();
    client.ask("MSET a 1 b 2 c 3", "+OK\r\n");
    client.send(target.migrate(&format!("\"\" 0 {LONG_MS} KEYS a b c")));
    let mut link = target.accept();
    link.send("+OK\r\n+OK\r\n-OOM no room\r\n+OK\r\n");
    client.expect("-ERR Target instance replied with error: OOM no room\r\n");
    client.ask("EXISTS a c", ":0\r\n");
    client.ask("EXISTS b", ":1\r\n");
    // The connection is used again, for a database that has to be selected anew.
    client.ask("MSET a 1 c 3", "+OK\r\n");
    client.send(target.migrate(&format!("\"\" 0 {LONG_MS} KEYS a b c")));
    for _ in 0..4 {
        read_request(&mut link);
    }
    assert_eq!(read_request(&mut link), ["SELECT", "0"]);
    link.send("+OK\r\n+OK\r\n");
    for _ in 0..3 {
        read_request(&mut link);
    }
    drop(link);
    client.expect("-IOERR error or timeout reading to target instance\r\n");
    client.ask("EXISTS a", ":0\r\n");
    client.ask("EXISTS b c", ":2\r\n");
    // A login that fails: nothing has happened over there, whatever it says.
    client.send(target.migrate(&format!("b 0 {LONG_MS} AUTH x")));
    let mut link = target.accept();
    link.send("-ERR no\r\n+OK\r\n+OK\r\n");
    client.expect("-ERR Target instance replied with error: ERR no\r\n");
    client.ask("EXISTS b", ":1\r\n");
}

#[test]
fn a_connection_is_kept_and_made_anew_when_it_was_closed() {
    let server = Server::start(&[]);
    let target = Target::new();
    let mut client = server.connect();
    let go = target.migrate(&format!("key 7 {LONG_MS} COPY"));
    client.ask("SET key 1", "+OK\r\n");
    client.send(&go);
    let mut link = target.accept();
    link.send("+OK\r\n+OK\r\n");
    client.expect("+OK\r\n");
    assert!(client.text("INFO stats").contains("migrate_cached_sockets:1\r\n"));
    assert_eq!(read_request(&mut link), ["SELECT", "7"]);
    read_request(&mut link);
    client.send(&go);
    assert_eq!(read_request(&mut link)[..2], ["RESTORE", "key"]);
    link.send("+OK\r\n");
    client.expect("+OK\r\n");
    drop(link);
    client.send(&go);
    let mut link = target.accept();
    assert_eq!(read_request(&mut link), ["SELECT", "7"]);
    read_request(&mut link);
    // Twice in a row is no accident.
    drop(link);
    client.expect("-IOERR error or timeout reading to target instance\r\n");
}

#[test]
fn keys_move_within_transactions_and_scripts() {
    let [first, second] = [Server::start(&[]), Server::start(&[])];
    let (mut client, mut there) = (first.connect(), second.connect());
    let go = format!("MIGRATE 127.0.0.1 {} key 0 {LONG_MS}", second.port);
    client.ask("MSET key 1 next 2", "+OK\r\n");
    client.send(format!("MULTI\r\n{go}\r\nEXISTS key\r\nEXEC\r\n"));
    client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:0\r\n");
    there.ask("GET key", "$1\r\n1\r\n");
    let script = format!(
        "return redis.call('migrate', '127.0.0.1', '{}', '', '0', '{LONG_MS}', 'KEYS', 'next', 'none')",
        second.port
    );
    client.ask(&format!("EVAL \"{script}\" 0"), "+OK\r\n");
    there.ask("GET next", "$1\r\n2\r\n");
    client.ask("DBSIZE", ":0\r\n");
}

#[test]
fn very_many_keys_take_little_memory() {
    let [first, second] = [Server::start(&[]), Server::start(&[])];
    let (mut client, mut there) = (first.connect(), second.connect());
    let value = "x".repeat(10_000);
    let count = 3000;
    for number in 0..count {
        client.send(format!("SET key:{number} {value}\r\nAPPEND key:{number} {number}\r\n"));
    }
    for _ in 0..count {
        client.expect("+OK\r\n");
        client.line();
    }
    let before = first.resident_bytes();
    let keys: Vec<String> = (0..count).map(|number| format!("key:{number}")).collect();
    client.ask("CONFIG SET rdbcompression no", "+OK\r\n");
    client.ask(&format!("MIGRATE 127.0.0.1 {} \"\" 0 {LONG_MS} KEYS {}", second.port, keys.join(" ")), "+OK\r\n");
    there.ask("DBSIZE", &format!(":{count}\r\n"));
    client.ask("DBSIZE", ":0\r\n");
    let grown = first.resident_bytes().saturating_sub(before);
    assert!(grown < 8 << 20, "{grown} bytes for 30 MB");
}

#[test]
fn keys_that_have_arrived_are_deleted_in_the_append_only_file() {
    let always = ["--appendonly", "yes", "--appendfsync", "always"];
    let [first, second] = [Server::start(&always), Server::start(&always)];
    let mut client = first.connect();
    client.ask("MSET a 1 b 2 c 3 d 4", "+OK\r\n");
    let go = |rest: &str| format!("MIGRATE 127.0.0.1 {} {rest}", second.port);
    client.ask(&go("d 0 1000 COPY"), "+OK\r\n");
    client.ask(&go("\"\" 0 1000 KEYS a none b"), "+OK\r\n");
    client.send(format!("MULTI\r\n{}\r\nEXEC\r\n", go("c 0 1000")));
    client.expect("+OK\r\n+QUEUED\r\n*1\r\n+OK\r\n");
    let appended = |server: &Server| {
        let path = server.folder.join("appendonlydir/appendonly.aof.1.incr.aof");
        std::fs::read_to_string(path).expect("an append-only file")
    };
    let text = appended(&first).replace("\r\n", " ");
    let (_, deletions) = text.split_once("$1 4 *").expect("MSET ends so");
    // The acknowledgements of a and b may come in one piece, or in two.
    let together = "3 $3 DEL $1 a $1 b *2 $3 DEL $1 c ";
    let apart = "2 $3 DEL $1 a *2 $3 DEL $1 b *2 $3 DEL $1 c ";
    assert!([together, apart].contains(&deletions), "{text}");
}
