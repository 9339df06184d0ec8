//! Where a command runs: on this node, or on another node to which the client is redirected.
//!
//! The decision depends only on the state of the slot and of the cluster, the command and the client. The queued
//! commands of a transaction are decided like one command that has all their keys.

use std::fmt;

use super::member::Member;
use super::node::{Node, NodeKey};

/// The slots of a command's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySlots {
    /// The command has no keys.
    None,
    /// All keys are in this slot.
    One(u16),
    /// The first key is in this slot, another key in a different slot.
    Differing { first: u16 },
}

impl KeySlots {
    /// Summarizes the slots of all keys.
    pub fn of(slots: impl IntoIterator<Item = u16>) -> KeySlots {
        let mut slots = slots.into_iter();
        let Some(first) = slots.next() else { return KeySlots::None };
        if slots.all(|slot| slot == first) { KeySlots::One(first) } else { KeySlots::Differing { first } }
    }
}

/// The traits of a command that affect routing, or of all commands of a transaction together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommandTraits {
    pub writes: bool,
    /// The command belongs to sharded publish/subscribe: its keys are channels.
    pub is_sharded_pubsub: bool,
    pub is_migrate: bool,
    /// The command behaves as if preceded by ASKING: RESTORE-ASKING.
    pub implies_asking: bool,
    /// The command has more than one distinct key.
    pub has_several_keys: bool,
}

/// The traits of a client that affect routing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientTraits {
    /// The preceding command was ASKING.
    pub is_asking: bool,
    /// The client is in READONLY mode.
    pub is_readonly: bool,
    /// The connection uses TLS.
    pub is_tls: bool,
}

/// Which of the keys exist on this node. Expired keys count as missing, but are not deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    All,
    Some,
    None,
}

/// The state of a slot, as this member sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotState {
    pub owner: Option<NodeKey>,
    pub is_mine: bool,
    /// This member is a replica of the owner.
    pub is_my_primarys: bool,
    pub migrating_to: Option<NodeKey>,
    pub is_importing: bool,
}

/// The state of the cluster, and the directives that affect routing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterState {
    pub is_ok: bool,
    /// `cluster-allow-reads-when-down`
    pub allows_reads_when_down: bool,
    /// `cluster-allow-pubsubshard-when-down`
    pub allows_sharded_pubsub_when_down: bool,
}

/// The reason why no node can run the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownReason {
    SlotNotServed,
    State,
    /// Reads are allowed, but the command writes.
    ReadsOnly,
}

/// Where a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Local,
    Moved { slot: u16, to: NodeKey },
    Ask { slot: u16, to: NodeKey },
    TryAgain,
    CrossSlot,
    Down(DownReason),
}

/// Decides where a command runs. `presence` is called only while the slot migrates.
pub fn decide(
    slots: KeySlots,
    command: CommandTraits,
    client: ClientTraits,
    cluster: ClusterState,
    slot_state: impl FnOnce(u16) -> SlotState,
    presence: impl FnOnce() -> Presence,
) -> Decision {
    let slot = match slots {
        KeySlots::None => return Decision::Local,
        KeySlots::One(slot) | KeySlots::Differing { first: slot } => slot,
    };
    let state = slot_state(slot);
    let Some(owner) = state.owner else { return Decision::Down(DownReason::SlotNotServed) };
    if matches!(slots, KeySlots::Differing { .. }) {
        return Decision::CrossSlot;
    }
    if let Some(reason) = down_reason(command, cluster) {
        return Decision::Down(reason);
    }
    if let Some(decision) = decide_open(slot, command, client, state, presence) {
        return decision;
    }
    let reads_replica = (client.is_readonly || command.is_sharded_pubsub) && !command.writes && state.is_my_primarys;
    if state.is_mine || reads_replica { Decision::Local } else { Decision::Moved { slot, to: owner } }
}

