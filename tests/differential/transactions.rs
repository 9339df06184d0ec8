//! Transactions of several clients that change what the others watch: every reply must be that of a genuine server.

use oneloop::engine::session::Token;

use super::oracle::{Connection, Oracle};
use super::source::Source;
use super::support::Harness;
use super::{Words, config, line, shown, words};

const CLIENTS: usize = 3;
const ROUNDS: u64 = 10;
const COMMANDS_PER_ROUND: usize = 6000;

/// What the clients draw from; what stands here more often is drawn more often.
const COMMANDS: [&str; 36] = [
    "MULTI",
    "MULTI",
    "EXEC",
    "EXEC",
    "EXEC",
    "DISCARD",
    "WATCH k",
    "WATCH k",
    "WATCH k k k",
    "WATCH k k",
    "UNWATCH",
    "EXEC now",
    "MULTI now",
    "NOSUCH",
    "SET k",
    "SHUTDOWN NOSAVE",
    "SET k 1",
    "SET k 2",
    "GET k",
    "DEL k",
    "INCR k",
    "LPUSH k x",
    "BLPOP k 0",
    "BRPOPLPUSH k k 0",
    "RENAME k k",
    "COPY k k",
    "EXPIRE k 100",
    "PEXPIRE k -1",
    "MOVE k 1",
    "SELECT 1",
    "SELECT 0",
    "SWAPDB 0 1",
    "FLUSHDB",
    "TOUCH k",
    "PUBLISH k x",
    "PERSIST k",
];

#[test]
fn transactions_are_those_of_redis() {
    let Some(oracle) = Oracle::start("redis-server") else {
        eprintln!("SKIPPED: redis-server is not on the PATH, nothing was compared");
        return;
    };
    match std::env::var("DIFFERENTIAL_SEED") {
        Ok(seed) => round(&oracle, seed.parse().expect("a number")),
        Err(_) => (0..ROUNDS).for_each(|seed| round(&oracle, seed)),
    }
}

fn round(oracle: &Oracle, seed: u64) {
    let mut server = Harness::with_config(config());
    server.set_clock_to_now();
    let mut clients: Vec<(Connection, Token)> = (0..CLIENTS).map(|_| (oracle.connect(), server.connect())).collect();
    clients[0].0.ask(&words("FLUSHALL"));
    let mut source = Source::new(seed);
    let mut history: Vec<String> = Vec::new();
    let (mut run, mut given_up) = (0, 0);
    for number in 0..COMMANDS_PER_ROUND {
        let client = source.below(CLIENTS);
        let command = command(&mut source);
        let (connection, token) = &mut clients[client];
        // Outside of a transaction these would wait.
        let is_queuing = server.state.clients.get(*token).is_some_and(|session| session.transaction.is_some());
        let would_wait = command[0].starts_with(b"B") || command[0] == b"SHUTDOWN";
        if would_wait && !is_queuing {
            continue;
        }
        history.push(format!("{client}: {}", line(&command)));
        let expected = connection.ask(&command);
        let args: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        let reply = server.run_as(*token, &args);
        assert!(
            reply == expected,
            "seed {seed}, command {number}:\n{}\nRedis:   {}\nOneloop: {}",
            history[history.len().saturating_sub(30)..].join("\n"),
            shown(&expected),
            shown(&reply)
        );
        run += usize::from(command[0] == b"EXEC" && reply.starts_with(b"*") && reply[1] > b'0');
        given_up += usize::from(reply == b"*-1\r\n");
    }
    assert!(run >= 10 && given_up > 5, "{run} were run, {given_up} given up");
}

/// One of the commands, with keys in place of each `k`.
fn command(source: &mut Source) -> Words {
    let text = COMMANDS[source.below(COMMANDS.len())];
    let keys: [&[u8]; 3] = [b"a", b"b", b"c"];
    let mut command = words(text);
    for word in &mut command {
        if word == b"k" {
            *word = keys[source.below(keys.len())].to_vec();
        }
    }
    command
}
