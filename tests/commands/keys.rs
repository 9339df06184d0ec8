//! Keys whatever they hold, their names, and databases as a whole.

use std::collections::HashSet;

use oneloop::keyspace::{Expiry, NewValue};

use crate::support::{Harness, START_MS};

const NOW_MS: i64 = START_MS as i64;

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// The cursor and the names in a reply of SCAN.
fn scanned(reply: &str) -> (String, Vec<String>) {
    let mut lines = reply.split("\r\n");
    assert_eq!(lines.next(), Some("*2"), "{reply}");
    let cursor = lines.nth(1).unwrap_or_default().to_string();
    let names = lines.skip(1).filter(|line| !line.is_empty() && !line.starts_with('$'));
    (cursor, names.map(str::to_string).collect())
}

/// Walks through the whole database.
fn scan_all(server: &mut Harness, options: &str) -> Vec<String> {
    let mut cursor = "0".to_string();
    let mut all = Vec::new();
    loop {
        let (next, names) = scanned(&server.run(&format!("scan {cursor}{options}")));
        all.extend(names);
        if next == "0" {
            return all;
        }
        cursor = next;
    }
}

fn set_expiring(server: &mut Harness, key: &str, expiry_ms: i64) {
    server.state.keyspace.set(0, key.as_bytes(), NewValue::Raw(b"v"), Expiry::At(expiry_ms));
}

#[test]
fn del_and_unlink_count_what_they_removed() {
    let mut server = Harness::new();
    for command in ["del", "unlink"] {
        server.expect("set a 1", "+OK\r\n");
        server.expect("set b 1", "+OK\r\n");
        server.expect(&format!("{command} a b c a"), ":2\r\n");
        server.expect("dbsize", ":0\r\n");
        let arity = format!("-ERR wrong number of arguments for '{command}' command\r\n");
        server.expect(command, &arity);
    }
}

#[test]
fn del_looks_ahead_over_many_keys() {
    let mut server = Harness::new();
    for count in [1, 15, 16, 17, 32, 100] {
        let names: Vec<String> = (0..count).map(|number| format!("key:{number}")).collect();
        for name in &names {
            server.run(&format!("set {name} 1"));
        }
        let all = names.join(" ");
        server.expect(&format!("exists {all} none"), &format!(":{count}\r\n"));
        server.expect(&format!("del {all} none"), &format!(":{count}\r\n"));
        server.expect("dbsize", ":0\r\n");
    }
}

#[test]
fn exists_and_touch_count_a_key_as_often_as_it_is_named() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.expect("exists a a b", ":2\r\n");
    server.expect("touch a b a", ":2\r\n");
    assert_eq!(server.state.keyspace.stats.hits, 4);
    assert_eq!(server.state.keyspace.stats.misses, 2);
}

#[test]
fn touch_alone_resets_the_idle_time() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.advance_ms(5_000);
    server.expect("exists a", ":1\r\n");
    server.expect("type a", "+string\r\n");
    server.expect("ttl a", ":-1\r\n");
    server.expect("object idletime a", ":5\r\n");
    server.expect("touch a", ":1\r\n");
    server.expect("object idletime a", ":0\r\n");
}

#[test]
fn type_names_the_type() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.expect("type a", "+string\r\n");
    server.expect("type b", "+none\r\n");
}

#[test]
fn rename_takes_the_value_and_its_time_along() {
    let mut server = Harness::new();
    server.expect("rename a b", "-ERR no such key\r\n");
    server.expect("rename a a", "-ERR no such key\r\n");
    server.run("set a 1");
    server.run("pexpire a 5000");
    server.run("set b 2");
    server.expect("rename a b", "+OK\r\n");
    server.expect("get b", "$1\r\n1\r\n");
    server.expect("pttl b", ":5000\r\n");
    server.expect("exists a", ":0\r\n");
    server.expect("rename b b", "+OK\r\n");
    server.expect("dbsize", ":1\r\n");
    server.advance_ms(5_001);
    server.expect("get b", "$-1\r\n");
}

