//! Counts what the requests about each slot cost (`cluster-slot-stats-enabled`).
//!
//! While nothing is counted a request pays nothing for this: it is reached by branches that are taken for other reasons
//! too, and counting sets what they ask. `Guard::is_restricted` leads to `begin_request`, a threshold of 0 for slow
//! commands to `count`, and the target of slots that move to `count_stream`.
//!
//! A request counts for the slot of its keys once it is over, with the commands that it runs: those of EXEC or of a
//! script do not count a second time. What is refused does not count, nor does what is about another shard's slots.

use crate::cluster::key_slot;
use crate::command::keys::keys_of;
use crate::command::registry::{CommandId, Registry};
use crate::command::spec::Flag;
use crate::engine::cluster::Cluster;
use crate::engine::key_costs;
use crate::engine::origin::Admission;
use crate::engine::routing;
use crate::engine::session::{ReplyMode, Session};
use crate::engine::state::ServerState;
use crate::keyspace::Target;
use crate::keyspace::change_log::unit::{Unit, decode};
use crate::observe::slot_stats::{Running, SlotFigures};
use crate::resp::Args;

/// Bytes of MULTI as a request, which is counted with EXEC: only then is the slot known.
const MULTI_BYTES: u64 = b"*1\r\n$5\r\nmulti\r\n".len() as u64;
/// Bytes of MULTI and EXEC around a unit in the stream.
const WRAPPING_BYTES: usize = b"*1\r\n$5\r\nMULTI\r\n*1\r\n$4\r\nEXEC\r\n".len();
/// Bytes of a sharded message beside channel and payload, but for the lengths of both.
const MESSAGE_BYTES: usize = b"*3\r\n$8\r\nsmessage\r\n".len();

/// A client's request begins. One that will be queued counts now: EXEC has other arguments.
#[cold]
pub fn begin_request(
    state: &mut ServerState,
    session: &Session,
    args: Args<'_>,
    resolved: Option<CommandId>,
    reply_start: usize,
) {
    key_costs::begin(state, reply_start);
    if !is_on(state) {
        return;
    }
    let command = resolved.map(|id| state.commands.get(id)).filter(|command| command.accepts(args.len()));
    let slot = command.and_then(|command| routing::slot_of_request(state, session, command, args));
    let is_queued = session.transaction.is_some()
        && command.is_some_and(|command| {
            let is_held = state.pause.is_active() && state.pause.holds(command.flags, state.now_ms());
            !command.flags.has(Flag::NotQueued) && !is_held
        });
    begin(state, slot, reply_start);
    if let Some(slot) = slot.filter(|_| is_queued) {
        add(state, slot, SlotFigures { bytes_in: args.received_bytes() as u64, ..SlotFigures::default() });
    }
}

/// A command that was begun in an earlier turn is about to reply, behind so many bytes of replies.
pub fn begin(state: &mut ServerState, slot: Option<u16>, reply_start: usize) {
    if let Some(cluster) = &mut state.cluster {
        cluster.slot_stats.running = Running { slot, reply_start, is_torn: false };
    }
}

/// The same, with the slot of its arguments.
pub fn begin_late(state: &mut ServerState, session: &Session, command: CommandId, args: Args<'_>, reply_start: usize) {
    key_costs::begin(state, reply_start);
    if is_on(state) {
        let slot = routing::slot_of_request(state, session, state.commands.get(command), args);
        begin(state, slot, reply_start);
    }
}

/// A script is over. Its keys need not be declared.
pub fn note_script(state: &mut ServerState, script: &Session) {
    if let Some(cluster) = state.cluster.as_deref_mut().filter(|cluster| cluster.slot_stats.is_on()) {
        let running = &mut cluster.slot_stats.running;
        running.is_torn |= script.script.allows_cross_slot && script.traffic.commands > 0;
        running.slot = running.slot.or(script.script.slot);
    }
}

