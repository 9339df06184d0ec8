//! Hashes: every command, option and error that Redis 7.2 has. Replies and events were recorded from Redis 7.0.15 and
//! 8.2.

use oneloop::config::Config;
use oneloop::resp::Protocol;

use crate::support::Harness;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NOT_A_FLOAT: &str = "-ERR value is not a valid float\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const NULL: &str = "$-1\r\n";

/// Bulk strings in an array.
pub fn array(words: &[&str]) -> String {
    let bulks: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{bulks}", words.len())
}

/// The words of an array of bulk strings.
pub fn elements(reply: &str) -> Vec<&str> {
    reply.split("\r\n").skip(2).step_by(2).collect()
}

pub fn encoding(server: &mut Harness, key: &str) -> String {
    let reply = server.run(&format!("object encoding {key}"));
    reply.split("\r\n").nth(1).unwrap_or_default().to_string()
}

/// A server whose hashes become large after a few fields.
pub fn with_small_limits() -> Harness {
    Harness::with_config(Config { hash_max_listpack_entries: 4, hash_max_listpack_value: 10, ..Config::default() })
}

#[test]
fn hset_tells_how_many_fields_are_new() {
    let mut server = Harness::new();
    assert_eq!(server.run("hset h a 1 b 2"), ":2\r\n");
    assert_eq!(server.run("hset h a 3 c 4"), ":1\r\n");
    assert_eq!(server.run("hset h d 1 d 2"), ":1\r\n");
    assert_eq!(server.run("hmset h a 5 e 6"), "+OK\r\n");
    assert_eq!(server.run("hgetall h"), array(&["a", "5", "b", "2", "c", "4", "d", "2", "e", "6"]));
    let wrong_arity = |name| format!("-ERR wrong number of arguments for '{name}' command\r\n");
    assert_eq!(server.run("hset h a"), wrong_arity("hset"));
    assert_eq!(server.run("hset h a 1 b"), wrong_arity("hset"));
    assert_eq!(server.run("hmset h a 1 b"), wrong_arity("hmset"));
    server.run("set s 1");
    assert_eq!(server.run("hset s a 1 b"), wrong_arity("hset"));
    assert_eq!(server.run("hset s a 1"), WRONG_TYPE);
}

#[test]
fn hsetnx_leaves_a_field_alone() {
    let mut server = Harness::new();
    assert_eq!(server.run("hsetnx h a 1"), ":1\r\n");
    assert_eq!(server.run("hsetnx h a 2"), ":0\r\n");
    assert_eq!(server.run("hsetnx h b 3"), ":1\r\n");
    assert_eq!(server.run("hgetall h"), array(&["a", "1", "b", "3"]));
    server.run("set s 1");
    assert_eq!(server.run("hsetnx s a 1"), WRONG_TYPE);
}

#[test]
fn fields_are_read() {
    for mut server in [Harness::new(), with_small_limits()] {
        server.run("hset h a 1 b two c -3 d longer-than-limit");
        assert_eq!(server.run("hget h b"), "$3\r\ntwo\r\n");
        assert_eq!(server.run("hget h z"), NULL);
        assert_eq!(server.run("hget none a"), NULL);
        assert_eq!(server.run("hmget h a z c a"), "*4\r\n$1\r\n1\r\n$-1\r\n$2\r\n-3\r\n$1\r\n1\r\n");
        assert_eq!(server.run("hmget none a b"), "*2\r\n$-1\r\n$-1\r\n");
        assert_eq!(server.run("hexists h a"), ":1\r\n");
        assert_eq!(server.run("hexists h z"), ":0\r\n");
        assert_eq!(server.run("hexists none z"), ":0\r\n");
        assert_eq!(server.run("hstrlen h c"), ":2\r\n");
        assert_eq!(server.run("hstrlen h d"), ":17\r\n");
        assert_eq!(server.run("hstrlen h z"), ":0\r\n");
        assert_eq!(server.run("hstrlen none z"), ":0\r\n");
        assert_eq!(server.run("hlen h"), ":4\r\n");
        assert_eq!(server.run("hlen none"), ":0\r\n");
        let reply = server.run("hkeys h");
        let mut names = elements(&reply);
        names.sort_unstable();
        assert_eq!(names, ["a", "b", "c", "d"]);
        let reply = server.run("hvals h");
        let mut values = elements(&reply);
        values.sort_unstable();
        assert_eq!(values, ["-3", "1", "longer-than-limit", "two"]);
        for empty in ["hgetall none", "hkeys none", "hvals none"] {
            assert_eq!(server.run(empty), "*0\r\n");
        }
        server.run("set s 1");
        for command in [
            "hget s a",
            "hmget s a",
            "hexists s a",
            "hstrlen s a",
            "hlen s",
            "hgetall s",
            "hkeys s",
            "hvals s",
            "hdel s a",
            "hscan s 0",
            "hrandfield s",
            "hrandfield s 1",
        ] {
            assert_eq!(server.run(command), WRONG_TYPE, "{command}");
        }
    }
}

