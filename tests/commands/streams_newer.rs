//! Newer commands and options of streams: XNACK of Redis 8.8, XREADGROUP CLAIM of 8.4 (entries that are given back, and
//! reading them in one step with new ones), MAXCOUNT and MAXSIZE of 8.10. What they reply is known from Redis's sources,
//! pages and tests.

use oneloop::engine::session::{Blocked, Token};
use oneloop::engine::wake;
use oneloop::resp::Protocol;

use crate::support::{Harness, START_MS};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const INVALID_ID: &str = "-ERR Invalid stream ID specified as stream command argument\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NULL_ARRAY: &str = "*-1\r\n";
const MAX: i64 = i64::MAX;

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// A server with entries 1-0 to n-0 at `s`, and a group that has yet to read them.
fn server_with(entries: u64) -> Harness {
    let mut server = Harness::new();
    for number in 1..=entries {
        server.run(&format!("xadd s {number}-0 f v{number}"));
    }
    server.expect("xgroup create s g 0", "+OK\r\n");
    server
}

/// The same, all entries being consumer c's.
fn server_with_pending(entries: u64) -> Harness {
    let mut server = server_with(entries);
    server.run("xreadgroup group g c streams s >");
    server
}

/// The reply of XPENDING: ID, consumer, idle time and number of deliveries of each entry.
#[track_caller]
fn expect_pending(server: &mut Harness, entries: &[(u64, &str, i64, i64)]) {
    let mut reply = format!("*{}\r\n", entries.len());
    for (number, consumer, idle_ms, deliveries) in entries {
        reply += &format!("*4\r\n{}{}:{idle_ms}\r\n:{deliveries}\r\n", bulk(&format!("{number}-0")), bulk(consumer));
    }
    server.expect("xpending s g - + 100", &reply);
}

/// What a consumer that claims gets of `s`: ID, idle time and number of deliveries of each entry.
fn claimed(entries: &[(u64, i64, i64)]) -> String {
    let mut reply = format!("*1\r\n*2\r\n$1\r\ns\r\n*{}\r\n", entries.len());
    for (number, idle_ms, deliveries) in entries {
        reply += &format!(
            "*4\r\n{}*2\r\n$1\r\nf\r\n{}:{idle_ms}\r\n:{deliveries}\r\n",
            bulk(&format!("{number}-0")),
            bulk(&format!("v{number}"))
        );
    }
    reply
}

/// A new client, which has to wait for what it asks.
#[track_caller]
fn waiter(server: &mut Harness, words: &str) -> Token {
    let client = server.connect();
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    assert_eq!(server.run_as(client, &args), b"", "{words}");
    let session = server.state.clients.get(client).expect("a client");
    assert_eq!(session.blocked, Some(Blocked::Keys), "{words}");
    client
}

/// What a client has got since it was asked last.
fn got(server: &mut Harness, client: Token) -> String {
    String::from_utf8(server.pushed(client)).expect("plain text")
}

fn pass_ms(server: &mut Harness, duration_ms: u64) {
    server.advance_ms(duration_ms);
    wake::run_timeouts(&mut server.state);
}

