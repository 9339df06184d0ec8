//! MULTI, EXEC, DISCARD, WATCH, UNWATCH.

use oneloop::engine::removal;
use oneloop::engine::session::Token;
use oneloop::resp::Protocol;

use crate::support::Harness;

fn say(server: &mut Harness, client: Token, words: &str) -> String {
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    String::from_utf8_lossy(&server.run_as(client, &args)).into_owned()
}

#[test]
fn commands_are_queued_and_run_as_a_unit() {
    let mut server = Harness::new();
    server.expect("multi", "+OK\r\n");
    server.expect("set a 1", "+QUEUED\r\n");
    server.expect("incr a", "+QUEUED\r\n");
    server.expect("lpush a x", "+QUEUED\r\n");
    server.expect("get a", "+QUEUED\r\n");
    assert_eq!(server.state.keyspace.database(0).len(), 0);
    server.expect(
        "exec",
        "*4\r\n+OK\r\n:2\r\n-WRONGTYPE Operation against a key holding the wrong kind of value\r\n$1\r\n2\r\n",
    );
    server.expect("exec", "-ERR EXEC without MULTI\r\n");
    server.expect("multi", "+OK\r\n");
    server.expect("exec", "*0\r\n");
}

#[test]
fn the_queue_keeps_empty_and_large_arguments() {
    let mut server = Harness::new();
    let large = vec![b'x'; 100_000];
    server.run("multi");
    for _ in 0..3 {
        server.run_args(&[b"append", b"large", &large]);
        server.run_args(&[b"append", b"", b""]);
    }
    server.expect("exec", "*6\r\n:100000\r\n:0\r\n:200000\r\n:0\r\n:300000\r\n:0\r\n");
}

#[test]
fn a_refused_command_ends_in_nothing_being_run() {
    for refused in ["nosuch", "set a", "config nosuch", "shutdown"] {
        let mut server = Harness::new();
        server.run("multi");
        server.expect("set a 1", "+QUEUED\r\n");
        assert!(server.run(refused).starts_with("-ERR "), "{refused}");
        server.expect("set b 1", "+QUEUED\r\n");
        server.expect("exec", "-EXECABORT Transaction discarded because of previous errors.\r\n");
        server.expect("exists a b", ":0\r\n");
        server.expect("exec", "-ERR EXEC without MULTI\r\n");
    }
    let mut server = Harness::new();
    server.run("multi");
    server.expect("shutdown", "-ERR Command not allowed inside a transaction\r\n");
}

#[test]
fn a_refused_exec_discards_the_transaction() {
    let mut server = Harness::new();
    let error = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n";
    server.expect("exec now", error);
    server.run("multi");
    server.run("set a 1");
    server.expect("exec now", error);
    server.expect("exec", "-ERR EXEC without MULTI\r\n");
}

#[test]
fn what_is_wrong_inside_a_transaction_but_does_not_end_it() {
    let mut server = Harness::new();
    server.run("multi");
    server.expect("multi", "-ERR MULTI calls can not be nested\r\n");
    server.expect("watch a", "-ERR WATCH inside MULTI is not allowed\r\n");
    server.expect("unwatch", "+QUEUED\r\n");
    server.expect("exec", "*1\r\n+OK\r\n");
    server.run("multi");
    server.expect("discard now", "-ERR wrong number of arguments for 'discard' command\r\n");
    server.expect("discard", "+OK\r\n");
    server.expect("discard", "-ERR DISCARD without MULTI\r\n");
}

#[test]
fn reset_and_quit_do_not_wait_for_exec() {
    let mut server = Harness::new();
    server.run("watch a");
    server.run("multi");
    server.run("set a 1");
    server.expect("reset", "+RESET\r\n");
    server.expect("get a", "$-1\r\n");
    assert!(server.state.keyspace.changes.observed_keys().is_empty());
    server.run("multi");
    server.expect("quit", "+OK\r\n");
}

#[test]
fn the_transaction_keeps_its_database() {
    let mut server = Harness::new();
    server.run("multi");
    for command in ["select 3", "set a 1", "select 0", "exists a"] {
        server.expect(command, "+QUEUED\r\n");
    }
    server.expect("exec", "*4\r\n+OK\r\n+OK\r\n+OK\r\n:0\r\n");
}

/// Every way in which a watched key may change, by another client or by the one that watches.
#[test]
fn a_change_of_a_watched_key_has_exec_do_nothing() {
    let changes = [
        "set a 2",
        "del a",
        "unlink a",
        "append a x",
        "expire a 100",
        "rename a other",
        "rename b a",
        "move a 1",
        "copy b a replace",
        "swapdb 0 1",
        "flushdb",
        "flushall",
        "flushall async",
        "getdel a",
        "setbit a 1 1",
        "getex a ex 10",
    ];
    for change in changes {
        for by_itself in [false, true] {
            let mut server = Harness::new();
            let client = server.client;
            let other = server.connect();
            server.run("mset a 1 b 1");
            server.run("watch a");
            let by = if by_itself { client } else { other };
            say(&mut server, by, change);
            server.run("multi");
            server.run("set done 1");
            server.expect("exec", "*-1\r\n");
            // Once is enough.
            server.run("multi");
            server.run("set done 1");
            server.expect("exec", "*1\r\n+OK\r\n");
        }
    }
}

