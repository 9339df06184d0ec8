//! The append-only file: BGREWRITEAOF.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group};
use crate::drive::aof::rewrite;
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::storage::aof::rewrite_stats::RewriteStart;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::new("bgrewriteaof", 1, Group::Server, "1.0.0", rewrite)
    .flags(&[Flag::Admin, Flag::NoScript, Flag::NoAsyncLoading])
    .summary("Writes the append-only file anew while the server goes on.")];

fn rewrite(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    match rewrite::request_rewrite(context.state) {
        RewriteStart::Started => context.reply.simple("Background append only file rewriting started"),
        RewriteStart::Scheduled => context.reply.simple("Background append only file rewriting scheduled"),
        RewriteStart::InProgress => {
            return Err(CommandError::fixed("ERR Background append only file rewriting already in progress"));
        }
        RewriteStart::Failed => {
            return Err(CommandError::fixed(
                "ERR Can't execute an AOF background rewriting. Please check the server logs for more information.",
            ));
        }
    }
    Ok(())
}
