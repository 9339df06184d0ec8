//! What replicas are sent of commands that came after Redis 7.2, so that one of that version has the same data; and
//! what replicas ask of their primary, where no socket is needed.

use std::collections::HashSet;

use oneloop::command::registry::Registry;
use oneloop::command::spec::Flag;
use oneloop::commands::FAMILIES;
use oneloop::config::Config;
use oneloop::keyspace::Target;

use crate::support::{Harness, START_MS};

/// Commands of 7.2, and those that came later.
const FACTS: &str = include_str!("../data/commands-7.2.tsv");
const LATER: &str = include_str!("../data/commands-after-7.2.txt");

/// What was sent since the last time: a command a line, without the marks of the protocol.
fn sent(server: &mut Harness) -> String {
    let bytes = server.take_propagated();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines: Vec<Vec<&str>> = Vec::new();
    for line in text.split("\r\n").filter(|line| !line.starts_with('$') && !line.is_empty()) {
        match (line.strip_prefix('*'), lines.last_mut()) {
            (Some(_), _) => lines.push(Vec::new()),
            (None, Some(words)) => words.push(line),
            (None, None) => {}
        }
    }
    let lines: Vec<String> = lines.iter().map(|words| words.join(" ")).collect();
    lines.join("\n").replace("SELECT 0\n", "")
}