#[test]
fn rename_over_an_expiring_key_clears_that_time() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.run("set b 2");
    server.run("expire b 5");
    server.expect("rename a b", "+OK\r\n");
    server.expect("ttl b", ":-1\r\n");
    server.advance_ms(10_000);
    server.expect("get b", "$1\r\n1\r\n");
    assert_eq!(server.state.keyspace.database(0).volatile_len(), 0);
}

#[test]
fn renamenx_keeps_what_is_there() {
    let mut server = Harness::new();
    server.expect("renamenx a b", "-ERR no such key\r\n");
    server.run("set a 1");
    server.run("set b 2");
    server.expect("renamenx a b", ":0\r\n");
    server.expect("renamenx a a", ":0\r\n");
    server.expect("renamenx a c", ":1\r\n");
    server.expect("get c", "$1\r\n1\r\n");
    server.expect("get b", "$1\r\n2\r\n");
}

#[test]
fn a_large_value_is_shared_when_it_is_renamed_or_copied() {
    let mut server = Harness::new();
    let large = bytes::Bytes::from(vec![b'x'; 100_000]);
    let address = large.as_ptr();
    server.state.keyspace.set(0, b"a", NewValue::Large(large), Expiry::Clear);
    server.expect("rename a b", "+OK\r\n");
    server.expect("copy b c", ":1\r\n");
    for key in ["b", "c"] {
        match server.state.keyspace.peek(0, key.as_bytes()).expect("there").value() {
            oneloop::keyspace::Value::Large(bytes) => assert_eq!(bytes.as_ptr(), address),
            other => panic!("{other:?}"),
        }
    }
    server.expect("object encoding c", "$3\r\nraw\r\n");
}

#[test]
fn copy_makes_a_second_key() {
    let mut server = Harness::new();
    server.expect("copy a b", ":0\r\n");
    server.run("set a 1");
    server.run("expire a 100");
    server.expect("copy a b", ":1\r\n");
    server.expect("copy a b", ":0\r\n");
    server.expect("ttl b", ":100\r\n");
    server.run("set a 2");
    server.expect("get b", "$1\r\n1\r\n");
    server.expect("copy a b REPLACE", ":1\r\n");
    server.expect("get b", "$1\r\n2\r\n");
    server.expect("ttl b", ":-1\r\n");
    server.expect("copy a a db 1", ":1\r\n");
    server.expect("copy a a db 1", ":0\r\n");
    server.expect("copy a a db 1 replace", ":1\r\n");
    server.expect("copy a z db 1 DB 2", ":1\r\n");
    server.expect("select 2", "+OK\r\n");
    server.expect("get z", "$1\r\n2\r\n");
}

#[test]
fn copy_refuses_what_cannot_be() {
    let mut server = Harness::new();
    server.run("set a 1");
    let same = "-ERR source and destination objects are the same\r\n";
    let not_a_number = "-ERR value is not an integer or out of range\r\n";
    let not_an_int = "-ERR value is out of range, value must between -2147483648 and 2147483647\r\n";
    let no_database = "-ERR DB index is out of range\r\n";
    server.expect("copy a a", same);
    server.expect("copy none none", same);
    server.expect("copy a a db 0", same);
    server.expect("copy a b db", "-ERR syntax error\r\n");
    server.expect("copy a b nonsense", "-ERR syntax error\r\n");
    server.expect("copy a b db x", not_a_number);
    server.expect("copy a b db 2147483648", not_an_int);
    server.expect("copy a b db 16", no_database);
    server.expect("copy a b db -1", no_database);
    server.expect("copy a", "-ERR wrong number of arguments for 'copy' command\r\n");
}