#[test]
fn maps_are_maps_in_resp3() {
    let mut server = Harness::new();
    server.set_protocol(Protocol::Resp3);
    server.run("hset h a 1");
    assert_eq!(server.run("hgetall h"), "%1\r\n$1\r\na\r\n$1\r\n1\r\n");
    assert_eq!(server.run("hgetall none"), "%0\r\n");
    assert_eq!(server.run("hkeys h"), "*1\r\n$1\r\na\r\n");
    assert_eq!(server.run("hget h z"), "_\r\n");
    assert_eq!(server.run("hmget none z"), "*1\r\n_\r\n");
    assert_eq!(server.run("hrandfield h 5 withvalues"), "*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    assert_eq!(
        server.run("hrandfield h -2 withvalues"),
        "*2\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n"
    );
    assert_eq!(server.run("hrandfield none"), "_\r\n");
    assert_eq!(server.run("hscan h 0"), "*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n");
}

#[test]
fn hdel_removes_the_key_with_the_last_field() {
    for mut server in [Harness::new(), with_small_limits()] {
        server.run("hset h a 1 b 2 c 3 d 4 e 5 f 6");
        assert_eq!(server.run("hdel h a z a b"), ":2\r\n");
        assert_eq!(server.run("hdel h z"), ":0\r\n");
        assert_eq!(server.run("hdel none z"), ":0\r\n");
        assert_eq!(server.events("hdel h c"), ["0:hdel h"]);
        assert_eq!(server.events("hdel h z"), Vec::<String>::new());
        assert_eq!(server.events("hdel h d e f g"), ["0:hdel h", "0:del h"]);
        assert_eq!(server.run("exists h"), ":0\r\n");
    }
}

#[test]
fn counters_count() {
    for mut server in [Harness::new(), with_small_limits()] {
        server.run("hset h text value-of-text float 10.5 big 9223372036854775807");
        assert_eq!(server.run("hincrby h n 5"), ":5\r\n");
        assert_eq!(server.run("hincrby h n -7"), ":-2\r\n");
        assert_eq!(server.run("hincrby none n 1"), ":1\r\n");
        assert_eq!(server.run("hincrby h text 1"), "-ERR hash value is not an integer\r\n");
        assert_eq!(server.run("hincrby h float 1"), "-ERR hash value is not an integer\r\n");
        assert_eq!(server.run("hincrby h big 1"), "-ERR increment or decrement would overflow\r\n");
        assert_eq!(server.run("hincrby h n x"), NOT_AN_INTEGER);
        assert_eq!(server.run("hincrby none2 n x"), NOT_AN_INTEGER);
        assert_eq!(server.run("exists none2"), ":0\r\n");
        assert_eq!(server.run("hincrbyfloat h float 0.1"), "$4\r\n10.6\r\n");
        assert_eq!(server.run("hincrbyfloat h n 3.0e3"), "$4\r\n2998\r\n");
        assert_eq!(server.run("hincrbyfloat none n 1.25"), "$4\r\n2.25\r\n");
        assert_eq!(server.run("hincrbyfloat h text 1"), "-ERR hash value is not a float\r\n");
        assert_eq!(server.run("hincrbyfloat h n x"), NOT_A_FLOAT);
        assert_eq!(server.run("hincrbyfloat h n inf"), "-ERR value is NaN or Infinity\r\n");
        server.run("hset h huge 1e4932");
        assert_eq!(server.run("hincrbyfloat h huge 1e4932"), "-ERR increment would produce NaN or Infinity\r\n");
        server.run("set s 1");
        assert_eq!(server.run("hincrby s n 1"), WRONG_TYPE);
        assert_eq!(server.run("hincrby s n x"), NOT_AN_INTEGER);
        assert_eq!(server.run("hincrbyfloat s n 1"), WRONG_TYPE);
        assert_eq!(server.run("hincrbyfloat s n x"), NOT_A_FLOAT);
    }
}