/// What is done before, the command, and what is sent of it. A moment is `@` and the seconds from the start.
const FORMS: &[(&[&str], &str, &str)] = &[
    (&[], "msetex 2 a 1 b 2", "MSET a 1 b 2"),
    (&[], "msetex 2 a 1 b 2 nx ex 100", "MULTI\nSET a 1 PXAT @100\nSET b 2 PXAT @100\nEXEC"),
    (&["set a 1"], "msetex 1 a 2 keepttl", "SET a 2 KEEPTTL"),
    (&["set a 1"], "set a 2 ifeq 1", "SET a 2"),
    (&["set a 1"], "set a 2 ifeq 1 ex 100", "SET a 2 PXAT @100"),
    (&["set a 1"], "set a 2 get ifne 9 keepttl", "SET a 2 KEEPTTL"),
    (&["set a 1"], "set a 2 pxat 9999999999999 ifeq 1", "SET a 2 PXAT 9999999999999"),
    (&["set a 1"], "delex a ifeq 1", "DEL a"),
    (&["set a 1"], "delifeq a 1", "DEL a"),
    (&[], "increx c byint 3 ex 100", "SET c 3 PXAT @100"),
    (&["hset h f 1"], "hexpire h 100 fields 1 f", "HPEXPIREAT h @100 FIELDS 1 f"),
    (&["hset h f 1"], "hpexpire h 100000 fields 1 f", "HPEXPIREAT h @100 FIELDS 1 f"),
    (&["hset h f 1"], "hexpireat h 9999999999 fields 1 f", "HPEXPIREAT h 9999999999000 FIELDS 1 f"),
    (&["hset h f 1"], "hpexpireat h 9999999999999 fields 1 f", "HPEXPIREAT h 9999999999999 FIELDS 1 f"),
    (&["hset h f 1 g 2"], "hexpireat h 1 fields 1 f", "HDEL h f"),
    (&["hset h f 1", "hexpire h 9 fields 1 f"], "hpersist h fields 1 f", "hpersist h fields 1 f"),
    (&["hset h f 1"], "hgetex h ex 100 fields 1 f", "HPEXPIREAT h @100 FIELDS 1 f"),
    (&["hset h f 1 g 2"], "hgetdel h fields 1 f", "HDEL h f"),
    (&[], "hsetex h fields 2 f 1 g 2", "HSET h f 1 g 2"),
    (&["hset h f 1"], "hsetex h fnx keepttl fields 1 g 2", "HSET h g 2"),
    (&["hset h f 1", "hexpire h 9 fields 1 f"], "hsetex h keepttl fields 1 f 2", "hsetex h keepttl fields 1 f 2"),
    (&[], "hsetex h ex 100 fields 1 f 1", "hsetex h PXAT @100 fields 1 f 1"),
    (&["rpush l a b c"], "lmovem l m left right count 2 bulk", "MULTI\nLPOP l 2\nRPUSH m a b\nEXEC"),
    (&["rpush l a b c"], "lmovem l m left left count 2 obo", "MULTI\nLPOP l 2\nLPUSH m a b\nEXEC"),
    (&["rpush l a b c"], "lmovem l m left left count 2 bulk", "MULTI\nLPOP l 2\nLPUSH m b a\nEXEC"),
    (&["rpush l a b c"], "lmovem l m right left count 2 bulk", "MULTI\nRPOP l 2\nLPUSH m c b\nEXEC"),
    (
        &["rpush l a b c"],
        "lmovem l l left right count 2 obo",
        "MULTI\nLMOVE l l LEFT RIGHT\nLMOVE l l LEFT RIGHT\nEXEC",
    ),
    (&["rpush l a b c"], "lmovem l l left left count 2 bulk", ""),
    (&["rpush l a b c"], "lmovem l l left left count 1 obo", ""),
    (&["rpush l a b c"], "lmovem l l left left count 2 obo", "MULTI\nLPOP l 2\nLPUSH l a b\nEXEC"),
    (&["rpush l a b c"], "lmovem l l left left count 3 obo", "MULTI\nLPUSH l a b c\nLTRIM l 0 2\nEXEC"),
    (&["rpush l a b c"], "lmovem l l right right count 9 obo", "MULTI\nRPUSH l c b a\nLTRIM l -3 -1\nEXEC"),
    (&["rpush l a b c"], "blmovem l m left right 1 count 2 bulk", "MULTI\nLPOP l 2\nRPUSH m a b\nEXEC"),
    (&["xadd s 1-1 a b", "xadd s 1-2 a b"], "xdelex s ids 2 1-1 9-9", "XDEL s 1-1"),
    (PENDING, "xdelex s delref ids 1 1-1", "MULTI\nXACK s g 1-1\nXACK s g2 1-1\nXDEL s 1-1\nEXEC"),
    (&["xadd s 1-1 a b"], "xdelex s acked ids 1 1-1", "XDEL s 1-1"),
    (PENDING, "xdelex s acked ids 2 1-1 1-3", ""),
    (PENDING, "xackdel s g ids 2 1-1 1-3", "MULTI\nXACK s g 1-1\nXDEL s 1-1\nEXEC"),
    (PENDING, "xackdel s g acked ids 2 1-1 1-2", "XACK s g 1-1 1-2"),
    (PENDING, "xackdel s g delref ids 1 1-1", "MULTI\nXACK s g 1-1\nXACK s g2 1-1\nXDEL s 1-1\nEXEC"),
    (PENDING, "xnack s g silent ids 1 1-1", "xnack s g silent ids 1 1-1"),
    (&[], "xadd s keepref maxlen 10 1-1 a b", "xadd s maxlen 10 1-1 a b"),
    (&["xadd s 1-1 a b", "xadd s 1-2 a b"], "xtrim s maxlen 1 keepref", "xtrim s maxlen 1"),
    (PENDING, "xtrim s maxlen 1 delref", "xtrim s maxlen 1 delref"),
    (
        &["xadd s 1-1 a b", "xcfgset s idmp-maxsize 9"],
        "xadd s keepref idmp p m1 nomkstream * a b",
        "MULTI\nxadd s nomkstream @now-0 a b\nXACK s \0producers message 1 pm1 @now-0\nEXEC",
    ),
    (&["xadd s 1-1 a b"], "xcfgset s idmp-maxsize 9", "XACK s \0producers retention 100 9 0-0"),
    // The first message says how long messages are known: a replica may have another default.
    (
        &["xadd s 1-1 a b"],
        "xidmprecord s p m 1-1",
        "MULTI\nXACK s \0producers retention 100 100 0-0\nXACK s \0producers message 1 pm 1-1\nEXEC",
    ),
    (&["xadd s 1-1 a b", "xidmprecord s p m 1-1"], "xidmprecord s p n 1-1", "XACK s \0producers message 1 pn 1-1"),
];

