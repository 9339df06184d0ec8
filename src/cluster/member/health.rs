//! Detection of failed nodes, and whether the cluster can serve, as this member sees it.

use log::Level;

use super::super::message::Body;
use super::super::node::{Health, Node, NodeKey, Now};
use super::super::node_id::NodeId;
use super::super::slot::SLOTS;
use super::Member;
use super::output::Effect;
use super::state::Saving;

/// A primary reports the cluster as down for this time after its start, so that it learns of failovers that happened
/// meanwhile.
const WRITABLE_DELAY_MS: u64 = 2000;
/// A primary that returns from a minority stays down for one node timeout, clamped to these bounds.
const REJOIN_DELAY_MIN_MS: u64 = 500;
const REJOIN_DELAY_MAX_MS: u64 = 5000;

impl Member {
    /// How long a failure report counts.
    pub(super) fn report_valid_ms(&self) -> u64 {
        self.settings.node_timeout_ms * 2
    }

    /// Declares a suspected node failed if a majority of the voters suspects it, and broadcasts FAIL.
    pub(super) fn fail_if_agreed(&mut self, key: NodeKey, now: Now) {
        if self.table.get(key).is_none_or(|node| node.health != Health::Suspected) {
            return;
        }
        let valid_ms = self.report_valid_ms();
        let own = usize::from(self.table.myself().is_voter());
        if self.table.count_reports(key, now.steady_ms, valid_ms) + own < self.table.quorum() {
            return;
        }
        let Some(id) = self.declare_failed(key, now) else { return };
        self.log(Level::Info, format!("Marking node {} as failing (quorum reached).", self.name_of(key)));
        let (others, header) = (self.others(), self.header());
        self.send_to(&others, &header, &Body::Fail(id));
    }

    fn declare_failed(&mut self, key: NodeKey, now: Now) -> Option<NodeId> {
        let node = self.table.get_mut(key)?;
        node.health = Health::Failed { since_ms: now.steady_ms };
        let id = node.id;
        self.due.health = true;
        self.due.failover = true;
        self.save(Saving::Eventually);
        Some(id)
    }

    /// A peer reports that a majority has declared a node failed.
    pub(super) fn on_fail(&mut self, sender: NodeKey, id: NodeId, now: Now) {
        let Some(key) = self.table.find(&id).filter(|key| *key != self.table.my_key()) else { return };
        if self.table.get(key).is_some_and(|node| !node.is_failed() && !node.is_in_handshake()) {
            self.declare_failed(key, now);
            let text = format!("FAIL message received from {} about {}", self.name_of(sender), self.name_of(key));
            self.log(Level::Info, text);
        }
    }

    /// Whether the cluster can serve, as far as this member sees.
    pub(super) fn update_health(&mut self, now: Now) {
        self.due.health = false;
        let now_ms = now.steady_ms;
        let is_primary = self.i_am_primary();
        let first_ms = *self.health.first_look_ms.get_or_insert(now_ms);
        if is_primary && !self.health.is_ok && now_ms.saturating_sub(first_ms) < WRITABLE_DELAY_MS {
            return;
        }
        let has_failed_slots =
            self.table.iter().any(|(_, node): (_, &Node)| node.is_failed() && !node.slots.is_empty());
        let is_covered = self.table.assigned() == SLOTS && !has_failed_slots;
        let (voters, reachable) = self.table.voters();
        let has_majority = reachable > voters / 2;
        if !has_majority {
            self.health.minority_ms = Some(now_ms);
        }
        let is_ok = has_majority && (is_covered || !self.settings.requires_full_coverage);
        if is_ok == self.health.is_ok {
            return;
        }
        let rejoin_ms = self.settings.node_timeout_ms.clamp(REJOIN_DELAY_MIN_MS, REJOIN_DELAY_MAX_MS);
        let is_back_too_soon =
            self.health.minority_ms.is_some_and(|minority_ms| now_ms.saturating_sub(minority_ms) < rejoin_ms);
        if is_ok && is_primary && is_back_too_soon {
            return;
        }
        self.health.is_ok = is_ok;
        self.effects.push(Effect::StateChanged { is_ok });
        let level = if is_ok { Level::Info } else { Level::Warn };
        self.log(level, format!("Cluster state changed: {}", if is_ok { "ok" } else { "fail" }));
    }
}
