//! Connections to other servers go on: each event goes to the protocol that owns the connection.

use crate::drive::cluster;
use crate::drive::migrate;
use crate::drive::replication::replica;
use crate::engine::propagation;
use crate::engine::state::ServerState;
use crate::engine::wake;
use crate::net::outbound::LinkOwner;

/// How long connections are gone on with in one turn, in ns.
const SHARE_NS: u64 = 500_000;

/// Which connections are not served for now.
fn standstill(state: &ServerState) -> impl Fn(LinkOwner) -> bool + use<> {
    let migrations = migrate::stands_still(state);
    move |owner| match owner {
        LinkOwner::Migration(_) => migrations,
        LinkOwner::Replica | LinkOwner::Bus(_) | LinkOwner::SlotExport(_) => false,
    }
}

/// Whether any connection can go on at once.
pub fn can_go_on(state: &ServerState) -> bool {
    !state.outbounds.is_empty() && state.outbounds.has_ready(standstill(state))
}

/// Whether anything can be due: there are connections, or there is to be one to a primary or to nodes of a cluster.
#[inline]
pub fn are_wanted(state: &ServerState) -> bool {
    !state.outbounds.is_empty() || state.replication.is_replica() || state.cluster.is_some()
}

/// When the other side of the next connection is late, the primary is tried again or the cluster's member is to look
/// around, in ms since the epoch.
/// O(connections).
pub fn next_deadline_ms(state: &ServerState) -> Option<i64> {
    let retry_ms = [replica::due_ms(state), cluster::due_ms(state)].into_iter().flatten().min();
    if state.outbounds.is_empty() {
        return retry_ms;
    }
    let late_ms = state.outbounds.next_deadline_ms(standstill(state));
    [retry_ms, late_ms].into_iter().flatten().min()
}

/// Goes on with the connections that can, and gives up those whose other side takes too long.
pub fn run(state: &mut ServerState) {
    replica::run(state);
    cluster::run(state);
    if state.outbounds.is_empty() {
        return;
    }
    let stands_still = standstill(state);
    let deadline = state.clock.ticks() + state.clock.nanos_as_ticks(SHARE_NS);
    let now_ms = state.now_ms();
    state.outbounds.give_up_overdue(now_ms, &stands_still);
    loop {
        let began = state.clock.ticks();
        let now_ms = state.now_ms();
        if began >= deadline {
            break;
        }
        let Some((owner, token, event)) = state.outbounds.next_event(now_ms, &stands_still) else {
            break;
        };
        match owner {
            LinkOwner::Migration(number) => migrate::take_event(state, number, event, began),
            LinkOwner::Replica => replica::take_event(state, token, event),
            LinkOwner::Bus(number) => cluster::bus::take_event(state, number, token, event),
            LinkOwner::SlotExport(number) => cluster::migration::export::take_event(state, number, token, event),
        }
    }
    propagation::end_unit(state, false);
    if !state.keyspace.changes.is_empty() {
        wake::changes(state);
    }
}
