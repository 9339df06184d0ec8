//! Every command of the table, with requests made up from its declared arguments: the keys that are found in a request
//! are those that running it touches, and what is declared of them is what is done to them. Option words stand where
//! keys and values do.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sha1::Digest;

use oneloop::acl::{self, AclError, User};
use oneloop::command::arguments::{Argument, ArgumentKind};
use oneloop::command::keys::{KeyAccess, KeyList, has_keys, keys_of};
use oneloop::command::registry::{Command, Registry};
use oneloop::command::spec::{Category, Channels, Flag};
use oneloop::commands::FAMILIES;
use oneloop::keyspace::observer;
use oneloop::resp::Args;

use crate::support::Harness;

/// Requests for each command.
const TRIES: usize = 400;
/// Commands that end the process or the connection, run something outside, or take a request apart on purpose.
const LEFT_OUT: &str = "shutdown debug monitor hello reset quit auth acl config client pfselftest save bgsave bgrewriteaof script \
                        function flushall flushdb swapdb select multi exec discard subscribe psubscribe ssubscribe failover \
                        replicaof slaveof psync sync replconf restore-asking";

/// Names of keys, by what is in them. Most of them are words that mean something to some command.
const KEYS: &[(&str, &str)] = &[
    ("string", "STORE GET s1 s2 1 NX"),
    ("list", "LIMIT BY l1 l2 LEFT"),
    ("hash", "KEYS FIELDS h1 2"),
    ("set", "WEIGHTS set1 set2 REPLACE"),
    ("zset", "STOREDIST MIN z1 z2 AGGREGATE"),
    ("stream", "STREAMS GROUP x1 x2 COUNT NOACK BLOCK"),
    ("hyperloglog", "OVERFLOW IFEQ p1 p2"),
    ("none", "new1 new2 COPY AUTH 0"),
];

/// Words that stand where a command takes any text.
const TEXTS: &[&str] = &[
    "g", "c", "f", "m", "1", "2", "0", "STORE", "LIMIT", "STREAMS", "GROUP", "COUNT", "KEYS", "BY", "GET", "NOACK",
    "WEIGHTS", "AUTH", "FIELDS", "NX", "*", "1-1", "$", ">", "u8", "#1",
];

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

/// The kind of key that a family works on; any where it does not matter.
fn kind_of(command: &Command) -> Option<&'static str> {
    let kinds = [
        (Category::List, "list"),
        (Category::Hash, "hash"),
        (Category::SortedSet, "zset"),
        (Category::Geo, "zset"),
        (Category::Set, "set"),
        (Category::Stream, "stream"),
        (Category::String, "string"),
        (Category::Bitmap, "string"),
        (Category::HyperLogLog, "hyperloglog"),
    ];
    let has = |category: Category| command.categories >> category as u32 & 1 == 1;
    let mut found = kinds.iter().filter(|(category, _)| has(*category));
    let kind = found.next()?.1;
    // SORT takes several.
    found.all(|(_, other)| *other == kind).then_some(kind)
}

/// Makes requests up.
struct Maker<'a> {
    random: &'a mut fastrand::Rng,
    kind: Option<&'static str>,
    script: &'static str,
    numbers: &'static [&'static str],
    words: Vec<String>,
    /// How many of what comes next were promised by a count.
    promised: Option<usize>,
}