#[test]
fn events_and_changes_are_those_of_redis() {
    let mut server = Harness::new();
    let mut check = |words: &str, events: &[&str], changes: u64| {
        let before = server.state.keyspace.changes.total();
        assert_eq!(server.events(words), events, "{words}");
        let after = server.state.keyspace.changes.total();
        assert_eq!(after - before, changes, "{words}");
    };
    check("hset h a 1 b 2", &["0:new h", "0:hset h"], 2);
    check("hset h a 1 a 2 c 3", &["0:hset h"], 3);
    check("hmset h a 1", &["0:hset h"], 1);
    check("hsetnx h a 1", &[], 0);
    check("hsetnx h d 1", &["0:hset h"], 1);
    check("hincrby h a 1", &["0:hincrby h"], 1);
    check("hincrby h a x", &[], 0);
    check("hincrbyfloat h a 1", &["0:hincrbyfloat h"], 1);
    check("hget h a", &[], 0);
    check("hdel h a z", &["0:hdel h"], 1);
    check("hdel h b c d e", &["0:hdel h", "0:del h"], 3);
}

#[test]
fn a_hash_becomes_large_beyond_its_limits_and_stays_so() {
    let mut server = with_small_limits();
    server.run("hset h a 1 b 2 c 3 d 4");
    assert_eq!(encoding(&mut server, "h"), "listpack");
    server.run("hset h d 5");
    assert_eq!(encoding(&mut server, "h"), "listpack");
    server.run("hset h e 5");
    assert_eq!(encoding(&mut server, "h"), "hashtable");
    server.run("hdel h a b c d");
    assert_eq!(encoding(&mut server, "h"), "hashtable");
    // As Redis 7.2: the number of fields given decides before it is known which are the same.
    server.run("hset twice a 1 a 1 a 1 a 1 a 1");
    assert_eq!(encoding(&mut server, "twice"), "hashtable");
    for command in [
        "hset value a 12345678901",
        "hset name 12345678901 a",
        "hsetnx value2 a 12345678901",
        "hincrby counter n 12345678901",
        "hincrbyfloat float n 0.1234567890123",
    ] {
        server.run(command);
        let key = command.split(' ').nth(1).expect("a key");
        assert_eq!(encoding(&mut server, key), "hashtable", "{command}");
    }
    server.run("hset short a 1234567890");
    assert_eq!(encoding(&mut server, "short"), "listpack");
    server.run("config set hash-max-ziplist-entries 2 hash-max-ziplist-value 3");
    server.run("hset short a 123 b 2 c 3");
    assert_eq!(encoding(&mut server, "short"), "hashtable");
}

