//! What is passed on to the append-only file where several things meet: scripts that take long, debuggers, eviction,
//! users, waits.

use oneloop::drive::script::run;
use oneloop::engine::removal;
use oneloop::engine::session::Token;
use oneloop::engine::wake;
use oneloop::keyspace::Target;

use crate::support::Harness;

/// A server that gathers what is to be appended.
fn server() -> Harness {
    let mut server = Harness::new();
    server.propagate();
    server
}

/// What was gathered since the last time: a command a line, without the marks of the protocol.
fn taken(server: &mut Harness) -> String {
    let bytes = server.take_propagated();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let mut lines = String::new();
    for line in text.split("\r\n").filter(|line| !line.starts_with('$')) {
        match line.strip_prefix('*') {
            Some(_) if lines.is_empty() => {}
            Some(_) => lines.push('\n'),
            None if lines.is_empty() || lines.ends_with('\n') => lines.push_str(line),
            None => {
                lines.push(' ');
                lines.push_str(line);
            }
        }
    }
    lines.trim_end().replace("SELECT 0\n", "")
}

fn ask(server: &mut Harness, client: Token, words: &[&str]) -> String {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    String::from_utf8_lossy(&server.run_as(client, &words)).into_owned()
}

fn eval(server: &mut Harness, script: &str) -> String {
    let client = server.client;
    ask(server, client, &["EVAL", script, "0"])
}

#[test]
fn a_long_script_is_one_unit_and_nothing_of_it_is_written_before_its_end() {
    let mut server = server();
    server.state.scripting.set_step_budget(0);
    let script = "redis.call('set','a',1) for i = 1, 100000 do end return redis.call('incr','a')";
    assert_eq!(eval(&mut server, script), "", "it is suspended");
    assert_eq!(taken(&mut server), "");
    // Neither jobs nor anybody else end the unit.
    assert!(!removal::expire_slice(&mut server.state, u64::MAX));
    while run::resume(&mut server.state) {}
    assert_eq!(taken(&mut server), "MULTI\nset a 1\nincr a\nEXEC");
    let session = server.state.clients.get(server.client);
    let offset = session.expect("it is there").write_offset;
    assert!(offset > 0, "its client can wait for the disk");
}

#[test]
fn a_transaction_with_long_scripts_is_one_unit() {
    let mut server = server();
    server.state.scripting.set_step_budget(0);
    let script = "for i = 1, 100000 do end return redis.call('incr',KEYS[1])";
    server.run("MULTI");
    server.run("SET k 1");
    for key in ["k", "other"] {
        let client = server.client;
        ask(&mut server, client, &["EVAL", script, "1", key]);
    }
    server.run("SELECT 3");
    server.run("APPEND k x");
    assert_eq!(server.run("EXEC"), "");
    assert_eq!(taken(&mut server), "");
    while run::resume(&mut server.state) {}
    assert_eq!(taken(&mut server), "MULTI\nSET k 1\nincr k\nincr other\nSELECT 3\nAPPEND k x\nEXEC");
    let reply = server.pushed(server.client);
    assert_eq!(String::from_utf8_lossy(&reply), "*5\r\n+OK\r\n:2\r\n:1\r\n+OK\r\n:1\r\n");
    server.expect("GET k", "$1\r\nx\r\n");
}

#[test]
fn a_killed_script_in_a_transaction_leaves_what_the_others_did() {
    let mut server = server();
    let other = server.connect();
    server.state.scripting.set_step_budget(0);
    server.run("MULTI");
    server.run("SET k 1");
    eval(&mut server, "while true do end");
    server.run("INCR k");
    server.run("EXEC");
    assert!(run::resume(&mut server.state));
    assert_eq!(ask(&mut server, other, &["SCRIPT", "KILL"]), "+OK\r\n");
    while run::resume(&mut server.state) {}
    assert_eq!(taken(&mut server), "MULTI\nSET k 1\nINCR k\nEXEC");
}

