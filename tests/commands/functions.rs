//! FUNCTION and FCALL. Replies as Redis 7.2's (7.0.15 and 8.2 agree on them).

use crate::support::Harness;

fn load(server: &mut Harness, name: &str, code: &str) -> String {
    let code = format!("#!lua name={name}\n{code}");
    server.run_args(&[b"FUNCTION", b"LOAD", code.as_bytes()])
}

#[test]
fn libraries_are_loaded_listed_and_removed() {
    let mut server = Harness::new();
    let code = "redis.register_function('f', function(keys, args) return {keys, args} end)";
    assert_eq!(load(&mut server, "lib", code), "$3\r\nlib\r\n");
    assert_eq!(load(&mut server, "lib", code), "-ERR Library 'lib' already exists\r\n");
    assert_eq!(load(&mut server, "other", code), "-ERR Function f already exists\r\n");
    assert_eq!(server.run("FCALL f 1 k a b"), "*2\r\n*1\r\n$1\r\nk\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n");
    assert_eq!(server.run("FCALL F 0"), "*2\r\n*0\r\n*0\r\n");
    let listed = "*1\r\n*6\r\n$12\r\nlibrary_name\r\n$3\r\nlib\r\n$6\r\nengine\r\n$3\r\nLUA\r\n$9\r\nfunctions\r\n\
                  *1\r\n*6\r\n$4\r\nname\r\n$1\r\nf\r\n$11\r\ndescription\r\n$-1\r\n$5\r\nflags\r\n*0\r\n";
    assert_eq!(server.run("FUNCTION LIST"), listed);
    assert_eq!(server.run("FUNCTION LIST LIBRARYNAME L*"), listed);
    assert_eq!(server.run("FUNCTION LIST LIBRARYNAME x"), "*0\r\n");
    assert!(server.run("FUNCTION LIST WITHCODE").contains("library_code"));
    assert_eq!(server.run("FUNCTION DELETE x"), "-ERR Library not found\r\n");
    assert_eq!(server.run("FUNCTION DELETE lib"), "+OK\r\n");
    assert_eq!(server.run("FCALL f 0"), "-ERR Function not found\r\n");
}

#[test]
fn a_library_that_fails_to_load_leaves_the_old_one() {
    let mut server = Harness::new();
    load(&mut server, "lib", "redis.register_function('f', function() return 1 end)");
    for (code, error) in [
        ("err(", "-ERR Error compiling function: user_function:2: unexpected symbol near '<eof>'\r\n"),
        (
            "error('boo')",
            "-ERR Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'error'\r\n",
        ),
        ("return 1", "-ERR No functions registered\r\n"),
        (
            "redis.call('ping')",
            "-ERR Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'call'\r\n",
        ),
        ("x = 1", "-ERR Error registering functions: ERR user_function:2: Attempt to modify a readonly table\r\n"),
        (
            "local x = math",
            "-ERR Error registering functions: ERR user_function:2: Script attempted to access nonexistent global variable 'math'\r\n",
        ),
    ] {
        let code = format!("#!lua name=lib\n{code}");
        let reply = server.run_args(&[b"FUNCTION", b"LOAD", b"REPLACE", code.as_bytes()]);
        assert_eq!(reply, error, "{code}");
        assert_eq!(server.run("FCALL f 0"), ":1\r\n", "{code}");
    }
    let code = "#!lua name=lib\nredis.register_function('f', function() return 2 end)";
    assert_eq!(server.run_args(&[b"FUNCTION", b"LOAD", b"REPLACE", code.as_bytes()]), "$3\r\nlib\r\n");
    assert_eq!(server.run("FCALL f 0"), ":2\r\n");
}

#[test]
fn metadata_and_registrations_are_checked() {
    let mut server = Harness::new();
    for (code, error) in [
        ("x", "Missing library metadata"),
        ("#!lua", "Invalid library metadata"),
        ("#!lua\n", "Library name was not given"),
        ("#!foo name=x\n", "Engine 'foo' not found"),
        ("#!lua name=x name=y\n", "Invalid metadata value, name argument was given multiple times"),
        ("#!lua foo=y\n", "Invalid metadata value given: foo=y"),
        (
            "#!lua name=a-b\n",
            "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long",
        ),
    ] {
        let reply = server.run_args(&[b"FUNCTION", b"LOAD", code.as_bytes()]);
        assert_eq!(reply, format!("-ERR {error}\r\n"), "{code}");
    }
    for (arguments, error) in [
        ("()", "wrong number of arguments to redis.register_function"),
        (
            "('a')",
            "calling redis.register_function with a single argument is only applicable to Lua table (representing named arguments).",
        ),
        ("('a','b')", "second argument to redis.register_function must be a function"),
        ("({},function() end)", "first argument to redis.register_function must be a string"),
        (
            "('a-b',function() end)",
            "Library names can only contain letters, numbers, or underscores(_) and must be at least one character long",
        ),
        ("{function_name='a'}", "redis.register_function must get a callback argument"),
        ("{callback=function() end}", "redis.register_function must get a function name argument"),
        ("{function_name='a',callback=1}", "callback argument given to redis.register_function must be a function"),
        ("{function_name='a',callback=function() end,foo=1}", "unknown argument given to redis.register_function"),
        ("{function_name='a',callback=function() end,flags={'foo'}}", "unknown flag given"),
        (
            "{function_name='a',callback=function() end,flags=1}",
            "flags argument to redis.register_function must be a table representing function flags",
        ),
    ] {
        let reply = load(&mut server, "lib", &format!("redis.register_function{arguments}"));
        assert_eq!(
            reply,
            format!("-ERR Error registering functions: {error}\r\n").replace("functions: ", "functions: ERR "),
            "{arguments}"
        );
    }
}

