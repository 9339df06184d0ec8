//! How a replica takes the place of its failed primary.
//!
//! ```text
//! primary has failed ──► wait 0.5 to 1 s, and 1 s for each better replica ──► new epoch, ask all for votes
//!        ▲                                                                              │
//!        └── twice the time of validity later, without a majority ◄── votes come ◄──────┘
//!                                                                          │ majority
//!                                                                          ▼
//!                                                claim the slots under the election's epoch
//! ```
//!
//! A voter gives one vote per epoch, and the vote is on disk before its frame is sent. So two replicas cannot both win
//! in one epoch, and their claims never have the same epoch.

use log::Level;

use super::super::message::{Body, Header};
use super::super::node::{Node, NodeKey, Now};
use super::Member;
use super::state::{Election, ManualFailover, Obstacle, Saving};

const START_DELAY_MS: u64 = 500;
const START_DELAY_RANDOM_MS: u64 = 500;
const RANK_DELAY_MS: u64 = 1000;
const VALID_MIN_MS: u64 = 2000;
/// A replica moves to a primary only after that primary has had no working replica for this time.
const ORPHAN_DELAY_MS: u64 = 5000;

impl Member {
    /// Takes the next step of an election, if this member is a replica that should replace its primary.
    pub(super) fn election_step(&mut self, now: Now) {
        let Some(primary) = self.table.myself().primary().and_then(|primary| self.table.get(primary)) else { return };
        let is_manual = matches!(self.manual, ManualFailover::Taking { may_start: true, .. });
        let is_wanted = is_manual || primary.is_failed() && !self.settings.replica_never_fails_over;
        if !is_wanted || primary.slots.is_empty() {
            self.election = Election::default();
            return;
        }
        if !is_manual && !self.has_fresh_data() {
            return self.note_obstacle(Obstacle::DataTooOld);
        }
        let valid_ms = (self.settings.node_timeout_ms * 2).max(VALID_MIN_MS);
        let age_ms = self.election.at_ms.map(|at_ms| now.steady_ms.saturating_sub(at_ms));
        if age_ms.is_none_or(|age_ms| age_ms > valid_ms.saturating_mul(2)) {
            return self.schedule_election(is_manual, now);
        }
        if self.election.epoch.is_none() && !is_manual {
            self.delay_for_rank();
        }
        let at_ms = self.election.at_ms.unwrap_or(now.steady_ms);
        if now.steady_ms < at_ms {
            return self.note_obstacle(Obstacle::WaitingForDelay);
        }
        if now.steady_ms - at_ms > valid_ms {
            return self.note_obstacle(Obstacle::Expired);
        }
        if self.election.epoch.is_none() {
            return self.ask_for_votes();
        }
        self.count_votes(now);
    }

    /// Whether this replica's data is recent enough for it to replace its primary.
    fn has_fresh_data(&self) -> bool {
        let factor = self.settings.replica_validity_factor;
        if factor == 0 {
            return true;
        }
        let timeout_ms = self.settings.node_timeout_ms;
        let most_ms = self.settings.replica_ping_period_ms.saturating_add(timeout_ms.saturating_mul(factor));
        self.replication.data_age_ms.is_some_and(|age_ms| age_ms.saturating_sub(timeout_ms) <= most_ms)
    }

    fn note_obstacle(&mut self, obstacle: Obstacle) {
        if self.election.blocked_by != Some(obstacle) {
            self.election.blocked_by = Some(obstacle);
            self.log(Level::Info, format!("Currently unable to failover: {obstacle}"));
        }
    }

    fn schedule_election(&mut self, is_manual: bool, now: Now) {
        let rank = if is_manual { 0 } else { self.rank() };
        let delay_ms = match is_manual {
            true => 0,
            false => START_DELAY_MS + self.rng.u64(..START_DELAY_RANDOM_MS) + rank * RANK_DELAY_MS,
        };
        self.election = Election { at_ms: Some(now.steady_ms + delay_ms), rank, ..Election::default() };
        self.log(Level::Info, format!("Start of election delayed for {delay_ms} milliseconds (rank #{rank})."));
        // The siblings need this member's offset to compute their ranks.
        let siblings = self.siblings();
        self.broadcast_pong(&siblings, now);
        self.due.failover = is_manual;
    }

