//! One connection to the HTTP port: what it is at, what it has sent and what it is to get.

use std::io::{self, Read, Write};
use std::rc::Rc;

use crate::drive::page::Document;
use crate::net::http::{self, Head, HttpSocket, Method, Request, Status};
use crate::net::token::Token;

use super::routes::{self, Answer, Facts};
use super::trainer::ORDER_MAX_BYTES;

/// Length of a request.
const REQUEST_MAX_BYTES: usize = 8 * 1024;
/// Bytes that are read and thrown away before a connection is closed, so that its answer is not lost.
const DRAIN_MAX_BYTES: usize = 256 * 1024;
/// How long a request may take to come in, in µs.
const READING_MAX_US: u64 = 5_000_000;
/// How long a connection is kept between two requests, in µs.
pub(super) const IDLE_MAX_US: u64 = 120_000_000;
/// How long an answer, or a frame, may take to be made and taken, in µs.
pub(super) const ANSWERING_MAX_US: u64 = 30_000_000;
/// How long a connection may be drained, in µs.
const DRAINING_MAX_US: u64 = 2_000_000;
const EVENTS_TYPE: &str = "text/event-stream";

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A request comes in.
    Reading,
    /// The text is being written.
    Waiting { head_only: bool },
    /// The answer goes out.
    Writing,
    /// It gets the history next, and then frames.
    Joining,
    /// It gets a frame now and then.
    Watching,
    /// The answer has gone out; what still comes in is thrown away.
    Draining,
}

/// One connection.
pub(super) struct Peer {
    pub(super) socket: HttpSocket,
    pub(super) token: Token,
    pub(super) phase: Phase,
    /// Since when it has been in that phase, on the monotonic clock; while it reads, since the first byte; while it
    /// watches, since the last frame was begun.
    pub(super) since_us: u64,
    input: Vec<u8>,
    /// The head of the answer.
    head: Vec<u8>,
    /// The rest of it.
    body: Body,
    /// Bytes of the answer that were sent.
    pub(super) sent: usize,
    keeps_alive: bool,
    /// Whether it has been answered before.
    is_known: bool,
    drained_bytes: usize,
    /// What it asks of the lessons: an order, or nothing but how they are.
    order: Option<Vec<u8>>,
}

/// What follows the head of an answer.
#[derive(Default)]
enum Body {
    #[default]
    None,
    Fixed(&'static [u8]),
    Written(Rc<[u8]>),
}

impl Body {
    fn bytes(&self) -> &[u8] {
        match self {
            Body::None => &[],
            Body::Fixed(bytes) => bytes,
            Body::Written(bytes) => bytes,
        }
    }
}

/// Whether a connection stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    /// It waits for a text.
    Asks(Document),
    /// It waits for the lessons, which `take_order` tells what for.
    Orders,
    /// Its socket takes more, but others have waited long enough.
    Pauses,
    Ends,
}

impl Peer {
    pub(super) fn new(socket: HttpSocket, token: Token, now_us: u64) -> Peer {
        Peer {
            socket,
            token,
            phase: Phase::Reading,
            since_us: now_us,
            input: Vec::new(),
            head: Vec::new(),
            body: Body::None,
            sent: 0,
            keeps_alive: false,
            is_known: false,
            drained_bytes: 0,
            order: None,
        }
    }

    pub(super) fn is_late(&self, now_us: u64) -> bool {
        let most_us = match self.phase {
            Phase::Reading if self.is_known && self.input.is_empty() => IDLE_MAX_US,
            Phase::Reading => READING_MAX_US,
            Phase::Watching if self.is_all_sent() => return false,
            Phase::Waiting { .. } | Phase::Writing | Phase::Joining | Phase::Watching => ANSWERING_MAX_US,
            Phase::Draining => DRAINING_MAX_US,
        };
        now_us.saturating_sub(self.since_us) > most_us
    }

    /// Whether it has, or waits for, the place of a viewer.
    pub(super) fn is_viewer(&self) -> bool {
        matches!(self.phase, Phase::Joining | Phase::Watching)
    }

    /// Whether it watches and has taken all frames so far.
    pub(super) fn takes_frames(&self) -> bool {
        self.phase == Phase::Watching && self.is_all_sent()
    }

    fn is_all_sent(&self) -> bool {
        self.sent == self.head.len() + self.body.bytes().len()
    }

    fn enter(&mut self, phase: Phase, now_us: u64) {
        self.phase = phase;
        self.since_us = now_us;
    }

