//! The whole server, over real sockets.

#[path = "support/server.rs"]
mod server;

use std::io::{ErrorKind, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use redis::{Commands, ConnectionLike};
use server::{PATIENCE, Raw, Server, free_port};

fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[test]
fn a_client_library_sets_and_gets() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let () = client.set("key", "value").expect("SET");
    let value: String = client.get("key").expect("GET");
    assert_eq!(value, "value");
    let nothing: Option<String> = client.get("nothing").expect("GET");
    assert_eq!(nothing, None);
    assert!(client.check_connection());
}

#[test]
fn a_client_library_shakes_hands_in_resp3() {
    let server = Server::start(&["--requirepass", "secret"]);
    let address = format!("redis://:secret@127.0.0.1:{}/?protocol=resp3", server.port);
    let mut client = redis::Client::open(address).expect("an address").get_connection().expect("a handshake");
    let value: redis::Value = redis::cmd("HELLO").query(&mut client).expect("HELLO");
    let redis::Value::Map(fields) = value else { panic!("a map, not {value:?}") };
    let proto = (redis::Value::BulkString(b"proto".to_vec()), redis::Value::Int(3));
    assert!(fields.contains(&proto), "{fields:?}");
}

#[test]
fn a_long_pipeline_is_answered_in_order() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let (mut requests, mut replies) = (Vec::new(), String::new());
    for number in 0..20_000 {
        let (key, value) = (format!("key:{}", number % 100), number.to_string());
        requests.extend(request(&[b"SET", key.as_bytes(), value.as_bytes()]));
        requests.extend(request(&[b"GET", key.as_bytes()]));
        replies.push_str(&format!("+OK\r\n${}\r\n{value}\r\n", value.len()));
    }
    let mut writer = Raw { stream: client.stream.try_clone().expect("a second handle") };
    let sending = std::thread::spawn(move || writer.send(requests));
    client.expect(replies);
    sending.join().expect("everything is sent");
}

#[test]
fn inline_requests() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("PING\r\n\n");
    client.expect("+PONG\r\n");
    client.send("\r\n\r\nset 'a key' \"a\\x00b\"\nGET \"a key\"\r\n");
    client.expect("+OK\r\n$3\r\na\0b\r\n");
}

#[test]
fn http_is_cut_off_without_a_word() {
    let mut server = Server::start(&[]);
    let mut other = server.connect();
    for attack in [
        "POST / HTTP/1.1\r\nContent-Length: 13\r\n\r\nSET key 1\r\n",
        "PING\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\nSET key 2\r\n",
        "*2\r\n$4\r\npOsT\r\n$0\r\n\r\n",
    ] {
        let mut attacker = server.connect();
        attacker.send(attack);
        attacker.expect_end();
    }
    other.ask("GET key", "$-1\r\n");
    other.ask("POSTS", "-ERR unknown command 'POSTS', with args beginning with: \r\n");
    server.signal("TERM");
    let (_, log) = server.wait();
    let warnings = log.iter().filter(|line| {
        line.contains(" # Possible SECURITY ATTACK detected. It looks like somebody is sending POST or Host: ")
    });
    assert_eq!(warnings.count(), 1, "{log:#?}");
}

#[test]
fn a_client_that_sends_one_byte_at_a_time() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let mut requests = request(&[b"SET", b"key", &[b'x'; 300]]);
    requests.extend(b"PING inline\r\n");
    requests.extend(request(&[b"GET", b"key"]));
    for byte in requests {
        client.send([byte]);
    }
    client.expect(format!("+OK\r\n$6\r\ninline\r\n$300\r\n{}\r\n", "x".repeat(300)));
}

#[test]
fn a_half_closed_client_gets_all_its_replies() {
    let server = Server::start(&[]);
    let value = vec![b'x'; 8 << 20];
    let mut client = server.connect();
    client.send(request(&[b"SET", b"big", &value]));
    client.expect("+OK\r\n");
    client.send("GET big\r\nGET big\r\nPING\r\n");
    client.finish();
    for _ in 0..2 {
        client.expect(format!("${}\r\n", value.len()));
        client.expect(&value);
        client.expect("\r\n");
    }
    client.expect("+PONG\r\n");
    client.expect_end();
}

