//! Counts what the requests about each key cost, while HOTKEYS tracks them.
//!
//! A request pays nothing while nothing is tracked: as for `slot_stats`, `Guard::is_restricted` leads to `begin`, and a
//! threshold of 0 for slow commands to `count`. The commands of a transaction count one by one, those of a script with
//! the script.

use smallvec::SmallVec;

use crate::cluster::key_slot;
use crate::command::keys::keys_of;
use crate::command::registry::CommandId;
use crate::engine::origin::Admission;
use crate::engine::session::{ReplyMode, Session};
use crate::engine::state::ServerState;
use crate::observe::key_costs::{Costs, HashedKey};
use crate::resp::Args;

/// A request is about to run, behind so many bytes of replies.
pub fn begin(state: &mut ServerState, reply_start: usize) {
    if let Some(costs) = &mut state.recorder.key_costs {
        costs.reply_start = reply_start;
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
    let now_ms = state.now_ms();
    let Some(costs) = state.recorder.key_costs.as_mut().filter(|costs| costs.is_active()) else {
        return;
    };
    if costs.stop_if_due(now_ms) {
        state.update_tracked_keys();
        return;
    }
    if session.is_script() {
        return;
    }
    let is_replied_to = session.policy.admission == Admission::Request
        && matches!(session.reply_mode, ReplyMode::On | ReplyMode::SkipNext);
    let reply_start = std::mem::replace(&mut costs.reply_start, reply_end);
    let bytes_out = if is_replied_to { reply_end.saturating_sub(reply_start) } else { 0 };
    let found = keys_of(state.commands.get(command), args);
    let keys: SmallVec<[HashedKey<'_>; 4]> =
        found.iter().map(|key| args.at(key.index)).map(|key| (state.keyspace.hash(key), key)).collect();
    let Some((_, first)) = keys.first() else {
        return;
    };
    let slot = state.cluster.as_ref().map(|_| key_slot(first));
    let net_bytes = (args.received_bytes() + bytes_out) as u64;
    costs.count(slot, &keys, Costs { cpu_ns: state.clock.ticks_as_nanos(ticks), net_bytes });
}
