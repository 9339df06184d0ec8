//! Slots that move with all their keys at once: filling a slot, moving it, and looking at what has come of that.
#![allow(dead_code)] // Each test program uses a part of it.

use oneloop::cluster::key_slot;

use crate::nodes::{Node, wait_until};

/// A tag whose slot is the first node's in a cluster of two or three primaries.
pub const TAG: &str = "{k2}";

/// The slot that moves.
pub fn slot() -> u16 {
    key_slot(TAG.as_bytes())
}

/// A field of a node's newest migration, as text.
pub fn shown(node: &Node, name: &str) -> String {
    let mut client = node.connect();
    client.send("CLUSTER GETSLOTMIGRATIONS\r\n");
    if client.line() == "*0" {
        return String::new();
    }
    let fields = client.line();
    let fields: usize = fields.trim_start_matches(['*', '%']).parse().expect("a number of fields");
    for _ in 0..fields {
        let mut value = || {
            let line = client.line();
            if line.starts_with('$') { client.line() } else { line.trim_start_matches(':').to_string() }
        };
        let (field, value) = (value(), value());
        if field == name {
            return value;
        }
    }
    String::new()
}

/// Waits until the newest migration of a node is in one of these states.
#[track_caller]
pub fn wait_for_state(node: &Node, states: &[&str]) {
    wait_until(
        || format!("{}: {}", shown(node, "state"), shown(node, "message")),
        || states.contains(&shown(node, "state").as_str()),
    );
}

/// Begins to move the slot.
pub fn begin(source: &Node, target: &Node) {
    let slot = slot();
    source.expect(&format!("CLUSTER MIGRATESLOTS SLOTSRANGE {slot} {slot} NODE {}", target.id()), "+OK");
}

/// Values of all types, some with times, in forms that both kinds of server have.
pub fn fill(node: &Node) {
    let run = |request: &str| {
        // On a connection of its own: replies of many lines are not read to their end.
        let reply = node.ask(request);
        assert!(!reply.starts_with('-'), "{request}: {reply}");
    };
    for request in [
        "SET {k2}text hello",
        "SET {k2}number 123 PX 1000000",
        "RPUSH {k2}list a b c",
        "SADD {k2}set x y 3",
        "ZADD {k2}scores 1.5 m 2 n",
        "HSET {k2}hash f v g w",
        "HPEXPIREAT {k2}hash 4000000000000 FIELDS 1 f",
        "XADD {k2}stream 1-1 a b",
        "XGROUP CREATE {k2}stream g 0",
        "XREADGROUP GROUP g c STREAMS {k2}stream >",
        "SETRANGE {k2}large 20000 x",
    ] {
        run(request);
    }
    let mut client = node.connect();
    for number in 0..3000 {
        client.ask(&format!("RPUSH {{k2}}many {number}"), &format!(":{}\r\n", number + 1));
    }
    for number in 0..500 {
        client.ask(&format!("SET {{k2}}key:{number} {number}"), "+OK\r\n");
    }
}

/// Replies that show the values of `fill`.
pub fn look(node: &Node) -> Vec<String> {
    let requests = [
        "GET {k2}text",
        "GET {k2}number",
        "LRANGE {k2}list 0 -1",
        "SCARD {k2}set",
        "ZSCORE {k2}scores m",
        "HGET {k2}hash g",
        "XLEN {k2}stream",
        "XPENDING {k2}stream g",
        "STRLEN {k2}large",
        "LLEN {k2}many",
        "LINDEX {k2}many 2999",
        "GET {k2}key:499",
    ];
    let mut shown: Vec<String> = requests.iter().map(|request| node.ask(request)).collect();
    let left = node.ask("PTTL {k2}number");
    let left: i64 = left.trim_start_matches(':').parse().expect("a time");
    shown.push(format!("a time: {}", (1..=1_000_000).contains(&left)));
    let mut client = node.connect();
    client.send("HPEXPIRETIME {k2}hash FIELDS 2 f g\r\n");
    shown.extend([client.line(), client.line(), client.line()]);
    shown
}

/// Slows the snapshot down: so many µs for each key.
pub fn slow_down(source: &Node, micros: u32) {
    source.expect(&format!("CONFIG SET rdb-key-save-delay {micros}"), "+OK");
}

/// Begins to move keys that take their time, and waits until some have come.
pub fn begin_slowly(source: &Node, target: &Node) {
    let mut client = source.connect();
    for number in 0..200 {
        client.ask(&format!("SETRANGE {TAG}{number} 3000 x"), ":3001\r\n");
    }
    drop(client);
    slow_down(source, 10_000);
    begin(source, target);
    let count = format!("CLUSTER COUNTKEYSINSLOT {}", slot());
    wait_until(
        || shown(target, "state"),
        || target.ask(&count).trim_start_matches(':').parse().is_ok_and(|keys: u32| keys > 0),
    );
}
