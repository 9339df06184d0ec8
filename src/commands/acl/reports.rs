//! ACL GETUSER, LIST, USERS, WHOAMI, CAT, DRYRUN and GENPASS: what shows users, commands and rights.

use crate::acl::{self, Selector};
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::Category;
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::{Reply, number};

use super::wrong_form;

/// Most bits of a new password.
const PASSWORD_BITS_MAX: i64 = 4096;
const PASSWORD_BITS: i64 = 256;

pub(super) fn getuser(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.session.redacted.push(2);
    let reply = &mut *context.reply;
    let Some(user) = context.state.users.get(args.at(2)) else {
        reply.null();
        return Ok(());
    };
    let rights = user.rights();
    // Redis knows no rules about databases, so they are shown where there are some.
    let has_databases = rights.restricts_databases();
    reply.map(6 + usize::from(has_databases));
    reply.bulk(b"flags");
    let flags = rights.flags();
    reply.set(flags.len());
    flags.iter().for_each(|flag| reply.bulk(flag.as_bytes()));
    reply.bulk(b"passwords");
    reply.array(rights.passwords().len());
    for password in rights.passwords() {
        reply.bulk(password.to_string().as_bytes());
    }
    write_selector(reply, rights.root(), has_databases);
    reply.bulk(b"selectors");
    reply.array(rights.selectors().len());
    for selector in rights.selectors() {
        reply.map(3 + usize::from(has_databases));
        write_selector(reply, selector, has_databases);
    }
    Ok(())
}

/// Three fields of a map, or four.
fn write_selector(reply: &mut Reply, selector: &Selector, has_databases: bool) {
    reply.bulk(b"commands");
    reply.bulk(&selector.describe_commands());
    reply.bulk(b"keys");
    reply.bulk(&selector.describe_keys());
    reply.bulk(b"channels");
    reply.bulk(&selector.describe_channels());
    if has_databases {
        reply.bulk(b"databases");
        reply.bulk(&selector.describe_databases());
    }
}

pub(super) fn list(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let users = context.state.users.iter();
    context.reply.array(users.len());
    users.for_each(|user| context.reply.bulk(&user.describe()));
    Ok(())
}

pub(super) fn users(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let users = context.state.users.iter();
    context.reply.array(users.len());
    users.for_each(|user| context.reply.bulk(user.name()));
    Ok(())
}

pub(super) fn whoami(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.reply.bulk(context.session.user.name());
    Ok(())
}

pub(super) fn cat(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let reply = &mut *context.reply;
    let Some(name) = args.get(2) else {
        reply.array(Category::ALL.len());
        let names = Category::ALL.iter().map(|(_, name)| name);
        names.for_each(|name| reply.bulk(name.as_bytes()));
        return Ok(());
    };
    if args.len() > 3 {
        return Err(wrong_form(args));
    }
    let Some(category) = Category::from_name(name) else {
        let shown = String::from_utf8_lossy(&name[..name.len().min(128)]);
        return Err(CommandError::new(format!("ERR Unknown category '{shown}'")));
    };
    let bit = 1 << category as u32;
    let commands = context.state.commands.iter();
    let members: Vec<&str> =
        commands.filter(|command| command.categories & bit != 0).map(|command| command.full_name.as_str()).collect();
    reply.array(members.len());
    members.iter().for_each(|member| reply.bulk(member.as_bytes()));
    Ok(())
}

pub(super) fn dryrun(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let state = &*context.state;
    let shown = |index: usize| String::from_utf8_lossy(args.at(index)).into_owned();
    let Some(user) = state.users.get(args.at(2)) else {
        return Err(CommandError::new(format!("ERR User '{}' not found", shown(2))));
    };
    let request = args.slice_from(3);
    let Some(command) = state.commands.resolve_strictly(request.at(0), request.get(1)) else {
        return Err(CommandError::new(format!("ERR Command '{}' not found", shown(3))));
    };
    if !command.accepts(request.len()) {
        return Err(CommandError::wrong_arity(&command.full_name));
    }
    match acl::check(user, command, request, state.selection(context.session.database)) {
        Ok(()) => context.reply.ok(),
        Err(denial) => context.reply.bulk(&denial.full_text(user, command, request)),
    }
    Ok(())
}

pub(super) fn genpass(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if args.len() > 3 {
        return Err(wrong_form(args));
    }
    let bits = match args.get(2) {
        None => PASSWORD_BITS,
        Some(bits) => number::parse_i64(bits).ok_or(CommandError::NOT_AN_INTEGER)?,
    };
    if !(1..=PASSWORD_BITS_MAX).contains(&bits) {
        return Err(CommandError::fixed(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        ));
    }
    let digits = (bits as usize).div_ceil(4);
    let password = context.state.new_passwords.hex_digits(digits);
    context.reply.bulk(password.as_bytes());
    Ok(())
}
