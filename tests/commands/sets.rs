//! Sets: every command, option and error; forms, events, dirty counts. Replies were recorded from Redis 7.0.15 and 8.2,
//! forms from 8.2, which has those of 7.2.

use oneloop::config::Config;
use oneloop::resp::Protocol;

use super::strings::{SYNTAX, WRONG_INTEGER, ttl_ms};
use crate::support::Harness;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NOT_POSITIVE: &str = "-ERR value is out of range, must be positive\r\n";
const NO_EVENTS: [&str; 0] = [];

fn changes(server: &mut Harness, command: &str) -> u64 {
    let before = server.state.keyspace.changes.total();
    server.run(command);
    server.state.keyspace.changes.total() - before
}

/// Adds members that are made of numbers.
fn fill(server: &mut Harness, key: &str, prefix: &str, numbers: std::ops::Range<usize>) {
    for number in numbers {
        server.run(&format!("sadd {key} {prefix}{number}"));
    }
}

/// A command with members that are made of numbers behind it.
fn with_members(command: &str, prefix: &str, numbers: std::ops::Range<usize>) -> String {
    let members: Vec<String> = numbers.map(|number| format!("{prefix}{number}")).collect();
    format!("{command} {}", members.join(" "))
}

/// The elements of a flat reply, in order.
fn elements(reply: &str) -> Vec<String> {
    let mut lines = reply.split("\r\n");
    let head = lines.next().expect("a head");
    let count: usize = head[1..].parse().expect("a count");
    let mut found: Vec<String> = (0..count)
        .map(|_| {
            lines.next();
            lines.next().expect("an element").to_string()
        })
        .collect();
    found.sort();
    found
}

#[track_caller]
fn expect_elements(server: &mut Harness, command: &str, expected: &str) {
    let mut expected: Vec<&str> = expected.split_whitespace().collect();
    expected.sort_unstable();
    assert_eq!(elements(&server.run(command)), expected, "{command}");
}

#[track_caller]
fn expect_form(server: &mut Harness, key: &str, form: &str) {
    let reply = format!("${}\r\n{form}\r\n", form.len());
    server.expect(&format!("object encoding {key}"), &reply);
}

#[test]
fn members_are_added_removed_and_asked_for() {
    let mut server = Harness::new();
    for (command, reply) in [
        ("sadd a x y x", ":2\r\n"),
        ("sadd a x", ":0\r\n"),
        ("scard a", ":2\r\n"),
        ("sismember a x", ":1\r\n"),
        ("sismember a z", ":0\r\n"),
        ("smismember a x z y x", "*4\r\n:1\r\n:0\r\n:1\r\n:1\r\n"),
        ("srem a z", ":0\r\n"),
        ("srem a x x z", ":1\r\n"),
        ("srem a y y", ":1\r\n"),
        ("exists a", ":0\r\n"),
        ("scard a", ":0\r\n"),
        ("sismember a x", ":0\r\n"),
        ("smismember a x y", "*2\r\n:0\r\n:0\r\n"),
        ("srem a x", ":0\r\n"),
        ("smembers a", "*0\r\n"),
    ] {
        server.expect(command, reply);
    }
    // Integers are members like all others, whatever they look like.
    server.expect("sadd i 1 01 +1 -0 0", ":5\r\n");
    server.expect("smismember i 1 01 +1 -0 0 -1", "*6\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n:0\r\n");
    server.expect("type i", "+set\r\n");
}

#[test]
fn many_members_at_once() {
    let mut server = Harness::new();
    server.expect(&with_members("sadd a", "m", 0..3000), ":3000\r\n");
    server.expect(&with_members("sadd a", "m", 1000..4000), ":1000\r\n");
    server.expect("scard a", ":4000\r\n");
    let reply = server.run(&with_members("smismember a", "m", 3990..4010));
    assert_eq!(reply.matches(":1\r\n").count(), 10);
    assert!(reply.ends_with(":0\r\n"));
    let all = elements(&server.run("smembers a"));
    assert_eq!(all.len(), 4000);
    server.expect(&with_members("srem a", "m", 10..5000), ":3990\r\n");
    expect_elements(&mut server, "smembers a", "m0 m1 m2 m3 m4 m5 m6 m7 m8 m9");
    server.expect(&with_members("srem a", "m", 0..5000), ":10\r\n");
    server.expect("exists a", ":0\r\n");
}

