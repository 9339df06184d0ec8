//! MULTI, EXEC, DISCARD, WATCH and UNWATCH: commands that run as a unit, if nothing came between.

use std::rc::Rc;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, INSPECT, KeySpec};
use crate::drive::transaction;
use crate::engine::context::Context;
use crate::engine::nesting::NestingReason;
use crate::engine::session::Blocked;
use crate::engine::state::program::CommandSpec;
use crate::engine::transactions::{Found, Rest, Transaction};
use crate::resp::Args;

/// The flags of those that a transaction does not queue, but for EXEC.
const UNQUEUED_FLAGS: &[Flag] =
    &[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::AllowBusy, Flag::NotQueued];

/// Keys looked up ahead: those beyond would drive the first out of the cache before they are used.
const AHEAD_MAX: usize = 64;

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("multi", 1, Group::Transactions, "1.2.0", multi)
        .flags(UNQUEUED_FLAGS)
        .summary("Begins a transaction: the commands that follow are queued."),
    CommandSpec::new("exec", 1, Group::Transactions, "1.2.0", exec)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::SkipSlowlog, Flag::NotQueued, Flag::RunsQueue])
        .complexity("That of the queued commands.")
        .summary("Runs the queued commands as a unit, unless a watched key was changed."),
    CommandSpec::new("discard", 1, Group::Transactions, "2.0.0", discard)
        .flags(UNQUEUED_FLAGS)
        .complexity("O(N) where N is the number of watched keys.")
        .summary("Ends a transaction without running it."),
    CommandSpec::new("watch", -2, Group::Transactions, "2.2.0", watch)
        .flags(UNQUEUED_FLAGS)
        .keys(&[KeySpec::range(INSPECT, 1, -1, 1)])
        .complexity("O(N) where N is the number of keys.")
        .summary("Has the next transaction run only if these keys have not changed until then.")
        .arguments("key..."),
    CommandSpec::new("unwatch", 1, Group::Transactions, "2.2.0", unwatch)
        .flags(&[Flag::NoScript, Flag::Loading, Flag::Stale, Flag::Fast, Flag::AllowBusy])
        .complexity("O(N) where N is the number of watched keys.")
        .summary("Watches no key any more."),
];

fn multi(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    if context.session.transaction.is_some() {
        return Err(CommandError::fixed("ERR MULTI calls can not be nested"));
    }
    context.session.transaction = Some(context.state.transactions.begin());
    context.reply.ok();
    Ok(())
}

fn exec(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let Context { state, session, .. } = context;
    let Some(transaction) = session.transaction.take() else {
        return Err(CommandError::fixed("ERR EXEC without MULTI"));
    };
    let watches = &state.transactions.watches;
    let is_touched =
        session.watcher.is_some() && (watches.is_touched(session) || watches.has_expired(&state.keyspace, session));
    state.forget_watches(session);
    if transaction.is_doomed() {
        context.state.transactions.end(transaction);
        return Err(CommandError::fixed("EXECABORT Transaction discarded because of previous errors."));
    }
    if is_touched {
        context.state.transactions.end(transaction);
        context.reply.null_array();
    } else {
        run(context, transaction);
    }
    Ok(())
}

/// Runs the queued commands. None of them may wait, and who waits for a key is served when all are over.
fn run(context: &mut Context<'_>, transaction: Box<Transaction>) {
    look_ahead(context, &transaction);
    let mark = context.reply.mark();
    context.reply.array(transaction.len());
    context.state.start_stopwatch();
    let started = context.state.lap_start();
    let unit = context.state.nesting.begin(NestingReason::Transaction);
    let next = transaction::run_from(context, &transaction, 0);
    context.state.keyspace.forget_hash();
    // EXEC's own time is that of all.
    context.state.set_lap_start(started);
    if context.session.blocked == Some(Blocked::Script) {
        let replies = context.reply.split_off(mark);
        let ticks = context.state.lap_ticks();
        let rest = Rest {
            transaction,
            next,
            replies,
            exec: context.command,
            database: context.session.database,
            user: Rc::clone(&context.session.user),
            unit,
            ticks,
        };
        return context.state.scripting.keep_rest(Box::new(rest));
    }
    context.state.nesting.end(unit);
    context.state.transactions.end(transaction);
}

/// Has the cache lines of all keys fetched side by side: the commands may have come long ago.
fn look_ahead(context: &Context<'_>, transaction: &Transaction) {
    let (keyspace, database) = (&context.state.keyspace, context.session.database);
    let hashes = || {
        let with_key = transaction.queued().iter().filter(|queued| queued.key > 0);
        with_key.map(|queued| queued.hash).take(AHEAD_MAX)
    };
    hashes().for_each(|hash| keyspace.prefetch_bucket(database, hash));
    hashes().for_each(|hash| keyspace.prefetch_record(database, hash));
}

fn discard(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    if context.session.transaction.is_none() {
        return Err(CommandError::fixed("ERR DISCARD without MULTI"));
    }
    context.state.abandon_transaction(context.session);
    context.reply.ok();
    Ok(())
}

fn watch(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let Context { state, session, reply, .. } = context;
    if session.transaction.is_some() {
        return Err(CommandError::fixed("ERR WATCH inside MULTI is not allowed"));
    }
    // After a change of one key it does not matter what becomes of others.
    if !state.transactions.watches.is_touched(session) {
        for key in args.iter().skip(1) {
            let found = Found::at(&state.keyspace, session.database, key);
            let changes = &mut state.keyspace.changes;
            state.transactions.watches.add(changes, session, key, found);
        }
    }
    reply.ok();
    Ok(())
}

fn unwatch(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    context.state.forget_watches(context.session);
    context.reply.ok();
    Ok(())
}
