//! Keyspace events: random commands, and what is told of them, message for message.

use oneloop::engine::session::Token;

use super::oracle::{Listener, Oracle};
use super::source::Source;
use super::support::Harness;
use super::{FAMILIES, Words, config, draw, shown, story, words};

/// The channel on which the end of each command is marked.
const MARK: &str = "__key:mark";
const ROUNDS: u64 = 12;
const COMMANDS_PER_ROUND: usize = 900;
const COMMANDS_PER_PIECE: usize = 100;

#[test]
fn events_are_those_of_redis() {
    let Some(mut oracle) = Oracle::start("redis-server") else {
        eprintln!("SKIPPED: redis-server is not on the PATH, nothing was compared");
        return;
    };
    // The server under test runs no active cycle either.
    oracle.run(&[words("CONFIG SET notify-keyspace-events KEAmn"), words("DEBUG SET-ACTIVE-EXPIRE 0")]);
    match std::env::var("DIFFERENTIAL_SEED") {
        Ok(seed) => round(&mut oracle, seed.parse().expect("a number")),
        Err(_) => (0..ROUNDS).for_each(|seed| round(&mut oracle, seed)),
    }
}

fn round(oracle: &mut Oracle, seed: u64) {
    let mut server = Harness::with_config(config());
    server.set_clock_to_now();
    server.expect("config set notify-keyspace-events KEAmn", "+OK\r\n");
    let ear = server.connect();
    server.run_as(ear, &[b"psubscribe", b"__key*"]);
    oracle.run(&[words("FLUSHALL")]);
    let mut listener = oracle.listen("__key*");
    let mut source = Source::new(seed);
    let mut history: Vec<Words> = Vec::new();
    let mark = words(&format!("PUBLISH {MARK} end"));
    while history.len() < COMMANDS_PER_ROUND {
        let piece: Vec<Words> = (0..COMMANDS_PER_PIECE).map(|_| draw(&mut source, FAMILIES)).collect();
        let marked: Vec<Words> = piece.iter().flat_map(|command| [command.clone(), mark.clone()]).collect();
        oracle.run(&marked);
        for command in piece {
            let args: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
            server.run_as(server.client, &args);
            let told = told(&mut server, ear);
            let expected = expected(&mut listener);
            history.push(command);
            assert!(
                told == expected || [&told, &expected].into_iter().any(|told| makes_consumer(history.last(), told)),
                "seed {seed}, command {}:\n{}\nRedis:   {}\nOneloop: {}",
                history.len(),
                story(&history),
                shown(&expected),
                shown(&told)
            );
        }
    }
}

/// What the listener of the server in this process was told.
fn told(server: &mut Harness, ear: Token) -> Vec<u8> {
    server.pushed(ear)
}

/// Whether a command makes a consumer by the way: since Redis 7.2 it does even if that consumer gets nothing.
fn makes_consumer(command: Option<&Words>, told: &[u8]) -> bool {
    const NEW_CONSUMER: &[u8] = b"xgroup-createconsumer";
    let name = command.map(|words| words[0].to_ascii_uppercase());
    let is_told = told.windows(NEW_CONSUMER.len()).any(|part| part == NEW_CONSUMER);
    is_told && name.is_some_and(|name| name != b"XGROUP")
}

/// What a listener of the genuine server was told by one command.
fn expected(listener: &mut Listener) -> Vec<u8> {
    let mut told = Vec::new();
    loop {
        let message = listener.next();
        if message.windows(MARK.len()).any(|part| part == MARK.as_bytes()) {
            return told;
        }
        told.extend_from_slice(&message);
    }
}