#[test]
fn forms_follow_the_limits() {
    let mut server = Harness::new();
    let long = "y".repeat(65);
    let setups = [
        (with_members("sadd k", "", 0..512), "intset"),
        (with_members("sadd k", "", 0..513), "hashtable"),
        (with_members("sadd k x", "", 0..127), "listpack"),
        (with_members("sadd k x", "", 0..128), "hashtable"),
        (format!("sadd k {}", &long[1..]), "listpack"),
        (format!("sadd k {long}"), "hashtable"),
        (format!("sadd k 1 {long}"), "hashtable"),
        (format!("sadd k 1 {}", &long[1..]), "listpack"),
    ];
    for (command, form) in setups {
        server.run("del k");
        server.run(&command);
        expect_form(&mut server, "k", form);
    }
    // One more member than fits, and one that is no integer.
    for (count, member, form) in
        [(512, "512", "hashtable"), (512, "x", "hashtable"), (127, "x", "listpack"), (128, "x", "hashtable")]
    {
        server.run("del k");
        server.run(&with_members("sadd k", "", 0..count));
        expect_form(&mut server, "k", "intset");
        server.run(&format!("sadd k {member}"));
        expect_form(&mut server, "k", form);
    }
    // The number of arguments counts, though all are members already.
    server.run("del k");
    server.run("sadd k x");
    server.expect(&format!("sadd k{}", " x".repeat(128)), ":0\r\n");
    expect_form(&mut server, "k", "listpack");
    server.expect(&format!("sadd k{}", " x".repeat(129)), ":0\r\n");
    expect_form(&mut server, "k", "hashtable");
    // It does not become small again.
    server.run("sadd k z");
    server.run("srem k x");
    expect_form(&mut server, "k", "hashtable");
}

#[test]
fn limits_are_settings() {
    let mut server = Harness::with_config(Config {
        set_max_intset_entries: 0,
        set_max_listpack_entries: 2,
        set_max_listpack_value: 3,
        ..Config::default()
    });
    for (command, form) in [
        ("sadd k 1", "listpack"),
        ("sadd k 1 2 3", "hashtable"),
        ("sadd k abcd", "hashtable"),
        ("sadd k 12345", "hashtable"),
        ("sadd k abc 1", "listpack"),
    ] {
        server.run("del k");
        server.run(command);
        expect_form(&mut server, "k", form);
    }
}

#[test]
fn moving_a_member_converts_as_adding_it_does() {
    let mut server = Harness::new();
    for (source, destination, member, form) in [
        ("1 a b", "2 3 4", "a", "listpack"),
        ("1 a b", "2 3 4", "1", "intset"),
        ("1 a b", "x", "1", "listpack"),
        ("1 2", "x", "2", "listpack"),
        ("1 a b", "", "a", "listpack"),
        ("1 a b", "", "1", "intset"),
    ] {
        server.run("del k l");
        server.run(&format!("sadd l {source}"));
        if !destination.is_empty() {
            server.run(&format!("sadd k {destination}"));
        }
        server.expect(&format!("smove l k {member}"), ":1\r\n");
        expect_form(&mut server, "k", form);
    }
    server.run("config set set-max-listpack-entries 3");
    server.run("sadd m 1 2 3");
    server.run("smove l m a");
    server.run("sadd l w");
    server.run("smove l m w");
    expect_form(&mut server, "m", "hashtable");
}

