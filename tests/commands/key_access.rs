//! Every command of the table, with requests made up from its declared arguments: the keys that are found in a request
//! are the keys that running it touches, and their declared access is the actual one.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use oneloop::acl::{self, AclError, User};
use oneloop::command::keys::{KeyAccess, KeyList, has_keys, keys_of};
use oneloop::command::registry::{Command, Registry};
use oneloop::command::spec::{Channels, Flag};
use oneloop::commands::FAMILIES;
use oneloop::keyspace::observer;
use oneloop::resp::Args;

use crate::support::Harness;
use crate::support::requests::{KEYS, LIBRARY, READER, SCRIPT, request};

/// Requests for each command.
const TRIES: usize = 400;
/// Commands that end the process or the connection, run something outside, or take a request apart on purpose.
const LEFT_OUT: &str = "shutdown debug monitor hello reset quit auth acl config client pfselftest save bgsave backup bgrewriteaof script \
                        function flushall flushdb swapdb select multi exec discard subscribe psubscribe ssubscribe failover \
                        replicaof slaveof psync sync replconf restore-asking";

/// Keys of every type, with something in them.
pub fn fill(server: &mut Harness) {
    server.run("flushall");
    for (kind, names) in KEYS {
        for name in names.split(' ') {
            for command in match *kind {
                "string" => &["set {} 1"][..],
                "list" => &["rpush {} 1 2 3 m"],
                "hash" => &["hset {} f 1 m 2"],
                "set" => &["sadd {} m f 1"],
                "hyperloglog" => &["pfadd {} a b c"],
                "zset" => &["geoadd {} 13 38 m 15 37 f"],
                "stream" => {
                    &["xadd {} 1-1 f 1", "xadd {} 2-1 f 1", "xgroup create {} g 0", "xgroup create {} STREAMS 0"]
                }
                _ => &[],
            } {
                let reply = server.run(&command.replace("{}", name));
                assert!(!reply.starts_with('-'), "{command} {name}: {reply}");
            }
        }
    }
}

pub fn is_left_out(command: &Command) -> bool {
    let name = command.full_name.split('|').next().unwrap_or_default();
    !command.subcommands.is_empty() || LEFT_OUT.split(' ').any(|left_out| left_out == name)
}

/// The names of the keys found of which this holds.
fn names<'a>(args: Args<'a>, keys: &KeyList, holds: impl Fn(KeyAccess) -> bool) -> BTreeSet<&'a [u8]> {
    let wanted = keys.iter().filter(|key| holds(KeyAccess::of(key.flags)));
    wanted.map(|key| args.at(key.index)).collect()
}

/// Where Redis's own declaration says that a key is only read, although its groups are changed, the count that is kept
/// in it, or its encoding.
const WRITES_AS_READER: [&str; 3] = ["xreadgroup", "pfcount", "pfdebug"];

/// Those that never touch all of the keys that they name, and why.
const NEVER_WHOLE: [(&str, &str); 1] = [("restore", "none of the texts is a payload")];

#[test]
fn the_keys_found_are_the_keys_touched() {
    let registry = Registry::new(FAMILIES);
    let mut server = Harness::new();
    server.run_args(&[b"function", b"load", LIBRARY.as_bytes()]);
    for script in [SCRIPT, READER] {
        server.run_args(&[b"script", b"load", script.as_bytes()]);
    }
    let session = server.state.clients.get_mut(server.client);
    session.expect("the client is there").deny_blocking = true;
    let (mut never_whole, mut is_changed) = (Vec::new(), true);
    for command in registry.iter().filter(|command| !is_left_out(command)) {
        let mut whole = 0;
        // Of its own for each command, so that one more command does not change the requests of the others.
        let mut random = fastrand::Rng::with_seed(command.full_name.bytes().map(u64::from).sum());
        for _ in 0..TRIES {
            if is_changed {
                fill(&mut server);
            }
            let words = request(command, &mut random);
            let slices: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            let args = Args::from_slices(&slices);
            let (reply, touches) = observer::watch(|| server.run_args(&slices));
            is_changed = touches.iter().any(|touch| touch.is_change);
            if !command.accepts(args.len()) {
                assert!(touches.is_empty(), "{words:?} touches {touches:?}");
                continue;
            }
            let found = keys_of(command, args);
            let all = names(args, &found, |_| true);
            let touched: BTreeSet<&[u8]> = touches.iter().map(|touch| &*touch.key).collect();
            // What is made up of elements needs the right to all keys.
            let makes_names_up = command.full_name.starts_with("sort");
            let looks_around = command.flags.has(Flag::TouchesArbitraryKeys);
            let beyond: Vec<_> = touched.difference(&all).collect();
            if !makes_names_up && !looks_around {
                assert!(beyond.is_empty(), "{words:?} touches {touches:?}\n{reply}");
            }
            let writable = names(args, &found, |access| access.includes(KeyAccess::WRITE));
            let changes = touches.iter().filter(|touch| touch.is_change);
            for change in changes {
                assert!(
                    writable.contains(&*change.key) || WRITES_AS_READER.contains(&&*command.full_name),
                    "{words:?} changes {change:?}\n{reply}"
                );
            }
            whole += usize::from(!reply.starts_with('-') && !all.is_empty() && touched == all);
        }
        if has_keys(command) && whole == 0 {
            never_whole.push(command.full_name.clone());
        }
    }
    let expected: Vec<&str> = NEVER_WHOLE.iter().map(|(name, _)| *name).collect();
    assert_eq!(never_whole, expected);
}

