//! Idempotent producers of streams: XADD IDMP and IDMPAUTO, XCFGSET of Redis 8.6, XIDMPRECORD of 8.8. What they reply is
//! known from Redis's pages and tests.

use std::rc::Rc;

use oneloop::engine::apply;
use oneloop::engine::origin::Origin;
use oneloop::engine::session::{Session, Token};
use oneloop::keyspace::Target;
use oneloop::net::address::Address;
use oneloop::resp::{Args, Reply};
use oneloop::storage::aof::CommandDump;

use crate::support::Harness;

const OK: &str = "+OK\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NO_KEY: &str = "-ERR no such key\r\n";

/// Adds a message; gives the ID of its entry.
#[track_caller]
fn add(server: &mut Harness, words: &str) -> String {
    let reply = server.run(&format!("xadd s {words}"));
    assert!(reply.starts_with('$'), "{words}: {reply}");
    reply.lines().nth(1).expect("an ID").to_string()
}

/// What XINFO STREAM says of the producers of a key: duration, greatest number, producers, messages, and how many were
/// ever added and sent again.
#[track_caller]
fn known(server: &mut Harness, key: &str) -> [i64; 6] {
    let reply = server.run(&format!("xinfo stream {key}"));
    let names = ["idmp-duration", "idmp-maxsize", "pids-tracked", "iids-tracked", "iids-added", "iids-duplicates"];
    names.map(|name| {
        let mut lines = reply.lines().skip_while(|line| *line != name).skip(1);
        let number = lines.next().unwrap_or_else(|| panic!("no {name} in {reply}"));
        number[1..].parse().expect("a number")
    })
}

#[test]
fn a_message_that_is_sent_again_is_not_added_again() {
    let mut server = Harness::new();
    let first = add(&mut server, "IDMP p1 m1 * f v");
    assert_eq!(add(&mut server, "idmp p1 m1 * f other"), first);
    server.expect("xrange s - +", &format!("*1\r\n*2\r\n${}\r\n{first}\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n", first.len()));
    let others = ["idmp p1 m2 * f v", "idmp p2 m1 * f v", "idmp p1 IDMP * f v", "idmp p1 * * f v", "idmp p 1m1 * f v"];
    let mut ids: Vec<String> = others.map(|words| add(&mut server, words)).into();
    ids.push(first.clone());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 6);
    assert_eq!(known(&mut server, "s"), [100, 100, 3, 6, 6, 1]);
    // The entry need not be there any more; trimming is not done anew.
    server.expect("xtrim s maxlen 2", ":4\r\n");
    assert_eq!(add(&mut server, "maxlen 0 idmp p1 m1 * f v"), first);
    server.expect("xlen s", ":2\r\n");
    assert_eq!(server.events("xadd s idmp p1 m1 * f v"), [""; 0]);
    let changes = server.state.keyspace.changes.total();
    add(&mut server, "idmp p1 m1 * f v");
    assert_eq!(server.state.keyspace.changes.total(), changes);
    // Any order of options will do.
    let id = add(&mut server, "nomkstream maxlen ~ 100 limit 10 idmp p1 m3 keepref * f v");
    assert_eq!(add(&mut server, "idmp p1 m3 minid ~ 0 * f v"), id);
    server.expect("xadd none nomkstream idmp p m * f v", "$-1\r\n");
}

#[test]
fn the_fields_stand_for_a_message_without_an_id() {
    let mut server = Harness::new();
    let first = add(&mut server, "IDMPAUTO p1 * a 1 b 2 c 3");
    assert_eq!(add(&mut server, "idmpauto p1 * c 3 a 1 b 2"), first);
    for other in ["p1 * a 1 b 2 c 4", "p2 * a 1 b 2 c 3", "p1 * a 1 b 2", "p1 * b 1 a 2 c 3"] {
        assert_ne!(add(&mut server, &format!("idmpauto {other}")), first, "{other}");
    }
    // Name and value are hashed as one.
    let joined = add(&mut server, "idmpauto p3 * ab 1");
    assert_eq!(add(&mut server, "idmpauto p3 * a b1"), joined);
    let client = server.client;
    // XXH3 of 128 bits of each pair, all of them combined by XOR: the low half comes first.
    let hash = xxhash_rust::xxh3::xxh3_128(b"a1") ^ xxhash_rust::xxh3::xxh3_128(b"b2");
    let words: [&[u8]; 8] = [b"xadd", b"s", b"idmp", b"p1", &hash.to_le_bytes(), b"*", b"x", b"y"];
    let by_hash = String::from_utf8(server.run_as(client, &words)).expect("an ID");
    assert_eq!(by_hash.lines().nth(1), Some(&*add(&mut server, "idmpauto p1 * b 2 a 1")));
    assert_eq!(known(&mut server, "s")[2..], [3, 6, 6, 4]);
}

