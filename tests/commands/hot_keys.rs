//! HOTKEYS. Errors and the form of the reply are those of Redis 8.6.

use oneloop::cluster::key_slot;

use crate::support::Harness;
use crate::support::cluster::{Part, harness};

/// What HOTKEYS GET shows of a name: an integer, or the elements of an array.
fn field(server: &mut Harness, name: &str) -> Option<Vec<String>> {
    let reply = server.run("HOTKEYS GET");
    let lines: Vec<&str> = reply.split("\r\n").collect();
    let place = lines.iter().position(|line| *line == name)?;
    let value = lines[place + 1];
    if let Some(number) = value.strip_prefix(':') {
        return Some(vec![number.to_string()]);
    }
    let count: usize = value.strip_prefix('*').expect("an array").parse().expect("a number");
    let elements = lines[place + 2..].iter().filter(|line| !line.starts_with('$'));
    Some(elements.take(count).map(|line| line.trim_start_matches(':').to_string()).collect())
}

#[track_caller]
fn expect_field(server: &mut Harness, name: &str, expected: &[&str]) {
    assert_eq!(field(server, name).expect(name), expected, "{name}");
}

#[test]
fn wrong_wishes_are_refused_in_the_order_of_redis() {
    let mut server = Harness::new();
    for (wishes, error) in [
        ("", "METRICS parameter is required"),
        ("METRICS", "METRICS parameter is required"),
        ("COUNT 5 METRICS 1 CPU", "METRICS parameter is required"),
        ("METRICS 0 CPU", "METRICS count must be > 0 and <= 2"),
        ("METRICS -1", "METRICS count must be > 0 and <= 2"),
        ("METRICS 3 CPU NET", "METRICS count must be > 0 and <= 2"),
        ("METRICS 2 CPU", "METRICS count does not match number of metric types provided"),
        ("METRICS 1 CPU NET", "syntax error"),
        ("METRICS 1 GPU", "METRICS no valid metrics passed. Supported: CPU|NET"),
        ("METRICS 2 GPU NYET", "METRICS no valid metrics passed. Supported: CPU|NET"),
        ("METRICS 2 CPU CPU", "METRICS CPU defined more than once!"),
        ("METRICS 2 NET NET", "METRICS NET defined more than once!"),
        ("METRICS 1 CPU COUNT 0", "COUNT must be between 1 and 64"),
        ("METRICS 1 CPU COUNT 100", "COUNT must be between 1 and 64"),
        ("METRICS 1 CPU COUNT", "syntax error"),
        ("METRICS 1 CPU DURATION 0", "DURATION must be between 1 and 1000000"),
        ("METRICS 1 CPU SAMPLE 0", "SAMPLE ratio must be positive"),
        ("METRICS 1 CPU SLOTS 2 0 5", "SLOTS parameter cannot be used in non-cluster mode"),
    ] {
        server.expect(format!("HOTKEYS START {wishes}").trim_end(), &format!("-ERR {error}\r\n"));
    }
    server.expect("HOTKEYS", "-ERR wrong number of arguments for 'hotkeys' command\r\n");
    server.expect("HOTKEYS GET x", "-ERR wrong number of arguments for 'hotkeys|get' command\r\n");
    // Words that are no metric yet.
    server.expect("HOTKEYS START METRICS 2 GPU CPU", "+OK\r\n");
}

