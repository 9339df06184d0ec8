//! COMMANDLOG: the last commands that took long, had large requests or got large replies. SLOWLOG: the first of these
//! logs, as Redis knows it.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::program::CommandSpec;
use crate::observe::command_log::LogKind;
use crate::resp::Args;
use crate::resp::number;

/// Entries that SLOWLOG GET gives when no number is asked for.
const COUNT_DEFAULT: i64 = 10;
const ADMIN: &[Flag] = &[Flag::Admin, Flag::Loading, Flag::Stale];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::container("commandlog", Group::Server, "8.1.0")
        .complexity("That of the subcommand.")
        .summary("Reads and empties the logs of slow commands, large requests and large replies.")
        .subcommands(&[
            CommandSpec::new("get", 4, Group::Server, "8.1.0", get_of_kind)
                .flags(ADMIN)
                .tips(&["request_policy:all_nodes", "nondeterministic_output"])
                .complexity("O(N) for N entries in the reply")
                .summary("Gives the newest entries of a log; -1 for all.")
                .arguments("count:integer type=(SLOW|LARGE-REQUEST|LARGE-REPLY)"),
            help::subcommand(Group::Server, "8.1.0"),
            CommandSpec::new("len", 3, Group::Server, "8.1.0", len_of_kind)
                .flags(ADMIN)
                .tips(&["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"])
                .summary("Counts the entries of a log.")
                .arguments("type=(SLOW|LARGE-REQUEST|LARGE-REPLY)"),
            CommandSpec::new("reset", 3, Group::Server, "8.1.0", reset_of_kind)
                .flags(ADMIN)
                .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
                .complexity("O(N) for N entries")
                .summary("Removes all entries of a log.")
                .arguments("type=(SLOW|LARGE-REQUEST|LARGE-REPLY)"),
        ]),
    CommandSpec::container("slowlog", Group::Server, "2.2.12")
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
        ]),
];

fn get(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return Err(CommandError::unknown_subcommand("slowlog", args.at(1)));
    }
    let count = args.get(2).map_or(Ok(COUNT_DEFAULT), parse_count)?;
    write_entries(context, LogKind::Slow, count);
    Ok(())
}

fn len(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.reply.integer(context.state.command_logs.slow.len() as i64);
    Ok(())
}

fn reset(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.state.command_logs.slow.reset();
    context.reply.ok();
    Ok(())
}

fn get_of_kind(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let count = parse_count(args.at(2))?;
    let kind = parse_kind(args.at(3))?;
    write_entries(context, kind, count);
    Ok(())
}

fn len_of_kind(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let kind = parse_kind(args.at(2))?;
    context.reply.integer(context.state.command_logs.log(kind).len() as i64);
    Ok(())
}

fn reset_of_kind(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let kind = parse_kind(args.at(2))?;
    context.state.command_logs.log_mut(kind).reset();
    context.reply.ok();
    Ok(())
}

fn parse_count(count: &[u8]) -> Result<i64, CommandError> {
    number::parse_i64(count)
        .filter(|count| *count >= -1)
        .ok_or(CommandError::fixed("ERR count should be greater than or equal to -1"))
}

fn parse_kind(word: &[u8]) -> Result<LogKind, CommandError> {
    LogKind::from_name(word)
        .ok_or(CommandError::fixed("ERR type should be one of the following: slow, large-request, large-reply"))
}

fn write_entries(context: &mut Context<'_>, kind: LogKind, count: i64) {
    let with_waiting = kind == LogKind::Slow && context.state.config.slowlog_log_waiting;
    let entries = context.state.command_logs.log(kind).newest(usize::try_from(count).unwrap_or(usize::MAX));
    let reply = &mut *context.reply;
    reply.array(entries.len());
    for entry in entries {
        reply.array(if with_waiting { 7 } else { 6 });
        reply.integer(entry.id as i64);
        reply.integer(entry.time_s);
        reply.integer(entry.amount as i64);
        reply.array(entry.arguments.len());
        entry.arguments.iter().for_each(|argument| reply.bulk(argument));
        reply.bulk(entry.peer.as_bytes());
        reply.bulk(&entry.name);
        if with_waiting {
            reply.integer(entry.waited_us as i64);
        }
    }
}
