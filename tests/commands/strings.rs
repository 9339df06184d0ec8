//! Strings: every command, option and error that Redis 7.2 has. Replies were recorded from Redis 7.0.15.

use oneloop::keyspace::Change;
use oneloop::resp::{Args, Protocol, Reply};

use crate::support::{Harness, START_MS};

pub const WRONG_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
pub const SYNTAX: &str = "-ERR syntax error\r\n";
pub const OK: &str = "+OK\r\n";
pub const NULL: &str = "$-1\r\n";

/// The encoding that OBJECT ENCODING would name.
fn encoding(server: &mut Harness, key: &str) -> &'static str {
    let record = server.state.keyspace.peek(0, key.as_bytes());
    record.map_or("none", |record| record.value().encoding_name())
}

/// When a key expires: ms from now; -1 never, -2 no such key.
pub fn ttl_ms(server: &mut Harness, key: &str) -> i64 {
    let now_ms = server.state.now_ms();
    let record = server.state.keyspace.peek(0, key.as_bytes());
    record.map_or(-2, |record| record.expiry_ms().map_or(-1, |moment_ms| moment_ms - now_ms))
}

/// The keyspace events of a command, in order. Runs the handler alone: what follows it empties the log.
pub fn events(server: &mut Harness, words: &str) -> Vec<&'static str> {
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let state = &mut server.state;
    state.keyspace.changes.set_event_classes(u16::MAX);
    let command = state.commands.find(args[0]).expect("the command exists");
    let (handler, command) = (command.spec.handler, command.id);
    let mut session = state.clients.checkout(server.client).expect("the client is there");
    let mut reply = Reply::new(Protocol::Resp2);
    let mut context = oneloop::engine::context::Context { state, session: &mut session, reply: &mut reply, command };
    handler(&mut context, Args::from_slices(&args)).expect("the command succeeds");
    let log = state.keyspace.changes.take();
    state.clients.checkin(session);
    state.keyspace.changes.set_event_classes(0);
    let event = |change| match change {
        Change::Event { event, .. } => Some(event),
        _ => None,
    };
    log.into_iter().filter_map(event).collect()
}

/// The page on which this project began: a lock, taken with SET NX PX and released by its owner alone.
#[test]
fn the_lock_pattern() {
    let mut server = Harness::new();
    server.expect("set resource owner-1 NX PX 30000", OK);
    server.expect("set resource owner-2 NX PX 30000", NULL);
    server.expect("get resource", "$7\r\nowner-1\r\n");
    server.advance_ms(30_000);
    server.expect("set resource owner-2 NX PX 30000", NULL);
    server.advance_ms(1);
    server.expect("set resource owner-2 NX PX 30000", OK);
    // The first owner, late, neither prolongs nor releases what is no longer its own.
    server.expect("set resource owner-1 IFEQ owner-1 PX 30000", NULL);
    server.expect("delex resource IFEQ owner-1", ":0\r\n");
    server.expect("delifeq resource owner-1", ":0\r\n");
    server.expect("set resource owner-2 IFEQ owner-2 PX 60000", OK);
    assert_eq!(ttl_ms(&mut server, "resource"), 60_000);
    server.expect("delex resource IFEQ owner-2", ":1\r\n");
    server.expect("set resource owner-1 NX PX 30000", OK);
}

#[test]
fn set_takes_conditions() {
    let mut server = Harness::new();
    server.expect("set a 1 XX", NULL);
    server.expect("get a", NULL);
    server.expect("set a 1 nx", OK);
    server.expect("set a 2 NX", NULL);
    server.expect("set a 3 xx", OK);
    server.expect("set a 4 GET", "$1\r\n3\r\n");
    server.expect("set b 1 GET", NULL);
    server.expect("set b 2 NX GET", "$1\r\n1\r\n");
    server.expect("get b", "$1\r\n1\r\n");
    server.expect("set c 1 XX GET", NULL);
    server.expect("get c", NULL);
    server.expect("set c 1 NX GET NX GET", NULL);
    server.expect("get c", "$1\r\n1\r\n");
    for words in ["set a 1 NX XX", "set a 1 XX NX", "set a 1 FOO", "set a 1 GET FOO"] {
        server.expect(words, SYNTAX);
    }
    server.expect("set a", "-ERR wrong number of arguments for 'set' command\r\n");
}

