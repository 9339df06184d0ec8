//! `scripts/demo-sentinel`, as a reader runs it.

use std::path::Path;
use std::process::{Command, Output};

fn demo() -> Command {
    let program = std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into());
    let mut command = Command::new("python3");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/demo-sentinel")).arg("--binary").arg(program);
    command
}

fn text(output: &Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{stdout}{stderr}")
}

#[test]
fn the_demonstration_runs_to_its_end() {
    let output = demo().output();
    let Ok(output) = output else {
        println!("SKIPPED: there is no python3");
        return;
    };
    let text = text(&output);
    if output.status.code() == Some(2) {
        println!("SKIPPED: {text}");
        return;
    }
    assert!(output.status.success(), "{text}");
    let steps = [
        "primary with 2 replicas",
        "WAIT 2: 2 replicas have all of them",
        "is killed",
        "the Sentinels agree",
        "has 1000 of the 1000 keys",
        "a partial resync",
        "Done: all servers and Sentinels have ended",
    ];
    let mut rest = text.as_str();
    for step in steps {
        rest = rest.split_once(step).unwrap_or_else(|| panic!("no {step:?} in:\n{text}")).1;
    }
}

#[test]
fn what_is_missing_is_named() {
    let Ok(found) = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output() else {
        println!("SKIPPED: there is no python3");
        return;
    };
    let python = String::from_utf8_lossy(&found.stdout).trim().to_string();
    let script = demo();
    let output = Command::new(python).args(script.get_args()).env("PATH", "/nowhere").output().expect("it was there");
    assert_eq!(output.status.code(), Some(2));
    let text = text(&output);
    assert!(text.contains("apt-get install redis-sentinel"), "{text}");
}
