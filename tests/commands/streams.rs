//! Streams and consumer groups: every command, option and error. Replies were recorded from Redis 7.0.15, Valkey 9.1
//! where Redis 7.2 differs from that, and Redis 8.2 where a command or option is newer.

use oneloop::engine::session::{Blocked, Token};
use oneloop::resp::Protocol;

use crate::support::{Harness, START_MS};

const OK: &str = "+OK\r\n";
const ONE: &str = ":1\r\n";
const ZERO: &str = ":0\r\n";
const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NULL_ARRAY: &str = "*-1\r\n";

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn run(server: &mut Harness, client: Token, words: &str) -> String {
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    String::from_utf8(server.run_as(client, &args)).expect("plain text")
}

/// A new client, which has to wait for what it asks.
#[track_caller]
fn waiter(server: &mut Harness, words: &str) -> Token {
    let client = server.connect();
    assert_eq!(run(server, client, words), "", "{words}");
    let session = server.state.clients.get(client).expect("a client");
    assert_eq!(session.blocked, Some(Blocked::Keys), "{words}");
    client
}

/// What a client has got since it was asked last.
fn got(server: &mut Harness, client: Token) -> String {
    String::from_utf8(server.pushed(client)).expect("plain text")
}

/// The reply of XREAD with one entry of one stream.
fn one_entry(key: &str, id: &str) -> String {
    format!("*1\r\n*2\r\n{}*1\r\n*2\r\n{}*2\r\n$1\r\na\r\n$1\r\nb\r\n", bulk(key), bulk(id))
}

#[test]
fn ids_follow_the_clock() {
    let mut server = Harness::new();
    let id = |ms: u64, seq: u64| bulk(&format!("{ms}-{seq}"));
    server.expect("xadd s * a b", &id(START_MS, 0));
    server.expect("xadd s * a b", &id(START_MS, 1));
    server.advance_ms(5);
    server.expect("xadd s * a b", &id(START_MS + 5, 0));
    server.expect(&format!("xadd s {}-7 a b", START_MS + 9), &id(START_MS + 9, 7));
    server.expect("xadd s * a b", &id(START_MS + 9, 8));
    server.expect(&format!("xadd s {}-18446744073709551615 a b", START_MS + 9), &id(START_MS + 9, u64::MAX));
    server.expect("xadd s * a b", &id(START_MS + 10, 0));
}

#[test]
fn idle_times_are_told() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 a b", &bulk("1-0"));
    server.expect("xgroup create s g 0", OK);
    server.expect("xreadgroup group g c streams s >", &one_entry("s", "1-0"));
    server.advance_ms(50);
    server.expect("xpending s g - + 10", "*1\r\n*4\r\n$3\r\n1-0\r\n$1\r\nc\r\n:50\r\n:1\r\n");
    server.expect("xpending s g IDLE 51 - + 10", "*0\r\n");
    server.expect("xpending s g IDLE 50 - + 10 c", "*1\r\n*4\r\n$3\r\n1-0\r\n$1\r\nc\r\n:50\r\n:1\r\n");
    server.expect("xclaim s g d 51 1-0", "*0\r\n");
    server.expect("xclaim s g d 50 1-0 justid idle 7", "*1\r\n$3\r\n1-0\r\n");
    server.expect("xpending s g - + 10 d", "*1\r\n*4\r\n$3\r\n1-0\r\n$1\r\nd\r\n:7\r\n:1\r\n");
    server.advance_ms(10);
    server.expect("xautoclaim s g e 18 -", "*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n");
    server.expect(
        "xinfo consumers s g",
        "*3\r\n*8\r\n$4\r\nname\r\n$1\r\nc\r\n$7\r\npending\r\n:0\r\n$4\r\nidle\r\n:60\r\n$8\r\ninactive\r\n:60\r\n\
         *8\r\n$4\r\nname\r\n$1\r\nd\r\n$7\r\npending\r\n:1\r\n$4\r\nidle\r\n:10\r\n$8\r\ninactive\r\n:10\r\n\
         *8\r\n$4\r\nname\r\n$1\r\ne\r\n$7\r\npending\r\n:0\r\n$4\r\nidle\r\n:0\r\n$8\r\ninactive\r\n:-1\r\n",
    );
    let full = server.run("xinfo stream s full");
    let seen =
        format!("$9\r\nseen-time\r\n:{START_MS}\r\n$11\r\nactive-time\r\n:{START_MS}\r\n$9\r\npel-count\r\n:0\r\n");
    assert!(full.contains(&seen), "{full}");
    let pending = format!("$7\r\npending\r\n*1\r\n*3\r\n$3\r\n1-0\r\n:{}\r\n:1\r\n", START_MS + 43);
    assert!(full.contains(&pending), "{full}");
}

#[test]
fn events_are_those_of_redis() {
    let mut server = Harness::new();
    for (words, events) in [
        ("xadd s 1-0 a b", &["0:new s", "0:xadd s"][..]),
        ("xadd s maxlen 1 2-0 a b", &["0:xadd s", "0:xtrim s"]),
        ("xadd s maxlen 5 3-0 a b", &["0:xadd s"]),
        ("xtrim s maxlen 9", &[]),
        ("xtrim s maxlen 1", &["0:xtrim s"]),
        ("xsetid s 4-0", &["0:xsetid s"]),
        ("xgroup create s g 0", &["0:xgroup-create s"]),
        ("xgroup create s g 0", &[]),
        ("xgroup create t g 0 mkstream", &["0:new t", "0:xgroup-create t"]),
        ("xgroup setid s g 0", &["0:xgroup-setid s"]),
        ("xgroup createconsumer s g c", &["0:xgroup-createconsumer s"]),
        ("xgroup createconsumer s g c", &[]),
        ("xreadgroup group g d streams s >", &["0:xgroup-createconsumer s"]),
        ("xreadgroup group g d streams s >", &[]),
        ("xclaim s g e 0 3-0", &["0:xgroup-createconsumer s"]),
        ("xautoclaim s g f 0 0", &["0:xgroup-createconsumer s"]),
        ("xack s g 3-0", &[]),
        ("xgroup delconsumer s g c", &["0:xgroup-delconsumer s"]),
        ("xgroup delconsumer s g c", &[]),
        ("xgroup destroy s g", &["0:xgroup-destroy s"]),
        ("xgroup destroy s g", &[]),
        ("xdel s 9-0", &[]),
        ("xdel s 3-0", &["0:xdel s"]),
        ("xadd s 5-0 a b", &["0:xadd s"]),
        ("xdelex s ids 1 5-0", &["0:xdel s"]),
    ] {
        assert_eq!(server.events(words), events, "{words}");
    }
}

#[test]
fn changes_are_counted_as_in_redis() {
    let mut server = Harness::new();
    for (words, changes) in [
        ("xadd s 1-0 a b", 1),
        ("xadd s 2-0 a b", 1),
        ("xadd s 3-0 a b", 1),
        ("xadd s maxlen 3 4-0 a b", 1),
        ("xgroup create s g 0", 1),
        ("xreadgroup group g c streams s >", 2),
        ("xreadgroup group g c streams s >", 0),
        ("xreadgroup group g c streams s 0", 1),
        ("xack s g 2-0 2-0", 1),
        ("xclaim s g d 0 3-0 4-0", 3),
        ("xclaim s g d 0 9-0 lastid 8-0", 1),
        ("xautoclaim s g d 0 -", 2),
        ("xsetid s 9-0", 1),
        ("xdel s 2-0 3-0 3-0", 2),
        ("xtrim s maxlen 0", 1),
        ("xgroup setid s g 0", 1),
        ("xgroup delconsumer s g d", 1),
        ("xgroup destroy s g", 1),
    ] {
        let before = server.state.keyspace.changes.total();
        server.run(words);
        let counted = server.state.keyspace.changes.total() - before;
        assert_eq!(counted, changes, "{words}");
    }
}

