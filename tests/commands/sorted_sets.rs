//! Sorted sets: every command, option and error, on both forms. Replies as Redis 7.2's (7.0.15 and 8.2 agree on them).

use oneloop::config::Config;
use oneloop::resp::Protocol;

use crate::support::Harness;

/// Servers that keep sorted sets packed, and never.
fn both() -> [Harness; 2] {
    [128, 0].map(|entries| Harness::with_config(Config { zset_max_listpack_entries: entries, ..Config::default() }))
}

/// A reply in short: arrays in brackets, everything else by its own text.
fn short(reply: &str) -> String {
    let mut rest = reply;
    let text = element(&mut rest);
    assert_eq!(rest, "", "one reply: {reply:?}");
    text
}

fn element(rest: &mut &str) -> String {
    let (line, after) = rest.split_once("\r\n").expect("a line");
    *rest = after;
    let (kind, text) = line.split_at(1);
    match kind {
        "$" if text == "-1" => "nil".into(),
        "$" => {
            let length: usize = text.parse().expect("a length");
            let value = &rest[..length];
            *rest = &rest[length + 2..];
            value.into()
        }
        "*" if text == "-1" => "nil array".into(),
        "*" => {
            let count: usize = text.parse().expect("a count");
            let elements: Vec<String> = (0..count).map(|_| element(rest)).collect();
            format!("[{}]", elements.join(" "))
        }
        "_" => "null".into(),
        _ => line.into(),
    }
}

trait Short {
    fn says(&mut self, words: &str, reply: &str);
}

impl Short for Harness {
    #[track_caller]
    fn says(&mut self, words: &str, reply: &str) {
        assert_eq!(short(&self.run(words)), reply, "{words}");
    }
}

#[test]
fn elements_are_added_under_conditions() {
    for mut server in both() {
        server.says("zadd z 1 a 2 b", ":2");
        server.says("zadd z 1 a 3 b 4 c", ":1");
        server.says("zadd z ch 1 a 2 b 5 c 6 d", ":3");
        server.says("zadd z nx 9 a 7 e", ":1");
        server.says("zadd z xx ch 9 a 7 f", ":1");
        server.says("zadd z gt ch 8 a 10 b 1 g", ":2");
        server.says("zadd z lt ch 8 a 11 b 2 g", ":1");
        server.says("zadd z incr 2.5 a", "10.5");
        server.says("zadd z nx incr 2.5 a", "nil");
        server.says("zadd z xx incr 2.5 new", "nil");
        server.says("zadd z gt incr -1 a", "nil");
        server.says("zadd z lt incr -1 a", "9.5");
        server.says("zincrby z -0.5 a", "9");
        server.says("zincrby z 3 new", "3");
        server.says("zrange z 0 -1 withscores", "[g 1 new 3 c 5 d 6 e 7 a 9 b 10]");
        server.says("zadd absent xx 1 a", ":0");
        server.says("exists absent", ":0");
        server.says("zadd z inf i -inf j", ":2");
        server.says("zadd z -inf i", ":0");
        server.says("zadd z incr +inf i", "-ERR resulting score is not a number (NaN)");
        server.says("zscore z i", "-inf");
    }
}

