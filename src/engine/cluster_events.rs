//! Effects of the cluster on the clients of this server: messages from other nodes, and slots that have left.
//!
//! The owner of the member calls this between two commands: `deliver` for each message, `settle_clients` when the owner
//! of a slot or the state of the cluster has changed.

use bytes::Bytes;

use crate::cluster::key_slot;
use crate::engine::clients::Clients;
use crate::engine::cluster::Cluster;
use crate::engine::output_limits;
use crate::engine::pubsub::{ChannelKind, Payload};
use crate::engine::routing;
use crate::engine::session::Token;
use crate::engine::slot_stats;
use crate::engine::state::ServerState;
use crate::engine::wake;

/// Messages of this size or more are shared between their receivers, in bytes.
const SHARED_BYTES: usize = 16 * 1024;

/// Hands a message of another node to its subscribers here.
pub fn deliver(state: &mut ServerState, channel: &[u8], message: Vec<u8>, is_sharded: bool) {
    let (pubsub, clients) = (&state.pubsub, &mut state.clients);
    let tell = |clients: &mut Clients, payload: &Payload<'_>| match is_sharded {
        true => pubsub.publish_to_shard(clients, channel, payload),
        false => pubsub.publish(clients, channel, payload),
    };
    let payload_bytes = message.len();
    let told = match payload_bytes {
        SHARED_BYTES.. => tell(clients, &Payload::Large(Bytes::from(message))),
        _ => tell(clients, &Payload::Small(&message)),
    };
    if is_sharded {
        slot_stats::count_messages(state, channel, payload_bytes, told);
    }
    if state.clients.has_over_output_limit() {
        output_limits::close_over_output_limit(state);
    }
}

/// Tells the clients that wait for keys, or listen to sharded channels, whose slots this node does not serve any more.
/// O(keys that clients wait for, sharded channels).
pub fn settle_clients(state: &mut ServerState) {
    end_waits(state);
    leave_channels(state);
}

/// Clients that wait for keys get an error when the keys are elsewhere, or the cluster is down. All keys of a request
/// are in one slot.
fn end_waits(state: &mut ServerState) {
    let Some(cluster) = state.cluster.as_deref() else { return };
    let is_down = !cluster.member.is_ok();
    let observed = state.keyspace.changes.observed_keys();
    let keys = state.blocking.waited_for().filter_map(|id| Some((id, key_slot(&observed.key(id)?.1))));
    let lost: Vec<_> = keys.filter(|(_, slot)| is_down || !cluster.serves(*slot)).collect();
    for (id, slot) in lost {
        for token in state.blocking.clients_of(id) {
            let session = state.clients.get(token);
            if let Some(error) = session.and_then(|session| routing::refusal_while_waiting(state, session, slot)) {
                wake::end_with_error(state, token, error);
            }
        }
    }
}

/// Sharded channels go with their slots.
fn leave_channels(state: &mut ServerState) {
    let Some(cluster) = state.cluster.as_deref() else { return };
    let names = state.pubsub.names(ChannelKind::ShardChannel, None);
    let lost: Vec<Vec<u8>> = names.filter(|name| !is_in_shard(cluster, name)).map(<[u8]>::to_vec).collect();
    for name in lost {
        for token in state.pubsub.subscribers(ChannelKind::ShardChannel, &name).to_vec() {
            leave_channel(state, token, &name);
        }
    }
}

/// Whether this node, or the primary that it follows, has the slot of a channel.
fn is_in_shard(cluster: &Cluster, channel: &[u8]) -> bool {
    let known = cluster.member.slot_state(key_slot(channel));
    known.is_mine || known.is_my_primarys
}

fn leave_channel(state: &mut ServerState, token: Token, name: &[u8]) {
    let Some(mut session) = state.clients.checkout(token) else { return };
    state.pubsub.unsubscribe(&mut session, ChannelKind::ShardChannel, name);
    let subscriptions = session.subscriptions.as_ref();
    let count = subscriptions.map_or(0, |subscriptions| subscriptions.count(ChannelKind::ShardChannel));
    state.clients.checkin(session);
    state.clients.push(token, |reply| {
        reply.push(3);
        reply.bulk(b"sunsubscribe");
        reply.bulk(name);
        reply.integer(count as i64);
    });
}
