//! Strings: what came after Redis 7.2. The replies are those of Redis's and Valkey's own tests and documentation.

use oneloop::resp::Protocol;

use super::strings::{NULL, OK, SYNTAX, WRONG_INTEGER, events, ttl_ms};
use crate::support::Harness;

const BAD_DIGEST: &str = "-ERR must be exactly 16 hexadecimal characters\r\n";

/// XXH3 of `hello`, as DIGEST shows it.
const HELLO_DIGEST: &str = "9555e8555c62dcfd";

#[test]
fn digests() {
    let mut server = Harness::new();
    server.expect("digest a", NULL);
    server.expect("set a hello", OK);
    server.expect("digest a", &format!("$16\r\n{HELLO_DIGEST}\r\n"));
    let text = "v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd";
    server.expect(&format!("set a {text}"), OK);
    server.expect("digest a", "$16\r\n00006c38adf31777\r\n");
    server.expect("digest", "-ERR wrong number of arguments for 'digest' command\r\n");
}

#[test]
fn set_compares() {
    let mut server = Harness::new();
    let upper = HELLO_DIGEST.to_uppercase();
    let other = "0000000000000000";
    let cases = [
        ("IFEQ hello".to_string(), true, false),
        ("ifeq other".to_string(), false, false),
        ("IFNE hello".to_string(), false, true),
        ("IfNe other".to_string(), true, true),
        (format!("IFDEQ {HELLO_DIGEST}"), true, false),
        (format!("IFDEQ {upper}"), true, false),
        (format!("IFDEQ {other}"), false, false),
        (format!("IFDNE {HELLO_DIGEST}"), false, true),
        (format!("IFDNE {other}"), true, true),
    ];
    for (condition, holds, holds_for_absent) in cases {
        server.run("set a hello");
        server.expect(&format!("set a world {condition}"), if holds { OK } else { NULL });
        let value = if holds { "world" } else { "hello" };
        server.expect("get a", &format!("$5\r\n{value}\r\n"));
        server.run("set a hello");
        server.expect(&format!("set a world {condition} GET"), "$5\r\nhello\r\n");
        server.expect("get a", &format!("$5\r\n{value}\r\n"));
        server.run("getdel a");
        let reply = if holds_for_absent { OK } else { NULL };
        server.expect(&format!("set a world {condition} EX 10"), reply);
        assert_eq!(ttl_ms(&mut server, "a"), if holds_for_absent { 10_000 } else { -2 });
        server.run("getdel a");
    }
    server.run("set a hello");
    for option in ["IFDEQ", "IFDNE"] {
        server.expect(&format!("set a world {option} abc"), BAD_DIGEST);
        server.expect(&format!("set a world {option} abc GET"), BAD_DIGEST);
        server.expect(&format!("set nokey world {option} abc XX"), SYNTAX);
    }
    server.expect("set nokey world IFDEQ abc", NULL);
    for options in ["IFEQ a NX", "XX IFEQ a", "IFEQ a IFNE b", "IFEQ", "IFEQ a IFEQ a"] {
        server.expect(&format!("set a world {options}"), SYNTAX);
    }
    server.expect("set a 12", OK);
    server.expect("set a 13 IFEQ 12", OK);
}

#[test]
fn delex_removes_on_a_condition() {
    let mut server = Harness::new();
    server.expect("delex a", ":0\r\n");
    server.expect("delex a IFNE b", ":0\r\n");
    let cases = [
        ("IFEQ hello".to_string(), ":1\r\n"),
        ("ifeq other".to_string(), ":0\r\n"),
        ("IFNE hello".to_string(), ":0\r\n"),
        ("IFNE other".to_string(), ":1\r\n"),
        (format!("IFDEQ {HELLO_DIGEST}"), ":1\r\n"),
        (format!("IFDNE {HELLO_DIGEST}"), ":0\r\n"),
        ("IFDEQ abc".to_string(), BAD_DIGEST),
        ("FOO hello".to_string(), "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE\r\n"),
    ];
    for (condition, reply) in cases {
        server.run("set a hello");
        server.expect(&format!("delex a {condition}"), reply);
        let left = if reply == ":1\r\n" { NULL } else { "$5\r\nhello\r\n" };
        server.expect("get a", left);
    }
    let arity = "-ERR wrong number of arguments for 'delex' command\r\n";
    server.expect("delex a IFEQ", arity);
    server.expect("delex a IFEQ b c", arity);
    server.run("set a hello");
    assert_eq!(events(&mut server, "delex a IFEQ hello"), ["del"]);
    server.run("set a hello");
    assert_eq!(events(&mut server, "delex a IFEQ other"), [""; 0]);
    server.expect("delex a", ":1\r\n");
}

