//! Redis's own tools against the built program: what a new user tries first.

#[path = "support/server.rs"]
mod server;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use server::{PATIENCE, Server};

/// Runs a tool against the server, with this on its standard input; gives what it prints. None, and
/// a loud word, where the tool is missing.
fn tool(program: &str, server: &Server, arguments: &[&str], input: &str) -> Option<String> {
    // One that does not end must not take the tests with it.
    let spawned = Command::new("timeout")
        .args(["120", program, "-p", &server.port.to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    let Ok(mut child) = spawned else {
        println!("SKIP: {program} cannot be started");
        return None;
    };
    let mut pipe = child.stdin.take().expect("its input is piped");
    // One that cannot be started reads nothing.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    if output.status.code() == Some(127) {
        println!("SKIP: there is no {program}");
        return None;
    }
    assert!(output.status.success(), "{program} {arguments:?} ended with {}", output.status);
    Some(String::from_utf8(output.stdout).expect("it prints text"))
}

fn redis_cli(server: &Server, arguments: &[&str]) -> Option<String> {
    tool("redis-cli", server, arguments, "")
}

/// Runs a mode of `redis-cli` that never ends until it has printed so many lines; gives them. None, and a loud word,
/// where something is missing.
fn watch(server: &Server, arguments: &[&str], count: usize) -> Option<Vec<String>> {
    // Into a pipe it would print nothing for very long.
    let spawned = Command::new("stdbuf")
        .args(["-oL", "redis-cli", "-p", &server.port.to_string()])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = spawned else {
        println!("SKIP: stdbuf cannot be started");
        return None;
    };
    let output = BufReader::new(child.stdout.take().expect("its output is piped"));
    let (sender, lines) = channel();
    let reading = std::thread::spawn(move || {
        for line in output.split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let lines: Vec<String> = (0..count).map_while(|_| lines.recv_timeout(PATIENCE).ok()).collect();
    child.kill().expect("it runs");
    child.wait().expect("it was started");
    reading.join().expect("it reads to the end");
    if lines.is_empty() {
        println!("SKIP: redis-cli prints nothing");
        return None;
    }
    assert_eq!(lines.len(), count, "redis-cli {arguments:?}");
    Some(lines)
}

/// The numbers in a line.
fn numbers(line: &str) -> Vec<f64> {
    let words = line.split(|letter: char| letter.is_whitespace() || letter == ',');
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn redis_cli_talks_in_both_protocols() {
    let server = Server::start(&[]);
    let cases: [(&[&str], &str); 5] = [
        (&["SET", "resource", "token", "NX", "EX", "30"], "OK\n"),
        (&["SET", "resource", "other", "NX", "EX", "30"], "\n"),
        (&["-3", "GET", "resource"], "token\n"),
        (&["-3", "--json", "CONFIG", "GET", "databases"], "{\"databases\":\"16\"}\n"),
        (&["OBJECT", "ENCODING", "resource"], "embstr\n"),
    ];
    for (arguments, expected) in cases {
        let Some(printed) = redis_cli(&server, arguments) else {
            return;
        };
        assert_eq!(printed, expected, "{arguments:?}");
    }
}

#[test]
fn redis_cli_loads_and_scans_a_thousand_keys() {
    let server = Server::start(&[]);
    let commands: String = (0..1000).map(|number| format!("SET key:{number} {number}\r\n")).collect();
    let Some(loaded) = tool("redis-cli", &server, &["--pipe"], &commands) else {
        return;
    };
    assert!(loaded.contains("errors: 0, replies: 1000"), "{loaded}");
    let scanned = redis_cli(&server, &["--scan", "--pattern", "key:*"]).expect("it is there");
    let mut keys: Vec<&str> = scanned.lines().collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 1000);
    let sizes = redis_cli(&server, &["--memkeys"]).expect("it is there");
    assert!(sizes.contains("Sampled 1000 keys"), "{sizes}");
}

#[test]
fn redis_benchmark_runs() {
    let server = Server::start(&[]);
    let arguments = ["-t", "ping,set,get,incr,mset", "-n", "20000", "-r", "1000", "-P", "16", "--csv"];
    let Some(printed) = tool("redis-benchmark", &server, &arguments, "") else {
        return;
    };
    for name in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
        assert!(printed.contains(&format!("\"{name}\"")), "{name}: {printed}");
    }
}

#[test]
fn redis_cli_finds_what_is_large_and_what_is_asked_for_often() {
    let server = Server::start(&["--maxmemory-policy", "allkeys-lfu"]);
    let mut input = String::new();
    for number in 0..100 {
        input += &format!("SET key:{number} {number}\r\nRPUSH list {number}\r\n");
    }
    input += "SET key:text 0123456789012345678901234567890123456789\r\nZADD sorted 1 a 2 b\r\nHSET hash f v g w\r\n\
              SADD set a b c\r\nXADD stream 1-1 f v\r\n";
    // The counter grows as the logarithm of the uses, by chance: enough of them to leave no doubt.
    input += &"GET key:7\r\n".repeat(5000);
    if tool("redis-cli", &server, &[], &input).is_none() {
        return;
    }
    let found = redis_cli(&server, &["--bigkeys"]).expect("it is there");
    for line in [
        "Sampled 106 keys in the keyspace!",
        "Biggest   list found '\"list\"' has 100 items",
        "Biggest string found '\"key:text\"' has 40 bytes",
        "Biggest   hash found '\"hash\"' has 2 fields",
        "Biggest    set found '\"set\"' has 3 members",
        "Biggest   zset found '\"sorted\"' has 2 members",
        "Biggest stream found '\"stream\"' has 1 entries",
        "101 strings with 230 bytes",
    ] {
        assert!(found.contains(line), "{line} in\n{found}");
    }
    let found = redis_cli(&server, &["--memkeys", "--memkeys-samples", "0"]).expect("it is there");
    assert!(found.contains("Sampled 106 keys"), "{found}");
    assert!(found.contains("Biggest string found '\"key:text\"'"), "{found}");
    let found = redis_cli(&server, &["--hotkeys"]).expect("it is there");
    let summary = found.split("summary").nth(1).expect("a summary");
    let hottest = summary.lines().find(|line| line.starts_with("hot key"));
    assert!(hottest.is_some_and(|line| line.ends_with("keyname: \"key:7\"")), "{found}");
}

#[test]
fn redis_cli_shows_figures_as_they_come() {
    let server = Server::start(&[]);
    if redis_cli(&server, &["SET", "key", "value"]).is_none() {
        return;
    }
    if let Some(lines) = watch(&server, &["--stat", "-i", "0.05"], 5) {
        // Keys, memory, clients, blocked clients, requests with those since the last line, connections.
        let requests = |line: &str| {
            let requests = line.split_whitespace().nth(4).expect(line);
            requests.parse::<u64>().expect(line)
        };
        assert!(lines[2].trim_start().starts_with("1 "), "{lines:?}");
        assert!(requests(&lines[2]) < requests(&lines[4]), "{lines:?}");
    }
    let measured = redis_cli(&server, &["--latency", "-i", "0.2"]).expect("it is there");
    let [least, most, mean, samples] = numbers(&measured)[..] else { panic!("{measured}") };
    assert!(least <= mean && mean <= most && samples >= 1.0, "{measured}");
    let measured = redis_cli(&server, &["--latency", "--csv", "-i", "0.2"]).expect("it is there");
    assert_eq!(numbers(&measured).len(), 4, "{measured}");
    if let Some(lines) = watch(&server, &["--latency-history", "-i", "0.2"], 2) {
        assert!(lines.iter().all(|line| numbers(line).len() >= 4), "{lines:?}");
    }
    if let Some(lines) = watch(&server, &["--latency-dist", "-i", "0.2"], 9) {
        assert!(lines.iter().any(|line| line.contains("milliseconds")), "{lines:?}");
    }
    let measured = redis_cli(&server, &["--intrinsic-latency", "1"]).expect("it is there");
    assert!(measured.contains("total runs (avg latency:"), "{measured}");
}

#[test]
fn redis_cli_tries_how_well_eviction_chooses() {
    let options = ["--maxmemory", "3mb", "--maxmemory-policy", "allkeys-lru"];
    let server = Server::start(&options);
    if let Some(lines) = watch(&server, &["--lru-test", "10000"], 1) {
        assert!(lines[0].contains("Gets/sec | Hits:"), "{lines:?}");
    }
}

#[test]
fn redis_cli_runs_scripts_and_takes_arguments_from_elsewhere() {
    let server = Server::start(&[]);
    let script = server.folder.join("script.lua");
    let text = "redis.call('SET', KEYS[1], ARGV[1])\nreturn {KEYS[1], ARGV[1], redis.call('DBSIZE')}\n";
    std::fs::write(&script, text).expect("a file");
    let script = script.to_str().expect("a plain path");
    let Some(printed) = redis_cli(&server, &["--eval", script, "key", ",", "value"]) else {
        return;
    };
    assert_eq!(printed, "key\nvalue\n1\n");
    let cli = |arguments: &[&str], input| tool("redis-cli", &server, arguments, input).expect("it is there");
    assert_eq!(cli(&["-x", "SET", "last"], "from\0elsewhere"), "OK\n");
    assert_eq!(cli(&["GET", "last"], ""), "from\0elsewhere\n");
    assert_eq!(cli(&["-X", "here", "MSET", "a", "here", "b", "2"], "1"), "OK\n");
    assert_eq!(cli(&["--csv", "MGET", "a", "b", "c"], ""), "\"1\",\"2\",NULL\n");
    assert_eq!(cli(&["-r", "3", "-i", "0.01", "INCR", "number"], ""), "1\n2\n3\n");
    assert_eq!(cli(&["-n", "5", "DBSIZE"], ""), "0\n");
    assert_eq!(cli(&["--scan", "--quoted-pattern", "\"\\x61\""], ""), "a\n");
    // The server tells redis-cli what its commands are for.
    let help = cli(&["HELP", "GET"], "");
    assert!(help.contains("Gives the string at a key."), "{help}");
}

/// `redis-cli --replica` asks with SYNC, reads past the data, and prints the stream.
#[test]
fn redis_cli_follows_as_a_replica() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    client.ask("SET before 1", "+OK\r\n");
    let lines = std::thread::scope(|scope| {
        scope.spawn(|| {
            let deadline = std::time::Instant::now() + PATIENCE;
            while !client.text("INFO replication").contains("state=online") && std::time::Instant::now() < deadline {}
            client.ask("SET after 2", "+OK\r\n");
            client.ask("SELECT 3", "+OK\r\n");
            client.ask("SET third 3", "+OK\r\n");
        });
        watch(&server, &["--replica"], 3)
    });
    // The first SELECT is shown by some versions.
    if let Some(lines) = lines {
        let wanted = [r#""SET","after","2""#, r#""SELECT","3""#];
        assert!(lines.windows(2).any(|pair| pair == wanted), "{lines:?}");
    }
}