#[test]
fn twenty_megabytes_there_and_back() {
    let server = Server::start(&[]);
    let mut client = server.client();
    let value: Vec<u8> = (0..20u32 << 20).map(|index| (index ^ (index >> 8)) as u8).collect();
    let () = client.set("big", &value).expect("SET");
    let got: Vec<u8> = client.get("big").expect("GET");
    assert!(got == value);
}

#[test]
fn a_slow_reader_neither_holds_others_up_nor_fills_the_memory() {
    const REQUESTS: usize = 40_000;
    let server = Server::start(&[]);
    let mut slow = server.connect();
    let value = vec![b'x'; 8000];
    slow.send(request(&[b"SET", b"key", &value]));
    slow.expect("+OK\r\n");
    let mut writer = Raw { stream: slow.stream.try_clone().expect("a second handle") };
    let sending = std::thread::spawn(move || {
        for _ in 0..REQUESTS / 1000 {
            writer.send(request(&[b"GET", b"key"]).repeat(1000));
        }
    });
    let mut other = server.connect();
    // 320 MB are asked for; reading stops when a tenth of that waits to be sent. The sockets have room
    // for a part of it.
    other.wait_for_clients(|list| {
        let pending = list.split_once(" omem=").and_then(|(_, rest)| rest.split(' ').next());
        pending.and_then(|text| text.parse().ok()).is_some_and(|bytes: usize| bytes >= 16 << 20)
    });
    for _ in 0..100 {
        other.ask("PING", "+PONG\r\n");
    }
    let resident = server.resident_bytes();
    assert!(resident < 150 << 20, "{resident} bytes resident");
    let reply = [b"$8000\r\n".as_slice(), &value, b"\r\n"].concat();
    for _ in 0..REQUESTS {
        slow.expect(&reply);
    }
    sending.join().expect("everything is sent");
}

#[test]
fn a_pipeline_of_slow_commands_lets_others_in_between() {
    let server = Server::start(&["--enable-debug-command", "yes"]);
    let (mut slow, mut other) = (server.connect(), server.connect());
    slow.send("DEBUG SLEEP 0.01\r\n".repeat(30));
    slow.expect("+OK\r\n");
    let stats = other.text("INFO commandstats");
    let calls = stats.split_once("cmdstat_debug:calls=").and_then(|(_, rest)| rest.split(',').next()?.parse().ok());
    assert!(calls.is_some_and(|calls: u32| calls < 30), "{stats}");
}

#[test]
fn a_flood_of_quick_commands_does_not_take_all_of_a_turn() {
    let server = Server::start(&[]);
    let mut flood = server.connect();
    flood.send("CLIENT REPLY OFF\r\n");
    flood.send("PING\r\n".repeat(200_000));
    flood.send("CLIENT REPLY ON\r\n");
    flood.expect("+OK\r\n");
    let info = server.connect().text("INFO debug");
    let most = info.split_once("eventloop_cmd_per_cycle_max:").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    // One read would bring 10,922 of them.
    assert!(most.is_some_and(|commands: u32| commands < 10_000), "{info}");
}

#[test]
fn who_has_not_logged_in_must_read_the_replies() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut stranger = server.connect();
    stranger.stream.set_nonblocking(true).expect("a setting");
    let requests = "GET key\r\n".repeat(10_000);
    let mut admin = server.connect();
    admin.ask("AUTH secret", "+OK\r\n");
    // Until the sockets are full and stay so, over turns in which the server could have read.
    let mut refusals = 0;
    while refusals < 50 {
        refusals = match std::io::Write::write(&mut stranger.stream, requests.as_bytes()) {
            Ok(_) => 0,
            Err(_) => refusals + 1,
        };
        let list = admin.text("CLIENT LIST");
        let pending = list.split_once(" omem=").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        assert!(pending.is_some_and(|bytes: usize| bytes < 100 * 1024), "{list}");
    }
}

