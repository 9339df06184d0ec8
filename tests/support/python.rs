//! The client library redis-py, and the suite that runs it: `tests/clients/redis_py.py`.
#![allow(dead_code)] // Each test program uses a part of it.

use std::process::{Command, Stdio};

/// The Python to use may be named by this variable, else it is `python3`.
const PYTHON: &str = "ONELOOP_PYTHON";

/// A Python that has redis-py; none, and a loud word, where there is none.
pub fn with_clients() -> Option<String> {
    let program = std::env::var(PYTHON).unwrap_or_else(|_| "python3".to_string());
    let imports = Command::new(&program).args(["-c", "import redis"]).stderr(Stdio::null()).status();
    if imports.is_ok_and(|status| status.success()) {
        return Some(program);
    }
    println!("SKIP: redis-py is missing (pip install redis; {PYTHON} names another Python)");
    None
}

/// Runs the suite against the server at that port; gives what it prints.
#[track_caller]
pub fn run_suite(python: &str, port: u16) -> String {
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/redis_py.py"))
        .arg(port.to_string())
        .output()
        .expect("it starts");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let failure = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "after {printed}: {failure}");
    printed
}
