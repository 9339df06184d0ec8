//! `maxmemory` and what makes room under it, `maxmemory-clients`.

use oneloop::config::Config;
use oneloop::engine::client_memory;
use oneloop::engine::memory_limit;
use oneloop::keyspace::Target;

use crate::support::Harness;

const OUT_OF_MEMORY: &str = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

/// A server whose limit is so many bytes above what it uses now.
fn limit(server: &mut Harness, policy: &str, room_bytes: usize) -> usize {
    let limit = server.state.used_memory() + room_bytes;
    server.expect(&format!("config set maxmemory-policy {policy}"), "+OK\r\n");
    server.expect(&format!("config set maxmemory {limit}"), "+OK\r\n");
    limit
}

fn size(server: &mut Harness) -> usize {
    let reply = server.run("dbsize");
    let digits = reply.trim_start_matches(':').trim_end();
    digits.parse().expect("a number")
}

fn info(server: &mut Harness, field: &str) -> u64 {
    let text = server.run("info everything");
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(&format!("{field}:")));
    value.expect("the field is there").parse().expect("a number")
}

/// Gives a value of 100 bytes to so many keys; tells how many were accepted.
fn fill(server: &mut Harness, prefix: &str, count: usize) -> usize {
    let value = "x".repeat(100);
    (0..count).filter(|number| server.run(&format!("set {prefix}:{number} {value}")) == "+OK\r\n").count()
}

#[test]
fn without_eviction_commands_that_need_memory_are_refused_before_they_do_anything() {
    let mut server = Harness::new();
    let limit = limit(&mut server, "noeviction", 100_000);
    let accepted = fill(&mut server, "key", 2000);
    assert!((500..1000).contains(&accepted), "{accepted}");
    assert!(server.state.used_memory() < limit + 10_000);
    server.expect("set other x", OUT_OF_MEMORY);
    server.expect("lpush list x", OUT_OF_MEMORY);
    server.expect("exists other list", ":0\r\n");
    // What needs no memory goes on, and room makes all go on.
    assert!(server.run("get key:1").starts_with("$100\r\n"));
    server.expect("set", "-ERR wrong number of arguments for 'set' command\r\n");
    server.expect("del key:1 key:2 key:3 key:4 key:5 key:6 key:7 key:8 key:9", ":9\r\n");
    server.expect("set other x", "+OK\r\n");
    assert_eq!(info(&mut server, "evicted_keys"), 0);
    assert!(server.run("info errorstats").contains("errorstat_OOM:count="));
}

#[test]
fn every_policy_holds_to_the_limit() {
    for policy in [
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
    ] {
        let mut server = Harness::new();
        let limit = limit(&mut server, policy, 200_000);
        let value = "x".repeat(100);
        for number in 0..5000 {
            server.expect(&format!("setex key:{number} {} {value}", 1000 + number), "+OK\r\n");
            assert!(server.state.used_memory() < limit + 5000, "{policy}");
        }
        let left = size(&mut server);
        assert!((1000..1500).contains(&left), "{policy}: {left}");
        assert_eq!(info(&mut server, "evicted_keys"), 5000 - left as u64);
        // Nothing refers to what is gone.
        server.expect("flushall", "+OK\r\n");
    }
}

#[test]
fn policies_for_volatile_keys_take_no_others() {
    for policy in ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"] {
        let mut server = Harness::new();
        assert_eq!(fill(&mut server, "stays", 200), 200);
        limit(&mut server, policy, 100_000);
        for number in 0..2000 {
            server.expect(&format!("setex goes:{number} 1000 x"), "+OK\r\n");
        }
        assert_eq!(fill(&mut server, "stays", 200), 200);
        // Without volatile keys there is nothing to take.
        let accepted = fill(&mut server, "more", 2000);
        assert!((300..1500).contains(&accepted), "{policy}: {accepted}");
        server.expect("set other x", OUT_OF_MEMORY);
        assert_eq!(size(&mut server), 200 + accepted, "{policy}");
    }
}

