//! A replica's link to its primary: when it connects, what it does with what comes, when it gives up and tries again.
//!
//! ```text
//!             due              open               FULLRESYNC              all data are there
//! Waiting ──────────► Connecting ──► Handshake ─────────────► Transfer ──────────────────────► Loading
//!    ▲                                   │                                                        │
//!    │                                   │ CONTINUE                                               │ loaded
//!    │                                   ▼                                                        ▼
//!    └──── lost, timed out, failed ── Streaming ◄─────────────────────────────────────────────────┘
//! ```
//!
//! The owner hands on what comes over the link as far as the machine takes it: replies and data, up to the next
//! action. The stream is the owner's own business: it applies the commands, and says how far it has come.
//!
//! The *position* is the last byte of the stream that was applied. It outlives a lost link, so that the next handshake
//! asks to go on after it. It is forgotten when new data have replaced the old, or when the primary has sent what is
//! no stream: nothing that came before can be trusted then.

use std::fmt;

use log::Level;

use super::handshake::{Failure, Handshake, Introduction, Outcome};
use super::identity::{Position, ReplicationId};
use super::payload::{Form, PayloadError, PayloadReceiver, Progress};
use crate::keyspace::change_log::unit::encode;

/// The replica acknowledges what it has applied, and gives signs of life, so often.
const ACK_PERIOD_MS: i64 = 1000;
/// After a failure that may last, the next attempt comes so much later.
const RETRY_PAUSE_MS: i64 = 1000;
/// A primary that was just lost is tried again after this pause, for so long: it may only have restarted.
const SHORT_PAUSE_MS: i64 = 20;
const SHORT_PAUSES_FOR_MS: i64 = 60_000;
/// The log tells of attempts at most so often.
const LOG_PAUSE_MS: i64 = 1000;

/// What the owner of the link is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection to the primary, and say `on_connected` or `on_lost`. The log is to tell of it, unless it was
    /// told of such an attempt a moment ago.
    Connect { is_logged: bool },
    /// Close the connection, if there is one.
    Disconnect,
    /// Send these bytes to the primary.
    Send(Vec<u8>),
    /// All data will come anew, in the form that `on_bytes` hands on after this.
    ExpectPayload(Form),
    /// The last byte of the data has been handed on: load them, and say `on_loaded`.
    PayloadComplete,
    /// The link has gone before all data were there: what came of them is of no use.
    DropPayload,
    /// The stream goes on where it was left; the primary's history has this id now, if it is another one.
    Resumed(Option<ReplicationId>),
    /// The data are loaded, and the stream begins after this position, if the primary has told one.
    Begun(Option<Position>),
    /// The server that was to give way to this one does not.
    TakeoverRejected,
    /// The log is to say this.
    Log(Level, String),
}

/// How far the link is, in the words of ROLE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    Waiting,
    Connecting,
    Handshake,
    Transfer,
    Streaming,
}

impl fmt::Display for LinkState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            LinkState::Waiting => "connect",
            LinkState::Connecting => "connecting",
            LinkState::Handshake => "handshake",
            LinkState::Transfer => "sync",
            LinkState::Streaming => "connected",
        })
    }
}

#[derive(Debug)]
enum Phase {
    Waiting { until_ms: i64 },
    Connecting,
    Handshake(Box<Handshake>),
    Transfer { receiver: Box<PayloadReceiver>, begins_after: Option<Position> },
    Loading { begins_after: Option<Position> },
    Streaming,
}

/// A replica's link to its primary.
#[derive(Debug)]
pub struct PrimaryLink {
    phase: Phase,
    position: Option<Position>,
    /// Without a sign of life for so long the link counts as lost.
    pub timeout_ms: i64,
    last_input_ms: i64,
    last_ack_ms: i64,
    /// The offset that was acknowledged last.
    acked: Option<u64>,
    /// Since when the link is down that has been up.
    down_since_ms: Option<i64>,
    /// When the log last told of an attempt to connect.
    logged_ms: Option<i64>,
}

impl PrimaryLink {
    /// A link that is to be opened at once. The position is where the data at hand stand in a history, if that is
    /// known.
    pub fn new(position: Option<Position>, timeout_ms: i64, now_ms: i64) -> PrimaryLink {
        PrimaryLink {
            phase: Phase::Waiting { until_ms: now_ms },
            position,
            timeout_ms,
            last_input_ms: now_ms,
            last_ack_ms: now_ms,
            acked: None,
            down_since_ms: None,
            logged_ms: None,
        }
    }

