//! Commands that change the cluster: MEET, FORGET, ADDSLOTS, REPLICATE, FAILOVER, RESET and the like.

use std::fmt;
use std::net::IpAddr;

use log::Level;

use super::super::message::Body;
use super::super::node::{Address, Now, Role};
use super::super::node_id::NodeId;
use super::super::slot::SlotSet;
use super::super::table::Table;
use super::Member;
use super::output::Effect;
use super::state::{Election, Saving};

/// Errors of commands, with the texts of genuine servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminError {
    InvalidAddress {
        ip: String,
        port: String,
    },
    UnknownNode(String),
    /// The other node of a slot migration.
    UnknownPeer(String),
    ForgetMyself,
    ForgetMyPrimary,
    SlotBusy(u16),
    SlotUnassigned(u16),
    NotEmptyForFlush,
    KnowsOthers,
    EpochIsSet,
    ReplicateMyself,
    ReplicateReplica,
    NotEmptyForReplicate,
    FailoverOnPrimary,
    PrimaryUnknown,
    PrimaryDown,
    ResetWithKeys,
    SetSlotOnReplica,
    NotOwner(u16),
    AlreadyOwner(u16),
    TargetIsReplica,
    TargetIsMyself,
    KeysInSlot(u16),
}

impl fmt::Display for AdminError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            AdminError::InvalidAddress { ip, port } => {
                return write!(formatter, "Invalid node address specified: {ip}:{port}");
            }
            AdminError::UnknownNode(id) => return write!(formatter, "Unknown node {id}"),
            AdminError::UnknownPeer(id) => return write!(formatter, "I don't know about node {id}"),
            AdminError::SlotBusy(slot) => return write!(formatter, "Slot {slot} is already busy"),
            AdminError::SlotUnassigned(slot) => return write!(formatter, "Slot {slot} is already unassigned"),
            AdminError::NotOwner(slot) => return write!(formatter, "I'm not the owner of hash slot {slot}"),
            AdminError::AlreadyOwner(slot) => {
                return write!(formatter, "I'm already the owner of hash slot {slot}");
            }
            AdminError::KeysInSlot(slot) => {
                return write!(
                    formatter,
                    "Can't assign hashslot {slot} to a different node while I still hold keys for this hash slot."
                );
            }
            AdminError::ForgetMyself => "I tried hard but I can't forget myself...",
            AdminError::ForgetMyPrimary => "Can't forget my master!",
            AdminError::NotEmptyForFlush => "DB must be empty to perform CLUSTER FLUSHSLOTS.",
            AdminError::KnowsOthers => {
                "The user can assign a config epoch only when the node does not know any other node."
            }
            AdminError::EpochIsSet => "Node config epoch is already non-zero",
            AdminError::ReplicateMyself => "Can't replicate myself",
            AdminError::ReplicateReplica => "I can only replicate a master, not a replica.",
            AdminError::NotEmptyForReplicate => "To set a master the node must be empty and without assigned slots.",
            AdminError::FailoverOnPrimary => "You should send CLUSTER FAILOVER to a replica",
            AdminError::PrimaryUnknown => "I'm a replica but my master is unknown to me",
            AdminError::PrimaryDown => "Master is down or failed, please use CLUSTER FAILOVER FORCE",
            AdminError::ResetWithKeys => "CLUSTER RESET can't be called with master nodes containing keys",
            AdminError::SetSlotOnReplica => "Please use SETSLOT only with masters.",
            AdminError::TargetIsReplica => "Target node is not a master",
            AdminError::TargetIsMyself => "Target node is myself",
        };
        formatter.write_str(text)
    }
}

/// The mode of CLUSTER FAILOVER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailoverMode {
    /// With the help of the primary, which stops accepting writes.
    Plain,
    /// Without the primary, with votes.
    Force,
    /// Without votes.
    Takeover,
}

/// The scope of CLUSTER RESET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetMode {
    /// Forgets nodes and slots.
    Soft,
    /// Also replaces the epochs, the node id and the shard id.
    Hard,
}

impl Member {
    /// CLUSTER MEET: introduces this member to a node. The default bus port is the port + 10000.
    ///
    /// Errors: the address is invalid.
    pub fn meet(&mut self, ip: &str, port: u16, bus_port: Option<u16>, now: Now) -> Result<(), AdminError> {
        let invalid = || AdminError::InvalidAddress { ip: ip.to_string(), port: port.to_string() };
        let parsed: IpAddr = ip.parse().map_err(|_| invalid())?;
        let bus_port = bus_port.or_else(|| port.checked_add(10_000)).filter(|bus_port| *bus_port != 0 && port != 0);
        let bus_port = bus_port.ok_or_else(invalid)?;
        let ip = parsed.to_string();
        if !self.is_handshake_in_progress(&ip, bus_port) {
            let address = Address::from_frame(ip, port, 0, bus_port, self.settings.is_tls);
            self.add_handshake(address, true, now);
        }
        Ok(())
    }