#[test]
fn many_fields_at_once_and_one_by_one_come_to_the_same() {
    let mut server = Harness::new();
    let pairs: Vec<String> = (0..700).map(|number| format!("field-{number}")).collect();
    let mut all: Vec<&[u8]> = vec![b"hset", b"all"];
    for pair in &pairs {
        all.extend([pair.as_bytes(), pair.as_bytes()]);
        let one: [&[u8]; 4] = [b"hset", b"one", pair.as_bytes(), pair.as_bytes()];
        server.run_args(&one);
    }
    assert_eq!(server.run_args(&all), ":700\r\n");
    assert_eq!(server.run_args(&all), ":0\r\n");
    for key in ["all", "one"] {
        assert_eq!(encoding(&mut server, key), "hashtable");
        assert_eq!(server.run(&format!("hlen {key}")), ":700\r\n");
        let mut get: Vec<&[u8]> = vec![b"hmget", key.as_bytes()];
        get.extend(pairs.iter().map(|pair| pair.as_bytes()));
        let words: Vec<&str> = pairs.iter().map(String::as_str).collect();
        assert_eq!(server.run_args(&get), array(&words));
        get[0] = b"hdel";
        assert_eq!(server.run_args(&get), ":700\r\n");
        assert_eq!(server.run(&format!("exists {key}")), ":0\r\n");
    }
}

#[test]
fn hrandfield_gives_what_is_asked_for() {
    for mut server in [Harness::new(), with_small_limits()] {
        server.run("hset h a 1 b 2 c 3 d 4 e 5");
        let reply = server.run("hrandfield h");
        assert!(["a", "b", "c", "d", "e"].contains(&reply.split("\r\n").nth(1).expect("a name")));
        assert_eq!(server.run("hrandfield none"), NULL);
        assert_eq!(server.run("hrandfield none 3"), "*0\r\n");
        assert_eq!(server.run("hrandfield h 0"), "*0\r\n");
        for count in 1..8usize {
            let reply = server.run(&format!("hrandfield h {count}"));
            let mut names = elements(&reply).into_iter().collect::<Vec<_>>();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count.min(5));
            let reply = server.run(&format!("hrandfield h {count} withvalues"));
            assert!(reply.starts_with(&format!("*{}\r\n", 2 * count.min(5))));
            let pairs = elements(&reply);
            for pair in pairs.chunks(2) {
                let expected = (pair[0].as_bytes()[0] - b'a' + 1).to_string();
                assert_eq!(pair[1], expected);
            }
            let reply = server.run(&format!("hrandfield h -{count}"));
            assert_eq!(elements(&reply).len(), count);
        }
        let mut seen = std::collections::BTreeMap::new();
        let reply = server.run("hrandfield h -5000");
        for name in elements(&reply) {
            *seen.entry(name).or_insert(0) += 1;
        }
        assert_eq!(seen.len(), 5);
        assert!(seen.values().all(|times| (800..1200).contains(times)), "{seen:?}");
    }
}

#[test]
fn hrandfield_refuses_what_redis_refuses() {
    let mut server = Harness::new();
    server.run("hset h a 1");
    assert_eq!(server.run("hrandfield h x"), NOT_AN_INTEGER);
    assert_eq!(server.run("hrandfield h 1 x"), SYNTAX);
    assert_eq!(server.run("hrandfield h 1 withvalues x"), SYNTAX);
    assert_eq!(
        server.run("hrandfield h -9223372036854775808"),
        "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n"
    );
    for count in ["4611686018427387904", "-4611686018427387904"] {
        assert_eq!(server.run(&format!("hrandfield h {count} withvalues")), "-ERR value is out of range\r\n");
    }
    assert_eq!(server.run("hrandfield h 9223372036854775807"), array(&["a"]));
    assert_eq!(server.run("hrandfield h 4611686018427387903 withvalues"), array(&["a", "1"]));
}

