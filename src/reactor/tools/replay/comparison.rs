//! Requests run here and by the other server, one after the other, and their replies compared (see `rules`).

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::base::entropy::Entropy;
use crate::command::spec::Flag;
use crate::commands::PROGRAM;
use crate::config::Config;
use crate::engine::execute;
use crate::engine::session::{Close, Token};
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::net::address::Address;
use crate::reactor::jobs::Jobs;
use crate::resp::Args;
use crate::text::quoting;

use super::frames;
use super::peer::{Login, Peer};
use super::requests::Request;
use super::rules::{Queued, Rule, Summary};

/// How long a client may wait for others before its next request is left out, in µs.
const PATIENCE_US: u64 = 10_000_000;
/// What is random here is the same in every run.
const SEED: u64 = 1;
/// How much of a reply is shown, in bytes.
const SHOWN_MAX_BYTES: usize = 400;

/// One client, here and there.
struct Client {
    token: Token,
    peer: Peer,
    database: u32,
    /// For the replies to its last request.
    rule: Rule,
    /// The last request, to be shown.
    shown: String,
    line: u64,
    queued: Queued,
}

/// Both servers and what was found so far.
pub struct Comparison {
    host: String,
    port: u16,
    login: Option<Login>,
    shown_max: usize,
    state: ServerState,
    jobs: Jobs,
    clients: BTreeMap<String, Client>,
    summary: Summary,
    left_out: BTreeMap<&'static str, u64>,
}

impl Comparison {
    /// A server here, without data, and one there. `shown_max` differences are shown.
    pub fn new(host: &str, port: u16, login: Option<Login>, shown_max: usize) -> Comparison {
        let mut config = Config::default();
        // Nothing is to be written to the disk.
        config.save.clear();
        Comparison {
            host: host.to_string(),
            port,
            login,
            shown_max,
            state: ServerState::new(&PROGRAM, config, Clock::system(), &Entropy::Seeded(SEED)),
            jobs: Jobs::default(),
            clients: BTreeMap::new(),
            summary: Summary::default(),
            left_out: BTreeMap::new(),
        }
    }

    /// Makes sure that the other server holds no data.
    ///
    /// Errors: it does, or cannot be asked.
    pub fn refuse_data(&mut self) -> Result<(), String> {
        let reply = self.connect()?.ask(&[b"INFO", b"keyspace"])?;
        match memchr::memmem::find(&reply, b"\ndb") {
            None if reply.starts_with(b"-") => {
                Err(format!("The other server refuses to be asked: {}", reply.trim_ascii().escape_ascii()))
            }
            None => Ok(()),
            Some(_) => {
                Err("The other server holds data, which the requests would change. --keep-data allows that.".into())
            }
        }
    }

    fn connect(&self) -> Result<Peer, String> {
        Peer::connect(&self.host, self.port, self.login.as_ref())
    }

    /// Counts a request that is not run.
    pub fn leave_out(&mut self, reason: &'static str) {
        *self.left_out.entry(reason).or_default() += 1;
    }

    /// Runs a request, which stands on this line, and compares the replies, to other clients too.
    ///
    /// Errors: the other server cannot be asked any more.
    pub fn run(&mut self, line: u64, request: &Request, out: &mut dyn Write) -> Result<(), String> {
        if let Some(reason) = self.reason_to_leave_out(request) {
            self.leave_out(reason);
            return Ok(());
        }
        self.meet(&request.client)?;
        if !self.wait_until_free(&request.client, out)? {
            self.leave_out("requests of clients that waited for something longer than 10 s");
            return Ok(());
        }
        self.select(request, out)?;
        self.run_words(line, &request.client, &request.arguments, out)
    }

