//! A primary of a cluster that ends has its best replica take over, which need not find out by itself that the primary
//! is gone. The order is a command in the replicas' stream, which names one of them.

use crate::engine::state::ServerState;
use crate::keyspace::Targets;
use crate::keyspace::change_log::unit::encode;

/// Whether this server is a primary with slots of a cluster, whose end leaves the slots without an owner.
pub fn is_voting_primary(state: &ServerState) -> bool {
    state.cluster.as_ref().is_some_and(|cluster| {
        let myself = cluster.member.table().myself();
        myself.is_primary() && !myself.slots.is_empty()
    })
}

/// Orders a replica that has everything to take over. What the stream holds next is not read by anybody.
pub fn begin(state: &mut ServerState) {
    if !is_voting_primary(state) {
        return;
    }
    let offset = state.replication_offset();
    let replicas = &state.replication.primary.replicas;
    if replicas.iter().any(|replica| !replica.announced.takes_orders) {
        log::info!("Unable to perform auto failover on shutdown since there are legacy replicas.");
        return;
    }
    let mut in_sync = replicas.online().filter(|replica| replica.acked_offset == offset);
    let Some(id) = in_sync.find_map(|replica| replica.announced.node_id.clone()) else {
        log::info!("Unable to find a replica to perform the auto failover on shutdown.");
        return;
    };
    log::info!("Perform auto failover to replica {id} on shutdown.");
    let words: [&[u8]; 5] = [b"CLUSTER", b"FAILOVER", b"FORCE", b"REPLICAID", id.as_bytes()];
    let mut order = Vec::new();
    encode(&mut order, words.len(), words.into_iter());
    state.keyspace.changes.propagation.log.append_raw(Targets::REPLICAS, &order);
}
