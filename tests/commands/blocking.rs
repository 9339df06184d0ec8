//! Clients that wait for keys, whatever the command: order, chains, deadlines, and all that may happen to them
//! meanwhile.

use oneloop::engine::removal;
use oneloop::engine::session::{Blocked, Token};
use oneloop::engine::wake;
use oneloop::resp::Protocol;

use crate::support::{Harness, waiting_family};

const NULL_ARRAY: &str = "*-1\r\n";

fn server() -> Harness {
    let mut server = Harness::new();
    waiting_family::add_to(&mut server.state);
    server
}

fn run(server: &mut Harness, client: Token, words: &str) -> String {
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    String::from_utf8(server.run_as(client, &args)).expect("plain text")
}

/// A new client, which has to wait for what it asks.
#[track_caller]
fn waiter(server: &mut Harness, words: &str) -> Token {
    let client = server.connect();
    wait(server, client, words);
    client
}

#[track_caller]
fn wait(server: &mut Harness, client: Token, words: &str) {
    assert_eq!(run(server, client, words), "", "{words}");
    assert!(is_waiting(server, client), "{words}");
}

fn is_waiting(server: &Harness, client: Token) -> bool {
    let session = server.state.clients.get(client).expect("a client");
    assert_eq!(session.waiting.is_some(), session.blocked.is_some());
    session.blocked == Some(Blocked::Keys)
}

/// What a client has got since it was asked last.
fn got(server: &mut Harness, client: Token) -> String {
    String::from_utf8(server.pushed(client)).expect("plain text")
}

fn popped(key: &str, element: &str) -> String {
    format!("*2\r\n${}\r\n{key}\r\n$1\r\n{element}\r\n", key.len())
}

fn info(server: &mut Harness, field: &str) -> String {
    let text = server.run("INFO everything");
    let start = format!("\r\n{field}:");
    let at = text.find(&start).map(|at| at + start.len());
    let value = at.and_then(|at| text[at..].split("\r\n").next());
    value.unwrap_or("none").to_string()
}

/// Moves the clock on and does what is due.
fn pass_ms(server: &mut Harness, duration_ms: u64) {
    server.advance_ms(duration_ms);
    oneloop::engine::wake::run_timeouts(&mut server.state);
}

fn nobody_waits(server: &mut Harness) {
    assert_eq!(info(server, "blocked_clients"), "0");
    assert_eq!(info(server, "total_blocking_keys"), "0");
    assert_eq!(info(server, "clients_in_timeout_table"), "0");
    let changes = &server.state.keyspace.changes;
    assert!(changes.observed_keys().is_empty());
}

