//! Genuine servers as replicas: whatever happens here, they have the same data in the end.
//!
//! With `redis-server` on the PATH, and with those whose paths `GENUINE_SERVERS` lists, parted by colons.

#[path = "support/genuine.rs"]
mod genuine;
#[path = "support/server.rs"]
mod server;

use std::net::TcpStream;
use std::time::Instant;

use genuine::{Genuine, field, wait_until};
use server::{PATIENCE, Raw, Server};

type Client = Raw<TcpStream>;

const DEBUG: &[&str] = &["--enable-debug-command", "yes"];

/// The genuine servers that are at hand. Without any nothing is shown; `scripts/test` installs one.
fn programs() -> Vec<String> {
    let listed = std::env::var("GENUINE_SERVERS").unwrap_or_default();
    let others = listed.split(':').filter(|path| !path.is_empty()).map(str::to_string);
    std::iter::once("redis-server".to_string()).chain(others).collect()
}

fn replica_of(server: &Server, program: &str, more: &[&str]) -> Option<Genuine> {
    let primary = format!("127.0.0.1 {}", server.port);
    Genuine::start(program, &[DEBUG, &["--replicaof", &primary], more].concat())
}

/// Waits until a replica has applied everything that its primary has sent.
#[track_caller]
fn catch_up(primary: &mut Client, replica: &mut Client) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let offset = field(primary, "master_repl_offset");
        if field(replica, "slave_repl_offset") == offset && field(replica, "master_link_status") == "up" {
            return;
        }
        let figures = |client: &mut Client| client.text("INFO replication");
        assert!(Instant::now() < deadline, "{}\n{}", figures(primary), figures(replica));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn digest(client: &mut Client) -> String {
    client.send("DEBUG DIGEST\r\n");
    client.line()
}

