//! INFO keysizes. Lines were recorded from Redis 8.2; `tests/differential/sizes.rs` compares many more.

use oneloop::drive::key_sizes;
use oneloop::engine::wake;

use crate::support::Harness;

fn sizes(server: &mut Harness) -> Vec<String> {
    let reply = server.run("INFO keysizes");
    lines(&reply)
}

/// The lines of a reply, without its head and the section's title.
fn lines(reply: &str) -> Vec<String> {
    assert!(reply.contains("# Keysizes\r\n"), "{reply}");
    reply.lines().skip(2).filter(|line| !line.is_empty()).map(str::to_string).collect()
}

/// A server with so many keys of three letters and with a list of three elements.
fn server(count: usize) -> Harness {
    let mut server = Harness::new();
    for number in 0..count {
        server.run(&format!("SET key:{number} abc"));
    }
    server.run("RPUSH list 1 2 3");
    server
}

#[test]
fn each_type_has_a_line_in_each_database() {
    let mut server = Harness::new();
    server.expect("INFO keysizes", "$12\r\n# Keysizes\r\n\r\n");
    server.run_args(&[b"SET", b"empty", b""]);
    for request in [
        "SET a b",
        "SET e 12345",
        "SETRANGE big 10000 x",
        "RPUSH l 1 2 3",
        "XADD s * a b",
        "ZADD z 1 a",
        "HSET h a b",
        "SADD ss a",
        "SELECT 1",
        "HSET h a b c d",
    ] {
        assert!(!server.run(request).starts_with('-'), "{request}");
    }
    assert_eq!(
        sizes(&mut server),
        [
            "db0_distrib_strings_sizes:0=1,1=1,4=1,8K=1",
            "db0_distrib_lists_items:2=1",
            "db0_distrib_sets_items:1=1",
            "db0_distrib_zsets_items:1=1",
            "db0_distrib_hashes_items:1=1",
            "db1_distrib_hashes_items:2=1",
        ]
    );
    // It is no part of what monitors ask for all the time.
    assert!(!server.run("INFO everything").contains("Keysizes"));
}

#[test]
fn a_client_waits_for_the_walk_over_many_keys() {
    let mut server = server(6000);
    server.expect("INFO keysizes", "");
    // What comes meanwhile is not in it, and it is served.
    key_sizes::step(&mut server.state);
    let other = server.connect();
    server.run_as(other, &[b"DEL", b"list"]);
    server.run_as(other, &[b"SET", b"more", b"value"]);
    let mut steps = 1;
    while key_sizes::step(&mut server.state) {
        steps += 1;
    }
    assert!(steps > 10, "{steps}");
    let reply = String::from_utf8(server.pushed(server.client)).expect("text");
    assert_eq!(lines(&reply), ["db0_distrib_strings_sizes:2=6000", "db0_distrib_lists_items:2=1"]);
    server.run_as(other, &[b"FLUSHALL"]);
    assert_eq!(sizes(&mut server), [""; 0]);
}

#[test]
fn who_asks_during_a_walk_is_told_of_later_keys() {
    let mut server = server(5000);
    server.expect("INFO keysizes", "");
    key_sizes::step(&mut server.state);
    let other = server.connect();
    server.run_as(other, &[b"DEL", b"list"]);
    assert_eq!(server.run_as(other, &[b"INFO", b"keysizes"]), b"");
    while key_sizes::step(&mut server.state) {}
    let first = String::from_utf8(server.pushed(server.client)).expect("text");
    let second = String::from_utf8(server.pushed(other)).expect("text");
    assert_eq!(lines(&first).len(), 2);
    assert_eq!(lines(&second), ["db0_distrib_strings_sizes:2=5000"]);
}

#[test]
fn what_may_not_wait_gets_what_the_last_walk_found() {
    let mut server = server(5000);
    let in_script: &[&[u8]] = &[b"EVAL", b"return redis.call('info', 'keysizes')", b"0"];
    let reply = server.run_args(in_script);
    assert_eq!(lines(&reply), [""; 0], "nothing was walked yet");
    while key_sizes::step(&mut server.state) {}
    let reply = server.run_args(in_script);
    assert_eq!(lines(&reply).len(), 2);
    server.run("MULTI");
    server.run("INFO keysizes");
    let reply = server.run("EXEC");
    assert!(reply.contains("db0_distrib_strings_sizes:2=5000\r\n"), "{reply}");
    while key_sizes::step(&mut server.state) {}
    // One that is sent away gets it too.
    server.run("DEL list");
    server.expect("INFO keysizes", "");
    let client = server.client;
    wake::end(&mut server.state, client, wake::UnblockReason::TimedOut);
    let reply = String::from_utf8(server.pushed(client)).expect("text");
    assert_eq!(lines(&reply).len(), 2);
}

#[test]
fn a_client_that_waits_while_all_are_paused_is_served_afterwards() {
    let mut server = server(5000);
    server.expect("INFO keysizes", "");
    let other = server.connect();
    server.run_as(other, &[b"CLIENT", b"PAUSE", b"100000", b"ALL"]);
    while key_sizes::step(&mut server.state) {}
    assert_eq!(server.pushed(server.client), b"");
    server.state.unpause();
    key_sizes::step(&mut server.state);
    let reply = String::from_utf8(server.pushed(server.client)).expect("text");
    assert_eq!(lines(&reply).len(), 2);
}