#[test]
fn garbage_is_answered_by_an_error_and_the_end() {
    let server = Server::start(&[]);
    for (garbage, error) in [
        ("*x\r\n", "-ERR Protocol error: invalid multibulk length\r\n"),
        ("*1\r\n+PING\r\n", "-ERR Protocol error: expected '$', got '+'\r\n"),
        ("*1\r\n$-1\r\n", "-ERR Protocol error: invalid bulk length\r\n"),
        ("PING \"open\r\n", "-ERR Protocol error: unbalanced quotes in request\r\n"),
        ("PING\r\n*2147483648\r\n", "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"),
    ] {
        let mut client = server.connect();
        client.send(garbage);
        client.expect(error);
        client.expect_end();
    }
}

#[test]
fn five_thousand_connections_come_and_go() {
    let server = Server::start(&[]);
    let mut watcher = server.connect();
    for round in 0..50 {
        let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
        if round % 10 == 0 {
            clients.iter_mut().for_each(|client| client.ask("PING", "+PONG\r\n"));
        }
    }
    let list = watcher.wait_for_clients(|list| list.lines().count() == 1);
    assert!(list.starts_with("id=1 "), "{list}");
    server.connect().ask("CLIENT ID", ":5002\r\n");
}

#[test]
fn sigterm_ends_it_in_good_order() {
    let mut server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("PING", "+PONG\r\n");
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0));
    let mut phrases = ["Received SIGTERM scheduling shutdown...", "User requested shutdown...", "bye bye"].iter();
    let mut awaited = phrases.next();
    for line in &log {
        if awaited.is_some_and(|phrase| line.contains(phrase)) {
            awaited = phrases.next();
        }
    }
    assert_eq!(awaited, None, "{log:#?}");
    client.expect_end();
}

#[test]
fn a_pause_holds_writers_until_it_is_ended() {
    let server = Server::start(&[]);
    let (mut admin, mut writer) = (server.connect(), server.connect());
    // Past what is parsed in place, in pieces, with more behind it: nothing of it may be lost.
    let value = vec![b'x'; 100_000];
    let set = request(&[b"SET", b"key", &value]);
    writer.send(&set[..50_000]);
    admin.ask("CLIENT PAUSE 1000000 WRITE", "+OK\r\n");
    writer.send(&set[50_000..]);
    writer.send("PING\r\nSET other x\r\nPING last\r\n");
    // A message would reach a replica, and overtake no write.
    let mut publisher = server.connect();
    publisher.send("PUBLISH channel message\r\n");
    admin.wait_for_clients(|list| list.matches(" flags=b ").count() == 2);
    admin.ask("GET key", "$-1\r\n");
    admin.ask("CLIENT UNPAUSE", "+OK\r\n");
    writer.expect("+OK\r\n+PONG\r\n+OK\r\n$4\r\nlast\r\n");
    publisher.expect(":0\r\n");
    admin.wait_for_clients(|list| !list.contains(" flags=b "));
    assert_eq!(admin.text("GET key").len(), value.len());
}

#[test]
fn a_pause_ends_by_itself() {
    let server = Server::start(&[]);
    let (mut admin, mut other) = (server.connect(), server.connect());
    let start = Instant::now();
    admin.ask("CLIENT PAUSE 100", "+OK\r\n");
    other.ask("PING", "+PONG\r\n");
    admin.ask("PING", "+PONG\r\n");
    let elapsed_ms = start.elapsed().as_millis();
    assert!(elapsed_ms >= 99, "after {elapsed_ms} ms");
}

