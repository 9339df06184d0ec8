//! Consumer groups: XGROUP.

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{DELETE, Flag, Group, INSERT, KeySpec, UPDATE};
use crate::engine::context::Context;
use crate::engine::help;
use crate::engine::state::program::CommandSpec;
use crate::resp::Args;
use crate::types::object::Object;
use crate::types::slot::OwnedValue;
use crate::types::stream::{Id, Stream};

use super::{edit, notify, parse_id, parse_integer, quoted};

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[CommandSpec::container("xgroup", Group::Stream, "5.0.0")
    .complexity("That of the subcommand.")
    .summary("Consumer groups.")
    .subcommands(&[
        CommandSpec::new("create", -5, Group::Stream, "5.0.0", create)
            .flags(&[Flag::Write, Flag::DenyOom])
            .keys(&[KeySpec::one(INSERT, 2)])
            .summary("Makes a consumer group.")
            .history(&[("7.0.0", "Takes `ENTRIESREAD`.")])
            .arguments(
                "key group id-selector=(id|new-id='$') [MKSTREAM] [ENTRIESREAD entriesread<entries-read>:integer]",
            ),
        CommandSpec::new("createconsumer", 5, Group::Stream, "6.2.0", create_consumer)
            .flags(&[Flag::Write, Flag::DenyOom])
            .keys(&[KeySpec::one(INSERT, 2)])
            .summary("Adds a consumer to a group.")
            .arguments("key group consumer"),
        CommandSpec::new("delconsumer", 5, Group::Stream, "5.0.0", delete_consumer)
            .flags(&[Flag::Write])
            .keys(&[KeySpec::one(DELETE, 2)])
            .summary("Removes a consumer from a group, with what it has pending.")
            .arguments("key group consumer"),
        CommandSpec::new("destroy", 4, Group::Stream, "5.0.0", destroy)
            .flags(&[Flag::Write])
            .keys(&[KeySpec::one(DELETE, 2)])
            .complexity("O(1); what many pending entries take is freed later, in the background.")
            .summary("Removes a consumer group.")
            .arguments("key group"),
        help::subcommand(Group::Stream, "5.0.0"),
        CommandSpec::new("setid", -5, Group::Stream, "5.0.0", set_id)
            .flags(&[Flag::Write])
            .keys(&[KeySpec::one(UPDATE, 2)])
            .summary("Sets which entry a group has been given last.")
            .history(&[("7.0.0", "Takes `ENTRIESREAD`.")])
            .arguments("key group id-selector=(id|new-id='$') [ENTRIESREAD entriesread<entries-read>:integer]"),
    ])];

/// The options of CREATE and SETID.
#[derive(Default)]
struct Options {
    make_stream: bool,
    entries_read: Option<i64>,
}

impl Options {
    /// Reads those behind the ID. Errors: all that can be wrong with them.
    fn parse(args: Args<'_>, may_make_stream: bool) -> Result<Options, CommandError> {
        let mut options = Options::default();
        let mut at = 5;
        while let Some(option) = args.get(at) {
            match args.get(at + 1) {
                _ if may_make_stream && option.eq_ignore_ascii_case(b"MKSTREAM") => {
                    options.make_stream = true;
                    at += 1;
                }
                Some(read) if option.eq_ignore_ascii_case(b"ENTRIESREAD") => {
                    let read = parse_integer(read)?;
                    if read < -1 {
                        return Err(CommandError::fixed("ERR value for ENTRIESREAD must be positive or -1"));
                    }
                    options.entries_read = Some(read).filter(|read| *read >= 0);
                    at += 2;
                }
                _ => return Err(syntax_error(args)),
            }
        }
        Ok(options)
    }
}

fn syntax_error(args: Args<'_>) -> CommandError {
    CommandError::unknown_subcommand("xgroup", args.at(1))
}

/// The error of a subcommand that needs the key.
fn no_key() -> CommandError {
    CommandError::fixed(
        "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM \
         option to create an empty stream automatically.",
    )
}