#[test]
fn a_reader_waits_for_what_comes_behind() {
    let mut server = Harness::new();
    let first = waiter(&mut server, "xread block 0 streams s t $ $");
    let second = waiter(&mut server, "xread count 1 block 0 streams s 5-0");
    let last = waiter(&mut server, "xread block 0 streams s +");
    server.expect("set s x", OK);
    assert_eq!(got(&mut server, first), "");
    server.expect("del s", ONE);
    server.expect("xadd s 5-0 a b", &bulk("5-0"));
    assert_eq!(got(&mut server, first), one_entry("s", "5-0"));
    assert_eq!(got(&mut server, last), one_entry("s", "5-0"));
    assert_eq!(got(&mut server, second), "");
    server.expect("xadd s 6-0 a b", &bulk("6-0"));
    assert_eq!(got(&mut server, second), one_entry("s", "6-0"));
    // The symbol means the moment when the client began to wait.
    let third = waiter(&mut server, "xread block 0 streams s $");
    server.expect("xadd s maxlen 0 7-0 a b", &bulk("7-0"));
    assert_eq!(got(&mut server, third), "");
    server.expect("xadd s 8-0 a b", &bulk("8-0"));
    assert_eq!(got(&mut server, third), one_entry("s", "8-0"));
    server.expect("xread block 0 streams s 7-0", &one_entry("s", "8-0"));
}

#[test]
fn waiting_ends_with_the_time() {
    let mut server = Harness::new();
    let reader = waiter(&mut server, "xread block 10 streams s $");
    server.advance_ms(11);
    oneloop::engine::wake::run_timeouts(&mut server.state);
    assert_eq!(got(&mut server, reader), NULL_ARRAY);
}

#[test]
fn consumers_wait_in_turn() {
    let mut server = Harness::new();
    server.expect("xgroup create s g $ mkstream", OK);
    let first = waiter(&mut server, "xreadgroup group g c block 0 streams s >");
    let second = waiter(&mut server, "xreadgroup group g d block 0 streams s >");
    server.expect("xadd s 1-0 a b", &bulk("1-0"));
    assert_eq!(got(&mut server, first), one_entry("s", "1-0"));
    assert_eq!(got(&mut server, second), "");
    server.expect("xadd s 2-0 a b", &bulk("2-0"));
    assert_eq!(got(&mut server, second), one_entry("s", "2-0"));
    server.expect(
        "xpending s g",
        "*4\r\n:2\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n*2\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n*2\r\n$1\r\nd\r\n$1\r\n1\r\n",
    );
    // What it has pending it gets at once, be it nothing.
    server.expect("xreadgroup group g e block 0 streams s 0", "*1\r\n*2\r\n$1\r\ns\r\n*0\r\n");
}

#[test]
fn who_waits_for_a_group_hears_that_it_is_gone() {
    let mut server = Harness::new();
    let gone = "-NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option\r\n";
    for (words, reply) in [
        ("del s", gone),
        ("xgroup destroy s g", gone),
        ("flushall", gone),
        ("set s x", WRONG_TYPE),
        ("rename other s", gone),
    ] {
        server.run("flushall");
        server.run("xgroup create s g $ mkstream");
        server.run("xgroup create other h $ mkstream");
        let reader = waiter(&mut server, "xreadgroup group g c block 0 streams s >");
        server.run(words);
        assert_eq!(got(&mut server, reader), reply, "{words}");
    }
}

#[test]
fn large_streams_and_groups_are_freed_in_steps() {
    let mut server = Harness::new();
    for ms in 1..=1000 {
        server.run(&format!("xadd s {ms}-0 a b"));
    }
    server.run("xgroup create s g 0");
    server.run("xreadgroup group g c streams s >");
    server.expect("xtrim s maxlen 100", ":900\r\n");
    assert!(server.state.keyspace.has_garbage());
    while server.state.keyspace.reclaim_step(64) {}
    server.expect("xgroup destroy s g", ONE);
    assert!(server.state.keyspace.has_garbage());
    while server.state.keyspace.reclaim_step(64) {}
    server.expect("xlen s", ":100\r\n");
    server.expect("copy s t", ONE);
    server.expect("xtrim t maxlen 1", ":99\r\n");
    server.expect("xlen s", ":100\r\n");
}

#[test]
fn entries_are_added_with_ids_that_grow() {
    let mut server = Harness::new();
    server.expect("xadd s 1-1 a 1", "$3\r\n1-1\r\n");
    server.expect(
        "xadd s 1-1 a 1",
        "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n",
    );
    server.expect(
        "xadd s 1-0 a 1",
        "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n",
    );
    server.expect("xadd s 0-0 a 1", "-ERR The ID specified in XADD must be greater than 0-0\r\n");
    server.expect("xadd t 0-0 a 1", "-ERR The ID specified in XADD must be greater than 0-0\r\n");
    server.expect("xadd s 1-* a 2", "$3\r\n1-2\r\n");
    server.expect("xadd s 2-* a 3", "$3\r\n2-0\r\n");
    server.expect(
        "xadd s 1-* a 3",
        "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n",
    );
    server.expect("xadd s 3 a 4", "$3\r\n3-0\r\n");
    server.expect("xadd s 3 a", "-ERR wrong number of arguments for 'xadd' command\r\n");
    server.expect("xadd s 4", "-ERR wrong number of arguments for 'xadd' command\r\n");
    server.expect("xadd s 4 a b c", "-ERR wrong number of arguments for 'xadd' command\r\n");
    server.expect("xadd s NOMKSTREAM 4 a b", "$3\r\n4-0\r\n");
    server.expect("xadd none NOMKSTREAM 4 a b", "$-1\r\n");
    server.expect("exists none", ZERO);
    server.expect("xadd s x a b", INVALID_ID);
    server.expect("xadd s 1-x a b", INVALID_ID);
    server.expect("xadd s - a b", INVALID_ID);
    server.expect("xadd s + a b", INVALID_ID);
    server.expect(
        "xadd s 18446744073709551615-18446744073709551615 a b",
        "$41\r\n18446744073709551615-18446744073709551615\r\n",
    );
    server.expect(
        "xadd s 18446744073709551615-* a b",
        "-ERR The stream has exhausted the last possible ID, unable to add more items\r\n",
    );
    server.expect("xadd s * a b", "-ERR The stream has exhausted the last possible ID, unable to add more items\r\n");
    server.expect("xlen s", ":6\r\n");
    server.expect("xlen none", ZERO);
    server.expect("set str x", OK);
    server.expect("xadd str 1-1 a b", WRONG_TYPE);
    server.expect("xadd str 0-0 a b", "-ERR The ID specified in XADD must be greater than 0-0\r\n");
    server.expect("xadd str 1-1 a", "-ERR wrong number of arguments for 'xadd' command\r\n");
    server.expect("xlen str", WRONG_TYPE);
    server.expect("type s", "+stream\r\n");
    server.expect("object encoding s", "$6\r\nstream\r\n");
    server.expect("xrange s - +", "*6\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\na\r\n$1\r\n3\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\na\r\n$1\r\n4\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$41\r\n18446744073709551615-18446744073709551615\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
}

#[test]
fn adding_trims_if_told_to() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 a b", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 a b", "$3\r\n2-0\r\n");
    server.expect("xadd s 3-0 a b", "$3\r\n3-0\r\n");
    server.expect("xadd s MAXLEN 2 4-0 a b", "$3\r\n4-0\r\n");
    server.expect(
        "xrange s - +",
        "*2\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    );
    server.expect("xadd s MAXLEN = 2 5-0 a b", "$3\r\n5-0\r\n");
    server.expect("xadd s maxlen ~ 0 6-0 a b", "$3\r\n6-0\r\n");
    server.expect("xlen s", ZERO);
    server.expect("xadd s MINID 7-0 7-0 a b", "$3\r\n7-0\r\n");
    server.expect("xlen s", ONE);
    server.expect("xadd s MAXLEN 0 8-0 a b", "$3\r\n8-0\r\n");
    server.expect("xlen s", ZERO);
    server.expect("exists s", ONE);
    server.expect("xadd s MAXLEN -1 9-0 a b", "-ERR The MAXLEN argument must be >= 0.\r\n");
    server.expect("xadd s MAXLEN x 9-0 a b", NOT_AN_INTEGER);
    server.expect("xadd s MINID x 9-0 a b", INVALID_ID);
    server.expect(
        "xadd s MAXLEN 1 MINID 1 9-0 a b",
        "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible\r\n",
    );
    server.expect(
        "xadd s MAXLEN 1 LIMIT 1 9-0 a b",
        "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n",
    );
    server.expect(
        "xadd s LIMIT 1 9-0 a b",
        "-ERR syntax error, LIMIT cannot be used without specifying a trimming strategy\r\n",
    );
    server.expect("xadd s MAXLEN ~ 1 LIMIT -1 9-0 a b", "-ERR The LIMIT argument must be >= 0.\r\n");
    server.expect("xadd s MAXLEN ~ 1 LIMIT x 9-0 a b", NOT_AN_INTEGER);
    server.expect("xadd s MAXLEN ~ 1 LIMIT 0 9-0 a b", "$3\r\n9-0\r\n");
    server.expect("xadd s MAXLEN", "-ERR wrong number of arguments for 'xadd' command\r\n");
}

