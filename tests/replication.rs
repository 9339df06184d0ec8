//! A primary's side of replication, byte by byte: the whole server over TCP, with replicas that the tests play.

#[path = "support/replica.rs"]
mod replica;
#[path = "support/server.rs"]
mod server;

use replica::{FakeReplica, request};
use server::{Raw, Server};
use std::net::TcpStream;

type Client = Raw<TcpStream>;

/// A field of INFO.
fn field(client: &mut Client, name: &str) -> String {
    let info = client.text("INFO everything");
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_string));
    line.unwrap_or_else(|| panic!("no {name} in {info}"))
}

/// Asks until a field of INFO is as wanted.
#[track_caller]
fn wait_for(client: &mut Client, name: &str, wanted: &str) {
    let deadline = std::time::Instant::now() + server::PATIENCE;
    while field(client, name) != wanted {
        assert!(std::time::Instant::now() < deadline, "{name} is {} and not {wanted}", field(client, name));
        std::thread::yield_now();
    }
}

#[test]
fn all_data_come_first_and_then_the_stream() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("SET before 1", "+OK\r\n");
    let (mut replica, data) = FakeReplica::attach(server.connect());
    // What Redis 7.0 reads, since the replica has announced nothing newer.
    assert_eq!(&data[..9], b"REDIS0010");
    assert!(data.windows(6).any(|window| window == b"before"));
    client.ask("SELECT 3", "+OK\r\n");
    client.ask("SET after 2", "+OK\r\n");
    replica.expect(&["SELECT 3", "SET after 2"]);
    let begun = replica.offset;
    client.ask("SET after 3", "+OK\r\n");
    replica.expect(&["SET after 3"]);
    assert_eq!(replica.offset - begun, request(&["SET", "after", "3"]).len() as u64);
    assert_eq!(field(&mut client, "master_repl_offset"), replica.offset.to_string());
    assert_eq!(field(&mut client, "master_replid"), replica.id);
    replica.acknowledge();
    let line = format!("ip=127.0.0.1,port=4321,state=online,offset={},lag=0", replica.offset);
    wait_for(&mut client, "slave0", &line);
    let offset = replica.offset.to_string();
    client.send("ROLE\r\n");
    client.expect(format!(
        "*3\r\n$6\r\nmaster\r\n:{offset}\r\n*1\r\n*3\r\n$9\r\n127.0.0.1\r\n$4\r\n4321\r\n${}\r\n{offset}\r\n",
        offset.len()
    ));
}

#[test]
fn what_is_written_while_the_data_come_follows_them() {
    let server = Server::start(&["--rdb-key-save-delay", "20000"]);
    let mut client = server.connect();
    (0..30).for_each(|number| client.ask(&format!("SET key:{number} value"), "+OK\r\n"));
    let mut replica = FakeReplica::begin(server.connect(), &["REPLCONF capa eof"]);
    assert_eq!(field(&mut client, "rdb_bgsave_in_progress"), "1");
    let line = "ip=127.0.0.1,port=0,state=wait_bgsave,offset=0,lag=0";
    assert_eq!(field(&mut client, "slave0"), line);
    client.ask("SET key:0 other", "+OK\r\n");
    client.ask("SET another one", "+OK\r\n");
    let data = replica.marked_data();
    assert!(!data.windows(7).any(|window| window == b"another"));
    // The stream waits for the replica to say that it has loaded the data.
    client.ask("SET third one", "+OK\r\n");
    assert!(replica.link.is_silent());
    replica.acknowledge();
    replica.expect(&["SELECT 0", "SET key:0 other", "SET another one", "SET third one"]);
    assert_eq!(field(&mut client, "sync_full"), "1");
}

