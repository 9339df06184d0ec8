//! CLIENT CAPA, CLIENT IMPORT-SOURCE and `import-mode`. Replies are those of Valkey 9.1.

use crate::support::Harness;

const REDIRECT: &str = "-REDIRECT 127.0.0.1:1\r\n";

#[test]
fn a_replica_redirects_clients_that_can_follow() {
    let mut server = Harness::new();
    server.run("set a 1");
    server.expect("client capa", "-ERR wrong number of arguments for 'client|capa' command\r\n");
    server.expect("readonly", "-ERR This instance has cluster support disabled\r\n");
    server.expect("client capa unknown", "+OK\r\n");
    server.run("replicaof 127.0.0.1 1");
    server.expect("get a", "$1\r\n1\r\n");
    server.expect("client capa unknown Redirect", "+OK\r\n");
    for request in ["get a", "set a 2", "dbsize", "keys *"] {
        server.expect(request, REDIRECT);
    }
    server.expect("ping", "+PONG\r\n");
    server.expect("readonly", "+OK\r\n");
    server.expect("get a", "$1\r\n1\r\n");
    server.expect("set a 2", REDIRECT);
    server.expect("readwrite", "+OK\r\n");
    server.expect("multi", "+OK\r\n");
    server.expect("get a", REDIRECT);
    server.expect("exec", "-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert!(server.run("client info").contains(" flags=N capa=r db=0 "));
    server.run("replicaof no one");
    server.expect("set a 2", "+OK\r\n");
}

#[test]
fn clients_that_wait_are_redirected_when_the_server_becomes_a_replica() {
    let mut server = Harness::new();
    let waiter = server.connect();
    server.run_as(waiter, &[b"client", b"capa", b"redirect"]);
    server.run_as(waiter, &[b"blpop", b"q", b"0"]);
    server.run("replicaof 127.0.0.1 1");
    assert_eq!(String::from_utf8_lossy(&server.pushed(waiter)), REDIRECT);
}

/// A server in import mode with a key that has expired, and the client that has brought it.
fn importing() -> (Harness, oneloop::engine::session::Token) {
    let mut server = Harness::new();
    server.run("config set import-mode yes");
    let source = server.connect();
    assert_eq!(server.run_as(source, &[b"client", b"import-source", b"on"]), b"+OK\r\n");
    server.run("set k 1 px 30");
    server.advance_ms(100);
    (server, source)
}

#[test]
fn in_import_mode_keys_expire_for_others_than_their_source_and_stay() {
    let (mut server, source) = importing();
    server.expect("get k", "$-1\r\n");
    server.expect("exists k", ":0\r\n");
    server.expect("keys *", "*0\r\n");
    server.expect("dbsize", ":1\r\n");
    assert_eq!(server.run_as(source, &[b"get", b"k"]), b"$1\r\n1\r\n");
    assert_eq!(server.run_as(source, &[b"incr", b"k"]), b":2\r\n");
    assert_eq!(server.run_as(source, &[b"pttl", b"k"]), b":0\r\n");
    server.expect("get k", "$-1\r\n");
    // A change by another client meets no value, and begins anew.
    server.expect("incr k", ":1\r\n");
    server.expect("pttl k", ":-1\r\n");
}

#[test]
fn an_import_source_sets_expiry_times_that_have_passed() {
    let (mut server, source) = importing();
    assert_eq!(server.run_as(source, &[b"set", b"m", b"1", b"pxat", b"1"]), b"+OK\r\n");
    assert_eq!(server.run_as(source, &[b"expire", b"m", b"-1"]), b":1\r\n");
    assert_eq!(server.run_as(source, &[b"get", b"m"]), b"$1\r\n1\r\n");
    server.expect("get m", "$-1\r\n");
    server.expect("dbsize", ":2\r\n");
    server.run("config set import-mode no");
    server.expect("get m", "$-1\r\n");
    server.expect("dbsize", ":1\r\n");
}

#[test]
fn in_import_mode_nothing_is_evicted() {
    let mut server = Harness::new();
    server.run("config set import-mode yes maxmemory-policy allkeys-lru");
    for number in 0..30 {
        server.run_args(&[b"set", format!("k{number}").as_bytes(), &[b'x'; 100_000]]);
    }
    server.run("config set maxmemory 1");
    server.expect("set n 1", "-OOM command not allowed when used memory > 'maxmemory'.\r\n");
    server.expect("dbsize", ":30\r\n");
    server.run("config set import-mode no");
    server.run("set n 1");
    server.expect("dbsize", ":0\r\n");
}

#[test]
fn only_import_mode_knows_import_sources() {
    let mut server = Harness::new();
    for word in ["on", "x"] {
        server.expect(&format!("client import-source {word}"), "-ERR Server is not in import mode\r\n");
    }
    server.expect("client import-source off", "+OK\r\n");
    server.run("config set import-mode yes");
    server.expect("client import-source x", "-ERR syntax error\r\n");
    server.expect("client import-source on", "+OK\r\n");
    assert!(server.run("client info").contains(" flags=I "));
    server.run("reset");
    assert!(server.run("client info").contains(" flags=N "));
}

/// Two more clients: one with a name, a library and database 3, and one without.
fn with_company() -> Harness {
    let mut server = Harness::new();
    let other = server.connect();
    for request in ["client setname dn", "client setinfo lib-name L", "client setinfo lib-ver 1", "select 3"] {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        assert_eq!(server.run_as(other, &words), b"+OK\r\n", "{request}");
    }
    server.connect();
    server
}

#[test]
fn clients_are_listed_by_what_they_are() {
    let mut server = with_company();
    for (filter, count) in [
        ("name dn", 1),
        ("not-name dn", 2),
        ("idle 1000", 0),
        ("flags N", 3),
        ("flags U", 0),
        ("not-flags NU", 3),
        ("lib-name L", 1),
        ("not-lib-name L", 2),
        ("lib-ver 1", 1),
        ("db 3", 1),
        ("not-db 3", 2),
        ("capa r", 0),
        ("not-capa r", 3),
        ("ip 127.0.0.1", 3),
        ("not-ip 127.0.0.1", 0),
        ("id 1 2 name dn", 1),
        ("not-id 1 2", 1),
        ("not-type normal", 0),
        ("user default skipme yes", 2),
        ("not-addr 127.0.0.1:50001", 2),
        ("name dn name other", 0),
        ("maxage 5", 0),
    ] {
        let lines = server.run(&format!("client list {filter}")).matches("id=").count();
        assert_eq!(lines, count, "{filter}");
    }
}

#[test]
fn mistakes_in_filters_have_the_errors_of_valkey() {
    let mut server = Harness::new();
    for (filter, error) in [
        ("idle 0", "idle should be greater than 0"),
        ("idle x", "idle is not an integer or out of range"),
        ("maxage -1", "maxage should be greater than 0"),
        ("flags Q", "Unknown flags found in the provided filter: Q"),
        ("capa x", "Unknown capa found in the provided filter: x"),
        ("db 99", "DB number should be between 0 and 15"),
        ("db x", "DB is not an integer or out of range"),
        ("not-user nobody", "No such user 'nobody'"),
        ("not-type x", "Unknown client type 'x'"),
        ("not-id 0", "client-id should be greater than 0"),
        ("not-id 1 x", "syntax error"),
        ("not-idle 1", "syntax error"),
        ("name", "syntax error"),
        ("foo 1", "syntax error"),
    ] {
        server.expect(&format!("client list {filter}"), &format!("-ERR {error}\r\n"));
        if filter != "name" {
            server.expect(&format!("client kill {filter}"), &format!("-ERR {error}\r\n"));
        }
    }
}

#[test]
fn clients_are_killed_by_the_same_filters() {
    let mut server = with_company();
    server.expect("client kill name other db 3", ":0\r\n");
    server.expect("client kill id 900 901", ":0\r\n");
    server.expect("client kill lib-name L db 3", ":1\r\n");
    server.expect("client kill not-name dn skipme yes", ":1\r\n");
}