#[test]
fn a_member_moves() {
    let mut server = Harness::new();
    server.run("sadd a 1 2 x");
    server.run("sadd b 9");
    server.expect("smove a b x", ":1\r\n");
    server.expect("smove a b x", ":0\r\n");
    server.expect("smove a a 1", ":1\r\n");
    server.expect("smove a a 77", ":0\r\n");
    server.expect("smove nothing b 1", ":0\r\n");
    server.expect("smove a c 2", ":1\r\n");
    expect_elements(&mut server, "smembers a", "1");
    expect_elements(&mut server, "smembers b", "9 x");
    expect_elements(&mut server, "smembers c", "2");
    expect_form(&mut server, "b", "listpack");
    expect_form(&mut server, "c", "intset");
    server.expect("smove a b 1", ":1\r\n");
    server.expect("exists a", ":0\r\n");
    server.run("set s 1");
    server.expect("smove nothing s 1", ":0\r\n");
    server.expect("smove s b 1", WRONG_TYPE);
    server.expect("smove s nothing 1", WRONG_TYPE);
    server.expect("smove b s nothing", WRONG_TYPE);
    // An empty result is no reason to lose the expiry time of the other key.
    server.run("pexpire b 50000");
    server.expect("smove c b 2", ":1\r\n");
    assert_eq!(ttl_ms(&mut server, "b"), 50_000);
}

#[test]
fn popping() {
    let mut server = Harness::new();
    server.expect("spop a", "$-1\r\n");
    server.expect("spop a 3", "*0\r\n");
    for (prefix, count) in [("", 60), ("m", 60), ("m", 700)] {
        fill(&mut server, "a", prefix, 0..count);
        let mut popped = Vec::new();
        while popped.len() < count {
            let reply = server.run("spop a");
            popped.push(reply.split("\r\n").nth(1).expect("a member").to_string());
        }
        popped.sort();
        popped.dedup();
        assert_eq!(popped.len(), count);
        server.expect("exists a", ":0\r\n");
    }
    for (prefix, count, form_after) in
        [("", 100, "intset"), ("m", 100, "listpack"), ("m", 600, "listpack"), ("", 600, "listpack")]
    {
        server.run("del a");
        fill(&mut server, "a", prefix, 0..count);
        server.run("pexpire a 50000");
        let mut popped = elements(&server.run("spop a 20"));
        assert_eq!(popped.len(), 20);
        // Nearly all of them: what is left is a new set.
        popped.extend(elements(&server.run(&format!("spop a {}", count - 25))));
        expect_form(&mut server, "a", form_after);
        assert_eq!(ttl_ms(&mut server, "a"), 50_000);
        popped.extend(elements(&server.run("smembers a")));
        server.expect("spop a 0", "*0\r\n");
        server.expect("scard a", ":5\r\n");
        assert_eq!(elements(&server.run("spop a 6")).len(), 5);
        server.expect("exists a", ":0\r\n");
        popped.sort();
        popped.dedup();
        assert_eq!(popped.len(), count);
    }
    server.run("sadd a 1");
    for (command, reply) in [
        ("spop a -1", NOT_POSITIVE),
        ("spop a x", NOT_POSITIVE),
        ("spop a 9223372036854775808", NOT_POSITIVE),
        ("spop a 1 2", SYNTAX),
        ("spop nothing -1", NOT_POSITIVE),
    ] {
        server.expect(command, reply);
    }
}

#[test]
fn random_members() {
    let mut server = Harness::new();
    server.expect("srandmember a", "$-1\r\n");
    server.expect("srandmember a 3", "*0\r\n");
    server.expect("srandmember a -3", "*0\r\n");
    for (prefix, count) in [("", 50), ("m", 50), ("m", 500)] {
        server.run("del a");
        fill(&mut server, "a", prefix, 0..count);
        let all = elements(&server.run("smembers a"));
        for wanted in [1, 5, count / 2, count, count + 10] {
            let mut found = elements(&server.run(&format!("srandmember a {wanted}")));
            found.dedup();
            assert_eq!(found.len(), wanted.min(count));
            assert!(found.iter().all(|member| all.contains(member)));
        }
        let found = elements(&server.run("srandmember a -1000"));
        assert_eq!(found.len(), 1000);
        assert!(found.iter().all(|member| all.contains(member)));
        let reply = server.run("srandmember a");
        assert!(all.contains(&reply.split("\r\n").nth(1).expect("a member").to_string()));
        server.expect("srandmember a 0", "*0\r\n");
        server.expect("scard a", &format!(":{count}\r\n"));
    }
    server.expect("srandmember a x", WRONG_INTEGER);
    server.expect("srandmember a 1 2", SYNTAX);
    server.expect(
        "srandmember a -9223372036854775808",
        "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n",
    );
}

