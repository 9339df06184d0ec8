//! DUMP and RESTORE: what they take and give, and what becomes of the key.

use oneloop::config::Config;
use proptest::prelude::*;

use crate::support::exercise::{VALUES, exercise, payload};
use crate::support::{Harness, START_MS};

const WRONG: &str = "-ERR DUMP payload version or checksum are wrong\r\n";
const DAMAGED: &str = "-ERR Bad data format\r\n";

/// What DUMP of Redis 7.0.15 gives for the string `foo`.
const FOO: &[u8] = b"\0\x03foo\n\0sI9\xdbM\xc1\xba\x97";

fn dump(server: &mut Harness, key: &str) -> Vec<u8> {
    let client = server.client;
    let reply = server.run_as(client, &[b"dump", key.as_bytes()]);
    let start = reply.iter().position(|byte| *byte == b'\n').expect("a header");
    reply[start + 1..reply.len() - 2].to_vec()
}

/// RESTORE with options.
fn restore(server: &mut Harness, key: &str, ttl: &str, payload: &[u8], options: &str) -> String {
    let mut args = vec![b"restore", key.as_bytes(), ttl.as_bytes(), payload];
    args.extend(options.split_whitespace().map(str::as_bytes));
    server.run_args(&args)
}

#[test]
fn dump_gives_what_redis_gives() {
    let mut server = Harness::new();
    server.expect("dump none", "$-1\r\n");
    for (value, bytes) in [
        ("foo", &b"\0\x03foo"[..]),
        ("12", b"\0\xc0\x0c"),
        ("-300", b"\0\xc1\xd4\xfe"),
        ("70000", b"\0\xc2\x70\x11\x01\0"),
        ("12345678901", b"\0\x0b12345678901"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", b"\0\xc3\x09\x1e\x01aa\xe0\x11\0\x01aa"),
    ] {
        server.run(&format!("set key {value}"));
        assert_eq!(dump(&mut server, "key"), payload(bytes, 11), "{value}");
    }
}

#[test]
fn payloads_of_newer_versions_are_read_where_the_settings_say_so() {
    let mut server = Harness::new();
    // A hash of Valkey 9 with an expiry time: 22 is another type in Redis's versions.
    let expiring = [&b"\x16\x01\x01a\x01b"[..], &4_102_444_800_000i64.to_le_bytes()].concat();
    for (setting, newer) in [("strict", WRONG), ("relaxed", "+OK\r\n")] {
        server.expect(&format!("config set rdb-version-check {setting}"), "+OK\r\n");
        assert_eq!(restore(&mut server, "k", "0", &payload(b"\0\x03foo", 0), "replace"), WRONG);
        for version in [1, 12, 80] {
            assert_eq!(restore(&mut server, "k", "0", &payload(b"\0\x03foo", version), "replace"), "+OK\r\n");
        }
        for version in [13, 79, 81, u16::MAX] {
            assert_eq!(restore(&mut server, "k", "0", &payload(b"\0\x03foo", version), "replace"), newer, "{version}");
        }
        let unknown = restore(&mut server, "k", "0", &payload(b"\x1a\x03foo", 13), "replace");
        assert_eq!(unknown, if setting == "strict" { WRONG } else { DAMAGED });
        assert_eq!(restore(&mut server, "k", "0", &payload(&expiring, 81), "replace"), newer);
    }
    server.expect("hgetall k", "*2\r\n$1\r\na\r\n$1\r\nb\r\n");
}

#[test]
fn compression_is_a_setting() {
    let mut server = Harness::with_config(Config { rdbcompression: false, ..Config::default() });
    let text = "a".repeat(30);
    server.run(&format!("set key {text}"));
    let plain = [b"\0\x1e", text.as_bytes()].concat();
    assert_eq!(dump(&mut server, "key"), payload(&plain, 11));
}

#[test]
fn strings_come_back_as_they_were() {
    let mut server = Harness::new();
    let texts = [
        String::new(),
        "0".into(),
        "-1".into(),
        "007".into(),
        "9223372036854775807".into(),
        "x".repeat(45),
        "xyz".repeat(100),
        "xyz".repeat(100_000),
    ];
    for text in texts {
        server.run_args(&[b"set", b"from", text.as_bytes()]);
        let bytes = dump(&mut server, "from");
        assert_eq!(restore(&mut server, "to", "0", &bytes, "replace"), "+OK\r\n");
        let bulk = format!("${}\r\n{text}\r\n", text.len());
        server.expect("get to", &bulk);
        let encoding = server.run("object encoding from");
        server.expect("object encoding to", &encoding);
        server.expect("pttl to", ":-1\r\n");
    }
}

#[test]
fn payloads_of_other_servers_are_taken() {
    let mut server = Harness::new();
    assert_eq!(restore(&mut server, "a", "0", FOO, ""), "+OK\r\n");
    for version in [1, 6, 11, 12, 80] {
        let bytes = payload(b"\0\x03foo", version);
        assert_eq!(restore(&mut server, "a", "0", &bytes, "replace"), "+OK\r\n");
        server.expect("get a", "$3\r\nfoo\r\n");
    }
    for version in [0, 13, 79, 81] {
        let bytes = payload(b"\0\x03foo", version);
        assert_eq!(restore(&mut server, "a", "0", &bytes, "replace"), WRONG);
    }
}

#[test]
fn times_are_durations_or_moments() {
    let mut server = Harness::new();
    assert_eq!(restore(&mut server, "a", "1000", FOO, ""), "+OK\r\n");
    server.expect("pttl a", ":1000\r\n");
    let moment = (START_MS + 5000).to_string();
    assert_eq!(restore(&mut server, "b", &moment, FOO, "AbsTtl"), "+OK\r\n");
    server.expect("pexpiretime b", &format!(":{moment}\r\n"));
    // Zero is no time at all, not a moment in the past.
    assert_eq!(restore(&mut server, "c", "0", FOO, "absttl"), "+OK\r\n");
    server.expect("pttl c", ":-1\r\n");
    assert_eq!(restore(&mut server, "a", "0", FOO, "replace"), "+OK\r\n");
    server.expect("pttl a", ":-1\r\n");
}

#[test]
fn what_has_expired_is_not_created() {
    let mut server = Harness::new();
    server.run("set there 1");
    for time in ["1", &START_MS.to_string()] {
        assert_eq!(restore(&mut server, "absent", time, FOO, "absttl"), "+OK\r\n");
        server.expect("exists absent", ":0\r\n");
    }
    assert_eq!(restore(&mut server, "there", "1", FOO, "absttl replace"), "+OK\r\n");
    server.expect("exists there", ":0\r\n");
    // A moment beyond all numbers is in the past.
    let end = i64::MAX.to_string();
    assert_eq!(restore(&mut server, "a", &end, FOO, ""), "+OK\r\n");
    server.expect("exists a", ":0\r\n");
    let next = (START_MS + 1).to_string();
    assert_eq!(restore(&mut server, "a", &next, FOO, "absttl"), "+OK\r\n");
    server.expect("exists a", ":1\r\n");
}

#[test]
fn a_key_that_is_there_is_kept_unless_it_is_to_be_replaced() {
    let mut server = Harness::new();
    server.run("set a 1");
    let busy = "-BUSYKEY Target key name already exists.\r\n";
    assert_eq!(restore(&mut server, "a", "0", FOO, ""), busy);
    // Before anything else is looked at but the options.
    assert_eq!(restore(&mut server, "a", "x", b"", ""), busy);
    assert_eq!(restore(&mut server, "a", "x", b"", "replac"), "-ERR syntax error\r\n");
    server.expect("get a", "$1\r\n1\r\n");
    assert_eq!(restore(&mut server, "a", "0", FOO, "REPLACE"), "+OK\r\n");
    server.expect("get a", "$3\r\nfoo\r\n");
    // One that cannot be replaced stays.
    assert_eq!(restore(&mut server, "a", "0", b"\x08", "replace"), WRONG);
    let damaged = payload(b"\0\x05foo", 11);
    assert_eq!(restore(&mut server, "a", "0", &damaged, "replace"), DAMAGED);
    server.expect("get a", "$3\r\nfoo\r\n");
}

#[test]
fn arguments_are_checked() {
    let mut server = Harness::new();
    let mut check = |ttl: &str, options: &str, reply: &str| {
        assert_eq!(restore(&mut server, "k", ttl, FOO, options), format!("-ERR {reply}\r\n"));
    };
    check("x", "", "value is not an integer or out of range");
    check("-1", "", "Invalid TTL value, must be >= 0");
    check("0", "replace more", "syntax error");
    check("0", "idletime", "syntax error");
    check("0", "idletime x", "value is not an integer or out of range");
    check("0", "idletime -1", "Invalid IDLETIME value, must be >= 0");
    check("0", "freq", "syntax error");
    check("0", "freq x", "value is not an integer or out of range");
    check("0", "freq -1", "Invalid FREQ value, must be >= 0 and <= 255");
    check("0", "freq 256", "Invalid FREQ value, must be >= 0 and <= 255");
    check("0", "freq 1 idletime 1", "syntax error");
    check("0", "idletime 1 freq 1", "syntax error");
    let arity = "-ERR wrong number of arguments for 'restore' command\r\n";
    server.expect("restore k 0", arity);
}

#[test]
fn damaged_payloads_are_refused() {
    let mut server = Harness::new();
    for length in 0..FOO.len() {
        assert_eq!(restore(&mut server, "k", "0", &FOO[..length], ""), WRONG);
        let mut bytes = FOO.to_vec();
        bytes[length] ^= 0x10;
        assert_eq!(restore(&mut server, "k", "0", &bytes, ""), WRONG);
    }
    for value in [
        &b""[..],
        b"\0",
        b"\0\x04foo",
        b"\0\xc4",
        b"\x08",
        b"\x07\0",
        b"\0\xc3\x01\x81\xff\xff\xff\xff\xff\xff\xff\xff\0",
        b"\x01\0",
        b"\x14\x01a",
    ] {
        assert_eq!(restore(&mut server, "k", "0", &payload(value, 11), ""), DAMAGED);
    }
    server.expect("dbsize", ":0\r\n");
}

#[test]
fn strings_have_a_limit() {
    let mut server = Harness::with_config(Config { proto_max_bulk_len: 1024 * 1024, ..Config::default() });
    // A bomb: 2 MiB of zeros, packed.
    let mut packed = vec![0, 0];
    while packed.len() < 24_000 {
        packed.extend_from_slice(&[0xe0, 0xff, 0]);
    }
    let length = 1 + (packed.len() as u32 - 2) / 3 * 264;
    let mut value = b"\0\xc3\x80".to_vec();
    value.extend_from_slice(&(packed.len() as u32).to_be_bytes());
    value.push(0x80);
    value.extend_from_slice(&length.to_be_bytes());
    value.extend_from_slice(&packed);
    let bytes = payload(&value, 11);
    assert_eq!(restore(&mut server, "k", "0", &bytes, ""), DAMAGED);
    server.expect("config set proto-max-bulk-len 512mb", "+OK\r\n");
    assert_eq!(restore(&mut server, "k", "0", &bytes, ""), "+OK\r\n");
    server.expect("strlen k", &format!(":{length}\r\n"));
}

#[test]
fn a_key_may_come_with_its_idle_time() {
    let mut server = Harness::new();
    assert_eq!(restore(&mut server, "a", "0", FOO, "idletime 1000"), "+OK\r\n");
    server.expect("object idletime a", ":1000\r\n");
    // A counter of uses is of no use here.
    assert_eq!(restore(&mut server, "b", "0", FOO, "freq 100"), "+OK\r\n");
    server.expect("object idletime b", ":0\r\n");
}

#[test]
fn a_key_may_come_with_its_frequency() {
    let mut server = Harness::new();
    server.run("config set maxmemory-policy allkeys-lfu");
    assert_eq!(restore(&mut server, "a", "0", FOO, "freq 100"), "+OK\r\n");
    server.expect("object freq a", ":100\r\n");
    assert_eq!(restore(&mut server, "b", "0", FOO, "idletime 1000"), "+OK\r\n");
    server.expect("object freq b", ":5\r\n");
}

#[test]
fn events_tell_of_it() {
    let mut server = Harness::new();
    // So that the payload can be given as text.
    server.state.serialization.skips_checksum = true;
    let payload = "\0\u{2}ab\u{b}\0checksum";
    let run =
        |server: &mut Harness, tail: &str| server.events(&format!("restore key {tail}").replace("PAYLOAD", payload));
    assert_eq!(run(&mut server, "0 PAYLOAD"), ["0:new key", "0:restore key"]);
    assert_eq!(run(&mut server, "0 PAYLOAD"), [""; 0]);
    assert_eq!(run(&mut server, "0 PAYLOAD replace"), ["0:new key", "0:restore key"]);
    assert_eq!(run(&mut server, "1 PAYLOAD replace absttl"), ["0:del key"]);
    assert_eq!(run(&mut server, "1 PAYLOAD absttl"), [""; 0]);
}

#[test]
fn each_restore_is_one_change() {
    let mut server = Harness::new();
    let before = server.state.keyspace.changes.total();
    restore(&mut server, "a", "0", FOO, "");
    restore(&mut server, "a", "0", FOO, "replace");
    restore(&mut server, "a", "1", FOO, "replace absttl");
    restore(&mut server, "a", "1", FOO, "replace absttl");
    assert_eq!(server.state.keyspace.changes.total(), before + 3);
}

#[test]
fn checksums_can_be_ignored() {
    let mut server = Harness::with_debug();
    let mut bytes = FOO.to_vec();
    bytes[12] ^= 1;
    assert_eq!(restore(&mut server, "a", "0", &bytes, ""), WRONG);
    server.expect("debug set-skip-checksum-validation 1", "+OK\r\n");
    assert_eq!(restore(&mut server, "a", "0", &bytes, ""), "+OK\r\n");
    server.expect("debug set-skip-checksum-validation 0", "+OK\r\n");
    assert_eq!(restore(&mut server, "a", "0", &bytes, "replace"), WRONG);
}

#[test]
fn the_command_of_cluster_nodes_does_the_same() {
    let mut server = Harness::new();
    let reply = server.run_args(&[b"restore-asking", b"a", b"0", FOO]);
    assert_eq!(reply, "+OK\r\n");
    server.expect("get a", "$3\r\nfoo\r\n");
}

/// Makes a value by a command, gives it back under other settings, and tells its encoding then.
fn encoding_after(make: &str, settings: &str) -> String {
    let mut server = Harness::new();
    server.run(make);
    let bytes = dump(&mut server, "key");
    for setting in settings.split_whitespace() {
        let (name, value) = setting.split_once('=').expect("a name and a value");
        server.expect(&format!("config set {name} {value}"), "+OK\r\n");
    }
    assert_eq!(restore(&mut server, "key", "0", &bytes, "replace"), "+OK\r\n");
    let reply = server.run("object encoding key");
    reply.lines().nth(1).unwrap_or_default().to_string()
}

#[test]
fn values_take_the_form_that_the_settings_ask_for() {
    let cases = [
        ("rpush key a b c", "", "listpack"),
        ("rpush key a b c", "list-max-listpack-size=2", "quicklist"),
        ("sadd key 1 2 3", "", "intset"),
        ("sadd key 1 2 3", "set-max-intset-entries=2 set-max-listpack-entries=2", "hashtable"),
        ("sadd key a b c", "", "listpack"),
        ("sadd key a b c", "set-max-listpack-entries=2", "hashtable"),
        ("hset key a 1 b 2", "", "listpack"),
        ("hset key a 1 b 2", "hash-max-listpack-entries=1", "hashtable"),
        ("hset key a 1 b 22", "hash-max-listpack-value=1", "hashtable"),
        ("zadd key 1 a 2 b", "", "listpack"),
        ("zadd key 1 a 2 b", "zset-max-listpack-entries=1", "skiplist"),
        ("xadd key 1-1 a b", "", "stream"),
    ];
    for (make, settings, encoding) in cases {
        assert_eq!(encoding_after(make, settings), encoding, "{make} {settings}");
    }
}

/// What was large when it was written is packed if it may be.
#[test]
fn values_become_small_again() {
    let large = "hash-max-listpack-entries zset-max-listpack-entries set-max-listpack-entries";
    for (make, encoding) in
        [("hset key a 1 b 2", "listpack"), ("zadd key 1 a 2 b", "listpack"), ("sadd key a b", "listpack")]
    {
        let mut server = Harness::new();
        for name in large.split_whitespace() {
            server.expect(&format!("config set {name} 0"), "+OK\r\n");
        }
        server.run(make);
        let bytes = dump(&mut server, "key");
        assert!(bytes[0] <= 5, "{make}");
        for name in large.split_whitespace() {
            server.expect(&format!("config set {name} 100"), "+OK\r\n");
        }
        assert_eq!(restore(&mut server, "key", "0", &bytes, "replace"), "+OK\r\n");
        server.expect("object encoding key", &format!("${}\r\n{encoding}\r\n", encoding.len()));
    }
}

#[test]
fn elements_that_come_twice_are_refused() {
    let mut server = Harness::new();
    for value in [
        &b"\x02\x02\x01a\x01a"[..],
        b"\x02\x02\xc0\x05\x015",
        b"\x04\x02\x01a\x01x\x01a\x01y",
        b"\x05\x02\x01a\0\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\xf0\x3f",
        b"\x18\x01\0\0\0\0\0\0\0\x02\x01\x01a\x01u\0\x01a\x01v",
        b"\x14\x0c\x0c\0\0\0\x02\0\x81a\x02\x81a\x02\xff",
    ] {
        let reply = restore(&mut server, "k", "0", &payload(value, 12), "");
        assert_eq!(reply, DAMAGED, "{}", value.escape_ascii());
    }
}

#[test]
fn fields_keep_their_expiry_times() {
    let mut server = Harness::new();
    for entries in ["512", "0"] {
        server.run(&format!("config set hash-max-listpack-entries {entries}"));
        server.run("del key");
        server.run("hset key a 1 b 2 c 3");
        server.run("hpexpire key 1000 fields 1 a");
        server.run("hpexpire key 2000 fields 1 b");
        let bytes = dump(&mut server, "key");
        // Redis 7.2 has no such hashes.
        assert_eq!(bytes[bytes.len() - 10], 12);
        assert_eq!(restore(&mut server, "key", "0", &bytes, "replace"), "+OK\r\n");
        let times = "*3\r\n:1000\r\n:2000\r\n:-1\r\n";
        server.expect("hpttl key fields 3 a b c", times);
        // The active cycle knows of them.
        assert_eq!(server.state.keyspace.database(0).expiring_hashes(), 1);
        server.advance_ms(1500);
        server.expect("hget key a", "$-1\r\n");
        server.expect("hget key b", "$1\r\n2\r\n");
        // What has expired meanwhile stays so.
        assert_eq!(restore(&mut server, "key", "0", &bytes, "replace"), "+OK\r\n");
        server.expect("hget key a", "$-1\r\n");
        // Without such fields it is a hash like any other.
        server.run("hpersist key fields 1 b");
        server.run("hdel key a");
        let bytes = dump(&mut server, "key");
        assert_eq!(bytes[bytes.len() - 10], 11);
        assert!(bytes[0] == 16 || bytes[0] == 4);
    }
}

#[test]
fn checks_are_counted_if_they_are_asked_for() {
    let mut server = Harness::new();
    server.run("hset key a 1");
    let bytes = dump(&mut server, "key");
    let counted = |server: &mut Harness| {
        let stats = server.run("info stats");
        let mut lines = stats.lines();
        let line = lines.find_map(|line| line.strip_prefix("dump_payload_sanitizations:"));
        line.expect("the field is there").to_string()
    };
    for (setting, expected) in [("no", "0"), ("yes", "1"), ("clients", "2")] {
        server.run(&format!("config set sanitize-dump-payload {setting}"));
        assert_eq!(restore(&mut server, "key", "0", &bytes, "replace"), "+OK\r\n");
        assert_eq!(counted(&mut server), expected);
    }
    server.run("config resetstat");
    assert_eq!(counted(&mut server), "0");
}

/// A server on which hostile payloads are tried out.
fn target() -> Harness {
    Harness::with_debug()
}

#[test]
fn what_was_restored_can_be_used() {
    let mut server = target();
    for value in VALUES {
        let reply = restore(&mut server, "key", "0", &payload(value, 11), "");
        assert_eq!(reply, "+OK\r\n", "{}", value.escape_ascii());
        exercise(&mut server);
    }
}

thread_local! {
    static TARGET: std::cell::RefCell<Harness> = std::cell::RefCell::new(target());
}

proptest! {
    /// However a payload is damaged, it is refused, or the value is as good as any other.
    #[test]
    fn damage_does_no_harm(
        which in 0..VALUES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut value = VALUES[which].to_vec();
        for (at, byte) in changes {
            let at = at.index(value.len());
            value[at] = byte;
        }
        if let Some(cut) = cut {
            value.truncate(cut.index(value.len()));
        }
        TARGET.with_borrow_mut(|server| {
            if restore(server, "key", "0", &payload(&value, 12), "") == "+OK\r\n" {
                exercise(server);
            }
            assert_eq!(server.run("dbsize"), ":0\r\n");
        });
    }
}

/// XTRIM leaves a block without a live entry where the last one, deleted before, is beyond the limit; as in Redis.
#[test]
fn a_stream_with_a_block_of_deleted_entries_is_taken_again() {
    let mut server = Harness::new();
    for id in ["1-0", "2-0", "3-0"] {
        server.run(&format!("xadd stream {id} a 1"));
    }
    server.expect("xdel stream 3-0", ":1\r\n");
    server.expect("xtrim stream MINID 3", ":2\r\n");
    let payload = dump(&mut server, "stream");
    assert_eq!(restore(&mut server, "again", "0", &payload, ""), "+OK\r\n");
    assert_eq!(dump(&mut server, "again"), payload);
    for key in ["stream", "again"] {
        server.expect(&format!("xlen {key}"), ":0\r\n");
        server.expect(
            &format!("xadd {key} 3-0 a 1"),
            "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n",
        );
        server.expect(&format!("xadd {key} 3-1 a 1"), "$3\r\n3-1\r\n");
        server.expect(&format!("xrange {key} - +"), "*1\r\n*2\r\n$3\r\n3-1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    }
}
