//! ASKING, READONLY and READWRITE: where a client's next requests may run in a cluster.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group};
use crate::engine::context::Context;
use crate::engine::session::Asking;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("asking", 1, Group::Cluster, "3.0.0", asking)
        .flags(&[Flag::Fast])
        .categories(&[Category::Connection])
        .summary("Lets the next request run here if its keys are moving to this node."),
    CommandSpec::new("readonly", 1, Group::Cluster, "3.0.0", readonly)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast])
        .categories(&[Category::Connection])
        .summary("Lets a replica in a cluster answer this client's reads."),
    CommandSpec::new("readwrite", 1, Group::Cluster, "3.0.0", readwrite)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast])
        .categories(&[Category::Connection])
        .summary("Makes a replica in a cluster redirect this client's reads to its primary again."),
];

/// The error of commands that have a meaning in a cluster only.
pub const NO_CLUSTER: CommandError = CommandError::fixed("ERR This instance has cluster support disabled");

fn asking(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    if context.state.cluster.is_none() {
        return Err(NO_CLUSTER);
    }
    // One of a transaction has taken its turn with EXEC.
    let is_over = context.session.executing.is_some();
    say(context, |context| context.session.asking = if is_over { Asking::Taken } else { Asking::Fresh })
}

fn readonly(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    say(context, |context| context.session.is_readonly = true)
}

fn readwrite(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    say(context, |context| context.session.is_readonly = false)
}

fn say(context: &mut Context<'_>, note: impl FnOnce(&mut Context<'_>)) -> CommandResult {
    let knows_replicas = context.state.cluster.is_some() || context.session.follows_redirects;
    if !knows_replicas {
        return Err(NO_CLUSTER);
    }
    // In a script they have no effect: its commands run as its client's do.
    if !context.session.is_script() {
        note(context);
    }
    context.reply.ok();
    Ok(())
}