#[test]
fn messages_are_known_for_a_while() {
    let mut server = Harness::new();
    server.expect("config set stream-idmp-duration 10 stream-idmp-maxsize 3", OK);
    let first = add(&mut server, "idmp p m1 * f v");
    server.expect("config set stream-idmp-duration 20", OK);
    server.advance_ms(9_999);
    assert_eq!(add(&mut server, "idmp p m1 * f v"), first);
    server.advance_ms(1);
    assert_eq!(known(&mut server, "s"), [10, 3, 0, 0, 1, 1]);
    let again = add(&mut server, "idmp p m1 * f v");
    assert_ne!(again, first);
    // So many of each producer are known.
    for message in 2..=4 {
        add(&mut server, &format!("idmp p m{message} * f v"));
    }
    add(&mut server, "idmp q m1 * f v");
    assert_eq!(known(&mut server, "s"), [10, 3, 2, 4, 6, 1]);
    assert_ne!(add(&mut server, "idmp p m1 * f v"), again);
    for (value, error) in [("0", "between 1 and 86400"), ("86401", "between 1 and 86400")] {
        let reply = server.run(&format!("config set stream-idmp-duration {value}"));
        assert!(reply.contains(error), "{reply}");
    }
    let reply = server.run("config set stream-idmp-maxsize 10001");
    assert!(reply.contains("between 1 and 10000"), "{reply}");
}

#[test]
fn what_is_wrong_with_adding_is_told() {
    let mut server = Harness::new();
    let twice = "-ERR IDMP/IDMPAUTO specified multiple times\r\n";
    let given = "-ERR IDMP/IDMPAUTO can be used only with auto-generated IDs\r\n";
    for (words, error) in [
        ("IDMP p1 * f v", INVALID_ID),
        ("IDMP p1 m1 1-1 f v", given),
        ("IDMPAUTO p1 1-* f v", given),
        ("IDMP p1 m1 IDMP p2 m2 * f v", twice),
        ("IDMPAUTO p1 IDMP p2 m2 * f v", twice),
        ("IDMPAUTO p1 IDMPAUTO p2 * f v", twice),
        ("IDMP p1 m1 * f", "-ERR wrong number of arguments for 'xadd' command\r\n"),
        ("NOMKSTREAM KEEPREF IDMP p1", INVALID_ID),
    ] {
        server.expect(&format!("xadd s {words}"), error);
    }
    for (words, error) in [
        (["IDMP", "", "m", "*", "f", "v"], "IDMP requires a non-empty producer ID"),
        (["IDMP", "p", "", "*", "f", "v"], "IDMP requires a non-empty idempotent ID"),
        (["IDMPAUTO", "", "*", "f", "v", ""], "IDMPAUTO requires a non-empty producer ID"),
    ] {
        let words = ["xadd", "s"].into_iter().chain(words).map(str::as_bytes);
        assert_eq!(server.run_args(&words.collect::<Vec<_>>()), format!("-ERR {error}\r\n"));
    }
    server.expect("exists s", ":0\r\n");
    server.run("set text x");
    server.expect("xadd text idmp p m * f v", WRONG_TYPE);
    server.expect("xtrim s idmp p m maxlen 3", SYNTAX);
}

#[test]
fn a_stream_is_set_up() {
    let mut server = Harness::new();
    let few = "-ERR At least one parameter must be specified\r\n";
    let duration = "-ERR IDMP-DURATION must be between 1 and 86400 seconds\r\n";
    let maxsize = "-ERR IDMP-MAXSIZE must be between 1 and 10000 entries\r\n";
    server.run("xadd s * f v");
    server.run("set text x");
    assert!(!server.run("xinfo stream s").contains("idmp"), "nothing is shown where there is nothing");
    for (words, reply) in [
        ("none IDMP-DURATION 5", NO_KEY),
        ("text IDMP-DURATION 5", WRONG_TYPE),
        ("s", few),
        ("s IDMP-DURATION", SYNTAX),
        ("s OTHER 1", SYNTAX),
        ("s IDMP-DURATION x IDMP-MAXSIZE", NOT_AN_INTEGER),
        ("s IDMP-DURATION 00", NOT_AN_INTEGER),
        ("s IDMP-DURATION 0", duration),
        ("s IDMP-DURATION 86401", duration),
        ("s IDMP-MAXSIZE -1", maxsize),
        ("s IDMP-MAXSIZE 10001", maxsize),
        ("s idmp-duration 86400 idmp-maxsize 10000", OK),
    ] {
        server.expect(&format!("xcfgset {words}"), reply);
    }
    assert_eq!(known(&mut server, "s"), [86400, 10000, 0, 0, 0, 0]);
    let first = add(&mut server, "idmp p m * f v");
    server.expect("xcfgset s idmp-duration 86400", OK);
    assert_eq!(add(&mut server, "idmp p m * f v"), first);
    // Another time or number has all forgotten, but for the counts.
    server.expect("xcfgset s idmp-maxsize 5", OK);
    assert_eq!(known(&mut server, "s"), [86400, 5, 0, 0, 1, 1]);
    assert_ne!(add(&mut server, "idmp p m * f v"), first);
    let full = server.run("xinfo stream s full");
    assert!(full.starts_with("*30\r\n") && full.contains("iids-added\r\n:2\r\n"), "{full}");
    while server.state.keyspace.reclaim_step(64) {}
}

