//! PREFIX: jobs over all keys with a prefix, step by step.

use oneloop::drive::prefix;
use oneloop::engine::session::Token;

use crate::support::Harness;

/// A server with `count` keys `a:0`, `a:1` … and as many `b:0` …
fn server(count: usize) -> Harness {
    let mut server = Harness::new();
    for number in 0..count {
        server.run(&format!("SET a:{number} value"));
        server.run(&format!("SET b:{number} value"));
    }
    server
}

/// Runs all jobs to their end.
fn finish(server: &mut Harness) {
    while prefix::step(&mut server.state) {}
}

/// A field of PREFIX STATUS, as it is replied.
fn field(server: &mut Harness, ticket: u64, name: &str) -> Option<String> {
    let reply = server.run(&format!("PREFIX STATUS {ticket}"));
    let lines: Vec<&str> = reply.split("\r\n").collect();
    let place = lines.iter().position(|line| *line == name)?;
    match lines[place + 1].strip_prefix(':') {
        Some(number) => Some(number.into()),
        None => Some(lines[place + 2].into()),
    }
}

#[track_caller]
fn expect_field(server: &mut Harness, ticket: u64, name: &str, value: &str) {
    assert_eq!(field(server, ticket, name).as_deref(), Some(value), "{name} of {ticket}");
}

fn ask(server: &mut Harness, client: Token, request: &str) -> String {
    let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
    String::from_utf8_lossy(&server.run_as(client, &words)).into_owned()
}

#[test]
fn keys_are_counted_as_they_were_when_it_was_asked_for() {
    let mut server = server(1000);
    server.expect("PREFIX COUNT a:", ":1\r\n");
    expect_field(&mut server, 1, "state", "waiting");
    expect_field(&mut server, 1, "keys", "2000");
    prefix::step(&mut server.state);
    expect_field(&mut server, 1, "state", "running");
    server.run("FLUSHALL");
    server.run("SET a:more value");
    finish(&mut server);
    expect_field(&mut server, 1, "state", "done");
    expect_field(&mut server, 1, "walked", "2000");
    expect_field(&mut server, 1, "matched", "1000");
    assert_eq!(field(&mut server, 1, "changed"), None, "it changes nothing");
    server.expect("PREFIX COUNT nosuch", ":2\r\n");
    server.expect("PREFIX COUNT a:more", ":3\r\n");
    finish(&mut server);
    expect_field(&mut server, 2, "matched", "0");
    expect_field(&mut server, 3, "matched", "1");
}

#[test]
fn keys_that_are_over_do_not_count() {
    let mut server = server(10);
    server.run("PEXPIRE a:1 5");
    server.advance_ms(10);
    server.run("PREFIX COUNT a:");
    finish(&mut server);
    expect_field(&mut server, 1, "matched", "9");
}

#[test]
fn memory_is_what_memory_usage_says_of_each() {
    let mut server = server(50);
    server.run("RPUSH a:list 1 2 3 4 5");
    let mut sum = 0;
    for key in (0..50).map(|number| number.to_string()).chain(["list".into()]) {
        let reply = server.run(&format!("MEMORY USAGE a:{key}"));
        sum += reply.trim_start_matches(':').trim_end().parse::<u64>().expect("a number");
    }
    server.expect("PREFIX MEMORY a:", ":1\r\n");
    finish(&mut server);
    expect_field(&mut server, 1, "memory-bytes", &sum.to_string());
}

#[test]
fn what_is_changed_meanwhile_is_left_alone() {
    for change in ["SET a:7 other", "APPEND a:7 x", "EXPIRE a:7 1000", "DEL a:7"] {
        let mut server = server(100);
        server.expect("PREFIX UNLINK a:", ":1\r\n");
        server.run(change);
        server.run("SET a:new value");
        // Neither reads nor changes of its neighbours count.
        server.run("GET a:8");
        server.run("SET b:8 other");
        finish(&mut server);
        expect_field(&mut server, 1, "matched", "100");
        expect_field(&mut server, 1, "changed", "99");
        expect_field(&mut server, 1, "left-alone", "1");
        let there = if change.starts_with("DEL") { ":0\r\n" } else { ":1\r\n" };
        server.expect("EXISTS a:7", there);
        server.expect("EXISTS a:new", ":1\r\n");
        server.expect("EXISTS a:8", ":0\r\n");
        let rest = if change.starts_with("DEL") { ":101\r\n" } else { ":102\r\n" };
        server.expect("DBSIZE", rest);
    }
}

