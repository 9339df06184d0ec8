//! When keys expire: the commands, and the cycle that removes what is due.

use oneloop::engine::removal;
use oneloop::keyspace::{Expiry, NewValue};

use crate::support::{Harness, START_MS};

const NOW_MS: i64 = START_MS as i64;

/// A deadline that is never reached, and one that always has been: then a slice is one sample.
const NEVER: u64 = u64::MAX;
const AT_ONCE: u64 = 0;

fn fill(server: &mut Harness, database: usize, keys: usize, expiry_ms: impl Fn(usize) -> i64) {
    for number in 0..keys {
        let key = format!("key:{number}");
        let expiry = Expiry::At(expiry_ms(number));
        server.state.keyspace.set(database, key.as_bytes(), NewValue::Raw(b"value"), expiry);
    }
}

#[test]
fn a_key_lives_through_the_millisecond_it_expires_at() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.expect("pexpire a 100", ":1\r\n");
    server.advance_ms(100);
    server.expect("pttl a", ":0\r\n");
    server.expect("get a", "$1\r\n1\r\n");
    server.advance_ms(1);
    server.expect("pttl a", ":-2\r\n");
    server.expect("get a", "$-1\r\n");
    server.expect("dbsize", ":0\r\n");
}

#[test]
fn the_four_commands_set_the_same_time() {
    let mut server = Harness::new();
    server.run("set a 1");
    let at_ms = NOW_MS + 100_000;
    for words in [
        "expire a 100".to_string(),
        "pexpire a 100000".to_string(),
        format!("expireat a {}", at_ms / 1000),
        format!("pexpireat a {at_ms}"),
    ] {
        server.run("persist a");
        server.expect(&words, ":1\r\n");
        server.expect("ttl a", ":100\r\n");
        server.expect("pttl a", ":100000\r\n");
        server.expect("expiretime a", &format!(":{}\r\n", at_ms / 1000));
        server.expect("pexpiretime a", &format!(":{at_ms}\r\n"));
    }
}

#[test]
fn times_are_told_for_keys_that_are_not_there_or_stay() {
    let mut server = Harness::new();
    server.run("set a 1");
    for command in ["ttl", "pttl", "expiretime", "pexpiretime"] {
        server.expect(&format!("{command} a"), ":-1\r\n");
        server.expect(&format!("{command} none"), ":-2\r\n");
        let arity = format!("-ERR wrong number of arguments for '{command}' command\r\n");
        server.expect(command, &arity);
    }
}

#[test]
fn seconds_are_rounded_to_the_nearest() {
    let mut server = Harness::new();
    server.run("set a 1");
    for (time_ms, seconds) in [(499, 0), (500, 1), (999, 1), (1499, 1), (1500, 2)] {
        server.run(&format!("pexpire a {time_ms}"));
        server.expect("ttl a", &format!(":{seconds}\r\n"));
    }
    server.expect("pexpireat a 9223372036854775807", ":1\r\n");
    server.expect("expiretime a", ":9223372036854776\r\n");
    server.expect("pexpiretime a", ":9223372036854775807\r\n");
}

#[test]
fn conditions_decide() {
    let mut server = Harness::new();
    server.run("set a 1");
    for (words, reply) in [
        ("expire a 100 xx", 0),
        ("expire a 100 gt", 0),
        ("expire a 100 XX GT", 0),
        ("expire a 100 xx lt", 0),
        ("expire a 100 NX", 1),
        ("expire a 200 nx", 0),
        ("expire a 50 gt", 0),
        ("expire a 100 gt", 0),
        ("expire a 200 gt", 1),
        ("expire a 200 lt", 0),
        ("expire a 300 lt", 0),
        ("expire a 150 lt", 1),
        ("expire a 120 xx lt", 1),
        ("expire a 130 xx gt", 1),
        ("expire a 140 xx", 1),
        ("expire a 140 nx nx", 0),
        ("persist a", 1),
        ("expire a 10 lt", 1),
        ("expire none 10", 0),
    ] {
        server.expect(words, &format!(":{reply}\r\n"));
    }
    server.expect("ttl a", ":10\r\n");
}

