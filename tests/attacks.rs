//! Attacks on the whole server, over real sockets: nobody gets in, memory stays bounded, and others are served
//! meanwhile.

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use oneloop::storage::rdb::Checksum;
use server::{Raw, Server};

/// What the process may hold at most while it is attacked, in bytes.
const RESIDENT_MAX_BYTES: usize = 150 << 20;
/// How long the server may usually work on other things while a client waits that is no attacker: one built for release
/// (`ONELOOP_BINARY`), and one built for tests, which takes ten times as long for everything.
const OWN_WAIT_MAX: Duration = Duration::from_millis(10);
const OWN_WAIT_SLOW_MAX: Duration = Duration::from_millis(100);
/// How long such a client may wait all in all. That is much more: machines that run tests are busy, and the attackers
/// need their processors too.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How long an attack goes on that does not end by itself.
const ATTACK: Duration = Duration::from_millis(800);

static ALONE: Mutex<()> = Mutex::new(());

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// The time for which a process's first thread has been on a processor.
fn processor_time(process: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/schedstat")).expect("it runs");
    let nanos = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanos.expect("a number"))
}

/// Waits of a client that asks for little, one request after the other, until told to stop: how long the server worked
/// meanwhile, and how long they were.
fn waits(mut client: Raw<TcpStream>, process: u32, is_over: &AtomicBool) -> Vec<(Duration, Duration)> {
    let mut waits = Vec::new();
    while !is_over.load(Ordering::Relaxed) || waits.len() < 20 {
        let (started, worked) = (Instant::now(), processor_time(process));
        client.send("PING\r\n");
        let reply = client.line();
        assert!(reply == "+PONG" || reply.starts_with("-BUSY "), "{reply}");
        waits.push((processor_time(process) - worked, started.elapsed()));
        std::thread::sleep(Duration::from_millis(1));
    }
    waits
}

/// Says that the attack is over, even if it fails.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs an attack while another client is served, which must not wait long for it; then memory must be as it was.
#[track_caller]
fn withstand(server: &Server, bystander: Raw<TcpStream>, attack: impl FnOnce()) {
    // Attacks one after the other: it is the server's doing that is measured, not that of the other attacks.
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let is_over = AtomicBool::new(false);
    let process = server.process();
    let waits = std::thread::scope(|scope| {
        let watching = scope.spawn(|| waits(bystander, process, &is_over));
        let end = AtEnd(&is_over);
        attack();
        drop(end);
        watching.join().expect("it is served")
    });
    let (mut own, mut whole): (Vec<_>, Vec<_>) = waits.into_iter().unzip();
    own.sort_unstable();
    whole.sort_unstable();
    let (usual, long) = (own[own.len() / 2], whole[whole.len() * 9 / 10]);
    println!("waits: {usual:?} of work, {long:?}, at most {:?}", own.last());
    let own_max = match std::env::var_os("ONELOOP_BINARY") {
        Some(_) => OWN_WAIT_MAX,
        None => OWN_WAIT_SLOW_MAX,
    };
    assert!(usual < own_max, "the server lets others wait for {usual:?}");
    assert!(long < WAIT_MAX, "one of ten waits is longer than {long:?}");
    let resident = server.resident_bytes();
    assert!(resident < RESIDENT_MAX_BYTES, "{resident} bytes resident");
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).expect("the server accepts")
}

/// Sends as much as the server takes, until it ends the connection or the time is over. It may cut us off in between.
fn flood(mut stream: TcpStream, bytes: &[u8], until: Instant) {
    let mut replies = vec![0; 64 * 1024];
    stream.set_nonblocking(true).expect("a setting");
    while Instant::now() < until {
        let sent = match stream.write(bytes) {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(_) => return,
        };
        match stream.read(&mut replies) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            Ok(_) => {}
            Err(_) if !sent => std::thread::sleep(Duration::from_millis(1)),
            Err(_) => {}
        }
    }
}

#[test]
fn strangers_that_flood_the_server() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut admin = server.connect();
    admin.ask("AUTH secret", "+OK\r\n");
    let long = [b'x'; 16 * 1024];
    let floods: Vec<Vec<u8>> = vec![
        request(&[b"AUTH", b"wrong"]).repeat(500),
        request(&[b"AUTH", &long, &long]).repeat(4),
        request(&[b"HELLO", b"3", b"AUTH", b"default", b"x", b"SETNAME", &long]).repeat(4),
        request(&[b"SET", b"key", &long]).repeat(4),
        request(&[b"EVAL", b"while true do end", b"0"]).repeat(500),
        b"GET key\r\n".repeat(1000),
        b"*10\r\n".repeat(1000),
        b"\r\n".repeat(10_000),
        b"*-1\r\n*0\r\n".repeat(5000),
        b"x".repeat(32 * 1024),
        b"*9\r\n$16384\r\n".to_vec(),
        b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01".repeat(100),
    ];
    let bystander = {
        let mut client = server.connect();
        client.ask("AUTH secret", "+OK\r\n");
        client
    };
    withstand(&server, bystander, || {
        let until = Instant::now() + ATTACK;
        std::thread::scope(|scope| {
            for bytes in floods.iter() {
                let port = server.port;
                // Each comes again and again, as long as there is time.
                scope.spawn(move || {
                    while Instant::now() < until {
                        flood(connect(port), bytes, until);
                    }
                });
            }
        });
    });
    admin.ask("EXISTS key", ":0\r\n");
    admin.wait_for_clients(|list| list.lines().count() == 1);
    let log = admin.text("EVAL 'return redis.sha1hex(\"still there\")' 0");
    assert_eq!(log.len(), 40);
}