fn down_reason(command: CommandTraits, cluster: ClusterState) -> Option<DownReason> {
    if cluster.is_ok {
        return None;
    }
    match (command.is_sharded_pubsub, command.writes) {
        (true, _) => (!cluster.allows_sharded_pubsub_when_down).then_some(DownReason::State),
        (false, _) if !cluster.allows_reads_when_down => Some(DownReason::State),
        (false, writes) => writes.then_some(DownReason::ReadsOnly),
    }
}

/// While a slot migrates, some of its keys are on this node and some on the other node.
fn decide_open(
    slot: u16,
    command: CommandTraits,
    client: ClientTraits,
    state: SlotState,
    presence: impl FnOnce() -> Presence,
) -> Option<Decision> {
    let migrating_to = state.migrating_to.filter(|_| state.is_mine);
    if migrating_to.is_none() && !state.is_importing {
        return None;
    }
    if command.is_migrate {
        return Some(Decision::Local);
    }
    // Channels are not stored, so they do not move.
    let presence = if command.is_sharded_pubsub { Presence::All } else { presence() };
    if let Some(to) = migrating_to {
        return match presence {
            Presence::All => None,
            Presence::Some => Some(Decision::TryAgain),
            Presence::None => Some(Decision::Ask { slot, to }),
        };
    }
    if !client.is_asking && !command.implies_asking {
        return None;
    }
    let is_torn = command.has_several_keys && presence != Presence::All;
    Some(if is_torn { Decision::TryAgain } else { Decision::Local })
}

/// `cluster-preferred-endpoint-type`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointType {
    #[default]
    Ip,
    Hostname,
    Unknown,
}

/// The host of a node in replies to clients.
pub fn endpoint_host(node: &Node, preferred: EndpointType) -> &str {
    match preferred {
        EndpointType::Ip => &node.address.ip,
        EndpointType::Hostname if node.hostname.is_empty() => "?",
        EndpointType::Hostname => &node.hostname,
        EndpointType::Unknown => "",
    }
}

/// The error reply for a client, with its error code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redirect<'a> {
    Moved { slot: u16, host: &'a str, port: u16 },
    Ask { slot: u16, host: &'a str, port: u16 },
    TryAgain,
    CrossSlot,
    Down(DownReason),
}

impl fmt::Display for Redirect<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Redirect::Moved { slot, host, port } => return write!(formatter, "MOVED {slot} {host}:{port}"),
            Redirect::Ask { slot, host, port } => return write!(formatter, "ASK {slot} {host}:{port}"),
            Redirect::TryAgain => "TRYAGAIN Multiple keys request during rehashing of slot",
            Redirect::CrossSlot => "CROSSSLOT Keys in request don't hash to the same slot",
            Redirect::Down(DownReason::SlotNotServed) => "CLUSTERDOWN Hash slot not served",
            Redirect::Down(DownReason::State) => "CLUSTERDOWN The cluster is down",
            Redirect::Down(DownReason::ReadsOnly) => "CLUSTERDOWN The cluster is down and only accepts read commands",
        })
    }
}

impl Member {
    /// The state of a slot.
    pub fn slot_state(&self, slot: u16) -> SlotState {
        let table = self.table();
        let owner = table.owner(slot);
        SlotState {
            owner,
            is_mine: owner == Some(table.my_key()),
            is_my_primarys: owner.is_some() && owner == table.myself().primary(),
            migrating_to: table.migrating.get(&slot).copied(),
            is_importing: table.importing.contains_key(&slot),
        }
    }

