//! Requests for every command of the table, made up from its declared arguments. Option words stand where keys and values
//! do.

use oneloop::command::arguments::{Argument, ArgumentKind};
use oneloop::command::keys::routed_by;
use oneloop::command::registry::Command;
use oneloop::command::spec::Category;
use oneloop::resp::Args;
use sha1::Digest;

/// Names of keys, by what is in them. Most of them are words that mean something to some command.
pub const KEYS: &[(&str, &str)] = &[
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
pub const SCRIPT: &str = "for _, key in ipairs(KEYS) do redis.pcall('get', key) redis.pcall('set', key, 'x') end";
pub const READER: &str = "for _, key in ipairs(KEYS) do redis.pcall('get', key) end";
pub const LIBRARY: &str = "#!lua name=lib\n\
    local function run(keys) for _, key in ipairs(keys) do redis.pcall('get', key) redis.pcall('set', key, 'x') end end\n\
    redis.register_function('f', run)\n\
    redis.register_function{function_name='r', callback=function(keys) for _, key in ipairs(keys) do redis.pcall('get', key) end \
    end, flags={'no-writes'}}";

const NUMBERS: &[&str] = &["1", "0", "2", "-1", "10"];

pub fn request(command: &Command, random: &mut fastrand::Rng) -> Vec<String> {
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

/// A request of this command that names keys, with these in their places in turn.
pub fn with_keys(words: &[String], command: &Command, keys: &[&str]) -> Option<Vec<String>> {
    let slices: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    if !command.accepts(slices.len()) {
        return None;
    }
    let places = routed_by(command, Args::from_slices(&slices));
    let mut words = words.to_vec();
    for (number, place) in places.iter().enumerate() {
        words[place.index] = keys[number % keys.len()].to_string();
    }
    // Keys that looked like options were none: what it names now may be something else.
    let slices: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    let is_same = routed_by(command, Args::from_slices(&slices)) == places;
    (is_same && !places.is_empty()).then_some(words)
}