#[test]
fn a_session_is_begun_ended_and_forgotten() {
    let mut server = Harness::new();
    server.expect("HOTKEYS GET", "$-1\r\n");
    server.expect("HOTKEYS STOP", "$-1\r\n");
    server.expect("HOTKEYS RESET", "+OK\r\n");
    server.expect("HOTKEYS START METRICS 1 CPU", "+OK\r\n");
    let refused = "-ERR hotkey tracking session already in progress\r\n";
    server.expect("HOTKEYS START METRICS 1 NET", refused);
    server.expect("HOTKEYS RESET", "-ERR hotkey tracking session in progress, stop tracking first\r\n");
    expect_field(&mut server, "tracking-active", &["1"]);
    server.advance_ms(1500);
    server.expect("HOTKEYS STOP", "+OK\r\n");
    server.advance_ms(1500);
    server.expect("HOTKEYS STOP", "$-1\r\n");
    expect_field(&mut server, "tracking-active", &["0"]);
    expect_field(&mut server, "collection-duration-ms", &["1500"]);
    server.expect("HOTKEYS RESET", "+OK\r\n");
    server.expect("HOTKEYS GET", "$-1\r\n");
    // One that has ended gives way to another.
    server.expect("HOTKEYS START METRICS 1 NET DURATION 2", "+OK\r\n");
    server.advance_ms(1999);
    server.expect("HOTKEYS START METRICS 1 NET", refused);
    server.advance_ms(10_000);
    expect_field(&mut server, "tracking-active", &["0"]);
    expect_field(&mut server, "collection-duration-ms", &["2000"]);
    server.expect("HOTKEYS START METRICS 1 NET", "+OK\r\n");
}

#[test]
fn the_reply_has_what_was_asked_for() {
    let mut server = Harness::new();
    server.expect("HOTKEYS START METRICS 1 NET", "+OK\r\n");
    server.run("SET key1 value1");
    server.expect(
        "HOTKEYS GET",
        "*1\r\n*18\r\n$15\r\ntracking-active\r\n:1\r\n$12\r\nsample-ratio\r\n:1\r\n$14\r\nselected-slots\r\n\
         *1\r\n*2\r\n:0\r\n:16383\r\n$25\r\nall-commands-all-slots-us\r\n:0\r\n\
         $32\r\nnet-bytes-all-commands-all-slots\r\n:40\r\n$29\r\ncollection-start-time-unix-ms\r\n:1700000000000\r\n\
         $22\r\ncollection-duration-ms\r\n:0\r\n$15\r\ntotal-net-bytes\r\n:40\r\n\
         $12\r\nby-net-bytes\r\n*2\r\n$4\r\nkey1\r\n:40\r\n",
    );
    server.run("HOTKEYS STOP");
    server.expect("HOTKEYS START METRICS 1 CPU", "+OK\r\n");
    for (name, is_there) in [
        ("total-cpu-time-user-ms", true),
        ("total-cpu-time-sys-ms", true),
        ("by-cpu-time-us", true),
        ("total-net-bytes", false),
        ("by-net-bytes", false),
        ("all-commands-selected-slots-us", false),
        ("net-bytes-sampled-commands-selected-slots", false),
    ] {
        assert_eq!(field(&mut server, name).is_some(), is_there, "{name}");
    }
    server.run("HELLO 3");
    assert!(server.run("HOTKEYS GET").starts_with("*1\r\n%10\r\n$15\r\ntracking-active\r\n"));
}

#[test]
fn each_key_has_its_share_of_what_requests_cost() {
    let mut server = Harness::new();
    server.run("HOTKEYS START METRICS 1 NET COUNT 3");
    server.run("PING");
    server.run("MGET a b");
    expect_field(&mut server, "by-net-bytes", &["a", "21", "b", "21"]);
    server.run("GET nothing else");
    server.run("MULTI");
    server.run("SET b x");
    server.run("PING");
    server.run("GET b");
    server.run("EXEC");
    // 21 of MGET; of SET 27 and 5, of GET 20 and 7.
    expect_field(&mut server, "by-net-bytes", &["b", "80", "a", "21"]);
    server.run_args(&[b"EVAL", b"redis.call('set', 'y', 1) redis.call('get', 'y')", b"1", b"x"]);
    let found = field(&mut server, "by-net-bytes").expect("it is tracked");
    assert!(found.contains(&"x".to_string()) && !found.contains(&"y".to_string()), "{found:?}");
    server.run("HOTKEYS STOP");
    server.run("SET z value");
    assert_eq!(field(&mut server, "by-net-bytes").expect("it is kept"), found);
}