#[test]
fn adding_is_refused_as_by_redis() {
    let mut server = Harness::new();
    server.run("set text x");
    let apart = "GT, LT, and/or NX options at the same time are not compatible";
    for (words, error) in [
        ("zadd z 1", "wrong number of arguments for 'zadd' command"),
        ("zadd z nx 1", "syntax error"),
        ("zadd z 1 a 2", "syntax error"),
        ("zadd z nx xx 1 a", "XX and NX options at the same time are not compatible"),
        ("zadd z gt nx 1 a", apart),
        ("zadd z lt nx 1 a", apart),
        ("zadd z gt lt 1 a", apart),
        ("zadd z incr 1 a 2 b", "INCR option supports a single increment-element pair"),
        ("zadd z x a", "value is not a valid float"),
        ("zadd z 1 a nan b", "value is not a valid float"),
        ("zadd text x a", "value is not a valid float"),
        ("zincrby z nx 1", "syntax error"),
    ] {
        server.says(words, &format!("-ERR {error}"));
    }
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    for words in [
        "zadd text 1 a",
        "zincrby text 1 a",
        "zrem text a",
        "zcard text",
        "zscore text a",
        "zmscore text a",
        "zrank text a",
        "zcount text 1 2",
        "zlexcount text - +",
        "zrange text 0 -1",
        "zrangestore z text 0 -1",
        "zremrangebyrank text 0 -1",
        "zpopmin text",
        "zpopmin text 0",
        "zmpop 2 z text min",
        "bzpopmin z text 0",
        "zrandmember text",
        "zrandmember text 3",
        "zscan text 0",
        "zunion 2 z text foo",
    ] {
        server.says(words, wrong_type);
    }
    server.says("exists z", ":0");
}

#[test]
fn members_are_asked_for() {
    for mut server in both() {
        server.run("zadd z 1 a 2.5 b -3 c 17 10");
        server.says("zcard z", ":4");
        server.says("zcard absent", ":0");
        server.says("zscore z b", "2.5");
        server.says("zscore z 10", "17");
        server.says("zscore z x", "nil");
        server.says("zscore absent x", "nil");
        server.says("zmscore z a x c", "[1 nil -3]");
        server.says("zmscore absent a b", "[nil nil]");
        server.says("zrank z c", ":0");
        server.says("zrevrank z c", ":3");
        server.says("zrank z b withscore", "[:2 2.5]");
        server.says("zrevrank z b WITHSCORE", "[:1 2.5]");
        server.says("zrank z x", "nil");
        server.says("zrank z x withscore", "nil array");
        server.says("zrank absent x withscore", "nil array");
        server.says("zrank z a foo", "-ERR syntax error");
        server.says("zrank z a withscore x", "-ERR wrong number of arguments for 'zrank' command");
        server.says("zcount z -inf +inf", ":4");
        server.says("zcount z (1 2.5", ":1");
        server.says("zcount z 3 2", ":0");
        server.says("zcount absent 1 2", ":0");
        server.says("zcount z (1 (nan", "-ERR min or max is not a float");
        server.set_protocol(Protocol::Resp3);
        server.says("zscore z b", ",2.5");
        server.says("zscore z x", "null");
        server.says("zmscore z a x", "[,1 null]");
        server.says("zrank z x withscore", "null");
    }
}

#[test]
fn ranges_are_read_by_rank_and_score() {
    for mut server in both() {
        server.run("zadd z 1 a 2 b 3 c 4 d 5 e");
        server.says("zrange z 1 3", "[b c d]");
        server.says("zrange z -2 100", "[d e]");
        server.says("zrange z 3 1", "[]");
        server.says("zrange z 0 1 rev", "[e d]");
        server.says("zrevrange z 0 1 withscores", "[e 5 d 4]");
        server.says("zrange absent 0 -1", "[]");
        server.says("zrange z (1 3 byscore", "[b c]");
        server.says("zrange z 4 (2 byscore rev withscores", "[d 4 c 3]");
        server.says("zrange z -inf inf byscore limit 1 2", "[b c]");
        server.says("zrange z inf -inf byscore rev limit 1 2", "[d c]");
        server.says("zrange z -inf inf byscore limit -1 2", "[]");
        server.says("zrange z -inf inf byscore limit 3 -1", "[d e]");
        server.says("zrange z -inf inf byscore limit 9 1", "[]");
        server.says("zrangebyscore z 2 4 limit 0 1 withscores", "[b 2]");
        server.says("zrevrangebyscore z 4 2", "[d c b]");
        server.says("zrevrangebyscore z 4 2 limit 2 5", "[b]");
        server.says("zrange z 0 -1 limit 0 -1", "[a b c d e]");
        server.set_protocol(Protocol::Resp3);
        server.says("zrange z 0 1 withscores", "[[a ,1] [b ,2]]");
        server.says("zrevrangebyscore z 2 -inf withscores", "[[b ,2] [a ,1]]");
        server.says("zrange absent 0 -1 withscores", "[]");
    }
    let mut server = Harness::new();
    for (words, error) in [
        (
            "zrange z 0 -1 limit 0 1",
            "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
        ),
        ("zrange z - + bylex withscores", "syntax error, WITHSCORES not supported in combination with BYLEX"),
        ("zrange z 0 x", "value is not an integer or out of range"),
        ("zrange z 0 1 foo", "syntax error"),
        ("zrange z 0 1 bylex byscore", "syntax error"),
        ("zrange z 0 1 byscore limit 0", "syntax error"),
        ("zrange z 0 1 byscore limit x 1", "value is not an integer or out of range"),
        ("zrevrange z 0 1 rev", "syntax error"),
        ("zrangebyscore z 0 1 bylex", "syntax error"),
        ("zrangestore d z 0 1 withscores", "syntax error"),
        ("zrange z [a b bylex", "min or max not valid string range item"),
        ("zrangebyscore z a b", "min or max is not a float"),
    ] {
        server.says(words, &format!("-ERR {error}"));
    }
}