#[test]
fn streams_are_trimmed() {
    let mut server = Harness::new();
    server.expect("config set stream-node-max-entries 3", OK);
    server.expect("xadd s 1-0 a b", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 a b", "$3\r\n2-0\r\n");
    server.expect("xadd s 3-0 a b", "$3\r\n3-0\r\n");
    server.expect("xadd s 4-0 a b", "$3\r\n4-0\r\n");
    server.expect("xadd s 5-0 a b", "$3\r\n5-0\r\n");
    server.expect("xadd s 6-0 a b", "$3\r\n6-0\r\n");
    server.expect("xadd s 7-0 a b", "$3\r\n7-0\r\n");
    server.expect("xadd s 8-0 a b", "$3\r\n8-0\r\n");
    server.expect("xtrim s MAXLEN ~ 6", ZERO);
    server.expect("xtrim s MAXLEN ~ 5", ":3\r\n");
    server.expect("xtrim s MAXLEN 4", ONE);
    server.expect("xrange s - +", "*4\r\n*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n6-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n7-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n8-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    server.expect("xinfo stream s", "*20\r\n$6\r\nlength\r\n:4\r\n$15\r\nradix-tree-keys\r\n:2\r\n$16\r\nradix-tree-nodes\r\n:6\r\n$17\r\nlast-generated-id\r\n$3\r\n8-0\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n0-0\r\n$13\r\nentries-added\r\n:8\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n5-0\r\n$6\r\ngroups\r\n:0\r\n$11\r\nfirst-entry\r\n*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n$10\r\nlast-entry\r\n*2\r\n$3\r\n8-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    server.expect("xtrim s MINID ~ 6 LIMIT 1", ZERO);
    server.expect("xtrim s MINID 7", ":2\r\n");
    server.expect(
        "xrange s - +",
        "*2\r\n*2\r\n$3\r\n7-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n8-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    );
    server.expect("xtrim s MINID ~ 9 LIMIT 1", ZERO);
    server.expect("xtrim s MINID ~ 9 LIMIT 2", ":2\r\n");
    server.expect("xtrim s MAXLEN 0", ZERO);
    server.expect("xtrim none MAXLEN 0", ZERO);
    server.expect("xtrim s FOO 1", SYNTAX);
    server.expect("xtrim s NOMKSTREAM MAXLEN 1", SYNTAX);
    server.expect("xtrim s LIMIT 0", "-ERR syntax error, XTRIM must be called with a trimming strategy\r\n");
    server
        .expect("xtrim s MAXLEN 1 LIMIT 0", "-ERR syntax error, LIMIT cannot be used without the special ~ option\r\n");
    server.expect("xtrim s MAXLEN", "-ERR wrong number of arguments for 'xtrim' command\r\n");
    server.expect("set str x", OK);
    server.expect("xtrim str MAXLEN 1", WRONG_TYPE);
    server.expect("xtrim str MAXLEN x", NOT_AN_INTEGER);
}

#[test]
fn entries_are_deleted() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 a b", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 a b", "$3\r\n2-0\r\n");
    server.expect("xadd s 3-0 c d", "$3\r\n3-0\r\n");
    server.expect("xdel s 2-0 2-0 9-0", ONE);
    server.expect(
        "xrange s - +",
        "*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n",
    );
    server.expect("xdel s 1 x", INVALID_ID);
    server.expect("xlen s", ":2\r\n");
    server.expect("xdel s 1", ONE);
    server.expect("xinfo stream s", "*20\r\n$6\r\nlength\r\n:1\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n3-0\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n2-0\r\n$13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n3-0\r\n$6\r\ngroups\r\n:0\r\n$11\r\nfirst-entry\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n$10\r\nlast-entry\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n");
    server.expect("xdel s 3", ONE);
    server.expect("exists s", ONE);
    server.expect("xinfo stream s", "*20\r\n$6\r\nlength\r\n:0\r\n$15\r\nradix-tree-keys\r\n:0\r\n$16\r\nradix-tree-nodes\r\n:1\r\n$17\r\nlast-generated-id\r\n$3\r\n3-0\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n3-0\r\n$13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n0-0\r\n$6\r\ngroups\r\n:0\r\n$11\r\nfirst-entry\r\n$-1\r\n$10\r\nlast-entry\r\n$-1\r\n");
    server.expect("xdel s 3", ZERO);
    server.expect("xdel none 3", ZERO);
    server.expect("xdel none x", ZERO);
    server.expect("set str x", OK);
    server.expect("xdel str x", WRONG_TYPE);
}

#[test]
fn ranges_are_read_both_ways() {
    let mut server = Harness::new();
    server.expect("xadd s 1-1 f 1", "$3\r\n1-1\r\n");
    server.expect("xadd s 1-2 f 2", "$3\r\n1-2\r\n");
    server.expect("xadd s 2-1 f 3 g 4", "$3\r\n2-1\r\n");
    server.expect("xadd s 2-2 f x", "$3\r\n2-2\r\n");
    server.expect("xrange s - +", "*4\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n*2\r\n$3\r\n2-1\r\n*4\r\n$1\r\nf\r\n$1\r\n3\r\n$1\r\ng\r\n$1\r\n4\r\n*2\r\n$3\r\n2-2\r\n*2\r\n$1\r\nf\r\n$1\r\nx\r\n");
    server.expect(
        "xrange s 1 1",
        "*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n",
    );
    server.expect("xrange s 1-2 2-1", "*2\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n*2\r\n$3\r\n2-1\r\n*4\r\n$1\r\nf\r\n$1\r\n3\r\n$1\r\ng\r\n$1\r\n4\r\n");
    server.expect("xrange s (1-2 +", "*2\r\n*2\r\n$3\r\n2-1\r\n*4\r\n$1\r\nf\r\n$1\r\n3\r\n$1\r\ng\r\n$1\r\n4\r\n*2\r\n$3\r\n2-2\r\n*2\r\n$1\r\nf\r\n$1\r\nx\r\n");
    server.expect("xrange s (1-2 (2-2", "*1\r\n*2\r\n$3\r\n2-1\r\n*4\r\n$1\r\nf\r\n$1\r\n3\r\n$1\r\ng\r\n$1\r\n4\r\n");
    server.expect("xrange s - (1-2", "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n");
    server.expect("xrange s 2 1", "*0\r\n");
    server.expect("xrevrange s + -", "*4\r\n*2\r\n$3\r\n2-2\r\n*2\r\n$1\r\nf\r\n$1\r\nx\r\n*2\r\n$3\r\n2-1\r\n*4\r\n$1\r\nf\r\n$1\r\n3\r\n$1\r\ng\r\n$1\r\n4\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n");
    server.expect("xrevrange s 2 1 COUNT 3", "*3\r\n*2\r\n$3\r\n2-2\r\n*2\r\n$1\r\nf\r\n$1\r\nx\r\n*2\r\n$3\r\n2-1\r\n*4\r\n$1\r\nf\r\n$1\r\n3\r\n$1\r\ng\r\n$1\r\n4\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n");
    server.expect("xrevrange s (2-2 (1-1", "*2\r\n*2\r\n$3\r\n2-1\r\n*4\r\n$1\r\nf\r\n$1\r\n3\r\n$1\r\ng\r\n$1\r\n4\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n");
    server.expect(
        "xrange s - + COUNT 2",
        "*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n",
    );
    server.expect("xrange s - + COUNT 0", "*-1\r\n");
    server.expect("xrange s - + COUNT -1", "*-1\r\n");
    server.expect("xrange s - + COUNT x", NOT_AN_INTEGER);
    server.expect("xrange s - + COUNT", SYNTAX);
    server.expect("xrange s - + FOO 1", SYNTAX);
    server.expect(
        "xrange s - + COUNT 1 COUNT 2",
        "*2\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n",
    );
    server.expect("xrange none - +", "*0\r\n");
    server.expect("xrange none - + COUNT 0", "*0\r\n");
    server.expect("xrange s x +", INVALID_ID);
    server.expect("xrange s - x", INVALID_ID);
    server.expect("xrange s ( +", INVALID_ID);
    server.expect("xrange s (- +", INVALID_ID);
    server
        .expect("xrange s (18446744073709551615-18446744073709551615 +", "-ERR invalid start ID for the interval\r\n");
    server.expect("xrange s - (0-0", "-ERR invalid end ID for the interval\r\n");
    server.expect("xrevrange s - x", INVALID_ID);
    server.expect("set str x", OK);
    server.expect("xrange str - +", WRONG_TYPE);
    server.expect("xrange str x +", INVALID_ID);
}

#[test]
fn streams_are_read_from_an_id_on() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 f 1", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 f 2", "$3\r\n2-0\r\n");
    server.expect("xadd t 1-5 g 3", "$3\r\n1-5\r\n");
    server.expect("xread STREAMS s 0", "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n");
    server.expect("xread COUNT 1 STREAMS s t 0 0", "*2\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$1\r\nt\r\n*1\r\n*2\r\n$3\r\n1-5\r\n*2\r\n$1\r\ng\r\n$1\r\n3\r\n");
    server.expect(
        "xread STREAMS s t none 1 1-5 0",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n",
    );
    server.expect("xread STREAMS s t 2 2", "*-1\r\n");
    server.expect("xread STREAMS s $", "*-1\r\n");
    server.expect("xread STREAMS s +", "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n");
    server.expect("xread STREAMS none +", "*-1\r\n");
    server.expect(
        "xread COUNT 0 STREAMS s 1-0",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n",
    );
    server.expect(
        "xread COUNT -3 STREAMS s 1-0",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n",
    );
    server.expect("xread COUNT x STREAMS s 1-0", NOT_AN_INTEGER);
    server.expect("xread BLOCK x STREAMS s 0", "-ERR timeout is not an integer or out of range\r\n");
    server.expect("xread BLOCK -1 STREAMS s 0", "-ERR timeout is negative\r\n");
    server.expect("xread STREAMS s", "-ERR wrong number of arguments for 'xread' command\r\n");
    server.expect(
        "xread STREAMS s t 0",
        "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified.\r\n",
    );
    server.expect("xread COUNT 1 STREAMS", SYNTAX);
    server.expect("xread STREAMS s x", INVALID_ID);
    server.expect(
        "xread STREAMS s >",
        "-ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.\r\n",
    );
    server.expect(
        "xread GROUP g c STREAMS s 0",
        "-ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.\r\n",
    );
    server.expect(
        "xread NOACK STREAMS s 0",
        "-ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.\r\n",
    );
    server.expect("xread FOO STREAMS s 0", SYNTAX);
    server.expect("xread STREAMS s 18446744073709551615-18446744073709551615", "*-1\r\n");
    server.expect("set str x", OK);
    server.expect("xread STREAMS str 0", WRONG_TYPE);
    server.expect("xread STREAMS s str 0 0", WRONG_TYPE);
    server.set_protocol(Protocol::Resp3);
    server.expect("xread STREAMS s t 0 0", "%2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n$1\r\nt\r\n*1\r\n*2\r\n$3\r\n1-5\r\n*2\r\n$1\r\ng\r\n$1\r\n3\r\n");
    server.expect("xread STREAMS s 2", "_\r\n");
}