    /// The other replicas of this member's primary.
    fn siblings(&self) -> Vec<NodeKey> {
        let Some(primary) = self.table.myself().primary() else { return Vec::new() };
        let replicas = self.table.replicas(primary).map(|(key, _)| key);
        replicas.filter(|key| *key != self.table.my_key()).collect()
    }

    /// Number of replicas of the same primary that have a greater offset and may take over.
    fn rank(&self) -> u64 {
        let siblings = self.siblings();
        let better = siblings.iter().filter_map(|key| self.table.get(*key));
        let better = better.filter(|node| !node.never_fails_over && node.offset > self.replication.offset);
        better.count() as u64
    }

    /// Adds delay if more siblings than before turn out to have a greater offset while this member waits.
    fn delay_for_rank(&mut self) {
        let rank = self.rank();
        if rank > self.election.rank {
            let added_ms = (rank - self.election.rank) * RANK_DELAY_MS;
            self.election.at_ms = self.election.at_ms.map(|at_ms| at_ms + added_ms);
            self.election.rank = rank;
            self.log(Level::Info, format!("Replica rank updated to #{rank}, added {added_ms} milliseconds of delay."));
        }
    }

    fn ask_for_votes(&mut self) {
        self.election.epoch = Some(self.take_next_epoch());
        self.log(Level::Info, format!("Starting a failover election for epoch {}.", self.epochs.current));
        // No later election of this member may reuse the epoch.
        self.save(Saving::BeforeSending);
        let others = self.others();
        let header = Header { is_forced: self.manual != ManualFailover::None, ..self.header() };
        self.send_to(&others, &header, &Body::VoteRequest);
        self.due.health = true;
    }

    fn count_votes(&mut self, now: Now) {
        let Some(epoch) = self.election.epoch else { return };
        if self.election.voters.len() < self.table.quorum() {
            return self.note_obstacle(Obstacle::WaitingForVotes);
        }
        self.log(Level::Info, "Failover election won: I'm the new master.");
        self.table.myself_mut().config_epoch = epoch;
        self.log(Level::Info, format!("configEpoch set to {epoch} after successful failover"));
        self.replace_primary(now);
    }

    /// A vote counts once, and only for the election of its epoch.
    pub(super) fn on_vote(&mut self, sender: NodeKey, header: &Header) {
        let is_voter = self.table.get(sender).is_some_and(Node::is_voter);
        let is_for_this = self.election.epoch == Some(header.current_epoch);
        if is_voter && is_for_this && !self.election.voters.contains(&sender) {
            self.election.voters.push(sender);
            self.due.failover = true;
        }
    }

    /// A replica asks for a vote.
    pub(super) fn on_vote_request(&mut self, sender: NodeKey, header: &Header, now: Now) {
        if !self.table.myself().is_voter() {
            return;
        }
        let name = self.name_of(sender);
        let Some(link) = self.open_link(sender) else { return };
        let primary = match self.check_vote_request(sender, header, now) {
            Ok(primary) => primary,
            Err(reason) => {
                return self.log(Level::Warn, format!("Failover auth denied to {name}: {reason}"));
            }
        };
        if let Some(node) = self.table.get_mut(primary) {
            node.voted_ms = Some(now.steady_ms);
        }
        self.epochs.last_vote = self.epochs.current;
        self.save(Saving::BeforeSending);
        self.send(link, &Body::Vote);
        self.log(Level::Info, format!("Failover auth granted to {name} for epoch {}", self.epochs.current));
    }

