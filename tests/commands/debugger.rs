//! SCRIPT DEBUG: the script debugger. What it says is as Redis 7.0.15's (`tests/interop_debugger.rs` compares them).

use oneloop::drive::script::debugger;
use oneloop::engine::loop_request::LoopRequest;
use oneloop::engine::session::{Close, Token};

use crate::support::Harness;

/// A client that has turned debugging on.
fn debugging(server: &mut Harness, mode: &str) -> Token {
    let client = server.connect();
    let reply = server.run_as(client, &[b"SCRIPT", b"DEBUG", mode.as_bytes()]);
    assert_eq!(reply, b"+OK\r\n");
    client
}

/// Begins to debug a script; gives what the client is told.
fn begin(server: &mut Harness, client: Token, script: &str) -> String {
    ask(server, client, &["EVAL", script, "0"])
}

/// What a client is told after a request: its lines without the marks of the protocol.
fn ask(server: &mut Harness, client: Token, words: &[&str]) -> String {
    let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    let bytes = server.run_as(client, &words);
    shown(&bytes)
}

fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split("\r\n").filter(|line| !line.starts_with('*'));
    let lines: Vec<&str> = lines.map(|line| line.trim_start_matches('+')).collect();
    lines.join("\n").trim_end().to_string()
}

/// Gives commands, each a line of words, with what the client is told.
#[track_caller]
fn check(server: &mut Harness, client: Token, steps: &[(&str, &str)]) {
    for (command, expected) in steps {
        let words: Vec<&str> = command.split(' ').collect();
        assert_eq!(ask(server, client, &words), *expected, "{command}");
    }
}

const SCRIPT: &str = "local x = 1\nlocal t = {1, {a = 'b\\n'}}\nlocal y = redis.call('incr', 'n')\nreturn x + y";

#[test]
fn a_script_is_followed_line_by_line() {
    let mut server = Harness::new();
    let client = debugging(&mut server, "yes");
    assert_eq!(begin(&mut server, client, SCRIPT), "* Stopped at 1, stop reason = step over\n-> 1   local x = 1");
    check(
        &mut server,
        client,
        &[
            ("p", "No local variables in the current context."),
            ("s", "* Stopped at 2, stop reason = step over\n-> 2   local t = {1, {a = 'b\\n'}}"),
            ("next", "* Stopped at 3, stop reason = step over\n-> 3   local y = redis.call('incr', 'n')"),
            ("p", "<value> x = 1\n<value> t = {1; {[\"a\"]=\"b\\n\"}}"),
            ("print x", "<value> 1"),
            ("p ARGV", "<value> {}"),
            ("p z", "No such variable."),
            ("t", "In top level:\n-> 3   local y = redis.call('incr', 'n')"),
            ("list 1 0", "   1   local x = 1"),
            ("e x = 1", "<error> ldb_eval:1: Attempt to modify a readonly table"),
            ("e 1 + 1", "<retval> 2"),
            ("e redis.call('get', 'n')", "<retval> false"),
            ("e error({err = 'MINE all'})", "<error> MINE all"),
            ("r set n 5", "<redis> set n 5\n<reply> \"+OK\""),
            ("r get", "<redis> get\n<error> Wrong number of args calling Redis command from script"),
            ("m", "<value> replies are truncated at 256 bytes."),
            ("m 1", "<value> replies are truncated at 60 bytes."),
            ("bogus", "<error> Unknown Redis Lua debugger command or wrong number of arguments."),
            ("s", "<redis> incr n\n<reply> 6\n* Stopped at 4, stop reason = step over\n-> 4   return x + y"),
            ("c", "<endsession>\n:7"),
        ],
    );
    let session = server.state.clients.get(client).expect("it is there");
    assert_eq!(session.close, Close::AfterReply);
    assert!(server.state.scripting.debugged.is_empty());
    server.expect("EXISTS n", ":0\r\n");
}

#[test]
fn it_stops_where_it_is_told_to() {
    let mut server = Harness::new();
    let client = debugging(&mut server, "yes");
    let script = "for i = 1, 9 do\n  if i == 4 then redis.breakpoint() end\n  local j = i\nend\nredis.debug('i', {1}, nil)\nreturn 'end'";
    begin(&mut server, client, script);
    check(
        &mut server,
        client,
        &[
            ("b", "No breakpoints set. Use 'b <line>' to add one."),
            (
                "b 3 99 x",
                "   2     if i == 4 then redis.breakpoint() end\n  #3     local j = i\n   4   end\nWrong line number.\nInvalid argument:'x'",
            ),
            ("c", "* Stopped at 3, stop reason = break point\n->#3     local j = i"),
            ("c", "* Stopped at 3, stop reason = break point\n->#3     local j = i"),
            ("p i", "<value> 2"),
            ("b -3", "Breakpoint removed."),
            ("c", "* Stopped at 3, stop reason = redis.breakpoint() called\n-> 3     local j = i"),
            ("p i", "<value> 4"),
            ("c", "<debug> line 5: \"i\", {1}, nil\n<endsession>\n$3\nend"),
        ],
    );
}