#[test]
fn set_takes_expiry_times() {
    let mut server = Harness::new();
    let cases = [
        ("set a 1 EX 100", 100_000),
        ("set a 1 KEEPTTL", 100_000),
        ("set a 1", -1),
        ("set a 1 PX 1500", 1500),
        ("set a 1 EXAT 1700000060", 60_000),
        ("set a 1 PXAT 1700000000777", 777),
        ("set a 1 EX 5 EX 10", 10_000),
        ("set a 1 KEEPTTL KEEPTTL XX", 10_000),
    ];
    for (words, expected_ms) in cases {
        server.expect(words, OK);
        assert_eq!(ttl_ms(&mut server, "a"), expected_ms, "{words}");
    }
    server.expect("set a 2 EX 10 NX", NULL);
    assert_eq!(START_MS, 1_700_000_000_000);
    server.advance_ms(10_000);
    server.expect("get a", "$1\r\n1\r\n");
    server.advance_ms(1);
    server.expect("get a", NULL);
    // A moment that is over is taken, and the key is gone.
    server.expect("set a 1 PXAT 1", OK);
    server.expect("get a", NULL);
}

#[test]
fn set_refuses_impossible_times() {
    let mut server = Harness::new();
    let invalid = "-ERR invalid expire time in 'set' command\r\n";
    server.expect("set a 1 EX 0", invalid);
    server.expect("set a 1 PX -1", invalid);
    server.expect("set a 1 EXAT 0", invalid);
    server.expect("set a 1 EX 9223372036854775807", invalid);
    server.expect("set a 1 EX 9223372036854775", invalid);
    server.expect("set a 1 PX 9223372036854775807", invalid);
    server.expect("set a 1 PXAT 9223372036854775807", OK);
    server.expect("set a 1 EX ten", WRONG_INTEGER);
    server.expect("set a 1 EX 1.5", WRONG_INTEGER);
    for options in ["EX", "EX 1 PX 1", "EX 1 KEEPTTL", "KEEPTTL PX 1", "EXAT 1 PXAT 1", "PERSIST"] {
        server.expect(&format!("set a 1 {options}"), SYNTAX);
    }
    // The time is looked at before the condition.
    server.expect("set a 1 XX EX 0", invalid);
}

#[test]
fn the_old_ways_to_set() {
    let mut server = Harness::new();
    server.expect("setnx a 1", ":1\r\n");
    server.expect("setnx a 2", ":0\r\n");
    server.expect("setex a 10 x", OK);
    assert_eq!(ttl_ms(&mut server, "a"), 10_000);
    server.expect("psetex a 10 x", OK);
    assert_eq!(ttl_ms(&mut server, "a"), 10);
    server.expect("setex a 0 x", "-ERR invalid expire time in 'setex' command\r\n");
    server.expect("psetex a -1 x", "-ERR invalid expire time in 'psetex' command\r\n");
    server.expect("setex a x x", WRONG_INTEGER);
    server.expect("getset a 2", "$1\r\nx\r\n");
    assert_eq!(ttl_ms(&mut server, "a"), -1);
    server.expect("getset b 2", NULL);
    server.expect("getdel a", "$1\r\n2\r\n");
    server.expect("getdel a", NULL);
    assert_eq!(ttl_ms(&mut server, "a"), -2);
}

