//! How a replica introduces itself to its primary and asks to go on, or to begin.
//!
//! ```text
//! replica                              primary
//! PING                                 +PONG, or an error that says "log in first"
//! AUTH [user] password   (if set)      +OK
//! REPLCONF listening-port N            +OK
//! REPLCONF ip-address A  (if set)      +OK
//! REPLCONF capa eof capa psync2 …      +OK
//! REPLCONF version 9.0.0               +OK, or an error of those that know no versions
//! REPLCONF set-cluster-node-id I       +OK, or an error of those that do not know it (in a cluster)
//! PSYNC id next-byte [FAILOVER]        +FULLRESYNC id offset   all data follow, then the stream
//!                                      +CONTINUE [id]          the stream follows
//!                                      -NOMASTERLINK, -LOADING, -MASTERDOWN, -BUSY   try again later
//!                                      -anything else          it knows no PSYNC: SYNC is sent instead
//! ```
//!
//! What stands between PING and PSYNC is sent at once, without waiting for the replies. While the primary prepares the
//! data it sends empty lines as signs of life.

use std::fmt;

use log::Level;

use super::identity::{Position, ReplicationId};
use crate::keyspace::change_log::unit::encode;

/// Longest line that a primary may reply with, in bytes.
const LINE_MAX_BYTES: usize = 256;

/// What the replica says of itself.
#[derive(Clone, Debug, Default)]
pub struct Introduction {
    /// User and password, where the primary asks for them; the default user's name is left out.
    pub login: Option<(Option<Vec<u8>>, Vec<u8>)>,
    /// The port at which the replica itself can be reached.
    pub listening_port: u16,
    /// The address at which it can be reached, if that is not the one that it connects from.
    pub announced_address: Option<String>,
    /// The last byte of the stream that it has, if it may be able to go on.
    pub last: Option<Position>,
    /// The replica's id as a node of a cluster.
    pub node_id: Option<String>,
    /// The primary is to give way to this replica's server: the last step of a FAILOVER.
    pub takes_over: bool,
}

/// How the handshake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All data follow, and the stream after this position.
    FullResync(Position),
    /// The stream follows. The id is the primary's where it has told one.
    Continue(Option<ReplicationId>),
    /// All data follow, and a stream whose place in a history is not known.
    Unversioned,
    /// Nothing follows: the replica tries again later.
    Failed(Failure),
}

/// Why the handshake failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The reply to PING is an error that no login would help against.
    Ping(String),
    /// The password or the user's name is wrong, or the user has not the rights.
    Login(String),
    /// The primary cannot serve replicas just now.
    NotNow(String),
    /// The server that is to give way does not.
    TakeoverRejected(String),
    /// The primary has sent what is no reply.
    BadReply(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Ping(reply) => write!(formatter, "Error reply to PING from master: '{reply}'"),
            Failure::Login(reply) => write!(formatter, "Unable to AUTH to MASTER: {reply}"),
            Failure::NotNow(reply) => {
                write!(formatter, "Master is currently unable to PSYNC but should be in the future: {reply}")
            }
            Failure::TakeoverRejected(_) => formatter.write_str("Failover target rejected psync request"),
            Failure::BadReply(reply) => write!(formatter, "Unexpected reply from master: {reply}"),
        }
    }
}

/// What the log is to say meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The primary has replied to PING.
    Replied,
    /// It does not understand a part of the introduction, which is not needed.
    NotUnderstood { command: &'static str, error: String },
    /// The replica asks to go on after this position.
    TryingPartial(Position),
    /// It has nothing to go on from.
    NoPosition,
    /// The primary does not know PSYNC.
    PsyncUnknown(String),
    /// The data follow, but from where the stream goes on cannot be read.
    BadFullResync(String),
}