#[test]
fn a_key_that_no_longer_expires_is_no_candidate() {
    let mut server = Harness::new();
    for number in 0..100 {
        server.run(&format!("setex key:{number} 1000 x"));
    }
    limit(&mut server, "volatile-ttl", 1000);
    // The pool is filled, then its candidates are made to stay.
    fill(&mut server, "other", 12);
    for number in 0..100 {
        server.run(&format!("persist key:{number}"));
    }
    let before = size(&mut server);
    server.run("config set maxmemory 1");
    server.expect("set other x", OUT_OF_MEMORY);
    assert_eq!(size(&mut server), before);
}

#[test]
fn what_expires_first_goes_first() {
    let mut server = Harness::new();
    for number in 0..1000 {
        server.run(&format!("setex key:{number} {} x", 1_000 + 10 * number));
    }
    server.run("config set maxmemory-samples 64");
    limit(&mut server, "volatile-ttl", 0);
    fill(&mut server, "more", 60);
    let gone = info(&mut server, "evicted_keys");
    assert!((50..500).contains(&gone), "{gone}");
    let late = (500..1000).map(|number| format!(" key:{number}")).collect::<String>();
    server.expect(&format!("exists{late}"), ":500\r\n");
}

#[test]
fn keys_in_use_are_kept() {
    for (policy, field) in [("allkeys-lru", "idletime"), ("allkeys-lfu", "freq")] {
        let mut server = Harness::new();
        server.run(&format!("config set maxmemory-policy {policy}"));
        fill(&mut server, "key", 1000);
        let mut used = String::new();
        for number in 0..100 {
            used.push_str(&format!(" key:{number}"));
        }
        // Ten seconds later a tenth of them is used, and used again.
        for _ in 0..10 {
            server.advance_ms(1000);
            server.run(&format!("mget{used}"));
        }
        assert!(server.run(&format!("object {field} key:1")).starts_with(':'));
        limit(&mut server, policy, 0);
        fill(&mut server, "new", 500);
        assert!(info(&mut server, "evicted_keys") >= 450);
        server.expect(&format!("exists{used}"), ":100\r\n");
    }
}

#[test]
fn eviction_is_an_event_and_no_change() {
    let mut server = Harness::new();
    fill(&mut server, "key", 100);
    limit(&mut server, "allkeys-lru", 0);
    let before = server.state.keyspace.changes.total();
    let events = {
        let changes = &mut server.state.keyspace.changes;
        changes.set_event_classes(u16::MAX);
        server.state.keyspace.evict();
        server.state.keyspace.changes.take()
    };
    let text = format!("{events:?}");
    assert!(text.contains("class: Evicted, event: \"evicted\", database: 0"), "{text}");
    assert_eq!(events.len(), 1);
    assert_eq!(server.state.keyspace.changes.total(), before);
    assert_eq!(info(&mut server, "evicted_keys"), 1);
    server.run("config resetstat");
    assert_eq!(info(&mut server, "evicted_keys"), 0);
}

#[test]
fn all_databases_make_room() {
    let mut server = Harness::new();
    for database in 0..16 {
        server.run(&format!("select {database}"));
        fill(&mut server, "key", 100);
    }
    limit(&mut server, "allkeys-lru", 0);
    server.advance_ms(5000);
    fill(&mut server, "new", 800);
    let text = server.run("info keyspace");
    for database in 0..16 {
        let prefix = format!("db{database}:keys=");
        let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
        let keys: usize = line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or(0);
        assert!(database == 15 || (10..95).contains(&keys), "{database}: {keys}");
    }
}

