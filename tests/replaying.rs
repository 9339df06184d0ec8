//! What `oneloop replay` does with a recording besides running it again: a prompt, a server on its state, other settings,
//! the smallest part of it that still does something.

#[path = "support/server.rs"]
mod server;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use server::{PATIENCE, Raw, Server};

/// A file that is not there yet.
fn fresh(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("replaying-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

/// What `work` does with a server, recorded.
fn record(name: &str, options: &[&str], work: impl FnOnce(&Server)) -> PathBuf {
    let path = fresh(name);
    let text = path.to_str().expect("a name in UTF-8");
    let options = [&["--record", text, "--save", "", "--enable-debug-command", "yes"], options].concat();
    let mut server = Server::start(&options);
    work(&server);
    server.signal("TERM");
    server.wait();
    path
}

fn replay_command(path: &Path, options: &[&str]) -> Command {
    let program = std::env::var_os("ONELOOP_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_oneloop").into());
    let mut command = Command::new(program);
    command.arg("replay").arg(path).args(options);
    command
}

fn told(output: &Output) -> (i32, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().expect("an exit status"), text)
}

fn replay(path: &Path, options: &[&str]) -> (i32, String) {
    told(&replay_command(path, options).output().expect("it runs"))
}

/// The same, with something typed at its prompt.
fn replay_typing(path: &Path, options: &[&str], typed: &str) -> String {
    let mut command = replay_command(path, options);
    let mut process =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    process.stdin.take().expect("a pipe").write_all(typed.as_bytes()).expect("it is read");
    let (status, text) = told(&process.wait_with_output().expect("it ends"));
    assert_eq!(status, 0, "{text}");
    text
}

#[track_caller]
fn assert_parts(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let place = rest.find(part);
        rest = &rest[place.unwrap_or_else(|| panic!("{part:?} is missing, or comes too early, in:\n{text}"))..];
    }
}

#[test]
fn a_prompt_steps_through_turns_and_requests_and_shows_what_is_there() {
    let path = record("stepped", &[], |server| {
        let (mut one, mut other) = (server.connect(), server.connect());
        one.ask("SET greeting hello EX 1000", "+OK\r\n");
        other.ask("RPUSH letters a b c", ":3\r\n");
        one.ask("GET greeting", "$5\r\nhello\r\n");
        other.ask("MULTI", "+OK\r\n");
        other.ask("INCR number", "+QUEUED\r\n");
        one.ask("LPOP letters", "$1\r\na\r\n");
        one.ask("SET short x PX 1", "+OK\r\n");
        std::thread::sleep(std::time::Duration::from_millis(300));
        one.ask("PING", "+PONG\r\n");
    });
    let typed = "help\nrequest\nkey greeting\nwho greeting\nwho letters\nr\nkey letters\nclients\nkey nothing\nnonsense\n\
                 \n\n\nrun\nwho letters\nwho short\nwho greeting 1\nwho greeting 99\nrequest\nquit\n";
    let text = replay_typing(&path, &["--step"], typed);
    assert_parts(
        &text,
        &[
            "> next, n",
            "request 1, client ",
            ": SET greeting hello EX 1000\n  \"+OK\\r\\n\"\n",
            "> string, embstr, 1000000 ms to live\n\"hello\"\n",
            ": SET greeting hello EX 1000\n",
            "> Nothing has written it since the start.\n",
            ": RPUSH letters a b c\n  \":3\\r\\n\"\n",
            "> list, listpack, no time to live\n  \"a\"\n  \"b\"\n  \"c\"\n3 in all\n",
            "1 commands\n",
            "> There is no such key in database 0.\n",
            "> Unknown, or not so many words",
            ": GET greeting\n  \"$5\\r\\nhello\\r\\n\"\n",
            ": MULTI\n",
            ": INCR number\n",
            "The recording is over after turn ",
            ": LPOP letters\n",
            ": its time was over\n",
            "> Nothing has written it since the start.\n",
            "> There is no such database.\n",
            "> The recording is over.\n",
        ],
    );
    // The clients' numbers are known now, and the turn of the transaction.
    let queued = text.lines().find(|line| line.ends_with(": INCR number")).expect("it is shown");
    let numbers: Vec<u64> = queued.split([' ', ',', ':']).filter_map(|word| word.parse().ok()).collect();
    let [turn, _, client] = numbers[..] else { panic!("{queued}") };
    let typed = format!("run {turn}\nclient {client}\nclient 99999\nrun 1\nnext\nkey number\n");
    let text = replay_typing(&path, &["--step"], &typed);
    assert_parts(
        &text,
        &[
            &format!("> Turn {turn} is over: 1 requests\n"),
            &format!("> id={client} "),
            "multi=1",
            "Queued since MULTI: 1 requests\n  INCR number\n",
            "Replies that were not sent: \"\"\n",
            "Input that was not run: \"\"\n",
            "> There is no such client.\n",
            &format!("> A turn after {turn} is wanted.\n"),
            &format!("> Turn {} is over: ", turn + 1),
            "> There is no such key in database 0.\n",
        ],
    );
    // What was shown has changed nothing.
    let text = replay_typing(&path, &["--step"], "run\nquit\n");
    assert_parts(&text, &["The recording is over after turn "]);
    fs::remove_file(path).expect("it is there");
}

#[test]
fn a_server_on_the_state_of_a_recording_can_be_looked_at() {
    let path = record("served", &["--maxclients", "3"], |server| {
        let (mut one, mut other) = (server.connect(), server.connect());
        one.ask("SET greeting hello EX 1000", "+OK\r\n");
        one.ask("CLIENT SETNAME first", "+OK\r\n");
        other.ask("SUBSCRIBE news", "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
        one.ask("SET short x PX 60", "+OK\r\n");
    });
    let mut command = replay_command(&path, &["--serve", "0"]);
    let mut process = command.stdout(Stdio::piped()).spawn().expect("it runs");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    assert_parts(&line, &["The state after turn ", " is served on 127.0.0.1:", ", until SHUTDOWN or a signal."]);
    let port = line.split([':', ',']).find_map(|word| word.parse::<u16>().ok()).expect("a port");
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Raw { stream }
    };
    let mut client = connect();
    client.ask("GET greeting", "$5\r\nhello\r\n");
    client.ask("PTTL greeting", ":1000000\r\n");
    std::thread::sleep(std::time::Duration::from_millis(100));
    client.ask("PTTL greeting", ":1000000\r\n");
    client.ask("EXISTS short", ":1\r\n");
    // The recorded clients are there, but nothing reaches them.
    client.ask("PUBLISH news hello", ":1\r\n");
    client.send("CLIENT LIST\r\n");
    let length: usize = client.line().trim_start_matches('$').parse().expect("a length");
    let list: Vec<String> = (0..3).map(|_| client.line()).collect();
    assert!(length > 100 && list.iter().any(|line| line.contains("name=first")), "{list:?}");
    client.line();
    // It takes changes and keeps none.
    client.ask("SET greeting other", "+OK\r\n");
    client.ask("EVAL \"return redis.call('get', 'greeting')\" 0", "$5\r\nother\r\n");
    client.ask("SAVE", "-ERR\r\n");
    client.ask("CONFIG REWRITE", "-ERR The server is running without a config file\r\n");
    connect().ask("DBSIZE", ":2\r\n");
    client.send("SHUTDOWN\r\n");
    assert!(process.wait().expect("it ends").success());
    fs::remove_file(path).expect("it is there");
}
