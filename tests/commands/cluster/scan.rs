//! CLUSTERSCAN: cursors, options and errors; all but the form of tags and fingerprints as Valkey 9.1 has them.

use std::collections::BTreeSet;

use oneloop::cluster::member::SlotChange;
use oneloop::cluster::{SLOTS, key_slot};
use oneloop::collections::key_slot::tag_of_slot;
use oneloop::config::Config;
use oneloop::keyspace::{Expiry, NewValue};

use super::MOVED;
use crate::support::Harness;
use crate::support::cluster::{Part, change_slot, harness, harness_with};

const INVALID: &str = "-ERR Invalid cursor\r\n";
const OVER: &str = "*2\r\n$1\r\n0\r\n*0\r\n";
const SYNTAX: &str = "-ERR syntax error\r\n";
/// Keys of the whole cluster.
const NUMBER: usize = 3000;

/// A node with all slots, or half of them, and keys.
fn filled(part: Part) -> (Harness, BTreeSet<String>) {
    let mut server = harness(part);
    let names = (0..NUMBER).map(|number| format!("key:{number}"));
    let names: BTreeSet<String> =
        names.filter(|name| part == Part::All || key_slot(name.as_bytes()) < SLOTS / 2).collect();
    for name in &names {
        server.state.keyspace.set(0, name.as_bytes(), NewValue::Integer(1), Expiry::Clear);
    }
    (server, names)
}

/// The cursor and the keys of a reply.
fn scan(server: &mut Harness, cursor: &str, options: &str) -> (String, Vec<String>) {
    let reply = server.run(format!("clusterscan {cursor} {options}").trim_end());
    let lines: Vec<&str> = reply.split("\r\n").collect();
    let follows_length = |window: &&[&str]| window[0].starts_with('$');
    let mut texts: Vec<String> = lines.windows(2).filter(follows_length).map(|window| window[1].to_string()).collect();
    assert!(!texts.is_empty(), "{reply}");
    (texts.remove(0), texts)
}

/// All keys that a walk gives from a cursor on, how many calls it takes, and with which cursor it ends.
fn walk(server: &mut Harness, mut cursor: String, options: &str) -> (Vec<String>, usize, String) {
    let (mut found, mut calls) = (Vec::new(), 0);
    loop {
        let (next, keys) = scan(server, &cursor, options);
        found.extend(keys);
        calls += 1;
        let is_here = next != "0" && key_slot(next.as_bytes()) < SLOTS / 2;
        if !is_here && (next == "0" || next.starts_with("0-{")) || calls > NUMBER {
            return (found, calls, next);
        }
        cursor = next;
    }
}

fn start_of(slot: u16) -> String {
    format!("0-{{{}}}-0", tag_of_slot(slot))
}

fn reply_at(slot: u16) -> String {
    let cursor = start_of(slot);
    format!("*2\r\n${}\r\n{cursor}\r\n*0\r\n", cursor.len())
}

#[test]
fn a_walk_gives_every_key_once_and_leads_to_the_next_node() {
    let (mut server, names) = filled(Part::Half);
    let (found, calls, cursor) = walk(&mut server, start_of(0), "");
    assert_eq!(found.len(), names.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), names);
    // Empty slots cost no calls.
    assert!((names.len() / 20..=names.len() / 10 + 1).contains(&calls), "{calls}");
    assert_eq!(cursor, start_of(SLOTS / 2));
    assert_eq!(server.run(&format!("clusterscan {cursor}")), "-MOVED 8192 10.0.0.2:7002\r\n");
    assert_eq!(walk(&mut server, start_of(0), "count 100000").1, 1);
}

#[test]
fn the_last_slot_ends_the_walk() {
    let (mut server, names) = filled(Part::All);
    let (mut found, mut cursor) = (Vec::new(), start_of(0));
    while cursor != "0" {
        let (next, keys) = scan(&mut server, &cursor, "count 50");
        found.extend(keys);
        cursor = next;
    }
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), names);
}

#[test]
fn one_slot_is_walked_through_alone() {
    let (mut server, names) = filled(Part::All);
    let slot = key_slot(b"key:7");
    let of_slot: BTreeSet<String> = names.into_iter().filter(|name| key_slot(name.as_bytes()) == slot).collect();
    server.expect(&format!("clusterscan 0 slot {slot}"), &reply_at(slot));
    let (cursor, found) = scan(&mut server, &start_of(slot), &format!("slot {slot} count 100"));
    assert_eq!((cursor.as_str(), found.into_iter().collect::<BTreeSet<_>>()), ("0", of_slot));
    let other = (slot + 1) % SLOTS;
    let mismatch = "-ERR Cursor slot mismatch with SLOT argument\r\n";
    server.expect(&format!("clusterscan {} slot {other}", start_of(slot)), mismatch);
    // So is that of a pattern that fixes the slot.
    server.expect("clusterscan 0 match key:7", &reply_at(slot));
    server.expect("clusterscan 0 match a{key:7}*", &reply_at(slot));
    server.expect("clusterscan 0 match *", &reply_at(0));
    let found = "*2\r\n$1\r\n0\r\n*1\r\n$5\r\nkey:7\r\n";
    server.expect(&format!("clusterscan {} match key:7", start_of(slot)), found);
    server.expect(&format!("clusterscan {} match key:7", start_of(slot - 1)), &reply_at(slot));
    server.expect(&format!("clusterscan {} match key:7", start_of(slot + 1)), OVER);
    server.expect(&format!("clusterscan 0 match key:7 slot {other}"), OVER);
}

