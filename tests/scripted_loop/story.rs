//! A client's story: what it sends, and what it must get whatever the others do. A model of its own says so, which
//! knows nothing of the server.

use super::bench::{request, text};

/// What comes next from the server.
#[derive(Clone, Debug)]
pub enum Expected {
    /// These bytes.
    Exactly(Vec<u8>),
    /// A number that depends on what others do.
    Number,
    /// Messages of this channel with consecutive numbers, none or more.
    Messages(String),
}

/// A client's requests and replies.
pub struct Story {
    pub requests: Vec<u8>,
    pub expected: Vec<Expected>,
    /// Whether some request waits for time to pass.
    pub waits_for_time: bool,
}

/// Whom a client plays. Partners share a key or a channel.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    Worker,
    Blocker,
    Feeder,
    Patient,
    Subscriber,
    Publisher,
}

pub const ROLES: [Role; 6] =
    [Role::Worker, Role::Blocker, Role::Feeder, Role::Patient, Role::Subscriber, Role::Publisher];

/// Elements that a feeder pushes, and that its blocker waits for.
const FED: usize = 12;
/// Lengths of replies that no socket takes at once. The largest does not fit into the buffer of a reply.
const BIG_BYTES: [usize; 4] = [5_000, 10_000, 20_000, 150_000];

fn bulk(text: &str) -> Vec<u8> {
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}

/// Makes a story, with the model of what only this client touches.
struct Author<'a> {
    random: &'a mut fastrand::Rng,
    name: String,
    partner: String,
    value: Option<String>,
    counter: i64,
    story: Story,
}

impl Author<'_> {
    fn add(&mut self, words: &[&str], expected: Expected) {
        self.story.requests.extend(request(words));
        self.story.expected.push(expected);
    }

    fn exactly(&mut self, words: &[&str], reply: &[u8]) {
        self.add(words, Expected::Exactly(reply.to_vec()));
    }

    fn get(&self) -> Vec<u8> {
        self.value.as_ref().map_or(b"$-1\r\n".to_vec(), |value| bulk(value))
    }

    /// A few requests that concern nobody else.
    fn work(&mut self, count: usize) {
        let (string, number) = (format!("{}:s", self.name), format!("{}:n", self.name));
        for _ in 0..count {
            match self.random.u8(0..12) {
                0..=2 => {
                    let length = self.random.usize(0..60);
                    let value: String = (0..length).map(|_| self.random.alphanumeric()).collect();
                    self.exactly(&["SET", &string, &value], b"+OK\r\n");
                    self.value = Some(value);
                }
                3..=5 => {
                    let reply = self.get();
                    self.exactly(&["GET", &string], &reply);
                }
                6..=7 => {
                    self.counter += 1;
                    let reply = format!(":{}\r\n", self.counter);
                    self.exactly(&["INCR", &number], reply.as_bytes());
                }
                8 => self.transaction(&string, &number),
                9 => {
                    self.exactly(&["NOSUCH"], b"-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
                }
                10 => {
                    let big = format!("{}:b", self.name);
                    let bytes = BIG_BYTES[self.random.usize(0..4)];
                    self.exactly(&["SET", &big, ""], b"+OK\r\n");
                    let length = format!(":{bytes}\r\n");
                    self.exactly(&["SETRANGE", &big, &(bytes - 1).to_string(), "x"], length.as_bytes());
                    let value = format!("{}x", "\0".repeat(bytes - 1));
                    self.exactly(&["GET", &big], &bulk(&value));
                }
                _ => {
                    self.story.requests.extend(b"PING\r\n");
                    self.story.expected.push(Expected::Exactly(b"+PONG\r\n".to_vec()));
                }
            }
        }
    }

    fn transaction(&mut self, string: &str, number: &str) {
        self.exactly(&["MULTI"], b"+OK\r\n");
        self.exactly(&["INCR", number], b"+QUEUED\r\n");
        self.exactly(&["GET", string], b"+QUEUED\r\n");
        self.counter += 1;
        let mut reply = format!("*2\r\n:{}\r\n", self.counter).into_bytes();
        reply.extend(self.get());
        self.exactly(&["EXEC"], &reply);
    }

    fn play(&mut self, role: Role) {
        let list = format!("{}:list", self.partner);
        let channel = format!("{}:channel", self.partner);
        match role {
            Role::Worker => self.work(20),
            Role::Blocker => {
                for number in 1..=FED {
                    let mut reply = b"*2\r\n".to_vec();
                    reply.extend(bulk(&list));
                    reply.extend(bulk(&number.to_string()));
                    self.exactly(&["BLPOP", &list, "0"], &reply);
                    self.work(1);
                }
            }
            Role::Feeder => {
                for number in 1..=FED {
                    self.add(&["RPUSH", &list, &number.to_string()], Expected::Number);
                    self.work(1);
                }
            }
            Role::Patient => {
                self.story.waits_for_time = true;
                for _ in 0..3 {
                    self.exactly(&["BLPOP", "never", "0.05"], b"*-1\r\n");
                    self.work(3);
                }
            }
            Role::Subscriber => {
                let told = |word: &str, count: u8| {
                    let head = format!("*3\r\n${}\r\n{word}\r\n", word.len());
                    [head.as_bytes(), &bulk(&channel), format!(":{count}\r\n").as_bytes()].concat()
                };
                for _ in 0..3 {
                    self.work(2);
                    self.exactly(&["SUBSCRIBE", &channel], &told("subscribe", 1));
                    self.add(&["PING"], Expected::Messages(channel.clone()));
                    self.story.expected.push(Expected::Exactly(b"*2\r\n$4\r\npong\r\n$0\r\n\r\n".to_vec()));
                    self.add(&["UNSUBSCRIBE"], Expected::Messages(channel.clone()));
                    self.story.expected.push(Expected::Exactly(told("unsubscribe", 0)));
                }
            }
            Role::Publisher => {
                for number in 1..=40 {
                    self.add(&["PUBLISH", &channel, &number.to_string()], Expected::Number);
                    if number % 8 == 0 {
                        self.work(1);
                    }
                }
            }
        }
        self.work(2);
    }
}

