//! Where a request runs in a cluster: here, or at the node that its client is sent to.
//!
//! `cluster/routing.rs` decides; this finds what the decision depends on: the slots of the keys, what the request does,
//! what its client has said (ASKING, READONLY), and which keys are here. EXEC is decided by the keys of all queued
//! commands. Never runs a command, and never touches a key.

use crate::cluster::key_slot;
use crate::cluster::routing::{
    ClientTraits, ClusterState, CommandTraits, Decision, DownReason, EndpointType, KeySlots, Presence, decide,
};
use crate::command::error::CommandError;
use crate::command::keys::{keys_of, routed_by};
use crate::command::registry::Command;
use crate::command::spec::{Flag, FlagSet, Group};
use crate::config::{self, PrimaryAddress};
use crate::engine::cluster::Cluster;
use crate::engine::origin::Admission;
use crate::engine::session::{Asking, Session};
use crate::engine::state::ServerState;
use crate::engine::transaction::Transaction;
use crate::resp::Args;

/// Why a client's request does not run here, in the words for the client: an error, or where it is to go. None: it runs
/// here. `flags` works out what the request may do.
#[inline]
pub fn refusal(
    state: &ServerState,
    session: &Session,
    command: &Command,
    args: Args<'_>,
    flags: impl FnOnce() -> FlagSet,
) -> Option<CommandError> {
    let Some(cluster) = state.cluster.as_deref() else {
        return if session.follows_redirects { to_primary(state, session, flags()) } else { None };
    };
    let request = Request { state, session, command, args };
    match request.slots() {
        KeySlots::None => None,
        KeySlots::One(slot) if cluster.serves(slot) => None,
        slots => request.redirect(cluster, slots, flags()),
    }
}

/// Where a replica outside of clusters sends a client that follows redirections; it reads here itself once it has said
/// so (READONLY).
#[cold]
fn to_primary(state: &ServerState, session: &Session, flags: FlagSet) -> Option<CommandError> {
    let is_for_primary = flags.has(Flag::Write) || flags.has(Flag::ReadOnly) && !session.is_readonly;
    state.config.replicaof.as_ref().filter(|_| is_for_primary && state.replication.is_replica()).map(redirection)
}

/// Tells a client to ask the primary.
pub fn redirection(primary: &PrimaryAddress) -> CommandError {
    CommandError::new(format!("REDIRECT {}:{}", primary.host, primary.port))
}

/// Why a command of a script does not run here. Else the slot of its keys, if it has any.
///
/// Errors: in the words for the script.
pub fn check_in_script(
    state: &ServerState,
    session: &Session,
    command: &Command,
    args: Args<'_>,
) -> Result<Option<u16>, &'static str> {
    let Some(cluster) = state.cluster.as_deref() else { return Ok(None) };
    let request = Request { state, session, command, args };
    let slot = match request.slots() {
        KeySlots::None => return Ok(None),
        KeySlots::One(slot) if cluster.serves(slot) => slot,
        slots => match (request.decide(cluster, slots, command.flags), slots) {
            (Decision::Local, KeySlots::One(slot)) => slot,
            (decision, _) => return Err(error_in_script(decision)),
        },
    };
    let is_torn = session.script.slot.is_some_and(|used| used != slot);
    if is_torn && !session.script.allows_cross_slot {
        return Err("ERR Script attempted to access keys that do not hash to the same slot");
    }
    Ok(Some(slot))
}

fn error_in_script(decision: Decision) -> &'static str {
    match decision {
        Decision::Down(DownReason::ReadsOnly) => {
            "ERR Script attempted to execute a write command while the cluster is down and readonly"
        }
        Decision::Down(DownReason::State) => "ERR Script attempted to execute a command while the cluster is down",
        _ => "ERR Script attempted to access a non local key in a cluster node",
    }
}

/// The slot of the keys of all queued commands, which EXEC has found to be one. None without a cluster.
pub fn slot_of_transaction(state: &ServerState, transaction: &Transaction) -> Option<u16> {
    state.cluster.as_ref()?;
    let mut queued = transaction.iter();
    queued.find_map(|(queued, args)| match slots_of(state.commands.get(queued.command), args, key_slot) {
        KeySlots::None => None,
        KeySlots::One(slot) | KeySlots::Differing { first: slot } => Some(slot),
    })
}