#[test]
fn keys_get_and_lose_their_times() {
    let mut server = server(30);
    server.run("EXPIRE a:1 10000");
    server.expect("PREFIX EXPIRE a: 500 NX", ":1\r\n");
    finish(&mut server);
    expect_field(&mut server, 1, "changed", "29");
    server.expect("TTL a:0", ":500\r\n");
    server.expect("TTL a:1", ":10000\r\n");
    server.expect("TTL b:0", ":-1\r\n");
    server.expect("PREFIX PERSIST a:", ":2\r\n");
    finish(&mut server);
    expect_field(&mut server, 2, "changed", "30");
    server.expect("TTL a:0", ":-1\r\n");
    // The time counts from the request, not from when a key is reached.
    server.expect("PREFIX EXPIRE a: 500", ":3\r\n");
    server.advance_ms(100_000);
    finish(&mut server);
    server.expect("TTL a:0", ":400\r\n");
    server.expect("PREFIX EXPIRE a: -1", ":4\r\n");
    finish(&mut server);
    expect_field(&mut server, 4, "changed", "30");
    server.expect("DBSIZE", ":30\r\n");
}

#[test]
fn changes_are_passed_on_as_plain_commands_and_published() {
    let mut server = server(2);
    server.propagate();
    server.run("CONFIG SET notify-keyspace-events KEA");
    let watching = server.connect();
    ask(&mut server, watching, "WATCH a:0");
    ask(&mut server, watching, "MULTI");
    server.run("PREFIX EXPIRE a:0 50");
    finish(&mut server);
    server.run("PREFIX UNLINK a:");
    finish(&mut server);
    let passed_on = String::from_utf8_lossy(&server.take_propagated()).into_owned();
    assert!(!passed_on.contains("PREFIX"), "{passed_on}");
    assert_eq!(passed_on.matches("PEXPIREAT").count(), 1, "{passed_on}");
    assert_eq!(passed_on.matches("UNLINK").count(), 2, "{passed_on}");
    assert_eq!(ask(&mut server, watching, "EXEC"), "*-1\r\n", "a key that it watched has changed");
}

#[test]
fn the_database_is_the_client_s_at_the_time() {
    let mut server = server(5);
    server.run("SELECT 1");
    server.run("SET a:other value");
    server.expect("PREFIX UNLINK a:", ":1\r\n");
    server.run("SELECT 0");
    finish(&mut server);
    server.expect("DBSIZE", ":10\r\n");
    server.run("SELECT 1");
    server.expect("DBSIZE", ":0\r\n");
    // After a swap the keys are not those that were pinned.
    server.run("SET a:other value");
    server.expect("PREFIX UNLINK a:", ":2\r\n");
    server.run("SWAPDB 0 1");
    finish(&mut server);
    expect_field(&mut server, 2, "left-alone", "1");
    server.expect("DBSIZE", ":10\r\n");
}