/// What is tried out on a branch of the databases never happened.
#[test]
fn a_debugged_script_is_passed_on_if_it_works_on_what_all_use() {
    let mut server = server();
    server.run("SET old 1 PX 5");
    server.advance_ms(10);
    taken(&mut server);
    let script = "redis.call('get','old') redis.call('set','a',1)\nreturn redis.call('incr','a')";
    for (mode, appended) in [("yes", ""), ("sync", "MULTI\nDEL old\nset a 1\nincr a\nEXEC")] {
        let client = server.connect();
        ask(&mut server, client, &["SCRIPT", "DEBUG", mode]);
        ask(&mut server, client, &["EVAL", script, "0"]);
        assert_eq!(taken(&mut server), "", "{mode}: it stands still");
        ask(&mut server, client, &["c"]);
        assert_eq!(taken(&mut server), appended, "{mode}");
        assert!(!server.state.is_amid_unit());
    }
    server.run("SET b 1");
    assert_eq!(taken(&mut server), "SET b 1");
}

/// Room is made before a command, and so it is told.
#[test]
fn evicted_keys_go_before_the_command_that_needed_room() {
    let mut server = server();
    let value = "x".repeat(100);
    for number in 0..200 {
        server.run(&format!("SET old:{number} {value}"));
    }
    server.expect("CONFIG SET maxmemory-policy allkeys-random", "+OK\r\n");
    taken(&mut server);
    let limit = server.state.used_memory() + 1000;
    server.expect(&format!("CONFIG SET maxmemory {limit}"), "+OK\r\n");
    let mut evicted = 0;
    for number in 0..200 {
        server.run(&format!("SET new:{number} {value}"));
        let appended = taken(&mut server);
        let names: Vec<&str> = appended.lines().map(|line| line.split(' ').next().unwrap_or(line)).collect();
        let (last, before) = names.split_last().expect("it is set");
        assert_eq!(*last, "SET", "{names:?}");
        assert!(before.iter().all(|name| *name == "DEL"), "{names:?}");
        evicted += before.len();
    }
    assert!(evicted > 0);
    // Within a transaction none goes.
    server.run("MULTI");
    server.run("SET new:3 1");
    server.run(&format!("APPEND new:3 {value}"));
    server.run("EXEC");
    let appended = taken(&mut server);
    let inner = appended.split("MULTI\n").nth(1).and_then(|rest| rest.split("\nEXEC").next()).expect("a transaction");
    assert!(!inner.contains("DEL"), "{inner:.200}");
}

/// Each who is served is a unit of its own, behind the one that served it; one whose time has come is so too.
#[test]
fn those_who_waited_are_units_of_their_own() {
    let mut server = server();
    let waiting: Vec<Token> = (0..2).map(|_| server.connect()).collect();
    for client in &waiting {
        ask(&mut server, *client, &["BLMOVE", "from", "to", "LEFT", "RIGHT", "0"]);
    }
    server.run("MULTI");
    server.run("RPUSH from a b");
    server.run("SET other 1");
    server.run("EXEC");
    assert_eq!(
        taken(&mut server),
        "MULTI\nRPUSH from a b\nSET other 1\nEXEC\nLMOVE from to LEFT RIGHT\nLMOVE from to LEFT RIGHT"
    );
    for client in waiting {
        let session = server.state.clients.get(client).expect("a client");
        assert!(session.write_offset > 0);
    }
}

#[test]
fn what_no_file_holds_is_not_acknowledged() {
    let mut server = Harness::new();
    for (words, reply) in [
        ("WAIT 0 0", ":0\r\n"),
        ("WAIT -1 10", ":0\r\n"),
        ("WAIT x 1", "-ERR value is not an integer or out of range\r\n"),
        ("WAIT 1 -1", "-ERR timeout is negative\r\n"),
        ("WAIT 1 x", "-ERR timeout is not an integer or out of range\r\n"),
        ("WAITAOF 0 0 0", "*2\r\n:0\r\n:0\r\n"),
        ("WAITAOF 1 0 0", "-ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.\r\n"),
        ("WAITAOF 2 0 x", "-ERR value is out of range, value must between 0 and 1\r\n"),
        ("WAITAOF x 0 0", "-ERR value is not an integer or out of range\r\n"),
        ("WAITAOF 0 -1 0", "-ERR value is out of range, must be positive\r\n"),
        ("WAITAOF 0 x 0", "-ERR value is out of range, must be positive\r\n"),
        ("WAITAOF 1 0 x", "-ERR timeout is not an integer or out of range\r\n"),
    ] {
        server.expect(words, reply);
    }
    // Those who may not wait are told how it is.
    server.run("MULTI");
    server.run("WAIT 1 0");
    server.run("WAITAOF 0 1 0");
    server.expect("EXEC", "*2\r\n:0\r\n*2\r\n:0\r\n:0\r\n");
    server.expect("EVAL return(redis.call('wait',1,0)) 0", ":0\r\n");
}