#[test]
fn what_is_wrong_with_giving_back_is_told() {
    let mut server = server_with_pending(2);
    server.run("set text x");
    let few = "-ERR wrong number of arguments for 'xnack' command\r\n";
    let unknown = |option: &str| format!("-ERR Unrecognized XNACK option '{option}'\r\n");
    let no_group = |key: &str, group: &str| format!("-NOGROUP No such key '{key}' or consumer group '{group}'\r\n");
    let numids = "-ERR numids must be a positive integer\r\n";
    for (words, reply) in [
        ("xnack", few),
        ("xnack s g fail ids 1", few),
        ("xnack s g fail retrycount", few),
        ("xnack none g x IDS 1 x", &no_group("none", "g")),
        ("xnack s none x IDS 1 x", &no_group("s", "none")),
        ("xnack text g fail IDS 1 1-0", WRONG_TYPE),
        ("xnack s g other IDS 1 1-0", "-ERR mode must be SILENT, FAIL, or FATAL\r\n"),
        ("xnack s g fail BAD IDS 1 1-0", &unknown("BAD")),
        ("xnack s g fail IDS 1 1-0 BAD", &unknown("BAD")),
        ("xnack s g fail fatal IDS 1 1-0", &unknown("fatal")),
        ("xnack s g fail IDS 1 1-0 2-0", &unknown("2-0")),
        ("xnack s g fail IDS 1 1-0 IDS", &unknown("IDS")),
        ("xnack s g fail IDS 1 1-0 RETRYCOUNT", &unknown("RETRYCOUNT")),
        ("xnack s g silent FORCE RETRYCOUNT 5", "-ERR syntax error, expected IDS keyword\r\n"),
        ("xnack s g silent IDS abc 1-0", numids),
        ("xnack s g silent IDS 0 1-0", numids),
        ("xnack s g silent IDS -1 1-0", numids),
        ("xnack s g silent IDS 2147483648 1-0", numids),
        ("xnack s g silent IDS 2 1-0", "-ERR number of IDs doesn't match numids\r\n"),
        ("xnack s g fail IDS 2 1-0 no-id", INVALID_ID),
        ("xnack s g fail IDS 1 -", INVALID_ID),
        ("xnack s g fail IDS 1 1-0 RETRYCOUNT abc", NOT_AN_INTEGER),
        ("xnack s g fail IDS 1 1-0 RETRYCOUNT -1", "-ERR Invalid RETRYCOUNT value, must be >= 0\r\n"),
        ("xnack s g fail IDS 1 1-0 RETRYCOUNT 99999999999999999999", NOT_AN_INTEGER),
    ] {
        server.expect(words, reply);
    }
    expect_pending(&mut server, &[(1, "c", 0, 1), (2, "c", 0, 1)]);
}

#[test]
fn the_mode_says_how_often_an_entry_counts_as_given_out() {
    let mut server = server_with_pending(5);
    server.run("xclaim s g c 0 2-0");
    server.expect("xnack s g SILENT IDS 2 1-0 2-0", ":2\r\n");
    server.expect("xnack s g fail ids 1 3-0", ":1\r\n");
    server.expect("xnack s g Fatal Ids 1 4-0", ":1\r\n");
    server.expect("xnack s g FATAL retrycount 42 IDS 1 5-0", ":1\r\n");
    let all = [(1, "", -1, 0), (2, "", -1, 1), (3, "", -1, 1), (4, "", -1, MAX), (5, "", -1, 42)];
    expect_pending(&mut server, &all);
    // Once more: less than none and more than the most there is not.
    server.expect("xnack s g SILENT IDS 3 1-0 2-0 1-0", ":3\r\n");
    server.expect("xnack s g FAIL IDS 3 3-0 9-9 4-0", ":2\r\n");
    server.expect("xnack s g FAIL IDS 1 5-0 RETRYCOUNT 0 RETRYCOUNT 7", ":1\r\n");
    let again = [(1, "", -1, 0), (2, "", -1, 0), (3, "", -1, 1), (4, "", -1, MAX), (5, "", -1, 7)];
    expect_pending(&mut server, &again);
    server.run("xclaim s g d 0 1-0 2-0 4-0");
    server.run("xautoclaim s g d 0 4 count 1");
    server.run("xreadgroup group g d streams s 4");
    let claimed = [(1, "d", 0, 1), (2, "d", 0, 1), (3, "", -1, 1), (4, "d", 0, MAX), (5, "", -1, 7)];
    expect_pending(&mut server, &claimed);
    server.run("xack s g 1-0 2-0 3-0 4-0 5-0");
    server.expect("xnack s g FAIL IDS 1 1-0", ":0\r\n");
    expect_pending(&mut server, &[]);
}