#[test]
fn move_takes_a_key_to_another_database() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.run("expire a 100");
    server.expect("move a 0", "-ERR source and destination objects are the same\r\n");
    server.expect("move a 16", "-ERR DB index is out of range\r\n");
    server.expect("move a x", "-ERR value is not an integer or out of range\r\n");
    server.expect("move b 1", ":0\r\n");
    server.expect("move a 1", ":1\r\n");
    server.expect("exists a", ":0\r\n");
    server.run("set a 2");
    server.expect("move a 1", ":0\r\n");
    server.run("select 1");
    server.expect("ttl a", ":100\r\n");
    server.expect("get a", "$1\r\n1\r\n");
    server.advance_ms(100_001);
    server.run("select 0");
    server.expect("move a 1", ":1\r\n");
}

#[test]
fn select_and_swapdb_check_the_index() {
    let mut server = Harness::new();
    server.expect("select 15", "+OK\r\n");
    server.expect("select 16", "-ERR DB index is out of range\r\n");
    server.expect("select x", "-ERR value is not an integer or out of range\r\n");
    server.expect("select 01", "-ERR value is not an integer or out of range\r\n");
    server.expect("swapdb x y", "-ERR invalid first DB index\r\n");
    server.expect("swapdb 99 y", "-ERR invalid second DB index\r\n");
    server.expect("swapdb 0 2147483648", "-ERR invalid second DB index\r\n");
    server.expect("swapdb 0 16", "-ERR DB index is out of range\r\n");
    server.expect("swapdb 0 0", "+OK\r\n");
}

#[test]
fn swapdb_swaps_keys_and_their_times() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.run("expire a 10");
    server.expect("swapdb 0 3", "+OK\r\n");
    server.expect("dbsize", ":0\r\n");
    server.run("select 3");
    server.expect("ttl a", ":10\r\n");
    server.advance_ms(10_001);
    server.expect("ttl a", ":-2\r\n");
}

#[test]
fn flushing_is_one_step_whatever_is_asked_for() {
    let mut server = Harness::new();
    for command in ["flushdb", "flushdb SYNC", "flushdb async", "flushall", "flushall sync", "flushall ASYNC"] {
        for number in 0..100 {
            server.run(&format!("set key:{number} 1"));
        }
        server.run("expire key:0 10");
        server.expect(command, "+OK\r\n");
        server.expect("dbsize", ":0\r\n");
        assert_eq!(server.state.keyspace.reclaim_pending(), 100, "freed later");
        while server.state.keyspace.reclaim_step(16) {}
        assert_eq!(server.state.keyspace.reclaim_pending(), 0);
    }
    server.expect("flushall x", "-ERR syntax error\r\n");
    server.expect("flushdb sync async", "-ERR syntax error\r\n");
}

#[test]
fn flushdb_leaves_other_databases_alone() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.run("select 1");
    server.run("set a 1");
    server.run("flushdb");
    server.expect("dbsize", ":0\r\n");
    server.run("select 0");
    server.expect("dbsize", ":1\r\n");
    server.run("flushall");
    server.expect("dbsize", ":0\r\n");
}

#[test]
fn keys_matches_names_and_leaves_out_expired_ones() {
    let mut server = Harness::new();
    server.expect("keys *", "*0\r\n");
    server.run("set one 1");
    server.expect("keys *", "*1\r\n$3\r\none\r\n");
    server.expect("keys o?e", "*1\r\n$3\r\none\r\n");
    server.expect("keys one", "*1\r\n$3\r\none\r\n");
    server.expect("keys [^o]ne", "*0\r\n");
    server.expect("keys \\one", "*1\r\n$3\r\none\r\n");
    server.expect("keys on", "*0\r\n");
    server.run("set two 2");
    assert!(server.run("keys *").starts_with("*2\r\n"));
    server.run("pexpire one 1");
    server.advance_ms(2);
    server.expect("keys *", "*1\r\n$3\r\ntwo\r\n");
    server.expect("keys one", "*0\r\n");
    server.expect("dbsize", ":2\r\n");
}