#[test]
fn conditions_that_exclude_each_other_are_refused() {
    let mut server = Harness::new();
    let nx = "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n";
    let gt = "-ERR GT and LT options at the same time are not compatible\r\n";
    for command in ["expire", "pexpire", "expireat", "pexpireat"] {
        for options in ["nx xx", "nx gt", "lt nx", "nx gt lt"] {
            server.expect(&format!("{command} a 100 {options}"), nx);
        }
        server.expect(&format!("{command} a 100 gt lt"), gt);
        server.expect(&format!("{command} a 100 xx gt lt"), gt);
        // Options are read before the time is.
        server.expect(&format!("{command} a x nx xx"), nx);
        let unknown = "-ERR Unsupported option foo\r\n";
        server.expect(&format!("{command} a x nx xx foo"), unknown);
        let number = "-ERR value is not an integer or out of range\r\n";
        server.expect(&format!("{command} a x"), number);
        server.expect(&format!("{command} a 10.5"), number);
        server.expect(&format!("{command} a 9223372036854775808"), number);
    }
}

#[test]
fn times_that_overflow_are_refused() {
    let mut server = Harness::new();
    server.run("set a 1");
    for words in [
        "expire a 9223372036854775807",
        "expire a -9223372036854775808",
        "expire a 9223372036854775",
        "expireat a 9223372036854776",
        "expireat none -9223372036854776",
        "pexpire a 9223372036854775807",
    ] {
        let command = words.split(' ').next().unwrap_or_default();
        let error = format!("-ERR invalid expire time in '{command}' command\r\n");
        server.expect(words, &error);
    }
    server.expect("expireat a 9223372036854775", ":1\r\n");
    server.expect("pexpire none -9223372036854775808", ":0\r\n");
}

#[test]
fn a_time_that_is_past_removes_the_key() {
    let mut server = Harness::new();
    let now = format!("pexpireat a {NOW_MS}");
    for words in ["expire a 0", "expire a -1", "pexpire a -5", "expireat a 1", "pexpireat a -9", &now] {
        server.run("set a 1");
        assert_eq!(server.events(words), ["0:del a"], "{words}");
        server.expect("exists a", ":0\r\n");
    }
    assert_eq!(server.state.keyspace.stats.expired_keys, 0);
    server.run("set a 1");
    server.expect("expire a -1 xx", ":0\r\n");
    server.expect("expire a -1 gt", ":0\r\n");
    server.expect("expire a -1 lt", ":1\r\n");
    server.expect("exists a", ":0\r\n");
}

#[test]
fn persist_clears_the_time() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.expect("persist a", ":0\r\n");
    server.expect("persist none", ":0\r\n");
    assert_eq!(server.events("expire a 10"), ["0:expire a"]);
    assert_eq!(server.events("persist a"), ["0:persist a"]);
    server.expect("ttl a", ":-1\r\n");
    assert_eq!(server.state.keyspace.database(0).volatile_len(), 0);
    server.advance_ms(20_000);
    server.expect("get a", "$1\r\n1\r\n");
}

#[test]
fn set_over_an_expired_key_tells_that_it_expired() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.run("pexpire a 1");
    server.advance_ms(2);
    assert_eq!(server.events("set a 2")[..2], ["0:expired a", "0:new a"]);
    assert_eq!(server.state.keyspace.stats.expired_keys, 1);
}

#[test]
fn a_storm_of_expiring_keys_is_removed_in_few_slices() {
    const KEYS: usize = 100_000;
    let mut server = Harness::new();
    fill(&mut server, 0, KEYS, |number| NOW_MS + (number % 1000) as i64);
    assert!(!removal::expire_slice(&mut server.state, NEVER), "nothing is due");
    assert_eq!(server.state.keyspace.stats.expired_keys, 0);
    server.advance_ms(1000);
    let mut slices = 0;
    while removal::expire_slice(&mut server.state, AT_ONCE) && !server.state.keyspace.database(0).is_empty() {
        slices += 1;
    }
    assert!(slices <= KEYS / 20 + 1, "{slices} samples of at least 20 keys each");
    server.expect("dbsize", ":0\r\n");
    assert_eq!(server.state.keyspace.stats.expired_keys, KEYS as u64);
    assert!(!removal::expire_slice(&mut server.state, NEVER));
}

