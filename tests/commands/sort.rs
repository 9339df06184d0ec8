//! SORT and SORT_RO: every option, what is looked up, what is stored, and the errors. Replies as Redis 7.2's.

use oneloop::resp::Protocol;

use crate::support::Harness;

/// The strings of an array reply; `nil` where one is null.
fn strings(reply: &str) -> Vec<String> {
    let mut lines = reply.split("\r\n");
    let head = lines.next().expect("a head");
    assert!(head.starts_with('*'), "{reply:?}");
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        match line {
            "$-1" => found.push("nil".to_owned()),
            "" => {}
            _ => found.push(lines.next().expect("a text").to_owned()),
        }
    }
    assert_eq!(head[1..], found.len().to_string());
    found
}

trait Sorts {
    fn gives(&mut self, words: &str, expected: &str);
}

impl Sorts for Harness {
    #[track_caller]
    fn gives(&mut self, words: &str, expected: &str) {
        assert_eq!(strings(&self.run(words)).join(" "), expected, "{words}");
    }
}

fn with_list(elements: &str) -> Harness {
    let mut server = Harness::new();
    server.run(&format!("RPUSH list {elements}"));
    server
}

#[test]
fn numbers_and_texts_in_both_directions() {
    let mut server = with_list("10 9 -3 2.5 1e1");
    server.gives("SORT list", "-3 2.5 9 10 1e1");
    server.gives("SORT list DESC", "1e1 10 9 2.5 -3");
    server.gives("SORT list ALPHA", "-3 10 1e1 2.5 9");
    server.gives("SORT list alpha desc", "9 2.5 1e1 10 -3");
    server.gives("SORT_RO list ASC", "-3 2.5 9 10 1e1");
    server.gives("SORT list DESC ASC", "-3 2.5 9 10 1e1");
    server.gives("SORT missing", "");
}

#[test]
fn limits_are_cut_to_what_is_there() {
    let mut server = with_list("5 4 3 2 1");
    for (limit, expected) in [
        ("0 2", "1 2"),
        ("1 2", "2 3"),
        ("3 10", "4 5"),
        ("-2 2", "1 2"),
        ("2 -1", "3 4 5"),
        ("5 1", ""),
        ("9 -1", ""),
        ("0 0", ""),
        ("9223372036854775807 9223372036854775807", ""),
    ] {
        server.gives(&format!("SORT list LIMIT {limit}"), expected);
    }
    // The part of a long list that is asked for is sorted as the whole is.
    let elements: Vec<String> = (0..500).map(|n| (n * 7 % 501).to_string()).collect();
    let mut server = with_list(&elements.join(" "));
    let all = strings(&server.run("SORT list"));
    server.gives("SORT list LIMIT 100 50", &all[100..150].join(" "));
}

#[test]
fn unsorted_elements_keep_their_order() {
    let mut server = with_list("3 1 2");
    server.gives("SORT list BY nosort", "3 1 2");
    server.gives("SORT list BY nosort LIMIT 1 1", "1");
    server.gives("SORT list BY nosort DESC", "2 1 3");
    server.gives("SORT list BY # LIMIT 0 2", "3 1");
    server.run("ZADD zset 3 a 1 b 2 c");
    server.gives("SORT zset BY nosort", "b c a");
    server.gives("SORT zset BY nosort DESC", "a c b");
    server.gives("SORT zset BY nosort DESC LIMIT 1 1", "c");
    server.gives("SORT zset BY nosort LIMIT 2 5", "a");
    // A text is no reason to fail where nothing is sorted.
    server.gives("SORT zset BY nosort GET #", "b c a");
}