/// The slot of a request's keys, for EXEC that of all queued commands. None if there are no keys, or several slots.
pub fn slot_of_request(state: &ServerState, session: &Session, command: &Command, args: Args<'_>) -> Option<u16> {
    match (Request { state, session, command, args }).slots() {
        KeySlots::One(slot) => Some(slot),
        KeySlots::None | KeySlots::Differing { .. } => None,
    }
}

/// Why a client waits in vain for keys of this slot, in the words for the client. None: it does not.
pub fn refusal_while_waiting(state: &ServerState, session: &Session, slot: u16) -> Option<CommandError> {
    let cluster = state.cluster.as_deref()?;
    let waiting = session.waiting.as_ref()?;
    if !cluster.member.is_ok() {
        // Only a write would end the wait, and writes are refused.
        return error_for(state, cluster, session, Decision::Down(DownReason::State));
    }
    let known = cluster.member.slot_state(slot);
    let writes = state.commands.get(waiting.command).flags.has(Flag::Write);
    let is_here = known.is_mine || known.is_importing || session.is_readonly && !writes && known.is_my_primarys;
    let decision = match known.owner {
        _ if is_here => return None,
        Some(to) => Decision::Moved { slot, to },
        None => Decision::Down(DownReason::SlotNotServed),
    };
    error_for(state, cluster, session, decision)
}

/// Whether a request that writes may change keys of slots that are about to be another node's. It is not
/// known before which keys scripts and commands without keys write.
pub fn writes_held_slots(state: &ServerState, session: &Session, command: &Command, args: Args<'_>) -> bool {
    let Some(cluster) = state.cluster.as_deref() else { return false };
    if !cluster.slot_migrations.holds_any() {
        return false;
    }
    let request = Request { state, session, command, args };
    let depends_on_script = |id| state.runs.of(id).flags_of.is_some();
    let has_script = match request.transaction() {
        Some(transaction) => transaction.iter().any(|(queued, _)| depends_on_script(queued.command)),
        None => depends_on_script(command.id),
    };
    match request.slots() {
        KeySlots::One(slot) => has_script || cluster.slot_migrations.holds(slot),
        KeySlots::None | KeySlots::Differing { .. } => true,
    }
}

/// Whether a command that the source of slots has sent is about them: it changes their keys, and no others.
pub fn may_come_from_source(state: &ServerState, session: &Session, command: &Command, args: Args<'_>) -> bool {
    let Some(cluster) = state.cluster.as_deref() else { return false };
    let Some((_, import)) = cluster.slot_migrations.import_of(session.token) else { return false };
    let slots = &import.machine.job.slots;
    match slots_of(command, args, key_slot) {
        // SELECT, PING, CLUSTER SYNCSLOTS.
        KeySlots::None => {
            let is_about_connection = matches!(command.spec.group, Group::Connection | Group::Cluster);
            is_about_connection && !command.flags.has(Flag::Write)
        }
        KeySlots::One(slot) => command.flags.has(Flag::Write) && slots.contains(slot),
        KeySlots::Differing { .. } => {
            command.flags.has(Flag::Write)
                && routed_by(command, args).iter().all(|key| slots.contains(key_slot(args.at(key.index))))
        }
    }
}

/// The slots of a command's keys. Most commands have one, at a place that is known: `slot_of` works out its slot.
#[inline(always)]
fn slots_of(command: &Command, args: Args<'_>, slot_of: impl FnOnce(&[u8]) -> u16) -> KeySlots {
    if command.spec.keys.is_empty() {
        return KeySlots::None;
    }
    match command.lone_key.and_then(|lone| args.get(usize::from(lone.index))) {
        Some(key) => KeySlots::One(slot_of(key)),
        None => slots_of_several(command, args),
    }
}

fn slots_of_several(command: &Command, args: Args<'_>) -> KeySlots {
    KeySlots::of(routed_by(command, args).iter().map(|key| key_slot(args.at(key.index))))
}

/// A request, and its session.
#[derive(Clone, Copy)]
struct Request<'a> {
    state: &'a ServerState,
    session: &'a Session,
    command: &'a Command,
    args: Args<'a>,
}

impl<'a> Request<'a> {
    /// The slots of its keys, or of those of the commands that it runs.
    #[inline]
    fn slots(&self) -> KeySlots {
        match self.transaction() {
            Some(_) => self.slots_of_all(),
            // Its hash is known: it was worked out ahead.
            None if self.session.policy.admission == Admission::Request => {
                slots_of(self.command, self.args, |key| self.state.keyspace.slot_of_key(key))
            }
            None => slots_of(self.command, self.args, key_slot),
        }
    }