#[test]
fn a_storm_is_removed_in_one_slice_if_there_is_time() {
    let mut server = Harness::new();
    fill(&mut server, 0, 20_000, |_| NOW_MS);
    fill(&mut server, 5, 20_000, |_| NOW_MS);
    server.advance_ms(1);
    assert!(!removal::expire_slice(&mut server.state, NEVER));
    let left: usize = server.state.keyspace.databases().map(|database| database.len()).sum();
    assert_eq!(left, 0);
}

#[test]
fn a_storm_in_one_database_does_not_keep_others_waiting() {
    let mut server = Harness::new();
    fill(&mut server, 0, 10_000, |_| NOW_MS);
    fill(&mut server, 9, 100, |_| NOW_MS);
    server.advance_ms(1);
    for _ in 0..20 {
        removal::expire_slice(&mut server.state, AT_ONCE);
    }
    assert_eq!(server.state.keyspace.database(9).len(), 0);
    assert!(server.state.keyspace.database(0).len() > 9_000);
}

#[test]
fn few_expired_keys_among_many_take_little_time() {
    let mut server = Harness::new();
    fill(&mut server, 0, 50_000, |number| NOW_MS + if number % 100 == 0 { 0 } else { 100_000 });
    server.advance_ms(1);
    for _ in 0..100 {
        let mut samples = 0;
        let stopped = server.state.keyspace.expire_cycle(10, || {
            samples += 1;
            false
        });
        assert!(!stopped && samples < 10, "{samples} samples");
    }
    // Nor does a keyspace of which all expired keys are gone.
    assert!(server.state.keyspace.expiry_stats.stale_percent < 5.0);
}

#[test]
fn no_more_than_a_tenth_of_the_keys_is_left_expired() {
    for due_of_ten in [2, 3, 5, 9] {
        let mut server = Harness::new();
        let time_ms = |number: usize| NOW_MS + if number % 10 < due_of_ten { 0 } else { 100_000 };
        fill(&mut server, 0, 20_000, time_ms);
        server.advance_ms(1);
        while removal::expire_slice(&mut server.state, NEVER) {}
        let stay = 20_000 - 2_000 * due_of_ten;
        let left = server.state.keyspace.database(0).len();
        let expired = left - stay;
        assert!(expired * 10 <= left, "{due_of_ten}: {expired} of {left}");
    }
}

#[test]
fn the_cycle_is_off_when_debug_says_so_and_while_clients_are_paused() {
    let mut server = Harness::new();
    fill(&mut server, 0, 100, |_| NOW_MS);
    server.advance_ms(1);
    server.state.keyspace.active_expiry = false;
    assert!(!removal::expire_slice(&mut server.state, NEVER));
    server.expect("dbsize", ":100\r\n");
    server.state.keyspace.active_expiry = true;
    server.state.pause_clients(NOW_MS + 1000, false);
    assert!(!removal::expire_slice(&mut server.state, NEVER));
    server.expect("dbsize", ":100\r\n");
    server.state.unpause();
    assert!(!removal::expire_slice(&mut server.state, NEVER));
    server.expect("dbsize", ":0\r\n");
}

#[test]
fn a_pause_hides_expired_keys_without_removing_them() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.run("pexpire a 10");
    server.state.pause_clients(NOW_MS + 1000, false);
    server.advance_ms(11);
    server.expect("get a", "$-1\r\n");
    server.expect("exists a", ":0\r\n");
    server.expect("ttl a", ":-2\r\n");
    server.expect("scan 0", "*2\r\n$1\r\n0\r\n*0\r\n");
    server.expect("object encoding a", "$-1\r\n");
    server.expect("randomkey", "$1\r\na\r\n");
    server.expect("dbsize", ":1\r\n");
    server.state.unpause();
    server.expect("get a", "$-1\r\n");
    server.expect("dbsize", ":0\r\n");
}

#[test]
fn the_mean_time_to_live_is_estimated() {
    let mut server = Harness::new();
    fill(&mut server, 0, 1000, |_| NOW_MS + 10_000);
    removal::expire_slice(&mut server.state, NEVER);
    assert_eq!(server.state.keyspace.average_ttl_ms(0), 10_000);
    server.run("flushall");
    assert_eq!(server.state.keyspace.average_ttl_ms(0), 0);
}
