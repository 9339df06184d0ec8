//! What once crashed Redis's Lua, let it read or write outside its memory, or went around the sandbox: each input, and
//! the reply of a server that has the fix. The named CVEs are Redis's; a group without one is a fix from its release
//! notes.
//!
//! Not here: CVE-2021-32672 (the debugger's own request parser; ours reads requests with the server's parser),
//! CVE-2023-41056 (buffers of the server, not Lua), and CVE-2022-24834 at its original size (strings of more than 2
//! GiB).

use crate::support::Harness;

/// Runs a script without keys.
fn eval(server: &mut Harness, script: &str) -> String {
    server.run_args(&[b"EVAL", script.as_bytes(), b"0"])
}

/// Runs an expression list under `pcall`; `r` holds what came of it, as text.
fn outcome(server: &mut Harness, expression: &str) -> String {
    let script = format!(
        "local r = {{pcall(function() return {expression} end)}} for i = 1, #r do r[i] = tostring(r[i]) end return table.concat(r, ' ')"
    );
    let reply = eval(server, &script);
    let text = reply.split_once("\r\n").map_or("", |(_, rest)| rest);
    text.trim_end_matches("\r\n").to_string()
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let mut server = Harness::new();
    for (expression, expected) in cases {
        assert_eq!(outcome(&mut server, expression), *expected, "{expression}");
    }
    // Another script, in the same Lua state, sees a world that is whole.
    assert_eq!(eval(&mut server, "return ('x'):upper() .. tostring(1) .. type(redis.call)"), "$10\r\nX1function\r\n");
}

/// The text of an error reply, without the digest and the place behind it.
#[track_caller]
fn error_of(reply: &str) -> &str {
    assert!(reply.starts_with('-'), "an error: {reply:?}");
    reply[1..].split(" script: ").next().unwrap_or_default()
}

/// CVE-2024-31449: `-n` overflows for the smallest number, and the digits overrun a buffer on the stack.
#[test]
fn tohex_takes_the_smallest_count() {
    check(&[
        ("bit.tohex(65535, -2147483648)", "true 0000FFFF"),
        ("bit.tohex(-1, -2147483647)", "true FFFFFFFF"),
        ("bit.tohex(1, 2147483647)", "true 00000001"),
    ]);
}

/// CVE-2025-46817: the count of results overflows, and the stack is written past its end.
#[test]
fn unpack_counts_without_overflow() {
    let refused = "false user_script:1: too many results to unpack";
    check(&[
        ("unpack({}, 0, 2147483647)", refused),
        ("unpack({}, -2147483648, 2147483647)", refused),
        ("unpack({}, -2, 2147483646)", refused),
        ("unpack({}, 1, 2147483647)", refused),
        ("unpack({}, 1, 1e8)", refused),
        ("#{unpack({}, 2147483647, 2147483647)}", "true 0"),
        ("select('#', unpack({}, 1, 7000))", "true 7000"),
    ]);
}

/// CVE-2025-46818: the metatables of basic types are shared by all users' scripts.
#[test]
fn metatables_of_basic_types_cannot_be_changed() {
    let refused = "false user_script:1: Attempt to modify a readonly table";
    let mut server = Harness::new();
    for change in [
        "getmetatable('').__index = function() return 'owned' end",
        "getmetatable('').__call = function() return 'owned' end",
        "getmetatable('').__index.upper = function() return 'owned' end",
        "string.upper = function() return 'owned' end",
    ] {
        assert_eq!(outcome(&mut server, &format!("(function() {change} end)()")), refused, "{change}");
    }
    check(&[
        ("rawset(getmetatable(''), '__index', {})", "false Attempt to modify a readonly table"),
        ("setmetatable(getmetatable(''), {})", "false Attempt to modify a readonly table"),
        (
            "type(getmetatable(1)) .. type(getmetatable(nil)) .. type(getmetatable(true)) .. type(getmetatable(tostring))",
            "true nilnilnilnil",
        ),
    ]);
}

