//! Requests made up at random, of a user who may use some keys only: none reads or changes any other.

use oneloop::command::arguments::Argument;
use oneloop::command::registry::{Command, Registry};
use oneloop::command::spec::Declaration;
use oneloop::commands::FAMILIES;

use oneloop::engine::session::Token;

use crate::support::Harness;

/// Requests for each command.
const TRIES: usize = 500;
/// What is in the keys that are out of reach, and nowhere else.
const SECRET: &str = "SECRET";
const TYPES: [&str; 6] = ["string", "list", "hash", "set", "zset", "stream"];
/// Those that end the connection or the data, change who the client is, write files, run programs, or only take their
/// time.
const LEFT_OUT: &str = "shutdown flushall flushdb swapdb debug monitor auth hello reset quit acl config client pfselftest \
                        save bgsave backup bgrewriteaof eval eval_ro evalsha evalsha_ro fcall fcall_ro script function \
                        replicaof slaveof sync psync failover";

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
        tokens(&argument.arguments, into);
    }
}

/// Words that mean something to the command, and keys within reach and out of it.
fn vocabulary(spec: &'static Declaration) -> Vec<String> {
    let mut words = vec!["0", "1", "2", "3", "-1", "+", "*", "f", "m", "1-1", "#", "b:*", "b:*->f", "[a", "+inf", ""];
    words.extend(["xx", "px", "store", "storedist", "get", "by", "streams", "keys", "limit", "weights", "10 1"]);
    tokens(&spec.argument_list(), &mut words);
    let mut words: Vec<String> = words.into_iter().map(String::from).collect();
    // Twice as likely as the others, together.
    for _ in 0..1 + words.len() / TYPES.len() {
        for kind in TYPES {
            words.extend([format!("a:{kind}"), format!("b:{kind}")]);
        }
    }
    words
}

/// How a request may come.
#[derive(Clone, Copy, Debug)]
enum Way {
    Alone,
    InTransaction,
    InScript,
    InProtectedCall,
}

/// By a script takes many times as long.
const SCRIPT_PART: usize = 12;

impl Way {
    fn draw(random: &mut fastrand::Rng) -> Way {
        match random.usize(..SCRIPT_PART) {
            0 => Way::InScript,
            1 => Way::InProtectedCall,
            2..6 => Way::InTransaction,
            _ => Way::Alone,
        }
    }
}

fn run_in_a_way(server: &mut Harness, client: Token, args: &[&[u8]], way: Way) -> Vec<u8> {
    let script: &[u8] = match way {
        Way::Alone => return server.run_as(client, args),
        Way::InTransaction => {
            server.run_as(client, &[b"multi"]);
            let queued = server.run_as(client, args);
            let reply = server.run_as(client, &[b"exec"]);
            // Where the request was DISCARD or EXEC itself there was no transaction any more.
            return [queued, reply].concat();
        }
        Way::InScript => b"return redis.call(unpack(ARGV))",
        // What a command's error tells, or a reply that is looked into, is seen as well.
        Way::InProtectedCall => b"local r = redis.pcall(unpack(ARGV)) return {r, type(r) == 'table' and r.err or ''}",
    };
    let words: [&[u8]; 3] = [b"eval", script, b"0"];
    server.run_as(client, &[&words, args].concat())
}

/// What a user may do with the keys that are otherwise out of reach.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Nothing,
    Reading,
    Writing,
}

impl Reach {
    fn rules(self) -> &'static str {
        match self {
            Reach::Nothing => "~a:*",
            Reach::Reading => "~a:* %R~b:*",
            Reach::Writing => "~a:* %W~b:*",
        }
    }
}

#[test]
fn nothing_out_of_reach_is_read_or_changed() {
    attack(Reach::Nothing, TRIES, "");
}

/// But for what Redis, too, declares as reading: see `key_access`.
#[test]
fn the_right_to_read_changes_nothing() {
    attack(Reach::Reading, TRIES / 4, "xreadgroup pfcount pfdebug");
}