#[test]
fn a_small_hash_is_scanned_at_once() {
    let mut server = Harness::new();
    server.run("hset h a1 1 b1 2 a2 3");
    let whole = array(&["a1", "1", "b1", "2", "a2", "3"]);
    assert_eq!(server.run("hscan h 0 count 1"), format!("*2\r\n$1\r\n0\r\n{whole}"));
    assert_eq!(server.run("hscan h 17"), format!("*2\r\n$1\r\n0\r\n{whole}"));
    let some = array(&["a1", "1", "a2", "3"]);
    assert_eq!(server.run("hscan h 0 match a*"), format!("*2\r\n$1\r\n0\r\n{some}"));
    let names = array(&["a1", "b1", "a2"]);
    assert_eq!(server.run("hscan h 0 novalues"), format!("*2\r\n$1\r\n0\r\n{names}"));
    let names = array(&["b1"]);
    assert_eq!(server.run("hscan h 0 MATCH b* NOVALUES COUNT 5"), format!("*2\r\n$1\r\n0\r\n{names}"));
    assert_eq!(server.run("hscan none 0"), "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_eq!(server.run("hscan none 0 nonsense"), "*2\r\n$1\r\n0\r\n*0\r\n");
    assert_eq!(server.run("hscan h 0 nonsense"), SYNTAX);
    assert_eq!(server.run("hscan h 0 count 0"), SYNTAX);
    assert_eq!(server.run("hscan h 0 count x"), NOT_AN_INTEGER);
    assert_eq!(server.run("hscan h 0 type hash"), SYNTAX);
    assert_eq!(server.run("hscan h x"), "-ERR invalid cursor\r\n");
    assert_eq!(server.run("hscan none x"), "-ERR invalid cursor\r\n");
}

#[test]
fn a_large_hash_is_scanned_piece_by_piece() {
    let mut server = Harness::new();
    for number in 0..2000 {
        server.run(&format!("hset h field-{number} {number}"));
    }
    for options in ["", " count 100", " novalues", " match field-1* count 50"] {
        let mut cursor = "0".to_string();
        let mut seen = std::collections::BTreeSet::new();
        let mut calls = 0;
        loop {
            let reply = server.run(&format!("hscan h {cursor}{options}"));
            let words: Vec<&str> = reply.split("\r\n").collect();
            cursor = words[2].to_string();
            let width = if options.contains("novalues") { 2 } else { 4 };
            seen.extend(words[4..].chunks(width).filter_map(|field| field.get(1)).map(|name| name.to_string()));
            calls += 1;
            if cursor == "0" {
                break;
            }
        }
        let expected = if options.contains("match") { 1111 } else { 2000 };
        assert_eq!(seen.len(), expected, "{options}");
        assert!(calls > 10, "{options}: {calls}");
    }
}

#[test]
fn copies_change_apart() {
    for mut server in [Harness::new(), with_small_limits()] {
        server.run("hset h a 1 b 2 c 3 d 4 e 5");
        assert_eq!(server.run("copy h copy"), ":1\r\n");
        server.run("hset h a other f 6");
        server.run("hdel copy b");
        assert_eq!(server.run("hget copy a"), "$1\r\n1\r\n");
        assert_eq!(server.run("hexists copy f"), ":0\r\n");
        assert_eq!(server.run("hget h b"), "$1\r\n2\r\n");
        assert_eq!(server.run("hget h a"), "$5\r\nother\r\n");
        assert_eq!(server.run("rename copy moved"), "+OK\r\n");
        assert_eq!(server.run("hlen moved"), ":4\r\n");
        assert_eq!(server.run("move moved 3"), ":1\r\n");
        server.run("select 3");
        assert_eq!(server.run("hlen moved"), ":4\r\n");
    }
}

#[test]
fn a_giant_hash_is_freed_by_the_job() {
    let mut server = Harness::new();
    for number in 0..5000 {
        server.run(&format!("hset h field-{number} {number}"));
    }
    server.run("del h");
    let keyspace = &mut server.state.keyspace;
    assert!(keyspace.has_garbage());
    let mut steps = 0;
    while keyspace.reclaim_step(256) {
        steps += 1;
    }
    assert!((5..60).contains(&steps), "{steps}");
    assert!(!keyspace.has_garbage());
}