    fn reason_to_leave_out(&self, request: &Request) -> Option<&'static str> {
        let arguments = &request.arguments;
        let command = self.state.commands.resolve(&arguments[0], arguments.get(1).map(Vec::as_slice))?;
        let is_migrate = command.full_name == "migrate";
        match is_migrate || command.flags.has(Flag::Admin) {
            true => Some("administrative commands, which concern the server itself"),
            false => None,
        }
    }

    /// Takes a client in that has not been seen before.
    fn meet(&mut self, name: &str) -> Result<(), String> {
        if !self.clients.contains_key(name) {
            let peer = self.connect()?;
            let address = Address { peer: name.to_string(), local: String::new(), unix: false };
            let client = Client {
                token: self.state.add_client(address),
                peer,
                database: 0,
                rule: Rule::Exact,
                shown: String::new(),
                line: 0,
                queued: Queued::default(),
            };
            self.clients.insert(name.to_string(), client);
        }
        Ok(())
    }

    /// Lets time pass until the client waits for nothing, as its real one did before it sent more.
    fn wait_until_free(&mut self, name: &str, out: &mut dyn Write) -> Result<bool, String> {
        let began_us = self.state.clock.monotonic_us();
        while let Some(client) = self.clients.get(name)
            && self.state.clients.get(client.token).is_some_and(|session| session.waiting.is_some())
        {
            if self.state.clock.monotonic_us() - began_us > PATIENCE_US {
                return Ok(false);
            }
            self.state.clock.sleep(Duration::from_millis(1));
            self.settle(out)?;
        }
        self.meet(name)?;
        Ok(true)
    }

    /// Selects the database in which the request was run, where the file does not say how it came to be selected.
    fn select(&mut self, request: &Request, out: &mut dyn Write) -> Result<(), String> {
        let client = self.clients.get(&request.client);
        let selected = client.map_or(0, |client| client.database);
        match request.database {
            Some(database) if database != selected && !request.arguments[0].eq_ignore_ascii_case(b"select") => {
                let words = [b"SELECT".to_vec(), database.to_string().into_bytes()];
                self.run_words(0, &request.client, &words, out)
            }
            _ => Ok(()),
        }
    }

    fn run_words(&mut self, line: u64, name: &str, words: &[Vec<u8>], out: &mut dyn Write) -> Result<(), String> {
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let rule = Rule::of(&self.state.commands, &words);
        let Some(client) = self.clients.get_mut(name) else { return Ok(()) };
        client.note_request(line, &words, rule);
        client.peer.send(&words)?;
        self.state.refresh_clock();
        if let Some(mut session) = self.state.clients.checkout(client.token) {
            let mut reply = std::mem::take(&mut session.reply);
            execute::execute(&mut self.state, &mut session, &mut reply, Args::from_slices(&words));
            session.reply = reply;
            client.database = u32::try_from(session.database).unwrap_or(0);
            self.state.clients.checkin(session);
        }
        self.summary.requests += u64::from(line > 0);
        self.settle(out)
    }

    /// Brings what was begun here to its end, and compares what came of it.
    fn settle(&mut self, out: &mut dyn Write) -> Result<(), String> {
        self.state.refresh_clock();
        wake::run_timeouts(&mut self.state);
        loop {
            self.jobs.run(&mut self.state, 0);
            if self.state.scripting.busy().is_none() {
                break;
            }
        }
        // The loop would serve and flush these; here all are looked at.
        self.state.clients.take_to_flush(&mut Vec::new());
        self.state.clients.take_to_resume();
        self.state.clients.take_to_close();
        let mut names: Vec<String> = self.clients.keys().cloned().collect();
        names.sort_by_key(|name| self.clients.get(name).map_or(0, |client| u64::MAX - client.line));
        for name in names {
            self.compare_client(&name, out)?;
        }
        Ok(())
    }

    /// Compares what a client was sent here with what it is sent there.
    fn compare_client(&mut self, name: &str, out: &mut dyn Write) -> Result<(), String> {
        let Some(client) = self.clients.get_mut(name) else { return Ok(()) };
        let Some(session) = self.state.clients.get_mut(client.token) else { return Ok(()) };
        let mut bytes = session.reply.to_vec();
        session.reply.clear();
        let ends = session.close != Close::No;
        for own in frames::take_frames(&mut bytes)? {
            let other = client.peer.frame()?;
            let is_heard = other.is_some();
            let (rule, line) = (client.rule, client.line);
            let is_different = line > 0 && self.summary.count(&own, other.as_deref(), rule);
            if is_different && (self.summary.different as usize) <= self.shown_max {
                client.show(&own, other.as_deref(), out);
            }
            if !is_heard {
                // What it sends later would be taken for the reply to another request.
                return self.forget(name);
            }
        }
        if ends {
            return self.forget(name);
        }
        Ok(())
    }

    fn forget(&mut self, name: &str) -> Result<(), String> {
        if let Some(client) = self.clients.remove(name) {
            self.state.remove_client(client.token);
        }
        Ok(())
    }

    /// Looks for replies there that were not given here; gives what has come out.
    ///
    /// Errors: the other server cannot be asked any more.
    pub fn finish(mut self, out: &mut dyn Write) -> Result<Summary, String> {
        self.settle(out)?;
        for client in self.clients.values_mut() {
            if let Some(surplus) = client.peer.surplus()? {
                self.summary.different += 1;
                if (self.summary.different as usize) <= self.shown_max {
                    client.show(b"", Some(&surplus), out);
                }
            }
        }
        for (reason, count) in &self.left_out {
            let _ = writeln!(out, "Left out: {count} {reason}.");
        }
        Ok(self.summary)
    }
}

impl Client {
    fn note_request(&mut self, line: u64, words: &[&[u8]], rule: Rule) {
        self.line = line;
        self.rule = self.queued.rule_of(words[0], rule);
        let words: Vec<String> = words.iter().map(|word| quoting::quote(word)).collect();
        self.shown = words.join(" ");
    }

    fn show(&self, own: &[u8], other: Option<&[u8]>, out: &mut dyn Write) {
        let shown = |reply: &[u8]| {
            let text = reply[..reply.len().min(SHOWN_MAX_BYTES)].escape_ascii().to_string();
            if reply.is_empty() { "nothing".to_string() } else { text }
        };
        let other = other.map_or("nothing within 10 s".to_string(), shown);
        // Where nobody reads it, the exit status still tells.
        let _ = writeln!(out, "Line {}: {}\n  here:  {}\n  there: {other}", self.line, self.shown, shown(own));
    }
}
