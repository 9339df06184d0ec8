//! XTRIM and XADD where trimming depends on what the consumer groups know.

use crate::support::Harness;

/// A stream of so many entries, 1-0 and on.
fn server_with(entries: usize) -> Harness {
    let mut server = Harness::new();
    for number in 1..=entries {
        server.run(&format!("xadd s {number}-0 f v"));
    }
    server
}

/// The same, with a group that has read so many of them and acknowledged the first of these.
fn server_with_group(entries: usize, read: usize, acknowledged: usize) -> Harness {
    let mut server = server_with(entries);
    server.run("xgroup create s g 0");
    if read > 0 {
        server.run(&format!("xreadgroup group g c count {read} streams s >"));
    }
    for number in 1..=acknowledged {
        server.run(&format!("xack s g {number}-0"));
    }
    server
}

#[test]
fn approximate_trimming_removes_whole_blocks_that_no_group_needs() {
    let mut server = server_with(200);
    server.run("xgroup create s g 0");
    server.run("xreadgroup group g c count 200 noack streams s >");
    server.expect("xtrim s maxlen ~ 10 acked", ":100\r\n");
    server.expect("xlen s", ":100\r\n");
    server.expect("xtrim s maxlen ~ 0 acked", ":100\r\n");

    let mut server = server_with(4);
    server.expect("xtrim s minid ~ 5 limit 3 acked", ":0\r\n");
    server.expect("xtrim s minid ~ 4 limit 4 acked", ":0\r\n");
    server.expect("xtrim s minid ~ 5 limit 4 acked", ":4\r\n");
    server.expect("xlen s", ":0\r\n");

    let mut server = server_with(200);
    server.run("xgroup create s g $");
    server.run("xadd s maxlen ~ 10 acked 201-0 f v");
    // Of the last block too much would go; the group has yet to read 201-0.
    server.expect("xlen s", ":101\r\n");
}

#[test]
fn entries_that_a_group_needs_stay() {
    let mut server = server_with_group(4, 2, 2);
    server.run("config set stream-node-max-entries 2");
    server.run("del s");
    for number in 1..=4 {
        server.run(&format!("xadd s {number}-0 f v"));
    }
    server.run("xgroup create s g 0");
    server.run("xreadgroup group g c count 3 streams s >");
    server.run("xack s g 1-0 2-0");
    server.expect("xtrim s minid ~ 5-0 acked", ":2\r\n");
    server.expect("xlen s", ":2\r\n");
    server.run("xack s g 3-0");
    server.expect("xtrim s minid ~ 5-0 acked", ":1\r\n");
    server.expect("xrange s - +", "*1\r\n*2\r\n$3\r\n4-0\r\n*2\r\n$1\r\nf\r\n$1\r\nv\r\n");

    let mut server = server_with_group(200, 120, 50);
    server.expect("xtrim s maxlen ~ 10 acked", ":50\r\n");
    let mut server = server_with_group(200, 120, 50);
    server.expect("xtrim s maxlen 10 acked", ":50\r\n");
    let mut server = server_with_group(6, 4, 2);
    server.expect("xtrim s maxlen 5 acked", ":1\r\n");
    server.expect("xtrim s minid 3-0 acked", ":1\r\n");
    server.expect("xtrim s minid 9-0 acked", ":0\r\n");
}

#[test]
fn approximate_trimming_takes_references_along() {
    let mut server = server_with_group(200, 200, 0);
    server.expect("xtrim s maxlen ~ 10 delref", ":100\r\n");
    server.expect("xpending s g", "*4\r\n:100\r\n$5\r\n101-0\r\n$5\r\n200-0\r\n*1\r\n*2\r\n$1\r\nc\r\n$3\r\n100\r\n");
}

/// Entries that were deleted before are still in their block, and their references go with those of the others.
#[test]
fn references_to_deleted_entries_are_trimmed() {
    for trim in ["maxlen 0", "minid 9-0", "maxlen ~ 0", "minid ~ 9-0"] {
        let mut server = server_with_group(3, 3, 0);
        server.run("xdel s 1-0");
        server.expect(&format!("xtrim s {trim} delref"), ":2\r\n");
        server.expect("xpending s g", "*4\r\n:0\r\n$-1\r\n$-1\r\n*-1\r\n");
    }
    let mut server = server_with_group(4, 4, 0);
    server.run("xdel s 1-0 3-0");
    server.expect("xtrim s maxlen 1 delref", ":1\r\n");
    // Trimming came to 2-0.
    server.expect("xpending s g", "*4\r\n:2\r\n$3\r\n3-0\r\n$3\r\n4-0\r\n*1\r\n*2\r\n$1\r\nc\r\n$1\r\n2\r\n");
    // Without DELREF they stay.
    let mut server = server_with_group(3, 3, 0);
    server.run("xdel s 1-0");
    server.run("xtrim s maxlen 0");
    assert!(server.run("xpending s g").starts_with("*4\r\n:3\r\n"));
}

#[test]
fn a_block_whose_last_entry_is_trimmed_goes() {
    for trim in ["minid = 2-0", "minid = 2-0 delref", "minid = 2-0 acked"] {
        let mut server = server_with(2);
        server.run("xdel s 2-0");
        server.expect(&format!("xtrim s {trim}"), ":1\r\n");
        let info = server.run("xinfo stream s");
        assert!(info.contains("radix-tree-keys\r\n:0\r\n"), "{trim}: {info}");
        let client = server.client;
        let dumped = server.run_as(client, &[b"dump", b"s"]);
        let start = dumped.iter().position(|byte| *byte == b'\n');
        let payload = &dumped[start.expect("a bulk string") + 1..dumped.len() - 2];
        let restored = server.run_as(client, &[b"restore", b"copy", b"0", payload]);
        assert_eq!(restored, b"+OK\r\n", "{trim}");
        server.expect("xlen copy", ":0\r\n");
        server.expect("xadd s 3-0 f v", "$3\r\n3-0\r\n");
        server.expect("xlen s", ":1\r\n");
    }
}

/// What is passed on says exactly how far trimming came, also where entries stayed among others.
#[test]
fn what_was_trimmed_is_passed_on() {
    for trim in ["maxlen ~ 10", "minid ~ 101-0"] {
        for policy in ["keepref", "delref", "acked"] {
            let mut server = server_with_group(200, 150, 0);
            server.run("xack s g 3-0 4-0 120-0");
            server.propagate();
            server.run(&format!("xtrim s {trim} {policy}"));
            let bytes = server.take_propagated();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let words: Vec<&str> = text.split("\r\n").collect();
            let words = words.iter().filter(|word| !word.starts_with(['*', '$']));
            let passed_on: Vec<&str> = words.copied().collect();
            let passed_on = passed_on.join(" ").replace("SELECT 0 ", "");
            let mut other = server_with_group(200, 150, 0);
            other.run("xack s g 3-0 4-0 120-0");
            other.run(passed_on.trim());
            assert!(!passed_on.contains('~'), "{passed_on}");
            for question in ["xrange s - +", "xpending s g"] {
                assert_eq!(other.run(question), server.run(question), "{passed_on}");
            }
        }
    }
}