#[test]
fn replicas_that_ask_for_it_get_a_file_whose_length_is_told() {
    for (options, introduction) in [
        (&["--repl-diskless-sync", "no"][..], &["REPLCONF capa eof capa psync2"][..]),
        (&[][..], &["REPLCONF capa psync2"][..]),
    ] {
        let server = Server::start(options);
        let mut client = server.connect();
        client.ask("SET before 1", "+OK\r\n");
        let mut replica = FakeReplica::begin(server.connect(), introduction);
        client.ask("SET after 2", "+OK\r\n");
        assert_eq!(&replica.counted_data()[..9], b"REDIS0010");
        // In this form the stream waits for nothing.
        replica.expect(&["SELECT 0", "SET after 2"]);
        let left = std::fs::read_dir(&server.folder).expect("its folder").count();
        assert_eq!(left, 0, "the file is gone");
    }
}

#[test]
fn an_old_replica_is_not_told_where_it_is() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("SET before 1", "+OK\r\n");
    let mut link = server.connect();
    link.send("SYNC\r\n");
    let mut replica = FakeReplica { link, id: String::new(), offset: 0 };
    assert_eq!(&replica.counted_data()[..5], b"REDIS");
    client.ask("SET after 2", "+OK\r\n");
    replica.expect(&["SELECT 0", "SET after 2"]);
}

#[test]
fn a_replica_that_comes_back_goes_on_at_its_byte() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let (mut replica, _) = FakeReplica::attach(server.connect());
    client.ask("SET a 1", "+OK\r\n");
    replica.expect(&["SELECT 0", "SET a 1"]);
    let (id, offset) = (replica.id.clone(), replica.offset);
    drop(replica);
    wait_for(&mut client, "connected_slaves", "0");
    client.ask("SET a 2", "+OK\r\n");
    let (mut replica, line) = FakeReplica::resume(server.connect(), &id, offset);
    assert_eq!(line, format!("+CONTINUE {id}"));
    replica.expect(&["SET a 2"]);
    // In the middle of a command, too.
    let (mut other, _) = FakeReplica::resume(server.connect(), &id, offset + 5);
    let rest = request(&["SET", "a", "2"]);
    other.link.expect(&rest[5..]);
    assert_eq!(field(&mut client, "sync_partial_ok"), "2");
    assert_eq!(field(&mut client, "sync_partial_err"), "0");
    // Of another history, or of bytes that nobody has written, nobody can go on.
    let (_, line) = FakeReplica::resume(server.connect(), &"0".repeat(40), offset);
    assert!(line.starts_with("+FULLRESYNC"), "{line}");
    let (_, line) = FakeReplica::resume(server.connect(), &id, offset + 1000);
    assert!(line.starts_with("+FULLRESYNC"), "{line}");
    assert_eq!(field(&mut client, "sync_partial_err"), "2");
}

#[test]
fn the_backlog_keeps_as_much_as_it_is_told_to() {
    let server = Server::start(&["--repl-backlog-size", "100kb"]);
    let mut client = server.connect();
    let (mut replica, _) = FakeReplica::attach(server.connect());
    client.ask("SET a 1", "+OK\r\n");
    replica.expect(&["SELECT 0", "SET a 1"]);
    let (id, offset) = (replica.id.clone(), replica.offset);
    drop(replica);
    let value = "x".repeat(50_000);
    client.ask(&format!("SET a {value}"), "+OK\r\n");
    assert!(FakeReplica::resume(server.connect(), &id, offset).1.starts_with("+CONTINUE"));
    client.send(format!("SET b {value}\r\n").repeat(6));
    client.expect("+OK\r\n".repeat(6));
    wait_for(&mut client, "connected_slaves", "0");
    assert!(FakeReplica::resume(server.connect(), &id, offset).1.starts_with("+FULLRESYNC"));
    let kept: u64 = field(&mut client, "repl_backlog_histlen").parse().expect("a number");
    assert!((100 << 10..400_000).contains(&kept), "{kept}");
}

