//! EVAL and its variants, SCRIPT, the `redis` table and the sandbox. Replies as Redis 7.2's (7.0.15 and 8.2 agree on
//! them).

use oneloop::engine::session::Token;
use oneloop::resp::Protocol;

use crate::support::{Harness, START_MS};

/// Runs a script without keys.
fn eval(server: &mut Harness, script: &str) -> String {
    server.run_args(&[b"EVAL", script.as_bytes(), b"0"])
}

/// Runs scripts, each with what it is to reply; `SHA` in it stands for the script's digest.
#[track_caller]
fn check(server: &mut Harness, cases: &[(&str, &str)]) {
    for (script, expected) in cases {
        let reply = eval(server, script);
        assert_eq!(reply, expected.replace("SHA", &digest(server, script)), "{script}");
    }
}

/// The digest of a script that may be one that does not compile.
fn digest(server: &mut Harness, script: &str) -> String {
    let reply = server.run_args(&[b"EVAL", b"return redis.sha1hex(ARGV[1])", b"0", script.as_bytes()]);
    reply[5..45].to_string()
}

/// The text of an error reply, without the digest and the place behind it.
fn error_of(reply: &str) -> String {
    assert!(reply.starts_with('-'), "an error: {reply:?}");
    let text = reply[1..].trim_end();
    text.split(" script: ").next().unwrap_or_default().to_string()
}

#[track_caller]
fn fails(server: &mut Harness, cases: &[(&str, &str)]) {
    for (script, expected) in cases {
        let reply = eval(server, script);
        assert_eq!(error_of(&reply), *expected, "{script}");
    }
}

#[test]
fn values_become_replies() {
    let mut server = Harness::new();
    check(
        &mut server,
        &[
            ("return 1", ":1\r\n"),
            ("return 1.9", ":1\r\n"),
            ("return -1.9", ":-1\r\n"),
            ("return 2^63", ":-9223372036854775808\r\n"),
            ("return 0/0", ":-9223372036854775808\r\n"),
            ("return 'x'", "$1\r\nx\r\n"),
            ("return true", ":1\r\n"),
            ("return false", "$-1\r\n"),
            ("return nil", "$-1\r\n"),
            ("return", "$-1\r\n"),
            (
                "return print == nil",
                "-ERR user_script:1: Script attempted to access nonexistent global variable 'print' script: SHA, on @user_script:1.\r\n",
            ),
            ("return {1,2,nil,4}", "*2\r\n:1\r\n:2\r\n"),
            ("return {}", "*0\r\n"),
            ("return {1,{2,{3}}}", "*2\r\n:1\r\n*2\r\n:2\r\n*1\r\n:3\r\n"),
            ("return {ok='fine'}", "+fine\r\n"),
            ("return {ok='a\\r\\nb'}", "+a  b\r\n"),
            ("return {err='MY error'}", "-MY error\r\n"),
            ("return {err='NOCODE'}", "-NOCODE\r\n"),
            ("return {double=3.5}", "$3\r\n3.5\r\n"),
            ("return {map={a=1}}", "*2\r\n$1\r\na\r\n:1\r\n"),
            ("return {set={a=true}}", "*1\r\n$1\r\na\r\n"),
            ("return {big_number='12\\r\\n3'}", "$5\r\n12  3\r\n"),
            ("return {verbatim_string={format='txt',string='x'}}", "$1\r\nx\r\n"),
            ("return redis.status_reply('FINE')", "+FINE\r\n"),
            ("return redis.error_reply('MY ERR')", "-MY ERR\r\n"),
            ("return redis.error_reply('-MY ERR')", "-MY ERR\r\n"),
            ("return redis.error_reply('MYERR')", "-ERR MYERR\r\n"),
            ("return redis.error_reply()", "-ERR wrong number or type of arguments\r\n"),
            ("return redis.status_reply(1)", "-ERR wrong number or type of arguments\r\n"),
            ("return redis.sha1hex('')", "$40\r\nda39a3ee5e6b4b0d3255bfef95601890afd80709\r\n"),
        ],
    );
    server.run("HELLO 3");
    check(
        &mut server,
        &[
            ("return nil", "_\r\n"),
            ("return false", "_\r\n"),
            ("return true", ":1\r\n"),
            ("redis.setresp(3) return true", "#t\r\n"),
            ("redis.setresp(3) return {true,false}", "*2\r\n#t\r\n#f\r\n"),
            ("return {double=3.5}", ",3.5\r\n"),
            ("return {map={a=1}}", "%1\r\n$1\r\na\r\n:1\r\n"),
            ("return {set={a=true}}", "~1\r\n$1\r\na\r\n"),
            ("return {big_number='123'}", "(123\r\n"),
            ("return {verbatim_string={format='txt',string='x'}}", "=5\r\ntxt:x\r\n"),
        ],
    );
}

