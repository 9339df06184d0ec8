//! Fields of hashes that expire. Replies, errors, events and counts of changes were recorded from Redis 8.2.

use oneloop::engine::removal;
use proptest::prelude::*;

use crate::hashes::{array, encoding, with_small_limits};
use crate::support::{Harness, START_MS};

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const NEGATIVE: &str = "-ERR invalid expire time, must be >= 0\r\n";
const FIELDS_MISSING: &str = "-ERR Mandatory argument FIELDS is missing or not at the right position\r\n";
const MISMATCH: &str = "-ERR The `numfields` parameter must match the number of arguments\r\n";
const NOT_POSITIVE: &str = "-ERR Number of fields must be a positive integer\r\n";

fn integers(numbers: &[i64]) -> String {
    let lines: String = numbers.iter().map(|number| format!(":{number}\r\n")).collect();
    format!("*{}\r\n{lines}", numbers.len())
}

fn wrong_arity(name: &str) -> String {
    format!("-ERR wrong number of arguments for '{name}' command\r\n")
}

/// A hash `h` with the fields a, b and c; a and b are over.
fn with_expired(server: &mut Harness) {
    server.run("del h");
    server.run("hset h a 1 b 2 c 3");
    server.run("hpexpire h 10 fields 2 a b");
    server.advance_ms(11);
}

/// Both forms of a hash: packed, and large.
fn both() -> [Harness; 2] {
    let mut large = with_small_limits();
    large.run("config set hash-max-listpack-entries 0");
    [Harness::new(), large]
}

#[test]
fn times_are_set_under_conditions() {
    for mut server in both() {
        server.run("hset h a 1 b 2 c 3");
        let mut check = |words: &str, answers: &[i64]| {
            assert_eq!(server.run(words), integers(answers), "{words}");
        };
        check("hexpire h 100 fields 3 a b zz", &[1, 1, -2]);
        check("httl h fields 4 a b c zz", &[100, 100, -1, -2]);
        check("hpttl h fields 2 a c", &[100_000, -1]);
        check("hexpire h 200 gt fields 3 a b c", &[1, 1, 0]);
        check("hexpire h 200 gt fields 1 a", &[0]);
        check("hexpire h 100 GT FIELDS 3 a b c", &[0, 0, 0]);
        check("hexpire h 100 lt fields 3 a b c", &[1, 1, 1]);
        check("hexpire h 100 lt fields 1 a", &[0]);
        check("hexpire h 300 lt fields 2 a c", &[0, 0]);
        check("hexpire h 300 nx fields 2 a c", &[0, 0]);
        check("hpexpire h 300000 xx fields 2 a c", &[1, 1]);
        check("hexpiretime h fields 1 a", &[(START_MS / 1000 + 300) as i64]);
        check("hpexpiretime h fields 2 a zz", &[(START_MS + 300_000) as i64, -2]);
        check("hpersist h fields 4 a b c zz", &[1, 1, 1, -2]);
        check("hpersist h fields 4 a b c zz", &[-1, -1, -1, -2]);
        check("hexpire h 100 xx fields 1 a", &[0]);
        check("hpexpireat h 5000000000499 fields 1 a", &[1]);
        check("hpexpireat h 5000000000500 nx fields 2 a b", &[0, 1]);
        check("hexpiretime h fields 2 a b", &[5_000_000_001, 5_000_000_001]);
        check("hexpireat h 5000000000 fields 2 a a", &[1, 1]);
        check("hpexpiretime h fields 1 a", &[5_000_000_000_000]);
        // Up to the last millisecond that there is.
        check("hpexpireat h 70368744177663 fields 1 a", &[1]);
        check("hexpireat h 70368744177 fields 1 a", &[1]);
        for command in [
            "hexpire none 1 fields 2 a b",
            "httl none fields 2 a b",
            "hpttl none fields 2 a b",
            "hexpiretime none fields 2 a b",
            "hpersist none fields 2 a b",
        ] {
            check(command, &[-2, -2]);
        }
    }
}

#[test]
fn a_time_that_is_past_removes_the_field() {
    for mut server in both() {
        server.run("hset h a 1 b 2 c 3");
        assert_eq!(server.run("hexpire h 0 fields 3 a a zz"), integers(&[2, -2, -2]));
        assert_eq!(server.run("hpexpireat h 5 xx fields 1 b"), integers(&[0]));
        assert_eq!(server.run("hpexpireat h 5 nx fields 1 b"), integers(&[2]));
        assert_eq!(server.run("hlen h"), ":1\r\n");
        assert_eq!(server.events("hexpire h 0 fields 1 c"), ["0:hdel h", "0:del h"]);
        assert_eq!(server.run("exists h"), ":0\r\n");
    }
}

