//! DEBUG's subcommands for the bus of a cluster: they close links and ignore frames.

use crate::command::error::{CommandError, CommandResult};
use crate::drive::cluster;
use crate::engine::context::Context;
use crate::resp::Args;

use super::lenient;

const NO_CLUSTER: CommandError = CommandError::fixed("ERR Debug option only available for cluster mode enabled setup!");

/// CLUSTERLINK KILL <to|from|all> <node-id>.
pub(super) fn kill_links(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if !args.at(2).eq_ignore_ascii_case(b"kill") {
        return Err(CommandError::unknown_subcommand("debug", args.at(1)));
    }
    let (outbound, inbound) = match args.at(3).to_ascii_lowercase().as_slice() {
        b"to" => (true, false),
        b"from" => (false, true),
        b"all" => (true, true),
        _ => return Err(CommandError::unknown_subcommand("debug", args.at(1))),
    };
    let id = String::from_utf8_lossy(args.at(4)).into_owned();
    let killed = cluster::change(context.state, |member, _| member.kill_links(&id, outbound, inbound));
    killed.ok_or(NO_CLUSTER)?.map_err(|error| CommandError::new(format!("ERR {error}")))?;
    context.reply.ok();
    Ok(())
}

/// DROP-CLUSTER-PACKET-FILTER <type>; a negative number ends it.
pub(super) fn ignore_frames(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let kind = u16::try_from(lenient(args.at(2))).ok();
    cluster::change(context.state, |member, _| member.ignore_kind(kind)).ok_or(NO_CLUSTER)?;
    context.reply.ok();
    Ok(())
}

/// CLOSE-CLUSTER-LINK-ON-PACKET-DROP <0|1>.
pub(super) fn close_on_ignored(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let closes = lenient(args.at(2)) != 0;
    cluster::change(context.state, |member, _| member.close_on_ignored(closes)).ok_or(NO_CLUSTER)?;
    context.reply.ok();
    Ok(())
}