/// A stream of which one group has two entries pending and another one has one.
const PENDING: &[&str] = &[
    "xadd s 1-1 a b",
    "xadd s 1-2 a b",
    "xadd s 1-3 a b",
    "xgroup create s g 0",
    "xgroup create s g2 0",
    "xreadgroup group g c count 2 streams s >",
    "xreadgroup group g2 c count 1 streams s >",
];

#[test]
fn newer_commands_reach_replicas_in_older_words_where_there_are_any() {
    for (before, command, expected) in FORMS {
        let mut server = Harness::new();
        server.propagate_to(Target::Replicas);
        before.iter().for_each(|line| drop(server.run(line)));
        server.take_propagated();
        let reply = server.run(command);
        assert!(!reply.starts_with("-ERR unknown"), "{command}: {reply}");
        let moment = (START_MS + 100_000).to_string();
        let expected = expected.replace("@100", &moment).replace("@now", &START_MS.to_string());
        assert_eq!(sent(&mut server), expected, "{command}: {reply}");
    }
}

/// A command that has no form in 7.2 says so in the table, and a form is shown of every other one.
/// A key that SPOP has used up, or that RESTORE was to replace by what has expired, is deleted in the form that is set.
#[test]
fn keys_that_are_used_up_are_deleted_in_the_form_that_is_set() {
    let mut server = Harness::new();
    server.propagate_to(Target::Replicas);
    for (setting, name) in [("no", "DEL"), ("yes", "UNLINK")] {
        server.expect(&format!("config set lazyfree-lazy-server-del {setting}"), "+OK\r\n");
        server.run("sadd s a b");
        server.run("set k 1");
        let client = server.client;
        let reply = server.run_as(client, &[b"dump", b"k"]);
        // Without the header of the reply, and its end.
        let start = reply.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
        let payload = &reply[start..reply.len() - 2];
        sent(&mut server);
        server.run("spop s 2");
        assert_eq!(sent(&mut server), format!("{name} s"));
        let reply = server.run_as(client, &[b"restore", b"k", b"1", payload, b"absttl", b"replace"]);
        assert_eq!(reply, b"+OK\r\n");
        assert_eq!(sent(&mut server), format!("{name} k"));
    }
}

/// A client that waits for a key is not woken by one that has expired, which stays until it is asked for.
#[test]
fn a_waiting_client_does_not_delete_an_expired_key() {
    let mut server = Harness::with_debug();
    server.propagate_to(Target::Replicas);
    let waiting = server.connect();
    server.run_as(waiting, &[b"brpop", b"k", b"0"]);
    for command in ["debug set-active-expire 0", "select 1", "rpush k hello", "pexpire k 100"] {
        server.run(command);
    }
    server.advance_ms(101);
    sent(&mut server);
    server.expect("swapdb 1 0", "+OK\r\n");
    assert_eq!(sent(&mut server), "swapdb 1 0");
    assert_eq!(server.pushed(waiting), b"");
    server.run("select 0");
    server.expect("exists k", ":0\r\n");
    assert_eq!(sent(&mut server), "DEL k");
}

