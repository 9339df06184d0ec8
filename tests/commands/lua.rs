//! Scripts see Lua 5.1 as Redis has it: values, orders and messages, byte for byte. Replies as genuine servers give
//! them (7.0.15, 8.0.2).

use crate::support::Harness;

fn eval(server: &mut Harness, script: &str) -> String {
    server.run_args(&[b"EVAL", script.as_bytes(), b"0"])
}

/// Scripts, each with the string or integer that it gives, or with the beginning of its error.
#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let mut server = Harness::new();
    for (script, expected) in cases {
        let reply = eval(&mut server, script);
        let reply = match reply.split_once("\r\n") {
            Some((head, rest)) if head.starts_with('$') && head != "$-1" => rest,
            _ => &reply,
        };
        let shown = reply.trim_end().split(" script: ").next();
        assert_eq!(shown.unwrap_or_default(), *expected, "{script}");
    }
}

#[test]
fn tables_are_those_of_lua_5_1() {
    check(&[
        ("return #{1,nil,3}", ":3"),
        ("return select('#', unpack({1,nil,3}))", ":3"),
        ("local t = {} table.insert(t, 2^32+1, 'x') return cjson.encode(t)", r#"["x"]"#),
        ("return string.sub('abcdef', 1, 2147483648)", "abcdef"),
        ("return tostring(math.max(0/0, 0))..tostring(math.min(0/0, 0))", "-nan-nan"),
        ("return string.rep('a', 3, ',')", "aaa"),
        ("return tostring(tonumber('-ff', 16))", "1.844674407371e+19"),
        ("for i = 1, 10, 0 do return i end", "$-1"),
        ("return bit.tohex(1, 100)..bit.tohex(65535, -2147483648)", "000000010000FFFF"),
        ("return string.format('%s', 'a\\0b')", "a"),
    ]);
}

#[test]
fn orders_are_those_of_redis() {
    check(&[
        ("return cjson.encode({a=1,b=2,c=3})", r#"{"a":1,"c":3,"b":2}"#),
        (
            "local o = {} for i, k in ipairs({cmsgpack.unpack(cmsgpack.pack({a=1,b=2,c=3}))}) do \
             for n in pairs(k) do o[#o+1] = n end end return table.concat(o)",
            "acb",
        ),
        (
            "local t, o = {}, {} for i = 1, 12 do t['key'..i] = i end \
             for k, v in pairs(t) do o[#o+1] = v end return table.concat(o, ' ')",
            "6 9 2 1 10 12 11 5 7 3 4 8",
        ),
        // All bytes of a long key are in its hash.
        (
            "local t, o = {}, {} for i = 1, 12 do t['a-rather-long-key-of-more-than-32-bytes-'..i] = i end \
             for k, v in pairs(t) do o[#o+1] = v end return table.concat(o, ' ')",
            "3 8 7 4 5 11 12 2 10 6 9 1",
        ),
        // A table that a script is given has room as Redis makes it.
        ("redis.call('rpush', 'l', 1, 2, 3) local r = redis.call('lrange', 'l', 0, -1) r[2] = nil return #r", ":1"),
        (
            "redis.setresp(3) redis.call('hset', 'h', 'a', 1, 'b', 2, 'c', 3, 'd', 4) local o = {} \
             for k in pairs(redis.call('hgetall', 'h').map) do o[#o+1] = k end return table.concat(o)",
            "adcb",
        ),
    ]);
}

#[test]
fn messages_are_those_of_lua_5_1() {
    check(&[
        ("return ARGV[1]..'x'", "-ERR user_script:1: attempt to concatenate field '?' (a nil value)"),
        ("local t = {} t.x.y = 1", "-ERR user_script:1: attempt to index field 'x' (a nil value)"),
        (
            "local insert = table.insert insert(5, 1)",
            "-ERR user_script:1: bad argument #1 to 'insert' (table expected, got number)",
        ),
        ("string.rep()", "-ERR user_script:1: bad argument #1 to 'rep' (string expected, got no value)"),
        ("return goto", "-ERR user_script:1: Script attempted to access nonexistent global variable 'goto'"),
        ("local function f(...) return arg.n end return f(1, nil, 3)", ":3"),
        ("return \"\\x41\"", "x41"),
        ("return 1 & 2", "-ERR Error compiling script (new function): user_script:1: '<eof>' expected near '&'"),
        ("local f, e = loadstring('return =') return e", "[string \"return =\"]:1: unexpected symbol near '='"),
        ("local f, e = loadstring('\\27Lua') return e", "[string \"\u{1b}Lua\"]:1: unexpected symbol near 'char(27)'"),
    ]);
}

/// The line is the one that calls, also in the position of a tail call and under another name.
#[test]
fn errors_name_the_line_that_calls() {
    let mut server = Harness::new();
    for (script, line) in [
        ("\nlocal rcall = redis.call\nreturn rcall('nosuch')", 3),
        ("\n\nreturn redis.call('nosuch')", 3),
        ("local function f()\nlocal x = redis.call('nosuch')\nreturn x end\nf()", 2),
    ] {
        let reply = eval(&mut server, script);
        let place = format!("on @user_script:{line}.\r\n");
        assert!(reply.ends_with(&place), "{script}: {reply}");
    }
}

/// Nobody gets behind a proxy: not by walking through it either.
#[test]
fn what_is_shared_is_not_given_away() {
    check(&[
        ("local _, t = pairs(redis) t.call = 1", "-ERR user_script:1: Attempt to modify a readonly table"),
        ("local _, t = pairs(redis) return tostring(t == redis)", "true"),
        ("local n = 0 for k in pairs(redis) do n = n + 1 end return tostring(n > 10)", "true"),
        ("local n = 0 table.foreach(redis, function() n = n + 1 end) return tostring(n > 10)", "true"),
        ("return type(next(redis))", "string"),
        ("return type(rawget(redis, 'call'))", "function"),
        ("return tostring(getmetatable(redis))", "nil"),
        ("return tostring(getmetatable('').__index == string)", "true"),
        ("return type(getmetatable(_G).__index)", "function"),
    ]);
}

/// What Lua itself would do without end, or with too much.
#[test]
fn long_work_is_the_same_as_short() {
    check(&[
        ("local t = {} for i = 1, 3000 do t[i] = i end table.insert(t, 2, 'x') return t[1]..t[2]..t[3]..#t", "1x23001"),
        (
            "local t = {} for i = 1, 3000 do t[i] = i end local x = table.remove(t, 2) return x..t[1]..t[2]..#t",
            "2132999",
        ),
        ("local t = {} for i = 1, 3000 do t[i] = i % 10 end return #table.concat(t, ',', 2, 2999)", ":5995"),
        (
            "local t = {} for i = 1, 3000 do t[i] = i end t[2000] = {} return table.concat(t)",
            "-ERR user_script:1: invalid value (table) at index 2000 in table for 'concat'",
        ),
        (
            "local t = {} for i = 1, 3000 do t[i] = i end t[2000] = 'x' table.sort(t)",
            "-ERR attempt to compare number with string",
        ),
        ("local t = {} for i = 1, 3000 do t[i] = (i * 7919) % 3001 end table.sort(t) return t[1500]", ":1500"),
        ("local t = {} for i = 1, 3000 do t[i] = i end table.sort(t, rawequal) return #t", ":3000"),
        ("return #string.rep('ab', 1500000)", ":3000000"),
        ("return string.reverse(string.rep('ab', 600000)):sub(1, 4)", "baba"),
    ]);
}

#[test]
fn a_script_sees_one_time() {
    check(&[(
        "local a = redis.call('time') for i = 1, 1e5 do end local b = redis.call('time') \
         return tostring(a[1] == b[1] and a[2] == b[2])",
        "true",
    )]);
}

/// Genuine servers end with a crash where reading an error fails or finds no text; here that is an error like any
/// other.
#[test]
fn an_error_that_cannot_be_read_is_an_error() {
    check(&[
        ("error(setmetatable({}, {__index = function() error('boom') end}))", "-ERR user_script:1: boom"),
        ("error(setmetatable({}, {__index = function() error({err = 'ERR inner'}) end}))", "-ERR inner"),
        ("error(setmetatable({}, {__index = 5}))", "-ERR err_handler_def:20: attempt to index a number value"),
        ("error(setmetatable({}, {__index = function() return nil end}))", "-ERR unknown error"),
        ("error(setmetatable({}, {__index = function() return {} end}))", "-ERR unknown error"),
        ("error({})", "-ERR unknown error"),
        ("local t t = setmetatable({}, {__index = function() error(t) end}) error(t)", "-ERR C stack overflow"),
        (
            "local t = setmetatable({}, {}) getmetatable(t).__index = t error(t)",
            "-ERR err_handler_def:20: loop in gettable",
        ),
        ("return 'alive'", "alive"),
    ]);
}

#[test]
fn an_error_is_read_once_and_in_redis_order() {
    let mut server = Harness::new();
    let log = "redis.call('rpush', 'seen', k)";
    let script = format!(
        "error(setmetatable({{}}, {{__index = function(_, k) {log} return 'ERR '..k end, \
         __newindex = function(_, k) {log} end}}))"
    );
    let reply = eval(&mut server, &script);
    assert!(reply.starts_with("-ERR err script: ") && reply.ends_with(", on ERR source:ERR line.\r\n"), "{reply}");
    let seen = server.run("lrange seen 0 -1");
    let seen: Vec<&str> = seen.lines().filter(|line| !line.starts_with(['*', '$'])).collect();
    assert_eq!(seen, ["source", "line", "err", "source", "line", "ignore_error_stats_update"]);
}

/// A value's address differs from run to run in genuine servers; here it is the same whenever a script runs anew.
#[test]
fn addresses_look_like_those_of_c_and_are_the_same_in_every_run() {
    let script = "local t, f = {}, function() end
        local c = coroutine.create(f)
        local shown = {tostring(t), tostring(f), tostring(c), tostring(t), tostring(print or redis), tostring(nil)}
        shown[#shown + 1] = tostring(setmetatable({}, {__tostring = function() return 'own' end}))
        shown[#shown + 1] = select(2, pcall(tostring))
        return table.concat(shown, ' ')";
    let shown = || eval(&mut Harness::new(), &script.replace("print or ", ""));
    let first = shown();
    assert_eq!(first, shown());
    let words: Vec<&str> = first.split_whitespace().skip(1).collect();
    assert_eq!((words[0], words[2], words[4]), ("table:", "function:", "thread:"));
    let is_address = |word: &str| {
        word.len() == 14 && word.starts_with("0x") && word[2..].bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    assert!([1, 3, 5, 9].iter().all(|place| is_address(words[*place])), "{first}");
    assert!(words[1] != words[3] && words[3] != words[5] && words[1] != words[9], "{first}");
    assert_eq!(words[1], words[7], "a value keeps its address");
    assert_eq!(words[10..], ["nil", "own", "bad", "argument", "#1", "to", "'?'", "(value", "expected)"]);
}

#[test]
fn values_whose_addresses_were_shown_are_collected() {
    check(&[(
        "for i = 1, 2000 do tostring({}) end collectgarbage() local before = collectgarbage('count')
         for i = 1, 20000 do tostring({}) end collectgarbage() return collectgarbage('count') - before < 400 and 1 or 0",
        ":1",
    )]);
}
