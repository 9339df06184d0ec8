//! Two servers with one seed, a virtual clock and readings that are given answer the same commands with the same bytes,
//! whatever else differs: addresses, the process's own seeds, the machine.
//!
//! `DETERMINISM_SEED` chooses the commands.

mod support;

use std::fs::File;
use std::io::{BufWriter, Write};

use fastrand::Rng;
use oneloop::base::entropy::Entropy;
use oneloop::base::sys::allocator::Allocator;
use oneloop::base::sys::machine::{Machine, Readings};
use oneloop::base::sys::resources::ProcessorTime;
use oneloop::config::{Config, ProtectedAction};
use oneloop::engine::session::Token;
use oneloop::engine::wake;
use oneloop::reactor::cron::Cron;
use oneloop::reactor::jobs::Jobs;

use support::Harness;

/// The memory limit is part of what is compared, so memory is counted as in the server.
#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

const COMMANDS: usize = 6_000;
const CLIENTS: usize = 8;

/// Commands of all types. `{k}` stands for a small number, `{m}` for a member, `{n}` for a number, `{v}` for a text, `{w}` for a
/// longer one, `{t}`
/// for a time, `{any}` for a key of any type.
const TEMPLATES: &[&str] = &[
    "SET s{k} {v}",
    "SET s{k} {v} PX {t}",
    "SET k{n} {w}",
    "MSET k{n} {w} k{n} {w} k{n} {w} k{n} {w} k{n} {w}",
    "MSET k{n} {w} k{n} {w} k{n} {w} k{n} {w} k{n} {w}",
    "MSET k{n} {w} k{n} {w} k{n} {w} k{n} {w} k{n} {w}",
    "HSET k{n} {m} {v} {m} {v} {m} {v} {m} {v}",
    "GET k{n}",
    "APPEND s{k} {v}",
    "INCRBY n{k} {n}",
    "SETRANGE s{k} {n} x",
    "GETDEL s{k}",
    "SETBIT s{k} {n} 1",
    "PEXPIRE {any} {t}",
    "EXPIRE {any} 1",
    "PERSIST {any}",
    "LPUSH l{k} {v} {m}",
    "RPUSH l{k} {v} {m} {n}",
    "RPOP l{k} 2",
    "LRANGE l{k} 0 -1",
    "LMOVE l{k} l{k} LEFT RIGHT",
    "SADD S{k} {m} {m} {m} {m}",
    "SADD I{k} {n} {n} {n}",
    "SREM S{k} {m}",
    "SPOP S{k}",
    "SPOP I{k} 3",
    "SRANDMEMBER S{k} 4",
    "SRANDMEMBER S{k} -5",
    "SMEMBERS S{k}",
    "SUNIONSTORE S{k} S{k} I{k}",
    "SDIFF S{k} S{k}",
    "SINTERCARD 2 S{k} S{k}",
    "HSET h{k} {m} {v} {m} {v} {m} {n}",
    "HRANDFIELD h{k} 3 WITHVALUES",
    "HRANDFIELD h{k} -3",
    "HGETALL h{k}",
    "HDEL h{k} {m}",
    "HPEXPIRE h{k} {t} FIELDS 1 {m}",
    "ZADD z{k} {n} {m} {n} {m} {n} {m}",
    "ZRANDMEMBER z{k} 3 WITHSCORES",
    "ZRANDMEMBER z{k} -3",
    "ZUNIONSTORE z{k} 2 z{k} z{k}",
    "ZPOPMIN z{k}",
    "ZRANGE z{k} 0 -1 WITHSCORES",
    "XADD x{k} * f {v}",
    "XADD x{k} MAXLEN ~ 20 * f {v}",
    "XGROUP CREATE x{k} g 0 MKSTREAM",
    "XREADGROUP GROUP g c{k} COUNT 2 STREAMS x{k} >",
    "XINFO STREAM x{k} FULL",
    "PFADD p{k} {m} {n}",
    "PFCOUNT p{k} p{k}",
    "GEOADD g{k} 13.361389 38.115556 {m} 15.087269 37.502669 {m}",
    "GEOSEARCH g{k} FROMLONLAT 15 37 BYRADIUS 300 km ASC",
    "RANDOMKEY",
    "SCAN {n} COUNT 20",
    "SSCAN S{k} 0",
    "HSCAN h{k} 0",
    "KEYS *1*",
    "SORT S{k} ALPHA BY nosort",
    "DEL {any}",
    "UNLINK {any}",
    "COPY {any} {any}",
    "RENAME {any} {any}",
    "OBJECT ENCODING {any}",
    "OBJECT IDLETIME {any}",
    "OBJECT FREQ {any}",
    "MEMORY USAGE {any}",
    "DUMP {any}",
    "BLPOP l{k} l{k} 0.05",
    "BZPOPMIN z{k} 0.05",
    "PUBLISH news.{k} {v}",
    "PUBLISH channel{k} {v}",
    "SUBSCRIBE news.{k} channel{k}",
    "PSUBSCRIBE news.* n* *{k} ne?s.{k} news.[0-{k}] *{n}",
    "UNSUBSCRIBE news.{k}",
    "PUNSUBSCRIBE *{k}",
    "PUBSUB CHANNELS",
    "PUBSUB NUMPAT",
    "CLIENT TRACKING ON",
    "CLIENT TRACKING OFF",
    "CLIENT TRACKING ON BCAST PREFIX s PREFIX h PREFIX S1",
    "GET s{k}",
    "MGET s{k} s{k} s{k}",
    "WATCH {any} {any} {any}",
    "UNWATCH",
    "MULTI",
    "EXEC",
    "EXEC",
    "EXEC",
    "DISCARD",
    "ACL GENPASS",
    "ACL SETUSER user{k} on >{v} ~s* &news.* +@read",
    "ACL LIST",
    "ACL LOG",
    "CLIENT LIST",
    "CLIENT INFO",
    "INFO everything",
    "INFO memory",
    "MEMORY STATS",
    "MEMORY DOCTOR",
    "DEBUG DIGEST",
    "DBSIZE",
    "FUNCTION LIST",
    "FCALL f{k} 1 s{k} {v}",
    "SCRIPT EXISTS {v}",
    "SLOWLOG GET",
    "COMMAND LIST FILTERBY PATTERN x*",
    "CONFIG SET maxmemory-policy allkeys-random",
    "CONFIG SET maxmemory-policy allkeys-lru",
    "CONFIG SET maxmemory-policy allkeys-lfu",
    "CONFIG SET maxmemory-policy volatile-ttl",
    "NOSUCH{n} {v}",
    "LPUSH s{k} wrong",
];