#[test]
fn wrong_arguments_are_refused_in_redis_order() {
    let mut server = Harness::new();
    server.run("set s x");
    let too_late = |name: &str| format!("-ERR invalid expire time in '{name}' command\r\n");
    let count = "-ERR Parameter `numFields` should be greater than 0\r\n";
    let (fields, mismatch) = (FIELDS_MISSING, MISMATCH);
    let cases: [(&str, &str); 47] = [
        ("hexpire h 1 fields 1", &wrong_arity("hexpire")),
        ("hexpire h x fields 1 a", NOT_AN_INTEGER),
        ("hexpire h -1 fields 1 a", NEGATIVE),
        ("hexpire h -1 foo 0 a", NEGATIVE),
        ("hexpire h 9223372036854775807 fields 1 a", &too_late("hexpire")),
        ("hpexpire h 70368744177663 fields 1 a", &too_late("hpexpire")),
        ("hpexpireat h 70368744177664 fields 1 a", &too_late("hpexpireat")),
        ("hexpireat h 70368744178 fields 1 a", &too_late("hexpireat")),
        ("hexpire h 1 foo fields 1 a", fields),
        ("hexpire h 1 nx xx fields 1 a", fields),
        ("hexpire h 1 field 1 a", fields),
        ("hexpire h 1 nx fields", &wrong_arity("hexpire")),
        ("hexpire h 1 nx fields 1", mismatch),
        ("hexpire h 1 fields 0 a", count),
        ("hexpire h 1 fields x a", count),
        ("hexpire h 1 fields 2 a", mismatch),
        ("hexpire h 1 fields 1 a b", mismatch),
        ("hexpire h 1 fields 99999999999 a", mismatch),
        ("hexpire s x fields 1 a", WRONG_TYPE),
        ("httl h fields 1", &wrong_arity("httl")),
        ("httl h fields 0 a", NOT_POSITIVE),
        ("httl h fields 2 a", mismatch),
        ("httl h foo 1 a", fields),
        ("httl s foo 1 a", WRONG_TYPE),
        ("hpersist s fields 2 a", WRONG_TYPE),
        ("hpersist h fields 2 a", mismatch),
        ("hgetdel h fields x a", NOT_POSITIVE),
        ("hgetdel h foo 1 a", fields),
        ("hgetdel s foo 1 a", WRONG_TYPE),
        ("hgetex s ex x fields 1 a", WRONG_TYPE),
        ("hgetex h ex fields 1 a", NOT_AN_INTEGER),
        ("hgetex h ex -1 foo 2 a", NEGATIVE),
        ("hgetex h ex 10 px 10 fields 1 a", fields),
        ("hgetex h keepttl fields 1 a", fields),
        ("hgetex h ex 10 fields", &wrong_arity("hgetex")),
        ("hgetex h ex 10 fields 1", mismatch),
        ("hgetex h pxat 70368744177664 fields 1 a", &too_late("hgetex")),
        ("hsetex h fields 1 a 1 b", &wrong_arity("hsetex")),
        ("hsetex h fields 2 a 1", &wrong_arity("hsetex")),
        ("hsetex s fields 0 a 1", "-ERR invalid number of fields\r\n"),
        ("hsetex h fields 2147483648 a 1", "-ERR invalid number of fields\r\n"),
        ("hsetex s ex 1 fields 1 a 1", WRONG_TYPE),
        ("hsetex h ex -1 fields 1 a 1", NEGATIVE),
        ("hsetex h fnx fxx fields 1 a 1", "-ERR Only one of FXX or FNX arguments can be specified\r\n"),
        (
            "hsetex h ex 10 keepttl fields 1 a 1",
            "-ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified\r\n",
        ),
        ("hsetex h persist fields 1 a 1", "-ERR unknown argument: persist\r\n"),
        ("hsetex h fnx ex 10 a", "-ERR unknown argument: a\r\n"),
    ];
    for (words, expected) in cases {
        assert_eq!(server.run(words), expected, "{words}");
    }
    assert_eq!(server.run("exists h"), ":0\r\n");
}