#[test]
fn entries_that_are_given_back_are_nobodys() {
    let mut server = server_with_pending(3);
    server.expect("xnack s g FAIL IDS 2 3-0 1-0", ":2\r\n");
    server.advance_ms(5);
    server.expect("xpending s g", "*4\r\n:3\r\n$3\r\n1-0\r\n$3\r\n3-0\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n1\r\n");
    server.expect(
        "xpending s g IDLE 1000000 - + 10",
        "*2\r\n*4\r\n$3\r\n1-0\r\n$0\r\n\r\n:-1\r\n:1\r\n*4\r\n$3\r\n3-0\r\n$0\r\n\r\n:-1\r\n:1\r\n",
    );
    server.expect("xpending s g - + 10 c", "*1\r\n*4\r\n$3\r\n2-0\r\n$1\r\nc\r\n:5\r\n:1\r\n");
    server.expect(
        "xreadgroup group g c streams s 0",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n2-0\r\n*2\r\n$1\r\nf\r\n$2\r\nv2\r\n",
    );
    server.expect("xreadgroup group g c streams s >", NULL_ARRAY);
    let groups = server.run("xinfo groups s");
    assert!(groups.contains("$9\r\nconsumers\r\n:1\r\n$7\r\npending\r\n:3\r\n"), "{groups}");
    let consumers = server.run("xinfo consumers s g");
    assert!(consumers.contains("$7\r\npending\r\n:1\r\n"), "{consumers}");
    let full = server.run("xinfo stream s full");
    let time_ms = START_MS + 5;
    let group = format!(
        "$9\r\npel-count\r\n:3\r\n$12\r\nnacked-count\r\n:2\r\n$7\r\npending\r\n*3\r\n\
         *4\r\n$3\r\n1-0\r\n$0\r\n\r\n:0\r\n:1\r\n\
         *4\r\n$3\r\n2-0\r\n$1\r\nc\r\n:{time_ms}\r\n:2\r\n\
         *4\r\n$3\r\n3-0\r\n$0\r\n\r\n:0\r\n:1\r\n$9\r\nconsumers\r\n*1\r\n"
    );
    assert!(full.contains(&group), "{full}");
    // They outlive the one who gave them back, and the entries of the stream.
    server.expect("xgroup delconsumer s g c", ":1\r\n");
    server.expect("xdel s 1-0", ":1\r\n");
    expect_pending(&mut server, &[(1, "", -1, 1), (3, "", -1, 1)]);
    server.expect("xclaim s g d 0 1-0", "*0\r\n");
    expect_pending(&mut server, &[(3, "", -1, 1)]);
    server.expect("xdel s 3-0", ":1\r\n");
    server.expect("xautoclaim s g d 99999 0", "*3\r\n$3\r\n0-0\r\n*0\r\n*1\r\n$3\r\n3-0\r\n");
    let full = server.run("xinfo stream s full");
    assert!(!full.contains("nacked-count"), "{full}");
}

#[test]
fn entries_that_are_given_back_are_to_be_had_at_once() {
    let mut server = server_with_pending(3);
    server.run("xnack s g FAIL IDS 2 1-0 2-0");
    server.expect("xclaim s g d 99999 1-0 3-0 justid", "*1\r\n$3\r\n1-0\r\n");
    server.expect("xautoclaim s g d 99999 - justid", "*3\r\n$3\r\n0-0\r\n*1\r\n$3\r\n2-0\r\n*0\r\n");
    expect_pending(&mut server, &[(1, "d", 0, 1), (2, "d", 0, 1), (3, "c", 0, 1)]);
    server.run("xnack s g FAIL IDS 1 3-0");
    server.expect("xackdel s g IDS 1 3-0", "*1\r\n:1\r\n");
    server.run("xnack s g FAIL IDS 1 2-0");
    server.expect("xdelex s DELREF IDS 1 2-0", "*1\r\n:1\r\n");
    server.expect("xack s g 2-0", ":0\r\n");
    expect_pending(&mut server, &[(1, "d", 0, 1)]);
}

#[test]
fn force_makes_entries_pending() {
    let mut server = server_with(3);
    server.expect("xnack s g FAIL IDS 1 1-0", ":0\r\n");
    server.expect("xnack s g FAIL FORCE IDS 2 1-0 9-9", ":1\r\n");
    server.expect("xnack s g FATAL IDS 1 2-0 FORCE", ":1\r\n");
    server.expect("xnack s g SILENT RETRYCOUNT 5 IDS 1 3-0 FORCE", ":1\r\n");
    let all = [(1, "", -1, 0), (2, "", -1, MAX), (3, "", -1, 5)];
    expect_pending(&mut server, &all);
    // Nobody has read them for that.
    server.run("xack s g 1-0 2-0");
    server.run("xreadgroup group g c streams s >");
    server.expect("xnack s g FAIL FORCE IDS 1 3-0", ":1\r\n");
    let read = [(1, "c", 0, 1), (2, "c", 0, 1), (3, "", -1, 1)];
    expect_pending(&mut server, &read);
}

