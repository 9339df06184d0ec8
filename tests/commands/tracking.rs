//! CLIENT TRACKING and its kin.

use oneloop::engine::removal;
use oneloop::engine::session::Token;
use oneloop::resp::Protocol;

use crate::support::Harness;

fn say(server: &mut Harness, client: Token, words: &str) -> String {
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    String::from_utf8_lossy(&server.run_as(client, &args)).into_owned()
}

/// What a client has been told, as the loop would send it before it sleeps.
fn told(server: &mut Harness, client: Token) -> String {
    let state = &mut server.state;
    state.tracking.broadcast(&mut state.clients);
    String::from_utf8_lossy(&server.pushed(client)).into_owned()
}

fn invalid(keys: &[&str]) -> String {
    let parts = keys.iter().map(|key| format!("${}\r\n{key}\r\n", key.len()));
    let parts: String = parts.collect();
    format!(">2\r\n$10\r\ninvalidate\r\n*{}\r\n{parts}", keys.len())
}

/// A server, a client of RESP3 that tracks in that way, and another that changes keys.
fn tracking_by(options: &str) -> (Harness, Token) {
    let mut server = Harness::new();
    server.set_protocol(Protocol::Resp3);
    let other = server.connect();
    say(&mut server, other, "mset a 1 b 1 c 1");
    server.expect(format!("client tracking on {options}").trim(), "+OK\r\n");
    (server, other)
}

#[test]
fn a_client_is_told_once_of_what_it_has_read() {
    let (mut server, other) = tracking_by("");
    let client = server.client;
    server.run("mget a b");
    server.run("get nosuch");
    say(&mut server, other, "set a 2");
    assert_eq!(told(&mut server, client), invalid(&["a"]));
    say(&mut server, other, "set a 3");
    say(&mut server, other, "set c 3");
    assert_eq!(told(&mut server, client), "");
    say(&mut server, other, "mset a 1 b 1");
    assert_eq!(told(&mut server, client), invalid(&["b"]));
    say(&mut server, other, "set nosuch 1");
    assert_eq!(told(&mut server, client), invalid(&["nosuch"]));
    server.run("get a");
    server.run("client tracking off");
    say(&mut server, other, "set a 2");
    assert_eq!(told(&mut server, client), "");
}

#[test]
fn it_is_told_of_its_own_changes_after_its_reply() {
    let (mut server, _) = tracking_by("");
    server.run("get a");
    server.expect("set a 2", &format!("+OK\r\n{}", invalid(&["a"])));
    server.run("multi");
    server.run("get a");
    server.run("set a 3");
    server.run("ping");
    server.expect("exec", &format!("*3\r\n$1\r\n2\r\n+OK\r\n+PONG\r\n{}", invalid(&["a"])));
    let (mut server, other) = tracking_by("noloop");
    server.run("get a");
    server.expect("set a 2", "+OK\r\n");
    server.run("get a");
    say(&mut server, other, "set a 2");
    let client = server.client;
    assert_eq!(told(&mut server, client), invalid(&["a"]));
}

#[test]
fn a_script_reads_and_writes_in_its_callers_name() {
    let (mut server, other) = tracking_by("noloop");
    let client = server.client;
    let script: [&[u8]; 4] = [b"eval", b"return redis.call('get', KEYS[1])", b"1", b"a"];
    server.run_args(&script);
    say(&mut server, other, "set a 2");
    assert_eq!(told(&mut server, client), invalid(&["a"]));
    server.run("get a");
    let script: [&[u8]; 4] = [b"eval", b"return redis.call('incr', KEYS[1])", b"1", b"a"];
    assert_eq!(server.run_args(&script), ":3\r\n");
    assert_eq!(told(&mut server, client), "");
}

#[test]
fn keys_that_expire_or_are_flushed_are_told() {
    let (mut server, other) = tracking_by("");
    let client = server.client;
    say(&mut server, other, "set a 1 px 10");
    say(&mut server, other, "set b 1 px 10");
    server.run("mget a b c");
    server.advance_ms(11);
    say(&mut server, other, "get a");
    assert_eq!(told(&mut server, client), invalid(&["a"]));
    removal::expire_slice(&mut server.state, u64::MAX);
    assert_eq!(told(&mut server, client), invalid(&["b"]));
    let flushed = ">2\r\n$10\r\ninvalidate\r\n_\r\n";
    say(&mut server, other, "flushall");
    assert_eq!(told(&mut server, client), flushed);
    assert_eq!(server.state.tracking.counts(), (0, 0, 0));
    // Even where there is nothing to be flushed.
    say(&mut server, other, "flushdb");
    assert_eq!(told(&mut server, client), flushed);
    server.expect("flushall", &format!("+OK\r\n{flushed}"));
}