#[test]
fn hgetdel_gives_and_removes() {
    for mut server in both() {
        server.run("hset h a 1 b 2 c 3");
        assert_eq!(server.run("hgetdel h fields 3 a zz a"), "*3\r\n$1\r\n1\r\n$-1\r\n$-1\r\n");
        assert_eq!(server.run("hgetdel none fields 2 a b"), "*2\r\n$-1\r\n$-1\r\n");
        assert_eq!(server.run("hgetdel h fields 2 b c"), array(&["2", "3"]));
        assert_eq!(server.run("exists h"), ":0\r\n");
    }
}

#[test]
fn hgetex_gives_and_sees_to_the_time() {
    for mut server in both() {
        server.run("hset h a 1 b 2 c 3");
        let mut check = |words: &str, reply: &str, times: &[i64]| {
            assert_eq!(server.run(words), reply, "{words}");
            let found = server.run("hpttl h fields 3 a b c");
            assert_eq!(found, integers(times), "{words}");
        };
        check("hgetex h fields 2 a zz", "*2\r\n$1\r\n1\r\n$-1\r\n", &[-1, -1, -1]);
        check("hgetex h ex 100 fields 2 a a", &array(&["1", "1"]), &[100_000, -1, -1]);
        check("hgetex h PX 500 fields 1 b", &array(&["2"]), &[100_000, 500, -1]);
        check("hgetex h persist fields 2 a c", &array(&["1", "3"]), &[-1, 500, -1]);
        let at = START_MS / 1000 + 7;
        check(&format!("hgetex h exat {at} fields 1 c"), &array(&["3"]), &[-1, 500, 7000]);
        check("hgetex h pxat 1 fields 1 c", &array(&["3"]), &[-1, 500, -2]);
        check("hgetex none pxat 1 fields 1 c", "*1\r\n$-1\r\n", &[-1, 500, -2]);
    }
}

#[test]
fn hsetex_sets_values_and_times() {
    for mut server in both() {
        let mut check = |words: &str, reply: &str, times: &[i64]| {
            assert_eq!(server.run(words), reply, "{words}");
            let found = server.run("hpttl h fields 2 a b");
            assert_eq!(found, integers(times), "{words}");
        };
        check("hsetex h fxx ex 5 fields 1 a 1", ":0\r\n", &[-2, -2]);
        check("hsetex h ex 100 fields 2 a 1 b 2", ":1\r\n", &[100_000, 100_000]);
        check("hsetex h fields 1 a 3", ":1\r\n", &[-1, 100_000]);
        check("hsetex h keepttl fields 2 a 4 b 5", ":1\r\n", &[-1, 100_000]);
        check("hsetex h fnx px 5 fields 2 z 1 a 9", ":0\r\n", &[-1, 100_000]);
        check("hsetex h px 5 fxx fields 2 z 1 a 9", ":0\r\n", &[-1, 100_000]);
        check("hsetex h px 5 FXX fields 2 b 1 a 9", ":1\r\n", &[5, 5]);
        check("hsetex h fields 2 b 7 a 8", ":1\r\n", &[-1, -1]);
        check("hsetex h pxat 1 fields 2 n 7 a 8", ":1\r\n", &[-2, -1]);
        assert_eq!(server.run("hgetall h"), array(&["b", "7"]));
        assert_eq!(server.run("hsetex new fnx exat 1 fields 1 a 1"), ":1\r\n");
        assert_eq!(server.run("exists new"), ":0\r\n");
        assert_eq!(server.run("hsetex twice fnx fields 2 a 1 a 2"), ":1\r\n");
        assert_eq!(server.run("hgetall twice"), array(&["a", "2"]));
    }
}

#[test]
fn who_sets_a_field_ends_its_time_and_who_counts_keeps_it() {
    for mut server in both() {
        let mut ttl_after = |words: &str| {
            server.run("hset h a 1 b 2");
            server.run("hexpire h 100 fields 1 a");
            server.run(words);
            server.run("httl h fields 1 a")
        };
        let (kept, ended) = (integers(&[100]), integers(&[-1]));
        assert_eq!(ttl_after("hset h a 2"), ended);
        assert_eq!(ttl_after("hset h x 1 y 2 z 3 a 4 b 5"), ended);
        assert_eq!(ttl_after("hmset h a 2"), ended);
        assert_eq!(ttl_after("hsetnx h a 2"), kept);
        assert_eq!(ttl_after("hincrby h a 2"), kept);
        assert_eq!(ttl_after("hincrbyfloat h a 2.5"), kept);
        assert_eq!(ttl_after("hset h b 2"), kept);
    }
}