#[test]
fn who_hangs_up_while_held_back_is_forgotten() {
    let server = Server::start(&[]);
    let (mut admin, mut writer) = (server.connect(), server.connect());
    admin.ask("CLIENT PAUSE 1000000 WRITE", "+OK\r\n");
    writer.send("SET key value\r\n");
    admin.wait_for_clients(|list| list.contains(" flags=b "));
    drop(writer);
    admin.wait_for_clients(|list| list.lines().count() == 1);
    admin.ask("CLIENT UNPAUSE", "+OK\r\n");
    admin.ask("GET key", "$-1\r\n");
}

#[test]
fn clients_are_killed() {
    let server = Server::start(&[]);
    let (mut admin, mut victim, mut bystander) = (server.connect(), server.connect(), server.connect());
    victim.ask("CLIENT ID", ":2\r\n");
    admin.ask("CLIENT KILL ID 2", ":1\r\n");
    victim.expect_end();
    admin.ask("CLIENT KILL ID 2", ":0\r\n");
    let local = bystander.stream.local_addr().expect("it is bound");
    bystander.send(format!("CLIENT KILL {local}\r\nSET key value\r\n"));
    bystander.expect("+OK\r\n");
    bystander.expect_end();
    admin.ask("GET key", "$-1\r\n");
    admin.wait_for_clients(|list| list.lines().count() == 1);
}

#[test]
fn replies_are_left_out_within_a_pipeline() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("CLIENT REPLY SKIP\r\nPING a\r\nPING b\r\nCLIENT REPLY OFF\r\nPING c\r\nNOSUCH\r\n");
    client.send("CLIENT REPLY SKIP\r\nPING d\r\nPING e\r\nCLIENT REPLY ON\r\nPING f\r\n");
    client.expect("$1\r\nb\r\n+OK\r\n$1\r\nf\r\n");
}

#[test]
fn quit_ends_a_pipeline() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send("PING\r\nQUIT\r\nSET key value\r\n");
    client.expect("+PONG\r\n+OK\r\n");
    client.expect_end();
    server.connect().ask("GET key", "$-1\r\n");
}

#[test]
fn a_monitor_sees_another_client() {
    let server = Server::start(&[]);
    let (mut monitor, mut client) = (server.connect(), server.connect());
    monitor.ask("MONITOR", "+OK\r\n");
    client.ask("SET key \"a\\nb\"", "+OK\r\n");
    let line = monitor.line();
    let local = client.stream.local_addr().expect("it is bound");
    assert!(line.starts_with('+') && line.ends_with(&format!(" [0 {local}] \"SET\" \"key\" \"a\\nb\"")), "{line}");
}

#[test]
fn a_monitor_that_does_not_read_is_closed() {
    let server = Server::start(&["--client-output-buffer-limit", "pubsub 1mb 0 0"]);
    let (mut monitor, mut client) = (server.connect(), server.connect());
    monitor.ask("MONITOR", "+OK\r\n");
    let value = vec![b'x'; 1 << 20];
    // More than the sockets have room for.
    for _ in 0..30 {
        client.send(request(&[b"SET", b"key", &value]));
        client.expect("+OK\r\n");
    }
    client.wait_for_clients(|list| list.lines().count() == 1);
}

#[test]
fn who_has_not_logged_in_may_send_little() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut client = server.connect();
    client.ask("GET key", "-NOAUTH Authentication required.\r\n");
    client.send("*11\r\n");
    client.expect("-ERR Protocol error: unauthenticated multibulk length\r\n");
    client.expect_end();
    let mut client = server.connect();
    client.send("*1\r\n$20000\r\n");
    client.expect("-ERR Protocol error: unauthenticated bulk length\r\n");
    client.expect_end();
    let mut client = server.connect();
    let mut requests = request(&[b"AUTH", b"secret"]);
    requests.extend(request(&[b"SET", b"key", &[b'x'; 20_000]]));
    client.send(requests);
    client.expect("+OK\r\n+OK\r\n");
}

