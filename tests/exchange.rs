//! Values exchanged with a genuine server by DUMP and RESTORE, in both directions: each is made there, taken over here,
//! given back, and must be what it was. Where both keep a value in the same bytes, the payloads are the same.
//!
//! `EXCHANGE_SEED=n` makes other values; with `NEWER_REDIS_SERVER=/path/to/server` they are exchanged with that server,
//! too.

#[path = "differential/oracle.rs"]
mod oracle;
#[path = "support/mod.rs"]
mod support;

use oneloop::storage::rdb::Checksum;
use oracle::Oracle;
use support::Harness;

/// One command: its words.
type Words = Vec<Vec<u8>>;

/// Values of each type.
const ROUNDS: usize = 60;
/// Bytes of version and checksum at the end of a payload.
const FOOTER_BYTES: usize = 10;

fn words(text: &str) -> Words {
    text.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// The two servers.
struct Pair {
    theirs: Oracle,
    ours: Harness,
    random: fastrand::Rng,
    /// The version of their payloads.
    version: u16,
}

impl Pair {
    /// One with each genuine server at hand.
    fn all() -> Vec<Pair> {
        let mut pairs: Vec<Pair> = Pair::start("redis-server").into_iter().collect();
        if pairs.is_empty() {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "redis-server is not on the PATH: this test must not be skipped here"
            );
            eprintln!("SKIPPED: redis-server is not on the PATH, nothing was exchanged");
        }
        if let Ok(newer) = std::env::var("NEWER_REDIS_SERVER") {
            pairs.extend(Pair::start(&newer));
        }
        pairs
    }

    fn start(program: &str) -> Option<Pair> {
        let mut theirs = Oracle::start(program)?;
        let seed = std::env::var("EXCHANGE_SEED").map_or(1, |seed| seed.parse().expect("a number"));
        let replies = theirs.run(&[words("SET probe x"), words("DUMP probe")]);
        let probe = bulk(&replies[1]);
        let version = probe[probe.len() - FOOTER_BYTES];
        let mut ours = Harness::with_debug();
        ours.set_clock_to_now();
        Some(Pair { theirs, ours, random: fastrand::Rng::with_seed(seed), version: version.into() })
    }

    /// Has them run a command.
    #[track_caller]
    fn ask(&mut self, command: Words) -> Vec<u8> {
        let reply = self.theirs.run(&[command]).remove(0);
        let text = String::from_utf8_lossy(&reply);
        assert!(!text.starts_with('-'), "{text}");
        reply
    }

    /// Runs a command here.
    fn run(&mut self, command: &Words) -> Vec<u8> {
        let args: Vec<&[u8]> = command.iter().map(Vec::as_slice).collect();
        self.ours.run_as(self.ours.client, &args)
    }

    /// Sets a directive on both sides.
    fn configure(&mut self, directive: &str, value: impl ToString) {
        let command = words(&format!("CONFIG SET {directive} {}", value.to_string()));
        self.ask(command.clone());
        assert_eq!(self.run(&command), b"+OK\r\n", "{directive}");
    }

    /// A payload of ours as one that they can read.
    fn for_them(&self, payload: &[u8]) -> Vec<u8> {
        let mut bytes = payload[..payload.len() - FOOTER_BYTES].to_vec();
        let footer = &payload[payload.len() - FOOTER_BYTES..];
        let version = u16::from_le_bytes([footer[0], footer[1]]);
        bytes.extend_from_slice(&version.min(self.version).to_le_bytes());
        let checksum = Checksum::of(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Takes the value at their `key` over, gives it back as `back`, and compares. Gives both payloads without their
    /// ends.
    #[track_caller]
    fn exchange(&mut self, what: &str) -> (Vec<u8>, Vec<u8>) {
        let theirs = bulk(&self.ask(words("DUMP key")));
        let (restored, ours) = self.take(&theirs);
        assert_eq!(restored, "+OK\r\n", "{what}: {}", theirs.escape_ascii());
        let question = words("DEBUG DIGEST-VALUE key");
        let digest = self.ask(question.clone());
        // Not all versions write scores alike when they digest them.
        let is_sorted_set = [5, 17].contains(&ours[0]);
        let comparable = self.version <= 11 && !is_sorted_set;
        assert!(!comparable || self.run(&question) == digest, "{what} is not the same here");
        if self.can_read(&ours) {
            let given = self.for_them(&ours);
            self.ask([words("RESTORE back 0"), vec![given, b"REPLACE".to_vec()]].concat());
            let back = self.ask(words("DEBUG DIGEST-VALUE back"));
            assert!(back == digest, "{what} is not what it was");
        }
        let end = |payload: Vec<u8>| payload[..payload.len() - FOOTER_BYTES].to_vec();
        (end(theirs), end(ours))
    }

    /// Whether they know the kind of value that a payload of ours holds.
    fn can_read(&self, payload: &[u8]) -> bool {
        self.version > 10 || payload[0] < 20
    }

    /// The reply to RESTORE of a payload here, and what DUMP gives of it then.
    fn take(&mut self, payload: &[u8]) -> (String, Vec<u8>) {
        let restore = vec![payload.to_vec(), b"REPLACE".to_vec()];
        let reply = self.run(&[words("RESTORE key 0"), restore].concat());
        let ours = match &reply[..] {
            b"+OK\r\n" => bulk(&self.run(&words("DUMP key"))),
            _ => Vec::new(),
        };
        (String::from_utf8_lossy(&reply).into_owned(), ours)
    }

    /// A string of one of many kinds.
    fn text(&mut self, longest: usize) -> Vec<u8> {
        let length = self.random.usize(0..=longest);
        match self.random.u8(0..6) {
            0 => self.random.i64(-300..300).to_string().into_bytes(),
            1 => (self.random.i64(..) >> self.random.u8(0..64)).to_string().into_bytes(),
            2 => vec![b'x'; length],
            3 => b"abcdefgh".repeat(length / 8 + 1)[..length].to_vec(),
            4 => (0..length).map(|_| self.random.u8(b'a'..=b'd')).collect(),
            _ => (0..length).map(|_| self.random.u8(..)).collect(),
        }
    }

    /// Makes the value at their `key`: a command with this many elements, each of some words.
    fn make(&mut self, command: &str, elements: usize, mut element: impl FnMut(&mut Pair) -> Words) {
        self.ask(words("DEL key"));
        let mut rest = elements;
        while rest > 0 {
            let mut command = words(command);
            let count = rest.min(100);
            (0..count).for_each(|_| command.extend(element(self)));
            rest -= count;
            self.ask(command);
        }
    }

    /// How many elements a value is to have: few, or more than are packed.
    fn count(&mut self) -> usize {
        let most = *self.random.choice(&[3, 30, 120, 700]).expect("there are some");
        self.random.usize(1..=most)
    }

    /// How long its elements are at most.
    fn longest(&mut self) -> usize {
        *self.random.choice(&[5, 40, 64, 100, 3000]).expect("there are some")
    }
}

/// The string in a reply.
fn bulk(reply: &[u8]) -> Vec<u8> {
    let start = reply.iter().position(|byte| *byte == b'\n').expect("a header") + 1;
    reply[start..reply.len() - 2].to_vec()
}

/// The strings in a reply that is an array of such.
fn bulk_array(reply: &[u8]) -> Vec<Vec<u8>> {
    let line_end = |bytes: &[u8]| bytes.iter().position(|byte| *byte == b'\n');
    let mut rest = &reply[line_end(reply).expect("a header") + 1..];
    let mut strings = Vec::new();
    while let Some(end) = line_end(rest) {
        let length = std::str::from_utf8(&rest[1..end - 1]).expect("ASCII");
        let length: usize = length.parse().expect("a length");
        let (string, after) = rest[end + 1..].split_at(length);
        strings.push(string.to_vec());
        rest = &after[2..];
    }
    strings
}

#[test]
fn strings() {
    Pair::all().iter_mut().for_each(exchange_strings);
}

fn exchange_strings(pair: &mut Pair) {
    for round in 0..ROUNDS * 5 {
        let text = pair.text([10, 100, 20_000][round % 3]);
        pair.ask(vec![b"SET".to_vec(), b"key".to_vec(), text.clone()]);
        let (theirs, ours) = pair.exchange("a string");
        assert_eq!(ours, theirs, "{}", text.escape_ascii());
    }
    pair.configure("rdbcompression", "no");
    pair.ask(words(&format!("SET key {}", "abc".repeat(50))));
    let (theirs, ours) = pair.exchange("a string that is not compressed");
    assert_eq!(ours, theirs);
}

#[test]
fn lists() {
    Pair::all().iter_mut().for_each(exchange_lists);
}

fn exchange_lists(pair: &mut Pair) {
    for round in 0..ROUNDS {
        pair.configure("list-compress-depth", round % 3);
        pair.configure("list-max-listpack-size", [-2, 5, -1][round / 3 % 3]);
        let (count, longest) = (pair.count(), pair.longest());
        pair.make("RPUSH key", count, |pair| vec![pair.text(longest)]);
        pair.exchange("a list");
    }
}

#[test]
fn hashes() {
    Pair::all().iter_mut().for_each(exchange_hashes);
}

fn exchange_hashes(pair: &mut Pair) {
    for _ in 0..ROUNDS {
        let (count, longest) = (pair.count(), pair.longest());
        pair.make("HSET key", count, |pair| vec![pair.text(longest), pair.text(longest)]);
        let (theirs, ours) = pair.exchange("a hash");
        // In a table the order is each server's own.
        assert!(ours[0] == theirs[0] && (ours == theirs || ours[0] == 4));
    }
}

#[test]
fn hashes_whose_fields_expire() {
    Pair::all().iter_mut().for_each(exchange_hashes_whose_fields_expire);
}

/// Only Redis from 7.4 on has them in this form.
fn exchange_hashes_whose_fields_expire(pair: &mut Pair) {
    if pair.version != 12 {
        return;
    }
    for _ in 0..ROUNDS {
        let (count, longest) = (pair.count(), pair.longest());
        pair.make("HSET key", count, |pair| vec![pair.text(longest), pair.text(longest)]);
        let fields = bulk_array(&pair.ask(words("HKEYS key")));
        for field in fields.iter().take(20) {
            let time_ms = 2_000_000_000_000u64 + pair.random.u64(0..1 << 40);
            let command = words(&format!("HPEXPIREAT key {time_ms} FIELDS 1"));
            pair.ask([command, vec![field.clone()]].concat());
        }
        let (theirs, ours) = pair.exchange("a hash whose fields expire");
        assert!(ours[0] == theirs[0] && (ours == theirs || ours[0] == 24));
        let command = [words("HPEXPIRETIME back FIELDS"), vec![fields.len().to_string().into()]];
        let back = pair.ask([&command.concat()[..], &fields[..]].concat());
        let command = [words("HPEXPIRETIME key FIELDS"), vec![fields.len().to_string().into()]];
        assert_eq!(back, pair.ask([&command.concat()[..], &fields[..]].concat()));
    }
}

#[test]
fn sorted_sets() {
    Pair::all().iter_mut().for_each(exchange_sorted_sets);
}

fn exchange_sorted_sets(pair: &mut Pair) {
    for _ in 0..ROUNDS {
        let (count, longest) = (pair.count(), pair.longest());
        pair.make("ZADD key", count, |pair| {
            let score = match pair.random.u8(0..4) {
                0 => pair.random.i32(..).to_string(),
                1 => pair.random.f64().to_string(),
                2 => (f64::from(pair.random.i32(..)) * 1e300).to_string(),
                _ => ["inf", "-inf", "0", "-0"][pair.random.usize(0..4)].to_string(),
            };
            vec![score.into_bytes(), pair.text(longest)]
        });
        let (theirs, ours) = pair.exchange("a sorted set");
        assert_eq!(ours, theirs);
    }
}

#[test]
fn sets() {
    Pair::all().iter_mut().for_each(exchange_sets);
}

fn exchange_sets(pair: &mut Pair) {
    for round in 0..ROUNDS {
        let (count, longest) = (pair.count(), pair.longest());
        pair.make("SADD key", count, |pair| {
            let member = pair.random.i64(..) >> pair.random.u8(0..64);
            match round % 3 {
                0 => vec![member.to_string().into_bytes()],
                _ => vec![pair.text(longest)],
            }
        });
        let (theirs, ours) = pair.exchange("a set");
        // Redis 7.0 has no listpacks for sets, and in a table the order is each server's own.
        assert!(ours == theirs || theirs[0] == 2, "{}", theirs.escape_ascii());
    }
}

#[test]
fn streams() {
    Pair::all().iter_mut().for_each(exchange_streams);
}

fn exchange_streams(pair: &mut Pair) {
    for round in 0..ROUNDS {
        pair.ask(words("DEL key"));
        make_stream(pair, round);
        let (theirs, ours) = pair.exchange("a stream");
        for question in ["XRANGE key - +", "XPENDING key one", "XPENDING key two"] {
            let question = words(question);
            let answer = pair.ask(question.clone());
            assert!(pair.run(&question) == answer, "{question:?}");
        }
        if pair.version > 10 {
            assert_eq!(ours, theirs);
            let question = words("XINFO STREAM key FULL");
            let answer = pair.ask(question);
            let question = words("XINFO STREAM back FULL");
            assert!(pair.ask(question) == answer);
        }
    }
}

/// Entries, some of them deleted, and groups with something pending.
fn make_stream(pair: &mut Pair, round: usize) {
    for number in 1..=pair.random.usize(1..300) {
        let mut command = words(&format!("XADD key {}-{}", number / 3 + 5, number % 3 + 1));
        for field in 0..pair.random.usize(1..3) {
            let name = [format!("f{field}").into_bytes(), pair.text(5)];
            command.push(name[usize::from(round.is_multiple_of(2) && number.is_multiple_of(7))].clone());
            command.push(pair.text(30));
        }
        pair.ask(command);
    }
    for deleted in 0..pair.random.usize(0..20) {
        pair.ask(words(&format!("XDEL key {}-2", deleted * 3)));
    }
    pair.ask(words("XGROUP CREATE key one 0"));
    pair.ask(words("XGROUP CREATE key two 7-0 ENTRIESREAD 5"));
    pair.ask(words("XGROUP CREATECONSUMER key one idle"));
    for consumer in ["bob", "alice"] {
        for group in ["one", "two"] {
            let count = pair.random.usize(1..20);
            let command = format!("XREADGROUP GROUP {group} {consumer} COUNT {count} STREAMS key >");
            pair.ask(words(&command));
        }
    }
    pair.ask(words("XACK key one 5-2 6-1"));
    if round.is_multiple_of(5) {
        pair.ask(words("XTRIM key MAXLEN 0"));
    }
}

/// What servers before 7.0 wrote, taken over on both sides.
#[test]
fn old_encodings() {
    Pair::all().iter_mut().for_each(exchange_old_encodings);
}

fn exchange_old_encodings(pair: &mut Pair) {
    for value in [
        "0a313100000026000000070000016103f602fe9c03f0409c0005f0404b4c05e0005ed0b200000000\
         0ae0351cdcdf02000000ff",
        "0c1e1e0000001b000000060000016203042d312e3506016103f402016303f4ff",
        "03020161033133350162ff",
        "0d171700000013000000040000016603017603016e03fe11ff",
        "090f020166010076016e020231377a7aff",
        "0e0211110000000d0000000200000161030162ff0f0f0000000c000000020000f202f3ff",
        "010201610c313233343536373839303132",
    ] {
        let digits = value.as_bytes().chunks(2);
        let digits = digits.map(|pair| std::str::from_utf8(pair).expect("ASCII"));
        let value: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect();
        let payload = pair.for_them(&[&value[..], &[6, 0], &[0; 8]].concat());
        pair.ask([words("RESTORE key 0"), vec![payload, b"REPLACE".to_vec()]].concat());
        let kind = pair.ask(words("TYPE key"));
        pair.exchange(&format!("an old {} of type {}", String::from_utf8_lossy(&kind), value[0]));
    }
}

/// Whatever they refuse of damaged payloads, so do we; and what we take is as good as any.
#[test]
fn damaged_payloads() {
    Pair::all().iter_mut().for_each(exchange_damaged_payloads);
}

fn exchange_damaged_payloads(pair: &mut Pair) {
    pair.configure("sanitize-dump-payload", "yes");
    for round in 0..ROUNDS {
        match round % 5 {
            0 => pair.make("RPUSH key", 5, |pair| vec![pair.text(9)]),
            1 => pair.make("HSET key", 4, |pair| vec![pair.text(9), pair.text(9)]),
            2 => pair.make("SADD key", 4, |pair| vec![pair.random.i16(..).to_string().into_bytes()]),
            3 => {
                pair.ask(words("DEL key"));
                pair.ask(words("XADD key 5-1 f v"));
                pair.ask(words("XADD key 6-1 f w g x"));
                pair.ask(words("XGROUP CREATE key two 0"));
                pair.ask(words("XREADGROUP GROUP two bob STREAMS key >"));
            }
            _ => pair.make("ZADD key", 4, |pair| vec![pair.random.i32(..).to_string().into(), pair.text(9)]),
        }
        let good = bulk(&pair.ask(words("DUMP key")));
        for _ in 0..20 {
            let mut bytes = good.clone();
            for _ in 0..pair.random.usize(1..3) {
                let at = pair.random.usize(1..bytes.len() - FOOTER_BYTES);
                bytes[at] = pair.random.u8(..);
            }
            let payload = pair.for_them(&bytes);
            let command = vec![payload.clone(), b"REPLACE".to_vec()];
            let theirs = pair.theirs.run(&[[words("RESTORE back 0"), command].concat()]).remove(0);
            let (reply, ours) = pair.take(&payload);
            if theirs != b"+OK\r\n" {
                assert_eq!(reply, String::from_utf8_lossy(&theirs), "{}", payload.escape_ascii());
            } else if reply == "+OK\r\n" && pair.can_read(&ours) {
                let given = pair.for_them(&ours);
                pair.ask([words("RESTORE key 0"), vec![given, b"REPLACE".to_vec()]].concat());
            }
        }
    }
}