#[test]
fn a_group_reads_each_entry_once() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 f 1", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 f 2", "$3\r\n2-0\r\n");
    server.expect("xadd s 3-0 f 3", "$3\r\n3-0\r\n");
    server.expect("xadd s 4-0 f 4", "$3\r\n4-0\r\n");
    server.expect("xgroup CREATE s g 0", OK);
    server.expect(
        "xreadgroup GROUP g a COUNT 1 STREAMS s >",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n",
    );
    server.expect(
        "xreadgroup GROUP g b COUNT 1 STREAMS s >",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n",
    );
    server.expect(
        "xreadgroup GROUP g a NOACK COUNT 1 STREAMS s >",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n",
    );
    server.expect(
        "xreadgroup GROUP g a STREAMS s >",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nf\r\n$1\r\n4\r\n",
    );
    server.expect("xreadgroup GROUP g a STREAMS s >", "*-1\r\n");
    server.expect(
        "xpending s g",
        "*4\r\n:3\r\n$3\r\n1-0\r\n$3\r\n4-0\r\n*2\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n*2\r\n$1\r\nb\r\n$1\r\n1\r\n",
    );
    server.expect("xreadgroup GROUP g a STREAMS s 0", "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nf\r\n$1\r\n4\r\n");
    server.expect(
        "xreadgroup GROUP g a STREAMS s 1-0",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nf\r\n$1\r\n4\r\n",
    );
    server.expect(
        "xreadgroup GROUP g b COUNT 5 STREAMS s 0",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n",
    );
    server.expect("xreadgroup GROUP g c STREAMS s 0", "*1\r\n*2\r\n$1\r\ns\r\n*0\r\n");
    server.expect("xdel s 1-0", ONE);
    server.expect(
        "xreadgroup GROUP g a STREAMS s 0",
        "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*-1\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nf\r\n$1\r\n4\r\n",
    );
    server.expect("xreadgroup GROUP g a STREAMS s 18446744073709551615-18446744073709551615", "*-1\r\n");
    server.expect("xgroup SETID s g 0", OK);
    server.expect("xreadgroup GROUP g b COUNT 2 STREAMS s >", "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n");
    server.expect(
        "xpending s g",
        "*4\r\n:4\r\n$3\r\n1-0\r\n$3\r\n4-0\r\n*2\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n",
    );
    server.expect(
        "xreadgroup GROUP g b STREAMS s none > >",
        "-NOGROUP No such key 'none' or consumer group 'g' in XREADGROUP with GROUP option\r\n",
    );
    server.expect(
        "xreadgroup GROUP h b STREAMS s >",
        "-NOGROUP No such key 's' or consumer group 'h' in XREADGROUP with GROUP option\r\n",
    );
    server.expect("xreadgroup GROUP g b STREAMS s $", "-ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.\r\n");
    server.expect("xreadgroup GROUP g b STREAMS s +", "-ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result set.\r\n");
    server.expect("xreadgroup GROUP g b STREAMS s x", INVALID_ID);
    server.expect("xreadgroup GROUP g b STREAMS s", "-ERR wrong number of arguments for 'xreadgroup' command\r\n");
    server.expect(
        "xreadgroup GROUP g b STREAMS s t >",
        "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.\r\n",
    );
    server.expect("xreadgroup COUNT 1 STREAMS s t 0 0", "-ERR Missing GROUP option for XREADGROUP\r\n");
    server.expect("xreadgroup GROUP g b BLOCK x STREAMS s >", "-ERR timeout is not an integer or out of range\r\n");
    server.expect("xreadgroup GROUP g STREAMS s > x", SYNTAX);
    server.expect("set str x", OK);
    server.expect("xreadgroup GROUP g b STREAMS str >", WRONG_TYPE);
    server.set_protocol(Protocol::Resp3);
    server.expect("xreadgroup GROUP g b STREAMS s 0", "%1\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n");
    server.expect(
        "xreadgroup GROUP g a STREAMS s 0",
        "%1\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n_\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nf\r\n$1\r\n4\r\n",
    );
    server.expect(
        "xpending s g",
        "*4\r\n:4\r\n$3\r\n1-0\r\n$3\r\n4-0\r\n*2\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n",
    );
}

