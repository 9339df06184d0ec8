//! Commands on lists that wait until there is something in them.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Flag, Group, INSERT, KeySpec, READ_AND_DELETE};
use crate::command::timeout;
use crate::engine::blocking::BlockKind;
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::types::list::{End, Item};

use super::ends::{PopRequest, pop_name};
use super::moves::{Amount, Ends, move_one, move_several};
use super::{length_at, limits, reply_item, take_out};

/// Commands that wait.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("blpop", -3, Group::List, "2.0.0", blpop)
        .flags(&[Flag::Write, Flag::Blocking])
        .keys(&[KeySpec::range(READ_AND_DELETE, 1, -2, 1)])
        .complexity("O(N) where N is the number of keys.")
        .summary("Takes the first element out of the first of several lists that has any; waits for one if none has.")
        .history(&[("6.0.0", "Took a timeout with a fraction.")])
        .arguments("key... timeout:double"),
    CommandSpec::new("brpop", -3, Group::List, "2.0.0", brpop)
        .flags(&[Flag::Write, Flag::Blocking])
        .keys(&[KeySpec::range(READ_AND_DELETE, 1, -2, 1)])
        .complexity("O(N) where N is the number of keys.")
        .summary("Takes the last element out of the first of several lists that has any; waits for one if none has.")
        .history(&[("6.0.0", "Took a timeout with a fraction.")])
        .arguments("key... timeout:double"),
    CommandSpec::new("blmpop", -5, Group::List, "7.0.0", blmpop)
        .flags(&[Flag::Write, Flag::Blocking])
        .keys(&[KeySpec::counted(READ_AND_DELETE, 2)])
        .complexity("O(N+M) where N is the number of keys and M that of elements given.")
        .summary("Takes elements out at an end of the first of several lists that has any; waits for one if none has.")
        .arguments("timeout:double numkeys:integer key... where=(LEFT|RIGHT) [COUNT count:integer]"),
    CommandSpec::new("blmove", 6, Group::List, "6.2.0", blmove)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Blocking])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1), KeySpec::one(INSERT, 2)])
        .summary(
            "Takes an element out at an end of a list, puts it in at an end of another one, and gives it; waits for \
             one if there is none.",
        )
        .arguments("source#0 destination#1 wherefrom=(LEFT|RIGHT) whereto=(LEFT|RIGHT) timeout:double"),
    CommandSpec::new("brpoplpush", 4, Group::List, "2.2.0", brpoplpush)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Blocking])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1), KeySpec::one(INSERT, 2)])
        .summary(
            "Takes the last element of a list out, puts it in at the front of another one, and gives it; waits for \
             one if there is none.",
        )
        .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")
        .history(&[("6.0.0", "Took a timeout with a fraction.")])
        .arguments("source#0 destination#1 timeout:double"),
    CommandSpec::new("blmovem", -6, Group::List, "8.10.0", blmovem)
        .flags(&[Flag::Write, Flag::DenyOom, Flag::Blocking])
        .keys(&[KeySpec::one(READ_AND_DELETE, 1), KeySpec::one(INSERT, 2)])
        .complexity("O(N) where N is the number of elements moved.")
        .summary(
            "Takes elements out at an end of a list, puts them in at an end of another one, and gives them; waits \
             for them if need be.",
        )
        .arguments(
            "source#0 destination#1 wherefrom=(LEFT|RIGHT) whereto=(LEFT|RIGHT) timeout:double \
             how-many=[selector=(COUNT count:integer|EXACTLY exactly:integer) ordering=(OBO|BULK)]",
        ),
];

fn blpop(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop_waiting(context, args, End::Front)
}

fn brpop(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    pop_waiting(context, args, End::Back)
}

fn pop_waiting(context: &mut Context<'_>, args: Args<'_>, end: End) -> CommandResult {
    let last = args.len() - 1;
    let deadline_ms = deadline(context, args, last)?;
    let limits = limits(context.state);
    let (keyspace, database, reply) = context.parts();
    let keys = (1..last).map(|place| args.at(place));
    for key in keys.clone() {
        if length_at(keyspace, database, key)?.is_none() {
            continue;
        }
        reply.array(2);
        reply.bulk(key);
        let visit = |item: Item<'_>| reply_item(reply, item);
        take_out(keyspace, database, key, &limits, (end, 1), visit)?;
        context.propagate_as(&[pop_name(end), key]);
        return Ok(());
    }
    wait(context, args, keys, deadline_ms);
    Ok(())
}

fn blmpop(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let request = PopRequest::parse(args, 2)?;
    let deadline_ms = deadline(context, args, 1)?;
    let limits = limits(context.state);
    let (keyspace, database, reply) = context.parts();
    if !request.serve(keyspace, database, reply, &limits)? {
        wait(context, args, request.keys(), deadline_ms);
    }
    Ok(())
}

fn blmove(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let ends = Ends::parse(args)?;
    let deadline_ms = deadline(context, args, 5)?;
    move_waiting(context, args, ends, deadline_ms)
}

fn brpoplpush(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let deadline_ms = deadline(context, args, 3)?;
    move_waiting(context, args, Ends::RIGHT_TO_LEFT, deadline_ms)
}

fn move_waiting(context: &mut Context<'_>, args: Args<'_>, ends: Ends, deadline_ms: Option<i64>) -> CommandResult {
    if move_one(context, args, ends)? {
        let name: &[u8] = match args.len() {
            4 => b"RPOPLPUSH",
            _ => b"LMOVE",
        };
        propagate_without_timeout(context, name, args, args.len() - 1);
        return Ok(());
    }
    if context.may_block() {
        wait(context, args, [args.at(1)], deadline_ms);
    } else {
        context.reply.null();
    }
    Ok(())
}

fn blmovem(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let ends = Ends::parse(args)?;
    let deadline_ms = deadline(context, args, 5)?;
    let amount = Amount::parse(args, 6)?;
    if !move_several(context, args, ends, amount)? {
        wait(context, args, [args.at(1)], deadline_ms);
    }
    Ok(())
}

/// Has a command passed on as the one of that name that does not wait; the timeout is left out.
fn propagate_without_timeout(context: &mut Context<'_>, name: &[u8], args: Args<'_>, timeout_at: usize) {
    let words = args.iter().enumerate().skip(1);
    let words = words.filter(|(index, _)| *index != timeout_at);
    let words = std::iter::once(name).chain(words.map(|(_, word)| word));
    let propagation = &mut context.state.keyspace.changes.propagation;
    propagation.replace_with(args.len() - 1, words);
}

/// Until when a command may wait. Errors: the argument is no timeout.
fn deadline(context: &Context<'_>, args: Args<'_>, index: usize) -> Result<Option<i64>, CommandError> {
    timeout::parse_seconds(args.at(index), context.state.now_ms())
}

/// Has the client wait for one of the keys, or replies that there is nothing if it may not.
fn wait<'k>(
    context: &mut Context<'_>,
    args: Args<'_>,
    keys: impl IntoIterator<Item = &'k [u8]>,
    deadline_ms: Option<i64>,
) {
    if context.may_block() {
        context.block_on_keys(args, keys, BlockKind::List, deadline_ms);
    } else {
        context.reply.null_array();
    }
}