    /// Returns the primary that the sender wants to replace.
    ///
    /// Errors: the reason why the sender gets no vote.
    fn check_vote_request(&self, sender: NodeKey, header: &Header, now: Now) -> Result<NodeKey, &'static str> {
        if header.current_epoch < self.epochs.current {
            return Err("its epoch is older than the current one");
        }
        if self.epochs.last_vote >= self.epochs.current {
            return Err("already voted for this epoch");
        }
        let Some(node) = self.table.get(sender) else { return Err("it is not known") };
        if node.is_primary() {
            return Err("it is a primary node");
        }
        let Some(primary) = node.primary() else { return Err("its primary is not known") };
        let Some(primary_node) = self.table.get(primary) else { return Err("its primary is not known") };
        if !primary_node.is_failed() && !header.is_forced {
            return Err("its primary is up");
        }
        let interval_ms = self.settings.node_timeout_ms * 2;
        let is_soon = |voted_ms: u64| now.steady_ms.saturating_sub(voted_ms) < interval_ms;
        if primary_node.voted_ms.is_some_and(is_soon) {
            return Err("another replica of its primary got a vote a moment ago");
        }
        // A slot that its owner has released may be claimed by any node.
        let has_newer_owner = header.slots.iter().filter(|slot| !self.table.is_unclaimed(*slot)).any(|slot| {
            let owner = self.table.owner(slot).and_then(|owner| self.table.get(owner));
            owner.is_some_and(|owner| owner.config_epoch > header.config_epoch)
        });
        if has_newer_owner {
            return Err("one of its slots has a newer owner");
        }
        Ok(primary)
    }

    /// Moves this replica to a primary that has lost all its replicas, if its own primary has replicas to spare and
    /// this replica is the one to move.
    pub(super) fn migrate_replica(&mut self, now: Now) {
        if !self.settings.allows_replica_migration {
            return;
        }
        let Some(mine) = self.table.myself().primary() else { return };
        let mut ok_replicas = std::collections::BTreeMap::<NodeKey, usize>::new();
        for (_, node) in self.table.iter().filter(|(_, node)| !node.is_failed()) {
            if let Some(primary) = node.primary() {
                *ok_replicas.entry(primary).or_default() += 1;
            }
        }
        let count = |key: NodeKey| ok_replicas.get(&key).copied().unwrap_or(0);
        let live_primary = |node: &Node| node.is_primary() && !node.is_failed();
        let live = self.table.iter().filter(|(_, node)| live_primary(node));
        let most = live.map(|(key, _)| count(key)).max().unwrap_or(0);
        let target = self.longest_orphan(&ok_replicas, now);
        if most < 2 || count(mine) != most || !self.health.is_ok {
            return;
        }
        let healthy = self.table.replicas(mine).filter(|(_, node)| node.is_ok()).count();
        let id = self.table.myself().id;
        let is_candidate = self.table.iter().all(|(_, node)| {
            let is_of_largest = node.primary().is_some_and(|primary| count(primary) == most);
            !is_of_largest || !node.is_ok() || id <= node.id
        });
        if let Some(target) = target.filter(|_| healthy > self.settings.migration_barrier && is_candidate) {
            self.log(Level::Info, format!("Migrating to orphaned master {}", self.name_of(target)));
            self.become_replica_of(target);
        }
    }

    /// Tracks since when primaries have had no working replica; returns a primary for which that time is long enough.
    fn longest_orphan(
        &mut self,
        ok_replicas: &std::collections::BTreeMap<NodeKey, usize>,
        now: Now,
    ) -> Option<NodeKey> {
        let mut target = None;
        for (key, node) in self.table.iter_mut() {
            let is_orphan =
                node.is_voter() && !node.is_failed() && node.attracts_replicas && !ok_replicas.contains_key(&key);
            if !is_orphan {
                node.orphaned_since_ms = None;
                continue;
            }
            let since_ms = *node.orphaned_since_ms.get_or_insert(now.steady_ms);
            if target.is_none() && now.steady_ms.saturating_sub(since_ms) > ORPHAN_DELAY_MS {
                target = Some(key);
            }
        }
        target
    }
}