#[test]
fn delifeq_removes_what_is_equal() {
    let mut server = Harness::new();
    server.expect("delifeq a 1", ":0\r\n");
    server.run("set a 1");
    server.expect("delifeq a 2", ":0\r\n");
    assert_eq!(events(&mut server, "delifeq a 1"), ["del"]);
    server.expect("get a", NULL);
    server.expect("delifeq a", "-ERR wrong number of arguments for 'delifeq' command\r\n");
}

#[test]
fn msetex_sets_all_or_nothing() {
    let mut server = Harness::new();
    server.expect("msetex 2 a 1 b 2 EX 10", ":1\r\n");
    assert_eq!((ttl_ms(&mut server, "a"), ttl_ms(&mut server, "b")), (10_000, 10_000));
    server.expect("msetex 2 a 3 c 3 NX", ":0\r\n");
    server.expect("msetex 2 a 3 c 3 XX", ":0\r\n");
    server.expect("mget a b c", "*3\r\n$1\r\n1\r\n$1\r\n2\r\n$-1\r\n");
    server.expect("msetex 2 a 3 b 3 keepttl xx", ":1\r\n");
    assert_eq!(ttl_ms(&mut server, "a"), 10_000);
    server.expect("msetex 1 a 4", ":1\r\n");
    assert_eq!(ttl_ms(&mut server, "a"), -1);
    server.expect("msetex 2 c 1 d 1 px 5 nx", ":1\r\n");
    assert_eq!(ttl_ms(&mut server, "d"), 5);
    server.expect("msetex 1 c 1 EXAT 1700000001", ":1\r\n");
    assert_eq!(ttl_ms(&mut server, "c"), 1000);
    let count = "-ERR invalid numkeys value\r\n";
    for wrong in ["0", "-1", "x", "2147483648"] {
        server.expect(&format!("msetex {wrong} a 1 ex 10"), count);
    }
    let pairs = "-ERR wrong number of key-value pairs\r\n";
    server.expect("msetex 2 a 1 b", pairs);
    server.expect("msetex 2147483647 a 1 ex 10", pairs);
    server.expect("msetex 1 a", "-ERR wrong number of arguments for 'msetex' command\r\n");
    for options in ["NX XX", "EX 10 PX 10", "KEEPTTL EX 10", "GET", "PERSIST", "IFEQ a", "EX", "b"] {
        server.expect(&format!("msetex 1 a 1 {options}"), SYNTAX);
    }
    server.expect("msetex 1 a 1 EX 0", "-ERR invalid expire time in 'msetex' command\r\n");
    assert_eq!(events(&mut server, "msetex 2 a 1 b 1 EX 10"), ["set", "expire", "set", "expire"]);
}

#[test]
fn increx_counts_within_bounds() {
    let mut server = Harness::new();
    let cases = [
        ("increx k", 1, 1),
        ("increx k BYINT 9", 10, 9),
        ("increx k BYINT -20 LBOUND 0", 10, 0),
        ("increx k BYINT -20 LBOUND 0 SATURATE", 0, -10),
        ("increx k BYINT 100 UBOUND 80 SATURATE", 80, 80),
        ("increx k BYINT 5 UBOUND 30", 80, 0),
        ("increx k BYINT 5 UBOUND 30 SATURATE", 30, -50),
        ("increx k BYINT -25 UBOUND 30", 5, -25),
        ("increx k LBOUND 0 BYINT 5 UBOUND 10", 10, 5),
        ("increx k NX", 10, 0),
        ("increx nokey XX", 0, 0),
        ("increx nokey BYINT 5 LBOUND 10", 0, 0),
    ];
    for (words, value, applied) in cases {
        server.expect(words, &format!("*2\r\n:{value}\r\n:{applied}\r\n"));
    }
    server.expect("get nokey", NULL);
    server.expect("get k", "$2\r\n10\r\n");
    server.expect("increx nokey BYINT 3 NX", "*2\r\n:3\r\n:3\r\n");
    server.run("set k 9223372036854775800");
    server.expect("increx k BYINT 100", "*2\r\n:9223372036854775800\r\n:0\r\n");
    server.expect("increx k BYINT 100 SATURATE", "*2\r\n:9223372036854775807\r\n:7\r\n");
    server.expect("increx k SATURATE UBOUND -9223372036854775808", "-ERR applied increment would overflow\r\n");
    server.run("set k -9223372036854775800");
    server.expect("increx k BYINT -100 SATURATE", "*2\r\n:-9223372036854775808\r\n:-8\r\n");
}