#[test]
fn the_right_to_write_shows_nothing() {
    attack(Reach::Writing, TRIES / 4, "");
}

fn attack(reach: Reach, tries: usize, left_out_too: &str) {
    let registry = Registry::new(FAMILIES);
    let mut random = fastrand::Rng::with_seed(7);
    let mut server = Harness::new();
    fill(&mut server, "b", SECRET);
    fill(&mut server, "a", "open");
    let before = state(&mut server);
    server.run(&format!("acl setuser u on nopass +@all {} &*", reach.rules()));
    let client = server.connect();
    assert_eq!(server.run_as(client, &[b"auth", b"u", b"x"]), b"+OK\r\n");
    let session = server.state.clients.get_mut(client);
    session.expect("the client is there").deny_blocking = true;
    for command in registry.iter().filter(|command| command.subcommands.is_empty()) {
        let name = command.full_name.split('|').next().unwrap_or_default();
        let mut left_out = LEFT_OUT.split(' ').chain(left_out_too.split(' '));
        if left_out.any(|left_out| left_out == name) {
            continue;
        }
        let words = vocabulary(command.spec);
        for _ in 0..tries {
            let request = request(command, &words, &mut random);
            let args: Vec<&[u8]> = request.iter().map(String::as_bytes).collect();
            let way = Way::draw(&mut random);
            let reply = run_in_a_way(&mut server, client, &args, way);
            let reply = String::from_utf8_lossy(&reply);
            let tells = reach != Reach::Reading && reply.contains(SECRET);
            assert!(!tells, "{way:?} {request:?} tells {reply}");
            if random.u8(..) == 0 {
                server.run("del a:string a:list a:hash a:set a:zset a:stream");
                fill(&mut server, "a", "open");
            }
        }
        if reach == Reach::Writing {
            server.run("del b:string b:list b:hash b:set b:zset b:stream");
            fill(&mut server, "b", SECRET);
        } else {
            assert_eq!(state(&mut server), before, "changed by {name}");
        }
    }
}

fn request(command: &Command, words: &[String], random: &mut fastrand::Rng) -> Vec<String> {
    let mut request: Vec<String> = command.full_name.split('|').map(String::from).collect();
    let least = usize::from(command.spec.arity.unsigned_abs());
    let may_be_longer = command.spec.arity < 0;
    let count = least + if may_be_longer { random.usize(..8) } else { 0 };
    while request.len() < count {
        request.push(words[random.usize(..words.len())].clone());
    }
    request
}

