//! A client library that many use, redis-py, against the built program: what frameworks do with locks, transactions,
//! messages, scripts and caches.

#[path = "support/server.rs"]
mod server;

use std::process::{Command, Stdio};

use server::Server;

/// The Python to use may be named by this variable, else it is `python3`.
const PYTHON: &str = "ONELOOP_PYTHON";

/// A Python that has redis-py.
fn python() -> Option<String> {
    let program = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_string());
    let imports = Command::new(&program).args(["-c", "import redis"]).stderr(Stdio::null()).status();
    imports.is_ok_and(|status| status.success()).then_some(program)
}

#[test]
fn redis_py_finds_what_it_needs() {
    let Some(python) = python() else {
        println!("SKIP: redis-py is missing (pip install redis; {PYTHON} names another Python)");
        return;
    };
    let server = Server::start(&[]);
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/redis_py.py"))
        .arg(server.port.to_string())
        .output()
        .expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let failure = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "after {printed}: {failure}");
    assert_eq!(printed, "locks\ntransactions\nmessages\nscripts\ncaching\n");
}
