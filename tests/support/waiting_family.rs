//! Commands that wait for keys, in their plainest forms, on collections whose packed bytes are taken for elements of
//! one byte. They stand for all commands that wait, so that the waiting is tested without regard to the types.
#![allow(dead_code)] // Each test program uses a part of it.

use oneloop::collections::packed::Packed;
use oneloop::command::error::{CommandError, CommandResult};
use oneloop::command::registry::Registry;
use oneloop::command::spec::{Flag, Group};
use oneloop::command::timeout;
use oneloop::commands::FAMILIES;
use oneloop::engine::blocking::BlockKind;
use oneloop::engine::call;
use oneloop::engine::context::Context;
use oneloop::engine::nesting::NestingReason;
use oneloop::engine::state::ServerState;
use oneloop::engine::state::program::{CommandSpec, Handler, Runs};
use oneloop::keyspace::{Keyspace, Value};
use oneloop::observe::command_stats::CommandStats;
use oneloop::resp::Args;
use oneloop::types::slot::{OwnedValue, PackedForm};

static COMMANDS: &[CommandSpec] = &[
    // PUSH key elements
    declare("push", 3, &[Flag::Write], |context, args| push(context, args, PackedForm::List)),
    // ZPUSH key elements: to a sorted set.
    declare("zpush", 3, &[Flag::Write], |context, args| push(context, args, PackedForm::SortedSet)),
    // BPOP key [key ...] timeout
    declare("bpop", -3, &[Flag::Write, Flag::Blocking], |context, args| {
        pop(context, args, PackedForm::List, BlockKind::List)
    }),
    // BZPOP key [key ...] timeout
    declare("bzpop", -3, &[Flag::Write, Flag::Blocking], |context, args| {
        pop(context, args, PackedForm::SortedSet, BlockKind::SortedSet)
    }),
    // BMOVE source destination timeout
    declare("bmove", 4, &[Flag::Write, Flag::Blocking], shift),
    // BGROUP key element timeout: waits until the element is the first; it is an error that there is no key.
    declare("bgroup", 4, &[Flag::Write, Flag::Blocking], read_group),
    // BSINCE key length timeout: what is beyond that length; `$` for the present one.
    declare("bsince", 4, &[Flag::ReadOnly, Flag::Blocking], read_since),
    // UNIT command,argument,... [command,argument,... ...]
    declare("unit", -2, &[], unit),
];

const fn declare(name: &'static str, arity: i16, flags: &'static [Flag], handler: Handler) -> CommandSpec {
    CommandSpec::new(name, arity, Group::Generic, "1.0.0", handler).flags(flags)
}

/// Gives a server these commands as well.
pub fn add_to(state: &mut ServerState) {
    let families: Vec<_> = FAMILIES.iter().copied().chain([COMMANDS]).collect();
    state.commands = Registry::new(&families);
    state.runs = Runs::new(&families);
    state.command_stats = CommandStats::new(state.commands.len());
}

fn push(context: &mut Context<'_>, args: Args<'_>, form: PackedForm) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    let length = append(keyspace, database, args.at(1), args.at(2), form)?;
    reply.integer(length as i64);
    Ok(())
}

fn append(
    keyspace: &mut Keyspace,
    database: usize,
    key: &[u8],
    elements: &[u8],
    form: PackedForm,
) -> Result<usize, CommandError> {
    let length = match keyspace.edit(database, key) {
        Some(mut value) => {
            check_form(&value.value(), form)?;
            let before = value.bytes().len();
            value.splice(before..before, elements);
            before + elements.len()
        }
        None => {
            keyspace.create(database, key, OwnedValue::Packed(form, elements.to_vec()));
            elements.len()
        }
    };
    keyspace.modified(database, key);
    Ok(length)
}

fn check_form(value: &Value<'_>, form: PackedForm) -> CommandResult {
    match value {
        Value::Packed(its, _) if *its == form => Ok(()),
        _ => Err(CommandError::WRONG_TYPE),
    }
}