#[test]
fn intersections_unions_and_differences() {
    let mut server = Harness::new();
    server.run("sadd a 1 2 3 4 x");
    server.run("sadd b 2 3 y");
    server.run("sadd c 3 4");
    fill(&mut server, "large", "m", 0..300);
    fill(&mut server, "other", "m", 200..500);
    for (command, expected) in [
        ("sinter a", "1 2 3 4 x"),
        ("sinter a b", "2 3"),
        ("sinter a b c", "3"),
        ("sinter a a", "1 2 3 4 x"),
        ("sinter a nothing", ""),
        ("sinter nothing", ""),
        ("sinter a large", ""),
        ("sunion a b c", "1 2 3 4 x y"),
        ("sunion nothing b nothing", "2 3 y"),
        ("sunion nothing", ""),
        ("sdiff a b c", "1 x"),
        ("sdiff a nothing", "1 2 3 4 x"),
        ("sdiff nothing a", ""),
        ("sdiff a a", ""),
        ("sdiff c b", "4"),
    ] {
        expect_elements(&mut server, command, expected);
    }
    let member = |number: usize| format!("m{number}");
    let common: Vec<String> = (200..300).map(member).collect();
    expect_elements(&mut server, "sinter large other", &common.join(" "));
    let all: Vec<String> = (0..500).map(member).collect();
    expect_elements(&mut server, "sunion large other a", &format!("{} 1 2 3 4 x", all.join(" ")));
    let left: Vec<String> = (0..200).map(member).collect();
    expect_elements(&mut server, "sdiff large other", &left.join(" "));
    // So many small sets that going through all of them is less work.
    expect_elements(&mut server, "sdiff large other a b c a b c", &left.join(" "));
    server.set_protocol(Protocol::Resp3);
    server.expect("sinter c", "~2\r\n$1\r\n3\r\n$1\r\n4\r\n");
    server.expect("sinter b c", "~1\r\n$1\r\n3\r\n");
    server.expect("sunion nothing", "~0\r\n");
    server.expect("smembers nothing", "~0\r\n");
    server.expect("spop nothing 1", "~0\r\n");
    server.expect("spop nothing", "_\r\n");
    server.expect("srandmember nothing", "_\r\n");
    server.expect("srandmember nothing 5", "*0\r\n");
    server.expect("srandmember c 2", "*2\r\n$1\r\n3\r\n$1\r\n4\r\n");
}