/// Under a virtual clock no time goes by, so with no time for eviction each command only makes up for what was added.
#[test]
fn a_lowered_limit_is_reached_in_slices_and_memory_never_grows_meanwhile() {
    let mut server = Harness::with_config(Config { maxmemory_eviction_tenacity: 0, ..Config::default() });
    let start = server.state.used_memory();
    fill(&mut server, "key", 10_000);
    let full = server.state.used_memory();
    server.run("config set maxmemory-policy allkeys-lru");
    server.run(&format!("config set maxmemory {}", (start + full) / 2));
    let mut ceiling = server.state.used_memory();
    for number in 0..100 {
        let before = size(&mut server);
        // A new key, an evicted one for it, and a few more.
        fill(&mut server, &format!("new{number}"), 1);
        assert!((1..40).contains(&(before + 1 - size(&mut server))));
        assert!(server.state.used_memory() <= ceiling + 2000);
        ceiling = ceiling.min(server.state.used_memory());
    }
    assert!(memory_limit::wants_eviction(&server.state));
    server.advance_ms(7000);
    assert_eq!(info(&mut server, "current_eviction_exceeded_time"), 7000);
    let mut slices = 0;
    while memory_limit::evict_slice(&mut server.state, 0) {
        slices += 1;
    }
    assert!(slices > 300, "{slices}");
    assert!(!memory_limit::wants_eviction(&server.state));
    assert!(server.state.used_memory() <= (start + full) / 2);
    let left = size(&mut server);
    assert!((4000..6000).contains(&left), "{left}");
    server.advance_ms(1000);
    assert_eq!(info(&mut server, "current_eviction_exceeded_time"), 0);
    assert_eq!(info(&mut server, "total_eviction_exceeded_time"), 7000);
}

#[test]
fn what_was_deleted_is_freed_before_any_key_goes() {
    for policy in ["allkeys-lru", "noeviction"] {
        let mut server = Harness::new();
        fill(&mut server, "key", 5000);
        limit(&mut server, policy, 1000);
        server.run("flushall");
        assert!(server.state.keyspace.has_garbage());
        assert_eq!(fill(&mut server, "new", 1000), 1000);
        assert_eq!(size(&mut server), 1000);
        assert_eq!(info(&mut server, "evicted_keys"), 0);
        // A large collection that was deleted is freed in steps as well.
        for number in 0..300 {
            server.run(&format!(
                "sadd set {}",
                (0..20).map(|at| format!("{number}:{at} ")).collect::<String>().trim_end()
            ));
        }
        limit(&mut server, policy, 0);
        server.run("del set");
        assert_eq!(fill(&mut server, "new", 500), 500);
        assert_eq!(info(&mut server, "evicted_keys"), 0);
        while server.state.keyspace.reclaim_step(1000) {}
        assert_eq!(info(&mut server, "lazyfreed_objects"), 5001);
    }
}

#[test]
fn nothing_is_evicted_while_clients_are_paused() {
    let mut server = Harness::new();
    fill(&mut server, "key", 1000);
    server.run("client pause 1000 write");
    server.run("config set maxmemory-policy allkeys-lru");
    server.run("config set maxmemory 1");
    server.run("get key:1");
    assert!(!memory_limit::evict_slice(&mut server.state, u64::MAX));
    assert_eq!(size(&mut server), 1000);
    server.run("client unpause");
    server.run("get key:1");
    assert_eq!(size(&mut server), 0);
}

#[test]
fn values_that_replies_share_count_as_copies() {
    let mut server = Harness::new();
    for number in 0..10 {
        server.run(&format!("setrange large:{number} 99999 x"));
    }
    limit(&mut server, "allkeys-random", 550_000);
    let slow = server.connect();
    let value = bytes::Bytes::from(vec![b'x'; 100_000]);
    for count in 1..=8 {
        let reply = |session: &mut oneloop::engine::session::Session| session.reply.bulk_shared(&value);
        server.state.clients.flush_after(slow, reply);
        server.run("ping");
        let evicted = info(&mut server, "evicted_keys");
        assert_eq!(evicted == 0, count <= 5, "{count}: {evicted}");
    }
    // They no longer do once they are sent.
    server.pushed(slow);
    server.run("ping");
    assert!(!memory_limit::wants_eviction(&server.state));
}

/// Leaves so many bytes unsent to a new client.
fn free_effort(server: &mut Harness, bytes: usize) -> oneloop::engine::session::Token {
    let token = server.connect();
    server.state.clients.flush_after(token, |session| session.reply.bulk(&vec![b'x'; bytes]));
    server.state.clients.count_memory(token);
    token
}