#[test]
fn time_is_counted_by_the_clock() {
    let mut server = Harness::new();
    server.state.clock.set_virtual_step(5000);
    server.run("HOTKEYS START METRICS 2 CPU NET");
    (0..10).for_each(|_| {
        server.run("SET hot x");
    });
    server.run("SET cold x");
    let found = field(&mut server, "by-cpu-time-us").expect("it is tracked");
    assert_eq!((found[0].as_str(), found[2].as_str(), found.len()), ("hot", "cold", 4));
    let micros = |place: usize| found[place].parse::<u64>().expect("a number");
    assert!(micros(1) >= 50 && micros(1) == 10 * micros(3), "{found:?}");
    expect_field(&mut server, "all-commands-all-slots-us", &[&(micros(1) + micros(3)).to_string()]);
}

#[test]
fn a_request_that_waited_counts_once_it_is_over() {
    let mut server = Harness::new();
    server.run("HOTKEYS START METRICS 1 NET");
    server.expect("BLPOP list 0", "");
    expect_field(&mut server, "by-net-bytes", &[]);
    let other = server.connect();
    server.run_as(other, &[b"RPUSH", b"list", b"x"]);
    server.pushed(server.client);
    // BLPOP: 32 and 21 bytes, RPUSH: 32 and 4.
    expect_field(&mut server, "by-net-bytes", &["list", "89"]);
}

#[test]
fn the_hottest_keys_are_found_among_many() {
    for ratio in [1, 20] {
        let mut server = Harness::new();
        server.run(&format!("HOTKEYS START METRICS 1 NET COUNT 10 SAMPLE {ratio}"));
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let key = if random.u32(..10) < 8 { random.u32(..10) } else { random.u32(10..1000) };
            server.run(&format!("GET key:{key}"));
        }
        let found = field(&mut server, "by-net-bytes").expect("it is tracked");
        let hot = found.iter().step_by(2).filter(|key| key.len() == "key:0".len()).count();
        assert!(hot >= 9, "{found:?}");
        assert_eq!(field(&mut server, "all-commands-all-slots-us").map(|found| found.len()), Some(1));
    }
}

#[test]
fn slots_are_selected_in_a_cluster() {
    let mut server = harness(Part::All);
    let (slot, other) = (key_slot(b"a"), key_slot(b"b"));
    for (wishes, error) in [
        ("SLOTS 2 0", "not enough slot numbers provided"),
        ("SLOTS 0 0", "SLOTS count must be between 1 and 16384"),
        ("SLOTS 2 0 0", "duplicate slot number"),
        ("SLOTS 1 16384", "Invalid or out of range slot"),
        ("SLOTS 1 0 SLOTS 1 5", "SLOTS parameter already specified"),
    ] {
        server.expect(&format!("HOTKEYS START METRICS 1 CPU {wishes}"), &format!("-ERR {error}\r\n"));
    }
    server.expect(&format!("HOTKEYS START METRICS 1 NET SAMPLE 1 SLOTS 3 {slot} 7 6"), "+OK\r\n");
    server.run("SET a x");
    server.run("SET b x");
    assert_ne!(slot, other);
    expect_field(&mut server, "by-net-bytes", &["a", "32"]);
    expect_field(&mut server, "net-bytes-all-commands-all-slots", &["64"]);
    expect_field(&mut server, "net-bytes-all-commands-selected-slots", &["32"]);
    assert_eq!(field(&mut server, "net-bytes-sampled-commands-selected-slots"), None);
    let reply = server.run("HOTKEYS GET");
    assert!(reply.contains(&format!("selected-slots\r\n*2\r\n*2\r\n:6\r\n:7\r\n*1\r\n:{slot}\r\n")), "{reply}");
    server.run("HOTKEYS STOP");
    server.run("HOTKEYS START METRICS 1 NET SAMPLE 10 SLOTS 1 0");
    assert!(field(&mut server, "net-bytes-sampled-commands-selected-slots").is_some());
    let mut server = harness(Part::Half);
    server.expect("HOTKEYS START METRICS 1 NET SLOTS 1 8192", "-ERR slot 8192 not handled by this node\r\n");
    server.expect("HOTKEYS START METRICS 1 NET SLOTS 1 8191", "+OK\r\n");
    server.run("HOTKEYS STOP");
    server.expect("HOTKEYS START METRICS 1 NET", "+OK\r\n");
    assert!(server.run("HOTKEYS GET").contains("selected-slots\r\n*1\r\n*2\r\n:0\r\n:8191\r\n"));
}