    /// Does what can be done without waiting. One request is looked at at a time; those behind it wait, in the socket
    /// for the most part.
    pub(super) fn go_on(&mut self, facts: &Facts<'_>, now_us: u64, room_bytes: &mut usize) -> io::Result<Fate> {
        loop {
            match self.phase {
                Phase::Reading => {
                    if let Some(fate) = self.look_for_request(facts, now_us)? {
                        return Ok(fate);
                    }
                }
                Phase::Waiting { .. } => return Ok(Fate::Stays),
                Phase::Writing => {
                    if let Some(fate) = self.send(room_bytes)? {
                        return Ok(fate);
                    }
                    self.finish_answer(now_us)?;
                }
                Phase::Joining | Phase::Watching => {
                    let fate = self.send(room_bytes)?.unwrap_or(Fate::Stays);
                    return match self.drain()? {
                        Fate::Ends => Ok(Fate::Ends),
                        _ => Ok(fate),
                    };
                }
                Phase::Draining => return self.drain(),
            }
        }
    }

    /// Reads until a request is complete. Nothing where it can be answered at once.
    fn look_for_request(&mut self, facts: &Facts<'_>, now_us: u64) -> io::Result<Option<Fate>> {
        loop {
            match http::parse(&self.input) {
                Ok(Some(request)) if self.is_complete(&request) => {
                    let body = self.take_input(&request);
                    return Ok(self.take_request(&request, body, facts, now_us));
                }
                Ok(Some(request)) if !self.may_have_body(&request, facts) => {
                    // The body is not read, and so nothing behind it.
                    let refused = Request { keeps_alive: false, ..request };
                    return Ok(self.take_request(&refused, Vec::new(), facts, now_us));
                }
                Ok(Some(_)) if self.input.len() >= REQUEST_MAX_BYTES => {
                    self.refuse(Status::BodyTooLarge, now_us);
                    return Ok(None);
                }
                Ok(Some(_)) => {}
                Ok(None) if self.input.len() >= REQUEST_MAX_BYTES => {
                    self.refuse(Status::TooLarge, now_us);
                    return Ok(None);
                }
                Ok(None) => {}
                Err(status) => {
                    self.refuse(status, now_us);
                    return Ok(None);
                }
            }
            let mut buffer = [0; 2048];
            let room = buffer.len().min(REQUEST_MAX_BYTES - self.input.len());
            match self.socket.read(&mut buffer[..room]) {
                Ok(0) => return Ok(Some(Fate::Ends)),
                Ok(count) => {
                    if self.input.is_empty() {
                        self.since_us = now_us;
                    }
                    self.input.extend_from_slice(&buffer[..count]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Some(Fate::Stays)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether all of a request is there.
    fn is_complete(&self, request: &Request) -> bool {
        request.body_bytes <= ORDER_MAX_BYTES && self.input.len() >= request.length + request.body_bytes
    }

    /// Whether the body of a request is worth waiting for. One that is too large for an order is not.
    fn may_have_body(&self, request: &Request, facts: &Facts<'_>) -> bool {
        request.body_bytes <= ORDER_MAX_BYTES
            && matches!(routes::answer(request, facts), Answer::Training { is_order: true })
    }

    /// Takes a request from the input; gives its body.
    fn take_input(&mut self, request: &Request) -> Vec<u8> {
        let mut taken: Vec<u8> = self.input.drain(..request.length + request.body_bytes).collect();
        taken.split_off(request.length)
    }

    /// Answers a request, or tells what it waits for.
    fn take_request(&mut self, request: &Request, body: Vec<u8>, facts: &Facts<'_>, now_us: u64) -> Option<Fate> {
        self.keeps_alive = request.keeps_alive;
        let head_only = request.method == Method::Head;
        match routes::answer(request, facts) {
            Answer::Document(document) => {
                self.enter(Phase::Waiting { head_only }, now_us);
                Some(Fate::Asks(document))
            }
            Answer::Events => {
                self.watch(now_us);
                Some(Fate::Asks(Document::History))
            }
            Answer::Training { .. } if request.body_bytes > ORDER_MAX_BYTES => {
                self.answer_at_once(&Answer::status(Status::BodyTooLarge), false, now_us);
                None
            }
            Answer::Training { is_order } => {
                self.order = is_order.then_some(body);
                self.enter(Phase::Waiting { head_only }, now_us);
                Some(Fate::Orders)
            }
            answer => {
                self.answer_at_once(&answer, head_only, now_us);
                None
            }
        }
    }

    /// Begins to send frames, after the history that is asked for.
    fn watch(&mut self, now_us: u64) {
        self.keeps_alive = false;
        self.set_head(Status::Ok, EVENTS_TYPE, None, "");
        self.drained_bytes = 0;
        self.enter(Phase::Joining, now_us);
    }

    /// Answers what cannot be understood; nothing more is read from there.
    fn refuse(&mut self, status: Status, now_us: u64) {
        self.keeps_alive = false;
        self.answer_at_once(&Answer::status(status), false, now_us);
    }

    fn answer_at_once(&mut self, answer: &Answer, head_only: bool, now_us: u64) {
        let body = match answer {
            Answer::Now { status, content_type, body, more } => {
                self.set_head(*status, content_type, Some(body.len()), more);
                *body
            }
            Answer::NotAllowed { allowed } => {
                let status = Status::MethodNotAllowed;
                let body = http::explanation(status).as_bytes();
                self.set_head_of(status, routes::PLAIN_TEXT, Some(body.len()), "", allowed);
                body
            }
            Answer::Document(_) | Answer::Events | Answer::Training { .. } => return,
        };
        self.body = if head_only { Body::None } else { Body::Fixed(body) };
        self.enter(Phase::Writing, now_us);
    }

    /// What it asks of the lessons: an order, or nothing but how they are.
    pub(super) fn take_order(&mut self) -> Option<Vec<u8>> {
        self.order.take()
    }

    /// Hands it what the lessons answer: how they are, or what is wrong with the order.
    pub(super) fn answer_order(&mut self, answer: Result<String, String>, now_us: u64) {
        let (status, content_type, text) = match answer {
            Ok(state) => (Status::Ok, "application/json", state),
            Err(reason) => (Status::BadRequest, routes::PLAIN_TEXT, reason),
        };
        if let Phase::Waiting { head_only } = self.phase {
            self.set_head(status, content_type, Some(text.len()), "");
            self.body = if head_only { Body::None } else { Body::Written(text.into_bytes().into()) };
            self.enter(Phase::Writing, now_us);
        }
    }

    fn set_head(&mut self, status: Status, content_type: &str, body_bytes: Option<usize>, more: &str) {
        self.set_head_of(status, content_type, body_bytes, more, "");
    }

    fn set_head_of(
        &mut self,
        status: Status,
        content_type: &str,
        body_bytes: Option<usize>,
        more: &str,
        allowed: &str,
    ) {
        let head = Head { status, content_type, body_bytes, keeps_alive: self.keeps_alive, allowed, more };
        self.head = head.text().into_bytes();
        self.body = Body::None;
        self.sent = 0;
    }

    /// Hands it a text that has been written: the answer that it waits for, or a frame.
    pub(super) fn answer_with(&mut self, document: Document, text: &Rc<[u8]>, now_us: u64) {
        match self.phase {
            Phase::Waiting { head_only } => {
                self.set_head(Status::Ok, document.content_type(), Some(text.len()), document.more_headers());
                self.body = if head_only { Body::None } else { Body::Written(Rc::clone(text)) };
                self.enter(Phase::Writing, now_us);
            }
            Phase::Joining => {
                // The head may be on its way still.
                self.head.drain(..self.sent);
                self.body = Body::Written(Rc::clone(text));
                self.sent = 0;
                self.enter(Phase::Watching, now_us);
            }
            Phase::Watching if self.is_all_sent() => {
                self.head = Vec::new();
                self.body = Body::Written(Rc::clone(text));
                self.sent = 0;
                self.since_us = now_us;
            }
            Phase::Watching | Phase::Reading | Phase::Writing | Phase::Draining => {}
        }
    }

    /// Sends as much of the answer as the socket and the turn allow. Nothing where that was all.
    fn send(&mut self, room_bytes: &mut usize) -> io::Result<Option<Fate>> {
        loop {
            let rest = match self.sent.checked_sub(self.head.len()) {
                None => &self.head[self.sent..],
                Some(sent) => &self.body.bytes()[sent..],
            };
            if rest.is_empty() {
                return match self.socket.flush() {
                    Ok(()) => Ok(None),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(Fate::Stays)),
                    Err(error) => Err(error),
                };
            }
            if *room_bytes == 0 {
                return Ok(Some(Fate::Pauses));
            }
            match self.socket.write(&rest[..rest.len().min(*room_bytes)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sent += count;
                    *room_bytes -= count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Some(Fate::Stays)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn finish_answer(&mut self, now_us: u64) -> io::Result<()> {
        self.head = Vec::new();
        self.body = Body::None;
        self.sent = 0;
        self.is_known = true;
        if self.keeps_alive {
            self.enter(Phase::Reading, now_us);
            return Ok(());
        }
        self.enter(Phase::Draining, now_us);
        self.socket.finish()
    }

    fn drain(&mut self) -> io::Result<Fate> {
        let mut buffer = [0; 4096];
        while self.drained_bytes < DRAIN_MAX_BYTES {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Ok(Fate::Ends),
                Ok(count) => self.drained_bytes += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Fate::Stays),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Fate::Ends)
    }
}