    /// CLUSTER FORGET: removes a node, and keeps gossip from bringing it back.
    ///
    /// Errors: the node is unknown, is this member itself, or is the primary of this replica.
    pub fn forget(&mut self, id: &str, now: Now) -> Result<(), AdminError> {
        let unknown = || AdminError::UnknownNode(id.to_string());
        let parsed = NodeId::parse(id.as_bytes()).ok_or_else(unknown)?;
        let Some(key) = self.table.find(&parsed) else {
            return if self.table.is_forgotten(&parsed, now.steady_ms) { Ok(()) } else { Err(unknown()) };
        };
        if key == self.table.my_key() {
            return Err(AdminError::ForgetMyself);
        }
        if self.table.myself().role == Role::Replica(Some(key)) {
            return Err(AdminError::ForgetMyPrimary);
        }
        self.table.forget(parsed, now.steady_ms.saturating_add(self.settings.forgotten_for_ms));
        self.remove_node(key);
        Ok(())
    }

    /// CLUSTER ADDSLOTS and ADDSLOTSRANGE.
    ///
    /// Errors: one of the slots has an owner. No slot is added then.
    pub fn add_slots(&mut self, slots: &SlotSet) -> Result<(), AdminError> {
        if let Some(slot) = slots.iter().find(|slot| self.table.owner(*slot).is_some()) {
            return Err(AdminError::SlotBusy(slot));
        }
        let me = self.table.my_key();
        for slot in slots.iter() {
            self.table.importing.remove(&slot);
            self.table.bind(slot, me);
        }
        self.slots_changed();
        Ok(())
    }

    /// After a start: adopts the slots of loaded keys. This member takes slots without an owner; slots of another node
    /// become importing.
    pub fn adopt_loaded(&mut self, with_keys: &SlotSet) {
        if !self.i_am_primary() {
            return;
        }
        let me = self.table.my_key();
        for slot in with_keys.iter() {
            match self.table.owner(slot) {
                None => self.table.bind(slot, me),
                Some(owner) if owner != me => {
                    self.table.importing.entry(slot).or_insert(owner);
                }
                Some(_) => continue,
            }
            self.slots_changed();
        }
    }

    /// CLUSTER DELSLOTS and DELSLOTSRANGE: leaves the slots without an owner, as this member sees it.
    ///
    /// Errors: one of the slots has no owner. No slot is removed then.
    pub fn del_slots(&mut self, slots: &SlotSet) -> Result<(), AdminError> {
        if let Some(slot) = slots.iter().find(|slot| self.table.owner(*slot).is_none()) {
            return Err(AdminError::SlotUnassigned(slot));
        }
        for slot in slots.iter() {
            self.table.unbind(slot);
        }
        self.slots_changed();
        Ok(())
    }

    /// CLUSTER FLUSHSLOTS: leaves all slots of this member without an owner.
    ///
    /// Errors: this member has keys.
    pub fn flush_slots(&mut self, is_empty: bool) -> Result<(), AdminError> {
        if !is_empty {
            return Err(AdminError::NotEmptyForFlush);
        }
        let me = self.table.my_key();
        self.table.unbind_all(me);
        self.slots_changed();
        Ok(())
    }

    pub(super) fn slots_changed(&mut self) {
        self.due.health = true;
        self.save(Saving::BeforeSending);
    }

    /// CLUSTER SET-CONFIG-EPOCH.
    ///
    /// Errors: this member knows other nodes or has a configuration epoch.
    pub fn set_config_epoch(&mut self, epoch: u64) -> Result<(), AdminError> {
        if self.table.len() > 1 {
            return Err(AdminError::KnowsOthers);
        }
        if self.table.myself().config_epoch != 0 {
            return Err(AdminError::EpochIsSet);
        }
        self.table.myself_mut().config_epoch = epoch;
        self.epochs.current = self.epochs.current.max(epoch);
        self.log(Level::Info, format!("configEpoch set to {epoch} via CLUSTER SET-CONFIG-EPOCH"));
        self.slots_changed();
        Ok(())
    }

    /// CLUSTER REPLICATE: makes this member a replica. `is_empty`: this member has no keys.
    ///
    /// Errors: the node cannot be replicated, or this member is a primary with keys or slots.
    pub fn replicate(&mut self, id: &str, is_empty: bool) -> Result<(), AdminError> {
        let key = self.find_named(id)?;
        if key == self.table.my_key() {
            return Err(AdminError::ReplicateMyself);
        }
        if self.table.get(key).is_some_and(|node| !node.is_primary()) {
            return Err(AdminError::ReplicateReplica);
        }
        if self.i_am_primary() && (!is_empty || !self.table.myself().slots.is_empty()) {
            return Err(AdminError::NotEmptyForReplicate);
        }
        self.become_replica_of(key);
        Ok(())
    }

    /// CLUSTER REPLICATE NO ONE: makes this replica an empty primary, in a shard of its own. A primary stays as it is.
    pub fn leave_shard(&mut self) {
        if self.i_am_primary() {
            return;
        }
        let me = self.table.my_key();
        self.end_manual();
        self.election = Election::default();
        self.table.make_primary(me);
        self.table.migrating.clear();
        self.table.importing.clear();
        self.effects.push(Effect::Promote);
        self.effects.push(Effect::DeleteAll);
        let shard_id = NodeId::random(&mut self.rng);
        self.table.myself_mut().shard_id = shard_id;
        self.replication.is_following = false;
        self.log(Level::Info, format!("Moving myself to a new shard {shard_id}."));
        self.slots_changed();
    }