#[test]
fn events_and_changes_are_those_of_redis() {
    for mut server in both() {
        let mut check = |words: &str, events: &[&str], changes: u64| {
            let before = server.state.keyspace.changes.total();
            let expected: Vec<String> = events.iter().map(|event| format!("0:{event} h")).collect();
            assert_eq!(server.events(words), expected, "{words}");
            let after = server.state.keyspace.changes.total();
            assert_eq!(after - before, changes, "{words}");
        };
        check("hset h a 1 b 2 c 3 d 4", &["new", "hset"], 4);
        check("hexpire h 100 fields 3 a b zz", &["hexpire"], 2);
        check("hexpire h 100 fields 2 zz yy", &[], 0);
        check("hpersist h fields 3 a b c", &["hpersist"], 1);
        check("hpersist h fields 3 a b c", &[], 0);
        check("hgetex h fields 2 a b", &[], 0);
        check("hgetex h ex 100 fields 2 a b", &["hexpire"], 2);
        check("hgetex h persist fields 3 a b c", &["hpersist"], 2);
        check("hgetex h ex 0 fields 2 a b", &["hdel"], 2);
        check("hgetdel h fields 2 c zz", &["hdel"], 1);
        check("hsetex h ex 100 fields 2 a 1 b 2", &["hset", "hexpire"], 2);
        check("hsetex h keepttl fields 1 a 1", &["hset"], 1);
        check("hsetex h ex 0 fields 2 a 1 b 2", &["hset", "hdel"], 2);
        check("hsetex h fxx fields 2 a 1 b 2", &[], 0);
        check("hexpire h 0 fields 1 d", &["hdel", "del"], 1);
        check("hsetex h ex 0 fields 1 d 1", &["hset", "hdel", "del"], 1);
        check("hsetex h ex 100 fields 1 a 1", &["new", "hset", "hexpire"], 1);
    }
}

#[test]
fn a_field_whose_time_is_over_is_seen_by_nobody() {
    let cases: [(&str, &str, &[&str], usize); 24] = [
        ("hget h a", "$-1\r\n", &["hexpired"], 2),
        ("hmget h a b c", "*3\r\n$-1\r\n$-1\r\n$1\r\n3\r\n", &["hexpired"], 1),
        ("hexists h a", ":0\r\n", &["hexpired"], 2),
        ("hstrlen h a", ":0\r\n", &["hexpired"], 2),
        ("hgetall h", "*2\r\n$1\r\nc\r\n$1\r\n3\r\n", &[], 3),
        ("hkeys h", "*1\r\n$1\r\nc\r\n", &[], 3),
        ("hvals h", "*1\r\n$1\r\n3\r\n", &[], 3),
        // Like Redis, which counts them until they are removed.
        ("hlen h", ":3\r\n", &[], 3),
        ("hscan h 0 count 100", "*2\r\n$1\r\n0\r\n*2\r\n$1\r\nc\r\n$1\r\n3\r\n", &[], 3),
        ("hrandfield h", "$1\r\nc\r\n", &["hexpired"], 1),
        ("hrandfield h 5", "*1\r\n$1\r\nc\r\n", &["hexpired"], 1),
        ("hrandfield h -2", "*2\r\n$1\r\nc\r\n$1\r\nc\r\n", &["hexpired"], 1),
        ("httl h fields 2 a c", "*2\r\n:-2\r\n:-1\r\n", &[], 3),
        ("hpexpiretime h fields 1 a", "*1\r\n:-2\r\n", &[], 3),
        ("hpersist h fields 1 a", "*1\r\n:-2\r\n", &[], 3),
        ("hsetnx h a 7", ":1\r\n", &["hexpired", "hset"], 3),
        ("hincrby h a 7", ":7\r\n", &["hexpired", "hincrby"], 3),
        ("hincrbyfloat h a 7", "$1\r\n7\r\n", &["hexpired", "hincrbyfloat"], 3),
        ("hgetdel h fields 1 a", "*1\r\n$-1\r\n", &["hexpired"], 2),
        ("hgetex h ex 9 fields 2 a c", "*2\r\n$-1\r\n$1\r\n3\r\n", &["hexpired", "hexpire"], 2),
        ("hsetex h fnx fields 1 a 7", ":1\r\n", &["hexpired", "hset"], 3),
        ("hsetex h fxx fields 1 a 7", ":0\r\n", &["hexpired"], 2),
        // Here Redis 8.2 still takes the field for one that is there.
        ("hset h a 7", ":1\r\n", &["hexpired", "hset"], 3),
        ("hexpire h 9 fields 1 a", "*1\r\n:-2\r\n", &["hexpired"], 2),
    ];
    for mut server in both() {
        for (words, reply, events, len) in cases {
            with_expired(&mut server);
            assert_eq!(server.run(words), reply, "{words}");
            assert_eq!(server.run("hlen h"), format!(":{len}\r\n"), "{words}");
            with_expired(&mut server);
            let expected: Vec<String> = events.iter().map(|event| format!("0:{event} h")).collect();
            assert_eq!(server.events(words), expected, "{words}");
        }
    }
}