    /// How far the link is.
    pub fn state(&self) -> LinkState {
        match self.phase {
            Phase::Waiting { .. } => LinkState::Waiting,
            Phase::Connecting => LinkState::Connecting,
            Phase::Handshake(_) => LinkState::Handshake,
            Phase::Transfer { .. } | Phase::Loading { .. } => LinkState::Transfer,
            Phase::Streaming => LinkState::Streaming,
        }
    }

    /// Whether the stream flows.
    #[inline]
    pub fn is_streaming(&self) -> bool {
        matches!(self.phase, Phase::Streaming)
    }

    /// The last byte of the stream that was applied.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// So many bytes of the data have come, of so many if that is known; nothing unless they are on their way.
    pub fn payload_bytes(&self) -> Option<(u64, Option<u64>)> {
        let Phase::Transfer { receiver, .. } = &self.phase else { return None };
        let total = match receiver.form() {
            Some(Form::Sized(bytes)) => Some(*bytes),
            Some(Form::Marked(_)) | None => None,
        };
        Some((receiver.read_bytes(), total))
    }

    /// The position after which the stream will begin once the data are loaded, if the primary has told one.
    pub fn payload_position(&self) -> Option<Position> {
        match self.phase {
            Phase::Transfer { begins_after, .. } | Phase::Loading { begins_after } => begins_after,
            _ => None,
        }
    }

    /// When the primary was last heard of, in ms since the epoch.
    pub fn last_input_ms(&self) -> i64 {
        self.last_input_ms
    }

    /// Since when a link that has been up is down, in ms since the epoch.
    pub fn down_since_ms(&self) -> Option<i64> {
        self.down_since_ms
    }

    /// When the next attempt to connect is due, if the link waits for one, in ms since the epoch.
    pub fn due_ms(&self) -> Option<i64> {
        match self.phase {
            Phase::Waiting { until_ms } => Some(until_ms),
            _ => None,
        }
    }

    /// Whether more was applied than the primary was told.
    pub fn owes_ack(&self) -> bool {
        let offset = self.position.map(|position| position.offset);
        self.is_streaming() && offset.is_some() && offset != self.acked
    }

    /// Bytes up to this one were applied.
    #[inline]
    pub fn applied(&mut self, offset: u64) {
        if let Some(position) = &mut self.position {
            position.offset = offset;
        }
    }

    /// Bytes of the primary have come, or wait to be taken.
    pub fn note_input(&mut self, now_ms: i64) {
        self.last_input_ms = now_ms;
    }

    /// Time has passed; to be called several times a second.
    pub fn on_tick(&mut self, now_ms: i64, fsynced: Option<u64>, actions: &mut Vec<Action>) {
        let is_silent = now_ms - self.last_input_ms > self.timeout_ms;
        let is_ack_due = now_ms - self.last_ack_ms >= ACK_PERIOD_MS;
        match self.phase {
            Phase::Waiting { until_ms } if now_ms >= until_ms => {
                self.phase = Phase::Connecting;
                self.last_input_ms = now_ms;
                let is_logged = self.logged_ms.is_none_or(|logged_ms| now_ms - logged_ms >= LOG_PAUSE_MS);
                if is_logged {
                    self.logged_ms = Some(now_ms);
                }
                actions.push(Action::Connect { is_logged });
            }
            Phase::Waiting { .. } => {}
            Phase::Connecting | Phase::Handshake(_) if is_silent => {
                self.give_up(now_ms, 0, "Timeout connecting to the MASTER...", actions);
            }
            Phase::Transfer { .. } if is_silent => {
                let advice = "Timeout receiving bulk data from MASTER... If the problem persists try to set the \
                              'repl-timeout' parameter in redis.conf to a larger value.";
                self.give_up(now_ms, 0, advice, actions);
            }
            Phase::Streaming if is_silent => {
                self.give_up(now_ms, 0, "MASTER timeout: no data nor PING received...", actions);
            }
            Phase::Loading { .. } if is_ack_due => {
                // The primary takes an empty line for a sign of life.
                self.last_ack_ms = now_ms;
                actions.push(Action::Send(b"\n".to_vec()));
            }
            Phase::Streaming if is_ack_due => self.acknowledge(now_ms, fsynced, actions),
            _ => {}
        }
    }

