//! Subcommands that describe nodes: INFO, NODES, REPLICAS, LINKS, ids.

use crate::cluster::NodeId;
use crate::cluster::key_slot;
use crate::cluster::member::state::Direction;
use crate::cluster::member::{AdminError, LinkRow};
use crate::command::error::{CommandError, CommandResult};
use crate::commands::cluster::{DISABLED, known, refused, text};
use crate::drive::cluster;
use crate::engine::context::Context;
use crate::engine::state::ServerState;
use crate::resp::{Args, Reply};

pub(super) fn info(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let text = known(context)?.member.info_text();
    context.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

pub(super) fn nodes(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let now = cluster::now(context.state);
    let text = known(context)?.member.nodes_text(context.session.is_encrypted, now);
    context.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

pub(super) fn my_id(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let id = known(context)?.member.table().myself().id;
    context.reply.bulk(id.as_bytes());
    Ok(())
}

pub(super) fn my_shard_id(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let id = known(context)?.member.table().myself().shard_id;
    context.reply.bulk(id.as_bytes());
    Ok(())
}

pub(super) fn key_slot_of(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    known(context)?;
    context.reply.integer(i64::from(key_slot(args.at(2))));
    Ok(())
}

pub(super) fn replicas(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let now = cluster::now(context.state);
    let is_tls = context.session.is_encrypted;
    let member = &known(context)?.member;
    let found = NodeId::parse(args.at(2)).and_then(|id| member.table().find(&id));
    let key = found.ok_or_else(|| refused(AdminError::UnknownNode(text(args, 2))))?;
    if member.table().get(key).is_some_and(|node| !node.is_primary()) {
        return Err(CommandError::fixed("ERR The specified node is not a master"));
    }
    let mut replicas: Vec<_> = member.table().replicas(key).map(|(key, node)| (node.id, key)).collect();
    replicas.sort();
    let lines = replicas.iter().filter_map(|(_, key)| member.node_line(*key, is_tls, now));
    let lines: Vec<String> = lines.collect();
    context.reply.array(lines.len());
    lines.iter().for_each(|line| context.reply.bulk(line.as_bytes()));
    Ok(())
}

pub(super) fn count_failure_reports(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let (id, now) = (text(args, 2), cluster::now(context.state));
    let cluster = context.state.cluster.as_mut().ok_or(DISABLED)?;
    let count = cluster.member.failure_reports(&id, now);
    let count = count.ok_or_else(|| refused(AdminError::UnknownNode(id)))?;
    context.reply.integer(i64::try_from(count).unwrap_or(i64::MAX));
    Ok(())
}

pub(super) fn links(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    known(context)?;
    let Context { state, reply, .. } = context;
    let rows = state.cluster.as_ref().map(|cluster| cluster.member.links()).unwrap_or_default();
    reply.array(rows.len());
    rows.iter().for_each(|row| write_link(state, reply, row));
    Ok(())
}

fn write_link(state: &ServerState, reply: &mut Reply, row: &LinkRow<'_>) {
    let connection = state.cluster.as_ref().and_then(|cluster| cluster.bus.links.get(&row.id));
    let link = connection.and_then(|link| state.outbounds.link(link.connection));
    let (used, allocated) = link.map_or((0, 0), |link| (link.pending_bytes(), link.output_capacity()));
    reply.map(6);
    reply.bulk(b"direction");
    reply.bulk(if row.direction == Direction::Outbound { b"to" } else { b"from" });
    reply.bulk(b"node");
    reply.bulk(row.node.id.as_bytes());
    reply.bulk(b"create-time");
    reply.integer(i64::try_from(row.created_wall_ms).unwrap_or(i64::MAX));
    reply.bulk(b"events");
    reply.bulk(if used > 0 { b"rw" } else { b"r" });
    for (name, bytes) in [("send-buffer-allocated", allocated), ("send-buffer-used", used)] {
        reply.bulk(name.as_bytes());
        reply.integer(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}
