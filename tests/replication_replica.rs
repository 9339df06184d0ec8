//! A replica whose primary the test plays itself: links that are cut at every byte, data that cannot be loaded, streams
//! that are none.

#[path = "support/primary.rs"]
mod primary;
#[path = "support/replica.rs"]
mod replica;
#[path = "support/server.rs"]
mod server;

use std::net::TcpStream;
use std::time::{Duration, Instant};

use primary::{FakePrimary, GREETING, ID, MARK, ReplicaLink, command, full_resync, snapshot};
use replica::FakeReplica;
use server::{PATIENCE, Raw, Server};

const VERSION: &str = "REDIS0011";
/// The ways in which a replica takes all data.
const MODES: [&str; 3] = ["disabled", "on-empty-db", "swapdb"];

fn replica(options: &[&str]) -> (Server, Raw<TcpStream>) {
    let server = Server::start(options);
    let client = server.connect();
    (server, client)
}

/// A field of INFO.
fn field(client: &mut Raw<TcpStream>, section: &str, name: &str) -> Option<String> {
    let text = client.text(&format!("INFO {section}"));
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_string))
}

/// Waits until a field of INFO replication has a value.
#[track_caller]
fn await_field(client: &mut Raw<TcpStream>, name: &str, value: &str) {
    let deadline = Instant::now() + PATIENCE;
    while field(client, "replication", name).as_deref() != Some(value) {
        assert!(Instant::now() < deadline, "{name} is not {value}: {}", client.text("INFO replication"));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[track_caller]
fn follow(client: &mut Raw<TcpStream>, primary: &FakePrimary) -> ReplicaLink {
    client.ask(&primary.follow(), "+OK\r\n");
    primary.accept()
}

/// A replica that has all data, up to an offset, and its link.
#[track_caller]
fn synchronized(client: &mut Raw<TcpStream>, primary: &FakePrimary, offset: u64) -> ReplicaLink {
    let mut link = follow(client, primary);
    link.send_all(&snapshot(VERSION, "new"), offset);
    link
}

#[test]
fn a_replica_introduces_itself() {
    let primary = FakePrimary::new();
    let port = primary.port.to_string();
    let options = ["--replicaof", "127.0.0.1", &port, "--masteruser", "me", "--masterauth", "secret"];
    let announced = ["--replica-announce-ip", "10.1.2.3", "--replica-announce-port", "7777"];
    let (_server, mut client) = replica(&[options.as_slice(), &announced].concat());
    let mut link = primary.accept();
    assert_eq!(link.request(), "PING");
    link.raw.send("-NOAUTH Authentication required.\r\n");
    let requests = [
        "AUTH me secret",
        "REPLCONF listening-port 7777",
        "REPLCONF ip-address 10.1.2.3",
        "REPLCONF capa eof capa psync2 capa rdb12",
        "REPLCONF version 9.0.0",
    ];
    for request in requests {
        assert_eq!(link.request(), request);
        link.raw.send("+OK\r\n");
    }
    assert_eq!(link.request(), "PSYNC ? -1");
    let role = format!("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$9\r\nhandshake\r\n:-1\r\n");
    client.ask("ROLE", &role);
    link.raw.send(full_resync(&snapshot(VERSION, "new"), 1402, true));
    assert_eq!(link.request(), "REPLCONF ACK 1402");
    client.ask("GET k", "$3\r\nnew\r\n");
    let role = format!("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$9\r\nconnected\r\n:1402\r\n");
    client.ask("ROLE", &role);
    // Asked for, the place before the question is told; then the question counts as well.
    let question = command("REPLCONF GETACK *");
    link.raw.send(format!("{}{question}", command("SET k later")));
    let before = 1402 + command("SET k later").len() as u64;
    assert_eq!(link.acknowledged_after(1402), before);
    assert_eq!(link.acknowledged_after(before), before + question.len() as u64);
    client.ask("GET k", "$5\r\nlater\r\n");
    let list = client.text("CLIENT LIST");
    let line = list.lines().find(|line| line.contains(" flags=M ")).expect("the primary is a client");
    assert!(line.contains(&format!(" addr=127.0.0.1:{port} ")) && line.contains(" cmd=set "), "{line}");
}

/// What is cut leaves the old data, in each mode and either form.
#[test]
fn data_that_are_cut_at_any_byte_leave_the_old_ones() {
    for mode in MODES {
        let (_server, mut client) = replica(&["--repl-diskless-load", mode]);
        client.ask("SET k old", "+OK\r\n");
        for is_marked in [true, false] {
            let data = full_resync(&snapshot(VERSION, "new"), 10, is_marked);
            let bytes = [GREETING.as_bytes(), &data].concat();
            for length in 0..bytes.len() {
                let primary = FakePrimary::new();
                let mut link = follow(&mut client, &primary);
                link.raw.send(&bytes[..length]);
                link.end();
                // Its end of the connection goes a moment before what had come.
                await_field(&mut client, "master_sync_in_progress", "0");
                client.ask("GET k", "$3\r\nold\r\n");
            }
        }
        let primary = FakePrimary::new();
        let _link = synchronized(&mut client, &primary, 5);
        client.ask("GET k", "$3\r\nnew\r\n");
        client.ask("REPLICAOF NO ONE", "+OK\r\n");
    }
}

/// A link that is lost in the middle of the stream goes on after the last command, or transaction, that was whole.
#[test]
fn a_stream_that_is_cut_at_any_byte_goes_on_where_it_was() {
    let commands = ["SELECT 0", "SET n 1", "MULTI", "INCR n", "INCR n", "EXEC", "PING", "APPEND n 0"].map(command);
    let stream = commands.concat();
    let mut ends = vec![0];
    for command in &commands {
        ends.push(ends.last().expect("there is one") + command.len());
    }
    // Those within the transaction are none to go on from.
    let ends = [&ends[..3], &ends[6..]].concat();
    let (_server, mut client) = replica(&[]);
    for length in 0..=stream.len() {
        let primary = FakePrimary::new();
        let mut link = synchronized(&mut client, &primary, 100);
        link.raw.send(&stream[..length]);
        link.end();
        let applied = *ends.iter().filter(|end| **end <= length).max().expect("0 is one");
        let mut link = primary.accept();
        assert_eq!(link.greet(), format!("PSYNC {ID} {}", 101 + applied), "{length}");
        link.raw.send(format!("+CONTINUE\r\n{}", &stream[applied..]));
        let end = 100 + stream.len() as u64;
        await_field(&mut client, "slave_repl_offset", &end.to_string());
        client.ask("GET n", "$2\r\n30\r\n");
        client.ask("REPLICAOF NO ONE", "+OK\r\n");
    }
}

#[test]
fn data_that_cannot_be_loaded_leave_the_old_ones_and_a_line_in_the_log() {
    let mut damaged = snapshot(VERSION, "new");
    // The last byte of the value, before the end and the checksum.
    let place = damaged.len() - 10;
    damaged[place] ^= 1;
    let cases: [(&[u8], &str); 4] = [
        (&snapshot("REDIS0099", "new"), "Can't handle RDB format version 99"),
        (&snapshot("SOMETHING", "new"), "Wrong signature"),
        (&damaged, "CRC"),
        (&snapshot(VERSION, "new")[..40], ""),
    ];
    for mode in MODES {
        let (mut server, mut client) = replica(&["--repl-diskless-load", mode]);
        client.ask("SET k old", "+OK\r\n");
        for (data, text) in &cases {
            let primary = FakePrimary::new();
            let mut link = follow(&mut client, &primary);
            assert!(link.greet().starts_with("PSYNC "));
            link.raw.send(full_resync(data, 10, true));
            let line = server.wait_for_any(&["Failed trying to load the MASTER synchronization DB"]);
            assert!(line.contains(text), "{mode}: {line}");
            client.ask("GET k", "$3\r\nold\r\n");
        }
    }
}

/// Keys of databases that are not there cannot be loaded, nor can their commands be applied.
#[test]
fn a_primary_with_more_databases_is_not_followed_beyond_them() {
    let (mut server, mut client) = replica(&["--databases", "4"]);
    let primary = FakePrimary::new();
    let mut link = synchronized(&mut client, &primary, 100);
    link.raw.send([command("SET a 1"), command("SELECT 4"), command("SET b 1")].concat());
    let line = server.wait_for_any(&["cannot be followed"]);
    assert!(line.contains("database 4"), "{line}");
    link.end();
    let mut link = primary.accept();
    let offset = 101 + command("SET a 1").len();
    assert_eq!(link.greet(), format!("PSYNC {ID} {offset}"));
    client.ask("DBSIZE", ":2\r\n");
}

#[test]
fn what_is_no_stream_is_given_up_with_the_position() {
    for noise in ["SET a 1\r\n", "*x\r\n", "*1\r\n+PING\r\n"] {
        let (_server, mut client) = replica(&[]);
        let primary = FakePrimary::new();
        let mut link = synchronized(&mut client, &primary, 100);
        // An empty line means nothing.
        link.raw.send(format!("\r\n{}\n{noise}", command("SET a 1")));
        link.end();
        let mut link = primary.accept();
        assert_eq!(link.greet(), "PSYNC ? -1", "{noise:?}");
        client.ask("GET a", "$1\r\n1\r\n");
    }
}

/// A command that fails here, and has not failed there, is a sign of data that have gone apart.
#[test]
fn commands_that_fail_are_told_of() {
    let (mut server, mut client) = replica(&[]);
    let primary = FakePrimary::new();
    let mut link = synchronized(&mut client, &primary, 100);
    link.raw.send([command("LPUSH k x"), command("NO-SUCH-COMMAND"), command("SET fine 1")].concat());
    let line = server.wait_for_any(&["== CRITICAL =="]);
    assert!(line.contains("sending an error to its master: 'WRONGTYPE "), "{line}");
    assert!(line.ends_with("after processing the command 'LPUSH'"), "{line}");
    server.wait_for_any(&["unknown command 'NO-SUCH-COMMAND'"]);
    assert_eq!(field(&mut client, "stats", "unexpected_error_replies").as_deref(), Some("2"));
    client.ask("GET fine", "$1\r\n1\r\n");
}

#[test]
fn a_replica_does_not_write_and_its_primary_is_obeyed() {
    let (_server, mut client) = replica(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]);
    client.ask("CONFIG SET maxmemory 0", "+OK\r\n");
    let primary = FakePrimary::new();
    let mut link = synchronized(&mut client, &primary, 0);
    client.ask("CONFIG SET maxmemory 1", "+OK\r\n");
    link.raw.send(command("SET k late"));
    await_field(&mut client, "slave_repl_offset", &command("SET k late").len().to_string());
    client.ask("GET k", "$4\r\nlate\r\n");
    let refusal = "-READONLY You can't write against a read only replica.\r\n";
    client.ask("SET k x", refusal);
    client.send("EVAL \"return redis.call('set','k','x')\" 0\r\n");
    let reply = client.line();
    assert!(reply.starts_with("-READONLY You can't write against a read only replica."), "{reply}");
    client.ask("MULTI", "+OK\r\n");
    client.ask("SET k x", refusal);
    client.ask("EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    client.ask("CONFIG SET replica-read-only no", "+OK\r\n");
    client.ask("SET k x", "+OK\r\n");
    client.ask("CONFIG SET replica-serve-stale-data no", "+OK\r\n");
    client.ask("GET k", "$1\r\nx\r\n");
    drop(primary);
    link.end();
    await_field(&mut client, "master_link_status", "down");
    client.ask("GET k", "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n");
    client.ask("PING", "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n");
    client.ask("REPLICAOF NO ONE", "+OK\r\n");
    client.ask("GET k", "$1\r\nx\r\n");
}

/// New data are on the disk of a replica when its file has a base with them, also where what is appended stays in the
/// system's cache.
#[test]
fn a_base_on_the_disk_is_acknowledged_as_such() {
    let (_server, mut client) = replica(&["--appendonly", "yes", "--appendfsync", "no"]);
    let primary = FakePrimary::new();
    let mut link = synchronized(&mut client, &primary, 100);
    let deadline = Instant::now() + PATIENCE;
    while link.request() != "REPLCONF ACK 100 FACK 100" {
        assert!(Instant::now() < deadline, "it is never acknowledged");
    }
}

#[test]
fn a_replica_connects_from_the_address_that_is_set() {
    let (_server, mut client) = replica(&["--bind-source-addr", "127.0.0.9"]);
    let primary = FakePrimary::new();
    for source in ["127.0.0.9", "127.0.0.10"] {
        client.ask(&format!("CONFIG SET bind-source-addr {source}"), "+OK\r\n");
        let link = follow(&mut client, &primary);
        assert_eq!(link.raw.stream.peer_addr().expect("it is connected").ip().to_string(), source);
        client.ask("REPLICAOF NO ONE", "+OK\r\n");
    }
}

/// While clients are paused the stream stands still; what comes of it meanwhile counts as read.
#[test]
fn a_paused_stream_is_read_and_not_applied() {
    let (_server, mut client) = replica(&[]);
    let primary = FakePrimary::new();
    let mut link = synchronized(&mut client, &primary, 100);
    client.ask("CLIENT PAUSE 100000 WRITE", "+OK\r\n");
    let stream = command("SET k x");
    link.raw.send(&stream);
    await_field(&mut client, "slave_read_repl_offset", &(100 + stream.len()).to_string());
    assert_eq!(field(&mut client, "replication", "slave_repl_offset").as_deref(), Some("100"));
    client.ask("GET k", "$3\r\nnew\r\n");
    client.ask("CLIENT UNPAUSE", "+OK\r\n");
    await_field(&mut client, "slave_repl_offset", &(100 + stream.len()).to_string());
    client.ask("GET k", "$1\r\nx\r\n");
}

/// The primary says what expires; until then reads hide what is due.
#[test]
fn keys_stay_until_the_primary_removes_them() {
    let (_server, mut client) = replica(&[]);
    let primary = FakePrimary::new();
    let mut link = synchronized(&mut client, &primary, 0);
    let stream = [command("SET gone x PXAT 1"), command("SET kept x PXAT 1"), command("APPEND kept y")].concat();
    link.raw.send(&stream);
    await_field(&mut client, "slave_repl_offset", &stream.len().to_string());
    client.ask("GET gone", "$-1\r\n");
    client.ask("EXISTS kept", ":0\r\n");
    client.ask("DBSIZE", ":3\r\n");
    let more = [command("DEL gone"), command("PERSIST kept")].concat();
    link.raw.send(&more);
    await_field(&mut client, "slave_repl_offset", &(stream.len() + more.len()).to_string());
    client.ask("GET kept", "$2\r\nxy\r\n");
    client.ask("DBSIZE", ":2\r\n");
    assert_eq!(field(&mut client, "stats", "expired_keys").as_deref(), Some("0"));
}

/// A transaction of the primary is one for the file of the replica, too, and is passed on byte by byte.
#[test]
fn a_replica_of_a_replica_gets_the_very_bytes() {
    let (server, mut client) = replica(&[]);
    let primary = FakePrimary::new();
    let mut link = synchronized(&mut client, &primary, 100);
    let mut below = server.connect();
    below.ask(&format!("PSYNC {ID} 101"), "+CONTINUE\r\n");
    let stream = [command("set a 1"), command("MULTI"), command("INCR a"), command("EXEC"), command("PING")].concat();
    link.raw.send(&stream);
    below.expect(&stream);
    // What clients do here goes nowhere.
    client.ask("CONFIG SET replica-read-only no", "+OK\r\n");
    client.ask("SET own x", "+OK\r\n");
    link.raw.send(command("SET b 1"));
    below.expect(command("SET b 1"));
}

/// A promoted replica begins a history of its own, and those who followed the same primary go on with it.
#[test]
fn promotion_begins_a_history_and_demotion_goes_on_with_it() {
    let (server, mut client) = replica(&[]);
    let primary = FakePrimary::new();
    let mut link = synchronized(&mut client, &primary, 100);
    link.raw.send(command("SET a 1"));
    let end = 100 + command("SET a 1").len() as u64;
    await_field(&mut client, "slave_repl_offset", &end.to_string());
    client.ask("REPLICAOF NO ONE", "+OK\r\n");
    let own = field(&mut client, "replication", "master_replid").expect("an id");
    assert_ne!(own, ID);
    assert_eq!(field(&mut client, "replication", "master_replid2").as_deref(), Some(ID));
    assert_eq!(field(&mut client, "replication", "second_repl_offset"), Some((end + 1).to_string()));
    let mut sibling = server.connect();
    sibling.ask("REPLCONF capa psync2", "+OK\r\n");
    sibling.ask(&format!("PSYNC {ID} {}", end + 1), &format!("+CONTINUE {own}\r\n"));
    client.ask("SET b 1", "+OK\r\n");
    sibling.expect([command("SELECT 0"), command("SET b 1")].concat());
    // It follows again, from its own place.
    let offset = end + (command("SELECT 0").len() + command("SET b 1").len()) as u64;
    let mut link = follow(&mut client, &primary);
    assert_eq!(link.greet(), format!("PSYNC {own} {}", offset + 1));
    link.raw.send(format!("+CONTINUE {}\r\n{}", "b".repeat(40), command("SET c 1")));
    await_field(&mut client, "master_replid", &"b".repeat(40));
    await_field(&mut client, "slave_repl_offset", &(offset + command("SET c 1").len() as u64).to_string());
    assert_eq!(field(&mut client, "replication", "master_replid2"), Some(own));
}

/// Clients that wait for what only a primary brings are sent away.
#[test]
fn who_waits_is_told_when_the_role_changes() {
    let (server, mut client) = replica(&[]);
    let mut waiting = server.connect();
    waiting.send("BLPOP list 0\r\n");
    client.wait_for_clients(|list| list.contains(" cmd=blpop ") && list.contains("flags=b "));
    let primary = FakePrimary::new();
    let _link = follow(&mut client, &primary);
    waiting.expect("-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n");
    waiting.expect_end();
}

/// Who listens, watches and waits on a replica hears of what the primary does, as on the primary.
#[test]
fn clients_of_a_replica_hear_of_changes() {
    let (server, mut client) = replica(&["--notify-keyspace-events", "KEA"]);
    let primary = FakePrimary::new();
    let mut link = synchronized(&mut client, &primary, 0);
    let mut listener = server.connect();
    listener.ask("SUBSCRIBE news __keyevent@0__:set", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    listener.expect("*3\r\n$9\r\nsubscribe\r\n$18\r\n__keyevent@0__:set\r\n:2\r\n");
    let mut reader = server.connect();
    reader.send("XREAD BLOCK 0 STREAMS s $\r\n");
    client.wait_for_clients(|list| list.contains(" cmd=xread ") && list.contains("flags=b "));
    client.ask("WATCH k", "+OK\r\n");
    link.raw.send([command("PUBLISH news hello"), command("SET k y"), command("XADD s 1-1 f v")].concat());
    listener.expect("*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    listener.expect("*3\r\n$7\r\nmessage\r\n$18\r\n__keyevent@0__:set\r\n$1\r\nk\r\n");
    reader.expect("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");
    client.ask("MULTI", "+OK\r\n");
    client.ask("PING", "+QUEUED\r\n");
    client.ask("EXEC", "*-1\r\n");
}

/// A new data set touches what is watched and what is cached.
#[test]
fn clients_are_told_of_a_new_data_set() {
    for mode in MODES {
        let (server, mut client) = replica(&["--repl-diskless-load", mode]);
        client.ask("SET old x", "+OK\r\n");
        let mut tracking = server.connect();
        tracking.send("HELLO 3\r\nPING\r\n");
        while tracking.line() != "+PONG" {}
        tracking.ask("CLIENT TRACKING ON BCAST", "+OK\r\n");
        client.ask("WATCH old", "+OK\r\n");
        let primary = FakePrimary::new();
        let mut other = server.connect();
        let _link = synchronized(&mut other, &primary, 0);
        tracking.expect(">2\r\n$10\r\ninvalidate\r\n_\r\n");
        client.ask("MULTI", "+OK\r\n");
        client.ask("PING", "+QUEUED\r\n");
        client.ask("EXEC", "*-1\r\n");
    }
}

/// A host name is looked up while clients are served; one that stands for nothing is tried again.
#[test]
fn a_primary_s_name_is_looked_up() {
    let (mut server, mut client) = replica(&[]);
    client.ask("REPLICAOF no-such-host.invalid 6379", "+OK\r\n");
    client.ask("SET a 1", "-READONLY You can't write against a read only replica.\r\n");
    server.wait_for_any(&["Unable to connect to MASTER"]);
    let primary = FakePrimary::new();
    client.ask(&format!("REPLICAOF localhost {}", primary.port), "+OK\r\n");
    let mut link = primary.accept();
    link.send_all(&snapshot(VERSION, "new"), 7);
    let already = format!("REPLICAOF localhost {}", primary.port);
    client.ask(&already, "+OK Already connected to specified master\r\n");
}

#[test]
fn errors_of_replicaof() {
    let (_server, mut client) = replica(&[]);
    client.ask("REPLICAOF host port", "-ERR value is not an integer or out of range\r\n");
    client.ask("REPLICAOF host 70000", "-ERR Invalid master port\r\n");
    client.ask("REPLICAOF NO ONE", "+OK\r\n");
    client.ask("SLAVEOF 127.0.0.1 1", "+OK\r\n");
    client.ask("CONFIG GET replicaof", "*2\r\n$9\r\nreplicaof\r\n$11\r\n127.0.0.1 1\r\n");
    client.ask("MULTI", "+OK\r\n");
    client.ask("SLAVEOF NO ONE", "+QUEUED\r\n");
    client.ask("SET a 1", "-READONLY You can't write against a read only replica.\r\n");
    client.ask("DISCARD", "+OK\r\n");
    client.ask("MULTI", "+OK\r\n");
    client.ask("SLAVEOF NO ONE", "+QUEUED\r\n");
    client.ask("EXEC", "*1\r\n+OK\r\n");
    client.ask("SET a 1", "+OK\r\n");
    client.ask("CONFIG GET replicaof", "*2\r\n$9\r\nreplicaof\r\n$0\r\n\r\n");
}

/// The mark that ends the data belongs behind their end.
#[test]
fn data_that_go_on_behind_their_end_are_refused() {
    let (mut server, mut client) = replica(&["--repl-diskless-load", "swapdb"]);
    let primary = FakePrimary::new();
    let mut link = follow(&mut client, &primary);
    link.greet();
    let data = [&snapshot(VERSION, "new")[..], b"more"].concat();
    link.raw.send(full_resync(&data, 10, true));
    server.wait_for_any(&["Replication stream EOF marker is broken"]);
    client.ask("DBSIZE", ":0\r\n");
    assert_eq!(MARK.len(), 40);
}

#[test]
fn old_data_are_served_to_no_transaction_and_no_script() {
    const STALE: &str = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    let (server, mut client) = replica(&["--replica-serve-stale-data", "no"]);
    let mut other = server.connect();
    // Nobody listens there.
    let follow_nobody = "REPLICAOF 127.0.0.1 1";
    for (queued, reply) in [
        ("GET key", format!("-EXECABORT Transaction discarded because of: {STALE}\r\n")),
        ("PING", format!("-EXECABORT Transaction discarded because of: {STALE}\r\n")),
        ("ECHO hello", "*1\r\n$5\r\nhello\r\n".to_string()),
    ] {
        other.ask("REPLICAOF NO ONE", "+OK\r\n");
        client.ask("MULTI", "+OK\r\n");
        client.ask(queued, "+QUEUED\r\n");
        other.ask(follow_nobody, "+OK\r\n");
        client.ask("EXEC", &reply);
    }
    client.ask("EVAL \"return 1\" 0", &format!("-{STALE}\r\n"));
    client.ask("EVAL \"#!lua flags=no-writes\\nreturn 1\" 0", &format!("-{STALE}\r\n"));
    client.ask("EVAL \"#!lua flags=allow-stale,no-writes\\nreturn 1\" 0", ":1\r\n");
    client.ask("CONFIG SET replica-serve-stale-data yes", "+OK\r\n");
    client.ask("EVAL \"return 1\" 0", ":1\r\n");
}

/// A primary that was started again, whose place another server has taken meanwhile, goes on in the history that its
/// file is of. Messages, which Sentinels send all the time, do not count.
#[test]
fn a_primary_that_comes_back_unchanged_goes_on_in_its_old_history() {
    for is_changed in [false, true] {
        let options = ["--appendonly", "yes"];
        let (server, mut client) = replica(&options);
        let (mut follower, _) = FakeReplica::attach(server.connect());
        client.ask("SELECT 2", "+OK\r\n");
        client.ask("SET k old", "+OK\r\n");
        follower.expect(&["SELECT 2", "SET k old"]);
        client.ask("WAITAOF 1 0 0", "*2\r\n:1\r\n:0\r\n");
        let (id, offset) = (follower.id.clone(), follower.offset);
        server.signal("KILL");
        drop((follower, client));
        let server = server.restart(&options);
        let mut client = server.connect();
        client.ask("PUBLISH hello text", ":0\r\n");
        if is_changed {
            client.ask("SET k other", "+OK\r\n");
        }
        let own_id = field(&mut client, "replication", "master_replid").expect("an id");
        let own_offset: u64 =
            field(&mut client, "replication", "master_repl_offset").expect("an offset").parse().expect("a number");
        assert!(own_id != id && own_offset > offset);
        let primary = FakePrimary::new();
        let mut link = follow(&mut client, &primary);
        let expected = if is_changed {
            format!("PSYNC {own_id} {}", own_offset + 1)
        } else {
            format!("PSYNC {id} {}", offset + 1)
        };
        assert_eq!(link.greet(), expected);
        if is_changed {
            continue;
        }
        // Of the promoted server's stream the first command is for the database that the old one had selected.
        link.raw.send(format!("+CONTINUE {ID}\r\n{}", command("APPEND k er")));
        link.acknowledged_after(offset);
        client.ask("SELECT 2", "+OK\r\n");
        client.ask("GET k", "$5\r\nolder\r\n");
        await_field(&mut client, "master_replid", ID);
        await_field(&mut client, "master_replid2", &id);
        await_field(&mut client, "second_repl_offset", &(offset + 1).to_string());
    }
}

/// The backlog of a promoted server is there for the other replicas, however late they come.
#[test]
fn a_promoted_server_keeps_its_backlog() {
    let primary = FakePrimary::new();
    let (_server, mut client) = replica(&[]);
    let _link = synchronized(&mut client, &primary, 5);
    client.ask("REPLICAOF NO ONE", "+OK\r\n");
    let uptime = |client: &mut Raw<TcpStream>| {
        field(client, "server", "uptime_in_seconds").expect("a time").parse::<u64>().expect("a number")
    };
    let promoted_s = uptime(&mut client);
    while uptime(&mut client) < promoted_s + 3 {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(field(&mut client, "replication", "repl_backlog_active").as_deref(), Some("1"));
    assert_eq!(field(&mut client, "replication", "master_replid2").as_deref(), Some(ID));
}