#[test]
fn wait_asks_the_replicas_and_counts_their_answers() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("WAIT 0 0", ":0\r\n");
    let (mut replica, _) = FakeReplica::attach(server.connect());
    wait_for(&mut client, "slave0", "ip=127.0.0.1,port=4321,state=online,offset=0,lag=0");
    client.ask("SET a 1", "+OK\r\n");
    client.send("WAIT 1 0\r\n");
    replica.expect(&["SELECT 0", "SET a 1"]);
    replica.acknowledge();
    client.expect(":1\r\n");
    client.ask("SET a 2", "+OK\r\n");
    replica.expect(&["REPLCONF GETACK *", "SET a 2"]);
    client.ask("EVAL \"return redis.call('wait', 1, 0)\" 0", ":0\r\n");
    client.send("WAIT 2 50\r\nWAITAOF 0 1 50\r\n");
    replica.expect(&["REPLCONF GETACK *"]);
    replica.acknowledge();
    client.expect(":1\r\n*2\r\n:0\r\n:0\r\n");
    let offset = replica.offset.to_string();
    replica.link.send(request(&["REPLCONF", "ACK", &offset, "FACK", &offset]));
    client.send("WAITAOF 0 1 0\r\n");
    client.expect("*2\r\n:0\r\n:1\r\n");
    // What a transaction has written counts as well, and so does what a script has.
    for commands in ["MULTI\r\nSET a 3\r\nEXEC\r\n", "EVAL \"return redis.call('set','a',4)\" 0\r\n"] {
        client.send(commands);
        client.send("WAIT 1 20\r\nWAITAOF 0 1 20\r\nECHO done\r\n");
        while client.line() != ":0" {}
        client.expect("*2\r\n:0\r\n:0\r\n$4\r\ndone\r\n");
    }
}

#[test]
fn writes_are_refused_while_too_few_replicas_are_near() {
    let server = Server::start(&["--min-replicas-to-write", "1"]);
    let mut client = server.connect();
    let refusal = "-NOREPLICAS Not enough good replicas to write.\r\n";
    client.ask("SET a 1", refusal);
    client.ask("EVAL \"return redis.call('set','a',1)\" 0", "-NOREPLICAS Not enough good replicas to write. script: 119b0beb461d5982ddacc6dda6829882d5e16b4d, on @user_script:1.\r\n");
    client.ask("GET a", "$-1\r\n");
    let (_replica, _) = FakeReplica::attach(server.connect());
    wait_for(&mut client, "min_slaves_good_slaves", "1");
    client.ask("SET a 1", "+OK\r\n");
    client.ask("CONFIG SET min-slaves-to-write 2", "+OK\r\n");
    client.ask("SET a 1", refusal);
    client.ask("CONFIG SET min-slaves-to-write 0", "+OK\r\n");
    client.ask("SET a 1", "+OK\r\n");
}

#[test]
fn a_replica_that_does_not_read_is_closed_at_its_limit() {
    let limit = ["--client-output-buffer-limit", "replica 2mb 0 0"];
    let mut server = Server::start(&limit);
    let mut client = server.connect();
    let (_replica, _) = FakeReplica::attach(server.connect());
    let (mut reader, _) = FakeReplica::attach(server.connect());
    wait_for(&mut client, "connected_slaves", "2");
    let value = "x".repeat(1_000_000);
    for number in 0..30 {
        client.send(request(&["SET", "a", &value]));
        client.expect("+OK\r\n");
        if number == 0 {
            reader.expect(&["SELECT 0"]);
        }
        reader.next();
    }
    wait_for(&mut client, "connected_slaves", "1");
    // The log keeps nothing for it any more, beyond the backlog.
    server.wait_for_any(&["closed for overcoming of output buffer limits"]);
    let kept: u64 = field(&mut client, "mem_total_replication_buffers").parse().expect("a number");
    assert!(kept < 4_000_000, "{kept}");
    drop(reader);
}

