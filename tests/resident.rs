//! Memory that is given back to the system without anybody asking for it.

#[path = "support/server.rs"]
mod server;

use std::time::Instant;

use server::{PATIENCE, Server};

/// What a process may be larger than its data, in bytes.
const EXCESS_BYTES: usize = 48 << 20;

/// Waits until the process is hardly larger than its data.
#[track_caller]
fn wait_until_given_back(server: &Server) {
    let mut client = server.connect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = client.text("INFO memory");
        let used = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
        let used: usize = used.and_then(|used| used.parse().ok()).expect("a figure");
        let resident = server.resident_bytes();
        if resident < used + used / 4 + EXCESS_BYTES {
            return;
        }
        assert!(Instant::now() < deadline, "{resident} bytes for {used}");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_script_with_many_writes_leaves_is_given_back() {
    let options = ["--appendonly", "yes", "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"];
    let server = Server::start(&options);
    let mut client = server.connect();
    let script = "for i=1,200000 do redis.call('set','key:'..i,string.rep('x',200)) end return 1";
    client.ask(&format!("EVAL \"{script}\" 0"), ":1\r\n");
    wait_until_given_back(&server);
}

#[test]
fn what_large_values_have_taken_is_given_back() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    let fill = "for i=1,2000 do redis.call('set',i,string.rep('x',20000+i*7919%180000)) end return 1";
    client.ask(&format!("EVAL \"{fill}\" 0"), ":1\r\n");
    let filled = server.resident_bytes();
    assert!(filled > 4 * EXCESS_BYTES, "{filled} bytes");
    client.ask("FLUSHALL", "+OK\r\n");
    wait_until_given_back(&server);
    client.ask(&format!("EVAL \"{fill}\" 0"), ":1\r\n");
    client.ask("EVAL \"for i=1,2000 do redis.call('del',i) end return 1\" 0", ":1\r\n");
    wait_until_given_back(&server);
}

/// Tasks of helper threads are allocated by the loop and freed by them: what the loop counts must not grow with each.
#[test]
fn memory_counted_does_not_grow_with_every_sync_of_the_disk() {
    // Without the list of slow requests, which grows with each one where the machine is slow.
    let server = Server::start(&["--appendonly", "yes", "--appendfsync", "always", "--loop-recorder-size", "0"]);
    let mut client = server.connect();
    let mut used_bytes = || {
        let text = client.text("INFO memory");
        let used = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
        used.and_then(|used| used.parse::<usize>().ok()).expect("a figure")
    };
    let mut writer = server.connect();
    let mut write = |count: usize| (0..count).for_each(|_| writer.ask("SET key value", "+OK\r\n"));
    // Statistics and buffers find their size. The list of late replies may take 48 KiB, at any time.
    write(2000);
    let before = used_bytes();
    write(2000);
    let after = used_bytes();
    assert!(after < before + (64 << 10), "{before} {after}");
}

/// Buffers of a save go to a thread and come back, or go with it: in the end none is counted.
#[test]
fn memory_counted_is_the_same_after_a_save_as_before() {
    let server = Server::start(&["--save", ""]);
    let mut client = server.connect();
    let fill = "for i=1,200 do redis.call('set',i,string.rep('x',30000)) end return 1";
    client.ask(&format!("EVAL \"{fill}\" 0"), ":1\r\n");
    let mut used = Vec::new();
    for _ in 0..3 {
        client.ask("BGSAVE", "+Background saving started\r\n");
        let deadline = Instant::now() + PATIENCE;
        while client.text("INFO persistence").contains("rdb_bgsave_in_progress:1") {
            assert!(Instant::now() < deadline);
        }
        let text = client.text("INFO memory");
        let figure = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
        used.push(figure.and_then(|used| used.parse::<usize>().ok()).expect("a figure"));
    }
    assert!(used[2] < used[0] + (64 << 10), "{used:?}");
}
