//! SLOWLOG.

use crate::support::Harness;

#[test]
fn slow_commands_are_kept_newest_first() {
    let mut server = Harness::with_debug();
    server.run("config set slowlog-log-slower-than 100000");
    server.run("debug sleep 0.05");
    server.run("debug sleep 0.2");
    server.run("client setname me");
    server.run("debug sleep 0.3");
    server.expect("slowlog len", ":2\r\n");
    server.expect(
        "slowlog get",
        "*2\r\n*6\r\n:1\r\n:1700000000\r\n:300000\r\n*3\r\n$5\r\ndebug\r\n$5\r\nsleep\r\n$3\r\n0.3\r\n\
         $15\r\n127.0.0.1:50001\r\n$2\r\nme\r\n\
         *6\r\n:0\r\n:1700000000\r\n:200000\r\n*3\r\n$5\r\ndebug\r\n$5\r\nsleep\r\n$3\r\n0.2\r\n\
         $15\r\n127.0.0.1:50001\r\n$0\r\n\r\n",
    );
    assert!(server.run("slowlog get 1").starts_with("*1\r\n*6\r\n:1\r\n"));
    assert!(server.run("slowlog get -1").starts_with("*2\r\n"));
    server.expect("slowlog get 0", "*0\r\n");
    server.expect("slowlog reset", "+OK\r\n");
    server.expect("slowlog len", ":0\r\n");
}

#[test]
fn get_wants_a_number() {
    let mut server = Harness::new();
    for request in ["slowlog get -2", "slowlog get x"] {
        server.expect(request, "-ERR count should be greater than or equal to -1\r\n");
    }
    server.expect(
        "slowlog get 1 2",
        "-ERR unknown subcommand or wrong number of arguments for 'get'. Try SLOWLOG HELP.\r\n",
    );
}

#[test]
fn a_negative_threshold_logs_nothing_and_zero_everything() {
    let mut server = Harness::with_debug();
    server.run("config set slowlog-log-slower-than -1");
    server.run("debug sleep 1");
    server.expect("slowlog len", ":0\r\n");
    server.run("config set slowlog-log-slower-than 0");
    server.run("get a");
    server.run("config set slowlog-max-len 1");
    server.expect("slowlog len", ":1\r\n");
}

#[test]
fn secrets_are_left_out() {
    let mut server = Harness::new();
    server.run("config set slowlog-log-slower-than 0");
    server.run("config set requirepass hush loglevel notice masterauth hush");
    // Even where nothing comes of it.
    server.run("config set masterauth hush nonsense 1");
    server.run("auth default hush");
    server.run("auth default hush-hush");
    server.run("hello 2 auth default hush setname me");
    server.run("acl setuser someone >hush");
    let log = server.run("slowlog get");
    assert!(!log.contains("hush"), "{log}");
    for kept in ["requirepass", "notice", "masterauth", "nonsense", "setname"] {
        assert!(log.contains(kept), "{kept} in {log}");
    }
}