#[test]
fn an_entry_is_noted_as_a_message() {
    let mut server = Harness::new();
    server.run("xadd s 1-1 f v");
    server.run("xadd s 1-2 f v");
    server.run("xadd s 1-3 f v");
    server.run("xdel s 1-3");
    // The virtual clock is far beyond such IDs; they are known for ever if the server's time is below it.
    server.run("xcfgset s idmp-duration 86400");
    let id = add(&mut server, "* f v");
    let gone = "-ERR The specified stream ID was deleted or doesn't exist\r\n";
    let other = "-ERR The specified IDMP producer-id/idempotent-id pair maps to a different stream ID\r\n";
    let second = add(&mut server, "* f v");
    for (words, reply) in [
        (format!("none p m {id}"), NO_KEY),
        ("s p m x".to_string(), INVALID_ID),
        ("s p m 1-3".to_string(), gone),
        ("s p m 9-9".to_string(), gone),
        (format!("s p m {id}"), OK),
        (format!("s p m {id}"), OK),
        (format!("s p m {second}"), other),
    ] {
        server.expect(&format!("xidmprecord {words}"), reply);
    }
    assert_eq!(add(&mut server, "idmp p m * f v"), id);
    let producer = server.run_args(&[b"xidmprecord", b"s", b"", b"m", b"1-1"]);
    assert_eq!(producer, "-ERR XIDMPRECORD requires a non-empty producer ID\r\n");
    let message = server.run_args(&[b"xidmprecord", b"s", b"p", b"", b"1-1"]);
    assert_eq!(message, "-ERR XIDMPRECORD requires a non-empty idempotent ID\r\n");
}

/// A server with what is to survive: two producers, messages with odd names, an entry that is gone.
fn filled() -> Harness {
    let mut server = Harness::new();
    server.run("xadd s 1-1 f v");
    server.run("xcfgset s idmp-duration 500 idmp-maxsize 300");
    for number in 0..200 {
        add(&mut server, &format!("idmp p{} m{} * f v", number % 2, number / 2));
    }
    let client = server.client;
    let odd: [&[u8]; 8] = [b"xadd", b"s", b"idmp", b"odd\r\n \0", b" \xff", b"*", b"f", b"v"];
    server.run_as(client, &odd);
    add(&mut server, "idmp p0 m0 * f v");
    server.run("xtrim s maxlen 50");
    server
}

/// Whether a server knows, at a key, what [`filled`] knows at `s`.
#[track_caller]
fn expect_all_known(server: &mut Harness, key: &str) {
    assert_eq!(known(server, key), [500, 300, 3, 201, 201, 1]);
    let length = server.run(&format!("xlen {key}"));
    for number in 0..200 {
        server.run(&format!("xadd {key} idmp p{} m{} * f v", number % 2, number / 2));
    }
    let client = server.client;
    let odd: [&[u8]; 8] = [b"xadd", key.as_bytes(), b"idmp", b"odd\r\n \0", b" \xff", b"*", b"f", b"v"];
    server.run_as(client, &odd);
    server.expect(&format!("xlen {key}"), &length);
    assert_eq!(known(server, key)[5], 202);
}

