//! The program as it is started: what it makes of its command line, and the title that it shows.

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::process::Command;

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
