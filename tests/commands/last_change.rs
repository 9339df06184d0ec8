//! `maxmemory-policy allkeys-lrm` and `volatile-lrm`: keys remember when they were changed last, reads do not count.

use oneloop::config::MaxmemoryPolicy;
use oneloop::drive::save::snapshot_settings;
use oneloop::drive::settings;
use oneloop::storage::snapshot::{AccessNote, Origin};

use crate::support::Harness;

fn server(policy: MaxmemoryPolicy) -> Harness {
    let mut server = Harness::new();
    server.state.config.maxmemory_policy = policy;
    settings::apply_to_state(&mut server.state);
    server
}

/// Commands that change what they find, after those before the arrow.
const CHANGES: &[(&str, &str)] = &[
    ("set a x", "set a y"),
    ("set a x", "append a y"),
    ("set a 5", "incr a"),
    ("set a x", "setrange a 3 y"),
    ("set a x", "setbit a 7 1"),
    ("set a x", "getset a y"),
    ("set a x", "expire a 1000"),
    ("set a x ex 1000", "persist a"),
    ("set a x", "getex a ex 1000"),
    ("rpush a x", "rpush a y"),
    ("rpush a x y", "lpop a"),
    ("rpush a x", "lset a 0 y"),
    ("sadd a x", "sadd a y"),
    ("sadd a x y", "srem a y"),
    ("hset a f x", "hset a f y"),
    ("hset a f x", "hincrby a g 1"),
    ("zadd a 1 x", "zadd a 2 x"),
    ("zadd a 1 x", "zincrby a 1 x"),
    ("xadd a 1-1 f v", "xadd a 2-1 f v"),
    ("xadd a 1-1 f v", "xgroup create a g $"),
    ("set b x", "rename b a"),
    ("set b x", "copy b a"),
    ("rpush b x", "lmove b a left left"),
];

/// Commands that change nothing.
const READS: &[(&str, &str)] = &[
    ("set a x", "get a"),
    ("set a x", "getrange a 0 1"),
    ("set a x", "setnx a y"),
    ("set a x", "touch a"),
    ("set a x", "getex a"),
    ("set a x", "exists a"),
    ("rpush a x", "lrange a 0 -1"),
    ("sadd a x", "sadd a x"),
    ("sadd a x", "srem a y"),
    ("sadd a x", "smembers a"),
    ("hset a f x", "hsetnx a f y"),
    ("hset a f x", "hgetall a"),
    ("zadd a 1 x", "zadd a nx 2 x"),
    ("zadd a 1 x", "zrange a 0 -1"),
    ("xadd a 1-1 f v", "xrange a - +"),
    ("set a x", "rpush a y"),
];

#[test]
fn idle_times_are_those_since_the_last_change() {
    for policy in [MaxmemoryPolicy::AllkeysLrm, MaxmemoryPolicy::VolatileLrm] {
        for (cases, expected) in [(CHANGES, ":0\r\n"), (READS, ":100\r\n")] {
            for (before, command) in cases {
                let mut server = server(policy);
                assert!(!server.run(before).starts_with('-'), "{before}");
                server.advance_ms(100_000);
                server.run(command);
                assert_eq!(server.run("object idletime a"), expected, "{before} → {command}");
            }
        }
    }
}

#[test]
fn work_on_the_groups_of_a_stream_is_a_change_of_it() {
    let mut server = server(MaxmemoryPolicy::AllkeysLrm);
    server.run("xadd a 1-1 f v");
    server.run("xgroup create a g 0");
    for command in ["xreadgroup group g c streams a >", "xclaim a g d 0 1-1", "xack a g 1-1", "xgroup destroy a g"] {
        server.advance_ms(100_000);
        server.expect("object idletime a", ":100\r\n");
        assert!(!server.run(command).starts_with('-'), "{command}");
        server.expect("object idletime a", ":0\r\n");
    }
}

#[test]
fn clients_that_touch_nothing_change_keys_nevertheless() {
    let mut server = server(MaxmemoryPolicy::AllkeysLrm);
    server.run("client no-touch on");
    server.run("rpush a x");
    server.advance_ms(100_000);
    server.run("rpush a y");
    server.expect("object idletime a", ":0\r\n");
    server.expect(
        "object freq a",
        "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching \
         between policies at runtime LRU and LFU data will take some time to adjust.\r\n",
    );
}

/// Half of the keys are read all the time, the other half are changed. With all keys in the sample the order is exact.
#[test]
fn keys_that_are_only_read_go_first() {
    for (policy, expiry) in [(MaxmemoryPolicy::AllkeysLrm, ""), (MaxmemoryPolicy::VolatileLrm, " ex 100000")] {
        let mut server = server(policy);
        server.run("config set maxmemory-samples 1000");
        for number in 0..100 {
            server.run(&format!("set read:{number} x{expiry}"));
            server.run(&format!("set changed:{number} x{expiry}"));
        }
        server.run("set kept x");
        server.advance_ms(10_000);
        (0..100).for_each(|number| {
            server.run(&format!("append changed:{number} y"));
        });
        server.run("append kept y");
        server.advance_ms(10_000);
        (0..100).for_each(|number| {
            server.run(&format!("get read:{number}"));
        });
        (0..100).for_each(|_| assert!(server.state.keyspace.evict()));
        let left = |server: &mut Harness, name: &str| {
            (0..100).filter(|number| server.run(&format!("exists {name}:{number}")) == ":1\r\n").count()
        };
        assert_eq!((left(&mut server, "read"), left(&mut server, "changed")), (0, 100), "{policy:?}");
        server.expect("exists kept", ":1\r\n");
    }
}

#[test]
fn a_snapshot_keeps_the_times() {
    let server = server(MaxmemoryPolicy::AllkeysLrm);
    assert_eq!(snapshot_settings(&server.state, Origin::Plain).access, AccessNote::Idle);
}