#[test]
fn stored_results() {
    let mut server = Harness::new();
    server.run("sadd a 1 2 3 x");
    server.run("sadd b 2 3");
    server.run("sadd c x");
    for (command, reply, members, form) in [
        ("sinterstore r a b", ":2\r\n", "2 3", "intset"),
        ("sinterstore r a c", ":1\r\n", "x", "listpack"),
        ("sunionstore r b", ":2\r\n", "2 3", "intset"),
        ("sunionstore r b c", ":3\r\n", "2 3 x", "listpack"),
        ("sdiffstore r a c", ":3\r\n", "1 2 3", "intset"),
        ("sdiffstore r a b", ":2\r\n", "1 x", "listpack"),
        // A source may be where the result goes.
        ("sunionstore b b c", ":3\r\n", "2 3 x", "listpack"),
    ] {
        server.expect(command, reply);
        let key = command.split(' ').nth(1).expect("a key").to_string();
        expect_elements(&mut server, &format!("smembers {key}"), members);
        expect_form(&mut server, &key, form);
    }
    // A large source makes a small result no larger, and the other way round.
    fill(&mut server, "h", "", 0..600);
    server.run(&with_members("srem h", "", 5..600));
    expect_form(&mut server, "h", "hashtable");
    server.expect("sunionstore r h", ":5\r\n");
    expect_form(&mut server, "r", "intset");
    server.expect("sinterstore r h", ":5\r\n");
    expect_form(&mut server, "r", "intset");
    fill(&mut server, "l", "m", 0..1000);
    server.expect("sunionstore r l c", ":1001\r\n");
    server.expect("srem r m5", ":1\r\n");
    server.expect("sismember l m5", ":1\r\n");
    server.expect("scard l", ":1000\r\n");
    // What was there before goes, with its type and its time.
    server.run("set r 1");
    server.run("expire r 100");
    server.expect("sinterstore r l l", ":1000\r\n");
    assert_eq!(ttl_ms(&mut server, "r"), -1);
    server.expect("sinterstore r l nothing", ":0\r\n");
    server.expect("exists r", ":0\r\n");
    server.run("set r 1");
    server.expect("sdiffstore r nothing l", ":0\r\n");
    server.expect("exists r", ":0\r\n");
}

#[test]
fn cardinalities() {
    let mut server = Harness::new();
    fill(&mut server, "a", "m", 0..400);
    fill(&mut server, "b", "m", 100..500);
    server.run("sadd c m1 m2 m3");
    for (command, reply) in [
        ("sintercard 2 a b", 300),
        ("sintercard 2 a b LIMIT 0", 300),
        ("sintercard 2 a b limit 7", 7),
        ("sintercard 2 a b LIMIT 1000", 300),
        ("sintercard 1 a limit 7", 7),
        ("sintercard 2 a nothing", 0),
        ("sintercard 1 nothing", 0),
        ("sintercard 2 a b limit 7 limit 9", 9),
        ("sunioncard 2 a b", 500),
        ("sunioncard 3 a b c", 500),
        ("sunioncard 2 a b LIMIT 450", 450),
        ("sunioncard 2 a b LIMIT 0", 500),
        ("sunioncard 2 nothing c", 3),
        ("sunioncard 1 nothing", 0),
        ("sunioncard 2 c c", 3),
        ("sunioncard 2 c c APPROX", 3),
        ("sunioncard 2 c c APPROX LIMIT 2", 2),
        ("sdiffcard 2 a b", 100),
        ("sdiffcard 2 a b LIMIT 99", 99),
        ("sdiffcard 1 a", 400),
        ("sdiffcard 1 a LIMIT 5", 5),
        ("sdiffcard 2 nothing a", 0),
        ("sdiffcard 2 a a", 0),
    ] {
        server.expect(command, &format!(":{reply}\r\n"));
    }
    let estimate = server.run("sunioncard 2 a b approx");
    let estimate: i64 = estimate[1..].trim_end().parse().expect("a number");
    assert!((485..=515).contains(&estimate), "{estimate} is not about 500");
    let no_keys = "-ERR numkeys should be greater than 0\r\n";
    let too_many = "-ERR Number of keys can't be greater than number of args\r\n";
    let negative = "-ERR LIMIT can't be negative\r\n";
    for name in ["sintercard", "sunioncard", "sdiffcard"] {
        for (arguments, reply) in [
            ("0 a", no_keys),
            ("-1 a", no_keys),
            ("x a", no_keys),
            ("2 a", too_many),
            ("1 a b", SYNTAX),
            ("1 a limit", SYNTAX),
            ("1 a limit x", negative),
            ("1 a limit -1", negative),
            ("1 a limit 1 x", SYNTAX),
        ] {
            server.expect(&format!("{name} {arguments}"), reply);
        }
    }
    server.expect("sintercard 1 a approx", SYNTAX);
    server.expect("sdiffcard 1 a approx", SYNTAX);
}

