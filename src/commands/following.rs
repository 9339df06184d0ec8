//! Following a primary: REPLICAOF and SLAVEOF.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group};
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("replicaof", 3, Group::Server, "5.0.0", follow)
        .flags(FLAGS)
        .categories(&[Category::Admin, Category::Dangerous])
        .summary("Follows another server, or follows none any more.")
        .arguments(ARGUMENTS),
    CommandSpec::new("slaveof", 3, Group::Server, "1.0.0", follow)
        .flags(FLAGS)
        .categories(&[Category::Admin, Category::Dangerous])
        .summary("Follows another server, or follows none any more.")
        .deprecated("5.0.0", "`REPLICAOF`")
        .arguments(ARGUMENTS),
];

const FLAGS: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Stale, Flag::NoAsyncLoading];
const ARGUMENTS: &str = "args=(host-port={host port:integer}|no-one={NO ONE})";

fn follow(_context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    Err(CommandError::fixed("ERR This server cannot follow another one yet"))
}
