//! SLOWLOG: the last commands that took long.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::resp::number;

/// Entries given when no number is asked for.
const COUNT_DEFAULT: i64 = 10;
const ADMIN: &[Flag] = &[Flag::Admin, Flag::Loading, Flag::Stale];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("slowlog", Group::Server, "2.2.12")
    .complexity("That of the subcommand.")
    .summary("Reads and empties the slow log.")
    .subcommands(&[
        CommandSpec::new("get", -2, Group::Server, "2.2.12", get)
            .flags(ADMIN)
            .tips(&["request_policy:all_nodes", "nondeterministic_output"])
            .complexity("O(N) for N entries in the reply")
            .summary("Gives the newest entries, 10 unless told; -1 for all.")
            .history(&[("4.0.0", "The reply has the client's address and name.")])
            .arguments("[count:integer]"),
        help::subcommand(Group::Server, "6.2.0"),
        CommandSpec::new("len", 2, Group::Server, "2.2.12", len)
            .flags(ADMIN)
            .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"])
            .summary("Counts the entries."),
        CommandSpec::new("reset", 2, Group::Server, "2.2.12", reset)
            .flags(ADMIN)
            .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
            .complexity("O(N) for N entries")
            .summary("Removes all entries."),
    ])];

fn get(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::unknown_subcommand("slowlog", args.at(1)));
    }
    let count = match args.get(2) {
        None => COUNT_DEFAULT,
        Some(count) => number::parse_i64(count)
            .filter(|count| *count >= -1)
            .ok_or(CommandError::fixed("ERR count should be greater than or equal to -1"))?,
    };
    let with_waiting = context.state.config.slowlog_log_waiting;
    let entries = context.state.slowlog.newest(usize::try_from(count).unwrap_or(usize::MAX));
    let reply = &mut *context.reply;
    reply.array(entries.len());
    for entry in entries {
        reply.array(if with_waiting { 7 } else { 6 });
        reply.integer(entry.id as i64);
        reply.integer(entry.time_s);
        reply.integer(entry.duration_us as i64);
        reply.array(entry.arguments.len());
        entry.arguments.iter().for_each(|argument| reply.bulk(argument));
        reply.bulk(entry.peer.as_bytes());
        reply.bulk(&entry.name);
        if with_waiting {
            reply.integer(entry.waited_us as i64);
        }
    }
    Ok(())
}

fn len(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.reply.integer(context.state.slowlog.len() as i64);
    Ok(())
}

fn reset(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.state.slowlog.reset();
    context.reply.ok();
    Ok(())
}
