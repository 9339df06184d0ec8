//! The source's side of a migration.

use log::Level;

use super::super::node::Now;
use super::super::node_id::NodeId;
use super::job::{ACK_PERIOD_MS, Job, JobName, Side};
use super::ranges::SlotRanges;
use super::state::{Message, Settings, State, read_request, request};

/// After the failover is granted writes stay paused for at least this time, in ms, until the target's claim arrives.
const CLAIM_MS: u64 = 2000;
/// Maximum length of a reply of the target, in bytes.
const REPLY_MAX_BYTES: usize = 16 * 1024;

/// Work for the job's owner, to be done in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExportAction {
    /// Connect to the target, then call `on_connected` or `fail`.
    Connect,
    /// Close the connection; the owner makes no further calls about it.
    Close,
    /// Send this at once, before the queued data.
    Send(Vec<u8>),
    /// Send this after all changes of the keys so far.
    SendBehind(Message),
    /// Pin a snapshot of the keys, send it, and call `on_snapshot_sent`. From now on changes of the keys are collected
    /// and sent after the snapshot.
    BeginSnapshot,
    /// Release the snapshot, and stop collecting changes.
    DropData,
    /// Pause writes to the slots.
    HoldWrites,
    ReleaseWrites,
    Log(Level, String),
}

/// The owner of the slots, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    Myself,
    Target,
    Others,
}

/// A job on the source's side.
#[derive(Clone, Debug)]
pub struct ExportJob {
    pub job: Job,
    /// The login at the target: AUTH with its arguments.
    login: Option<Vec<u8>>,
    settings: Settings,
    heard_ms: u64,
    ack_due_ms: u64,
    /// Until when writes are paused.
    held_until_ms: Option<u64>,
    actions: Vec<ExportAction>,
}

impl ExportJob {
    /// A new job.
    pub fn new(name: JobName, ranges: SlotRanges, nodes: (NodeId, NodeId), settings: Settings, now: Now) -> ExportJob {
        let mut job = Job::new(Side::Export, name, ranges, State::Connecting, now);
        (job.source, job.target) = (Some(nodes.0), Some(nodes.1));
        ExportJob {
            job,
            login: None,
            settings,
            heard_ms: now.steady_ms,
            ack_due_ms: 0,
            held_until_ms: None,
            actions: vec![ExportAction::Connect],
        }
    }

    /// The login for the target, if it needs one.
    pub fn with_login(mut self, words: Option<Vec<&[u8]>>) -> ExportJob {
        self.login = words.map(|words| request(&words));
        self
    }

    /// Replaces the settings.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes the work for the owner.
    pub fn take_actions(&mut self) -> Vec<ExportAction> {
        std::mem::take(&mut self.actions)
    }

    fn enter(&mut self, state: State, now: Now) {
        let (level, line) = self.job.enter(state, now);
        self.actions.push(ExportAction::Log(level, line));
    }

    /// The connection to the target is open.
    pub fn on_connected(&mut self, now: Now) {
        if self.job.state != State::Connecting {
            return;
        }
        match self.login.clone() {
            Some(login) => {
                self.actions.push(ExportAction::Send(login));
                self.enter(State::ReadingAuthResponse, now);
            }
            None => self.establish(now),
        }
    }

    fn establish(&mut self, now: Now) {
        let (source, name) = (self.job.source.unwrap_or(self.job.name), self.job.name);
        let ends: Vec<String> =
            self.job.ranges.iter().flat_map(|range| [range.start().to_string(), range.end().to_string()]).collect();
        let mut words: Vec<&[u8]> = vec![b"CLUSTER", b"SYNCSLOTS", b"ESTABLISH", b"SOURCE", source.as_bytes()];
        words.extend([b"NAME".as_slice(), name.as_bytes(), b"SLOTSRANGE"]);
        words.extend(ends.iter().map(String::as_bytes));
        self.actions.push(ExportAction::Send(request(&words)));
        self.enter(State::ReadingEstablishResponse, now);
    }