/// A request cannot hide the keys that it works on.
#[test]
fn keys_cannot_be_hidden() {
    let mut server = Harness::new();
    fill(&mut server, "b", SECRET);
    fill(&mut server, "a", "open");
    let before = state(&mut server);
    server.run("acl setuser u on nopass +@all ~a:* &a*");
    let client = server.connect();
    server.run_as(client, &[b"auth", b"u", b"x"]);
    for request in [
        "eval redis.call('set','b:string','x') 0",
        "eval redis.call('set',KEYS[1],'x') 1 b:string",
        "eval return{redis.call('get','b:string')} 1 a:string",
        "eval_ro return{redis.call('get','b:string')} 0",
        "sort a:list by b:* get b:*",
        "sort a:list by nosort get b:string",
        "sort a:list by nosort get b:hash->f",
        "sort_ro a:list get b:*",
        "sort a:list store b:list",
        "copy b:string a:copy",
        "copy a:string b:string replace",
        "rename b:string a:copy",
        "renamenx a:string b:new",
        "bitop and a:x a:string b:string",
        "bitop not b:string a:string",
        "zunionstore a:x 2 a:zset b:zset",
        "zunionstore b:zset 1 a:zset",
        "zunion 2 a:zset b:zset",
        "zdiffstore a:x 1 b:zset",
        "zrangestore b:zset a:zset 0 -1",
        "zrangestore a:x b:zset 0 -1",
        "sintercard 2 a:set b:set limit 5",
        "lmpop 2 a:none b:list left",
        "blmpop 0 2 a:none b:list left",
        "zmpop 2 a:none b:zset min",
        "lmove b:list a:list left left",
        "blmove a:list b:list left left 0",
        "rpoplpush b:list a:list",
        "smove b:set a:set SECRET",
        "xread streams a:stream b:stream 0 0",
        "xreadgroup group g c streams b:stream >",
        "object encoding b:string",
        "object freq b:string",
        "memory usage b:string",
        "debug object b:string",
        "touch b:string",
        "dump b:string",
        "move b:string 1",
        "restore b:string 0 x replace",
        "getdel b:string",
        "lcs a:string b:string",
        "mset a:string x b:string y",
        "msetex 2 a:string x b:string y",
        "msetex 2 a:new x b:new y nx ex 10",
        "pfmerge b:new",
        "sort a:list store by store b:list",
        "sort a:list store limit store b:list",
        "xreadgroup noack group g streams streams b:stream >",
        "xreadgroup count 1 group streams streams streams b:stream >",
        "xread count 1 block 1 streams a:stream b:stream 0 0",
        "bitfield b:string get u8 0",
        "bitfield b:string overflow sat get u8 0",
        "msetnx a:new x b:new y",
        "pfmerge a:x b:string",
        "georadius a:zset 0 0 1 km count 1 store b:zset",
        "geosearchstore b:zset a:zset frommember m byradius 1 km",
        "georadius a:zset 0 0 1 km store b:zset",
        "watch b:string",
        "unlink a:none b:string",
        "publish b:channel x",
        "subscribe a b",
        "psubscribe a*",
        "ssubscribe b",
    ] {
        let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
        let reply = server.run_as(client, &words);
        let reply = String::from_utf8_lossy(&reply);
        let is_listening = request == "psubscribe a*";
        assert_eq!(reply.starts_with('-'), !is_listening, "{request}: {reply}");
        assert!(!reply.contains(SECRET), "{request}: {reply}");
        if is_listening {
            server.run_as(client, &[b"punsubscribe"]);
        }
    }
    assert_eq!(state(&mut server), before);
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
        assert_eq!(reply, "-NOPERM No permissions to access a key\r\n", "{request}");
    }
    server.expect("georadius a:g 0 0 1 km store a:x", ":1\r\n");
}

/// Requests made up at random, of a user who may use one database only: what is in another is neither told nor changed.
#[test]
fn nothing_in_another_database_is_read_or_changed() {
    let registry = Registry::new(FAMILIES);
    let mut random = fastrand::Rng::with_seed(9);
    let mut server = Harness::new();
    fill(&mut server, "b", SECRET);
    let before = state(&mut server);
    server.run("acl setuser u on nopass +@all ~* &* db=1");
    let client = server.connect();
    assert_eq!(server.run_as(client, &[b"auth", b"u", b"x"]), b"+OK\r\n");
    assert_eq!(server.run_as(client, &[b"select", b"1"]), b"+OK\r\n");
    let session = server.state.clients.get_mut(client);
    session.expect("the client is there").deny_blocking = true;
    let tried = ["flushall", "flushdb", "swapdb"];
    for command in registry.iter().filter(|command| command.subcommands.is_empty()) {
        let name = command.full_name.split('|').next().unwrap_or_default();
        if LEFT_OUT.split(' ').any(|left_out| left_out == name && !tried.contains(&name)) {
            continue;
        }
        let words = vocabulary(command.spec);
        for _ in 0..TRIES / 4 {
            let request = request(command, &words, &mut random);
            let args: Vec<&[u8]> = request.iter().map(String::as_bytes).collect();
            let way = Way::draw(&mut random);
            let reply = run_in_a_way(&mut server, client, &args, way);
            let reply = String::from_utf8_lossy(&reply);
            assert!(!reply.contains(SECRET), "{way:?} {request:?} tells {reply}");
        }
        assert_eq!(server.run("dbsize"), format!(":{}\r\n", TYPES.len()), "changed by {name}");
        assert_eq!(state(&mut server), before, "changed by {name}");
    }
}
