//! Failover on demand: the primary stops taking writes, the replica catches up and is elected without delay.

use log::Level;

use super::super::message::Body;
use super::super::node::{NodeKey, Now, Role};
use super::Member;
use super::output::Effect;
use super::state::{Election, ManualFailover};

/// Maximum pause of writes at the primary, in timeouts: the replica's votes may arrive after the failover has timed out
/// here.
const PAUSE_TIMEOUTS: u64 = 2;

impl Member {
    /// Begins a failover to this replica. `is_forced`: without the help of the primary.
    pub(super) fn begin_manual(&mut self, is_forced: bool, now: Now) {
        self.end_manual();
        // Votes for an earlier election do not count for this one.
        self.election = Election::default();
        let until_ms = now.steady_ms + self.settings.manual_timeout_ms;
        self.manual = ManualFailover::Taking { until_ms, primary_offset: None, may_start: is_forced };
        self.due.failover = true;
        if !is_forced && let Some(link) = self.table.myself().primary().and_then(|primary| self.open_link(primary)) {
            self.send(link, &Body::ManualFailoverStart);
        }
    }

    /// A replica asks this primary to yield to it.
    pub(super) fn on_manual_start(&mut self, sender: NodeKey, now: Now) {
        let is_mine = self.table.get(sender).is_some_and(|node| node.role == Role::Replica(Some(self.table.my_key())));
        if !is_mine || !self.i_am_primary() {
            return;
        }
        self.end_manual();
        let timeout_ms = self.settings.manual_timeout_ms;
        let until_ms = now.steady_ms + timeout_ms;
        self.manual = ManualFailover::Yielding { replica: sender, until_ms, is_paused: false };
        self.effects.push(Effect::PauseWrites { until_ms: now.steady_ms + PAUSE_TIMEOUTS * timeout_ms });
        self.log(Level::Info, format!("Manual failover requested by replica {}.", self.name_of(sender)));
    }

    /// Lets the election start once this replica has applied its primary's last write.
    pub(super) fn manual_step(&mut self) {
        let applied = self.replication.offset;
        if let ManualFailover::Taking { primary_offset: Some(offset), may_start, .. } = &mut self.manual
            && !*may_start
            && *offset == applied
        {
            *may_start = true;
            self.log(Level::Info, "All master replication stream processed, manual failover can start.");
        }
    }

    pub(super) fn give_up_manual(&mut self, now: Now) {
        let (ManualFailover::Yielding { until_ms, .. } | ManualFailover::Taking { until_ms, .. }) = self.manual else {
            return;
        };
        if until_ms < now.steady_ms {
            self.log(Level::Warn, "Manual failover timed out.");
            self.end_manual();
        }
    }

    /// Ends a manual failover in any state.
    pub(super) fn end_manual(&mut self) {
        if matches!(self.manual, ManualFailover::Yielding { .. }) {
            self.effects.push(Effect::ResumeWrites);
        }
        self.manual = ManualFailover::None;
    }
}