#[test]
fn a_client_that_has_not_logged_in_and_does_not_read_is_closed() {
    let server = Server::start(&["--requirepass", "secret"]);
    let mut client = server.connect();
    let timeout = Some(std::time::Duration::from_secs(20));
    client.stream.set_write_timeout(timeout).expect("sockets have timeouts");
    // The replies are far more than the sockets have room for.
    let requests = b"GET k\r\n".repeat(100_000);
    let error = (0..100).find_map(|_| client.stream.write_all(&requests).err());
    let kind = error.map(|error| error.kind());
    assert!(matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)), "{kind:?}");
    let mut other = server.connect();
    other.ask("AUTH secret", "+OK\r\n");
    other.wait_for_clients(|list| list.lines().count() == 1);
}

#[test]
fn no_more_clients_than_allowed() {
    let server = Server::start(&["--maxclients", "2"]);
    let (mut first, mut second) = (server.connect(), server.connect());
    first.ask("PING", "+PONG\r\n");
    second.ask("PING", "+PONG\r\n");
    let mut third = server.connect();
    third.expect("-ERR max number of clients reached\r\n");
    third.expect_end();
    drop(second);
    first.wait_for_clients(|list| list.lines().count() == 1);
    server.connect().ask("PING", "+PONG\r\n");
}

#[test]
fn without_file_descriptors_it_waits_in_peace_and_goes_on() {
    let mut server = Server::start(&["--hz", "500"]);
    let mut first = server.connect();
    first.ask("PING", "+PONG\r\n");
    server.allow_more_files(0);
    let mut others: Vec<_> = (0..50).map(|_| server.connect()).collect();
    let start = Instant::now();
    while start.elapsed().as_millis() < 200 {
        first.ask("PING", "+PONG\r\n");
    }
    server.allow_more_files(100);
    for other in &mut others {
        other.ask("PING", "+PONG\r\n");
    }
    server.signal("TERM");
    let (_, log) = server.wait();
    let complaints = log.iter().filter(|line| line.contains("Accepting client connection: "));
    // One, and one for each second that a busy machine takes for this.
    let seconds = start.elapsed().as_secs() as usize;
    assert!((1..=2 + seconds).contains(&complaints.count()), "{log:#?}");
}

#[test]
fn idle_clients_are_closed_after_the_timeout() {
    let server = Server::start(&["--timeout", "1"]);
    let (mut idle, mut monitor) = (server.connect(), server.connect());
    monitor.ask("MONITOR", "+OK\r\n");
    let start = Instant::now();
    idle.ask("PING", "+PONG\r\n");
    idle.expect_end();
    let elapsed = start.elapsed();
    assert!(elapsed.as_millis() >= 1000 && elapsed < PATIENCE, "after {elapsed:?}");
    assert!(monitor.line().ends_with("\"PING\""));
    monitor.ask("PING", "+PONG\r\n");
}

#[test]
fn a_port_in_use_is_said_and_ends_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let port = taken.local_addr().expect("it is bound").port();
    let mut server = Server::launch(port, &[]);
    server.wait_for_any(&[&format!("Failed listening on port {port} (tcp), aborting.")]);
    let (status, _) = server.wait();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_setting_that_promises_what_is_not_there_is_warned_of() {
    let mut server = Server::launch(free_port(), &["--lua-enable-deprecated-api", "yes"]);
    server.wait_for_any(&[
        "Warning: 'lua-enable-deprecated-api' is set but has no effect in this version: scripts find no newproxy, getfenv \
         and setfenv.",
    ]);
}

#[test]
fn the_log_has_the_form_that_is_asked_for() {
    let options = ["--log-format", "json", "--log-timestamp-format", "milliseconds"];
    let mut server = Server::launch(free_port(), &options);
    server.wait_for_any(&["\"role\":\"primary\",\"timestamp\":\"1"]);
    server.signal("TERM");
}

#[test]
fn a_unix_socket_has_the_group_that_is_asked_for() {
    use std::os::unix::fs::MetadataExt;
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    // Others may choose no group but their own.
    if !is_root {
        return;
    }
    let path = std::env::temp_dir().join(format!("oneloop-group-{}.sock", free_port()));
    let text = path.to_str().expect("a plain path");
    let server = Server::start(&["--unixsocket", text, "--unixsocketgroup", "daemon"]);
    assert_eq!(std::fs::metadata(&path).expect("the socket is there").gid(), 1);
    server.signal("TERM");
}