#[test]
fn a_replica_is_no_client() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    let (mut replica, _) = FakeReplica::attach(server.connect());
    wait_for(&mut client, "connected_slaves", "1");
    assert_eq!(field(&mut client, "connected_clients"), "1");
    assert!(client.text("CLIENT LIST TYPE replica").contains(" flags=S "));
    replica.link.send("SET a 1\r\n");
    let line = server.wait_for_any(&["== CRITICAL =="]);
    let error = "'ERR Replica can't interact with the keyspace' after processing the command 'set'";
    assert!(line.ends_with(&format!("This master is sending an error to its replica: {error}")), "{line}");
    let line = server.wait_for_any(&["Replica generated a reply to command"]);
    assert!(line.contains("command 'set', disconnecting it: id="), "{line}");
    wait_for(&mut client, "connected_slaves", "0");
    // What it has sent together with SYNC comes from a replica as well.
    let mut replica = server.connect();
    replica.send("SYNC\r\nPING\r\n");
    server.wait_for_any(&["Replica generated a reply to command 'ping', disconnecting it: id="]);
    wait_for(&mut client, "connected_slaves", "0");
    let (replica, _) = FakeReplica::attach(server.connect());
    wait_for(&mut client, "connected_slaves", "1");
    client.ask("CLIENT KILL TYPE slave", ":1\r\n");
    wait_for(&mut client, "connected_slaves", "0");
    drop(replica);
}

#[test]
fn data_alone_or_functions_alone() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("SET before 1", "+OK\r\n");
    let code = "#!lua name=mine\nredis.register_function('f', function() return 1 end)";
    client.send(request(&["FUNCTION", "LOAD", code]));
    client.expect("$4\r\nmine\r\n");
    let only_data = ["REPLCONF rdb-only 1", "REPLCONF capa eof"];
    let mut replica = FakeReplica::begin(server.connect(), &only_data);
    let data = replica.marked_data();
    assert!(data.windows(6).any(|window| window == b"before"));
    replica.link.expect_end();
    let only_functions = ["REPLCONF rdb-only 1", "REPLCONF rdb-filter-only functions", "REPLCONF capa eof"];
    let mut replica = FakeReplica::begin(server.connect(), &only_functions);
    let data = replica.marked_data();
    assert!(!data.windows(6).any(|window| window == b"before"));
    assert!(data.windows(4).any(|window| window == b"mine"));
}

#[test]
fn a_delay_that_is_asked_for_is_kept_and_filled_with_signs_of_life() {
    let server = Server::start(&["--repl-diskless-sync-delay", "1000", "--repl-diskless-sync-max-replicas", "2"]);
    let mut first = server.connect();
    first.ask("REPLCONF capa eof", "+OK\r\n");
    first.send("PSYNC ? -1\r\n");
    first.expect("\n");
    let mut second = FakeReplica::begin(server.connect(), &["REPLCONF capa eof"]);
    second.marked_data();
    let line = first.line();
    assert!(line.trim_start().starts_with("+FULLRESYNC"), "{line}");
}

#[test]
fn a_shutdown_waits_until_the_replicas_have_everything() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    let (mut replica, _) = FakeReplica::attach(server.connect());
    wait_for(&mut client, "connected_slaves", "1");
    client.ask("SET a 1", "+OK\r\n");
    server.signal("TERM");
    server.wait_for_any(&["Waiting for replicas before shutting down"]);
    assert_ne!(field(&mut client, "shutdown_in_milliseconds"), "0");
    client.send("SET a 2\r\n");
    let mut other = server.connect();
    other.ask("SHUTDOWN ABORT", "+OK\r\n");
    client.expect("+OK\r\n");
    server.signal("TERM");
    replica.expect(&["SELECT 0", "SET a 1", "REPLCONF GETACK *", "SET a 2", "REPLCONF GETACK *"]);
    replica.acknowledge();
    let (status, log) = server.wait();
    assert!(status.success());
    assert!(log.iter().any(|line| line.contains("1 of 1 replicas are in sync when shutting down.")), "{log:?}");
}