/// The error of a subcommand that needs the group.
fn no_such_group(args: Args<'_>) -> CommandError {
    let key = quoted(args.at(2));
    let group = quoted(args.at(3));
    CommandError::new(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}

/// Changes a stream that must be there.
fn change<R>(
    context: &mut Context<'_>,
    args: Args<'_>,
    change: impl FnOnce(&mut Stream) -> Result<R, CommandError>,
) -> Result<R, CommandError> {
    let (keyspace, database, _) = context.parts();
    match edit(keyspace, database, args.at(2), change)? {
        Some(result) => result,
        None => Err(no_key()),
    }
}

/// Tells of a change of a group.
fn tell(context: &mut Context<'_>, args: Args<'_>, event: &'static str) {
    let (keyspace, database, _) = context.parts();
    keyspace.count_beside(database, args.at(2), 1);
    notify(keyspace, event, database, args.at(2));
}

/// The ID after which a group is to read: `$` is the stream's last one.
fn parse_position(text: &[u8], last_id: Id, parse: fn(&[u8]) -> Result<Id, CommandError>) -> Result<Id, CommandError> {
    match text {
        b"$" => Ok(last_id),
        text => parse(text),
    }
}

fn create(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = Options::parse(args, true)?;
    let (key, name) = (args.at(2), args.at(3));
    let (keyspace, database, _) = context.parts();
    let found = keyspace.lookup(database, key);
    let last_id = found.map(|record| super::stream_of(record).map(|stream| stream.entries.last_id)).transpose()?;
    if last_id.is_none() && !options.make_stream {
        return Err(no_key());
    }
    let position = parse_position(args.at(4), last_id.unwrap_or_default(), parse_id)?;
    let create = |stream: &mut Stream| stream.groups.create(name, position, options.entries_read);
    let is_new = match last_id {
        Some(_) => edit(keyspace, database, key, create)?,
        None => {
            let mut stream = Stream::default();
            let is_new = create(&mut stream);
            keyspace.create(database, key, OwnedValue::object(Object::Stream(stream)));
            keyspace.changes.touched(database, key);
            Some(is_new)
        }
    };
    if is_new != Some(true) {
        return Err(CommandError::fixed("BUSYGROUP Consumer Group name already exists"));
    }
    tell(context, args, "xgroup-create");
    context.reply.ok();
    Ok(())
}

fn set_id(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let options = Options::parse(args, false)?;
    change(context, args, |stream| {
        let last_id = stream.entries.last_id;
        stream.groups.get(args.at(3)).ok_or_else(|| no_such_group(args))?;
        let position = parse_position(args.at(4), last_id, parse_any_id)?;
        stream.groups.edit(args.at(3), |group| {
            group.last_id = position;
            group.entries_read = options.entries_read;
        });
        Ok(())
    })?;
    tell(context, args, "xgroup-setid");
    context.reply.ok();
    Ok(())
}

/// Reads an ID, or `-` or `+`.
fn parse_any_id(text: &[u8]) -> Result<Id, CommandError> {
    match text {
        b"-" => Ok(Id::MIN),
        b"+" => Ok(Id::MAX),
        text => parse_id(text),
    }
}

fn destroy(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let removed = change(context, args, |stream| Ok(stream.groups.remove(args.at(3))))?;
    context.reply.integer(i64::from(removed.is_some()));
    if let Some(groups) = removed {
        let (keyspace, database, _) = context.parts();
        let garbage = Object::Stream(Stream::of_garbage_groups(groups));
        keyspace.discard(Box::new(garbage));
        // For clients that wait for entries that the group has yet to read.
        keyspace.changes.touched(database, args.at(2));
        tell(context, args, "xgroup-destroy");
    }
    Ok(())
}

fn create_consumer(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let now_ms = context.state.keyspace.now_ms;
    let is_new = change(context, args, |stream| {
        let created = stream.groups.edit(args.at(3), |group| group.create_consumer(args.at(4), now_ms));
        created.ok_or_else(|| no_such_group(args))
    })?;
    if is_new {
        tell(context, args, "xgroup-createconsumer");
    }
    context.reply.integer(i64::from(is_new));
    Ok(())
}

fn delete_consumer(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let pending = change(context, args, |stream| {
        let removed = stream.groups.edit(args.at(3), |group| group.remove_consumer(args.at(4)));
        removed.ok_or_else(|| no_such_group(args))
    })?;
    if pending.is_some() {
        tell(context, args, "xgroup-delconsumer");
    }
    context.reply.integer(pending.unwrap_or(0) as i64);
    Ok(())
}