#[test]
fn ranges_are_read_by_member() {
    for mut server in both() {
        server.run("zadd z 0 a 0 b 0 c 0 d 0 10 0 9");
        server.says("zrange z - + bylex", "[10 9 a b c d]");
        server.says("zrangebylex z [a (c", "[a b]");
        server.says("zrangebylex z (9 +  limit 1 2".replace("  ", " ").as_str(), "[b c]");
        server.says("zrevrangebylex z + (b", "[d c]");
        server.says("zrange z [b [9 bylex rev", "[b a 9]");
        server.says("zrangebylex z + -", "[]");
        server.says("zlexcount z - +", ":6");
        server.says("zlexcount z [1 (a", ":2");
        server.says("zlexcount absent - +", ":0");
        server.says("zremrangebylex z [10 [a", ":3");
        server.says("zrange z 0 -1", "[b c d]");
    }
}

#[test]
fn elements_are_removed() {
    for mut server in both() {
        server.run("zadd z 1 a 2 b 3 c 4 d 5 e 6 f");
        server.says("zrem z a x b", ":2");
        server.says("zremrangebyrank z 0 0", ":1");
        server.says("zremrangebyscore z (4 5", ":1");
        server.says("zremrangebyscore z 7 8", ":0");
        server.says("zrange z 0 -1", "[d f]");
        server.says("zrem z d f x", ":2");
        server.says("exists z", ":0");
        server.says("zrem z d", ":0");
        server.says("zremrangebyrank z 0 -1", ":0");
        server.says("zremrangebyrank z x -1", "-ERR value is not an integer or out of range");
        server.says("zremrangebyscore z x 1", "-ERR min or max is not a float");
        server.run("zadd z 1 a 2 b");
        server.says("zremrangebyrank z 0 -1", ":2");
        server.says("exists z", ":0");
    }
}

#[test]
fn a_range_is_stored() {
    for mut server in both() {
        server.run("zadd z 1 a 2 b 3 c 4 d");
        server.says("zrangestore to z 1 2", ":2");
        server.says("zrange to 0 -1 withscores", "[b 2 c 3]");
        server.says("zrangestore z z (4 -inf byscore rev limit 0 2", ":2");
        server.says("zrange z 0 -1 withscores", "[b 2 c 3]");
        server.says("zrangestore to z 5 6", ":0");
        server.says("exists to", ":0");
        server.run("set text x");
        server.says("zrangestore text z 0 0", ":1");
        server.says("type text", "+zset");
        server.says("zrangestore to absent 0 -1", ":0");
        // What is stored is not what it was taken from.
        server.run("zrangestore copy z 0 -1");
        server.run("zadd copy 9 b");
        server.says("zscore z b", "2");
        server.says("zscore copy b", "9");
    }
}