#[test]
fn flags_bind_functions() {
    let mut server = Harness::new();
    load(
        &mut server,
        "lib",
        "redis.register_function{function_name='r', callback=function() return redis.call('set','x','y') end, flags={'no-writes'}}
         redis.register_function('w', function() return redis.call('set','x','y') end)",
    );
    let refused = "-ERR Write commands are not allowed from read-only scripts. script: r, on @user_function:2.\r\n";
    assert_eq!(server.run("FCALL r 0"), refused);
    assert_eq!(server.run("FCALL_RO r 0"), refused);
    assert_eq!(server.run("FCALL w 0"), "+OK\r\n");
    assert_eq!(server.run("FCALL_RO w 0"), "-ERR Can not execute a script with write flag using *_ro command.\r\n");
}

#[test]
fn libraries_are_dumped_and_restored() {
    let mut server = Harness::new();
    load(&mut server, "lib", "redis.register_function('f', function() return 1 end)");
    let dump = server.run_as(server.client, &[b"FUNCTION", b"DUMP"]);
    let start = dump.iter().position(|byte| *byte == b'\n').expect("a length") + 1;
    let payload = dump[start..dump.len() - 2].to_vec();
    assert_eq!(server.run_args(&[b"FUNCTION", b"RESTORE", &payload]), "-ERR Library lib already exists\r\n");
    assert_eq!(server.run_args(&[b"FUNCTION", b"RESTORE", &payload, b"REPLACE"]), "+OK\r\n");
    assert_eq!(server.run_args(&[b"FUNCTION", b"RESTORE", &payload, b"FLUSH"]), "+OK\r\n");
    assert_eq!(server.run("FCALL f 0"), ":1\r\n");
    assert_eq!(server.run("FUNCTION FLUSH SYNC"), "+OK\r\n");
    assert_eq!(server.run("FUNCTION LIST"), "*0\r\n");
    assert_eq!(server.run_args(&[b"FUNCTION", b"RESTORE", &payload]), "+OK\r\n");
    assert_eq!(server.run("FCALL f 0"), ":1\r\n");
    assert_eq!(server.run("FUNCTION RESTORE xxxxxxxxxxxx"), "-ERR DUMP payload version or checksum are wrong\r\n");
    assert!(server.run_args(&[b"FUNCTION", b"RESTORE", &payload, b"x"]).starts_with("-ERR Wrong restore policy given"));
}

/// The payload of a genuine server.
#[test]
fn what_redis_dumped_is_restored() {
    let mut server = Harness::new();
    let empty = b"\n\x00]\x9b\\@\x0f\x7f\xa2\xda";
    assert_eq!(server.run_args(&[b"FUNCTION", b"RESTORE", empty]), "+OK\r\n");
    assert_eq!(server.run_as(server.client, &[b"FUNCTION", b"DUMP"]), b"$10\r\n\x0b\x004D\xe13\xf2\xe0KS\r\n");
}

#[test]
fn a_function_that_runs_is_told_of_and_killed() {
    let mut server = Harness::new();
    let other = server.connect();
    load(&mut server, "lib", "redis.register_function('f', function() while true do end end)");
    server.state.scripting.set_step_budget(0);
    assert_eq!(server.run("FCALL f 1 k"), "");
    let stats = server.run_as(other, &[b"FUNCTION", b"STATS"]);
    let stats = String::from_utf8_lossy(&stats);
    assert!(
        stats.starts_with("*4\r\n$14\r\nrunning_script\r\n*6\r\n$4\r\nname\r\n$1\r\nf\r\n$7\r\ncommand\r\n*4\r\n"),
        "{stats}"
    );
    assert_eq!(
        server.run_as(other, &[b"SCRIPT", b"KILL"]),
        b"-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.\r\n"
    );
    assert_eq!(server.run_as(other, &[b"FUNCTION", b"KILL"]), b"+OK\r\n");
    while oneloop::drive::script::run::resume(&mut server.state) {}
    let reply = String::from_utf8_lossy(&server.pushed(server.client)).into_owned();
    assert!(reply.contains("Script killed by user with SCRIPT KILL"), "{reply}");
}

#[test]
fn functions_share_what_is_local_to_their_library() {
    let mut server = Harness::new();
    load(
        &mut server,
        "lib",
        "local count = 0
         redis.register_function('next', function() count = count + 1 return count end)
         redis.register_function('global', function() y = 1 end)
         redis.register_function('random', function() return math.random(10) <= 10 end)",
    );
    assert_eq!(server.run("FCALL next 0"), ":1\r\n");
    assert_eq!(server.run("FCALL next 0"), ":2\r\n");
    assert_eq!(server.run("FCALL random 0"), ":1\r\n");
    assert_eq!(
        server.run("FCALL global 0"),
        "-ERR user_function:4: Attempt to modify a readonly table script: global, on @user_function:4.\r\n"
    );
    assert!(server.run("INFO memory").contains("number_of_libraries:1\r\n"));
}
