//! SCRIPT: what is loaded, and the script that runs.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group};
use crate::drive::script::run;
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::session::Debugging;
use crate::resp::Args;
use crate::scripting::Kind;

use super::digest_of;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("script", Group::Scripting, "2.6.0")
    .complexity("That of the subcommand.")
    .summary("Manages the scripts that are loaded.")
    .subcommands(&[
        CommandSpec::new("debug", 3, Group::Scripting, "3.2.0", debug)
            .flags(&[Flag::NoScript])
            .summary("Has the client's scripts be debugged.")
            .arguments("mode=(YES|SYNC|NO)"),
        CommandSpec::new("exists", -3, Group::Scripting, "2.6.0", exists)
            .flags(&[Flag::NoScript])
            .tips(&["request_policy:all_shards", "response_policy:agg_logical_and"])
            .complexity("O(N) for N digests")
            .summary("Tells which scripts are loaded, by their digests.")
            .arguments("sha1..."),
        CommandSpec::new("flush", -2, Group::Scripting, "2.6.0", flush)
            .flags(&[Flag::NoScript])
            .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
            .complexity("O(N) for N scripts")
            .summary("Forgets all scripts.")
            .history(&[("6.2.0", "Takes the modes `ASYNC` and `SYNC`.")])
            .arguments("flush-type=[ASYNC|SYNC]@6.2.0"),
        help::subcommand(Group::Scripting, "5.0.0"),
        CommandSpec::new("kill", 2, Group::Scripting, "2.6.0", kill)
            .flags(&[Flag::NoScript, Flag::AllowBusy])
            .tips(&["request_policy:all_shards", "response_policy:one_succeeded"])
            .summary("Ends the script that runs."),
        CommandSpec::new("load", 3, Group::Scripting, "2.6.0", load)
            .flags(&[Flag::NoScript, Flag::Stale])
            .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
            .complexity("O(N) for a text of N bytes")
            .summary("Loads a script without running it, and tells its digest.")
            .arguments("script"),
        CommandSpec::new("show", 3, Group::Scripting, "8.0.0", show)
            .flags(&[Flag::NoScript, Flag::Stale])
            .summary("Gives the text of a script that is loaded.")
            .arguments("sha1"),
    ])];

fn debug(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if !context.reply.is_empty() {
        return Err(CommandError::fixed("ERR SCRIPT DEBUG must be called outside a pipeline"));
    }
    context.session.debugging = match args.at(2).to_ascii_lowercase().as_slice() {
        b"no" => Debugging::No,
        b"yes" => Debugging::Forked,
        b"sync" => Debugging::Sync,
        _ => return Err(CommandError::fixed("ERR Use SCRIPT DEBUG YES/SYNC/NO")),
    };
    context.reply.ok();
    Ok(())
}

fn exists(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let scripts = &context.state.scripting.scripts;
    context.reply.array(args.len() - 2);
    for text in args.iter().skip(2) {
        let found = digest_of(text).and_then(|digest| scripts.find(&digest));
        context.reply.integer(i64::from(found.is_some()));
    }
    Ok(())
}

fn flush(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    check_mode(args, "ERR SCRIPT FLUSH only support SYNC|ASYNC option")?;
    context.state.scripting.flush_scripts();
    context.reply.ok();
    Ok(())
}

/// Whether the option of a flush is one of the two that there are.
pub fn check_mode(args: Args<'_>, otherwise: &'static str) -> CommandResult {
    let is_mode = |word: &[u8]| [&b"sync"[..], b"async"].iter().any(|mode| word.eq_ignore_ascii_case(mode));
    if args.len() == 2 || args.len() == 3 && is_mode(args.at(2)) {
        return Ok(());
    }
    Err(CommandError::fixed(otherwise))
}

fn kill(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    run::kill(context.state, Kind::Script)?;
    context.reply.ok();
    Ok(())
}

fn load(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let state = &mut *context.state;
    let place = state.scripting.load(&state.clock, args.at(2), true)?;
    let script = state.scripting.scripts.get(place);
    context.reply.bulk(&script.digest);
    Ok(())
}

fn show(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let scripts = &context.state.scripting.scripts;
    let found = digest_of(args.at(2)).and_then(|digest| scripts.find(&digest));
    let none = CommandError::fixed("NOSCRIPT No matching script.");
    let script = scripts.get(found.ok_or(none)?);
    context.reply.bulk(&script.text);
    Ok(())
}
