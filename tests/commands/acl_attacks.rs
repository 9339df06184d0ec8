//! Requests made up at random, of a user who may use some keys only: none reads or changes any other.

use oneloop::command::Registry;
use oneloop::command::spec::{Argument, CommandSpec};
use oneloop::commands::FAMILIES;

use crate::support::Harness;

/// Requests for each command.
const TRIES: usize = 1000;
/// What is in the keys that are out of reach, and nowhere else.
const SECRET: &str = "SECRET";
const TYPES: [&str; 6] = ["string", "list", "hash", "set", "zset", "stream"];
/// Those that end the connection or the data, change who the client is, write files, run programs, or only take their time.
const LEFT_OUT: &str = "shutdown flushall flushdb swapdb debug monitor auth hello reset quit acl config client pfselftest \
                        save bgsave bgrewriteaof eval eval_ro evalsha evalsha_ro fcall fcall_ro script function";

fn fill(server: &mut Harness, prefix: &str, text: &str) {
    for command in [
        "set {}:string {}",
        "rpush {}:list 1 {} 3",
        "hset {}:hash f {} g 2",
        "sadd {}:set {} m",
        "zadd {}:zset 1 {} 2 m",
        "xadd {}:stream 1-1 f {}",
    ] {
        let command = command.replacen("{}", prefix, 1).replacen("{}", text, 1);
        assert!(!server.run(&command).starts_with('-'), "{command}");
    }
}

/// All that is in the keys that are out of reach, and when they expire.
fn state(server: &mut Harness) -> Vec<String> {
    let mut state = Vec::new();
    for kind in TYPES {
        for question in ["dump", "pexpiretime"] {
            state.push(server.run(&format!("{question} b:{kind}")));
        }
    }
    state
}

fn tokens(arguments: &[Argument], into: &mut Vec<&'static str>) {
    for argument in arguments {
        into.extend(argument.token);
        tokens(argument.arguments, into);
    }
}

/// Words that mean something to the command, and keys within reach and out of it.
fn vocabulary(spec: &'static CommandSpec) -> Vec<String> {
    let mut words = vec![
        "0", "1", "2", "3", "-1", "+", "*", "f", "m", "1-1", "#", "b:*", "b:*->f", "[a", "+inf", "",
    ];
    words.extend([
        "xx",
        "px",
        "store",
        "storedist",
        "get",
        "by",
        "streams",
        "keys",
        "limit",
        "weights",
        "10 1",
    ]);
    tokens(spec.arguments, &mut words);
    let mut words: Vec<String> = words.into_iter().map(String::from).collect();
    // Twice as likely as the others, together.
    for _ in 0..1 + words.len() / TYPES.len() {
        for kind in TYPES {
            words.extend([format!("a:{kind}"), format!("b:{kind}")]);
        }
    }
    words
}

#[test]
fn nothing_out_of_reach_is_read_or_changed() {
    let registry = Registry::new(FAMILIES);
    let mut random = fastrand::Rng::with_seed(7);
    for command in registry
        .iter()
        .filter(|command| command.subcommands.is_empty())
    {
        let name = command.full_name.split('|').next().unwrap_or_default();
        if LEFT_OUT.split(' ').any(|left_out| left_out == name) {
            continue;
        }
        let mut server = Harness::new();
        fill(&mut server, "b", SECRET);
        fill(&mut server, "a", "open");
        let before = state(&mut server);
        server.run("acl setuser u on nopass +@all ~a:* &*");
        let client = server.connect();
        assert_eq!(server.run_as(client, &[b"auth", b"u", b"x"]), b"+OK\r\n");
        let session = server.instance.clients.get_mut(client);
        session.expect("the client is there").deny_blocking = true;
        let words = vocabulary(command.spec);
        let least = usize::from(command.spec.arity.unsigned_abs());
        for _ in 0..TRIES {
            let mut request: Vec<String> = command.full_name.split('|').map(String::from).collect();
            let count = least
                + if command.spec.arity < 0 {
                    random.usize(..8)
                } else {
                    0
                };
            while request.len() < count {
                request.push(words[random.usize(..words.len())].clone());
            }
            let args: Vec<&[u8]> = request.iter().map(String::as_bytes).collect();
            let reply = server.run_as(client, &args);
            let reply = String::from_utf8_lossy(&reply);
            assert!(!reply.contains(SECRET), "{request:?} tells {reply}");
            if random.u8(..) == 0 {
                server.run("del a:string a:list a:hash a:set a:zset a:stream");
                fill(&mut server, "a", "open");
            }
        }
        assert_eq!(state(&mut server), before, "changed by {name}");
    }
}

/// Options that may stand several times, of which the last counts.
#[test]
fn an_option_given_twice_hides_no_key() {
    let mut server = Harness::new();
    server.run("geoadd a:g 0 0 m");
    server.run("rpush a:l 1");
    server.run("acl setuser default resetkeys ~a:*");
    for request in [
        "georadius a:g 0 0 1 km store a:x store b:x",
        "georadius a:g 0 0 1 km store a:x storedist b:x",
        "georadius a:g 0 0 1 km storedist b:x store a:x",
        "georadiusbymember a:g m 1 km store a:x store b:x",
        "sort a:l store a:x store b:x",
    ] {
        let reply = server.run(request);
        assert_eq!(
            reply, "-NOPERM No permissions to access a key\r\n",
            "{request}"
        );
    }
    server.expect("georadius a:g 0 0 1 km store a:x", ":1\r\n");
}
