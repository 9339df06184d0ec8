//! Saving the data set: SAVE, BGSAVE, LASTSAVE.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group};
use crate::drive::save::background;
use crate::drive::save::foreground;
use crate::engine::context::Context;
use crate::engine::saving::BackgroundStart;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("bgsave", -1, Group::Server, "1.0.0", save_in_background)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::NoAsyncLoading])
        .summary("Saves the data set to its file while the server goes on.")
        .history(&[("3.2.2", "Has the option SCHEDULE."), ("8.1.0", "Has the option CANCEL.")])
        .arguments("operation=[SCHEDULE@3.2.2|CANCEL@8.1.0]"),
    CommandSpec::new("lastsave", 1, Group::Server, "1.0.0", last_save)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast])
        .categories(&[Category::Admin, Category::Dangerous])
        .tips(&["nondeterministic_output"])
        .summary("Gives the time of the last save, in seconds since 1970."),
    CommandSpec::new("save", 1, Group::Server, "1.0.0", save)
        .flags(&[Flag::Admin, Flag::NoScript, Flag::NoAsyncLoading, Flag::NoMulti])
        .complexity("O(N) for N keys in all databases")
        .summary("Saves the data set to its file while everybody waits."),
];

const IN_PROGRESS: CommandError = CommandError::fixed("ERR Background save already in progress");

fn save_in_background(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let option = args.get(1).map(<[u8]>::to_ascii_lowercase);
    let schedules = match option.as_deref() {
        None => false,
        Some(b"schedule") if args.len() == 2 => true,
        Some(b"cancel") if args.len() == 2 => return cancel(context),
        Some(_) => return Err(CommandError::SYNTAX),
    };
    let is_busy = context.state.aof.is_rewriting() || context.state.is_amid_unit();
    if is_busy && !context.state.saving.is_active() {
        return save_later(context, schedules);
    }
    match background::begin_background_save(context.state) {
        BackgroundStart::Started => context.reply.simple("Background saving started"),
        BackgroundStart::InProgress => return Err(IN_PROGRESS),
        BackgroundStart::Failed => return Err(CommandError::fixed("ERR")),
    }
    Ok(())
}

/// The append-only file is being rewritten, or a transaction is half-way: the one comes after the other.
fn save_later(context: &mut Context<'_>, schedules: bool) -> CommandResult {
    const REWRITING: CommandError = CommandError::fixed(
        "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to schedule a BGSAVE \
         whenever possible.",
    );
    if !schedules && !context.state.is_amid_unit() {
        return Err(REWRITING);
    }
    context.state.saving.is_scheduled = true;
    context.reply.simple("Background saving scheduled");
    Ok(())
}

/// As in Valkey: Redis has no such option.
fn cancel(context: &mut Context<'_>) -> CommandResult {
    const NOTHING: CommandError =
        CommandError::fixed("ERR Background saving is currently not in progress or scheduled");
    if std::mem::take(&mut context.state.saving.is_scheduled) {
        log::info!("Scheduled background saving is cancelled due to user request");
        context.reply.simple("Scheduled background saving cancelled");
        return Ok(());
    }
    if !background::cancel_background_save(context.state) {
        return Err(NOTHING);
    }
    log::info!("Background saving will be aborted due to user request");
    context.reply.simple("Background saving cancelled");
    Ok(())
}

fn last_save(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let seconds = context.state.saving.stats.last_save_seconds;
    context.reply.integer(seconds);
    Ok(())
}

fn save(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    if context.state.saving.is_active() {
        return Err(IN_PROGRESS);
    }
    match foreground::save(context.state) {
        Ok(()) => {
            context.reply.ok();
            Ok(())
        }
        Err(_) => Err(CommandError::fixed("ERR")),
    }
}