#[test]
fn replies_become_values() {
    let mut server = Harness::with_debug();
    server.run("HSET h a 1");
    server.run("ZADD z 1.5 m");
    server.run("LPUSH list x y");
    check(
        &mut server,
        &[
            ("return type(redis.call('get','nokey'))", "$7\r\nboolean\r\n"),
            ("redis.setresp(3) return type(redis.call('get','nokey'))", "$3\r\nnil\r\n"),
            ("return redis.call('set','k',1.5).ok", "$2\r\nOK\r\n"),
            ("return redis.call('get','k')", "$3\r\n1.5\r\n"),
            ("redis.call('set','k',100) return redis.call('get','k')", "$3\r\n100\r\n"),
            ("redis.call('set','k',0.1) return redis.call('get','k')", "$3\r\n0.1\r\n"),
            ("redis.call('set','k',1e20) return redis.call('get','k')", "$5\r\n1e+20\r\n"),
            ("return redis.call('hgetall','h')", "*2\r\n$1\r\na\r\n$1\r\n1\r\n"),
            ("redis.setresp(3) return redis.call('hgetall','h').map.a", "$1\r\n1\r\n"),
            ("redis.setresp(3) return redis.call('zscore','z','m').double * 2", ":3\r\n"),
            ("return redis.call('zscore','z','m')", "$3\r\n1.5\r\n"),
            ("return #redis.call('lrange','list',0,-1)", ":2\r\n"),
            (
                "redis.setresp(3) return tostring(redis.call('debug','protocol','true'))",
                "-ERR This Redis command is not allowed from script script: SHA, on @user_script:1.\r\n",
            ),
        ],
    );
    server.run("DEBUG SET-DISABLE-DENY-SCRIPTS 1");
    check(
        &mut server,
        &[
            ("redis.setresp(3) return tostring(redis.call('debug','protocol','true'))", "$4\r\ntrue\r\n"),
            (
                "redis.setresp(3) return redis.call('debug','protocol','bignum').big_number",
                "$37\r\n1234567999999999999999999999999999999\r\n",
            ),
            (
                "redis.setresp(3) return redis.call('debug','protocol','verbatim').verbatim_string.format",
                "$3\r\ntxt\r\n",
            ),
            (
                "redis.setresp(3) return redis.call('debug','protocol','attrib')",
                "$39\r\nSome real reply following the attribute\r\n",
            ),
        ],
    );
}

#[test]
fn errors_tell_where_they_were_raised() {
    let mut server = Harness::new();
    server.run("LPUSH list x");
    check(
        &mut server,
        &[
            ("error('x')", "-ERR user_script:1: x script: SHA, on @user_script:1.\r\n"),
            ("\n\nerror('x',0)", "-ERR x script: SHA, on @user_script:3.\r\n"),
            ("error({err='My Err'})", "-My Err script: SHA, on @user_script:1.\r\n"),
            (
                "\nreturn redis.call('incr','list')",
                "-WRONGTYPE Operation against a key holding the wrong kind of value script: SHA, on @user_script:2.\r\n",
            ),
            (
                "return redis.pcall('incr','list')",
                "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n",
            ),
            (
                "return redis.call('nosuch')",
                "-ERR Unknown Redis command called from script script: SHA, on @user_script:1.\r\n",
            ),
            (
                "return redis.call('get')",
                "-ERR Wrong number of args calling Redis command from script script: SHA, on @user_script:1.\r\n",
            ),
            (
                "return redis.call()",
                "-ERR Please specify at least one argument for this redis lib call script: SHA, on @user_script:1.\r\n",
            ),
            (
                "return redis.call('get',{})",
                "-ERR Lua redis lib command arguments must be strings or integers script: SHA, on @user_script:1.\r\n",
            ),
            (
                "return redis.call('eval','return 1',0)",
                "-ERR This Redis command is not allowed from script script: SHA, on @user_script:1.\r\n",
            ),
            (
                "return (",
                "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '<eof>'\r\n",
            ),
            ("return pcall(redis.call,'incr','list')", "$-1\r\n"),
            (
                "local ok,e = pcall(redis.call,'incr','list') return e",
                "$65\r\nWRONGTYPE Operation against a key holding the wrong kind of value\r\n",
            ),
            ("local e = redis.pcall('nosuch') return e.err", "$44\r\nERR Unknown Redis command called from script\r\n"),
        ],
    );
}

#[test]
fn arguments_of_eval_are_checked() {
    let mut server = Harness::new();
    for (words, reply) in [
        ("EVAL", "-ERR wrong number of arguments for 'eval' command\r\n"),
        ("EVAL x", "-ERR wrong number of arguments for 'eval' command\r\n"),
        ("EVAL x y", "-ERR value is not an integer or out of range\r\n"),
        ("EVAL x -1", "-ERR Number of keys can't be negative\r\n"),
        ("EVAL x 1", "-ERR Number of keys can't be greater than number of args\r\n"),
        ("EVALSHA x 0", "-NOSCRIPT No matching script. Please use EVAL.\r\n"),
        ("SCRIPT DEBUG NO", "+OK\r\n"),
        ("SCRIPT DEBUG x", "-ERR Use SCRIPT DEBUG YES/SYNC/NO\r\n"),
        ("SCRIPT KILL", "-NOTBUSY No scripts in execution right now.\r\n"),
        ("FUNCTION KILL", "-NOTBUSY No scripts in execution right now.\r\n"),
        ("SCRIPT FLUSH x", "-ERR SCRIPT FLUSH only support SYNC|ASYNC option\r\n"),
    ] {
        assert_eq!(server.run(words), reply, "{words}");
    }
    let reply = server.run_args(&[b"EVAL", b"return {KEYS,ARGV}", b"2", b"a", b"b", b"c"]);
    assert_eq!(reply, "*2\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n*1\r\n$1\r\nc\r\n");
}