/// A command is over that took so many ticks. Behind its reply there are so many bytes of replies.
pub fn count(
    state: &mut ServerState,
    session: &Session,
    command: CommandId,
    args: Args<'_>,
    ticks: u64,
    reply_end: usize,
) {
    let is_clients = session.policy.admission == Admission::Request;
    let is_part = session.is_script() || is_clients && session.executing.is_some();
    if is_part || !is_on(state) {
        return;
    }
    if !is_clients {
        // Of the stream of a primary, or of the source of slots: nobody is replied to, and nothing was begun.
        begin_late(state, session, command, args, reply_end);
    }
    let around = if state.commands.get(command).flags.has(Flag::RunsQueue) { MULTI_BYTES } else { 0 };
    let running = state.cluster.as_mut().map(|cluster| std::mem::take(&mut cluster.slot_stats.running));
    let Running { slot, reply_start, is_torn } = running.unwrap_or_default();
    if let Some(slot) = slot.filter(|_| !is_torn) {
        let is_replied_to = matches!(session.reply_mode, ReplyMode::On | ReplyMode::SkipNext);
        let bytes_out = if is_replied_to { reply_end.saturating_sub(reply_start) as u64 } else { 0 };
        add(state, slot, SlotFigures { cpu_ticks: ticks, bytes_in: args.received_bytes() as u64 + around, bytes_out });
    }
}

/// A sharded message was sent to so many subscribers.
pub fn count_messages(state: &mut ServerState, channel: &[u8], payload_bytes: usize, receivers: usize) {
    if receivers > 0 && is_on(state) {
        let lengths = [channel.len(), payload_bytes];
        let bulks: usize =
            lengths.iter().map(|length| length.checked_ilog10().unwrap_or(0) as usize + 6 + length).sum();
        let bytes_out = (receivers * (MESSAGE_BYTES + bulks)) as u64;
        add(state, key_slot(channel), SlotFigures { bytes_out, ..SlotFigures::default() });
    }
}

/// A unit goes to this many replicas, each command of it for the slot of its key.
pub fn count_stream(cluster: &mut Cluster, commands: &Registry, unit: &Unit, belong_together: bool, replicas: usize) {
    if replicas == 0 || !cluster.slot_stats.is_on() {
        return;
    }
    let is_wrapped = belong_together && unit.targets_of_several().has(Target::Replicas);
    let mut around = if is_wrapped { WRAPPING_BYTES } else { 0 };
    for (_, _, bytes) in unit.iter().filter(|(targets, ..)| targets.has(Target::Replicas)) {
        let words = decode(bytes);
        let args = Args::from_slices(&words);
        let command = commands.resolve(args.at(0), args.get(1));
        if let Some(key) = command.and_then(|command| keys_of(command, args).first().copied()) {
            let bytes_out = (replicas * (bytes.len() + std::mem::take(&mut around))) as u64;
            add_to(cluster, key_slot(args.at(key.index)), SlotFigures { bytes_out, ..SlotFigures::default() });
        }
    }
}

/// The sums of slots, up to date: slots that have come or gone since begin at zero.
pub fn settle(cluster: &mut Cluster) {
    if let Some(changed) = cluster.member.take_changed_slots() {
        cluster.slot_stats.reset(changed.iter());
    }
}

fn is_on(state: &ServerState) -> bool {
    state.cluster.as_ref().is_some_and(|cluster| cluster.slot_stats.is_on())
}

fn add(state: &mut ServerState, slot: u16, figures: SlotFigures) {
    if let Some(cluster) = &mut state.cluster {
        add_to(cluster, slot, figures);
    }
}

fn add_to(cluster: &mut Cluster, slot: u16, figures: SlotFigures) {
    settle(cluster);
    let table = cluster.member.table();
    if table.owner(slot).is_some() && table.owner(slot) == table.primary_of(table.my_key()) {
        cluster.slot_stats.add(slot, figures);
    }
}
