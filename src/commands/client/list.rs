//! CLIENT LIST and CLIENT INFO: one line of `name=value` fields for each client.

use crate::command::error::{CommandError, CommandResult};
use crate::engine::client_line::{Portrait, write_line};
use crate::engine::context::Context;
use crate::engine::session::{Close, Session};
use crate::resp::{Args, number};

use crate::commands::client::filter::{Filter, parse_kind};

pub(crate) fn info(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let mut text = Vec::new();
    write_line(&mut text, context.state, &Portrait::of_caller(context, args));
    context.reply.verbatim("txt", &text);
    Ok(())
}

pub(crate) fn list(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let mut text = Vec::new();
    match args.get(2) {
        None => write_lines(&mut text, context, args, |_| true),
        Some(option) if args.len() == 4 && option.eq_ignore_ascii_case(b"type") => {
            let kind = parse_kind(args.at(3))?;
            write_lines(&mut text, context, args, |session| session.kind() == kind);
        }
        Some(option) if option.eq_ignore_ascii_case(b"id") && names_numbers_alone(args) => {
            for id in args.slice_from(3).iter() {
                let id = number::parse_i64(id).ok_or(CommandError::fixed("ERR Invalid client ID"))?;
                write_line_of(&mut text, context, args, id);
            }
        }
        Some(_) => {
            let filter = Filter::parse(context, args, 2)?;
            let (state, caller) = (&*context.state, context.session.id);
            let skips_caller = filter.skips_caller == Some(true);
            let is_wanted = |session: &Session| !(skips_caller && session.id == caller);
            write_lines(&mut text, context, args, |session| is_wanted(session) && filter.matches(state, session));
        }
    }
    context.reply.verbatim("txt", &text);
    Ok(())
}

/// Whether no other filter follows the numbers of clients: then their lines come in the order of the numbers.
fn names_numbers_alone(args: Args<'_>) -> bool {
    let is_filter = |word: &[u8]| word.iter().any(u8::is_ascii_alphabetic) && word.len() > 1;
    args.len() > 3 && !args.slice_from(3).iter().any(is_filter)
}

/// The lines of all clients that are wanted, in the order in which they came.
fn write_lines(text: &mut Vec<u8>, context: &Context<'_>, args: Args<'_>, wanted: impl Fn(&Session) -> bool) {
    let clients = &context.state.clients;
    let others = clients.iter().filter(|session| session.close != Close::Now);
    let primary = context.state.replication.primary_client();
    let mut portraits: Vec<_> = others.chain(primary).map(Portrait::of_other).collect();
    portraits.push(Portrait::of_caller(context, args));
    portraits.retain(|portrait| wanted(portrait.session));
    portraits.sort_unstable_by_key(|portrait| portrait.session.id);
    for portrait in &portraits {
        write_line(text, context.state, portrait);
    }
}

/// The line of the client with that number, if there is one.
fn write_line_of(text: &mut Vec<u8>, context: &Context<'_>, args: Args<'_>, id: i64) {
    let Ok(id) = u64::try_from(id) else {
        return;
    };
    if id == context.session.id {
        return write_line(text, context.state, &Portrait::of_caller(context, args));
    }
    let clients = &context.state.clients;
    let primary = context.state.replication.primary_client().filter(|session| session.id == id);
    let other = clients.find(id).and_then(|token| clients.get(token)).or(primary);
    if let Some(session) = other.filter(|session| session.close != Close::Now) {
        write_line(text, context.state, &Portrait::of_other(session));
    }
}