#[test]
fn getex_changes_the_expiry_time() {
    let mut server = Harness::new();
    server.expect("getex a EX 0", NULL);
    server.expect("set a 1", OK);
    let cases = [
        ("getex a", -1),
        ("getex a EX 10", 10_000),
        ("getex a", 10_000),
        ("getex a PX 10", 10),
        ("getex a EXAT 1700000060", 60_000),
        ("getex a PXAT 1700000000001", 1),
        ("getex a PERSIST", -1),
        ("getex a PERSIST", -1),
        ("getex a PXAT 1700000000000", -2),
    ];
    for (words, expected_ms) in cases {
        server.expect(words, "$1\r\n1\r\n");
        assert_eq!(ttl_ms(&mut server, "a"), expected_ms, "{words}");
    }
    server.expect("set a 1", OK);
    server.expect("getex a EX 0", "-ERR invalid expire time in 'getex' command\r\n");
    server.expect("getex a EX x", WRONG_INTEGER);
    for options in ["EX", "EX 1 PERSIST", "PERSIST EX 1", "KEEPTTL", "NX", "GET", "EX 1 PX 1"] {
        server.expect(&format!("getex a {options}"), SYNTAX);
    }
}

#[test]
fn several_keys_at_once() {
    let mut server = Harness::new();
    server.expect("mset a 1 b 2 a 3", OK);
    server.expect("mget a b c a", "*4\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n");
    server.expect("msetnx c 1 b 2", ":0\r\n");
    server.expect("mget c", "*1\r\n$-1\r\n");
    server.expect("msetnx c 1 d 2 c 3", ":1\r\n");
    server.expect("get c", "$1\r\n3\r\n");
    server.expect("mset a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n");
    server.expect("msetnx a 1 b", "-ERR wrong number of arguments for 'msetnx' command\r\n");
    // More keys than are fetched ahead, and the hash remembered last does no harm.
    let pairs: Vec<String> = (0..100).map(|number| format!("k{number} {number}")).collect();
    server.expect(&format!("mset {}", pairs.join(" ")), OK);
    let keys: Vec<String> = (0..100).map(|number| format!("k{number}")).collect();
    let values: String = (0..100).map(|number| format!("${}\r\n{number}\r\n", number.to_string().len())).collect();
    server.expect(&format!("mget {}", keys.join(" ")), &format!("*100\r\n{values}"));
    server.set_protocol(Protocol::Resp3);
    server.expect("mget nokey", "*1\r\n_\r\n");
}

#[test]
fn parts_of_strings() {
    let mut server = Harness::new();
    server.expect("append a Hello", ":5\r\n");
    server.expect("append a World", ":10\r\n");
    server.expect("strlen a", ":10\r\n");
    server.expect("strlen nokey", ":0\r\n");
    server.expect("getrange a 0 -6", "$5\r\nHello\r\n");
    server.expect("substr a -5 100", "$5\r\nWorld\r\n");
    server.expect("getrange a 5 3", "$0\r\n\r\n");
    server.expect("getrange nokey 0 -1", "$0\r\n\r\n");
    server.expect("getrange a x 1", WRONG_INTEGER);
    server.expect("getrange a 1 x", WRONG_INTEGER);
    server.expect("setrange a 5 Redis", ":10\r\n");
    server.expect("setrange a 11 !", ":12\r\n");
    server.expect("get a", "$12\r\nHelloRedis\0!\r\n");
    server.expect("setrange nokey 2 x", ":3\r\n");
    server.expect("get nokey", "$3\r\n\0\0x\r\n");
    assert_eq!(server.run_args(&[b"setrange", b"none", b"5", b""]), ":0\r\n");
    assert_eq!(server.run_args(&[b"setrange", b"a", b"50", b""]), ":12\r\n");
    server.expect("get none", NULL);
    server.expect("setrange a -1 x", "-ERR offset is out of range\r\n");
    server.expect("setrange a x x", WRONG_INTEGER);
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n";
    server.expect("setrange a 536870912 x", too_long);
    server.expect("setrange a 9223372036854775807 x", too_long);
    server.state.config.proto_max_bulk_len = 20;
    server.expect("append a 12345678", ":20\r\n");
    server.expect("append a 1", too_long);
}

