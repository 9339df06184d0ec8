//! Bitmaps: every command, option and error. Replies were recorded from Redis 7.0.15, those of BITOP's newer operations
//! from 8.2.

use oneloop::resp::Protocol;

use super::strings::{OK, SYNTAX, WRONG_INTEGER, events, ttl_ms};
use crate::support::Harness;

const BAD_OFFSET: &str = "-ERR bit offset is not an integer or out of range\r\n";
const BAD_BIT: &str = "-ERR bit is not an integer or out of range\r\n";
const BAD_TYPE: &str =
    "-ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.\r\n";
const NO_EVENTS: [&str; 0] = [];

/// A server whose key `a` holds these bytes.
fn holding(bytes: &[u8]) -> Harness {
    let mut server = Harness::new();
    assert_eq!(server.run_args(&[b"SET", b"a", bytes]), OK);
    server
}

/// The bytes of the string at a key, in hexadecimal digits.
fn hex(server: &mut Harness, key: &str) -> String {
    let args: [&[u8]; 2] = [b"GET", key.as_bytes()];
    let reply = server.run_as(server.client, &args);
    let start = reply.windows(2).position(|pair| pair == b"\r\n");
    let bytes = &reply[start.expect("a string") + 2..reply.len() - 2];
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn changes(server: &mut Harness, command: &str) -> u64 {
    let before = server.state.keyspace.changes.total();
    server.run(command);
    server.state.keyspace.changes.total() - before
}

#[test]
fn single_bits() {
    let mut server = Harness::new();
    server.expect("getbit a 7", ":0\r\n");
    server.expect("setbit a 7 1", ":0\r\n");
    server.expect("setbit a 7 1", ":1\r\n");
    server.expect("get a", "$1\r\n\x01\r\n");
    server.expect("setbit a 1 1", ":0\r\n");
    server.expect("setbit a 7 0", ":1\r\n");
    server.expect("get a", "$1\r\n@\r\n");
    server.expect("getbit a 1", ":1\r\n");
    server.expect("getbit a 100", ":0\r\n");
    server.expect("setbit a 23 0", ":0\r\n");
    server.expect("strlen a", ":3\r\n");
    server.expect("set a 12", OK);
    server.expect("getbit a 3", ":1\r\n");
    server.expect("setbit a 15 1", ":0\r\n");
    server.expect("get a", "$2\r\n13\r\n");
}

#[test]
fn offsets_and_bits_are_checked() {
    let mut server = Harness::new();
    for offset in ["x", "-1", "", "#1", "4294967296", "9223372036854775808"] {
        for command in ["getbit a OFFSET", "setbit a OFFSET 1"] {
            let (before, after) = command.split_once("OFFSET").expect("an offset");
            server.expect(&format!("{before}{offset}{after}"), BAD_OFFSET);
        }
    }
    for bit in ["2", "-1", "x", ""] {
        server.expect(&format!("setbit a 1 {bit}"), BAD_BIT);
    }
    server.expect("getbit a 4294967295", ":0\r\n");
    server.state.config.proto_max_bulk_len = 1024 * 1024;
    server.expect("setbit a 8388608 1", BAD_OFFSET);
    server.expect("setbit a 8388607 1", ":0\r\n");
    server.expect("strlen a", ":1048576\r\n");
    server.expect("bitpos a 1", ":8388607\r\n");
}

#[test]
fn a_bit_that_stays_is_no_change() {
    let mut server = Harness::new();
    assert_eq!(events(&mut server, "setbit a 5 0"), ["new", "setbit"]);
    assert_eq!(events(&mut server, "setbit a 5 0"), NO_EVENTS);
    assert_eq!(events(&mut server, "setbit a 5 1"), ["setbit"]);
    assert_eq!(events(&mut server, "setbit a 8 0"), ["setbit"]);
    assert_eq!(changes(&mut server, "setbit a 5 1"), 0);
    assert_eq!(changes(&mut server, "setbit a 5 0"), 1);
    // The form of a string is another one all the same.
    server.expect("set a 12", OK);
    assert_eq!(changes(&mut server, "setbit a 0 0"), 0);
    server.expect("object encoding a", "$3\r\nraw\r\n");
    server.expect("get a", "$2\r\n12\r\n");
}

#[test]
fn changed_bits_keep_the_expiry_time() {
    let mut server = Harness::new();
    server.expect("set a abc PX 500", OK);
    server.expect("setbit a 100 1", ":0\r\n");
    server.expect("bitfield a set u8 0 1", "*1\r\n:97\r\n");
    assert_eq!(ttl_ms(&mut server, "a"), 500);
    server.advance_ms(501);
    server.expect("getbit a 100", ":0\r\n");
    server.expect("setbit a 0 0", ":0\r\n");
    server.expect("strlen a", ":1\r\n");
}

#[test]
fn bits_are_counted() {
    let mut server = holding(b"foobar");
    for (range, count) in [
        ("", 26),
        (" 0 0", 4),
        (" 1 1", 6),
        (" 0 -1", 26),
        (" -2 -1", 7),
        (" 1 1 BYTE", 6),
        (" 5 30 bit", 17),
        (" 5 5 BIT", 1),
        (" 3 3 BIT", 0),
        (" -1 -1 BIT", 0),
        (" 4 2", 0),
        (" 100 200", 0),
        (" -100 -101", 0),
        (" -100 -99", 4),
        (" -100 -101 foo", 0),
    ] {
        server.expect(&format!("bitcount a{range}"), &format!(":{count}\r\n"));
    }
    server.expect("bitcount a 0", SYNTAX);
    server.expect("bitcount a 0 1 foo", SYNTAX);
    server.expect("bitcount a 0 1 bit x", SYNTAX);
    server.expect("bitcount a x 1", WRONG_INTEGER);
    server.expect("bitcount a 1 x", WRONG_INTEGER);
    // Without a key nothing else counts.
    server.expect("bitcount nokey", ":0\r\n");
    server.expect("bitcount nokey x", ":0\r\n");
    server.expect("set a 123", OK);
    server.expect("bitcount a", ":10\r\n");
}

#[test]
fn bits_are_found() {
    let mut server = holding(b"\x00\xff\xf0");
    for (range, clear, set) in [
        ("", 0, 8),
        (" 0", 0, 8),
        (" 1", 20, 8),
        (" 1 1", -1, 8),
        (" 1 2", 20, 8),
        (" -1 -1 BYTE", 20, 16),
        (" 3", -1, -1),
        (" 2 1", -1, -1),
        (" 0 7 BIT", 0, -1),
        (" 9 11 bit", -1, 9),
        (" 20 -1 bit", 20, -1),
        (" 7 15 bit", 7, 8),
    ] {
        server.expect(&format!("bitpos a 0{range}"), &format!(":{clear}\r\n"));
        server.expect(&format!("bitpos a 1{range}"), &format!(":{set}\r\n"));
    }
    let mut server = holding(b"\xff\xff\xff");
    server.expect("bitpos a 0", ":24\r\n");
    server.expect("bitpos a 0 1", ":24\r\n");
    server.expect("bitpos a 0 0 -1", ":-1\r\n");
    server.expect("bitpos a 0 3", ":-1\r\n");
    let mut server = holding(b"");
    server.expect("bitpos a 0", ":-1\r\n");
    server.expect("bitpos a 1", ":-1\r\n");
}

#[test]
fn searches_are_checked() {
    let mut server = holding(b"abc");
    server.expect("bitpos a 2", "-ERR The bit argument must be 1 or 0.\r\n");
    server.expect("bitpos a x", WRONG_INTEGER);
    server.expect("bitpos a 1 x", WRONG_INTEGER);
    server.expect("bitpos a 1 0 x", WRONG_INTEGER);
    server.expect("bitpos a 1 0 x foo", SYNTAX);
    server.expect("bitpos a 1 x 0 foo", WRONG_INTEGER);
    server.expect("bitpos a 1 0 1 bit x", SYNTAX);
    server.expect("bitpos nokey 0 5 6", ":0\r\n");
    server.expect("bitpos nokey 1 x", ":-1\r\n");
    server.expect("bitpos nokey 2", "-ERR The bit argument must be 1 or 0.\r\n");
}

#[test]
fn strings_are_combined() {
    let mut server = Harness::new();
    server.run_args(&[b"SET", b"a", b"\xf0\xff\x01"]);
    server.run_args(&[b"SET", b"b", b"\xcc\x0f"]);
    server.run_args(&[b"SET", b"c", b"\xaa"]);
    for (operation, result) in [
        ("and d a b", "c00f00"),
        ("or d a b c", "feff01"),
        ("xor d a b c", "96f001"),
        ("not d a", "0f00fe"),
        ("diff d a b c", "10f001"),
        ("diff1 d a b c", "0e0000"),
        ("andor d a b c", "e00f00"),
        ("one d a b c", "16f001"),
        ("one d a", "f0ff01"),
        ("AND d a nokey", "000000"),
        ("or d nokey c nokey", "aa"),
        ("diff d nokey b", "0000"),
        ("diff1 d nokey b", "cc0f"),
    ] {
        let length = result.len() / 2;
        server.expect(&format!("bitop {operation}"), &format!(":{length}\r\n"));
        assert_eq!(hex(&mut server, "d"), result, "{operation}");
    }
    // The destination may be a source.
    server.expect("bitop xor a a a", ":3\r\n");
    assert_eq!(hex(&mut server, "a"), "000000");
    server.expect("set a 12", OK);
    server.expect("bitop or d a", ":2\r\n");
    server.expect("get d", "$2\r\n12\r\n");
    server.expect("object encoding d", "$3\r\nraw\r\n");
}

#[test]
fn long_strings_are_combined() {
    let mut server = Harness::new();
    let (first, second) = ([0xf0; 20_000], [0x3c; 10_001]);
    server.run_args(&[b"SET", b"a", &first]);
    server.run_args(&[b"SET", b"b", &second]);
    server.expect("bitop xor d a b", ":20000\r\n");
    let expected = "cc".repeat(10_001) + &"f0".repeat(9_999);
    assert_eq!(hex(&mut server, "d"), expected);
    server.expect("bitcount d", ":80000\r\n");
    server.expect("bitcount a", ":80000\r\n");
}

#[test]
fn combinations_are_checked() {
    let mut server = holding(b"abc");
    server.expect("bitop foo d a", SYNTAX);
    server.expect("bitop not d a a", "-ERR BITOP NOT must be called with a single source key.\r\n");
    for operation in ["DIFF", "DIFF1", "ANDOR"] {
        server.expect(
            &format!("bitop {} d a", operation.to_lowercase()),
            &format!("-ERR BITOP {operation} must be called with at least two source keys.\r\n"),
        );
    }
    server.expect("bitop and d", "-ERR wrong number of arguments for 'bitop' command\r\n");
}

#[test]
fn combinations_replace_the_destination() {
    let mut server = holding(b"abc");
    server.run("set d x EX 100");
    assert_eq!(events(&mut server, "bitop not d a"), ["set"]);
    assert_eq!(ttl_ms(&mut server, "d"), -1);
    let deleting = events(&mut server, "bitop and d nokey nothing");
    assert_eq!(deleting, ["keymiss", "keymiss", "del"]);
    assert_eq!(events(&mut server, "bitop and d nokey nothing"), ["keymiss", "keymiss"]);
    server.expect("exists d", ":0\r\n");
    server.expect("bitop or d nokey", ":0\r\n");
}

/// A key is counted as a version of its record only while a snapshot holds it: not once for each time that it is named.
#[test]
fn a_source_may_be_named_very_often() {
    let mut server = holding(b"abc");
    let mut command: Vec<&[u8]> = vec![b"BITOP", b"XOR", b"d"];
    command.extend(std::iter::repeat_n(b"a".as_slice(), 70_001));
    assert_eq!(server.run_args(&command), ":3\r\n");
    server.expect("get d", "$3\r\nabc\r\n");
}

#[test]
fn fields_are_read_and_written() {
    let mut server = Harness::new();
    server.expect("bitfield a", "*0\r\n");
    server.expect("bitfield a get u8 0 get i5 100", "*2\r\n:0\r\n:0\r\n");
    server.expect("exists a", ":0\r\n");
    server.expect("bitfield a set i8 0 -100 get u8 0", "*2\r\n:0\r\n:156\r\n");
    server.expect("bitfield a SET u4 6 15 get u8 4", "*2\r\n:0\r\n:252\r\n");
    assert_eq!(hex(&mut server, "a"), "9fc0");
    server.expect("bitfield a set u8 #2 65 get u8 16", "*2\r\n:0\r\n:65\r\n");
    server.expect(
        "bitfield a set i64 3 -2 get i64 3 get u63 4",
        "*3\r\n:-143543442029412352\r\n:-2\r\n:9223372036854775806\r\n",
    );
    server.expect("set a 12", OK);
    server.expect("bitfield_ro a get u8 0 GET i8 #1", "*2\r\n:49\r\n:50\r\n");
    server.expect("bitfield_ro nokey get u63 4294967295", "*1\r\n:0\r\n");
}

#[test]
fn fields_overflow_as_told() {
    let mut server = holding(b"\xff\x7f");
    server.expect("bitfield a incrby u8 0 2 incrby i8 8 1", "*2\r\n:1\r\n:-128\r\n");
    server.expect(
        "bitfield a overflow sat incrby u8 0 -2 incrby i8 8 -1 set i8 8 1000 get i8 8",
        "*4\r\n:0\r\n:-128\r\n:-128\r\n:127\r\n",
    );
    let fail = "bitfield a overflow fail incrby i8 8 1 OVERFLOW wrap incrby i8 8 1";
    server.expect(fail, "*2\r\n$-1\r\n:-128\r\n");
    server.set_protocol(Protocol::Resp3);
    server.expect("bitfield a overflow FAIL set u8 0 256", "*1\r\n_\r\n");
    server.expect("bitfield a overflow sat set i8 0 -9223372036854775808 get i8 0", "*2\r\n:0\r\n:127\r\n");
}

#[test]
fn fields_are_checked() {
    let mut server = holding(b"abc");
    for kind in ["u64", "i65", "u0", "i0", "i-1", "x8", "U8", "u", "", "u8x"] {
        server.expect(&format!("bitfield a get {kind} 0"), BAD_TYPE);
    }
    server.expect("bitfield a get u8\0x 0", "*1\r\n:97\r\n");
    for offset in ["-1", "x", "#", "#-1", "#x", "4294967296", "#536870912", "#2305843009213693952"] {
        server.expect(&format!("bitfield a get u8 {offset}"), BAD_OFFSET);
    }
    server.expect("bitfield a set u8 0 x", WRONG_INTEGER);
    server.expect("bitfield a incrby u8 0 1.5", WRONG_INTEGER);
    for syntax in ["foo", "get u8", "set u8 0", "incrby u8 0", "overflow"] {
        server.expect(&format!("bitfield a {syntax}"), SYNTAX);
    }
    server.expect("bitfield a overflow foo", "-ERR Invalid OVERFLOW type specified\r\n");
    server.expect("bitfield a set u8 0 1 foo", SYNTAX);
    server.expect("get a", "$3\r\nabc\r\n");
    let read_only = "-ERR BITFIELD_RO only supports the GET subcommand\r\n";
    server.expect("bitfield_ro a get u8 0 set u8 0 1", read_only);
    server.expect("bitfield_ro a incrby u8 0 1", read_only);
    server.expect("bitfield_ro a overflow sat get u8 0", "*1\r\n:97\r\n");
}

#[test]
fn changed_fields_are_told() {
    let mut server = Harness::new();
    assert_eq!(events(&mut server, "bitfield a set u8 0 97"), ["new", "setbit"]);
    assert_eq!(events(&mut server, "bitfield a set u8 0 97"), NO_EVENTS);
    assert_eq!(events(&mut server, "bitfield a get u8 0"), NO_EVENTS);
    assert_eq!(events(&mut server, "bitfield a set u8 8 0"), ["setbit"]);
    assert_eq!(changes(&mut server, "bitfield a set u8 0 1 incrby u8 8 1 get u8 0"), 2);
    assert_eq!(changes(&mut server, "bitfield a set u8 0 1"), 0);
    // A write that fails makes the string longer all the same.
    let fails = "bitfield b overflow fail set u8 8 300";
    assert_eq!(events(&mut server, fails), ["new"]);
    server.expect("strlen b", ":2\r\n");
    server.run("del b");
    assert_eq!(changes(&mut server, fails), 1);
}
