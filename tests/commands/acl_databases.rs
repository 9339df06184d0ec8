//! ACL rules about databases. Replies are those of Valkey 9.1.

use oneloop::engine::session::Token;

use crate::support::Harness;

const DENIED: &str = "-NOPERM No permissions to access database\r\n";
const OK: &str = "+OK\r\n";

fn ask(server: &mut Harness, client: Token, text: &str) -> String {
    let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
    String::from_utf8_lossy(&server.run_as(client, &words)).into_owned()
}

#[track_caller]
fn check(server: &mut Harness, client: Token, requests: &[(&str, &str)]) {
    for (request, reply) in requests {
        assert_eq!(ask(server, client, request), *reply, "{request}");
    }
}

/// A client that is logged in as a user with these rules.
fn log_in(server: &mut Harness, rules: &str) -> Token {
    server.expect(&format!("acl setuser u reset on nopass {rules}"), OK);
    let client = server.connect();
    check(server, client, &[("auth u x", OK)]);
    client
}

/// What ACL LIST shows of the user's rules.
fn shown(server: &mut Harness) -> String {
    let list = server.run("acl list");
    let line = list.lines().find(|line| line.starts_with("user u ")).expect("it is there");
    line.replace("user u on sanitize-payload ", "")
}

#[test]
fn rules_are_shown_as_they_are_given() {
    let mut server = Harness::new();
    for (rules, line) in [
        ("db=99", "resetchannels db=99 -@all"),
        ("db=2147483647", "resetchannels db=2147483647 -@all"),
        ("db=0,0,1", "resetchannels db=0,1 -@all"),
        ("db=01", "resetchannels db=1 -@all"),
        ("db=+1", "resetchannels db=1 -@all"),
        ("DB=3", "resetchannels db=3 -@all"),
        ("db=3,1,2", "resetchannels db=1,2,3 -@all"),
        ("db=5 db=4", "resetchannels db=4 -@all"),
        ("ALLDBS", "resetchannels -@all"),
        ("resetdbs", "resetchannels resetdbs -@all"),
        ("alldbs db=1", "resetchannels db=1 -@all"),
        ("db=1 alldbs", "resetchannels -@all"),
        ("db=1 resetdbs", "resetchannels resetdbs -@all"),
        ("resetdbs db=7", "resetchannels db=7 -@all"),
        ("db=1 reset on", "resetchannels -@all"),
        ("(db=1)", "resetchannels -@all (resetchannels db=1 -@all)"),
        ("db=1 (alldbs +get)", "resetchannels db=1 -@all (resetchannels -@all +get)"),
        (
            "(~x +get db=1) (resetdbs ~y)",
            "resetchannels -@all (~x resetchannels db=1 -@all +get) (~y resetchannels resetdbs -@all)",
        ),
    ] {
        server.expect(&format!("acl setuser u reset on {rules}"), OK);
        assert_eq!(shown(&mut server), line, "{rules}");
        // What is shown makes the same user.
        server.expect(&format!("acl setuser u reset on {line}"), OK);
        assert_eq!(shown(&mut server), line, "{rules}");
    }
    server.run("acl setuser u reset on db=5");
    const RANGE: &str = "The provided database ID is out of range";
    for (rule, error) in [
        ("db=", "Syntax error"),
        ("db", "Syntax error"),
        ("db=x", "Syntax error"),
        ("db=0,", "Syntax error"),
        ("db=,1", "Syntax error"),
        ("db=0,x", "Syntax error"),
        ("db=1,2,,3", "Syntax error"),
        ("db=1;2", "Syntax error"),
        ("db=-1", RANGE),
        ("db=2147483648", RANGE),
        ("db=99999999999999999999", RANGE),
    ] {
        let reply = format!("-ERR Error in ACL SETUSER modifier '{rule}': {error}\r\n");
        server.expect(&format!("acl setuser u {rule}"), &reply);
        assert_eq!(shown(&mut server), "resetchannels db=5 -@all");
    }
}

#[test]
fn getuser_shows_databases_where_there_are_rules_about_them() {
    let mut server = Harness::new();
    server.run("acl setuser u (+get)");
    assert!(!server.run("acl getuser u").contains("databases"));
    server.run("acl setuser u db=1,3");
    let text = server.run("acl getuser u");
    let end = "$8\r\nchannels\r\n$0\r\n\r\n$9\r\ndatabases\r\n$6\r\ndb=1,3\r\n$9\r\nselectors\r\n*1\r\n*8\r\n\
               $8\r\ncommands\r\n$10\r\n-@all +get\r\n$4\r\nkeys\r\n$0\r\n\r\n$8\r\nchannels\r\n$0\r\n\r\n\
               $9\r\ndatabases\r\n$6\r\nalldbs\r\n";
    assert!(text.starts_with("*14\r\n") && text.ends_with(end), "{text}");
    server.run("acl setuser u resetdbs");
    assert!(server.run("acl getuser u").contains("$9\r\ndatabases\r\n$0\r\n\r\n$9\r\nselectors"));
}

