//! Rules for users, and what the users may do by them. Redis 7.0 words some replies in another way than 7.2, and shows
//! the rules about commands worked out anew; what is allowed is the same.

use crate::oracle::Oracle;
use crate::source::Source;
use crate::support::Harness;
use crate::{Generator, Words, draw, line, shown, words};

/// Commands whose permissions are tried after each change of a user.
const TRIED: usize = 25;
const CHANGES: usize = 60;

/// Rules that stand by themselves, wrong ones among them.
const RULES: &[&str] = &[
    "on",
    "OFF",
    "nopass",
    "resetpass",
    "reset",
    "clearselectors",
    "sanitize-payload",
    "skip-sanitize-payload",
    "allkeys",
    "~*",
    "resetkeys",
    "RESETKEYS",
    "allchannels",
    "&*",
    "resetchannels",
    "allcommands",
    "nocommands",
    "+@all",
    "-@all",
    ">p",
    ">q",
    "<p",
    "<q",
    ">",
    "#",
    "!",
    "#abc",
    "+nosuch",
    "-nosuch",
    "+@nosuch",
    "+",
    "-",
    "+@",
    "%",
    "%~",
    "%~a",
    "%RR~a",
    "%RW",
    "~",
    "&",
    "(",
    ")",
    "()",
    "(+get ~a)",
    "(on)",
    "(%R~* +@read)",
    "(+@all ~b ~c)",
    "(+set",
    "~d)",
    "(allcommands allkeys)",
    "nosuch",
    "+config|get",
    "-config|get",
    "+config|set",
    "-config",
    "+config|nosuch",
    "+config|",
    "+config|get|x",
    "-config|get|x",
    "+get|x",
    "-get|x",
    "+get|x|y",
    "+select|0",
    "+object|freq",
    "+object",
    "-object|help",
    "+client|id|x",
    "+debug|object",
];

const COMMANDS: &[&str] = &[
    "get",
    "set",
    "SET",
    "del",
    "mget",
    "lpush",
    "hset",
    "hget",
    "zadd",
    "zrange",
    "sadd",
    "sort",
    "bitfield",
    "copy",
    "object",
    "xadd",
    "xread",
    "geoadd",
    "pfcount",
    "append",
    "exists",
    "rename",
    "lmove",
    "sintercard",
];

const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "STRING",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
];

const PATTERNS: &[&str] = &["a", "b*", "?", "[c-e]", "*", "", "\\g", "f"];

fn pick(source: &mut Source, texts: &[&str]) -> String {
    texts[source.below(texts.len())].to_string()
}

fn rule(source: &mut Source) -> String {
    let sign = if source.below(3) > 0 { '+' } else { '-' };
    match source.below(10) {
        0..4 => pick(source, RULES),
        4 | 5 => format!("{sign}{}", pick(source, COMMANDS)),
        6 => format!("{sign}@{}", pick(source, CATEGORIES)),
        7 => format!("~{}", pick(source, PATTERNS)),
        8 => format!("%{}~{}", pick(source, &["R", "w", "rW"]), pick(source, PATTERNS)),
        _ => format!("&{}", pick(source, PATTERNS)),
    }
}

/// A change of a user. The first makes it anew, so that what 7.0 leaves open is settled.
fn change(source: &mut Source, is_first: bool) -> Words {
    let mut change = words("ACL SETUSER u");
    if is_first {
        change.push(b"reset".to_vec());
    }
    change.extend((0..1 + source.below(4)).map(|_| rule(source).into_bytes()));
    change
}

fn dry_run(source: &mut Source, families: &[Generator]) -> Words {
    let mut request = words("ACL DRYRUN u");
    let others = [
        "CONFIG GET x",
        "CONFIG SET x y",
        "SELECT 0",
        "SELECT 1",
        "OBJECT FREQ a",
        "OBJECT HELP",
        "CLIENT ID",
        "PING",
        "AUTH x",
        "DEBUG OBJECT a",
        "FLUSHALL",
        "KEYS *",
        "SORT a BY b* STORE c",
        "GET x",
    ];
    match source.below(3) {
        0 => request.extend(words(&pick(source, &others))),
        _ => request.extend(draw(source, families)),
    }
    request
}

/// The reply as Redis 7.2 words it.
fn as_newer(reply: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&reply);
    match text.split_once("\r\nThis user has") {
        Some((_, rest)) => {
            let rest = &reply[reply.len() - rest.len()..];
            let length = b"User u has".len() + rest.len() - 2;
            [format!("${length}\r\nUser u has").as_bytes(), rest].concat()
        }
        None => reply,
    }
}

/// Whether what is allowed here, and there is not, is a request that is none: where the number of keys is wrong, Redis
/// looks for keys all the same.
fn is_of_no_use(command: &Words, reply: &[u8]) -> bool {
    if command[1] != b"DRYRUN" || reply != b"+OK\r\n" {
        return false;
    }
    let request: Vec<&[u8]> = command[3..].iter().map(Vec::as_slice).collect();
    Harness::new().run_args(&request).starts_with("-ERR")
}

/// Whether Redis finds no key in the request although it has one: PFMERGE with a destination alone, which it makes.
fn is_unseen_by_redis(command: &Words) -> bool {
    let is_merge = |name: &Vec<u8>| name.eq_ignore_ascii_case(b"PFMERGE");
    command[1] == b"DRYRUN" && command.len() == 5 && command.get(3).is_some_and(is_merge)
}

/// One user through many changes. A newer server must show it the same too.
pub fn round(oracle: &mut Oracle, families: &[Generator], seed: u64, is_newer: bool) {
    let mut server = Harness::new();
    let mut source = Source::new(seed);
    let mut history: Vec<Words> = vec![words("ACL DELUSER u")];
    oracle.run(&history);
    for number in 0..CHANGES {
        let mut piece = vec![change(&mut source, number == 0)];
        piece.extend((0..TRIED).map(|_| dry_run(&mut source, families)));
        if is_newer {
            piece.extend([words("ACL GETUSER u"), words("ACL LIST")]);
        }
        let expected = oracle.run(&piece);
        history.push(piece[0].clone());
        for (command, expected) in piece.iter().zip(expected) {
            let args: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
            let (reply, expected) = (server.run_as(server.client, &args), as_newer(expected));
            let is_accepted = is_of_no_use(command, &reply) || is_unseen_by_redis(command);
            if reply != expected && !is_accepted {
                let story: Vec<String> = history.iter().map(line).collect();
                panic!(
                    "seed {seed}:\n{}\n{}\nRedis:   {}\nOneloop: {}",
                    story.join("\n"),
                    line(command),
                    shown(&expected),
                    shown(&reply)
                );
            }
        }
    }
}