#[test]
fn a_position_of_another_seed_begins_the_slot_anew() {
    let (mut server, _) = filled(Part::All);
    for number in 0..100 {
        server.run(&format!("set {{x}}{number} 1"));
    }
    let slot = key_slot(b"x");
    let options = format!("slot {slot}");
    let (cursor, first) = scan(&mut server, &start_of(slot), &options);
    let (fingerprint, rest) = cursor.split_once('-').expect("a fingerprint");
    let (later, second) = scan(&mut server, &cursor, &options);
    assert_ne!(first, second);
    assert_eq!(scan(&mut server, &format!("0-{rest}"), &options), (later, second), "0 fits every seed");
    let changed: String = fingerprint.chars().rev().collect();
    for other in [changed.as_str(), "", "x"] {
        assert_eq!(scan(&mut server, &format!("{other}-{rest}"), &options), (cursor.clone(), first.clone()));
    }
}

#[test]
fn options_and_cursors_are_checked() {
    let mut server = harness(Part::All);
    let start = start_of(0);
    for (request, reply) in [
        ("0 count 0", SYNTAX),
        ("0 count x", "-ERR value is not an integer or out of range\r\n"),
        ("0 foo", SYNTAX),
        ("0 foo bar", SYNTAX),
        ("0 slot", SYNTAX),
        ("0 slot x", "-ERR Invalid or out of range slot\r\n"),
        ("0 slot -1", "-ERR Invalid or out of range slot\r\n"),
        ("0 slot 16384", "-ERR Invalid or out of range slot\r\n"),
        ("0 slot 5 slot 6", "-ERR SLOT option can only be specified once\r\n"),
        ("0 type nope", "-ERR unknown type name 'nope'\r\n"),
        ("0 novalues", "-ERR NOVALUES option can only be used in HSCAN\r\n"),
        ("0 type String count 5 count 7", &reply_at(0)),
        ("x", INVALID),
        ("1", INVALID),
        ("00", INVALID),
        ("0-", INVALID),
        ("0-{}-0", INVALID),
        ("0-{x}", INVALID),
        ("0-{x}-", INVALID),
        ("0-{x}-x", INVALID),
        ("0-{x}--1", INVALID),
    ] {
        server.expect(&format!("clusterscan {request}"), reply);
    }
    server.run("set {x}1 1");
    server.run("rpush {x}2 1");
    let text = "*2\r\n$1\r\n0\r\n*1\r\n$4\r\n{x}1\r\n";
    server.expect(&format!("clusterscan 0-{{x}}-0 slot {} type string", key_slot(b"x")), text);
    assert_eq!(
        server.run(&format!("command getkeys clusterscan {start}")),
        "-ERR The command has no key arguments\r\n"
    );
    let mut alone = Harness::new();
    alone.expect("clusterscan 0", "-ERR This instance has cluster support disabled\r\n");
    alone.expect("clusterscan", "-ERR wrong number of arguments for 'clusterscan' command\r\n");
}

#[test]
fn keys_of_other_databases_and_expired_ones_are_not_given() {
    let mut server = harness_with(Part::All, Config { cluster_databases: 2, ..Config::default() });
    server.run("set {x}1 1");
    server.run("set {x}2 1 px 5");
    server.run("select 1");
    server.run("set {x}3 1");
    server.advance_ms(10);
    let options = format!("slot {}", key_slot(b"x"));
    assert_eq!(scan(&mut server, "0-{x}-0", &options).1, ["{x}3"]);
    server.run("select 0");
    assert_eq!(scan(&mut server, "0-{x}-0", &options).1, ["{x}1"]);
}

#[test]
fn a_call_goes_where_its_slot_is() {
    let mut server = harness(Part::Half);
    // The slot of the key `a`.
    server.expect("clusterscan 0-{a}-0", MOVED);
    server.expect("multi", "+OK\r\n");
    server.expect("clusterscan 0-{a}-0", MOVED);
    server.run("discard");
    let refused = "-ERR Script attempted to access a non local key in a cluster node";
    assert!(server.run("eval redis.call('clusterscan','0-{a}-0') 0").starts_with(refused));
    server.expect("clusterscan 0-{b}-0 slot 3300", OVER);
    change_slot(&mut server, "b", |id| SlotChange::Migrating(id));
    server.expect("clusterscan 0-{b}-0 slot 3300", OVER);
}