/// As OBJECT ENCODING tells: what is changed in place is raw, however short.
#[test]
fn encodings_are_those_of_redis() {
    let mut server = Harness::new();
    let cases = [
        ("set k 12345", "int"),
        ("incrbyfloat k 1", "embstr"),
        ("incr k", "int"),
        ("append k 1", "raw"),
        ("incr k", "int"),
        ("setrange k 0 9", "raw"),
        ("getset k 7", "int"),
        ("set k 12345678901234567890", "embstr"),
        ("set k 01", "embstr"),
        ("set k 12345678901234567890123456789012345678901234", "embstr"),
        ("set k 123456789012345678901234567890123456789012345", "raw"),
        ("mset k 1", "int"),
        ("getdel k", "none"),
        ("append k 5", "int"),
        ("getdel k", "none"),
        ("append k abc", "embstr"),
        ("append k abc", "raw"),
        ("getdel k", "none"),
        ("setrange k 0 1", "raw"),
    ];
    for (words, expected) in cases {
        server.run(words);
        assert_eq!(encoding(&mut server, "k"), expected, "{words}");
    }
    server.run("set k 1");
    server.run_args(&[b"append", b"k", b""]);
    assert_eq!(encoding(&mut server, "k"), "raw");
}

#[test]
fn counters_count() {
    let mut server = Harness::new();
    server.expect("incr n", ":1\r\n");
    server.expect("decr n", ":0\r\n");
    server.expect("incrby n 10", ":10\r\n");
    server.expect("decrby n 30", ":-20\r\n");
    server.expect("incrby n ten", WRONG_INTEGER);
    server.expect("set n 9223372036854775806 EX 10", OK);
    server.expect("incr n", ":9223372036854775807\r\n");
    assert_eq!(ttl_ms(&mut server, "n"), 10_000);
    server.expect("incr n", "-ERR increment or decrement would overflow\r\n");
    server.expect("decrby n -9223372036854775808", "-ERR decrement would overflow\r\n");
    for wrong in ["x", "1.5", "01", "+1", "9223372036854775808"] {
        server.expect(&format!("set n {wrong}"), OK);
        server.expect("incr n", WRONG_INTEGER);
    }
    server.expect("incrbyfloat f 10.50", "$4\r\n10.5\r\n");
    server.expect("incrbyfloat f 0.1", "$4\r\n10.6\r\n");
    server.expect("incrbyfloat f -5", "$3\r\n5.6\r\n");
    server.expect("incrbyfloat f 5.0e3", "$22\r\n5005.60000000000000009\r\n");
    server.expect("incrbyfloat n 1", "$19\r\n9223372036854775809\r\n");
    server.expect("incrbyfloat f x", "-ERR value is not a valid float\r\n");
    server.expect("incrbyfloat f inf", "-ERR increment would produce NaN or Infinity\r\n");
    server.expect("set f x", OK);
    server.expect("incrbyfloat f 1", "-ERR value is not a valid float\r\n");
}

#[test]
fn lcs_finds_what_is_common() {
    let mut server = Harness::new();
    server.expect("mset a ohmytext b mynewtext", OK);
    server.expect("lcs a b", "$6\r\nmytext\r\n");
    server.expect("lcs a b LEN", ":6\r\n");
    let indexes = "*4\r\n$7\r\nmatches\r\n*2\r\n*2\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n\
                   *2\r\n*2\r\n:2\r\n:3\r\n*2\r\n:0\r\n:1\r\n$3\r\nlen\r\n:6\r\n";
    server.expect("lcs a b IDX", indexes);
    server.expect("lcs a b IDX MINMATCHLEN -5", indexes);
    let long_ones = "*4\r\n$7\r\nmatches\r\n*1\r\n*3\r\n*2\r\n:4\r\n:7\r\n*2\r\n:5\r\n:8\r\n:4\r\n\
                     $3\r\nlen\r\n:6\r\n";
    server.expect("lcs a b IDX MINMATCHLEN 4 WITHMATCHLEN", long_ones);
    server.expect("lcs a nokey", "$0\r\n\r\n");
    server.expect("lcs a nokey IDX", "*4\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n");
    let both = "-ERR If you want both the length and indexes, please just use IDX.\r\n";
    server.expect("lcs a b LEN IDX", both);
    server.expect("lcs a b MINMATCHLEN", SYNTAX);
    server.expect("lcs a b FOO", SYNTAX);
    server.expect("lcs a b MINMATCHLEN x", WRONG_INTEGER);
    server.state.config.proto_max_bulk_len = 9 * 10 * 4 - 1;
    let too_much = "-ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len\r\n";
    server.expect("lcs a b LEN", too_much);
    server.state.config.proto_max_bulk_len = 9 * 10 * 4;
    server.expect("lcs a b LEN", ":6\r\n");
    server.set_protocol(Protocol::Resp3);
    server.expect("lcs a nokey IDX", "%2\r\n$7\r\nmatches\r\n*0\r\n$3\r\nlen\r\n:0\r\n");
}

