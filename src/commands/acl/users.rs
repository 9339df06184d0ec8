//! ACL SETUSER, DELUSER, LOAD and SAVE: what changes users.

use std::rc::Rc;

use crate::acl::{DEFAULT_USER, RulesError, User, file, has_blanks};
use crate::command::error::{CommandError, CommandResult};
use crate::engine::context::Context;
use crate::engine::enforcement;
use crate::resp::Args;

const NO_FILE: CommandError = CommandError::fixed(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER \
     command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store \
     users in the Redis configuration.",
);

pub(super) fn setuser(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.session.redacted.extend(2..args.len());
    let name = args.at(2);
    if has_blanks(name) {
        return Err(CommandError::fixed("ERR Usernames can't contain spaces or null characters"));
    }
    let rules: Vec<&[u8]> = args.iter().skip(3).collect();
    let state = &mut *context.state;
    let book = enforcement::acl_context_of(&state.commands, &state.config);
    let restricted = state.users.set(name, &rules, book).map_err(refused)?;
    enforcement::enforce_channels(context, restricted);
    context.reply.ok();
    Ok(())
}

fn refused(error: RulesError) -> CommandError {
    CommandError::new(match error {
        RulesError::Unmatched(word) => {
            let word = String::from_utf8_lossy(&word);
            format!("ERR Unmatched parenthesis in acl selector starting at '{word}'.")
        }
        RulesError::Rule { rule, error } => {
            let rule = String::from_utf8_lossy(&rule);
            format!("ERR Error in ACL SETUSER modifier '{rule}': {}", error.text())
        }
    })
}

pub(super) fn deluser(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.session.redacted.extend(2..args.len());
    let names = args.slice_from(2);
    if names.iter().any(|name| name == DEFAULT_USER) {
        return Err(CommandError::fixed("ERR The 'default' user cannot be removed"));
    }
    let users = &mut context.state.users;
    let removed: Vec<Rc<User>> = names.iter().filter_map(|name| users.remove(name)).collect();
    enforcement::disconnect(context, |session| removed.contains(&session.user));
    context.reply.integer(removed.len() as i64);
    Ok(())
}

pub(super) fn load(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    check_file(context)?;
    let (removed, restricted) = file::load(context.state).map_err(|text| CommandError::new(format!("ERR {text}")))?;
    enforcement::disconnect(context, |session| removed.contains(&session.user));
    enforcement::enforce_channels(context, restricted);
    context.reply.ok();
    Ok(())
}

pub(super) fn save(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    check_file(context)?;
    file::save(context.state).map_err(|reason| {
        log::warn!("Writing ACL file for ACL SAVE: {reason}");
        CommandError::fixed(
            "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
        )
    })?;
    context.reply.ok();
    Ok(())
}

fn check_file(context: &Context<'_>) -> CommandResult {
    if context.state.config.aclfile.is_empty() {
        return Err(NO_FILE);
    }
    Ok(())
}