/// As Lua 5.1 does: not again on the line to which a function comes back.
#[test]
fn lines_that_call_are_one_stop() {
    let mut server = Harness::new();
    let client = debugging(&mut server, "yes");
    let script = "local function f(a)\n  return a + tonumber('1')\nend\nlocal x = f(1) + f(2)\nlocal ok = pcall(error, 'x')\nreturn x";
    begin(&mut server, client, script);
    for line in ["4", "2", "2", "5", "6"] {
        let told = ask(&mut server, client, &["s"]);
        assert!(told.starts_with(&format!("* Stopped at {line},")), "{line}: {told}");
    }
    assert_eq!(ask(&mut server, client, &["s"]), "<endsession>\n:5");
}

#[test]
fn a_script_is_aborted_and_errors_end_the_session() {
    let mut server = Harness::new();
    for (script, command, expected) in [
        (
            "return 1",
            "a",
            "-ERR script aborted for user request script: e0e1f9fabfc9d4800c877a703b823ac0578ff8db, on @user_script:1.",
        ),
        (
            "error('x')",
            "c",
            "-ERR user_script:1: x script: 64a3f0c7a3bab4cfb0a1c4c8b6f18e5ed8a4b6e5, on @user_script:1.",
        ),
    ] {
        let client = debugging(&mut server, "sync");
        begin(&mut server, client, script);
        let told = ask(&mut server, client, &[command]);
        let (end, error) = told.split_once('\n').expect("two lines");
        assert_eq!(end, "<endsession>");
        let bare = |text: &str| text.split(" script: ").next().map(str::to_string);
        assert_eq!(bare(error), bare(expected));
    }
    for (words, expected) in [
        (
            &["EVAL", "return (", "0"][..],
            "<endsession>\n-ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'",
        ),
        (&["EVAL", "return 1", "x"], "<endsession>\n-ERR value is not an integer or out of range"),
    ] {
        let client = debugging(&mut server, "yes");
        assert_eq!(ask(&mut server, client, words), expected);
    }
}

#[test]
fn not_all_can_be_debugged() {
    let mut server = Harness::new();
    server.expect("SCRIPT DEBUG maybe", "-ERR Use SCRIPT DEBUG YES/SYNC/NO\r\n");
    server.expect("SCRIPT DEBUG YES", "+OK\r\n");
    server.expect(
        "EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
        "-ERR Please use EVAL instead of EVALSHA for debugging\r\n",
    );
    server.expect("SCRIPT DEBUG NO", "+OK\r\n");
    server.expect("EVAL return\t1 0", ":1\r\n");
    let client = debugging(&mut server, "yes");
    server.run_as(client, &[b"MULTI"]);
    server.run_as(client, &[b"EVAL", b"return 1", b"0"]);
    let reply = server.run_as(client, &[b"EXEC"]);
    let text = String::from_utf8_lossy(&reply);
    assert!(text.contains("can't be debugged inside a transaction"), "{text}");
}

