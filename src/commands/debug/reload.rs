//! DEBUG RELOAD: the data go to the file and come back.

use crate::command::{Args, CommandError, CommandResult, Context};
use crate::persistence::snapshot::Duplicates;

pub(super) fn reload(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    const WORD: CommandError = CommandError::fixed(
        "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
    );
    const LOAD_FAILED: CommandError =
        CommandError::fixed("ERR Error trying to load the RDB dump, check server logs.");
    let (mut saves, mut flushes, mut duplicates) = (true, true, Duplicates::Refuse);
    for word in args.iter().skip(2) {
        match word.to_ascii_lowercase().as_slice() {
            b"nosave" => saves = false,
            b"noflush" => flushes = false,
            b"merge" => duplicates = Duplicates::Replace,
            _ => return Err(WORD),
        }
    }
    let instance = &mut *context.instance;
    if saves && instance.save().is_err() {
        return Err(CommandError::fixed("ERR"));
    }
    if flushes {
        instance.forget_all();
    }
    if let Err(error) = instance.load(duplicates) {
        log::warn!("{error}");
        return Err(LOAD_FAILED);
    }
    log::warn!("DB reloaded by DEBUG RELOAD");
    context.reply.ok();
    Ok(())
}