#[test]
fn opt_in_and_opt_out() {
    let (mut server, other) = tracking_by("optin");
    let client = server.client;
    server.run("get a");
    server.expect("client caching yes", "+OK\r\n");
    server.run("client id");
    server.run("get b");
    server.run("get c");
    say(&mut server, other, "mset a 1 b 1 c 1");
    assert_eq!(told(&mut server, client), invalid(&["b"]));
    server.run("client caching yes");
    server.run("multi");
    server.run("get a");
    server.run("get b");
    server.run("exec");
    server.run("get c");
    say(&mut server, other, "mset a 1 b 1 c 1");
    assert_eq!(told(&mut server, client), invalid(&["a"]) + &invalid(&["b"]));
    let (mut server, other) = tracking_by("optout");
    let client = server.client;
    server.run("get a");
    server.run("client caching no");
    server.run("get b");
    server.run("get c");
    say(&mut server, other, "mset a 1 b 1 c 1");
    assert_eq!(told(&mut server, client), invalid(&["a"]) + &invalid(&["c"]));
}

#[test]
fn those_who_broadcast_are_told_by_prefix() {
    let (mut server, other) = tracking_by("bcast prefix user: prefix item:");
    let client = server.client;
    say(&mut server, other, "mset user:2 x item:1 x user:1 x use x");
    assert_eq!(told(&mut server, client), invalid(&["item:1"]) + &invalid(&["user:1", "user:2"]));
    assert_eq!(told(&mut server, client), "");
    server.expect("client tracking on bcast prefix x", "+OK\r\n");
    say(&mut server, other, "mset xyz 1 user:9 1");
    assert_eq!(told(&mut server, client), invalid(&["user:9"]) + &invalid(&["xyz"]));
    assert_eq!(server.state.tracking.counts().2, 3);
    server.run("client tracking off");
    assert_eq!(server.state.tracking.counts().2, 0);
    let (mut server, other) = tracking_by("bcast noloop");
    let client = server.client;
    server.expect("set a 2", "+OK\r\n");
    assert_eq!(told(&mut server, client), "");
    server.run("set a 2");
    server.run("set c 2");
    say(&mut server, other, "mset a 1 b 1");
    assert_eq!(told(&mut server, client), invalid(&["a", "b"]));
    // What expires it has not done itself.
    server.run("set a 1 px 10");
    told(&mut server, client);
    server.advance_ms(11);
    server.run("get a");
    assert_eq!(told(&mut server, client), invalid(&["a"]));
}

#[test]
fn another_client_can_be_told_in_its_place() {
    let mut server = Harness::new();
    let (listener, other) = (server.connect(), server.connect());
    server.expect("client tracking on redirect 2", "+OK\r\n");
    server.expect("client getredir", ":2\r\n");
    server.run("get a");
    say(&mut server, other, "set a 1");
    assert_eq!(told(&mut server, listener), "", "it does not listen yet");
    say(&mut server, listener, "subscribe __redis__:invalidate");
    server.run("get a");
    say(&mut server, other, "set a 2");
    let channel = "*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n";
    assert_eq!(told(&mut server, listener), format!("{channel}*1\r\n$1\r\na\r\n"));
    say(&mut server, other, "flushall");
    assert_eq!(told(&mut server, listener), format!("{channel}$-1\r\n"));
    // When that one is gone, the client hears of it once it can.
    server.run("get a");
    server.state.remove_client(listener);
    say(&mut server, other, "set a 3");
    assert!(server.run("client trackinginfo").contains("broken_redirect"));
    assert!(server.run("client info").contains(" flags=tR "));
    server.set_protocol(Protocol::Resp3);
    server.run("get a");
    say(&mut server, other, "set a 4");
    let client = server.client;
    assert_eq!(told(&mut server, client), ">2\r\n$21\r\ntracking-redir-broken\r\n:2\r\n");
}

#[test]
fn the_table_of_keys_is_bounded() {
    let (mut server, _) = tracking_by("");
    server.run("config set tracking-table-max-keys 10");
    let replies: String = (0..30).map(|number| server.run(&format!("get key:{number}"))).collect();
    server.run("ping");
    assert_eq!(server.state.tracking.counts(), (10, 10, 0));
    assert!(replies.matches("invalidate").count() >= 19);
    let info = server.run("info");
    assert!(info.contains("tracking_clients:1\r\n") && info.contains("tracking_total_keys:10\r\n"));
    assert!(info.contains("tracking_total_items:10\r\n"));
    server.run("config set tracking-table-max-keys 0");
    (0..30).for_each(|number| drop(server.run(&format!("get key:{number}"))));
    assert_eq!(server.state.tracking.counts().0, 30);
}

#[test]
fn what_is_forgotten_at_once_is_freed_bit_by_bit() {
    let (mut server, other) = tracking_by("");
    (0..100).for_each(|number| drop(server.run(&format!("get key:{number}"))));
    say(&mut server, other, "flushall");
    let tracking = &mut server.state.tracking;
    assert_eq!(tracking.counts(), (0, 0, 0));
    let steps = (0..).take_while(|_| tracking.reclaim_step(10)).count();
    assert_eq!(steps, 9);
    assert!(!tracking.has_garbage());
}