/// Scripts on one key, with one argument.
const SCRIPTS: &[&str] = &[
    "return {tostring({}), math.random(1000), tostring(redis.call), tostring(function() end)}",
    "redis.call('SET', KEYS[1], math.random()) return redis.call('RANDOMKEY')",
    "local r = {} for k in pairs({a=1,b=2,c=3,d=4,[ARGV[1]]=5}) do r[#r+1] = k end return r",
    "local t = {} redis.call('LPUSH', 'l1', tostring(t), tostring(t), tostring(coroutine.create(function() end)))",
    "for i = 1, 50 do redis.call('SADD', 'S'..i % 7, i, 'm'..i) end return redis.call('SPOP', 'S3', 2)",
    "return redis.call('SRANDMEMBER', 'S1', -4)",
    "return redis.pcall('NOSUCH', KEYS[1])",
    "return error({tostring({})})",
    "error(tostring({}))",
    "return cjson.encode({x=ARGV[1], y={1,2,3}, z=collectgarbage('count')})",
];

const LIBRARY: &str = "#!lua name=lib\n\
    for i = 0, 9 do redis.register_function('f'..i, function(keys, args)\n\
    redis.call('SET', keys[1], tostring({})..args[1]) return math.random(i + 1) end) end";

/// What fills the templates in.
fn word(random: &mut Rng, template: &str) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').expect("a name ends");
        text.push_str(before);
        let number = random.u32(..10);
        match name {
            "k" => text.push_str(&number.to_string()),
            "m" => text.push_str(&format!("member:{}", random.u32(..400))),
            "n" => text.push_str(&random.u32(..2000).to_string()),
            "w" => text.push_str(&"w".repeat(random.usize(1000..4000))),
            "v" => text.push_str(&"v".repeat(random.usize(1..300))),
            "t" => text.push_str(&random.u32(1..400).to_string()),
            "any" => text.push_str(&format!("{}{number}", char::from(b"snlSIhzxpg"[random.usize(..10)]))),
            _ => panic!("no such placeholder: {name}"),
        }
        rest = after;
    }
    text + rest
}