#[test]
fn the_key_goes_with_the_last_field_that_expires() {
    for mut server in both() {
        for words in [
            "hmget h a b c",
            "hrandfield h",
            "hgetdel h fields 3 a b c",
            "hgetex h fields 3 a b c",
            "hsetex h fxx fields 3 a 1 b 1 c 1",
        ] {
            with_expired(&mut server);
            server.run("hdel h c");
            assert_eq!(server.run("exists h"), ":1\r\n");
            assert_eq!(server.events(words), ["0:hexpired h", "0:del h"], "{words}");
            assert_eq!(server.run("exists h"), ":0\r\n");
        }
    }
}

/// As in Redis, whose HDEL does not compare expiry times.
#[test]
fn hdel_counts_expired_fields_that_are_still_there() {
    for mut server in both() {
        with_expired(&mut server);
        assert_eq!(server.run("hdel h a zz"), ":1\r\n");
        assert_eq!(server.run("hlen h"), ":2\r\n");
        assert_eq!(server.events("hdel h b"), ["0:hdel h"]);
        assert_eq!(server.run("hlen h"), ":1\r\n");
        with_expired(&mut server);
        assert_eq!(server.events("hdel h a b c"), ["0:hdel h", "0:del h"]);
        assert!(server.run("info stats").contains("expired_subkeys:0\r\n"));
    }
}

#[test]
fn a_field_lives_through_the_millisecond_that_it_expires_at() {
    for mut server in both() {
        server.run("hsetex h px 10 fields 1 a 1");
        server.advance_ms(10);
        assert_eq!(server.run("hget h a"), "$1\r\n1\r\n");
        assert_eq!(server.run("hpttl h fields 1 a"), integers(&[0]));
        server.advance_ms(1);
        assert_eq!(server.run("hget h a"), "$-1\r\n");
    }
}

#[test]
fn encodings_are_those_of_redis() {
    let mut server = with_small_limits();
    for (words, expected) in [
        ("hset h a 1", "listpack"),
        ("httl h fields 1 a", "listpack"),
        ("hpersist h fields 1 a", "listpack"),
        ("hgetex h fields 1 a", "listpack"),
        ("hsetex h fields 1 a 1", "listpack"),
        ("hsetex h keepttl fields 1 a 1", "listpack"),
        // Whether it comes to a time or not.
        ("hexpire h 100 xx fields 1 a", "listpackex"),
        ("hset h b 1 c 1 d 1", "listpackex"),
        ("hsetex h ex 5 fields 1 e 1", "hashtable"),
    ] {
        server.run(words);
        assert_eq!(encoding(&mut server, "h"), expected, "{words}");
        let times = if expected == "hashtable" { [5, -1] } else { [-2, -1] };
        assert_eq!(server.run("httl h fields 2 e a"), integers(&times));
    }
    for (words, expected) in [
        ("hsetex one ex 5 fields 1 a 1", "listpackex"),
        ("hsetex two ex 5 fields 5 a 1 b 1 c 1 d 1 e 1", "hashtable"),
        ("hsetex three ex 5 fields 1 a 12345678901", "hashtable"),
    ] {
        server.run(words);
        let key = words.split(' ').nth(1).expect("a key");
        assert_eq!(encoding(&mut server, key), expected);
    }
    server.run("hset p a 1");
    server.run("hgetex p persist fields 1 a");
    assert_eq!(encoding(&mut server, "p"), "listpackex");
}

