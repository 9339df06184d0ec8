//! The program as it is started: what it makes of its command line, and the title that it shows.

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use server::Server;

/// Tools look at the title as soon as they have the reply.
#[test]
fn a_title_is_shown_before_the_reply_to_its_setting() {
    let server = Server::start(&[]);
    let mut client = server.connect();
    for number in 0..300 {
        let setting = format!("CONFIG SET proc-title-template title-{number}");
        client.ask(&setting, "+OK\r\n");
        let shown = fs::read(format!("/proc/{}/cmdline", server.process()));
        let shown = shown.expect("it runs");
        let text = String::from_utf8_lossy(&shown);
        assert_eq!(text.trim_end_matches('\0'), format!("title-{number}"));
    }
}

#[test]
fn options_of_redis_cli_are_hinted_at() {
    let output = Command::new(env!("CARGO_BIN_EXE_oneloop"))
        .args(["-p", "6380"])
        .current_dir(env!("CARGO_TARGET_TMPDIR"))
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains(">>> '\"-p\" \"6380\"'"), "{errors}");
    assert!(errors.ends_with("Hint: did you mean --port 6380?\n"), "{errors}");
}

#[test]
fn the_watchdog_of_systemd_hears_from_the_loop_while_it_turns() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("watchdog");
    fs::create_dir_all(&folder).expect("it can be made");
    let path = folder.join("notify");
    let _ = fs::remove_file(&path);
    let socket = UnixDatagram::bind(&path).expect("it can be bound");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut process = Command::new(env!("CARGO_BIN_EXE_oneloop"))
        .args(["--port", "0", "--save", "", "--supervised", "systemd", "--loglevel", "nothing"])
        .current_dir(&folder)
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000")
        .spawn()
        .expect("the program starts");
    let (mut buffer, mut signs, mut is_ready) = ([0; 256], 0, false);
    while signs < 3 {
        let length = socket.recv(&mut buffer).expect("a message within the timeout");
        is_ready |= &buffer[..length] == b"READY=1\n";
        signs += usize::from(&buffer[..length] == b"WATCHDOG=1\n");
    }
    assert!(is_ready);
    process.kill().expect("it runs");
    process.wait().expect("it ends");
}

#[test]
fn ping_asks_a_server_whether_it_serves() {
    let ping = |address: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_oneloop")).args(["ping", address]).output();
        let output = output.expect("the program starts");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let server = Server::start(&[]);
    let address = format!("127.0.0.1:{}", server.port);
    assert_eq!(ping(&address), (Some(0), "PONG\n".to_string()));
    server.connect().ask("CONFIG SET requirepass secret", "+OK\r\n");
    assert_eq!(ping(&address), (Some(0), "NOAUTH Authentication required.\n".to_string()));
    drop(server);
    assert_eq!(ping(&address).0, Some(1));
}

/// What the program prints with these arguments, bound to one processor where that can be: which is worth a warning.
fn printed(arguments: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_oneloop");
    let can_bind = Command::new("taskset").args(["-c", "0", "true"]).status().is_ok_and(|status| status.success());
    let mut command = Command::new(if can_bind { "taskset" } else { program });
    if can_bind {
        command.args(["-c", "0", program]);
    }
    let output = command.args(arguments).current_dir(env!("CARGO_TARGET_TMPDIR")).output();
    String::from_utf8_lossy(&output.expect("the program starts").stdout).into_owned()
}

/// Without the warnings at each start a user learns of a slow host by its latencies.
#[test]
fn what_of_the_host_costs_latency_is_logged_at_the_start_and_told_by_check_config() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("host.conf");
    fs::write(&path, "port 0\nsave \"\"\n").expect("it can be written");
    let path = path.to_str().expect("a plain path");
    let checked = printed(&["check-config", path]);
    // It has looked at the host when it finds that there is no such folder.
    let log = printed(&[path, "--unixsocket", "/nosuch/socket"]);
    // Limits depend on the configuration, and have log lines of their own.
    let of_latency = |line: &&str| !line.contains("maxclients asks for") && !line.contains("tcp-backlog is");
    for advice in checked.lines().filter_map(|line| line.strip_prefix("host: ")).filter(of_latency) {
        let told = format!("# WARNING: {advice}.");
        assert_eq!(log.lines().filter(|line| line.ends_with(&told)).count(), 1, "{advice}: {log}");
    }
}
