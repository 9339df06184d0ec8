//! The HTTP port of the whole server: who may ask what, the metrics and that they agree with INFO, the page's frames,
//! traces.

#[path = "support/exposition.rs"]
mod exposition;
#[path = "support/http_port.rs"]
mod http_port;
#[path = "support/server.rs"]
mod server;

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{TcpListener, TcpStream};

use exposition::Exposition;
use http_port::{connect, start};
use server::{Raw, Server, free_port};

struct Answer {
    status: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Reads one answer; one to HEAD has no body.
#[track_caller]
fn read_answer(client: &mut Raw<TcpStream>, is_head: bool) -> Answer {
    let status = client.line();
    let mut headers = BTreeMap::new();
    loop {
        let line = client.line();
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(": ").expect("a header");
        headers.insert(name.to_ascii_lowercase(), value.to_string());
    }
    let length = headers["content-length"].parse().expect("a number");
    let mut body = vec![0; if is_head { 0 } else { length }];
    client.stream.read_exact(&mut body).expect("the whole body");
    Answer { status, headers, body: String::from_utf8(body).expect("text") }
}

#[track_caller]
fn get(client: &mut Raw<TcpStream>) -> Exposition {
    client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = read_answer(client, false);
    assert_eq!(answer.status, "HTTP/1.1 200 OK");
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    Exposition::parse(&answer.body)
}

/// The fields of INFO.
fn info(client: &mut Raw<TcpStream>) -> BTreeMap<String, String> {
    let text = client.text("INFO everything");
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn the_figures_are_those_of_info() {
    let (server, port) = start(&[]);
    let mut client = server.connect();
    for number in 0..100 {
        client.ask(&format!("SET key:{number} value"), "+OK\r\n");
    }
    client.ask("GET key:1", "$5\r\nvalue\r\n");
    client.ask("GET nothing", "$-1\r\n");
    client.ask("PEXPIRE key:2 1000000", ":1\r\n");
    client.ask("SELECT 3", "+OK\r\n");
    client.ask("HSET hash field value", ":1\r\n");
    client.ask("CONFIG SET latency-monitor-threshold 1", "+OK\r\n");
    client.ask("DEBUG SLEEP 0.002", "-ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run it from a local connection, otherwise you need to set this option in the configuration file, and then restart the server.\r\n");
    client.ask("LPUSH hash x", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    client.ask("EVAL \"return redis.error_reply('A\\\"B\\\\\\\\C x')\" 0", "-A\"B\\C x\r\n");
    let mut waiting = server.connect();
    waiting.send("BLPOP list 0\r\n");
    client.wait_for_clients(|list| list.contains("cmd=blpop"));

    let mut scraper = connect(port);
    let first = get(&mut scraper);
    let info = info(&mut client);
    let number = |field: &str| -> f64 { info[field].parse().expect("a number") };
    for (name, field) in [
        ("redis_connected_clients", "connected_clients"),
        ("redis_blocked_clients", "blocked_clients"),
        ("redis_config_maxclients", "maxclients"),
        ("redis_total_blocking_keys", "total_blocking_keys"),
        ("redis_keyspace_hits_total", "keyspace_hits"),
        ("redis_keyspace_misses_total", "keyspace_misses"),
        ("redis_connections_received_total", "total_connections_received"),
        ("redis_rdb_changes_since_last_save", "rdb_changes_since_last_save"),
        ("redis_rdb_last_save_timestamp_seconds", "rdb_last_save_time"),
        ("redis_memory_used_startup_bytes", "used_memory_startup"),
    ] {
        assert_eq!(first.value(name, &[]), number(field), "{name}");
    }
    assert_eq!(first.value("redis_up", &[]), 1.0);
    assert_eq!(first.value("redis_db_keys", &[("db", "db0")]), 100.0);
    assert_eq!(first.value("redis_db_keys_expiring", &[("db", "db0")]), 1.0);
    assert_eq!(first.value("redis_db_keys", &[("db", "db3")]), 1.0);
    assert!(first.find("redis_db_keys", &[("db", "db1")]).is_none());
    assert!(first.value("redis_db_avg_ttl_seconds", &[("db", "db0")]) >= 0.0);
    let of = |command| [("cmd", command)];
    assert_eq!(first.value("redis_commands_total", &of("set")), 100.0);
    assert_eq!(first.value("redis_commands_total", &of("get")), 2.0);
    assert_eq!(first.value("redis_commands_total", &of("config|set")), 1.0);
    assert_eq!(first.value("redis_commands_failed_calls_total", &of("lpush")), 1.0);
    assert_eq!(first.value("oneloop_command_duration_seconds_count", &of("set")), 100.0);
    assert_eq!(first.value("redis_errors_total", &[("err", "WRONGTYPE")]), 1.0);
    assert_eq!(first.value("redis_errors_total", &[("err", "A\"B\\C")]), 1.0);
    let sum = first.value("oneloop_command_duration_seconds_sum", &of("set"));
    let exact = first.value("redis_commands_duration_seconds_total", &of("set"));
    assert!((sum - exact).abs() <= exact * 0.05 + 1e-6, "{sum} {exact}");
    let resident = first.value("redis_memory_used_rss_bytes", &[]);
    assert!(first.value("redis_memory_used_bytes", &[]) > 100_000.0 && resident > 1_000_000.0);

    // What only grows does so, on the same connection.
    let second = get(&mut scraper);
    for (name, family) in &first.families {
        for sample in family.samples.iter().filter(|_| family.kind != "gauge") {
            let labels: Vec<(&str, &str)> =
                sample.labels.iter().map(|(label, text)| (label.as_str(), text.as_str())).collect();
            assert!(second.value(&sample.name, &labels) >= sample.value, "{name} {labels:?}");
        }
    }
}

#[test]
fn the_loop_tells_of_itself() {
    let (server, port) = start(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.ask("DEBUG SLEEP 0.02", "+OK\r\n");
    client.ask("DEBUG POPULATE 100000", "+OK\r\n");
    client.ask("FLUSHALL", "+OK\r\n");
    let mut scraper = connect(port);
    // The second text tells of the writing of the first, too.
    get(&mut scraper);
    let figures = get(&mut scraper);
    let phases = ["serving", "timers", "loading", "jobs", "finishing"];
    let phase = |name| figures.value("oneloop_loop_phase_seconds_total", &[("phase", name)]);
    let sum: f64 = phases.map(phase).iter().sum();
    let busy = figures.value("oneloop_loop_iteration_seconds_sum", &[]);
    // All are of one moment; the sums of decimal fractions differ in their last digits.
    assert!((sum - busy).abs() < 1e-6, "{sum} {busy}");
    // The server's clock, which counts the processor's ticks, may run a little slower than the kernel's.
    assert!(phase("serving") >= 0.019, "{}", phase("serving"));
    for name in ["oneloop_waiting_seconds_count", "oneloop_leaving_seconds_count"] {
        assert!(figures.value(name, &[]) > 0.0, "{name}");
    }
    let part = |name| figures.value("oneloop_loop_part_seconds_total", &[("part", name)]);
    assert!(part("run") > 0.0 && part("read") > 0.0 && part("write") > 0.0);
    assert!(figures.value("oneloop_user_seconds_total", &[("user", "default")]) > 0.0);
    assert!(figures.value("oneloop_database_seconds_total", &[("db", "db0")]) > 0.0);
    let longest = figures.value("oneloop_loop_longest_iteration_seconds", &[]);
    assert!(longest >= 0.019, "{longest}");
    let turns = figures.value("oneloop_loop_iterations_total", &[]);
    assert!(turns > 2.0);
    let counted = figures.value("oneloop_loop_iteration_seconds_count", &[]);
    assert_eq!(counted, turns);
    assert!(figures.value("oneloop_loop_waiting_seconds_total", &[]) > 0.0);
    let job = |name, job| figures.value(name, &[("job", job)]);
    assert!(job("oneloop_job_steps_total", "metrics") > 10.0);
    assert!(job("oneloop_job_seconds_total", "metrics") > 0.0);
    assert!(job("oneloop_job_steps_total", "reclaim") > 1.0);
    let longest = job("oneloop_job_longest_step_seconds", "reclaim");
    assert!(longest > 0.0 && longest <= job("oneloop_job_seconds_total", "reclaim"));
}

#[test]
fn what_is_no_question_for_metrics() {
    let (_server, port) = start(&[]);
    // Those that can be understood leave the connection as it was.
    let mut client = connect(port);
    for (request, status) in [
        ("GET /other HTTP/1.1\r\nHost: localhost\r\n\r\n", "404 Not Found"),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", "405 Method Not Allowed"),
        ("GET /metrics/x HTTP/1.1\r\nHost: localhost\r\n\r\n", "404 Not Found"),
        ("DELETE /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "405 Method Not Allowed"),
        ("GET /metrics?x=1 HTTP/1.1\r\nHost: localhost\r\n\r\n", "200 OK"),
    ] {
        client.send(request);
        let answer = read_answer(&mut client, false);
        assert_eq!(answer.status, format!("HTTP/1.1 {status}"));
        let allowed = answer.headers.get("allow").map(String::as_str);
        let expected = status.starts_with("405").then_some("GET, HEAD");
        assert_eq!(allowed, expected);
    }
    let endless = format!("GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(100));
    for (request, status) in [
        ("PING\r\n\r\n", "400 Bad Request"),
        ("*1\r\n$4\r\nPING\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc", "400 Bad Request"),
        (&endless, "431 Request Header Fields Too Large"),
        (&many, "431 Request Header Fields Too Large"),
    ] {
        let mut client = connect(port);
        client.send(request);
        let answer = read_answer(&mut client, false);
        assert_eq!(answer.status, format!("HTTP/1.1 {status}"));
        assert_eq!(answer.headers["connection"], "close");
        client.expect_end();
    }
}

#[test]
fn the_page_is_served_with_its_guards() {
    let (_server, port) = start(&[]);
    let mut client = connect(port);
    client.send("HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let head = read_answer(&mut client, true);
    assert_eq!(head.status, "HTTP/1.1 200 OK");
    client.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let page = read_answer(&mut client, false);
    assert_eq!(page.status, "HTTP/1.1 200 OK");
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["content-length"], head.headers["content-length"]);
    assert!(page.body.contains("<a href=\"/metrics\">"), "{}", page.body);
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy}");
    assert_eq!(page.headers["x-frame-options"], "DENY");
}

#[test]
fn connections_are_kept_if_they_may_be() {
    let (_server, port) = start(&[]);
    let mut client = connect(port);
    client.send("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\nGET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\nGET /no HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(read_answer(&mut client, true).status, "HTTP/1.1 200 OK");
    Exposition::parse(&read_answer(&mut client, false).body);
    assert_eq!(read_answer(&mut client, false).status, "HTTP/1.1 404 Not Found");
    client.expect_end();

    let mut client = connect(port);
    client.send("GET /metrics HTTP/1.0\r\n\r\n");
    client.finish();
    let answer = read_answer(&mut client, false);
    assert_eq!(answer.headers["connection"], "close");
    Exposition::parse(&answer.body);
    client.expect_end();

    let mut client = connect(port);
    for byte in "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".bytes() {
        client.send([byte]);
    }
    Exposition::parse(&read_answer(&mut client, false).body);
}

#[test]
fn silent_connections_do_not_keep_others_out() {
    let (server, port) = start(&["--maxclients", "1"]);
    let mut client = server.connect();
    client.ask("PING", "+PONG\r\n");
    let slow: Vec<_> = (0..100)
        .map(|_| {
            let mut slow = connect(port);
            slow.send("GET /metrics HT");
            slow
        })
        .collect();
    get(&mut connect(port));
    // Clients neither lose their places to them nor count them.
    client.ask("PING", "+PONG\r\n");
    assert!(client.text("INFO clients").contains("connected_clients:1\r\n"));
    drop(slow);
}

#[test]
fn many_ask_at_the_same_time() {
    let (_server, port) = start(&[]);
    let mut scrapers: Vec<_> = (0..16).map(|_| connect(port)).collect();
    for scraper in &mut scrapers {
        scraper.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    for scraper in &mut scrapers {
        Exposition::parse(&read_answer(scraper, false).body);
    }
}

#[test]
fn metrics_are_there_while_a_script_is_busy() {
    let (server, port) = start(&["--busy-reply-threshold", "10"]);
    let mut busy = server.connect();
    busy.send("EVAL \"while true do end\" 0\r\n");
    let figures = get(&mut connect(port));
    assert_eq!(figures.value("redis_up", &[]), 1.0);
    let mut client = server.connect();
    loop {
        client.send("SCRIPT KILL\r\n");
        if client.line() == "+OK" {
            break;
        }
    }
    assert!(busy.line().contains("Script killed by user"));
}

#[test]
fn the_port_is_opened_and_closed_at_run_time() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let port = loop {
        let port = free_port();
        client.send(format!("CONFIG SET http-port {port}\r\n"));
        if client.line() == "+OK" {
            break port;
        }
    };
    get(&mut connect(port));
    let digits = port.to_string().len();
    // The old names and the new ones are the same.
    for family in ["metrics", "http"] {
        let (a, b) = (format!("{family}-port"), format!("{family}-bind"));
        client.ask(
            &format!("CONFIG GET {a} {b}"),
            &format!(
                "*4\r\n${}\r\n{a}\r\n${digits}\r\n{port}\r\n${}\r\n{b}\r\n$14\r\n127.0.0.1 -::1\r\n",
                a.len(),
                b.len()
            ),
        );
    }
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let taken_port = taken.local_addr().expect("it is bound").port();
    client.ask(
        &format!("CONFIG SET http-port {taken_port}"),
        "-ERR CONFIG SET failed (possibly related to argument 'http-port') - Unable to listen on this port. Check server logs.\r\n",
    );
    let mut kept = connect(port);
    get(&mut kept);
    client.ask("CONFIG SET http-bind \"\"", "+OK\r\n");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    client.ask("CONFIG SET http-bind 127.0.0.1", "+OK\r\n");
    get(&mut connect(port));
    client.ask("CONFIG SET http-port 0", "+OK\r\n");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    // Whoever is there may stay.
    get(&mut kept);
}

/// Asks on a connection of its own and gives the status without its version.
#[track_caller]
fn status_of(port: u16, path: &str, headers: &str) -> String {
    let mut client = connect(port);
    client.send(format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n"));
    read_answer(&mut client, false).status.replace("HTTP/1.1 ", "")
}

#[test]
fn a_page_of_the_web_cannot_read_it() {
    let (_server, port) = start(&[]);
    for (headers, status) in [
        (format!("Host: 127.0.0.1:{port}\r\n"), "200 OK"),
        (format!("Host: localhost:{port}\r\nOrigin: http://localhost:{port}\r\n"), "200 OK"),
        // Its name was made to lead here.
        (format!("Host: example.com:{port}\r\n"), "403 Forbidden"),
        (format!("Host: example.com:{port}\r\nOrigin: http://example.com:{port}\r\n"), "403 Forbidden"),
        (format!("Host: 127.0.0.1:{port}\r\nOrigin: http://example.com\r\n"), "403 Forbidden"),
        (format!("Host: 127.0.0.1:{port}\r\nOrigin: null\r\n"), "403 Forbidden"),
        (format!("Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site\r\n"), "403 Forbidden"),
    ] {
        for path in ["/metrics", "/trace"] {
            assert_eq!(status_of(port, path, &headers), status, "{path} {headers}");
        }
        if status != "200 OK" {
            assert_eq!(status_of(port, "/events", &headers), status, "{headers}");
        }
        assert_eq!(status_of(port, "/health", &headers), "200 OK", "{headers}");
    }
}

const TOKEN: &str = "0123456789abcdef";

#[test]
fn a_token_is_asked_for_if_there_is_one() {
    let (server, port) = start(&["--http-token", TOKEN]);
    let host = "Host: oneloop.example.com\r\n";
    let with = |token: &str| format!("{host}Authorization: Bearer {token}\r\n");
    for path in ["/", "/health", "/ready"] {
        assert_eq!(status_of(port, path, host), "200 OK", "{path}");
    }
    for path in ["/metrics", "/trace"] {
        assert_eq!(status_of(port, path, host), "401 Unauthorized", "{path}");
        assert_eq!(status_of(port, path, &with("0123456789abcdeF")), "401 Unauthorized", "{path}");
        assert_eq!(status_of(port, path, &with(TOKEN)), "200 OK", "{path}");
    }
    let mut client = server.connect();
    client.ask("CONFIG SET http-token fedcba9876543210", "+OK\r\n");
    assert_eq!(status_of(port, "/metrics", &with(TOKEN)), "401 Unauthorized");
    client.ask(
        "CONFIG SET http-token short",
        "-ERR CONFIG SET failed (possibly related to argument 'http-token') - http-token must be empty, or at least 16 \
         letters, digits or -._~+/=\r\n",
    );
}

const EXPOSED: &str =
    "http-bind names an address beyond the loopback interface: set http-token first, or http-tls with tls-auth-clients";

#[test]
fn other_interfaces_are_listened_on_with_a_token_alone() {
    let mut refused = Server::launch(free_port(), &["--http-port", &free_port().to_string(), "--http-bind", "0.0.0.0"]);
    refused.wait_for_any(&[EXPOSED]);
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("CONFIG SET http-bind \"* -::*\"", "+OK\r\n");
    let refusal =
        |name: &str| format!("-ERR CONFIG SET failed (possibly related to argument '{name}') - {EXPOSED}\r\n");
    client.ask(&format!("CONFIG SET http-port {}", free_port()), &refusal("http-port"));
    client.ask("CONFIG GET http-port", "*2\r\n$9\r\nhttp-port\r\n$1\r\n0\r\n");
    let port = loop {
        let port = free_port();
        client.send(format!("CONFIG SET http-token {TOKEN} http-port {port}\r\n"));
        if client.line() == "+OK" {
            break port;
        }
    };
    assert_eq!(status_of(port, "/metrics", "Host: x\r\n"), "401 Unauthorized");
    client.ask("CONFIG SET http-token \"\"", &refusal("http-token"));
    client.ask("CONFIG SET http-bind localhost", "+OK\r\n");
    client.ask("CONFIG SET http-token \"\"", "+OK\r\n");
    client.ask("CONFIG SET http-bind 0.0.0.0", &refusal("http-bind"));
    assert_eq!(status_of(port, "/metrics", "Host: localhost\r\n"), "200 OK");
}

#[test]
fn it_is_ready_once_the_data_are_loaded() {
    let (server, port) = start(&["--enable-debug-command", "yes"]);
    assert_eq!(status_of(port, "/ready", "Host: x\r\n"), "200 OK");
    let mut client = server.connect();
    client.ask("DEBUG POPULATE 2000", "+OK\r\n");
    client.ask("SAVE", "+OK\r\n");
    server.signal("KILL");
    let mut loading = server.relaunch(&["--http-port", &port.to_string(), "--key-load-delay", "1000"]);
    loading.wait_for_any(&["Server initialized"]);
    let mut client = loading.connect();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|status: &String| status != "200 OK") {
        assert_eq!(status_of(port, "/health", "Host: x\r\n"), "200 OK");
        seen.push(status_of(port, "/ready", "Host: x\r\n"));
        client.send("CONFIG SET key-load-delay 0\r\n");
        assert_eq!(client.line(), "+OK");
    }
    assert_eq!(seen[0], "503 Service Unavailable");
}

#[test]
fn a_replica_is_ready_while_its_link_is_up() {
    let (server, port) = start(&[]);
    let primary = Server::start(&[]);
    let mut client = server.connect();
    let await_status = |expected: &str| {
        while status_of(port, "/ready", "Host: x\r\n") != expected {
            assert_eq!(status_of(port, "/health", "Host: x\r\n"), "200 OK");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    await_status("200 OK");
    client.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port), "+OK\r\n");
    await_status("503 Service Unavailable");
    await_status("200 OK");
    drop(primary);
    await_status("503 Service Unavailable");
    client.ask("REPLICAOF NO ONE", "+OK\r\n");
    await_status("200 OK");
}

/// Reads an event of /events: its name and its data.
#[track_caller]
fn read_event(client: &mut Raw<TcpStream>) -> (String, String) {
    // Lines of events end without a carriage return.
    let mut lines = String::new();
    while !lines.ends_with("\n\n") {
        let mut byte = [0];
        client.stream.read_exact(&mut byte).expect("an event");
        lines.push(char::from(byte[0]));
    }
    let (name, data) = lines.trim_end().split_once('\n').expect("two lines");
    let part = |line: &str, field: &str| line.strip_prefix(field).expect("a field").to_string();
    (part(name, "event: "), part(data, "data: "))
}

/// A viewer whose answer has begun.
fn watch(port: u16) -> Raw<TcpStream> {
    let mut viewer = connect(port);
    viewer.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(viewer.line(), "HTTP/1.1 200 OK");
    while !viewer.line().is_empty() {}
    viewer
}

#[test]
fn viewers_are_shown_who_held_up_whom() {
    let (server, port) = start(&["--enable-debug-command", "yes"]);
    let mut client = server.connect();
    client.ask("SET a:b value", "+OK\r\n");
    let mut viewer = watch(port);
    assert_eq!(read_event(&mut viewer).0, "history");
    // Longer than any turn of a busy machine, so that it stays the worst.
    client.ask("DEBUG SLEEP 1", "+OK\r\n");
    loop {
        let (name, data) = read_event(&mut viewer);
        assert_eq!(name, "frame");
        assert!(data.starts_with("{\"now_us\":") && data.ends_with('}'), "{data}");
        if data.contains("DEBUG of client") {
            assert!(data.contains("\"prefixes\":[[\"a:\",") && data.contains("[\"set\",1,"), "{data}");
            break;
        }
    }
    // Another viewer learns from the history.
    assert!(read_event(&mut watch(port)).1.contains("\"DEBUG\""));
}

/// Prefixes are in the metrics when the ledger is asked for, and not before: they are parts of keys.
#[test]
fn the_ledger_is_kept_and_shown_by_prefix() {
    let (server, port) = start(&[]);
    let mut client = server.connect();
    client.ask("SET secret:1 value", "+OK\r\n");
    for number in 0..300 {
        client.ask(&format!("SET \"cart\\xff:{number}\" value"), "+OK\r\n");
    }
    let mut viewer = watch(port);
    while !read_event(&mut viewer).1.contains("secret:") {}
    let mut scraper = connect(port);
    scraper.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!read_answer(&mut scraper, false).body.contains("secret"));
    drop(viewer);
    client.ask("CONFIG SET prefix-ledger yes", "+OK\r\n");
    for number in 0..300 {
        client.ask(&format!("STRLEN \"cart\\xff:{number}\""), ":5\r\n");
    }
    let cart = [("prefix", "cart\\xff:")];
    let figures = loop {
        let figures = get(&mut connect(port));
        if figures.find("oneloop_prefix_keys", &cart).is_some()
            && figures.value("oneloop_prefix_sampled_keys", &[]) >= 1000.0
        {
            break figures;
        }
        client.ask("EXISTS nothing:here", ":0\r\n");
    };
    let keys = figures.value("oneloop_prefix_keys", &cart);
    let error = figures.value("oneloop_prefix_keys_error", &cart);
    assert!((keys - 300.0).abs() <= 2.0 * error + 1.0, "{keys} ± {error}");
    assert!(figures.value("oneloop_prefix_memory_bytes", &cart) > 300.0 * 5.0);
    let requests = figures.value("oneloop_prefix_requests_total", &cart);
    let error = figures.value("oneloop_prefix_requests_error", &cart);
    assert!((requests - 300.0).abs() <= 2.0 * error, "{requests} ± {error}");
    let hits = figures.value("oneloop_prefix_hits_total", &cart);
    assert!(hits == requests, "{hits} of {requests}");
    assert!(figures.find("oneloop_prefix_hits_total", &[("prefix", "nothing:")]).is_none_or(|hits| hits.value == 0.0));
    client.ask("CONFIG SET prefix-ledger no", "+OK\r\n");
    assert!(get(&mut connect(port)).find("oneloop_prefix_keys", &cart).is_none());
}

#[test]
fn a_crowd_of_viewers_does_not_touch_clients() {
    let (server, port) = start(&["--maxclients", "2"]);
    let mut client = server.connect();
    let viewers: Vec<_> = (0..6).map(|_| watch(port)).collect();
    // They read nothing, and more cannot watch.
    for _ in 0..50 {
        assert_eq!(status_of(port, "/events", "Host: localhost\r\n"), "503 Service Unavailable");
        client.ask("PING", "+PONG\r\n");
    }
    get(&mut connect(port));
    assert!(client.text("INFO clients").contains("connected_clients:1\r\n"));
    drop(viewers);
    watch_when_there_is_room(port);
}

fn watch_when_there_is_room(port: u16) {
    loop {
        let mut viewer = connect(port);
        viewer.send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
        if viewer.line() == "HTTP/1.1 200 OK" {
            return;
        }
    }
}

#[test]
fn a_trace_holds_the_turns_that_are_kept() {
    let (server, port) = start(&[]);
    let mut client = server.connect();
    for number in 0..1000 {
        client.ask(&format!("SET key:{number} value"), "+OK\r\n");
    }
    let mut asking = connect(port);
    asking.send("GET /trace HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let answer = read_answer(&mut asking, false);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(answer.body.starts_with("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[") && answer.body.ends_with("]}"));
    let numbers: Vec<u64> = answer.body.split("\"args\":{\"number\":").skip(1).map(leading_number).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b));
    // After a turn that was interrupted, two requests may be served in one.
    let requests: u64 = answer.body.split("\"requests\":").skip(1).map(leading_number).sum();
    assert!(requests >= 1000 && numbers.len() > 100, "{requests} requests in {} turns", numbers.len());
}

fn leading_number(text: &str) -> u64 {
    text.split(|letter: char| !letter.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).expect("a number")
}
