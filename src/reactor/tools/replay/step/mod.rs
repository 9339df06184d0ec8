//! `oneloop replay --step`: a prompt between the turns, or the requests, of a recording.
//!
//! Never asks anything of the tape, and leaves no trace in what it shows: what comes after is replayed as it was.

mod show;
mod writers;

use std::cell::RefCell;
use std::io::{BufRead, Write};
use std::rc::Rc;

use slab::Slab;

use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::net::connection::Connection;
use crate::reactor::watching::{Ran, Watcher};
use crate::text::quoting::split_arguments;

use writers::{Cause, Writer, Writers};

const HELP: &str = "\
next, n               run the next turn
request, r            run the next request
run [TURN], c         run until that turn is over, or to the end
key KEY [DATABASE]    show a key: type, encoding, time to live, value
who KEY [DATABASE]    show which request wrote the key last
clients               list the clients
client ID             show a client: its session, and what its buffers hold
quit, q               end here
An empty line repeats the last next, request or run.
";

/// Where the replay stops next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    Turn(u64),
    Request,
    End,
}

/// The clients as they can be seen at a prompt.
struct Seen<'a> {
    state: &'a ServerState,
    connections: Option<&'a Slab<Connection>>,
    /// The client that is being served.
    served: Option<&'a Session>,
}

/// The prompt, and what it knows of the run so far.
pub struct Prompt {
    input: Box<dyn BufRead>,
    out: Box<dyn Write>,
    stop: Stop,
    /// Turns that are over, and requests of the present one that have run.
    turns: u64,
    requests: u64,
    writers: Writers,
    is_over: bool,
}

/// What is to happen after a line of input.
enum Next {
    Prompt,
    Run(Stop),
    Quit,
}

impl Prompt {
    /// A prompt on these.
    pub fn new(input: Box<dyn BufRead>, out: Box<dyn Write>) -> Rc<RefCell<Prompt>> {
        Rc::new(RefCell::new(Prompt {
            input,
            out,
            stop: Stop::Turn(0),
            turns: 0,
            requests: 0,
            writers: Writers::default(),
            is_over: false,
        }))
    }

    /// The recording is over: only the state can be looked at.
    pub fn end(&mut self, state: &ServerState, connections: &Slab<Connection>) {
        self.is_over = true;
        self.say(&format!("The recording is over after turn {}.", self.turns));
        self.ask(&Seen { state, connections: Some(connections), served: None });
    }

    fn say(&mut self, line: &str) {
        // Where nobody reads it, nobody types either.
        let _ = writeln!(self.out, "{line}");
    }

    /// Asks what to do until it is to go on. Ends the process at the end of the input.
    fn ask(&mut self, seen: &Seen<'_>) {
        loop {
            let _ = write!(self.out, "> ").and_then(|()| self.out.flush());
            let mut line = Vec::new();
            let has_more = self.input.read_until(b'\n', &mut line).is_ok_and(|count| count > 0);
            let next = if has_more { self.obey(&line, seen) } else { Next::Quit };
            match next {
                Next::Prompt => {}
                Next::Run(_) if self.is_over => self.say("The recording is over."),
                Next::Run(stop) => {
                    self.stop = stop;
                    return;
                }
                Next::Quit => {
                    let _ = self.out.flush();
                    std::process::exit(super::SAME.into());
                }
            }
        }
    }

    fn obey(&mut self, line: &[u8], seen: &Seen<'_>) -> Next {
        let Some(words) = split_arguments(line) else {
            self.say("The quotes are unbalanced.");
            return Next::Prompt;
        };
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let number = |word: &[u8]| std::str::from_utf8(word).ok().and_then(|text| text.parse::<u64>().ok());
        match words.as_slice() {
            [] => return Next::Run(if self.stop == Stop::Request { Stop::Request } else { self.next_turn() }),
            [b"next" | b"n"] => return Next::Run(self.next_turn()),
            [b"request" | b"r"] => return Next::Run(Stop::Request),
            [b"run" | b"c"] => return Next::Run(Stop::End),
            [b"run" | b"c", turn] if number(turn).is_some_and(|turn| turn > self.turns) => {
                return Next::Run(Stop::Turn(number(turn).unwrap_or_default()));
            }
            [b"run" | b"c", _] => self.say(&format!("A turn after {} is wanted.", self.turns)),
            [b"key", key, rest @ ..] => self.show_key(key, database_of(rest), seen),
            [b"who", key, rest @ ..] => self.show_writer(key, database_of(rest), seen),
            [b"clients"] => self.list_clients(seen),
            [b"client", id] => self.show_client(number(id).unwrap_or_default(), seen),
            [b"quit" | b"q"] => return Next::Quit,
            [b"help" | b"?", ..] => self.say(HELP.trim_end()),
            _ => self.say("Unknown, or not so many words: help lists what there is."),
        }
        Next::Prompt
    }