#[test]
fn scripts_are_cached_by_digest() {
    const SHA: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";
    let mut server = Harness::new();
    assert_eq!(server.run(&format!("EVALSHA {SHA} 0")), "-NOSCRIPT No matching script. Please use EVAL.\r\n");
    assert_eq!(eval(&mut server, "return 1"), ":1\r\n");
    assert_eq!(server.run(&format!("EVALSHA {SHA} 0")), ":1\r\n");
    assert_eq!(server.run(&format!("EVALSHA {} 0", SHA.to_uppercase())), ":1\r\n");
    assert_eq!(server.run(&format!("EVALSHA_RO {SHA} 0")), ":1\r\n");
    assert_eq!(server.run(&format!("SCRIPT EXISTS {SHA} x")), "*2\r\n:1\r\n:0\r\n");
    assert_eq!(server.run(&format!("SCRIPT SHOW {SHA}")), "$8\r\nreturn 1\r\n");
    assert_eq!(server.run("SCRIPT SHOW x"), "-NOSCRIPT No matching script.\r\n");
    assert_eq!(server.run("SCRIPT FLUSH ASYNC"), "+OK\r\n");
    assert_eq!(server.run(&format!("SCRIPT EXISTS {SHA}")), "*1\r\n:0\r\n");
    assert_eq!(server.run_args(&[b"SCRIPT", b"LOAD", b"return 1"]), format!("$40\r\n{SHA}\r\n"));
    assert_eq!(server.run(&format!("EVALSHA {SHA} 0")), ":1\r\n");
}

/// Clients that put values into the text of scripts would fill the memory.
#[test]
fn scripts_that_only_eval_brought_go_when_there_are_too_many() {
    let mut server = Harness::new();
    server.run_args(&[b"SCRIPT", b"LOAD", b"return 'stays'"]);
    for number in 0..510 {
        assert_eq!(eval(&mut server, &format!("return {number}")), format!(":{number}\r\n"));
        // Used again and again, so it is never the oldest.
        assert_eq!(eval(&mut server, "return 'used'"), "$4\r\nused\r\n");
    }
    assert_eq!(eval(&mut server, "return 1"), ":1\r\n");
    let info = server.run("INFO");
    assert!(info.contains("number_of_cached_scripts:501\r\n"), "{info}");
    assert!(server.run("INFO stats").contains("evicted_scripts:12\r\n"), "{info}");
    server.run("CONFIG RESETSTAT");
    assert!(server.run("INFO stats").contains("evicted_scripts:0\r\n"), "{info}");
    for (script, exists) in [("return 'stays'", 1), ("return 'used'", 1), ("return 2", 0), ("return 509", 1)] {
        let digest = oneloop_digest(script);
        assert_eq!(server.run(&format!("SCRIPT EXISTS {digest}")), format!("*1\r\n:{exists}\r\n"), "{script}");
    }
}

fn oneloop_digest(script: &str) -> String {
    let digest = oneloop::scripting::cache::digest(script.as_bytes());
    String::from_utf8_lossy(&digest).into_owned()
}

#[test]
fn the_first_line_says_what_a_script_may_do() {
    let mut server = Harness::new();
    for (script, reply) in [
        ("#!lua\nreturn 1", ":1\r\n"),
        ("#!lua flags=\nreturn 1", ":1\r\n"),
        ("#!lua", "-ERR Invalid script shebang\r\n"),
        ("#!lu\nreturn 1", "-ERR Unexpected engine in script shebang: #!lu\r\n"),
        ("#!lua flags=foo\nreturn 1", "-ERR Unexpected flag in script shebang: foo\r\n"),
        ("#!lua foo=bar\nreturn 1", "-ERR Unknown lua shebang option: foo=bar\r\n"),
        ("#!lua flags=no-writes,allow-stale,allow-oom,no-cluster,allow-cross-slot-keys\nreturn 1", ":1\r\n"),
        (
            "#hello\nreturn 1",
            "-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'\r\n",
        ),
    ] {
        assert_eq!(eval(&mut server, script), reply, "{script}");
    }
    let script = "#!lua flags=no-writes\nreturn redis.call('set','a','b')";
    assert_eq!(error_of(&eval(&mut server, script)), "ERR Write commands are not allowed from read-only scripts.");
    let script = "#!lua\nreturn redis.call('get','a')";
    let reply = server.run_args(&[b"EVAL_RO", script.as_bytes(), b"0"]);
    assert_eq!(reply, "-ERR Can not execute a script with write flag using *_ro command.\r\n");
    let reply = server.run_args(&[b"EVAL_RO", b"return redis.call('set','a','b')", b"0"]);
    assert_eq!(error_of(&reply), "ERR Write commands are not allowed from read-only scripts.");
    // Nor may it send messages, which replicas get.
    let reply = server.run_args(&[b"EVAL_RO", b"return redis.call('publish','a','b')", b"0"]);
    assert_eq!(error_of(&reply), "ERR Write commands are not allowed from read-only scripts.");
    assert_eq!(server.run_args(&[b"EVAL_RO", b"return redis.call('get','a')", b"0"]), "$-1\r\n");
}

#[test]
fn the_redis_table_is_whole() {
    let mut server = Harness::new();
    check(
        &mut server,
        &[
            (
                "return {redis.LOG_DEBUG,redis.LOG_VERBOSE,redis.LOG_NOTICE,redis.LOG_WARNING}",
                "*4\r\n:0\r\n:1\r\n:2\r\n:3\r\n",
            ),
            (
                "return {redis.REPL_NONE,redis.REPL_AOF,redis.REPL_SLAVE,redis.REPL_REPLICA,redis.REPL_ALL}",
                "*5\r\n:0\r\n:1\r\n:2\r\n:2\r\n:3\r\n",
            ),
            ("return redis.REDIS_VERSION", "$5\r\n7.2.6\r\n"),
            ("return redis.REDIS_VERSION_NUM", ":459270\r\n"),
            ("return redis.replicate_commands()", ":1\r\n"),
            ("return redis.breakpoint()", "$-1\r\n"),
            ("return redis.debug(1)", "$-1\r\n"),
            ("return redis.setresp(3)", "$-1\r\n"),
            ("return redis.set_repl(redis.REPL_ALL)", "$-1\r\n"),
            ("return redis.acl_check_cmd('set','a','b')", ":1\r\n"),
            ("return redis.log(redis.LOG_DEBUG,'x')", "$-1\r\n"),
        ],
    );
    fails(
        &mut server,
        &[
            ("redis.setresp(4)", "ERR RESP version must be 2 or 3."),
            ("redis.setresp()", "ERR redis.setresp() requires one argument."),
            ("redis.set_repl()", "ERR redis.set_repl() requires one argument."),
            ("redis.set_repl(7)", "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or REPL_NONE."),
            ("redis.acl_check_cmd('nosuch')", "ERR Invalid command passed to redis.acl_check_cmd()"),
            ("redis.log('x','y')", "ERR First argument must be a number (log level)."),
            ("redis.log(1)", "ERR redis.log() requires two arguments or more."),
            ("redis.log(9,'x')", "ERR Invalid log level."),
            ("redis.sha1hex()", "ERR wrong number of arguments"),
            (
                "redis.register_function('f',function() end)",
                "ERR user_script:1: attempt to call field 'register_function' (a nil value)",
            ),
        ],
    );
}