#[test]
fn what_is_there_is_had_at_once() {
    let mut server = server();
    server.expect("PUSH key ab", ":2\r\n");
    server.expect("BPOP none key 0", &popped("key", "a"));
    server.expect("BPOP key 0", &popped("key", "b"));
    server.expect("SET string x", "+OK\r\n");
    server.expect("BPOP string key 0", "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
    server.expect("BPOP key -1", "-ERR timeout is negative\r\n");
    nobody_waits(&mut server);
}

#[test]
fn first_come_first_served() {
    let mut server = server();
    let clients: Vec<Token> = (0..5).map(|_| waiter(&mut server, "BPOP key 0")).collect();
    server.expect("PUSH key a", ":1\r\n");
    assert_eq!(got(&mut server, clients[0]), popped("key", "a"));
    server.expect("PUSH key bcd", ":3\r\n");
    for (client, element) in clients[1..4].iter().zip(["b", "c", "d"]) {
        assert_eq!(got(&mut server, *client), popped("key", element));
        assert!(!is_waiting(&server, *client));
    }
    assert_eq!(got(&mut server, clients[4]), "");
    // Whoever was served and asks again stands at the end.
    wait(&mut server, clients[0], "BPOP key 0");
    server.expect("PUSH key ef", ":2\r\n");
    assert_eq!(got(&mut server, clients[4]), popped("key", "e"));
    assert_eq!(got(&mut server, clients[0]), popped("key", "f"));
    server.expect("EXISTS key", ":0\r\n");
    nobody_waits(&mut server);
}

#[test]
fn whichever_key_comes_first() {
    let mut server = server();
    let client = waiter(&mut server, "BPOP one two three two 0");
    assert_eq!(info(&mut server, "total_blocking_keys"), "3");
    server.expect("PUSH two x", ":1\r\n");
    assert_eq!(got(&mut server, client), popped("two", "x"));
    server.expect("PUSH one y", ":1\r\n");
    server.expect("PUSH three z", ":1\r\n");
    assert_eq!(got(&mut server, client), "");
    nobody_waits(&mut server);
    // If one command fills several keys, the order of the request decides.
    server.run("FLUSHALL");
    wait(&mut server, client, "BPOP one two three 0");
    server.run("UNIT push,three,z push,one,y");
    assert_eq!(got(&mut server, client), popped("one", "y"));
    server.expect("EXISTS one three", ":1\r\n");
}

#[test]
fn of_several_keys_that_are_ready_the_first_one_is_served_first() {
    let mut server = server();
    let on_two = waiter(&mut server, "BMOVE two three 0");
    let on_one = waiter(&mut server, "BMOVE one three 0");
    server.run("UNIT push,one,a push,two,b");
    assert_eq!(got(&mut server, on_one), "$1\r\na\r\n");
    assert_eq!(got(&mut server, on_two), "$1\r\nb\r\n");
    server.expect("BPOP three 0", &popped("three", "a"));
}

#[test]
fn databases_are_told_apart() {
    let mut server = server();
    let client = server.connect();
    run(&mut server, client, "SELECT 3");
    wait(&mut server, client, "BPOP key 0");
    server.expect("PUSH key a", ":1\r\n");
    assert!(is_waiting(&server, client));
    server.run("SELECT 3");
    server.expect("PUSH key b", ":1\r\n");
    assert_eq!(got(&mut server, client), popped("key", "b"));
}

#[test]
fn a_key_of_another_type_is_waited_past() {
    let mut server = server();
    let pops = waiter(&mut server, "BPOP key 0");
    let zpops = waiter(&mut server, "BZPOP key 0");
    server.expect("SET key x", "+OK\r\n");
    server.expect("DEL key", ":1\r\n");
    assert!(is_waiting(&server, pops) && is_waiting(&server, zpops));
    server.expect("ZPUSH key a", ":1\r\n");
    assert_eq!(got(&mut server, zpops), popped("key", "a"));
    server.expect("ZPUSH key b", ":1\r\n");
    assert!(is_waiting(&server, pops));
    server.expect("DEL key", ":1\r\n");
    server.expect("PUSH key c", ":1\r\n");
    assert_eq!(got(&mut server, pops), popped("key", "c"));
}

#[test]
fn every_way_in_which_a_key_comes_is_noticed() {
    for words in
        ["RENAME other key", "RENAMENX other key", "COPY other key", "MOVE moved 1", "SWAPDB 0 1", "SWAPDB 1 0"]
    {
        let mut server = server();
        for (database, key) in [("0", "other"), ("0", "moved"), ("0", "swapped")] {
            server.run(&format!("SELECT {database}"));
            server.run(&format!("PUSH {key} a"));
        }
        let here = waiter(&mut server, "BPOP key 0");
        let there = server.connect();
        run(&mut server, there, "SELECT 1");
        wait(&mut server, there, "BPOP moved swapped 0");
        server.run(words);
        let (served, key, waits) = match words.as_bytes()[0] {
            b'M' => (there, "moved", here),
            b'S' => (there, "moved", here),
            _ => (here, "key", there),
        };
        assert_eq!(got(&mut server, served), popped(key, "a"), "{words}");
        assert!(is_waiting(&server, waits), "{words}");
    }
}

#[test]
fn chains_are_followed_at_once() {
    let mut server = server();
    let last = waiter(&mut server, "BPOP c 0");
    let second = waiter(&mut server, "BMOVE b c 0");
    let first = waiter(&mut server, "BMOVE a b 0");
    server.expect("PUSH a x", ":1\r\n");
    assert_eq!(got(&mut server, first), "$1\r\nx\r\n");
    assert_eq!(got(&mut server, second), "$1\r\nx\r\n");
    assert_eq!(got(&mut server, last), popped("c", "x"));
    server.expect("EXISTS a b c", ":0\r\n");
    // In a ring everybody gets it once.
    wait(&mut server, first, "BMOVE a b 0");
    wait(&mut server, second, "BMOVE b a 0");
    wait(&mut server, last, "BMOVE a a 0");
    server.expect("PUSH a x", ":1\r\n");
    for client in [first, second, last] {
        assert_eq!(got(&mut server, client), "$1\r\nx\r\n");
    }
    server.expect("BPOP a 0", &popped("a", "x"));
    nobody_waits(&mut server);
}

#[test]
fn a_long_chain_needs_no_stack() {
    const LENGTH: usize = 20_000;
    let mut server = server();
    for number in 0..LENGTH {
        let words = format!("BMOVE key:{number} key:{} 0", number + 1);
        waiter(&mut server, &words);
    }
    server.expect("PUSH key:0 x", ":1\r\n");
    nobody_waits(&mut server);
    let end = format!("key:{LENGTH}");
    assert_eq!(server.run(&format!("BPOP {end} 0")), popped(&end, "x"));
}

#[test]
fn a_group_is_told_when_its_key_goes_or_changes_its_type() {
    let gone = "-NOGROUP No such key\r\n";
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    for (words, reply) in [
        ("DEL key", gone),
        ("UNLINK key", gone),
        ("RENAME key other", gone),
        ("MOVE key 1", gone),
        ("FLUSHDB", gone),
        ("FLUSHALL", gone),
        ("SWAPDB 0 1", gone),
        ("SWAPDB 0 2", wrong),
        ("SET key x", wrong),
        ("UNIT del,key zpush,key,a", wrong),
        ("BPOP key 0", gone),
    ] {
        let mut server = server();
        server.run("SELECT 2");
        server.run("SET key string");
        server.run("SELECT 0");
        server.run("PUSH key a");
        let client = waiter(&mut server, "BGROUP key b 0");
        assert_eq!(info(&mut server, "total_blocking_keys_on_nokey"), "1");
        server.run(words);
        assert_eq!(got(&mut server, client), reply, "{words}");
        nobody_waits(&mut server);
    }
}

#[test]
fn a_group_is_told_when_its_key_expires() {
    let mut server = server();
    server.run("PUSH key a");
    server.run("PEXPIRE key 10");
    let client = waiter(&mut server, "BGROUP key b 0");
    pass_ms(&mut server, 11);
    assert!(is_waiting(&server, client));
    removal::expire_slice(&mut server.state, u64::MAX);
    assert_eq!(got(&mut server, client), "-NOGROUP No such key\r\n");
    // And on access, by whoever finds it.
    server.run("PUSH key a");
    server.run("PEXPIRE key 10");
    wait(&mut server, client, "BGROUP key b 0");
    pass_ms(&mut server, 11);
    server.run("EXISTS key");
    assert_eq!(got(&mut server, client), "-NOGROUP No such key\r\n");
}

#[test]
fn others_are_not_told_that_a_key_goes() {
    let mut server = server();
    server.run("PUSH key a");
    let client = waiter(&mut server, "BSINCE key $ 0");
    assert_eq!(info(&mut server, "total_blocking_keys_on_nokey"), "0");
    server.run("DEL key");
    server.run("SET key x");
    server.run("FLUSHALL");
    assert!(is_waiting(&server, client));
}

/// Where others wait for the same key, the ones served take nothing from those that want something else.
#[test]
fn who_finds_nothing_again_keeps_its_place() {
    let mut server = server();
    server.run("PUSH key a");
    let clients: Vec<Token> =
        ["b", "c", "b", "c"].iter().map(|element| waiter(&mut server, &format!("BGROUP key {element} 0"))).collect();
    server.run("PUSH key cb");
    assert!(clients.iter().all(|client| is_waiting(&server, *client)));
    server.run("BPOP key 0");
    let replies: Vec<String> = clients.iter().map(|client| got(&mut server, *client)).collect();
    assert_eq!(replies, ["", "$1\r\nc\r\n", "$1\r\nb\r\n", ""]);
    server.run("PUSH key b");
    assert_eq!(got(&mut server, clients[0]), "$1\r\nb\r\n");
}

#[test]
fn a_request_may_wait_in_another_form() {
    let mut server = server();
    server.run("PUSH key ab");
    let client = waiter(&mut server, "BSINCE key $ 0");
    server.run("UNIT push,key,c push,key,d");
    assert_eq!(got(&mut server, client), "$2\r\ncd\r\n");
}

#[test]
fn a_unit_is_served_when_it_is_over() {
    let mut server = server();
    let client = waiter(&mut server, "BPOP key 0");
    server.expect("UNIT push,key,a del,key", "*2\r\n:1\r\n:1\r\n");
    assert!(is_waiting(&server, client));
    server.expect("UNIT push,key,a push,key,b", "*2\r\n:1\r\n:2\r\n");
    assert_eq!(got(&mut server, client), popped("key", "a"));
    // Within one nobody waits.
    server.expect("UNIT bpop,none,0 bpop,key,0", &format!("*2\r\n{NULL_ARRAY}{}", popped("key", "b")));
    nobody_waits(&mut server);
}

#[test]
fn the_time_runs_out() {
    let mut server = server();
    let later = waiter(&mut server, "BPOP key 0.25");
    let sooner = waiter(&mut server, "BPOP key other 0.1");
    let never = waiter(&mut server, "BPOP key 0");
    assert_eq!(info(&mut server, "clients_in_timeout_table"), "2");
    let now_ms = server.state.now_ms();
    assert_eq!(server.state.blocking.next_deadline_ms(), Some(now_ms + 100));
    // Never too early, though both moments are known to the millisecond alone.
    pass_ms(&mut server, 100);
    assert!(is_waiting(&server, sooner));
    pass_ms(&mut server, 1);
    assert_eq!(got(&mut server, sooner), NULL_ARRAY);
    assert!(!is_waiting(&server, sooner) && is_waiting(&server, later));
    pass_ms(&mut server, 10_000);
    assert_eq!(got(&mut server, later), NULL_ARRAY);
    server.expect("PUSH key a", ":1\r\n");
    assert_eq!(got(&mut server, never), popped("key", "a"));
    nobody_waits(&mut server);
}

#[test]
fn being_woken_in_vain_does_not_prolong_the_wait() {
    let mut server = server();
    server.run("PUSH key a");
    let client = waiter(&mut server, "BGROUP key b 0.1");
    pass_ms(&mut server, 60);
    server.run("PUSH key c");
    assert!(is_waiting(&server, client));
    pass_ms(&mut server, 41);
    assert_eq!(got(&mut server, client), NULL_ARRAY);
}

#[test]
fn in_resp3_nothing_is_null() {
    let mut server = server();
    let client = server.connect();
    let session = server.state.clients.get_mut(client).expect("a client");
    session.reply.set_protocol(Protocol::Resp3);
    wait(&mut server, client, "BPOP key 0.1");
    pass_ms(&mut server, 101);
    assert_eq!(got(&mut server, client), "_\r\n");
    wait(&mut server, client, "BPOP key 0.1");
    server.run("PUSH key a");
    assert_eq!(got(&mut server, client), popped("key", "a"));
    assert_eq!(run(&mut server, client, "GET none"), "_\r\n");
}

#[test]
fn client_unblock() {
    let mut server = server();
    let client = waiter(&mut server, "BPOP key 10");
    server.expect("CLIENT UNBLOCK 99", ":0\r\n");
    server.expect("CLIENT UNBLOCK -1", ":0\r\n");
    server.expect("CLIENT UNBLOCK 1", ":0\r\n");
    server.expect("CLIENT UNBLOCK 2 NOW", "-ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR\r\n");
    assert!(is_waiting(&server, client));
    server.expect("CLIENT UNBLOCK 2", ":1\r\n");
    assert_eq!(got(&mut server, client), NULL_ARRAY);
    server.expect("CLIENT UNBLOCK 2", ":0\r\n");
    wait(&mut server, client, "BPOP key 0");
    server.expect("CLIENT UNBLOCK 2 timeout", ":1\r\n");
    assert_eq!(got(&mut server, client), NULL_ARRAY);
    wait(&mut server, client, "BPOP key 10");
    server.expect("CLIENT UNBLOCK 2 ERROR", ":1\r\n");
    let error = "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n";
    assert_eq!(got(&mut server, client), error);
    assert_eq!(info(&mut server, "errorstat_UNBLOCKED"), "count=1");
    nobody_waits(&mut server);
    assert_eq!(server.state.clients.take_to_resume(), [client; 3]);
}

/// What is taken out for a client that is being closed would be lost.
#[test]
fn nothing_is_given_to_the_dying() {
    let mut server = server();
    let killed = waiter(&mut server, "BPOP key 0.1");
    let next = waiter(&mut server, "BPOP key 0");
    server.expect("CLIENT KILL ID 2", ":1\r\n");
    assert_eq!(info(&mut server, "blocked_clients"), "1");
    server.expect("CLIENT UNBLOCK 2", ":0\r\n");
    server.expect("PUSH key a", ":1\r\n");
    assert_eq!(got(&mut server, next), popped("key", "a"));
    assert_eq!(got(&mut server, killed), "");
    pass_ms(&mut server, 200);
    assert_eq!(got(&mut server, killed), "");
    server.state.remove_client(killed);
    nobody_waits(&mut server);
}

#[test]
fn who_leaves_is_forgotten() {
    let mut server = server();
    let clients: Vec<Token> = (0..4).map(|_| waiter(&mut server, "BPOP key other 5")).collect();
    for client in [clients[1], clients[0]] {
        server.state.remove_client(client);
    }
    server.expect("PUSH key a", ":1\r\n");
    assert_eq!(got(&mut server, clients[2]), popped("key", "a"));
    server.state.remove_client(clients[3]);
    server.expect("PUSH key a", ":1\r\n");
    server.expect("EXISTS key", ":1\r\n");
    nobody_waits(&mut server);
}

#[test]
fn ten_thousand_may_wait_for_one_key() {
    const COUNT: usize = 10_000;
    let mut server = server();
    let clients: Vec<Token> = (0..COUNT).map(|_| waiter(&mut server, "BPOP key 100")).collect();
    // From the middle, then both ends: nobody is searched for.
    for client in &clients[COUNT / 4..COUNT * 3 / 4] {
        server.state.remove_client(*client);
    }
    let mut left = clients[..COUNT / 4].to_vec();
    left.extend(&clients[COUNT * 3 / 4..]);
    server.state.remove_client(left.remove(0));
    server.state.remove_client(left.pop().expect("many"));
    for client in left {
        server.run("PUSH key a");
        assert_eq!(got(&mut server, client), popped("key", "a"));
    }
    nobody_waits(&mut server);
}

#[test]
fn writing_a_key_that_nobody_waits_for_leaves_no_trace() {
    let mut server = server();
    let client = waiter(&mut server, "BPOP key 0");
    let keyspace = &mut server.state.keyspace;
    for database in [0, 1] {
        keyspace.modified(database, b"other");
    }
    keyspace.modified(1, b"key");
    assert!(keyspace.changes.is_empty());
    keyspace.modified(0, b"key");
    keyspace.modified(0, b"key");
    assert_eq!(keyspace.changes.take().len(), 1);
    server.state.remove_client(client);
    let keyspace = &mut server.state.keyspace;
    keyspace.modified(0, b"key");
    assert!(keyspace.changes.is_empty());
}

#[test]
fn a_command_that_waits_counts_once() {
    let mut server = server();
    let monitor = server.connect();
    assert_eq!(run(&mut server, monitor, "MONITOR"), "+OK\r\n");
    server.run("CONFIG SET slowlog-log-slower-than 1000");
    server.run("CONFIG RESETSTAT");
    server.run("PUSH key a");
    let client = waiter(&mut server, "BGROUP key b 0");
    assert_eq!(info(&mut server, "cmdstat_bgroup"), "none");
    let calls = |server: &Harness| {
        let session = server.state.clients.get(client).expect("a client");
        session.traffic.commands
    };
    assert_eq!(calls(&server), 0);
    pass_ms(&mut server, 5000);
    server.run("PUSH key c");
    server.run("UNIT del,key push,key,b");
    assert_eq!(got(&mut server, client), "$1\r\nb\r\n");
    assert_eq!(calls(&server), 1);
    let stats = info(&mut server, "cmdstat_bgroup");
    assert_eq!(stats, "calls=1,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0");
    // The time of waiting is not the command's.
    server.expect("SLOWLOG LEN", ":0\r\n");
    let told = got(&mut server, monitor);
    assert_eq!(told.matches("\"BGROUP\"").count(), 1, "{told}");
    // Without an end of its own it counts as well.
    for (unblock, stats) in [
        ("CLIENT UNBLOCK 3", "calls=2,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=0"),
        ("CLIENT UNBLOCK 3 ERROR", "calls=3,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1"),
    ] {
        server.run("PUSH key a");
        wait(&mut server, client, "BGROUP key b 0");
        server.expect(unblock, ":1\r\n");
        assert_ne!(got(&mut server, client), "");
        assert_eq!(info(&mut server, "cmdstat_bgroup"), stats);
    }
    assert_eq!(calls(&server), 3);
}

#[test]
fn the_rights_are_looked_at_again() {
    let mut server = server();
    let client = waiter(&mut server, "BPOP key 0");
    server.run("CONFIG SET requirepass secret");
    let session = server.state.clients.get_mut(client).expect("a client");
    session.authenticated = false;
    server.run("PUSH key a");
    assert_eq!(got(&mut server, client), "-NOAUTH Authentication required.\r\n");
    server.expect("EXISTS key", ":1\r\n");
    nobody_waits(&mut server);
}

#[test]
fn replies_that_are_not_wanted() {
    let mut server = server();
    let client = server.connect();
    run(&mut server, client, "CLIENT REPLY SKIP");
    wait(&mut server, client, "BPOP key 0");
    server.run("PUSH key a");
    assert_eq!(got(&mut server, client), "");
    assert_eq!(run(&mut server, client, "PING"), "+PONG\r\n");
    run(&mut server, client, "CLIENT REPLY SKIP");
    wait(&mut server, client, "BPOP key 0.1");
    pass_ms(&mut server, 101);
    assert_eq!(got(&mut server, client), "");
    assert_eq!(run(&mut server, client, "PING"), "+PONG\r\n");
    run(&mut server, client, "CLIENT REPLY OFF");
    wait(&mut server, client, "BPOP key 0");
    server.run("PUSH key a");
    wait(&mut server, client, "BPOP key 0");
    server.run("CLIENT UNBLOCK 2 ERROR");
    assert_eq!(got(&mut server, client), "");
    assert_eq!(run(&mut server, client, "CLIENT REPLY ON"), "+OK\r\n");
}

#[test]
fn a_pause_holds_those_back_who_would_be_served() {
    let mut server = server();
    let pops = waiter(&mut server, "BPOP key 0");
    let reads = waiter(&mut server, "BSINCE key 0 0");
    let timed = waiter(&mut server, "BPOP other 1");
    server.run("UNIT push,key,a client,pause,5000,write");
    assert_eq!(got(&mut server, reads), "$1\r\na\r\n");
    assert!(is_waiting(&server, pops));
    pass_ms(&mut server, 1001);
    assert_eq!(got(&mut server, timed), NULL_ARRAY);
    server.run("CLIENT UNPAUSE");
    wake::end_pause(&mut server.state);
    assert_eq!(got(&mut server, pops), popped("key", "a"));
    nobody_waits(&mut server);
}

#[test]
fn client_list_and_memory_show_who_waits() {
    let mut server = server();
    let client = server.connect();
    let long_key = "k".repeat(5000);
    let memory = |server: &Harness| {
        let session = server.state.clients.get(client).expect("a client");
        session.memory()
    };
    let before = memory(&server);
    wait(&mut server, client, &format!("BPOP {long_key} 0"));
    assert!(memory(&server) > before + 5000);
    let list = server.run("CLIENT LIST ID 2");
    for field in [" flags=b ", " cmd=bpop ", " argv-mem=5005 "] {
        assert!(list.contains(field), "{list}");
    }
    server.run("CLIENT UNBLOCK 2");
    assert_eq!(memory(&server), before);
    let list = server.run("CLIENT LIST ID 2");
    assert!(list.contains(" flags=N ") && list.contains(" argv-mem=0 "), "{list}");
}