#[test]
fn frames_beyond_all_measure() {
    let server = Server::start(&[]);
    for (frame, error) in [
        ("*2147483648\r\n", "invalid multibulk length"),
        ("*99999999999999999999\r\n", "invalid multibulk length"),
        ("*1\r\n$536870913\r\n", "invalid bulk length"),
        ("*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
        ("*1\r\n$-2\r\n", "invalid bulk length"),
    ] {
        let mut client = server.connect();
        client.send(frame);
        client.expect(format!("-ERR Protocol error: {error}\r\n"));
        client.expect_end();
    }
    let lines = ["x", "*1", "*1\r\n$1"].map(|start| [start.as_bytes(), &[b'1'; 70_000]].concat());
    let errors = ["inline request", "mbulk count string", "bulk count string"];
    for (line, error) in lines.iter().zip(errors) {
        let mut client = server.connect();
        client.send(line);
        client.expect(format!("-ERR Protocol error: too big {error}\r\n"));
    }
    // What is only announced takes no memory.
    withstand(&server, server.connect(), || {
        let mut clients = Vec::new();
        for start in ["*2147483647\r\n", "*1048576\r\n$3\r\nSET\r\n", "*3\r\n$536870912\r\nx"] {
            for _ in 0..40 {
                let mut client = server.connect();
                client.send(start);
                clients.push(client);
            }
        }
        server.connect().ask("PING", "+PONG\r\n");
        server.connect().wait_for_clients(|list| list.lines().count() >= clients.len());
    });
}

#[test]
fn a_limit_holds_for_what_is_sent_and_for_what_is_queued() {
    let mut server = Server::start(&["--client-query-buffer-limit", "1mb"]);
    let value = vec![b'x'; 100_000];
    withstand(&server, server.connect(), || {
        let mut endless = server.connect();
        endless.send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$400000000\r\n");
        flood(endless.stream, &value, Instant::now() + Duration::from_secs(10));
        let mut queuing = server.connect();
        queuing.ask("MULTI", "+OK\r\n");
        let queued = request(&[b"SET", b"key", &value]);
        flood(queuing.stream, &queued, Instant::now() + Duration::from_secs(10));
    });
    server.connect().ask("EXISTS k key", ":0\r\n");
    for _ in 0..2 {
        server.wait_for_any(&["Closing client that reached max query buffer length"]);
    }
}

#[test]
fn a_million_tiny_requests() {
    const CONNECTIONS: usize = 20;
    const REQUESTS: usize = 50_000;
    let server = Server::start(&[]);
    withstand(&server, server.connect(), || {
        std::thread::scope(|scope| {
            for number in 0..CONNECTIONS {
                let mut client = server.connect();
                scope.spawn(move || {
                    let mut reader = Raw { stream: client.stream.try_clone().expect("a second handle") };
                    let (request, reply) = match number % 2 {
                        0 => ("PING\r\n", "+PONG\r\n"),
                        _ => ("*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", "$-1\r\n"),
                    };
                    std::thread::scope(|scope| {
                        scope.spawn(move || client.send(request.repeat(REQUESTS)));
                        for _ in 0..REQUESTS / 1000 {
                            reader.expect(reply.repeat(1000));
                        }
                    });
                });
            }
        });
    });
}

#[test]
fn clients_that_take_for_ever_to_say_a_word() {
    const SLOW: usize = 400;
    let server = Server::start(&["--hz", "100", "--timeout", "1"]);
    let mut admin = server.connect();
    withstand(&server, server.connect(), || {
        let mut clients: Vec<_> = (0..SLOW).map(|_| server.connect()).collect();
        for byte in b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$99" {
            for client in &mut clients {
                client.send([*byte]);
            }
            admin.ask("PING", "+PONG\r\n");
        }
        // Who says nothing more is given up.
        while admin.text("CLIENT LIST").lines().count() > 2 {
            std::thread::sleep(Duration::from_millis(20));
        }
        clients.iter_mut().for_each(|client| client.expect_end());
    });
    admin.ask("EXISTS key", ":0\r\n");
}

