//! MIGRATE as far as it needs no other server; the rest is in `tests/migration.rs`.

use crate::support::Harness;

/// Checks the reply to a request, of which `''` is an empty word.
#[track_caller]
fn expect(server: &mut Harness, request: &str, reply: &str) {
    let words = request.split(' ');
    let words: Vec<&[u8]> = words.map(|word| if word == "''" { b"" } else { word.as_bytes() }).collect();
    assert_eq!(server.run_args(&words), reply, "{request}");
}

#[test]
fn options_are_read_before_anything_else() {
    const NOT_EMPTY: &str = "-ERR When using MIGRATE KEYS option, the key argument must be set to the empty string\r\n";
    const SYNTAX: &str = "-ERR syntax error\r\n";
    const NUMBER: &str = "-ERR value is not an integer or out of range\r\n";
    let mut server = Harness::new();
    server.run("set a 1");
    for (request, reply) in [
        ("migrate h 1 a 0", "-ERR wrong number of arguments for 'migrate' command\r\n"),
        ("migrate h 1 a x 1", NUMBER),
        ("migrate h 1 a 0 x", NUMBER),
        ("migrate h 1 none x y", NUMBER),
        ("migrate h 1 none x y foo", SYNTAX),
        ("migrate h 1 a 0 1 foo", SYNTAX),
        ("migrate h 1 a 0 1 auth", SYNTAX),
        ("migrate h 1 a 0 1 auth2 x", SYNTAX),
        ("migrate h 1 a 0 1 copy x", SYNTAX),
        ("migrate h 1 a 0 1 keys", NOT_EMPTY),
        ("migrate h 1 a 0 1 copy keys b", NOT_EMPTY),
        ("migrate h 1 none 0 1", "+NOKEY\r\n"),
        ("migrate h 1 none 0 1 COPY Replace auth x", "+NOKEY\r\n"),
        ("migrate h 1 none 0 1 auth2 x y", "+NOKEY\r\n"),
        ("migrate h 1 '' 0 1", "+NOKEY\r\n"),
        ("migrate h 1 '' 0 1 keys", "+NOKEY\r\n"),
        ("migrate h 1 '' 0 1 keys b copy", "+NOKEY\r\n"),
    ] {
        expect(&mut server, request, reply);
    }
    assert_eq!(server.run("get a"), "$1\r\n1\r\n");
}

#[test]
fn nobody_is_there() {
    const NOBODY: &str = "-IOERR error or timeout writing to target instance\r\n";
    const NOWHERE: &str = "-IOERR error or timeout connecting to the client\r\n";
    let mut server = Harness::new();
    server.run("set a 1");
    // What is no number is port 0, as in Redis.
    expect(&mut server, "migrate 127.0.0.1 abc a 0 100", NOBODY);
    expect(&mut server, "migrate 127.0.0.1 65536 a 0 100", NOBODY);
    expect(&mut server, "migrate '' 1 a 0 100", NOWHERE);
    server.expect("exists a", ":1\r\n");
}
