//! Waiting until what a client has written is safe: WAIT and WAITAOF.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group};
use crate::command::timeout;
use crate::engine::context::Context;
use crate::engine::session::Session;
use crate::engine::state::ServerState;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::storage::aof::append_only::State;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("wait", 3, Group::Generic, "3.0.0", wait)
        .categories(&[Category::Connection])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .summary("Waits until so many replicas have what the client has written.")
        .arguments("numreplicas:integer timeout:integer"),
    CommandSpec::new("waitaof", 4, Group::Generic, "7.2.0", wait_for_disk)
        .flags(&[Flag::NoScript])
        .categories(&[Category::Connection])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .summary("Waits until what the client has written is on the disk, here and at so many replicas.")
        .arguments("numlocal:integer numreplicas:integer timeout:integer"),
];

const NOT_ON_REPLICAS: &str = "ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a \
replica is configured to be writable (which is not the default) writes to replicas are just local and are not \
propagated.";

fn wait(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if context.state.replication.is_replica() {
        return Err(CommandError::fixed(NOT_ON_REPLICAS));
    }
    let replicas = parse_i64(args.at(1)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let deadline_ms = timeout::parse_milliseconds(args.at(2), context.state.now_ms())?;
    let acked = context.state.replication.primary.replicas.acked(context.session.replication_offset) as i64;
    if acked >= replicas || context.session.deny_blocking {
        context.reply.integer(acked);
    } else {
        context.state.replication.primary.wants_acks |= context.session.waiting.is_none();
        context.block_on_disk(args, deadline_ms);
    }
    Ok(())
}

fn wait_for_disk(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let local = parse_i64(args.at(1)).ok_or(CommandError::NOT_AN_INTEGER)?;
    if !(0..=1).contains(&local) {
        return Err(CommandError::fixed("ERR value is out of range, value must between 0 and 1"));
    }
    let replicas = parse_i64(args.at(2)).filter(|replicas| *replicas >= 0);
    let replicas = replicas.ok_or(CommandError::fixed("ERR value is out of range, must be positive"))?;
    let deadline_ms = timeout::parse_milliseconds(args.at(3), context.state.now_ms())?;
    if context.state.replication.is_replica() {
        return Err(CommandError::fixed(
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local \
             and are not propagated.",
        ));
    }
    if local > 0 && context.state.aof.state() == State::Off {
        return Err(CommandError::fixed("ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."));
    }
    let is_here = i64::from(is_on_disk(context.state, context.session));
    let elsewhere = context.state.replication.primary.replicas.fsynced(context.session.replication_offset) as i64;
    if is_here >= local && elsewhere >= replicas || context.session.deny_blocking {
        context.reply.array(2);
        context.reply.integer(is_here);
        context.reply.integer(elsewhere);
    } else {
        context.state.replication.primary.wants_acks |= replicas > 0 && context.session.waiting.is_none();
        context.block_on_disk(args, deadline_ms);
    }
    Ok(())
}

/// Whether all that a client has written is on this server's disk. While the first base is being written nothing is.
fn is_on_disk(state: &ServerState, session: &Session) -> bool {
    let (synced, is_all) = state.aof.on_disk();
    is_all && synced >= session.write_offset
}