#[test]
fn the_table_says_which_commands_have_no_older_form() {
    let old: HashSet<String> =
        FACTS.lines().filter_map(|line| line.split('\t').next()).map(str::to_lowercase).collect();
    let later: HashSet<&str> = LATER.lines().collect();
    let registry = Registry::new(FAMILIES);
    let newer = registry.iter().filter(|command| later.contains(command.full_name.as_str()));
    for command in newer {
        // It needs a node of a cluster: `cluster/slot_keys.rs` shows its form.
        if command.full_name == "cluster|flushslot" {
            continue;
        }
        if !command.flags.has(Flag::Write) {
            assert!(!command.flags.has(Flag::NoOlderForm), "{} changes nothing", command.full_name);
            continue;
        }
        let of_it = |row: &&(&[&str], &str, &str)| row.1.split(' ').next() == Some(command.full_name.as_str());
        let rows: Vec<_> = FORMS.iter().filter(of_it).collect();
        assert!(!rows.is_empty(), "no form of {} is shown", command.full_name);
        let words = rows.iter().flat_map(|row| row.2.lines()).filter_map(|line| line.split(' ').next());
        let is_newer = words.into_iter().any(|word| !old.contains(&word.to_lowercase()));
        assert_eq!(command.flags.has(Flag::NoOlderForm), is_newer, "{}", command.full_name);
    }
}

#[test]
fn what_a_replica_may_say_of_itself() {
    let mut server = Harness::new();
    server.expect("replconf listening-port 1 capa eof capa psync2 capa unheard-of", "+OK\r\n");
    server.expect("replconf ip-address replica.example", "+OK\r\n");
    server.expect("replconf version 8.1.1", "+OK\r\n");
    server.expect("replconf version eight", "-ERR Unrecognized version format: eight\r\n");
    server.expect("replconf capa", "-ERR syntax error\r\n");
    server.expect("replconf listening-port x", "-ERR value is not an integer or out of range\r\n");
    server.expect("replconf rdb-only 2", "-ERR value is out of range, value must between 0 and 1\r\n");
    server.expect("replconf rdb-filter-only keys", "-ERR Unsupported rdb-filter-only option: keys\r\n");
    server.expect("replconf main-ch-client-id 1", "-ERR Unrecognized REPLCONF option: main-ch-client-id\r\n");
    // Whoever is no replica has nothing to acknowledge, and gets no reply.
    server.expect("replconf ack 5", "");
    let long = format!("replconf ip-address {}", "a".repeat(256));
    server.expect(&long, "-ERR REPLCONF ip-address provided by replica instance is too long: 256 bytes\r\n");
}

#[test]
fn synchronization_is_refused_where_it_is_not_possible() {
    let mut server = Harness::new();
    server.expect("psync ? x", "-ERR value is not an integer or out of range\r\n");
    server.expect("psync ? -1 failover", "-ERR PSYNC FAILOVER can't be sent to a master.\r\n");
    server.expect("replconf rdb-filter-only functions", "+OK\r\n");
    server.expect("psync ? -1", "-ERR Filtered replica requires EOF capability\r\n");
    server.expect("multi", "+OK\r\n");
    server.expect("psync ? -1", "-ERR Command not allowed inside a transaction\r\n");
    server.expect("discard", "+OK\r\n");
    server.expect("role", "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n");
    server.expect("failover to a", "-ERR syntax error\r\n");
    server.expect("failover force", "-ERR FAILOVER requires connected replicas.\r\n");
}

/// Any number of versions can be pinned, so nobody waits for others, unless somebody has asked for it.
#[test]
fn only_a_delay_that_was_asked_for_is_kept() {
    let mut config = Config::default();
    assert_eq!((config.repl_diskless_sync_delay.seconds(), config.repl_diskless_sync_delay.asked_for_ms()), (5, 0));
    let mut server = Harness::new();
    server.expect("config set repl-diskless-sync-delay 5", "+OK\r\n");
    config = server.state.config.clone();
    assert_eq!(config.repl_diskless_sync_delay.asked_for_ms(), 5000);
    server.expect("config get repl-diskless-sync-delay", "*2\r\n$24\r\nrepl-diskless-sync-delay\r\n$1\r\n5\r\n");
}