    pub(super) fn find_named(&self, id: &str) -> Result<super::NodeKey, AdminError> {
        let found = NodeId::parse(id.as_bytes()).and_then(|id| self.table.find(&id));
        found.ok_or_else(|| AdminError::UnknownNode(id.to_string()))
    }

    /// CLUSTER FAILOVER.
    ///
    /// Errors: this member is not a replica, or its primary cannot take part.
    pub fn failover(&mut self, mode: FailoverMode, now: Now) -> Result<(), AdminError> {
        let Role::Replica(primary) = self.table.myself().role else { return Err(AdminError::FailoverOnPrimary) };
        let primary = primary.ok_or(AdminError::PrimaryUnknown)?;
        let is_failed = self.table.get(primary).is_none_or(|node| node.is_failed());
        if mode == FailoverMode::Plain && (is_failed || self.open_link(primary).is_none()) {
            return Err(AdminError::PrimaryDown);
        }
        match mode {
            FailoverMode::Takeover => {
                self.log(Level::Info, "Taking over the master (user request).");
                self.bump_without_votes();
                self.replace_primary(now);
            }
            FailoverMode::Force => {
                self.log(Level::Info, "Forced failover user request accepted.");
                self.begin_manual(true, now);
            }
            FailoverMode::Plain => {
                self.log(Level::Info, "Manual failover user request accepted.");
                self.begin_manual(false, now);
            }
        }
        Ok(())
    }

    /// CLUSTER RESET: forgets the other nodes and all slots.
    ///
    /// Errors: this member is a primary with keys.
    pub fn reset(&mut self, mode: ResetMode, has_keys: bool) -> Result<(), AdminError> {
        let was_replica = !self.i_am_primary();
        if !was_replica && has_keys {
            return Err(AdminError::ResetWithKeys);
        }
        let me = self.table.my_key();
        for key in self.table.keys() {
            self.remove_node(key);
        }
        self.end_manual();
        self.election = Election::default();
        if was_replica {
            self.table.make_primary(me);
            self.effects.push(Effect::Promote);
            self.effects.push(Effect::DeleteAll);
        }
        let mut myself = self.table.myself().clone();
        myself.slots = SlotSet::default();
        myself.attracts_replicas = false;
        if was_replica || mode == ResetMode::Hard {
            myself.shard_id = NodeId::random(&mut self.rng);
        }
        if mode == ResetMode::Hard {
            let id = NodeId::random(&mut self.rng);
            self.log(Level::Info, format!("Node hard reset, now I'm {id}"));
            myself.id = id;
            myself.config_epoch = 0;
            self.epochs = Default::default();
        }
        // Accepted links stay open; the nodes behind them have to identify themselves again.
        for link in self.links.values_mut() {
            link.node = None;
        }
        self.table = Table::new(myself);
        self.replication.is_following = false;
        self.slots_changed();
        Ok(())
    }

    /// CLUSTER SAVECONFIG.
    pub fn save_config(&mut self) {
        self.save(Saving::BeforeSending);
    }

    /// DEBUG DROP-CLUSTER-PACKET-FILTER, for tests: ignores frames of this type from now on, or no frames.
    pub fn ignore_kind(&mut self, number: Option<u16>) {
        self.ignored_kind = number;
    }

    /// DEBUG CLOSE-CLUSTER-LINK-ON-PACKET-DROP, for tests: whether an ignored frame closes its link.
    pub fn close_on_ignored(&mut self, closes: bool) {
        self.closes_on_ignored = closes;
    }

    /// DEBUG CLUSTERLINK KILL, for tests: closes the outbound link to a node, the inbound link from it, or both.
    ///
    /// Errors: the node is unknown.
    pub fn kill_links(&mut self, id: &str, outbound: bool, inbound: bool) -> Result<(), AdminError> {
        let key = self.find_named(id)?;
        let links = self.table.get(key).map(|node| (node.outbound, node.inbound)).unwrap_or_default();
        let chosen = [links.0.filter(|_| outbound), links.1.filter(|_| inbound)];
        chosen.into_iter().flatten().for_each(|link| self.close_link(link));
        Ok(())
    }

    /// Sends a published message to the nodes that may have subscribers: all nodes, or those of the shard.
    pub fn publish(&mut self, channel: &[u8], message: &[u8], is_sharded: bool) {
        let (channel, message) = (channel.to_vec(), message.to_vec());
        let shard_id = self.table.myself().shard_id;
        let mut others = self.others();
        if is_sharded {
            others.retain(|key| self.table.get(*key).is_some_and(|node| node.shard_id == shard_id));
        }
        let body =
            if is_sharded { Body::PublishShard { channel, message } } else { Body::Publish { channel, message } };
        let header = self.header();
        self.send_to(&others, &header, &body);
    }
}