#[test]
fn a_unix_socket_serves_as_well() {
    let name = format!("oneloop-{}.sock", free_port());
    let path = std::env::temp_dir().join(name);
    let path = path.to_str().expect("a plain path");
    let mut server = Server::start(&["--unixsocket", path]);
    let connect = || {
        let stream = UnixStream::connect(path).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Raw { stream }
    };
    let (mut monitor, mut client) = (connect(), connect());
    monitor.ask("MONITOR", "+OK\r\n");
    client.ask("SET key value", "+OK\r\n");
    let line = monitor.line();
    assert!(line.ends_with(&format!(" [0 unix:{path}] \"SET\" \"key\" \"value\"")), "{line}");
    let info = client.text("CLIENT INFO");
    assert!(info.contains(&format!(" addr={path}:0 laddr={path}:0 ")), "{info}");
    assert!(info.contains(" flags=U "), "{info}");
    server.signal("TERM");
    assert_eq!(server.wait().0.code(), Some(0));
    assert!(!std::path::Path::new(path).exists());
}

#[test]
fn what_is_read_counts_as_query_buffer() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.send(request(&[b"client", b"info"]));
    let length: usize = client.line()[1..].parse().expect("a bulk reply");
    assert!(length > 200);
    assert!(client.line().contains(" qbuf=26 qbuf-free=0 argv-mem=10 "));
}

#[test]
fn a_crash_report_holds_no_secrets() {
    for crash in ["PANIC", "SEGFAULT"] {
        let mut server = Server::start(&["--enable-debug-command", "yes"]);
        let mut client = server.connect();
        client.ask("CONFIG SET requirepass hush masterauth hush", "+OK\r\n");
        client.ask("AUTH hush", "+OK\r\n");
        client.ask("ACL SETUSER someone on >hush ~hush*", "+OK\r\n");
        client.ask("CLIENT SETNAME hush", "+OK\r\n");
        client.ask("SET hush hush", "+OK\r\n");
        client.ask("SUBSCRIBE", "-ERR wrong number of arguments for 'subscribe' command\r\n");
        client.send(format!("DEBUG {crash} hush\r\n"));
        let (status, log) = server.wait();
        assert!(!status.success());
        let log = log.join("\n");
        assert!(log.contains("BUG REPORT START") && log.contains("cmd=debug"), "{log}");
        assert!(!log.contains("hush"), "{log}");
    }
}

#[test]
fn the_latency_monitor_hears_of_slow_appending() {
    let server = Server::start(&["--appendonly", "yes", "--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.ask("CONFIG SET latency-monitor-threshold 10", "+OK\r\n");
    client.ask("DEBUG AOF-FLUSH-SLEEP 15000", "+OK\r\n");
    client.ask("SET key value", "+OK\r\n");
    client.ask("DEBUG AOF-FLUSH-SLEEP 0", "+OK\r\n");
    let report = client.text("LATENCY DOCTOR");
    assert!(report.contains("aof-write: 1 latency spikes"), "{report}");
    let detail = report.lines().filter(|line| line.starts_with("aof-write-"));
    assert_eq!(detail.count(), 1, "{report}");
}

#[test]
fn the_peak_of_memory_is_not_missed() {
    let server = Server::start(&["--hz", "1"]);
    let mut client = server.connect();
    client.ask("SETRANGE big 5000000 x", ":5000001\r\n");
    client.ask("UNLINK big", ":1\r\n");
    let text = client.text("INFO memory");
    let peak = text.lines().find_map(|line| line.strip_prefix("used_memory_peak:"));
    let peak: u64 = peak.expect("a field").parse().expect("a number");
    assert!(peak > 5_000_000, "{text}");
}