#[test]
fn scan_checks_its_arguments() {
    let mut server = Harness::new();
    server.run("set a 1");
    for bad in ["scan x", "scan 1x", "scan 18446744073709551616"] {
        server.expect(bad, "-ERR invalid cursor\r\n");
    }
    for bad in ["count", "count 0", "count -1", "match", "type", "foo bar", "match * count"] {
        server.expect(&format!("scan 0 {bad}"), "-ERR syntax error\r\n");
    }
    server.expect("scan 0 count x", "-ERR value is not an integer or out of range\r\n");
    server.expect("scan x count x", "-ERR invalid cursor\r\n");
    for strange in ["-1", "18446744073709551615"] {
        server.expect(&format!("scan {strange}"), "*2\r\n$1\r\n0\r\n*0\r\n");
    }
    server.expect("scan +0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n");
}

#[test]
fn scan_filters_by_name_and_type() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.run("set bb 1");
    let none = "*2\r\n$1\r\n0\r\n*0\r\n";
    let one = "*2\r\n$1\r\n0\r\n*1\r\n$1\r\na\r\n";
    server.expect("scan 0 match ?", one);
    server.expect("scan 0 MATCH a TYPE String COUNT 100", one);
    server.expect("scan 0 match zzz", none);
    server.expect("scan 0 type list", none);
    server.expect("scan 0 type nonsense", none);
    assert_eq!(scan_all(&mut server, " type string match *").len(), 2);
}

