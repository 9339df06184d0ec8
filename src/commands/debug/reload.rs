//! DEBUG RELOAD and LOADAOF: the data go to the file and come back.

use crate::command::error::{CommandError, CommandResult};
use crate::drive::aof::start;
use crate::drive::save::foreground;
use crate::drive::save::loading;
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::storage::snapshot::Duplicates;

pub(super) fn reload(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    const WORD: CommandError =
        CommandError::fixed("ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.");
    const LOAD_FAILED: CommandError = CommandError::fixed("ERR Error trying to load the RDB dump, check server logs.");
    let (mut saves, mut flushes, mut duplicates) = (true, true, Duplicates::Refuse);
    for word in args.iter().skip(2) {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" => saves = false,
            b"noflush" => flushes = false,
            b"merge" => duplicates = Duplicates::Replace,
            _ => return Err(WORD),
        }
    }
    let state = &mut *context.state;
    if saves && foreground::save(state).is_err() {
        return Err(CommandError::fixed("ERR"));
    }
    let loaded = match flushes {
        true => loading::reload(state, duplicates),
        false => loading::load(state, duplicates),
    };
    if let Err(error) = loaded {
        log::warn!("{error}");
        return Err(LOAD_FAILED);
    }
    log::warn!("DB reloaded by DEBUG RELOAD");
    context.reply.ok();
    Ok(())
}

pub(super) fn load_append_only(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    if let Err(error) = start::load_append_only(context.state) {
        // What is in memory is neither what was nor what is in the file.
        log::warn!("{error}");
        context.state.disk.files().end_process();
        return Err(CommandError::fixed("ERR Error trying to load the AOF files, check server logs."));
    }
    log::warn!("Append Only File loaded by DEBUG LOADAOF");
    context.reply.ok();
    Ok(())
}

pub(super) fn delay_writes(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let delay_us = parse_i64(args.at(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    context.state.aof.write_delay_us = u64::try_from(delay_us).unwrap_or(0);
    context.reply.ok();
    Ok(())
}