/// What ACL DRYRUN says in database 0 of a user that may use database 1: the part after the database, or nothing.
const IN_DATABASE_0: &[(&str, &str)] = &[
    ("get x", "get"),
    ("GET x", "GET"),
    ("ping", ""),
    ("select 0", "0"),
    ("select 1", ""),
    ("select x", ""),
    ("select 99", ""),
    ("select 01", ""),
    ("select -1", ""),
    ("swapdb 0 1", "0"),
    ("swapdb 1 0", "0"),
    ("swapdb 1 1", ""),
    ("swapdb 1 2", "2"),
    ("swapdb 1 x", ""),
    ("swapdb 0 x", ""),
    ("swapdb 0 99", ""),
    ("swapdb 99 0", ""),
    ("move a 0", "0"),
    ("move a 1", "move"),
    ("move a x", "move"),
    ("move a 99", "move"),
    ("copy a b", "copy"),
    ("copy a b db 0", "0"),
    ("copy a b db 1", "copy"),
    ("copy a b db x", "copy"),
    ("copy a b replace db 2", "2"),
    ("copy a b db", "copy"),
    ("copy a b db 1 db 2", "2"),
    ("copy a b db 2 db 1", "2"),
    ("flushall", "flushall"),
    ("flushdb", "flushdb"),
    ("dbsize", "dbsize"),
    ("keys *", "keys"),
    ("scan 0", "scan"),
    ("randomkey", "randomkey"),
    ("info", ""),
    ("acl whoami", ""),
    ("publish a b", ""),
    ("subscribe a", ""),
    ("spublish a b", ""),
    ("eval x 0", "eval"),
    ("eval x 1 k", "eval"),
    ("fcall f 0", "fcall"),
    ("multi", ""),
    ("exec", ""),
    ("watch a", "watch"),
    ("unwatch", ""),
    ("object encoding a", "object"),
    ("object help", "object"),
    ("wait 0 0", ""),
    ("debug sleep 0", ""),
    ("migrate h 1 k 1 5", "migrate"),
    ("sort a", "sort"),
    ("client list", ""),
    ("config get x", ""),
    ("script load x", ""),
    ("script flush", ""),
    ("function list", ""),
    ("function flush", "function"),
    ("memory usage a", "memory"),
    ("memory stats", ""),
    ("bgsave", ""),
    ("shutdown", ""),
    ("cluster info", ""),
    ("cluster countkeysinslot 1", ""),
    ("cluster flushslot 1", "cluster"),
    ("cluster migrateslots slotsrange 1 1 node x", "cluster"),
    ("cluster cancelslotmigrations", "cluster"),
    ("clusterscan 0", "clusterscan"),
    ("blpop a 0", "blpop"),
    ("xread streams a 0", "xread"),
    ("monitor", ""),
    ("psync ? -1", ""),
    ("restore a 0 b", "restore"),
    ("lolwut", "lolwut"),
    ("pubsub channels", ""),
    // Those of this server alone.
    ("prefix count a", "prefix"),
    ("prefix status", "prefix"),
    ("backup to x", ""),
];

/// The same in database 1, of the requests that are refused there.
const IN_DATABASE_1: &[(&str, &str)] = &[
    ("move a 0", "0"),
    ("copy a b db 0", "0"),
    ("copy a b db 0 db x", ""),
    ("copy a b db x db 0", ""),
    ("copy a b db 0 foo", ""),
    ("copy a b foo db 0", ""),
    ("copy a b db 99", ""),
    ("move a 99", ""),
    ("flushall", "flushall"),
    ("cluster flushslot 1", "cluster"),
];

#[test]
fn requests_need_the_databases_that_they_use() {
    let mut server = Harness::new();
    server.run("acl setuser u on nopass ~* &* +@all db=1");
    for (database, table) in [(0, IN_DATABASE_0), (1, IN_DATABASE_1)] {
        server.run(&format!("select {database}"));
        for (request, object) in table {
            let reply = match object.is_empty() {
                true => OK.to_string(),
                false => {
                    let text = format!("User u has no permissions to access database {object}");
                    format!("${}\r\n{text}\r\n", text.len())
                }
            };
            assert_eq!(server.run(&format!("acl dryrun u {request}")), reply, "{request} in {database}");
        }
    }
}