#[test]
fn the_active_cycle_removes_what_is_due_and_no_more() {
    for mut server in both() {
        for number in 0..40 {
            server.run(&format!("hset h{number} a 1 b 2"));
            server.run(&format!("hpexpire h{number} {} fields 1 a", 10 + number));
        }
        server.run("hsetex gone px 5 fields 2 a 1 b 2");
        assert!(server.run("info keyspace").contains("keys=41,expires=0,avg_ttl=0,subexpiry=41"));
        assert!(!removal::expire_fields_step(&mut server.state, 1000), "nothing is due");
        server.advance_ms(20);
        // 5, and 10 to 19.
        let mut steps = 0;
        while removal::expire_fields_step(&mut server.state, 2) {
            steps += 1;
        }
        assert!((5..12).contains(&steps), "{steps}");
        assert!(server.run("info keyspace").contains("keys=40,expires=0,avg_ttl=0,subexpiry=30"));
        assert!(server.run("info stats").contains("expired_subkeys:12\r\n"));
        assert_eq!(server.run("hlen h9"), ":1\r\n");
        assert_eq!(server.run("hlen h10"), ":2\r\n");
        server.state.keyspace.active_expiry = false;
        server.advance_ms(1000);
        assert!(!removal::expire_fields_step(&mut server.state, 1000));
        server.state.keyspace.active_expiry = true;
        while removal::expire_fields_step(&mut server.state, 1000) {}
        assert!(server.run("info keyspace").ends_with("keys=40,expires=0,avg_ttl=0\r\n\r\n"));
        assert_eq!(server.run("hgetall h39"), array(&["b", "2"]));
    }
}

#[test]
fn the_active_cycle_tells_of_what_it_does() {
    let mut server = Harness::new();
    with_expired(&mut server);
    server.run("hsetex gone px 1 fields 1 a 1");
    server.advance_ms(5);
    let keyspace = &mut server.state.keyspace;
    keyspace.changes.set_event_classes(u16::MAX);
    keyspace.expire_fields_step(1000);
    let events: Vec<String> = keyspace
        .changes
        .take()
        .into_iter()
        .filter_map(|change| match change {
            oneloop::keyspace::Change::Event { event, key, .. } => {
                Some(format!("{event} {}", String::from_utf8_lossy(&key)))
            }
            _ => None,
        })
        .collect();
    assert_eq!(events, ["hexpired h", "hexpired gone", "del gone"]);
}

#[test]
fn a_hash_of_many_due_fields_is_cleared_in_small_steps() {
    let mut server = Harness::new();
    for number in 0..3000 {
        server.run(&format!("hsetex h px 10 fields 1 field-{number} {number}"));
    }
    server.advance_ms(11);
    let mut steps = 0;
    while removal::expire_fields_step(&mut server.state, 32) {
        steps += 1;
        let expected = 3000 - 32 * steps;
        assert_eq!(server.run("hlen h"), format!(":{expected}\r\n"));
    }
    assert_eq!(server.run("exists h"), ":0\r\n");
}

#[test]
fn a_pause_of_writes_hides_expired_fields_and_removes_none() {
    let mut server = Harness::new();
    with_expired(&mut server);
    server.run("client pause 100000 write");
    server.advance_ms(1);
    assert_eq!(server.run("hget h a"), "$-1\r\n");
    assert_eq!(server.run("hmget h a c"), "*2\r\n$-1\r\n$1\r\n3\r\n");
    assert!(!removal::expire_fields_step(&mut server.state, 100));
    assert_eq!(server.run("hlen h"), ":3\r\n");
    server.run("client unpause");
    assert_eq!(server.run("hget h a"), "$-1\r\n");
    assert_eq!(server.run("hlen h"), ":2\r\n");
}

/// What the index of each database should say: how many hashes have expiring fields, and when the next field expires.
fn check_index(server: &Harness) {
    for database in server.state.keyspace.databases() {
        let times: Vec<i64> =
            database.records().iter().filter_map(oneloop::keyspace::Record::next_field_expiry_ms).collect();
        assert_eq!(database.expiring_hashes(), times.len());
        let first = database.first_fields_due().map(|due| due.time_ms);
        assert_eq!(first, times.into_iter().min());
    }
}