/// A script has its own database and protocol, and its caller's right to be told nothing of what it changes within.
#[test]
fn a_script_leaves_its_caller_as_it_was() {
    let mut server = Harness::new();
    check(
        &mut server,
        &[
            ("redis.call('select',5) redis.call('set','k','five') return 1", ":1\r\n"),
            ("redis.setresp(3) return 1", ":1\r\n"),
            ("return type(redis.call('get','k'))", "$7\r\nboolean\r\n"),
        ],
    );
    assert_eq!(server.run("GET k"), "$-1\r\n");
    server.run("SELECT 5");
    assert_eq!(server.run("GET k"), "$4\r\nfive\r\n");
}

/// Time stands still within a script, whatever it does.
#[test]
fn keys_do_not_expire_while_a_script_runs() {
    let mut server = Harness::with_debug();
    check(&mut server, &[("redis.call('psetex','k',1,'v') return redis.call('time')[1]", "$10\r\n1700000000\r\n")]);
    assert_eq!(START_MS, 1_700_000_000_000);
    server.run("DEBUG SET-DISABLE-DENY-SCRIPTS 1");
    let script = "redis.call('psetex','l',1,'v') redis.call('debug','sleep',0.01) return redis.call('exists','l')";
    assert_eq!(eval(&mut server, script), ":1\r\n");
    server.advance_ms(2);
    assert_eq!(server.run("GET k"), "$-1\r\n");
}

/// What would wait, does not: it finds nothing.
#[test]
fn no_command_waits_within_a_script() {
    let mut server = Harness::new();
    check(
        &mut server,
        &[
            ("return redis.call('blpop','k',0)", "*-1\r\n"),
            ("return redis.call('brpoplpush','k','l',0)", "$-1\r\n"),
            ("return redis.call('bzpopmin','k',0)", "*-1\r\n"),
        ]
        .map(|(script, _)| (script, "$-1\r\n")),
    );
}

/// Clients that wait for a key are served when the script is over, not in its midst.
#[test]
fn who_waits_for_a_key_gets_what_the_script_leaves() {
    let mut server = Harness::new();
    let other = server.connect();
    assert_eq!(server.run_as(other, &[b"BLPOP", b"list", b"0"]), b"");
    let script = "redis.call('rpush','list','a') redis.call('del','list') redis.call('rpush','list','b') \
                  return redis.call('llen','list')";
    assert_eq!(eval(&mut server, script), ":1\r\n");
    assert_eq!(server.pushed(other), b"*2\r\n$4\r\nlist\r\n$1\r\nb\r\n");
    assert_eq!(server.run("EXISTS list"), ":0\r\n");
}

/// Sets are given in an order that is the same everywhere.
#[test]
fn sort_by_nothing_sorts_sets() {
    let mut server = Harness::new();
    server.run("SADD s c a b aa");
    let expected = "*4\r\n$1\r\na\r\n$2\r\naa\r\n$1\r\nb\r\n$1\r\nc\r\n";
    check(&mut server, &[("return redis.call('sort','s','by','nosort')", expected)]);
}

#[test]
fn random_numbers_are_the_same_for_the_same_seed() {
    let mut server = Harness::new();
    let script = "math.randomseed(5) return {math.random(100),math.random(100),tostring(math.random())}";
    let first = eval(&mut server, script);
    assert_eq!(first, eval(&mut Harness::new(), script));
    fails(
        &mut server,
        &[
            ("math.random(0)", "ERR user_script:1: bad argument #1 to 'random' (interval is empty)"),
            ("math.random(1,2,3)", "ERR user_script:1: wrong number of arguments"),
            ("math.random({})", "ERR user_script:1: bad argument #1 to 'random' (number expected, got table)"),
        ],
    );
}

/// The lock of the SET page.
#[test]
fn a_lock_is_released_only_by_whom_it_belongs_to() {
    const UNLOCK: &[u8] =
        b"if redis.call(\"get\",KEYS[1]) == ARGV[1] then return redis.call(\"del\",KEYS[1]) else return 0 end";
    let mut server = Harness::new();
    assert_eq!(server.run("SET resource token NX EX 10"), "+OK\r\n");
    assert_eq!(server.run("SET resource other NX EX 10"), "$-1\r\n");
    assert_eq!(server.run_args(&[b"EVAL", UNLOCK, b"1", b"resource", b"other"]), ":0\r\n");
    assert_eq!(server.run_args(&[b"EVAL", UNLOCK, b"1", b"resource", b"token"]), ":1\r\n");
    assert_eq!(server.run("SET resource other NX EX 10"), "+OK\r\n");
    server.advance_ms(10_001);
    assert_eq!(server.run_args(&[b"EVAL", UNLOCK, b"1", b"resource", b"other"]), ":0\r\n");
}