#[test]
fn jobs_wait_for_each_other_and_can_be_cancelled() {
    let mut server = server(300);
    server.expect("PREFIX UNLINK a:", ":1\r\n");
    server.expect("PREFIX UNLINK b:", ":2\r\n");
    prefix::step(&mut server.state);
    prefix::step(&mut server.state);
    server.expect("PREFIX CANCEL 1", ":1\r\n");
    server.expect("PREFIX CANCEL 1", ":0\r\n");
    server.expect("PREFIX CANCEL 2", ":1\r\n");
    server.expect("PREFIX CANCEL 9", "-ERR no such ticket\r\n");
    finish(&mut server);
    let changed: u64 = field(&mut server, 1, "changed").and_then(|text| text.parse().ok()).expect("a number");
    assert!(changed > 0 && changed < 300, "{changed}");
    expect_field(&mut server, 2, "changed", "0");
    expect_field(&mut server, 2, "state", "cancelled");
    server.expect("DBSIZE", &format!(":{}\r\n", 600 - changed));
    for ticket in 3..19 {
        server.expect("PREFIX COUNT a:", &format!(":{ticket}\r\n"));
    }
    server.expect("PREFIX COUNT a:", "-ERR too many prefix jobs are waiting\r\n");
    finish(&mut server);
    server.expect("PREFIX COUNT a:", ":19\r\n");
}

#[test]
fn jobs_that_write_wait_while_clients_do() {
    let mut server = server(10);
    server.run("PREFIX UNLINK a:");
    server.run("CLIENT PAUSE 1000 WRITE");
    assert!(!prefix::step(&mut server.state));
    server.expect("DBSIZE", ":20\r\n");
    server.run("CLIENT UNPAUSE");
    finish(&mut server);
    server.expect("DBSIZE", ":10\r\n");
}

#[test]
fn who_becomes_a_replica_changes_nothing_more() {
    let mut server = server(10);
    server.run("PREFIX UNLINK a:");
    server.run("PREFIX COUNT a:");
    server.run("REPLICAOF 127.0.0.1 1");
    finish(&mut server);
    expect_field(&mut server, 1, "state", "ended: the server became a replica");
    expect_field(&mut server, 2, "matched", "10");
    server.expect("PREFIX UNLINK a:", "-READONLY You can't write against a read only replica.\r\n");
}

#[test]
fn one_pattern_of_the_user_covers_the_prefix() {
    let mut server = server(10);
    let client = server.connect();
    server.run("ACL SETUSER app on nopass +@all %R~a:* ~app:* ~x?y* ~exact");
    ask(&mut server, client, "AUTH app any");
    let denied = "-NOPERM No permissions to access all keys with this prefix\r\n";
    for (request, reply) in [
        ("PREFIX COUNT a:", ":1\r\n"),
        ("PREFIX COUNT a:1", ":2\r\n"),
        ("PREFIX COUNT a", denied),
        ("PREFIX COUNT b:", denied),
        ("PREFIX COUNT exact", denied),
        ("PREFIX COUNT xay", denied),
        ("PREFIX UNLINK a:", denied),
        ("PREFIX UNLINK app:", ":3\r\n"),
    ] {
        assert_eq!(ask(&mut server, client, request), reply, "{request}");
    }
    server.expect("PREFIX UNLINK b:", ":4\r\n");
    assert_eq!(ask(&mut server, client, "PREFIX CANCEL 4"), denied);
    assert_eq!(ask(&mut server, client, "PREFIX STATUS 4"), "-ERR no such ticket\r\n");
    assert!(ask(&mut server, client, "PREFIX STATUS").starts_with("*3\r\n"));
    assert!(server.run("PREFIX STATUS").starts_with("*4\r\n"));
}

#[test]
fn what_is_asked_wrongly_is_refused() {
    let mut server = server(1);
    for (request, reply) in [
        ("PREFIX EXPIRE a: x", "-ERR value is not an integer or out of range\r\n"),
        ("PREFIX EXPIRE a: 9223372036854775807", "-ERR invalid expire time in 'prefix|expire' command\r\n"),
        ("PREFIX EXPIRE a: 1 YY", "-ERR Unsupported option YY\r\n"),
        ("PREFIX EXPIRE a: 1 NX GT", "-ERR syntax error\r\n"),
        ("PREFIX STATUS x", "-ERR value is not an integer or out of range\r\n"),
        ("PREFIX STATUS -1", "-ERR no such ticket\r\n"),
        ("PREFIX STATUS 1 2", "-ERR syntax error\r\n"),
        ("PREFIX STATUS", "*0\r\n"),
    ] {
        server.expect(request, reply);
    }
}
