//! One client of a recording and its connection to the other server: which reply belongs to which request.
//!
//! ```text
//! heard here     request 1, request 2, reply 1, message, reply 2
//! there          request 1, reply 1, request 2, message, reply 2
//! compared       replies with replies and messages with messages, each in their order
//! ```

use std::collections::VecDeque;
use std::time::Duration;

use super::frames;
use super::peer::Peer;
use super::rules::{Queued, Rule};

/// How long a reply may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a request is waited for that may wait for other clients.
const GLANCE: Duration = Duration::from_millis(50);

/// First words of what a client of the second version of the protocol is sent unasked.
const MESSAGES: [&[u8]; 9] = [
    b"message",
    b"pmessage",
    b"smessage",
    b"subscribe",
    b"psubscribe",
    b"ssubscribe",
    b"unsubscribe",
    b"punsubscribe",
    b"sunsubscribe",
];

/// A request whose reply here was not seen yet.
pub struct Awaited {
    /// To be shown.
    pub text: String,
    pub rule: Rule,
    /// Its reply may hold stream IDs.
    pub has_ids: bool,
    /// The other server was asked, too.
    pub is_sent: bool,
}

/// A reply here, and what the other server has sent.
pub struct Pair {
    pub awaited: Awaited,
    pub own: Vec<u8>,
    pub other: Option<Vec<u8>>,
}

/// One client, here and there.
pub struct Conversation {
    peer: Peer,
    /// Received here and not looked at.
    pub input: Vec<u8>,
    /// Sent here and not looked at.
    own: Vec<u8>,
    awaited: VecDeque<Awaited>,
    others: VecDeque<Vec<u8>>,
    other_messages: VecDeque<Vec<u8>>,
    pub queued: Queued,
    is_subscriber: bool,
    /// A message did not come there: the next ones are not waited for as long.
    misses_messages: bool,
}

impl Conversation {
    /// One that begins.
    pub fn new(peer: Peer) -> Conversation {
        Conversation {
            peer,
            input: Vec::new(),
            own: Vec::new(),
            awaited: VecDeque::new(),
            others: VecDeque::new(),
            other_messages: VecDeque::new(),
            queued: Queued::default(),
            is_subscriber: false,
            misses_messages: false,
        }
    }

    /// Notes a request that the other server is not asked.
    pub fn leave_out(&mut self, text: String) {
        self.awaited.push_back(Awaited { text, rule: Rule::Incomparable, has_ids: false, is_sent: false });
    }

    /// Asks the other server, and waits for its reply. A request that may wait for others is given a moment.
    ///
    /// Errors: the other server cannot be asked any more.
    pub fn ask(&mut self, words: &[&[u8]], awaited: Awaited, may_wait: bool) -> Result<(), String> {
        self.peer.send(words)?;
        self.awaited.push_back(awaited);
        if let Some(reply) = self.next_other(if may_wait { GLANCE } else { PATIENCE })? {
            self.others.push_back(reply);
        }
        Ok(())
    }

    /// Asks the other server for something that is answered by messages.
    ///
    /// Errors: the other server cannot be asked any more.
    pub fn subscribe(&mut self, words: &[&[u8]]) -> Result<(), String> {
        self.is_subscriber = true;
        self.peer.send(words)
    }

    fn is_message(&self, frame: &[u8]) -> bool {
        match frame.first() {
            Some(b'>') => true,
            Some(b'*') if self.is_subscriber => {
                let first = frame.split(|byte| *byte == b'\n').nth(2).unwrap_or_default().trim_ascii_end();
                MESSAGES.contains(&first)
            }
            _ => false,
        }
    }

    /// The next reply there; messages that come before it are kept.
    fn next_other(&mut self, patience: Duration) -> Result<Option<Vec<u8>>, String> {
        loop {
            match self.peer.frame_within(patience)? {
                Some(frame) if self.is_message(&frame) => self.other_messages.push_back(frame),
                frame => return Ok(frame),
            }
        }
    }

    /// The next message there; replies that come before it are kept.
    fn next_message(&mut self) -> Result<Option<Vec<u8>>, String> {
        if let Some(message) = self.other_messages.pop_front() {
            return Ok(Some(message));
        }
        loop {
            match self.peer.frame_within(if self.misses_messages { GLANCE } else { PATIENCE })? {
                Some(frame) if !self.is_message(&frame) => self.others.push_back(frame),
                frame => {
                    self.misses_messages = frame.is_none();
                    return Ok(frame);
                }
            }
        }
    }

    /// The client was sent this by the replay: gives each reply in it with the other server's. Requests that the other
    /// server was not sent are left out.
    ///
    /// Errors: the other server cannot be asked any more.
    pub fn note_sent(&mut self, bytes: &[u8]) -> Result<Vec<Pair>, String> {
        self.own.extend_from_slice(bytes);
        let mut pairs = Vec::new();
        for own in frames::take_frames(&mut self.own)? {
            if self.is_message(&own) {
                let other = self.next_message()?;
                let text = "a message".to_string();
                let awaited = Awaited { text, rule: Rule::Exact, has_ids: false, is_sent: true };
                pairs.push(Pair { awaited, own, other });
                continue;
            }
            // What belongs to no request is an error of the protocol.
            let Some(awaited) = self.awaited.pop_front() else { continue };
            if !awaited.is_sent {
                continue;
            }
            let other = match self.others.pop_front() {
                Some(other) => Some(other),
                None => self.next_other(PATIENCE)?,
            };
            pairs.push(Pair { awaited, own, other });
        }
        Ok(pairs)
    }

    /// A reply that the other server has sent, and this one has not.
    ///
    /// Errors: the other server cannot be asked any more.
    pub fn surplus(&mut self) -> Result<Option<Pair>, String> {
        let other = match self.others.pop_front() {
            Some(other) => Some(other),
            None => self.next_other(GLANCE)?,
        };
        let awaited = self.awaited.pop_front();
        Ok(other.zip(awaited).map(|(other, awaited)| Pair { awaited, own: Vec::new(), other: Some(other) }))
    }
}