#[test]
fn elements_are_popped() {
    for mut server in both() {
        server.run("zadd z 1 a 2 b 3 c 4 d 5 e 6 f 7 g");
        server.says("zpopmin z", "[a 1]");
        server.says("zpopmax z 2", "[g 7 f 6]");
        server.says("zpopmin z 0", "[]");
        server.says("zpopmin absent 3", "[]");
        server.says("zmpop 2 absent z max", "[z [[e 5]]]");
        server.says("zmpop 1 z min count 2", "[z [[b 2] [c 3]]]");
        server.says("bzpopmin absent z 0", "[z d 4]");
        server.says("exists z", ":0");
        server.says("zmpop 1 z min", "nil array");
        server.run("zadd z 1 a 2 b 3 c");
        server.says("zpopmax z 9", "[c 3 b 2 a 1]");
        server.says("exists z", ":0");
        server.run("zadd z 1 a 2 b 3 c");
        server.says("bzmpop 0.5 1 z max count 2", "[z [[c 3] [b 2]]]");
        server.says("bzpopmax z 1", "[z a 1]");
        server.run("zadd z 1 a 2 b 3 c");
        server.set_protocol(Protocol::Resp3);
        server.says("zpopmin z", "[a ,1]");
        server.says("zpopmin z 1", "[[b ,2]]");
        server.says("bzpopmin z 0", "[z c ,3]");
    }
    let mut server = Harness::new();
    for (words, error) in [
        ("zpopmin z -1", "value is out of range, must be positive"),
        ("zpopmin z x", "value is out of range, must be positive"),
        ("zpopmin z 1 2", "syntax error"),
        ("zmpop 0 z min", "numkeys should be greater than 0"),
        ("zmpop x z min", "numkeys should be greater than 0"),
        ("zmpop 2 z min", "syntax error"),
        ("zmpop 1 z foo", "syntax error"),
        ("zmpop 1 z min count 0", "count should be greater than 0"),
        ("zmpop 1 z min count 1 count 1", "syntax error"),
        ("zmpop 1 z min count", "syntax error"),
        ("zmpop 9223372036854775807 z min", "syntax error"),
        ("bzpopmin z x", "timeout is not a float or out of range"),
        ("bzpopmin z -1", "timeout is negative"),
        ("bzmpop x 1 z min", "timeout is not a float or out of range"),
        ("bzmpop x 0 z min", "numkeys should be greater than 0"),
    ] {
        server.says(words, &format!("-ERR {error}"));
    }
}

#[test]
fn who_waits_is_served_when_elements_come() {
    let mut server = Harness::new();
    let waiting = [server.connect(), server.connect()];
    let pop = |server: &mut Harness, client, words: &str| {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        server.run_as(client, &args)
    };
    assert!(pop(&mut server, waiting[0], "bzpopmax y z 0").is_empty());
    assert!(pop(&mut server, waiting[1], "bzmpop 0 2 z y min count 3").is_empty());
    server.says("zadd z 1 a 2 b 3 c", ":3");
    let reply = |server: &mut Harness, client| short(&String::from_utf8_lossy(&server.pushed(client)));
    assert_eq!(reply(&mut server, waiting[0]), "[z c 3]");
    assert_eq!(reply(&mut server, waiting[1]), "[z [[a 1] [b 2]]]");
    server.says("exists z", ":0");
    assert!(pop(&mut server, waiting[0], "bzpopmin z 0").is_empty());
    server.run("zadd other 5 x");
    server.run("zunionstore z 1 other");
    assert_eq!(reply(&mut server, waiting[0]), "[z x 5]");
}