/// A user with these rights and no others.
fn user(server: &mut Harness, rules: &[String]) -> Rc<User> {
    let words = ["acl", "setuser", "u", "reset", "on", "nopass"];
    let rules = rules.iter().map(String::as_str);
    let words: Vec<&[u8]> = words.into_iter().chain(rules).map(str::as_bytes).collect();
    assert_eq!(server.run_args(&words), "+OK\r\n");
    let user = server.state.users.get(b"u");
    Rc::clone(user.expect("it was just made"))
}

/// The rules that allow what is done to each key, but for the rights taken from one of them.
fn rules(needed: &BTreeMap<&str, KeyAccess>, lacking: Option<(&str, KeyAccess)>) -> Vec<String> {
    let mut rules = Vec::new();
    for (name, access) in needed {
        let has = |right: KeyAccess| {
            let is_taken = lacking.is_some_and(|(key, taken)| key == *name && taken.includes(right));
            access.includes(right) && !is_taken
        };
        if has(KeyAccess::READ) {
            rules.push(format!("%R~{name}"));
        }
        if has(KeyAccess::WRITE) {
            rules.push(format!("%W~{name}"));
        }
        let is_left_out = lacking.is_some_and(|(key, _)| key == *name);
        if *access == KeyAccess::NONE && !is_left_out {
            rules.push(format!("%R~{name}"));
        }
    }
    rules
}

/// What a request does to each of its keys.
fn needed<'a>(words: &'a [String], keys: &KeyList) -> BTreeMap<&'a str, KeyAccess> {
    let mut needed = BTreeMap::new();
    for key in keys {
        let before = needed.entry(words[key.index].as_str()).or_insert(KeyAccess::NONE);
        *before = before.union(KeyAccess::of(key.flags));
    }
    needed
}

#[test]
fn exactly_the_rights_that_are_needed_suffice() {
    const TRIES: usize = 12;
    let registry = Registry::new(FAMILIES);
    let mut random = fastrand::Rng::with_seed(13);
    let mut server = Harness::new();
    for command in registry.iter().filter(|command| command.subcommands.is_empty()) {
        let name = &command.full_name;
        let (allowed, refused) = (format!("+{name}"), format!("-{name}"));
        for _ in 0..TRIES {
            let words = request(command, &mut random);
            let slices: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
            let args = Args::from_slices(&slices);
            // A key of that name would be a pattern in a rule.
            if !command.accepts(args.len()) || words.iter().any(|word| word == "*") {
                continue;
            }
            let needed = needed(&words, &keys_of(command, args));
            let mut check = |first: &[&str], keys: Vec<String>| {
                let first = first.iter().map(|rule| rule.to_string());
                let rules: Vec<String> = first.chain(keys).collect();
                let user = user(&mut server, &rules);
                (acl::check(&user, command, args, server.state.selection(0)), rules)
            };
            let (verdict, shown) = check(&[&allowed, "allchannels"], rules(&needed, None));
            assert_eq!(verdict, Ok(()), "{words:?} with {shown:?}");
            let (verdict, _) = check(&["+@all", &refused, "allchannels", "allkeys"], Vec::new());
            let needs_no_right = command.flags.has(Flag::NoAuth);
            assert_eq!(verdict.is_err(), !needs_no_right, "{words:?}: {verdict:?}");
            for (key, access) in &needed {
                let rights = [KeyAccess::READ, KeyAccess::WRITE, KeyAccess::ALL];
                for right in rights.into_iter().filter(|right| access.includes(*right) || *access == KeyAccess::NONE) {
                    let left = rules(&needed, Some((key, right)));
                    let (verdict, shown) = check(&[&allowed, "allchannels"], left);
                    let is_key = matches!(verdict, Err(AclError::Key { .. }));
                    assert!(is_key, "{words:?} with {shown:?}: {verdict:?}");
                }
            }
            if command.spec.channels != Channels::None {
                let (verdict, _) = check(&[&allowed, "allkeys"], Vec::new());
                let is_channel = matches!(verdict, Err(AclError::Channel { .. }));
                assert!(is_channel, "{words:?}: {verdict:?}");
            }
        }
    }
}