#[test]
fn producers_survive_copying_and_dumping() {
    let mut server = filled();
    let client = server.client;
    let reply = server.run_as(client, &[b"dump", b"s"]);
    let start = reply.iter().position(|byte| *byte == b'\n').expect("a header");
    let payload = &reply[start + 1..reply.len() - 2];
    server.expect("copy s copy", ":1\r\n");
    assert_eq!(server.run_args(&[b"restore", b"again", b"0", payload]), OK);
    for key in ["copy", "again", "s"] {
        expect_all_known(&mut server, key);
    }
    // A value of another type has none, and what is damaged is refused.
    let end = payload.len() - 10;
    for cut in [1, 10, 40] {
        let damaged = sealed(&payload[..end - cut]);
        assert_eq!(server.run_args(&[b"restore", b"new", b"0", &damaged]), "-ERR Bad data format\r\n", "{cut}");
    }
    server.run("del s");
    while server.state.keyspace.reclaim_step(64) {}
}

/// A value as a payload.
fn sealed(value: &[u8]) -> Vec<u8> {
    crate::support::exercise::payload(value, 11)
}

/// The commands in a stream of them, but for SELECT, MULTI and EXEC.
fn commands(mut bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let number = |bytes: &mut &[u8]| -> usize {
        let end = bytes.iter().position(|byte| *byte == b'\r').expect("a line");
        let number = std::str::from_utf8(&bytes[1..end]).expect("text").parse().expect("a number");
        *bytes = &bytes[end + 2..];
        number
    };
    let mut commands = Vec::new();
    while !bytes.is_empty() {
        let count = number(&mut bytes);
        let words: Vec<Vec<u8>> = (0..count)
            .map(|_| {
                let length = number(&mut bytes);
                let word = bytes[..length].to_vec();
                bytes = &bytes[length + 2..];
                word
            })
            .collect();
        if !matches!(&words[0][..], b"SELECT" | b"MULTI" | b"EXEC") {
            commands.push(words);
        }
    }
    commands
}

/// Runs commands as those of an append-only file.
fn replay(server: &mut Harness, bytes: &[u8]) {
    let user = Rc::clone(&server.state.default_user());
    let token = Token { slot: u32::MAX, generation: 0 };
    let mut session = Session::new(0, token, Address::default(), 0, user, Origin::Replay);
    for words in commands(bytes) {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let args = Args::from_slices(&words);
        let resolved = server.state.commands.resolve(args.at(0), args.get(1)).map(|command| command.id);
        let policy = session.policy;
        let mut reply = Reply::default();
        let applied =
            server.state.with_policy(policy, |state| apply::apply(state, &mut session, &mut reply, args, resolved));
        assert!(applied.is_ok());
        let reply = reply.to_vec();
        assert_ne!(reply.first(), Some(&b'-'), "{words:?}: {}", String::from_utf8_lossy(&reply));
    }
}

#[test]
fn producers_survive_in_commands() {
    let server = filled();
    let mut dump = CommandDump::pin(&server.state.keyspace, None, false);
    while dump.step() {}
    let bytes = dump.take(Vec::new());
    let mut loaded = Harness::new();
    replay(&mut loaded, &bytes);
    expect_all_known(&mut loaded, "s");
}

/// A client may have made a group whose name is a note: what is passed on has another name then.
#[test]
fn groups_that_are_called_like_notes_change_nothing() {
    let mut server = Harness::new();
    server.propagate_to(Target::Replicas);
    let client = server.client;
    server.run("xadd s * f v");
    for name in ["message 1 pm", "message 1 pr", "retention 500 100", "retention 100 100"] {
        for spaces in [" ", "  "] {
            let group = format!("\0producers{spaces}{name}");
            let words: [&[u8]; 5] = [b"xgroup", b"create", b"s", group.as_bytes(), b"0"];
            assert_eq!(server.run_as(client, &words), b"+OK\r\n");
        }
    }
    let words: [&[u8]; 7] = [b"xreadgroup", b"group", b"\0producers message 1 pr", b"c", b"streams", b"s", b">"];
    server.run_as(client, &words);
    let id = add(&mut server, "idmp p m * f v");
    server.run("xcfgset s idmp-duration 500");
    let entry = server.run("xrange s - + count 1").lines().nth(3).expect("an ID").to_string();
    server.run(&format!("xidmprecord s p r {entry}"));
    // From a client it is an acknowledgement, which is passed on as one.
    let words: [&[u8]; 4] = [b"xack", b"s", b"\0producers message 1 pr", entry.as_bytes()];
    assert_eq!(server.run_as(client, &words), b":1\r\n");
    assert_eq!(known(&mut server, "s"), [500, 100, 1, 1, 2, 0]);
    add(&mut server, "idmp p n * f v");
    let mut replica = Harness::new();
    replay(&mut replica, &server.take_propagated());
    let mut dump = CommandDump::pin(&server.state.keyspace, None, false);
    while dump.step() {}
    let mut loaded = Harness::new();
    replay(&mut loaded, &dump.take(Vec::new()));
    for other in [&mut replica, &mut loaded] {
        assert_eq!(known(other, "s"), known(&mut server, "s"));
        assert_eq!(other.run("xinfo groups s"), server.run("xinfo groups s"));
        assert_eq!(add(other, "idmp p r * f v"), entry);
    }
    assert_ne!(id, entry);
}