#[test]
fn failover_is_refused_where_it_is_not_possible_and_ends_by_itself() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("FAILOVER", "-ERR FAILOVER requires connected replicas.\r\n");
    client.ask("FAILOVER ABORT", "-ERR No failover in progress.\r\n");
    client.ask("FAILOVER TIMEOUT 0", "-ERR FAILOVER timeout must be greater than 0\r\n");
    let (mut replica, _) = FakeReplica::attach(server.connect());
    wait_for(&mut client, "connected_slaves", "1");
    client.ask("FAILOVER TO 127.0.0.1 1", "-ERR FAILOVER target HOST and PORT is not a replica.\r\n");
    client.ask("SET a 1", "+OK\r\n");
    client.ask("FAILOVER TIMEOUT 300", "+OK\r\n");
    assert_eq!(field(&mut client, "master_failover_state"), "waiting-for-sync");
    client.ask("FAILOVER", "-ERR FAILOVER already in progress.\r\n");
    // Nobody writes until it is over.
    client.send("SET a 2\r\n");
    client.expect("+OK\r\n");
    server.wait_for_any(&["Failover aborted: timed out"]);
    replica.expect(&["SELECT 0", "SET a 1", "SET a 2"]);
    assert_eq!(field(&mut client, "master_failover_state"), "no-failover");
}

#[test]
fn messages_go_to_the_replicas_and_lone_commands_are_no_transactions() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let (mut replica, _) = FakeReplica::attach(server.connect());
    wait_for(&mut client, "connected_slaves", "1");
    client.ask("PUBLISH channel text", ":0\r\n");
    replica.expect(&["SELECT 0", "PUBLISH channel text"]);
    client.send("MULTI\r\nSET a 1\r\nINCR a\r\nEXEC\r\n");
    replica.expect(&["MULTI", "SET a 1", "INCR a", "EXEC"]);
    client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:2\r\n");
    client.send("MULTI\r\nSELECT 2\r\nSET a 1\r\nSELECT 0\r\nSET b 1\r\nEXEC\r\n");
    replica.expect(&["MULTI", "SELECT 2", "SET a 1", "SELECT 0", "SET b 1", "EXEC"]);
}

#[test]
fn fields_that_expire_go_in_a_form_that_the_replica_reads() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("HSET h f v", ":1\r\n");
    client.ask("HEXPIRE h 1000 FIELDS 1 f", "*1\r\n:1\r\n");
    let versions = [
        // It may be a newer one of Redis, which never says so.
        ("REPLCONF capa eof", "REDIS0012"),
        ("REPLCONF capa eof version 9.0.0", "VALKEY080"),
        ("REPLCONF capa eof capa rdb12 version 9.0.0", "REDIS0012"),
        ("REPLCONF version 9.0.0 capa rdb12 capa eof", "REDIS0012"),
    ];
    for (introduction, header) in versions {
        let mut replica = FakeReplica::begin(server.connect(), &[introduction]);
        assert!(replica.marked_data().starts_with(header.as_bytes()), "{introduction}");
    }
    let mut older = server.connect();
    older.ask("REPLCONF capa eof version 8.1.1", "+OK\r\n");
    older.send("PSYNC ? -1\r\n");
    // With this error replicas take their time before they ask again.
    assert!(older.line().trim_start().starts_with("-NOMASTERLINK Fields of hashes have expiry times"));
    older.expect_end();
    client.ask("DEL h", ":1\r\n");
    let mut replica = FakeReplica::begin(server.connect(), &["REPLCONF capa eof version 8.1.1"]);
    assert!(replica.marked_data().starts_with(b"REDIS0011"));
}