#[test]
fn other_types_are_refused() {
    let mut server = Harness::new();
    server.run("set s 1");
    server.run("sadd a 1");
    for command in [
        "sadd s 1",
        "srem s 1",
        "sismember s 1",
        "smismember s 1",
        "scard s",
        "smembers s",
        "spop s",
        "spop s 0",
        "srandmember s",
        "srandmember s 0",
        "sscan s 0 bad",
        "sinter a s",
        "sinter nothing s",
        "sunion nothing s",
        "sdiff nothing s",
        "sinterstore r nothing s",
        "sunionstore r a s",
        "sdiffstore r a s",
        "sintercard 2 nothing s",
        "sunioncard 2 a s",
        "sdiffcard 2 a s",
    ] {
        server.expect(command, WRONG_TYPE);
    }
    server.expect("exists r", ":0\r\n");
    server.expect("get a", WRONG_TYPE);
}

#[test]
fn walks() {
    let mut server = Harness::new();
    server.run("sadd a 1 2 33");
    server.expect("sscan a 0", "*2\r\n$1\r\n0\r\n*3\r\n$1\r\n1\r\n$1\r\n2\r\n$2\r\n33\r\n");
    server.expect("sscan a 7 match 3* count 1", "*2\r\n$1\r\n0\r\n*1\r\n$2\r\n33\r\n");
    server.expect("sscan nothing 0 bad", "*2\r\n$1\r\n0\r\n*0\r\n");
    server.expect("sscan a 0 bad", SYNTAX);
    server.expect("sscan a 0 count 0", SYNTAX);
    server.expect("sscan a 0 count x", WRONG_INTEGER);
    server.expect("sscan a x", "-ERR invalid cursor\r\n");
    server.expect("sscan nothing x", "-ERR invalid cursor\r\n");
    fill(&mut server, "b", "m", 0..1000);
    for (options, expected) in [("", 1000), (" match m9*", 111), (" count 100", 1000)] {
        let (mut cursor, mut found) = ("0".to_string(), Vec::new());
        loop {
            let reply = server.run(&format!("sscan b {cursor}{options}"));
            let mut parts = reply.splitn(4, "\r\n").skip(2);
            cursor = parts.next().expect("a cursor").to_string();
            found.extend(elements(parts.next().expect("members")));
            if cursor == "0" {
                break;
            }
        }
        found.sort();
        found.dedup();
        assert_eq!(found.len(), expected, "{options}");
    }
}

#[test]
fn changes_are_counted_as_in_redis() {
    let mut server = Harness::new();
    for (command, count) in [
        ("sadd a 1 2 3 3", 3),
        ("sadd a 1", 0),
        ("spop a", 1),
        ("spop a 0", 0),
        ("spop a 1", 1),
        ("spop a 5", 1),
        ("spop a", 0),
        ("sadd c 1 2", 2),
        ("smove c d 1", 2),
        ("smove c d 1", 0),
        ("sadd c 1", 1),
        ("smove c d 1", 1),
        ("smove c d 2", 2),
        ("smove d d 2", 0),
        ("sinterstore e d d", 1),
        ("sinterstore e d nothing", 1),
        ("sinterstore e d nothing", 0),
        ("sunionstore e d d", 1),
        ("sdiffstore e d d", 1),
        ("srem d 1 2 2 x", 2),
        ("srem d 1", 0),
    ] {
        assert_eq!(changes(&mut server, command), count, "{command}");
    }
}

