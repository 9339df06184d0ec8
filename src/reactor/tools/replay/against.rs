//! `oneloop replay --against HOST:PORT RECORDING`: the requests of a recording against another server. The recording is
//! replayed here, and each reply is compared with the one there.
//!
//! | what | is |
//! |---|---|
//! | commands about the server itself, MIGRATE, logging in | left out |
//! | clients that turn replies off, monitors, replicas | left out from there on |
//! | replies that the table of commands calls random, or times | not compared |
//! | replies about a key that was given an expiry time, or of which a random part was taken | not compared |
//! | stream IDs that are times | compared without their times |
//! | all other replies | compared, those without an order after their elements were put in order |

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::rc::Rc;

use crate::base::tape::hearing::{self, Heard, Purpose};
use crate::base::tape::{self, End, Player};
use crate::command::keys;
use crate::command::registry::{Command, Registry};
use crate::command::spec::{Flag, Group};
use crate::commands;
use crate::reactor::launch;
use crate::resp::Args;
use crate::text::quoting;

use super::conversation::{Awaited, Conversation, Pair};
use super::peer::{Login, Peer};
use super::rules::{self, Rule, Summary};
use super::wire;
use super::{DIFFERENT, SAME, UNTRIED};

/// How much of a request or a reply is shown, in bytes.
const SHOWN_MAX_BYTES: usize = 400;

/// Commands that give a key an expiry time.
const EXPIRING: [&str; 8] = ["expire", "pexpire", "expireat", "pexpireat", "setex", "psetex", "getex", "restore"];
/// Options of SET that do.
const EXPIRING_OPTIONS: [&[u8]; 4] = [b"ex", b"px", b"exat", b"pxat"];
/// Commands that are answered by messages.
const SUBSCRIBING: [&str; 6] = ["subscribe", "psubscribe", "ssubscribe", "unsubscribe", "punsubscribe", "sunsubscribe"];
/// Commands after which what a client is sent are no replies.
const OFF_THE_PROTOCOL: [&str; 5] = ["monitor", "sync", "psync", "replconf", "client|reply"];

const ADMINISTRATIVE: &str = "administrative commands, which concern the server itself";

/// The other server, and how it is asked.
pub struct Target {
    pub host: String,
    pub port: u16,
    pub login: Option<Login>,
    /// So many differences are shown.
    pub shown_max: usize,
}

/// Both servers and what was found so far.
struct Judge {
    target: Target,
    commands: Registry,
    /// The clients' sockets.
    clients: BTreeSet<u64>,
    conversations: BTreeMap<u64, Conversation>,
    /// Keys of which time or chance decides what they hold.
    uncertain: BTreeSet<Vec<u8>>,
    summary: Summary,
    left_out: BTreeMap<&'static str, u64>,
    shown: String,
    failure: Option<String>,
}

/// Replays the recording and compares; ends the process where the recording is over amid a turn. Gives the exit status.
pub fn run(path: &str, target: Target) -> u8 {
    let mut reader = match super::opened::reader(path) {
        Ok(reader) => reader,
        Err(reason) => {
            eprintln!("{reason}");
            return UNTRIED;
        }
    };
    let arguments: Vec<_> = reader.header.arguments.iter().map(Into::into).collect();
    let judge = Rc::new(RefCell::new(Judge {
        target,
        commands: Registry::new(commands::FAMILIES),
        clients: BTreeSet::new(),
        conversations: BTreeMap::new(),
        uncertain: BTreeSet::new(),
        summary: Summary::default(),
        left_out: BTreeMap::new(),
        shown: String::new(),
        failure: None,
    }));
    let hearer = Rc::clone(&judge);
    hearing::listen(Box::new(move |socket, heard| hearer.borrow_mut().hear(socket, heard)));
    let last = Rc::clone(&judge);
    let on_end = move |end: &End| -> Infallible {
        let status = match end {
            End::Complete { .. } => last.borrow_mut().report(),
            _ => {
                eprintln!("{end}");
                UNTRIED
            }
        };
        std::process::exit(status.into())
    };
    tape::replay(Player::new(Box::new(move || reader.next_piece()), Box::new(on_end)));
    match launch::replay(&arguments, None) {
        Ok(event_loop) => {
            tape::remove();
            // To free it key by key takes seconds.
            std::mem::forget(event_loop);
            judge.borrow_mut().report()
        }
        Err(reason) => {
            eprintln!("{reason}");
            UNTRIED
        }
    }
}

