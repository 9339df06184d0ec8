//! `oneloop::testing`: servers within the process of a test, with the `redis` crate as their client, and what they
//! leave alone of the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oneloop::testing::{Content, TestConnection, TestError, TestServer, Value};
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Commands, RedisConnectionInfo};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn client(server: &TestServer) -> redis::Connection {
    redis::Client::open(server.url()).and_then(|client| client.get_connection()).expect("it listens")
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("no text: {other:?}"),
    }
}

/// A field of INFO.
fn info(client: &mut TestConnection, name: &str) -> String {
    let all = text(&client.command(&["INFO", "everything"]).expect("it answers"));
    let line = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name}")).to_string()
}

/// Waits until something is so.
#[track_caller]
fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn many_servers_run_side_by_side() -> Outcome {
    const SERVERS: usize = 24;
    std::thread::scope(|scope| {
        let threads = (0..SERVERS).map(|number| {
            scope.spawn(move || {
                let server = TestServer::start().expect("it starts");
                let mut client = client(&server);
                for round in 0..100 {
                    let sum: usize = client.incr("counter", number).expect("it counts");
                    assert_eq!(sum, number * (round + 1), "of this server alone");
                }
                server.port()
            })
        });
        let threads: Vec<_> = threads.collect();
        let ports: BTreeSet<u16> = threads.into_iter().map(|thread| thread.join().expect("it passes")).collect();
        assert!(!ports.contains(&0));
    });
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_async_client_shares_a_connection() -> Outcome {
    let server = TestServer::start()?;
    let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
    let tasks = (0..20).map(|number: i64| {
        let mut connection = connection.clone();
        tokio::spawn(async move { connection.incr::<_, _, i64>("sum", number).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await??;
    }
    assert_eq!(connection.clone().get::<_, i64>("sum").await?, 190);
    Ok(())
}

/// Without a port: the client library runs over the connection that the server gives.
#[tokio::test]
async fn the_async_client_needs_no_port() -> Outcome {
    let server = TestServer::builder().without_socket().virtual_clock().start()?;
    assert_eq!((server.port(), server.url()), (0, String::new()));
    let socket = server.connect()?.into_stream();
    socket.set_nonblocking(true)?;
    let socket = tokio::net::UnixStream::from_std(socket)?;
    let (mut connection, driver) = MultiplexedConnection::new(&RedisConnectionInfo::default(), socket).await?;
    tokio::spawn(driver);
    connection.set_ex::<_, _, ()>("lock", "mine", 30).await?;
    server.advance(Duration::from_secs(29))?;
    assert!(connection.exists::<_, bool>("lock").await?);
    server.advance(Duration::from_secs(1))?;
    assert!(!connection.exists::<_, bool>("lock").await?);
    Ok(())
}

#[test]
fn a_virtual_clock_stands_still_and_expiry_is_exact() -> Outcome {
    let server = TestServer::builder().virtual_clock().config("notify-keyspace-events", "Ex").start()?;
    let (mut client, mut listener) = (server.connect()?, server.connect()?);
    listener.command(&["SUBSCRIBE", "__keyevent@0__:expired"])?;
    for number in 1..=100 {
        client.command(&["SET", &format!("key:{number}"), "v", "PX", &format!("{}", number * 100)])?;
    }
    std::thread::sleep(Duration::from_millis(150));
    assert_eq!(client.command(&["PTTL", "key:1"])?, Value::Integer(100));
    server.advance(Duration::from_millis(5000))?;
    assert_eq!(info(&mut client, "db0").split(',').next(), Some("keys=50"), "nothing is left for later");
    for number in 1..=50 {
        let expired = listener.receive()?;
        let Value::Array(words) = expired else { panic!("{expired:?}") };
        assert_eq!(words[2], Value::text(format!("key:{number}")), "in the order of their times");
    }
    client.command(&["HSET", "hash", "a", "1", "b", "2"])?;
    client.command(&["HPEXPIRE", "hash", "10", "FIELDS", "1", "a"])?;
    server.advance(Duration::from_millis(10))?;
    let hash = server.entry(0, "hash")?.expect("a field is left").content;
    assert_eq!(hash, Content::Hash(BTreeMap::from([(b"b".to_vec(), b"2".to_vec())])));
    let refused = TestServer::start()?.advance(Duration::from_secs(1));
    assert!(matches!(refused, Err(TestError::Refused(_))), "there is no virtual clock");
    Ok(())
}

#[test]
fn a_client_that_waits_times_out_with_the_virtual_clock_alone() -> Outcome {
    let server = TestServer::builder().virtual_clock().start()?;
    let (mut first, mut second) = (server.connect()?, server.connect()?);
    first.send(&["BLPOP", "jobs", "10"])?;
    second.send(&["BLPOP", "jobs", "20"])?;
    server.advance(Duration::from_secs(10))?;
    assert_eq!(first.receive()?, Value::Nil);
    server.connect()?.command(&["RPUSH", "jobs", "work"])?;
    assert_eq!(second.receive()?, Value::Array(vec![Value::text("jobs"), Value::text("work")]));
    Ok(())
}

#[test]
fn all_types_can_be_looked_into() -> Outcome {
    let server = TestServer::start()?;
    let mut client = server.connect()?;
    let bytes = |text: &str| text.as_bytes().to_vec();
    let elements: Vec<String> = (0..1000).map(|number| format!("element:{number}")).collect();
    let push: Vec<&str> = ["RPUSH", "list"].into_iter().chain(elements.iter().map(String::as_str)).collect();
    let add: Vec<&str> = ["SADD", "set"].into_iter().chain(elements.iter().map(String::as_str)).collect();
    client.command(&push)?;
    client.command(&add)?;
    client.command(&["SADD", "numbers", "3", "1"])?;
    client.command(&["SET", "number", "42"])?;
    client.command(&["XADD", "stream", "5-1", "name", "Ada"])?;
    let content = |key: &str| server.entry(0, key).map(|entry| entry.expect("it is there").content);
    assert_eq!(content("list")?, Content::List(elements.iter().map(|text| bytes(text)).collect()));
    assert_eq!(content("set")?, Content::Set(elements.iter().map(|text| bytes(text)).collect()));
    assert_eq!(content("numbers")?, Content::Set(BTreeSet::from([bytes("1"), bytes("3")])));
    assert_eq!(content("number")?, Content::String(bytes("42")));
    assert_eq!(content("stream")?, Content::Stream(vec![("5-1".to_string(), vec![(bytes("name"), bytes("Ada"))])]));
    assert_eq!(server.keys(0)?, ["list", "number", "numbers", "set", "stream"].map(bytes));
    assert_eq!(info(&mut client, "keyspace_hits"), "0", "looking leaves no trace");
    assert!(matches!(server.keys(16), Err(TestError::Refused(_))));
    Ok(())
}

#[test]
fn memory_is_the_servers_own() -> Outcome {
    let server = TestServer::builder().config("maxmemory", "8mb").config("maxmemory-policy", "allkeys-lru").start()?;
    let before = server.used_memory()?;
    let of_the_test = vec![1_u8; 64 << 20];
    assert_eq!(server.used_memory()?, before, "{} bytes are not its", of_the_test.len());
    let mut client = server.connect()?;
    // Strings of every form: within their records, in blocks of the heap, and in buffers of their own.
    for (bytes, keys) in [(1000, 10_000), (6000, 3000), (100_000, 200)] {
        for number in 0..keys {
            client.send(&["SET", &format!("{bytes}:{number}"), &"x".repeat(bytes)])?;
            assert_eq!(client.receive()?, Value::text("OK"));
        }
        let used = server.used_memory()?;
        assert!((6 << 20..=8 << 20).contains(&used), "{used} bytes with strings of {bytes}");
    }
    client.command(&["APPEND", "100000:199", &"x".repeat(1_000_000)])?;
    client.command(&["FLUSHALL"])?;
    await_that("all that was counted goes", || server.used_memory().is_ok_and(|used| used <= before + (256 << 10)));
    Ok(())
}

#[test]
fn the_process_stays_the_programs() -> Outcome {
    let folder = std::env::current_dir()?;
    let level = log::max_level();
    let server = TestServer::builder().config("enable-protected-configs", "yes").start()?;
    let mut client = server.connect()?;
    for (name, value) in [("dir", "/"), ("loglevel", "debug"), ("crash-log-enabled", "yes"), ("oom-score-adj", "yes")] {
        let refused = client.command(&["CONFIG", "SET", name, value])?;
        assert!(matches!(&refused, Value::Error(error) if error.contains("change the process")), "{name}: {refused:?}");
        let refused = TestServer::builder().config(name, value).start();
        assert!(matches!(refused, Err(TestError::Refused(_))), "{name}");
    }
    assert_eq!(client.command(&["CONFIG", "SET", "maxclients", "200000"])?, Value::text("OK"));
    assert_eq!((std::env::current_dir()?, log::max_level()), (folder, level));
    assert_eq!(client.command(&["BGSAVE"])?, Value::text("Background saving started"));
    await_that("it is saved", || info(&mut client, "rdb_saves") == "1");
    assert!(!std::path::Path::new("dump.rdb").exists(), "its disk is in memory");
    let status = std::fs::read_to_string("/proc/self/status")?;
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("Linux").trim();
    let caught = u64::from_str_radix(caught, 16)?;
    for signal in [1, 2, 15] {
        assert_eq!(caught & 1 << (signal - 1), 0, "no handler for signal {signal}");
    }
    Ok(())
}

#[test]
fn a_panic_is_an_error_of_the_test() -> Outcome {
    let start = || TestServer::builder().config("enable-debug-command", "yes").start();
    let server = start()?;
    assert!(server.connect()?.command(&["DEBUG", "PANIC"]).is_err());
    let error = server.keys(0).expect_err("the server is gone");
    assert!(matches!(&error, TestError::Panicked(message) if !message.is_empty()), "{error}");
    drop(server);
    let server = start()?;
    assert!(server.connect()?.command(&["DEBUG", "PANIC"]).is_err());
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(server)));
    let panic = dropped.expect_err("a test that has not asked fails by the drop");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.starts_with("the test server's thread has panicked"), "{message}");
    Ok(())
}

#[test]
fn a_server_that_was_shut_down_says_so() -> Outcome {
    let server = TestServer::start()?;
    assert!(server.connect()?.command(&["SHUTDOWN"]).is_err());
    assert!(matches!(server.keys(0), Err(TestError::Ended)));
    server.stop()?;
    let server = TestServer::builder().unix_socket().start()?;
    let path = server.unix_socket().expect("it was asked for").to_path_buf();
    assert!(path.exists());
    server.stop()?;
    assert!(!path.exists());
    Ok(())
}

/// A script that does not end does not keep a test from ending.
#[test]
fn a_server_that_is_busy_can_be_dropped() -> Outcome {
    let server = TestServer::builder().virtual_clock().config("busy-reply-threshold", "50").start()?;
    let mut client = server.connect()?;
    client.send(&["EVAL", "while true do end", "0"])?;
    await_that("it is busy", || {
        let reply = server.connect().and_then(|mut other| other.command(&["PING"]));
        matches!(reply, Ok(Value::Error(error)) if error.starts_with("BUSY"))
    });
    drop(server);
    Ok(())
}

#[test]
fn connections_break_off_behind_so_many_bytes() -> Outcome {
    let server = TestServer::start()?;
    let (mut whole, mut client) = (client(&server), server.connect()?);
    whole.set::<_, _, ()>("key", "a value of some length")?;
    server.drop_connections_after(12)?;
    let mut socket = client_socket(&mut client, &server)?;
    let broken = whole.get::<_, String>("key").expect_err("half of a reply");
    assert!(broken.is_connection_dropped() || broken.is_io_error(), "{broken}");
    std::io::Write::write_all(&mut socket, b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n")?;
    let mut received = Vec::new();
    std::io::Read::read_to_end(&mut socket, &mut received)?;
    assert_eq!(received, b"$22\r\na value");
    assert_eq!(self::client(&server).get::<_, String>("key")?, "a value of some length", "others are whole");
    Ok(())
}

/// The socket of a connection, in whose place the variable gets another one.
fn client_socket(
    client: &mut TestConnection,
    server: &TestServer,
) -> Result<std::os::unix::net::UnixStream, TestError> {
    Ok(std::mem::replace(client, server.connect()?).into_stream())
}

#[test]
fn replies_are_late_by_the_servers_clock() -> Outcome {
    let server = TestServer::start()?;
    let mut client = server.connect()?;
    server.delay_replies(Duration::from_millis(60))?;
    let began = Instant::now();
    let mut later = server.connect()?;
    assert_eq!((client.command(&["PING"])?, later.command(&["PING"])?), (Value::text("PONG"), Value::text("PONG")));
    assert!(began.elapsed() >= Duration::from_millis(120), "{:?}", began.elapsed());
    server.delay_replies(Duration::ZERO)?;
    let server = TestServer::builder().virtual_clock().start()?;
    let mut client = server.connect()?;
    server.delay_replies(Duration::from_secs(3600))?;
    client.send(&["PING"])?;
    let socket = client_socket(&mut client, &server)?;
    server.advance(Duration::from_secs(3599))?;
    socket.set_nonblocking(true)?;
    let nothing = std::io::Read::read(&mut &socket, &mut [0; 100]).expect_err("nothing has come");
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    server.advance(Duration::from_secs(1))?;
    let mut reply = [0; 7];
    std::io::Read::read_exact(&mut &socket, &mut reply)?;
    assert_eq!(&reply, b"+PONG\r\n");
    Ok(())
}

#[test]
fn a_sync_that_fails_is_met_as_the_policy_says() -> Outcome {
    let start = |policy| TestServer::builder().config("appendonly", "yes").config("appendfsync", policy).start();
    let server = start("always")?;
    let mut client = server.connect()?;
    assert_eq!(client.command(&["SET", "key", "1"])?, Value::text("OK"));
    server.fail_next_sync()?;
    assert!(client.command(&["SET", "key", "2"]).is_err(), "nothing is acknowledged that is not on the disk");
    assert!(matches!(server.keys(0), Err(TestError::Ended)));
    let server = TestServer::builder().config("save", "3600 1").start()?;
    let mut client = server.connect()?;
    client.command(&["SET", "key", "1"])?;
    server.fail_next_sync()?;
    client.command(&["BGSAVE"])?;
    await_that("it has failed", || info(&mut client, "rdb_last_bgsave_status") == "err");
    let refused = client.command(&["SET", "key", "2"])?;
    assert!(matches!(&refused, Value::Error(error) if error.starts_with("MISCONF")), "{refused:?}");
    assert_eq!(client.command(&["SAVE"])?, Value::text("OK"));
    assert_eq!(client.command(&["SET", "key", "2"])?, Value::text("OK"));
    Ok(())
}

#[test]
fn a_replica_loses_its_primary_and_finds_it_again() -> Outcome {
    // The same seed makes no two servers one.
    let primary = TestServer::builder().seed(1).start()?;
    let mut writer = primary.connect()?;
    writer.command(&["SET", "key", "1"])?;
    let of = format!("127.0.0.1 {}", primary.port());
    let replica = TestServer::builder().seed(1).config("replicaof", of).start()?;
    let mut reader = replica.connect()?;
    let is_up = |reader: &mut TestConnection| info(reader, "master_link_status") == "up";
    await_that("it follows", || is_up(&mut reader));
    assert_eq!(reader.command(&["GET", "key"])?, Value::text("1"));
    replica.lose_primary()?;
    assert!(!is_up(&mut reader));
    writer.command(&["SET", "key", "2"])?;
    std::thread::sleep(Duration::from_millis(1200));
    assert!(!is_up(&mut reader), "it stays out of reach");
    assert_eq!(reader.command(&["GET", "key"])?, Value::text("1"));
    replica.find_primary()?;
    await_that("it follows again", || is_up(&mut reader));
    await_that("it catches up", || reader.command(&["GET", "key"]).is_ok_and(|value| value == Value::text("2")));
    assert!(matches!(primary.lose_primary(), Err(TestError::Refused(_))));
    Ok(())
}

#[test]
fn what_was_sent_before_comes_before() -> Outcome {
    let server = TestServer::builder().without_socket().start()?;
    let mut client = server.connect()?;
    for round in 0..200 {
        client.send(&["SET", "round", &round.to_string()])?;
        let seen = server.entry(0, "round")?.expect("it is set").content;
        assert_eq!(seen, Content::String(round.to_string().into_bytes()));
    }
    Ok(())
}

#[test]
fn keys_are_evicted_on_request_whatever_the_policy() -> Outcome {
    let server = TestServer::builder().seed(3).config("notify-keyspace-events", "Ee").start()?;
    let (mut client, mut listener) = (server.connect()?, server.connect()?);
    listener.command(&["SUBSCRIBE", "__keyevent@0__:evicted"])?;
    client.command(&["MSET", "a", "1", "b", "2", "c", "3"])?;
    assert_eq!(server.evict(2)?, 2);
    assert_eq!(server.keys(0)?.len(), 1);
    assert!(matches!(listener.receive()?, Value::Array(_)));
    assert_eq!(server.evict(2)?, 1);
    assert_eq!(client.command(&["CONFIG", "GET", "maxmemory-policy"])?, {
        Value::Array(vec![Value::text("maxmemory-policy"), Value::text("noeviction")])
    });
    Ok(())
}

/// The client library works on a connection that breaks off now and then, if the test tries again.
#[test]
fn a_client_that_tries_again_gets_through() -> Outcome {
    let server = TestServer::start()?;
    let attempts = AtomicUsize::new(0);
    let mut connection = client(&server);
    server.drop_connections_after(5)?;
    let value: i64 = loop {
        attempts.fetch_add(1, Ordering::Relaxed);
        match redis::cmd("INCRBY").arg("key").arg(1_000_000).query(&mut connection) {
            Ok(value) => break value,
            Err(_) => connection = client(&server),
        }
    };
    assert_eq!((value, attempts.into_inner()), (2_000_000, 2), "it was run twice");
    Ok(())
}
