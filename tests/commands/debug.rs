//! DEBUG.

use crate::support::Harness;

#[test]
fn it_must_be_allowed() {
    let mut server = Harness::new();
    assert!(server.run("debug sleep 0").starts_with("-ERR DEBUG command not allowed."));
}

#[test]
fn unknown_subcommands_and_numbers_of_arguments() {
    let mut server = Harness::with_debug();
    for (request, name) in [("debug foo", "foo"), ("debug sleep", "sleep"), ("debug digest x", "digest")] {
        let error = format!("-ERR unknown subcommand or wrong number of arguments for '{name}'. Try DEBUG HELP.\r\n");
        server.expect(request, &error);
    }
    assert!(server.run("debug help").contains("+POPULATE <count> [<prefix>] [<size>]\r\n"));
}

/// Recorded from Redis 7.0.15 with the same data.
#[test]
fn digests_are_those_of_redis() {
    let mut server = Harness::with_debug();
    let nothing = "+0000000000000000000000000000000000000000\r\n";
    server.expect("debug digest", nothing);
    server.run("set a b");
    server.expect("debug digest", "+479783d7290f02957dfbe3408a858ba13eea1709\r\n");
    server
        .expect("debug digest-value a none", &format!("*2\r\n+b78559cd22bce6e6df712eb99ce7f3b08e8f8f1f\r\n{nothing}"));
    server.run("set n 12345");
    server.run("select 9");
    server.run("set volatile x");
    server.run("pexpireat volatile 33177117420000");
    server.expect("debug digest", "+fa639044dce3e592150c98480a066302fee522dd\r\n");
    server.run("flushall");
    server.run("select 0");
    server.run("debug populate 100");
    server.run("debug populate 20 pre 3");
    server.run("debug populate 20 long 300");
    server.expect("debug digest", "+008302985bb0f7b38621293670af483c71192c2e\r\n");
}

#[test]
fn populate_makes_keys_and_keeps_those_that_are_there() {
    let mut server = Harness::with_debug();
    server.run("set key:1 mine");
    server.expect("debug populate 3", "+OK\r\n");
    server.expect("get key:1", "$4\r\nmine\r\n");
    server.expect("get key:2", "$7\r\nvalue:2\r\n");
    server.run("debug populate 1 p 10");
    server.expect("get p:0", "$10\r\nvalue:0\0\0\0\r\n");
    server.run("debug populate 1 q 3");
    server.expect("get q:0", "$3\r\nval\r\n");
    for request in ["debug populate x", "debug populate -1", "debug populate 1 a -1"] {
        server.expect(request, "-ERR value is out of range, must be positive\r\n");
    }
    server.expect(
        "debug populate 1 a 9223372036854775807",
        "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n",
    );
}

#[test]
fn switches_are_turned() {
    let mut server = Harness::with_debug();
    server.expect("debug set-active-expire 0", "+OK\r\n");
    assert!(!server.state.keyspace.active_expiry);
    server.run("debug set-active-expire 1");
    assert!(server.state.keyspace.active_expiry);
    server.expect("debug pause-cron 1", "+OK\r\n");
    assert!(server.state.debug.cron_paused);
    let before = server.state.replication.identity.id;
    server.expect("debug change-repl-id", "+OK\r\n");
    assert_ne!(server.state.replication.identity.id, before);
}

#[test]
fn sleep_moves_the_clock() {
    let mut server = Harness::with_debug();
    server.expect("debug sleep 1.5", "+OK\r\n");
    assert_eq!(server.state.clock.now_ms(), 1_700_000_001_500);
    server.expect("debug sleep x", "+OK\r\n");
}

#[test]
fn an_error_is_a_reply_and_no_failure() {
    let mut server = Harness::with_debug();
    server.expect("debug error MYERR", "-MYERR\r\n");
    assert_eq!(server.run_args(&[b"debug", b"error", b"A b\r\nc"]), "-A b  c\r\n");
    assert!(server.run("info stats").contains("total_error_replies:0\r\n"));
}

/// The lengths are those that Redis 8.0 shows.
#[test]
fn an_object_is_described_with_its_length_in_a_snapshot() {
    let mut server = Harness::with_debug();
    let long = "a".repeat(40);
    let words = |words: &str| words.split(' ').map(str::to_string).collect::<Vec<_>>();
    let numbers = (0..1000).map(|number| number.to_string());
    let many = ["SADD", "many"].map(str::to_string).into_iter().chain(numbers);
    let scores = (0..200).flat_map(|number| [format!("{}", f64::from(number) * 1.5), format!("m{number}")]);
    let scored = ["ZADD", "scored"].map(str::to_string).into_iter().chain(scores);
    for (command, key, bytes) in [
        (words("SET empty "), "empty", 1),
        (words("SET large 99999999999"), "large", 12),
        (words(&format!("SET long {long}")), "long", 12),
        (words("RPUSH list a b c"), "list", 19),
        (words("SADD numbers 1 2 3"), "numbers", 15),
        (words("SADD set a b"), "set", 14),
        (many.collect(), "many", 2874),
        (words("HSET hash a 1 b 2"), "hash", 18),
        (words(&format!("HSET wide a {}", "y".repeat(100))), "wide", 16),
        (words("ZADD sorted 1 a 2 b"), "sorted", 18),
        (scored.collect(), "scored", 2492),
        (words("XADD stream 1-1 a b"), "stream", 57),
    ] {
        let command: Vec<&[u8]> = command.iter().map(String::as_bytes).collect();
        server.run_args(&command);
        let text = server.run(&format!("debug object {key}"));
        assert!(text.contains(&format!(" serializedlength:{bytes} ")), "{key}: {text}");
    }
    server.run("CONFIG SET rdbcompression no");
    let text = server.run("debug object long");
    assert!(text.contains(" serializedlength:41 "), "{text}");
}

