//! Lists: every command, option and error, what is told of them and what they count, in both forms.

use oneloop::config::Config;
use oneloop::engine::session::{Blocked, Token};
use oneloop::resp::Protocol;

use crate::support::Harness;

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
const NOT_AN_INTEGER: &str = "-ERR value is not an integer or out of range\r\n";
const MUST_BE_POSITIVE: &str = "-ERR value is out of range, must be positive\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
const NULL: &str = "$-1\r\n";
const NULL_ARRAY: &str = "*-1\r\n";

fn array(elements: &[&str]) -> String {
    let bulks = elements.iter().map(|element| bulk(element));
    format!("*{}\r\n{}", elements.len(), bulks.collect::<String>())
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// A server with a list of these elements, small or made large by one more element at its end.
fn with_list(key: &str, elements: &str, is_large: bool) -> Harness {
    let mut server = Harness::new();
    server.run(&format!("RPUSH {key} {elements}"));
    if is_large {
        server.run(&format!("RPUSH {key} {}", large()));
    }
    let encoding = if is_large { "quicklist" } else { "listpack" };
    server.expect(&format!("OBJECT ENCODING {key}"), &bulk(encoding));
    server
}

fn large() -> String {
    "x".repeat(10_000)
}

#[track_caller]
fn expect_list(server: &mut Harness, key: &str, elements: &[&str]) {
    server.expect(&format!("LRANGE {key} 0 -1"), &array(elements));
}

/// How many changes a command counts.
fn changes_of(server: &mut Harness, words: &str) -> u64 {
    let before = server.state.keyspace.changes.total();
    server.run(words);
    server.state.keyspace.changes.total() - before
}

#[test]
fn elements_go_in_at_either_end() {
    let mut server = Harness::new();
    server.expect("LPUSH list a b c", ":3\r\n");
    server.expect("RPUSH list d", ":4\r\n");
    server.expect("LPUSHX list e f", ":6\r\n");
    server.expect("RPUSHX list g", ":7\r\n");
    expect_list(&mut server, "list", &["f", "e", "c", "b", "a", "d", "g"]);
    server.expect("LPUSHX none a", ":0\r\n");
    server.expect("RPUSHX none a", ":0\r\n");
    server.expect("EXISTS none", ":0\r\n");
    server.expect("TYPE list", "+list\r\n");
    server.expect("SET string x", "+OK\r\n");
    for command in ["LPUSH", "RPUSH", "LPUSHX", "RPUSHX"] {
        server.expect(&format!("{command} string a"), WRONG_TYPE);
        let name = command.to_lowercase();
        let error = format!("-ERR wrong number of arguments for '{name}' command\r\n");
        server.expect(&format!("{command} list"), &error);
    }
}

#[test]
fn texts_of_all_kinds_come_out_as_they_went_in() {
    let long = "y".repeat(5000);
    let texts = [
        "",
        "0",
        "-1",
        "127",
        "4096",
        "-32769",
        "9223372036854775807",
        "9223372036854775808",
        "007",
        "+1",
        " 1",
        "1.5",
        &long,
    ];
    for is_large in [false, true] {
        let mut server = with_list("list", "start", is_large);
        for text in texts {
            server.run_args(&[b"LPUSH", b"list", text.as_bytes()]);
            server.expect("LINDEX list 0", &bulk(text));
            let found = server.run_args(&[b"LPOS", b"list", text.as_bytes()]);
            assert_eq!(found, ":0\r\n", "{text}");
            server.expect("LPOP list", &bulk(text));
        }
    }
}

#[test]
fn elements_come_out_at_either_end() {
    for is_large in [false, true] {
        let mut server = with_list("list", "a b c d e f", is_large);
        server.expect("LPOP list", &bulk("a"));
        server.expect("LPOP list 2", &array(&["b", "c"]));
        server.expect("LPOP list 0", "*0\r\n");
        if is_large {
            server.expect("RPOP list", &bulk(&large()));
        }
        server.expect("RPOP list 1", &array(&["f"]));
        server.expect("RPOP list 100", &array(&["e", "d"]));
        server.expect("EXISTS list", ":0\r\n");
        server.expect("LPOP list", NULL);
        server.expect("LPOP list 1", NULL_ARRAY);
        server.expect("RPOP list 0", NULL_ARRAY);
        server.set_protocol(Protocol::Resp3);
        server.expect("LPOP list", "_\r\n");
        server.expect("LPOP list 1", "_\r\n");
    }
    let mut server = Harness::new();
    server.run("SET string x");
    for command in ["LPOP", "RPOP"] {
        server.expect(&format!("{command} string"), WRONG_TYPE);
        server.expect(&format!("{command} string 0"), WRONG_TYPE);
        for count in ["-1", "x", "9223372036854775808", ""] {
            server.expect(&format!("{command} string {count}"), MUST_BE_POSITIVE);
        }
        let name = command.to_lowercase();
        let error = format!("-ERR wrong number of arguments for '{name}' command\r\n");
        server.expect(&format!("{command} string 1 2"), &error);
    }
}

#[test]
fn the_first_list_that_has_any_gives_several() {
    for is_large in [false, true] {
        let mut server = with_list("list", "a b c", is_large);
        server.expect("LMPOP 2 none list LEFT", &format!("*2\r\n{}{}", bulk("list"), array(&["a"])));
        server.expect("LMPOP 1 list left COUNT 2", &format!("*2\r\n{}{}", bulk("list"), array(&["b", "c"])));
        let rest = server.run("LMPOP 1 list RIGHT count 10");
        let expected =
            if is_large { format!("*2\r\n{}{}", bulk("list"), array(&[&large()])) } else { NULL_ARRAY.to_string() };
        assert_eq!(rest, expected);
        server.expect("EXISTS list", ":0\r\n");
    }
    let mut server = Harness::new();
    server.run("SET string x");
    server.expect("LMPOP 2 string list LEFT", WRONG_TYPE);
    server.expect("LMPOP 2 none none LEFT COUNT 5", NULL_ARRAY);
    for (words, error) in [
        ("LMPOP 0 list LEFT", "-ERR numkeys should be greater than 0\r\n"),
        ("LMPOP x list LEFT", "-ERR numkeys should be greater than 0\r\n"),
        ("LMPOP 2 list LEFT", SYNTAX),
        ("LMPOP 9223372036854775807 list LEFT", SYNTAX),
        ("LMPOP 1 list UP", SYNTAX),
        ("LMPOP 1 list LEFT COUNT", SYNTAX),
        ("LMPOP 1 list LEFT FOO 1", SYNTAX),
        ("LMPOP 1 list LEFT COUNT 1 COUNT 2", SYNTAX),
        ("LMPOP 1 list LEFT COUNT 0", "-ERR count should be greater than 0\r\n"),
        ("LMPOP 1 list LEFT COUNT x", "-ERR count should be greater than 0\r\n"),
    ] {
        server.expect(words, error);
    }
}

#[test]
fn elements_are_found_by_index() {
    for is_large in [false, true] {
        let mut server = with_list("list", "a b c", is_large);
        let length = if is_large { 4 } else { 3 };
        server.expect("LLEN list", &format!(":{length}\r\n"));
        server.expect("LINDEX list 1", &bulk("b"));
        server.expect(&format!("LINDEX list -{length}"), &bulk("a"));
        server.expect(&format!("LINDEX list {length}"), NULL);
        server.expect("LINDEX list -5", NULL);
        server.expect("LINDEX list -9223372036854775808", NULL);
        server.expect("LRANGE list 1 2", &array(&["b", "c"]));
        server.expect(&format!("LRANGE list -{length} 0"), &array(&["a"]));
        server.expect("LRANGE list 2 1", "*0\r\n");
        server.expect("LRANGE list 100 200", "*0\r\n");
        server.expect("LRANGE list 0 -100", "*0\r\n");
        server.expect("LRANGE list -9223372036854775808 0", &array(&["a"]));
        server.expect("LRANGE list 1 x", NOT_AN_INTEGER);
        server.expect("LSET list 1 changed", "+OK\r\n");
        server.expect("LINDEX list 1", &bulk("changed"));
        server.expect(&format!("LSET list 1 {}", large()), "+OK\r\n");
        server.expect("OBJECT ENCODING list", &bulk("quicklist"));
        server.expect("LINDEX list 1", &bulk(&large()));
        server.expect("LINDEX list 2", &bulk("c"));
        server.expect("LSET list 4 x", "-ERR index out of range\r\n");
        server.expect("LSET list x x", NOT_AN_INTEGER);
    }
    let mut server = Harness::new();
    server.run("SET string x");
    server.expect("LLEN none", ":0\r\n");
    server.expect("LINDEX none x", NULL);
    server.expect("LRANGE none 0 -1", "*0\r\n");
    server.expect("LRANGE none 0 x", NOT_AN_INTEGER);
    server.expect("LSET none x x", "-ERR no such key\r\n");
    server.expect("LLEN string", WRONG_TYPE);
    server.expect("LINDEX string x", WRONG_TYPE);
    server.expect("LRANGE string 0 0", WRONG_TYPE);
    server.expect("LSET string x x", WRONG_TYPE);
}

#[test]
fn what_lies_outside_is_trimmed() {
    for is_large in [false, true] {
        let mut server = with_list("list", "a b c d e", is_large);
        server.expect("LTRIM list 1 3", "+OK\r\n");
        expect_list(&mut server, "list", &["b", "c", "d"]);
        server.expect("OBJECT ENCODING list", &bulk("listpack"));
        server.expect("LTRIM list -2 100", "+OK\r\n");
        expect_list(&mut server, "list", &["c", "d"]);
        server.expect("LTRIM list 5 10", "+OK\r\n");
        server.expect("EXISTS list", ":0\r\n");
    }
    let mut server = Harness::new();
    server.run("SET string x");
    server.expect("LTRIM none 0 1", "+OK\r\n");
    server.expect("LTRIM none 0 x", NOT_AN_INTEGER);
    server.expect("LTRIM string 0 1", WRONG_TYPE);
}

#[test]
fn equal_elements_are_removed() {
    for is_large in [false, true] {
        let mut server = with_list("list", "1 a 1 b 1 c 1", is_large);
        server.expect("LREM list 1 1", ":1\r\n");
        server.expect("LREM list -2 1", ":2\r\n");
        server.expect("LRANGE list 0 3", &array(&["a", "1", "b", "c"]));
        server.expect("LREM list 0 none", ":0\r\n");
        server.expect("LREM list 9 1", ":1\r\n");
        server.run(&format!("LREM list 0 {}", large()));
        for element in ["a", "b", "c"] {
            server.expect(&format!("LREM list 0 {element}"), ":1\r\n");
        }
        server.expect("EXISTS list", ":0\r\n");
    }
    let mut server = Harness::new();
    server.run("SET string x");
    server.expect("LREM none 0 x", ":0\r\n");
    server.expect("LREM none x x", NOT_AN_INTEGER);
    server.expect("LREM string 0 x", WRONG_TYPE);
    server.expect(
        "LREM none -9223372036854775808 x",
        "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807\r\n",
    );
}

#[test]
fn elements_go_in_beside_others() {
    for is_large in [false, true] {
        let mut server = with_list("list", "a b c", is_large);
        let length = if is_large { 4 } else { 3 };
        server.expect("LINSERT list BEFORE a x", &format!(":{}\r\n", length + 1));
        server.expect("LINSERT list after c y", &format!(":{}\r\n", length + 2));
        server.expect("LINSERT list BEFORE b z", &format!(":{}\r\n", length + 3));
        server.expect("LRANGE list 0 5", &array(&["x", "a", "z", "b", "c", "y"]));
        server.expect("LINSERT list BEFORE none z", ":-1\r\n");
    }
    let mut server = Harness::new();
    server.run("SET string x");
    server.expect("LINSERT none AFTER a b", ":0\r\n");
    server.expect("LINSERT string BESIDE a b", SYNTAX);
    server.expect("LINSERT string AFTER a b", WRONG_TYPE);
}

#[test]
fn positions_of_equal_elements() {
    for is_large in [false, true] {
        let mut server = with_list("list", "a b c 1 2 3 c c", is_large);
        for (options, reply) in [
            ("c", ":2\r\n"),
            ("1", ":3\r\n"),
            ("d", NULL),
            ("c RANK 2", ":6\r\n"),
            ("c RANK -1", ":7\r\n"),
            ("c rank 4", NULL),
            ("c COUNT 0", "*3\r\n:2\r\n:6\r\n:7\r\n"),
            ("c COUNT 2", "*2\r\n:2\r\n:6\r\n"),
            ("c RANK 2 COUNT 5", "*2\r\n:6\r\n:7\r\n"),
            ("c COUNT 2 RANK -1", "*2\r\n:7\r\n:6\r\n"),
            ("d COUNT 2", "*0\r\n"),
            ("c COUNT 0 MAXLEN 7", "*2\r\n:2\r\n:6\r\n"),
            ("c MAXLEN 2", NULL),
            ("c MAXLEN 0", ":2\r\n"),
            ("c RANK 1 RANK 2", ":6\r\n"),
            ("c RANK", SYNTAX),
            ("c FOO 1", SYNTAX),
            ("c RANK x", NOT_AN_INTEGER),
            (
                "c RANK 0",
                "-ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start \
                 from the end of the list\r\n",
            ),
            ("c COUNT -1", "-ERR COUNT can't be negative\r\n"),
            ("c COUNT x", "-ERR COUNT can't be negative\r\n"),
            ("c MAXLEN -1", "-ERR MAXLEN can't be negative\r\n"),
        ] {
            server.expect(&format!("LPOS list {options}"), reply);
        }
    }
    let mut server = Harness::new();
    server.run("SET string x");
    server.expect("LPOS none a", NULL);
    server.expect("LPOS none a COUNT 1", "*0\r\n");
    server.expect("LPOS string a", WRONG_TYPE);
    server.set_protocol(Protocol::Resp3);
    server.expect("LPOS none a", "_\r\n");
}

#[test]
fn elements_move_between_lists() {
    for is_large in [false, true] {
        let mut server = with_list("list", "a b c d", is_large);
        server.expect("LMOVE list other LEFT right", &bulk("a"));
        server.expect("LMOVE list other LEFT left", &bulk("b"));
        expect_list(&mut server, "other", &["b", "a"]);
        server.expect("RPOPLPUSH other list", &bulk("a"));
        server.expect("LRANGE list 0 1", &array(&["a", "c"]));
        server.expect("LMOVE list list LEFT LEFT", &bulk("a"));
        server.expect("LMOVE other other RIGHT LEFT", &bulk("b"));
        expect_list(&mut server, "other", &["b"]);
        server.expect("LMOVE other list RIGHT LEFT", &bulk("b"));
        server.expect("EXISTS other", ":0\r\n");
    }
    let mut server = with_list("list", "a", false);
    server.run("SET string x");
    server.expect("LMOVE none list LEFT LEFT", NULL);
    server.expect("LMOVE none string LEFT LEFT", NULL);
    server.expect("LMOVE string list LEFT LEFT", WRONG_TYPE);
    server.expect("LMOVE list string LEFT LEFT", WRONG_TYPE);
    server.expect("RPOPLPUSH list string", WRONG_TYPE);
    server.expect("LMOVE string list LEFT UP", SYNTAX);
    server.expect("LMOVE string list UP LEFT", SYNTAX);
    expect_list(&mut server, "list", &["a"]);
}

#[test]
fn several_elements_move_in_either_order() {
    for is_large in [false, true] {
        for (words, moved, left) in [
            ("LEFT LEFT COUNT 3 OBO", ["3", "2", "1"], ["4", "5"]),
            ("left left count 3 bulk", ["1", "2", "3"], ["4", "5"]),
            ("LEFT RIGHT EXACTLY 3 OBO", ["1", "2", "3"], ["4", "5"]),
            ("LEFT RIGHT COUNT 3 BULK", ["1", "2", "3"], ["4", "5"]),
        ] {
            let mut server = with_list("list", "1 2 3 4 5", is_large);
            server.expect(&format!("LMOVEM list other {words}"), &array(&moved));
            expect_list(&mut server, "other", &moved);
            server.expect("LRANGE list 0 1", &array(&left));
        }
        let mut server = with_list("list", "1 2 3 4 5", is_large);
        server.expect("LMOVEM list list LEFT RIGHT COUNT 2 BULK", &array(&["1", "2"]));
        server.expect("LRANGE list 0 2", &array(&["3", "4", "5"]));
        server.expect("LRANGE list -2 -1", &array(&["1", "2"]));
        server.expect("LMOVEM list list RIGHT RIGHT COUNT 2 BULK", &array(&["1", "2"]));
        server.expect("LMOVEM list list RIGHT RIGHT COUNT 2 OBO", &array(&["2", "1"]));
        server.expect("LRANGE list -2 -1", &array(&["2", "1"]));
    }
    for (words, moved) in [
        ("RIGHT RIGHT COUNT 3 OBO", ["5", "4", "3"]),
        ("RIGHT RIGHT COUNT 3 BULK", ["3", "4", "5"]),
        ("RIGHT LEFT COUNT 3 OBO", ["3", "4", "5"]),
        ("RIGHT LEFT COUNT 3 BULK", ["3", "4", "5"]),
    ] {
        let mut server = with_list("list", "1 2 3 4 5", false);
        server.expect(&format!("LMOVEM list other {words}"), &array(&moved));
        expect_list(&mut server, "other", &moved);
        expect_list(&mut server, "list", &["1", "2"]);
    }
}

#[test]
fn several_elements_move_or_none() {
    let mut server = with_list("list", "a b", false);
    server.expect("LMOVEM list other LEFT RIGHT", &array(&["a"]));
    server.expect("LMOVEM list other LEFT RIGHT EXACTLY 2 OBO", NULL_ARRAY);
    expect_list(&mut server, "list", &["b"]);
    server.expect("LMOVEM list other LEFT RIGHT COUNT 2 OBO", &array(&["b"]));
    server.expect("EXISTS list", ":0\r\n");
    expect_list(&mut server, "other", &["a", "b"]);
    server.expect("LMOVEM none other LEFT RIGHT", NULL_ARRAY);
    server.run("SET string x");
    server.expect("LMOVEM other string LEFT RIGHT COUNT 2 BULK", WRONG_TYPE);
    server.expect("LMOVEM string other LEFT RIGHT COUNT 2 BULK", WRONG_TYPE);
    expect_list(&mut server, "other", &["a", "b"]);
    for (words, error) in [
        ("LEFT", "-ERR wrong number of arguments for 'lmovem' command\r\n"),
        ("LEFT RIGHT COUNT 2", SYNTAX),
        ("LEFT RIGHT COUNT 2 OBO MORE", SYNTAX),
        ("LEFT RIGHT FOO 2 OBO", SYNTAX),
        ("LEFT RIGHT COUNT 2 FOO", SYNTAX),
        ("UP RIGHT COUNT 2 OBO", SYNTAX),
        ("LEFT UP COUNT 2 OBO", SYNTAX),
        ("LEFT RIGHT COUNT 0 BULK", "-ERR count should be greater than 0\r\n"),
        ("LEFT RIGHT EXACTLY -1 BULK", "-ERR count should be greater than 0\r\n"),
        ("LEFT RIGHT COUNT x BULK", "-ERR count should be greater than 0\r\n"),
    ] {
        server.expect(&format!("LMOVEM other list {words}"), error);
    }
}

#[test]
fn what_happens_is_told() {
    let mut server = Harness::new();
    for (words, events) in [
        ("LPUSH list a b", &["0:new list", "0:lpush list"][..]),
        ("RPUSH list c", &["0:rpush list"]),
        ("LPUSHX none c", &[]),
        ("LINSERT list AFTER a x", &["0:linsert list"]),
        ("LINSERT list AFTER none x", &[]),
        ("LSET list 0 a", &["0:lset list"]),
        ("LREM list 1 x", &["0:lrem list"]),
        ("LREM list 1 x", &[]),
        ("LTRIM list 0 100", &["0:ltrim list"]),
        ("LMOVE list other LEFT RIGHT", &["0:new other", "0:rpush other", "0:lpop list"]),
        ("RPOPLPUSH other other", &["0:lpush other", "0:rpop other"]),
        ("LMOVEM list list LEFT RIGHT COUNT 2 OBO", &["0:rpush list", "0:lpop list"]),
        ("LMOVE other list RIGHT LEFT", &["0:lpush list", "0:rpop other", "0:del other"]),
        ("RPOP list", &["0:rpop list"]),
        ("LPOP list 0", &[]),
        ("LMPOP 1 list LEFT COUNT 9", &["0:lpop list", "0:del list"]),
        ("LPOP list", &[]),
        ("BLPOP list 1", &[]),
    ] {
        assert_eq!(server.events(words), events, "{words}");
    }
    for (words, events) in [
        ("LTRIM list 5 6", ["0:ltrim list", "0:del list"]),
        ("LREM list 0 a", ["0:lrem list", "0:del list"]),
        ("BRPOP list 0", ["0:rpop list", "0:del list"]),
        ("BLMPOP 0 1 list LEFT", ["0:lpop list", "0:del list"]),
    ] {
        let mut server = with_list("list", "a", false);
        assert_eq!(server.events(words), events, "{words}");
    }
}

#[test]
fn every_element_counts_as_a_change() {
    let mut server = Harness::new();
    for (words, changes) in [
        ("RPUSH list a b c d e f g h i j", 10),
        ("LPUSHX list 1", 1),
        ("LPUSHX none 1", 0),
        ("LINSERT list AFTER a x", 1),
        ("LINSERT list AFTER none x", 0),
        ("LSET list 0 a", 1),
        ("LREM list 0 a", 2),
        ("LTRIM list 1 -2", 2),
        ("LTRIM list 0 -1", 0),
        ("LPOP list", 1),
        ("LPOP list 2", 2),
        ("LPOP list 0", 0),
        ("LMOVE list other LEFT RIGHT", 1),
        ("LMOVEM list other LEFT RIGHT COUNT 2 OBO", 2),
        ("RPOP list 10", 2),
        ("LMPOP 1 other LEFT COUNT 5", 3),
        ("EXISTS list other", 0),
    ] {
        assert_eq!(changes_of(&mut server, words), changes, "{words}");
    }
    server.expect("DBSIZE", ":0\r\n");
}

#[test]
fn blocks_are_as_large_as_the_settings_say() {
    let config = Config { list_max_listpack_size: 3, ..Config::default() };
    let mut server = Harness::with_config(config);
    server.run("RPUSH list a b c");
    server.expect("OBJECT ENCODING list", &bulk("listpack"));
    server.run("RPUSH list d");
    server.expect("OBJECT ENCODING list", &bulk("quicklist"));
    server.run("LPOP list 2");
    server.expect("OBJECT ENCODING list", &bulk("quicklist"));
    server.run("LPOP list");
    server.expect("OBJECT ENCODING list", &bulk("listpack"));
    expect_list(&mut server, "list", &["d"]);
}

#[test]
fn debug_tells_of_blocks() {
    let mut server = Harness::with_debug();
    server.expect("CONFIG SET list-compress-depth 1 list-max-listpack-size 2", "+OK\r\n");
    let text = "y".repeat(100);
    server.run(&format!("RPUSH list {}", vec![text; 9].join(" ")));
    let described = server.run("DEBUG OBJECT list");
    assert!(
        described
            .ends_with("ql_nodes:5 ql_avg_node:1.80 ql_listpack_max:2 ql_compressed:1 ql_uncompressed_size:962\r\n"),
        "{described}"
    );
    server.expect("DEBUG QUICKLIST-PACKED-THRESHOLD 3b", "+OK\r\n");
    server.expect("RPUSH list abc ab", ":11\r\n");
    let described = server.run("DEBUG OBJECT list");
    assert!(described.contains(" ql_nodes:7 "), "{described}");
    server.expect("LINDEX list -2", &bulk("abc"));
    server.expect("DEBUG QUICKLIST-PACKED-THRESHOLD 0", "+OK\r\n");
    server.expect("DEBUG QUICKLIST-PACKED-THRESHOLD x", "-ERR argument must be a memory value\r\n");
    server.expect("DEBUG QUICKLIST-PACKED-THRESHOLD 4gb", "-ERR argument must be between 1 and 4gb\r\n");
    // What Redis 7.2 works out for the same list.
    server.run("RPUSH digested a 1 b");
    server.expect("DEBUG DIGEST-VALUE digested", DIGEST_OF_A_1_B);
}

const DIGEST_OF_A_1_B: &str = "*1\r\n+d5f44352f6226abea9252dad248ef5de0d964396\r\n";

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

fn popped(key: &str, element: &str) -> String {
    array(&[key, element])
}

#[test]
fn what_is_there_need_not_be_waited_for() {
    for is_large in [false, true] {
        let mut server = with_list("list", "a b c d e f", is_large);
        server.expect("BLPOP none list 0", &popped("list", "a"));
        server.expect("BLMPOP 0 2 none list LEFT COUNT 2", &format!("*2\r\n{}{}", bulk("list"), array(&["b", "c"])));
        server.expect("BLMOVE list other LEFT RIGHT 0", &bulk("d"));
        server.expect("BRPOPLPUSH other list 0", &bulk("d"));
        server.expect("BLMOVEM list other LEFT RIGHT 0 EXACTLY 2 BULK", &array(&["d", "e"]));
        server.expect("BRPOP other 0.5", &popped("other", "e"));
    }
}

#[test]
fn whoever_waits_is_served_by_a_push() {
    let mut server = Harness::new();
    let first = waiter(&mut server, "BLPOP none list 0");
    let second = waiter(&mut server, "BRPOP list 0");
    let third = waiter(&mut server, "BLMPOP 0 1 list RIGHT COUNT 2");
    let fourth = waiter(&mut server, "BLMOVE list other LEFT RIGHT 0");
    let fifth = waiter(&mut server, "BRPOPLPUSH other last 0");
    server.expect("RPUSH list a b c d e", ":5\r\n");
    assert_eq!(got(&mut server, first), popped("list", "a"));
    assert_eq!(got(&mut server, second), popped("list", "e"));
    assert_eq!(got(&mut server, third), format!("*2\r\n{}{}", bulk("list"), array(&["d", "c"])));
    assert_eq!(got(&mut server, fourth), bulk("b"));
    assert_eq!(got(&mut server, fifth), bulk("b"), "served by the one before");
    server.expect("DBSIZE", ":1\r\n");
    expect_list(&mut server, "last", &["b"]);
}

#[test]
fn a_list_becomes_long_enough() {
    let mut server = Harness::new();
    server.run("RPUSH list 1 2");
    let exactly = waiter(&mut server, "BLMOVEM list other LEFT RIGHT 0 EXACTLY 3 BULK");
    let upto = waiter(&mut server, "BLMOVEM none other LEFT RIGHT 0 COUNT 3 BULK");
    server.expect("LINSERT list BEFORE 1 0", ":3\r\n");
    assert_eq!(got(&mut server, exactly), array(&["0", "1", "2"]));
    server.expect("EXISTS list", ":0\r\n");
    server.expect("RPUSH none x y", ":2\r\n");
    assert_eq!(got(&mut server, upto), array(&["x", "y"]));
    expect_list(&mut server, "other", &["0", "1", "2", "x", "y"]);
}

#[test]
fn waiting_ends_with_the_time() {
    let mut server = Harness::new();
    let mut waiters = Vec::new();
    for words in [
        "BLPOP list 1",
        "BRPOP list 0.5",
        "BLMPOP 1 1 list LEFT",
        "BLMOVE list other LEFT LEFT 1",
        "BRPOPLPUSH list other 1",
        "BLMOVEM list other LEFT LEFT 1",
    ] {
        waiters.push(waiter(&mut server, words));
    }
    server.advance_ms(1001);
    oneloop::engine::wake::run_timeouts(&mut server.state);
    for client in waiters {
        assert_eq!(got(&mut server, client), NULL_ARRAY);
    }
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    let mut server = Harness::new();
    server.run("SET string x");
    for words in [
        "BLPOP string 0",
        "BRPOP none string 0",
        "BLMPOP 0 1 string LEFT",
        "BLMOVE string none LEFT LEFT 0",
        "BRPOPLPUSH string none 0",
        "BLMOVEM string none LEFT LEFT 0",
    ] {
        server.expect(words, WRONG_TYPE);
    }
    let no_float = "-ERR timeout is not a float or out of range\r\n";
    let negative = "-ERR timeout is negative\r\n";
    for (words, error) in [
        ("BLPOP string x", no_float),
        ("BLPOP string -1", negative),
        ("BLMPOP x 0 string LEFT", "-ERR numkeys should be greater than 0\r\n"),
        ("BLMPOP x 1 string UP", SYNTAX),
        ("BLMPOP x 1 string LEFT", no_float),
        ("BLMOVE string none LEFT UP x", SYNTAX),
        ("BLMOVE string none LEFT LEFT x", no_float),
        ("BRPOPLPUSH string none -1", negative),
        ("BLMOVEM string none LEFT LEFT x", no_float),
        ("BLMOVEM string none LEFT LEFT 0 COUNT 1", SYNTAX),
    ] {
        server.expect(words, error);
    }
    // The destination is looked at when there is something to move.
    let client = waiter(&mut server, "BLMOVE list string LEFT LEFT 0");
    server.expect("RPUSH list a", ":1\r\n");
    assert_eq!(got(&mut server, client), WRONG_TYPE);
    expect_list(&mut server, "list", &["a"]);
}
