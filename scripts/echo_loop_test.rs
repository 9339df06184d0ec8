//! The echo loops as processes: what they print, and that they survive running out of file descriptors.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running echo loop, ended with the test.
struct Echo {
    child: Child,
    address: String,
}

impl Echo {
    /// Starts a program that may have so many files open.
    fn start(program: &str, files_max: u32) -> Echo {
        let mut child = Command::new("prlimit")
            .arg(format!("--nofile={files_max}:{files_max}"))
            .arg(program)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("prlimit runs");
        let output = child.stdout.take().expect("its output is piped");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("it prints text");
        let address = line.trim_end().strip_prefix("listening on ");
        let address = address.unwrap_or_else(|| panic!("it printed {line:?}"));
        Echo { child, address: address.to_string() }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("the kernel accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(stream: &mut TcpStream, expected: &str) {
    stream.write_all(b"PING\r\n").expect("it reads");
    let mut reply = vec![0; expected.len()];
    stream.read_exact(&mut reply).expect("a reply");
    assert_eq!(String::from_utf8_lossy(&reply), expected);
}

#[test]
fn clients_wait_while_file_descriptors_have_run_out() {
    let programs = [(env!("CARGO_BIN_EXE_echo"), "+OK\r\n"), (env!("CARGO_BIN_EXE_fair-loop"), "PING\r\n")];
    programs.into_iter().for_each(|(program, reply)| clients_wait_for_file_descriptors(program, reply));
}

fn clients_wait_for_file_descriptors(program: &str, reply: &str) {
    let mut echo = Echo::start(program, 16);
    let mut first: Vec<TcpStream> = (0..32).map(|_| echo.connect()).collect();
    ask(&mut first[0], reply);
    let mut errors = BufReader::new(echo.child.stderr.take().expect("its errors are piped"));
    let mut line = String::new();
    errors.read_line(&mut line).expect("it prints text");
    assert!(line.contains("cannot accept a connection"), "{line}");
    // Each that leaves makes room for one that waits, though the kernel reports nothing for the latter.
    while let Some(mut stream) = (!first.is_empty()).then(|| first.remove(0)) {
        ask(&mut stream, reply);
    }
    ask(&mut echo.connect(), reply);
    assert!(echo.child.try_wait().expect("it is a child").is_none());
}

#[test]
fn help_is_given_and_nonsense_refused() {
    let run = |argument: &str| Command::new(env!("CARGO_BIN_EXE_echo")).arg(argument).output().expect("it runs");
    let help = run("--help");
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).starts_with("Usage: echo [PORT]"));
    let refused = run("seven");
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Usage: echo [PORT]"));
    let fair = Command::new(env!("CARGO_BIN_EXE_fair-loop")).arg("seven").output().expect("it runs");
    assert_eq!((fair.status.code(), fair.stderr), (Some(2), b"Usage: fair-loop [PORT]\n".to_vec()));
}
