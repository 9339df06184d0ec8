//! Random commands, given to this server in-process and to a genuine redis-server: every reply must be the same, byte
//! for byte.
//!
//! A family of commands adds a file with a function that makes up one command, and a line in `FAMILIES`. Replies must
//! not depend on how long the test takes: relative expiry times are far off and are not read back but for a check with
//! a tolerance.
//!
//! The seed of a failure is printed; `DIFFERENTIAL_SEED=n` runs that one alone.

#[path = "../support/mod.rs"]
mod support;

mod acl;
mod appended;
mod bitmaps;
mod events;
mod geo;
mod hashes;
mod hashes_newer;
mod hyperloglog;
mod interplay;
mod keys;
mod lists;
mod oracle;
mod sets;
mod sizes;
mod sorted_sets;
mod sorting;
mod source;
mod state;
mod streams;
mod strings;
mod transactions;
mod unordered;

use oneloop::config::{Config, ProtectedAction};
use oneloop::keyspace::Value;
use oneloop::resp::Protocol;
use oracle::Oracle;
use source::Source;
use support::Harness;

/// One command: its words.
type Words = Vec<Vec<u8>>;

/// What makes up commands of one kind. The weight says how many of them there are among all.
struct Generator {
    weight: usize,
    command: fn(&mut Source) -> Words,
}

impl Generator {
    const fn new(weight: usize, command: fn(&mut Source) -> Words) -> Generator {
        Generator { weight, command }
    }
}

const FAMILIES: &[Generator] = &[
    Generator::new(2, strings::command),
    Generator::new(1, keys::command),
    Generator::new(2, bitmaps::command),
    Generator::new(1, hyperloglog::command),
    Generator::new(2, geo::command),
    Generator::new(4, sorted_sets::command),
    Generator::new(3, streams::command),
    Generator::new(3, hashes::command),
    Generator::new(3, sets::command),
    Generator::new(3, lists::command),
];

/// By itself: once a number that was out of range has left its mark in `errno`, Redis 7 finds none among what it sorts.
const SORTING: &[Generator] = &[Generator::new(1, sorting::command)];

/// Commands newer than Redis 7.2, for a newer server.
const NEWER_FAMILIES: &[Generator] = &[
    Generator::new(2, hashes::command),
    Generator::new(3, hashes_newer::command),
    Generator::new(4, sorted_sets::command_newer),
];

const ROUNDS: u64 = 40;
const COMMANDS_PER_ROUND: usize = 900;
/// Commands sent at once; the state behind the replies is compared after each such piece.
const COMMANDS_PER_PIECE: usize = 150;

#[test]
fn replies_are_those_of_redis() {
    let Some(mut oracle) = Oracle::start("redis-server") else {
        assert!(
            std::env::var("CI").as_deref() != Ok("true"),
            "redis-server is not on the PATH: this test must not be skipped here"
        );
        eprintln!("SKIPPED: redis-server is not on the PATH, nothing was compared");
        return;
    };
    rounds(&mut oracle, FAMILIES);
    rounds(&mut oracle, SORTING);
}

#[test]
fn users_may_do_what_they_may_in_redis() {
    let newer = std::env::var("NEWER_REDIS_SERVER").unwrap_or_default();
    for (program, is_newer) in [("redis-server", false), (newer.as_str(), true)] {
        let Some(mut oracle) = Oracle::start(program) else {
            eprintln!("SKIPPED: no server '{program}', nothing was compared");
            continue;
        };
        (0..ROUNDS).for_each(|seed| acl::round(&mut oracle, FAMILIES, seed, is_newer));
    }
}

/// `NEWER_REDIS_SERVER` names a server of version 8.2.
#[test]
fn newer_replies_are_those_of_a_newer_redis() {
    let program = std::env::var("NEWER_REDIS_SERVER").unwrap_or_default();
    let Some(mut oracle) = Oracle::start(&program) else {
        eprintln!("SKIPPED: NEWER_REDIS_SERVER names no server, nothing was compared");
        return;
    };
    rounds(&mut oracle, NEWER_FAMILIES);
}

/// The same server.
#[test]
fn sizes_of_keys_are_those_of_a_newer_redis() {
    let program = std::env::var("NEWER_REDIS_SERVER").unwrap_or_default();
    let Some(mut oracle) = Oracle::start(&program) else {
        eprintln!("SKIPPED: NEWER_REDIS_SERVER names no server, nothing was compared");
        return;
    };
    (0..ROUNDS).for_each(|seed| sizes::round(&mut oracle, seed));
}

fn rounds(oracle: &mut Oracle, families: &[Generator]) {
    match std::env::var("DIFFERENTIAL_SEED") {
        Ok(seed) => round(oracle, families, seed.parse().expect("a number")),
        Err(_) => (0..ROUNDS).for_each(|seed| round(oracle, families, seed)),
    }
}

