//! Running what a client has queued, at once or in parts: a script among it may be suspended.

use crate::acl::{self, AclError, Scene};
use crate::command::error::CommandError;
use crate::engine::call;
use crate::engine::command_sizes;
use crate::engine::context::Context;
use crate::engine::enforcement;
use crate::engine::key_costs;
use crate::engine::routing;
use crate::engine::session::{Blocked, Executing, Session};
use crate::engine::slot_stats;
use crate::engine::state::ServerState;
use crate::engine::transaction::{Rest, Transaction};
use crate::resp::Args;

/// Runs commands until all have been, or a script among them is suspended; gives the number of the next one.
pub fn run_from(context: &mut Context<'_>, transaction: &Transaction, first: usize) -> usize {
    let could_block = !std::mem::replace(&mut context.session.deny_blocking, true);
    let slot = routing::slot_of_transaction(context.state, transaction);
    context.session.executing = Some(Executing { commands: transaction.len(), bytes: transaction.memory(), slot });
    key_costs::begin(context.state, context.reply.len());
    let mut next = first;
    for (queued, args) in transaction.iter().skip(first) {
        next += 1;
        if queued.key > 0 {
            let key = args.at(queued.key as usize);
            context.state.keyspace.remember_hash(key, queued.hash);
        }
        let mut inner =
            Context { state: context.state, session: context.session, reply: context.reply, command: queued.command };
        let command = inner.state.commands.get(queued.command);
        match acl::check(&inner.session.user, command, args, inner.state.selection(inner.session.database)) {
            Ok(()) => {
                let reply_start = inner.reply.len();
                call::call(&mut inner, args);
                let reply_bytes = inner.reply.len().saturating_sub(reply_start);
                if inner.session.blocked.is_none() {
                    command_sizes::note(inner.state, inner.session, queued.command, args, reply_bytes);
                }
            }
            Err(denial) => refuse(&mut inner, args, denial),
        }
        if context.session.blocked == Some(Blocked::Script) {
            break;
        }
    }
    context.session.deny_blocking = !could_block;
    if context.session.blocked != Some(Blocked::Script) {
        context.session.executing = None;
    }
    next
}

/// Replies to a queued command that its client may no longer run.
#[cold]
fn refuse(context: &mut Context<'_>, args: Args<'_>, denial: AclError) {
    enforcement::note_denial(context, args, denial, Scene::Transaction);
    let error = CommandError::new(denial.text_in_transaction());
    call::reply_error(context.state, context.reply, &error);
}

/// Goes on with a transaction after a script in it that was suspended. Gives it back if another one is.
pub fn go_on(state: &mut ServerState, session: &mut Session, mut rest: Box<Rest>) -> Option<Box<Rest>> {
    state.start_stopwatch();
    let started = state.lap_start();
    let slot = routing::slot_of_transaction(state, &rest.transaction);
    let mut context = Context { state, session, reply: &mut rest.replies, command: rest.exec };
    rest.next = run_from(&mut context, &rest.transaction, rest.next);
    state.keyspace.forget_hash();
    state.set_lap_start(started);
    rest.ticks += state.lap_ticks();
    if session.blocked == Some(Blocked::Script) {
        return Some(rest);
    }
    let Rest { transaction, replies, exec, ticks, unit, .. } = *rest;
    let mut reply = std::mem::take(&mut session.reply);
    let mark = reply.mark();
    slot_stats::begin(state, slot, reply.len());
    reply.append(&replies);
    let done =
        call::Done { command: exec, args: Args::from_slices(&[b"EXEC"]), ticks, mark: Some(mark), result: Ok(()) };
    call::conclude_suspended(state, session, &mut reply, done);
    session.reply = reply;
    state.transactions.end(transaction);
    state.nesting.end(unit);
    None
}