#[test]
fn giving_back_counts_as_changes_and_is_no_event() {
    let mut server = server_with_pending(3);
    let before = server.state.keyspace.changes.total();
    server.run("xnack s g FAIL IDS 3 1-0 9-9 2-0");
    assert_eq!(server.state.keyspace.changes.total(), before + 2);
    assert_eq!(server.events("xnack s g FAIL IDS 1 3-0"), [""; 0]);
}

#[test]
fn who_claims_gets_idle_entries_and_then_new_ones() {
    let mut server = server_with(4);
    server.run("xreadgroup group g c count 1 streams s >");
    server.advance_ms(50);
    server.run("xreadgroup group g c count 1 streams s >");
    server.advance_ms(50);
    let claim = |min_idle_ms: u64, more: &str| format!("xreadgroup group g d claim {min_idle_ms}{more} streams s >");
    // So many of both together, those longest idle first.
    server.expect(&claim(100, " count 1"), &claimed(&[(1, 100, 1)]));
    server.expect(&claim(50, " count 2"), &claimed(&[(2, 50, 1), (3, 0, 0)]));
    server.advance_ms(10);
    server.expect(&claim(11, " count 9"), &claimed(&[(4, 0, 0)]));
    server.expect(&claim(11, ""), NULL_ARRAY);
    server.advance_ms(1);
    server.expect(&claim(1, ""), &claimed(&[(1, 11, 2), (2, 11, 2), (3, 11, 1), (4, 1, 1)]));
    server.expect(&claim(0, " count 1"), &claimed(&[(1, 0, 3)]));
    let all = [(1, "d", 0, 4), (2, "d", 0, 3), (3, "d", 0, 2), (4, "d", 0, 2)];
    expect_pending(&mut server, &all);
    // Without the option, and where the consumer's own are asked for, nothing is added to an entry.
    server.expect(
        "xreadgroup group g d count 1 claim 0 streams s 0",
        "*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$2\r\nv1\r\n",
    );
    server.expect("xreadgroup group g d streams s >", NULL_ARRAY);
}

#[test]
fn an_entry_goes_round_within_a_millisecond() {
    let mut server = server_with_pending(1);
    for deliveries in 1..5 {
        let words = format!("xreadgroup group g c{deliveries} claim 0 streams s >");
        server.expect(&words, &claimed(&[(1, 0, deliveries)]));
    }
    server.set_protocol(Protocol::Resp3);
    server.expect(
        "xreadgroup group g e claim 0 streams s >",
        "%1\r\n$1\r\ns\r\n*1\r\n*4\r\n$3\r\n1-0\r\n*2\r\n$1\r\nf\r\n$2\r\nv1\r\n:0\r\n:5\r\n",
    );
}

#[test]
fn what_is_given_back_is_claimed_first_in_its_order() {
    let mut server = server_with_pending(4);
    server.advance_ms(10);
    server.run("xnack s g FAIL IDS 3 3-0 1-0 2-0");
    server.run("xnack s g FATAL IDS 1 3-0");
    let mut order = Vec::new();
    for _ in 0..4 {
        let reply = server.run("xreadgroup group g d count 1 claim 5 streams s >");
        order.push(reply.split("\r\n").nth(7).expect("an ID").to_string());
    }
    assert_eq!(order, ["1-0", "2-0", "3-0", "4-0"]);
    let all = [(1, "d", 0, 2), (2, "d", 0, 2), (3, "d", 0, MAX), (4, "d", 0, 2)];
    expect_pending(&mut server, &all);
    // Idle since the epoch.
    server.run("xnack s g FAIL IDS 1 3-0");
    server.expect("xreadgroup group g d count 1 claim 5 streams s >", &claimed(&[(3, START_MS as i64 + 10, MAX)]));
}