const READ_ONLY: &str = "ERR user_script:1: Attempt to modify a readonly table";

#[test]
fn nothing_that_scripts_share_can_be_changed() {
    let mut server = Harness::new();
    for script in [
        "x = 1",
        "_G.x = 1",
        "redis.x = 1",
        "redis.call = 1",
        "redis = 1",
        "cjson.encode = nil",
        "string.rep = 1",
        "KEYS = 1",
        "function f() end",
        "getmetatable('').__index = 1",
        "getmetatable(_G).__index = 1",
        "getmetatable(_G).__newindex = nil",
    ] {
        assert_eq!(error_of(&eval(&mut server, script)), READ_ONLY, "{script}");
    }
    for script in [
        "setmetatable(_G, {})",
        "setmetatable(redis, {})",
        "rawset(_G, 'x', 1)",
        "rawset(redis, 'x', 1)",
        "table.insert(redis, 1)",
    ] {
        let error = error_of(&eval(&mut server, script));
        assert!(error.ends_with("Attempt to modify a readonly table"), "{script}: {error}");
    }
    check(
        &mut server,
        &[
            (
                "for k,v in pairs(redis) do local ok = pcall(function() redis[k] = nil end) assert(not ok) end return 1",
                ":1\r\n",
            ),
            (
                "for k,v in pairs(_G) do local ok = pcall(function() _G[k] = nil end) assert(not ok) end return 1",
                ":1\r\n",
            ),
            ("return redis.call('ping')", "+PONG\r\n"),
        ],
    );
}

#[test]
fn there_is_no_way_out_of_the_sandbox() {
    let mut server = Harness::new();
    for name in [
        "print", "io", "debug", "package", "require", "module", "dofile", "loadfile", "newproxy", "setfenv", "getfenv",
        "jit", "ffi", "arg", "os", "server",
    ] {
        let expected = format!("ERR user_script:1: Script attempted to access nonexistent global variable '{name}'");
        assert_eq!(error_of(&eval(&mut server, &format!("return {name}"))), expected);
    }
    check(
        &mut server,
        &[
            ("return type(loadstring('return 1'))", "$8\r\nfunction\r\n"),
            ("return loadstring(string.dump(function() return 1 end))", "$-1\r\n"),
            ("return loadstring('\\27LJ\\2')", "$-1\r\n"),
            (
                "return type(load(coroutine.wrap(function() coroutine.yield(string.dump(function() end)) end)))",
                "$3\r\nnil\r\n",
            ),
            ("return getmetatable(redis)", "$-1\r\n"),
            ("return loadstring('return x') == nil", "$-1\r\n"),
            (
                "local t = setmetatable({}, {__gc = function() redis.call('set','gc','1') end}) t = nil collectgarbage() return 1",
                ":1\r\n",
            ),
            ("return redis.call('exists','gc')", ":0\r\n"),
            ("return tostring(coroutine.resume(coroutine.create(function() x = 1 end)))", "$5\r\nfalse\r\n"),
            ("local co = coroutine.wrap(function() return redis.call('ping') end) return co()", "+PONG\r\n"),
        ],
    );
    // A function that was loaded has the same globals.
    fails(&mut server, &[("loadstring('x = 1')()", "ERR [string \"x = 1\"]:1: Attempt to modify a readonly table")]);
}

/// What is large is sorted by ourselves: values that compare as equal end up as genuine servers leave them.
#[test]
fn large_tables_are_sorted_as_by_lua_5_1() {
    let mut server = Harness::new();
    let numbers = "local t, x = {}, 7 for i = 1, 3000 do x = (x * 16807) % 2147483647 t[i] = x end ";
    let with = |code: &str| format!("{numbers}{code}");
    check(
        &mut server,
        &[
            (
                &with(
                    "for i = 1, #t do t[i] = {t[i] % 50, i} end table.sort(t, function(a, b) return a[1] < b[1] end)
                     local n = 0 for i = 1, #t do n = (n * 31 + t[i][2]) % 1000000007 end return n",
                ),
                ":66417632\r\n",
            ),
            (
                &with(
                    "table.sort(t) table.sort({unpack(t, 1, 2000)}, rawequal) for i = 2, #t do assert(t[i - 1] <= t[i]) end
                     table.sort(setmetatable(t, {__index = error, __newindex = error}), function(a, b) return a > b end)
                     return {t[1], t[3000], select('#', table.sort(t))}",
                ),
                "*3\r\n:2147482835\r\n:94192\r\n:0\r\n",
            ),
        ],
    );
    fails(
        &mut server,
        &[
            (&with("t[1500] = 'x' table.sort(t)"), "ERR attempt to compare string with number"),
            (
                &with("table.sort(t, function() return true end)"),
                "ERR user_script:1: invalid order function for sorting",
            ),
            (&with("table.sort(t, function() error('mine') end)"), "ERR user_script:1: mine"),
            (&with("table.sort(t, 5)"), "ERR user_script:1: bad argument #2 to 'sort' (function expected, got number)"),
        ],
    );
}

#[test]
fn scripts_are_lua_5_1() {
    let mut server = Harness::new();
    for script in ["goto x", "return 10LL", "return 1 & 2", "return ~1", "return 5 // 2", "return 0b1"] {
        let reply = eval(&mut server, script);
        assert!(reply.starts_with("-ERR Error compiling script (new function): user_script:1: "), "{script}: {reply}");
    }
    check(
        &mut server,
        &[
            ("return '\\x41'", "$3\r\nx41\r\n"),
            ("local function f(...) return arg.n end return f(1,2,3)", ":3\r\n"),
            ("return table.getn({1,2})", ":2\r\n"),
            ("return math.mod(5,3)", ":2\r\n"),
            ("return _VERSION", "$7\r\nLua 5.1\r\n"),
            ("return tostring(1e15)", "$5\r\n1e+15\r\n"),
            ("return string.gfind('ab','a')()", "$1\r\na\r\n"),
        ],
    );
}

