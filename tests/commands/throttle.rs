//! CL.THROTTLE: what redis-cell's page and tests say of it.

use oneloop::keyspace::Target;

use crate::support::{Harness, START_MS};

/// Runs the command with these arguments; gives the five numbers of its reply.
#[track_caller]
fn throttle(server: &mut Harness, arguments: &str) -> [i64; 5] {
    let reply = server.run(&format!("CL.THROTTLE {arguments}"));
    assert!(reply.starts_with("*5\r\n"), "{arguments}: {reply}");
    let numbers: Vec<i64> = reply.lines().skip(1).map(|line| line[1..].parse().expect("a number")).collect();
    numbers.try_into().expect("five numbers")
}

#[test]
fn a_rate_is_limited() {
    let mut server = Harness::new();
    // Thirty actions a minute, and sixteen at once.
    assert_eq!(throttle(&mut server, "user 15 30 60"), [0, 16, 15, -1, 2]);
    server.expect("pttl user", ":2000\r\n");
    assert_eq!(throttle(&mut server, "user 15 30 60 15"), [0, 16, 0, -1, 32]);
    assert_eq!(throttle(&mut server, "user 15 30 60"), [1, 16, 0, 2, 32]);
    server.expect("get user", &format!("$19\r\n{}\r\n", (START_MS + 32_000) * 1_000_000));
    server.advance_ms(1_999);
    assert_eq!(throttle(&mut server, "user 15 30 60"), [1, 16, 0, 1, 31]);
    server.advance_ms(1);
    assert_eq!(throttle(&mut server, "user 15 30 60 0"), [0, 16, 1, -1, 30]);
    assert_eq!(throttle(&mut server, "user 15 30 60 1"), [0, 16, 0, -1, 32]);
    // More than ever fits is not allowed at any time.
    assert_eq!(throttle(&mut server, "user 15 30 60 17"), [1, 16, 0, -1, 32]);
    server.advance_ms(32_001);
    server.expect("exists user", ":0\r\n");
    assert_eq!(throttle(&mut server, "user 15 30 60 17"), [1, 16, 16, -1, 0]);
    server.expect("exists user", ":0\r\n");
    // The parameters may be others each time.
    assert_eq!(throttle(&mut server, "other 0 1 2"), [0, 1, 0, -1, 2]);
    assert_eq!(throttle(&mut server, "other 0 1 2"), [1, 1, 0, 2, 2]);
    assert_eq!(throttle(&mut server, "other 4 1 2"), [0, 5, 3, -1, 4]);
    // Asking without doing leaves no key behind.
    assert_eq!(throttle(&mut server, "none 4 1 2 0"), [0, 5, 5, -1, 0]);
    server.expect("exists none", ":0\r\n");
}

#[test]
fn a_rate_of_more_than_one_in_a_millisecond_is_limited() {
    let mut server = Harness::new();
    assert_eq!(throttle(&mut server, "k 1 8000 1"), [0, 2, 1, -1, 0]);
    assert_eq!(throttle(&mut server, "k 1 8000 1"), [0, 2, 0, -1, 0]);
    assert_eq!(throttle(&mut server, "k 1 8000 1")[..3], [1, 2, 0]);
    server.expect("pttl k", ":1\r\n");
    server.advance_ms(1);
    assert_eq!(throttle(&mut server, "k 1 8000 1")[0], 0);
}

#[test]
fn what_is_wrong_is_told_in_the_words_of_the_module() {
    let mut server = Harness::new();
    server.run("set text hello");
    server.run("set empty x");
    server.run("setrange empty 0 \u{7f}");
    server.run("rpush list a");
    let usage = "Store error: Usage: cl.throttle <key> <max_burst> <count per period> <period> [<quantity>]";
    let zero = "Store error: Zero rates are not supported";
    for (words, error) in [
        ("cl.throttle", usage),
        ("cl.throttle k", usage),
        ("cl.throttle k 1 2", usage),
        ("cl.throttle k 1 2 3 4 5", usage),
        ("cl.throttle k x 1 1", "Store error: Couldn't parse as integer: x"),
        ("cl.throttle k 1 1.5 1", "Store error: Couldn't parse as integer: 1.5"),
        ("cl.throttle k 1 1 9223372036854775808", "Store error: Couldn't parse as integer: 9223372036854775808"),
        ("cl.throttle k 1 1 1 -", "Store error: Couldn't parse as integer: -"),
        ("cl.throttle k 1 0 1", zero),
        ("cl.throttle text 1 1 0", zero),
        ("cl.throttle text 1 1 1", "invalid digit found in string"),
        ("cl.throttle empty 1 1 1", "invalid digit found in string"),
    ] {
        server.expect(words, &format!("-Cell error: {error}\r\n"));
    }
    server.expect("cl.throttle list 1 1 1", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    // Numbers that no rate has do no harm.
    for numbers in ["9223372036854775807 1 9223372036854775807", "-1 1 1", "5 -1 1", "5 1 -1", "0 1 1 -5"] {
        throttle(&mut server, &format!("k {numbers}"));
        server.run("del k");
    }
}

#[test]
fn it_is_passed_on_as_what_sets_the_key() {
    let mut server = Harness::new();
    server.propagate_to(Target::File);
    throttle(&mut server, "k 0 10 60");
    let arrival = (START_MS + 6_000) * 1_000_000;
    let set =
        format!("*5\r\n$3\r\nSET\r\n$1\r\nk\r\n$19\r\n{arrival}\r\n$4\r\nPXAT\r\n$13\r\n{}\r\n", START_MS + 6_000);
    let taken = String::from_utf8(server.take_propagated()).expect("plain text");
    assert!(taken.ends_with(&set), "{taken}");
    // What is refused changes nothing.
    throttle(&mut server, "k 0 10 60");
    assert_eq!(server.take_propagated(), b"");
    assert_eq!(server.events("cl.throttle new 0 10 60"), ["0:new new", "0:set new", "0:expire new"]);
    assert_eq!(server.events("cl.throttle new 0 10 60"), [""; 0]);
    let changes = server.state.keyspace.changes.total();
    throttle(&mut server, "new 1 10 60");
    assert_eq!(server.state.keyspace.changes.total(), changes + 1);
}