#[test]
fn an_object_is_described() {
    let mut server = Harness::with_debug();
    server.run("debug populate 1");
    let text = server.run("debug object key:0");
    assert!(text.starts_with("+Value at:0x"), "{text}");
    assert!(text.contains(" refcount:1 encoding:embstr serializedlength:8 lru:"), "{text}");
    assert!(text.ends_with(" lru_seconds_idle:0\r\n"), "{text}");
    server.expect("debug object none", "-ERR no such key\r\n");
    server.expect("debug htstats-key none", "-ERR no such key\r\n");
    server.expect(
        "debug htstats-key key:0",
        "-ERR The value stored at the specified key is not represented using an hash table\r\n",
    );
    server.expect("debug htstats 16", "-ERR Out of range database\r\n");
    server.expect("debug htstats x", "-ERR value is not an integer or out of range\r\n");
}

/// A number that stands behind a name in a text.
fn number_after(text: &str, name: &str) -> f64 {
    let rest = text.split_once(name).expect("it is there").1;
    let end = rest.find(['\n', ' ', '\r']).unwrap_or(rest.len());
    rest[..end].parse().expect("a number")
}

#[test]
fn tables_are_described_as_they_are() {
    let mut server = Harness::with_debug();
    let empty = "Hash table 0 stats (main hash table):\nNo stats available for empty dictionaries\n";
    let reply = server.run("debug htstats 0");
    assert!(reply.ends_with(&format!("[Dictionary HT]\n{empty}[Expires HT]\n{empty}\r\n")));
    for number in 0..1000 {
        server.run(&format!("sadd set m{number}"));
        server.run(&format!("hset hash f{number} v"));
        server.run(&format!("zadd zset 1 m{number}"));
        server.run(&format!("set k{number} v ex {}", 100 + number));
    }
    for (question, entries) in
        [("htstats 0", 1003.0), ("htstats-key set", 1000.0), ("htstats-key hash", 1000.0), ("htstats-key zset", 1000.0)]
    {
        let short = server.run(&format!("debug {question}"));
        assert_eq!(number_after(&short, "number of elements: "), entries);
        assert!(!short.contains("Chain"), "{short}");
        let full = server.run(&format!("debug {question} full"));
        let full = full.split("[Expires HT]").next().unwrap_or_default();
        assert!(!full.contains("rehashing target"), "{full}");
        let buckets = number_after(full, "table size: ");
        let lines = full.lines().filter_map(|line| {
            let (length, rest) = line.strip_prefix("   ")?.split_once(": ")?;
            let count = rest.split(' ').next()?;
            Some((length.parse::<f64>().ok()?, count.parse::<f64>().ok()?))
        });
        let chains: Vec<(f64, f64)> = lines.collect();
        let sum = |of: fn(&(f64, f64)) -> f64| chains.iter().map(of).sum::<f64>();
        assert_eq!(sum(|(_, count)| *count), buckets, "{full}");
        assert_eq!(sum(|(length, count)| length * count), entries, "{full}");
        let longest = chains.last().expect("a chain").0;
        assert_eq!(number_after(full, "max chain length: "), longest);
        let used = number_after(full, "different slots: ");
        let empty = chains.iter().find(|(length, _)| *length == 0.0);
        assert_eq!(used, buckets - empty.map_or(0.0, |(_, count)| *count));
    }
    server.run("rpush list 1");
    server.run("sadd few 1");
    for key in ["list", "few", "k1"] {
        server.expect(
            &format!("debug htstats-key {key}"),
            "-ERR The value stored at the specified key is not represented using an hash table\r\n",
        );
    }
}

/// Recorded from Redis in both protocols.
#[test]
fn every_type_of_reply() {
    let recorded = [
        ("string", "$11\r\nHello World\r\n", "$11\r\nHello World\r\n"),
        ("double", "$5\r\n3.141\r\n", ",3.141\r\n"),
        ("null", "$-1\r\n", "_\r\n"),
        ("set", "*3\r\n:0\r\n:1\r\n:2\r\n", "~3\r\n:0\r\n:1\r\n:2\r\n"),
        ("map", "*6\r\n:0\r\n:0\r\n:1\r\n:1\r\n:2\r\n:0\r\n", "%3\r\n:0\r\n#f\r\n:1\r\n#t\r\n:2\r\n#f\r\n"),
        (
            "attrib",
            "$39\r\nSome real reply following the attribute\r\n",
            "|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n$39\r\nSome real reply following the attribute\r\n",
        ),
        (
            "push",
            "-ERR RESP2 is not supported by this command\r\n",
            "$40\r\nSome real reply following the push reply\r\n>2\r\n$16\r\nserver-cpu-usage\r\n:42\r\n",
        ),
        ("true", ":1\r\n", "#t\r\n"),
    ];
    let mut server = Harness::with_debug();
    for (kind, resp2, _) in recorded {
        server.expect(&format!("debug protocol {kind}"), resp2);
    }
    server.run("hello 3");
    for (kind, _, resp3) in recorded {
        server.expect(&format!("debug protocol {kind}"), resp3);
    }
    assert!(server.run("debug protocol foo").starts_with("-ERR Wrong protocol type name."));
}