/// CVE-2025-46818 again: what reaches another function's environment, or makes an object with a finalizer, is gone.
#[test]
fn functions_that_reach_around_the_sandbox_are_absent() {
    for name in [
        "getfenv", "setfenv", "newproxy", "print", "dofile", "loadfile", "require", "module", "package", "io", "debug",
        "jit", "ffi",
    ] {
        let mut server = Harness::new();
        let expected = format!("false user_script:1: Script attempted to access nonexistent global variable '{name}'");
        assert_eq!(outcome(&mut server, name), expected);
    }
}

/// CVE-2022-24735 and CVE-2022-24736: globals that were replaced ran in the next user's script, and without the handler
/// of errors the next error ended the server.
#[test]
fn globals_cannot_be_replaced() {
    let refused = "false user_script:1: Attempt to modify a readonly table";
    let refused_bare = "false Attempt to modify a readonly table";
    let mut server = Harness::new();
    for change in [
        "__redis__err__handler = nil",
        "redis = nil",
        "redis.call = function() return 'owned' end",
        "_G.tostring = nil",
        "KEYS = {} redis.pcall = nil",
        "getmetatable(_G).__index = nil",
    ] {
        let got = outcome(&mut server, &format!("(function() {change} end)()"));
        let allowed = [
            refused,
            // The metatable of the globals is not shown.
            "false user_script:1: attempt to index a nil value",
        ];
        assert!(allowed.contains(&got.as_str()), "{change}: {got}");
    }
    check(&[
        ("rawset(_G, '__redis__err__handler', nil)", refused_bare),
        ("rawset(_G, 'x', 1)", refused_bare),
        ("rawset(redis, 'call', 1)", refused_bare),
        ("setmetatable(_G, {})", refused_bare),
        ("setmetatable(redis, nil)", refused_bare),
        ("table.insert(redis, 1)", refused_bare),
    ]);
    let error = eval(&mut server, "error('still handled')");
    assert_eq!(error_of(&error), "ERR user_script:1: still handled");
}

/// CVE-2025-46819: the level of a long bracket overflowed, and the lexer read what is not text.
#[test]
fn long_brackets_of_any_level_are_read() {
    let level = 70_000;
    check(&[
        (&format!("#loadstring('return [' .. ('='):rep({level}) .. '[x]' .. ('='):rep({level}) .. ']')()"), "true 1"),
        (
            &format!("select(2, loadstring('return [' .. ('='):rep({level}) .. '[x]', '=c'))"),
            "true c:1: unfinished long string near '<eof>'",
        ),
        (
            &format!("select(2, loadstring('--[' .. ('='):rep({level}) .. '[x]', '=c'))"),
            "true c:1: unfinished long comment near '<eof>'",
        ),
        (
            "select(2, loadstring('return [' .. ('='):rep(1000000), '=c')):sub(1, 43)",
            "true c:1: invalid long string delimiter near '[=",
        ),
    ]);
}

/// CVE-2025-49844: the chunk's name was freed by a collection while the chunk was compiled.
#[test]
fn a_collection_while_compiling_frees_nothing_that_is_needed() {
    let mut server = Harness::new();
    // The reader collects, and fills the freed memory with strings of the same sizes.
    let reader = "local n, keep = 0, {} local f, e = load(function() n = n + 1 collectgarbage() for i = 1, 50 do keep[i] = ('z'):rep(i) .. n end collectgarbage() if n < 150 then return 'local a' .. n .. ' = \"k' .. n .. '\" ' elseif n == 150 then return LAST end end, '=' .. ('name'):rep(5) .. n)";
    let whole = reader.replace("LAST", "'return a149 .. a1'");
    assert_eq!(eval(&mut server, &format!("{whole} return f()")), "$6\r\nk149k1\r\n");
    let broken = reader.replace("LAST", "'return = ='");
    assert_eq!(
        eval(&mut server, &format!("{broken} return e")),
        "$51\r\nnamenamenamenamename0:1: unexpected symbol near '='\r\n"
    );
    // Many compilations under memory pressure, each with a name that nothing else holds.
    let many = "local last for i = 1, 500 do local f, e = loadstring('local s = \"' .. ('s'):rep(i) .. '\" = =', '=chunk' .. i) if e ~= 'chunk' .. i .. \":1: unexpected symbol near '='\" then return e end last = e end return last";
    assert_eq!(eval(&mut server, many), "$38\r\nchunk500:1: unexpected symbol near '='\r\n");
}

