//! Which node has which slots: SLOTS and SHARDS.

use std::ops::RangeInclusive;

use crate::cluster::Member;
use crate::cluster::node::{Node, NodeKey};
use crate::command::error::CommandResult;
use crate::commands::cluster::known;
use crate::config::EndpointType;
use crate::drive::cluster;
use crate::engine::context::Context;
use crate::engine::state::ServerState;
use crate::resp::{Args, Reply};

/// A node's offset in the stream: as the node has reported it, or for this server itself its own.
fn offset_of(state: &ServerState, member: &Member, key: NodeKey, node: &Node) -> u64 {
    if key == member.table().my_key() { cluster::replication_offset(state) } else { node.offset }
}

/// The name under which clients reach a node; none if they are to take the one that they use already.
fn endpoint(preferred: EndpointType, node: &Node) -> Option<&str> {
    match preferred {
        EndpointType::Ip => Some(&node.address.ip),
        EndpointType::Hostname if node.hostname.is_empty() => Some("?"),
        EndpointType::Hostname => Some(&node.hostname),
        EndpointType::Unknown => None,
    }
}

pub(super) fn slots(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    known(context)?;
    let Context { state, session, reply, .. } = context;
    let Some(cluster) = state.cluster.as_deref() else { return Ok(()) };
    let (member, is_tls, preferred) =
        (&cluster.member, session.is_encrypted, state.config.cluster_preferred_endpoint_type);
    let mut rows: Vec<(RangeInclusive<u16>, NodeKey, &Node)> = Vec::new();
    for (key, node) in member.table().iter() {
        rows.extend(node.slots.ranges().into_iter().map(|range| (range, key, node)));
    }
    rows.sort_by_key(|(range, _, _)| *range.start());
    reply.array(rows.len());
    for (range, key, node) in rows {
        let is_available = |key, node: &Node| !node.is_failed() && offset_of(state, member, key, node) != 0;
        let replicas = member.table().replicas(key).filter(|(key, node)| is_available(*key, node));
        // The same order at all nodes: tools compare their replies.
        let mut replicas: Vec<&Node> = replicas.map(|(_, node)| node).collect();
        replicas.sort_by_key(|node| node.id);
        reply.array(3 + replicas.len());
        reply.integer(i64::from(*range.start()));
        reply.integer(i64::from(*range.end()));
        for node in std::iter::once(node).chain(replicas) {
            write_address(reply, node, is_tls, preferred);
        }
    }
    Ok(())
}

/// A node's endpoint, port and id, and those of its names that are not the endpoint.
fn write_address(reply: &mut Reply, node: &Node, is_tls: bool, preferred: EndpointType) {
    reply.array(4);
    match endpoint(preferred, node) {
        Some(endpoint) => reply.bulk(endpoint.as_bytes()),
        None => reply.null(),
    }
    reply.integer(i64::from(node.address.base_port(is_tls)));
    reply.bulk(node.id.as_bytes());
    let names = [
        ("ip", &node.address.ip, preferred != EndpointType::Ip),
        ("hostname", &node.hostname, preferred != EndpointType::Hostname && !node.hostname.is_empty()),
    ];
    let told = names.iter().filter(|(_, _, is_told)| *is_told);
    reply.map(told.clone().count());
    for (name, value, _) in told {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
}

pub(super) fn shards(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    known(context)?;
    let Context { state, reply, .. } = context;
    let Some(cluster) = state.cluster.as_deref() else { return Ok(()) };
    let member = &cluster.member;
    // In the order in which their first nodes became known.
    let mut shards: Vec<Vec<(NodeKey, &Node)>> = Vec::new();
    for (key, node) in member.table().iter().filter(|(_, node)| !node.is_in_handshake()) {
        match shards.iter_mut().find(|shard| shard[0].1.shard_id == node.shard_id) {
            Some(shard) => shard.push((key, node)),
            None => shards.push(vec![(key, node)]),
        }
    }
    reply.array(shards.len());
    for shard in shards {
        let ranges: Vec<RangeInclusive<u16>> = shard.iter().flat_map(|(_, node)| node.slots.ranges()).collect();
        reply.map(2);
        reply.bulk(b"slots");
        reply.array(2 * ranges.len());
        for range in ranges {
            reply.integer(i64::from(*range.start()));
            reply.integer(i64::from(*range.end()));
        }
        reply.bulk(b"nodes");
        reply.array(shard.len());
        for (key, node) in shard {
            let offset = offset_of(state, member, key, node);
            write_node(reply, node, offset, state.config.cluster_preferred_endpoint_type);
        }
    }
    Ok(())
}

fn write_node(reply: &mut Reply, node: &Node, offset: u64, preferred: EndpointType) {
    let ports = [("port", node.address.plain_port), ("tls-port", node.address.tls_port)];
    let ports = ports.iter().filter(|(_, port)| *port != 0);
    let has_hostname = !node.hostname.is_empty();
    reply.map(6 + ports.clone().count() + usize::from(has_hostname));
    reply.bulk(b"id");
    reply.bulk(node.id.as_bytes());
    for (name, port) in ports {
        reply.bulk(name.as_bytes());
        reply.integer(i64::from(*port));
    }
    let mut text = |name: &str, value: &[u8]| {
        reply.bulk(name.as_bytes());
        reply.bulk(value);
    };
    text("ip", node.address.ip.as_bytes());
    text("endpoint", endpoint(preferred, node).unwrap_or_default().as_bytes());
    if has_hostname {
        text("hostname", node.hostname.as_bytes());
    }
    text("role", if node.is_primary() { b"master" } else { b"replica" });
    reply.bulk(b"replication-offset");
    reply.integer(i64::try_from(offset).unwrap_or(i64::MAX));
    reply.bulk(b"health");
    reply.bulk(match (node.is_failed(), node.is_primary() || offset != 0) {
        (true, _) => b"fail",
        (false, true) => b"online",
        (false, false) => b"loading",
    });
}
