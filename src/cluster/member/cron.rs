//! Work done ten times a second: reconnecting links, pinging nodes, suspecting nodes that do not answer.

use log::Level;

use super::super::node::{Address, Health, LinkId, NodeKey, Now};
use super::Member;
use super::output::Effect;
use super::receive::GossipKind;
use super::state::{Direction, Link, ManualFailover, Saving};

/// The period at which the owner calls [`Member::tick`].
pub const TICK_MS: u64 = 100;
const TICKS_PER_SECOND: u64 = 10;
/// The random ping goes to the longest silent node of this many random candidates.
const RANDOM_PING_CANDIDATES: usize = 5;
const HANDSHAKE_MIN_MS: u64 = 1000;

impl Member {
    /// Does the work that is due by time. The owner calls it ten times a second.
    pub fn tick(&mut self, now: Now) {
        self.ticks += 1;
        let is_whole_second = self.ticks.is_multiple_of(TICKS_PER_SECOND);
        self.give_up_manual(now);
        self.keep_nodes(now);
        if self.ticks.is_multiple_of((self.settings.ping_interval_ms / TICK_MS).max(1)) {
            self.ping_one_at_random(now);
        }
        if is_whole_second {
            self.close_links_of_strangers(now);
        }
        if let Some(primary) = self.table.myself().primary() {
            self.leave_sub_replica();
            if !self.replication.is_following {
                self.follow(primary);
            }
            if is_whole_second {
                self.migrate_replica(now);
            }
            self.due.failover = true;
        }
        self.due.health |= !self.health.is_ok;
    }

    /// Opens missing links, cancels handshakes that take too long, and checks the nodes that have not answered for a
    /// while. In a healthy cluster most nodes need no work.
    fn keep_nodes(&mut self, now: Now) {
        let timeout_ms = self.settings.node_timeout_ms;
        let since = |at_ms: u64| now.steady_ms.saturating_sub(at_ms);
        let (mut expired, mut unlinked, mut watched) = (Vec::new(), Vec::new(), Vec::new());
        for (key, node) in self.table.iter().filter(|(key, _)| *key != self.table.my_key()) {
            if node.is_in_handshake() && since(node.added_ms) > timeout_ms.max(HANDSHAKE_MIN_MS) {
                expired.push(key);
            } else if node.outbound.is_none() && !node.has_no_address {
                unlinked.push(key);
            }
            let is_silent = node.ping_sent_ms.is_some() || since(node.pong_received_ms.unwrap_or(0)) > timeout_ms / 2;
            let is_yielded_to = matches!(self.manual, ManualFailover::Yielding { replica, .. } if replica == key);
            if !node.is_in_handshake() && (is_silent || is_yielded_to) {
                watched.push(key);
            }
        }
        for key in expired {
            self.remove_node(key);
        }
        for key in unlinked {
            self.connect(key, now);
        }
        for key in watched {
            self.watch(key, now);
        }
    }