    /// Processes bytes received from the target. `pending_bytes` wait to be sent. Returns the number of bytes consumed.
    pub fn on_received(&mut self, input: &[u8], pending_bytes: u64, now: Now) -> usize {
        let mut used = 0;
        // After the failover is granted only the target's claim counts.
        while self.job.state.is_in_progress() && self.job.state != State::FailoverGranted {
            let taken = match self.job.state {
                State::ReadingAuthResponse | State::ReadingEstablishResponse => self.take_reply(&input[used..], now),
                _ => self.take_message(&input[used..], pending_bytes, now),
            };
            if taken == 0 {
                return used;
            }
            used += taken;
            self.hear(now);
        }
        input.len()
    }

    fn hear(&mut self, now: Now) {
        self.heard_ms = now.steady_ms;
        self.job.acked_s = now.wall_ms / 1000;
    }

    fn take_reply(&mut self, input: &[u8], now: Now) -> usize {
        let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
            if input.len() > REPLY_MAX_BYTES {
                self.fail("Response to establish job is larger than buffer limit", now);
            }
            return 0;
        };
        let line = String::from_utf8_lossy(input[..end].trim_ascii_end()).into_owned();
        match (self.job.state, line.starts_with('-')) {
            (State::ReadingAuthResponse, true) => self.fail(&format!("Failed to AUTH to target node: {line}"), now),
            (State::ReadingAuthResponse, false) => self.establish(now),
            (_, true) => self.fail(&format!("Received error during handshake to target: {line}"), now),
            (_, false) => {
                // For the target this ACK starts the transfer.
                self.actions.push(ExportAction::Send(Message::Ack.request()));
                self.ack_due_ms = now.steady_ms + ACK_PERIOD_MS;
                self.enter(State::WaitingToSnapshot, now);
            }
        }
        end + 1
    }

    fn take_message(&mut self, input: &[u8], pending_bytes: u64, now: Now) -> usize {
        let (words, taken) = match read_request(input) {
            Ok(Some((words, taken))) => (words, taken),
            Ok(None) => return 0,
            Err(_) => {
                self.fail(PROTOCOL, now);
                return 0;
            }
        };
        let is_message = words.len() == 3
            && words[0].eq_ignore_ascii_case(b"cluster")
            && words[1].eq_ignore_ascii_case(b"syncslots");
        match Message::from_word(words.last().copied().unwrap_or_default()).filter(|_| is_message) {
            Some(message) => self.on_message(message, pending_bytes, now),
            None => self.fail("Unknown SYNCSLOTS subcommand used", now),
        }
        taken
    }

    fn on_message(&mut self, message: Message, pending_bytes: u64, now: Now) {
        match (message, self.job.state) {
            (Message::Ack, _) => {}
            (Message::RequestPause, State::Streaming) => {
                self.enter(State::WaitingToPause, now);
                self.try_to_pause(pending_bytes, now);
            }
            (Message::RequestFailover, State::Paused) => self.grant(now),
            _ => self.fail(UNEXPECTED, now),
        }
    }

    fn try_to_pause(&mut self, pending_bytes: u64, now: Now) {
        if self.settings.max_failover_bytes.is_some_and(|most| pending_bytes > most) {
            return;
        }
        self.actions.push(ExportAction::HoldWrites);
        self.actions.push(ExportAction::SendBehind(Message::Paused));
        self.held_until_ms = Some(now.steady_ms + self.settings.pause_ms);
        self.enter(State::Paused, now);
    }

    fn grant(&mut self, now: Now) {
        if self.is_pause_over(now) {
            return self.fail("Unpaused before failover completed", now);
        }
        let claimed_ms = now.steady_ms + CLAIM_MS;
        self.held_until_ms = self.held_until_ms.map(|until_ms| until_ms.max(claimed_ms));
        self.actions.push(ExportAction::SendBehind(Message::FailoverGranted));
        self.enter(State::FailoverGranted, now);
    }

    fn is_pause_over(&self, now: Now) -> bool {
        self.held_until_ms.is_none_or(|until_ms| now.steady_ms > until_ms)
    }

    /// Whether the job waits for the start of the snapshot.
    pub fn waits_to_snapshot(&self) -> bool {
        self.job.state == State::WaitingToSnapshot
    }

    /// The owner can pin the snapshot now: no unit is open.
    pub fn begin_snapshot(&mut self, now: Now) {
        if self.waits_to_snapshot() {
            self.actions.push(ExportAction::BeginSnapshot);
            self.enter(State::Snapshotting, now);
        }
    }

    /// All keys, and `SNAPSHOT-EOF` after them, have been handed to the connection.
    pub fn on_snapshot_sent(&mut self, now: Now) {
        if self.job.state == State::Snapshotting {
            self.enter(State::Streaming, now);
        }
    }

    /// Updates the number of bytes that wait to be sent.
    pub fn on_pending(&mut self, pending_bytes: u64, now: Now) {
        self.job.pending_bytes = pending_bytes;
        if self.job.state == State::WaitingToPause {
            self.try_to_pause(pending_bytes, now);
        }
    }

    /// The connection is closed.
    pub fn on_closed(&mut self, now: Now) {
        if !self.job.state.is_in_progress() {
            return;
        }
        let (level, line) = (Level::Info, format!("Slot migration {} connection lost", self.job.description()));
        self.actions.push(ExportAction::Log(level, line));
        // The target closes the connection after it has taken the slots; its claim may arrive later.
        if self.job.state != State::FailoverGranted {
            self.fail(CONNECTION_LOST, now);
        }
    }

    /// The owner of the slots according to the bus.
    pub fn on_owner(&mut self, owner: Owner, now: Now) {
        if !self.job.state.is_in_progress() {
            return;
        }
        match owner {
            Owner::Myself => {}
            Owner::Target => {
                let line = format!("Slot migration {} slots are now owned by target node.", self.job.description());
                self.actions.push(ExportAction::Log(Level::Info, line));
                self.end(State::Success, String::new(), now);
            }
            Owner::Others => self.fail("Slots are no longer owned by myself", now),
        }
    }

    /// Does the work that is due by time. `pending_bytes` wait to be sent.
    pub fn on_tick(&mut self, pending_bytes: u64, now: Now) {
        self.on_pending(pending_bytes, now);
        if !self.job.state.is_in_progress() {
            return;
        }
        match self.job.state {
            State::FailoverGranted if self.is_pause_over(now) => {
                let line = format!(
                    "Write loss risk! During slot migration {} the new owner did not announce its ownership before \
                     writes were accepted again. Writes since then may be lost!",
                    self.job.description()
                );
                self.actions.push(ExportAction::Log(Level::Warn, line));
                self.fail("Unpaused before migration completed (migration may have succeeded with lost writes)", now);
            }
            State::FailoverGranted => {}
            State::Paused if self.is_pause_over(now) => self.fail("Timed out before streaming completed", now),
            _ if now.steady_ms.saturating_sub(self.heard_ms) > self.settings.timeout_ms => {
                self.fail("Timed out after too long with no interaction", now);
            }
            State::Connecting | State::ReadingAuthResponse | State::ReadingEstablishResponse => {}
            _ if now.steady_ms >= self.ack_due_ms => {
                self.ack_due_ms = now.steady_ms + ACK_PERIOD_MS;
                self.actions.push(ExportAction::Send(Message::Ack.request()));
            }
            _ => {}
        }
    }

    /// An administrator cancels the job. After the failover is granted this has no effect: writes that this node
    /// accepts from then on may be lost.
    pub fn cancel(&mut self, now: Now) {
        if self.job.state.is_in_progress() && self.job.state != State::FailoverGranted {
            self.end(State::Cancelled, String::new(), now);
        }
    }

    /// The job cannot continue.
    pub fn fail(&mut self, message: &str, now: Now) {
        if self.job.state.is_in_progress() {
            self.end(State::Failed, message.to_string(), now);
        }
    }

    fn end(&mut self, state: State, message: String, now: Now) {
        self.job.message = message;
        self.enter(state, now);
        self.actions.extend([ExportAction::Close, ExportAction::DropData]);
        if self.held_until_ms.take().is_some() {
            self.actions.push(ExportAction::ReleaseWrites);
        }
        let (level, line) = self.job.end_line();
        self.actions.push(ExportAction::Log(level, line));
    }
}

const PROTOCOL: &str = "Failed to process command during slot migration. Check logs for more information";
const UNEXPECTED: &str = "Unexpected state machine transition";
const CONNECTION_LOST: &str =
    "Connection lost to target. Check CLUSTER GETSLOTMIGRATIONS on the target node for more information.";