#[test]
fn weights_and_columns_come_from_other_keys() {
    let mut server = with_list("1 2 3 4");
    server.run("MSET weight_1 30 weight_2 20 weight_3 10 name_1 one name_3 three");
    server.run("HSET hash_1 weight 1 name uno");
    server.run("HSET hash_2 weight 3");
    server.run("HSET hash_3 weight 2");
    // What is missing weighs nothing.
    server.gives("SORT list BY weight_*", "4 3 2 1");
    server.gives("SORT list BY weight_* DESC", "1 2 3 4");
    server.gives("SORT list BY hash_*->weight", "4 1 3 2");
    server.gives("SORT list BY name_* ALPHA", "2 4 1 3");
    server.gives("SORT list GET name_*", "one nil three nil");
    server.gives("SORT list GET # GET name_* GET hash_*->name", "1 one uno 2 nil nil 3 three nil 4 nil nil");
    // Without anything behind the arrow it belongs to the name of a key; without a star there is no key.
    server.gives("SORT list LIMIT 0 1 GET hash_*-> GET hash_* GET name_1", "nil nil nil");
    server.run("SET left_1->right arrow");
    server.gives("SORT list LIMIT 0 1 GET left_*->right", "nil");
}

#[test]
fn fields_and_keys_that_have_expired_are_not_found() {
    let mut server = with_list("1 2");
    server.run("SET name_1 one PX 100");
    server.run("HSET hash_2 name two");
    server.run("HPEXPIRE hash_2 100 FIELDS 1 name");
    server.gives("SORT list GET name_* GET hash_*->name", "one nil nil two");
    server.advance_ms(101);
    server.gives("SORT list GET name_* GET hash_*->name", "nil nil nil nil");
}

#[test]
fn results_are_stored_as_lists() {
    let mut server = with_list("3 1 2");
    server.run("SET result text");
    server.expect("SORT list STORE result", ":3\r\n");
    server.gives("LRANGE result 0 -1", "1 2 3");
    server.expect("OBJECT ENCODING result", "$8\r\nlistpack\r\n");
    // Nulls become empty.
    server.run("SET name_2 two");
    server.expect("SORT list GET name_* STORE result", ":3\r\n");
    server.gives("LRANGE result 0 -1", " two ");
    server.expect("SORT list STORE list", ":3\r\n");
    server.gives("LRANGE list 0 -1", "1 2 3");
    server.expect("SORT missing STORE result", ":0\r\n");
    server.expect("EXISTS result", ":0\r\n");
    // A set has no order, what is stored has.
    server.run("SADD set 10 9 b a");
    server.expect("SORT set BY nosort STORE result", ":4\r\n");
    server.gives("LRANGE result 0 -1", "10 9 a b");
    assert_eq!(server.events("SORT list STORE result"), ["0:sortstore result"]);
    assert_eq!(server.events("SORT list LIMIT 0 0 STORE result"), ["0:del result"]);
}

#[test]
fn errors_are_those_of_redis() {
    let mut server = with_list("1 x");
    let not_a_double = "-ERR One or more scores can't be converted into double\r\n";
    server.expect("SORT list", not_a_double);
    for (element, is_number) in [("", true), (" 1", true), ("1 ", false), (" ", false), ("1e999", false)] {
        server.run("DEL one");
        server.run_args(&[b"RPUSH", b"one", element.as_bytes()]);
        let reply = server.run("SORT one");
        assert_eq!(reply != not_a_double, is_number, "{element:?}: {reply}");
    }
    server.run("SET string text");
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    server.expect("SORT string", wrong_type);
    server.expect("SORT string BY nosort", wrong_type);
    server.run("SET weight_1 text");
    server.run("LSET list 1 2");
    server.expect("SORT list BY weight_*", not_a_double);
    for words in ["SORT list LIMIT 1", "SORT list BY", "SORT list GET", "SORT list UP", "SORT_RO list STORE a"] {
        server.expect(words, "-ERR syntax error\r\n");
    }
    server.expect("SORT list LIMIT a 1", "-ERR value is not an integer or out of range\r\n");
    // The options are read before the key is looked at.
    server.expect("SORT string UP", "-ERR syntax error\r\n");
}

#[test]
fn nulls_are_those_of_the_protocol() {
    let mut server = with_list("1");
    server.set_protocol(Protocol::Resp3);
    server.expect("SORT list GET missing_*", "*1\r\n_\r\n");
}