    fn next_turn(&self) -> Stop {
        Stop::Turn(self.turns + 1)
    }

    fn show_key(&mut self, key: &[u8], database: Option<usize>, seen: &Seen<'_>) {
        match database {
            Some(database) => drop(show::key(seen.state, database, key, &mut self.out)),
            None => self.say("The database is a number."),
        }
    }

    fn show_writer(&mut self, key: &[u8], database: Option<usize>, seen: &Seen<'_>) {
        let Some(database) = database.filter(|database| *database < seen.state.keyspace.count()) else {
            return self.say("There is no such database.");
        };
        let line = match self.writers.of(database, key) {
            Some(cause) => cause.to_string(),
            None => "Nothing has written it since the start.".to_string(),
        };
        self.say(&line);
    }

    fn list_clients(&mut self, seen: &Seen<'_>) {
        for session in seen.state.clients.iter().chain(seen.served) {
            let name = String::from_utf8_lossy(&session.name).into_owned();
            let commands = session.traffic.commands;
            self.say(&format!("{} {} {name} {commands} commands", session.id, session.address.peer));
        }
    }

    fn show_client(&mut self, id: u64, seen: &Seen<'_>) {
        let clients = &seen.state.clients;
        let waiting = clients.find(id).and_then(|token| clients.get(token));
        let shown = match (seen.served.filter(|served| served.id == id), waiting) {
            (Some(served), _) => show::client(seen.state, served, None, &mut self.out),
            (None, Some(session)) => {
                let place = session.token.slot as usize;
                let connection = seen.connections.and_then(|connections| connections.get(place));
                show::client(seen.state, session, connection, &mut self.out)
            }
            (None, None) => writeln!(self.out, "There is no such client."),
        };
        drop(shown);
    }
}

/// The database that a command names, 0 if it names none.
fn database_of(words: &[&[u8]]) -> Option<usize> {
    match words {
        [] => Some(0),
        [word] => std::str::from_utf8(word).ok()?.parse().ok(),
        _ => None,
    }
}

/// The prompt as what looks on.
pub struct Stepper(pub Rc<RefCell<Prompt>>);

impl Watcher for Stepper {
    fn begun(&mut self, state: &mut ServerState) {
        state.keyspace.changes.keep_journal();
        let mut prompt = self.0.borrow_mut();
        prompt.say("Before the first turn; help lists what there is.");
        prompt.ask(&Seen { state, connections: None, served: None });
    }

    fn ran(&mut self, state: &mut ServerState, ran: &Ran<'_>) {
        let mut prompt = self.0.borrow_mut();
        prompt.requests += 1;
        let (turn, number, client) = (prompt.turns + 1, prompt.requests, ran.session.id);
        let changes = state.keyspace.changes.take_journal();
        if changes.is_empty() && prompt.stop != Stop::Request {
            return;
        }
        let text = show::request(ran.args);
        if prompt.stop == Stop::Request {
            let reply = ran.reply.to_vec();
            let reply = show::text(reply.get(ran.reply_start..).unwrap_or_default());
            prompt.say(&format!("Turn {turn}, request {number}, client {client}: {text}\n  {reply}"));
        }
        let by = Writer::Request { number, client, text: text.into() };
        prompt.writers.note(changes, &Cause { turn, by });
        if prompt.stop == Stop::Request {
            prompt.ask(&Seen { state, connections: None, served: Some(ran.session) });
        }
    }

    fn turned(&mut self, state: &mut ServerState, connections: &Slab<Connection>) {
        let mut prompt = self.0.borrow_mut();
        prompt.turns += 1;
        let (turn, requests) = (prompt.turns, std::mem::take(&mut prompt.requests));
        let changes = state.keyspace.changes.take_journal();
        prompt.writers.note(changes, &Cause { turn, by: Writer::Server });
        if prompt.stop == Stop::Turn(turn) {
            prompt.say(&format!("Turn {turn} is over: {requests} requests"));
            prompt.ask(&Seen { state, connections: Some(connections), served: None });
        }
    }
}