#[test]
fn who_waits_for_replicas_is_told_at_the_end_of_the_time_how_many_there_are() {
    let mut server = Harness::new();
    for (words, reply) in [("WAIT 1 100", ":0\r\n"), ("WAITAOF 0 1 100", "*2\r\n:0\r\n:0\r\n")] {
        let client = server.connect();
        let words: Vec<&str> = words.split(' ').collect();
        assert_eq!(ask(&mut server, client, &words), "");
        assert!(server.run("INFO clients").contains("blocked_clients:1"));
        server.advance_ms(50);
        wake::run_timeouts(&mut server.state);
        assert_eq!(server.pushed(client), b"");
        server.advance_ms(51);
        wake::run_timeouts(&mut server.state);
        assert_eq!(String::from_utf8_lossy(&server.pushed(client)), reply);
        assert!(server.run("INFO clients").contains("blocked_clients:0"));
    }
    let client = server.connect();
    ask(&mut server, client, &["WAIT", "1", "0"]);
    let id = server.state.clients.get(client).expect("a client").id;
    server.expect(&format!("CLIENT UNBLOCK {id} ERROR"), ":1\r\n");
    let reply = server.pushed(client);
    assert_eq!(String::from_utf8_lossy(&reply), "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
}

/// A snapshot holds whole units.
#[test]
fn in_a_transaction_saves_and_rewrites_are_put_off() {
    let mut server = Harness::new();
    server.run("MULTI");
    server.run("SET a 1");
    server.run("BGSAVE");
    server.run("BGREWRITEAOF");
    server.run("SET b 1");
    server.expect(
        "EXEC",
        "*4\r\n+OK\r\n+Background saving scheduled\r\n+Background append only file rewriting scheduled\r\n+OK\r\n",
    );
    assert!(!server.state.saving.is_active());
    assert!(server.state.saving.is_scheduled && server.state.aof.is_scheduled);
    server.expect("BGSAVE CANCEL", "+Scheduled background saving cancelled\r\n");
    assert!(!server.state.saving.is_scheduled);
}

/// `redis.set_repl` says to whom the commands that follow go; what expires meanwhile goes to all.
#[test]
fn a_script_chooses_who_gets_its_commands() {
    let script = "redis.call('set','a',1) redis.set_repl(redis.REPL_NONE) redis.call('set','b',1) \
                  redis.set_repl(redis.REPL_AOF) redis.call('set','c',1) \
                  redis.set_repl(redis.REPL_REPLICA) redis.call('set','d',1)";
    let expected = [
        (Target::File, "MULTI\nset a 1\nset c 1\nEXEC\nset e 1"),
        (Target::Replicas, "MULTI\nset a 1\nset d 1\nEXEC\nset e 1"),
    ];
    for (target, expected) in expected {
        let mut server = Harness::new();
        server.propagate_to(target);
        eval(&mut server, script);
        server.run("set e 1");
        assert_eq!(taken(&mut server), expected, "the next command goes to all again");
    }
}

#[test]
fn messages_go_to_replicas_alone() {
    for (target, expected) in [(Target::File, ""), (Target::Replicas, "publish c m\nspublish c m")] {
        let mut server = Harness::new();
        server.propagate_to(target);
        server.run("publish c m");
        server.run("spublish c m");
        assert_eq!(taken(&mut server), expected);
    }
}