/// Values as no server writes them, with the right checksum.
#[test]
fn values_that_are_no_values() {
    const TRIES: usize = 3000;
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut values = Vec::new();
    for command in [
        "RPUSH v a 1 bb 2 ccc",
        "SADD v 1 2 3",
        "SADD v a b c",
        "HSET v a 1 b 2",
        "ZADD v 1 a 2 b",
        "XADD v 1-1 f v g w",
        "PFADD v a b c",
    ] {
        client.send(format!("DEL v\r\n{command}\r\nDUMP v\r\n"));
        client.line();
        let reply = client.line();
        if reply.starts_with('$') {
            client.line();
        }
        let length: usize = client.line()[1..].parse().expect("a length");
        let mut payload = vec![0; length];
        client.stream.read_exact(&mut payload).expect("the payload");
        client.expect("\r\n");
        values.push(payload);
    }
    let mut random = fastrand::Rng::with_seed(11);
    withstand(&server, server.connect(), || {
        for _ in 0..TRIES {
            let mut payload = values[random.usize(..values.len())].clone();
            let body = payload.len() - 10;
            for _ in 0..random.usize(1..4) {
                payload[random.usize(..body)] = random.u8(..);
            }
            let end = payload.len() - 8;
            let checksum = Checksum::of(&payload[..end]).to_le_bytes();
            payload[end..].copy_from_slice(&checksum);
            client.send(request(&[b"RESTORE", b"key", b"0", &payload, b"REPLACE"]));
            let reply = client.line();
            if reply == "+OK" {
                for usage in ["OBJECT ENCODING key", "MEMORY USAGE key", "DEL key", "EXISTS key"] {
                    client.send(format!("{usage}\r\n"));
                    if client.line().starts_with('$') {
                        client.line();
                    }
                }
            } else {
                assert_eq!(reply, "-ERR Bad data format", "{payload:?}");
            }
        }
    });
}

#[test]
fn scripts_that_want_too_much() {
    let server = Server::start(&["--busy-reply-threshold", "50"]);
    let mut client = server.connect();
    for script in [
        // Memory.
        "local t = {} for i = 1, 1e9 do t[i] = string.rep('x', 1e6) .. i end",
        "return string.rep('x', 2e9)",
        "local s = 'x' while true do s = s .. s end",
        "return cjson.encode(setmetatable({}, {__index = function() return 1 end}), ('x'):rep(2^31))",
        "local t = {} t[1] = t return cjson.encode(t)",
        "return cjson.decode(('['):rep(1e6))",
        "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
        "return struct.unpack('c2147483647', 'x')",
        "return struct.pack('c2147483647', 'x')",
        "return unpack({}, 1, 1e8)",
        "return redis.call('set', unpack({}, 1, 1e6))",
        "return redis.call('setrange', 'k', 536870911, ('x'):rep(2))",
        // The machine's stack.
        "local function f() return 1 + f() end return f()",
        "local function f() return coroutine.wrap(f)() end return f()",
        "return string.find(('('):rep(1e5), ('('):rep(1e5))",
        // A way out.
        "return loadstring('\\27LJ\\2')()",
        "return io.open('/etc/passwd')",
        "return os.execute('true')",
        "return require('ffi')",
        "return package.loadlib('/lib/x86_64-linux-gnu/libc.so.6', 'system')",
        "return dofile('/etc/passwd')",
        "return debug.getregistry()",
        "redis.call = nil",
        "rawset(redis, 'call', nil)",
        "string.rep = nil",
        "getmetatable('').__index = nil",
        "setfenv(0, {}) x = 1",
        "_G.x = 1",
        "return collectgarbage('count', redis.call('shutdown'))",
        "return redis.call('eval', 'return 1', 0)",
        "return redis.call('multi')",
        "return redis.call('monitor')",
    ] {
        client.send(request(&[b"EVAL", script.as_bytes(), b"0"]));
        let reply = client.line();
        assert!(reply.starts_with('-'), "{script}: {reply}");
    }
    // A script may use 1 GiB; what it leaves is given back, but for a part that the next one may need.
    let resident = server.resident_bytes();
    assert!(resident < 600 << 20, "{resident} bytes resident");
    client.ask("DBSIZE", ":0\r\n");
    client.ask("EVAL 'return #string.rep(\"x\", 3)' 0", ":3\r\n");
}

#[test]
fn a_subscriber_that_does_not_listen_is_given_up() {
    let server = Server::start(&["--client-output-buffer-limit", "pubsub 4mb 2mb 60"]);
    let mut deaf = server.connect();
    deaf.ask("SUBSCRIBE c", "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
    let mut publisher = server.connect();
    withstand(&server, server.connect(), || {
        let message = request(&[b"PUBLISH", b"c", &[b'x'; 10_000]]);
        loop {
            publisher.send(&message);
            if publisher.line() == ":0" {
                break;
            }
        }
    });
}
