//! COMMANDLOG. Replies and sizes are those of Valkey 9.1.

use crate::support::Harness;

/// A server that logs the size of every request and every reply from now on.
fn logging_all() -> Harness {
    let mut server = Harness::new();
    server.run("config set commandlog-request-larger-than 0 commandlog-reply-larger-than 0");
    for kind in ["large-request", "large-reply"] {
        server.run(&format!("commandlog reset {kind}"));
    }
    server
}

/// Sizes and commands of a log, newest first, without the call that reads it.
fn entries(server: &mut Harness, kind: &str) -> Vec<(u64, String)> {
    server.run("config set commandlog-request-larger-than -1 commandlog-reply-larger-than -1");
    let reply = server.run(&format!("commandlog get -1 {kind}"));
    let entries = reply.split("*6\r\n").skip(1).map(|entry| {
        let lines: Vec<&str> = entry.split("\r\n").collect();
        let count: usize = lines[3][1..].parse().expect("the number of arguments");
        let words: Vec<&str> = (0..count).map(|index| lines[5 + 2 * index]).collect();
        (lines[2][1..].parse().expect("a size"), words.join(" "))
    });
    // But for the requests of the tests' own.
    entries.filter(|(_, words)| !words.contains("commandlog")).collect()
}

#[test]
fn sizes_of_requests_and_replies_are_logged() {
    let mut server = logging_all();
    server.run("set a xxxxxxxxxx");
    server.run("get a");
    server.run("lrange x 0 -1");
    let requests = [(38, "lrange x 0 -1"), (20, "get a"), (37, "set a xxxxxxxxxx")];
    let replies = [(4, "lrange x 0 -1"), (17, "get a"), (5, "set a xxxxxxxxxx")];
    let logged = entries(&mut server, "large-request");
    assert_eq!(logged, requests.map(|(size, words)| (size, words.to_string())));
    let logged = entries(&mut server, "large-reply");
    assert_eq!(logged, replies.map(|(size, words)| (size, words.to_string())));
}

#[test]
fn only_what_reaches_the_threshold_is_logged() {
    let mut server = Harness::new();
    server.run("config set commandlog-request-larger-than 38 commandlog-reply-larger-than 18");
    // That was a large request itself.
    server.state.command_logs.large_requests.reset();
    server.run("set a xxxxxxxxxx");
    server.run("get a");
    let logs = &server.state.command_logs;
    assert_eq!((logs.large_requests.len(), logs.large_replies.len()), (0, 0));
    server.run("append a y");
    server.run("set a xxxxxxxxxxy");
    server.run("get a");
    assert_eq!(entries(&mut server, "large-reply"), [(18, "get a".to_string())]);
    assert_eq!(entries(&mut server, "large-request"), [(38, "set a xxxxxxxxxxy".to_string())]);
    server.expect("commandlog reset Large-Reply", "+OK\r\n");
    server.expect("commandlog get -1 large-reply", "*0\r\n");
}

#[test]
fn the_default_threshold_is_a_mebibyte() {
    let mut server = Harness::new();
    let value = vec![b'v'; 1 << 20];
    server.run_args(&[b"set", b"a", &value]);
    server.run("get a");
    server.expect("commandlog len large-request", ":1\r\n");
    server.expect("commandlog len large-reply", ":1\r\n");
    let log = server.run("commandlog get 1 large-request");
    assert!(log.contains(":1048608\r\n*3\r\n$3\r\nset\r\n"), "{log}");
    assert!(log.contains("vvv... (1048448 more bytes)\r\n"), "{log}");
}

#[test]
fn what_was_not_run_is_not_logged_and_a_transaction_by_its_commands() {
    let mut server = logging_all();
    server.run("nothing");
    server.run("get");
    server.run("multi");
    server.run("get k");
    server.run("exec");
    server.run_args(&[b"eval", b"return redis.call('get','k')", b"0"]);
    let words: Vec<String> = entries(&mut server, "large-reply").into_iter().map(|(_, words)| words).collect();
    assert_eq!(words, ["eval return redis.call('get','k') 0", "get k", "multi"]);
}

#[test]
fn a_command_that_waited_is_logged_when_it_is_over() {
    let mut server = logging_all();
    let waiter = server.connect();
    server.run_as(waiter, &[b"blpop", b"q", b"0"]);
    server.run("rpush q v");
    server.pushed(waiter);
    let logged = entries(&mut server, "large-reply");
    assert!(logged.contains(&(18, "blpop q 0".to_string())), "{logged:?}");
    assert_eq!(logged.len(), 2);
    assert!(entries(&mut server, "large-request").contains(&(29, "blpop q 0".to_string())));
}

#[test]
fn replies_that_are_not_sent_have_no_size() {
    let mut server = logging_all();
    server.run("client reply skip");
    server.run("ping");
    assert_eq!(entries(&mut server, "large-reply")[0], (0, "ping".to_string()));
}

#[test]
fn secrets_are_left_out() {
    let mut server = logging_all();
    server.run("config set requirepass hush");
    server.run("auth default hush");
    server.run("acl setuser someone >hush");
    server.run("config set commandlog-request-larger-than -1 commandlog-reply-larger-than -1");
    for kind in ["large-request", "large-reply"] {
        let log = server.run(&format!("commandlog get -1 {kind}"));
        assert!(log.contains("requirepass") && log.contains("setuser"), "{log}");
        assert!(!log.contains("hush"), "{log}");
    }
}

#[test]
fn the_slow_log_is_one_of_them() {
    let mut server = Harness::with_debug();
    server.run("config set commandlog-execution-slower-than 100000 commandlog-slow-execution-max-len 1");
    server.run("debug sleep 0.2");
    server.run("debug sleep 0.3");
    assert_eq!(server.run("commandlog get -1 slow"), server.run("slowlog get -1"));
    server.expect("commandlog len slow", ":1\r\n");
    server.expect("config get slowlog-max-len", "*2\r\n$15\r\nslowlog-max-len\r\n$1\r\n1\r\n");
    server.expect("commandlog reset slow", "+OK\r\n");
    server.expect("slowlog len", ":0\r\n");
}

#[test]
fn mistakes_have_the_usual_errors() {
    let mut server = Harness::new();
    let of_type = "-ERR type should be one of the following: slow, large-request, large-reply\r\n";
    let of_count = "-ERR count should be greater than or equal to -1\r\n";
    let of_arity = "-ERR wrong number of arguments for 'commandlog|get' command\r\n";
    for (request, error) in [
        ("commandlog get 1 x", of_type),
        ("commandlog len x", of_type),
        ("commandlog reset x", of_type),
        ("commandlog get x slow", of_count),
        ("commandlog get -2 slow", of_count),
        ("commandlog get", of_arity),
        ("commandlog get 1 slow 3", of_arity),
        ("commandlog foo", "-ERR unknown subcommand 'foo'. Try COMMANDLOG HELP.\r\n"),
    ] {
        server.expect(request, error);
    }
}