/// The suite of Redis expects one snapshot for all replicas that wait together.
#[test]
fn replicas_that_read_different_formats_share_the_older_one_while_it_does() {
    let mut server = Server::start(&["--repl-diskless-sync-delay", "1", "--repl-diskless-sync-max-replicas", "2"]);
    let mut client = server.connect();
    client.ask("SADD set a b c", ":3\r\n");
    let introductions = ["REPLCONF capa eof", "REPLCONF capa eof capa rdb12"];
    let attach = |server: &Server| {
        introductions.map(|introduction| {
            let mut link = server.connect();
            link.ask(introduction, "+OK\r\n");
            link.send("PSYNC ? -1\r\n");
            link
        })
    };
    let data = attach(&server).map(|link| FakeReplica::begun(link).marked_data());
    assert!(data[0].starts_with(b"REDIS0010") && data[0] == data[1]);
    server.wait_for_any(&["done reading from pipe, 2 replicas still up"]);
    client.ask("HSET h f v", ":1\r\n");
    client.ask("HEXPIRE h 1000 FIELDS 1 f", "*1\r\n:1\r\n");
    let data = attach(&server).map(|link| FakeReplica::begun(link).marked_data());
    assert!(data.iter().all(|data| data.starts_with(b"REDIS0012")));
    server.wait_for_any(&["done reading from pipe, 1 replicas still up"]);
}

/// Two replicas come in one turn, while a file in a format is written that one of them alone reads.
#[test]
fn a_file_that_not_all_of_them_read_is_joined_by_none() {
    let options = ["--repl-diskless-sync", "no", "--rdb-key-save-delay", "20000", "--enable-debug-command", "yes"];
    let server = Server::start(&options);
    let mut client = server.connect();
    (0..100).for_each(|number| client.ask(&format!("SET key:{number} x"), "+OK\r\n"));
    let newer = "REPLCONF capa eof version 8.1.1";
    let mut first = FakeReplica::begin(server.connect(), &[newer]);
    let mut links = [newer, "REPLCONF capa eof"].map(|introduction| {
        let mut link = server.connect();
        link.ask(introduction, "+OK\r\n");
        link
    });
    client.send("DEBUG SLEEP 0.3\r\n");
    links.iter_mut().for_each(|link| link.send("PSYNC ? -1\r\n"));
    client.expect("+OK\r\n");
    client.ask("CONFIG SET rdb-key-save-delay 0", "+OK\r\n");
    let [mut second, mut third] = links.map(FakeReplica::begun);
    assert!(first.counted_data().starts_with(b"REDIS0011"));
    second.counted_data();
    assert!(third.counted_data().starts_with(b"REDIS0010"), "it reads no other");
}

/// Redis 7.0 does not say that it reads version 10 alone, and comes again at once when it could not load another one.
#[test]
fn a_replica_that_could_not_load_what_it_was_sent_waits() {
    could_not_load("yes", |replica| drop(replica.marked_data()));
    could_not_load("no", |replica| drop(replica.counted_data()));
}

fn could_not_load(is_straight: &str, read: impl FnOnce(&mut FakeReplica)) {
    let server = Server::start(&["--repl-diskless-sync", is_straight]);
    let mut client = server.connect();
    client.ask("HSET h f v", ":1\r\n");
    client.ask("HEXPIRE h 1000 FIELDS 1 f", "*1\r\n:1\r\n");
    let introduction = ["REPLCONF listening-port 4321", "REPLCONF capa eof"];
    let mut replica = FakeReplica::begin(server.connect(), &introduction);
    read(&mut replica);
    // From then on it is the replica's turn.
    while !field(&mut client, "slave0").contains("state=online") {
        std::thread::yield_now();
    }
    drop(replica);
    wait_for(&mut client, "connected_slaves", "0");
    let ask = |port: &str| {
        let mut link = server.connect();
        link.ask(&format!("REPLCONF listening-port {port}"), "+OK\r\n");
        link.ask("REPLCONF capa eof", "+OK\r\n");
        link.send("PSYNC ? -1\r\n");
        link.line()
    };
    assert!(ask("4321").starts_with("-NOMASTERLINK Fields of hashes have expiry times"));
    assert!(ask("1234").trim_start().starts_with("+FULLRESYNC"), "another one is served");
    while ask("4321").starts_with("-NOMASTERLINK") {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
