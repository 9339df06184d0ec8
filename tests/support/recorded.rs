//! Servers that are recorded, and their recordings replayed.
#![allow(dead_code)] // Each test program uses a part of it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::server::{Raw, Server};

/// A file for a recording that is not there yet.
pub fn recording(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("recording-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

/// A server that is recorded.
pub fn start(path: &Path, options: &[&str]) -> Server {
    let path = path.to_str().expect("a name in UTF-8");
    Server::start(&[&["--record", path, "--enable-debug-command", "yes"], options].concat())
}

/// Runs a recording again; gives the exit status and what was printed.
pub fn replay(path: &Path, options: &[&str]) -> (i32, String) {
    let program = std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into());
    let output = Command::new(program).arg("replay").args(options).arg(path).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().expect("an exit status"), text)
}

/// Ends the server and replays its recording: all has to be as it was.
#[track_caller]
pub fn check(mut server: Server, path: &Path) -> String {
    server.signal("TERM");
    server.wait();
    let (status, text) = replay(path, &[]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("all of them are identical"), "{text}");
    text
}

/// Clients of all kinds, some of which send in pieces, go away, or wait.
pub fn exercise(server: &Server, seed: u64, rounds: usize) {
    let mut random = fastrand::Rng::with_seed(seed);
    let connect = || {
        let client = server.connect();
        client.stream.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        client
    };
    let mut clients: Vec<Raw<TcpStream>> = (0..6).map(|_| connect()).collect();
    for round in 0..rounds {
        let number = random.usize(0..20);
        let text = "x".repeat(random.usize(0..300));
        let requests = [
            format!("SET k{number} {text}\r\n"),
            format!("SET k{number} v PX {}\r\n", random.usize(1..50)),
            format!("GET k{number}\r\nINCR n{number}\r\nTTL k{number}\r\n"),
            format!("LPUSH l{number} {round}\r\n"),
            format!("BLPOP l{number} 0.01\r\n"),
            format!("HSET h{number} f{round} {text}\r\nHGETALL h{number}\r\n"),
            format!("SADD s{number} {round}\r\nSRANDMEMBER s{number} 2\r\nSPOP s{number}\r\n"),
            format!("ZADD z{number} {round} m{number}\r\nZRANGE z{number} 0 -1\r\n"),
            format!("XADD x{number} * f {round}\r\n"),
            "EVAL \"return {tostring({}), tostring(math.random()), redis.call('time'), tostring(os.clock())}\" 0\r\n"
                .into(),
            "INFO everything\r\nCLIENT LIST\r\nMEMORY STATS\r\n".into(),
            "RANDOMKEY\r\nSCAN 0\r\nDEBUG DIGEST\r\nDBSIZE\r\n".into(),
            format!("MULTI\r\nSET k{number} {round}\r\nGET k{number}\r\nEXEC\r\n"),
            format!("SUBSCRIBE c{number}\r\nUNSUBSCRIBE\r\n"),
            format!("PUBLISH c{number} {text}\r\n"),
            format!("DEBUG OBJECT k{number}\r\nOBJECT FREQ k{number}\r\nMEMORY USAGE h{number}\r\n"),
            "BGSAVE\r\n".into(),
            "LOOP STATS\r\nLOOP TURNS\r\nSLOWLOG GET\r\nRECORD STATUS\r\n".into(),
            format!("DUMP h{number}\r\nCOPY h{number} g{number}\r\nUNLINK g{number}\r\n"),
            "*1\r\n$4\r\nNOPE\r\n*1\r\n$3\r\n".into(),
        ];
        let request = requests[random.usize(0..requests.len())].as_bytes();
        let chosen = random.usize(0..clients.len());
        let cut = random.usize(0..=request.len());
        // A client that was closed for its bad request is replaced.
        let sent = clients[chosen].stream.write_all(&request[..cut]).is_ok();
        if !sent || clients[chosen].stream.write_all(&request[cut..]).is_err() || random.usize(0..30) == 0 {
            clients[chosen] = connect();
        }
        let mut buffer = [0; 65536];
        if random.bool() {
            // Nothing may have come yet.
            let _ = clients[chosen].stream.read(&mut buffer);
        }
    }
}

/// Redacts a recording; gives the exit status and what was printed.
pub fn redact(from: &Path, to: &Path) -> (i32, String) {
    let program = std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into());
    let output = Command::new(program).args(["replay", "--redact"]).args([from, to]).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().expect("an exit status"), text)
}
