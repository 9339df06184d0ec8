//! HyperLogLogs: every command and error. Replies and stored bytes were recorded from Redis 7.0.15.

use oneloop::config::Config;
use oneloop::keyspace::{Record, Value};

use crate::support::Harness;

const OK: &str = "+OK\r\n";
const ONE: &str = ":1\r\n";
const ZERO: &str = ":0\r\n";
const NOT_A_SKETCH: &str = "-WRONGTYPE Key is not a valid HyperLogLog string value.\r\n";
const CORRUPTED: &str = "-INVALIDOBJ Corrupted HLL object detected\r\n";
const EMPTY: &[u8] = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\x80\x7f\xff";

fn get(server: &mut Harness, key: &str) -> Vec<u8> {
    let record = server.state.keyspace.peek(0, key.as_bytes());
    let text = record.and_then(|record| record.value().text());
    text.expect("a string").with_bytes(<[u8]>::to_vec)
}

#[track_caller]
fn set(server: &mut Harness, key: &str, value: &[u8]) {
    assert_eq!(server.run_args(&[b"SET", key.as_bytes(), value]), OK);
}

fn is_raw(server: &mut Harness, key: &str) -> bool {
    let record = server.state.keyspace.peek(0, key.as_bytes());
    matches!(record.map(Record::value), Some(Value::Raw(_) | Value::Large(_)))
}

#[test]
fn elements_are_added_and_counted() {
    let mut server = Harness::new();
    server.expect("pfcount a", ZERO);
    server.expect("pfadd a", ONE);
    assert_eq!(get(&mut server, "a"), EMPTY);
    server.expect("pfadd a", ZERO);
    server.expect("pfcount a", ZERO);
    server.expect("pfadd a a b c", ONE);
    server.expect("pfadd a a b c", ZERO);
    server.expect("pfcount a", ":3\r\n");
    server.expect("pfadd b c d", ONE);
    server.expect("pfcount a b nothing", ":4\r\n");
    server.expect("pfcount nothing nothing", ZERO);
    server.expect("pfdebug decode b", "$32\r\nZ:7292 v:1,1 Z:1143 v:1,1 Z:7947\r\n");
}

