//! BACKUP: a snapshot in a folder of its own, made without a fork.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group};
use crate::drive::save::backup;
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::saving::{BackupEnd, BackupReport};
use crate::engine::state::program::CommandSpec;
use crate::resp::{Args, Reply};

const SINCE: &str = "7.2.0";
const ADMIN: &[Flag] = &[Flag::Admin, Flag::NoScript];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("backup", Group::Server, SINCE)
    .complexity("That of the subcommand.")
    .summary("Makes backups in folders of their own. Oneloop-specific.")
    .subcommands(&[
        CommandSpec::new("cancel", 2, Group::Server, SINCE, cancel)
            .flags(ADMIN)
            .complexity("O(1)")
            .summary("Gives up the backup that is being made, and removes what there is of it."),
        help::subcommand(Group::Server, SINCE),
        CommandSpec::new("status", 2, Group::Server, SINCE, status)
            .flags(&[Flag::Admin, Flag::NoScript, Flag::Loading, Flag::Stale])
            .tips(&["nondeterministic_output"])
            .complexity("O(1)")
            .summary("Tells how far the backup is that is being made, and what became of the last one."),
        CommandSpec::new("to", 3, Group::Server, SINCE, to)
            .flags(&[Flag::Admin, Flag::NoScript, Flag::NoAsyncLoading])
            .complexity("O(1). The backup is O(N) for N keys, in pieces between the turns of others.")
            .summary("Begins to write all data, as they are now, into a new folder below dir.")
            .arguments("name:string"),
    ])];

fn to(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let name = std::str::from_utf8(args.at(2)).map_err(|_| CommandError::fixed("ERR the name is not UTF-8"))?;
    let anywhere = context.state.config.enable_protected_configs.allows(context.session.address.is_local());
    backup::begin(context.state, name, anywhere).map_err(|reason| CommandError::new(format!("ERR {reason}")))?;
    context.reply.simple("Backup started");
    Ok(())
}

fn cancel(context: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    if !backup::cancel(context.state) {
        return Err(CommandError::fixed("ERR no backup is in progress"));
    }
    context.reply.simple("Backup cancelled");
    Ok(())
}

fn status(context: &mut Context<'_>, _: Args<'_>) -> CommandResult {
    let saving = &context.state.saving;
    let now_ms = context.state.now_ms();
    match (&saving.backup, &saving.last_backup) {
        (Some(backup), _) => write(context.reply, &backup.report, now_ms),
        (None, Some(report)) => write(context.reply, report, now_ms),
        (None, None) => {
            context.reply.map(1);
            context.reply.bulk(b"state");
            context.reply.bulk(b"none");
        }
    }
    Ok(())
}

fn write(reply: &mut Reply, report: &BackupReport, now_ms: i64) {
    let (state, reason) = match &report.end {
        None => ("running", None),
        Some(BackupEnd::Done) => ("done", None),
        Some(BackupEnd::Cancelled) => ("cancelled", None),
        Some(BackupEnd::Failed(reason)) => ("failed", Some(reason.as_str())),
    };
    reply.map(5 + usize::from(reason.is_some()));
    for (name, text) in [("state", state), ("name", report.name.as_str())] {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    for (name, number) in [
        ("keys", report.keys as i64),
        ("keys-written", report.keys_written as i64),
        ("seconds-since-beginning", (now_ms - report.began_ms) / 1000),
    ] {
        reply.bulk(name.as_bytes());
        reply.integer(number);
    }
    if let Some(reason) = reason {
        reply.bulk(b"reason");
        reply.bulk(reason.as_bytes());
    }
}