#[test]
fn how_long_messages_are_known_is_passed_on_with_the_first() {
    for first in ["xadd s idmp p m * f v", "xidmprecord s p m 1-1"] {
        let mut server = Harness::new();
        server.propagate_to(Target::File);
        server.run("config set stream-idmp-duration 7");
        server.run("config set stream-idmp-maxsize 3");
        if first.starts_with("xidmprecord") {
            server.run("xadd s 1-1 f v");
        }
        server.run("multi");
        server.run(first);
        server.run("xadd s idmp p n * f v");
        server.run("exec");
        let mut replica = Harness::new();
        replay(&mut replica, &server.take_propagated());
        let [duration_s, messages, ..] = known(&mut replica, "s");
        assert_eq!([duration_s, messages], [7, 3], "{first}");
        assert_eq!(known(&mut replica, "s"), known(&mut server, "s"), "{first}");
        assert_eq!(replica.run("xrange s - +"), server.run("xrange s - +"), "{first}");
    }
}

/// What a payload tells of producers may be compressed as a whole, but not its strings as well.
#[test]
fn a_payload_is_not_compressed_twice() {
    const NAME: &[u8] = b"oneloop-stream-producers";
    // Twenty times the same letter.
    const COMPRESSED: &[u8] = &[0xc3, 5, 20, 0, b'x', 0xe0, 10, 0];
    let mut server = Harness::new();
    server.run("xadd s idmp p m * f v");
    let client = server.client;
    let reply = server.run_as(client, &[b"dump", b"s"]);
    let start = reply.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
    let length = reply[start..].windows(NAME.len()).position(|part| part == NAME).expect("a name") - 1;
    let string = |bytes: &[u8]| [&[bytes.len() as u8], bytes].concat();
    let head = string(&[0, 10, 10, 1, 1]);
    for (producer, message, is_read) in [
        (string(b"p"), string(b"m"), true),
        (COMPRESSED.to_vec(), string(b"m"), false),
        (string(b"p"), COMPRESSED.to_vec(), false),
    ] {
        let messages = string(&[&[1], &producer[..], &[1], &message[..], &[1, 1]].concat());
        let tail = [string(NAME), vec![2], head.clone(), messages].concat();
        let payload = sealed(&[&reply[start..start + length], &tail[..]].concat());
        let expected = if is_read { OK } else { "-ERR Bad data format\r\n" };
        assert_eq!(server.run_args(&[b"restore", b"new", b"0", &payload, b"replace"]), expected);
    }
}

#[test]
fn what_is_passed_on_has_the_same_effect() {
    for target in [Target::File, Target::Replicas] {
        let mut server = Harness::new();
        server.propagate_to(target);
        let mut replica = Harness::new();
        server.run("xadd s * f v");
        server.run("xcfgset s idmp-duration 500");
        server.run("xcfgset s idmp-duration 500");
        let id = add(&mut server, "maxlen ~ 100 idmp KEEPREF keepref keepref * f v");
        add(&mut server, "idmpauto p * f v");
        add(&mut server, "idmpauto p * f v");
        server.run("multi");
        server.run("xadd s idmp q 1 * f v");
        server.run("xadd s idmp q 2 * f v");
        server.run("exec");
        let bytes = server.take_propagated();
        replay(&mut replica, &bytes);
        assert_eq!(known(&mut replica, "s"), [500, 100, 3, 4, 4, 0]);
        assert_eq!(replica.run("xrange s - +"), server.run("xrange s - +"));
        assert_eq!(add(&mut replica, "idmp KEEPREF keepref * f v"), id);
        assert_eq!(add(&mut replica, "idmpauto p * f v"), add(&mut server, "idmpauto p * f v"));
        // Redis 7.2 understands all of it.
        for words in commands(&bytes) {
            assert!(matches!(&words[0][..], b"xadd" | b"XACK"), "{words:?}");
        }
    }
    // From a client the same command is what it says.
    let mut server = Harness::new();
    server.run("xadd s * f v");
    let client = server.client;
    let words: [&[u8]; 4] = [b"XACK", b"s", b"\0producers counts 5 2", b"0-0"];
    assert_eq!(server.run_as(client, &words), b":0\r\n");
    assert!(!server.run("xinfo stream s").contains("idmp"));
}