#[test]
fn what_does_not_change_a_watched_key_lets_exec_run() {
    let others = ["get a", "set b 2", "touch a", "setnx a 3", "expire nosuch 1", "select 1"];
    for command in others {
        let mut server = Harness::new();
        let other = server.connect();
        server.run("mset a 1 b 1");
        server.run("watch a");
        say(&mut server, other, command);
        server.run("multi");
        server.run("ping");
        server.expect("exec", "*1\r\n+PONG\r\n");
    }
    // The key of the same name in another database is another key.
    let mut server = Harness::new();
    let other = server.connect();
    server.run("watch a");
    say(&mut server, other, "select 1");
    say(&mut server, other, "set a 1");
    say(&mut server, other, "flushdb");
    server.run("multi");
    server.expect("exec", "*0\r\n");
}

#[test]
fn exec_in_resp3_says_null() {
    let mut server = Harness::new();
    server.set_protocol(Protocol::Resp3);
    server.run("watch a");
    server.run("set a 1");
    server.run("multi");
    server.expect("exec", "_\r\n");
}

#[test]
fn unwatch_and_discard_forget_what_has_changed() {
    for forget in [&["unwatch"][..], &["multi", "discard"]] {
        let mut server = Harness::new();
        server.run("watch a a b");
        server.run("set a 1");
        // After a change nothing more is watched.
        server.expect("watch c", "+OK\r\n");
        for command in forget {
            server.expect(command, "+OK\r\n");
        }
        assert!(server.state.keyspace.changes.observed_keys().is_empty());
        server.run("multi");
        server.expect("exec", "*0\r\n");
    }
}

#[test]
fn a_key_that_expires_after_watch_has_changed() {
    // Whether or not somebody has looked at it since.
    for look in ["ping", "get a", "set a 2"] {
        let mut server = Harness::new();
        server.run("set a 1 px 100");
        server.run("watch a");
        server.advance_ms(101);
        server.run(look);
        server.run("multi");
        server.expect("exec", "*-1\r\n");
    }
    let mut server = Harness::new();
    server.run("set a 1 px 100");
    server.run("watch a");
    server.advance_ms(101);
    removal::expire_slice(&mut server.state, u64::MAX);
    assert_eq!(server.state.keyspace.database(0).len(), 0);
    server.run("multi");
    server.expect("exec", "*-1\r\n");
}

#[test]
fn a_key_that_had_expired_before_watch_is_as_good_as_none() {
    for look in ["ping", "get a", "del a", "flushall", "swapdb 0 1", "swapdb 1 2"] {
        let mut server = Harness::new();
        server.run("set a 1 px 100");
        server.advance_ms(101);
        server.run("watch a");
        assert_eq!(server.state.keyspace.database(0).len(), 1);
        server.run(look);
        server.run("multi");
        server.expect("exec", "*0\r\n");
    }
    let mut server = Harness::new();
    server.run("set a 1 px 100");
    server.advance_ms(101);
    server.run("watch a");
    server.run("set a 2");
    server.run("multi");
    server.expect("exec", "*-1\r\n");
    // SWAPDB may bring an expired key to where there was none.
    let mut server = Harness::new();
    server.run("set a 1 px 100");
    server.run("select 1");
    server.run("watch a");
    server.advance_ms(101);
    server.run("swapdb 0 1");
    server.run("get a");
    server.run("multi");
    server.expect("exec", "*0\r\n");
}

#[test]
fn many_clients_watch_many_keys() {
    let mut server = Harness::new();
    let clients: Vec<Token> = (0..20).map(|_| server.connect()).collect();
    for (number, client) in clients.iter().enumerate() {
        for key in 0..20 {
            if (number + key) % 3 > 0 {
                say(&mut server, *client, &format!("watch key:{key}"));
            }
        }
    }
    let counts = server.state.transactions.watches.counts();
    assert_eq!(counts, (20, 20));
    server.run("set key:7 1");
    for (number, client) in clients.iter().enumerate() {
        say(&mut server, *client, "multi");
        let expected = if (number + 7) % 3 > 0 { "*-1\r\n" } else { "*0\r\n" };
        assert_eq!(say(&mut server, *client, "exec"), expected, "{number}");
    }
    assert_eq!(server.state.transactions.watches.counts(), (0, 0));
    // Whoever leaves takes its watches along.
    say(&mut server, clients[0], "watch a b");
    say(&mut server, clients[1], "watch a");
    server.state.remove_client(clients[0]);
    assert_eq!(server.state.transactions.watches.counts(), (1, 1));
    server.state.remove_client(clients[1]);
    assert!(server.state.keyspace.changes.observed_keys().is_empty());
}

