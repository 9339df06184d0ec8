//! The member's state as commands read it: CLUSTER INFO, NODES, SLOTS, SHARDS, LINKS.

use std::fmt::Write;

use super::super::message::Kind;
use super::super::node::{LinkId, Node, NodeKey, Now, Report};
use super::super::nodes_file::{Audience, Epochs, write_line};
use super::super::slot::SlotSet;
use super::super::table::Table;
use super::Member;
use super::state::{Counters, Direction, Link, Settings};

/// The reply of CLUSTER BUMPEPOCH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bump {
    Bumped(u64),
    /// This member already had the highest epoch.
    Still(u64),
}

/// A link for CLUSTER LINKS.
#[derive(Clone, Copy, Debug)]
pub struct LinkRow<'a> {
    pub id: LinkId,
    pub direction: Direction,
    pub node: &'a Node,
    pub created_wall_ms: u64,
}

impl Member {
    /// The nodes and the owners of slots.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The slots whose owner has changed since this was called last, if there are any.
    pub fn take_changed_slots(&mut self) -> Option<SlotSet> {
        self.table.take_changed()
    }

    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The epochs that are on disk, or will be before any frame is sent.
    pub fn epochs(&self) -> Epochs {
        self.epochs
    }

    /// Whether the cluster is up, as far as this member sees.
    pub fn is_ok(&self) -> bool {
        self.health.is_ok
    }

    /// Counters of frames sent and received.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The text of CLUSTER NODES, for a client connected with or without TLS.
    pub fn nodes_text(&self, is_tls: bool, now: Now) -> String {
        let mut text = String::new();
        for (key, node) in self.table.iter_by_id() {
            write_line(&mut text, &self.table, key, node, Audience::Client { is_tls }, now);
        }
        text
    }

    /// The line of one node, as CLUSTER REPLICAS shows it.
    pub fn node_line(&self, key: NodeKey, is_tls: bool, now: Now) -> Option<String> {
        let mut text = String::new();
        write_line(&mut text, &self.table, key, self.table.get(key)?, Audience::Client { is_tls }, now);
        text.pop();
        Some(text)
    }

    /// The text of CLUSTER INFO.
    pub fn info_text(&self) -> String {
        let [ok, suspected, failed] = self.table.slots_by_health();
        let me = self.table.my_key();
        let claimant = self.table.primary_of(me).and_then(|primary| self.table.get(primary));
        let my_epoch = claimant.unwrap_or(self.table.myself()).config_epoch;
        let mut text = String::new();
        let mut line = |name: &str, value: &dyn std::fmt::Display| {
            // Writing to a string does not fail.
            let _ = write!(text, "{name}:{value}\r\n");
        };
        line("cluster_state", &if self.health.is_ok { "ok" } else { "fail" });
        line("cluster_slots_assigned", &self.table.assigned());
        line("cluster_slots_ok", &ok);
        line("cluster_slots_pfail", &suspected);
        line("cluster_slots_fail", &failed);
        line("cluster_known_nodes", &self.table.len());
        line("cluster_size", &self.table.voters().0);
        line("cluster_current_epoch", &self.epochs.current);
        line("cluster_my_epoch", &my_epoch);
        for (counts, direction) in [(&self.counters.sent, "sent"), (&self.counters.received, "received")] {
            for kind in Kind::ALL.into_iter().filter(|kind| counts[*kind as usize] > 0) {
                line(&format!("cluster_stats_messages_{}_{direction}", kind.name()), &counts[kind as usize]);
            }
            line(&format!("cluster_stats_messages_{direction}"), &counts.iter().sum::<u64>());
        }
        line("total_cluster_links_buffer_limit_exceeded", &self.counters.links_over_limit);
        text
    }

    /// Whether this member has opened a link.
    pub fn is_outbound(&self, id: LinkId) -> bool {
        self.links.get(&id).is_some_and(|link| link.direction == Direction::Outbound)
    }

    /// The links with a known peer.
    pub fn links(&self) -> Vec<LinkRow<'_>> {
        let row = |(id, link): (&LinkId, &Link)| {
            let node = self.table.get(link.node?)?;
            Some(LinkRow { id: *id, direction: link.direction, node, created_wall_ms: link.created_wall_ms })
        };
        self.links.iter().filter_map(row).collect()
    }

    /// The failure reports that count, each with the node that it is about.
    pub fn reports(&self, now: Now) -> impl Iterator<Item = (NodeKey, Report)> {
        let valid_ms = self.report_valid_ms();
        let of_node =
            |(key, node): (NodeKey, &Node)| node.reports.iter().map(|report| (key, *report)).collect::<Vec<_>>();
        self.table.iter_by_id().flat_map(of_node).filter(move |(_, report)| report.is_valid(now.steady_ms, valid_ms))
    }

    /// CLUSTER COUNT-FAILURE-REPORTS. None if the node is not known.
    pub fn failure_reports(&mut self, id: &str, now: Now) -> Option<usize> {
        let key = self.find_named(id).ok()?;
        let valid_ms = self.report_valid_ms();
        Some(self.table.count_reports(key, now.steady_ms, valid_ms))
    }

    /// CLUSTER BUMPEPOCH.
    pub fn bump_epoch(&mut self) -> Bump {
        match self.bump_without_votes() {
            true => Bump::Bumped(self.table.myself().config_epoch),
            false => Bump::Still(self.table.myself().config_epoch),
        }
    }
}