impl Judge {
    fn hear(&mut self, socket: u64, heard: Heard<'_>) {
        if self.failure.is_some() {
            return;
        }
        let result = match heard {
            Heard::Opened(purpose) => {
                if purpose == Purpose::Client {
                    self.clients.insert(socket);
                }
                Ok(())
            }
            _ if !self.clients.contains(&socket) => Ok(()),
            Heard::Received(bytes) => self.note_received(socket, bytes),
            Heard::Sent(bytes) => self.note_sent(socket, bytes),
            Heard::Closed => {
                self.forget(socket);
                Ok(())
            }
        };
        self.failure = result.err();
    }

    fn forget(&mut self, socket: u64) {
        self.clients.remove(&socket);
        self.conversations.remove(&socket);
    }

    fn note_received(&mut self, socket: u64, bytes: &[u8]) -> Result<(), String> {
        if !self.conversations.contains_key(&socket) {
            let peer = Peer::connect(&self.target.host, self.target.port, self.target.login.as_ref())?;
            self.conversations.insert(socket, Conversation::new(peer));
        }
        let Some(mut conversation) = self.conversations.remove(&socket) else { return Ok(()) };
        conversation.input.extend_from_slice(bytes);
        let (mut at, mut goes_on) = (0, true);
        while goes_on && at < conversation.input.len() {
            let rest = &conversation.input[at..];
            let Ok(found) = wire::next_request(rest) else { break };
            let Some(found) = found else { break };
            let words = found.words(rest).unwrap_or_default();
            at += found.end;
            if !words.is_empty() {
                let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
                goes_on = self.ask(&mut conversation, &words)?;
            }
        }
        conversation.input.drain(..at);
        match goes_on {
            true => drop(self.conversations.insert(socket, conversation)),
            false => self.forget(socket),
        }
        Ok(())
    }

    /// Has the other server asked for the same; says whether what this client does can be followed any further.
    fn ask(&mut self, conversation: &mut Conversation, words: &[&[u8]]) -> Result<bool, String> {
        let text = show_words(words);
        let Some(command) = self.commands.resolve(words[0], words.get(1).copied()) else {
            self.summary.requests += 1;
            let awaited = Awaited { text, rule: Rule::Exact, has_ids: false, is_sent: true };
            return conversation.ask(words, awaited, false).map(|()| true);
        };
        let name = command.full_name.as_str();
        if OFF_THE_PROTOCOL.contains(&name) {
            *self.left_out.entry("clients that are sent something else than replies, from there on").or_default() += 1;
            return Ok(false);
        }
        let reason = match name {
            "auth" => Some("requests to log in"),
            "migrate" => Some(ADMINISTRATIVE),
            _ => command.flags.has(Flag::Admin).then_some(ADMINISTRATIVE),
        };
        if let Some(reason) = reason {
            *self.left_out.entry(reason).or_default() += 1;
            conversation.leave_out(text);
            return Ok(true);
        }
        self.summary.requests += 1;
        if SUBSCRIBING.contains(&name) {
            return conversation.subscribe(words).map(|()| true);
        }
        let is_uncertain = note_uncertainty(&mut self.uncertain, command, words);
        let rule = if is_uncertain { Rule::Incomparable } else { Rule::of(&self.commands, words) };
        let may_wait = command.flags.has(Flag::Blocking) && !conversation.queued.is_open();
        let rule = conversation.queued.rule_of(words[0], rule);
        let awaited = Awaited { text, rule, has_ids: command.spec.group == Group::Stream, is_sent: true };
        conversation.ask(&without_login(name, words), awaited, may_wait).map(|()| true)
    }

