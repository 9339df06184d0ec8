//! Units of work: whatever a command does, and however it is refused, no unit is open after it.

use oneloop::command::registry::{Command, Registry};
use oneloop::commands::FAMILIES;
use oneloop::config::Config;
use oneloop::engine::nesting::Nesting;
use oneloop::engine::session::Token;

use crate::key_access::fill;
use crate::support::Harness;
use crate::support::requests::request_with;

/// Requests for each command.
const TRIES: usize = 6;
const NUMBERS: &[&str] = &["1", "0", "2", "-1", "x"];
/// Commands that write files.
const LEFT_OUT: [&str; 4] = ["save", "bgsave", "backup|to", "bgrewriteaof"];
/// Runs its arguments as a command.
const SCRIPT: &str = "return redis.pcall(unpack(ARGV))";

fn run(server: &mut Harness, client: Token, words: &[String]) {
    let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    server.run_as(client, &words);
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(String::from).collect()
}

/// Runs a command by itself, from a transaction and from a script.
fn run_in_every_way(server: &mut Harness, request: &[String]) {
    let client = server.connect();
    run(server, client, request);
    assert_closed(server, request, "by itself");

    let client = server.connect();
    run(server, client, &words("multi"));
    run(server, client, request);
    assert_closed(server, request, "queued");
    run(server, client, &words("exec"));
    assert_closed(server, request, "in a transaction");

    let client = server.connect();
    let script = ["eval", SCRIPT, "0"].map(String::from);
    run(server, client, &[&script, request].concat());
    assert_closed(server, request, "in a script");
}

#[track_caller]
fn assert_closed(server: &Harness, request: &[String], way: &str) {
    assert_eq!(server.state.nesting, Nesting::default(), "{request:?} {way}");
    assert!(!server.state.is_amid_unit());
}

/// Runs every command of the table on servers with these settings. A client waits for keys that some of them make.
fn run_all(make: impl Fn() -> Harness) {
    let mut random = fastrand::Rng::with_seed(7);
    let registry = Registry::new(FAMILIES);
    let is_run = |command: &&Command| !LEFT_OUT.contains(&&*command.full_name);
    for command in registry.iter().filter(is_run) {
        let mut server = make();
        for _ in 0..TRIES {
            let waiting = server.connect();
            run(&mut server, waiting, &words("blpop new1 new2 COPY l1x 0"));
            let request = request_with(command, &mut random, NUMBERS);
            run_in_every_way(&mut server, &request);
        }
    }
}

fn filled(config: Config) -> Harness {
    let mut server = Harness::with_config(config);
    fill(&mut server);
    server
}

#[test]
fn no_unit_is_open_after_a_command() {
    run_all(|| filled(Config::default()));
}

#[test]
fn no_unit_is_open_after_a_command_refused_for_want_of_memory() {
    run_all(|| {
        let mut server = filled(Config::default());
        server.expect("config set maxmemory 1", "+OK\r\n");
        server
    });
}

#[test]
fn no_unit_is_open_after_a_command_refused_to_a_user() {
    run_all(|| {
        let mut server = filled(Config::default());
        server.expect("acl setuser default -@all +eval +multi +exec", "+OK\r\n");
        server
    });
}
