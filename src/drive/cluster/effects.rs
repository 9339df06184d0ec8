//! Carries out a turn's effects once everything that the member's frames say is on the disk.

use crate::cluster::SlotSet;
use crate::cluster::member::Released;
use crate::cluster::member::output::{Effect, KeysOfLostSlots};
use crate::cluster::node::Address;
use crate::drive::cluster::{bus, keys, migration};
use crate::drive::replication::replica;
use crate::engine::cluster_events;
use crate::engine::pause::PauseReason;
use crate::engine::state::ServerState;

/// Carries out what is asked for, then sends the frames.
pub(super) fn carry_out(state: &mut ServerState, released: Released) {
    let mut concerns_clients = false;
    for effect in released.effects {
        let is_told = matches!(effect, Effect::Log(..) | Effect::Connect { .. } | Effect::Close(_));
        concerns_clients |= !is_told && !matches!(effect, Effect::Deliver { .. });
        carry_out_one(state, effect);
    }
    if concerns_clients {
        cluster_events::settle_clients(state);
        migration::on_slots_changed(state);
    }
    for send in released.sends {
        bus::send(state, send.link, &send.frame);
    }
}

fn carry_out_one(state: &mut ServerState, effect: Effect) {
    match effect {
        Effect::Connect { link, ip, port } => bus::connect(state, link, &ip, port),
        Effect::Close(link) => bus::close(state, link),
        Effect::Follow { address, .. } => follow(state, address),
        Effect::Promote => {
            replica::promote(state);
            migration::import::on_promotion(state);
        }
        Effect::PauseWrites { .. } => state.hold_writes(PauseReason::ManualFailover, true),
        Effect::ResumeWrites => state.hold_writes(PauseReason::ManualFailover, false),
        Effect::SlotsLost { slots, keys } => lose_slots(state, &slots, keys),
        Effect::DeleteAll => keys::delete_all(state),
        // The gate reads the member's state for each request.
        Effect::StateChanged { .. } => {}
        Effect::Deliver { channel, message, is_sharded } => {
            cluster_events::deliver(state, &channel, message, is_sharded);
        }
        Effect::Log(level, text) => log::log!(level, "{text}"),
    }
}

/// Follows a node, unless this server does already.
fn follow(state: &mut ServerState, address: Address) {
    let port = address.base_port(state.config.tls_replication);
    let side = state.replication.replica.as_ref();
    if side.is_some_and(|side| side.host == address.ip && side.port == port) {
        return;
    }
    replica::follow(state, address.ip, port);
}

fn lose_slots(state: &mut ServerState, slots: &SlotSet, keys: KeysOfLostSlots) {
    if keys == KeysOfLostSlots::Delete {
        keys::begin_deletion(state, slots);
    }
}