impl Note {
    /// How much it matters.
    pub fn level(&self) -> Level {
        match self {
            Note::Replied | Note::TryingPartial(_) | Note::NoPosition => Level::Info,
            Note::NotUnderstood { .. } | Note::PsyncUnknown(_) | Note::BadFullResync(_) => Level::Warn,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Replied => formatter.write_str("Master replied to PING, replication can continue..."),
            Note::NotUnderstood { command, error } => {
                write!(formatter, "(Non critical) Master does not understand {command}: {error}")
            }
            Note::TryingPartial(Position { id, offset }) => {
                write!(formatter, "Trying a partial resynchronization (request {id}:{}).", offset + 1)
            }
            Note::NoPosition => formatter.write_str("Partial resynchronization not possible (no cached master)"),
            Note::PsyncUnknown(reply) => {
                write!(
                    formatter,
                    "Master does not support PSYNC or is in error state (reply: {reply}). Retrying with SYNC..."
                )
            }
            Note::BadFullResync(reply) => write!(formatter, "Master replied with wrong +FULLRESYNC syntax: {reply}"),
        }
    }
}

/// What the next reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Ping,
    Login,
    Option(&'static str),
    Psync,
}

/// The replica's side of a handshake.
#[derive(Debug)]
pub struct Handshake {
    introduction: Introduction,
    awaited: Awaited,
    line: Vec<u8>,
    output: Vec<u8>,
    notes: Vec<Note>,
}

const LISTENING_PORT: &str = "REPLCONF listening-port";
const ADDRESS: &str = "REPLCONF ip-address";
const CAPABILITIES: &str = "REPLCONF capa";
const VERSION: &str = "REPLCONF version";
const NODE_ID: &str = "REPLCONF set-cluster-node-id";

/// The version of Valkey from which on replicas read what Valkey writes for fields that expire. A primary of that kind
/// serves others only while no field does.
const STANDS_FOR_VALKEY: &[u8] = b"9.0.0";

impl Handshake {
    /// A handshake over a connection that is open: the first request waits to be sent.
    pub fn new(introduction: Introduction) -> Handshake {
        let mut handshake =
            Handshake { introduction, awaited: Awaited::Ping, line: Vec::new(), output: Vec::new(), notes: Vec::new() };
        handshake.request(&[b"PING"]);
        handshake
    }

    /// What is to be sent now.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// What the log is to say.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Takes bytes of the primary. Says how many were taken, and how the handshake ended if it has: then the rest of
    /// the bytes is data or stream.
    pub fn receive(&mut self, bytes: &[u8]) -> (usize, Option<Outcome>) {
        let mut taken = 0;
        while let Some(length) = memchr::memchr(b'\n', &bytes[taken..]) {
            self.line.extend_from_slice(&bytes[taken..taken + length]);
            taken += length + 1;
            if self.line.len() > LINE_MAX_BYTES {
                break;
            }
            let mut line = std::mem::take(&mut self.line);
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if let Some(outcome) = self.on_line(&line) {
                return (taken, Some(outcome));
            }
        }
        if self.line.len() <= LINE_MAX_BYTES {
            self.line.extend_from_slice(&bytes[taken..]);
        }
        let is_too_long = self.line.len() > LINE_MAX_BYTES;
        (bytes.len(), is_too_long.then(|| Outcome::Failed(Failure::BadReply(shown(&self.line[..LINE_MAX_BYTES])))))
    }

    fn on_line(&mut self, line: &[u8]) -> Option<Outcome> {
        match self.awaited {
            // A sign of life.
            Awaited::Psync if line.is_empty() => None,
            Awaited::Psync => self.on_psync(line),
            Awaited::Ping => self.on_ping(line),
            Awaited::Login => {
                if line.starts_with(b"-") {
                    return Some(Outcome::Failed(Failure::Login(shown(line))));
                }
                self.awaited = Awaited::Option(LISTENING_PORT);
                None
            }
            Awaited::Option(command) => {
                // Only primaries that send what it is about know what a version is, or make use of an id.
                if line.starts_with(b"-") && ![VERSION, NODE_ID].contains(&command) {
                    self.notes.push(Note::NotUnderstood { command, error: shown(line) });
                }
                self.awaited = match command {
                    LISTENING_PORT if self.introduction.announced_address.is_some() => Awaited::Option(ADDRESS),
                    CAPABILITIES => Awaited::Option(VERSION),
                    VERSION if self.introduction.node_id.is_some() => Awaited::Option(NODE_ID),
                    VERSION | NODE_ID => Awaited::Psync,
                    _ => Awaited::Option(CAPABILITIES),
                };
                if self.awaited == Awaited::Psync {
                    self.ask();
                }
                None
            }
        }
    }

