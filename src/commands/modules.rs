//! MODULE: there are no modules, and none can be loaded; clients that ask for them are told so in the words they know.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group};
use crate::engine::context::Context;
use crate::engine::help;
use crate::resp::Args;

const LOADING: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::NoAsyncLoading, Flag::Modules];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("module", Group::Server, "4.0.0")
    .complexity("That of the subcommand.")
    .summary("Lists, loads and unloads modules, of which there are none here.")
    .subcommands(&[
        help::subcommand(Group::Server, "5.0.0"),
        CommandSpec::new("list", 2, Group::Server, "4.0.0", list)
            .flags(&[Flag::Admin, Flag::NoScript])
            .tips(&["nondeterministic_output_order"])
            .complexity("O(1), as there are none.")
            .summary("Lists the modules that are loaded: none."),
        CommandSpec::new("load", -3, Group::Server, "4.0.0", load)
            .flags(LOADING)
            .summary("Would load a module; fails.")
            .arguments("path [arg...]"),
        CommandSpec::new("loadex", -3, Group::Server, "7.0.0", load)
            .flags(LOADING)
            .summary("Would load a module with settings of its own; fails.")
            .arguments("path [CONFIG configs={name value}]... [ARGS args...]"),
        CommandSpec::new("unload", 3, Group::Server, "4.0.0", unload)
            .flags(LOADING)
            .summary("Would unload a module; there is none of that name.")
            .arguments("name"),
    ])];

fn list(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.reply.array(0);
    Ok(())
}

fn load(_context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let path = String::from_utf8_lossy(args.at(2));
    log::warn!("Module {path} failed to load: modules cannot be loaded into this server");
    Err(CommandError::fixed("ERR Error loading the extension. Please check the server logs."))
}

fn unload(_context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    Err(CommandError::fixed("ERR Error unloading module: no such module with that name"))
}
