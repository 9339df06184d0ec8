//! CONFIG: reading, changing and keeping the settings while the server runs. Never parses a value: `config/` does.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group};
use crate::config::SetContext;
use crate::drive::settings;
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("config", Group::Server, "2.0.0")
    .complexity("That of the subcommand.")
    .summary("Reads and changes the settings of the running server.")
    .subcommands(&[
        CommandSpec::new("get", -3, Group::Server, "2.0.0", get)
            .flags(ADMIN)
            .complexity("O(N) for N parameters in the request")
            .summary("Gives the settings whose names match one of the patterns.")
            .history(&[("7.0.0", "Takes several patterns.")])
            .arguments("parameter..."),
        help::subcommand(Group::Server, "5.0.0"),
        CommandSpec::new("resetstat", 2, Group::Server, "2.0.0", reset_stat)
            .flags(ADMIN)
            .tips(ALL_NODES)
            .summary("Sets the counters that INFO shows back to zero."),
        CommandSpec::new("rewrite", 2, Group::Server, "2.8.0", rewrite)
            .flags(ADMIN)
            .tips(ALL_NODES)
            .summary("Writes the present settings to the configuration file."),
        CommandSpec::new("set", -4, Group::Server, "2.0.0", set)
            .flags(ADMIN)
            .tips(ALL_NODES)
            .complexity("O(N) for N parameters in the request")
            .summary("Changes settings, all of them or none.")
            .history(&[("7.0.0", "Takes several parameters.")])
            .arguments("data={parameter value}..."),
    ])];

const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];
const ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

fn get(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let patterns: Vec<&[u8]> = args.iter().skip(2).collect();
    let found = context.state.config.get(&patterns);
    context.reply.map(found.len());
    for (name, value) in found {
        context.reply.bulk(name.as_bytes());
        context.reply.bulk(&value);
    }
    Ok(())
}

fn reset_stat(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.state.reset_stats();
    context.reply.ok();
    Ok(())
}

fn rewrite(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let state_lines = state_lines(context);
    let Some(path) = &context.state.process.config_file else {
        return Err(CommandError::fixed("ERR The server is running without a config file"));
    };
    if let Err(error) = context.state.config.rewrite(path, &state_lines) {
        let reason = crate::config::system_reason(&error);
        log::warn!("CONFIG REWRITE failed: {reason}");
        return Err(CommandError::new(format!("ERR Rewriting config file: {reason}")));
    }
    log::info!("CONFIG REWRITE executed with success.");
    context.reply.ok();
    Ok(())
}

/// The lines of the configuration file that the settings do not hold: the users, unless an ACL file does.
pub(crate) fn state_lines(context: &Context<'_>) -> Vec<String> {
    if context.state.config.aclfile.is_empty() { context.state.users.config_lines() } else { Vec::new() }
}

fn set(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::SYNTAX);
    }
    let words: Vec<&[u8]> = args.iter().skip(2).collect();
    let pairs: Vec<(&[u8], &[u8])> = words.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    let is_secret = |name: &[u8]| crate::config::find(name).is_some_and(|found| found.is_sensitive);
    for (number, (name, _)) in pairs.iter().enumerate() {
        if is_secret(name) {
            context.session.redacted.push(number * 2 + 3);
        }
    }
    let asked = SetContext {
        is_local_client: context.session.address.is_local(),
        is_loading: context.state.is_loading() || context.state.is_loading_beside(),
    };
    settings::set(context.state, &pairs, asked).map_err(|error| CommandError::new(error.to_string()))?;
    context.reply.ok();
    Ok(())
}