#[test]
fn the_largest_clients_are_closed_at_the_limit() {
    let mut server = Harness::new();
    let sizes = [10_000, 300_000, 20_000, 200_000, 100_000];
    let clients = sizes.map(|bytes| free_effort(&mut server, bytes));
    assert!(client_memory::clients_to_evict(&mut server.state).is_empty(), "no limit");
    server.run("config set maxmemory-clients 250000");
    assert_eq!(client_memory::clients_to_evict(&mut server.state), [clients[1], clients[3]]);
    assert_eq!(info(&mut server, "evicted_clients"), 2);
    assert!(client_memory::clients_to_evict(&mut server.state).is_empty());
    // One that may not be evicted counts, and stays.
    server.run_as(clients[4], &[b"client", b"no-evict", b"on"]);
    server.state.clients.count_memory(clients[4]);
    server.run("config set maxmemory-clients 110000");
    let closed = client_memory::clients_to_evict(&mut server.state);
    assert_eq!(closed[..2], [clients[2], clients[0]]);
    server.state.remove_client(clients[4]);
    assert!(client_memory::clients_to_evict(&mut server.state).is_empty());
}

#[test]
fn a_client_that_is_closed_anyway_costs_nobody_else_the_connection() {
    let mut server = Harness::new();
    server.run("config set maxmemory-clients 300000");
    free_effort(&mut server, 150_000);
    let large = free_effort(&mut server, 250_000);
    server.state.clients.kill(large);
    server.state.clients.count_memory(large);
    assert!(client_memory::clients_to_evict(&mut server.state).is_empty());
}

#[test]
fn transactions_and_scripts_are_refused_what_single_commands_are() {
    let mut server = Harness::new();
    server.run("set x 1");
    server.run("multi");
    server.expect("set y 1", "+QUEUED\r\n");
    let other = server.connect();
    server.run_as(other, &[b"config", b"set", b"maxmemory", b"1"]);
    server.expect("get x", OUT_OF_MEMORY);
    server.expect(
        "exec",
        "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.\r\n",
    );
    let eval = |server: &mut Harness, script: &str| server.run_args(&[b"eval", script.as_bytes(), b"1", b"x"]);
    // A script without flags is stopped by its first such command, unless it has written before.
    let refused = eval(&mut server, "return redis.call('set', KEYS[1], 2)");
    assert!(refused.starts_with("-OOM command not allowed when used memory > 'maxmemory'. script:"), "{refused}");
    let after_write = "redis.call('del', KEYS[1]) redis.call('set', KEYS[1], 3) return redis.call('get', KEYS[1])";
    assert_eq!(eval(&mut server, after_write), "$1\r\n3\r\n");
    assert_eq!(eval(&mut server, "return redis.call('get', KEYS[1])"), "$1\r\n3\r\n");
    assert_eq!(eval(&mut server, "#!lua\nreturn 1"), OUT_OF_MEMORY);
    assert_eq!(eval(&mut server, "#!lua flags=no-writes\nreturn 1"), ":1\r\n");
    assert_eq!(eval(&mut server, "#!lua flags=allow-oom\nreturn redis.call('set', KEYS[1], 4)"), "+OK\r\n");
}

#[test]
fn telling_of_evicted_keys_evicts_no_more() {
    // In slices, and all at once before a command.
    for at_once in [false, true] {
        let evicted = evicted_before_trackers(at_once);
        assert!((10..=50).contains(&evicted), "{evicted}");
    }
}

/// How many keys go for 40,000 bytes while ten clients are told of each.
fn evicted_before_trackers(at_once: bool) -> u64 {
    let mut server = Harness::new();
    let mut trackers = Vec::new();
    for _ in 0..10 {
        let token = server.connect();
        server.run_as(token, &[b"hello", b"3"]);
        server.run_as(token, &[b"client", b"tracking", b"on"]);
        trackers.push(token);
    }
    for number in 0..300 {
        let key = format!("{number}{}", "x".repeat(1000));
        server.run(&format!("set {key} x"));
        for token in &trackers {
            server.run_as(*token, &[b"get", key.as_bytes()]);
        }
    }
    server.run("config set maxmemory-policy allkeys-lru");
    let limit = server.state.used_memory() - 40_000;
    server.run(&format!("config set maxmemory {limit}"));
    if at_once {
        server.run("config set maxmemory-eviction-tenacity 100");
        server.run("get nothing");
    }
    while memory_limit::wants_eviction(&server.state) {
        memory_limit::evict_slice(&mut server.state, 0);
    }
    let evicted = info(&mut server, "evicted_keys");
    assert!(server.pushed(trackers[0]).starts_with(b">2\r\n$10\r\ninvalidate"));
    evicted
}

