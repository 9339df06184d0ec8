//! Commands on lists that wait until there is something in them.

use crate::command::arguments::{COUNT, NUMKEYS};
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Argument, ArgumentKind, Category, CommandSpec, Deprecation, Flag, Group, KeyFlag, KeySpec};
use crate::command::timeout;
use crate::engine::blocking::BlockKind;
use crate::engine::context::Context;
use crate::resp::Args;
use crate::types::list::{End, Item};

use super::ends::{PopRequest, pop_name};
use super::moves::{Amount, Ends, HOW_MANY, move_one, move_several};
use super::{ENDS, length_at, limits, reply_item, take_out};

/// Commands that wait.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        name: "blpop",
        arity: -3,
        flags: &[Flag::Write, Flag::Blocking],
        categories: &[Category::List],
        keys: &[KeySpec::range(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete], 1, -2, 1)],
        group: Group::List,
        since: "2.0.0",
        complexity: "O(N) where N is the number of keys.",
        summary: "Takes the first element out of the first of several lists that has any; waits for one if none has.",
        history: &[("6.0.0", "Took a timeout with a fraction.")],
        arguments: &[Argument::key("key", 0).multiple(), Argument::new("timeout", ArgumentKind::Double)],
        handler: blpop,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "brpop",
        arity: -3,
        flags: &[Flag::Write, Flag::Blocking],
        categories: &[Category::List],
        keys: &[KeySpec::range(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete], 1, -2, 1)],
        group: Group::List,
        since: "2.0.0",
        complexity: "O(N) where N is the number of keys.",
        summary: "Takes the last element out of the first of several lists that has any; waits for one if none has.",
        history: &[("6.0.0", "Took a timeout with a fraction.")],
        arguments: &[Argument::key("key", 0).multiple(), Argument::new("timeout", ArgumentKind::Double)],
        handler: brpop,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "blmpop",
        arity: -5,
        flags: &[Flag::Write, Flag::Blocking],
        categories: &[Category::List],
        keys: &[KeySpec::counted(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete], 2)],
        group: Group::List,
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of keys and M that of elements given.",
        summary: "Takes elements out at an end of the first of several lists that has any; waits for one if none has.",
        arguments: &[
            Argument::new("timeout", ArgumentKind::Double),
            NUMKEYS,
            Argument::key("key", 0).multiple(),
            Argument::one_of("where", ENDS),
            COUNT,
        ],
        handler: blmpop,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "blmove",
        arity: 6,
        flags: &[Flag::Write, Flag::DenyOom, Flag::Blocking],
        categories: &[Category::List],
        keys: &[
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete], 1),
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Insert], 2),
        ],
        group: Group::List,
        since: "6.2.0",
        summary: "Takes an element out at an end of a list, puts it in at an end of another one, and gives it; waits for one if there is none.",
        arguments: &[
            Argument::key("source", 0),
            Argument::key("destination", 1),
            Argument::one_of("wherefrom", ENDS),
            Argument::one_of("whereto", ENDS),
            Argument::new("timeout", ArgumentKind::Double),
        ],
        handler: blmove,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "brpoplpush",
        arity: 4,
        flags: &[Flag::Write, Flag::DenyOom, Flag::Blocking],
        categories: &[Category::List],
        keys: &[
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete], 1),
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Insert], 2),
        ],
        group: Group::List,
        since: "2.2.0",
        summary: "Takes the last element of a list out, puts it in at the front of another one, and gives it; waits for one if there is none.",
        deprecated: Some(Deprecation { since: "6.2.0", replaced_by: "`BLMOVE` with the `RIGHT` and `LEFT` arguments" }),
        history: &[("6.0.0", "Took a timeout with a fraction.")],
        arguments: &[
            Argument::key("source", 0),
            Argument::key("destination", 1),
            Argument::new("timeout", ArgumentKind::Double),
        ],
        handler: brpoplpush,
        ..CommandSpec::DEFAULT
    },
    CommandSpec {
        name: "blmovem",
        arity: -6,
        flags: &[Flag::Write, Flag::DenyOom, Flag::Blocking],
        categories: &[Category::List],
        keys: &[
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Access, KeyFlag::Delete], 1),
            KeySpec::one(&[KeyFlag::Rw, KeyFlag::Insert], 2),
        ],
        group: Group::List,
        since: "8.10.0",
        complexity: "O(N) where N is the number of elements moved.",
        summary: "Takes elements out at an end of a list, puts them in at an end of another one, and gives them; waits for them if need be.",
        arguments: &[
            Argument::key("source", 0),
            Argument::key("destination", 1),
            Argument::one_of("wherefrom", ENDS),
            Argument::one_of("whereto", ENDS),
            Argument::new("timeout", ArgumentKind::Double),
            HOW_MANY,
        ],
        handler: blmovem,
        ..CommandSpec::DEFAULT
    },
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
    if move_several(context, args, ends, amount)? {
        propagate_without_timeout(context, b"LMOVEM", args, 5);
    } else {
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