    fn on_ping(&mut self, line: &[u8]) -> Option<Outcome> {
        let may_log_in = ["-NOAUTH", "-NOPERM", "-ERR operation not permitted"];
        if !line.starts_with(b"+") && !may_log_in.iter().any(|error| line.starts_with(error.as_bytes())) {
            return Some(Outcome::Failed(Failure::Ping(shown(line))));
        }
        self.notes.push(Note::Replied);
        self.awaited = if self.introduction.login.is_some() { Awaited::Login } else { Awaited::Option(LISTENING_PORT) };
        if let Some((user, password)) = self.introduction.login.clone() {
            let words = [Some(b"AUTH".as_slice()), user.as_deref(), Some(&password)];
            self.request(&words.into_iter().flatten().collect::<Vec<_>>());
        }
        let port = self.introduction.listening_port.to_string();
        self.request(&[b"REPLCONF", b"listening-port", port.as_bytes()]);
        if let Some(address) = self.introduction.announced_address.clone() {
            self.request(&[b"REPLCONF", b"ip-address", address.as_bytes()]);
        }
        self.request(&[b"REPLCONF", b"capa", b"eof", b"capa", b"psync2", b"capa", b"rdb12"]);
        self.request(&[b"REPLCONF", b"version", STANDS_FOR_VALKEY]);
        if let Some(id) = self.introduction.node_id.clone() {
            self.request(&[b"REPLCONF", b"set-cluster-node-id", id.as_bytes()]);
        }
        None
    }

    /// Asks to go on, or to begin.
    fn ask(&mut self) {
        let (id, next) = match self.introduction.last {
            Some(last) => {
                self.notes.push(Note::TryingPartial(last));
                (last.id.to_string(), (last.offset + 1).to_string())
            }
            None => {
                self.notes.push(Note::NoPosition);
                ("?".to_string(), "-1".to_string())
            }
        };
        let mut words: Vec<&[u8]> = vec![b"PSYNC", id.as_bytes(), next.as_bytes()];
        if self.introduction.takes_over {
            words.push(b"FAILOVER");
        }
        self.request(&words);
    }

    fn on_psync(&mut self, line: &[u8]) -> Option<Outcome> {
        let mut words = line.split(|byte| *byte == b' ');
        match words.next().unwrap_or_default() {
            b"+FULLRESYNC" => Some(self.on_full_resync(line, words.next(), words.next())),
            b"+CONTINUE" => Some(Outcome::Continue(words.next().and_then(ReplicationId::parse))),
            _ if self.introduction.takes_over => Some(Outcome::Failed(Failure::TakeoverRejected(shown(line)))),
            b"-NOMASTERLINK" | b"-LOADING" | b"-MASTERDOWN" | b"-BUSY" => {
                Some(Outcome::Failed(Failure::NotNow(shown(line))))
            }
            _ => Some(self.begin_unversioned(Note::PsyncUnknown(shown(line)))),
        }
    }

    fn on_full_resync(&mut self, line: &[u8], id: Option<&[u8]>, offset: Option<&[u8]>) -> Outcome {
        let id = id.and_then(ReplicationId::parse);
        let offset = offset.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        match (id, offset) {
            (Some(id), Some(offset)) => Outcome::FullResync(Position { id, offset }),
            // The data follow all the same, but nothing can be gone on from later.
            _ => {
                self.notes.push(Note::BadFullResync(shown(line)));
                Outcome::Unversioned
            }
        }
    }

