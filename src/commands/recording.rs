//! RECORD: the recording of what the server takes from outside, which `oneloop replay` runs again.

use crate::base::tape::{self, Kind};
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;

const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale];
const SINCE: &str = "7.2.0";

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("record", Group::Server, SINCE)
    .complexity("That of the subcommand.")
    .summary("Looks after the recording that oneloop replay runs again. Oneloop-specific.")
    .subcommands(&[
        help::subcommand(Group::Server, SINCE),
        CommandSpec::new("start", 2, Group::Server, SINCE, start)
            .flags(ADMIN)
            .complexity("O(1)")
            .summary("Is refused: a recording begins with the process (oneloop --record FILE)."),
        CommandSpec::new("status", 2, Group::Server, SINCE, status)
            .flags(ADMIN)
            .tips(&["nondeterministic_output"])
            .complexity("O(1)")
            .summary("Returns whether the server is recorded, and the bytes and turns so far."),
        CommandSpec::new("stop", 2, Group::Server, SINCE, stop)
            .flags(ADMIN)
            .complexity("O(1)")
            .summary("Ends the recording; the server goes on."),
    ])];

fn start(_: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    if tape::pass(Kind::Process, tape::recorded).is_some() {
        return Err(CommandError::fixed("ERR the server is recorded already, since its start"));
    }
    Err(CommandError::fixed(
        "ERR a recording can only begin with the process: the order within tables, the random generators and the \
         clients' sessions that a server has by now cannot be written down exactly. Start it again with --record FILE; \
         the data files that it loads become a part of the recording",
    ))
}

fn status(context: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let recorded = tape::pass(Kind::Process, tape::recorded);
    let (bytes, turns) = recorded.unwrap_or_default();
    context.reply.map(3);
    let figures = [("recording", i64::from(recorded.is_some())), ("bytes", bytes as i64), ("turns", turns as i64)];
    for (name, value) in figures {
        context.reply.bulk(name.as_bytes());
        context.reply.integer(value);
    }
    Ok(())
}

fn stop(context: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    if !tape::stop() {
        return Err(CommandError::fixed("ERR the server is not recorded"));
    }
    log::info!("The recording has ended by RECORD STOP");
    context.reply.simple("OK");
    Ok(())
}
