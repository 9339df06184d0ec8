//! The data of a job that both sides have.

use log::Level;

use super::super::node::Now;
use super::super::node_id::NodeId;
use super::super::slot::SlotSet;
use super::ranges::SlotRanges;
use super::state::State;

/// The name of a job, which both nodes use: 40 digits, like a node id.
pub type JobName = NodeId;

/// The period at which a job sends ACK, in ms.
pub const ACK_PERIOD_MS: u64 = 1000;

/// Which side this node is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Export,
    Import,
}

/// The data of a job, as shown by CLUSTER GETSLOTMIGRATIONS.
#[derive(Clone, Debug)]
pub struct Job {
    pub side: Side,
    pub name: JobName,
    pub ranges: SlotRanges,
    pub slots: SlotSet,
    /// The two nodes; none on a replica, which knows only that its primary imports.
    pub source: Option<NodeId>,
    pub target: Option<NodeId>,
    /// Times of creation, of the last change of state and of the last message of the other node, in s since the epoch.
    pub created_s: u64,
    pub updated_s: u64,
    pub acked_s: u64,
    pub state: State,
    /// The reason of the failure, as readable text.
    pub message: String,
    /// Bytes of changes that waited to be sent at the last check.
    pub pending_bytes: u64,
    /// Bytes that were copied because keys changed during the snapshot.
    pub copied_bytes: u64,
}

impl Job {
    /// A new job.
    pub fn new(side: Side, name: JobName, ranges: SlotRanges, state: State, now: Now) -> Job {
        let now_s = now.wall_ms / 1000;
        Job {
            side,
            name,
            slots: ranges.slots(),
            ranges,
            source: None,
            target: None,
            created_s: now_s,
            updated_s: now_s,
            acked_s: now_s,
            state,
            message: String::new(),
            pending_bytes: 0,
            copied_bytes: 0,
        }
    }

    /// Whether this node receives the slots.
    pub fn is_import(&self) -> bool {
        self.side == Side::Import
    }

    /// Enters another state. Returns the line for the log.
    pub(super) fn enter(&mut self, state: State, now: Now) -> (Level, String) {
        let line = format!(
            "Slot migration {} state transition: {} -> {}",
            self.description(),
            self.state.name(),
            state.name()
        );
        self.state = state;
        self.updated_s = now.wall_ms / 1000;
        (Level::Info, line)
    }

    /// The line for the log at the end of the job.
    pub(super) fn end_line(&self) -> (Level, String) {
        let level = if self.state == State::Failed { Level::Warn } else { Level::Info };
        let message = if self.message.is_empty() { "none" } else { &self.message };
        let line =
            format!("Slot migration {} finished. State: {}, Message: {message}", self.description(), self.state.name());
        (level, line)
    }

    /// The description of the job in the log.
    pub fn description(&self) -> String {
        let (operation, role, other) = match self.side {
            Side::Export => ("export", "target_node", self.target),
            Side::Import => ("import", "source_node", self.source),
        };
        let other = other.map_or("unknown".to_string(), |other| other.to_string());
        format!("{{name: {}, operation: {operation}, {role}_id: {other}, slots: {}}}", self.name, self.ranges)
    }
}
