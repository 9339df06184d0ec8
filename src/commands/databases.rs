//! Databases as a whole: SELECT, SWAPDB, DBSIZE, FLUSHDB and FLUSHALL.

use smallvec::smallvec;

use crate::command::databases::Databases;
use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{Category, Flag, Group};
use crate::drive::save::background;
use crate::engine::context::Context;
use crate::engine::state::program::CommandSpec;
use crate::keyspace::Targets;
use crate::resp::Args;
use crate::resp::number::parse_i64;

const FLUSH_HISTORY: &[(&str, &str)] =
    &[("4.0.0", "`ASYNC` chooses how memory is freed."), ("6.2.0", "`SYNC` chooses it too.")];

/// The family's commands.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("select", 2, Group::Connection, "1.0.0", select)
        .databases(Databases::Chosen)
        .flags(&[Flag::Loading, Flag::Stale, Flag::Fast])
        .summary("Chooses the database that this connection works on.")
        .arguments("index:integer"),
    CommandSpec::new("swapdb", 3, Group::Server, "4.0.0", swap)
        .databases(Databases::Named(|_| Some(smallvec![1, 2])))
        .flags(&[Flag::Write, Flag::Fast])
        .categories(&[Category::Keyspace, Category::Dangerous])
        .complexity("O(N) where N is the number of clients that watch keys of the two databases or wait for them.")
        .summary("Has two databases change places.")
        .arguments("index1:integer index2:integer"),
    CommandSpec::new("dbsize", 1, Group::Server, "1.0.0", size)
        .flags(&[Flag::ReadOnly, Flag::Fast])
        .categories(&[Category::Keyspace])
        .tips(&["request_policy:all_shards", "response_policy:agg_sum"])
        .summary("Counts the keys of the database."),
    CommandSpec::new("flushdb", -1, Group::Server, "1.0.0", flush_one)
        .flags(&[Flag::Write])
        .categories(&[Category::Keyspace, Category::Dangerous])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .complexity("O(1): the memory is freed in the background.")
        .summary("Removes every key of the database.")
        .history(FLUSH_HISTORY)
        .arguments("flush-type=[ASYNC@4.0.0|SYNC@6.2.0]"),
    CommandSpec::new("flushall", -1, Group::Server, "1.0.0", flush_all)
        .databases(Databases::All)
        .flags(&[Flag::Write])
        .categories(&[Category::Keyspace, Category::Dangerous])
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .complexity("O(N) where N is the number of databases: the memory is freed in the background.")
        .summary("Removes every key of every database.")
        .history(FLUSH_HISTORY)
        .arguments("flush-type=[ASYNC@4.0.0|SYNC@6.2.0]"),
];

/// The number of a database, as COPY, MOVE and SELECT take it.
pub fn parse_index(context: &Context<'_>, text: &[u8]) -> Result<usize, CommandError> {
    checked(context, parse_number(text)?)
}

/// A number that may be that of a database.
pub fn parse_number(text: &[u8]) -> Result<i32, CommandError> {
    const OUT_OF_INT: CommandError =
        CommandError::fixed("ERR value is out of range, value must between -2147483648 and 2147483647");
    let index = parse_i64(text).ok_or(CommandError::NOT_AN_INTEGER)?;
    i32::try_from(index).map_err(|_| OUT_OF_INT)
}

/// Whether this is a node of a cluster that has one database, as those of Redis have.
pub fn is_alone(context: &Context<'_>) -> bool {
    context.state.cluster.is_some() && context.state.keyspace.count() == 1
}

fn checked(context: &Context<'_>, index: i32) -> Result<usize, CommandError> {
    let count = context.state.keyspace.count();
    let index = usize::try_from(index).ok().filter(|index| *index < count);
    index.ok_or(CommandError::DATABASE_OUT_OF_RANGE)
}

fn select(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    let index = parse_number(args.at(1))?;
    if index != 0 && is_alone(context) {
        return Err(CommandError::fixed("ERR SELECT is not allowed in cluster mode"));
    }
    context.session.database = checked(context, index)?;
    context.reply.ok();
    Ok(())
}

fn swap(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    if context.state.cluster.is_some() {
        return Err(CommandError::fixed("ERR SWAPDB is not allowed in cluster mode"));
    }
    let number = |text| parse_i64(text).and_then(|index| i32::try_from(index).ok());
    let first = number(args.at(1)).ok_or(CommandError::fixed("ERR invalid first DB index"))?;
    let second = number(args.at(2)).ok_or(CommandError::fixed("ERR invalid second DB index"))?;
    let (first, second) = (checked(context, first)?, checked(context, second)?);
    context.state.keyspace.swap(first, second);
    context.reply.ok();
    Ok(())
}

fn size(context: &mut Context<'_>, _args: Args<'_>) -> CommandResult {
    let (keyspace, database, reply) = context.parts();
    reply.integer(keyspace.visible_len(database) as i64);
    Ok(())
}

fn flush_one(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    check_flush_type(args)?;
    let (keyspace, database, reply) = context.parts();
    keyspace.flush(database);
    // An empty database may have been a full one to a replica that is behind.
    keyspace.changes.propagation.force(Targets::ALL);
    reply.ok();
    Ok(())
}

fn flush_all(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    check_flush_type(args)?;
    let keyspace = &mut context.state.keyspace;
    for database in 0..keyspace.count() {
        keyspace.flush(database);
    }
    background::save_after_flush(context.state);
    let propagation = &mut context.state.keyspace.changes.propagation;
    propagation.force(Targets::ALL);
    context.reply.ok();
    Ok(())
}

/// SYNC and ASYNC do not differ: the keys are gone at once and the memory goes in slices.
fn check_flush_type(args: Args<'_>) -> CommandResult {
    let known = |text: &[u8]| text.eq_ignore_ascii_case(b"sync") || text.eq_ignore_ascii_case(b"async");
    match args.get(1) {
        None => Ok(()),
        Some(text) if args.len() == 2 && known(text) => Ok(()),
        Some(_) => Err(CommandError::SYNTAX),
    }
}