    #[cold]
    fn slots_of_all(&self) -> KeySlots {
        let mut slots = Vec::new();
        self.for_each_key(&mut |key| slots.push(key_slot(key)));
        KeySlots::of(slots)
    }

    /// The transaction that it runs, if it is EXEC.
    #[inline]
    fn transaction(&self) -> Option<&'a Transaction> {
        let transaction = self.session.transaction.as_deref()?;
        self.command.flags.has(Flag::RunsQueue).then_some(transaction)
    }

    /// Hands over the commands that it runs: itself, or the queued commands.
    fn for_each_command(&self, visit: &mut dyn FnMut(&Command, Args<'_>)) {
        match self.transaction() {
            Some(transaction) => {
                transaction.iter().for_each(|(queued, args)| visit(self.state.commands.get(queued.command), args));
            }
            None => visit(self.command, self.args),
        }
    }

    /// Hands over all its keys and sharded channels, in order.
    fn for_each_key(&self, visit: &mut dyn FnMut(&[u8])) {
        self.for_each_command(&mut |command, args| {
            routed_by(command, args).iter().for_each(|key| visit(args.at(key.index)));
        });
    }

    /// Whether it names sharded channels, and no keys.
    fn is_sharded_pubsub(&self) -> bool {
        let (mut has_channels, mut has_keys) = (false, false);
        self.for_each_command(&mut |command, _| {
            let is_about_channels = command.flags.has(Flag::PubSub);
            has_channels |= is_about_channels && !command.spec.keys.is_empty();
            has_keys |= !is_about_channels && !command.spec.keys.is_empty();
        });
        has_channels && !has_keys
    }

    #[cold]
    fn redirect(&self, cluster: &Cluster, slots: KeySlots, flags: FlagSet) -> Option<CommandError> {
        error_for(self.state, cluster, self.session, self.decide(cluster, slots, flags))
    }

    #[cold]
    fn decide(&self, cluster: &Cluster, slots: KeySlots, flags: FlagSet) -> Decision {
        let config = &self.state.config;
        let own = self.command.flags;
        let traits = CommandTraits {
            writes: flags.has(Flag::Write),
            is_sharded_pubsub: self.is_sharded_pubsub(),
            is_migrate: own.has(Flag::MovesKeys),
            implies_asking: own.has(Flag::Asking),
            has_several_keys: self.has_several_keys(),
        };
        let client = ClientTraits {
            is_asking: self.session.asking != Asking::No,
            is_readonly: self.session.is_readonly,
            is_tls: self.session.is_encrypted,
        };
        let known = ClusterState {
            is_ok: cluster.member.is_ok(),
            allows_reads_when_down: config.cluster_allow_reads_when_down,
            allows_sharded_pubsub_when_down: config.cluster_allow_pubsubshard_when_down,
        };
        decide(slots, traits, client, known, |slot| cluster.member.slot_state(slot), || self.presence())
    }

    /// Whether it names more than one different key.
    fn has_several_keys(&self) -> bool {
        let mut first: Option<Vec<u8>> = None;
        let mut has_several = false;
        self.for_each_key(&mut |key| match &first {
            None => first = Some(key.to_vec()),
            Some(first) => has_several |= first != key,
        });
        has_several
    }

    /// Which of its keys are here.
    fn presence(&self) -> Presence {
        let (mut found, mut missing) = (false, false);
        self.for_each_command(&mut |command, args| {
            for key in keys_of(command, args) {
                let is_here = self.state.keyspace.live(self.session.database, args.at(key.index)).is_some();
                found |= is_here;
                missing |= !is_here;
            }
        });
        match (found, missing) {
            (_, false) => Presence::All,
            (true, true) => Presence::Some,
            (false, true) => Presence::None,
        }
    }
}

/// The error that tells a client of a decision. None: its request runs here.
fn error_for(state: &ServerState, cluster: &Cluster, session: &Session, decision: Decision) -> Option<CommandError> {
    let preferred = match state.config.cluster_preferred_endpoint_type {
        config::EndpointType::Ip => EndpointType::Ip,
        config::EndpointType::Hostname => EndpointType::Hostname,
        config::EndpointType::Unknown => EndpointType::Unknown,
    };
    let redirect = cluster.member.redirect(decision, preferred, session.is_encrypted)?;
    Some(CommandError::new(redirect.to_string()))
}