#[test]
fn claiming_passes_over_what_is_no_longer_there() {
    let mut server = server_with_pending(3);
    server.run("xdel s 1-0");
    server.run("xnack s g FAIL IDS 1 2-0");
    server.run("xdel s 2-0");
    server.expect("xreadgroup group g d count 1 claim 0 streams s >", &claimed(&[(3, 0, 1)]));
    let all = [(1, "c", 0, 1), (2, "", -1, 1), (3, "d", 0, 2)];
    expect_pending(&mut server, &all);
    server.run("xdel s 3-0");
    server.expect("xreadgroup group g d claim 0 streams s >", NULL_ARRAY);
}

#[test]
fn claiming_without_acknowledging_leaves_new_entries_out() {
    let mut server = server_with(2);
    server.run("xreadgroup group g c count 1 streams s >");
    server.advance_ms(7);
    server.expect("xreadgroup group g d noack claim 5 streams s >", &claimed(&[(1, 7, 1), (2, 0, 0)]));
    expect_pending(&mut server, &[(1, "d", 0, 2)]);
}

#[test]
fn after_a_step_back_entries_are_claimed_and_read_anew() {
    let mut server = server_with_pending(2);
    server.run("xgroup setid s g 0");
    server.expect("xreadgroup group g d claim 0 streams s >", &claimed(&[(1, 0, 1), (2, 0, 1), (1, 0, 0), (2, 0, 0)]));
    expect_pending(&mut server, &[(1, "d", 0, 1), (2, "d", 0, 1)]);
    server.expect("xreadgroup group g d claim 0 streams s >", &claimed(&[(1, 0, 1), (2, 0, 1)]));
}

#[test]
fn each_of_several_streams_is_claimed_from() {
    let mut server = server_with(1);
    server.run("xadd t 1-0 f v1");
    server.run("xgroup create t g 0");
    server.run("xreadgroup group g c streams s t > >");
    server.run("xadd t 2-0 f v2");
    let reply = server.run("xreadgroup group g d claim 0 streams s t 0 >");
    let second = claimed(&[(1, 0, 1), (2, 0, 0)]).replace("$1\r\ns\r\n", "$1\r\nt\r\n");
    let expected = format!("*2\r\n*2\r\n$1\r\ns\r\n*0\r\n{}", &second["*1\r\n".len()..]);
    assert_eq!(reply, expected);
}

#[test]
fn what_is_wrong_with_claiming_is_told() {
    let mut server = server_with_pending(2);
    let no_integer = "-ERR min-idle-time is not an integer or out of range\r\n";
    for text in ["test", "5.5", "+10", "-0", "10e", "", "9223372036854775808"] {
        let words = format!("xreadgroup group g c claim {text} streams s >");
        server.expect(&words, no_integer);
    }
    let unbalanced =
        "-ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be specified.\r\n";
    for (words, reply) in [
        ("xreadgroup group g c claim -10 streams s >", "-ERR min-idle-time must be a positive integer\r\n"),
        ("xreadgroup group g c claim 10 claim count 1 streams s >", no_integer),
        ("xreadgroup claim group g c count 1 streams s >", no_integer),
        ("xreadgroup group g c claim streams s >", no_integer),
        ("xreadgroup group g claim 50 c streams s >", "-ERR syntax error\r\n"),
        ("xreadgroup group g c streams s claim >", unbalanced),
        ("xreadgroup group g c streams s > claim 50", INVALID_ID),
        (
            "xreadgroup group none c claim 0 streams s >",
            "-NOGROUP No such key 's' or consumer group 'none' in XREADGROUP with GROUP option\r\n",
        ),
        (
            "xread count 2 claim 10 streams s 0",
            "-ERR The CLAIM option is only supported by XREADGROUP. You called XREAD instead.\r\n",
        ),
    ] {
        server.expect(words, reply);
    }
    // The last one counts, wherever it is; a released entry has not been idle for as long as that.
    server.expect("xreadgroup claim 9 group g d count 1 CLAIM 0 streams s >", &claimed(&[(1, 0, 1)]));
    server.run("xnack s g fail IDS 1 1-0");
    server.expect("xreadgroup group g c claim 9223372036854775807 streams s >", NULL_ARRAY);
}