impl Maker<'_> {
    fn pick<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.random.usize(..words.len())]
    }

    fn number(&mut self) -> String {
        // BITFIELD's offsets may count fields.
        let sign = if self.random.u8(..8) == 0 { "#" } else { "" };
        format!("{sign}{}", self.pick(self.numbers))
    }

    fn key(&mut self) -> String {
        let wanted = match self.kind {
            Some(kind) if self.random.u8(..10) > 0 => kind,
            _ => KEYS[self.random.usize(..KEYS.len())].0,
        };
        let names = KEYS.iter().find(|(kind, _)| *kind == wanted);
        let names: Vec<&str> = names.map_or(Vec::new(), |(_, names)| names.split(' ').collect());
        self.pick(&names).to_string()
    }

    fn value(&mut self, argument: &Argument) -> String {
        let name = &*argument.name;
        match argument.kind {
            ArgumentKind::Key => self.key(),
            ArgumentKind::Double => "2.5".into(),
            ArgumentKind::UnixTime if self.numbers == NUMBERS => "9999999999".into(),
            ArgumentKind::UnixTime => self.pick(self.numbers).into(),
            ArgumentKind::Pattern => self.pick(&["nosort", "*", "m"]).into(),
            ArgumentKind::Integer if ["numkeys", "numfields"].contains(&name) => {
                let count = 1 + self.random.usize(..3);
                self.promised = Some(count);
                let odd = ["0", "-1", "x", "99", "9223372036854775807", "2"];
                match self.random.u8(..12) {
                    0 => self.pick(&odd).into(),
                    _ => count.to_string(),
                }
            }
            ArgumentKind::Integer if name == "port" => "1".into(),
            ArgumentKind::Integer => self.number(),
            ArgumentKind::String => match name {
                "script" => self.script.into(),
                "sha1" => digest(self.script),
                "last-id" => "9-9".into(),
                "subcommand" => "getreg".into(),
                "host" => "127.0.0.1".into(),
                "function" if self.script == READER => "r".into(),
                "function" => "f".into(),
                "unit" => "km".into(),
                "encoding" => "u8".into(),
                "group" => self.pick(&["g", "STREAMS"]).into(),
                _ if self.numbers != NUMBERS && self.random.bool() => self.number(),
                "id" | "start" | "end" | "min" | "max" => self.pick(&["0", "1-1", "-", "+", ">", "1", "2"]).into(),
                _ if self.random.u8(..3) == 0 => self.pick(&["1", "m", "f", "g"]).into(),
                _ => self.pick(TEXTS).into(),
            },
            ArgumentKind::PureToken | ArgumentKind::OneOf | ArgumentKind::Block => String::new(),
        }
    }

    fn once(&mut self, argument: &Argument, with_token: bool) {
        if let Some(token) = argument.token.filter(|_| with_token) {
            let lower = self.random.bool();
            self.words.push(if lower { token.to_lowercase() } else { token.into() });
        }
        match argument.kind {
            ArgumentKind::PureToken => {}
            ArgumentKind::OneOf => {
                let chosen = self.random.usize(..argument.arguments.len());
                self.add(&argument.arguments[chosen], true);
            }
            ArgumentKind::Block => self.list(&argument.arguments),
            _ => {
                let value = self.value(argument);
                self.words.push(value);
            }
        }
    }

    fn add(&mut self, argument: &Argument, is_needed: bool) {
        if argument.is_optional && !is_needed && self.random.u8(..10) < 6 {
            return;
        }
        let mut times = 1;
        if argument.is_multiple {
            // As many as the count before says.
            let promised = self.promised.take();
            times = promised.unwrap_or_else(|| 1 + self.random.usize(..3));
        }
        for time in 0..times {
            self.once(argument, time == 0 || argument.is_token_multiple);
        }
        // An option that is given again.
        if argument.token.is_some() && self.random.u8(..12) == 0 {
            self.once(argument, true);
        }
    }

    /// Keys, and as many IDs.
    fn streams(&mut self) {
        let count = 1 + self.random.usize(..3);
        self.words.push("STREAMS".into());
        for _ in 0..count {
            let key = self.key();
            self.words.push(key);
        }
        for _ in 0..count {
            let id = self.pick(&["0", ">", "$", "1-1"]).into();
            self.words.push(id);
        }
    }

    /// The arguments in their order; or, where words tell them apart, in any order.
    fn list(&mut self, arguments: &[Argument]) {
        let mut order: Vec<&Argument> = arguments.iter().collect();
        let tail = order.iter().rposition(|argument| !is_option(argument));
        let options = match tail {
            None => 0..order.len(),
            Some(last) if last + 1 < order.len() => last + 1..order.len(),
            // XREADGROUP: options before the last.
            Some(_) => 0..0,
        };
        if self.random.bool() {
            self.random.shuffle(&mut order[options]);
        }
        for argument in order {
            match argument.token {
                Some("STREAMS") => self.streams(),
                _ => self.add(argument, false),
            }
        }
    }

    fn spoil(&mut self) {
        let place = 1 + self.random.usize(..self.words.len());
        let words = [self.pick(TEXTS).to_string(), self.key()];
        let word = words[self.random.usize(..2)].clone();
        match self.random.u8(..3) {
            0 => self.words.insert(place, word),
            1 if place < self.words.len() => self.words[place] = word,
            _ if place < self.words.len() => drop(self.words.remove(place)),
            _ => {}
        }
    }
}

fn is_option(argument: &Argument) -> bool {
    let has_words = |argument: &Argument| argument.token.is_some() && argument.token != Some("STREAMS");
    match argument.kind {
        ArgumentKind::OneOf => argument.arguments.iter().all(has_words),
        _ => has_words(argument),
    }
}

/// Does to each key all that a script may.
const SCRIPT: &str = "for _, key in ipairs(KEYS) do redis.pcall('get', key) redis.pcall('set', key, 'x') end";
const READER: &str = "for _, key in ipairs(KEYS) do redis.pcall('get', key) end";
const LIBRARY: &str = "#!lua name=lib\n\
    local function run(keys) for _, key in ipairs(keys) do redis.pcall('get', key) redis.pcall('set', key, 'x') end end\n\
    redis.register_function('f', run)\n\
    redis.register_function{function_name='r', callback=function(keys) for _, key in ipairs(keys) do redis.pcall('get', key) end \
    end, flags={'no-writes'}}";

const NUMBERS: &[&str] = &["1", "0", "2", "-1", "10"];

fn request(command: &Command, random: &mut fastrand::Rng) -> Vec<String> {
    request_with(command, random, NUMBERS)
}

/// A request for a command, with these for numbers.
pub fn request_with(command: &Command, random: &mut fastrand::Rng, numbers: &'static [&'static str]) -> Vec<String> {
    let read_only = command.full_name.ends_with("_ro");
    let mut maker = Maker {
        random,
        kind: kind_of(command),
        script: if read_only { READER } else { SCRIPT },
        numbers,
        words: command.full_name.split('|').map(String::from).collect(),
        promised: None,
    };
    maker.list(&command.spec.argument_list());
    if maker.random.u8(..5) == 0 {
        maker.spoil();
    }
    maker.words
}

/// The digest under which a script is known.
fn digest(script: &str) -> String {
    let digest = sha1::Sha1::digest(script);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
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
    let mut random = fastrand::Rng::with_seed(11);
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
                (acl::check(&user, command, args), rules)
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