/// CVE-2024-46981: objects that a script left were finalized while the Lua state was torn down.
#[test]
fn a_state_that_scripts_littered_is_flushed() {
    let mut server = Harness::new();
    let litter = "local t = {} for i = 1, 200 do local c = coroutine.wrap(function() coroutine.yield({i, t}) end) c() t[i] = setmetatable({c}, {__gc = function() error('collected') end, __mode = 'k'}) t[i].self = t[i] end return #t";
    for _ in 0..20 {
        assert_eq!(eval(&mut server, litter), ":200\r\n");
        server.expect("SCRIPT FLUSH", "+OK\r\n");
        server.expect("FUNCTION FLUSH", "+OK\r\n");
        assert_eq!(eval(&mut server, "return collectgarbage()"), ":0\r\n");
    }
}

/// CVE-2015-8080, CVE-2018-11219, CVE-2020-14147: sizes and offsets in struct's formats overflowed.
#[test]
fn sizes_in_struct_formats_do_not_overflow() {
    let too_large = "false integral size overflow";
    let too_short = "false bad argument #2 to '?' (data string too short)";
    check(&[
        ("pcall(struct.pack, '>I2147483648', '10')", &format!("true {too_large}")),
        ("pcall(struct.pack, '<I4294967295', '10')", &format!("true {too_large}")),
        ("pcall(struct.pack, 'i18446744073709551617', 1)", &format!("true {too_large}")),
        ("pcall(struct.unpack, 'I2147483648', '1234')", &format!("true {too_large}")),
        ("pcall(struct.unpack, 'i', '1234', 2147483647)", &format!("true {too_short}")),
        ("pcall(struct.unpack, 'i', '1234', -1)", &format!("true {too_short}")),
        ("pcall(struct.unpack, 'c2147483647', '1234', 3)", &format!("true {too_short}")),
        ("pcall(struct.unpack, 'bc0', '\\127x')", &format!("true {too_short}")),
        ("pcall(struct.unpack, '!8c1d', '1234', 2147483640)", &format!("true {too_short}")),
        ("pcall(struct.unpack, 'i', '1234', 0)", "true false bad argument #3 to '?' (offset must be 1 or greater)"),
    ]);
}

/// CVE-2018-11218, CVE-2022-24834: cmsgpack overran the Lua stack and its own buffers.
#[test]
fn cmsgpack_holds_to_its_input_and_its_stack() {
    let missing = "true false Missing bytes in input.";
    let too_many =
        "true false stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)";
    check(&[
        ("pcall(cmsgpack.unpack, '\\221\\255\\255\\255\\255')", missing),
        ("pcall(cmsgpack.unpack, '\\223\\255\\255\\255\\255\\1')", missing),
        ("pcall(cmsgpack.unpack, '\\219\\255\\255\\255\\255')", missing),
        (
            "pcall(cmsgpack.unpack, ('\\145'):rep(200000))",
            "true false stack overflow (in function mp_decode_to_lua_array)",
        ),
        ("pcall(cmsgpack.unpack, ('\\1'):rep(100000))", too_many),
        (
            "pcall(cmsgpack.unpack_one, '\\1', 2147483647)",
            "true false Start offset 2147483647 greater than input length 1.",
        ),
        ("(function() local t = {} t[1] = t return #cmsgpack.pack(t) end)()", "true 17"),
        ("#cmsgpack.pack(('x'):rep(3000000), ('y'):rep(3000000))", "true 6000010"),
    ]);
}