#[test]
fn commands_that_write_are_not_tracked() {
    let (mut server, other) = tracking_by("");
    let client = server.client;
    server.run("getset a 5");
    server.run("incr b");
    say(&mut server, other, "mset a 1 b 1");
    assert_eq!(told(&mut server, client), "");
    server.run("exists a b");
    server.run("sinter s t");
    say(&mut server, other, "sadd t 1");
    say(&mut server, other, "del b");
    assert_eq!(told(&mut server, client), invalid(&["t"]) + &invalid(&["b"]));
}

#[test]
fn while_nobody_tracks_no_change_is_logged() {
    let (mut server, other) = tracking_by("bcast");
    assert!(server.state.keyspace.changes.is_empty());
    server.run("reset");
    assert!(server.state.tracking.is_empty());
    server.state.keyspace.modified(0, b"a");
    assert!(server.state.keyspace.changes.is_empty());
    say(&mut server, other, "client tracking on");
    server.state.remove_client(other);
    assert!(server.state.tracking.is_empty());
}

/// Nobody looks at what changes while nobody tracks, so what was read before must be forgotten.
#[test]
fn who_tracks_anew_is_not_told_of_what_it_read_before() {
    let (mut server, other) = tracking_by("");
    let client = server.client;
    server.run("mget a b");
    server.run("client tracking off");
    assert!(server.run("info stats").contains("tracking_total_items:0\r\n"));
    server.run("client tracking on");
    say(&mut server, other, "set a 2");
    assert_eq!(told(&mut server, client), "");
    server.run("get a");
    say(&mut server, other, "set a 3");
    assert_eq!(told(&mut server, client), invalid(&["a"]));
}

#[test]
fn options_that_make_no_sense() {
    let mut server = Harness::new();
    let switch = "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a different mode.";
    let opt_switch = "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and then re-enabling it with a different mode.";
    for (before, words, error) in [
        ("off", "on foo", "ERR syntax error"),
        ("off", "maybe", "ERR syntax error"),
        ("off", "on redirect", "ERR syntax error"),
        ("off", "on prefix", "ERR syntax error"),
        ("off", "on redirect x", "ERR value is not an integer or out of range"),
        ("off", "on redirect 99", "ERR The client ID you want redirect to does not exist"),
        ("off", "on redirect 0", "ERR The client ID you want redirect to does not exist"),
        ("off", "on redirect 1 redirect 1", "ERR A client can only redirect to a single other client"),
        ("off", "on prefix a", "ERR PREFIX option requires BCAST mode to be enabled"),
        ("off", "on optin optout", "ERR You can't specify both OPTIN mode and OPTOUT mode"),
        ("off", "on bcast optin", "ERR OPTIN and OPTOUT are not compatible with BCAST"),
        ("on", "on bcast", switch),
        ("on bcast", "on", switch),
        ("on optin", "on optout", opt_switch),
        ("on optout", "on optin", opt_switch),
        (
            "off",
            "on bcast prefix foo prefix foobar",
            "ERR Prefix 'foo' overlaps with another provided prefix 'foobar'. Prefixes for a single client must not overlap.",
        ),
        (
            "on bcast prefix foo",
            "on bcast prefix fo",
            "ERR Prefix 'fo' overlaps with an existing prefix 'foo'. Prefixes for a single client must not overlap.",
        ),
    ] {
        server.expect("client tracking off", "+OK\r\n");
        server.expect(&format!("client tracking {before}"), "+OK\r\n");
        server.expect(&format!("client tracking {words}"), &format!("-{error}\r\n"));
    }
    server.run("client tracking off");
    server.expect(
        "client caching yes",
        "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled\r\n",
    );
    server.run("client tracking on optin");
    server.expect(
        "client caching no",
        "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.\r\n",
    );
    server.expect("client caching maybe", "-ERR syntax error\r\n");
    server.run("client tracking off");
    server.run("client tracking on optout");
    server.expect(
        "client caching yes",
        "-ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.\r\n",
    );
}

#[test]
fn trackinginfo_tells_all() {
    let mut server = Harness::new();
    server.expect(
        "client trackinginfo",
        "*6\r\n$5\r\nflags\r\n*1\r\n$3\r\noff\r\n$8\r\nredirect\r\n:-1\r\n$8\r\nprefixes\r\n*0\r\n",
    );
    server.expect("client getredir", ":-1\r\n");
    server.set_protocol(Protocol::Resp3);
    server.run("client tracking on optin noloop");
    server.run("client caching yes");
    server.expect(
        "client trackinginfo",
        "%3\r\n$5\r\nflags\r\n~4\r\n$2\r\non\r\n$5\r\noptin\r\n$11\r\ncaching-yes\r\n$6\r\nnoloop\r\n\
         $8\r\nredirect\r\n:0\r\n$8\r\nprefixes\r\n*0\r\n",
    );
    server.run("client tracking off");
    server.run("client tracking on bcast prefix b prefix a");
    server.expect(
        "client trackinginfo",
        "%3\r\n$5\r\nflags\r\n~2\r\n$2\r\non\r\n$5\r\nbcast\r\n$8\r\nredirect\r\n:0\r\n\
         $8\r\nprefixes\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n",
    );
    assert!(server.run("client info").contains(" flags=tB "));
}