#[test]
fn scan_removes_the_expired_keys_that_it_meets() {
    let mut server = Harness::new();
    for (key, expiry_ms) in [("a", NOW_MS + 1), ("b", NOW_MS + 1), ("c", NOW_MS + 9)] {
        set_expiring(&mut server, key, expiry_ms);
    }
    server.advance_ms(2);
    server.expect("scan 0 match c", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n");
    server.expect("dbsize", ":3\r\n");
    server.expect("scan 0 match a type string", "*2\r\n$1\r\n0\r\n*0\r\n");
    server.expect("dbsize", ":2\r\n");
    server.expect("scan 0", "*2\r\n$1\r\n0\r\n*1\r\n$1\r\nc\r\n");
    server.expect("dbsize", ":1\r\n");
    assert_eq!(server.state.keyspace.stats.expired_keys, 2);
}

#[test]
fn scan_looks_at_about_count_keys() {
    let mut server = Harness::new();
    for number in 0..10_000 {
        server.run(&format!("set key:{number} 1"));
    }
    for count in [1, 10, 100, 1000] {
        let (_, names) = scanned(&server.run(&format!("scan 0 count {count}")));
        assert!((count..count + 14).contains(&names.len()), "{count}: {}", names.len());
    }
    // Keys that do not match count as well: a call is short whatever the pattern.
    let (cursor, names) = scanned(&server.run("scan 0 match nothing"));
    assert!(cursor != "0" && names.is_empty());
}

#[test]
fn scan_returns_every_key_that_stays_while_the_table_grows_and_shrinks() {
    // A walk of 20 keys a turn would hardly end if the table grew much faster than that.
    for (first, grow, changes) in [(500, true, 40), (30_000, false, 200)] {
        let mut server = Harness::new();
        for number in 0..500 {
            server.run(&format!("set stays:{number} 1"));
        }
        for number in 0..first {
            server.run(&format!("set extra:{number} 1"));
        }
        let mut seen = HashSet::new();
        let (mut cursor, mut turn) = ("0".to_string(), 0);
        loop {
            let (next, names) = scanned(&server.run(&format!("scan {cursor} count 20")));
            seen.extend(names.into_iter().filter(|name| name.starts_with("stays:")));
            for number in 0..changes {
                let number = turn * changes + number;
                let command = if grow { "set more" } else { "del extra" };
                let value = if grow { " 1" } else { "" };
                server.run(&format!("{command}:{number}{value}"));
            }
            while server.state.keyspace.shrink_step(1000) {}
            turn += 1;
            cursor = next;
            if cursor == "0" {
                break;
            }
            assert!(turn < 10_000, "the walk ends");
        }
        assert_eq!(seen.len(), 500);
    }
}

#[test]
fn randomkey_gives_live_keys_alone() {
    let mut server = Harness::new();
    server.expect("randomkey", "$-1\r\n");
    for number in 0..50 {
        set_expiring(&mut server, &format!("gone:{number}"), NOW_MS + 1);
    }
    server.run("set stays 1");
    server.advance_ms(2);
    for _ in 0..10 {
        server.expect("randomkey", &bulk("stays"));
    }
    server.run("del stays");
    server.expect("randomkey", "$-1\r\n");
    server.expect("dbsize", ":0\r\n");
    server.run("set a 1");
    server.run("set b 1");
    let seen: HashSet<String> = (0..50).map(|_| server.run("randomkey")).collect();
    assert_eq!(seen.len(), 2);
}

#[test]
fn object_tells_the_encoding() {
    let mut server = Harness::new();
    let keyspace = &mut server.state.keyspace;
    keyspace.set(0, b"int", NewValue::Integer(12), Expiry::Clear);
    keyspace.set(0, b"embedded", NewValue::Embedded(b"x"), Expiry::Clear);
    keyspace.set(0, b"raw", NewValue::Raw(b"x"), Expiry::Clear);
    server.expect("object encoding int", "$3\r\nint\r\n");
    server.expect("object encoding embedded", "$6\r\nembstr\r\n");
    server.expect("object encoding raw", "$3\r\nraw\r\n");
    server.expect("object encoding none", "$-1\r\n");
}

#[test]
fn object_refcount_is_that_of_shared_integers_where_redis_shares_them() {
    let mut server = Harness::new();
    for (key, number) in [("small", 9_999), ("big", 10_000), ("negative", -1)] {
        let value = NewValue::Integer(number);
        server.state.keyspace.set(0, key.as_bytes(), value, Expiry::Clear);
    }
    server.run("set text x");
    server.expect("object refcount small", ":2147483647\r\n");
    for key in ["big", "negative", "text"] {
        server.expect(&format!("object refcount {key}"), ":1\r\n");
    }
    server.expect("object refcount none", "$-1\r\n");
    server.state.config.maxmemory = 1 << 30;
    server.expect("object refcount small", ":2147483647\r\n");
    server.state.config.maxmemory_policy = oneloop::config::MaxmemoryPolicy::AllkeysLru;
    server.expect("object refcount small", ":1\r\n");
}

#[test]
fn object_idletime_and_freq_depend_on_the_policy() {
    let mut server = Harness::new();
    server.run("set a x");
    server.advance_ms(61_500);
    server.expect("object idletime a", ":61\r\n");
    server.expect("object idletime none", "$-1\r\n");
    server.expect("object freq none", "$-1\r\n");
    server.expect(
        "object freq a",
        "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note \
         that when switching between policies at runtime LRU and LFU data will take some time to \
         adjust.\r\n",
    );
    server.state.config.maxmemory_policy = oneloop::config::MaxmemoryPolicy::AllkeysLfu;
    oneloop::drive::settings::apply_to_state(&mut server.state);
    server.expect(
        "object idletime a",
        "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when \
         switching between policies at runtime LRU and LFU data will take some time to adjust.\r\n",
    );
    server.run("set b x");
    server.expect("object freq b", ":5\r\n");
    server.advance_ms(60_000);
    server.expect("object freq b", ":4\r\n");
}

#[test]
fn object_knows_its_subcommands() {
    let mut server = Harness::new();
    server.expect("object", "-ERR wrong number of arguments for 'object' command\r\n");
    server.expect("object foo", "-ERR unknown subcommand 'foo'. Try OBJECT HELP.\r\n");
    let arity = "-ERR wrong number of arguments for 'object|encoding' command\r\n";
    server.expect("object encoding", arity);
    server.expect("object encoding a b", arity);
    let help = server.run("object help");
    let title = "*11\r\n+OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n";
    assert!(help.starts_with(title), "{help}");
    assert!(help.ends_with("+HELP\r\n+    Prints this help.\r\n"), "{help}");
}

#[test]
fn events_come_in_the_order_of_redis() {
    let mut server = Harness::new();
    for (words, events) in [
        ("set a 1", vec!["0:new a", "0:set a"]),
        ("rename a b", vec!["0:new b", "0:rename_from a", "0:rename_to b"]),
        ("rename b b", vec![]),
        ("copy b c", vec!["0:new c", "0:copy_to c"]),
        ("copy b c replace", vec!["0:new c", "0:copy_to c"]),
        ("rename b c", vec!["0:new c", "0:rename_from b", "0:rename_to c"]),
        ("renamenx c d", vec!["0:new d", "0:rename_from c", "0:rename_to d"]),
        ("copy d e db 1", vec!["1:new e", "1:copy_to e"]),
        ("move d 1", vec!["1:new d", "0:move_from d", "1:move_to d"]),
        ("exists d", vec!["0:keymiss d"]),
        ("object encoding d", vec![]),
        ("type d", vec!["0:keymiss d"]),
        ("set x 1", vec!["0:new x", "0:set x"]),
        ("del x y x", vec!["0:del x"]),
    ] {
        assert_eq!(server.events(words), events, "{words}");
    }
}

#[test]
fn an_expired_key_is_told_of_before_what_takes_its_place() {
    let mut server = Harness::new();
    for (words, events) in [
        ("rename r p", vec!["0:expired p", "0:new p", "0:rename_from r", "0:rename_to p"]),
        ("renamenx r p", vec!["0:expired p", "0:new p", "0:rename_from r", "0:rename_to p"]),
        ("copy r p", vec!["0:expired p", "0:new p", "0:copy_to p"]),
        ("rename p q", vec!["0:expired p"]),
        ("del p", vec!["0:expired p"]),
        ("exists p", vec!["0:expired p", "0:keymiss p"]),
        ("scan 0", vec!["0:expired p"]),
        ("move p 3", vec!["0:expired p"]),
        ("expire p 100", vec!["0:expired p"]),
        ("persist p", vec!["0:expired p"]),
        ("keys *", vec![]),
    ] {
        server.run("flushall");
        server.run("set r 1");
        let due_ms = server.state.now_ms() + 1;
        set_expiring(&mut server, "p", due_ms);
        server.advance_ms(2);
        assert_eq!(server.events(words), events, "{words}");
    }
}

#[test]
fn each_counts_as_many_changes_as_in_redis() {
    let mut server = Harness::new();
    for (words, changes) in [
        ("set a 1", 1),
        ("set b 1", 1),
        ("rename a b", 1),
        ("rename b b", 0),
        ("copy b c", 1),
        ("copy b c replace", 1),
        ("move c 1", 1),
        ("expire b 100", 1),
        ("expire b 50 gt", 0),
        ("persist b", 1),
        ("persist b", 0),
        ("swapdb 0 1", 1),
        ("swapdb 1 0", 1),
        ("del b x", 1),
        ("flushall", 1),
        ("flushall", 0),
    ] {
        let before = server.state.keyspace.changes.total();
        server.run(words);
        assert_eq!(server.state.keyspace.changes.total() - before, changes, "{words}");
    }
}

#[test]
fn a_key_that_expired_is_no_change() {
    let mut server = Harness::new();
    set_expiring(&mut server, "a", NOW_MS + 1);
    server.advance_ms(2);
    let before = server.state.keyspace.changes.total();
    server.expect("exists a", ":0\r\n");
    assert_eq!(server.state.keyspace.changes.total(), before);
}