#[test]
fn sorted_sets_are_joined() {
    for mut server in both() {
        server.run("zadd x 1 a 2 b 3 c");
        server.run("zadd y 10 b 20 c 30 d");
        server.says("zunion 2 x y withscores", "[a 1 b 12 c 23 d 30]");
        server.says("zunion 2 x y", "[a b c d]");
        server.says("zinter 2 x y weights 2 -1 withscores", "[c -14 b -6]");
        server.says("zinter 2 x y aggregate max withscores", "[b 10 c 20]");
        server.says("zunion 2 x y aggregate min withscores", "[a 1 b 2 c 3 d 30]");
        server.says("zunion 2 x y weights 3 1 aggregate count withscores", "[d 1 a 3 b 4 c 4]");
        server.says("zdiff 2 x y withscores", "[a 1]");
        server.says("zdiff 2 y x", "[d]");
        server.says("zunionstore to 2 x y weights 0.5 1 aggregate sum", ":4");
        server.says("zrange to 0 -1 withscores", "[a 0.5 b 11 c 21.5 d 30]");
        server.says("zinterstore to 3 x y absent", ":0");
        server.says("exists to", ":0");
        server.says("zinterstore x 2 x y", ":2");
        server.says("zrange x 0 -1 withscores", "[b 12 c 23]");
        server.says("zdiffstore y 2 y x", ":1");
        server.says("zrange y 0 -1 withscores", "[d 30]");
        server.run("zadd w 1 a 2 b 3 c");
        server.says("zintercard 2 w x", ":2");
        server.says("zintercard 2 w x limit 1", ":1");
        server.says("zintercard 2 w x limit 0", ":2");
        server.says("zintercard 2 w absent", ":0");
        server.run("zadd i inf a");
        server.run("zadd j -inf a");
        server.says("zunion 2 i j withscores", "[a 0]");
        server.says("zunion 1 i weights 0 withscores", "[a 0]");
        server.set_protocol(Protocol::Resp3);
        server.says("zunion 1 w withscores", "[[a ,1] [b ,2] [c ,3]]");
    }
    let mut server = Harness::new();
    for (words, error) in [
        ("zunion 0 z", "at least 1 input key is needed for 'zunion' command"),
        ("zunionstore d -1 z", "at least 1 input key is needed for 'zunionstore' command"),
        ("zunion x z", "value is not an integer or out of range"),
        ("zunion 2 z", "syntax error"),
        ("zunion 9223372036854775807 z", "syntax error"),
        ("zunion 1 z weights", "syntax error"),
        ("zunion 1 z weights x", "weight value is not a float"),
        ("zunion 1 z aggregate foo", "syntax error"),
        ("zdiff 1 z weights 1", "syntax error"),
        ("zunionstore d 1 z withscores", "syntax error"),
        ("zintercard 1 z withscores", "syntax error"),
        ("zintercard 1 z limit -1", "LIMIT can't be negative"),
        ("zintercard 1 z limit x", "LIMIT can't be negative"),
    ] {
        server.says(words, &format!("-ERR {error}"));
    }
}

#[test]
fn sets_take_part_with_a_score_of_one() {
    for mut server in both() {
        for members in ["1 2 3", "a 1 2", "a 1 2 x3 x4 x5"] {
            server.run("del s u");
            server.run(&format!("sadd s {members}"));
            server.run("zadd z 10 1 20 2 30 c");
            server.says("zinter 2 s z withscores", "[1 11 2 21]");
            server.says("zinter 2 s z weights 5 1 aggregate max withscores", "[1 10 2 20]");
            server.says("zintercard 2 z s", ":2");
            server.says("zdiff 2 z s", "[c]");
            server.says("zunionstore u 2 s z weights 100 1", &format!(":{}", members.split(' ').count() + 1));
            server.says("zscore u 2", "120");
            server.says("zscore u c", "30");
        }
        server.says("zunionstore s 1 s", ":6");
        server.says("type s", "+zset");
    }
}