/// A value that lives in a buffer of its own, in full and in parts on both sides of what is copied into the reply.
#[test]
fn large_values() {
    let mut server = Harness::new();
    let value: Vec<u8> = (0..100_000u32).map(|number| b'a' + (number % 26) as u8).collect();
    assert_eq!(server.run_args(&[b"set", b"a", &value]), OK);
    let text = String::from_utf8(value).expect("letters");
    server.expect("get a", &format!("$100000\r\n{text}\r\n"));
    server.expect("getrange a 10 29", &format!("$20\r\n{}\r\n", &text[10..30]));
    server.expect("getrange a 1 -2", &format!("$99998\r\n{}\r\n", &text[1..99_999]));
    server.expect("setrange a 0 XYZ", ":100000\r\n");
    server.expect("append a !", ":100001\r\n");
    server.expect("get a", &format!("$100001\r\nXYZ{}!\r\n", &text[3..]));
    server.expect("incr a", WRONG_INTEGER);
    server.expect("set a 1", OK);
    server.expect("get a", "$1\r\n1\r\n");
}

#[test]
fn keyspace_events_are_those_of_redis() {
    let mut server = Harness::new();
    let cases: [(&str, &[&str]); 26] = [
        ("get k", &["keymiss"]),
        ("set k 1", &["new", "set"]),
        ("set k 1", &["set"]),
        ("set k 1 EX 10", &["set", "expire"]),
        ("set k 1 NX", &[]),
        ("get k", &[]),
        ("getex k PERSIST", &["persist"]),
        ("getex k PERSIST", &[]),
        ("getex k PX 10", &["expire"]),
        ("getex k PXAT 1", &["del"]),
        ("setnx k 1", &["new", "set"]),
        ("setex k 1 1", &["set", "expire"]),
        ("getset k 1", &["set"]),
        ("incr k", &["incrby"]),
        ("decrby k 1", &["incrby"]),
        ("incrbyfloat k 1", &["incrbyfloat"]),
        ("append k x", &["append"]),
        ("setrange k 0 x", &["setrange"]),
        ("getdel k", &["del"]),
        ("append k x", &["new", "append"]),
        ("setrange l 1 x", &["new", "setrange"]),
        ("mset k 1 m 1", &["set", "new", "set"]),
        ("msetnx k 1", &[]),
        ("mget k nokey", &["keymiss"]),
        ("incr n", &["new", "incrby"]),
        ("psetex k 5 1", &["set", "expire"]),
    ];
    for (words, expected) in cases {
        assert_eq!(events(&mut server, words), expected, "{words}");
    }
    server.advance_ms(6);
    assert_eq!(events(&mut server, "set k 1"), ["expired", "new", "set"]);
    assert_eq!(events(&mut server, "set k 1 PXAT 1"), ["set", "expire"]);
    assert_eq!(events(&mut server, "get k"), ["expired", "keymiss"]);
}

#[test]
fn reads_count_hits_and_misses() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.run("mget a b c");
    server.run("strlen a");
    server.run("set a 1 GET");
    server.run("append b 1");
    let stats = server.state.keyspace.stats;
    assert_eq!((stats.hits, stats.misses), (3, 2));
}