/// Takes the first element out.
fn take(keyspace: &mut Keyspace, database: usize, key: &[u8], form: PackedForm) -> Result<Option<u8>, CommandError> {
    let Some(mut value) = keyspace.edit(database, key) else {
        return Ok(None);
    };
    check_form(&value.value(), form)?;
    let element = value.bytes()[0];
    value.splice(0..1, b"");
    if value.bytes().is_empty() {
        keyspace.remove(database, key);
    } else {
        keyspace.modified(database, key);
    }
    Ok(Some(element))
}

fn pop(context: &mut Context<'_>, args: Args<'_>, form: PackedForm, kind: BlockKind) -> CommandResult {
    let last = args.len() - 1;
    let deadline_ms = timeout::parse_seconds(args.at(last), context.state.now_ms())?;
    let keys = args.iter().skip(1).take(last - 1);
    let (keyspace, database, reply) = context.parts();
    for key in keys.clone() {
        if let Some(element) = take(keyspace, database, key, form)? {
            reply.array(2);
            reply.bulk(key);
            reply.bulk(&[element]);
            return Ok(());
        }
    }
    if context.may_block() {
        context.block_on_keys(args, keys, kind, deadline_ms);
    } else {
        context.reply.null_array();
    }
    Ok(())
}

fn shift(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let deadline_ms = timeout::parse_seconds(args.at(3), context.state.now_ms())?;
    let (keyspace, database, reply) = context.parts();
    match take(keyspace, database, args.at(1), PackedForm::List)? {
        Some(element) => {
            append(keyspace, database, args.at(2), &[element], PackedForm::List)?;
            reply.bulk(&[element]);
        }
        None => context.block_on_keys(args, [args.at(1)], BlockKind::List, deadline_ms),
    }
    Ok(())
}

fn read_group(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let deadline_ms = timeout::parse_seconds(args.at(3), context.state.now_ms())?;
    let (keyspace, database, reply) = context.parts();
    let value = keyspace.edit(database, args.at(1));
    let mut value = value.ok_or(CommandError::fixed("NOGROUP No such key"))?;
    check_form(&value.value(), PackedForm::List)?;
    if value.bytes().first() == args.at(2).first() {
        value.splice(0..1, b"");
        keyspace.modified(database, args.at(1));
        reply.bulk(args.at(2));
    } else {
        context.block_on_keys(args, [args.at(1)], BlockKind::StreamGroup, deadline_ms);
    }
    Ok(())
}

fn read_since(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let deadline_ms = timeout::parse_seconds(args.at(3), context.state.now_ms())?;
    let (keyspace, database, reply) = context.parts();
    let value = keyspace.edit(database, args.at(1));
    let elements = value.map_or(Vec::new(), |value| value.bytes().to_vec());
    let since = match args.at(2) {
        b"$" => elements.len(),
        text => String::from_utf8_lossy(text).parse().expect("a length"),
    };
    if elements.len() > since {
        reply.bulk(&elements[since..]);
        return Ok(());
    }
    let since = since.to_string();
    let request = [args.at(0), args.at(1), since.as_bytes(), args.at(3)];
    let request = Args::from_slices(&request);
    context.block_on_keys(request, [args.at(1)], BlockKind::List, deadline_ms);
    Ok(())
}

/// Runs commands as EXEC and scripts do: nobody hears of their changes before the last is over, and none may wait.
fn unit(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    context.reply.array(args.len() - 1);
    let unit = context.state.nesting.begin(NestingReason::Transaction);
    context.session.deny_blocking = true;
    for text in args.iter().skip(1) {
        let words: Vec<&[u8]> = text.split(|byte| *byte == b',').collect();
        let found = context.state.commands.resolve(words[0], words.get(1).copied());
        let command = found.expect("a command").id;
        let mut inner = Context { state: context.state, session: context.session, reply: context.reply, command };
        call::call(&mut inner, Args::from_slices(&words));
    }
    context.session.deny_blocking = false;
    context.state.nesting.end(unit);
    Ok(())
}