#[test]
fn blocking_commands_do_not_wait_inside() {
    let mut server = Harness::new();
    server.run("multi");
    server.run("blpop a 0");
    server.run("brpoplpush a b 0");
    server.run("rpush a x");
    server.run("blpop a 0");
    server.expect("exec", "*4\r\n*-1\r\n$-1\r\n:1\r\n*2\r\n$1\r\na\r\n$1\r\nx\r\n");
}

#[test]
fn who_waits_for_a_key_is_served_after_exec() {
    let mut server = Harness::new();
    let waiting = server.connect();
    assert_eq!(say(&mut server, waiting, "blpop a b 0"), "");
    server.run("multi");
    server.run("rpush a x");
    server.run("del a");
    server.run("rpush b y");
    server.run("rpush b z");
    server.run("lrange b 0 -1");
    server.expect("exec", "*5\r\n:1\r\n:1\r\n:1\r\n:2\r\n*2\r\n$1\r\ny\r\n$1\r\nz\r\n");
    assert_eq!(server.pushed(waiting), b"*2\r\n$1\r\nb\r\n$1\r\ny\r\n".to_vec());
    server.expect("lrange b 0 -1", "*1\r\n$1\r\nz\r\n");
}

#[test]
fn a_pause_of_writes_holds_the_exec_that_writes_back() {
    let mut server = Harness::new();
    let other = server.connect();
    server.run("multi");
    server.run("set a 1");
    let reader = server.connect();
    say(&mut server, reader, "multi");
    say(&mut server, reader, "get a");
    say(&mut server, other, "client pause 1000 write");
    assert_eq!(server.run("exec"), "");
    assert_eq!(say(&mut server, reader, "exec"), "*1\r\n$-1\r\n");
    server.advance_ms(1001);
    server.state.unpause();
    server.expect("exec", "*1\r\n+OK\r\n");
}

#[test]
fn lists_and_figures_know_of_transactions() {
    let mut server = Harness::new();
    server.run("multi");
    server.run("set key value");
    let other = server.connect();
    let line = say(&mut server, other, "client list id 1");
    assert!(line.contains(" flags=x ") && line.contains(" multi=1 "), "{line}");
    assert!(!line.contains(" multi-mem=0 "), "{line}");
    // A client that looks at itself meanwhile sees what runs.
    server.run("client info");
    let line = server.run("exec");
    assert!(line.contains(" flags=x ") && line.contains(" multi=2 "), "{line}");
    assert!(!line.contains(" multi-mem=0 "), "{line}");
    server.run("watch a b");
    let info = say(&mut server, other, "info clients");
    assert!(info.contains("watching_clients:1\r\n") && info.contains("total_watched_keys:2\r\n"));
    server.run("set a 1");
    let line = say(&mut server, other, "client list id 1");
    assert!(line.contains(" flags=d ") && line.contains(" multi=-1 "), "{line}");
}

/// While EXEC runs its client is in a transaction still, of as many commands as were queued.
#[test]
fn a_transaction_sees_itself() {
    let mut server = Harness::new();
    server.run("multi");
    server.run("client info");
    server.run("ping");
    server.run("client list");
    let reply = server.run("exec");
    let seen = reply.matches(" flags=x ").count() == 2 && reply.matches(" multi=3 ").count() == 2;
    assert!(seen, "{reply}");
    let line = server.run("client info");
    assert!(line.contains(" flags=N ") && line.contains(" multi=-1 "), "{line}");
}

#[test]
fn what_makes_a_client_listen_is_refused_inside_or_not_as_in_redis() {
    let mut server = Harness::new();
    for (words, reply) in [
        ("ssubscribe c", "-ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client\r\n"),
        ("monitor", "-ERR MONITOR isn't allowed for DENY BLOCKING client\r\n"),
        ("multi", "-ERR MULTI calls can not be nested\r\n"),
        ("watch k", "-ERR WATCH inside MULTI is not allowed\r\n"),
    ] {
        server.run("multi");
        let queued = server.run(words);
        if queued == "+QUEUED\r\n" {
            server.expect("exec", &format!("*1\r\n{reply}"));
        } else {
            assert_eq!(queued, reply);
            server.expect("exec", "*0\r\n");
        }
    }
    server.run("multi");
    server.run("subscribe c");
    server.expect("exec", "*1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
}

#[test]
fn each_queued_command_is_counted() {
    let mut server = Harness::new();
    server.run("multi");
    server.run("set a 1");
    server.run("incr a x");
    server.run("discard");
    server.run("multi");
    server.run("set a 1");
    server.run("lpush a 1");
    server.run("exec");
    let info = server.run("info commandstats");
    assert!(info.contains("cmdstat_set:calls=1,"), "{info}");
    assert!(info.contains("cmdstat_exec:calls=1,"), "{info}");
    let failed = info.lines().find(|line| line.starts_with("cmdstat_lpush:"));
    assert!(failed.is_some_and(|line| line.contains("calls=1,") && line.ends_with("failed_calls=1")));
}