#[track_caller]
fn expect_same(primary: &mut Client, replica: &mut Client) {
    // A key whose time is over may go between the two.
    let deadline = Instant::now() + PATIENCE;
    loop {
        catch_up(primary, replica);
        if digest(primary) == digest(replica) {
            return;
        }
        assert!(Instant::now() < deadline, "the data differ: {:?}", differences(primary, replica));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The keys that one of them has and the other has not, or with another value.
fn differences(primary: &mut Client, replica: &mut Client) -> Vec<String> {
    let [here, there] = [primary, replica].map(|client| {
        client.send("KEYS *\r\n");
        let count = client.line()[1..].parse().expect("a number of keys");
        let keys: Vec<String> = (0..count).map(|_| [client.line(), client.line()][1].clone()).collect();
        let digests = keys.into_iter().map(|key| {
            client.send(format!("DEBUG DIGEST-VALUE {key}\r\nPTTL {key}\r\n"));
            let lines = [client.line(), client.line(), client.line()].join(" ");
            (key, lines)
        });
        digests.collect::<std::collections::BTreeMap<String, String>>()
    });
    let keys: std::collections::BTreeSet<&String> = here.keys().chain(there.keys()).collect();
    let differs = keys.into_iter().filter(|key| here.get(*key) != there.get(*key));
    differs.map(|key| format!("{key}: {:?} {:?}", here.get(key), there.get(key))).take(20).collect()
}

/// Runs lines of commands, each with whatever reply.
fn run(client: &mut redis::Connection, lines: &str) {
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split(' ').map(|word| word.replace('·', " ").replace('¶', "\n"));
        let mut command = redis::cmd(&words.next().expect("a word"));
        for word in words {
            command.arg(word);
        }
        let reply: Result<redis::Value, _> = command.query(client);
        reply.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

/// One command of each kind that has a form of its own in the stream, or that makes a value of some kind. In a
/// word `·` stands for a blank and `¶` for the end of a line.
const CHANGES: &str = "
    SET text 1 EX 1000
    SET number 12 GET
    INCRBYFLOAT number 0.5
    APPEND text more
    GETEX text PX 100000
    GETSET other old
    GETDEL other
    SETRANGE bits 5 xyz
    BITFIELD bits SET u8 3 200
    MSET a 1 b 2 c 3
    PFADD loglog a b c
    PFMERGE loglogs loglog
    RPUSH list a b c d e f 1 2 3
    LMOVE list other-list LEFT RIGHT
    LMPOP 1 list RIGHT COUNT 2
    LINSERT list BEFORE d x
    SADD set a b c d e f g h
    SADD integers 1 2 3 4 5 6
    SPOP set
    SPOP set 3
    SMOVE set sets a
    SUNIONSTORE union set integers
    HSET hash a 1 b 2 c 3
    HINCRBYFLOAT hash a 1.5
    HDEL hash b
    ZADD scores 1 a 2 b 3 c 4 d
    ZINCRBY scores 5 a
    ZPOPMIN scores
    ZMPOP 1 scores MAX
    ZRANGESTORE range scores 0 -1
    GEOADD places 13 38 Palermo 15 37 Catania
    GEOSEARCHSTORE near places FROMLONLAT 15 37 BYRADIUS 300 km
    DEL stream
    XADD produced IDMP producer message * f v
    XADD produced IDMP producer message * f other
    XADD produced IDMPAUTO producer MAXLEN ~ 100 * f v
    XCFGSET produced IDMP-DURATION 500 IDMP-MAXSIZE 5
    XADD stream 5-1 field value
    XADD stream 5-2 field value
    XADD stream MAXLEN ~ 100 * field value
    XGROUP CREATE stream group 0
    XREADGROUP GROUP group one COUNT 2 STREAMS stream >
    XCLAIM stream group two 0 5-1
    XAUTOCLAIM stream group three 0 0
    XACK stream group 5-1
    XDEL stream 5-2
    EXPIRE list 1000
    PEXPIRE set 1
    EXPIREAT a 1
    PERSIST list
    COPY hash hashes
    RENAME b renamed
    SORT integers STORE sorted
    EVAL redis.call('set','s',1);redis.call('incr','s');redis.call('select',3);redis.call('set','s',5) 0
    FUNCTION LOAD REPLACE #!lua·name=mine¶redis.register_function('f',function(k)·return·redis.call('incr',k[1])·end)
    FCALL f 1 counted
    SWAPDB 4 5
    MOVE c 7
";

/// Values with sizes of every kind of encoding.
fn fill(client: &mut redis::Connection, prefix: &str) {
    let mut pipe = redis::pipe();
    for number in 0..300 {
        let key = |kind: &str| format!("{prefix}:{kind}:{}", number % 40);
        let member = format!("member-{number}-{}", "x".repeat(number));
        pipe.cmd("RPUSH").arg(key("list")).arg(&member).arg(number).ignore();
        pipe.cmd("SADD").arg(key("set")).arg(&member).arg(number).ignore();
        pipe.cmd("HSET").arg(key("hash")).arg(&member).arg(number).ignore();
        pipe.cmd("ZADD").arg(key("zset")).arg(number % 50).arg(&member).ignore();
        pipe.cmd("XADD").arg(key("stream")).arg(format!("{}-1", number + 1)).arg("f").arg(&member).ignore();
        pipe.cmd("SET").arg(key("text")).arg(member.repeat(number % 7)).ignore();
        pipe.cmd("SADD").arg(format!("{prefix}:integers")).arg(number).ignore();
    }
    let () = pipe.query(client).expect("all are written");
}

#[test]
fn a_genuine_replica_has_the_same_data_whatever_is_written() {
    for program in programs() {
        for more in [&[][..], &["--repl-diskless-sync", "no"]] {
            let server = Server::start(&[DEBUG, more].concat());
            let mut writer = server.client();
            fill(&mut writer, "before");
            run(&mut writer, CHANGES);
            let Some(replica) = replica_of(&server, &program, &[]) else { continue };
            let (mut here, mut there) = (server.connect(), replica.connect());
            fill(&mut writer, "while");
            expect_same(&mut here, &mut there);
            run(&mut writer, "FLUSHALL");
            fill(&mut writer, "after");
            run(&mut writer, CHANGES);
            let () = redis::pipe()
                .atomic()
                .cmd("SET")
                .arg("in")
                .arg("transaction")
                .ignore()
                .cmd("INCR")
                .arg("in2")
                .ignore()
                .query(&mut writer)
                .expect("EXEC");
            expect_same(&mut here, &mut there);
            assert_eq!(field(&mut here, "sync_full"), "1", "{program}");
            there.send("FUNCTION LIST LIBRARYNAME mine\r\n");
            assert_eq!(there.line(), "*1", "{program} has the library");
        }
    }
}

#[test]
fn keys_that_expire_or_are_evicted_go_there_too() {
    for program in programs() {
        let server = Server::start(DEBUG);
        let Some(replica) = replica_of(&server, &program, &[]) else { continue };
        let (mut here, mut there) = (server.connect(), replica.connect());
        let mut writer = server.client();
        let mut pipe = redis::pipe();
        for number in 0..2000 {
            let lifetime_ms = if number % 2 == 0 { 1 } else { 1_000_000 };
            pipe.cmd("SET").arg(number).arg("value").arg("PX").arg(lifetime_ms).ignore();
        }
        let () = pipe.query(&mut writer).expect("all are written");
        wait_until("half of the keys expire", || {
            here.send("DBSIZE\r\n");
            here.line() == ":1000"
        });
        expect_same(&mut here, &mut there);
        let used: u64 = field(&mut here, "used_memory").parse().expect("a number");
        run(&mut writer, &format!("CONFIG SET maxmemory {} maxmemory-policy allkeys-random", used + 6_000_000));
        let mut pipe = redis::pipe();
        for number in 0..1500 {
            pipe.cmd("SET").arg(format!("large:{number}")).arg("x".repeat(10_000)).ignore();
        }
        let () = pipe.query(&mut writer).expect("room is made");
        wait_until("keys are evicted", || field(&mut here, "evicted_keys").parse::<u64>().is_ok_and(|keys| keys > 100));
        expect_same(&mut here, &mut there);
    }
}

#[test]
fn a_replica_that_was_away_goes_on_where_it_was() {
    for program in programs() {
        let server = Server::start(DEBUG);
        let mut writer = server.client();
        fill(&mut writer, "before");
        let Some(replica) = replica_of(&server, &program, &[]) else { continue };
        let (mut here, mut there) = (server.connect(), replica.connect());
        catch_up(&mut here, &mut there);
        for round in 1..=5 {
            here.ask("CLIENT KILL TYPE replica", ":1\r\n");
            fill(&mut writer, &format!("round:{round}"));
            run(&mut writer, CHANGES);
            wait_until("it comes back", || field(&mut here, "sync_partial_ok") == round.to_string());
        }
        expect_same(&mut here, &mut there);
        assert_eq!(field(&mut here, "sync_full"), "1");
        // It has ended and begins anew, while everything goes on.
        drop((there, replica));
        wait_until("it is gone", || field(&mut here, "connected_slaves") == "0");
        let replica = replica_of(&server, &program, &[]).expect("it was there");
        fill(&mut writer, "later");
        expect_same(&mut here, &mut replica.connect());
        assert_eq!(field(&mut here, "sync_full"), "2");
    }
}

/// A second and a third replica come while the first one's data are on their way, and a client writes all the time.
#[test]
fn replicas_come_whenever_they_like() {
    for program in programs() {
        let server = Server::start(&[DEBUG, &["--rdb-key-save-delay", "300"]].concat());
        let mut writer = server.client();
        fill(&mut writer, "before");
        let mut pipe = redis::pipe();
        for number in 0..2000 {
            pipe.cmd("SET").arg(format!("key:{number}")).arg(number).ignore();
        }
        let () = pipe.query(&mut writer).expect("all are written");
        let writing = std::thread::spawn(move || {
            for round in 0..20 {
                fill(&mut writer, &format!("round:{round}"));
                run(&mut writer, CHANGES);
            }
        });
        let mut replicas = Vec::new();
        let mut here = server.connect();
        for number in 0..3 {
            let Some(replica) = replica_of(&server, &program, &[]) else { return };
            wait_until("it is known", || field(&mut here, "connected_slaves") == (number + 1).to_string());
            replicas.push(replica);
        }
        writing.join().expect("it writes to its end");
        for replica in &replicas {
            expect_same(&mut here, &mut replica.connect());
        }
        assert_eq!(field(&mut here, "sync_full"), "3");
    }
}

/// Reads at so many bytes a second from one socket, and writes to the other.
fn forward_slowly(mut from: TcpStream, mut to: TcpStream, bytes_per_turn: usize) {
    use std::io::{Read, Write};
    let mut buffer = vec![0; bytes_per_turn];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || to.write_all(&buffer[..count]).is_err() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// A slow line, and many writes: the log waits for the replica, which is not closed and gets everything.
#[test]
fn a_slow_reader_gets_everything() {
    let program = "redis-server";
    let server = Server::start(DEBUG);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let (port, target) = (listener.local_addr().expect("it is bound").port(), server.port);
    std::thread::spawn(move || {
        for near in listener.incoming().map_while(Result::ok) {
            let far = TcpStream::connect(("127.0.0.1", target)).expect("it listens");
            let pair = (near.try_clone().expect("a handle"), far.try_clone().expect("a handle"));
            std::thread::spawn(move || forward_slowly(pair.0, pair.1, 1 << 16));
            // Ten megabytes a second.
            std::thread::spawn(move || forward_slowly(far, near, 10_000));
        }
    });
    let primary = format!("127.0.0.1 {port}");
    let Some(replica) = Genuine::start(program, &[DEBUG, &["--replicaof", &primary]].concat()) else { return };
    let (mut here, mut there) = (server.connect(), replica.connect());
    catch_up(&mut here, &mut there);
    let mut writer = server.client();
    for round in 0..200 {
        let () = redis::cmd("SET").arg(round % 20).arg("x".repeat(100_000)).query(&mut writer).expect("SET");
    }
    let kept: u64 = field(&mut here, "mem_total_replication_buffers").parse().expect("a number");
    assert!(kept > 2 << 20, "the log waits for the replica: {kept}");
    expect_same(&mut here, &mut there);
    assert_eq!((field(&mut here, "sync_full"), field(&mut here, "sync_partial_ok")), ("1".into(), "0".into()));
    let kept: u64 = field(&mut here, "mem_total_replication_buffers").parse().expect("a number");
    assert!(kept < 2 << 20, "and for nobody any more: {kept}");
}

#[test]
fn redis_cli_takes_all_data_and_the_functions() {
    let server = Server::start(DEBUG);
    let mut writer = server.client();
    fill(&mut writer, "some");
    run(&mut writer, CHANGES);
    let mut here = server.connect();
    wait_until("the time of a key is over", || {
        here.send("EXISTS set\r\n");
        here.line() == ":0"
    });
    for (option, name) in [("--rdb", "all.rdb"), ("--functions-rdb", "functions.rdb")] {
        let path = server.folder.join(name);
        let command =
            std::process::Command::new("redis-cli").args(["-p", &server.port.to_string(), option]).arg(&path).output();
        let Ok(output) = command else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let Some(loaded) =
        Genuine::launch("redis-server", Some(&server.folder), &[DEBUG, &["--dbfilename", "all.rdb"]].concat())
    else {
        return;
    };
    let mut loaded = loaded;
    loaded.wait_until_ready().expect("it loads the file");
    assert_eq!(digest(&mut loaded.connect()), digest(&mut here));
}