fn next_command(random: &mut Rng) -> Vec<String> {
    if random.u32(..8) == 0 {
        let script = SCRIPTS[random.usize(..SCRIPTS.len())];
        let argument = word(random, "{m}");
        return vec!["EVAL".into(), script.into(), "1".into(), word(random, "s{k}"), argument];
    }
    let template = TEMPLATES[random.usize(..TEMPLATES.len())];
    template.split(' ').map(|part| word(random, part)).collect()
}

fn machine() -> Machine {
    let time = ProcessorTime { user_us: 1_500_000, system_us: 20 };
    Machine::Scripted(Box::new(Readings {
        process_id: 4711,
        operating_system: "Linux 6 test".to_string(),
        total_memory_bytes: 8 << 30,
        // So little that no thread is asked to give memory back.
        resident_bytes: 9 << 20,
        processor_times: [time; 3],
        allocator_statistics: String::new(),
    }))
}

/// One server. What it answers goes to a file at once, each command with the bytes that came of it: what is kept here
/// would count as the server's memory.
struct Run {
    server: Harness,
    cron: Cron,
    jobs: Jobs,
    clients: Vec<Token>,
    output: BufWriter<File>,
    answered: usize,
}

impl Run {
    fn new(server_seed: u64, output: File) -> Run {
        let config = Config { enable_debug_command: ProtectedAction::Yes, ..Config::default() };
        let mut server = Harness::with_entropy(config, &Entropy::Seeded(server_seed));
        server.state.machine = machine();
        server.propagate();
        let (cron, jobs) = (Cron::new(&server.state), Jobs::default());
        let clients = (0..CLIENTS).map(|_| server.connect()).collect();
        let mut run = Run { server, cron, jobs, clients, output: BufWriter::new(output), answered: 0 };
        // In RESP2 a client that listens to something can do little else.
        for client in 0..CLIENTS - 1 {
            run.ask(client, &["HELLO", "3"].map(String::from));
        }
        run.ask(0, &["CONFIG", "SET", "notify-keyspace-events", "KEA"].map(String::from));
        run.ask(0, &["FUNCTION", "LOAD", LIBRARY].map(String::from));
        let limit = (run.server.state.used_memory() + (3 << 20)).to_string();
        run.ask(0, &["CONFIG", "SET", "maxmemory", &limit, "maxmemory-policy", "allkeys-lfu"].map(String::from));
        run
    }