impl Story {
    /// The story of one who plays this role; its keys begin with its name, those that it shares with the partner's.
    pub fn new(role: Role, name: &str, partner: &str, random: &mut fastrand::Rng) -> Story {
        let story = Story { requests: Vec::new(), expected: Vec::new(), waits_for_time: false };
        let (name, partner) = (name.to_string(), partner.to_string());
        let mut author = Author { random, name, partner, value: None, counter: 0, story };
        author.play(role);
        author.story
    }

    /// Whether these bytes are what must come, or, unless all is to be there, its beginning.
    ///
    /// # Errors
    ///
    /// Where they are not.
    pub fn check(&self, received: &[u8], is_complete: bool) -> Result<(), String> {
        let mut rest = received;
        for (index, expected) in self.expected.iter().enumerate() {
            let failed = |rest: &[u8]| {
                let (shown, at) = (text(&rest[..rest.len().min(60)]), received.len() - rest.len());
                let wanted = text(&format!("{expected:?}").into_bytes()[..]).chars().take(80).collect::<String>();
                Err(format!("reply {index}, byte {at}: {shown:?} instead of {wanted}"))
            };
            let (fits, is_whole, used) = match expected {
                Expected::Exactly(bytes) => {
                    let common = bytes.len().min(rest.len());
                    (bytes[..common] == rest[..common], common == bytes.len(), common)
                }
                Expected::Number => number(rest),
                Expected::Messages(channel) => messages(rest, channel),
            };
            if !fits {
                return failed(rest);
            }
            rest = &rest[used..];
            if !is_whole {
                return if is_complete || !rest.is_empty() { failed(rest) } else { Ok(()) };
            }
        }
        match rest.is_empty() {
            true => Ok(()),
            false => Err(format!("{:?} comes behind all replies", text(rest))),
        }
    }
}

/// Whether a number comes next, whether all of it is there, and its length.
fn number(bytes: &[u8]) -> (bool, bool, usize) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let line = &bytes[..end.map_or(bytes.len(), |end| end + 1)];
    let allowed = |byte: &u8| byte.is_ascii_digit() || b":\r\n".contains(byte);
    (line.iter().all(allowed) && line.first().is_none_or(|byte| *byte == b':'), end.is_some(), line.len())
}

/// The same for messages with consecutive numbers: none is there at all, or one that is cut off is the last.
fn messages(bytes: &[u8], channel: &str) -> (bool, bool, usize) {
    let (mut used, mut last) = (0, None::<u64>);
    let head = format!("*3\r\n$7\r\nmessage\r\n{}", text(&bulk(channel)));
    loop {
        let rest = &bytes[used..];
        let common = rest.len().min(head.len());
        if !head.as_bytes().starts_with(&rest[..common]) {
            return (true, true, used);
        }
        let number = rest.get(head.len()..).map(text).unwrap_or_default();
        let mut lines = number.split_inclusive("\r\n");
        let (Some(length), Some(digits)) = (lines.next(), lines.next().filter(|line| line.ends_with('\n'))) else {
            // It is cut off here, or what comes next begins alike.
            return (true, rest.is_empty(), if rest.is_empty() { used } else { bytes.len() });
        };
        let Ok(this) = digits.trim_end().parse() else { return (false, true, used) };
        if last.is_some_and(|last| this != last + 1) {
            return (false, true, used);
        }
        last = Some(this);
        used += head.len() + length.len() + digits.len();
    }
}
