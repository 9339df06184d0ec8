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
//! The *position* is the last byte of the stream that was applied. It outlives a lost link, so that the next handshake asks to
//! go on after it. It is forgotten when new data have replaced the old, or when the primary has sent what is no stream:
//! nothing that came before can be trusted then.

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

/// What the owner of the link is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a connection to the primary, and say `on_connected` or `on_lost`.
    Connect,
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
    /// The stream goes on where it was left; the primary's history has this id now.
    Resumed(Option<ReplicationId>),
    /// The data are loaded, and the stream begins after this position, if the primary has told one.
    Begun(Option<Position>),
    /// The server that was to give way to this one does not.
    TakeoverRejected,
    /// The log is to say this.
    Log(Level, String),
}

/// Where what comes over the link goes.
pub trait LinkReceiver {
    /// Bytes of the snapshot.
    fn payload(&mut self, bytes: &[u8]);
    /// Bytes of the stream. Says whether they can be commands; if not, the position is forgotten.
    fn stream(&mut self, bytes: &[u8]) -> bool;
    /// Something is to be done, in this order with the bytes.
    fn act(&mut self, action: Action);
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
    down_since_ms: Option<i64>,
    has_been_up: bool,
}

impl PrimaryLink {
    /// A link that is to be opened at once. The position is where the data at hand stand in a history, if that is known.
    pub fn new(position: Option<Position>, timeout_ms: i64, now_ms: i64) -> PrimaryLink {
        PrimaryLink {
            phase: Phase::Waiting { until_ms: now_ms },
            position,
            timeout_ms,
            last_input_ms: now_ms,
            last_ack_ms: now_ms,
            down_since_ms: None,
            has_been_up: false,
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

    /// The last byte of the stream that was applied.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// So many bytes of the data have come; none unless they are on their way.
    pub fn payload_bytes(&self) -> Option<(u64, Option<u64>)> {
        let Phase::Transfer { receiver, .. } = &self.phase else { return None };
        let total = match receiver.form() {
            Some(Form::Sized(bytes)) => Some(*bytes),
            Some(Form::Marked(_)) | None => None,
        };
        Some((receiver.read_bytes(), total))
    }

    /// When the primary was last heard of, in ms since the epoch.
    pub fn last_input_ms(&self) -> i64 {
        self.last_input_ms
    }

    /// Since when a link that has been up is down, in ms since the epoch.
    pub fn down_since_ms(&self) -> Option<i64> {
        self.down_since_ms.filter(|_| self.has_been_up)
    }

    /// Bytes up to this one were applied.
    pub fn applied(&mut self, offset: u64) {
        if let Some(position) = &mut self.position {
            position.offset = offset;
        }
    }

    /// Time has passed; to be called several times a second.
    pub fn on_tick(&mut self, now_ms: i64, fsynced: Option<u64>, receiver: &mut dyn LinkReceiver) {
        let is_silent = now_ms - self.last_input_ms > self.timeout_ms;
        let is_ack_due = now_ms - self.last_ack_ms >= ACK_PERIOD_MS;
        match self.phase {
            Phase::Waiting { until_ms } if now_ms >= until_ms => {
                self.phase = Phase::Connecting;
                self.last_input_ms = now_ms;
                receiver.act(Action::Connect);
            }
            Phase::Waiting { .. } => {}
            Phase::Connecting | Phase::Handshake(_) if is_silent => {
                self.give_up(now_ms, 0, "Timeout connecting to the MASTER...", receiver);
            }
            Phase::Transfer { .. } if is_silent => {
                let advice = "Timeout receiving bulk data from MASTER... If the problem persists try to set the \
                              'repl-timeout' parameter in redis.conf to a larger value.";
                self.give_up(now_ms, 0, advice, receiver);
            }
            Phase::Streaming if is_silent => {
                self.give_up(now_ms, 0, "MASTER timeout: no data nor PING received...", receiver);
            }
            Phase::Loading { .. } if is_ack_due => {
                // The primary takes an empty line for a sign of life.
                self.last_ack_ms = now_ms;
                receiver.act(Action::Send(b"\n".to_vec()));
            }
            Phase::Streaming if is_ack_due => self.acknowledge(now_ms, fsynced, receiver),
            _ => {}
        }
    }

    /// Tells the primary what was applied, and what of it is on the disk. Besides once a second this is called when the
    /// primary asks, and when the stream falls idle.
    pub fn acknowledge(&mut self, now_ms: i64, fsynced: Option<u64>, receiver: &mut dyn LinkReceiver) {
        let (Phase::Streaming, Some(position)) = (&self.phase, self.position) else { return };
        self.last_ack_ms = now_ms;
        let (offset, fsynced) = (position.offset.to_string(), fsynced.map(|offset| offset.to_string()));
        let mut words: Vec<&[u8]> = vec![b"REPLCONF", b"ACK", offset.as_bytes()];
        if let Some(fsynced) = &fsynced {
            words.extend([b"FACK".as_slice(), fsynced.as_bytes()]);
        }
        let mut bytes = Vec::new();
        encode(&mut bytes, words.len(), words.iter().copied());
        receiver.act(Action::Send(bytes));
    }

    /// The connection is open. The introduction's position is the link's own.
    pub fn on_connected(&mut self, now_ms: i64, introduction: Introduction, receiver: &mut dyn LinkReceiver) {
        if !matches!(self.phase, Phase::Connecting) {
            return;
        }
        self.last_input_ms = now_ms;
        let introduction = Introduction { last: self.position, ..introduction };
        let mut handshake = Box::new(Handshake::new(introduction));
        receiver.act(Action::Send(handshake.take_output()));
        self.phase = Phase::Handshake(handshake);
    }

    /// The connection could not be opened, or was closed by the other side or the network.
    pub fn on_lost(&mut self, now_ms: i64, reason: &str, receiver: &mut dyn LinkReceiver) {
        // Who was connected tries again at once; a primary that is not there is not asked all the time.
        let pause_ms = match self.phase {
            Phase::Waiting { .. } => return,
            Phase::Connecting | Phase::Handshake(_) => RETRY_PAUSE_MS,
            Phase::Transfer { .. } | Phase::Loading { .. } | Phase::Streaming => 0,
        };
        self.give_up(now_ms, pause_ms, reason, receiver);
    }

    /// Takes bytes that have come from the primary. Says how many were taken: while data are being loaded none are, and the
    /// owner keeps them, and reads no more, until `on_loaded`.
    pub fn on_bytes(&mut self, now_ms: i64, bytes: &[u8], receiver: &mut dyn LinkReceiver) -> usize {
        self.last_input_ms = now_ms;
        let mut taken = 0;
        while taken < bytes.len() {
            let rest = &bytes[taken..];
            taken += match &mut self.phase {
                Phase::Waiting { .. } | Phase::Connecting | Phase::Loading { .. } => return taken,
                Phase::Handshake(handshake) => {
                    let (count, outcome) = handshake.receive(rest);
                    for note in handshake.take_notes() {
                        receiver.act(Action::Log(note.level(), note.to_string()));
                    }
                    let output = handshake.take_output();
                    if !output.is_empty() {
                        receiver.act(Action::Send(output));
                    }
                    if let Some(outcome) = outcome {
                        self.on_outcome(now_ms, outcome, receiver);
                    }
                    count
                }
                Phase::Transfer { .. } => self.on_payload(now_ms, rest, receiver),
                Phase::Streaming => {
                    if !receiver.stream(rest) {
                        self.position = None;
                        self.give_up(now_ms, 0, "Protocol error from master", receiver);
                    }
                    rest.len()
                }
            };
        }
        taken
    }

    fn on_outcome(&mut self, now_ms: i64, outcome: Outcome, receiver: &mut dyn LinkReceiver) {
        let log = |receiver: &mut dyn LinkReceiver, text: String| receiver.act(Action::Log(Level::Info, text));
        match outcome {
            Outcome::FullResync(position) => {
                log(receiver, format!("Full resync from master: {}:{}", position.id, position.offset));
                self.expect_payload(Some(position));
            }
            Outcome::Unversioned => self.expect_payload(None),
            Outcome::Continue(id) => {
                log(receiver, "Successful partial resynchronization with master.".into());
                let Some(position) = &mut self.position else {
                    // It asked for all, and has nothing to go on from.
                    return self.give_up(now_ms, RETRY_PAUSE_MS, "Unexpected +CONTINUE from master", receiver);
                };
                let changed = id.filter(|id| *id != position.id);
                if let Some(id) = changed {
                    log(receiver, format!("Master replication ID changed to {id}"));
                    position.id = id;
                }
                receiver.act(Action::Resumed(changed));
                self.begin_stream(now_ms);
            }
            Outcome::Failed(failure) => {
                if matches!(failure, Failure::TakeoverRejected(_)) {
                    receiver.act(Action::TakeoverRejected);
                }
                self.give_up(now_ms, RETRY_PAUSE_MS, &failure.to_string(), receiver);
            }
        }
    }

    fn expect_payload(&mut self, begins_after: Option<Position>) {
        self.phase = Phase::Transfer { receiver: Box::default(), begins_after };
    }

    fn begin_stream(&mut self, now_ms: i64) {
        self.phase = Phase::Streaming;
        self.last_input_ms = now_ms;
        self.down_since_ms = None;
        self.has_been_up = true;
    }

    fn on_payload(&mut self, now_ms: i64, bytes: &[u8], receiver: &mut dyn LinkReceiver) -> usize {
        let Phase::Transfer { receiver: payload, begins_after } = &mut self.phase else { return 0 };
        match payload.receive(bytes, &mut |bytes| receiver.payload(bytes)) {
            Ok((taken, Progress::Pending)) => taken,
            Ok((taken, Progress::Announced)) => {
                if let Some(form) = payload.form() {
                    receiver.act(Action::ExpectPayload(form.clone()));
                }
                taken
            }
            Ok((taken, Progress::Complete)) => {
                self.phase = Phase::Loading { begins_after: *begins_after };
                self.last_ack_ms = now_ms;
                receiver.act(Action::PayloadComplete);
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
                self.give_up(now_ms, RETRY_PAUSE_MS, &reason, receiver);
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
        receiver: &mut dyn LinkReceiver,
    ) {
        let Phase::Loading { begins_after } = self.phase else { return };
        match outcome {
            Ok(()) => {
                self.position = begins_after;
                self.begin_stream(now_ms);
                receiver.act(Action::Log(Level::Info, "MASTER <-> REPLICA sync: Finished with success".into()));
                receiver.act(Action::Begun(begins_after));
                self.acknowledge(now_ms, fsynced, receiver);
            }
            // Whether the old data are still there, and with them the position, the owner knows.
            Err(reason) => {
                let text = format!("Failed trying to load the MASTER synchronization DB: {reason}");
                self.give_up(now_ms, RETRY_PAUSE_MS, &text, receiver);
            }
        }
    }

    /// The old data are gone, or cannot be trusted: nothing is left to go on from.
    pub fn forget_position(&mut self) {
        self.position = None;
    }

    fn give_up(&mut self, now_ms: i64, pause_ms: i64, reason: &str, receiver: &mut dyn LinkReceiver) {
        receiver.act(Action::Log(Level::Warn, reason.to_string()));
        if matches!(self.phase, Phase::Transfer { .. } | Phase::Loading { .. }) {
            receiver.act(Action::DropPayload);
        }
        receiver.act(Action::Disconnect);
        if matches!(self.phase, Phase::Streaming) {
            self.down_since_ms = Some(now_ms);
        }
        self.phase = Phase::Waiting { until_ms: now_ms + pause_ms };
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
