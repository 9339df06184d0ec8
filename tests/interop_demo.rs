//! `scripts/demo-sentinel` and `scripts/demo-cluster`, as a reader runs them.

use std::path::Path;
use std::process::{Command, Output};

fn demo(script: &str) -> Command {
    let program = std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into());
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script)).arg("--binary").arg(program);
    command
}

fn text(output: &Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{stdout}{stderr}")
}

/// Runs a demonstration, which has to say these things in this order.
#[track_caller]
fn expect_steps(script: &str, steps: &[&str]) {
    let Ok(output) = demo(script).output() else {
        println!("SKIPPED: there is no python3");
        return;
    };
    let text = text(&output);
    if output.status.code() == Some(2) {
        println!("SKIPPED: {text}");
        return;
    }
    assert!(output.status.success(), "{text}");
    let mut rest = text.as_str();
    for step in steps {
        rest = rest.split_once(step).unwrap_or_else(|| panic!("no {step:?} in:\n{text}")).1;
    }
}

#[test]
fn sentinels_fail_a_set_over() {
    expect_steps(
        "demo-sentinel",
        &[
            "primary with 2 replicas",
            "WAIT 2: 2 replicas have all of them",
            "is killed",
            "the Sentinels agree",
            "has 1000 of the 1000 keys",
            "a partial resync",
            "Done: all servers and Sentinels have ended",
        ],
    );
}

#[test]
fn a_cluster_is_made_fails_over_and_moves_slots() {
    expect_steps(
        "demo-cluster",
        &[
            "primary, slots 0-5460",
            "is killed",
            "by a vote of the other primaries",
            "1000 of the 1000 keys are there",
            "It finds its slots taken",
            "reshard moves 100 slots",
            "1000 of the 1000 keys are there",
            "[OK] All 16384 slots covered",
            "Done: all nodes have ended",
        ],
    );
}

#[test]
fn what_is_missing_is_named() {
    let Ok(found) = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output() else {
        println!("SKIPPED: there is no python3");
        return;
    };
    let python = String::from_utf8_lossy(&found.stdout).trim().to_string();
    for (script, package) in [("demo-sentinel", "redis-sentinel"), ("demo-cluster", "redis-tools")] {
        let script = demo(script);
        let command = Command::new(&python).args(script.get_args()).env("PATH", "/nowhere").output();
        let output = command.expect("it was there");
        assert_eq!(output.status.code(), Some(2));
        let text = text(&output);
        assert!(text.contains(&format!("apt-get install {package}")), "{text}");
    }
}