/// With YES nobody hears of what the session does, nor does it of what others do.
#[test]
fn a_forked_session_is_by_itself() {
    let mut server = Harness::new();
    server.run("CONFIG SET notify-keyspace-events KEA");
    server.run("SET k before");
    server.run("RPUSH list a b");
    let (other, listener, waiting) = (server.connect(), server.connect(), server.connect());
    server.run_as(listener, &[b"PSUBSCRIBE", b"*"]);
    assert_eq!(server.run_as(waiting, &[b"BLPOP", b"queue", b"0"]), b"");
    server.run("WATCH k");
    let dirty = server.state.keyspace.changes.total();
    let client = debugging(&mut server, "yes");
    let script = "redis.call('set', 'k', 'inside')\nredis.call('rpush', 'queue', 'x')\nlocal heard = redis.call('publish', 'c', 'm')\nredis.call('select', 1)\nredis.call('flushall')\nredis.call('select', 0)\nreturn redis.call('exists', 'k', 'other') + heard";
    begin(&mut server, client, script);
    for _ in 0..3 {
        ask(&mut server, client, &["s"]);
    }
    assert_eq!(server.state.keyspace.changes.total(), dirty);
    assert_eq!(server.pushed(listener), b"");
    assert_eq!(server.run_as(other, &[b"GET", b"k"]), b"$6\r\nbefore\r\n");
    assert_eq!(server.run_as(other, &[b"SET", b"other", b"1"]), b"+OK\r\n");
    assert!(!server.pushed(listener).is_empty());
    assert_eq!(ask(&mut server, client, &["r", "exists", "other"]), "<redis> exists other\n<reply> 0");
    assert_eq!(ask(&mut server, client, &["r", "get", "k"]), "<redis> get k\n<reply> \"inside\"");
    assert_eq!(ask(&mut server, client, &["c"]), "<endsession>\n:1");
    assert_eq!(server.pushed(listener), b"");
    assert_eq!(server.pushed(waiting), b"");
    server.run("MULTI");
    server.run("LRANGE list 0 -1");
    server.expect("EXEC", "*1\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    while server.state.keyspace.reclaim_step(100) {}
    server.expect("GET k", "$6\r\nbefore\r\n");
}

/// With SYNC all others wait, and hear of it all afterwards.
#[test]
fn a_synchronous_session_has_all_others_wait() {
    let mut server = Harness::new();
    let (other, waiting) = (server.connect(), server.connect());
    assert_eq!(server.run_as(waiting, &[b"BLPOP", b"queue", b"0"]), b"");
    let client = debugging(&mut server, "sync");
    begin(&mut server, client, "redis.call('rpush', 'queue', 'x')\nreturn 1");
    assert_eq!(server.run_as(other, &[b"LLEN", b"queue"]), b"", "it is put off");
    ask(&mut server, client, &["s"]);
    assert_eq!(server.pushed(waiting), b"");
    assert!(!server.state.requests.contains(&LoopRequest::ServePaused));
    assert_eq!(ask(&mut server, client, &["c"]), "<endsession>\n:1");
    assert!(server.state.requests.contains(&LoopRequest::ServePaused));
    assert_eq!(server.pushed(waiting), b"*2\r\n$5\r\nqueue\r\n$1\r\nx\r\n");
    assert_eq!(server.run_as(other, &[b"LLEN", b"queue"]), b":0\r\n");
    assert!(!server.state.is_amid_unit());
}

/// The loop goes on between two slices, whatever runs.
#[test]
fn what_does_not_end_is_stopped() {
    let mut server = Harness::new();
    server.state.scripting.set_step_budget(0);
    let client = debugging(&mut server, "yes");
    begin(&mut server, client, "local n = 0\nwhile true do n = n + 1 end");
    assert_eq!(ask(&mut server, client, &["c"]), "", "it runs");
    for _ in 0..5 {
        assert!(debugger::resume(&mut server.state));
    }
    server.advance_ms(6000);
    while debugger::resume(&mut server.state) {}
    assert_eq!(
        shown(&server.pushed(client)),
        "* Stopped at 2, stop reason = timeout reached, infinite loop?\n-> 2   while true do n = n + 1 end"
    );
    assert_eq!(ask(&mut server, client, &["e", "while true do end"]), "", "it runs");
    for _ in 0..5 {
        assert!(debugger::resume(&mut server.state));
        assert_eq!(server.run("PING"), "+PONG\r\n");
    }
    server.state.remove_client(client);
    assert!(server.state.scripting.debugged.is_empty());
    assert!(!debugger::resume(&mut server.state));
}

/// What is for all to see runs to its end though the client has gone; if it has none, it is stopped.
#[test]
fn a_client_that_goes_leaves_a_whole_script() {
    let mut server = Harness::new();
    let client = debugging(&mut server, "sync");
    begin(&mut server, client, "redis.call('set', 'a', 1)\nredis.call('set', 'b', 2)");
    ask(&mut server, client, &["s"]);
    server.state.remove_client(client);
    assert!(server.state.scripting.debugged.is_exclusive());
    while debugger::resume(&mut server.state) {}
    server.expect("MGET a b", "*2\r\n$1\r\n1\r\n$1\r\n2\r\n");

    server.state.scripting.set_step_budget(0);
    for (script, evaluated) in [
        ("while true do end", None),
        ("while true do pcall(function() while true do end end) end", None),
        ("return 1", Some("while true do end")),
        ("return 1", Some("while true do pcall(function() while true do end end) end")),
    ] {
        let client = debugging(&mut server, "sync");
        begin(&mut server, client, script);
        if let Some(code) = evaluated {
            ask(&mut server, client, &["e", code]);
        }
        server.state.remove_client(client);
        let mut slices = 0;
        while debugger::resume(&mut server.state) {
            server.advance_ms(1000);
            slices += 1;
            assert!(slices < 1000, "{script} {evaluated:?}");
        }
        assert!(!server.state.scripting.debugged.is_exclusive());
        assert!(!server.state.is_amid_unit());
    }
    server.state.scripting.set_step_budget(u64::MAX);
    server.expect("EVAL return\t7 0", ":7\r\n");
}

/// Tables that hold themselves, many times: showing one does not hold the loop.
#[test]
fn what_is_shown_is_bounded() {
    let mut server = Harness::new();
    let client = debugging(&mut server, "yes");
    begin(
        &mut server,
        client,
        "local t = {}\nfor i = 1, 1000 do t[i] = t end\nlocal s = string.rep('x', 1e6)\nreturn 1",
    );
    ask(&mut server, client, &["b", "4"]);
    ask(&mut server, client, &["c"]);
    let told = ask(&mut server, client, &["p", "t"]);
    assert!(told.starts_with("<value> {{{{{{{{{{<max recursion level reached! Nested table?>"));
    assert!(told.ends_with("<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming."));
    assert_eq!(ask(&mut server, client, &["p", "s"]).len(), 256 + 4);
    ask(&mut server, client, &["m", "0"]);
    assert_eq!(ask(&mut server, client, &["p", "s"]).len(), 1_000_010);
    assert!(ask(&mut server, client, &["p", "t"]).len() < 20_000_000);
    assert_eq!(ask(&mut server, client, &["c"]), "<endsession>\n:1");
}