#[test]
fn increx_counts_floats() {
    let mut server = Harness::new();
    server.expect("increx k BYFLOAT 1.5", "*2\r\n$3\r\n1.5\r\n$3\r\n1.5\r\n");
    server.expect("increx k BYFLOAT 10 UBOUND 5.25", "*2\r\n$3\r\n1.5\r\n$1\r\n0\r\n");
    server.expect("increx k BYFLOAT 10 UBOUND 5.25 SATURATE", "*2\r\n$4\r\n5.25\r\n$4\r\n3.75\r\n");
    server.expect("increx k BYFLOAT 1 UBOUND inf", "*2\r\n$4\r\n6.25\r\n$1\r\n1\r\n");
    server.expect("increx k BYFLOAT 1 LBOUND -inf UBOUND -inf", "*2\r\n$4\r\n6.25\r\n$1\r\n0\r\n");
    server.expect("increx k BYFLOAT 1 LBOUND inf UBOUND inf SATURATE", "-ERR applied increment would be Infinity\r\n");
    server.expect("get k", "$4\r\n6.25\r\n");
    server.set_protocol(Protocol::Resp3);
    server.expect("increx k BYFLOAT 0.25", "*2\r\n,6.5\r\n,0.25\r\n");
    server.expect("increx n", "*2\r\n:1\r\n:1\r\n");
    server.run("set k inf");
    server.expect("increx k BYFLOAT 1", "-ERR value cannot be Infinity\r\n");
}

#[test]
fn increx_changes_the_expiry_time() {
    let mut server = Harness::new();
    let cases = [
        ("increx k EX 100", 100_000),
        ("increx k", 100_000),
        ("increx k EX 10 ENX", 100_000),
        ("increx k PERSIST", -1),
        ("increx k ENX PX 10", 10),
        ("increx k EXAT 1700000060", 60_000),
        ("increx k UBOUND 0 EX 5", 60_000),
        ("increx k EXAT 1 ENX", 60_000),
        ("increx k BYINT 100 UBOUND 20 SATURATE PXAT 1700000000500", 500),
        ("increx k EXAT 1", -2),
    ];
    for (words, expected_ms) in cases {
        server.run(words);
        assert_eq!(ttl_ms(&mut server, "k"), expected_ms, "{words}");
    }
    server.expect("increx k EXAT 1", "*2\r\n:1\r\n:1\r\n");
    server.expect("get k", NULL);
    let cases: [(&str, &[&str]); 8] = [
        ("increx k BYINT 5", &["new", "incrby"]),
        ("increx k BYFLOAT 0.5", &["incrbyfloat"]),
        ("set k 10 EX 100", &["set", "expire"]),
        ("increx k PERSIST", &["incrby", "persist"]),
        ("increx k PERSIST", &["incrby"]),
        ("increx k EX 100", &["incrby", "expire"]),
        ("increx k EX 200 ENX", &["incrby"]),
        ("increx k EXAT 1", &["del"]),
    ];
    for (words, expected) in cases {
        assert_eq!(events(&mut server, words), expected, "{words}");
    }
}

#[test]
fn increx_refuses() {
    let mut server = Harness::new();
    let syntax = [
        "FOO",
        "BYINT",
        "BYINT 1 FOO",
        "BYINT 1 BYFLOAT 1",
        "BYINT 1 BYINT 1",
        "LBOUND 0 LBOUND 0",
        "UBOUND 0 UBOUND 0",
        "SATURATE SATURATE",
        "SAT",
        "ENX ENX EX 10",
        "PERSIST PERSIST",
        "EX 10 EX 10",
        "EX 10 PX 10",
        "EX 10 PERSIST",
        "PERSIST EX 10",
        "PERSIST ENX",
        "ENX PERSIST",
        "NX XX",
        "EX",
    ];
    for options in syntax {
        server.expect(&format!("increx k {options}"), SYNTAX);
    }
    let cases = [
        ("increx", "-ERR wrong number of arguments for 'increx' command\r\n"),
        ("increx k ENX", "-ERR ENX flag requires an expiration\r\n"),
        ("increx k BYINT 1.5", "-ERR Increment is not an integer or out of range\r\n"),
        ("increx k BYFLOAT x", "-ERR Increment is not a valid float\r\n"),
        ("increx k BYFLOAT nan", "-ERR Increment is not a valid float\r\n"),
        ("increx k BYFLOAT +inf", "-ERR BYFLOAT increment cannot be Infinity\r\n"),
        ("increx k UBOUND x", "-ERR UBOUND is not an integer or out of range\r\n"),
        ("increx k LBOUND inf", "-ERR LBOUND is not an integer or out of range\r\n"),
        ("increx k BYFLOAT 1 LBOUND x", "-ERR LBOUND is not a valid float\r\n"),
        ("increx k LBOUND 10 UBOUND 5", "-ERR LBOUND can't be greater than UBOUND\r\n"),
        ("increx k EX 0", "-ERR invalid expire time in 'increx' command\r\n"),
        ("increx k EX x", WRONG_INTEGER),
    ];
    for (words, reply) in cases {
        server.expect(words, reply);
    }
    server.run("set k hello");
    server.expect("increx k", WRONG_INTEGER);
    server.expect("increx k BYFLOAT 1", "-ERR value is not a valid float\r\n");
}
