//! MODULE: there are no modules, and none can be loaded; clients that ask for them are told so in the words they know.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Argument, ArgumentFlag, ArgumentKind, CommandSpec, Flag, Group};
use crate::engine::context::Context;
use crate::engine::help;
use crate::resp::Args;

const LOADING: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::NoAsyncLoading, Flag::Modules];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec {
    name: "module",
    arity: -2,
    group: Group::Server,
    since: "4.0.0",
    complexity: "That of the subcommand.",
    summary: "Lists, loads and unloads modules, of which there are none here.",
    subcommands: &[
        help::subcommand(Group::Server, "5.0.0", &[]),
        CommandSpec {
            name: "list",
            arity: 2,
            flags: &[Flag::Admin, Flag::NoScript],
            tips: &["nondeterministic_output_order"],
            group: Group::Server,
            since: "4.0.0",
            complexity: "O(1), as there are none.",
            summary: "Lists the modules that are loaded: none.",
            handler: list,
            ..CommandSpec::DEFAULT
        },
        CommandSpec {
            name: "load",
            arity: -3,
            flags: LOADING,
            group: Group::Server,
            since: "4.0.0",
            complexity: "O(1)",
            summary: "Would load a module; fails.",
            arguments: &[
                Argument::new("path", ArgumentKind::String),
                Argument::new("arg", ArgumentKind::String).flags(&[ArgumentFlag::Optional, ArgumentFlag::Multiple]),
            ],
            handler: load,
            ..CommandSpec::DEFAULT
        },
        CommandSpec {
            name: "loadex",
            arity: -3,
            flags: LOADING,
            group: Group::Server,
            since: "7.0.0",
            complexity: "O(1)",
            summary: "Would load a module with settings of its own; fails.",
            arguments: &[
                Argument::new("path", ArgumentKind::String),
                Argument::block(
                    "configs",
                    &[Argument::new("name", ArgumentKind::String), Argument::new("value", ArgumentKind::String)],
                )
                .after("CONFIG")
                .flags(&[ArgumentFlag::Optional, ArgumentFlag::Multiple, ArgumentFlag::MultipleToken]),
                Argument::new("args", ArgumentKind::String)
                    .after("ARGS")
                    .flags(&[ArgumentFlag::Optional, ArgumentFlag::Multiple]),
            ],
            handler: load,
            ..CommandSpec::DEFAULT
        },
        CommandSpec {
            name: "unload",
            arity: 3,
            flags: LOADING,
            group: Group::Server,
            since: "4.0.0",
            complexity: "O(1)",
            summary: "Would unload a module; there is none of that name.",
            arguments: &[Argument::new("name", ArgumentKind::String)],
            handler: unload,
            ..CommandSpec::DEFAULT
        },
    ],
    ..CommandSpec::DEFAULT
}];

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
