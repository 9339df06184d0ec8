//! The target's side of a migration, and the job as tracked by a replica of the target.

use log::Level;

use super::super::node::Now;
use super::super::node_id::NodeId;
use super::job::{ACK_PERIOD_MS, Job, JobName, Side};
use super::ranges::SlotRanges;
use super::state::{Message, Settings, State};

/// Work for the job's owner, to be done in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportAction {
    /// Send a message to the source.
    Send(Message),
    /// Close the source's connection; the owner makes no further calls about it.
    Close,
    /// Delete the keys of the slots, then call `on_cleaned_up`.
    CleanUp,
    /// Stop hiding the keys of the slots.
    Show,
    /// Send the result of the job to the replicas and the append-only file.
    Finish {
        is_success: bool,
        message: String,
    },
    Log(Level, String),
}

/// A job on the target's side, or on a replica of the target.
#[derive(Clone, Debug)]
pub struct ImportJob {
    pub job: Job,
    settings: Settings,
    heard_ms: u64,
    ack_due_ms: u64,
    actions: Vec<ImportAction>,
}

impl ImportJob {
    /// A job requested by a source.
    pub fn new(name: JobName, ranges: SlotRanges, nodes: (NodeId, NodeId), settings: Settings, now: Now) -> ImportJob {
        let mut import = ImportJob::tracking(name, ranges, settings, now);
        import.job.state = State::WaitingForAck;
        (import.job.source, import.job.target) = (Some(nodes.0), Some(nodes.1));
        let line = format!("New slot import job created: {}.", import.job.description());
        import.actions = vec![ImportAction::Log(Level::Info, line)];
        import
    }

    /// A job that this node tracks without running it: a job of its primary, or its own job from before a restart.
    pub fn tracking(name: JobName, ranges: SlotRanges, settings: Settings, now: Now) -> ImportJob {
        let job = Job::new(Side::Import, name, ranges, State::OccurringOnPrimary, now);
        let line = format!("New slot import job created: {}.", job.description());
        ImportJob {
            job,
            settings,
            heard_ms: now.steady_ms,
            ack_due_ms: 0,
            actions: vec![ImportAction::Log(Level::Info, line)],
        }
    }

    /// Replaces the settings.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Takes the work for the owner.
    pub fn take_actions(&mut self) -> Vec<ImportAction> {
        std::mem::take(&mut self.actions)
    }

    fn enter(&mut self, state: State, now: Now) {
        let (level, line) = self.job.enter(state, now);
        self.actions.push(ImportAction::Log(level, line));
    }

    /// The source has sent a command.
    pub fn on_interaction(&mut self, now: Now) {
        self.heard_ms = now.steady_ms;
    }

    /// The source has sent a message.
    pub fn on_message(&mut self, message: Message, now: Now) {
        if !self.job.state.is_in_progress() {
            return;
        }
        self.on_interaction(now);
        match (message, self.job.state) {
            (Message::Ack, state) => {
                self.job.acked_s = now.wall_ms / 1000;
                if state == State::WaitingForAck {
                    self.enter(State::ReceivingSnapshot, now);
                }
            }
            (Message::SnapshotEof, State::ReceivingSnapshot) => {
                self.actions.push(ImportAction::Send(Message::RequestPause));
                self.enter(State::WaitingForPaused, now);
            }
            (Message::Paused, State::WaitingForPaused) => {
                self.actions.push(ImportAction::Send(Message::RequestFailover));
                self.enter(State::FailoverRequested, now);
            }
            (Message::FailoverGranted, State::FailoverRequested) => self.enter(State::FailoverGranted, now),
            _ => self.fail("Unexpected state machine transition", true, now),
        }
    }

    /// Whether the owner has to take over the slots now.
    pub fn takes_over(&self) -> bool {
        self.job.state == State::FailoverGranted
    }

    /// The slots belong to this node, and the claim is on disk.
    pub fn on_taken_over(&mut self, now: Now) {
        if !self.takes_over() {
            return;
        }
        self.enter(State::Success, now);
        self.actions.extend([ImportAction::Close, ImportAction::Show]);
        self.actions.push(ImportAction::Finish { is_success: true, message: String::new() });
        let (level, line) = self.job.end_line();
        self.actions.push(ImportAction::Log(level, line));
    }

    /// The source's connection is closed.
    pub fn on_closed(&mut self, now: Now) {
        if self.job.state != State::OccurringOnPrimary {
            self.fail(CONNECTION_LOST, true, now);
        }
    }

    /// This node has become a replica: its primary decides about the received keys.
    pub fn on_demoted(&mut self, now: Now) {
        if self.job.state.is_in_progress() && self.job.state != State::OccurringOnPrimary {
            self.actions.push(ImportAction::Close);
            self.enter(State::OccurringOnPrimary, now);
        }
    }

    /// Does the work that is due by time.
    pub fn on_tick(&mut self, now: Now) {
        let state = self.job.state;
        if !state.is_in_progress() || state == State::OccurringOnPrimary {
            return;
        }
        if now.steady_ms.saturating_sub(self.heard_ms) > self.settings.timeout_ms {
            self.fail("Timed out after too long with no interaction", true, now);
        } else if state != State::WaitingForAck && now.steady_ms >= self.ack_due_ms {
            self.ack_due_ms = now.steady_ms + ACK_PERIOD_MS;
            self.actions.push(ImportAction::Send(Message::Ack));
        }
    }

    /// The job cannot continue. A primary deletes the received keys first; a replica leaves that to its primary.
    pub fn fail(&mut self, message: &str, is_primary: bool, now: Now) {
        if !self.job.state.is_in_progress() {
            return;
        }
        self.job.message = message.to_string();
        self.actions.push(ImportAction::Close);
        if is_primary {
            self.enter(State::CleaningUp, now);
            self.actions.push(ImportAction::CleanUp);
        } else {
            self.end(State::Failed, now);
        }
    }

    /// The keys have been deleted.
    pub fn on_cleaned_up(&mut self, now: Now) {
        if self.job.state == State::CleaningUp {
            self.end(State::Failed, now);
            self.actions.push(ImportAction::Finish { is_success: false, message: self.job.message.clone() });
        }
    }

    /// The primary, or the append-only file, reports the result of the job.
    pub fn on_finish(&mut self, is_success: bool, message: String, now: Now) {
        if !self.job.state.is_finished() {
            self.job.message = message;
            self.end(if is_success { State::Success } else { State::Failed }, now);
        }
    }

    fn end(&mut self, state: State, now: Now) {
        self.enter(state, now);
        self.actions.push(ImportAction::Show);
        let (level, line) = self.job.end_line();
        self.actions.push(ImportAction::Log(level, line));
    }
}

const CONNECTION_LOST: &str =
    "Connection lost to source. Check CLUSTER GETSLOTMIGRATIONS on the source node for more information.";