#[test]
fn requests_are_refused_wherever_they_run() {
    let mut server = Harness::new();
    let client = log_in(&mut server, "~* &* +@all db=1");
    let in_script = "-ERR ACL failure in script: No permissions to access database\r\n";
    check(
        &mut server,
        client,
        &[
            ("ping", "+PONG\r\n"),
            ("get x", DENIED),
            ("select 0", DENIED),
            ("select 2", DENIED),
            ("select 99", "-ERR DB index is out of range\r\n"),
            ("select x", "-ERR value is not an integer or out of range\r\n"),
            ("select 1", OK),
            ("set x 2", OK),
            ("get x", "$1\r\n2\r\n"),
            ("select 0", DENIED),
            ("swapdb 1 0", DENIED),
            ("swapdb 0 x", "-ERR invalid second DB index\r\n"),
            ("copy x y db 0", DENIED),
            ("move x 0", DENIED),
            ("flushall", DENIED),
            ("multi", OK),
            ("select 0", DENIED),
            ("exec", "-EXECABORT Transaction discarded because of previous errors.\r\n"),
            ("eval return(redis.pcall('select','0')) 0", in_script),
            ("eval return(redis.pcall('copy','x','y','db','0')) 0", in_script),
            ("eval return(redis.acl_check_cmd('select','0')) 0", "$-1\r\n"),
            ("eval return(redis.acl_check_cmd('select','1')) 0", ":1\r\n"),
            ("flushdb", OK),
            ("multi", OK),
            ("set x 1", "+QUEUED\r\n"),
            ("copy x z db 1", "+QUEUED\r\n"),
        ],
    );
    server.expect("acl setuser u db=0", OK);
    let changed = "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. \
                   This command is no longer allowed for the following reason: no permission\r\n";
    check(&mut server, client, &[("exec", &format!("*2\r\n{changed}{changed}")), ("get x", DENIED), ("select 0", OK)]);
    server.expect("acl setuser u resetdbs", OK);
    check(&mut server, client, &[("get x", DENIED), ("select 0", DENIED), ("ping", "+PONG\r\n")]);
    server.expect("acl setuser u alldbs", OK);
    check(&mut server, client, &[("get x", "$-1\r\n"), ("flushall", OK)]);
    let stats = server.run("info stats");
    assert!(stats.contains("acl_access_denied_db:16\r\n"), "{stats}");
}

#[test]
fn what_waits_in_a_transaction_may_select_the_database_of_what_follows() {
    const QUEUED: &str = "+QUEUED\r\n";
    let mut server = Harness::new();
    let client = log_in(&mut server, "+@all ~* db=1,2");
    check(
        &mut server,
        client,
        &[
            ("multi", OK),
            ("select 1", QUEUED),
            ("set x 1", QUEUED),
            ("select 2", QUEUED),
            ("select 99", QUEUED),
            ("get x", QUEUED),
            ("exec", "*5\r\n+OK\r\n+OK\r\n+OK\r\n-ERR DB index is out of range\r\n$-1\r\n"),
            ("get x", "$-1\r\n"),
            ("multi", OK),
            ("select 1", QUEUED),
            ("discard", OK),
            ("multi", OK),
            ("select 0", DENIED),
            ("discard", OK),
        ],
    );
    // Nothing of it is left for the next transaction.
    let client = log_in(&mut server, "+@all ~* db=1");
    check(
        &mut server,
        client,
        &[("multi", OK), ("select 1", QUEUED), ("discard", OK), ("multi", OK), ("get x", DENIED), ("discard", OK)],
    );
}

#[test]
fn one_selector_has_to_allow_all_of_a_request() {
    const NO_KEY: &str = "-NOPERM No permissions to access a key\r\n";
    let mut server = Harness::new();
    let client = log_in(&mut server, "+select (db=1 ~a* +get) (db=2 ~b* +get) (db=1 ~c* +set)");
    let no_get = "-NOPERM User u has no permissions to run the 'get' command\r\n";
    check(
        &mut server,
        client,
        &[
            ("select 1", OK),
            ("get a", "$-1\r\n"),
            ("get b", NO_KEY),
            ("set c 1", OK),
            ("set a 1", NO_KEY),
            ("select 2", OK),
            ("get b", "$-1\r\n"),
            ("get a", NO_KEY),
            ("select 3", OK),
            ("get a", no_get),
        ],
    );
    // The database comes first.
    let client = log_in(&mut server, "~a* +get +set db=1");
    let no_select = "-NOPERM User u has no permissions to run the 'select' command\r\n";
    check(&mut server, client, &[("select 1", no_select), ("get b", DENIED), ("del a", DENIED)]);
    let log = server.run("acl log 2");
    for object in ["del", "get"] {
        let entry = format!(
            "$6\r\nreason\r\n$8\r\ndatabase\r\n$7\r\ncontext\r\n$8\r\ntoplevel\r\n$6\r\nobject\r\n$3\r\n{object}\r\n"
        );
        assert!(log.contains(&entry), "{log}");
    }
}
