//! CLIENT KILL: closing the connections that match.

use crate::command::error::{CommandError, CommandResult};
use crate::commands::client::filter::Filter;
use crate::drive::replication::replica;
use crate::engine::context::Context;
use crate::engine::session::Close;
use crate::resp::Args;

pub(crate) fn kill(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let is_old_form = args.len() == 3;
    let filter = if is_old_form { Filter::of_address(args.at(2)) } else { Filter::parse(context, args, 2)? };
    let state = &mut *context.state;
    let others = state.clients.iter().filter(|session| filter.matches(state, session));
    let others: Vec<_> = others.map(|session| session.token).collect();
    for token in &others {
        state.clients.kill(*token);
    }
    let primary = context.state.replication.primary_client();
    let is_primary_meant = primary.is_some_and(|session| filter.matches(context.state, session));
    if is_primary_meant {
        replica::cut_link(context.state);
    }
    // The caller is out on loan, and still gets its reply.
    let caller = !filter.skips_caller.unwrap_or(true) && filter.matches(context.state, context.session);
    if caller {
        context.session.close = Close::AfterReply;
    }
    let count = others.len() + usize::from(caller) + usize::from(is_primary_meant);
    match (is_old_form, count) {
        (true, 0) => return Err(CommandError::fixed("ERR No such client")),
        (true, _) => context.reply.ok(),
        (false, _) => context.reply.integer(count as i64),
    }
    Ok(())
}