/// CVE-2022-24834: lengths of cjson's buffers overflowed; and nesting is bounded on both ways.
#[test]
fn cjson_holds_to_its_buffers_and_depths() {
    check(&[
        ("#cjson.encode(('\\1'):rep(2000000))", "true 12000002"),
        ("#cjson.encode(('\"'):rep(2000000))", "true 4000002"),
        (
            "cjson.decode(('['):rep(200000))",
            "false user_script:1: Found too many nested data structures (1001) at character 1001",
        ),
        (
            "cjson.decode(('{\"a\":'):rep(200000))",
            "false user_script:1: Found too many nested data structures (1001) at character 5001",
        ),
        (
            "(function() local t = {} t[1] = t return cjson.encode(t) end)()",
            "false user_script:1: Cannot serialise, excessive nesting (1001)",
        ),
    ]);
}

/// CVE-2021-32626: replies and library calls pushed onto a Lua stack that was all but full.
#[test]
fn a_stack_that_is_all_but_full_takes_no_harm() {
    let deep = "local function f(n) if n == 0 then return WORK end local r = f(n - 1) return r end return f(16000)";
    let mut server = Harness::new();
    for (work, reply) in [
        ("#redis.call('mget', 'a', 'b', 'c')", ":3\r\n"),
        ("#redis.call('keys', '*')", ":0\r\n"),
        ("#cjson.decode('[[[[[1]]]]]')", ":1\r\n"),
        ("#cmsgpack.pack({{{{{1}}}}})", ":6\r\n"),
        ("#cjson.encode({{{{{1}}}}})", ":11\r\n"),
    ] {
        assert_eq!(eval(&mut server, &deep.replace("WORK", work)), reply, "{work}");
    }
    let many = "local t = {} for i = 1, 7000 do t[i] = 'k' end return #redis.call('mget', unpack(t))";
    assert_eq!(eval(&mut server, many), ":7000\r\n");
    let endless = eval(&mut server, "local function f(n) return 1 + f(n + 1) end return f(1)");
    assert_eq!(error_of(&endless), "ERR user_script:1: stack overflow");
}

/// A table that holds itself, returned: the conversion recursed until the stack was full.
#[test]
fn a_reply_that_holds_itself_ends() {
    let mut server = Harness::new();
    for script in
        ["local a = {} a[1] = a return a", "local a = {} a.map = {a} return a", "local a = {} a.b = {map = a} return a"]
    {
        let reply = eval(&mut server, script);
        assert!(!reply.is_empty(), "{script}");
    }
    let reply = eval(&mut server, "local a = {} a[1] = a return a");
    assert!(reply.ends_with("-ERR reached lua stack limit\r\n"), "{}", &reply[reply.len().saturating_sub(100)..]);
}

/// CVE-2014-5461: many fixed parameters and few arguments overran the stack of a new coroutine.
#[test]
fn many_fixed_parameters_fit_the_stack() {
    let parameters: Vec<String> = (1..=50).map(|number| format!("a{number}")).collect();
    let script = format!(
        "local function f({}, ...) local b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14 return a50 end return tostring(coroutine.wrap(f)())",
        parameters.join(", ")
    );
    let mut server = Harness::new();
    assert_eq!(eval(&mut server, &script), "$3\r\nnil\r\n");
}

/// CVE-2015-4335: compiled code can do anything, and is not loaded.
#[test]
fn compiled_code_is_not_loaded() {
    check(&[
        ("select(2, loadstring('\\27LuaQ\\0\\1\\4\\8\\4\\8\\0', '=c'))", "true c:1: unexpected symbol near 'char(27)'"),
        ("select(2, load(function() return '\\27LuaQ' end, '=c'))", "true c:1: unexpected symbol near 'char(27)'"),
        ("loadstring(string.dump(function() return 1 end)) == nil", "true true"),
    ]);
    let mut server = Harness::new();
    let reply = server.run_args(&[b"EVAL", b"\x1bLuaQ\0\x01\x04\x08", b"0"]);
    assert!(error_of(&reply).starts_with("ERR Error compiling script (new function): user_script:1: "), "{reply}");
}