/// The settings under which both servers run.
fn config() -> Config {
    Config {
        proto_max_bulk_len: oracle::BULK_MAX_BYTES as u64,
        enable_debug_command: ProtectedAction::Yes,
        ..Config::default()
    }
}

fn round(oracle: &mut Oracle, families: &[Generator], seed: u64) {
    let mut server = Harness::with_config(config());
    server.set_clock_to_now();
    // Every other round speaks RESP3.
    let (version, protocol) = match seed % 2 {
        0 => ("2", Protocol::Resp2),
        _ => ("3", Protocol::Resp3),
    };
    oracle.run(&[words("FLUSHALL"), words("DEBUG SET-ACTIVE-EXPIRE 0"), words(&format!("HELLO {version}"))]);
    server.set_protocol(protocol);
    oracle.take_appended();
    server.propagate();
    // Both begin with the database that they append to.
    let select = [words("SELECT 1"), words("SET a b"), words("DEL a"), words("SELECT 0")];
    oracle.run(&select);
    for command in select {
        let args: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        server.run_as(server.client, &args);
    }
    oracle.take_appended();
    server.take_propagated();
    let mut source = Source::new(seed);
    let mut history: Vec<Words> = Vec::new();
    while history.len() < COMMANDS_PER_ROUND {
        let piece: Vec<Words> = (0..COMMANDS_PER_PIECE).map(|_| draw(&mut source, families)).collect();
        let expected = oracle.run(&piece);
        let mut failed = Vec::new();
        for (command, expected) in piece.iter().zip(expected) {
            history.push(command.clone());
            if expected.starts_with(b"-") {
                failed.push(command.clone());
            }
            let args: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
            let has_order = has_order(&mut server, command);
            let mut reply = server.run_as(server.client, &args);
            let mut expected = expected;
            if !has_order || unordered::is_of_sets(command) {
                reply = unordered::in_order(command, reply);
                expected = unordered::in_order(command, expected);
            }
            if reply != expected && !is_encoding_of_small_list(&reply, &expected) {
                panic!(
                    "seed {seed}, command {}:\n{}\nRedis:   {}\nOneloop: {}",
                    history.len(),
                    story(&history),
                    shown(&expected),
                    shown(&reply)
                );
            }
        }
        let appended = appended::compare(oracle, &mut server, &failed);
        if let Err(difference) = appended.and_then(|()| state::compare(oracle, &mut server)) {
            panic!("seed {seed}, after {} commands: {difference}", history.len());
        }
    }
}

/// Whether the elements of what is at a command's keys have an order that both servers keep: those of a table have
/// none.
fn has_order(server: &mut Harness, command: &Words) -> bool {
    let keyspace = &server.state.keyspace;
    command[1..].iter().all(|key| {
        // Without removing it if it has expired: that is up to the command.
        let record = keyspace.database(0).get(keyspace.hash(key), key);
        !record.is_some_and(|record| matches!(record.value(), Value::Object(_)))
    })
}

/// Whether the replies differ because Redis 7.2 has another encoding for small lists than 7.0 had.
fn is_encoding_of_small_list(reply: &[u8], expected: &[u8]) -> bool {
    reply == b"$8\r\nlistpack\r\n" && expected == b"$9\r\nquicklist\r\n"
}

/// A command of one of these kinds.
fn draw(source: &mut Source, generators: &[Generator]) -> Words {
    let total = generators.iter().map(|generator| generator.weight).sum();
    let mut drawn = source.below(total);
    for generator in generators {
        match drawn.checked_sub(generator.weight) {
            Some(rest) => drawn = rest,
            None => return (generator.command)(source),
        }
    }
    unreachable!("the weights add up to the total")
}

/// The last command and those before it that share a key with it.
fn story(history: &[Words]) -> String {
    let Some((last, before)) = history.split_last() else {
        return String::new();
    };
    let related = before.iter().filter(|words| words[1..].iter().any(|word| last[1..].contains(word)));
    let mut lines: Vec<String> = related.map(line).collect();
    lines.drain(..lines.len().saturating_sub(12));
    lines.push(line(last));
    lines.join("\n")
}

fn line(words: &Words) -> String {
    words.iter().map(|word| shown(word)).collect::<Vec<_>>().join(" ")
}

fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 300;
    let text = bytes[..bytes.len().min(LONGEST)].escape_ascii().to_string();
    if bytes.len() > LONGEST { format!("{text}… ({} bytes)", bytes.len()) } else { text }
}

/// The words of a command that has no spaces in them.
fn words(text: &str) -> Words {
    text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}