#[test]
fn searches_are_those_of_lua_5_1() {
    let mut server = Harness::new();
    check(
        &mut server,
        &[
            ("return {('hello world'):find('(o)( )(w)')}", "*5\r\n:5\r\n:7\r\n$1\r\no\r\n$1\r\n \r\n$1\r\nw\r\n"),
            ("return {('hello'):find('l')}", "*2\r\n:3\r\n:3\r\n"),
            ("return {('a.b'):find('.',2,true)}", "*2\r\n:2\r\n:2\r\n"),
            ("return {('abc'):find('',10)}", "*2\r\n:4\r\n:3\r\n"),
            ("return {('hello'):match('(h)(.-)(l+)')}", "*3\r\n$1\r\nh\r\n$1\r\ne\r\n$2\r\nll\r\n"),
            ("return {('abc'):match('()b()')}", "*2\r\n:2\r\n:3\r\n"),
            ("return ('a(b(c)d)e'):match('%b()')", "$7\r\n(b(c)d)\r\n"),
            ("return {('THE (quick) fox'):gsub('%f[%a]%a+',string.lower)}", "*2\r\n$15\r\nthe (quick) fox\r\n:3\r\n"),
            ("return {('hello'):gsub('l',{l='X'})}", "*2\r\n$5\r\nheXXo\r\n:2\r\n"),
            ("return {('hello'):gsub('(l)(.)','%2%1')}", "*2\r\n$5\r\nhello\r\n:1\r\n"),
            ("return {('hello'):gsub('','-')}", "*2\r\n$11\r\n-h-e-l-l-o-\r\n:6\r\n"),
            ("return {('abc'):gsub('%w','%0%0',2)}", "*2\r\n$5\r\naabbc\r\n:2\r\n"),
            ("return {('abc'):gsub('b*',function() return '-' end)}", "*2\r\n$6\r\n-a--c-\r\n:4\r\n"),
            ("return {('aXb'):match('[^%l]')}", "*1\r\n$1\r\nX\r\n"),
            ("return ('xyxy'):match('(xy)%1')", "$2\r\nxy\r\n"),
            (
                "local r={} for k,v in ('a=1,b=2'):gmatch('(%w)=(%w)') do r[#r+1]=k..v end return r",
                "*2\r\n$2\r\na1\r\n$2\r\nb2\r\n",
            ),
        ],
    );
    fails(
        &mut server,
        &[
            ("('x'):find('[a')", "ERR user_script:1: malformed pattern (missing ']')"),
            ("('x'):find('%')", "ERR user_script:1: malformed pattern (ends with '%')"),
            ("('x'):find('(')", "ERR user_script:1: unfinished capture"),
            ("('x'):gsub('x','%2')", "ERR user_script:1: invalid capture index"),
            ("string.gsub('x', 'x')", "ERR user_script:1: bad argument #3 to 'gsub' (string/function/table expected)"),
            ("('x'):find(('('):rep(40))", "ERR user_script:1: too many captures"),
            ("('a'):rep(9000):find(('a?'):rep(9000))", "ERR user_script:1: pattern too complex"),
        ],
    );
}

/// A server on which a script is suspended, and another client of it.
fn busy(script: &str) -> (Harness, Token) {
    let mut server = Harness::new();
    let other = server.connect();
    server.state.scripting.set_step_budget(0);
    assert_eq!(eval(&mut server, script), "", "{script} is suspended");
    (server, other)
}