    fn note(&mut self, what: &str, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.answered += 1;
            let line = writeln!(self.output, "#{} {what}\t{}", self.answered, bytes.escape_ascii());
            line.expect("the answers are written");
        }
    }

    /// Has a client run a command, unless it waits for keys.
    fn ask(&mut self, client: usize, words: &[String]) {
        let token = self.clients[client];
        if self.server.state.clients.get(token).is_none_or(|session| session.blocked.is_some()) {
            return;
        }
        let args: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        let bytes = self.server.run_as(token, &args);
        self.note(&format!("client {client}: {}", words.join(" ")), &bytes);
    }

    /// What the loop does between its turns, and what it has brought.
    fn go_on(&mut self, duration_ms: u64) {
        self.server.advance_ms(duration_ms);
        let state = &mut self.server.state;
        wake::run_timeouts(state);
        if self.cron.is_due(state.clock.monotonic_us()) {
            self.cron.tick(state, &mut self.jobs);
        }
        self.jobs.run(state, 0);
        state.tracking.broadcast(&mut state.clients);
        for client in 0..self.clients.len() {
            let bytes = self.server.pushed(self.clients[client]);
            self.note(&format!("pushed to client {client}"), &bytes);
        }
        let propagated = self.server.take_propagated();
        self.note("propagated", &propagated);
        let used_bytes = self.server.state.used_memory().to_string();
        self.note("bytes used", used_bytes.as_bytes());
    }
}

/// Names the file that a process of its own writes what it has answered to, and the two seeds.
const OUTPUT: &str = "DETERMINISM_OUTPUT";
const COMMANDS_SEED: &str = "DETERMINISM_SEED";
const SERVER_SEED: &str = "DETERMINISM_SERVER_SEED";

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Does nothing by itself: the test below runs it in processes of their own, where addresses and all else differ.
#[test]
fn one_run() {
    let Ok(output) = std::env::var(OUTPUT) else {
        return;
    };
    let mut random = Rng::with_seed(number(COMMANDS_SEED).expect("a seed"));
    let output = File::create(output).expect("a file");
    let mut run = Run::new(number(SERVER_SEED).expect("a seed"), output);
    for _ in 0..COMMANDS {
        let client = random.usize(..CLIENTS);
        let words = next_command(&mut random);
        run.ask(client, &words);
        run.go_on(random.u64(..20));
    }
    run.output.flush().expect("the answers are written");
}

/// What a server with this seed answers, a line for each command that was answered.
fn answers(commands_seed: u64, server_seed: u64, name: &str) -> Vec<String> {
    let file = format!("oneloop-determinism-{}-{name}", std::process::id());
    let output = std::env::temp_dir().join(file);
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "one_run"]).env(OUTPUT, &output);
    command.env(COMMANDS_SEED, commands_seed.to_string()).env(SERVER_SEED, server_seed.to_string());
    let done = command.output().expect("it runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    let text = std::fs::read_to_string(&output).expect("it has written");
    std::fs::remove_file(&output).expect("it is there");
    text.lines().map(str::to_string).collect()
}

/// Where two runs differ first, and what came before.
fn first_difference(first: &[String], second: &[String]) -> Option<String> {
    let place = first.iter().zip(second).position(|(one, other)| one != other)?;
    let (what, one) = first[place].split_once('\t')?;
    let other = second[place].split_once('\t').map_or("", |(_, other)| other);
    let lines = one.split("\\r\\n").zip(other.split("\\r\\n")).find(|(left, right)| left != right);
    let (left, right) = lines.unwrap_or((one, other));
    let before: Vec<&str> = first[..place].iter().filter_map(|line| Some(line.split_once('\t')?.0)).collect();
    Some(format!("{what}\n{left}\n{right}\nafter\n{}", before[place.saturating_sub(6)..].join("\n")))
}

#[test]
fn the_same_commands_give_the_same_bytes() {
    let seed = number(COMMANDS_SEED).unwrap_or(7);
    let (first, second) = (answers(seed, 42, "first"), answers(seed, 42, "second"));
    if let Some(difference) = first_difference(&first, &second) {
        panic!("{COMMANDS_SEED}={seed}: the first difference is at {difference}");
    }
    assert_eq!(first.len(), second.len());
    let evicted =
        first.iter().rev().find_map(|line| line.split("evicted_keys:").nth(1)?.split('\\').next()?.parse().ok());
    assert!(evicted.is_some_and(|evicted: u64| evicted > 20), "the memory limit was at work: {evicted:?}");
    assert!(first_difference(&first, &answers(seed, 43, "other")).is_some(), "another seed gives other bytes");
}
