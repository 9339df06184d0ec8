//! A server whose keys are hashed by slot answers as any other.

use oneloop::config::Config;
use oneloop::keyspace::{Expiry, NewValue};

use crate::support::Harness;

const OTHERS: usize = 5000;

/// A server with some keys with hash tags and many others.
fn filled(cluster_enabled: bool) -> Harness {
    let config = Config { cluster_enabled, ..Config::default() };
    let mut server = Harness::with_config(config);
    let mut keys: Vec<String> = (0..OTHERS).map(|number| format!("other:{number}")).collect();
    keys.extend((0..300).map(|number| format!("{{tag}}:{number}")));
    keys.extend((0..300).map(|number| format!("x{{tag}}y:{number}")));
    for key in ["{tag}", "tag", "{}{tag}", "{}", "{tag", "{{tag}}", "{ta*}1", "{tag}:{other}", "{TAG}:1", "*{tag}"] {
        keys.push(key.to_string());
    }
    for key in keys {
        server.state.keyspace.set(0, key.as_bytes(), NewValue::Integer(1), Expiry::Clear);
    }
    server
}

/// The bulk strings of a reply, and how many arrays there are: none of the strings has a line break.
fn strings(reply: &str) -> Vec<String> {
    let lines: Vec<&str> = reply.split("\r\n").collect();
    let follows_length = |window: &&[&str]| window[0].starts_with('$');
    lines.windows(2).filter(follows_length).map(|window| window[1].to_string()).collect()
}

fn keys(server: &mut Harness, pattern: &str) -> Vec<String> {
    let mut found = strings(&server.run_args(&[b"keys", pattern.as_bytes()]));
    found.sort_unstable();
    found
}

/// The keys of a whole walk, and the number of calls.
fn scanned(server: &mut Harness, pattern: &str) -> (Vec<String>, usize) {
    let (mut found, mut cursor, mut calls) = (Vec::new(), String::from("0"), 0);
    loop {
        let mut shown =
            strings(&server.run_args(&[b"scan", cursor.as_bytes(), b"match", pattern.as_bytes(), b"count", b"20"]));
        cursor = shown.remove(0);
        found.extend(shown);
        calls += 1;
        if cursor == "0" {
            found.sort_unstable();
            return (found, calls);
        }
    }
}

#[test]
fn patterns_find_the_same_keys_by_slot() {
    let (mut plain, mut by_slot) = (filled(false), filled(true));
    for pattern in [
        "*",
        "{tag}*",
        "{tag}:1*",
        "{tag}",
        "x{tag}?:2[0-9]",
        "{t*",
        "{ta?}*",
        "*{tag}*",
        "{}*",
        "{}{tag}*",
        "{{tag}*",
        "{{tag}}*",
        "{tag}:{*",
        "\\{tag}*",
        "{ta\\*}*",
        "nothing{tag}*",
        "other:77?",
        "tag",
    ] {
        let expected = keys(&mut plain, pattern);
        assert_eq!(keys(&mut by_slot, pattern), expected, "KEYS {pattern}");
        assert_eq!(scanned(&mut plain, pattern).0, expected, "SCAN {pattern}");
        assert_eq!(scanned(&mut by_slot, pattern).0, expected, "SCAN {pattern} by slot");
    }
}

#[test]
fn a_pattern_with_a_hash_tag_has_one_slot_walked() {
    let mut server = filled(true);
    let (found, calls) = scanned(&mut server, "{tag}:*");
    assert_eq!(found.len(), 301);
    assert!(calls < 50, "{calls} calls with 20 keys each, of {OTHERS} and more");
    assert!(scanned(&mut server, "*{tag}:*").1 > OTHERS / 50);
}

#[test]
fn an_emptied_server_has_no_keys_in_any_slot() {
    let slot = oneloop::collections::key_slot::key_slot(b"tag");
    for command in ["flushall", "flushdb", "flushall async"] {
        let mut server = filled(true);
        assert_eq!(server.state.keyspace.database(0).count_in_slot(slot), 604);
        server.expect(command, "+OK\r\n");
        assert_eq!(server.state.keyspace.database(0).count_in_slot(slot), 0);
    }
}