#[test]
fn entries_are_acknowledged() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 f 1", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 f 2", "$3\r\n2-0\r\n");
    server.expect("xgroup CREATE s g 0", OK);
    server.expect("xack s g 1-0", ZERO);
    server.expect("xreadgroup GROUP g a STREAMS s >", "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n");
    server.expect("xack s g 1-0 1-0 9-0", ONE);
    server.expect("xack s g 2 x", INVALID_ID);
    server.expect("xack s h x", ZERO);
    server.expect("xack none g x", ZERO);
    server.expect("xpending s g", "*4\r\n:1\r\n$3\r\n2-0\r\n$3\r\n2-0\r\n*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    server.expect("xack s g 2", ONE);
    server.expect("xpending s g", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n");
    server.expect("set str x", OK);
    server.expect("xack str g x", WRONG_TYPE);
}

#[test]
fn pending_entries_are_listed() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 f 1", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 f 2", "$3\r\n2-0\r\n");
    server.expect("xadd s 3-0 f 3", "$3\r\n3-0\r\n");
    server.expect("xgroup CREATE s g 0", OK);
    server.expect("xpending s g", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n");
    server.expect("xreadgroup GROUP g a COUNT 2 STREAMS s >", "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n");
    server.expect(
        "xreadgroup GROUP g b STREAMS s >",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n",
    );
    server.expect(
        "xpending s g",
        "*4\r\n:3\r\n$3\r\n1-0\r\n$3\r\n3-0\r\n*2\r\n*2\r\n$1\r\na\r\n$1\r\n2\r\n*2\r\n$1\r\nb\r\n$1\r\n1\r\n",
    );
    server.expect("xpending s g - + 0", "*0\r\n");
    server.expect("xpending s g - + -5", "*0\r\n");
    server.expect("xpending s g 4 5 10", "*0\r\n");
    server.expect("xpending s g + - 10", "*0\r\n");
    server.expect("xpending s g IDLE 100000 - + 10", "*0\r\n");
    server.expect("xpending s g - + 10 nobody", "*0\r\n");
    server.expect("xpending s g - +", SYNTAX);
    server.expect("xpending s g - + x", NOT_AN_INTEGER);
    server.expect("xpending s g x + 1", INVALID_ID);
    server.expect("xpending s g - x 1", INVALID_ID);
    server.expect("xpending s g IDLE x - + 10", NOT_AN_INTEGER);
    server.expect("xpending s g IDLE 1 - +", SYNTAX);
    server.expect("xpending s g IDLE 1 - + 10 a b", SYNTAX);
    server.expect("xpending s h", "-NOGROUP No such key 's' or consumer group 'h'\r\n");
    server.expect("xpending none g", "-NOGROUP No such key 'none' or consumer group 'g'\r\n");
    server.expect("xpending none g - + x", NOT_AN_INTEGER);
    server.expect("set str x", OK);
    server.expect("xpending str g", WRONG_TYPE);
}

#[test]
fn entries_are_claimed() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 f 1", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 f 2", "$3\r\n2-0\r\n");
    server.expect("xadd s 3-0 f 3", "$3\r\n3-0\r\n");
    server.expect("xgroup CREATE s g 0", OK);
    server.expect("xreadgroup GROUP g a COUNT 2 STREAMS s >", "*1\r\n*2\r\n$1\r\ns\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n");
    server.expect("xclaim s g b 0 1-0", "*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n");
    server.expect("xclaim s g b 1000000 2-0", "*0\r\n");
    server.expect("xclaim s g b 0 3-0", "*0\r\n");
    server.expect("xclaim s g b 0 3-0 FORCE JUSTID", "*1\r\n$3\r\n3-0\r\n");
    server.expect("xclaim s g c 0 1-0 2-0 9-0 JUSTID RETRYCOUNT 7 IDLE 5", "*2\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n");
    server.expect("xclaim s g c 0 1-0 TIME -1", "*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n");
    server.expect("xclaim s g c 0 1-0 LASTID 3-0", "*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n");
    server.expect("xinfo groups s", "*1\r\n*12\r\n$4\r\nname\r\n$1\r\ng\r\n$9\r\nconsumers\r\n:3\r\n$7\r\npending\r\n:3\r\n$17\r\nlast-delivered-id\r\n$3\r\n3-0\r\n$12\r\nentries-read\r\n:2\r\n$3\r\nlag\r\n:1\r\n");
    server.expect("xdel s 2-0", ONE);
    server.expect("xclaim s g c 0 2-0", "*0\r\n");
    server.expect(
        "xpending s g",
        "*4\r\n:2\r\n$3\r\n1-0\r\n$3\r\n3-0\r\n*2\r\n*2\r\n$1\r\nb\r\n$1\r\n1\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n",
    );
    server.expect("xclaim s g c x 1-0", "-ERR Invalid min-idle-time argument for XCLAIM\r\n");
    server.expect("xclaim s g c 0 1-0 IDLE x", "-ERR Invalid IDLE option argument for XCLAIM\r\n");
    server.expect("xclaim s g c 0 1-0 TIME x", "-ERR Invalid TIME option argument for XCLAIM\r\n");
    server.expect("xclaim s g c 0 1-0 RETRYCOUNT x", "-ERR Invalid RETRYCOUNT option argument for XCLAIM\r\n");
    server.expect("xclaim s g c 0 1-0 LASTID x", INVALID_ID);
    server.expect("xclaim s g c 0 1-0 FOO", "-ERR Unrecognized XCLAIM option 'FOO'\r\n");
    server.expect("xclaim s g c 0 1-0 IDLE", "-ERR Unrecognized XCLAIM option 'IDLE'\r\n");
    server.expect("xclaim s h c 0 1-0", "-NOGROUP No such key 's' or consumer group 'h'\r\n");
    server.expect("xclaim none g c x 1-0", "-NOGROUP No such key 'none' or consumer group 'g'\r\n");
    server.expect("set str x", OK);
    server.expect("xclaim str g c 0 1-0", WRONG_TYPE);
}