    /// Closes accepted links on which no known node has identified itself for a long time.
    fn close_links_of_strangers(&mut self, now: Now) {
        let most_ms = 2 * self.settings.node_timeout_ms.max(HANDSHAKE_MIN_MS);
        let is_old = |link: &Link| now.steady_ms.saturating_sub(link.created_ms) > most_ms;
        let strangers = self.links.iter().filter(|(_, link)| link.node.is_none() && is_old(link));
        for link in strangers.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.close_link(link);
        }
    }

    /// Opens a link to a node.
    pub(super) fn connect(&mut self, key: NodeKey, now: Now) {
        let Some(node) = self.table.get_mut(key) else { return };
        if node.address.ip.is_empty() || node.outbound.is_some() {
            return;
        }
        let Address { ip, bus_port, .. } = node.address.clone();
        let id = self.link_numbers.outbound();
        node.outbound = Some(id);
        let link = Link {
            direction: Direction::Outbound,
            node: Some(key),
            is_open: false,
            created_ms: now.steady_ms,
            created_wall_ms: now.wall_ms,
            peer_ip: ip.clone(),
            local_ip: String::new(),
        };
        self.links.insert(id, link);
        self.effects.push(Effect::Connect { link: id, ip, port: bus_port });
    }

    /// A link that this member asked for is open.
    pub fn on_connected(&mut self, id: LinkId, local_ip: &str, now: Now) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.is_open = true;
        link.local_ip = local_ip.to_string();
        let Some(node) = link.node.and_then(|key| self.table.get_mut(key)) else { return };
        // A new link does not reset the time of a ping that the node has not answered.
        let outstanding_ms = node.ping_sent_ms;
        let kind = if node.is_to_be_met { GossipKind::Meet } else { GossipKind::Ping };
        let key = link.node;
        self.send_gossip(id, kind, now);
        if let Some(node) = key.and_then(|key| self.table.get_mut(key)) {
            node.ping_sent_ms = outstanding_ms.or(node.ping_sent_ms);
        }
    }

    fn ping_one_at_random(&mut self, now: Now) {
        let keys = self.others();
        let mut oldest: Option<(Option<u64>, LinkId)> = None;
        for _ in 0..RANDOM_PING_CANDIDATES.min(keys.len()) {
            let key = keys[self.rng.usize(..keys.len())];
            let (Some(node), Some(link)) = (self.table.get(key), self.open_link(key)) else { continue };
            if node.ping_sent_ms.is_none() && oldest.is_none_or(|(pong_ms, _)| node.pong_received_ms < pong_ms) {
                oldest = Some((node.pong_received_ms, link));
            }
        }
        if let Some((_, link)) = oldest {
            self.send_gossip(link, GossipKind::Ping, now);
        }
    }

    /// Pings a node when a ping is due, closes a dead link to it, or begins to suspect it.
    fn watch(&mut self, key: NodeKey, now: Now) {
        let timeout_ms = self.settings.node_timeout_ms;
        let since = |at_ms: u64| now.steady_ms.saturating_sub(at_ms);
        let Some(node) = self.table.get(key) else { return };
        let silent_ms = since(node.data_received_ms.max(node.added_ms));
        let unanswered_ms = node.ping_sent_ms.map(since);
        let (pong_ms, outbound) = (node.pong_received_ms.unwrap_or(0), node.outbound);
        // A node whose address now belongs to another node is unreachable: it has to fail like a node that is down.
        let is_due = (outbound.is_some() || node.has_no_address) && since(pong_ms) > timeout_ms / 2;
        if let (Some(link), Some(unanswered_ms)) = (outbound.and_then(|id| self.links.get(&id)), unanswered_ms) {
            let is_old = since(link.created_ms) > timeout_ms;
            if is_old && unanswered_ms > timeout_ms / 2 && silent_ms > timeout_ms / 2 {
                // The connection may be broken without either end having noticed.
                self.close_outbound(key);
            }
        }
        if unanswered_ms.is_none() && is_due {
            match self.open_link(key) {
                Some(link) => self.send_gossip(link, GossipKind::Ping, now),
                // The node counts as pinged while there is no connection.
                None => {
                    if let Some(node) = self.table.get_mut(key) {
                        node.ping_sent_ms = Some(now.steady_ms);
                    }
                }
            }
            return;
        }
        if matches!(self.manual, ManualFailover::Yielding { replica, .. } if replica == key)
            && let Some(link) = self.open_link(key)
        {
            // The ping carries the offset that the replica waits for.
            return self.send_gossip(link, GossipKind::Ping, now);
        }
        if unanswered_ms.is_some_and(|unanswered_ms| unanswered_ms.min(silent_ms) > timeout_ms) {
            self.suspect(key, now);
        }
    }

    fn suspect(&mut self, key: NodeKey, now: Now) {
        let Some(node) = self.table.get_mut(key).filter(|node| node.is_ok()) else { return };
        node.health = Health::Suspected;
        let text = format!("*** NODE {} possibly failing", self.name_of(key));
        self.log(Level::Debug, text);
        self.due.health = true;
        self.save(Saving::Eventually);
        self.fail_if_agreed(key, now);
    }
}