#[test]
fn the_count_is_stored() {
    let mut server = Harness::new();
    server.expect("pfadd a x y z", ONE);
    assert_eq!(get(&mut server, "a")[15], 0x80);
    let changes = server.state.keyspace.changes.total();
    server.expect("pfcount a", ":3\r\n");
    assert_eq!(get(&mut server, "a")[8..16], [3, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(server.state.keyspace.changes.total(), changes + 1);
    server.expect("pfcount a", ":3\r\n");
    server.expect("pfcount a a", ":3\r\n");
    assert_eq!(server.state.keyspace.changes.total(), changes + 1);
    server.expect("pfadd a x", ZERO);
    assert_eq!(get(&mut server, "a")[15], 0);
    server.expect("pfadd a w v", ONE);
    assert_eq!(get(&mut server, "a")[8..16], [3, 0, 0, 0, 0, 0, 0, 0x80]);
    assert_eq!(server.state.keyspace.changes.total(), changes + 3);
    // What is stored is believed.
    server.run_args(&[b"SETRANGE", b"a", b"15", b"\0"]);
    server.expect("pfcount a", ":3\r\n");
    server.expect("pfcount a a", ":5\r\n");
}

#[test]
fn sparse_ones_become_dense_at_their_limit() {
    let config = Config { hll_sparse_max_bytes: 30, ..Config::default() };
    let mut server = Harness::with_config(config);
    let mut number = 0;
    while get_encoding(&mut server) != "+dense\r\n" {
        server.run(&format!("pfadd a {number}"));
        number += 1;
        let length = get(&mut server, "a").len();
        assert!(length <= 30 || length == 12_304, "{length}");
    }
    server.expect("pfcount a", &format!(":{number}\r\n"));
    server.expect("pfadd a 0", ZERO);
    server.expect("pfadd a more", ONE);
    server.expect("pfcount a", &format!(":{}\r\n", number + 1));
    assert!(is_raw(&mut server, "a"));
}

fn get_encoding(server: &mut Harness) -> String {
    server.run("pfdebug encoding a")
}

#[test]
fn merging_takes_the_highest() {
    let mut server = Harness::new();
    server.expect("pfadd a 1 2 3", ONE);
    server.expect("pfadd b 3 4", ONE);
    server.expect("pfmerge c a b nothing", OK);
    server.expect("pfcount c", ":4\r\n");
    server.expect("pfdebug encoding c", "+sparse\r\n");
    server.expect("pfmerge a b", OK);
    server.expect("pfcount a", ":4\r\n");
    server.expect("pfdebug todense b", ONE);
    server.expect("pfdebug todense b", ZERO);
    server.expect("pfdebug encoding b", "+dense\r\n");
    server.expect("pfmerge c b", OK);
    server.expect("pfdebug encoding c", "+dense\r\n");
    server.expect("pfcount c", ":4\r\n");
    server.expect("pfmerge new", OK);
    assert_eq!(get(&mut server, "new"), EMPTY);
    // One that is raised has its expiry time still.
    server.expect("pexpire a 1000", ONE);
    server.expect("pfmerge a c", OK);
    server.expect("pfadd a 5", ONE);
    server.advance_ms(1001);
    server.expect("pfcount a", ZERO);
}

#[test]
fn both_forms_hold_the_same() {
    let mut server = Harness::new();
    for number in 0..300 {
        server.run(&format!("pfadd a {number} {}", number * 7));
    }
    let sparse = get(&mut server, "a");
    let count = server.run("pfcount a");
    server.expect("pfdebug encoding a", "+sparse\r\n");
    let registers = server.run("pfdebug getreg a");
    assert!(registers.starts_with("*16384\r\n"));
    server.expect("pfdebug encoding a", "+dense\r\n");
    server.expect("pfcount a", &count);
    assert_eq!(server.run("pfdebug getreg a"), registers);
    set(&mut server, "b", &sparse);
    server.expect("pfcount a b", &count);
    server.expect("pfdebug decode a", "-ERR HLL encoding is not sparse\r\n");
}

#[test]
fn other_values_are_refused() {
    let mut server = Harness::new();
    server.expect("set number 12", OK);
    server.expect("set text HYLL", OK);
    set(&mut server, "encoding", b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0\0\0");
    set(&mut server, "magic", b"HYLO\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    set(&mut server, "dense", b"HYLL\0\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    for key in ["number", "text", "encoding", "magic", "dense"] {
        server.expect(&format!("pfadd {key} a"), NOT_A_SKETCH);
        server.expect(&format!("pfcount {key}"), NOT_A_SKETCH);
        server.expect(&format!("pfcount nothing {key}"), NOT_A_SKETCH);
        server.expect(&format!("pfmerge {key}"), NOT_A_SKETCH);
        server.expect(&format!("pfmerge nothing {key}"), NOT_A_SKETCH);
        server.expect(&format!("pfdebug encoding {key}"), NOT_A_SKETCH);
    }
    server.expect("exists nothing", ZERO);
    server.expect("pfadd", "-ERR wrong number of arguments for 'pfadd' command\r\n");
    server.expect("pfdebug x number", NOT_A_SKETCH);
    server.expect("pfadd a", ONE);
    server.expect("pfdebug x a", "-ERR Unknown PFDEBUG subcommand 'x'\r\n");
    server.expect("pfdebug x nothing", "-ERR The specified key does not exist\r\n");
}

#[test]
fn corrupted_ones_are_found_out() {
    let mut server = Harness::new();
    let header = &EMPTY[..16];
    for tail in [&b""[..], b"\x7f", b"\x00\x7f\xff", b"\x7f\xfe", b"\x7f\xff\x80"] {
        set(&mut server, "a", &[header, tail].concat());
        server.expect("pfcount a", CORRUPTED);
        server.expect("pfcount a a", CORRUPTED);
        server.expect("pfmerge b a", CORRUPTED);
        server.expect("pfdebug todense a", CORRUPTED);
        server.expect("pfdebug getreg a", CORRUPTED);
        assert!(is_raw(&mut server, "a"));
    }
    // The first element lies in what is there, the second does not.
    set(&mut server, "a", &[header, b"\x5f\xff"].concat());
    server.expect("pfadd a d c", CORRUPTED);
    assert_eq!(get(&mut server, "a")[16..], *b"\x5c\x7b\x80\x43\x82");
    // A count that is there is given without a look at the rest.
    set(&mut server, "a", b"HYLL\x01\0\0\0\x07\0\0\0\0\0\0\0");
    server.expect("pfcount a", ":7\r\n");
    server.expect("pfdebug decode a", "$0\r\n\r\n");
}

/// Values beyond what a hash can give leave no estimate; Redis replies with what x86 makes of infinity.
#[test]
fn impossible_registers_have_a_count() {
    let mut server = Harness::new();
    let mut value = vec![0xff; 12_304];
    value[..16].copy_from_slice(&EMPTY[..16]);
    value[4] = 0;
    set(&mut server, "a", &value);
    server.expect("pfcount a", ":-9223372036854775808\r\n");
    server.expect("pfcount a b", ":-9223372036854775808\r\n");
    server.expect("pfadd a x", ZERO);
}

#[test]
fn events_are_those_of_redis() {
    let mut server = Harness::new();
    assert_eq!(server.events("pfadd a x"), ["0:new a", "0:pfadd a"]);
    assert_eq!(server.events("pfadd a x"), [""; 0]);
    assert_eq!(server.events("pfadd a y"), ["0:pfadd a"]);
    assert_eq!(server.events("pfcount a"), [""; 0]);
    assert_eq!(server.events("pfcount none"), ["0:keymiss none"]);
    assert_eq!(server.events("pfdebug todense a"), [""; 0]);
    assert_eq!(server.events("pfadd a z"), ["0:pfadd a"]);
    assert_eq!(server.events("pfmerge a"), ["0:pfadd a"]);
    let merged = server.events("pfmerge b a");
    assert_eq!(merged, ["0:keymiss b", "0:new b", "0:pfadd b"]);
}

#[test]
fn what_is_used_becomes_raw() {
    let mut server = Harness::new();
    for words in ["pfadd a", "pfcount a", "pfmerge a", "pfdebug encoding a"] {
        set(&mut server, "a", EMPTY);
        assert!(!is_raw(&mut server, "a"));
        server.run(words);
        assert!(is_raw(&mut server, "a"), "{words}");
    }
    set(&mut server, "a", EMPTY);
    server.expect("pfcount a b", ZERO);
    assert!(!is_raw(&mut server, "a"));
}

#[test]
fn the_self_test_succeeds() {
    Harness::new().expect("pfselftest", OK);
}