#[test]
fn who_waits_is_served_when_an_entry_has_been_idle_for_long_enough() {
    let mut server = server_with_pending(1);
    server.advance_ms(20);
    let claimer = waiter(&mut server, "xreadgroup group g d block 5000 claim 100 streams s >");
    assert_eq!(server.state.blocking.next_deadline_ms(), Some(START_MS as i64 + 100));
    pass_ms(&mut server, 79);
    assert_eq!(got(&mut server, claimer), "");
    pass_ms(&mut server, 1);
    assert_eq!(got(&mut server, claimer), claimed(&[(1, 100, 1)]));
    assert_eq!(server.state.blocking.next_deadline_ms(), None);
    // Somebody else was quicker: the next time is later.
    let claimer = waiter(&mut server, "xreadgroup group g e block 0 claim 100 streams s >");
    server.advance_ms(50);
    server.run("xclaim s g c 0 1-0");
    pass_ms(&mut server, 50);
    assert_eq!(got(&mut server, claimer), "");
    pass_ms(&mut server, 50);
    assert_eq!(got(&mut server, claimer), claimed(&[(1, 100, 3)]));
}

#[test]
fn who_waits_to_claim_is_served_by_new_entries_and_such_as_are_given_back() {
    let mut server = server_with_pending(2);
    let claimer = waiter(&mut server, "xreadgroup group g d block 5000 claim 1000 streams s >");
    server.run("xadd s 3-0 f v3");
    assert_eq!(got(&mut server, claimer), claimed(&[(3, 0, 0)]));
    let claimer = waiter(&mut server, "xreadgroup group g d block 5000 claim 1000 streams s >");
    server.expect("xnack s g FAIL IDS 2 1-0 2-0", ":2\r\n");
    let idle_ms = START_MS as i64;
    assert_eq!(got(&mut server, claimer), claimed(&[(1, idle_ms, 1), (2, idle_ms, 1)]));
    // One who does not claim goes on waiting.
    let reader = waiter(&mut server, "xreadgroup group g e block 5000 streams s >");
    server.run("xnack s g FAIL IDS 1 1-0");
    assert_eq!(got(&mut server, reader), "");
}

#[test]
fn waiting_to_claim_ends_with_the_time() {
    let mut server = server_with_pending(1);
    let claimer = waiter(&mut server, "xreadgroup group g d block 100 claim 500 streams s >");
    pass_ms(&mut server, 101);
    assert_eq!(got(&mut server, claimer), NULL_ARRAY);
    assert_eq!(server.state.blocking.next_deadline_ms(), None);
    pass_ms(&mut server, 400);
    assert_eq!(got(&mut server, claimer), "");
}

#[test]
fn who_waits_to_claim_where_nothing_is_pending_looks_again() {
    let mut server = server_with(1);
    server.run("xgroup setid s g 1");
    let claimer = waiter(&mut server, "xreadgroup group g d block 0 claim 0 streams s >");
    pass_ms(&mut server, 99);
    // This wakes nobody.
    server.run("xclaim s g c 0 1-0 force justid");
    assert_eq!(got(&mut server, claimer), "");
    pass_ms(&mut server, 1);
    assert_eq!(got(&mut server, claimer), claimed(&[(1, 1, 1)]));
    // Others that wait for the same hear of nothing, and neither do those who have gone.
    let claimer = waiter(&mut server, "xreadgroup group g e block 0 claim 50 streams s >");
    server.state.remove_client(claimer);
    assert_eq!(server.state.blocking.next_deadline_ms(), None);
}

#[test]
fn within_a_unit_nobody_waits_to_claim() {
    let mut server = server_with_pending(1);
    let client = server.client;
    let session = server.state.clients.get_mut(client).expect("a client");
    session.deny_blocking = true;
    server.expect("xreadgroup group g d block 0 claim 50 streams s >", NULL_ARRAY);
    assert_eq!(server.state.blocking.next_deadline_ms(), None);
}

fn dump(server: &mut Harness) -> Vec<u8> {
    let reply = server.run_as(server.client, &[b"dump", b"s"]);
    let start = reply.iter().position(|byte| *byte == b'\n').expect("a header");
    reply[start + 1..reply.len() - 2].to_vec()
}