#[test]
fn members_are_drawn() {
    for mut server in both() {
        server.run("zadd z 1 a 2 b 3 c");
        let one = short(&server.run("zrandmember z"));
        assert!(["a", "b", "c"].contains(&one.as_str()), "{one}");
        server.says("zrandmember absent", "nil");
        server.says("zrandmember absent 2", "[]");
        server.says("zrandmember z 0", "[]");
        server.says("zrandmember z 9 withscores", "[a 1 b 2 c 3]");
        for _ in 0..50 {
            let two = short(&server.run("zrandmember z 2"));
            let members: Vec<&str> = two.trim_matches(['[', ']']).split(' ').collect();
            assert!(members.len() == 2 && members[0] != members[1], "{two}");
        }
        let many = short(&server.run("zrandmember z -20"));
        assert_eq!(many.split(' ').count(), 20);
        server.set_protocol(Protocol::Resp3);
        server.run("zremrangebyrank z 1 2");
        server.says("zrandmember z -2 withscores", "[[a ,1] [a ,1]]");
    }
    let mut server = Harness::new();
    for (words, error) in [
        ("zrandmember z x", "value is not an integer or out of range"),
        (
            "zrandmember z -9223372036854775808",
            "value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ),
        ("zrandmember z 1 foo", "syntax error"),
        ("zrandmember z 1 withscores x", "syntax error"),
        ("zrandmember z 9223372036854775807 withscores", "value is out of range"),
    ] {
        server.says(words, &format!("-ERR {error}"));
    }
}

#[test]
fn every_member_is_drawn_sometimes() {
    let mut server = Harness::new();
    for number in 0..300 {
        server.run(&format!("zadd z {number} m{number}"));
    }
    for count in [20, 200] {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..400 / (count / 20) {
            let drawn = short(&server.run(&format!("zrandmember z {count}")));
            let members: Vec<String> = drawn.trim_matches(['[', ']']).split(' ').map(str::to_string).collect();
            let distinct: std::collections::HashSet<_> = members.iter().cloned().collect();
            assert_eq!(distinct.len(), count);
            seen.extend(distinct);
        }
        assert_eq!(seen.len(), 300);
    }
}

#[test]
fn a_walk_shows_everything() {
    let mut server = Harness::new();
    server.run("zadd z 1.5 a 0.1 b 3 c");
    server.says("zscan z 0", "[0 [b 0.1 a 1.5 c 3]]");
    server.says("zscan z 0 match [ab]", "[0 [b 0.1 a 1.5]]");
    server.says("zscan z 17 count 1 noscores", "[0 [b a c]]");
    server.says("zscan absent 0 foo bar", "[0 []]");
    server.says("zscan z 0 foo bar", "-ERR syntax error");
    server.says("zscan z 0 count 0", "-ERR syntax error");
    server.says("zscan z x", "-ERR invalid cursor");
    server.run("config set zset-max-listpack-entries 0");
    server.run("zadd large 0.1 a");
    // The large form's scores have all their digits, as in Redis.
    server.says("zscan large 0", "[0 [a 0.10000000000000001]]");
    for number in 0..1000 {
        server.run(&format!("zadd large {number} m{number}"));
    }
    let mut seen = std::collections::HashSet::new();
    let mut cursor = "0".to_string();
    loop {
        let reply = short(&server.run(&format!("zscan large {cursor} count 50 noscores")));
        let (next, members) = reply[1..].split_once(" [").expect("two elements");
        seen.extend(members.trim_matches(']').split(' ').map(str::to_string));
        cursor = next.to_string();
        if cursor == "0" {
            break;
        }
    }
    seen.remove("");
    assert_eq!(seen.len(), 1001);
}

#[test]
fn the_limits_decide_the_encoding() {
    let mut server =
        Harness::with_config(Config { zset_max_listpack_entries: 3, zset_max_listpack_value: 5, ..Config::default() });
    let encoding = |server: &mut Harness, key: &str| short(&server.run(&format!("object encoding {key}")));
    server.run("zadd z 1 a 2 b 3 c");
    assert_eq!(encoding(&mut server, "z"), "listpack");
    server.run("zadd z 4 d");
    assert_eq!(encoding(&mut server, "z"), "skiplist");
    server.run("zrem z c d");
    assert_eq!(encoding(&mut server, "z"), "skiplist");
    server.run("zunionstore u 1 z");
    assert_eq!(encoding(&mut server, "u"), "listpack");
    server.run("zrangestore r z 0 -1");
    assert_eq!(encoding(&mut server, "r"), "listpack");
    server.run("zadd long 1 sixsix");
    assert_eq!(encoding(&mut server, "long"), "skiplist");
    server.run("zunionstore u 2 z long");
    assert_eq!(encoding(&mut server, "u"), "skiplist");
    // As many as are about to be added count, even if they turn out to be the same.
    server.run("zadd many 1 a 1 a 1 a 1 a");
    assert_eq!(encoding(&mut server, "many"), "skiplist");
}

#[test]
fn a_large_one_is_copied_and_changed_apart() {
    let mut server = Harness::new();
    for number in 0..1000 {
        server.run(&format!("zadd z {number} m{number}"));
    }
    server.says("copy z other", ":1");
    server.run("zremrangebyrank z 0 899");
    server.run("zincrby z 0.5 m950");
    server.run("zadd other 5000 m950");
    server.says("zcard z", ":100");
    server.says("zcard other", ":1000");
    server.says("zscore z m950", "950.5");
    server.says("zrank other m950", ":999");
    server.says("zrank other m0", ":0");
}

#[test]
fn zeros_have_a_sign_in_the_large_form_alone() {
    let [mut packed, mut large] = both();
    for server in [&mut packed, &mut large] {
        server.run("zadd z -0 b 0 a");
        server.says("zrange z 0 -1", "[a b]");
    }
    packed.says("zscore z b", "0");
    large.says("zscore z b", "-0");
    large.says("zincrby z 0 b", "0");
}

#[test]
fn changes_are_counted_and_told_of() {
    for mut server in both() {
        let mut run = |words: &str, changes: u64, events: &[&str]| {
            let before = server.state.keyspace.changes.total();
            let told = server.events(words);
            assert_eq!(told, events, "{words}");
            let after = server.state.keyspace.changes.total();
            assert_eq!(after - before, changes, "{words}");
        };
        run("zadd z 1 a 2 b 3 c 4 d", 4, &["0:new z", "0:zadd z"]);
        run("zadd z 1 a 5 b 6 e", 2, &["0:zadd z"]);
        run("zadd z 1 a", 0, &[]);
        run("zadd z incr 1 a", 1, &["0:zincr z"]);
        run("zincrby z 0 a", 0, &[]);
        run("zrem z a x b", 2, &["0:zrem z"]);
        run("zrem z x", 0, &[]);
        run("zrangestore to z 0 1", 1, &["0:new to", "0:zrangestore to"]);
        run("zunionstore to 1 z", 1, &["0:zunionstore to"]);
        run("zinterstore to 1 z", 1, &["0:zinterstore to"]);
        run("zdiffstore to 1 z", 1, &["0:zdiffstore to"]);
        run("zdiffstore to 2 z z", 1, &["0:del to"]);
        run("zdiffstore to 2 z z", 0, &[]);
        run("zremrangebyrank z 0 0", 1, &["0:zremrangebyrank z"]);
        run("zpopmin z", 1, &["0:zpopmin z"]);
        run("zremrangebyscore z 100 200", 0, &[]);
        run("zpopmax z 5", 1, &["0:zpopmax z", "0:del z"]);
        run("zadd z 1 a 1 b", 2, &["0:new z", "0:zadd z"]);
        run("zremrangebylex z - +", 2, &["0:zremrangebylex z", "0:del z"]);
        run("zadd z 1 a 2 b", 2, &["0:new z", "0:zadd z"]);
        run("zremrangebyscore z 0 5", 2, &["0:zremrangebyscore z", "0:del z"]);
        run("zadd z 1 a 2 b", 2, &["0:new z", "0:zadd z"]);
        run("zrem z a b c", 2, &["0:zrem z", "0:del z"]);
    }
}

#[test]
fn an_expired_one_is_not_there() {
    let mut server = Harness::new();
    server.run("zadd z 1 a");
    server.run("pexpire z 10");
    server.run("zadd to 1 x");
    server.advance_ms(20);
    server.says("zunionstore to 1 z", ":0");
    server.says("exists to", ":0");
    server.run("zadd z 1 a");
    server.run("pexpire z 10");
    server.run("zadd z 2 b");
    server.says("pttl z", ":10");
    server.run("zunionstore z 1 z");
    server.says("pttl z", ":-1");
}