    /// Tells the primary what was applied, and what of it is on the disk. Besides once a second this is called when the
    /// primary asks, and when the stream falls idle.
    pub fn acknowledge(&mut self, now_ms: i64, fsynced: Option<u64>, actions: &mut Vec<Action>) {
        let (Phase::Streaming, Some(position)) = (&self.phase, self.position) else { return };
        self.last_ack_ms = now_ms;
        self.acked = Some(position.offset);
        let (offset, fsynced) = (position.offset.to_string(), fsynced.map(|offset| offset.to_string()));
        let mut words: Vec<&[u8]> = vec![b"REPLCONF", b"ACK", offset.as_bytes()];
        if let Some(fsynced) = &fsynced {
            words.extend([b"FACK".as_slice(), fsynced.as_bytes()]);
        }
        let mut bytes = Vec::new();
        encode(&mut bytes, words.len(), words.iter().copied());
        actions.push(Action::Send(bytes));
    }

    /// The connection is open. The introduction's position is the link's own.
    pub fn on_connected(&mut self, now_ms: i64, introduction: Introduction, actions: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Connecting) {
            return;
        }
        self.last_input_ms = now_ms;
        let introduction = Introduction { last: self.position, ..introduction };
        let mut handshake = Box::new(Handshake::new(introduction));
        actions.push(Action::Send(handshake.take_output()));
        self.phase = Phase::Handshake(handshake);
    }

    /// The connection could not be opened, or was closed by the other side or the network.
    pub fn on_lost(&mut self, now_ms: i64, reason: &str, actions: &mut Vec<Action>) {
        let was_just_lost = self.down_since_ms.is_some_and(|since_ms| now_ms - since_ms < SHORT_PAUSES_FOR_MS);
        let pause_ms = match self.phase {
            Phase::Waiting { .. } => return,
            // A primary that is not there is not asked all the time.
            Phase::Connecting | Phase::Handshake(_) if was_just_lost => SHORT_PAUSE_MS,
            Phase::Connecting | Phase::Handshake(_) => RETRY_PAUSE_MS,
            Phase::Transfer { .. } | Phase::Loading { .. } | Phase::Streaming => 0,
        };
        self.give_up(now_ms, pause_ms, reason, actions);
    }

    /// What the primary has sent is no stream: neither the link nor the position can be trusted any more.
    pub fn on_protocol_error(&mut self, now_ms: i64, reason: &str, actions: &mut Vec<Action>) {
        self.position = None;
        self.give_up(now_ms, RETRY_PAUSE_MS, reason, actions);
    }

    /// A command of the primary cannot be applied here: the stream ends before it.
    pub fn on_inapplicable(&mut self, now_ms: i64, reason: &str, actions: &mut Vec<Action>) {
        self.give_up(now_ms, RETRY_PAUSE_MS, reason, actions);
    }

    /// Takes bytes that have come from the primary, up to the first action, and hands those of the snapshot to
    /// `payload`. Says how many were taken. While data are being loaded none are: the owner keeps them, and reads no
    /// more, until `on_loaded`. Nor are those of the stream.
    pub fn on_bytes(
        &mut self,
        now_ms: i64,
        bytes: &[u8],
        payload: &mut dyn FnMut(&[u8]),
        actions: &mut Vec<Action>,
    ) -> usize {
        let before = actions.len();
        let mut taken = 0;
        while taken < bytes.len() && actions.len() == before {
            let rest = &bytes[taken..];
            taken += match &mut self.phase {
                Phase::Waiting { .. } | Phase::Connecting | Phase::Loading { .. } | Phase::Streaming => break,
                Phase::Handshake(handshake) => {
                    let (count, outcome) = handshake.receive(rest);
                    for note in handshake.take_notes() {
                        actions.push(Action::Log(note.level(), note.to_string()));
                    }
                    let output = handshake.take_output();
                    if !output.is_empty() {
                        actions.push(Action::Send(output));
                    }
                    if let Some(outcome) = outcome {
                        self.on_outcome(now_ms, outcome, actions);
                    }
                    count
                }
                Phase::Transfer { .. } => self.on_payload(now_ms, rest, payload, actions),
            };
            self.last_input_ms = now_ms;
        }
        taken
    }

    fn on_outcome(&mut self, now_ms: i64, outcome: Outcome, actions: &mut Vec<Action>) {
        let log = |actions: &mut Vec<Action>, text: String| actions.push(Action::Log(Level::Info, text));
        match outcome {
            Outcome::FullResync(position) => {
                log(actions, format!("Full resync from master: {}:{}", position.id, position.offset));
                self.expect_payload(Some(position));
            }
            Outcome::Unversioned => self.expect_payload(None),
            Outcome::Continue(id) => {
                let Some(position) = &mut self.position else {
                    // It asked for all, and has nothing to go on from.
                    return self.give_up(now_ms, RETRY_PAUSE_MS, "Unexpected +CONTINUE from master", actions);
                };
                log(actions, "Successful partial resynchronization with master.".into());
                let changed = id.filter(|id| *id != position.id);
                if let Some(id) = changed {
                    log(actions, format!("Master replication ID changed to {id}"));
                    position.id = id;
                }
                actions.push(Action::Resumed(changed));
                self.begin_stream(now_ms);
            }
            Outcome::Failed(failure) => {
                if matches!(failure, Failure::TakeoverRejected(_)) {
                    actions.push(Action::TakeoverRejected);
                }
                self.give_up(now_ms, RETRY_PAUSE_MS, &failure.to_string(), actions);
            }
        }
    }

    fn expect_payload(&mut self, begins_after: Option<Position>) {
        self.phase = Phase::Transfer { receiver: Box::default(), begins_after };
    }

    fn begin_stream(&mut self, now_ms: i64) {
        self.phase = Phase::Streaming;
        self.acked = None;
        self.last_input_ms = now_ms;
        self.down_since_ms = None;
    }

    fn on_payload(
        &mut self,
        now_ms: i64,
        bytes: &[u8],
        payload: &mut dyn FnMut(&[u8]),
        actions: &mut Vec<Action>,
    ) -> usize {
        let Phase::Transfer { receiver, begins_after } = &mut self.phase else { return 0 };
        match receiver.receive(bytes, payload) {
            Ok((taken, Progress::Pending)) => taken,
            Ok((taken, Progress::Announced)) => {
                if let Some(form) = receiver.form() {
                    actions.push(Action::ExpectPayload(form.clone()));
                }
                taken
            }
            Ok((taken, Progress::Complete)) => {
                self.phase = Phase::Loading { begins_after: *begins_after };
                self.last_ack_ms = now_ms;
                actions.push(Action::PayloadComplete);
                taken
            }
            Err(error) => {
                let reason = match error {
                    PayloadError::Aborted(reason) => format!("MASTER aborted replication with an error: {reason}"),
                    PayloadError::BadAnnouncement(line) => format!(
                        "Bad protocol from MASTER, the first byte is not '$' (we received '{line}'), are you sure the \
                         host and port are right?"
                    ),
                };
                self.give_up(now_ms, RETRY_PAUSE_MS, &reason, actions);
                bytes.len()
            }
        }
    }

    /// The data were loaded, or could not be.
    pub fn on_loaded(
        &mut self,
        now_ms: i64,
        fsynced: Option<u64>,
        outcome: Result<(), &str>,
        actions: &mut Vec<Action>,
    ) {
        let begins_after = match self.phase {
            // Data that are loaded as they come may turn out to be worthless before all are there.
            Phase::Transfer { begins_after, .. } if outcome.is_err() => begins_after,
            Phase::Loading { begins_after } => begins_after,
            _ => return,
        };
        match outcome {
            Ok(()) => {
                self.position = begins_after;
                self.begin_stream(now_ms);
                actions.push(Action::Log(Level::Info, "MASTER <-> REPLICA sync: Finished with success".into()));
                actions.push(Action::Begun(begins_after));
                self.acknowledge(now_ms, fsynced, actions);
            }
            // Whether the old data are still there, and with them the position, the owner knows.
            Err(reason) => {
                let text = format!("Failed trying to load the MASTER synchronization DB: {reason}");
                self.give_up(now_ms, RETRY_PAUSE_MS, &text, actions);
            }
        }
    }

    /// The old data are gone, or cannot be trusted: nothing is left to go on from.
    pub fn forget_position(&mut self) {
        self.position = None;
    }

    fn give_up(&mut self, now_ms: i64, pause_ms: i64, reason: &str, actions: &mut Vec<Action>) {
        let is_quiet =
            matches!(self.phase, Phase::Connecting) && self.logged_ms.is_some_and(|at_ms| at_ms != self.last_input_ms);
        if !is_quiet {
            actions.push(Action::Log(Level::Warn, reason.to_string()));
        }
        if matches!(self.phase, Phase::Transfer { .. } | Phase::Loading { .. }) {
            actions.push(Action::DropPayload);
        }
        actions.push(Action::Disconnect);
        if matches!(self.phase, Phase::Streaming) {
            self.down_since_ms = Some(now_ms);
            self.logged_ms = None;
        }
        self.phase = Phase::Waiting { until_ms: now_ms + pause_ms };
    }
}

#[cfg(test)]
mod tests;