#[test]
fn entries_that_nobody_has_survive_copying_and_dumping() {
    let mut server = server_with_pending(4);
    server.run("xnack s g SILENT IDS 1 3-0");
    server.run("xnack s g FATAL IDS 1 1-0");
    let all = [(1, "", -1, MAX), (2, "c", 0, 1), (3, "", -1, 0), (4, "c", 0, 1)];
    let consumers = server.run("xinfo consumers s g");
    let bytes = dump(&mut server);
    server.expect("copy s copy", ":1\r\n");
    for restored in [false, true] {
        server.run("del s");
        if restored {
            let args: [&[u8]; 4] = [b"restore", b"s", b"0", &bytes];
            assert_eq!(server.run_args(&args), "+OK\r\n");
        } else {
            server.run("rename copy s");
        }
        expect_pending(&mut server, &all);
        assert_eq!(server.run("xinfo consumers s g"), consumers);
        let first = claimed(&[(3, START_MS as i64, 0), (1, START_MS as i64, MAX)]);
        server.expect("xreadgroup group g d count 2 claim 0 streams s >", &first);
    }
}

#[test]
fn a_consumer_without_a_name_is_one_like_others() {
    let mut server = server_with(3);
    let args: Vec<&[u8]> = "xreadgroup group g  count 2 streams s >".split(' ').map(str::as_bytes).collect();
    server.run_args(&args);
    server.run("xreadgroup group g c streams s >");
    let own = dump(&mut server);
    server.run("xnack s g FAIL IDS 1 3-0");
    let both = dump(&mut server);
    for (bytes, last) in [(own, "c"), (both, "")] {
        server.run("del s");
        assert_eq!(server.run_args(&[b"restore", b"s", b"0", &bytes]), "+OK\r\n");
        // A time of decades: as if that consumer had had it since the epoch.
        let idle_ms = if last.is_empty() { START_MS as i64 } else { 0 };
        expect_pending(&mut server, &[(1, "", 0, 1), (2, "", 0, 1), (3, last, idle_ms, 1)]);
    }
}

/// The part of a reply that is of one stream: its key and the numbers of its entries, which have the IDs `n-0`.
fn part(key: &str, entries: &[u64]) -> String {
    let mut reply = format!("*2\r\n{}*{}\r\n", bulk(key), entries.len());
    for number in entries {
        reply += &format!("*2\r\n{}*2\r\n$1\r\nf\r\n{}", bulk(&format!("{number}-0")), bulk(&format!("v{number}")));
    }
    reply
}

fn parts(parts: &[(&str, &[u64])]) -> String {
    let all = parts.iter().map(|(key, entries)| part(key, entries));
    format!("*{}\r\n{}", parts.len(), all.collect::<String>())
}

/// A server with the entries 1-0 to 3-0 in each of three streams, and a group for each.
fn server_with_three_streams() -> Harness {
    let mut server = Harness::new();
    for key in ["a", "b", "c"] {
        for number in 1..=3 {
            server.run(&format!("xadd {key} {number}-0 f v{number}"));
        }
        server.run(&format!("xgroup create {key} g 0"));
    }
    server
}

#[test]
fn a_reply_may_have_so_many_entries_of_all_streams() {
    for command in ["xread", "xreadgroup group g c"] {
        let id = if command == "xread" { "0" } else { ">" };
        let mut server = server_with_three_streams();
        let mut expect = |options: &str, expected: &[(&str, &[u64])]| {
            server.expect(&format!("{command} {options} streams a b c {id} {id} {id}"), &parts(expected));
        };
        match command {
            "xread" => {
                expect("MAXCOUNT 4", &[("a", &[1, 2, 3]), ("b", &[1])]);
                expect("count 2 maxcount 3", &[("a", &[1, 2]), ("b", &[1])]);
                expect("maxcount 3 count 3", &[("a", &[1, 2, 3])]);
                expect("count 1 maxcount 9", &[("a", &[1]), ("b", &[1]), ("c", &[1])]);
            }
            _ => {
                expect("count 2 MAXCOUNT 3", &[("a", &[1, 2]), ("b", &[1])]);
                expect("maxcount 2 noack", &[("a", &[3]), ("b", &[2])]);
                expect("maxcount 100 maxsize 100000", &[("b", &[3]), ("c", &[1, 2, 3])]);
            }
        }
    }
    let mut server = server_with_three_streams();
    server.run("xreadgroup group g c maxcount 2 streams a b c > > >");
    let pending = "*4\r\n:2\r\n$3\r\n1-0\r\n$3\r\n2-0\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n2\r\n";
    server.expect("xpending a g", pending);
    server.expect("xreadgroup group g c maxcount 1 streams a b 0 0", &parts(&[("a", &[1])]));
    server.expect("xreadgroup group g c maxcount 3 streams a b 0 0", &parts(&[("a", &[1, 2]), ("b", &[])]));
    // What is claimed counts as well, and comes first.
    server.run("xreadgroup group g c streams a >");
    server.expect("xreadgroup group g d claim 0 maxcount 2 streams a b > >", &{
        let claimed = claimed(&[(1, 0, 3), (2, 0, 2)]);
        claimed.replace("$1\r\ns\r\n", "$1\r\na\r\n")
    });
}