#[test]
fn a_reply_beyond_the_limit_is_not_drawn_to_its_end() {
    let mut server = Harness::new();
    server.run_args(&[b"config", b"set", b"client-output-buffer-limit", b"normal 1000000 0 0"]);
    server.run("hset hash field value");
    server.run("sadd set member");
    server.run("zadd sorted 1 member");
    for command in ["hrandfield hash", "srandmember set", "zrandmember sorted"] {
        let reply = server.run(&format!("{command} -999999999"));
        assert!((1_000_000..1_200_000).contains(&reply.len()), "{command}: {}", reply.len());
    }
}

#[test]
fn watched_keys_and_tracked_prefixes_count_as_the_clients_memory() {
    let mut server = Harness::new();
    let memory = |server: &mut Harness| {
        let text = server.run("client info");
        let total = text.split(" tot-mem=").nth(1).and_then(|rest| rest.split(' ').next());
        total.expect("a field").parse::<usize>().expect("a number")
    };
    let before = memory(&mut server);
    for number in 0..100 {
        server.run(&format!("watch key:{number}"));
    }
    let watching = memory(&mut server);
    assert!(watching > before + 10_000);
    server.run("unwatch");
    assert!(memory(&mut server) < before + 5000);
    server.run("hello 3");
    for number in 0..100 {
        server.run(&format!("client tracking on bcast prefix {number:08}:"));
    }
    assert!(memory(&mut server) > before + 5000);
    server.run("client tracking off");
    assert!(memory(&mut server) < before + 5000);
}

/// While a snapshot holds all keys, to remove one frees nothing until the snapshot is done with it.
#[test]
fn a_snapshot_does_not_have_all_keys_evicted() {
    let mut server = Harness::new();
    fill(&mut server, "key", 3000);
    server.run("setrange large 0 x");
    let start = server.state.used_memory();
    limit(&mut server, "allkeys-lru", 10_000);
    let version = server.state.keyspace.pin();
    server.advance_ms(5000);
    // The room that is there, and then one key goes for another; what is copied for the snapshot's sake costs some
    // more.
    assert_eq!(fill(&mut server, "new", 500), 500);
    let evicted = info(&mut server, "evicted_keys");
    assert!((350..1500).contains(&evicted), "{evicted}");
    // Values that are replaced are held as well.
    assert_eq!(fill(&mut server, "new", 500), 500);
    let held = info(&mut server, "mem_not_counted_for_evict");
    assert!(held as usize > 350 * 120, "{held}");
    assert!(server.state.used_memory() > start + 40_000);
    drop(version);
    assert_eq!(info(&mut server, "mem_not_counted_for_evict"), 0);
    assert!(!memory_limit::wants_eviction(&server.state));
}

/// What a slow replica keeps of the stream, beyond the backlog, evicts no key: neither its bytes, nor the blocks that
/// they come in.
#[test]
fn a_slow_replica_evicts_no_key() {
    let mut server = Harness::new();
    server.propagate_to(Target::Replicas);
    server.expect("config set repl-backlog-size 10kb", "+OK\r\n");
    assert_eq!(fill(&mut server, "key", 100), 100);
    let uncounted = info(&mut server, "mem_not_counted_for_evict") as usize;
    let limit = server.state.used_memory() - uncounted + 32 * 1024;
    server.expect("config set maxmemory-policy allkeys-random", "+OK\r\n");
    server.expect(&format!("config set maxmemory {limit}"), "+OK\r\n");
    let value = "x".repeat(100);
    for _ in 0..40_000 {
        server.expect(&format!("setrange key:0 0 {value}"), ":100\r\n");
    }
    assert!(info(&mut server, "mem_not_counted_for_evict") > 4_000_000);
    assert_eq!(info(&mut server, "evicted_keys"), 0);
    assert_eq!(size(&mut server), 100);
}
