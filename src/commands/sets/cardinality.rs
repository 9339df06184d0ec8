//! How many members an intersection, a union or a difference of sets has: SINTERCARD, SUNIONCARD and SDIFFCARD.
//!
//! The latter two are Redis 8.10's.

use std::ops::ControlFlow;

use crate::command::error::{CommandError, CommandResult};
use crate::command::spec::{CommandSpec, Flag, Group, KeySpec, READ};
use crate::engine::context::Context;
use crate::resp::Args;
use crate::resp::number::parse_i64;
use crate::types::hyperloglog::{self, Place, Sketch};

use super::algebra::{Operation, Sources};

/// Commands that count.
pub static COMMANDS: &[CommandSpec] = &[
    CommandSpec::new("sintercard", -3, Group::Set, "7.0.0", sintercard)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::counted(READ, 1)])
        .complexity("O(N*M) with N the number of members of the smallest set and M the number of sets.")
        .summary("Counts the members that several sets have in common.")
        .arguments("numkeys:integer key... [LIMIT limit:integer]"),
    CommandSpec::new("sunioncard", -3, Group::Set, "8.10.0", sunioncard)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::counted(READ, 1)])
        .complexity("O(N) with N the number of members of all the sets.")
        .summary("Counts the members of all of several sets.")
        .arguments("numkeys:integer key... [APPROX] [LIMIT limit:integer]"),
    CommandSpec::new("sdiffcard", -3, Group::Set, "8.10.0", sdiffcard)
        .flags(&[Flag::ReadOnly])
        .keys(&[KeySpec::counted(READ, 1)])
        .complexity("O(N) with N the number of members of all the sets.")
        .summary("Counts the members of a set that none of the other sets has.")
        .arguments("numkeys:integer key... [LIMIT limit:integer]"),
];

fn sintercard(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    count(context, args, Operation::Intersection)
}

fn sunioncard(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    count(context, args, Operation::Union)
}

fn sdiffcard(context: &mut Context<'_>, args: Args<'_>) -> CommandResult {
    count(context, args, Operation::Difference)
}

/// A request that counts.
struct Request<'a> {
    keys: Args<'a>,
    /// Counting stops there.
    limit: usize,
    /// Whether an estimate will do.
    is_approximate: bool,
}

impl<'a> Request<'a> {
    fn parse(args: Args<'a>, takes_approx: bool) -> Result<Request<'a>, CommandError> {
        const NO_KEYS: CommandError = CommandError::fixed("ERR numkeys should be greater than 0");
        const TOO_MANY_KEYS: CommandError =
            CommandError::fixed("ERR Number of keys can't be greater than number of args");
        const NEGATIVE_LIMIT: CommandError = CommandError::fixed("ERR LIMIT can't be negative");
        let keys = parse_i64(args.at(1)).and_then(|keys| usize::try_from(keys).ok());
        let keys = keys.filter(|keys| *keys > 0).ok_or(NO_KEYS)?;
        if keys > args.len() - 2 {
            return Err(TOO_MANY_KEYS);
        }
        let mut request = Request { keys: args.slice_from(2).first(keys), limit: 0, is_approximate: false };
        let mut words = args.slice_from(2 + keys).iter();
        while let Some(word) = words.next() {
            if takes_approx && word.eq_ignore_ascii_case(b"approx") {
                request.is_approximate = true;
                continue;
            }
            if !word.eq_ignore_ascii_case(b"limit") {
                return Err(CommandError::SYNTAX);
            }
            let limit = words.next().ok_or(CommandError::SYNTAX)?;
            let limit = parse_i64(limit).and_then(|limit| usize::try_from(limit).ok());
            request.limit = limit.ok_or(NEGATIVE_LIMIT)?;
        }
        if request.limit == 0 {
            request.limit = usize::MAX;
        }
        Ok(request)
    }
}

fn count(context: &mut Context<'_>, args: Args<'_>, operation: Operation) -> CommandResult {
    let request = Request::parse(args, operation == Operation::Union)?;
    let (keyspace, database, reply) = context.parts();
    let sources = Sources::read(keyspace, database, request.keys)?;
    let count = match sources.known_count(operation) {
        Some(count) => count,
        None if request.is_approximate => estimate(&sources),
        None => {
            let mut count = 0;
            sources.show(operation, keyspace, |_| {
                count += 1;
                if count < request.limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            count
        }
    };
    reply.integer(count.min(request.limit) as i64);
    Ok(())
}

/// About how many members the union has, by a HyperLogLog.
fn estimate(sources: &Sources) -> usize {
    /// From this size on it takes its dense form.
    const SPARSE_BYTES: usize = 3000;
    let mut sketch = hyperloglog::empty();
    sources.for_each(|member| {
        // INVARIANT: a sketch that was made here is never corrupted.
        let added = hyperloglog::add(&mut sketch, Place::of(member), SPARSE_BYTES);
        debug_assert!(added.is_ok());
    });
    let count = Sketch::of(&sketch).and_then(|sketch| sketch.count().ok());
    count.unwrap_or_default() as usize
}