#[test]
fn a_reply_may_have_so_many_bytes() {
    let mut server = server_with_three_streams();
    let two = parts(&[("a", &[1, 2])]).len();
    // The headers of arrays whose length is not known before are not counted.
    let counted = two - 2 * "*1\r\n".len();
    let read = |size: usize| format!("xread maxsize {size} streams a b c 0 0 0");
    server.expect(&read(counted), &parts(&[("a", &[1, 2])]));
    server.expect(&read(counted - 1), &parts(&[("a", &[1])]));
    server.expect(&read(1), &parts(&[("a", &[1])]));
    server.expect("xread maxsize 1 streams none b c 0 3 1", &parts(&[("c", &[2])]));
    server.expect(&format!("xread maxsize {} streams a b 2 0", counted + 15), &parts(&[("a", &[3]), ("b", &[1])]));
    server.expect(&format!("xread maxsize {} streams a b 2 0", counted + 14), &parts(&[("a", &[3])]));
    server.expect("xread maxsize 1 streams a b 3 3", NULL_ARRAY);
    // What did not fit was not delivered.
    server.expect(&format!("xreadgroup group g c maxsize {counted} streams a b > >"), &parts(&[("a", &[1, 2])]));
    server.expect("xreadgroup group g c maxsize 1 streams a b > >", &parts(&[("a", &[3])]));
    server.expect("xinfo consumers b g", "*0\r\n");
    server.expect("xreadgroup group g c maxsize 1 streams b a > 0", &parts(&[("b", &[1])]));
    server.expect(&format!("xreadgroup group g c maxsize {counted} streams a b 0 >"), &parts(&[("a", &[1, 2])]));
    let claim = "xreadgroup group g d maxsize 1 claim 0 streams a b > >";
    server.expect(claim, &claimed(&[(1, 0, 2)]).replace("$1\r\ns\r\n", "$1\r\na\r\n"));
}

#[test]
fn limits_hold_for_those_that_wait() {
    let mut server = server_with_three_streams();
    let client = waiter(&mut server, "xread block 0 maxcount 1 maxsize 1 streams a b 3 3");
    server.run("xadd b 4-0 f v4");
    assert_eq!(got(&mut server, client), parts(&[("b", &[4])]));
}

#[test]
fn what_is_wrong_with_limits_of_replies_is_told() {
    let mut server = server_with_three_streams();
    let positive = |option: &str| format!("-ERR {option} must be a positive integer\r\n");
    let less = "-ERR MAXCOUNT must be greater than or equal to COUNT\r\n";
    for (options, reply) in [
        ("maxcount 0", &*positive("MAXCOUNT")),
        ("maxcount -1", &positive("MAXCOUNT")),
        ("maxsize 0", &positive("MAXSIZE")),
        ("maxcount x", NOT_AN_INTEGER),
        ("maxsize 1.5", NOT_AN_INTEGER),
        ("count 2 maxcount 1", less),
        ("maxcount 1 count 2", less),
    ] {
        server.expect(&format!("xread {options} streams a 0"), reply);
        server.expect(&format!("xreadgroup group g c {options} streams a >"), reply);
    }
    server.expect(
        "xread streams a 0 maxcount",
        "-ERR Unbalanced 'xread' list of streams: for each stream key an ID or \
                   '$' must be specified.\r\n",
    );
    server.expect("xread count 1 maxcount", "-ERR syntax error\r\n");
}
