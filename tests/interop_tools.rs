//! Redis's own tools against the built program: what a new user tries first.

#[path = "support/server.rs"]
mod server;

use std::io::Write;
use std::process::{Command, Stdio};

use server::Server;

/// Runs a tool against the server, with this on its standard input; gives what it prints. None, and
/// a loud word, where the tool is missing.
fn tool(program: &str, server: &Server, arguments: &[&str], input: &str) -> Option<String> {
    let spawned = Command::new(program)
        .args(["-p", &server.port.to_string()])
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
    pipe.write_all(input.as_bytes())
        .expect("it reads its input");
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "{program} {arguments:?} ended with {}",
        output.status
    );
    Some(String::from_utf8(output.stdout).expect("it prints text"))
}

fn redis_cli(server: &Server, arguments: &[&str]) -> Option<String> {
    tool("redis-cli", server, arguments, "")
}

#[test]
fn redis_cli_talks_in_both_protocols() {
    let server = Server::start(&[]);
    let cases: [(&[&str], &str); 5] = [
        (&["SET", "resource", "token", "NX", "EX", "30"], "OK\n"),
        (&["SET", "resource", "other", "NX", "EX", "30"], "\n"),
        (&["-3", "GET", "resource"], "token\n"),
        (
            &["-3", "--json", "CONFIG", "GET", "databases"],
            "{\"databases\":\"16\"}\n",
        ),
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
    let commands: String = (0..1000)
        .map(|number| format!("SET key:{number} {number}\r\n"))
        .collect();
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
    let arguments = [
        "-t",
        "ping,set,get,incr,mset",
        "-n",
        "20000",
        "-r",
        "1000",
        "-P",
        "16",
        "--csv",
    ];
    let Some(printed) = tool("redis-benchmark", &server, &arguments, "") else {
        return;
    };
    for name in [
        "PING_INLINE",
        "PING_MBULK",
        "SET",
        "GET",
        "INCR",
        "MSET (10 keys)",
    ] {
        assert!(
            printed.contains(&format!("\"{name}\"")),
            "{name}: {printed}"
        );
    }
}