/// Takes the suspended script further until it ends.
fn finish(server: &mut Harness) -> String {
    for _ in 0..10_000 {
        if !oneloop::drive::script::run::resume(&mut server.state) {
            let bytes = server.pushed(server.client);
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
    panic!("the script goes on and on");
}

const BUSY: &[u8] = b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n";

#[test]
fn a_long_script_is_suspended_and_others_are_told() {
    let (mut server, other) = busy("local n = 0 for i = 1, 100000 do n = n + i end redis.call('set','k',n) return n");
    assert_eq!(server.run_as(other, &[b"GET", b"k"]), BUSY);
    assert_eq!(server.run_as(other, &[b"SHUTDOWN"]), BUSY);
    assert_eq!(finish(&mut server), ":5000050000\r\n");
    assert_eq!(server.run_as(other, &[b"GET", b"k"]), b"$10\r\n5000050000\r\n");
}

/// Whatever a script does not to be stopped.
#[test]
fn an_endless_script_is_killed() {
    for script in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "local f f = function() return f() end f()",
        "local co = coroutine.wrap(function() while true do end end) co()",
        "repeat local t = setmetatable({}, {__index = function() while true do end end}) local x = t.x until false",
        "table.sort({3,2,1}, function() while true do end end)",
        "string.gsub('x', 'x', function() while true do end end)",
        "string.find(string.rep('a', 100), string.rep('.-', 30) .. 'b')",
        "pcall(string.rep('a', 60).gsub, string.rep('a', 60), string.rep('a-', 30) .. 'b', '')",
        "xpcall(function() error('x') end, function() while true do end end)",
        "xpcall(function() while true do end end, function() while true do end end)",
        "pcall(load, function() while true do end end)",
        "while true do redis.call('get', 'x') end",
        "local t = {} for i = 1, 100 do t = {t, t} end cjson.encode_max_depth(10000) return cjson.encode(t)",
        "local t = {} for i = 1, 15 do t = {t,t,t,t,t,t,t,t} end return cmsgpack.pack(t)",
        "while true do local s = string.rep('x', 1000) end",
        "for i = 1, 1e9 do load(function() while true do end end) end",
        "local t = {} for i = 1, 4000 do t[i] = i end while true do table.sort(t, rawequal) end",
    ] {
        let (mut server, other) = busy(script);
        for _ in 0..3 {
            assert!(oneloop::drive::script::run::resume(&mut server.state), "{script}");
        }
        assert_eq!(server.run_as(other, &[b"FUNCTION", b"KILL"]), BUSY);
        assert_eq!(server.run_as(other, &[b"SCRIPT", b"KILL"]), b"+OK\r\n", "{script}");
        let reply = finish(&mut server);
        assert!(reply.contains("Script killed by user with SCRIPT KILL"), "{script}: {reply}");
        server.state.scripting.set_step_budget(u64::MAX);
        assert_eq!(eval(&mut server, "return 7"), ":7\r\n", "{script}");
    }
}

/// A server on which the script between a SET and a GET in a transaction is suspended, and another client of it.
fn busy_transaction(script: &str) -> (Harness, Token) {
    let mut server = Harness::new();
    let other = server.connect();
    server.state.scripting.set_step_budget(0);
    server.run("MULTI");
    server.run("SET k 1");
    eval(&mut server, script);
    eval(&mut server, script);
    server.run("GET k");
    assert_eq!(server.run("EXEC"), "", "{script} is suspended");
    (server, other)
}

#[test]
fn a_transaction_goes_on_after_a_long_script() {
    let script = "for i = 1, 100000 do end return redis.call('incr','k')";
    let (mut server, other) = busy_transaction(script);
    assert_eq!(server.run_as(other, &[b"GET", b"k"]), BUSY);
    assert_eq!(finish(&mut server), "*4\r\n+OK\r\n:2\r\n:3\r\n$1\r\n3\r\n");
    assert_eq!(server.run_as(other, &[b"GET", b"k"]), b"$1\r\n3\r\n");
    let info = server.run("INFO commandstats");
    for counted in ["cmdstat_exec:calls=1,", "cmdstat_eval:calls=2,", "cmdstat_set:calls=1,"] {
        assert!(info.contains(counted), "{info}");
    }
    // Nobody waits for the next one in vain.
    assert_eq!(server.run("EXEC"), "-ERR EXEC without MULTI\r\n");
    assert!(!server.state.is_amid_unit());
}

#[test]
fn an_endless_script_in_a_transaction_is_killed() {
    let (mut server, other) = busy_transaction("while true do end");
    for is_another_suspended in [true, false] {
        assert!(oneloop::drive::script::run::resume(&mut server.state));
        assert_eq!(server.run_as(other, &[b"SCRIPT", b"KILL"]), b"+OK\r\n");
        let is_suspended = oneloop::drive::script::run::resume(&mut server.state);
        assert_eq!(is_suspended, is_another_suspended);
    }
    let reply = String::from_utf8_lossy(&server.pushed(server.client)).into_owned();
    assert!(reply.starts_with("*4\r\n+OK\r\n-ERR Script killed by user"), "{reply}");
    assert!(reply.ends_with("$1\r\n1\r\n"), "{reply}");
}

#[test]
fn a_transaction_is_ended_though_its_client_has_gone() {
    let (mut server, other) = busy_transaction("for i = 1, 100000 do end return redis.call('incr','k')");
    server.state.remove_client(server.client);
    while oneloop::drive::script::run::resume(&mut server.state) {}
    assert_eq!(server.run_as(other, &[b"GET", b"k"]), b"$1\r\n3\r\n");
    assert!(!server.state.is_amid_unit());
}

#[test]
fn a_script_that_has_written_is_not_killed() {
    let (mut server, other) = busy("redis.call('set','k','v') for i = 1, 100000 do end return redis.call('get','k')");
    let reply = server.run_as(other, &[b"SCRIPT", b"KILL"]);
    assert!(reply.starts_with(b"-UNKILLABLE Sorry the script already executed write commands"));
    assert_eq!(finish(&mut server), "$1\r\nv\r\n");
    assert_eq!(server.run("SCRIPT KILL"), "-NOTBUSY No scripts in execution right now.\r\n");
}

/// Who waits for a key gets it when the script is over that was suspended.
#[test]
fn those_who_wait_for_a_suspended_scripts_keys_are_served() {
    let mut server = Harness::new();
    let waiting = server.connect();
    assert_eq!(server.run_as(waiting, &[b"BLPOP", b"l", b"0"]), b"");
    server.state.scripting.set_step_budget(0);
    let script = "redis.call('rpush','l','x') for i = 1, 100000 do end";
    assert_eq!(eval(&mut server, script), "", "it is suspended");
    while oneloop::drive::script::run::resume(&mut server.state) {
        assert_eq!(server.pushed(waiting), b"");
    }
    assert_eq!(server.pushed(waiting), b"*2\r\n$1\r\nl\r\n$1\r\nx\r\n");
}

/// The script goes on though nobody waits for its reply.
#[test]
fn the_caller_may_leave() {
    let (mut server, other) = busy("for i = 1, 100000 do end redis.call('set','k','v')");
    server.state.remove_client(server.client);
    while oneloop::drive::script::run::resume(&mut server.state) {}
    assert_eq!(server.run_as(other, &[b"GET", b"k"]), b"$1\r\nv\r\n");
}

/// What takes too much memory or too many levels fails; the next script finds all in order.
#[test]
fn bombs_do_no_harm() {
    let mut server = Harness::new();
    server.state.scripting.memory_max_bytes = 64 << 20;
    for script in [
        "local s = string.rep('x', 1024*1024) local t = {} while true do t[#t+1] = s .. #t end",
        "return #string.rep('x', 2e9)",
        "return #string.rep(string.rep('x', 1e6), 1e6)",
        "local s = 'x' while true do s = s .. s end",
        "return ('x'):rep(1e6):gsub('x', ('y'):rep(1e6))",
        "local function f() return 1 + f() end return f()",
        "local t = {} t.t = t return cjson.encode(t)",
        "cjson.decode_max_depth(1e9) return cjson.decode(string.rep('[', 1e6))",
        "cjson.decode_max_depth(1e9) return cjson.decode(string.rep('{\"a\":', 1e6))",
        "local t = {} for i = 1, 1e5 do t = {t} end cjson.encode_max_depth(1e9) return cjson.encode(t)",
        "return cmsgpack.unpack(string.rep('\\145', 1e6))",
        "return cmsgpack.unpack(string.rep('\\129', 1e6))",
        "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
        "return cmsgpack.unpack(string.rep('\\1', 1e6))",
        "return struct.pack(string.rep('i32', 1e6))",
        "return struct.unpack(string.rep('b', 1e5), string.rep('x', 1e5))",
        "return unpack({}, 1, 1e8)",
        "return string.format('%99999d', 1)",
        "return redis.call(unpack({}, 1, 1e8))",
        "local function f(n) return coroutine.wrap(function() return f(n + 1) end)() end return f(1)",
        "local t t = setmetatable({}, {__tostring = function() return string.format('%s', t) end}) return string.format('%s', t)",
        "local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) return tostring(t)",
        "local t = setmetatable({}, {__tostring = tostring}) return tostring(t)",
        "local f f = function(a, b) table.sort({3,2,1}, f) return a < b end table.sort({3,2,1}, f)",
        "local f f = function() return 1, (('x'):gsub('x', f)) end return f()",
        "local f f = function() local ok, e = pcall(f) error(e, 0) end f()",
        "local f f = function() return 1, xpcall(f, f) end return f()",
        "local f f = function() return 1, table.foreach({1}, f) end return f()",
        "local t = setmetatable({}, {__eq = function(a, b) return a == setmetatable({}, getmetatable(a)) end}) return t == setmetatable({}, getmetatable(t))",
        "local t = setmetatable({}, {__concat = function(a, b) return a .. b end}) return t .. t",
        "local t = setmetatable({}, {__lt = function(a, b) return b < a end}) return t < setmetatable({}, getmetatable(t))",
        "return loadstring('return ' .. ('('):rep(1e5))",
        "return loadstring(('a='):rep(1) .. ('{'):rep(1e5))",
        "return loadstring('return ' .. ('-'):rep(1e5) .. '1')()",
        "return loadstring('return ' .. ('1 ..'):rep(1e5) .. '1')()",
        "local t = setmetatable({}, {}) getmetatable(t).__index = t return t.x.y",
        "local s = ('a'):rep(1e5) return s:find(('a?'):rep(1e5))",
        "error(error)",
        "error(setmetatable({}, {__tostring = function() error('x') end}))",
        "return {err = {}} , error({err = {}})",
    ] {
        let reply = eval(&mut server, script);
        assert!(
            reply.starts_with('-')
                || script.contains("loadstring")
                || script.contains("pcall")
                || script.starts_with("return {err"),
            "{script}: {}",
            &reply[..reply.len().min(200)]
        );
        assert_eq!(eval(&mut server, "return {1, redis.call('ping')}"), "*2\r\n:1\r\n+PONG\r\n", "{script}");
    }
    // Tables within each other beyond what can be written.
    let reply = eval(&mut server, "local t = {} for i = 1, 1e5 do t = {t} end return t");
    assert!(reply.contains("ERR reached lua stack limit"), "{}", &reply[..reply.len().min(200)]);
}

#[test]
fn replies_of_all_protocols_are_written_for_the_callers() {
    let mut server = Harness::new();
    let session = server.state.clients.get_mut(server.client).expect("the client is there");
    assert_eq!(session.reply.protocol(), Protocol::Resp2);
    server.run("HSET h a 1");
    assert_eq!(eval(&mut server, "redis.setresp(3) return redis.call('hgetall','h')"), "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    server.run("HELLO 3");
    assert_eq!(eval(&mut server, "redis.setresp(3) return redis.call('hgetall','h')"), "%1\r\n$1\r\na\r\n$1\r\n1\r\n");
}

#[test]
fn statistics_count_scripts_and_their_commands() {
    let mut server = Harness::new();
    eval(&mut server, "redis.call('set','k','v') redis.call('get','k') return redis.pcall('incr','k')");
    eval(&mut server, "return redis.call('incr','k')");
    // A command fails too if there is an error somewhere in its reply.
    assert_eq!(eval(&mut server, "return {1, {err = 'MY own'}}"), "*2\r\n:1\r\n-MY own\r\n");
    let info = server.run("INFO everything");
    let line = info.lines().find(|line| line.starts_with("cmdstat_eval:"));
    assert!(line.is_some_and(|line| line.ends_with("failed_calls=3")), "{line:?}");
    for line in [
        "errorstat_MY:count=1",
        "cmdstat_eval:calls=3,",
        "cmdstat_set:calls=1,",
        "cmdstat_incr:calls=2,",
        "errorstat_ERR:count=2",
        "number_of_cached_scripts:3",
        "number_of_functions:0",
    ] {
        assert!(info.contains(line), "{line} in {info}");
    }
    assert!(!info.contains("used_memory_vm_eval:0\r\n"));
}