/// An error that is a table without a text ended the server.
#[test]
fn an_error_without_a_text_is_an_unknown_error() {
    let mut server = Harness::new();
    for script in [
        "error({})",
        "error({ok = 'x'})",
        "error({err = {}})",
        "error(setmetatable({}, {__tostring = function() return 'named' end}))",
    ] {
        let reply = eval(&mut server, script);
        assert_eq!(error_of(&reply), "ERR unknown error", "{script}");
    }
}

/// Line feeds in a text would end the reply early, and the client would take the rest for the next reply.
#[test]
fn a_text_cannot_forge_another_reply() {
    let mut server = Harness::new();
    for script in [
        "return {err = 'a\\r\\n:1\\r\\n$-1'}",
        "return {ok = 'a\\r\\n:1\\r\\n$-1'}",
        "return redis.error_reply('a\\r\\n:1\\r\\n$-1')",
        "return redis.status_reply('a\\r\\n:1\\r\\n$-1')",
        "return {err = 'a\\0b\\r\\n:1'}",
        "return {ok = 'a\\0b\\r\\n:1'}",
        "error({err = 'a\\r\\n:1\\r\\n$-1'})",
        "error('a\\r\\n:1\\r\\n$-1', 0)",
        "return redis.call('a\\r\\n:1')",
        "return redis.pcall('a\\r\\n:1')",
        "return loadstring('x\\r\\n:1', 'a\\r\\n:1')",
        "a\r\n:1",
    ] {
        let reply = eval(&mut server, script);
        assert_eq!(reply.matches('\n').count(), 1, "{script}: {reply:?}");
        assert_eq!(reply.matches('\r').count(), 1, "{script}: {reply:?}");
    }
}

/// Recursion by way of C is bounded, as the C stack is no longer than it is.
#[test]
fn recursion_through_c_is_bounded() {
    let mut server = Harness::new();
    for (script, expected) in [
        ("return tostring(setmetatable({}, {__tostring = tostring}))", "ERR C stack overflow"),
        (
            "local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end return t.x",
            "ERR user_script:1: C stack overflow",
        ),
        ("local function g(s) return (s:gsub('.', g)) end return g('x')", "ERR C stack overflow"),
        (
            "local function s(t) table.sort(t, function(a, b) s({1, 2, 3}) return a < b end) end return s({1, 2, 3})",
            "ERR C stack overflow",
        ),
    ] {
        let reply = eval(&mut server, script);
        assert_eq!(error_of(&reply), expected, "{script}");
    }
}

/// Patterns recurse once for each character that a quantified item may take; on Redis this can end the server.
#[test]
fn patterns_of_any_length_end() {
    let mut server = Harness::new();
    for script in [
        "return #string.match(('x'):rep(250000), ('x?'):rep(250000))",
        "return #string.match(('x'):rep(250000), ('x*'):rep(1000))",
        "return (('('):rep(30000)):find(('%('):rep(30000))",
        "return pcall(string.find, 'x', ('('):rep(100000))",
    ] {
        let reply = eval(&mut server, script);
        assert!(reply.starts_with([':', '-', '$', '*']), "{script}: {reply}");
    }
    assert_eq!(eval(&mut server, "return 1"), ":1\r\n");
}

/// An order function without order made `table.sort` read outside the table.
#[test]
fn sorting_without_an_order_stays_in_the_table() {
    check(&[
        (
            "(function() local t = {} for i = 1, 100 do t[i] = i end table.sort(t, function() return true end) end)()",
            "false user_script:1: invalid order function for sorting",
        ),
        (
            "(function() local n, t = 0, {} for i = 1, 50 do t[i] = i end table.sort(t, function(a, b) n = n + 1 if n == 20 then for i = 1, 50 do t[i] = nil end end return a < b end) end)()",
            "false user_script:1: attempt to compare nil with number",
        ),
    ]);
}