#[test]
fn events_are_those_of_redis() {
    let mut server = Harness::new();
    for (command, expected) in [
        ("sadd a 1 2 3", &["0:new a", "0:sadd a"][..]),
        ("sadd a 1", &NO_EVENTS),
        ("sadd a 4", &["0:sadd a"]),
        ("srem a 9", &NO_EVENTS),
        ("srem a 4", &["0:srem a"]),
        ("smove a b 1", &["0:srem a", "0:new b", "0:sadd b"]),
        ("smove a b 2", &["0:srem a", "0:sadd b"]),
        ("smove a b 3", &["0:srem a", "0:del a", "0:sadd b"]),
        ("sinterstore c b", &["0:new c", "0:sinterstore c"]),
        ("sunionstore c b", &["0:sunionstore c"]),
        ("sdiffstore c b", &["0:sdiffstore c"]),
        ("sdiffstore c b b", &["0:del c"]),
        ("sdiffstore c b b", &NO_EVENTS),
        ("spop b", &["0:spop b"]),
        ("spop b 1", &["0:spop b"]),
        ("spop b 1", &["0:spop b", "0:del b"]),
        ("spop b", &NO_EVENTS),
        ("sismember b 1", &["0:keymiss b"]),
        ("sinterstore c b", &["0:keymiss b"]),
    ] {
        assert_eq!(server.events(command), expected, "{command}");
    }
}

#[test]
fn lookups_are_counted_as_in_redis() {
    let mut server = Harness::new();
    server.run("sadd a 1 2");
    server.run("set s 1");
    for (command, hits, misses) in [
        ("sadd a 1", 0, 0),
        ("sismember a 1", 1, 0),
        ("smismember nothing 1", 0, 1),
        ("sinter a nothing a", 2, 1),
        ("sinter nothing s a", 1, 1),
        ("sinterstore c a nothing", 1, 1),
        ("srandmember a 2", 1, 0),
        ("spop a 1", 0, 0),
        ("spop a 5", 1, 0),
        ("spop a 5", 0, 0),
    ] {
        let before = server.state.keyspace.stats;
        server.run(command);
        let after = server.state.keyspace.stats;
        assert_eq!(after.hits - before.hits, hits, "{command}");
        assert_eq!(after.misses - before.misses, misses, "{command}");
    }
}

#[test]
fn an_expired_set_is_gone() {
    let mut server = Harness::new();
    fill(&mut server, "a", "m", 0..300);
    server.run("sadd b m1");
    server.run("pexpire a 10");
    server.advance_ms(11);
    server.expect("sinter a b", "*0\r\n");
    server.expect("sadd a x", ":1\r\n");
    server.expect("scard a", ":1\r\n");
    assert_eq!(ttl_ms(&mut server, "a"), -1);
    server.run("pexpire a 10");
    server.advance_ms(11);
    server.expect("smove b a m1", ":1\r\n");
    expect_elements(&mut server, "smembers a", "m1");
}

#[test]
fn a_copy_changes_apart_and_digests_ignore_the_order() {
    let mut server = Harness::with_debug();
    fill(&mut server, "a", "m", 0..500);
    server.expect("copy a b", ":1\r\n");
    server.expect("sadd b new", ":1\r\n");
    server.expect("srem a m7", ":1\r\n");
    server.expect("sismember b m7", ":1\r\n");
    server.expect("sismember a new", ":0\r\n");
    server.expect("scard a", ":499\r\n");
    server.expect("scard b", ":501\r\n");
    server.run("sadd x 1 2 3");
    server.run("sadd y 3 2 1 z");
    server.run("srem y z");
    // As Redis 8.2 gives it for a set of 1, 2 and 3.
    let digest = server.run("debug digest-value x y");
    let digests: Vec<&str> = digest.split("\r\n").collect();
    assert_eq!(digests[1], digests[2]);
    assert_eq!(digests[1], "+2a462a3f51a1db89738ebbeef0c47ce1bbc85246");
}

#[test]
fn too_few_arguments_are_an_error() {
    let mut server = Harness::new();
    for name in [
        "sadd a",
        "srem a",
        "smove a b",
        "sismember a",
        "smismember a",
        "scard",
        "sinter",
        "sinterstore a",
        "sintercard 1",
    ] {
        let command = name.split(' ').next().expect("a name");
        let reply = format!("-ERR wrong number of arguments for '{command}' command\r\n");
        server.expect(name, &reply);
    }
}