fn command() -> impl Strategy<Value = String> {
    let key = || "[abc]";
    let field = || (0..12u8).prop_map(|number| format!("f{number}"));
    prop_oneof![
        4 => (key(), 1..50u32, field(), field()).prop_map(|(key, ms, one, other)| {
            format!("hsetex {key} px {ms} fields 2 {one} 1 {other} 2")
        }),
        3 => (key(), 1..50u32, field()).prop_map(|(key, ms, field)| format!("hpexpire {key} {ms} fields 1 {field}")),
        2 => (key(), field()).prop_map(|(key, field)| format!("hset {key} {field} 1")),
        2 => (key(), field()).prop_map(|(key, field)| format!("hget {key} {field}")),
        2 => (key(), field()).prop_map(|(key, field)| format!("hdel {key} {field}")),
        1 => (key(), field()).prop_map(|(key, field)| format!("hpersist {key} fields 1 {field}")),
        1 => (key(), field()).prop_map(|(key, field)| format!("hgetdel {key} fields 1 {field}")),
        1 => (key(), field()).prop_map(|(key, field)| format!("hgetex {key} px 30 fields 1 {field}")),
        1 => (key(), field()).prop_map(|(key, field)| format!("hincrby {key} {field} 1")),
        1 => key().prop_map(|key| format!("hrandfield {key} 2")),
        1 => key().prop_map(|key| format!("del {key}")),
        1 => key().prop_map(|key| format!("unlink {key}")),
        1 => key().prop_map(|key| format!("set {key} string")),
        1 => (key(), key()).prop_map(|(from, to)| format!("rename {from} {to}")),
        1 => (key(), key()).prop_map(|(from, to)| format!("copy {from} {to} replace")),
        1 => (key(), key()).prop_map(|(from, to)| format!("copy {from} {to} db 1")),
        1 => key().prop_map(|key| format!("move {key} 1")),
        1 => Just("swapdb 0 1".to_string()),
        1 => Just("flushdb".to_string()),
        1 => (key(), 1..50u32).prop_map(|(key, ms)| format!("pexpire {key} {ms}")),
        1 => key().prop_map(|key| format!("persist {key}")),
        2 => Just("advance".to_string()),
        2 => Just("step".to_string()),
    ]
}

proptest! {
    #[test]
    fn the_index_knows_every_hash_with_expiring_fields(
        commands in proptest::collection::vec(command(), 1..150),
        large in any::<bool>(),
    ) {
        let mut server = with_small_limits();
        if large {
            server.run("config set hash-max-listpack-entries 0");
        }
        for command in commands {
            match command.as_str() {
                "advance" => server.advance_ms(7),
                "step" => drop(removal::expire_fields_step(&mut server.state, 3)),
                command => drop(server.run(command)),
            }
            check_index(&server);
        }
        server.advance_ms(1000);
        while removal::expire_fields_step(&mut server.state, 10) {}
        check_index(&server);
        prop_assert!(server.state.keyspace.databases().all(|database| database.expiring_hashes() == 0));
    }
}

/// Replies are those of Valkey 9.1.
#[test]
fn hsetex_has_conditions_on_the_key() {
    let mut server = Harness::new();
    server.propagate();
    for (request, reply) in [
        ("hsetex h nx fields 1 a b", ":1\r\n"),
        ("hsetex h nx fields 1 a b", ":0\r\n"),
        ("hsetex h xx fields 1 a c", ":1\r\n"),
        ("hsetex q xx fields 1 a c", ":0\r\n"),
        ("exists q", ":0\r\n"),
        ("hsetex h NX XX fields 1 a b", "-ERR syntax error\r\n"),
        ("hsetex h NX FNX fields 1 z b", ":0\r\n"),
        ("hsetex h XX FNX EX 10 fields 1 z b", ":1\r\n"),
        ("hsetex h KEEPTTL XX XX fields 1 y b", ":1\r\n"),
        ("hget h a", "$1\r\nc\r\n"),
        ("httl h fields 1 z", "*1\r\n:10\r\n"),
    ] {
        server.expect(request, reply);
    }
    let log = String::from_utf8(server.take_propagated()).expect("plain text");
    let timed = "*9\r\n$6\r\nhsetex\r\n$1\r\nh\r\n$3\r\nFNX\r\n$4\r\nPXAT\r\n";
    assert!(log.contains(timed), "{log}");
    assert!(!log.contains("XX\r\n"), "{log}");
}