    fn note_sent(&mut self, socket: u64, bytes: &[u8]) -> Result<(), String> {
        let Some(conversation) = self.conversations.get_mut(&socket) else { return Ok(()) };
        for pair in conversation.note_sent(bytes)? {
            let is_missing = pair.other.is_none();
            self.compare(socket, &pair);
            if is_missing {
                // What it sends later would be taken for the reply to another request.
                self.forget(socket);
                break;
            }
        }
        Ok(())
    }

    fn compare(&mut self, socket: u64, pair: &Pair) {
        let Pair { awaited, own, other } = pair;
        let are_times = awaited.has_ids && other.as_ref().is_some_and(|other| rules::same_but_for_times(own, other));
        let rule = if are_times && Some(own) != other.as_ref() { Rule::Incomparable } else { awaited.rule };
        let is_different = self.summary.count(own, other.as_deref(), rule);
        if is_different && self.summary.different as usize <= self.target.shown_max {
            let (text, own) = (&awaited.text, show(own));
            let other = other.as_ref().map_or("nothing within 10 s".to_string(), |other| show(other));
            let _ = writeln!(self.shown, "Client {socket}: {text}\n  here:  {own}\n  there: {other}");
        }
    }

    /// Prints what has come out; gives the exit status.
    fn report(&mut self) -> u8 {
        while self.failure.is_none()
            && let Some((socket, mut conversation)) = self.conversations.pop_first()
        {
            match conversation.surplus() {
                Ok(Some(pair)) => self.compare(socket, &pair),
                Ok(None) => {}
                Err(reason) => self.failure = Some(reason),
            }
        }
        print!("{}", self.shown);
        if let Some(reason) = &self.failure {
            eprintln!("{reason}");
            return UNTRIED;
        }
        for (reason, count) in &self.left_out {
            println!("Left out: {count} {reason}.");
        }
        print!("{}", self.summary);
        if self.summary.different == 0 { SAME } else { DIFFERENT }
    }
}

/// Whether time or chance decides what the keys of a request hold; notes what it makes so.
fn note_uncertainty(uncertain: &mut BTreeSet<Vec<u8>>, command: &Command, words: &[&[u8]]) -> bool {
    let name = command.full_name.as_str();
    let is_option = |word: &&[u8]| EXPIRING_OPTIONS.iter().any(|option| word.eq_ignore_ascii_case(option));
    let expires = EXPIRING.contains(&name) || name == "set" && words.iter().skip(3).any(is_option);
    let is_random = command.flags.has(Flag::Write)
        && command.spec.group != Group::Stream
        && command.spec.tips.contains(&"nondeterministic_output");
    let mut found = false;
    for key in keys::keys_of(command, Args::from_slices(words)) {
        let key = words[key.index];
        found |= uncertain.contains(key);
        if expires || is_random {
            uncertain.insert(key.to_vec());
        }
    }
    found
}

/// HELLO without the user and the password, which are those of the recorded server.
fn without_login<'a>(name: &str, words: &[&'a [u8]]) -> Vec<&'a [u8]> {
    let place = words.iter().position(|word| word.eq_ignore_ascii_case(b"auth"));
    match place {
        Some(place) if name == "hello" && place + 3 <= words.len() => [&words[..place], &words[place + 3..]].concat(),
        _ => words.to_vec(),
    }
}

fn show_words(words: &[&[u8]]) -> String {
    let words: Vec<String> =
        words.iter().map(|word| quoting::quote(&word[..word.len().min(SHOWN_MAX_BYTES)])).collect();
    words.join(" ")
}

fn show(reply: &[u8]) -> String {
    match reply.is_empty() {
        true => "nothing".to_string(),
        false => reply[..reply.len().min(SHOWN_MAX_BYTES)].escape_ascii().to_string(),
    }
}