    fn begin_unversioned(&mut self, note: Note) -> Outcome {
        self.notes.push(note);
        self.output.extend_from_slice(b"SYNC\r\n");
        Outcome::Unversioned
    }

    fn request(&mut self, words: &[&[u8]]) {
        encode(&mut self.output, words.len(), words.iter().copied());
    }
}

fn shown(line: &[u8]) -> String {
    line.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::identity::ID_BYTES;

    const ID: &str = "8f3c8f3c8f3c8f3c8f3c8f3c8f3c8f3c8f3c8f3c";

    fn id() -> ReplicationId {
        ReplicationId::parse(ID.as_bytes()).expect("it is one")
    }

    /// What the replica sends in answer to these replies, which come in pieces of a size, and how it ends.
    fn talk(introduction: Introduction, replies: &[&str], piece: usize) -> (String, Vec<Note>, Option<Outcome>, usize) {
        let mut handshake = Handshake::new(introduction);
        let bytes = replies.concat().into_bytes();
        let (mut sent, mut at, mut outcome) = (handshake.take_output(), 0, None);
        while at < bytes.len() && outcome.is_none() {
            let end = bytes.len().min(at + piece);
            let (taken, ended) = handshake.receive(&bytes[at..end]);
            at += taken;
            outcome = ended;
            sent.extend(handshake.take_output());
        }
        let text = String::from_utf8(sent).expect("it is ASCII").replace("\r\n", " ");
        (text, handshake.take_notes(), outcome, bytes.len() - at)
    }

    #[test]
    fn a_new_replica_introduces_itself_and_asks_for_all() {
        let full = format!("\n\n+FULLRESYNC {ID} 1402\r\n$5\r\n");
        let replies = ["+PONG\r\n", "+OK\r\n", "+OK\r\n", "-ERR what\r\n", &full];
        for piece in 1..200 {
            let introduction = Introduction { listening_port: 6380, ..Introduction::default() };
            let (sent, notes, outcome, _) = talk(introduction, &replies, piece);
            assert_eq!(
                sent,
                "*1 $4 PING *3 $8 REPLCONF $14 listening-port $4 6380 *7 $8 REPLCONF $4 capa $3 eof $4 capa $6 psync2 $4 capa $5 rdb12 \
                 *3 $8 REPLCONF $7 version $5 9.0.0 *3 $5 PSYNC $1 ? $2 -1 "
            );
            assert_eq!(notes, [Note::Replied, Note::NoPosition]);
            assert_eq!(outcome, Some(Outcome::FullResync(Position { id: id(), offset: 1402 })));
        }
    }

    #[test]
    fn what_follows_the_last_reply_is_not_taken() {
        let continued = format!("+CONTINUE {ID}\r\n*1\r\n$4\r\nPING\r\n");
        let unknown = "-ERR Unrecognized REPLCONF option: set-cluster-node-id\r\n";
        let replies = ["+PONG\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n", unknown, &continued];
        let introduction = Introduction {
            login: Some((Some(b"replica".to_vec()), b"secret".to_vec())),
            listening_port: 1,
            announced_address: Some("10.0.0.1".into()),
            last: Some(Position { id: id(), offset: 1467 }),
            node_id: Some(ID.into()),
            takes_over: true,
        };
        let (sent, notes, outcome, rest) = talk(introduction, &replies, 10_000);
        assert!(sent.starts_with("*1 $4 PING *3 $4 AUTH $7 replica $6 secret *3 $8 REPLCONF "), "{sent}");
        assert!(sent.contains("$10 ip-address $8 10.0.0.1 "), "{sent}");
        assert!(sent.contains(&format!("*3 $8 REPLCONF $19 set-cluster-node-id $40 {ID} *4 ")), "{sent}");
        assert!(sent.ends_with(&format!("*4 $5 PSYNC $40 {ID} $4 1468 $8 FAILOVER ")), "{sent}");
        assert_eq!(notes, [Note::Replied, Note::TryingPartial(Position { id: id(), offset: 1467 })]);
        assert_eq!((outcome, rest), (Some(Outcome::Continue(Some(id()))), "*1\r\n$4\r\nPING\r\n".len()));
    }

    #[test]
    fn options_that_a_primary_does_not_know_do_not_matter() {
        let replies = ["-NOAUTH log in\r\n", "-ERR a\r\n", "-ERR b\r\n", "-ERR c\r\n", "+CONTINUE\r\n"];
        let (_, notes, outcome, _) = talk(Introduction::default(), &replies, 3);
        let not_understood = |command, error: &str| Note::NotUnderstood { command, error: error.to_string() };
        let expected = [
            Note::Replied,
            not_understood(LISTENING_PORT, "-ERR a"),
            not_understood(CAPABILITIES, "-ERR b"),
            Note::NoPosition,
        ];
        assert_eq!(notes, expected);
        assert_eq!(outcome, Some(Outcome::Continue(None)));
    }

    #[test]
    fn each_failure_is_told_apart() {
        let login = Introduction { login: Some((None, b"wrong".to_vec())), ..Introduction::default() };
        let takeover = Introduction { takes_over: true, ..Introduction::default() };
        let plain = Introduction::default;
        let before = ["+PONG\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"];
        let after = |last: &'static str| [&before[..], &[last]].concat();
        let endless: &'static str = "+FULLRESYNC 0123456789012345678901234567890123456789012345678901234567890123456789\
             0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\
             0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
        let cases = [
            (plain(), vec!["-ERR no\r\n"], Failure::Ping("-ERR no".into())),
            (login, vec!["-NOAUTH x\r\n", "-WRONGPASS y\r\n"], Failure::Login("-WRONGPASS y".into())),
            (plain(), after("-LOADING z\r\n"), Failure::NotNow("-LOADING z".into())),
            (plain(), after("-NOMASTERLINK z\r\n"), Failure::NotNow("-NOMASTERLINK z".into())),
            // These are as passing, and no sign that it does not know PSYNC.
            (plain(), after("-MASTERDOWN z\r\n"), Failure::NotNow("-MASTERDOWN z".into())),
            (plain(), after("-BUSY z\r\n"), Failure::NotNow("-BUSY z".into())),
            (takeover, after("-ERR no\r\n"), Failure::TakeoverRejected("-ERR no".into())),
            (plain(), after(endless), Failure::BadReply(endless[..LINE_MAX_BYTES].to_string())),
        ];
        for (introduction, replies, failure) in cases {
            for piece in [1, 7, 1000] {
                let (_, _, outcome, _) = talk(introduction.clone(), &replies, piece);
                assert_eq!(outcome, Some(Outcome::Failed(failure.clone())), "{piece}");
            }
        }
    }

    #[test]
    fn a_primary_without_psync_is_asked_in_the_old_way() {
        let replies = ["+PONG\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n", "-ERR unknown command\r\n"];
        let (sent, notes, outcome, _) = talk(Introduction::default(), &replies, 5);
        assert!(sent.ends_with("SYNC "), "{sent}");
        assert_eq!(notes.last(), Some(&Note::PsyncUnknown("-ERR unknown command".into())));
        assert_eq!(outcome, Some(Outcome::Unversioned));
    }

    #[test]
    fn a_position_that_cannot_be_read_is_none_to_go_on_from() {
        let short = &ID[..ID_BYTES - 1];
        for line in [format!("+FULLRESYNC {short} 1\r\n"), format!("+FULLRESYNC {ID} x\r\n"), "+FULLRESYNC\r\n".into()]
        {
            let (_, notes, outcome, _) = talk(Introduction::default(), &["+PONG\r\n+OK\r\n+OK\r\n+OK\r\n", &line], 4);
            assert_eq!(notes.last(), Some(&Note::BadFullResync(line.trim_end().into())));
            assert_eq!(outcome, Some(Outcome::Unversioned));
        }
    }
}