#[test]
fn idle_entries_are_claimed_one_after_the_other() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 f 1", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 f 2", "$3\r\n2-0\r\n");
    server.expect("xadd s 3-0 f 3", "$3\r\n3-0\r\n");
    server.expect("xadd s 4-0 f 4", "$3\r\n4-0\r\n");
    server.expect("xgroup CREATE s g 0", OK);
    server.expect("xreadgroup GROUP g a STREAMS s >", "*1\r\n*2\r\n$1\r\ns\r\n*4\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$1\r\n2\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nf\r\n$1\r\n4\r\n");
    server.expect(
        "xautoclaim s g b 0 - COUNT 1",
        "*3\r\n$3\r\n2-0\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*0\r\n",
    );
    server.expect("xautoclaim s g b 0 2 COUNT 2 JUSTID", "*3\r\n$3\r\n4-0\r\n*2\r\n$3\r\n2-0\r\n$3\r\n3-0\r\n*0\r\n");
    server.expect("xdel s 2-0 3-0", ":2\r\n");
    server.expect("xautoclaim s g b 0 (1-0 COUNT 1", "*3\r\n$3\r\n3-0\r\n*0\r\n*1\r\n$3\r\n2-0\r\n");
    server.expect("xautoclaim s g b 0 -", "*3\r\n$3\r\n0-0\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nf\r\n$1\r\n4\r\n*1\r\n$3\r\n3-0\r\n");
    server.expect("xautoclaim s g b 1000000 -", "*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n");
    server.expect("xautoclaim s g b 0 9-0", "*3\r\n$3\r\n0-0\r\n*0\r\n*0\r\n");
    server.expect("xpending s g", "*4\r\n:2\r\n$3\r\n1-0\r\n$3\r\n4-0\r\n*1\r\n*2\r\n$1\r\nb\r\n$1\r\n2\r\n");
    server.expect("xautoclaim s g b x -", "-ERR Invalid min-idle-time argument for XAUTOCLAIM\r\n");
    server.expect("xautoclaim s g b 0 x", INVALID_ID);
    server.expect("xautoclaim s g b 0 - COUNT 0", "-ERR COUNT must be > 0\r\n");
    server.expect("xautoclaim s g b 0 - COUNT x", "-ERR COUNT must be > 0\r\n");
    server.expect("xautoclaim s g b 0 - FOO", SYNTAX);
    server.expect("xautoclaim s h b 0 -", "-NOGROUP No such key 's' or consumer group 'h'\r\n");
    server.expect("xautoclaim none g b 0 -", "-NOGROUP No such key 'none' or consumer group 'g'\r\n");
    server.expect("set str x", OK);
    server.expect("xautoclaim str g b 0 -", WRONG_TYPE);
}