    /// The error for a decision; none if the command runs on this node.
    pub fn redirect(&self, decision: Decision, preferred: EndpointType, is_tls: bool) -> Option<Redirect<'_>> {
        let place = |key: NodeKey| {
            let node = self.table().get(key)?;
            Some((endpoint_host(node, preferred), node.address.base_port(is_tls)))
        };
        // A node that was removed while its slots are reassigned cannot be named in a redirect.
        let gone = Redirect::Down(DownReason::SlotNotServed);
        Some(match decision {
            Decision::Local => return None,
            Decision::Moved { slot, to } => place(to).map_or(gone, |(host, port)| Redirect::Moved { slot, host, port }),
            Decision::Ask { slot, to } => place(to).map_or(gone, |(host, port)| Redirect::Ask { slot, host, port }),
            Decision::TryAgain => Redirect::TryAgain,
            Decision::CrossSlot => Redirect::CrossSlot,
            Decision::Down(reason) => Redirect::Down(reason),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: NodeKey = NodeKey(0);
    const OTHER: NodeKey = NodeKey(1);
    const UP: ClusterState =
        ClusterState { is_ok: true, allows_reads_when_down: false, allows_sharded_pubsub_when_down: false };
    const DOWN: ClusterState = ClusterState { is_ok: false, ..UP };
    const READ: CommandTraits = CommandTraits {
        writes: false,
        is_sharded_pubsub: false,
        is_migrate: false,
        implies_asking: false,
        has_several_keys: false,
    };
    const WRITE: CommandTraits = CommandTraits { writes: true, ..READ };
    const SEVERAL: CommandTraits = CommandTraits { has_several_keys: true, ..READ };
    const PLAIN: ClientTraits = ClientTraits { is_asking: false, is_readonly: false, is_tls: false };
    const ASKING: ClientTraits = ClientTraits { is_asking: true, ..PLAIN };
    const READONLY: ClientTraits = ClientTraits { is_readonly: true, ..PLAIN };
    const ONE: KeySlots = KeySlots::One(7);
    const MOVED: Decision = Decision::Moved { slot: 7, to: OTHER };

    fn mine() -> SlotState {
        SlotState { owner: Some(ME), is_mine: true, ..SlotState::default() }
    }

    fn theirs() -> SlotState {
        SlotState { owner: Some(OTHER), ..SlotState::default() }
    }

    fn ask(
        slots: KeySlots,
        command: CommandTraits,
        client: ClientTraits,
        state: SlotState,
        here: Presence,
    ) -> Decision {
        decide(slots, command, client, UP, |_| state, || here)
    }

    #[test]
    fn a_slot_that_does_not_move_is_served_by_its_owner() {
        assert_eq!(ask(KeySlots::None, WRITE, PLAIN, SlotState::default(), Presence::None), Decision::Local);
        assert_eq!(ask(ONE, WRITE, PLAIN, mine(), Presence::None), Decision::Local);
        assert_eq!(ask(ONE, READ, PLAIN, theirs(), Presence::All), MOVED);
        let unserved = Decision::Down(DownReason::SlotNotServed);
        assert_eq!(ask(ONE, READ, PLAIN, SlotState::default(), Presence::All), unserved);
        // The owner of the first key's slot is checked before the slots are compared.
        let differing = KeySlots::of([7, 7, 8]);
        assert_eq!(ask(differing, READ, PLAIN, SlotState::default(), Presence::All), unserved);
        assert_eq!(ask(differing, READ, PLAIN, mine(), Presence::All), Decision::CrossSlot);
        assert_eq!(KeySlots::of([7, 7]), ONE);
        assert_eq!(KeySlots::of([]), KeySlots::None);
    }

    #[test]
    fn a_cluster_that_is_down_serves_what_the_directives_allow() {
        let answer = |command, cluster| decide(ONE, command, PLAIN, cluster, |_| mine(), || Presence::All);
        let channel = CommandTraits { is_sharded_pubsub: true, ..READ };
        let reads = ClusterState { allows_reads_when_down: true, ..DOWN };
        let channels = ClusterState { allows_sharded_pubsub_when_down: true, ..DOWN };
        assert_eq!(answer(READ, DOWN), Decision::Down(DownReason::State));
        assert_eq!(answer(WRITE, DOWN), Decision::Down(DownReason::State));
        assert_eq!(answer(READ, reads), Decision::Local);
        assert_eq!(answer(WRITE, reads), Decision::Down(DownReason::ReadsOnly));
        assert_eq!(answer(channel, reads), Decision::Down(DownReason::State));
        assert_eq!(answer(channel, channels), Decision::Local);
        assert_eq!(answer(READ, channels), Decision::Down(DownReason::State));
    }

    #[test]
    fn a_slot_that_moves_away_is_served_as_long_as_its_keys_are_here() {
        let state = SlotState { migrating_to: Some(OTHER), ..mine() };
        assert_eq!(ask(ONE, WRITE, PLAIN, state, Presence::All), Decision::Local);
        assert_eq!(ask(ONE, WRITE, PLAIN, state, Presence::None), Decision::Ask { slot: 7, to: OTHER });
        assert_eq!(ask(ONE, SEVERAL, PLAIN, state, Presence::Some), Decision::TryAgain);
        let migrate = CommandTraits { is_migrate: true, ..WRITE };
        assert_eq!(ask(ONE, migrate, PLAIN, state, Presence::None), Decision::Local);
        let channel = CommandTraits { is_sharded_pubsub: true, ..READ };
        assert_eq!(ask(ONE, channel, PLAIN, state, Presence::None), Decision::Local);
    }

    #[test]
    fn a_slot_that_moves_here_is_served_after_asking() {
        let state = SlotState { is_importing: true, ..theirs() };
        assert_eq!(ask(ONE, WRITE, PLAIN, state, Presence::All), MOVED);
        assert_eq!(ask(ONE, WRITE, ASKING, state, Presence::None), Decision::Local);
        assert_eq!(ask(ONE, SEVERAL, ASKING, state, Presence::Some), Decision::TryAgain);
        assert_eq!(ask(ONE, SEVERAL, ASKING, state, Presence::None), Decision::TryAgain);
        assert_eq!(ask(ONE, SEVERAL, ASKING, state, Presence::All), Decision::Local);
        let restore = CommandTraits { implies_asking: true, ..WRITE };
        assert_eq!(ask(ONE, restore, PLAIN, state, Presence::None), Decision::Local);
        // ASKING has no effect for a slot that is not being imported.
        assert_eq!(ask(ONE, WRITE, ASKING, theirs(), Presence::None), MOVED);
    }

    #[test]
    fn a_replica_serves_readers_that_accept_it() {
        let state = SlotState { is_my_primarys: true, ..theirs() };
        assert_eq!(ask(ONE, READ, PLAIN, state, Presence::All), MOVED);
        assert_eq!(ask(ONE, READ, READONLY, state, Presence::All), Decision::Local);
        assert_eq!(ask(ONE, WRITE, READONLY, state, Presence::All), MOVED);
        assert_eq!(ask(ONE, READ, READONLY, theirs(), Presence::All), MOVED);
        let channel = CommandTraits { is_sharded_pubsub: true, ..READ };
        assert_eq!(ask(ONE, channel, PLAIN, state, Presence::All), Decision::Local);
    }

    #[test]
    fn errors_are_in_the_words_of_genuine_servers() {
        let texts = [
            (Redirect::Moved { slot: 7, host: "1.2.3.4", port: 6379 }, "MOVED 7 1.2.3.4:6379"),
            (Redirect::Ask { slot: 7, host: "?", port: 6379 }, "ASK 7 ?:6379"),
            (Redirect::TryAgain, "TRYAGAIN Multiple keys request during rehashing of slot"),
            (Redirect::CrossSlot, "CROSSSLOT Keys in request don't hash to the same slot"),
            (Redirect::Down(DownReason::SlotNotServed), "CLUSTERDOWN Hash slot not served"),
            (Redirect::Down(DownReason::State), "CLUSTERDOWN The cluster is down"),
        ];
        for (redirect, text) in texts {
            assert_eq!(redirect.to_string(), text);
        }
    }
}