#[test]
fn groups_are_made_and_removed() {
    let mut server = Harness::new();
    server.expect("xgroup CREATE s g $", "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.\r\n");
    server.expect("xgroup CREATE s g $ MKSTREAM", OK);
    server.expect("xgroup CREATE s g $", "-BUSYGROUP Consumer Group name already exists\r\n");
    server.expect("xgroup CREATE s h x", INVALID_ID);
    server.expect("xgroup CREATE s h -", INVALID_ID);
    server.expect(
        "xgroup CREATE s h 0 FOO",
        "-ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.\r\n",
    );
    server.expect("xgroup CREATE s h 0 ENTRIESREAD x", NOT_AN_INTEGER);
    server.expect("xgroup CREATE s h 0 ENTRIESREAD -2", "-ERR value for ENTRIESREAD must be positive or -1\r\n");
    server.expect("xgroup CREATE s h 5-1 ENTRIESREAD 3", OK);
    server.expect("xadd s 7-0 a b", "$3\r\n7-0\r\n");
    server.expect("xgroup SETID s g $", OK);
    server.expect("xgroup SETID s h 6 ENTRIESREAD 1", OK);
    server.expect("xgroup SETID s i 6", "-NOGROUP No such consumer group 'i' for key name 's'\r\n");
    server.expect(
        "xgroup SETID s g 6 MKSTREAM",
        "-ERR unknown subcommand or wrong number of arguments for 'SETID'. Try XGROUP HELP.\r\n",
    );
    server.expect("xgroup SETID s g x", INVALID_ID);
    server.expect("xgroup SETID none g 6", "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.\r\n");
    server.expect("xinfo groups s", "*2\r\n*12\r\n$4\r\nname\r\n$1\r\ng\r\n$9\r\nconsumers\r\n:0\r\n$7\r\npending\r\n:0\r\n$17\r\nlast-delivered-id\r\n$3\r\n7-0\r\n$12\r\nentries-read\r\n$-1\r\n$3\r\nlag\r\n:0\r\n*12\r\n$4\r\nname\r\n$1\r\nh\r\n$9\r\nconsumers\r\n:0\r\n$7\r\npending\r\n:0\r\n$17\r\nlast-delivered-id\r\n$3\r\n6-0\r\n$12\r\nentries-read\r\n:1\r\n$3\r\nlag\r\n:1\r\n");
    server.expect("xgroup CREATECONSUMER s g c", ONE);
    server.expect("xgroup CREATECONSUMER s g c", ZERO);
    server.expect("xgroup CREATECONSUMER s i c", "-NOGROUP No such consumer group 'i' for key name 's'\r\n");
    server.expect("xgroup CREATECONSUMER none g c", "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.\r\n");
    server.expect("xgroup DELCONSUMER s g d", ZERO);
    server.expect("xgroup DELCONSUMER s i d", "-NOGROUP No such consumer group 'i' for key name 's'\r\n");
    server.expect(
        "xreadgroup GROUP h c STREAMS s >",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n7-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    );
    server.expect("xgroup DELCONSUMER s h c", ONE);
    server.expect("xpending s h", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n");
    server.expect("xgroup DESTROY s i", ZERO);
    server.expect("xgroup DESTROY s h", ONE);
    server.expect("xgroup DESTROY none h", "-ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.\r\n");
    server.expect("xinfo groups s", "*1\r\n*12\r\n$4\r\nname\r\n$1\r\ng\r\n$9\r\nconsumers\r\n:1\r\n$7\r\npending\r\n:0\r\n$17\r\nlast-delivered-id\r\n$3\r\n7-0\r\n$12\r\nentries-read\r\n$-1\r\n$3\r\nlag\r\n:0\r\n");
    server.expect("set str x", OK);
    server.expect("xgroup CREATE str g 0 MKSTREAM", WRONG_TYPE);
    server.expect("xgroup DESTROY str g", WRONG_TYPE);
    server.expect("xgroup FOO", "-ERR unknown subcommand 'FOO'. Try XGROUP HELP.\r\n");
    server.expect("xgroup", "-ERR wrong number of arguments for 'xgroup' command\r\n");
}

#[test]
fn streams_tell_about_themselves() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 f 1", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 f 2", "$3\r\n2-0\r\n");
    server.expect("xadd s 3-0 f 3", "$3\r\n3-0\r\n");
    server.expect("xdel s 2-0", ONE);
    server.expect("xinfo stream s", "*20\r\n$6\r\nlength\r\n:2\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n3-0\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n2-0\r\n$13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n1-0\r\n$6\r\ngroups\r\n:0\r\n$11\r\nfirst-entry\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n$10\r\nlast-entry\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n");
    server.expect("xgroup CREATE s g 0", OK);
    server.expect("xinfo groups s", "*1\r\n*12\r\n$4\r\nname\r\n$1\r\ng\r\n$9\r\nconsumers\r\n:0\r\n$7\r\npending\r\n:0\r\n$17\r\nlast-delivered-id\r\n$3\r\n0-0\r\n$12\r\nentries-read\r\n$-1\r\n$3\r\nlag\r\n$-1\r\n");
    server.expect("xinfo stream s FULL", "*18\r\n$6\r\nlength\r\n:2\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n3-0\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n2-0\r\n$13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n1-0\r\n$7\r\nentries\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n$6\r\ngroups\r\n*1\r\n*14\r\n$4\r\nname\r\n$1\r\ng\r\n$17\r\nlast-delivered-id\r\n$3\r\n0-0\r\n$12\r\nentries-read\r\n$-1\r\n$3\r\nlag\r\n$-1\r\n$9\r\npel-count\r\n:0\r\n$7\r\npending\r\n*0\r\n$9\r\nconsumers\r\n*0\r\n");
    server.expect("xinfo stream s FULL COUNT 1", "*18\r\n$6\r\nlength\r\n:2\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n3-0\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n2-0\r\n$13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n1-0\r\n$7\r\nentries\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n$6\r\ngroups\r\n*1\r\n*14\r\n$4\r\nname\r\n$1\r\ng\r\n$17\r\nlast-delivered-id\r\n$3\r\n0-0\r\n$12\r\nentries-read\r\n$-1\r\n$3\r\nlag\r\n$-1\r\n$9\r\npel-count\r\n:0\r\n$7\r\npending\r\n*0\r\n$9\r\nconsumers\r\n*0\r\n");
    server.expect("xinfo stream s FULL COUNT 0", "*18\r\n$6\r\nlength\r\n:2\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n3-0\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n2-0\r\n$13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n1-0\r\n$7\r\nentries\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n$6\r\ngroups\r\n*1\r\n*14\r\n$4\r\nname\r\n$1\r\ng\r\n$17\r\nlast-delivered-id\r\n$3\r\n0-0\r\n$12\r\nentries-read\r\n$-1\r\n$3\r\nlag\r\n$-1\r\n$9\r\npel-count\r\n:0\r\n$7\r\npending\r\n*0\r\n$9\r\nconsumers\r\n*0\r\n");
    server.expect("xinfo stream s FULL COUNT -1", "*18\r\n$6\r\nlength\r\n:2\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n3-0\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n2-0\r\n$13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n1-0\r\n$7\r\nentries\r\n*2\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n$6\r\ngroups\r\n*1\r\n*14\r\n$4\r\nname\r\n$1\r\ng\r\n$17\r\nlast-delivered-id\r\n$3\r\n0-0\r\n$12\r\nentries-read\r\n$-1\r\n$3\r\nlag\r\n$-1\r\n$9\r\npel-count\r\n:0\r\n$7\r\npending\r\n*0\r\n$9\r\nconsumers\r\n*0\r\n");
    server.expect("xinfo stream s FULL COUNT x", NOT_AN_INTEGER);
    server.expect(
        "xinfo stream s FULL COUNT",
        "-ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO HELP.\r\n",
    );
    server.expect(
        "xinfo stream s FOO",
        "-ERR unknown subcommand or wrong number of arguments for 'stream'. Try XINFO HELP.\r\n",
    );
    server.expect("xinfo stream none", "-ERR no such key\r\n");
    server.expect("xinfo stream none FOO", "-ERR no such key\r\n");
    server.expect("xinfo groups none", "-ERR no such key\r\n");
    server.expect("xinfo consumers none g", "-ERR no such key\r\n");
    server.expect("xinfo consumers s h", "-NOGROUP No such consumer group 'h' for key name 's'\r\n");
    server.expect("xinfo consumers s g", "*0\r\n");
    server.expect("set str x", OK);
    server.expect("xinfo stream str", WRONG_TYPE);
    server.expect("xinfo groups str", WRONG_TYPE);
    server.expect("xinfo", "-ERR wrong number of arguments for 'xinfo' command\r\n");
    server.expect("xinfo FOO", "-ERR unknown subcommand 'FOO'. Try XINFO HELP.\r\n");
    server.set_protocol(Protocol::Resp3);
    server.expect("xinfo stream s", "%10\r\n$6\r\nlength\r\n:2\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n3-0\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n2-0\r\n$13\r\nentries-added\r\n:3\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n1-0\r\n$6\r\ngroups\r\n:1\r\n$11\r\nfirst-entry\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$1\r\n1\r\n$10\r\nlast-entry\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\nf\r\n$1\r\n3\r\n");
    server.expect("xinfo groups s", "*1\r\n%6\r\n$4\r\nname\r\n$1\r\ng\r\n$9\r\nconsumers\r\n:0\r\n$7\r\npending\r\n:0\r\n$17\r\nlast-delivered-id\r\n$3\r\n0-0\r\n$12\r\nentries-read\r\n_\r\n$3\r\nlag\r\n_\r\n");
}

#[test]
fn ids_are_set() {
    let mut server = Harness::new();
    server.expect("xadd s 5-0 a b", "$3\r\n5-0\r\n");
    server.expect("xsetid s 4-0", "-ERR The ID specified in XSETID is smaller than the target stream top item\r\n");
    server.expect("xsetid s 9-0", OK);
    server.expect(
        "xadd s 9-0 a b",
        "-ERR The ID specified in XADD is equal or smaller than the target stream top item\r\n",
    );
    server.expect("xsetid s 9-0 ENTRIESADDED 7", OK);
    server.expect(
        "xsetid s 9-0 ENTRIESADDED 0",
        "-ERR The entries_added specified in XSETID is smaller than the target stream length\r\n",
    );
    server.expect("xsetid s 9-0 ENTRIESADDED -1", "-ERR entries_added must be positive\r\n");
    server.expect("xsetid s 9-0 ENTRIESADDED x", NOT_AN_INTEGER);
    server.expect(
        "xsetid s 9-0 MAXDELETEDID 10-0",
        "-ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id\r\n",
    );
    server.expect("xsetid s 9-0 MAXDELETEDID 8-0 ENTRIESADDED 9", OK);
    server.expect("xinfo stream s", "*20\r\n$6\r\nlength\r\n:1\r\n$15\r\nradix-tree-keys\r\n:1\r\n$16\r\nradix-tree-nodes\r\n:2\r\n$17\r\nlast-generated-id\r\n$3\r\n9-0\r\n$20\r\nmax-deleted-entry-id\r\n$3\r\n8-0\r\n$13\r\nentries-added\r\n:9\r\n$23\r\nrecorded-first-entry-id\r\n$3\r\n5-0\r\n$6\r\ngroups\r\n:0\r\n$11\r\nfirst-entry\r\n*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n$10\r\nlast-entry\r\n*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    server.expect("xdel s 5-0", ONE);
    server.expect("xsetid s 7-0", "-ERR The ID specified in XSETID is smaller than current max_deleted_entry_id\r\n");
    server.expect("xsetid s 9-0 MAXDELETEDID", SYNTAX);
    server.expect("xsetid s x", INVALID_ID);
    server.expect("xsetid s -", INVALID_ID);
    server.expect("xsetid none 9-0", "-ERR no such key\r\n");
    server.expect("xsetid none x", INVALID_ID);
    server.expect("set str x", OK);
    server.expect("xsetid str 9-0", WRONG_TYPE);
}

#[test]
fn references_are_kept_deleted_or_respected() {
    let mut server = Harness::new();
    server.expect("xadd s 1-0 a b", "$3\r\n1-0\r\n");
    server.expect("xadd s 2-0 a b", "$3\r\n2-0\r\n");
    server.expect("xadd s 3-0 a b", "$3\r\n3-0\r\n");
    server.expect("xadd s 4-0 a b", "$3\r\n4-0\r\n");
    server.expect("xadd s 5-0 a b", "$3\r\n5-0\r\n");
    server.expect("xadd s 6-0 a b", "$3\r\n6-0\r\n");
    server.expect("xgroup CREATE s g 0", OK);
    server.expect("xreadgroup GROUP g c COUNT 4 STREAMS s >", "*1\r\n*2\r\n$1\r\ns\r\n*4\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n3-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    server.expect("xack s g 1 2", ":2\r\n");
    server.expect("xdelex s ACKED IDS 3 1-0 3-0 6-0", "*3\r\n:1\r\n:2\r\n:2\r\n");
    server.expect("xdelex s IDS 2 3-0 9-0", "*2\r\n:1\r\n:-1\r\n");
    server.expect("xpending s g", "*4\r\n:2\r\n$3\r\n3-0\r\n$3\r\n4-0\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n2\r\n");
    server.expect("xdelex s DELREF IDS 1 3-0", "*1\r\n:-1\r\n");
    server.expect("xpending s g", "*4\r\n:1\r\n$3\r\n4-0\r\n$3\r\n4-0\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n");
    server.expect("xackdel s g IDS 2 4-0 1-0", "*2\r\n:1\r\n:-1\r\n");
    server.expect("xrange s - +", "*3\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n6-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    server.expect("xtrim s MAXLEN 0 ACKED", ONE);
    server.expect("xtrim s MAXLEN ~ 0 ACKED", ZERO);
    server.expect("xadd s ACKED MAXLEN 0 7-0 a b", "$3\r\n7-0\r\n");
    server.expect("xrange s - +", "*3\r\n*2\r\n$3\r\n5-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n6-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\n7-0\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    server.expect("xtrim s DELREF MAXLEN 1", ":2\r\n");
    server.expect("xadd s KEEPREF ACKED 8-0 a b", INVALID_ID);
    server.expect("xtrim s KEEPREF DELREF MAXLEN 1", SYNTAX);
    server.expect("xdelex s KEEPREF DELREF IDS 1 1", SYNTAX);
    server.expect("xdelex s IDS 2 1", "-ERR The `numids` parameter must match the number of arguments\r\n");
    server.expect("xdelex s IDS 0 1", "-ERR Number of IDs must be a positive integer\r\n");
    server.expect("xdelex s IDS x 1", "-ERR Number of IDs must be a positive integer\r\n");
    server.expect("xdelex s IDS 1 x", INVALID_ID);
    server.expect("xdelex s IDS 1 1 2", SYNTAX);
    server.expect("xdelex s ACKED ACKED 1 1", SYNTAX);
    server.expect("xdelex none IDS 2 x y", "*2\r\n:-1\r\n:-1\r\n");
    server.expect("xackdel s h IDS 2 x y", "*2\r\n:-1\r\n:-1\r\n");
    server.expect("xackdel none h IDS 1 x", "*1\r\n:-1\r\n");
    server.expect("xackdel s g IDS 1 x", INVALID_ID);
    server.expect("xackdel s g FOO IDS 1 1", SYNTAX);
    server.expect("set str x", OK);
    server.expect("xdelex str FOO 1 1", WRONG_TYPE);
    server.expect("xackdel str g FOO 1 1", WRONG_TYPE);
}

/// What XINFO GROUPS says of the first group: entries read and lag.
fn progress(server: &mut Harness) -> (String, String) {
    let info = server.run("xinfo groups s");
    let words: Vec<&str> = info.split("\r\n").collect();
    let after = |name: &str| {
        let place = words.iter().position(|word| *word == name);
        words[place.expect("it is shown") + 1].to_string()
    };
    (after("entries-read"), after("lag"))
}

/// As in Redis from 7.2.7 on.
#[test]
fn lag_is_known_where_trimming_and_deleting_leave_it_certain() {
    let known = |read: i64, lag: i64| (format!(":{read}"), format!(":{lag}"));
    let unknown = ("$-1".to_string(), "$-1".to_string());
    let server_with = |entries: usize| {
        let mut server = Harness::new();
        for number in 1..=entries {
            server.run(&format!("xadd s {number}-0 f v"));
        }
        server.run("xgroup create s g 0");
        server
    };
    const READ_ONE: &str = "xreadgroup group g c count 1 streams s >";
    let mut server = server_with(5);
    server.run(READ_ONE);
    assert_eq!(progress(&mut server), known(1, 4));
    server.run("xtrim s maxlen 1");
    assert_eq!(progress(&mut server), known(1, 1));
    server.run(READ_ONE);
    assert_eq!(progress(&mut server), known(5, 0));

    let mut server = server_with(4);
    server.run(READ_ONE);
    server.run("xdel s 1-0 2-0");
    assert_eq!(progress(&mut server), known(1, 2));
    server.run(READ_ONE);
    assert_eq!(progress(&mut server), known(3, 1));

    let mut server = server_with(4);
    server.run("xdel s 3-0");
    assert_eq!(progress(&mut server), unknown);
    server.run(READ_ONE);
    assert_eq!(progress(&mut server), unknown);
    server.run("xreadgroup group g c streams s >");
    assert_eq!(progress(&mut server), known(4, 0));

    let mut server = server_with(3);
    server.run(READ_ONE);
    server.run("xtrim s maxlen 0");
    assert_eq!(progress(&mut server), known(1, 0));
}

#[test]
fn scripts_cannot_wait_for_entries() {
    let mut server = Harness::new();
    server.run("xadd s 1-1 a b");
    server.run("xgroup create s g 0");
    for (request, name) in [
        ("'xread','block',0,'streams','s','0'", "xread"),
        ("'XRead','BLOCK','x','foo'", "XRead"),
        ("'XREADGROUP','group','g','c','block',10,'streams','s','>'", "XREADGROUP"),
    ] {
        let script = format!("return redis.pcall({request})");
        let reply = server.run_args(&[b"eval", script.as_bytes(), b"0"]);
        let expected = format!("-ERR {name} command is not allowed with BLOCK option from scripts\r\n");
        assert_eq!(reply, expected, "{request}");
    }
    let script = "return #redis.call('xread','count',1,'streams','s','0')";
    let reply = server.run_args(&[b"eval", script.as_bytes(), b"0"]);
    assert_eq!(reply, ":1\r\n");
    // A transaction may: it does not wait.
    server.run("multi");
    server.run("xread block 0 streams s 1-1");
    server.expect("exec", "*1\r\n*-1\r\n");
}
